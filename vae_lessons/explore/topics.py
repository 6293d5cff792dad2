"""O explorador de um modelo de tópicos: um ponto entre três tópicos, as palavras que ele prevê e as páginas perto dele.

A cada movimento se decodificam umas proporções e se comparam com as de todas as páginas.
"""

import math
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
from vae_lessons.explore.base import Explorer, column, group, picture, row, text
from vae_lessons.explore.calls import quiet, require_steady
from vae_lessons.explore.canvas import Canvas, Panel, axes_at
from vae_lessons.explore.pointing import pointable, within
from vae_lessons.explore.sliders import ExactSlider
from vae_lessons.style import number

_WORDS = 12  # palavras que se mostram, das mais prováveis
_OF_A_TOPIC = 3  # palavras que dão nome a um tópico
_PAGES = 5  # páginas próximas que se mostram
_STEP = 0.05  # o que anda uma seta do teclado
_LONGEST = 74  # letras de um título, no máximo
_RECORDED = tuple(i / 10 for i in range(11)), tuple(i / 8 for i in range(9))

# Em pixels da tela, contados do canto de cima à esquerda.
_WIDTH, _HEIGHT = 660, 466
_SIDE = 254  # do triângulo
_LEFT, _BASE = 44, 272  # o canto do primeiro tópico
_BARS = (372, 648), (36, 306)  # da esquerda à direita e de cima a baixo
_LINES, _LINE = 374, 19  # a primeira página e a distância entre duas

_LABELS = (-32, 22, "lm"), (44, 22, "rm"), (0, -34, "mm")  # o nome de cada canto: à direita, abaixo, âncora

_POINT, _BAR, _SHARE = style.ORANGE, style.BLUE, style.mix(style.ORANGE, style.WHITE, 0.72)

_LABEL = (
    "As proporções da página: arraste o ponto no triângulo, ou mova-o com as setas. As barras são as palavras "
    "mais prováveis, e embaixo estão as páginas de proporções mais parecidas."
)


def explore_topics(
    decode: Callable, proportions: Tensor, vocabulary: Sequence[str], titles: Sequence[str]
) -> "TopicsExplorer":
    """Um explorador de um modelo de tópicos: move-se um ponto entre três tópicos, e palavras e páginas o acompanham.

    decode: proporções θ [B, K] → log p(palavra | θ) [B, V], em nats · proportions: as de cada página, [N, K], positivas
    e de soma 1 · vocabulary: as V palavras · titles: os N títulos das páginas.
    Um módulo, ou um método de um, é chamado em modo de avaliação. De uma LDA, decode = lambda t: (t @ beta).log().
    Levanta TypeError se o que vier não for função, tensor ou textos, e ValueError se as formas não forem essas, se as
    proporções não somarem 1, se decode não der log-probabilidades ou não der sempre a mesma resposta.
    """
    proportions = _checked_proportions(proportions)
    vocabulary = _checked_texts("vocabulary", vocabulary)
    titles = _checked_texts("titles", titles)
    if len(titles) != len(proportions):
        raise ValueError(f"São {len(proportions)} páginas em proportions e {len(titles)} em titles: um título cada.")
    return TopicsExplorer(decode, proportions, vocabulary, titles)


class TopicsNumbers(NamedTuple):
    """first, second, third: os tópicos dos cantos · theta [K]: as proporções · log_p [V]: as das palavras, em nats ·
    top: as palavras mais prováveis, índices · nearest: as páginas mais parecidas, índices · alikeness: a semelhança de
    cada uma, Σ √(θ_k θ'_k), de 0 a 1."""

    first: int
    second: int
    third: int
    theta: Tensor
    log_p: Tensor
    top: tuple[int, ...]
    nearest: tuple[int, ...]
    alikeness: tuple[float, ...]


