"""Cada exercício aceita a solução, reconhece os erros que promete reconhecer e trata bem qualquer outra resposta."""

import itertools
import math
import os
import re
import signal
import subprocess
import sys
import time
from fractions import Fraction

import numpy as np
import pytest
import torch
from answers import assert_right, assert_told, each_right, each_wrong

from vae_lessons.distributions import Normal
from vae_lessons.exercises import EXERCISES, check
from vae_lessons.exercises.checking import Exercise, Mistake, grade, noise_statistics, on_cases
from vae_lessons.exercises.verdict import printable

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
        (lambda x: x + x.cos(), "veio 2.01001, que devia ser maior"),
        (lambda: 1, "sua função recebe ()"),
        (3, "esperava uma função, mas veio o número 3"),
        (lambda x: {"x": x}, "esperava um tensor [2], mas veio um dicionário (dict)"),
        (lambda x: None, "Faltou o return?"),
    ],
)
def test_unknown_mistakes_are_explained(answer, expected):
    assert expected in grade(SQUARE, answer).message


def test_a_number_too_large_is_not_called_an_index():
    result = grade(SQUARE, lambda x: x * 2.0**2000)
    assert "grande demais" in result.message
    assert "índice" not in result.message


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
    for unknown in ("99.9", 3.1, ["03.1"], torch.zeros(2)):
        with pytest.raises(ValueError, match=r"(?s)Exercício desconhecido: .*entre aspas.*03\.1"):
            check(unknown, 1)


def test_in_jupyter_the_verdict_is_shown_once_as_html_and_text():
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    shell = InteractiveShell.instance()
    try:
        with capture_output() as captured:
            shell.run_cell('from vae_lessons.exercises import check\ncheck("00.1", 700 + 84)')
    finally:
        InteractiveShell.clear_instance()
    assert len(captured.outputs) == 1
    assert captured.outputs[0].data["text/plain"].startswith("❌ Exercício 00.1: 784 é o número de pixels")
    assert "<b>Exercício 00.1</b>" in captured.outputs[0].data["text/html"]
    assert "Result(" not in captured.stdout


def test_student_text_is_escaped_in_html():
    assert "<script>" not in grade(SQUARE, "<script>alert(1)</script>").to_html()


# O que é certo, escrito de outro jeito


def own_sample(f, q, z):
    z = q.sample()
    return (f(z) * q.log_prob(z).sum(-1)).mean()


def own_samples(f, q, z):
    z = Normal(q.mean.expand_as(z), q.log_var.expand_as(z)).sample()
    return (f(z) * q.log_prob(z).sum(-1)).mean()


def clamped_entropies(epsilon):
    def distortion(x):
        p = x.mean(0).clamp(epsilon, 1 - epsilon)
        return -(p * p.log() + (1 - p) * (1 - p).log()).sum()

    return distortion


def with_defaults(step, warmup_steps, start=0.0):
    return start + min(1, step / warmup_steps)


def with_distributions(mean, log_var):
    q = torch.distributions.Normal(mean, torch.exp(0.5 * log_var))
    return torch.distributions.kl_divergence(q, torch.distributions.Normal(0, 1)).sum(-1)


RIGHT = [
    ("03.2", with_distributions),
    ("03.3", lambda x, logits: torch.distributions.Bernoulli(logits=logits).log_prob(x).sum(-1)),
    ("03.3", lambda x, logits: torch.where(x > 0, logits.sigmoid(), 1 - logits.sigmoid()).log().sum(1)),
    ("03.4", lambda batches: torch.cat(batches).mean()),
    ("02.1", own_sample),
    ("02.1", own_samples),
    ("02.1", lambda f, q, z: (f(z.detach()) * q.log_prob(z.detach()).sum(-1)).mean()[None]),
    ("02.2", lambda *a: torch.stack(EXERCISES["02.2"].solution(*a))),
    ("02.3", math.ceil(1251.75)),
    ("02.3", Fraction(1252)),
    ("03.1", lambda mean, log_var: torch.distributions.Normal(mean, (0.5 * log_var).exp()).rsample()),
    ("03.1", lambda mean, log_var: mean - log_var.exp().sqrt() * torch.randn(mean.shape)),
    ("03.2", lambda mean, log_var: list((0.5 * (log_var.exp() + mean**2 - 1 - log_var)).sum(1))),
    ("03.5", Fraction(1, 2)),
    ("03.6", with_defaults),
    ("03.6", lambda step, warmup_steps: np.clip(step / warmup_steps, 0, 1)),
    ("04.4", clamped_entropies(1e-6)),
    ("04.4", clamped_entropies(1e-12)),
    ("04.4", lambda x: torch.nn.functional.binary_cross_entropy(x.mean(0).expand_as(x), x, reduction="sum") / len(x)),
    ("04.5", lambda information, entropies: float(EXERCISES["04.5"].solution(information, entropies))),
]


