"""As lições de que se dá aula: onde estão, e o que cada uma pede de quem a entrega."""

import ast
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from vae_lessons import series
from vae_lessons.authoring.exercises import exercises

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


class Refused(ValueError):
    """O que se pediu não pode ser feito; a mensagem diz a quem dá aula por quê, e o que fazer."""


class Asked(NamedTuple):
    """Um exercício de uma lição. answer: o que ela passa a check, "log_evidence" · cell: a posição em notebook.cells ·
    code_cell: a posição entre as células de código."""

    id: str
    answer: str
    cell: int
    code_cell: int


def numbers() -> list[str]:
    """Os números das lições que têm exercícios: "00", "01", …"""
    return [lesson.number for lesson in series.LESSONS]


def load(number: str) -> NotebookNode:
    """A lição, como está guardada. Levanta Refused se ela não existir ou se faltar o arquivo."""
    path = NOTEBOOKS / file_of(number)
    if not path.is_file():
        raise Refused(f"não encontrei {path}. Rode com o repositório inteiro, e não só com o pacote.")
    return nbformat.read(path, as_version=4)


def file_of(number: str) -> str:
    """O nome do arquivo de uma lição. Levanta Refused se ela não existir."""
    files = {lesson.number: lesson.file for lesson in series.LESSONS}
    if number not in files:
        raise Refused(f"não há lição {number!r}. As que há são: {', '.join(files)}.")
    return files[number]


def asked(notebook: NotebookNode) -> list[Asked]:
    """Os exercícios de uma lição, na ordem."""
    code = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    found = []
    for exercise in exercises(notebook):
        call = ast.parse(notebook.cells[exercise.index].source).body[-1].value
        found.append(Asked(exercise.id, ast.unparse(call.args[1]), exercise.index, code.index(exercise.index)))
    return found


def code_of(notebook: NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]
