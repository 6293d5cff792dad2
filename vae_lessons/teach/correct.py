"""Corrigir uma turma: cada entrega num processo separado, as notas num CSV e uma página para cada aluno.

O que já se corrigiu fica guardado, e não se corrige de novo se a entrega não mudou: uma correção interrompida continua
de onde parou. Uma entrega quebrada recebe zero e a explicação, e não para as outras.
"""

import contextlib
import csv
import hashlib
import io
import json
import os
import queue
import re
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from vae_lessons.counts import require_count
from vae_lessons.exercises import EXERCISES
from vae_lessons.files import write_atomically
from vae_lessons.processors import available as processors_available
from vae_lessons.teach import isolation, lessons, submissions
from vae_lessons.teach.cases import COMPUTED
from vae_lessons.teach.isolation import Limits
from vae_lessons.teach.judging import verdict
from vae_lessons.teach.page import write_pages
from vae_lessons.teach.sandbox import NOT_FOUND, ONE_THREAD

GRADES, DETAILS, SECRET, PAGES = "notas.csv", "detalhes", "segredo.txt", "paginas"
_MISSING = "não entregou esta lição."
# As variáveis de ambiente de que o Python e o torch precisam; nas outras, quem corrige pode guardar senhas.
_HARMLESS = re.compile(
    r"PATH|HOME|LANG|LC_\w+|TZ|TMPDIR|LD_LIBRARY_PATH|PYTHON\w+|VAE_LESSONS_\w+|VIRTUAL_ENV|CONDA_PREFIX"
)


class Row(NamedTuple):
    """A nota de um aluno num exercício. mistake: o erro com nome, ou vazio · answer: o código da resposta."""

    exercise: str
    status: str
    points: float
    of: float
    message: str
    mistake: str = ""
    answer: str = ""


class Task(NamedTuple):
    """Um aluno e uma lição. path: o caderno que entregou, ou None · problem: por que não se pode corrigir, ou vazio."""

    student: str
    lesson: str
    path: Path | None
    problem: str = ""


def correct(
    folder: Path,
    output: Path,
    *,
    chosen: list[str] | None = None,
    points: dict[str, float] | None = None,
    limits: Limits = Limits(),
    progress: bool = True,
    workers: int | None = None,
) -> dict[str, list[Row]]:
    """Corrige as entregas de `folder` e grava em `output` as notas, os detalhes e as páginas. Aluno → as suas notas.

    chosen: as lições que valem nota, "01", "03"…; sem elas, as que alguém entregou · points: quanto vale cada
    exercício, 1 se não se disser · workers: quantas entregas ao mesmo tempo, uma por núcleo se não se disser.
    Levanta ValueError se uma lição ou um exercício não existir ou workers < 1, e OSError se `folder` não puder ser lida
    ou `output`, escrita.
    """
    if unknown := sorted(set(points or {}) - set(EXERCISES)):
        raise ValueError(f"não há nas lições os exercícios {', '.join(unknown)}.")
    workers = processors_available() if workers is None else require_count("workers", workers, " (entregas)")
    output.mkdir(parents=True, exist_ok=True)
    secret = class_secret(output / SECRET)
    tasks, taught = plan(submissions.students(folder), chosen)
    rules = {number: lessons.asked(lessons.load(number)) for number in taught}
    worth = {exercise.id: (points or {}).get(exercise.id, 1.0) for asked in rules.values() for exercise in asked}
    corrector = _Corrector(secret, limits, [folder.resolve(), output.resolve()], rules)
    done: dict[tuple[str, str], list[Row]] = {}
    with tqdm(total=len(tasks), desc="Corrigindo", unit="entrega", disable=not progress) as bar:
        for task, rows in _in_parallel(tasks, output, corrector, workers):
            done[task.student, task.lesson] = [_priced(row, worth) for row in rows]
            bar.set_postfix_str(task.student[:20], refresh=False)
            bar.update()
    results: dict[str, list[Row]] = {task.student: [] for task in tasks}
    for task in tasks:
        results[task.student] += done[task.student, task.lesson]
    write_atomically(output / GRADES, _csv(results).encode("utf-8-sig", "replace"))
    write_pages(results, output / PAGES)
    return results


