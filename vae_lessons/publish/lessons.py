"""Do caderno ao que a página mostra dele: executar, tirar o que é só de quem tem kernel, pôr as figuras em arquivos."""

import base64
import contextlib
import copy
import html
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbclient.exceptions import CellControlSignal, DeadKernelError
from nbformat import NotebookNode
from PIL import Image

from vae_lessons.authoring.exercises import tags
from vae_lessons.authoring.offline import kernels_without_network
from vae_lessons.authoring.running import execute
from vae_lessons.authoring.store import environment, tidy
from vae_lessons.publish import live, recording
from vae_lessons.publish.links import Link

# Executado pelo IPython ao nascer: onde um explorador se mostraria, mostra-se a gravação dele.
_STARTUP = """
def _record_explorers():
    def show(explorer):
        from vae_lessons.publish import recording

        recording.show(explorer)

    formatter = get_ipython().display_formatter.ipython_display_formatter
    formatter.for_type_by_name("vae_lessons.explore.base", "Explorer", show)


_record_explorers()
del _record_explorers
"""
_LOCAL_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([\w./-]+\.(?:ipynb|md))?(?:#([^)\s]+))?\)")
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
_TIME = re.compile(r"\*\*Tempo:\*\* ([^.]+)\.")


_EXPLORERS = {recording.MIME: "gravado", live.MIME: "latente"}


class LessonError(RuntimeError):
    """Uma lição que falhou, com o nome dela e o erro."""


class Page(NamedTuple):
    """name: o nome do arquivo, sem extensão · title, time: como a lição os diz, em Markdown · notebook: o que vai ao
    Sphinx · files: nome → conteúdo das figuras e gravações, que o caderno procura em _static/."""

    name: str
    title: str
    time: str
    notebook: NotebookNode
    files: dict[str, bytes]


def run(path: Path, on_cell: Callable[[int], None]) -> NotebookNode:
    """A lição executada sem rede, com os exploradores gravados. Levanta LessonError se uma célula falhar."""
    notebook = nbformat.read(path, as_version=4)
    try:
        with _recording_kernels():
            return tidy(execute(notebook, path.parent, on_cell=on_cell, environment=environment()))
    except (CellControlSignal, DeadKernelError) as error:  # os erros da célula, o tempo que acabou, o kernel que morreu
        raise LessonError(f"{path.name} falhou:\n\n{error}") from error


@contextlib.contextmanager
def _recording_kernels() -> Iterator[None]:
    with kernels_without_network():
        startup = Path(os.environ["IPYTHONDIR"], "profile_default", "startup", "10_gravar.py")
        startup.write_text(_STARTUP, encoding="utf-8")
        yield


def prepare(notebook: NotebookNode, name: str, published: set[str], *, links: list[Link] | None = None) -> Page:
    """A página de uma lição já executada. published: os nomes dos arquivos das lições que estão no site."""
    files: dict[str, bytes] = {}
    cells = []
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.metadata.get("jupyter", {}).get("source_hidden"):
            continue  # uma guarda: é do nbval, e não do leitor
        cell = copy.deepcopy(cell)
        exercise = "exercise" in tags(cell)
        cell.metadata = nbformat.from_dict({})
        if cell.cell_type == "code":
            cell.outputs = [
                _linked(_shown(output, name, files, exercise=exercise), published) for output in cell.outputs
            ]
        elif cell.cell_type == "markdown":
            cell.source = _LOCAL_LINK.sub(lambda link: _link(link, published), cell.source)
        cells.append(cell)
    first = cells[0].source
    title = _TITLE.search(first)
    if links and title:
        cells.insert(1, nbformat.v4.new_markdown_cell(_openers(links)))
    time = _TIME.search(first)
    page = nbformat.v4.new_notebook(metadata=notebook.metadata, cells=cells)
    return Page(name, title[1] if title else name, time[1].replace("\n", " ") if time else "", page, files)


def _shown(output: NotebookNode, name: str, files: dict[str, bytes], *, exercise: bool) -> NotebookNode:
    """A saída como a página a mostra: uma só forma, e as figuras fora dela."""
    data = output.get("data")
    if data is None:
        return output
    explorers = [(kind, data[mime]) for mime, kind in _EXPLORERS.items() if mime in data]
    if explorers:
        alt = data.get("text/plain", "")
        shown = _explorer(*explorers[0], data["image/png"], alt, f"{name}-{len(files)}", files)
    elif "image/png" in data:
        alt = output.metadata.get("image/png", {}).get("alt", data.get("text/plain", ""))
        width = re.search(r"width: (\d+)px", data.get("text/html", ""))
        shown = _picture(data["image/png"], alt, f"{name}-{len(files)}", files, width=width and int(width[1]))
    elif exercise and "⏳" in data.get("text/plain", ""):
        shown = _EXERCISE
    elif "text/html" in data:
        shown = _clean_table(data["text/html"])
    else:
        return output
    return nbformat.v4.new_output("display_data", data={"text/html": shown})


_EXERCISE = (
    '<p class="vae-exercicio">Para escrever a sua resposta e saber na hora se está certa, '
    '<a href="index.html#fazer-os-exercicios">abra esta lição no JupyterLab</a>.</p>'
)


def _picture(png: str, alt: str, name: str, files: dict[str, bytes], *, width: int | None = None) -> str:
    """O <img> de um PNG em base64, que vira um WebP sem perdas, bem menor."""
    image = Image.open(io.BytesIO(base64.b64decode(png)))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=True, quality=75, method=4)
    files[f"figuras/{name}.webp"] = buffer.getvalue()
    width = width or image.width
    size = f'width="{width}" height="{round(image.height * width / image.width)}" style="min-width: {width * 3 // 5}px"'
    return f'<img class="vae-figura" src="_static/figuras/{name}.webp" alt="{html.escape(alt)}" {size} loading="lazy">'


