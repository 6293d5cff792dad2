"""Os desenhos da lição 11: códigos de um círculo e nuvens no simplex."""

import math
from collections.abc import Mapping, Sequence

import matplotlib
import torch
from matplotlib.figure import Figure
from torch import Tensor

from vae_lessons import style
from vae_lessons.style import BLACK, BLUE, GREEN, GREY, ORANGE, PINK, SKY

_COLORS = (BLUE, ORANGE, GREEN, PINK, SKY)


def circle_codes(degrees: Tensor, angles: Sequence[Tensor], line: Sequence[Tensor], plane: Tensor) -> Figure:
    """O código de cada orientação, com um latente de cada tipo.

    degrees: [N], as orientações, em ordem · angles, line: o código de cada semente, [N], em radianos e em z · plane:
    [N, 2], o de uma semente, com a cor da orientação.
    """
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.6, 3.2))
        on_circle, on_line, on_plane = fig.subplots(1, 3)
        for seed, code in enumerate(angles):
            on_circle.plot(degrees, torch.rad2deg(code), ".", color=_COLORS[seed], markersize=3.5)
        on_circle.set(ylabel="código (graus)", yticks=[-180, -90, 0, 90, 180], ylim=(-190, 190))
        on_circle.set_title("von Mises")
        for seed, code in enumerate(line):
            on_line.plot(degrees, code, ".", color=_COLORS[seed], markersize=3.5)
        on_line.set(ylabel="código z")
        on_line.set_title("normal, uma dimensão")
        for ax in (on_circle, on_line):
            ax.set(xlabel="orientação (graus)", xticks=[0, 90, 180, 270, 360])
        points = on_plane.scatter(*plane.T, c=degrees, cmap="twilight", vmin=0, vmax=360, s=16)
        on_plane.plot(0, 0, "+", color=BLACK)
        reach = 1.15 * plane.abs().max().item()
        on_plane.set(xlabel="z₁", ylabel="z₂", xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        on_plane.set_title("normal, duas dimensões")
        bar = fig.colorbar(points, ax=on_plane, fraction=0.046, pad=0.04, ticks=[0, 180, 360])
        bar.set_label("orientação (graus)")
    return fig


def simplex_clouds(clouds: Mapping[str, Tensor], corners: Sequence[str]) -> Figure:
    """clouds: nome → proporções [n, 3] · corners: o nome de cada vértice."""
    vertices = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, math.sqrt(3) / 2]], dtype=torch.float64)
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.2, 3.6))
        for ax, (name, theta) in zip(fig.subplots(1, len(clouds)), clouds.items(), strict=True):
            ax.plot(*torch.cat([vertices, vertices[:1]]).T, color=GREY, linewidth=1)
            ax.plot(*(theta.double() @ vertices).T, ".", color=BLUE, markersize=3, alpha=0.35)
            shifts = ((-0.03, -0.07, "right"), (0.03, -0.07, "left"), (0, 0.04, "center"))
            for (x, y), corner, (dx, dy, side) in zip(vertices.tolist(), corners, shifts, strict=True):
                ax.text(x + dx, y + dy, corner, ha=side, va="bottom" if dy > 0 else "center", fontsize=9)
            ax.set(aspect="equal", xlim=(-0.22, 1.22), ylim=(-0.14, 1.16))
            ax.text(0.5, 1.08, name, ha="center", va="center", fontsize=11)
            ax.axis("off")
    return fig
