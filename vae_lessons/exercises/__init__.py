"""Correção automática dos exercícios: `check(id, resposta)` diz ⏳, ✅ ou ❌ e, no ❌, por quê.

`checking` sabe corrigir; cada `lesson_NN` descreve os exercícios da sua lição: a solução e os erros conhecidos.
"""

from importlib import import_module

from vae_lessons import series
from vae_lessons.exercises.checking import Exercise, grade
from vae_lessons.exercises.verdict import Points, Result, display_result

EXERCISES: dict[str, Exercise] = {
    exercise.id: exercise
    for lesson in series.LESSONS
    for exercise in import_module(f"{__name__}.lesson_{lesson.number}").EXERCISES
}


def check(exercise_id: str, answer, *more) -> Result:
    """Corrige `answer`, mostra o veredito e o devolve.

    answer: a função ou o valor que o exercício pede; `...` é uma resposta em branco (⏳) · more: o que vier depois,
    como o 5 de check("03.5", 0,5), conta como parte da resposta, que então é uma tupla.
    Uma resposta que levanta exceção, tem forma ou tipo errado ou dá NaN recebe ❌ com a explicação, nunca um
    *traceback*; uma que não termina pode ser interrompida (■). O ❌ de um exercício que pede um valor não o diz.
    Levanta ValueError só se o exercício não existir.
    """
    result = grade(_exercise(exercise_id), (answer, *more) if more else answer)
    display_result(result)
    return result


def score(exercise_id: str, answer, *, of: float = 1.0) -> Points:
    """Os pontos de uma resposta, `of` se certa e 0 se não, sem mostrar o veredito; como última linha, mostra o número.

    É a última linha das células de pontos das lições distribuídas a uma turma. Levanta ValueError como `check`.
    """
    return Points(of if grade(_exercise(exercise_id), answer).passed else 0.0, of)


def _exercise(exercise_id: str) -> Exercise:
    if not isinstance(exercise_id, str) or exercise_id not in EXERCISES:
        raise ValueError(
            f"Exercício desconhecido: {exercise_id!r}. Primeiro vem o número, entre aspas, e depois a resposta. Os "
            f"exercícios que existem são: {', '.join(EXERCISES)}."
        )
    return EXERCISES[exercise_id]


__all__ = ["check", "score"]
