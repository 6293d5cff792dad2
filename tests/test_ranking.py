"""As notas de uma lista ordenada: contas à mão, força bruta e o que se recusa."""

import math

import pytest
import torch

from vae_lessons.ranking import ndcg_at_k, recall_at_k

SCORES = [ndcg_at_k, recall_at_k]
REAL = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int32, torch.int64]


def in_places(*ranks, n_items=6):
    """Uma pessoa cujos escondidos ficam nestas posições, contadas de 1, da lista: scores e held_out, [1, I]."""
    scores = torch.arange(n_items, 0, -1)[None]
    held_out = torch.zeros(1, n_items)
    held_out[0, [rank - 1 for rank in ranks]] = 1
    return scores, held_out


def by_hand(scores, held_out, k):
    """A definição, item por item: (NDCG, Recall) de uma pessoa."""
    items = [i for i in range(len(scores)) if scores[i] > -math.inf]
    listed = sorted(items, key=lambda i: (-scores[i], i))[:k]
    hits = [1.0 if held_out[i] else 0.0 for i in listed]
    n = min(k, sum(1 for value in held_out if value))
    ideal = sum(1 / math.log2(r + 2) for r in range(n))
    return sum(hit / math.log2(r + 2) for r, hit in enumerate(hits)) / ideal, sum(hits) / n


# Contas à mão


def test_two_held_out_found_at_first_and_third_place():
    scores, held_out = in_places(1, 3)
    assert ndcg_at_k(scores.double(), held_out, 5).item() == pytest.approx(0.9197207891481876, abs=1e-12)
    assert recall_at_k(scores, held_out, 5).tolist() == [1.0]


@pytest.mark.parametrize(
    ("ranks", "k", "ndcg", "recall"),
    [
        ((1,), 1, 1.0, 1.0),
        ((2,), 1, 0.0, 0.0),
        ((2,), 3, 1 / math.log2(3), 1.0),
        ((1, 6), 2, 1 / (1 + 1 / math.log2(3)), 0.5),
        ((4, 5, 6), 3, 0.0, 0.0),
        ((1, 2, 3), 2, 1.0, 1.0),  # não cabem todos: o máximo ainda é 1
    ],
)
def test_small_lists(ranks, k, ndcg, recall):
    assert ndcg_at_k(*in_places(*ranks), k).item() == pytest.approx(ndcg, abs=1e-6)
    assert recall_at_k(*in_places(*ranks), k).item() == pytest.approx(recall, abs=1e-6)


@pytest.mark.parametrize("k", [1, 3, 10, 40, 100])
def test_both_are_the_definition_item_by_item(k):
    generator = torch.Generator().manual_seed(k)
    scores = torch.randint(0, 9, (30, 40), generator=generator).double()  # com muitos empates
    held_out = torch.rand(30, 40, generator=generator) < 0.15
    held_out[:, 0] |= ~held_out.any(1)
    scores[(torch.rand(30, 40, generator=generator) < 0.2) & ~held_out] = -math.inf
    expected = [by_hand(*pair, k) for pair in zip(scores.tolist(), held_out.tolist(), strict=True)]
    assert ndcg_at_k(scores, held_out, k).tolist() == pytest.approx([ndcg for ndcg, _ in expected], abs=1e-12)
    assert recall_at_k(scores, held_out, k).tolist() == pytest.approx([recall for _, recall in expected], abs=1e-12)


# O que não muda a nota


@pytest.mark.parametrize("score", SCORES)
def test_only_the_order_counts(score):
    scores, held_out = torch.randn(20, 30, dtype=torch.float64), torch.eye(30)[:20]
    assert torch.equal(score(scores, held_out, 7), score(3 * scores.exp() - 5, held_out, 7))


@pytest.mark.parametrize("score", SCORES)
def test_each_person_has_a_score_of_their_own(score):
    torch.manual_seed(0)
    scores, held_out = torch.randn(6, 12), torch.eye(12)[3:9]
    alone = torch.cat([score(scores[i : i + 1], held_out[i : i + 1], 4) for i in range(6)])
    assert torch.equal(score(scores, held_out, 4), alone)


@pytest.mark.parametrize("score", SCORES)
def test_among_equals_the_first_item_comes_first(score):
    scores = torch.zeros(3, 5000)
    held_out = torch.zeros(3, 5000)
    held_out[0, 0], held_out[1, 1], held_out[2, 4999] = 1, 1, 1
    assert score(scores, held_out, 1).tolist() == [1.0, 0.0, 0.0]
    assert (score(scores, held_out, 2) > 0).tolist() == [True, True, False]


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.int64, torch.float32])
def test_any_type_of_number_serves(score, dtype, kind):
    scores, held_out = in_places(1, 3)
    found = score(scores.to(dtype), held_out.to(kind), 5)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert found.item() == pytest.approx(1.0 if score is recall_at_k else 0.919721, abs=1e-6)


@pytest.mark.parametrize("score", SCORES)
def test_a_list_longer_than_the_catalogue_is_the_catalogue(score):
    scores, held_out = in_places(2, 5)
    assert torch.equal(score(scores, held_out, 6), score(scores, held_out, 1000))


@pytest.mark.parametrize("score", SCORES)
def test_what_the_person_already_has_is_never_a_hit(score):
    """Só há dois itens a recomendar; o escondido, excluído, não conta nem quando a lista os esgota."""
    scores = torch.tensor([[-math.inf, 1.0, 0.5, -math.inf]])
    assert score(scores, torch.tensor([[1, 0, 0, 0]]), 4).item() == 0.0
    assert score(scores, torch.tensor([[0, 1, 0, 0]]), 4).item() == 1.0


@pytest.mark.parametrize("score", SCORES)
def test_the_arguments_stay_as_they_were(score):
    scores, held_out = torch.randn(4, 9, requires_grad=True), torch.eye(9)[:4]
    before = scores.clone(), held_out.clone()
    assert not score(scores, held_out, 3).requires_grad
    assert torch.equal(scores, before[0])
    assert torch.equal(held_out, before[1])


# O que se recusa


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    ("scores", "held_out", "k", "error", "said"),
    [
        (torch.randn(3, 4), torch.tensor([[1, 0, 0, 0], [0] * 4, [0] * 4]), 2, ValueError, "2 das 3 linhas"),
        (torch.randn(3, 4), torch.ones(3, 5), 2, ValueError, r"\(3, 5\)"),
        (torch.randn(4), torch.ones(4), 2, ValueError, r"scores\[None\]"),
        (torch.randn(0, 4), torch.ones(0, 4), 2, ValueError, r"\(0, 4\)"),
        (torch.tensor([[1.0, math.nan]]), torch.ones(1, 2), 1, ValueError, "NaN"),
        (torch.randn(1, 2), torch.tensor([[2.0, 0.0]]), 1, ValueError, "zeros e uns"),
        (torch.randn(1, 2), torch.tensor([[1.0, math.nan]]), 1, ValueError, "zeros e uns"),
        (torch.randn(1, 2), torch.ones(1, 2), 0, ValueError, "k"),
        (torch.randn(1, 2), torch.ones(1, 2), 1.5, TypeError, "k"),
        ([[0.1, 0.2]], torch.ones(1, 2), 1, TypeError, "list"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_portuguese(score, scores, held_out, k, error, said):
    with pytest.raises(error, match=said):
        score(scores, held_out, k)
