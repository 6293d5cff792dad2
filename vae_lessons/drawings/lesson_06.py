"""Os desenhos da lição 06: o custo de um latente, a tabela das frases e o atraso do codificador."""

from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.figure import Figure
from torch import Tensor

from vae_lessons import style
from vae_lessons.style import BLACK, BLUE, GREY, ORANGE, SILVER, number

_EDGE = {"edgecolor": BLACK, "linewidth": 0.6}


def cost_of_a_latent(
    sizes: Sequence[float], costs: Mapping[float, Sequence[float]], level: float, best: Mapping[float, float]
) -> Figure:
    """O custo, com o codificador ótimo, em função de s = w² + θ: uma linha por autovalor, com um ponto no mínimo.

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
    """Uma linha por treino, uma coluna por passo: de cada dado, a média da posterior do modelo e a do codificador.

    planes: título → passo → (médias da posterior exata [B], na abscissa, e médias do codificador [B]).
    """
    reach = max(m.abs().max().item() for steps in planes.values() for pair in steps.values() for m in pair) * 1.08
    n_steps = max(map(len, planes.values()))
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(9.2, 4.4))
        grid = fig.subplots(len(planes), n_steps, sharex=True, sharey=True, squeeze=False)
        for row, (title, steps) in zip(grid, planes.items(), strict=True):
            for ax, (step, (exact, encoded)) in zip(row, steps.items(), strict=True):
                ax.plot([-reach, reach], [-reach, reach], "--", color=SILVER, linewidth=1)
                ax.plot(exact, encoded, "o", color=BLUE, markersize=3.5, zorder=3)
                ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", title=f"passo {step}")
            row[0].set_ylabel(title)
        fig.supxlabel("média de p(z|x), a do modelo", fontsize=11)
        fig.supylabel("média de q(z|x), a do codificador", fontsize=11)
    style.decimal_commas(fig)
    return fig
