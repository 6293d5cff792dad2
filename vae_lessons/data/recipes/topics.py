"""topics, do pacote libreoffice-help-pt-br do Debian."""

import hashlib
import io
import re
import tarfile
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath

import numpy as np

from vae_lessons.data.recipes.recipe import Recipe

_WORDS = 2000  # palavras do vocabulário
_PAGES = 15  # em quantas páginas uma palavra tem de estar, no mínimo
_SHARE = 0.4  # e em que parte delas, no máximo
_LENGTH = 20  # palavras do vocabulário que uma página tem de ter, no mínimo

_SECTIONS = {
    "shared": "comum a todos",
    "swriter": "Writer (textos)",
    "scalc": "Calc (planilhas)",
    "simpress": "Impress (apresentações)",
    "sdraw": "Draw (desenhos)",
    "smath": "Math (fórmulas)",
    "sdatabase": "Base (bancos de dados)",
    "schart": "Gráficos",
    "sbasic": "Basic (macros)",
}


def make(archive: Path) -> tuple[dict[str, np.ndarray], str]:
    """As páginas, em ordem sorteada, e quantas vezes cada palavra está em cada uma."""
    with tarfile.open(fileobj=io.BytesIO(_member(archive.read_bytes(), "data.tar"))) as tar:
        files = {PurePosixPath(entry.name): tar.extractfile(entry).read() for entry in tar if entry.isfile()}
    text = PurePosixPath("usr/share/libreoffice/help/pt-BR/text")
    copyright = files[PurePosixPath("usr/share/doc/libreoffice-help-pt-br/copyright")].decode("utf-8")
    pages = {path.relative_to(text): _Page(html) for path, html in files.items() if text in path.parents}
    words = {path: _words(page.text) for path, page in pages.items()}
    vocabulary = _vocabulary(words.values())
    number = {word: column for column, word in enumerate(vocabulary)}
    rows: dict[bytes, tuple[PurePosixPath, np.ndarray]] = {}  # uma de cada, se as contagens são as mesmas
    for path in sorted(pages, key=_drawn):
        known = [number[word] for word in words[path] if word in number]
        counts = np.bincount(known, minlength=len(vocabulary)).astype(np.uint16)
        if len(known) >= _LENGTH:
            rows.setdefault(counts.tobytes(), (path, counts))
    kept = [path for path, _ in rows.values()]
    arrays = {
        "x": np.stack([counts for _, counts in rows.values()]),
        "y": np.array([list(_SECTIONS).index(path.parts[0]) for path in kept], np.uint8),
        "titles": np.array([pages[path].title for path in kept]),
        "vocabulary": np.array(vocabulary),
        "sections": np.array(list(_SECTIONS.values())),
    }
    return arrays, _licence(copyright)


def _member(archive: bytes, start: str) -> bytes:
    """O membro de um .deb, que é um arquivo ar, cujo nome começa por `start`."""
    position = len(b"!<arch>\n")
    while position < len(archive):
        header = archive[position : position + 60]
        size = int(header[48:58])
        if header[:16].decode("ascii").startswith(start):
            return archive[position + 60 : position + 60 + size]
        position += 60 + size + size % 2
    raise ValueError(f"O pacote não tem {start}.")


