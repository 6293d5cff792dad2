"""Arquivos do usuário: caminhos como ele os escreve, e gravações que aparecem por inteiro ou não aparecem."""

import contextlib
import os
import tempfile
from pathlib import Path


def user_path(path: str | os.PathLike) -> Path:
    """O caminho com `~` trocado pela pasta do usuário."""
    return Path(path).expanduser()


def write_atomically(path: Path, content: bytes) -> None:
    """Grava ao lado, num arquivo de nome único, espera o disco e troca de nome: quem ler verá o conteúdo antigo ou o
    novo, inteiros, mesmo que dois gravem ao mesmo tempo. Cria as pastas que faltarem. Levanta OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(prefix=partial_prefix(path), suffix=".partial", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(partial, _mode_of_new_files())  # mkstemp o faz só do dono
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)  # num disco cheio, a parte que coube também faz falta
        raise


def partial_prefix(path: Path) -> str:
    """Como começa o nome de uma gravação de `path` em curso, ou interrompida pela morte do processo."""
    return f".{path.name}."


def _mode_of_new_files() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
