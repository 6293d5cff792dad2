"""O explorador das células contra as chamadas diretas: o que se espera dos genes em z é o que o decodificador diz."""

import functools

import numpy as np
import pytest
import torch
from toys_explore import CellMaker, assert_recording_is_the_kernel, painted, pixels, point, press

from vae_lessons.data import Dataset
from vae_lessons.explore import cells as module
from vae_lessons.explore import explore_cells
from vae_lessons.style import ORANGE

MAKER = CellMaker(n_genes=14)
CELLS = MAKER.cells(60)


@pytest.fixture
def explorer():
    return explore_cells(MAKER.encode, MAKER.expression, CELLS, MAKER.genes)


def put(explorer, **values):
    for name, value in values.items():
        explorer.controls[name].value = value


def test_the_levels_are_what_the_decoder_expects_of_a_thousand_molecules(explorer):
    for z in ((0.0, 0.0), (1.5, -0.7)):
        put(explorer, z0=z[0], z1=z[1])
        expected = 1000 * MAKER.expression(torch.tensor([z]))[0]
        columns = [MAKER.genes.index(gene) for gene in explorer.shown]
        assert torch.allclose(explorer.levels, expected[columns].double(), rtol=1e-5)
        assert explorer.level == pytest.approx(float(expected[MAKER.genes.index(explorer.gene)]), rel=1e-5)


def test_the_genes_of_the_chart_are_those_that_vary_most_unless_they_are_named():
    by_default = explore_cells(MAKER.encode, MAKER.expression, CELLS, MAKER.genes).shown
    assert set(by_default[:2]) == {"GENE0", "GENE2"}
    assert len(by_default) == 12
    named = explore_cells(MAKER.encode, MAKER.expression, CELLS, MAKER.genes, shown=["GENE3", "GENE1"])
    assert named.shown == ("GENE3", "GENE1")
    total = CELLS.x.sum(0) / CELLS.x.sum()
    assert named.average.tolist() == pytest.approx([1000 * float(total[3]), 1000 * float(total[1])], rel=1e-5)


def test_the_class_of_a_place_is_that_of_most_of_the_ten_nearest_cells(explorer):
    means = MAKER.encode(CELLS.x).mean
    for z in ((2.0, 0.0), (-2.0, 0.5)):
        put(explorer, z0=z[0], z1=z[1])
        distances = (means - torch.tensor(z)).norm(dim=1)
        near = CELLS.y[distances.argsort()[:10]]
        assert explorer.votes == int((near == explorer.nearest).sum()) >= 5
        assert explorer.distance == pytest.approx(float(distances.min()), abs=1e-5)


def test_names_of_classes_are_told_and_cells_without_classes_are_accepted():
    named = explore_cells(MAKER.encode, MAKER.expression, CELLS, MAKER.genes, class_names=["linfócito", "monócito"])
    assert "monócito" in named.describe(named.numbers) or "linfócito" in named.describe(named.numbers)
    bare = explore_cells(MAKER.encode, MAKER.expression, Dataset(CELLS.x), MAKER.genes)
    assert bare.nearest is None
    assert "a célula mais próxima está a" in bare.describe(bare.numbers)


def test_codes_may_be_means_and_encoders_may_be_methods_of_a_module():
    plain = explore_cells(lambda x: MAKER.encode(x).mean, MAKER.expression, CELLS, MAKER.genes)
    whole = explore_cells(MAKER.encode, MAKER.expression, CELLS, MAKER.genes)
    assert torch.equal(plain.means, whole.means)


# A figura


def sight(explorer) -> np.ndarray:
    """O meio da mira, em pixels da tela."""
    left, right, top, bottom = module._MAP
    rows, columns = np.nonzero(painted(explorer, ORANGE, left=left, top=top, right=right, bottom=bottom))
    return np.array([left + (columns.min() + columns.max()) / 4, top + (rows.min() + rows.max()) / 4])


def test_a_click_on_the_map_takes_the_sight_there(explorer):
    for place in ((180, 200), (300, 150)):
        point(explorer, *place)
        assert sight(explorer) == pytest.approx(place, abs=2.5)


def test_the_arrows_move_the_sight_and_a_click_outside_the_map_does_not(explorer):
    before = explorer.z.clone()
    press(explorer, 2, 1)
    assert torch.allclose(explorer.z, before + torch.tensor([0.2, -0.1]), atol=1e-5)
    put(explorer, z0=0.3)
    shown = explorer.picture.value
    point(explorer, module._CHART[0] + 20, 100)
    assert explorer.picture.value == shown


def test_the_dot_of_a_gene_moves_with_what_is_expected_of_it(explorer):
    left, right, top, bottom = module._CHART
    height = (bottom - top) / len(explorer.shown)
    row = explorer.shown.index("GENE0")
    places = []
    for z0 in (-2.0, 0.0, 2.0):
        put(explorer, z0=z0)
        dots = painted(explorer, ORANGE, left=left, top=round(top + row * height), right=right,
                       bottom=round(top + (row + 1) * height))  # fmt: skip
        places.append(np.nonzero(dots)[1].mean())
    assert places == sorted(places)
    assert places[2] - places[0] > 20


def test_the_background_is_that_of_the_gene_and_drawn_once(explorer):
    first = pixels(explorer)
    put(explorer, gene="GENE2")
    assert (first != pixels(explorer)).mean() > 0.05
    canvas = explorer._canvas_of("GENE2")
    put(explorer, gene="GENE0")
    put(explorer, gene="GENE2")
    assert explorer._canvas_of("GENE2") is canvas


def test_the_page_shows_what_the_kernel_shows(explorer):
    assert_recording_is_the_kernel(explorer, z0=[-1.0, 0.5], z1=[0.0, 1.0], gene=["GENE0", "GENE2"])


# O que não serve


def dice(x):
    return torch.randn(len(x), 2)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"data": CELLS.x}, TypeError, "espera um Dataset"),
        ({"genes": MAKER.genes[:-1]}, ValueError, "um nome para cada uma das 14 colunas"),
        ({"encode": 3}, TypeError, "encode deve ser uma função"),
        ({"encode": lambda x: torch.zeros(len(x), 3)}, ValueError, "dois latentes"),
        ({"encode": dice}, ValueError, "duas respostas diferentes"),
        ({"encode": lambda x: torch.full((len(x), 2), torch.nan)}, ValueError, "NaN"),
        ({"expression": lambda z: torch.zeros(len(z), 5)}, ValueError, "G = 14"),
        ({"expression": lambda z: torch.ones(len(z), 14)}, ValueError, "softmax"),
        ({"shown": ["GENE0", "XPTO"]}, ValueError, "'XPTO' não é um deles"),
        ({"shown": ["GENE0", "GENE0"]}, ValueError, "sem repetir"),
        ({"shown": []}, ValueError, "vieram 0"),
        ({"class_names": ["só uma"]}, ValueError, "nome"),
    ],
)
def test_what_does_not_serve_is_told_in_portuguese(change, error, says):
    given = {"encode": MAKER.encode, "expression": MAKER.expression, "data": CELLS, "genes": MAKER.genes} | change
    options = {name: given.pop(name) for name in ("shown", "class_names") if name in given}
    with pytest.raises(error, match=says):
        functools.partial(explore_cells, *given.values())(**options)
