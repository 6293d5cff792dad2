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
        value = torch.as_tensor(value, device=self.mean.device).to(self.mean.dtype)
        return _LogProb.apply(self.mean, self.theta, value)[0]

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

    Com S = `stirling`, g = `log1p_gap`, d = (x − μ)/(θ + μ) e e = (μ − x)/x · θ/(θ + μ),
    log P = −θ g(d) − x g(e) + S(θ + x) − S(θ) − S(x) − ½ log(2πx (1 + x/θ)), e log P(0) = −θ g(d) − μ θ/(θ + μ).
    ∂/∂μ = (x − μ)/μ · θ/(θ + μ) e ∂/∂θ = ψ(θ + x) − ψ(θ) − log(1 + x/θ) − g(d), com ψ(t) = log t − 1/(2t) + S′(t).
    g(d) é a segunda saída só para que o gradiente não a refaça.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(mean: Tensor, theta: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        positive = value > 0
        counted = value.clamp(min=0)
        x = value.clamp(min=1)
        total = theta + mean
        share = theta / total
        gap = log1p_gap((counted - mean) / total, (theta + counted) / total)
        at_count = x * log1p_gap((mean - x) / x * share, (1 + theta / x) * (mean / total))
        at_count += stirling(theta) + stirling(x) - stirling(theta + x)
        at_count += 0.5 * torch.log(2 * math.pi * x * (1 + x / theta))
        log_prob = -theta * gap - torch.where(positive, at_count, mean * share)
        is_count = (value >= 0) & (value == value.floor())
        return torch.where(is_count, log_prob, -torch.inf), gap

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(*inputs, output[1])

    @staticmethod
    def backward(ctx, gradient: Tensor, _) -> tuple[Tensor, Tensor | None, None]:
        mean, theta, value, gap = ctx.saved_tensors
        x = value.clamp(min=0)
        if torch.is_grad_enabled():  # a segunda derivada passa por aqui, e o g(d) guardado não a tem
            gap = log1p_gap((x - mean) / (theta + mean), (theta + x) / (theta + mean))
        by_mean = torch.where(x == 0, -1.0, (x - mean) / mean) * (theta / (theta + mean))
        by_theta = None
        if ctx.needs_input_grad[1]:
            after = theta + x
            digammas = stirling_slope(after) - stirling_slope(theta) + 0.5 * x / (theta * after)
            by_theta = (gradient * (digammas - gap)).sum_to_size(theta.shape)
        return (gradient * by_mean).sum_to_size(mean.shape), by_theta, None
