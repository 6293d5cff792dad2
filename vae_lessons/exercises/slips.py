"""Deslizes: os erros que servem para quase toda função, achados ao mexer na solução e ver o que sai.

Sinal trocado, soma no lugar de média, argumentos fora de ordem, um log esquecido… Um erro que só tem sentido num
exercício é um `Mistake` dele, e vale antes destes. Aqui não se afirma: a mesma diferença pode ter outra causa.
"""

import inspect
import math
from collections.abc import Callable, Iterator
from itertools import combinations
from numbers import Number
from typing import NamedTuple

import torch
from torch import Tensor

_MOST_PARTS = 4  # resultados, argumentos e dimensões que se olham, para que o tempo não dependa do exercício


class Slip(NamedTuple):
    """answer: a solução com o deslize · reason: a explicação, com {0}, {1}… no lugar dos nomes dos argumentos."""

    answer: Callable
    reason: str

    def said_with(self, names: tuple[str, ...]) -> str:
        """A explicação com os nomes que a função do aluno dá aos argumentos."""
        return self.reason.format(*names, *(f"o {i + 1}º argumento" for i in range(len(names), 9)))


def slips(solution: Callable) -> Iterator[Slip]:
    """Os deslizes que se podem cometer em `solution`, os mais comuns primeiro; alguns não mudam nada ou não rodam."""
    count = len(argument_names(solution))
    yield from _of_the_results(solution)
    yield from _of_order(solution, count)
    yield from _of_gradients(solution, count)
    for i in range(min(count, _MOST_PARTS)):
        yield from _of_one_argument(solution, i)
    yield from _of_reductions(solution)
    yield from _of_sizes(solution, count)
    yield from _of_functions(solution)


def _of_the_results(solution: Callable) -> Iterator[Slip]:
    yield Slip(
        _after(solution, lambda x: -x),
        "só o sinal está trocado. Confira a ordem da subtração, e se o que se pede é para maximizar ou minimizar.",
    )
    for i in range(_MOST_PARTS):
        yield Slip(
            _on_parts(solution, lambda parts, i=i: [-part if i == j else part for j, part in enumerate(parts)], i + 1),
            f"o {i + 1}º resultado está com o sinal trocado, e só ele.",
        )
    for i, j in combinations(range(_MOST_PARTS), 2):
        yield Slip(
            _on_parts(solution, lambda parts, i=i, j=j: _swapped(parts, i, j), j + 1),
            f"as contas parecem certas, mas na ordem errada: o {i + 1}º e o {j + 1}º resultados estão um no lugar do "
            "outro.",
        )
    yield Slip(_after(solution, lambda x: 2 * x), "o seu é o dobro: falta um ½, ou algo entrou duas vezes na conta.")
    yield Slip(
        _after(solution, lambda x: x / 2), "o seu é a metade: sobra um ½, ou falta um dos dois termos de uma soma."
    )
    yield Slip(
        _transposed_result(solution),
        "o seu é a matriz transposta da que se pede: linhas e colunas estão trocadas.",
    )


def _of_order(solution: Callable, count: int) -> Iterator[Slip]:
    for i, j in combinations(range(min(count, _MOST_PARTS + 1)), 2):
        yield Slip(
            _with_arguments(solution, lambda arguments, i=i, j=j: _swapped_arguments(arguments, i, j)),
            f"parece que {{{i}}} e {{{j}}} estão um no lugar do outro. Confira a ordem, nos argumentos e na fórmula.",
        )


def _of_gradients(solution: Callable, count: int) -> Iterator[Slip]:
    yield Slip(
        _after(solution, Tensor.detach),
        "os valores estão certos, mas nenhum gradiente passa por eles. Há um detach(), um no_grad(), um .item() ou um "
        ".sample() no caminho?",
    )
    for i in range(min(count, _MOST_PARTS)):
        yield Slip(
            _with_arguments(solution, lambda arguments, i=i: _detached(arguments, i)),
            f"os valores estão certos, mas o gradiente não passa por {{{i}}}. Sobra um detach() ou um no_grad()?",
        )


