"""Os outros casos: sorteados de um segredo, aceitam toda resposta certa e desmascaram a que decorou os da lição."""

import importlib

import pytest
import torch
from torch import Tensor

from vae_lessons import series
from vae_lessons.exercises import EXERCISES
from vae_lessons.exercises.checking import grade
from vae_lessons.teach.cases import FIXED, Draw, measures, varies, world

SEEDS = (1, 2)
WORLDS = [i for i in EXERCISES if world(i, 0)]
FUNCTIONS = [i for i in EXERCISES if varies(i) and i not in WORLDS]


def right_answers():
    """As soluções e as respostas certas escritas de outro jeito, que os testes das lições reúnem."""
    modules = ["test_exercises", *(f"test_lesson_{lesson.number}" for lesson in series.LESSONS)]
    listed = [pair for name in modules for pair in getattr(importlib.import_module(name), "RIGHT", [])]
    return [
        (i, answer) for i, answer, *_ in [*((i, EXERCISES[i].solution) for i in EXERCISES), *listed] if i in FUNCTIONS
    ]


RIGHT = right_answers()


def test_every_exercise_varies_or_says_why_not():
    assert {i for i in EXERCISES if varies(i)} | set(FIXED) == set(EXERCISES)
    assert not [i for i in FIXED if varies(i)]


def test_every_function_varies_unless_it_builds_something():
    assert all("constrói" in FIXED[i] for i in FIXED if callable(EXERCISES[i].solution))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("exercise_id", "answer"), RIGHT, ids=[f"{i}-{n}" for n, (i, _) in enumerate(RIGHT)])
def test_right_answers_are_right_in_other_cases_too(exercise_id, answer, seed):
    result = grade(measures(exercise_id, seed)[1], answer)
    assert result.passed, result.message


class Memorized:
    """Uma resposta que devolve, na ordem, o que a solução devolveu nos casos da lição, e que tem os gradientes que ela
    teve ali, sem olhar o que recebe."""

    def __init__(self, exercise):
        self.seen, self.calls = [], 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            exercise.measure(lambda *arguments: self._keep(exercise.solution(*arguments), arguments))

    def _keep(self, output, arguments):
        parts = [output] if isinstance(output, Tensor) else output if isinstance(output, tuple) else []
        slopes = [_slopes(part, arguments) for part in parts if _moves(part) and part.numel() < 100]
        self.seen.append((output, slopes))
        return output

    def __call__(self, *arguments):
        output, slopes = self.seen[self.calls % len(self.seen)]
        self.calls += 1
        if not slopes:
            return output
        parts = [output] if isinstance(output, Tensor) else output
        parts = tuple(_with_slopes(*one, arguments) for one in zip(parts, slopes, strict=True))
        return parts[0] if isinstance(output, Tensor) else parts


def _slopes(output, arguments) -> list:
    """Por argumento, a derivada de cada número de `output`, [saídas, entradas], ou None."""
    rows = [[None if not _moves(x) else _gradient(one, x) for x in arguments] for one in output.flatten()]
    return [None if column[0] is None else torch.stack(column) for column in zip(*rows, strict=True)]


def _with_slopes(output, slopes, arguments):
    """O mesmo valor, com outro passado: o de uma função linear dos argumentos."""
    made = output.detach().clone()
    for slope, x in zip(slopes, arguments, strict=True):
        if slope is not None and _moves(x) and x.numel() == slope.shape[1]:
            made = made + (slope @ (x - x.detach()).flatten()).reshape(output.shape)
    return made


def _moves(x) -> bool:
    return isinstance(x, Tensor) and x.requires_grad


def _gradient(output, x):
    gradient = torch.autograd.grad(output, x, retain_graph=True, allow_unused=True)[0]
    return torch.zeros(x.numel(), dtype=x.dtype) if gradient is None else gradient.flatten()


@pytest.mark.parametrize("exercise_id", FUNCTIONS)
def test_who_memorized_the_cases_of_the_lesson_is_found_out(exercise_id):
    of_the_lesson, others = measures(exercise_id, seed=1)
    if exercise_id not in ("02.1", "03.1", "05.3"):  # nestes não basta decorar: são sorteios, e o gradiente de f
        assert grade(of_the_lesson, Memorized(of_the_lesson)).passed
    assert not grade(others, Memorized(of_the_lesson)).passed


@pytest.mark.parametrize("exercise_id", FUNCTIONS)
def test_another_secret_draws_other_cases(exercise_id):
    others, again = measures(exercise_id, 1)[1], measures(exercise_id, 2)[1]
    assert not grade(again, Memorized(others)).passed


@pytest.mark.parametrize("exercise_id", WORLDS)
@pytest.mark.parametrize("seed", range(5))
def test_with_other_data_what_was_copied_is_wrong(exercise_id, seed):
    of_the_lesson, others = measures(exercise_id, seed)
    assert not grade(others, of_the_lesson.solution).passed
    assert not grade(of_the_lesson, others.solution).passed
    assert grade(others, world(exercise_id, seed).answer).passed


def test_the_same_seed_draws_the_same():
    a, b = Draw(3), Draw(3)
    assert torch.equal(a.normal(0, 1, 4), b.normal(0, 1, 4))
    assert a.integers(0, 9) == b.integers(0, 9)
    assert a.shuffled([1, 2, 3]) == b.shuffled([1, 2, 3])
