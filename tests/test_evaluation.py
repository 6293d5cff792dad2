"""A log-verossimilhança por amostragem de importância, contra log p(x) exato, e as unidades ativas."""

import math

import pytest
import torch
from torch import nn

from vae_lessons import evaluation
from vae_lessons.estimators import exact
from vae_lessons.evaluation import (
    active_units,
    kl_per_dimension,
    log_likelihood,
    posterior_mean_variance,
    rate_distortion,
)
from vae_lessons.models import VAE, categorical_vae, mlp_vae
from vae_lessons.objectives import elbo

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
        log_first, log_second = right(model, x, k, chunk)
        return value, log_second + 2 * (value - log_first)  # a mesma variância relativa

    right = evaluation._log_moments
    monkeypatch.setattr(evaluation, "_log_moments", wrong)
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
    assert repr(result) == f"LogLikelihood({mean:.4f} ± {standard_error:.4f} nats, 32 exemplos)"


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (torch.zeros(2, 6), {"k": 1}, "k deve ser ao menos 2"),
        (torch.zeros(2, 6), {"chunk": 0}, "chunk deve ser ao menos 1"),
        (torch.zeros(6), {}, r"\[B, D\]"),
        (torch.zeros(0, 6), {}, "ao menos um exemplo"),
        (torch.zeros(2, 5), {}, "D, colunas"),
    ],
)
def test_log_likelihood_refuses_bad_input(x, options, message):
    with pytest.raises(ValueError, match=message):
        log_likelihood(mlp_vae(6, 2, (8,)), x, **options)


def test_log_likelihood_refuses_uint8():
    with pytest.raises(TypeError, match="binarize"):
        log_likelihood(mlp_vae(6, 2, (8,)), torch.zeros(2, 6, dtype=torch.uint8))


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
        (torch.zeros(6), {}, r"\[B, D\]"),
        (torch.zeros(0, 6), {}, "ao menos um exemplo"),
        (torch.zeros(2, 5), {}, "D, colunas"),
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
    with pytest.raises(ValueError, match=r"\[B, D\] com ao menos dois exemplos"):
        active_units(mlp_vae(4, 1, (3,)), torch.rand(4))
