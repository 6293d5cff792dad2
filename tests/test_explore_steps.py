"""O explorador dos passos: as contas por outros caminhos, as partes que somam a lacuna, as barras e a gravação."""

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
    ("T", "gap"), [(1, 198.2144), (2, 98.1047), (4, 11.3377), (8, 3.0973), (16, 1.1901), (32, 0.5267), (64, 0.2484)]
)
def test_the_gap_of_one_normal_is_the_closed_form(explorer, T, gap):
    put(explorer, T, "one", False)
    assert explorer.gap == pytest.approx(gap, abs=1e-4)


@pytest.mark.parametrize("T", [1, 5, 64])
def test_with_the_best_variance_one_normal_leaves_no_gap(explorer, T):
    put(explorer, T, "one", True)
    assert abs(explorer.gap) < 1e-9
    assert np.allclose(explorer.model, explorer.truth, atol=1e-9)


@pytest.mark.parametrize("shape", ["one", "two"])
@pytest.mark.parametrize("adjusted", [False, True])
def test_the_gap_is_two_errors_neither_of_them_negative(explorer, shape, adjusted):
    for T in (1, 3, 16, 64):
        put(explorer, T, shape, adjusted)
        assert explorer.wrong_model + explorer.loose_bound == pytest.approx(explorer.gap, abs=1e-9)
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
        fixed = explorer.gap
        put(explorer, T, "two", True)
        assert 0.01 < explorer.gap < 0.5 * fixed


@pytest.mark.parametrize(("T", "shape"), [(1, "one"), (8, "two"), (64, "one")])
def test_the_bars_are_as_tall_as_the_logarithms_of_what_they_show(explorer, T, shape):
    put(explorer, T, shape, False)
    left, right, top, bottom = module._BARS
    unit = (bottom - top) / (math.log10(module._MOST) - math.log10(module._LEAST))
    for place, (value, color) in enumerate(
        ((explorer.wrong_model, module._WRONG), (explorer.loose_bound, module._LOOSE)), start=1
    ):
        middle = round(left + (right - left) * (place + 0.5) / 3)
        tall = painted(explorer, color, left=middle, right=middle + 1, top=top, bottom=bottom)[:, 0].sum() / 2
        assert tall == pytest.approx(unit * math.log10(value / module._LEAST), abs=2)


def test_the_text_states_the_numbers(explorer):
    put(explorer, 8, "one", False)
    said = explorer.describe(explorer.numbers)
    for part in ("T = 8 passos", "uma normal", "variância da volta fixa", "a lacuna, 3,097 nats"):
        assert part in said
    assert repr(explorer) == "StepsExplorer(T = 8, uma normal)"


def test_a_recording_is_the_kernel(explorer):
    assert_recording_is_the_kernel(explorer, shape=("one", "two"), adjusted=(False, True), T=(1, 8, 48))


def test_the_page_keeps_few_states():
    states = math.prod(len(values) if values else 2 for _, values in explore_steps().recorded)
    assert states <= 60