@each_right(RIGHT)
def test_another_way_to_write_a_right_answer_passes(exercise_id, answer):
    assert_right(exercise_id, answer)


# O que é errado e parece certo


def noisy(draw):
    return lambda mean, log_var: mean + torch.exp(0.5 * log_var) * draw(mean)


def dependent(mean):
    """Cada dimensão é normal e as duas não têm correlação, mas uma diz o tamanho da outra."""
    noise = torch.randn(len(mean), 1)
    return torch.cat([noise, noise * torch.randn(len(mean), 1).sign()], 1)


def repeated(mean):
    return torch.randn(len(mean) // 2, 2).repeat_interleave(2, 0)


FIXED = torch.randn(60_000, 2, generator=torch.Generator().manual_seed(1))

WRONG = [
    ("02.1", lambda f, q, z: -own_sample(f, q, z), "os números não batem no gradiente em mean"),
    ("02.1", lambda f, q, z: f(q.rsample()).mean(), "os números não batem no gradiente em mean"),
    ("02.1", lambda f, q, z: 1.0, "esperava um tensor do torch"),
    ("03.1", noisy(lambda mean: 2.0 * torch.randint(2, mean.shape) - 1), "só vale −1 ou 1"),
    ("03.1", noisy(lambda mean: torch.randn_like(mean).sign()), "só vale −1 ou 1"),
    ("03.1", noisy(lambda mean: 12**0.5 * (torch.rand_like(mean) - 0.5)), "é uniforme"),
    ("03.1", noisy(lambda mean: torch.distributions.Laplace(0, 0.5**0.5).sample(mean.shape)), "nos quantis do ruído"),
    ("03.1", noisy(dependent), "na dependência entre as dimensões do ruído"),
    ("03.1", noisy(repeated), "na dependência entre os ruídos de exemplos diferentes"),
    ("03.1", noisy(lambda mean: FIXED), "é o mesmo a cada chamada"),
    (
        "03.1",
        lambda mean, log_var: mean.detach() + (0.5 * log_var).exp() * torch.randn_like(mean),
        "o gradiente não passa por mean",
    ),
    ("03.1", lambda mean, log_var: np.zeros(3), "esperava um tensor do torch"),
    ("03.6", lambda step, warmup_steps: min(1.0, step / 10), "10 não serve para todo aquecimento"),
    ("04.3", lambda ra, da, rb, db: abs((db - da) / (ra - rb)), "o módulo esconde"),
    ("04.3", lambda ra, da, rb, db: (db - da) / abs(ra - rb), "não depende de qual dos dois"),
    ("02.4", lambda values, score: (values.abs() * score**2).mean() / (score**2).mean(), "o módulo de values"),
    ("03.4", lambda batches: torch.cat(batches).abs().mean(), "os números não batem"),
    ("04.1", lambda log_lik, kl, beta: beta * kl + log_lik.abs(), "o módulo de log p(x|z)"),
    ("04.4", clamped_entropies(0.01), "os números não batem"),
]


@each_wrong(WRONG)
def test_a_wrong_answer_that_looks_right_is_noticed(exercise_id, answer, reason):
    assert_told(exercise_id, answer, reason)


@pytest.mark.parametrize(("exercise_id", "mistake"), [(i, m) for i, m in MISTAKES if callable(m.answer)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_never_turns_a_mistake_into_a_right_answer(exercise_id, mistake, dtype):
    def rounded(output):
        if isinstance(output, tuple):
            return tuple(map(rounded, output))
        return output.to(dtype) if isinstance(output, torch.Tensor) else output

    with torch.random.fork_rng():
        result = check(exercise_id, lambda *arguments: rounded(mistake.answer(*arguments)))
    assert result.status == "❌"


def test_an_estimator_that_samples_on_its_own_passes_for_many_seeds(monkeypatch):
    measure = EXERCISES["02.1"].measure
    expected = measure(EXERCISES["02.1"].solution)
    seed = torch.manual_seed
    for number in range(20):
        monkeypatch.setattr(torch, "manual_seed", lambda _, number=number: seed(number))
        assert all(torch.equal(a.value, b.value) for a, b in zip(measure(own_sample), expected, strict=True))


def test_normal_noise_passes_for_many_seeds():
    wanted = noise_statistics(torch.randn(60_000, 2, generator=torch.Generator().manual_seed(0)))
    for seed in range(1, 40):
        got = noise_statistics(torch.randn(60_000, 2, generator=torch.Generator().manual_seed(seed)))
        assert max((a.value - b.value).abs().max().item() for a, b in zip(got, wanted, strict=True)) < 0.04


# O que a explicação diz, e o que não diz

VALUES = [e.id for e in EXERCISES.values() if isinstance(e.solution, int | float)]
LETTERS = [e.id for e in EXERCISES.values() if isinstance(e.solution, str)]


@pytest.mark.parametrize("exercise_id", VALUES)
def test_no_wrong_value_is_told_the_right_one(exercise_id):
    right = EXERCISES[exercise_id].solution
    wrong = [m.answer for m in EXERCISES[exercise_id].mistakes]
    wrong += [
        7,
        -right,
        2 * right,
        right / 2,
        10 * right,
        right + 1,
        1 / right,
        right**2,
        1e9,
        0,
        "x",
        [1, 2],
        float("nan"),
    ]
    for answer in wrong:
        message = check(exercise_id, answer).message
        numbers = {float(n.replace(",", ".").replace("−", "-")) for n in re.findall(r"[-−]?\d+(?:[.,]\d+)?", message)}
        assert right not in numbers, message


@pytest.mark.parametrize("exercise_id", LETTERS)
def test_no_wrong_choice_is_told_the_right_letters(exercise_id):
    """Nem a explicação nem a dica dão, entre parênteses ou aspas, uma letra certa que o aluno não escolheu."""
    right = EXERCISES[exercise_id].solution
    options = "abcdef"[: 6 if len(right) > 1 else 5]
    for size in range(1, len(options) + 1):
        for chosen in itertools.combinations(options, size):
            message = check(exercise_id, "".join(chosen)).message
            if set(chosen) != set(right):
                assert set(re.findall(r"[(‘'\"]([a-f])[)’'\"]", message)) & set(right) <= set(chosen), message


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (-1252, "Confira o sinal"),
        (2504, "Parece sobrar ou faltar um fator 2"),
        (12520, "uma potência de 10"),
        (1253, "está perto. Confira a última conta e o arredondamento"),
        (3e7, "A ordem de grandeza está errada"),
        (2000, "Releia o enunciado"),
        ("1252", "tire as aspas"),
        ((1251, 75), "escreva com ponto, 1251.75"),
        ("1251,75", "troque a vírgula por ponto"),
        ((1251, 7, 5), "a vírgula faz uma tupla"),
        (1 / 1252, "Confira o que divide o quê"),
        (1252**2, "as potências e as raízes"),
        (1252**0.5, "as potências e as raízes"),
        (1252 / math.log(2), "Está em bits?"),
        (math.log(1252), "os logaritmos e as exponenciais"),
        (1252 + 0j, "complexo"),
        (np.complex128(1252), "complexo"),
        (10**400, "grande demais"),
        (True, "esperava um número, mas veio True"),
        ({1252}, "um objeto do tipo set"),
        (float("inf"), "infinito"),
    ],
)
def test_a_wrong_value_is_told_what_kind_of_mistake_it_may_be(answer, reason):
    assert reason in check("02.3", answer).message


CUBES = Exercise(
    id="teste",
    solution=lambda p: p.log(),
    mistakes=(),
    measure=on_cases((torch.tensor([0.1, 0.3, 0.9], dtype=torch.float64),)),
    tolerance=1e-9,
)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda p: (p + 1e-4).log(), "uma constante somada dentro de um logaritmo"),
        (lambda p: p.log().float() + 1e-4, "uma constante somada dentro de um logaritmo"),
        (lambda p: p.log().bfloat16(), "A precisão de bfloat16 não basta"),
        (lambda p: -p.log(), "só o sinal está trocado"),
        (lambda p: p.log10(), "Em todos eles o seu é 0.43429 vezes o esperado"),
        (lambda p: p.log2(), "está em bits"),
        (lambda p: p.log() + 2, "sobra ou falta uma constante"),
        (lambda p: (p - p).log(), "infinito"),
        (lambda p: tuple(p.log())[:2], "esperava [3], mas veio [2], uma tupla de 2 elemento(s)"),
        (lambda p: [["a"]], "esperava um número, mas veio o texto 'a'"),
        (lambda p: p[0].log(), "a forma está errada: esperava [3], mas veio [] (um número só)"),
        (lambda p: torch.zeros(1).expand(10**12), "a forma está errada"),
        (lambda p: [0.0] * 10**6, "esperava um tensor [3], mas veio uma lista de 1000000"),
        (lambda p: (-p).to(torch.complex64).log(), "complexo"),
    ],
)
def test_the_kind_of_difference_is_named(answer, reason):
    assert reason in grade(CUBES, answer).message


