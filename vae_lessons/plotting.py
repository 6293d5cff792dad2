"""Figuras das lições. Cada função devolve a figura; mostrá-la, com texto alternativo, é tarefa de `show`.

As figuras não passam pelo pyplot: nada fica aberto nem muda o estado de quem chamou.
"""

import io
import math
import sys
from collections.abc import Iterable, Mapping, Sequence

import matplotlib
import matplotlib.patheffects
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from matplotlib.textpath import TextPath
from matplotlib.ticker import MaxNLocator
from PIL import Image
from torch import Tensor

from vae_lessons import style
from vae_lessons.distributions import Normal
from vae_lessons.models import VAE, evaluating
from vae_lessons.style import BLACK, BLUE, GREY, MIST, SILVER, WHITE, latent_name, mix, number
from vae_lessons.style import CLASS_COLORS as CLASS_COLORS  # também se toma daqui

_DPI = 110
_FULL_WIDTH = 8.2  # polegadas: 900 px a 110 dpi
_LARGEST_IMAGE = 1.1  # polegadas
_TITLES = {  # dos painéis das curvas; as outras grandezas levam o nome que têm no History
    "elbo": "ELBO",
    "log_likelihood": r"Log-verossimilhança  $\mathrm{E}_q[\log p(x|z)]$",
    "kl": r"$\mathrm{KL}(q(z|x)\,\|\,p(z))$",
}


def png(fig: Figure, *, dpi: int = 100) -> bytes:
    """A figura como bytes PNG, com vírgula decimal nos eixos.

    São até 256 cores: um terço do tamanho, que o notebook guarda, sem diferença à vista.
    """
    style.decimal_commas(fig)
    full, compact = io.BytesIO(), io.BytesIO()
    fig.savefig(full, format="png", dpi=dpi)
    picture = Image.open(full).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    picture.save(compact, format="png", optimize=True)
    return compact.getvalue()


def show(fig: Figure, alt: str) -> None:
    """Mostra a figura no notebook, com `alt` como texto alternativo: o que diz a figura a quem não a vê.

    Os eixos ganham vírgula decimal. O texto simples da saída, que o nbval compara, é o próprio `alt`; o resto está em
    style.mimebundle. Se a figura veio do pyplot, é fechada lá.
    Levanta ValueError se `alt` estiver vazio e TypeError se `fig` não for uma figura do matplotlib.
    """
    if not isinstance(fig, Figure):
        raise TypeError(f"show espera uma figura do matplotlib (fig), mas veio {type(fig).__name__}.")
    from IPython.display import display  # só quem mostra precisa do IPython

    data, metadata = style.mimebundle(png(fig, dpi=_DPI), alt)
    display(data, raw=True, metadata=metadata)
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(fig)


@style.styled
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
    h = w * pictures.shape[1] / pictures.shape[2]
    left, bottom, top = -label_width - gap_x / 2, -(rows - 1) * (h + gap_y) - 0.03, h + gap_y - 0.03
    right = columns * (w + gap_x) - gap_x / 2
    fig = Figure(figsize=(right - left, top - bottom), dpi=_DPI, layout="none")
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    for i, picture in enumerate(pictures.numpy()):
        x, y = i % columns * (w + gap_x), -(i // columns) * (h + gap_y)
        ax.imshow(picture, cmap="gray", vmin=0, vmax=1, extent=(x, x + w, y, y + h))
        ax.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor=style.FRAME, linewidth=1))
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


