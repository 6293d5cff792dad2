"""Uma figura do matplotlib servida como fundo, sobre a qual se pinta depressa o que muda.

Redesenhar a figura custa dezenas de milissegundos; pintar curvas e textos sobre ela, em cores de paleta, uns três. Não
há meios-tons nas bordas: a imagem tem o dobro dos pontos com que é mostrada, e é o navegador que as suaviza.
"""

import functools
import io
import math

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from vae_lessons.plotting import png

SCALE = 2  # pontos da imagem por pixel da tela
GREYS = tuple("#" + 3 * f"{round(255 * i / 127):02x}" for i in range(128))  # do preto ao branco
_DPI = 100 * SCALE  # uma polegada da figura são 100 pixels da tela


def axes_at(fig: Figure, left: float, right: float, top: float, bottom: float) -> Axes:
    """Eixos no retângulo dado em pixels da tela, do alto para baixo."""
    width, height = 100 * fig.get_size_inches()
    return fig.add_axes((left / width, 1 - bottom / height, (right - left) / width, (bottom - top) / height))


class Canvas:
    """O fundo, desenhado uma vez, e os seus painéis: um por eixo de `fig`, na ordem.

    colors: as cores, "#rrggbb", do que se vai pintar; cada uma ganha um lugar na paleta.
    """

    def __init__(self, fig: Figure, colors: list[str]):
        background = Image.open(io.BytesIO(png(fig, dpi=_DPI))).convert("RGB")
        self._background = background.quantize(256 - len(colors), dither=Image.Dither.NONE)
        palette = self._background.getpalette()
        self._index = {color: len(palette) // 3 + i for i, color in enumerate(colors)}
        for color in colors:
            palette += bytes.fromhex(color[1:])
        self._background.putpalette(palette)
        self._boxes = [ax.get_position() for ax in fig.axes]
        self._limits = [(ax.get_xlim(), ax.get_ylim()) for ax in fig.axes]

    @property
    def size(self) -> tuple[int, int]:
        """(largura, altura) em pixels da tela."""
        return self._background.width // SCALE, self._background.height // SCALE

    def panel(self, number: int, *, xlim=None, ylim=None) -> "Panel":
        """O painel `number`, ainda só com o fundo; xlim e ylim, se vierem, valem no lugar dos limites do eixo."""
        box, (width, height) = self._boxes[number], self._background.size
        corners = (box.x0 * width, (1 - box.y1) * height, box.x1 * width, (1 - box.y0) * height)
        left, top, right, bottom = map(round, corners)
        part = self._background.crop((left, top, right, bottom))
        own_xlim, own_ylim = self._limits[number]
        return Panel(part, (left, top), xlim or own_xlim, ylim or own_ylim, self._index)

    def image(self, *panels: "Panel") -> Image.Image:
        """O fundo com os painéis pintados, em cores de paleta."""
        picture = self._background.copy()
        for panel in panels:
            picture.paste(panel.image, panel.corner)
        return picture


class Panel:
    """Um retângulo onde se pinta nas coordenadas do eixo; o que sai dele é cortado."""

    def __init__(self, image: Image.Image, corner: tuple[int, int], xlim, ylim, index: dict[str, int]):
        self.image, self.corner = image, corner
        self._draw = ImageDraw.Draw(image)
        self._xlim, self._ylim, self._index = xlim, ylim, index

    @property
    def height_in_units(self) -> float:
        return self._ylim[1] - self._ylim[0]

    def on_screen(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Onde ficam os pontos (x, y) [N], em pixels da tela contados do canto de cima à esquerda do painel: [N, 2]."""
        return self._pixels(x, y) / SCALE

    def units(self, x: float, y: float) -> tuple[float, float]:
        """As coordenadas do eixo no ponto (x, y) da figura inteira, em pixels da tela."""
        (left, right), (bottom, top) = self._xlim, self._ylim
        across = (x * SCALE - self.corner[0]) / self.image.width
        down = (y * SCALE - self.corner[1]) / self.image.height
        return left + across * (right - left), top - down * (top - bottom)

    def curve(self, x: np.ndarray, y: np.ndarray, color: str, *, width: float = 2, dashes: tuple = ()) -> None:
        """A linha por (x, y) [N]. dashes: comprimentos, em pixels da tela, de traço, espaço, traço, espaço..."""
        points = self._pixels(x, y)
        for part in _dashed(points, dashes) if dashes else [points]:
            self._draw.line(part.ravel().tolist(), self._index[color], round(width * SCALE))

    def area(self, x: np.ndarray, y: np.ndarray, color: str, *, base: float = 0.0) -> None:
        """A região entre y = base e a curva (x, y) [N]."""
        points = self._pixels(np.concatenate([x[:1], x, x[-1:]]), np.concatenate([[base], y, [base]]))
        self._draw.polygon(points.ravel().tolist(), self._index[color])

    def bar(self, left: float, right: float, bottom: float, top: float, color: str) -> None:
        """Um retângulo cheio; nada, se left ≥ right."""
        if left < right:
            corners = self._pixels(np.array([left, right]), np.array([top, bottom]))
            self._draw.rectangle(corners.ravel().round().tolist(), self._index[color])

    def dots(self, x: np.ndarray, y: np.ndarray, color: str, *, radius: float) -> None:
        """Um disco em cada ponto (x, y) [N]. radius: em pixels da tela."""
        reach, index = radius * SCALE, self._index[color]
        for across, down in self._pixels(x, y).tolist():
            self._draw.ellipse((across - reach, down - reach, across + reach, down + reach), index)

    def text(
        self, x: float, y: float, text: str, color: str, *, anchor: str = "ls", size=14, bold=False, offset=(0, 0)
    ) -> None:
        """`text` em (x, y), mais `offset` (para a direita, para baixo) em pixels da tela.

        anchor: como no Pillow (l, m, r na horizontal; s é a linha de base, m o meio).
        """
        mask, (left, top) = _letters(text, anchor, size, bold)
        (point,) = self._pixels(np.array([x]), np.array([y])).round().astype(int).tolist()
        right, down = (round(shift * SCALE) for shift in offset)
        self.image.paste(self._index[color], (point[0] + left + right, point[1] + top + down), mask)

    def picture(self, x: float, y: float, grey: np.ndarray, *, side: float) -> None:
        """A imagem uint8 [H, W], ampliada sem misturar pixels até caber em `side` pixels da tela e centrada em (x, y).

        Pede GREYS, nesta ordem, entre as cores: cada nível vai para o mais próximo dos 128, a no máximo 1 de distância.
        """
        zoom = max(1, int(side * SCALE) // max(grey.shape))
        levels = self._index[GREYS[0]] + np.round(grey * (127 / 255)).astype(np.uint8)
        enlarged = levels.repeat(zoom, axis=0).repeat(zoom, axis=1)
        (center,) = self._pixels(np.array([x]), np.array([y]))
        height, width = enlarged.shape
        corner = (round(center[0] - width / 2), round(center[1] - height / 2))
        self.image.paste(Image.frombytes("P", (width, height), enlarged.tobytes()), corner)

    def outline(self, left: float, right: float, bottom: float, top: float, color: str, *, width: float = 2) -> None:
        """Uma moldura retangular."""
        x, y = np.array([left, right, right, left, left]), np.array([top, top, bottom, bottom, top])
        self.curve(x, y, color, width=width)

    def mask(self, inside: np.ndarray, color: str) -> None:
        """A cor onde `inside`, bool [linhas, colunas] que se estica até cobrir o painel, é verdadeiro."""
        stretched = Image.fromarray(inside).resize(self.image.size, Image.Resampling.NEAREST)
        self.image.paste(self._index[color], mask=stretched)

    def _pixels(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Pontos do eixo → [N, 2] pontos da imagem, contados do canto de cima à esquerda."""
        (left, right), (bottom, top) = self._xlim, self._ylim
        across = (np.asarray(x) - left) / (right - left) * self.image.width
        down = (top - np.asarray(y)) / (top - bottom) * self.image.height
        return np.stack([across, down], axis=1)


def _dashed(points: np.ndarray, dashes: tuple) -> list[np.ndarray]:
    """Parte a linha [N, 2] em traços, seguindo o comprimento do arco."""
    walked = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    ends = np.cumsum(np.array(dashes) * SCALE)
    cuts = (np.arange(walked[-1] // ends[-1] + 1)[:, None] * ends[-1] + np.append(0.0, ends[:-1])).ravel()
    tips = np.stack([np.interp(cuts, walked, column) for column in points.T], axis=1)
    inside = np.searchsorted(walked, cuts)
    return [
        np.concatenate([tips[i : i + 1], points[inside[i] : inside[i + 1]], tips[i + 1 : i + 2]])
        for i in range(0, len(cuts), 2)
    ]


@functools.lru_cache(maxsize=1024)
def _letters(text: str, anchor: str, size: int, bold: bool) -> tuple[Image.Image, tuple[int, int]]:
    """A máscara das letras e onde fica o canto dela em relação ao ponto que `anchor` indica."""
    font = _font(size, bold)
    left, top, right, bottom = font.getbbox(text, "1", anchor=anchor)
    mask = Image.new("1", (math.ceil(right) - math.floor(left), math.ceil(bottom) - math.floor(top)))
    ImageDraw.Draw(mask).text((-math.floor(left), -math.floor(top)), text, 1, font, anchor)
    return mask, (math.floor(left), math.floor(top))


@functools.cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    """A fonte que o matplotlib traz consigo: a mesma do fundo, com as letras gregas, em qualquer computador."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/{name}", size * SCALE)
