"""A ELBO contra fórmulas fechadas e quadratura; e os defeitos de códigos públicos que estes testes têm de apanhar."""

import math
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import distributions as td
from torch import nn
from toys import assert_mean_is, sigma_points

from vae_lessons import objectives
from vae_lessons.distributions import Normal, kl_divergence
from vae_lessons.estimators import exact, pathwise, score_function
from vae_lessons.models import VAE, mlp_vae
from vae_lessons.objectives import elbo, iwae_bound, log_importance_weights, log_likelihood_given_z

REPEATS = 20_000


def kl_to_exact_posterior(case):
    q = case.model.encode(case.x)
    q, p = (td.Normal(d.mean, torch.exp(0.5 * d.log_var)) for d in (q, case.posterior))
    return td.kl_divergence(q, p).sum(-1)


@torch.no_grad()
def repeated_elbo(model, x):
    """REPEATS ELBOs independentes de uma amostra por exemplo: cada termo [REPEATS, B]."""
    torch.manual_seed(0)
    terms = objectives.elbo(model, x.repeat(REPEATS, 1))
    return objectives.ElboTerms(*(term.reshape(REPEATS, len(x)) for term in terms))


# Verificações, usadas aqui e, mais abaixo, contra cada defeito injetado


def check_linear_gaussian(linear_gaussian, **_):
    """log p(x) = ELBO + KL(q ‖ p(z|x)), com log p(x) e a posterior em forma fechada e q longe da posterior."""
    case = linear_gaussian(shift=0.4, log_scale=0.7, n=4)
    terms = repeated_elbo(case.model, case.x)
    assert_mean_is(terms.elbo + kl_to_exact_posterior(case), case.log_evidence)


def check_bernoulli(one_latent_bernoulli, **_):
    """Cada termo da ELBO contra a quadratura em z."""
    case = one_latent_bernoulli
    terms = repeated_elbo(case.model, case.x)
    assert_mean_is(terms.log_likelihood, case.expected_log_likelihood)
    assert_mean_is(terms.kl, case.kl_to_prior)
    assert_mean_is(terms.elbo + case.kl_to_posterior, case.log_evidence)


def check_same_in_train_and_eval(one_latent_bernoulli, **_):
    """A mesma semente dá a mesma ELBO nos dois modos."""
    model, x, *_ = one_latent_bernoulli
    values = []
    for mode in (True, False):
        torch.manual_seed(0)
        values.append(objectives.elbo(model.train(mode), x).elbo)
    model.train()
    assert torch.equal(*values)


def check_accounts(one_latent_bernoulli, **_):
    """elbo = log_likelihood − kl, com kl ≥ 0; sem β nem bits grátis, a perda é −elbo."""
    model, x, *_ = one_latent_bernoulli
    terms = objectives.elbo(model, x)
    torch.testing.assert_close(terms.elbo, terms.log_likelihood - terms.kl)
    torch.testing.assert_close(terms.loss, -terms.elbo)
    assert (terms.kl >= 0).all()


@torch.no_grad()
def check_importance_weighted_bound(linear_gaussian, **_):
    """E[e^(L_k)] = p(x) para todo k: é uma média de pesos, cada um com essa esperança. Só L_k fica abaixo."""
    case = linear_gaussian(shift=0.4, log_scale=0.7, n=4)
    torch.manual_seed(0)
    for k in (1, 2, 8):
        bounds = objectives.iwae_bound(case.model, case.x.repeat(REPEATS, 1), k).reshape(REPEATS, -1)
        assert_mean_is((bounds - case.log_evidence).exp(), 1.0)
        assert (bounds.mean(0) < case.log_evidence).all()


