"""As lições como o leitor as recebe: guardadas por inteiro, com exercícios que as próprias soluções resolvem, sem rede.

O nbval compara as saídas, mas deixa passar uma lição cujas saídas foram apagadas: daí as primeiras verificações.
"""

import ast
import re
import statistics

import nbformat
import pytest
from lesson_exercises import exercises, solved, tags, verdicts
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from store_lessons import NOTEBOOKS, as_terminal, execute, main, tidy

from vae_lessons.exercises import EXERCISES

KNOWN_TAGS = {"exercise", "solution", "nbval-ignore-output"}
MAX_LINES, MAX_MEDIAN_LINES = 30, 12
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

every_lesson = pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(notebook):
    """O código e o que ele escreveu."""
    for cell in code_cells(notebook):
        yield cell.source
        for output in cell.outputs:
            yield output.get("text") or output.get("data", {}).get("text/plain", "")


def ignored(cell):
    return "nbval-ignore-output" in tags(cell)


def compared(cell):
    """A célula diz algo que o nbval compara, ou verifica ela mesma. O ⏳ de um exercício em branco não diz nada."""
    asserts = any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(cell.source)))
    return (bool(cell.outputs) or asserts) and "exercise" not in tags(cell)


def unguarded(notebook):
    """Índices das células ignoradas pelo nbval sem uma célula comparada que diga o que tem de valer.

    Depois dela podem vir outras ignoradas (várias figuras) e células que só definem; a primeira que mostrar algo tem
    de ser comparada.
    """
    found = []
    cells = code_cells(notebook)
    for index, cell in enumerate(cells):
        speaking = (c for c in cells[index + 1 :] if not ignored(c) and (compared(c) or c.outputs))
        if ignored(cell) and not compared(next(speaking, new_code_cell())):
            found.append(index)
    return found


# O que está guardado


@every_lesson
def test_lesson_is_a_valid_notebook(path):
    nbformat.validate(read(path))


@every_lesson
def test_lesson_was_stored_by_store_lessons(path):
    stored = path.read_text(encoding="utf-8")
    assert stored == nbformat.writes(tidy(read(path))) + "\n", f"Execute: python tests/store_lessons.py {path}"


