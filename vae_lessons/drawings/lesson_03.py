"""Os desenhos da lição 03."""

from collections.abc import Mapping, Sequence

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.ticker import MultipleLocator
from torch import Tensor

from vae_lessons import style
from vae_lessons.style import CLASS_COLORS, GREY, MIST, latent_name


def class_panels(codes: Tensor, labels: Tensor, names: Sequence[str] | None = None) -> Figure:
    """O plano latente repetido, um painel por classe: as imagens dela em cor, sobre todas as outras em cinza.

    codes: [N, 2] · labels: inteiros [N] · names: o nome de cada classe, de 0 em diante; sem eles, o número.
    """
    codes, labels = codes.detach().cpu(), labels.cpu()
    classes = labels.unique().tolist()
    columns = min(5, len(classes))
    rows = -(-len(classes) // columns)
    reach = 1.05 * codes.abs().max().item()
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(1.7 * columns + 0.4, 1.75 * rows + 0.75), dpi=110, layout="compressed")
        panels = fig.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for ax, label in zip(panels.flat, classes, strict=False):
            ax.scatter(*codes.T.numpy(), s=3, color=MIST, linewidths=0)
            ax.scatter(*codes[labels == label].T.numpy(), s=7, color=_class_color(label), linewidths=0)
            ax.set_title(names[label] if names is not None else label, fontsize=13, pad=3)
            ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        for unused in panels.flat[len(classes) :]:
            unused.remove()
        for ax in panels[-1]:
            ax.set_xlabel(latent_name(0))
        for ax in panels[:, 0]:
            ax.set_ylabel(latent_name(1))
    style.decimal_commas(fig)
    return fig


def _class_color(label: int) -> str:
    return CLASS_COLORS[label % len(CLASS_COLORS)]


def sigma_parameters(sigma: Tensor, gradients: Mapping[str, Tensor], paths: Mapping[str, Sequence[float]]) -> Figure:
    """À esquerda, o módulo do gradiente da KL em cada parâmetro; à direita, σ ao longo da descida em cada um.

    sigma: [S] · gradients: parâmetro → [S] · paths: parâmetro → σ a cada passo.
    """
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.2, 3.3), dpi=110)
        left, right = fig.subplots(1, 2)
        for (name, values), (color, dashes) in zip(gradients.items(), style.LINES, strict=False):
            left.plot(sigma, values.abs(), color=color, linestyle=dashes, label=name)
        for (name, path), (color, dashes) in zip(paths.items(), style.LINES, strict=False):
            right.plot(range(len(path)), path, color=color, linestyle=dashes, label=name)
        right.axhline(1, color=GREY, linewidth=0.8)
        left.set(xscale="log", yscale="log", ylim=(1e-2, 200))
        left.set(xlabel="desvio padrão σ", ylabel="módulo do gradiente da KL")
        left.set_xticks([0.01, 0.1, 1, 3], ["0,01", "0,1", "1", "3"])
        left.set_yticks([0.01, 0.1, 1, 10, 100], ["0,01", "0,1", "1", "10", "100"])
        right.set(yscale="log", xlabel="passo da descida", ylabel="desvio padrão σ")
        right.set_yticks([0.01, 0.1, 1, 10], ["0,01", "0,1", "1", "10"])
        for ax in (left, right):
            ax.minorticks_off()
        left.legend()
        left.set_title("quanto o gradiente empurra", fontsize=11)
        right.set_title("aonde a descida leva", fontsize=11)
    style.decimal_commas(fig)
    return fig


def line_and_arc(straight: Tensor, arc: Tensor) -> Figure:
    """Os dois caminhos entre dois códigos, no plano que passa por eles e pela origem. straight, arc: [T, 2]."""
    reach = 1.15 * torch.cat([straight, arc]).norm(dim=-1).max().item()
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(4.4, 3.6), dpi=110)
        ax = fig.subplots()
        for path, name, (color, dashes) in ((straight, "reta", style.LINES[0]), (arc, "arco", style.LINES[1])):
            ax.plot(*path.T.numpy(), color=color, linestyle=dashes, marker="o", markersize=4, label=name)
        for end, name in ((straight[0], "A"), (straight[-1], "B")):
            ax.plot([0, end[0].item()], [0, end[1].item()], color=GREY, linewidth=0.8)
            ax.annotate(
                name,
                end.tolist(),
                xytext=(end / end.norm() * 14).tolist(),
                textcoords="offset points",
                ha="center",
                va="center",
                fontsize=12,
            )
        ax.plot(0, 0, "+", color=GREY, markersize=9)
        ax.annotate("origem", (0, 0), xytext=(0, -12), textcoords="offset points", ha="center", color=GREY)
        low = min(-0.15 * reach, 1.15 * torch.cat([straight, arc])[:, 0].min().item())
        ax.set(xlim=(low, reach), ylim=(-0.18 * reach, reach), aspect="equal")
        ax.set(xlabel="na direção de A", ylabel="perpendicular a A")
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    style.decimal_commas(fig)
    return fig


def posteriors(
    density: Sequence[Tensor],
    center: Tensor,
    offsets: Tensor,
    ellipses: Mapping[str, tuple[Tensor, Tensor]],
    titles: Sequence[str],
) -> Figure:
    """A posterior exata de algumas imagens, em tons de azul, e as elipses de 2σ das q que se lhe comparam.

    density: uma [K, K] por imagem, com z₁ na primeira dimensão · center: [N, 2], o meio de cada painel · offsets: [K],
    as distâncias da grade ao meio, as mesmas em todos · ellipses: nome → (médias [N, 2], desvios padrão [N, 2]).
    """
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(2.1 * len(density) + 0.2, 2.9), dpi=110)
        panels = fig.subplots(1, len(density), squeeze=False)[0]
        for n, (ax, values) in enumerate(zip(panels, density, strict=True)):
            middle = center[n]
            across, up = ((value + offsets).numpy() for value in middle)
            ax.pcolormesh(across, up, values.T.numpy(), cmap=style.SEQUENTIAL, shading="nearest")
            for (name, (mean, sigma)), (color, dashes) in zip(ellipses.items(), style.LINES[1:], strict=False):
                _draw_ellipse(ax, mean[n].tolist(), sigma[n].tolist(), color, dashes, name)
            ax.set(aspect="equal", title=titles[n], xlabel=latent_name(0))
            ax.title.set_fontsize(10)
            for axis in (ax.xaxis, ax.yaxis):
                axis.set_major_locator(MultipleLocator(1))
        panels[0].set_ylabel(latent_name(1))
        fig.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(ellipses))
    style.decimal_commas(fig)
    return fig


def _draw_ellipse(ax: Axes, mean: list[float], sigma: list[float], color: str, dashes, name: str) -> None:
    ellipse = Ellipse(mean, 4 * sigma[0], 4 * sigma[1], fill=False, edgecolor=color, linestyle=dashes, linewidth=1.8)
    ellipse.set_label(name)
    ax.add_patch(ellipse)
