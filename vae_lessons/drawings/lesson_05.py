"""Os desenhos da lição 05: o simplex, viés contra variância, treinos com faixas e códigos."""

import math
from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from vae_lessons import plotting, style
from vae_lessons.style import BLACK, BLUE, GREEN, GREY, ORANGE, SKY, number

# Uma cor e um traço por estimador, os mesmos na lição inteira. O REINFORCE sem linha de base é cinza.
LOOKS = {
    "GS": (BLUE, "-"),
    "ST-GS": (ORANGE, "--"),
    "ST": (GREEN, ":"),
    "REINFORCE, um de fora": (BLACK, "-."),
    "REINFORCE puro": (GREY, (0, (5, 1))),
}
_CLASSES = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"))  # cor e marca de cada vértice
_VERTICES = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, 3**0.5 / 2]], dtype=torch.float64)


@style.styled
def simplex(samples: Mapping[float, Tensor], winners: Tensor) -> Figure:
    """Um triângulo por temperatura, com as amostras [R, 3] na cor da classe que o argmax escolheria, winners [R]."""
    fig = Figure(figsize=(9, 2.8))
    for ax, (temperature, y) in zip(fig.subplots(1, len(samples)), samples.items(), strict=True):
        ax.fill(*_VERTICES.T, facecolor="none", edgecolor=GREY)
        points = y.double() @ _VERTICES
        for k, (color, marker) in enumerate(_CLASSES):
            ax.scatter(*points[winners == k].T, s=9, color=color, marker=marker, alpha=0.6, linewidths=0)
        for k, (x, height) in enumerate(((-0.06, -0.12), (1.06, -0.12), (0.5, 0.92))):
            ax.text(x, height, f"e{style.subscript(k + 1)}", ha="center", color=_CLASSES[k][0], weight="bold")
        ax.set_title(f"τ = {number(temperature)}")
        ax.set(aspect="equal", xlim=(-0.14, 1.14), ylim=(-0.16, 1.04))
        ax.axis("off")
    return fig


@style.styled
def densities(panels: Mapping[float, tuple[Tensor, Tensor, Tensor]]) -> Figure:
    """Por temperatura, (amostras de y₁ [R], grade [G], densidade na grade [G]): o histograma e a fórmula."""
    fig = Figure(figsize=(9, 2.8))
    axes = fig.subplots(1, len(panels), sharey=True)
    for ax, (temperature, (samples, grid, density)) in zip(axes, panels.items(), strict=True):
        ax.hist(samples.numpy(), 50, range=(0, 1), density=True, color=SKY, label="amostras")
        ax.plot(grid, density, color=BLACK, linewidth=1.5, label="fórmula")
        ax.set(xlabel="y₁", title=f"τ = {number(temperature)}", ylim=(0, 6), xlim=(0, 1))
    axes[0].set_ylabel("densidade")
    axes[0].legend(loc="upper center")
    return fig


@style.styled
def tradeoff(temperatures: Sequence[float], curves: Mapping[str, list], levels: Mapping[str, tuple]) -> Figure:
    """Viés e desvio padrão relativos: curves, um par por temperatura; levels, um par de quem não tem temperatura."""
    fig = Figure(figsize=(9, 3.5))
    axes = fig.subplots(1, 2, sharex=True)
    marks = (0.1, 0.2, 0.5, 1, 2, 5)
    for part, (ax, title) in enumerate(zip(axes, ("viés", "desvio padrão"), strict=True)):
        for name, pairs in (curves | {name: [pair] * len(temperatures) for name, pair in levels.items()}).items():
            color, dashes = LOOKS[name]
            ax.plot(temperatures, [p[part] for p in pairs], linestyle=dashes, color=color, linewidth=2, label=name)
        ax.set(xscale="log", xlabel="temperatura τ", ylabel=f"{title} / ‖gradiente exato‖", ylim=(0, None))
        ax.set_xticks(marks, [number(mark) for mark in marks])
        ax.minorticks_off()
    axes[0].legend(fontsize=9)
    return fig


