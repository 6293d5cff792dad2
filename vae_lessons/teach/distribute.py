"""A pasta que os alunos recebem: as lições sem as soluções, com os pontos de cada exercício e o nome da turma."""

import copy
import io
import re
import zipfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from vae_lessons import style
from vae_lessons.authoring.exercises import tags
from vae_lessons.files import write_atomically
from vae_lessons.teach import lessons, nbgrader

_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([\w.-]+\.ipynb)(#[^)\s]*)?\)")
_README = """\
# {name}

Lições desta turma:

{lessons}

1. Instale o pacote `vae_lessons` como o README do repositório diz e abra as lições no JupyterLab.
2. Responda na própria célula de cada exercício, entre o enunciado e o `check`, sem mudar o nome do que se pede. Pode
   criar outras células. O que a resposta usa tem de estar na lição: ela é executada de novo, num processo novo.
3. Guarde (Ctrl+S) e entregue o caderno `.ipynb`, com o mesmo nome.

A correção executa o seu código, e prova as suas funções também em casos que não estão na lição: uma função feita só
para os casos que o `check` mede não passa. Onde se pede um treino, deixe na célula o código que chega ao resultado,
com os nomes que a lição dá aos dados: ela é executada também com outros, e o resultado escrito à mão não vale.
"""


def distribute(
    output: Path,
    *,
    chosen: list[str] | None = None,
    class_name: str = "",
    points: dict[str, float] | None = None,
    clear_outputs: bool = False,
    course: Path | None = None,
) -> list[Path]:
    """Grava em `output` as lições para os alunos, e ao lado `output`.zip, com o mesmo; devolve o que gravou.

    chosen: "01", "03"…; sem elas, todas · points: quanto vale cada exercício, 1 se não se disser · clear_outputs: tira
    as figuras e os números guardados · course: uma pasta de curso do nbgrader, criada com as mesmas lições.
    Levanta Refused se uma lição ou um exercício não existir, e OSError se não puder gravar.
    """
    notebooks = {}
    numbers = chosen or lessons.numbers()
    files = {lessons.file_of(number) for number in numbers}
    known = set()
    for number in numbers:
        notebook = lessons.load(number)
        known |= {exercise.id for exercise in lessons.asked(notebook)}
        notebooks[lessons.file_of(number)] = for_students(
            notebook, number, files=files, class_name=class_name, points=points or {}, clear_outputs=clear_outputs
        )
    if unknown := sorted(set(points or {}) - known):
        raise lessons.Refused(f"não há nas lições escolhidas os exercícios {', '.join(unknown)}.")
    contents = {name: f"{nbformat.writes(notebook)}\n".encode() for name, notebook in notebooks.items()}
    readme = _README.format(
        name=class_name or "Lições sobre VAEs",
        lessons="\n".join(f"- `{name}`: {_worth(notebook)}" for name, notebook in notebooks.items()),
    )
    written = {output / name: content for name, content in contents.items()} | {output / "LEIA-ME.md": readme.encode()}
    written[output.with_name(f"{output.name}.zip")] = _zipped(output.name, contents | {"LEIA-ME.md": readme.encode()})
    if course:
        written |= {course / "source" / "licoes" / name: content for name, content in contents.items()}
        written[course / "nbgrader_config.py"] = nbgrader.CONFIG.format(course=class_name or "vae").encode()
    for path, content in written.items():
        write_atomically(path, content)
    return list(written)


def for_students(
    notebook: NotebookNode,
    number: str,
    *,
    files: set[str],
    class_name: str,
    points: dict[str, float],
    clear_outputs: bool,
) -> NotebookNode:
    """Uma cópia da lição sem as soluções e com as marcas do nbgrader.

    files: as lições distribuídas; um vínculo para outra fica só com as palavras.
    """
    asked = {exercise.cell: exercise for exercise in lessons.asked(notebook)}
    cells = []
    for index, cell in enumerate(copy.deepcopy(notebook.cells)):
        if "solution" in tags(cell):
            continue
        if cell.cell_type == "markdown":
            cell.source = _LINK.sub(lambda link: link[0] if link[2] in files else link[1], cell.source)
        elif clear_outputs:
            cell.outputs, cell.execution_count = [], None
        cells.append(cell)
        if index in asked:
            exercise = asked[index]
            nbgrader.mark_answer(cell, exercise.id)
            cells.append(nbgrader.points_cell(exercise.id, exercise.answer, points.get(exercise.id, 1.0)))
    cells.insert(1, _class_cell(class_name, [(e.id, points.get(e.id, 1.0)) for e in asked.values()]))
    made = copy.deepcopy(notebook)
    made.cells = cells
    made.metadata["vae_lessons"] = {"lesson": number, "class": class_name}
    nbformat.validate(made)
    return made


def _class_cell(class_name: str, worth: list[tuple[str, float]]) -> NotebookNode:
    each = ", ".join(f"{exercise_id} ({style.number(points)})" for exercise_id, points in worth)
    label = f"**Turma:** {class_name}. " if class_name else ""
    text = f"{label}**Pontos:** {style.number(sum(points for _, points in worth))} ao todo; {each}." if worth else label
    return new_markdown_cell(text, id="turma", metadata={"editable": False})


def _worth(notebook: NotebookNode) -> str:
    points = [
        cell.metadata.nbgrader.points for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade")
    ]
    return f"{len(points)} exercícios, {style.number(sum(points))} pontos"


def _zipped(folder: str, contents: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(f"{folder}/{name}", (2020, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
