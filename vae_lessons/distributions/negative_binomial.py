"""Contagens: a binomial negativa e a inflada de zeros, parametrizadas pela média."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from vae_lessons.distributions.domain import requires
from vae_lessons.distributions.gamma import Gamma
from vae_lessons.distributions.special import log1p_gap, stirling, stirling_slope


@requires(mean="≥ 0", theta="> 0")
class NegativeBinomial(NamedTuple):
    """Binomial negativa de média μ = mean e variância μ + μ²/θ, com θ = theta, em x = 0, 1, 2, …: a Poisson de taxa
    sorteada de Gama(θ, θ/μ). Com θ → ∞, é Poisson(μ).

    mean: [..., D] · theta: [..., D], ou uma forma que se estenda a ela, como um θ por coluna [D].
    Levanta ValueError, ao ser criada, se mean < 0 ou theta ≤ 0.
    """

    mean: Tensor
    theta: Tensor

    @property
    def variance(self) -> Tensor:
        """μ + μ²/θ, [..., D]."""
        return self.mean + self.mean.square() / self.theta

    def log_prob(self, value: Tensor) -> Tensor:
        """log P(x) por dimensão, em nats; −∞ se x for negativo ou não for inteiro. value: de inteiros ou de ponto
        flutuante, sem gradiente.

        P(x) = Γ(x + θ) / (Γ(θ) x!) (θ/(θ + μ))^θ (μ/(θ + μ))^x. Escrita assim, com lgamma, em float32 e θ = 1e8 ela dá
        +37 nats onde a verdade é −2: a diferença de dois lgamma de 1e9. Aqui não há diferenças de números grandes (a
        decomposição é a de Loader, 2000): o erro é o do arredondamento do próprio log P.
        """
        mean, theta = torch.broadcast_tensors(self.mean, self.theta)
        return _LogProb.apply(mean, theta, torch.as_tensor(value, device=mean.device).to(mean.dtype))

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Uma amostra de contagens [..., D], em ponto flutuante, sem gradiente: Poisson(Gama(θ, θ/μ))."""
        with torch.no_grad():
            mean, theta = torch.broadcast_tensors(self.mean, self.theta)
            unit = Gamma._make([theta, theta]).sample(generator)  # de média 1
            return torch.poisson(mean * unit, generator=generator)


class _Inflated(NamedTuple):
    mean: Tensor
    theta: Tensor
    logits: Tensor


@requires(mean="≥ 0", theta="> 0", logits="real")
class ZeroInflatedNegativeBinomial(_Inflated):
    """Com probabilidade π, zero; senão, uma NegativeBinomial(mean, theta). logits = log(π / (1 − π)).

    mean, theta e logits: [..., D], ou formas que se estendam a essa. O argumento `mean` é a média da binomial negativa,
    que se lê em `negative_binomial.mean`; `.mean`, como em toda distribuição, é E[x].
    Levanta ValueError, ao ser criada, se mean < 0 ou theta ≤ 0.
    """

    __slots__ = ()

    @property
    def negative_binomial(self) -> NegativeBinomial:
        """A binomial negativa, antes dos zeros a mais."""
        return NegativeBinomial._make(self[:2])

    @property
    def mean(self) -> Tensor:
        """E[x] = (1 − π) · média da binomial negativa, [..., D]."""
        return torch.sigmoid(-self.logits) * self[0]

    def log_prob(self, value: Tensor) -> Tensor:
        """log P(x) por dimensão, em nats; −∞ se x for negativo ou não for inteiro.

        P(0) = π + (1 − π) P_NB(0); P(x) = (1 − π) P_NB(x) para x > 0.
        """
        counted = self.negative_binomial.log_prob(value)
        at_zero = torch.logaddexp(self.logits, counted)
        is_zero = torch.as_tensor(value, device=counted.device) == 0
        return torch.where(is_zero, at_zero, counted) - F.softplus(self.logits)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Uma amostra de contagens [..., D], em ponto flutuante, sem gradiente."""
        with torch.no_grad():
            counted = self.negative_binomial.sample(generator)
            expressed = torch.sigmoid(-self.logits).expand(torch.broadcast_shapes(counted.shape, self.logits.shape))
            return counted * torch.bernoulli(expressed, generator=generator)


class _LogProb(torch.autograd.Function):
    """log P(x), com as derivadas escritas à mão: as da fórmula perderiam os mesmos dígitos que ela.

    Para x > 0, com S = `stirling`, g = `log1p_gap`, d = (x − μ)/(θ + μ) e e = (μ − x)/x · θ/(θ + μ),
    log P = S(θ + x) − S(θ) − S(x) − θ g(d) − x g(e) − ½ log(1 + x/θ) − ½ log(2πx); log P(0) = −θ log(1 + μ/θ).
    ∂/∂μ = (x − μ)/(μ (1 + μ/θ)) e ∂/∂θ = ψ(θ + x) − ψ(θ) − log(1 + x/θ) − g(d).
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(mean: Tensor, theta: Tensor, value: Tensor) -> Tensor:
        is_count = (value >= 0) & (value == value.floor())
        is_zero = value == 0
        x = torch.where(is_count & ~is_zero, value, 1.0)
        share, rest = _shares(mean, theta)
        d, e = (x - mean) / (theta + mean), (mean - x) / x * share
        gaps = theta * log1p_gap(d, (theta + x) / (theta + mean)) + x * log1p_gap(e, (1 + theta / x) * rest)
        corrections = stirling(theta + x) - stirling(theta) - stirling(x)
        counted = corrections - gaps - 0.5 * (torch.log1p(x / theta) + torch.log(2 * math.pi * x))
        log_prob = torch.where(is_zero, -theta * torch.log1p(mean / theta), counted)
        return torch.where(is_count, log_prob, -torch.inf)

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        mean, theta, value = ctx.saved_tensors
        share, _ = _shares(mean, theta)
        x = value.clamp(min=0)
        by_mean = torch.where(x == 0, -share, (x - mean) / mean * share)
        d, ratio = (x - mean) / (theta + mean), (theta + x) / (theta + mean)
        # ψ(t) = log t − 1/(2t) + S′(t): sobram as diferenças dos dois últimos, em θ + x e em θ.
        digammas = stirling_slope(theta + x) - stirling_slope(theta) + 0.5 * x / (theta * (theta + x))
        by_theta = digammas - log1p_gap(d, ratio)
        return (
            (gradient * by_mean).sum_to_size(mean.shape),
            (gradient * by_theta).sum_to_size(theta.shape),
            None,
        )


def _shares(mean: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    """θ/(θ + μ) e μ/(θ + μ), nenhum deles como 1 menos o outro."""
    return theta / (theta + mean), mean / (theta + mean)
