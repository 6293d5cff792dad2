"""O explorador da reparametrização implícita: uma partícula na acumulada de uma Gama, que desliza quando α muda."""

import functools
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from vae_lessons import style
from vae_lessons.distributions import Gamma
from vae_lessons.explore.base import Explorer, column, picture, row, text, title
from vae_lessons.explore.canvas import Canvas, Panel, axes_at
from vae_lessons.explore.pointing import pointable, within
from vae_lessons.explore.sliders import ExactSlider
from vae_lessons.style import number

_LEAST_ALPHA, _MOST_ALPHA = 0.5, 8.0
_LEAST_U, _MOST_U = 0.02, 0.98
_MOST_Z = 18.0
_STEP = 1.0  # de α à curva de comparação
_H = 1e-5  # de α, na derivada da acumulada
_HALVINGS = 60
_Z = np.linspace(0.0, _MOST_Z, 321)
_ALPHAS = np.linspace(_LEAST_ALPHA, _MOST_ALPHA, 76)

# Em pixels da tela, contados do canto de cima à esquerda.
_WIDTH, _HEIGHT = 660, 348
_BAND = 62, 300
_CDF, _PATH = (52, 386), (446, 646)

_CURVE, _NEXT, _PARTICLE, _FALL = style.Q, style.SKY, style.BLACK, style.ORANGE
_SLIDE = style.GREEN
_LABEL = (
    "À esquerda a acumulada, à direita o caminho da partícula. Arraste a partícula para mudar u, ou o ponto do caminho "
    "para mudar α. Pelo teclado, as setas dos lados mudam α; as outras, u."
)


def explore_implicit() -> "ImplicitExplorer":
    """Um explorador de ∂z/∂α = −(∂F/∂α)/p(z) na Gama(α, 1): u = F(z; α) fica parado, α se move, e z desliza."""
    return ImplicitExplorer()


class ImplicitNumbers(NamedTuple):
    """alpha, u: dos controles · z: o quantil, F(z; α) = u · fall: −∂F/∂α em z, quanto a curva desce ali por unidade de
    α · density: p(z; α), a inclinação da curva · slope: fall / density, que é ∂z/∂α · next_z: o quantil em α + 1."""

    alpha: float
    u: float
    z: float
    fall: float
    density: float
    slope: float
    next_z: float


def measure(alpha: float, u: float) -> ImplicitNumbers:
    z, next_z = quantile(_one(alpha), _one(u)), quantile(_one(alpha + _STEP), _one(u))
    fall = ((cdf(z, _one(alpha - _H)) - cdf(z, _one(alpha + _H))) / (2 * _H)).item()
    density = Gamma._make([_one(alpha), _one(1.0)]).log_prob(z).exp().item()
    return ImplicitNumbers(alpha, u, z.item(), fall, density, fall / density, next_z.item())


def cdf(z: Tensor, alpha: Tensor) -> Tensor:
    """F(z; α) da Gama de taxa 1: P(Gama ≤ z)."""
    return torch.special.gammainc(*torch.broadcast_tensors(alpha, z))


def quantile(alpha: Tensor, u: Tensor) -> Tensor:
    """O z em que F(z; α) = u, por bisseção: na forma de alpha e u, que são iguais."""
    low, high = torch.zeros_like(alpha), torch.full_like(alpha, 4 * _MOST_Z)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = cdf(middle, alpha) < u
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2


def paint(numbers: ImplicitNumbers) -> Image.Image:
    return _canvas().image(*_paint_cdf(numbers), *_paint_path(numbers))


def describe(numbers: ImplicitNumbers) -> str:
    return (
        f"À esquerda, a acumulada da Gama com α = {number(numbers.alpha, 1)}, e a partícula em u = "
        f"{number(numbers.u, 2)}, z = {number(numbers.z, 2)}; mais pálida, a acumulada com α = "
        f"{number(numbers.alpha + _STEP, 1)}. À direita, z contra α com u parado; a inclinação é "
        f"{number(numbers.slope, 3)}, que é a descida {number(numbers.fall, 4)} dividida pela densidade "
        f"{number(numbers.density, 4)}."
    )


