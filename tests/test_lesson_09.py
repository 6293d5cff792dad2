"""Os exercícios da lição 09 e as fórmulas dela: respostas certas escritas de outro jeito, e erradas com nome."""

import math

import pytest
import torch
from answers import assert_right, assert_told, each_right, each_wrong
from lesson_code import written_in

diagonal_gap, merge_gaussians = written_in("09", "diagonal_gap", "merge_gaussians")


def kl(q_mean, q_var, p_mean, p_var):
    q, p = torch.distributions.Normal(q_mean, q_var.sqrt()), torch.distributions.Normal(p_mean, p_var.sqrt())
    return torch.distributions.kl_divergence(q, p)


def merged(m, v, prior_mean, prior_var):
    gain = prior_var / (prior_var + v)
    return prior_mean + gain * (m - prior_mean), (1 - gain) * prior_var


def by_covariance(x, a, noise_var):
    """ln p das leituras que existem, pela normal de todas elas."""
    seen = ~torch.isnan(x)
    steps = torch.arange(len(x))[seen]
    covariance = a ** (steps[:, None] - steps).abs().double() + noise_var * torch.eye(len(steps))
    zeros = torch.zeros(len(steps), dtype=torch.float64)
    return torch.distributions.MultivariateNormal(zeros, covariance).log_prob(x[seen])


def by_cholesky(n, steps, a, slow_share):
    lag = (torch.arange(steps)[:, None] - torch.arange(steps)).abs().double()
    covariance = slow_share + (1 - slow_share) * a**lag
    return torch.randn(n, steps).double() @ torch.linalg.cholesky(covariance).T


def filled_with_zero(x, a, noise_var):
    return by_covariance(torch.nan_to_num(x), a, noise_var)


def glued(x, a, noise_var):
    return by_covariance(x[~torch.isnan(x)], a, noise_var)


def filter_by_hand(x, a, noise_var, *, late=False, step_noise=1.0):
    state, total = torch.distributions.Normal(0.0, 1.0), 0.0
    for reading in x.tolist():
        if not math.isnan(reading):
            gain = state.variance / (state.variance + noise_var)
            joined = torch.distributions.Normal(
                state.mean + gain * (reading - state.mean), ((1 - gain) * state.variance).sqrt()
            )
            scored = joined if late else state
            total += torch.distributions.Normal(scored.mean, (scored.variance + noise_var).sqrt()).log_prob(
                torch.tensor(reading)
            )
            state = joined
        state = torch.distributions.Normal(a * state.mean, (a**2 * state.variance + step_noise * (1 - a**2)) ** 0.5)
    return total


def series(n, steps, a, share, *, step_noise=None, first=1.0):
    noise = (1 - a**2) ** 0.5 if step_noise is None else step_noise
    s, z = torch.randn(n, 1), [first * torch.randn(n)]
    for _ in range(steps - 1):
        z.append(a * z[-1] + noise * torch.randn(n))
    return share**0.5 * s + (1 - share) ** 0.5 * torch.stack(z, 1)


RIGHT = [
    ("09.1", lambda rho: [-math.log(1 - r**2) / 2 for r in rho.tolist()]),
    ("09.1", lambda rho: -0.5 * (torch.log(1 - rho) + torch.log(1 + rho))),
    ("09.2", lambda m, v: ((m / v).sum(0) / (1 / v).sum(0), v.reciprocal().sum(0).reciprocal())),
    ("09.2", lambda m, v: torch.stack([(m / v).sum(0) / (1 / v).sum(0), 1 / (1 / v).sum(0)])),
    ("09.3", lambda m, v, pm, pv: kl(*merged(m, v, pm, pv), pm, pv).sum(1)),
    ("09.4", by_covariance),
    ("09.4", filter_by_hand),
    ("09.5", by_cholesky),
    ("09.5", lambda n, steps, a, share: series(n, steps, a, share).double()),
]

