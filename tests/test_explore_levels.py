"""O explorador da hierarquia contra as chamadas diretas e contra uma cadeia linear, de que se sabe a variância."""

import numpy as np
import pytest
import torch
from toys_explore import Chain, assert_recording_is_the_kernel, levels_of, painted, point, press, shown_at

from vae_lessons.explore import explore_levels
from vae_lessons.explore import levels as module
from vae_lessons.style import BLUE, ORANGE

SIZES, SHAPE = [2, 3], (4, 6)


@pytest.fixture
def chain():
    return Chain(SIZES, n_pixels=24)


@pytest.fixture
def explorer(chain):
    return explore_levels(chain.sample_below, SIZES, SHAPE)


def put(explorer, **values):
    for name, value in values.items():
        explorer.controls[name].value = value


def recording_calls(chain):
    """A mesma função, e a lista do que lhe pediram."""
    asked = []

    def sample_below(latents, generator):
        asked.append([None if given is None else given.clone() for given in latents])
        return chain.sample_below(latents, generator)

    return sample_below, asked


# Os números


def test_what_is_fixed_is_the_same_in_every_picture_and_the_rest_is_drawn(chain):
    sample_below, asked = recording_calls(chain)
    explorer = explore_levels(sample_below, SIZES, SHAPE)
    asked.clear()
    put(explorer, fixed=1, z0_1=0.7)
    alike = [top for top, below in asked if below is None and len(top) > 1 and (top == top[0]).all()]
    assert len(alike) == 1
    assert alike[0][0, 1] == pytest.approx(0.7)
    assert torch.equal(explorer.latents[0], alike[0][0])
    assert len(explorer.latents) == 1
    assert len(explorer.pictures.unique(dim=0)) == 12


def test_with_everything_fixed_all_pictures_are_one(explorer, chain):
    put(explorer, fixed=2)
    expected = torch.sigmoid(explorer.latents[1] @ chain.weights[-1])
    torch.testing.assert_close(explorer.pictures, expected.expand(12, -1))
    assert explorer.spreads[2] == pytest.approx(0, abs=1e-6)


def test_what_still_varies_shrinks_as_levels_are_fixed(explorer):
    assert (explorer.spreads.diff() < 0).all()
    torch.testing.assert_close(explorer.spreads, explorer.deviations.mean(1))


def test_the_deviation_is_that_of_the_chain():
    """Com ruído pequeno, a sigmoide é uma reta: o desvio é o da normal vezes a derivada."""
    chain = Chain([2, 3], n_pixels=24, noise=0.01)
    explorer = explore_levels(chain.sample_below, [2, 3], SHAPE)
    mean = torch.sigmoid(explorer.latents[0] @ chain.weights[0] @ chain.weights[1])
    expected = 0.01 * chain.weights[1].norm(dim=0) * mean * (1 - mean)
    ratio = explorer.deviations[1] / expected
    assert ratio.mean() == pytest.approx(1, abs=4 / (2 * 48) ** 0.5)


def test_a_slider_moves_its_coordinate_alone_and_keeps_the_noise(explorer):
    put(explorer, fixed=2)
    before = [values.clone() for values in explorer.latents]
    name = next(name for name in explorer.controls if name.startswith("z1"))
    dim = int(name.split("_")[1])
    put(explorer, **{name: before[1][dim].item() + 0.5})
    assert torch.equal(explorer.latents[0], before[0])
    moved = explorer.latents[1] - before[1]
    assert moved[dim] == pytest.approx(0.5, abs=1e-5)
    assert moved.abs().sum() == pytest.approx(0.5, abs=1e-5)


def test_small_moves_make_small_changes(explorer):
    put(explorer, fixed=1)
    before = explorer.pictures
    put(explorer, z0_0=explorer.controls["z0_0"].value + 0.01)
    assert 0 < (explorer.pictures - before).abs().max() < 0.05


def test_drawing_again_changes_what_is_below_and_not_what_is_fixed(explorer):
    held, before = explorer.latents[0].clone(), explorer.pictures
    explorer.controls["again"].click()
    assert torch.equal(explorer.latents[0], held)
    assert not torch.equal(explorer.pictures, before)


def test_another_reference_takes_the_sliders_with_it(explorer):
    put(explorer, fixed=2)
    before = [values.clone() for values in explorer.latents]
    explorer.controls["reference"].click()
    for level, values in enumerate(explorer.latents):
        assert not torch.equal(values, before[level])
        for dim in explorer._coordinates[level]:
            assert explorer.controls[f"z{level}_{dim}"].value == pytest.approx(values[dim].item(), abs=1e-5)


def test_the_sliders_are_of_the_coordinates_that_most_change_the_image():
    chain = Chain([4, 3], n_pixels=24, noise=0.05)
    chain.weights[0][1] = chain.weights[0][2] = 0
    explorer = explore_levels(chain.sample_below, [4, 3], SHAPE)
    assert explorer._coordinates[0] == [0, 3]


def test_only_the_sliders_of_fixed_levels_are_on_the_screen(explorer):
    for fixed in (0, 1, 2):
        put(explorer, fixed=fixed)
        for name in explorer.inputs[1:]:
            hidden = explorer.controls[name].layout.display == "none"
            assert hidden == (int(name[1]) >= fixed)


# A figura


