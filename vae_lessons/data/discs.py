"""Discos gerados, com três fatores conhecidos: x, y e raio. Um passo de cada fator é um pixel."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vae_lessons.data.dataset import Dataset

FACTORS = {"x": 8, "y": 4, "radius": 4}  # nome → quantos valores, na ordem das colunas
VALUES = {  # em pixels: o centro, a partir do meio da imagem, e o raio
    "x": torch.linspace(-3.5, 3.5, 8),
    "y": torch.linspace(-1.5, 1.5, 4),
    "radius": torch.linspace(5, 8, 4),
}
IMAGE_SHAPE = (20, 24)


def factorial(x: Sequence[float], y: Sequence[float], radius: Sequence[float], *, name: str = "discs") -> Dataset:
    """Um disco claro para cada combinação de x, y e raio, em pixels: uint8 [N, 480]; factors [N, 3] traz os índices.

    (x, y) é o centro, a partir do meio da imagem: x cresce para a direita, y para baixo. O tom vai de 1 a 0 na largura
    de um pixel, e o disco não tem serrilhado. O que sai da imagem é cortado.
    Levanta ValueError se algum fator vier sem valores ou com um raio que não seja positivo.
    """
    values = [torch.as_tensor(value, dtype=torch.float32).flatten() for value in (x, y, radius)]
    if not all(len(value) for value in values) or values[2].min() <= 0:
        raise ValueError(
            "Cada fator precisa de ao menos um valor, e os raios devem ser positivos, mas vieram "
            f"x = {values[0].tolist()}, y = {values[1].tolist()} e radius = {values[2].tolist()}."
        )
    factors = torch.cartesian_prod(*(torch.arange(len(value)) for value in values)).reshape(-1, 3)
    images = _disc(*(value[index][:, None, None] for value, index in zip(values, factors.T, strict=True)))
    return Dataset(x=images.flatten(1), factors=factors, image_shape=IMAGE_SHAPE, name=name)


def render(split: str) -> Dataset:
    """ "train": o fatorial completo de VALUES, 8 × 4 × 4 = 128 imagens. "test": 7 × 3 × 3 = 63 imagens, cada fator a
    meio caminho entre dois valores vizinhos do treino; o índice i quer dizer "entre i e i + 1"."""
    if split == "train":
        return factorial(**VALUES)
    return factorial(**{name: (value[1:] + value[:-1]) / 2 for name, value in VALUES.items()})


def _disc(x: Tensor, y: Tensor, radius: Tensor) -> Tensor:
    height, width = IMAGE_SHAPE
    rows, columns = torch.arange(height) + 0.5 - height / 2, torch.arange(width) + 0.5 - width / 2
    down, right = torch.meshgrid(rows, columns, indexing="ij")
    grey = (radius - torch.hypot(right - x, down - y) + 0.5).clamp(0, 1)
    return (255 * grey).round().to(torch.uint8)
