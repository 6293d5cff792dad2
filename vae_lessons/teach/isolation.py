"""O que separa o código de um aluno da máquina de quem corrige.

Sempre: limites de memória, de tempo de processador, de tamanho de arquivo e de processos, e uma pasta descartável.
Onde o Linux deixa (espaços de nomes): sem rede, sem ver nem matar os outros processos, o disco só de leitura, e
escondidas as pastas de quem corrige. `describe` diz o que há nesta máquina. Não é um cofre: não protege de uma falha do
próprio sistema, nem de quem copia a resposta de um colega ou do pacote.
"""

import contextlib
import ctypes
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import vae_lessons

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = (
    *(0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000),
)
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 2, 4, 32, 4096, 0x4000, 1 << 18
_SYS_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_CHILD_SUBREAPER = 1, 38, 36
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
# O que se esconde do código dos alunos, e o que dele é preciso que se veja.
_PRIVATE = [*{Path(folder).resolve() for folder in (Path.home(), tempfile.gettempdir(), "/tmp", "/var/tmp")}]
_NEEDED = [
    path
    for folder in (Path(vae_lessons.__file__).parent, sys.prefix, sys.base_prefix, sys.exec_prefix)
    for path in (Path(folder), Path(folder).resolve())
]
_OUTSIDERS = 61_000  # os usuários sem nome em que root se transforma, um por processo que corrige

# O que se separa: como se diz onde há, e o que o código pode fazer onde não há.
_SHARES = {
    "network": ("sem rede", "usar a rede"),
    "processes": ("sem matar outros processos", "matar os outros processos desta conta"),
    "sight": ("sem os ver", "ver que outros processos há"),
    "files": (
        "com o disco só de leitura, e escondidas a pasta do usuário, a temporária, a das entregas e a das notas",
        "ler e gravar o que esta conta lê e grava, as outras entregas, as notas e o segredo também",
    ),
}


class Limits(NamedTuple):
    """seconds: por célula · total: por entrega, em segundos · memory, file: bytes por processo e por arquivo ·
    disk: bytes na pasta descartável · processes: quantos ao mesmo tempo."""

    seconds: float = 60.0
    total: float = 300.0
    memory: int = 2 * 2**30
    file: int = 64 * 2**20
    disk: int = 256 * 2**20
    processes: int = 64


class NotIsolated(OSError):
    """O isolamento que se prometeu não pôde ser feito."""


def available() -> frozenset[str]:
    """O que se pode separar nesta máquina, experimentando: as chaves de _SHARES e, de root, também "user", que é
    executar o código como um usuário sem permissões."""
    for wanted in (
        *([frozenset({*_SHARES, "user"})] if os.getuid() == 0 else []),
        frozenset(_SHARES),
        frozenset({"network", "processes", "files"}),
        frozenset({"network", "processes"}),
        frozenset({"network"}),
    ):
        if _works(wanted):
            return wanted
    return frozenset()


def describe(separated: frozenset[str], hidden: Iterable[Path] = ()) -> str:
    """Um parágrafo para quem corrige: o que há e o que falta nesta máquina. hidden: as pastas que se querem escondidas,
    além das que sempre se escondem."""
    has = [there for name, (there, _) in _SHARES.items() if name in separated]
    lacks = [missing for name, (_, missing) in _SHARES.items() if name not in separated]
    always = "com limites de tempo, memória, processos e arquivos, e numa pasta descartável"
    text = f"Cada entrega é executada num processo novo, {'; '.join([always, *has])}."
    if lacks:
        text += (
            f" O sistema não deixa separar mais, e o código pode {'; '.join(lacks)}. Corrija numa máquina virtual, num "
            "contêiner ou numa conta só para isso."
        )
    else:
        reader = "um usuário sem permissões" if "user" in separated else "esta conta"
        text += f" Do resto do disco, o código lê o que {reader} lê; uma máquina virtual separa mais."
    if "files" in separated:
        for folder in (*_PRIVATE, *hidden):
            if around := _around(folder, _NEEDED):
                text += f" Não se esconde {folder}, porque o código precisa de ver {around}: ponha-a noutro lugar."
    if os.getuid() == 0 and "user" not in separated:
        text += " Esta conta é root, e o código também, ainda que sem os seus poderes: prefira outra conta."
    return text


