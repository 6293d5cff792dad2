"""O índice da busca: uma entrada por seção, num .js que abre também de um arquivo."""

import json
import re
from collections.abc import Iterator

from docutils import nodes

_UNREAD = nodes.math, nodes.math_block, nodes.image, nodes.comment, nodes.Invisible
_TAGS = re.compile(r"<(style|script|svg).*?</\1>|<[^>]*>", re.DOTALL)


def index(pages: dict[str, nodes.document]) -> str:
    """`window.BUSCA = [[endereço, lição, seção, texto], ...]`. pages: arquivo .html → o documento de que ele veio."""
    entries = [entry for name, document in pages.items() for entry in sections(name, document)]
    return f"window.BUSCA={json.dumps(entries, ensure_ascii=False, separators=(',', ':'))};\n"


def sections(name: str, document: nodes.document) -> Iterator[list[str]]:
    """[endereço, lição, seção, texto] de cada seção; o texto de uma não inclui o das que ela contém."""
    lesson = None
    for section in document.findall(nodes.section):
        title = _words(section.next_node(nodes.title))
        lesson = lesson or title
        own = (child for child in section.children if not isinstance(child, nodes.section | nodes.title))
        yield [f"{name}#{section['ids'][0]}", lesson, title, " ".join(filter(None, map(_words, own)))]


def _words(node: nodes.Node) -> str:
    """O texto que se lê, sem as fórmulas e sem as marcas de HTML."""
    return " ".join(" ".join(_pieces(node)).split())


def _pieces(node: nodes.Node) -> Iterator[str]:
    if isinstance(node, nodes.Text):
        yield str(node)
    elif isinstance(node, nodes.raw):
        yield _TAGS.sub(" ", node.astext())
    elif not isinstance(node, _UNREAD):
        for child in node.children:
            yield from _pieces(child)
