"""O glossário das lições: cada termo em português, em inglês, a lição que o define e uma definição de uma frase.

Os termos estão em glossary.tsv, um por linha e em ordem alfabética: termo, inglês, lição e definição, separados por um
caractere de tabulação.
"""

import functools
import html
import unicodedata
from importlib.resources import files
from typing import NamedTuple

from vae_lessons import series
from vae_lessons.tables import html_table, lesson_link

_COLUMNS = (("termo", "22%"), ("em inglês", "20%"), ("lição", "6%"), ("definição", "52%"))


class Term(NamedTuple):
    """term: em português · english: como aparece nos artigos · lesson: "03", a que o define · definition: uma frase."""

    term: str
    english: str
    lesson: str
    definition: str


class Table:
    """Termos numa tabela: em HTML, com um link para a lição que define cada um; em texto, uma linha por termo."""

    def __init__(self, rows: tuple[Term, ...]):
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return "\n".join(f"{row.term} ({row.english}, lição {row.lesson}): {row.definition}" for row in self.rows)

    def _repr_html_(self) -> str:
        return html_table(_COLUMNS, map(_cells, self.rows))


@functools.cache
def terms() -> tuple[Term, ...]:
    """Todos os termos, em ordem alfabética."""
    text = files("vae_lessons").joinpath("glossary.tsv").read_text(encoding="utf-8")
    return tuple(Term(*line.split("\t")) for line in text.splitlines())


def table(containing: str = "", *, lesson: str | None = None) -> Table:
    """O glossário, ou a parte dele que se pede.

    containing: só os termos em que isto aparece, em português ou em inglês, sem olhar acentos nem maiúsculas ·
    lesson: só os que esta lição define, "03".
    Levanta ValueError se nenhum termo servir.
    """
    wanted = plain(containing)
    rows = tuple(
        row
        for row in terms()
        if (wanted in plain(row.term) or wanted in plain(row.english)) and lesson in (None, row.lesson)
    )
    if not rows:
        where = f" na lição {lesson}" if lesson is not None else ""
        raise ValueError(f"Nenhum termo do glossário contém {containing!r}{where}. Procure por uma parte da palavra.")
    return Table(rows)


def plain(text: str) -> str:
    """O texto sem acentos e em minúsculas, com "beta" por β: a ordem alfabética e a busca não veem a diferença."""
    decomposed = unicodedata.normalize("NFD", text.casefold().replace("β", "beta"))
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _cells(row: Term) -> list[str]:
    (file,) = (lesson.file for lesson in series.LESSONS if lesson.number == row.lesson)
    return [
        f"<b>{html.escape(row.term)}</b>",
        f'<i lang="en">{html.escape(row.english)}</i>',
        lesson_link(file, row.lesson),
        html.escape(row.definition),
    ]
