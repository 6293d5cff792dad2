"""O explorador dos estimadores do gradiente de E_q[f(z)], com q(z) = N(μ, σ²): o que cada um sorteia.

O ruído é sorteado uma vez e serve a todos os estimadores e a todas as posições dos controles.
"""

import functools
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from vae_lessons import style
from vae_lessons.explore.base import Explorer, column, picture, row, title
from vae_lessons.explore.canvas import Canvas, Panel
from vae_lessons.explore.sliders import ExactLogSlider, ExactSlider
from vae_lessons.style import number, significant

_REPEATS = 4000
_SAMPLES = [1, 2, 5, 10, 20, 50, 100]  # os L que se podem pedir
_NOISE = np.random.default_rng(0).standard_normal((_SAMPLES[-1], _REPEATS), dtype=np.float32)  # mais rápido que 64
_EPSILON = np.linspace(-10.0, 10.0, 2001)  # quadratura: regra do trapézio, exata para o que se integra aqui
_WEIGHTS = np.exp(-0.5 * _EPSILON**2) / np.exp(-0.5 * _EPSILON**2).sum()
_REACH = 3.5  # desvios padrão, com uma amostra, de cada lado do gradiente verdadeiro
_BINS = 81

_NAMES = {
    "pathwise": ("reparametrização", style.PATHWISE),
    "score_function": ("REINFORCE", style.SCORE_FUNCTION),
    "leave_one_out": ("REINFORCE com linha de base", style.BASELINE),
}
_SYMBOLS = {"mu": "μ", "sigma": "σ"}


class Variance(NamedTuple):
    """A variância de um estimador: a medida nas repetições e a exata, por quadratura."""

    empirical: float
    exact: float


def explore_gradients() -> "GradientExplorer":
    """Um explorador que põe lado a lado a reparametrização e o REINFORCE, com e sem linha de base."""
    return GradientExplorer()


class GradientNumbers(NamedTuple):
    """gradient: o gradiente verdadeiro, em relação a `parameter` · estimates: nome → [4000] · variance: nome →
    Variance(empirical, exact) · shown: os estimadores que se mostram · reach: quanto se mostra de cada lado."""

    gradient: float
    parameter: str
    estimates: dict[str, np.ndarray]
    variance: dict[str, Variance]
    shown: tuple[str, ...]
    reach: float


