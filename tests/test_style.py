"""O estilo das figuras: números como se escrevem em português, identidades que fecham, cores que se distinguem."""

import ast
import itertools
import random
import re
from decimal import Decimal
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from sight import SIGHTS, cielab, contrast, distances, linear_rgb

from vae_lessons import plotting, style
from vae_lessons.style import decimal_commas, latent_name, mix, number, round_sum, significant, subscript


@pytest.mark.parametrize(
    ("value", "decimals", "written"),
    [
        (1.5, 2, "1,50"),
        (-2.63, 3, "−2,630"),
        (-0.0004, 3, "0,000"),
        (7, 0, "7"),
        (0.25, None, "0,25"),
        (-8.0, None, "−8"),
        (-0.0, None, "0"),
        (60000, None, "60000"),
        (1.5e-7, None, "1,5·10⁻⁷"),
        (2e6, None, "2·10⁶"),
        (float("inf"), 2, "∞"),
        (float("-inf"), None, "−∞"),
        (float("nan"), 2, "não é número"),
        (torch.tensor(-0.5, dtype=torch.float64), 1, "−0,5"),
        (np.float32(0.5), 1, "0,5"),
    ],
)
def test_numbers_have_a_decimal_comma_and_a_true_minus(value, decimals, written):
    assert number(value, decimals) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.19, "0,19 nat"), (1.996, "2,00 nats"), (1.99, "1,99 nat"), (7.15, "7,15 nats"), (-24.7, "−24,70 nats")],
)
def test_the_unit_is_plural_from_two_on(value, written):
    assert style.nats(value, 2) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (0.5, "0,500"),
        (-12, "−12,0"),
        (1244.0, "1240"),
        (9.996, "10,0"),
        (0.0009996, "0,00100"),
        (999.7, "1000"),
    ],
)
def test_three_significant_figures(value, written):
    assert significant(value) == written


def printed(value: float, decimals: int) -> Decimal:
    return Decimal(number(value, decimals).replace("−", "-").replace(",", "."))


def test_the_identity_of_the_elbo_holds_as_printed():
    total, elbo, kl = round_sum(-2.6303, 0.6926, decimals=3)
    assert [number(value, 3) for value in (total, elbo, kl)] == ["−1,938", "−2,630", "0,692"]
    assert number(-2.6303 + 0.6926, 3) == "−1,938"
    assert number(0.6926, 3) == "0,693"


@pytest.mark.parametrize("decimals", [0, 1, 2, 3])
def test_rounded_parts_add_up_and_none_moves_a_whole_unit(decimals):
    draw = random.Random(decimals)
    for count, scale in itertools.product((1, 2, 3, 10), (0.01, 1.0, 300.0)):
        for _ in range(100):
            parts = [draw.gauss(0, scale) for _ in range(count)]
            total, *rounded = round_sum(*parts, decimals=decimals)
            assert printed(total, decimals) == sum(printed(part, decimals) for part in rounded)
            assert total == pytest.approx(sum(parts), abs=0.5001 * 10**-decimals)
            assert all(abs(a - b) < 1.0001 * 10**-decimals for a, b in zip(parts, rounded, strict=True))


def test_parts_that_are_already_round_stay_as_they_are():
    assert round_sum(0.25, -1.5, decimals=2) == (-1.25, 0.25, -1.5)
    assert round_sum(float("-inf"), 1.234, decimals=1) == (float("-inf"), float("-inf"), 1.234)


def test_probabilities_rounded_together_add_up_to_one():
    _, *shown = round_sum(1 / 3, 1 / 3, 1 / 3, decimals=2)
    assert sorted(shown) == [0.33, 0.33, 0.34]


def test_latents_are_counted_from_one_on_the_screen():
    assert [latent_name(0), latent_name(11), subscript("q-1")] == ["z₁", "z₁₂", "q₋₁"]


def ticks(ax) -> list[str]:
    ax.figure.canvas.draw()
    return [label.get_text() for axis in (ax.xaxis, ax.yaxis) for label in axis.get_ticklabels() if label.get_text()]


