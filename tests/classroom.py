"""Uma turma de mentira: entregas de uma lição, com a resposta de cada exercício trocada pela que se quiser."""

import copy
from pathlib import Path

import nbformat

from vae_lessons.authoring.exercises import solved
from vae_lessons.teach import lessons
from vae_lessons.teach.correct import correct
from vae_lessons.teach.isolation import Limits

LESSON = "09"  # cinco funções, que se corrigem em menos de um segundo
IDS = [exercise.id for exercise in lessons.asked(lessons.load(LESSON))]
QUICK = Limits(seconds=4, total=60, memory=2**30, file=2**20, disk=2**22, processes=24)


def submission(answers=None, *, perfect=True):
    """A lição resolvida, ou em branco, com o código de `answers`, {"09.1": código}, antes do check de cada um."""
    blank = lessons.load(LESSON)
    notebook = solved(blank) if perfect else copy.deepcopy(blank)
    for exercise in lessons.asked(blank):
        if exercise.id in (answers or {}):
            check = f'check("{exercise.id}", {exercise.answer})'
            notebook.cells[exercise.cell].source = f"{answers[exercise.id]}\n\n{check}"
    return notebook


def deliver(folder: Path, student: str, notebook, name: str = "") -> Path:
    """Grava uma entrega; notebook: um caderno, um texto ou bytes."""
    path = folder / student / (name or lessons.file_of(LESSON))
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(notebook, bytes):
        path.write_bytes(notebook)
    else:
        nbformat.write(notebook, path)
    return path


def corrected(folder: Path, output: Path, **options) -> dict[str, dict[str, tuple[str, str]]]:
    """Aluno → exercício → (sinal, mensagem)."""
    options = {"limits": QUICK, "progress": False, "chosen": [LESSON], "workers": 2} | options
    results = correct(folder, output, **options)
    return {student: {row.exercise: (row.status, row.message) for row in rows} for student, rows in results.items()}
