"""O explorador do espaço latente, sem navegador: `set_state` imita a mensagem que o navegador mandaria."""

import base64
import io
import math
from dataclasses import replace

import ipywidgets
import numpy as np
import pytest
import torch
from PIL import Image

from vae_lessons import explore
from vae_lessons.data import Dataset, binarize, load
from vae_lessons.explore import slerp
from vae_lessons.explore.latent_map import INSIDE
from vae_lessons.explore.sliders import ExactLogSlider, ExactSlider
from vae_lessons.models import VAE, mlp_vae

TEST = load("digits", "test")


def handmade_vae(scales, *, likelihood="bernoulli") -> VAE:
    """Cada latente lê um pixel do meio da imagem, multiplicado pela sua escala: médias conhecidas, sem treino."""
    torch.manual_seed(0)
    n = len(scales)
    encoder, decoder = torch.nn.Linear(64, 2 * n), torch.nn.Linear(n, 64)
    with torch.no_grad():
        encoder.weight.zero_()
        encoder.bias.zero_()
        for dim, scale in enumerate(scales):
            encoder.weight[dim, 26 + dim] = scale
    return VAE(encoder, decoder, latent_dim=n, likelihood=likelihood, data_dim=64)


@pytest.fixture
def model():
    return handmade_vae([2.0, -1.5])


def explore_latent(model, data) -> explore.latent.LatentExplorer:
    """O explorador, levado de onde começa a z = 0 ou ao centro da prior."""
    explorer = explore.explore_latent(model, data)
    explorer.controls["zero"].click()
    return explorer


@pytest.fixture
def explorer(model):
    return explore_latent(model, TEST)


def pixels(picture: ipywidgets.Image, mode="L") -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture.value)).convert(mode))


def decoded(model, z) -> np.ndarray:
    with torch.no_grad():
        mean = model.decode(torch.as_tensor(z, dtype=torch.float32)).mean
    return (mean.clamp(0, 1) * 255).round().to(torch.uint8).reshape(8, 8).numpy()


def means(model, mode="static") -> torch.Tensor:
    with torch.no_grad():
        return model.encode(binarize(TEST.x, mode)).mean


def sliders(explorer) -> list[float]:
    return [explorer.controls[f"z{dim}"].value for dim in range(explorer.model.latent_dim)]


