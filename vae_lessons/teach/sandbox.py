"""O processo que corrige entregas uma a uma, cada uma num filho separado do resto.

É `python -m vae_lessons.teach.sandbox`, que `sandboxes` inicia: lê da entrada um pedido por linha, em JSON, e escreve
na saída uma resposta por linha. Já carregou o torch e o pacote quando o primeiro pedido chega; cada entrega nasce de
uma cópia dele, pronta em centésimos de segundo. Nenhum código de aluno é executado nele mesmo: é num filho, por
`worker`.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from vae_lessons import style
from vae_lessons.teach import cases, isolation
from vae_lessons.teach.descendants import descendants, kill_descendants, resident
from vae_lessons.teach.isolation import Limits
from vae_lessons.teach.worker import Job, Wanted, locate, work

# Para quem o inicia: uma linha de execução, nenhuma GPU, que não caberia no limite de memória, e nenhuma janela.
ENVIRONMENT = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "CUDA_VISIBLE_DEVICES": "",
    "MPLBACKEND": "Agg",
}
NOT_FOUND = "não encontrei a célula deste exercício na entrega."
_MOST_LETTERS = 20_000  # do código de uma resposta, para a página do aluno
_TICK = 0.05  # segundos entre dois olhares
_LOOK = 0.2  # segundos entre duas medidas da memória e dos processos
_MOST_BYTES = 32 * 2**20  # do que um filho pode mandar; as respostas certas de uma lição não passam de 70 mil
_MOST_LINES = 10_000  # um evento por célula, um por exercício e o último
_STOP = {signal.SIGTERM}
_MOST_MARKS = 200_000  # vírgulas e colchetes numa linha: cada um pode vir a ser um objeto


class Ending(NamedTuple):
    """Como terminou um filho. cell: a célula em que estava, ou None · reason: por que parou, vazio se foi até o fim."""

    cell: int | None
    reason: str


def answer(request: dict, settings: dict) -> dict:
    """O que se mediu em cada exercício pedido. Quando uma célula mata o processo ou não acaba, recomeça-se sem ela.

    A resposta: {"found": {id: código}, "measured": {id: [...]}, "failed": {id: razão}}. O código é o da entrega, lido
    aqui, e não o que ela diga de si. Os exercícios que têm outro mundo são executados outra vez, nele, e ganham assim a
    segunda medida.
    """
    limits = Limits(**request["limits"])
    deadline = time.monotonic() + limits.total
    wanted = [Wanted(*one) for one in request["wanted"]]
    seeds = request["seeds"]
    worlds = {one.id: other for one in wanted if (other := cases.world(one.id, seeds[one.id]))}
    measures = {one.id: cases.measures(one.id, seeds[one.id])[: 1 if one.id in worlds else None] for one in wanted}
    hidden = [Path(path) for path in request["hidden"]]
    whole = Job(request["cells"], request["marks"], request["lesson"], wanted, skipped=[], changes={}, prepare=None)
    at = {one.id: locate(one, whole) for one in wanted}
    found = {name: whole.cells[cell][:_MOST_LETTERS] for name, cell in at.items() if cell is not None}
    reply: dict[str, dict] = {"found": found, "measured": {}, "failed": {}}

    def run(job: Job) -> tuple[dict[str, list], Ending]:
        return _run(job, measures, hidden, limits, deadline, settings)

    while left := [one for one in wanted if one.id not in reply["measured"] and one.id not in reply["failed"]]:
        measured, ending = run(whole._replace(wanted=left))
        reply["measured"] |= measured
        unmeasured = [one for one in left if one.id not in measured]
        if not ending.reason or ending.cell is None or ending.cell in whole.skipped or time.monotonic() > deadline:
            reply["failed"] |= {one.id: ending.reason or NOT_FOUND for one in unmeasured}
            break
        whole.skipped.append(ending.cell)
        reply["failed"] |= {one.id: ending.reason for one in unmeasured if at[one.id] == ending.cell}
    for one in wanted:
        if one.id in worlds and one.id in reply["measured"]:
            other = worlds[one.id]
            measured, ending = run(whole._replace(wanted=[one], changes=other.changes, prepare=other.prepare))
            unmeasured = [[None, "❌", ending.reason or NOT_FOUND, []]]
            reply["measured"][one.id] = reply["measured"][one.id][:1] + measured.get(one.id, unmeasured)[:1]
    return reply


def _run(
    job: Job, measures: dict, hidden: list[Path], limits: Limits, deadline: float, settings: dict
) -> tuple[dict[str, list], Ending]:
    """(o que se mediu, como terminou) de um filho que executa `job`, separado do resto; dele nada fica."""
    read, write = os.pipe()
    scratch = Path(tempfile.mkdtemp(dir=settings["scratch"])).resolve()
    os.chmod(scratch, 0o755)
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)  # a saída que um SIGTERM pede se perderia no meio de um fork
    child = os.fork()
    if child == 0:
        try:
            isolation.die_with_parent()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)
            os.setsid()
            _only_this_pipe(write)
            separated, slot = frozenset(settings["separated"]), settings["slot"]
            isolation.enter(separated, scratch, hidden, limits, slot, lambda: work(job, measures, _sender(3)))
        except BaseException as error:
            with contextlib.suppress(BaseException):
                _sender(3)(["broken", f"{type(error).__name__}: {error}"])
        os._exit(1)
    os.close(write)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)
        return _watch(read, {one.id for one in job.wanted}, limits, deadline)
    finally:
        os.close(read)
        kill_descendants()
        shutil.rmtree(scratch, ignore_errors=True)


class _Flood(Exception):
    """Um filho mandou mais do que uma entrega precisa."""


def _watch(pipe: int, names: Container[str], limits: Limits, deadline: float) -> tuple[dict[str, list], Ending]:
    """Ouve o filho até que ele termine ou passe de um limite; guarda a primeira resposta de cada um de `names`."""
    measured: dict[str, list] = {}
    cell, why = None, "o processo morreu: faltou memória, ou o próprio código o encerrou."
    cell_deadline = time.monotonic() + limits.seconds
    next_look, own = 0.0, resident(os.getpid())
    try:
        for event in _heard(pipe):
            match event:
                case ["begin", int(begun)] if not isinstance(begun, bool):
                    cell, cell_deadline = begun, time.monotonic() + limits.seconds
                case ["measured", str(name), list(attempts)] if name in names:
                    measured.setdefault(name, attempts)
                case ["broken", str(error)]:
                    why = f"o processo não pôde ser separado do resto: {error}"
                case ["end"]:  # um processo que o código deixe a trabalhar ainda segura o cano
                    return measured, Ending(cell, "")
            now = time.monotonic()
            if now > min(deadline, cell_deadline):
                most = min(limits.seconds, limits.total)
                return measured, Ending(cell, f"não terminou em {most:.0f} s. Há um laço sem saída?")
            if now > next_look:
                next_look = now + _LOOK
                if excess := _excess(limits, own):
                    return measured, Ending(cell, excess)
    except _Flood:
        return measured, Ending(cell, "mandou à correção mais do que cabe nas respostas de uma lição, e foi parado.")
    return measured, Ending(cell, why)


def _heard(pipe: int) -> Iterator[Any]:
    """O que o filho manda, um evento por linha, e None enquanto nenhum vem; até que feche o cano. Levanta _Flood."""
    os.set_blocking(pipe, False)
    pieces, size, lines_read = [], 0, 0
    while True:
        yield None
        if not select.select([pipe], [], [], _TICK)[0]:
            continue
        chunk = os.read(pipe, 1 << 20)
        if not chunk:
            return
        pieces.append(chunk)
        size += len(chunk)
        lines_read += chunk.count(b"\n")
        if size > _MOST_BYTES or lines_read > _MOST_LINES:
            raise _Flood
        if b"\n" in chunk:
            *lines, rest = b"".join(pieces).split(b"\n")
            pieces = [rest]
            yield from map(_event, lines)


def _event(line: bytes) -> Any:
    if line.count(b",") + line.count(b"[") > _MOST_MARKS:
        raise _Flood
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _excess(limits: Limits, own: int) -> str:
    """De que limite os filhos passam, ou vazio. own: a memória que cada um já recebeu deste processo."""
    family = descendants()
    if len(family) > limits.processes:
        return f"abriu mais de {limits.processes} processos ao mesmo tempo."
    if sum(max(0, resident(pid) - own) for pid in family) > limits.memory:
        return f"passou de {style.number(limits.memory / 2**30)} GB de memória."
    return ""


def _sender(pipe: int):
    """Manda um evento por linha; um filho que o código do aluno tenha feito, e que voltou aqui, termina sem falar."""
    owner = os.getpid()

    def send(event) -> None:
        if os.getpid() != owner:
            os._exit(1)
        data = memoryview(json.dumps(event).encode() + b"\n")
        while data:
            data = data[os.write(pipe, data) :]

    return send


def _only_this_pipe(write: int) -> None:
    """Fecha tudo o que se herdou, menos o cano da resposta, que passa a ser o 3; a saída e os erros vão para o nada."""
    nothing = os.open(os.devnull, os.O_RDWR)
    high = os.dup2(write, 200)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.dup2(high, 3)
    os.closerange(4, 4096)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115


def _load() -> None:
    """Carrega o que as entregas usam. Quem as carrega tem uma linha de execução só: um fork perderia as outras."""
    import importlib

    import torch

    torch.set_num_threads(1)
    for name in ("numpy", "pandas", "matplotlib.pyplot", "sklearn.linear_model", "torch.nn.functional"):
        importlib.import_module(name)
    for name in (
        *("data", "distributions", "estimators", "evaluation", "exercises", "models", "objectives", "plotting"),
        *("training", "disentanglement", "style"),
    ):
        importlib.import_module(f"vae_lessons.{name}")


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # de um Ctrl-C cuida quem corrige, que manda um SIGTERM
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    isolation.adopt_orphans()
    isolation.die_with_parent()
    settings = json.loads(sys.stdin.readline())
    _load()
    replies = os.dup(1)
    os.dup2(2, 1)  # um aviso na saída não se confunde com uma resposta
    reply = _sender(replies)
    reply(["ready"])
    for line in sys.stdin:
        reply(answer(json.loads(line), settings))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SystemExit:
        os._exit(0)  # sem desmontar o torch, o que leva segundos
