"""A lição 01: o caminho essencial anda sozinho, e os exercícios sabem o que é certo e o que só parece."""

import ast
import math
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from answers import assert_right, assert_told, each_right, each_wrong

from vae_lessons.authoring.reading import _walk
from vae_lessons.exercises import EXERCISES, check

LESSON = Path(__file__).resolve().parent.parent / "notebooks" / "01_elbo.ipynb"


def written(cells):
    """Os nomes que as células definem ao rodar, sem contar os de dentro das funções."""
    found = set()
    for node in top_level("\n".join(cell.source for cell in cells)):
        match node:
            case ast.Name(name, ast.Store()) | ast.FunctionDef(name) | ast.ClassDef(name):
                found.add(name)
            case ast.alias(name, asname):
                found.add(asname or name)
    return found


def top_level(source):
    waiting = list(ast.parse(source).body)
    while waiting:
        yield (node := waiting.pop())
        if not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def borrowed(cells):
    """Os nomes que as células leem e que elas mesmas não definem em lugar algum."""
    names = [n for n in ast.walk(ast.parse("\n".join(cell.source for cell in cells))) if isinstance(n, ast.Name)]
    loaded, stored = ({n.id for n in names if isinstance(n.ctx, kind)} for kind in (ast.Load, ast.Store))
    return loaded - stored


def test_the_essential_path_uses_nothing_defined_on_a_side_road():
    walked = [(cell, aside) for cell, _, aside in _walk(nbformat.read(LESSON, 4)) if cell.cell_type == "code"]
    essential, side = ([cell for cell, aside in walked if aside is wanted] for wanted in (False, True))
    only_there = written(side) - written(essential)
    assert "log_joint_on_grid" in only_there
    assert only_there & borrowed(essential) == set()


# O certo, escrito de outro jeito


def with_sample_variance(log_lik, log_prior, log_q):
    log_w = (log_lik + log_prior - log_q).numpy()
    return log_w.mean(0), np.sqrt(log_w.var(0, ddof=1) / len(log_w))


def with_the_best_q(log_joint, allowed):
    """A KL da posterior cortada e renormalizada, calculada pela definição."""
    log_q = log_joint.masked_fill(~allowed, -math.inf).log_softmax(-1)
    log_posterior = log_joint.log_softmax(-1)
    return torch.where(allowed, log_q.exp() * (log_q - log_posterior), 0.0).sum(-1)


def row_by_row(log_w):
    return torch.stack([log_w[: j + 1].logsumexp(0) - math.log(j + 1) for j in range(len(log_w))])


def from_the_elbo(delta, W, s):
    """A diferença de duas ELBOs, com as parcelas que a média de q não muda deixadas de fora."""
    x = torch.linspace(-1, 1, len(W), dtype=W.dtype)

    def elbo(mean):
        return -(x - mean @ W.T).square().sum(-1) / (2 * s**2) - 0.5 * mean.square().sum(-1)

    best = torch.linalg.solve(torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W / s**2, W.T @ x / s**2)
    return elbo(best) - elbo(best + delta)


RIGHT = [
    ("01.1", lambda log_prior, log_lik: torch.stack([(log_prior + row).logsumexp(0) for row in log_lik])),
    ("01.1", lambda log_prior, log_lik: [(log_prior + row).logsumexp(0).item() for row in log_lik]),
    ("01.2", with_sample_variance),
    ("01.2", lambda *a: torch.stack(EXERCISES["01.2"].solution(*a))),
    ("01.2", lambda *a: list(EXERCISES["01.2"].solution(*a))),
    ("01.2", lambda a, b, c: ((a + b - c).mean(0), (a + b - c).std(0, correction=0) / len(c) ** 0.5)),
    ("01.3", with_the_best_q),
    ("01.3", lambda log_joint, allowed: -(log_joint.softmax(-1) * allowed).sum(-1).log()),
    ("01.4", "C)"),
    ("01.5", row_by_row),
    ("01.5", lambda w: w.logcumsumexp(0) - torch.log(1.0 + torch.arange(len(w)))[:, None]),
    ("01.6", "acdf"),
    ("01.6", "fdca"),
    ("01.6", " A, C, D, F "),
    ("01.6", "a, c, d e f"),
    ("01.6", "[a, c, d, f]"),
    ("01.6", "a) c) d) f)"),
    ("01.6", ["a", "c", "d", "f"]),
    ("01.6", {"f", "d", "c", "a"}),
    ("01.7", from_the_elbo),
]


@each_right(RIGHT)
def test_another_way_to_write_a_right_answer_passes(exercise_id, answer):
    assert_right(exercise_id, answer)


# O que é errado e parece certo


WRONG = [
    ("01.1", lambda p, x: (p + x - x.max()).exp().sum(-1).log() + x.max(), "o maior termo do lote inteiro"),
    ("01.2", lambda a, b, c: ((a + b - c).std(0) / len(c) ** 0.5, (a + b - c).mean(0)), "na ordem trocada"),
    (
        "01.2",
        lambda a, b, c: ((a + b - c).exp().mean(0).log(), (a + b - c).std(0) / len(c) ** 0.5),
        "o logaritmo da média",
    ),
    ("01.2", lambda a, b, c: ((a + b - c).mean(1), (a + b - c).std(1)), "a forma está errada"),
    ("01.2", lambda a, b, c: (a + b - c).mean(0), "esperava"),
    ("01.3", lambda j, allowed: (allowed * -j.softmax(-1).log()).sum(-1) / allowed.sum(-1), "os números não batem"),
    ("01.3", lambda j, allowed: -j.masked_fill(~allowed, -math.inf).logsumexp(-1), "o negativo da melhor ELBO"),
    ("01.4", "ac", "esperava uma letra só"),
    ("01.5", lambda w: row_by_row(w) * torch.arange(1, len(w) + 1)[:, None], "os números não batem"),
    ("01.5", lambda w: w.logcumsumexp(0) / torch.arange(1, len(w) + 1)[:, None], "fora do logaritmo"),
    ("01.5", lambda w: w.logsumexp(0) - math.log(len(w)), "a forma está errada"),
    ("01.5", lambda w: w.logcumsumexp(0) - math.log(w.shape[1]), "pelo número de exemplos"),
    ("01.6", "acdfg", "esperava só letras, de a a f"),
    ("01.7", lambda d, W, s: 0.5 * (d @ (torch.eye(2).double() + W.T @ W / s) * d).sum(-1), "onde vai s²"),
    ("01.7", lambda d, W, s: 0.5 * ((d @ W.T) ** 2).sum(-1) / s**2, "o que a prior cobra"),
]


@each_wrong(WRONG)
def test_a_wrong_answer_that_looks_right_is_noticed(exercise_id, answer, reason):
    assert_told(exercise_id, answer, reason)


@pytest.mark.parametrize(
    ("chosen", "said", "unsaid"),
    [
        ("acd", ["pode ser péssimo"], ["A (b)", "A (e)", "Ficou de fora um limite"]),
        ("cf", ["Ficou de fora um limite"], ["A (b)", "A (e)", "pode ser péssimo"]),
        ("abcdef", ["A (b)", "A (e)"], ["pode ser péssimo", "Ficou de fora"]),
        ("be", ["A (b)", "A (e)", "pode ser péssimo", "Ficou de fora um limite"], []),
    ],
)
def test_each_set_of_bounds_is_told_only_what_is_wrong_with_it(chosen, said, unsaid):
    message = check("01.6", chosen).message
    assert all(text in message for text in said)
    assert not any(text in message for text in unsaid)
