"""Cada exercício aceita a solução, reconhece os erros que promete reconhecer e trata bem qualquer outra resposta."""

import math
import signal

import pytest
import torch

from vae_lessons.exercises import EXERCISES, check
from vae_lessons.exercises.checking import Exercise, Mistake, grade, on_cases

MISTAKES = [(e.id, m) for e in EXERCISES.values() for m in e.mistakes]
FUNCTIONS = [e.id for e in EXERCISES.values() if callable(e.solution)]

SQUARE = Exercise(
    id="teste",
    solution=lambda x: x.square(),
    mistakes=(Mistake(lambda x: 2 * x, "isso é o dobro."), Mistake(lambda x: x.square().sum(), "não some.")),
    measure=on_cases((torch.tensor([1.0, 3.0]),), (torch.tensor([0.5]),)),
    insight="Quadrado perfeito.",
)


@pytest.mark.parametrize("exercise_id", EXERCISES)
def test_the_solution_passes(exercise_id, capsys):
    result = check(exercise_id, EXERCISES[exercise_id].solution)
    assert result.passed
    assert capsys.readouterr().out == f"{result}\n"
    assert str(result).startswith(f"✅ Exercício {exercise_id}: certo!")


@pytest.mark.parametrize(("exercise_id", "mistake"), MISTAKES, ids=[f"{i}-{n}" for n, (i, _) in enumerate(MISTAKES)])
def test_every_named_mistake_gets_its_own_reason(exercise_id, mistake):
    result = check(exercise_id, mistake.answer)
    assert (result.status, result.message) == ("❌", mistake.reason)
    assert not result.passed


@pytest.mark.parametrize("exercise_id", EXERCISES)
def test_exercise_names_at_least_two_mistakes(exercise_id):
    reasons = [m.reason for m in EXERCISES[exercise_id].mistakes]
    assert len(set(reasons)) == len(reasons) >= 2


@pytest.mark.parametrize("exercise_id", EXERCISES)
@pytest.mark.parametrize("blank", [None, ...])
def test_blank_is_waiting_not_wrong(exercise_id, blank):
    assert check(exercise_id, blank).status == "⏳"


@pytest.mark.parametrize("exercise_id", FUNCTIONS)
def test_blank_function_is_waiting_not_wrong(exercise_id):
    assert check(exercise_id, lambda *arguments: ...).status == "⏳"
    assert check(exercise_id, lambda *arguments: 1.0 + ...).status == "⏳"


@pytest.mark.parametrize("exercise_id", EXERCISES)
@pytest.mark.parametrize(
    "answer",
    [
        "um texto",
        object(),
        float("nan"),
        torch.tensor([[1.0, float("nan")]]),
        {"a": 1},
        [],
        lambda: 1,
        lambda *arguments: 1 / 0,
        lambda *arguments: None,
        lambda *arguments: "texto",
        lambda *arguments: torch.full((7, 7), float("nan")),
        lambda *arguments: float("inf"),
        len,
        torch.nn.Linear(2, 2),
    ],
)
def test_no_answer_whatsoever_raises(exercise_id, answer):
    result = check(exercise_id, answer)
    assert result.status == "❌"
    assert result.message.endswith((".", "?"))


@pytest.fixture
def interrupt_soon():
    """Ctrl-C daqui a 0,2 s. Um pytest posto em segundo plano nasce surdo ao Ctrl-C: devolve-se a ele o ouvido."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGALRM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="O Windows não tem SIGALRM, com que se imita o Ctrl-C.")
@pytest.mark.usefixtures("interrupt_soon")
def test_an_endless_answer_can_be_interrupted_and_the_verdict_says_so():
    def endless(x):
        while True:
            pass

    result = grade(SQUARE, endless)
    assert result.status == "❌"
    assert "interrompida" in result.message


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda x: x.cube(), "AttributeError na linha"),
        (lambda x: torch.zeros(5), "a forma está errada: esperava [2], mas veio [5]"),
        (lambda x: x / 0 - x / 0, "apareceu NaN"),
        (lambda x: x, "onde se esperava 9.0000, veio 3.0000"),
        (lambda: 1, "Sua função recebe ()"),
        (3, "esperava uma função, mas veio o número 3"),
        (lambda x: {"x": x}, "esperava um tensor [2], mas veio um dicionário (dict)"),
        (lambda x: None, "Faltou o return?"),
    ],
)
def test_unknown_mistakes_are_explained(answer, expected):
    assert expected in grade(SQUARE, answer).message


def kl_with_log_of_softmax(logits):
    pi = torch.softmax(logits, -1)
    return (math.log(logits.shape[-1]) + (pi * pi.log()).sum(-1)).sum(-1)


@pytest.mark.parametrize(
    ("exercise_id", "answer", "expected"),
    [
        ("05.3", lambda hard, y: y + (hard - y).detach(), "certo!"),  # aqui a soma arredonda de volta a 0 ou 1
        ("05.3", lambda hard, y: hard.requires_grad_(), "o gradiente que chega a y é zero"),
        ("05.4", kl_with_log_of_softmax, "apareceu NaN"),
    ],
)
def test_other_ways_to_write_an_answer_get_a_fair_verdict(exercise_id, answer, expected):
    assert expected in check(exercise_id, answer).message


def test_an_answer_that_changes_its_input_does_not_spoil_the_check():
    def in_place(x):
        return x.mul_(x)

    assert grade(SQUARE, in_place).passed
    assert grade(SQUARE, in_place).passed


def test_the_check_leaves_the_random_generator_as_it_was():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    check("03.1", EXERCISES["03.1"].solution)
    assert torch.equal(torch.rand(4), expected)


def test_verdicts_are_deterministic():
    solution = EXERCISES["03.1"].mistakes[0].answer
    assert check("03.1", solution) == check("03.1", solution)


def test_unknown_exercise_lists_the_existing_ones():
    with pytest.raises(ValueError, match=r"Exercício desconhecido: '99\.9'.*03\.1"):
        check("99.9", 1)


def test_in_jupyter_the_verdict_is_shown_once_as_html_and_text():
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    shell = InteractiveShell.instance()
    try:
        with capture_output() as captured:
            shell.run_cell('from vae_lessons.exercises import check\ncheck("00.1", 64 - 56)')
    finally:
        InteractiveShell.clear_instance()
    assert len(captured.outputs) == 1
    assert captured.outputs[0].data["text/plain"].startswith("❌ Exercício 00.1: 8 é a altura")
    assert "<b>Exercício 00.1</b>" in captured.outputs[0].data["text/html"]
    assert "Result(" not in captured.stdout


def test_student_text_is_escaped_in_html():
    assert "<script>" not in grade(SQUARE, "<script>alert(1)</script>").to_html()
