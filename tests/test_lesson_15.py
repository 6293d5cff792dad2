"""A lição 15: as funções que ela escreve, e os exercícios, com respostas certas de outro jeito e erradas com nome."""

import math
from itertools import pairwise

import pytest
import torch
from answers import assert_right, assert_told, each_right, each_wrong
from lesson_code import written_in
from scipy import integrate
from torch.nn import functional as F

from vae_lessons.distributions import Normal, kl_divergence

KNOWN = {"pairwise": pairwise, "Normal": Normal}
levels, step_back, gaussian_excess = written_in("15", "levels", "step_back", "gaussian_excess", **KNOWN)
NAMES = "mlp", "Autoregressive", "mixture_log_p", "mixture_sample", "Flow", "Made", "parzen_nats"
_, Autoregressive, mixture_log_p, mixture_sample, Flow, Made, parzen_nats = written_in("15", *NAMES, **KNOWN)


# As funções da lição


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_signal_and_noise_share_a_unit_of_variance_and_their_ratio_is_the_snr(dtype):
    log_snr = torch.linspace(-8, 8, 33, dtype=dtype)
    alpha, sigma = levels(log_snr)
    assert torch.allclose(alpha**2 + sigma**2, torch.ones(33, dtype=dtype))
    assert torch.allclose((alpha / sigma).log() * 2, log_snr, atol=1e-3)


@pytest.mark.parametrize(("s", "t"), [(3.0, 1.0), (0.5, -2.0), (6.0, 5.9)])
def test_one_step_back_is_bayes_rule(s, t):
    """q(z_s|z_t, x) contra a densidade conjunta de z_s e z_t, ponto a ponto."""
    s, t = torch.tensor([s, t], dtype=torch.float64)
    (alpha_s, sigma_s), (alpha_t, sigma_t) = levels(s), levels(t)
    a, c, v = step_back(s, t)
    x, z_t = 0.7, -0.4
    z_s = torch.linspace(-6, 6, 20_001, dtype=torch.float64)
    ratio = alpha_t / alpha_s
    fresh = sigma_t**2 - ratio**2 * sigma_s**2
    log_joint = Normal(alpha_s * x, (sigma_s**2).log()).log_prob(z_s) + Normal(ratio * z_s, fresh.log()).log_prob(z_t)
    weights = log_joint.softmax(0)
    mean = weights @ z_s
    assert mean.item() == pytest.approx((a * z_t + c * x).item(), abs=1e-6)
    assert (weights @ (z_s - mean) ** 2).item() == pytest.approx(v.item(), rel=1e-5)


def test_the_excess_of_gaussian_data_falls_as_one_over_the_steps():
    """Os números de uma conta independente, com log SNR de 6 a −6."""
    known = {1: 198.2144, 2: 98.1047, 4: 11.3377, 8: 3.0973, 16: 1.1901, 32: 0.5267, 64: 0.2484, 256: 0.0595}
    for T, excess in known.items():
        assert gaussian_excess(T, 1.0, False) == pytest.approx(excess, abs=1e-4)
    assert gaussian_excess(512, 1.0, False) / gaussian_excess(1024, 1.0, False) == pytest.approx(2, abs=0.02)


