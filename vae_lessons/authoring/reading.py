"""Quanto leva uma lição: o caminho essencial e ela inteira.

    python -m vae_lessons.authoring.reading                        # todas
    python -m vae_lessons.authoring.reading notebooks/01_elbo.ipynb

Lê-se a 180 palavras e a 20 linhas de código por minuto; um exercício toma 5 minutos. Não contam as soluções nem as
células de código recolhidas, que ninguém precisa ler. É um aprofundamento a seção cujo título termina por essa palavra,
até o próximo título do mesmo nível ou de um mais alto, e o bloco `<details>` cujo resumo começa por ela.
"""

import argparse
import math
import re
import sys
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from vae_lessons.authoring.arguments import add_lessons, chosen_lessons
from vae_lessons.authoring.exercises import tags

WORDS_PER_MINUTE, LINES_PER_MINUTE, MINUTES_PER_EXERCISE = 180, 20, 5
SIDE_ROAD = "aprofundamento"

_HEADING = re.compile(r"^(#{1,6}) +(.+?)[ *]*$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_SIDE_BLOCK = re.compile(r"<details>\s*<summary>[*\s]*aprofundamento.*?</details>", re.DOTALL | re.IGNORECASE)
_NOT_WORDS = (
    (re.compile(r"\$\$.+?\$\$|\$.+?\$", re.DOTALL), " fórmula "),
    (re.compile(r"(\[.*?\])\(.*?\)"), r"\1"),
    (re.compile(r"<[^>]+>"), " "),
)


class Reading(NamedTuple):
    """O que há para ler e fazer: palavras, linhas de código à vista e exercícios."""

    words: int
    lines: int
    exercises: int

    @property
    def minutes(self) -> float:
        return self.words / WORDS_PER_MINUTE + self.lines / LINES_PER_MINUTE + self.exercises * MINUTES_PER_EXERCISE


def essential(notebook: NotebookNode) -> Reading:
    """O caminho essencial: a lição sem os aprofundamentos."""
    return _reading([(cell, _SIDE_BLOCK.sub("", text)) for cell, text, aside in _walk(notebook) if not aside])


def whole(notebook: NotebookNode) -> Reading:
    """A lição inteira."""
    return _reading([(cell, text) for cell, text, _ in _walk(notebook)])


def stated(notebook: NotebookNode) -> tuple[int, int] | None:
    """Os minutos que a primeira célula promete, do caminho essencial e da lição inteira; None se não os diz."""
    found = re.search(r"\*\*Tempo:\*\* (\d+) minutos no caminho essencial, (\d+) com", notebook.cells[0].source)
    return (int(found[1]), int(found[2])) if found else None


def rounded(reading: Reading) -> int:
    """Os minutos, arredondados para cima a um múltiplo de 5: é o que a lição promete."""
    return 5 * math.ceil(reading.minutes / 5)


def hidden(cell: NotebookNode) -> bool:
    """A célula de código que o JupyterLab mostra recolhida."""
    return bool(cell.metadata.get("jupyter", {}).get("source_hidden"))


def _walk(notebook: NotebookNode):
    """(célula, texto, aprofundamento?) de cada parte; uma célula de texto se parte nos títulos que tem."""
    level = None  # do título que abriu o aprofundamento
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            yield cell, cell.source, level is not None
            continue
        for text, heading in _parts(cell.source):
            if heading:
                depth, title = len(heading[1]), heading[2]
                if level is not None and depth <= level:
                    level = None
                if level is None and title.lower().endswith(SIDE_ROAD):
                    level = depth
            yield cell, text, level is not None


def _parts(source: str):
    """O texto antes do primeiro título e, depois, cada título com o que o segue; # dentro de código não é título."""
    blanked = _FENCE.sub(lambda fence: re.sub("[^\n]", " ", fence[0]), source)
    headings = list(_HEADING.finditer(blanked))
    edges = [0, *(heading.start() for heading in headings), len(source)]
    for heading, start, end in zip([None, *headings], edges[:-1], edges[1:], strict=True):
        if end > start:
            yield source[start:end], heading


def _reading(parts: list[tuple[NotebookNode, str]]) -> Reading:
    words = lines = exercises = 0
    for cell, text in parts:
        if "exercise" in tags(cell):
            exercises += 1
        elif cell.cell_type == "markdown" and "solution" not in tags(cell):
            words += _count_words(text)
        elif cell.cell_type == "code" and not hidden(cell):
            lines += sum(bool(line.strip()) for line in text.splitlines())
    return Reading(words, lines, exercises)


def _count_words(text: str) -> int:
    for pattern, replacement in _NOT_WORDS:
        text = pattern.sub(replacement, text)
    return len(re.findall(r"\w[\w’'-]*", text))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m vae_lessons.authoring.reading", description=__doc__.splitlines()[0]
    )
    add_lessons(parser)
    paths = chosen_lessons(parser, parser.parse_args(arguments).lessons)
    print(f"{'lição':42} {'essencial':>30}   {'inteira':>30}   prometido")
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        columns = [
            f"{r.words:5} palavras {r.lines:4} linhas {r.exercises} ex. {rounded(r):4} min"
            for r in (essential(notebook), whole(notebook))
        ]
        print(f"{path.name:42} {'   '.join(columns)}   {stated(notebook)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
