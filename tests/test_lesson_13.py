"""A lição 13: as funções que ela escreve, e os exercícios, com respostas certas de outro jeito e erradas com nome."""

import math

import pytest
import torch
from answers import assert_right, assert_told, each_right, each_wrong
from lesson_code import written_in
from torch import nn

from vae_lessons.data import Dataset
from vae_lessons.distributions import Dirichlet, Normal
from vae_lessons.models import VAE
from vae_lessons.training import TrainConfig, fit, fit_many

page_log_prob, npmi, coherence, diversity, laplace = written_in(
    "13", "page_log_prob", "npmi", "coherence", "diversity", "laplace", Normal=Normal
)


# As funções


def test_npmi_is_one_zero_and_minus_one_where_it_should_be():
    always = torch.tensor([[1, 1], [1, 1], [0, 0], [0, 0]])
    independent = torch.tensor([[1, 1], [1, 0], [0, 1], [0, 0]])
    never = torch.tensor([[1, 0], [0, 1], [0, 0], [1, 0]])
    found = [npmi(presence)[0, 1].item() for presence in (always, independent, never)]
    assert found == pytest.approx([1, 0, -1], abs=1e-12)
    assert npmi(torch.ones(3, 2))[0, 1] == 1


def test_npmi_is_symmetric_and_within_bounds():
    presence = torch.rand(200, 12, generator=torch.Generator().manual_seed(0)) < torch.linspace(0.05, 0.9, 12)
    pairs = npmi(presence)
    torch.testing.assert_close(pairs, pairs.T)
    assert pairs.abs().max() <= 1 + 1e-12


def test_coherence_is_the_mean_over_the_pairs_of_each_list():
    pairs = torch.arange(25.0).reshape(5, 5)
    pairs = pairs + pairs.T
    lists = torch.tensor([[0, 1, 2], [4, 2, 3]])
    by_hand = [(pairs[0, 1] + pairs[0, 2] + pairs[1, 2]) / 3, (pairs[4, 2] + pairs[4, 3] + pairs[2, 3]) / 3]
    assert coherence(lists, pairs).tolist() == pytest.approx([value.item() for value in by_hand])


def test_diversity_goes_from_one_over_k_to_one():
    assert diversity(torch.arange(12).reshape(3, 4)) == 1
    assert diversity(torch.arange(4).expand(3, 4)) == pytest.approx(1 / 3)
    assert diversity(torch.tensor([[0, 1], [1, 2]])) == 0.75


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_page_is_a_mixture_of_the_topics(dtype):
    beta = torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.2, 0.6]], dtype=dtype)
    theta = torch.tensor([[0.4, 0.6]], dtype=dtype)
    x = torch.tensor([[2.0, 0.0, 1.0]], dtype=dtype)
    assert page_log_prob(x, theta, beta).item() == pytest.approx(2 * math.log(0.32) + math.log(0.36), abs=1e-6)


@pytest.mark.parametrize(("alpha", "n_topics", "variance"), [(0.02, 50, 49.0), (1.0, 20, 0.95)])
def test_the_symmetric_case_has_a_short_formula(alpha, n_topics, variance):
    normal = laplace(torch.full((n_topics,), alpha).double())
    assert normal.mean.abs().max() < 1e-12
    assert normal.log_var.exp().tolist() == pytest.approx([variance] * n_topics)


def test_with_many_topics_and_large_alpha_the_normal_has_the_moments_of_the_dirichlet():
    torch.manual_seed(0)
    alpha = torch.linspace(5, 20, 30)
    normal = Normal(*(part.expand(20000, -1) for part in laplace(alpha)))
    theta, exact = normal.sample().softmax(-1), Dirichlet(alpha.expand(20000, -1)).sample()
    torch.testing.assert_close(theta.mean(0), exact.mean(0), rtol=0.1, atol=0)
    torch.testing.assert_close(theta.std(0), exact.std(0), rtol=0.15, atol=0)


# O que a lição supõe do pacote


def test_fit_many_trains_batch_normalization_as_fit_does():
    """Cada semente com as suas médias: as do lote no treino e as guardadas na avaliação."""

    def model(seed):
        torch.manual_seed(seed)
        encoder = nn.Sequential(nn.Linear(6, 8), nn.Softplus(), nn.Linear(8, 4, bias=False), nn.BatchNorm1d(4))
        return VAE(encoder, nn.Sequential(nn.Linear(2, 6, bias=False), nn.BatchNorm1d(6, affine=False)), latent_dim=2)

    x = Dataset((torch.rand(60, 6, generator=torch.Generator().manual_seed(0)) < 0.4).float())
    config = TrainConfig(epochs=3, batch_size=20, lr=1e-2)
    together = fit_many([model(0), model(1)], x, config, sweep={"seed": [0, 1]}, progress=False)
    for seed, run in enumerate(together):
        alone = model(seed)
        alone_history = fit(alone, x, run.config, progress=False)
        assert run.history.elbo == pytest.approx(alone_history.elbo, abs=1e-3)
        for ours, theirs in zip(run.model.eval().encode(x.x), alone.eval().encode(x.x), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=0.01)


# As respostas


