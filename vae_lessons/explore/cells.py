"""O explorador de um VAE de contagens: anda-se pelo mapa das células, e os genes escolhidos acompanham.

A cada movimento se decodifica um z; o mapa de um gene, decodificado numa grade inteira, é feito uma vez e guardado.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from vae_lessons import style
from vae_lessons.data import Dataset
from vae_lessons.explore.base import Explorer, column, picture, row, text, title
from vae_lessons.explore.calls import quiet, require_steady
from vae_lessons.explore.canvas import Canvas, Panel, axes_at
from vae_lessons.explore.pointing import pointable, within
from vae_lessons.explore.sliders import ExactSlider
from vae_lessons.plotting import class_labels
from vae_lessons.style import latent_name, number

_AT_ONCE = 512  # células codificadas, ou pontos decodificados, de uma vez: limita a memória
_MOST_SHOWN = 12  # genes no gráfico
_GRID = 41  # pontos por lado do mapa de um gene
_NEAREST = 10  # as células mais próximas, que dizem de que tipo é a região
_STEP = 0.1  # dos controles, em unidades de z
_RECORDED = 7  # valores de cada latente que a página oferece
_RECORDED_GENES = 3  # mapas que a página oferece
_PER = 1000  # moléculas: a célula a que as esperanças se referem
_NUMBERS = 1.26  # onde acaba a coluna dos números, com o gráfico de 0 a 1
_LOW = 0.02  # moléculas por mil: o que for menos fica na borda do gráfico

# Em pixels da tela, contados do canto de cima à esquerda.
_WIDTH, _HEIGHT = 760, 486
_MAP = 54, 400, 40, 400  # esquerda, direita, alto e baixo
_CHART = 496, 752, 40, 400
_LEGEND = 438  # onde começa

_LABEL = "Mapa das células: clique ou arraste para andar por ele, ou use as setas do teclado."
_HERE, _AVERAGE = style.ORANGE, style.GREY


def explore_cells(
    encode: Callable,
    expression: Callable,
    data: Dataset,
    genes: Sequence[str],
    *,
    shown: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
) -> "CellsExplorer":
    """Um explorador do mapa latente de um VAE de contagens: em cada z, o que se espera de cada gene.

    encode: contagens x [B, G] → q(z|x), com `.mean` [B, 2], ou já as médias [B, 2] · expression: z [B, 2] → a parte de
    cada gene na célula, [B, G], positiva e de soma 1 · data: as células do mapa · genes: o nome das G colunas ·
    shown: os do gráfico, doze no máximo (None: os que mais variam no mapa) · class_names: class_names[k] é o nome da
    classe k. Um módulo, ou um método de um, é chamado em modo de avaliação.
    Levanta TypeError se o que vier não for função ou Dataset, e ValueError se as formas não forem essas, se faltarem
    nomes, se houver gene desconhecido, proporção que não some 1 ou NaN, ou se as funções não derem sempre a mesma
    resposta.
    """
    if not isinstance(data, Dataset):
        raise TypeError(
            f"explore_cells espera um Dataset de contagens, mas veio {type(data).__name__}. Use load('pbmc', 'test'), "
            "ou Dataset(contagens), se são suas."
        )
    genes = [str(gene) for gene in genes]
    if len(genes) != data.x.shape[1]:
        raise ValueError(
            f"genes deve ter um nome para cada uma das {data.x.shape[1]} colunas de {data.name!r}, mas veio com "
            f"{len(genes)}."
        )
    return CellsExplorer(encode, expression, data, genes, shown, class_names)


class CellsNumbers(NamedTuple):
    """z [2] · gene: o que colore o mapa · levels [S]: moléculas esperadas de cada gene de `shown`, em mil ·
    level: as do gene que colore · nearest: a classe de mais células entre as dez mais próximas (None sem classes) e
    quantas são, ou a distância da mais próxima · distance: a da célula mais próxima, em unidades de z."""

    z: Tensor
    gene: str
    levels: Tensor
    level: float
    nearest: int | None
    votes: int
    distance: float


class CellsExplorer(Explorer):
    """O mapa das células, na cor de um gene, com uma mira; ao lado, o que se espera dos genes escolhidos onde ela está.

    controls: dicionário nome → ipywidget. Atribuir `.value` no código equivale a mexer na tela.
        "z0", "z1"   a mira, em unidades de z; na tela são z₁ e z₂
        "gene"       o gene que colore o mapa, um dos de `shown`
    A mira também se arrasta no mapa, com o mouse ou o dedo, e anda com as setas do teclado.
    picture: ipywidgets.Image, PNG · z, gene, levels, level, nearest, votes, distance: como em CellsNumbers ·
    means [N, 2]: as médias de q(z|x) · shown: os genes do gráfico · average [S]: as moléculas por mil de cada um em
    todas as células de `data` juntas.
    Começa na célula mais próxima do centro da maior classe.
    """

    inputs = ("z0", "z1", "gene")

    def __init__(self, encode, expression, data: Dataset, genes: list[str], shown, class_names):
        self._encode, self._expression = quiet("encode", encode), quiet("expression", expression)
        self.data, self.genes = data, genes
        self.means = self._encoded()
        self._require_proportions()
        self._limits = _limits(self.means)
        self._field = self._decoded_grid()  # [grade · grade, G], moléculas por mil
        self.shown = _shown(genes, shown, self._field)
        self._columns = [genes.index(gene) for gene in self.shown]
        counts = data.x.double().cpu()
        self.average = (_PER * counts.sum(0) / counts.sum())[self._columns]
        self._labels = None if data.y is None else data.y.cpu()
        self._names = None if data.y is None else class_labels(self._labels, class_names)
        self._canvases: dict[str, Canvas] = {}

        start = self._start_at()
        self.picture = picture(_WIDTH, "vae-picture")
        self.caption = text()
        c = self.controls = _controls(start, self._limits, self.shown)
        grid = [
            tuple(_STEP * round(v / _STEP) for v in np.linspace(*limits, _RECORDED + 2)[1:-1])
            for limits in self._limits
        ]
        self.recorded = (("z0", grid[0]), ("z1", grid[1]), ("gene", self.shown[:_RECORDED_GENES]))
        hand = pointable(self.picture, _LABEL, size=(_WIDTH, _HEIGHT), at=self._point, keys=self._step)
        notes = (
            "Mapa: as médias de q(z|x), uma marca por célula, na cor e na forma da classe; o fundo, quanto se espera "
            "do gene em cada ponto.",
            f"À direita, moléculas esperadas em {_PER}: o ponto laranja, na mira; o traço cinza, a média das células.",
        )
        sliders = [title("A mira"), c["z0"].with_number(), c["z1"].with_number()]
        below = row(column(300, *sliders), column(400, title("A cor do mapa"), c["gene"], self.caption))
        super().__init__(row(hand), below, *map(text, notes))
        self._start()

    def __repr__(self) -> str:
        return f"CellsExplorer({len(self.data)} células, {len(self.genes)} genes, {self.data.name!r})"

    def measure(self, *, z0: float, z1: float, gene: str) -> CellsNumbers:
        z = torch.tensor([z0, z1], dtype=self.means.dtype)
        levels = _PER * self._expression(z[None].to(self._device))[0].double().cpu()
        distances = (self.means - z).norm(dim=1)
        nearest, votes = None, 0
        if self._labels is not None:
            close = self._labels[distances.topk(min(_NEAREST, len(distances)), largest=False).indices]
            counts = close.bincount()
            nearest, votes = int(counts.argmax()), int(counts.max())
        level = float(levels[self.genes.index(gene)])
        return CellsNumbers(z, gene, levels[self._columns], level, nearest, votes, float(distances.min()))

    def paint(self, numbers: CellsNumbers) -> Image.Image:
        canvas = self._canvas_of(numbers.gene)
        panel, chart = canvas.panel(0), canvas.panel(1)
        self._paint_sight(panel, numbers)
        for place, level in enumerate(numbers.levels.tolist()):
            chart.dots(np.array([_place(level)]), np.array([place]), _HERE, radius=6)
            chart.text(_NUMBERS, place, _written(level), style.BLACK, anchor="rm", size=11)
        return canvas.image(panel, chart)

    def describe(self, numbers: CellsNumbers) -> str:
        highest = numbers.levels.sort(descending=True).indices[:3].tolist()
        genes = ", ".join(f"{self.shown[i]} {_written(float(numbers.levels[i]))}" for i in highest)
        z = "; ".join(number(value, 1) for value in numbers.z.tolist())
        return (
            f"O mapa das células na cor de {numbers.gene}, com a mira em z = ({z}): {self._region(numbers)}. Das "
            f"moléculas esperadas em {_PER}, as maiores: {genes}; de {numbers.gene}, {_written(numbers.level)}."
        )

    def _show(self) -> None:
        super()._show()
        n = self.numbers
        self.caption.value = (
            f"{n.gene}: <b>{_written(n.level)}</b> em {_PER} moléculas. {self._region(n).capitalize()}."
        )

    def _region(self, numbers: CellsNumbers) -> str:
        far = f"a célula mais próxima está a {number(numbers.distance, 1)}"
        if numbers.nearest is None:
            return far
        name = self._names[numbers.nearest]
        return f"das {min(_NEAREST, len(self.data))} células mais próximas, {numbers.votes} são do tipo {name}; {far}"

    def _point(self, x: float, y: float) -> None:
        left, right, top, bottom = _MAP
        if left <= x <= right and top <= y <= bottom:
            self._choose(*self._canvas_of(self.controls["gene"].value).panel(0).units(x, y))

    def _step(self, right: int, down: int) -> None:
        self._choose(self.controls["z0"].value + _STEP * right, self.controls["z1"].value - _STEP * down)

    def _choose(self, *z: float) -> None:
        inside = [round(within(value, *limits), 2) for value, limits in zip(z, self._limits, strict=True)]
        self.move(z0=inside[0], z1=inside[1])

    def _encoded(self) -> Tensor:
        """As médias de q(z|x) [N, 2], na CPU."""

        def part(rows: slice) -> Tensor:
            x = self.data.x[rows]
            means = self._encode(x)
            means = getattr(means, "mean", means) if not isinstance(means, Tensor) else means
            if not isinstance(means, Tensor) or means.shape != (len(x), 2):
                found = f"forma {tuple(means.shape)}" if isinstance(means, Tensor) else type(means).__name__
                raise ValueError(
                    "encode(x) deve devolver q(z|x), ou as médias dela, com dois latentes, [B, 2], mas para "
                    f"{len(x)} células devolveu {found}. Treine um modelo com latent_dim=2: o mapa é um plano."
                )
            return means

        require_steady("encode", lambda n: part(slice(n)))
        parts = [part(slice(i, i + _AT_ONCE)) for i in range(0, len(self.data), _AT_ONCE)]
        self._device = parts[0].device
        means = torch.cat(parts).float().cpu()
        if not means.isfinite().all():
            raise ValueError("Há NaN ou infinito nas médias de q(z|x). Treine o modelo de novo antes de explorá-lo.")
        return means

    def _require_proportions(self) -> None:
        def answer(n: int) -> Tensor:
            shares, expected = self._expression(self.means[:n].to(self._device)), (n, len(self.genes))
            if not isinstance(shares, Tensor) or shares.shape != expected:
                found = f"forma {tuple(shares.shape)}" if isinstance(shares, Tensor) else type(shares).__name__
                raise ValueError(
                    f"expression(z) deve devolver a parte de cada gene, [B, G], com G = {expected[1]}, mas para {n} "
                    f"pontos devolveu {found}."
                )
            return shares

        require_steady("expression", answer)
        shares = answer(2)
        if not (shares.min() >= 0 and (shares.sum(-1) - 1).abs().max() < 1e-2):  # NaN também
            raise ValueError(
                "expression(z) deve devolver proporções, positivas e de soma 1 em cada ponto, mas a soma é "
                f"{number(float(shares[0].sum()), 3)}. De logits, use .softmax(-1)."
            )

    def _decoded_grid(self) -> Tensor:
        axes = [torch.linspace(*limits, _GRID) for limits in self._limits]
        points = torch.cartesian_prod(*axes)
        return _PER * torch.cat(
            [self._expression(part.to(self._device)).float().cpu() for part in points.split(_AT_ONCE)]
        )

    def _start_at(self) -> tuple[float, float]:
        mine = self.means if self._labels is None else self.means[self._labels == self._labels.mode().values]
        start = mine[(mine - mine.median(0).values).norm(dim=1).argmin()]
        return tuple(round(value, 1) for value in start.tolist())

    def _paint_sight(self, panel: Panel, numbers: CellsNumbers) -> None:
        x, y = (np.array([value]) for value in numbers.z.tolist())
        (low, high), (bottom, top) = self._limits
        reach = 0.028 * (high - low), 0.028 * (top - bottom)
        for color, thick in ((style.WHITE, 6), (_HERE, 3)):
            panel.curve(np.concatenate([x - reach[0], x + reach[0]]), np.repeat(y, 2), color, width=thick)
            panel.curve(np.repeat(x, 2), np.concatenate([y - reach[1], y + reach[1]]), color, width=thick)

    def _canvas_of(self, gene: str) -> Canvas:
        if gene not in self._canvases:
            self._canvases[gene] = Canvas(self._frame(gene), [style.BLACK, style.WHITE, _HERE])
        return self._canvases[gene]

    def _frame(self, gene: str) -> Figure:
        """O que não muda com a mira: o mapa na cor do gene, as células, e o gráfico com as médias."""
        fig = Figure(figsize=(_WIDTH / 100, _HEIGHT / 100))
        ax, chart = axes_at(fig, *_MAP), axes_at(fig, *_CHART)
        field = self._field[:, self.genes.index(gene)].reshape(_GRID, _GRID).T.clamp(min=_LOW).log10().numpy()
        extent = (*self._limits[0], *self._limits[1])
        ax.imshow(
            field,
            origin="lower",
            extent=extent,
            aspect="auto",
            cmap=style.SEQUENTIAL,
            interpolation="bilinear",
            vmin=np.log10(_LOW),
            vmax=max(float(field.max()), 1.0),
        )
        self._scatter(ax)
        if self._labels is not None:
            legend = axes_at(fig, 8, _WIDTH - 8, _LEGEND, _HEIGHT)
            legend.axis("off")
            handles, names = ax.get_legend_handles_labels()
            legend.legend(
                handles, names, ncol=5, loc="center", fontsize=8.5, frameon=False, markerscale=1.5, handletextpad=0.1
            )
        ax.set(xlim=self._limits[0], ylim=self._limits[1], xlabel=latent_name(0), ylabel=latent_name(1))
        ax.tick_params(labelsize=8)
        ax.set_title(f"{gene}: mais escuro, mais moléculas", fontsize=11, weight="bold")
        n = len(self.shown)
        chart.hlines(range(n), 0, 1, color=style.MIST, linewidth=1)
        chart.plot(
            [_place(value) for value in self.average.tolist()], range(n), "|", color=_AVERAGE, markersize=15, mew=2
        )
        ticks = [0.1, 1, 10, 100]
        chart.set_xticks([_place(tick) for tick in ticks], [number(tick) for tick in ticks])
        chart.set_yticks(range(n), self.shown)
        chart.get_yticklabels()[self.shown.index(gene)].set_weight("bold")
        chart.tick_params(labelsize=9, length=0)
        chart.set(xlim=(-0.03, _NUMBERS), ylim=(n - 0.5, -0.5))
        chart.spines[["top", "right", "left"]].set_visible(False)
        chart.spines["bottom"].set_bounds(0, 1)
        chart.set_title(f"moléculas esperadas em {_PER}", fontsize=11, weight="bold")
        style.decimal_commas(fig)
        return fig

    def _scatter(self, ax) -> None:
        if self._labels is None:
            ax.scatter(*self.means.T.numpy(), s=9, color=style.BLUE, edgecolors=style.WHITE, linewidths=0.4)
            return
        for label in self._labels.unique().tolist():
            color, mark = style.class_look(label)
            mine = self.means[self._labels == label]
            ax.scatter(
                *mine.T.numpy(),
                s=13,
                color=color,
                marker=mark,
                edgecolors=style.WHITE,
                linewidths=0.4,
                label=self._names[label],
            )


def _place(level: float) -> float:
    """Onde fica, de 0 a 1, numa escala logarítmica de _LOW a 300."""
    return float(within(np.log10(max(level, 1e-12) / _LOW) / np.log10(300 / _LOW), 0.0, 1.0))


def _written(level: float) -> str:
    return f"< {number(_LOW)}" if level < _LOW else style.significant(level, 2) if level < 100 else number(level, 0)


def _limits(means: Tensor) -> tuple[tuple[float, float], tuple[float, float]]:
    """O que o mapa mostra de cada latente: todas as células, com uma margem, em décimos."""
    found = []
    for low, high in zip(means.min(0).values.tolist(), means.max(0).values.tolist(), strict=True):
        margin = 0.06 * (high - low) + 0.1
        found.append((float(np.floor(10 * (low - margin)) / 10), float(np.ceil(10 * (high + margin)) / 10)))
    return tuple(found)


def _shown(genes: list[str], shown: Sequence[str] | None, field: Tensor) -> tuple[str, ...]:
    """Os genes do gráfico: os pedidos ou, entre os que passam de 1 molécula em mil, os que mais variam no mapa."""
    if shown is None:
        spread = field.clamp(min=_LOW).log().std(0)
        spread[field.max(0).values < 1] = -1
        return tuple(genes[i] for i in spread.argsort(descending=True)[:_MOST_SHOWN].tolist())
    unknown = [gene for gene in shown if gene not in genes]
    if unknown or not 1 <= len(shown) <= _MOST_SHOWN or len(set(shown)) < len(shown):
        wrong = f"{unknown[0]!r} não é um deles" if unknown else f"vieram {len(shown)}"
        raise ValueError(f"shown deve ter de 1 a {_MOST_SHOWN} nomes de genes, sem repetir, mas {wrong}.")
    return tuple(shown)


def _controls(start, limits, shown: tuple[str, ...]) -> dict[str, widgets.Widget]:
    controls = {
        f"z{dim}": ExactSlider(
            value=start[dim],
            min=limits[dim][0],
            max=limits[dim][1],
            step=_STEP,
            decimals=2,
            description=latent_name(dim),
            tooltip=f"A coordenada {latent_name(dim)} da mira",
            style={"description_width": "32px"},
            layout={"width": "auto"},
        )
        for dim in range(2)
    }
    controls["gene"] = widgets.Dropdown(
        options=shown,
        value=shown[0],
        description="gene",
        tooltip="O gene que colore o mapa",
        style={"description_width": "44px"},
    )
    return controls
