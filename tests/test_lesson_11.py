"""A lição 11: as funções que ela escreve, e os exercícios, com respostas certas de outro jeito e erradas com nome."""

import math

import numpy as np
import pytest
import torch
from answers import assert_right, assert_told, each_right, each_wrong
from lesson_code import written_in
from scipy import stats
from torch import distributions as td

from vae_lessons.distributions import Beta, Dirichlet, Gamma, VonMises, kl_divergence
from vae_lessons.exercises import lesson_11 as exercises

nodes, weights = (torch.from_numpy(each) for each in np.polynomial.legendre.leggauss(200))
cdf, slide, moved, implicit, normal_density, gamma_density, through_the_sampler, augmented, mixture_rsample = (
    written_in(
        "11",
        *("cdf", "slide", "moved", "implicit", "normal_density", "gamma_density"),
        *("through_the_sampler", "augmented", "mixture_rsample"),
        nodes=nodes,
        weights=weights,
        Gamma=Gamma,
    )
)

RIGHT = [
    ("11.1", lambda z, k: -(z.pow(k) * z.log() * (-z.pow(k)).exp()) / (k * z.pow(k - 1) * (-z.pow(k)).exp())),
    ("11.1", lambda z, k: z * (1 / z).log() / k),
    ("11.2", lambda z, w, m, s: (w.log() + td.Normal(m, s).log_prob(z[:, None])).softmax(-1)),
    ("11.2", lambda z, w, m, s: responsibilities_by_autograd(z, w, m, s)),
    ("11.3", lambda rsample: by_logs_and_squares(rsample)),
    ("11.4", lambda m, k: by_complex_numbers(m, k)),
    ("11.4", lambda m, k: [by_complex_numbers(m, k)[0] + 2 * math.pi, by_complex_numbers(m, k)[1][None]]),
    ("11.5", Gamma(torch.tensor([27.2]), torch.tensor([6.02]))),
    ("11.5", td.Gamma(torch.tensor(27.0).double(), torch.tensor(6.0).double())),
]

WRONG = [
    ("11.1", lambda z, k: z * z.log() / k, "sinal"),
    ("11.1", lambda z, k: -z.pow(k) * z.log() * (-z.pow(k)).exp(), "Falta dividir pela inclinação"),
    ("11.1", lambda z, k: -z * z.log(), "falta o k"),
    ("11.1", lambda z, k: -z.log() / k, "isso é a derivada de ln z"),
    ("11.1", lambda z, k: -z.log() * z.pow(k) * (-z.pow(k)).exp() / (1 - (-z.pow(k)).exp()), "você dividiu por F"),
    ("11.2", lambda z, w, m, s: w * td.Normal(m, s).log_prob(z[:, None]).exp(), "densidade da mistura inteira"),
    ("11.2", lambda z, w, m, s: td.Normal(m, s).log_prob(z[:, None]).softmax(-1), "faltam os pesos"),
    ("11.2", lambda z, w, m, s: w.expand(len(z), -1), "pela densidade dela mesma"),
    ("11.2", lambda z, w, m, s: responsibilities(z, w, m, s) * (z[:, None] - m) / s**2, "isso é o escore"),
    ("11.2", lambda z, w, m, s: responsibilities(z, w, m, s) * s, "sobrou um σ_k"),
    ("11.2", lambda z, w, m, s: -responsibilities(z, w, m, s), "sinal"),
    ("11.3", lambda rsample: "certo" if rsample(ones()).requires_grad else "sem gradiente", "só olha se há gradiente"),
    ("11.3", lambda rsample: by_logs_and_squares(rsample, squares=False), "testa só a média de z"),
    ("11.3", lambda rsample: by_logs_and_squares(rsample, means=False), "testa só E[z²]"),
    ("11.3", lambda rsample: by_logs_and_squares(rsample).replace("sem gradiente", "errado"), "um nome à parte"),
    ("11.3", lambda rsample: exactly_as_the_package(rsample), "você recusa um sorteio que está certo"),
    ("11.4", lambda m, k: ((m * k).sum() / k.sum(), k.sum()), "você tirou a média dos números"),
    ("11.4", lambda m, k: (by_complex_numbers(m, k)[0], k.sum()), "só se somam se as leituras concordam"),
    ("11.4", lambda m, k: by_complex_numbers(m, torch.ones_like(k)), "todas as bússolas pesam igual"),
    ("11.4", lambda m, k: (by_complex_numbers(m, k)[0], by_complex_numbers(m, k)[1] / len(k)), "a média dos vetores"),
    ("11.4", lambda m, k: (by_complex_numbers(m, k)[0].tan().atan(), by_complex_numbers(m, k)[1]), "meia volta errada"),
    ("11.4", lambda m, k: m, "esperava um par"),
    ("11.4", lambda m, k: (m, k), "dois números"),
    ("11.5", Gamma(torch.tensor([25.0]), torch.tensor([5.0])), "a prior não entrou"),
    ("11.5", Gamma(torch.tensor([7.0]), torch.tensor([2.0])), "a média sobre os dias"),
    ("11.5", Gamma(torch.tensor([27.0]), torch.tensor([2.0])), "só um dia foi contado"),
    ("11.5", Gamma(torch.tensor([2.0]), torch.tensor([1.0])), "isso é a prior"),
    ("11.5", Gamma(torch.tensor([27.0]), torch.tensor([1 / 6])), "é a taxa, e não a escala"),
    ("11.5", Gamma(torch.ones(5), torch.ones(5)), "uma Gama só"),
    ("11.5", torch.tensor([27.0, 6.0]), "esperava uma Gamma"),
    ("11.5", VonMises(torch.zeros(1), torch.ones(1)), "esperava uma Gamma"),
]


