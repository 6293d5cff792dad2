"""O processo que corrige entregas uma a uma, cada uma num filho separado do resto.

É `python -m vae_lessons.teach.sandbox`, que `correct` usa: lê da entrada um pedido por linha, em JSON, e escreve na
saída uma resposta por linha. Já carregou o torch e o pacote quando o primeiro pedido chega; cada entrega nasce de uma
cópia dele, pronta em centésimos de segundo. Nenhum código de aluno é executado nele mesmo: é num filho, por `worker`.
"""

import contextlib
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from vae_lessons.teach import cases, isolation
from vae_lessons.teach.isolation import Limits
from vae_lessons.teach.worker import Job, Wanted, locate, work

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # para quem o inicia
NOT_FOUND = "não encontrei a célula deste exercício na entrega."
WRITTEN = "este exercício pede a conta, e a sua resposta é só um número. Deixe na célula o código que chega a ele."
_MOST_LETTERS = 20_000  # do código de uma resposta, para a página do aluno
_TICK = 0.05  # segundos entre dois olhares
_LOOK = 0.2  # segundos entre duas medidas da memória e dos processos
_MOST_BYTES = 128 * 2**20  # do que um filho pode escrever
_PAGE = resource.getpagesize()


class Ending(NamedTuple):
    """Como terminou um filho. cell: a célula em que estava, ou None · reason: por que parou, vazio se foi até o fim."""

    cell: int | None
    reason: str


def answer(request: dict, separated: frozenset[str], slot: int) -> dict:
    """O que se mediu em cada exercício pedido. Quando uma célula mata o processo ou não acaba, recomeça-se sem ela.

    A resposta: {"found": {id: código}, "measured": {id: [...]}, "failed": {id: razão}}. O código é o da entrega, lido
    aqui, e não o que ela diga de si. Os exercícios que têm outros dados são executados outra vez, com eles, e ganham
    assim a segunda medida.
    """
    limits = Limits(**request["limits"])
    deadline = time.monotonic() + limits.total
    wanted = [Wanted(*one) for one in request["wanted"]]
    seeds = request["seeds"]
    worlds = {one.id: other for one in wanted if (other := cases.world(one.id, seeds[one.id]))}
    measures = {one.id: cases.measures(one.id, seeds[one.id])[: 1 if one.id in worlds else None] for one in wanted}
    hidden = [Path(path) for path in request["hidden"]]
    whole = Job(request["cells"], request["marks"], request["lesson"], wanted, skipped=[], changes={})
    at = {one.id: locate(one, whole) for one in wanted}
    found = {name: whole.cells[cell][:_MOST_LETTERS] for name, cell in at.items() if cell is not None}
    reply: dict[str, dict] = {"found": found, "measured": {}, "failed": {}}

    def run(left: list[Wanted], changes: dict) -> tuple[list, Ending]:
        job = whole._replace(wanted=left, changes=changes)
        return _run(job, measures, hidden, limits, deadline, separated, slot)

    while left := [one for one in wanted if one.id not in reply["measured"] and one.id not in reply["failed"]]:
        events, ending = run(left, {})
        _collect(events, reply, measures)
        unmeasured = [one for one in left if one.id not in reply["measured"] and one.id not in reply["failed"]]
        if not ending.reason or ending.cell is None or ending.cell in whole.skipped or time.monotonic() > deadline:
            reply["failed"] |= {one.id: ending.reason or NOT_FOUND for one in unmeasured}
            break
        whole.skipped.append(ending.cell)
        reply["failed"] |= {one.id: ending.reason for one in unmeasured if at[one.id] == ending.cell}
    for one in wanted:
        if one.id in worlds and one.id in reply["measured"]:
            again: dict[str, dict] = {"measured": {}, "failed": {}}
            events, ending = run([one], {worlds[one.id].name: worlds[one.id].change})
            _collect(events, again, measures)
            unmeasured = [[None, "❌", f"com outros dados, {ending.reason}", []]]
            reply["measured"][one.id] = reply["measured"][one.id][:1] + again["measured"].get(one.id, unmeasured)[:1]
    return reply


def _collect(events: list, reply: dict, measures: dict) -> None:
    """O que os eventos de um filho dizem, posto em `reply`."""
    for event in events:
        match event:
            case ["measured", str(name), list(attempts)] if name in measures:
                reply["measured"].setdefault(name, attempts)
            case ["written", str(name)] if name in measures:
                reply["failed"][name] = WRITTEN