def marker_center(explorer) -> tuple[float, float]:
    """(linha, coluna) do centro do marcador: os pontos que diferem do mapa sem marcador."""
    background = explorer._latent_map._background
    current = np.asarray(Image.open(io.BytesIO(explorer.map.value)))
    rows, columns = np.nonzero(current >= INSIDE)
    assert background.max() < INSIDE
    return (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2


# A imagem


def test_picture_starts_as_the_decoder_mean_at_the_prior_mean(explorer, model):
    assert np.array_equal(pixels(explorer.picture), decoded(model, [0.0, 0.0]))


@pytest.mark.parametrize("z", [[-3.0, 3.0], [0.3, -1.7], [2.9, 0.1]])
def test_picture_is_exactly_the_decoder_mean_for_the_sliders(explorer, model, z):
    explorer.controls["z0"].value, explorer.controls["z1"].value = z
    assert np.array_equal(pixels(explorer.picture), decoded(model, z))


def test_each_slider_moves_the_picture_and_only_its_own_dimension():
    model = handmade_vae([1.0] * 5)
    explorer = explore_latent(model, TEST)
    for dim in range(5):
        explorer.controls[f"z{dim}"].set_state({"value": 1.5})
        z = [0.0] * 5
        z[dim] = 1.5
        assert sliders(explorer) == z
        assert np.array_equal(pixels(explorer.picture), decoded(model, z))
        explorer.controls[f"z{dim}"].set_state({"value": 0.0})


def test_picture_is_8_bit_grey_at_the_native_resolution_of_any_image_shape():
    data = replace(TEST, x=TEST.x[:, :40], image_shape=(5, 8))
    explorer = explore_latent(mlp_vae(40, 2, (8,)), data)
    picture = Image.open(io.BytesIO(explorer.picture.value))
    assert (picture.mode, picture.size) == ("L", (8, 5))


def test_gaussian_means_outside_the_unit_interval_are_clamped():
    model = handmade_vae([1.0, 1.0], likelihood="gaussian")
    with torch.no_grad():
        model.decoder.bias[:2] = torch.tensor([-4.0, 4.0])
    explorer = explore_latent(model, TEST)
    assert pixels(explorer.picture)[0, :2].tolist() == [0, 255]


def test_a_gaussian_model_encodes_grey_levels_and_a_bernoulli_one_encodes_bits():
    for likelihood, mode in (("gaussian", "none"), ("bernoulli", "static")):
        model = handmade_vae([1.0, 1.0], likelihood=likelihood)
        assert torch.equal(explore_latent(model, TEST).means, means(model, mode))


# Média e amostra


def test_a_bernoulli_sample_is_black_and_white_and_the_caption_says_what_is_shown(explorer, model):
    assert "Média" in explorer.caption.value
    assert "não é uma amostra" in explorer.caption.value
    explorer.controls["show"].set_state({"index": 1})
    assert set(np.unique(pixels(explorer.picture))) == {0, 255}
    assert "Amostra" in explorer.caption.value
    assert "Média" not in explorer.caption.value
    explorer.controls["show"].value = "média"
    assert np.array_equal(pixels(explorer.picture), decoded(model, [0.0, 0.0]))
    assert "Média" in explorer.caption.value


def test_the_average_of_many_samples_is_the_mean(explorer, model):
    explorer.controls["show"].value = "amostra"
    total = np.zeros((8, 8))
    for _ in range(400):
        explorer.controls["zero"].click()
        total += pixels(explorer.picture) / 255
    probability = model.decode(torch.zeros(2)).mean.detach().reshape(8, 8).numpy()
    standard_error = np.sqrt(probability * (1 - probability) / 400)
    assert np.abs((total / 400 - probability) / standard_error).max() < 5


# Os botões


def test_random_draws_z_from_the_prior():
    explorer = explore_latent(handmade_vae([1.0] * 20), TEST)
    draws = []
    for _ in range(50):
        explorer.controls["random"].click()
        draws += sliders(explorer)
    draws = torch.tensor(draws)
    assert len(draws.unique()) == 1000
    assert abs(draws.mean()) < 5 / math.sqrt(1000)
    assert abs(draws.std() - 1) < 5 / math.sqrt(2000)


def test_random_moves_the_picture_and_zero_brings_it_back(explorer, model):
    start = explorer.picture.value
    explorer.controls["random"].click()
    assert np.array_equal(pixels(explorer.picture), decoded(model, sliders(explorer)))
    assert explorer.picture.value != start
    explorer.controls["zero"].click()
    assert sliders(explorer) == [0.0, 0.0]
    assert explorer.picture.value == start


def test_encode_takes_the_sliders_to_the_posterior_mean_of_the_chosen_image(explorer, model):
    explorer.controls["index"].set_state({"value": 17})
    assert sliders(explorer) == [0.0, 0.0]  # escolher a imagem ainda não é codificá-la
    explorer.controls["encode"].click()
    assert sliders(explorer) == means(model)[17].tolist()
    assert np.array_equal(pixels(explorer.picture), decoded(model, means(model)[17]))


def test_a_posterior_mean_beyond_three_deviations_widens_its_slider():
    model = handmade_vae([7.3, -7.3])
    explorer = explore_latent(model, TEST)
    assert (explorer.controls["z0"].min, explorer.controls["z0"].max) == (-3.0, 3.0)
    far = int((means(model).abs().amin(1) > 7).int().argmax())
    explorer.controls["index"].value = far
    explorer.controls["encode"].click()
    assert sliders(explorer) == pytest.approx([7.3, -7.3])
    assert explorer.controls["z0"].max == 8.0
    assert explorer.controls["z1"].min == pytest.approx(-8.0, abs=0.1)
    explorer.controls["zero"].click()
    assert [explorer.controls[f"z{dim}"].min for dim in (0, 1)] == [-3.0, -3.0]
    assert [explorer.controls[f"z{dim}"].max for dim in (0, 1)] == [3.0, 3.0]


def test_sliders_span_three_standard_deviations_in_tenths(explorer):
    slider = explorer.controls["z1"]
    assert (slider.min, slider.max, slider.step) == (-3.0, 3.0, 0.1)


def test_every_value_set_by_code_is_a_whole_number_of_steps_above_the_minimum(explorer):
    """No navegador, só esses valores não são arredondados."""
    slider = explorer.controls["z0"]
    explorer.controls["encode"].click()
    for value in (slider.value, 1.2345, -2.99, 0.0, 3.0, -3.0):
        slider.value = value
        assert slider.value == value
        steps = (value - slider.min) / slider.step
        assert steps == pytest.approx(round(steps), abs=1e-4)
        assert -3.1 < slider.min <= -3.0 + 1e-9


def test_minimum_and_value_reach_the_browser_together_and_in_this_order(explorer, monkeypatch):
    sent = []
    monkeypatch.setattr(ipywidgets.FloatSlider, "send_state", lambda self, key=None: sent.append(key))
    explorer.controls["z0"].place(-7.77)
    assert [key for key in sent if key] == [["min", "value"]]


def test_a_rounding_error_sent_back_by_the_browser_draws_nothing(explorer):
    explorer.controls["show"].value = "amostra"
    explorer.controls["encode"].click()
    sample = explorer.picture.value
    explorer.controls["z0"].set_state({"value": explorer.controls["z0"].value + 1e-15})
    assert explorer.picture.value == sample
    explorer.controls["z0"].set_state({"value": explorer.controls["z0"].value + 0.1})
    assert explorer.picture.value != sample


def test_every_move_made_by_code_draws_once(monkeypatch):
    model = handmade_vae([1.0] * 12)
    explorer = explore_latent(model, TEST)
    decodings, decode = [], model.decode
    monkeypatch.setattr(model, "decode", lambda z: decodings.append(z) or decode(z))
    c = explorer.controls
    for move in (
        c["random"].click,
        c["zero"].click,
        c["encode"].click,
        lambda: c["position"].set_state({"value": 0.5}),
        lambda: c["path"].set_state({"index": 1}),
        lambda: c["from_index"].set_state({"value": 9}),
        lambda: c["to_index"].set_state({"value": 30}),
        lambda: c["z3"].set_state({"value": 0.7}),
        lambda: c["show"].set_state({"index": 1}),
    ):
        decodings.clear()
        move()
        assert len(decodings) == 1


# A interpolação


@pytest.mark.parametrize("path", ["reta", "esférica"])
def test_the_ends_of_a_path_are_the_encodings(explorer, model, path):
    c = explorer.controls
    c["path"].value, c["from_index"].value, c["to_index"].value = path, 3, 40
    ends = means(model)[[3, 40]]
    assert not torch.equal(*ends)
    c["position"].value = 1.0
    assert sliders(explorer) == pytest.approx(ends[1].tolist(), abs=1e-6)
    c["position"].value = 0.0
    assert sliders(explorer) == pytest.approx(ends[0].tolist(), abs=1e-6)


def test_the_middle_of_the_straight_path_is_the_average_of_the_encodings():
    model = mlp_vae(64, 6, (16,))
    explorer = explore_latent(model, TEST)
    c = explorer.controls
    c["from_index"].value, c["to_index"].value, c["position"].value = 5, 100, 0.5
    middle = means(model)[[5, 100]].mean(0)
    assert sliders(explorer) == pytest.approx(middle.tolist(), abs=1e-6)
    assert np.array_equal(pixels(explorer.picture), decoded(model, sliders(explorer)))


def test_the_middle_of_the_spherical_path_keeps_the_average_norm():
    model = mlp_vae(64, 6, (16,))
    explorer = explore_latent(model, TEST)
    c = explorer.controls
    c["from_index"].value, c["to_index"].value, c["position"].value = 5, 100, 0.5
    straight = sliders(explorer)
    c["path"].set_state({"index": 1})
    norms = means(model)[[5, 100]].norm(dim=1)
    assert math.hypot(*sliders(explorer)) == pytest.approx(norms.mean().item(), rel=1e-5)
    assert math.hypot(*straight) < norms.mean() - 1e-4


def test_the_path_starts_between_images_of_different_classes(explorer):
    start, end = explorer.controls["from_index"].value, explorer.controls["to_index"].value
    assert TEST.y[start] != TEST.y[end]


def test_the_position_is_told_only_while_z_is_on_the_path(explorer):
    c = explorer.controls

    def cleared():
        told = c["position"].number.layout.visibility != "hidden"
        return (c["position"].value, told, "vae-cleared" in c["position"]._dom_classes)

    c["from_index"].value, c["to_index"].value, c["position"].value = 3, 40, 0.5
    on_the_path = (0.5, True, False)
    for leave in (c["random"].click, c["zero"].click, lambda: c["z0"].set_state({"value": c["z0"].value + 0.3})):
        assert cleared() == on_the_path
        leave()
        assert cleared() == (0.0, False, True)
        c["position"].set_state({"value": 0.5})
    c["show"].value = "amostra"  # z não se move
    assert cleared() == on_the_path
    c["index"].value = 40
    c["encode"].click()
    assert cleared() == (0.0, False, True)
    c["index"].value = 3
    c["encode"].click()
    assert cleared() == (0.0, True, False)  # o começo do caminho é a imagem 3


def test_leaving_the_path_moves_neither_z_nor_the_picture_again(explorer, model, monkeypatch):
    explorer.controls["position"].value = 0.5
    decodings, decode = [], model.decode
    monkeypatch.setattr(model, "decode", lambda z: decodings.append(z) or decode(z))
    explorer.controls["z0"].set_state({"value": 1.5})
    assert explorer.controls["z0"].value == 1.5
    assert len(decodings) == 1


def test_slerp_halfway_between_axes_is_the_diagonal_at_the_average_norm():
    start, end = torch.tensor([2.0, 0.0, 0.0]), torch.tensor([0.0, 4.0, 0.0])
    expected = 3 / math.sqrt(2) * torch.tensor([1.0, 1.0, 0.0])
    torch.testing.assert_close(slerp(start, end, 0.5), expected)


def test_slerp_turns_at_constant_speed_from_one_end_to_the_other():
    generator = torch.Generator().manual_seed(0)
    start, end = torch.randn(2, 20, generator=generator, dtype=torch.float64)
    points = torch.stack([slerp(start, end, t) for t in (0.0, 0.25, 0.5, 0.75, 1.0)])
    torch.testing.assert_close(points[[0, -1]], torch.stack([start, end]))
    norms = points.norm(dim=1)
    torch.testing.assert_close(norms.diff(n=2), torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0)
    cosines = torch.cosine_similarity(points[1:], points[:-1])
    torch.testing.assert_close(cosines, cosines[:1].expand(4))


@pytest.mark.parametrize(
    ("start", "end"),
    [([0.0, 0.0], [1.0, 2.0]), ([1.0, 2.0], [0.0, 0.0]), ([1.0, 2.0], [2.0, 4.0]), ([0.0, 0.0], [0.0, 0.0])],
)
def test_slerp_without_an_arc_is_the_straight_line(start, end):
    start, end = torch.tensor(start), torch.tensor(end)
    torch.testing.assert_close(slerp(start, end, 0.3), 0.7 * start + 0.3 * end)


@pytest.mark.parametrize("start", [[1.0, 0.0], [0.0, -2.0], [1.0, 1.0, 1.0], [0.3, -0.1, 0.0, 5.0]])
def test_slerp_between_opposite_points_goes_around_and_not_through_zero(start):
    start = torch.tensor(start)
    torch.testing.assert_close(slerp(start, -start, 0.0), start)
    torch.testing.assert_close(slerp(start, -start, 1.0), -start)
    middle = slerp(start, -start, 0.5)
    torch.testing.assert_close(middle.norm(), start.norm())
    assert abs(middle @ start) < 1e-5 * start.square().sum()


def test_slerp_in_one_dimension_is_the_straight_line():
    torch.testing.assert_close(slerp(torch.tensor([2.0]), torch.tensor([-1.0]), 0.25), torch.tensor([1.25]))


# O mapa


def test_the_exploration_starts_at_the_encoded_image_that_the_model_shows_best():
    """Um decodificador que só sabe desenhar a imagem 30: é dela que se parte."""
    model = handmade_vae([2.0, -1.5])
    with torch.no_grad():
        model.decoder.weight.zero_()
        model.decoder.bias.copy_(8 * TEST.x[30] / 255 - 4)
    explorer = explore.explore_latent(model, TEST)
    assert explorer.controls["index"].value == 30
    assert sliders(explorer) == pytest.approx(means(model)[30].tolist())


def test_the_marker_leaves_what_it_marks_in_sight(explorer):
    explorer.controls["z0"].value = 0.0
    row, column = map(round, marker_center(explorer))
    at_zero = pixels(explorer.map, "RGB").copy()
    explorer.controls["z0"].value = 3.0
    away = pixels(explorer.map, "RGB")
    inside = slice(row - 9, row + 10), slice(column - 9, column + 10)
    assert np.array_equal(at_zero[inside], away[inside])
    assert not np.array_equal(at_zero, away)


@pytest.mark.parametrize("scales", [[2.0, -1.5], [2.0]], ids=len)
def test_the_map_writes_the_names_of_the_classes(scales):
    model = handmade_vae(scales)
    names = [f"classe {label}" for label in range(10)]
    named = explore.explore_latent(model, TEST, class_names=names)
    assert not np.array_equal(pixels(named.map), pixels(explore.explore_latent(model, TEST).map))
    with pytest.raises(ValueError, match="um nome para cada classe"):
        explore.explore_latent(model, TEST, class_names=names[:4])


def test_the_marker_follows_each_axis_of_the_map(explorer):
    row, column = marker_center(explorer)
    explorer.controls["z0"].value = 1.0
    assert marker_center(explorer)[0] == row
    step = marker_center(explorer)[1] - column
    assert step > 0
    explorer.controls["z0"].value = -2.0
    assert marker_center(explorer)[1] - column == pytest.approx(-2 * step, abs=2)
    explorer.controls["z0"].value = 0.0
    explorer.controls["z1"].value = 1.0
    assert marker_center(explorer) == pytest.approx((row - step, column), abs=1.5)


def test_the_marker_lies_on_the_point_it_marks():
    """Com quase todas as médias na origem, um ponto só fica longe, e o marcador o cobre."""
    model = handmade_vae([2.0, 2.0])
    x = torch.zeros(30, 64, dtype=torch.uint8)
    x[7, 26:28] = 255
    data = Dataset(x, torch.arange(30) // 28, None, (8, 8), "ponto")  # a classe 1 são as duas últimas imagens
    explorer = explore_latent(model, data)
    explorer.controls["index"].value = 7
    explorer.controls["encode"].click()
    row, column = map(round, marker_center(explorer))
    background = pixels(explorer.map, "RGB").copy()
    explorer.controls["zero"].click()
    under = pixels(explorer.map, "RGB")[row - 1 : row + 2, column - 1 : column + 2].astype(int)
    assert not np.array_equal(background, pixels(explorer.map, "RGB"))
    assert (under.max(-1) - under.min(-1)).max() > 40  # colorido: o ponto da imagem 7


def test_a_z_outside_the_map_is_marked_at_its_border(explorer):
    explorer.controls["z0"].max = 50
    explorer.controls["z0"].value = 20
    border = marker_center(explorer)
    explorer.controls["z0"].value = 40
    assert marker_center(explorer) == border
    assert border[1] < pixels(explorer.map).shape[1]


def test_the_map_shows_the_two_most_active_of_many_dimensions():
    explorer = explore_latent(handmade_vae([0.1, 2.0, 0.2, -3.0, 0.3]), TEST)
    start = explorer.map.value
    for dim, on_the_map in enumerate((False, True, False, True, False)):
        explorer.controls[f"z{dim}"].value = 2.0
        assert (explorer.map.value != start) == on_the_map
        explorer.controls[f"z{dim}"].value = 0.0


def test_sliders_of_many_dimensions_are_shown_from_the_most_to_the_least_active():
    model = handmade_vae([0.1, 2.0, 0.2, -3.0, 0.3])
    explorer = explore_latent(model, TEST)
    order = means(model).var(0).argsort(descending=True).tolist()
    (column,) = [box for box in boxes(explorer) if box.layout.max_height]
    shown = [beside.children[0] for beside in column.children]
    assert shown == [explorer.controls[f"z{dim}"] for dim in order]
    assert [slider.description for slider in shown][:2] == [f"z{'₁₂₃₄₅'[dim]}" for dim in order[:2]]


def test_one_latent_dimension_has_a_map_too():
    model = handmade_vae([2.0])
    explorer = explore_latent(model, TEST)
    row, column = marker_center(explorer)
    explorer.controls["z0"].value = 1.5
    assert marker_center(explorer)[0] == row
    assert marker_center(explorer)[1] > column + 30
    explorer.controls["path"].value = "esférica"
    assert np.array_equal(pixels(explorer.picture), decoded(model, sliders(explorer)))


def boxes(widget) -> list[ipywidgets.Box]:
    inside = [box for child in getattr(widget, "children", ()) for box in boxes(child)]
    return [widget, *inside] if isinstance(widget, ipywidgets.Box) else inside


# O que ele promete a quem o usa


def test_thumbnails_follow_the_chosen_images(explorer):
    originals = [TEST.x[i].reshape(8, 8).numpy() for i in (11, 22, 33)]
    for name, index in (("index", 11), ("from_index", 22), ("to_index", 33)):
        explorer.controls[name].value = index
    shown = [child for box in boxes(explorer) for child in box.children if isinstance(child, ipywidgets.Image)]
    thumbnails = [pixels(image) for image in shown if image not in (explorer.picture, explorer.map)]
    assert all(np.array_equal(a, b) for a, b in zip(thumbnails, originals, strict=True))


def test_repr_is_short_and_always_the_same(explorer):
    assert repr(explorer) == "LatentExplorer(latent_dim=2, 355 imagens de 'digits')"
    explorer.controls["random"].click()
    assert repr(explorer) == "LatentExplorer(latent_dim=2, 355 imagens de 'digits')"


def test_without_a_kernel_there_is_still_a_picture(explorer):
    bundle = explorer._repr_mimebundle_()
    assert bundle["text/plain"] == repr(explorer)
    assert "application/vnd.jupyter.widget-view+json" in bundle
    picture = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
    assert picture.format == "PNG"
    assert picture.width > 1.5 * picture.height
    explorer.controls["z0"].value = 2.5
    assert explorer._repr_mimebundle_()["image/png"] != bundle["image/png"]


def test_exploring_changes_neither_the_model_nor_the_global_random_state():
    model = mlp_vae(64, 3, (16,))
    model.decoder.append(torch.nn.Dropout(0.5))
    model.decoder.append(torch.nn.BatchNorm1d(64))
    model.encoder.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    explorer = explore_latent(model, TEST)
    for name in ("random", "encode", "zero"):
        explorer.controls[name].click()
    explorer.controls["show"].value = "amostra"
    explorer.controls["position"].value = 0.5
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_two_explorers_of_the_same_model_draw_the_same(model):
    drawn = []
    for _ in range(2):
        explorer = explore_latent(model, TEST)
        explorer.controls["random"].click()
        explorer.controls["show"].value = "amostra"
        drawn.append((sliders(explorer), explorer.picture.value))
    assert drawn[0] == drawn[1]


def test_the_picture_follows_a_model_that_went_on_training(explorer, model):
    with torch.no_grad():
        model.decoder.bias += 1
    explorer.controls["zero"].click()
    assert np.array_equal(pixels(explorer.picture), decoded(model, [0.0, 0.0]))


def test_a_decoder_that_fails_is_heard(explorer, model):
    model.decoder = torch.nn.Linear(3, 64)
    with pytest.raises(RuntimeError, match="shape"):
        explorer.controls["z0"].value = 1.0


# Os dados de quem o usa


def thumbnail(explorer, index) -> np.ndarray:
    """A miniatura da imagem `index`, como está na tela."""
    explorer.controls["index"].value = index
    (encode,) = [box for box in boxes(explorer) for child in box.children if child is explorer.controls["encode"]]
    (beside,) = [box for box in boxes(explorer) if encode in box.children]
    return pixels(beside.children[0])


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", "continuous_bernoulli"])
def test_floats_in_the_unit_interval_are_greys(likelihood):
    data = Dataset(TEST.x.float() / 255, TEST.y, image_shape=(8, 8))
    explorer = explore_latent(handmade_vae([1.0, 1.0], likelihood=likelihood), data)
    assert np.array_equal(thumbnail(explorer, 5), TEST.x[5].reshape(8, 8).numpy())
    assert np.array_equal(pixels(explorer.picture), decoded(explorer.model, [0.0, 0.0]))


@pytest.mark.parametrize(("shift", "scale"), [(-1.0, 2.0), (-3.0, 10.0), (0.0, 255.0)])
def test_floats_of_any_range_go_from_black_to_white(shift, scale):
    """O menor número é preto e o maior, branco, na miniatura e na imagem decodificada."""
    model = handmade_vae([1.0, 1.0], likelihood="gaussian")
    with torch.no_grad():
        model.decoder.bias.copy_(shift + scale * TEST.x[5] / 255)
        model.decoder.weight.zero_()
    data = Dataset(shift + scale * TEST.x.double() / 255, TEST.y, image_shape=(8, 8))
    explorer = explore_latent(model, data)
    for shown in (thumbnail(explorer, 5), pixels(explorer.picture)):
        assert np.abs(shown.astype(int) - TEST.x[5].reshape(8, 8).numpy()).max() <= 1


@pytest.mark.parametrize("scales", [[2.0, -1.5], [2.0], [1.0, 2.0, 0.5]], ids=len)
def test_images_without_classes_have_a_map_of_one_colour(scales):
    explorer = explore_latent(handmade_vae(scales), replace(TEST, y=None))
    assert [explorer.controls[name].value for name in ("from_index", "to_index")] == [0, 1]
    words = " ".join(
        widget.value for box in boxes(explorer) for widget in box.children if isinstance(widget, ipywidgets.HTML)
    )
    assert "classe" not in words
    colours = explorer._latent_map.image([0.0] * len(scales)).convert("HSV")
    hue, saturation, _ = np.moveaxis(np.asarray(colours).astype(int), -1, 0)
    assert np.ptp(hue[saturation > 60]) < 20


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: replace(TEST, image_shape=(1, 8, 8)), "image_shape deve ser"),
        (lambda: Dataset(TEST.x.float() / 255), "não é de imagens em tons de cinza.*from_images"),
        (lambda: Dataset(TEST.x.long(), image_shape=(8, 8)), "não é de imagens em tons de cinza"),
        (lambda: Dataset(TEST.x.float(), image_shape=(8, 8)), "de 0 a 255"),
        (lambda: Dataset(TEST.x.float() / 0, image_shape=(8, 8)), "NaN ou infinito"),
    ],
    ids=["channel", "no_shape", "tokens", "range", "nan"],
)
def test_data_that_cannot_be_drawn_or_read_are_refused_with_a_sentence(model, data, message):
    with pytest.raises(ValueError, match=message):
        explore_latent(model, data())


