"""Cada assunto tem o seu lugar: a lição existe, a seção está nela, e o texto da seção fala dele."""

import re
from pathlib import Path

import nbformat
import pytest

from vae_lessons import series, subjects
from vae_lessons.subjects import KINDS, Subject, Table, table

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def sections(notebook) -> dict[str, str]:
    """Título → o texto até o próximo título do mesmo nível ou de um mais alto; e "▸ " e um resumo → o bloco dele."""
    parts = [c.source if c.cell_type == "markdown" else f"```\n{c.source}\n```" for c in notebook.cells]
    text = "\n\n".join(parts)
    prose = re.sub(r"^```.*?^```", lambda code: re.sub(r"[^\n]", " ", code[0]), text, flags=re.MULTILINE | re.DOTALL)
    found = {}
    headings = list(re.finditer(r"^(#{1,6}) +(.+)$", prose, re.MULTILINE))
    for n, heading in enumerate(headings):
        after = [other.start() for other in headings[n + 1 :] if len(other[1]) <= len(heading[1])]
        found[heading[2].strip().replace("*", "")] = text[heading.end() : after[0] if after else len(text)]
    for block in re.finditer(r"<details>\s*<summary>(.*?)</summary>(.*?)</details>", text, re.DOTALL):
        found["▸ " + block[1].replace("*", "")] = block[2]
    return found


def says(text: str, phrase: str) -> bool:
    """A expressão está no texto, sem olhar maiúsculas nem quebras de linha."""
    return " ".join(phrase.split()).casefold() in " ".join(text.split()).casefold()


@pytest.fixture(scope="module")
def of_lesson():
    return {lesson.number: sections(nbformat.read(NOTEBOOKS / lesson.file, as_version=4)) for lesson in series.LESSONS}


EXISTING = {lesson.number for lesson in series.LESSONS}
written = [row for row in subjects.subjects() if row.lesson in EXISTING]


@pytest.mark.parametrize("row", written, ids=lambda row: f"{row.lesson}-{row.subject[:40]}-{row.section[:20]}")
def test_the_section_exists_and_speaks_of_the_subject(row, of_lesson):
    assert row.section in of_lesson[row.lesson], f"a lição {row.lesson} tem as seções {list(of_lesson[row.lesson])}"
    assert len(row.phrase) >= 8
    assert says(of_lesson[row.lesson][row.section], row.phrase)


def test_only_lessons_in_preparation_have_no_section_yet():
    """Quem publica uma lição diz em que seção dela está cada assunto prometido."""
    missing = [row for row in subjects.subjects() if not (row.section and row.phrase)]
    assert [row for row in missing if row.lesson not in series.COMING] == []
    assert {row.lesson for row in subjects.subjects()} <= EXISTING | series.COMING.keys()


def test_the_list_is_well_formed():
    rows = subjects.subjects()
    assert all(row.kind in KINDS for row in rows)
    assert all(part == part.strip() for row in rows for part in row)
    assert len(set(rows)) == len(rows)
    groups = [row[:2] for n, row in enumerate(rows) if n == 0 or rows[n - 1][:2] != row[:2]]
    assert len(set(groups)) == len(groups), "as linhas de um assunto vêm juntas"


def test_every_kind_and_every_lesson_has_subjects():
    rows = subjects.subjects()
    assert {row.kind for row in rows} == set(KINDS)
    lessons = {lesson.number for lesson in series.LESSONS}
    assert lessons - {row.lesson for row in rows} <= {"16"}


@pytest.mark.parametrize(
    ("kind", "least"), [("pergunta", 18), ("fórmula", 11), ("variante", 7), ("aplicação", 7), ("figura", 4)]
)
def test_there_are_as_many_as_the_series_promises(kind, least):
    assert len(table(kind=kind)) >= least


def test_sections_go_up_to_the_next_heading_of_their_level():
    cells = [
        nbformat.v4.new_markdown_cell("# 99 · Título\n\n## 1. Um\n\nantes\n\n### Dentro\n\nainda"),
        nbformat.v4.new_code_cell("# não é título\nx = 1"),
        nbformat.v4.new_markdown_cell("## 2. *Dois*\n\n<details><summary>Por quê?</summary>\n\nPois é.\n</details>"),
    ]
    found = sections(nbformat.v4.new_notebook(cells=cells))
    assert list(found) == ["99 · Título", "1. Um", "Dentro", "2. Dois", "▸ Por quê?"]
    assert says(found["1. Um"], "X = 1")
    assert says(found["Dentro"], "ainda")
    assert not says(found["Dentro"], "antes")
    assert found["▸ Por quê?"].strip() == "Pois é."


# A tabela


def test_the_table_has_a_row_per_subject_and_a_link_to_each_section():
    rows = (
        Subject("conceito", "Isto & aquilo", "01", "2. Inferência como otimização", "KL"),
        Subject("conceito", "Isto & aquilo", "03", "9. Por que $x$", "KL"),
        Subject("variante", "Nova", "99", "", ""),
        Subject("variante", "Nova", "99", "1. Um", "x"),
    )
    shown = Table(rows)._repr_html_()
    assert len(Table(rows)) == shown.count("<tr>") - 1 == 2
    assert 'href="01_elbo.ipynb#2.-Inferência-como-otimização"' in shown
    assert ">01 · 2. Inferência como otimização</a>" in shown  # o vínculo diz aonde leva, fora da tabela também
    assert 'href="03_vae.ipynb"' in shown  # um título com fórmula não serve de âncora
    assert "Isto &amp; aquilo" in shown
    assert shown.count("lição 99, em preparação") == 1
    assert ">tipo<" in shown
    assert ">tipo<" not in Table(rows[:2])._repr_html_()
    assert repr(Table(rows)).splitlines()[1] == "Nova (variante): lição 99, em preparação; lição 99, em preparação"


def test_a_long_question_is_shortened_and_leads_to_its_lesson():
    shown = Table((Subject("pergunta", "P?", "01", f"▸ {'palavra ' * 20}?", "x"),))._repr_html_()
    assert "palavra…" in shown
    assert 'href="01_elbo.ipynb"' in shown


def test_subjects_are_found_by_word_kind_and_lesson():
    assert "log σ²" in repr(table("log σ"))
    assert {row.kind for row in table(kind="figura").rows} == {"figura"}
    assert {row.subject for row in table(lesson="04").rows if row.lesson != "04"} <= {
        row.subject for row in table().rows if row.lesson == "04"
    }
    assert len(table("reparametrizacao")) > 3


def test_a_search_that_finds_nothing_says_so():
    with pytest.raises(ValueError, match="Nenhum assunto serve"):
        table("xyz")
    with pytest.raises(ValueError, match=r"Não há assuntos do tipo 'assunto'\. Os tipos são: pergunta, conceito"):
        table(kind="assunto")