CHECKS = {
    "linear_gaussian": check_linear_gaussian,
    "bernoulli": check_bernoulli,
    "train_eval": check_same_in_train_and_eval,
    "accounts": check_accounts,
    "importance_weighted": check_importance_weighted_bound,
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_elbo_passes(check, linear_gaussian, one_latent_bernoulli):
    check(linear_gaussian=linear_gaussian, one_latent_bernoulli=one_latent_bernoulli)


# O modelo linear-gaussiano, sem sorteio


def test_weights_of_the_exact_posterior_are_log_evidence_for_every_z(linear_gaussian):
    """p(x, z) / p(z|x) = p(x) qualquer que seja z: a amostragem de importância com q exata não tem variância."""
    case = linear_gaussian()
    log_w = log_importance_weights(case.model, case.x, 50)
    assert log_w.shape == (50, len(case.x))
    torch.testing.assert_close(log_w, case.log_evidence.expand(50, -1), rtol=0, atol=1e-10)


def test_elbo_of_the_exact_posterior_is_log_evidence(linear_gaussian):
    case = linear_gaussian()
    bound = elbo(case.model, case.x, estimator=sigma_points).elbo
    torch.testing.assert_close(bound, case.log_evidence, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("shift", "log_scale"), [(0.0, 0.5), (0.3, 0.0), (-1.0, -2.0), (2.0, 1.5)])
def test_gap_of_the_elbo_is_the_kl_to_the_exact_posterior(linear_gaussian, shift, log_scale):
    case = linear_gaussian(shift=shift, log_scale=log_scale)
    bound = elbo(case.model, case.x, estimator=sigma_points).elbo
    assert (bound < case.log_evidence).all()
    torch.testing.assert_close(bound + kl_to_exact_posterior(case), case.log_evidence, rtol=0, atol=1e-10)


def test_gaussian_log_likelihood_includes_the_constants(linear_gaussian):
    case = linear_gaussian()
    z = case.posterior.mean
    s2 = case.model.likelihood_log_var.exp()
    p = td.MultivariateNormal(case.model.decoder(z), s2 * torch.eye(case.x.shape[1], dtype=torch.float64))
    torch.testing.assert_close(log_likelihood_given_z(case.model, case.x, z), p.log_prob(case.x))


def test_gradient_of_the_elbo_vanishes_at_the_exact_posterior(linear_gaussian):
    """q exata maximiza a ELBO: mexer na média ou em log σ² não ajuda."""
    case = linear_gaussian()
    q = Normal(*(parameter.clone().requires_grad_() for parameter in case.posterior))
    model = VAE(_Codes(q), case.model.decoder, latent_dim=2, likelihood="gaussian").double()
    model.likelihood_log_var = case.model.likelihood_log_var
    gradients = torch.autograd.grad(elbo(model, case.x, estimator=sigma_points).loss.sum(), q)
    for gradient in gradients:
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-10)


class _Codes(nn.Module):
    """Um codificador que devolve códigos escolhidos, um por exemplo, sem olhar para x."""

    def __init__(self, q):
        super().__init__()
        self.q = q

    def forward(self, x):
        return tuple(self.q)


# Formas, amostras, β e bits grátis


@pytest.fixture
def digits_like():
    torch.manual_seed(0)
    model = mlp_vae(12, 4, (16,))
    with torch.no_grad():
        model.encoder[-1].weight.mul_(5)  # dimensões com KLs bem diferentes
    return model, (torch.rand(10, 12) < 0.5).float()


def same_noise(model, x, **options):
    torch.manual_seed(0)
    return elbo(model, x, **options)


@pytest.mark.parametrize("n_samples", [1, 7])
def test_every_term_has_one_entry_per_example(digits_like, n_samples):
    for term in elbo(*digits_like, n_samples=n_samples):
        assert term.shape == (10,)


def test_terms_of_an_example_do_not_depend_on_the_others(digits_like):
    model, x = digits_like
    together, alone = elbo(model, x, estimator=sigma_points), elbo(model, x[:3], estimator=sigma_points)
    for of_all, of_three in zip(together, alone, strict=True):
        torch.testing.assert_close(of_all[:3], of_three)


