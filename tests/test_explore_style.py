"""O explorador do estilo contra as chamadas diretas: um z, escrito em todas as classes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toys_explore import ConditionalVAE, assert_recording_is_the_kernel, levels_of, painted, point, press, shown_at

from vae_lessons.data import load
from vae_lessons.distributions import Bernoulli, Normal
from vae_lessons.explore import explore_style
from vae_lessons.explore import style as module
from vae_lessons.style import ORANGE

TEST = load("digits", "test")
Z = 3


@pytest.fixture
def model():
    return ConditionalVAE(Z).eval()


@pytest.fixture
def explorer(model):
    return explore_style(model.encode, model.decode, TEST, latent_dim=Z)


def put(explorer, **values):
    for name, value in values.items():
        explorer.controls[name].value = value


@torch.no_grad()
def rewritten(model, z) -> torch.Tensor:
    return model.eval().decode(z.expand(10, -1), torch.arange(10)).mean


@torch.no_grad()
def code(model, index) -> torch.Tensor:
    x = TEST.x[index][None].float() / 255
    return model.eval().encode(x, TEST.y[index][None]).mean[0]


# Os números


@pytest.mark.parametrize("index", [0, 17, 200])
def test_an_image_is_encoded_with_its_class_and_written_in_every_class(explorer, model, index):
    put(explorer, index=index)
    torch.testing.assert_close(explorer.start, code(model, index))
    torch.testing.assert_close(explorer.z, explorer.start)
    torch.testing.assert_close(explorer.images, rewritten(model, explorer.z))
    assert explorer.label == TEST.y[index]
    assert explorer.index == index


def test_a_slider_walks_from_the_code_and_stays_when_the_image_changes(explorer, model):
    put(explorer, index=5, dz1=1.5, dz2=-0.4)
    shift = torch.tensor([0.0, 1.5, -0.4])
    torch.testing.assert_close(explorer.z, code(model, 5) + shift)
    put(explorer, index=9)
    torch.testing.assert_close(explorer.z, code(model, 9) + shift)
    torch.testing.assert_close(explorer.images, rewritten(model, code(model, 9) + shift))


def test_going_back_to_the_code_undoes_the_walk(explorer, model):
    put(explorer, index=5)
    before = explorer.picture.value
    put(explorer, dz1=1.5, dz0=0.3)
    explorer.controls["code"].click()
    torch.testing.assert_close(explorer.z, code(model, 5))
    assert explorer.picture.value == before


def test_the_sliders_reach_three_deviations_of_the_codes(explorer, model):
    """Dos códigos todos: a variância das médias e, dentro de cada um, a de q."""
    with torch.no_grad():
        q = model.encode(TEST.x.float() / 255, TEST.y)
    deviations = (q.mean.var(0) + q.log_var.exp().mean(0)).sqrt()
    for dim, deviation in enumerate(deviations.tolist()):
        slider = explorer.controls[f"dz{dim}"]
        assert (slider.min, slider.max) == pytest.approx((-3 * deviation, 3 * deviation), abs=0.06)


def test_latents_are_in_order_of_activity(explorer):
    activity = explorer.codes.var(0)
    assert activity[explorer.order].diff().max() <= 0
    assert [name for name in explorer.controls if name.startswith("dz")] == [f"dz{dim}" for dim in explorer.order]


def test_a_drawn_z_is_standard_normal_and_has_no_original(model):
    wide = ConditionalVAE(400).eval()
    explorer = explore_style(wide.encode, wide.decode, TEST, latent_dim=400)
    seen = []
    for _ in range(3):
        explorer.controls["random"].click()
        seen.append(explorer.z)
        assert (explorer.index, explorer.label) == (None, None)
    z = torch.cat(seen)
    assert abs(z.mean()) < 4 / 1200**0.5
    assert abs(z.var() - 1) < 4 * (2 / 1200) ** 0.5
    assert "z sorteado de N(0, I)" in explorer.describe(explorer.numbers)
    again = explore_style(wide.encode, wide.decode, TEST, latent_dim=400)
    again.controls["random"].click()
    assert torch.equal(again.z, seen[0])


def test_choosing_an_image_leaves_the_drawn_z(explorer, model):
    put(explorer, dz0=1.0)
    explorer.controls["random"].click()
    assert explorer.controls["dz0"].value == 0
    put(explorer, index=7)
    torch.testing.assert_close(explorer.z, code(model, 7))
    assert explorer.label == TEST.y[7]


# A figura


def test_the_picture_shows_the_original_and_the_ten_classes(explorer):
    put(explorer, index=23, dz0=0.7)
    shape = TEST.image_shape
    for k in range(10):
        cell = shown_at(explorer, explorer._place(k), (module._RIGHT - module._LEFT) / 5 - 10, shape)
        assert np.abs(cell - levels_of(explorer.images[k], shape)).max() <= 2
    middle = module._MIDDLE, module._TOP + explorer._height / 2
    original = shown_at(explorer, middle, module._SIDE, shape)
    assert np.abs(original - levels_of(TEST.x[23] / 255, shape)).max() <= 2


def test_images_that_are_not_square_fit(monkeypatch):
    discs = load("discs")
    discs = replace(discs, y=torch.arange(len(discs)) % 3)
    model = ConditionalVAE(2, n_pixels=480, n_classes=3).eval()
    explorer = explore_style(model.encode, model.decode, discs, latent_dim=2)
    cell = shown_at(explorer, explorer._place(1), explorer._pitch - 10, (20, 24))
    assert np.abs(cell - levels_of(explorer.images[1], (20, 24))).max() <= 2


@pytest.mark.parametrize("n_classes", [1, 2, 5, 7, 13])
def test_any_number_of_classes(n_classes):
    data = replace(TEST, y=TEST.y % n_classes if n_classes < 10 else torch.arange(len(TEST)) % n_classes)
    model = ConditionalVAE(2, n_classes=n_classes).eval()
    explorer = explore_style(model.encode, model.decode, data, latent_dim=2)
    assert len(explorer.images) == n_classes
    for k in (0, n_classes - 1):
        cell = shown_at(explorer, explorer._place(k), explorer._pitch - 10, TEST.image_shape)
        assert np.abs(cell - levels_of(explorer.images[k], TEST.image_shape)).max() <= 2
    assert explorer._canvas.size[1] < 520


def test_a_frame_is_on_the_class_of_the_image_and_on_no_other(explorer):
    for index in (0, 3, 11):
        put(explorer, index=index)
        pitch = (module._RIGHT - module._LEFT) / 5
        for k in range(10):
            x, y = (round(c) for c in explorer._place(k))
            half = round(pitch / 2) - 1
            around = painted(explorer, ORANGE, left=x - half, right=x + half, top=y - half, bottom=y + half)
            assert (around.sum() > 500) == (k == TEST.y[index])
    explorer.controls["random"].click()
    assert not painted(explorer, ORANGE, left=module._LEFT, bottom=module._TOP + 200).any()


def test_class_names_are_told(model):
    names = [f"classe {letter}" for letter in "abcdefghij"]
    explorer = explore_style(model.encode, model.decode, TEST, latent_dim=Z, class_names=names)
    assert names[TEST.y[0]] in explorer.describe(explorer.numbers)


@pytest.mark.parametrize("latent_dim", [1, 2, 40])
def test_any_number_of_latents(latent_dim):
    model = ConditionalVAE(latent_dim).eval()
    explorer = explore_style(model.encode, model.decode, TEST, latent_dim=latent_dim)
    before = explorer.picture.value
    put(explorer, **{f"dz{explorer.order[0]}": 2.0})
    assert explorer.picture.value != before
    assert f"latent_dim={latent_dim}" in repr(explorer)


def test_a_point_of_the_strip_is_dragged_to_a_value_of_z(explorer, model):
    put(explorer, index=6)
    panel = explorer._canvas.panel(1)
    for place, z in ((0, 0.8), (2, -0.5)):
        dim = explorer.order[place]
        x, y = panel.on_screen(np.array([place]), np.array([z]))[0] + np.array(panel.corner) / 2
        point(explorer, x, y)
        assert explorer.z[dim] == pytest.approx(z, abs=0.02)
    torch.testing.assert_close(explorer.start, code(model, 6))
    before = explorer.picture.value
    point(explorer, 300, 60)
    assert explorer.picture.value == before


def test_arrows_change_the_image_and_the_most_active_latent(explorer):
    put(explorer, index=6)
    press(explorer, 1, 0)
    press(explorer, 1, -3)
    assert explorer.index == 7
    assert (explorer.z - explorer.start)[explorer.order[0]] == pytest.approx(0.3, abs=1e-5)
    press(explorer, -90, -3)
    assert explorer.index == 0


def test_a_recording_is_the_kernel(explorer):
    walk = f"dz{explorer.order[0]}"
    page = dict(explorer.recorded)
    assert sorted(TEST.y[list(page["index"])].tolist()) == list(range(10))
    assert 0 in page[walk]
    put(explorer, index=page["index"][3])
    assert_recording_is_the_kernel(explorer, index=page["index"][2:5], **{walk: page[walk][::4]})


# O que ele promete a quem o usa


def test_modules_left_in_training_mode_are_asked_in_evaluation_mode_and_left_as_they_were(model):
    expected = explore_style(model.encode, model.decode, TEST, latent_dim=Z).picture.value
    state = torch.get_rng_state()
    model.train()
    explorer = explore_style(model.encode, model.decode, TEST, latent_dim=Z)
    assert explorer.picture.value == expected
    put(explorer, dz0=0.5)
    explorer.controls["random"].click()
    assert all(part.training for part in model.modules())
    assert torch.equal(torch.get_rng_state(), state)


def test_no_gradient_is_kept(model):
    explorer = explore_style(model.encode, model.decode, TEST, latent_dim=Z)
    assert not explorer.images.requires_grad
    assert not explorer.codes.requires_grad


def test_floats_and_doubles_are_the_same_to_it(model):
    data = replace(TEST, x=TEST.x.double() / 255)
    double = ConditionalVAE(Z).eval().double()
    explorer = explore_style(double.encode, double.decode, data, latent_dim=Z)
    assert explorer.z.dtype == torch.float64
    expected = explore_style(model.encode, model.decode, TEST, latent_dim=Z)
    torch.testing.assert_close(explorer.images.float(), expected.images, atol=1e-4, rtol=1e-4)


# O que não serve


def test_what_is_not_a_data_set_with_classes_is_refused(model):
    with pytest.raises(TypeError, match=r"espera um Dataset.*mas veio Tensor"):
        explore_style(model.encode, model.decode, TEST.x, latent_dim=Z)
    with pytest.raises(ValueError, match="precisa da classe de cada imagem, mas 'digits' não tem y"):
        explore_style(model.encode, model.decode, replace(TEST, y=None), latent_dim=Z)
    with pytest.raises(ValueError, match="não é de imagens em tons de cinza"):
        explore_style(model.encode, model.decode, replace(TEST, image_shape=None), latent_dim=Z)


def test_a_model_in_training_mode_behind_a_function_is_told(model):
    model.train()
    with pytest.raises(ValueError, match=r"decode deu duas respostas.*model\.eval\(\)"):
        explore_style(model.encode, lambda z, y: model.decode(z, y), TEST, latent_dim=Z)


def test_samples_are_told(model):
    with pytest.raises(ValueError, match=r"encode deu duas respostas.*distribuições, e não amostras"):
        explore_style(
            lambda x, y: Normal(model.encode(x, y).sample(), torch.zeros(len(x), Z)), model.decode, TEST, latent_dim=Z
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latent_dim": 2}, r"média \[B, Z\], com Z = latent_dim = 2, mas para \d+ imagens devolveu média de forma"),
        ({"latent_dim": 0}, "latent_dim deve ser o número de latentes, um inteiro a partir de 1, mas veio 0"),
        ({"encode": lambda x, y: x}, "deve devolver uma Normal.*devolveu Tensor"),
        ({"decode": lambda z, y: z}, "deve devolver a verossimilhança, uma distribuição.*e não um tensor"),
        ({"decode": lambda z, y: Bernoulli(z)}, r"D = 64 pixels, os de 'digits', mas para \d códigos a média tem"),
        ({"encode": lambda x, y: Normal(x[:, :3] / 0, x[:, :3])}, "encode devolveu NaN ou infinito"),
        ({"decode": lambda z, y: Bernoulli(torch.full((len(z), 64), torch.nan))}, "decode devolveu NaN ou infinito"),
    ],
    ids=["latents", "no_latent", "no_normal", "no_likelihood", "pixels", "encode_nan", "decode_nan"],
)
def test_functions_of_other_shapes_are_refused(model, change, message):
    arguments = {"encode": model.encode, "decode": model.decode, "latent_dim": Z} | change
    with pytest.raises(ValueError, match=message):
        explore_style(arguments["encode"], arguments["decode"], TEST, latent_dim=arguments["latent_dim"])


def test_what_cannot_be_called_is_refused(model):
    with pytest.raises(TypeError, match="decode deve ser uma função ou um módulo do PyTorch, mas veio Tensor"):
        explore_style(model.encode, TEST.x, TEST, latent_dim=Z)