def by_every_word(alpha, beta, lengths):
    pages = torch.zeros(len(lengths), beta.shape[1], dtype=torch.int64)
    gammas = torch.distributions.Gamma(alpha, torch.ones_like(alpha)).sample((len(lengths),))
    for i, n in enumerate(lengths.tolist()):
        topics = torch.multinomial(gammas[i], n, replacement=True)
        chosen = torch.multinomial(beta[topics], 1)[:, 0]
        pages[i] = torch.bincount(chosen, minlength=beta.shape[1])
    return pages


def by_multinomials(alpha, beta, lengths):
    shares = torch.distributions.Dirichlet(alpha).sample((len(lengths),)) @ beta
    drawn = [torch.distributions.Multinomial(int(n), share).sample() for n, share in zip(lengths, shares, strict=True)]
    return torch.stack(drawn).double()


def topic_by_page(alpha, beta, lengths):
    theta = torch.distributions.Dirichlet(alpha).sample((len(lengths),))
    topics = torch.distributions.Categorical(theta).sample()
    pairs = zip(topics, lengths, strict=True)
    return torch.stack([torch.distributions.Multinomial(int(n), beta[k]).sample() for k, n in pairs])


def same_page(alpha, beta, lengths):
    share = torch.distributions.Dirichlet(alpha).sample() @ beta
    return torch.stack([torch.distributions.Multinomial(int(n), share).sample() for n in lengths])


def umass_by_matrices(topic, presence):
    chosen = presence[:, topic].double()
    together = chosen.T @ chosen
    return ((together + 1) / together.diagonal()).log().tril(-1).sum()


def umass_in_numpy(topic, presence):
    array = presence.numpy()
    total = 0.0
    for i in range(1, len(topic)):
        for j in range(i):
            both = (array[:, topic[i]] * array[:, topic[j]]).sum()
            total += math.log(both + 1) - math.log(array[:, topic[j]].sum())
    return total


def alpha_by_one_variance(mean, variance):
    """Isola c com a última variância só."""
    n = mean.shape[-1]
    last = ((-mean[..., -1:]).exp() * (1 - 2 / n) + (-mean).exp().sum(-1, keepdim=True) / n**2) / variance[..., -1:]
    return last * mean.exp()


def analogy_by_a_loop(codes, quads):
    right = [0, 0]
    for a, b, c, d in quads.tolist():
        target = codes[c] + codes[b] - codes[a]
        order = (codes - target).norm(dim=1).argsort().tolist()
        right[1] += order[0] == d
        right[0] += next(k for k in order if k not in (a, b, c)) == d
    return right[0] / len(quads), right[1] / len(quads)


RIGHT = [
    ("13.1", by_every_word),
    ("13.1", by_multinomials),
    ("13.2", umass_by_matrices),
    ("13.2", umass_in_numpy),
    ("13.3", alpha_by_one_variance),
    ("13.3", lambda m, v: ((1 - 2 / m.shape[-1]) + torch.exp(m) * torch.exp(-m).mean(-1, True) / m.shape[-1]) / v),
    ("13.4", torch.tensor([[0.49, 0.02, 0.49], [0.49, 0.49, 0.02]])),
    ("13.4", [[0.01, 0.5, 0.49], [0.5, 0.49, 0.01]]),
    ("13.5", analogy_by_a_loop),
]
WRONG = [
    ("13.1", topic_by_page, "cada uma fala de um tópico só"),
    ("13.1", same_page, "sorteou um θ só"),
    ("13.1", lambda a, b, n: by_multinomials(a, b, n)[:5], "uma linha para cada número"),
    ("13.1", lambda a, b, n: n[:, None] * (a / a.sum() @ b), "são as esperadas"),
    ("13.1", lambda a, b, n: by_multinomials(a, b, n) / n[:, None], "são as esperadas"),
    ("13.2", lambda t, x: umass_by_matrices(t[::-1], x), "a mais provável do par"),
    ("13.2", lambda t, x: umass_by_matrices(t, x) / (len(t) * (len(t) - 1) / 2), "tirou a média sobre os pares"),
    ("13.3", lambda m, v: torch.exp(m), "é a variância que o fixa"),
    ("13.3", lambda m, v: (1 - 1 / m.shape[-1]) / v, "todos os α são iguais"),
    ("13.4", [[0.9, 0.05, 0.05], [0.9, 0.05, 0.05]], "não passa do maior"),
    ("13.4", [[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]], "sem zero"),
    ("13.4", torch.ones(2, 4) / 4, "[2, 3]"),
    ("13.4", "dois", "[2, 3]"),
    ("13.5", lambda c, q: analogy_by_a_loop(c, q)[0:1] * 2, "são iguais"),
    ("13.5", lambda c, q: analogy_by_a_loop(c, q)[::-1], "na ordem errada"),
]


@each_right(RIGHT)
def test_right_answers_written_in_other_ways_pass(exercise_id, answer):
    assert_right(exercise_id, answer)


@each_wrong(WRONG)
def test_wrong_answers_are_told_why(exercise_id, answer, reason):
    assert_told(exercise_id, answer, reason)


@pytest.mark.parametrize("seed", range(6))
def test_chance_does_not_fail_a_right_answer(seed):
    torch.manual_seed(seed)
    assert_right("13.1", by_multinomials)