WRONG = [
    ("09.1", lambda rho: 0.5 * (2 / (1 - rho**2) - 2 + torch.log(1 - rho**2)), "variâncias marginais"),
    ("09.1", lambda rho: -torch.log(1 - rho**2), "falta um ½"),
    ("09.1", lambda rho: -0.5 * torch.log2(1 - rho**2), "em bits"),
    ("09.1", lambda rho: -0.5 * torch.log(1 - rho.abs()), "ao quadrado"),
    ("09.1", lambda rho: -0.5 * torch.log(1 - rho), "ao quadrado"),
    ("09.1", lambda rho: -1.5 * torch.log(1 - rho**2), "se subtrai"),
    ("09.1", lambda rho: torch.zeros_like(rho), "sempre zero"),
    ("09.2", lambda m, v: (m.mean(0), 1 / (1 / v).sum(0)), "média das médias"),
    ("09.2", lambda m, v: ((v * m).sum(0) / v.sum(0), 1 / (1 / v).sum(0)), "pela variância"),
    ("09.2", lambda m, v: ((m / v).sum(0) / (1 / v).sum(0), v.sum(0)), "somou as variâncias"),
    ("09.2", lambda m, v: ((m / v).sum(0) / (1 / v).sum(0), (1 / v).sum(0)), "Falta invertê-la"),
    ("09.2", lambda m, v: ((m / v).sum(0) / (1 / v).sum(0), 1 / (1 / v).mean(0)), "média das precisões"),
    ("09.2", lambda m, v: ((m / v).sum(0), 1 / (1 / v).sum(0)), "dividida pela soma dos pesos"),
    ("09.2", lambda m, v: (m.mean(0), v.mean(0)), "médias simples"),
    ("09.3", lambda m, v, pm, pv: kl(m, v, pm, pv).sum(-1), "a KL da mensagem"),
    ("09.3", lambda m, v, pm, pv: kl(m, v, 0 * m, 1 + 0 * v).sum(-1), "a KL da mensagem até N(0, I)"),
    ("09.3", lambda m, v, pm, pv: kl(*merged(m, v, pm, pv), 0 * m, 1 + 0 * v).sum(-1), "comparou com N(0, I)"),
    ("09.3", lambda m, v, pm, pv: kl(pm, pv, *merged(m, v, pm, pv)).sum(-1), "estão trocadas"),
    ("09.3", lambda m, v, pm, pv: kl(*merged(m, v, pm, pv), m, v).sum(-1), "até a mensagem"),
    ("09.3", lambda m, v, pm, pv: kl((m + pm) / 2, merged(m, v, pm, pv)[1], pm, pv).sum(-1), "média das médias"),
    ("09.3", lambda m, v, pm, pv: kl(*merged(m, v, pm, pv), pm, pv).mean(-1), "sobre as dimensões"),
    ("09.4", filled_with_zero, "pôs zero"),
    ("09.4", glued, "pulou os dias"),
    ("09.4", lambda x, a, r: by_covariance(x, a, r) / (~x.isnan()).sum(), "média por leitura"),
    ("09.4", lambda x, a, r: by_covariance(x, a, r**2), "já é a variância"),
    ("09.4", lambda x, a, r: filter_by_hand(x, a, r, late=True), "depois de juntá-la"),
    ("09.4", lambda x, a, r: filter_by_hand(x, a, r, step_noise=0.0), "o ruído do passo"),
    ("09.5", lambda n, t, a, p: series(n, t, a, p, first=0.0), "começa em zero"),
    ("09.5", lambda n, t, a, p: series(n, t, a, p, step_noise=1.0), "tem variância 1"),
    ("09.5", lambda n, t, a, p: series(n, t, a, p, step_noise=1 - a**2), "o desvio padrão, a raiz"),
    ("09.5", lambda n, t, a, p: p * torch.randn(n, 1) + (1 - p) * series(n, t, a, 0.0), "são as raízes"),
    ("09.5", lambda n, t, a, p: series(n, t, a, 1 - p), "estão trocadas"),
    ("09.5", lambda n, t, a, p: series(n, t, 0.0, p), "são independentes"),
    ("09.5", lambda n, t, a, p: p**0.5 * torch.randn(n, t) + (1 - p) ** 0.5 * series(n, t, a, 0.0), "a cada passo"),
]


@each_right(RIGHT)
def test_another_way_to_write_a_right_answer_passes(exercise_id, answer):
    assert_right(exercise_id, answer)


@each_wrong(WRONG)
def test_a_wrong_answer_that_students_give_has_a_name(exercise_id, answer, reason):
    assert_told(exercise_id, answer, reason)


# As funções que a lição define


def test_merging_is_the_product_of_the_densities():
    grid = torch.linspace(-8, 8, 2001, dtype=torch.float64)
    a, b = torch.distributions.Normal(-1.0, 1.5), torch.distributions.Normal(2.0, 0.5)
    product = (a.log_prob(grid) + b.log_prob(grid)).softmax(0)
    mean, variance = merge_gaussians(-1.0, 1.5**2, 2.0, 0.25)
    assert (product * grid).sum() == pytest.approx(mean, abs=1e-6)
    assert (product * (grid - mean) ** 2).sum() == pytest.approx(variance, abs=1e-6)


def test_merging_broadcasts_takes_gradients_and_accepts_who_knows_nothing():
    mean_a = torch.tensor([[0.0], [1.0]], dtype=torch.float64, requires_grad=True)
    nothing = torch.tensor(math.inf)
    mean, variance = merge_gaussians(mean_a, torch.tensor(2.0), torch.tensor([5.0, 7.0, 9.0]), nothing)
    assert torch.equal(mean, mean_a.expand(2, 3))
    assert (variance == 2).all()
    mean.sum().backward()
    assert torch.equal(mean_a.grad, torch.full_like(mean_a, 3.0))
    assert merge_gaussians(0.0, 1.0, 3.0, math.inf) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("a", "noise_var", "gap"), [(0.5, 0.5, 0.403), (0.9, 0.5, 2.923), (0.99, 0.5, 6.596), (0.9, 0.1, 0.762)]
)
def test_the_price_of_mean_field_on_a_series(a, noise_var, gap):
    lag = (torch.arange(24)[:, None] - torch.arange(24)).abs().double()
    precision = torch.linalg.inv(a**lag) + torch.eye(24).double() / noise_var
    assert diagonal_gap(precision).item() == pytest.approx(gap, abs=5e-4)


def test_the_gap_is_zero_for_a_diagonal_precision_and_the_same_in_any_units():
    square = torch.randn(5, 5, generator=torch.Generator().manual_seed(0)).double()
    precision, units = square @ square.T + torch.eye(5), torch.diag(torch.tensor([0.1, 1, 2, 5, 30]).double())
    assert diagonal_gap(torch.diag(precision.diagonal())).item() == pytest.approx(0, abs=1e-12)
    assert diagonal_gap(units @ precision @ units).item() == pytest.approx(diagonal_gap(precision).item(), abs=1e-10)
