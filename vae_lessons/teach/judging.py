"""O veredito de um exercício, de quem corrige: compara o que veio do processo do aluno com o que se espera."""

from typing import NamedTuple

from vae_lessons.exercises.checking import Attempt, judge
from vae_lessons.teach.cases import measures, world
from vae_lessons.teach.values import Unreadable, decode

_MOST_LETTERS = 2000
_WRITTEN = (
    "é a resposta da lição, mas a correção refez a sua célula com outros dados, ou com outro treino, e a resposta não "
    "acompanhou. Deixe na célula o código que treina e mede, com os nomes que a lição dá aos dados, e entregue o que "
    "sai dele."
)


class Verdict(NamedTuple):
    """status: "✅", "❌" ou "⏳" · message: para o aluno · mistake: o erro com nome, se for um, para o relatório."""

    id: str
    status: str
    message: str
    mistake: str = ""


def verdict(exercise_id: str, seed: int, attempts) -> Verdict:
    """O veredito do que se mediu, uma resposta por medida de `measures`; pode ter vindo qualquer coisa.

    Certo só se certo em todas: na da lição e na dos casos sorteados.
    """
    wanted = measures(exercise_id, seed)
    try:
        tried = [_attempt(data) for data in attempts]
        if len(tried) != len(wanted):
            raise Unreadable("faltam medidas")
    except (Unreadable, TypeError) as error:
        return Verdict(exercise_id, "❌", f"a resposta não pôde ser lida: {str(error)[:200]}.")
    seen, *others = (judge(exercise, one) for exercise, one in zip(wanted, tried, strict=True))
    if seen.passed:
        for other, one in zip(others, tried[1:], strict=True):
            if not other.passed and world(exercise_id, seed):
                stopped = f" Na célula refeita, {_cut(other.message)}" if one.status else ""
                return Verdict(exercise_id, "❌", f"{_WRITTEN}{stopped}", "A resposta não sai do treino.")
            if not other.passed:
                return Verdict(
                    exercise_id,
                    "❌",
                    f"certo no caso da lição, mas não em outros que a correção sorteia: {_cut(other.message)}",
                    other.mistake or "Só vale no caso da lição.",
                )
    return Verdict(exercise_id, seen.status, _cut(seen.message), seen.mistake)


def _attempt(data) -> Attempt:
    match data:
        case [measured, "", str(message), list(names)] if all(isinstance(name, str) for name in names):
            return Attempt(decode(measured), "", message, tuple(names))
        case [_, "❌" | "⏳" as status, str(message), list()]:
            return Attempt(None, status, message)
    raise Unreadable("resposta ilegível")


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…"
