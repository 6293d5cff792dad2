"""Os desenhos da lição 14: a cauda longa, os descontos da NDCG, o que β muda, o placar e a popularidade."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from vae_lessons import style
from vae_lessons.style import BLACK, BLUE, GREEN, GREY, MIST, ORANGE, SILVER, number

_LINEAR, _VAE, _POPULARITY = GREEN, BLUE, GREY  # os modelos lineares, os VAEs e a popularidade, na lição inteira


@style.styled
def long_tail(per_film: Tensor, per_person: Tensor, head: int = 100) -> Figure:
    """per_film [I]: quantos gostam de cada filme · per_person [U]: de quantos cada pessoa gosta · head: quantos filmes,
    dos mais vistos, se destacam."""
    fig = Figure(figsize=(8.2, 3.0))
    left, right = fig.subplots(1, 2)
    ordered = per_film.sort(descending=True).values
    share = (ordered[:head].sum() / ordered.sum()).item()
    left.fill_between(range(1, head + 1), ordered[:head], color=ORANGE, linewidth=0)
    left.fill_between(range(head, len(ordered) + 1), ordered[head - 1 :], color=SILVER, linewidth=0)
    left.text(
        head + 60, 0.7 * ordered[0], f"os {head} mais vistos:\n{number(100 * share, 0)}% dos gostos", color=ORANGE
    )
    left.set(
        xlabel="filmes, do mais visto ao menos", ylabel="pessoas que gostam", xlim=(0, len(ordered)), ylim=(0, None)
    )
    right.hist(per_person.numpy(), bins=np.geomspace(5, 800, 24), color=BLUE)
    right.set(xscale="log", xlabel="filmes de que a pessoa gosta", ylabel="pessoas")
    right.set_xticks([5, 10, 20, 50, 100, 200, 500], ["5", "10", "20", "50", "100", "200", "500"])
    right.minorticks_off()
    return fig


@style.styled
def discounts(hits: Sequence[bool], n_hidden: int) -> Figure:
    """hits: se há um escondido em cada posição da lista · n_hidden: quantos há. Em laranja, os acertos;
    tracejado, o ideal."""
    fig = Figure(figsize=(6.2, 2.6))
    ax = fig.subplots()
    places = np.arange(1, len(hits) + 1)
    gains = 1 / np.log2(places + 1)
    ax.bar(places, gains, color=[ORANGE if hit else MIST for hit in hits], width=0.7)
    for place, gain in zip(places, gains, strict=True):
        ax.text(place, gain + 0.03, number(gain, 3), ha="center", fontsize=10)
    ax.bar(places[:n_hidden], gains[:n_hidden], width=0.86, fill=False, edgecolor=BLACK, linestyle="--", linewidth=1.4)
    ax.set(xlabel="posição na lista", ylabel="1/log₂(posição + 1)", ylim=(0, 1.18))
    ax.set_xticks(places)
    return fig


@style.styled
def beta_panels(betas: Sequence[float], panels: Mapping[str, Tensor], peaks: Sequence[str] = ()) -> Figure:
    """panels: nome da grandeza → valores [n β, sementes] · peaks: em quais se circula o β de maior média, e todo β com
    alguma semente que alcance a pior das dele. Um ponto por semente, a linha pela média."""
    fig = Figure(figsize=(8.2, 3.2))
    places = np.arange(len(betas))
    for ax, (name, values) in zip(fig.subplots(1, len(panels)), panels.items(), strict=True):
        ax.plot(places, values.mean(1), color=BLUE)
        ax.vlines(places, values.amin(1), values.amax(1), color=SILVER, linewidth=5, zorder=0)
        for seed in range(values.shape[1]):
            ax.plot(places, values[:, seed], "o", color=BLUE, markersize=4, alpha=0.5, markeredgewidth=0)
        if name in peaks:
            tied = values.amax(1) >= values[values.mean(1).argmax()].min()
            ax.plot(places[tied], values.mean(1)[tied], "o", color=ORANGE, markersize=9, markerfacecolor="none", mew=2)
            seen = "um β só" if tied.sum() == 1 else f"{tied.sum()} β empatam"
            ax.text(0.5, 0.03, seen, color=ORANGE, ha="center", va="bottom", transform=ax.transAxes)
        ax.set_title(name, fontsize=11)
        ax.set(xlabel="β")
        ax.set_xticks(places, [number(beta) for beta in betas])
        ax.margins(y=0.12)
    return fig


def _look(name: str) -> tuple[str, str]:
    """(cor, marca) do método: pelo nome, os lineares, a popularidade e os VAEs."""
    if name in ("EASE", "SVD"):
        return _LINEAR, "s"
    return (_POPULARITY, "D") if name == "popularidade" else (_VAE, "o")


@style.styled
def scoreboard(grades: Mapping[str, Sequence[float]], gaps: Mapping[str, tuple[float, float]]) -> Figure:
    """grades: método → NDCG@100 média de cada semente · gaps: método → (diferença média até o EASE, erro-padrão entre
    pessoas)."""
    fig = Figure(figsize=(8.2, 0.42 * len(grades) + 1.1))
    left, right = fig.subplots(1, 2, sharey=True)
    names = list(grades)
    for place, name in enumerate(names):
        color, mark = _look(name)
        values = list(grades[name])
        left.plot(values, [place] * len(values), mark, color=color, markersize=8, alpha=0.75, markeredgewidth=0)
        if name in gaps:
            gap, error = gaps[name]
            right.errorbar(gap, place, xerr=2 * error, fmt=mark, color=color, markersize=8, capsize=4)
    right.axvline(0, color=_LINEAR, linestyle="--", linewidth=1.2)
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    left.set(xlabel="NDCG@100 no teste, um ponto por semente")
    right.set(xlabel="diferença até o EASE, ± 2 erros-padrão")
    for ax in (left, right):
        ax.grid(axis="x", color=MIST)
        ax.set_axisbelow(True)
    return fig


@style.styled
def popularity_bias(shares: Mapping[str, float], tail: Mapping[str, float], hidden_share: float) -> Figure:
    """shares: método → % das recomendações entre os mais vistos · tail: método → Recall na cauda · hidden_share: a
    mesma % nos filmes escondidos."""
    fig = Figure(figsize=(8.2, 0.42 * len(shares) + 1.1))
    left, right = fig.subplots(1, 2, sharey=True)
    for ax, values, decimals in ((left, shares, 0), (right, tail, 3)):
        for place, (name, value) in enumerate(values.items()):
            ax.barh(place, value, height=0.62, color=_look(name)[0])
            ax.text(value, place, f" {number(value, decimals)}", va="center", fontsize=10)
    left.axvline(hidden_share, color=ORANGE, linestyle="--", linewidth=1.6)
    left.text(hidden_share + 1, -0.62, f"escondidos: {number(hidden_share, 0)}%", color=ORANGE, fontsize=10)
    left.set_yticks(range(len(shares)), list(shares))
    left.set(xlabel="% entre os 100 mais vistos", xlim=(0, 112), ylim=(len(shares) - 0.5, -1.05))
    right.set(xlabel="Recall@20 fora dos 100", xlim=(0, 1.25 * max(tail.values())))
    right.locator_params(axis="x", nbins=5)
    return fig
