"""Qualquer prior e qualquer posterior: a KL por amostragem contra a fórmula e a quadratura, e onde moram os pesos."""

import copy
import math
from functools import partial

import pytest
import torch
from torch import distributions as td
from torch import nn
from toys import Unnamed, assert_mean_is, enumerated, linear_gaussian, one_latent_bernoulli

from vae_lessons.distributions import Categorical, Normal, kl_divergence
from vae_lessons.estimators import exact, gumbel_softmax, pathwise, score_function, straight_through
from vae_lessons.evaluation import active_units, kl_per_dimension, log_likelihood, rate_distortion
from vae_lessons.models import VAE, CategoricalVAE, categorical_vae, conv_vae, mlp_vae
from vae_lessons.objectives import elbo, iwae_bound, log_importance_weights, log_likelihood_given_z
from vae_lessons.training import TrainConfig, fit, fit_many

REPEATS = 20_000
N, K = 2, 3


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


def mixture_1d():
    return td.MixtureSameFamily(td.Categorical(double(0.3, 0.7)), td.Normal(double(-2.0, 1.0), double(0.5, 0.8)))


def mixture_2d():
    means = double([-2.0, 0.0], [2.0, 1.0], [0.0, -2.0])
    components = td.Independent(td.Normal(means, torch.full_like(means, 0.5)), 1)
    return td.MixtureSameFamily(td.Categorical(double(0.2, 0.5, 0.3)), components)


class LearnedNormal(nn.Module):
    """Uma prior normal aprendida, que se apresenta só com log_prob [..., Z] e sample."""

    def __init__(self, latent_dim=2):
        super().__init__()
        self.mean = nn.Parameter(torch.full((latent_dim,), 0.5))
        self.log_std = nn.Parameter(torch.full((latent_dim,), -0.3))

    def distribution(self):
        return td.Normal(self.mean, self.log_std.exp(), validate_args=False)

    def log_prob(self, z):
        return self.distribution().log_prob(z)

    def sample(self, shape=()):
        return self.distribution().sample(shape)


class LearnedMixture(nn.Module):
    """Mistura de normais com médias aprendidas: log_prob [...], que não fatora."""

    def __init__(self, latent_dim=2, n_components=4):
        super().__init__()
        self.means = nn.Parameter(torch.randn(n_components, latent_dim))

    def log_prob(self, z):
        log_p = Normal(self.means, torch.zeros_like(self.means)).log_prob(z[..., None, :]).sum(-1)
        return log_p.logsumexp(-1) - math.log(len(self.means))

    def sample(self, shape):
        component = self.means[torch.randint(len(self.means), shape)]
        return component + torch.randn_like(component)


PRIORS = {
    "Normal": lambda: Normal(double(1.0, -1.0), double(-0.5, 0.3)),
    "td.Normal": lambda: td.Normal(double(1.0, -1.0), double(0.5, 2.0)),
    "scalar": lambda: td.Normal(double(1.0).squeeze(), double(0.7).squeeze()),
    "Independent": lambda: td.Independent(td.Normal(double(1.0, -1.0), double(0.5, 2.0)), 1),
    "MultivariateNormal": lambda: td.MultivariateNormal(double(0.0, 1.0), double([1.0, 0.8], [0.8, 1.0])),
    "Laplace": lambda: td.Laplace(double(0.0, 1.0), double(0.5, 0.8)),
    "mixture of vectors": mixture_2d,
    "mixture per dimension": mixture_1d,
    "transformed": lambda: td.TransformedDistribution(
        td.Normal(double(0.0, 0.0), double(1.0, 1.0)), [td.AffineTransform(double(1.0, 2.0), double(0.5, 0.5))]
    ),
    "Unnamed": lambda: Unnamed(td.Normal(double(0.0, 0.5), double(1.0, 1.0))),
    "LearnedNormal": LearnedNormal,
    "LearnedMixture": LearnedMixture,
}


@pytest.fixture(params=PRIORS.values(), ids=PRIORS)
def any_prior(request):
    torch.manual_seed(0)
    return request.param()


def vae_with(prior):
    torch.manual_seed(0)
    model = mlp_vae(6, 2, (8,), activation="tanh", prior=prior).double()
    with torch.no_grad():
        model.encoder[-1].bias[2:].fill_(0.5)  # q larga: os pesos de importância não têm cauda pesada
    return model


