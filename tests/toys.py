"""Modelos de que se sabe a resposta certa, e o que os testes usam para comparar com ela."""

import itertools
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vae_lessons.distributions import Normal
from vae_lessons.estimators import Estimate
from vae_lessons.models import VAE, CategoricalVAE, mlp_vae


def assert_mean_is(samples: Tensor, expected, *, n_errors: float = 4.0) -> None:
    """A média de samples [R, ...] sobre R está a n_errors erros-padrão, se tanto, do valor esperado [...]."""
    samples = samples.detach().double()
    standard_error = samples.std(0) / math.sqrt(len(samples))
    assert ((samples.mean(0) - torch.as_tensor(expected)).abs() <= n_errors * standard_error + 1e-10).all()


class LinearGaussian(NamedTuple):
    """z ~ N(0, I), x|z ~ N(Wz + b, s²I): o VAE, dados x [B, D], log p(x) [B] e a posterior p(z|x) [B, Z] exatos."""

    model: VAE
    x: Tensor
    log_evidence: Tensor
    posterior: Normal


class LinearEncoder(nn.Module):
    """q(z|x) = N(A(x − b) + shift, exp(log_var + log_scale)): a posterior exata quando shift = log_scale = 0."""

    def __init__(self, matrix: Tensor, offset: Tensor, log_var: Tensor, shift: float, log_scale: float):
        super().__init__()
        self.register_buffer("matrix", matrix)
        self.register_buffer("offset", offset)
        self.register_buffer("log_var", log_var + log_scale)
        self.shift = shift

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = (x - self.offset) @ self.matrix.T + self.shift
        return mean, self.log_var.expand_as(mean)


def linear_gaussian(
    *, shift=0.0, log_scale=0.0, n=32, data_dim=5, latent_dim=2, dtype=torch.float64, prior=None
) -> LinearGaussian:
    """(shift, log_scale) deslocam a média e o log σ² do codificador para fora da posterior exata."""
    generator = torch.Generator().manual_seed(0)
    # Colunas ortogonais: só assim a posterior exata é fatorada e cabe numa Normal.
    basis = torch.linalg.qr(torch.randn(data_dim, latent_dim, generator=generator, dtype=torch.float64)).Q
    weight = basis * torch.linspace(1.5, 0.5, latent_dim, dtype=torch.float64)
    offset = torch.randn(data_dim, generator=generator, dtype=torch.float64)
    s2 = 0.3
    z = torch.randn(n, latent_dim, generator=generator, dtype=torch.float64)
    x = z @ weight.T + offset + s2**0.5 * torch.randn(n, data_dim, generator=generator, dtype=torch.float64)

    covariance = weight @ weight.T + s2 * torch.eye(data_dim, dtype=torch.float64)
    evidence = torch.distributions.MultivariateNormal(offset, covariance).log_prob(x)
    variance = torch.linalg.inv(torch.eye(latent_dim, dtype=torch.float64) + weight.T @ weight / s2).diagonal()
    gain = variance[:, None] * weight.T / s2
    posterior = Normal((x - offset) @ gain.T, variance.log().expand(n, -1))

    encoder = LinearEncoder(gain, offset, variance.log(), shift, log_scale)
    decoder = nn.Linear(latent_dim, data_dim)
    options = {"latent_dim": latent_dim, "likelihood": "gaussian", "data_dim": data_dim, "prior": prior}
    model = VAE(encoder, decoder, **options).double()
    with torch.no_grad():
        decoder.weight.copy_(weight)
        decoder.bias.copy_(offset)
        model.likelihood_log_var.fill_(math.log(s2))
    return LinearGaussian(model.to(dtype), x.to(dtype), evidence, posterior)


class OneLatentBernoulli(NamedTuple):
    """Um VAE de Bernoulli com um só latente: tudo o que é integral em z sai por quadratura, com erro desprezível."""

    model: VAE
    x: Tensor
    log_evidence: Tensor
    expected_log_likelihood: Tensor
    kl_to_prior: Tensor
    kl_to_posterior: Tensor


