"""Os desenhos da lição 08: k-médias, gradiente direto, grades de códigos, usos do dicionário e totais em nats."""

from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from vae_lessons import style
from vae_lessons.style import BLACK, BLUE, FRAME, GREY, MIST, ORANGE, SILVER, WHITE, YELLOW, number

_HALO = [matplotlib.patheffects.withStroke(linewidth=2.2, foreground=WHITE)]


def kmeans_steps(points: Tensor, steps: Sequence[tuple[Tensor, Tensor]], titles: Sequence[str]) -> Figure:
    """points: [N, 2] · steps: (centros [K, 2], índices [N]) de cada painel; centro sem ponto fica cinza, com um ×."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.2, 3.0))
        for ax, (centers, indices), title in zip(fig.subplots(1, len(steps)), steps, titles, strict=True):
            for k, center in enumerate(centers.tolist()):
                mine = points[indices == k]
                color, mark = style.class_look(k)
                ax.scatter(*mine.T, s=7, color=color, alpha=0.45, linewidths=0)
                if len(mine):
                    ax.plot(*center, mark, color=color, markersize=11, markeredgecolor=BLACK)
                else:
                    ax.plot(*center, "X", color=SILVER, markersize=11, markeredgecolor=BLACK)
            ax.set(xticks=[], yticks=[], aspect="equal", xlim=(-3.4, 3.4), ylim=(-3.4, 3.4))
            ax.set_title(title)
            ax.spines[["top", "right"]].set_visible(True)
    return fig


def straight_through_slopes(means: Tensor, loss: Tensor, true: Tensor, direct: Tensor) -> Figure:
    """A perda média de cada μ e, à direita, as duas derivadas: a verdadeira e a do gradiente direto. Tudo [M]."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.2, 3.0))
        left, right = fig.subplots(1, 2)
        left.plot(means, loss, color=BLACK)
        left.set(xlabel="μ", ylabel="perda média L(μ)")
        right.plot(means, true, color=BLUE, label="derivada de L")
        right.plot(means, direct, "--", color=ORANGE, label="gradiente direto")
        right.axhline(0, color=GREY, linewidth=0.8)
        right.set(xlabel="μ", ylabel="inclinação")
        right.legend()
    return fig


def code_grids(images: Tensor, codes: Tensor, image_shape: tuple[int, int]) -> Figure:
    """images: [n, D], em [0, 1] · codes: int64 [n, h, w]. Em cima a imagem; embaixo, ela apagada, com os números."""
    height, width = image_shape
    n, rows, columns = codes.shape
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.2, 5.5))
        axes = fig.subplots(2, n)
        for (above, below), image, grid in zip(axes.T, images.reshape(n, height, width), codes, strict=True):
            _picture(above, image, (height, width))
            _picture(below, 0.72 + 0.28 * (1 - image), (height, width))
            for i in range(rows):
                for j in range(columns):
                    x, y = (j + 0.5) * width / columns, (i + 0.5) * height / rows
                    below.text(x, y, grid[i, j].item(), ha="center", va="center", fontsize=9, color=BLACK)
            for k in range(1, columns):
                below.axvline(k * width / columns, color=FRAME, linewidth=0.6)
            for k in range(1, rows):
                below.axhline(k * height / rows, color=FRAME, linewidth=0.6)
    return fig


def _picture(ax: Axes, image: Tensor, shape: tuple[int, int]) -> None:
    ax.imshow(image, cmap="gray", vmin=0, vmax=1, extent=(0, shape[1], shape[0], 0))
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(visible=True, color=FRAME)


def usage_bars(usages: Mapping[str, Tensor]) -> Figure:
    """usages: nome → frequência de cada código, [K], em qualquer ordem; os nunca usados ganham um traço cinza no pé."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.2, 3.0))
        axes = fig.subplots(1, len(usages), sharey=True)
        for ax, (name, usage) in zip(axes, usages.items(), strict=True):
            ordered = usage.sort(descending=True).values
            alive = int((ordered > 0).sum())
            ax.bar(range(1, alive + 1), ordered[:alive], width=1.0, color=BLUE)
            if alive < len(ordered):
                ax.axvspan(alive + 0.5, len(ordered) + 0.5, color=MIST, zorder=0)
                if alive < 0.6 * len(ordered):  # mais estreita, a faixa não comporta a palavra
                    ax.text((alive + len(ordered) + 1) / 2, 0.12, "mortos", ha="center", va="center", color=GREY)
            ax.set(title=f"{name}\n{alive} de {len(ordered)} em uso", xlim=(0.5, len(ordered) + 0.5))
            ax.set(yscale="log", ylim=(3e-5, 1))
            ax.set_yticks([1e-4, 1e-3, 1e-2, 1e-1, 1], ["0,0001", "0,001", "0,01", "0,1", "1"])
            ax.minorticks_off()
        axes[0].set_ylabel("frequência")
        fig.supxlabel("código, do mais ao menos usado", fontsize=11)
    return fig


def perplexity_curve(images: Sequence[int], values: Sequence[float], *, n_codes: int) -> Figure:
    """A perplexidade média dos lotes de n imagens, para cada n de `images`."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(6.4, 2.8))
        ax = fig.subplots()
        ax.semilogx(images, values, "o-", color=BLUE)
        ax.axhline(n_codes, color=GREY, linestyle="--", linewidth=1)
        ax.text(images[0], n_codes, f"K = {n_codes}", ha="left", va="top", color=GREY)
        ax.set_xticks(images, [str(n) for n in images])
        ax.minorticks_off()
        ax.set(xlabel="imagens no lote", ylabel="perplexidade", ylim=(0, 1.08 * n_codes))
    return fig


def total_bars(parts: Mapping[str, tuple[float, float]]) -> Figure:
    """parts: nome → (distorção, taxa), em nats por imagem, uma barra para cada, com o total escrito na ponta."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.2, 0.55 * len(parts) + 0.9))
        ax = fig.subplots()
        for place, (distortion, rate) in enumerate(parts.values()):
            ax.barh(place, distortion, color=SILVER, edgecolor=BLACK, linewidth=0.6)
            ax.barh(place, rate, left=distortion, color=YELLOW, edgecolor=BLACK, linewidth=0.6, hatch="//")
            ax.text(distortion / 2, place, number(distortion, 0), ha="center", va="center")
            middle = ax.text(distortion + rate / 2, place, number(rate, 0), ha="center", va="center")
            middle.set_path_effects(_HALO)
            ax.text(
                distortion + rate + 2, place, number(distortion + rate, 0), ha="left", va="center", fontweight="bold"
            )
        ax.set_yticks(range(len(parts)), list(parts))
        ax.invert_yaxis()
        ax.set(xlabel="nats por imagem: distorção (cinza) + taxa (amarelo, hachurada)")
        ax.set(xlim=(0, 1.1 * max(map(sum, parts.values()))))
    return fig
