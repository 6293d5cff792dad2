"""O explorador de um VQ-VAE: a imagem, a grade dos seus códigos e o que muda quando se troca um deles.

A cada movimento se decodificam duas grades de códigos, a da imagem e a trocada.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from vae_lessons import style
from vae_lessons.data import Dataset
from vae_lessons.explore import voronoi
from vae_lessons.explore.base import Explorer, column, picture, row, text, title
from vae_lessons.explore.calls import checked_rows, quiet, require_steady, require_unit_pixels
from vae_lessons.explore.canvas import GREYS, SCALE, Canvas, Panel, axes_at
from vae_lessons.explore.images import Greys, greys_of
from vae_lessons.explore.pointing import pointable, within

_OFFERED = 500  # imagens entre as quais se escolhe
_AT_ONCE = 256  # imagens codificadas, ou grades decodificadas, de uma vez: limita a memória
_VISIBLE = 0.05  # a diferença de um pixel, numa escala de 0 a 1, a partir da qual se contorna
_RECORDED = 6  # códigos que a página oferece
_MOST_RECORDED = 7  # linhas e colunas da grade que a página oferece

# Em pixels da tela, contados do canto de cima à esquerda.
_WIDTH, _HEIGHT = 660, 514
_SIDE, _TOP = 296, 30  # o lado da grade e da imagem decodificada, e onde começam
_GRID, _PICTURE = 8, 354  # onde fica a borda esquerda de cada uma
_SMALL, _LINE = 112, 440  # o lado das imagens de baixo e o meio delas
_ORIGINAL, _UNCHANGED = 66, 206  # o meio de cada uma
_CHART = 330  # onde começa o gráfico de baixo

_LABEL = (
    "Os códigos e a imagem: clique numa célula, ou ande com as setas do teclado, para escolhê-la; no gráfico de baixo, "
    "clique num código para pô-lo nela."
)
_CHOSEN, _OWN = style.ORANGE, style.BLUE  # o código posto na célula e o que a imagem tinha nela


def explore_codes(encode: Callable, decode: Callable, codebook: Tensor, data: Dataset) -> "CodesExplorer":
    """Um explorador dos códigos de um VQ-VAE: troca-se o código de uma célula, e a imagem muda ali.

    encode: x [B, D] → índices int64 [B, h, w] · decode: índices [B, h, w] → imagens [B, D], de 0 a 1 · codebook: [K, C]
    · data: as imagens, em geral as de teste; uint8 chega a `encode` em tons de cinza, de 0 a 1, e ponto flutuante, como
    está. Se C = 2, embaixo fica o mapa do dicionário; se não, o uso de cada código. (Para ver o dicionário aprender,
    explore_kmeans.) Um módulo, ou um método de um, é chamado em modo de avaliação.
    Levanta TypeError se o que vier não for função, tensor ou Dataset, e ValueError se as formas não forem essas, se
    houver índice fora do dicionário, pixel fora de [0, 1] ou NaN, ou se as funções não derem sempre a mesma resposta.
    """
    if not isinstance(data, Dataset):
        raise TypeError(
            f"explore_codes espera um Dataset, que sabe a forma das imagens, mas veio {type(data).__name__}. "
            'Use, por exemplo, load("mnist_5k", "test"), ou data.from_images, se as imagens são suas.'
        )
    return CodesExplorer(encode, decode, checked_rows("codebook", codebook), data)


class CodesNumbers(NamedTuple):
    """index: a imagem · row, column: a célula · code: o que se põe nela · own [h, w]: os códigos da imagem ·
    codes [h, w]: os códigos com as trocas · before, after [D]: o que cada grade decodifica."""

    index: int
    row: int
    column: int
    code: int
    own: Tensor
    codes: Tensor
    before: Tensor
    after: Tensor

    @property
    def difference(self) -> Tensor:
        """O quanto cada pixel mudou, [D]."""
        return (self.after - self.before).abs()


class CodesExplorer(Explorer):
    """A grade de códigos de uma imagem e a imagem que ela decodifica, com um código trocado.

    controls: dicionário nome → ipywidget. Atribuir `.value` no código (ou chamar `.click()`) equivale a mexer na tela.
        "index"             qual das imagens, contadas de 0; no máximo as 500 primeiras
        "row", "column"     a célula da grade, contada de 0, como em índices[0, row, column]
        "code"              o código que se põe nela, de 0 a K − 1; ao mudar de célula ou de imagem, ele vai junto
        "keep"              botão: mantém a troca, para fazer outra por cima
        "original"          botão: desfaz as trocas; a célula volta ao código que a imagem tem nela
    A célula também se escolhe clicando nela, na grade ou na imagem, ou com as setas do teclado; o código, no gráfico.
    picture: ipywidgets.Image, PNG · index, row, column, code, own, codes, before, after: como em CodesNumbers.
    usage [K]: em quantas células de `data` está cada código; os de uso zero são os mortos.
    Começa com a troca que mais muda a célula do meio da primeira imagem.
    """

    inputs = ("index", "row", "column", "code")

    def __init__(self, encode: Callable, decode: Callable, codebook: Tensor, data: Dataset):
        self._encode, self._decode = quiet("encode", encode), quiet("decode", decode)
        self._original_greys, self._greys = greys_of(data), Greys(data.image_shape)
        self.data, self.codebook = data, codebook
        self.indices = self._encoded()
        self._require_pictures()
        self.usage = torch.bincount(self.indices.flatten(), minlength=len(codebook))
        self._kept: tuple[tuple[int, int, int], ...] = ()

        h, w = self.indices.shape[1:]
        cell = h // 2, w // 2
        code = self._most_telling(*cell)
        self._canvas = Canvas(self._frame(), [*GREYS, style.GREY, style.SILVER, _CHOSEN, _OWN])
        common = self.usage.argsort(descending=True, stable=True)[: _RECORDED - 1].tolist()
        self.recorded = (
            ("row", _spread(h)),
            ("column", _spread(w)),
            ("code", tuple(sorted({code, *common}))),
        )
        self.picture = picture(_WIDTH, "vae-picture")
        self.caption = text()
        c = self.controls = _controls(min(len(data), _OFFERED), h, w, len(codebook), cell, code)
        image = [title("A imagem"), c["index"]]
        change = [title("A célula e o código que se põe nela"), c["row"], c["column"], c["code"], self.caption]
        hand = pointable(self.picture, _LABEL, size=(_WIDTH, _HEIGHT), at=self._point, keys=self._step)
        note = text("Na figura, a célula e o código também se escolhem com um clique.")
        super().__init__(row(hand, column(300, *image, *change, row(c["keep"], c["original"]), note)))
        c["index"].observe(self._forget, "value")
        c["keep"].on_click(lambda _: self._keep())
        c["original"].on_click(lambda _: self._undo())
        self._start()

    def __repr__(self) -> str:
        h, w = self.indices.shape[1:]
        return f"CodesExplorer({h}×{w} células, {len(self.codebook)} códigos, {self.data.name!r})"

    def values(self) -> dict:
        return {**super().values(), "kept": self._kept}

    def measure(self, *, index: int, row: int, column: int, code: int, kept: tuple = ()) -> CodesNumbers:
        """kept: as trocas mantidas, (linha, coluna, código) cada uma, por baixo da que os controles fazem."""
        own = self.indices[index]
        codes = own.clone()
        for line, place, changed in (*kept, (row, column, code)):
            codes[line, place] = changed
        before, after = self._decode(torch.stack([own, codes]).to(self._device)).float().cpu()
        return CodesNumbers(index, row, column, code, own, codes, before, after)

    def paint(self, numbers: CodesNumbers) -> Image.Image:
        panel, chart = self._canvas.panel(0), self._canvas.panel(1)
        self._paint_grid(panel, numbers)
        self._paint_pictures(panel, numbers)
        (self._paint_map if self.codebook.shape[1] == 2 else self._paint_usage)(chart, numbers)
        return self._canvas.image(panel, chart)

    def describe(self, numbers: CodesNumbers) -> str:
        own = int(numbers.own[numbers.row, numbers.column])
        changed = int((numbers.difference > _VISIBLE).sum())
        others = int((numbers.codes != numbers.own).sum()) - (numbers.code != own)
        kept = f", com mais {others} {'troca mantida' if others == 1 else 'trocas mantidas'}" if others else ""
        return (
            f"A grade de códigos da imagem {numbers.index} e o que ela decodifica: na célula da linha {numbers.row}, "
            f"coluna {numbers.column}, o código {own} deu lugar ao {numbers.code}{kept}; "
            f"{'mudou' if changed == 1 else 'mudaram'} {changed} dos {len(numbers.after)} pixels."
        )

    def _show(self) -> None:
        super()._show()
        n = self.numbers
        own = int(n.own[n.row, n.column])
        used = int(self.usage[n.code])
        words = "O código que a imagem já tem nesta célula." if own == n.code else f"Nesta célula a imagem tem o {own}."
        dead = f"O código {n.code} não é usado em imagem nenhuma: está morto."
        self.caption.value = f"{words} {dead}" if used == 0 else words

    def _point(self, x: float, y: float) -> None:
        """Na grade ou na imagem, escolhe a célula; embaixo, o código."""
        h, w = self.indices.shape[1:]
        for left, top, width, height in ((_GRID, _TOP, w * self._cell, h * self._cell), self._decoded_box):
            across, down = (x - left) / width, (y - top) / height
            if 0 <= across < 1 and 0 <= down < 1:
                self._choose(row=int(down * h), column=int(across * w))
        if x > _CHART and y > _LINE - _SMALL / 2:
            self._choose(code=self._code_at(x, y))

    def _step(self, right: int, down: int) -> None:
        self._choose(row=self.controls["row"].value + down, column=self.controls["column"].value + right)

    def _choose(self, **values: int) -> None:
        """Leva os controles aos valores, dentro da faixa de cada um, e desenha uma vez só."""
        with self._silently():
            for name, value in values.items():
                control = self.controls[name]
                control.value = int(within(value, control.min, control.max))
        self._follow()

    def _code_at(self, x: float, y: float) -> int:
        """O código da barra, ou o mais próximo no mapa, do ponto da figura."""
        panel = self._canvas.panel(1)
        place = panel.units(x, y)
        if self.codebook.shape[1] != 2:
            return round(place[0])
        return int(voronoi.nearest(np.array([place]), self.codebook.double().numpy())[0])

    def _keep(self) -> None:
        c = self.controls
        self._kept = (*self._kept, (c["row"].value, c["column"].value, c["code"].value))
        self._render()

    def _undo(self) -> None:
        self._kept, c = (), self.controls
        with self._silently():
            c["code"].value = int(self.indices[c["index"].value, c["row"].value, c["column"].value])
        self._render()

    def _forget(self, _change) -> None:
        """Outra imagem: as trocas mantidas eram da anterior."""
        self._kept = ()

    def _encoded(self) -> Tensor:
        """Os índices [N, h, w] de todas as imagens, na CPU."""

        def part(rows: slice) -> Tensor:
            x = self.data.batch(self.data.x[rows], "none")
            indices = self._encode(x)
            if not isinstance(indices, Tensor) or indices.ndim != 3 or len(indices) != len(x):
                found = f"forma {tuple(indices.shape)}" if isinstance(indices, Tensor) else type(indices).__name__
                raise ValueError(
                    f"encode(x) deve devolver os índices dos códigos, um tensor int64 [B, h, w], mas para {len(x)} "
                    f"imagens devolveu {found}. De índices [B, h·w], use .reshape(len(x), h, w)."
                )
            if indices.is_floating_point():
                raise ValueError(
                    f"encode(x) deve devolver índices inteiros, mas devolveu {indices.dtype}. Devolva o número do "
                    "código mais próximo, com argmin, e não o código."
                )
            return indices.long()

        require_steady("encode", lambda n: part(slice(n)))
        parts = [part(slice(i, i + _AT_ONCE)) for i in range(0, len(self.data), _AT_ONCE)]
        self._device = parts[0].device
        indices, n_codes = torch.cat(parts).cpu(), len(self.codebook)
        least, most = (int(value) for value in indices.aminmax())
        if least < 0 or most >= n_codes:
            raise ValueError(
                f"Os índices vão de {least} a {most}, mas o dicionário tem K = {n_codes} códigos, de 0 a "
                f"{n_codes - 1}. Confira se codebook [K, C] é o que encode usa, e não o transposto."
            )
        return indices

    def _require_pictures(self) -> None:
        def answer(n: int) -> Tensor:
            pictures, expected = self._decode(self.indices[:n].to(self._device)), (n, self.data.x.shape[1])
            if not isinstance(pictures, Tensor) or pictures.shape != expected:
                found = f"forma {tuple(pictures.shape)}" if isinstance(pictures, Tensor) else type(pictures).__name__
                raise ValueError(
                    f"decode(índices) deve devolver imagens [B, D], com D = {expected[1]} pixels, os de "
                    f"{self.data.name!r}, mas para {n} grades devolveu {found}. De imagens [B, 1, H, W], use "
                    ".flatten(1); de uma distribuição, a média dela."
                )
            return pictures

        require_steady("decode", answer)
        require_unit_pixels("decode(índices)", answer(2))

    def _most_telling(self, row: int, column: int) -> int:
        """O código que mais muda a primeira imagem, posto nesta célula."""
        grids = self.indices[:1].repeat(len(self.codebook), 1, 1)
        grids[:, row, column] = torch.arange(len(grids))
        own = int(self.indices[0, row, column])
        decoded = torch.cat([self._decode(part.to(self._device)).float().cpu() for part in grids.split(_AT_ONCE)])
        return int((decoded - decoded[own]).square().sum(1).argmax())

    def _paint_grid(self, panel: Panel, numbers: CodesNumbers) -> None:
        """Os números dos códigos, com a célula escolhida cheia e as trocas mantidas na cor dela; embaixo, a troca."""
        side = self._cell
        size = max(6, min(17, int(side * (0.42 if len(self.codebook) <= 100 else 0.34))))
        for (line, place), code in np.ndenumerate(numbers.codes.numpy()):
            x, y = _GRID + (place + 0.5) * side, _TOP + (line + 0.5) * side
            chosen = (line, place) == (numbers.row, numbers.column)
            changed = bool(code != numbers.own[line, place])
            if chosen:
                panel.bar(x - side / 2, x + side / 2, y + side / 2, y - side / 2, _CHOSEN)
            color = GREYS[-1] if chosen else _CHOSEN if changed else GREYS[0]
            panel.text(x, y, str(code), color, anchor="mm", size=size, bold=chosen or changed)
        middle, below = _GRID + _SIDE / 2, _TOP + _SIDE + 21
        own = str(int(numbers.own[numbers.row, numbers.column]))
        arrow = middle + 46 + 9 * len(own)
        where = f"linha {numbers.row}, coluna {numbers.column}:"
        panel.text(middle + 30, below, where, GREYS[0], anchor="rs", size=13)
        panel.text(middle + 38, below, own, _OWN, size=13, bold=True)
        panel.text(arrow, below, "→", GREYS[0], size=13)
        panel.text(arrow + 20, below, str(numbers.code), _CHOSEN, size=13, bold=True)

    def _paint_pictures(self, panel: Panel, numbers: CodesNumbers) -> None:
        """A imagem com as trocas, o contorno do que mudou e a célula; embaixo, a original e a sem trocas."""
        panel.picture(_PICTURE + _SIDE / 2, _TOP + _SIDE / 2, self._greys.levels(numbers.after), side=_SIDE)
        left, top, width, height = self._decoded_box
        changed = (numbers.difference > _VISIBLE).reshape(self._greys.image_shape).numpy()
        rows, columns = changed.shape
        for x, y in _edges(changed):
            panel.curve(left + x * width / columns, top + y * height / rows, _CHOSEN, width=2)
        h, w = numbers.codes.shape
        x, y = left + numbers.column * width / w, top + numbers.row * height / h
        panel.outline(x, x + width / w, y, y + height / h, GREYS[-1], width=1)
        original = self.data.batch(self.data.x[numbers.index][None], "none")[0]
        panel.picture(_ORIGINAL, _LINE, self._original_greys.levels(original), side=_SMALL)
        panel.picture(_UNCHANGED, _LINE, self._greys.levels(numbers.before), side=_SMALL)

    def _paint_usage(self, panel: Panel, numbers: CodesNumbers) -> None:
        """Uma barra por código; a do escolhido em destaque."""
        width = max(0.4, len(self.codebook) / 250)  # com muitos códigos, a barra ainda se vê
        own = int(numbers.own[numbers.row, numbers.column])
        for code, color in ((own, _OWN), (numbers.code, _CHOSEN)):
            height = max(_logarithm(self.usage[code]), 0.04 * panel.height_in_units)
            panel.bar(code - width, code + width, 0, height, color)

    def _paint_map(self, panel: Panel, numbers: CodesNumbers) -> None:
        codebook = self.codebook.double().numpy()
        own = int(numbers.own[numbers.row, numbers.column])
        for code, color in ((own, _OWN), (numbers.code, _CHOSEN)):
            panel.dots(*codebook[code, :, None], color, radius=7)
            panel.text(*codebook[code], str(code), color, anchor="ls", offset=(8, -6), size=13, bold=True)

    @property
    def _cell(self) -> float:
        """O lado de uma célula da grade de números."""
        return _SIDE / max(self.indices.shape[1:])

    @property
    def _decoded_box(self) -> tuple[float, float, float, float]:
        """Onde fica a imagem decodificada: esquerda, alto, largura e altura."""
        height, width = self._greys.image_shape
        zoom = max(1, _SIDE * SCALE // max(height, width)) / SCALE  # o de Panel.picture
        width, height = zoom * width, zoom * height
        return _PICTURE + (_SIDE - width) / 2, _TOP + (_SIDE - height) / 2, width, height

    def _frame(self) -> Figure:
        """O que não muda: os títulos, as linhas da grade e o gráfico de baixo."""
        fig = Figure(figsize=(_WIDTH / 100, _HEIGHT / 100))
        everything = axes_at(fig, 0, _WIDTH, 0, _HEIGHT)
        everything.set(xlim=(0, _WIDTH), ylim=(_HEIGHT, 0))
        everything.axis("off")
        h, w = self.indices.shape[1:]
        side = self._cell
        everything.hlines([_TOP + i * side for i in range(h + 1)], _GRID, _GRID + w * side, style.SILVER, lw=0.8)
        everything.vlines([_GRID + j * side for j in range(w + 1)], _TOP, _TOP + h * side, style.SILVER, lw=0.8)
        bold = {"ha": "center", "fontsize": 11, "weight": "bold"}
        everything.text(_GRID + w * side / 2, 18, f"os códigos, {h}×{w}", **bold)
        everything.text(_PICTURE + _SIDE / 2, 18, "o que eles decodificam", **bold)
        everything.text(_PICTURE - 20, _TOP + _SIDE / 2, "→", fontsize=20, ha="center", va="center")
        for x, name in ((_ORIGINAL, "original"), (_UNCHANGED, "sem a troca")):
            everything.text(x, _LINE - _SMALL / 2 - 8, name, ha="center", fontsize=10)
        (self._frame_map if self.codebook.shape[1] == 2 else self._frame_usage)(fig)
        style.decimal_commas(fig)
        return fig

    def _frame_usage(self, fig: Figure) -> None:
        ax = axes_at(fig, _CHART + 42, _WIDTH - 6, _LINE - _SMALL / 2 + 6, _HEIGHT - 22)
        n_codes = len(self.codebook)
        heights = [_logarithm(count) for count in self.usage]
        ax.bar(range(n_codes), heights, width=0.8 if n_codes <= 128 else 1.0, color=style.SILVER)
        ax.set(xlim=(-1, n_codes), ylim=(0, 1.1 * max(heights)))
        ticks = [10**power for power in range(0, 7, 2) if _logarithm(10**power) < 1.1 * max(heights)]
        ax.set_yticks([_logarithm(tick) for tick in ticks], [style.number(tick) for tick in ticks])
        ax.tick_params(labelsize=9)
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_title(f"células com cada código; {self._dead}", fontsize=10)

    def _frame_map(self, fig: Figure) -> None:
        top, bottom = _LINE - _SMALL / 2 + 2, _HEIGHT - 2
        codebook = self.codebook.double().numpy()
        ax = axes_at(fig, _CHART, _WIDTH - 6, top, bottom)
        xlim, ylim = voronoi.frame(codebook, codebook, margin=0.5)
        stretch = (_WIDTH - 6 - _CHART) / (bottom - top)
        middle, reach = sum(xlim) / 2, stretch * (xlim[1] - xlim[0]) / 2
        xlim = middle - reach, middle + reach
        regions = voronoi.regions(codebook, xlim, ylim, (SCALE * 120, SCALE * round(120 * stretch)))
        dead = (self.usage == 0).numpy()
        shade = np.where(voronoi.borders(regions), 0.7, np.where(dead[regions], 0.9, 1.0))
        ax.imshow(shade, extent=(*xlim, *ylim), cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        for chosen, color in ((~dead, style.BLACK), (dead, style.SILVER)):
            ax.plot(*codebook[chosen].T, "o", color=color, markersize=3)
        ax.set(xlim=xlim, ylim=ylim, xticks=[], yticks=[])
        ax.set_title(f"o dicionário; {self._dead}", fontsize=10)

    @property
    def _dead(self) -> str:
        n_dead = int((self.usage == 0).sum())
        return "nenhum morto" if n_dead == 0 else "1 morto" if n_dead == 1 else f"{n_dead} mortos"


def _logarithm(count: Tensor | float) -> float:
    """A altura da barra: 0 para o código morto, e cada fator de dez sobe o mesmo tanto."""
    return math.log10(1 + 9 * float(count))


def _edges(inside: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Os lados dos pixels em que bool [H, W] muda de valor, inclusive na borda da imagem: (x, y) das duas pontas."""
    padded = np.pad(inside, 1)
    across = [(np.array([j, j + 1]), np.array([i, i])) for i, j in np.argwhere(padded[:-1, 1:-1] != padded[1:, 1:-1])]
    down = [(np.array([j, j]), np.array([i, i + 1])) for i, j in np.argwhere(padded[1:-1, :-1] != padded[1:-1, 1:])]
    return across + down


