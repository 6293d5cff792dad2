"""Os cursos: o que cabe em tantas horas, com as dependências e a ordem de preferência."""

import pytest

from vae_lessons import courses, series
from vae_lessons.courses import course, table, totals, written
from vae_lessons.series import Lesson

HOURS = (8, 16, 30)


def lesson(number, minutes, needs=()):
    return Lesson(number, f"{number}_x.ipynb", number, "?", needs, (), minutes)


def numbers(lessons):
    return [one.number for one in lessons]


def spent(plan):
    return sum(one.minutes[0] for one in plan.essential) + sum(one.minutes[1] for one in plan.whole)


def test_every_lesson_of_the_series_has_its_preference():
    assert sorted(courses.PREFERENCE) == sorted([*(one.number for one in series.LESSONS), *series.COMING])


@pytest.mark.parametrize("hours", [0.5, 2, 5, *HOURS, 100])
def test_what_is_chosen_fits_and_brings_what_it_needs(hours):
    plan = course(hours)
    chosen = {one.number for one in plan.essential + plan.whole}
    assert spent(plan) + plan.left == 60 * hours
    assert plan.left >= 0
    assert all(set(one.needs) <= chosen for one in plan.essential + plan.whole)


@pytest.mark.parametrize("hours", HOURS)
def test_nothing_else_would_fit(hours):
    plan = course(hours)
    chosen = {one.number for one in plan.essential + plan.whole}
    out = [one for one in series.LESSONS if one.number not in chosen and set(one.needs) <= chosen]
    assert all(one.minutes[0] > plan.left for one in out)
    if len(chosen) == len(series.LESSONS):
        assert all(one.minutes[1] - one.minutes[0] > plan.left for one in plan.essential)


def test_a_longer_course_has_at_least_the_lessons_of_the_first_hours():
    short, middle, long = ({*numbers(plan.essential), *numbers(plan.whole)} for plan in map(course, HOURS))
    assert {"00", "01", "02", "03", "04"} <= short <= middle <= long


def test_a_lesson_that_needs_one_that_does_not_fit_waits():
    lessons = [
        lesson("00", (30, 40)),
        lesson("01", (50, 80), ("00",)),
        lesson("03", (60, 90), ("01",)),
        lesson("04", (20, 30), ("03",)),
        lesson("06", (20, 30), ("00",)),
    ]
    plan = course(2, lessons)
    assert (numbers(plan.essential), numbers(plan.whole), plan.left) == (["00", "01", "06"], [], 20)


def test_the_time_left_pays_for_what_is_deeper_only_if_everything_fits():
    lessons = [lesson("00", (30, 40)), lesson("01", (50, 80)), lesson("03", (60, 65))]
    plan = course(2.6, lessons)
    assert (numbers(plan.essential), numbers(plan.whole), plan.left) == (["01"], ["00", "03"], 1)
    assert course(2, lessons).whole == ()


def test_where_not_even_the_first_fits_it_says_so():
    with pytest.raises(ValueError, match=r"Em 0\.1 horas não cabe nem a lição 00, de 30 minutos"):
        course(0.1)


def test_totals_are_the_sums_of_what_lessons_promise():
    assert totals([lesson("00", (30, 40)), lesson("01", (50, 80))]) == (80, 120)
    assert [written(minutes) for minutes in (0, 45, 120, 135)] == ["0 min", "45 min", "2 h", "2 h 15 min"]


def test_the_table_says_the_courses_and_the_whole_series():
    shown = table(*HOURS)
    html = shown._repr_html_()
    assert html.count("<tr>") == 1 + len(HOURS) + 1
    assert 'href="01_elbo.ipynb"' in html
    for text in (html, repr(shown)):
        assert "8 horas" in text
        assert written(totals()[0]) in text
        assert written(totals()[1]) in text
