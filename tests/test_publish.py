"""O site das lições: o que as páginas dizem, o que levam e o que nunca apagam."""

import importlib.util
import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

pytest.importorskip("myst_nb", reason='falta o myst-nb: instale o pacote com pip install -e ".[page]"')
pytest.importorskip("furo", reason='falta o furo: instale o pacote com pip install -e ".[page]"')
pytest.importorskip("quickjs", reason='falta o quickjs-ng: instale o pacote com pip install -e ".[page]"')

import pages
from ipywidgets import Button, IntSlider
from PIL import Image
from toys_explore import EXPLORERS

from vae_lessons.explore import base, explore_elbo, explore_gradients, explore_gumbel
from vae_lessons.publish import __main__ as program
from vae_lessons.publish import live, recording
from vae_lessons.publish.formulas import FormulaError, to_html
from vae_lessons.publish.lessons import prepare
from vae_lessons.publish.links import Repository
from vae_lessons.publish.site import SiteError, oversized, publish

LESSONS = sorted(Path(__file__).parent.parent.joinpath("notebooks").glob("*.ipynb"))
pytestmark = pytest.mark.filterwarnings("default")  # as do Sphinx e do docutils não são nossas


@pytest.fixture(scope="module")
def site():
    return pages.toy_site()


@pytest.fixture(scope="module")
def page(site):
    return (site / "00_comeco.html").read_text(encoding="utf-8")


class Elements(HTMLParser):
    """Os elementos de uma página: [(nome, atributos), ...]."""

    def __init__(self, text: str):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


# As páginas


@pytest.mark.parametrize("make", [pages.toy_site, pages.stored_site, pages.gallery])
def test_every_link_inside_a_site_leads_somewhere(make):
    site, broken = make(), []
    for path in site.glob("*.html"):
        for attributes in Elements(path.read_text(encoding="utf-8")).all("a"):
            href = attributes.get("href", "")
            if re.match(r"https?:|mailto:", href) or href in ("", "#"):
                continue
            name, _, anchor = href.partition("#")
            target = site / name if name else path
            text = target.read_text(encoding="utf-8") if target.is_file() else None
            if text is None or (anchor and f'id="{anchor}"' not in text):
                broken.append((path.name, href))
    assert broken == []


def test_a_link_to_a_section_of_another_lesson_becomes_a_link_between_pages(page):
    assert re.search(r'href="01_fim\.html#ruido-e-sinal"', page)


def test_a_link_to_a_lesson_that_is_not_there_keeps_only_its_words(page):
    assert "a lição 99" in page
    assert "99_futura" not in page


def test_code_in_a_solution_is_not_taken_for_a_link(page):
    assert "answer = steps[1](x.mean)" in re.sub(r"<[^>]+>", "", page)


def test_nothing_is_fetched_from_another_host(site):
    fetched = []
    for path in site.glob("*.html"):
        elements = Elements(path.read_text(encoding="utf-8"))
        fetched += [a["src"] for tag in ("img", "script", "iframe") for a in elements.all(tag) if "src" in a]
        fetched += [a["href"] for a in elements.all("link") if a.get("rel") not in ("canonical",)]
    assert fetched
    assert [url for url in fetched if re.match(r"(https?:)?//", url)] == []
    for path in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//", path.read_text(encoding="utf-8")), path


def test_every_file_a_page_asks_for_is_there(site):
    for path in site.glob("*.html"):
        elements = Elements(path.read_text(encoding="utf-8"))
        asked = [a["src"] for tag in ("img", "script") for a in elements.all(tag) if "src" in a]
        asked += [a["href"] for a in elements.all("link") if a.get("rel") == "stylesheet"]
        local = [url.partition("?")[0] for url in asked if not url.startswith("data:")]
        assert [url for url in local if not (site / url).is_file()] == [], path.name


def test_formulas_are_already_html_and_also_mathml(page):
    assert page.count('class="katex"') >= 4
    assert "<math" in page
    assert "\\odot" not in re.sub(r"<annotation.*?</annotation>", "", page)


