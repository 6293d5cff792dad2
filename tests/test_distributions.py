"""As distribuições contra torch.distributions, contra a quadratura e contra as próprias amostras."""

import math

import pytest
import torch
from torch import distributions as td

from vae_lessons.distributions import Bernoulli, Categorical, ContinuousBernoulli, Normal, kl_divergence
from vae_lessons.estimators import exact

N_SAMPLES = 100_000
DTYPES = [torch.float32, torch.float64]


def tolerance(dtype):
    return {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-9, "atol": 1e-9}


def random_normal(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    mean, log_var = (torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype) for _ in range(2))
    return Normal(mean, log_var)


def as_torch(q):
    return td.Normal(q.mean, torch.exp(0.5 * q.log_var))


def assert_mean_is(samples, expected, n_errors=4):
    """A média das amostras está a n_errors erros-padrão, se tanto, do valor esperado."""
    samples = samples.double()
    standard_error = samples.std(0) / math.sqrt(len(samples))
    assert ((samples.mean(0) - expected).abs() <= n_errors * standard_error).all()


# Normal


@pytest.mark.parametrize("dtype", DTYPES)
def test_normal_log_prob_matches_torch_distributions(dtype):
    q = random_normal(7, 3, dtype=dtype)
    value = torch.linspace(-5, 5, 7, dtype=dtype)[:, None]
    torch.testing.assert_close(q.log_prob(value), as_torch(q).log_prob(value), **tolerance(dtype))


def test_normal_density_integrates_to_one():
    q = random_normal(6)
    grid = torch.linspace(-40, 40, 40_001, dtype=torch.float64)[:, None]
    torch.testing.assert_close(torch.trapezoid(q.log_prob(grid).exp(), grid, dim=0), torch.ones(6).double())


def test_normal_samples_have_its_mean_and_variance():
    q = random_normal(5)
    for samples in (
        Normal(q.mean.expand(N_SAMPLES, -1), q.log_var.expand(N_SAMPLES, -1)).sample(torch.Generator().manual_seed(0)),
        q.rsample(torch.randn(N_SAMPLES, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)),
    ):
        assert_mean_is(samples, q.mean)
        assert_mean_is((samples - q.mean).square(), q.log_var.exp())


def test_rsample_is_mean_plus_standard_deviation_times_noise():
    q = random_normal(4, 3)
    noise = torch.randn(2, 4, 3, dtype=torch.float64)
    torch.testing.assert_close(q.rsample(noise), q.mean + q.log_var.exp().sqrt() * noise, rtol=1e-14, atol=1e-14)


def test_rsample_without_noise_draws_standard_noise():
    q = random_normal(4, 3)
    torch.manual_seed(0)
    drawn = q.rsample()
    torch.manual_seed(0)
    assert torch.equal(drawn, q.rsample(torch.randn(4, 3, dtype=torch.float64)))


def test_rsample_carries_the_gradient_to_both_parameters():
    """∂z/∂μ = 1 e ∂z/∂(log σ²) = ½ σ ε = ½ (z − μ)."""
    q = Normal(*(parameter.requires_grad_() for parameter in random_normal(4, 3)))
    z = q.rsample()
    by_mean, by_log_var = torch.autograd.grad(z.sum(), q)
    torch.testing.assert_close(by_mean, torch.ones_like(z))
    torch.testing.assert_close(by_log_var, 0.5 * (z - q.mean).detach())


