"""Os assuntos das lições: cada conceito, fórmula, variante, aplicação, figura e pergunta, e a seção que trata dele.

Estão em subjects.tsv, um por linha: tipo, assunto, lição, seção e expressão, separados por um caractere de tabulação. A
seção é um título da lição, com o número e sem asteriscos, ou o resumo de um bloco recolhido, depois de "▸ "; a
expressão está no texto dela, e é por ela que se confere que a seção fala do assunto. Um assunto que está em mais de um
lugar tem uma linha para cada um, com o principal na frente; o de uma lição em preparação pode ter a seção e a expressão
vazias.
"""

import functools
import html
import itertools
import textwrap
from importlib.resources import files
from typing import NamedTuple

from vae_lessons import series
from vae_lessons.glossary import plain
from vae_lessons.tables import html_table, lesson_link

KINDS = ("pergunta", "conceito", "fórmula", "variante", "aplicação", "prática", "limite", "figura")

_LONGEST = 60  # letras que se mostram do resumo de um bloco


class Subject(NamedTuple):
    """kind: um de KINDS · subject: o assunto, numa frase · lesson: "03" · section: a seção da lição que trata dele ·
    phrase: o que está escrito nela."""

    kind: str
    subject: str
    lesson: str
    section: str
    phrase: str


class Table:
    """Assuntos numa tabela: em HTML, com vínculos para as seções; em texto, uma linha por assunto."""

    def __init__(self, rows: tuple[Subject, ...]):
        self.rows = rows

    def __len__(self) -> int:
        return len(self._grouped())

    def __repr__(self) -> str:
        return "\n".join(
            f"{subject} ({kind}): {'; '.join(_place(row) for row in places)}"
            for (kind, subject), places in self._grouped().items()
        )

    def _repr_html_(self) -> str:
        cells = [
            (html.escape(subject), kind, "<br>".join(dict.fromkeys(_linked_place(row) for row in places)))
            for (kind, subject), places in self._grouped().items()
        ]
        if len({kind for _, kind, _ in cells}) == 1:
            return html_table((("assunto", "48%"), ("onde", "52%")), [(subject, where) for subject, _, where in cells])
        return html_table((("assunto", "44%"), ("tipo", "10%"), ("onde", "46%")), cells)

    def _grouped(self) -> dict[tuple[str, str], list[Subject]]:
        return {key: list(places) for key, places in itertools.groupby(self.rows, key=lambda row: row[:2])}


@functools.cache
def subjects() -> tuple[Subject, ...]:
    """Todos, na ordem do arquivo."""
    text = files("vae_lessons").joinpath("subjects.tsv").read_text(encoding="utf-8")
    return tuple(Subject(*line.split("\t")) for line in text.splitlines())


def table(containing: str = "", *, kind: str | None = None, lesson: str | None = None) -> Table:
    """Os assuntos, ou os que se pedem.

    containing: só os que têm isto, sem olhar acentos nem maiúsculas · kind: só os deste tipo, um de KINDS · lesson: só
    os que esta lição trata, "03".
    Levanta ValueError se o tipo não existir ou se nenhum assunto servir.
    """
    if kind not in (None, *KINDS):
        raise ValueError(f"Não há assuntos do tipo {kind!r}. Os tipos são: {', '.join(KINDS)}.")
    wanted = plain(containing)
    chosen = [row for row in subjects() if wanted in plain(row.subject) and kind in (None, row.kind)]
    if lesson is not None:
        there = {row[:2] for row in chosen if row.lesson == lesson}
        chosen = [row for row in chosen if row[:2] in there]
    if not chosen:
        raise ValueError("Nenhum assunto serve. Procure por uma parte da palavra, ou veja todos com subjects.table().")
    return Table(tuple(chosen))


def _file(row: Subject) -> str | None:
    """O arquivo da lição; None se ela está em preparação."""
    return next((lesson.file for lesson in series.LESSONS if lesson.number == row.lesson), None)


def _place(row: Subject) -> str:
    return f"lição {row.lesson}, {row.section if _file(row) else 'em preparação'}"


def _linked_place(row: Subject) -> str:
    if (file := _file(row)) is None:
        return html.escape(_place(row))
    heading = "" if row.section.startswith("▸") else row.section
    shown = heading or textwrap.shorten(row.section, _LONGEST, placeholder="…")
    return lesson_link(file, f"{row.lesson} · {shown}", heading)  # o vínculo diz aonde leva também fora da tabela
