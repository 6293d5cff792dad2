"""Os desenhos da lição 01: a desigualdade de Jensen, a ELBO e a lacuna, o espaço latente com os seus buracos."""

import math
from collections.abc import Mapping, Sequence

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Ellipse, Polygon
from torch import Tensor

from vae_lessons import plotting, style
from vae_lessons.style import (
    BLACK,
    BLUE,
    DATA,
    GENERATED,
    GREEN,
    GREY,
    MIST,
    ORANGE,
    PINK,
    SKY,
    YELLOW,
    number,
    round_sum,
)

_WIDTH = 9.0  # polegadas
_LINE = {
    "prior": {"color": style.PRIOR, "linestyle": ":"},
    "likelihood": {"color": style.LIKELIHOOD, "linestyle": "-."},
    "posterior": {"color": style.POSTERIOR, "linestyle": "-"},
    "q": {"color": style.Q, "linestyle": "--"},
}
_POSITIONS = "viridis"  # o mapa de cores da posição ao longo das duas luas


@style.styled
def lamp_curves(
    z: Tensor, prior: Tensor, likelihood: Tensor, posterior: Tensor, candidates: Mapping[str, Tensor]
) -> Figure:
    """À esquerda, a prior, a verossimilhança e o produto delas; à direita, a posterior e as q que a imitam.

    Tudo são densidades na grade z [G]; candidates: nome → densidade, cada uma com o nome sobre o seu pico.
    """
    fig = Figure(figsize=(_WIDTH, 3.4))
    left, right = fig.subplots(1, 2)
    left.plot(z, prior, label="prior p(z)", **_LINE["prior"])
    left.plot(z, likelihood, label="verossimilhança p(x|z)", **_LINE["likelihood"])
    left.fill_between(z, prior * likelihood, color=SKY, alpha=0.5, label="p(z) p(x|z): a área é p(x)")
    right.plot(z, posterior, label="posterior p(z|x)", linewidth=2.5, **_LINE["posterior"])
    for name, density in candidates.items():
        right.plot(z, density, linewidth=1.4, **_LINE["q"])
        at = density.argmax()
        if posterior[at] > density[at]:  # o nome, sobre o pico, cairia na posterior: fica no flanco da direita
            at = (density > 0.7 * density.max()).nonzero().max()
        right.text(z[at], density[at] + 0.03, name, color=style.Q, ha="center", fontsize=12)
    for ax in (left, right):
        ax.set(xlim=(-3, 2.6), ylim=(0, 1.35), xlabel="latente z", ylabel="densidade")
        ax.legend(loc="upper left", fontsize=9)
    return fig


@style.styled
def jensen(w: Tensor, q: Tensor, names: Sequence[str]) -> Figure:
    """Os pontos (w, log w), com massa q, o polígono de que são vértices, o centro de massa e a curva acima dele.

    w: as razões p(x, z)/q(z), [K] · q: os pesos, [K] · names: o nome de cada código.
    """
    mean_w, mean_log = (q * w).sum().item(), (q * w.log()).sum().item()
    curve = torch.linspace(w.min().item() * 0.9, 1.06 * w.max().item(), 800, dtype=w.dtype)
    points = torch.stack([w, w.log()], 1)
    fig = Figure(figsize=(7.6, 4.0))
    ax = fig.subplots()
    ax.plot(curve, curve.log(), color=BLUE, label="a curva log w")
    ax.add_patch(
        Polygon(points[w.argsort()], closed=True, facecolor=MIST, edgecolor=GREY, linestyle="--", label="cordas")
    )
    ax.scatter(w, w.log(), s=900 * q, color=YELLOW, edgecolor="black", zorder=3, label="um código; a área é q(z)")
    offsets = [(-4, -24), (12, -4), (-4, -20), (14, -6), (12, -4)]
    for name, (x, y), offset in zip(names, points.tolist(), offsets, strict=True):
        ax.annotate(name, (x, y), xytext=offset, textcoords="offset points", fontsize=13)
    top = math.log(mean_w)
    ax.plot([mean_w] * 2, [top, mean_log], color=ORANGE, linewidth=3, linestyle=":", label="a folga")
    ax.plot(mean_w, top, "k^", markersize=9, label="log E[w] = log p(x)")
    ax.plot(mean_w, mean_log, "kv", markersize=9, label="E[log w], o centro de massa")
    ax.set(xlabel="razão w(z) = p(x, z) / q(z)", ylabel="nats")
    ax.legend(loc="lower right", fontsize=9)
    return fig


