"""O explorador do enchimento reverso: o nível βσ² sobe, e os latentes de um VAE linear se afogam.

Nada é treinado: são as formas fechadas de `linear_gaussian`, com os autovalores da covariância das imagens.
"""

import math
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from vae_lessons import style
from vae_lessons.data import Dataset
from vae_lessons.explore.base import Explorer, column, picture, row, text, title
from vae_lessons.explore.canvas import GREYS, Canvas, Panel, axes_at
from vae_lessons.explore.images import greys_of
from vae_lessons.explore.sliders import ExactLogSlider
from vae_lessons.linear_gaussian import optimal_kl, optimal_squared_error
from vae_lessons.style import nats, number

_BARS = 64  # autovalores que se mostram, no máximo; nos números contam todos
_LARGE = 12  # pixels de lado: de imagens maiores mostram-se menos autovetores, mais ampliados
_DECADES = 3  # do nível mais baixo ao mais alto
_LEVELS = (0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 1.0)

_WATER = style.mix(style.SKY, style.WHITE, 0.62)
_SURFACE = style.BLUE
_ERROR, _RATE = style.GREY, style.ORANGE  # a parte molhada das barras, a parte seca
_PALE_RATE = style.mix(_RATE, style.WHITE, 0.6)
_PALE_ERROR = style.mix(style.SILVER, style.WHITE, 0.2)

_WIDTH, _HEIGHT = 660, 456  # pixels da tela
_CHART = 52, 398  # da esquerda à direita
_LINEAR, _LOGARITHMIC = (36, 204), (262, 416)  # de cima a baixo
_LEFT, _SIDE = 450, 202  # dos autovetores


def explore_water(data: Dataset | None = None) -> "WaterExplorer":
    """Um explorador do VAE linear ótimo para as imagens de `data`, ou para os 1.797 dígitos do scikit-learn, de 0 a 1.

    data: imagens uint8, vistas em [0, 1], ou de ponto flutuante, vistas como são.
    Levanta TypeError se `data` não for um Dataset, e ValueError se não for de imagens ou se todas forem iguais.
    """
    if data is not None and not isinstance(data, Dataset):
        raise TypeError(
            f"data deve ser um Dataset, mas veio {type(data).__name__}. Use, por exemplo, load('mnist_5k'), ou "
            "data.from_images, se as imagens são suas, ou não passe data: serão os dígitos do scikit-learn."
        )
    return WaterExplorer(_digits() if data is None else data)


class WaterNumbers(NamedTuple):
    """level: βσ² · kl [D], rate: a KL de cada latente, na ordem de `eigenvalues`, e a soma, em nats por imagem · alive:
    quantos têm KL > 0 · squared_error: a média de ‖x − Wz − b‖², por imagem · image: qual das imagens, contadas de 1 ·
    reconstruction [D]: ela decodificada da média de q(z|x)."""

    level: float
    kl: Tensor
    rate: float
    alive: int
    squared_error: float
    image: int
    reconstruction: Tensor


