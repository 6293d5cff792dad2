"""A lição 12: as funções que ela escreve, e os exercícios, com respostas certas de outro jeito e erradas com nome."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from answers import assert_right, assert_told, each_right, each_wrong
from lesson_code import written_in
from scipy.special import gamma, roots_genlaguerre
from torch import Tensor
from torch.distributions import Poisson

from vae_lessons.distributions import NegativeBinomial, Normal, ZeroInflatedNegativeBinomial
from vae_lessons.drawings.lesson_12 import lineage_and_lab

KNOWN = {
    "np": np,
    "NamedTuple": NamedTuple,
    "Tensor": Tensor,
    "Normal": Normal,
    "Poisson": Poisson,
    "NegativeBinomial": NegativeBinomial,
    "ZeroInflatedNegativeBinomial": ZeroInflatedNegativeBinomial,
    "gamma": gamma,
    "roots_genlaguerre": roots_genlaguerre,
}
mixture, LogNormal, Rounded, log_prob_of_total = written_in(
    "12", "mixture", "LogNormal", "Rounded", "log_prob_of_total", **KNOWN
)

# As funções da lição


@pytest.mark.parametrize(("mean", "theta"), [(0.2, 0.5), (3.0, 1.5), (8.0, 12.0)])
def test_the_mixture_of_poissons_is_the_negative_binomial(mean, theta):
    x = torch.arange(15).double()
    mu, shape = (torch.tensor(value, dtype=torch.float64) for value in (mean, theta))
    assert torch.allclose(mixture(x, mean, theta), NegativeBinomial(mu, shape).log_prob(x).exp(), rtol=1e-7, atol=0)


@pytest.mark.parametrize(("mean", "log_var"), [(0.0, -1.0), (2.0, 0.5), (5.0, -4.0)])
def test_the_masses_of_the_rounded_gaussian_sum_to_one(mean, log_var):
    x = torch.arange(30_000).double()[:, None]
    parameters = (torch.tensor([value], dtype=torch.float64) for value in (mean, log_var))
    masses = Rounded(*parameters, torch.tensor([1.5], dtype=torch.float64)).log_prob(x).exp()
    assert masses.sum().item() == pytest.approx(1, abs=1e-4)


def test_the_mass_of_a_narrow_count_is_the_density_times_its_width():
    x = torch.tensor([[40.0]], dtype=torch.float64)
    parameters = [torch.tensor([value], dtype=torch.float64) for value in (3.5, 0.0, 1.0)]
    density = LogNormal(*parameters).log_prob(x) - torch.log1p(x)
    assert Rounded(*parameters).log_prob(x).item() == pytest.approx(density.item(), abs=1e-3)


def test_the_total_of_poissons_is_poisson():
    rates = torch.rand(20, dtype=torch.float64)
    expected = Poisson(rates.sum()).log_prob(torch.tensor(12.0).double())
    assert log_prob_of_total(Poisson(rates), 12).item() == pytest.approx(expected.item(), abs=1e-9)


# O mapa dos laboratórios


def four_groups(share=0.8, n=400):
    """Códigos [N, 3] em que a primeira coordenada sabe a linhagem, e a segunda, o laboratório."""
    rng = np.random.default_rng(0)
    myeloid = np.arange(n) % 2
    lab = np.where(rng.random(n) < share, 1 - myeloid, myeloid)
    return rng.normal(size=(n, 3)) + np.stack([8 * myeloid, 6 * lab, 0 * lab], 1), lab, myeloid


def test_each_axis_of_the_map_tells_only_what_its_name_says():
    code, lab, myeloid = four_groups()
    by_lineage, by_lab = lineage_and_lab(code @ np.array([[2.0, 1, 0], [0, 1, 1], [1, 0, 3]]), lab, myeloid).T
    for site in (0, 1):
        mine = lab == site
        assert by_lineage[mine & (myeloid == 1)].mean() - by_lineage[mine & (myeloid == 0)].mean() > 6
        assert abs(by_lab[mine & (myeloid == 1)].mean() - by_lab[mine & (myeloid == 0)].mean()) < 1
    assert by_lab[lab == 1].mean() - by_lab[lab == 0].mean() > 4


def test_a_map_without_one_of_the_four_groups_is_refused():
    code, lab, myeloid = four_groups(share=1.1)
    with pytest.raises(ValueError, match="as duas linhagens nos dois laboratórios"):
        lineage_and_lab(code, lab, myeloid)


# Os exercícios


def by_a_loop(x, library):
    found = []
    for gene in range(x.shape[1]):
        rho = x[:, gene].sum() / library.sum()
        second = sum(float(v * v - v) for v in x[:, gene])
        found.append(second / sum(float((b * rho) ** 2) for b in library) - 1)
    return found


def by_autograd(log_density_of_u, x, library):
    x = x.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(torch.log(1 + 1000 * x / library).sum(), x)
    return log_density_of_u + slopes.log().sum(1)


def by_counting(p, alpha):
    best, chances = 0, sorted(p.tolist(), reverse=True)
    for k in range(1, len(chances) + 1):
        if sum(1 - chance for chance in chances[:k]) <= alpha * k + 1e-6:
            best = k
    return best


def experiment(share, *, distance=3.0, n=800):
    torch.manual_seed(3)
    kind = (torch.rand(n) < 0.5).long()
    lab = torch.where(torch.rand(n) < share, kind, 1 - kind)
    return torch.randn(n, 2) * 0.8 + distance * torch.stack([kind, -kind], 1), kind, lab


RIGHT = [
    ("12.1", by_a_loop),
    ("12.2", by_autograd),
    ("12.3", lambda mean, theta, p: (mean * p, theta)),
    ("12.4", by_counting),
    ("12.4", lambda p, alpha: torch.tensor(by_counting(p, alpha))),
    ("12.5", lambda: experiment(0.95)),
    ("12.5", lambda: experiment(0.97, distance=5.0, n=900)),
]

WRONG = [
    ("12.1", lambda x, library: (x.var(0, correction=0) - x.mean(0)) / x.mean(0) ** 2, "mesma biblioteca"),
    ("12.1", lambda x, library: torch.tensor(by_a_loop(x, library)) + 1, "falta subtrair 1"),
    ("12.1", lambda x, library: 1 / torch.tensor(by_a_loop(x, library)), "o que você devolve é θ"),
    (
        "12.1",
        lambda x, library: (x**2).sum(0) / (library[:, None] * x.sum(0) / library.sum()).square().sum(0) - 1,
        "a parte da Poisson",
    ),
    ("12.2", lambda u, x, library: u - (by_autograd(u, x, library) - u), "em vez de multiplicar"),
    ("12.2", lambda u, x, library: u - torch.log(1 + 1000 * x / library).sum(1), "falta o fator s"),
    ("12.2", lambda u, x, library: u - (1 + x).log().sum(1), "derivou log(1 + x)"),
    ("12.2", lambda u, x, library: by_autograd(u, x, library).mean(), "média sobre as células"),
    ("12.3", lambda mean, theta, p: (mean * p, theta * p), "a forma, não"),
    ("12.3", lambda mean, theta, p: (mean * p, theta / p), "Não variam"),
    ("12.3", lambda mean, theta, p: (mean, theta), "perderam-se moléculas"),
    ("12.3", lambda mean, theta, p: (mean - p * mean, theta), "a do que se perdeu"),
    ("12.4", lambda p, alpha: int((p >= 1 - alpha).sum()), "de cada gene"),
    ("12.4", lambda p, alpha: int(((1 - p.sort().values.flip(0)).cumsum(0) <= alpha).sum()), "Pede-se a fração"),
    ("12.4", lambda p, alpha: len(p), ""),
    ("12.5", lambda: experiment(0.5), "centrar não faz mal"),
    ("12.5", lambda: experiment(0.7), "ainda se leem"),
    ("12.5", lambda: experiment(1.01), "nos dois laboratórios"),
    ("12.5", lambda: experiment(0.95, distance=0.0), "antes de centrar"),
    ("12.5", lambda: experiment(0.9, n=20), "de 100 a 1000"),
    ("12.5", lambda: (torch.zeros(100, 2), torch.zeros(10**6, 2), torch.zeros(100)), "um valor para cada ponto"),
]


@each_right(RIGHT)
def test_another_way_to_write_a_right_answer_passes(exercise_id, answer):
    assert_right(exercise_id, answer)


@each_wrong(WRONG)
def test_a_wrong_answer_that_students_give_has_a_name(exercise_id, answer, reason):
    assert_told(exercise_id, answer, reason)
