"""O que os alunos recebem não tem soluções, diz quanto vale, e é também o que o nbgrader espera."""

import copy
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from unittest.mock import Mock

import nbformat
import pytest

from vae_lessons.authoring.exercises import exercises
from vae_lessons.exercises import EXERCISES, score
from vae_lessons.teach import lessons
from vae_lessons.teach.__main__ import main
from vae_lessons.teach.distribute import distribute

NBGRADER = os.environ.get("NBGRADER") or shutil.which("nbgrader")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    output = tmp_path_factory.mktemp("aula") / "turma"
    distribute(output, chosen=["01", "09"], class_name="VAE, 2026", points={"09.1": 2.5})
    return output


@pytest.fixture(scope="module")
def lesson(folder):
    return nbformat.read(folder / lessons.file_of("09"), as_version=4)


def test_no_solution_is_left(lesson):
    text = "\n".join(cell.source for cell in lesson.cells)
    assert "<summary>Solução</summary>" not in text
    assert not [exercise.id for exercise in exercises(lessons.load("09")) if exercise.solution in text]


def test_the_rest_of_the_lesson_is_as_it_was(lesson):
    original = lessons.load("09")
    kept = [cell.source for cell in original.cells if cell.cell_type == "code"]
    given = [cell.source for cell in lesson.cells if cell.cell_type == "code" and not cell.id.startswith("pontos")]
    assert given == kept
    assert any(cell.get("outputs") for cell in lesson.cells)


def test_outputs_can_be_cleared(tmp_path):
    distribute(tmp_path / "turma", chosen=["09"], clear_outputs=True)
    cleared = nbformat.read(tmp_path / "turma" / lessons.file_of("09"), as_version=4)
    assert not any(cell.get("outputs") for cell in cleared.cells)


def test_the_class_and_the_points_are_told_at_the_start(lesson):
    assert lesson.cells[1].source == (
        "**Turma:** VAE, 2026. **Pontos:** 6,5 ao todo; 09.1 (2,5), 09.2 (1), 09.3 (1), 09.4 (1), 09.5 (1)."
    )
    assert lesson.metadata["vae_lessons"] == {"lesson": "09", "class": "VAE, 2026"}


def test_links_to_lessons_the_class_did_not_get_are_only_words(lesson):
    text = "".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
    assert "(00_comece_aqui.ipynb" not in text
    assert "(03_vae.ipynb" not in text


def test_the_zip_holds_the_same_files(folder):
    with zipfile.ZipFile(folder.with_name("turma.zip")) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            f"turma/{path.name}": path.read_bytes() for path in folder.iterdir()
        }


def test_every_exercise_has_an_open_cell_and_a_locked_one_with_its_points(lesson):
    marks = [cell.metadata["nbgrader"] for cell in lesson.cells if "nbgrader" in cell.metadata]
    assert len({mark["grade_id"] for mark in marks}) == len(marks) == 10
    assert [mark["points"] for mark in marks if mark["grade"]] == [2.5, 1, 1, 1, 1]
    assert all(mark["solution"] != mark["grade"] == mark["locked"] for mark in marks)


def test_the_cell_of_points_shows_a_number_that_a_program_reads():
    assert repr(score("09.1", EXERCISES["09.1"].solution, of=2.5)) == "2.5"
    assert repr(score("09.1", ..., of=2.5)) == "0.0"
    assert "2,5 de 2,5" in score("09.1", EXERCISES["09.1"].solution, of=2.5)._repr_html_()


def test_what_does_not_exist_cannot_be_distributed(tmp_path, capsys):
    assert main(["distribute", "--output", str(tmp_path / "turma"), "--lessons", "77"]) == 1
    assert "não há lição '77'" in capsys.readouterr().err
    assert main(["distribute", "--output", str(tmp_path / "turma"), "--lessons", "09", "--points", "01.1=2"]) == 1
    assert "01.1" in capsys.readouterr().err
    assert not (tmp_path / "turma").exists()


@pytest.mark.parametrize("program", [[], ["distribute"], ["solutions"], ["correct"], ["report"]])
def test_help_is_in_portuguese(program, capsys):
    with pytest.raises(SystemExit):
        main([*program, "--help"])
    text = capsys.readouterr().out
    assert text.startswith("uso: ")
    assert "mostra esta ajuda e sai" in text
    assert "optional arguments" not in text
    assert "options:" not in text


def test_complaints_are_in_portuguese(capsys):
    for arguments in (
        ["correct"],
        ["nada"],
        ["distribute", "--output", "x", "--points", "01.1=zero"],
        ["report", "x", "--y"],
        ["correct", "x", "--output", "y", "--workers", "0"],
    ):
        with pytest.raises(SystemExit):
            main(arguments)
        complaint = capsys.readouterr().err.splitlines()[-1]
        assert any(words in complaint for words in ("falta", "não está entre", "não pode ser", "não conheço")), (
            complaint
        )


