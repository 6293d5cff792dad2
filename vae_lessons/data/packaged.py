"""Os conjuntos pequenos que vêm dentro do pacote: o que há em cada um, e como se confere.

Cada um tem uma pasta em `small/`, com `data.gz` e, em `LICENCA.txt`, a origem e a licença. `data.gz` são arrays do
NumPy em formato `.npy`, um depois do outro, comprimidos juntos; nunca há pickle. O que se confere é o SHA-256 do
conteúdo descompactado, porque cada versão da zlib comprime a seu modo. Quem os faz é `recipes`. Para acrescentar um
conjunto: uma linha em PACKAGED, um módulo lá, e `python -m vae_lessons.data.recipes NOME`.
"""

import gzip
import hashlib
import io
import zlib
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import torch
from torch import Tensor

from vae_lessons.data.dataset import Dataset


@dataclass(frozen=True)
class Packaged:
    """arrays: os nomes dos que estão no arquivo, em ordem; "x" [N, D], "y" [N] e "factors" [N, F] vão para o Dataset,
    os outros (vocabulários, títulos) são lidos com `read_arrays` · sha256: o do conteúdo descompactado · dtype: o de x
    no Dataset, que no arquivo ocupa menos · columns: o que são as D colunas."""

    arrays: tuple[str, ...]
    sha256: str
    dtype: torch.dtype
    columns: str
    image_shape: tuple[int, int] | None = None


PACKAGED = {
    "mnist_5k": Packaged(
        arrays=("x", "y"),
        sha256="d23cb3dd776c0fbabd5f8a99f770a5b0d2d78789dcb007fd531abf9cd5833cc2",
        dtype=torch.uint8,
        columns="pixels",
        image_shape=(28, 28),
    ),
    "phrases": Packaged(
        arrays=("x", "vocabulary"),
        sha256="9f1b76de5f0e172ace67f9fecb3a4265ca78be0508f93099450996dd47154c6e",
        dtype=torch.int64,
        columns="símbolos",
    ),
    "weather": Packaged(
        arrays=("x", "factors"),
        sha256="b1626a9f2989cbdbc10655064ef3d887d8798a8286fc72fb693ba834bc4b907c",
        dtype=torch.float32,
        columns="medidas",
    ),
    "pbmc": Packaged(
        arrays=("x", "y", "factors", "genes", "cell_types"),
        sha256="294bc7a3866c5f56e4007c66cd630b7fc7302687cf5239a42b66daa3e73e2678",
        dtype=torch.float32,
        columns="genes",
    ),
    "topics": Packaged(
        arrays=("x", "y", "titles", "vocabulary", "sections"),
        sha256="7948d5edb3edb69bb16cb09ff6f11c3e8573e83d0c35357dd7f26044e508255f",
        dtype=torch.float32,
        columns="palavras",
    ),
    "films": Packaged(
        arrays=("x", "titles", "genres"),
        sha256="19c1d0513aea7bdbe45718cd82aba0d4c4b26e38565c2a6d2ed36675bd812bec",
        dtype=torch.float32,
        columns="filmes",
    ),
}


def read_dataset(name: str, split: str) -> Dataset:
    """A partição "train" ou "test", sempre a mesma (ver `every_fifth`). Levanta o que `read_arrays` levanta."""
    entry, arrays = PACKAGED[name], read_arrays(name)
    x, y, factors = (torch.from_numpy(arrays[key]) if key in arrays else None for key in ("x", "y", "factors"))
    chosen = _rows(arrays, split)
    return Dataset(
        x=x[chosen].to(entry.dtype),
        y=None if y is None else y[chosen].long(),
        factors=None if factors is None else factors[chosen].long(),
        image_shape=entry.image_shape,
        name=name,
        columns=entry.columns,
    )


def read_arrays(name: str) -> dict[str, np.ndarray]:
    """Todos os arrays do arquivo, pelo nome.

    Levanta FileNotFoundError se o arquivo não estiver na instalação, e ValueError se não for o que deveria.
    """
    file = files("vae_lessons.data") / "small" / name / "data.gz"
    remedy = "Reinstale o pacote: pip install --force-reinstall --no-deps -e . na pasta do repositório"
    try:
        content = gzip.decompress(file.read_bytes())
    except FileNotFoundError as error:
        raise FileNotFoundError(f"Falta na instalação o arquivo de {name!r}, {file}. {remedy}.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"O arquivo de {name!r}, {file}, está incompleto ou corrompido ({error}). {remedy}."
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != PACKAGED[name].sha256:
        raise ValueError(
            f"O arquivo de {name!r}, {file}, foi alterado: o SHA-256 do conteúdo é {digest}, e deveria ser "
            f"{PACKAGED[name].sha256}. {remedy}."
        )
    stream = io.BytesIO(content)
    return {array: np.load(stream, allow_pickle=False) for array in PACKAGED[name].arrays}


def read_rows(name: str, array: str, split: str) -> np.ndarray:
    """De um array que tem uma entrada por exemplo, as da partição, na ordem de `read_dataset(name, split).x`.

    Levanta ValueError se a partição não for "train" nem "test", e o que `read_arrays` levanta.
    """
    if split not in ("train", "test"):
        raise ValueError(f"Partição desconhecida: {split!r}. As que existem são: 'train', 'test'.")
    arrays = read_arrays(name)
    return arrays[array][_rows(arrays, split).numpy()]


def _rows(arrays: dict[str, np.ndarray], split: str) -> Tensor:
    y = torch.from_numpy(arrays["y"]).long() if "y" in arrays else torch.zeros(len(arrays["x"]), dtype=torch.int64)
    is_test = every_fifth(y)
    return is_test if split == "test" else ~is_test


def every_fifth(y: Tensor) -> Tensor:
    """Quais exemplos vão para o teste, bool [N]: em cada classe, um a cada cinco. Estratificado, fixo e sem sorteio.

    y: int64 [N], as classes, a partir de 0.
    """
    rank_in_class = torch.nn.functional.one_hot(y).cumsum(0).gather(1, y[:, None]).squeeze(1) - 1
    return rank_in_class % 5 == 4