# Modelos de outras priors e verossimilhanças


def mixture() -> torch.distributions.Distribution:
    """Duas normais, em (−4, −4) e (4, 4)."""
    d = torch.distributions
    components = d.Independent(d.Normal(torch.tensor([[-4.0, -4.0], [4.0, 4.0]]), 0.1), 1)
    return d.MixtureSameFamily(d.Categorical(torch.ones(2)), components)


def test_a_model_with_another_prior_draws_from_it_and_moves_where_its_codes_are():
    plain = handmade_vae([2.0, -1.5])
    model = VAE(plain.encoder, plain.decoder, latent_dim=2, data_dim=64, prior=mixture())
    explorer = explore_latent(model, TEST)
    codes = means(model)
    assert sliders(explorer) == pytest.approx(codes.mean(0).tolist(), abs=1e-6)
    assert explorer.controls["z0"].max == pytest.approx((codes.mean(0) + 3 * codes.std(0))[0].item(), abs=1e-5)
    for _ in range(10):
        explorer.controls["random"].click()
        z0, z1 = sliders(explorer)
        assert abs(abs(z0) - 4) < 0.6
        assert abs(z0 - z1) < 0.8
        assert np.array_equal(pixels(explorer.picture), decoded(model, [z0, z1]))
    explorer.controls["zero"].click()
    assert sliders(explorer) == pytest.approx(codes.mean(0).tolist(), abs=1e-6)
    assert explorer.controls["zero"].description == "Voltar ao centro"


