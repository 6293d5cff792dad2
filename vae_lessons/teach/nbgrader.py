"""As marcas do nbgrader numa lição distribuída, e a pasta de curso em que ele a recebe.

Num exercício, a célula da resposta é do aluno, e a seguinte, fechada, dá os pontos: `score(...)` mostra um número, que
o nbgrader (0.9 ou mais novo) lê como a nota da célula. Sem ele, as marcas não fazem nada.
"""

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

_SCHEMA = 3

# O generate_assignment poria um "YOUR CODE HERE" no lugar das respostas em branco, que o check sabe reconhecer.
CONFIG = """\
# Para o nbgrader, nesta pasta: as lições já vêm sem soluções, e os brancos são os delas.
c = get_config()  # noqa: F821

c.CourseDirectory.course_id = {course!r}
c.GenerateAssignment.preprocessors = [
    "nbgrader.preprocessors.LockCells",
    "nbgrader.preprocessors.CheckCellMetadata",
    "nbgrader.preprocessors.ComputeChecksums",
    "nbgrader.preprocessors.SaveCells",
]
c.Execute.timeout = 600
c.Execute.interrupt_on_timeout = True
"""


def mark_answer(cell: NotebookNode, exercise_id: str) -> None:
    """A célula em que o aluno responde."""
    cell.metadata["nbgrader"] = _mark("exercicio", exercise_id, solution=True)


def points_cell(exercise_id: str, answer: str, points: float) -> NotebookNode:
    """A célula fechada que dá os pontos; no JupyterLab vê-se o resultado, e não o código."""
    source = (
        "from vae_lessons.exercises import score  # os pontos deste exercício\n\n"
        f'score("{exercise_id}", {answer}, of={points:g})'
    )
    mark = _mark("pontos", exercise_id, grade=True, locked=True) | {"points": points}
    return new_code_cell(
        source,
        id=f"pontos-{exercise_id.replace('.', '-')}",
        metadata={"nbgrader": mark, "jupyter": {"source_hidden": True}, "deletable": False, "editable": False},
    )


def _mark(kind: str, exercise_id: str, *, grade: bool = False, solution: bool = False, locked: bool = False) -> dict:
    return {
        "schema_version": _SCHEMA,
        "grade_id": f"{kind}-{exercise_id.replace('.', '-')}",
        "cell_type": "code",
        "grade": grade,
        "solution": solution,
        "locked": locked,
        "task": False,
    }
