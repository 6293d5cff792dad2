"""O explorador dos passos: as contas por outros caminhos, as partes que somam o excesso, as barras e a gravação."""

import math

import numpy as np
import pytest
from toys_explore import assert_recording_is_the_kernel, painted

from vae_lessons.explore import explore_steps
from vae_lessons.explore import steps as module


@pytest.fixture
def explorer():
    return explore_steps()


def put(explorer, T, shape, adjusted):
    for name, value in (("T", T), ("shape", shape), ("adjusted", adjusted)):
        explorer.controls[name].value = value


@pytest.mark.parametrize(
    ("T", "excess"), [(1, 198.2144), (2, 98.1047), (4, 11.3377), (8, 3.0973), (16, 1.1901), (32, 0.5267), (64, 0.2484)]
)
def test_the_excess_of_one_normal_is_the_closed_form(explorer, T, excess):
    put(explorer, T, "one", False)
    assert explorer.excess == pytest.approx(excess, abs=1e-4)


@pytest.mark.parametrize("T", [1, 5, 64])
def test_with_the_best_variance_one_normal_leaves_no_excess(explorer, T):
    put(explorer, T, "one", True)
    assert abs(explorer.excess) < 1e-9
    assert np.allclose(explorer.model, explorer.truth, atol=1e-9)


@pytest.mark.parametrize("shape", ["one", "two"])
@pytest.mark.parametrize("adjusted", [False, True])
def test_the_excess_is_two_errors_neither_of_them_negative(explorer, shape, adjusted):
    for T in (1, 3, 16, 64):
        put(explorer, T, shape, adjusted)
        assert explorer.wrong_model + explorer.loose_bound == pytest.approx(explorer.excess, abs=1e-9)
        assert explorer.wrong_model > -1e-6
        assert explorer.loose_bound > -1e-6


def test_the_grid_and_the_linear_recursion_agree_where_both_can_be_used():
    log_snr = np.linspace(6, -6, 9)
    snr = np.exp(log_snr)
    signal, noise = snr / (1 + snr), 1 / (1 + snr)
    arguments = ("one", signal, noise, np.ones(8), noise[0] / (signal[0] + noise[0]))
    (by_recursion, first), (on_the_grid, second) = module._one_normal(*arguments), module._on_the_grid(*arguments)
    inside = np.abs(module._X) < 3
    assert np.allclose(by_recursion[inside], on_the_grid[inside], atol=1e-3)
    assert first == pytest.approx(second, abs=1e-3)


def test_the_density_of_two_normals_is_that_of_the_samples(explorer):
    """Descendo a cadeia com sorteios."""
    put(explorer, 6, "two", True)
    rng, n = np.random.default_rng(0), 200_000
    snr = np.exp(np.linspace(6, -6, 7))
    signal, noise = snr / (1 + snr), 1 / (1 + snr)
    error = [module._error("two", a, s) for a, s in zip(signal, noise, strict=True)]
    z = rng.normal(size=n)
    for t in range(6, 0, -1):
        a, c, own = module._step(signal, noise, t)
        ratio = 1 + (snr[t - 1] - snr[t]) * error[t]
        z = a * z + c * module._guess("two", z, signal[t], noise[t]) + math.sqrt(own * ratio) * rng.normal(size=n)
    x = module._guess("two", z, signal[0], noise[0]) + math.sqrt(error[0]) * rng.normal(size=n)
    counts, edges = np.histogram(x, bins=np.linspace(-4, 4, 41))
    middle = np.interp((edges[1:] + edges[:-1]) / 2, module._X, explorer.model)
    assert np.abs(counts / n / 0.2 - middle).max() < 0.02


def test_with_two_normals_adjusting_helps_and_does_not_close(explorer):
    for T in (2, 8, 32):
        put(explorer, T, "two", False)
        fixed = explorer.excess
        put(explorer, T, "two", True)
        assert 0.01 < explorer.excess < 0.5 * fixed


@pytest.mark.parametrize(("T", "shape"), [(1, "one"), (2, "two"), (8, "two"), (64, "one")])
def test_the_bars_add_up_to_the_eye_the_second_part_stands_on_the_first(explorer, T, shape):
    put(explorer, T, shape, False)
    left, right, top, bottom = module._BARS
    unit = (bottom - top) / module._top(explorer.excess)
    ends = []
    for place, color in enumerate((module._EXCESS, module._WRONG, module._LOOSE)):
        middle = round(left + (right - left) * (place + 0.5) / 3)
        (rows,) = painted(explorer, color, left=middle, right=middle + 1, top=top, bottom=bottom)[:, 0].nonzero()
        ends.append((bottom - top - rows.max() / 2, bottom - top - rows.min() / 2))
    (_, whole), (_, wrong), (base, loose) = ends
    assert whole == loose == pytest.approx(unit * explorer.excess, abs=2)
    assert wrong == pytest.approx(unit * explorer.wrong_model, abs=2)
    assert base == pytest.approx(wrong, abs=2)


@pytest.mark.parametrize(
    ("excess", "top"), [(198.2, 200), (3.1, 5), (2.0, 2), (0.052, 0.1), (4e-7, 0.01), (-1e-12, 0.01)]
)
def test_the_scale_is_the_first_round_number_in_which_the_excess_fits(excess, top):
    assert module._top(excess) == pytest.approx(top)


def test_the_text_states_the_numbers(explorer):
    put(explorer, 8, "one", False)
    said = explorer.describe(explorer.numbers)
    for part in ("T = 8 passos", "uma normal", "variância da volta fixa", "o excesso, 3,097 nats"):
        assert part in said
    assert repr(explorer) == "StepsExplorer(T = 8, uma normal)"


def test_a_recording_is_the_kernel(explorer):
    assert_recording_is_the_kernel(explorer, shape=("one", "two"), adjusted=(False, True), T=(1, 8, 48))


def test_the_page_keeps_few_states():
    states = math.prod(len(values) if values else 2 for _, values in explore_steps().recorded)
    assert states <= 60
