"""Como se corrige uma resposta: mede-se o que ela faz e compara-se com o que fazem a solução e os erros conhecidos."""

import html
import inspect
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Number
from typing import Any

import torch
from torch import Tensor

_COLORS = {"✅": "#2a9d4a", "❌": "#d1495b", "⏳": "#8a8a8a"}


@dataclass(frozen=True)
class Mistake:
    """Um erro conhecido: uma resposta que o comete e a explicação que o aluno merece."""

    answer: Any
    reason: str


@dataclass(frozen=True)
class Exercise:
    """solution: a resposta certa, função ou valor · mistakes: os erros com nome ·
    measure: resposta → o que se compara, número, texto, tensor ou tupla deles; por padrão a própria resposta (ver
    `on_cases` e `expects`) · tolerance: diferença absoluta aceita · insight: o que o acerto mostra."""

    id: str
    solution: Any
    mistakes: tuple[Mistake, ...]
    measure: Callable[[Any], Any] = lambda answer: answer
    tolerance: float = 1e-5
    insight: str = ""


@dataclass(frozen=True)
class Result:
    """O veredito. passed: só True no ✅ · status: "✅", "❌" ou "⏳" · message: a explicação."""

    id: str
    status: str
    message: str

    @property
    def passed(self) -> bool:
        return self.status == "✅"

    def __str__(self) -> str:
        return f"{self.status} Exercício {self.id}: {self.message}"

    def to_html(self) -> str:
        """O mesmo texto numa caixa que se lê em tema claro e escuro."""
        return (
            f'<div role="status" style="border-left: 4px solid {_COLORS[self.status]}; padding: 0.4em 0.8em;">'
            f"{self.status} <b>Exercício {html.escape(self.id)}</b>: {html.escape(self.message)}</div>"
        )

    def _ipython_display_(self) -> None:
        """Nada: quem mostra é `check`, e a última linha da célula não deve repetir o veredito."""


class NotAnswered(Exception):
    """A resposta ainda está em branco."""


class Unusable(Exception):
    """A resposta não é do tipo que se pode corrigir; a mensagem diz o que se esperava."""


def on_cases(*cases: tuple) -> Callable[[Callable], tuple]:
    """Medida de uma função: o que ela devolve em cada caso, que é uma tupla de argumentos."""

    def measure(answer: Callable) -> tuple:
        _require_function(answer)
        outputs = []
        for case in cases:
            arguments = [a.clone() if isinstance(a, Tensor) else a for a in case]
            outputs.append(_require_output(answer(*arguments)))
        return tuple(outputs)

    return measure


def behaviour(measure: Callable[[Callable], Any]) -> Callable[[Callable], Any]:
    """Medida de uma função feita por outra, para o que não se compara saída a saída (sorteios, gradientes)."""

    def checked(answer: Callable) -> Any:
        _require_function(answer)
        return measure(lambda *arguments: _require_output(answer(*arguments)))

    return checked


def grade(exercise: Exercise, answer) -> Result:
    """Corrige sem mostrar nada. O gerador global de números aleatórios fica como estava."""
    status, message = _grade(exercise, answer)
    return Result(exercise.id, status, message)


def display_result(result: Result) -> None:
    """No Jupyter, uma caixa em HTML (com o mesmo texto para quem não a mostra); fora dele, o texto."""
    if _in_ipython():
        from IPython.display import display

        display({"text/plain": str(result), "text/html": result.to_html()}, raw=True)
    else:
        print(result)


def _grade(exercise: Exercise, answer) -> tuple[str, str]:
    blank = "em branco. Complete a célula e rode-a de novo."
    if answer is None or answer is ...:
        return "⏳", blank
    try:
        measured = _flatten(_measure(exercise, answer))
    except NotAnswered:
        return "⏳", blank
    except Unusable as problem:
        return "❌", str(problem)
    except KeyboardInterrupt:
        return "❌", "a correção foi interrompida, porque sua resposta não terminava. Há um laço sem saída?"
    except Exception as error:
        if "ellipsis" in str(error).lower():
            return "⏳", blank
        return "❌", _explain_exception(answer, error)

    expected = _flatten(_measure(exercise, exercise.solution))
    if _same(measured, expected, exercise.tolerance):
        return "✅", f"certo! {exercise.insight}".rstrip()
    for mistake in exercise.mistakes:
        if _same(measured, _flatten(_measure(exercise, mistake.answer)), exercise.tolerance):
            return "❌", mistake.reason
    return "❌", _explain_difference(measured, expected, exercise.tolerance)


