"""O explorador dos passos de uma difusão: as densidades dos dados e do modelo, e o excesso, a cada número de passos."""

import functools
import math
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from vae_lessons import style
from vae_lessons.explore.base import Explorer, column, picture, row, text, title
from vae_lessons.explore.canvas import Canvas, Panel, axes_at
from vae_lessons.style import nats, number, round_sum

# Os dados: misturas de normais de pesos iguais, (médias, variância de cada uma).
_SHAPES = {"one": ((0.0,), 1.0), "two": ((-1.5, 1.5), 0.16)}
_NAMES = {"one": "uma normal", "two": "duas normais"}
_TOP = 6.0  # log SNR de z₀; o de z_T é −6

_X = np.linspace(-5.0, 5.0, 401)  # onde se calculam as densidades e, com duas normais, os níveis
_FINE = np.linspace(-9.0, 9.0, 4001)  # onde se integra o erro do palpite

# Em pixels da tela, contados do canto de cima à esquerda.
_WIDTH, _HEIGHT = 660, 330
_CURVES, _BARS = (24, 372, 62, 292), (448, 650, 62, 292)  # esquerda, direita, alto, pé
_TALLEST = 1.0  # a densidade que cabe na figura
_FINEST = 0.01  # nats: o menor alto das barras
_TRUTH, _MODEL = style.GREY, style.GENERATED
_EXCESS, _WRONG, _LOOSE = style.BLACK, style.ORANGE, style.BLUE


def explore_steps() -> "StepsExplorer":
    """Um explorador da difusão de dados de uma dimensão, com o melhor palpite que há em cada nível de ruído."""
    return StepsExplorer()


class StepsNumbers(NamedTuple):
    """T, shape, adjusted: os controles · entropy, excess, wrong_model, loose_bound: em nats por ponto; excess = −ELBO −
    entropia = wrong_model + loose_bound, com wrong_model = KL(dados ‖ modelo) · truth, model: as densidades [401]."""

    T: int
    shape: str
    adjusted: bool
    entropy: float
    excess: float
    wrong_model: float
    loose_bound: float
    truth: np.ndarray
    model: np.ndarray


@functools.lru_cache(maxsize=512)
def measure(T: int, shape: str, adjusted: bool) -> StepsNumbers:
    """T: passos · shape: "one" ou "two" · adjusted: a variância de cada passo da volta é a melhor, e não a de
    q(z_s|z_t, x).

    A ELBO é uma soma de esperanças de uma variável, por quadratura. A densidade do modelo é exata com uma normal, em
    que tudo é linear, e uma soma na grade, nível por nível, com duas.
    """
    means, variance = _SHAPES[shape]
    log_snr = np.linspace(_TOP, -_TOP, T + 1)
    snr = np.exp(log_snr)
    signal, noise = snr / (1 + snr), 1 / (1 + snr)  # α², σ²
    error = np.array([_error(shape, a, s) for a, s in zip(signal, noise, strict=True)])
    drop = snr[:-1] - snr[1:]
    ratio = 1 + drop * error[1:] if adjusted else np.ones(T)  # v / ṽ
    steps = 0.5 * np.sum(1 / ratio - 1 + np.log(ratio) + drop * error[1:] / ratio)
    second_moment = variance + np.mean(np.square(means))
    last = 0.5 * (signal[-1] * second_moment + noise[-1] - 1 - math.log(noise[-1]))
    reconstruction = 0.5 * math.log(2 * math.pi * error[0]) + 0.5
    log_truth = _log_density(_FINE, means, variance)
    entropy = -_integral(np.exp(log_truth) * log_truth, _FINE)
    excess = last + steps + reconstruction - entropy
    backward = _one_normal if len(means) == 1 else _on_the_grid
    log_model, wrong_model = backward(shape, signal, noise, ratio, error[0])
    truth = np.exp(_log_density(_X, means, variance))
    return StepsNumbers(
        T, shape, adjusted, entropy, excess, wrong_model, excess - wrong_model, truth, np.exp(np.minimum(log_model, 50))
    )


