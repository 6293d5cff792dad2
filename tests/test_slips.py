"""Os deslizes que servem para qualquer exercício: cada um se reconhece, e nenhum passa por certo."""

import math
import time

import pytest
import torch

from vae_lessons.distributions import Normal
from vae_lessons.exercises import EXERCISES, check
from vae_lessons.exercises.checking import (
    Exercise,
    Mistake,
    Observed,
    _measured_slips,
    behaviour,
    grade,
    letters,
    on_cases,
)

MATRIX = torch.tensor([[0.3, 1.2, -0.7], [2.0, 0.4, 1.1]], dtype=torch.float64)
OTHER = torch.tensor([[1.5, 0.6, 0.9], [0.2, 2.5, 0.8]], dtype=torch.float64)


def exercise(solution, *cases, **settings):
    return Exercise(id="teste", solution=solution, mistakes=(), measure=on_cases(*cases), **settings)


def gaussian_kl(mean, log_var):
    return 0.5 * (log_var.exp() + mean.square() - 1 - log_var).sum(-1)


def weighted(values, weights, rate):
    return rate * (values * weights.exp()).sum(-1)


KL = exercise(gaussian_kl, (MATRIX, OTHER), (OTHER[:, :2], MATRIX[:, :2]))
WEIGHTED = exercise(weighted, (MATRIX, OTHER, 3.0), (OTHER, MATRIX.square(), 0.4))
PAIR = exercise(lambda x: (x.sum(-1), x.prod(-1)), (MATRIX,), (OTHER,))
OUTER = exercise(lambda x: x.T @ x.cumsum(-1), (MATRIX,), (OTHER,))
LENGTHS = exercise(
    lambda batches: torch.cat(batches).mean(), ([MATRIX[0], OTHER[0, :1]],), ([OTHER[1], MATRIX[1], MATRIX[0]],)
)


@pytest.mark.parametrize(
    ("which", "answer", "reason"),
    [
        (KL, lambda mean, log_var: -gaussian_kl(mean, log_var), "só o sinal está trocado"),
        (KL, lambda mean, log_var: 2 * gaussian_kl(mean, log_var), "o seu é o dobro"),
        (KL, lambda m, v: gaussian_kl(v, m), "parece que m e v estão um no lugar do outro"),
        (KL, lambda m, v: gaussian_kl(m, v).sum(), "você somou todos os números"),
        (KL, lambda m, v: gaussian_kl(m, v).mean(), "você tirou a média de todos os números"),
        (KL, lambda m, v: gaussian_kl(m, v) / m.shape[-1], "tirou a média onde se soma"),
        (KL, lambda m, v: gaussian_kl(m, v) * m.shape[-1], "somou onde se tira a média"),
        (KL, lambda m, v: gaussian_kl(m.T, v.T), "juntou a dimensão errada"),
        (KL, lambda m, v: gaussian_kl(m, 0.5 * v), "v entrou pela metade"),
        (KL, lambda m, v: gaussian_kl(0 * m, v), "parece que m não entrou na conta"),
        (KL, lambda m, v: gaussian_kl(m, v).exp(), "é a exponencial do que se pede"),
        (KL, lambda m, v: gaussian_kl(m, v).log(), "é o logaritmo do que se pede"),
        (KL, lambda m, v: gaussian_kl(m, v) / math.log(2), "está em bits"),
        (WEIGHTED, lambda a, b, c: weighted(b, a, c), "parece que a e b estão um no lugar do outro"),
        (WEIGHTED, lambda a, b, c: c * (a * b).sum(-1), "há um logaritmo a mais em b"),
        (WEIGHTED, lambda a, b, c: weighted(a, b.exp(), c), "há uma exponencial a mais em b"),
        (WEIGHTED, lambda a, b, c: weighted(a, b, 1), "parece que c não entrou na conta"),
        (WEIGHTED, lambda a, b, c: weighted(a, b, 1 / c), "você dividiu por c"),
        (WEIGHTED, lambda a, b, c: weighted(a, -b, c), "o sinal de b está trocado"),
        (WEIGHTED, lambda a, b, c: weighted(a, b, c**0.5), "falta um quadrado em c"),
        (WEIGHTED, lambda a, b, c: weighted(a.abs(), b, c), "você usou o módulo de a"),
        (PAIR, lambda x: (x.prod(-1), x.sum(-1)), "o 1º e o 2º resultados estão um no lugar do outro"),
        (PAIR, lambda x: (x.sum(-1), -x.prod(-1)), "o 2º resultado está com o sinal trocado"),
        (OUTER, lambda x: (x.T @ x.cumsum(-1)).T, "a matriz transposta"),
        (LENGTHS, lambda batches: torch.cat(batches).mean() / len(batches), "dividido por um tamanho de batches"),
    ],
)
def test_each_slip_is_recognised_by_what_it_does(which, answer, reason):
    result = grade(which, answer)
    assert result.status == "❌"
    assert reason in result.message


