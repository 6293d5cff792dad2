"""As binomiais negativas contra a definição, em precisão estendida, contra o scipy e contra as próprias amostras."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch.func import vmap
from toys import assert_mean_is

from vae_lessons.distributions import NegativeBinomial, ZeroInflatedNegativeBinomial, draw, unvalidated

N_SAMPLES = 100_000
COUNTS = (0, 1, 2, 5, 30, 100, 1000, 10_000)
MEANS = (1e-3, 0.1, 1.0, 3.7, 50.0, 1000.0, 9000.0)
THETAS = (1e-2, 0.1, 1.0, 3.3, 9.9, 10.1, 1e2, 1e3, 1e4, 1e6, 1e8)


def truth(x, mean, theta):
    """Σ_{i<x} [log(1 + i/θ) − log(i + 1)] + x log μ − (x + θ) log(1 + μ/θ), em precisão estendida."""
    steps = np.arange(x, dtype=np.longdouble)
    mean, theta = np.longdouble(mean), np.longdouble(theta)
    rising = np.sum(np.log1p(steps / theta) - np.log(steps + 1))
    return float(rising + x * np.log(mean) - (x + theta) * np.log1p(mean / theta))


@pytest.fixture(scope="module")
def grid():
    """x, μ, θ (os que existem em float32) e a verdade."""
    numbers = torch.tensor(list(itertools.product(COUNTS, MEANS, THETAS)), dtype=torch.float32).double()
    expected = [truth(int(x), mean, theta) for x, mean, theta in numbers.tolist()]
    return *numbers.T, torch.tensor(expected, dtype=torch.float64)


def test_in_single_precision_the_error_is_that_of_writing_the_number(grid):
    """Menos de 1e-4 nat onde |log P| < 500; além disso, o próprio float32 tem passos de 3e-5 ou mais."""
    x, mean, theta, expected = grid
    found = NegativeBinomial(mean.float(), theta.float()).log_prob(x.float()).double()
    near = expected.abs() < 500
    torch.testing.assert_close(found[near], expected[near], rtol=0, atol=1e-4)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-5)


def test_in_double_precision_all_digits_are_right(grid):
    x, mean, theta, expected = grid
    torch.testing.assert_close(NegativeBinomial(mean, theta).log_prob(x), expected, rtol=1e-13, atol=1e-13)


def test_where_the_usual_formula_gives_a_probability_above_one():
    """log NB(5; 3,7; 1e8): em float32, a diferença de dois lgamma dá +37,65; a verdade é −1,9458."""
    x, mean, theta = torch.tensor(5.0), torch.tensor(3.7), torch.tensor(1e8)
    usual = torch.lgamma(x + theta) - torch.lgamma(theta) - torch.lgamma(x + 1)
    usual = usual + theta * torch.log(theta / (theta + mean)) + x * torch.log(mean / (theta + mean))
    assert usual > 30
    found = NegativeBinomial(mean, theta).log_prob(x).item()
    assert found == pytest.approx(-1.94583, abs=1e-5)
    assert found == pytest.approx(stats.poisson.logpmf(5, 3.7), abs=1e-5)


def test_it_is_scipys_nbinom_with_n_theta_and_p_theta_over_theta_plus_mean():
    x = torch.arange(40).double()
    for mean, theta in ((3.7, 0.4), (20.0, 5.0)):
        q = NegativeBinomial(torch.tensor(mean).double(), torch.tensor(theta).double())
        p = q.theta / (q.theta + q.mean)
        torch.testing.assert_close(q.log_prob(x), torch.from_numpy(stats.nbinom.logpmf(x, q.theta, p)))


def test_it_is_a_poisson_whose_rate_is_a_gamma_of_mean_mu():
    """∫ Poisson(5; λ) Gama(λ; θ, θ/μ) dλ: com a taxa θ/μ, e não a escala θ/μ, que daria outra coisa."""
    mean, theta = 3.7, 2.0

    def mixture(scale):
        def weighed(rate):
            return stats.poisson.pmf(5, rate) * stats.gamma.pdf(rate, theta, scale=scale)

        return integrate.quad(weighed, 0, 200, points=[5])[0]

    found = NegativeBinomial(torch.tensor(mean).double(), torch.tensor(theta).double()).log_prob(5).exp().item()
    assert found == pytest.approx(mixture(mean / theta), rel=1e-8)
    assert abs(found - mixture(theta / mean)) > 0.5 * found


@pytest.mark.parametrize(("mean", "theta"), [(3.7, 0.4), (20.0, 5.0), (1.0, 1e8), (0.01, 0.01)])
def test_probabilities_sum_to_one_with_its_mean_and_its_variance(mean, theta):
    q = NegativeBinomial(torch.tensor(mean).double(), torch.tensor(theta).double())
    x = torch.arange(3000).double()
    p = q.log_prob(x).exp()
    moments = torch.stack([p.sum(), (p * x).sum(), (p * (x - mean) ** 2).sum()])
    torch.testing.assert_close(moments, torch.stack([torch.ones(()).double(), q.mean, q.variance]))


def test_gradients_are_those_of_finite_differences(grid):
    """Em log μ e log θ: é em que as redes os dão. Diferenças da verdade, em precisão estendida."""
    x, mean, theta, _ = (each[::7] for each in grid)
    leaves = [each.clone().requires_grad_() for each in (mean, theta)]
    by_mean, by_theta = torch.autograd.grad(NegativeBinomial(*leaves).log_prob(x).sum(), leaves)
    step = 1e-5
    up, down = 1 + step, 1 - step
    slopes = [
        [truth(int(x), m * up, t) - truth(int(x), m * down, t), truth(int(x), m, t * up) - truth(int(x), m, t * down)]
        for x, m, t in zip(x.tolist(), mean.tolist(), theta.tolist(), strict=True)
    ]
    expected = torch.tensor(slopes, dtype=torch.float64).T / (2 * step)
    torch.testing.assert_close(by_mean * mean, expected[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(by_theta * theta, expected[1], rtol=1e-5, atol=1e-6)


def test_gradients_in_single_precision_are_those_of_double_precision(grid):
    x, mean, theta, _ = grid
    found = []
    for dtype in (torch.float32, torch.float64):
        leaves = [each.to(dtype).requires_grad_() for each in (mean, theta)]
        gradients = torch.autograd.grad(NegativeBinomial(*leaves).log_prob(x.to(dtype)).sum(), leaves)
        found.append([(g * leaf).detach().double() for g, leaf in zip(gradients, leaves, strict=True)])
    for narrow, wide in zip(*found, strict=True):
        assert narrow.isfinite().all()
        torch.testing.assert_close(narrow, wide, rtol=1e-5, atol=1e-5)


def test_gradients_are_those_of_the_formula_in_both_orders_with_shapes_that_broadcast():
    mean = torch.tensor([[0.3, 4.0, 20.0], [1.0, 2.0, 3.0]], dtype=torch.float64, requires_grad=True)
    theta = torch.tensor([0.5, 12.0, 30.0], dtype=torch.float64, requires_grad=True)
    logits = torch.tensor([-2.0, 0.0, 3.0], dtype=torch.float64, requires_grad=True)
    x = torch.tensor([[0, 3, 40], [2, 0, 1]])
    assert torch.autograd.gradcheck(lambda m, t: NegativeBinomial(m, t).log_prob(x), (mean, theta))
    assert torch.autograd.gradgradcheck(lambda m, t: NegativeBinomial(m, t).log_prob(x), (mean, theta))
    assert torch.autograd.gradcheck(
        lambda *parameters: ZeroInflatedNegativeBinomial(*parameters).log_prob(x), (mean, theta, logits)
    )


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.float32, torch.float64])
def test_counts_may_be_integers_or_floats(dtype):
    q = NegativeBinomial(torch.tensor([3.7, 0.2]), torch.tensor(2.0))
    found = q.log_prob(torch.tensor([5, 0]).to(dtype))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, q.log_prob(torch.tensor([5.0, 0.0])))


def test_what_is_not_a_count_has_probability_zero_and_a_mean_of_zero_only_counts_zero():
    """Contagens normalizadas ou em log não são contagens, e assim não passam por elas."""
    q = NegativeBinomial(torch.tensor(3.7), torch.tensor(2.0))
    assert q.log_prob(torch.tensor([-1.0, 0.5, 2.7])).tolist() == [-math.inf] * 3
    nothing = NegativeBinomial(torch.tensor(0.0), torch.tensor(2.0))
    assert nothing.log_prob(torch.tensor([0.0, 1.0])).tolist() == [0.0, -math.inf]


def test_samples_have_its_mean_and_its_variance_and_are_repeatable():
    q = NegativeBinomial(torch.tensor([3.7, 20.0, 0.1]), torch.tensor([0.4, 5.0, 1e8]))
    many = NegativeBinomial(q.mean.expand(N_SAMPLES, 3), q.theta)
    state = torch.get_rng_state()
    samples = draw(many, torch.Generator().manual_seed(0))
    assert torch.equal(samples, many.sample(torch.Generator().manual_seed(0)))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(samples, samples.round())
    assert_mean_is(samples, q.mean.double())
    assert_mean_is((samples - q.mean).square(), q.variance.double())


# Inflada de zeros


def inflated(logits=-1.0, mean=3.7, theta=2.0):
    return ZeroInflatedNegativeBinomial(*(torch.tensor(each).double() for each in (mean, theta, logits)))


@pytest.mark.parametrize("logits", [-30.0, -1.0, 0.0, 5.0])
def test_zero_has_pi_plus_the_probability_of_the_negative_binomial_and_the_others_lose(logits):
    q, x = inflated(logits), torch.arange(400)
    pi, counted = torch.sigmoid(q.logits), q.negative_binomial.log_prob(x).exp()
    torch.testing.assert_close(q.log_prob(x).exp(), pi * (x == 0) + (1 - pi) * counted)
    torch.testing.assert_close((q.log_prob(x).exp() * x).sum(), q.mean)


def test_its_mean_is_that_of_its_samples_and_not_that_of_the_negative_binomial():
    q = inflated()
    many = ZeroInflatedNegativeBinomial(q.negative_binomial.mean.expand(N_SAMPLES), q.theta, q.logits)
    samples = draw(many, torch.Generator().manual_seed(0))
    assert_mean_is(samples, q.mean)
    assert q.mean < q.negative_binomial.mean == q[0]
    assert_mean_is((samples == 0).double(), q.log_prob(0).exp())


def test_extreme_logits_give_finite_values_and_gradients():
    """π que arredonda para 0 ou 1: log(π) e log(1 − π) seriam −∞."""
    logits = torch.tensor([-200.0, 200.0], requires_grad=True)
    for x in (0.0, 3.0):
        q = ZeroInflatedNegativeBinomial(torch.tensor(3.7), torch.tensor(2.0), logits)
        log_prob = q.log_prob(torch.tensor(x))
        assert log_prob.isfinite().all()
        assert torch.autograd.grad(log_prob.sum(), logits)[0].isfinite().all()
    assert log_prob.tolist()[1] == pytest.approx(-200 + q.negative_binomial.log_prob(3).item())


@pytest.mark.parametrize("family", [NegativeBinomial, lambda m, t: ZeroInflatedNegativeBinomial(m, t, m)])
def test_under_vmap_each_one_gives_what_it_gives_alone(family):
    mean, theta, x = torch.rand(4, 3) + 0.1, torch.rand(4, 3) + 0.1, torch.arange(3)
    together = vmap(lambda m, t: family(m, t).log_prob(x))(mean, theta)
    torch.testing.assert_close(together, family(mean, theta).log_prob(x))


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda t: NegativeBinomial(-t, t), "NegativeBinomial: mean deve ser ≥ 0, mas veio -1"),
        (lambda t: NegativeBinomial(t, 0 * t), "NegativeBinomial: theta deve ser > 0, mas veio 0"),
        (lambda t: ZeroInflatedNegativeBinomial(-t, t, t), "mean deve ser ≥ 0, mas veio -1"),
        (lambda t: ZeroInflatedNegativeBinomial(t, theta=-t, logits=t), "theta deve ser > 0, mas veio -1"),
    ],
)
def test_parameters_outside_the_domain_are_refused_but_not_inside_a_model(create, message):
    with pytest.raises(ValueError, match=message):
        create(torch.ones(2))
    with unvalidated():
        create(torch.ones(2))
