"""As medidas: log p(x) por amostragem de importância contra o exato, taxa e distorção, unidades ativas; e o que todas
prometem sobre o modo do modelo, os dados e a memória."""

import math
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributions as td
from torch import nn

from vae_lessons import evaluation
from vae_lessons.data import Dataset, binarize, load
from vae_lessons.distributions import Normal
from vae_lessons.estimators import exact
from vae_lessons.evaluation import (
    active_units,
    kl_per_dimension,
    log_likelihood,
    posterior_mean_variance,
    rate_distortion,
)
from vae_lessons.models import VAE, categorical_vae, conv_vae, mlp_vae
from vae_lessons.objectives import elbo
from vae_lessons.suitability import measured

SLIGHTLY_WRONG = {"shift": 0.2, "log_scale": 0.3}


def assert_within_its_own_error(result, log_evidence):
    assert abs(result.mean - log_evidence.mean().item()) <= 4 * result.standard_error


# log p(x)


def test_exact_posterior_gives_log_evidence_without_error(linear_gaussian):
    case = linear_gaussian()
    result = log_likelihood(case.model, case.x, k=10)
    torch.testing.assert_close(result.per_example, case.log_evidence, rtol=0, atol=1e-10)
    assert result.standard_error < 1e-8
    assert_within_its_own_error(result, case.log_evidence)


@pytest.mark.parametrize("data_dim", [5, 300])
def test_exact_posterior_in_float32_is_within_the_rounding_it_declares(linear_gaussian, data_dim):
    case = linear_gaussian(dtype=torch.float32, data_dim=data_dim)
    result = log_likelihood(case.model, case.x, k=100)
    assert_within_its_own_error(result, case.log_evidence)
    assert result.standard_error < 1e-3


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("q", [SLIGHTLY_WRONG, {"shift": -0.4, "log_scale": 0.8}], ids=str)
def test_wrong_posterior_still_gives_log_evidence_within_its_own_error(linear_gaussian, q, seed):
    case = linear_gaussian(**q)
    torch.manual_seed(seed)
    assert_within_its_own_error(log_likelihood(case.model, case.x, k=1000), case.log_evidence)


def test_standard_error_is_neither_too_small_nor_too_large(linear_gaussian):
    """Em 200 repetições, (estimativa − verdade) / erro-padrão tem desvio perto de 1."""
    case = linear_gaussian(**SLIGHTLY_WRONG, n=8)
    torch.manual_seed(0)
    results = [log_likelihood(case.model, case.x, k=200) for _ in range(200)]
    scores = torch.tensor([(r.mean - case.log_evidence.mean().item()) / r.standard_error for r in results])
    assert 0.85 < scores.std().item() < 1.15
    assert abs(scores.mean().item()) < 4 / math.sqrt(200)


def test_few_samples_of_a_poor_posterior_declare_the_bias_too(linear_gaussian):
    """Com muitos exemplos, o viés de Jensen não encolhe com N; se o erro-padrão o ignorasse, isto falharia."""
    case = linear_gaussian(shift=0.4, log_scale=0.5, n=4000)
    torch.manual_seed(0)
    assert_within_its_own_error(log_likelihood(case.model, case.x, k=20), case.log_evidence)


def test_bernoulli_model_agrees_with_quadrature(one_latent_bernoulli):
    case = one_latent_bernoulli
    torch.manual_seed(0)
    result = log_likelihood(case.model, case.x, k=20_000)
    assert_within_its_own_error(result, case.log_evidence)
    assert 0 < result.standard_error < 0.05


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000, 10**9])
def test_chunk_limits_memory_and_not_the_result(linear_gaussian, monkeypatch, chunk):
    case = linear_gaussian(**SLIGHTLY_WRONG, n=10)
    decoded = []
    right = case.model.decode

    def decode(z):
        decoded.append(z.shape[:-1].numel())
        return right(z)

    monkeypatch.setattr(case.model, "decode", decode)
    torch.manual_seed(0)
    result = log_likelihood(case.model, case.x, k=100, chunk=chunk)
    assert sum(decoded) == 100 * 10
    assert max(decoded) <= chunk
    assert result.per_example.shape == (10,)
    assert_within_its_own_error(result, case.log_evidence)


