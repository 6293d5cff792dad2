"""As imagens de quem lê: de um array a um Dataset, ou a um conselho que funciona."""

import re

import numpy as np
import pytest
import torch

from vae_lessons.data import binarize, from_images

GENERATOR = np.random.default_rng(0)
LEVELS = GENERATOR.integers(0, 256, (6, 3, 4), dtype=np.uint8)
LEVELS[0, 0, :2] = 0, 255
GREY = GENERATOR.random((6, 3, 4))


def as_given(array, kind):
    return array if kind == "numpy" else torch.from_numpy(array.copy())


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_uint8_images_are_kept_one_per_row(kind):
    data = from_images(as_given(LEVELS, kind), name="retratos")
    assert data.x.dtype == torch.uint8
    assert torch.equal(data.x, torch.from_numpy(LEVELS).flatten(1))
    assert data.image_shape == (3, 4)
    assert data.y is data.factors is None
    assert (data.name, data.columns) == ("retratos", "pixels")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_floats_are_rounded_to_the_nearest_of_256_levels(kind, dtype):
    grey = GREY.astype(dtype)
    data = from_images(as_given(grey, kind))
    assert data.x.dtype == torch.uint8
    error = binarize(data.x, "none").double() - torch.from_numpy(grey.astype(np.float64)).flatten(1)
    assert error.abs().max() <= 0.5 / 255 + (2**-11 if dtype == np.float16 else 1e-6)


def test_bfloat16_is_accepted():
    assert from_images(torch.ones(2, 3, 4, dtype=torch.bfloat16)).x.unique().tolist() == [255]


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_true_is_white(kind):
    data = from_images(as_given(LEVELS > 100, kind))
    assert torch.equal(data.x == 255, torch.from_numpy(LEVELS > 100).flatten(1))
    assert data.x.unique().tolist() == [0, 255]


@pytest.mark.parametrize("axis", [1, 3])
def test_a_channel_alone_is_grey(axis):
    data = from_images(np.expand_dims(LEVELS, axis))
    assert data.image_shape == (3, 4)
    assert torch.equal(data.x, from_images(LEVELS).x)


def test_rows_of_pixels_are_square_images_unless_told_otherwise():
    rows = GENERATOR.integers(0, 256, (5, 36), dtype=np.uint8)
    assert from_images(rows).image_shape == (6, 6)
    assert from_images(rows, image_shape=(4, 9)).image_shape == (4, 9)
    assert from_images(LEVELS, image_shape=(3, 4)).image_shape == (3, 4)


@pytest.mark.parametrize(
    "labels",
    [[0, 1, 2, 0, 1, 2], np.array([0, 1, 2, 0, 1, 2], dtype=np.uint8), torch.tensor([0, 1, 2, 0, 1, 2]).int()],
    ids=["list", "numpy", "torch"],
)
def test_labels_become_int64(labels):
    y = from_images(LEVELS, labels).y
    assert y.dtype == torch.int64
    assert y.tolist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_the_data_set_is_a_copy(kind):
    array, labels = as_given(LEVELS.copy(), kind), as_given(np.arange(6), kind)
    data = from_images(array, labels)
    array[:], labels[:] = 0, 0
    assert torch.equal(data.x, torch.from_numpy(LEVELS).flatten(1))
    assert data.y.tolist() == list(range(6))


@pytest.mark.parametrize(
    "array",
    [LEVELS[::-1], LEVELS.transpose(0, 2, 1), LEVELS[:, ::2], np.asfortranarray(LEVELS), GREY.astype(">f8")],
    ids=["reversed", "transposed", "strided", "fortran", "big_endian"],
)
def test_any_layout_in_memory_will_do(array):
    levels = array if array.dtype == np.uint8 else (array * 255).round().astype(np.uint8)
    assert torch.equal(from_images(array).x, torch.from_numpy(np.ascontiguousarray(levels)).flatten(1))


def test_a_read_only_array_will_do():
    array = LEVELS.copy()
    array.flags.writeable = False
    assert len(from_images(array)) == 6


def test_a_tensor_with_a_gradient_will_do():
    assert from_images(torch.ones(2, 3, 4, requires_grad=True)).x.unique().tolist() == [255]


# O que não está na escala: recusado com os extremos, e o conselho funciona


def advice_of(message, array):
    """O que a mensagem manda chamar, executado como quem lê o faria."""
    return eval(
        re.search(r"from_images\(.*\)", message)[0], {"from_images": from_images, "array": array, "torch": torch}
    )