def test_more_samples_keep_the_mean_and_divide_the_variance(linear_gaussian):
    case = linear_gaussian(shift=0.4, n=1)
    torch.manual_seed(0)
    with torch.no_grad():
        x = case.x.expand(REPEATS, -1)
        one, eight = (elbo(case.model, x, n_samples=n).elbo for n in (1, 8))
    assert_mean_is((one - eight)[:, None], 0.0)
    assert (one.var() / eight.var()).item() == pytest.approx(8, rel=0.1)


def test_several_samples_are_the_mean_of_several_reconstructions(digits_like):
    model, x = digits_like
    torch.manual_seed(0)
    q = model.encode(x)
    z = q.rsample(torch.randn(5, *q.mean.shape))
    expected = torch.stack([log_likelihood_given_z(model, x, sample) for sample in z]).mean(0)
    torch.testing.assert_close(same_noise(model, x, n_samples=5).log_likelihood, expected)


@pytest.mark.parametrize("beta", [0.0, 0.5, 4.0])
def test_beta_weighs_the_kl_in_the_loss_and_never_in_the_bound(digits_like, beta):
    plain, weighed = same_noise(*digits_like), same_noise(*digits_like, beta=beta)
    assert torch.equal(weighed.elbo, plain.elbo)
    assert torch.equal(weighed.kl, plain.kl)
    torch.testing.assert_close(weighed.loss, beta * plain.kl - plain.log_likelihood)


def test_beta_may_live_on_the_device(digits_like):
    tensor = same_noise(*digits_like, beta=torch.tensor(0.5))
    torch.testing.assert_close(tensor, same_noise(*digits_like, beta=0.5))


def test_free_bits_charge_each_dimension_at_least_lambda_and_leave_the_bound_alone(digits_like):
    """Média da perda = −log_likelihood + β Σ_j max(λ, KL_j), com KL_j a média no lote."""
    model, x = digits_like
    per_dim = kl_divergence(model.encode(x), model.prior).mean(0)
    free = per_dim.median().item()
    assert per_dim.min() < free < per_dim.max()
    plain, charged = same_noise(model, x), same_noise(model, x, free_bits=free, beta=0.5)
    assert torch.equal(charged.elbo, plain.elbo)
    assert torch.equal(charged.kl, plain.kl)
    expected = -plain.log_likelihood.mean() + 0.5 * per_dim.clamp(min=free).sum()
    torch.testing.assert_close(charged.loss.mean(), expected)


def test_free_bits_pull_only_dimensions_above_lambda():
    """Abaixo de λ a KL não dá gradiente; acima, dá o de sempre: ∂KL/∂μ = μ."""
    mean = torch.tensor([[0.1, 2.0]], requires_grad=True)
    model = VAE(_Codes((mean.expand(3, -1), torch.zeros(3, 2))), nn.Linear(2, 4), latent_dim=2)
    nn.init.zeros_(model.decoder.weight)  # a reconstrução não puxa: todo o gradiente é da KL
    elbo(model, torch.zeros(3, 4), free_bits=0.5).loss.sum().backward()
    torch.testing.assert_close(mean.grad, torch.tensor([[0.0, 6.0]]))


def test_gradient_of_the_loss_is_the_gradient_of_minus_the_elbo(digits_like):
    model, x = digits_like
    parameters = list(model.parameters())
    of_loss = torch.autograd.grad(same_noise(model, x).loss.sum(), parameters)
    of_elbo = torch.autograd.grad(-same_noise(model, x).elbo.sum(), parameters)
    torch.testing.assert_close(of_loss, of_elbo)
    assert all(gradient.abs().sum() > 0 for gradient in of_loss)


