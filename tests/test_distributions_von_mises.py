"""A von Mises contra o scipy, a quadratura, as diferenças finitas da acumulada e as próprias amostras."""

import math

import pytest
import torch
from scipy import special, stats
from torch import distributions as td
from torch.func import vmap
from toys import assert_mean_is

from vae_lessons.distributions import VonMises, copies, draws, kl_divergence
from vae_lessons.estimators import gradient_moments, pathwise

N_SAMPLES = 50_000
CONCENTRATIONS = (0.0, 1e-3, 0.3, 2.0, 30.0, 49.9, 50.1, 1e3, 1e4)


def von_mises(loc, kappa, *, dtype=torch.float64):
    return VonMises(torch.tensor(loc, dtype=dtype), torch.tensor(kappa, dtype=dtype))


def angles(kappa, n=41):
    """Ângulos em que a densidade não desaparece."""
    width = min(math.pi, 6 / math.sqrt(max(kappa, 1e-9)))
    return torch.linspace(-width, width, n, dtype=torch.float64) * 0.999


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def resultant(kappa):
    return special.i1e(kappa) / special.i0e(kappa)


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 5e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("kappa", CONCENTRATIONS)
def test_log_density_is_the_formula_from_the_uniform_to_almost_a_point(kappa, dtype, atol):
    z = angles(kappa).to(dtype)
    below_peak = 2 * torch.sin(0.5 * z.double()).square()
    expected = -kappa * below_peak - math.log(2 * math.pi * special.i0e(kappa))
    torch.testing.assert_close(von_mises(0.0, kappa, dtype=dtype).log_prob(z).double(), expected, rtol=0, atol=atol)


def test_log_density_is_that_of_scipy_and_has_period_two_pi():
    q, z = von_mises(0.7, 3.0), torch.linspace(-3, 3, 13, dtype=torch.float64)
    torch.testing.assert_close(q.log_prob(z), torch.from_numpy(stats.vonmises.logpdf(z, 3.0, 0.7)))
    torch.testing.assert_close(q.log_prob(z + 2 * math.pi), q.log_prob(z))


def test_the_resultant_length_and_its_slope_are_those_of_the_bessel_functions():
    """A = I₁/I₀ e dA/dκ = 1 − A/κ − A², também onde a série substitui o quociente."""
    kappa = torch.tensor([0.3, 2.0, 30.0, 49.0, 51.0, 1e3], dtype=torch.float64, requires_grad=True)
    length = VonMises(torch.zeros_like(kappa), kappa).resultant_length
    torch.testing.assert_close(length.detach(), torch.from_numpy(resultant(kappa.detach().numpy())), rtol=1e-10, atol=0)
    (slope,) = torch.autograd.grad(length.sum(), kappa)
    torch.testing.assert_close(slope, (1 - length / kappa - length**2).detach(), rtol=1e-6, atol=1e-12)
    assert length[1].item() == pytest.approx(0.697775, abs=1e-6)
    assert slope[1].item() == pytest.approx(0.164223, abs=1e-6)


@pytest.mark.parametrize("kappa", [0.0, 0.3, 2.0, 30.0, 1e4])
def test_samples_follow_the_cumulative_distribution(kappa):
    samples = draws(von_mises(0.0, kappa), 4 * N_SAMPLES, generator())
    cdf = stats.vonmises(kappa).cdf if kappa else stats.uniform(-math.pi, 2 * math.pi).cdf
    assert stats.kstest(samples.numpy(), cdf).pvalue > 1e-4
    assert_mean_is(samples.cos(), resultant(kappa))
    assert_mean_is(samples.sin(), 0.0)


@pytest.mark.parametrize("kappa", [0.0, 1e-3, 2.0, 1e4])
def test_narrow_samples_keep_their_spread_in_single_precision(kappa):
    """Com κ = 1e4, o ângulo é da ordem de 0,01, e o cosseno dele, quase 1: o arco-cosseno em float32 daria degraus."""
    samples = draws(von_mises(0.0, kappa, dtype=torch.float32), N_SAMPLES, generator()).double()
    assert_mean_is(2 * (samples / 2).sin().square(), 1 - resultant(kappa), n_errors=4.5)
    assert samples.unique().numel() > 0.9 * N_SAMPLES


def test_samples_are_angles_around_loc_repeatable_and_without_gradient():
    q = VonMises(torch.tensor([3.0, -10.0, 0.0], requires_grad=True), torch.tensor([1.0, 5.0, 0.0]))
    state = torch.get_rng_state()
    first, second = q.sample(generator(7)), q.sample(generator(7))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)
    assert not first.requires_grad
    samples = draws(q, 2000)
    assert (samples >= -math.pi).all()
    assert (samples <= math.pi).all()
    assert_mean_is((samples - q.mean.detach())[:, :2].sin(), torch.zeros(2).double())