def measure(
    function: str, k: float, omega: float, mu: float, sigma: float, parameter: str, n_samples: int, estimator: str
) -> GradientNumbers:
    """As estimativas e as variâncias, para os argumentos que GradientExplorer explica."""

    def terms(epsilon: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """f(z), df(z)/dθ por reparametrização e ∂log q(z)/∂θ, em z = μ + σε, para o parâmetro θ escolhido."""
        z = mu + sigma * epsilon
        if function == "quadratic":
            f, slope = (z - k) ** 2, 2 * (z - k)
        else:
            f, slope = np.sin(omega * z), omega * np.cos(omega * z)
        if parameter == "mu":
            return f, slope, epsilon / sigma
        return f, slope * epsilon, (epsilon**2 - 1) / sigma

    estimates, exact = _estimates(*terms(_NOISE[:n_samples])), _Moments(*terms(_EPSILON))
    shown = tuple(_NAMES) if estimator == "all" else (estimator,)
    widest = max(exact.variance(name, 2 if name == "leave_one_out" else 1) for name in shown)
    return GradientNumbers(
        gradient=exact.gradient,
        parameter=parameter,
        estimates=estimates,
        variance={
            name: Variance(float(values.var()), exact.variance(name, n_samples)) for name, values in estimates.items()
        },
        shown=shown,
        reach=_REACH * widest**0.5,
    )


def paint(numbers: GradientNumbers) -> Image.Image:
    rows, xlim = len(numbers.shown), (numbers.gradient - numbers.reach, numbers.gradient + numbers.reach)
    histograms = _canvas().panel(0, xlim=xlim, ylim=(-0.25, rows))
    labels = _canvas().panel(1, ylim=(-0.25, rows))
    edges = np.linspace(*xlim, _BINS + 1)
    for base, name in zip(range(rows - 1, -1, -1), numbers.shown, strict=True):
        _paint_label(labels, base, name, numbers.variance)
        if name in numbers.estimates:
            _paint_histogram(histograms, base, numbers.estimates[name], edges, _NAMES[name][1])
    histograms.curve(np.full(2, numbers.gradient), np.array([-0.25, rows]), style.BLACK, width=1.5, dashes=(5, 3))
    headline = _canvas().panel(3, xlim=xlim)
    true = f"gradiente verdadeiro  {number(numbers.gradient, 3)}"
    headline.text(numbers.gradient, 0.2, true, style.BLACK, anchor="ms", size=13)
    return _canvas().image(histograms, labels, _paint_axis(xlim, numbers.parameter), headline)


def describe(numbers: GradientNumbers) -> str:
    variances = (
        f"{_NAMES[name][0]}: variância {significant(numbers.variance[name].exact)}"
        if name in numbers.variance
        else f"{_NAMES[name][0]}: pede L ≥ 2"
        for name in numbers.shown
    )
    gradient = (
        f"{_REPEATS} estimativas do gradiente em {_SYMBOLS[numbers.parameter]}, que é {number(numbers.gradient, 3)}"
    )
    return f"Um histograma por estimador, com {gradient}. {'; '.join(variances)}."


class GradientExplorer(Explorer):
    """Um histograma por estimador: 4000 estimativas do mesmo gradiente, cada uma com L amostras de z.

    controls: dicionário nome → ipywidget. Atribuir `.value` no código equivale a mexer na tela.
        "function"       "quadratic": f(z) = (z − k)² · "sine": f(z) = sen(ωz)
        "k", "omega"     o parâmetro de f; só aparece o da função escolhida
        "mu", "sigma"    os parâmetros de q(z) = N(μ, σ²)
        "parameter"      em relação a qual deles se deriva: "mu" ou "sigma"
        "n_samples"      L, o número de amostras por estimativa
        "estimator"      "all", ou um só: "pathwise", "score_function" ou "leave_one_out" (de cada amostra se subtrai
                         a média de f nas outras; pede L ≥ 2)
    picture: ipywidgets.Image, PNG. A escala horizontal depende de tudo menos de L: vê-se o histograma estreitar.
    gradient: o gradiente verdadeiro · estimates: nome → [4000] · variance: nome → Variance(empirical, exact). Com
    L = 1 não há "leave_one_out".
    """

    inputs = ("function", "k", "omega", "mu", "sigma", "parameter", "n_samples", "estimator")
    recorded = (
        ("mu", tuple(0.5 * i for i in range(-6, 7))),
        ("sigma", (0.3, 0.5, 1.0, 2.0)),
        ("n_samples", (1, 2, 10, 100)),
    )
    measure, paint, describe = staticmethod(measure), staticmethod(paint), staticmethod(describe)

    def __init__(self):
        c = self.controls = _controls()
        self.picture = picture(_canvas().size[0], "vae-picture")
        function = [title("A função f"), c["function"], c["k"].with_number(), c["omega"].with_number()]
        q = [title("A distribuição q(z) = N(μ, σ²)"), c["mu"].with_number(), c["sigma"].with_number()]
        estimate = [title("A estimativa"), c["parameter"], c["n_samples"], c["estimator"]]
        super().__init__(row(self.picture, column(300, *function, *q, *estimate)))
        self._start()

    def __repr__(self) -> str:
        return f"GradientExplorer(q(z) = N(μ, σ²), {_REPEATS} repetições)"

    def _show(self) -> None:
        super()._show()
        for name, function in (("k", "quadratic"), ("omega", "sine")):
            self.controls[name].layout.display = None if self.controls["function"].value == function else "none"


class _Moments:
    """Esperanças, por quadratura, de f, do gradiente por reparametrização e do escore, [N] cada, e o que sai delas."""

    def __init__(self, f: np.ndarray, path: np.ndarray, score: np.ndarray):
        self.gradient = float(path @ _WEIGHTS)
        centered = f - f @ _WEIGHTS
        self._path = path**2 @ _WEIGHTS - self.gradient**2
        self._score = (f * score) ** 2 @ _WEIGHTS - self.gradient**2
        self._centered = (centered * score) ** 2 @ _WEIGHTS
        self._product = (centered**2 @ _WEIGHTS) * (score**2 @ _WEIGHTS)

    def variance(self, name: str, n_samples: int) -> float:
        """A do estimador `name` com n_samples amostras.

        "leave_one_out" é a covariância amostral de f e do escore, cuja média é zero; a variância dela está em
        qualquer livro de amostragem (por exemplo, Kendall e Stuart, The Advanced Theory of Statistics, vol. 1).
        """
        if name == "leave_one_out":
            others = n_samples - 1
            spread = self._centered - (n_samples - 2) / others * self.gradient**2 + self._product / others
        else:
            spread = self._path if name == "pathwise" else self._score
        return float(spread / n_samples)


def _estimates(f: np.ndarray, path: np.ndarray, score: np.ndarray) -> dict[str, np.ndarray]:
    """f, path, score: [L, R] → as R estimativas de cada estimador que exista com L amostras."""
    estimates = {"pathwise": path.mean(0), "score_function": (f * score).mean(0)}
    n_samples = len(f)
    if n_samples > 1:
        others = (f.sum(0) - f) / (n_samples - 1)
        estimates["leave_one_out"] = ((f - others) * score).mean(0)
    return estimates


def _ratio(variance: float, reference: float) -> str:
    """Quantas vezes a de referência: "124×" ou, se for menor do que ela, "1/36,0"."""
    return (
        f"{significant(variance / reference)}×" if variance >= reference else f"1/{significant(reference / variance)}"
    )


def _paint_label(panel: Panel, base: int, name: str, variances: dict[str, Variance]) -> None:
    """Ao lado do histograma: que estimador é, a variância medida, a exata e a comparação."""
    words, color = _NAMES[name]
    top, line = base + 0.76, 0.054 * panel.height_in_units
    panel.text(0, top, words, color, size=14 if len(words) < 20 else 12, bold=True)
    if name not in variances:
        panel.text(0, top - line, "pede L ≥ 2: a linha de base", style.GREY, size=12)
        panel.text(0, top - 2 * line, "é a média das outras", style.GREY, size=12)
        return
    empirical, exact = variances[name]
    lines = [("variância medida", significant(empirical)), ("variância exata", significant(exact))]
    if name != "pathwise":
        lines.append(("frente à reparam.", _ratio(exact, variances["pathwise"].exact)))
    for i, (label, value) in enumerate(lines, start=1):
        panel.text(0, top - i * line, label, style.BLACK, size=12)
        panel.text(0.97, top - i * line, value, style.BLACK, anchor="rs", size=12)
    if exact == min(variance.exact for variance in variances.values()):
        panel.text(0, top - (len(lines) + 1) * line, "✓ a menor variância", color, size=12, bold=True)


def _paint_axis(xlim: tuple[float, float], parameter: str) -> Panel:
    panel = _canvas().panel(2, xlim=xlim)
    margin = 0.05 * (xlim[1] - xlim[0])  # mais perto da borda, o número seria cortado
    for tick in MaxNLocator(6).tick_values(*xlim):
        if xlim[0] + margin < tick < xlim[1] - margin:
            panel.curve(np.full(2, tick), np.array([0.9, 1.0]), style.BLACK, width=1)
            panel.text(tick, 0.55, number(tick), style.BLACK, anchor="ms", size=13)
    words = f"estimativas de ∂E[f(z)]/∂{_SYMBOLS[parameter]} (traço: média ± desvio)"
    panel.text(sum(xlim) / 2, 0.1, words, style.BLACK, anchor="ms", size=13)
    return panel


def _paint_histogram(panel: Panel, base: int, values: np.ndarray, edges: np.ndarray, color: str) -> None:
    """O histograma, com a altura do mais alto igual a 0,85, e embaixo dele a média ± um desvio padrão."""
    counts, _ = np.histogram(values, edges)
    panel.area(np.repeat(edges, 2)[1:-1], base + 0.85 * np.repeat(counts / counts.max(), 2), color, base=base)
    panel.curve(edges[[0, -1]], np.full(2, base), style.GREY, width=1)
    mean, spread = values.mean(), values.std()
    panel.curve(np.array([mean - spread, mean + spread]), np.full(2, base - 0.09), color, width=4)


@functools.cache
def _canvas() -> Canvas:
    return Canvas(_frame(), [style.BLACK, style.GREY, style.WHITE, *(color for _, color in _NAMES.values())])


def _frame() -> Figure:
    """Só os lugares: os histogramas, o texto de cada um, o eixo e o título."""
    fig = Figure(figsize=(6.6, 4.3))
    left, width = 0.015, 0.635
    for box in (
        (left, 0.13, width, 0.81),
        (0.675, 0.13, 0.325, 0.81),
        (left, 0.0, width, 0.13),
        (left, 0.94, width, 0.06),
    ):
        fig.add_axes(box).axis("off")
    return fig


def _controls() -> dict[str, widgets.Widget]:
    slider = {"style": {"description_width": "26px"}, "layout": {"width": "auto"}}
    toggle = {"style": {"button_width": "92px"}}
    return {
        "function": widgets.ToggleButtons(
            options=[("(z − k)²", "quadratic"), ("sen(ωz)", "sine")], tooltips=["Parábola", "Onda"], **toggle
        ),
        "k": ExactSlider(
            value=-3.0, min=-5.0, max=5.0, step=0.1, decimals=1, description="k", tooltip="Mínimo de f", **slider
        ),
        "omega": ExactSlider(
            value=0.5, min=0.1, max=10.0, step=0.1, decimals=1, description="ω", tooltip="Frequência", **slider
        ),
        "mu": ExactSlider(
            value=1.0, min=-3.0, max=3.0, step=0.1, decimals=1, description="μ", tooltip="Média de q", **slider
        ),
        "sigma": ExactLogSlider(
            value=1.0, min=-1.0, max=0.5, step=0.02, description="σ", tooltip="Desvio padrão de q", **slider
        ),
        "parameter": widgets.ToggleButtons(
            options=[("∂/∂μ", "mu"), ("∂/∂σ", "sigma")], tooltips=["Gradiente em μ", "Gradiente em σ"], **toggle
        ),
        "n_samples": widgets.SelectionSlider(
            options=_SAMPLES, value=1, description="L", tooltip="Amostras por estimativa", **slider
        ),
        "estimator": widgets.Dropdown(
            options=[("todos os estimadores", "all"), *((title, name) for name, (title, _) in _NAMES.items())],
            tooltip="Estimador: um só aparece ampliado",
            layout={"width": "auto"},
        ),
    }