@pytest.mark.parametrize("likelihood", ["bernoulli", "continuous_bernoulli", "gaussian"])
def test_nothing_in_the_elbo_waits_for_the_device(likelihood):
    """Tensores "meta" não têm valores: qualquer pergunta ao dispositivo (.item(), if tensor) levantaria um erro."""
    model = mlp_vae(12, 3, (8,), likelihood=likelihood).to("meta")
    x = torch.empty(5, 12, device="meta")
    terms = elbo(model, x, beta=torch.empty((), device="meta"), n_samples=2, free_bits=0.1)
    terms.loss.mean().backward()
    elbo(model, x, estimator=partial(score_function, baseline=lambda q: q.mean.sum(-1))).loss.mean().backward()
    assert log_importance_weights(model, x, 4).shape == (4, 5)
    assert iwae_bound(model, x, 4).shape == (5,)


# Os estimadores são intercambiáveis


def gradient_of_the_loss(model, x, estimator):
    """O gradiente da perda somada sobre os exemplos, em relação a todos os parâmetros, num só vetor."""
    loss = elbo(model, x, estimator=estimator).loss.sum()
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])


def level_of(model, x):
    """Uma baseline b(q) razoável e que não depende de z: a log-verossimilhança com z na média de q."""
    return lambda q: log_likelihood_given_z(model, x, q.mean)


def test_quadrature_gives_the_elbo_of_a_one_dimensional_posterior(one_latent_bernoulli):
    case = one_latent_bernoulli
    terms = elbo(case.model, case.x, estimator=exact)
    torch.testing.assert_close(terms.log_likelihood, case.expected_log_likelihood, rtol=0, atol=1e-10)
    torch.testing.assert_close(terms.elbo + case.kl_to_posterior, case.log_evidence, rtol=0, atol=1e-10)


def test_quadrature_gives_the_gradient_of_the_elbo(one_latent_bernoulli):
    """Contra diferenças finitas, numa direção qualquer do espaço de todos os parâmetros."""
    model, x, *_ = one_latent_bernoulli
    torch.manual_seed(0)
    gradient = gradient_of_the_loss(model, x, exact)
    start = nn.utils.parameters_to_vector(model.parameters()).detach()
    direction, step = torch.randn_like(start), 1e-5
    losses = []
    for shift in (step, -step, 0.0):  # o último desfaz a mudança
        nn.utils.vector_to_parameters(start + shift * direction, model.parameters())
        losses.append(elbo(model, x, estimator=exact).loss.sum().item())
    assert (gradient @ direction).item() == pytest.approx((losses[0] - losses[1]) / (2 * step), rel=1e-7)


@pytest.mark.parametrize("name", ["pathwise", "score_function", "constant", "function", "leave_one_out"])
def test_every_estimator_gives_the_gradient_of_the_elbo_on_average(name, one_latent_bernoulli):
    """No codificador e no decodificador, cada parâmetro a 4 erros-padrão do gradiente exato."""
    model, x, *_ = one_latent_bernoulli
    copies, n_groups = 100, 150
    many = x.repeat(copies, 1)
    estimator = {
        "pathwise": pathwise,
        "score_function": score_function,
        "constant": partial(score_function, baseline=-4.0),
        "function": partial(score_function, baseline=level_of(model, many)),
        "leave_one_out": lambda f, q, _: score_function(f, q, 2, baseline="leave_one_out"),
    }[name]
    torch.manual_seed(0)
    groups = torch.stack([gradient_of_the_loss(model, many, estimator) / copies for _ in range(n_groups)])
    assert_mean_is(groups, gradient_of_the_loss(model, x, exact))


def test_a_baseline_calms_the_encoder_and_pathwise_calms_it_more(one_latent_bernoulli):
    model, x, *_ = one_latent_bernoulli
    n_encoder = sum(parameter.numel() for parameter in model.encoder.parameters())
    torch.manual_seed(0)
    spread = {}
    for name, estimator in {
        "none": score_function,
        "baseline": partial(score_function, baseline=level_of(model, x)),
        "pathwise": pathwise,
    }.items():
        gradients = torch.stack([gradient_of_the_loss(model, x, estimator) for _ in range(300)])
        spread[name] = gradients[:, :n_encoder].var(0).sum()
    assert spread["none"] > 2 * spread["baseline"] > 4 * spread["pathwise"]


