"""Kernels sem rede: toda lição deve rodar numa sala de aula em que só o próprio computador responde."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Executado pelo IPython ao nascer, no espaço de nomes da lição: não pode deixar nada nele.
_STARTUP = """
def _refuse_network():
    import ipaddress
    import sys

    def is_local(host):
        if isinstance(host, bytes):
            host = host.decode("ascii", "replace")
        if host in (None, "", "localhost"):
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def refuse(event, arguments):
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg") and isinstance(arguments[1], tuple):
            host = arguments[1][0]
        elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
            host = arguments[0]
        else:
            return
        if not is_local(host):
            raise OSError(f"A lição tentou usar a rede: {host}")

    sys.addaudithook(refuse)


_refuse_network()
del _refuse_network
"""


@contextlib.contextmanager
def kernels_without_network() -> Iterator[None]:
    """Enquanto durar, todo kernel de Python que este processo iniciar recusa conexões para fora da máquina.

    Vale para o nbclient, o nbval e o JupyterLab, porque passa pela variável IPYTHONDIR, que todos herdam: os kernels
    usam uma configuração do IPython descartável, e a do usuário também não conta. A conexão recusada levanta OSError.
    Não alcança outros programas que a lição chame.
    """
    before = os.environ.get("IPYTHONDIR")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        startup = Path(folder, "profile_default", "startup", "00_sem_rede.py")
        startup.parent.mkdir(parents=True)
        startup.write_text(_STARTUP, encoding="utf-8")
        os.environ["IPYTHONDIR"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["IPYTHONDIR"]
            else:
                os.environ["IPYTHONDIR"] = before