def test_every_example_gets_its_own_estimate(linear_gaussian):
    """Blocos de exemplos não se misturam: cada entrada é a do seu exemplo, na ordem de x."""
    case = linear_gaussian(**SLIGHTLY_WRONG, n=50)
    torch.manual_seed(0)
    result = log_likelihood(case.model, case.x, k=2000, chunk=6000)
    assert (result.per_example - case.log_evidence).abs().max() < 0.3
    assert case.log_evidence.std() > 1
    assert result.mean == pytest.approx(result.per_example.mean().item())


def test_standard_error_shrinks_with_the_root_of_k(linear_gaussian):
    case = linear_gaussian(**SLIGHTLY_WRONG, n=200)
    torch.manual_seed(0)
    few, many = (log_likelihood(case.model, case.x, k=k).standard_error for k in (500, 8000))
    assert few / many == pytest.approx(4, rel=0.15)


def test_bound_tightens_with_k_from_the_elbo_to_log_evidence(linear_gaussian):
    """ELBO ≤ L_2 ≤ L_8 ≤ L_64 ≤ log p(x) em esperança (Burda et al., 2016, teorema 1)."""
    case = linear_gaussian(shift=0.5, log_scale=1.0, n=1)
    torch.manual_seed(0)
    x = case.x.expand(10_000, -1)
    with torch.no_grad():
        bounds = [elbo(case.model, x).elbo] + [log_likelihood(case.model, x, k=k).per_example for k in (2, 8, 64)]
    bounds.append(case.log_evidence.expand(2))  # exato: sem erro
    means = torch.stack([b.mean() for b in bounds])
    errors = torch.stack([b.std() / math.sqrt(len(b)) for b in bounds])
    steps = means.diff()
    assert (steps > 4 * torch.hypot(errors[1:], errors[:-1])).all()


@pytest.mark.parametrize("bug", ["weighted_mean_of_log_weights", "log_of_mean_taken_as_mean_of_log", "sum_over_k"])
def test_known_wrong_estimates_are_caught(linear_gaussian, monkeypatch, bug):
    """Σ w̃ log w impresso como limite, a ELBO no lugar de log p(x), e o log k esquecido."""

    def wrong(model, x, k, chunk):
        log_w = evaluation.log_importance_weights(model, x, k).double()
        value = {
            "weighted_mean_of_log_weights": (log_w.softmax(0) * log_w).sum(0),
            "log_of_mean_taken_as_mean_of_log": log_w.mean(0),
            "sum_over_k": log_w.logsumexp(0),
        }[bug]
        log_first, log_second, tail = right(model, x, k, chunk)
        return value, log_second + 2 * (value - log_first), tail  # a mesma variância relativa

    right = evaluation._log_sums
    monkeypatch.setattr(evaluation, "_log_sums", wrong)
    case = linear_gaussian(**SLIGHTLY_WRONG)
    torch.manual_seed(0)
    with pytest.raises(AssertionError):
        assert_within_its_own_error(log_likelihood(case.model, case.x, k=1000), case.log_evidence)


def test_result_does_not_depend_on_train_or_eval_mode(one_latent_bernoulli):
    model, x, *_ = one_latent_bernoulli
    values = []
    for mode in (True, False):
        torch.manual_seed(0)
        values.append(log_likelihood(model.train(mode), x, k=50).per_example)
    model.train()
    assert torch.equal(*values)
    assert not values[0].requires_grad


def test_result_unpacks_and_prints_with_its_error(linear_gaussian):
    case = linear_gaussian(**SLIGHTLY_WRONG)
    mean, standard_error, per_example = result = log_likelihood(case.model, case.x, k=100)
    assert isinstance(mean, float)
    assert isinstance(standard_error, float)
    assert per_example.dtype == torch.float64
    assert result[2] is per_example
    size = result.effective_sample_size.median().item()
    assert repr(result) == (
        f"LogLikelihood({mean:.4f} ± {standard_error:.4f} nats, 32 exemplos, tamanho efetivo {size:.0f} de 100)"
    )