def _spread(size: int) -> tuple[int, ...]:
    """As posições que a página oferece: todas ou, se forem muitas, algumas, por igual."""
    return tuple(sorted({round(i) for i in np.linspace(0, size - 1, min(size, _MOST_RECORDED)).tolist()}))


def _controls(
    n_images: int, h: int, w: int, n_codes: int, cell: tuple[int, int], code: int
) -> dict[str, widgets.Widget]:
    def slider(name: str, value: int, size: int, tooltip: str) -> widgets.IntSlider:
        return widgets.IntSlider(
            value=value,
            min=0,
            max=size - 1,
            description=name,
            tooltip=tooltip,
            style={"description_width": "54px"},
            layout={"width": "auto"},
        )

    return {
        "index": slider("imagem", 0, n_images, "Que imagem se codifica, contada de 0"),
        "row": slider("linha", cell[0], h, "A linha da célula, contada de 0, de cima para baixo"),
        "column": slider("coluna", cell[1], w, "A coluna da célula, contada de 0, da esquerda para a direita"),
        "code": slider("código", code, n_codes, "O número do código que se põe na célula"),
        "keep": widgets.Button(
            description="Manter a troca", tooltip="Guarda esta troca e faz outra por cima", layout={"width": "138px"}
        ),
        "original": widgets.Button(
            description="Voltar ao original", tooltip="Desfaz as trocas desta imagem", layout={"width": "138px"}
        ),
    }