def test_a_likelihood_of_torch_has_its_mean_and_its_samples_shown():
    plain = handmade_vae([2.0, -1.5])
    model = VAE(
        plain.encoder, plain.decoder, latent_dim=2, likelihood=lambda y: torch.distributions.Bernoulli(logits=y)
    )
    explorer = explore_latent(model, TEST)
    assert np.array_equal(pixels(explorer.picture), decoded(plain, [0.0, 0.0]))
    explorer.controls["show"].value = "amostra"
    assert set(np.unique(pixels(explorer.picture))) == {0, 255}


# Entradas que não servem


@pytest.mark.parametrize("wrong", [None, torch.nn.Linear(64, 2), "vae"])
def test_only_a_vae_can_be_explored(wrong):
    with pytest.raises(TypeError, match="espera um VAE"):
        explore_latent(wrong, TEST)


def test_images_must_come_in_a_dataset(model):
    with pytest.raises(TypeError, match="espera um Dataset"):
        explore_latent(model, TEST.x)


@pytest.mark.parametrize("n", [0, 1])
def test_two_images_are_the_least(model, n):
    with pytest.raises(ValueError, match="ao menos duas imagens"):
        explore_latent(model, replace(TEST, x=TEST.x[:n], y=TEST.y[:n]))


@pytest.mark.parametrize("image_shape", [None, (8, 9)])
def test_the_image_shape_must_match_the_pixels(model, image_shape):
    with pytest.raises(ValueError, match="image_shape deve ser"):
        explore_latent(model, replace(TEST, image_shape=image_shape))


