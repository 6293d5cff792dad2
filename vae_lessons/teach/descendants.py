"""Os processos que nasceram deste: quais são, quanto ocupam, e como se encerram."""

import contextlib
import os
import resource
import signal
import sys
import time
from pathlib import Path

_PAGE = resource.getpagesize()


def descendants() -> list[int]:
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


def resident(pid: int) -> int:
    """A memória que um processo ocupa, em bytes; 0 se já morreu."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


def kill_descendants(patience: float = 10.0) -> None:
    """Encerra-os; se algum ainda resiste depois de `patience` segundos, avisa quem corrige."""
    deadline = time.monotonic() + patience
    while family := descendants():
        if time.monotonic() > deadline:
            alive = " ".join(map(str, family))
            print(f"Não consegui encerrar o que uma entrega deixou. Encerre você: kill -9 {alive}", file=sys.stderr)
            return
        for number in (signal.SIGSTOP, signal.SIGKILL):  # parados, já não se multiplicam
            for pid in family:
                with contextlib.suppress(OSError):
                    os.kill(pid, number)
        _bury()
        time.sleep(0.01)
    _bury()


def _bury() -> None:
    """Espera pelos filhos que já morreram, para que não fiquem na tabela de processos."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