OUT_OF_SCALE = {
    "zero_or_one": (LEVELS // 128, r"de 0 a 255, mas vieram uint8 de 0 a 1: .*quase pretas"),
    "sixteen_levels": (LEVELS // 16, r"vieram uint8 de 0 a 15"),
    "hundred": ((LEVELS * (100 / 255)).astype(np.uint8), r"vieram uint8 de 0 a 100"),
    "floats_to_255": (LEVELS.astype(np.float32), r"de 0 a 1, mas vieram float32 de 0 a 255"),
    "floats_to_16": (GREY * 16, r"de 0 a 1, mas vieram float64 de"),
    "dark_floats": (GREY / 16, r"de 0 a 1, mas vieram float64 de .*quase pretas"),
    "minus_one_to_one": (GREY * 2 - 1, r"de 0 a 1, mas vieram float64 de -0\.9"),
    "standardized": ((GREY - GREY.mean()) / GREY.std(), r"vieram float64 de -"),
    "int64": (LEVELS.astype(np.int64), r"uint8, de 0 a 255, mas vieram int64 de"),
    "int32_bits": ((LEVELS // 128).astype(np.int32), r"vieram int32 de 0 a 1\."),
    "uint16": (LEVELS.astype(np.uint16) * 257, r"vieram uint16 de"),
    "int8": ((LEVELS.astype(np.int16) - 128).astype(np.int8), r"vieram int8 de -"),
}


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("case", OUT_OF_SCALE)
def test_values_out_of_scale_are_refused_with_the_extremes_and_advice_that_works(case, kind):
    values, message = OUT_OF_SCALE[case]
    if kind == "torch" and values.dtype in (np.uint16,):
        pytest.skip("torch quase não faz contas com uint16")
    array = as_given(values, kind)
    with pytest.raises((TypeError, ValueError), match=message) as refused:
        from_images(array)
    data = advice_of(str(refused.value), array)
    assert data.x.max() >= 250
    order = torch.from_numpy(values.astype(np.float64)).flatten().argsort()
    assert (data.x.int().flatten()[order].diff() >= 0).all()  # a escala muda, a ordem dos tons não


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_refused(value):
    array = GREY.copy()
    array[2, 1, 1] = value
    with pytest.raises(ValueError, match=r"NaN ou infinito.*np\.isfinite\(array\)"):
        from_images(array)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("floating", [False, True], ids=["uint8", "float"])
@pytest.mark.parametrize("shape", [(6, 5, 4, 3), (6, 5, 4, 4), (6, 3, 5, 4), (6, 4, 5, 6)], ids=str)
def test_colours_are_refused_with_how_to_make_them_grey(shape, floating, kind):
    colours = GENERATOR.integers(0, 256, shape, dtype=np.uint8)
    axis = 3 if shape[3] in (3, 4) else 1
    array = as_given(colours / 255 if floating else colours, kind)
    with pytest.raises(ValueError, match=rf"cores não são aceitas.*{shape[axis]} canais") as refused:
        from_images(array)
    without_alpha = np.moveaxis(colours, axis, -1)[..., :3].astype(np.float64)
    data = advice_of(str(refused.value), array)
    assert data.image_shape == without_alpha.shape[1:3]
    assert (data.x.double() - torch.from_numpy(without_alpha.mean(-1)).flatten(1)).abs().max() <= 0.51


# As formas


@pytest.mark.parametrize(
    ("array", "options", "error", "message"),
    [
        ([[0, 255]], {}, TypeError, r"mas veio list.*np\.stack.*convert\(\"L\"\)"),
        (LEVELS[0, 0], {}, ValueError, r"\(4,\).*array\[None\]"),
        (LEVELS[0, :, :3], {}, ValueError, r"3 pixels por imagem não formam um quadrado.*\[H, W\], como array\[None\]"),
        (LEVELS[:0], {}, ValueError, r"\(0, 3, 4\)"),
        (LEVELS.reshape(6, 12), {}, ValueError, r"12 pixels por imagem não formam um quadrado.*image_shape=\(H, W\)"),
        (LEVELS.reshape(6, 12), {"image_shape": (3, 5)}, ValueError, r"H·W = D = 12, mas veio \(3, 5\)"),
        (LEVELS, {"image_shape": (4, 3)}, ValueError, r"são de 3×4, mas veio image_shape=\(4, 3\)"),
        (np.zeros((28, 32, 3), np.uint8), {}, ValueError, r"uma só imagem em cores, \[H, W, 3\]"),
        (LEVELS.reshape(6, 1, 1, 3, 4), {}, ValueError, r"\(6, 1, 1, 3, 4\)"),
        (np.array([["a"]]), {}, TypeError, r"uint8 .*ponto flutuante .*<U1"),
    ],
)
def test_other_shapes_and_types_are_refused_with_what_to_do(array, options, error, message):
    with pytest.raises(error, match=message):
        from_images(array, **options)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0, 1], ValueError, r"\[N\] = \(6,\), uma classe por imagem, mas veio \(2,\)"),
        (np.eye(6, dtype=int), ValueError, r"\(6, 6\).*labels\.argmax\(1\)"),
        (["a", "b", "c"] * 2, TypeError, r"np\.unique\(labels, return_inverse=True\)"),
        (np.zeros(6), TypeError, "inteiros.*float64"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, error, message):
    with pytest.raises(error, match=message):
        from_images(LEVELS, labels)


def test_the_advice_for_names_works():
    names, labels = np.unique(["b", "a", "b", "a", "a", "b"], return_inverse=True)
    assert names[from_images(LEVELS, labels).y].tolist() == ["b", "a", "b", "a", "a", "b"]
