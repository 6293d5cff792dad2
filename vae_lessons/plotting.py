"""Figuras das lições. Cada função devolve a figura; mostrá-la, com texto alternativo, é tarefa de `show`.

As figuras não passam pelo pyplot: nada fica aberto nem muda o estado de quem chamou.
"""

import base64
import html
import io
import math
import sys
from collections.abc import Mapping, Sequence

import matplotlib
import matplotlib.patheffects
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from matplotlib.style import library as styles
from matplotlib.textpath import TextPath
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image
from torch import Tensor

from vae_lessons.models import VAE
from vae_lessons.training import History

# Dez cores distinguíveis por quem tem daltonismo (Petroff, 2021, arXiv:2107.02270), uma por classe.
CLASS_COLORS = tuple(styles["petroff10"]["axes.prop_cycle"].by_key()["color"])

# Uma cor (Okabe e Ito, 2008) e um traço por linha: em cinza, ou para quem não vê a cor, fica o traço.
_LINE_STYLES = (
    ("#0072B2", "-"),
    ("#D55E00", "--"),
    ("#009E73", "-."),
    ("#CC79A7", ":"),
    ("#000000", (0, (6, 1.5, 1, 1.5, 1, 1.5))),
    ("#E69F00", (0, (1, 1))),
)
_DPI = 110
_FULL_WIDTH = 8.2  # polegadas: 900 px a 110 dpi
_LARGEST_IMAGE = 1.1  # polegadas
_GREY = "#6b6b6b"
_FRAME = "#7f97b5"  # separa as imagens: não se confunde com nenhum cinza delas
_STYLE = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _GREY,
    "xtick.color": _GREY,
    "ytick.color": _GREY,
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "figure.constrained_layout.use": True,
}


def png(fig: Figure, *, dpi: int = 100) -> bytes:
    """A figura como bytes PNG em até 256 cores: um terço do tamanho, que o notebook guarda, sem diferença à vista."""
    full, compact = io.BytesIO(), io.BytesIO()
    fig.savefig(full, format="png", dpi=dpi)
    picture = Image.open(full).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    picture.save(compact, format="png", optimize=True)
    return compact.getvalue()


def show(fig: Figure, alt: str) -> None:
    """Mostra a figura no notebook, com `alt` como texto alternativo: o que diz a figura a quem não a vê.

    A saída leva a figura duas vezes. O JupyterLab e o HTML exportado escolhem text/html, um <img alt="...">, porque
    ignoram o texto alternativo de image/png; os outros leitores (PDF, nbsphinx) usam image/png e seus metadados.
    O texto simples, que o nbval compara, é o próprio `alt`. Se a figura veio do pyplot, é fechada lá.
    Levanta ValueError se `alt` estiver vazio.
    """
    if not alt.strip():
        raise ValueError("Falta o texto alternativo: descreva em uma frase o que a figura mostra, em show(fig, alt).")
    from IPython.display import display  # só quem mostra precisa do IPython

    image = base64.b64encode(png(fig, dpi=_DPI)).decode("ascii")
    tag = f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{image}">'
    bundle = {"text/html": tag, "image/png": image, "text/plain": alt}
    display(bundle, raw=True, metadata={"image/png": {"alt": alt}})
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(fig)


@matplotlib.rc_context(_STYLE)
def image_grid(
    images: Tensor,
    image_shape: tuple[int, int],
    *,
    columns: int = 10,
    row_titles: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
) -> Figure:
    """Imagens lado a lado, linha por linha, em cinza de 0 (preto) a 1 (branco).

    images: ponto flutuante [N, D], com H·W = D · columns: imagens por linha · row_titles: um rótulo à esquerda de cada
    linha · titles: um título acima de cada imagem. O que sair de [0, 1] aparece como preto ou branco.
    Levanta ValueError se não houver imagens, se as formas não casarem ou se faltarem rótulos.
    """
    pictures = _as_pictures(images, image_shape)
    if columns < 1:
        raise ValueError(f"columns (imagens por linha) deve ser ao menos 1, mas veio {columns}.")
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    _require_one_each("row_titles", row_titles, rows, "linhas")
    _require_one_each("titles", titles, len(pictures), "imagens")

    # O eixo mede em polegadas: cada imagem tem largura w e altura h, e o fundo da primeira linha fica em y = 0.
    label_width = max(map(_text_width, row_titles)) if row_titles else 0.0
    gap_x, gap_y = 0.06, 0.24 if titles else 0.06
    w = min(_LARGEST_IMAGE, (_FULL_WIDTH - label_width) / columns - gap_x)
    h = w * image_shape[0] / image_shape[1]
    left, bottom, top = -label_width - gap_x / 2, -(rows - 1) * (h + gap_y) - 0.03, h + gap_y - 0.03
    right = columns * (w + gap_x) - gap_x / 2
    fig = Figure(figsize=(right - left, top - bottom), dpi=_DPI, layout="none")
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    for i, picture in enumerate(pictures.numpy()):
        x, y = i % columns * (w + gap_x), -(i // columns) * (h + gap_y)
        ax.imshow(picture, cmap="gray", vmin=0, vmax=1, extent=(x, x + w, y, y + h))
        ax.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor=_FRAME, linewidth=1))
        if titles:
            ax.text(x + w / 2, y + h + 0.04, titles[i], ha="center", va="bottom", fontsize=10)
    for row, title in enumerate(row_titles or ()):
        ax.text(-0.1, h / 2 - row * (h + gap_y), title, ha="right", va="center", fontsize=11)
    ax.set(xlim=(left, right), ylim=(bottom, top))
    return fig


