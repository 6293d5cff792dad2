"""O explorador dos fluxos planares: em cima, fluxos já treinados num anel de duas modas; embaixo, uma camada só.

Os fluxos treinados estão em `trained_flows`. A KL de cada um e a densidade saem de uma grade de ruído, sem sorteio.
"""

import functools
import math
import time
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from vae_lessons import style
from vae_lessons.explore.base import Explorer, column, picture, row, text, title
from vae_lessons.explore.canvas import Canvas, Panel, axes_at
from vae_lessons.explore.pointing import pointable, within
from vae_lessons.explore.sliders import ExactSlider
from vae_lessons.explore.trained_flows import FLOWS
from vae_lessons.style import nats, number

LAYERS = (0, 1, 2, 4, 8, 16)
STARTS = ("inteira", "crescente")
BRAKES = ("com freio", "sem freio")

_HALF = 3.6  # meio lado dos planos
_SIDE, _TOP, _LOW = 206, 30, 284  # em pixels da tela: o lado dos planos e onde começa cada fileira
_LEFTS = (6, 226, 446)
_WIDTH, _HEIGHT = 660, 500
_CHART = 492, 646, 30, 200  # esquerda, direita, alto e pé do gráfico da KL
_CELLS = 103  # quadradinhos por lado, nos mapas
_COARSE, _FINE = 201, 501  # pontos por lado da grade de ruído: para a KL e para a densidade
_LONGEST = 3.0  # de cada coordenada de u e de w
_RELEASED = 0.6  # segundos sem gestos depois dos quais se pode pegar outra ponta

_LABEL = (
    "O plano da camada, embaixo à esquerda: arraste a ponta de u ou a de w. Pelo teclado, as setas movem a ponta de u."
)
_U, _W, _U_HAT = style.BLUE, style.GREEN, style.ORANGE
_FOLDED = style.mix(style.RED, style.WHITE, 0.35)
_SHRINKS, _STRETCHES = style.mix(style.SKY, style.WHITE, 0.6), style.mix(style.YELLOW, style.WHITE, 0.7)
_DENSITY = tuple(style.mix(style.BLUE, style.WHITE, share) for share in (0.85, 0.7, 0.5, 0.3, 0.1))
_STEPS = (0.01, 0.03, 0.06, 0.1, 0.15)  # densidades em que muda a cor


def explore_flow() -> "FlowExplorer":
    """Um explorador de fluxos planares: a grade deformada, a densidade e a KL de cada K; e o determinante de uma
    camada."""
    return FlowExplorer()