class ImplicitExplorer(Explorer):
    """A acumulada com a partícula e, ao lado, o caminho que ela faz quando α muda e u não.

    controls: dicionário nome → ipywidget. Atribuir `.value` no código equivale a mexer na tela.
        "alpha"     α, o parâmetro da Gama
        "u"         a altura da partícula na acumulada
    Na figura arrastam-se a partícula, que muda u, e o ponto do caminho, que muda α.
    picture: ipywidgets.Image, PNG · z, fall, density, slope: como em ImplicitNumbers.
    """

    inputs = ("alpha", "u")
    recorded = (
        ("alpha", (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0, 7.5, 8.0)),
        ("u", (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98)),
    )
    measure, paint, describe = staticmethod(measure), staticmethod(paint), staticmethod(describe)

    def __init__(self):
        c = self.controls = _controls()
        self.picture = picture(_WIDTH, "vae-picture")
        self.caption = text()
        note = text(
            "Quando α cresce, a curva desce em z. Para ficar na mesma altura u, a partícula anda para a direita: a "
            "descida dividida pela inclinação da curva, que é a densidade."
        )
        hand = pointable(self.picture, _LABEL, size=(_WIDTH, _HEIGHT), at=self._point, keys=self._step)
        side = [title("Segure u e mova α"), c["alpha"].with_number(), c["u"].with_number(), self.caption, note]
        super().__init__(row(hand, column(300, *side)))
        self._start()

    def __repr__(self) -> str:
        return f"ImplicitExplorer(α = {number(self.alpha, 1)}, u = {number(self.u, 2)})"

    def _show(self) -> None:
        super()._show()
        cell = '<td style="padding: 0 12px 0 0; text-align: {}">{}</td>'
        named = {
            "z": number(self.z, 3),
            "descida, −∂F/∂α": number(self.fall, 4),
            "densidade, p(z)": number(self.density, 4),
            "<b>∂z/∂α</b>": f"<b>{number(self.slope, 4)}</b>",
        }
        rows = (cell.format("left", name) + cell.format("right", value) for name, value in named.items())
        self.caption.value = "<table><tr>" + "</tr><tr>".join(rows) + "</tr></table>"

    def _point(self, x: float, y: float) -> None:
        """À esquerda, leva u até ali; à direita, α."""
        if x < (_CDF[1] + _PATH[0]) / 2:
            self._place("u", round(_canvas().panel(0).units(x, y)[1], 2))
        else:
            self._place("alpha", round(_canvas().panel(1).units(x, y)[0], 1))

    def _step(self, right: int, down: int) -> None:
        self._place("alpha", self.controls["alpha"].value + self.controls["alpha"].step * right)
        self._place("u", self.controls["u"].value - self.controls["u"].step * down)

    def _place(self, name: str, value: float) -> None:
        slider = self.controls[name]
        slider.value = within(value, slider.min, slider.max)


