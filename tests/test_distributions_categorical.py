"""A categórica, o Gumbel-max e a relaxação contra torch.distributions, densidades conhecidas e os dois limites de τ."""

import math
import re
from itertools import pairwise

import pytest
import torch
from torch import distributions as td

from vae_lessons.distributions import (
    Bernoulli,
    Categorical,
    Normal,
    kl_divergence,
    one_hot_argmax,
    require_temperature,
    straight_through_of,
)

N_SAMPLES = 100_000
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
TEMPERATURES = [1e-6, 0.1, 1.0, 10.0, 1e6]


def random_categorical(*shape, seed=0, scale=2.0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return Categorical((scale * torch.randn(*shape, generator=generator, dtype=torch.float64)).to(dtype))


def copies(q, n=N_SAMPLES):
    return Categorical(q.logits.expand(n, *q.logits.shape))


def assert_frequencies_are(samples, probabilities):
    """Qui-quadrado de Pearson abaixo do quantil 0,9999 (aproximação de Wilson e Hilferty): samples [n, K]."""
    expected = len(samples) * probabilities
    statistic = ((samples.double().sum(0) - expected).square() / expected).sum().item()
    freedom = len(probabilities) - 1
    limit = freedom * (1 - 2 / (9 * freedom) + 3.719 * math.sqrt(2 / (9 * freedom))) ** 3
    assert statistic < limit


def assert_follows(values, cdf):
    """Kolmogorov e Smirnov: a maior distância entre a acumulada empírica de values [n] e cdf, com p > 0,001."""
    expected = cdf(values.sort().values)
    steps = torch.arange(len(values) + 1, dtype=expected.dtype) / len(values)
    distance = torch.maximum((expected - steps[:-1]).abs().max(), (expected - steps[1:]).abs().max())
    assert distance < 1.95 / math.sqrt(len(values))


def assert_mean_is(samples, expected):
    standard_error = samples.std(0) / math.sqrt(len(samples))
    assert ((samples.mean(0) - expected).abs() <= 4 * standard_error).all()


# A log-probabilidade


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(3,), (4, 5), (4, 2, 6)])
def test_log_prob_matches_torch_distributions(shape, dtype):
    q = random_categorical(*shape, dtype=dtype)
    z = q.sample(torch.Generator().manual_seed(0))
    expected = td.OneHotCategorical(logits=q.logits).log_prob(z)
    assert expected.shape == shape[:-1]
    torch.testing.assert_close(q.log_prob(z), expected)


def test_probabilities_are_the_mean_and_sum_to_one():
    q = random_categorical(3, 4)
    every_class = torch.eye(4, dtype=torch.float64)[:, None].expand(4, 3, 4)
    torch.testing.assert_close(q.log_prob(every_class).exp().T, q.mean)
    torch.testing.assert_close(q.mean.sum(-1), torch.ones(3, dtype=torch.float64))
    assert_mean_is(copies(q).sample(torch.Generator().manual_seed(0)), q.mean)


@pytest.mark.parametrize("constant", [-1e4, 0.3, 1e4])
def test_a_constant_added_to_the_logits_changes_nothing(constant):
    q = random_categorical(6, 5)
    moved = Categorical(q.logits + constant)
    noise = q.gumbel_noise()
    z = one_hot_argmax(q.logits + noise)
    torch.testing.assert_close(moved.log_prob(z), q.log_prob(z), rtol=0, atol=1e-10)
    torch.testing.assert_close(moved.mean, q.mean, rtol=0, atol=1e-10)
    torch.testing.assert_close(moved.relaxed(0.5, noise), q.relaxed(0.5, noise), rtol=0, atol=1e-10)
    assert torch.equal(moved.relaxed(0.5, noise, hard=True), q.relaxed(0.5, noise, hard=True))
    assert kl_divergence(q, moved).abs().max() < 1e-10


# O ruído


@pytest.mark.parametrize("dtype", DTYPES)
def test_noise_is_standard_gumbel(dtype):
    noise = Categorical(torch.zeros(N_SAMPLES, dtype=dtype)).gumbel_noise(torch.Generator().manual_seed(0))
    assert noise.dtype == dtype
    noise = noise.double()
    if dtype in (torch.float32, torch.float64):  # na meia precisão os valores são poucos, e a acumulada tem degraus
        assert_follows(noise, lambda g: torch.exp(-torch.exp(-g)))
    euler = 0.5772156649015329
    assert_mean_is(noise, euler)
    assert_mean_is((noise - euler).square(), math.pi**2 / 6)


