"""Os discos: o fatorial completo, um pixel por passo, e os autovalores que a lição 04 prevê à mão."""

import hashlib
import math

import pytest
import torch

from vae_lessons.data import discs, load


@pytest.fixture(scope="module")
def train():
    return load("discs")


@pytest.fixture(scope="module")
def grid(train):
    """Os tons de 0 a 1, [8, 4, 4, 20, 24]: x, y, raio, linha, coluna."""
    return train.x.double().div(255).reshape(*discs.FACTORS.values(), *discs.IMAGE_SHAPE)


def test_training_images_are_the_full_factorial(train):
    sizes = torch.tensor(list(discs.FACTORS.values()))
    assert len(train) == sizes.prod() == 128
    assert torch.equal(train.factors, torch.cartesian_prod(*(torch.arange(n) for n in sizes)))
    assert [len(values) for values in discs.VALUES.values()] == sizes.tolist()


def test_tensors_are_as_the_contract_says(train):
    for data in (train, load("discs", "test")):
        assert (data.x.dtype, data.y, data.factors.dtype) == (torch.uint8, None, torch.int64)
        assert data.x.shape == (len(data), 480)
        assert (data.name, data.image_shape) == ("discs", (20, 24))


def test_images_are_the_same_on_every_machine():
    hashes = [hashlib.sha256(load("discs", s).x.numpy().tobytes()).hexdigest()[:16] for s in ("train", "test")]
    assert hashes == ["4231cd9e61e8cdc9", "1b0bc21fe51723c2"]


def test_one_step_of_x_or_y_moves_the_disc_by_one_pixel_and_nothing_is_cut(grid):
    assert torch.equal(grid[1:, ..., 1:], grid[:-1, ..., :-1])
    assert torch.equal(grid[:, 1:, :, 1:], grid[:, :-1, :, :-1])
    assert torch.allclose(grid.sum((-1, -2)), grid[:1, :1].sum((-1, -2)).expand(8, 4, 4))


def test_area_is_that_of_the_circle(grid):
    area = grid.sum((-1, -2))[0, 0]
    expected = math.pi * discs.VALUES["radius"].double() ** 2
    assert (area / expected - 1).abs().max() < 0.01


def test_each_of_the_three_first_components_is_one_factor(train):
    """Deslocar um contorno: modos ortogonais, de λ ∝ πr·Var(x), 2πr·Var(r), πr·Var(y), perto de 4 : 2 : 1."""
    x = train.x.double() / 255
    centered = x - x.mean(0)
    codes, sizes, _ = torch.linalg.svd(centered, full_matrices=False)
    variances = sizes.square() / len(x)
    assert variances[:4].tolist() == pytest.approx([14.31, 7.53, 4.06, 2.59], abs=0.01)
    for component, factor in enumerate((0, 2, 1)):
        code, value = codes[:, component], train.factors[:, factor]
        means = torch.stack([code[value == v].mean() for v in value.unique()])
        assert means.var(correction=0) / code.var(correction=0) > 0.95


def test_test_images_lie_midway_between_training_ones(grid):
    test = load("discs", "test")
    assert len(test) == 7 * 3 * 3
    assert test.factors.amax(0).tolist() == [6, 2, 2]
    area, known = test.x.double().div(255).sum(1).reshape(7, 3, 3), grid.sum((-1, -2))
    assert (known[:7, :3, :-1] < area).all()
    assert (area < known[:7, :3, 1:]).all()
    right = torch.arange(24) + 0.5 - 12
    centers = test.x.double().reshape(-1, 20, 24).sum(1) @ right.double() / test.x.double().sum(1)
    assert torch.allclose(centers.reshape(7, 9), torch.arange(-3, 4)[:, None].double().expand(7, 9), atol=1e-6)


def test_a_reader_makes_discs_of_other_values():
    data = discs.factorial([0], [-1, 1.5], [3, 4, 5], name="meus")
    assert repr(data) == "Dataset('meus', 6 imagens de 20×24)"
    assert data.factors.amax(0).tolist() == [0, 1, 2]


@pytest.mark.parametrize("values", [([], [0], [5]), ([0], [0], [0, 5]), ([0], [0], [-1])], ids=str)
def test_values_that_make_no_disc_are_refused(values):
    with pytest.raises(ValueError, match="Cada fator precisa de ao menos um valor"):
        discs.factorial(*values)