def test_what_stands_in_the_way_is_told_in_portuguese(tmp_path, capsys):
    (tmp_path / "arquivo").write_text("")
    for arguments, said in (
        (["report", tmp_path / "nada"], "não há correção em"),
        (["correct", tmp_path / "nada", "--output", tmp_path / "notas"], "não encontrei a pasta das entregas"),
        (["correct", tmp_path, "--output", tmp_path / "arquivo"], "há um arquivo onde devia estar uma pasta"),
        (["distribute", "--lessons", "09", "--output", tmp_path / "arquivo" / "turma"], "há um arquivo onde devia"),
    ):
        assert main(list(map(str, arguments))) == 1
        assert said in capsys.readouterr().err


def test_a_defect_of_the_program_is_not_told_as_a_mistake_of_who_runs_it(tmp_path, monkeypatch):
    for error in (ValueError("um defeito"), OSError("um defeito")):
        monkeypatch.setattr("vae_lessons.teach.report.write_report", Mock(side_effect=error))
        with pytest.raises(type(error), match="um defeito"):
            main(["report", str(tmp_path)])


@pytest.mark.parametrize(("program", "said"), [("distribute", "pasta inteira"), ("report", "fazer a página")])
def test_who_interrupts_is_told_how_to_go_on(program, said, tmp_path, monkeypatch, capsys):
    function = {"distribute": "distribute.distribute", "report": "report.write_report"}[program]
    monkeypatch.setattr(f"vae_lessons.teach.{function}", Mock(side_effect=KeyboardInterrupt))
    arguments = [str(tmp_path)] if program == "report" else ["--output", str(tmp_path)]
    assert main([program, *arguments]) == 130
    assert said in capsys.readouterr().err


# O nbgrader de verdade, num ambiente só dele: outras versões do Jupyter não devem tocar as das lições.


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """Uma pasta de curso com o começo da lição 09, até o segundo exercício, e os kernels deste Python."""
    root = tmp_path_factory.mktemp("nbgrader")
    distribute(root / "turma", chosen=["09"], points={"09.1": 2.5}, course=root / "curso")
    path = root / "curso" / "source" / "licoes" / lessons.file_of("09")
    notebook = nbformat.read(path, as_version=4)
    end = [i for i, cell in enumerate(notebook.cells) if cell.metadata.get("nbgrader", {}).get("grade")][1]
    notebook.cells = notebook.cells[: end + 1]
    nbformat.write(notebook, path)
    kernel = root / "jupyter" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"}), encoding="utf-8")
    return root


def nbgrader(course: Path, *arguments: str) -> None:
    environment = os.environ | {
        "JUPYTER_PATH": str(course / "jupyter"),
        "PATH": f"{Path(NBGRADER).parent}{os.pathsep}{os.environ['PATH']}",  # ele chama o alembic
    }
    done = subprocess.run(
        [NBGRADER, *arguments], cwd=course / "curso", env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(
    not NBGRADER, reason="NBGRADER não diz onde está o nbgrader (pip install nbgrader, noutro ambiente)."
)
def test_nbgrader_takes_the_same_files(course):
    name = lessons.file_of("09")
    nbgrader(course, "generate_assignment", "licoes")
    released = nbformat.read(course / "curso" / "release" / "licoes" / name, as_version=4)
    blank = [cell.source for cell in released.cells if cell.metadata.get("nbgrader", {}).get("solution")]
    assert all("return ..." in source and "check(" in source for source in blank)
    for student, answer in (("ana", "-0.5 * torch.log(1 - rho**2)"), ("beto", "...")):
        submitted = copy.deepcopy(released)
        for cell in submitted.cells:
            if 'check("09.1"' in cell.source:
                cell.source = cell.source.replace("return ...", f"return {answer}")
            if "score(" in cell.source:
                cell.source = "2.5"  # quem reescreve a célula dos pontos não os ganha
        path = course / "curso" / "submitted" / student / "licoes" / name
        path.parent.mkdir(parents=True)
        nbformat.write(submitted, path)
    nbgrader(course, "autograde", "licoes", "--create")
    nbgrader(course, "generate_feedback", "licoes")
    nbgrader(course, "export")
    grades = (course / "curso" / "grades.csv").read_text(encoding="utf-8").splitlines()
    columns = grades[0].split(",")
    points = {
        row.split(",")[columns.index("student_id")]: float(row.split(",")[columns.index("raw_score")])
        for row in grades[1:]
    }
    assert points == {"ana": 2.5, "beto": 0.0}
    feedback = course / "curso" / "feedback" / "ana" / "licoes" / name.replace(".ipynb", ".html")
    assert "Exercício 09.1" in feedback.read_text(encoding="utf-8")
