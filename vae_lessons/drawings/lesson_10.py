"""Os desenhos da lição 10: a régua que estica, densidades no plano, as partes da lacuna."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from vae_lessons import style
from vae_lessons.style import BLACK, BLUE, GREY, ORANGE, SILVER, SKY, number, styled

_BINS = 90  # por lado, do histograma das amostras


@styled
def stretched(noise: Tensor, z: Tensor, log_q: Tensor) -> Figure:
    """À esquerda, z = f(ε), com marcas igualmente espaçadas em ε; à direita, a densidade de ε e a de z."""
    fig = Figure(figsize=(8.4, 3.1))
    curve, density = fig.subplots(1, 2)
    curve.plot(noise, z, color=BLUE, linewidth=2)
    for mark in np.arange(-2, 2.01, 0.25):
        at = float(np.interp(mark, noise, z))
        curve.plot([mark, mark, -3], [-6, at, at], color=SILVER, linewidth=0.7, zorder=0)
    curve.set(xlim=(-3, 3), ylim=(-6, 6), xlabel="ε", ylabel="z = f(ε)")
    density.plot(noise, np.exp(-0.5 * noise**2) / np.sqrt(2 * np.pi), "--", color=GREY, label="de ε")
    density.plot(z, log_q.exp(), color=BLUE, linewidth=2, label="de z")
    density.set(xlim=(-6, 6), ylim=(0, None), xlabel="ε ou z", ylabel="densidade")
    density.legend()
    return fig


@styled
def planes(panels: Mapping[str, Tensor], half: float, *, labels: tuple[str, str] = ("$z_1$", "$z_2$")) -> Figure:
    """Um painel por densidade, todos na mesma escala de cores. Cada valor é a densidade numa grade [n, n] de −half a
    half (a primeira dimensão é a de z₁), ou são amostras [N, 2], de que se faz um histograma."""
    fig = Figure(figsize=(2.6 * len(panels) + 0.5, 3.2))
    axes = np.atleast_1d(fig.subplots(1, len(panels), sharex=True, sharey=True))
    window = [[-half, half]] * 2
    images = {}
    for title, values in panels.items():
        values = values.detach().double().numpy()
        if values.shape[1] == 2:
            values = np.histogram2d(*values.T, bins=_BINS, range=window)[0] / len(values) * (_BINS / (2 * half)) ** 2
        images[title] = values
    most = max(np.quantile(image, 0.9995) for image in images.values())
    for ax, (title, image) in zip(axes, images.items(), strict=True):
        extent = (-half, half, -half, half)
        ax.imshow(image.T, origin="lower", extent=extent, cmap=style.SEQUENTIAL, vmin=0, vmax=most)
        ax.set(title=title, xlabel=labels[0])
    axes[0].set(ylabel=labels[1])
    return fig


@styled
def gap_parts(parts: Mapping[str, Sequence[tuple[float, float]]]) -> Figure:
    """Para cada posterior, uma barra por semente: embaixo a lacuna de aproximação, em cima a de amortização."""
    fig = Figure(figsize=(7.0, 3.0))
    ax = fig.subplots()
    ticks = []
    place = 0.0
    for name, seeds in parts.items():
        ticks.append((place + (len(seeds) - 1) / 2, name))
        for approximation, amortization in seeds:
            ax.bar(place, approximation, color=ORANGE, edgecolor=BLACK, linewidth=0.5)
            ax.bar(place, amortization, bottom=approximation, color=SKY, edgecolor=BLACK, linewidth=0.5, hatch="//")
            total = approximation + amortization
            ax.text(place, total + 0.008, number(total, 2), ha="center", va="bottom", fontsize=9)
            place += 1
        place += 0.7
    ax.bar(0, 0, color=ORANGE, label="de aproximação")
    ax.bar(0, 0, color=SKY, hatch="//", label="de amortização")
    ax.set_xticks([x for x, _ in ticks], [name for _, name in ticks])
    ax.tick_params(axis="x", length=0)
    ax.set(ylabel="lacuna (nats por leitura)")
    ax.margins(y=0.12)
    ax.legend()
    return fig
