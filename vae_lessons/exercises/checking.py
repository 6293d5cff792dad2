"""Como se corrige uma resposta: mede-se o que ela faz e compara-se com o que fazem a solução e os erros conhecidos.

`measuring` mede; `answers` lê o que veio como aquilo que se pediu; `slips` sabe os erros que valem para qualquer
função; `explaining` diz por que não bate; `verdict` mostra.
"""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from vae_lessons.exercises.answers import Compared, NotAnswered, Observed, Unusable, aligned, usable
from vae_lessons.exercises.explaining import explain_difference, explain_exception, safe_text
from vae_lessons.exercises.measuring import behaviour, letters, noise_statistics, on_cases, required_tensor
from vae_lessons.exercises.slips import Slip, argument_names, slips
from vae_lessons.exercises.verdict import Result, display_result

_BLANK = "em branco. Complete a célula e rode-a de novo."
_PATIENCE = 1.0  # segundos de processador com que se procura um deslize
_COARSEST = 1e-3  # a precisão de float16, que se aceita; a de bfloat16, oito vezes pior, esconderia erros


@dataclass(frozen=True)
class Mistake:
    """Um erro conhecido: uma resposta que o comete e a explicação que o aluno merece."""

    answer: Any
    reason: str


@dataclass(frozen=True)
class Exercise:
    """solution: a resposta certa, função ou valor · mistakes: os erros com nome ·
    measure: resposta → o que se compara, número, texto, tensor ou tupla deles; por padrão a própria resposta (ver
    `on_cases`, `behaviour` e `letters`) · tolerance: diferença absoluta aceita · insight: o que o acerto mostra ·
    alternatives: outras respostas certas, que medem outra coisa · hint: o que reler, num erro sem nome.
    Nos erros sem nome de uma função, procuram-se ainda os deslizes que servem para qualquer uma, de `slips`.

    Uma razão ou dica nunca diz o valor pedido."""

    id: str
    solution: Any
    mistakes: tuple[Mistake, ...]
    measure: Callable[[Any], Any] = usable
    tolerance: float = 1e-5
    insight: str = ""
    alternatives: tuple[Any, ...] = ()
    hint: str = ""


def reduced(solution: Callable, over: str = "os exemplos") -> tuple[Mistake, Mistake]:
    """Os erros de quem devolve um número só onde se pede um para cada exemplo, [B]: a soma e a média da solução."""

    def one_number(reduce: Callable) -> Callable:
        def answer(*arguments):
            output = solution(*arguments)
            return tuple(map(reduce, output)) if isinstance(output, tuple) else reduce(output)

        return answer

    keep = f"Deixe um valor para cada um, [B]; juntar {over} é a última conta, e não é desta função."
    return (
        Mistake(one_number(torch.sum), f"você somou também sobre {over}. {keep}"),
        Mistake(one_number(torch.mean), f"você tirou a média sobre {over}. {keep}"),
    )


class Attempt(NamedTuple):
    """O que se mediu numa resposta ou, se não se pôde medir, o veredito e por quê.

    names: como a função do aluno chama os seus argumentos, para a explicação de um deslize."""

    measured: Any = None
    status: str = ""
    message: str = ""
    names: tuple[str, ...] = ()


def grade(exercise: Exercise, answer) -> Result:
    """Corrige sem mostrar nada. O gerador global de números aleatórios fica como estava."""
    return judge(exercise, attempt(exercise, answer))


def attempt(exercise: Exercise, answer) -> Attempt:
    """A primeira metade da correção, a única em que o código do aluno é executado. Nunca levanta."""
    if answer is None or answer is ...:
        return Attempt(status="⏳", message=_BLANK)
    try:
        return Attempt(_measure(exercise, answer), names=tuple(argument_names(answer)))
    except BaseException as error:  # exit() e o que mais o aluno levantar: todo erro é dele, e merece um veredito
        return Attempt(None, *_why_not_measured(error, answer))


def judge(exercise: Exercise, tried: Attempt) -> Result:
    """A segunda metade: compara o que se mediu com o que medem a solução e os erros conhecidos. Nunca levanta."""
    if tried.status:
        return Result(exercise.id, tried.status, tried.message)
    expected = _reference(exercise, exercise.solution)
    try:
        return Result(exercise.id, *_judge(exercise, tried, expected))
    except BaseException as error:
        return Result(exercise.id, *_why_not_measured(error, None))


