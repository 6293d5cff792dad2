"""O explorador da ELBO: q se move, e a distância até log p(x) aparece.

O latente tem uma dimensão, e toda integral é uma soma numa grade: não há Monte Carlo.
"""

import functools
import math
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from vae_lessons import style
from vae_lessons.explore.base import Explorer, column, picture, row, text, title
from vae_lessons.explore.canvas import Canvas, Panel
from vae_lessons.explore.sliders import ExactLogSlider, ExactSlider
from vae_lessons.style import number, round_sum

_NOISE = 0.5  # desvio padrão s de x|z
_Z = np.linspace(-25.0, 25.0, 4001)  # mais de sete desvios além de qualquer q
# Regra de Simpson: z = 0, onde |z| tem bico, fica entre dois intervalos dela, e a precisão não cai.
_WEIGHTS = np.where(np.arange(len(_Z)) % 2, 4.0, 2.0) * (_Z[1] - _Z[0]) / 3
_WEIGHTS[[0, -1]] /= 2
_SHOWN = np.flatnonzero(np.abs(_Z) <= 4.001)[::2]
_LOWEST = -12.0  # nats: o começo da reta em que ficam a ELBO e log p(x)

# A identidade e, à parte, a KL no outro sentido: onde fica o centro de cada pedaço, de 0 a 1 na largura da figura.
_IDENTITY = {"log p(x)": 0.1, "=": 0.215, "ELBO": 0.33, "+": 0.445, "KL(q‖p(z|x))": 0.58, "KL(p(z|x)‖q)": 0.87}
_STYLES = {  # cor, largura e traço, em pixels da tela
    "prior p(z)": (style.PRIOR, 2, (7, 4)),
    "verossimilhança p(x|z)": (style.LIKELIHOOD, 2, (7, 3, 2, 3)),
    "posterior p(z|x)": (style.POSTERIOR, 1.5, ()),
    "q(z)": (style.Q, 5, ()),
}
_MODELS = {
    "um modo": ("<b>x|z ~ N(z, ½²)</b>: a posterior é uma normal, e há uma q igual a ela.", lambda z: z),
    "dois modos": (
        "<b>x|z ~ N(|z|, ½²)</b>: x não diz o sinal de z. A posterior tem duas modas, e q, sendo normal, só uma.",
        np.abs,
    ),
}


def explore_elbo() -> "ElboExplorer":
    """Um explorador da identidade log p(x) = ELBO + KL(q‖p(z|x)), com z ~ N(0, 1) e q(z) normal."""
    return ElboExplorer()


class ElboNumbers(NamedTuple):
    """As curvas onde são mostradas, em z = _Z[_SHOWN], na ordem de _STYLES, e o resto em nats.

    kl = KL(q‖p(z|x)) e kl_reverse = KL(p(z|x)‖q); log_evidence = log p(x) = elbo + kl.
    """

    curves: tuple[np.ndarray, ...]
    log_evidence: float
    elbo: float
    kl: float
    kl_reverse: float


def measure(mean: float, spread: float, x: float, mode: str) -> ElboNumbers:
    """Tudo o que se vê com q(z) = N(mean, spread²), no modelo `mode` e para a observação x."""
    log_prior, log_likelihood = _log_prior_and_likelihood(x, mode)
    log_q = _log_normal(_Z, mean, spread)
    log_joint = log_prior + log_likelihood
    log_evidence = math.log(_integral(np.exp(log_joint)))
    log_posterior = log_joint - log_evidence
    q, posterior = np.exp(log_q), np.exp(log_posterior)
    curves = np.exp(log_prior), np.exp(log_likelihood), posterior, q
    return ElboNumbers(
        curves=tuple(curve[_SHOWN] for curve in curves),
        log_evidence=log_evidence,
        elbo=_integral(q * (log_joint - log_q)),
        kl=_integral(q * (log_q - log_posterior)),
        kl_reverse=_integral(posterior * (log_posterior - log_q)),
    )


