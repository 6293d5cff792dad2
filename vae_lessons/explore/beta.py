"""O explorador de uma varredura em β: um modelo treinado por posição do controle.

O que se mede em muitas imagens é medido uma vez; a cada movimento se decodificam menos de vinte z.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image
from torch import Tensor

from vae_lessons import style
from vae_lessons.data import Dataset
from vae_lessons.evaluation import kl_per_dimension, posterior_mean_variance, rate_distortion
from vae_lessons.explore.base import Explorer, column, picture, row, text, title
from vae_lessons.explore.canvas import GREYS, SCALE, Canvas, Panel
from vae_lessons.explore.images import Greys, greys_of
from vae_lessons.explore.paths import is_standard_normal
from vae_lessons.models import VAE, evaluating
from vae_lessons.style import latent_name, number, round_sum
from vae_lessons.training import Run

_MEASURED = 1000  # imagens em que se mede; mais que isso só faria esperar
_GENERATED = 500  # imagens sorteadas de um modelo, quando não vêm dados
_SHOWN = 10  # imagens reconstruídas na tela
_TRAVERSAL = torch.linspace(-3, 3, 7)  # em desvios padrão da prior
_ACTIVE = 0.01  # variância da média de q(z|x) acima da qual o latente é uma unidade ativa (Burda et al., 2016)
_SEED = 0
_MOST_NAMES = 12  # latentes com nome embaixo da barra; se houver mais, só o escolhido tem

# Em pixels da tela, contados do canto de cima à esquerda.
_WIDTH, _HEIGHT = 660, 530
_SPLIT, _PICTURES = 126, 270  # onde terminam as reconstruções e o percurso
_CHART = 264  # a largura de cada gráfico
_LABEL = 78  # a coluna dos nomes das linhas
_CELL, _STEP = 56, 58  # o lado das imagens reconstruídas e a distância entre vizinhas
_ORIGINAL_LINE, _MEAN_LINE = 32, 92
_WIDE_CELL, _WIDE_STEP, _WIDE_LINE = 80, 83, _SPLIT + 64

_CHOSEN = style.ORANGE  # o que os controles escolhem, em toda a figura


def explore_beta(sweep: Sequence[Run], data: Dataset | None = None) -> "BetaExplorer":
    """Um explorador da varredura que `fit_many` devolve: ao mover β, troca-se de modelo treinado na hora.

    sweep: uma execução por β ou, havendo sementes, uma por par (β, semente) · data: as imagens a reconstruir, em geral
    as de teste, uint8 ou de ponto flutuante, com ou sem classes. Sem elas, são sorteadas do modelo de β mais próximo de
    1, e o explorador o diz.
    Levanta TypeError se `sweep` não for uma lista de Run, se os modelos não forem VAEs de latentes normais ou se `data`
    não for um Dataset, e ValueError se a varredura não servir (um β só, execuções repetidas ou faltando, modelos de
    tamanhos diferentes), se as imagens não forem as dos modelos ou se algum deles devolver NaN ou infinito.
    """
    runs = _by_beta_and_seed(sweep)
    if data is not None and not isinstance(data, Dataset):
        raise TypeError(
            f"data deve ser um Dataset, mas veio {type(data).__name__}. Use, por exemplo, load('sprites', 'test'), ou "
            "data.from_images, se as imagens são suas, ou não passe data: as imagens serão sorteadas de um dos modelos."
        )
    return BetaExplorer(runs, data)


class BetaNumbers(NamedTuple):
    """O que se vê do modelo de `beta` e `seed`, nos nomes que BetaExplorer explica, e o que os controles escolhem:
    chosen, a imagem de que parte o percurso, e latent, o latente que se percorre, contados de 0; value, o valor dele
    nessa imagem · is_active: quais latentes são unidades ativas."""

    beta: float
    seed: int
    rate: float
    distortion: float
    elbo: float
    kl: Tensor
    is_active: list[bool]
    active: int
    order: list[int]
    chosen: int
    latent: int
    value: float
    reconstructions: Tensor
    traversal: Tensor


class BetaExplorer(Explorer):
    """Do modelo de β escolhido: reconstruções, percurso de um latente, ponto na curva taxa–distorção e KL por latente.

    controls: dicionário nome → ipywidget. Atribuir `.value` no código equivale a mexer na tela.
        "beta"      um dos β treinados
        "seed"      uma das sementes; escondido se só houver uma
        "image"     de qual das imagens na tela, contadas de 1, parte o percurso
        "latent"    que latente se percorre: 1 é o de maior KL no modelo escolhido, 2 o seguinte...
    picture: ipywidgets.Image, PNG · summary: str, os números que estão na tela, numa linha.
    rate = KL(q(z|x) ‖ p(z)) e distortion = −E_q[log p(x|z)], em nats por imagem; elbo = −(rate + distortion);
    kl [Z], em nats; active: quantas são as unidades ativas; order: os latentes, contados de 0, da maior KL à menor;
    reconstructions [10, D] e traversal [7, D]: as médias decodificadas que se veem, em [0, 1].
    x: [N, D], as imagens em que se mediu, no máximo 1000; shown: os índices, em x, das que estão na tela.
    Se o treino binarizava, as imagens são binarizadas (sorteio fixo). Os modelos não são alterados, e o explorador
    supõe que eles fiquem como eram quando foi criado.
    """

    inputs = ("beta", "seed", "image", "latent")
    recorded = (("beta", None), ("seed", None), ("image", (1, 2, 3)), ("latent", None))

    def __init__(self, runs: dict[tuple[float, int], Run], data: Dataset | None):
        self._betas, self._seeds = (sorted(set(values)) for values in zip(*runs, strict=True))
        start = min(self._betas, key=lambda beta: abs(beta - 1))
        first = runs[start, self._seeds[0]]
        self._images = _generated(first) if data is None else _chosen(data, first)
        self.x, self.shown = self._images.x, self._images.shown
        self.image_shape = self._images.greys.image_shape
        self._measured = {key: _measure(run, self.x, self.shown) for key, run in runs.items()}
        self._canvas = Canvas(
            _frame(list(self._measured.values())), [*GREYS, style.GREY, style.SILVER, style.BLUE, _CHOSEN]
        )
        self.picture = picture(_WIDTH, "vae-picture")
        self.caption = text()
        c = self.controls = _controls(self._betas, start, self._seeds, len(self.shown), first.model.latent_dim)
        seeds = " Pontos claros: as outras sementes." if len(self._seeds) > 1 else ""
        notes = (
            "Na segunda linha, z é a média de q(z|x): mostra-se uma média, não uma amostra.",
            "Unidade ativa: a média de q(z|x) varia entre as imagens (variância > 0,01).",
            f"Medidas em {len(self.x)} imagens {self._images.source}.{seeds}",
        )
        model = [title("O modelo"), c["beta"], c["seed"], self.caption]
        path = [title("O percurso de um latente"), c["image"], c["latent"]]
        super().__init__(row(self.picture, column(300, *model, *path, *map(text, notes))))
        self._start()

    def __repr__(self) -> str:
        seeds = f" × {len(self._seeds)} sementes" if len(self._seeds) > 1 else ""
        return f"BetaExplorer({len(self._betas)} valores de β{seeds}, {len(self.x)} imagens {self._images.source})"

    @property
    def summary(self) -> str:
        return " · ".join(f"{name} {value}" for name, value in self._named(self.numbers).items())

    def measure(self, beta: float, seed: int, image: int, latent: int) -> BetaNumbers:
        """image, latent: contados de 1, como nos controles."""
        current = self._measured[beta, seed]
        chosen, latent = image - 1, current.order[latent - 1]
        path = current.codes[chosen].repeat(len(_TRAVERSAL), 1)
        path[:, latent] = _TRAVERSAL
        with evaluating(current.model):
            z = torch.cat([current.codes, path.to(current.codes)]).to(current.model.prior.mean)
            means = current.model.decode(z).mean.cpu()
        reconstructions, traversal = means.split([len(self.shown), len(_TRAVERSAL)])
        return BetaNumbers(
            beta=beta,
            seed=seed,
            rate=current.rate,
            distortion=current.distortion,
            elbo=-(current.rate + current.distortion),
            kl=current.kl,
            is_active=current.is_active,
            active=sum(current.is_active),
            order=current.order,
            chosen=chosen,
            latent=latent,
            value=current.codes[chosen, latent].item(),
            reconstructions=reconstructions,
            traversal=traversal,
        )

    def paint(self, numbers: BetaNumbers) -> Image.Image:
        parts = self._paint_reconstructions(numbers), self._paint_traversal(numbers), self._paint_curve(numbers)
        return self._canvas.image(*parts, *self._paint_bars(numbers))

    def describe(self, numbers: BetaNumbers) -> str:
        named = "; ".join(f"{name} {value}" for name, value in self._named(numbers).items())
        return f"Reconstruções, percurso de {latent_name(numbers.latent)}, taxa e distorção, KL por latente: {named}."

    def _show(self) -> None:
        super()._show()
        self.caption.value = _table(self._named(self.numbers))

    def _named(self, numbers: BetaNumbers) -> dict[str, str]:
        """Os números por extenso, arredondados de modo que as somas, como estão escritas, deem certo."""
        total, distortion, rate = round_sum(numbers.distortion, numbers.rate, decimals=2)
        return {
            "β": number(numbers.beta),
            **({"semente": str(numbers.seed)} if len(self._seeds) > 1 else {}),
            "taxa R": f"{number(rate, 2)} nats",
            "distorção D": f"{number(distortion, 2)} nats",
            "ELBO = −(D + R)": f"{number(-total, 2)} nats",
            "perda D + βR": f"{number(distortion + numbers.beta * rate, 2)} nats",
            "unidades ativas": f"{numbers.active} de {len(numbers.kl)}",
        }

    def _paint_reconstructions(self, numbers: BetaNumbers) -> Panel:
        """Em cima as originais, embaixo as médias decodificadas; uma moldura na imagem escolhida."""
        panel = self._canvas.panel(0)
        for line, images in ((_ORIGINAL_LINE, self.x[self.shown]), (_MEAN_LINE, numbers.reconstructions)):
            for place, grey in enumerate(self._images.greys.levels(images)):
                panel.picture(_LABEL + (place + 0.5) * _STEP, line, grey, side=_CELL)
        left, top, bottom = _LABEL + numbers.chosen * _STEP, _ORIGINAL_LINE - 30, _MEAN_LINE + 30
        panel.curve(*_outline(left, left + _STEP, top, bottom), _CHOSEN, width=3)
        return panel

    def _paint_traversal(self, numbers: BetaNumbers) -> Panel:
        """As médias decodificadas ao longo do latente e, embaixo, uma seta onde a imagem escolhida está."""
        panel, name, value = self._canvas.panel(1), latent_name(numbers.latent), numbers.value
        others = f"os outros latentes como na imagem {numbers.chosen + 1}, que tem {name} = {number(value, 2)}"
        panel.text(_LABEL, _SPLIT + 16, f"{name} de −3 a 3; {others}", style.BLACK, size=13)
        for place, grey in enumerate(self._images.greys.levels(numbers.traversal)):
            center = _LABEL + (place + 0.5) * _WIDE_STEP
            panel.picture(center, _WIDE_LINE, grey, side=_WIDE_CELL)
            at = number(_TRAVERSAL[place], 0)
            panel.text(center, _WIDE_LINE + 61, at, style.BLACK, anchor="ms", size=12)
        across, tip = _LABEL + (min(max(value, -3.45), 3.45) + 3.5) * _WIDE_STEP, _WIDE_LINE + 41
        corners = np.array([across - 6, across, across + 6]), np.array([tip + 9, tip, tip + 9])
        panel.area(*corners, _CHOSEN, base=tip + 9)
        return panel

    def _paint_curve(self, numbers: BetaNumbers) -> Panel:
        """Um ponto por modelo, a linha dos que têm a semente escolhida e o modelo escolhido em destaque."""
        panel = self._canvas.panel(2)
        everyone = np.array([(m.rate, m.distortion) for m in self._measured.values()])
        line = (self._measured[beta, numbers.seed] for beta in self._betas)
        curve = np.array([(m.rate, m.distortion) for m in line])
        panel.dots(*everyone.T, style.SILVER, radius=4)
        panel.curve(*curve.T, style.GREY, width=1.5)
        panel.dots(*curve.T, style.GREY, radius=4)
        here = self._betas.index(numbers.beta)
        panel.dots(*curve[here, :, None], _CHOSEN, radius=8)
        self._name_points(panel, curve, here)
        return panel

    def _name_points(self, panel: Panel, curve: np.ndarray, here: int) -> None:
        """O β de cada ponto; os que ficariam uns sobre os outros dividem um nome só, ao lado do primeiro deles."""
        places, groups = panel.on_screen(*curve.T), []
        last_on_left = panel.image.width / SCALE - 64
        for i in sorted(range(len(curve)), key=lambda i: i != here):
            near = [g for g in groups if (np.abs(places[i] - places[g[0]]) / (48, 22)).max() < 1]
            near[0].append(i) if near else groups.append([i])
        for first, *others in groups:
            on_left = places[first, 0] < last_on_left
            anchor, offset = ("ls", (8, -8)) if on_left else ("rs", (8, -10))
            names = [number(self._betas[i]) for i in sorted(others)]
            if first == here:
                name = f"β = {number(self._betas[here])}"
                panel.text(*curve[here], name, _CHOSEN, anchor=anchor, offset=offset, size=15, bold=True)
                if names:
                    above = offset[0], offset[1] - 18
                    panel.text(*curve[here], f"e {' e '.join(names)}", style.GREY, anchor=anchor, offset=above, size=12)
            else:
                words = " e ".join(number(self._betas[i]) for i in sorted([first, *others]))
                panel.text(*curve[first], words, style.GREY, anchor=anchor, offset=offset, size=12)

    def _paint_bars(self, numbers: BetaNumbers) -> tuple[Panel, Panel]:
        """A KL de cada latente, da maior à menor, com moldura na do escolhido; embaixo, os nomes."""
        bars, names, order = self._canvas.panel(3), self._canvas.panel(4), numbers.order
        least = 0.01 * bars.height_in_units  # por menor que seja a KL, a barra se vê
        for place, j in enumerate(order, start=1):
            height = max(numbers.kl[j].item(), least)
            bars.bar(place - 0.38, place + 0.38, 0, height, style.BLUE if numbers.is_active[j] else style.SILVER)
            if j == numbers.latent:
                bars.curve(*_outline(place - 0.42, place + 0.42, height, 0), _CHOSEN, width=3)
            if j == numbers.latent or len(order) <= _MOST_NAMES:
                color, bold = (_CHOSEN, True) if j == numbers.latent else (style.BLACK, False)
                names.text(place, 0.2, latent_name(j), color, anchor="ms", size=12, bold=bold)
        right, top = len(order) + 0.5, bars.height_in_units
        count = f"{numbers.active} de {len(order)} unidades ativas"
        bars.text(right, top, count, style.BLUE, anchor="rs", offset=(0, 14), size=13, bold=True)
        bars.text(right, top, "em cinza, as inativas", style.GREY, anchor="rs", offset=(0, 31), size=12)
        return bars, names


class _Images(NamedTuple):
    """x: [N, D], as imagens em que se mede · greys: como se desenham · shown: os índices das que vão à tela ·
    source: de onde vieram."""

    x: Tensor
    greys: Greys
    shown: Tensor
    source: str


class _Measured(NamedTuple):
    """Um modelo e o que dele se mede uma vez. order: os latentes da maior KL à menor · codes: as médias de q(z|x) das
    imagens que vão à tela, [10, Z]."""

    model: VAE
    rate: float
    distortion: float
    kl: Tensor
    is_active: list[bool]
    order: list[int]
    codes: Tensor


def _measure(run: Run, x: Tensor, shown: Tensor) -> _Measured:
    model, x = run.model, x.to(run.model.prior.mean)
    with evaluating(model):
        codes = model.encode(x[shown]).mean.cpu()
        rate, distortion = rate_distortion(model, x, seed=_SEED)
        kl = kl_per_dimension(model, x).cpu()
        is_active = (posterior_mean_variance(model, x) > _ACTIVE).tolist()
    if not math.isfinite(rate + distortion):
        raise ValueError(
            f"O modelo de {_describe(run)} devolveu NaN ou infinito. Tire-o da varredura, ou treine-o de novo."
        )
    return _Measured(model, rate, distortion, kl, is_active, kl.argsort(descending=True, stable=True).tolist(), codes)


def _chosen(data: Dataset, run: Run) -> _Images:
    """Imagens de `data`, todas ou, se forem muitas, ao acaso, binarizadas se o treino binarizava; para a tela,
    espalhadas pelas classes."""
    n_pixels = _n_pixels(run.model)
    if data.x.shape[1] != n_pixels:
        raise ValueError(
            f"Os modelos foram feitos para imagens de {n_pixels} pixels, mas {data.name!r} tem x de forma "
            f"{tuple(data.x.shape)} e image_shape {data.image_shape}. Use os dados com que foram treinados."
        )
    greys = greys_of(data)
    drawn = torch.arange(len(data))  # se cabem todas, na ordem dos dados: o sorteio é o de rate_distortion(model, data)
    if len(data) > _MEASURED:
        drawn = torch.randperm(len(data), generator=torch.Generator().manual_seed(_SEED))[:_MEASURED]
    x = data.batch(data.x.cpu()[drawn], "none" if run.config.binarize == "none" else "static")
    in_order = torch.arange(len(drawn)) if data.y is None else data.y.cpu()[drawn].argsort(stable=True)
    n_shown = min(_SHOWN, len(drawn))
    spread = (torch.arange(n_shown) + 0.5) * len(drawn) / n_shown
    return _Images(x, greys, in_order[spread.long()], f"de {data.name!r}")


def _generated(run: Run) -> _Images:
    """Amostras de p(x|z), com z ~ p(z)."""
    n_pixels = _n_pixels(run.model)
    side = math.isqrt(n_pixels)
    if side**2 != n_pixels:
        raise ValueError(
            f"As imagens destes modelos têm D = {n_pixels} pixels, que não é o quadrado de um inteiro, e não se sabe "
            "desenhá-las. Passe também os dados, que dizem a forma: explore_beta(sweep, data)."
        )
    generator = torch.Generator(run.model.prior.mean.device).manual_seed(_SEED)
    with evaluating(run.model):
        x = run.model.sample(_GENERATED, generator=generator).cpu()
    return _Images(x, Greys((side, side)), torch.arange(_SHOWN), f"sorteadas do modelo de {_describe(run)}")


def _by_beta_and_seed(sweep: Sequence[Run]) -> dict[tuple[float, int], Run]:
    if isinstance(sweep, Run) or not isinstance(sweep, list | tuple):
        raise TypeError(
            f"explore_beta espera a lista de execuções que fit_many devolve, mas veio {type(sweep).__name__}."
        )
    for run in sweep:
        if not isinstance(run, Run):
            raise TypeError(
                "Cada item da varredura deve ser um Run(model, history, config), como fit_many devolve, mas veio "
                f"{type(run).__name__}."
            )
        if not isinstance(run.model, VAE) or not is_standard_normal(run.model.prior):
            prior = f" com prior {type(run.model.prior).__name__}" if isinstance(run.model, VAE) else ""
            raise TypeError(
                "explore_beta percorre latentes normais, e os modelos devem ser VAEs (vae_lessons.models.VAE) de prior "
                f"N(0, I), mas veio {type(run.model).__name__}{prior}."
            )
    runs = {}
    for run in sweep:
        key = run.config.beta, run.config.seed
        if key in runs:
            raise ValueError(
                f"Há mais de uma execução com {_describe(run)}. Deixe uma só: o explorador as distingue por β e pela "
                "semente."
            )
        runs[key] = run
    _require_comparable(runs)
    return runs


def _require_comparable(runs: dict[tuple[float, int], Run]) -> None:
    betas, seeds = ({key[i] for key in runs} for i in (0, 1))
    if len(betas) < 2:
        raise ValueError(
            "São precisos ao menos dois valores de β para comparar, mas a varredura tem "
            + (f"só β = {number(*betas)}" if betas else "zero execuções")
            + '. Treine uma com fit_many(..., sweep={"beta": [0.5, 1, 4]}).'
        )
    missing = [(beta, seed) for beta in sorted(betas) for seed in sorted(seeds) if (beta, seed) not in runs]
    if missing:
        raise ValueError(
            "Todo β deve ter as mesmas sementes, mas faltam as execuções de "
            + "; ".join(f"β = {number(beta)} com semente {seed}" for beta, seed in missing)
            + "."
        )
    for name, values in {
        "número de latentes": [run.model.latent_dim for run in runs.values()],
        "número de pixels": [_n_pixels(run.model) for run in runs.values()],
        "modo de binarização": [run.config.binarize for run in runs.values()],
    }.items():
        if len(different := sorted(set(values))) > 1:
            raise ValueError(
                f"Os modelos da varredura devem ter todos o mesmo {name}, mas vieram {', '.join(map(str, different))}: "
                "não se comparam nas mesmas imagens."
            )


def _controls(
    betas: list[float], start: float, seeds: list[int], n_images: int, n_latents: int
) -> dict[str, widgets.Widget]:
    slider = {"style": {"description_width": "104px"}, "layout": {"width": "auto"}}
    controls = {
        "beta": widgets.SelectionSlider(
            options=[(number(beta), beta) for beta in betas],
            value=start,
            description="β",
            tooltip="O peso da KL na perda com que o modelo foi treinado",
            **slider,
        ),
        "seed": widgets.SelectionSlider(
            options=seeds, description="semente", tooltip="A semente com que o modelo foi treinado", **slider
        ),
        "image": widgets.IntSlider(
            min=1, max=n_images, description="imagem", tooltip="De que imagem parte o percurso", **slider
        ),
        "latent": widgets.IntSlider(
            min=1,
            max=n_latents,
            description="latente, por KL",
            tooltip="Que latente percorrer, do de maior KL (1) ao de menor",
            **slider,
        ),
    }
    if len(seeds) == 1:
        controls["seed"].layout.display = "none"
    return controls


def _frame(models: list[_Measured]) -> Figure:
    """O que não muda: os nomes das linhas e os eixos, com escalas que servem a todos os modelos."""
    fig = Figure(figsize=(_WIDTH / 100, _HEIGHT / 100))
    for top, bottom in ((0, _SPLIT), (_SPLIT, _PICTURES)):
        _axes(fig, 0, _WIDTH, top, bottom).set(xlim=(0, _WIDTH), ylim=(bottom, top))
        fig.axes[-1].axis("off")
    for ax, name, y in ((0, "original", _ORIGINAL_LINE), (0, "média de\np(x|z)", _MEAN_LINE)):
        fig.axes[ax].text(_LABEL - 8, y, name, ha="right", va="center", fontsize=9.5)
    fig.axes[1].text(_LABEL - 8, _WIDE_LINE, "média de\np(x|z)", ha="right", va="center", fontsize=9.5)

    edges = 58, 58 + _CHART, _PICTURES + 24, _HEIGHT - 46
    curve = _axes(fig, *edges)
    for axis, values in ((curve.xaxis, [m.rate for m in models]), (curve.yaxis, [m.distortion for m in models])):
        low, high = min(values), max(values)
        margin = 0.1 * (high - low) or 1.0
        axis.set_view_interval(low - margin, high + 1.4 * margin, ignore=True)
        axis.set_major_locator(MaxNLocator(5))
    curve.set(xlabel="taxa R (nats)", ylabel="distorção D (nats)")
    style.decimal_commas(fig)
    missing = 2 - curve.get_tightbbox().x0 * 100 / fig.dpi  # à esquerda, para números compridos
    if missing > 0:
        curve.set_position(_rectangle(edges[0] + missing, *edges[1:]))
    curve.set_title("Taxa e distorção: um ponto por modelo", fontsize=10.5)

    n_latents, tallest = len(models[0].kl), max(m.kl.max().item() for m in models)
    bars = _axes(fig, _WIDTH - _CHART - 6, _WIDTH - 6, _PICTURES + 24, _HEIGHT - 46)
    bars.set(xlim=(0.5, n_latents + 0.5), ylim=(0, 1.12 * tallest or 1.0), xticks=[], ylabel="KL (nats)")
    bars.yaxis.set_major_locator(MaxNLocator(5))
    bars.set_title("KL de cada latente, em ordem", fontsize=10.5)
    names = _axes(fig, _WIDTH - _CHART - 6, _WIDTH - 6, _HEIGHT - 46, _HEIGHT - 24)
    names.set(xlim=(0.5, n_latents + 0.5), ylim=(0, 1))
    names.axis("off")
    for ax in (curve, bars):
        ax.spines[["top", "right"]].set_visible(False)
    return fig


def _axes(fig: Figure, left: float, right: float, top: float, bottom: float) -> Axes:
    """Eixos no retângulo dado em pixels da tela."""
    return fig.add_axes(_rectangle(left, right, top, bottom))


def _rectangle(left: float, right: float, top: float, bottom: float) -> tuple[float, float, float, float]:
    """De pixels da tela para as frações da figura que o matplotlib pede."""
    return left / _WIDTH, 1 - bottom / _HEIGHT, (right - left) / _WIDTH, (bottom - top) / _HEIGHT


def _outline(left: float, right: float, top: float, bottom: float) -> tuple[np.ndarray, np.ndarray]:
    return np.array([left, right, right, left, left]), np.array([top, top, bottom, bottom, top])


def _table(numbers: dict[str, str]) -> str:
    cell = '<td style="padding: 0 12px 0 0; text-align: {}">{}</td>'
    rows = (cell.format("left", name) + cell.format("right", value) for name, value in numbers.items())
    return "<table><tr>" + "</tr><tr>".join(rows) + "</tr></table>"


def _n_pixels(model: VAE) -> int:
    with evaluating(model):
        return model.decode(model.prior.mean[None]).mean.shape[-1]


def _describe(run: Run) -> str:
    return f"β = {number(run.config.beta)} e semente {run.config.seed}"
