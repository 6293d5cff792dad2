"""O explorador do k-médias em duas dimensões: os códigos andam, passo a passo, para o meio dos seus pontos.

Todos os passos são calculados uma vez; a cada movimento só se pinta o mapa.
"""

from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from vae_lessons import style
from vae_lessons.explore import voronoi
from vae_lessons.explore.base import Explorer, column, picture, row, text, title
from vae_lessons.explore.calls import checked_rows
from vae_lessons.explore.canvas import Canvas, Panel, axes_at
from vae_lessons.explore.pointing import pointable, within
from vae_lessons.style import number

_SHOWN = 800  # pontos desenhados; nas contas entram todos
_SEED = 0

# Em pixels da tela, contados do canto de cima à esquerda.
_WIDTH, _HEIGHT = 660, 430
_MAP, _TOP = 390, 30  # o lado do mapa e onde começa
_CURVE = 462, 650, 60, 250  # esquerda, direita, alto e pé do gráfico do erro

_LABEL = "O mapa e o erro: arraste o ponto do gráfico do erro, ou use as setas do teclado, para mudar de passo."
_ALIVE, _DEAD, _POINT = style.BLUE, style.GREY, style.SKY


def explore_kmeans(points: Tensor, codebook: Tensor, *, steps: int = 20) -> "KMeansExplorer":
    """Um explorador do k-médias: os pontos, as regiões dos códigos e cada passo, com os códigos mortos em cinza.

    points: [N, 2] · codebook: [K, 2], onde os códigos começam · steps: quantos passos se podem dar.
    Um passo leva cada código à média dos pontos da sua região. O que não tem pontos está morto e fica onde está, ou,
    se se pedir, recomeça num ponto sorteado.
    Levanta TypeError se não forem tensores e ValueError se as formas não forem essas ou houver NaN ou infinito.
    """
    points, codebook = checked_rows("points", points), checked_rows("codebook", codebook)
    for name, values in (("points", points), ("codebook", codebook)):
        if values.shape[1] != 2:
            raise ValueError(
                f"{name} deve ter duas colunas, para caber num mapa, mas veio {tuple(values.shape)}. Escolha duas, "
                "ou projete nas duas primeiras componentes principais."
            )
    if not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps deve ser o número de passos, um inteiro a partir de 1, mas veio {steps!r}.")
    return KMeansExplorer(points.double().numpy(), codebook.double().numpy(), steps)


class KMeansNumbers(NamedTuple):
    """step: quantos passos se deram · codebook [K, 2]: onde estão os códigos · before [K, 2]: onde estavam um passo
    antes · counts [K]: os pontos de cada um · error: a média, nos pontos, do quadrado da distância ao código mais
    próximo · perplexity: exp da entropia, em nats, do uso dos códigos · errors: o erro a cada passo, desde o começo."""

    step: int
    codebook: np.ndarray
    before: np.ndarray
    counts: np.ndarray
    error: float
    perplexity: float
    errors: np.ndarray