@style.styled
def latent_manifold(model: VAE, image_shape: tuple[int, int], *, n: int = 15, dims: tuple[int, int] = (0, 1)) -> Figure:
    """Médias decodificadas numa grade n×n de dois latentes: o plano latente visto pelo decodificador.

    A grade está nos quantis (i + ½)/n da prior, como na figura 4 de Kingma e Welling (2014): cada imagem cobre a mesma
    probabilidade. Os outros latentes ficam na média da prior. Decodifica em modo de avaliação e devolve o modelo como
    estava.
    dims: que latentes, contados a partir de 0, vão no eixo horizontal e no vertical.
    Levanta ValueError se n < 2, se o modelo não tiver dois latentes ou se as formas não casarem, e TypeError se a prior
    não for Normal: só dela se conhecem os quantis.
    """
    if n < 2:
        raise ValueError(f"n (imagens por lado) deve ser ao menos 2, mas veio {n}.")
    if not isinstance(model.prior, Normal):
        raise TypeError(
            f"A grade fica nos quantis de uma prior Normal, mas a do modelo é {type(model.prior).__name__}. Escolha os "
            "z, decodifique-os e mostre as médias com image_grid."
        )
    _require_dims(dims, model.latent_dim)
    center = model.prior.mean
    standard = torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n).to(center)
    across, up = (center[dim] + (0.5 * model.prior.log_var[dim]).exp() * standard for dim in dims)
    z = center.repeat(n, n, 1)
    z[..., dims[0]] = across
    z[..., dims[1]] = up.flip(0)[:, None]  # a primeira linha da figura é a de cima
    with evaluating(model):
        means = model.decode(z.flatten(0, 1)).mean
    pictures = _as_pictures(means, image_shape)
    framed = torch.nn.functional.pad(pictures, (0, 1, 0, 1), value=math.nan)  # o que é NaN deixa ver o fundo
    height, width = framed.shape[1:]
    mosaic = framed.unflatten(0, (n, n)).transpose(1, 2).flatten(2).flatten(0, 1)

    side = 6.6
    fig = Figure(figsize=(side, 0.15 + (side - 0.15) * height / width), dpi=_DPI)
    ax = fig.subplots()
    ax.set_facecolor(style.FRAME)
    ax.imshow(mosaic[:-1, :-1].numpy(), cmap="gray", vmin=0, vmax=1, extent=(0, n * width - 1, 1, n * height))
    shown = range(0, n, math.ceil(n / 15))
    ax.set_xticks([(i + 0.5) * width - 0.5 for i in shown], [number(across[i], 1) for i in shown])
    ax.set_yticks([(i + 0.5) * height + 0.5 for i in shown], [number(up[i], 1) for i in shown])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set(xlabel=f"{latent_name(dims[0])}, nos quantis da prior", ylabel=latent_name(dims[1]))
    return fig


@style.styled
def training_curves(history, *, per: str = "imagem") -> Figure:
    """A média de cada época, em nats por imagem, um painel por grandeza: a ELBO e seus dois termos, ou o que houver.

    history: um History (treino e, se houver, validação), ou {rótulo: History} para comparar treinos, com uma linha por
    treino: a da validação, se houver, senão a do treino. Os painéis são as grandezas que ele registrou, pelo nome; β só
    aparece, junto à KL (ou, se não houver, no último painel), se mudar durante o treino.
    per: o que é cada observação, como se escreve na unidade: "imagem", "célula", "texto".
    Levanta ValueError se algum History estiver vazio e TypeError se o que veio não for um.
    """
    runs = history if isinstance(history, Mapping) else {"": history}
    for run in runs.values():
        if not hasattr(run, "series"):
            raise TypeError(
                "training_curves espera um History, que fit devolve, ou {rótulo: History}, mas veio "
                f"{type(run).__name__}."
            )
    if not runs or not all(map(len, runs.values())):
        raise ValueError("Não há curvas a mostrar: o History não tem nenhuma época completa. Treine antes com fit.")
    lines = _comparison_lines(runs) if isinstance(history, Mapping) else _train_and_validation_lines(history)
    names = list(dict.fromkeys(name.removeprefix("val_") for run in runs.values() for name in _series(run)))

    columns, rows = min(3, len(names)), math.ceil(len(names) / 3)
    fig = Figure(figsize=(_FULL_WIDTH * max(columns, 2) / 3, 2.9 * rows), dpi=_DPI)
    panels = dict(zip(names, fig.subplots(rows, columns, squeeze=False).flat, strict=False))
    for unused in fig.axes[len(names) :]:
        unused.remove()
    for (name, ax), is_first in zip(panels.items(), [True, False, False] * rows, strict=False):
        _draw_series(ax, name, lines)
        ax.set_ylabel(f"nats por {per}" if is_first else "")
    if isinstance(history, Mapping):  # rótulos de qualquer tamanho: fora dos painéis
        fig.legend(*_handles(panels.values()), loc="outside lower center", ncols=3)
    else:
        panels[names[0]].legend(loc="lower right" if names[0] == "elbo" else "best")
    _draw_changing_beta(panels.get("kl", panels[names[-1]]), [run.series.get("beta", ()) for run in runs.values()])
    return fig


