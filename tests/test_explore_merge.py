"""O explorador da fusão contra o produto das duas densidades, ponto a ponto."""

import numpy as np
import pytest
from toys_explore import assert_recording_is_the_kernel, painted, point, press

from vae_lessons.explore import explore_merge
from vae_lessons.explore import merge as module

SETTINGS = [(-1.5, 1.0, 1.5, 3.0), (0.0, 0.1, 2.0, 5.0), (2.0, 4.0, 2.0, 0.5), (-3.0, 0.3, 3.0, 0.3)]


@pytest.fixture
def explorer():
    return explore_merge()


def put(explorer, *values):
    for name, value in zip(explorer.inputs, values, strict=True):
        explorer.controls[name].value = value


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_product_of_the_densities_has_this_mean_and_this_precision(explorer, setting):
    put(explorer, *setting)
    z = np.linspace(-60, 60, 200_001)
    m1, p1, m2, p2 = setting
    product = np.exp(-0.5 * p1 * (z - m1) ** 2 - 0.5 * p2 * (z - m2) ** 2)
    product /= product.sum()
    mean = product @ z
    assert explorer.mean == pytest.approx(mean, abs=1e-6)
    assert 1 / explorer.precision == pytest.approx(product @ (z - mean) ** 2, rel=1e-6)


def test_precisions_add_as_they_are_written(explorer):
    for value in np.geomspace(0.1, 5, 23):
        explorer.controls["message_precision"].value = float(value)
        words = explorer.describe(explorer.numbers).replace(",", ".")
        prior, message, total = (float(part.split(" ")[0].rstrip(".;")) for part in words.split("precisão ")[1:])
        assert round(prior + message, 2) == total


def test_a_message_that_says_almost_nothing_leaves_the_prior(explorer):
    explorer.controls["prior_precision"].value = 5.0
    explorer.controls["asleep"].click()
    assert explorer.message_precision == pytest.approx(0.1)
    assert explorer.mean == pytest.approx(explorer.prior_mean, abs=0.1)


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_lever_stands_on_the_mean_of_the_product(explorer, setting):
    put(explorer, *setting)
    (top, bottom), across = module._LEVER, module._RIGHT - module._LEFT
    middle = module._LEFT + across * (explorer.mean + 4) / 8
    area = {"left": round(middle) - 14, "right": round(middle) + 14, "top": top + 56, "bottom": bottom - 10}
    columns = np.flatnonzero(painted(explorer, module._PRODUCT, **area)[0])
    assert (columns.min() + columns.max()) / 4 + round(middle) - 14 == pytest.approx(middle, abs=1.5)


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_bars_are_as_long_as_the_precisions(explorer, setting):
    put(explorer, *setting)
    top, unit = module._BARS[0], 450 / (2 * module._HEAVIEST)
    upper = {"left": 100, "right": 570, "top": top + 15, "bottom": top + 16}
    lower = {"left": 100, "right": 100 + 10 + round(explorer.precision * unit) + 4, "top": top + 50, "bottom": top + 51}
    lengths = [
        painted(explorer, color, **area)[0].sum() / 2
        for color, area in ((module._PRIOR, upper), (module._MESSAGE, upper), (module._PRODUCT, lower))
    ]
    expected = [explorer.prior_precision * unit, explorer.message_precision * unit, explorer.precision * unit]
    assert lengths == pytest.approx(expected, abs=1.5)


def test_the_tallest_product_fits(explorer):
    put(explorer, 0.0, module._HEAVIEST, 0.0, module._HEAVIEST)
    rows = np.flatnonzero(
        painted(explorer, module._PRODUCT, left=100, top=module._CURVES[0], bottom=module._CURVES[1]).any(1)
    )
    assert 0 < rows.min() < 40


def test_the_nearest_curve_is_dragged_even_past_the_other(explorer, monkeypatch):
    monkeypatch.setattr(module, "_RELEASED", 60)

    def place(z):
        return module._LEFT + (module._RIGHT - module._LEFT) * (z + 4) / 8

    for z in (1.2, 0.0, -1.4, -2.0):
        point(explorer, place(z), 100)
        assert explorer.message_mean == pytest.approx(z, abs=0.05)
    assert explorer.prior_mean == -1.5
    explorer._last -= 61  # a mão soltou a curva
    explorer.controls["message_mean"].value = 2.0
    point(explorer, place(-1.0), 100)
    assert (explorer.prior_mean, explorer.message_mean) == pytest.approx((-1.0, 2.0))


def test_arrows_move_the_message(explorer):
    press(explorer, -2, 0)
    assert explorer.message_mean == pytest.approx(1.3)
    before = explorer.message_precision
    press(explorer, -2, -1)
    assert explorer.message_precision > before
    press(explorer, -2, -900)
    assert explorer.message_precision == pytest.approx(module._HEAVIEST)


def test_a_recording_is_the_kernel(explorer):
    explorer.controls["prior_mean"].value = -0.5
    assert_recording_is_the_kernel(
        explorer, prior_precision=(0.1, 5.0), message_mean=(1.5,), message_precision=(0.3, 3.0)
    )
