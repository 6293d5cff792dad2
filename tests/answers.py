"""O que se exige das respostas de toda lição: as certas escritas de outro jeito passam; as erradas ouvem por quê.

RIGHT: pares (exercício, resposta) · WRONG: trios (exercício, resposta, o que a mensagem tem de dizer).
"""

import pytest

from vae_lessons.exercises import check


def each_right(cases):
    return pytest.mark.parametrize(("exercise_id", "answer"), cases, ids=_names(cases))


def each_wrong(cases):
    return pytest.mark.parametrize(("exercise_id", "answer", "reason"), cases, ids=_names(cases))


def assert_right(exercise_id, answer):
    result = check(exercise_id, answer)
    assert result.passed, result.message


def assert_told(exercise_id, answer, reason):
    result = check(exercise_id, answer)
    assert result.status == "❌", result.message
    assert reason in result.message, f"falta {reason!r} em {result.message!r}"


def _names(cases) -> list[str]:
    return [f"{exercise_id}-{n}" for n, (exercise_id, *_) in enumerate(cases)]
