"""Gama, Beta e Dirichlet contra o scipy, a quadratura, as diferenças finitas da acumulada e as próprias amostras."""

import math

import pytest
import torch
from scipy import stats
from torch import distributions as td
from torch.func import vmap
from toys import assert_mean_is

from vae_lessons.distributions import Beta, Dirichlet, Gamma, copies, draws, kl_divergence, unvalidated
from vae_lessons.estimators import gradient_moments, pathwise, score_function

N_SAMPLES = 50_000
DTYPES = [(torch.float32, 3e-5), (torch.float64, 1e-9)]
CONCENTRATIONS = (0.01, 0.3, 1.0, 2.0, 9.9, 10.1, 100.0, 1e4)


def gamma(a, r=1.0, *, dtype=torch.float64):
    return Gamma(torch.tensor(a, dtype=dtype), torch.tensor(r, dtype=dtype))


def beta(a, b, *, dtype=torch.float64):
    return Beta(torch.tensor(a, dtype=dtype), torch.tensor(b, dtype=dtype))


def dirichlet(*alpha, dtype=torch.float64):
    return Dirichlet(torch.tensor(alpha, dtype=dtype))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def with_gradient(q):
    return type(q)(*(parameter.clone().requires_grad_() for parameter in q))


# Densidades


@pytest.mark.parametrize(("dtype", "atol"), DTYPES)
@pytest.mark.parametrize("a", CONCENTRATIONS)
def test_log_densities_are_those_of_scipy_also_with_large_concentrations(a, dtype, atol):
    """Com a = 1e4, a soma dos termos da fórmula usual erra milésimos de nat em float32."""
    q, r = gamma(a, 2.5, dtype=dtype), beta(a, 3 * a, dtype=dtype)
    z, w = copies(q, 200).sample(generator()), copies(r, 200).sample(generator())
    of_z = stats.gamma.logpdf(z.double(), q.concentration.double(), scale=1 / 2.5)
    of_w = stats.beta.logpdf(w.double(), *(parameter.double() for parameter in r))
    torch.testing.assert_close(q.log_prob(z).double(), torch.from_numpy(of_z), rtol=2e-6, atol=atol)
    torch.testing.assert_close(r.log_prob(w).double(), torch.from_numpy(of_w), rtol=2e-6, atol=atol)


@pytest.mark.parametrize("scale", [0.3, 1.0, 20.0, 1000.0])
def test_the_dirichlet_density_is_that_of_scipy(scale):
    alpha = scale * torch.tensor([0.5, 1.0, 3.0, 0.1], dtype=torch.float64)
    theta = copies(Dirichlet(alpha), 20).sample(generator())
    expected = [stats.dirichlet.logpdf((each / each.sum()).numpy(), alpha.numpy()) for each in theta]
    torch.testing.assert_close(Dirichlet(alpha).log_prob(theta), torch.tensor(expected).double(), rtol=1e-9, atol=1e-9)


def test_rounding_off_the_simplex_does_not_multiply_the_concentration():
    """A fórmula usual somaria Σα · 1e-6 = 0,08 nat."""
    alpha = torch.tensor([1e4, 2e4, 5e4], dtype=torch.float64)
    theta = alpha / alpha.sum()
    rounded = (theta * (1 + 1e-6)).requires_grad_()
    log_prob = Dirichlet(alpha).log_prob(rounded)
    torch.testing.assert_close(log_prob.detach(), Dirichlet(alpha).log_prob(theta), rtol=0, atol=1e-5)
    (gradient,) = torch.autograd.grad(log_prob, rounded)
    torch.testing.assert_close(gradient, ((alpha - 1) / rounded).detach())


