"""Os estimadores de latentes discretos contra a soma escrita à mão, a quadratura e, depois deles, a enumeração."""

import itertools
import math
from functools import partial

import pytest
import torch

from vae_lessons.distributions import Categorical, Normal
from vae_lessons.estimators import exact, gradient_moments, gumbel_softmax, pathwise, score_function, straight_through

REPEATS = 100_000
RELAXED = [partial(gumbel_softmax, temperature=0.7), partial(gumbel_softmax, temperature=0.7, hard=True)]
ESTIMATORS = {
    "score_function": score_function,
    "leave_one_out": partial(score_function, n_samples=3, baseline="leave_one_out"),
    "gumbel_softmax": RELAXED[0],
    "hard gumbel_softmax": RELAXED[1],
    "straight_through": straight_through,
    "exact": exact,
}


def categorical(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Categorical(torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_())


def gradient(estimate, q):
    return torch.autograd.grad(estimate.surrogate.sum(), q.logits)[0]


def repeated(q, n=REPEATS):
    """n cópias independentes de q [N, K] como folhas: um gradiente por cópia."""
    return Categorical(q.logits.detach().expand(n, *q.logits.shape).clone().requires_grad_())


def assert_mean_is(samples, expected):
    standard_error = samples.std(0) / math.sqrt(len(samples))
    assert ((samples.mean(0) - expected).abs() <= 4.2 * standard_error + 1e-12).all()


def assert_mean_is_not(samples, expected):
    standard_error = samples.std(0) / math.sqrt(len(samples))
    assert ((samples.mean(0) - expected).abs() > 10 * standard_error).any()


MATRIX = torch.randn(6, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def quadratic(z):
    """Um polinômio de grau 2 nos números de z [..., N, K], com os quadrados."""
    code = z.flatten(-2)
    return (code @ MATRIX[: code.shape[-1], : code.shape[-1]] * code).sum(-1) + 0.3 * code.pow(3).sum(-1)


def multilinear(z):
    """Afim em cada categórica [..., 2, K] com a outra fixa: z₁ᵀ A z₂ e um termo linear."""
    first, second = z[..., 0, :], z[..., 1, :]
    size = z.shape[-1]
    return (first @ MATRIX[:size, :size] * second).sum(-1) + (second * MATRIX[0, :size]).sum(-1) + 0.4


def table(codes):
    """Um número qualquer para cada código, que não vem de nenhuma conta diferenciável."""
    return torch.sin(3.7 * codes.double() + 1) + (codes % 2)


def step(z):
    """f em degraus: z [..., N, K] → índice do código → table."""
    n_classes = z.shape[-1]
    place = n_classes ** torch.arange(z.shape[-2])
    return table((z.detach().argmax(-1) * place).sum(-1))


# A enumeração


@pytest.mark.parametrize(("n_latents", "n_classes"), [(1, 2), (1, 6), (2, 3), (3, 2)])
def test_enumeration_is_the_sum_over_codes_and_so_is_its_gradient(n_latents, n_classes):
    q = categorical(4, n_latents, n_classes)
    expected = torch.zeros(4, dtype=torch.float64)
    for code in itertools.product(range(n_classes), repeat=n_latents):
        for b in range(4):
            probability = math.prod(q.mean[b, n, k] for n, k in enumerate(code))
            z = torch.eye(n_classes, dtype=torch.float64)[list(code)]
            expected[b] = expected[b] + probability * quadratic(z)
    value, surrogate = exact(quadratic, q)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
    by_hand = torch.autograd.grad(expected.sum(), q.logits)[0]
    torch.testing.assert_close(torch.autograd.grad(surrogate.sum(), q.logits)[0], by_hand, rtol=1e-12, atol=1e-12)


def test_enumeration_of_one_categorical_per_example_has_no_axis_of_latents():
    q, values = categorical(4, 5), torch.randn(4, 5, dtype=torch.float64)
    seen = []

    def f(z):
        seen.append(z.shape)
        return (z * values).sum(-1)

    value = exact(f, q).value
    torch.testing.assert_close(value, (q.mean * values).sum(-1), rtol=1e-12, atol=1e-12)
    assert seen[-1] == (5, 4, 5)
    with_axis = exact(lambda z: (z.squeeze(-2) * values).sum(-1), Categorical(q.logits[:, None])).value
    torch.testing.assert_close(with_axis, value, rtol=1e-12, atol=1e-12)


def test_enumeration_of_a_lone_categorical_gives_one_number():
    q, values = categorical(5), torch.randn(5, dtype=torch.float64)
    value = exact(lambda z: (z * values).sum(-1), q).value
    assert value.shape == ()
    torch.testing.assert_close(value, q.mean @ values, rtol=1e-12, atol=1e-12)


def test_enumeration_hands_every_code_to_f_once_and_exactly_one_hot():
    seen = []

    def f(z):
        seen.append(z)
        return z.sum((-1, -2))

    exact(f, categorical(2, 3, 4))
    codes = seen[-1]
    assert codes.shape == (64, 2, 3, 4)
    assert torch.equal(codes.sum(-1), torch.ones(64, 2, 3, dtype=torch.float64))
    assert ((codes == 0) | (codes == 1)).all()
    assert len({tuple(code.argmax(-1).flatten().tolist()) for code in codes}) == 64


def test_enumeration_does_not_need_a_differentiable_f():
    q = categorical(3, 2, 3)
    value, surrogate = exact(step, q)
    joint = (q.mean[:, 1, :, None] * q.mean[:, 0, None, :]).flatten(1)  # o código é 3·z₂ + z₁
    expected = joint @ table(torch.arange(9))
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
    by_hand = torch.autograd.grad(expected.sum(), q.logits)[0]
    torch.testing.assert_close(torch.autograd.grad(surrogate.sum(), q.logits)[0], by_hand, rtol=1e-12, atol=1e-12)


def test_enumeration_has_no_samples_so_their_number_and_the_seed_change_nothing():
    q = categorical(3, 2, 3)
    state = torch.get_rng_state()
    assert torch.equal(exact(quadratic, q).value, exact(quadratic, q, 7).value)
    assert torch.equal(torch.get_rng_state(), state)
    moments = gradient_moments(exact, quadratic, q, repeats=5)
    assert moments.variance.logits.max() < 1e-25
    torch.testing.assert_close(moments.mean.logits, gradient(exact(quadratic, q), q))


def test_certainty_has_no_gradient():
    """Com π degenerada, E_q[f] é f no único código, e mexer um pouco nos logits não muda nada."""
    q = Categorical((200 * torch.eye(3, dtype=torch.float64)[None, :2]).requires_grad_())
    estimate = exact(quadratic, q)
    assert estimate.value.item() == pytest.approx(quadratic(torch.eye(3, dtype=torch.float64)[:2]).item(), abs=1e-12)
    assert gradient(estimate, q).abs().max() < 1e-12


# Os que não têm viés


@pytest.mark.parametrize("name", ["score_function", "leave_one_out"])
@pytest.mark.parametrize("f", [quadratic, step], ids=["smooth", "steps"])
@pytest.mark.parametrize("shape", [(2, 3), (1, 5), (3, 2)], ids=str)
def test_the_score_function_has_the_exact_gradient_as_mean(name, f, shape):
    torch.manual_seed(0)
    q = categorical(*shape)
    expected = gradient(exact(f, Categorical(q.logits[None])), q)
    copies = repeated(q)
    assert_mean_is(gradient(ESTIMATORS[name](f, copies), copies), expected)


def test_leave_one_out_ignores_a_constant_added_to_f():
    q, gradients = categorical(20, 2, 3), []
    for constant in (0.0, 1000.0):
        torch.manual_seed(0)
        estimate = score_function(lambda z, c=constant: quadratic(z) + c, q, 4, baseline="leave_one_out")
        gradients.append(gradient(estimate, q))
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-9)


@pytest.mark.parametrize("shape", [(2, 3), (2, 2)], ids=str)
def test_straight_through_has_no_bias_when_f_is_multilinear(shape):
    torch.manual_seed(0)
    q = categorical(*shape)
    expected = gradient(exact(multilinear, Categorical(q.logits[None])), q)
    copies = repeated(q)
    assert_mean_is(gradient(straight_through(multilinear, copies), copies), expected)


def test_straight_through_gives_the_gradient_of_f_at_the_sample_times_that_of_pi():
    """Sob f(z) = Σ a_k z_k², em que o quadrado não muda one-hots, E dá Σ a_k 2π_k ∂π_k e o certo é Σ a_k ∂π_k."""
    torch.manual_seed(0)
    q, a = categorical(1, 4), torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    copies = repeated(q)
    estimates = gradient(straight_through(lambda z: (a * z.square()).sum((-1, -2)), copies), copies)
    jacobian = torch.diag(q.mean[0]) - torch.outer(q.mean[0], q.mean[0])
    assert_mean_is(estimates[:, 0], (2 * a * q.mean[0] @ jacobian).detach())
    assert_mean_is_not(estimates[:, 0], (a @ jacobian).detach())


# O gradiente da relaxação


def relaxed_quadrature(logit, temperature, f):
    """E[f(y₁)] e a derivada em ℓ₁ com K = 2: y₁ = σ((ℓ₁ − ℓ₂ + v)/τ), e v logística, pela regra do trapézio."""
    logit = torch.tensor(logit, dtype=torch.float64, requires_grad=True)
    v = torch.linspace(-45, 45, 200_001, dtype=torch.float64)
    density = torch.sigmoid(v) * torch.sigmoid(-v)
    y = torch.sigmoid((logit + v) / temperature)
    mean = torch.trapezoid(density * f(y), v)
    return mean.item(), torch.autograd.grad(mean, logit)[0].item()


def in_two_classes(z):
    """(y₁ − 0,3)² para z [..., 1, 2]."""
    return (z[..., 0, 0] - 0.3).square()


def two_classes(logit, n=REPEATS):
    return repeated(Categorical(torch.tensor([[logit, 0.0]], dtype=torch.float64)), n)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 5.0])
