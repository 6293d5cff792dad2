"""Os desenhos da lição 15: o excesso por número de passos, o jogo do GAN e as luas de cada modelo."""

import math
from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.figure import Figure
from torch import Tensor

from vae_lessons import style
from vae_lessons.style import BLACK, BLUE, GREY, ORANGE, number


def excess_by_steps(curves: Mapping[str, Sequence[tuple[int, float]]]) -> Figure:
    """curves: "fixa, ..." ou "ajustada, ..." → pares (T, excesso em nats por ponto). Os dois eixos são logarítmicos."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(6.8, 3.2))
        ax = fig.subplots()
        looks = {"fixa": (ORANGE, "--", "o"), "ajustada": (BLUE, "-", "s")}
        named = {"fixa": "variância fixa", "ajustada": "variância ajustada"}
        for name, points in curves.items():
            kind = name.split(",")[0]
            color, dash, mark = looks[kind]
            ax.plot(
                *zip(*points, strict=True), dash, marker=mark, color=color, markersize=5, label=named.pop(kind, None)
            )
        steps = sorted({T for points in curves.values() for T, _ in points})
        ax.set(xscale="log", yscale="log", xlabel="passos T", ylabel="excesso (nats por ponto)")
        ax.set_xticks(steps, [str(T) for T in steps])
        low, high = ax.get_ylim()
        ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if low <= t <= high]
        ax.set_yticks(ticks, [number(t) for t in ticks])
        ax.minorticks_off()
        ax.legend()
    return fig


def game_curves(game: Sequence[tuple[int, float, float, float, float]]) -> Figure:
    """game: (passo, perda de D, perda de G, % fora, % descoberto), várias linhas por passo, uma por jogo, na ordem."""
    steps = sorted({row[0] for row in game})
    n_games = len(game) // len(steps)
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.2, 3.1))
        left, right = fig.subplots(1, 2)
        for k in range(n_games):
            mine = [row for i, row in enumerate(game) if i % n_games == k]
            for ax, column, color, dash, name in (
                (left, 1, BLUE, "-", "perda de D"),
                (left, 2, ORANGE, "--", "perda de G"),
                (right, 3, BLACK, ":", "fora"),
                (right, 4, ORANGE, "-", "descoberto"),
            ):
                label = None if k else name
                ax.plot(steps, [row[column] for row in mine], dash, color=color, linewidth=1.4, label=label)
        for value, words in ((2 * math.log(2), "2 ln 2"), (math.log(2), "ln 2")):
            left.axhline(value, color=GREY, linewidth=0.8, linestyle=":")
            left.text(steps[-1], value + 0.04, words, color=GREY, ha="right", va="bottom", fontsize=9)
        top = max(2.0, *(max(row[1:3]) for row in game)) * 1.05
        left.set(xlabel="passo", ylabel="perda (nats)", ylim=(0, top))
        right.set(xlabel="passo", ylabel="% dos pontos", ylim=(0, 102))
        left.legend(loc="lower left", ncols=2)
        right.legend(loc="upper right")
        style.decimal_commas(fig)
    return fig


def moon_panels(clouds: Mapping[str, Tensor]) -> Figure:
    """clouds: nome → pontos [N, 2], um painel para cada, todos na mesma escala; o primeiro são os dados."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.2, 4.2))
        axes = fig.subplots(2, (len(clouds) + 1) // 2, sharex=True, sharey=True)
        for ax, (name, points) in zip(axes.flat, clouds.items(), strict=False):
            color = style.DATA if name == "dados" else style.GENERATED
            ax.scatter(*points.T, s=4, color=color, alpha=0.6, linewidths=0)
            ax.set(title=name, xlim=(-2.2, 2.2), ylim=(-1.5, 1.5), aspect="equal", xticks=[], yticks=[])
            ax.spines[["top", "right"]].set_visible(True)
        for ax in axes.flat[len(clouds) :]:
            ax.axis("off")
    return fig
