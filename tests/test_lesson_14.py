"""A lição 14: as funções que ela escreve, e os exercícios, com respostas certas de outro jeito e erradas com nome."""

import math
from typing import NamedTuple

import pytest
import torch
from answers import assert_right, assert_told, each_right, each_wrong
from lesson_code import written_in
from torch import Tensor

from vae_lessons.ranking import recall_at_k

hide_some, without, ease, svd, Multinomial, Logistic, Hide = written_in(
    "14", "hide_some", "without", "ease", "svd", "Multinomial", "Logistic", "Hide", NamedTuple=NamedTuple, Tensor=Tensor
)


def likes(n_people=30, n_films=20, share=0.4, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    x = (torch.rand(n_people, n_films, generator=generator) < share).to(dtype)
    x[:, 0] = 1
    return x


# As funções da lição


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_hidden_and_what_is_shown_make_the_whole_and_do_not_meet(dtype):
    x = likes(dtype=dtype)
    known, hidden = hide_some(x, 0.2, seed=3)
    assert torch.equal(known + hidden, x)
    assert (known * hidden).sum() == 0
    assert torch.equal(hidden.sum(1), (0.2 * x.sum(1)).floor().clamp(min=1))
    assert known.dtype == hidden.dtype == dtype


def test_a_person_with_few_films_still_hides_one():
    known, hidden = hide_some(torch.eye(4)[:2] + torch.eye(4)[1:3])
    assert hidden.sum(1).tolist() == [1, 1]
    assert known.sum(1).tolist() == [1, 1]


def test_every_film_has_the_same_chance_of_being_hidden():
    x = torch.ones(4000, 5)
    _, hidden = hide_some(x, 0.2)
    assert (hidden.mean(0) - 0.2).abs().max() < 0.03


def test_a_seed_hides_always_the_same_films():
    x = likes()
    assert torch.equal(hide_some(x, seed=1)[1], hide_some(x, seed=1)[1])
    assert not torch.equal(hide_some(x, seed=1)[1], hide_some(x, seed=2)[1])


def test_known_films_leave_the_list():
    scores, known = torch.arange(6.0).expand(1, -1), torch.tensor([[0, 0, 0, 0, 1, 1.0]])
    assert recall_at_k(without(scores, known), torch.tensor([[0, 0, 0, 1, 0, 0]]), 1).item() == 1


@pytest.mark.parametrize("penalty", [1.0, 30.0])
def test_ease_is_the_best_matrix_that_does_not_copy(penalty):
    """O gradiente da perda é zero fora da diagonal, e a diagonal é zero."""
    x = likes(dtype=torch.float64)
    weights = ease(x, penalty).requires_grad_()
    ((x - x @ weights).square().sum() + penalty * weights.square().sum()).backward()
    off = ~torch.eye(20, dtype=torch.bool)
    assert weights.grad[off].abs().max() < 1e-9
    assert not weights.detach().diagonal().any()


def test_the_truncated_svd_is_the_projection_that_loses_least():
    x = likes(dtype=torch.float64)
    projection = svd(x, 4)
    assert torch.allclose(projection @ projection, projection)
    assert torch.trace(projection).item() == pytest.approx(4)
    left_out = torch.linalg.svdvals(x)[4:].square().sum()
    assert (x - x @ projection).square().sum().item() == pytest.approx(left_out.item())


def test_the_multinomial_is_torchs_without_its_constant():
    torch.manual_seed(0)
    logits, x = torch.randn(5, 7, dtype=torch.float64), torch.randint(0, 4, (5, 7)).double()
    for row, counts in zip(logits, x, strict=True):
        theirs = torch.distributions.Multinomial(int(counts.sum()), logits=row).log_prob(counts)
        constant = math.lgamma(counts.sum() + 1) - torch.lgamma(counts + 1).sum()
        assert Multinomial(row).log_prob(counts).item() == pytest.approx((theirs - constant).item())
    assert torch.allclose(Multinomial(logits).mean.sum(-1), torch.ones(5, dtype=torch.float64))


def test_the_logistic_is_a_product_of_bernoullis():
    logits, x = torch.randn(3, 2, 6), likes(2, 6)
    theirs = torch.distributions.Bernoulli(logits=logits).log_prob(x.expand_as(logits)).sum(-1)
    assert torch.allclose(Logistic(logits).log_prob(x), theirs, atol=1e-5)


def test_the_share_of_films_asked_is_hidden_in_training_and_none_afterwards():
    layer, x = Hide(0.5), torch.ones(400, 50)
    torch.manual_seed(0)
    assert (layer.train()(x) == 0).float().mean().item() == pytest.approx(0.5, abs=0.02)
    assert torch.allclose(layer(x.expand(400, 50)).mean(), x.mean() / 50**0.5, rtol=0.05)
    assert torch.allclose(layer.eval()(x).norm(dim=1), torch.ones(400))
    assert not layer(torch.zeros(1, 50)).isnan().any()


# Os exercícios


def precision_by_a_loop(scores, held_out, k):
    notes = []
    for row, hidden in zip(scores.tolist(), held_out.tolist(), strict=True):
        listed = sorted(range(len(row)), key=lambda i: -row[i])[:k]
        found, total = 0, 0.0
        for place, film in enumerate(listed, start=1):
            if hidden[film]:
                found += 1
                total += found / place
        notes.append(total / min(k, sum(hidden)))
    return torch.tensor(notes)


def gradient_by_autograd(logits, x):
    logits = logits.clone().requires_grad_()
    (x * logits.log_softmax(-1)).sum().backward()
    return logits.grad


def beta_by_counting(epoch, batch, n_batches, cap, anneal_steps):
    step = 0
    for e in range(epoch + 1):
        for b in range(n_batches):
            if (e, b) == (epoch, batch):
                return min(cap, cap * step / anneal_steps)
            step += 1
    return None


def shelf_by_a_loop(logits, n):
    left, drawn = logits.clone(), []
    for _ in range(n):
        film = torch.distributions.Categorical(logits=left).sample()
        left = left.scatter(1, film[:, None], -torch.inf)
        drawn.append(film)
    return torch.stack(drawn, dim=1)


def shelf_by_uniforms(logits, n):
    return (logits - torch.log(-torch.log(torch.rand_like(logits)))).argsort(dim=1, descending=True)[:, :n]


def weighted_by_columns(x, weights, penalty):
    """Uma regressão por filme."""
    n = x.shape[1]
    found = torch.zeros(n, n, dtype=x.dtype)
    for j in range(n):
        others = torch.arange(n) != j
        root = weights.sqrt()[:, None]
        inputs, target = root * x[:, others], root[:, 0] * x[:, j]
        gram = inputs.T @ inputs + penalty * torch.eye(n - 1, dtype=x.dtype)
        found[others, j] = torch.linalg.solve(gram, inputs.T @ target)
    return found


def weighted_by_scaling(x, weights, penalty):
    return ease(weights.sqrt()[:, None] * x, penalty)


RIGHT = [
    ("14.1", precision_by_a_loop),
    ("14.2", gradient_by_autograd),
    ("14.2", lambda logits, x: x - logits.exp() / logits.exp().sum(1, keepdim=True) * x.sum(1, keepdim=True)),
    ("14.3", beta_by_counting),
    ("14.4", shelf_by_a_loop),
    ("14.4", shelf_by_uniforms),
    ("14.4", lambda logits, n: torch.multinomial(logits.softmax(-1), n)),
    ("14.5", weighted_by_columns),
    ("14.5", weighted_by_scaling),
]


def precision(divide):
    def answer(scores, held_out, k):
        hits = held_out.gather(1, scores.argsort(dim=1, descending=True)[:, :k])
        return (hits * hits.cumsum(1) / torch.arange(1, hits.shape[1] + 1)).sum(1) / divide(hits, held_out, k)

    return answer


WRONG = [
    ("14.1", precision(lambda hits, held_out, k: held_out.sum(1)), "número de escondidos"),
    ("14.1", precision(lambda hits, held_out, k: k), "dividiu por k"),
    ("14.1", precision(lambda hits, held_out, k: hits.sum(1).clamp(min=1)), "número de acertos"),
    ("14.1", lambda scores, held_out, k: recall_at_k(scores, held_out, k), "Recall@k"),
    ("14.1", lambda scores, held_out, k: precision_by_a_loop(scores, held_out, k).mean(), "um valor para cada um"),
    ("14.2", lambda logits, x: x - logits.softmax(-1), "número de filmes da pessoa"),
    ("14.2", lambda logits, x: x - torch.sigmoid(logits), "logística"),
    ("14.2", lambda logits, x: x * (1 - logits.softmax(-1)), "denominador"),
    ("14.2", lambda logits, x: gradient_by_autograd(logits, x) / x.sum(1, keepdim=True), "não a média"),
    ("14.3", lambda epoch, batch, n, cap, steps: cap * min(1, batch / steps), "recomeça a cada época"),
    ("14.3", lambda epoch, batch, n, cap, steps: min(cap, (epoch * n + batch) / steps), "cortou em cap"),
    ("14.3", lambda epoch, batch, n, cap, steps: cap * min(1, epoch * n / steps), "degraus"),
    ("14.4", lambda logits, n: logits.argsort(dim=1, descending=True)[:, :n], "sempre a mesma"),
    ("14.4", lambda logits, n: torch.distributions.Categorical(logits=logits).sample((n,)).T, "repetidos"),
    ("14.4", lambda logits, n: (logits + torch.randn_like(logits)).topk(n, dim=1).indices, "Que ruído"),
    ("14.4", lambda logits, n: torch.rand(logits.shape).argsort(1)[:, :n], "não usa os logits"),
    ("14.4", lambda logits, n: shelf_by_a_loop(logits, n)[0], "uma estante por linha"),
    ("14.4", lambda logits, n: logits.softmax(1)[:, :n], "inteiros"),
    ("14.5", lambda x, weights, penalty: ease(x, penalty), "os pesos não entraram"),
    ("14.5", lambda x, weights, penalty: ease(weights[:, None] * x, penalty), "ao quadrado"),
    ("14.5", lambda x, weights, penalty: weighted_by_scaling(x, weights, penalty).T, "transposta"),
]


@each_right(RIGHT)
def test_right_answers_written_in_other_ways_pass(exercise_id, answer):
    assert_right(exercise_id, answer)


@each_wrong(WRONG)
def test_wrong_answers_are_told_why(exercise_id, answer, reason):
    assert_told(exercise_id, answer, reason)


@pytest.mark.parametrize("shape", [(20_000,), (10**6, 10**6), (20_000, 3, 10**6)])
def test_a_shelf_of_any_shape_costs_nothing(shape):
    assert_told("14.4", lambda logits, n: torch.zeros(1, dtype=torch.int64).expand(shape), "uma estante por linha")