@pytest.mark.parametrize("data_dim", [784, None])
def test_the_model_must_be_made_for_these_images(data_dim):
    model = mlp_vae(784, 2, (8,))
    model.data_dim = data_dim
    with pytest.raises(ValueError, match=r"imagens de 784 pixels.*têm 64"):
        explore_latent(model, TEST)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_model_that_gives_nan_is_refused(model, part):
    with torch.no_grad():
        getattr(model, part).bias.fill_(math.nan)
    with pytest.raises(ValueError, match="NaN ou infinito"):
        explore_latent(model, TEST)


def test_a_slider_goes_from_beyond_one_end_to_beyond_the_other():
    slider = ExactSlider(value=0.0, min=-3.0, max=3.0, step=0.1)
    for value in (7.25, -8.33, 5.5, 0.0):
        slider.place(value)
        assert slider.value == value
        assert slider.min <= value <= slider.max
        assert (value - slider.min) / slider.step == pytest.approx(round((value - slider.min) / slider.step), abs=1e-4)
    assert (slider.min, slider.max) == (-3.0, 3.0)


def test_a_late_rounded_echo_does_not_undo_what_the_code_set():
    """O navegador devolve 0,5 como 0,5000000000000001; se a devolução chega depois de outro valor, não vale."""
    slider = ExactSlider(value=0.5, min=0.1, max=10.0, step=0.1)
    slider.value = 5.0
    slider.set_state({"value": 0.5000000000000001})
    assert slider.value == 5.0
    slider.set_state({"value": 0.6000000000000001})  # uma pessoa moveu
    slider.set_state({"value": 0.5000000000000001})  # e voltou
    assert slider.value == 0.5000000000000001


