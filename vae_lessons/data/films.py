"""O que são as colunas de load("films").

    data = load("films")
    titles()[data.x[0].argmax()]            o primeiro filme, na ordem das colunas, de que a primeira pessoa gosta

Um 0 não quer dizer que a pessoa não gosta do filme: pode não o ter visto.
"""

import functools

from vae_lessons.data.packaged import read_arrays


@functools.cache
def titles() -> tuple[str, ...]:
    """O título e o ano de cada uma das 2.080 colunas, na ordem delas: "The Usual Suspects (1995)"."""
    return tuple(read_arrays("films")["titles"].tolist())


@functools.cache
def genres() -> tuple[frozenset[str], ...]:
    """Os gêneros de cada coluna, como o MovieLens os diz, em inglês: {"Crime", "Mystery", "Thriller"}."""
    return tuple(frozenset(together.split("|")) for together in read_arrays("films")["genres"].tolist())
