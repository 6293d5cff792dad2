"""Os desenhos da lição 13: a Dirichlet no triângulo, a prior e a sua aproximação, as duas réguas, os acertos."""

import math
from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.figure import Figure
from torch import Tensor

from vae_lessons import style
from vae_lessons.style import BLACK, BLUE, GREY, ORANGE, SILVER, WHITE, number

_ROOT = math.sqrt(3) / 2


def simplex_draws(draws: Mapping[float, Tensor]) -> Figure:
    """draws: α → proporções [N, 3]. Um triângulo para cada α; cada canto é um tópico sozinho na página."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.2, 2.9))
        for ax, (alpha, theta) in zip(fig.subplots(1, len(draws)), draws.items(), strict=True):
            x, y = theta[:, 1] + 0.5 * theta[:, 2], _ROOT * theta[:, 2]
            ax.plot([0, 1, 0.5, 0], [0, 0, _ROOT, 0], color=GREY, linewidth=1)
            ax.scatter(x, y, s=9, color=BLUE, alpha=0.5, linewidths=0, zorder=3)
            for name, place, where in (("1", (-0.04, -0.02), "right"), ("2", (1.04, -0.02), "left")):
                ax.text(*place, name, ha=where, va="center")
            ax.text(0.5, _ROOT + 0.03, "3", ha="center", va="bottom")
            ax.set(xlim=(-0.15, 1.15), ylim=(-0.08, 1.02), aspect="equal")
            ax.set_title(f"α = {number(alpha)}")
            ax.axis("off")
    return fig


def largest_shares(samples: Mapping[float, tuple[Tensor, Tensor]]) -> Figure:
    """samples: α → (maior proporção de cada sorteio da Dirichlet [N], e da normal logística [N])."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.2, 2.8))
        axes = fig.subplots(1, len(samples))
        for ax, (alpha, (exact, approximate)) in zip(axes, samples.items(), strict=True):
            edges = [i / 25 for i in range(26)]
            ax.hist(exact, edges, color=SILVER, density=True, label="Dirichlet")
            ax.hist(approximate, edges, color=ORANGE, density=True, histtype="step", linewidth=2, label="Laplace")
            ax.set(title=f"α = {number(alpha)}", xlabel="maior proporção da página", xlim=(0, 1))
        axes[0].set_ylabel("densidade")
        axes[-1].legend()
    style.decimal_commas(fig)
    return fig


def two_rulers(points: Mapping[str, Sequence[tuple[float, float]]]) -> Figure:
    """points: nome → (diversidade, coerência) de cada semente."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(6.8, 3.8))
        ax = fig.subplots()
        for k, (name, pairs) in enumerate(points.items()):
            color, mark = style.class_look(k)
            ax.plot(*zip(*pairs, strict=True), mark, color=color, markersize=9, markeredgecolor=BLACK, label=name)
        ax.axhline(0, color=GREY, linewidth=0.8)
        ax.set(xlabel="diversidade", ylabel="coerência (NPMI no teste)", xlim=(0, 1.05))
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    style.decimal_commas(fig)
    return fig


def success_bars(rates: Mapping[str, Sequence[tuple[float, float, float]]]) -> Figure:
    """rates: mudança → (acerto com o passo, o mesmo só nos alvos que o treino não viu, com um passo ao acaso) de cada
    semente, de 0 a 1."""
    looks = ("passo médio", BLUE), ("passo médio, só alvos inéditos", ORANGE), ("passo ao acaso", SILVER)
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.2, 0.62 * len(rates) + 1.2))
        ax = fig.subplots()
        for place, each in enumerate(rates.values()):
            for k, ((name, color), values) in enumerate(zip(looks, zip(*each, strict=True), strict=True)):
                y = place + 0.27 * (k - 1)
                ax.barh(y, sum(values) / len(values), 0.25, color=color, label=None if place else name)
                ax.plot(values, [y] * len(values), "o", color=WHITE, markeredgecolor=BLACK, markersize=4.5)
        ax.set_yticks(range(len(rates)), list(rates))
        ax.invert_yaxis()
        ax.set(xlabel="fração das frases que viram exatamente a esperada", xlim=(0, 1))
        ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3)
    style.decimal_commas(fig)
    return fig