@pytest.mark.parametrize("family", [Bernoulli, ContinuousBernoulli, lambda p: Normal(p, p)])
def test_samples_are_repeatable_and_carry_no_gradient(family):
    q = family(torch.zeros(4, 3, requires_grad=True))
    state = torch.get_rng_state()
    first, second = (q.sample(torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(first, q.sample())
    assert not first.requires_grad


# Bernoulli


@pytest.mark.parametrize("dtype", DTYPES)
def test_bernoulli_log_prob_matches_torch_distributions(dtype):
    logits = torch.linspace(-15, 15, 31, dtype=dtype)
    for value in (0.0, 1.0):
        expected = td.Bernoulli(logits=logits).log_prob(torch.full_like(logits, value))
        torch.testing.assert_close(
            Bernoulli(logits).log_prob(torch.tensor(value, dtype=dtype)), expected, **tolerance(dtype)
        )


def test_bernoulli_probabilities_sum_to_one():
    p = Bernoulli(torch.linspace(-30, 30, 61, dtype=torch.float64))
    torch.testing.assert_close(p.log_prob(0.0).exp() + p.log_prob(1.0).exp(), torch.ones(61, dtype=torch.float64))


def test_bernoulli_log_prob_and_gradient_survive_extreme_logits():
    """Uma sigmoide seguida do logaritmo daria −inf ou o corte em −100."""
    logits = torch.tensor([-500.0, 500.0], requires_grad=True)
    wrong = Bernoulli(logits).log_prob(torch.tensor([1.0, 0.0]))
    assert wrong.tolist() == [-500.0, -500.0]
    wrong.sum().backward()
    assert logits.grad.tolist() == [1.0, -1.0]


def test_bernoulli_samples_are_bits_with_its_mean():
    p = Bernoulli(torch.linspace(-3, 3, 7))
    samples = Bernoulli(p.logits.expand(N_SAMPLES, -1)).sample(torch.Generator().manual_seed(0))
    assert set(samples.unique().tolist()) == {0.0, 1.0}
    assert_mean_is(samples, p.mean)
    torch.testing.assert_close(p.mean, 1 / (1 + torch.exp(-p.logits)))


# Bernoulli contínua

CB_LOGITS = (-12.0, -3.0, -0.5, -0.101, -0.099, -1e-3, 0.0, 1e-8, 1e-3, 0.099, 0.101, 0.5, 3.0, 12.0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_continuous_bernoulli_log_prob_matches_torch_distributions(dtype):
    """torch troca a fórmula pela série em 0,499 < λ < 0,501, com erro da ordem de 1e-7; daí a tolerância."""
    logits = torch.tensor(CB_LOGITS, dtype=dtype)
    for value in (0.0, 0.2, 1.0):
        x = torch.full_like(logits, value)
        expected = td.ContinuousBernoulli(logits=logits.double()).log_prob(x.double()).to(dtype)
        torch.testing.assert_close(ContinuousBernoulli(logits).log_prob(x), expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 2e-6), (torch.float64, 1e-9)])
def test_continuous_bernoulli_density_integrates_to_one_even_near_one_half(dtype, atol):
    logits = torch.tensor(CB_LOGITS, dtype=dtype)
    grid = torch.linspace(0, 1, 20_001, dtype=torch.float64)[:, None]
    # A normalização é a do tipo testado; a integral, sempre em float64: ∫ λ^x (1 − λ)^(1−x) dx = 1 / C.
    wide = logits.double()
    integral = torch.trapezoid((grid * wide - torch.nn.functional.softplus(wide)).exp(), grid, dim=0)
    total = integral * ContinuousBernoulli(logits).log_normalizer().double().exp()
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=max(atol, 5e-8))


def test_continuous_bernoulli_normalizer_is_2_at_one_half():
    assert ContinuousBernoulli(torch.zeros(())).log_normalizer().item() == pytest.approx(math.log(2))


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 2e-6), (torch.float64, 1e-7)])
def test_continuous_bernoulli_mean_is_the_integral_of_its_density(dtype, atol):
    logits = torch.tensor(CB_LOGITS, dtype=dtype)
    grid = torch.linspace(0, 1, 20_001, dtype=torch.float64)[:, None]
    density = ContinuousBernoulli(logits.double()).log_prob(grid).exp()
    expected = torch.trapezoid(grid * density, grid, dim=0).to(dtype)
    torch.testing.assert_close(ContinuousBernoulli(logits).mean, expected, rtol=0, atol=atol)


