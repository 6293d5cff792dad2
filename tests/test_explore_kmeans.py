"""O explorador do k-médias contra o scikit-learn e contra o que se sabe de códigos mortos."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from toys_explore import assert_recording_is_the_kernel, painted, point, press

from vae_lessons.explore import explore_kmeans, voronoi
from vae_lessons.explore import kmeans as module
from vae_lessons.style import GREY, MIST


@pytest.fixture
def points():
    generator = torch.Generator().manual_seed(0)
    centers = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    return (centers[:, None] + 0.6 * torch.randn(3, 80, 2, generator=generator)).flatten(0, 1)


@pytest.fixture
def codebook(points):
    """Cinco códigos entre os pontos e um tão longe que fica sem nenhum."""
    return torch.cat([points[[0, 1, 2, 90, 170]], torch.tensor([[30.0, 30.0]])])


@pytest.fixture
def explorer(points, codebook):
    return explore_kmeans(points, codebook, steps=8)


def put(explorer, **values):
    for name, value in values.items():
        explorer.controls[name].value = value


# Os números


def test_each_step_is_a_step_of_scikit_learn(points, codebook):
    explorer = explore_kmeans(points, codebook[:5], steps=8)
    for step in range(1, 9):
        put(explorer, step=step)
        expected = KMeans(5, init=explorer.before, n_init=1, max_iter=1).fit(points.double().numpy())
        np.testing.assert_allclose(explorer.codebook, expected.cluster_centers_, atol=1e-6)


def test_it_starts_at_the_codebook_and_the_error_is_the_mean_squared_distance(explorer, points, codebook):
    np.testing.assert_allclose(explorer.codebook, codebook, rtol=1e-6)
    distances = torch.cdist(points.double(), codebook.double()).min(1)
    assert explorer.error == pytest.approx(float(distances.values.square().mean()))
    assert explorer.counts.tolist() == torch.bincount(distances.indices, minlength=6).tolist()


def test_the_error_never_grows(explorer):
    assert (np.diff(explorer.errors) <= 1e-12).all()


def test_a_code_without_points_stays_where_it_is(explorer):
    for step in range(9):
        put(explorer, step=step)
        assert explorer.counts[-1] == 0
        assert explorer.codebook[-1].tolist() == [30.0, 30.0]
    assert "1 código morto" in explorer.describe(explorer.numbers)


def test_a_code_that_starts_again_does_it_at_a_point_and_lowers_the_error(explorer, points):
    put(explorer, step=8)
    stayed = explorer.error
    put(explorer, restart="recomeçam", step=1)
    assert (np.abs(points.double().numpy() - explorer.codebook[-1]).sum(1) == 0).any()
    put(explorer, step=8)
    assert explorer.counts[-1] > 0
    assert explorer.error < stayed


def test_perplexity_is_the_number_of_codes_when_all_are_used_alike():
    points = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    explorer = explore_kmeans(points.repeat(5, 1), points)
    assert explorer.perplexity == pytest.approx(4)
    one = explore_kmeans(points, torch.tensor([[0.5, 0.5], [90.0, 90.0]]))
    assert one.perplexity == pytest.approx(1)


# A figura


def test_regions_are_of_the_nearest_code(codebook):
    rows, columns, xlim, ylim = 23, 31, (-2.0, 5.0), (-1.0, 6.0)
    regions = voronoi.regions(codebook.numpy(), xlim, ylim, (rows, columns))
    x, y = np.meshgrid(np.linspace(*xlim, columns), np.linspace(*ylim[::-1], rows))
    distances = torch.cdist(torch.from_numpy(np.stack([x, y], -1)).reshape(-1, 2), codebook.double())
    assert (regions.ravel() == distances.argmin(1).numpy()).mean() > 0.99


def test_borders_are_between_different_regions():
    regions = np.array([[0, 0, 1], [0, 2, 1]])
    assert voronoi.borders(regions).tolist() == [[False, True, False], [True, True, False]]


def test_the_region_of_a_dead_code_is_grey_and_no_other_is(points):
    near = torch.tensor([[8.0, 8.0]])
    explorer = explore_kmeans(points, torch.cat([points[[0, 90, 170]], near]))
    area = {"left": 10, "right": 390, "top": module._TOP + 4}
    assert painted(explorer, MIST, **area).mean() > 0.02
    assert painted(explorer, GREY, **area).sum() > 100
    put(explorer, restart="recomeçam", step=2)
    assert not painted(explorer, MIST, **area).any()


def test_codes_off_the_map_are_on_its_edge(explorer):
    dead = np.argwhere(painted(explorer, GREY, left=10, right=396, top=module._TOP))
    assert len(dead) > 50
    assert dead.mean(0) == pytest.approx([14, 2 * 380], abs=30)


def test_many_codes_and_points_all_alike():
    explorer = explore_kmeans(torch.ones(10, 2), torch.ones(90, 2), steps=1)
    put(explorer, step=1)
    assert explorer.error == 0


def test_the_step_is_dragged_in_the_curve_and_moved_by_the_arrows(explorer):
    _, _, top, bottom = module._CURVE
    panel = explorer._canvas.panel(1)
    for step in (5, 2):
        x = panel.on_screen(np.array([step]), np.array([0.0]))[0, 0] + panel.corner[0] / 2
        point(explorer, x, (top + bottom) / 2)
        assert explorer.step == step
    press(explorer, 1, 1)
    assert explorer.step == 4
    press(explorer, -50, 1)
    assert explorer.step == 0


def test_a_recording_is_the_kernel(explorer):
    put(explorer, step=3)
    assert_recording_is_the_kernel(explorer, restart=None, step=(0, 3, 8))


# O que não serve


@pytest.mark.parametrize(
    ("points", "codebook", "steps", "error", "message"),
    [
        (np.zeros((3, 2)), torch.zeros(2, 2), 5, TypeError, r"points deve ser um tensor.*mas veio ndarray"),
        (torch.zeros(3, 4), torch.zeros(2, 2), 5, ValueError, r"points deve ter duas colunas.*\(3, 4\)"),
        (torch.zeros(3, 2), torch.zeros(2, 3), 5, ValueError, r"codebook deve ter duas colunas.*\(2, 3\)"),
        (torch.zeros(3, 2) / 0, torch.zeros(2, 2), 5, ValueError, "NaN ou infinito em points"),
        (torch.zeros(3, 2), torch.zeros(2, 2), 0, ValueError, "steps deve ser o número de passos.*veio 0"),
    ],
    ids=["numpy", "points", "codebook", "nan", "steps"],
)
def test_what_does_not_fit_a_map_is_refused(points, codebook, steps, error, message):
    with pytest.raises(error, match=message):
        explore_kmeans(points, codebook, steps=steps)