def _explorer(kind: str, content: dict, png: str, alt: str, name: str, files: dict[str, bytes]) -> str:
    """A figura parada, num elemento que o programa da página transforma em controles e figura viva."""
    still = _picture(png, alt, name, files, width=content["shown"])
    script = f"vaeDados({json.dumps(name)}, {json.dumps(content, ensure_ascii=False, separators=(',', ':'))});\n"
    files[f"exploradores/{name}.js"] = script.encode()
    return f'<div class="vae-explorador" data-{kind}="{name}">{still}</div>'


def _clean_table(text: str) -> str:
    """As tabelas do pandas sem o estilo que trazem (o da página vale para todas) e sem cabeçalhos vazios."""
    text = re.sub(r"<style scoped>.*?</style>\s*", "", text, flags=re.DOTALL)
    return text.replace(' border="1"', "").replace("<th></th>", "<td></td>")


def _link(link: re.Match, published: set[str]) -> str:
    """O vínculo como a página o quer; o que levaria a um arquivo que não está no site fica só com as palavras.

    No JupyterLab a âncora é o título com hifens; na página, em minúsculas e sem pontuação, como no GitHub.
    """
    words, file = link[1], link[2] or ""
    if file and file not in published:
        return words
    return f"[{words}]({file}{_anchor(link[3])})"


def _linked(output: NotebookNode, published: set[str]) -> NotebookNode:
    """Os vínculos de uma saída em HTML, como em `_link`."""

    def there(link: re.Match) -> str:
        file, anchor = link[1], _anchor(link[2])
        return f'href="{file.removesuffix(".ipynb")}.html{anchor}"' if file in published else ""

    for mime in ("text/html", "image/svg+xml"):
        if mime in output.get("data", {}):
            output.data[mime] = re.sub(r'href="([\w.-]+\.ipynb)(?:#([^"]*))?"', there, output.data[mime])
    return output


def _anchor(heading: str | None) -> str:
    return "#" + re.sub(r"[^\w-]", "", heading.lower()) if heading else ""


def _openers(links: list[Link]) -> str:
    items = "".join(
        f'<li><a href="{html.escape(url)}">{name}</a>: pede {html.escape(needs)}.</li>' for name, url, needs in links
    )
    return f'<details class="vae-abrir"><summary>Abrir esta lição viva</summary><ul>{items}</ul></details>'