def bits(n=5):
    return (torch.rand(n, 6, generator=torch.Generator().manual_seed(1)) < 0.5).double()


def density_on_a_grid(prior):
    """z [n², 2], log p(z) em cada um, e a área de cada quadradinho."""
    ticks = torch.linspace(-12, 12, 481, dtype=torch.float64)
    z = torch.cartesian_prod(ticks, ticks)
    log_p = prior.log_prob(z).detach()
    return z, (log_p.sum(-1) if log_p.ndim == 2 else log_p), (ticks[1] - ticks[0]) ** 2


# Todas as priors, em tudo o que usa a prior


def test_samples_of_the_model_start_from_its_prior(any_prior):
    """Com a identidade no decodificador, a média de p(x|z) é z: os momentos são os da densidade, integrada."""
    model = VAE(nn.Linear(2, 4), nn.Identity(), latent_dim=2, likelihood="gaussian", prior=any_prior).double()
    z = model.sample(40_000, mean=True, generator=torch.Generator().manual_seed(0))
    grid, log_p, area = density_on_a_grid(model.prior)
    assert (log_p.exp().sum() * area).item() == pytest.approx(1, abs=2e-3)
    for power in (1, 2):
        expected = (log_p.exp()[:, None] * grid**power).sum(0) * area
        assert_mean_is(z**power, expected, n_errors=4.5)


def test_sampling_is_repeatable_and_leaves_the_global_generator_alone(any_prior):
    if isinstance(any_prior, LearnedMixture):
        any_prior.sample((3,))  # usa o gerador global, que o bloco devolve como estava
    model = vae_with(any_prior)
    state = torch.get_rng_state()
    first, again, other = (model.sample(20, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not first.requires_grad


@pytest.mark.filterwarnings("ignore:O erro-padrão de log p")
def test_every_objective_and_measure_takes_any_prior(any_prior):
    model, x = vae_with(any_prior), bits()
    for n_samples in (1, 3):
        terms = elbo(model, x, n_samples=n_samples)
        assert all(term.shape == (5,) for term in terms)
        torch.testing.assert_close(terms.elbo, terms.log_likelihood - terms.kl)
        torch.testing.assert_close(terms.loss, -terms.elbo)
    terms.loss.mean().backward()
    assert all(weight.grad.abs().max() > 0 for weight in model.parameters())
    assert iwae_bound(model, x, 4).shape == (5,)
    estimate = log_likelihood(model, x, k=2000)
    rate, distortion = rate_distortion(model, x, n_samples=2000)
    assert estimate.mean > -(rate + distortion) - 0.02
    assert active_units(model, x) in range(3)


def test_importance_weights_have_the_evidence_of_any_prior_as_mean(any_prior):
    """p(x) = ∫ p(x|z) p(z) dz, na grade."""
    model, x = vae_with(any_prior), bits()
    grid, log_p, area = density_on_a_grid(model.prior)
    with torch.no_grad():
        log_joint = log_likelihood_given_z(model, x, grid[:, None].expand(-1, 5, -1)) + log_p[:, None]
        torch.manual_seed(0)
        weights = log_importance_weights(model, x, REPEATS).exp()
    assert_mean_is(weights, log_joint.exp().sum(0) * area)


def test_the_elbo_of_any_prior_is_the_evidence_less_the_gap(any_prior):
    """Em média, log p(x) − ELBO = KL(q ‖ p(z|x)), integrada na grade."""
    model, x = vae_with(any_prior), bits()
    grid, log_p, area = density_on_a_grid(model.prior)
    with torch.no_grad():
        log_joint = log_likelihood_given_z(model, x, grid[:, None].expand(-1, 5, -1)) + log_p[:, None]
        log_q = model.encode(x).log_prob(grid[:, None]).sum(-1)
        expected = (log_q.exp() * (log_joint - log_q)).sum(0) * area
        torch.manual_seed(0)
        bounds = elbo(model, x.repeat(REPEATS, 1)).elbo.unflatten(0, (REPEATS, 5))
    assert_mean_is(bounds, expected)


# A KL por amostragem onde se sabe a fórmula


def forced(case):
    """O mesmo modelo, com a mesma prior disfarçada: a KL só pode ser a das amostras."""
    model = copy.deepcopy(case.model)
    zero = torch.zeros(model.latent_dim, dtype=torch.float64)
    other = VAE(
        model.encoder,
        model.decoder,
        latent_dim=model.latent_dim,
        likelihood=model.likelihood,
        prior=Unnamed(td.Normal(zero, zero + 1)),
    )
    if model.likelihood == "gaussian":
        other.likelihood_log_var = model.likelihood_log_var
    return other


def test_a_disguised_prior_has_the_kl_of_the_formula_on_average():
    case = linear_gaussian(shift=0.4, log_scale=0.7, n=4)
    torch.manual_seed(0)
    with torch.no_grad():
        sampled = elbo(forced(case), case.x.repeat(REPEATS, 1)).kl.unflatten(0, (REPEATS, 4))
        assert_mean_is(sampled, elbo(case.model, case.x).kl)
    assert (sampled < 0).any()


def test_the_terms_come_from_the_same_samples():
    """Com a posterior exata, log p(x|z) + log p(z) − log q(z|x) = log p(x) em todo z: a soma não varia, as parcelas
    variam."""
    case = linear_gaussian()
    torch.manual_seed(0)
    terms = elbo(forced(case), case.x)
    torch.testing.assert_close(terms.elbo, case.log_evidence, rtol=0, atol=1e-10)
    assert (terms.kl - elbo(case.model, case.x).kl).abs().max() > 0.1


def gradient_of_the_loss(model, x, **options):
    loss = elbo(model, x, **options).loss.sum()
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])


