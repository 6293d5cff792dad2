"""Os desenhos da lição 07: o limite sem rótulo, o erro conforme o número de rótulos e os grupos que enganam."""

from collections.abc import Mapping, Sequence

import matplotlib
import torch
from matplotlib.figure import Figure
from torch import Tensor

from vae_lessons import style
from vae_lessons.style import BLACK, BLUE, GREY, ORANGE, SILVER, number

_MARKS = "osD^v"


def style_grid(pictures: Tensor, titles: Sequence[str]) -> Figure:
    """pictures: [linhas, colunas, H, W], de 0 a 1, sem espaço perdido entre elas; um título por coluna."""
    rows, columns, height, width = pictures.shape
    framed = torch.nn.functional.pad(pictures, (1, 1, 1, 1), value=0.45)
    sheet = framed.permute(0, 2, 1, 3).reshape(rows * (height + 2), columns * (width + 2))
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(7.6, 7.6 * rows / columns + 0.35))
        ax = fig.subplots()
        ax.imshow(sheet.numpy(), cmap="gray", vmin=0, vmax=1)
        ax.xaxis.tick_top()
        ax.set_xticks([(i + 0.5) * (width + 2) for i in range(columns)], titles)
        ax.tick_params(length=0)
        ax.set_yticks([])
        for side in ax.spines.values():
            side.set_visible(False)
    return fig


def bound_by_label(
    image: Tensor, bounds: Sequence[float], q: Sequence[float], average: float, total: float, *, depth: float = 12.0
) -> Figure:
    """A imagem [H, W], um ponto por rótulo, na altura do limite de log p(x, y) e tanto maior quanto q(y|x), e duas
    retas: a média sob q e U(x), que está H acima dela. Do que fica mais de `depth` nats abaixo do melhor limite só se
    escreve o valor."""
    best, bottom = max(bounds), max(bounds) - depth
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.2, 3.4))
        left, ax = fig.subplots(1, 2, width_ratios=(1, 3.4))
        left.imshow(image.numpy(), cmap="gray", vmin=0, vmax=1)
        left.set_axis_off()
        left.set_title("x")
        for label, (value, weight) in enumerate(zip(bounds, q, strict=True)):
            if value < bottom + 1.5:
                ax.text(label, bottom + 0.2, f"▼\n{number(value, 0)}", ha="center", fontsize=9, color=GREY)
                continue
            ax.plot(label, value, "o", color=BLUE, markersize=4 + 16 * weight**0.5, zorder=3)
            if weight >= 0.005:
                ax.annotate(number(weight, 2), (label, value), (0, -20), textcoords="offset points", ha="center")
        ax.axhline(average, color=ORANGE, linestyle="--", linewidth=1.5)
        ax.axhline(total, color=BLACK, linewidth=1.5)
        beside = {"xycoords": ("axes fraction", "data"), "annotation_clip": False}
        ax.annotate("U(x)", (1.01, total), va="bottom", **beside)
        ax.set_title("em cada ponto, q(y|x)", fontsize=11)
        ax.annotate("média\nsob q", (1.01, average), va="top", color=ORANGE, **beside)
        ends = {"arrowstyle": "<->", "color": BLACK, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", (-0.4, total), (-0.4, average), arrowprops=ends)
        ax.text(-0.4, total + 0.2, f"H = {number(total - average, 2)} nat", color=BLACK)
        ax.set(xlabel="rótulo y", ylabel="limite de log p(x, y) (nats)", xticks=range(len(bounds)))
        ax.set(xlim=(-0.6, len(bounds) - 0.3), ylim=(bottom, max(best, total) + 1.5))
    return fig


def error_by_labels(errors: Mapping[str, Mapping[int, Sequence[float]]]) -> Figure:
    """errors: método → número de rótulos → o erro de cada semente, em %: os pontos; as linhas passam pelas médias."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(7.6, 4.0))
        ax = fig.subplots()
        counts = sorted({count for by_count in errors.values() for count in by_count})
        middle = (len(errors) - 1) / 2
        for i, ((name, by_count), (color, line)) in enumerate(zip(errors.items(), style.LINES, strict=False)):
            places = [counts.index(count) + 0.13 * (i - middle) for count in by_count]
            for place, values in zip(places, by_count.values(), strict=True):
                ax.plot([place] * len(values), values, _MARKS[i], color=color, markersize=4, alpha=0.45, zorder=2)
            means = [sum(values) / len(values) for values in by_count.values()]
            ax.plot(places, means, color=color, linestyle=line, marker=_MARKS[i], markersize=8, label=name, zorder=3)
        ax.set_xticks(range(len(counts)), [number(count) for count in counts])
        ax.set(xlabel="imagens com rótulo, em 4000", ylabel="erro no teste (%)", ylim=(0, None))
        ax.legend()
    return fig


def two_clouds(panels: Mapping[str, tuple[Tensor, Tensor]], *, limit: float = 7.0) -> Figure:
    """Um painel por título: (x [N, 2], y [N]), as duas classes com cor e marca próprias, na mesma escala."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(7.2, 3.6))
        for ax, (title, (x, y)) in zip(fig.subplots(1, len(panels), sharey=True), panels.items(), strict=True):
            for label, color, mark in ((0, BLUE, "o"), (1, ORANGE, "s")):
                points = x[y == label]
                name = f"classe {label}"
                ax.plot(points[:, 0], points[:, 1], mark, color=color, markersize=3.5, alpha=0.6, label=name)
            ax.axvline(0, color=SILVER, linewidth=1, zorder=0)
            ax.set(
                title=title, xlabel="x₁", xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=(-5, 0, 5)
            )
        fig.axes[0].set_ylabel("x₂")
        fig.axes[0].legend(loc="center left")
    return fig
