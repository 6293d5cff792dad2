"""Os exercícios da lição 08: respostas certas escritas de outro jeito, e as erradas que cada um reconhece."""

import math

import pytest
import torch
from torch.nn import functional as F

from vae_lessons.exercises import EXERCISES
from vae_lessons.exercises.checking import grade


def by_the_displacement(loss):
    """Com um z e um código só: para onde um passo de descida leva cada um."""
    z, codebook = torch.zeros(1, 2, requires_grad=True), torch.ones(1, 2, requires_grad=True)
    loss(z, codebook, 0.5).backward()
    if codebook.grad is None or not codebook.grad.any():
        return "remendo"
    return "certa" if z.grad.abs().sum() < codebook.grad.abs().sum() else "trocada"


def by_the_limit(loss):
    """Com β = 0 a perda certa só ensina o dicionário; a trocada, só o codificador."""
    torch.manual_seed(0)
    z, codebook = torch.randn(20, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    at_z, at_codebook = torch.autograd.grad(loss(z, codebook, 0.0), (z, codebook), allow_unused=True)
    if at_codebook is not None and at_codebook.abs().max() > 1e-8:
        return "certa"
    return "remendo" if loss_moves_away(at_z, z, codebook) else "trocada"


def loss_moves_away(at_z, z, codebook):
    nearest = codebook[torch.cdist(z, codebook).argmin(1)]
    return ((z - nearest) * at_z).sum() < 0


def by_remainders(codes, levels):
    index = torch.zeros(codes.shape[:-1])
    for j, n in enumerate(levels):
        index = index * n + codes[..., j] + n // 2
    return index


def by_a_loop(seen, new, n_codes):
    costs = []
    for image in new.tolist():
        cost = 0.0
        for place, code in enumerate(image):
            times = (seen[:, place] == code).sum().item()
            cost -= math.log((times + 1) / (len(seen) + n_codes))
        costs.append(cost)
    return costs


def by_gumbel(logits_of, codes, known):
    for place in range(known, codes.shape[1]):
        logits = logits_of(codes)[:, place]
        noise = -torch.log(-torch.log(torch.rand_like(logits)))
        codes = torch.cat([codes[:, :place], (logits + noise).argmax(-1, keepdim=True), codes[:, place + 1 :]], dim=1)
    return codes


def rotation(z, e):
    """A matriz R de cada linha, [N, D, D]."""
    a, b = F.normalize(z, dim=1), F.normalize(e, dim=1)
    r = F.normalize(a + b, dim=1)
    return torch.eye(z.shape[1]) - 2 * r[:, :, None] * r[:, None] + 2 * b[:, :, None] * a[:, None]


def by_matrices(g, z, e):
    return (e.norm(dim=1) / z.norm(dim=1))[:, None] * torch.einsum("nij,ni->nj", rotation(z, e).to(g), g)


def by_autograd(g, z, e):
    z = z.clone().requires_grad_()
    turned = torch.einsum("nij,nj->ni", rotation(z.detach(), e).to(g), z)
    (e.norm(dim=1, keepdim=True) / z.detach().norm(dim=1, keepdim=True) * turned * g).sum().backward()
    return z.grad


RIGHT = [
    ("08.1", by_the_displacement),
    ("08.1", by_the_limit),
    ("08.2", lambda e: 2 * e - 0.5 * torch.sin(2 * math.pi * e)),
    ("08.2", lambda e: e + torch.floor(e + 0.5).detach() * 3 - 2 * e),
    ("08.3", by_remainders),
    ("08.4", by_a_loop),
    ("08.5", by_gumbel),
    ("08.6", by_matrices),
    ("08.6", by_autograd),
]

WRONG = [
    ("08.1", lambda loss: "certa", "quem aprende"),
    ("08.1", lambda loss: {"remendo": "remendo"}.get(by_the_displacement(loss), "certa"), "toma a trocada por certa"),
    ("08.1", lambda loss: {"certa": "certa"}.get(by_the_displacement(loss), "trocada"), "não distingue os defeitos"),
    ("08.1", lambda loss: {"certa": "trocada", "trocada": "certa"}.get(by_the_displacement(loss), "remendo"), "trocou"),
    ("08.2", lambda e: e**3 + 2 * e, "concorda"),
    ("08.2", torch.round, "derivada da sua f é zero"),
    ("08.2", lambda e: -e, "não sobe"),
    ("08.2", lambda e: (e - 3) ** 2, "não sobe"),
    ("08.2", lambda e: e**2 + 3 * e - 2 * torch.sin(2 * math.pi * e) / math.pi, "não nos três"),
    ("08.3", lambda codes, levels: by_remainders(codes, levels) + 1, "O primeiro índice é 0"),
    ("08.3", lambda codes, levels: by_remainders(codes.flip(-1), levels[::-1]), "a ordem é outra"),
    ("08.3", lambda codes, levels: codes.sum(-1) + sum(n // 2 for n in levels), "somados sem peso"),
    ("08.4", lambda seen, new, n: by_a_loop(seen.reshape(-1, 1).expand(-1, seen.shape[1]), new, n), "numa só contagem"),
    ("08.4", lambda seen, new, n: by_a_loop(new, new, n), "contou nos códigos que ia cobrar"),
    ("08.4", lambda seen, new, n: torch.tensor(by_a_loop(seen, new, n)) / seen.shape[1], "média sobre as posições"),
    ("08.4", lambda seen, new, n: torch.tensor(by_a_loop(seen, new, n)) / math.log(2), "em bits"),
    ("08.4", lambda seen, new, n: torch.tensor(by_a_loop(seen, new, n)).mean(), "média sobre as imagens"),
    ("08.5", lambda logits_of, codes, known: by_gumbel(logits_of, codes, 0), "sorteou também os códigos dados"),
    ("08.5", lambda logits_of, codes, known: logits_of(codes).argmax(-1), "Confira|uma vez só|Esperava"),
    ("08.6", lambda g, z, e: g, "gradiente direto"),
    ("08.6", lambda g, z, e: torch.einsum("nij,ni->nj", rotation(z, e).to(g), g), "falta a razão"),
    ("08.6", lambda g, z, e: by_matrices(g, z, e) * (z.norm(dim=1) / e.norm(dim=1))[:, None] ** 2, "invertida"),
    (
        "08.6",
        lambda g, z, e: (e.norm(dim=1) / z.norm(dim=1))[:, None] * torch.einsum("nij,nj->ni", rotation(z, e).to(g), g),
        "no sentido da ida",
    ),
]


@pytest.mark.parametrize(("exercise_id", "answer"), RIGHT)
def test_another_way_to_write_a_right_answer_passes(exercise_id, answer):
    result = grade(EXERCISES[exercise_id], answer)
    assert result.passed, result.message


@pytest.mark.parametrize(("exercise_id", "answer", "reason"), WRONG)
def test_a_wrong_answer_that_students_give_has_a_name(exercise_id, answer, reason):
    result = grade(EXERCISES[exercise_id], answer)
    assert not result.passed
    assert reason in result.message
