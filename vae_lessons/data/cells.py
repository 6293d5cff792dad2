"""O que são as colunas, as classes e o fator de load("pbmc").

    data = load("pbmc")
    data.x[0, genes().index("CD79A")]       quantas moléculas de RNA do gene CD79A se contaram na primeira célula
    cell_types()[data.y[0]]                 o tipo dela
    data.factors[0, 0]                      quantas moléculas se contaram nela, também dos genes que ficaram de fora

As células são de sangue, glóbulos brancos de uma pessoa só; os tipos são linfócitos T (CD4+ e CD8+) e B, monócitos,
células NK, dendríticas e, as CD34+, as que ainda podem virar qualquer outra.
"""

import functools

from vae_lessons.data.packaged import read_arrays


@functools.cache
def genes() -> tuple[str, ...]:
    """O nome de cada uma das 765 colunas, na ordem delas."""
    return tuple(read_arrays("pbmc")["genes"].tolist())


@functools.cache
def cell_types() -> tuple[str, ...]:
    """O nome de cada uma das dez classes, de y = 0 em diante, como os autores dos dados os deram."""
    return tuple(read_arrays("pbmc")["cell_types"].tolist())
