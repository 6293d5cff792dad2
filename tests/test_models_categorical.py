"""O VAE categórico: com poucos códigos, log p(x), a ELBO e a posterior são somas, e tudo é comparado com elas."""

import math
from functools import partial

import pytest
import torch
from torch import nn
from toys import Enumerated, assert_mean_is, enumerated

from vae_lessons.data import load
from vae_lessons.distributions import Bernoulli, Categorical, kl_divergence
from vae_lessons.estimators import exact, gumbel_softmax, score_function, straight_through
from vae_lessons.evaluation import active_units, log_likelihood, posterior_mean_variance
from vae_lessons.explore import explore_latent
from vae_lessons.models import CategoricalVAE, categorical_vae, mlp_vae
from vae_lessons.objectives import elbo, iwae_bound, log_importance_weights
from vae_lessons.training import TrainConfig, fit

D, N, K = 6, 2, 3
REPEATS = 20_000
ESTIMATORS = {
    "score_function": score_function,
    "leave_one_out": partial(score_function, baseline="leave_one_out"),
    "gumbel_softmax": partial(gumbel_softmax, temperature=0.5),
    "hot gumbel_softmax": partial(gumbel_softmax, temperature=5.0),
    "hard gumbel_softmax": partial(gumbel_softmax, temperature=0.5, hard=True),
    "straight_through": straight_through,
}


@pytest.fixture(scope="module")
def case() -> Enumerated:
    torch.manual_seed(0)
    model = categorical_vae(D, N, K, (8,), activation="tanh").double()
    with torch.no_grad():
        model.encoder[-1].weight.mul_(4)  # para que q não seja uniforme
        model.decoder[-1].weight.mul_(6)  # e z importe
    return enumerated(model, torch.bernoulli(torch.full((4, D), 0.5, dtype=torch.float64)))


def repeated(case: Enumerated, estimator, n_samples=1):
    """REPEATS sorteios independentes dos termos da ELBO de cada exemplo: cada campo [REPEATS, B]."""
    with torch.no_grad():
        terms = elbo(case.model, case.x.repeat(REPEATS, 1), estimator=estimator, n_samples=n_samples)
    return type(terms)(*(field.unflatten(0, (REPEATS, -1)) for field in terms))


# O modelo


def test_encode_and_decode_return_distributions_of_the_right_shapes():
    model = categorical_vae(D, N, K, (8,))
    q = model.encode(torch.rand(5, D))
    assert isinstance(q, Categorical)
    assert q.logits.shape == (5, N, K)
    likelihood = model.decode(q.sample())
    assert isinstance(likelihood, Bernoulli)
    assert likelihood.logits.shape == (5, D)
    assert model.decode(torch.rand(7, 5, N, K)).logits.shape == (7, 5, D)
    assert (model.n_latents, model.n_classes, model.latent_dim) == (N, K, N * K)


def test_the_networks_are_mirrors_and_read_the_latents_in_order():
    model = categorical_vae(D, N, K, (8, 5))
    assert [(layer.in_features, layer.out_features) for layer in model.encoder if isinstance(layer, nn.Linear)] == [
        (D, 8),
        (8, 5),
        (5, N * K),
    ]
    assert [(layer.in_features, layer.out_features) for layer in model.decoder if isinstance(layer, nn.Linear)] == [
        (N * K, 5),
        (5, 8),
        (8, D),
    ]
    plain = CategoricalVAE(nn.Identity(), nn.Identity(), n_latents=N, n_classes=K)
    x = torch.arange(6.0)
    assert plain.encode(x).logits.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert plain.decode(torch.arange(6.0).reshape(N, K)).logits.tolist() == x.tolist()


def test_prior_is_uniform_follows_the_type_of_the_model_and_is_not_a_weight():
    model = categorical_vae(D, N, K).double()
    assert model.prior.mean.tolist() == [[pytest.approx(1 / K)] * K] * N
    assert model.prior.logits.dtype == torch.float64
    assert not any("zero" in name for name in model.state_dict())


