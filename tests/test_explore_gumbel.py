"""O explorador do Gumbel-Softmax contra distributions.Categorical, as esperanças conhecidas e os dois limites de τ."""

import base64
import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from vae_lessons.distributions import Categorical
from vae_lessons.explore import explore_gumbel, gumbel

STRONG, PALE = ([tuple(bytes.fromhex(color[1:])) for color in colors] for colors in (gumbel._STRONG, gumbel._PALE))
SETTINGS = [(0.06, (0.0, 0.0, 0.0)), (0.5, (4.0, -4.0, 0.3)), (1.0, (-1.2, 0.7, 2.0)), (19.0, (3.0, 1.0, -4.0))]
LIMITS = (0.05, 20.0)


@pytest.fixture
def explorer():
    return explore_gumbel()


def put(explorer, temperature=None, logits=None):
    if temperature is not None:
        explorer.controls["temperature"].set_state({"value": temperature})
    for k, value in enumerate(logits or (), start=1):
        explorer.controls[f"logit_{k}"].set_state({"value": value})


def pixels(explorer) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(explorer.picture.value)).convert("RGB"))


def places(picture: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """[N, 2]: (linha, coluna) dos pontos da imagem com essa cor."""
    return np.argwhere((picture == color).all(-1))


def simplex(explorer) -> np.ndarray:
    """A parte de cima à esquerda: o triângulo, sem a legenda."""
    picture = pixels(explorer)
    return picture[: round(0.66 * len(picture)), : round(0.51 * picture.shape[1])]


def bar_heights(explorer, colors) -> list[int]:
    """Altura, em pontos, da barra de cada cor na parte de baixo à direita."""
    picture = pixels(explorer)
    averages = picture[round(0.53 * len(picture)) : round(0.9 * len(picture)), round(0.53 * picture.shape[1]) :]
    rows = [places(averages, color)[:, 0] for color in colors]
    return [int(np.ptp(found)) + 1 if len(found) else 0 for found in rows]


# Os números


@pytest.mark.parametrize(("temperature", "logits"), SETTINGS)
def test_the_samples_are_those_of_the_package_for_one_fixed_noise(explorer, temperature, logits):
    put(explorer, 1.0, (0.0, 0.0, 0.0))
    noise = torch.tensor(explorer.samples).log()  # com τ = 1 e π uniforme, log y é g a menos de uma constante
    put(explorer, temperature, logits)
    q = Categorical(torch.tensor(logits, dtype=torch.float64))
    np.testing.assert_allclose(explorer.samples, q.relaxed(temperature, noise), atol=1e-9)
    np.testing.assert_allclose(explorer.probabilities, q.mean, rtol=1e-12)
    np.testing.assert_allclose(explorer.mean, explorer.samples.mean(0), rtol=1e-12)
    winners = q.relaxed(temperature, noise, hard=True)
    np.testing.assert_allclose(explorer.frequencies, winners.mean(0), atol=1e-12)


@pytest.mark.parametrize(("temperature", "logits"), SETTINGS)
def test_the_argmax_has_the_frequencies_of_pi(explorer, temperature, logits):
    put(explorer, temperature, logits)
    for _ in range(3):
        probabilities = explorer.probabilities
        errors = np.sqrt(probabilities * (1 - probabilities) / len(explorer.samples))
        assert (np.abs(explorer.frequencies - probabilities) < 4 * errors).all()
        explorer.controls["resample"].click()


@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
def test_the_mean_of_y_is_the_one_known_for_two_equal_classes_and_a_hopeless_third(explorer, temperature):
    """Com π₃ ≈ 0 e y₁ = σ(ℓ/τ), em que ℓ é logística de centro log(π₁/π₂), E[y₁] é uma integral de uma dimensão."""
    put(explorer, temperature, (4.0, 3.0, -4.0))
    uniform = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    expected = torch.sigmoid((1.0 + torch.logit(uniform)) / temperature)
    put_aside = explorer.samples[:, 2].mean()
    error = expected.std() / math.sqrt(len(explorer.samples))
    assert explorer.mean[0] == pytest.approx(expected.mean().item(), abs=4 * error.item() + put_aside)


def test_temperature_moves_the_mean_of_y_and_never_the_argmax(explorer):
    frequencies, distances = explorer.frequencies, []
    for temperature in np.geomspace(*LIMITS, 9):
        put(explorer, temperature)
        assert (explorer.frequencies == frequencies).all()
        distances.append(np.abs(explorer.mean - explorer.frequencies).max())
    assert (np.diff(distances) > 0).all()
    assert distances[0] < 0.005
    assert explorer.mean == pytest.approx(np.full(3, 1 / 3), abs=0.03)


def test_samples_go_to_the_vertices_as_the_temperature_falls_and_to_the_centre_as_it_grows(explorer):
    put(explorer, LIMITS[0])
    assert np.median(explorer.samples.max(1)) > 1 - 1e-6
    put(explorer, LIMITS[1])
    assert np.median(np.abs(explorer.samples - 1 / 3).max(1)) < 0.05


def test_samples_move_without_jumps_because_the_noise_stays(explorer):
    put(explorer, 1.0)
    before = explorer.samples
    put(explorer, 1.001)
    assert 0 < np.abs(explorer.samples - before).max() < 0.002
    put(explorer, 1.0)
    assert (explorer.samples == before).all()


def test_resampling_draws_other_noise_always_in_the_same_order(explorer):
    seen = [explorer.samples]
    for _ in range(2):
        explorer.controls["resample"].click()
        seen.append(explorer.samples)
    other = explore_gumbel()
    for samples in seen:
        assert (other.samples == samples).all()
        other.controls["resample"].click()
    for a, b in ((0, 1), (1, 2), (0, 2)):
        assert abs(np.corrcoef(seen[a][:, 0], seen[b][:, 0])[0, 1]) < 0.05


# A figura


@pytest.mark.parametrize("name", ["temperature", "logit_1", "logit_2", "logit_3"])
def test_each_control_changes_the_picture_and_the_text(explorer, name):
    before = explorer.picture.value, explorer.caption.value
    explorer.controls[name].value = 0.5
    assert explorer.picture.value != before[0]
    assert explorer.caption.value != before[1]


def test_resampling_changes_the_picture(explorer):
    before = explorer.picture.value
    explorer.controls["resample"].click()
    assert explorer.picture.value != before


@pytest.mark.parametrize("k", range(3))
def test_points_have_the_colour_of_the_vertex_they_are_nearest_to(explorer, k):
    put(explorer, 1.0, (0.0, 0.0, 0.0))
    picture = simplex(explorer)
    height, width = picture.shape[:2]
    points = places(picture, STRONG[k]) / (height, width)
    row, column = np.median(points, 0)
    assert len(points) > 1000
    assert (row < 0.6) == (k == 2)
    assert ((column < 0.4), (column > 0.6)) == ((k == 0), (k == 1))


def test_a_cold_cloud_hugs_the_vertices_and_a_hot_one_the_centre(explorer):
    painted = []
    for temperature in (LIMITS[0], 1.0, LIMITS[1]):
        put(explorer, temperature, (0.0, 0.0, 0.0))
        points = np.concatenate([places(simplex(explorer), color) for color in STRONG])
        painted.append(points[:, 1].std())
    assert painted[0] > painted[1] > 2 * painted[2]


@pytest.mark.parametrize(("temperature", "logits"), SETTINGS)
def test_the_bars_are_as_tall_as_the_frequencies_and_the_means(explorer, temperature, logits):
    put(explorer, temperature, logits)
    tallest = 280  # pontos da imagem por unidade: 154 pixels da tela para 1,1
    for colors, values in ((STRONG, explorer.frequencies), (PALE, explorer.mean)):
        for height, value in zip(bar_heights(explorer, colors), values, strict=True):
            assert height == pytest.approx(tallest * value, abs=6)  # o traço de π encobre a ponta


def test_the_picture_depends_on_the_controls_alone(explorer):
    put(explorer, 0.3, (0.5, 0.3, -2.0))
    other = explore_gumbel()
    put(other, logits=(0.5, 0.3, -2.0))
    assert other.picture.value != explorer.picture.value
    put(other, 0.3)
    assert other.picture.value == explorer.picture.value


# O que ele promete a quem o usa


def test_the_text_states_the_numbers(explorer):
    put(explorer, 0.5, (0.0, 0.0, 0.0))
    thirds = "(0,333; 0,333; 0,333)"
    assert explorer.summary.startswith(f"τ = 0,50 · π = {thirds} · frequência do argmax = (")
    stated = [float(part.replace(",", ".")) for part in explorer.summary.split("média de y = (")[1][:-1].split("; ")]
    assert stated == pytest.approx(explorer.mean.tolist(), abs=5e-4)
    cells = explorer.caption.value.replace("</td>", "").split("<td>")
    for name, values in (
        ("π", explorer.probabilities),
        ("argmax", explorer.frequencies),
        ("média de y", explorer.mean),
    ):
        row = cells[cells.index(name) + 1 :][:3]
        assert [float(cell.split("<")[0].replace(",", ".")) for cell in row] == pytest.approx(values.tolist(), abs=5e-4)


def test_repr_is_short_and_always_the_same(explorer):
    put(explorer, 0.3)
    explorer.controls["resample"].click()
    assert repr(explorer) == "GumbelExplorer(3 classes, 10000 amostras)"


def test_without_a_kernel_there_is_still_the_same_picture(explorer):
    bundle = explorer._repr_mimebundle_()
    assert bundle["text/plain"] == repr(explorer)
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert base64.b64decode(bundle["image/png"]) == explorer.picture.value
