"""Medir uma resposta: o que ela devolve em certos casos, que letras escolhe, com que distribuição sorteia."""

import copy
import inspect
import re
from collections.abc import Callable
from numbers import Number
from typing import Any

import torch
from torch import Tensor

from vae_lessons.exercises.answers import Observed, Unusable, describe, usable

_PROBABILITIES = torch.arange(0.05, 1, 0.1, dtype=torch.float64)


def on_cases(*cases: tuple) -> Callable[[Callable], tuple[Observed, ...]]:
    """Medida de uma função: o que ela devolve em cada caso, que é uma tupla de argumentos.

    Cada chamada recebe cópias: uma resposta que altera os seus argumentos não altera os dos outros casos.
    """

    def measure(answer: Callable) -> tuple[Observed, ...]:
        _require_function(answer)
        return tuple(Observed(_call(answer, copy.deepcopy(case)), _case_text(answer, case)) for case in cases)

    return measure


def behaviour(measure: Callable[[Callable], Any]) -> Callable[[Callable], Any]:
    """Medida de uma função feita por outra, para o que não se compara saída a saída (sorteios, gradientes)."""

    def checked(answer: Callable) -> Any:
        _require_function(answer)
        return measure(lambda *arguments: _call(answer, arguments))

    return checked


def required_tensor(output) -> Tensor:
    """`output`, se for um tensor; Unusable se não: fora do torch não há gradiente."""
    if not isinstance(output, Tensor):
        raise Unusable(f"esperava um tensor do torch, por onde o gradiente passe, mas veio {describe(output)}.")
    return output


def letters(options: str) -> Callable[[Any], frozenset[str]]:
    """Medida de uma escolha entre opções: o conjunto de letras, em qualquer ordem, grafia ou recipiente.

    options: todas as letras que há, "abcdef". "acd", "D, c, a", "a) c) d)", ["a", "c", "d"] e {"a", "c", "d"} são o
    mesmo; "a, c e d" também: com vírgulas, um "e" sozinho é a conjunção.
    """

    def measure(answer) -> frozenset[str]:
        if hasattr(answer, "tolist") and not isinstance(answer, str):
            answer = answer.tolist()
        given = answer
        if isinstance(answer, list | tuple | set | frozenset) and all(isinstance(item, str) for item in answer):
            answer = "".join(answer)
        if not isinstance(answer, str):
            raise Unusable(f"esperava letras entre aspas, de {options[0]} a {options[-1]}, mas veio {describe(given)}.")
        text = answer.strip().lower()
        text = re.sub(r"\b(letras?|alternativas?|opção|opções)\b", "", text)
        if re.search("[,;]", text):
            text = re.sub(r"(?<=[a-z])\s+e\s+(?=[a-z])", ",", text)
        chosen = frozenset(re.sub(r"[^\w]|_", "", text))
        if not chosen or not chosen <= set(options):
            raise Unusable(f"esperava só letras, de {options[0]} a {options[-1]}, mas veio {describe(given)}.")
        return chosen

    return measure


def noise_statistics(noise: Tensor) -> tuple[Observed, ...]:
    """O que distingue ε ~ N(0, I), independente, de qualquer outro ruído; noise: [N, Z].

    Dez quantis por dimensão (a distribuição inteira, e não só dois momentos), e, entre dimensões e entre exemplos
    vizinhos, a covariância dos ruídos e a dos seus quadrados.
    """
    noise = noise.detach().double()
    energy = noise.square() - 1
    neighbours = (noise[1:] * noise[:-1]).mean(0), (energy[1:] * energy[:-1]).mean(0) / 2
    between = torch.stack([(part[:, 1:] * part[:, :-1]).mean() for part in (noise, energy / 2**0.5)])
    return (
        Observed(torch.quantile(noise, _PROBABILITIES, dim=0), "nos quantis do ruído (z − mean)/σ"),
        Observed(between, "na dependência entre as dimensões do ruído"),
        Observed(torch.stack(neighbours), "na dependência entre os ruídos de exemplos diferentes"),
    )


def _require_function(answer) -> None:
    if not callable(answer):
        raise Unusable(
            f"esperava uma função, mas veio {describe(answer)}. Passe o nome dela, sem parênteses e sem chamá-la."
        )


def _call(answer: Callable, arguments: tuple):
    """O que `answer` devolve. Levanta Unusable se ela não recebe esses argumentos."""
    signature = _signature(answer)
    if signature is not None:
        try:
            signature.bind(*arguments)
        except TypeError as error:
            raise Unusable(
                f"sua função recebe {signature}, e aqui é chamada com {len(arguments)} argumento(s). Mantenha os "
                "argumentos da célula original, na mesma ordem."
            ) from error
    return usable(answer(*arguments))


def _signature(function: Callable) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (ValueError, TypeError):  # funções escritas em C não têm assinatura que se leia
        return None


def _case_text(answer: Callable, case: tuple) -> str:
    """ "com step = 3, warmup_steps = 10", se todos os argumentos forem números; vazio, se não."""
    if not all(isinstance(argument, Number) for argument in case):
        return ""
    signature = _signature(answer)
    names = list(signature.parameters) if signature else []
    if len(names) != len(case):
        return ""
    return "com " + ", ".join(f"{name} = {value:.10g}" for name, value in zip(names, case, strict=True))
