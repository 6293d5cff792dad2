"""A lição 08: as funções que ela escreve, e os exercícios, com respostas certas de outro jeito e erradas com nome."""

import math

import pytest
import torch
from answers import assert_right, assert_told, each_right, each_wrong
from lesson_code import written_in
from torch.nn import functional as F

quantize, perplexity, fsq, ema_step, rotate = written_in("08", "quantize", "perplexity", "fsq", "ema_step", "rotate")


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


# As funções da lição


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_quantized_is_the_nearest_code_exactly(dtype):
    torch.manual_seed(0)
    z, codebook = torch.randn(200, 3, dtype=dtype), torch.randn(17, 3, dtype=dtype)
    quantized, indices = quantize(z, codebook)
    assert indices.dtype == torch.int64
    assert torch.equal(indices, (z[:, None] - codebook).square().sum(-1).argmin(1))
    assert torch.equal(quantized, codebook[indices])


def test_the_gradient_goes_straight_to_z_and_not_to_the_codebook():
    z, codebook = torch.randn(9, 2, requires_grad=True), torch.randn(4, 2, requires_grad=True)
    quantized, _ = quantize(z, codebook)
    upstream = torch.randn(9, 2)
    at_z, at_codebook = torch.autograd.grad(quantized, (z, codebook), upstream, allow_unused=True)
    assert torch.equal(at_z, upstream)
    assert at_codebook is None


@pytest.mark.parametrize("shape", [(12,), (3, 4), (2, 3, 2)])
def test_perplexity_counts_equally_used_codes(shape):
    assert perplexity(torch.arange(12).view(shape) % 4, 9) == pytest.approx(4)
    assert perplexity(torch.zeros(shape, dtype=torch.int64), 9) == pytest.approx(1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("levels", [[4], [8, 5], [3, 4, 2]])
def test_fsq_reaches_every_integer_of_its_range_and_no_other(levels, dtype):
    z = torch.linspace(-40, 40, 8001, dtype=dtype)[:, None, None].expand(-1, 1, len(levels))
    codes = fsq(z, levels)
    assert codes.dtype == dtype
    for j, n in enumerate(levels):
        assert codes[..., j].unique().tolist() == list(range(-(n // 2), -(n // 2) + n))


def test_the_gradient_of_fsq_is_that_of_the_squeeze():
    z = torch.randn(50, 2, dtype=torch.float64, requires_grad=True)
    fsq(z, [5, 4]).sum().backward()
    shift = torch.tensor([0, math.atanh(1 / 3)], dtype=torch.float64)
    half = torch.tensor([2.0, 1.5], dtype=torch.float64)
    assert torch.allclose(z.grad, half * (1 - torch.tanh(z.detach() + shift).square()))


def test_one_step_of_the_averages_without_memory_is_the_mean_of_each_region():
    z, indices = torch.randn(30, 2, dtype=torch.float64), torch.arange(30) % 3
    counts, sums = ema_step(z, indices, torch.ones(3).double(), torch.randn(3, 2).double(), 0.0)
    means = torch.stack([z[indices == k].mean(0) for k in range(3)])
    assert torch.allclose(sums / counts[:, None], means)


def test_the_rotation_gives_the_code_and_keeps_the_angle_of_the_gradient():
    torch.manual_seed(0)
    z, codebook = torch.randn(40, 4, dtype=torch.float64, requires_grad=True), torch.randn(9, 4, dtype=torch.float64)
    turned, indices = rotate(z, codebook)
    upstream = torch.randn(40, 4, dtype=torch.float64)
    (at_z,) = torch.autograd.grad(turned, z, upstream)
    e = codebook[indices]
    assert torch.allclose(turned, e)
    assert torch.allclose(F.cosine_similarity(at_z, z.detach()), F.cosine_similarity(upstream, e))


# Os exercícios

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
    ("08.5", lambda logits_of, codes, known: logits_of(codes).argmax(-1), "pegou de uma vez"),
    ("08.6", lambda g, z, e: g, "gradiente direto"),
    ("08.6", lambda g, z, e: torch.einsum("nij,ni->nj", rotation(z, e).to(g), g), "falta a razão"),
    ("08.6", lambda g, z, e: by_matrices(g, z, e) * (z.norm(dim=1) / e.norm(dim=1))[:, None] ** 2, "invertida"),
    (
        "08.6",
        lambda g, z, e: (e.norm(dim=1) / z.norm(dim=1))[:, None] * torch.einsum("nij,nj->ni", rotation(z, e).to(g), g),
        "no sentido da ida",
    ),
]


@each_right(RIGHT)
def test_another_way_to_write_a_right_answer_passes(exercise_id, answer):
    assert_right(exercise_id, answer)


@each_wrong(WRONG)
def test_a_wrong_answer_that_students_give_has_a_name(exercise_id, answer, reason):
    assert_told(exercise_id, answer, reason)