def _of_one_argument(solution: Callable, i: int) -> Iterator[Slip]:
    for change, reason in (
        (lambda x: x * 0, "parece que {} não entrou na conta."),
        (lambda x: x * 0 + 1, "parece que {} não entrou na conta."),
        (lambda x: -x, "parece que o sinal de {} está trocado."),
        (lambda x: x / 2, "parece que {} entrou pela metade: há um ½ que sobra?"),
        (lambda x: x * 2, "parece que {} entrou em dobro: falta um ½?"),
        (torch.exp, "parece que há uma exponencial a mais em {}: confira se já é o que a fórmula pede, ou o log dele."),
        (torch.log, "parece que há um logaritmo a mais em {}: confira se já é o que a fórmula pede, ou a exp dele."),
        (
            torch.square,
            "parece que sobra um quadrado em {}, ou falta uma raiz: confundem-se assim a variância e o desvio padrão.",
        ),
        (
            torch.sqrt,
            "parece que falta um quadrado em {}, ou sobra uma raiz: confundem-se assim a variância e o desvio padrão.",
        ),
        (torch.abs, "parece que você usou o módulo de {}, que perde o sinal."),
        (lambda x: 1 / x, "parece que você dividiu por {} onde se multiplica, ou o contrário."),
    ):
        yield Slip(
            _with_arguments(solution, lambda arguments, change=change: _changed(arguments, i, change)),
            reason.format(f"{{{i}}}"),
        )


def _of_reductions(solution: Callable) -> Iterator[Slip]:
    """Junta-se o que se pede separado: os exemplos, ou as dimensões."""
    for reduce, said in ((torch.sum, "somou"), (torch.mean, "tirou a média de")):
        yield Slip(
            _after(solution, _needs_dimensions(1, reduce)),
            f"você {said} todos os números que se pedem. Deixe um para cada um; juntá-los é outra conta.",
        )
        for dim, which in ((0, "primeira"), (-1, "última")):
            yield Slip(
                _after(solution, _needs_dimensions(2, lambda x, reduce=reduce, dim=dim: reduce(x, dim))),
                f"você {said} o que se pede separado, ao longo da {which} dimensão. Deixe-a como está.",
            )
    yield Slip(
        _with_arguments(solution, _transposed_arguments),
        "parece que a conta juntou a dimensão errada: confira sobre qual delas se soma, -1 ou 0.",
    )
    yield Slip(
        _transposed_result(_with_arguments(solution, _transposed_arguments)),
        "parece que a conta juntou a dimensão errada: confira sobre qual delas se soma, -1 ou 0.",
    )


def _of_sizes(solution: Callable, count: int) -> Iterator[Slip]:
    """O resultado dividido ou multiplicado por um tamanho: média onde vai soma, ou soma onde vai média."""
    for i in range(min(count, _MOST_PARTS)):
        for dim in (0, -1):
            for power, reason in (
                (-1, "parece que você tirou a média onde se soma: o seu está dividido por um tamanho de {}."),
                (1, "parece que você somou onde se tira a média: o seu está multiplicado por um tamanho de {}."),
            ):
                yield Slip(_scaled_by_size(solution, i, dim, power), reason.format(f"{{{i}}}"))


def _of_functions(solution: Callable) -> Iterator[Slip]:
    for change, reason in (
        (torch.exp, "o seu é a exponencial do que se pede: falta o logaritmo, ou sobra uma exponencial."),
        (torch.log, "o seu é o logaritmo do que se pede: sobra um logaritmo, ou falta a exponencial."),
        (lambda x: x / math.log(2), "o seu está em bits, com o logaritmo na base 2. Em nats, o logaritmo é o natural."),
        (lambda x: 1 / x, "o seu está de cabeça para baixo: confira o que divide o quê."),
        (torch.square, "o seu é o quadrado do que se pede: variância no lugar de desvio padrão, ou falta uma raiz?"),
        (torch.sqrt, "o seu é a raiz do que se pede: desvio padrão no lugar de variância, ou falta um quadrado?"),
        (torch.abs, "o módulo sobra: o que se pede tem sinal."),
        (lambda x: x.clamp(min=0), "os negativos viraram zero: o que se pede tem sinal."),
        (lambda x: 1 - x, "o seu é 1 menos o que se pede."),
    ):
        yield Slip(_after(solution, change), reason)


