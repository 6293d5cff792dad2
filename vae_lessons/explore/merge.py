"""O explorador da fusão de duas normais: a prior que vem de cima, a mensagem que vem de baixo e o produto das duas."""

import functools
import math
import time
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from vae_lessons import style
from vae_lessons.explore.base import Explorer, column, picture, row, text, title
from vae_lessons.explore.canvas import Canvas, Panel
from vae_lessons.explore.pointing import pointable, within
from vae_lessons.explore.sliders import ExactLogSlider, ExactSlider
from vae_lessons.style import number, round_sum

_Z = np.linspace(-4.0, 4.0, 401)
_LIGHTEST, _HEAVIEST = 0.1, 5.0  # a menor e a maior precisão de cada uma
_TALLEST = 1.05 * math.sqrt(2 * _HEAVIEST / (2 * math.pi))  # cabe o produto das duas mais precisas

# Em pixels da tela, contados do canto de cima à esquerda.
_WIDTH, _HEIGHT = 660, 440
_CURVES, _LEVER, _BARS = (34, 230), (254, 334), (368, 436)  # alto e pé de cada faixa
_LEFT, _RIGHT = 14, 646

_RELEASED = 0.6  # segundos sem gestos depois dos quais se pode pegar outra curva
_LABEL = (
    "As três curvas: arraste a prior ou a mensagem. Pelo teclado, as setas movem a mensagem: as dos lados, a média; as "
    "outras, a precisão."
)
_PRIOR, _MESSAGE, _PRODUCT = style.PRIOR, style.LIKELIHOOD, style.Q


def explore_merge() -> "MergeExplorer":
    """Um explorador do produto de duas normais: as precisões se somam, e as médias são ponderadas por elas."""
    return MergeExplorer()


class MergeNumbers(NamedTuple):
    """mean, precision: do produto · os outros, das duas normais; precisão é 1 / variância."""

    prior_mean: float
    prior_precision: float
    message_mean: float
    message_precision: float
    mean: float
    precision: float


def measure(prior_mean: float, prior_precision: float, message_mean: float, message_precision: float) -> MergeNumbers:
    """N(z; m₁, 1/p₁) · N(z; m₂, 1/p₂) é proporcional a uma normal de precisão p₁ + p₂."""
    precision = prior_precision + message_precision
    mean = (prior_precision * prior_mean + message_precision * message_mean) / precision
    return MergeNumbers(prior_mean, prior_precision, message_mean, message_precision, mean, precision)


def paint(numbers: MergeNumbers) -> Image.Image:
    return _canvas().image(_paint_curves(numbers), _paint_lever(numbers), _paint_precisions(numbers))


def describe(numbers: MergeNumbers) -> str:
    total, prior, message = round_sum(numbers.prior_precision, numbers.message_precision, decimals=2)
    return (
        f"Três curvas: a prior, de média {number(numbers.prior_mean, 2)} e precisão {number(prior, 2)}; a mensagem, de "
        f"média {number(numbers.message_mean, 2)} e precisão {number(message, 2)}; e o produto, de média "
        f"{number(numbers.mean, 2)} e precisão {number(total, 2)}."
    )