def test_the_score_function_changes_the_gradient_of_the_loss_and_none_of_the_values(digits_like):
    """Com a mesma semente z é o mesmo, e só a retropropagação difere."""
    by_path, by_score = (same_noise(*digits_like, estimator=e, beta=0.5) for e in (pathwise, score_function))
    for one, other in zip(by_path, by_score, strict=True):
        torch.testing.assert_close(one, other)


# O limite com pesos de importância


def test_bound_of_the_exact_posterior_is_log_evidence_for_every_k(linear_gaussian):
    case = linear_gaussian()
    for k in (1, 3, 50):
        torch.testing.assert_close(iwae_bound(case.model, case.x, k), case.log_evidence, rtol=0, atol=1e-10)


def test_bound_grows_with_k_from_the_elbo_to_log_evidence(linear_gaussian):
    """ELBO = E[L_1] < E[L_2] < E[L_8] < E[L_64] < log p(x), cada salto maior que 4 erros-padrão."""
    case = linear_gaussian(shift=0.4, log_scale=0.7, n=1)
    torch.manual_seed(0)
    with torch.no_grad():
        x = case.x.expand(REPEATS, -1)
        bounds = {k: iwae_bound(case.model, x, k) for k in (1, 2, 8, 64)}
    assert_mean_is(bounds[1][:, None], elbo(case.model, case.x, estimator=sigma_points).elbo)
    steps = [*bounds.values(), case.log_evidence.expand(REPEATS)]
    for lower, higher in pairwise(steps):
        gap = higher - lower
        assert gap.mean() > 4 * gap.std() / math.sqrt(REPEATS)


def test_gap_of_the_bound_vanishes_as_one_over_k(linear_gaussian):
    """log p(x) − E[L_k] → Var(w) / (2k p(x)²) para k grande (método delta)."""
    case = linear_gaussian(shift=0.4, log_scale=0.3, n=1)
    torch.manual_seed(0)
    with torch.no_grad():
        relative = (log_importance_weights(case.model, case.x, 400_000) - case.log_evidence).exp()
        bounds = iwae_bound(case.model, case.x.expand(4000, -1), 200)
    gap = (case.log_evidence - bounds).mean()
    assert gap.item() == pytest.approx(relative.var().item() / 400, rel=0.1)


def test_gradient_of_the_bound_weighs_each_sample_by_its_normalized_weight(digits_like):
    """∇L_k = Σ_l w̃_l ∇log w_l (Burda et al., 2016, eq. 14)."""
    model, x = digits_like
    parameters = list(model.parameters())
    torch.manual_seed(0)
    of_bound = torch.autograd.grad(iwae_bound(model, x, 6).sum(), parameters)
    torch.manual_seed(0)
    log_w = log_importance_weights(model, x, 6)
    of_weighted = torch.autograd.grad((log_w.softmax(0).detach() * log_w).sum(), parameters)
    torch.testing.assert_close(of_bound, of_weighted)


def test_bound_does_not_overflow_with_thousands_of_pixels():
    """log w ≈ −14 000: exp(log w) seria zero em float32."""
    model = mlp_vae(20_000, 2, (4,))
    bound = iwae_bound(model, torch.zeros(3, 20_000), 5)
    assert bound.shape == (3,)
    assert (bound < -10_000).all()
    assert bound.isfinite().all()


# Entradas erradas


@pytest.mark.parametrize("k", [0, -2])
def test_bound_needs_a_sample(digits_like, k):
    with pytest.raises(ValueError, match=f"k deve ser ao menos 1 .* mas veio {k}"):
        iwae_bound(*digits_like, k)


def test_bound_asks_for_one_example_per_row(digits_like):
    with pytest.raises(ValueError, match=r"forma \[B, D\].*reshape"):
        iwae_bound(digits_like[0], torch.zeros(12), 3)