def paint(numbers: StepsNumbers) -> Image.Image:
    return _canvas().image(*_paint_curves(numbers), *_paint_bars(numbers))


def describe(numbers: StepsNumbers) -> str:
    excess, wrong, loose = _written(numbers)
    kind = "ajustada" if numbers.adjusted else "fixa"
    return (
        f"As densidades dos dados, {_NAMES[numbers.shape]}, e do modelo de difusão de T = {numbers.T} passos, com "
        f"variância da volta {kind}; ao lado, em barras, o excesso, {excess}, e as duas partes dele: o modelo errado, "
        f"{wrong}, e, sobre ele, o limite frouxo, {loose}."
    )


class StepsExplorer(Explorer):
    """As duas densidades, e três barras: o excesso e as partes dele, uma em cima da outra.

    controls: dicionário nome → ipywidget. Atribuir `.value` no código equivale a mexer na tela.
        "T"         passos, de 1 a 64
        "shape"     os dados: "one", uma normal, ou "two", duas
        "adjusted"  a variância de cada passo da volta: False, a de q(z_s|z_t, x); True, a melhor
    picture: ipywidgets.Image, PNG · os números, como em StepsNumbers.
    """

    inputs = ("T", "shape", "adjusted")
    recorded = (("shape", None), ("adjusted", None), ("T", (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)))
    measure, paint, describe = staticmethod(measure), staticmethod(paint), staticmethod(describe)

    def __init__(self):
        c = self.controls = _controls()
        self.picture = picture(_WIDTH, "vae-picture")
        note = text(
            "Em cada nível o palpite é o melhor que há: o que se vê não é falta de treino. O limite frouxo é a lacuna, "
            "KL(q‖posterior do modelo). A escala das barras acompanha o excesso."
        )
        side = [title("Passos da volta"), c["T"], title("Variância da volta"), c["adjusted"]]
        super().__init__(row(self.picture, column(300, *side, title("Dados"), c["shape"], note)))
        self._start()

    def __repr__(self) -> str:
        return f"StepsExplorer(T = {self.T}, {_NAMES[self.shape]})"


def _integral(values: np.ndarray, at: np.ndarray) -> float:
    """Pela soma simples, que numa função lisa e nula nas pontas é quase exata."""
    return float(values.sum() * (at[1] - at[0]))


def _log_density(x: np.ndarray, means: tuple[float, ...], variance: float) -> np.ndarray:
    each = [-0.5 * (x - mean) ** 2 / variance for mean in means]
    return np.logaddexp.reduce(each) - math.log(len(means)) - 0.5 * math.log(2 * math.pi * variance)


def _guess(shape: str, z: np.ndarray, signal: float, noise: float) -> np.ndarray:
    """E[x|z] com z = αx + σε."""
    means, variance = _SHAPES[shape]
    alpha, total = math.sqrt(signal), signal * variance + noise
    each = np.array([-0.5 * (z - alpha * mean) ** 2 / total for mean in means])
    weights = np.exp(each - np.logaddexp.reduce(each))
    inside = [mean + alpha * variance / total * (z - alpha * mean) for mean in means]
    return (weights * inside).sum(0)


def _error(shape: str, signal: float, noise: float) -> float:
    """E‖x − E[x|z]‖²."""
    means, variance = _SHAPES[shape]
    if len(means) == 1:
        return variance * noise / (signal * variance + noise)
    alpha = math.sqrt(signal)
    density = np.exp(_log_density(_FINE, tuple(alpha * mean for mean in means), signal * variance + noise))
    explained = _integral(density * _guess(shape, _FINE, signal, noise) ** 2, _FINE)
    return variance + float(np.mean(np.square(means))) - explained