@pytest.mark.parametrize("logit", [0.0, 1.5, -0.7])
def test_gumbel_softmax_has_the_gradient_of_the_relaxed_expectation(temperature, logit):
    torch.manual_seed(0)
    _, slope = relaxed_quadrature(logit, temperature, lambda y: (y - 0.3).square())
    q = two_classes(logit)
    estimates = gradient(gumbel_softmax(in_two_classes, q, temperature=temperature), q)[:, 0]
    assert_mean_is(estimates, torch.tensor([slope, -slope], dtype=torch.float64))


def bias(logit, temperature):
    """Do gradiente da relaxação em ℓ₁, por quadratura, frente ao verdadeiro: π₁π₂ (0,7² − 0,3²)."""
    probability = torch.sigmoid(torch.tensor(logit, dtype=torch.float64)).item()
    _, slope = relaxed_quadrature(logit, temperature, lambda y: (y - 0.3).square())
    return slope - probability * (1 - probability) * (0.7**2 - 0.3**2)


def test_the_bias_of_the_relaxation_vanishes_as_the_temperature_falls():
    """Como τ² se as duas classes forem iguais; como τ, se não. No segundo caso ele troca de sinal no caminho."""
    equal = [bias(0.0, temperature) for temperature in (2.0, 1.0, 0.5, 0.25, 0.125, 0.0625)]
    assert all(hotter < colder < 0 for hotter, colder in itertools.pairwise(equal))
    assert equal[-2] / equal[-1] == pytest.approx(4, rel=0.05)
    unequal = [bias(0.8, temperature) for temperature in (2.0, 0.5, 0.125, 0.0625, 0.03125)]
    assert unequal[0] < 0 < unequal[1]
    assert unequal[-2] / unequal[-1] == pytest.approx(2, rel=0.05)


