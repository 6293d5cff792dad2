"""Uma turma se corrige inteira, por mais hostil que seja uma entrega: as outras não sentem, e ela tem o que merece."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import nbformat
import pytest
from classroom import IDS, LESSON, QUICK, corrected, deliver, submission

from vae_lessons.authoring.exercises import solved
from vae_lessons.teach import descendants, isolation, lessons, submissions
from vae_lessons.teach.correct import PAGES, SECRET, class_secret, correct, plan
from vae_lessons.teach.distribute import distribute
from vae_lessons.teach.grades import DETAILS, GRADES, Row, remember, remembered, saved_class
from vae_lessons.teach.sandboxes import Sandbox, SandboxDied

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="A correção só é feita no Linux.")

SEPARATED = isolation.available() if sys.platform == "linux" else frozenset()
RIGHT = "def gap_of_correlation(rho):\n    return -0.5 * torch.log(1 - rho**2)"

# O que se põe na célula do exercício 09.1 de uma lição resolvida → o que se diz. Os outros quatro não sofrem.
ANSWERS = {
    "certa": (RIGHT, "certo!"),
    "certa_com_outro_nome": (
        f"{RIGHT}\nf = gap_of_correlation\ncheck('09.1', f)\ndel gap_of_correlation",
        "parou com NameError",
    ),
    "decorada": (
        "seen = iter([[0.8304, 0.0472, 0.0, 0.1438, 0.5108, 1.9585], [0.0050, 0.2231]])\n"
        "def gap_of_correlation(rho):\n    return torch.tensor(next(seen, [0.0] * 7))",
        "",
    ),
    "nan": ("def gap_of_correlation(rho):\n    return rho * float('nan')", "apareceu NaN"),
    "erro_com_nome": ("def gap_of_correlation(rho):\n    return 0.5 * torch.log(1 - rho**2)", "sinal"),
    "em_branco": ("def gap_of_correlation(rho):\n    return ...", "em branco"),
    "sintaxe": ("def gap_of_correlation(rho:\n    return 1", "o Python não entende a linha"),
    "parênteses_demais": ("(" * 5000, "o Python não entende"),
    "exit": ("exit()", "exit() encerra o programa"),
    "morre": ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "o processo morreu"),
    "sai_calada": ("import os\nos._exit(0)", "o processo morreu"),
    "laço": ("while True:\n    pass", "não terminou"),
    "laço_surdo": (
        "import signal\nfor s in range(1, 32):\n    if s not in (9, 19):\n        signal.signal(s, signal.SIG_IGN)\n"
        "def gap_of_correlation(rho):\n    while True:\n        pass",
        "não terminou",
    ),
    "memória": ("x = bytearray(3 * 2**30)", "faltou memória"),
    "um_giga_de_saída": (f"for i in range(2**10):\n    print('x' * 2**20)\n{RIGHT}", "certo!"),
    "resposta_enorme": ("def gap_of_correlation(rho):\n    return torch.zeros(1).expand(10**9)", "grande demais"),
    "resposta_sem_fundo": (
        "def gap_of_correlation(rho):\n    x = []\n    for _ in range(100_000):\n        x = [x]\n    return x",
        "elementos demais",
    ),
    "objeto_que_mente": (
        "class A:\n    __class__ = property(lambda self: 1 / 0)\n"
        "    def __array__(self, *how):\n        raise SystemExit\n"
        "gap_of_correlation = lambda rho: A()",
        "",
    ),
    "forjada": (
        'import os\nos.write(3, b\'["measured", "09.1", [[["float", "0x0p+0"], "", "", []], 3]]\\n\')\n'
        'os.write(3, b"[" * 10000 + b"\\n")\nos._exit(0)',
        "não pôde ser lida",
    ),
    "enxurrada": ("import os\nwhile True:\n    os.write(3, b'x' * 2**20)", "mais do que cabe"),
    "enxurrada_de_listas": ("import os\nos.write(3, b'[' + b'[],' * 100_000 + b'0]\\n')", "mais do que cabe"),
    "solução_do_pacote": (
        "from vae_lessons.exercises import EXERCISES\ngap_of_correlation = EXERCISES['09.1'].solution",
        "KeyError",
    ),
    "solução_do_arquivo": (
        "from vae_lessons.exercises import lesson_09\ngap_of_correlation = lesson_09._gap",
        "ModuleNotFoundError",
    ),
    "check_remendado": (
        "import vae_lessons.exercises.checking as c\nc._same = c._close = lambda *a: True\n"
        "def check(*a):\n    return True\ndef gap_of_correlation(rho):\n    return 0 * rho",
        "zero",
    ),
}
# O que só se tenta onde a separação o contém.
DANGEROUS = {
    "bomba": ("import os\nwhile True:\n    os.fork()", "mais de 24 processos|temporarily unavailable", "processes"),
    "mata_todos": ("import os\nos.kill(-1, 9)", "ProcessLookupError", "processes"),
    "memória_em_filhos": (
        "import os, time\nfor _ in range(8):\n    if os.fork() == 0:\n        x = bytearray(b'1') * 2**28\n"
        "        time.sleep(60)\ntime.sleep(60)",
        "de memória",
        "processes",
    ),
    "rede": ("import socket\nsocket.create_connection(('1.1.1.1', 80), timeout=2)", "unreachable", "network"),
    "enche_o_disco": (
        "for i in range(9):\n    with open(f'{i}', 'wb') as file:\n        file.write(bytes(2**20))",
        "No space left",
        "files",
    ),
    "escreve_no_pacote": (
        "import vae_lessons\nopen(vae_lessons.__file__, 'a')",
        "Read-only|Permission denied",
        "files",
    ),
}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """Todas as entregas, corrigidas de uma vez; a pasta delas, a das notas e o que se disse."""
    folder, output = tmp_path_factory.mktemp("entregas"), tmp_path_factory.mktemp("notas")
    deliver(folder, "perfeita", submission())
    deliver(folder, "branca", submission(perfect=False))
    for name, (answer, _) in ANSWERS.items():
        deliver(folder, name, submission({"09.1": answer}))
    for name, (answer, _, needs) in DANGEROUS.items():
        if needs in SEPARATED:
            deliver(folder, name, submission({"09.1": answer}))
    spy = f"import os\nraise ValueError([os.path.exists(p) for p in ({str(folder)!r}, {str(output / SECRET)!r})])"
    deliver(folder, "espiã", submission({"09.1": spy}))
    deliver(folder, "não_json", b"isto nao e um caderno")
    deliver(folder, "vazia", b"")
    os.truncate(deliver(folder, "gigante", b"{"), 2**30)
    deliver(folder, "renomeada", submission(), "trabalho final (2).ipynb")
    deliver(folder, "em_outra_pasta", submission(), "semana 3/trabalho.ipynb")
    notebook = submission()
    notebook.metadata.kernelspec = {"name": "ir", "language": "R", "display_name": "R"}
    deliver(folder, "em_R", notebook)
    deliver(folder, "só_três_células", only_exercises(3))
    deliver(folder, "sem_as_da_lição", only_exercises(5))
    deliver(folder, "sem_check", without_checks())
    (folder / "nada").mkdir()
    return folder, output, corrected(folder, output)


def only_exercises(count):
    notebook = submission()
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "code" and 'check("09.' in cell.source][
        :count
    ]
    return notebook


def without_checks():
    notebook = submission()
    for cell in notebook.cells:
        cell.source = "\n".join(line for line in cell.source.splitlines() if not line.startswith("check("))
    return notebook


def signs(graded, student):
    return "".join(sign for sign, _ in graded[2][student].values())


@pytest.mark.parametrize("student", ["perfeita", "renomeada", "em_outra_pasta", "sem_as_da_lição", "sem_check"])
def test_the_right_answers_are_right_wherever_they_are(graded, student):
    assert signs(graded, student) == "✅✅✅✅✅"


def test_blank_is_blank_and_nothing_is_nothing(graded):
    assert signs(graded, "branca") == signs(graded, "nada") == "⏳⏳⏳⏳⏳"
    assert graded[2]["nada"]["09.1"][1] == "não entregou esta lição."


@pytest.mark.parametrize("student", ANSWERS)
def test_what_one_answer_does_is_told_and_does_not_reach_the_others(graded, student):
    _, said = ANSWERS[student]
    sign, message = graded[2][student]["09.1"]
    assert said in message
    assert sign == {"certo!": "✅", "em branco": "⏳"}.get(said, "❌")
    assert signs(graded, student)[1:] == "✅✅✅✅"


@pytest.mark.parametrize("student", DANGEROUS)
def test_what_would_hurt_the_machine_does_not(graded, student):
    _, said, needs = DANGEROUS[student]
    if needs not in SEPARATED:
        pytest.skip(f"esta máquina não separa {needs}")
    assert re.search(said, graded[2][student]["09.1"][1])
    assert signs(graded, student) == "❌✅✅✅✅"


@pytest.mark.skipif("files" not in SEPARATED, reason="esta máquina não separa os arquivos")
def test_the_submissions_of_others_and_the_secret_are_out_of_sight(graded):
    assert "[False, False]" in graded[2]["espiã"]["09.1"][1]


@pytest.mark.parametrize(
    ("student", "said"),
    [
        ("não_json", "não é JSON"),
        ("vazia", "não é JSON"),
        ("gigante", "o arquivo tem 1024 MB"),
        ("em_R", "outra linguagem, r"),
    ],
)
def test_a_file_that_cannot_be_read_is_worth_zero_and_says_why(graded, student, said):
    assert signs(graded, student) == "❌❌❌❌❌"
    assert said in graded[2][student]["09.5"][1]


def test_missing_cells_cost_only_their_points(graded):
    assert signs(graded, "só_três_células") == "✅✅✅⏳⏳"


def test_nothing_outlives_the_correction(graded):
    assert not list(isolation.Path("/tmp").glob("vae-lessons-*/*"))


def test_the_grades_are_a_table_of_student_exercise_points_and_message(graded):
    _, output, told = graded
    with (output / GRADES).open(encoding="utf-8-sig", newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == ["aluno", "exercício", "pontos", "mensagem"]
    assert len(table) == len(told) * len(IDS)
    points = {(row["aluno"], row["exercício"]): float(row["pontos"]) for row in table}
    assert points["perfeita", "09.1"] == 1
    assert points["laço", "09.1"] == 0
    assert points["laço", "09.2"] == 1


def test_a_page_per_student_shows_what_was_answered_as_text(graded):
    _, output, told = graded
    assert {path.stem for path in (output / PAGES).glob("*.html")} == set(told)
    page = (output / PAGES / "erro_com_nome.html").read_text(encoding="utf-8")
    assert "4 de 5 pontos" in page
    assert "return 0.5 * torch.log(1 - rho**2)" in page


def test_a_mistake_that_has_a_name_is_kept_for_the_report(graded):
    _, output, _ = graded
    rows = {row.exercise: row for row in saved_class(output)["erro_com_nome"]}
    assert rows["09.1"].mistake.startswith("só o sinal está trocado")
    assert saved_class(output)["nan"][0].mistake == ""


# Retomar


def test_what_was_corrected_is_not_corrected_again(graded, monkeypatch):
    folder, output, told = graded
    monkeypatch.setattr("vae_lessons.teach.sandboxes.Sandbox._running", lambda self: pytest.fail("corrigiu de novo"))
    assert corrected(folder, output) == told


@pytest.mark.usefixtures("listens_to_interrupts")
def test_an_interrupted_correction_goes_on_from_where_it_was(tmp_path):
    """Um Ctrl-C de verdade: nada se perde, nada fica, e quem estava a meio não é culpado de nada."""
    folder, output, temporary = tmp_path / "entregas", tmp_path / "notas", tmp_path / "temporária"
    temporary.mkdir()
    deliver(folder, "a", submission())
    deliver(folder, "b", submission({"09.1": f"import os, time\nif os.fork():\n    time.sleep(50)\n{RIGHT}"}))
    command = [sys.executable, "-m", "vae_lessons.teach", "correct", folder, "--output", output, "--workers", "1"]
    running = subprocess.Popen(
        command, env=os.environ | {"TMPDIR": str(temporary)}, stderr=subprocess.PIPE, start_new_session=True
    )
    first, second = (output / DETAILS / student / f"{LESSON}.json" for student in "ab")
    while not first.exists() or not list(temporary.glob("*/*")):
        time.sleep(0.05)
        assert running.poll() is None
    os.killpg(running.pid, signal.SIGINT)
    said = running.communicate()[1].decode()
    assert running.returncode == 130
    assert "rode o mesmo comando" in said
    assert "Traceback" not in said
    assert not list(temporary.iterdir())
    assert not [pid for pid in isolation.Path("/proc").glob("[0-9]*") if lives_in(pid, temporary)]
    assert not second.exists()
    before = first.stat().st_mtime_ns
    deliver(folder, "b", submission())
    told = corrected(folder, output, limits=isolation.Limits())
    assert {sign for sign, _ in told["b"].values()} == {"✅"}
    assert first.stat().st_mtime_ns == before


def lives_in(process, folder):
    try:
        return str(folder).encode() in (process / "environ").read_bytes()
    except OSError:
        return False


def test_a_grade_that_cannot_be_read_is_told_to_be_made_again(tmp_path, capsys):
    rows = [Row("09.1", "✅", 0, 0, "certo!")]
    remember(tmp_path, "ana", LESSON, "chave", rows)
    assert remembered(tmp_path, "ana", LESSON, "chave") == rows
    assert remembered(tmp_path, "ana", LESSON, "outra entrega") is None
    path = tmp_path / DETAILS / "ana" / f"{LESSON}.json"
    path.write_text("{meio", encoding="utf-8")  # como se a luz caísse
    assert capsys.readouterr().err == ""
    assert remembered(tmp_path, "ana", LESSON, "chave") is None
    assert str(path) in capsys.readouterr().err


def test_the_class_is_who_and_what_was_asked_last(tmp_path):
    folder, output = tmp_path / "entregas", tmp_path / "notas"
    (folder / "a").mkdir(parents=True)
    (folder / "b").mkdir()
    corrected(folder, output, chosen=["01", LESSON])
    (folder / "b").rmdir()
    corrected(folder, output)
    assert {student: [row.exercise for row in rows] for student, rows in saved_class(output).items()} == {"a": IDS}


def test_a_new_version_of_a_submission_is_corrected(tmp_path):
    folder, output = tmp_path / "entregas", tmp_path / "notas"
    deliver(folder, "a", submission({"09.1": "gap_of_correlation = 3"}))
    assert corrected(folder, output)["a"]["09.1"][0] == "❌"
    deliver(folder, "a", submission())
    assert corrected(folder, output)["a"]["09.1"][0] == "✅"


def test_the_secret_is_made_once_and_only_its_owner_reads_it(tmp_path):
    path = tmp_path / "segredo.txt"
    secret = class_secret(path)
    assert class_secret(path) == secret
    assert len(secret) == 32
    assert path.stat().st_mode & 0o077 == 0


# Pontos, planilhas e nomes


def test_each_exercise_is_worth_what_the_teacher_says(tmp_path):
    deliver(tmp_path / "entregas", "a", submission({"09.1": "gap_of_correlation = 3"}))
    results = correct(
        tmp_path / "entregas", tmp_path / "notas", points={"09.2": 2.5}, limits=QUICK, progress=False, workers=1
    )
    assert [row.points for row in results["a"]] == [0, 2.5, 1, 1, 1]
    page = (tmp_path / "notas" / PAGES / "a.html").read_text(encoding="utf-8")
    assert "5,5 de 6,5 pontos" in page


def test_a_lesson_asked_twice_counts_once(tmp_path):
    (tmp_path / "a").mkdir()
    tasks, taught = plan(submissions.students(tmp_path), [LESSON, LESSON])
    assert (len(tasks), taught) == (1, [LESSON])


@pytest.mark.parametrize(
    ("options", "said"),
    [({"points": {"09.99": 2}}, "09.99"), ({"workers": 0}, "workers"), ({"workers": -1}, "workers")],
)
def test_what_cannot_be_done_is_refused_before_anything_is(tmp_path, options, said):
    with pytest.raises(ValueError, match=said):
        correct(tmp_path, tmp_path / "notas", progress=False, **options)
    assert not (tmp_path / "notas").exists()


def test_a_name_is_never_a_formula_nor_a_tag(tmp_path):
    deliver(tmp_path / "entregas", "=1+1", b"")
    deliver(tmp_path / "entregas", "<b>ana", b"")
    corrected(tmp_path / "entregas", tmp_path / "notas")
    assert "\n'=1+1," in (tmp_path / "notas" / GRADES).read_text(encoding="utf-8-sig")
    assert "<h1>&lt;b&gt;ana</h1>" in (tmp_path / "notas" / PAGES / "<b>ana.html").read_text(encoding="utf-8")


def test_half_a_character_does_not_stop_the_grades(tmp_path):
    student = b"jos\xe9".decode("utf-8", "surrogateescape")  # de um zip do Windows
    deliver(tmp_path / "entregas", student, submission({"09.1": "raise ValueError('\\ud800')"}))
    told = corrected(tmp_path / "entregas", tmp_path / "notas", workers=1)
    assert told[student]["09.1"][0] == "❌"
    with (tmp_path / "notas" / GRADES).open(encoding="utf-8-sig", newline="") as file:
        assert [row["aluno"] for row in csv.DictReader(file)] == ["jos?"] * len(IDS)


def test_the_passwords_of_who_corrects_and_the_corrector_are_out_of_reach(tmp_path, monkeypatch):
    monkeypatch.setenv("SENHA_DO_SERVIDOR", "abracadabra")
    spies = {
        "09.1": "import os\nraise ValueError('SENHA_DO_SERVIDOR' in os.environ)",
        "09.2": "from vae_lessons.teach.cases import EXERCISES",
        "09.3": "import vae_lessons\nvae_lessons.teach",
    }
    deliver(tmp_path / "entregas", "a", submission(spies))
    told = corrected(tmp_path / "entregas", tmp_path / "notas", workers=1)["a"]
    assert "False" in told["09.1"][1]
    assert "ModuleNotFoundError" in told["09.2"][1]
    assert "AttributeError" in told["09.3"][1]
    assert [told[each][0] for each in IDS] == ["❌", "❌", "❌", "✅", "✅"]


def test_the_page_shows_what_was_delivered_whatever_it_says_of_itself(tmp_path):
    lie = 'import os\nos.write(3, b\'["found", "09.1", "bonito"]\\n\')\ngap_of_correlation = 3'
    deliver(tmp_path / "entregas", "a", submission({"09.1": lie}))
    corrected(tmp_path / "entregas", tmp_path / "notas", workers=1)
    assert saved_class(tmp_path / "notas")["a"][0].answer.startswith(lie)


@pytest.mark.parametrize("line", [b"[" * 10_000, b"{meio"])
def test_a_reply_that_cannot_be_read_costs_only_its_submission(line):
    process = Sandbox([], 0, "")
    process.process = SimpleNamespace(
        stdin=io.BytesIO(), stdout=io.BytesIO(line + b"\n"), terminate=lambda: None, wait=lambda seconds: None
    )
    with pytest.raises(SandboxDied):
        process.ask({})
    assert process.process is None


def test_a_number_asked_of_a_training_must_come_out_of_it(tmp_path):
    solution = next(
        cell.source
        for cell in solved(lessons.load("03")).cells
        if cell.cell_type == "code" and 'check("03.7"' in cell.source
    )
    for student, source in (
        ("treina", solution),
        ("disfarça", "mean_over_pixels = (64, int('0'))\ncheck('03.7', mean_over_pixels)"),
    ):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
        deliver(tmp_path / "entregas", student, notebook, "03_vae.ipynb")
    told = corrected(tmp_path / "entregas", tmp_path / "notas", chosen=["03"], limits=isolation.Limits())
    assert told["treina"]["03.7"][0] == "✅"
    assert told["disfarça"]["03.7"][0] == "❌"
    assert "a resposta não acompanhou" in told["disfarça"]["03.7"][1]


def test_what_could_not_be_killed_is_told(monkeypatch, capsys):
    monkeypatch.setattr(descendants, "descendants", lambda: [123, 456])
    monkeypatch.setattr(os, "kill", lambda pid, number: None)
    descendants.kill_descendants(patience=0.05)
    assert "kill -9 123 456" in capsys.readouterr().err


def test_a_folder_that_cannot_be_hidden_is_told(tmp_path):
    inside = isolation.Path(sys.prefix, "entregas")
    everything = frozenset({"network", "processes", "files", "user"})
    assert f"Não se esconde {inside}" in isolation.describe(everything, [inside, tmp_path])
    assert "Não se esconde" not in isolation.describe(everything, [tmp_path])


# O que se lê de uma entrega


def test_the_notebook_of_a_colleague_is_not_delivered_by_a_link(tmp_path):
    path = deliver(tmp_path, "ana", submission())
    (tmp_path / "beto").mkdir()
    (tmp_path / "beto" / path.name).symlink_to(path)
    (tmp_path / "2031 caio").symlink_to(path.parent)
    (tmp_path / "davi").mkdir()
    (tmp_path / "davi" / "semana").symlink_to(path.parent)
    (tmp_path / "eva.ipynb").symlink_to(path)
    tasks, _ = plan(submissions.students(tmp_path), [LESSON])
    assert {task.student: task.path for task in tasks if task.path} == {"ana": path}
    links = {task.student for task in tasks if "é um atalho" in task.problem}
    assert links == {"beto", "2031 caio", "davi", "eva"}


def test_a_notebook_beside_the_folder_of_a_student_is_hers_too(tmp_path):
    inside = deliver(tmp_path, "ana", submission())
    (tmp_path / "ana.ipynb").write_text("{}")
    assert submissions.students(tmp_path) == {"ana": [inside, tmp_path / "ana.ipynb"]}


def test_the_marks_of_distribution_tell_each_answer(tmp_path):
    distribute(tmp_path / "turma", chosen=[LESSON])
    notebook = submissions.read(tmp_path / "turma" / lessons.file_of(LESSON))
    assert [mark for mark in notebook.marks if mark] == IDS
    assert all(f'check("{mark}"' in cell for mark, cell in zip(notebook.marks, notebook.cells, strict=True) if mark)


def read(tmp_path, notebook, name="x.ipynb"):
    return submissions.read(deliver(tmp_path, "a", notebook, name))


def test_a_lesson_is_known_by_its_mark_its_exercises_or_its_name(tmp_path):
    assert read(tmp_path, submission()).lesson == LESSON
    marked = submission()
    marked.metadata["vae_lessons"] = {"lesson": "04"}
    assert read(tmp_path, marked).lesson == "04"
    assert read(tmp_path, nbformat.v4.new_notebook(), "07_minha.ipynb").lesson == "07"
    assert read(tmp_path, nbformat.v4.new_notebook(), "minha.ipynb").lesson == ""


@pytest.mark.parametrize(
    "content",
    ["[]", "{}", '{"cells": 3}', '{"cells": {}}', "[" * 100_000, "null", '"cells"'],
)
def test_what_is_not_a_notebook_is_broken(tmp_path, content):
    with pytest.raises(submissions.Broken):
        read(tmp_path, content.encode())


def test_strange_cells_are_passed_over(tmp_path):
    cells = [
        3,
        None,
        {},
        {"cell_type": "code"},
        {"cell_type": "code", "source": 7},
        {"cell_type": "code", "source": ["a", 3]},
    ]
    content = {"cells": cells, "metadata": {"kernelspec": 3, "vae_lessons": []}}
    assert read(tmp_path, json.dumps(content).encode()).cells == ["", "", "a"]


# Toda lição


@pytest.mark.parametrize("number", lessons.numbers())
def test_every_lesson_solved_is_worth_all_its_points(tmp_path, number):
    deliver(tmp_path / "entregas", "a", solved(lessons.load(number)), lessons.file_of(number))
    told = corrected(
        tmp_path / "entregas", tmp_path / "notas", chosen=[number], limits=isolation.Limits(seconds=300, total=600)
    )
    assert {i: message for i, (sign, message) in told["a"].items() if sign != "✅"} == {}
