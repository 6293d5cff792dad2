"""O que o aluno entregou, lido como aquilo que se pediu: um número, um tensor, um texto, letras ou uma tupla deles.

Aceita-se o que é matematicamente o mesmo: uma lista de números onde se pede um tensor, um tensor empilhado ou um
gerador onde se pede uma tupla, NumPy ou pandas no lugar de torch, um tensor [1] onde se pede um número.
"""

import inspect
import re
from collections.abc import Iterator
from itertools import islice
from numbers import Complex, Number, Real
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

_MOST_ITEMS = 10_000  # o que se lê de um gerador, que pode não ter fim


class NotAnswered(Exception):
    """A resposta ainda está em branco."""


class Unusable(Exception):
    """A resposta não é do tipo que se pode corrigir; a mensagem diz o que se esperava."""


class Observed(NamedTuple):
    """Algo medido numa resposta. where: onde ou em que caso, para a explicação ("com beta = 0.9"), ou vazio."""

    value: Any
    where: str = ""


class Compared(NamedTuple):
    """Uma parte da resposta ao lado da que se esperava, as duas da mesma espécie e, se tensores, da mesma forma."""

    got: Tensor | str | frozenset
    wanted: Tensor | str | frozenset
    where: str


def usable(output):
    """O que uma função devolveu, pronto para comparar.

    Levanta NotAnswered se ainda há um `...` ali, e Unusable se nada veio ou o que veio não acaba.
    """
    if output is ... or (isinstance(output, tuple | list) and any(part is ... for part in output)):
        raise NotAnswered
    if output is None:
        raise Unusable("sua função devolveu None. Faltou o return? O print mostra, mas não devolve.")
    if inspect.iscoroutine(output):
        output.close()
        raise Unusable("sua função foi escrita com async def. Use def.")
    if isinstance(output, Iterator):
        items = list(islice(output, _MOST_ITEMS + 1))
        if len(items) > _MOST_ITEMS:
            raise Unusable("veio um gerador que não acaba. Devolva com return um número, um tensor ou uma tupla deles.")
        return usable(items)
    return output


def aligned(got, wanted, where: str = "") -> list[Compared]:
    """As partes de `got` ao lado das de `wanted`, que é de confiança.

    Levanta Unusable se `got` não puder ser lido como algo da espécie e da forma de `wanted`, e NotAnswered se
    ainda houver um `...` dentro dele.
    """
    if got is ...:
        raise NotAnswered
    if isinstance(wanted, Observed):
        return aligned(got.value if isinstance(got, Observed) else got, wanted.value, wanted.where)
    if isinstance(wanted, tuple | list):
        parts = _parts(got, len(wanted))
        return [pair for g, w in zip(parts, wanted, strict=True) for pair in aligned(g, w, where)]
    if isinstance(wanted, str | frozenset):
        if not isinstance(got, type(wanted)):
            raise Unusable(f"esperava um texto, mas veio {describe(got)}.")
        return [Compared(got, wanted, where)]
    wanted = torch.as_tensor(wanted)
    return [Compared(_shaped(_numbers(got, wanted), wanted, got), wanted, where)]


def describe(value) -> str:
    """Uma frase curta que diz o que `value` é, sem nunca falhar."""
    if isinstance(value, Tensor):
        return f"um tensor de forma {shape(value)}"
    if isinstance(value, str):
        return f"o texto {value!r}" if len(value) <= 40 else f"um texto de {len(value)} letras, {value[:30]!r}…"
    if isinstance(value, bool):
        return f"{value}"
    if isinstance(value, int):
        return f"o número {value}" if abs(value) < 10**30 else "um inteiro de dezenas de algarismos"
    if isinstance(value, Number):
        return f"o número {value}"
    if isinstance(value, list | tuple):
        return f"uma {'lista' if isinstance(value, list) else 'tupla'} de {len(value)} elemento(s)"
    if isinstance(value, dict):
        return "um dicionário (dict)"
    if inspect.isclass(value):
        return f"a classe {value.__name__}"
    if inspect.isroutine(value):
        return f"a função {value.__name__} (faltou chamá-la?)"
    return f"um objeto do tipo {type(value).__name__}"


def shape(value: Tensor) -> str:
    return str(list(value.shape)) if value.ndim else "[] (um número só)"


