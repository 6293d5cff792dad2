"""O que um Dataset aceita, o que diz de si, e como as suas linhas viram um lote."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vae_lessons.data import Dataset, as_dataset, binarize

IMAGES = torch.randint(256, (6, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
COUNTS = torch.arange(24.0).reshape(6, 4)
TOKENS = torch.arange(18).reshape(6, 3)
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])

KINDS = {
    "images": (Dataset(IMAGES, LABELS, None, (3, 4), "figuras"), "Dataset('figuras', 6 imagens de 3×4, 3 classes)"),
    "images_alone": (Dataset(IMAGES, image_shape=(3, 4)), "Dataset('dados', 6 imagens de 3×4)"),
    "one_image": (Dataset(IMAGES[:1], LABELS[:1], None, (4, 3)), "Dataset('dados', 1 imagem de 4×3, 1 classe)"),
    "pixels": (Dataset(IMAGES), "Dataset('dados', 6 exemplos de 12 pixels)"),
    "counts": (Dataset(COUNTS, LABELS, columns="genes"), "Dataset('dados', 6 exemplos de 4 genes, 3 classes)"),
    "numbers": (Dataset(COUNTS), "Dataset('dados', 6 exemplos de 4 colunas)"),
    "tokens": (Dataset(TOKENS, name="frases"), "Dataset('frases', 6 exemplos de 3 símbolos)"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_data_set_of_any_kind_says_what_it_is(kind):
    data, expected = KINDS[kind]
    assert repr(data) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_data_set_of_any_kind_moves_whole(kind):
    data, _ = KINDS[kind]
    moved = data.to("meta")
    tensors = [moved.x, *(values for values in (moved.y, moved.factors) if values is not None)]
    assert {values.device.type for values in tensors} == {"meta"}
    assert (moved.y is None) == (data.y is None)
    assert (moved.name, moved.columns, moved.image_shape) == (data.name, data.columns, data.image_shape)


def test_factors_move_too():
    assert Dataset(IMAGES, factors=TOKENS).to("meta").factors.device.type == "meta"


@pytest.mark.parametrize("mode", ["static", "none"])
def test_rows_of_images_become_a_batch_by_binarization(mode):
    assert torch.equal(Dataset(IMAGES).batch(IMAGES[2:4], mode), binarize(IMAGES[2:4], mode))


def test_bits_of_a_batch_are_drawn_by_the_generator_given():
    data = Dataset(IMAGES)
    bits = [data.batch(IMAGES, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(bits[0], binarize(IMAGES, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(bits[0], bits[1])
    assert not torch.equal(bits[0], bits[2])


@pytest.mark.parametrize("mode", ["dynamic", "static", "none"])
@pytest.mark.parametrize("x", [COUNTS, COUNTS.double(), TOKENS], ids=["float32", "float64", "int64"])
def test_counts_and_tokens_reach_the_model_as_they_are(x, mode):
    batch = Dataset(x).batch(x[1:3], mode)
    assert batch.dtype == x.dtype
    assert torch.equal(batch, x[1:3])


@pytest.mark.parametrize("x", [IMAGES, COUNTS, TOKENS], ids=["images", "counts", "tokens"])
def test_an_unknown_mode_is_refused_whatever_the_data(x):
    with pytest.raises(ValueError, match=r"'grey'.*'dynamic', 'static' e 'none'"):
        Dataset(x).batch(x, "grey")


# O que não serve, e o que fazer

BAD_X = {
    "numpy": (np.zeros((2, 3)), TypeError, r"array do NumPy.*torch\.from_numpy\(x\).*from_images"),
    "list": ([[0, 1]], TypeError, r"Dataset ou um tensor \[N, D\], mas veio list"),
    "vector": (IMAGES[0], ValueError, r"\(12,\).*x\[None\]"),
    "stack": (IMAGES.reshape(6, 3, 4), ValueError, r"\[N, D\], mas veio \(6, 3, 4\).*x\.flatten\(1\).*from_images"),
    "channels_first": (torch.zeros(6, 3, 8, 8), ValueError, r"cores não são aceitas.*x\.float\(\)\.mean\(1\)"),
    "channels_last": (torch.zeros(6, 8, 8, 3), ValueError, r"cores não são aceitas.*x\.float\(\)\.mean\(3\)"),
    "one_channel": (torch.zeros(6, 1, 8, 8), ValueError, r"x\.flatten\(1\)"),
    "no_columns": (IMAGES[:, :0], ValueError, r"\(6, 0\)"),
    "bool": (IMAGES > 128, TypeError, r"torch\.bool.*x\.to\(torch\.uint8\) \* 255"),
    "int32": (IMAGES.int(), TypeError, r"uint8 .*ponto flutuante .*int64 .*torch\.int32"),
    "complex": (COUNTS.cfloat(), TypeError, r"torch\.complex64"),
}


@pytest.mark.parametrize("case", BAD_X)
@pytest.mark.parametrize("make", [Dataset, as_dataset])
def test_what_cannot_be_data_is_refused_with_what_to_do(make, case):
    x, error, message = BAD_X[case]
    with pytest.raises(error, match=message):
        make(x)


def test_the_advice_for_stacks_colours_and_bools_works():
    assert as_dataset(IMAGES.reshape(6, 3, 4).flatten(1)).x.shape == (6, 12)
    assert as_dataset(torch.rand(6, 3, 8, 8).float().mean(1).flatten(1)).x.shape == (6, 64)
    assert as_dataset(torch.rand(6, 8, 8, 3).float().mean(3).flatten(1)).x.shape == (6, 64)
    assert as_dataset((IMAGES > 128).to(torch.uint8) * 255).x.max() == 255


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"y": [0, 1, 2, 0, 1, 2]}, TypeError, "y deve ser um tensor int64 .* list"),
        ({"y": LABELS.float()}, TypeError, r"y deve ser int64, mas veio torch\.float32.*y\.long\(\)"),
        ({"y": LABELS[:5]}, ValueError, r"y deve ter forma \[N\], .* N = 6 .* \(5,\)"),
        ({"y": LABELS[:, None]}, ValueError, r"y deve ter forma \[N\].*\(6, 1\)"),
        ({"factors": LABELS}, ValueError, r"factors deve ter forma \[N, F\].*\(6,\)"),
        ({"factors": TOKENS[:2]}, ValueError, r"factors deve ter forma \[N, F\].* N = 6 .*\(2, 3\)"),
        ({"factors": TOKENS.int()}, TypeError, r"factors\.long\(\)"),
        ({"image_shape": (3, 5)}, ValueError, r"image_shape deve ser \(H, W\) com H·W = D = 12, mas veio \(3, 5\)"),
        ({"image_shape": (1, 3, 4)}, ValueError, r"mas veio \(1, 3, 4\).*um canal só"),
        ({"image_shape": (-3, -4)}, ValueError, "image_shape deve ser"),
        ({"image_shape": 12}, ValueError, "image_shape deve ser"),
    ],
)
def test_what_does_not_match_x_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        Dataset(IMAGES, **options)


def test_image_shape_may_be_any_pair():
    assert Dataset(IMAGES, image_shape=[3, 4]).image_shape == (3, 4)
    assert Dataset(IMAGES, image_shape=IMAGES.reshape(6, 3, 4).shape[1:]).image_shape == (3, 4)


def test_replacing_a_part_checks_the_whole():
    data, _ = KINDS["images"]
    with pytest.raises(ValueError, match="image_shape deve ser"):
        replace(data, x=IMAGES[:, :6])


# Um tensor sozinho


def test_a_data_set_stays_itself():
    data, _ = KINDS["tokens"]
    assert as_dataset(data) is data


@pytest.mark.parametrize("x", [IMAGES, COUNTS, TOKENS], ids=["images", "counts", "tokens"])
def test_a_tensor_becomes_a_data_set_without_labels(x):
    data = as_dataset(x)
    assert data.x is x
    assert data.y is data.factors is data.image_shape is None


@pytest.mark.parametrize("data", [IMAGES[:0], Dataset(IMAGES[:0])], ids=["tensor", "dataset"])
def test_no_example_is_no_data(data):
    with pytest.raises(ValueError, match=r"ao menos um exemplo, mas 'dados' tem \(0, 12\)"):
        as_dataset(data)