def planar(z: np.ndarray, u, w, b: float, *, brake: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """z [N, 2] → (z + û tanh(wᵀz + b), determinante [N]). Sem o freio, û é o próprio u."""
    u, w = np.asarray(u, float), np.asarray(w, float)
    pushed = with_brake(u, w) if brake else u
    h = np.tanh(z @ w + b)
    return z + h[:, None] * pushed, 1 + (1 - h**2) * (w @ pushed)


def with_brake(u, w) -> np.ndarray:
    """û = u + (m(wᵀu) − wᵀu) w/‖w‖², com m(a) = −1 + ln(1 + eᵃ) (Rezende e Mohamed, 2015, apêndice A.1)."""
    u, w = np.asarray(u, float), np.asarray(w, float)
    along = w @ u
    return u + (np.logaddexp(0, along) - 1 - along) * w / max(w @ w, 1e-12)


def ring_energy(z: np.ndarray) -> np.ndarray:
    """U do anel de duas modas, z [N, 2] → [N] (Rezende e Mohamed, 2015, tabela 1)."""
    sides = [-0.5 * ((z[:, 0] - side) / 0.6) ** 2 for side in (-2, 2)]
    return 0.5 * ((np.hypot(*z.T) - 2) / 0.4) ** 2 - np.logaddexp(*sides)


class FlowNumbers(NamedTuple):
    """layers, start: o fluxo treinado que se mostra · kl: KL(q ‖ p) dele, em nats · kls: as dos K todos, com a mesma
    partida · u, w, b, brake: a camada de baixo · u_hat: o u que ela usa · least_det: o menor determinante no plano."""

    layers: int
    start: str
    kl: float
    kls: tuple[float, ...]
    u: tuple[float, float]
    w: tuple[float, float]
    b: float
    brake: str
    u_hat: tuple[float, float]
    least_det: float


def measure(
    *, layers: int, start: str, u1: float, u2: float, w1: float, w2: float, b: float, brake: str
) -> FlowNumbers:
    kls = tuple(trained_kl(each, start) for each in LAYERS)
    u, w = (u1, u2), (w1, w2)
    u_hat = tuple(map(float, with_brake(u, w))) if brake == BRAKES[0] else u
    least = min(1.0, 1 + w[0] * u_hat[0] + w[1] * u_hat[1])
    return FlowNumbers(layers, start, kls[LAYERS.index(layers)], kls, u, w, b, brake, u_hat, least)


def paint(numbers: FlowNumbers) -> Image.Image:
    upper = _paint_grid(numbers), _paint_density(numbers), _paint_kl(numbers)
    return _canvas().image(*upper, _paint_determinant(numbers), _paint_layer(numbers), _paint_words(numbers))


def describe(numbers: FlowNumbers) -> str:
    folds = "dobra o plano" if numbers.least_det < 0 else "não dobra o plano"
    return (
        f"Em cima, a grade e a densidade de um fluxo planar de {numbers.layers} camadas treinado no anel, com a "
        f"energia {numbers.start}: KL de {nats(numbers.kl, 3)}. Embaixo, uma camada {numbers.brake}, com u = "
        f"({_pair(numbers.u)}), w = ({_pair(numbers.w)}) e b = {number(numbers.b, 1)}: o menor determinante é "
        f"{number(numbers.least_det, 2)}, e ela {folds}."
    )


class FlowExplorer(Explorer):
    """A grade deformada e a densidade de um fluxo treinado, com a KL ao lado; e uma camada, com o determinante dela.

    controls: dicionário nome → ipywidget. Atribuir `.value` no código equivale a mexer na tela.
        "layers"                    K, o número de camadas do fluxo treinado
        "start"                     como ele foi treinado: a energia "inteira" desde o começo, ou "crescente"
        "u1", "u2", "w1", "w2", "b" a camada de baixo
        "brake"                     "com freio", que corrige u, ou "sem freio"
    As pontas de u e de w também se arrastam na figura; as setas do teclado movem a de u.
    picture: ipywidgets.Image, PNG · kl, u_hat, least_det...: como em FlowNumbers.
    """

    inputs = ("layers", "start", "u1", "u2", "w1", "w2", "b", "brake")
    recorded = (("start", None), ("brake", None), ("layers", None), ("u1", (-3.0, -2.0, -1.0, 0.0, 1.5)))
    measure, paint, describe = staticmethod(measure), staticmethod(paint), staticmethod(describe)

    def __init__(self):
        c = self.controls = _controls()
        self.picture = picture(_WIDTH, "vae-picture")
        self._held, self._last = "u", -math.inf
        flow = [title("Fluxos treinados no anel"), c["layers"], c["start"]]
        note = text("O treino cobra a energia inteira desde o começo, ou a faz crescer. Os contornos são do alvo.")
        vectors = [c[name].with_number() for name in ("u1", "u2", "w1", "w2", "b")]
        layer = [title("Uma camada"), c["brake"], *vectors]
        ask = text("Onde o determinante é negativo o plano se dobra. As pontas de u e de w se arrastam na figura.")
        hand = pointable(self.picture, _LABEL, size=(_WIDTH, _HEIGHT), at=self._point, keys=self._step)
        super().__init__(row(hand, column(300, *flow, note, *layer, ask)))
        self._start()

    def __repr__(self) -> str:
        return f"FlowExplorer(K de {LAYERS[0]} a {LAYERS[-1]} · uma camada)"

    def _point(self, x: float, y: float) -> None:
        """Leva até ali a ponta mais próxima; num arrasto, a que se pegou, ainda que passe pela outra."""
        if not (_LEFTS[0] <= x <= _LEFTS[0] + _SIDE and _LOW <= y <= _LOW + _SIDE):
            return
        place, now = np.array(_canvas().panel(3).units(x, y)), time.monotonic()
        if now - self._last > _RELEASED:
            tips = {name: [self.controls[f"{name}{i}"].value for i in (1, 2)] for name in "uw"}
            self._held = min(tips, key=lambda name: np.hypot(*(place - tips[name])))
        self._last = now
        self._go(self._held, *place)

    def _step(self, right: int, down: int) -> None:
        first, second = (self.controls[name] for name in ("u1", "u2"))
        self._go("u", first.value + 0.1 * right, second.value - 0.1 * down)

    def _go(self, name: str, *place: float) -> None:
        values = {f"{name}{i}": round(within(value, -_LONGEST, _LONGEST), 1) for i, value in enumerate(place, 1)}
        self.move(**values)


def _noise(points: int) -> tuple[np.ndarray, np.ndarray]:
    """Uma grade de ε no quadrado de −5 a 5, [N, 2], e a parte da massa de N(0, I) em cada ponto, [N]."""
    axis = np.linspace(-5, 5, points)
    noise = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    mass = np.exp(-0.5 * (noise**2).sum(1))
    return noise, mass / mass.sum()


@functools.cache
def trained_kl(layers: int, start: str) -> float:
    """KL(q ‖ p) de um dos fluxos treinados, por quadratura no ruído, em nats."""
    noise, mass = _noise(_COARSE)
    z, log_det = _push(noise, layers, start)
    log_base = -0.5 * (noise**2).sum(1) - math.log(math.tau)
    return float(mass @ (log_base - log_det + ring_energy(z)) + log_z())


@functools.cache
def _density(layers: int, start: str) -> np.ndarray:
    """q no plano, [n, n], por quadradinho; a primeira linha é a de cima."""
    noise, mass = _noise(_FINE)
    z, _ = _push(noise, layers, start)
    edges = np.linspace(-_HALF, _HALF, _CELLS * 2 // 3 + 1)
    mass_in, *_ = np.histogram2d(*z.T, bins=[edges, edges], weights=mass)
    return mass_in.T[::-1] / (edges[1] - edges[0]) ** 2


def _push(noise: np.ndarray, layers: int, start: str) -> tuple[np.ndarray, np.ndarray]:
    """(z [N, 2], ln|det J| [N]) do fluxo inteiro."""
    (mean_1, mean_2, scale_1, scale_2), *rows = FLOWS[start, layers]
    z, log_det = np.array([mean_1, mean_2]) + np.array([scale_1, scale_2]) * noise, math.log(scale_1 * scale_2)
    log_det = np.full(len(noise), log_det)
    for u1, u2, w1, w2, b in rows:
        z, det = planar(z, (u1, u2), (w1, w2), b)
        log_det = log_det + np.log(det)
    return z, log_det


@functools.cache
def log_z() -> float:
    """ln ∫ exp(−U) do anel, por quadratura."""
    axis = np.linspace(-6, 6, 601)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    return float(np.log(np.exp(-ring_energy(grid)).sum()) + 2 * math.log(axis[1] - axis[0]))


@functools.cache
def _lines() -> np.ndarray:
    """As linhas de uma grade de −2,5 a 2,5, nas duas direções: [22, 121, 2]."""
    places, along = np.linspace(-2.5, 2.5, 11), np.linspace(-2.5, 2.5, 121)
    across = np.stack(np.broadcast_arrays(places[:, None], along), -1)
    return np.concatenate([across, across[..., ::-1]])


def _paint_grid(numbers: FlowNumbers) -> Panel:
    lines, _ = _push(_lines().reshape(-1, 2), numbers.layers, numbers.start)
    return _paint_lines(_canvas().panel(0), lines.reshape(_lines().shape))


def _paint_lines(panel: Panel, lines: np.ndarray) -> Panel:
    """As duas direções da grade, cada uma numa cor."""
    for i, line in enumerate(lines):
        panel.curve(*line.T, _U if i < len(lines) // 2 else _U_HAT, width=1)
    return panel


def _paint_density(numbers: FlowNumbers) -> Panel:
    panel, density = _canvas().panel(1), _density(numbers.layers, numbers.start)
    for step, color in zip(_STEPS, _DENSITY, strict=True):
        panel.mask(density > step, color)
    for contour in _contours():
        panel.curve(*contour.T, style.BLACK, width=1)
    return panel


def _paint_kl(numbers: FlowNumbers) -> Panel:
    panel, places = _canvas().panel(2), np.arange(len(LAYERS))
    kls = np.array(numbers.kls)
    panel.curve(np.array([-0.5, 5.5]), np.full(2, math.log(2)), style.GREY, width=1.5, dashes=(5, 4))
    panel.text(-0.5, math.log(2), "ln 2", style.GREY, anchor="ls", offset=(4, 14), size=12)
    panel.curve(places, np.minimum(kls, 1.05), style.SILVER, width=2)
    panel.dots(places, np.minimum(kls, 1.05), style.SILVER, radius=4)
    at = LAYERS.index(numbers.layers)
    panel.dots(places[[at]], np.minimum(kls[[at]], 1.05), style.ORANGE, radius=6)
    return panel


def _paint_determinant(numbers: FlowNumbers) -> Panel:
    """O plano antes da camada: onde ela estica, encolhe ou dobra, e as setas u e w."""
    panel = _canvas().panel(3)
    centers = (np.arange(_CELLS) + 0.5) / _CELLS * 2 * _HALF - _HALF
    plane = np.stack(np.meshgrid(centers, centers[::-1]), -1).reshape(-1, 2)
    _, det = planar(plane, numbers.u_hat, numbers.w, numbers.b, brake=False)
    det = det.reshape(_CELLS, _CELLS)
    panel.mask(det > 1.02, _STRETCHES)
    panel.mask((det < 0.98) & (det >= 0), _SHRINKS)
    panel.mask(det < 0, _FOLDED)
    arrows = [("w", numbers.w, _W), ("u", numbers.u, _U)]
    if numbers.brake == BRAKES[0] and np.abs(np.subtract(numbers.u, numbers.u_hat)).max() > 0.05:
        arrows.insert(0, ("û", numbers.u_hat, _U_HAT))
    for name, tip, color in arrows:
        ends = np.array([[0.0, 0.0], tip]).clip(-_HALF, _HALF)
        panel.curve(*ends.T, color, width=3, dashes=(6, 4) if name == "û" else ())
        panel.dots(ends[1:, 0], ends[1:, 1], color, radius=5)
        right, up = 9 if tip[0] < 2.8 else -9, -9 if tip[1] < 2.8 else 14
        anchor = "ls" if right > 0 else "rs"
        panel.text(*ends[1], name, color, anchor=anchor, offset=(right, up), size=15, bold=True)
    return panel


def _paint_layer(numbers: FlowNumbers) -> Panel:
    lines, _ = planar(_lines().reshape(-1, 2), numbers.u_hat, numbers.w, numbers.b, brake=False)
    return _paint_lines(_canvas().panel(4), lines.reshape(_lines().shape))


def _paint_words(numbers: FlowNumbers) -> Panel:
    panel = _canvas().panel(5)
    along = float(np.dot(numbers.w, numbers.u))
    used = float(np.dot(numbers.w, numbers.u_hat))
    folds = numbers.least_det < 0
    lines = [
        ("KL(q ‖ p)", nats(numbers.kl, 3), style.BLACK),
        ("wᵀu", number(along, 2), _U),
        ("wᵀû" if numbers.brake == BRAKES[0] else "sem freio", number(used, 2), _U_HAT),
        ("menor det", number(numbers.least_det, 2), style.RED if folds else style.BLACK),
    ]
    for i, (name, value, color) in enumerate(lines):
        down = 0.93 - 0.14 * i
        panel.text(0.0, down, name, style.BLACK, size=13)
        panel.text(1.0, down, value, color, anchor="rs", size=13, bold=True)
    verdict = "dobra o plano" if folds else "tem inversa"
    panel.text(0.0, 0.36, verdict, style.RED if folds else style.GREEN, size=15, bold=True)
    for i, (name, color) in enumerate((("det > 1", _STRETCHES), ("0 < det < 1", _SHRINKS), ("det < 0", _FOLDED))):
        down = 0.22 - 0.1 * i
        panel.bar(0.0, 0.1, down - 0.01, down + 0.055, color)
        panel.text(0.14, down, name, style.BLACK, size=12)
    return panel


def _pair(values: tuple[float, float]) -> str:
    return "; ".join(number(value, 1) for value in values)


@functools.cache
def _contours() -> list[np.ndarray]:
    """As linhas em que a densidade do alvo vale 0,03 e 0,1: [P, 2] cada."""
    axis = np.linspace(-_HALF, _HALF, 241)
    x, y = np.meshgrid(axis, axis)
    p = np.exp(-ring_energy(np.stack([x, y], -1).reshape(-1, 2)) - log_z()).reshape(x.shape)
    found = Figure().subplots().contour(x, y, p, levels=[0.03, 0.1])
    return [line for level in found.allsegs for line in level if len(line) > 2]


@functools.cache
def _canvas() -> Canvas:
    colors = [style.BLACK, style.GREY, style.SILVER, style.RED, style.GREEN, style.BLUE, style.ORANGE]
    return Canvas(_frame(), [*colors, _FOLDED, _SHRINKS, _STRETCHES, *_DENSITY])


def _frame() -> Figure:
    """O que não muda: os planos, o eixo da KL e os títulos."""
    fig = Figure(figsize=(_WIDTH / 100, _HEIGHT / 100))

    def plane(left: float, top: float, name: str) -> Axes:
        ax = axes_at(fig, left, left + _SIDE, top, top + _SIDE)
        ax.set(xlim=(-_HALF, _HALF), ylim=(-_HALF, _HALF), xticks=[], yticks=[])
        ax.spines[:].set_color(style.SILVER)
        ax.set_title(name, fontsize=10, weight="bold", pad=5)
        return ax

    plane(_LEFTS[0], _TOP, "a grade, depois do fluxo")
    plane(_LEFTS[1], _TOP, "a densidade q, e o alvo")
    chart = axes_at(fig, *_CHART)
    chart.set(xlim=(-0.5, len(LAYERS) - 0.5), ylim=(0, 1.1), xlabel="K, camadas")
    chart.set_xticks(range(len(LAYERS)), [str(each) for each in LAYERS])
    chart.set_yticks([0, 0.5, 1], ["0", "0,5", "≥ 1"])
    chart.tick_params(labelsize=9)
    chart.spines[["top", "right"]].set_visible(False)
    chart.set_title("KL(q ‖ p), nats", fontsize=10, weight="bold", pad=5)
    plane(_LEFTS[0], _LOW, "uma camada: det J, antes")
    plane(_LEFTS[1], _LOW, "a grade, depois dela")
    words = axes_at(fig, _LEFTS[2] + 2, _WIDTH - 8, _LOW, _LOW + _SIDE)
    words.set(xlim=(0, 1), ylim=(0, 1))
    words.axis("off")
    style.decimal_commas(fig)
    return fig


def _controls() -> dict[str, widgets.Widget]:
    slider = {"style": {"description_width": "34px"}, "layout": {"width": "auto"}}

    def coordinate(name: str, value: float, tooltip: str) -> ExactSlider:
        return ExactSlider(
            value=value, min=-_LONGEST, max=_LONGEST, step=0.1, decimals=1, description=name, tooltip=tooltip, **slider
        )

    def choice(options: tuple[str, ...], value: str, name: str, tooltips: list[str]) -> widgets.ToggleButtons:
        return widgets.ToggleButtons(
            options=list(options), value=value, tooltip=name, tooltips=tooltips, style={"button_width": "104px"}
        )

    return {
        "layers": widgets.SelectionSlider(
            options=list(LAYERS), value=2, description="K", tooltip="Quantas camadas tem o fluxo treinado", **slider
        ),
        "start": choice(
            STARTS,
            STARTS[0],
            "a energia, no treino",
            ["A energia inteira desde o primeiro passo", "A energia cresce durante o treino"],
        ),
        "brake": choice(
            BRAKES[::-1], BRAKES[1], "o freio da camada", ["u entra como está", "u é corrigido, e a camada tem inversa"]
        ),
        "u1": coordinate("u₁", -2.0, "A coordenada horizontal de u"),
        "u2": coordinate("u₂", 0.6, "A coordenada vertical de u"),
        "w1": coordinate("w₁", 1.2, "A coordenada horizontal de w"),
        "w2": coordinate("w₂", 0.4, "A coordenada vertical de w"),
        "b": coordinate("b", 0.0, "b, que desloca a faixa em que a camada age"),
    }
