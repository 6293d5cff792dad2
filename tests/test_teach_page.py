"""A página de um aluno: lição por lição, o que ele respondeu e por quê."""

import re

from vae_lessons.teach.grades import Row
from vae_lessons.teach.page import student_page

UNREADABLE = "03_vae.ipynb: não é JSON."
ROWS = [
    Row("01.1", "✅", 2, 2, "certo!", answer="a = 1"),
    Row("01.2", "❌", 0, 0.5, "falta <o> ½"),
    *(Row(f"03.{n}", "❌", 0, 1, UNREADABLE) for n in range(1, 8)),
]


def headings(page: str, level: int) -> list[str]:
    return re.findall(rf"<h{level}>(.*?)</h{level}>", page)


def test_each_lesson_has_its_title_and_its_points():
    assert headings(student_page("Ana", ROWS), 2) == [
        "Lição 01, A ELBO: 2 de 2,5 pontos",
        "Lição 03, O VAE: 0 de 7 pontos",
    ]


def test_what_was_said_of_a_whole_lesson_is_said_once():
    page = student_page("Ana", ROWS)
    assert page.count(UNREADABLE) == 1
    assert headings(page, 3) == [
        "✅ Exercício 01.1: certo (2 de 2)",
        "❌ Exercício 01.2: errado (0 de 0,5)",
        "❌ Tudo, de 03.1 a 03.7: errado (0 de 7)",
    ]


def test_what_comes_from_the_student_is_text():
    page = student_page("<b>Ana", [Row("01.1", "❌", 0, 1, "veio <i>", answer="<script>")])
    assert not re.search("<b>|<i>|<script>", page)