def enter(separated: frozenset[str], scratch: Path, hidden: list[Path], limits: Limits, slot: int, run: Callable):
    """Executa `run()` separado do resto, num processo filho deste, e termina este com ele. Não volta.

    Chama-se num processo só para isso. Levanta NotIsolated, antes de `run`, se algo de `separated` não puder ser feito.
    """
    outsider = _OUTSIDERS + slot if "user" in separated else None
    os.umask(0o022)  # as pastas que se fazem aqui, quem perdeu as permissões as atravessa
    if separated:
        _unshare(separated)
    if "processes" in separated:
        _become_child(own_processes=True)
    if "files" in separated:
        _only_this_folder(scratch, hidden, limits, outsider)
    if "processes" in separated:
        _become_child(own_processes=False)
    _live_in(scratch)
    _limit(limits)
    _drop_privileges(outsider)
    run()
    os._exit(0)


def _live_in(scratch: Path) -> None:
    """Tudo o que o código e as bibliotecas guardam, como o cache do compilador do torch, fica na pasta descartável."""
    places = ("HOME", "TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
    os.environ.update(dict.fromkeys(places, str(scratch)), TORCHINDUCTOR_CACHE_DIR=str(scratch / ".torchinductor"))
    tempfile.tempdir = str(scratch)
    os.chdir(scratch)


def die_with_parent() -> None:
    """Este processo morre se morrer quem o fez: uma correção interrompida não deixa nada a trabalhar."""
    if _LIBC:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def adopt_orphans() -> None:
    """Os processos que o código de um aluno deixar órfãos passam a ser filhos deste, que assim os pode matar."""
    if _LIBC:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _works(wanted: frozenset[str]) -> bool:
    with tempfile.TemporaryDirectory(prefix="vae-lessons-") as folder:
        scratch, hidden = Path(folder, "pasta"), Path(folder, "escondida")
        scratch.mkdir()
        hidden.mkdir()
        os.chmod(folder, 0o755)
        (hidden / "nota").write_text("10")
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                enter(wanted, scratch, [hidden], Limits(), 999, lambda: _prove(wanted, scratch, hidden))
            os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _prove(wanted: frozenset[str], scratch: Path, hidden: Path) -> None:
    """Executado separado: sai com erro se a separação não for a prometida, ou se as lições não puderem ser lidas."""
    ok = all(os.access(path, os.R_OK) for path in (vae_lessons.__file__, os.__file__, ctypes.__file__, *_NEEDED))
    (scratch / "arquivo").write_text("ok")
    if "files" in wanted:
        ok = ok and not (hidden / "nota").exists()
        with contextlib.suppress(OSError):
            Path(vae_lessons.__file__).parent.joinpath(".prova").touch()
            ok = False
    if "processes" in wanted:
        ok = ok and os.getpid() < 10
    if "sight" in wanted:
        ok = ok and os.readlink("/proc/self") == str(os.getpid())
    if "network" in wanted:
        ok = ok and _only_loopback()
    os._exit(0 if ok else 1)


def _only_loopback() -> bool:
    lines = Path("/proc/self/net/dev").read_text(encoding="utf-8").splitlines()
    return all(line.split(":")[0].strip() == "lo" for line in lines if ":" in line)


def _unshare(separated: frozenset[str]) -> None:
    flags = _NEWNET | _NEWIPC | _NEWUTS
    if "processes" in separated:
        flags |= _NEWPID
    if "files" in separated or "processes" in separated:
        flags |= _NEWNS
    uid, gid = os.getuid(), os.getgid()
    if uid != 0:
        flags |= _NEWUSER
    _call("unshare", flags)
    if uid != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    if flags & _NEWNS:
        _mount("none", "/", None, _MS_REC | _MS_PRIVATE)


def _become_child(*, own_processes: bool) -> None:
    """Continua num filho; o pai só espera por ele e sai como ele sair.

    O primeiro processo de um espaço de processos leva consigo, ao morrer, todos os outros.
    """
    child = os.fork()
    if child:
        while True:
            with contextlib.suppress(InterruptedError):
                done, status = os.wait()
                if done == child:
                    code = os.waitstatus_to_exitcode(status)
                    os._exit(code if code >= 0 else 128 - code)
    die_with_parent()
    if own_processes:
        with contextlib.suppress(OSError):  # nalguns contêineres fica o /proc antigo, em que se veem os outros: "sight"
            _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV)