def test_continuous_bernoulli_mean_is_not_lambda():
    p = ContinuousBernoulli(torch.tensor([-3.0, 3.0]))
    assert ((p.mean - torch.sigmoid(p.logits)).abs() > 0.1).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_continuous_bernoulli_gradient_is_finite_and_is_x_minus_mean(dtype):
    """Na família exponencial, ∂ log p(x) / ∂ logits = x − E[x]; vale em λ = ½, onde a fórmula é 0/0, e nos extremos."""
    logits = torch.tensor([*CB_LOGITS, -200.0, 200.0], dtype=dtype, requires_grad=True)
    x = torch.linspace(0, 1, len(logits), dtype=dtype)
    p = ContinuousBernoulli(logits)
    (gradient,) = torch.autograd.grad(p.log_prob(x).sum(), logits)
    torch.testing.assert_close(gradient, x - p.mean.detach(), rtol=1e-5, atol=2e-6)


def test_continuous_bernoulli_samples_follow_its_density():
    """Vinte faixas: a contagem de cada uma a 4,5 desvios padrão da integral da densidade, se tanto."""
    logits = torch.tensor([-8.0, -1.0, 0.0, 1e-7, 0.05, 2.0, 8.0], dtype=torch.float64)
    p = ContinuousBernoulli(logits)
    samples = ContinuousBernoulli(logits.expand(N_SAMPLES, -1)).sample(torch.Generator().manual_seed(0))
    assert samples.min() >= 0
    assert samples.max() <= 1
    assert_mean_is(samples, p.mean)
    grid = torch.linspace(0, 1, 2001, dtype=torch.float64)[:, None]
    density = p.log_prob(grid).exp()
    for j in range(len(logits)):
        counts = torch.histc(samples[:, j], bins=20, min=0, max=1)
        expected = torch.stack([torch.trapezoid(density[i : i + 101, j], dx=1 / 2000) for i in range(0, 2000, 100)])
        deviation = (N_SAMPLES * expected * (1 - expected)).sqrt()
        assert ((counts - N_SAMPLES * expected).abs() <= 4.5 * deviation + 1).all()


def test_continuous_bernoulli_samples_survive_extreme_logits():
    samples = ContinuousBernoulli(torch.tensor([-500.0, 500.0]).expand(1000, -1)).sample()
    assert samples.isfinite().all()
    assert samples[:, 0].max() < 0.1
    assert samples[:, 1].min() > 0.9


# KL


@pytest.mark.parametrize("dtype", DTYPES)
def test_kl_matches_torch_distributions(dtype):
    q, p = random_normal(6, 3, seed=1, dtype=dtype), random_normal(6, 3, seed=2, dtype=dtype)
    torch.testing.assert_close(kl_divergence(q, p), td.kl_divergence(as_torch(q), as_torch(p)), **tolerance(dtype))


def test_kl_to_the_prior_matches_the_formula_of_the_paper():
    """−½ (1 + log σ² − μ² − σ²), Kingma e Welling (2014), apêndice B."""
    q = random_normal(6, 3)
    prior = Normal(torch.zeros(3).double(), torch.zeros(3).double())
    expected = -0.5 * (1 + q.log_var - q.mean**2 - q.log_var.exp())
    torch.testing.assert_close(kl_divergence(q, prior), expected)


