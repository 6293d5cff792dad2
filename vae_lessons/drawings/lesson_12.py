"""Os desenhos da lição 12: média e variância dos genes, ordenações com poucas células, mapas de dois laboratórios."""

from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from vae_lessons import style
from vae_lessons.style import BLUE, GREEN, GREY, LINES, ORANGE, WHITE, mix, number


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


def lab_maps(codes: Mapping[str, np.ndarray], lab: Tensor, myeloid: Tensor) -> Figure:
    """codes: método → códigos, [N, Z] · lab: [N], 0 ou 1 · myeloid: bool [N]. Na horizontal, o eixo que mais separa as
    linhagens dentro de cada laboratório; na vertical, o que mais separa os laboratórios, fora dele. A cor é da
    linhagem, e a forma, do laboratório. Levanta ValueError se faltar uma linhagem num laboratório."""
    lab, myeloid = lab.numpy(), myeloid.numpy().astype(int)
    groups = [
        (kind, site, {"color": color, "marker": mark, "label": f"{name}, laboratório {site}"})
        for kind, (name, color) in enumerate((("linfócitos e outras", BLUE), ("mieloides", ORANGE)))
        for site, mark in enumerate("o^")
    ]
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.6, 3.8))
        axes = fig.subplots(1, len(codes), sharex=True, sharey=True)
        for ax, (name, code) in zip(axes, codes.items(), strict=True):
            points = lineage_and_lab(code, lab, myeloid)
            for kind, site, look in groups:
                ax.scatter(*points[(myeloid == kind) & (lab == site)].T, s=12, alpha=0.5, linewidths=0, **look)
            ax.set(xlabel="eixo das linhagens (desvios)", aspect="equal")
            ax.set_title(name, fontsize=10)
        axes[0].set_ylabel("eixo dos laboratórios (desvios)")
        handles = [matplotlib.lines.Line2D([], [], linestyle="", **look) for *_, look in groups]
        fig.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=9)
    return fig


def lineage_and_lab(code: np.ndarray, lab: np.ndarray, myeloid: np.ndarray) -> np.ndarray:
    """[N, 2]: o discriminante linear das linhagens, e o dos laboratórios sem a parte dele que está no primeiro. Em
    desvios padrão de dentro dos quatro grupos."""
    cells = [[int(((myeloid == kind) & (lab == site)).sum()) for site in (0, 1)] for kind in (0, 1)]
    if min(map(min, cells)) < 1:
        raise ValueError(
            f"O mapa pede as duas linhagens nos dois laboratórios, mas, laboratório por laboratório, vieram {cells[0]} "
            f"linfócitos e outras e {cells[1]} mieloides. Mude as chances de `two_labs`."
        )
    means = np.array([[code[(myeloid == kind) & (lab == site)].mean(0) for site in (0, 1)] for kind in (0, 1)])
    within = np.cov((code - means[myeloid, lab]).T)
    white = np.linalg.inv(np.linalg.cholesky(within))  # code @ white.T tem, dentro dos grupos, covariância I
    lineage, place = white @ (means[1] - means[0]).mean(0), white @ (means[:, 1] - means[:, 0]).mean(0)
    axes, _ = np.linalg.qr(np.stack([lineage, place], 1))
    axes = axes * np.sign((axes * np.stack([lineage, place], 1)).sum(0))
    return (code - means.mean((0, 1))) @ white.T @ axes