def test_parameters_that_broadcast_give_independent_draws():
    for q in (VonMises(torch.zeros(5), torch.tensor(2.0)), VonMises(torch.tensor(1.0), torch.full((5,), 2.0))):
        assert q.sample().unique().numel() == q.rsample().unique().numel() == 5


def cdf(phi, kappa):
    """F(φ; κ) − ½ por quadratura fina de Gauss–Legendre, com derivada em κ."""
    nodes, weights = (torch.from_numpy(each) for each in special.roots_legendre(400))
    t = 0.5 * (nodes + 1) * phi[:, None]
    density = torch.exp(kappa * (t.cos() - 1)) / (2 * math.pi * special.i0e(kappa))
    return 0.5 * phi * (density * weights).sum(-1)


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 1e-4), (torch.float64, 1e-5)])
@pytest.mark.parametrize("kappa", [1e-3, 0.3, 2.0, 30.0, 49.9, 50.1, 1e3])
def test_the_gradient_in_kappa_is_minus_the_slope_of_the_cdf_over_the_density(kappa, dtype, rtol):
    """∂φ/∂κ = −(∂F/∂κ)(φ) / p(φ), com ∂F/∂κ por diferença central, nos ângulos até 3 desvios-padrão."""
    phi = angles(kappa) / 2
    q = copies(von_mises(0.0, kappa, dtype=dtype), len(phi))
    leaf = q.concentration.clone().requires_grad_()
    (found,) = torch.autograd.grad(VonMises(q.loc, leaf).rsample(phi.to(dtype)).sum(), leaf)
    step = 1e-4 * max(kappa, 0.1)
    slope = (cdf(phi, kappa + step) - cdf(phi, kappa - step)) / (2 * step)
    density = von_mises(0.0, kappa).log_prob(phi).exp()
    torch.testing.assert_close(found.double(), -slope / density, rtol=rtol, atol=1e-6 / max(kappa, 1))


def test_the_gradient_of_an_almost_uniform_angle_is_minus_its_sine():
    """Em κ = 0, ∂F/∂κ = sen φ / 2π e p = 1 / 2π."""
    phi = torch.linspace(-3.1, 3.1, 41)
    kappa = torch.zeros(41, requires_grad=True)
    (found,) = torch.autograd.grad(VonMises(torch.zeros(41), kappa).rsample(phi).sum(), kappa)
    torch.testing.assert_close(found, -phi.sin(), rtol=1e-5, atol=1e-6)


def test_the_gradient_of_a_narrow_angle_is_that_of_a_normal():
    """Para κ grande, φ ≈ ε / √κ e ∂φ/∂κ ≈ −φ / (2κ), finito mesmo a 10 desvios-padrão."""
    phi = torch.linspace(-10, 10, 41) / 100
    kappa = torch.full((41,), 1e4, requires_grad=True)
    (found,) = torch.autograd.grad(VonMises(torch.zeros(41), kappa).rsample(phi).sum(), kappa)
    torch.testing.assert_close(found, -phi / 2e4, rtol=5e-3, atol=0)


def test_the_gradient_in_loc_is_one_also_across_the_cut():
    loc = torch.tensor([0.0, 3.1, -3.1, 40.0], requires_grad=True)
    q = VonMises(loc, torch.full((4,), 2.0))
    z = q.rsample(torch.tensor([1.0, 0.5, -0.5, 2.0]))
    assert torch.autograd.grad(z.sum(), loc)[0].tolist() == [1.0] * 4
    assert (z.abs() <= math.pi).all()


def test_the_log_density_of_the_uniform_grows_with_kappa_as_the_cosine():
    uniform = VonMises(torch.zeros(3), torch.zeros(3, requires_grad=True))
    angle = torch.tensor([0.0, 1.0, 3.0])
    (gradient,) = torch.autograd.grad(uniform.log_prob(angle).sum(), uniform.concentration)
    torch.testing.assert_close(gradient, angle.cos())


@pytest.mark.parametrize("kappa", [0.3, 2.0, 30.0])
def test_pathwise_estimates_the_slope_of_the_resultant_length(kappa):
    """E[∂ cos φ/∂κ] = dA/dκ e, pelo giro, ∂E[sen z]/∂μ = A cos μ."""
    q, length = von_mises([[0.0]], [[kappa]]), resultant(kappa)
    of_cosine = gradient_moments(pathwise, lambda z: z.cos().sum(-1), q, repeats=N_SAMPLES)
    error = (of_cosine.mean.concentration - (1 - length / kappa - length**2)).abs()
    assert error <= 4 * of_cosine.standard_error.concentration
    of_sine = gradient_moments(pathwise, lambda z: z.sin().sum(-1), q, repeats=N_SAMPLES)
    assert (of_sine.mean.loc - length).abs() <= 4 * of_sine.standard_error.loc


