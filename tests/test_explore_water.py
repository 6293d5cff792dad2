"""O explorador do enchimento reverso: os números são os do VAE linear ótimo, e as áreas da figura são os números."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from vae_lessons import style
from vae_lessons.data import Dataset, load
from vae_lessons.explore import explore_water
from vae_lessons.explore.water import _CHART, _LEFT, _LINEAR, _LOGARITHMIC, _SIDE
from vae_lessons.linear_gaussian import optimal_kl, optimal_squared_error
from vae_lessons.publish.recording import record, replay

# Nível → (vivos, taxa em nats, erro quadrático), dos 1.797 dígitos divididos por 16
DIGITS = {0.01: (39, 33.544, 0.4553), 0.05: (18, 10.647, 1.4863), 0.1: (12, 5.479, 2.2106), 0.2: (7, 2.286, 3.1023)}


@pytest.fixture(scope="module")
def explorer():
    return explore_water()


@pytest.fixture
def own():
    """Imagens de 2×3 com uma covariância conhecida, diag(4, 1, ¼, 0, 0, 0), e um centro longe da origem."""
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3).double()
    x = torch.cat([signs * torch.tensor([2, 1, 0.5]), torch.zeros(8, 3)], 1) + 10
    return explore_water(Dataset(x, image_shape=(2, 3), name="caixas"))


def pixels(explorer) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(explorer.picture.value)).convert("RGB"))


def painted(explorer, color, left, right, top, bottom) -> int:
    """Quantos pontos do retângulo, dado em pixels da tela, têm a cor."""
    part = pixels(explorer)[2 * top : 2 * bottom, 2 * left : 2 * right]
    return int((part == tuple(bytes.fromhex(color[1:]))).all(-1).sum())


# Os números


@pytest.mark.parametrize("level", DIGITS)
def test_on_digits_rate_error_and_survivors_are_the_known_ones(explorer, level):
    alive, rate, error = DIGITS[level]
    explorer.controls["level"].value = level
    assert explorer.alive == alive
    assert explorer.rate == pytest.approx(rate, abs=6e-4)
    assert explorer.squared_error == pytest.approx(error, abs=6e-5)


@pytest.mark.parametrize("level", [0.001, 0.03, 0.5, 1.0])
def test_the_numbers_are_the_closed_forms_of_the_linear_model(explorer, level):
    numbers = explorer.measure(level, 1)
    assert torch.equal(numbers.kl, optimal_kl(explorer.eigenvalues, 1.0, level))
    assert numbers.rate == pytest.approx(numbers.kl.sum().item())
    assert numbers.squared_error == pytest.approx(optimal_squared_error(explorer.eigenvalues, 2.0, level / 2).item())


def test_the_eigenvalues_are_those_of_the_covariance_of_the_images_given(own):
    assert own.eigenvalues.tolist() == pytest.approx([4, 1, 0.25, 0, 0, 0], abs=1e-12)
    own.controls["level"].value = 0.5
    assert own.alive == 2
    assert own.rate == pytest.approx(0.5 * np.log(4 / 0.5 * 1 / 0.5))
    assert own.squared_error == pytest.approx(0.5 + 0.5 + 0.25)


def test_bytes_are_seen_from_0_to_1():
    data = load("digits", "test")
    spectrum = torch.linalg.eigvalsh(torch.cov(data.x.double().T / 255, correction=0)).flip(0)
    assert torch.allclose(explore_water(data).eigenvalues, spectrum.clamp_min(0), atol=1e-12)


def test_what_is_left_of_an_image_is_the_decoded_mean_of_its_posterior(own):
    """Na direção de λ, w·v = 1 − βσ²/λ; as direções afogadas ficam na média das imagens."""
    for image in (1, 6):
        left = own.measure(0.5, image).reconstruction - 10
        kept = torch.tensor([1 - 0.5 / 4, 1 - 0.5 / 1, 0, 0, 0, 0]).double()
        assert torch.allclose(left, kept * (own.x[own.shown[image - 1]] - 10), atol=1e-12)


def test_dry_the_image_comes_back_and_drowned_only_the_mean_is_left(explorer):
    original, mean = explorer.x[explorer.shown[3]], explorer.x.mean(0)
    assert (explorer.measure(1e-9, 4).reconstruction - original).abs().max() < 1e-6
    assert torch.allclose(explorer.measure(1.0, 4).reconstruction, mean, atol=1e-12)


def test_the_average_error_of_the_reconstructions_is_that_of_the_means_alone(explorer):
    """Com a média de q(z|x) no lugar da amostra, quem vive erra (βσ²)²/λ: menos que o erro do explorador."""
    level, values = 0.05, explorer.eigenvalues
    kept = (1 - level / values).clamp_min(0)
    mean = explorer.x.mean(0)
    codes = (explorer.x - mean) @ explorer._vectors
    errors = (explorer.x - mean - (kept * codes) @ explorer._vectors.T).square().sum(1)
    expected = torch.where(values > level, level**2 / values, values).sum().item()
    assert errors.mean().item() == pytest.approx(expected, abs=1e-9)
    assert expected < explorer.measure(level, 1).squared_error


def test_one_image_of_each_class_can_be_chosen(explorer):
    labels = torch.cat([load("digits", split).y for split in ("train", "test")])
    assert len(explorer.shown) == len(labels.unique()) == explorer.controls["image"].max
    before = explorer.picture.value
    explorer.controls["image"].value = 9
    assert explorer.picture.value != before


# A figura


@pytest.mark.parametrize("level", [0.05, 0.1, 0.3])
def test_the_wet_area_of_the_bars_is_the_error_and_the_dry_area_the_rate(explorer, level):
    explorer.move(level=level)
    bar = 0.72  # a largura de uma barra, em latentes
    across = 2 * (_CHART[1] - _CHART[0]) / 64  # pontos por latente
    for (top, bottom), color, value, limits in (
        (_LINEAR, style.GREY, explorer.squared_error, explorer._limits[0]),
        (_LOGARITHMIC, style.ORANGE, explorer.rate, explorer._limits[1]),
    ):
        down = 2 * (bottom - top) / (limits[1] - limits[0])  # pontos por unidade
        area = painted(explorer, color, *_CHART, top, bottom) / (bar * across * down)
        assert area == pytest.approx(value, rel=0.12)


def test_an_eigenvector_disappears_when_its_latent_drowns(explorer):
    water = pixels(explore_water())[2 * 200, 2 * (_LEFT + _SIDE) - 20]  # um dos últimos, sempre afogado
    cell = _SIDE / 8
    for level, alive in ((0.05, 18), (0.2, 7), (1.0, 0)):
        explorer.move(level=level)
        picture = pixels(explorer)
        centers = [(34 + (i // 8 + 0.2) * cell, _LEFT + (i % 8 + 0.5) * cell) for i in range(64)]
        drowned = [(picture[round(2 * y), round(2 * x)] == water).all() for y, x in centers]
        assert drowned == [i >= alive for i in range(64)]


def test_the_text_states_the_numbers(explorer):
    explorer.move(level=0.2)
    said = explorer.describe(explorer.numbers)
    for part in ("βσ² = 0,200", "latentes vivos 7 de 64", "taxa 2,286 nats por imagem", "erro quadrático 3,102"):
        assert part in said
    assert "2,286 nats por imagem" in explorer.caption.value
    assert repr(explorer) == "WaterExplorer(64 autovalores, 1797 imagens de 'digits')"


def test_larger_images_have_fewer_eigenvectors_and_all_their_eigenvalues_in_the_numbers():
    explorer = explore_water(load("sprites", "test"))
    assert len(explorer.eigenvalues) == 256
    explorer.move(level=1e-9)
    assert explorer.alive > 64
    assert f"{explorer.alive} de 256" in explorer.caption.value


def test_what_the_page_keeps_is_what_the_kernel_paints():
    explorer = explore_water()
    recording = record(explorer)
    assert len(str(recording)) < 1_000_000
    (name, levels), (_, images) = explorer.recorded
    assert name == "level"
    for index in (0, len(images) * (len(levels) // 2) + 1):
        level, image = levels[index // len(images)], images[index % len(images)]
        expected = explorer.paint(explorer.measure(level, image)).convert("RGB")
        assert np.array_equal(list(replay(recording))[index], np.asarray(expected))


# O que não serve


BAD = {
    "tensor": (torch.rand(5, 4), TypeError, r"data deve ser um Dataset, mas veio Tensor.*from_images"),
    "symbols": (Dataset(torch.zeros(5, 4, dtype=torch.int64)), ValueError, "não é de imagens"),
    "no_shape": (Dataset(torch.rand(5, 4)), ValueError, "image_shape"),
    "one": (Dataset(torch.rand(1, 4), image_shape=(2, 2)), ValueError, "ao menos duas imagens"),
    "equal": (Dataset(torch.ones(5, 4), image_shape=(2, 2)), ValueError, "são todas iguais"),
}


@pytest.mark.parametrize("case", BAD)
def test_data_without_a_spectrum_to_show_are_refused(case):
    data, error, message = BAD[case]
    with pytest.raises(error, match=message):
        explore_water(data)