def plan(found: dict[str, list[Path]], chosen: list[str] | None) -> tuple[list[Task], list[str]]:
    """O que corrigir, um aluno e uma lição de cada vez, e as lições que valem nota."""
    existing = lessons.numbers()
    delivered: dict[str, dict[str, list[Path]]] = {}
    unread: dict[str, list[tuple[Path, str]]] = {}
    for student, paths in found.items():
        delivered[student] = {}
        for path in paths:
            try:
                lesson = submissions.read(path).lesson
                if lesson not in existing:
                    raise submissions.Broken("não se reconhece de que lição é este caderno.")
                delivered[student].setdefault(lesson, []).append(path)
            except submissions.Broken as broken:
                unread.setdefault(student, []).append((path, str(broken)))
    taught = list(dict.fromkeys(chosen or ())) or sorted({lesson for files in delivered.values() for lesson in files})
    tasks = []
    for student, files in delivered.items():
        broken = unread.get(student, [])
        for lesson in taught:
            path = _best(files.get(lesson, []), lesson)
            problem = "" if path else _problem_of(lesson, broken)
            tasks.append(Task(student, lesson, path, problem))
    return tasks, taught


def class_secret(path: Path) -> str:
    """O segredo de que se sorteiam os casos da turma: o que está em `path`; se nada estiver, um novo, que fica lá."""
    with contextlib.suppress(FileNotFoundError):
        if text := path.read_text(encoding="utf-8").strip():
            return text
    text = secrets.token_hex(16)
    write_atomically(path, f"{text}\n".encode())
    os.chmod(path, 0o600)
    return text


def seed_of(secret: str, exercise_id: str) -> int:
    digest = hashlib.sha256(f"{secret} {exercise_id}".encode()).digest()
    return int.from_bytes(digest[:7], "big")


def saved(output: Path) -> dict[str, dict[str, list[Row]]]:
    """O que se corrigiu e guardou em `output`: aluno → lição → notas."""
    found: dict[str, dict[str, list[Row]]] = {}
    for path in sorted((output / DETAILS).glob("*/*.json")):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            content = json.loads(path.read_text(encoding="utf-8"))
            found.setdefault(content["student"], {})[content["lesson"]] = [Row(*row) for row in content["rows"]]
    return found


class _Corrector(NamedTuple):
    secret: str
    limits: Limits
    hidden: list[Path]
    rules: dict[str, list[lessons.Asked]]

    def key(self, task: Task) -> str:
        """O que, se mudar, manda corrigir de novo: a entrega, o segredo, os limites e o próprio pacote."""
        digest = hashlib.sha256(f"{self.secret} {self.limits} {task.problem} {_package_digest()}".encode())
        if task.path:
            digest.update(task.path.read_bytes())
        return digest.hexdigest()

    def request(self, task: Task) -> dict:
        notebook = submissions.read(task.path)
        asked = self.rules[task.lesson]
        return {
            "cells": notebook.cells,
            "marks": notebook.marks,
            "lesson": lessons.code_of(lessons.load(task.lesson)),
            "wanted": [[one.id, one.answer, one.code_cell, one.id in COMPUTED] for one in asked],
            "seeds": {one.id: seed_of(self.secret, one.id) for one in asked},
            "hidden": [str(path) for path in self.hidden],
            "limits": self.limits._asdict(),
        }

    def rows(self, task: Task, reply: dict) -> list[Row]:
        rows = []
        for one in self.rules[task.lesson]:
            answer = reply["found"].get(one.id, "")
            if one.id in reply["measured"] and one.id not in reply["failed"]:
                judged = verdict(one.id, seed_of(self.secret, one.id), reply["measured"][one.id])
                rows.append(Row(one.id, judged.status, 0.0, 0.0, judged.message, judged.mistake, answer))
            else:
                reason = str(reply["failed"].get(one.id, NOT_FOUND))
                rows.append(Row(one.id, "⏳" if reason == NOT_FOUND else "❌", 0.0, 0.0, reason, "", answer))
        return rows

    def refused(self, task: Task, reason: str) -> list[Row]:
        status = "⏳" if reason == _MISSING else "❌"
        return [Row(one.id, status, 0.0, 0.0, reason) for one in self.rules[task.lesson]]