def test_figures_carry_their_alternative_text(page):
    images = {image["alt"] for image in Elements(page).all("img")}
    assert pages.ALT in images
    assert any("τ = 1,00" in alt for alt in images)
    assert "" not in images


def test_solutions_are_collapsed_and_guards_do_not_appear(page):
    assert "guarda escondida" not in page
    details = [attributes for attributes in Elements(page).all("details") if "open" not in attributes]
    assert len(details) == len(Elements(page).all("details")) >= 2
    assert "<summary>Solução</summary>" in page


def test_an_exercise_says_where_to_do_it(page):
    assert "⏳" not in re.sub(r"<pre.*?</pre>", "", page, flags=re.DOTALL)
    assert 'href="index.html#fazer-os-exercicios"' in page


def test_the_theme_speaks_portuguese(site):
    english = ("Toggle", "Skip to", "Back to top", "On this page", "Contents", "Search", "Next", "Previous", "Home")
    for path in site.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert Elements(text).all("html")[0]["lang"] == "pt-BR"
        said = re.findall(r'(?:aria-label|title|placeholder)="([^"]*)"', text)
        said += re.findall(r">\s*([^<>]+?)\s*<", re.sub(r"<(script|style|pre)\b.*?</\1>", "", text, flags=re.DOTALL))
        assert [words for words in said if words.startswith(english)] == [], path.name


def test_headings_are_nested(site):
    for path in site.glob("*.html"):
        levels = [
            int(tag[1]) for tag, _ in Elements(path.read_text(encoding="utf-8")).found if re.fullmatch("h[1-6]", tag)
        ]
        assert levels[0] == 1, path.name
        assert all(deeper <= level + 1 for level, deeper in itertools.pairwise(levels)), path.name


def test_links_to_services_say_what_they_need(page):
    hrefs = [attributes.get("href", "") for attributes in Elements(page).all("a")]
    assert "https://colab.research.google.com/github/dono/curso/blob/main/notebooks/00_comeco.ipynb" in hrefs
    assert "https://mybinder.org/v2/gh/dono/curso/main?urlpath=lab%2Ftree%2Fnotebooks%2F00_comeco.ipynb" in hrefs
    assert any(
        href.startswith("https://hub.escola.br/hub/user-redirect/git-pull?repo=https%3A%2F%2Fgithub.com")
        for href in hrefs
    )
    assert "uma conta do Google" in page


def test_without_a_repository_no_page_offers_to_open_it_elsewhere():
    for path in pages.stored_site().glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"vae-abrir|colab\.research|mybinder|git-pull", text), path.name


def test_only_github_has_colab():
    assert [link.name for link in Repository("https://git.escola.br/curso.git").links("01_elbo.ipynb")] == ["Binder"]


def test_search_index_has_sections_without_formulas(site):
    text = (site / "_static/busca-dados.js").read_text(encoding="utf-8")
    entries = {entry[0]: entry for entry in json.loads(text.removeprefix("window.BUSCA=").rstrip(";\n"))}
    _, lesson, section, words = entries["00_comeco.html#reparametrizacao"]
    assert (lesson, section) == ("00 · Começo", "Reparametrização")
    assert words.startswith("A média de é :")
    assert "soma 2" in words
    assert "01_fim.html#ruido-e-sinal" in entries


# As fórmulas


def test_a_wrong_formula_is_refused_by_its_text():
    with pytest.raises(FormulaError, match=re.escape(r"\fraca{1}")):
        to_html(r"\fraca{1}")


def test_a_wrong_formula_stops_the_build(tmp_path):
    lesson = tmp_path / "00_errada.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("# 00 · Errada\n\nVeja $\\fraca{1}$.")]), lesson)
    with pytest.raises(SiteError, match="fraca"):
        publish([lesson], tmp_path / "site", run_lessons=False)
    assert not (tmp_path / "site").exists()


# O que está no lugar do site


def tiny_lesson(folder, *sources):
    path = folder / "00_curta.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("# 00 · Curta"), *map(new_code_cell, sources)]), path)
    return path