def test_gradients_of_the_log_densities_are_right():
    z = torch.tensor([0.2, 0.7, 0.9], dtype=torch.float64, requires_grad=True)
    a = torch.tensor([0.4, 3.0, 40.0], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([2.0, 30.0, 0.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, b, z: Gamma(a, b).log_prob(z), (a, b, z))
    assert torch.autograd.gradcheck(lambda a, b, z: Beta(a, b).log_prob(z), (a, b, z))
    assert torch.autograd.gradcheck(lambda a, z: Dirichlet(a).log_prob(torch.softmax(z, -1)), (a, z))


def test_what_cannot_happen_has_log_density_minus_infinity():
    assert gamma([1.0, 2.0], [1.0, 1.0]).log_prob(torch.tensor([-1.0, -0.1])).tolist() == [-math.inf] * 2
    assert beta(2.0, 3.0).log_prob(torch.tensor([-0.1, 0.0, 1.0, 1.1])).tolist() == [-math.inf] * 4
    off_the_simplex = torch.tensor([[0.5, 0.6], [-0.1, 1.1]]).double()
    assert dirichlet(1.0, 2.0).log_prob(off_the_simplex).tolist() == [-math.inf] * 2
    assert gamma([1.0, 0.5], [2.0, 2.0]).log_prob(torch.zeros(2)).tolist() == pytest.approx([math.log(2), math.inf])


# Amostras

FAMILIES = [gamma(0.3, 2.0), gamma(7.0, 0.5), beta(0.3, 5.0), beta(20.0, 20.0), dirichlet(0.5, 1.0, 3.0)]


@pytest.mark.parametrize("q", FAMILIES, ids=str)
def test_samples_have_the_mean_of_the_distribution(q):
    assert_mean_is(draws(q, N_SAMPLES, generator()), q.mean)


@pytest.mark.parametrize(
    ("q", "reference"),
    [(gamma(a, 2.0), stats.gamma(a, scale=0.5)) for a in (0.05, 0.7, 1.0, 30.0)]
    + [(beta(a, b), stats.beta(a, b)) for a, b in ((0.3, 0.3), (0.3, 20.0), (20.0, 5.0))],
)
def test_samples_follow_the_cumulative_distribution_of_scipy(q, reference):
    samples = draws(q, N_SAMPLES, generator(1))
    assert stats.kstest(samples.numpy(), reference.cdf).pvalue > 1e-4


@pytest.mark.parametrize("q", FAMILIES, ids=str)
def test_samples_are_repeatable_leave_the_global_generator_alone_and_carry_no_gradient(q):
    q, state = with_gradient(q), torch.get_rng_state()
    first, second = q.sample(generator(7)), q.sample(generator(7))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)
    assert not first.requires_grad
    assert not torch.equal(first, q.sample())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_near_the_boundary_samples_log_densities_and_gradients_stay_finite(dtype):
    """Uma gama de concentração 0,01 vale menos que 1e-38 em 40 % das amostras, e uma Beta (0,01; 0,01), 0 ou 1 quase
    sempre."""
    for q in (gamma(0.01, 30.0, dtype=dtype), beta(0.01, 0.01, dtype=dtype), dirichlet(1e-3, 1e-3, 0.5, dtype=dtype)):
        q = with_gradient(q)
        z = copies(q, 2000).rsample()
        assert (z > 0).all()
        assert not isinstance(q, Beta) or (z < 1).all()
        log_prob = q.log_prob(z)
        for gradient in (*torch.autograd.grad(z.sum(), q, retain_graph=True), *torch.autograd.grad(log_prob.sum(), q)):
            assert gradient.isfinite().all()
        assert log_prob.isfinite().all()


def test_parameters_that_broadcast_give_independent_draws():
    one, many = torch.tensor(2.0), torch.full((5,), 3.0)
    for q in (Gamma(one, many), Gamma(many, one), Beta(one, many), Beta(many, one)):
        assert q.sample().unique().numel() == q.rsample().unique().numel() == 5
        assert q.log_prob(q.mean).shape == (5,)


# O gradiente implícito


def slope_of_cdf(cdf, parameter, step=1e-4):
    """∂F/∂φ por diferença central, com passo relativo."""
    return (cdf(parameter * (1 + step)) - cdf(parameter * (1 - step))) / (2 * step * parameter)


@pytest.mark.parametrize("a", [0.3, 1.0, 2.0, 5.0, 20.0])
def test_the_gradient_of_a_gamma_is_minus_the_slope_of_its_cdf_over_its_density(a):
    """∂z/∂a = −(∂F/∂a)(z) / p(z), nos 99,8 % centrais, e ∂z/∂r = −z/r."""
    r = 2.0
    g = torch.from_numpy(stats.gamma(a).ppf(torch.linspace(0.001, 0.999, 41).double()))
    q = with_gradient(copies(gamma(a, r), 41))
    z = q.rsample(g)
    by_a, by_r = torch.autograd.grad(z.sum(), q)
    expected = -slope_of_cdf(lambda a: stats.gamma.cdf(g, a), a) / stats.gamma.pdf(g, a) / r
    torch.testing.assert_close(by_a, torch.from_numpy(expected), rtol=1e-3, atol=1e-7)
    torch.testing.assert_close(by_r, -z.detach() / r)


@pytest.mark.parametrize(("a", "b"), [(0.3, 0.3), (0.3, 20.0), (2.0, 5.0), (20.0, 20.0)])
def test_the_gradients_of_a_beta_are_minus_the_slopes_of_its_cdf_over_its_density(a, b):
    z = torch.from_numpy(stats.beta(a, b).ppf(torch.linspace(0.01, 0.99, 41).double()))
    q = with_gradient(copies(beta(a, b), 41))
    by_a, by_b = torch.autograd.grad(q.rsample(z).sum(), q)
    density = stats.beta.pdf(z, a, b)
    slopes = slope_of_cdf(lambda a: stats.beta.cdf(z, a, b), a), slope_of_cdf(lambda b: stats.beta.cdf(z, a, b), b)
    for got, slope in zip((by_a, by_b), slopes, strict=True):
        torch.testing.assert_close(got, torch.from_numpy(-slope / density), rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("a", [0.3, 1.0, 5.0, 20.0])
def test_the_mean_gradient_of_a_gamma_is_that_of_its_mean(a):
    """E[∂z/∂a] = 1 e E[∂ log z/∂a] = ψ′(a)."""
    moments = gradient_moments(pathwise, lambda z: z.sum(-1), gamma([[a]], [[1.0]]), repeats=N_SAMPLES)
    of_log = gradient_moments(pathwise, lambda z: z.log().sum(-1), gamma([[a]], [[1.0]]), repeats=N_SAMPLES)
    for found, expected in ((moments, 1.0), (of_log, torch.polygamma(1, torch.tensor(a)).item())):
        error = (found.mean.concentration - expected).abs()
        assert error <= 4 * found.standard_error.concentration + 1e-3 * expected


@pytest.mark.parametrize("a", [1.0, 5.0])
def test_the_variance_of_the_score_function_is_the_closed_form_and_pathwise_varies_less(a):
    """Var[z ∂ log q/∂a] = a(a + 1) [ψ′(a + 2) + (1/a + 1/(a + 1))²] − 1."""
    q, f = gamma([[a]], [[1.0]]), lambda z: z.sum(-1)
    score = gradient_moments(score_function, f, q, repeats=N_SAMPLES)
    trigamma = torch.polygamma(1, torch.tensor(a + 2.0)).item()
    expected = a * (a + 1) * (trigamma + (1 / a + 1 / (a + 1)) ** 2) - 1
    error = (score.variance.concentration - expected).abs()
    assert error <= 4 * score.variance_standard_error.concentration
    smooth = gradient_moments(pathwise, f, q, repeats=N_SAMPLES)
    assert smooth.variance.concentration * 10 < expected


def test_the_mean_gradient_of_a_dirichlet_is_that_of_its_mean():
    """∂E[θ_i]/∂α_j = (δ_ij α₀ − α_i) / α₀²."""
    alpha = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
    total = alpha.sum()
    for i in range(3):
        leaf = alpha.expand(N_SAMPLES, 3).clone().requires_grad_()
        (gradient,) = torch.autograd.grad(Dirichlet(leaf).rsample()[:, i].sum(), leaf)
        assert_mean_is(gradient, (torch.eye(3, dtype=torch.float64)[i] * total - alpha[i]) / total**2)


def test_the_gradient_of_a_dirichlet_stays_in_the_simplex():
    leaf = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64).expand(100, 3).clone().requires_grad_()
    (gradient,) = torch.autograd.grad(Dirichlet(leaf).rsample().sum(), leaf)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-12)


