"""Quanto leva uma lição, contado numa lição de brinquedo."""

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from vae_lessons.authoring.reading import Reading, essential, main, rounded, stated, whole


def lesson(*cells):
    return new_notebook(cells=list(cells))


def test_formulas_are_one_word_and_links_are_their_text():
    notebook = lesson(
        new_markdown_cell("A norma $\\|x\\|^2 + 1$ de [um vetor](01_elbo.ipynb) <b>real</b>.\n\n$$a\n+ b$$")
    )
    assert whole(notebook) == Reading(words=8, lines=0, exercises=0)


def test_code_counts_its_lines_unless_folded():
    seen = new_code_cell("a = 1\n\nb = 2")
    folded = new_code_cell("assert a == 1\nassert b == 2", metadata={"jupyter": {"source_hidden": True}})
    assert whole(lesson(seen, folded)).lines == 2


def test_an_exercise_is_five_minutes_and_its_solution_nothing():
    exercise = new_code_cell('answer = ...\n\ncheck("01.1", answer)', metadata={"tags": ["exercise"]})
    solution = new_markdown_cell(
        "<details><summary>Solução</summary>uma duas</details>", metadata={"tags": ["solution"]}
    )
    reading = whole(lesson(exercise, solution))
    assert reading == Reading(0, 0, 1)
    assert reading.minutes == 5


@pytest.mark.parametrize(
    "title", ["## 2. Fundo · *aprofundamento*", "## 2. Fundo · aprofundamento", "## Aprofundamento"]
)
def test_a_side_road_goes_to_the_next_heading_as_high(title):
    notebook = lesson(
        new_markdown_cell("## 1. Raso\n\num"),
        new_markdown_cell(f"{title}\n\ndois"),
        new_markdown_cell("### Mais fundo\n\ntrês"),
        new_code_cell("x = 1\ny = 2"),
        new_markdown_cell("quatro\n\n## 3. Raso\n\ncinco"),
        new_code_cell("z = 3"),
    )
    assert essential(notebook) == Reading(words=2 * 3, lines=1, exercises=0)  # um; cinco; e os títulos com número
    assert whole(notebook).lines == 3


def test_a_small_side_road_ends_where_the_section_goes_on():
    notebook = lesson(
        new_markdown_cell("## Um\n\n### Desvio · aprofundamento\n\na b c\n\n### Volta\n\nd"), new_code_cell("x = 1")
    )
    assert essential(notebook) == Reading(words=3, lines=1, exercises=0)


def test_a_collapsed_side_road_is_not_on_the_short_one():
    notebook = lesson(
        new_markdown_cell(
            "um\n\n<details><summary>Aprofundamento: a conta</summary>\n\ndois três\n</details>\n\n"
            "<details><summary>Resposta</summary>\n\nquatro\n</details>"
        )
    )
    assert essential(notebook).words == 3
    assert whole(notebook).words == 8


def test_a_hash_inside_code_is_no_heading():
    notebook = lesson(new_markdown_cell("## A · aprofundamento\n\n```python\n# comentário\n```\n\nfim"))
    assert essential(notebook) == Reading(0, 0, 0)


def test_minutes_are_promised_in_fives():
    assert rounded(Reading(words=900, lines=0, exercises=0)) == 5
    assert rounded(Reading(words=901, lines=0, exercises=0)) == 10
    assert rounded(Reading(words=1800, lines=400, exercises=4)) == 50


def test_the_promise_is_read_from_the_first_cell():
    text = "# Lição\n\n**Tempo:** 55 minutos no caminho essencial, 90 com os aprofundamentos."
    assert stated(lesson(new_markdown_cell(text))) == (55, 90)
    assert stated(lesson(new_markdown_cell("# Lição"))) is None


def test_a_lesson_that_is_not_there_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["não_há.ipynb"])
    assert "não encontrei não_há.ipynb" in capsys.readouterr().err
