"""As entregas: uma pasta por aluno, e nela os cadernos das lições, que podem vir quebrados, renomeados ou repetidos."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from vae_lessons.teach.lessons import Refused

LARGEST = 64 * 2**20  # bytes: um caderno com todas as figuras tem um ou dois milhões
_NUMBERED = re.compile(r"(?<!\d)(\d\d)_")
_CHECK = re.compile(r"""\bcheck\(\s*["'](\d\d)\.\d+["']""")
_MARK = re.compile(r"exercicio-(\d\d)-(\d+)\Z")


class Broken(ValueError):
    """Uma entrega que não se pode ler; a mensagem diz por quê, para o aluno."""


class Notebook(NamedTuple):
    """Um caderno entregue. lesson: "03", ou "" se não se pôde saber · cells: o código de cada célula de código ·
    marks: o exercício com que cada uma foi marcada ao distribuir, "03.1", ou ""."""

    path: Path
    lesson: str
    cells: list[str]
    marks: list[str]


def students(folder: Path) -> dict[str, list[Path]]:
    """Aluno → os cadernos que entregou, por mais fundo que estejam na pasta dele, e os atalhos, que `read` recusa.

    Um .ipynb fora de pasta é do aluno que tem o nome do arquivo. Levanta Refused se `folder` não for uma pasta.
    """
    if not folder.is_dir():
        raise Refused(f"não encontrei a pasta das entregas, {folder}.")
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.suffix == ".ipynb" and _is_delivery(path):
            found.setdefault(path.stem, []).append(path)
        elif path.is_symlink():
            found.setdefault(path.name, []).append(path)
        elif path.is_dir():
            inside = sorted(p for p in path.rglob("*") if _is_delivery(p) and not _hidden(p.relative_to(path)))
            found.setdefault(path.name, []).extend(inside)
    return found


def read(path: Path) -> Notebook:
    """Lê um caderno sem confiar em nada do que há nele. Levanta Broken."""
    if path.is_symlink():
        raise Broken("é um atalho, que pode levar à entrega de outro. Entregue o próprio arquivo, e não um atalho.")
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise Broken(
                f"o arquivo tem {size / 2**20:.0f} MB, e o limite é {LARGEST / 2**20:.0f}. Apague as saídas (Edit, "
                "Clear Outputs of All Cells), guarde e entregue de novo."
            )
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise Broken("o arquivo não pôde ser lido.") from error
    except (ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, Broken):
            raise
        raise Broken(
            "o arquivo não é um caderno do Jupyter: não é JSON. Entregue o .ipynb, e não outra forma dele."
        ) from error
    return _notebook(path, content)


def _notebook(path: Path, content) -> Notebook:
    cells = content.get("cells") if isinstance(content, dict) else None
    if not isinstance(cells, list):
        raise Broken("o arquivo não é um caderno do Jupyter: não tem células.")
    metadata = content.get("metadata") if isinstance(content.get("metadata"), dict) else {}
    language = _language(metadata)
    if language not in ("", "python", "ipython", "python3"):
        raise Broken(
            f"o caderno é de outra linguagem, {language[:30]}. As lições são em Python: escolha o kernel Python 3."
        )
    sources, marks = [], []
    for cell in cells:
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            sources.append(_source(cell))
            marks.append(_mark(cell))
    return Notebook(path, _lesson(path, metadata, sources, marks), sources, marks)


def _language(metadata: dict) -> str:
    for name, key in (("kernelspec", "language"), ("language_info", "name")):
        part = metadata.get(name)
        if isinstance(part, dict) and isinstance(part.get(key), str):
            return part[key].lower()
    return ""


def _source(cell: dict) -> str:
    source = cell.get("source", "")
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    return source if isinstance(source, str) else ""


def _mark(cell: dict) -> str:
    metadata = cell.get("metadata")
    marks = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = marks.get("grade_id") if isinstance(marks, dict) else None
    found = _MARK.match(grade_id) if isinstance(grade_id, str) else None
    return f"{found[1]}.{found[2]}" if found else ""


def _lesson(path: Path, metadata: dict, sources: list[str], marks: list[str]) -> str:
    """Pela marca com que se distribuiu; sem ela, pelos exercícios que há no caderno; sem eles, pelo nome do arquivo."""
    own = metadata.get("vae_lessons")
    stated = own.get("lesson") if isinstance(own, dict) else None
    if isinstance(stated, str) and re.fullmatch(r"\d\d", stated):
        return stated
    seen = Counter([number for source in sources for number in _CHECK.findall(source)])
    seen.update(mark.split(".")[0] for mark in marks if mark)
    if seen:
        return seen.most_common(1)[0][0]
    return lesson_named(path)


def lesson_named(path: Path) -> str:
    """A lição que o nome do arquivo diz, "03", ou ""."""
    named = _NUMBERED.search(path.name)
    return named[1] if named else ""


def _is_delivery(path: Path) -> bool:
    return path.is_symlink() or (path.suffix == ".ipynb" and path.is_file())


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