def test_every_axis_nobody_formatted_gets_commas_color_bars_too():
    fig, ax = plt.subplots()
    bar = fig.colorbar(ax.imshow([[0.0, 0.3]]))
    ax.plot([-0.5, 0.5], [0, 1])
    twin = ax.twinx()
    twin.plot([0, 1], [0.25, 0.3])
    decimal_commas(fig)
    decimal_commas(fig)
    for axes in (ax, bar.ax, twin):
        assert "," in "".join(ticks(axes))
        assert "." not in "".join(ticks(axes))
    assert "−0,5" in "".join(ticks(ax))
    plt.close(fig)


def test_large_and_small_numbers_are_written_in_full():
    fig = Figure()
    ax = fig.subplots()
    ax.plot([0, 5e6], [0, 2e-7])
    decimal_commas(fig)
    assert "4000000" in ticks(ax)
    assert "0,0000002" in [label.rstrip("0") for label in ticks(ax)]


def test_labels_given_by_hand_and_logarithmic_axes_stay():
    fig = Figure()
    left, right = fig.subplots(1, 2)
    left.set_xticks([0, 1], ["nunca", "sempre"])
    right.plot([1, 1000], [1, 10])
    right.set_xscale("log")
    decimal_commas(fig)
    assert ticks(left)[:2] == ["nunca", "sempre"]
    assert r"10^{2}" in "".join(ticks(right))


def test_a_picture_without_alternative_text_is_refused():
    with pytest.raises(ValueError, match="Falta o texto alternativo"):
        style.image_tag(b"", "  ")
    data, metadata = style.mimebundle(b"png", 'x < "y"')
    assert 'alt="x &lt; &quot;y&quot;"' in data["text/html"]
    assert data["text/plain"] == 'x < "y"'
    assert metadata == {"image/png": {"alt": 'x < "y"'}}


def luminance(color: str) -> float:
    """A luminância relativa da WCAG 2."""
    channels = [channel / 255 for channel in bytes.fromhex(color[1:])]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize(("colors", "least"), [("BLUE GREEN BROWN RED INK GREY FAINT", 4.5), ("ORANGE", 3.0)])
def test_letters_are_legible_on_white(colors, least):
    """4,5 para 1 é o que a WCAG pede de letras; 3 para 1, de letras grandes, de linhas e de barras."""
    for name in colors.split():
        assert 1.05 / (luminance(getattr(style, name)) + 0.05) >= least, name


def test_letters_of_a_table_are_legible_in_every_cell():
    ax = Figure().subplots()
    plotting.draw_heatmap(ax, torch.linspace(0.01, 1, 100)[None], rows=["a"], columns=["b"] * 100)
    picture = ax.images[0]
    for cell, text in zip(picture.get_array()[0], ax.texts, strict=True):
        colors = to_hex(picture.to_rgba(cell)), to_hex(text.get_color())
        darker, lighter = sorted(luminance(color) + 0.05 for color in colors)
        assert lighter / darker >= 4.5, cell


def test_lines_differ_in_dashes_as_well_as_in_color():
    colors, dashes = zip(*style.LINES, strict=True)
    assert len(set(colors)) == len(set(dashes)) == len(style.LINES)


@pytest.mark.parametrize("sight", SIGHTS)
def test_no_two_of_ten_classes_look_alike(sight):
    """As dez usuais do matplotlib chegam a 5. Na tritanopia, raríssima, quem distingue mais é a forma."""
    apart = distances(style.CLASS_COLORS, sight)
    assert apart[np.triu_indices(10, 1)].min() > (7 if sight == "tritanopia" else 30)
    assert min(apart[a, b] for a, b in itertools.combinations(range(10), 2) if a % 5 == b % 5) > 25  # a mesma forma


@pytest.mark.parametrize("sight", SIGHTS)
def test_lines_that_are_compared_differ_in_color_and_always_in_dashes(sight):
    colors, dashes = zip(*style.LINES, strict=True)
    assert len(set(dashes)) == len(style.LINES)
    assert distances(colors, sight)[np.triu_indices(len(colors), 1)].min() > 10


@pytest.mark.parametrize("sight", SIGHTS)
def test_a_larger_quantity_is_darker_whoever_sees_it(sight):
    ramp = matplotlib.colormaps[style.SEQUENTIAL](np.linspace(0, 1, 64))[:, :3]
    lightness = cielab(linear_rgb([to_hex(color) for color in ramp]) @ SIGHTS[sight].T)[:, 0]
    assert (np.diff(lightness) < 0).all()


