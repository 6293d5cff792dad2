"""Diagramas vetoriais das lições: SVG escrito à mão, sem fontes nem scripts de fora, igual para a mesma entrada."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from vae_lessons import series, style
from vae_lessons.series import Lesson
from vae_lessons.style import DECODER, ENCODER, FAINT, INK, LATENT, LOSS, SILVER, WHITE

_FONT = "system-ui, 'Segoe UI', 'Helvetica Neue', 'DejaVu Sans', Arial, sans-serif"
_SPACING = 76  # entre os eixos de duas camadas vizinhas
_MIDDLE = 186  # altura do eixo por onde os dados passam
_X_AT, _ENCODER_AT, _PARAMETERS_AT, _Z_AT, _F_AT = 70, 208, 376, 556, 752  # no fluxo do sorteio, da esquerda à direita

# O mapa da série: as faixas, cada uma com as suas fileiras de lições; o centro de cada coluna e metade das caixas.
_BANDS = (
    ("A base", (("00", "01", "02", "03"),)),
    ("Ir mais fundo", (("04", "05", "06", "07"), ("08", "09", "10", "11"))),
    ("Em uso", (("12", "13", "14"),)),
    ("Ao lado", (("15", "16"),)),
)
_HUB = "03"  # a que todas as lições abaixo da primeira faixa pedem
_COLUMNS_AT = (194, 396, 598, 800)
_HALF_WIDTH, _HALF_HEIGHT = 88, 63


@dataclass(frozen=True, repr=False)
class Diagram:
    """Um SVG que se mostra sozinho no notebook. `alt` é o texto alternativo, e também o texto simples da saída.

    O JupyterLab e o HTML exportado escolhem o <img alt="..."> de `_repr_html_`: um SVG solto eles mostram sem texto
    alternativo, e nem o mostram num notebook em que ainda não se confia.
    """

    svg: str
    alt: str

    def __repr__(self) -> str:
        return self.alt

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        return style.image_tag(self.svg.encode(), self.alt, mime="image/svg+xml", css="max-width: 100%")


def vae_architecture(*, data_dim: int = 64, hidden: Sequence[int] = (256, 128), latent_dim: int = 2) -> Diagram:
    """A arquitetura de um VAE de camadas densas (`mlp_vae`) e onde se calculam os dois termos da ELBO.

    data_dim: D, pixels · hidden: unidades das camadas ocultas do codificador; as do decodificador são as mesmas, na
    ordem inversa · latent_dim: Z.
    Levanta ValueError se não houver camada oculta ou se alguma camada não tiver ao menos uma unidade.
    """
    sizes = (data_dim, *hidden)
    if not hidden:
        raise ValueError("O diagrama pede ao menos uma camada oculta, mas hidden veio vazio. Passe, por ex., (256,).")
    if min(*sizes, latent_dim) < 1:
        raise ValueError(
            f"Toda camada precisa de ao menos uma unidade, mas vieram {sizes} e latent_dim = {latent_dim}."
        )
    tallest = max(sizes)
    x_in = 84
    encoder_at = [x_in + _SPACING * (i + 1) for i in range(len(hidden))]
    heads = x_in + _SPACING * (len(hidden) + 1) + 40
    z_at = heads + 146
    decoder_at = [z_at + 34 + _SPACING * (i + 1) for i in range(len(hidden))]
    x_out = z_at + 34 + _SPACING * (len(hidden) + 1)
    width, height = x_out + 84, 474

    encoder = list(zip([x_in, *encoder_at], sizes, strict=True))
    decoder = list(zip([*decoder_at, x_out], sizes[::-1], strict=True))
    left_edge, right_edge = heads - 54, z_at + 50
    shapes = [
        f'<rect width="{width}" height="{height}" rx="10" fill="{WHITE}"/>',
        _panel(x_in - 40, left_edge - 6, ENCODER, "Codificador", "q(z|x)"),
        _panel(left_edge, right_edge, LATENT, "Espaço latente", f"Z = {latent_dim}"),
        _panel(right_edge + 6, x_out + 40, DECODER, "Decodificador", "p(x|z)"),
        *_network(encoder, tallest, ENCODER),
        *_network(decoder, tallest, DECODER),
        *_latent_space(encoder[-1], decoder[0], heads, z_at, tallest, latent_dim),
        _text(x_in, _bottom(data_dim, tallest) + 40, _math("x"), size=18),
        _text(x_out, _bottom(data_dim, tallest) + 40, "parâmetros", size=13),
        _text(x_out, _bottom(data_dim, tallest) + 56, "de " + _math("p(x|z)"), size=13),
        *_loss(x_in, heads, x_out, _bottom(data_dim, tallest), width),
    ]
    title = "Arquitetura de um autocodificador variacional (VAE)"
    return _diagram("vae", title, _describe(data_dim, hidden, latent_dim), width, height, shapes)


def reparameterization() -> Diagram:
    """O sorteio de z no VAE, duas vezes: direto, que corta o gradiente, e como z = μ + σ ⊙ ε, por onde ele passa."""
    width, upper, lower = 900, 138, 378
    shapes = [
        f'<rect width="{width}" height="566" rx="10" fill="{WHITE}"/>',
        _strip(14, 226, width, "Sorteio direto"),
        *_sampling_flow(upper),
        _latent_node(_Z_AT, upper, "z", dashed=True),
        _text(_Z_AT, upper - 38, _math("z ~ N(μ, σ²)"), size=16, color=LATENT, weight="bold"),
        _text(_Z_AT, upper + 48, "sorteado", size=13, color=FAINT),
        *_blocked_gradient(upper),
        _strip(254, 262, width, "Reparametrização"),
        *_sampling_flow(lower),
        _latent_node(_Z_AT, lower, "z"),
        _text(_Z_AT, lower - 38, _math("z = μ + σ ⊙ ε"), size=16, color=LATENT, weight="bold"),
        _text((_Z_AT + _F_AT) / 2 - 12, lower - 11, "amostra de " + _math("q(z|x)"), size=13, color=LATENT),
        *_noise(lower),
        *_open_gradient(lower),
        _arrow(236, 541, 292, 541),
        _text(368, 546, "ida: o cálculo de " + _math("f(z)"), size=14),
        _arrow(540, 541, 484, 541, kind="loss", dashed=True),
        _text(640, 546, "volta: o gradiente, até " + _math("φ"), size=14, color=LOSS),
    ]
    title = "O sorteio direto corta o gradiente; a reparametrização o deixa passar"
    description = (
        "Dois fluxos, um sobre o outro. Nos dois, a imagem x passa pelo codificador, de parâmetros φ, que dá μ e σ; "
        "deles se sorteia z, e z dá f(z). Em cima, z é sorteado direto de N(μ, σ²): o gradiente volta de f(z) até z e "
        "para ali, porque sortear não tem derivada. Embaixo, um ruído ε ~ N(0, I), que não depende de φ, entra por "
        "fora e z = μ + σ ⊙ ε é uma amostra de q(z|x): o gradiente volta de f(z) a z, segue para μ, vezes 1, e para σ, "
        "vezes ε, e chega ao codificador."
    )
    return _diagram("reparameterization", title, description, width, 566, shapes)


def series_map(
    lessons: Sequence[Lesson] = series.LESSONS, coming: Mapping[str, str] = MappingProxyType(series.COMING)
) -> Diagram:
    """O mapa da série: o que cada lição responde, quanto leva e de que outras depende; e as que estão em preparação.

    Na primeira faixa as dependências são setas; nas outras todas pedem a 03, e o que pedem além dela está escrito.
    """
    by_number, width = {lesson.number: lesson for lesson in lessons}, 920
    places, panels, height = _layout([*by_number, *coming])
    (first, *_), (_, below, *_) = _BANDS[0][1][0], [top for _, top, _ in panels]
    legend = below - 22
    shapes = [
        f'<rect width="{width}" height="{height}" rx="10" fill="{WHITE}"/>',
        *(shape for name, top, bottom in panels for shape in _band(name, top, bottom, width)),
        *(arrow for number in _BANDS[0][1][0] for arrow in _arrows_to(by_number[number], places)),
        _arrow(places[_HUB][0], places[_HUB][1] + _HALF_HEIGHT + 3, places[_HUB][0], below - 2),
        _text(places[_HUB][0] - 14, below - 17, "todas as de baixo pedem a 03", size=14, anchor="end"),
        _arrow(places[first][0] - _HALF_WIDTH, legend, places[first][0] - _HALF_WIDTH + 46, legend),
        _text(places[first][0] - _HALF_WIDTH + 54, legend + 5, "é preciso ter lido", size=14, anchor="start"),
        _arrow(places[first][0] + 110, legend, places[first][0] + 156, legend, dashed=True),
        _text(places[first][0] + 164, legend + 5, "convém ter lido", size=14, anchor="start"),
        *(shape for n, lesson in by_number.items() for shape in _lesson_box(lesson, *places[n])),
        *(shape for n, title in coming.items() for shape in _coming_box(n, title, *places[n])),
    ]
    title = "O mapa da série"
    return _diagram("series", title, _describe_series(by_number, coming), width, height, shapes)


def _layout(numbers: Sequence[str]) -> tuple[dict[str, tuple[float, float]], list[tuple[str, float, float]], float]:
    """O centro de cada lição; o nome, o topo e a base de cada faixa; e a altura do mapa. Uma fileira sem lições não
    ocupa lugar."""
    places, panels, top = {}, [], 14
    for name, rows in _BANDS:
        around = 34 if not panels else 12  # as setas da primeira faixa dão a volta por cima e por baixo
        y = top + around
        for row in rows:
            there = [number for number in row if number in numbers]
            places |= {number: (_COLUMNS_AT[row.index(number)], y + _HALF_HEIGHT) for number in there}
            y += (2 * _HALF_HEIGHT + 12) * bool(there)
        if y > top + around:
            bottom = y - 12 + around
            panels.append((name, top, bottom))
            top = bottom + (44 if len(panels) == 1 else 12)
    return places, panels, panels[-1][2] + 14


def _band(name: str, top: float, bottom: float, width: float) -> list[str]:
    words = name.rsplit(" ", 1)
    first = (top + bottom) / 2 + 5 - 9.5 * (len(words) - 1)
    return [
        f'<rect x="14" y="{top}" width="{width - 28}" height="{bottom - top}" rx="12" fill="{SILVER}" '
        f'fill-opacity="0.12"/>',
        *(_text(28, first + 19 * i, word, size=15, color=FAINT, anchor="start") for i, word in enumerate(words)),
    ]


def _arrows_to(lesson: Lesson, places: dict[str, tuple[float, float]]) -> list[str]:
    """As setas que chegam a uma lição da primeira faixa: da vizinha, reta; das outras, por cima se é preciso tê-las
    lido e por baixo se convém."""
    x, y = places[lesson.number]
    arrows = []
    for before in lesson.needs + lesson.helped_by:
        start, dashed = places[before][0], before in lesson.helped_by
        if x - start < 1.5 * (_COLUMNS_AT[1] - _COLUMNS_AT[0]):
            arrows.append(_arrow(start + _HALF_WIDTH + 3, y, x - _HALF_WIDTH - 4, y, dashed=dashed))
        else:
            side = 1 if dashed else -1
            edge, turn = y + side * (_HALF_HEIGHT + 4), y + side * (_HALF_HEIGHT + 22)
            arrows.append(_bent_arrow((start, edge), (start, turn), (x - 24, turn), (x - 24, edge), dashed=dashed))
    return arrows


def _describe_series(lessons: dict[str, Lesson], coming: Mapping[str, str]) -> str:
    """Uma frase por lição, em que quem ouve respira; o que vale para todas se diz uma vez."""
    told = []
    for n, lesson in lessons.items():
        needs = [before for before in lesson.needs if before != _HUB or n in _BANDS[0][1][0]]
        parts = [f"{lesson.minutes[0]} min"]
        parts += [f"pede a {' e a '.join(needs)}"] if needs else []
        parts += [f"convém a {' e a '.join(lesson.helped_by)}"] if lesson.helped_by else []
        told.append(f"{n}, {lesson.title}: {lesson.question} {'; '.join(parts)}.")
    to_come = f" Em preparação: {'; '.join(f'{n}, {title}' for n, title in coming.items())}." if coming else ""
    return f"Os minutos são os do caminho essencial; as lições depois da {_HUB} a pedem. {' '.join(told)}{to_come}"


def _lesson_box(lesson: Lesson, x: float, y: float) -> list[str]:
    left, top = x - _HALF_WIDTH, y - _HALF_HEIGHT
    size = f'x="{left}" y="{top}" width="{2 * _HALF_WIDTH}" height="{2 * _HALF_HEIGHT}" rx="10"'
    return [
        f'<rect {size} fill="{WHITE}"/>',
        f'<rect {size} fill="{ENCODER}" fill-opacity="0.08" stroke="{ENCODER}" stroke-width="2"/>',
        _text(left + 12, top + 22, lesson.number, size=16, color=ENCODER, weight="bold", anchor="start"),
        _text(x + _HALF_WIDTH - 12, top + 21, f"{lesson.minutes[0]} min", size=13, color=FAINT, anchor="end"),
        *_title(lesson.title, x, y, INK),
        *_question(lesson.question, x, y),
        *([_text(x, y + 54, besides, size=13)] if (besides := _besides(lesson)) else []),
    ]


def _besides(lesson: Lesson) -> str:
    """O que uma lição de fora da primeira faixa pede além da 03, e o que convém ter lido."""
    if lesson.number in _BANDS[0][1][0]:
        return ""
    needs = [number for number in lesson.needs if number != _HUB]
    parts = [f"pede {' e '.join(needs)}"] if needs else []
    parts += [f"convém {' e '.join(lesson.helped_by)}"] if lesson.helped_by else []
    return " · ".join(parts)


def _coming_box(number: str, title: str, x: float, y: float) -> list[str]:
    left, top = x - _HALF_WIDTH, y - _HALF_HEIGHT
    return [
        f'<rect x="{left}" y="{top}" width="{2 * _HALF_WIDTH}" height="{2 * _HALF_HEIGHT}" rx="10" fill="{WHITE}" '
        f'fill-opacity="0.5" stroke="{SILVER}" stroke-dasharray="6 4"/>',
        _text(left + 12, top + 22, number, size=16, color=FAINT, weight="bold", anchor="start"),
        *_title(title, x, y, FAINT),
        *_question("em preparação", x, y),
    ]


def _title(title: str, x: float, y: float, color: str) -> list[str]:
    lines = textwrap.wrap(title, 18)
    first = y - 8 - 9 * (len(lines) - 1)
    return [_text(x, first + 18 * i, line, size=15, color=color, weight="bold") for i, line in enumerate(lines)]


def _diagram(name: str, title: str, description: str, width: int, height: int, shapes: Sequence[str]) -> Diagram:
    """O SVG completo, com título e descrição para leitores de tela e as pontas de seta."""
    svg = "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'role="img" aria-labelledby="{name}-title {name}-desc" style="max-width: 100%; height: auto" '
            f'font-family="{_FONT}" text-anchor="middle">',
            f'<title id="{name}-title">{title}</title>',
            f'<desc id="{name}-desc">{description}</desc>',
            f"<defs>{_arrow_head('ink', INK)}{_arrow_head('loss', LOSS)}</defs>",
            *shapes,
            "</svg>",
        ]
    )
    return Diagram(svg, f"{title}. {description}")


def _describe(data_dim: int, hidden: Sequence[int], latent_dim: int) -> str:
    inward, outward = (" → ".join(map(str, order)) for order in ((data_dim, *hidden), (*reversed(hidden), data_dim)))
    return (
        f"Da esquerda para a direita: o codificador q(z|x), de camadas {inward}, transforma a imagem x em μ e log σ², "
        f"com {latent_dim} {'valor' if latent_dim == 1 else 'valores'} cada; no espaço latente sorteia-se ε ~ N(0, I) "
        f"e calcula-se z = μ + σ ⊙ ε; o decodificador, de camadas {outward}, transforma z nos parâmetros de p(x|z). "
        "A KL(q(z|x) ‖ p(z)) é calculada de μ e log σ²; a reconstrução, E_q[log p(x|z)], da saída do decodificador e "
        "da imagem x. A ELBO é a reconstrução menos a KL."
    )


def _network(layers: list[tuple[int, int]], tallest: int, color: str) -> list[str]:
    """Camadas como barras ligadas por trapézios; a altura cresce com o logaritmo do número de unidades."""
    links = []
    for (x0, n0), (x1, n1) in pairwise(layers):
        y0, y1 = _half_height(n0, tallest), _half_height(n1, tallest)
        points = f"{x0},{_MIDDLE - y0} {x1},{_MIDDLE - y1} {x1},{_MIDDLE + y1} {x0},{_MIDDLE + y0}"
        links.append(f'<polygon points="{points}" fill="{color}" fill-opacity="0.16"/>')
    bars = [_bar(x, n, tallest, color) for x, n in layers]
    arrows = [_arrow(x0 + 15, _MIDDLE, x1 - 17, _MIDDLE) for (x0, _), (x1, _) in pairwise(layers)]
    return [*links, *bars, *arrows]


def _latent_space(
    last: tuple[int, int], first: tuple[int, int], heads: int, z_at: int, tallest: int, latent_dim: int
) -> list[str]:
    """As duas cabeças, o ruído e z; `last` e `first` são as camadas vizinhas do codificador e do decodificador."""
    above, below, noise = _MIDDLE - 44, _MIDDLE + 44, _MIDDLE + 84
    return [
        f'<rect x="{heads - 44}" y="{above - 27}" width="88" height="{below - above + 74}" rx="12" fill="{WHITE}" '
        f'fill-opacity="0.6" stroke="{LOSS}" stroke-width="1.5" stroke-dasharray="2 3"/>',
        _arrow(last[0] + 15, _MIDDLE - 10, heads - 34, above + 4),
        _arrow(last[0] + 15, _MIDDLE + 10, heads - 34, below - 4),
        _head(heads, above, "μ", latent_dim),
        _head(heads, below, "log σ²", latent_dim),
        _arrow(heads + 33, above + 6, z_at - 21, _MIDDLE - 9),
        _arrow(heads + 33, below - 6, z_at - 21, _MIDDLE + 9),
        _text(z_at - 22, _MIDDLE - 66, _math("z = μ + σ ⊙ ε"), size=16, color=LATENT, weight="bold"),
        _arrow(z_at, noise - 16, z_at, _MIDDLE + 24, dashed=True),
        f'<circle cx="{z_at}" cy="{_MIDDLE}" r="20" fill="{WHITE}" stroke="{LATENT}" stroke-width="2.5"/>',
        _text(z_at, _MIDDLE + 6, _math("z"), size=18),
        _text(z_at - 10, noise + 2, _math("ε") + " ~ N(0, I)", size=15),
        _text(z_at - 10, noise + 20, "sorteado", size=13, color=FAINT),
        _arrow(z_at + 22, _MIDDLE, first[0] - 17, _MIDDLE),
    ]


def _loss(x_in: int, heads: int, x_out: int, output_bottom: int, width: int) -> list[str]:
    """Os dois termos da ELBO, sob o que os alimenta; x dá a volta por cima até a reconstrução."""
    top, total = 352, 440
    kl_at, reconstruction_at = heads, x_out - 70
    around = f"M{x_in - 15},{_MIDDLE} H20 V22 H{width - 20} V{top + 24} H{reconstruction_at + 104}"
    middle = (kl_at + reconstruction_at) / 2
    return [
        _arrow(heads, _MIDDLE + 91, heads, top - 3, kind="loss"),
        _arrow(x_out, output_bottom + 64, x_out, top - 3, kind="loss"),
        f'<path d="{around}" fill="none" stroke="{LOSS}" stroke-width="2" marker-end="url(#loss)"/>',
        f'<rect x="{width / 2 - 88}" y="10" width="176" height="24" fill="{WHITE}"/>',
        _text(width / 2, 27, "a própria imagem " + _math("x"), size=14, color=LOSS),
        _loss_box(kl_at, top, "KL(" + _math("q(z|x)") + " ‖ " + _math("p(z)") + ")", "quanto q se afasta da prior"),
        _loss_box(
            reconstruction_at, top, "E" + _sub("q") + "[log " + _math("p(x|z)") + "]", "reconstrução: x é provável?"
        ),
        _arrow(kl_at + 60, top + 50, middle - 62, total - 22, kind="loss"),
        _arrow(reconstruction_at - 60, top + 50, middle + 62, total - 22, kind="loss"),
        _text(middle, total, "ELBO = E" + _sub("q") + "[log " + _math("p(x|z)") + "] − KL", size=17, weight="bold"),
        _text(middle, total + 19, "em nats por imagem; o treino a maximiza", size=13, color=FAINT),
    ]


def _sampling_flow(y: int) -> list[str]:
    """O que os dois fluxos têm em comum: x → codificador → μ, σ → z → f(z), com o eixo na altura y."""
    return [
        _latent_node(_X_AT, y, "x", color=ENCODER),
        f'<polygon points="{_ENCODER_AT - 50},{y - 44} {_ENCODER_AT + 50},{y - 30} {_ENCODER_AT + 50},{y + 30} '
        f'{_ENCODER_AT - 50},{y + 44}" fill="{ENCODER}" fill-opacity="0.14" stroke="{ENCODER}" stroke-width="2"/>',
        _text(_ENCODER_AT, y - 1, "codificador", size=14, color=ENCODER, weight="bold"),
        _text(_ENCODER_AT, y + 18, _math("φ"), size=16, color=ENCODER),
        _arrow(_X_AT + 22, y, _ENCODER_AT - 52, y),
        *(_parameter_box(y + side * 42, name) for side, name in ((-1, "μ"), (1, "σ"))),
        *(_arrow(_ENCODER_AT + 52, y + side * 14, _PARAMETERS_AT - 29, y + side * 38) for side in (-1, 1)),
        *(_arrow(_PARAMETERS_AT + 29, y + side * 34, _Z_AT - 24, y + side * 9) for side in (-1, 1)),
        _arrow(_Z_AT + 24, y, _F_AT - 48, y),
        f'<rect x="{_F_AT - 46}" y="{y - 26}" width="92" height="52" rx="8" fill="{WHITE}" stroke="{DECODER}" '
        f'stroke-width="2.5"/>',
        _text(_F_AT, y - 2, _math("f(z)"), size=17, color=DECODER, weight="bold"),
        _text(_F_AT, y + 17, "log " + _math("p(x|z)"), size=13),
    ]


def _blocked_gradient(y: int) -> list[str]:
    """A volta que chega a z e não passa: um X entre z e os parâmetros."""
    x = (_PARAMETERS_AT + _Z_AT) / 2 + 6
    return [
        _arrow(_F_AT - 50, y + 15, _Z_AT + 24, y + 15, kind="loss", dashed=True),
        _arrow(_Z_AT - 25, y, x + 18, y, kind="loss", dashed=True),
        *(
            f'<line x1="{x - 14}" y1="{y - 14 * slope}" x2="{x + 14}" y2="{y + 14 * slope}" stroke="{LOSS}" '
            f'stroke-width="6" stroke-linecap="round"/>'
            for slope in (1, -1)
        ),
        _text((_Z_AT + _F_AT) / 2, y + 37, _math("∂f/∂z"), size=15, color=LOSS),
        _text(x, y + 76, "sortear não tem derivada: o gradiente para aqui", size=14, color=LOSS, weight="bold"),
    ]


def _open_gradient(y: int) -> list[str]:
    """A volta inteira: de f a z, de z a μ (vezes 1) e a σ (vezes ε), e daí ao codificador."""
    return [
        _arrow(_F_AT - 50, y + 15, _Z_AT + 24, y + 15, kind="loss", dashed=True),
        *(
            _arrow(_Z_AT - 26, y + side * 22, _PARAMETERS_AT + 31, y + side * 51, kind="loss", dashed=True)
            for side in (-1, 1)
        ),
        *(
            _arrow(_PARAMETERS_AT - 31, y + side * 53, _ENCODER_AT + 54, y + side * 27, kind="loss", dashed=True)
            for side in (-1, 1)
        ),
        _text((_Z_AT + _F_AT) / 2, y + 37, _math("∂f/∂z"), size=15, color=LOSS),
        _text((_PARAMETERS_AT + _Z_AT) / 2, y - 52, _math("∂z/∂μ") + " = 1", size=15, color=LOSS),
        _text((_PARAMETERS_AT + _Z_AT) / 2 - 4, y + 64, _math("∂z/∂σ = ε"), size=15, color=LOSS),
    ]


def _noise(y: int) -> list[str]:
    """ε, sorteado fora do caminho de φ, entra em z por baixo."""
    below = y + 98
    return [
        _latent_node(_Z_AT, below, "ε", dashed=True),
        _arrow(_Z_AT, below - 24, _Z_AT, y + 24),
        _text(_Z_AT + 84, below + 1, _math("ε") + " ~ N(0, I)", size=15),
        _text(_Z_AT + 98, below + 20, "não depende de " + _math("φ"), size=13, color=FAINT),
    ]


def _latent_node(x: float, y: float, name: str, *, color: str = LATENT, dashed: bool = False) -> str:
    """Um círculo com um nome; tracejado quando o valor é sorteado ali."""
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<circle cx="{x}" cy="{y}" r="21" fill="{WHITE}" stroke="{color}" stroke-width="2.5"{dashes}/>' + _text(
        x, y + 6, _math(name), size=18
    )


def _parameter_box(y: float, name: str) -> str:
    return (
        f'<rect x="{_PARAMETERS_AT - 27}" y="{y - 17}" width="54" height="34" rx="8" fill="{WHITE}" '
        f'stroke="{LATENT}" stroke-width="2.5"/>' + _text(_PARAMETERS_AT, y + 6, _math(name), size=17)
    )


def _strip(top: float, height: float, width: float, name: str) -> str:
    return (
        f'<rect x="14" y="{top}" width="{width - 28}" height="{height}" rx="12" fill="{LATENT}" fill-opacity="0.05" '
        f'stroke="{LATENT}" stroke-opacity="0.45"/>'
        f'<text x="32" y="{top + 26}" font-size="16" font-weight="bold" fill="{LATENT}" text-anchor="start">'
        f"{name}</text>"
    )


def _panel(left: float, right: float, color: str, name: str, detail: str) -> str:
    middle = (left + right) / 2
    return (
        f'<rect x="{left}" y="44" width="{right - left}" height="276" rx="12" fill="{color}" fill-opacity="0.07" '
        f'stroke="{color}" stroke-opacity="0.55"/>'
        + _text(middle, 66, name, size=15, color=color, weight="bold")
        + _text(middle, 84, _math(detail), size=14, color=color)
    )


def _bar(x: float, units: int, tallest: int, color: str) -> str:
    half = _half_height(units, tallest)
    return (
        f'<rect x="{x - 13}" y="{_MIDDLE - half}" width="26" height="{2 * half}" rx="5" fill="{WHITE}" '
        f'stroke="{color}" stroke-width="2.5"/>' + _text(x, _MIDDLE + half + 18, str(units), size=14)
    )


def _head(x: float, y: float, name: str, units: int) -> str:
    return (
        f'<rect x="{x - 32}" y="{y - 17}" width="64" height="34" rx="8" fill="{WHITE}" stroke="{LATENT}" '
        f'stroke-width="2.5"/>' + _text(x, y + 6, _math(name), size=16) + _text(x, y + 34, str(units), size=14)
    )


def _loss_box(x: float, y: float, term: str, meaning: str) -> str:
    return (
        f'<rect x="{x - 102}" y="{y}" width="204" height="48" rx="8" fill="{WHITE}" stroke="{LOSS}" '
        f'stroke-width="2"/>'
        + _text(x, y + 20, term, size=16, color=LOSS, weight="bold")
        + _text(x, y + 39, meaning, size=13, color=INK)
    )


def _arrow(x0: float, y0: float, x1: float, y1: float, *, kind: str = "ink", dashed: bool = False) -> str:
    color = {"ink": INK, "loss": LOSS}[kind]
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    return (
        f'<line x1="{x0}" y1="{y0}" x2="{x1}" y2="{y1}" stroke="{color}" stroke-width="2"{dashes} '
        f'marker-end="url(#{kind})"/>'
    )


def _question(question: str, x: float, y: float) -> list[str]:
    lines = textwrap.wrap(question, 22)
    first = y + 27 - 8 * (len(lines) - 1)
    return [_text(x, first + 16 * i, line, size=13, color=FAINT) for i, line in enumerate(lines)]


def _bent_arrow(*points: tuple[float, float], dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    path = "M" + " L".join(f"{x},{y}" for x, y in points)
    return (
        f'<path d="{path}" fill="none" stroke="{INK}" stroke-width="2" stroke-linejoin="round"{dashes} '
        f'marker-end="url(#ink)"/>'
    )


def _arrow_head(name: str, color: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="11" markerHeight="11" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0,1 L10,5 L0,9 Z" fill="{color}"/></marker>'
    )


def _text(
    x: float, y: float, content: str, *, size: int, color: str = INK, weight: str = "normal", anchor: str = ""
) -> str:
    """anchor: "start" ou "end", se o texto não for centrado em x."""
    anchored = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" fill="{color}"{anchored}>{content}</text>'


def _math(symbols: str) -> str:
    return f'<tspan font-style="italic">{symbols}</tspan>'


def _sub(symbol: str) -> str:
    return f'<tspan dy="4" font-size="12" font-style="italic">{symbol}</tspan><tspan dy="-4">&#8203;</tspan>'


def _half_height(units: int, tallest: int) -> int:
    return round(18 + 52 * math.log(units + 1) / math.log(tallest + 1))


def _bottom(units: int, tallest: int) -> int:
    return _MIDDLE + _half_height(units, tallest)