def ones(n=1000):
    return torch.ones(n, dtype=torch.float64, requires_grad=True)


def responsibilities(z, w, m, s):
    return (w.log() + td.Normal(m, s).log_prob(z[:, None])).softmax(-1)


def responsibilities_by_autograd(z, w, m, s):
    """−(∂F/∂μ)/p, com F derivada pelo autograd."""
    rows = []
    for each in z:
        means = m.clone().requires_grad_()
        (fall,) = torch.autograd.grad(-(w * torch.special.ndtr((each - means) / s)).sum(), means)
        rows.append(fall / (w * td.Normal(m, s).log_prob(each).exp()).sum())
    return torch.stack(rows)


def by_logs_and_squares(rsample, *, means=True, squares=True):
    alpha = torch.full((80_000,), 3.0, dtype=torch.float64, requires_grad=True)
    z = rsample(alpha)
    if z.grad_fn is None:
        return "sem gradiente"
    tests = [(z, 1.0)] * means + [(z**2, 7.0)] * squares
    for value, exact in tests:
        (slopes,) = torch.autograd.grad(value.mean() * len(alpha), alpha, retain_graph=True)
        if abs(slopes.mean().item() - exact) > 0.03 * exact:
            return "errado"
    return "certo"


def exactly_as_the_package(rsample):
    """Exige, sorteio a sorteio, o gradiente da implícita."""
    alpha = torch.full((50,), 2.0, dtype=torch.float64, requires_grad=True)
    z = rsample(alpha)
    if not z.requires_grad:
        return "sem gradiente"
    (slopes,) = torch.autograd.grad(z.sum(), alpha)
    return "certo" if torch.allclose(slopes, slide(gamma_density, z.detach(), alpha, 0.0), rtol=0.01) else "errado"


def by_complex_numbers(m, k):
    total = torch.polar(k, m).sum()
    return total.angle(), total.abs()


@each_right(RIGHT)
def test_a_right_answer_in_other_words_passes(exercise_id, answer):
    assert_right(exercise_id, answer)


@each_wrong(WRONG)
def test_a_wrong_answer_hears_why(exercise_id, answer, reason):
    assert_told(exercise_id, answer, reason)


def test_the_weibull_particle_moves_as_the_solution_says():
    z, k = torch.rand(50, dtype=torch.float64) * 3 + 0.01, torch.full((50,), 1.7, dtype=torch.float64)

    def density(z, k):
        return k * z.pow(k - 1) * (-z.pow(k)).exp()

    assert torch.allclose(slide(density, z, k, 0.0), -z * z.log() / k, rtol=1e-4, atol=1e-6)


def test_two_compasses_fused_are_the_product_of_their_densities():
    (m, k), angle = torch.tensor([[0.5, 2.9], [1.5, 4.0]]).double(), torch.linspace(-3, 3, 50).double()
    fused = VonMises(*exercises._sum_of_vectors(m, k)).log_prob(angle)
    product = sum(VonMises(*each).log_prob(angle) for each in zip(m, k, strict=True))
    assert (fused - product).diff().abs().max() < 1e-9


# As funções da lição