@pytest.mark.parametrize("s2", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("T", [1, 3, 64])
def test_with_the_best_variance_no_excess_is_left_but_that_of_the_last_level(T, s2):
    variance = s2 * torch.tensor(-6.0).sigmoid().item() + torch.tensor(6.0).sigmoid().item()
    left = 0.5 * (variance - 1 - math.log(variance))
    assert gaussian_excess(T, s2, True) == pytest.approx(left, abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_mixture_integrates_to_one_and_its_samples_have_its_mean(dtype):
    torch.manual_seed(0)
    parameters = torch.randn(1, 24, dtype=dtype)
    x = torch.linspace(-30, 30, 60_001, dtype=dtype)[:, None]
    density = mixture_log_p(parameters.expand(len(x), -1), x).exp()
    assert torch.trapezoid(density, x[:, 0]).item() == pytest.approx(1, abs=1e-3)
    samples = mixture_sample(parameters.float().expand(40_000, -1))
    assert samples.mean().item() == pytest.approx(torch.trapezoid(density * x[:, 0], x[:, 0]).item(), abs=0.1)


@pytest.mark.parametrize("make", [Autoregressive, Flow])
def test_an_untrained_model_already_has_mass_one(make):
    torch.manual_seed(0)
    model = make(width=8)
    ticks = torch.linspace(-8, 8, 801)
    with torch.no_grad():
        total = model.log_prob(torch.cartesian_prod(ticks, ticks)).exp().sum() * 0.02**2
    assert total.item() == pytest.approx(1, abs=5e-3)


def test_the_flow_comes_back_and_its_log_det_is_that_of_the_jacobian():
    torch.manual_seed(0)
    flow, x = Flow(width=8, n_layers=3).double(), torch.randn(6, 2).double()
    z, log_det = flow.to_noise(x)
    assert torch.allclose(flow.to_data(z), x)
    for row, expected in zip(x, log_det, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda v: flow.to_noise(v[None])[0][0], row)
        assert jacobian.slogdet().logabsdet.item() == pytest.approx(expected.item(), abs=1e-9)


def test_no_pixel_of_made_sees_itself_or_what_comes_after():
    torch.manual_seed(0)
    model, x = Made(D=12, width=30).double(), torch.rand(12, dtype=torch.float64)
    seen = torch.autograd.functional.jacobian(model.logits, x)
    assert seen.triu().abs().max() == 0
    assert (seen.tril(-1).abs() > 0).double().mean() > 0.3


def test_made_is_a_distribution_over_all_images():
    torch.manual_seed(0)
    model = Made(D=8, width=20).double()
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * 8)
    assert (-model.nats(every)).exp().sum().item() == pytest.approx(1, abs=1e-9)


def test_a_parzen_window_is_a_mixture_with_a_normal_on_each_sample():
    torch.manual_seed(0)
    samples, x, h = torch.randn(7, 2).double(), torch.randn(4, 2).double(), 0.3
    each = Normal(samples, torch.full_like(samples, 2 * math.log(h))).log_prob(x[:, None]).sum(-1)
    assert torch.allclose(parzen_nats(samples, x, h), math.log(7) - each.logsumexp(1))


# Os exercícios


def by_scipy(log_prob, side, n):
    def density(b, a):
        return log_prob(torch.tensor([[a, b]], dtype=torch.float64)).exp().item()

    return integrate.dblquad(density, -side, side, -side, side, epsabs=1e-3)[0]


def by_trapezoids(log_prob, side=4.0, n=200):
    ticks = torch.linspace(-side, side, n + 1)
    density = log_prob(torch.cartesian_prod(ticks, ticks)).exp().view(n + 1, n + 1)
    return torch.trapezoid(torch.trapezoid(density, ticks), ticks)


def by_two_kls(snr_s, snr_t):
    """Da KL de duas normais de mesma variância, com um erro de uma unidade no ruído."""
    s, t = snr_s.log(), snr_t.log()
    _, c, v = step_back(s, t)
    alpha, sigma = levels(t)
    return kl_divergence(Normal(torch.zeros_like(v), v.log()), Normal(c * sigma / alpha, v.log()))


def by_angles(denoise, z, log_snrs):
    """Guardando o ruído suposto, e não z."""
    t = log_snrs[-1]
    for s in log_snrs.flip(0)[1:]:
        guess = denoise(z, t.expand(len(z), 1))
        noise = (z - t.sigmoid().sqrt() * guess) * (1 + t.exp()).sqrt()
        z, t = s.sigmoid().sqrt() * guess + noise / (1 + s.exp()).sqrt(), s
    return denoise(z, torch.full((len(z), 1), t.item(), dtype=z.dtype))


def by_the_definition(r_real, r_fake):
    """JS = ½ E_p[log p/m] + ½ E_g[log g/m], com p/m = 2/(1 + e^(−r))."""
    real = (2 / (1 + (-r_real).exp())).log().mean()
    return (real + (2 / (1 + r_fake.exp())).log().mean()) / 2


def middle(log_prob, side, n, power):
    width = 2 * side / n
    ticks = -side + width * (torch.arange(n) + 0.5)
    return log_prob(torch.cartesian_prod(ticks, ticks)).exp().sum() * width**power


def from_level_to_level(denoise, z, log_snrs, step, last=True):
    for t, s in pairwise(log_snrs.flip(0)):
        z = step(z, denoise(z, t.expand(len(z), 1)), *levels(t), *levels(s))
    return denoise(z, log_snrs[0].expand(len(z), 1)) if last else z


def ddim(z, guess, alpha_t, sigma_t, alpha_s, sigma_s):
    return alpha_s * guess + sigma_s / sigma_t * (z - alpha_t * guess)


def down_by_the_means(denoise, z, log_snrs):
    for t, s in pairwise(log_snrs.flip(0)):
        a, c, _ = step_back(s, t)
        z = a * z + c * denoise(z, t.expand(len(z), 1))
    return denoise(z, log_snrs[0].expand(len(z), 1))


RIGHT = [
    ("15.1", by_trapezoids),
    ("15.2", by_two_kls),
    ("15.2", lambda s, t: (s - t) / (2 * t)),
    ("15.2", lambda s, t: torch.expm1(s.log() - t.log()) / 2),
    ("15.3", by_angles),
    ("15.3", lambda f, z, ls: from_level_to_level(f, z, ls, ddim)),
    ("15.4", by_the_definition),
    ("15.5", lambda nats, d, n: nats / d / math.log(2) + math.log2(n)),
]

WRONG = [
    ("15.1", lambda f, side, n: middle(f, side, n, 0), "falta multiplicar cada ponto"),
    ("15.1", lambda f, side, n: middle(f, side, n, 1), "o quadrado dele"),
    ("15.1", lambda f, side, n: middle(f, side, n, 2).log(), "logaritmo da massa"),
    ("15.1", lambda f, side, n: middle(f, side, n, 2) / (2 * side) ** 2, "tirou a média"),
    ("15.2", lambda s, t: (s - t) / 2, "peso do erro em x"),
    ("15.2", lambda s, t: (s - t) * t / 2, "trocou α/σ"),
    ("15.2", lambda s, t: (1 - t / s) / 2, "a SNR de s"),
    ("15.2", lambda s, t: s / t - 1, "falta o ½"),
    ("15.3", lambda f, z, ls: from_level_to_level(f, z, ls, ddim, last=False), "ainda tem ruído"),
    ("15.3", lambda f, z, ls: from_level_to_level(f, z, ls.flip(0), ddim), "do limpo ao ruidoso"),
    ("15.3", lambda f, z, ls: from_level_to_level(f, z, ls, lambda z, g, at, st, a, s: a * g + s * (z - g)), "z − x̂"),
    ("15.3", lambda f, z, ls: from_level_to_level(f, z, ls, lambda z, g, at, st, a, s: a * g), "largou o ruído"),
    (
        "15.3",
        lambda f, z, ls: from_level_to_level(f, z, ls, lambda z, g, at, st, a, s: a * g + s * torch.randn_like(z)),
        "há um sorteio no caminho",
    ),
    ("15.3", lambda f, z, ls: f(z, ls[-1].expand(len(z), 1)), "num passo"),
    ("15.3", lambda f, z, ls: down_by_the_means(f, z, ls), "média de x dado z_T"),
    ("15.4", lambda r, f: -F.logsigmoid(r).mean() - F.logsigmoid(-f).mean(), "no empate vale 2 ln 2"),
    ("15.4", lambda r, f: math.log(2) + (F.logsigmoid(r).mean() + F.logsigmoid(f).mean()) / 2, "log(1 − D)"),
    ("15.4", lambda r, f: (F.logsigmoid(r).mean() + F.logsigmoid(-f).mean()) / 2, "falta o ln 2"),
    ("15.4", lambda r, f: 2 * math.log(2) + F.logsigmoid(r).mean() + F.logsigmoid(-f).mean(), "½ de cada KL"),
    ("15.5", lambda nats, d, n: nats / d / math.log(2), "falta somar o logaritmo"),
    ("15.5", lambda nats, d, n: nats / d / math.log(2) - math.log2(n), "sinal da mudança"),
    ("15.5", lambda nats, d, n: nats / d + math.log(n), "nats por dimensão"),
    ("15.5", lambda nats, d, n: nats / d / math.log(2) + 8, "nem sempre é 256"),
]


@each_right(RIGHT)
def test_another_way_to_write_a_right_answer_passes(exercise_id, answer):
    assert_right(exercise_id, answer)


@each_wrong(WRONG)
def test_a_wrong_answer_that_students_give_has_a_name(exercise_id, answer, reason):
    assert_told(exercise_id, answer, reason)


def test_a_density_is_the_same_by_another_quadrature():
    from vae_lessons.exercises.lesson_15 import _MASS_CASES, _mass

    log_prob, side, n = _MASS_CASES[0]
    assert _mass(log_prob, side, n) == pytest.approx(by_scipy(log_prob, side, n), abs=2e-3)


def test_points_that_are_no_grid_are_refused_before_anything_is_computed():
    assert_told("15.1", lambda log_prob, side, n: log_prob(torch.zeros(1).expand(10**9, 2)), "pontos da grade")


def test_a_level_without_a_column_is_explained():
    assert_told("15.3", lambda f, z, ls: f(z, ls[0]), "log_snr.expand")
