"""Os processos de `sandbox`, vistos de quem corrige: vários ao mesmo tempo, cada um com uma entrega de cada vez."""

import contextlib
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from vae_lessons.teach.sandbox import ENVIRONMENT

_PATIENCE = 15.0  # segundos para um processo encerrar o que nasceu dele, e sair
# As variáveis de ambiente de que o Python e o torch precisam; nas outras, quem corrige pode guardar senhas.
_HARMLESS = re.compile(
    r"PATH|HOME|LANG|LC_\w+|TZ|TMPDIR|LD_LIBRARY_PATH|PYTHON\w+|VAE_LESSONS_\w+|VIRTUAL_ENV|CONDA_PREFIX"
)


class SandboxDied(RuntimeError):
    """O processo que corrige morreu com a entrega, ou o que respondeu não se pôde ler."""


class Stopped(BaseException):
    """Quem corrige parou o processo com uma entrega a meio: dela não se sabe nada."""


class Sandbox:
    """O processo que corrige entregas, uma a uma; renasce se morrer. scratch: onde ele faz as pastas descartáveis."""

    def __init__(self, separated: Iterable[str], slot: int, scratch: str):
        self.settings = {"separated": sorted(separated), "slot": slot, "scratch": scratch}
        self.process: subprocess.Popen | None = None
        self.stopped = False

    def ask(self, request: dict) -> dict:
        """O que se mediu. Levanta SandboxDied se a entrega derrubou o processo, e Stopped se foi `stop`."""
        process = self._running()
        try:
            _write(process, request)
            return json.loads(process.stdout.readline())
        except (OSError, ValueError, RecursionError) as error:  # morreu, ou a entrega forjou o que não se lê
            self._end()
            if self.stopped:
                raise Stopped from None
            raise SandboxDied("a entrega derrubou o processo que a corrigia.") from error

    def stop(self) -> None:
        self.stopped = True
        self._end()

    def _running(self) -> subprocess.Popen:
        if self.process is None:
            process = self.process = subprocess.Popen(
                [sys.executable, "-m", "vae_lessons.teach.sandbox"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=_without_passwords() | ENVIRONMENT,
            )
            with contextlib.suppress(OSError):
                _write(process, self.settings)
            began = process.stdout.readline()
            if self.stopped or not began:
                self._end()
            if self.stopped:
                raise Stopped
            if not began:
                raise RuntimeError("o processo que corrige não começou; veja o erro acima.")
        return self.process

    def _end(self) -> None:
        """Pede ao processo que encerre o que nasceu dele e saia; se não sair, mata-o."""
        process, self.process = self.process, None
        if process:
            process.terminate()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def in_sandboxes(
    items: list, work: Callable[[Any, Sandbox], Any], *, separated: Iterable[str], workers: int
) -> Iterator[Any]:
    """`work(item, sandbox)` de cada um, na ordem em que ficam prontos.

    Quando acaba, por bem, por um erro ou interrompido, não fica processo nem pasta, e o que estava a meio se abandona.
    """
    waiting: queue.SimpleQueue = queue.SimpleQueue()
    ready: queue.SimpleQueue = queue.SimpleQueue()
    for item in items:
        waiting.put(item)

    def labour(sandbox: Sandbox) -> None:
        try:
            while not sandbox.stopped:
                ready.put(work(waiting.get_nowait(), sandbox))
        except (queue.Empty, Stopped):
            pass
        except BaseException as error:
            ready.put(error)

    with tempfile.TemporaryDirectory(prefix="vae-lessons-", ignore_cleanup_errors=True) as scratch:
        sandboxes = [Sandbox(separated, slot, scratch) for slot in range(min(workers, len(items)))]
        threads = [threading.Thread(target=labour, args=(sandbox,), daemon=True) for sandbox in sandboxes]
        try:
            for thread in threads:
                thread.start()
            for _ in items:
                result = ready.get()
                if isinstance(result, BaseException):
                    raise result
                yield result
        finally:
            for sandbox in sandboxes:
                sandbox.stop()
            for thread in threads:
                if thread.is_alive():
                    thread.join()


def _write(process: subprocess.Popen, content: dict) -> None:
    process.stdin.write(json.dumps(content).encode() + b"\n")
    process.stdin.flush()


def _without_passwords() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if _HARMLESS.fullmatch(name)}