def _in_parallel(
    tasks: list[Task], output: Path, corrector: _Corrector, workers: int
) -> Iterator[tuple[Task, list[Row]]]:
    """Cada tarefa com as suas notas, na ordem em que ficam prontas; as já corrigidas, logo."""
    waiting: queue.Queue[Task] = queue.Queue()
    ready: queue.Queue[tuple[Task, list[Row]] | BaseException] = queue.Queue()
    pending = 0
    for task in tasks:
        rows = _remembered(task, output, corrector)
        if rows is None and not task.path:
            rows = corrector.refused(task, task.problem)
            _remember(task, output, corrector, rows)
        if rows is None:
            waiting.put(task)
            pending += 1
        else:
            yield task, rows
    separated = isolation.available() if pending else frozenset()
    judging = threading.Lock()  # o gerador de números aleatórios do torch é um só
    stop = threading.Event()

    sandboxes = [_Sandbox(separated, slot) for slot in range(min(workers, pending))]

    def labour(sandbox: _Sandbox) -> None:
        try:
            while not stop.is_set():
                try:
                    task = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    reply = sandbox.ask(corrector.request(task))
                    with judging:
                        rows = corrector.rows(task, reply)
                except (submissions.Broken, _SandboxDied) as error:
                    rows = corrector.refused(task, str(error))
                _remember(task, output, corrector, rows)
                ready.put((task, rows))
        except BaseException as error:
            ready.put(error)

    threads = [threading.Thread(target=labour, args=(sandbox,), daemon=True) for sandbox in sandboxes]
    for thread in threads:
        thread.start()
    try:
        for _ in range(pending):
            result = ready.get()
            if isinstance(result, BaseException):
                raise result
            yield result
    finally:
        stop.set()
        for sandbox in sandboxes:
            sandbox.close()
        for thread in threads:
            thread.join()


class _SandboxDied(RuntimeError):
    """O processo que corrige morreu com a entrega."""


class _Sandbox:
    """O processo que corrige entregas, uma a uma; renasce se morrer."""

    def __init__(self, separated: Iterable[str], slot: int):
        self.settings = {"separated": sorted(separated), "slot": slot}
        self.process: subprocess.Popen | None = None

    def ask(self, request: dict) -> dict:
        process = self._running()
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                process.wait()
                raise _SandboxDied("a entrega derrubou o processo que a corrigia.")
            return json.loads(line)
        except (OSError, ValueError, RecursionError) as error:  # o que a entrega forjou pode não se ler
            raise _SandboxDied("a entrega derrubou o processo que a corrigia.") from error
        finally:
            if process.poll() is not None:
                self.process = None

    def close(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def _running(self) -> subprocess.Popen:
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "vae_lessons.teach.sandbox"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=_without_passwords() | ONE_THREAD | {"MPLBACKEND": "Agg"},
            )
            self.process.stdin.write(json.dumps(self.settings).encode() + b"\n")
            self.process.stdin.flush()
            if not self.process.stdout.readline():
                raise RuntimeError("o processo que corrige não começou; veja o erro acima.")
        return self.process


def _without_passwords() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if _HARMLESS.fullmatch(name)}


def _best(paths: list[Path], lesson: str) -> Path | None:
    """De várias versões de uma lição, a que tem o nome original; sem ela, a mais recente."""
    original = [path for path in paths if path.name == lessons.file_of(lesson)]
    return max(original or paths, key=lambda path: path.stat().st_mtime, default=None)


def _problem_of(lesson: str, broken: list[tuple[Path, str]]) -> str:
    """Por que não há caderno desta lição: um que não se pôde ler, se pode ser o dela, ou nenhum."""
    own = [(path, reason) for path, reason in broken if path.name.startswith(f"{lesson}_")] or [
        (path, reason) for path, reason in broken if not path.name[:2].isdigit()
    ]
    return f"{own[0][0].name}: {own[0][1]}" if own else _MISSING


def _priced(row: Row, worth: dict[str, float]) -> Row:
    of = worth[row.exercise]
    return row._replace(of=of, points=of if row.status == "✅" else 0.0)


def _details(task: Task, output: Path) -> Path:
    return output / DETAILS / task.student / f"{task.lesson}.json"


def _remembered(task: Task, output: Path, corrector: _Corrector) -> list[Row] | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        content = json.loads(_details(task, output).read_text(encoding="utf-8"))
        if content["key"] == corrector.key(task):
            return [Row(*row) for row in content["rows"]]
    return None


def _remember(task: Task, output: Path, corrector: _Corrector, rows: list[Row]) -> None:
    content = {"student": task.student, "lesson": task.lesson, "key": corrector.key(task), "rows": rows}
    text = json.dumps(content, ensure_ascii=False, indent=1)
    write_atomically(_details(task, output), text.encode("utf-8", "replace"))


def _package_digest() -> str:
    package = Path(__file__).resolve().parents[1]
    sources = sorted([*(package / "exercises").glob("*.py"), *(package / "teach").glob("*.py")])
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def _csv(results: dict[str, list[Row]]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["aluno", "exercício", "pontos", "mensagem"])
    for student, rows in results.items():
        for row in rows:
            table.writerow([_cell(student), row.exercise, f"{row.points:g}", _cell(f"{row.status} {row.message}")])
    return text.getvalue()


def _cell(text: str) -> str:
    """O texto como texto: uma planilha executaria o que começa por =, +, − ou @."""
    text = " ".join(text.split())
    return f"'{text}" if text[:1] in "=+-@" else text
