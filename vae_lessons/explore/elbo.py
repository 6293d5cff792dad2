"""O explorador da ELBO: q se move, e a distância até log p(x) aparece.

O latente tem uma dimensão, e toda integral é uma soma numa grade: não há Monte Carlo.
"""

import math

import ipywidgets as widgets
import numpy as np
from ipywidgets import Layout
from matplotlib.figure import Figure

from vae_lessons.explore.base import ExactLogSlider, ExactSlider, Explorer, row, text
from vae_lessons.explore.canvas import Canvas, number

_NOISE = 0.5  # desvio padrão s de x|z
_Z = np.linspace(-25.0, 25.0, 4001)  # mais de sete desvios além de qualquer q
# Regra de Simpson: z = 0, onde |z| tem bico, fica entre dois intervalos dela, e a precisão não cai.
_WEIGHTS = np.where(np.arange(len(_Z)) % 2, 4.0, 2.0) * (_Z[1] - _Z[0]) / 3
_WEIGHTS[[0, -1]] /= 2
_SHOWN = np.flatnonzero(np.abs(_Z) <= 4.001)[::2]
_LOWEST = -12.0  # nats: o começo da reta em que ficam a ELBO e log p(x)

# A identidade e, à parte, a KL no outro sentido: onde fica o centro de cada pedaço, de 0 a 1 na largura da figura.
_IDENTITY = {"log p(x)": 0.1, "=": 0.215, "ELBO": 0.33, "+": 0.445, "KL(q‖p(z|x))": 0.58, "KL(p(z|x)‖q)": 0.87}
_BLACK, _GREY, _SHADE = "#000000", "#767676", "#e4e4e4"
_BLUE, _RED, _GREEN, _WHITE = "#0072b2", "#d55e00", "#007a5a", "#ffffff"
_STYLES = {  # cor, largura e traço, em pixels da tela
    "prior p(z)": (_GREY, 2, (7, 4)),
    "verossimilhança p(x|z)": (_GREEN, 2, (7, 3, 2, 3)),
    "posterior p(z|x)": (_BLACK, 1.5, ()),
    "q(z)": (_BLUE, 5, ()),
}
_MODELS = {
    "um modo": ("<b>x|z ~ N(z, ½²)</b>: a posterior é uma normal, e há um q igual a ela.", lambda z: z),
    "dois modos": (
        "<b>x|z ~ N(|z|, ½²)</b>: x não diz o sinal de z. A posterior tem dois modos, e q, sendo normal, só um.",
        np.abs,
    ),
}


def explore_elbo() -> "ElboExplorer":
    """Um explorador da identidade log p(x) = ELBO + KL(q‖p(z|x)), com z ~ N(0, 1) e q(z) normal."""
    return ElboExplorer()


