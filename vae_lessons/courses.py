"""Que lições cabem num curso de tantas horas.

Uma lição entra se as de que ela precisa também entram e se cabe o caminho essencial dela; entram primeiro as que um
curso menos dispensa. Se couberem todas, o tempo que resta paga aprofundamentos, na mesma ordem. Os minutos são os da
leitura, com os exercícios, que cada lição promete: o que sobrar é da turma, para perguntas e trabalhos.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from vae_lessons import series
from vae_lessons.series import Lesson
from vae_lessons.tables import html_table, lesson_link

PREFERENCE = (
    *("00", "01", "03", "02", "04"),  # o VAE
    *(
        "06",
        "07",
        "05",
        "15",
    ),  # o que dá errado, o que se faz com rótulos e com latentes discretos, e os outros modelos
    *("08", "09", "12", "13", "14"),  # variantes e aplicações
    *("10", "11", "16"),
)

_COLUMNS = (("curso", "14%"), ("caminho essencial", "36%"), ("lição inteira", "36%"), ("sobra", "14%"))


class Course(NamedTuple):
    """hours: as do curso · essential: as lições de que se faz só o caminho essencial · whole: as que se fazem inteiras
    · left: os minutos que sobram."""

    hours: float
    essential: tuple[Lesson, ...]
    whole: tuple[Lesson, ...]
    left: int


class Table:
    """Cursos numa tabela, um por linha, e a série inteira na última."""

    def __init__(self, courses: Sequence[Course], lessons: Sequence[Lesson]):
        self.courses, self.lessons = courses, lessons

    def __repr__(self) -> str:
        lines = [
            f"{course.hours} horas: pelo caminho essencial, {_numbers(course.essential)}; inteiras, "
            f"{_numbers(course.whole)}; sobram {written(course.left)}"
            for course in self.courses
        ]
        essential, whole = totals(self.lessons)
        return "\n".join([*lines, f"a série: {written(essential)} no caminho essencial, {written(whole)} inteira"])

    def _repr_html_(self) -> str:
        rows = [
            [f"{course.hours} horas", _links(course.essential), _links(course.whole), written(course.left)]
            for course in self.courses
        ]
        essential, whole = totals(self.lessons)
        return html_table(_COLUMNS, [*rows, ["a série", written(essential), written(whole), ""]])


def course(hours: float, lessons: Sequence[Lesson] = series.LESSONS) -> Course:
    """O curso de `hours` horas. Levanta ValueError se não couber nem a primeira lição."""
    by_number = {lesson.number: lesson for lesson in lessons}
    order = [by_number[number] for number in PREFERENCE if number in by_number]
    left, chosen = round(60 * hours), {}
    while fits := [
        lesson
        for lesson in order
        if lesson.number not in chosen and set(lesson.needs) <= set(chosen) and lesson.minutes[0] <= left
    ]:
        chosen[fits[0].number] = fits[0]
        left -= fits[0].minutes[0]
    if not chosen:
        raise ValueError(f"Em {hours} horas não cabe nem a lição {order[0].number}, de {order[0].minutes[0]} minutos.")
    whole = set()
    for lesson in order if len(chosen) == len(order) else []:
        more = lesson.minutes[1] - lesson.minutes[0]
        if more <= left:
            whole.add(lesson.number)
            left -= more
    in_order = sorted(chosen.values())
    return Course(
        hours=hours,
        essential=tuple(lesson for lesson in in_order if lesson.number not in whole),
        whole=tuple(lesson for lesson in in_order if lesson.number in whole),
        left=left,
    )


def table(*hours: float) -> Table:
    """Os cursos destas horas, numa tabela: `courses.table(8, 16, 30)`."""
    return Table([course(each) for each in hours], series.LESSONS)


def totals(lessons: Iterable[Lesson] = series.LESSONS) -> tuple[int, int]:
    """Os minutos da série: no caminho essencial e inteira."""
    essential, whole = zip(*(lesson.minutes for lesson in lessons), strict=True)
    return sum(essential), sum(whole)


def written(minutes: int) -> str:
    """135 → "2 h 15 min"."""
    hours, rest = divmod(minutes, 60)
    return " ".join(part for part in (f"{hours} h" * bool(hours), f"{rest} min" * bool(rest)) if part) or "0 min"


def _links(lessons: Iterable[Lesson]) -> str:
    return " · ".join(lesson_link(lesson.file, lesson.number) for lesson in lessons) or "—"


def _numbers(lessons: Iterable[Lesson]) -> str:
    return " ".join(lesson.number for lesson in lessons) or "nenhuma"