class MergeExplorer(Explorer):
    """As três curvas; uma gangorra, em que as precisões são pesos e a média do produto é o apoio; e as precisões.

    controls: dicionário nome → ipywidget. Atribuir `.value` no código (ou chamar `.click()`) equivale a mexer na tela.
        "prior_mean", "prior_precision"         a prior que vem de cima
        "message_mean", "message_precision"     a mensagem que vem de baixo
        "asleep"                                botão: uma mensagem de precisão quase nula: o produto é a prior
    As duas curvas também se arrastam na figura; as setas do teclado movem a mensagem.
    picture: ipywidgets.Image, PNG · mean, precision: do produto.
    """

    inputs = ("prior_mean", "prior_precision", "message_mean", "message_precision")
    recorded = (
        ("prior_precision", (0.1, 1.0, 5.0)),
        ("message_mean", tuple(0.75 * i for i in range(-4, 5))),
        ("message_precision", (0.1, 0.3, 1.0, 3.0, 5.0)),
    )
    measure, paint, describe = staticmethod(measure), staticmethod(paint), staticmethod(describe)

    def __init__(self):
        c = self.controls = _controls()
        self.picture = picture(_WIDTH, "vae-picture")
        prior = [title("De cima"), c["prior_mean"].with_number(), c["prior_precision"].with_number()]
        message = [title("De baixo"), c["message_mean"].with_number(), c["message_precision"].with_number()]
        note = text(
            "Precisão é 1 ÷ variância: quanto mais estreita a curva, mais ela pesa. Na figura, as duas se arrastam."
        )
        self._held, self._last = None, -math.inf
        hand = pointable(self.picture, _LABEL, size=(_WIDTH, _HEIGHT), at=self._point, keys=self._step)
        super().__init__(row(hand, column(340, *prior, *message, c["asleep"], note)))
        c["asleep"].on_click(lambda _: self.move(message_precision=_LIGHTEST))
        self._start()

    def __repr__(self) -> str:
        return "MergeExplorer(prior · mensagem)"

    def _point(self, x: float, _y: float) -> None:
        """Leva até ali a média da curva mais próxima; num arrasto, a que se pegou, ainda que passe pela outra."""
        place, now = _canvas().panel(0).units(x, 0)[0], time.monotonic()
        if now - self._last > _RELEASED:
            names = "prior_mean", "message_mean"
            self._held = min(names, key=lambda name: abs(self.controls[name].value - place))
        self._last, slider = now, self.controls[self._held]
        slider.value = within(round(place, 1), slider.min, slider.max)

    def _step(self, right: int, down: int) -> None:
        """De lado, a média da mensagem; para cima e para baixo, a precisão dela."""
        mean, precision = self.controls["message_mean"], self.controls["message_precision"]
        mean.value = within(mean.value + mean.step * right, mean.min, mean.max)
        power = math.log10(precision.value) - 2 * precision.step * down
        precision.value = 10 ** within(power, precision.min, precision.max)


def _normal(mean: float, precision: float) -> np.ndarray:
    return math.sqrt(precision / (2 * math.pi)) * np.exp(-0.5 * precision * (_Z - mean) ** 2)


def _paint_curves(numbers: MergeNumbers) -> Panel:
    panel = _canvas().panel(0)
    product = _normal(numbers.mean, numbers.precision)
    panel.area(_Z, product, style.MIST)
    panel.curve(_Z, product, _PRODUCT, width=4)
    panel.curve(_Z, _normal(numbers.prior_mean, numbers.prior_precision), _PRIOR, width=2.5, dashes=(7, 4))
    panel.curve(_Z, _normal(numbers.message_mean, numbers.message_precision), _MESSAGE, width=2.5, dashes=(7, 3, 2, 3))
    return panel


def _paint_lever(numbers: MergeNumbers) -> Panel:
    """Dois discos de área proporcional à precisão, numa tábua que se equilibra na média do produto."""
    panel = _canvas().panel(1)
    board = 0.42
    ends = np.array([numbers.prior_mean, numbers.message_mean])
    panel.curve(ends, np.full(2, board), style.BLACK, width=3)
    x = numbers.mean + 0.11 * np.array([-1, 0, 1])
    panel.area(x, np.array([0.1, board, 0.1]), _PRODUCT, base=0.1)
    side, anchor = (8, "ls") if numbers.mean < 2.5 else (-8, "rs")
    words = f"média {number(numbers.mean, 2)}"
    panel.text(numbers.mean, 0.1, words, _PRODUCT, anchor=anchor, offset=(2 * side, 0), size=13, bold=True)
    weights = (
        (numbers.prior_mean, numbers.prior_precision, _PRIOR),
        (
            numbers.message_mean,
            numbers.message_precision,
            _MESSAGE,
        ),
    )
    for at, precision, color in sorted(weights, key=lambda weight: -weight[1]):  # o maior fica atrás
        radius = 8 * math.sqrt(precision)
        height = board + (radius + 1) / (_LEVER[1] - _LEVER[0])  # apoiado na tábua
        panel.dots(np.array([at]), np.array([height]), color, radius=radius)
    return panel


