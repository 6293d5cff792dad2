"""O explorador do Gumbel-Softmax: três classes, e o que a temperatura faz com as amostras relaxadas.

O ruído é sorteado uma vez e serve a todas as posições dos controles: os pontos se movem sem saltos.
"""

import functools
import math
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from vae_lessons import style
from vae_lessons.distributions import Categorical
from vae_lessons.explore.base import Explorer, column, picture, row, text, title
from vae_lessons.explore.canvas import Canvas, Panel
from vae_lessons.explore.sliders import ExactLogSlider, ExactSlider
from vae_lessons.style import number

_SAMPLES = 10_000  # as das médias: o erro-padrão de uma frequência é no máximo 0,005
_SHOWN = 400  # as que viram pontos
_HOTTEST = 20.0  # τ vai de 1/20 a 20, com 1 no meio
_SEED = 6  # nela, o ruído faz a classe 2 vencer a 1, que é a mais provável
_VERTICES = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 3**0.5 / 2]])  # o de cada classe

_STRONG = (style.BLUE, style.ORANGE, style.GREEN)  # a cor de cada classe
_PALE = tuple(style.mix(color, style.WHITE, 0.55) for color in _STRONG)  # a mesma, mais clara: a média de y
_WIDTH, _HEIGHT = 660, 442  # pixels da tela


def explore_gumbel() -> "GumbelExplorer":
    """Um explorador das amostras y = softmax((log π + g) / τ), com g ~ Gumbel(0, 1), de uma categórica de 3 classes."""
    return GumbelExplorer()


class GumbelNumbers(NamedTuple):
    """samples [10000, 3]: as amostras y; a primeira é a das barras, as 400 primeiras são os pontos · winners [10000]: o
    argmax de cada uma · probabilities, frequencies, mean [3]: π, a frequência de cada classe no argmax e a média de y ·
    noise, scores [3]: g e log π + g, na primeira amostra."""

    temperature: float
    samples: np.ndarray
    winners: np.ndarray
    probabilities: np.ndarray
    frequencies: np.ndarray
    mean: np.ndarray
    noise: np.ndarray
    scores: np.ndarray


def measure(temperature: float, logit_1: float, logit_2: float, logit_3: float, draw: int = 0) -> GumbelNumbers:
    """As amostras e as suas médias. draw: qual dos sorteios do ruído g, contados de 0."""
    q, noise = Categorical(torch.tensor([logit_1, logit_2, logit_3], dtype=torch.float64)), _noise(draw)
    samples = q.relaxed(temperature, noise).numpy()
    # O argmax não vem de y: com τ pequeno, duas componentes podem se arredondar para o mesmo número.
    scores = torch.log_softmax(q.logits, -1) + noise
    winners = scores.argmax(1).numpy()
    return GumbelNumbers(
        temperature=temperature,
        samples=samples,
        winners=winners,
        probabilities=q.mean.numpy(),
        frequencies=np.bincount(winners, minlength=3) / _SAMPLES,
        mean=samples.mean(0),
        noise=noise[0].numpy(),
        scores=scores[0].numpy(),
    )


@functools.lru_cache(maxsize=1)
def _noise(draw: int) -> Tensor:
    """O ruído g [10000, 3]."""
    silent = Categorical(torch.zeros(_SAMPLES, 3, dtype=torch.float64))
    return silent.gumbel_noise(torch.Generator().manual_seed(_SEED + draw))


def paint(numbers: GumbelNumbers) -> Image.Image:
    return _canvas().image(_paint_simplex(numbers), *_paint_one_sample(numbers), _paint_averages(numbers))


def describe(numbers: GumbelNumbers) -> str:
    return f"Amostras no triângulo das três classes, uma delas por dentro e as médias de todas: {summary(numbers)}."


def summary(numbers: GumbelNumbers) -> str:
    rows = {"π": numbers.probabilities, "frequência do argmax": numbers.frequencies, "média de y": numbers.mean}
    vectors = (f"{name} = ({'; '.join(_decimals(values))})" for name, values in rows.items())
    return f"τ = {number(numbers.temperature, 2)} · {' · '.join(vectors)}"