class TopicsExplorer(Explorer):
    """Um triângulo, com um tópico em cada canto; as palavras que o ponto prevê; as páginas de proporções parecidas.

    controls: dicionário nome → ipywidget. Atribuir `.value` no código equivale a mexer na tela.
        "first", "second", "third"   os tópicos dos cantos, contados de 0
        "share"                      a proporção do primeiro, de 0 a 1
        "rest"                       do que sobra, quanto é do segundo; o terceiro fica com o resto
    O ponto também se arrasta no triângulo, ou se move com as setas do teclado.
    picture: ipywidgets.Image, PNG · theta, log_p, top, nearest, alikeness: como em TopicsNumbers.
    Começa com os três tópicos mais usados nas páginas.
    """

    inputs = ("first", "second", "third", "share", "rest")
    recorded = (("share", _RECORDED[0]), ("rest", _RECORDED[1]))

    def __init__(self, decode: Callable, proportions: Tensor, vocabulary: list[str], titles: list[str]):
        self.proportions, self.vocabulary, self.titles = proportions, vocabulary, titles
        self._decode = quiet("decode", decode)
        self._roots = proportions.sqrt()
        self.names = self._named_topics()
        self._canvas = Canvas(_frame(), [style.BLACK, style.GREY, _POINT, _BAR, _SHARE, style.WHITE])
        self.picture = picture(_WIDTH, "vae-picture")
        used = proportions.mean(0).argsort(descending=True, stable=True).tolist()
        c = self.controls = _controls(self.names, [used[i % len(used)] for i in range(3)])
        hand = pointable(self.picture, _LABEL, size=(_WIDTH, _HEIGHT), at=self._point, keys=self._step)
        corners = group("Os tópicos dos cantos", c["first"], c["second"], c["third"])
        shares = [c["share"].with_number(), c["rest"].with_number()]
        note = text("O terceiro tópico fica com o que sobra. O ponto do triângulo também se arrasta.")
        super().__init__(row(hand, column(330, corners, *shares, note)))
        self._start()

    def __repr__(self) -> str:
        n, k = self.proportions.shape
        return f"TopicsExplorer({k} tópicos, {len(self.vocabulary)} palavras, {n} páginas)"

    def measure(self, *, first: int, second: int, third: int, share: float, rest: float) -> TopicsNumbers:
        theta = torch.zeros(self.proportions.shape[1])
        for topic, part in ((first, share), (second, (1 - share) * rest), (third, (1 - share) * (1 - rest))):
            theta[topic] += part
        log_p = self._decode(theta[None].to(self.proportions)).float().cpu()[0]
        top = log_p.argsort(descending=True, stable=True)[:_WORDS].tolist()
        alike = (self._roots @ theta.sqrt().to(self._roots)).clamp(0, 1)
        nearest = alike.argsort(descending=True, stable=True)[:_PAGES].tolist()
        return TopicsNumbers(
            first, second, third, theta, log_p, tuple(top), tuple(nearest), tuple(alike[nearest].tolist())
        )

    def paint(self, numbers: TopicsNumbers) -> Image.Image:
        panel = self._canvas.panel(0)
        self._paint_triangle(panel, numbers)
        self._paint_words(panel, numbers)
        self._paint_pages(panel, numbers)
        return self._canvas.image(panel)

    def describe(self, numbers: TopicsNumbers) -> str:
        parts = (numbers.first, numbers.second, numbers.third)
        said = ", ".join(
            f"{number(100 * part, 0)}% do tópico {k}" for k, part in zip(parts, self._parts(numbers), strict=True)
        )
        words = ", ".join(self.vocabulary[i] for i in numbers.top[:5])
        return (
            f"Uma página com {said}. As palavras mais prováveis são {words}; a página mais parecida é "
            f"“{self.titles[numbers.nearest[0]]}”."
        )

    def _parts(self, numbers: TopicsNumbers) -> tuple[float, float, float]:
        """A proporção em cada canto; um tópico repetido em dois cantos conta no primeiro deles."""
        parts, seen = [], set()
        for topic in (numbers.first, numbers.second, numbers.third):
            parts.append(0.0 if topic in seen else float(numbers.theta[topic]))
            seen.add(topic)
        return tuple(parts)

    def _paint_triangle(self, panel: Panel, numbers: TopicsNumbers) -> None:
        topics, parts = (numbers.first, numbers.second, numbers.third), self._parts(numbers)
        corners = _corners()
        for (x, y), topic, part, look in zip(corners, topics, parts, _LABELS, strict=True):
            x, y, anchor = x + look[0], y + look[1], look[2]
            panel.text(
                x, y, f"tópico {topic}: {number(100 * part, 0)}%", style.BLACK, anchor=anchor, size=12, bold=True
            )
            first, second = [*self.names[topic].split(" "), ""][:2]
            lines = [f"{first} {second}"] if anchor == "mm" else [first, second]
            for k, line in enumerate(lines):
                panel.text(x, y + 15 * (k + 1), line, style.GREY, anchor=anchor, size=11)
        x, y = (np.array(corners).T * np.array(parts)).sum(1) / max(sum(parts), 1e-9)
        for (cx, cy), part in zip(corners, parts, strict=True):
            if part > 0:
                panel.curve(np.array([cx, x]), np.array([cy, y]), _SHARE, width=1 + 6 * part)
        panel.dots(np.array([x]), np.array([y]), _POINT, radius=9)

    def _paint_words(self, panel: Panel, numbers: TopicsNumbers) -> None:
        (left, right), (top, bottom) = _BARS
        probabilities = numbers.log_p.exp()[list(numbers.top)].tolist()
        height, longest = (bottom - top) / _WORDS, max(probabilities)
        reach = right - left - 96
        for i, (word, p) in enumerate(zip(numbers.top, probabilities, strict=True)):
            y = top + (i + 0.5) * height
            panel.text(left + 46, y, self.vocabulary[word][:16], style.BLACK, anchor="rm", size=12)
            panel.bar(left + 52, left + 52 + reach * p / longest, y + 0.34 * height, y - 0.34 * height, _BAR)
            panel.text(left + 57 + reach * p / longest, y, number(p, 3), style.GREY, anchor="lm", size=11)

    def _paint_pages(self, panel: Panel, numbers: TopicsNumbers) -> None:
        for i, (page, alike) in enumerate(zip(numbers.nearest, numbers.alikeness, strict=True)):
            y = _LINES + i * _LINE
            title = self.titles[page]
            short = title if len(title) <= _LONGEST else title[: _LONGEST - 1] + "…"
            panel.text(16, y, number(alike, 2), style.GREY, anchor="lm", size=12)
            panel.text(58, y, short, style.BLACK, anchor="lm", size=12)

    def _point(self, x: float, y: float) -> None:
        """Um ponto da figura, em pixels da tela; fora do triângulo, o mais próximo das proporções que daria."""
        if x > _BARS[0][0] - 30 or y > _LINES - 20:
            return
        third = (_BASE - y) / (_SIDE * math.sqrt(3) / 2)
        second = (x - _LEFT) / _SIDE - third / 2
        self._go(1 - second - third, second, third)

    def _step(self, right: int, down: int) -> None:
        parts = self._own_parts()
        self._go(
            parts[0] - _STEP * right + _STEP * down / 2,
            parts[1] + _STEP * right + _STEP * down / 2,
            parts[2] - _STEP * down,
        )

    def _own_parts(self) -> tuple[float, float, float]:
        share, rest = self.controls["share"].value, self.controls["rest"].value
        return share, (1 - share) * rest, (1 - share) * (1 - rest)

    def _go(self, *parts: float) -> None:
        """Leva os dois controles às proporções, cortadas em zero e somando 1, e desenha uma vez só."""
        first, second, third = (max(part, 0.0) for part in parts)
        total = first + second + third
        share = within(first / total, 0.0, 1.0)
        rest = second / (second + third) if second + third > 1e-6 else self.controls["rest"].value
        self.move(share=round(share, 3), rest=round(within(rest, 0.0, 1.0), 3))

    def _named_topics(self) -> list[str]:
        """As primeiras palavras de cada tópico sozinho; confere o que decode devolve."""
        n_topics = self.proportions.shape[1]
        corners = torch.eye(n_topics).to(self.proportions)

        def answer(n: int) -> Tensor:
            log_p, expected = self._decode(corners[:n]), (n, len(self.vocabulary))
            if not isinstance(log_p, Tensor) or log_p.shape != expected:
                found = f"forma {tuple(log_p.shape)}" if isinstance(log_p, Tensor) else type(log_p).__name__
                raise ValueError(
                    f"decode(θ) deve devolver log-probabilidades [B, V], com V = {expected[1]}, as palavras de "
                    f"vocabulary, mas para {n} proporções [B, K = {n_topics}] devolveu {found}."
                )
            return log_p

        require_steady("decode", answer)
        log_p = answer(n_topics).float().cpu()
        totals = log_p.exp().sum(1)
        if not (totals - 1).abs().max() < 1e-2:  # NaN também
            raise ValueError(
                f"decode(θ) deve devolver log-probabilidades, que somam 1 depois de exp, mas vieram somas de "
                f"{number(totals.min(), 3)} a {number(totals.max(), 3)}. De logits, use .log_softmax(-1); de "
                "probabilidades, .log()."
            )
        top = log_p.topk(min(_OF_A_TOPIC, log_p.shape[1])).indices
        return [" ".join(self.vocabulary[i] for i in line) for line in top.tolist()]