def best(x: float, mode: str, start: float) -> tuple[float, float]:
    """(média, desvio) do q de maior ELBO, entre todos; se dois empatam, o que tem a média do lado de `start`.

    Uma malha larga acha as subidas; em cada uma, malhas cada vez mais finas chegam ao alto.
    """
    log_joint = sum(_log_prior_and_likelihood(x, mode))
    means, log_spreads = np.linspace(-4.0, 4.0, 33), np.linspace(math.log(0.1), math.log(3.0), 15)
    coarse = np.pad(_elbo(log_joint, means[:, None], log_spreads), 1, constant_values=-np.inf)
    highest_around = np.lib.stride_tricks.sliding_window_view(coarse, (3, 3)).max((2, 3))
    peaks = [
        _climb(log_joint, means[row], log_spreads[column])
        for row, column in np.argwhere(coarse[1:-1, 1:-1] == highest_around)
    ]
    top = max(peaks)[0]
    ties = [(mean, log_spread) for elbo, mean, log_spread in peaks if top - elbo < 1e-9]
    mean, log_spread = min(ties, key=lambda peak: (peak[0] < 0) != (start < 0))
    return mean, math.exp(log_spread)


def moments(x: float, mode: str) -> tuple[float, float]:
    """(média, desvio) da posterior: são os de argmin KL(p(z|x)‖q) entre as normais."""
    log_joint = sum(_log_prior_and_likelihood(x, mode))
    posterior = np.exp(log_joint) / _integral(np.exp(log_joint))
    mean = _integral(posterior * _Z)
    return mean, math.sqrt(_integral(posterior * (_Z - mean) ** 2))


def paint(numbers: ElboNumbers) -> Image.Image:
    return _canvas().image(_paint_curves(numbers), _paint_bar(numbers), _paint_identity(numbers))


def describe(numbers: ElboNumbers) -> str:
    log_evidence, elbo, kl = round_sum(numbers.elbo, numbers.kl, decimals=3)
    return (
        "Curvas da prior, da verossimilhança, da posterior e de q(z), e uma barra: "
        f"log p(x) = {number(log_evidence, 3)} é a soma da ELBO, {number(elbo, 3)}, "
        f"e de KL(q‖p(z|x)), {number(kl, 3)} nats; KL(p(z|x)‖q) = {number(numbers.kl_reverse, 3)}."
    )


class ElboExplorer(Explorer):
    """Em cima, as curvas da prior, da verossimilhança, da posterior e de q; embaixo, log p(x) partido em ELBO e KL.

    controls: dicionário nome → ipywidget. Atribuir `.value` no código (ou chamar `.click()`) equivale a mexer na tela.
        "mean", "spread"     média e desvio padrão de q(z)
        "x"                  a observação
        "mode"               "um modo": x|z ~ N(z, ½²), posterior normal · "dois modos": x|z ~ N(|z|, ½²); na tela,
                             "uma moda" e "duas modas"
        "best"               botão: q que minimiza KL(q‖p(z|x)), e portanto maximiza a ELBO; havendo dois, um em cada
                             moda, fica o do lado em que q está
        "moment"             botão: q que minimiza KL(p(z|x)‖q), a normal com a média e a variância da posterior
        "zero"               botão: q igual à prior
    picture: ipywidgets.Image, PNG · elbo, log_evidence, kl = KL(q‖p(z|x)), kl_reverse = KL(p(z|x)‖q): em nats, para
    os controles como estão.
    """

    inputs = ("mean", "spread", "x", "mode")
    recorded = (
        ("mode", None),
        ("mean", tuple(0.25 * i for i in range(-12, 13))),
        ("spread", (0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0)),
    )
    measure, paint, describe = staticmethod(measure), staticmethod(paint), staticmethod(describe)

    def __init__(self):
        c = self.controls = _controls()
        self.picture = picture(_canvas().size[0], "vae-picture")
        self.caption = text()
        q = [
            title("A distribuição q(z) = N(μ, σ²)"),
            c["mean"].with_number(),
            c["spread"].with_number(),
            c["best"],
            c["moment"],
            c["zero"],
        ]
        model = [title("O modelo e a observação"), c["mode"], self.caption, c["x"].with_number()]
        super().__init__(row(self.picture, column(330, *q, *model)))
        c["best"].on_click(lambda _: self._go(*best(c["x"].value, c["mode"].value, c["mean"].value)))
        c["moment"].on_click(lambda _: self._go(*moments(c["x"].value, c["mode"].value)))
        c["zero"].on_click(lambda _: self._go(0.0, 1.0))
        self._start()

    def __repr__(self) -> str:
        return "ElboExplorer(z ~ N(0, 1), q(z) normal)"

    def _go(self, mean: float, spread: float) -> None:
        self.move(mean=mean, spread=spread)

    def _show(self) -> None:
        super()._show()
        self.caption.value = _MODELS[self.controls["mode"].value][0]


