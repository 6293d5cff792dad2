"""O explorador da ELBO contra as formas fechadas do modelo linear-gaussiano e do seu módulo."""

import base64
import io
import math
from decimal import Decimal

import ipywidgets
import numpy as np
import pytest
import torch
from PIL import Image

from vae_lessons import style
from vae_lessons.distributions import Normal, kl_divergence
from vae_lessons.explore import canvas, explore_elbo

S2 = 0.25  # variância de x|z
V = 1 / (1 + 1 / S2)  # variância da posterior de z ~ N(0, 1), x|z ~ N(z, s²)
POSITIONS = [(0.0, 1.0, 2.0), (-3.0, 0.1, 3.0), (3.0, 3.0, 0.0), (1.6, 0.4472, 2.0), (-0.35, 0.1, 0.9), (2.2, 2.0, 3.0)]
MODES = ["um modo", "dois modos"]
SPREADS = np.geomspace(0.1, 3, 15)
BLUE, RED = (tuple(bytes.fromhex(color[1:])) for color in (style.ELBO, style.GAP))


@pytest.fixture
def explorer():
    return explore_elbo()


def put(explorer, mean, spread, x):
    for name, value in (("mean", mean), ("spread", spread), ("x", x)):
        explorer.controls[name].set_state({"value": value})


def q(explorer) -> tuple[float, float]:
    return explorer.controls["mean"].value, explorer.controls["spread"].value


def normal(mean, variance) -> Normal:
    return Normal(torch.tensor(mean, dtype=torch.float64), torch.tensor(variance, dtype=torch.float64).log())


def pixels(explorer) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(explorer.picture.value)).convert("RGB"))


