"""O índice da busca: uma entrada por seção, num .js que abre também de um arquivo."""

import json
from pathlib import Path

from bs4 import BeautifulSoup, Tag

_HEADINGS = ["h1", "h2", "h3", "h4", "h5", "h6"]
_UNREAD = ".katex, .headerlink, .vae-exercicio, .vae-abrir, img, script, style, svg"


def index(pages: list[Path]) -> str:
    """`window.BUSCA = [[endereço, lição, seção, texto], ...]`, das páginas já montadas."""
    entries = [entry for page in pages for entry in sections(page)]
    return f"window.BUSCA={json.dumps(entries, ensure_ascii=False, separators=(',', ':'))};\n"


def sections(page: Path) -> list[list[str]]:
    """[[endereço, lição, seção, texto], ...] de uma página; o texto de uma seção não inclui o das que ela contém."""
    article = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").select_one("article")
    for unread in article.select(_UNREAD):
        unread.replace_with(" ")
    lesson = _words(article.find("h1"))
    return [
        [f"{page.name}#{section.get('id', '')}", lesson, _words(section.find(_HEADINGS)), _own_words(section)]
        for section in article.find_all("section")
    ]


def _own_words(section: Tag) -> str:
    own = (child for child in section.find_all(recursive=False) if child.name != "section" and child.name not in _HEADINGS)
    return " ".join(_words(child) for child in own)


def _words(tag: Tag | None) -> str:
    return " ".join(tag.get_text(" ").split()) if tag else ""
