"""phrases, do pacote emoji."""

import hashlib
import json
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np

from vae_lessons.data import phrases
from vae_lessons.data.recipes.recipe import Recipe


def make(archive: Path) -> tuple[dict[str, np.ndarray], str]:
    """As frases, na ordem em que a partição de `packaged`, uma a cada cinco, manda ao teste as de `_held_out`."""
    with zipfile.ZipFile(archive) as wheel:
        names = json.loads(wheel.read("emoji/unicode_codes/emoji_pt.json"))
        licence = wheel.read("emoji-2.16.0.dist-info/licenses/LICENSE.txt").decode("utf-8")
    found = {phrases.split_words(name.strip(":").replace("_", " ")) for name in names.values()}
    kept = _closed({words for words in found if phrases.SHORTEST <= len(words) <= phrases.LONGEST})
    counts = Counter(word for words in kept for word in words)
    vocabulary = [*phrases.SPECIAL, *sorted(counts, key=lambda word: (-counts[word], word))]
    test = _held_out(kept)
    rest, held_out = (iter(sorted(side, key=_drawn)) for side in (kept - set(test), test))
    order = [next(held_out) if position % 5 == 4 else next(rest) for position in range(len(kept))]
    numbers = {word: number for number, word in enumerate(vocabulary)}
    x = np.full((len(order), phrases.LENGTH), phrases.PAD, np.int16)
    for row, words in zip(x, order, strict=True):
        row[: len(words) + 2] = [phrases.START, *(numbers[word] for word in words), phrases.END]
    return {"x": x, "vocabulary": np.array(vocabulary)}, f"{licence.strip()}\n\n{'-' * 80}\n\n{_UNICODE_LICENCE}"


def _closed(found: set[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """As frases em que toda palavra aparece ao menos duas vezes, nelas mesmas: tirar uma pode obrigar a tirar outra."""
    while True:
        counts = Counter(word for words in found for word in words)
        kept = {words for words in found if all(counts[word] >= 2 for word in words)}
        if kept == found:
            return found
        found = kept


def _held_out(found: set[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """As do teste: das curtas às longas, em cada comprimento sorteadas, uma a cada cinco. As que têm as mesmas palavras
    noutra ordem ficam do mesmo lado, e toda palavra do teste está também no treino."""
    same_words: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for words in sorted(found, key=lambda words: (len(words), _drawn(words))):
        same_words.setdefault(tuple(sorted(words)), []).append(words)
    left, test, seen = Counter(word for words in found for word in words), [], 0
    for together in same_words.values():
        taken = Counter(word for words in together for word in words)
        seen += len(together)
        if len(test) + len(together) <= seen // 5 and all(left[word] > taken[word] for word in taken):
            test += together
            left -= taken
    return test


def _drawn(words: tuple[str, ...]) -> str:
    """Um sorteio que sai sempre o mesmo, em qualquer versão de qualquer biblioteca."""
    return hashlib.sha256(" ".join(words).encode()).hexdigest()


# A dos dados do CLDR; o pacote emoji não a traz.
_UNICODE_LICENCE = """
UNICODE LICENSE V3

COPYRIGHT AND PERMISSION NOTICE

Copyright © 2004-2025 Unicode, Inc.

NOTICE TO USER: Carefully read the following legal agreement. BY
DOWNLOADING, INSTALLING, COPYING OR OTHERWISE USING DATA FILES, AND/OR
SOFTWARE, YOU UNEQUIVOCALLY ACCEPT, AND AGREE TO BE BOUND BY, ALL OF THE
TERMS AND CONDITIONS OF THIS AGREEMENT. IF YOU DO NOT AGREE, DO NOT
DOWNLOAD, INSTALL, COPY, DISTRIBUTE OR USE THE DATA FILES OR SOFTWARE.

Permission is hereby granted, free of charge, to any person obtaining a
copy of data files and any associated documentation (the "Data Files") or
software and any associated documentation (the "Software") to deal in the
Data Files or Software without restriction, including without limitation
the rights to use, copy, modify, merge, publish, distribute, and/or sell
copies of the Data Files or Software, and to permit persons to whom the
Data Files or Software are furnished to do so, provided that either (a)
this copyright and permission notice appear with all copies of the Data
Files or Software, or (b) this copyright and permission notice appear in
associated Documentation.

THE DATA FILES AND SOFTWARE ARE PROVIDED "AS IS", WITHOUT WARRANTY OF ANY
KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT OF
THIRD PARTY RIGHTS.

IN NO EVENT SHALL THE COPYRIGHT HOLDER OR HOLDERS INCLUDED IN THIS NOTICE
BE LIABLE FOR ANY CLAIM, OR ANY SPECIAL INDIRECT OR CONSEQUENTIAL DAMAGES,
OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS,
WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION,
ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THE DATA
FILES OR SOFTWARE.

Except as contained in this notice, the name of a copyright holder shall
not be used in advertising or otherwise to promote the sale, use or other
dealings in these Data Files or Software without prior written
authorization of the copyright holder.

SPDX-License-Identifier: Unicode-3.0
"""

RECIPE = Recipe(
    source="emoji==2.16.0",
    archive="emoji-2.16.0-py3-none-any.whl",
    sha256="c4230d80640def9071599ff56b1b5950fe13a2a94c0da98c5deab12431b24330",
    make=make,
    origin="""
phrases: 2.562 frases curtas em português, os nomes de emojis.

São do Unicode CLDR (https://cldr.unicode.org). Foram tiradas do pacote emoji 2.16.0, arquivo
emoji/unicode_codes/emoji_pt.json (https://github.com/carpedm20/emoji/). Abaixo, a licença do pacote e, depois dela, a
dos dados do CLDR. Aqui se tirou a pontuação, e ficaram, uma vez cada uma, as frases de 2 a 12 palavras em que toda
palavra aparece ao menos duas vezes.
""",
)
