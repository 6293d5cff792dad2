"""As fórmulas, escritas em HTML quando o site é montado: o leitor não precisa de JavaScript para vê-las.

Quem as escreve é o KaTeX (static/katex, licença MIT), que é JavaScript. Para executá-lo basta o QuickJS, um
interpretador pequeno que se instala como pacote do Python: node não é preciso.
"""

import functools
import html
import json
from collections.abc import Callable
from pathlib import Path

import quickjs
from docutils import nodes
from sphinx.application import Sphinx

STATIC = Path(__file__).parent / "static"
# O resultado passa por JSON.stringify porque o quickjs-ng não sabe devolver o que o JavaScript ainda não juntou.
_RENDER = """(text, displayMode) => JSON.stringify(
    katex.renderToString(text, {displayMode, throwOnError: true, strict: "ignore", output: "htmlAndMathml"}))"""


class FormulaError(ValueError):
    """Uma fórmula que o KaTeX não entende."""


@functools.cache
def _katex() -> Callable[[str, bool], str]:
    context = quickjs.Context()
    context.eval((STATIC / "katex/katex.min.js").read_text(encoding="utf-8"))
    return context.eval(_RENDER)


@functools.lru_cache(maxsize=4096)
def to_html(formula: str, *, display: bool = False) -> str:
    """A fórmula em LaTeX, sem os cifrões, em HTML e, para os leitores de tela, em MathML. Levanta FormulaError."""
    try:
        return json.loads(_katex()(formula, display))
    except quickjs.JSException as error:
        raise FormulaError(f"O KaTeX não entende a fórmula {formula!r}: {str(error).splitlines()[0]}") from error


def _inline(writer, node: nodes.math) -> None:
    writer.body.append(f'<span class="math">{_or_complaint(writer, node, display=False)}</span>')
    raise nodes.SkipNode


def _block(writer, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="math">{_or_complaint(writer, node, display=True)}</div>')
    raise nodes.SkipNode


def _or_complaint(writer, node: nodes.Element, *, display: bool) -> str:
    from sphinx.util.logging import getLogger

    try:
        return to_html(node.astext(), display=display)
    except FormulaError as error:
        getLogger(__name__).warning(str(error), location=node)
        return f"<code>{html.escape(node.astext())}</code>"


def setup(app: Sphinx) -> dict:
    app.add_html_math_renderer("vae_katex", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
