"""A lição 00: o que os exercícios aceitam e recusam, e o que o mapa da série diz das lições."""

import math
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from answers import assert_right, each_right

from vae_lessons import series
from vae_lessons.authoring.reading import stated
from vae_lessons.drawings import lesson_00
from vae_lessons.exercises import check

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"

RIGHT = [
    ("00.1", torch.tensor(237)),
    ("00.1", np.int64(237)),
    ("00.1", [237]),
    ("00.1", math.floor(784 * math.log10(2)) + 1),
    ("00.1", math.ceil(784 * math.log10(2))),
    ("00.2", lambda p, u: (p > u) * 1.0),
    ("00.2", lambda p, u: u < p),
    ("00.2", lambda p, u: torch.where(u < p, 1, 0)),
    ("00.2", lambda p, u: torch.ceil(p - u).clamp(0, 1)),
    ("00.2", lambda p, u: (u.numpy() < p.numpy()).astype(float)),
    ("00.2", lambda p, u: pd.DataFrame(u.numpy()).lt(p.numpy()).astype(int)),
    ("00.2", lambda p, u: [[int(v < q) for v, q in zip(row, p, strict=True)] for row in u]),
    ("00.3", torch.tensor(-114.7)),
    ("00.3", -120.5),
    ("00.4", "c, a e b"),
    ("00.4", ["a", "b", "c"]),
]
WRONG = [
    ("00.1", 235, "está perto"),
    ("00.1", 784, "log₂"),
    ("00.1", len(str(256**784)), "256 níveis de cinza"),
    ("00.1", 2**784, "esse é o próprio número"),
    ("00.1", 784 * math.log10(2), "está perto"),
    ("00.2", lambda p, u: 1 - (u < p).float(), "ao contrário"),
    ("00.2", lambda p, u: torch.bernoulli(p.expand(u.shape)), "sem sortear de novo"),
    ("00.2", lambda p, u: u > 1 - p, "também é justo"),
    ("00.2", lambda p, u: (u < p).all(1), "a forma está errada"),
    ("00.2", lambda p, u: p.round().expand(u.shape), "não há sorteio"),
    ("00.3", -149.5, "a do modelo de dois números"),
    ("00.3", 114.7, "sinal"),
    ("00.3", 34.7, "parece o ganho"),
    ("00.3", -262.3, "primeira época"),
    ("00.3", -190.0, "latent_dim=16"),
    ("00.4", "a", "ainda falta alguma"),
    ("00.4", "cde", "há letra que não serve"),
    ("00.4", "abe", "há letra que não serve"),
]


@each_right(RIGHT)
def test_another_way_to_write_a_right_answer_passes(exercise_id, answer):
    assert_right(exercise_id, answer)


@pytest.mark.parametrize(("exercise_id", "answer", "words"), WRONG, ids=[f"{i}-{n}" for n, (i, *_) in enumerate(WRONG)])
def test_a_wrong_answer_is_told_what_may_be_wrong(exercise_id, answer, words):
    result = check(exercise_id, answer)
    assert (result.status, words in result.message) == ("❌", True), result.message


def test_territories_put_white_ink_on_the_colors_of_the_neighbours():
    images, shares = torch.zeros(9, 4), torch.eye(10)[:9]
    images[4] = 1.0
    fig = lesson_00.territories(images, shares, (2, 2))
    picture = fig.axes[0].images[0].get_array()
    assert picture.shape == (6, 6, 3)
    assert (picture[2:4, 2:4] == 1).all()
    assert len({tuple(color) for color in picture[::2, ::2].reshape(-1, 3)}) == 9
    assert [text.get_text() for text in fig.axes[1].texts] == ["moram aqui:", *"0123456789"]


def test_completions_are_one_row_per_digit():
    seen, whole, completed = torch.zeros(2, 4), torch.ones(2, 4), torch.full((2, 5, 4), 0.5)
    fig = lesson_00.completions(seen, completed, completed.mean(1), whole, (2, 2))
    assert len(fig.axes[0].images) == 2 * 8
    titles = [text.get_text() for text in fig.axes[0].texts]
    assert [title for title in titles if title] == ["visto", "completado", "média", "inteiro"]


# O mapa da série


@pytest.mark.parametrize("lesson", series.LESSONS, ids=lambda lesson: lesson.number)
def test_the_map_promises_what_each_lesson_promises(lesson):
    promised = stated(nbformat.read(NOTEBOOKS / lesson.file, as_version=4))
    assert promised == lesson.minutes, "Atualize vae_lessons/series.py e guarde de novo a lição 00, que mostra o mapa."


def test_the_map_has_every_lesson_that_exists_and_none_that_does_not():
    assert [lesson.file for lesson in series.LESSONS] == sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))
    numbers = [lesson.number for lesson in series.LESSONS]
    assert [*numbers, *series.COMING] == [f"{n:02}" for n in range(len(numbers) + len(series.COMING))]


def test_a_lesson_only_needs_earlier_ones():
    for lesson in series.LESSONS:
        assert all(before < lesson.number for before in lesson.needs + lesson.helped_by)
        assert not set(lesson.needs) & set(lesson.helped_by)


@pytest.mark.parametrize("lesson", series.LESSONS[1:], ids=lambda lesson: lesson.number)
def test_the_arrows_are_the_prerequisites_the_lesson_states(lesson):
    first = nbformat.read(NOTEBOOKS / lesson.file, as_version=4).cells[0].source
    before = first.split("**Antes:**")[1].split("**Tempo:**")[0]
    for other in series.LESSONS:
        assert (f"({other.file})" in before) == (other.number in lesson.needs + lesson.helped_by), other.number
