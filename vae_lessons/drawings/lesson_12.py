"""Os desenhos da lição 12: média e variância dos genes, ordenações com poucas células, mapas de dois laboratórios."""

from collections.abc import Mapping

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from vae_lessons import style
from vae_lessons.style import BLACK, BLUE, GREEN, GREY, LINES, ORANGE, SILVER, WHITE, mix, number


def mean_variance(mean: Tensor, variance: Tensor, *, library: float, dispersions: tuple[float, float]) -> Figure:
    """mean, variance: as dos genes, [G]; os nunca vistos ficam de fora · library: o quadrado do coeficiente de variação
    da biblioteca · dispersions: o menor e o maior 1/θ da faixa de binomiais negativas que se pinta."""
    mean, variance = mean.numpy(), variance.numpy()
    seen = (mean > 0) & (variance > 0)
    grid = np.geomspace(mean[seen].min(), 1.3 * mean.max(), 200)
    curves = (
        ("Poisson", grid, GREY, "-"),
        ("Poisson, com as bibliotecas", grid + library * grid**2, GREEN, "-."),
    )
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(6.6, 4.2))
        ax = fig.subplots()
        low, high = (grid + each * grid**2 for each in dispersions)
        band = f"NB, 1/θ de {number(dispersions[0], 2)} a {number(dispersions[1], 2)}"
        ax.fill_between(grid, low, high, color=mix(ORANGE, WHITE, 0.55), linewidth=0, label=band)
        ax.scatter(mean[seen], variance[seen], s=9, color=BLUE, alpha=0.45, linewidths=0)
        for name, values, color, dashes in curves:
            ax.plot(grid, values, color=color, linestyle=dashes, linewidth=2, label=name)
        ax.set(xscale="log", yscale="log", xlabel="média (moléculas por célula)", ylabel="variância")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: number(value)))
        ax.legend(loc="upper left")
    return fig


def precision_by_cells(results: Mapping[str, Mapping[int, list[dict[str, float]]]]) -> Figure:
    """results: par de tipos → número de células → um dicionário método → precisão média por sorteio. A linha é a média
    dos sorteios; a barra, do menor ao maior."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.2, 3.6))
        axes = fig.subplots(1, len(results), sharey=True)
        for ax, (pair, by_size) in zip(axes, results.items(), strict=True):
            sizes = list(by_size)
            for place, name in enumerate(by_size[sizes[0]][0]):
                values = np.array([[draw[name] for draw in by_size[n]] for n in sizes])
                middle = values.mean(1)
                color, dashes = LINES[place]
                x = np.arange(len(sizes)) + 0.07 * (place - 1.5)
                spread = np.stack([middle - values.min(1), values.max(1) - middle])
                ax.errorbar(x, middle, yerr=spread, color=color, linestyle=dashes, marker="o", markersize=4, label=name)
            ax.set_xticks(range(len(sizes)), [str(n) for n in sizes])
            ax.set(title=pair, xlabel="células de cada tipo", ylim=(0, 1))
        axes[0].set_ylabel("precisão média")
        axes[-1].legend(*axes[0].get_legend_handles_labels(), loc="lower right", fontsize=9)
    return fig


def lab_maps(panels: Mapping[str, np.ndarray], lab: Tensor, myeloid: Tensor) -> Figure:
    """panels: método → códigos em duas dimensões, [N, 2] · lab: [N], 0 ou 1 · myeloid: bool [N]. Em cima, a cor e a
    forma do laboratório; embaixo, as da linhagem."""
    looks = (
        (lab == 1, (("laboratório 0", BLACK, "o"), ("laboratório 1", ORANGE, "^"))),
        (myeloid, (("linfócitos e outras", SILVER, "o"), ("mieloides", GREEN, "^"))),
    )
    order = torch.randperm(len(lab), generator=torch.Generator().manual_seed(0)).numpy()
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.2, 5.6))
        axes = fig.subplots(2, len(panels))
        for column, (name, points) in zip(axes.T, panels.items(), strict=True):
            column[0].set_title(name, fontsize=10)
            for ax, (second, names) in zip(column, looks, strict=True):
                for flag, (_, color, mark) in zip((False, True), names, strict=True):
                    mine = order[(second.numpy() == flag)[order]]
                    ax.scatter(*points[mine].T, s=9, color=color, marker=mark, alpha=0.55, linewidths=0)
                ax.set(xticks=[], yticks=[])
                ax.spines[["top", "right"]].set_visible(True)
        for row, (_, names) in zip(axes, looks, strict=True):
            handles = [
                matplotlib.lines.Line2D([], [], color=color, marker=mark, linestyle="", label=label)
                for label, color, mark in names
            ]
            row[0].legend(handles=handles, fontsize=8, loc="best", handletextpad=0.1)
    return fig
