"""A lição 07: o limite sem rótulo que ela define, e os exercícios, com respostas certas de outro jeito e erradas."""

import math

import pytest
import torch
from answers import assert_right, assert_told, each_right, each_wrong
from lesson_code import written_in

(unlabelled_bound,) = written_in("07", "unlabelled_bound")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_with_the_exact_posterior_the_bound_is_the_log_of_the_sum(dtype):
    joint = torch.randn(7, 5, dtype=dtype) * 10 - 100
    assert torch.allclose(unlabelled_bound(joint, joint), joint.logsumexp(-1))


def test_no_posterior_over_labels_does_better():
    joint = torch.randn(200, 4, dtype=torch.float64)
    assert (unlabelled_bound(joint, torch.randn(200, 4, dtype=torch.float64)) < joint.logsumexp(-1)).all()


def test_the_gap_is_the_divergence_between_the_posteriors():
    joint, logits = torch.randn(2, 50, 3, dtype=torch.float64)
    log_q, log_p = logits.log_softmax(-1), joint.log_softmax(-1)
    gap = (log_q.exp() * (log_q - log_p)).sum(-1)
    assert torch.allclose(joint.logsumexp(-1) - unlabelled_bound(joint, logits), gap)


def test_a_constant_added_to_the_logits_changes_nothing():
    bounds, logits = torch.randn(2, 6, 3, dtype=torch.float64)
    assert torch.allclose(unlabelled_bound(bounds, logits), unlabelled_bound(bounds, logits + 1000))


def test_a_sure_label_leaves_only_its_bound():
    logits = torch.tensor([[1e5, 0.0, -1e5], [-math.inf, 0.0, -math.inf]])
    bounds = torch.tensor([[-5.0, -7.0, -9.0], [-math.inf, -3.0, -900.0]])
    assert unlabelled_bound(bounds, logits).tolist() == [-5.0, -3.0]


def test_gradients_are_finite_at_the_extremes():
    logits = torch.tensor([[1e5, 0.0, -math.inf], [0.3, -0.2, 0.0]], requires_grad=True)
    bounds = torch.tensor([[-5.0, -700.0, -math.inf], [-1.0, -2.0, -3.0]], requires_grad=True)
    unlabelled_bound(bounds, logits).sum().backward()
    assert logits.grad.isfinite().all()
    assert torch.allclose(bounds.grad, logits.detach().softmax(-1))


def clouds(*centers, spread=1.0, n=600):
    """Uma classe por item, com os seus grupos na horizontal."""

    def answer():
        generator = torch.Generator().manual_seed(3)
        y = torch.arange(n) % 2
        x = spread * torch.randn(n, 2, generator=generator)
        x[:, 0] += torch.tensor([centers[label][i // 2 % len(centers[label])] for i, label in enumerate(y.tolist())])
        return x, y

    return answer


def responsibilities(bounds, noisy, epsilon):
    """Pelo caminho comprido: a melhor q e o valor que ela dá."""
    n_classes = bounds.shape[-1]
    p = torch.full_like(bounds, epsilon / (n_classes - 1))
    p[torch.arange(len(bounds)), noisy] = 1 - epsilon
    log_q = (bounds + p.log()).log_softmax(-1)
    return (log_q.exp() * (bounds + p.log() - log_q)).sum(-1)


def codes(read, n=1000):
    """Códigos sorteados da prior, e a classe que `read` lê neles."""

    def answer():
        z = torch.randn(n, 2, generator=torch.Generator().manual_seed(5))
        return z, read(z)

    return answer


RIGHT = [
    ("07.1", codes(lambda z: (z.square().sum(-1) > 2 * math.log(2)).int(), n=2000)),
    ("07.1", codes(lambda z: z.prod(-1) > 0)),
    ("07.2", lambda bounds, weight: (bounds / weight - (bounds / weight).logsumexp(-1, keepdim=True)).exp()),
    ("07.3", clouds((0.0,), (3.0, 9.0))),
    ("07.3", clouds((-10.0, 0.0), (3.0,))),
    ("07.4", responsibilities),
]

WRONG = [
    ("07.1", codes(lambda z: z[:, 1] > 0), "a sonda leu a classe"),
    ("07.1", codes(lambda z: (10 * z[:, 0]).floor() % 2), "os vizinhos também não"),
    ("07.1", codes(lambda z: z.norm(dim=-1) > 2), "em partes parecidas"),
    ("07.1", codes(lambda z: z[:, 0] > 0, n=100), "entre 200 e 2000"),
    ("07.2", lambda bounds, w: bounds.softmax(-1), "falta o peso"),
    ("07.2", lambda bounds, w: (w * bounds).softmax(-1), "de que lado"),
    ("07.2", lambda bounds, w: (bounds / w).softmax(0), "ao longo do lote"),
    ("07.2", lambda bounds, w: (bounds / w).log_softmax(-1), "as probabilidades"),
    ("07.2", lambda bounds, w: w * (bounds / w).logsumexp(-1), "o valor do máximo"),
    ("07.3", clouds((-3.0,), (3.0,)), "não aumentaram o erro"),
    ("07.3", clouds((-0.5,), (0.5,)), "já erram 15%"),
    ("07.3", clouds((-3.0,), (3.0,), n=100), "entre 200 e 2000"),
    ("07.3", lambda: torch.randn(300, 2), "dois tensores"),
    ("07.3", lambda: (torch.randn(300, 3), torch.arange(300) % 2), "esperava x [N, 2]"),
    ("07.4", lambda b, y, e: (b + torch.full_like(b, e).scatter(1, y[:, None], 1 - e).log()).logsumexp(-1), "somam 1"),
    ("07.4", lambda b, y, e: b.gather(1, y[:, None])[:, 0] + math.log(1 - e), "Faltam os outros"),
    ("07.4", lambda b, y, e: b.gather(1, y[:, None])[:, 0], "ignora ε"),
    ("07.4", lambda b, y, e: b.logsumexp(-1), "a pista"),
    ("07.4", lambda b, y, e: responsibilities(b, y, e).mean(), "média sobre as imagens"),
]


@each_right(RIGHT)
def test_another_way_to_write_a_right_answer_passes(exercise_id, answer):
    assert_right(exercise_id, answer)


@each_wrong(WRONG)
def test_a_wrong_answer_that_students_give_has_a_name(exercise_id, answer, reason):
    assert_told(exercise_id, answer, reason)
