"""O explorador dos códigos contra as chamadas diretas: trocado um código, muda o que ele decodifica, e só isso."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from toys_explore import PatchCodes, assert_recording_is_the_kernel, levels_of, painted, point, press, shown_at

from vae_lessons.data import load
from vae_lessons.explore import codes as module
from vae_lessons.explore import explore_codes
from vae_lessons.style import BLUE, ORANGE

TEST = load("digits", "test")
K = 12


@pytest.fixture
def patches():
    return PatchCodes(TEST, n_codes=K)


@pytest.fixture
def explorer(patches):
    return explore_codes(patches.encode, patches.decode, patches.codebook, TEST)


def put(explorer, **values):
    for name, value in values.items():
        explorer.controls[name].value = value


def own_codes(patches, index) -> torch.Tensor:
    return patches.encode(TEST.x[index][None].float() / 255)[0]


# Os números


def test_a_code_put_in_a_cell_is_decoded_with_the_others_as_they_were(explorer, patches):
    for index, row, column, code in ((0, 1, 2, 4), (30, 3, 0, 0), (7, 0, 3, K - 1)):
        put(explorer, index=index, row=row, column=column, code=code)
        own = own_codes(patches, index)
        changed = own.clone()
        changed[row, column] = code
        assert torch.equal(explorer.own, own)
        assert torch.equal(explorer.codes, changed)
        assert torch.equal(explorer.before, patches.decode(own[None])[0])
        assert torch.equal(explorer.after, patches.decode(changed[None])[0])


def test_only_the_patch_of_the_cell_changes_when_the_decoder_is_a_mosaic(explorer):
    put(explorer, row=2, column=1)
    inside = torch.zeros(8, 8, dtype=bool)
    inside[4:6, 2:4] = True
    different = 0
    for code in range(K):
        put(explorer, code=code)
        changed = explorer.numbers.difference.reshape(8, 8) > 0
        assert not (changed & ~inside).any()
        different += bool(changed.any())
    assert different > K // 2


def test_it_starts_with_the_code_that_most_changes_the_middle(explorer, patches):
    own = own_codes(patches, 0)
    assert (explorer.row, explorer.column) == (2, 2)
    change = float(explorer.numbers.difference.square().sum())
    for code in range(K):
        changed = own.clone()
        changed[2, 2] = code
        difference = patches.decode(changed[None])[0] - explorer.before
        assert difference.square().sum() <= change + 1e-6


def test_going_back_to_the_original_undoes_every_change(explorer, patches):
    put(explorer, index=4, row=0, column=0, code=3)
    explorer.controls["keep"].click()
    put(explorer, row=1, column=1, code=5)
    changed = own_codes(patches, 4)
    changed[0, 0], changed[1, 1] = 3, 5
    assert torch.equal(explorer.codes, changed)
    assert "mais 1 troca" in explorer.describe(explorer.numbers) or changed[0, 0] == own_codes(patches, 4)[0, 0]
    explorer.controls["original"].click()
    assert torch.equal(explorer.codes, explorer.own)
    assert torch.equal(explorer.after, explorer.before)
    assert explorer.controls["code"].value == own_codes(patches, 4)[1, 1]


def test_changes_that_were_kept_belong_to_their_image(explorer, patches):
    put(explorer, index=4, row=0, column=0, code=3)
    explorer.controls["keep"].click()
    put(explorer, index=5, row=2, column=2, code=1)
    changed = own_codes(patches, 5)
    changed[2, 2] = 1
    assert torch.equal(explorer.codes, changed)


def test_usage_counts_the_cells_of_all_images_and_names_the_dead(explorer, patches):
    indices = patches.encode(TEST.x.float() / 255)
    assert torch.equal(explorer.usage, torch.bincount(indices.flatten(), minlength=K))
    assert explorer.usage[K - 1] == 0
    put(explorer, code=K - 1)
    assert f"O código {K - 1} não é usado em imagem nenhuma" in explorer.caption.value


# A figura


def decoded_at(explorer) -> np.ndarray:
    center = module._PICTURE + module._SIDE / 2, module._TOP + module._SIDE / 2
    return shown_at(explorer, center, module._SIDE, TEST.image_shape)


def test_the_picture_shows_what_the_codes_decode_with_and_without_the_change(explorer):
    put(explorer, index=11, row=1, column=1, code=6)
    shape = TEST.image_shape
    assert np.abs(decoded_at(explorer) - levels_of(explorer.after, shape)).max() <= 2
    for middle, image in ((module._ORIGINAL, TEST.x[11] / 255), (module._UNCHANGED, explorer.before)):
        cell = shown_at(explorer, (middle, module._LINE), module._SMALL, shape)
        assert np.abs(cell - levels_of(image, shape)).max() <= 2


def test_the_chosen_cell_is_filled_in_the_grid(explorer):
    side = module._SIDE / 4
    for row, column in ((0, 0), (3, 1)):
        put(explorer, row=row, column=column)
        filled = painted(explorer, ORANGE, right=module._GRID + module._SIDE, bottom=module._TOP + module._SIDE)
        rows, columns = np.nonzero(filled)
        middle = np.array([rows.min() + rows.max(), columns.min() + columns.max()]) / 4
        assert middle == pytest.approx(
            [module._TOP + (row + 0.5) * side, module._GRID + (column + 0.5) * side], abs=1.5
        )


def test_what_changed_is_outlined_and_nothing_is_when_nothing_changed(explorer):
    area = {"left": module._PICTURE - 4, "top": module._TOP - 4, "bottom": module._TOP + module._SIDE + 4}
    put(explorer, row=1, column=2)
    explorer.controls["original"].click()
    assert not painted(explorer, ORANGE, **area).any()
    put(explorer, code=(explorer.code + 1) % K)
    changed = (explorer.numbers.difference > module._VISIBLE).reshape(8, 8)
    rows, columns = np.nonzero(painted(explorer, ORANGE, **area))
    pixel = module._SIDE / 8
    first, last = np.argwhere(changed.numpy()).min(0), np.argwhere(changed.numpy()).max(0) + 1
    found = [rows.min() / 2 - 4, rows.max() / 2 - 4, columns.min() / 2 - 4, columns.max() / 2 - 4]
    assert found == pytest.approx([pixel * edge for edge in (first[0], last[0], first[1], last[1])], abs=2)


def test_a_dictionary_of_two_dimensions_is_a_map_with_the_chosen_and_the_own_code():
    flat = PatchCodes(TEST, n_codes=K, flat=True)
    explorer = explore_codes(flat.encode, flat.decode, flat.codebook, TEST)
    places = []
    for code in (2, 7):
        put(explorer, code=code)
        area = {"left": module._CHART, "top": module._LINE - module._SMALL // 2}
        assert painted(explorer, BLUE, **area).sum() > 100
        chosen = np.argwhere(painted(explorer, ORANGE, **area))
        places.append(chosen.mean(0))
    assert np.abs(places[0] - places[1]).max() > 2


@pytest.mark.parametrize("n_codes", [3, 40, 300])
def test_any_number_of_codes_and_images_that_are_not_square(n_codes):
    discs = load("discs")
    tiles = PatchCodes(discs, n_codes=n_codes, side=4)
    explorer = explore_codes(tiles.encode, tiles.decode, tiles.codebook, discs)
    assert explorer.codes.shape == (5, 6)
    put(explorer, row=4, column=5, code=n_codes - 1)
    middle = module._PICTURE + module._SIDE / 2, module._TOP + module._SIDE / 2
    cell = shown_at(explorer, middle, module._SIDE, (20, 24))
    different = np.abs(cell - levels_of(explorer.after, (20, 24))) > 2
    assert not different[:16].any()  # embaixo, o contorno passa por cima
    assert repr(explorer) == f"CodesExplorer(5×6 células, {n_codes} códigos, 'discs')"


def test_a_cell_is_chosen_by_hand_in_the_grid_and_in_the_image(explorer):
    side = module._SIDE / 4
    for left, (row, column) in ((module._GRID, (3, 0)), (module._PICTURE, (1, 2)), (module._GRID, (0, 3))):
        point(explorer, left + (column + 0.5) * side, module._TOP + (row + 0.5) * side)
        assert (explorer.row, explorer.column) == (row, column)
    press(explorer, -1, 0)
    press(explorer, -1, 2)
    assert (explorer.row, explorer.column) == (2, 2)
    press(explorer, 9, 2)
    assert (explorer.row, explorer.column) == (2, 3)
    before = explorer.picture.value
    point(explorer, module._ORIGINAL, module._LINE)
    assert explorer.picture.value == before


@pytest.mark.parametrize("flat", [False, True], ids=["bars", "map"])
def test_a_code_is_chosen_by_hand_in_the_chart(flat):
    patches = PatchCodes(TEST, n_codes=K, flat=flat)
    explorer = explore_codes(patches.encode, patches.decode, patches.codebook, TEST)
    panel = explorer._canvas.panel(1)
    for chosen in (3, 8):
        place = explorer.codebook[chosen].double().numpy() if flat else np.array([chosen, 0.5])
        x, y = panel.on_screen(place[:1], place[1:])[0] + np.array(panel.corner) / 2
        point(explorer, x, y)
        assert explorer.code == chosen


def test_a_recording_is_the_kernel(explorer):
    page = dict(explorer.recorded)
    assert set(page) == {"row", "column", "code"}
    assert explorer.controls["code"].value in page["code"]
    assert_recording_is_the_kernel(explorer, row=(0, 2), column=(1, 2), code=page["code"][:3])


# O que ele promete a quem o usa


class Trained(nn.Module):
    """O decodificador dentro de um módulo com dropout."""

    def __init__(self, patches):
        super().__init__()
        self.decode, self.dropout = patches.decode, nn.Dropout(0.5)

    def forward(self, indices):
        return self.dropout(self.decode(indices)) / 2


def test_a_module_left_in_training_mode_is_asked_in_evaluation_mode(patches):
    module_ = Trained(patches)
    explorer = explore_codes(patches.encode, module_, patches.codebook, TEST)
    assert torch.equal(explorer.after, module_.eval()(explorer.codes[None])[0])
    module_.train()
    partial = functools.partial(lambda net, indices: net(indices), module_)
    assert torch.equal(explore_codes(patches.encode, partial, patches.codebook, TEST).after, explorer.after)
    assert module_.training
    with pytest.raises(ValueError, match=r"decode deu duas respostas.*model\.eval\(\)"):
        explore_codes(patches.encode, lambda indices: module_(indices), patches.codebook, TEST)


def test_a_dictionary_that_requires_gradient_serves(patches):
    codebook = nn.Parameter(patches.codebook)
    assert explore_codes(patches.encode, patches.decode, codebook, TEST).code < K


# O que não serve


def test_what_is_not_a_data_set_or_a_dictionary_is_refused(patches):
    arguments = patches.encode, patches.decode
    with pytest.raises(TypeError, match=r"espera um Dataset.*mas veio Tensor"):
        explore_codes(*arguments, patches.codebook, TEST.x)
    with pytest.raises(ValueError, match="não é de imagens em tons de cinza"):
        explore_codes(*arguments, patches.codebook, replace(TEST, image_shape=None))
    with pytest.raises(TypeError, match=r"codebook deve ser um tensor \[K, C\].*mas veio list"):
        explore_codes(*arguments, [[1.0]], TEST)
    with pytest.raises(ValueError, match=r"codebook deve ter forma \[K, C\].*mas veio torch.float32 \(4,\)"):
        explore_codes(*arguments, torch.zeros(4), TEST)
    with pytest.raises(ValueError, match="NaN ou infinito em codebook"):
        explore_codes(*arguments, patches.codebook / 0, TEST)
    with pytest.raises(ValueError, match=r"o dicionário tem K = 4 códigos, de 0 a 3.*transposto"):
        explore_codes(*arguments, patches.codebook.T, TEST)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encode": lambda x: x}, r"índices dos códigos, um tensor int64 \[B, h, w\].*\.reshape"),
        ({"encode": lambda x: x.reshape(-1, 8, 8)}, r"índices inteiros, mas devolveu torch.float32.*argmin"),
        ({"encode": lambda x: None}, "devolveu NoneType"),
        ({"decode": lambda i: torch.zeros(len(i), 1, 8, 8)}, r"D = 64 pixels.*\.flatten\(1\)"),
        ({"decode": lambda i: i.flatten(1)[:, :1].repeat(1, 64) - 3.0}, r"pixels de 0 a 1.*torch\.sigmoid"),
        ({"decode": lambda i: torch.full((len(i), 64), torch.nan)}, "pixels de 0 a 1"),
    ],
    ids=["images", "floats", "nothing", "four_dimensions", "logits", "nan"],
)
def test_functions_of_other_shapes_are_refused(patches, change, message):
    arguments = {"encode": patches.encode, "decode": patches.decode} | change
    with pytest.raises(ValueError, match=message):
        explore_codes(arguments["encode"], arguments["decode"], patches.codebook, TEST)
