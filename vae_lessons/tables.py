"""Uma tabela em HTML, como as lições as mostram, e os vínculos dela para as lições."""

import html
from collections.abc import Iterable, Sequence

_LEFT = "text-align: left; vertical-align: top"  # o JupyterLab alinharia à direita


def html_table(columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> str:
    """columns: (nome, largura) de cada uma, "22%" · rows: as casas de cada linha, já em HTML."""
    head = "".join(f'<th scope="col" style="{_LEFT}; width: {width}">{name}</th>' for name, width in columns)
    body = "\n".join("<tr>" + "".join(f'<td style="{_LEFT}">{cell}</td>' for cell in row) + "</tr>" for row in rows)
    return f'<table style="width: 100%">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>'


def lesson_link(file: str, text: str, heading: str = "") -> str:
    """Um vínculo para uma lição ou, com o título, para uma seção dela: no JupyterLab a âncora é o título com hifens.

    heading: com o número e sem asteriscos; o que tem fórmulas não serve de âncora, e o vínculo fica para a lição.
    """
    anchor = "" if any(mark in heading for mark in "$`") else heading.replace(" ", "-")
    there = f"{file}#{anchor}" if anchor else file
    return f'<a href="{html.escape(there)}">{html.escape(text)}</a>'
