"""O que é um conjunto de dados: imagens, contagens ou símbolos, com ou sem rótulos."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from vae_lessons.data.binarization import binarize, require_mode
from vae_lessons.devices import choose_device


@dataclass(frozen=True, eq=False)
class Dataset:
    """Exemplos inteiros na memória, um por linha.

    x: [N, D], uint8 (imagens, níveis de cinza de 0 a 255), ponto flutuante (contagens, tons de cinza em [0, 1] ou o que
    for) ou int64 (símbolos) · y: int64 [N], classes, ou None · factors: int64 [N, F], fatores geradores conhecidos, ou
    None · image_shape: (H, W), com H·W = D, ou None se não são imagens · columns: o que são as D colunas, no plural
    ("pixels", "genes", "palavras"), para as mensagens.
    Levanta TypeError se um deles não for do tipo certo, e ValueError se a forma de um não casar com a dos outros.
    """

    x: Tensor
    y: Tensor | None = None
    factors: Tensor | None = None
    image_shape: tuple[int, int] | None = None
    name: str = "dados"
    columns: str | None = None

    def __post_init__(self) -> None:
        _require_rows(self.x)
        _require_integers("y", self.y, self.x, ndim=1)
        _require_integers("factors", self.factors, self.x, ndim=2)
        if self.image_shape is not None:
            object.__setattr__(self, "image_shape", _checked_image_shape(self.image_shape, self.x.shape[1]))
        if self.columns is None:
            object.__setattr__(self, "columns", _default_columns(self.x, self.image_shape))

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        n, d = self.x.shape
        if self.image_shape is None:
            what = f"{_count(n, 'exemplo', 'exemplos')} de {d} {self.columns}"
        else:
            what = f"{_count(n, 'imagem', 'imagens')} de {self.image_shape[0]}×{self.image_shape[1]}"
        if self.y is not None:
            what += f", {_count(len(self.y.unique()), 'classe', 'classes')}"
        return f"Dataset({self.name!r}, {what})"

    def to(self, device: torch.device | str) -> "Dataset":
        """O mesmo conjunto com os tensores em `device`, um dos de TrainConfig, "auto" inclusive.

        Levanta ValueError se o dispositivo não existir nesta máquina.
        """
        device = choose_device(device)
        y = None if self.y is None else self.y.to(device)
        factors = None if self.factors is None else self.factors.to(device)
        return replace(self, x=self.x.to(device), y=y, factors=factors)

    def batch(self, rows: Tensor, mode: str = "dynamic", *, generator: torch.Generator | None = None) -> Tensor:
        """O que um modelo vê de `rows` [B, D], linhas de x: imagens uint8 passam por `binarize(rows, mode)`, ponto
        flutuante e int64 ficam como estão. Levanta ValueError se o modo não existir."""
        require_mode(mode)
        return binarize(rows, mode, generator=generator) if rows.dtype == torch.uint8 else rows


def as_dataset(data: Dataset | Tensor) -> Dataset:
    """Um Dataset como veio; um tensor [N, D], como um Dataset sem rótulos.

    Levanta TypeError se não for nem um nem outro, e ValueError se a forma ou o tipo não servirem ou se estiver vazio.
    """
    if not isinstance(data, Dataset):
        data = Dataset(data)
    if len(data) == 0:
        raise ValueError(
            f"Os dados devem ter forma [N, D] com ao menos um exemplo, mas {data.name!r} tem {tuple(data.x.shape)}."
        )
    return data


def _require_rows(x: Tensor) -> None:
    if isinstance(x, np.ndarray):
        raise TypeError(
            f"Os dados devem ser um Dataset ou um tensor [N, D], mas veio um array do NumPy de forma {x.shape}. "
            "Converta-o com torch.from_numpy(x), ou, se são imagens, com data.from_images(x)."
        )
    if not isinstance(x, Tensor):
        raise TypeError(f"Os dados devem ser um Dataset ou um tensor [N, D], mas veio {type(x).__name__}.")
    if x.ndim != 2 or x.shape[1] == 0:
        raise ValueError(f"Os dados devem ter forma [N, D], mas veio {tuple(x.shape)}.{_how_to_flatten(x)}")
    if not (x.dtype in (torch.uint8, torch.int64) or x.is_floating_point()):
        raise TypeError(
            "Os dados devem ser uint8 (imagens, de 0 a 255), ponto flutuante (contagens, tons de cinza) ou int64 "
            f"(símbolos), mas vieram {x.dtype}. {_CONVERSIONS.get(x.dtype, 'Converta-os para um desses três.')}"
        )


_CONVERSIONS = {torch.bool: "Para preto e branco, x.to(torch.uint8) * 255."}


def _how_to_flatten(x: Tensor) -> str:
    if x.ndim == 1:
        return " De um exemplo só, x[None]; de um número para cada exemplo, x[:, None]."
    if is_colour(tuple(x.shape)):
        return (
            " Imagens em cores não são aceitas: passe-as antes para tons de cinza, com a média dos canais "
            f"(x.float().mean({colour_axis(tuple(x.shape))})), e use .flatten(1)."
        )
    if x.ndim > 2:
        return " De imagens [N, H, W], x.flatten(1), ou data.from_images(x), que guarda também a forma."
    return ""


def is_colour(shape: Sequence[int]) -> bool:
    """A forma é a de imagens em cores, [N, C, H, W] ou [N, H, W, C] com C de 2 a 4?"""
    return len(shape) == 4 and (shape[1] in (2, 3, 4) or shape[3] in (2, 3, 4))


def colour_axis(shape: Sequence[int]) -> int:
    return 3 if shape[3] in (2, 3, 4) else 1


def _require_integers(name: str, values: Tensor | None, x: Tensor, *, ndim: int) -> None:
    if values is None:
        return
    shape = "[N]" if ndim == 1 else "[N, F]"
    if not isinstance(values, Tensor):
        raise TypeError(f"{name} deve ser um tensor int64 {shape} ou None, mas veio {type(values).__name__}.")
    if values.dtype != torch.int64:
        raise TypeError(f"{name} deve ser int64, mas veio {values.dtype}. Converta com {name}.long().")
    if values.ndim != ndim or len(values) != len(x):
        raise ValueError(
            f"{name} deve ter forma {shape}, com os mesmos N = {len(x)} exemplos de x, mas veio {tuple(values.shape)}."
        )


def _checked_image_shape(image_shape: Sequence[int], n_pixels: int) -> tuple[int, int]:
    try:
        height, width = (int(side) for side in image_shape)
        matches = height > 0 and width > 0 and height * width == n_pixels
    except (TypeError, ValueError):
        matches = False
    if not matches:
        raise ValueError(
            f"image_shape deve ser (H, W) com H·W = D = {n_pixels}, mas veio {image_shape!r}. São imagens em tons de "
            "cinza, de um canal só; se os dados não são imagens, deixe image_shape=None."
        )
    return height, width


def _default_columns(x: Tensor, image_shape: tuple[int, int] | None) -> str:
    if image_shape is not None or x.dtype == torch.uint8:
        return "pixels"
    return "símbolos" if x.dtype == torch.int64 else "colunas"


def _count(n: int, singular: str, plural: str) -> str:
    return f"{n} {singular if n == 1 else plural}"