class _Page(HTMLParser):
    """O título de uma página e o texto dela: só o da parte que o leitor lê, sem os menus."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.title, self.text = "", ""
        self._depth, self._tag = 0, ""  # quantos <div> abertos, a contar do que tem o texto; onde se está
        self.feed(html.decode("utf-8"))
        self.title = " ".join(self.title.split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        if tag == "div" and (self._depth or ("id", "DisplayArea") in attributes):
            self._depth += 1
        self.text += " "

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""
        if tag == "div" and self._depth:
            self._depth -= 1

    def handle_data(self, data: str) -> None:
        if self._tag == "title":
            self.title += data
        elif self._depth and self._tag not in ("script", "style"):
            self.text += data


def _words(text: str) -> list[str]:
    return [word for word in re.findall(r"[^\W\d_]{3,}", text.lower()) if word not in _STOP]


def _vocabulary(pages) -> list[str]:
    """As palavras mais frequentes, das que não estão em poucas páginas nem em muitas; em ordem alfabética."""
    pages = list(pages)
    within = Counter(word for page in pages for word in set(page))
    total = Counter(word for page in pages for word in page)
    kept = [word for word in total if _PAGES <= within[word] <= _SHARE * len(pages)]
    return sorted(sorted(kept, key=lambda word: (-total[word], word))[:_WORDS])


def _drawn(path: PurePosixPath) -> str:
    """Um sorteio que sai sempre o mesmo."""
    return hashlib.sha256(str(path).encode()).hexdigest()


def _licence(copyright: str) -> str:
    """O que o Debian diz das licenças da ajuda: o primeiro parágrafo, que é o dela, sem o dos outros arquivos."""
    paragraph = copyright[copyright.index("Files: *") :].split("\n\n")[0]
    return f"{_MPL.strip()}\n\n{'-' * 80}\n\n{paragraph}"


# Palavras que não dizem do que uma página fala, e as que a ajuda usa em quase todas.
_STOP = frozenset(
    re.findall(
        r"\w+",
        """
        uma uns umas dos das nos nas num numa aos por pelo pela pelos pelas para com como que sem sob sobre
        mas nem não sim já mais menos muito muita muitos muitas também ainda assim apenas até entre após
        antes depois quando enquanto onde cada todo toda todos todas tudo qualquer quaisquer algum alguma
        alguns algumas nenhum nenhuma outro outra outros outras mesmo mesma mesmos mesmas seu sua seus suas
        dele dela deles delas este esta estes estas isto neste nesta nestes nestas deste desta destes destas
        esse essa esses essas isso nesse nessa desse dessa aquele aquela aqueles aquelas ele ela eles elas
        você lhe qual quais quem cujo cuja ser são era foi foram será serão seja sejam sendo sido for forem
        está estão estar esteja estejam estiver estiverem ter tem têm tenha tiver haver houver pode podem
        poderá poderão deve devem deverá deseja desejar faz fazer fez feito então caso porque pois portanto
        porém seguinte seguintes exemplo exemplos tópicos relacionados selecione the
        """,
    )
)

# O texto da licença é o do endereço; o pacote não o traz.
_MPL = """
Estas contagens vêm da ajuda do LibreOffice em português e estão sujeitas aos termos da Mozilla Public License,
versão 2.0, cujo texto está em https://mozilla.org/MPL/2.0/: quem as muda e as distribui o faz sob a mesma licença,
que também diz que elas vêm como são, sem garantia nenhuma. O texto da ajuda, a forma de que elas vêm, está em
https://git.libreoffice.org/help e https://git.libreoffice.org/translations, e quem as fez dele é
vae_lessons/data/recipes/topics.py. Abaixo, o que o Debian diz de quem é a ajuda.

SPDX-License-Identifier: MPL-2.0
"""

RECIPE = Recipe(
    source=(
        "https://snapshot.debian.org/file/b496ff0b329c71807c3597ef8e65922a65289212",
        "https://deb.debian.org/debian/pool/main/libr/libreoffice/libreoffice-help-pt-br_7.4.7-1+deb12u14_all.deb",
    ),
    archive="libreoffice-help-pt-br_7.4.7-1+deb12u14_all.deb",
    sha256="600d4294e52a6534be923521aff7b1b9eb7e6ddb7e30b2598ad04b2fe9cf8278",
    make=make,
    origin="""
topics: 2.296 páginas da ajuda do LibreOffice em português, e quantas vezes cada uma de 2.000 palavras está em cada uma.

São da ajuda do LibreOffice 7.4, de The Document Foundation e de quem a escreveu e traduziu (https://www.libreoffice.org).
Foram tiradas do pacote libreoffice-help-pt-br 4:7.4.7-1+deb12u14 do Debian 12. Aqui se tiraram os menus das páginas,
as palavras de menos de três letras e as que não dizem do que a página fala; ficaram as 2.000 mais frequentes das que
estão em ao menos 15 páginas e no máximo em 40% delas, e as páginas com ao menos 20 dessas palavras, uma só se as
contagens são as mesmas, em ordem sorteada. O rótulo de uma página é a parte da ajuda em que está.
""",
)
