"""Os desenhos da lição 04: autovalores, o plano taxa–distorção, o preço de girar o código, notas e capacidade."""

from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.figure import Figure
from torch import Tensor

from vae_lessons import style
from vae_lessons.plotting import draw_heatmap
from vae_lessons.style import BLACK, BLUE, GREEN, GREY, ORANGE, SILVER, WHITE, number

FACTOR_COLORS = {"x": BLUE, "raio": ORANGE, "y": GREEN}  # a cor de cada fator, em toda a lição
_MARKS = "osD^v"


def eigenvalue_bars(eigenvalues: Sequence[float], names: Sequence[str], prices: Sequence[float]) -> Figure:
    """Uma barra por componente, da cor do fator que a explica, e uma linha de água por preço βσ².

    names: o fator de cada componente, "" onde não há um só.
    """
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(7.2, 3.2))
        ax = fig.subplots()
        for place, (value, name) in enumerate(zip(eigenvalues, names, strict=True), start=1):
            ax.bar(place, value, width=0.7, color=FACTOR_COLORS.get(name, SILVER))
            words = f"{name} {number(value, 1)}".strip()
            over = {"facecolor": WHITE, "edgecolor": "none", "pad": 1}  # a linha de água passa por trás do número
            ax.text(place, value + 0.2, words, ha="center", va="bottom", fontsize=10, bbox=over, zorder=3)
        for price in prices:
            ax.axhline(price, color=BLACK, linestyle="--", linewidth=1)
            words = f"βσ² = {number(price)}"
            ax.text(len(names) + 0.55, price, words, ha="right", va="bottom", fontsize=10)
        ax.set(xlabel="componente principal dos discos", ylabel="autovalor λ", xticks=range(1, len(names) + 1))
        ax.set(ylim=(0, 1.25 * max(eigenvalues)), xlim=(0.4, len(names) + 0.6))
    return fig


def rate_distortion_plane(points: Mapping[float, Sequence[tuple[float, float]]], *, entropy: float) -> Figure:
    """points: β → os pares (R, D) das sementes; uma linha pelas médias, e a reta D + R = H que nenhum modelo cruza."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(7.2, 4.0))
        ax = fig.subplots()
        means = [tuple(sum(values) / len(values) for values in zip(*pairs, strict=True)) for pairs in points.values()]
        ax.plot(*zip(*means, strict=True), color=GREY, linewidth=1, zorder=1)
        for (beta, pairs), mark, mean in zip(points.items(), _MARKS, means, strict=False):
            ax.scatter(*zip(*pairs, strict=True), marker=mark, s=34, color=BLUE, zorder=3)
            ax.annotate(f"β = {number(beta)}", mean, (9, 9), textcoords="offset points", fontsize=11)
        furthest = 1.12 * max(rate for rate, _ in means)
        ax.plot([0, furthest], [entropy, entropy - furthest], "--", color=BLACK, linewidth=1)
        ax.annotate("D + R = H", (0.05 * furthest, entropy), (0, -14), textcoords="offset points", fontsize=10)
        ax.set(xlabel="taxa R (nats por imagem)", ylabel="distorção D (nats por imagem)", ylim=(0, None))
        ax.set(xlim=(-0.02 * furthest, furthest))
    return fig


def rotation_cost(angles: Sequence[float], measured: Sequence[float], predicted: Sequence[float]) -> Figure:
    """Quanto D + βR sobe, em nats, ao girar dois latentes: medido em cada ângulo, previsto em cada grau de 0 a 90."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(6.4, 3.1))
        ax = fig.subplots()
        ax.plot(range(len(predicted)), predicted, color=ORANGE, label="previsto pela fórmula")
        ax.plot(angles, measured, "o", color=BLUE, label="medido no modelo")
        ax.axhline(0, color=GREY, linewidth=0.8)
        ax.set(xlabel="ângulo (graus)", ylabel="aumento de D + βR (nats)", xticks=list(angles))
        ax.legend()
    return fig


