"""O texto em português do repositório, separado do que não é: fórmulas, código, endereços, nomes de pessoas."""

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_NOT_PROSE = (
    re.compile(r"^(```|~~~).*?^\1", re.M | re.S),  # blocos de código
    re.compile(r"\$\$.*?\$\$", re.S),
    re.compile(r"\$[^$]{1,200}?\$"),
    re.compile(r"``.+?``|`[^`]+`", re.S),
    re.compile(r"<!--.*?-->", re.S),
    re.compile(r"<(code|kbd|style|script|svg)\b.*?</\1>", re.S),
    re.compile(r"\]\([^()\s]*(?:\([^()]*\)[^()\s]*)*\)"),  # o endereço de um link, não o texto dele
    re.compile(r"https?://\S+|www\.\S+"),
    re.compile(r"</?[A-Za-z][^<>]*>"),
    re.compile(r"&\w+;"),
    re.compile(r"""(?<!\w)(["'])[\w.-]+\1(?!\w)"""),  # valores citados: "digits", 'auto'
    re.compile(r"[\w.-]+(?:/[\w.-]+)?,? \(?(?:PR )?#\d+"),  # um repositório e o número de uma conversa
    re.compile(r"^ +(python3?|pip|from|import|\w+ = ).*$", re.M),  # exemplos de código em docstrings
    re.compile(r"\b\w+(?:\.\w+)*\([^()\n]*\)"),  # chamadas: load("digits")
)
_PORTUGUESE = re.compile(r"(?i)\b(à|ao|as|com|da|das|de|do|dos|e|é|em|mas|na|não|no|os|ou|para|por|que|se|um|uma)\b")
_ENGLISH = re.compile(r"(?i)\b(the|of|and|this|to|in|is|are|any|not|with)\b")
_CODE = re.compile(r"=>|;\s*$|^\s*(import|from|def|class|for|const|let|async|await|return) .*[=:(;]|</?svg|<rect", re.M)
_CITATION = re.compile(r"\b(1[89]|20)\d\d\b|arXiv")
_ITALIC = re.compile(
    r"(?<![\w*])\*(?![\s*])([^*]+?)(?<![\s*])\*(?![\w*])|(?<![\w_])_(?![\s_])([^_]+?)(?<![\s_])_(?![\w_])"
)
_SAID_BY_TAG = re.compile(r"""<[A-Za-z][^<>]*?\b(?:alt|title|aria-label)\s*=\s*"([^"]*)"[^<>]*>""")
_PARAGRAPH = re.compile(r"\n\s*(?:[-*]|\d+\.|#+|\|)\s|\n\s*\n")
_SENTENCE = re.compile(r"(?<=[.!?:;·|])\s+")
_CHUNK = re.compile(r"[^\s,;:!?()\[\]{}«»“”\"…—–/|·=<>+~→←↔⇒∈^]+")
# Uma palavra só tem letras; com ponto, sublinhado, dígito, letra grega ou maiúscula no meio, é um nome.
_WORD = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿ]+(?:[-’'][A-Za-zÀ-ÖØ-öø-ÿ]+)*$")
_NAME = re.compile(r".+[A-ZÀ-Ý]")


class Prose(NamedTuple):
    """where: o arquivo e a célula ou a linha · text: o texto · code: se ele é de um arquivo de código, em que se citam
    nomes sem aspas."""

    where: str
    text: str
    code: bool


class Word(NamedTuple):
    """foreign: se está em itálico ou numa referência, onde um termo em inglês é bem-vindo."""

    text: str
    foreign: bool


def notebook(path: Path) -> Iterator[Prose]:
    """As células de texto; das de código, os comentários e as frases."""
    for number, cell in enumerate(_cells(path)):
        where, source = f"{path.name}[{number}]", "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            yield Prose(where, source, code=False)
        else:
            yield from (Prose(where, text, code=True) for _, text in sentences_of(_python(source)))


def code_cells(path: Path) -> list[str]:
    return [_python("".join(cell["source"])) for cell in _cells(path) if cell["cell_type"] == "code"]


def module(path: Path, root: Path, *, docstrings_only: bool = False) -> Iterator[Prose]:
    """As docstrings, os comentários e as frases de um arquivo Python."""
    source = path.read_text(encoding="utf-8")
    sentences = _docstrings(source) if docstrings_only else sentences_of(source)
    yield from (Prose(f"{path.relative_to(root)}:{line}", text, code=True) for line, text in sentences)


def identifiers(source: str) -> set[str]:
    """Os nomes que um código define ou usa."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        for field in ("id", "attr", "arg", "name", "module"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                found.update(value.split("."))
    return found


def words(prose: Prose) -> Iterator[Word]:
    text = _SAID_BY_TAG.sub(r" \n\n\1\n\n ", prose.text)
    for pattern in _NOT_PROSE:
        text = pattern.sub(" ", text)
    for paragraph in _PARAGRAPH.split(text):
        foreign = bool(_CITATION.search(paragraph))
        for sentence in _SENTENCE.split(_ITALIC.sub(" ", paragraph)):
            yield from _words(sentence, foreign=foreign)
        for italic in _ITALIC.findall(paragraph):
            yield from _words(" ".join(italic), foreign=True)


def _words(text: str, *, foreign: bool) -> Iterator[Word]:
    for position, chunk in enumerate(_CHUNK.findall(text)):
        word = chunk.strip("*_.'’-#%$`")
        if len(word) > 2 and _WORD.match(word) and not _NAME.match(word):
            is_person = word[0].isupper() and (position > 0 or foreign)
            if not is_person:
                yield Word(word, foreign)


def _cells(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def _python(source: str) -> str:
    """A célula sem as linhas que são do IPython."""
    return "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())


def _docstrings(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            yield getattr(node, "lineno", 1), ast.get_docstring(node)


def sentences_of(source: str) -> Iterator[tuple[int, str]]:
    """(linha, texto) das cadeias que são frases em português e dos comentários que não são diretivas."""
    inside: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            inside.update(id(value) for value in node.values)
            text = "".join(value.value if isinstance(value, ast.Constant) else "0" for value in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            text = node.value
        else:
            continue
        if (
            " " in text.strip()
            and len(_PORTUGUESE.findall(text)) > len(_ENGLISH.findall(text))
            and not _CODE.search(text)
        ):
            yield node.lineno, text
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not re.match(r"#\s*(noqa|isort|type:|fmt:|!)", token.string):
            yield token.start[0], token.string.lstrip("# ")
