"""A lição 02: o que os exercícios aceitam e recusam, e o caminho essencial, que se basta."""

import ast
import builtins
import math
from fractions import Fraction
from pathlib import Path

import nbformat
import pytest
import torch

from vae_lessons.authoring.exercises import tags
from vae_lessons.authoring.reading import _walk
from vae_lessons.exercises import EXERCISES, check
from vae_lessons.exercises.lesson_02 import _best_mean, _expected_reward

LESSON = Path(__file__).resolve().parent.parent / "notebooks" / "02_reinforce_vs_reparametrizacao.ipynb"


def by_hand(change):
    """Uma resposta a 02.2: change(inclinação em z, σ, ε, σ²) → os dois gradientes antes da média; z = μ + σ ε."""

    def answer(df, mean, log_var, noise):
        sigma = (0.5 * log_var).exp()
        return tuple(part.mean(0) for part in change(df(mean + sigma * noise), sigma, noise))

    return answer


def with_variance_for_sigma(df, mean, log_var, noise):
    slope = df(mean + log_var.exp() * noise)
    return slope.mean(0), (slope * 0.5 * log_var.exp() * noise).mean(0)


@pytest.mark.parametrize(
    ("exercise_id", "answer"),
    [
        ("02.2", by_hand(lambda slope, sigma, noise: (slope, 0.5 * slope * sigma * noise))),
        ("02.3", Fraction(1252)),
        (
            "02.4",
            lambda values, score: torch.linalg.lstsq((score**2)[:, None].sqrt(), score.abs() * values).solution[0],
        ),
        ("02.4", lambda values, score: (values * score * score).sum() / (score * score).sum()),
        ("02.5", lambda L: 1 - 1 / L),
        ("02.5", lambda L: Fraction(L - 1, L)),
        ("02.6", torch.tensor(1.9)),
        ("02.6", 1.80),
        ("02.6", 1.98),
        ("02.7", lambda a, b, u: (-torch.expm1(torch.log1p(-u) / b)) ** (1 / a)),
        ("02.7", lambda a, b, u: torch.exp(torch.log(1 - (1 - u) ** (1 / b)) / a)),
    ],
)
def test_equivalent_answers_pass(exercise_id, answer):
    assert check(exercise_id, answer).passed


@pytest.mark.parametrize(
    ("exercise_id", "answer", "words"),
    [
        ("02.1", lambda f, q, z: (f(z) * q.log_prob(z.detach()).sum(-1)).mean(), "mas não o de f(z)"),
        ("02.1", lambda f, q, z: f(z.detach()).mean() * q.log_prob(z.detach()).sum(-1).mean(), "duas médias"),
        ("02.1", lambda f, q, z: (f(z.detach()) * q.log_prob(z.detach()).sum()).mean(), "soma também as amostras"),
        ("02.2", by_hand(lambda slope, sigma, noise: (slope, slope * sigma)), "faltam duas coisas"),
        ("02.2", by_hand(lambda slope, sigma, noise: (slope, slope.mean(0) * 0.5 * sigma * noise)), "duas médias"),
        ("02.2", by_hand(lambda slope, sigma, noise: (0.5 * slope * sigma * noise, slope)), "estão trocados"),
        ("02.2", by_hand(lambda slope, sigma, noise: (slope, 0.5 * slope * sigma**2 * noise)), "entrou a variância"),
        ("02.2", with_variance_for_sigma, "a variância no lugar do desvio padrão"),
        ("02.3", math.sqrt(1251.75), "você tirou a raiz"),
        ("02.3", 35.4, "entre os desvios padrão"),
        ("02.3", 35, "arredondou para baixo"),
        ("02.3", math.ceil(495 / 4), "com σ = 1"),
        ("02.3", math.ceil(1251.75 / 4), "também muda com σ"),
        ("02.3", math.ceil(743.5 / 2), "no lugar de σ²"),
        ("02.3", math.ceil(3026.5 / 66), "a razão para σ"),
        ("02.4", lambda values, score: values.mean(), "não a ótima"),
        ("02.4", lambda values, score: (values * score).mean() / score.square().mean(), "ao quadrado"),
        ("02.5", lambda L: 1, "não visse a amostra"),
        ("02.5", lambda L: 1 / L, "a parte que se perde"),
        ("02.5", lambda L: L / (L - 1), "o fator que corrige"),
        ("02.5", lambda L: 1 - 1 / (L - 1), "há L valores"),
        ("02.5", lambda L: L / (L + 1), "a mais"),
        ("02.5", lambda L: L - 1, "Falta dividir"),
        ("02.5", lambda L: 1 / (L - 1), "cada uma das outras"),
        ("02.5", lambda L: 0.75, "não batem com L = 2"),
        ("02.6", 0.0, "não saiu do lugar"),
        ("02.6", 2.25, "maior recompensa"),
        ("02.6", 1.2, "Suba"),
        ("02.6", -4.0, "sinal"),
        ("02.6", "1,9", "Tire as aspas"),
        ("02.7", lambda a, b, u: 1 - (1 - u**a) ** b, "a acumulada"),
        ("02.7", lambda a, b, u: (1 - u ** (1 / b)) ** (1 / a), "não é a inversa"),
        ("02.7", lambda a, b, u: (1 - (1 - u) ** (1 / a)) ** (1 / b), "trocados"),
        ("02.7", lambda a, b, u: (1 - (1 - u) ** b) ** a, "inverter os expoentes"),
        ("02.7", lambda a, b, u: 1 - (1 - u) ** (1 / b), "parou em z^a"),
        ("02.7", lambda a, b, u: torch.distributions.Kumaraswamy(a, b).sample(u.shape), "não batem"),
    ],
)
def test_wrong_answers_are_told_what_is_wrong(exercise_id, answer, words):
    result = check(exercise_id, answer)
    assert not result.passed
    assert words in result.message