@style.styled
def latent_scatter(
    codes: Tensor,
    labels: Tensor | None = None,
    *,
    prior_circles: bool = True,
    dims: tuple[int, int] = (0, 1),
    class_names: Sequence[str] | None = None,
) -> Figure:
    """As médias da posterior no plano de dois latentes: uma cor e uma forma por classe, e o nome dela no seu centroide.

    codes: [N, Z] · labels: inteiros [N]; sem eles, uma cor só · prior_circles: os círculos de draw_prior_circles ·
    dims: que latentes, contados a partir de 0, vão no eixo horizontal e no vertical · class_names: class_names[k] é o
    que se escreve na classe k; sem eles, o número dela.
    Levanta ValueError se as formas não casarem, se houver menos de dois latentes ou se faltarem nomes.
    """
    _require_tensor("Os códigos (codes)", "[N, Z]", codes)
    if codes.ndim != 2 or len(codes) == 0:
        raise ValueError(f"codes deve ter forma [N, Z] com ao menos um exemplo, mas veio {tuple(codes.shape)}.")
    if labels is not None and (labels.shape != codes.shape[:1] or labels.is_floating_point()):
        raise ValueError(
            f"labels deve ter um inteiro para cada exemplo, [{len(codes)}], mas veio {labels.dtype} "
            f"{tuple(labels.shape)}."
        )
    _require_dims(dims, codes.shape[1])
    names = [] if labels is None else class_labels(labels, class_names)
    points = codes.detach().cpu()[:, list(dims)]

    fig = Figure(figsize=(6.2, 6.0), dpi=_DPI)
    ax = fig.subplots()
    if prior_circles:
        draw_prior_circles(ax)
    if labels is None:
        ax.scatter(*points.T.numpy(), s=14, color=BLUE, alpha=0.6, linewidths=0)
    else:
        _draw_classes(ax, points, labels.cpu(), names)
    _frame_square(ax, points, least=3.2 if prior_circles else 0.0)
    ax.set(xlabel=latent_name(dims[0]), ylabel=latent_name(dims[1]))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(7, integer=True))
    return fig


def class_labels(labels: Tensor, class_names: Sequence[str] | None = None) -> list[str]:
    """O nome de cada classe de 0 à maior que há em `labels`: o de `class_names`, ou o número dela.

    Levanta ValueError se faltar o nome de alguma.
    """
    count = int(labels.max()) + 1
    if class_names is None:
        return [str(label) for label in range(count)]
    if len(class_names) < count:
        raise ValueError(
            f"class_names deve ter um nome para cada classe, de 0 a {count - 1}, mas tem {len(class_names)}."
        )
    return [str(name) for name in class_names]


def draw_prior_circles(ax: Axes) -> None:
    """Em `ax`, a prior N(0, I): a origem e os círculos a 1, 2 e 3 desvios padrão."""
    for radius in (1, 2, 3):
        ax.add_patch(Circle((0, 0), radius, fill=False, edgecolor=SILVER, linewidth=0.9, linestyle="--", zorder=0))
        _write_outlined(ax, 0, radius, f"{radius}σ", fontsize=9, color=GREY)
    ax.plot(0, 0, "+", color=GREY, markersize=7, zorder=0)


def draw_heatmap(
    ax: Axes,
    values: Tensor,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    label: str = "",
    decimals: int = 2,
    largest: float | None = None,
) -> None:
    """Em `ax`, uma tabela de números não negativos: quanto mais escura a casa, maior o que está escrito nela.

    values: [R, C], em que o que é exatamente zero não se escreve · rows, columns: os nomes das linhas e das colunas ·
    label: o que se mede, com a unidade; se vier, há uma barra de cores · decimals: as casas dos números ·
    largest: o valor da cor mais escura, em geral o maior deles.
    Levanta ValueError se os nomes não forem um por linha e um por coluna.
    """
    values = torch.as_tensor(values).detach().cpu().double()
    _require_one_each("rows", rows, len(values), "linhas")
    _require_one_each("columns", columns, values.shape[1], "colunas")
    largest = values.max().item() if largest is None else largest
    picture = ax.imshow(values.numpy(), cmap=style.SEQUENTIAL, vmin=0, vmax=largest, aspect="auto")
    for row, line in enumerate(values.tolist()):
        for column, value in enumerate(line):
            color = WHITE if value > 0.715 * largest else BLACK  # a que mais se destaca da casa
            words = number(value, decimals) if value else ""
            ax.text(column, row, words, ha="center", va="center", fontsize=9, color=color)
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    if label:
        ax.figure.colorbar(picture, ax=ax, label=label)


