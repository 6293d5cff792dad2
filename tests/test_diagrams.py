"""O diagrama da arquitetura: o que diz, a quem vê e a quem ouve, e o que recusa."""

import base64
import itertools
import re
import xml.etree.ElementTree as ElementTree

import pytest
from torch import nn

from vae_lessons import series, style
from vae_lessons.diagrams import reparameterization, series_map, vae_architecture
from vae_lessons.models import mlp_vae
from vae_lessons.series import Lesson
from vae_lessons.style import DECODER, ENCODER, LATENT, LOSS

SVG = "{http://www.w3.org/2000/svg}"


def written(diagram) -> list[str]:
    """Os textos do desenho, da esquerda para a direita."""
    texts = ElementTree.fromstring(diagram.svg).iter(f"{SVG}text")
    in_order = sorted(texts, key=lambda text: float(text.get("x")))
    return ["".join(text.itertext()).replace("\u200b", "") for text in in_order]


@pytest.mark.parametrize("hidden", [(99,), (512, 99)])
def test_layers_are_those_of_the_model_from_left_to_right(hidden):
    model = mlp_vae(784, 7, hidden)
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    widths = [784, *(layer.out_features for layer in layers)]
    heads = widths.index(2 * 7)
    diagram = vae_architecture(data_dim=784, hidden=hidden, latent_dim=7)
    numbers = [int(text) for text in written(diagram) if text.isdigit()]
    assert numbers == [*widths[:heads], 7, 7, *widths[heads + 1 :]]
    assert "Z = 7" in written(diagram)


def test_sampling_and_both_terms_of_the_elbo_are_in_the_picture():
    texts = written(vae_architecture())
    for expected in (
        "Codificador",
        "Espaço latente",
        "Decodificador",
        "μ",
        "log σ²",
        "z = μ + σ ⊙ ε",
        "ε ~ N(0, I)",
        "KL(q(z|x) ‖ p(z))",
        "Eq[log p(x|z)]",
        "ELBO = Eq[log p(x|z)] − KL",
    ):
        assert expected in texts


def test_screen_readers_find_a_title_and_a_description():
    diagram = vae_architecture(data_dim=784, hidden=(256,), latent_dim=3)
    root = ElementTree.fromstring(diagram.svg)
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert root.get("role") == "img"
    assert root.get("aria-labelledby").split() == [title.get("id"), description.get("id")]
    assert title.text == "Arquitetura de um autocodificador variacional (VAE)"
    assert "camadas 784 → 256" in description.text
    assert "com 3 valores cada" in description.text
    assert repr(diagram) == f"{title.text}. {description.text}"


def test_notebook_shows_the_svg_with_its_alternative_text():
    diagram = vae_architecture()
    html = diagram._repr_html_()
    image = re.fullmatch(r'<img alt="([^"]+)" src="data:image/svg\+xml;base64,([^"]+)" style="max-width: 100%">', html)
    assert image[1] == repr(diagram)
    assert base64.b64decode(image[2]).decode() == diagram._repr_svg_() == diagram.svg


def test_picture_is_the_same_every_time():
    assert vae_architecture() == vae_architecture()


def test_picture_needs_nothing_from_outside_and_brings_its_own_background():
    diagram = vae_architecture()
    root = ElementTree.fromstring(diagram.svg)
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        *("svg", "title", "desc", "defs", "marker", "path", "rect", "polygon", "circle", "line", "text", "tspan")
    }
    assert re.findall(r"https?://[^\"]+", diagram.svg) == ["http://www.w3.org/2000/svg"]
    background = root.find(f"{SVG}rect")
    assert (background.get("width"), background.get("height")) == tuple(root.get("viewBox").split()[2:])


@pytest.mark.parametrize("hidden", [(256,), (256, 128), (512, 256, 128, 64)])
def test_everything_is_inside_the_picture(hidden):
    root = ElementTree.fromstring(vae_architecture(hidden=hidden).svg)
    width, height = (float(value) for value in root.get("viewBox").split()[2:])
    for element in root.iter():
        for name, limit in (("x", width), ("x1", width), ("x2", width), ("y", height), ("y1", height), ("y2", height)):
            assert 0 <= float(element.get(name, 0)) <= limit


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": ()}, "ao menos uma camada oculta"),
        ({"hidden": (256, 0)}, "ao menos uma unidade"),
        ({"data_dim": 0}, "ao menos uma unidade"),
        ({"latent_dim": 0}, "latent_dim = 0"),
    ],
)
def test_diagram_refuses_layers_that_do_not_exist(options, message):
    with pytest.raises(ValueError, match=message):
        vae_architecture(**options)


EVERY_DIAGRAM = pytest.mark.parametrize(
    "diagram", [vae_architecture(), reparameterization(), series_map()], ids=["vae", "reparameterization", "series"]
)


@EVERY_DIAGRAM
def test_no_letters_are_too_small_or_too_pale_to_read(diagram):
    """No tamanho do desenho, os índices são os menores; e as cores das letras são as que se leem sobre o branco."""
    texts = list(ElementTree.fromstring(diagram.svg).iter(f"{SVG}text"))
    inside = [part for text in texts for part in text.iter()]
    assert min(float(part.get("font-size", "inf")) for part in inside) >= 12
    assert {text.get("fill") for text in texts} <= {style.INK, style.FAINT, ENCODER, DECODER, LATENT, LOSS}