def _judge(exercise: Exercise, tried: Attempt, expected) -> tuple[str, ...]:
    measured = tried.measured
    right = any(_same(measured, _reference(exercise, other), exercise) for other in exercise.alternatives)
    if right or _same(measured, expected, exercise):
        return "✅", f"certo! {exercise.insight}".rstrip()
    for mistake in exercise.mistakes:
        if _same(measured, _reference(exercise, mistake.answer), exercise):
            return "❌", mistake.reason, mistake.reason
    slip = _slip_of(exercise, measured)
    reason = slip.said_with(tried.names) if slip else _explain(exercise, measured, expected)
    return "❌", f"{reason} {exercise.hint}".rstrip(), slip.said_with(()) if slip else ""


def _why_not_measured(error: BaseException, answer) -> tuple[str, str]:
    match error:
        case NotAnswered():
            return "⏳", _BLANK
        case Unusable():
            return "❌", str(error)
        case KeyboardInterrupt():
            return "❌", "a correção foi interrompida, porque sua resposta não terminava. Há um laço sem saída?"
    if "ellipsis" in safe_text(error).lower():
        return "⏳", _BLANK
    return "❌", explain_exception(answer, error)


def _slip_of(exercise: Exercise, measured) -> Slip | None:
    """O primeiro deslize que mede o mesmo que a resposta."""
    if not callable(exercise.solution):
        return None
    return next((slip for slip, wrong in _measured_slips(exercise) if _same(measured, wrong, exercise)), None)


@functools.cache
def _measured_slips(exercise: Exercise) -> tuple[tuple[Slip, Any], ...]:
    """Os deslizes deste exercício e o que se mede neles, menos os que não se distinguem do que é certo."""
    deadline = time.thread_time() + _PATIENCE
    right = [_reference(exercise, answer) for answer in (exercise.solution, *exercise.alternatives)]
    measured = []
    for slip in slips(exercise.solution):
        try:
            wrong = _measure(exercise, slip.answer)
            if _finite(wrong) and not any(_same(wrong, other, exercise) for other in right):
                measured.append((slip, wrong))
        except Exception:  # nem todo deslize se pode cometer em toda solução
            pass
        if time.thread_time() > deadline:
            break
    return tuple(measured)


def _finite(measured) -> bool:
    if isinstance(measured, Observed):
        return _finite(measured.value)
    if isinstance(measured, tuple | list):
        return all(map(_finite, measured))
    return not isinstance(measured, str | frozenset) and bool(torch.as_tensor(measured).isfinite().all())


@functools.cache
def _reference(exercise: Exercise, answer):
    """A medida de uma resposta nossa, solução ou erro, que é sempre a mesma."""
    return _measure(exercise, answer)


def _measure(exercise: Exercise, answer):
    """A medida, sempre com o mesmo acaso e com o gradiente ligado, ainda que o aluno o tenha desligado em volta."""
    with torch.enable_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return exercise.measure(answer)


def _same(measured, expected, exercise: Exercise) -> bool:
    try:
        return all(_close(pair, exercise.tolerance) for pair in aligned(measured, expected))
    except Unusable:
        return False


def _close(pair: Compared, tolerance: float) -> bool:
    got, wanted, _ = pair
    if isinstance(wanted, str | frozenset):
        return got == wanted
    precision = torch.finfo(got.dtype).eps if got.is_floating_point() else 0.0
    rtol = max(1e-5, precision if precision < _COARSEST else 0.0)
    return torch.allclose(got.double(), wanted.double(), rtol=rtol, atol=tolerance)


def _explain(exercise: Exercise, measured, expected) -> str:
    """Levanta Unusable, que também explica, quando nem a espécie nem a forma são as esperadas."""
    compared = aligned(measured, expected)
    different = next(pair for pair in compared if not _close(pair, exercise.tolerance))
    single = isinstance(expected, frozenset) and len(str(exercise.solution)) == 1
    return explain_difference(different, compared, secret=not callable(exercise.solution), single_choice=single)


__all__ = [
    "Attempt",
    "Exercise",
    "Mistake",
    "NotAnswered",
    "Observed",
    "Result",
    "Unusable",
    "attempt",
    "behaviour",
    "display_result",
    "grade",
    "judge",
    "letters",
    "noise_statistics",
    "on_cases",
    "reduced",
    "required_tensor",
]
