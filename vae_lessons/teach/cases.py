"""Os outros casos: o que se mede numa resposta além do que o aluno viu, sorteado de um segredo da turma.

Cada exercício que pede uma função tem aqui como sortear argumentos dela, da espécie dos da lição e de outros
tamanhos. Aos que pedem o resultado de um treino se dão outros dados, ou outro treino (`world`): o que se escreveu à
mão não muda. Os que não variam estão em FIXED, com a razão.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook

from vae_lessons.distributions import Gamma
from vae_lessons.exercises import (
    EXERCISES,
    lesson_02,
    lesson_05,
    lesson_08,
    lesson_09,
    lesson_10,
    lesson_11,
    lesson_13,
    lesson_14,
    lesson_15,
    lesson_16,
)
from vae_lessons.exercises.checking import Exercise, behaviour, on_cases

_LETTERS = "pede letras, e as certas são as mesmas para todos"
_MADE = "pede algo que se constrói, e vale tudo o que tiver a propriedade pedida: não há casos que variar"

FIXED = {
    "00.1": "o número de algarismos de 2⁷⁸⁴ é um só",
    "02.3": "os dados estão no enunciado, e a conta com eles se faz no papel",
    "03.5": "a constante sai da álgebra, e não depende de dado algum",
    **dict.fromkeys(("00.4", "01.4", "01.6", "05.6"), _LETTERS),
    **dict.fromkeys(("04.6", "07.1", "07.3", "08.2", "10.2", "12.5", "13.4"), _MADE),
}


class World(NamedTuple):
    """Outros dados, ou outro treino, para um exercício que pede o resultado de um: quem treina chega a outro; quem
    copiou, não.

    answer, tolerance: o que então é o certo, e a diferença aceita, que inclui as escolhas que o aluno pode fazer ·
    changes: nomes que a lição define → o que se faz ao valor deles, logo que definidos · prepare: o que se faz antes
    de executar a entrega.
    """

    answer: Any
    tolerance: float
    changes: dict[str, Callable[[Any], Any]]
    prepare: Callable[[], None] | None = None


class Draw:
    """Sorteios de uma semente. shape: as dimensões; sem elas, um número de Python."""

    def __init__(self, seed: int):
        self.generator = torch.Generator().manual_seed(seed)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor | float:
        values = low + (high - low) * torch.rand(shape, generator=self.generator, dtype=torch.float64)
        return values if shape else values.item()

    def normal(self, mean: float, deviation: float, *shape: int) -> Tensor:
        return mean + deviation * torch.randn(shape, generator=self.generator, dtype=torch.float64)

    def integers(self, low: int, high: int, *shape: int) -> Tensor | int:
        """De low a high, os dois inclusive."""
        values = torch.randint(low, high + 1, shape, generator=self.generator)
        return values if shape else int(values)

    def bits(self, *shape: int) -> Tensor:
        return self.integers(0, 1, *shape).double()

    def shuffled(self, items: list) -> list:
        return [items[i] for i in torch.randperm(len(items), generator=self.generator)]


@cache
def measures(exercise_id: str, seed: int) -> list[Exercise]:
    """As medidas de um exercício: a da lição e, se ele varia, a dos casos sorteados de `seed`.

    Se há `world`, a segunda é a mesma medida, do que se calculou com outros dados.
    """
    exercise = EXERCISES[exercise_id]
    draw = Draw(seed)
    if exercise_id in _CASES:
        return [exercise, replace(exercise, measure=on_cases(*_CASES[exercise_id](draw)))]
    if exercise_id in _BEHAVIOURS:
        return [exercise, replace(exercise, measure=_BEHAVIOURS[exercise_id](draw))]
    if other := world(exercise_id, seed):
        return [exercise, replace(exercise, solution=other.answer, tolerance=other.tolerance, mistakes=())]
    return [exercise]


def world(exercise_id: str, seed: int) -> World | None:
    """Os outros dados de um exercício que pede o resultado de um treino, ou None se não há."""
    return _WORLDS[exercise_id](Draw(seed)) if exercise_id in _WORLDS else None


def varies(exercise_id: str) -> bool:
    """Se o exercício é corrigido também com o que o aluno não viu."""
    return exercise_id in _CASES or exercise_id in _BEHAVIOURS or exercise_id in _WORLDS


def _joint_and_allowed(draw: Draw, codes: int, rows: int) -> tuple[Tensor, Tensor]:
    allowed = draw.bits(rows, codes).bool()
    allowed[torch.arange(rows), draw.integers(0, codes - 1, rows)] = True  # q precisa de um código em que ficar
    return draw.normal(-5, 1.5, codes), allowed


def _slope(draw: Draw) -> Callable[[Tensor], Tensor]:
    a, b = draw.uniform(0.5, 1.5), draw.uniform(0.5, 2.0)
    return lambda z: torch.sin(a * z) + b * z


def _scores(draw: Draw) -> list[tuple[Tensor, Tensor]]:
    """f(z) e o escore em amostras de média 0 e variância 1 exatas, como as de verdade têm em média."""
    sigma, mean = draw.uniform(0.4, 2.0), draw.uniform(-2.0, 2.0)
    epsilon = draw.normal(0, 1, 500)
    epsilon = (epsilon - epsilon.mean()) / epsilon.std(correction=0)
    values = (mean + sigma * epsilon - 3).square()
    return [(values, epsilon / sigma), (values + epsilon, (epsilon.square() - 1) / sigma)]


def _weighted_loss(draw: Draw, *, by_latent: bool) -> Callable[[Tensor, Tensor], Tensor]:
    kl_weight, lik_weight = draw.uniform(0.2, 5.0), draw.uniform(0.2, 3.0)

    def loss(log_lik: Tensor, kl: Tensor) -> Tensor:
        return (kl_weight * (kl.sum(1) if by_latent else kl.mean(1)) - lik_weight * log_lik).mean()

    return loss


def _levels_and_codes(draw: Draw, dimensions: int) -> tuple[Tensor, list[int]]:
    levels = [draw.integers(2, 7) for _ in range(dimensions)]
    codes = torch.cartesian_prod(*[torch.arange(n) - n // 2 for n in levels])
    return codes[torch.randperm(len(codes), generator=draw.generator)], levels


def _with_holes(draw: Draw, steps: int) -> Tensor:
    x = draw.normal(0, 1, steps)
    x[draw.integers(0, steps - 1, 3)] = math.nan
    return x


def _means_and_variances(draw: Draw, *shape: int) -> tuple[Tensor, Tensor]:
    return draw.normal(0, 1.5, *shape), draw.uniform(0.1, 3.0, *shape)


def _some_true(draw: Draw, size: int) -> Tensor:
    return _joint_and_allowed(draw, size, 1)[1][0]


def _with_one(draw: Draw, rows: int, columns: int) -> Tensor:
    return _joint_and_allowed(draw, columns, rows)[1].double()


def _densities_of_counts(draw: Draw, cells: int, genes: int) -> tuple[Tensor, Tensor, Tensor]:
    x = draw.integers(0, 5, cells, genes).double()
    return draw.normal(0, 1, cells), x, 1 + x.sum(1, keepdim=True)


def _presence(draw: Draw, words: int) -> Tensor:
    """Em que páginas está cada palavra; a primeira página as tem todas."""
    presence = draw.bits(35, words)
    presence[0] = 1
    return presence


def _laplace(alpha: Tensor) -> tuple[Tensor, Tensor]:
    n = alpha.shape[-1]
    mean = alpha.log() - alpha.log().mean(-1, keepdim=True)
    return mean, (1 - 2 / n) / alpha + (1 / alpha).sum(-1, keepdim=True) / n**2


_CASES: dict[str, Callable[[Draw], list[tuple]]] = {
    "00.2": lambda d: [(d.uniform(0, 1, 7), d.uniform(0, 1, 6, 7)), (d.uniform(0, 1, 3), d.uniform(0, 1, 9, 3))],
    "01.1": lambda d: [
        (d.normal(0, 1, 5).log_softmax(0), d.normal(-10, 4, 4, 5)),
        (d.normal(0, 1, 4).log_softmax(0), d.normal(-900, 4, 2, 4)),
    ],
    "01.2": lambda d: [(d.normal(-25, 4, n, 3), d.normal(-2.5, 1, n, 3), d.normal(0, 1, n, 3)) for n in (5, 8)],
    "01.3": lambda d: [_joint_and_allowed(d, 5, 6), _joint_and_allowed(d, 3, 4)],
    "01.5": lambda d: [(d.normal(-25, 4, 6, 3),), (d.normal(-900, 4, 4, 2),)],
    "01.7": lambda d: [(d.normal(0, 1, 4, z), d.normal(0, 1, 3, z), d.uniform(0.3, 2.0)) for z in (2, 3)],
    "02.2": lambda d: [(_slope(d), d.normal(0, 1, z), d.normal(0, 1, z), d.normal(0, 1, 7, z)) for z in (3, 2)],
    "02.4": lambda d: [*_scores(d), *_scores(d)],
    "02.5": lambda d: [(d.integers(2, 9),), (d.integers(10, 40),)],
    "02.7": lambda d: [
        (torch.tensor(d.uniform(0.5, 4), dtype=torch.float64), torch.tensor(d.uniform(0.5, 4), dtype=torch.float64), u)
        for u in (d.uniform(0.02, 0.98, 7), d.uniform(0.02, 0.98, 2, 3))
    ],
    "03.2": lambda d: [(d.normal(0, 1.5, 5, 3), d.normal(0, 1, 5, 3)), (d.normal(0, 1, 2, 4), d.normal(0, 1, 2, 4))],
    "03.3": lambda d: [(d.bits(3, 5), d.normal(0, 2, 3, 5)), (d.bits(6, 2), d.normal(0, 2, 6, 2))],
    "03.4": lambda d: [([d.normal(-30, 9, n) for n in sizes],) for sizes in ((5, 5, 2), (1, 7), (4,))],
    "03.6": lambda d: [(d.integers(1, n - 1), n) for n in (7, 30, 500)] + [(d.integers(30, 90), d.integers(5, 25))],
    "04.1": lambda d: [(d.normal(-30, 20, 6), d.uniform(0, 9, 6), d.uniform(0.1, 9)) for _ in range(2)],
    "04.2": lambda d: [(d.normal(0.5, 1.2, 7).exp(), d.uniform(0.3, 4), d.uniform(0.2, 2)) for _ in range(3)],
    "04.3": lambda d: [tuple(d.uniform(1, 9) for _ in range(4)) for _ in range(4)],
    "04.4": lambda d: [(d.bits(6, 5),), (d.bits(9, 3),)],
    "04.5": lambda d: [(d.uniform(0, 1, 4, 3), d.uniform(1, 3, 3)), (d.uniform(0, 1, 2, 5), d.uniform(1, 3, 5))],
    "05.1": lambda d: [(d.normal(0, 1, k), -d.uniform(1e-9, 1, 150, k).log()) for k in (3, 6)],
    "05.2": lambda d: [(d.normal(0, 1.5, 6), d.uniform(0.02, 0.98, 6), d.uniform(0.3, 2)) for _ in range(2)],
    "05.4": lambda d: [(d.normal(0, 1.5, b, 4, 3), d.normal(0, 1, 4, 3)) for b in (2, 5)],
    "05.5": lambda d: [(d.uniform(0.1, 1.5) * (end := d.uniform(5, 40)), end, d.uniform(0.05, 0.7)) for _ in range(4)],
    "06.1": lambda d: [(d.uniform(0.1, 3, n), d.uniform(0.3, 4)) for n in (4, 6, 2)],
    "06.2": lambda d: [(d.normal(-2, 1.5, n, n) + 2 * torch.eye(n, dtype=torch.float64),) for n in (5, 3)],
    "06.3": lambda d: [(_weighted_loss(d, by_latent=each), d.integers(2, 12)) for each in (True, False, True)],
    "06.4": lambda d: [(d.uniform(0.3, 0.9) * (s := d.uniform(0.15, 0.3)), s, d.uniform(0.25, 0.9)) for _ in range(2)],
    "06.5": lambda d: [tuple(d.uniform(*r) for r in ((0.1, 1), (0.2, 1), (0.1, 0.5), (0.01, 0.2))) for _ in range(3)],
    "07.2": lambda d: [(d.normal(-30, 2, 4, k), d.uniform(0.3, 3)) for k in (3, 5)],
    "07.4": lambda d: [(d.normal(-30, 1, 4, k), d.integers(0, k - 1, 4), d.uniform(0.05, 0.6)) for k in (3, 5)],
    "08.3": lambda d: [_levels_and_codes(d, 3), _levels_and_codes(d, 2)],
    "08.4": lambda d: [(d.integers(0, k - 1, 7, 4), d.integers(0, k - 1, 5, 4), k) for k in (3, 5)],
    "08.6": lambda d: [tuple(d.normal(0, 1, 3, size) for _ in range(3)) for size in (4, 3)],
    "09.1": lambda d: [(d.uniform(-0.98, 0.98, 7),)],
    "09.2": lambda d: [_means_and_variances(d, 4, 3), _means_and_variances(d, 2, 5)],
    "09.3": lambda d: [(*_means_and_variances(d, 3, z), *_means_and_variances(d, 3, z)) for z in (2, 4)],
    "09.4": lambda d: [(_with_holes(d, n), d.uniform(0.4, 0.95), d.uniform(0.1, 1)) for n in (7, 10)],
    "10.1": lambda d: [(d.normal(0, 2, 7), d.uniform(-1, 1), d.uniform(-0.6, 0.8)) for _ in range(2)],
    "10.3": lambda d: [(d.normal(0, 1, m).softmax(0), _some_true(d, m)) for m in (4, 6, 3)],
    "10.5": lambda d: [(d.uniform(0.4, 3, 5), d.uniform(0.4, 3, 5), d.uniform(-0.95, 0.95, 5))],
    "11.1": lambda d: [(d.uniform(0.1, 3, n), d.uniform(0.5, 3, n)) for n in (4, 7)],
    "11.2": lambda d: [
        (d.normal(0, 2, n), d.normal(0, 1, k).softmax(0), d.normal(0, 2, k), d.uniform(0.5, 2, k))
        for n, k in ((5, 3), (3, 4))
    ],
    "12.1": lambda d: [(d.integers(0, 40, n, g).double(), d.uniform(400, 1200, n)) for n, g in ((30, 4), (9, 2))],
    "12.2": lambda d: [_densities_of_counts(d, 5, 4), _densities_of_counts(d, 2, 8)],
    "12.3": lambda d: [(d.uniform(0.2, 20, g), d.uniform(0.3, 8, g), d.uniform(0.1, 0.9)) for g in (4, 2)],
    "12.4": lambda d: [(d.uniform(0.55, 1, g), d.uniform(0.05, 0.25)) for g in (9, 12, 7, 10, 15, 11)],
    "13.2": lambda d: [(d.shuffled(list(range(v)))[:n], _presence(d, v)) for v, n in ((6, 4), (5, 2), (8, 3))],
    "13.3": lambda d: [_laplace(d.uniform(0.1, 4, 5)), _laplace(d.uniform(0.1, 4, 3, 4))],
    "13.5": lambda d: [lesson_13.analogy_case(d.integers(2, 2**31)) for _ in range(3)],
    "14.1": lambda d: [(d.normal(0, 1, 5, 12), _with_one(d, 5, 12), k) for k in (4, 7, 12)],
    "14.2": lambda d: [(d.normal(0, 1.5, b, 6), d.bits(b, 6)) for b in (3, 2)],
    "14.3": lambda d: [
        (d.integers(0, 6), d.integers(0, 8), 9, d.uniform(0.1, 1), d.integers(15, 60)) for _ in range(5)
    ],
    "14.5": lambda d: [(d.bits(u, i), d.uniform(0.2, 1.2, u), d.uniform(0.5, 3)) for u, i in ((30, 6), (20, 4))],
    "15.2": lambda d: [((low := d.uniform(0.1, 3, n)) * d.uniform(1.1, 5, n), low) for n in (5, 3)],
    "15.4": lambda d: [(d.normal(0.5, 2, n), d.normal(-0.5, 2, m)) for n, m in ((6, 4), (3, 5))],
    "15.5": lambda d: [(d.normal(0, 300, b), d.integers(60, 900), 2 ** d.integers(3, 8)) for b in (4, 2)],
    "16.1": lambda d: [
        (d.bits(b, 5), d.normal(0, 2, b, 5), d.normal(0, 1, b, 3), d.normal(0, 1, b, 3)) for b in (4, 2)
    ],
    "16.2": lambda d: [(d.normal(0, 1.5, b, z), d.normal(0, 1, b, z)) for b, z in ((5, 2), (2, 4))],
    "16.3": lambda d: [(d.normal(0, 2, b, n), d.normal(0, 1, b, n)) for b, n in ((5, 2), (2, 6))],
    "16.4": lambda d: [(d.uniform(0, 1, b, 5), d.normal(0, 2, b, 5)) for b in (3, 2)],
    "16.6": lambda d: [(*(d.normal(0, 1, 4, 3) for _ in range(3)), training) for training in (False, True)],
    "16.8": lambda d: [(d.uniform(0.5, 12, b, 3), d.uniform(0.3, 5, b, 3), d.uniform(0.1, 4, b, 3)) for b in (2, 4)],
    "16.9": lambda d: [(d.normal(-20, 4, 6, 4),), (d.normal(-800, 5, 3, 2),)],
    "16.10": lambda d: [(d.normal(-20, 2, 6, 4),), (d.normal(-800, 2, 3, 2),)],
    "16.11": lambda d: [(d.normal(0, 1.5, 4, 6),), (d.normal(0, 1.5, 2, 3, 5),)],
    "16.12": lambda d: [
        (d.normal(-9, 2, b), d.normal(0, 1, b, 3), d.normal(0, 1, b, 3), d.normal(-4, 1, b), d.normal(0, 1, b))
        for b in (4, 2)
    ],
    "16.13": lambda d: [(d.normal(0, 1, 5, 3),), (d.normal(0, 1, 2, 4),)],
    "16.14": lambda d: [(d.integers(0, 5), d.integers(0, 6), 7, d.integers(10, 45)) for _ in range(5)],
    "16.15": lambda d: [([d.normal(90, 9, n) for n in sizes],) for sizes in ((5, 5, 2), (1, 7), (4,))],
    "16.16": lambda d: [tuple(d.normal(0, 1, b, 3) for _ in range(3)) for b in (5, 2)],
    "16.18": lambda d: [(d.normal(0, 2, n), d.normal(0, 2, n)) for n in (2, 4, 3)],
    "16.21": lambda d: [
        (d.integers(0, 30, n).float(), d.uniform(0.5, 25, n).float(), d.uniform(0.5, 9, n).float()) for n in (5, 3)
    ],
}


def _other_samples(draw: Draw) -> Callable:
    """Outros sorteios da mesma resposta, para o que se julga por estatísticas."""
    seed = draw.integers(1, 2**31)

    def measure(answer):
        torch.manual_seed(seed)
        return EXERCISES["03.1"].measure(answer)

    return measure


def _surrogate(draw: Draw) -> Callable:
    center, noise = draw.uniform(-3, 3), draw.normal(0, 1, 6, 2)
    return behaviour(lambda surrogate: lesson_02.surrogate_gradient(surrogate, center=center, noise=noise))


def _straight_through(draw: Draw) -> Callable:
    seed = draw.integers(1, 2**31)
    return behaviour(lambda answer: lesson_05.one_hot_measure(answer, seed=seed))


def _diagnoses(draw: Draw) -> Callable:
    losses = draw.shuffled(list(lesson_08.LOSSES) * 2)
    return behaviour(lambda diagnose: tuple(diagnose(loss) for loss in losses))


def _diagnosed(samplers: list) -> Callable[[Draw], Callable]:
    def measure(draw: Draw) -> Callable:
        shuffled = draw.shuffled(samplers)
        return behaviour(lambda diagnose: tuple(diagnose(sampler) for sampler in shuffled))

    return measure


def _compasses(draw: Draw) -> Callable:
    readings = [(draw.uniform(-3, 3, n).tolist(), draw.uniform(0.3, 4, n).tolist()) for n in (2, 5, 3)]
    return behaviour(lambda fuse: lesson_11.fused(fuse, readings))


def _generations(draw: Draw) -> Callable:
    cases = tuple(
        (
            lesson_15.linear_denoiser(draw.uniform(-2, 2), draw.uniform(0.2, 2)),
            draw.normal(0, 1, n, 2),
            torch.linspace(4, -3, steps, dtype=torch.float64),
        )
        for n, steps in ((4, 5), (2, 8))
    )
    return behaviour(lambda answer: lesson_15.generated(answer, cases))


def _completions(draw: Draw) -> Callable:
    codes = draw.integers(0, lesson_08.N_CODES - 1, 3, lesson_08.PLACES)
    return behaviour(lambda answer: lesson_08.completed(answer, codes))


def _series(draw: Draw) -> Callable:
    settings = tuple((draw.uniform(0.2, 0.9), draw.uniform(0.15, 0.7)) for _ in range(2))
    return behaviour(lambda answer: lesson_09.moments(answer, settings))


def _energies(draw: Draw) -> Callable:
    scale, lean = draw.uniform(0.7, 1.1, 2), draw.uniform(0.3, 0.7) * (2 * draw.integers(0, 1) - 1)
    covariance = scale[:, None] * torch.tensor([[1.0, lean], [lean, 1.0]]) * scale
    energy = lesson_10.gaussian_energy(draw.uniform(-1.5, 1.5, 2).float(), covariance.float(), draw.uniform(-5, 5))
    return behaviour(lambda fit: lesson_10.trained(fit, (energy,)))


def _pages(draw: Draw) -> Callable:
    topics, words = draw.integers(2, 4), draw.integers(3, 6)
    alpha, beta = draw.uniform(0.2, 1.2, topics).float(), draw.normal(0, 2, topics, words).softmax(1).float()
    lengths = torch.tensor([draw.integers(3, 6), draw.integers(9, 15), draw.integers(25, 35)]).repeat(600)
    return behaviour(lambda write: lesson_13.pages_written(write, alpha, beta, lengths))


def _shelves(draw: Draw) -> Callable:
    films = draw.integers(4, 7)
    chances = draw.uniform(0.4, 0.6) ** torch.tensor(draw.shuffled(list(range(films))))
    n = draw.integers(2, 4)
    return behaviour(lambda shelf: lesson_14.behaviour_of_shelf(shelf, chances / chances.sum(), n))


def _masses(draw: Draw) -> Callable:
    def center(most: float) -> tuple[float, float]:
        return draw.uniform(-most, most), draw.uniform(-most, most)

    inside = lesson_15.normal_log_p(center(1), draw.uniform(0.3, 0.6), draw.uniform(0.2, 3))
    beyond = lesson_15.normal_log_p(center(1), draw.uniform(0.9, 1.2), draw.uniform(0.4, 0.8))  # parte cai fora
    cases = (inside, 4.0, draw.integers(150, 220)), (beyond, draw.uniform(1.8, 2.2), draw.integers(200, 260))
    return behaviour(lambda mass: lesson_15.masses(mass, cases))


def _scored(draw: Draw) -> Callable:
    samples, latents = draw.integers(4, 6), draw.integers(2, 3)
    slope = torch.tensor(draw.uniform(0.5, 2), dtype=torch.float64)
    case = draw.normal(0, 1, latents), slope, draw.normal(0, 1, samples, latents)
    return behaviour(lambda surrogate: lesson_16.score_behaviour(surrogate, *case))


def _recalls(draw: Draw) -> Callable:
    cases = []
    for users in (5, 3, 8):
        held_out = draw.integers(0, 5, users).float()
        held_out[:2] = torch.tensor([0.0, draw.integers(2, 6)])
        cases.append(((held_out * draw.uniform(0, 1, users)).round().float(), held_out))
    return behaviour(lambda recall: lesson_16.recalls(recall, cases))


def _vq_terms(draw: Draw) -> Callable:
    shape = draw.integers(2, 5), draw.integers(2, 4)
    case = draw.normal(0, 1, *shape), draw.normal(0, 1, *shape)
    return behaviour(lambda terms: lesson_16.who_moves(terms, *case))


def _turns(draw: Draw) -> Callable:
    cases = [(draw.normal(0, 1.5, n, d), draw.normal(0, 1, n, d)) for n, d in ((3, 4), (5, 2))]
    return behaviour(lambda turn: lesson_16.value_and_way_back(turn, cases))


_BEHAVIOURS: dict[str, Callable[[Draw], Callable]] = {
    "02.1": _surrogate,
    "03.1": _other_samples,
    "05.3": _straight_through,
    "08.1": _diagnoses,
    "08.5": _completions,
    "09.5": _series,
    "10.4": _energies,
    "11.3": _diagnosed(list(lesson_11.SAMPLERS)),
    "11.4": _compasses,
    "13.1": _pages,
    "14.4": _shelves,
    "15.1": _masses,
    "15.3": _generations,
    "16.5": _diagnosed([sampler for sampler, _ in lesson_16.SAMPLERS] * 2),
    "16.7": _scored,
    "16.17": _recalls,
    "16.19": _vq_terms,
    "16.20": _turns,
}


# A ELBO final do exercício 00.3 em 1.500 imagens com uma metade apagada; de uma semente a outra muda até 7 nats.
_HALVES = {"de cima": -71.0, "de baixo": -70.0, "esquerda": -77.0, "direita": -64.0}


def _half_erased(draw: Draw) -> World:
    half = list(_HALVES)[draw.integers(0, 3)]

    def change(train):
        x = train.x[:1500].reshape(-1, 28, 28).clone()
        parts = {"de cima": x[:, :14], "de baixo": x[:, 14:], "esquerda": x[:, :, :14], "direita": x[:, :, 14:]}
        parts[half].zero_()
        return replace(train, x=x.reshape(-1, 784), y=train.y[:1500])

    return World(_HALVES[half], 15.0, {"train": change})


def _moved_reward(draw: Draw) -> World:
    shift = draw.uniform(-0.6, -0.35)
    answer = EXERCISES["02.6"].solution + shift
    return World(answer, EXERCISES["02.6"].tolerance, {"reward": lambda reward: lambda z: reward(z - shift)})


def _other_events(draw: Draw) -> World:
    events = draw.integers(1, 4, 5).float()  # tantos dias quantos na lição, e bem menos eventos
    answer = Gamma(2 + events.sum(), torch.tensor(1.0 + len(events)))
    return World(answer, EXERCISES["11.5"].tolerance, {"events": lambda given: events.clone()})


def _train_away() -> None:
    """Faz todo otimizador afastar os pesos do zero, em vez de descer: o modelo fica longe do treinado, e sempre do
    mesmo lado, de onde quer que comece."""

    def away(optimizer, *_):
        for group in optimizer.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.grad.copy_(-weight.detach())

    register_optimizer_step_pre_hook(away)


# Com pesos enormes, nenhum latente fica parado, seja qual for o β; e o objetivo relaxado passa de log p(x) em 0 a 7 %
# das imagens, conforme a semente, no lugar de 43 a 65 %.
_WORLDS: dict[str, Callable[[Draw], World]] = {
    "00.3": _half_erased,
    "02.6": _moved_reward,
    "03.7": lambda d: World((64, 2), 0.0, {}, _train_away),
    "05.7": lambda d: World(0.0, 0.2, {}, _train_away),
    "11.5": _other_events,
}