def test_colder_means_more_variance():
    """Com τ pequeno, o gradiente é da ordem de 1/τ numa fração τ dos sorteios, e quase zero nos outros."""
    torch.manual_seed(0)
    variances = []
    for temperature in (2.0, 1.0, 0.5, 0.25, 0.125):
        q = two_classes(0.8)
        estimate = gumbel_softmax(in_two_classes, q, temperature=temperature)
        variances.append(gradient(estimate, q)[:, 0, 0].var().item())
    assert all(colder > hotter for hotter, colder in itertools.pairwise(variances))
    assert variances[-1] / variances[-2] == pytest.approx(2, rel=0.2)


def test_hard_gumbel_softmax_differentiates_f_at_the_one_hot():
    """f'(z) no one-hot vezes ∂y: com f(y₁) = y₁³ e z₁ ∈ {0, 1}, só as amostras com z₁ = 1 contam, com f' = 3."""
    temperature, logit = 0.7, 0.4
    v = torch.linspace(-45, 45, 200_001, dtype=torch.float64)
    y = torch.sigmoid((logit + v) / temperature)
    density = torch.sigmoid(v) * torch.sigmoid(-v) * (v > -logit)
    expected = torch.trapezoid(density * 3 * y * (1 - y) / temperature, v)
    torch.manual_seed(0)
    q = two_classes(logit)
    estimate = gumbel_softmax(lambda z: z[..., 0, 0].pow(3), q, temperature=temperature, hard=True)
    assert_mean_is(gradient(estimate, q)[:, 0, 0], expected)


