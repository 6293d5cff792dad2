"""Um explorador gravado: as figuras de todos os estados que a página mostra, guardadas pelo que têm de diferente.

Cada explorador diz, em `recorded`, que controles vivem na página e em que valores; os outros ficam como estavam. Aqui
se percorrem todas as combinações, com as mesmas funções `measure`, `paint` e `describe` que o kernel usa. Cada figura
vira o retângulo em que difere de uma figura base, em WebP sem perdas e transparente onde as duas são iguais: posta por
cima da base, dá a figura do kernel, pixel por pixel.
"""

import base64
import io
import itertools
from collections.abc import Iterator

import numpy as np
from IPython.display import display
from PIL import Image

from vae_lessons.explore.base import Explorer
from vae_lessons.publish import live
from vae_lessons.style import number

MIME = "application/vnd.vae-lessons.recording+json"
_WHITE = 0xFFFFFFFF
_SAMPLED = 32  # figuras de que sai a base
_GAP = 20  # pontos: a faixa vazia em que uma figura se corta
_LARGEST = 0.7  # a maior parte, depois do corte, em fração da figura


def show(explorer: Explorer) -> None:
    """Mostra a forma que um explorador tem na página: vivo, gravado ou, se nenhuma servir, a figura parada."""
    for mime, form in _FORMS:
        if (content := form(explorer)) is not None:
            picture = base64.b64encode(explorer.static_png()).decode("ascii")
            text = explorer.describe(explorer.numbers)
            display({mime: content, "image/png": picture, "text/plain": text}, raw=True)
            return
    explorer._ipython_display_()


def axes(explorer: Explorer) -> dict[str, list]:
    """Controle → os valores que ele tem na página; entre eles, sempre, o que ele tem agora."""
    found = {}
    for name, values in explorer.recorded:
        control = explorer.controls[name]
        possible = _options(control)
        values = list(possible if values is None else values)
        if possible:
            values = [value for value in values if value in possible]
        found[name] = values if control.value in values else sorted([*values, control.value])
    return {name: values for name, values in found.items() if len(values) > 1}


