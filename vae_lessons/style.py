"""O estilo das figuras, num lugar só: cores, traços, números com vírgula, índices e texto alternativo.

Vale para as figuras do matplotlib, os diagramas SVG e os exploradores. Não depende de mais nada do pacote.
"""

import base64
import functools
import html
import math
import re
from collections.abc import Callable

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

# As cores que levam informação: de Okabe e Ito (2008), que quem tem daltonismo distingue, escurecidas onde era preciso
# para que se vejam sobre o branco: 4,5 de contraste em letras, 3 em linhas e marcas (WCAG 2.2, 1.4.3 e 1.4.11). Onde a
# cor distingue linhas, o traço (LINES) também as distingue: há quem imprima em cinza.
BLUE, ORANGE, GREEN = "#0072B2", "#C45500", "#00795A"
PINK, SKY = "#CC79A7", "#459BCB"  # não para letras
YELLOW = "#E69F00"  # só para áreas de contorno escuro
BROWN, RED = "#8F5500", "#A8320B"  # escuras: para letras e setas
BLACK, WHITE, INK = "#000000", "#ffffff", "#1f2430"

# Do cinza mais escuro ao mais claro: letras secundárias e eixos; marcas de fundo; grades e regiões.
GREY, SILVER, MIST = "#6b6b6b", "#949494", "#e6e6e6"

# As mesmas cores, pelo que querem dizer em todas as lições.
PRIOR, LIKELIHOOD, POSTERIOR, Q = GREY, GREEN, BLACK, BLUE
ELBO, GAP = BLUE, ORANGE  # a ELBO, e o que falta dela até log p(x)
PATHWISE, SCORE_FUNCTION, BASELINE = BLUE, ORANGE, GREEN  # estimadores; BASELINE: o REINFORCE com linha de base
DATA, GENERATED = SILVER, ORANGE
ENCODER, LATENT, DECODER, LOSS, FAINT = BLUE, BROWN, GREEN, RED, "#5a6270"  # nos diagramas; FAINT: explicações
RIGHT, WRONG, BLANK = "#2a9d4a", "#d1495b", "#8a8a8a"  # o veredito de um exercício
FRAME = "#7f97b5"  # a moldura das imagens: não se confunde com nenhum cinza delas

# Dez cores, uma por classe, escolhidas para que as duas mais parecidas fiquem o mais longe que se pôde: 31 unidades de
# CIELAB, também para quem não distingue verde de vermelho (protanopia e deuteranopia). A forma também as distingue.
CLASS_COLORS = (
    *("#0077ff", "#cc6622", "#22cccc", "#551199", "#eebb00"),
    *("#553300", "#66dd88", "#aa5566", "#33aaee", "#443366"),
)
CLASS_MARKERS = ("o", "s", "^", "D", "v")

# (cor, traço) de cada linha que se compara: sem ver a cor, fica o traço.
LINES = (
    (BLUE, "-"),
    (ORANGE, "--"),
    (GREEN, "-."),
    (PINK, ":"),
    (BLACK, (0, (6, 1.5, 1, 1.5, 1, 1.5))),
    (SKY, (0, (1, 1))),
)
SEQUENTIAL = "Blues"  # mapa de cores de quantidades que começam em zero

# Os parâmetros do matplotlib com que se cria uma figura: matplotlib.rc_context(style.RC).
RC = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "figure.constrained_layout.use": True,
}

_SUBSCRIPTS = str.maketrans("0123456789+-−", "₀₁₂₃₄₅₆₇₈₉₊₋₋")
_SUPERSCRIPTS = str.maketrans("0123456789+-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻")


def mix(color: str, other: str, share: float) -> str:
    """`color` com a fração `share` de `other`: mix(BLUE, WHITE, 0.6) é um azul claro; as cores são "#rrggbb"."""
    channels = zip(bytes.fromhex(color[1:]), bytes.fromhex(other[1:]), strict=True)
    return "#" + "".join(f"{round((1 - share) * a + share * b):02x}" for a, b in channels)


def number(value: float, decimals: int | None = None) -> str:
    """O número como se escreve em português: vírgula decimal, sinal de menos tipográfico e nenhum −0.

    decimals: casas depois da vírgula; sem elas, até seis algarismos significativos, sem zeros à direita.
    Aceita o que float aceita: números do Python e do NumPy e tensores de um elemento.
    """
    value = float(value)
    if not math.isfinite(value):
        return "não é número" if math.isnan(value) else "∞" if value > 0 else "−∞"
    text = f"{value + 0.0:g}" if decimals is None else f"{round(value, decimals) + 0.0:.{decimals}f}"
    text = re.sub(r"e([+-])0*(\d+)", lambda e: "·10" + superscript(e[1].strip("+") + e[2]), text)
    return text.replace("-", "−").replace(".", ",")


def nats(value: float, decimals: int | None = None) -> str:
    """O número com a sua unidade, no singular abaixo de 2: "0,19 nat", "7,15 nats"."""
    written = number(value, decimals)
    whole = written.lstrip("−").split(",")[0]
    return f"{written} {'nat' if whole in ('0', '1') else 'nats'}"