def _step(signal: np.ndarray, noise: np.ndarray, t: int) -> tuple[float, float, float]:
    """a, c, ṽ de q(z_s|z_t, x) = N(a z_t + c x, ṽ), do nível t ao de baixo."""
    kept = signal[t] * noise[t - 1] / (noise[t] * signal[t - 1])  # SNR_t / SNR_s
    a = math.sqrt(signal[t] / signal[t - 1]) * noise[t - 1] / noise[t]
    return a, math.sqrt(signal[t - 1]) * (1 - kept), noise[t - 1] * (1 - kept)


def _one_normal(shape, signal, noise, ratio, first) -> tuple[np.ndarray, float]:
    """A log-densidade do modelo e KL(dados ‖ modelo): o palpite é linear, e toda variável, normal de média zero."""
    s2, variance = _SHAPES[shape][1], 1.0
    slopes = np.sqrt(signal) * s2 / (signal * s2 + noise)
    for t in range(len(ratio), 0, -1):
        a, c, own = _step(signal, noise, t)
        variance = (a + c * slopes[t]) ** 2 * variance + own * ratio[t - 1]
    variance = slopes[0] ** 2 * variance + first
    divergence = 0.5 * (s2 / variance - 1 + math.log(variance / s2))
    return _log_density(_X, (0.0,), variance), float(divergence)


def _on_the_grid(shape, signal, noise, ratio, first) -> tuple[np.ndarray, float]:
    """O mesmo, levando a densidade de z_T até x, nível por nível, sobre os pontos de _X, em logaritmos."""
    width = _X[1] - _X[0]
    log_p = _log_density(_X, (0.0,), 1.0)
    for t in range(len(ratio), -1, -1):
        guess = _guess(shape, _X, signal[t], noise[t])
        if t:
            a, c, own = _step(signal, noise, t)
            means, variance = a * _X + c * guess, own * ratio[t - 1]
        else:
            means, variance = guess, first
        joint = log_p - 0.5 * (_X[:, None] - means) ** 2 / variance
        most = joint.max(1)
        log_p = most + np.log(np.exp(joint - most[:, None]).sum(1) * width) - 0.5 * math.log(2 * math.pi * variance)
    log_truth = _log_density(_X, *_SHAPES[shape])
    return log_p, _integral(np.exp(log_truth) * (log_truth - log_p), _X)


def _written(numbers: StepsNumbers) -> tuple[str, str, str]:
    decimals = 1 if numbers.excess > 10 else 3 if numbers.excess > 0.1 else 4
    parts = round_sum(numbers.wrong_model, numbers.loose_bound, decimals=decimals)
    return tuple(nats(part, decimals) for part in parts)


def _paint_curves(numbers: StepsNumbers) -> list[Panel]:
    panel, heading = _canvas().panel(0), _canvas().panel(2)
    panel.area(_X, numbers.truth, style.MIST)
    panel.curve(_X, numbers.truth, _TRUTH, width=2.5, dashes=(7, 4))
    panel.curve(_X, np.minimum(numbers.model, 2 * _TALLEST), _MODEL, width=3)
    steps = "1 passo" if numbers.T == 1 else f"{numbers.T} passos"
    heading.text(0, 0.62, f"T = {steps}", style.BLACK, anchor="lm", size=15, bold=True)
    heading.text(0, 0.15, "- - dados", _TRUTH, anchor="lm", size=13, bold=True)
    heading.text(0.3, 0.15, "— modelo", _MODEL, anchor="lm", size=13, bold=True)
    return [panel, heading]


