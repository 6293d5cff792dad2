"""As famílias de parâmetros positivos dentro de um VAE: posterior, prior e verossimilhança, em elbo e no treino."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vae_lessons.distributions import (
    Beta,
    Dirichlet,
    Gamma,
    NegativeBinomial,
    VonMises,
    ZeroInflatedNegativeBinomial,
    kl_divergence,
)
from vae_lessons.evaluation import kl_per_dimension
from vae_lessons.models import VAE
from vae_lessons.objectives import elbo, iwae_bound
from vae_lessons.training import TrainConfig, fit, fit_many

Z = 2
FAMILIES = {
    "Gamma": lambda a, b: Gamma(F.softplus(a) + 0.1, F.softplus(b) + 0.1),
    "Beta": lambda a, b: Beta(F.softplus(a) + 0.1, F.softplus(b) + 0.1),
    "VonMises": lambda a, b: VonMises(a, F.softplus(b)),
    "Dirichlet": lambda a, b: Dirichlet(F.softplus(a) + 0.1),
}
PRIORS = {
    "Gamma": Gamma(torch.tensor(2.0), torch.tensor(1.0)),
    "Beta": Beta(torch.tensor(1.0), torch.tensor(1.0)),
    "VonMises": VonMises(torch.tensor(0.0), torch.tensor(0.0)),
    "Dirichlet": Dirichlet(torch.full((Z,), 0.8)),
}


class Encoder(nn.Module):
    """x [B, 5] → a família de parâmetros [B, Z]."""

    def __init__(self, family):
        super().__init__()
        self.layers, self.family = nn.Linear(5, 2 * Z), FAMILIES[family]

    def forward(self, x):
        return self.family(*self.layers(x).chunk(2, -1))


def vae(family, seed=0, **options):
    torch.manual_seed(seed)
    return VAE(Encoder(family), nn.Linear(Z, 5), latent_dim=Z, prior=PRIORS[family], **options)


def bits(n=40):
    return torch.randint(0, 2, (n, 5), generator=torch.Generator().manual_seed(0)).float()


def counts(n=64):
    rates = torch.tensor([0.2, 1.0, 3.0, 10.0, 30.0]).expand(n, 5)
    return torch.poisson(rates, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("family", FAMILIES)
def test_elbo_has_the_closed_kl_one_for_each_example_and_gradients_for_every_weight(family):
    model, x = vae(family), bits()
    terms = elbo(model, x, n_samples=3)
    kl = kl_divergence(model.encode(x), model.prior)
    torch.testing.assert_close(terms.kl, kl if family == "Dirichlet" else kl.sum(-1))
    assert {part.shape for part in terms} == {(len(x),)}
    terms.loss.mean().backward()
    weights = list(model.parameters())
    if family == "Dirichlet":
        weights = [*model.decoder.parameters()]  # metade das saídas do codificador sobra
    assert all(w.grad.isfinite().all() and (w.grad != 0).any() for w in weights)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_closed_kl_is_the_mean_of_the_log_ratio_of_the_samples(family):
    model = vae(family)
    q = model.encode(bits(3))
    z = type(q)(*(p.detach().expand(20_000, *p.shape) for p in q)).sample()
    ratio = q.log_prob(z) - model.prior.log_prob(z)
    error = (ratio.mean(0) - kl_divergence(q, model.prior)).abs()
    assert (error <= 4 * ratio.std(0) / math.sqrt(20_000) + 1e-5).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_bounds_samples_free_bits_and_measures_work(family):
    model, x = vae(family), bits()
    assert iwae_bound(model, x, 5).shape == (len(x),)
    assert model.sample(7).shape == (7, 5)
    assert elbo(model, x, free_bits=0.5).loss.isfinite().all()
    assert kl_per_dimension(model, x).shape == ((1,) if family == "Dirichlet" else (Z,))


@pytest.mark.parametrize("family", FAMILIES)
def test_training_raises_the_elbo_and_a_sweep_gives_each_run_what_it_would_have_alone(family):
    config = TrainConfig(epochs=8, batch_size=20, lr=2e-2, device="cpu")
    runs = fit_many(vae(family), bits(), config, sweep={"beta": [0.5, 1.0], "seed": [0, 3]}, progress=False)
    for run in runs:
        history = fit(vae(family), bits(), run.config, progress=False)
        assert history.elbo[-1] > history.elbo[0]
        assert run.history.elbo == pytest.approx(history.elbo, abs=1e-3)


# Contagens


class Proportions(nn.Module):
    """z [B, Z] → média positiva [B, 5]."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(Z, 5)

    def forward(self, z):
        return F.softplus(self.layer(z))


class LogCounts(nn.Sequential):
    """Contagens [B, 5], de inteiros ou de ponto flutuante → (mean, log_var)."""

    def forward(self, x):
        return super().forward(x.float().log1p())


THETA = torch.full((5,), 3.0)
LIKELIHOODS = {
    "negative_binomial": lambda mean: NegativeBinomial(mean, THETA),
    "inflated": lambda mean: ZeroInflatedNegativeBinomial(mean, THETA, torch.full((5,), -2.0)),
}


def count_vae(likelihood):
    torch.manual_seed(0)
    encoder = LogCounts(nn.Linear(5, 2 * Z))
    return VAE(encoder, Proportions(), latent_dim=Z, likelihood=LIKELIHOODS[likelihood], data_dim=5)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_counts_are_data_for_elbo_fit_and_fit_many(likelihood, dtype):
    model, x = count_vae(likelihood), counts().to(dtype)
    torch.manual_seed(1)
    found = elbo(model, x).log_likelihood
    torch.manual_seed(1)
    z = model.encode(x).rsample()
    torch.testing.assert_close(found, LIKELIHOODS[likelihood](model.decoder(z)).log_prob(x.double()).sum(-1))
    config = TrainConfig(epochs=8, batch_size=32, lr=2e-2, device="cpu")
    history = fit(count_vae(likelihood), x, config, progress=False)
    assert history.elbo[-1] > history.elbo[0]
    (run,) = fit_many(count_vae(likelihood), x, config, sweep={"seed": [0]}, progress=False)
    assert run.history.elbo == pytest.approx(history.elbo, abs=1e-2)


def test_a_model_of_counts_draws_counts_and_knows_its_mean():
    model = count_vae("inflated")
    samples = model.sample(50, generator=torch.Generator().manual_seed(0))
    assert torch.equal(samples, samples.round())
    assert model.sample(50, mean=True).shape == (50, 5)


def test_a_decoder_with_the_wrong_number_of_columns_is_told_so():
    model = VAE(
        LogCounts(nn.Linear(5, 2 * Z)),
        nn.Linear(Z, 4),
        latent_dim=Z,
        likelihood=lambda out: NegativeBinomial(out.exp(), torch.ones(4)),
    )
    with pytest.raises(ValueError, match="4 colunas"):
        elbo(model, counts())
