"""O explorador de tópicos: as proporções somam 1, as palavras são as do modelo, as páginas as mais parecidas."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from toys_explore import assert_recording_is_the_kernel, painted, point, press, toy_topics

from vae_lessons.explore import explore_topics
from vae_lessons.explore import topics as module
from vae_lessons.style import BLUE, ORANGE


@pytest.fixture
def toy():
    return toy_topics()


@pytest.fixture
def explorer(toy):
    return explore_topics(*toy)


def put(explorer, **values):
    for name, value in values.items():
        explorer.controls[name].value = value


# Os números


def test_the_three_shares_are_what_the_controls_say(explorer):
    put(explorer, first=4, second=0, third=2, share=0.3, rest=0.25)
    wanted = torch.zeros(5)
    wanted[4], wanted[0], wanted[2] = 0.3, 0.7 * 0.25, 0.7 * 0.75
    torch.testing.assert_close(explorer.theta, wanted)


def test_the_same_topic_in_two_corners_adds_up(explorer):
    put(explorer, first=1, second=1, third=3, share=0.5, rest=1.0)
    assert explorer.theta.tolist() == pytest.approx([0, 1, 0, 0, 0])


def test_words_are_the_likeliest_of_the_model_there(explorer, toy):
    decode, _, words, _ = toy
    put(explorer, first=0, second=2, third=3, share=0.6, rest=0.5)
    log_p = decode(explorer.theta[None])[0]
    torch.testing.assert_close(explorer.log_p, log_p)
    assert list(explorer.top) == log_p.argsort(descending=True)[:12].tolist()
    assert words[explorer.top[0]] in explorer.describe(explorer.numbers)


def test_nearest_pages_are_the_ones_of_least_hellinger_distance(explorer, toy):
    _, theta, _, titles = toy
    put(explorer, first=2, second=4, third=1, share=0.2, rest=0.8)
    distance = (theta.sqrt() - explorer.theta.sqrt()).square().sum(1)
    assert list(explorer.nearest) == distance.argsort()[:5].tolist()
    assert explorer.alikeness[0] == pytest.approx(1 - distance.min().item() / 2, abs=1e-5)
    assert titles[explorer.nearest[0]] in explorer.describe(explorer.numbers)


def test_it_starts_with_the_three_most_used_topics(explorer, toy):
    used = toy[1].mean(0).argsort(descending=True)[:3].tolist()
    assert [explorer.first, explorer.second, explorer.third] == used


# A figura e a mão


def middle_of_the_point(explorer) -> np.ndarray:
    right, bottom = module._BARS[0][0] - 30, module._LINES - 30
    rows, columns = np.nonzero(painted(explorer, ORANGE, right=right, bottom=bottom))
    return np.array([columns.mean(), rows.mean()]) / 2


@pytest.mark.parametrize(("share", "rest", "corner"), [(1.0, 0.5, 0), (0.0, 1.0, 1), (0.0, 0.0, 2)])
def test_a_whole_page_of_one_topic_is_at_its_corner(explorer, share, rest, corner):
    put(explorer, share=share, rest=rest)
    assert middle_of_the_point(explorer) == pytest.approx(np.array(module._corners()[corner]), abs=1.5)


def test_the_point_is_dragged_in_the_triangle(explorer):
    corners = np.array(module._corners())
    for parts in ((0.2, 0.5, 0.3), (0.7, 0.1, 0.2)):
        point(explorer, *(np.array(parts) @ corners))
        found = [float(explorer.theta[k]) for k in (explorer.first, explorer.second, explorer.third)]
        assert found == pytest.approx(parts, abs=0.01)
        assert middle_of_the_point(explorer) == pytest.approx(np.array(parts) @ corners, abs=2.5)
    point(explorer, module._LEFT - 40, module._BASE + 20)  # fora: vai à borda
    assert float(explorer.theta.min()) >= 0
    assert float(explorer.theta.sum()) == pytest.approx(1)


def test_arrows_move_the_point(explorer):
    put(explorer, share=0.5, rest=0.5)
    start = middle_of_the_point(explorer)
    press(explorer, 2, 0)
    assert middle_of_the_point(explorer)[0] == pytest.approx(start[0] + 2 * 0.05 * module._SIDE, abs=2)
    press(explorer, 2, -2)
    up = 2 * 0.05 * module._SIDE * math.sqrt(3) / 2
    assert middle_of_the_point(explorer)[1] == pytest.approx(start[1] - up, abs=2)


def test_the_bars_are_in_proportion_to_the_probabilities(explorer):
    put(explorer, share=0.8, rest=0.5)
    (left, _), (top, bottom) = module._BARS
    height = (bottom - top) / 12
    lengths = []
    for i in range(12):
        y = top + (i + 0.5) * height
        found = painted(explorer, BLUE, left=left, top=round(y - 2), bottom=round(y + 2))
        lengths.append(found.any(0).sum())
    p = explorer.log_p.exp()[list(explorer.top)].numpy()
    assert np.array(lengths) / lengths[0] == pytest.approx(p / p[0], abs=0.02)


def test_a_recording_is_the_kernel(explorer):
    assert {name for name, _ in explorer.recorded} == {"share", "rest"}
    assert_recording_is_the_kernel(explorer, share=(0.0, 0.4, 1.0), rest=(0.0, 0.5))


def test_long_words_and_titles_and_few_words_fit():
    decode, theta, _, _ = toy_topics(n_topics=2, n_words=4)
    explorer = explore_topics(decode, theta, ["palavra" * 9] * 4, ["Um título " * 30] * len(theta))
    assert len(explorer.top) == 4
    assert repr(explorer) == "TopicsExplorer(2 tópicos, 4 palavras, 40 páginas)"


# O que não serve


class Noisy(nn.Module):
    def __init__(self, decode):
        super().__init__()
        self.decode, self.dropout = decode, nn.Dropout(0.5)

    def forward(self, theta):
        return self.decode(self.dropout(theta) if self.training else theta)


def test_a_module_in_training_mode_is_asked_in_evaluation_mode(toy):
    noisy = Noisy(toy[0])
    explorer = explore_topics(noisy, *toy[1:])
    torch.testing.assert_close(explorer.log_p, toy[0](explorer.theta[None])[0])
    assert noisy.training


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({1: [[1.0]]}, TypeError, r"proportions deve ser um tensor \[N, K\].*mas veio list"),
        ({1: torch.ones(4)}, ValueError, r"proportions deve ter forma \[N, K\].*\(4,\)"),
        ({1: torch.randn(40, 5)}, ValueError, "soma 1.*softmax"),
        ({1: torch.full((40, 5), torch.nan)}, ValueError, "soma 1"),
        ({3: ["a"]}, ValueError, "40 páginas em proportions e 1 em titles"),
        ({2: "palavras"}, TypeError, "vocabulary deve ser uma lista de textos, mas veio str"),
        ({2: [1, 2]}, TypeError, "vocabulary deve ser uma lista de textos"),
        ({2: ["a", "b"]}, ValueError, r"com V = 2, as palavras de vocabulary.*\(2, 30\)"),
        ({0: lambda theta: torch.rand(len(theta), 30)}, ValueError, "duas respostas diferentes"),
        ({0: lambda theta: torch.zeros(len(theta), 30)}, ValueError, r"log_softmax\(-1\)"),
        ({0: 3}, TypeError, "decode deve ser uma função"),
    ],
)
def test_what_does_not_serve_is_refused(toy, change, error, message):
    arguments = [change.get(i, argument) for i, argument in enumerate(toy)]
    with pytest.raises(error, match=message):
        explore_topics(*arguments)