def surrogate_gradient(surrogate):
    mean = torch.tensor([0.5, -1.0], dtype=torch.float64).requires_grad_()
    log_var = torch.tensor([0.2, 0.3], dtype=torch.float64).requires_grad_()
    q = Normal(mean, log_var)
    value = surrogate(lambda z: z.square().sum(-1), q, torch.tensor([[0.3, 1.0], [-0.4, 0.6]], dtype=torch.float64))
    gradient = torch.zeros(2, 2)
    if value.requires_grad:
        gradient = torch.autograd.grad(value, (mean, log_var), materialize_grads=True, allow_unused=True)
    return Observed(value, "no valor"), Observed(torch.stack(list(gradient)), "no gradiente")


def pathwise(f, q, noise):
    return f(q.rsample(noise)).mean()


GRADIENT = Exercise(id="teste", solution=pathwise, mistakes=(), measure=behaviour(surrogate_gradient))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda f, q, noise: pathwise(f, q, noise).detach(), "nenhum gradiente passa"),
        (lambda f, q, noise: f(q.rsample(noise).detach()).mean(), "nenhum gradiente passa"),
        (lambda f, q, noise: -pathwise(f, q, noise), "só o sinal está trocado"),
        (lambda f, q, noise: 2 * pathwise(f, q, noise), "o seu é o dobro"),
    ],
)
def test_a_cut_gradient_is_told_from_a_wrong_value(answer, reason):
    assert reason in grade(GRADIENT, answer).message


def test_a_detached_argument_is_named_as_the_student_calls_it():
    answer = lambda média, log_var: média + (0.5 * log_var).exp().detach() * torch.randn_like(média)  # noqa: E731
    shifted = Exercise("teste", EXERCISES["03.1"].solution, (), EXERCISES["03.1"].measure, tolerance=0.04)
    assert "o gradiente não passa por log_var" in grade(shifted, answer).message


def test_a_named_mistake_speaks_before_any_slip():
    named = Exercise(
        "teste", gaussian_kl, (Mistake(lambda m, v: -gaussian_kl(m, v), "A KL não é negativa."),), KL.measure
    )
    assert grade(named, lambda m, v: -gaussian_kl(m, v)).message == "A KL não é negativa."
    assert "o seu é o dobro" in grade(named, lambda m, v: 2 * gaussian_kl(m, v)).message


def test_the_hint_of_the_exercise_follows_the_slip():
    hinted = Exercise("teste", gaussian_kl, (), KL.measure, hint="Releia a seção 2.")
    assert grade(hinted, lambda m, v: -gaussian_kl(m, v)).message.endswith("Releia a seção 2.")


def test_a_slip_that_changes_nothing_is_never_blamed():
    """Onde trocar os argumentos dá no mesmo, uma resposta errada por outro motivo não ouve falar disso."""
    symmetric = exercise(lambda a, b: (a * b).sum(-1), (MATRIX, OTHER), tolerance=0.05)
    assert grade(symmetric, lambda a, b: (b * a).sum(-1)).passed
    message = grade(symmetric, lambda a, b: (a * b).sum(-1) + 0.06).message
    assert "no lugar do outro" not in message


def test_an_answer_unlike_any_slip_is_explained_as_before():
    assert "os números não batem" in grade(KL, lambda m, v: (m.cosh() * v).sum(-1)).message


def test_values_and_letters_have_no_slips():
    assert "Confira o sinal" in grade(Exercise("teste", 7.0, ()), -7.0).message
    assert "falta alguma" in grade(Exercise("teste", "ab", (), letters("abc")), "a").message


FUNCTIONS = [e for e in EXERCISES.values() if callable(e.solution)]


@pytest.mark.parametrize("lesson_exercise", FUNCTIONS, ids=lambda e: e.id)
def test_in_the_lessons_no_slip_passes_and_each_is_explained_by_more_than_numbers(lesson_exercise):
    start = time.thread_time()
    found = _measured_slips(lesson_exercise)
    assert time.thread_time() - start < 1.5
    for slip, _ in found:
        result = grade(lesson_exercise, slip.answer)
        assert result.status == "❌"
        assert "os números não batem" not in result.message
        assert not any(brace in result.message for brace in ("{0}", "{1}", "{2}"))


def test_nearly_every_function_of_the_lessons_has_slips():
    assert sum(len(_measured_slips(e)) > 10 for e in FUNCTIONS) > 0.9 * len(FUNCTIONS)


@pytest.mark.parametrize("typed", [(0, 5), (-0, 5)])
def test_a_number_typed_with_a_comma_is_told_about_the_point(typed):
    assert "escreva com ponto, 0.5" in check("03.5", typed).message
    assert "escreva com ponto, 0.5" in check("03.5", *typed).message


def test_a_comma_inside_a_function_is_told_about_the_point():
    assert "a vírgula faz uma tupla" in grade(KL, lambda m, v: (0, 5 * (v.exp() + m**2 - 1 - v).sum(-1))).message
    assert "a vírgula faz uma tupla" in grade(PAIR, lambda x: (0, 5 * x.sum(-1), x.prod(-1))).message