def test_a_second_derivative_is_refused():
    q = with_gradient(gamma(2.0, 1.0))
    (gradient,) = torch.autograd.grad(q.rsample() ** 2, q.concentration, create_graph=True)
    with pytest.raises(NotImplementedError, match="não tem segunda derivada"):
        torch.autograd.grad(gradient, q.concentration)


# KL

PAIRS = [
    (gamma([0.5, 3.0], [1.0, 2.0]), gamma([1.0, 2.0], [2.0, 0.3])),
    (beta([0.5, 3.0], [1.0, 20.0]), beta([1.0, 2.0], [1.0, 0.3])),
    (dirichlet(0.5, 1.0, 3.0), dirichlet(1.0, 20.0, 0.1)),
]


def as_torch(q):
    return getattr(td, type(q).__name__)(*q)


@pytest.mark.parametrize(("q", "p"), PAIRS, ids=str)
def test_kl_is_that_of_torch_and_zero_between_equals(q, p):
    torch.testing.assert_close(kl_divergence(q, p), td.kl_divergence(as_torch(q), as_torch(p)))
    torch.testing.assert_close(kl_divergence(as_torch(q), p), kl_divergence(q, p))
    assert kl_divergence(q, q).abs().max() < 1e-14
    assert (kl_divergence(q, p) > 0).all()