def test_a_lesson_that_fails_stops_the_build_by_name_and_leaves_the_site_alone(tmp_path):
    site, lesson = tmp_path / "site", tiny_lesson(tmp_path)
    publish([lesson], site, run_lessons=False)
    before = sorted((path, path.stat().st_mtime_ns) for path in site.rglob("*"))
    tiny_lesson(tmp_path, "1 / 0")
    with pytest.raises(SiteError, match=r"(?s)00_curta\.ipynb.*ZeroDivisionError"):
        publish([lesson], site)
    assert sorted((path, path.stat().st_mtime_ns) for path in site.rglob("*")) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00_curta.ipynb", "site"]


def test_a_site_is_replaced_as_a_whole(tmp_path):
    site, lesson = tmp_path / "site", tiny_lesson(tmp_path)
    publish([lesson], site, run_lessons=False)
    (site / "velho.html").write_text("velho", encoding="utf-8")
    publish([lesson], site, run_lessons=False)
    assert not (site / "velho.html").exists()
    assert (site / "index.html").exists()


def test_a_folder_that_is_not_a_site_is_never_touched(tmp_path):
    (tmp_path / "tese").mkdir()
    (tmp_path / "tese/capitulo.txt").write_text("anos de trabalho", encoding="utf-8")
    with pytest.raises(SiteError, match="não é um site"):
        publish([tiny_lesson(tmp_path)], tmp_path / "tese", run_lessons=False)
    assert (tmp_path / "tese/capitulo.txt").read_text(encoding="utf-8") == "anos de trabalho"


def test_the_program_says_what_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        program.main(["--output", "site"])
    assert "não encontrei lição alguma em notebooks/" in capsys.readouterr().err
    (tmp_path / "tese").mkdir()
    (tmp_path / "tese/capitulo.txt").touch()
    assert program.main([str(tiny_lesson(tmp_path)), "--output", "tese"]) == 1
    assert "O site não foi alterado" in capsys.readouterr().err


def test_the_program_says_everything_that_is_missing_at_once(tmp_path, capsys, monkeypatch):
    find = importlib.util.find_spec
    absent = {"furo", "quickjs"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in absent else find(name))
    assert program.main([str(tiny_lesson(tmp_path)), "--output", str(tmp_path / "site")]) == 1
    assert 'falta furo, quickjs: pip install -e ".[page]"' in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


def test_a_site_too_big_is_told_by_its_largest_files(tmp_path):
    (tmp_path / "pequeno.html").write_bytes(bytes(1000))
    (tmp_path / "grande.js").write_bytes(bytes(26_000_000))
    warning = oversized(tmp_path, 6)
    assert "26,0 MB" in warning
    assert "grande.js" in warning
    assert oversized(tmp_path, 7) == ""


# As lições que existem


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_stored_lesson_is_prepared(path):
    page = prepare(nbformat.read(path, as_version=4), path.stem, {path.name for path in LESSONS})
    assert page.title.startswith(path.stem[:2])
    assert page.time
    shown = [output for cell in page.notebook.cells for output in cell.get("outputs", [])]
    assert all(len(output.get("data", {"text": ""})) == 1 for output in shown if output.output_type != "execute_result")
    assert all(re.search(r'<img [^>]*alt="[^"]{10,}', str(o)) for o in shown if "_static/figuras" in str(o))
    for cell in page.notebook.cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"```.*?```|`[^`\n]*`", "", cell.source, flags=re.DOTALL)
            for formula in re.findall(r"\$\$.+?\$\$|\$[^$]+\$", text, re.DOTALL):
                to_html(formula.strip("$"), display=formula.startswith("$$"))


# Os exploradores gravados


@pytest.fixture
def few_states():
    """Os exploradores sem modelo, com poucos estados cada um."""
    elbo, gumbel, gradients = explore_elbo(), explore_gumbel(), explore_gradients()
    elbo.recorded = (("mode", None), ("mean", (-1.0, 1.5)), ("spread", (0.3,)))
    gumbel.recorded = (("temperature", (0.1, 3.0)), ("logit_1", (-2.0,)))
    gradients.recorded = (("n_samples", (1, 10)), ("mu", (2.0,)), ("parameter", None))
    return elbo, gumbel, gradients