def _one(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


@functools.lru_cache(maxsize=256)
def _curve(alpha: float) -> np.ndarray:
    return cdf(torch.from_numpy(_Z), _one(alpha)).numpy()


@functools.lru_cache(maxsize=256)
def _path(u: float) -> np.ndarray:
    alphas = torch.from_numpy(_ALPHAS)
    return quantile(alphas, torch.full_like(alphas, u)).numpy()


def _paint_cdf(numbers: ImplicitNumbers) -> list[Panel]:
    panel = _canvas().panel(0)
    z, u, next_z = numbers.z, numbers.u, numbers.next_z
    panel.curve(_Z, _curve(numbers.alpha + _STEP), _NEXT, width=2.5, dashes=(7, 4))
    panel.curve(_Z, _curve(numbers.alpha), _CURVE, width=3)
    panel.curve(np.array([0, z]), np.array([u, u]), style.SILVER, width=1.5)
    panel.curve(np.array([z, z]), np.array([0, u]), style.SILVER, width=1.5, dashes=(4, 3))
    lower = cdf(_one(z), _one(numbers.alpha + _STEP)).item()
    panel.curve(np.array([z, z]), np.array([u, lower]), _FALL, width=4)
    panel.curve(np.array([z, next_z]), np.array([u, u]), _SLIDE, width=4)
    panel.dots(np.array([next_z]), np.array([u]), _NEXT, radius=4)
    panel.dots(np.array([z]), np.array([u]), _PARTICLE, radius=5)
    panel.text(next_z, u, f"u = {number(u, 2)}", _PARTICLE, anchor="lm", offset=(10, 12 if u > 0.5 else -6), size=12)
    return [panel]


def _paint_path(numbers: ImplicitNumbers) -> list[Panel]:
    panel, heading = _canvas().panel(1), _canvas().panel(2)
    panel.curve(_ALPHAS, _path(numbers.u), style.GREY, width=2)
    reach = 1.4
    ends = np.array([-reach, reach])
    panel.curve(numbers.alpha + ends, numbers.z + numbers.slope * ends, _SLIDE, width=3)
    panel.dots(np.array([numbers.alpha]), np.array([numbers.z]), _PARTICLE, radius=5)
    heading.text(1, 0.3, f"∂z/∂α = {number(numbers.slope, 3)}", _SLIDE, anchor="rs", size=15, bold=True)
    return [panel, heading]


@functools.cache
def _canvas() -> Canvas:
    return Canvas(_frame(), [_CURVE, _NEXT, _PARTICLE, _FALL, _SLIDE, style.SILVER, style.GREY])


def _frame() -> Figure:
    """O que não muda: os eixos, os títulos e a legenda."""
    fig = Figure(figsize=(_WIDTH / 100, _HEIGHT / 100))
    chart = axes_at(fig, *_CDF, *_BAND)
    chart.set(xlim=(0, _MOST_Z), ylim=(0, 1), ylabel="u = F(z; α)")
    path = axes_at(fig, *_PATH, *_BAND)
    path.set(xlim=(_LEAST_ALPHA, _MOST_ALPHA), ylim=(0, _MOST_Z), xlabel="α", ylabel="z")
    heading = axes_at(fig, _PATH[0] - 20, _PATH[1], 20, 54)
    heading.set(xlim=(0, 1), ylim=(0, 1))
    heading.axis("off")
    chart.set_xlabel("z")
    chart.set_xticks(range(0, 19, 3))
    path.set_xticks(range(1, 9))
    for ax in (chart, path):
        ax.tick_params(labelsize=9)
        ax.spines[["top", "right"]].set_visible(False)
    for x, y, words, color in (
        (_CDF[0], 16, "a acumulada em α", _CURVE),
        (_CDF[0] + 180, 16, "em α + 1, tracejada", _CURVE),
        (_CDF[0], 38, "quanto a curva desce", _FALL),
        (_CDF[0] + 180, 38, "quanto a partícula anda", _SLIDE),
        (_PATH[0], 16, "o caminho, com u parado", style.GREY),
    ):
        fig.text(x / _WIDTH, 1 - y / _HEIGHT, words, color=color, fontsize=9.5, weight="bold", va="center")
    style.decimal_commas(fig)
    return fig


def _controls() -> dict[str, widgets.Widget]:
    slider = {"style": {"description_width": "24px"}, "layout": {"width": "auto"}}
    return {
        "alpha": ExactSlider(
            value=2.5,
            min=_LEAST_ALPHA,
            max=_MOST_ALPHA,
            step=0.1,
            decimals=1,
            description="α",
            tooltip="O parâmetro α da Gama",
            **slider,
        ),
        "u": ExactSlider(
            value=0.7,
            min=_LEAST_U,
            max=_MOST_U,
            step=0.02,
            decimals=2,
            description="u",
            tooltip="A altura da partícula na acumulada, que α não muda",
            **slider,
        ),
    }