def test_no_feedback_on_the_training_exercise_says_the_answer():
    messages = [check("02.6", answer).message for answer in (0.0, 1.2, 1.7, 2.1, 2.25, 3.0, -1.9, 18.9, 100.0)]
    assert not any("1,8" in message or "1.88" in message or "1,9" in message for message in messages)


def test_the_best_mean_is_where_the_expected_reward_stops_rising():
    mu = torch.tensor(_best_mean(), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(_expected_reward(mu), mu)
    assert abs(slope.item()) < 1e-4
    assert abs(EXERCISES["02.6"].solution - mu.item()) < 0.01


@pytest.mark.parametrize("seed", range(4))
def test_training_with_other_settings_finds_the_best_mean(seed):
    """Com menos sorteios, sem linha de base ou com outra taxa: a tolerância do exercício cobre o ruído do treino."""
    generator = torch.Generator().manual_seed(seed)
    n, rate, centered = ((500, 0.1, True), (2000, 0.2, True), (2000, 0.1, False), (5000, 0.3, False))[seed]
    mu = 0.0
    for _ in range(400):
        eps = torch.randn(n, dtype=torch.float64, generator=generator)
        z = mu + eps
        values = ((z > -1) & (z < 1)).double() + 4 * ((z > 2) & (z < 2.5)).double()
        mu += rate * ((values - centered * values.mean()) * eps).mean().item()
    assert check("02.6", mu).passed


def test_the_inverse_gives_kumaraswamy_quantiles():
    a, b = torch.tensor(2.0, dtype=torch.float64), torch.tensor(3.0, dtype=torch.float64)
    u = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    z = EXERCISES["02.7"].solution(a, b, u)
    assert torch.allclose(1 - (1 - z**a) ** b, u)


def defined_and_used(source):
    """Os nomes que uma célula define no nível de cima e todos os que ela lê."""
    tree = ast.parse(source)
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    stored = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    stored |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    stored |= {a.asname or a.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for a in node.names}
    stored |= {a.asname or a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    local = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    local |= {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}
    return stored, {node.id for node in names if isinstance(node.ctx, ast.Load)} - local


def test_the_essential_path_uses_only_what_it_defines():
    known = set(dir(builtins))
    for cell, text, aside in _walk(nbformat.read(LESSON, as_version=4)):
        if cell.cell_type == "code" and not aside and "solution" not in tags(cell):
            defined, used = defined_and_used(text)
            assert used <= known | defined, f"a célula que começa com {text[:60]!r} usa {used - known - defined}"
            known |= defined