@every_lesson
def test_lesson_was_run_top_to_bottom_in_a_new_kernel(path):
    cells = code_cells(read(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


@every_lesson
def test_no_stored_output_is_an_error(path):
    assert "error" not in {output.output_type for cell in code_cells(read(path)) for output in cell.outputs}


@every_lesson
def test_every_explorer_is_stored_as_a_picture(path):
    """Sem kernel não há widget: quem só abre a lição, no JupyterLab ou no GitHub, vê a figura."""
    outputs = [output for cell in code_cells(read(path)) for output in cell.outputs]
    explorers = [o.data for o in outputs if "Explorer(" in o.get("data", {}).get("text/plain", "")]
    assert all("image/png" in data and WIDGET_VIEW not in data for data in explorers)
    assert len(explorers) >= 1


# Como a lição é escrita


@every_lesson
def test_only_known_tags(path):
    assert set().union(*(tags(cell) for cell in read(path).cells)) <= KNOWN_TAGS


@every_lesson
def test_code_cells_are_short(path):
    lengths = [len(cell.source.splitlines()) for cell in code_cells(read(path))]
    assert max(lengths) <= MAX_LINES
    assert statistics.median(lengths) <= MAX_MEDIAN_LINES


@every_lesson
def test_lesson_installs_nothing_and_runs_no_shell(path):
    code = "\n".join(cell.source for cell in code_cells(read(path)))
    assert re.findall(r"^\s*(?:!|%pip|%conda|%%bash|%%sh).*", code, re.M) == []


@every_lesson
def test_lesson_names_no_path_of_one_machine(path):
    absolute = re.compile(r"""(?:^|["'(=\s])(?:/(?:home|root|tmp|Users|usr|opt|mnt|content)/|[A-Z]:\\)\S*""")
    text = "\n".join(texts(read(path)))
    assert absolute.findall(text) == []
    assert str(NOTEBOOKS.parent) not in text


@every_lesson
def test_what_is_not_compared_is_followed_by_what_is(path):
    assert unguarded(read(path)) == []


@every_lesson
def test_lesson_has_exactly_the_exercises_of_its_number(path):
    number = path.stem.split("_")[0]
    asked = [exercise.id for exercise in exercises(read(path))]
    assert asked == [exercise_id for exercise_id in EXERCISES if exercise_id.startswith(f"{number}.")]


# Executar


NO_NETWORK = """
import sys as _sys

def _refuse(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if host not in (None, "localhost", "127.0.0.1", "::1"):
        raise OSError(f"A lição tentou usar a rede: {host}")

_sys.addaudithook(_refuse)
"""


def run_without_network(notebook):
    """A lição executada num núcleo em que toda conexão para fora da máquina é recusada."""
    guarded = nbformat.from_dict({**notebook, "cells": [new_code_cell(NO_NETWORK), *notebook.cells]})
    executed = execute(guarded)
    del executed.cells[0]
    return executed


@every_lesson
def test_blank_lesson_runs_offline_and_every_exercise_waits(path):
    notebook = read(path)
    executed = run_without_network(notebook)
    asked = exercises(notebook)
    assert {e.id: verdicts(executed.cells[e.index]) for e in asked} == {e.id: ["⏳"] for e in asked}
    stored, shown = ([bool(cell.outputs) for cell in code_cells(n)] for n in (notebook, executed))
    assert stored == shown, "Há células que mostram algo e cujas saídas não estão guardadas (ou o contrário)."


@every_lesson
def test_stored_solutions_pass_every_exercise(path):
    notebook = read(path)
    executed = run_without_network(solved(notebook))
    asked = exercises(notebook)
    assert {e.id: verdicts(executed.cells[e.index]) for e in asked} == {e.id: ["✅"] for e in asked}


# Os instrumentos acima, numa lição de brinquedo

ASK = 'answer = ...\n\ncheck("00.1", answer)'
SOLVE = "<details><summary>Solução</summary>\n\nPorque sim.\n\n```python\nanswer = 42\n```\n\n</details>"


def toy(*cells):
    return new_notebook(cells=list(cells))


def tagged(cell, *names):
    cell.metadata.tags = list(names)
    return cell


def question(source=ASK):
    return tagged(new_code_cell(source), "exercise")


def answer(source=SOLVE):
    return tagged(new_markdown_cell(source), "solution")


def printing(source="print(1)"):
    return new_code_cell(source, outputs=[new_output("stream", text="1\n")])


def test_exercise_and_solution_are_found():
    (found,) = exercises(toy(new_markdown_cell("# Título"), question(), answer(), new_code_cell("1")))
    assert found == ("00.1", 1, "answer = ...\n\n", "answer = 42")


def test_solution_replaces_the_blank_and_keeps_the_check():
    lesson = toy(question(), answer())
    assert solved(lesson).cells[0].source == 'answer = 42\n\ncheck("00.1", answer)'
    assert lesson.cells[0].source == ASK


@pytest.mark.parametrize(
    "cells",
    [
        [question()],
        [answer()],
        [question(), new_code_cell("1"), answer()],
        [question(), answer(), answer()],
        [question("answer = ..."), answer()],
        [question(ASK + "\nprint(1)"), answer()],
        [question("answer = ...\ncheck(name, answer)"), answer()],
        [question(), answer(SOLVE.replace("```python", "```"))],
        [question(), answer(SOLVE.replace("\n\n```python", "\n```python"))],
        [question(), answer(SOLVE.replace("\n</details>", "\n```python\nanswer = 0\n```\n\n</details>"))],
        [question(), answer(SOLVE.replace("<details>", ""))],
    ],
)
def test_malformed_exercise_is_refused(cells):
    with pytest.raises(ValueError, match=r"célula|Célula"):
        exercises(toy(*cells))


def test_verdicts_are_read_from_text_and_not_from_html():
    html = new_output("display_data", data={"text/html": "✅", "text/plain": "❌ não"})
    assert verdicts(new_code_cell(outputs=[html, new_output("stream", text="⏳\n")])) == ["❌", "⏳"]


def test_toy_lesson_waits_when_blank_and_passes_when_solved():
    check = new_code_cell(
        'def check(name, answer):\n    print("⏳" if answer is ... else "✅" if answer == 42 else "❌")'
    )
    lesson = toy(check, question(), answer())
    assert verdicts(run_without_network(lesson).cells[1]) == ["⏳"]
    assert verdicts(run_without_network(solved(lesson)).cells[1]) == ["✅"]


@pytest.mark.parametrize(
    "call", ["socket.socket().connect(('192.0.2.1', 80))", "socket.getaddrinfo('example.org', 80)"]
)
def test_lesson_that_uses_the_network_fails(call):
    with pytest.raises(CellExecutionError, match="tentou usar a rede"):
        run_without_network(toy(new_code_cell(f"import socket\n{call}")))


def test_picture_without_a_compared_cell_is_caught():
    def picture():
        return tagged(printing(), "nbval-ignore-output")

    definition = new_code_cell("x = 1")
    assert unguarded(toy(picture(), picture(), definition, printing())) == []
    assert unguarded(toy(picture(), new_code_cell("assert True"))) == []
    assert unguarded(toy(printing(), picture(), definition)) == [1]
    assert unguarded(toy(picture(), tagged(printing(ASK), "exercise"), printing())) == [0]


def test_streams_are_stored_as_a_terminal_would_show_them():
    assert as_terminal("  0%\r 50%\r100%\npronto\n") == "100%\npronto\n"
    assert as_terminal("longo\rab \n") == "ab go\n"
    first, second, last = (new_output("stream", name="stdout", text=text) for text in ("a", "b\r", "a"))
    picture = new_output("display_data", data={"text/plain": "figura"})
    (cell,) = tidy(toy(new_code_cell(outputs=[first, second, picture, last]))).cells
    assert [output.get("text", "figura") for output in cell.outputs] == ["ab", "figura", "a"]


def test_stored_lesson_forgets_the_machine_and_the_widgets_that_need_its_kernel():
    lesson = toy(new_code_cell("import ipywidgets\nipywidgets.IntSlider(description='σ')"))
    first, second = (tidy(execute(lesson)) for _ in range(2))
    assert first == second == tidy(first)
    assert first.metadata.keys() == {"kernelspec", "language_info"}
    assert first.cells[0].outputs[0].data == {"text/plain": "IntSlider(value=0, description='σ')"}


def test_lesson_is_not_overwritten_when_a_cell_fails(tmp_path, capsys):
    path = tmp_path / "lesson.ipynb"
    nbformat.write(toy(new_code_cell("1 / 0")), path)
    before = path.read_bytes()
    assert main([str(path)]) == 1
    assert path.read_bytes() == before
    assert "ZeroDivisionError" in capsys.readouterr().err