def _paint_bars(numbers: StepsNumbers) -> list[Panel]:
    """As barras, em escala linear: a do limite começa onde a do modelo acaba. Acima de cada uma o valor."""
    top, panel, heading = _top(numbers.excess), _canvas().panel(1), _canvas().panel(3)
    excess, wrong = (max(value, 0.0) / top for value in (numbers.excess, numbers.wrong_model))
    for height in (wrong, excess):
        panel.curve(np.array([0.18, 2.82]), np.array([height, height]), style.GREY, width=1, dashes=(3, 3))
    for place, (low, high, color) in enumerate(((0, excess, _EXCESS), (0, wrong, _WRONG), (wrong, excess, _LOOSE))):
        panel.bar(place + 0.18, place + 0.82, low, high, color)
    for place, (words, color) in enumerate(zip(_written(numbers), (_EXCESS, _WRONG, _LOOSE), strict=True)):
        heading.text(place + 0.5, 0.15, words.split(" ")[0], color, anchor="mm", size=13, bold=True)
    ticks = _canvas().panel(4)
    for part in (0, 0.5, 1):
        ticks.text(1, part, number(part * top), style.BLACK, anchor="rm", size=12)
    return [panel, heading, ticks]


def _top(excess: float) -> float:
    """O alto das barras, em nats: o primeiro de 0,01, 0,02, 0,05, 0,1… em que o excesso cabe."""
    power = 10.0 ** math.floor(math.log10(max(excess, _FINEST)))
    return next((m * power for m in (1, 2, 5) if excess <= m * power), 10 * power)


@functools.cache
def _canvas() -> Canvas:
    return Canvas(_frame(), [style.BLACK, style.MIST, _TRUTH, _MODEL, _LOOSE])


def _frame() -> Figure:
    """O que não muda: os eixos e os nomes."""
    fig = Figure(figsize=(_WIDTH / 100, _HEIGHT / 100))
    curves, bars = axes_at(fig, *_CURVES), axes_at(fig, *_BARS)
    curves.set(xlim=(-4, 4), ylim=(0, _TALLEST), yticks=[], xticks=range(-4, 5))
    curves.spines[["top", "right", "left"]].set_visible(False)
    curves.set_xlabel("x", labelpad=0)
    bars.set(xlim=(0, 3), ylim=(0, 1))
    bars.set_yticks([0, 0.5, 1], [""] * 3)
    bars.set_xticks([0.5, 1.5, 2.5], ["excesso", "modelo\nerrado", "limite\nfrouxo"])
    bars.set_ylabel("nats por ponto", fontsize=9.5, labelpad=28)
    bars.tick_params(labelsize=9)
    bars.tick_params(axis="x", length=0)
    bars.spines[["top", "right"]].set_visible(False)
    for (left, right, top, _), limits in ((_CURVES, (0, 1)), (_BARS, (0, 3))):
        line = axes_at(fig, left, right, 8, top - 2)
        line.set(xlim=limits, ylim=(0, 1))
        line.axis("off")
    line.text(1.5, 0.7, "= modelo errado + limite frouxo", ha="center", va="center", fontsize=9, color=style.GREY)
    left, _, top, bottom = _BARS
    ticks = axes_at(fig, left - 44, left - 6, top - 10, bottom + 10)
    ticks.set(xlim=(0, 1), ylim=(-10 / (bottom - top), 1 + 10 / (bottom - top)))
    ticks.axis("off")
    return fig


def _controls() -> dict[str, widgets.Widget]:
    toggle = {"style": {"button_width": "120px"}}
    return {
        "T": widgets.IntSlider(
            value=8,
            min=1,
            max=64,
            description="T",
            tooltip="Quantos passos tem a volta, do ruído aos dados",
            style={"description_width": "24px"},
            layout={"width": "auto"},
        ),
        "shape": widgets.ToggleButtons(
            options=[(name, shape) for shape, name in _NAMES.items()],
            tooltip="os dados",
            tooltips=["Os dados são uma normal", "Os dados são duas normais separadas"],
            **toggle,
        ),
        "adjusted": widgets.ToggleButtons(
            options=[("fixa", False), ("ajustada", True)],
            tooltip="a variância da volta",
            tooltips=["A variância de q(z_s|z_t, x)", "A melhor variância de cada passo"],
            **toggle,
        ),
    }