def _paint_curves(numbers: ElboNumbers) -> Panel:
    panel, z = _canvas().panel(0), _Z[_SHOWN]
    panel.area(z, numbers.curves[2], style.MIST)
    styled = list(zip(numbers.curves, _STYLES.values(), strict=True))
    for curve, (color, width, dashes) in reversed(styled):  # por cima, as linhas mais finas: nenhuma some
        panel.curve(z, curve, color, width=width, dashes=dashes)
    return panel


def _paint_bar(numbers: ElboNumbers) -> Panel:
    """Da esquerda até log p(x), sempre o mesmo comprimento: a ELBO em azul e, no que falta, a KL em laranja."""
    panel, log_evidence = _canvas().panel(1), numbers.log_evidence
    end = max(numbers.elbo, _LOWEST)
    panel.bar(_LOWEST, end, 0, 1, style.ELBO)
    panel.bar(end, log_evidence, 0, 1, style.GAP)
    if end - _LOWEST > 1 or end == _LOWEST:
        label = "ELBO" if end > _LOWEST else "◀ ELBO"
        panel.text(_LOWEST + 0.15, 0.5, label, style.WHITE, anchor="lm", bold=True)
    if log_evidence - end > 0.8:
        panel.text((end + log_evidence) / 2, 0.5, "KL", style.WHITE, anchor="mm", bold=True)
    panel.bar(log_evidence - 0.025, log_evidence + 0.025, -0.25, 1.25, style.BLACK)
    panel.text(log_evidence, 1.5, "log p(x)", style.BLACK, anchor="ms", size=13)
    return panel


def _paint_identity(numbers: ElboNumbers) -> Panel:
    """Os números sob os seus nomes, arredondados de modo que a soma, como está escrita, dê certo."""
    panel = _canvas().panel(2)
    rounded = *round_sum(numbers.elbo, numbers.kl, decimals=3), numbers.kl_reverse
    names = "log p(x)", "ELBO", "KL(q‖p(z|x))", "KL(p(z|x)‖q)"
    colors = style.BLACK, style.ELBO, style.GAP, style.GREY
    for name, value, color in zip(names, rounded, colors, strict=True):
        panel.text(_IDENTITY[name], 0.1, number(value, 3), color, anchor="ms", size=18, bold=True)
    return panel


def _controls() -> dict[str, widgets.Widget]:
    slider = {"style": {"description_width": "90px"}, "layout": {"width": "auto"}}
    button = {"layout": {"width": "auto"}}
    return {
        "mean": ExactSlider(
            value=0.0, min=-3.0, max=3.0, step=0.05, description="média μ", tooltip="De q(z)", **slider
        ),
        "spread": ExactLogSlider(
            value=1.0, min=-1.0, max=0.5, step=0.02, description="desvio σ", tooltip="De q(z)", **slider
        ),
        "x": ExactSlider(
            value=2.0, min=0.0, max=3.0, step=0.05, description="observação x", tooltip="O que se observou", **slider
        ),
        "mode": widgets.ToggleButtons(
            options=[("uma moda", "um modo"), ("duas modas", "dois modos")],
            tooltips=["A posterior é normal", "A posterior tem duas modas"],
            style={"button_width": "120px"},
        ),
        "best": widgets.Button(
            description="Menor KL(q‖p(z|x)): a maior ELBO",
            tooltip="Leva q ao ótimo, que se prende a uma moda",
            **button,
        ),
        "moment": widgets.Button(
            description="Menor KL(p(z|x)‖q): mesmos momentos",
            tooltip="q com a média e a variância da posterior",
            **button,
        ),
        "zero": widgets.Button(description="q igual à prior", tooltip="μ = 0 e σ = 1", **button),
    }