def _only_this_folder(scratch: Path, hidden: list[Path], limits: Limits, outsider: int | None) -> None:
    attributes = (ctypes.c_uint64 * 4)(_MOUNT_ATTR_RDONLY, 0, 0, 0)
    if _LIBC.syscall(
        _SYS_MOUNT_SETATTR,
        _AT_FDCWD,
        b"/",
        _AT_RECURSIVE,
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    ):
        raise NotIsolated(ctypes.get_errno(), "mount_setattr")
    owner = f",uid={outsider},gid={outsider}" if outsider else ""
    kept = [scratch, *_NEEDED]
    for folder in [*_PRIVATE, *hidden]:
        _hide(folder, kept)
    for folder, size in ((scratch, limits.disk), (Path("/dev/shm"), limits.memory // 4)):
        if folder.is_dir():
            _mount("tmpfs", str(folder), "tmpfs", _MS_NOSUID | _MS_NODEV, f"size={size},mode=700{owner}")


def _hide(folder: Path, kept: list[Path]) -> None:
    """Põe uma pasta vazia no lugar de `folder`, e nela só o que há dentro dela de `kept`."""
    if not folder.is_dir() or _around(folder, kept):  # `describe` o disse a quem corrige
        return
    inside = [path for path in kept if path.is_relative_to(folder) and path.exists()]
    opened = [os.open(path, os.O_PATH) for path in inside]
    _mount("tmpfs", str(folder), "tmpfs", _MS_NOSUID | _MS_NODEV, "size=64k,mode=755")
    for path, number in zip(inside, opened, strict=True):
        path.mkdir(parents=True, exist_ok=True)
        _mount(f"/proc/self/fd/{number}", str(path), None, _MS_BIND | _MS_REC)
        os.close(number)
    _mount("none", str(folder), None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY)


def _around(folder: Path, kept: Iterable[Path]) -> Path | None:
    return next((path for path in kept if folder.is_relative_to(path)), None)


def _limit(limits: Limits) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    space = pages * resource.getpagesize() + limits.memory
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, limits.file),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_AS, space),
        (resource.RLIMIT_CPU, int(limits.total) + 1),
        (resource.RLIMIT_NPROC, limits.processes + _already_running()),
    ):
        _, most = resource.getrlimit(kind)
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(kind, (value, value))


def _already_running() -> int:
    """Quantas linhas de execução esta conta já tem: num Linux antigo, o limite de processos vale para todas elas."""
    count, uid = 0, os.getuid()
    for task in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if task.stat().st_uid == uid:
                count += len(os.listdir(task / "task"))
    return count if uid else 0


def _drop_privileges(outsider: int | None) -> None:
    if outsider:
        os.setgroups([])
        os.setresgid(outsider, outsider, outsider)
        os.setresuid(outsider, outsider, outsider)
    if _LIBC:
        _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        _LIBC.capset(ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)()))


def _mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    _call("mount", source.encode(), target.encode(), kind and kind.encode(), ctypes.c_ulong(flags), options.encode())


def _call(name: str, *arguments) -> None:
    if _LIBC is None or getattr(_LIBC, name)(*arguments):
        raise NotIsolated(ctypes.get_errno(), name)
