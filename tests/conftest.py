"""Modelos em que a resposta certa é conhecida, para que os testes comparem com ela e não com o próprio código."""

import math
import signal
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from vae_lessons.distributions import Normal
from vae_lessons.models import VAE, mlp_vae


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Tensores deste tamanho não se dividem: numa máquina ocupada, duas linhas de execução levam sete vezes mais."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def listens_to_interrupts():
    """Um pytest posto em segundo plano herda SIGINT ignorado; um kernel, não."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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


@pytest.fixture(scope="session")
def linear_gaussian():
    """Construtor: (shift, log_scale) deslocam a média e o log σ² do codificador para fora da posterior exata."""

    def build(*, shift=0.0, log_scale=0.0, n=32, data_dim=5, latent_dim=2, dtype=torch.float64) -> LinearGaussian:
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
        model = VAE(encoder, decoder, latent_dim=latent_dim, likelihood="gaussian", data_dim=data_dim).double()
        with torch.no_grad():
            decoder.weight.copy_(weight)
            decoder.bias.copy_(offset)
            model.likelihood_log_var.fill_(math.log(s2))
        return LinearGaussian(model.to(dtype), x.to(dtype), evidence, posterior)

    return build


class OneLatentBernoulli(NamedTuple):
    """Um VAE de Bernoulli com um só latente: tudo o que é integral em z sai por quadratura, com erro desprezível."""

    model: VAE
    x: Tensor
    log_evidence: Tensor
    expected_log_likelihood: Tensor
    kl_to_prior: Tensor
    kl_to_posterior: Tensor


@pytest.fixture(scope="session")
def one_latent_bernoulli() -> OneLatentBernoulli:
    torch.manual_seed(0)
    model = mlp_vae(6, 1, (8,), activation="tanh").double()
    with torch.no_grad():
        model.decoder[-1].weight.mul_(4)  # para que z importe e a posterior não seja a prior
    x = torch.tensor([[0, 0, 0, 1, 1, 1], [1, 0, 1, 0, 1, 0], [1, 1, 1, 1, 1, 1]], dtype=torch.float64)
    z = torch.linspace(-15, 15, 6001, dtype=torch.float64)[:, None]
    with torch.no_grad():
        (mean, log_var), logits = model.encode(x), model.decoder(z)
    log_likelihood = torch.distributions.Bernoulli(logits=logits[:, None]).log_prob(x).sum(-1)
    log_prior = torch.distributions.Normal(0.0, 1.0).log_prob(z)
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
