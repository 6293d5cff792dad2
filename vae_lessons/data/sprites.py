"""Figurinhas geradas, com todos os fatores conhecidos: só assim se mede se um código separa os fatores."""

import functools
import math

import torch
from torch import Tensor

FACTORS = {"shape": 3, "scale": 4, "orientation": 8, "x": 8, "y": 8}  # nome → quantos valores, na ordem das colunas
SHAPES = ("coração", "lua", "seta")
IMAGE_SHAPE = (16, 16)

_RADII = (2.4, 3.1, 3.8, 4.5)  # do centro da forma ao ponto mais distante dela, em pixels
_STAMP = 9  # a forma cabe num quadrado deste lado, que se desloca pela imagem: 16 = 9 + 8 − 1
_SUBPIXELS = 8  # por lado: cada tom de cinza é a fração de 64 pontos do pixel que caem dentro da forma


def render(split: str) -> tuple[Tensor, Tensor]:
    """As imagens, uint8 [N, 256], e os índices dos fatores, int64 [N, 5], nas colunas de FACTORS.

    "train": o fatorial completo, 3 × 4 × 8 × 8 × 8 = 6.144 imagens. Nenhuma das formas tem simetria de rotação, e a
    imagem determina todos os fatores. "test": 3.528 imagens que não estão no treino, com escala, orientação e posição a
    meio caminho entre dois valores vizinhos dele; o índice i quer dizer "entre i e i + 1", e a orientação dá a volta.
    As mesmas em toda chamada; quem chama recebe cópias suas.
    """
    images, factors = _cached(split)
    return images.clone(), factors.clone()


@functools.cache
def _cached(split: str) -> tuple[Tensor, Tensor]:
    between = split == "test"
    radii = torch.tensor(_RADII, dtype=torch.float64)
    degrees = torch.arange(8, dtype=torch.float64) * 45
    if between:
        radii, degrees = (radii[1:] + radii[:-1]) / 2, degrees + 22.5
    stamps = _stamps(radii, degrees, shift=0.5 if between else 0.0)
    n_positions = FACTORS["x"] - 1 if between else FACTORS["x"]
    shapes, scales, angles, height, width = stamps.shape
    images = torch.zeros(shapes, scales, angles, n_positions, n_positions, *IMAGE_SHAPE, dtype=torch.uint8)
    for x in range(n_positions):
        for y in range(n_positions):
            images[:, :, :, x, y, y : y + height, x : x + width] = stamps
    factors = torch.cartesian_prod(*(torch.arange(n) for n in images.shape[:5]))
    return images.flatten(5).flatten(0, 4), factors


def _stamps(radii: Tensor, degrees: Tensor, shift: float) -> Tensor:
    """Cada forma em cada raio e ângulo, deslocada de `shift` pixels para a direita e para baixo:
    uint8 [3, R, A, lado, lado]."""
    side = _STAMP + math.ceil(shift)
    ticks = (torch.arange(side * _SUBPIXELS, dtype=torch.float64) + 0.5) / _SUBPIXELS - _STAMP / 2 - shift
    down, right = torch.meshgrid(ticks, ticks, indexing="ij")
    angle = torch.deg2rad(degrees)[:, None, None]
    across = right * angle.cos() - down * angle.sin()  # o ponto, girado ao contrário, no sistema da forma
    up = -right * angle.sin() - down * angle.cos()
    points = torch.stack([across, up], -1) / radii[:, None, None, None, None]
    covered = torch.stack([_inside(_unit(outline), points) for outline in (_heart(), _moon(), _arrow())])
    fraction = covered.double().unflatten(-1, (side, _SUBPIXELS)).unflatten(-3, (side, _SUBPIXELS)).mean((-1, -3))
    return (255 * fraction).round().to(torch.uint8)


def _heart() -> Tensor:
    t = torch.arange(64, dtype=torch.float64) * (2 * math.pi / 64)
    height = 13 * t.cos() - 5 * (2 * t).cos() - 2 * (3 * t).cos() - (4 * t).cos()
    return torch.stack([16 * t.sin().pow(3), height], -1)


def _moon() -> Tensor:
    """Um círculo de raio 1 menos outro, de raio 0,75 e centro em (0,55; 0), que o morde pela direita."""
    distance, radius = 0.55, 0.75
    x = (1 - radius**2 + distance**2) / (2 * distance)  # onde os dois círculos se cruzam
    y = math.sqrt(1 - x**2)
    outer, inner = math.atan2(y, x), math.atan2(y, x - distance)
    outside = _arc(0.0, 1.0, outer, 2 * math.pi - outer)
    bite = _arc(distance, radius, 2 * math.pi - inner, inner)
    return torch.cat([outside, bite[1:-1]])


def _arc(center: float, radius: float, start: float, stop: float) -> Tensor:
    t = torch.linspace(start, stop, 40, dtype=torch.float64)
    return torch.stack([center + radius * t.cos(), radius * t.sin()], -1)


def _arrow() -> Tensor:
    corners = [(0, 1), (-0.75, 0.1), (-0.25, 0.1), (-0.25, -1), (0.25, -1), (0.25, 0.1), (0.75, 0.1)]
    return torch.tensor(corners, dtype=torch.float64)


def _unit(outline: Tensor) -> Tensor:
    """O contorno [V, 2] com o centro de massa na origem e o ponto mais distante dela a distância 1."""
    following = outline.roll(-1, 0)
    cross = outline[:, 0] * following[:, 1] - following[:, 0] * outline[:, 1]
    centered = outline - ((outline + following) * cross[:, None]).sum(0) / (3 * cross.sum())
    return centered / centered.norm(dim=1).max()


def _inside(outline: Tensor, points: Tensor) -> Tensor:
    """Os pontos [..., 2] de dentro do polígono [V, 2], pela regra par-ímpar: [...]."""
    x, y = points.unbind(-1)
    inside = torch.zeros_like(x, dtype=torch.bool)
    for (x0, y0), (x1, y1) in zip(outline.tolist(), outline.roll(-1, 0).tolist(), strict=True):
        if y0 != y1:
            crosses = ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
            inside ^= crosses
    return inside