def test_kl_matches_monte_carlo():
    q, p = random_normal(5, seed=1), random_normal(5, seed=2)
    z = q.rsample(torch.randn(N_SAMPLES, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    assert_mean_is(q.log_prob(z) - p.log_prob(z), kl_divergence(q, p))


@pytest.mark.parametrize("dtype", DTYPES)
def test_kl_is_not_negative_and_is_zero_between_equals(dtype):
    q, p = random_normal(1000, seed=1, dtype=dtype), random_normal(1000, seed=2, dtype=dtype)
    assert (kl_divergence(q, p) > 0).all()
    assert (kl_divergence(q, q) == 0).all()


def test_kl_keeps_its_precision_near_zero():
    """Para σ² = e^δ, KL ≈ δ²/4: em float32, calcular e^δ − 1 − δ ao pé da letra perderia todos os algarismos."""
    delta = torch.tensor([1e-3, -1e-3])
    kl = kl_divergence(Normal(torch.zeros(2), delta), Normal(torch.zeros(2), torch.zeros(2)))
    torch.testing.assert_close(kl, delta.square() / 4, rtol=2e-3, atol=0)


def test_nothing_is_reduced():
    """Uma entrada por dimensão, com as dimensões de amostra à frente; somar é tarefa de quem chama."""
    q = random_normal(4, 3)
    assert q.log_prob(torch.zeros(2, 4, 3)).shape == (2, 4, 3)
    assert q.rsample(torch.zeros(2, 4, 3)).shape == (2, 4, 3)
    assert kl_divergence(q, Normal(torch.zeros(3), torch.zeros(3))).shape == (4, 3)
    for family in (Bernoulli, ContinuousBernoulli):
        assert family(torch.zeros(2, 4, 3)).log_prob(torch.zeros(4, 3)).shape == (2, 4, 3)


def test_kl_without_closed_form_is_refused():
    q = Normal(torch.zeros(2), torch.zeros(2))
    with pytest.raises(TypeError, match="de Normal para Bernoulli"):
        kl_divergence(q, Bernoulli(torch.zeros(2)))


@pytest.mark.parametrize("logit", [-200.0, -90.0, 90.0, 200.0])
def test_continuous_bernoulli_mean_has_a_finite_gradient_at_extreme_logits(logit):
    logits = torch.tensor([logit], requires_grad=True)
    (gradient,) = torch.autograd.grad(ContinuousBernoulli(logits).mean.sum(), logits)
    assert gradient.isfinite().all()


# 0 · log 0 = 0

INFINITE = torch.tensor([math.inf, -math.inf], dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_a_certain_bernoulli_gives_zero_to_what_happens_and_minus_infinity_to_what_cannot(dtype):
    logits = INFINITE.to(dtype).requires_grad_()
    p = Bernoulli(logits)
    certain = p.log_prob(torch.tensor([1.0, 0.0], dtype=dtype))
    assert certain.tolist() == [0.0, 0.0]
    assert p.log_prob(torch.tensor([0.0, 1.0], dtype=dtype)).tolist() == [-math.inf, -math.inf]
    assert p.mean.tolist() == [1.0, 0.0]
    assert p.sample().tolist() == [1.0, 0.0]
    assert torch.autograd.grad(certain.sum(), logits)[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("shape", [(3, 1, 4), (2, 4), (4,), ()], ids=str)
def test_the_gradient_of_a_bernoulli_is_that_of_the_formula_in_every_order_and_under_vmap(shape):
    """Com logits e valores que se estendem um ao outro, e com a segunda derivada."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
    value = torch.rand(2, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, v: Bernoulli(a).log_prob(v), (logits, value))
    assert torch.autograd.gradgradcheck(lambda a, v: Bernoulli(a).log_prob(v), (logits, value))
    many = torch.stack([logits, 2 * logits])
    expected = torch.stack([Bernoulli(each).log_prob(value) for each in many])
    torch.testing.assert_close(torch.func.vmap(lambda a: Bernoulli(a).log_prob(value))(many), expected)


def test_finite_logits_keep_every_digit_of_the_formula():
    logits = torch.linspace(-1e4, 1e4, 1001)
    for value in (0.0, 0.3, 1.0):
        assert torch.equal(Bernoulli(logits).log_prob(value), value * logits - torch.nn.functional.softplus(logits))


def test_a_degenerate_continuous_bernoulli_is_never_nan():
    logits = INFINITE.clone().requires_grad_()
    p = ContinuousBernoulli(logits)
    assert p.log_prob(torch.tensor([0.3, 0.3])).tolist() == [-math.inf, -math.inf]
    at_the_point = p.log_prob(torch.tensor([1.0, 0.0]))
    assert (at_the_point > 80).all()
    assert p.mean.tolist() == pytest.approx([1.0, 0.0], abs=1e-300)
    assert p.sample().tolist() == [1.0, 0.0]
    for value in (at_the_point.sum(), p.mean.sum(), p.log_normalizer().sum()):
        assert not torch.autograd.grad(value, logits, retain_graph=True)[0].isnan().any()


def test_nan_is_not_hidden():
    assert Bernoulli(torch.tensor([math.nan])).log_prob(torch.tensor([1.0])).isnan().all()
    assert Categorical(torch.tensor([math.nan, 0.0])).log_prob(torch.tensor([1.0, 0.0])).isnan()


def with_an_impossible_class():
    return torch.tensor([[0.5, -math.inf, 0.2], [-math.inf, 1.0, -math.inf]], dtype=torch.float64).requires_grad_()


def test_an_impossible_class_does_not_count_in_the_kl_nor_in_its_gradient():
    """KL = Σ q log(q/p) sobre as classes possíveis; com uma só, log K."""
    logits = with_an_impossible_class()
    kl = kl_divergence(Categorical(logits), Categorical(torch.zeros(3, dtype=torch.float64)))
    pair = torch.softmax(torch.tensor([0.5, 0.2], dtype=torch.float64), 0)
    expected = torch.stack([(pair * pair.log()).sum() + math.log(3), torch.tensor(math.log(3)).double()])
    torch.testing.assert_close(kl, expected)
    (gradient,) = torch.autograd.grad(kl.sum(), logits)
    assert gradient.isfinite().all()
    assert gradient[0, 1] == 0
    assert (kl_divergence(Categorical(logits), Categorical(logits)) == 0).all()
    assert kl_divergence(Categorical(torch.zeros(2, 3)), Categorical(logits)).tolist() == [math.inf, math.inf]


def test_log_prob_of_possible_classes_ignores_the_impossible_ones():
    logits = with_an_impossible_class()
    p = Categorical(logits)
    possible = p.log_prob(torch.eye(3, dtype=torch.float64)[[0, 1]])
    torch.testing.assert_close(possible, torch.tensor([-math.log1p(math.exp(-0.3)), 0.0]).double())
    assert torch.autograd.grad(possible.sum(), logits)[0].isfinite().all()
    assert p.log_prob(torch.eye(3, dtype=torch.float64)[[1, 0]]).tolist() == [-math.inf, -math.inf]


@pytest.mark.parametrize("hard", [False, True])
def test_relaxed_samples_never_visit_an_impossible_class(hard):
    logits, temperature = with_an_impossible_class(), torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    y = Categorical(logits.expand(100, 2, 3)).relaxed(temperature, hard=hard)
    assert (y[:, 0, 1] == 0).all()
    assert (y[:, 1] == torch.tensor([0.0, 1.0, 0.0])).all()
    for gradient in torch.autograd.grad((y * torch.arange(3)).sum(), (logits, temperature)):
        assert gradient.isfinite().all()


def test_enumeration_ignores_what_f_says_of_an_impossible_code():
    logits = with_an_impossible_class()
    f = torch.tensor([2.0, -math.inf, 1.0], dtype=torch.float64)
    estimate = exact(
        lambda z: torch.where(z.argmax(-1) == 1, -math.inf, (z * f.nan_to_num(neginf=0)).sum(-1)),
        Categorical(logits[:1]),
    )
    pair = torch.softmax(torch.tensor([0.5, 0.2], dtype=torch.float64), 0)
    assert estimate.value.item() == pytest.approx((2 * pair[0] + pair[1]).item())
    assert torch.autograd.grad(estimate.surrogate.sum(), logits)[0].isfinite().all()
