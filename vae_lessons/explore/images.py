"""As imagens de um conjunto de dados na tela: que números são preto e que números são branco."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae_lessons.data import Dataset


class Greys(NamedTuple):
    """De [..., D], como o modelo vê e devolve, aos níveis de cinza [..., H, W] da tela: low é preto e high, branco."""

    image_shape: tuple[int, int]
    low: float = 0.0
    high: float = 1.0

    def levels(self, x: Tensor) -> np.ndarray:
        """uint8 [..., H, W]; o que sair de [low, high] aparece preto ou branco."""
        scaled = ((x - self.low) / (self.high - self.low)).clamp(0, 1)
        return (scaled * 255).round().to(torch.uint8).unflatten(-1, self.image_shape).cpu().numpy()


def greys_of(data: Dataset) -> Greys:
    """A escala de cinza de `data`: a dos próprios números, se saírem de [0, 1].

    Levanta ValueError se não forem ao menos duas imagens, com números finitos e forma conhecida.
    """
    if data.image_shape is None or data.x.dtype == torch.int64:
        raise ValueError(
            f"Um explorador mostra imagens, e {data.name!r} não é de imagens em tons de cinza: image_shape deve ser "
            f"(H, W), com H·W = D = {data.x.shape[1]}, e x uint8 ou ponto flutuante, mas veio image_shape "
            f"{data.image_shape} e x {data.x.dtype}. De um array de imagens, use data.from_images."
        )
    if len(data) < 2:
        raise ValueError(f"São precisas ao menos duas imagens, com x [N, D], mas x tem forma {tuple(data.x.shape)}.")
    if data.x.dtype == torch.uint8:
        return Greys(data.image_shape)
    low, high = (value.item() for value in data.x.aminmax())
    if not np.isfinite([low, high]).all():
        raise ValueError(f"Há NaN ou infinito nas imagens de {data.name!r}. Corrija-as ou retire-as.")
    if low >= 0 and high <= 1:
        return Greys(data.image_shape)
    return Greys(data.image_shape, low, high if high > low else low + 1)