@style.styled
def climb(elbos: Tensor, log_evidence: float, z: Tensor, posterior: Tensor, snapshots: Mapping[int, Tensor]) -> Figure:
    """À esquerda, a ELBO passo a passo sob log p(x); à direita, a q de alguns passos e a posterior.

    elbos: [passos] · z, posterior: [G] · snapshots: passo → densidade de q na grade.
    """
    fig = Figure(figsize=(_WIDTH, 3.4))
    left, right = fig.subplots(1, 2)
    left.axhline(log_evidence, label="log p(x), que não se move", **_LINE["posterior"])
    left.plot(elbos, label="ELBO", **_LINE["q"])
    left.fill_between(range(len(elbos)), elbos, log_evidence, color=style.GAP, alpha=0.3, label="KL(q‖p(z|x))")
    left.set(ylim=(-5, -0.5), xlabel="passo", ylabel="nats")
    left.legend(loc="lower right")
    right.plot(z, posterior, linewidth=2.5, label="posterior", **_LINE["posterior"])
    for (step, density), width in zip(snapshots.items(), (0.9, 1.5, 2.4), strict=True):
        right.plot(z, density, linewidth=width, label=f"q no passo {step}", **_LINE["q"])
    right.set(xlim=(-3, 2.2), xlabel="latente z", ylabel="densidade")
    right.legend(loc="upper left", fontsize=9)
    return fig


@style.styled
def two_forms(spread: Tensor, forms: Mapping[str, tuple[Tensor, Tensor]], log_evidence: float) -> Figure:
    """Em cada painel, duas parcelas e a soma delas, em função do desvio padrão de q.

    spread: [S] · forms: "−distorção|−taxa" → (parcela [S], parcela [S]).
    """
    fig = Figure(figsize=(_WIDTH, 3.6))
    panels = fig.subplots(1, len(forms), sharey=True)
    for ax, (names, (first, second)) in zip(panels, forms.items(), strict=True):
        first_name, second_name = names.split("|")
        ax.plot(spread, first, label=first_name, **_LINE["likelihood"])
        ax.plot(spread, second, label=second_name, **_LINE["prior"])
        ax.plot(spread, first + second, label="soma = ELBO", linewidth=2.5, **_LINE["q"])
        ax.axhline(log_evidence, linewidth=0.9, label="log p(x)", **_LINE["posterior"])
        ax.set(xscale="log", ylim=(-4, 3), xlabel="desvio padrão de q")
        ax.set_xticks([0.03, 0.1, 0.3, 1, 3], ["0,03", "0,1", "0,3", "1", "3"])
        ax.minorticks_off()
        ax.legend(loc="upper left", fontsize=9)
    panels[0].set_ylabel("nats")
    return fig