def test_quadrature_makes_the_sampled_kl_equal_to_the_formula_with_its_gradient():
    case = one_latent_bernoulli()
    disguised = forced(case)
    for ours, theirs in zip(
        elbo(disguised, case.x, estimator=exact), elbo(case.model, case.x, estimator=exact), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)
    for beta in (1.0, 4.0):
        torch.testing.assert_close(
            gradient_of_the_loss(disguised, case.x, estimator=exact, beta=beta),
            gradient_of_the_loss(case.model, case.x, estimator=exact, beta=beta),
            rtol=0,
            atol=1e-9,
        )


NORMAL_ESTIMATORS = {
    "pathwise": (pathwise, 1),
    "three samples": (pathwise, 3),
    "score_function": (score_function, 1),
    "constant": (partial(score_function, baseline=-4.0), 1),
    "leave_one_out": (partial(score_function, baseline="leave_one_out"), 2),
}


@pytest.mark.parametrize("beta", [1.0, 3.0])
@pytest.mark.parametrize("name", NORMAL_ESTIMATORS)
@pytest.mark.parametrize("prior", [None, mixture_1d], ids=["disguised", "mixture"])
def test_every_estimator_gives_the_gradient_of_the_loss_with_a_sampled_kl(name, beta, prior):
    """No codificador e no decodificador, contra a quadratura, que na prior disfarçada é a fórmula."""
    case = one_latent_bernoulli(prior and prior())
    model = case.model if prior else forced(case)
    estimator, n_samples = NORMAL_ESTIMATORS[name]
    copies, n_groups = 100, 150
    many = case.x.repeat(copies, 1)
    torch.manual_seed(0)
    options = {"estimator": estimator, "n_samples": n_samples, "beta": beta}
    groups = torch.stack([gradient_of_the_loss(model, many, **options) / copies for _ in range(n_groups)])
    assert_mean_is(groups, gradient_of_the_loss(case.model, case.x, estimator=exact, beta=beta), n_errors=4.2)


def test_a_mixture_prior_has_the_terms_of_the_quadrature():
    case = one_latent_bernoulli(mixture_1d())
    terms = elbo(case.model, case.x, estimator=exact)
    torch.testing.assert_close(terms.log_likelihood, case.expected_log_likelihood, rtol=0, atol=1e-8)
    torch.testing.assert_close(terms.kl, case.kl_to_prior, rtol=0, atol=1e-8)
    torch.testing.assert_close(terms.elbo + case.kl_to_posterior, case.log_evidence, rtol=0, atol=1e-8)
    assert (terms.kl - elbo(one_latent_bernoulli().model, case.x).kl).abs().min() > 0.01