class WaterExplorer(Explorer):
    """Os autovalores em barras, debaixo da água até βσ²; os autovetores que ainda vivem; e uma imagem com o que sobra.

    controls: dicionário nome → ipywidget. Atribuir `.value` no código equivale a mexer na tela.
        "level"     βσ², o nível da água
        "image"     qual das imagens se reconstrói, contadas de 1: a primeira de cada classe ou, sem classes, as dez
                    primeiras
    picture: ipywidgets.Image, PNG · level, kl, rate, alive, squared_error, reconstruction: como em WaterNumbers ·
    eigenvalues [D]: os da covariância, do maior ao menor · x [N, D]: as imagens de que ela vem · shown: os índices, em
    x, das que se podem reconstruir.
    Em cima, a área da parte molhada das barras é o erro quadrático; embaixo, a da parte seca, a taxa.
    """

    inputs = ("level", "image")

    def __init__(self, data: Dataset):
        self.name, self._greys = data.name, greys_of(data)
        x = data.x.cpu()
        self.x = x.double() / 255 if x.dtype == torch.uint8 else x.double()
        self.shown = _first_of_each_class(data)
        self._mean = self.x.mean(0)
        self.eigenvalues, self._vectors = _spectrum(self.x - self._mean)
        if self.eigenvalues[0] <= 0:
            raise ValueError(f"As imagens de {data.name!r} são todas iguais: não há variância que reconstruir.")
        self._highest = math.ceil(math.log10(self.eigenvalues[0].item()))
        self._per_row = 8 if max(data.image_shape) <= _LARGE else 4
        self._tiles = _tiles(self._vectors[:, : self._per_row**2].T, data.image_shape)
        self._limits = _limits(self.eigenvalues[0].item(), self._highest)
        self._canvas = Canvas(
            _frame(min(len(self.eigenvalues), _BARS), self._limits),
            [*GREYS, _SURFACE, _WATER, _ERROR, _RATE, _PALE_RATE, _PALE_ERROR],
        )
        self.recorded = (("level", tuple(10.0**self._highest * level for level in _LEVELS)), ("image", (2, 4, 8)))
        self.picture = picture(_WIDTH, "vae-picture")
        self.caption = text()
        c = self.controls = _controls(self._highest, len(self.shown))
        notes = (
            "O latente de autovalor λ vive se λ > βσ², e manda ½ ln(λ/βσ²) nats. O que fica debaixo da água não é "
            "mandado, e vira erro.",
            f"Covariância de {number(len(self.x))} imagens de {self.name!r}. Reconstruções da média de q(z|x).",
        )
        side = [title("O nível da água, βσ²"), c["level"].with_number(), self.caption, c["image"], *map(text, notes)]
        super().__init__(row(self.picture, column(300, *side)))
        self._start()

    def __repr__(self) -> str:
        return f"WaterExplorer({len(self.eigenvalues)} autovalores, {len(self.x)} imagens de {self.name!r})"

    def measure(self, level: float, image: int) -> WaterNumbers:
        """image: contada de 1, como no controle."""
        kl = optimal_kl(self.eigenvalues, 1.0, level)
        # Vivo, o latente devolve a fração wv = 1 − βσ²/λ do que a imagem tem na direção dele; afogado, nada.
        kept = -torch.expm1(-2 * kl)
        coordinates = (self.x[self.shown[image - 1]] - self._mean) @ self._vectors
        return WaterNumbers(
            level=level,
            kl=kl,
            rate=kl.sum().item(),
            alive=int((kl > 0).sum()),
            squared_error=optimal_squared_error(self.eigenvalues, 1.0, level).item(),
            image=image,
            reconstruction=self._mean + self._vectors @ (kept * coordinates),
        )

    def paint(self, numbers: WaterNumbers) -> Image.Image:
        return self._canvas.image(*self._paint_bars(numbers), self._paint_images(numbers))

    def describe(self, numbers: WaterNumbers) -> str:
        named = "; ".join(f"{name} {value}" for name, value in self._named(numbers).items())
        level = number(numbers.level, _decimals(self._highest))
        return (
            f"Os autovalores em barras, com a água até βσ² = {level}, os autovetores que não se afogaram e a imagem "
            f"{numbers.image} ao lado do que sobra dela: {named}."
        )

    def _show(self) -> None:
        super()._show()
        cell = '<td style="padding: 0 12px 0 0; text-align: {}">{}</td>'
        named = self._named(self.numbers).items()
        rows = (cell.format("left", name) + cell.format("right", value) for name, value in named)
        self.caption.value = "<table><tr>" + "</tr><tr>".join(rows) + "</tr></table>"

    def _named(self, numbers: WaterNumbers) -> dict[str, str]:
        return {
            "latentes vivos": f"{numbers.alive} de {len(self.eigenvalues)}",
            "taxa": f"{nats(numbers.rate, 3)} por imagem",
            "erro quadrático": f"{number(numbers.squared_error, 3)} por imagem",
        }

    def _paint_bars(self, numbers: WaterNumbers) -> list[Panel]:
        """Os dois gráficos; acima de cada um o número, e ao lado o nome do nível, na altura dele."""
        values, level = self.eigenvalues[:_BARS].numpy(), numbers.level
        with np.errstate(divide="ignore"):
            heights = 0.5 * np.log(values)
        charts = (
            (values, level, _ERROR, _PALE_RATE),
            (heights, 0.5 * math.log(level), _PALE_ERROR, _RATE),
        )
        read = (number(numbers.squared_error, 3), _ERROR), (nats(numbers.rate, 3), _RATE)
        painted = []
        for place, ((tops, surface, wet, dry), (value, color)) in enumerate(zip(charts, read, strict=True)):
            panel, margin, heading = (self._canvas.panel(3 * place + part) for part in range(3))
            low, high = self._limits[place]
            reached = min(max(surface, low), high)
            panel.bar(0, len(values), low, reached, _WATER)
            for i, top in enumerate(tops.tolist()):
                for start, end, color_of_part in ((low, min(top, surface), wet), (max(surface, low), top, dry)):
                    if start < end:
                        panel.bar(i + 0.14, i + 0.86, start, end, color_of_part)
            if surface <= high:
                panel.curve(np.array([0, len(values)]), np.full(2, reached), _SURFACE, width=2)
            margin.text(0.12, reached, "βσ²" if surface <= high else "βσ² ▲", _SURFACE, anchor="lm", size=12, bold=True)
            heading.text(1, 0.3, value, color, anchor="rs", size=18, bold=True)
            painted += panel, margin, heading
        return painted

    def _paint_images(self, numbers: WaterNumbers) -> Panel:
        """Em pixels da tela: os autovetores vivos, e a imagem ao lado da reconstrução."""
        panel, cell = self._canvas.panel(6), _SIDE / self._per_row
        panel.text(_LEFT, 20, f"Autovetores: {numbers.alive} vivos", style.BLACK, size=12, bold=True)
        for i, tile in enumerate(self._tiles):
            x, y = _LEFT + (i % self._per_row + 0.5) * cell, 34 + (i // self._per_row + 0.5) * cell
            if i < numbers.alive:
                panel.picture(x, y, tile, side=cell - 1)
            else:
                reach = cell / 2 - 1
                panel.bar(x - reach, x + reach, y + reach, y - reach, _WATER)
        original = self.x[self.shown[numbers.image - 1]]
        for place, (name, image) in enumerate((("imagem", original), ("o que sobra", numbers.reconstruction))):
            center = _LEFT + (0.25 + 0.5 * place) * _SIDE
            panel.picture(center, 332, self._greys.levels(image), side=98)
            panel.text(center, 276, name, style.BLACK, anchor="ms", size=12)
        return panel


def _digits() -> Dataset:
    """Os dígitos como o scikit-learn os traz, treino e teste juntos, divididos por 16: [1797, 64]."""
    from sklearn.datasets import load_digits  # demora um segundo

    images, labels = load_digits(return_X_y=True)
    return Dataset(torch.from_numpy(images) / 16, torch.from_numpy(labels).long(), image_shape=(8, 8), name="digits")


def _first_of_each_class(data: Dataset) -> list[int]:
    if data.y is None:
        return list(range(min(10, len(data))))
    labels = data.y.tolist()
    return [labels.index(label) for label in sorted(set(labels))[:10]]


def _spectrum(centered: Tensor) -> tuple[Tensor, Tensor]:
    """Autovalores [D] da covariância, do maior ao menor, e autovetores [D, D], em colunas, cada um com o sinal em que a
    maior componente é positiva."""
    values, vectors = torch.linalg.eigh(centered.T @ centered / len(centered))
    values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    return values, vectors * largest.sign()


def _tiles(vectors: Tensor, image_shape: tuple[int, int]) -> np.ndarray:
    """uint8 [K, H, W]: cada autovetor numa escala sua, com o zero no cinza do meio."""
    scaled = vectors / vectors.abs().amax(1, keepdim=True)
    return (127.5 * (1 + scaled)).round().to(torch.uint8).unflatten(1, image_shape).numpy()


def _controls(highest: int, n_images: int) -> dict[str, widgets.Widget]:
    slider = {"style": {"description_width": "54px"}, "layout": {"width": "auto"}}
    return {
        "level": ExactLogSlider(
            value=0.05 * 10.0**highest,
            min=highest - _DECADES,
            max=highest,
            step=0.02,
            decimals=_decimals(highest),
            description="βσ²",
            tooltip="O nível da água: o peso da KL vezes a variância do ruído",
            **slider,
        ),
        "image": widgets.IntSlider(
            value=min(4, n_images),
            min=1,
            max=n_images,
            description="imagem",
            tooltip="Que imagem reconstruir",
            **slider,
        ),
    }


def _decimals(highest: int) -> int:
    """As casas com que se escreve βσ²."""
    return max(3 - highest, 0)


def _limits(largest: float, highest: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Os limites verticais dos dois gráficos."""
    return (0, 1.1 * largest), (0.5 * math.log(10) * (highest - _DECADES), 0.5 * math.log(largest) + 0.25)


def _frame(n_bars: int, limits: tuple[tuple[float, float], ...]) -> Figure:
    """O que não muda: os eixos dos dois gráficos e os títulos."""
    fig = Figure(figsize=(_WIDTH / 100, _HEIGHT / 100))
    names = ("λ", "½ ln λ (nats)")
    titles = ("Barras molhadas: erro quadrático", "Barras secas, em nats: taxa")
    for (top, bottom), ylim, name, heading in zip((_LINEAR, _LOGARITHMIC), limits, names, titles, strict=True):
        chart = axes_at(fig, *_CHART, top, bottom)
        chart.set(xlim=(0, n_bars), ylim=ylim, ylabel=name)
        ticks = [i for i in range(n_bars) if i == 0 or (i + 1) % 10 == 0]
        chart.set_xticks([i + 0.5 for i in ticks], [str(i + 1) for i in ticks])
        chart.tick_params(labelsize=9)
        chart.tick_params(axis="x", length=0)
        chart.spines[["top", "right"]].set_visible(False)
        margin = axes_at(fig, _CHART[1], _LEFT - 4, top - 8, bottom + 8)
        reach = (ylim[1] - ylim[0]) * 8 / (bottom - top)
        margin.set(xlim=(0, 1), ylim=(ylim[0] - reach, ylim[1] + reach))
        margin.axis("off")
        line = axes_at(fig, 8, _CHART[1], top - 34, top - 10)
        line.set(xlim=(0, 1), ylim=(0, 1))
        line.axis("off")
        line.text(0, 0.3, heading, fontsize=10, weight="bold")
    chart.set_xlabel("latente, do maior autovalor ao menor", fontsize=9.5)
    pictures = axes_at(fig, _LEFT - 2, _WIDTH, 0, _HEIGHT)
    pictures.set(xlim=(_LEFT - 2, _WIDTH), ylim=(_HEIGHT, 0))
    pictures.axis("off")
    style.decimal_commas(fig)
    return fig