def record(explorer: Explorer) -> dict | None:
    """Os estados de um explorador, em ordem: o último controle é o que anda mais depressa. None se nada vive na página.

    width, height: da figura, em pontos · shown: a largura com que se mostra, em pixels da tela · folds: as colunas em
    que se pode cortar, se não couber na tela · controls: label, kind ("slider" ou "choice") e os textos dos valores ·
    others: os controles que ficam de fora · start: o estado de partida · bases: WebP em base64, uma para cada
    combinação dos controles de escolha · states: por estado, [base, x, y, WebP em base64], ou [base] se for igual a
    ela · texts: por estado, o texto alternativo.
    """
    chosen, fixed = axes(explorer), explorer.values()
    if not chosen:
        return None
    controls = [_control(explorer.controls[name], values) for name, values in chosen.items()]
    choices = [name for name, control in zip(chosen, controls, strict=True) if control["kind"] == "choice"]
    combinations = [dict(zip(chosen, values, strict=True)) for values in itertools.product(*chosen.values())]
    scenes = list(itertools.product(*(chosen[name] for name in choices)))

    def pixels(combination: dict) -> np.ndarray:
        return _pixels(explorer.paint(explorer.measure(**fixed | combination)))

    def scene(combination: dict) -> int:
        return scenes.index(tuple(combination[name] for name in choices))

    bases = []
    for index in range(len(scenes)):
        inside = [combination for combination in combinations if scene(combination) == index]
        bases.append(_typical(np.stack([pixels(each) for each in inside[:: -(-len(inside) // _SAMPLED)]])))
    states, used = [], np.zeros(bases[0].shape[1], bool)
    for each in combinations:
        picture = pixels(each)
        used |= (picture != _WHITE).any(0)
        states.append([scene(each), *_difference(picture, bases[scene(each)])])
    return {
        "width": bases[0].shape[1],
        "height": bases[0].shape[0],
        "shown": explorer.static_width,
        "folds": _folds(used),
        "controls": controls,
        "others": [_label(control) for name, control in explorer.controls.items() if name not in chosen],
        "start": combinations.index({name: fixed[name] for name in chosen}),
        "bases": [_webp(_channels(base)) for base in bases],
        "states": states,
        "texts": [explorer.describe(explorer.measure(**fixed | each)) for each in combinations],
    }


def replay(recording: dict) -> Iterator[np.ndarray]:
    """As figuras gravadas, uint8 [H, W, 3], como a página as compõe."""
    bases = [_opened(base).convert("RGB") for base in recording["bases"]]
    for base, *difference in recording["states"]:
        picture = bases[base].copy()
        if difference:
            x, y, webp = difference
            piece = _opened(webp).convert("RGBA")
            picture.paste(piece, (x, y), piece)
        yield np.asarray(picture)


def _control(widget, values: list) -> dict:
    """O que a página precisa saber de um controle."""
    options = {value: label for label, value in _labelled(widget)}
    texts = [str(options[value]) if value in options else _written(value) for value in values]
    kind = "choice" if options and not all(isinstance(value, int | float) for value in values) else "slider"
    return {"label": _label(widget), "kind": kind, "texts": texts}


def _label(widget) -> str:
    return widget.description or widget.tooltip or ""


def _written(value: float) -> str:
    return number(value, 2) if isinstance(value, float) else number(value)


def _labelled(widget) -> list[tuple[str, object]]:
    """Os pares (texto, valor) de um controle de escolha; nenhum, se ele for de outro tipo."""
    options = getattr(widget, "options", ())
    return [option if isinstance(option, tuple) else (option, option) for option in options]


def _options(widget) -> list:
    """Todos os valores de um controle que só tem alguns; [], se ele for contínuo."""
    if isinstance(widget.value, int) and hasattr(widget, "step"):
        return list(range(widget.min, widget.max + 1, widget.step))
    return [value for _, value in _labelled(widget)]


def _pixels(image: Image.Image) -> np.ndarray:
    """A figura como uint32 [H, W], 0xAABBGGRR: comparar duas é comparar números."""
    return np.ascontiguousarray(np.asarray(image.convert("RGBA"))).view("<u4")[..., 0]


def _folds(used: np.ndarray) -> list[int]:
    """As colunas em que a figura se pode cortar em duas: no meio de uma faixa que fica branca em todos os estados."""
    edges = np.flatnonzero(np.diff(used.astype(int)))  # onde começa e acaba o que se usa
    width = len(used)
    gaps = [(a + b + 1) // 2 for a, b in itertools.pairwise(edges) if not used[a + 1] and b - a >= _GAP]
    gaps = [int(gap) for gap in gaps if max(gap, width - gap) <= _LARGEST * width]
    return [min(gaps, key=lambda gap: abs(gap - width / 2))] if gaps else []


def _channels(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels).view(np.uint8).reshape(*pixels.shape, 4)


def _typical(pictures: np.ndarray) -> np.ndarray:
    """Em cada ponto, a cor do meio: a da maioria, se houver maioria. pictures: [S, H, W] -> [H, W]"""
    base, changing = pictures[0].copy(), (pictures != pictures[0]).any(0)
    base[changing] = np.sort(pictures[:, changing], axis=0)[len(pictures) // 2]
    return base


def _difference(picture: np.ndarray, base: np.ndarray) -> list:
    """[x, y, WebP] do retângulo em que as duas diferem; [], se forem iguais."""
    changed = picture != base
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    if not len(rows):
        return []
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    piece = np.where(changed[box], picture[box], 0)
    return [int(columns[0]), int(rows[0]), _webp(_channels(piece))]


def _webp(channels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(channels, "RGBA").save(buffer, "WEBP", lossless=True, quality=75, method=4)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _opened(webp: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(webp)))


# As formas de um explorador na página, da melhor à pior: vale a primeira que o sirva.
_FORMS = (live.MIME, live.export), (MIME, record)