def one_latent_bernoulli(prior=None) -> OneLatentBernoulli:
    """prior: sobre z [.., 1]; a padrão, se None."""
    torch.manual_seed(0)
    model = mlp_vae(6, 1, (8,), activation="tanh", prior=prior).double()
    with torch.no_grad():
        model.decoder[-1].weight.mul_(4)  # para que z importe e a posterior não seja a prior
    x = torch.tensor([[0, 0, 0, 1, 1, 1], [1, 0, 1, 0, 1, 0], [1, 1, 1, 1, 1, 1]], dtype=torch.float64)
    z = torch.linspace(-15, 15, 6001, dtype=torch.float64)[:, None]
    with torch.no_grad():
        (mean, log_var), logits = model.encode(x), model.decoder(z)
        log_prior = torch.distributions.Normal(0.0, 1.0).log_prob(z) if prior is None else model.prior.log_prob(z)
    log_prior = log_prior.reshape(-1, 1)
    log_likelihood = torch.distributions.Bernoulli(logits=logits[:, None]).log_prob(x).sum(-1)
    log_q = torch.distributions.Normal(mean.squeeze(1), torch.exp(0.5 * log_var.squeeze(1))).log_prob(z)

    def integral(values):
        return torch.trapezoid(values, z, dim=0)

    log_evidence = integral((log_likelihood + log_prior).exp()).log()
    log_posterior = log_likelihood + log_prior - log_evidence
    return OneLatentBernoulli(
        model,
        x,
        log_evidence,
        expected_log_likelihood=integral(log_q.exp() * log_likelihood),
        kl_to_prior=integral(log_q.exp() * (log_q - log_prior)),
        kl_to_posterior=integral(log_q.exp() * (log_q - log_posterior)),
    )


class Enumerated(NamedTuple):
    """Um VAE categórico de poucos códigos, dados x [B, D] e, por soma, log p(x), a ELBO e KL(q ‖ p(z|x)), [B]."""

    model: CategoricalVAE
    x: Tensor
    log_evidence: Tensor
    elbo: Tensor
    kl_to_posterior: Tensor


def enumerated(model: CategoricalVAE, x: Tensor) -> Enumerated:
    """Do modelo, com a prior uniforme, as somas sobre todos os códigos."""
    codes = list(itertools.product(range(model.n_classes), repeat=model.n_latents))
    one_hots = torch.stack([torch.eye(model.n_classes, dtype=x.dtype)[list(code)] for code in codes])
    with torch.no_grad():
        pixels = torch.sigmoid(model.decoder(one_hots.flatten(1)))[:, None]
        log_likelihood = (x * pixels.log() + (1 - x) * (1 - pixels).log()).sum(-1)  # [códigos, B]
        log_joint = log_likelihood - model.n_latents * math.log(model.n_classes)
        logits = model.encoder(x).unflatten(-1, (model.n_latents, model.n_classes))
    probabilities = torch.softmax(logits, -1)
    log_q = torch.stack([sum(probabilities[:, n, k].log() for n, k in enumerate(code)) for code in codes])
    log_evidence = log_joint.logsumexp(0)
    bound = (log_q.exp() * (log_joint - log_q)).sum(0)
    return Enumerated(model, x, log_evidence, bound, (log_q.exp() * (log_q - log_joint + log_evidence)).sum(0))


def sigma_points(f, q: Normal, n_samples: int = 1) -> Estimate:
    """E_q[f] exata, sem sorteio, quando f é quadrática: a média de f nos 2Z pontos μ ± √Z σ_j e_j."""
    latent_dim = q.mean.shape[-1]
    noise = math.sqrt(latent_dim) * torch.eye(latent_dim, dtype=q.mean.dtype)
    noise = torch.cat([noise, -noise])[:, None]
    value = f(q.mean + torch.exp(0.5 * q.log_var) * noise).mean(0)
    return Estimate(value, value)


class Unnamed:
    """Uma distribuição que só sabe o que o contrato pede, log_prob e sample((n,)): ninguém acha a forma fechada."""

    def __init__(self, distribution):
        self.distribution = distribution

    def log_prob(self, value: Tensor) -> Tensor:
        return self.distribution.log_prob(value)

    def sample(self, shape=()) -> Tensor:
        return self.distribution.sample(shape)