@pytest.mark.parametrize(
    "prior",
    [
        lambda z: td.Normal(z, z + 1),
        lambda z: td.Independent(td.Normal(z, z + 1), 1),
        lambda z: Normal(z, z),
        lambda z: td.Normal(0.0, 1.0),
    ],
    ids=["td.Normal", "Independent", "Normal", "scalar"],
)
def test_a_normal_of_another_library_has_the_formula_and_no_noise(prior):
    case = linear_gaussian(shift=0.4, n=4)
    model = linear_gaussian(shift=0.4, n=4, prior=prior(torch.zeros(2, dtype=torch.float64))).model
    torch.testing.assert_close(elbo(model, case.x).kl, elbo(case.model, case.x).kl, rtol=0, atol=1e-12)
    torch.testing.assert_close(kl_per_dimension(model, case.x), kl_per_dimension(case.model, case.x))


# Latentes discretos


def categorical_case(prior=None):
    torch.manual_seed(0)
    model = categorical_vae(6, N, K, (8,), activation="tanh", prior=prior).double()
    with torch.no_grad():
        model.encoder[-1].weight.mul_(4)
        model.decoder[-1].weight.mul_(6)
    return model, bits(4)


SKEWED = double([2.0, 0.0, -1.0], [0.0, 1.0, 0.5])


def test_the_formula_of_a_categorical_prior_equals_its_enumeration():
    model, x = categorical_case(Categorical(SKEWED))
    named, by_codes = (
        elbo(categorical_case(prior)[0], x, estimator=exact)
        for prior in (td.OneHotCategorical(logits=SKEWED), Unnamed(td.OneHotCategorical(logits=SKEWED)))
    )
    kl = kl_divergence(model.encode(x), Categorical(SKEWED)).sum(-1)
    for terms in (elbo(model, x, estimator=exact), named, by_codes):
        torch.testing.assert_close(terms.kl, kl)


@pytest.mark.parametrize("prior", [None, Unnamed(td.OneHotCategorical(logits=SKEWED))], ids=["uniform", "skewed"])
@pytest.mark.parametrize("name", ["score_function", "leave_one_out", "constant"])
def test_the_score_function_gives_the_gradient_of_a_sampled_kl_of_categoricals(name, prior):
    prior = prior or Unnamed(td.OneHotCategorical(logits=torch.zeros(N, K, dtype=torch.float64)))
    model, x = categorical_case(prior)
    estimator, n_samples = NORMAL_ESTIMATORS[name]
    expected = gradient_of_the_loss(model, x, estimator=exact, beta=2.0)
    copies = 50
    torch.manual_seed(0)
    options = {"estimator": estimator, "n_samples": n_samples, "beta": 2.0}
    many = x.repeat(copies, 1)
    gradients = torch.stack([gradient_of_the_loss(model, many, **options) / copies for _ in range(300)])
    assert_mean_is(gradients, expected, n_errors=4.5)
    assert expected.abs().max() > 0.01


@pytest.mark.parametrize(
    "estimator",
    [
        score_function,
        partial(gumbel_softmax, temperature=0.5),
        partial(gumbel_softmax, temperature=0.5, hard=True),
        straight_through,
    ],
    ids=["score_function", "gumbel_softmax", "hard gumbel_softmax", "straight_through"],
)
def test_the_values_of_a_sampled_kl_are_those_of_hard_samples_whatever_the_estimator(estimator):
    model, x = categorical_case(Unnamed(Categorical_like(SKEWED)))
    expected = elbo(model, x, estimator=exact)
    torch.manual_seed(0)
    terms = elbo(model, x.repeat(REPEATS, 1), estimator=estimator)
    for name in ("elbo", "kl", "log_likelihood"):
        assert_mean_is(getattr(terms, name).unflatten(0, (REPEATS, 4)), getattr(expected, name))
    torch.testing.assert_close(terms.loss, -terms.elbo)


def Categorical_like(logits):
    """Uma OneHotCategorical cujo log_prob é derivável em z, como a relaxação pede."""

    class Differentiable(td.OneHotCategorical):
        def log_prob(self, value):
            return Categorical(self.logits).log_prob(value)

    return Differentiable(logits=logits)


def test_the_enumerated_model_keeps_its_sums_with_the_uniform_prior_given_by_hand():
    model, x = categorical_case(Categorical(torch.zeros(N, K, dtype=torch.float64)))
    case = enumerated(model, x)
    torch.testing.assert_close(elbo(model, x, estimator=exact).elbo, case.elbo, rtol=1e-12, atol=1e-12)


# Posteriores que não são a normal fatorada


