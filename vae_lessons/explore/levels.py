"""O explorador de uma hierarquia de latentes: fixa-se do topo até um nível, e o que está abaixo se sorteia de novo."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from ipywidgets import Layout
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from vae_lessons import style
from vae_lessons.explore.base import Explorer, column, picture, row, text, title
from vae_lessons.explore.calls import quiet, require_unit_pixels
from vae_lessons.explore.canvas import GREYS, Canvas, Panel
from vae_lessons.explore.images import Greys
from vae_lessons.explore.pointing import pointable, within
from vae_lessons.explore.sliders import ExactSlider
from vae_lessons.style import number, subscript

_SHOWN = 12  # imagens na tela, quatro por linha
_SPREAD = 48  # imagens de que se mede o desvio; as primeiras são as da tela
_MEASURED = 200  # sorteios de que sai o alcance dos controles
_PER_LEVEL = 2  # coordenadas de cada nível com controle
_STEP = 0.1
_SEED, _REFERENCES = 0, 10_000  # a partir delas se contam os sorteios e as referências

# Em pixels da tela, contados do canto de cima à esquerda.
_WIDTH, _HEIGHT = 660, 380
_CHAIN, _TOP = 30, 62  # a linha dos níveis e onde começam as imagens
_PITCH, _SIDE, _COLUMNS = 103, 98, 4
_RIGHT = 448  # onde começa o resumo
_MAP = 70  # o lado, se couber, dos mapas de desvio

_LABEL = "Os níveis e as imagens: clique num nível para fixar até ele, ou use as setas para fixar mais ou menos."
_FIXED, _FREE = style.ORANGE, style.BLUE


def explore_levels(
    sample_below: Callable, latent_dims: Sequence[int], image_shape: tuple[int, int]
) -> "LevelsExplorer":
    """Um explorador de um modelo com vários níveis de latentes: o que cada nível decide, e o que ainda deixa em aberto.

    sample_below: (latents, generator) → (latents, pictures). latents é uma lista com um item por nível, do topo para
    baixo: um tensor [n, Z] nos níveis dados, que são os de cima, e None nos que se devem sortear, cada um dado o que
    está acima. Devolve a lista completa, com os dados como vieram, e as imagens [n, D], de 0 a 1: em geral, a média de
    p(x|z). Todo sorteio usa `generator`. O topo vem sempre dado: a prior dele é N(0, I).
    latent_dims: o Z de cada nível, do topo para baixo · image_shape: (H, W), com H·W = D.
    As três curvas da fusão de prior e mensagem são outro explorador: explore_merge().
    Levanta TypeError se sample_below não for uma função, e ValueError se o que ela devolve não tiver essas formas,
    mudar os níveis dados, sair de [0, 1] ou não depender só do que recebe.
    """
    sizes = list(latent_dims) if isinstance(latent_dims, Sequence) else [latent_dims]
    if not sizes or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ValueError(f"latent_dims deve ter o Z de cada nível, do topo para baixo, mas veio {latent_dims!r}.")
    if not isinstance(image_shape, Sequence) or len(image_shape) != 2:
        raise ValueError(f"image_shape deve ser (altura, largura), mas veio {image_shape!r}.")
    return LevelsExplorer(sample_below, sizes, tuple(image_shape))


class LevelsNumbers(NamedTuple):
    """fixed: quantos níveis, a partir do topo, estão fixos · latents: os valores deles, [Z] cada · pictures [12, D]: as
    imagens em que o resto foi sorteado · deviations [L + 1, D]: em cada pixel, o desvio padrão de 48 imagens com 0, 1,
    ..., L níveis fixos · spreads [L + 1]: a média de cada desvio nos pixels."""

    fixed: int
    latents: list[Tensor]
    pictures: Tensor
    deviations: Tensor
    spreads: Tensor


class LevelsExplorer(Explorer):
    """Doze imagens com os mesmos níveis de cima e outros níveis de baixo e, ao lado, o que ainda varia em cada caso.

    controls: dicionário nome → ipywidget. Atribuir `.value` no código (ou chamar `.click()`) equivale a mexer na tela.
        "fixed"                 quantos níveis, a partir do topo, ficam fixos
        "z0_3", "z1_0", ...     a coordenada 3 do nível 0, que é o topo, contados de 0 como em latents[0][:, 3]; só
                                aparecem os dos níveis fixos. De cada nível, as duas coordenadas que mais mudam a imagem
        "again"                 botão: sorteia de novo o que está abaixo
        "reference"             botão: outros valores para os níveis fixos; a sequência é sempre a mesma
    Clicar num nível, na figura, fixa até ele; as setas do teclado fixam mais ou menos.
    picture: ipywidgets.Image, PNG · fixed, latents, pictures, deviations, spreads: como em LevelsNumbers.
    Na tela, os níveis se contam de baixo para cima, como nas equações: o de baixo, que decodifica x, é z₁.
    Todos os sorteios usam o mesmo ruído: entre uma posição e outra dos controles, só muda o que eles mudam.
    """

    def __init__(self, sample_below: Callable, latent_dims: list[int], image_shape: tuple[int, int]):
        self._sample_below, self._sizes = quiet("sample_below", sample_below), latent_dims
        self._greys, self._reference = Greys(image_shape), 0
        self._require_suitable()
        marginal, _ = self._sample([self._top(_MEASURED, seed=_SEED)], seed=_SEED)
        self._coordinates = [self._most_telling(level, marginal) for level in range(len(latent_dims))]
        self._canvas = Canvas(self._frame(), [*GREYS, style.GREY, style.SILVER, _FIXED, _FREE])
        self.picture = picture(_WIDTH, "vae-picture")
        sliders = self._sliders(marginal)
        c = self.controls = {"fixed": self._fixed_control(), **sliders, **_buttons()}
        self.inputs = ("fixed", *sliders)
        by_level = [f"z{level}_{dims[0]}" for level, dims in enumerate(self._coordinates)]
        self.recorded = (("fixed", None), *((name, _positions(sliders[name])) for name in by_level[:2]))
        fix = [title("Fixar, do topo para baixo"), c["fixed"]]
        move = [title("O que está fixo"), *(slider.with_number() for slider in sliders.values()), c["reference"]]
        rest = [title("O que está abaixo"), c["again"], text("Na figura, clique num nível para fixar até ele.")]
        hand = pointable(self.picture, _LABEL, size=(_WIDTH, _HEIGHT), at=self._point, keys=self._step)
        super().__init__(row(hand, column(300, *fix, *move, *rest)))
        self._place_reference()
        c["again"].on_click(lambda _: self._again())
        c["reference"].on_click(lambda _: self._next_reference())
        self._start()

    def __repr__(self) -> str:
        levels = "1 nível" if len(self._sizes) == 1 else f"{len(self._sizes)} níveis"
        return f"LevelsExplorer({levels}, latent_dims={self._sizes})"

    def values(self) -> dict:
        return {**super().values(), "draw": self._draw, "reference": self._reference}

    def measure(self, *, fixed: int, draw: int = 0, reference: int = 0, **coordinates: float) -> LevelsNumbers:
        """z0_3, ...: as coordenadas com controle · draw: qual dos sorteios do que está abaixo · reference: qual dos
        valores dos níveis fixos, nas outras coordenadas."""
        held = self._held(reference)
        for name, value in coordinates.items():
            level, dim = map(int, name[1:].split("_"))
            held[level][0, dim] = value
        pictures = [self._redrawn(held[:count], draw) for count in range(len(held) + 1)]
        deviations = torch.stack([each.std(0, correction=0) for each in pictures])
        latents = [values[0] for values in held[:fixed]]
        return LevelsNumbers(fixed, latents, pictures[fixed][:_SHOWN], deviations, deviations.mean(1))

    def paint(self, numbers: LevelsNumbers) -> Image.Image:
        panel = self._canvas.panel(0)
        self._paint_chain(panel, numbers.fixed)
        for i, grey in enumerate(self._greys.levels(numbers.pictures)):
            line, place = divmod(i, _COLUMNS)
            center = 8 + (place + 0.5) * _PITCH, _TOP + (line + 0.5) * _PITCH
            panel.picture(*center, grey, side=_SIDE)
        self._paint_summary(panel, numbers)
        return self._canvas.image(panel)

    def describe(self, numbers: LevelsNumbers) -> str:
        spreads = "; ".join(
            f"{self._words(count)}, {number(spread, 3)}" for count, spread in enumerate(numbers.spreads.tolist())
        )
        values = "; ".join(
            f"{self._coordinate_name(level, dim)} = {number(numbers.latents[level][dim], 2)}"
            for level in range(numbers.fixed)
            for dim in self._coordinates[level]
        )
        held = f" ({values})" if values else ""
        rest = " e o resto sorteado" if numbers.fixed else " e tudo sorteado"
        rest = ": são uma só" if numbers.fixed == len(self._sizes) else rest
        return (
            f"{_SHOWN} imagens com {self._words(numbers.fixed)}{held}{rest}. Desvio padrão médio dos pixels: {spreads}."
        )

    def _show(self) -> None:
        super()._show()
        for name in self.inputs[1:]:
            level = int(name[1:].split("_")[0])
            self.controls[name].layout.display = None if level < self.numbers.fixed else "none"

    def _point(self, x: float, y: float) -> None:
        """Num nível, em cima, fixa até ele; numa linha do resumo, o que ela diz."""
        if x >= _RIGHT and y >= _TOP:
            self._fix(int((y - _TOP) / self._summary_pitch))
        elif y < _TOP and x < self._place(len(self._sizes)) - 20:
            self._fix(1 + round((x - self._place(0)) / self._chain_step))

    def _step(self, right: int, down: int) -> None:
        self._fix(self.controls["fixed"].value + right + down)

    def _fix(self, count: int) -> None:
        self.controls["fixed"].value = int(within(count, 0, len(self._sizes)))

    def _again(self) -> None:
        self._draw += 1
        self._render()

    def _next_reference(self) -> None:
        self._reference += 1
        self._place_reference()
        self._render()

    def _place_reference(self) -> None:
        """Leva os controles aos valores da referência."""
        held = self._held(self._reference)
        with self._silently():
            for name in self.inputs[1:]:
                level, dim = map(int, name[1:].split("_"))
                self.controls[name].place(held[level][0, dim].item())

    # O modelo

    def _top(self, n: int, *, seed: int) -> Tensor:
        return torch.randn(n, self._sizes[0], generator=torch.Generator().manual_seed(seed))

    def _sample(self, given: list[Tensor], *, seed: int) -> tuple[list[Tensor], Tensor]:
        """Os níveis todos e as imagens, dados os `len(given)` de cima."""
        latents = [*given, *[None] * (len(self._sizes) - len(given))]
        latents, pictures = self._sample_below(latents, torch.Generator().manual_seed(seed))
        return [values.detach().clone() for values in latents], pictures.float().cpu()

    def _held(self, reference: int) -> list[Tensor]:
        """Os valores [1, Z] de cada nível na referência."""
        latents, _ = self._sample([self._top(1, seed=_REFERENCES + reference)], seed=_REFERENCES + reference)
        return latents

    def _redrawn(self, held: list[Tensor], draw: int) -> Tensor:
        """As imagens [48, D] com os níveis `held` fixos."""
        given = [values.expand(_SPREAD, -1) for values in held] or [self._top(_SPREAD, seed=draw)]
        return self._sample(given, seed=draw)[1]

    def _most_telling(self, level: int, marginal: list[Tensor]) -> list[int]:
        """As coordenadas do nível que mais mudam a imagem quando andam um desvio padrão, com o mesmo ruído abaixo."""
        held, size = self._held(0), self._sizes[level]
        shifts = torch.diag(marginal[level].std(0))
        effects = 0.0
        for sign in (-1, 1):
            moved = [values.expand(size, -1) for values in held[: level + 1]]
            moved[level] = moved[level] + sign * shifts.to(moved[level])
            still = [values.expand(size, -1) for values in held[: level + 1]]
            before, after = (self._sample(given, seed=_SEED)[1] for given in (still, moved))
            effects = effects + (after - before).square().sum(1)
        return sorted(effects.argsort(descending=True, stable=True)[:_PER_LEVEL].tolist())

    def _require_suitable(self) -> None:
        n = 3
        given = [self._top(n, seed=_SEED)]
        answers = [
            self._sample_below([given[0], *[None] * (len(self._sizes) - 1)], torch.Generator().manual_seed(_SEED))
            for _ in range(2)
        ]
        for answer in answers:
            if not isinstance(answer, tuple) or len(answer) != 2:
                raise ValueError(
                    "sample_below(latents, generator) deve devolver o par (latents, pictures), mas devolveu "
                    f"{type(answer).__name__}."
                )
        latents, pictures = answers[0]
        shapes = [tuple(values.shape) if isinstance(values, Tensor) else None for values in latents]
        expected = [(n, size) for size in self._sizes]
        if shapes != expected:
            raise ValueError(
                f"sample_below deve devolver um tensor [n, Z] por nível, do topo para baixo; para n = {n}, de formas "
                f"{expected}, as de latent_dims, mas vieram {shapes}."
            )
        height, width = self._greys.image_shape
        if not isinstance(pictures, Tensor) or pictures.shape != (n, height * width):
            found = tuple(pictures.shape) if isinstance(pictures, Tensor) else type(pictures).__name__
            raise ValueError(
                f"sample_below deve devolver as imagens [n, D], com D = {height}·{width} = {height * width}, mas para "
                f"n = {n} devolveu {found}. De imagens [n, 1, H, W], use .flatten(1); de uma distribuição, a média."
            )
        require_unit_pixels("sample_below", pictures)
        if not torch.equal(latents[0].cpu(), given[0]):
            raise ValueError("sample_below deve devolver como vieram os níveis dados, mas o topo voltou diferente.")
        if not torch.allclose(pictures, answers[1][1]):
            raise ValueError(
                "sample_below deu duas respostas diferentes aos mesmos latentes e a geradores de mesma semente. Use "
                "`generator` em todos os sorteios e ponha o modelo em modo de avaliação, model.eval()."
            )

    # A figura

    def _level_name(self, level: int) -> str:
        """latents[0] é o topo; nas equações, o topo é z com o maior índice."""
        return f"z{subscript(len(self._sizes) - level)}"

    def _coordinate_name(self, level: int, dim: int) -> str:
        return f"{self._level_name(level)}[{dim}]"

    def _words(self, count: int) -> str:
        """Por extenso, o que está fixo."""
        if count == 0:
            return "nada fixo"
        if count == len(self._sizes):
            return "tudo fixo"
        return f"{' e '.join(self._level_name(level) for level in range(count))} fixo{'s' if count > 1 else ''}"

    def _paint_chain(self, panel: Panel, fixed: int) -> None:
        """Os níveis, do topo à imagem: cheios os fixos, e um aro nos que se sorteiam."""
        for level in range(len(self._sizes)):
            x, held = self._place(level), level < fixed
            color = _FIXED if held else _FREE
            panel.dots(np.array([x]), np.array([_CHAIN]), color, radius=17)
            if not held:
                panel.dots(np.array([x]), np.array([_CHAIN]), GREYS[-1], radius=15)
            panel.text(
                x, _CHAIN, self._level_name(level), GREYS[-1] if held else color, anchor="mm", size=15, bold=True
            )
            if self._chain_step > 108:
                panel.text(x + 22, _CHAIN + 5, "fixo" if held else "sorteado", color, size=13)

    def _paint_summary(self, panel: Panel, numbers: LevelsNumbers) -> None:
        """Por número de níveis fixos: o desvio de cada pixel, e uma barra com a média."""
        pitch = self._summary_pitch
        brightest = max(float(numbers.deviations.max()), 1e-6)
        widest = max(float(numbers.spreads.max()), 1e-6)
        side = min(_MAP, pitch - 8)
        for count, (deviation, spread) in enumerate(zip(numbers.deviations, numbers.spreads.tolist(), strict=True)):
            y = _TOP + (count + 0.5) * pitch
            panel.picture(_RIGHT + _MAP / 2, y, self._greys.levels(deviation / brightest), side=side)
            chosen = count == numbers.fixed
            left = _RIGHT + _MAP + 12
            color = _FIXED if chosen else style.GREY
            panel.text(left, y - 6, self._words(count), color, size=13, bold=chosen)
            panel.bar(left, left + 74 * spread / widest, y + 16, y + 2, color if chosen else style.SILVER)
            panel.text(left + 74 * spread / widest + 5, y + 14, number(spread, 3), color, size=12)

    @property
    def _chain_step(self) -> float:
        return (_COLUMNS * _PITCH - 58) / len(self._sizes)

    def _place(self, level: int) -> float:
        """Onde fica o meio do nível, da esquerda para a direita."""
        return 26 + level * self._chain_step

    @property
    def _summary_pitch(self) -> float:
        return 3 * _PITCH / max(len(self._sizes) + 1, 3)

    def _frame(self) -> Figure:
        """O que não muda: os títulos e as setas entre os níveis."""
        fig = Figure(figsize=(_WIDTH / 100, _HEIGHT / 100))
        ax = fig.add_axes((0, 0, 1, 1))
        ax.set(xlim=(0, _WIDTH), ylim=(_HEIGHT, 0))
        ax.axis("off")
        for level in range(len(self._sizes)):
            end = self._place(level + 1) - 20
            ax.annotate("", (end, _CHAIN), (end - 16, _CHAIN), arrowprops={"arrowstyle": "->", "color": style.GREY})
        ax.text(self._place(len(self._sizes)) - 14, _CHAIN, "imagem", va="center", fontsize=10.5)
        ax.text(_RIGHT, 26, "o que ainda varia", fontsize=11, weight="bold")
        ax.text(_RIGHT, 44, "desvio padrão de cada pixel", fontsize=8.5, color=style.GREY)
        return fig

    # Os controles

    def _fixed_control(self) -> widgets.ToggleButtons:
        names = ["nada", *(f"até {self._level_name(level)}" for level in range(len(self._sizes)))]
        return widgets.ToggleButtons(
            options=[(name, count) for count, name in enumerate(names)],
            value=1,
            tooltip="fixar",
            tooltips=[f"Gerar com {self._words(count)}" for count in range(len(names))],
            style={"button_width": f"{max(60, 280 // len(names) - 8)}px"},
        )

    def _sliders(self, marginal: list[Tensor]) -> dict[str, ExactSlider]:
        sliders = {}
        for level, dims in enumerate(self._coordinates):
            for dim in dims:
                mean, spread = marginal[level][:, dim].mean().item(), marginal[level][:, dim].std().item()
                reach = max(_STEP, 3 * spread)
                sliders[f"z{level}_{dim}"] = ExactSlider(
                    value=round(mean, 1),
                    min=round(mean - reach, 1),
                    max=round(mean + reach, 1),
                    step=_STEP,
                    decimals=1,
                    description=self._coordinate_name(level, dim),
                    tooltip=f"A coordenada {dim}, contada de 0, do nível {self._level_name(level)}",
                    style={"description_width": "54px"},
                    layout=Layout(width="auto"),
                )
        return sliders


def _positions(slider: ExactSlider) -> tuple[float, ...]:
    """As que a página oferece."""
    return tuple(round(float(value), 1) for value in np.linspace(slider.min, slider.max, 5))


def _buttons() -> dict[str, widgets.Button]:
    return {
        "again": widgets.Button(
            description="Sortear de novo", tooltip="Outros valores para os níveis que não estão fixos"
        ),
        "reference": widgets.Button(description="Outra referência", tooltip="Outros valores para os níveis fixos"),
    }