@pytest.mark.parametrize("shape", [(12,), (2, 3, 4)])
def test_elbo_asks_for_one_example_per_row(digits_like, shape):
    with pytest.raises(ValueError, match=r"forma \[B, D\].*reshape"):
        elbo(digits_like[0], torch.zeros(shape))


def test_elbo_refuses_uint8(digits_like):
    with pytest.raises(TypeError, match="binarize"):
        elbo(digits_like[0], torch.zeros(2, 12, dtype=torch.uint8))


def test_negative_free_bits_are_refused(digits_like):
    with pytest.raises(ValueError, match=r"free_bits deve ser .* ≥ 0"):
        elbo(*digits_like, free_bits=-0.1)


# O museu: defeitos encontrados em códigos públicos. Injetado cada um, a verificação certa tem de falhar.

BUGS = {}


def bug(*caught_by):
    def register(inject):
        BUGS[inject.__name__] = (inject, caught_by)
        return inject

    return register


@bug("linear_gaussian", "bernoulli")
def reconstruction_averaged_over_pixels(monkeypatch):
    right = objectives.log_likelihood_given_z
    monkeypatch.setattr(objectives, "log_likelihood_given_z", lambda m, x, z: right(m, x, z) / x.shape[-1])


@bug("linear_gaussian", "bernoulli")
def kl_averaged_over_pixels(monkeypatch):
    right = objectives.kl_divergence
    monkeypatch.setattr(objectives, "kl_divergence", lambda q, p: right(q, p) / 784)


@bug("linear_gaussian", "bernoulli")
def variance_used_as_standard_deviation(monkeypatch):
    right = Normal.rsample
    monkeypatch.setattr(Normal, "rsample", lambda q: right(Normal(q.mean, 2 * q.log_var)))


@bug("linear_gaussian", "bernoulli")
def noise_with_standard_deviation_001(monkeypatch):
    right = Normal.rsample
    monkeypatch.setattr(Normal, "rsample", lambda q: right(q, 0.01 * torch.randn_like(q.mean)))


@bug("linear_gaussian", "bernoulli")
def kl_with_sigma_where_variance_belongs(monkeypatch):
    def kl(q, p):
        return 0.5 * (torch.exp(0.5 * q.log_var) + q.mean.square() - 1 - q.log_var)

    monkeypatch.setattr(objectives, "kl_divergence", kl)


@bug("train_eval")
def eval_mode_returns_the_mean(monkeypatch):
    class Mean(Normal):
        def rsample(self):
            return self.mean

    right = VAE.encode
    monkeypatch.setattr(VAE, "encode", lambda m, x: right(m, x) if m.training else Mean(*right(m, x)))


@bug("accounts", "bernoulli")
def logged_kl_with_the_wrong_sign(monkeypatch):
    right = objectives.elbo
    monkeypatch.setattr(objectives, "elbo", lambda m, x: (terms := right(m, x))._replace(kl=-terms.kl))


@bug("linear_gaussian")
def squared_error_without_the_half(monkeypatch):
    def log_prob(p, value):
        return -0.5 * (math.log(2 * math.pi) + p.log_var) - (value - p.mean).square() * torch.exp(-p.log_var)

    monkeypatch.setattr(Normal, "log_prob", log_prob)


@bug("linear_gaussian")
def gaussian_without_its_constants(monkeypatch):
    def log_prob(p, value):
        return -0.5 * (value - p.mean).square() * torch.exp(-p.log_var)

    monkeypatch.setattr(Normal, "log_prob", log_prob)


@bug("accounts")
def secret_kl_weight_in_training(monkeypatch):
    right = objectives.elbo
    monkeypatch.setattr(objectives, "elbo", lambda m, x: right(m, x, beta=0.00025))