def significant(value: float, figures: int = 3) -> str:
    """O número com `figures` algarismos significativos, os zeros da direita também: 0,500; 12,0; 1240."""
    if not value or not math.isfinite(value):
        return number(value, 0)
    decimals = figures - 1 - math.floor(math.log10(abs(value)))
    value = round(float(value), decimals)
    if value and math.floor(math.log10(abs(value))) > figures - 1 - decimals:  # 9,996 virou 10,00
        decimals -= 1
    return number(value, max(decimals, 0))


def round_sum(*parts: float, decimals: int) -> tuple[float, ...]:
    """(total, *partes), arredondados de modo que as partes, como se escrevem, somem o total, como se escreve.

    O total é a soma arredondada. Cada parte é uma das duas vizinhas com `decimals` casas, e vão à de cima as de maior
    resto (o método de Hamilton): o erro de cada uma é menor que uma unidade da última casa. Para uma diferença, passe
    a parte com o sinal: elbo, log_lik, minus_kl = round_sum(log_lik, -kl, decimals=3).
    O que não for finito fica como veio.
    """
    if not all(map(math.isfinite, parts)):
        return sum(map(float, parts)), *map(float, parts)
    units = [float(part) * 10**decimals for part in parts]
    total, floors = round(math.fsum(units)), [math.floor(unit) for unit in units]
    rests = sorted(range(len(units)), key=lambda i: floors[i] - units[i])
    for i in rests[: total - sum(floors)]:
        floors[i] += 1
    return tuple(round(unit / 10**decimals, decimals) for unit in (total, *floors))


def subscript(text: str | int) -> str:
    """Os algarismos e sinais como índice: 12 → ₁₂."""
    return str(text).translate(_SUBSCRIPTS)


def superscript(text: str | int) -> str:
    """Os algarismos e sinais como expoente: -5 → ⁻⁵."""
    return str(text).translate(_SUPERSCRIPTS)


def class_look(label: int) -> tuple[str, str]:
    """(cor, marca do matplotlib) da classe `label`: a cor se repete de dez em dez, e a marca, de cinco em cinco."""
    return CLASS_COLORS[label % len(CLASS_COLORS)], CLASS_MARKERS[label % len(CLASS_MARKERS)]


def latent_name(dim: int) -> str:
    """O nome na tela do latente `dim`, que no código se conta a partir de 0: z₁ é o primeiro."""
    return f"z{subscript(dim + 1)}"


class _CommaFormatter(ScalarFormatter):
    """O formato usual do matplotlib, com vírgula decimal: as marcas do eixo por extenso e com as mesmas casas."""

    def __init__(self):
        super().__init__(useOffset=False, useMathText=False)  # em modo matemático, a vírgula ganharia um espaço
        self.set_scientific(False)

    def __call__(self, x, pos=None) -> str:
        return super().__call__(x, pos).replace("-", "−").replace(".", ",")


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Desenha com os parâmetros `RC`, sem mudar os de quem chamou, e com vírgula decimal nos eixos."""

    @functools.wraps(draw)
    def with_style(*args, **kwargs) -> Figure:
        with matplotlib.rc_context(RC):
            fig = draw(*args, **kwargs)
        decimal_commas(fig)
        return fig

    return with_style


def decimal_commas(fig: Figure) -> None:
    """Vírgula decimal nas marcas de todos os eixos que ninguém formatou, as das barras de cores também."""
    for ax in fig.axes:
        for axis in (ax.xaxis, ax.yaxis):
            if type(axis.get_major_formatter()) is ScalarFormatter:
                axis.set_major_formatter(_CommaFormatter())


def image_tag(picture: bytes, alt: str, *, mime: str = "image/png", css: str = "") -> str:
    """<img alt="..."> com a imagem dentro: é o que o JupyterLab e o HTML exportado mostram com texto alternativo.

    Levanta ValueError se `alt` estiver vazio.
    """
    if not alt.strip():
        raise ValueError("Falta o texto alternativo: descreva em uma frase o que a figura mostra, em show(fig, alt).")
    source = f"data:{mime};base64,{base64.b64encode(picture).decode('ascii')}"
    style = f' style="{css}"' if css else ""
    return f'<img alt="{html.escape(alt)}" src="{source}"{style}>'


def mimebundle(png: bytes, alt: str) -> tuple[dict[str, str], dict[str, dict]]:
    """(dados, metadados) da saída de um notebook que mostra um PNG a quem vê e diz `alt` a quem não vê.

    A saída leva a figura duas vezes. O JupyterLab e o HTML exportado escolhem text/html, porque ignoram o texto
    alternativo de image/png; os outros leitores (PDF, nbsphinx) usam image/png e seus metadados. O texto simples, que o
    nbval compara, é o próprio `alt`. Levanta ValueError se ele estiver vazio.
    """
    tag = image_tag(png, alt)
    data = {"text/html": tag, "image/png": base64.b64encode(png).decode("ascii"), "text/plain": alt}
    return data, {"image/png": {"alt": alt}}