class FullCovariance(nn.Module):
    """A posterior exata de z ~ N(0, I), x|z ~ N(Wz + b, s²I): uma normal de covariância cheia."""

    def __init__(self, weight, offset, s2):
        super().__init__()
        self.covariance = torch.linalg.inv(torch.eye(weight.shape[1]).double() + weight.T @ weight / s2)
        self.gain = self.covariance @ weight.T / s2
        self.offset = offset

    def forward(self, x):
        return td.MultivariateNormal((x - self.offset) @ self.gain.T, self.covariance)


def test_the_exact_posterior_of_full_covariance_gives_the_evidence_at_every_sample():
    """O que a normal fatorada não alcança: ELBO = log p(x), e pesos de importância sem variância."""
    generator = torch.Generator().manual_seed(0)
    weight, offset = torch.randn(5, 2, generator=generator).double(), torch.randn(5, generator=generator).double()
    model = VAE(FullCovariance(weight, offset, 0.3), nn.Linear(2, 5), latent_dim=2, likelihood="gaussian").double()
    with torch.no_grad():
        model.decoder.weight.copy_(weight)
        model.decoder.bias.copy_(offset)
        model.likelihood_log_var.fill_(math.log(0.3))
    x = torch.randn(7, 5, generator=generator).double()
    evidence = td.MultivariateNormal(offset, weight @ weight.T + 0.3 * torch.eye(5).double()).log_prob(x)
    for estimator in (pathwise, score_function):
        for n_samples in (1, 3):
            bound = elbo(model, x, estimator=estimator, n_samples=n_samples).elbo
            torch.testing.assert_close(bound, evidence, rtol=0, atol=1e-10)
    torch.testing.assert_close(log_importance_weights(model, x, 4), evidence.expand(4, -1), rtol=0, atol=1e-10)
    assert log_likelihood(model, x, k=50).mean == pytest.approx(evidence.mean().item())


class Planar:
    """Um fluxo planar (Rezende e Mohamed, 2015) sobre uma normal: z = ε' + u tanh(wᵀε' + b). Não se sabe inverter: só
    se conhece log q(z) do z que se acabou de sortear."""

    def __init__(self, base, u, w, b):
        self.base, self.u, self.w, self.b = base, u, w, b
        self.drawn = self.log_q = None

    def rsample(self):
        before = self.base.rsample()
        slope = torch.tanh(before @ self.w + self.b)
        self.drawn = before + slope[..., None] * self.u
        stretch = 1 + (1 - slope.square()) * (self.w @ self.u)
        self.log_q = self.base.log_prob(before).sum(-1) - stretch.abs().log()
        return self.drawn

    def log_prob(self, z):
        assert z is self.drawn
        return self.log_q


class PlanarVAE(VAE):
    def encode(self, x):
        return Planar(super().encode(x), self.u, self.w, self.b)


def planar_vae(strength=1.0):
    torch.manual_seed(0)
    network = mlp_vae(6, 2, (8,), activation="tanh")
    model = PlanarVAE(network.encoder, network.decoder, latent_dim=2)
    model.u, model.w = nn.Parameter(torch.tensor([0.8, 0.5]) * strength), nn.Parameter(torch.tensor([1.0, -0.7]))
    model.b = nn.Parameter(torch.zeros(()))
    return model.double()


def test_a_planar_flow_is_a_posterior():
    model, x = planar_vae(), bits()
    grid, log_p, area = density_on_a_grid(model.prior)
    with torch.no_grad():
        log_joint = log_likelihood_given_z(model, x, grid[:, None].expand(-1, 5, -1)) + log_p[:, None]
        evidence = log_joint.exp().sum(0) * area
        torch.manual_seed(0)
        assert_mean_is(log_importance_weights(model, x, REPEATS).exp(), evidence)
        bounds = elbo(model, x.repeat(REPEATS, 1)).elbo.unflatten(0, (REPEATS, 5))
        assert (bounds.mean(0) < evidence.log()).all()
    elbo(model, x, n_samples=3).loss.mean().backward()
    assert all(weight.grad.abs().max() > 0 for weight in model.parameters())


def test_a_flow_that_moves_nothing_is_the_normal_it_starts_from():
    model, x = planar_vae(strength=0.0), bits(2)
    plain = VAE(model.encoder, model.decoder, latent_dim=2)
    torch.manual_seed(0)
    with torch.no_grad():
        bounds = elbo(model, x.repeat(REPEATS, 1)).elbo.unflatten(0, (REPEATS, 2))
        expected = elbo(plain, x.repeat(REPEATS, 1)).elbo.unflatten(0, (REPEATS, 2)).mean(0)
    assert_mean_is(bounds, expected, n_errors=4 * 2**0.5)