def test_at_the_same_noise_hard_and_soft_have_the_same_value_and_other_gradients():
    q = categorical(50, 2, 3)
    estimates = []
    for hard in (False, True):
        torch.manual_seed(0)
        estimates.append(gumbel_softmax(quadratic, q, 3, temperature=0.8, hard=hard))
    torch.testing.assert_close(estimates[0].value, estimates[1].value, rtol=1e-12, atol=1e-12)
    soft, hard = (gradient(estimate, q) for estimate in estimates)
    assert (soft - hard).abs().max() > 0.05


# O que todos prometem


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_value_estimates_the_expectation_without_bias(name):
    torch.manual_seed(0)
    q = categorical(2, 3)
    expected = exact(quadratic, Categorical(q.logits[None])).value.item()
    value, surrogate = ESTIMATORS[name](quadratic, repeated(q))
    torch.testing.assert_close(surrogate, value)
    assert_mean_is(value, expected)
    assert not torch.equal(value, value[0].expand_as(value)) or name == "exact"


def test_the_relaxed_value_would_have_been_biased():
    """Sob τ = 5, E[f(y)] está longe de E_q[f(z)]: o `value` de gumbel_softmax não pode vir dela."""
    torch.manual_seed(0)
    q = two_classes(1.0)
    relaxed, _ = relaxed_quadrature(1.0, 5.0, lambda y: (y - 0.3).square())
    value = gumbel_softmax(in_two_classes, q, temperature=5.0).value.detach()
    assert_mean_is_not(value, relaxed)
    probability = torch.sigmoid(torch.tensor(1.0)).item()
    assert_mean_is(value, probability * 0.49 + (1 - probability) * 0.09)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_value_comes_from_f_at_one_hots(name):
    """Uma f que é NaN fora dos vértices do simplex não estraga o valor."""

    def f(z):
        return torch.where(((z == 0) | (z == 1)).all(-1).all(-1), quadratic(z), math.nan)

    value = ESTIMATORS[name](f, categorical(20, 2, 3)).value
    assert value.shape == (20,)
    assert value.isfinite().all()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_categorical_per_example_needs_no_axis_of_latents(name):
    torch.manual_seed(0)
    q, values = categorical(6, 4), torch.randn(6, 4, dtype=torch.float64)
    estimate = ESTIMATORS[name](lambda z: (z * values).sum(-1), q)
    assert estimate.value.shape == estimate.surrogate.shape == (6,)
    assert gradient(estimate, q).shape == (6, 4)


@pytest.mark.parametrize("name", ["score_function", "gumbel_softmax", "hard gumbel_softmax", "straight_through"])
def test_an_estimate_is_the_mean_over_independent_samples(name):
    torch.manual_seed(0)
    q = categorical(2, 3)
    estimator = ESTIMATORS[name]
    variances = []
    for n_samples in (1, 8):
        copies = repeated(q, 40_000)
        estimate = estimator(quadratic, copies, n_samples)
        variances.append((estimate.value.var(), gradient(estimate, copies).var(0).sum()))
    for one, eight in zip(*variances, strict=True):
        assert (one / eight).item() == pytest.approx(8, rel=0.1)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_parameters_of_f_get_a_gradient_too(name):
    """Sob f linear em θ, E[∂f/∂θ] é E[z], que é π em todos eles; na relaxação, é E[y], e não π."""
    torch.manual_seed(0)
    theta = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    q = categorical(2, 3)
    estimate = ESTIMATORS[name](lambda z: (z * theta).sum((-1, -2)), Categorical(q.logits.expand(REPEATS, 2, 3)))
    (by_theta,) = torch.autograd.grad(estimate.surrogate.mean(), theta)
    error = 5 * (0.25 / REPEATS) ** 0.5
    if name == "gumbel_softmax":
        relaxed = q.relaxed(0.7, Categorical(q.logits.expand(REPEATS, 2, 3)).gumbel_noise()).mean(0)
        torch.testing.assert_close(by_theta, relaxed, rtol=0, atol=2 * error)
        assert (by_theta - q.mean).abs().max() > 4 * error
    else:
        torch.testing.assert_close(by_theta, q.mean, rtol=0, atol=error)


