"""O explorador de uma recomendação: o que os modelos de uma varredura em β recomendam a quem gosta destes filmes.

A cada movimento cada modelo codifica e decodifica uma pessoa.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import ipywidgets as widgets
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from vae_lessons import style
from vae_lessons.data import Dataset
from vae_lessons.distributions import kl_divergence
from vae_lessons.explore.base import Explorer, column, picture, row, text, title
from vae_lessons.explore.canvas import Canvas, Panel
from vae_lessons.models import VAE, evaluating
from vae_lessons.style import nats, number
from vae_lessons.training import Run

_LISTED = 10  # filmes recomendados
_SHELVES = 6  # prateleiras que se oferecem se nenhuma vier
_FAR = 99  # a última posição que se escreve por extenso

# Em pixels da tela, contados do canto de cima à esquerda.
_WIDTH, _HEIGHT = 660, 408
_NAMES, _BARS, _RANKS = 34, (318, 428), (446, 654)  # os títulos, as barras e a tabela das posições
_FIRST, _STEP = 134, 25  # a linha do primeiro filme e a distância entre vizinhas
_LETTERS, _SHELF_LETTERS = 40, 92  # as que cabem num título e na linha da prateleira

_CHOSEN, _PERSONAL = style.ORANGE, style.BLUE


def explore_films(
    sweep: Sequence[Run],
    likes: Dataset | Tensor,
    titles: Sequence[str],
    shelves: Mapping[str, Iterable[str]] | None = None,
) -> "FilmsExplorer":
    """Um explorador da varredura que `fit_many` devolve: escolhem-se filmes, e veem-se as recomendações de cada β.

    sweep: uma execução por β; havendo sementes, vale a primeira de cada β. Os modelos são VAEs de x [B, I], cuja
    verossimilhança tem `mean` [B, I], com as probabilidades (ou o que ordene os filmes) · likes: [N, I], zeros e
    uns, quem gostou de quê: daí vem a popularidade · titles: os I títulos; se um se repete, vale o mais visto ·
    shelves: nome → títulos de que alguém gosta, as prateleiras prontas; sem elas, os seis filmes mais vistos, um a um.
    Levanta TypeError se `sweep` não for uma lista de Run com VAEs ou `likes` não for um Dataset ou tensor, e ValueError
    se a varredura tiver um β só, se os tamanhos não casarem, se um título não existir ou se um modelo devolver NaN.
    """
    runs = _by_beta(sweep)
    x = likes.x if isinstance(likes, Dataset) else likes
    if not isinstance(x, Tensor):
        raise TypeError(f"likes deve ser um Dataset ou um tensor [N, I], mas veio {type(likes).__name__}.")
    titles = [str(each) for each in titles]
    if x.ndim != 2 or len(titles) != x.shape[1] or len(titles) <= _LISTED:
        raise ValueError(
            f"likes deve ter uma coluna para cada título, e mais de {_LISTED}, mas vieram {tuple(x.shape)} e "
            f"{len(titles)} títulos."
        )
    return FilmsExplorer(runs, x.detach().cpu().float(), titles, shelves)


class FilmsNumbers(NamedTuple):
    """beta: o do modelo · liked: os índices dos filmes de que a pessoa gosta · recommended [10]: os índices dos
    recomendados, do primeiro ao último · share [10]: a probabilidade que o modelo dá a cada um · ranks [10, n β]: a
    posição de cada um na lista de cada β, contada de 1 · rate: a KL da pessoa, em nats · popular: quantos dos
    recomendados estão entre os 10 mais vistos de que ela ainda não gostou · largest: a maior probabilidade de um
    recomendado, em qualquer β."""

    beta: float
    liked: tuple[int, ...]
    recommended: Tensor
    share: Tensor
    ranks: Tensor
    rate: float
    popular: int
    largest: float


class FilmsExplorer(Explorer):
    """Os dez filmes que o modelo de um β recomenda, a probabilidade de cada um e a posição dele nos outros β.

    controls: dicionário nome → ipywidget. Atribuir `.value` no código (ou chamar `.click()`) equivale a mexer na tela.
        "shelf"     a prateleira de que se parte, pelo nome
        "beta"      um dos β treinados
        "film"      um título, que se junta à prateleira assim que se escolhe
        "remove"    botão: tira o último filme que se juntou
        "clear"     botão: tira todos os que se juntaram
    picture: ipywidgets.Image, PNG · beta, liked, recommended, share, ranks, rate, popular: como em FilmsNumbers ·
    betas: os β da varredura, em ordem · popularity [I]: a fração dos "gostei" que cada filme tem · titles.
    Começa com a primeira prateleira e o segundo menor β.
    """

    inputs = ("shelf", "beta")
    recorded = (("shelf", None), ("beta", None))

    def __init__(self, runs: dict[float, Run], likes: Tensor, titles: list[str], shelves):
        self.betas, self._models = tuple(runs), {beta: run.model for beta, run in runs.items()}
        self.titles, count = titles, likes.sum(0)
        self.popularity = count / count.sum().clamp(min=1)
        self._by_popularity = count.argsort(descending=True, stable=True)
        self._index = {titles[i]: i for i in reversed(self._by_popularity.tolist())}
        self._shelves = self._named_shelves(shelves)
        self._added: tuple[int, ...] = ()
        self._canvas = Canvas(_frame(), [style.BLACK, style.GREY, style.WHITE, style.MIST, _CHOSEN, _PERSONAL])
        self.picture = picture(_WIDTH, "vae-picture")
        self.caption = text()
        offered = [titles[i] for i in self._by_popularity.tolist()]
        c = self.controls = _controls(list(self._shelves), self.betas, list(dict.fromkeys(offered)))
        shelf = [title("De que filmes a pessoa gosta"), c["shelf"], c["film"], row(c["remove"], c["clear"])]
        model = [title("O modelo"), c["beta"], self.caption]
        note = text("Títulos em inglês, como nos dados. O traço preto em cada barra é a fração dos «gostei» do filme.")
        super().__init__(row(self.picture, column(300, *shelf, *model, note)))
        c["shelf"].observe(self._forget, "value")
        c["film"].observe(self._join, "value")
        c["remove"].on_click(lambda _: self._keep(self._added[:-1]))
        c["clear"].on_click(lambda _: self._keep(()))
        self._start()

    def __repr__(self) -> str:
        return f"FilmsExplorer({len(self.betas)} valores de β, {len(self.titles)} filmes)"

    def values(self) -> dict:
        return {**super().values(), "added": self._added}

    def measure(self, *, shelf: str, beta: float, added: tuple[int, ...] = ()) -> FilmsNumbers:
        """added: os índices dos filmes que se juntaram à prateleira."""
        liked = tuple(dict.fromkeys((*self._shelves[shelf], *added)))
        x = torch.zeros(1, len(self.titles))
        x[0, list(liked)] = 1
        places, means = [], {}
        for each, model in self._models.items():
            means[each] = _scores(model, x, each)
            places.append(_places(means[each], liked))
        here = self.betas.index(beta)
        recommended = places[here].argsort()[:_LISTED]
        left = [i for i in self._by_popularity.tolist() if i not in liked][:_LISTED]
        best = [means[each][place.argsort()[0]].item() for each, place in zip(self.betas, places, strict=True)]
        with evaluating(self._models[beta]):
            q, prior = self._models[beta].encode(x.to(self._models[beta].prior.mean)), self._models[beta].prior
            rate = kl_divergence(q, prior).sum().item()
        return FilmsNumbers(
            beta=beta,
            liked=liked,
            recommended=recommended,
            share=means[beta][recommended],
            ranks=torch.stack([place[recommended] for place in places], dim=1) + 1,
            rate=rate,
            popular=len(set(left) & set(recommended.tolist())),
            largest=max(best),
        )

    def paint(self, numbers: FilmsNumbers) -> Image.Image:
        panel = self._canvas.panel(0)
        self._paint_shelf(panel, numbers)
        here = self.betas.index(numbers.beta)
        self._paint_heading(panel, here)
        for place, film in enumerate(numbers.recommended.tolist()):
            y = _FIRST + place * _STEP
            panel.text(_NAMES - 8, y, str(place + 1), style.GREY, anchor="rm", size=12)
            panel.text(_NAMES, y, shortened(self.titles[film], _LETTERS), style.BLACK, anchor="lm", size=12)
            self._paint_bar(panel, y, numbers.share[place].item(), self.popularity[film].item(), numbers.largest)
            for column_of, rank in enumerate(numbers.ranks[place].tolist()):
                self._paint_rank(panel, column_of, y, rank, chosen=column_of == here)
        return self._canvas.image(panel)

    def describe(self, numbers: FilmsNumbers) -> str:
        liked = "; ".join(self.titles[i] for i in numbers.liked) or "nenhum filme"
        first = "; ".join(self.titles[i] for i in numbers.recommended.tolist())
        return (
            f"Quem gosta de: {liked}. Com β = {number(numbers.beta)} o modelo recomenda, em ordem: {first}. "
            f"A KL desta pessoa é de {nats(numbers.rate, 1)}, e {numbers.popular} dos {_LISTED} estão entre os "
            f"{_LISTED} mais vistos que ela ainda não tem."
        )

    def _show(self) -> None:
        super()._show()
        n = self.numbers
        self.caption.value = (
            f"KL desta pessoa: {nats(n.rate, 1)}.<br>Dos {_LISTED} recomendados, {n.popular} estão entre os {_LISTED} "
            "mais vistos que ela ainda não tem."
        )

    def _named_shelves(self, shelves: Mapping[str, Iterable[str]] | None) -> dict[str, tuple[int, ...]]:
        if shelves is None:
            return {self.titles[i]: (i,) for i in self._by_popularity[:_SHELVES].tolist()}
        if not isinstance(shelves, Mapping) or not shelves:
            raise TypeError(
                "shelves deve ser um dicionário de nome → lista de títulos, com ao menos uma prateleira, mas veio "
                f"{type(shelves).__name__}."
            )
        missing = [name for films in shelves.values() for name in films if name not in self._index]
        if missing:
            raise ValueError(f"Não há filme chamado {missing[0]!r}. Os títulos são os de `titles`, letra por letra.")
        return {name: tuple(self._index[film] for film in films) for name, films in shelves.items()}

    def _join(self, change) -> None:
        """Um título inteiro, escolhido ou digitado, junta-se à prateleira; o resto espera que se acabe de digitar."""
        film = self._index.get(change["new"])
        if film is None:
            return
        self.controls["film"].value = ""
        if film not in self._shelves[self.controls["shelf"].value] + self._added:
            self._keep((*self._added, film))

    def _keep(self, added: tuple[int, ...]) -> None:
        self._added = added
        self._follow()

    def _forget(self, _change) -> None:
        """Outra prateleira: o que se juntou à anterior fica para trás. Vem antes do desenho, que é feito uma vez só."""
        self._added = ()

    def _paint_shelf(self, panel: Panel, numbers: FilmsNumbers) -> None:
        names = [shortened(self.titles[i], _LETTERS) for i in numbers.liked]
        panel.text(8, 20, "Gosta de", _CHOSEN, size=13, bold=True)
        lines = in_lines(names, _SHELF_LETTERS) if names else ["nenhum filme, por enquanto"]
        for line, words in enumerate(lines):
            panel.text(8, 41 + 19 * line, words, style.BLACK, size=12)

    def _paint_heading(self, panel: Panel, here: int) -> None:
        panel.text(8, _FIRST - 30, f"β = {number(self.betas[here])} recomenda", _PERSONAL, size=13, bold=True)
        panel.text(_BARS[0], _FIRST - 30, "probabilidade", style.BLACK, size=11)
        panel.text(_RANKS[0], _FIRST - 30, "em que lugar, com β =", style.BLACK, size=11, offset=(0, -16))
        for place, beta in enumerate(self.betas):
            color, bold = (_PERSONAL, True) if place == here else (style.GREY, False)
            panel.text(self._column(place), _FIRST - 30, number(beta), color, anchor="ms", size=12, bold=bold)

    def _column(self, place: int) -> float:
        """O meio da coluna de um β, na tabela das posições."""
        return _RANKS[0] + (place + 0.5) * (_RANKS[1] - _RANKS[0]) / len(self.betas)

    def _paint_bar(self, panel: Panel, y: float, share: float, popularity: float, largest: float) -> None:
        unit = (_BARS[1] - _BARS[0]) / max(largest, 1e-12)
        panel.bar(_BARS[0], _BARS[0] + max(share, 0) * unit, y + 7, y - 7, _PERSONAL)
        tick = min(_BARS[0] + popularity * unit, _BARS[1] + 8)
        panel.bar(tick - 1, tick + 1, y + 10, y - 10, style.BLACK)

    def _paint_rank(self, panel: Panel, place: int, y: float, rank: int, *, chosen: bool) -> None:
        """A posição, tanto mais forte o fundo quanto mais perto do topo."""
        x, listed = self._column(place), rank <= _LISTED
        if listed:
            reach = (_RANKS[1] - _RANKS[0]) / len(self.betas) / 2 - 1
            panel.bar(x - reach, x + reach, y + 11, y - 11, _PERSONAL if chosen else style.MIST)
        color = style.WHITE if chosen else style.BLACK if listed else style.GREY
        words = str(rank) if rank <= _FAR else f"{_FAR}+"
        panel.text(x, y, words, color, anchor="mm", size=12, bold=chosen)


def shortened(words: str, letters: int) -> str:
    """As primeiras `letters` letras; as que sobram viram reticências. Se basta tirar o ano do fim, tira-se o ano."""
    words = words if len(words) <= letters else re.sub(r" \(\d{4}\)$", "", words)
    return words if len(words) <= letters else words[: letters - 1].rstrip() + "…"


def in_lines(names: Sequence[str], letters: int) -> list[str]:
    """Os nomes, separados por pontos, em no máximo duas linhas; os que não cabem são contados no fim da segunda."""
    lines, left = [""], list(names)
    while left:
        longer = f"{lines[-1]} · {left[0]}".removeprefix(" · ")
        room = letters - (12 if len(lines) == 2 and len(left) > 1 else 0)  # o lugar de "e mais 99"
        if len(longer) <= room or not lines[-1]:
            lines[-1] = longer
            left.pop(0)
        elif len(lines) < 2:
            lines.append("")
        else:
            lines[-1] += f" e mais {len(left)}"
            break
    return lines


def _scores(model: VAE, x: Tensor, beta: float) -> Tensor:
    """As probabilidades de cada filme, decodificadas da média de q(z|x), [I]. Levanta ValueError se não servirem."""
    with evaluating(model):
        q = model.encode(x.to(model.prior.mean))
        mean = model.decode(q.mean).mean[0].float().cpu()
    if mean.shape != x[0].shape or not mean.isfinite().all():
        raise ValueError(
            f"O modelo de β = {number(beta)} deve dar {x.shape[1]} probabilidades finitas, uma por filme, mas deu "
            f"{tuple(mean.shape)}, ou NaN. Tire-o da varredura, ou treine-o de novo."
        )
    return mean


def _places(scores: Tensor, liked: Sequence[int]) -> Tensor:
    """A posição de cada filme na lista, contada de 0: int64 [I]; os de que a pessoa já gosta ficam no fim."""
    scores = scores.clone()
    scores[list(liked)] = -torch.inf
    return scores.argsort(descending=True, stable=True).argsort()


def _by_beta(sweep: Sequence[Run]) -> dict[float, Run]:
    """A primeira execução de cada β, do menor ao maior."""
    if isinstance(sweep, Run) or not isinstance(sweep, list | tuple):
        raise TypeError(
            f"explore_films espera a lista de execuções que fit_many devolve, mas veio {type(sweep).__name__}."
        )
    runs: dict[float, Run] = {}
    for run in sweep:
        if not isinstance(run, Run) or not isinstance(run.model, VAE):
            raise TypeError(
                "Cada item da varredura deve ser um Run(model, history, config) com um VAE, como fit_many devolve, mas "
                f"veio {type(run).__name__}."
            )
        runs.setdefault(run.config.beta, run)
    if len(runs) < 2:
        raise ValueError(
            "São precisos ao menos dois valores de β para comparar. Treine uma varredura com fit_many(..., "
            'sweep={"beta": [0, 0.2, 1]}).'
        )
    return dict(sorted(runs.items()))


def _frame() -> Figure:
    """O que não muda: o fundo, em pixels da tela."""
    fig = Figure(figsize=(_WIDTH / 100, _HEIGHT / 100))
    everything = fig.add_axes((0, 0, 1, 1))
    everything.set(xlim=(0, _WIDTH), ylim=(_HEIGHT, 0))
    everything.axis("off")
    everything.hlines([_FIRST - 22], 8, _WIDTH - 6, style.SILVER, lw=0.8)
    everything.text(_BARS[0], _HEIGHT - 16, "traço: a fração dos «gostei» do filme", fontsize=8, color=style.GREY)
    return fig


def _controls(shelves: list[str], betas: tuple[float, ...], films: list[str]) -> dict[str, widgets.Widget]:
    look = {"style": {"description_width": "78px"}, "layout": {"width": "auto"}}
    return {
        "shelf": widgets.Dropdown(
            options=shelves, description="prateleira", tooltip="Os filmes de que a pessoa gosta", **look
        ),
        "film": widgets.Combobox(
            options=films,
            description="e também",
            placeholder="digite parte de um título",
            tooltip="Um filme que se junta à prateleira",
            **look,
        ),
        "remove": widgets.Button(
            description="Tirar o último", tooltip="Tira o último filme que se juntou", layout={"width": "138px"}
        ),
        "clear": widgets.Button(
            description="Só a prateleira", tooltip="Tira todos os que se juntaram", layout={"width": "138px"}
        ),
        "beta": widgets.SelectionSlider(
            options=[(number(beta), beta) for beta in betas],
            value=betas[1],
            description="β",
            tooltip="O peso da KL na perda com que o modelo foi treinado",
            **look,
        ),
    }
