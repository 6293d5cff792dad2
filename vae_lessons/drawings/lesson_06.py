"""Os desenhos da lição 06: o custo de um latente, a tabela das frases e o atraso do codificador."""

from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.figure import Figure
from torch import Tensor

from vae_lessons import style
from vae_lessons.style import BLACK, BLUE, GREEN, GREY, ORANGE, SILVER, number

_EDGE = {"edgecolor": BLACK, "linewidth": 0.6}


def cost_of_a_latent(
    sizes: Sequence[float], costs: Mapping[float, Sequence[float]], level: float, best: Mapping[float, float]
) -> Figure:
    """O custo, com o codificador ótimo, contra s = w² + θ: uma linha por autovalor, com um ponto no mínimo de cada uma.

    sizes: os valores de s, a partir de θ · costs: λ → os custos · level: θ · best: λ → o s do mínimo.
    """
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(7.2, 3.4))
        ax = fig.subplots()
        for (value, curve), (color, line) in zip(costs.items(), style.LINES, strict=False):
            ax.plot(sizes, curve, linestyle=line, color=color, label=f"λ = {number(value)}")
            nearest = min(range(len(sizes)), key=lambda i, s=best[value]: abs(sizes[i] - s))
            ax.plot(sizes[nearest], curve[nearest], "o", color=color, markersize=8, zorder=3)
        ax.axvline(level, color=GREY, linewidth=1)
        ax.set(xlabel=f"s = w² + θ, a partir de θ = {number(level)} (w = 0)", ylabel="custo de um latente (÷ θ)")
        ax.set(xlim=(0, max(sizes)))
        ax.legend(loc="upper right")
    style.decimal_commas(fig)
    return fig


def bounds_of_the_phrases(results: Mapping[str, Sequence[tuple[float, float]]]) -> Figure:
    """Uma barra por receita, da média das sementes: reconstrução e, sobre ela, KL; um ponto por semente, na soma.

    results: receita → (reconstrução, KL) de cada semente, em nats por frase.
    """
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(7.6, 3.6))
        ax = fig.subplots()
        for place, pairs in enumerate(results.values()):
            lost, rate = (sum(values) / len(values) for values in zip(*pairs, strict=True))
            told = place == 0
            ax.bar(place, lost, width=0.6, color=SILVER, label="reconstrução" if told else None, **_EDGE)
            ax.bar(place, rate, 0.6, lost, color=BLUE, hatch="///", label="KL" if told else None, **_EDGE)
            sums = [sum(pair) for pair in pairs]
            spread = [place - 0.12, place, place + 0.12][: len(sums)]
            ax.plot(spread, sums, "o", color=ORANGE, markeredgecolor=BLACK, label="cada semente" if told else None)
            ax.text(place, max(sums) + 0.25, number(lost + rate, 2), ha="center", va="bottom", fontsize=10)
        highest = max(sum(pair) for pairs in results.values() for pair in pairs)
        ax.set(ylabel="−ELBO (nats por frase)", ylim=(0, 1.38 * highest))
        ax.set_xticks(range(len(results)), [name.replace(" e ", "\ne ") for name in results])
        ax.legend(loc="upper left", ncols=3)
    style.decimal_commas(fig)
    return fig


def posterior_planes(planes: Mapping[str, Mapping[int, tuple[Tensor, Tensor]]]) -> Figure:
    """Um painel por treino: a média da posterior do modelo (em x) e a do codificador, de cada imagem, a cada passo.

    planes: título → passo → (médias da posterior exata [B], médias do codificador [B]).
    """
    colors, marks = (GREY, ORANGE, GREEN, BLUE), "xso^"
    reach = max(m.abs().max().item() for steps in planes.values() for pair in steps.values() for m in pair) * 1.08
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.4, 4.0))
        for ax, (title, steps) in zip(fig.subplots(1, len(planes)), planes.items(), strict=True):
            ax.plot([-reach, reach], [-reach, reach], "--", color=BLACK, linewidth=1)
            for (step, (exact, encoded)), color, mark in zip(steps.items(), colors, marks, strict=False):
                ax.plot(exact, encoded, mark, color=color, markersize=4, label=f"passo {step}")
            ax.set(title=title, xlabel="média de p(z|x), a do modelo", ylabel="média de q(z|x), a do codificador")
            ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
            ax.legend(loc="upper left", handletextpad=0.2)
    style.decimal_commas(fig)
    return fig