def test_what_a_flow_has_not_is_said():
    model, x = planar_vae(), bits()
    with pytest.raises(TypeError, match=r"active_units .* média.*Planar"):
        active_units(model, x)
    with pytest.raises(TypeError, match=r"Planar para Normal.*rate_distortion"):
        kl_per_dimension(model, x)
    with pytest.raises(ValueError, match=r"free_bits = 0.5 .* Planar .* Normal .*Use free_bits=0"):
        elbo(model, x, free_bits=0.5)
    with pytest.raises(TypeError, match=r"score_function|sample|rsample"):
        score_function(lambda z: z.sum(-1), object())


# Priors aprendidas e o lugar dos tensores


def test_a_learned_prior_gets_the_gradient_of_the_kl():
    """∂KL/∂m = (m − μ) / s²: em média, o gradiente por amostragem é o da fórmula."""
    prior = LearnedNormal()
    model, x = vae_with(prior), bits(3)
    copies = 20_000
    torch.manual_seed(0)
    elbo(model, x.repeat(copies, 1)).loss.sum().backward()
    q = model.encode(x)
    learned = Normal(prior.mean.detach().requires_grad_(), (2 * prior.log_std).detach().requires_grad_())
    kl_divergence(Normal(q.mean.detach(), q.log_var.detach()), learned).sum().backward()
    torch.testing.assert_close(prior.mean.grad / copies, learned.mean.grad, rtol=0.05, atol=0.05)
    torch.testing.assert_close(prior.log_std.grad / copies, 2 * learned.log_var.grad, rtol=0.05, atol=0.05)


def test_a_learned_prior_is_part_of_the_model():
    torch.manual_seed(0)
    prior = LearnedMixture()
    model = mlp_vae(6, 2, (8,), prior=prior)
    assert model.prior is prior
    assert any(weight is prior.means for weight in model.parameters())
    assert "prior.means" in model.state_dict()
    assert model.double().prior.means.dtype == torch.float64
    other = mlp_vae(6, 2, (8,), prior=LearnedMixture()).double()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.prior.means, model.prior.means)


def test_a_prior_of_torch_moves_with_the_model_and_is_saved(any_prior):
    model = mlp_vae(6, 2, (8,), prior=any_prior)
    z = torch.zeros(3, 2)
    before = model.double().prior.log_prob(z.double())
    after = model.float().prior.log_prob(z)
    assert after.dtype == torch.float32
    torch.testing.assert_close(after, before.float())
    saved = model.state_dict()
    assert any("prior" in name for name in saved)
    with torch.no_grad():
        moved = copy.deepcopy(model)
        for name, tensor in moved.state_dict().items():
            if "prior" in name and tensor.ndim:
                tensor.mul_(0.9)
    assert not torch.allclose(moved.prior.log_prob(z), after)
    moved.load_state_dict(saved)
    torch.testing.assert_close(moved.prior.log_prob(z), after)


def test_the_prior_of_a_model_does_not_follow_the_tensor_it_came_from():
    mean = torch.zeros(2)
    model = mlp_vae(6, 2, (8,), prior=Normal(mean, torch.zeros(2)))
    mean.add_(1)
    assert model.prior.mean.tolist() == [0.0, 0.0]


def test_a_tuple_of_parameters_is_learned():
    model = mlp_vae(6, 2, (8,), prior=Normal(nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))))
    elbo(model, bits().float()).loss.mean().backward()
    assert all(weight.grad.abs().max() > 0 for weight in model.prior)
    assert len(list(model.parameters())) == len(list(mlp_vae(6, 2, (8,)).parameters())) + 2


def tiny_training(**options):
    return TrainConfig(**({"epochs": 3, "batch_size": 32, "lr": 1e-2, "device": "cpu", "binarize": "none"} | options))


