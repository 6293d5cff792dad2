"""As frases de load("phrases"), de palavras a números e de volta.

Uma linha são 14 símbolos: INÍCIO, de 2 a 12 palavras, FIM e, no que sobrar, VAZIO.

    frase           mulher  nadando  pele  clara
    linha      1    7       97       3     6      2    0 0 0 0 0 0 0 0
"""

import functools
import re
from collections.abc import Iterable

import torch
from torch import Tensor

from vae_lessons.data.packaged import read_arrays

PAD, START, END, UNKNOWN = range(4)
SPECIAL = ("<vazio>", "<início>", "<fim>", "<?>")  # os nomes deles no vocabulário
SHORTEST, LONGEST = 2, 12  # palavras por frase
LENGTH = LONGEST + 2  # símbolos por linha


@functools.cache
def vocabulary() -> tuple[str, ...]:
    """O que cada símbolo quer dizer, do 0 em diante: os quatro especiais e as palavras, da mais à menos frequente."""
    return tuple(read_arrays("phrases")["vocabulary"].tolist())


def split_words(phrase: str) -> tuple[str, ...]:
    """As palavras, em minúsculas e sem pontuação; as de hífen, como guarda-chuva, são uma só."""
    return tuple(re.findall(r"\w+(?:[-’]\w+)*", phrase.lower()))


def tokens(phrases: str | Iterable[str]) -> Tensor:
    """Uma frase → int64 [14]; várias → [N, 14], como em load("phrases").x. Uma palavra desconhecida vira UNKNOWN.

    Levanta TypeError se não forem textos, e ValueError se uma frase não tiver de 1 a 12 palavras.
    """
    if isinstance(phrases, str):
        return torch.tensor(_row(phrases))
    phrases = list(phrases) if isinstance(phrases, Iterable) else [phrases]
    if not all(isinstance(phrase, str) for phrase in phrases):
        raise TypeError("tokens espera uma frase, como 'mulher nadando', ou uma lista de frases. De símbolos, text.")
    return torch.tensor([_row(phrase) for phrase in phrases], dtype=torch.int64).reshape(-1, LENGTH)


def text(rows: Tensor) -> str | list[str]:
    """Uma linha de símbolos [T] → a frase; várias [N, T] → uma lista. Vai até o primeiro FIM; INÍCIO e VAZIO não se
    escrevem, e UNKNOWN aparece como <?>. T é qualquer: serve também ao que um decodificador gera.

    Levanta TypeError se `rows` não for um tensor de inteiros, e ValueError se a forma for outra ou se houver um símbolo
    que não está no vocabulário.
    """
    if not isinstance(rows, Tensor) or rows.dtype not in (torch.int64, torch.int32):
        found = rows.dtype if isinstance(rows, Tensor) else type(rows).__name__
        raise TypeError(f"text espera um tensor de símbolos int64, [T] ou [N, T], mas veio {found}.")
    if rows.ndim not in (1, 2):
        raise ValueError(f"text espera símbolos [T] ou [N, T], mas veio {tuple(rows.shape)}.")
    if rows.numel() and not (rows.min() >= 0 and rows.max() < len(vocabulary())):
        raise ValueError(
            f"Os símbolos vão de 0 a {len(vocabulary()) - 1}, o tamanho do vocabulário menos um, mas vieram de "
            f"{rows.min()} a {rows.max()}."
        )
    written = [_phrase(row) for row in rows.reshape(-1, rows.shape[-1]).tolist()]
    return written[0] if rows.ndim == 1 else written


@functools.cache
def _numbers() -> dict[str, int]:
    return {word: number for number, word in enumerate(vocabulary())}


def _row(phrase: str) -> list[int]:
    words = split_words(phrase)
    if not 1 <= len(words) <= LONGEST:
        raise ValueError(f"Uma frase tem de 1 a {LONGEST} palavras, mas {phrase!r} tem {len(words)}.")
    inside = [_numbers().get(word, UNKNOWN) for word in words]
    return [START, *inside, END] + [PAD] * (LONGEST - len(words))


def _phrase(row: list[int]) -> str:
    until = row.index(END) if END in row else len(row)
    return " ".join(vocabulary()[symbol] for symbol in row[:until] if symbol not in (PAD, START))
