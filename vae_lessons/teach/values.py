"""Uma resposta enviada por valor: números, textos e tensores em JSON, do processo do aluno ao de quem corrige.

Do outro lado nada é executado ao ler, como seria com pickle: o que não é número, texto ou tupla deles chega só com o
nome do tipo, o bastante para que a correção diga o que veio.
"""

import base64
import inspect
import math
from collections.abc import Iterator
from numbers import Complex, Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vae_lessons.exercises.answers import Observed

# O que cabe numa resposta; a maior das certas tem 20 kB e duas dezenas de elementos.
_MOST_ITEMS = 20_000  # em todas as listas
_MOST_BYTES = 2**20  # nos tensores e nos textos
_MOST_LETTERS = 10_000
_MOST_DIMENSIONS = 64
_DEEPEST = 20
_KINDS = {
    str(kind).removeprefix("torch."): kind
    for kind in (
        *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128),
    )
}


class TooLarge(ValueError):
    """A resposta é grande demais para ser enviada."""


class Unreadable(ValueError):
    """O que chegou não é uma resposta enviada por `encode`."""


def encode(value) -> Any:
    """`value` em listas, textos e números que o JSON comporta. Levanta TooLarge.

    Um objeto qualquer vira o nome do seu tipo; de um Observed fica o valor.
    """
    return _Encoder().encode(value, 0)


def decode(data) -> Any:
    """O valor que `encode` recebeu, ou um substituto com o mesmo nome de tipo. Levanta Unreadable."""
    try:
        return _Decoder().decode(data, 0)
    except Unreadable:
        raise
    except Exception as error:  # veio do processo do aluno: pode ser qualquer coisa
        raise Unreadable(f"resposta ilegível: {type(error).__name__}") from error


class _Size:
    """O tamanho de uma resposta, à medida que se percorre."""

    def __init__(self):
        self.items = self.bytes = 0

    def enter(self, depth: int) -> None:
        """Mais um elemento, a `depth` listas de profundidade. Levanta TooLarge."""
        self.items += 1
        if self.items > _MOST_ITEMS or depth > _DEEPEST:
            raise TooLarge("a resposta tem elementos demais para ser corrigida.")

    def weigh(self, size: int) -> None:
        """Mais `size` bytes. Levanta TooLarge."""
        self.bytes += size
        if self.bytes > _MOST_BYTES:
            raise TooLarge("a resposta é grande demais: um tensor com milhares de números onde se pedem poucos.")


class _Encoder:
    def __init__(self):
        self.size = _Size()

    def encode(self, value, depth: int):
        self.size.enter(depth)
        if isinstance(value, Observed):
            return self.encode(value.value, depth)
        if value is None or value is ...:
            return ["none" if value is None else "blank"]
        if isinstance(value, bool | np.bool_):
            return ["bool", bool(value)]
        if isinstance(value, str):
            self.size.weigh(len(value[:_MOST_LETTERS]))
            return ["text", value[:_MOST_LETTERS].encode("utf-8", "replace").decode()]
        if isinstance(value, Tensor):
            return self._tensor(value)
        if isinstance(value, Complex) and not hasattr(value, "__array__"):
            return _number(value)
        if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
            return ["list" if isinstance(value, list) else "tuple", [self.encode(v, depth + 1) for v in value]]
        if isinstance(value, tuple):
            return ["tuple", [self.encode(v, depth + 1) for v in value]]
        if isinstance(value, set | frozenset):
            return ["set", [self.encode(v, depth + 1) for v in sorted(value, key=str)]]
        if hasattr(value, "__array__") and not inspect.isclass(value):
            return self._array(np.asarray(value))
        if isinstance(value, Iterator):
            return ["other", type(value).__name__[:100]]
        if isinstance(value, dict):
            return ["dict"]
        if inspect.isclass(value) or inspect.isroutine(value):
            return ["class" if inspect.isclass(value) else "function", str(value.__name__)[:100]]
        return ["other", type(value).__name__[:100]]

    def _tensor(self, value: Tensor):
        value = value.detach()
        value = (value.to_dense() if value.layout != torch.strided else value).cpu()
        kind = str(value.dtype).removeprefix("torch.")
        if kind not in _KINDS:
            return ["other", f"Tensor de {kind}"]
        self.size.weigh(value.numel() * value.element_size())
        raw = value.contiguous().resolve_conj().resolve_neg().reshape(-1).view(torch.uint8).numpy().tobytes()
        return ["tensor", kind, list(value.shape), base64.b64encode(raw).decode()]

    def _array(self, value: np.ndarray):
        if value.dtype.kind not in "biufc":
            return ["strings"]
        self.size.weigh(value.nbytes)
        if value.dtype.name not in _KINDS:  # uint32, longdouble e outros que não passam inteiros
            value = value.astype(np.float64)
        return ["array", *self._tensor(torch.from_numpy(np.array(value)))[1:]]


def _number(value: Complex):
    if not isinstance(value, Real):
        return ["complex"]
    if isinstance(value, Integral):
        value = int(value)
        return ["int", value] if value.bit_length() <= 1024 else ["huge"]
    try:
        return ["float", float(value).hex()]
    except OverflowError:
        return ["huge"]


class _Decoder:
    def __init__(self):
        self.size = _Size()

    def decode(self, data, depth: int):
        self.size.enter(depth)
        match data:
            case ["none"]:
                return None
            case ["blank"]:
                return ...
            case ["bool", bool(value)]:
                return value
            case ["text", str(value)]:
                self.size.weigh(len(value))
                return value
            case ["int", int(value)] if not isinstance(value, bool):
                return value
            case ["float", str(value)]:
                return float.fromhex(value)
            case ["complex"]:
                return 1j
            case ["huge"]:
                return 10**400
            case ["list" | "tuple" | "set" as kind, list(items)]:
                values = [self.decode(item, depth + 1) for item in items]
                return {"list": list, "tuple": tuple, "set": frozenset}[kind](values)
            case ["tensor" | "array" as kind, str(dtype), list(shape), str(raw)]:
                self.size.weigh(3 * len(raw) // 4 - 2)  # o que base64 diz, menos o que a completa
                tensor = _tensor(dtype, shape, base64.b64decode(raw, validate=True))
                return tensor if kind == "tensor" else tensor.numpy()
            case ["strings"]:
                return np.array(["texto"])
            case ["dict"]:
                return {}
            case ["class" | "other" as kind, str(name)]:
                made = type(_clean(name), (), {})
                return made if kind == "class" else made()
            case ["function", str(name)]:
                return _named_function(_clean(name))
        raise Unreadable("resposta ilegível")


def _tensor(dtype: str, shape: list, raw: bytes) -> Tensor:
    kind = _KINDS[dtype]
    if len(shape) > _MOST_DIMENSIONS or not all(type(size) is int and 0 <= size < 2**62 for size in shape):
        raise Unreadable("resposta ilegível: uma forma impossível")
    if math.prod(shape) * kind.itemsize != len(raw):
        raise Unreadable("resposta ilegível: a forma não é a dos números que vieram")
    if not raw:
        return torch.zeros(shape, dtype=kind)
    if kind == torch.bool:
        return torch.frombuffer(bytearray(raw), dtype=torch.uint8).ne(0).reshape(shape)
    return torch.frombuffer(bytearray(raw), dtype=kind).reshape(shape)


def _named_function(name: str):
    def function(*arguments):
        raise TypeError("esta função ficou no processo do aluno")

    function.__name__ = name
    return function


def _clean(name: str) -> str:
    return name.replace("\0", "")[:100]
