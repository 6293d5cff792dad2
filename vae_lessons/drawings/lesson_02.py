"""Os desenhos da lição 02: gradientes de esperanças, as variâncias deles e os treinos que se comparam."""

import functools
from collections.abc import Callable, Mapping, Sequence

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from vae_lessons.style import (
    BASELINE,
    BLACK,
    BROWN,
    GREY,
    MIST,
    PATHWISE,
    PINK,
    RC,
    SCORE_FUNCTION,
    Q,
    decimal_commas,
    number,
)

# Cada estimador, em todas as figuras da lição: a cor, o traço e a marca.
LOOKS = {
    "reparametrização": (PATHWISE, "-", "o"),
    "reparametrização, L = 4": (PATHWISE, (0, (5, 1)), "^"),
    "média das outras, L = 4": (BASELINE, "-.", "D"),
    "REINFORCE, L = 4": (SCORE_FUNCTION, "--", "v"),
    "REINFORCE": (SCORE_FUNCTION, ":", "s"),
    "b(x) aprendida": (PINK, (0, (3, 1, 1, 1)), "P"),
}


def _styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    @functools.wraps(draw)
    def styled(*arguments, **options) -> Figure:
        with matplotlib.rc_context(RC):
            fig = draw(*arguments, **options)
        decimal_commas(fig)
        return fig

    return styled


@_styled
def expectations(
    z: Tensor,
    functions: Mapping[str, Tensor],
    curves: Sequence[Tensor],
    slopes: Sequence[Tensor],
    density: Tensor,
    *,
    tangent: tuple[float, float, float],
) -> Figure:
    """Uma coluna por f: em cima, f e a densidade q em z [N]; no meio, E[f] em μ, nos mesmos valores; embaixo, dE[f]/dμ.

    tangent: (μ, E[f], inclinação), na primeira curva.
    """
    fig = Figure(figsize=(9, 7))
    axes = fig.subplots(3, len(functions), sharex="col")
    for column, ((name, f), curve, slope) in enumerate(zip(functions.items(), curves, slopes, strict=True)):
        top, middle, bottom = axes[:, column]
        top.plot(z, f, color=BLACK, label="f(z)")
        top.fill_between(
            z, density * f.max() / density.max() / 2, color=Q, alpha=0.3, linewidth=0, label="q(z), μ = 1 (sem escala)"
        )
        top.set(title=name, ylabel="f(z)")
        middle.plot(z, curve, color=Q)
        middle.set(ylabel="E[f(z)]")
        bottom.plot(z, slope, color=BROWN)
        bottom.set(xlabel="z, em cima; μ, no meio e embaixo", ylabel="dE[f(z)]/dμ")
    at, value, slope = tangent
    reach = torch.tensor([at - 1.2, at + 1.2])
    axes[1, 0].plot(reach, value + slope * (reach - at), color=BROWN, linewidth=2.5)
    axes[1, 0].plot(at, value, "o", color=BROWN)
    axes[2, 0].plot(at, slope, "o", color=BROWN)
    words = f"inclinação {number(slope, 0)}"
    for ax, height in ((axes[1, 0], value), (axes[2, 0], slope)):
        ax.annotate(words, (at, height), xytext=(-14, 4), textcoords="offset points", ha="right")
    axes[0, 0].legend(loc="upper center")
    return fig


@_styled
def gradient_histograms(estimates: Mapping[str, tuple[Tensor, Tensor, float]]) -> Figure:
    """Por parâmetro: os sorteios do REINFORCE, os da reparametrização e o gradiente certo. Mostra 99,8% deles."""
    fig = Figure(figsize=(9, 3.4))
    for ax, (name, (score, path, truth)) in zip(fig.subplots(1, len(estimates)), estimates.items(), strict=True):
        low, high = torch.quantile(score, torch.tensor([0.001, 0.999], dtype=score.dtype)).tolist()
        bins = torch.linspace(low, high, 121).numpy()
        ax.hist(score.numpy(), bins, density=True, color=SCORE_FUNCTION, alpha=0.75, label="REINFORCE")
        ax.hist(
            path.numpy(), bins, density=True, histtype="step", linewidth=2, color=PATHWISE, label="reparametrização"
        )
        ax.axvline(truth, color=BLACK, linestyle="--", linewidth=1.2, label=f"certo: {number(truth, 0)}")
        ax.set(xlabel=f"gradiente em {name}, um sorteio", ylabel="densidade (escala log)", yscale="log")
        ax.set_ylim(1e-5, 1)
        ax.legend(loc="upper right")
    return fig