def reconstructions(x: Tensor, mean: Tensor, image_shape: tuple[int, int], *, sample: Tensor | None = None) -> Figure:
    """Cada exemplo numa coluna: o original, a média decodificada E[x|z] e, se vier, uma amostra de p(x|z).

    x, mean, sample: [N, D] em [0, 1]. Levanta ValueError se as formas não casarem.
    """
    rows = {"original": x, "média decodificada": mean}
    return _rows(rows if sample is None else rows | {"amostra": sample}, image_shape)


def samples(mean: Tensor, sample: Tensor, image_shape: tuple[int, int]) -> Figure:
    """Em cada coluna, um só z: em cima a média de p(x|z), que não é uma amostra; embaixo, uma amostra de p(x|z).

    mean, sample: [N, D] em [0, 1], na mesma ordem de z. Levanta ValueError se as formas não casarem.
    """
    return _rows({"média de p(x|z)": mean, "amostra de p(x|z)": sample}, image_shape)


@torch.no_grad()
@matplotlib.rc_context(_STYLE)
def latent_manifold(model: VAE, image_shape: tuple[int, int], *, n: int = 15, dims: tuple[int, int] = (0, 1)) -> Figure:
    """Médias decodificadas numa grade n×n de dois latentes: o plano latente visto pelo decodificador.

    A grade está nos quantis (i + ½)/n da prior, como na figura 4 de Kingma e Welling (2014): cada imagem cobre a mesma
    probabilidade. Os outros latentes ficam na média da prior, 0.
    dims: que latentes, contados a partir de 0, vão no eixo horizontal e no vertical.
    Levanta ValueError se n < 2, se o modelo não tiver dois latentes ou se as formas não casarem.
    """
    if n < 2:
        raise ValueError(f"n (imagens por lado) deve ser ao menos 2, mas veio {n}.")
    _require_dims(dims, model.latent_dim)
    center = model.prior.mean
    quantiles = torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n).to(center)
    z = center.repeat(n, n, 1)
    z[..., dims[0]] = quantiles
    z[..., dims[1]] = quantiles.flip(0)[:, None]  # a primeira linha da figura é a de cima
    pictures = _as_pictures(model.decode(z).mean.flatten(0, 1), image_shape)
    framed = torch.nn.functional.pad(pictures, (0, 1, 0, 1), value=math.nan)  # o que é NaN deixa ver o fundo
    height, width = framed.shape[1:]
    mosaic = framed.unflatten(0, (n, n)).transpose(1, 2).flatten(2).flatten(0, 1)

    side = 6.6
    fig = Figure(figsize=(side, 0.15 + (side - 0.15) * height / width), dpi=_DPI)
    ax = fig.subplots()
    ax.set_facecolor(_FRAME)
    ax.imshow(mosaic[:-1, :-1].numpy(), cmap="gray", vmin=0, vmax=1, extent=(0, n * width - 1, 1, n * height))
    shown = range(0, n, math.ceil(n / 15))
    labels = [_number(quantiles[i].item(), 1) for i in shown]
    ax.set_xticks([(i + 0.5) * width - 0.5 for i in shown], labels)
    ax.set_yticks([(i + 0.5) * height + 0.5 for i in shown], labels)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set(xlabel=f"{_latent_name(dims[0])}, nos quantis da prior", ylabel=_latent_name(dims[1]))
    return fig