class GumbelExplorer(Explorer):
    """As amostras relaxadas no simplex, uma delas por dentro, e a média de y ao lado da frequência do argmax.

    controls: dicionário nome → ipywidget. Atribuir `.value` no código (ou chamar `.click()`) equivale a mexer na tela.
        "temperature"                     τ, a temperatura
        "logit_1", "logit_2", "logit_3"   os logits das classes: π = softmax(logits)
        "resample"                        botão: outro ruído g; a sequência é sempre a mesma
    picture: ipywidgets.Image, PNG · samples [10000, 3]: as amostras y, das quais as 400 primeiras são os pontos e a
    primeira é a das barras · probabilities, frequencies, mean [3]: π, a frequência de cada classe no argmax e a média
    de y · summary: esses números por extenso.
    """

    inputs = ("temperature", "logit_1", "logit_2", "logit_3")
    recorded = (
        ("temperature", (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)),
        ("logit_1", (-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0)),
    )
    measure, paint, describe = staticmethod(measure), staticmethod(paint), staticmethod(describe)

    def __init__(self):
        c = self.controls = _controls()
        self.picture = picture(_canvas().size[0], "vae-picture")
        self.caption = text()
        temperature = [title("A temperatura"), c["temperature"].with_number()]
        logits = [title("Os logits das três classes"), *(c[f"logit_{k}"].with_number() for k in (1, 2, 3))]
        rest = [title("O ruído g"), c["resample"], title("Os números"), self.caption]
        super().__init__(row(self.picture, column(300, *temperature, *logits, *rest)))
        c["resample"].on_click(lambda _: self._resample())
        self._start()

    def __repr__(self) -> str:
        return f"GumbelExplorer(3 classes, {_SAMPLES} amostras)"

    @property
    def summary(self) -> str:
        return summary(self.numbers)

    def _resample(self) -> None:
        self._draw += 1
        self._render()

    def values(self) -> dict:
        return {**super().values(), "draw": self._draw}

    def _show(self) -> None:
        super()._show()
        self.caption.value = _table(self.numbers)


def _table(numbers: GumbelNumbers) -> str:
    """Os mesmos números de `summary`, uma linha por grandeza e uma coluna por classe."""
    rows = {"classe": "123", "π": _decimals(numbers.probabilities)}
    rows |= {"argmax": _decimals(numbers.frequencies), "média de y": _decimals(numbers.mean)}
    lines = ("".join(f"<td>{cell}</td>" for cell in (name, *cells)) for name, cells in rows.items())
    return f"<table style='width: 100%'>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _paint_simplex(numbers: GumbelNumbers) -> Panel:
    panel = _canvas().panel(0)
    points, winners = numbers.samples[:_SHOWN] @ _VERTICES, numbers.winners[:_SHOWN]
    for k, color in enumerate(_STRONG):
        panel.dots(*points[winners == k].T, color, radius=2)
    panel.dots(*points[:1].T, style.BLACK, radius=7)
    panel.dots(*points[:1].T, _STRONG[winners[0]], radius=5)
    x, y = numbers.probabilities @ _VERTICES
    side = 0.026
    panel.bar(x - side, x + side, y - side, y + side, style.BLACK)
    mean = (numbers.mean @ _VERTICES)[:, None]
    panel.dots(*mean, style.BLACK, radius=6)
    panel.dots(*mean, style.WHITE, radius=4.5)
    return panel