class KMeansExplorer(Explorer):
    """O mapa dos pontos e dos códigos depois de alguns passos do k-médias e, ao lado, o erro a cada passo.

    controls: dicionário nome → ipywidget. Atribuir `.value` no código equivale a mexer na tela.
        "step"      quantos passos se deram
        "restart"   "ficam": código sem pontos fica onde está · "recomeçam": vai para um ponto sorteado (sorteio fixo)
    O ponto do gráfico do erro também se arrasta; as setas do teclado andam de passo em passo.
    picture: ipywidgets.Image, PNG · codebook, counts, error, perplexity...: como em KMeansNumbers.
    """

    inputs = ("step", "restart")
    recorded = (("restart", None), ("step", None))

    def __init__(self, points: np.ndarray, codebook: np.ndarray, steps: int):
        self.points = points
        self._paths = {kind: _path(points, codebook, steps, restart=kind == "recomeçam") for kind in _DEAD_CODES}
        places = np.concatenate([codebooks.reshape(-1, 2) for codebooks, *_ in self._paths.values()])
        self._limits = voronoi.frame(points, places)
        greys = [style.BLACK, style.WHITE, style.GREY, style.SILVER, style.MIST]
        self._canvas = Canvas(self._frame(steps), [*greys, _ALIVE, _POINT, style.ORANGE])
        self.picture = picture(_WIDTH, "vae-picture")
        self.caption = text()
        c = self.controls = _controls(steps)
        explanation = text(
            "A cada passo, todo código vai à média dos pontos da sua região; depois, as regiões se refazem. "
            "Na figura, o ponto do gráfico se arrasta."
        )
        walk = [title("Os passos"), c["step"], explanation]
        dead = [title("Códigos sem pontos"), c["restart"], self.caption]
        hand = pointable(self.picture, _LABEL, size=(_WIDTH, _HEIGHT), at=self._point, keys=self._step)
        super().__init__(row(hand, column(300, *walk, *dead)))
        self._start()

    def __repr__(self) -> str:
        n_codes = len(self._paths["ficam"][0][0])
        return f"KMeansExplorer({len(self.points)} pontos, {n_codes} códigos)"

    def measure(self, *, step: int, restart: str) -> KMeansNumbers:
        codebooks, counts, errors = self._paths[restart]
        share = counts[step] / counts[step].sum()
        used = share[share > 0]
        return KMeansNumbers(
            step=step,
            codebook=codebooks[step],
            before=codebooks[max(step - 1, 0)],
            counts=counts[step],
            error=float(errors[step]),
            perplexity=float(np.exp(-(used * np.log(used)).sum())),
            errors=errors,
        )

    def paint(self, numbers: KMeansNumbers) -> Image.Image:
        return self._canvas.image(self._paint_map(numbers), self._paint_error(numbers), self._paint_words(numbers))

    def describe(self, numbers: KMeansNumbers) -> str:
        return (
            f"Mapa de {len(self.points)} pontos e {len(numbers.counts)} códigos depois de {numbers.step} "
            f"passo{'' if numbers.step == 1 else 's'} do k-médias: {_dead_words(numbers)}; "
            f"erro {number(numbers.error, 4)}, perplexidade {number(numbers.perplexity, 1)}."
        )

    def _show(self) -> None:
        super()._show()
        n = self.numbers
        self.caption.value = (
            f"{_dead_words(n).capitalize()}. A perplexidade, {number(n.perplexity, 1)}, é quantos códigos, usados por "
            "igual, dariam a mesma entropia."
        )

    def _point(self, x: float, y: float) -> None:
        """No gráfico do erro, vai ao passo daquele lugar."""
        left, right, top, bottom = _CURVE
        if left - 10 <= x <= right + 10 and top <= y <= bottom + 20:
            self._go(round(self._canvas.panel(1).units(x, y)[0]))

    def _step(self, right: int, down: int) -> None:
        self._go(self.controls["step"].value + right + down)

    def _go(self, step: int) -> None:
        self.controls["step"].value = int(within(step, 0, self.controls["step"].max))

    def _paint_map(self, numbers: KMeansNumbers) -> Panel:
        panel, dead = self._canvas.panel(0), numbers.counts == 0
        side = _MAP if len(dead) <= 64 else _MAP // 2
        regions = voronoi.regions(numbers.codebook, *self._limits, (side, side))
        panel.mask(dead[regions], style.MIST)
        panel.mask(voronoi.borders(regions), style.SILVER)
        panel.dots(*self.points[:: -(-len(self.points) // _SHOWN)].T, _POINT, radius=1.5)
        for before, now in zip(numbers.before, numbers.codebook, strict=True):
            if (before != now).any():
                panel.curve(*np.stack([before, now]).T, style.BLACK, width=1.5)
        low, high = np.array(self._limits).T
        margin = 0.012 * (high - low)  # quem está fora do mapa aparece na borda
        places, radius = numbers.codebook.clip(low + margin, high - margin), max(3.0, 6 - len(dead) / 24)
        panel.dots(*places[dead].T, _DEAD, radius=radius)
        panel.dots(*places[~dead].T, style.WHITE, radius=radius + 1.5)
        panel.dots(*places[~dead].T, _ALIVE, radius=radius)
        return panel

    def _paint_error(self, numbers: KMeansNumbers) -> Panel:
        panel = self._canvas.panel(1)
        steps = np.arange(len(numbers.errors))
        panel.curve(steps, numbers.errors, style.SILVER, width=2)
        panel.curve(steps[: numbers.step + 1], numbers.errors[: numbers.step + 1], _ALIVE, width=3)
        panel.dots(steps[[numbers.step]], numbers.errors[[numbers.step]], style.ORANGE, radius=6)
        return panel

    def _paint_words(self, numbers: KMeansNumbers) -> Panel:
        panel = self._canvas.panel(2)
        n_dead = int((numbers.counts == 0).sum())
        lines = (
            ("passo", number(numbers.step), style.BLACK),
            ("erro", number(numbers.error, 4), style.ORANGE),
            ("códigos em uso", f"{len(numbers.counts) - n_dead} de {len(numbers.counts)}", _ALIVE),
            ("mortos", number(n_dead), style.GREY),
            ("perplexidade", number(numbers.perplexity, 1), style.BLACK),
        )
        for i, (name, value, color) in enumerate(lines):
            panel.text(0.02, 0.86 - 0.2 * i, name, style.BLACK, size=13)
            panel.text(0.98, 0.86 - 0.2 * i, value, color, anchor="rs", size=13, bold=True)
        return panel

    def _frame(self, steps: int) -> Figure:
        fig = Figure(figsize=(_WIDTH / 100, _HEIGHT / 100))

        plane = axes_at(fig, 6, 6 + _MAP, _TOP, _TOP + _MAP)
        plane.set(xlim=self._limits[0], ylim=self._limits[1], xticks=[], yticks=[])
        plane.spines[:].set_color(style.SILVER)
        plane.set_title("cada ponto é do código mais próximo", fontsize=11, weight="bold", pad=6)
        left, right, top, bottom = _CURVE
        curve = axes_at(fig, left, right, top, bottom)
        errors = np.concatenate([path[2] for path in self._paths.values()])
        curve.set(xlim=(-0.04 * steps, 1.04 * steps), ylim=(0, 1.1 * errors.max() or 1.0), xlabel="passo")
        curve.locator_params(nbins=5, integer=False)
        curve.xaxis.get_major_locator().set_params(integer=True)
        curve.spines[["top", "right"]].set_visible(False)
        curve.set_title("erro: distância² média\nao código mais próximo", fontsize=10)
        words = axes_at(fig, left - 40, right, bottom + 52, _HEIGHT - 6)
        words.set(xlim=(0, 1), ylim=(0, 1))
        words.axis("off")
        style.decimal_commas(fig)
        return fig


_DEAD_CODES = ("ficam", "recomeçam")


def _path(points: np.ndarray, codebook: np.ndarray, steps: int, *, restart: bool):
    """Os códigos [T+1, K, 2], quantos pontos são de cada um [T+1, K] e o erro [T+1], do começo ao passo `steps`."""
    generator = np.random.default_rng(_SEED)
    codebooks, counts, errors = [codebook], [], []
    for _ in range(steps + 1):
        codebook = codebooks[-1]
        owner = voronoi.nearest(points, codebook)
        counts.append(np.bincount(owner, minlength=len(codebook)))
        errors.append(np.square(points - codebook[owner]).sum(1).mean())
        sums = np.stack([np.bincount(owner, weights, len(codebook)) for weights in points.T], axis=1)
        alive = counts[-1] > 0
        moved = codebook.copy()
        moved[alive] = sums[alive] / counts[-1][alive, None]
        if restart:
            moved[~alive] = points[generator.integers(len(points), size=int((~alive).sum()))]
        codebooks.append(moved)
    return np.stack(codebooks[:-1]), np.stack(counts), np.array(errors)


def _dead_words(numbers: KMeansNumbers) -> str:
    n_dead = int((numbers.counts == 0).sum())
    return "nenhum código morto" if n_dead == 0 else "1 código morto" if n_dead == 1 else f"{n_dead} códigos mortos"


def _controls(steps: int) -> dict[str, widgets.Widget]:
    return {
        "step": widgets.IntSlider(
            value=0,
            max=steps,
            description="passo",
            tooltip="Quantos passos do k-médias se deram",
            style={"description_width": "46px"},
            layout={"width": "auto"},
        ),
        "restart": widgets.ToggleButtons(
            options=list(_DEAD_CODES),
            tooltip="códigos sem pontos",
            tooltips=["Um código sem pontos fica onde está", "Um código sem pontos vai para um ponto sorteado"],
            style={"button_width": "104px"},
        ),
    }