INVERSE = Exercise(
    id="teste", solution=lambda x: 1 / x, mistakes=(), measure=on_cases((torch.tensor([0.0, 2.0]),)), tolerance=1e-9
)


@pytest.mark.parametrize(
    ("exercise", "answer", "said"),
    [
        (SQUARE, lambda x: x + x.cos(), "veio 2.01001, que devia ser maior"),
        (SQUARE, lambda x: x.square() + x.exp(), "veio 29.0855, que devia ser menor"),
        (INVERSE, lambda x: 1 / x + 3 * x, "veio 6.5, que devia ser menor"),
    ],
)
def test_no_wrong_function_is_told_the_right_number(exercise, answer, said):
    """Só o que veio, onde mais se afasta, e para que lado fica o certo."""
    message = grade(exercise, answer).message
    assert said in message
    right = {1.0, 9.0, 0.25} if exercise is SQUARE else {0.5}
    assert right.isdisjoint(float(n) for n in re.findall(r"\d+(?:\.\d+)?", message)), message


class Unprintable(Exception):
    def __str__(self):
        raise ValueError


def raises(error):
    def answer(x):
        raise error

    return answer


def forever(x):
    return forever(x)


def endless(x):
    while True:
        yield x


async def asynchronous(x):
    return x.square()


def other_dtype(x):
    return torch.ones(2, 2) @ x.double()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (raises(SystemExit(1)), "exit() encerra o programa inteiro"),
        (lambda x: sys.exit(), "exit() encerra o programa inteiro"),
        (raises(KeyboardInterrupt()), "a correção foi interrompida"),
        (raises(GeneratorExit()), "GeneratorExit"),
        (raises(Unprintable()), "Unprintable"),
        (raises(AssertionError()), "um assert seu, sem texto, não se cumpriu"),
        (forever, "a função chama a si mesma sem parar"),
        (endless, "um gerador que não acaba"),
        (asynchronous, "async def"),
        (lambda x, y: x, "sua função recebe (x, y), e aqui é chamada com 1 argumento(s)"),
        (lambda x: undefined_name, "o nome 'undefined_name' não existe"),  # noqa: F821
        (lambda x: math.log(x), "um tensor de vários valores foi usado onde cabe um só"),
        (lambda x: torch.log(2.0), "use as do módulo math"),
        (other_dtype, "tipos numéricos diferentes"),
        (lambda x: x @ torch.zeros(9), "as formas de dois tensores não combinam"),
        (lambda x: 1 / 0, "uma divisão por zero"),
        (lambda x: x[10], "um índice"),
        (lambda x: torch.bitwise_not(x), "não existe para esse tipo de número"),
        (raises(NotImplementedError()), "falta escrevê-la"),
        (lambda x: x.requires_grad_().numpy(), "tensor com gradiente"),
        (Exercise, "sua função recebe"),
    ],
)
def test_an_answer_that_stops_is_explained_in_portuguese(answer, reason):
    result = grade(SQUARE, answer)
    assert result.status == "❌"
    assert reason in result.message