def _run(job, measures, hidden, limits: Limits, deadline: float, separated, slot) -> tuple[list, Ending]:
    read, write = os.pipe()
    scratch = Path(tempfile.mkdtemp(prefix="vae-lessons-"))
    os.chmod(scratch, 0o755)
    child = os.fork()
    if child == 0:
        try:
            isolation.die_with_parent()
            os.setsid()
            _only_this_pipe(write)
            _new_home(scratch)
            isolation.enter(separated, scratch, hidden, limits, slot, lambda: work(job, measures, _sender(3)))
        except BaseException as error:
            with contextlib.suppress(BaseException):
                _sender(3)(["broken", f"{type(error).__name__}: {error}"])
        os._exit(1)
    os.close(write)
    try:
        return _watch(read, limits, deadline)
    finally:
        os.close(read)
        _kill_descendants()
        shutil.rmtree(scratch, ignore_errors=True)


def _watch(pipe: int, limits: Limits, deadline: float) -> tuple[list, Ending]:
    """Lê o que o filho manda até que ele termine ou passe de um limite."""
    os.set_blocking(pipe, False)
    buffer, events, total = bytearray(), [], 0
    cell: int | None = None
    cell_deadline = time.monotonic() + limits.seconds
    next_look = 0.0
    own = _resident(os.getpid())
    while True:
        now = time.monotonic()
        if now > min(deadline, cell_deadline):
            return events, Ending(
                cell, f"não terminou em {min(limits.seconds, limits.total):.0f} s. Há um laço sem saída?"
            )
        if now > next_look:
            next_look = now + _LOOK
            family = _descendants()
            if len(family) > limits.processes:
                return events, Ending(cell, f"abriu mais de {limits.processes} processos ao mesmo tempo.")
            if sum(max(0, _resident(pid) - own) for pid in family) > limits.memory:
                return events, Ending(cell, f"passou de {limits.memory / 2**30:.3g} GB de memória.")
        ready, _, _ = select.select([pipe], [], [], _TICK)
        if not ready:
            continue
        chunk = os.read(pipe, 1 << 20)
        if not chunk:
            finished = bool(events) and events[-1] == ["end"]
            return events, Ending(cell, "" if finished else _why_it_died(events))
        total += len(chunk)
        if total > _MOST_BYTES:
            return events, Ending(cell, "mandou dados demais.")
        buffer += chunk
        *lines, rest = buffer.split(b"\n")
        buffer = bytearray(rest)
        for line in lines:
            event = _event(line)
            events.append(event)
            match event:
                case ["begin", int(begun)] if not isinstance(begun, bool):
                    cell, cell_deadline = begun, time.monotonic() + limits.seconds


def _why_it_died(events: list) -> str:
    for event in events:
        if isinstance(event, list) and len(event) == 2 and event[0] == "broken":
            return f"o processo não pôde ser separado do resto: {event[1]}"
    return "o processo morreu: faltou memória, ou o próprio código o encerrou."


def _event(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


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


def _new_home(scratch: Path) -> None:
    places = ("HOME", "TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
    os.environ.update(dict.fromkeys(places, str(scratch)))
    tempfile.tempdir = None


def _descendants() -> list[int]:
    """Os processos que nasceram deste, por mais que tenham mudado de grupo ou de sessão."""
    children: dict[int, list[int]] = {}
    for folder in os.listdir("/proc"):
        if folder.isdigit():
            with contextlib.suppress(OSError, ValueError):
                state, parent = Path("/proc", folder, "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    children.setdefault(int(parent), []).append(int(folder))
    found, waiting = [], [os.getpid()]
    while waiting:
        born = children.get(waiting.pop(), [])
        found += born
        waiting += born
    return found


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


def _kill_descendants(patience: float = 10.0) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        family = _descendants()
        for number in (signal.SIGSTOP, signal.SIGKILL):  # parados, já não se multiplicam
            for pid in family:
                with contextlib.suppress(OSError):
                    os.kill(pid, number)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not family:
            return
        time.sleep(0.01)


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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # quem para é quem pediu, fechando a entrada
    isolation.adopt_orphans()
    isolation.die_with_parent()
    settings = json.loads(sys.stdin.readline())
    _load()
    replies = os.dup(1)
    os.dup2(2, 1)  # um aviso na saída não se confunde com uma resposta
    reply = _sender(replies)
    reply(["ready"])
    for line in sys.stdin:
        reply(answer(json.loads(line), frozenset(settings["separated"]), settings["slot"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
