"""Como se fez cada arquivo de `small/`, a partir de um arquivo público de SHA-256 fixo: uma receita por módulo.

    python -m vae_lessons.data.recipes mnist_5k                        # baixa o pacote, confere-o e grava
    python -m vae_lessons.data.recipes mnist_5k --archive pacote.whl   # de um que já se tem

É para quem mantém as lições; quem as lê nunca precisa disto.
"""

import gzip
import io
from pathlib import Path

import numpy as np

from vae_lessons.data.packaged import PACKAGED
from vae_lessons.data.recipes import films, mnist_5k, pbmc, phrases, topics, weather
from vae_lessons.data.recipes.recipe import Recipe

__all__ = ["RECIPES", "SMALL", "Recipe", "build", "write"]

SMALL = Path(__file__).parent.parent / "small"

RECIPES = {
    "mnist_5k": mnist_5k.RECIPE,
    "phrases": phrases.RECIPE,
    "weather": weather.RECIPE,
    "pbmc": pbmc.RECIPE,
    "topics": topics.RECIPE,
    "films": films.RECIPE,
}


def build(name: str, archive: Path) -> tuple[bytes, str]:
    """O conteúdo de `data.gz`, antes de comprimir, e o de `LICENCA.txt`.

    Levanta ValueError se `archive` não for o arquivo da receita, ou se os arrays não forem os que `packaged` declara.
    """
    recipe = RECIPES[name]
    recipe.checked(archive)
    arrays, licence = recipe.make(archive)
    if tuple(arrays) != PACKAGED[name].arrays:
        raise ValueError(f"A receita de {name!r} deu os arrays {tuple(arrays)}; esperava {PACKAGED[name].arrays}.")
    stream = io.BytesIO()
    for array in arrays.values():
        np.lib.format.write_array(stream, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return stream.getvalue(), f"{recipe.origin.strip()}\n\n{'-' * 80}\n\n{licence.strip()}\n"


def write(name: str, content: bytes, licence: str, folder: Path = SMALL) -> None:
    """Grava `data.gz` e `LICENCA.txt` na pasta do conjunto: de um mesmo conteúdo, sempre os mesmos bytes."""
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "data.gz").write_bytes(gzip.compress(content, 9, mtime=0))
    (place / "LICENCA.txt").write_text(licence, encoding="utf-8", newline="\n")
