"""As funções que uma lição entrega a um explorador: como se chamam, e o que se confere antes de confiar nelas."""

import contextlib
import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from vae_lessons.models import evaluating
from vae_lessons.style import number


def quiet(name: str, function: Callable) -> Callable:
    """`function`, chamada sem gradiente e com os módulos que se veem nela em modo de avaliação: se ela for um, se for
    método de um ou se for um functools.partial que leva algum.

    Levanta TypeError se não se puder chamar; `name` é como ela se chama no explorador.
    """
    if not callable(function):
        raise TypeError(f"{name} deve ser uma função ou um módulo do PyTorch, mas veio {type(function).__name__}.")

    def call(*args, **kwargs):
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            for module in _modules(function):
                stack.enter_context(evaluating(module))
            return function(*args, **kwargs)

    return call


def checked_rows(name: str, rows: Tensor) -> Tensor:
    """Uma tabela de vetores, um por linha, na CPU e sem gradiente. Levanta TypeError ou ValueError se não for isso."""
    if not isinstance(rows, Tensor):
        raise TypeError(f"{name} deve ser um tensor [K, C], um vetor por linha, mas veio {type(rows).__name__}.")
    if rows.ndim != 2 or len(rows) < 2 or not rows.is_floating_point():
        raise ValueError(
            f"{name} deve ter forma [K, C], com K ≥ 2 linhas de ponto flutuante, mas veio {rows.dtype} "
            f"{tuple(rows.shape)}."
        )
    if not rows.isfinite().all():
        raise ValueError(f"Há NaN ou infinito em {name}. Treine o modelo de novo antes de explorá-lo.")
    return rows.detach().cpu()


def require_unit_pixels(what: str, pictures: Tensor) -> None:
    """Levanta ValueError se houver um pixel fora de [0, 1]. what: o que se chamou, como "decode(índices)"."""
    least, most = (float(value) for value in pictures.aminmax())
    if not (least >= -1e-4 and most <= 1 + 1e-4):  # NaN também
        raise ValueError(
            f"{what} deve devolver pixels de 0 a 1, mas eles vão de {number(least, 2)} a {number(most, 2)}. "
            "Se são logits, passe-os por torch.sigmoid."
        )


def _modules(function: Callable) -> list[nn.Module]:
    candidates = [function, getattr(function, "__self__", None)]
    if isinstance(function, functools.partial):
        candidates += [*function.args, *function.keywords.values(), *_modules(function.func)]
    return [candidate for candidate in candidates if isinstance(candidate, nn.Module)]


def require_steady(name: str, answer: Callable[[int], Tensor]) -> None:
    """Levanta ValueError se a resposta a um exemplo depender do acaso ou dos outros exemplos do lote.

    answer: quantos exemplos vão, os primeiros → a resposta, [B, ...].
    """
    both, again = answer(2), answer(2)
    try:
        alone = answer(1)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{name} aceita dois exemplos e recusa um só. {_IN_TRAINING}") from error
    if not (_alike(both, again) and _alike(both[:1], alone)):
        raise ValueError(f"{name} deu duas respostas diferentes ao mesmo exemplo. {_IN_TRAINING}")


_IN_TRAINING = (
    "Um modelo em modo de treino faz isso, por causa do dropout ou da normalização por lote: ponha-o em modo de "
    "avaliação, model.eval(). E a função não deve sortear: que devolva distribuições, e não amostras."
)


def _alike(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a.double(), b.double(), rtol=1e-3, atol=1e-4, equal_nan=True)