def _corners() -> list[tuple[float, float]]:
    """O lugar dos três tópicos, em pixels da tela."""
    return [(_LEFT, _BASE), (_LEFT + _SIDE, _BASE), (_LEFT + _SIDE / 2, _BASE - _SIDE * math.sqrt(3) / 2)]


def _checked_proportions(proportions: Tensor) -> Tensor:
    if not isinstance(proportions, Tensor):
        raise TypeError(
            "proportions deve ser um tensor [N, K], as proporções de cada página, mas veio "
            f"{type(proportions).__name__}. De um array do NumPy, torch.from_numpy."
        )
    if proportions.ndim != 2 or len(proportions) < 1 or proportions.shape[1] < 2 or not proportions.is_floating_point():
        raise ValueError(
            "proportions deve ter forma [N, K], com K ≥ 2 tópicos e ponto flutuante, mas veio "
            f"{proportions.dtype} {tuple(proportions.shape)}."
        )
    proportions = proportions.detach().cpu()
    low, total = float(proportions.min()), proportions.sum(1)
    if not (low >= 0 and (total - 1).abs().max() < 1e-3):  # NaN também
        raise ValueError(
            "Cada linha de proportions deve ter números ≥ 0 de soma 1, mas o menor é "
            f"{number(low, 3)} e as somas vão de {number(total.min(), 3)} a {number(total.max(), 3)}. De uma normal "
            "logística, passe o softmax."
        )
    return proportions