@pytest.mark.parametrize("name", ["BLUE", "ORANGE", "GREEN", "BROWN", "RED", "BLACK", "INK", "GREY", "FAINT"])
def test_letters_can_be_read_on_white(name):
    assert contrast(getattr(style, name)) >= 4.5


@pytest.mark.parametrize("name", ["PINK", "SKY", "SILVER", "FRAME", "RIGHT", "WRONG", "BLANK"])
def test_lines_and_marks_can_be_seen_on_white(name):
    assert round(contrast(getattr(style, name)), 2) >= 3


def test_contrast_is_that_of_the_guidelines():
    assert contrast("#000000") == pytest.approx(21)
    assert contrast("#767676") == pytest.approx(4.54, abs=0.005)
    assert contrast("#ffffff", "#ffffff") == 1


LETTERS = re.compile(r"text|annotate|write_outlined|set_(x|y)?label|set_title|tick_params")
PALE = {"PINK", "YELLOW", "SKY", "SILVER", "MIST", "FRAME", "DATA", "RIGHT", "WRONG", "BLANK"}


@pytest.mark.parametrize("folder", ["drawings", "explore", "."])
def test_no_letters_are_in_a_color_too_pale_to_read(folder):
    """As cores que cada chamada que escreve recebe, pelo nome que têm em style."""
    found = []
    for path in sorted((Path(style.__file__).parent / folder).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and LETTERS.search(ast.unparse(node.func).rpartition(".")[2]):
                names = {n.attr if isinstance(n, ast.Attribute) else getattr(n, "id", "") for n in ast.walk(node)}
                found += [(path.name, node.lineno, names & PALE)] * bool(names & PALE)
    assert found == []


def test_ten_classes_have_ten_looks_and_more_repeat_them():
    looks = [style.class_look(label) for label in range(10)]
    assert len(set(looks)) == 10
    assert style.class_look(13) == looks[3]
    assert len({marker for _, marker in looks}) == 5


def test_mixing_goes_from_one_color_to_the_other():
    assert mix("#0072B2", "#FFFFFF", 0.0) == "#0072b2"
    assert mix("#000000", "#ffffff", 0.5) == "#808080"
    assert mix("#0072B2", "#ffffff", 1.0) == "#ffffff"


# As lições usam o estilo do pacote, e não um seu.

LESSONS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))


def code_cells(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def imports(cell: str) -> list[str]:
    """Os pacotes que a célula importa, na ordem."""
    names = []
    for node in ast.walk(ast.parse(cell)):
        if isinstance(node, ast.Import):
            names += [(node.lineno, alias.name.split(".")[0]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append((node.lineno, node.module.split(".")[0]))
    return [name for _, name in sorted(names)]


def formats(cell: str) -> list[str]:
    """Os números que uma f-string escreveria com ponto, fora de um print: o que o Python imprime fica como é."""
    tree = ast.parse(cell)
    prints = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"]
    printed = {inside for node in prints for inside in ast.walk(node)}
    values = (node for node in ast.walk(tree) if isinstance(node, ast.FormattedValue) and node not in printed)
    specs = [node.format_spec for node in values]
    written = [ast.unparse(spec) for spec in specs if spec is not None]
    return [spec for spec in written if re.search(r"[efg%]\b", spec)]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lesson_takes_colors_and_decimal_commas_from_the_package(path):
    cells = code_cells(path)
    assert len(re.findall(r"#[0-9a-fA-F]{6}\b|tab:\w+", "\n".join(cells))) <= 3
    assert not [cell for cell in cells if re.search(r"""replace\(["']\.["'], *["'],["']\)""", cell)]
    figures = [cell for cell in cells if "plotting.show(" in cell]
    assert not [cell for cell in figures if formats(cell)]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lesson_imports_the_package_before_torch(path):
    """O pacote escolhe como as threads do OpenMP esperam, o que se lê uma vez só, quando o torch é carregado."""
    order = [name for cell in code_cells(path) for name in imports(cell) if name in ("vae_lessons", "torch")]
    assert not order or order[0] == "vae_lessons"