def _paint_precisions(numbers: MergeNumbers) -> Panel:
    """As duas precisões, ponta com ponta, e a soma."""
    panel = _canvas().panel(2)
    total, prior, message = round_sum(numbers.prior_precision, numbers.message_precision, decimals=2)
    a, b = numbers.prior_precision, numbers.precision
    panel.bar(0, a, 1.1, 1.9, _PRIOR)
    panel.bar(a, b, 1.1, 1.9, _MESSAGE)
    panel.bar(0, b, 0.1, 0.9, _PRODUCT)
    words = f"{number(prior, 2)} + {number(message, 2)}"
    panel.text(b, 1.5, words, style.BLACK, anchor="lm", offset=(6, 0), size=13, bold=True)
    panel.text(b, 0.5, f"{number(total, 2)}", _PRODUCT, anchor="lm", offset=(6, 0), size=13, bold=True)
    return panel


@functools.cache
def _canvas() -> Canvas:
    return Canvas(_frame(), [style.BLACK, style.MIST, _PRIOR, _MESSAGE, _PRODUCT])


def _frame() -> Figure:
    """O que não muda: os eixos, os títulos e a legenda."""
    fig = Figure(figsize=(_WIDTH / 100, _HEIGHT / 100))

    def axes(left: float, right: float, band: tuple[float, float]):
        top, bottom = band
        return fig.add_axes((left / _WIDTH, 1 - bottom / _HEIGHT, (right - left) / _WIDTH, (bottom - top) / _HEIGHT))

    curves, lever, bars = axes(_LEFT, _RIGHT, _CURVES), axes(_LEFT, _RIGHT, _LEVER), axes(110, 560, _BARS)
    curves.set(xlim=(-4, 4), ylim=(0, _TALLEST), xticks=[], yticks=[])
    curves.spines[["top", "right", "left"]].set_visible(False)
    lever.set(xlim=(-4, 4), ylim=(0, 1), yticks=[], xticks=range(-4, 5))
    lever.spines[["top", "right", "left"]].set_visible(False)
    lever.set_xlabel("z", labelpad=0)
    bars.set(xlim=(0, 2 * _HEAVIEST), ylim=(0, 2))
    bars.axis("off")
    names = (("prior, de cima", _PRIOR), ("mensagem, de baixo", _MESSAGE), ("produto", _PRODUCT))
    for x, (name, color) in zip((20, 200, 420), names, strict=True):
        fig.text(x / _WIDTH, 1 - 20 / _HEIGHT, name, color=color, fontsize=11, weight="bold")
    fig.text(
        20 / _WIDTH,
        1 - (_LEVER[0] - 8) / _HEIGHT,
        "as precisões são os pesos, e a média do produto é o apoio",
        fontsize=9.5,
        color=style.GREY,
    )
    for y, words in ((_BARS[0] + 17, "precisões"), (_BARS[0] + 51, "a soma")):
        fig.text(100 / _WIDTH, 1 - y / _HEIGHT, words, ha="right", va="center", fontsize=10)
    style.decimal_commas(fig)
    return fig


def _controls() -> dict[str, widgets.Widget]:
    slider = {"style": {"description_width": "160px"}, "layout": {"width": "auto"}}

    def mean(value: float, whose: str) -> ExactSlider:
        return ExactSlider(
            value=value,
            min=-3.0,
            max=3.0,
            step=0.1,
            decimals=1,
            description=f"média {whose}",
            tooltip=f"A média {whose}",
            **slider,
        )

    def precision(value: float, whose: str) -> ExactLogSlider:
        return ExactLogSlider(
            value=value,
            min=math.log10(_LIGHTEST),
            max=math.log10(_HEAVIEST),
            step=(math.log10(_HEAVIEST) - math.log10(_LIGHTEST)) / 85,
            description=f"precisão {whose}",
            tooltip=f"A precisão {whose}: 1 ÷ variância",
            **slider,
        )

    return {
        "prior_mean": mean(-1.5, "da prior"),
        "prior_precision": precision(1.0, "da prior"),
        "message_mean": mean(1.5, "da mensagem"),
        "message_precision": precision(3.0, "da mensagem"),
        "asleep": widgets.Button(
            description="Mensagem que quase nada diz",
            tooltip="Leva a precisão da mensagem a 0,1: o produto é quase a prior",
            layout={"width": "auto"},
        ),
    }