@style.styled
def training_bands(series: Mapping[str, Tensor], ylabel: str, *, lowest: float) -> Figure:
    """Por estimador, a grandeza [sementes, épocas]: a linha é a média, e a faixa vai da pior à melhor semente."""
    fig = Figure(figsize=(8.5, 3.8))
    ax = fig.subplots()
    for name, values in series.items():
        color, dashes = LOOKS[name]
        epochs = range(1, values.shape[1] + 1)
        ax.fill_between(epochs, values.amin(0), values.amax(0), color=color, alpha=0.18, linewidth=0)
        ax.plot(epochs, values.mean(0), color=color, linestyle=dashes, linewidth=1.8, label=name)
    ax.set(xlabel="época", ylabel=ylabel, ylim=(lowest, None))
    ax.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
    return fig


@style.styled
def against_evidence(log_evidence: Tensor, panels: Mapping[str, Tensor]) -> Figure:
    """Um painel por número, um ponto por imagem: log p(x) exato [B] em x, o número [B] em y; sombra: acima dele."""
    fig = Figure(figsize=(9, 3.9))
    every = torch.cat([log_evidence, *panels.values()])
    edges = [math.floor(every.min()) - 1, math.ceil(every.max()) + 1]
    axes = fig.subplots(1, len(panels), sharex=True, sharey=True)
    for ax, (title, value) in zip(axes, panels.items(), strict=True):
        ax.fill_between(edges, edges, edges[1], color=ORANGE, alpha=0.2, linewidth=0)
        ax.plot(edges, edges, color=BLACK, linewidth=1)
        ax.scatter(log_evidence, value, s=9, color=BLUE, alpha=0.6, linewidths=0)
        ax.set(title=title, xlabel="log p(x) exato (nats)", xlim=edges, ylim=edges, aspect="equal")
        ax.text(edges[0] + 1, edges[1] - 1, "acima de log p(x)", va="top", fontsize=10)
    axes[0].set_ylabel("o número (nats por imagem)")
    return fig


@style.styled
def one_change(images: Tensor, image_shape: tuple[int, int], classes: Tensor, row_titles: Sequence[str]) -> Figure:
    """images [R·K, D], K por linha; a primeira, a original, tem moldura; acima de cada uma, a classe [R, K]."""
    columns = classes.shape[1]
    titles = [
        f"{int(k) + 1} (original)" if i % columns == 0 else f"{int(k) + 1}" for i, k in enumerate(classes.flatten())
    ]
    fig = plotting.image_grid(images, image_shape, columns=columns, row_titles=row_titles, titles=titles)
    for frame in fig.axes[0].patches[::columns]:
        frame.set(edgecolor=ORANGE, linewidth=4)
    return fig


@style.styled
def codes_and_digits(conditional: Tensor, latent: str, information: Tensor, by_chance: float) -> Figure:
    """P(classe | dígito) [K, 10] de um latente e, ao lado, a informação mútua [N] de cada um com o dígito."""
    fig = Figure(figsize=(9, 3.7))
    left, right = fig.subplots(1, 2, width_ratios=(1.5, 1))
    classes, digits = [str(k + 1) for k in range(len(conditional))], [str(d) for d in range(conditional.shape[1])]
    shown = (100 * conditional).round()
    plotting.draw_heatmap(left, shown, rows=classes, columns=digits, decimals=0, largest=100)
    left.set(xlabel="dígito", ylabel=f"classe de {latent}", title=f"P(classe de {latent} | dígito), em %")
    right.bar(range(1, len(information) + 1), information, color=BLUE)
    right.axhline(math.log(10), color=BLACK, linestyle="--", linewidth=1, label="tudo: log 10")
    right.axhline(by_chance, color=BLACK, linestyle=":", linewidth=1.5, label="rótulos embaralhados")
    right.legend(loc="center", fontsize=9)
    right.set(xlabel="categórica", ylabel="informação mútua\ncom o dígito (nats)", ylim=(0, 2.5))
    right.set_xticks(range(1, len(information) + 1))
    return fig


@style.styled
def confusion(table: Tensor, classes: Sequence[str], ax_title: str) -> Figure:
    """Contagens [10 classes, 10 dígitos], já na ordem em que se mostram."""
    fig = Figure(figsize=(5.4, 4.0))
    ax: Axes = fig.subplots()
    plotting.draw_heatmap(ax, table, rows=classes, columns=[str(d) for d in range(10)], decimals=0)
    ax.set(xlabel="dígito", ylabel="classe c", title=ax_title)
    return fig


__all__ = [
    "LOOKS",
    "against_evidence",
    "codes_and_digits",
    "confusion",
    "densities",
    "one_change",
    "simplex",
    "tradeoff",
    "training_bands",
]
