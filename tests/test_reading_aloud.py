"""As lições para quem as ouve: o que um leitor de tela encontra em figuras, títulos, tabelas, vínculos e blocos."""

import functools
import html
import itertools
import re
from collections import Counter
from pathlib import Path

import nbformat
import pytest

LESSONS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))
every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)

# Palavras de um texto alternativo: o de um explorador pode ler uma lista de filmes, e o de um diagrama é o texto dele.
WORDS = {"figura": range(10, 61), "explorador": range(10, 121), "diagrama": range(10, 261)}
SAYS_NOTHING = re.compile(
    r"\W*(aqui|ali|clique.*|link|vínculo|página|site|este|esta|isto|isso|leia mais|saiba mais|veja|\d+|https?:.*)\W*",
    re.IGNORECASE,
)
LINK = re.compile(r"(?<!!)\[((?:[^][]|\[[^][]*\])*)\]\(([^()\s]+(?:\([^()\s]*\)[^()\s]*)*)\)")


@functools.cache
def cells(path):
    return nbformat.read(path, as_version=4).cells


def texts(path) -> list[str]:
    """O texto de cada célula, sem os blocos de código."""
    sources = [cell.source for cell in cells(path) if cell.cell_type == "markdown"]
    return [re.sub(r"^```.*?^```", "", source, flags=re.M | re.S) for source in sources]


def prose(path) -> list[str]:
    """O mesmo, sem código nem fórmulas."""
    return [re.sub(r"`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]+\$", "", text, flags=re.S) for text in texts(path)]


def shown(path):
    """O HTML de cada saída."""
    for cell in cells(path):
        for output in cell.get("outputs", ()):
            yield output.get("data", {}).get("text/html", "")


def pictures(path):
    """(tipo, texto alternativo) de cada imagem guardada; None se ela não tem texto."""
    for output in shown(path):
        kind = "explorador" if "vae-still" in output else "diagrama" if "data:image/svg" in output else "figura"
        for tag in re.findall(r"<img\b[^>]*>", output):
            alt = re.search(r'\balt="([^"]*)"', tag)
            yield kind, html.unescape(alt[1]) if alt else None


def headings(path) -> list[tuple[int, str]]:
    """(nível, título), como estão na lição."""
    found = (heading for text in texts(path) for heading in re.finditer(r"^(#{1,6}) +(.+)$", text, re.M))
    return [(len(heading[1]), heading[2].strip()) for heading in found]


def anchor(title: str) -> str:
    """A âncora que o JupyterLab dá ao título."""
    return re.sub(r"[*`]", "", title).replace(" ", "-")


def links(text: str) -> list[tuple[str, str]]:
    """(texto, alvo) dos vínculos, em Markdown ou em HTML."""
    tagged = re.findall(r'<a\b[^>]*\bhref="([^"]*)"[^>]*>(.*?)</a>', text, re.S)
    return LINK.findall(text) + [(html.unescape(words), html.unescape(target)) for target, words in tagged]


@every_lesson
def test_every_picture_says_what_it_shows_in_few_words_and_its_own(path):
    found = list(pictures(path))
    assert None not in [alt for _, alt in found]
    wrong = [(kind, alt) for kind, alt in found if len(alt.split()) not in WORDS[kind]]
    wrong += [(kind, alt) for kind, alt in found if re.match(r"\W*(figura|imagem de|gráfico d)", alt, re.IGNORECASE)]
    assert wrong == []
    assert [alt for alt, times in Counter(alt for _, alt in found).items() if times > 1] == []


@every_lesson
def test_headings_are_a_tree_of_distinct_anchors(path):
    found = headings(path)
    levels = [level for level, _ in found]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert [(a, b) for a, b in itertools.pairwise(found) if b[0] > a[0] + 1] == []
    assert [name for name, times in Counter(anchor(title) for _, title in found).items() if times > 1] == []


@every_lesson
def test_every_table_has_a_header(path):
    """As do Markdown, um nome em cada coluna; as de HTML, ao menos uma fileira de cabeçalhos."""
    lines = [line.strip() for text in prose(path) for line in text.splitlines()]
    heads = [above for above, below in itertools.pairwise(lines) if re.fullmatch(r"\|[\s:|-]*-[\s:|-]*\|?", below)]
    assert [head for head in heads if not all(name.strip() for name in head.strip("|").split("|")[1:])] == []
    tables = [table for output in shown(path) for table in re.findall(r"<table\b.*?</table>", output, re.S)]
    assert [table[:200] for table in tables if "<th" not in table] == []


@every_lesson
def test_every_folded_block_says_what_is_in_it(path):
    text = "\n".join(prose(path))
    summaries = re.findall(r"<details[^>]*>\s*<summary>(.*?)</summary>", text, re.S)
    assert len(summaries) == len(re.findall("<details", text))
    assert [words for words in summaries if len(re.sub(r"\W", "", words)) < 6] == []


@every_lesson
def test_every_link_says_where_it_goes_and_gets_there(path):
    anchors = {lesson.name: {anchor(title) for _, title in headings(lesson)} for lesson in LESSONS}
    for text in [*prose(path), *shown(path)]:
        found = links(text)
        in_tables = r"\d\d" if "<table" in text else "(?!)"  # o número da lição, na coluna dela
        assert [w for w, _ in found if SAYS_NOTHING.fullmatch(w) and not re.fullmatch(in_tables, w)] == []
        assert len({words for words, _ in found}) == len(set(found)), "um texto só para alvos diferentes"
        for _, target in found:
            if not re.match("https?:", target):
                name, _, place = target.partition("#")
                assert not place or place in anchors[name or path.name], target
                assert not name or name in anchors, target
        assert re.findall(r"(?<![(\"=])\bhttps?://\S+", text) == [], "um endereço solto"


# Os instrumentos acima


@pytest.mark.parametrize("words", ["aqui", "Clique aqui!", "https://x.org", "leia mais", "8", "03"])
def test_a_link_that_says_nothing_is_recognized(words):
    assert SAYS_NOTHING.fullmatch(words)
    assert not SAYS_NOTHING.fullmatch(f"o resumo: {words}")


def test_links_are_found_in_markdown_and_in_html():
    text = 'Veja a [lição [1]](01.ipynb#A-(b)) e <a class="x" href="02.ipynb">a <b>02</b> &amp; mais</a>. ![não](x.png)'
    assert links(text) == [("lição [1]", "01.ipynb#A-(b)"), ("a <b>02</b> & mais", "02.ipynb")]