def _measure(exercise: Exercise, answer):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return exercise.measure(answer)


def _require_function(answer) -> None:
    if not callable(answer):
        raise Unusable(
            f"esperava uma função, mas veio {_describe(answer)}. Passe o nome dela, sem parênteses e sem chamá-la."
        )


def _require_output(output):
    if output is ... or (isinstance(output, tuple | list) and any(part is ... for part in output)):
        raise NotAnswered
    if output is None:
        raise Unusable("sua função devolveu None. Faltou o return?")
    return output


def _flatten(measured) -> list[Tensor | str]:
    """Números, textos, tensores ou sequências deles → lista de tensores float64 e textos."""
    if isinstance(measured, str):
        return [measured.strip().lower()]
    if isinstance(measured, Tensor):
        return [measured.detach().cpu().double()]
    if isinstance(measured, Number) or hasattr(measured, "__array__"):
        return [torch.as_tensor(measured).double()]
    if isinstance(measured, tuple | list):
        return [part for item in measured for part in _flatten(item)]
    if measured is ...:
        raise NotAnswered
    raise Unusable(f"esperava um número ou um tensor, mas veio {_describe(measured)}.")


def _same(left: list, right: list, tolerance: float) -> bool:
    return len(left) == len(right) and all(_same_part(a, b, tolerance) for a, b in zip(left, right, strict=True))


def _same_part(a: Tensor | str, b: Tensor | str, tolerance: float) -> bool:
    if isinstance(a, str) or isinstance(b, str):
        return isinstance(a, str) and isinstance(b, str) and a == b
    return a.shape == b.shape and torch.allclose(a, b, rtol=1e-5, atol=tolerance)


def _explain_difference(measured: list, expected: list, tolerance: float) -> str:
    if len(measured) != len(expected):
        return f"esperava {len(expected)} valor(es), mas veio {len(measured)}."
    got, wanted = next((a, b) for a, b in zip(measured, expected, strict=True) if not _same_part(a, b, tolerance))
    if isinstance(wanted, str) or isinstance(got, str):
        if isinstance(wanted, str) and isinstance(got, str):
            return f"não é {got!r}. Releia o enunciado e as opções."
        kind = "um texto" if isinstance(wanted, str) else "um número ou um tensor"
        return f"esperava {kind}, mas veio {_describe(got)}."
    if got.shape != wanted.shape:
        return f"a forma está errada: esperava {_shape(wanted)}, mas veio {_shape(got)}."
    if got.isnan().any():
        return "apareceu NaN. Procure um logaritmo de zero ou negativo, uma raiz de negativo ou uma divisão 0/0."
    worst = (got - wanted).abs().nan_to_num(posinf=torch.inf).argmax()
    return f"os números não batem: onde se esperava {wanted.flatten()[worst]:.4f}, veio {got.flatten()[worst]:.4f}."


def _explain_exception(answer, error: Exception) -> str:
    where = ""
    code = getattr(answer, "__code__", None)
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if code and f.filename == code.co_filename]
    if lines:
        where = f" na linha {lines[-1]} da célula"
    message = f"sua resposta parou com {type(error).__name__}{where}: {str(error).rstrip('.')}."
    if isinstance(error, TypeError) and not lines and callable(answer):
        message += f" Sua função recebe {_signature(answer)}."
    return message


def _signature(function: Callable) -> str:
    try:
        return str(inspect.signature(function))
    except (ValueError, TypeError):  # funções escritas em C não têm assinatura que se leia
        return "argumentos que não sei ler"


def _describe(value) -> str:
    if isinstance(value, Tensor):
        return f"um tensor de forma {_shape(value)}"
    if isinstance(value, str):
        return f"o texto {value!r}"
    if isinstance(value, Number):
        return f"o número {value}"
    if inspect.isfunction(value) or inspect.isbuiltin(value):
        return f"a função {value.__name__} (faltou chamá-la?)"
    return f"um objeto do tipo {type(value).__name__}"


def _shape(value: Tensor) -> str:
    return str(list(value.shape)) if value.ndim else "[] (um número só)"


def _in_ipython() -> bool:
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return get_ipython() is not None