class ElboExplorer(Explorer):
    """Em cima, as curvas da prior, da verossimilhança, da posterior e de q; embaixo, log p(x) partido em ELBO e KL.

    controls: dicionário nome → ipywidget. Atribuir `.value` no código (ou chamar `.click()`) equivale a mexer na tela.
        "mean", "spread"     média e desvio padrão de q(z)
        "x"                  a observação
        "mode"               "um modo": x|z ~ N(z, ½²), posterior normal · "dois modos": x|z ~ N(|z|, ½²)
        "best"               botão: q que minimiza KL(q‖p(z|x)), e portanto maximiza a ELBO; havendo dois, um em cada
                             modo, fica o do lado em que q está
        "moment"             botão: q que minimiza KL(p(z|x)‖q), a normal com a média e a variância da posterior
        "zero"               botão: q igual à prior
    picture: ipywidgets.Image, PNG · elbo, log_evidence, kl = KL(q‖p(z|x)), kl_reverse = KL(p(z|x)‖q): em nats, para
    os controles como estão.
    """

    def __init__(self):
        self._canvas = Canvas(_frame(), [_BLACK, _GREY, _SHADE, _BLUE, _RED, _GREEN, _WHITE])
        self._moving = False
        width, height = self._canvas.size
        self.picture = widgets.Image(format="png", layout=Layout(width=f"{width}px", height=f"{height}px"))
        self.picture.add_class("vae-picture")
        self.caption = text("")
        self.controls = _controls()
        super().__init__(row(self.picture, self._arrange()))
        for name in ("mean", "spread", "x", "mode"):
            self.controls[name].observe(self._follow, "value")
        self.controls["best"].on_click(lambda _: self._move(*_best(self._log_joint, self.controls["mean"].value)))
        self.controls["moment"].on_click(lambda _: self._move(*_moments(self._log_posterior)))
        self.controls["zero"].on_click(lambda _: self._move(0.0, 1.0))
        self._render()

    def __repr__(self) -> str:
        return "ElboExplorer(z ~ N(0, 1), q(z) normal)"

    def _follow(self, _change) -> None:
        if not self._moving:
            self._render()

    def _move(self, mean: float, spread: float) -> None:
        """Leva os dois controles de q e desenha uma vez só."""
        self._moving = True
        try:
            self.controls["mean"].place(mean)
            self.controls["spread"].place(spread)
        finally:
            self._moving = False
        self._render()

    def _render(self) -> None:
        c = self.controls
        explanation, location = _MODELS[c["mode"].value]
        log_prior = _log_normal(_Z, 0.0, 1.0)
        log_likelihood = _log_normal(c["x"].value, location(_Z), _NOISE)
        log_q = _log_normal(_Z, c["mean"].value, c["spread"].value)
        self._log_joint = log_prior + log_likelihood
        self.log_evidence = math.log(_integral(np.exp(self._log_joint)))
        self._log_posterior = self._log_joint - self.log_evidence
        q, posterior = np.exp(log_q), np.exp(self._log_posterior)
        self.elbo = _integral(q * (self._log_joint - log_q))
        self.kl = _integral(q * (log_q - self._log_posterior))
        self.kl_reverse = _integral(posterior * (self._log_posterior - log_q))
        self.caption.value = explanation
        curves = self._paint_curves(np.exp(log_prior), np.exp(log_likelihood), posterior, q)
        self.picture.value = self._canvas.png(curves, self._paint_bar(), self._paint_numbers())

    def _paint_curves(self, *curves: np.ndarray):
        panel = self._canvas.panel(0)
        panel.area(_Z[_SHOWN], curves[2][_SHOWN], _SHADE)
        styled = list(zip(curves, _STYLES.values(), strict=True))
        for curve, (color, width, dashes) in reversed(styled):  # por cima, as linhas mais finas: nenhuma some
            panel.curve(_Z[_SHOWN], curve[_SHOWN], color, width=width, dashes=dashes)
        return panel

    def _paint_bar(self):
        """Da esquerda até log p(x), sempre o mesmo comprimento: a ELBO em azul e, no que falta, a KL em vermelho."""
        panel = self._canvas.panel(1)
        end = max(self.elbo, _LOWEST)
        panel.bar(_LOWEST, end, 0, 1, _BLUE)
        panel.bar(end, self.log_evidence, 0, 1, _RED)
        if end - _LOWEST > 1 or end == _LOWEST:
            panel.text(_LOWEST + 0.15, 0.5, "ELBO" if end > _LOWEST else "◀ ELBO", _WHITE, anchor="lm", bold=True)
        if self.log_evidence - end > 0.8:
            panel.text((end + self.log_evidence) / 2, 0.5, "KL", _WHITE, anchor="mm", bold=True)
        panel.bar(self.log_evidence - 0.025, self.log_evidence + 0.025, -0.25, 1.25, _BLACK)
        panel.text(self.log_evidence, 1.5, "log p(x)", _BLACK, anchor="ms", size=13)
        return panel

    def _paint_numbers(self):
        panel = self._canvas.panel(2)
        values = {
            "log p(x)": (self.log_evidence, _BLACK),
            "ELBO": (self.elbo, _BLUE),
            "KL(q‖p(z|x))": (self.kl, _RED),
            "KL(p(z|x)‖q)": (self.kl_reverse, _GREY),
        }
        for name, (value, color) in values.items():
            panel.text(_IDENTITY[name], 0.1, number(value, 3), color, anchor="ms", size=18, bold=True)
        return panel

    def _arrange(self) -> widgets.VBox:
        c = self.controls
        q = [text("<b>A distribuição q(z) = N(μ, σ²)</b>"), c["mean"], c["spread"], c["best"], c["moment"], c["zero"]]
        model = [text("<b>O modelo e a observação</b>"), c["mode"], self.caption, c["x"]]
        return widgets.VBox([*q, *model], layout=Layout(width="330px", grid_gap="4px"))