def test_an_answer_that_needs_the_gradient_gets_it_even_under_no_grad():
    def through_autograd(x):
        x.requires_grad_()
        return torch.autograd.grad((x**3 / 3).sum(), x)[0]

    with torch.no_grad():
        assert grade(SQUARE, through_autograd).passed
        assert check("03.1", EXERCISES["03.1"].solution).passed


def test_an_answer_that_prints_is_graded_by_what_it_returns(capsys):
    def talkative(x):
        print("x é", x)
        return x.square()

    assert grade(SQUARE, talkative).passed
    assert "x é" in capsys.readouterr().out


def test_an_answer_that_spoils_a_list_does_not_spoil_the_check():
    def emptying(batches):
        total, count = sum(batch.sum() for batch in batches), sum(map(len, batches))
        batches.clear()
        return total / count

    assert check("03.4", emptying).passed
    assert check("03.4", emptying).passed


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp850", "latin-1", "utf-8"])
def test_every_message_can_be_printed_in_any_encoding(encoding):
    messages = [m.reason for _, m in MISTAKES] + [e.insight + e.hint for e in EXERCISES.values()] + ["✅❌⏳"]
    for message in messages:
        assert printable(message, encoding).encode(encoding)
    assert printable("❌ não há 2 β", "ascii") == "[errado] nao ha 2 beta"
    assert printable("❌ não há 2 β", "cp1252") == "[errado] não há 2 beta"
    assert printable("❌ não há 2 β", "utf-8") == "❌ não há 2 β"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_check_prints_where_the_output_is_not_utf8(encoding):
    code = 'from vae_lessons.exercises import check; check("00.1", 784), check("00.1", ...), check("00.1", 237)'
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    lines = run.stdout.decode(encoding).splitlines()
    assert [line.split()[0] for line in lines] == ["[errado]", "[em", "[certo]"]


def test_the_slowest_check_is_fast():
    seconds = []
    for exercise in EXERCISES.values():
        start = time.process_time()
        check(exercise.id, exercise.solution)
        seconds.append(time.process_time() - start)
    assert max(seconds) < 1
