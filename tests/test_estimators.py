"""Os estimadores contra fórmulas fechadas: valor, gradiente e variância do gradiente; e as baselines."""

import math
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import distributions as td

from vae_lessons.distributions import Bernoulli, Normal
from vae_lessons.estimators import exact, gradient_moments, pathwise, score_function

REPEATS = 200_000
ESTIMATORS = [pathwise, score_function]
POINTS = [(1.0, 1.0, -3.0), (1.0, 1.0, 1.0), (-0.5, 0.3, 2.0)]


def normal(mean, std, n=1):
    """n cópias independentes de N(mean, std²), como folhas do grafo: um gradiente por cópia."""
    mean_ = torch.full((n, 1), float(mean), dtype=torch.float64, requires_grad=True)
    log_var = torch.full((n, 1), 2 * math.log(std), dtype=torch.float64, requires_grad=True)
    return Normal(mean_, log_var)


def gradients(estimator, f, q):
    """Um gradiente estimado por cópia, em relação a μ e a σ: [n, 2]. ∂/∂σ = (∂/∂ log σ²) · 2/σ."""
    by_mean, by_log_var = torch.autograd.grad(estimator(f, q).surrogate.sum(), q)
    return torch.cat([by_mean, by_log_var * 2 / torch.exp(0.5 * q.log_var)], dim=1).detach()


def assert_mean_is(samples, mean):
    standard_error = samples.std(0) / math.sqrt(len(samples))
    assert ((samples.mean(0) - torch.as_tensor(mean).double()).abs() <= 4 * standard_error).all()


def assert_moments(samples, mean, variance):
    assert_mean_is(samples, mean)
    assert_mean_is((samples - torch.as_tensor(mean).double()).square(), variance)


def quadratic(k):
    return lambda z: (z - k).square().sum(-1)


def variances_for_the_quadratic(estimator, sigma, d):
    """De um gradiente de uma amostra, em μ e em σ, para f(z) = (z − k)² com d = μ − k."""
    if estimator is pathwise:
        return 4 * sigma**2, 4 * d**2 + 8 * sigma**2
    return (
        d**4 / sigma**2 + 14 * d**2 + 15 * sigma**2,
        2 * d**4 / sigma**2 + 60 * d**2 + 74 * sigma**2,
    )


def moments_for_the_sine(estimator, mu, sigma, omega):
    """Médias e variâncias, em μ e em σ, para f(z) = sen(ωz), com u = (ωσ)², a = e^(−u) e c = cos 2ωμ."""
    u = (omega * sigma) ** 2
    a, c = math.exp(-u), math.cos(2 * omega * mu)
    mean = (
        omega * math.exp(-u / 2) * math.cos(omega * mu),
        -(omega**2) * sigma * math.exp(-u / 2) * math.sin(omega * mu),
    )
    if estimator is pathwise:
        by_mu = omega**2 / 2 * (1 - a) * (1 - a * c)
        by_sigma = omega**2 / 2 * (1 + (1 - 4 * u) * a**2 * c - u * a * (1 - c))
    else:
        by_mu = (1 + (4 * u - 1) * a**2 * c - u * a * (1 + c)) / (2 * sigma**2)
        by_sigma = (1 - (8 * u**2 - 8 * u + 1) * a**2 * c - u**2 * a * (1 - c) / 2) / sigma**2
    return mean, (by_mu, by_sigma)


# Médias e variâncias em forma fechada