@_styled
def fast_sine(z: Tensor, density: Tensor, f: Tensor, omegas: Tensor, path: Tensor, score: Tensor) -> Figure:
    """À esquerda, sen(ωz) sob q; à direita, as duas variâncias contra ω."""
    fig = Figure(figsize=(9, 3.3))
    left, right = fig.subplots(1, 2)
    left.fill_between(z, density, color=Q, alpha=0.3, linewidth=0, label="q(z)")
    left.plot(z, f, color=BLACK, linewidth=1.2, label="sen(5z)")
    left.set(xlabel="z", ylabel="f(z) e densidade", ylim=(-1.1, 1.6))
    left.legend(loc="upper center", ncols=2)
    right.plot(omegas, path, color=PATHWISE, label="reparametrização")
    right.plot(omegas, score, "--", color=SCORE_FUNCTION, label="REINFORCE")
    right.set(xlabel="frequência ω", ylabel="variância em μ (escala log)", yscale="log", ylim=(3e-3, 100))
    right.set_yticks([0.01, 0.1, 1, 10], ["0,01", "0,1", "1", "10"])
    right.minorticks_off()
    right.legend(loc="lower right")
    return fig


@_styled
def variance_sweeps(
    sweeps: Mapping[str, tuple[str, Sequence[float]]],
    lines: Mapping[tuple[str, str], tuple[Tensor, Tensor]],
    points: Mapping[tuple[str, str], Sequence[float]],
) -> Figure:
    """Um painel por grandeza que varia: as fórmulas são linhas e as medidas, marcas."""
    fig = Figure(figsize=(9, 5.8))
    axes = fig.subplots(2, 2, sharey=True)
    for ax, (name, (label, values)) in zip(axes.flat, sweeps.items(), strict=True):
        for estimator in ("reparametrização", "REINFORCE"):
            color, dashes, mark = LOOKS[estimator]
            ax.plot(*lines[name, estimator], linestyle=dashes, color=color)
            ax.plot(values, points[name, estimator], mark, color=color, markerfacecolor="white", label=estimator)
        ax.set(xlabel=label, yscale="log", xscale="linear" if name == "c" else "log")
        ax.minorticks_off()
        ax.set_xticks(values, [number(value) for value in values])
    for ax in axes[:, 0]:
        ax.set_ylabel("variância em μ₁ (escala log)")
    axes[0, 0].legend(title="marcas: medidas; linhas: fórmula")
    return fig


@_styled
def ascents(trajectories: Mapping[str, Mapping[str, Tensor]], best: Mapping[str, float], starts: int) -> Figure:
    """Um painel por f: μ a cada passo, [T, R] por estimador; a faixa vai do decil de baixo ao de cima."""
    fig = Figure(figsize=(9, 3.5))
    for ax, (name, lines) in zip(fig.subplots(1, len(trajectories)), trajectories.items(), strict=True):
        for estimator, mu in lines.items():
            color, dashes, _ = LOOKS[estimator]
            low, middle, high = torch.quantile(mu, torch.tensor([0.1, 0.5, 0.9], dtype=mu.dtype), dim=1)
            ax.fill_between(range(len(mu)), low, high, color=color, alpha=0.2, linewidth=0)
            ax.plot(middle, color=color, linestyle=dashes, linewidth=1.8, label=estimator)
        ax.axhline(best[name], color=GREY, linewidth=1, label="o melhor μ")
        ax.set(title=name, xlabel="passos", ylabel=f"μ (mediana e decis, {starts} treinos)")
    fig.axes[0].legend(loc="upper right")
    return fig


@_styled
def training_bands(curves: Mapping[str, Tensor], epochs_to_steps: int, without_z: float) -> Figure:
    """ELBO de teste [M, épocas] de cada estimador, contra os passos: a média e a faixa das M sementes."""
    fig = Figure(figsize=(9, 4.2))
    ax = fig.subplots()
    for name, curve in curves.items():
        color, dashes, _ = LOOKS[name]
        steps = epochs_to_steps * torch.arange(1, curve.shape[1] + 1)
        ax.fill_between(steps, curve.amin(0), curve.amax(0), color=color, alpha=0.2, linewidth=0)
        ax.plot(steps, curve.mean(0), color=color, linestyle=dashes, linewidth=1.8, label=name)
    ax.axhline(without_z, color=GREY, linewidth=1, label="sem usar z")
    ax.set(xlabel="passos do otimizador", ylabel="ELBO de teste (nats por imagem)", ylim=(-32, -23))
    ax.grid(axis="y", color=MIST, linewidth=0.8)
    ax.legend(title=f"média e faixa de {len(curve)} sementes", loc="center left", bbox_to_anchor=(1, 0.5))
    return fig


@_styled
def variance_along(epochs: Sequence[int], variances: Mapping[str, Sequence[float]]) -> Figure:
    """A variância total do gradiente do codificador ao longo do treino."""
    fig = Figure(figsize=(8.2, 3.8))
    ax: Axes = fig.subplots()
    for name, values in variances.items():
        color, dashes, mark = LOOKS[name]
        ax.plot(epochs, values, color=color, linestyle=dashes, marker=mark, label=name)
    ax.set(xlabel="época do treino", ylabel="variância total do gradiente\ndo codificador (nats², escala log)")
    ax.set_yscale("log")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return fig