@pytest.mark.parametrize(("q", "p"), PAIRS[:2], ids=str)
def test_kl_is_the_integral_of_its_definition(q, p):
    u = torch.linspace(-60, 60, 60_001, dtype=torch.float64)[:, None]
    z, weight = (u.exp(), u.exp()) if isinstance(q, Gamma) else (u.sigmoid(), u.sigmoid() * (-u).sigmoid())
    log_q = q.log_prob(z)
    integrand = torch.where(log_q > -600, log_q.exp() * (log_q - p.log_prob(z)) * weight, 0.0)
    torch.testing.assert_close(torch.trapezoid(integrand, u, dim=0), kl_divergence(q, p), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("q", "p"), PAIRS, ids=str)
def test_the_gradient_of_the_kl_is_right(q, p):
    parameters = [parameter.clone().requires_grad_() for parameter in (*q, *p)]
    n = len(q)
    assert torch.autograd.gradcheck(
        lambda *all: kl_divergence(type(q)(*all[:n]), type(p)(*all[n:])), parameters, atol=1e-6
    )


def test_kl_keeps_its_digits_where_the_usual_formula_loses_them():
    """Entre gamas de concentração 1e4, log Γ vale 8e4 nats e a KL, 2: em float32 a fórmula erra na terceira casa."""
    q, p = (gamma(1e4, 1e4), gamma(1.01e4, 9.9e3))
    exact = td.kl_divergence(as_torch(q), as_torch(p)).item()
    narrow = kl_divergence(Gamma(*(x.float() for x in q)), Gamma(*(x.float() for x in p))).item()
    assert narrow == pytest.approx(exact, abs=1e-5)


def test_kl_of_a_dirichlet_is_one_number_for_each_simplex():
    alpha = torch.rand(5, 4, 3) + 0.5
    assert kl_divergence(Dirichlet(alpha), Dirichlet(torch.ones(3))).shape == (5, 4)


# Recusas


@pytest.mark.parametrize(
    "create",
    [
        lambda: Gamma(torch.tensor([1.0, -2.0]), torch.ones(2)),
        lambda: Gamma(torch.ones(2), rate=torch.tensor([1.0, 0.0])),
        lambda: Beta(torch.tensor(-1.0), torch.tensor(1.0)),
        lambda: Dirichlet(torch.tensor([0.5, 0.0])),
    ],
)
def test_a_parameter_outside_the_domain_is_refused_when_the_distribution_is_created(create):
    with pytest.raises(ValueError, match=r"deve ser > 0, mas veio -?\d"):
        create()


@pytest.mark.parametrize("parameter", [2.0, torch.tensor(2), [1.0, 2.0]], ids=str)
def test_a_parameter_that_is_not_a_floating_point_tensor_is_refused(parameter):
    with pytest.raises(TypeError, match="tensor de ponto flutuante"):
        Dirichlet(parameter)


def test_inside_a_model_and_under_vmap_nothing_is_checked_and_nan_is_not_hidden():
    with unvalidated():
        Gamma(torch.tensor(-1.0), torch.tensor(1.0))
    a = torch.tensor([[0.5, 2.0], [1.0, 30.0]])
    log_prob = vmap(lambda a: Gamma(a, a).log_prob(torch.tensor(0.7)))(a)
    torch.testing.assert_close(log_prob, Gamma(a, a).log_prob(torch.tensor(0.7)))
    assert Gamma(torch.tensor(math.nan), torch.tensor(1.0)).log_prob(torch.tensor(1.0)).isnan()


@pytest.mark.parametrize("q", FAMILIES, ids=str)
def test_samples_and_their_gradients_are_the_same_under_vmap(q):
    z = draws(q, 6, generator())
    parameters = copies(q, 6)

    def gradients(z, *parameters):
        return torch.func.grad(lambda p: type(q)(*p).rsample(z).square().sum())(parameters)

    one_by_one = [gradients(z[i], *(p[i] for p in parameters)) for i in range(6)]
    for together, each in zip(vmap(gradients)(z, *parameters), zip(*one_by_one, strict=True), strict=True):
        torch.testing.assert_close(together, torch.stack(each))
    assert vmap(lambda *p: type(q)(*p).rsample(), randomness="different")(*parameters).shape == z.shape
