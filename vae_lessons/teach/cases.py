"""Os outros casos: o que se mede numa resposta além do que o aluno viu, sorteado de um segredo da turma."""

from vae_lessons.exercises import EXERCISES
from vae_lessons.exercises.checking import Exercise


def measures(exercise_id: str, seed: int) -> list[Exercise]:
    """As medidas de um exercício, sem soluções: a da lição e, se ele tem outros casos, a deles."""
    return [EXERCISES[exercise_id]]
