"""A turma de uma vez: a figura diz quem acertou o quê, e a tabela, que erros se cometeram e quantas vezes."""

import re

import pytest
from classroom import corrected, deliver, submission

from vae_lessons.teach.grades import RESULTS, Row
from vae_lessons.teach.lessons import Refused
from vae_lessons.teach.report import class_figure, named_mistakes, report_page, write_report

CLASS = {
    "ana": [Row("01.1", "✅", 1, 1, "certo!"), Row("01.2", "❌", 0, 1, "sobra um ½ em x", "sobra um ½.")],
    "beto": [Row("01.1", "✅", 1, 1, "certo!"), Row("01.2", "❌", 0, 1, "sobra um ½ em y", "sobra um ½.")],
    "célia": [Row("01.1", "❌", 0, 1, "os números não batem"), Row("01.2", "❌", 0, 1, "faltou <x>", "faltou <x>.")],
    "davi": [Row("01.1", "✅", 1, 1, "certo!"), Row("01.2", "✅", 1, 1, "certo!")],
}


def test_mistakes_are_counted_by_name_whatever_the_student_calls_things():
    first, second = named_mistakes(CLASS)
    assert (first.exercise, first.reason, first.students) == ("01.2", "sobra um ½.", ("ana", "beto"))
    assert second.students == ("célia",)


def test_the_figure_has_exercises_by_students_the_easiest_first():
    (ax,) = class_figure(CLASS).axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["01.1  3/4", "01.2  1/4"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["davi", "ana", "beto", "célia"]
    assert ax.images[0].get_array().tolist() == [[2, 2, 2, 1], [2, 1, 1, 1]]


def test_the_figure_does_not_depend_on_color_alone():
    (ax,) = class_figure(CLASS).axes
    assert [text.get_text() for text in ax.texts] == ["✓", "✓", "✓", "×", "✓", "×", "×", "×"]


def test_the_page_stands_alone_and_shows_names_as_text():
    page = report_page(CLASS)
    assert 'alt="Exercícios nas linhas, alunos nas colunas: 4 de 8 respostas certas. A tabela diz quais."' in page
    assert "faltou &lt;x&gt;." in page
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_the_table_says_what_the_figure_shows():
    page = report_page(CLASS)
    head, *rows = re.findall("<tr>(.*?)</tr>", page.partition("<caption>")[2].partition("</table>")[0])
    assert re.findall('<th scope="col">(.*?)</th>', head) == ["Exercício", "davi", "ana", "beto", "célia"]
    assert [re.findall("<t[hd].*?>(.*?)</t", row) for row in rows] == [
        ["01.1", "certo", "certo", "certo", "errado"],
        ["01.2", "certo", "errado", "errado", "errado"],
    ]


def test_a_class_without_named_mistakes_says_so():
    assert "Nenhum erro dos que têm nome." in report_page({"davi": CLASS["davi"]})


def test_the_report_is_made_of_what_correct_left(tmp_path):
    deliver(tmp_path / "entregas", "ana", submission())
    corrected(tmp_path / "entregas", tmp_path / "notas")
    assert "5 de 5 respostas certas" in write_report(tmp_path / "notas").read_text(encoding="utf-8")


@pytest.mark.parametrize("content", [None, "{}", "{meio", "[]", '{"ana": [3]}'])
def test_without_a_correction_there_is_nothing_to_report(tmp_path, content):
    if content:
        (tmp_path / RESULTS).write_text(content, encoding="utf-8")
    with pytest.raises(Refused, match="teach correct"):
        write_report(tmp_path)