def test_samples_and_their_gradients_are_the_same_under_vmap():
    q = copies(von_mises([0.3, -1.0], [2.0, 80.0]), 6)
    z = q.sample(generator())

    def gradients(z, *parameters):
        return torch.func.grad(lambda p: VonMises(*p).rsample(z).square().sum())(parameters)

    one_by_one = [gradients(z[i], q.loc[i], q.concentration[i]) for i in range(6)]
    for together, each in zip(vmap(gradients)(z, *q), zip(*one_by_one, strict=True), strict=True):
        torch.testing.assert_close(together, torch.stack(each))
    assert vmap(lambda *p: VonMises(*p).rsample(), randomness="different")(*q).shape == z.shape


# KL

QS, PS = von_mises([0.3, -2.0, 1.0], [2.0, 30.0, 0.0]), von_mises([0.0, 3.0, 0.0], [0.0, 1.0, 4.0])


def test_kl_is_the_integral_of_its_definition():
    z = torch.linspace(-math.pi, math.pi, 4001, dtype=torch.float64)[:, None]
    log_q = QS.log_prob(z)
    integral = torch.trapezoid(log_q.exp() * (log_q - PS.log_prob(z)), z, dim=0)
    torch.testing.assert_close(kl_divergence(QS, PS), integral)
    assert kl_divergence(QS, QS).abs().max() < 1e-15


def test_kl_to_the_uniform_is_kappa_times_a_minus_log_i0():
    """κ = 2: 0,571556 nat. E as de torch.distributions contam como as daqui."""
    uniform = von_mises(0.0, 0.0)
    assert kl_divergence(von_mises(0.3, 2.0), uniform).item() == pytest.approx(0.571556, abs=1e-6)
    expected = 2 * resultant(2.0) - math.log(special.i0(2.0))
    assert kl_divergence(td.VonMises(0.3, torch.tensor(2.0).double()), uniform).item() == pytest.approx(expected)


def test_kl_between_narrow_ones_keeps_its_digits_in_single_precision():
    """Perto da de duas normais de precisões 1e4 e 9e3: ½ (log(1e4/9e3) + 0,9 − 1 + 9e3 · 0,01²)."""
    kl = kl_divergence(von_mises(0.0, 1e4, dtype=torch.float32), von_mises(0.01, 9e3, dtype=torch.float32))
    q, p = von_mises(0.0, 1e4), von_mises(0.01, 9e3)
    assert kl.item() == pytest.approx(kl_divergence(q, p).item(), rel=1e-5)
    assert kl.item() == pytest.approx(0.5 * (math.log(10 / 9) - 0.1 + 0.9), rel=1e-3)


def test_the_gradient_of_the_kl_is_right():
    parameters = [
        torch.tensor(each, dtype=torch.float64, requires_grad=True)
        for each in ([0.3, 1.0, 2.0], [2.0, 60.0, 0.5], [0.0, -1.0, 2.0], [0.5, 1.0, 70.0])
    ]
    assert torch.autograd.gradcheck(lambda a, b, c, d: kl_divergence(VonMises(a, b), VonMises(c, d)), parameters)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_doubling_of_a_large_kappa_costs_half_a_log_of_two(dtype):
    """A KL é ½ log κ mais uma constante: derivada ½ em log κ, também onde I₀ e I₁ já são o mesmo número."""
    kappa = torch.tensor([1e4, 1e6, 1e9, 1e15, 1e30], dtype=dtype, requires_grad=True)
    zero = torch.zeros_like(kappa)
    kl = kl_divergence(VonMises(zero, kappa), VonMises(zero, zero))
    (slope,) = torch.autograd.grad(kl.sum(), kappa)
    assert torch.allclose(slope * kappa, torch.full_like(kappa, 0.5), rtol=1e-4)


def test_the_kl_to_the_uniform_is_flat_at_zero_and_has_slope_kappa_times_that_of_a():
    kappa = torch.tensor([0.0, 1.0], requires_grad=True)
    kl = kl_divergence(VonMises(torch.zeros(2), kappa), VonMises(torch.zeros(2), torch.zeros(2)))
    (gradient,) = torch.autograd.grad(kl.sum(), kappa)
    assert gradient.tolist() == pytest.approx([0.0, 1 * (1 - resultant(1.0) - resultant(1.0) ** 2)], abs=1e-6)


def test_a_negative_concentration_is_refused():
    with pytest.raises(ValueError, match="VonMises: concentration deve ser ≥ 0, mas veio -1"):
        VonMises(torch.zeros(2), torch.tensor([1.0, -1.0]))
