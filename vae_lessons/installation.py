"""A instalação está completa? Compara o que há nesta máquina com o que o pacote declara precisar."""

import platform
from importlib.metadata import PackageNotFoundError, requires, version

import pandas as pd
import torch
from packaging.requirements import Requirement

from vae_lessons.devices import choose_device

_PACKAGE = "vae-lessons"


def report() -> pd.DataFrame:
    """Uma linha por dependência direta, com a versão instalada e a exigida, e uma para o Python e o dispositivo."""
    rows = [("Python", platform.python_version(), ">=3.11")]
    rows += [(r.name, _installed(r.name) or "não instalado", str(r.specifier)) for r in _requirements()]
    rows.append(("dispositivo do treino", _device_name(), ""))
    return pd.DataFrame(rows, columns=["o quê", "aqui", "exigido"]).set_index("o quê")


def problems() -> list[str]:
    """O que falta ou é antigo demais, uma frase por problema com o que fazer; vazia se está tudo certo."""
    found = []
    for requirement in _requirements():
        installed = _installed(requirement.name)
        if installed is None:
            found.append(f"Falta {requirement.name}. Rode: pip install -r requirements.txt")
        elif not requirement.specifier.contains(installed, prereleases=True):
            found.append(
                f"{requirement.name} é a versão {installed}, e as lições pedem {requirement.specifier}. "
                "Rode: pip install -r requirements.txt"
            )
    return found


def _requirements() -> list[Requirement]:
    """As dependências de uso, sem as dos grupos opcionais."""
    declared = [Requirement(line) for line in requires(_PACKAGE) or []]
    return [r for r in declared if r.marker is None or r.marker.evaluate({"extra": ""})]


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _device_name() -> str:
    device = choose_device("auto")
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return str(device)
