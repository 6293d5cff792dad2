"""As figurinhas: todos os fatores, cada um com o efeito que o nome promete, e nada que dependa da máquina."""

import hashlib

import pytest
import torch

from vae_lessons.data import load, sprites

COLUMN = {name: number for number, name in enumerate(sprites.FACTORS)}


@pytest.fixture(scope="module")
def train():
    return load("sprites")


@pytest.fixture(scope="module")
def test():
    return load("sprites", "test")


@pytest.fixture(scope="module")
def grid(train):
    """As imagens em tons de 0 a 1, [3, 4, 8, 8, 8, 16, 16]: forma, escala, orientação, x, y, linha, coluna."""
    return train.x.double().div(255).reshape(*sprites.FACTORS.values(), 16, 16)


def mass_center(images):
    """(x, y) do centro de massa de cada imagem [..., 16, 16]."""
    ticks, mass = torch.arange(16, dtype=torch.float64), images.sum((-1, -2))
    return (images.sum(-2) @ ticks) / mass, (images.sum(-1) @ ticks) / mass


def test_training_images_are_the_full_factorial(train):
    sizes = torch.tensor(list(sprites.FACTORS.values()))
    assert len(train) == sizes.prod() == 6144
    assert torch.equal(train.factors.unique(dim=0), torch.cartesian_prod(*(torch.arange(n) for n in sizes)))


def test_tensors_are_as_the_contract_says(train, test):
    for data in (train, test):
        assert (data.x.dtype, data.y.dtype, data.factors.dtype) == (torch.uint8, torch.int64, torch.int64)
        assert data.x.shape == (len(data), 256)
        assert (data.name, data.image_shape) == ("sprites", (16, 16))
        assert torch.equal(data.y, data.factors[:, COLUMN["shape"]])
    assert len(sprites.SHAPES) == sprites.FACTORS["shape"] == len(train.y.unique())


def test_images_are_the_same_on_every_machine(train, test):
    hashes = [hashlib.sha256(data.x.numpy().tobytes()).hexdigest()[:16] for data in (train, test)]
    assert hashes == ["1387111da7bbf812", "e5fc69a0be825cbe"]


def test_the_picture_determines_every_factor(train):
    """Duas imagens quaisquer diferem ao menos tanto quanto um pixel inteiro que se acende."""
    x = train.x.float() / 255
    squared = x.square().sum(1)
    distances = squared[:, None] + squared - 2 * x @ x.T
    distances.fill_diagonal_(torch.inf)
    assert distances.min() > 1


def test_no_test_image_is_in_the_training(train, test):
    x, held_out = (data.x.float() / 255 for data in (train, test))
    distances = x.square().sum(1)[:, None] + held_out.square().sum(1) - 2 * x @ held_out.T
    assert distances.min() > 1


def test_one_step_in_x_or_y_moves_the_picture_by_one_pixel(grid):
    assert torch.equal(grid[:, :, :, 1:, :, :, 1:], grid[:, :, :, :-1, :, :, :-1])
    assert torch.equal(grid[:, :, :, :, 1:, 1:, :], grid[:, :, :, :, :-1, :-1, :])
    x, y = mass_center(grid)
    assert torch.allclose(x.diff(dim=3), torch.ones(()).double())
    assert torch.allclose(y.diff(dim=4), torch.ones(()).double())


def test_area_grows_with_scale_and_nothing_else_changes_it(grid):
    area = grid.sum((-1, -2))
    assert (area.diff(dim=1) > 2).all()
    assert torch.allclose(area[..., :1, :1], area)
    assert (area.std(dim=2) / area.mean(dim=2)).max() < 0.05


def test_one_step_in_orientation_turns_the_picture_by_45_degrees(grid):
    """Dois passos são 90°: a imagem de lado ímpar em torno do centro gira sem reamostrar."""
    stamp = grid[..., 0, 0, :9, :9]
    assert (stamp.rot90(1, dims=(-2, -1)).roll(2, dims=2) - stamp).abs().max() < 0.02
    for turns in (1, 2, 3, 4, 5, 6, 7):  # nenhuma rotação repete a figura: a orientação se lê na imagem
        assert (stamp.roll(turns, dims=2) - stamp).square().sum((-1, -2)).min() > 1


def test_shapes_fit_inside_the_image_and_have_soft_edges(grid):
    for side in (grid[..., 0, :], grid[..., -1, :], grid[..., 0], grid[..., -1]):
        assert side.sum(-1).max() < 2  # só pontas encostam na borda
    grey = ((grid > 0.02) & (grid < 0.98)).double().mean()
    assert 0.03 < grey < 0.2
    assert torch.allclose(grid.sum((-1, -2))[..., :1, :1].expand(3, 4, 8, 8, 8), grid.sum((-1, -2)))  # nada é cortado


def test_test_images_lie_midway_between_training_ones(grid, test):
    between = test.x.double().div(255).reshape(3, 3, 8, 7, 7, 16, 16)
    assert len(test) == between[..., 0, 0].numel()
    assert test.factors.amax(0).tolist() == [2, 2, 7, 6, 6]
    for axis, center in enumerate(mass_center(between)):
        steps = torch.arange(7).double() + 4.5
        expected = steps[:, None] if axis == 0 else steps[None, :]
        assert (center - expected).abs().max() < 0.2
    area, known = between.sum((-1, -2))[..., 0, 0], grid.sum((-1, -2))[..., 0, 0]
    assert (known[:, :-1].amax(2) < area.amin(2)).all()
    assert (area.amax(2) < known[:, 1:].amin(2)).all()


def test_callers_cannot_change_each_others_images():
    for split in ("train", "test"):
        before = load("sprites", split)
        kept = before.x.clone()
        for tensor in (before.x, before.y, before.factors):
            tensor.zero_()
        again = load("sprites", split)
        assert torch.equal(again.x, kept)
        assert again.factors.any()
        assert again.y.any()
