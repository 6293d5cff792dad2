"""O que são as linhas, as colunas e as classes de load("topics").

    data = load("topics")
    titles()[0]                             o título da primeira página
    vocabulary()[data.x[0].argmax()]        a palavra mais frequente nela
    sections()[data.y[0]]                   em que parte da ajuda ela está

De uma página só se sabe quantas vezes cada palavra está nela, não a ordem delas.
"""

import functools

from vae_lessons.data.packaged import read_arrays, read_rows


@functools.cache
def vocabulary() -> tuple[str, ...]:
    """As 2.000 palavras, em ordem alfabética, que é a das colunas."""
    return tuple(read_arrays("topics")["vocabulary"].tolist())


@functools.cache
def sections() -> tuple[str, ...]:
    """O nome de cada uma das nove classes, de y = 0 em diante: "comum a todos", "Writer (textos)"..."""
    return tuple(read_arrays("topics")["sections"].tolist())


@functools.cache
def titles(split: str = "train") -> tuple[str, ...]:
    """O título de cada página de load("topics", split), na ordem delas; às vezes duas têm o mesmo.

    Levanta ValueError se a partição não existir.
    """
    return tuple(read_rows("topics", "titles", split).tolist())
