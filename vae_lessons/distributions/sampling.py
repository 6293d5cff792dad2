"""O que vale para qualquer distribuição: somar o seu log_prob, copiá-la e sortear dela."""

import contextlib
import inspect
from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import Tensor
from torch import distributions as td

from vae_lessons.randomness import seeded

Distribution = TypeVar("Distribution")


def joint_log_prob(log_prob: Tensor, batch_shape: torch.Size, who: str) -> Tensor:
    """Soma um log_prob sobre as dimensões do que foi sorteado: [*batch_shape, ...] → [*batch_shape].

    Serve a quem dá um valor por dimensão e a quem já deu um só. Levanta ValueError se a forma não começar pela do lote.
    """
    if not isinstance(log_prob, Tensor) or log_prob.shape[: len(batch_shape)] != batch_shape:
        came = f"a forma {tuple(log_prob.shape)}" if isinstance(log_prob, Tensor) else type(log_prob).__name__
        raise ValueError(
            f"{who}: log_prob deve dar um valor para cada exemplo, de forma {tuple(batch_shape)}, ou um por dimensão, "
            f"com essas dimensões à frente, mas veio {came}."
        )
    return log_prob.sum(tuple(range(len(batch_shape), log_prob.ndim))) if log_prob.ndim > len(batch_shape) else log_prob


def is_family(q) -> bool:
    """Se q é uma NamedTuple de parâmetros, tensores todos da mesma forma, como as deste pacote."""
    is_named = isinstance(q, tuple) and hasattr(q, "_fields")
    return is_named and all(isinstance(p, Tensor) for p in q) and len({p.shape for p in q}) == 1


def copies(q: Distribution, n: int) -> Distribution:
    """n cópias de uma família numa dimensão nova à frente das outras: parâmetros [B, Z] → [n, B, Z], sem copiar
    memória."""
    return type(q)._make(parameter.expand(n, *parameter.shape) for parameter in q)


def draw(distribution, generator: torch.Generator | None = None) -> Tensor:
    """Uma amostra, sem gradiente, de qualquer distribuição que tenha `sample` ou `rsample`.

    generator: de onde vem o sorteio, se não do gerador global, que fica como estava. As de torch.distributions, que não
    o aceitam, são sorteadas com uma semente tirada dele.
    """
    return _drawn(distribution, (), generator)


def draws(distribution, n: int, generator: torch.Generator | None = None) -> Tensor:
    """n amostras [n, ...], como em `draw`: por `sample((n,))`, como em torch.distributions, se `sample` aceitar uma
    forma; senão, uma a uma, ou de uma vez se for uma NamedTuple de parâmetros."""
    if is_family(distribution):
        return draw(copies(distribution, n), generator)
    if _parameters_of(distribution) <= {"generator", "noise"}:
        return torch.stack([draw(distribution, generator) for _ in range(n)])
    return _drawn(distribution, ((n,),), generator)


def _drawn(distribution, arguments: tuple, generator: torch.Generator | None) -> Tensor:
    sample = _sample_of(distribution)
    with torch.no_grad():
        if generator is not None and "generator" in _parameters_of(distribution):
            return sample(*arguments, generator=generator)
        with _seeded_by(generator):
            return sample(*arguments)


def _sample_of(distribution):
    return distribution.sample if hasattr(distribution, "sample") else distribution.rsample


def _parameters_of(distribution) -> set[str]:
    """Os nomes dos argumentos de `sample`."""
    return set(inspect.signature(_sample_of(distribution)).parameters)


@contextlib.contextmanager
def _seeded_by(generator: torch.Generator | None) -> Iterator[None]:
    """Com um gerador, o que se sortear dentro do bloco depende só dele."""
    if generator is None:
        yield
        return
    seed = torch.randint(2**31, (), generator=generator, device=generator.device).item()
    with seeded(seed, generator.device):
        yield


@contextlib.contextmanager
def unvalidated() -> Iterator[None]:
    """Dentro do bloco, as distribuições do torch não conferem os parâmetros: como as daqui, não fazem a GPU esperar e
    servem sob torch.func.vmap."""
    before = td.Distribution._validate_args
    td.Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        td.Distribution.set_default_validate_args(before)