@style.styled
def three_objectives(
    latents: Mapping[str, tuple[Tensor, Tensor | None]], generated: Mapping[str, Tensor], data: Tensor, position: Tensor
) -> Figure:
    """Em cima, os códigos de cada modelo, na mesma escala; embaixo, o que ele gera sobre os dados.

    latents: modelo → (médias [N, 2], desvios [N, 2] ou None); com desvios, elipses de dois deles · generated: modelo →
    pontos [M, 2] · data: [P, 2] · position: [N], que dá a cor.
    """
    fig = Figure(figsize=(_WIDTH, 6.2))
    panels = fig.subplots(2, len(latents), sharex="row", sharey="row")
    reach = max(means.abs().max().item() for means, _ in latents.values()) + 0.4
    for ax, (name, (means, stds)) in zip(panels[0], latents.items(), strict=True):
        for radius in (1, 2, 3):
            ax.add_patch(Circle((0, 0), radius, fill=False, edgecolor=GREY, linewidth=0.8, linestyle="--"))
        _draw_codes(ax, means, stds, position)
        ax.set(title=name, xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="z₁")
    for ax, points in zip(panels[1], generated.values(), strict=True):
        _draw_data(ax, data)
        ax.scatter(*points.T, s=3, color=GENERATED, alpha=0.6, label="gerados, z ~ p(z)")
    panels[0, 0].set_ylabel("z₂")
    for ax in panels[1, 1:]:
        ax.set_ylabel("")
    fig.legend(*panels[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, markerscale=4)
    return fig


@style.styled
def holes(ticks: Tensor, density: Tensor, hole: Tensor, generated: Tensor, from_hole: Tensor, data: Tensor) -> Figure:
    """À esquerda, a posterior agregada e, hachurados, os buracos; à direita, os pontos gerados dali e os demais.

    ticks: [G], os dois eixos do espaço latente · density, hole: [G, G], z₁ na primeira dimensão · generated: [M, 2] ·
    from_hole: [M] · data: [P, 2].
    """
    fig = Figure(figsize=(_WIDTH, 4.3))
    latent, plane = fig.subplots(1, 2, width_ratios=(1, 1.25))
    latent.contourf(ticks, ticks, density.T, levels=[0.002, 0.01, 0.03, 0.1, 1], cmap=style.SEQUENTIAL)
    inside = torch.hypot(ticks[:, None], ticks) < 3  # além de 3σ quase não há massa da prior
    with matplotlib.rc_context({"hatch.color": GREY}):
        latent.contourf(ticks, ticks, (hole & inside).T.float(), levels=[0.5, 1.5], colors="none", hatches=["////"])
    plotting.draw_prior_circles(latent)
    latent.set(xlim=(-3.3, 3.3), ylim=(-3.3, 3.3), aspect="equal", xlabel="z₁", ylabel="z₂")
    latent.set_title("azul: posterior agregada; hachura: buracos, até 3σ", fontsize=10)
    _draw_data(plane, data)
    plane.scatter(*generated[~from_hole].T, s=5, color=GENERATED, alpha=0.6, label="gerado fora dos buracos")
    plane.scatter(*generated[from_hole].T, s=14, color=BLACK, marker="x", linewidths=0.8, label="gerado num buraco")
    plane.legend(loc="upper left", fontsize=8, markerscale=1.5)
    plane.set_title("o que se gera", fontsize=10)
    return fig


@style.styled
def disagreement(rhos: Tensor, log_p: Tensor, elbo: Tensor) -> Figure:
    """log p(x) e a melhor ELBO em função de um parâmetro; uma seta vai do máximo de uma ao da outra. Tudo [R]."""
    top_p, top_elbo = rhos[log_p.argmax()].item(), rhos[elbo.argmax()].item()
    fig = Figure(figsize=(7.4, 3.6))
    ax = fig.subplots()
    ax.plot(rhos, log_p, label="log p(x), média nos dados", **_LINE["posterior"])
    ax.plot(rhos, elbo, label="ELBO com a melhor q fatorada", **_LINE["q"])
    ax.plot(top_p, log_p.max(), "^", color=style.POSTERIOR, markersize=9)
    ax.plot(top_elbo, elbo.max(), "v", color=style.Q, markersize=9)
    height = log_p.max().item() + 0.05
    ax.annotate("", (top_elbo, height), (top_p, height), arrowprops={"arrowstyle": "-|>", "color": style.GAP, "lw": 2})
    ax.text((top_p + top_elbo) / 2, height + 0.02, "a ELBO sobe, log p(x) desce", color=style.GAP, ha="center")
    for x, y in ((top_p, log_p.max().item()), (top_elbo, elbo.max().item())):
        ax.plot([x, x], [y, height], color=GREY, linewidth=0.8, linestyle=":")
    ax.set(ylim=(-3.5, -2.6), xlabel="parâmetro do modelo, ρ", ylabel="nats por ponto")
    ax.legend(loc="lower left", fontsize=9)
    return fig


@style.styled
def whole_picture(
    true: Tensor,
    model: Tensor,
    extent: tuple,
    points: Tensor,
    codes: tuple[Tensor, Tensor],
    images: Tensor,
    noise: float,
    cloud: Tensor,
) -> Figure:
    """A distribuição verdadeira, o espaço latente e a do modelo, com quatro pontos numerados que passam pelas três.

    true, model: densidades [A, B], x₁ na primeira dimensão, no retângulo extent · points: [4, 2] · codes: (médias,
    desvios), [4, 2] · images: médias decodificadas, [4, 2] · noise: o desvio padrão do decodificador · cloud: os
    códigos de outros dados, [N, 2].
    """
    fig = Figure(figsize=(11, 4.3))
    data, latent, generated = fig.subplots(1, 3)
    for ax, density, title in (
        (data, true, "dados: p*(x), a verdadeira"),
        (generated, model, "modelo: p(x) = ∫ p(z) p(x|z) dz"),
    ):
        ax.imshow(density.T, origin="lower", extent=extent, cmap="Greys", vmin=0, vmax=0.45)
        ax.set(xlabel="x₁", ylabel="x₂")
        ax.set_title(title, fontsize=11)
    plotting.draw_prior_circles(latent)
    latent.set(xlim=(-3.3, 3.3), ylim=(-3.3, 3.3), aspect="equal", xlabel="z₁", ylabel="z₂")
    latent.scatter(*cloud.T, s=3, color=DATA, zorder=0)
    latent.set_title("espaço latente: prior p(z) = N(0, I)", fontsize=11)
    spreads = torch.full_like(images, noise)
    for i, color in enumerate((BLUE, ORANGE, GREEN, PINK)):
        _draw_numbered(data, points[i], None, i + 1, color)
        _draw_numbered(latent, codes[0][i], codes[1][i], i + 1, color)
        _draw_numbered(generated, images[i], spreads[i], i + 1, color)
    fig.get_layout_engine().set(wspace=0.12, rect=(0, 0, 1, 0.9))
    for x, name in ((0.36, "codificador q(z|x)"), (0.68, "decodificador p(x|z)")):
        fig.text(x, 0.955, name, ha="center", va="center", fontsize=12)
        box = {"arrowstyle": "-|>", "lw": 2.2, "color": style.INK}
        data.annotate("", (x + 0.06, 0.905), (x - 0.06, 0.905), xycoords="figure fraction", arrowprops=box)
    return fig


@style.styled
def bounds(ks: Sequence[int], columns: Mapping[str, Sequence[float]], log_evidence: float) -> Figure:
    """Várias contas em função do número de amostras, com log p(x) por referência. columns: nome → um valor por k."""
    fig = Figure(figsize=(7.4, 3.6))
    ax = fig.subplots()
    ax.axhline(log_evidence, linewidth=2, label="log p(x)", **_LINE["posterior"])
    for (name, values), (color, line) in zip(
        columns.items(), [(BLUE, "o--"), (ORANGE, "s:"), (GREY, "v-.")], strict=True
    ):
        ax.plot(ks, values, line, color=color, label=name)
    ax.set(xlabel="número de amostras k", ylabel="nats")
    ax.legend(loc="center right", fontsize=9)
    return fig


@style.styled
def gaps(levels: Mapping[str, float]) -> Figure:
    """Três níveis, do mais alto ao mais baixo, como pontos numa reta de nats, e as duas lacunas entre eles."""
    names, values = list(levels), list(levels.values())
    _, *rounded = round_sum(values[0] - values[1], values[1] - values[2], decimals=2)
    shown = [round(values[0], 2), round(values[0], 2) - rounded[0], round(values[0], 2) - sum(rounded)]
    fig = Figure(figsize=(8, 2.5))
    ax = fig.subplots()
    for row, (value, color) in enumerate(zip(values, (BLACK, SKY, BLUE), strict=True)):
        ax.plot(value, row, "o", color=color, markersize=11)
        ax.text(value + 0.015, row - 0.3, number(shown[row], 2), ha="left", va="center", fontsize=10)
    for row, name in enumerate(("lacuna de aproximação", "lacuna de amortização")):
        high, low = values[row], values[row + 1]
        arrow = {"arrowstyle": "<->", "color": style.GAP, "lw": 1.8, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", (low, row + 1), (high, row + 1), arrowprops=arrow)
        ax.plot([high, high], [row, row + 1], color=GREY, linewidth=0.8, linestyle=":")
        ax.text(high + 0.015, row + 1, f"{name}: {number(rounded[row], 2)}", color=style.GAP, va="center", fontsize=10)
    ax.set(xlabel="nats por imagem", ylim=(2.5, -0.6), xlim=(values[-1] - 0.03, values[0] + 0.27))
    ax.set_yticks(range(3), names)
    first, last = math.ceil(10 * values[-1] - 0.3), math.floor(10 * values[0])
    ax.set_xticks([tick / 10 for tick in range(first, last + 1)])
    ax.grid(axis="x", color=MIST)
    ax.spines["left"].set_visible(False)
    return fig


@style.styled
def posteriors(ticks: Tensor, panels: Mapping[str, tuple[Tensor, Mapping[str, tuple[Tensor, Tensor]]]]) -> Figure:
    """Posteriores verdadeiras, em azul, com as normais por cima, em elipses de dois desvios padrão.

    ticks: [G] · panels: título → (densidade [G, G], z₁ na primeira dimensão, {nome: (média [2], desvio [2])}).
    Todos os painéis têm a mesma largura em z, a que contém tudo o que há em cada um.
    """
    turn = torch.linspace(0, 2 * torch.pi, 100)
    fig = Figure(figsize=(_WIDTH, 3.5))
    windows = [_window(ticks, density, normals) for density, normals in panels.values()]
    half = max((high - low).max().item() for low, high in windows) / 2 + 0.2
    for ax, (low, high), (title, (density, normals)) in zip(
        fig.subplots(1, len(panels)), windows, panels.items(), strict=True
    ):
        levels = [0.01, 0.1, 0.3, 0.6, 1]
        ax.contourf(ticks, ticks, density.T / density.max(), levels=levels, cmap=style.SEQUENTIAL)
        for (name, (mean, std)), line in zip(normals.items(), (_LINE["q"], _LINE["posterior"]), strict=True):
            ellipse = mean + 2 * std * torch.stack([turn.cos(), turn.sin()], 1)
            ax.plot(*ellipse.T, linewidth=2, label=name, **line)
        center = (low + high) / 2
        ax.set(xlim=(center[0] - half, center[0] + half), ylim=(center[1] - half, center[1] + half), aspect="equal")
        ax.set(xlabel="z₁", ylabel="z₂")
        ax.set_title(title, fontsize=10)
    fig.axes[0].legend(loc="lower left", fontsize=8)
    return fig


def _draw_data(ax: Axes, data: Tensor) -> None:
    ax.scatter(*data.T, s=3, color=DATA, label="dados")
    ax.set(xlim=(-3, 3), ylim=(-2.3, 2.3), aspect="equal", xlabel="x₁", ylabel="x₂")


def _draw_codes(ax: Axes, means: Tensor, stds: Tensor | None, position: Tensor) -> None:
    colors = matplotlib.colormaps[_POSITIONS](position / position.max())
    if stds is None:
        ax.scatter(*means.T, s=6, color=colors)
        return
    for mean, std, color in zip(means.tolist(), stds.tolist(), colors, strict=True):
        width, height = (max(4 * part, 0.18) for part in std)
        ax.add_patch(Ellipse(mean, width, height, facecolor=color, alpha=0.35, edgecolor=color))


def _draw_numbered(ax: Axes, center: Tensor, std: Tensor | None, label: int, color: str) -> None:
    """Um ponto com o seu número e, se houver desvio, a elipse de dois deles."""
    if std is not None:
        ax.add_patch(Ellipse(center.tolist(), *(4 * std).tolist(), facecolor=color, alpha=0.4, edgecolor=color))
    ax.plot(*center.tolist(), "o", color=color, markeredgecolor="white", markersize=14, zorder=4)
    ax.text(*center.tolist(), str(label), color="white", ha="center", va="center_baseline", fontsize=10, zorder=5)


def _window(ticks: Tensor, density: Tensor, normals: Mapping) -> tuple[Tensor, Tensor]:
    """O menor e o maior z [2] do que se desenha num painel de `posteriors`."""
    inside = (density > 0.01 * density.max()).nonzero()
    ends = [torch.stack([mean - 2 * std, mean + 2 * std]) for mean, std in normals.values()]
    everything = torch.cat([ticks[inside], *ends])
    return everything.min(0).values, everything.max(0).values