# O tamanho efetivo de amostra


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("latent_dim", [1, 3])
def test_effective_sample_size_matches_the_closed_form_of_a_wider_normal(linear_gaussian, ratio, latent_dim):
    """Com σ_q = r σ_post, E[w]² / E[w²] = (√(2r² − 1) / r²)^Z."""
    case = linear_gaussian(log_scale=2 * math.log(ratio), latent_dim=latent_dim, n=20)
    torch.manual_seed(0)
    result = log_likelihood(case.model, case.x, k=4000)
    expected = 4000 * (math.sqrt(2 * ratio**2 - 1) / ratio**2) ** latent_dim
    assert result.effective_sample_size.shape == (20,)
    assert result.effective_sample_size.mean().item() == pytest.approx(expected, rel=0.03)


def test_effective_sample_size_of_the_exact_posterior_is_k(linear_gaussian):
    case = linear_gaussian()
    for k in (2, 10, 500):
        result = log_likelihood(case.model, case.x, k=k)
        torch.testing.assert_close(result.effective_sample_size, torch.full((32,), float(k), dtype=torch.float64))


def coverage_and_warnings(case, *, repeats, k):
    """A fração das estimativas a 2 erros-padrão de log p(x), e a das que vieram com aviso."""
    covered = warned = 0
    for seed in range(repeats):
        torch.manual_seed(seed)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = log_likelihood(case.model, case.x, k=k)
        covered += abs(result.mean - case.log_evidence.mean().item()) <= 2 * result.standard_error
        warned += bool(caught)
    return covered / repeats, warned / repeats


@pytest.mark.parametrize("latent_dim", [2, 5])
@pytest.mark.parametrize("ratio", [2.0, 1.3, 1.0, 0.9, 0.8, 0.6, 0.5])
def test_an_error_bar_that_does_not_cover_comes_with_a_warning_and_one_that_does_comes_without(
    linear_gaussian, ratio, latent_dim
):
    """q exata em média, com σ_q = r σ_post. Abaixo de r² = ½ a variância dos pesos é infinita."""
    case = linear_gaussian(log_scale=2 * math.log(ratio), latent_dim=latent_dim, n=100)
    covered, warned = coverage_and_warnings(case, repeats=30, k=1000)
    if ratio < 0.5**0.5:
        assert warned == 1
        assert covered < 0.85
    else:
        assert warned == 0
        assert covered > 0.85


def test_a_posterior_in_the_wrong_place_is_warned_about_too(linear_gaussian):
    case = linear_gaussian(shift=1.0, latent_dim=5, n=50)
    covered, warned = coverage_and_warnings(case, repeats=10, k=1000)
    assert (covered, warned) == (0, 1)
    assert coverage_and_warnings(case, repeats=5, k=50)[1] == 1  # poucas para uma cauda: basta o tamanho efetivo


def test_the_warning_says_how_few_samples_count_and_what_to_do(linear_gaussian):
    case = linear_gaussian(log_scale=2 * math.log(0.5))
    torch.manual_seed(0)
    with pytest.warns(UserWarning, match=r"das k = 1000 amostras por imagem, contam \d+ .*mais estreita.*Treine mais"):
        result = log_likelihood(case.model, case.x)
    assert result.effective_sample_size.median() < 200


# Entradas ruins