@pytest.mark.parametrize(("mu", "sigma", "k"), POINTS)
@pytest.mark.parametrize("n_samples", [1, 4])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_gradient_of_a_quadratic_has_the_closed_form_mean_and_variance(estimator, mu, sigma, k, n_samples):
    """f(z) = (z − k)²: médias 2(μ − k) e 2σ; L amostras dividem toda variância por L."""
    torch.manual_seed(0)
    q = normal(mu, sigma, REPEATS // n_samples)
    estimates = gradients(partial(estimator, n_samples=n_samples), quadratic(k), q)
    variances = torch.tensor(variances_for_the_quadratic(estimator, sigma, mu - k)) / n_samples
    assert_moments(estimates, [2 * (mu - k), 2 * sigma], variances)


@pytest.mark.parametrize(("k", "ratios"), [(-3.0, (123.75, 1546 / 72)), (1.0, (3.75, 9.25))])
def test_pathwise_beats_the_score_function_by_the_stated_factors(k, ratios):
    """Em μ = σ = 1: 124 e 21 vezes com k = −3; 3,75 e 9,25 vezes com k = 1."""
    torch.manual_seed(0)
    variances = [gradients(e, quadratic(k), normal(1, 1, REPEATS)).var(0) for e in ESTIMATORS]
    assert (variances[1] / variances[0]).tolist() == pytest.approx(ratios, rel=0.05)


@pytest.mark.parametrize(("mu", "sigma"), [(0.4, 0.8), (0.0, 1.0), (-1.0, 0.5)])
@pytest.mark.parametrize("omega", [0.3, 1.0, 2.0, 8.0])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_gradient_of_a_sine_has_the_closed_form_mean_and_variance(estimator, mu, sigma, omega):
    torch.manual_seed(0)
    estimates = gradients(estimator, lambda z: (omega * z).sin().sum(-1), normal(mu, sigma, REPEATS))
    assert_moments(estimates, *moments_for_the_sine(estimator, mu, sigma, omega))


def test_score_function_wins_when_f_oscillates_fast():
    """Em μ = 0, σ = 1 e ω = 8: por (ωσ)² = 64 vezes em μ e 32 vezes em σ."""
    torch.manual_seed(0)
    variances = [gradients(e, lambda z: (8 * z).sin().sum(-1), normal(0, 1, REPEATS)).var(0) for e in ESTIMATORS]
    assert (variances[0] / variances[1]).tolist() == pytest.approx([64, 32], rel=0.05)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_value_and_gradient_of_a_function_that_is_not_polynomial(estimator):
    """E[z² + sen z] = φ² + 1 + e^(−½) sen φ, sob N(φ, 1), e a derivada em φ é 2φ + e^(−½) cos φ."""
    torch.manual_seed(0)
    phi = 0.7
    q = normal(phi, 1.0, REPEATS)

    def f(z):
        return (z.square() + z.sin()).sum(-1)

    assert_mean_is(estimator(f, q).value.detach(), phi**2 + 1 + math.exp(-0.5) * math.sin(phi))
    assert_mean_is(gradients(estimator, f, q)[:, 0], 2 * phi + math.exp(-0.5) * math.cos(phi))


@pytest.mark.parametrize("estimator", [*ESTIMATORS, partial(score_function, n_samples=3, baseline="leave_one_out")])
def test_gradient_in_several_dimensions_that_f_mixes(estimator):
    """E[(Σ_j z_j)²] = (Σ μ_j)² + Σ σ_j²: o gradiente em μ_j é 2 Σ μ e em log σ_j² é σ_j²."""
    torch.manual_seed(0)
    q = Normal(torch.tensor([[0.5, -1.0, 2.0]]).double(), torch.tensor([[0.0, -1.0, 0.5]]).double())
    copies = Normal(*(p.repeat(REPEATS // 4, 1).requires_grad_() for p in q))
    surrogate = estimator(lambda z: z.sum(-1).square(), copies).surrogate
    by_mean, by_log_var = torch.autograd.grad(surrogate.sum(), copies)
    assert_mean_is(by_mean, 2 * q.mean.sum().expand(3))
    assert_mean_is(by_log_var, q.log_var[0].exp())


def test_score_function_handles_a_step_and_pathwise_does_not_see_it():
    """f(z) = sinal(z): E = 2Φ(μ/σ) − 1, com derivada 2 N(0; μ, σ²) em μ. Pelo caminho, o gradiente é zero sempre."""
    torch.manual_seed(0)
    mu, sigma = 0.5, 0.8
    q = normal(mu, sigma, REPEATS)

    def f(z):
        return z.sign().sum(-1)

    density = td.Normal(mu, sigma).log_prob(torch.zeros(())).exp().double()
    assert_mean_is(gradients(score_function, f, q), [2 * density, -2 * density * mu / sigma])
    assert (gradients(pathwise, f, q) == 0).all()


@pytest.mark.parametrize(("n_samples", "baseline"), [(1, None), (2, "leave_one_out"), (1, 2.0)])
def test_score_function_of_a_discrete_distribution_matches_enumeration(n_samples, baseline):
    torch.manual_seed(0)
    logits = torch.tensor([[0.3, -1.0, 2.0]], dtype=torch.float64, requires_grad=True)

    def f(z):
        return (z @ torch.tensor([1.0, 2.0, 4.0]).double()).square() / 10

    codes = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * 3)
    expectation = (Bernoulli(logits).log_prob(codes).sum(-1).exp() * f(codes)).sum()
    (expected,) = torch.autograd.grad(expectation, logits)

    copies = Bernoulli(logits.detach().repeat(REPEATS // 4, 1).requires_grad_())
    estimate = score_function(f, copies, n_samples, baseline=baseline)
    assert_mean_is(estimate.value, expectation.detach())
    assert_mean_is(*torch.autograd.grad(estimate.surrogate.sum(), copies), expected[0])


class Laplace(NamedTuple):
    """Outra família de posição e escala, escrita como uma lição a escreveria."""

    mean: torch.Tensor
    log_scale: torch.Tensor

    def rsample(self):
        return self.mean + self.log_scale.exp() * td.Laplace(0.0, 1.0).sample(self.mean.shape).double()

    def sample(self):
        return self.rsample()

    def log_prob(self, value):
        return -math.log(2) - self.log_scale - (value - self.mean).abs() * torch.exp(-self.log_scale)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_any_family_of_the_same_shape_will_do(estimator):
    """Sob Laplace(μ, b), E[z²] = μ² + 2b²: o gradiente em μ é 2μ e em log b é 4b²."""
    torch.manual_seed(0)
    q = Laplace(*(torch.full((1, 1), value).double() for value in (0.7, math.log(0.6))))
    moments = gradient_moments(estimator, quadratic(0), q, repeats=REPEATS)
    for field, expected in (("mean", 2 * 0.7), ("log_scale", 4 * 0.6**2)):
        error = getattr(moments.standard_error, field)
        assert (getattr(moments.mean, field) - expected).abs() <= 4 * error


# Baselines


@pytest.mark.parametrize(("mu", "sigma", "k"), POINTS)
@pytest.mark.parametrize("offset", [0.0, "mean", "best for μ", "best for σ", 30.0])
def test_a_constant_baseline_keeps_the_mean_and_has_the_closed_form_variance(mu, sigma, k, offset):
    """Para (z − k)² a variância é uma parábola em b, com mínimo 8d² + 6σ² em b = d² + 3σ² (μ) e 40d² + 24σ² em
    b = d² + 5σ² (σ): não em b = E[f] = d² + σ²."""
    torch.manual_seed(0)
    d = mu - k
    best_for_mu, best_for_sigma = d**2 + 3 * sigma**2, d**2 + 5 * sigma**2
    named = {"mean": d**2 + sigma**2, "best for μ": best_for_mu, "best for σ": best_for_sigma}
    b = named.get(offset, offset)
    estimates = gradients(partial(score_function, baseline=b), quadratic(k), normal(mu, sigma, REPEATS))
    by_mu = 8 * d**2 + 6 * sigma**2 + (b - best_for_mu) ** 2 / sigma**2
    by_sigma = 40 * d**2 + 24 * sigma**2 + 2 * (b - best_for_sigma) ** 2 / sigma**2
    assert_moments(estimates, [2 * d, 2 * sigma], [by_mu, by_sigma])


@pytest.mark.parametrize(("mu", "sigma", "k"), POINTS)
@pytest.mark.parametrize("n_samples", [2, 5])
def test_leave_one_out_keeps_the_mean_and_has_the_closed_form_variance(mu, sigma, k, n_samples):
    """É a covariância amostral, sem viés, de f e ∇log q; a variância dela é conhecida."""
    torch.manual_seed(0)
    d, others = mu - k, n_samples - 1
    q = normal(mu, sigma, REPEATS // n_samples)
    estimator = partial(score_function, n_samples=n_samples, baseline="leave_one_out")
    by_mu = (8 * d**2 + 10 * sigma**2 + (8 * d**2 + 2 * sigma**2) / others) / n_samples
    by_sigma = (40 * d**2 + 56 * sigma**2 + (8 * d**2 + 8 * sigma**2) / others) / n_samples
    assert_moments(gradients(estimator, quadratic(k), q), [2 * d, 2 * sigma], [by_mu, by_sigma])


def test_leave_one_out_ignores_a_constant_added_to_f_and_no_baseline_suffers_from_it():
    variances = []
    for baseline in ("leave_one_out", None):
        for offset in (0.0, 100.0):
            torch.manual_seed(0)
            estimator = partial(score_function, n_samples=4, baseline=baseline)
            f = quadratic(1)
            estimates = gradients(estimator, lambda z, f=f, offset=offset: f(z) + offset, normal(1, 1, 20_000))
            assert_mean_is(estimates, [0.0, 2.0])
            variances.append(estimates.var(0))
    torch.testing.assert_close(variances[0], variances[1])
    assert (variances[3] > 100 * variances[2]).all()


def test_every_way_to_give_a_baseline_means_the_same():
    """Número, escalar, um valor para cada exemplo, ou uma função de q que devolve um deles."""
    estimates = []
    for baseline in (
        17.0,
        np.float32(17.0),
        torch.tensor(17.0),
        torch.full((6,), 17.0),
        lambda q: 17.0,
        lambda q: q.mean[:, 0] + 16,
    ):
        torch.manual_seed(0)
        estimates.append(
            gradients(partial(score_function, n_samples=3, baseline=baseline), quadratic(-3), normal(1, 1, 6))
        )
    for other in estimates[1:]:
        torch.testing.assert_close(other, estimates[0])


def test_a_baseline_per_example_is_subtracted_from_its_own_example():
    """Com b = f(z) em todo z, o gradiente é zero; com f constante por exemplo isso se consegue exatamente."""
    levels = torch.tensor([1.0, 20.0, -3.0]).double()
    q = normal(0, 1, 3)
    estimator = partial(score_function, n_samples=5, baseline=levels)
    assert (gradients(estimator, lambda z: 0 * z.sum(-1) + levels, q) == 0).all()


def test_a_baseline_gets_no_gradient_and_gives_none():
    network = torch.nn.Linear(1, 1).double()
    q = normal(0.3, 1, 4)
    results = []
    for baseline in (lambda q: network(q.mean).squeeze(-1), network(q.mean).squeeze(-1).detach()):
        torch.manual_seed(0)
        surrogate = score_function(quadratic(2), q, 2, baseline=baseline).surrogate
        parameters = [*q, *network.parameters()]
        results.append(torch.autograd.grad(surrogate.sum(), parameters, allow_unused=True))
    assert all(gradient is None for result in results for gradient in result[2:])
    assert torch.equal(results[0][0], results[1][0])


# O substituto


@pytest.mark.parametrize("estimator", [*ESTIMATORS, partial(score_function, baseline="leave_one_out")])
def test_surrogate_has_the_value_of_the_estimate(estimator):
    estimate = estimator(quadratic(-3), normal(1, 2, 50), 4)
    assert estimate.value.shape == estimate.surrogate.shape == (50,)
    torch.testing.assert_close(estimate.surrogate, estimate.value)
    assert len(estimate.value.unique()) == 50


@pytest.mark.parametrize("baseline", [None, 7.0, "leave_one_out"])
def test_parameters_of_f_get_their_own_gradient_whatever_the_baseline(baseline):
    """f(z) = θ z²: ∂/∂θ do substituto é a média de z² nas mesmas amostras."""
    theta = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    seen = []

    def f(z):
        seen.append(z)
        return theta * z.square().sum(-1)

    surrogate = score_function(f, normal(0.4, 1, 8), 3, baseline=baseline).surrogate
    (by_theta,) = torch.autograd.grad(surrogate.sum(), theta)
    torch.testing.assert_close(by_theta, seen[0].square().sum(-1).mean(0).sum())


def test_score_function_never_differentiates_f_in_z():
    seen = []

    def f(z):
        seen.append(z.requires_grad)
        return z.sum(-1)

    score_function(f, normal(0, 1, 4), 3)
    score_function(f, Laplace(*normal(0, 1, 4)), 3)
    assert seen == [False, False]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_estimate_is_the_mean_over_independent_samples(estimator):
    """f vê as L amostras de uma vez, [L, B, Z], todas diferentes; o valor é a média delas, [B]."""
    seen = []

    def f(z):
        seen.append(z)
        return z.sum(-1)

    q = Normal(torch.zeros(4, 3), torch.zeros(4, 3))
    estimate = estimator(f, q, 6)
    assert seen[0].shape == (6, 4, 3)
    assert len(seen[0].flatten().unique()) == 6 * 4 * 3
    assert estimate.value.shape == estimate.surrogate.shape == (4,)
    torch.testing.assert_close(estimate.value, seen[0].sum(-1).mean(0))


# Quadratura


@pytest.mark.parametrize(
    ("f", "closed_form"),
    [
        (lambda z: z.square() + z.sin(), lambda m, v: m**2 + v + (-v / 2).exp() * m.sin()),
        (lambda z: z.pow(4), lambda m, v: m**4 + 6 * m**2 * v + 3 * v**2),
        (lambda z: z.exp(), lambda m, v: (m + v / 2).exp()),
        (lambda z: (20 * z).cos(), lambda m, v: (-200 * v).exp() * (20 * m).cos()),
    ],
)
def test_quadrature_matches_closed_forms_to_ten_digits(f, closed_form):
    """O valor e o gradiente em μ e em log σ², para várias normais de uma vez."""
    mean = torch.tensor([[0.7], [-2.0], [0.0]], dtype=torch.float64, requires_grad=True)
    log_var = torch.tensor([[0.0], [-3.0], [0.8]], dtype=torch.float64, requires_grad=True)
    estimate = exact(lambda z: f(z).sum(-1), Normal(mean, log_var))
    expected = closed_form(mean, log_var.exp()).squeeze(-1)
    torch.testing.assert_close(estimate.value, expected, rtol=1e-10, atol=1e-10)
    measured, right = (torch.autograd.grad(y.sum(), (mean, log_var)) for y in (estimate.surrogate, expected))
    torch.testing.assert_close(measured, right, rtol=1e-10, atol=1e-10)


def test_quadrature_survives_an_oscillation_of_fifty_radians_per_standard_deviation():
    value = exact(lambda z: (50 * z).cos().sum(-1), normal(0, 1)).value
    assert value.abs().item() < 1e-10


def test_quadrature_in_single_precision_is_right_to_single_precision():
    q = Normal(torch.tensor([[0.7]]), torch.zeros(1, 1))
    value = exact(quadratic(0), q).value
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, torch.tensor([1.49]), rtol=1e-6, atol=0)


def test_quadrature_has_no_samples_so_their_number_and_the_seed_change_nothing():
    q = normal(0.3, 2, 4)
    assert torch.equal(exact(quadratic(1), q).value, exact(quadratic(1), q, 7).value)


# Momentos do gradiente


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_moments_match_the_closed_form_within_their_own_errors(estimator):
    torch.manual_seed(0)
    mu, sigma, k = 1.0, 0.7, -1.0
    q = Normal(torch.full((1, 1), mu).double(), torch.full((1, 1), 2 * math.log(sigma)).double())
    moments = gradient_moments(estimator, quadratic(k), q, repeats=REPEATS)
    by_mu, by_sigma = variances_for_the_quadratic(estimator, sigma, mu - k)
    means = Normal(2 * (mu - k), 2 * sigma * sigma / 2)
    variances = Normal(by_mu, by_sigma * sigma**2 / 4)
    for field in Normal._fields:
        mean, variance, error, variance_error = (getattr(moment, field) for moment in moments)
        assert (mean - getattr(means, field)).abs() <= 4 * error
        assert (variance - getattr(variances, field)).abs() <= 4 * variance_error
        assert error.item() == pytest.approx(math.sqrt(getattr(variances, field) / REPEATS), rel=0.05)


def test_standard_errors_are_the_spread_of_what_they_qualify():
    """Repetida a medida 400 vezes, a média e a variância medidas se espalham como seus erros-padrão dizem."""
    torch.manual_seed(0)
    q = Normal(torch.zeros(400, 1).double(), torch.zeros(400, 1).double())
    moments = gradient_moments(pathwise, quadratic(-1), q, repeats=500)
    for value, error in ((0, 2), (1, 3)):
        for spread, stated in zip(moments[value], moments[error], strict=True):
            assert (spread.std() / stated.mean()).item() == pytest.approx(1, rel=0.15)


def test_moments_are_per_example_and_per_dimension():
    """Sob f(z) = Σ_j (z_j − x_j)², com um x por exemplo, a média em μ_j é 2 (μ_j − x_j) e a variância é 4σ_j²."""
    torch.manual_seed(0)
    q = Normal(torch.randn(3, 2).double().requires_grad_(), torch.randn(3, 2).double().requires_grad_())
    x = torch.randn(3, 2).double()
    moments = gradient_moments(pathwise, lambda z: (z - x).square().sum(-1), q, repeats=20_000)
    assert isinstance(moments.mean, Normal)
    assert ((moments.mean.mean - 2 * (q.mean - x)).abs() <= 4 * moments.standard_error.mean).all()
    assert ((moments.variance.mean - 4 * q.log_var.exp()).abs() <= 4 * moments.variance_standard_error.mean).all()
    assert q.mean.grad is None
    assert not any(field.requires_grad for moment in moments for field in moment)


@pytest.mark.parametrize("chunk", [1, 7, 30, 10**6])
def test_moments_use_every_repeat_whatever_the_chunk(chunk):
    """Os momentos são os de exatamente `repeats` gradientes: aqui, os números 0, 1, …, 9 em cada exemplo."""
    q = normal(0, 1, 3)
    drawn = iter(range(1000))

    def numbered(f, q):
        assert q.mean.shape[:2].numel() <= max(chunk, 3)
        numbers = torch.tensor([next(drawn) for _ in range(len(q.mean))]).double()
        return pathwise(lambda z: numbers[:, None] * z.sum(-1), q)

    moments = gradient_moments(numbered, quadratic(0), q, repeats=10, chunk=chunk)
    assert moments.mean.mean.flatten().tolist() == pytest.approx([4.5] * 3)
    assert moments.variance.mean.flatten().tolist() == pytest.approx([55 / 6] * 3)


def test_exact_gradients_have_no_variance():
    moments = gradient_moments(exact, quadratic(-3), normal(1, 1, 2), repeats=5)
    torch.testing.assert_close(moments.mean.mean, torch.full((2, 1), 8.0).double())
    torch.testing.assert_close(moments.variance, Normal(*[torch.zeros(2, 1).double()] * 2))


def test_gradient_of_what_does_not_depend_on_z_is_zero():
    theta = torch.ones((), dtype=torch.float64, requires_grad=True)
    moments = gradient_moments(pathwise, lambda z: theta.expand(z.shape[:-1]), normal(0, 1), repeats=2)
    assert moments.mean == moments.variance == Normal(torch.zeros(1, 1), torch.zeros(1, 1))


def test_options_of_the_estimator_reach_the_moments():
    """Quatro amostras, um quarto da variância; e uma baseline por exemplo serve a todas as repetições."""
    torch.manual_seed(0)
    q = normal(1, 1, 2)
    b = quadratic(-3)(q.mean).detach() + 3
    one, four, helped = (
        gradient_moments(partial(score_function, **options), quadratic(-3), q, repeats=50_000).variance.mean
        for options in ({}, {"n_samples": 4}, {"baseline": b})
    )
    torch.testing.assert_close(one / four, torch.full((2, 1), 4.0).double(), rtol=0.1, atol=0)
    torch.testing.assert_close(helped, torch.full((2, 1), 8 * 16 + 6.0).double(), rtol=0.1, atol=0)


# Entradas erradas


@pytest.mark.parametrize("n_samples", [0, -1])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_fewer_than_one_sample_is_refused(estimator, n_samples):
    with pytest.raises(ValueError, match=f"n_samples deve ser ao menos 1.*{n_samples}"):
        estimator(lambda z: z.sum(-1), normal(0, 1), n_samples)


def test_a_distribution_without_rsample_is_refused():
    with pytest.raises(TypeError, match="Bernoulli não tem `rsample`"):
        pathwise(lambda z: z.sum(-1), Bernoulli(torch.zeros(4, 3)))


@pytest.mark.parametrize("q", [None, "normal", torch.zeros(4, 1)], ids=str)
def test_what_is_not_a_distribution_is_refused(q):
    with pytest.raises(TypeError, match="não tem `rsample`"):
        pathwise(lambda z: z.sum(-1), q)
    with pytest.raises(TypeError, match=r"q deve ser uma distribuição, com log_prob e sample ou rsample"):
        score_function(lambda z: z.sum(-1), q)


def test_moments_are_for_a_tuple_of_parameters():
    with pytest.raises(TypeError, match=r"q deve ser uma NamedTuple de parâmetros, como Normal\(mean, log_var\)"):
        gradient_moments(pathwise, lambda z: z.sum(-1), td.Normal(torch.zeros(4, 1), 1.0), repeats=2)


@pytest.mark.parametrize("f", [lambda z: z, lambda z: z.sum(), lambda z: z.mean(1), lambda z: 3.0])
@pytest.mark.parametrize("estimator", [*ESTIMATORS, exact])
def test_f_must_give_one_value_per_sample_and_example(estimator, f):
    with pytest.raises(ValueError, match=r"f deve levar z \[..., Z\] a \[...\].*\.sum\(-1\)"):
        estimator(f, normal(0, 1, 5))


def test_an_unknown_baseline_is_refused():
    with pytest.raises(ValueError, match=r"\(baseline\) desconhecida: 'media'.*leave_one_out"):
        score_function(quadratic(0), normal(0, 1), baseline="media")


@pytest.mark.parametrize("baseline", [[1.0, 2.0], lambda q: "leave_one_out"])
def test_a_baseline_of_another_type_is_refused(baseline):
    with pytest.raises(TypeError, match=r"\(baseline\) deve ser None"):
        score_function(quadratic(0), normal(0, 1), baseline=baseline)


@pytest.mark.parametrize("shape", [(5, 1), (3, 5), (3,), (1,), (1, 5)])
@pytest.mark.parametrize("wrap", [lambda b: b, lambda b: lambda q: b], ids=["tensor", "function"])
def test_a_baseline_that_is_not_one_value_per_example_is_refused(shape, wrap):
    with pytest.raises(ValueError, match=r"um valor para cada exemplo, de forma \(5,\), mas tem forma"):
        score_function(quadratic(0), normal(0, 1, 5), 3, baseline=wrap(torch.zeros(shape)))


def test_leave_one_out_needs_another_sample():
    with pytest.raises(ValueError, match="peça n_samples ≥ 2, e não 1"):
        score_function(quadratic(0), normal(0, 1), baseline="leave_one_out")


def test_quadrature_is_for_one_dimension():
    with pytest.raises(ValueError, match=r"Z = 1\), mas .* Z = 3.*pathwise ou score_function"):
        exact(quadratic(0), Normal(torch.zeros(2, 3), torch.zeros(2, 3)))


def test_quadrature_is_for_a_normal():
    with pytest.raises(TypeError, match=r"exact enumera uma Categorical ou integra uma Normal .* mas q é Bernoulli"):
        exact(quadratic(0), Bernoulli(torch.zeros(2, 1)))


def test_moments_need_two_repeats_and_a_chunk():
    with pytest.raises(ValueError, match=r"repeats deve ser ao menos 2, .* mas veio 1"):
        gradient_moments(pathwise, quadratic(0), normal(0, 1), repeats=1)
    with pytest.raises(ValueError, match=r"chunk deve ser ao menos 1 .* mas veio 0"):
        gradient_moments(pathwise, quadratic(0), normal(0, 1), repeats=2, chunk=0)


def test_moments_say_that_f_cuts_the_path():
    with pytest.raises(ValueError, match=r"Nenhum gradiente chega aos parâmetros de q.*score_function"):
        gradient_moments(pathwise, lambda z: (z > 0).double().sum(-1), normal(0, 1), repeats=2)
