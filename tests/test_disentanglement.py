"""As notas de separação dos fatores: contas à mão, códigos perfeitos, ruído e códigos girados."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import mutual_info_score

from vae_lessons import disentanglement
from vae_lessons.disentanglement import dci_disentanglement, mutual_information, mutual_information_gap
from vae_lessons.distributions import Normal

LOG2 = math.log(2)
SCORES = [mutual_information_gap, dci_disentanglement]


def factorial(*sizes):
    return torch.cartesian_prod(*(torch.arange(size) for size in sizes))


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def standardized(factors):
    """Um código perfeito: cada fator numa dimensão, com média 0 e variância 1."""
    return (factors.double() - factors.double().mean(0)) / factors.double().std(0)


@pytest.fixture(scope="module")
def factors():
    """Os das figurinhas: forma, escala, orientação, x e y."""
    return factorial(3, 4, 8, 8, 8)


# Contas à mão


def test_mutual_information_of_four_examples_by_hand():
    """Dois bits: o primeiro sozinho, o ou-exclusivo deles, a soma e o par inteiro."""
    v = factorial(2, 2)
    first, second = v.T
    codes = torch.stack([first, first ^ second, first + second, 2 * first + second], 1)
    expected = LOG2 * torch.tensor([[1, 0], [0, 0], [0.5, 0.5], [1, 1]], dtype=torch.float64)
    torch.testing.assert_close(mutual_information(codes, v), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(mutual_information(codes.double(), v), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("columns", "gap"),
    [([0, 1], 0.5), ([0, 2], (0.5 + 0.5) / 2), ([0, 3], (0 + 1) / 2), ([2, 3], 0.5), ([1, 2], 0.5), ([2, 2], 0.0)],
)
def test_gap_of_four_examples_by_hand(columns, gap):
    v = factorial(2, 2)
    first, second = v.T
    codes = torch.stack([first, first ^ second, first + second, 2 * first + second], 1)[:, columns]
    assert mutual_information_gap(codes, v) == pytest.approx(gap, abs=1e-12)


def test_gap_is_relative_to_the_entropy_of_the_factor_and_not_of_the_code():
    v = torch.tensor([[0, 0], [0, 1], [0, 2], [1, 3]])  # H = log 4 − ¾ log 3 e log 4
    codes = torch.tensor([[0, 0], [1, 0], [2, 0], [3, 1]])
    entropy = math.log(4) - 0.75 * math.log(3)
    torch.testing.assert_close(
        mutual_information(codes, v),
        torch.tensor([[entropy, math.log(4)], [entropy, entropy]], dtype=torch.float64),
        rtol=0,
        atol=1e-12,
    )
    assert mutual_information_gap(codes, v) == pytest.approx((0 + (math.log(4) - entropy) / math.log(4)) / 2)


def test_bins_have_equal_width_and_the_last_one_holds_the_maximum():
    codes = torch.tensor([[0.0], [0.4], [0.6], [1.0], [0.45], [0.05]]) * 7 - 3
    every_example = torch.arange(6)[:, None]
    side = torch.tensor([[0], [0], [1], [1], [0], [0]])
    expected = math.log(6) - (4 * math.log(4) + 2 * LOG2) / 6
    assert mutual_information(codes, every_example, n_bins=2).item() == pytest.approx(expected)
    assert mutual_information(codes, side, n_bins=2).item() == pytest.approx(expected)


def test_mutual_information_matches_the_published_discretisation(factors):
    """np.histogram e np.digitize, como em disentanglement_lib (Locatello et al., 2019), e a conta do scikit-learn."""
    codes = standardized(factors)[:, :3] + noise(len(factors), 3)
    binned = [np.digitize(c, np.histogram(c, 20)[1][:-1]) for c in codes.T.numpy()]
    expected = [[mutual_info_score(v, z) for v in factors.T.numpy()] for z in binned]
    torch.testing.assert_close(
        mutual_information(codes, factors), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12
    )


def test_discrete_codes_are_used_as_they_are():
    v = factorial(50, 2)
    codes = 1000 * v - 7
    exact = mutual_information(codes, v, n_bins=2)
    torch.testing.assert_close(exact, torch.diag(torch.tensor([50.0, 2.0]).double().log()), rtol=0, atol=1e-12)
    binned = mutual_information(codes.double(), v, n_bins=2)
    assert binned[0, 0].item() == pytest.approx(LOG2)
    assert binned[1, 1].item() == pytest.approx(LOG2)


@pytest.mark.parametrize(
    ("importance", "score"),
    [
        ([[1, 0], [0, 1]], 1),
        ([[0.5, 0.5], [0.5, 0.5]], 0),
        ([[1, 1], [0, 0]], 0),
        ([[1, 0], [0, 1], [0, 0]], 1),
        ([[0.5, 0], [0.5, 0], [0, 1]], 1),
        ([[0.5, 0.5, 0, 0], [0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5], [0, 0, 0.5, 0.5]], 0.5),
        ([[1, 1, 1, 0], [0, 0, 0, 1]], 0.75 * (1 - math.log(3, 4)) + 0.25),
        ([[0.8, 0.2], [0.2, 0.8]], 1 + 0.8 * math.log2(0.8) + 0.2 * math.log2(0.2)),
        ([[0, 0], [0, 0]], 0),
    ],
)
def test_dci_of_known_importances_by_hand(monkeypatch, importance, score):
    known = torch.tensor(importance, dtype=torch.float64)
    monkeypatch.setattr(disentanglement, "_importance", lambda *_: known)
    v = factorial(*[2] * known.shape[1])
    assert dci_disentanglement(noise(len(v), len(known)), v) == pytest.approx(score, abs=1e-12)


def test_importances_of_perfect_codes_are_the_identity(factors):
    codes = standardized(factors)[:, [1, 0, 2]]
    importance = disentanglement._importance(codes, factors[:, :3], 0)
    torch.testing.assert_close(importance, torch.eye(3).double()[[1, 0, 2]], rtol=0, atol=1e-12)


def test_importances_of_each_factor_sum_to_one(factors):
    codes = standardized(factors) + noise(len(factors), 5)
    importance = disentanglement._importance(codes, factors[:, :4], 0)
    assert importance.shape == (5, 4)
    torch.testing.assert_close(importance.sum(0), torch.ones(4).double())


# Códigos perfeitos, ruído e códigos girados


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    "change",
    [
        lambda z: z,
        lambda z: z[:, [3, 0, 4, 1, 2]],
        lambda z: -z,
        lambda z: 1e6 * z - 3e7,
        lambda z: torch.tanh(z / 2),
        lambda z: z.float(),
        lambda z: torch.cat([z, torch.full((len(z), 2), 5.0)], 1),
    ],
    ids=["axes", "permuted", "flipped", "scaled", "warped", "float32", "dead_units"],
)
def test_axis_aligned_codes_score_one(factors, score, change):
    assert score(change(standardized(factors)), factors) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("score", SCORES)
def test_extra_noise_codes_do_not_hurt(factors, score):
    codes = torch.cat([noise(len(factors), 5), standardized(factors)], 1)
    assert 0.99 < score(codes, factors) <= 1


@pytest.mark.parametrize("score", SCORES)
def test_noisy_axes_score_between_noise_and_perfection(factors, score):
    scores = [score(standardized(factors) + scale * noise(len(factors), 5), factors) for scale in (0.1, 0.5, 2, 50)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.9
    assert 0.05 < scores[1] < 0.9
    assert scores[3] < 0.02


@pytest.mark.parametrize("score", SCORES)
def test_noise_scores_zero(factors, score):
    assert 0 <= score(noise(len(factors), 6), factors) < 0.02


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("size", [2, 4])
def test_codes_that_mix_every_factor_by_a_hadamard_rotation_score_zero(score, size):
    hadamard = torch.tensor([[1.0]], dtype=torch.float64)
    while len(hadamard) < size:
        hadamard = torch.kron(hadamard, torch.tensor([[1.0, 1], [1, -1]])) / 2**0.5
    v = factorial(*[8] * size)
    assert 0 <= score(standardized(v) @ hadamard, v) < 0.02


def test_rotation_within_pairs_leaves_nothing_of_the_gap_and_a_known_part_of_dci():
    """Cada dimensão serve a dois de quatro fatores: D = 1 − log_4 2 = ½, e a MIG, que olha os fatores, é zero."""
    pair = torch.tensor([[1.0, 1], [1, -1]], dtype=torch.float64) / 2**0.5
    v = factorial(8, 8, 8, 8)
    codes = standardized(v) @ torch.block_diag(pair, pair)
    assert mutual_information_gap(codes, v) == pytest.approx(0, abs=1e-9)
    assert dci_disentanglement(codes, v) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("score", SCORES)
def test_nearly_dead_units_are_perfect_by_their_means_and_worthless_by_their_samples(factors, score):
    means = 1e-3 * standardized(factors)
    assert score(means, factors) == pytest.approx(1, abs=1e-9)
    assert score(means + noise(len(factors), 5), factors) < 0.02


def test_duplicated_codes_zero_the_gap_and_not_dci(factors):
    """As notas discordam: a MIG quer cada fator numa dimensão só; D quer cada dimensão com um fator só."""
    codes = standardized(factors).repeat(1, 2)
    assert mutual_information_gap(codes, factors) == pytest.approx(0, abs=1e-9)
    assert dci_disentanglement(codes, factors) == pytest.approx(1, abs=1e-9)


def test_codes_read_with_view_where_a_transpose_is_needed_are_told_apart(factors):
    """[Z, N].view(N, Z) tem a forma certa e os códigos trocados: a nota de um código perfeito despenca."""
    by_dimension = standardized(factors).T.contiguous()
    for score in SCORES:
        assert score(by_dimension.T, factors) > 0.99
        assert score(by_dimension.view(len(factors), 5), factors) < 0.1


def test_information_has_one_row_per_code_and_one_column_per_factor(factors):
    codes = torch.stack([standardized(factors)[:, 0], standardized(factors)[:, 0] + noise(len(factors))], 1)
    information = mutual_information(codes, factors)
    assert information.shape == (2, 5)
    assert information[0, 0].item() == pytest.approx(math.log(3))
    assert 0.1 < information[1, 0] < math.log(3) - 0.1
    assert (information[:, 1:] < 0.02).all()


# Propriedades


def test_gap_does_not_depend_on_the_order_of_the_examples(factors):
    codes = standardized(factors) + 0.5 * noise(len(factors), 5)
    order = torch.randperm(len(factors), generator=torch.Generator().manual_seed(1))
    shuffled = mutual_information(codes[order], factors[order])
    torch.testing.assert_close(shuffled, mutual_information(codes, factors), rtol=0, atol=1e-12)
    assert mutual_information_gap(codes[order], factors[order]) == pytest.approx(
        mutual_information_gap(codes, factors), abs=1e-12
    )


def test_dci_depends_on_the_order_of_the_examples_and_on_the_seed_only_as_on_a_draw(factors):
    codes = standardized(factors) + 0.2 * noise(len(factors), 5)
    order = torch.randperm(len(factors), generator=torch.Generator().manual_seed(1))
    scores = [dci_disentanglement(codes, factors, seed=seed) for seed in (0, 0, 1)]
    scores.append(dci_disentanglement(codes[order], factors[order]))
    assert scores[0] == scores[1]
    assert len(set(scores)) == 3
    assert max(scores) - min(scores) < 0.05


def test_only_the_order_of_the_values_matters_to_dci(factors):
    """As faixas de mesma largura da MIG, ao contrário, sentem a deformação."""
    codes = standardized(factors) + 0.1 * noise(len(factors), 5)
    assert dci_disentanglement(codes.exp(), factors) == pytest.approx(dci_disentanglement(codes, factors), abs=1e-9)
    assert mutual_information_gap(codes.exp(), factors) < mutual_information_gap(codes, factors) - 0.05


def test_trees_of_dci_do_not_memorise_small_noise(factors):
    """Com folhas de um exemplo, a nota cairia para 0,95 sem que código algum servisse a dois fatores."""
    assert dci_disentanglement(standardized(factors) + 0.1 * noise(len(factors), 5), factors) > 0.99


def test_relabelled_factors_score_the_same(factors):
    codes = standardized(factors) + 0.5 * noise(len(factors), 5)
    relabelled = 100 - 7 * factors
    torch.testing.assert_close(
        mutual_information(codes, relabelled), mutual_information(codes, factors), rtol=0, atol=1e-12
    )


def test_scores_touch_no_global_generator(factors):
    codes = standardized(factors)[::50] + noise(123, 5)
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    for score in SCORES:
        assert isinstance(score(codes.float().requires_grad_(), factors[::50]), float)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002


# O viés com poucos exemplos


def test_information_of_independent_codes_is_biased_as_miller_says():
    """Em média (b − 1)(K − 1) / 2N nats, com b faixas e K valores (Miller, 1955)."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.rand(1000, 400, generator=generator)
    v = torch.randint(5, (1000, 1), generator=generator)
    for n_bins in (5, 20):
        bias = mutual_information(codes, v, n_bins=n_bins).mean().item()
        assert bias == pytest.approx((n_bins - 1) * (5 - 1) / (2 * 1000), rel=0.06)


