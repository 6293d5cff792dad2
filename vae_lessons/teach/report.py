"""A turma de uma vez: uma figura de exercícios × alunos, e os erros pelo nome, com quantos o cometeram."""

import html
import io
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from vae_lessons import style
from vae_lessons.files import write_atomically
from vae_lessons.teach.grades import Row, saved_class
from vae_lessons.teach.page import whole_page

REPORT = "turma.html"
_ORDER = ("⏳", "❌", "✅")
_SIGNS = {"⏳": "", "❌": "×", "✅": "✓"}


class Slip(NamedTuple):
    """Um erro que a turma cometeu. reason: o que se disse a quem o cometeu · students: quem."""

    exercise: str
    reason: str
    students: tuple[str, ...]


def write_report(graded: Path) -> Path:
    """Grava em `graded`, que `correct` encheu, uma página com a figura e os erros; devolve o caminho dela.

    Levanta Refused se nada se corrigiu ali.
    """
    path = graded / REPORT
    write_atomically(path, report_page(saved_class(graded)).encode("utf-8", "replace"))
    return path


def report_page(results: dict[str, list[Row]]) -> str:
    """A página inteira."""
    buffer = io.BytesIO()
    class_figure(results).savefig(buffer, format="png", dpi=144)
    right = sum(row.status == "✅" for rows in results.values() for row in rows)
    total = sum(map(len, results.values()))
    alt = f"Exercícios nas linhas, alunos nas colunas: {right} de {total} respostas certas."
    rows = "".join(
        f'<tr><td class="n">{len(slip.students)}</td><td>{slip.exercise}</td><td>{html.escape(slip.reason)}</td>'
        f"<td>{html.escape(', '.join(slip.students))}</td></tr>\n"
        for slip in named_mistakes(results)
    )
    table = (
        f"<table><tr><th>Quantos</th><th>Exercício</th><th>O que se disse</th><th>Quem</th></tr>\n{rows}</table>"
        if rows
        else "<p>Nenhum erro dos que têm nome.</p>"
    )
    return whole_page(
        "A turma",
        f"<h1>A turma: {len(results)} alunos</h1>\n<p>{style.image_tag(buffer.getvalue(), alt)}</p>\n"
        f"<h2>Os erros, pelo nome</h2>\n{table}",
        width="60rem",
    )


def named_mistakes(results: dict[str, list[Row]]) -> list[Slip]:
    """Os erros com nome, os mais cometidos primeiro."""
    made: dict[tuple[str, str], list[str]] = {}
    for student, rows in results.items():
        for row in rows:
            if row.mistake:
                made.setdefault((row.exercise, row.mistake), []).append(student)
    slips = [Slip(exercise, reason, tuple(students)) for (exercise, reason), students in made.items()]
    return sorted(slips, key=lambda slip: (-len(slip.students), slip.exercise, slip.reason))


def class_figure(results: dict[str, list[Row]]) -> Figure:
    """Exercícios nas linhas, do mais fácil ao mais difícil; alunos nas colunas, do que mais acertou ao que menos."""
    status = {(row.exercise, student): row.status for student, rows in results.items() for row in rows}
    by_exercise = Counter({exercise: 0 for exercise, _ in status})
    by_student = Counter(dict.fromkeys(results, 0))
    for (exercise, student), sign in status.items():
        by_exercise[exercise] += sign == "✅"
        by_student[student] += sign == "✅"
    exercises = sorted(by_exercise, key=lambda exercise: (-by_exercise[exercise], exercise))
    students = sorted(by_student, key=lambda student: (-by_student[student], student))
    grid = [[_ORDER.index(status.get((exercise, student), "⏳")) for student in students] for exercise in exercises]
    fig = Figure(figsize=(max(4.0, 1.6 + 0.22 * len(students)), 1.8 + 0.22 * len(exercises)), layout="constrained")
    ax = fig.subplots()
    ax.imshow(grid, cmap=ListedColormap([style.BLANK, style.WRONG, style.RIGHT]), vmin=0, vmax=2, aspect="equal")
    for y, row in enumerate(grid):
        for x, value in enumerate(row):
            ax.text(x, y, _SIGNS[_ORDER[value]], ha="center", va="center", color="white", fontsize=8)
    ax.set_xticks(range(len(students)), [name[:24] for name in students], rotation=90, fontsize=7)
    labels = [f"{exercise}  {by_exercise[exercise]}/{len(students)}" for exercise in exercises]
    ax.set_yticks(range(len(exercises)), labels, fontsize=7)
    ax.set_title("✓ certo   × errado   vazio: em branco", fontsize=9, loc="left")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return fig