@EVERY_DIAGRAM
def test_what_is_said_of_a_diagram_has_pauses(diagram):
    """Quem ouve não volta atrás com os olhos: nenhuma frase passa de sessenta palavras."""
    assert max(len(sentence.split()) for sentence in re.split(r"[.?] ", diagram.alt)) <= 60


# O sorteio, com e sem reparametrização


def gradient_arrows(diagram) -> list[tuple[float, ...]]:
    """As setas tracejadas da volta, fora a da legenda: (x1, y1, x2, y2)."""
    lines = ElementTree.fromstring(diagram.svg).iter(f"{SVG}line")
    arrows = [line for line in lines if line.get("marker-end") == "url(#loss)"]
    ends = [tuple(float(arrow.get(name)) for name in ("x1", "y1", "x2", "y2")) for arrow in arrows]
    return sorted(ends, key=lambda end: end[1])[:-1]


def test_the_gradient_reaches_the_encoder_only_when_sampling_is_reparameterized():
    diagram = reparameterization()
    encoders = ElementTree.fromstring(diagram.svg).iter(f"{SVG}polygon")
    right_edges = [max(float(p.split(",")[0]) for p in e.get("points").split()) for e in encoders]
    arrows = gradient_arrows(diagram)
    direct, reparameterized = arrows[:2], arrows[2:]
    assert all(x2 < x1 for x1, _, x2, _ in arrows)
    assert len(reparameterized) == 5
    assert min(x2 for *_, x2, _ in direct) > right_edges[0] + 200
    assert [abs(x2 - right_edges[1]) < 6 for *_, x2, _ in reparameterized].count(True) == 2


def test_the_sampling_flow_says_what_each_path_multiplies_by():
    texts = written(reparameterization())
    for expected in ("z ~ N(μ, σ²)", "z = μ + σ ⊙ ε", "ε ~ N(0, I)", "∂z/∂μ = 1", "∂z/∂σ = ε", "amostra de q(z|x)"):
        assert expected in texts
    assert [texts.count(name) for name in ("μ", "σ", "z", "ε", "∂f/∂z")] == [2, 2, 2, 1, 2]


def test_the_sampling_flow_is_described_and_stays_inside_the_picture():
    diagram = reparameterization()
    root = ElementTree.fromstring(diagram.svg)
    assert repr(diagram) == f"{root.find(f'{SVG}title').text}. {root.find(f'{SVG}desc').text}"
    width, height = (float(value) for value in root.get("viewBox").split()[2:])
    for element in root.iter():
        for name, limit in (("x", width), ("x1", width), ("x2", width), ("y", height), ("y1", height), ("y2", height)):
            assert 0 <= float(element.get(name, 0)) <= limit


# O mapa da série

# A série como será, com mais lições do que há: o que o mapa tem de caber.
COMPLETE = (
    *series.LESSONS,
    *(
        Lesson(
            n,
            f"{n}_x.ipynb",
            f"Um título de tamanho {n}",
            "E se a pergunta for longa?",
            ("02", "03"),
            ("04",),
            (60, 80),
        )
        for n in series.COMING
    ),
)
EVERY_MAP = pytest.mark.parametrize(
    "diagram", [series_map(), series_map(COMPLETE, {})], ids=["lessons_that_exist", "complete"]
)


def numbers_of(element, *names) -> tuple[float, ...]:
    return tuple(float(element.get(name, 0)) for name in names)


def boxes(root) -> dict[str, tuple[float, float, float, float]]:
    """Número da lição → (esquerda, topo, direita, base) da caixa em que está escrito."""
    corners = [numbers_of(rect, "x", "y", "width", "height") for rect in root.iter(f"{SVG}rect")]
    edges = [(x, y, x + w, y + h) for x, y, w, h in corners if 150 < w < 300]
    found = {}
    for text in root.iter(f"{SVG}text"):
        (x, y), number = numbers_of(text, "x", "y"), "".join(text.itertext())
        inside = [edge for edge in edges if edge[0] < x < edge[2] and edge[1] < y < edge[3]]
        if re.fullmatch(r"\d\d", number) and inside:
            found[number] = inside[0]
    return found


def arrows(root) -> list[tuple[bool, list[tuple[float, float]]]]:
    """As setas do mapa: se é tracejada, e os pontos por onde passa."""
    found = []
    for line in root.iter(f"{SVG}line"):
        x1, y1, x2, y2 = numbers_of(line, "x1", "y1", "x2", "y2")
        found.append((bool(line.get("stroke-dasharray")), [(x1, y1), (x2, y2)]))
    for path in root.iter(f"{SVG}path"):
        if path.get("marker-end"):
            points = [tuple(map(float, point.split(","))) for point in re.findall(r"[\d.]+,[\d.]+", path.get("d"))]
            found.append((bool(path.get("stroke-dasharray")), points))
    return found