def test_a_person_can_go_back_to_the_exact_value_the_code_had_left():
    slider = ExactSlider(value=0.0, min=-3.0, max=3.0, step=0.1)
    slider.value = 1.5
    slider.set_state({"value": 0.0})
    assert slider.value == 0.0


# O número ao lado de um controle


@pytest.mark.parametrize(
    ("value", "decimals", "shown"),
    [
        (0.5, 2, "0,50"),
        (-1.25, 2, "−1,25"),
        (-0.004, 2, "0,00"),
        (2.0, 1, "2,0"),
        (-0.96, 1, "−1,0"),
        (0.123, 1, "0,1"),
    ],
)
def test_the_number_beside_a_slider_has_a_comma_and_a_true_minus(value, decimals, shown):
    slider = ExactSlider(value=0.0, min=-3.0, max=3.0, step=0.05, decimals=decimals)
    slider.value = value
    assert slider.number.value == shown
    assert slider.value == value  # escrever o número não arredonda o controle
    assert not slider.readout


@pytest.mark.parametrize(
    ("typed", "value", "shown"),
    [
        ("0,5", 0.5, "0,50"),
        ("0.5", 0.5, "0,50"),
        ("−1,237", -1.237, "−1,24"),
        (" -2 ", -2.0, "−2,00"),
        ("9", 3.0, "3,00"),
        ("-40,0", -3.0, "−3,00"),
        ("meio", 1.0, "1,00"),
        ("", 1.0, "1,00"),
        ("nan", 1.0, "1,00"),
        ("inf", 1.0, "1,00"),
        ("1,0", 1.0, "1,00"),
    ],
)
def test_a_number_can_be_typed_with_a_comma_or_a_point(typed, value, shown):
    slider = ExactSlider(value=1.0, min=-3.0, max=3.0, step=0.05, description="μ")
    slider.number.set_state({"value": typed})
    assert (slider.value, slider.number.value) == (value, shown)
    assert "μ" in slider.number.tooltip


@pytest.mark.parametrize(("typed", "value"), [("2", 2.0), ("0", 0.1), ("-1", 0.1), ("1000", 10**0.5)])
def test_a_number_typed_beside_a_logarithmic_slider_is_the_value_and_not_its_logarithm(typed, value):
    slider = ExactLogSlider(value=1.0, min=-1.0, max=0.5, step=0.02)
    slider.number.set_state({"value": typed})
    assert slider.value == pytest.approx(value)


def test_a_slider_and_its_number_are_hidden_together():
    slider = ExactSlider(value=1.0, min=-3.0, max=3.0, step=0.05)
    beside = slider.with_number()
    assert beside.children == (slider, slider.number)
    slider.layout.display = "none"
    assert beside.layout.display == "none"
    slider.layout.display = None
    assert beside.layout.display is None
