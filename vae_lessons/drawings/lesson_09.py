"""Os desenhos da lição 09: a escada, a KL de cada camada, as ideias das escadas altas, faixas no tempo e quinzenas."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from vae_lessons import style
from vae_lessons.style import BLACK, BLUE, BROWN, GREEN, GREY, ORANGE, SILVER, WHITE, styled

_LAYER_COLORS = (BLUE, ORANGE, GREEN)  # da camada de baixo à de cima, em toda a lição


@styled
def ladder() -> Figure:
    """A escada de duas camadas: o codificador sobe e deixa mensagens; o gerador desce, e em cada degrau as junta."""
    fig = Figure(figsize=(7.2, 3.9))
    ax = fig.subplots()
    ax.set_axis_off()
    ax.set(xlim=(0, 10), ylim=(-0.5, 5.4))
    nodes = {
        "x": (1.2, 0, "x", GREY),
        "h1": (1.2, 2, "$h_1$", BLUE),
        "h2": (1.2, 4, "$h_2$", BLUE),
        "z2": (8.2, 4, "$z_2$", BROWN),
        "z1": (8.2, 2, "$z_1$", BROWN),
        "y": (8.2, 0, "x", GREY),
    }
    for x, y, name, color in nodes.values():
        _node(ax, x, y, name, color)
    _arrow(ax, (1.2, 0.5), (1.2, 1.5), BLUE)
    _arrow(ax, (1.2, 2.5), (1.2, 3.5), BLUE)
    _arrow(ax, (8.2, 3.5), (8.2, 2.5), GREEN, r"prior $p(z_1\mid z_2)$")
    _arrow(ax, (8.2, 1.5), (8.2, 0.5), GREEN, r"$p(x\mid z_1)$")
    for height, i in ((4, 2), (2, 1)):
        _arrow(ax, (1.75, height), (7.6, height), ORANGE)
        words = f"mensagem $\\mathcal{{N}}(m_{i}, v_{i})$, que se junta à prior"
        ax.text(4.7, height + 0.18, words, ha="center", va="bottom", color=ORANGE, fontsize=11)
    ax.text(8.2, 5.0, r"prior $\mathcal{N}(0, I)$", ha="center", color=GREEN, fontsize=11)
    ax.text(1.2, 5.0, "sobe, sem sorteio", ha="center", color=BLUE, fontsize=11)
    return fig


@styled
def layers_by_epoch(panels: Mapping[str, Sequence[Mapping[str, Sequence[float]]]]) -> Figure:
    """Um painel por treino, na mesma escala: panels[título] → por semente, {nome da camada: KL por época}."""
    fig = Figure(figsize=(8.0, 3.1))
    axes = fig.subplots(1, len(panels), sharey=True)
    for ax, (title, runs) in zip(axes, panels.items(), strict=True):
        for seed, layers in enumerate(runs):
            for (name, values), color, line in zip(layers.items(), _LAYER_COLORS, ("-", "--", "-."), strict=False):
                label = None if seed else name
                ax.plot(range(1, len(values) + 1), values, line, color=color, label=label, linewidth=1.6)
        ax.set(title=title, xlabel="época")
    axes[0].set(ylabel="KL da camada (nats por imagem)", ylim=(0, None))
    axes[-1].legend()
    return fig


@styled
def deep_ideas() -> Figure:
    """Duas ideias de escadas de dezenas de degraus: o caminho determinístico que desce, e as resoluções que crescem."""
    fig = Figure(figsize=(7.6, 3.4))
    ax = fig.subplots()
    ax.set_axis_off()
    ax.set(xlim=(0, 12), ylim=(-0.6, 4.6))
    for i, (x, side, size) in enumerate(((1.4, 0.7, "1×1"), (4.2, 1.0, "4×4"), (7.0, 1.4, "8×8"))):
        ax.add_patch(Rectangle((x - side / 2, 1.5 - side / 2), side, side, **_box(GREEN)))
        ax.text(x, 1.5 - side / 2 - 0.15, size, ha="center", va="top", color=GREEN, fontsize=11)
        _node(ax, x, 3.9, f"$z_{3 - i}$", BROWN)
        _arrow(ax, (x, 3.45), (x, 1.55 + side / 2), BROWN)
        ax.text(x + 0.2, 2.95, "soma-se", color=BROWN, fontsize=10, va="center")
        _arrow(ax, (x + side / 2 + 0.05, 1.5), (x + 2.8 - side / 2 - (0.35 if i < 2 else 0.1), 1.5), GREEN)
    ax.text(10.4, 1.5, "imagem", ha="center", va="center", fontsize=12, color=GREY)
    ax.text(6.0, -0.3, "caminho determinístico: chega à imagem mesmo que um $z$ não diga nada", ha="center")
    ax.text(9.0, 3.9, "cada $q$ é um\ndesvio da prior", fontsize=11, color=BROWN, va="center")
    return fig


@styled
def bands(x: Sequence[float], posteriors: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Figure:
    """Um painel por posterior de z_t, na mesma escala: a média, dois desvios padrão de cada lado, e as observações."""
    fig = Figure(figsize=(8.6, 2.9))
    steps = range(1, len(x) + 1)
    axes = fig.subplots(1, len(posteriors), sharey=True)
    for ax, (title, (mean, deviation)), color in zip(axes, posteriors.items(), (BLACK, ORANGE, BLUE), strict=False):
        low, high = ([m + sign * 2 * d for m, d in zip(mean, deviation, strict=True)] for sign in (-1, 1))
        ax.fill_between(steps, low, high, color=color, alpha=0.25, linewidth=0)
        ax.plot(steps, mean, color=color, linewidth=1.8)
        ax.plot(steps, x, "o", color=GREY, markersize=3.5)
        ax.set(xlabel="t", title=title)
    axes[0].set(ylabel="$z_t$ (e $x_t$, os pontos)")
    return fig


@styled
def fortnights(rows: Mapping[str, Tensor], columns: Sequence[str]) -> Figure:
    """Um painel por linha de `rows`, na mesma escala: cada quinzena [T, C] é um grupo de linhas, uma cor por coluna."""
    fig = Figure(figsize=(8.6, 2.9))
    axes = fig.subplots(1, len(rows), sharey=True)
    for ax, (title, group) in zip(axes, rows.items(), strict=True):
        for which, sequence in enumerate(group):
            for values, name, (color, line) in zip(sequence.T, columns, style.LINES, strict=False):
                label = None if which else name
                ax.plot(range(1, len(values) + 1), values, line, color=color, alpha=0.7, label=label, linewidth=1.2)
        ax.set(title=title, xlabel="dia da quinzena")
    axes[0].set(ylabel="°C")
    axes[-1].legend()
    return fig


@styled
def slow_by_month(months: Sequence[int], means: Tensor) -> Figure:
    """As médias do nível lento [N, 2]; cada ponto é o número do mês da quinzena, azul no frio e laranja no calor."""
    fig = Figure(figsize=(5.6, 4.2))
    ax = fig.subplots()
    for month, (first, second) in zip(months, means.tolist(), strict=True):
        warmth = (1 - math.cos(math.tau * (month - 1) / 12)) / 2  # 0 em janeiro, 1 em julho
        color = style.mix(BLUE, ORANGE, warmth)
        ax.text(first, second, str(month), ha="center", va="center", fontsize=10, color=color)
    low, high = means.min(0).values - 0.3, means.max(0).values + 0.3
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="$s_1$", ylabel="$s_2$")
    ax.axhline(0, color=SILVER, linewidth=0.6, zorder=0)
    ax.axvline(0, color=SILVER, linewidth=0.6, zorder=0)
    return fig


def _box(color: str) -> dict:
    return {"facecolor": style.mix(color, WHITE, 0.8), "edgecolor": color, "linewidth": 1.4}


def _node(ax, x: float, y: float, name: str, color: str) -> None:
    circle = {"boxstyle": "circle,pad=0.45", "facecolor": WHITE, "edgecolor": color, "linewidth": 1.6}
    ax.text(x, y, name, ha="center", va="center", fontsize=14, color=color, bbox=circle, zorder=3)


def _arrow(ax, start: tuple[float, float], end: tuple[float, float], color: str, words: str = "") -> None:
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": color, "linewidth": 1.6})
    if words:
        middle = (start[1] + end[1]) / 2
        ax.text(start[0] + 0.15, middle, words, color=color, fontsize=11, va="center")