@pytest.mark.parametrize(
    ("x", "options", "error", "message"),
    [
        (torch.zeros(2, 6), {"k": 1}, ValueError, "k deve ser ao menos 2"),
        (torch.zeros(2, 6), {"k": 1e3}, TypeError, r"k deve ser um inteiro.*1000.0, do tipo float.*Escreva 1000"),
        (torch.zeros(2, 6), {"k": "10"}, TypeError, r"k deve ser um inteiro.*veio '10', do tipo str"),
        (torch.zeros(2, 6), {"k": 2.5}, TypeError, r"k deve ser um inteiro.*veio 2.5"),
        (torch.zeros(2, 6), {"k": True}, TypeError, r"k deve ser um inteiro.*veio True"),
        (torch.zeros(2, 6), {"chunk": 0}, ValueError, "chunk deve ser ao menos 1"),
        (torch.zeros(2, 6), {"chunk": 1e4}, TypeError, "chunk deve ser um inteiro.*Escreva 10000"),
        (torch.zeros(6), {}, ValueError, r"\[N, D\]"),
        (torch.zeros(0, 6), {}, ValueError, "ao menos um exemplo"),
        (torch.zeros(2, 5), {}, ValueError, "feito para 6 colunas .*tem 5"),
        (np.zeros((2, 6)), {}, TypeError, r"torch.from_numpy"),
        (None, {}, TypeError, "um Dataset ou um tensor"),
    ],
)
def test_log_likelihood_refuses_bad_input(x, options, error, message):
    with pytest.raises(error, match=message):
        log_likelihood(mlp_vae(6, 2, (8,)), x, **options)


@pytest.mark.parametrize("k", [np.int64(20), torch.tensor(20)])
def test_integers_of_numpy_and_torch_are_integers(k):
    assert log_likelihood(mlp_vae(6, 2, (8,)), torch.zeros(3, 6), k=k).k == 20


MEASURES = [log_likelihood, rate_distortion, kl_per_dimension, posterior_mean_variance, active_units]


@pytest.mark.parametrize("measure", MEASURES)
def test_arguments_in_the_wrong_order_and_what_is_no_model_are_refused(measure):
    model, x = mlp_vae(6, 2, (8,)), torch.zeros(3, 6)
    with pytest.raises(TypeError, match=r"O primeiro argumento deve ser um modelo.*A ordem é \(model, x\)"):
        measure(x, model)
    with pytest.raises(TypeError, match=r"O primeiro argumento deve ser um modelo.*mas veio Sequential"):
        measure(nn.Sequential(nn.Linear(6, 2)), x)


@pytest.mark.parametrize("measure", MEASURES)
def test_data_of_another_precision_say_what_to_convert_to_what(measure):
    double, x = mlp_vae(6, 2, (8,)).double(), torch.zeros(3, 6)
    with pytest.raises(TypeError, match=r"x é torch.float32 .*torch.float64.* x.double\(\), .* model.float\(\)"):
        measure(double, x)
    with pytest.raises(TypeError, match=r"x é torch.float64 .*torch.float32.* x.float\(\), .* model.double\(\)"):
        measure(double.float(), x.double())


# O que todas prometem: modo, dados e memória