def near(point, places) -> list[str]:
    (x, y) = point
    return [n for n, (left, top, right, low) in places.items() if left - 6 < x < right + 6 and top - 6 < y < low + 6]


def lines_in(root, box) -> list[str]:
    """O que está escrito numa caixa, de cima para baixo."""
    left, top, right, low = box
    texts = [(numbers_of(text, "x", "y"), "".join(text.itertext())) for text in root.iter(f"{SVG}text")]
    return [words for (x, y), words in sorted(texts, key=lambda t: t[0][1]) if left < x < right and top < y < low]


@EVERY_MAP
def test_every_lesson_has_its_box_and_no_two_overlap(diagram):
    places = boxes(ElementTree.fromstring(diagram.svg))
    assert sorted(places) == [lesson.number for lesson in COMPLETE]
    for one, other in itertools.combinations(places.values(), 2):
        assert one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]


@EVERY_MAP
def test_inside_the_base_the_arrows_are_the_dependencies(diagram):
    root = ElementTree.fromstring(diagram.svg)
    places = boxes(root)
    base = [lesson for lesson in series.LESSONS if lesson.number <= "03"]
    found = {True: set(), False: set()}
    for dashed, points in arrows(root):
        ends = (*near(points[0], places), *near(points[-1], places))
        if len(ends) == 2:
            found[dashed].add(ends)
    assert found[False] == {(before, lesson.number) for lesson in base for before in lesson.needs}
    assert found[True] == {(before, lesson.number) for lesson in base for before in lesson.helped_by}


@EVERY_MAP
def test_no_arrow_crosses_a_box(diagram):
    root = ElementTree.fromstring(diagram.svg)
    places = boxes(root).values()
    for _, points in arrows(root):
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            for left, top, right, low in places:
                for t in (k / 50 for k in range(51)):
                    x, y = x0 + t * (x1 - x0), y0 + t * (y1 - y0)
                    assert not (left < x < right and top < y < low)


def test_every_lesson_after_the_base_needs_the_vae_as_the_map_says():
    texts = written(series_map())
    assert "todas as de baixo pedem a 03" in texts
    assert all("03" in lesson.needs for lesson in series.LESSONS if lesson.number > "03")


@EVERY_MAP
def test_what_else_a_lesson_needs_is_written_in_its_box(diagram):
    root = ElementTree.fromstring(diagram.svg)
    places = boxes(root)
    existing = series.LESSONS if "Em preparação" in repr(diagram) or not series.COMING else COMPLETE
    for lesson in existing:
        if lesson.number > "03":
            last = lines_in(root, places[lesson.number])[-1]
            told = {
                kind: set(re.findall(r"\d\d", last.partition(kind)[2].partition("·")[0])) for kind in ("pede", "convém")
            }
            assert told == {"pede": set(lesson.needs) - {"03"}, "convém": set(lesson.helped_by)}


@EVERY_MAP
def test_what_is_written_in_a_box_fits_in_it(diagram):
    """Com letras largas, de 0,6 do tamanho em média (0,66 as grossas), e sem uma linha sobre a outra."""
    root = ElementTree.fromstring(diagram.svg)
    for left, top, right, low in boxes(root).values():
        heights = []
        for text in root.iter(f"{SVG}text"):
            (x, y, size), words = numbers_of(text, "x", "y", "font-size"), "".join(text.itertext())
            if left < x < right and top < y < low:
                wide = size * len(words) * (0.66 if text.get("font-weight") == "bold" else 0.6)
                assert wide <= right - left + 4, words
                heights += [y] if not text.get("text-anchor") else []
        assert all(after - before >= 14 for before, after in itertools.pairwise(sorted(heights)))
        assert max(heights) <= low - 7


def test_the_map_says_every_lesson_its_minutes_and_those_to_come():
    diagram = series_map()
    texts, root = written(diagram), ElementTree.fromstring(diagram.svg)
    places = boxes(root)
    for lesson in series.LESSONS:
        inside = " ".join(lines_in(root, places[lesson.number]))
        assert f"{lesson.minutes[0]} min" in texts
        assert lesson.title in inside
        assert lesson.question in inside
        assert f"{lesson.number}, {lesson.title}" in repr(diagram)
    for number, title in series.COMING.items():
        inside = " ".join(lines_in(root, places[number]))
        assert title in inside
        assert "em preparação" in inside
        assert f"{number}, {title}" in repr(diagram).split("Em preparação:")[1]


def test_a_series_that_is_complete_has_nothing_in_preparation():
    assert "preparação" not in series_map(COMPLETE, {}).svg


@EVERY_MAP
def test_the_map_is_described_and_stays_inside_the_picture(diagram):
    root = ElementTree.fromstring(diagram.svg)
    assert repr(diagram) == f"{root.find(f'{SVG}title').text}. {root.find(f'{SVG}desc').text}"
    width, height = (float(value) for value in root.get("viewBox").split()[2:])
    for element in root.iter():
        for name, limit in (("x", width), ("x1", width), ("x2", width), ("y", height), ("y1", height), ("y2", height)):
            assert 0 <= float(element.get(name, 0)) <= limit