@bug("importance_weighted")
def importance_weights_from_the_losses(monkeypatch):
    """softmax das perdas, −log w, favorece a pior amostra."""

    def bound(model, x, k):
        log_w = log_importance_weights(model, x, k)
        return ((-log_w).softmax(0) * log_w).sum(0)

    monkeypatch.setattr(objectives, "iwae_bound", bound)


@bug("importance_weighted")
def weighted_mean_of_log_weights_as_the_bound(monkeypatch):
    """Σ w̃ log w tem o gradiente certo e o valor errado: pode passar de log p(x)."""

    def bound(model, x, k):
        log_w = log_importance_weights(model, x, k)
        return (log_w.softmax(0) * log_w).sum(0)

    monkeypatch.setattr(objectives, "iwae_bound", bound)


@bug("importance_weighted")
def mean_of_log_weights_as_the_bound(monkeypatch):
    """A média por fora do logaritmo é a ELBO com k amostras."""
    monkeypatch.setattr(objectives, "iwae_bound", lambda m, x, k: log_importance_weights(m, x, k).mean(0))


@bug("importance_weighted")
def bound_without_its_log_k(monkeypatch):
    monkeypatch.setattr(objectives, "iwae_bound", lambda m, x, k: log_importance_weights(m, x, k).logsumexp(0))


@pytest.mark.parametrize(
    ("inject", "check"),
    [pytest.param(inject, CHECKS[c], id=f"{name}-{c}") for name, (inject, checks) in BUGS.items() for c in checks],
)
def test_check_catches_the_bug(inject, check, monkeypatch, linear_gaussian, one_latent_bernoulli):
    inject(monkeypatch)
    with pytest.raises(AssertionError):
        check(linear_gaussian=linear_gaussian, one_latent_bernoulli=one_latent_bernoulli)


@pytest.mark.parametrize("width", [1, 3])
def test_decoder_of_the_wrong_width_is_refused_instead_of_broadcast(width):
    model = VAE(nn.Linear(4, 2), nn.Linear(1, width), latent_dim=1)
    with pytest.raises(ValueError, match=rf"devolve {width} colunas para cada exemplo, e os exemplos têm 4"):
        elbo(model, torch.rand(2, 4))


def test_arguments_in_the_wrong_order_and_what_is_no_model_are_refused(digits_like):
    model, x = digits_like
    for function in (elbo, partial(iwae_bound, k=3)):
        with pytest.raises(TypeError, match=r"O primeiro argumento deve ser um modelo.*A ordem é \(model, x\)"):
            function(x, model)
        with pytest.raises(TypeError, match=r"O primeiro argumento deve ser um modelo.*mas veio Linear"):
            function(nn.Linear(12, 4), x)
        with pytest.raises(TypeError, match=r"x deve ser um tensor \[B, D\].*ndarray. Use torch.from_numpy"):
            function(model, x.numpy())


@pytest.mark.parametrize("number", [1e1, "3", None])
def test_numbers_of_samples_are_integers(digits_like, number):
    with pytest.raises(TypeError, match="k deve ser um inteiro"):
        iwae_bound(*digits_like, number)
    with pytest.raises(TypeError, match="n_samples deve ser um inteiro"):
        elbo(*digits_like, n_samples=number)


def test_integers_of_numpy_are_integers(digits_like):
    assert iwae_bound(*digits_like, np.int64(3)).shape == (10,)
    assert elbo(*digits_like, n_samples=np.int32(2)).elbo.shape == (10,)


def test_a_likelihood_of_the_wrong_shape_is_refused():
    class Flat:
        def __init__(self, out):
            self.out = out

        def log_prob(self, x):
            return (x - self.out).square().sum()

    model = VAE(nn.Linear(4, 2), nn.Linear(1, 4), latent_dim=1, likelihood=Flat)
    with pytest.raises(ValueError, match=r"A verossimilhança \(Flat\): log_prob deve dar um valor para cada exemplo"):
        elbo(model, torch.rand(3, 4))
