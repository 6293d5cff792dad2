"""A turma de uma vez: uma figura de exercícios × alunos, e os erros pelo nome, com quantos o cometeram."""

import html
import io
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from vae_lessons import style
from vae_lessons.files import write_atomically
from vae_lessons.teach.grades import Row, saved_class
from vae_lessons.teach.page import VERDICTS, whole_page

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
    alt = f"Exercícios nas linhas, alunos nas colunas: {right} de {total} respostas certas. A tabela diz quais."
    slips = [
        (slip.exercise, html.escape(slip.reason), str(len(slip.students)), html.escape(", ".join(slip.students)))
        for slip in named_mistakes(results)
    ]
    mistakes = _table(("Exercício", "O que se disse", "Quantos", "Quem"), slips)
    return whole_page(
        "A turma",
        f"<h1>A turma: {len(results)} {'aluno' if len(results) == 1 else 'alunos'}</h1>\n"
        f"<p>{style.image_tag(buffer.getvalue(), alt)}</p>\n"
        f"<details><summary>A mesma figura, numa tabela</summary>\n{_class_table(results)}</details>\n"
        "<p>De cada aluno, o que respondeu e o que se disse a ele: na pasta <code>paginas</code>, ao lado desta.</p>\n"
        f"<h2>Os erros, pelo nome</h2>\n{mistakes if slips else '<p>Nenhum erro dos que têm nome.</p>'}",
        width="60rem",
    )


def _class_table(results: dict[str, list[Row]]) -> str:
    """O que a figura mostra, por extenso: cada exercício, na ordem dela, e o que cada aluno fez."""
    exercises, students, status = _grid(results)
    rows = [[exercise, *(VERDICTS[status[exercise, student]] for student in students)] for exercise in exercises]
    return _table(("Exercício", *map(html.escape, students)), rows, name="O que cada aluno fez em cada exercício")


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, name: str = "") -> str:
    """columns, rows: em HTML; a primeira casa de cada linha é o cabeçalho dela. name: o que diz quem lê a tela. O que
    não couber rola para o lado, com as setas do teclado também."""
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>\n'
        for first, *rest in rows
    )
    caption = f"<caption>{name}</caption>" if name else ""
    table = f"<table>{caption}<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table>"
    return f'<div class="wide" tabindex="0" role="region" aria-label="{name}">{table}</div>' if name else table


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
    exercises, students, status = _grid(results)
    right = Counter(exercise for (exercise, _), sign in status.items() if sign == "✅")
    grid = [[_ORDER.index(status[exercise, student]) for student in students] for exercise in exercises]
    fig = Figure(figsize=(max(4.0, 1.6 + 0.22 * len(students)), 1.8 + 0.22 * len(exercises)), layout="constrained")
    ax = fig.subplots()
    ax.imshow(grid, cmap=ListedColormap([style.BLANK, style.WRONG, style.RIGHT]), vmin=0, vmax=2, aspect="equal")
    for y, row in enumerate(grid):
        for x, value in enumerate(row):
            ax.text(x, y, _SIGNS[_ORDER[value]], ha="center", va="center", color=style.BLACK, fontsize=8)
    ax.set_xticks(range(len(students)), [name[:24] for name in students], rotation=90, fontsize=7)
    labels = [f"{exercise}  {right[exercise]}/{len(students)}" for exercise in exercises]
    ax.set_yticks(range(len(exercises)), labels, fontsize=7)
    ax.set_title("✓ certo   × errado   vazio: em branco", fontsize=9, loc="left")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return fig


def _grid(results: dict[str, list[Row]]) -> tuple[list[str], list[str], dict[tuple[str, str], str]]:
    """(exercícios, do mais fácil ao mais difícil; alunos, do que mais acertou ao que menos; o veredito de cada par)."""
    given = {(row.exercise, student): row.status for student, rows in results.items() for row in rows}
    pairs = itertools.product({exercise for exercise, _ in given}, results)
    status = {pair: given.get(pair, "⏳") for pair in pairs}
    exercises, students = (_ranked(status, place) for place in (0, 1))
    return exercises, students, status


def _ranked(status: dict[tuple[str, str], str], place: int) -> list[str]:
    """Os exercícios (place = 0) ou os alunos (1), de mais a menos respostas certas."""
    right = Counter()
    for pair, sign in status.items():
        right[pair[place]] += sign == "✅"
    return sorted(right, key=lambda name: (-right[name], name))
