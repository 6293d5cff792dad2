"""As formas fechadas do modelo linear contra a força bruta: matrizes inteiras, otimização, e os dígitos de verdade."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

from vae_lessons.data import load
from vae_lessons.distributions import kl_divergence
from vae_lessons.linear_gaussian import log_evidence, optimal_kl, optimal_squared_error
from vae_lessons.models import mlp_vae
from vae_lessons.objectives import iwae_bound

SPECTRUM = torch.tensor([0.7, 0.3, 0.08, 0.02], dtype=torch.float64)


def random(*shape, seed=0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def digits():
    """Os 1.797 dígitos em tons de cinza de 0 a 1, centrados."""
    x = torch.cat([load("digits", split).x for split in ("train", "test")]).mul(16 / 255).round().double() / 16
    return x - x.mean(0)


@pytest.fixture(scope="module")
def spectrum(digits):
    return torch.linalg.eigvalsh(digits.T @ digits / len(digits))


# O ótimo da ELBO com peso β


def minimized(covariance, n_latents, beta, variance, seed) -> tuple[torch.Tensor, torch.Tensor]:
    """(KL de cada latente, erro quadrático) no mínimo que a L-BFGS encontra de uma partida sorteada, na média sobre
    x ~ N(0, covariance): o erro é E‖x − Wz‖², com z ~ N(Vx, diag d)."""
    n_columns = len(covariance)
    parts = ((n_columns, n_latents), (n_latents, n_columns), (n_latents,))
    w, v, log_d = parameters = [
        (0.5 * random(*part, seed=10 * seed + i)).requires_grad_() for i, part in enumerate(parts)
    ]

    def terms():
        rest = torch.eye(n_columns, dtype=torch.float64) - w @ v
        error = (rest @ covariance @ rest.T).trace() + (w.square().sum(0) * log_d.exp()).sum()
        return 0.5 * ((v @ covariance @ v.T).diagonal() + log_d.exp() - 1 - log_d), error

    optimizer = torch.optim.LBFGS(
        parameters, max_iter=2000, tolerance_grad=1e-12, tolerance_change=1e-16, line_search_fn="strong_wolfe"
    )

    def loss():
        optimizer.zero_grad()
        kl, error = terms()
        total = error / (2 * variance) + beta * kl.sum()
        total.backward()
        return total

    for _ in range(5):
        optimizer.step(loss)
    return tuple(term.detach() for term in terms())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("beta", "variance"), [(2.0, 0.05), (1.0, 0.01), (0.5, 0.3), (3.0, 0.3)])
def test_the_optimum_found_by_search_from_random_starts_is_the_closed_form(beta, variance, seed):
    axes, _ = torch.linalg.qr(random(4, 4, seed=99))
    kl, error = minimized(axes @ SPECTRUM.diag() @ axes.T, 4, beta, variance, seed)
    expected = optimal_kl(SPECTRUM, beta, variance)
    assert kl.sort(descending=True)[0].tolist() == pytest.approx(expected.tolist(), abs=1e-6)
    assert error.item() == pytest.approx(optimal_squared_error(SPECTRUM, beta, variance).item(), abs=1e-6)


# Autovalores dos dígitos, nível → (vivos, taxa em nats, erro quadrático)
DIGITS = {0.01: (39, 33.544, 0.4553), 0.05: (18, 10.647, 1.4863), 0.1: (12, 5.479, 2.2106), 0.2: (7, 2.286, 3.1023)}


@pytest.mark.parametrize("level", DIGITS)
def test_on_digits_the_level_decides_how_many_live_the_rate_and_the_error(spectrum, level):
    alive, rate, error = DIGITS[level]
    kl = optimal_kl(spectrum, 1.0, level)
    assert int((kl > 0).sum()) == alive
    assert kl.sum().item() == pytest.approx(rate, abs=6e-4)
    assert optimal_squared_error(spectrum, 1.0, level).item() == pytest.approx(error, abs=6e-5)


def test_only_the_product_of_beta_and_the_variance_counts(spectrum):
    assert torch.allclose(optimal_kl(spectrum, 4.0, 0.05), optimal_kl(spectrum, 1.0, 0.2), atol=1e-12)
    assert optimal_squared_error(spectrum, 4.0, 0.05).item() == pytest.approx(
        optimal_squared_error(spectrum, 1.0, 0.2).item(), abs=1e-12
    )


def test_a_latent_dies_when_the_level_reaches_its_eigenvalue_and_the_rest_do_not_notice():
    before, at = (optimal_kl(SPECTRUM, 1.0, level) for level in (0.08 - 1e-9, 0.08))
    assert (before > 0).tolist() == [True, True, True, False]
    assert (at > 0).tolist() == [True, True, False, False]
    assert torch.allclose(before, at, atol=1e-7)


def test_under_deep_water_nothing_is_sent_and_all_the_variance_is_error():
    assert optimal_kl(SPECTRUM, 1.0, 0.7).tolist() == [0.0] * 4
    assert optimal_squared_error(SPECTRUM, 1.0, 50.0).item() == pytest.approx(SPECTRUM.sum().item(), abs=1e-12)


def test_one_nat_more_costs_two_levels_of_error():
    """A inclinação da curva taxa-distorção: dD/dR = −2βσ² (o que se minimiza é βR + D/2σ²)."""
    step, levels = 1e-6, torch.tensor([0.012, 0.05, 0.2], dtype=torch.float64)
    low, high = levels[:, None] - step, levels[:, None] + step
    rise = optimal_squared_error(SPECTRUM, 1.0, high) - optimal_squared_error(SPECTRUM, 1.0, low)
    fall = optimal_kl(SPECTRUM, 1.0, high).sum(-1) - optimal_kl(SPECTRUM, 1.0, low).sum(-1)
    assert (rise / fall).tolist() == pytest.approx((-2 * levels).tolist(), rel=1e-6)


def test_the_order_of_the_eigenvalues_is_kept():
    shuffled = torch.tensor([2, 0, 3, 1])
    assert torch.equal(optimal_kl(SPECTRUM[shuffled], 2.0, 0.05), optimal_kl(SPECTRUM, 2.0, 0.05)[shuffled])


def test_many_levels_at_once_are_each_one_by_itself():
    variances = torch.tensor([0.01, 0.05, 0.5], dtype=torch.float64)
    kl = optimal_kl(SPECTRUM, 2.0, variances[:, None])
    errors = optimal_squared_error(SPECTRUM, 2.0, variances[:, None])
    assert (kl.shape, errors.shape) == ((3, 4), (3,))
    for i, variance in enumerate(variances.tolist()):
        assert torch.allclose(kl[i], optimal_kl(SPECTRUM, 2.0, variance), atol=1e-12)
        assert errors[i].item() == pytest.approx(optimal_squared_error(SPECTRUM, 2.0, variance).item(), abs=1e-12)
    assert optimal_kl(torch.stack([SPECTRUM, 2 * SPECTRUM]), 2.0, 0.05).shape == (2, 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_result_has_the_precision_of_the_eigenvalues(dtype):
    beta, variance = torch.tensor(2.0, dtype=torch.float64), torch.tensor(0.05, dtype=torch.float32)
    kl = optimal_kl(SPECTRUM.to(dtype), beta, variance)
    error = optimal_squared_error(SPECTRUM.to(dtype), beta, variance)
    assert kl.dtype == error.dtype == dtype
    assert kl.tolist() == pytest.approx([0.5 * math.log(7), 0.5 * math.log(3), 0, 0], abs=1e-6)
    assert error.item() == pytest.approx(0.3, abs=1e-6)


def test_the_closed_forms_have_gradients_in_everything():
    arguments = [SPECTRUM.clone(), torch.tensor(2.0).double(), torch.tensor(0.05).double()]
    for argument in arguments:
        argument.requires_grad_()
    assert torch.autograd.gradcheck(lambda *a: optimal_kl(*a).sum(), arguments)
    assert torch.autograd.gradcheck(optimal_squared_error, arguments)


def test_a_singular_covariance_has_eigenvalues_that_are_zero_only_up_to_rounding():
    rows = random(5, 20, seed=3).float()
    spectrum = torch.linalg.eigvalsh(rows.T @ rows)
    assert spectrum.min() < 0
    assert int((optimal_kl(spectrum, 1.0, 1e-3) > 0).sum()) == 5
    assert optimal_squared_error(spectrum, 1.0, 1e-3).item() == pytest.approx(5e-3, abs=5e-5)


# log p(x)


@pytest.mark.parametrize(("n_columns", "n_latents"), [(1, 1), (3, 0), (4, 2), (5, 8), (64, 20), (784, 20)])
@pytest.mark.parametrize("variance", [0.3, 1e-3, "por coluna"])
def test_the_evidence_is_that_of_the_full_covariance(n_columns, n_latents, variance):
    weight, bias, x = (random(*shape) for shape in ((n_columns, n_latents), (n_columns,), (6, n_columns)))
    if variance == "por coluna":
        variance = random(n_columns, seed=1).exp()
    covariance = weight @ weight.T + torch.as_tensor(variance, dtype=torch.float64).expand(n_columns).diag()
    expected = MultivariateNormal(bias, covariance).log_prob(x)
    assert log_evidence(x, weight, bias, variance).tolist() == pytest.approx(expected.tolist(), rel=1e-9, abs=1e-9)
    if isinstance(variance, float):
        assert torch.allclose(log_evidence(x, weight, bias, torch.tensor(variance).double()), expected, rtol=1e-6)


@pytest.mark.parametrize("variance", [1.0, 1e-2, 1e-4])
def test_float32_is_enough_for_images_on_the_manifold_of_the_decoder(variance):
    """Onde a forma de Woodbury usual subtrairia dois números enormes: x perto do subespaço, σ² pequena."""
    weight, bias = random(784, 20), random(784, seed=1)
    x = bias + random(10, 20, seed=2) @ weight.T + math.sqrt(variance) * random(10, 784, seed=3)
    exact = log_evidence(x, weight, bias, variance)
    single = log_evidence(x.float(), weight.float(), bias.float(), variance)
    assert single.dtype == torch.float32
    assert (single - exact).abs().max() < 0.2  # em 784 colunas: menos de 3·10⁻⁴ nats em cada uma


def test_on_digits_the_best_linear_model_reaches_the_evidence_of_probabilistic_pca(digits):
    """Com os k maiores autovalores e σ² a média dos outros (Tipping e Bishop, 1999)."""
    values, vectors = torch.linalg.eigh(digits.T @ digits / len(digits))
    for k, variance, expected in ((2, 0.0541, 0.006), (10, 0.0228, 17.452), (20, 0.0113, 27.277)):
        rest = values[:-k].mean()
        weight = vectors[:, -k:] * (values[-k:] - rest).sqrt()
        assert rest.item() == pytest.approx(variance, abs=6e-5)
        assert log_evidence(digits, weight, 0.0, rest).mean().item() == pytest.approx(expected, abs=6e-4)


def test_the_vae_of_the_package_with_the_optimal_weights_has_this_rate_and_this_evidence(digits):
    """Com β = 1 e σ = 1, a do pacote, sobre os dígitos multiplicados por √20 (o nível 0,05). Se q é a posterior exata,
    log p(x, z) − log q(z|x) é log p(x), qualquer que seja z."""
    x = digits * 20**0.5
    values, vectors = (part.flip(-1) for part in torch.linalg.eigh(x.T @ x / len(x)))
    alive = int((values > 1).sum())
    scale = (values[:alive] - 1).sqrt()
    model = mlp_vae(64, alive, (), likelihood="gaussian").double()
    (encoder,), (decoder,) = (
        [part for part in half.modules() if isinstance(part, torch.nn.Linear)]
        for half in (model.encoder, model.decoder)
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        encoder.weight[:alive] = (vectors[:, :alive] * scale / values[:alive]).T
        encoder.bias[alive:] = -values[:alive].log()
        decoder.weight.copy_(vectors[:, :alive] * scale)
        rate = kl_divergence(model.encode(x), model.prior).mean(0)
        estimate = iwae_bound(model, x, 1)
    assert alive == 18
    assert rate.tolist() == pytest.approx(optimal_kl(values, 1.0, 1.0)[:alive].tolist(), abs=1e-9)
    assert torch.allclose(estimate, log_evidence(x, decoder.weight.detach(), 0.0, 1.0), atol=1e-9)


def test_the_evidence_does_not_change_when_the_latents_are_rotated():
    weight, x = random(6, 3), random(5, 6, seed=1)
    rotation, _ = torch.linalg.qr(random(3, 3, seed=2))
    assert torch.allclose(log_evidence(x, weight @ rotation, 0.0, 0.1), log_evidence(x, weight, 0.0, 0.1), atol=1e-10)


def test_the_evidence_has_gradients_in_everything():
    arguments = [random(3, 4), random(4, 2, seed=1), random(4, seed=2), random(4, seed=3).exp()]
    assert torch.autograd.gradcheck(log_evidence, [argument.requires_grad_() for argument in arguments])


def test_mixed_precisions_are_computed_in_the_greater_one():
    x, weight, bias = random(3, 4), random(4, 2, seed=1), random(4, seed=2)
    exact = log_evidence(x, weight, bias, 0.1)
    assert torch.allclose(log_evidence(x, weight.float(), bias.float(), torch.tensor(0.1)), exact, atol=1e-4)
    assert log_evidence(x.float(), weight, bias, 0.1).dtype == torch.float64
    assert log_evidence(x[:0], weight, bias, 0.1).shape == (0,)


# O que não serve, e o que fazer

BAD_LEVELS = {
    "zero": ((SPECTRUM, 1.0, 0.0), ValueError, r"noise_variance \(σ².*positivo e finito, mas veio 0"),
    "log": ((SPECTRUM, 1.0, -2.0), ValueError, r"mas veio -2\. .*exponencial"),
    "beta": ((SPECTRUM, 0, 0.1), ValueError, r"beta \(o peso da KL\)"),
    "nan": ((SPECTRUM, math.nan, 0.1), ValueError, "beta .*mas veio nan"),
    "one_of_many": ((SPECTRUM, 1.0, torch.tensor([[0.1], [math.inf]])), ValueError, "noise_variance .*mas veio inf"),
    "text": ((SPECTRUM, "1", 0.1), TypeError, "beta deve ser um número positivo, .*mas veio str"),
    "shape": ((SPECTRUM, 1.0, torch.ones(3)), ValueError, r"\(4,\), mas têm formas \(\) e \(3,\).*\[L, 1\]"),
    "negative": ((-SPECTRUM, 1.0, 0.1), ValueError, r"o menor de eigenvalues é -0\.7.*eigvalsh"),
    "numpy": ((np.ones(3), 1.0, 0.1), TypeError, r"eigenvalues deve ser um tensor .*ndarray.*torch\.from_numpy"),
    "integers": ((torch.tensor([2, 1]), 1.0, 0.1), TypeError, r"float32 ou float64, mas veio torch\.int64.*\.float"),
    "scalar": ((torch.tensor(1.0), 1.0, 0.1), ValueError, r"\[\.\.\., D\].*mas veio \(\)"),
    "empty": ((torch.zeros(0), 1.0, 0.1), ValueError, r"mas veio \(0,\)"),
    "infinite": ((torch.tensor([1.0, math.nan]), 1.0, 0.1), ValueError, "NaN ou infinito em eigenvalues"),
}


@pytest.mark.parametrize("case", BAD_LEVELS)
@pytest.mark.parametrize("function", [optimal_kl, optimal_squared_error])
def test_what_is_no_spectrum_or_level_is_refused_with_what_to_do(function, case):
    arguments, error, message = BAD_LEVELS[case]
    with pytest.raises(error, match=message):
        function(*arguments)


X, WEIGHT, BIAS = random(3, 4), random(4, 2), random(4)
BAD_MODELS = {
    "one_row": ((X[0], WEIGHT, BIAS, 0.1), ValueError, r"x deve ter forma \[B, D\].*\(4,\).*x\[None\]"),
    "transposed": ((X, WEIGHT.T, BIAS, 0.1), ValueError, r"weight deve ter forma \[D, Z\], com D = 4.*weight\.T"),
    "columns": ((X, random(5, 2), BIAS, 0.1), ValueError, r"mas veio \(5, 2\)\.$"),
    "bias": ((X, WEIGHT, BIAS[:2], 0.1), ValueError, r"bias deve ser um número ou ter forma \[D\], com D = 4"),
    "variances": ((X, WEIGHT, BIAS, torch.ones(3)), ValueError, r"noise_variance deve ser um número ou ter forma"),
    "zero": ((X, WEIGHT, BIAS, 0.0), ValueError, "noise_variance .*positivo e finito"),
    "log_var": ((X, WEIGHT, BIAS, torch.full((4,), -1.0)), ValueError, r"mas veio -1\..*exponencial"),
    "diverged": ((X, WEIGHT * math.nan, BIAS, 0.1), ValueError, "NaN ou infinito em weight"),
    "bytes": ((X.to(torch.uint8), WEIGHT, BIAS, 0.1), TypeError, r"x deve ser float32 ou float64.*torch\.uint8"),
    "list": ((X, [[1.0]], BIAS, 0.1), TypeError, r"weight deve ser um tensor \[D, Z\].*mas veio list"),
    "no_bias": ((X, WEIGHT, None, 0.1), TypeError, r"bias deve ser um tensor \[D\] ou um número, mas veio NoneType"),
}


@pytest.mark.parametrize("case", BAD_MODELS)
def test_what_is_no_linear_gaussian_model_is_refused_with_what_to_do(case):
    arguments, error, message = BAD_MODELS[case]
    with pytest.raises(error, match=message):
        log_evidence(*arguments)
