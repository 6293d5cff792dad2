"""A página de um aluno: cada exercício, a resposta que ele escreveu, os pontos e por quê; e o que toda página tem."""

import html
import itertools
from pathlib import Path

from vae_lessons import series, style
from vae_lessons.files import write_atomically
from vae_lessons.teach.grades import Row

_COLORS = {"✅": style.RIGHT, "❌": style.WRONG, "⏳": style.BLANK}
VERDICTS = {"✅": "certo", "❌": "errado", "⏳": "em branco"}
_STYLE = """
body { font: 1.05rem/1.5 system-ui, sans-serif; margin: 2rem auto; padding: 0 1rem; }
section { border-left: 4px solid; padding: .2rem 1rem; margin: 1.2rem 0; }
h2 { font-size: 1.25rem; margin: 1.8rem 0 .6rem; }
h3 { font-size: 1.1rem; margin: .3rem 0; }
pre { background: rgba(128, 128, 128, .12); padding: .6rem; overflow-x: auto; font-size: .9rem; }
img { max-width: 100%; background: #fff; }
table { border-collapse: collapse; }
td, th { padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top; }
@media (max-width: 32rem) { table { font-size: .8rem; } td, th { padding-right: .4rem; } }
th[scope="row"] { font-weight: normal; white-space: nowrap; }
caption { text-align: left; }
.wide { overflow-x: auto; }
@media (prefers-color-scheme: dark) { body { background: #16181d; color: #e6e6e6; } }
"""


def write_pages(results: dict[str, list[Row]], folder: Path) -> None:
    """Uma página por aluno, em `folder`, com o nome dele."""
    for student, rows in results.items():
        write_atomically(folder / f"{student}.html", student_page(student, rows).encode("utf-8", "replace"))


def student_page(student: str, rows: list[Row]) -> str:
    """A página inteira. Tudo o que veio do aluno aparece como texto."""
    total, of = (style.number(sum(points)) for points in ([r.points for r in rows], [r.of for r in rows]))
    lessons = [_lesson(number, list(own)) for number, own in itertools.groupby(rows, lambda row: row.exercise[:2])]
    body = f"<h1>{html.escape(student)}</h1>\n<p>{total} de {of} pontos.</p>\n{''.join(lessons)}"
    return whole_page(f"Correção de {student}", body)


def whole_page(title: str, body: str, *, width: str = "46rem") -> str:
    """Um arquivo HTML inteiro, que se abre sem rede. title: texto · body: HTML · width: até onde vai uma linha."""
    return (
        f'<!doctype html>\n<html lang="pt-BR"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>\n'
        f'<body style="max-width: {width}"><main>{body}</main></body></html>\n'
    )


def _lesson(number: str, rows: list[Row]) -> str:
    title = next((lesson.title for lesson in series.LESSONS if lesson.number == number), "")
    points, of = sum(row.points for row in rows), sum(row.of for row in rows)
    if len(rows) > 1 and len({(row.status, row.message, row.answer) for row in rows}) == 1:  # nem se pôde ler
        sections = _section(rows[0]._replace(points=points, of=of), f"Tudo, de {number}.1 a {rows[-1].exercise}")
    else:
        sections = "".join(_section(row, f"Exercício {row.exercise}") for row in rows)
    return f"<h2>Lição {number}, {html.escape(title)}: {_points(points, of)} pontos</h2>\n{sections}"


def _section(row: Row, name: str) -> str:
    answer = row.answer.strip()
    code = f'<details><summary>A sua resposta</summary><pre tabindex="0">{html.escape(answer)}</pre></details>'
    return (
        f'<section style="border-color: {_COLORS[row.status]}"><h3>{row.status} {name}: {VERDICTS[row.status]} '
        f"({_points(row.points, row.of)})</h3><p>{html.escape(row.message)}</p>{code if answer else ''}</section>\n"
    )


def _points(points: float, of: float) -> str:
    return f"{style.number(points)} de {style.number(of)}"
