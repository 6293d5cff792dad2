"""O explorador da partícula contra a Gama do SciPy: a altura, o caminho e a inclinação dele."""

import numpy as np
import pytest
import torch
from scipy import stats
from toys_explore import assert_recording_is_the_kernel, painted, point, press

from vae_lessons.distributions import Gamma
from vae_lessons.explore import explore_implicit
from vae_lessons.explore import implicit as module

SETTINGS = [(2.5, 0.7), (0.5, 0.02), (0.5, 0.98), (8.0, 0.02), (8.0, 0.98), (4.0, 0.5)]


@pytest.fixture
def explorer():
    return explore_implicit()


def put(explorer, alpha, u):
    explorer.controls["alpha"].value = alpha
    explorer.controls["u"].value = u


@pytest.mark.parametrize(("alpha", "u"), SETTINGS)
def test_the_particle_is_the_quantile_of_the_gamma(explorer, alpha, u):
    put(explorer, alpha, u)
    assert explorer.z == pytest.approx(stats.gamma(alpha).ppf(u), rel=1e-6)
    assert explorer.next_z == pytest.approx(stats.gamma(alpha + 1).ppf(u), rel=1e-6)
    assert explorer.density == pytest.approx(stats.gamma(alpha).pdf(explorer.z), rel=1e-6)


@pytest.mark.parametrize(("alpha", "u"), SETTINGS)
def test_the_slope_is_how_much_the_quantile_moves(explorer, alpha, u):
    put(explorer, alpha, u)
    h = 1e-4
    moved = (stats.gamma(alpha + h).ppf(u) - stats.gamma(alpha - h).ppf(u)) / (2 * h)
    assert explorer.slope == pytest.approx(moved, rel=1e-4)
    assert explorer.slope == pytest.approx(explorer.fall / explorer.density)


@pytest.mark.parametrize(("alpha", "u"), SETTINGS)
def test_the_slope_is_the_gradient_of_the_package(explorer, alpha, u):
    put(explorer, alpha, u)
    parameter = torch.tensor(alpha, dtype=torch.float64, requires_grad=True)
    z = torch.tensor(explorer.z, dtype=torch.float64)
    (slope,) = torch.autograd.grad(Gamma(parameter, torch.ones_like(z)).rsample(z), parameter)
    assert explorer.slope == pytest.approx(slope.item(), rel=1e-3)


def test_moving_alpha_leaves_u_and_moves_the_particle(explorer):
    before = explorer.z, explorer.picture.value
    explorer.controls["alpha"].value = 4.0
    assert explorer.u == 0.7
    assert explorer.z > before[0]
    assert explorer.picture.value != before[1]


def test_the_particle_is_painted_at_its_place(explorer):
    put(explorer, 6.0, 0.5)
    (left, right), (top, bottom) = module._CDF, module._BAND
    x = left + (right - left) * explorer.z / module._MOST_Z
    y = bottom - (bottom - top) * explorer.u
    box = {"left": round(x) - 7, "right": round(x) + 7, "top": round(y) - 7, "bottom": round(y) + 7}
    rows, columns = np.nonzero(painted(explorer, module._PARTICLE, **box))
    assert rows.mean() / 2 + box["top"] == pytest.approx(y, abs=1.5)
    assert columns.mean() / 2 + box["left"] == pytest.approx(x, abs=1.5)


def test_dragging_on_the_left_moves_u_and_on_the_right_alpha(explorer):
    (top, bottom) = module._BAND
    point(explorer, 200, bottom - 0.3 * (bottom - top))
    assert (explorer.alpha, explorer.u) == (2.5, pytest.approx(0.3, abs=0.011))
    left, right = module._PATH
    point(explorer, left + (6.0 - 0.5) / 7.5 * (right - left), 150)
    assert explorer.alpha == pytest.approx(6.0, abs=0.051)
    point(explorer, 200, 0)
    assert explorer.u == module._MOST_U


def test_the_arrows_of_the_keyboard_move_both(explorer):
    press(explorer, 5, -3)
    assert explorer.alpha == pytest.approx(3.0)
    assert explorer.u == pytest.approx(0.76)
    press(explorer, 500, 500)
    assert (explorer.alpha, explorer.u) == (pytest.approx(8.0), pytest.approx(0.02))


def test_the_text_states_the_numbers(explorer):
    put(explorer, 4.0, 0.5)
    said = explorer.describe(explorer.numbers)
    for part in ("α = 4,0", "u = 0,50", "z = 3,67", "inclinação é 0,999"):
        assert part in said
    assert repr(explorer) == "ImplicitExplorer(α = 4,0, u = 0,50)"


def test_the_page_shows_what_the_kernel_paints(explorer):
    assert_recording_is_the_kernel(explorer, alpha=(0.5, 2.5, 8.0), u=(0.02, 0.7, 0.98))
