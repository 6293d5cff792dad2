"""Os desenhos da lição 00."""

import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from vae_lessons import plotting, style

_SIDE = 6.6  # polegadas


def territories(images: Tensor, shares: Tensor, image_shape: tuple[int, int]) -> Figure:
    """O mapa dos dígitos: cada casa é uma imagem, em tinta branca, sobre a cor das classes que moram por ali.

    images: [n·n, D] em [0, 1], linha por linha, de cima para baixo · shares: [n·n, 10], a parte de cada classe entre os
    dígitos vizinhos de cada casa; as cores se misturam nessa proporção.
    """
    side, (height, width) = round(len(images) ** 0.5), image_shape
    palette = shares.new_tensor([to_rgb(color) for color in style.CLASS_COLORS])
    ground = 0.75 * (shares @ palette).unflatten(0, (side, side))
    ground = ground.repeat_interleave(height, 0).repeat_interleave(width, 1)
    ink = images.reshape(side, side, height, width).transpose(1, 2).reshape(side * height, side * width, 1)
    fig = Figure(figsize=(_SIDE, _SIDE + 0.5), layout="none")
    ax = fig.add_axes((0, 0.5 / (_SIDE + 0.5), 1, _SIDE / (_SIDE + 0.5)))
    ax.imshow((ground + ink * (1 - ground)).clamp(0, 1).numpy(), interpolation="antialiased")
    ax.set_axis_off()
    key = fig.add_axes((0, 0, 1, 0.5 / (_SIDE + 0.5)))
    key.set(xlim=(-0.4, 13.2), ylim=(0, 1))
    key.set_axis_off()
    key.text(0, 0.45, "moram aqui:", va="center", fontsize=11)
    for label, color in enumerate(palette.tolist()):
        key.add_patch(Rectangle((2.6 + 1.05 * label, 0.2), 0.4, 0.5, color=[0.75 * part for part in color]))
        key.text(3.1 + 1.05 * label, 0.45, str(label), va="center", fontsize=11)
    return fig


def completions(seen: Tensor, completed: Tensor, average: Tensor, whole: Tensor, shape: tuple[int, int]) -> Figure:
    """Cada linha, um dígito: o que se vê dele, as imagens com que o modelo o completa, a média de todas e ele mesmo.

    seen, average, whole: [B, D] · completed: [B, K, D], todos em [0, 1] · shape: (altura, largura).
    """
    rows = torch.cat([seen[:, None], completed, average[:, None], whole[:, None]], 1)
    count, columns = rows.shape[:2]
    names = ["visto", *("" for _ in range(columns - 3)), "média", "inteiro"]
    names[columns // 2 - 1] = "completado"
    titles = names + [""] * (columns * (count - 1))
    return plotting.image_grid(rows.flatten(0, 1), shape, columns=columns, titles=titles)