class _DoesNotApply(Exception):
    """O deslize não tem sentido nesta solução."""


def argument_names(function) -> list[str]:
    """Os nomes dos argumentos que se passam por posição; nenhum, se não for função ou não se puder saber."""
    try:
        return [
            p.name
            for p in inspect.signature(function).parameters.values()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
    except (ValueError, TypeError):
        return []


def _after(solution: Callable, change: Callable[[Tensor], Tensor]) -> Callable:
    def answer(*arguments):
        return _mapped(change, solution(*arguments))

    return answer


def _with_arguments(solution: Callable, change: Callable[[tuple], tuple]) -> Callable:
    def answer(*arguments):
        return solution(*change(arguments))

    return answer


def _on_parts(solution: Callable, change: Callable[[list], list], least: int) -> Callable:
    """`change` sobre a lista dos resultados, se forem pelo menos dois e `least`."""

    def answer(*arguments):
        output = solution(*arguments)
        if not isinstance(output, tuple | list) or len(output) < max(least, 2):
            raise _DoesNotApply
        return tuple(change(list(output)))

    return answer


def _swapped(parts: list, i: int, j: int) -> list:
    parts[i], parts[j] = parts[j], parts[i]
    return parts


def _swapped_arguments(arguments: tuple, i: int, j: int) -> tuple:
    a, b = arguments[i], arguments[j]
    same = all(isinstance(x, Tensor) for x in (a, b)) or all(isinstance(x, Number) for x in (a, b))
    if not same or isinstance(a, bool):
        raise _DoesNotApply
    return tuple(_swapped(list(arguments), i, j))


def _detached(arguments: tuple, i: int) -> tuple:
    changed = list(arguments)
    if callable(changed[i]):
        function = changed[i]
        changed[i] = lambda *inside: function(*inside).detach()
    else:
        changed[i] = _mapped(Tensor.detach, changed[i])
    return tuple(changed)


def _changed(arguments: tuple, i: int, change: Callable[[Tensor], Tensor]) -> tuple:
    changed = list(arguments)
    if isinstance(changed[i], bool) or not isinstance(changed[i], Number | Tensor):
        raise _DoesNotApply
    changed[i] = _mapped(change, changed[i])
    return tuple(changed)


def _transposed_arguments(arguments: tuple) -> tuple:
    if not any(isinstance(argument, Tensor) and argument.ndim >= 2 for argument in arguments):
        raise _DoesNotApply
    return tuple(a.mT if isinstance(a, Tensor) and a.ndim >= 2 else a for a in arguments)


def _transposed_result(solution: Callable) -> Callable:
    return _after(solution, _needs_dimensions(2, lambda x: x.mT))


def _needs_dimensions(least: int, change: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def checked(x: Tensor) -> Tensor:
        if x.ndim < least:
            raise _DoesNotApply
        return change(x)

    return checked


def _scaled_by_size(solution: Callable, i: int, dim: int, power: int) -> Callable:
    def answer(*arguments):
        argument = arguments[i]
        if isinstance(argument, Tensor) and argument.ndim:
            size = argument.shape[dim]
        elif isinstance(argument, list | tuple) and dim == 0:
            size = len(argument)
        else:
            raise _DoesNotApply
        return _mapped(lambda x: x * float(size) ** power, solution(*arguments))

    return answer


def _mapped(change: Callable[[Tensor], Tensor], value):
    """`change` em cada tensor ou número de `value`; NamedTuples (distribuições) ficam o que são."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_mapped(change, part) for part in value))
    if isinstance(value, tuple | list):
        return type(value)(_mapped(change, part) for part in value)
    if isinstance(value, bool) or not isinstance(value, Number | Tensor):
        raise _DoesNotApply
    if isinstance(value, Tensor):
        return change(value)
    number = change(torch.tensor(float(value), dtype=torch.float64))
    return number.item() if number.ndim == 0 else number
