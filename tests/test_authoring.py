"""As ferramentas de quem escreve lições, em lições de brinquedo."""

import os
import subprocess
import sys

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from vae_lessons.authoring import lab, store
from vae_lessons.authoring.exercises import exercises, solved, verdicts
from vae_lessons.authoring.offline import kernels_without_network
from vae_lessons.authoring.running import execute
from vae_lessons.authoring.store import as_terminal, tidy

# Achar os exercícios e as soluções

ASK = 'answer = ...\n\ncheck("00.1", answer)'
SOLVE = "<details><summary>Solução</summary>\n\nPorque sim.\n\n```python\nanswer = 42\n```\n\n</details>"


def toy(*cells):
    return new_notebook(cells=list(cells))


def tagged(cell, *names):
    cell.metadata.tags = list(names)
    return cell


def question(source=ASK):
    return tagged(new_code_cell(source), "exercise")


def answer(source=SOLVE):
    return tagged(new_markdown_cell(source), "solution")


def printing(source="print(1)"):
    return new_code_cell(source, outputs=[new_output("stream", text="1\n")])


def test_exercise_and_solution_are_found():
    (found,) = exercises(toy(new_markdown_cell("# Título"), question(), answer(), new_code_cell("1")))
    assert found == ("00.1", 1, "answer = ...\n\n", "answer = 42")


def test_solution_replaces_the_blank_and_keeps_the_check():
    lesson = toy(question(), answer())
    assert solved(lesson).cells[0].source == 'answer = 42\n\ncheck("00.1", answer)'
    assert lesson.cells[0].source == ASK


@pytest.mark.parametrize(
    "cells",
    [
        [question()],
        [answer()],
        [question(), new_code_cell("1"), answer()],
        [question(), answer(), answer()],
        [question("answer = ..."), answer()],
        [question(ASK + "\nprint(1)"), answer()],
        [question("answer = ...\ncheck(name, answer)"), answer()],
        [question(), answer(SOLVE.replace("```python", "```"))],
        [question(), answer(SOLVE.replace("\n\n```python", "\n```python"))],
        [question(), answer(SOLVE.replace("\n</details>", "\n```python\nanswer = 0\n```\n\n</details>"))],
        [question(), answer(SOLVE.replace("<details>", ""))],
    ],
)
def test_malformed_exercise_is_refused(cells):
    with pytest.raises(ValueError, match=r"célula|Célula"):
        exercises(toy(*cells))


def test_verdicts_are_read_from_text_and_not_from_html():
    html = new_output("display_data", data={"text/html": "✅", "text/plain": "❌ não"})
    assert verdicts(new_code_cell(outputs=[html, new_output("stream", text="⏳\n")])) == ["❌", "⏳"]


def test_toy_lesson_waits_when_blank_and_passes_when_solved(tmp_path):
    check = new_code_cell(
        'def check(name, answer):\n    print("⏳" if answer is ... else "✅" if answer == 42 else "❌")'
    )
    lesson = toy(check, question(), answer())
    assert verdicts(execute(lesson, tmp_path).cells[1]) == ["⏳"]
    assert verdicts(execute(solved(lesson), tmp_path).cells[1]) == ["✅"]


# Executar


def printed(notebook, folder, **settings):
    return [output.text for cell in execute(notebook, folder, **settings).cells for output in cell.outputs]


def test_kernel_works_in_the_folder_and_with_the_environment_it_is_given(tmp_path):
    asking = toy(new_code_cell("import os\nprint(os.getcwd(), os.environ.get('RESPOSTA'))"))
    assert printed(asking, tmp_path, environment={**os.environ, "RESPOSTA": "42"}) == [f"{tmp_path} 42\n"]
    assert asking.cells[0].outputs == []


def test_cell_that_takes_too_long_is_stopped(tmp_path):
    with pytest.raises(CellTimeoutError):
        execute(toy(new_code_cell("import time\ntime.sleep(60)")), tmp_path, timeout=1)


USES = {
    "connect": "socket.socket().connect(('192.0.2.1', 80))",
    "getaddrinfo": "socket.getaddrinfo('example.org', 80)",
    "udp": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 80))",
    "ipv6": "socket.socket(socket.AF_INET6).connect(('2001:db8::1', 80))",
    "urllib": "import urllib.request; urllib.request.urlopen('http://example.org')",
}


def test_kernel_without_network_refuses_what_leaves_the_machine_and_hides_nothing(tmp_path):
    template = "import socket\ntry:\n    {}\nexcept OSError as error:\n    print(error)"
    attempts = [new_code_cell(template.format(use)) for use in USES.values()]
    local = "server = socket.create_server(('127.0.0.1', 0))\n"
    local += "with server, socket.create_connection(server.getsockname()):\n    print('local')"
    names = "print([name for name in dir() if 'refuse' in name])"
    with kernels_without_network():
        said = printed(toy(*attempts, new_code_cell(local), new_code_cell(names)), tmp_path)
    assert all("A lição tentou usar a rede" in text for text in said[: len(USES)])
    assert said[len(USES) :] == ["local\n", "[]\n"]


def test_the_kernels_of_these_tests_have_no_network(tmp_path):
    """É o conftest.py da raiz que a tira; que ele alcance os do nbval, prova-o test_tests_bite.py."""
    with pytest.raises(CellExecutionError, match="tentou usar a rede"):
        execute(toy(new_code_cell(f"import socket\n{USES['connect']}")), tmp_path)