@pytest.mark.parametrize("hard", [False, True])
def test_the_temperature_may_be_a_tensor(hard):
    q, gradients = categorical(30, 2, 3), []
    for temperature in (0.4, torch.tensor(0.4, dtype=torch.float64)):
        torch.manual_seed(0)
        gradients.append(gradient(gumbel_softmax(quadratic, q, temperature=temperature, hard=hard), q))
    assert torch.equal(*gradients)


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name != "exact"])
def test_moments_of_the_gradient_match_the_spread_of_single_gradients(name):
    torch.manual_seed(0)
    q = categorical(1, 2, 3)
    moments = gradient_moments(ESTIMATORS[name], quadratic, q, repeats=40_000)
    copies = repeated(Categorical(q.logits[0]), 40_000)
    single = gradient(ESTIMATORS[name](quadratic, copies), copies)
    assert moments.mean.logits.shape == (1, 2, 3)
    error = 5 * math.sqrt(2) * moments.standard_error.logits[0]
    assert ((moments.mean.logits[0] - single.mean(0)).abs() < error).all()
    error = 5 * math.sqrt(2) * moments.variance_standard_error.logits[0]
    assert ((moments.variance.logits[0] - single.var(0)).abs() < error).all()


# Argumentos errados


def test_pathwise_names_the_estimators_for_what_cannot_be_reparametrized():
    with pytest.raises(TypeError, match=r"Categorical não tem `rsample`.*gumbel_softmax ou straight_through"):
        pathwise(quadratic, categorical(4, 2, 3))


@pytest.mark.parametrize(
    ("name", "estimator"), [("gumbel_softmax", RELAXED[0]), ("straight_through", straight_through)]
)
def test_discrete_estimators_refuse_a_normal(name, estimator):
    q = Normal(torch.zeros(4, 2), torch.zeros(4, 2))
    with pytest.raises(TypeError, match=f"{name} serve para latentes discretos.*mas q é Normal.*use pathwise"):
        estimator(lambda z: z.sum(-1), q)


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("temperature", [0.0, -0.5, math.nan])
@pytest.mark.parametrize("wrap", [float, torch.tensor], ids=["number", "tensor"])
def test_a_temperature_that_is_not_positive_is_refused_before_f_is_called(temperature, wrap, hard):
    with pytest.raises(ValueError, match=f"maior que zero, mas veio {temperature:g}"):
        gumbel_softmax(None, categorical(4, 2, 3), temperature=wrap(temperature), hard=hard)


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name != "exact"])
@pytest.mark.parametrize("n_samples", [0, -1])
def test_fewer_than_one_sample_is_refused(name, n_samples):
    with pytest.raises(ValueError, match=f"n_samples deve ser ao menos 1 .* mas veio {n_samples}"):
        ESTIMATORS[name](quadratic, categorical(4, 2, 3), n_samples=n_samples)


@pytest.mark.parametrize("f", [lambda z: z, lambda z: z.sum(), lambda z: z.sum(1).sum(-1), lambda z: 3.0])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_f_must_give_one_value_per_sample_and_example(name, f):
    with pytest.raises(ValueError, match=r"f deve levar z \[\.\.\., N, K\] .* esperava-se a forma"):
        ESTIMATORS[name](f, categorical(4, 2, 3))


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name != "exact"])
def test_a_lone_categorical_still_needs_one_value_per_sample(name):
    with pytest.raises(ValueError, match=r"mas veio a forma \(\)"):
        ESTIMATORS[name](lambda z: z.sum(), categorical(4))


@pytest.mark.parametrize(
    ("n_latents", "n_classes", "fits"), [(5, 10, True), (16, 2, True), (6, 10, False), (17, 2, False)]
)
def test_enumeration_refuses_more_than_a_hundred_thousand_codes(n_latents, n_classes, fits):
    q = Categorical(torch.zeros(1, n_latents, n_classes))

    def f(z):
        return z[..., 0].sum(-1)

    if fits:
        assert exact(f, q).value.item() == pytest.approx(n_latents / n_classes, rel=1e-4)
    else:
        with pytest.raises(ValueError, match=rf"K\^N = {n_classes}\^{n_latents} passa de 100000.*gumbel_softmax"):
            exact(f, q)