def _rows(rows: dict[str, Tensor], image_shape: tuple[int, int]) -> Figure:
    shapes = {name: tuple(images.shape) for name, images in rows.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"Todas as linhas devem ter a mesma forma [N, D], mas vieram {listed}.")
    stacked = torch.cat([images.detach().cpu() for images in rows.values()])
    return image_grid(stacked, image_shape, columns=max(1, len(stacked) // len(rows)), row_titles=list(rows))


def _as_pictures(images: Tensor, image_shape: tuple[int, int]) -> Tensor:
    """[N, D] → [N, H, W] na CPU, depois de conferir que é isso mesmo."""
    height, width = _height_and_width(image_shape)
    _require_tensor("As imagens", "[N, D]", images)
    if images.ndim != 2 or len(images) == 0:
        hint = " Passe antes por .flatten(1)." if images.ndim == 3 else ""
        raise ValueError(f"As imagens devem ter forma [N, D] com ao menos uma, mas veio {tuple(images.shape)}.{hint}")
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


def _require_tensor(what: str, shape: str, value) -> None:
    if not isinstance(value, Tensor):
        hint = " Use torch.from_numpy." if type(value).__module__ == "numpy" else ""
        raise TypeError(f"{what} devem ser um tensor {shape}, mas veio {type(value).__name__}.{hint}")


def _height_and_width(image_shape) -> tuple[int, int]:
    if not isinstance(image_shape, Sequence) or len(image_shape) != 2:
        raise ValueError(
            f"image_shape deve ser (altura, largura), mas veio {image_shape}. O de um Dataset de imagens em tons de "
            "cinza é data.image_shape; dados que não são imagens não têm nenhum."
        )
    return image_shape[0], image_shape[1]


def _series(history) -> dict[str, list[float]]:
    """O que se desenha de um History: as médias de treino e de validação, uma entrada por época."""
    return {name: values for name, values in history.series.items() if values and name.removeprefix("val_") != "beta"}


def _has_validation(history) -> bool:
    return any(name.startswith("val_") for name in _series(history))


def _train_and_validation_lines(history) -> list[tuple]:
    """(rótulo, History, prefixo das grandezas) de cada linha."""
    train = [("treino", history, "")]
    return [*train, ("validação", history, "val_")] if _has_validation(history) else train


def _comparison_lines(runs: Mapping) -> list[tuple]:
    """Uma linha por treino; o rótulo diz em que dados ela foi medida."""
    return [
        (f"{label} (validação)", run, "val_") if _has_validation(run) else (f"{label} (treino)", run, "")
        for label, run in runs.items()
    ]


def _draw_series(ax: Axes, name: str, lines: Sequence[tuple]) -> None:
    for i, (label, run, prefix) in enumerate(lines):
        color, dashes = style.LINES[i % len(style.LINES)]
        values = _series(run).get(prefix + name, ())
        if values:
            ax.plot(range(1, len(values) + 1), values, color=color, linestyle=dashes, linewidth=1.8, label=label)
    ax.set_title(_TITLES.get(name, name), fontsize=11)
    ax.set_xlabel("época")
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.grid(axis="y", color=MIST, linewidth=0.8)
    ax.set_axisbelow(True)


def _handles(panels: Iterable[Axes]) -> tuple[list, list[str]]:
    """As linhas da legenda, uma por rótulo, estejam no painel que estiverem."""
    by_label = {line.get_label(): line for ax in panels for line in ax.lines}
    return list(by_label.values()), list(by_label)


def _draw_changing_beta(ax: Axes, betas: Sequence[Sequence[float]]) -> None:
    changing = [beta for beta in betas if len(set(beta)) > 1]
    if not changing:
        return
    twin = ax.twinx()
    for beta in changing:
        twin.plot(range(1, len(beta) + 1), beta, color=GREY, linestyle=":", linewidth=1.5)
    twin.set_ylim(bottom=0)
    twin.set_ylabel("β (pontilhado)", color=GREY)
    twin.tick_params(labelcolor=GREY)
    twin.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))


def _frame_square(ax: Axes, points: Tensor, *, least: float) -> None:
    """O mesmo alcance, à volta do meio, na horizontal e na vertical: a escala é a mesma, e nenhuma faixa sobra.

    least: o menor alcance, à volta da origem; 0 para se ajustar aos pontos.
    """
    low, high = points.amin(0), points.amax(0)
    center = torch.zeros(2) if least else (low + high) / 2
    reach = max(least, 1.05 * float(torch.maximum(high - center, center - low).max())) or 1.0
    x, y = center.tolist()
    ax.set(aspect="equal", xlim=(x - reach, x + reach), ylim=(y - reach, y + reach))


def _draw_classes(ax: Axes, points: Tensor, labels: Tensor, names: Sequence[str]) -> None:
    classes = labels.unique().tolist()
    span = max(6.0, 2 * points.abs().max().item())
    centroids = _spread(torch.stack([points[labels == label].mean(0) for label in classes]), gap=0.08 * span)
    for label, centroid in zip(classes, centroids.tolist(), strict=True):
        color, marker = style.class_look(label)
        area = 16 if marker in "os" else 20
        cloud = points[labels == label].T.numpy()
        ax.scatter(*cloud, s=area, marker=marker, color=color, alpha=0.8, linewidths=0, label=names[label])
        dark = mix(color, BLACK, 0.35)  # as cores claras, em branco, não se leem
        _write_outlined(ax, *centroid, names[label], fontsize=17 if len(names[label]) < 3 else 13, color=dark)


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