def test_network_comes_back_afterwards(monkeypatch):
    for before in (None, "/uma/pasta"):
        monkeypatch.delenv("IPYTHONDIR", raising=False)
        if before:
            monkeypatch.setenv("IPYTHONDIR", before)
        with kernels_without_network():
            assert os.environ["IPYTHONDIR"] != before
        assert os.environ.get("IPYTHONDIR") == before


# Guardar


def test_streams_are_stored_as_a_terminal_would_show_them():
    assert as_terminal("  0%\r 50%\r100%\npronto\n") == "100%\npronto\n"
    assert as_terminal("longo\rab \n") == "ab go\n"
    first, second, last = (new_output("stream", name="stdout", text=text) for text in ("a", "b\r", "a"))
    picture = new_output("display_data", data={"text/plain": "figura"})
    (cell,) = tidy(toy(new_code_cell(outputs=[first, second, picture, last]))).cells
    assert [output.get("text", "figura") for output in cell.outputs] == ["ab", "figura", "a"]


def test_stored_lesson_forgets_the_machine_and_the_widgets_that_need_its_kernel(tmp_path):
    lesson = toy(new_code_cell("import ipywidgets\nipywidgets.IntSlider(description='σ')"))
    first, second = (tidy(execute(lesson, tmp_path)) for _ in range(2))
    assert first == second == tidy(first)
    assert first.metadata.keys() == {"kernelspec", "language_info"}
    assert first.cells[0].outputs[0].data == {"text/plain": "IntSlider(value=0, description='σ')"}


def test_lesson_is_not_overwritten_when_a_cell_fails(tmp_path, capsys):
    path = tmp_path / "lesson.ipynb"
    nbformat.write(toy(new_code_cell("1 / 0")), path)
    before = path.read_bytes()
    assert store.main([str(path)]) == 1
    assert path.read_bytes() == before
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_an_output_that_was_only_a_widget_leaves_nothing_behind():
    widget = new_output("display_data", data={"application/vnd.jupyter.widget-view+json": {"model_id": "1"}})
    still = new_output("display_data", data={"image/png": "figura", "text/plain": "um mapa"})
    assert tidy(toy(new_code_cell(outputs=[still, widget]))).cells[0].outputs == [still]


def test_lesson_is_stored_with_its_outputs_and_nothing_of_this_session(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    path = tmp_path / "lesson.ipynb"
    nbformat.write(toy(new_code_cell("import os\nprint(os.environ.get('OMP_NUM_THREADS'))")), path)
    assert store.main([str(path)]) == 0
    assert nbformat.read(path, 4).cells[0].outputs[0].text == "None\n"
    assert path.read_text(encoding="utf-8").endswith("}\n")
    assert capsys.readouterr().out.endswith("célula 1 de 1: guardada\n")


def test_lesson_is_stored_where_the_output_is_not_utf8(tmp_path):
    path = tmp_path / "lesson.ipynb"
    nbformat.write(toy(new_code_cell("print('ação ✅')")), path)
    command = [sys.executable, "-m", "vae_lessons.authoring.store", str(path)]
    settings = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    assert b"guardada" in subprocess.run(command, env=settings, capture_output=True, check=True).stdout
    assert nbformat.read(path, 4).cells[0].outputs[0].text == "ação ✅\n"


def test_store_says_which_lesson_it_did_not_find(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for arguments, said in ([["nada.ipynb"], "não encontrei nada.ipynb"], [[], "não encontrei lição alguma"]):
        with pytest.raises(SystemExit) as stopped:
            store.main(arguments)
        assert stopped.value.code == 2
        assert said in capsys.readouterr().err


# Fotografar


def test_lab_says_what_to_install(tmp_path, monkeypatch, capsys):
    path = tmp_path / "lesson.ipynb"
    nbformat.write(toy(), path)
    monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
    with pytest.raises(SystemExit):
        lab.main([str(path), str(tmp_path)])
    assert 'falta o Playwright: pip install -e ".[browser]"' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        lab.main([str(tmp_path / "nada.ipynb"), str(tmp_path)])
    assert "não encontrei" in capsys.readouterr().err


def test_lab_photographs_every_cell_and_reports_errors(tmp_path, capsys):
    pytest.importorskip("playwright", reason='falta o playwright: instale o pacote com pip install -e ".[browser]"')
    if lab.CHROMIUM is None:
        pytest.skip("falta um navegador no PATH: chromium, chromium-browser ou google-chrome")
    path = tmp_path / "lesson.ipynb"
    lesson = toy(new_markdown_cell("# Título"), new_code_cell("print('olá')"), new_code_cell("1 / 0"))
    nbformat.write(tidy(lesson), path)  # tidy diz qual é o kernel; sem isso o JupyterLab o perguntaria
    assert lab.main([str(path), str(tmp_path / "fotos")]) == 1
    pictures = sorted((tmp_path / "fotos").glob("*.png"))
    assert [picture.name for picture in pictures] == ["celula_00.png", "celula_01.png", "celula_02.png"]
    assert all(picture.stat().st_size > 500 for picture in pictures)
    assert "ZeroDivisionError" in capsys.readouterr().err
