"""Um desenho à mão: dos traços da caneta à imagem que o modelo vê.

A imagem não passa por um papel de pixels: cada pixel é mais ou menos tinta conforme a distância dele ao caminho da
caneta. As mesmas contas, em JavaScript, são as de publish/static/rede.js.
"""

import json
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae_lessons.data import Dataset
from vae_lessons.explore.images import Greys

_LOOKED_AT = 256  # imagens em que se medem o tamanho e a espessura dos desenhos
_SMALLEST = 0.25  # do lado do papel: um ponto não se amplia até encher a imagem
_FILLS = 0.95  # fração da imagem a partir da qual um desenho a enche


class Pen(NamedTuple):
    """Como se desenha o que se parece com as imagens de um conjunto.

    image_shape: (H, W) · extent: o maior lado de um desenho, em frações do menor lado da imagem · thickness: a
    espessura do traço, em pixels · dark: a tinta é preta, num papel branco.
    """

    image_shape: tuple[int, int]
    extent: float
    thickness: float
    dark: bool

    def ink(self, strokes: list[np.ndarray]) -> np.ndarray:
        """Quanta tinta há em cada pixel, de 0 a 1: [H, W].

        strokes: um [n, 2] por traço, (direita, baixo) em frações do lado do papel. O desenho é levado ao tamanho dos
        outros; ao meio, pelo centro de massa, como no MNIST, ou pelo da caixa, se enchem a imagem.
        """
        height, width = self.image_shape
        if not strokes:
            return np.zeros((height, width))
        starts, ends = (np.concatenate(part) for part in zip(*map(_segments, strokes), strict=True))
        low, high = (extreme(np.concatenate([starts, ends]), axis=0) for extreme in (np.min, np.max))
        room = max(self.extent * min(height, width) - self.thickness, 1.0)
        scale = room / max((high - low).max(), _SMALLEST)
        rows, columns = np.mgrid[:height, :width] + 0.5
        pixels = np.stack([columns.ravel(), rows.ravel()], axis=-1)

        def around(center: np.ndarray) -> np.ndarray:
            shift = np.array([width, height]) / 2 - center * scale
            distance = _distances(pixels, starts * scale + shift, ends * scale + shift)
            return np.clip(0.5 + self.thickness / 2 - distance, 0, 1)

        boxed = around((low + high) / 2)
        if self.extent <= _FILLS:
            mass = boxed @ pixels / boxed.sum() - np.array([width, height]) / 2
            boxed = around((low + high) / 2 + mass / scale)
        return boxed.reshape(height, width)

    def image(self, strokes: list[np.ndarray], greys: Greys, *, bits: bool) -> Tensor:
        """O desenho como o modelo o vê, float32 [D]; bits: cada pixel é tinta ou papel, sem meios-tons."""
        ink = self.ink(strokes)
        if bits:
            ink = (ink > 0.5).astype(float)
        level = 1 - ink if self.dark else ink
        return torch.from_numpy(greys.low + (greys.high - greys.low) * level.ravel()).float()


def pen_of(data: Dataset, greys: Greys) -> Pen:
    """A caneta que desenha como as imagens de `data`, pelas medianas delas."""
    levels = greys.levels(data.batch(data.x[:_LOOKED_AT], "none"))
    border = np.concatenate([levels[:, [0, -1]].ravel(), levels[:, :, [0, -1]].ravel()])
    dark = bool(border.mean() > 127)
    inked = levels < 128 if dark else levels >= 128
    inked = inked[inked.any((1, 2))]
    if not len(inked):
        return Pen(data.image_shape, 5 / 7, 2.0, dark)
    sides = np.stack([_reach(inked.any(2)), _reach(inked.any(1))])
    # A área de um traço é a metade do contorno vezes a espessura; numa grade, o contorno se alonga de 4/π, em média.
    around = np.pad(inked, ((0, 0), (1, 1), (1, 1)))
    edges = sum(np.abs(np.diff(around.astype(np.int8), axis=axis)).sum((1, 2)) for axis in (1, 2))
    thickness = float(np.median(2 * inked.sum((1, 2)) / (np.pi / 4 * edges)))
    extent = min(float(np.median(sides.max(0))) / min(data.image_shape), 1.0)
    return Pen(data.image_shape, extent, max(thickness, 1.0), dark)


def strokes_of(text: str) -> list[np.ndarray]:
    """Os traços escritos em JSON, [[[direita, baixo], ...], ...], em frações do lado do papel; "" é o papel em branco.

    Levanta ValueError se não for isso.
    """
    try:
        strokes = [np.asarray(stroke, dtype=float) for stroke in json.loads(text or "[]")]
    except (TypeError, ValueError):
        strokes = [np.empty(0)]
    if not all(stroke.ndim == 2 and stroke.shape[1] == 2 and np.isfinite(stroke).all() for stroke in strokes):
        raise ValueError(
            "Um desenho é uma lista de traços, e um traço, uma lista de pontos [direita, baixo] entre 0 e 1, em JSON, "
            f"como [[[0.3, 0.1], [0.5, 0.9]]], mas veio {text[:60]!r}."
        )
    return strokes


def _segments(stroke: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """De onde a onde vai cada pedaço do traço: [n, 2] e [n, 2]. Um ponto só é um pedaço de comprimento zero."""
    return (stroke[:-1], stroke[1:]) if len(stroke) > 1 else (stroke, stroke)


def _distances(points: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """De cada ponto [P, 2] ao caminho feito dos pedaços de starts [S, 2] a ends [S, 2]: [P]."""
    (across, down), along = (points[:, None] - starts).transpose(2, 0, 1), (ends - starts).T
    position = (across * along[0] + down * along[1]) / np.maximum((along**2).sum(0), 1e-12)
    np.clip(position, 0, 1, out=position)
    squares = (across - position * along[0]) ** 2 + (down - position * along[1]) ** 2
    return np.sqrt(squares.min(1))


def _reach(inked: np.ndarray) -> np.ndarray:
    """Quantas linhas vão da primeira à última com tinta: [N, H] -> [N]."""
    return inked.shape[1] - inked[:, ::-1].argmax(1) - inked.argmax(1)