def _paint_one_sample(numbers: GumbelNumbers) -> tuple[Panel, Panel, Panel]:
    """Os passos de uma amostra: log π + g, em que a barra é g; y; e o one-hot do maior."""
    y, winner, log_probabilities = numbers.samples[0], numbers.winners[0], numbers.scores - numbers.noise
    low, high = min(-3, log_probabilities.min(), numbers.scores.min()), max(3, numbers.scores.max())
    scores = _canvas().panel(2, ylim=(low - 0.5, high + 0.25 * (high - low)))
    relaxed, hard = _canvas().panel(3), _canvas().panel(4)
    scores.curve(np.array([-0.6, 2.6]), np.zeros(2), style.GREY, width=1, dashes=(2, 3))
    for k, (log_probability, score) in enumerate(zip(log_probabilities, numbers.scores, strict=True)):
        scores.bar(k - 0.25, k + 0.25, *sorted((log_probability, score)), _STRONG[k])
        scores.curve(np.array([k - 0.4, k + 0.4]), np.full(2, log_probability), style.BLACK, width=2)
        top = max(log_probability, score) + 0.04 * (high - low)
        scores.bar(k - 0.36, k + 0.36, top, top + 0.11 * (high - low), style.WHITE)  # o pontilhado não risca o número
        scores.text(k, top, number(score, 1), style.BLACK, anchor="ms", size=10)
        for panel, height, decimals in ((relaxed, float(y[k]), 2), (hard, float(k == winner), 0)):
            panel.bar(k - 0.36, k + 0.36, 0, height, _STRONG[k])
            panel.text(k, height + 0.04, number(height, decimals), style.BLACK, anchor="ms", size=10)
    return scores, relaxed, hard


def _paint_averages(numbers: GumbelNumbers) -> Panel:
    """Por classe, a frequência do argmax e a média de y; um traço em π atravessa as duas barras."""
    panel = _canvas().panel(5)
    for k, probability in enumerate(numbers.probabilities):
        heights = (numbers.frequencies[k], _STRONG[k]), (numbers.mean[k], _PALE[k])
        for center, (height, color) in zip((k - 0.21, k + 0.21), heights, strict=True):
            panel.bar(center - 0.19, center + 0.19, 0, height, color)
            top = max(height, probability) if abs(height - probability) < 0.1 else height
            panel.bar(center - 0.16, center + 0.16, top + 0.02, top + 0.1, style.WHITE)  # nem aqui
            panel.text(center, top + 0.03, number(height, 2), style.BLACK, anchor="ms", size=11)
        panel.curve(np.array([k - 0.46, k + 0.46]), np.full(2, probability), style.BLACK, width=2)
    return panel


def _decimals(values: np.ndarray) -> list[str]:
    return [number(value, 3) for value in values]


def _controls() -> dict[str, widgets.Widget]:
    slider = {"style": {"description_width": "54px"}, "layout": {"width": "auto"}}
    logits = {
        f"logit_{k}": ExactSlider(
            value=value,
            min=-4.0,
            max=4.0,
            step=0.1,
            decimals=1,
            description=f"classe {k}",
            tooltip=f"Logit da classe {k}",
            **slider,
        )
        for k, value in ((1, 1.0), (2, 0.3), (3, -0.8))
    }
    temperature = ExactLogSlider(
        value=1.0,
        min=-math.log10(_HOTTEST),
        max=math.log10(_HOTTEST),
        step=math.log10(_HOTTEST) / 65,
        description="τ",
        tooltip="Temperatura da relaxação",
        **slider,
    )
    resample = widgets.Button(
        description="Sortear outro ruído", tooltip="Novas amostras, com os mesmos π e τ", layout={"width": "auto"}
    )
    return {"temperature": temperature, **logits, "resample": resample}


@functools.cache
def _canvas() -> Canvas:
    return Canvas(_frame(), [style.BLACK, style.GREY, style.WHITE, *_STRONG, *_PALE])