@functools.cache
def _canvas() -> Canvas:
    colors = style.MIST, style.WHITE, style.BLACK, style.GREY, style.ELBO, style.GAP
    return Canvas(_frame(), sorted({*colors, *(color for color, _, _ in _STYLES.values())}))


def _frame() -> Figure:
    """O que não muda: eixos, legenda e a identidade, cujos números vêm depois."""
    fig = Figure(figsize=(6.4, 4.5))
    curves = fig.add_axes((0.085, 0.475, 0.895, 0.435))
    curves.set(xlim=(-4, 4), ylim=(0, 1.2), xlabel="z", ylabel="densidade", yticks=[0, 0.5, 1.0])
    curves.set_yticklabels(["0", "0,5", "1"])
    curves.spines[["top", "right"]].set_visible(False)
    for name, (color, width, (*dashes,)) in _STYLES.items():
        stroke = (0, [dash / width for dash in dashes]) if dashes else "-"
        curves.plot([], [], color=color, linewidth=0.72 * width, linestyle=stroke, label=name)
    fig.legend(loc="upper center", ncols=4, frameon=False, fontsize=9.5, columnspacing=1.4, handlelength=2.4)

    bar = fig.add_axes((0.085, 0.215, 0.895, 0.135))
    bar.set(xlim=(_LOWEST, 0), ylim=(-0.3, 2.2), xlabel="nats", yticks=[])
    bar.set_xticks(range(-12, 1, 2))
    bar.spines[["top", "right", "left"]].set_visible(False)

    identity = fig.add_axes((0.0, 0.0, 1.0, 0.125))
    identity.set(xlim=(0, 1), ylim=(0, 1))
    identity.axis("off")
    for name, x in _IDENTITY.items():
        identity.text(x, 0.62, name, ha="center", fontsize=10)
    identity.plot([0.735, 0.735], [0.0, 0.9], color=style.GREY, linewidth=0.8)
    return fig


def _log_prior_and_likelihood(x: float, mode: str) -> tuple[np.ndarray, np.ndarray]:
    """log p(z) e log p(x|z) na grade de z."""
    location = _MODELS[mode][1]
    return _log_normal(_Z, 0.0, 1.0), _log_normal(x, location(_Z), _NOISE)


def _climb(log_joint: np.ndarray, mean: float, log_spread: float) -> tuple[float, float, float]:
    """(ELBO, média, log do desvio) no alto mais próximo."""
    reach, elbo = 0.25, -math.inf
    while reach > 1e-8:
        means, log_spreads = (center + reach * np.linspace(-1, 1, 5) for center in (mean, log_spread))
        values = _elbo(log_joint, means[:, None], log_spreads)
        row, column = np.unravel_index(values.argmax(), values.shape)
        elbo, mean, log_spread = float(values.max()), float(means[row]), float(log_spreads[column])
        reach /= 2
    return elbo, mean, log_spread


def _elbo(log_joint: np.ndarray, mean: np.ndarray, log_spread: np.ndarray) -> np.ndarray:
    """A ELBO de N(mean, exp(log_spread)²), na forma em que mean e log_spread se combinam."""
    deviations = (_Z - np.asarray(mean)[..., None]) / np.exp(log_spread)[..., None]
    log_q = -0.5 * deviations**2 - np.asarray(log_spread)[..., None] - 0.5 * math.log(2 * math.pi)
    return (np.exp(log_q) * (log_joint - log_q)) @ _WEIGHTS


def _log_normal(value, mean, spread):
    """log N(value; mean, spread²)."""
    return -0.5 * ((value - mean) / spread) ** 2 - math.log(spread) - 0.5 * math.log(2 * math.pi)


def _integral(values: np.ndarray) -> float:
    """Regra de Simpson na grade de z."""
    return float(values @ _WEIGHTS)
