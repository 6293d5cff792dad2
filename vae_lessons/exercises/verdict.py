"""O veredito de um exercício e como ele se mostra: uma caixa no Jupyter, um texto em qualquer terminal."""

import html
import sys
import unicodedata
from dataclasses import dataclass

from vae_lessons import style

_COLORS = {"✅": style.RIGHT, "❌": style.WRONG, "⏳": style.BLANK}
_PLAIN = {
    "✅": "[certo]",
    "❌": "[errado]",
    "⏳": "[em branco]",
    "−": "-",
    "·": "*",
    "‖": "||",
    "′": "'",
    "«": '"',
    "»": '"',
    "≥": ">=",
    "≤": "<=",
    "√": "raiz ",
    "∞": "inf",
    "∇": "grad ",
    "Σ": "soma ",
    "∂": "d",
    "→": "->",
    "μ": "mu",
    "σ": "sigma",
    "ε": "eps",
    "τ": "tau",
    "π": "pi",
    "β": "beta",
    "γ": "gama",
    "φ": "phi",
    "λ": "lambda",
}


@dataclass(frozen=True)
class Result:
    """O veredito. passed: só True no ✅ · status: "✅", "❌" ou "⏳" · message: a explicação · mistake: o erro, se for
    um dos que se reconhecem, dito do mesmo modo a todos; vazio se não."""

    id: str
    status: str
    message: str
    mistake: str = ""

    @property
    def passed(self) -> bool:
        return self.status == "✅"

    def __str__(self) -> str:
        return f"{self.status} Exercício {self.id}: {self.message}"

    def to_html(self) -> str:
        """O mesmo texto numa caixa que se lê em tema claro e escuro."""
        return (
            f'<div role="status" style="border-left: 4px solid {_COLORS[self.status]}; padding: 0.4em 0.8em;">'
            f"{self.status} <b>Exercício {html.escape(self.id)}</b>: {html.escape(self.message)}</div>"
        )

    def _ipython_display_(self) -> None:
        """Nada: quem mostra é `check`, e a última linha da célula não deve repetir o veredito."""


class Points(float):
    """Os pontos que uma resposta fez: um número, que num notebook se mostra ao lado do máximo."""

    def __new__(cls, value: float, of: float):
        points = super().__new__(cls, value)
        points.of = of
        return points

    def _repr_html_(self) -> str:
        return f"<small>{self:g} de {self.of:g} ponto(s)</small>".replace(".", ",")


def display_result(result: Result) -> None:
    """No Jupyter, uma caixa em HTML (com o mesmo texto para quem não a mostra); fora dele, o texto."""
    text = printable(str(result), getattr(sys.stdout, "encoding", None) or "utf-8")
    if _in_ipython():
        from IPython.display import display

        display({"text/plain": text, "text/html": result.to_html()}, raw=True)
    else:
        print(text)


def printable(text: str, encoding: str) -> str:
    """O texto tal e qual, se `encoding` o comporta; se não, com "[certo]" por ✅, "beta" por β e "a" por á."""

    def shown(character: str) -> str:
        try:
            character.encode(encoding)
        except UnicodeEncodeError:
            bare = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
            return _PLAIN.get(character) or bare or "?"
        return character

    return "".join(map(shown, text))


def _in_ipython() -> bool:
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return get_ipython() is not None