def _frame() -> Figure:
    """O que não muda: o triângulo com as fronteiras do argmax, os eixos das barras, os títulos e a legenda."""
    fig = Figure(figsize=(_WIDTH / 100, _HEIGHT / 100))

    def axes(left: float, top: float, width: float, height: float):
        """Em pixels da tela, contados do canto de cima à esquerda."""
        return fig.add_axes(
            (left / _WIDTH, 1 - (top + height) / _HEIGHT, width / _WIDTH, height / _HEIGHT),
        )

    def label(x: float, y: float, words: str, **style) -> None:
        fig.text(x / _WIDTH, 1 - y / _HEIGHT, words, **{"va": "baseline", "fontsize": 10, **style})

    simplex = axes(4, 30, 330, 310)
    simplex.set(xlim=(-0.14, 1.14), ylim=(-0.185, 1.017))
    simplex.axis("off")
    simplex.fill(*_VERTICES.T, facecolor=style.mix(style.MIST, style.WHITE, 0.6), edgecolor=style.GREY, linewidth=1)
    center = _VERTICES.mean(0)
    for k in range(3):
        middle = np.delete(_VERTICES, k, 0).mean(0)
        simplex.plot(*np.stack([center, middle], 1), color=style.SILVER, linewidth=0.8, linestyle=(0, (4, 3)))
    places = ((0.0, -0.06, "center", "top"), (1.0, -0.06, "center", "top"), (0.5, 0.9, "center", "bottom"))
    for k, (x, y, ha, va) in enumerate(places):
        simplex.text(x, y, f"classe {k + 1}", ha=ha, va=va, color=_STRONG[k], fontsize=11, weight="bold")
    label(8, 18, f"{_SHOWN} amostras y = softmax((log π + g) / τ)", weight="bold")

    legend = axes(4, 344, 330, 94)
    legend.set(xlim=(0, 330), ylim=(94, 0))
    legend.axis("off")
    legend.plot([22, 30, 38], [14] * 3, "o", markersize=2.9, color=style.GREY)
    legend.plot([30], [36], "s", markersize=9, color=style.BLACK)
    legend.plot(
        [30], [58], "o", markersize=8, markerfacecolor=style.WHITE, markeredgecolor=style.BLACK, markeredgewidth=1.2
    )
    legend.plot(
        [30], [80], "o", markersize=9, markerfacecolor=style.SILVER, markeredgecolor=style.BLACK, markeredgewidth=1.6
    )
    meanings = (
        "amostras, na cor da classe do argmax",
        "π",
        f"média de y ({_SAMPLES} amostras)",
        "a amostra aberta ao lado, na sua cor",
    )
    for y, meaning in zip((14, 36, 58, 80), meanings, strict=True):
        legend.text(50, y, meaning, fontsize=9.5, va="center")

    label(352, 18, "Uma amostra, passo a passo", weight="bold")
    scores, relaxed, hard = axes(356, 46, 112, 114), axes(482, 46, 80, 114), axes(576, 46, 76, 114)
    for ax, name in ((scores, "log π + g"), (relaxed, "y"), (hard, "one-hot")):
        ax.set_title(name, fontsize=9.5, pad=4)
        ax.set_xlim(-0.6, 2.6)
        ax.set_xticks(range(3), "123")
        ax.tick_params(length=0, labelsize=9)
        ax.spines[["top", "right", "left"]].set_visible(False)
    scores.set(yticks=[])
    for ax in (relaxed, hard):
        ax.set(ylim=(0, 1.18), yticks=[])

    label(356, 187, "barra: g, a partir de log π (traço); pontilhado: 0", fontsize=8.5, color=style.GREY)

    label(352, 214, "Frequência do argmax e média de y", weight="bold")
    averages = axes(352, 240, 300, 154)
    averages.set(xlim=(-0.55, 2.55), ylim=(0, 1.1), yticks=[])
    averages.set_xticks([k + side for k in range(3) for side in (-0.21, 0.21)], ["argmax", "y"] * 3)
    averages.tick_params(length=0, labelsize=8.5)
    averages.spines[["top", "right", "left"]].set_visible(False)
    averages.axhline(1 / 3, color=style.SILVER, linewidth=0.9, linestyle=(0, (2, 3)))
    key = axes(352, 220, 300, 18)
    key.set(xlim=(0, 300), ylim=(18, 0))
    key.axis("off")
    key.plot([2, 24], [9, 9], color=style.BLACK, linewidth=2)
    key.plot([70, 92], [9, 9], color=style.SILVER, linewidth=0.9, linestyle=(0, (2, 3)))
    key.text(30, 9, "π", fontsize=9.5, va="center")
    key.text(98, 9, "1/3, a uniforme", fontsize=9.5, va="center")
    for k in range(3):
        x = 352 + 300 * (k + 0.55) / 3.1
        label(x, 430, f"classe {k + 1}", color=_STRONG[k], weight="bold", ha="center")
    return fig