def test_fit_trains_a_learned_prior_and_fit_many_does_the_same():
    torch.manual_seed(0)
    x = (torch.rand(100, 6) < torch.tensor([0.1, 0.9, 0.5, 0.2, 0.7, 0.5])).float()
    for prior in (LearnedMixture, LearnedNormal, lambda: td.Normal(torch.ones(2), torch.ones(2)), mixture_2d):
        torch.manual_seed(0)
        initial = mlp_vae(6, 2, (8,), prior=prior()).float()
        runs = fit_many(initial, x, tiny_training(), sweep={"beta": [0.5, 2.0], "seed": [0, 1]}, progress=False)
        for run in runs:
            alone = copy.deepcopy(initial)
            history = fit(alone, x, run.config, progress=False)
            assert run.history.elbo == pytest.approx(history.elbo, abs=1e-4)
            for name, weight in alone.state_dict().items():
                torch.testing.assert_close(run.model.state_dict()[name], weight, rtol=0, atol=1e-4, msg=name)
            learned = [name for name, _ in alone.named_parameters() if "prior" in name]
            assert all(not torch.equal(alone.state_dict()[n], initial.state_dict()[n]) for n in learned)


@pytest.mark.parametrize("prior", [LearnedMixture, mixture_2d])
def test_convolutional_models_take_a_prior_too(prior):
    model = conv_vae((8, 8), 2, (3, 4), prior=prior()).float()
    assert elbo(model, torch.rand(4, 64).round(), n_samples=2).elbo.shape == (4,)
    assert model.sample(3).shape == (3, 64)


# Erros


@pytest.mark.parametrize(
    "prior",
    ["normal", 0, td.Normal, torch.zeros(2), nn.Linear(2, 2), object()],
    ids=["text", "number", "class", "tensor", "network", "object"],
)
def test_what_is_not_a_distribution_is_refused(prior):
    with pytest.raises(TypeError, match=r"prior deve ser uma distribuição, com log_prob"):
        mlp_vae(6, 2, (8,), prior=prior)


@pytest.mark.parametrize(
    "prior",
    [
        lambda: Normal(torch.zeros(3), torch.zeros(3)),
        lambda: td.Normal(torch.zeros(3), torch.ones(3)),
        lambda: td.MultivariateNormal(torch.zeros(3), torch.eye(3)),
        lambda: td.Independent(td.Normal(torch.zeros(4, 2), torch.ones(4, 2)), 1),
    ],
)
def test_a_prior_of_another_shape_is_refused(prior):
    with pytest.raises(ValueError, match=r"deve ser de um z de forma \(2,\)"):
        mlp_vae(6, 2, (8,), prior=prior())


def test_weights_hidden_in_a_distribution_are_refused():
    mean = nn.Parameter(torch.zeros(2))
    with pytest.raises(TypeError, match=r"calculado a partir de pesos.*nn.Module com log_prob e sample"):
        mlp_vae(6, 2, (8,), prior=td.Normal(mean + 0, torch.ones(2)))
    hidden = Unnamed(td.Normal(0.0, 1.0))
    hidden.network = nn.Linear(2, 2)
    with pytest.raises(TypeError, match=r"guarda um módulo em network.*class Prior\(nn.Module\)"):
        mlp_vae(6, 2, (8,), prior=hidden)


@pytest.mark.parametrize(
    "wrong", [lambda z: z.sum(), lambda z: z.sum(0), lambda z: 0.0], ids=["scalar", "dim", "number"]
)
def test_a_log_prob_of_the_wrong_shape_is_refused(wrong):
    prior = LearnedNormal()
    prior.log_prob = wrong
    with pytest.raises(ValueError, match=r"A prior \(LearnedNormal\): log_prob deve dar um valor para cada exemplo"):
        elbo(mlp_vae(6, 2, (8,), prior=prior), torch.zeros(5, 6))


def test_samples_of_the_wrong_shape_are_refused():
    prior = LearnedNormal(latent_dim=3)
    with pytest.raises(ValueError, match=r"sample\(\(4,\)\), amostras de z de forma \(4, 2\), mas deu \(4, 3\)"):
        mlp_vae(6, 2, (8,), prior=prior).sample(4)


def test_a_categorical_model_takes_a_prior_of_its_own_shape():
    model = CategoricalVAE(
        nn.Linear(6, 6), nn.Linear(6, 6), n_latents=N, n_classes=K, prior=Categorical(SKEWED.float())
    )
    assert model.prior.logits.shape == (N, K)
    assert model.sample(5).shape == (5, 6)
    with pytest.raises(ValueError, match=r"deve ser de um z de forma \(2, 3\)"):
        categorical_vae(6, N, K, prior=Categorical(torch.zeros(3, 2)))
