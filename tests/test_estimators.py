"""O gradiente pelo caminho contra fórmulas fechadas: o valor, o gradiente e a variância dele."""

import math

import pytest
import torch

from vae_lessons.distributions import Bernoulli, Normal
from vae_lessons.estimators import pathwise

REPEATS = 50_000


def normal(mean, std, n=1):
    """n cópias independentes de N(mean, std²), como folhas do grafo: um gradiente por cópia."""
    mean_ = torch.full((n, 1), float(mean), dtype=torch.float64, requires_grad=True)
    log_var = torch.full((n, 1), 2 * math.log(std), dtype=torch.float64, requires_grad=True)
    return Normal(mean_, log_var)


def gradients(f, q, n_samples=1):
    """Um gradiente estimado por cópia, em relação a μ e a σ: [n, 2]. ∂/∂σ = (∂/∂ log σ²) · 2/σ."""
    estimate = pathwise(f, q, n_samples)
    by_mean, by_log_var = torch.autograd.grad(estimate.surrogate.sum(), q)
    return torch.cat([by_mean, by_log_var * 2 / torch.exp(0.5 * q.log_var)], dim=1).detach()


def assert_moments(samples, mean, variance):
    n = len(samples)
    mean, variance = torch.as_tensor(mean).double(), torch.as_tensor(variance).double()
    assert ((samples.mean(0) - mean).abs() <= 4 * samples.std(0) / math.sqrt(n)).all()
    squares = (samples - mean).square()
    assert ((squares.mean(0) - variance).abs() <= 4 * squares.std(0) / math.sqrt(n)).all()


@pytest.mark.parametrize(("mu", "sigma", "k"), [(1.0, 1.0, -3.0), (1.0, 1.0, 1.0), (-0.5, 0.3, 2.0)])
@pytest.mark.parametrize("n_samples", [1, 4])
def test_gradient_of_a_quadratic_has_the_closed_form_mean_and_variance(mu, sigma, k, n_samples):
    """f(z) = (z − k)², d = μ − k: médias 2d e 2σ; variâncias 4σ²/L e (4d² + 8σ²)/L."""
    torch.manual_seed(0)
    d = mu - k
    estimates = gradients(lambda z: (z - k).square().sum(-1), normal(mu, sigma, REPEATS), n_samples)
    variance = torch.tensor([4 * sigma**2, 4 * d**2 + 8 * sigma**2]) / n_samples
    assert_moments(estimates, [2 * d, 2 * sigma], variance)


def test_value_and_gradient_of_a_function_that_is_not_polynomial():
    """E[z² + sen z] = φ² + 1 + e^(−½) sen φ, sob N(φ, 1), e a derivada em φ é 2φ + e^(−½) cos φ."""
    torch.manual_seed(0)
    phi = 0.7
    q = normal(phi, 1.0, REPEATS)

    def f(z):
        return (z.square() + z.sin()).sum(-1)

    values = pathwise(f, q).value.detach()
    expected = phi**2 + 1 + math.exp(-0.5) * math.sin(phi)
    assert abs(values.mean() - expected) <= 4 * values.std() / math.sqrt(REPEATS)
    slope = gradients(f, q)[:, 0]
    assert abs(slope.mean() - (2 * phi + math.exp(-0.5) * math.cos(phi))) <= 4 * slope.std() / math.sqrt(REPEATS)


def test_estimate_is_the_mean_over_independent_samples():
    """f vê as L amostras de uma vez, [L, B, Z], todas diferentes; o valor é a média delas, [B]."""
    seen = []

    def f(z):
        seen.append(z)
        return z.sum(-1)

    q = Normal(torch.zeros(4, 3), torch.zeros(4, 3))
    estimate = pathwise(f, q, 6)
    assert seen[0].shape == (6, 4, 3)
    assert len(seen[0].flatten().unique()) == 6 * 4 * 3
    assert estimate.value.shape == estimate.surrogate.shape == (4,)
    torch.testing.assert_close(estimate.value, seen[0].sum(-1).mean(0))


@pytest.mark.parametrize("n_samples", [0, -1])
def test_fewer_than_one_sample_is_refused(n_samples):
    with pytest.raises(ValueError, match=f"n_samples deve ser ao menos 1.*{n_samples}"):
        pathwise(lambda z: z.sum(-1), normal(0, 1), n_samples)


def test_a_distribution_without_rsample_is_refused():
    with pytest.raises(TypeError, match="Bernoulli não tem `rsample`"):
        pathwise(lambda z: z.sum(-1), Bernoulli(torch.zeros(4, 3)))