@matplotlib.rc_context(_STYLE)
def training_curves(history: History | Mapping[str, History]) -> Figure:
    """A ELBO e os seus dois termos, cada um no seu painel, época a época, em nats por exemplo.

    history: um History (treino e, se houver, validação), ou {rótulo: History} para comparar treinos, com uma linha por
    treino: a da validação, se houver, senão a do treino. β só aparece, junto à KL, se mudar durante o treino.
    Levanta ValueError se algum History estiver vazio.
    """
    runs = history if isinstance(history, Mapping) else {"": history}
    if not runs or not all(map(len, runs.values())):
        raise ValueError("Não há curvas a mostrar: o History não tem nenhuma época completa. Treine antes com fit.")
    lines = _comparison_lines(runs) if isinstance(history, Mapping) else _train_and_validation_lines(history)

    fig = Figure(figsize=(_FULL_WIDTH, 2.9), dpi=_DPI)
    panels = fig.subplots(1, 3)
    titles = ("ELBO", r"Log-verossimilhança  $\mathrm{E}_q[\log p(x|z)]$", r"$\mathrm{KL}(q(z|x)\,\|\,p(z))$")
    for ax, name, title in zip(panels, ("elbo", "log_likelihood", "kl"), titles, strict=True):
        for i, (label, run, prefix) in enumerate(lines):
            color, dashes = _LINE_STYLES[i % len(_LINE_STYLES)]
            values = getattr(run, prefix + name)
            ax.plot(range(1, len(values) + 1), values, color=color, linestyle=dashes, linewidth=1.8, label=label)
        ax.set_title(title, fontsize=11)
        ax.set_xlabel("época")
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _number(value)))
        ax.grid(axis="y", color="#e6e6e6", linewidth=0.8)
        ax.set_axisbelow(True)
    panels[0].set_ylabel("nats por exemplo")
    if isinstance(history, Mapping):  # rótulos de qualquer tamanho: fora dos painéis
        fig.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    else:
        panels[0].legend(loc="lower right")
    _draw_changing_beta(panels[2], [run for run in runs.values() if len(set(run.beta)) > 1])
    return fig


@matplotlib.rc_context(_STYLE)
def latent_scatter(
    codes: Tensor, labels: Tensor, *, prior_circles: bool = True, dims: tuple[int, int] = (0, 1)
) -> Figure:
    """As médias da posterior no plano de dois latentes, uma cor por classe e o número dela no seu centroide.

    codes: [N, Z] · labels: inteiros [N] · prior_circles: círculos a 1, 2 e 3 desvios padrão da prior ·
    dims: que latentes, contados a partir de 0, vão no eixo horizontal e no vertical.
    Levanta ValueError se as formas não casarem ou se houver menos de dois latentes.
    """
    if codes.ndim != 2 or len(codes) == 0:
        raise ValueError(f"codes deve ter forma [N, Z] com ao menos um exemplo, mas veio {tuple(codes.shape)}.")
    if labels.shape != codes.shape[:1] or labels.is_floating_point():
        raise ValueError(
            f"labels deve ter um inteiro por exemplo, [{len(codes)}], mas veio {labels.dtype} {tuple(labels.shape)}."
        )
    _require_dims(dims, codes.shape[1])
    points, labels = codes.detach().cpu()[:, list(dims)], labels.cpu()

    fig = Figure(figsize=(6.2, 6.0), dpi=_DPI)
    ax = fig.subplots()
    if prior_circles:
        _draw_prior_circles(ax)
    classes = labels.unique().tolist()
    span = max(6.0, 2 * points.abs().max().item())
    centroids = _spread(torch.stack([points[labels == label].mean(0) for label in classes]), gap=0.055 * span)
    for label, centroid in zip(classes, centroids.tolist(), strict=True):
        color = CLASS_COLORS[label % len(CLASS_COLORS)]
        ax.scatter(*points[labels == label].T.numpy(), s=14, color=color, alpha=0.75, linewidths=0, label=str(label))
        dark = tuple(0.65 * channel for channel in to_rgb(color))  # as cores claras, em branco, não se leem
        _write_outlined(ax, *centroid, str(label), fontsize=17, color=dark)
    ax.set_aspect("equal")
    ax.set(xlabel=_latent_name(dims[0]), ylabel=_latent_name(dims[1]))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(7, integer=True))
        axis.set_major_formatter(FuncFormatter(lambda value, _: _number(value)))
    return fig


