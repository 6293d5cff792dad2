"""O desenho à mão e o ponto que se arrasta no explorador do espaço latente, sem navegador."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from vae_lessons.data import Dataset, load
from vae_lessons.distributions import Normal
from vae_lessons.explore import explore_latent, gestures
from vae_lessons.explore.drawing import Pen, pen_of, strokes_of
from vae_lessons.explore.images import greys_of
from vae_lessons.explore.latent_map import ELLIPSE
from vae_lessons.models import VAE, conv_vae, mlp_vae
from vae_lessons.objectives import elbo

TEST = load("digits", "test")
BAR = [[[0.5, 0.2], [0.5, 0.8]]]  # um traço em pé
PEN = Pen((28, 28), 5 / 7, 2.4, dark=False)


def ink(strokes, pen=PEN) -> np.ndarray:
    return pen.ink([np.array(stroke) for stroke in strokes])


def draw(explorer, strokes) -> None:
    explorer.controls["drawing"].set_state({"value": json.dumps(strokes)})


@pytest.fixture
def explorer():
    torch.manual_seed(0)
    return explore_latent(mlp_vae(64, 2, (16,)), TEST)


# Dos traços à imagem


def test_a_stroke_is_a_bar_of_the_thickness_and_the_length_of_the_data():
    image = ink(BAR)
    assert image.max() == 1
    assert image[14].sum() == pytest.approx(2.4, abs=0.01)
    assert (image[:, 14] > 0.5).sum() == 20
    assert (image.argmax(1)[5:22] == 13).all()


def test_where_and_how_big_one_draws_does_not_matter():
    small = [[[0.1 + 0.5 * x, 0.4 + 0.5 * y] for x, y in stroke] for stroke in BAR]
    np.testing.assert_allclose(ink(small), ink(BAR), atol=1e-9)


def test_a_dot_stays_a_dot_in_the_middle():
    image = ink([[[0.2, 0.9]]])
    assert image.sum() == pytest.approx(math.pi * 1.2**2, rel=0.1)
    np.testing.assert_allclose(image, image[::-1, ::-1], atol=1e-9)


def test_the_center_of_mass_goes_to_the_middle_unless_drawings_fill_the_image():
    heavy_below = [[[0.5, 0.2], [0.5, 0.8]], [[0.3, 0.8], [0.7, 0.8]], [[0.3, 0.79], [0.7, 0.79]]]
    rows = np.arange(28) + 0.5

    def center(image):
        return image.sum(1) @ rows / image.sum()

    assert center(ink(heavy_below)) == pytest.approx(14, abs=0.3)
    assert center(ink(heavy_below, PEN._replace(extent=1.0))) > 16


def test_a_blank_paper_has_no_ink():
    assert not ink([]).any()


@pytest.mark.parametrize("shape", [(8, 8), (16, 16), (20, 24), (24, 20), (28, 28)])
def test_a_drawing_fits_images_of_any_shape(shape):
    image = ink(BAR, Pen(shape, 0.8, 1.5, dark=False))
    assert image.shape == shape
    inked = np.flatnonzero((image > 0.5).any(1))
    assert len(inked) == pytest.approx(0.8 * min(shape), abs=1.01)


# A caneta dos dados


@pytest.mark.parametrize(("name", "extent", "thickness"), [("digits", 1.0, 1.6), ("mnist_5k", 20 / 28, 2.4)])
def test_the_pen_is_that_of_the_data(name, extent, thickness):
    data = load(name)
    pen = pen_of(data, greys_of(data))
    assert pen.extent == pytest.approx(extent)
    assert pen.thickness == pytest.approx(thickness, abs=0.2)
    assert not pen.dark


def test_dark_ink_on_white_paper_is_seen_and_used():
    data = replace(TEST, x=255 - TEST.x)
    pen, usual = (pen_of(each, greys_of(each)) for each in (data, TEST))
    assert pen.dark
    assert pen.thickness == pytest.approx(usual.thickness, abs=0.3)
    image = pen.image([np.array(BAR[0])], greys_of(data), bits=True).reshape(8, 8)
    assert image[:, 0].eq(1).all()
    assert image[3].eq(0).any()


def test_data_without_ink_have_a_pen_too():
    data = Dataset(torch.zeros(4, 64, dtype=torch.uint8), None, None, (8, 8), "vazio")
    pen = pen_of(data, greys_of(data))
    assert np.isfinite(ink(BAR, pen)).all()


def test_a_drawing_uses_the_scale_of_the_data():
    data = Dataset(-3 + 10 * TEST.x.double() / 255, TEST.y, None, (8, 8), "escala")
    image = pen_of(data, greys_of(data)).image([np.array(BAR[0])], greys_of(data), bits=False)
    assert image.min().item() == -3
    assert 4 < image.max().item() <= 7


@pytest.mark.parametrize("text", ["nada", "3", "[[1, 2]]", "[[[1, 2, 3]]]", "[[[0.1, NaN]]]", '["a"]', "[[]]", "null"])
def test_a_text_that_is_not_a_drawing_is_refused_with_a_sentence(explorer, text):
    with pytest.raises(ValueError, match="lista de traços"):
        strokes_of(text)
    with pytest.raises(ValueError, match="lista de traços"):
        explorer.controls["drawing"].value = text


# O que o explorador faz do desenho


def test_a_drawing_is_encoded_and_z_goes_to_its_posterior_mean(explorer):
    draw(explorer, BAR)
    with torch.no_grad():
        q = explorer.model.encode(explorer.drawn.x[None])
        reconstruction = explorer.model.decode(q.mean).mean[0]
    assert set(explorer.drawn.x.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(explorer.z, q.mean[0])
    torch.testing.assert_close(explorer.drawn.reconstruction, reconstruction)
    torch.testing.assert_close(explorer.drawn.deviation, (0.5 * q.log_var[0]).exp())
    assert [explorer.controls[f"z{dim}"].value for dim in (0, 1)] == pytest.approx(q.mean[0].tolist())


def test_the_terms_are_those_of_the_elbo(explorer):
    draw(explorer, BAR)
    with torch.no_grad():
        terms = elbo(explorer.model, explorer.drawn.x[None], n_samples=20_000)
    assert explorer.drawn.kl == pytest.approx(terms.kl.item())
    assert explorer.drawn.log_likelihood == pytest.approx(terms.log_likelihood.item(), abs=0.3)
    assert explorer.drawn.elbo == pytest.approx(explorer.drawn.log_likelihood - explorer.drawn.kl, abs=1e-4)
    for value in explorer.drawn[4:]:
        assert f"{value:.1f}".replace(".", ",").replace("-", "−") in explorer._told.value
    assert explorer._told.value.count(' alt="O desenho: ') == 2


def test_the_ellipse_is_centred_where_the_drawing_was_encoded_and_goes_with_it(explorer):
    assert not (np.asarray(explorer.paint_map(explorer.numbers)) == ELLIPSE).any()
    draw(explorer, BAR)
    marked = np.asarray(explorer.paint_map(explorer.numbers)) == ELLIPSE
    row, column = explorer._latent_map._pixel(explorer.drawn.mean.tolist())
    rows, columns = np.nonzero(marked)
    assert (rows.min() + rows.max()) / 2 == pytest.approx(row, abs=1)
    assert (columns.min() + columns.max()) / 2 == pytest.approx(column, abs=1)
    explorer.controls["zero"].click()  # z vai embora, e a elipse fica
    assert np.array_equal(np.asarray(explorer.paint_map(explorer.numbers)) == ELLIPSE, marked)
    shown = explorer.map.value
    draw(explorer, [])
    assert explorer.drawn is None
    assert explorer.map.value != shown
    assert not (np.asarray(explorer.paint_map(explorer.numbers)) == ELLIPSE).any()
    assert "<img" not in explorer._told.value


def test_the_ellipse_is_as_wide_as_two_deviations():
    """O codificador devolve sempre q = N(0, I): a de dois desvios vai de −2 a 2."""
    encoder, decoder = torch.nn.Linear(64, 4), torch.nn.Linear(2, 64)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.zero_()
    explorer = explore_latent(VAE(encoder, decoder, latent_dim=2, likelihood="bernoulli", data_dim=64), TEST)
    draw(explorer, BAR)
    rows, columns = np.nonzero(np.asarray(explorer.paint_map(explorer.numbers)) == ELLIPSE)
    top, left = explorer._latent_map._pixel([-2.0, 2.0])
    bottom, right = explorer._latent_map._pixel([2.0, -2.0])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == pytest.approx((top, bottom, left, right), abs=3)
    assert explorer.drawn.kl == pytest.approx(0, abs=1e-6)


def test_drawing_leaves_the_global_random_state_and_says_the_same_twice(explorer):
    state = torch.get_rng_state()
    draw(explorer, BAR)
    first = explorer.drawn.elbo
    draw(explorer, [])
    draw(explorer, BAR)
    assert explorer.drawn.elbo == first
    assert torch.equal(torch.get_rng_state(), state)


def other_models():
    plain = mlp_vae(64, 2, (8,))
    shifted = Normal(torch.ones(2), torch.zeros(2))
    return {
        "convolutional": conv_vae((8, 8), 2, (4,)),
        "gaussian": mlp_vae(64, 2, (8,), likelihood="gaussian"),
        "one latent": mlp_vae(64, 1, (8,)),
        "twelve latents": mlp_vae(64, 12, (8,)),
        "prior": VAE(plain.encoder, plain.decoder, latent_dim=2, data_dim=64, prior=shifted),
        "double": mlp_vae(64, 2, (8,)).double(),
    }


@pytest.mark.parametrize("name", list(other_models()))
def test_any_model_that_can_be_explored_can_be_drawn_to_and_dragged(name):
    explorer = explore_latent(other_models()[name], TEST)
    draw(explorer, BAR)
    assert math.isfinite(explorer.drawn.elbo)
    assert (np.asarray(explorer.paint_map(explorer.numbers)) == ELLIPSE).any()
    bits = set(explorer.drawn.x.unique().tolist()) <= {0.0, 1.0}
    assert bits == (name != "gaussian")
    explorer._map_pad.channel.set_state({"value": "at 0.5 0.5 1"})
    assert not torch.equal(explorer.z, explorer.drawn.mean)


@pytest.mark.parametrize("shape", [(16, 16), (20, 24), (28, 28)])
def test_images_of_any_shape_can_be_drawn(shape):
    torch.manual_seed(0)
    n_pixels = shape[0] * shape[1]
    data = Dataset((torch.rand(20, n_pixels) > 0.8).to(torch.uint8) * 255, None, None, shape, "ruído")
    explorer = explore_latent(mlp_vae(n_pixels, 2, (8,)), data)
    draw(explorer, BAR)
    assert explorer.drawn.x.shape == (n_pixels,)


# O ponto que se arrasta


def drag(explorer, right, down, *, moment=0) -> list[float]:
    explorer._map_pad.channel.set_state({"value": f"at {right} {down} {moment}"})
    return [explorer.controls[f"z{dim}"].value for dim in range(explorer.model.latent_dim)]


def test_the_point_goes_where_it_is_dragged(explorer):
    """Ida e volta: o lugar da figura em que se marca z leva ao mesmo z."""
    height, width = explorer._latent_map._background.shape
    for z in ([0.0, 0.0], [1.3, -2.1], [-2.9, 2.9]):
        row, column = explorer._latent_map._pixel(z)
        assert drag(explorer, (column + 0.5) / width, (row + 0.5) / height) == pytest.approx(z, abs=0.03)
        assert explorer.z.tolist() == pytest.approx(z, abs=0.03)


def test_beyond_the_panel_the_point_stays_at_its_border(explorer):
    (low, high), (bottom, top) = explorer._latent_map.geometry[1]
    assert drag(explorer, 0.0, 0.0) == pytest.approx([low, top], abs=0.01)
    assert drag(explorer, 1.0, 1.0) == pytest.approx([high, bottom], abs=0.01)


def test_dragging_moves_only_the_two_latents_of_the_map_and_draws_once(monkeypatch):
    torch.manual_seed(0)
    explorer = explore_latent(mlp_vae(64, 5, (16,)), TEST)
    before = explorer.z.tolist()
    decodings, decode = [], explorer.model.decode
    monkeypatch.setattr(explorer.model, "decode", lambda z: decodings.append(z) or decode(z))
    after = drag(explorer, 0.7, 0.3)
    moved = {dim for dim in range(5) if after[dim] != before[dim]}
    assert moved == set(explorer.order[:2])
    assert len(decodings) == 1


def test_the_same_place_counts_again_after_z_left_it(explorer):
    first = drag(explorer, 0.6, 0.4, moment=1)
    explorer.controls["zero"].click()
    assert drag(explorer, 0.6, 0.4, moment=2) == first


def test_arrow_keys_move_a_tenth_and_none_is_lost_when_messages_are_merged(explorer):
    explorer.controls["zero"].click()
    channel = explorer._map_pad.channel
    for text, z in (("keys 1 0", [0.1, 0]), ("keys 4 -2", [0.4, 0.2]), ("at 0.5 0.5 1", None), ("keys 0 1", None)):
        before = [explorer.controls[f"z{dim}"].value for dim in (0, 1)]
        channel.set_state({"value": text})
        now = [explorer.controls[f"z{dim}"].value for dim in (0, 1)]
        if z:
            assert now == pytest.approx(z)
    assert now == pytest.approx([before[0], before[1] - 0.1])


@pytest.mark.parametrize(
    ("before", "now", "gesture"),
    [
        ("", "at 0.25 0.5 170", ("at", (0.25, 0.5))),
        ("", "keys 1 0", ("keys", (1, 0))),
        ("keys 5 -2", "keys 7 -1", ("keys", (2, 1))),
        ("at 0.2 0.3 9", "keys 0 -1", ("keys", (0, -1))),
    ],
)
def test_what_arrives_is_the_last_place_or_the_steps_since_the_last_message(before, now, gesture):
    assert gestures.pointed(before, now) == gesture


# O que se vê e se ouve


def test_the_map_and_the_paper_say_what_they_are_and_are_reached_by_the_keyboard(explorer):
    for surface in (explorer._map_pad, explorer._paper):
        (shown,) = [
            child.value for child in surface.box.children if hasattr(child, "value") and "tabindex" in str(child.value)
        ]
        assert 'tabindex="0"' in shown
        assert 'role="application"' in shown
        assert 'data-lm-suppress-shortcuts="true"' in shown
        assert "setas" in shown.partition('aria-label="')[2].partition('"')[0]
        assert surface.channel.layout.display == "none"
