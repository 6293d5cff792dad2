"""As lições como o leitor as recebe: guardadas por inteiro, com exercícios que as próprias soluções resolvem.

O nbval compara as saídas, mas deixa passar uma lição cujas saídas foram apagadas: daí as primeiras verificações.
"""

import ast
import re
import statistics
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from vae_lessons.authoring.exercises import exercises, solved, tags, verdicts
from vae_lessons.authoring.reading import essential, hidden, rounded, stated, whole
from vae_lessons.authoring.running import execute
from vae_lessons.authoring.store import tidy
from vae_lessons.exercises import EXERCISES

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
CELL_TIMEOUT = 600  # segundos: uma célula leva um décimo disso numa máquina livre

KNOWN_TAGS = {"exercise", "solution", "nbval-ignore-output"}
MAX_LINES, MAX_MEDIAN_LINES = 30, 12
MAX_WORDS, CLASS = 2500, 65  # palavras e minutos do caminho essencial
MIN_PREDICTIONS = 3
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
def test_lesson_was_stored_by_the_authoring_tool(path):
    stored = path.read_text(encoding="utf-8")
    assert stored == nbformat.writes(tidy(read(path))) + "\n", f"Execute: python -m vae_lessons.authoring.store {path}"


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
    shown = [[output.get("data", {}) for output in cell.outputs] for cell in code_cells(read(path))]
    explorers = [cell for cell in shown if any(re.search("Explorer\\(|vae-still", str(data)) for data in cell)]
    assert all(any("image/png" in data for data in cell) for cell in explorers)
    assert not any(WIDGET_VIEW in data for cell in shown for data in cell)
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


@every_lesson
def test_the_essential_path_fits_in_a_class(path):
    reading = essential(read(path))
    assert reading.words <= MAX_WORDS
    assert reading.minutes <= CLASS


@every_lesson
def test_the_promised_times_are_the_measured_ones(path):
    notebook = read(path)
    assert stated(notebook) == (rounded(essential(notebook)), rounded(whole(notebook)))


@every_lesson
def test_the_reader_predicts_before_seeing(path):
    """**Preveja.** pergunta, e a mesma célula traz, recolhida, a resposta com a razão."""
    questions = [cell.source for cell in read(path).cells if "**Preveja.**" in cell.source]
    assert len(questions) >= MIN_PREDICTIONS
    assert all("<details>" in question.split("**Preveja.**")[1] for question in questions)


def verdict_only(cell):
    """Tudo o que a célula mostra são linhas que dizem se algo é verdade."""
    shown = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    lines = [line for line in "".join(shown).splitlines() if line.strip()]
    pictures = any("image/png" in output.get("data", {}) for output in cell.outputs)
    return bool(lines) and not pictures and all(re.search(r"\b(True|False)$", line.strip()) for line in lines)


@every_lesson
def test_no_cell_in_sight_shows_only_a_verdict(path):
    """Quem lê vê os números; o que só o nbval precisa saber fica numa célula recolhida, com assert."""
    found = [cell.source for cell in code_cells(read(path)) if verdict_only(cell) and not hidden(cell)]
    assert found == []


@every_lesson
def test_what_is_folded_is_only_a_guard(path):
    """Nada do que a lição usa adiante se esconde: a célula recolhida só confere, e não mostra nada."""
    folded = [cell for cell in code_cells(read(path)) if hidden(cell)]
    assert all(compared(cell) and not cell.outputs for cell in folded)


# Executar. O nbval executa a lição em branco, e o conftest.py da raiz tira a rede dos kernels: aqui, a lição resolvida.


@every_lesson
def test_every_exercise_waits_when_blank(path):
    """O nbval exige que o veredito da lição em branco seja o guardado: basta que ele seja ⏳, e que se compare."""
    cells = read(path).cells
    asked = [cells[exercise.index] for exercise in exercises(read(path))]
    assert [verdicts(cell) for cell in asked] == [["⏳"]] * len(asked)
    assert not any(map(ignored, asked))


@every_lesson
def test_stored_solutions_pass_every_exercise(path):
    notebook = read(path)
    executed = execute(solved(notebook), NOTEBOOKS, timeout=CELL_TIMEOUT)
    asked = exercises(notebook)
    assert {e.id: verdicts(executed.cells[e.index]) for e in asked} == {e.id: ["✅"] for e in asked}
    stored, shown = ([bool(cell.outputs) for cell in code_cells(n)] for n in (notebook, executed))
    assert stored == shown, "Há células que mostram algo e cujas saídas não estão guardadas (ou o contrário)."


# Os instrumentos acima, numa lição de brinquedo


def test_picture_without_a_compared_cell_is_caught():
    def printing(source="print(1)"):
        return new_code_cell(source, outputs=[new_output("stream", text="1\n")])

    def tagged(cell, name):
        cell.metadata.tags = [name]
        return cell

    def found(*cells):
        return unguarded(new_notebook(cells=list(cells)))

    def picture():
        return tagged(printing(), "nbval-ignore-output")

    definition = new_code_cell("x = 1")
    assert found(picture(), picture(), definition, printing()) == []
    assert found(picture(), new_code_cell("assert True")) == []
    assert found(printing(), picture(), definition) == [1]
    assert found(picture(), tagged(printing('check("00.1", ...)'), "exercise"), printing()) == [0]


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("a soma é 1: True\n", True),
        ("True\nFalse\n", True),
        ("0.25 contra 0.25, diferença 1e-17\n", False),
        ("0.25 e 0.25: True\nmas 0.3 e 0.4\n", False),
        ("", False),
    ],
)
def test_a_verdict_is_recognized(text, verdict):
    outputs = [new_output("stream", text=text)] if text else []
    assert verdict_only(new_code_cell("print()", outputs=outputs)) is verdict