def test_the_picture_shows_the_twelve_images(explorer):
    for i in (0, 5, 11):
        line, place = divmod(i, 4)
        center = 8 + (place + 0.5) * module._PITCH, module._TOP + (line + 0.5) * module._PITCH
        cell = shown_at(explorer, center, module._SIDE, SHAPE)
        assert np.abs(cell - levels_of(explorer.pictures[i], SHAPE)).max() <= 2


def test_bars_are_as_long_as_the_deviations(explorer):
    put(explorer, fixed=1)
    pitch = explorer._summary_pitch
    lengths = []
    for fixed in range(3):
        put(explorer, fixed=fixed)
        middle = round(module._TOP + (fixed + 0.5) * pitch + 9)
        area = {"left": module._RIGHT + module._MAP + 12, "top": middle, "bottom": middle + 1}
        columns = np.flatnonzero(painted(explorer, ORANGE, right=module._RIGHT + module._MAP + 90, **area)[0])
        lengths.append(len(columns))
    # o número, na mesma altura, começa depois da barra
    assert lengths[0] > lengths[1] > lengths[2]


def test_fixed_levels_are_full_and_drawn_ones_are_rings(explorer):
    for fixed in (0, 1, 2):
        put(explorer, fixed=fixed)
        for level in range(2):
            x = round(explorer._place(level))
            area = {"left": x - 17, "right": x + 17, "top": module._CHAIN - 17, "bottom": module._CHAIN + 17}
            full, ring = painted(explorer, ORANGE, **area).mean(), painted(explorer, BLUE, **area).mean()
            assert (full > 0.4) == (level < fixed)
            assert (0.05 < ring < 0.4) == (level >= fixed)


def test_levels_are_fixed_by_hand(explorer):
    for fixed in (2, 0, 1):
        point(explorer, module._RIGHT + 20, module._TOP + (fixed + 0.5) * explorer._summary_pitch)
        assert explorer.fixed == fixed
    for level in (1, 0):
        point(explorer, explorer._place(level), module._CHAIN)
        assert explorer.fixed == level + 1
    press(explorer, 0, 1)
    assert explorer.fixed == 2
    press(explorer, 5, 1)
    assert explorer.fixed == 2
    press(explorer, 5, -9)
    assert explorer.fixed == 0


@pytest.mark.parametrize("sizes", [[1], [2], [1, 1], [2, 3, 4], [2, 2, 2, 2, 2, 2]], ids=str)
def test_any_number_of_levels(sizes):
    chain = Chain(sizes, n_pixels=24)
    explorer = explore_levels(chain.sample_below, sizes, SHAPE)
    for fixed in range(len(sizes) + 1):
        put(explorer, fixed=fixed)
        assert len(explorer.latents) == fixed
    assert f"{len(sizes)} níveis" in repr(explorer) or "1 nível" in repr(explorer)
    assert "tudo fixo" in explorer.describe(explorer.numbers)


def test_a_recording_is_the_kernel(explorer):
    page = dict(explorer.recorded)
    (top,) = [name for name in page if name.startswith("z0")]
    assert_recording_is_the_kernel(explorer, fixed=(0, 1), **{top: page[top][:2]})


# O que não serve


@pytest.mark.parametrize(
    ("sizes", "shape", "message"),
    [
        ([], SHAPE, r"latent_dims deve ter o Z de cada nível.*mas veio \[\]"),
        ([2, 0], SHAPE, "latent_dims deve ter o Z de cada nível"),
        ([2, 4], SHAPE, r"formas \[\(3, 2\), \(3, 4\)\].*mas vieram \[\(3, 2\), \(3, 3\)\]"),
        ([2, 3], (5, 5), r"D = 5·5 = 25, mas para n = 3 devolveu \(3, 24\).*\.flatten\(1\)"),
        ([2, 3], 24, r"image_shape deve ser \(altura, largura\), mas veio 24"),
    ],
    ids=["none", "zero", "sizes", "pixels", "shape"],
)
def test_sizes_that_are_not_those_of_the_model_are_refused(chain, sizes, shape, message):
    with pytest.raises(ValueError, match=message):
        explore_levels(chain.sample_below, sizes, shape)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda latents, pictures: pictures, r"deve devolver o par \(latents, pictures\), mas devolveu Tensor"),
        (lambda latents, pictures: (latents[::-1], pictures), "um tensor \\[n, Z\\] por nível, do topo para baixo"),
        (lambda latents, pictures: (latents, 9 * pictures), r"pixels de 0 a 1.*torch\.sigmoid"),
        (lambda latents, pictures: (latents, pictures * torch.nan), "pixels de 0 a 1"),
        (lambda latents, pictures: ([latents[0] + 1, latents[1]], pictures), "o topo voltou diferente"),
        (lambda latents, pictures: (latents, pictures * torch.rand(())), r"duas respostas diferentes.*`generator`"),
    ],
    ids=["no_pair", "upside_down", "logits", "nan", "changed", "random"],
)
def test_functions_that_answer_otherwise_are_refused(chain, change, message):
    with pytest.raises(ValueError, match=message):
        explore_levels(lambda *asked: change(*chain.sample_below(*asked)), SIZES, SHAPE)


def test_what_cannot_be_called_is_refused():
    with pytest.raises(TypeError, match=r"sample_below deve ser uma função.*mas veio list"):
        explore_levels([], SIZES, SHAPE)
