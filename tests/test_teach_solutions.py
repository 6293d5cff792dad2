"""As lições resolvidas de quem dá aula: executadas com as soluções no lugar dos brancos, e só elas."""

import ast

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from vae_lessons.authoring.exercises import exercises
from vae_lessons.teach import lessons, solutions
from vae_lessons.teach.__main__ import main


@pytest.fixture
def executed(monkeypatch):
    """As execuções pedidas, que aqui só deixam uma saída em cada célula: executar uma lição leva até um minuto."""
    seen = []

    def execute(notebook, folder, *, environment):
        seen.append((notebook, folder, environment))
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text="executada\n")]
        return notebook

    monkeypatch.setattr(solutions, "execute", execute)
    return seen


def test_each_lesson_is_executed_with_its_solutions_and_kept_with_the_outputs(tmp_path, executed):
    output = tmp_path / "aula" / "resolvidas"
    assert main(["solutions", "--output", str(output), "--lessons", "09", "16"]) == 0
    assert sorted(path.name for path in output.iterdir()) == [lessons.file_of("09"), lessons.file_of("16")]
    for number in ("09", "16"):
        original = lessons.load(number)
        kept = nbformat.read(output / lessons.file_of(number), as_version=4)
        nbformat.validate(kept)
        blanks = exercises(original)
        assert blanks
        for blank in blanks:
            source = kept.cells[blank.index].source
            assert blank.solution in source
            assert f'check("{blank.id}"' in source
            assert not [node for node in ast.walk(ast.parse(source)) if getattr(node, "value", None) is ...]
        others = [i for i, cell in enumerate(original.cells) if i not in {blank.index for blank in blanks}]
        assert [kept.cells[i].source for i in others] == [original.cells[i].source for i in others]
        assert all(cell.outputs for cell in kept.cells if cell.cell_type == "code")
    assert [folder for _, folder, _ in executed] == [output, output]


def test_the_kernel_runs_as_when_lessons_are_stored(tmp_path, executed, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    main(["solutions", "--output", str(tmp_path), "--lessons", "09"])
    assert "PATH" in executed[0][2]
    assert "OMP_NUM_THREADS" not in executed[0][2]


def test_without_a_choice_they_are_all_there(tmp_path, executed):
    solutions.write_solutions(tmp_path, progress=False)
    assert {path.name for path in tmp_path.iterdir()} == {lessons.file_of(number) for number in lessons.numbers()}


def test_a_lesson_that_does_not_exist_is_refused_before_any_is_executed(tmp_path, executed, capsys):
    assert main(["solutions", "--output", str(tmp_path / "nova"), "--lessons", "09", "99"]) == 1
    assert "não há lição '99'" in capsys.readouterr().err
    assert not executed
    assert not (tmp_path / "nova").exists()


def test_a_file_in_the_place_of_the_folder_is_refused_in_portuguese(tmp_path, executed, capsys):
    (tmp_path / "resolvidas").write_text("não sou uma pasta", encoding="utf-8")
    assert main(["solutions", "--output", str(tmp_path / "resolvidas"), "--lessons", "09"]) == 1
    assert "há um arquivo onde devia estar uma pasta" in capsys.readouterr().err
    assert not executed


def test_a_lesson_that_fails_says_which_and_the_ones_before_it_stay(tmp_path, executed, capsys, monkeypatch):
    right = solutions.execute

    def fails_on_16(notebook, folder, *, environment):
        if "Museu" in notebook.cells[0].source:
            raise CellExecutionError("o rastro", "NameError", "o nome não existe")
        return right(notebook, folder, environment=environment)

    monkeypatch.setattr(solutions, "execute", fails_on_16)
    assert main(["solutions", "--output", str(tmp_path), "--lessons", "09", "16"]) == 1
    said = capsys.readouterr().err
    assert f"{lessons.file_of('16')}: uma célula falhou" in said
    assert "o rastro" in said
    assert [path.name for path in tmp_path.iterdir()] == [lessons.file_of("09")]