def test_bias_cancels_in_the_gap_of_noise_and_costs_little_beside_a_perfect_code():
    generator = torch.Generator().manual_seed(0)
    v = factorial(8, 8).repeat(20, 1)  # N = 1280
    bias = 19 * 7 / (2 * 1280) / math.log(8)
    noises = torch.rand(1280, 40, generator=generator)
    pairs = [mutual_information_gap(pair, v) for pair in noises.split(2, 1)]
    assert sum(pairs) / len(pairs) < bias / 3
    beside = [mutual_information_gap(torch.cat([v.float(), one], 1), v) for one in noises.split(1, 1)]
    assert 1 - sum(beside) / len(beside) == pytest.approx(bias, rel=0.1)


def test_several_draws_of_each_image_take_most_of_the_bias_away():
    """128 imagens, como em load("discs"), e um bom código com ruído: um sorteio de cada lê bem menos que muitos."""
    v = factorial(8, 4, 4)
    noises = noise(48 * len(v), 3).reshape(48, len(v), 3)
    codes = torch.cat([standardized(v) + 0.12 * noises, noises], -1)
    one, many, twice = (mutual_information_gap(codes[:n].flatten(0, 1), v.repeat(n, 1)) for n in (1, 24, 48))
    assert one < many - 0.1
    assert twice == pytest.approx(many, abs=0.02)


