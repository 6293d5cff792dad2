"""O mapa dos códigos: desenhado uma vez, em cores de paleta, com um marcador pintado por cima a cada z."""

import io
import itertools

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from torch import Tensor

from vae_lessons.plotting import class_labels, latent_scatter, png
from vae_lessons.style import BLUE, ORANGE, class_look, latent_name

SIDE = 400  # pixels da tela
_DPI = 150  # mais pontos que os 400 px, para telas densas
ELLIPSE = 253  # índices da paleta reservados: à elipse de q(z|x), laranja,
INSIDE, OUTSIDE = 254, 255  # e ao marcador: miolo preto, contorno branco
_CLEAR = -1


class LatentMap:
    """As médias `means` [N, Z] nas dimensões `dims` (uma ou duas), uma cor por classe se houver `labels` [N].

    prior_circles: a prior é N(0, I), e se desenham os seus desvios padrão · class_names: o nome de cada classe.
    """

    def __init__(self, means: Tensor, labels: Tensor | None, dims: list[int], *, prior_circles: bool, class_names=None):
        self.dims = dims
        reach = 1.05 * max(3.0, means[:, dims].abs().max().item())
        if len(dims) == 2:
            fig = latent_scatter(means, labels, dims=tuple(dims), prior_circles=prior_circles, class_names=class_names)
            fig.axes[0].set(xlim=(-reach, reach), ylim=(-reach, reach))
        else:
            fig = _line(means[:, dims[0]], labels, reach, class_names)
        fig.set_size_inches(SIDE / 100, SIDE / 100)
        background = Image.open(io.BytesIO(png(fig, dpi=_DPI))).convert("RGB")
        background = background.quantize(ELLIPSE, dither=Image.Dither.NONE)
        self._background = np.asarray(background)
        colors = background.getpalette()
        orange = list(bytes.fromhex(ORANGE[1:]))
        self._palette = colors + [0] * (3 * ELLIPSE - len(colors)) + orange + [0, 0, 0] + [255, 255, 255]
        ax = fig.axes[0]
        self._frame, self._limits = ax.get_position(), (ax.get_xlim(), ax.get_ylim())
        height = round(self._frame.height * len(self._background))
        self._marker = _target() if len(dims) == 2 else _vertical_line(height)

    def image(self, z: list[float], q: tuple[list[float], list[float]] | None = None) -> Image.Image:
        """O mapa com o marcador em z [Z], ou na borda mais próxima quando z cai fora dele.

        q: média e desvio padrão, [Z] e [Z], de uma posterior; desenha-se a um e a dois desvios.
        """
        pixels = self._background.copy()
        _paint(pixels, self._marker, *self._pixel(z))
        picture = self._picture(pixels)
        if q is not None:
            self._outline(picture, *q)
        return picture

    def empty(self) -> Image.Image:
        """O mapa sem marcador."""
        return self._picture(self._background)

    def at(self, right: float, down: float) -> dict[int, float]:
        """Dimensão → valor do latente, no ponto da figura a essas frações dela, ou no mais próximo do painel."""
        shares = ((right - self._frame.x0) / self._frame.width, (1 - down - self._frame.y0) / self._frame.height)
        return {
            dim: low + min(max(share, 0.0), 1.0) * (high - low)
            for dim, share, (low, high) in zip(self.dims, shares, self._limits, strict=False)
        }

    def _picture(self, pixels: np.ndarray) -> Image.Image:
        picture = Image.frombytes("P", pixels.shape[::-1], pixels.tobytes())
        picture.putpalette(self._palette)
        return picture

    def _outline(self, picture: Image.Image, mean: list[float], deviation: list[float]) -> None:
        """As elipses, de contorno branco para que se vejam sobre os pontos; com um só latente, pares de linhas."""
        (row, column), (height, width) = self._pixel(mean), self._background.shape
        pen = ImageDraw.Draw(picture)
        per_unit = [
            size * side / (high - low)
            for (low, high), size, side in zip(
                self._limits, (self._frame.width, self._frame.height), (width, height), strict=False
            )
        ]
        reach = [max(deviation[dim] * scale, 3.0) for dim, scale in zip(self.dims, per_unit, strict=False)]
        for times, (color, thick) in itertools.product((1, 2), ((OUTSIDE, 6), (ELLIPSE, 3))):
            across, down = times * reach[0] + thick / 2, (times * reach[1] if len(reach) == 2 else height) + thick / 2
            box = (column - across, row - down, column + across, row + down)
            (pen.ellipse if len(reach) == 2 else pen.rectangle)(box, outline=color, width=thick)

    @property
    def geometry(self) -> tuple[tuple[float, float, float, float], tuple]:
        """Onde fica o painel na figura (x0, y0, largura e altura, em frações dela) e os limites dos seus eixos."""
        return self._frame.bounds, self._limits

    def _pixel(self, z: list[float]) -> tuple[int, int]:
        """(linha, coluna) do marcador; com um só latente, a linha é a do meio."""
        fractions = [
            min(max((z[dim] - low) / (high - low), 0.0), 1.0)
            for dim, (low, high) in zip(self.dims, self._limits, strict=False)
        ]
        across, up = fractions if len(fractions) == 2 else (fractions[0], 0.5)
        height, width = self._background.shape
        row = (1 - self._frame.y0 - up * self._frame.height) * height
        return round(row), round((self._frame.x0 + across * self._frame.width) * width)


def _line(means: Tensor, labels: Tensor | None, reach: float, class_names) -> Figure:
    """Com um só latente: uma fileira por classe, um traço por imagem."""
    fig = Figure(layout="constrained")
    ax = fig.subplots()
    colors = BLUE if labels is None else [class_look(label)[0] for label in labels.tolist()]
    ax.scatter(
        means, means.new_zeros(len(means)) if labels is None else labels, marker="|", s=140, color=colors, alpha=0.75
    )
    ax.set(xlim=(-reach, reach), xlabel=latent_name(0), yticks=[])
    if labels is not None:
        names, present = class_labels(labels, class_names), labels.unique().tolist()
        ax.set_yticks(present, [names[label] for label in present])
        ax.set_ylabel("classe")
    ax.spines[["top", "right"]].set_visible(False)
    return fig


def _target() -> np.ndarray:
    """Uma mira: um anel com quatro traços, preto com contorno branco, e vazio no meio: não esconde o que marca."""
    rows, columns = np.mgrid[-29:30, -29:30]
    radius, nearest = np.hypot(rows, columns), np.minimum(abs(rows), abs(columns))
    marker = np.full(radius.shape, _CLEAR)
    marker[((radius > 15) & (radius <= 22.5)) | ((radius > 18) & (radius <= 29) & (nearest <= 3.5))] = OUTSIDE
    marker[((radius > 16.8) & (radius <= 20.7)) | ((radius > 18) & (radius <= 27) & (nearest <= 1.7))] = INSIDE
    return marker


def _vertical_line(height: int) -> np.ndarray:
    marker = np.full((height, 7), OUTSIDE)
    marker[:, 2:5] = INSIDE
    return marker


def _paint(pixels: np.ndarray, marker: np.ndarray, row: int, column: int) -> None:
    """Pinta `marker`, centrado em (row, column), sobre `pixels`, no lugar; o que passa da borda é cortado."""
    rows, columns = np.nonzero(marker != _CLEAR)
    values = marker[rows, columns]
    rows, columns = rows + row - marker.shape[0] // 2, columns + column - marker.shape[1] // 2
    height, width = pixels.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    pixels[rows[inside], columns[inside]] = values[inside]