def test_recorded_states_are_the_pictures_of_the_kernel(few_states):
    for explorer in few_states:
        recorded = recording.record(explorer)
        values, fixed = recording.axes(explorer), explorer.values()
        names = list(values)
        places = np.ndindex(*(len(values[name]) for name in names))
        for place, picture, text in zip(places, recording.replay(recorded), recorded["texts"], strict=True):
            chosen = {name: values[name][i] for name, i in zip(names, place, strict=True)}
            numbers = explorer.measure(**fixed | chosen)
            assert np.array_equal(picture, np.asarray(explorer.paint(numbers).convert("RGB"))), (explorer, chosen)
            assert text == explorer.describe(numbers)


def test_a_recording_starts_where_the_explorer_is(few_states):
    for explorer in few_states:
        recorded = recording.record(explorer)
        start = list(recording.replay(recorded))[recorded["start"]]
        assert np.array_equal(start, np.asarray(explorer.paint(explorer.numbers).convert("RGB")))


def test_every_explorer_declares_controls_it_has():
    for explorer in (explore_elbo(), explore_gumbel(), explore_gradients()):
        assert {name for name, _ in explorer.recorded} <= set(explorer.inputs)
        for name, values in recording.axes(explorer).items():
            control = explorer.controls[name]
            for value in values:
                control.value = value
                assert control.value == (value if isinstance(value, str) else pytest.approx(value, rel=0.01)), name


def test_a_recording_of_the_lesson_is_in_the_site(site):
    path = site / "_static/exploradores/00_comeco-1.js"
    call = re.fullmatch(r'vaeDados\("(.+?)", (.+)\);\n', path.read_text(encoding="utf-8"))
    recorded = json.loads(call[2])
    assert call[1] == path.stem
    assert [control["texts"] for control in recorded["controls"]] == [
        ["0,10", "0,50", "1,00", "2,00", "5,00"],
        ["−2,00", "1,00", "3,00"],
    ]
    assert len(recorded["states"]) == 15


def test_every_explorer_has_a_form_in_the_page():
    still = EXPLORERS.keys() - pages.recordings().keys()
    assert all(live.export(EXPLORERS[name]()) for name in still), still


def test_a_new_explorer_is_recorded_by_saying_what_lives():
    class Dial(base.Explorer):
        inputs = ("angle",)
        recorded = (("angle", (0, 90, 180)),)
        measure = staticmethod(lambda angle: Turned(angle))
        paint = staticmethod(lambda numbers: Image.new("RGB", (60, 40), (numbers.angle, 0, 0)))
        describe = staticmethod(lambda numbers: f"ângulo {numbers.angle}")

        def __init__(self):
            self.controls = {"angle": IntSlider(max=180, description="ângulo"), "turn": Button(description="Girar")}
            self.picture = base.picture(30)
            super().__init__(self.picture)
            self._start()

    recorded = recording.record(Dial())
    assert [int(shown[0, 0, 0]) for shown in recording.replay(recorded)] == [0, 90, 180]
    assert recorded["texts"] == ["ângulo 0", "ângulo 90", "ângulo 180"]
    assert recorded["others"] == ["Girar"]


class Turned(NamedTuple):
    angle: int


def test_a_picture_is_cut_where_no_state_draws_and_never_near_an_edge():
    def cut(*drawn):
        used = np.zeros(1000, bool)
        for a, b in drawn:
            used[a:b] = True
        return recording._folds(used)

    assert cut((10, 480), (520, 990)) == [499]
    assert cut((10, 480), (490, 990)) == []  # a faixa é estreita: pode ser o espaço entre duas letras
    assert cut((10, 100), (200, 990)) == []  # sobraria quase tudo de um lado


def test_the_player_is_a_small_module_that_needs_no_other():
    player = (Path(recording.__file__).parent / "static/explorador.js").read_text(encoding="utf-8")
    assert len(player.splitlines()) <= 200
    assert "export async function mount(" in player
    assert not re.search(r"\bimport\b|\brequire\(|fetch\(|https?:", player)
