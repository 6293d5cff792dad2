"""O explorador do VAE condicional: o estilo é z, a classe é y, e o mesmo z se escreve em todas as classes.

As imagens são codificadas uma vez; a cada movimento se decodifica um z, uma vez por classe.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from ipywidgets import Layout
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image
from torch import Tensor

from vae_lessons import style
from vae_lessons.data import Dataset
from vae_lessons.explore.base import Explorer, column, picture, row, text, title
from vae_lessons.explore.calls import quiet, require_steady
from vae_lessons.explore.canvas import GREYS, Canvas, Panel
from vae_lessons.explore.images import greys_of
from vae_lessons.explore.pointing import pointable, within
from vae_lessons.explore.sliders import ExactSlider
from vae_lessons.plotting import class_labels
from vae_lessons.style import latent_name, number

_OFFERED = 500  # imagens entre as quais se escolhe
_AT_ONCE = 1024  # imagens codificadas de uma vez: limita a memória
_MOST_SHOWN = 16  # latentes na faixa de baixo, os mais ativos
_STEP = 0.1  # dos controles, em unidades de z
_SEED = 0

# Em pixels da tela, contados do canto de cima à esquerda.
_WIDTH = 660
_SIDE, _MIDDLE = 140, 76  # a imagem original e o meio dela
_LEFT, _RIGHT = 176, 656  # onde começam e terminam as classes
_TITLE, _TOP, _NAME = 16, 28, 22  # o título, o alto das imagens e a altura do nome de cada classe
_STRIP = 130  # a faixa dos latentes, com os nomes

_LABEL = (
    "As classes e z: arraste um ponto da faixa de baixo. Pelo teclado, as setas para os lados trocam de imagem, e as "
    "outras movem o latente mais ativo."
)
_CHOSEN = style.ORANGE  # a classe da imagem, e z


def explore_style(
    encode: Callable,
    decode: Callable,
    data: Dataset,
    *,
    latent_dim: int,
    class_names: Sequence[str] | None = None,
) -> "StyleExplorer":
    """Um explorador de um VAE condicional: o mesmo z decodificado em todas as classes.

    encode: (x [B, D], y int64 [B]) → uma Normal em z [B, Z] · decode: (z [B, Z], y int64 [B]) → a verossimilhança, de
    média `.mean` [B, D] · data: imagens, em geral as de teste, e as classes delas; uint8 chega a `encode` em tons de
    cinza, de 0 a 1, e ponto flutuante, como está · latent_dim: Z · class_names: class_names[k] é o nome da classe k.
    As classes vão de 0 à maior de data.y. Um módulo, ou um método de um, é chamado em modo de avaliação.
    Levanta TypeError se `encode` ou `decode` não forem funções, ou `data` não for um Dataset, e ValueError se faltarem
    as classes, se as formas não forem essas, se houver NaN ou infinito ou se as funções não derem sempre a mesma
    resposta, como acontece com um modelo em modo de treino.
    """
    if not isinstance(data, Dataset):
        raise TypeError(
            f"explore_style espera um Dataset, que sabe a forma das imagens, mas veio {type(data).__name__}. "
            'Use, por exemplo, load("mnist_5k", "test"), ou data.from_images(imagens, classes), se são suas.'
        )
    if data.y is None:
        raise ValueError(
            f"explore_style precisa da classe de cada imagem, mas {data.name!r} não tem y. "
            "Passe um Dataset com y int64 [N]."
        )
    if not isinstance(latent_dim, int) or latent_dim < 1:
        raise ValueError(
            f"latent_dim deve ser o número de latentes, um inteiro a partir de 1, mas veio {latent_dim!r}."
        )
    return StyleExplorer(encode, decode, data, latent_dim, class_names)


class StyleNumbers(NamedTuple):
    """index, label: a imagem e a classe dela; None em z sorteado · start [Z]: o código de que se parte · z [Z]: onde se
    está · images [K, D]: a média decodificada de z em cada classe."""

    index: int | None
    label: int | None
    start: Tensor
    z: Tensor
    images: Tensor


class StyleExplorer(Explorer):
    """Uma imagem, o código z dela e o que z decodifica em cada classe.

    controls: dicionário nome → ipywidget. Atribuir `.value` no código (ou chamar `.click()`) equivale a mexer na tela.
        "index"             qual das imagens, contadas de 0, se codifica; no máximo as 500 primeiras
        "dz0", "dz1", ...   quanto se anda em cada latente a partir do código, contados de 0 como no código; na tela
                            são Δz₁, Δz₂, ..., do latente mais ativo ao menos ativo
        "code"              botão: volta ao código da imagem, com todos os Δz em zero
        "random"            botão: parte de z ~ N(0, I), e não do código de uma imagem; a sequência é sempre a mesma
    Os pontos da faixa de baixo, na figura, também se arrastam; as setas para os lados trocam de imagem.
    picture: ipywidgets.Image, PNG · index, label, start, z, images: como em StyleNumbers · codes [N, Z]: as médias de
    q(z|x, y) · order: os latentes, do mais ativo ao menos.
    Os controles de Δz alcançam três desvios padrão dos códigos: da média deles e, dentro de cada um, da variância de q.
    """

    def __init__(
        self,
        encode: Callable,
        decode: Callable,
        data: Dataset,
        latent_dim: int,
        class_names: Sequence[str] | None = None,
    ):
        self._greys, self._names = greys_of(data), class_labels(data.y, class_names)
        self._encode, self._decode = quiet("encode", encode), quiet("decode", decode)
        self.data = data
        self.codes, spread, activity = self._encoded(latent_dim)
        self._require_pictures()
        self.order = activity.argsort(descending=True, stable=True).tolist()
        self._canvas = Canvas(self._frame(), [*GREYS, style.GREY, _CHOSEN])

        one_of_each = [int((data.y[:_OFFERED] == k).int().argmax()) for k in data.y[:_OFFERED].unique()]
        self.recorded = (
            ("index", tuple(sorted(one_of_each))),
            (f"dz{self.order[0]}", _walk(spread[self.order[0]].item())),
        )
        self.picture = picture(_WIDTH, "vae-picture")
        shifts = {f"dz{dim}": _shift(dim, spread[dim].item(), activity[dim].item()) for dim in self.order}
        c = self.controls = {"index": self._chooser(), **shifts, **_buttons()}
        self.inputs = ("index", *shifts)
        sliders = widgets.VBox(
            [slider.with_number() for slider in shifts.values()],
            layout=Layout(max_height="216px", overflow="hidden auto", align_self="stretch"),
        )
        ranking = [text("Do latente mais ativo ao menos:")] if latent_dim > 1 else []
        image = [title("A imagem que se codifica"), c["index"]]
        note = text("Na figura, os pontos da faixa de baixo se arrastam.")
        walk = [title("Andar a partir do código"), *ranking, sliders, row(c["code"], c["random"]), note]
        hand = pointable(self.picture, _LABEL, size=self._canvas.size, at=self._point, keys=self._step)
        super().__init__(row(hand, column(300, *image, *walk)))
        c["index"].observe(self._encode_chosen, "value")
        c["code"].on_click(lambda _: self._go(0))
        c["random"].on_click(lambda _: self._go(self._draw + 1))
        self._start()

    def __repr__(self) -> str:
        return f"StyleExplorer({len(self._names)} classes, latent_dim={self.codes.shape[1]}, {self.data.name!r})"

    def values(self) -> dict:
        return {**super().values(), "draw": self._draw}

    def measure(self, *, index: int, draw: int = 0, **dz: float) -> StyleNumbers:
        """dz0, dz1, ...: quanto se anda em cada latente · draw: 0, o código da imagem; 1, 2, ..., os z sorteados."""
        start = self.codes[index]
        if draw:
            start = torch.randn(start.shape, generator=torch.Generator().manual_seed(_SEED + draw)).to(start)
        z = start + torch.tensor([dz[f"dz{dim}"] for dim in range(len(start))]).to(start)
        chosen = (None, None) if draw else (index, int(self.data.y[index]))
        return StyleNumbers(*chosen, start, z, self._rewritten(z))

    def paint(self, numbers: StyleNumbers) -> Image.Image:
        return self._canvas.image(self._paint_images(numbers), self._paint_strip(numbers))

    def describe(self, numbers: StyleNumbers) -> str:
        moved = [
            f"{latent_name(dim)} = {number(numbers.z[dim], 2)}"
            for dim in self.order
            if abs(numbers.z[dim] - numbers.start[dim]) > 0.5 * _STEP
        ]
        where = f", levado a {'; '.join(moved)}" if moved else ""
        if numbers.label is None:
            source = "z sorteado de N(0, I)"
        else:
            source = f"o código z da imagem {numbers.index}, da classe {self._names[numbers.label]}"
        return f"As {len(self._names)} classes decodificadas do mesmo z: {source}{where}."

    def _point(self, x: float, y: float) -> None:
        """Na faixa de baixo, leva o latente daquela coluna ao z daquela altura."""
        place, z = self._canvas.panel(1).units(x, y)
        dims = self.order[:_MOST_SHOWN]
        if x < _LEFT or abs(z) > self._reach or not -0.5 < place < len(dims) - 0.5:
            return
        dim = dims[round(place)]
        slider = self.controls[f"dz{dim}"]
        slider.value = within(round(z - self.numbers.start[dim].item(), 2), slider.min, slider.max)

    def _step(self, right: int, down: int) -> None:
        """De lado, outra imagem; para cima e para baixo, o latente mais ativo."""
        index, slider = self.controls["index"], self.controls[f"dz{self.order[0]}"]
        index.value = within(index.value + right, index.min, index.max)
        slider.value = within(slider.value - _STEP * down, slider.min, slider.max)

    def _go(self, draw: int) -> None:
        """Põe os Δz em zero e parte do código da imagem (0) ou de um z sorteado (1, 2, ...)."""
        self._draw = draw
        self.move(**{name: 0.0 for name in self.inputs if name != "index"})

    def _encode_chosen(self, _change) -> None:
        """Escolhida uma imagem, é do código dela que se parte."""
        self._draw = 0

    def _encoded(self, latent_dim: int) -> tuple[Tensor, Tensor, Tensor]:
        """As médias de q(z|x, y) [N, Z]; o desvio padrão dos códigos e a variância das médias, [Z]."""

        def part(rows: slice) -> tuple[Tensor, Tensor]:
            q = self._encode(self.data.batch(self.data.x[rows], "none"), self.data.y[rows])
            mean = getattr(q, "mean", None)
            n = len(self.data.y[rows])
            if not isinstance(mean, Tensor) or mean.shape != (n, latent_dim):
                found = f"média de forma {tuple(mean.shape)}" if isinstance(mean, Tensor) else type(q).__name__
                raise ValueError(
                    f"encode(x, y) deve devolver uma Normal de média [B, Z], com Z = latent_dim = {latent_dim}, mas "
                    f"para {n} imagens devolveu {found}."
                )
            variance = q.log_var.exp() if hasattr(q, "log_var") else getattr(q, "variance", torch.zeros_like(mean))
            return mean, variance.expand_as(mean)

        require_steady("encode", lambda n: part(slice(n))[0])
        parts = [part(slice(i, i + _AT_ONCE)) for i in range(0, len(self.data), _AT_ONCE)]
        means, variances = (torch.cat(each) for each in zip(*parts, strict=True))
        if not (means.isfinite().all() and variances.isfinite().all()):
            raise ValueError("encode devolveu NaN ou infinito. Treine o modelo de novo antes de explorá-lo.")
        activity = means.var(0)
        return means, (activity + variances.mean(0)).sqrt().clamp(min=_STEP).cpu(), activity.cpu()

    def _require_pictures(self) -> None:
        def answer(n: int) -> Tensor:
            decoded = getattr(self._decode(self.codes[:n], self.data.y[:n]), "mean", None)
            n_pixels = self.data.x.shape[1]
            if not isinstance(decoded, Tensor):
                raise ValueError(
                    "decode(z, y) deve devolver a verossimilhança, uma distribuição com média [B, D], e não um "
                    "tensor: por exemplo, Bernoulli(logits)."
                )
            if decoded.shape != (n, n_pixels):
                raise ValueError(
                    f"decode(z, y) deve devolver a verossimilhança, com média [B, D] e D = {n_pixels} pixels, os de "
                    f"{self.data.name!r}, mas para {n} códigos a média tem forma {tuple(decoded.shape)}."
                )
            return decoded

        require_steady("decode", answer)
        if not answer(2).isfinite().all():
            raise ValueError("decode devolveu NaN ou infinito. Treine o modelo de novo antes de explorá-lo.")

    def _rewritten(self, z: Tensor) -> Tensor:
        """A média decodificada de z [Z] em cada classe, [K, D]."""
        classes = torch.arange(len(self._names), device=self.data.y.device)
        return self._decode(z.expand(len(classes), -1), classes).mean.cpu()

    def _paint_images(self, numbers: StyleNumbers) -> Panel:
        """A original e, à direita, as classes; uma moldura na classe dela."""
        panel, pitch, middle = self._canvas.panel(0), self._pitch, _TOP + self._height / 2
        if numbers.label is None:
            for i, words in enumerate(("z sorteado", "de N(0, I):", "não há original")):
                panel.text(_MIDDLE, middle - 12 + 20 * i, words, style.GREY, anchor="ms", size=14)
        else:
            original = self._greys.levels(self.data.batch(self.data.x[numbers.index][None], "none")[0])
            panel.picture(_MIDDLE, middle, original, side=_SIDE)
            words = f"original: {self._names[numbers.label]}"
            panel.text(_MIDDLE, middle + _SIDE / 2 + 18, words, _CHOSEN, anchor="ms", size=14, bold=True)
        for k, grey in enumerate(self._greys.levels(numbers.images)):
            x, y = self._place(k)
            panel.picture(x, y, grey, side=pitch - 10)
            if k == numbers.label:
                reach = pitch / 2 - 3
                panel.outline(x - reach, x + reach, y - reach, y + reach, _CHOSEN, width=3)
        return panel

    def _paint_strip(self, numbers: StyleNumbers) -> Panel:
        """Em cada latente, o código de que se partiu, um aro, e z, um disco; o que sair da faixa fica na borda."""
        panel = self._canvas.panel(1)
        dims = self.order[:_MOST_SHOWN]
        low, high = -0.92 * self._reach, 0.92 * self._reach
        start, z = (np.clip(values[dims].double().cpu().numpy(), low, high) for values in (numbers.start, numbers.z))
        places = np.arange(len(dims))
        for place, a, b in zip(places, start, z, strict=True):
            if a != b:
                panel.curve(np.full(2, place), np.array([a, b]), _CHOSEN, width=2)
        panel.dots(places, start, style.GREY, radius=5)
        panel.dots(places, start, GREYS[-1], radius=3.5)
        panel.dots(places, z, _CHOSEN, radius=4)
        return panel

    @property
    def _columns(self) -> int:
        n_classes = len(self._names)
        return min(n_classes, 5) if n_classes <= 10 else 8

    @property
    def _pitch(self) -> float:
        """De uma classe à vizinha."""
        return min((_RIGHT - _LEFT) / self._columns, _SIDE)

    @property
    def _height(self) -> float:
        """A da original e das classes, com os nomes."""
        return max(-(-len(self._names) // self._columns) * (self._pitch + _NAME), _SIDE + 2 * _NAME)

    def _place(self, k: int) -> tuple[float, float]:
        """O meio da imagem da classe k."""
        line, place = divmod(k, self._columns)
        return _LEFT + (place + 0.5) * self._pitch, _TOP + line * (self._pitch + _NAME) + self._pitch / 2

    def _frame(self) -> Figure:
        """O que não muda: os títulos, os nomes das classes e, em cada latente, onde ficam os códigos."""
        top = round(_TOP + self._height + 4)
        height = top + _STRIP
        fig = Figure(figsize=(_WIDTH / 100, height / 100))

        def axes(left: float, top: float, right: float, bottom: float):
            return fig.add_axes((left / _WIDTH, 1 - bottom / height, (right - left) / _WIDTH, (bottom - top) / height))

        images = axes(0, 0, _WIDTH, top)
        images.set(xlim=(0, _WIDTH), ylim=(top, 0))
        images.axis("off")
        images.text((_LEFT + _RIGHT) / 2, _TITLE, "o mesmo z, em cada classe", ha="center", weight="bold", fontsize=11)
        for k, name in enumerate(self._names):
            x, y = self._place(k)
            images.text(x, y + self._pitch / 2 + 14, name, ha="center", fontsize=10.5, weight="bold")

        dims = self.order[:_MOST_SHOWN]
        low, high = torch.quantile(self.codes[:, dims].double().cpu(), torch.tensor([0.025, 0.975]).double(), dim=0)
        self._reach = max(3.0, 1.1 * self.codes.abs().max().item())
        strip = axes(_LEFT, top + 20, _RIGHT, height - 20)
        strip.set(xlim=(-0.6, max(len(dims), 6) - 0.4), ylim=(-self._reach, self._reach))
        strip.bar(range(len(dims)), high - low, bottom=low, width=0.34, color=style.MIST)
        strip.axhline(0, color=style.SILVER, linewidth=0.8, zorder=0)
        strip.set_xticks(range(len(dims)), [latent_name(dim) for dim in dims])
        strip.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        strip.tick_params(length=0, labelsize=9)
        strip.spines[["top", "right", "bottom"]].set_visible(False)
        legend = axes(0, top + 16, _LEFT - 30, height - 10)
        legend.set(xlim=(0, _LEFT - 30), ylim=(_STRIP - 26, 0))
        legend.axis("off")
        legend.text(6, 12, "o z de todas elas", fontsize=10.5, weight="bold")
        legend.plot([12], [32], "o", markersize=6, color=_CHOSEN)
        legend.plot([12], [54], "o", markersize=6, markerfacecolor=style.WHITE, markeredgecolor=style.GREY)
        legend.bar([12], [14], bottom=[69], width=10, color=style.MIST)
        for y, words in ((32, "z"), (54, "o ponto de partida"), (76, "95% dos códigos")):
            legend.text(24, y, words, fontsize=9.5, va="center")
        style.decimal_commas(fig)
        return fig

    def _chooser(self) -> widgets.IntSlider:
        return widgets.IntSlider(
            value=0,
            min=0,
            max=min(len(self.data), _OFFERED) - 1,
            description="imagem",
            tooltip="Que imagem se codifica, contada de 0",
            style={"description_width": "54px"},
            layout=Layout(width="auto"),
        )


def _walk(spread: float) -> tuple[float, ...]:
    return tuple(round(share * spread, 1) for share in (-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2))


def _shift(dim: int, spread: float, activity: float) -> ExactSlider:
    reach = max(_STEP, round(3 * spread, 1))
    return ExactSlider(
        value=0.0,
        min=-reach,
        max=reach,
        step=_STEP,
        decimals=1,
        description=f"Δ{latent_name(dim)}",
        tooltip=f"Quanto andar neste latente; a variância da média de q nele é {number(activity, 2)}",
        style={"description_width": "40px"},
        layout=Layout(width="auto"),
    )


def _buttons() -> dict[str, widgets.Button]:
    return {
        "code": widgets.Button(
            description="Voltar ao código", tooltip="Leva z ao código da imagem", layout=Layout(width="138px")
        ),
        "random": widgets.Button(
            description="z ao acaso", tooltip="Parte de um z sorteado de N(0, I)", layout=Layout(width="138px")
        ),
    }