def _parts(got, count: int) -> list:
    """As `count` partes de uma tupla, que também pode vir como lista ou empilhada num tensor."""
    if isinstance(got, list | tuple):
        parts = list(got)
    elif not isinstance(got, str) and (isinstance(got, Tensor) or hasattr(got, "__array__")):
        stacked = _numbers(got, torch.zeros(count))
        parts = list(stacked) if stacked.ndim and len(stacked) == count else []
    else:
        raise Unusable(f"esperava uma tupla de {count} resultados, mas veio {describe(got)}.")
    if len(parts) != count:
        raise Unusable(f"esperava uma tupla de {count} resultados, mas veio {describe(got)}.{_comma_hint(got, count)}")
    return parts


def _numbers(got, wanted: Tensor) -> Tensor:
    """`got` como tensor de números reais, na CPU e sem gradiente."""
    if isinstance(got, str):
        if wanted.dtype == torch.bool:
            raise Unusable(f"esperava True ou False, mas veio {describe(got)}. Tire as aspas.")
        if re.fullmatch(r"\s*[-−+]?\d*,\d+\s*", got):
            raise Unusable(
                f"esperava {_asked(wanted)}, mas veio {describe(got)}. Tire as aspas e troque a vírgula por ponto."
            )
        raise Unusable(f"esperava {_asked(wanted)}, mas veio {describe(got)}. Se é um número, tire as aspas.")
    if isinstance(got, Tensor):
        tensor = got.detach()
        tensor = (tensor.to_dense() if tensor.layout != torch.strided else tensor).cpu()
    elif isinstance(got, Number):
        tensor = _number(got)
    elif isinstance(got, list | tuple):
        return _stacked(got, wanted)
    elif hasattr(got, "__array__") and not inspect.isclass(got):
        array = np.array(got)
        if array.dtype.kind not in "biufc":
            raise Unusable(f"esperava {_asked(wanted)}, mas veio um arranjo que não é de números.")
        tensor = torch.from_numpy(array)
    else:
        raise Unusable(f"esperava {_asked(wanted)}, mas veio {describe(got)}.")
    if tensor.is_complex():
        raise Unusable(
            "esperava números reais, e o seu resultado é complexo. Há uma raiz ou uma potência de número negativo?"
        )
    return tensor


def _number(got: Number) -> Tensor:
    if isinstance(got, Complex) and not isinstance(got, Real):
        return torch.tensor(complex(got))
    if isinstance(got, bool | np.bool_):
        return torch.tensor(bool(got))
    try:
        return torch.tensor(float(got), dtype=torch.float64)
    except OverflowError as error:
        raise Unusable("o seu número é grande demais para ponto flutuante. Uma exponencial transbordou?") from error


def _stacked(items: list | tuple, wanted: Tensor) -> Tensor:
    """Uma lista de números, ou de listas deles, como tensor."""
    if wanted.ndim == 0 and len(items) == 2 and all(type(item) is int for item in items):
        raise Unusable(
            f"esperava um número só, mas vieram dois, {items[0]} e {items[1]}: para o Python, a vírgula separa dois "
            f"números. Se você quis dizer {items[0]} vírgula {items[1]}, escreva com ponto, {items[0]}.{items[1]}."
        )
    if len(items) > max(wanted.numel(), _MOST_ITEMS):
        raise Unusable(f"esperava {_asked(wanted)}, mas veio {describe(items)}.")
    rows = [_numbers(item, wanted[0] if wanted.ndim and len(wanted) else wanted) for item in items]
    if not rows or len({row.shape for row in rows}) > 1:
        raise Unusable(f"esperava {_asked(wanted)}, mas veio {describe(items)}.{_comma_hint(items)}")
    kind = rows[0].dtype
    for row in rows:
        kind = torch.promote_types(kind, row.dtype)
    return torch.stack([row.to(kind) for row in rows])


def _shaped(tensor: Tensor, wanted: Tensor, got) -> Tensor:
    if wanted.ndim == 0 and tensor.numel() == 1:
        return tensor.reshape(())
    if tensor.shape != wanted.shape:
        came = shape(tensor) if isinstance(got, Tensor) else f"{shape(tensor)}, {describe(got)}"
        raise Unusable(f"a forma está errada: esperava {shape(wanted)}, mas veio {came}.{_comma_hint(got)}")
    return tensor


def _comma_hint(got, count: int = 1) -> str:
    """ "return 0,5 * x" devolve a tupla (0, 5 * x): tuplas maiores que o pedido, com um inteiro solto no começo."""
    if isinstance(got, tuple) and len(got) > count and any(type(item) is int for item in got[:-1]):
        return " Há um número com vírgula, como 0,5? Em Python ele se escreve com ponto, 0.5: a vírgula faz uma tupla."
    return ""


def _asked(wanted: Tensor) -> str:
    if wanted.dtype == torch.bool:
        return "True ou False"
    return f"um tensor {shape(wanted)}" if wanted.ndim else "um número"