def bar_lengths(explorer) -> tuple[int, int]:
    """Pontos em azul e em vermelho na linha do meio da barra."""
    picture = pixels(explorer)
    row = max(range(len(picture) // 2, len(picture) * 4 // 5), key=lambda i: (picture[i] == RED).all(-1).sum())
    return tuple(int((picture[row] == color).all(-1).sum()) for color in (BLUE, RED))


# Um modo: tudo é conhecido


@pytest.mark.parametrize(("mean", "spread", "x"), POSITIONS)
def test_evidence_and_both_divergences_match_the_linear_gaussian_model(explorer, mean, spread, x):
    put(explorer, mean, spread, x)
    posterior, chosen = normal(x / (1 + S2), V), normal(mean, spread**2)
    assert explorer.log_evidence == pytest.approx(
        normal(0.0, 1 + S2).log_prob(torch.tensor(x, dtype=torch.float64)).item(), abs=1e-9
    )
    assert explorer.kl == pytest.approx(kl_divergence(chosen, posterior).item(), abs=1e-9, rel=1e-9)
    assert explorer.kl_reverse == pytest.approx(kl_divergence(posterior, chosen).item(), abs=1e-9, rel=1e-9)


def test_elbo_is_the_expected_log_likelihood_minus_the_divergence_to_the_prior(explorer):
    put(explorer, 0.7, 0.3, 1.5)
    log_likelihood = -0.5 * math.log(2 * math.pi * S2) - 0.5 * ((1.5 - 0.7) ** 2 + 0.3**2) / S2
    kl_to_prior = kl_divergence(normal(0.7, 0.09), normal(0.0, 1.0)).item()
    assert explorer.elbo == pytest.approx(log_likelihood - kl_to_prior, abs=1e-9)


@pytest.mark.parametrize("button", ["best", "moment"])
def test_both_buttons_take_q_to_the_gaussian_posterior_and_close_the_gap(explorer, button):
    explorer.controls["x"].value = 1.35
    explorer.controls[button].click()
    assert q(explorer) == pytest.approx((1.35 / (1 + S2), math.sqrt(V)), abs=1e-6)
    assert explorer.kl == pytest.approx(0, abs=1e-10)
    assert explorer.elbo == pytest.approx(explorer.log_evidence, abs=1e-10)


def test_reset_takes_q_to_the_prior(explorer):
    start = explorer.picture.value
    explorer.controls["best"].click()
    assert explorer.picture.value != start
    explorer.controls["zero"].click()
    assert q(explorer) == (0.0, 1.0)
    assert explorer.picture.value == start


@pytest.mark.parametrize("start", [(-3.0, 0.1), (-1.0, 1.0), (0.0, 3.0), (3.0, 0.1)])
@pytest.mark.parametrize("x", [0.0, 0.5, 2.0, 3.0])
def test_the_best_q_is_the_posterior_wherever_q_was(explorer, start, x):
    put(explorer, *start, x)
    explorer.controls["best"].click()
    assert q(explorer) == pytest.approx((x / (1 + S2), math.sqrt(V)), abs=1e-6)
    assert explorer.kl == pytest.approx(0, abs=1e-10)


# Dois modos: nenhuma normal fecha a distância


@pytest.mark.parametrize("x", [0.0, 0.4, 1.0, 2.0, 3.0])
def test_evidence_of_the_absolute_value_model_is_twice_the_positive_half(explorer, x):
    explorer.controls["mode"].value = "dois modos"
    explorer.controls["x"].value = x
    positive = 0.5 * math.erfc(-x / (1 + S2) / math.sqrt(2 * V))
    expected = math.log(2 * positive) + normal(0.0, 1 + S2).log_prob(torch.tensor(x, dtype=torch.float64)).item()
    assert explorer.log_evidence == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("side", [-1, 1])
def test_the_best_q_sits_on_one_mode_log_2_nats_below_the_evidence(explorer, side):
    explorer.controls["mode"].set_state({"index": 1})
    explorer.controls["x"].value = 3.0
    explorer.controls["mean"].value = side * 0.05
    explorer.controls["best"].click()
    assert q(explorer) == pytest.approx((side * 3 / (1 + S2), math.sqrt(V)), abs=1e-3)
    assert explorer.kl == pytest.approx(math.log(2), abs=1e-4)


@pytest.mark.parametrize("x", [0.5, 1.0, 2.0])
def test_no_nearby_q_beats_the_best_one(explorer, x):
    explorer.controls["mode"].value = "dois modos"
    explorer.controls["x"].value = x
    explorer.controls["best"].click()
    (mean, spread), best = q(explorer), explorer.elbo
    assert explorer.kl > 0.01
    for step in (0.1, 1e-3):
        for nearby in ((mean + step, spread), (mean - step, spread), (mean, spread + step), (mean, spread - step)):
            put(explorer, *nearby, x)
            assert explorer.elbo < best


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("x", [0.0, 0.4, 1.0, 1.5, 1.6, 3.0])
@pytest.mark.parametrize("start", [-2.0, 0.5])
def test_no_q_at_all_beats_the_best_one(explorer, mode, x, start):
    """Perto de x = 1,5 a normal larga no meio e as estreitas nos modos disputam: são subidas diferentes."""
    explorer.controls["mode"].value = mode
    put(explorer, start, 0.5, x)
    explorer.controls["best"].click()
    best = explorer.elbo
    others = [explorer.measure(mean, spread, x, mode).elbo for mean in np.linspace(-3, 3, 25) for spread in SPREADS]
    assert best >= max(others) - 1e-9


def test_moment_matching_covers_both_modes_and_costs_elbo(explorer):
    explorer.controls["mode"].value = "dois modos"
    explorer.controls["best"].click()
    best, best_reverse = explorer.kl, explorer.kl_reverse
    explorer.controls["moment"].click()
    half = 2.0 / (1 + S2)  # as duas metades mal se tocam: variância ≈ V + m²
    assert q(explorer) == pytest.approx((0.0, math.sqrt(V + half**2)), abs=1e-3)
    assert explorer.kl > 2 * best
    assert explorer.kl_reverse < best_reverse / 2


# A identidade e a figura


@pytest.mark.parametrize("mode", MODES)
def test_evidence_is_elbo_plus_divergence_wherever_the_controls_are(explorer, mode):
    explorer.controls["mode"].value = mode
    generator = np.random.default_rng(0)
    for mean, log_spread, x in generator.uniform([-3, -1, 0], [3, 0.5, 3], size=(50, 3)):
        put(explorer, mean, 10**log_spread, x)
        assert explorer.log_evidence == pytest.approx(explorer.elbo + explorer.kl, abs=1e-9)
        assert explorer.kl > 0
        assert explorer.kl_reverse > 0


@pytest.mark.parametrize("mode", MODES)
def test_the_sum_is_right_as_printed(explorer, mode, monkeypatch):
    """Arredondados um a um, os números dariam somas como −1,938 = −2,630 + 0,693."""
    written, wrong = [], 0
    monkeypatch.setattr(canvas.Panel, "text", lambda self, x, y, text, *_, **__: written.append(text))
    explorer.controls["mode"].value = mode
    for mean in np.linspace(-3, 3, 13):
        for spread in SPREADS[::2]:
            written.clear()
            put(explorer, float(mean), float(spread), 1.3)
            log_evidence, elbo, kl, _ = (Decimal(n.replace("−", "-").replace(",", ".")) for n in written[-4:])
            assert log_evidence == elbo + kl
            for printed, value in ((log_evidence, explorer.log_evidence), (elbo, explorer.elbo), (kl, explorer.kl)):
                assert float(printed) == pytest.approx(value, abs=1e-3)
            assert kl >= 0
            wrong += round(explorer.log_evidence, 3) != round(round(explorer.elbo, 3) + round(explorer.kl, 3), 3)
    assert wrong > 5


@pytest.mark.parametrize(
    ("name", "value"), [("mean", 0.5), ("spread", 0.5), ("x", 1.0), ("mode", "dois modos")], ids=str
)
def test_each_control_changes_the_picture_and_the_numbers(explorer, name, value):
    picture, numbers = explorer.picture.value, (explorer.elbo, explorer.kl)
    explorer.controls[name].value = value
    assert explorer.picture.value != picture
    assert (explorer.elbo, explorer.kl) != numbers


def test_the_bar_always_ends_at_the_evidence_and_the_divergence_is_its_red_part(explorer):
    put(explorer, 1.0, 0.5, 2.0)
    blue, red = bar_lengths(explorer)
    assert red / (blue + red) == pytest.approx(
        explorer.kl / (explorer.log_evidence + 12), abs=0.1
    )  # o texto cobre azul
    put(explorer, 1.2, 0.5, 2.0)
    shorter = bar_lengths(explorer)
    assert shorter[1] < red
    assert sum(shorter) == pytest.approx(blue + red, abs=30)
    explorer.controls["best"].click()
    assert bar_lengths(explorer)[1] == 0


def test_an_elbo_below_the_scale_leaves_the_bar_all_red(explorer):
    put(explorer, -3.0, 0.1, 3.0)
    assert explorer.elbo < -12
    blue, red = bar_lengths(explorer)
    assert blue == 0
    assert red > 500


def test_the_picture_depends_on_the_controls_alone(explorer):
    put(explorer, 0.5, 0.8, 1.0)
    other = explore_elbo()
    put(other, 0.5, 0.8, 1.0)
    assert other.picture.value == explorer.picture.value
    assert other.picture.value != explore_elbo().picture.value


def test_every_move_made_by_code_draws_once(explorer, monkeypatch):
    drawings = []
    render = explorer._render
    monkeypatch.setattr(explorer, "_render", lambda: drawings.append(None) or render())
    for name in ("best", "moment", "zero"):
        drawings.clear()
        explorer.controls[name].click()
        assert len(drawings) == 1


def test_a_spread_set_by_code_is_a_whole_number_of_steps_from_the_minimum(explorer):
    """No navegador, só esses valores não são arredondados."""
    slider = explorer.controls["spread"]
    for value in (math.sqrt(V), 0.1, 0.1234, 1.0, 3.0):
        slider.value = value
        assert slider.value == value
        steps = (math.log10(value) - slider.min) / slider.step
        assert steps == pytest.approx(round(steps), abs=1e-4)
        assert -1.02 < slider.min <= -1 + 1e-9


# O que ele promete a quem o usa


def test_the_caption_tells_which_model_it_is(explorer):
    assert "N(z, ½²)" in explorer.caption.value
    explorer.controls["mode"].value = "dois modos"
    assert "N(|z|, ½²)" in explorer.caption.value


def test_repr_is_short_and_always_the_same(explorer):
    assert repr(explorer) == "ElboExplorer(z ~ N(0, 1), q(z) normal)"


def test_without_a_kernel_there_is_still_the_same_picture(explorer):
    explorer.controls["x"].value = 0.5
    bundle = explorer._repr_mimebundle_()
    assert bundle["text/plain"] == repr(explorer)
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert base64.b64decode(bundle["image/png"]) == explorer.picture.value
    assert isinstance(explorer, ipywidgets.Box)