def test_a_hundred_million_draws_in_single_precision_are_all_finite():
    q, generator = Categorical(torch.zeros(2_500_000)), torch.Generator().manual_seed(0)
    sums = sum(q.gumbel_noise(generator).sum(dtype=torch.float64) for _ in range(40))  # NaN e infinito contaminam
    assert sums.item() / 1e8 == pytest.approx(0.5772156649, abs=4 * 1.2825 / 1e4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_ten_million_draws_in_any_precision_are_all_finite(dtype):
    noise = Categorical(torch.zeros(10_000_000, dtype=dtype)).gumbel_noise(torch.Generator().manual_seed(0))
    low, high = noise.aminmax()
    assert -7 < low < -2.5
    assert 15 < high < 40


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("end", ["zero", "one"])
def test_the_ends_of_the_uniform_give_finite_noise(monkeypatch, dtype, end):
    def extreme(shape, *, dtype, **_):
        return torch.full(shape, 0.0 if end == "zero" else 1 - torch.finfo(dtype).eps / 2, dtype=dtype)

    q = Categorical(torch.zeros(2, 3, dtype=dtype))
    monkeypatch.setattr(torch, "rand", extreme)
    noise = q.gumbel_noise()
    assert noise.isfinite().all()
    assert (noise < -4).all() if end == "zero" else (noise > 16).all()
    assert (q.relaxed(0.1) == q.relaxed(0.1)[0, 0]).all()
    monkeypatch.setattr(
        torch, "rand", lambda shape, *, dtype, **_: torch.ones(shape, dtype=dtype)
    )  # arredondado para 1
    assert q.gumbel_noise().isfinite().all()


# Gumbel-max


@pytest.mark.parametrize("n_classes", [2, 5, 20])
@pytest.mark.parametrize("seed", range(3))
def test_gumbel_max_draws_each_class_with_its_probability(n_classes, seed):
    q = random_categorical(n_classes, seed=seed, scale=1.0)
    assert_frequencies_are(copies(q).sample(torch.Generator().manual_seed(seed)), q.mean)


def test_each_categorical_is_drawn_on_its_own():
    """Frequências conjuntas de duas categóricas: o produto das de cada uma."""
    q = random_categorical(2, 3, scale=1.0)
    z = copies(q).sample(torch.Generator().manual_seed(0))
    pairs = z[:, 0, :, None] * z[:, 1, None]
    assert_frequencies_are(pairs.flatten(1), (q.mean[0][:, None] * q.mean[1]).flatten())


@pytest.mark.parametrize("winner", range(3))
def test_extreme_logits_leave_no_doubt(winner):
    logits = torch.full((N_SAMPLES, 3), -50.0)
    logits[:, winner] = 50.0
    z = Categorical(logits).sample(torch.Generator().manual_seed(0))
    assert (z.argmax(-1) == winner).all()
    assert z.sum() == N_SAMPLES


@pytest.mark.parametrize("dtype", DTYPES)
def test_samples_are_exactly_one_hot(dtype):
    z = random_categorical(20_000, 3, 7, dtype=dtype).sample(torch.Generator().manual_seed(0))
    assert z.dtype == dtype
    assert ((z == 0) | (z == 1)).all()
    assert ((z == 1).sum(-1) == 1).all()
    assert (z.sum(-1) == 1.0).all()


def test_one_hot_marks_the_first_of_equal_scores_once():
    z = one_hot_argmax(torch.zeros(4, 5, requires_grad=True))
    assert torch.equal(z, torch.eye(5)[[0] * 4])
    assert not z.requires_grad


def test_samples_are_repeatable_and_carry_no_gradient():
    q = random_categorical(50, 3, 4)
    q.logits.requires_grad_()
    state = torch.get_rng_state()
    first, again, other = (q.sample(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not first.requires_grad


# A relaxação


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_relaxed_samples_are_finite_and_in_the_simplex(temperature, scale):
    torch.manual_seed(0)
    logits = (scale * (2 * torch.rand(2000, 3, 5) - 1)).requires_grad_()
    y = Categorical(logits).relaxed(temperature)
    assert y.isfinite().all()
    assert (y >= 0).all()
    torch.testing.assert_close(y.sum(-1), torch.ones(2000, 3))
    (gradient,) = torch.autograd.grad((y * torch.arange(5.0)).sum(), logits)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_hard_relaxed_samples_are_exactly_one_hot(temperature, dtype):
    torch.manual_seed(0)
    y = random_categorical(20_000, 2, 6, dtype=dtype).relaxed(temperature, hard=True)
    assert y.dtype == dtype
    assert ((y == 0) | (y == 1)).all()
    assert (y.sum(-1) == 1.0).all()


def test_a_hard_sample_is_the_argmax_of_the_soft_one_and_has_its_gradient():
    q = random_categorical(50, 3, 4)
    q.logits.requires_grad_()
    noise = q.gumbel_noise()
    soft, hard = q.relaxed(0.7, noise), q.relaxed(0.7, noise, hard=True)
    assert torch.equal(hard, one_hot_argmax(soft))
    weights = torch.randn(50, 3, 4, dtype=torch.float64)
    gradients = [torch.autograd.grad((y * weights).sum(), q.logits, retain_graph=True)[0] for y in (soft, hard)]
    assert torch.equal(*gradients)
    assert gradients[0].abs().max() > 0.1


def test_hard_samples_have_the_frequencies_of_pi_at_every_temperature():
    q = random_categorical(5, scale=1.0)
    noise = copies(q).gumbel_noise(torch.Generator().manual_seed(0))
    hard = [q.relaxed(temperature, noise, hard=True) for temperature in TEMPERATURES]
    assert_frequencies_are(hard[0], q.mean)
    assert all(torch.equal(hard[0], other) for other in hard[1:])


def test_a_cold_sample_is_the_argmax_and_a_hot_one_is_uniform():
    q = random_categorical(1000, 4)
    noise = q.gumbel_noise(torch.Generator().manual_seed(0))
    hard = one_hot_argmax(q.logits + noise)
    distances = [(q.relaxed(10.0**-i, noise) - hard).abs().mean().item() for i in range(7)]
    assert all(colder < hotter for hotter, colder in pairwise(distances))
    assert distances[-1] < 1e-6
    torch.testing.assert_close(
        q.relaxed(1e6, noise), torch.full((1000, 4), 0.25, dtype=torch.float64), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 5.0])
@pytest.mark.parametrize("difference", [0.0, 1.3, -4.0])
def test_two_classes_relax_to_a_scaled_logistic(temperature, difference):
    """Com K = 2, τ logit(y₁) = log π₁ − log π₂ + g₁ − g₂, e a diferença de duas Gumbel é logística."""
    q = Categorical(torch.tensor([difference, 0.0], dtype=torch.float64))
    y = q.relaxed(temperature, copies(q).gumbel_noise(torch.Generator().manual_seed(0)))
    latent = temperature * (y[:, 0].log() - y[:, 1].log())
    assert_follows(latent[latent.isfinite()], lambda v: torch.sigmoid(v - difference))
    assert latent.isfinite().double().mean() > 0.999


@pytest.mark.parametrize("temperature", [1.5, 3.0])
def test_relaxed_samples_have_the_moments_of_the_concrete_density(temperature):
    """A densidade da eq. 1 de Maddison, Mnih e Teh (2017), K = 3, integrada no triângulo pela regra do ponto médio."""
    q = Categorical(torch.tensor([0.8, -0.3, 0.1], dtype=torch.float64))
    steps = 800
    ticks = (torch.arange(steps, dtype=torch.float64) + 1 / 3) / steps  # o baricentro de cada triangulinho
    first, second = torch.meshgrid(ticks, ticks, indexing="ij")
    points = torch.stack([first, second, 1 - first - second], -1).flatten(0, 1)
    points = torch.cat([points, points + torch.tensor([1, 1, -2]) / (3 * steps)])  # os de ponta para baixo
    points = points[points[:, 2] > 1e-9]
    log_kernel = (q.logits - (temperature + 1) * points.log()).sum(-1)
    log_normalizer = 3 * torch.logsumexp(q.logits - temperature * points.log(), -1)
    density = 2 * temperature**2 * (log_kernel - log_normalizer).exp() / (2 * steps**2)
    assert density.sum().item() == pytest.approx(1, abs=1e-3)
    y = q.relaxed(temperature, copies(q).gumbel_noise(torch.Generator().manual_seed(0)))
    for power in (1, 2):
        assert_mean_is(y**power, density @ points**power)


def test_noise_may_have_samples_in_front():
    q = random_categorical(4, 3)
    noise = torch.randn(7, 4, 3, dtype=torch.float64)
    y = q.relaxed(0.5, noise)
    assert y.shape == (7, 4, 3)
    torch.testing.assert_close(y[2], q.relaxed(0.5, noise[2]))


def test_without_noise_each_call_draws_its_own():
    torch.manual_seed(0)
    q = random_categorical(4, 3)
    assert not torch.equal(q.relaxed(1.0), q.relaxed(1.0))


def test_the_temperature_may_be_a_tensor_and_gets_a_gradient():
    q, temperature = random_categorical(4, 3), torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    noise = q.gumbel_noise()
    assert torch.equal(q.relaxed(temperature, noise), q.relaxed(0.7, noise))
    (gradient,) = torch.autograd.grad(q.relaxed(temperature, noise)[:, 0].sum(), temperature)
    step = (q.relaxed(0.7 + 1e-6, noise) - q.relaxed(0.7 - 1e-6, noise))[:, 0].sum() / 2e-6
    assert gradient.item() == pytest.approx(step.item(), rel=1e-6)


def test_straight_through_is_one_thing_forward_and_another_backward():
    soft = torch.tensor([0.1, 0.2, 0.7], requires_grad=True)
    value = straight_through_of(torch.tensor([0.0, 0.0, 1.0]), soft)
    assert value.tolist() == [0.0, 0.0, 1.0]
    assert torch.autograd.grad(value @ torch.tensor([1.0, 2.0, 3.0]), soft)[0].tolist() == [1.0, 2.0, 3.0]


def test_straight_through_loses_no_digit_of_the_value():
    """hard − soft + soft, na outra ordem, arredondaria um valor pequeno diante de um soft grande."""
    hard, soft = torch.tensor([1 / 3, 1e-6]), torch.tensor([1e6, -3e8])
    assert torch.equal(straight_through_of(hard, soft), hard)


# A divergência


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kl_matches_torch_distributions(dtype):
    q, p = random_categorical(6, 2, 5, seed=1, dtype=dtype), random_categorical(6, 2, 5, seed=2, dtype=dtype)
    expected = td.kl_divergence(td.Categorical(logits=q.logits), td.Categorical(logits=p.logits))
    assert expected.shape == (6, 2)
    torch.testing.assert_close(kl_divergence(q, p), expected)


@pytest.mark.parametrize("n_classes", [2, 10])
def test_kl_to_the_uniform_is_log_k_minus_the_entropy(n_classes):
    q = random_categorical(8, n_classes)
    entropy = -(q.mean * q.mean.log()).sum(-1)
    uniform = Categorical(torch.full((n_classes,), 3.0, dtype=torch.float64))
    torch.testing.assert_close(kl_divergence(q, uniform), math.log(n_classes) - entropy)


def test_kl_is_not_negative_is_zero_between_equals_and_at_most_log_k_to_the_uniform():
    q, p = random_categorical(1000, 5, seed=1, scale=5.0), random_categorical(1000, 5, seed=2, scale=5.0)
    assert (kl_divergence(q, p) > 0).all()
    assert (kl_divergence(q, q) == 0).all()
    assert (kl_divergence(q, Categorical(torch.zeros(5, dtype=torch.float64))) <= math.log(5) + 1e-12).all()


def test_kl_matches_monte_carlo():
    q, p = random_categorical(3, 4, seed=1, scale=1.0), random_categorical(3, 4, seed=2, scale=1.0)
    z = copies(q).sample(torch.Generator().manual_seed(0))
    assert_mean_is(q.log_prob(z) - p.log_prob(z), kl_divergence(q, p))


def test_kl_of_extreme_logits_and_its_gradient_are_finite():
    logits = torch.tensor([[1e4, 0.0, -1e4], [50.0, -50.0, 0.0]], requires_grad=True)
    kl = kl_divergence(Categorical(logits), Categorical(torch.zeros(3)))
    torch.testing.assert_close(kl, torch.full((2,), math.log(3)))
    assert torch.autograd.grad(kl.sum(), logits)[0].isfinite().all()


# Argumentos errados


@pytest.mark.parametrize("temperature", [0, 0.0, -1.0, math.nan], ids=str)
@pytest.mark.parametrize("wrap", [lambda t: t, torch.tensor], ids=["number", "tensor"])
def test_a_temperature_that_is_not_positive_is_refused(temperature, wrap):
    for call in (require_temperature, random_categorical(3).relaxed):
        with pytest.raises(
            ValueError, match=rf"temperature .* maior que zero, mas veio {temperature:g}\. .* hard=True"
        ):
            call(wrap(temperature))


@pytest.mark.parametrize("shape", [(0,), (2,), (3, 1)], ids=str)
def test_a_temperature_per_example_is_refused(shape):
    for call in (require_temperature, random_categorical(3, 2, 4).relaxed):
        with pytest.raises(ValueError, match=rf"tensor escalar, mas veio um tensor de forma {re.escape(str(shape))}"):
            call(torch.full(shape, 0.5))


def test_kl_between_families_is_refused():
    q = random_categorical(2, 3)
    for other in (Normal(torch.zeros(2), torch.zeros(2)), Bernoulli(torch.zeros(2))):
        with pytest.raises(TypeError, match=f"de Categorical para {type(other).__name__}"):
            kl_divergence(q, other)
        with pytest.raises(TypeError, match=f"de {type(other).__name__} para Categorical"):
            kl_divergence(other, q)