# Entradas ruins


GOOD_CODES, GOOD_FACTORS = noise(8, 2), factorial(2, 4)


@pytest.mark.parametrize("function", [mutual_information, *SCORES])
@pytest.mark.parametrize(
    ("codes", "factors", "error", "message"),
    [
        (GOOD_CODES[:7], GOOD_FACTORS, ValueError, "7 códigos e os fatores de 8 exemplos"),
        (GOOD_CODES[:, 0], GOOD_FACTORS, ValueError, r"codes deve ter forma \[N, Z\].*veio \(8,\)"),
        (GOOD_CODES[None], GOOD_FACTORS, ValueError, r"codes deve ter forma \[N, Z\]"),
        (GOOD_CODES[:0], GOOD_FACTORS[:0], ValueError, r"codes deve ter forma \[N, Z\].*veio \(0, 2\)"),
        (GOOD_CODES, GOOD_FACTORS[:, 0], ValueError, r"factors deve ter forma \[N, F\].*factors\[:, None\]"),
        (GOOD_CODES, GOOD_FACTORS[:, :0], ValueError, r"factors deve ter forma \[N, F\]"),
        (GOOD_CODES, GOOD_FACTORS.double(), TypeError, "índices inteiros.*float64"),
        (GOOD_FACTORS, GOOD_CODES, TypeError, r"float64.*ordem dos argumentos é \(codes, factors\)"),
        (Normal(GOOD_CODES, GOOD_CODES), GOOD_FACTORS, TypeError, r"vieram Normal e Tensor.*q\.sample\(\) ou q\.mean"),
        (GOOD_CODES.numpy(), GOOD_FACTORS, TypeError, "vieram ndarray e Tensor"),
        (GOOD_CODES, None, TypeError, r"vieram Tensor e NoneType.*load\('sprites'\)"),
        (GOOD_CODES, GOOD_FACTORS * torch.tensor([1, 0]), ValueError, r"colunas \[1\] têm um só"),
        (GOOD_CODES[:1], GOOD_FACTORS[:1], ValueError, r"colunas \[0, 1\] têm um só"),
        (GOOD_CODES.index_fill(0, torch.tensor(3), math.nan), GOOD_FACTORS, ValueError, "NaN ou infinito em codes"),
        (GOOD_CODES.index_fill(0, torch.tensor(3), math.inf), GOOD_FACTORS, ValueError, "NaN ou infinito em codes"),
    ],
)
def test_scores_refuse_bad_input(function, codes, factors, error, message):
    with pytest.raises(error, match=message):
        function(codes, factors)


@pytest.mark.parametrize("function", [mutual_information, mutual_information_gap])
def test_a_single_bin_is_refused(function):
    with pytest.raises(ValueError, match=r"n_bins.*ao menos 2, e veio 1"):
        function(GOOD_CODES, GOOD_FACTORS, n_bins=1)


def test_a_gap_needs_two_codes():
    with pytest.raises(ValueError, match="Z = 1"):
        mutual_information_gap(GOOD_CODES[:, :1], GOOD_FACTORS)


def test_dci_needs_two_factors():
    with pytest.raises(ValueError, match="ao menos dois"):
        dci_disentanglement(GOOD_CODES, GOOD_FACTORS[:, :1])