def information_maps(maps: Mapping[str, Tensor], latents: Sequence[Sequence[str]], factors: Sequence[str]) -> Figure:
    """Um painel por modelo: I(z_j; fator) / H(fator), de 0 a 1; latents: os nomes das linhas de cada painel."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(7.6, 3.0))
        for ax, (title, values), rows in zip(fig.subplots(1, len(maps)), maps.items(), latents, strict=True):
            draw_heatmap(ax, values, rows=rows, columns=factors, largest=1)
            ax.set_title(title)
    return fig


def scores_by_beta(scores: Mapping[str, Mapping[float, Sequence[float]]], *, baseline: float, label: str) -> Figure:
    """Uma marca por semente e uma barra na média: scores[treino][β] → as notas; a linha de base é uma reta."""
    betas = sorted({beta for values in scores.values() for beta in values})
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(7.2, 3.4))
        ax = fig.subplots()
        for shift, (name, values), color, mark in zip((-0.13, 0.13), scores.items(), (BLUE, ORANGE), "os", strict=True):
            for beta, notes in values.items():
                at = betas.index(beta) + shift
                ax.plot([at] * len(notes), notes, mark, color=color, markersize=6, alpha=0.85, label=name, zorder=3)
                ax.hlines(sum(notes) / len(notes), at - 0.1, at + 0.1, color=color, linewidth=2.5)
                name = None  # a legenda diz cada treino uma vez
        ax.axhline(baseline, color=BLACK, linestyle="--", linewidth=1)
        ax.text(len(betas) - 0.45, baseline + 0.015, label, ha="right", va="bottom", fontsize=10)
        ax.set(xlabel="β", ylabel="MIG (de 0 a 1)", ylim=(-0.03, 1), xlim=(-0.5, len(betas) - 0.4))
        ax.set_xticks(range(len(betas)), [number(beta) for beta in betas])
        ax.legend(loc="upper right")
    return fig


def best_value_curve(betas: Sequence[float], values: Sequence[float], log_p_x: float) -> Figure:
    """O maior valor de L_β contra β, e log p(x): à esquerda de 1 o objetivo passa dele."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(7, 3.4))
        ax = fig.subplots()
        ax.plot(betas, values, color=BLUE, label=r"o maior valor de $\mathcal{L}_\beta$")
        ax.axhline(log_p_x, color=BLACK, linestyle="--", linewidth=1, label="log p(x)")
        above = [value if value > log_p_x else log_p_x for value in values]
        ax.fill_between(betas, log_p_x, above, color=ORANGE, alpha=0.3, label="acima de log p(x)")
        ax.set(xscale="log", xlabel="β", ylabel="nats")
        ticks = (0.01, 0.1, 1, 10, 100)
        ax.set_xticks(ticks, [number(tick) for tick in ticks])
        ax.legend()
    return fig


def capacity_curves(
    histories: Mapping[float, tuple[Sequence[float], Sequence[float]]], asked: Sequence[float]
) -> Figure:
    """histories: γ → (KL por época, distorção por época) · asked: a capacidade pedida em cada época."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.2, 3.1))
        left, right = fig.subplots(1, 2)
        for (gamma, (rates, distortions)), (color, line) in zip(histories.items(), style.LINES, strict=False):
            epochs = range(1, len(rates) + 1)
            left.plot(epochs, rates, line, color=color, label=f"γ = {number(gamma)}")
            right.plot(epochs, distortions, line, color=color, label=f"γ = {number(gamma)}")
        left.plot(range(1, len(asked) + 1), asked, ":", color=BLACK, label="C pedido")
        left.set(xlabel="época", ylabel="taxa: KL (nats por imagem)")
        right.set(xlabel="época", ylabel="distorção (nats por imagem)", ylim=(0, None))
        left.legend()
        right.legend()
    return fig