@pytest.mark.parametrize("alpha", [0.8, 2.5, 20.0])
def test_the_slide_is_minus_the_slope_of_scipys_cdf_over_the_density(alpha):
    z = torch.from_numpy(stats.gamma(alpha).ppf(np.linspace(0.05, 0.95, 40)))
    ours, h = slide(gamma_density, z, torch.full_like(z, alpha), 0.0), 1e-5
    slope = (stats.gamma(alpha + h).cdf(z) - stats.gamma(alpha - h).cdf(z)) / (2 * h)
    tolerance = 2e-2 if alpha < 1 else 1e-5  # perto de zero, a densidade com α < 1 não é lisa
    assert torch.allclose(ours, torch.from_numpy(-slope / stats.gamma(alpha).pdf(z)), rtol=tolerance)


def test_a_moved_particle_keeps_its_height():
    z = torch.tensor([0.5, 2.0, 6.0], dtype=torch.float64)
    start, end = torch.full_like(z, 2.5), torch.full_like(z, 3.5)
    there = moved(gamma_density, z, (start, end), 0.0, (0, 60))
    assert torch.allclose(
        torch.from_numpy(stats.gamma(3.5).cdf(there)), torch.from_numpy(stats.gamma(2.5).cdf(z)), atol=1e-9
    )
    assert torch.allclose(cdf(gamma_density, there, end, 0.0), cdf(gamma_density, z, start, 0.0), atol=1e-9)


def test_the_package_slides_as_the_lesson_says():
    phi = torch.full((100,), 2.2, dtype=torch.float64, requires_grad=True)
    for family in (
        lambda a: Gamma(a, torch.ones_like(a)),
        lambda a: Beta(a, torch.full_like(a, 3.0)),
        lambda k: VonMises(torch.zeros_like(k), k),
    ):
        z = family(phi).sample()
        (slopes,) = torch.autograd.grad(family(phi).rsample(z).sum(), phi)
        ours = slide(lambda z, phi, family=family: family(phi).log_prob(z).exp(), z, phi, 0.0)
        assert torch.allclose(slopes, ours, rtol=3e-3, atol=1e-4)


def test_the_one_line_keeps_the_value_and_gives_the_slope():
    mean = torch.tensor([0.3, -1.0], dtype=torch.float64, requires_grad=True)
    z = torch.tensor([1.0, 1.0], dtype=torch.float64)
    sample = implicit(z, torch.special.ndtr(z - mean), normal_density(z, mean, 1.0))
    (slopes,) = torch.autograd.grad(sample.sum(), mean)
    assert torch.equal(sample, z)
    assert torch.allclose(slopes, torch.ones(2).double())


def test_the_rejection_sampler_draws_the_gamma_and_augmentation_too():
    torch.manual_seed(0)
    alpha = torch.full((50_000,), 1.5)
    for B in (0, 1, 3):
        z = augmented(alpha, B) if B else through_the_sampler(alpha)
        assert stats.kstest(z.numpy(), stats.gamma(1.5).cdf).pvalue > 1e-3


def test_the_mixture_of_the_plane_has_the_gradients_of_its_weight():
    torch.manual_seed(1)
    w = torch.full((100_000,), 0.7, dtype=torch.float64, requires_grad=True)
    means = torch.tensor([[0.0, 1.0, -1.0], [1.5, -0.5, 0.0]], dtype=torch.float64)
    z = mixture_rsample(w, means, len(w))
    for f, exact in ((z.square().sum(1), 2.0 - 2.5), (z[:, 0] * z[:, 1] * z[:, 2], 0.0), (z[:, 2], -1.0)):
        (slopes,) = torch.autograd.grad(f.sum(), w, retain_graph=True)
        assert abs(slopes.mean().item() - exact) < 5 * slopes.std().item() / len(w) ** 0.5


def test_the_posterior_of_counts_is_a_dirichlet_and_the_evidence_is_exact():
    """A conta da seção 5: log p(n) = ELBO + KL até a posterior, para qualquer q."""
    counts, prior = torch.tensor([4.0, 1.0, 0.0]).double(), Dirichlet(torch.full((3,), 0.5).double())
    posterior, q = Dirichlet(prior.concentration + counts), Dirichlet(torch.tensor([2.0, 1.0, 0.7]).double())
    a, b = posterior.concentration, prior.concentration
    evidence = torch.lgamma(a).sum() - torch.lgamma(a.sum()) - torch.lgamma(b).sum() + torch.lgamma(b.sum())
    log_mean = torch.digamma(q.concentration) - torch.digamma(q.concentration.sum())
    bound = (counts * log_mean).sum() - kl_divergence(q, prior)
    assert (bound + kl_divergence(q, posterior)).item() == pytest.approx(evidence.item(), abs=1e-10)