def _rows(rows: dict[str, Tensor], image_shape: tuple[int, int]) -> Figure:
    shapes = {name: tuple(images.shape) for name, images in rows.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"Todas as linhas devem ter a mesma forma [N, D], mas vieram {listed}.")
    stacked = torch.cat([images.detach().cpu() for images in rows.values()])
    return image_grid(stacked, image_shape, columns=max(1, len(stacked) // len(rows)), row_titles=list(rows))


def _as_pictures(images: Tensor, image_shape: tuple[int, int]) -> Tensor:
    """[N, D] → [N, H, W] na CPU, depois de conferir que é isso mesmo."""
    height, width = image_shape
    if images.ndim != 2 or len(images) == 0:
        raise ValueError(f"As imagens devem ter forma [N, D] com ao menos uma, mas veio {tuple(images.shape)}.")
    if images.shape[1] != height * width:
        raise ValueError(
            f"Imagens de {height}×{width} têm {height * width} pixels, mas cada linha tem {images.shape[1]}. "
            "Confira image_shape (o do Dataset é data.image_shape)."
        )
    if not images.is_floating_point():
        raise ValueError(
            f"As imagens devem ser ponto flutuante em [0, 1], mas veio {images.dtype}. "
            "Passe antes por binarize(x, 'none'), que divide por 255."
        )
    return images.detach().cpu().reshape(-1, height, width)


def _train_and_validation_lines(history: History) -> list[tuple[str, History, str]]:
    train = [("treino", history, "")]
    return [*train, ("validação", history, "val_")] if history.val_elbo else train


def _comparison_lines(runs: Mapping[str, History]) -> list[tuple[str, History, str]]:
    """Uma linha por treino; o rótulo diz em que dados ela foi medida."""
    return [
        (f"{label} (validação)", run, "val_") if run.val_elbo else (f"{label} (treino)", run, "")
        for label, run in runs.items()
    ]


def _draw_changing_beta(ax: Axes, runs: Sequence[History]) -> None:
    if not runs:
        return
    twin = ax.twinx()
    for run in runs:
        twin.plot(range(1, len(run.beta) + 1), run.beta, color="#9a9a9a", linestyle=":", linewidth=1.5)
    twin.set_ylim(bottom=0)
    twin.set_ylabel("β (pontilhado)", color=_GREY)
    twin.tick_params(labelcolor=_GREY)
    twin.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    twin.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _number(value)))


def _draw_prior_circles(ax: Axes) -> None:
    for radius in (1, 2, 3):
        ax.add_patch(Circle((0, 0), radius, fill=False, edgecolor="#b5b5b5", linewidth=0.9, linestyle="--", zorder=0))
        _write_outlined(ax, 0, radius, f"{radius}σ", fontsize=9, color=_GREY)
    ax.plot(0, 0, "+", color=_GREY, markersize=7, zorder=0)


def _spread(points: Tensor, gap: float) -> Tensor:
    """Afasta pontos [K, 2] mais próximos que `gap`, o mínimo necessário, para que um rótulo não cubra o outro."""
    points = points.clone()
    for _ in range(100):
        apart = points[:, None] - points
        distance = apart.norm(dim=-1).clamp(min=1e-6)
        push = 0.5 * (1.01 * gap - distance).clamp(min=0).fill_diagonal_(0)
        if (2 * push).max() < 0.02 * gap:
            break
        points += (push / distance)[..., None].mul(apart).sum(1)
    return points


def _write_outlined(ax: Axes, x: float, y: float, text: str, *, fontsize: float, color) -> None:
    outline = matplotlib.patheffects.withStroke(linewidth=fontsize / 4, foreground="white")
    weight = "bold" if fontsize > 12 else "normal"
    ax.text(x, y, text, ha="center", va="center", fontsize=fontsize, color=color, weight=weight, path_effects=[outline])


def _text_width(text: str) -> float:
    """Largura de um rótulo de 11 pontos, em polegadas, com a folga que o separa das imagens."""
    return TextPath((0, 0), text, size=11).get_extents().x1 / 72 + 0.15


def _latent_name(dim: int) -> str:
    return "z" + str(dim + 1).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def _number(value: float, decimals: int | None = None) -> str:
    """Com vírgula decimal e o sinal de menos tipográfico."""
    text = f"{value:g}" if decimals is None else f"{round(value, decimals) + 0.0:.{decimals}f}"
    return text.replace("-", "−").replace(".", ",")


def _require_one_each(name: str, values: Sequence[str] | None, expected: int, of_what: str) -> None:
    if values is not None and len(values) != expected:
        raise ValueError(f"{name} deve ter um texto para cada uma das {expected} {of_what}, mas tem {len(values)}.")


def _require_dims(dims: tuple[int, int], latent_dim: int) -> None:
    if latent_dim < 2:
        raise ValueError(f"Um plano pede ao menos dois latentes, mas aqui Z = {latent_dim}.")
    if len(dims) != 2 or dims[0] == dims[1] or not all(0 <= dim < latent_dim for dim in dims):
        raise ValueError(
            f"dims deve ter dois latentes diferentes, de 0 a {latent_dim - 1} (Z = {latent_dim}), mas veio {dims}."
        )