def _controls() -> dict[str, widgets.Widget]:
    slider = {"style": {"description_width": "90px"}, "layout": {"width": "326px"}, "readout_format": ".2f"}
    button = {"layout": {"width": "326px"}}
    return {
        "mean": ExactSlider(
            value=0.0, min=-3.0, max=3.0, step=0.05, description="média μ", tooltip="De q(z)", **slider
        ),
        "spread": ExactLogSlider(
            value=1.0, min=-1.0, max=0.5, step=0.02, description="desvio σ", tooltip="De q(z)", **slider
        ),
        "x": widgets.FloatSlider(
            value=2.0, min=0.0, max=3.0, step=0.05, description="observação x", tooltip="O que se observou", **slider
        ),
        "mode": widgets.ToggleButtons(
            options=list(_MODELS),
            tooltips=["A posterior é normal", "A posterior tem dois modos"],
            style={"button_width": "120px"},
        ),
        "best": widgets.Button(
            description="Menor KL(q‖p(z|x)): a maior ELBO", tooltip="Leva q ao ótimo, que se prende a um modo", **button
        ),
        "moment": widgets.Button(
            description="Menor KL(p(z|x)‖q): mesmos momentos",
            tooltip="q com a média e a variância da posterior",
            **button,
        ),
        "zero": widgets.Button(description="q igual à prior", tooltip="μ = 0 e σ = 1", **button),
    }


def _frame() -> Figure:
    """O que não muda: eixos, legenda e a identidade, cujos números vêm depois."""
    fig = Figure(figsize=(6.4, 4.5))
    curves = fig.add_axes((0.085, 0.475, 0.895, 0.435))
    curves.set(xlim=(-4, 4), ylim=(0, 1.2), xlabel="z", ylabel="densidade", yticks=[0, 0.5, 1.0])
    curves.set_yticklabels(["0", "0,5", "1"])
    curves.spines[["top", "right"]].set_visible(False)
    for name, (color, width, (*dashes,)) in _STYLES.items():
        style = (0, [dash / width for dash in dashes]) if dashes else "-"
        curves.plot([], [], color=color, linewidth=0.72 * width, linestyle=style, label=name)
    fig.legend(loc="upper center", ncols=4, frameon=False, fontsize=9.5, columnspacing=1.4, handlelength=2.4)

    bar = fig.add_axes((0.085, 0.215, 0.895, 0.135))
    bar.set(xlim=(_LOWEST, 0), ylim=(-0.3, 2.2), xlabel="nats", yticks=[])
    bar.set_xticks(range(-12, 1, 2), [number(tick, 0) for tick in range(-12, 1, 2)])
    bar.spines[["top", "right", "left"]].set_visible(False)

    identity = fig.add_axes((0.0, 0.0, 1.0, 0.125))
    identity.set(xlim=(0, 1), ylim=(0, 1))
    identity.axis("off")
    for name, x in _IDENTITY.items():
        identity.text(x, 0.62, name, ha="center", fontsize=10)
    identity.plot([0.735, 0.735], [0.0, 0.9], color=_GREY, linewidth=0.8)
    return fig


def _best(log_joint: np.ndarray, start: float) -> tuple[float, float]:
    """(média, desvio) do q de maior ELBO com a média do lado de `start`: malhas de candidatos, cada vez mais finas."""
    side = -1.0 if start < 0 else 1.0
    mean, log_spread, reach = 1.5 * side, -0.75, np.array([1.5, 1.5])
    while reach.max() > 1e-7:
        offsets = np.linspace(-1, 1, 9)
        means = mean + reach[0] * offsets[:, None, None]
        log_spreads = log_spread + reach[1] * offsets[:, None]
        log_q = -0.5 * ((_Z - means) / np.exp(log_spreads)) ** 2 - log_spreads - 0.5 * math.log(2 * math.pi)
        elbos = (np.exp(log_q) * (log_joint - log_q)) @ _WEIGHTS
        row, column = np.unravel_index(elbos.argmax(), elbos.shape)
        mean, log_spread = float(means[row, 0, 0]), float(log_spreads[column, 0])
        reach = reach / 2
    return mean, math.exp(log_spread)


def _moments(log_posterior: np.ndarray) -> tuple[float, float]:
    """(média, desvio) da posterior: são os de argmin KL(p‖q) entre as normais."""
    posterior = np.exp(log_posterior)
    mean = _integral(posterior * _Z)
    return mean, math.sqrt(_integral(posterior * (_Z - mean) ** 2))


def _log_normal(value, mean, spread):
    """log N(value; mean, spread²)."""
    return -0.5 * ((value - mean) / spread) ** 2 - math.log(spread) - 0.5 * math.log(2 * math.pi)


def _integral(values: np.ndarray) -> float:
    """Regra de Simpson na grade de z."""
    return float(values @ _WEIGHTS)
