"""O que um objetivo devolve, conferido e somado: uma NamedTuple de tensores [B], um deles `loss`."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

Objective = Callable[..., NamedTuple]
"""(model, x, *, beta, e, se os pedir pelo nome, y e as agendas) → termos [B]; minimiza-se a média de `loss`."""

_RESERVED = ("beta", "seconds", "interrupted", "diverged", "best_epoch")


def asks_for_labels(objective: Objective) -> bool:
    """Se um dos parâmetros do objetivo se chama y: ele receberá os rótulos das mesmas linhas."""
    return "y" in _parameters(objective)


def labels_are_optional(objective: Objective) -> bool:
    return _parameters(objective)["y"].default is not inspect.Parameter.empty


def require_objective(objective: Objective, model, schedules: Iterable[str]) -> None:
    """Levanta TypeError se `model` não for um módulo, ou se o objetivo não puder ser chamado como `fit` o chama."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model deve ser um VAE (um torch.nn.Module), mas veio {type(model).__name__}.")
    if not callable(objective):
        raise TypeError(f"objective deve ser uma função, como objectives.elbo, mas veio {objective!r}.")
    names = dict.fromkeys(["beta", *schedules, *(["y"] if asks_for_labels(objective) else [])])
    names.pop("lr", None)
    try:
        signature = inspect.signature(objective)
    except ValueError:  # sem assinatura legível: o erro, se houver, virá da chamada
        return
    try:
        signature.bind(model, None, **names)
    except TypeError as error:
        raise TypeError(
            f"O objetivo é chamado como objective(model, x, {', '.join(f'{name}=...' for name in names)}), e o que "
            f"veio tem os parâmetros {signature}. Acrescente os que faltam, ou tire a agenda que ele não usa."
        ) from error


def require_terms(terms: NamedTuple, n_examples: int) -> None:
    """Levanta TypeError ou ValueError se `terms` não for uma NamedTuple de tensores [B] com `loss`."""
    if not (isinstance(terms, tuple) and hasattr(terms, "_fields")):
        raise TypeError(
            "O objetivo deve devolver uma NamedTuple de tensores [B], um valor para cada exemplo, com um campo `loss` "
            f"(como ElboTerms), mas devolveu {_describe(terms)}."
        )
    if "loss" not in terms._fields:
        raise ValueError(
            f"Falta o campo `loss`, o que se minimiza, em {type(terms).__name__}({', '.join(terms._fields)}), que o "
            "objetivo devolve."
        )
    for name, term in zip(terms._fields, terms, strict=True):
        if name in _RESERVED or name.startswith("val_"):
            raise ValueError(f"O campo {name!r} do objetivo tem um nome que o History já usa. Escolha outro.")
        if not isinstance(term, Tensor) or not term.is_floating_point() or term.shape != (n_examples,):
            raise ValueError(
                f"O termo {name!r} deve ser um tensor [B] em ponto flutuante, um valor para cada exemplo: era esperada "
                f"a forma ({n_examples},), e veio {_describe(term)}. Some sobre as colunas com .sum(-1), e não tire a "
                "média sobre os exemplos: quem a tira é fit."
            )


def sums_of(terms: NamedTuple) -> Tensor:
    """As somas no lote, uma por campo: [F]."""
    return torch.stack([term.detach().sum() for term in terms])


def means_of(sums: Tensor, names: Sequence[str], n_examples: int) -> dict[str, float]:
    """Somas por lote [lotes, F] → médias por observação: a leitura do dispositivo, uma vez por época."""
    means = (sums.cpu().double().sum(0) / n_examples).tolist()
    return dict(zip(names, means, strict=True))


def _parameters(objective: Objective) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(objective).parameters)
    except (TypeError, ValueError):
        return {}


def _describe(value) -> str:
    if isinstance(value, Tensor):
        return f"um tensor de forma {tuple(value.shape)} e tipo {value.dtype}"
    return f"{type(value).__name__}"