class Moody(nn.Module):
    """Rede que em modo de treino sorteia (dropout) e olha o lote inteiro (BatchNorm), cujas médias move."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_in, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, n_out)
        )

    def forward(self, rows):
        assert rows.ndim == 2
        return self.layers(rows)


def moody_vae(latent_dim=2, **options):
    torch.manual_seed(0)
    model = VAE(Moody(6, 2 * latent_dim), Moody(latent_dim, 6), latent_dim=latent_dim, data_dim=6, **options)
    for _ in range(20):  # para que as médias guardadas não sejam as iniciais
        elbo(model, torch.rand(50, 6).round()).loss.mean().backward()
    return model


ALL_MEASURES = {
    "log_likelihood": lambda m, x: log_likelihood(m, x, k=20).per_example,
    "rate_distortion": lambda m, x: torch.tensor(rate_distortion(m, x)),
    "kl_per_dimension": kl_per_dimension,
    "posterior_mean_variance": posterior_mean_variance,
    "active_units": lambda m, x: torch.tensor(active_units(m, x)),
    "sample": lambda m, x: m.sample(30),
    "mean of samples": lambda m, x: m.sample(30, mean=True),
}


@pytest.mark.parametrize("name", ALL_MEASURES)
def test_measuring_does_not_depend_on_the_mode_and_gives_the_model_back_as_it_was(name):
    model, x = moody_vae(), torch.rand(40, 6).round()
    measure = ALL_MEASURES[name]
    mixed = {"encoder.layers.1": False, "decoder": False, "decoder.layers.3": True}
    values = []
    for modes in ({}, dict.fromkeys(dict(model.named_modules()), False), mixed):
        model.train()
        for part, training in modes.items():
            model.get_submodule(part).training = training
        before = {part: module.training for part, module in model.named_modules()}
        state = {part: tensor.clone() for part, tensor in model.state_dict().items()}
        torch.manual_seed(0)
        values.append(measure(model, x))
        assert {part: module.training for part, module in model.named_modules()} == before
        assert all(torch.equal(tensor, state[part]) for part, tensor in model.state_dict().items())
        assert not values[-1].requires_grad
    assert torch.equal(values[0], values[1])
    assert torch.equal(values[0], values[2])


def test_an_error_in_the_middle_of_a_measure_gives_the_mode_back(monkeypatch):
    model = moody_vae()
    monkeypatch.setattr(model.decoder, "forward", lambda rows: rows.nonexistent)
    with pytest.raises(AttributeError):
        log_likelihood(model, torch.zeros(3, 6), k=5)
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("likelihood", ["bernoulli", "continuous_bernoulli", "gaussian"])
@pytest.mark.parametrize("measure", MEASURES)
def test_a_data_set_is_measured_as_its_pixels_are_seen(measure, likelihood):
    data = load("digits", "test")
    torch.manual_seed(0)
    model = mlp_vae(64, 2, (16,), likelihood=likelihood)
    values = []
    for x in (data, data.x, measured(model, data), data.x.float() / 255 if likelihood != "bernoulli" else data):
        torch.manual_seed(0)
        values.append(measure(model, x, **({"k": 10} if measure is log_likelihood else {})))
    for other in values[1:]:
        torch.testing.assert_close(
            torch.as_tensor(other[0] if isinstance(other, tuple) else other).double(),
            torch.as_tensor(values[0][0] if isinstance(other, tuple) else values[0]).double(),
        )


@pytest.mark.parametrize("chunk", [1, 7, 100, 10**6])
def test_bits_are_those_of_the_whole_data_set_whatever_the_chunk(chunk):
    data = load("digits", "test")
    model = mlp_vae(64, 2, (4,))
    rows = torch.cat(list(evaluation._rows(model, data, chunk)))
    assert torch.equal(rows, binarize(data.x, "static"))
    assert torch.equal(rows, measured(model, data))


class TokenEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(9, 4), nn.Linear(4, 4)

    def forward(self, tokens):
        return self.head(self.table(tokens).mean(1))


def token_vae():
    decoder = nn.Sequential(nn.Linear(2, 5 * 9), nn.Unflatten(1, (5, 9)))
    torch.manual_seed(0)
    return VAE(
        TokenEncoder(), decoder, latent_dim=2, data_dim=5, likelihood=lambda logits: td.Categorical(logits=logits)
    )


def count_vae():
    torch.manual_seed(0)
    return mlp_vae(7, 2, (8,), likelihood=lambda out: td.Poisson(out.exp()))


@pytest.mark.filterwarnings("ignore:O erro-padrão de log p")
@pytest.mark.parametrize(
    ("build", "data"),
    [
        (token_vae, Dataset(torch.randint(9, (30, 5)), columns="palavras")),
        (count_vae, Dataset(torch.randint(20, (30, 7)).float(), columns="genes")),
    ],
    ids=["tokens", "counts"],
)
def test_what_is_no_image_is_measured_too(build, data):
    model = build()
    result = log_likelihood(model, data, k=200)
    rate, distortion = rate_distortion(model, data, n_samples=200)
    assert result.per_example.shape == (30,)
    assert -(rate + distortion) < result.mean + 0.05
    assert active_units(model, data) in range(3)
    assert kl_per_dimension(model, data).sum().item() == pytest.approx(rate, rel=1e-5)
    assert model.sample(3).shape == (3, data.x.shape[1])


def test_encoding_measures_do_not_ask_what_the_likelihood_expects():
    """Um codificador lê o que for; a verossimilhança de quem o treinou não entra na conta."""
    model, x = mlp_vae(6, 2, (8,)), torch.randn(20, 6)
    assert posterior_mean_variance(model, x).shape == kl_per_dimension(model, x).shape == (2,)
    with pytest.raises(ValueError, match="entre 0 e 1"):
        rate_distortion(model, x)


def test_networks_see_few_rows_at_a_time_when_measured_and_the_whole_batch_when_trained():
    model, seen = mlp_vae(784, 2, (4,)), []
    for network in (model.encoder, model.decoder):
        network.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    x = torch.zeros(10_000, 784)
    posterior_mean_variance(model, x)
    assert sum(seen) == 10_000
    assert max(seen) < 3000
    seen.clear()
    model.sample(10_000)
    assert sum(seen) == 10_000
    assert max(seen) < 3000
    seen.clear()
    model.encode(x)
    assert seen == [10_000]


def test_blocks_of_rows_change_no_value():
    torch.manual_seed(0)
    model = conv_vae((28, 28), 3, (2, 3)).double().eval()
    x = torch.rand(6000, 784, dtype=torch.float64)
    in_parts = Normal(*(torch.cat(parts) for parts in zip(*(model.encode(rows) for rows in x.split(500)), strict=True)))
    with torch.no_grad():
        torch.testing.assert_close(model.encode(x), in_parts)
        torch.testing.assert_close(
            model.decode(in_parts.mean).logits[::1000], model.decode(in_parts.mean[::1000]).logits
        )


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Só o Linux conta o pico de memória assim.")
def test_sixty_thousand_images_through_convolutions_take_less_than_a_gigabyte():
    """Num processo novo, porque o pico é do processo inteiro; o de getrusage contaria também o de quem o iniciou."""
    program = (
        "import re, torch\n"
        "torch.set_num_threads(1)\n"
        "from vae_lessons.evaluation import active_units\n"
        "from vae_lessons.models import conv_vae\n"
        "x = torch.randint(256, (60_000, 784), dtype=torch.uint8)\n"
        "active_units(conv_vae((28, 28), 10, (8, 16)), x)\n"
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1])\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 1e6


# Taxa e distorção


def closed_form(case):
    """Taxa por dimensão [B, Z] e distorção [B] do modelo linear: −E_q[log p(x|z)] é quadrático em z."""
    model, x = case.model, case.x
    with torch.no_grad():
        q = model.encode(x)
        variance = q.log_var.exp()
        weight, s2 = model.decoder.weight, model.likelihood_log_var.exp()
        error = (x - model.decoder(q.mean)).square().sum(1) + (variance * weight.square().sum(0)).sum(1)
        distortion = 0.5 * (x.shape[1] * torch.log(2 * math.pi * s2) + error / s2)
    standard = torch.distributions.Normal(torch.zeros(()).double(), 1.0)
    rate = torch.distributions.kl_divergence(torch.distributions.Normal(q.mean, variance.sqrt()), standard)
    return rate, distortion


@pytest.mark.parametrize("q", [{}, SLIGHTLY_WRONG, {"shift": -0.4, "log_scale": 0.8}], ids=str)
def test_rate_and_distortion_match_the_linear_gaussian_closed_form(linear_gaussian, q):
    case = linear_gaussian(**q)
    rate, distortion = rate_distortion(case.model, case.x, n_samples=20_000)
    expected_rate, expected_distortion = closed_form(case)
    assert rate == pytest.approx(expected_rate.sum(1).mean().item(), abs=1e-10)
    assert distortion == pytest.approx(expected_distortion.mean().item(), abs=0.01)
    torch.testing.assert_close(kl_per_dimension(case.model, case.x), expected_rate.mean(0), rtol=0, atol=1e-10)


def test_rate_and_distortion_of_the_exact_posterior_sum_to_minus_log_evidence(linear_gaussian):
    case = linear_gaussian()
    rate, distortion = rate_distortion(case.model, case.x, n_samples=20_000)
    assert -(rate + distortion) == pytest.approx(case.log_evidence.mean().item(), abs=0.01)


def test_rate_and_distortion_sum_to_minus_the_elbo(one_latent_bernoulli):
    case = one_latent_bernoulli
    rate, distortion = rate_distortion(case.model, case.x, n_samples=20_000)
    assert rate == pytest.approx(case.kl_to_prior.mean().item(), abs=1e-8)
    assert distortion == pytest.approx(-case.expected_log_likelihood.mean().item(), abs=0.01)
    bound = (case.log_evidence - case.kl_to_posterior).mean().item()
    assert -(rate + distortion) == pytest.approx(bound, abs=0.01)


@pytest.fixture
def small_categorical():
    torch.manual_seed(0)
    model = categorical_vae(6, 2, 3, (8,)).double()
    with torch.no_grad():
        model.encoder[-1].weight.mul_(6)
        model.decoder[-1].weight.mul_(4)
    return model, torch.bernoulli(torch.full((20, 6), 0.5, dtype=torch.float64))


def test_rate_and_distortion_of_categorical_latents_match_enumeration(small_categorical):
    model, x = small_categorical
    with torch.no_grad():
        terms = elbo(model, x, estimator=exact)
    rate, distortion = rate_distortion(model, x, n_samples=10_000)
    assert rate == pytest.approx(terms.kl.mean().item(), abs=1e-10)
    assert rate > 0.1
    assert distortion == pytest.approx(-terms.log_likelihood.mean().item(), abs=0.01)


def test_rate_bounds_the_information_that_the_code_has_about_x(linear_gaussian):
    """Com dados do próprio modelo e q exata, a taxa é I(x; z) = ½ log det(I + WᵀW/s²); deslocar q só soma à taxa."""
    model = linear_gaussian().model
    weight, s2 = model.decoder.weight.detach(), model.likelihood_log_var.exp().item()
    information = 0.5 * torch.logdet(torch.eye(2) + weight.T @ weight / s2).item()
    tight, shifted = (
        rate_distortion(case.model, case.x, n_samples=1).rate
        for case in (linear_gaussian(n=20_000), linear_gaussian(n=20_000, shift=0.5))
    )
    assert tight == pytest.approx(information, abs=0.03)
    assert shifted == pytest.approx(information + 2 * 0.5**2 / 2, abs=0.03)


def test_rate_and_distortion_are_repeatable_and_touch_no_global_generator(one_latent_bernoulli):
    model, x, *_ = one_latent_bernoulli
    state = torch.get_rng_state()
    first, again, other = (rate_distortion(model, x, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert first == again
    assert first.rate == other.rate
    assert first.distortion != other.distortion
    assert [type(value) for value in first] == [float, float]


@pytest.mark.parametrize("chunk", [1, 7, 20, 35, 10**9])
def test_chunk_of_rate_distortion_limits_memory_and_not_the_mean(linear_gaussian, monkeypatch, chunk):
    case = linear_gaussian(**SLIGHTLY_WRONG, n=10)
    decoded, encoded = [], []
    decode, encode = case.model.decode, case.model.encode
    monkeypatch.setattr(case.model, "decode", lambda z: decoded.append(z.shape[:-1].numel()) or decode(z))
    monkeypatch.setattr(case.model, "encode", lambda x: encoded.append(len(x)) or encode(x))
    rate, distortion = rate_distortion(case.model, case.x, n_samples=5, chunk=chunk)
    assert sum(decoded) == 5 * 10
    assert max(decoded) <= max(chunk, 5)
    expected_rate, expected_distortion = closed_form(linear_gaussian(**SLIGHTLY_WRONG, n=10))
    assert rate == pytest.approx(expected_rate.sum(1).mean().item(), abs=1e-10)
    assert distortion == pytest.approx(expected_distortion.mean().item(), abs=1)
    encoded.clear()
    torch.testing.assert_close(
        kl_per_dimension(case.model, case.x, chunk=chunk), expected_rate.mean(0), rtol=0, atol=1e-10
    )
    assert sum(encoded) == 10
    assert max(encoded) <= chunk


def test_one_sample_of_z_gives_the_same_distortion_on_average(linear_gaussian):
    case = linear_gaussian(**SLIGHTLY_WRONG, n=20_000)
    distortion = rate_distortion(case.model, case.x, n_samples=1, chunk=999).distortion
    assert distortion == pytest.approx(closed_form(case)[1].mean().item(), abs=0.05)


def test_kl_per_dimension_sums_to_the_rate(one_latent_bernoulli, small_categorical, linear_gaussian):
    cases = [one_latent_bernoulli[:2], small_categorical, linear_gaussian(**SLIGHTLY_WRONG)[:2]]
    for (model, x), n_latents in zip(cases, [1, 2, 2], strict=True):
        kl = kl_per_dimension(model, x)
        assert kl.shape == (n_latents,)
        assert not kl.requires_grad
        assert kl.sum().item() == pytest.approx(rate_distortion(model, x, n_samples=1).rate)


@pytest.mark.parametrize("function", [rate_distortion, kl_per_dimension])
@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (torch.zeros(2, 6), {"chunk": 0}, "chunk deve ser ao menos 1"),
        (torch.zeros(6), {}, r"\[N, D\]"),
        (torch.zeros(0, 6), {}, "ao menos um exemplo"),
        (torch.zeros(2, 5), {}, "6"),
    ],
)
def test_rate_refuses_bad_input(function, x, options, message):
    with pytest.raises(ValueError, match=message):
        function(mlp_vae(6, 2, (8,)), x, **options)


@pytest.mark.parametrize("n_samples", [0, -1])
def test_a_distortion_needs_samples(n_samples):
    with pytest.raises(ValueError, match=f"n_samples deve ser ao menos 1.*{n_samples}"):
        rate_distortion(mlp_vae(6, 2, (8,)), torch.zeros(2, 6), n_samples=n_samples)


# Unidades ativas


@pytest.fixture
def vae_with_collapsed_units():
    """Médias da posterior: 2x₀, 0, 0,05x₁, 3 e x₀ + x₁; as de número 1 e 3 não dependem de x, e a 2, quase nada."""
    weight = torch.tensor([[2.0, 0], [0, 0], [0, 0.05], [0, 0], [1, 1]])
    encoder = nn.Linear(2, 10)
    with torch.no_grad():
        encoder.weight.copy_(torch.cat([weight, torch.randn(5, 2)]))  # log σ² não conta
        encoder.bias.copy_(torch.tensor([0.0, 0, 0, 3, 0, 0, 0, 0, 0, 0]))
    x = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
    return VAE(encoder, nn.Linear(5, 2), latent_dim=5), x, weight


def test_active_units_ignore_collapsed_dimensions(vae_with_collapsed_units):
    model, x, _ = vae_with_collapsed_units
    assert active_units(model, x) == 2
    assert active_units(model, x, threshold=1e-3) == 3
    assert active_units(model, x, threshold=3.0) == 1


def test_posterior_mean_variance_is_that_of_a_linear_map(vae_with_collapsed_units):
    model, x, weight = vae_with_collapsed_units
    expected = (weight @ torch.cov(x.T) @ weight.T).diagonal()
    torch.testing.assert_close(posterior_mean_variance(model, x), expected, rtol=1e-4, atol=1e-10)


def test_active_units_draw_nothing(vae_with_collapsed_units):
    model, x, _ = vae_with_collapsed_units
    state = torch.get_rng_state()
    active_units(model, x)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_variance_over_examples_needs_two_of_them(vae_with_collapsed_units):
    model, x, _ = vae_with_collapsed_units
    with pytest.raises(ValueError, match="ao menos dois"):
        active_units(model, x[:1])


def test_active_units_of_a_single_image_without_batch_is_refused():
    with pytest.raises(ValueError, match=r"\[N, D\].*x\[None\]"):
        active_units(mlp_vae(4, 1, (3,)), torch.rand(4))