def _checked_texts(name: str, texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        raise TypeError(f"{name} deve ser uma lista de textos, mas veio {type(texts).__name__}.")
    texts = list(texts)
    if not texts or not all(isinstance(item, str) for item in texts):
        raise TypeError(f"{name} deve ser uma lista de textos, sem outra coisa no meio, e não vazia.")
    return texts


def _controls(names: list[str], chosen: list[int]) -> dict[str, widgets.Widget]:
    options = [(f"{k}: {name}", k) for k, name in enumerate(names)]
    corner = {"options": options, "layout": Layout(width="auto"), "style": {"description_width": "70px"}}
    slider = {
        "min": 0.0,
        "max": 1.0,
        "step": 0.01,
        "style": {"description_width": "140px"},
        "layout": {"width": "auto"},
    }
    return {
        "first": widgets.Dropdown(
            description="primeiro", tooltip="O tópico do canto esquerdo", value=chosen[0], **corner
        ),
        "second": widgets.Dropdown(
            description="segundo", tooltip="O tópico do canto direito", value=chosen[1], **corner
        ),
        "third": widgets.Dropdown(
            description="terceiro", tooltip="O tópico do canto de cima", value=chosen[2], **corner
        ),
        "share": ExactSlider(description="do primeiro", tooltip="A proporção do primeiro tópico", value=0.4, **slider),
        "rest": ExactSlider(
            description="do resto, ao segundo",
            tooltip="Do que sobra, a parte do segundo tópico; o terceiro fica com o resto",
            value=0.5,
            **slider,
        ),
    }


def _frame() -> Figure:
    """O que não muda: o triângulo e os títulos, em pixels da tela."""
    fig = Figure(figsize=(_WIDTH / 100, _HEIGHT / 100))
    ax = axes_at(fig, 0, _WIDTH, 0, _HEIGHT)
    ax.set(xlim=(0, _WIDTH), ylim=(_HEIGHT, 0))
    ax.axis("off")
    x, y = zip(*_corners(), _corners()[0], strict=True)
    ax.plot(x, y, color=style.GREY, linewidth=1.2)
    ax.text(_BARS[0][0] - 6, 18, "Palavras mais prováveis", fontsize=10, weight="bold", va="center")
    ax.text(16, _LINES - 22, "Páginas de proporções parecidas (semelhança)", fontsize=10, weight="bold", va="center")
    return fig