def test_samples_are_decoded_from_uniform_codes():
    """Com o decodificador identidade e logits ±50, a imagem é o próprio código sorteado."""

    class Loud(nn.Module):
        def forward(self, code):
            return 100 * code - 50

    model = CategoricalVAE(nn.Identity(), Loud(), n_latents=N, n_classes=K)
    images = model.sample(30_000, generator=torch.Generator().manual_seed(0))
    codes = images.unflatten(-1, (N, K))
    assert (codes.sum(-1) == 1).all()
    frequencies = codes[:, 0].T @ codes[:, 1] / 30_000
    torch.testing.assert_close(frequencies, torch.full((K, K), 1 / K**2), rtol=0, atol=5 * (1 / K**2 / 30_000) ** 0.5)


def test_sample_and_mean_are_different_things_and_repeatable():
    torch.manual_seed(0)
    model = categorical_vae(D, N, K)
    first, again, mean = (model.sample(40, m, generator=torch.Generator().manual_seed(1)) for m in (False, False, True))
    assert torch.equal(first, again)
    assert ((first == 0) | (first == 1)).all()
    assert ((mean > 0) & (mean < 1)).all()


# A ELBO


def test_exact_terms_are_the_sums_over_codes(case):
    terms = elbo(case.model, case.x, estimator=exact)
    torch.testing.assert_close(terms.elbo, case.elbo, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(terms.elbo, terms.log_likelihood - terms.kl)
    torch.testing.assert_close(terms.loss, -terms.elbo)
    assert all(field.shape == (4,) for field in terms)


def test_the_gap_of_the_elbo_is_the_kl_to_the_posterior(case):
    gap = case.log_evidence - elbo(case.model, case.x, estimator=exact).elbo
    torch.testing.assert_close(gap, case.kl_to_posterior, rtol=1e-10, atol=1e-12)
    assert (gap > 0.1).all()


def test_kl_is_the_rate_in_nats_from_zero_to_n_log_k(case):
    kl = elbo(case.model, case.x, estimator=exact).kl
    q = case.model.encode(case.x)
    torch.testing.assert_close(kl, kl_divergence(q, case.model.prior).sum(-1))
    entropy = -(q.mean * q.mean.log()).sum((-1, -2))
    torch.testing.assert_close(kl, N * math.log(K) - entropy)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_elbo_reported_is_that_of_hard_samples_whatever_the_estimator(case, name):
    """Nunca a da relaxação, que não é um limite de log p(x)."""
    torch.manual_seed(0)
    terms = repeated(case, ESTIMATORS[name], n_samples=2)
    assert_mean_is(terms.elbo, case.elbo)
    assert (terms.elbo.mean(0) < case.log_evidence).all()
    torch.testing.assert_close(terms.kl[0], elbo(case.model, case.x, estimator=exact).kl)
    torch.testing.assert_close(terms.loss, -terms.elbo)


def test_the_relaxed_objective_is_not_a_bound():
    """Um decodificador que só acerta entre dois códigos: f(y) − KL passa de log p(x), e a ELBO relatada não."""

    class Between(nn.Module):
        def forward(self, code):
            return 40 * (code[..., :1] * code[..., 1:]).expand(*code.shape[:-1], D) - 2

    model = CategoricalVAE(nn.Linear(D, 2), Between(), n_latents=1, n_classes=2)
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.zero_()
    x = torch.ones(1, D)
    log_evidence = D * math.log(torch.sigmoid(torch.tensor(-2.0)))
    torch.manual_seed(0)
    y = model.encode(x.expand(REPEATS, D)).relaxed(1.0)
    relaxed = model.decode(y).log_prob(torch.ones(D)).sum(-1).mean().item()
    assert relaxed > log_evidence + 5
    terms = elbo(model, x.expand(REPEATS, D), estimator=partial(gumbel_softmax, temperature=1.0))
    torch.testing.assert_close(terms.elbo.detach(), torch.full((REPEATS,), log_evidence), rtol=1e-5, atol=1e-5)


def test_every_unbiased_estimator_gives_the_gradient_of_the_elbo(case):
    """Do codificador e do decodificador, por REINFORCE, contra a enumeração."""
    parameters = list(case.model.parameters())
    expected = torch.autograd.grad(elbo(case.model, case.x, estimator=exact).loss.mean(), parameters)
    torch.manual_seed(0)
    gradients = []
    for _ in range(400):
        terms = elbo(case.model, case.x.repeat(50, 1), n_samples=2, estimator=ESTIMATORS["leave_one_out"])
        gradients.append(torch.autograd.grad(terms.loss.mean(), parameters))
    for samples, truth in zip(zip(*gradients, strict=True), expected, strict=True):
        samples = torch.stack(samples)
        error = samples.std(0) / math.sqrt(len(samples))
        assert ((samples.mean(0) - truth).abs() <= 4.5 * error + 1e-12).all()
        assert truth.abs().max() > 0.01


@pytest.mark.parametrize("name", ["gumbel_softmax", "hard gumbel_softmax", "straight_through"])
def test_differentiable_estimators_reach_every_weight(case, name):
    torch.manual_seed(0)
    loss = elbo(case.model, case.x, estimator=ESTIMATORS[name]).loss.mean()
    assert all(gradient.abs().max() > 0 for gradient in torch.autograd.grad(loss, list(case.model.parameters())))


def test_beta_and_free_bits_weigh_the_loss_and_leave_the_bound_alone(case):
    plain, kl = elbo(case.model, case.x, estimator=exact), kl_divergence(case.model.encode(case.x), case.model.prior)
    heavy = elbo(case.model, case.x, estimator=exact, beta=4.0)
    torch.testing.assert_close(heavy.loss - plain.loss, 3 * plain.kl)
    free = elbo(case.model, case.x, estimator=exact, free_bits=10.0)
    torch.testing.assert_close(free.loss - plain.loss, 10.0 * N - kl.sum(-1))
    for terms in (heavy, free):
        torch.testing.assert_close(terms.elbo, plain.elbo)


# Os limites e log p(x)


def test_the_bound_grows_with_k_from_the_elbo_to_log_evidence(case):
    torch.manual_seed(0)
    means = []
    with torch.no_grad():
        for k in (1, 4, 32, 256):
            bounds = iwae_bound(case.model, case.x.repeat(REPEATS // k, 1), k).unflatten(0, (-1, len(case.x)))
            if k == 1:
                assert_mean_is(bounds, case.elbo)
            assert (bounds.mean(0) < case.log_evidence + 4 * bounds.std(0) / math.sqrt(len(bounds))).all()
            means.append(bounds.mean().item())
    assert means == sorted(means)
    assert means[-1] == pytest.approx(case.log_evidence.mean().item(), abs=0.03)


def test_importance_weights_have_the_evidence_as_mean(case):
    torch.manual_seed(0)
    with torch.no_grad():
        weights = log_importance_weights(case.model, case.x, REPEATS).exp()
    assert weights.shape == (REPEATS, len(case.x))
    assert_mean_is(weights, case.log_evidence.exp())


@pytest.mark.parametrize("seed", range(5))
def test_log_likelihood_is_the_enumerated_one_within_its_own_error(case, seed):
    torch.manual_seed(seed)
    estimate = log_likelihood(case.model, case.x, k=5000)
    assert 0 < estimate.standard_error < 0.05
    assert estimate.mean == pytest.approx(case.log_evidence.mean().item(), abs=4 * estimate.standard_error)
    assert estimate.per_example.shape == (4,)


def test_weights_of_the_exact_posterior_are_log_evidence_for_every_code():
    """Com um só latente, a posterior exata é uma categórica, e cabe no codificador."""
    torch.manual_seed(0)
    model = categorical_vae(D, 1, K, (8,)).double()
    x = torch.bernoulli(torch.full((4, D), 0.5, dtype=torch.float64))
    expected = enumerated(model, x).log_evidence
    every_code = torch.eye(K, dtype=torch.float64)[:, None, None].expand(K, 4, 1, K)
    with torch.no_grad():
        log_joint = model.decode(every_code).log_prob(x).sum(-1)
    model.encoder = nn.Identity()
    posterior = Categorical(log_joint.T[:, None])
    model._posterior = lambda _: posterior
    weights = log_importance_weights(model, x, 10)
    torch.testing.assert_close(weights, expected.expand(10, 4), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(elbo(model, x, estimator=exact).elbo, expected, rtol=1e-12, atol=1e-12)


# O treino


def annealed(model, x, *, beta, temperature):
    return elbo(model, x, beta=beta, estimator=partial(gumbel_softmax, temperature=temperature))


@pytest.fixture(scope="module")
def digits():
    x = load("digits").x[:512]
    return (x > 127).float()


@pytest.mark.parametrize(
    "name", ["gumbel_softmax", "hard gumbel_softmax", "straight_through", "leave_one_out", "annealed"]
)
def test_fit_raises_the_elbo_of_hard_samples_on_digits(digits, name):
    torch.manual_seed(0)
    model = categorical_vae(64, 5, 4, (64,))
    evaluate = partial(elbo, n_samples=8, estimator=score_function)
    with torch.no_grad():
        before = evaluate(model, digits).elbo.mean().item()
    config = TrainConfig(epochs=6, batch_size=64, lr=3e-3, binarize="none", device="cpu")
    if name == "annealed":
        schedules = {"temperature": lambda epochs: max(0.5, math.exp(-0.1 * epochs))}
        history = fit(model, digits, config, objective=annealed, schedules=schedules, progress=False)
    else:
        n_samples = 4 if name == "leave_one_out" else 1
        objective = partial(elbo, estimator=ESTIMATORS[name], n_samples=n_samples)
        history = fit(model, digits, config, objective=objective, progress=False)
    with torch.no_grad():
        after = evaluate(model, digits).elbo.mean().item()
    assert after > before + 10
    assert history.elbo[-1] == pytest.approx(after, abs=3)


def test_fit_without_a_discrete_estimator_names_those_there_are(digits):
    with pytest.raises(TypeError, match=r"Categorical não tem `rsample`.*gumbel_softmax ou straight_through"):
        fit(categorical_vae(64, 3, 4), digits, TrainConfig(epochs=1, device="cpu", binarize="none"), progress=False)


# Argumentos errados


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((D, 0, K), "n_latents ≥ 1 .* n_latents = 0 e n_classes = 3"),
        ((D, N, 1), "n_classes ≥ 2 classes, mas vieram n_latents = 2 e n_classes = 1"),
        ((0, N, K), "ao menos uma unidade"),
        ((D, N, K, (8, 0)), "ao menos uma unidade"),
    ],
)
def test_a_model_without_units_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        categorical_vae(*arguments)


def test_the_model_refuses_what_the_vae_refuses():
    with pytest.raises(ValueError, match="Ativação desconhecida: 'sigmoid'"):
        categorical_vae(D, N, K, activation="sigmoid")
    with pytest.raises(ValueError, match="Verossimilhança desconhecida: 'poisson'"):
        categorical_vae(D, N, K, likelihood="poisson")
    with pytest.raises(TypeError, match="binarize"):
        categorical_vae(D, N, K).encode(torch.zeros(2, D, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"última dimensão de tamanho 6 \(D, colunas\)"):
        categorical_vae(D, N, K).encode(torch.rand(2, D + 1))


@pytest.mark.parametrize("shape", [(5, N * K), (5, K, N), (5, K), (N * K,), (5, N, K + 1), (5, N + 1, K)])
def test_latents_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"espera z de forma \[\.\.\., 2, 3\] .*one_hot"):
        categorical_vae(D, N, K).decode(torch.zeros(shape))


@pytest.mark.parametrize("encoder", [nn.Linear(D, N * K + 1), lambda x: (x, x)], ids=["width", "pair"])
def test_an_encoder_of_the_wrong_width_is_refused(encoder):
    class Encoder(nn.Module):
        def forward(self, x):
            return encoder(x)

    model = CategoricalVAE(Encoder(), nn.Linear(N * K, D), n_latents=N, n_classes=K)
    with pytest.raises(ValueError, match=r"deve devolver \[\.\.\., 6\], os logits de n_latents = 2 .*mas devolveu"):
        model.encode(torch.rand(5, D))


def test_what_is_for_continuous_latents_says_so():
    model, data = categorical_vae(64, 3, 4, (16,)), load("digits", "test")
    x = data.x[:20] / 255
    with pytest.raises(TypeError, match=r"latentes contínuos.*CategoricalVAE tem forma .*troque um código"):
        explore_latent(model, data)
    for function in (active_units, posterior_mean_variance):
        with pytest.raises(TypeError, match=r"latentes categóricos.*kl_per_dimension"):
            function(model, x)
    with pytest.raises(ValueError, match="z de forma"):
        model.decode(mlp_vae(64, 2).prior.sample())
