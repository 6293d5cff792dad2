"""Corrigir uma turma: cada entrega num processo separado, as notas num CSV e uma página para cada aluno.

O que já se corrigiu fica guardado, e não se corrige de novo se a entrega não mudou: uma correção interrompida continua
de onde parou. Uma entrega quebrada recebe zero e a explicação, e não para as outras.
"""

import contextlib
import hashlib
import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from vae_lessons.counts import require_count
from vae_lessons.exercises import EXERCISES
from vae_lessons.files import write_atomically
from vae_lessons.processors import available as processors_available
from vae_lessons.teach import isolation, lessons, submissions
from vae_lessons.teach.grades import Row, remember, remembered, write_class
from vae_lessons.teach.isolation import Limits
from vae_lessons.teach.judging import verdict
from vae_lessons.teach.page import write_pages
from vae_lessons.teach.sandbox import NOT_FOUND
from vae_lessons.teach.sandboxes import Sandbox, SandboxDied, in_sandboxes

SECRET, PAGES = "segredo.txt", "paginas"
_MISSING = "não entregou esta lição."


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
    exercício, 1 se não se disser · progress: diz o que separa as entregas desta máquina, e quantas faltam ·
    workers: quantas ao mesmo tempo, uma por núcleo se não se disser.
    Levanta Refused se `folder`, uma lição ou um exercício não existir, ValueError se workers < 1, e OSError se `folder`
    não puder ser lida ou `output`, escrita.
    """
    if unknown := sorted(set(points or {}) - set(EXERCISES)):
        raise lessons.Refused(f"não há nas lições os exercícios {', '.join(unknown)}.")
    workers = processors_available() if workers is None else require_count("workers", workers, " (entregas)")
    tasks, taught = plan(submissions.students(folder), chosen)
    rules = {number: _rules(number) for number in taught}
    worth = {one.id: (points or {}).get(one.id, 1.0) for rule in rules.values() for one in rule.asked}
    output.mkdir(parents=True, exist_ok=True)
    hidden = [folder.resolve(), output.resolve()]
    corrector = _Corrector(class_secret(output / SECRET), limits, hidden, rules, _package_digest())
    separated = isolation.available()
    if progress:
        print(isolation.describe(separated, hidden))
    done: dict[tuple[str, str], list[Row]] = {}
    with (
        tqdm(total=len(tasks), desc="Corrigindo", unit="entrega", disable=not progress) as bar,
        contextlib.closing(_corrected(tasks, output, corrector, separated, workers)) as corrected,
    ):
        for task, rows in corrected:
            done[task.student, task.lesson] = [_priced(row, worth) for row in rows]
            bar.set_postfix_str(task.student[:20], refresh=False)
            bar.update()
    results: dict[str, list[Row]] = {task.student: [] for task in tasks}
    for task in tasks:
        results[task.student] += done[task.student, task.lesson]
    write_class(output, results)
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


class _Rules(NamedTuple):
    """O que uma lição pede, e o código dela."""

    asked: list[lessons.Asked]
    code: list[str]


def _rules(number: str) -> _Rules:
    notebook = lessons.load(number)
    return _Rules(lessons.asked(notebook), lessons.code_of(notebook))


class _Corrector(NamedTuple):
    secret: str
    limits: Limits
    hidden: list[Path]
    rules: dict[str, _Rules]
    package: str

    def key(self, task: Task) -> str:
        """O que, se mudar, manda corrigir de novo: a entrega, a lição, o segredo, os limites e o próprio pacote."""
        rest = (task.lesson, self.rules[task.lesson], task.problem, self.secret, self.limits, self.package)
        digest = hashlib.sha256(repr(rest).encode())
        if task.path:
            with contextlib.suppress(OSError):  # a entrega que sumiu não se guarda como a que estava lá
                digest.update(task.path.read_bytes())
        return digest.hexdigest()

    def request(self, task: Task) -> dict:
        notebook = submissions.read(task.path)
        asked, code = self.rules[task.lesson]
        return {
            "cells": notebook.cells,
            "marks": notebook.marks,
            "lesson": code,
            "wanted": [[one.id, one.answer, one.code_cell] for one in asked],
            "seeds": {one.id: seed_of(self.secret, one.id) for one in asked},
            "hidden": [str(path) for path in self.hidden],
            "limits": self.limits._asdict(),
        }

    def rows(self, task: Task, reply: dict) -> list[Row]:
        rows = []
        for one in self.rules[task.lesson].asked:
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
        return [Row(one.id, status, 0.0, 0.0, reason) for one in self.rules[task.lesson].asked]


def _corrected(
    tasks: list[Task], output: Path, corrector: _Corrector, separated: frozenset[str], workers: int
) -> Iterator[tuple[Task, list[Row]]]:
    """Cada tarefa com as suas notas, na ordem em que ficam prontas; as já corrigidas, logo."""
    left = []
    for task in tasks:
        key = corrector.key(task)
        rows = remembered(output, task.student, task.lesson, key)
        if rows is None and not task.path:
            rows = corrector.refused(task, task.problem)
        if rows is None:
            left.append((task, key))
        else:
            yield task, rows
    judging = threading.Lock()  # o gerador de números aleatórios do torch é um só

    def work(item: tuple[Task, str], sandbox: Sandbox) -> tuple[Task, list[Row]]:
        task, key = item
        try:
            reply = sandbox.ask(corrector.request(task))
        except SandboxDied as error:  # não se guarda: pode ter sido a máquina, e não a entrega
            return task, corrector.refused(task, str(error))
        except submissions.Broken as error:
            rows = corrector.refused(task, str(error))
        else:
            with judging:
                rows = corrector.rows(task, reply)
        remember(output, task.student, task.lesson, key, rows)
        return task, rows

    yield from in_sandboxes(left, work, separated=separated, workers=workers)


def _best(paths: list[Path], lesson: str) -> Path | None:
    """De várias versões de uma lição, a que tem o nome original; sem ela, a mais recente."""
    original = [path for path in paths if path.name == lessons.file_of(lesson)]
    return max(original or paths, key=lambda path: path.stat().st_mtime, default=None)


def _problem_of(lesson: str, broken: list[tuple[Path, str]]) -> str:
    """Por que não há caderno desta lição: um que não se pôde ler, se pode ser o dela, ou nenhum."""
    named = [(submissions.lesson_named(path), f"{path.name}: {reason}") for path, reason in broken]
    own = [text for number, text in named if number == lesson] or [text for number, text in named if not number]
    return own[0] if own else _MISSING


def _priced(row: Row, worth: dict[str, float]) -> Row:
    of = worth[row.exercise]
    return row._replace(of=of, points=of if row.status == "✅" else 0.0)


def _package_digest() -> str:
    sources = sorted(Path(__file__).resolve().parents[1].rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
