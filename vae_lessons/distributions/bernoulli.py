"""Um pixel entre 0 e 1: a Bernoulli, para bits, e a Bernoulli contínua, para tons de cinza."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Bernoulli(NamedTuple):
    """Bernoulli independente por dimensão, parametrizada por logits = log(p / (1 − p)), de forma [..., D]."""

    logits: Tensor

    @property
    def mean(self) -> Tensor:
        return torch.sigmoid(self.logits)

    def log_prob(self, value: Tensor) -> Tensor:
        """value · log p + (1 − value) · log(1 − p), por dimensão; só é log-probabilidade para value em {0, 1}.

        Com logits infinitos, o valor certo tem log-probabilidade 0 e o impossível, −∞: 0 · log 0 = 0.
        """
        return _BernoulliLogProb.apply(self.logits, torch.as_tensor(value, device=self.logits.device))

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Uma amostra de zeros e uns [..., D], sem gradiente."""
        return torch.bernoulli(self.mean.detach(), generator=generator)


class _BernoulliLogProb(torch.autograd.Function):
    """value · logits − softplus(logits), que em logits infinitos seria ∞ − ∞ ou 0 · ∞. O gradiente, value − p, não
    precisa de cuidados; só o valor, e por isso eles ficam fora do grafo, em que custariam o dobro."""

    generate_vmap_rule = True

    @staticmethod
    def forward(logits: Tensor, value: Tensor) -> Tensor:
        largest = torch.finfo(logits.dtype).max
        finite = logits.clamp(-largest, largest)
        log_prob = (value * finite).sub_(F.softplus(finite))
        return F.threshold_(log_prob, -largest / 8, -math.inf)

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor | None]:
        logits, value = ctx.saved_tensors
        by_logits = value * gradient - torch.ops.aten.softplus_backward(gradient, logits, 1, 20)
        by_value = (gradient * logits).sum_to_size(value.shape) if ctx.needs_input_grad[1] else None
        return by_logits.sum_to_size(logits.shape), by_value


class ContinuousBernoulli(NamedTuple):
    """Bernoulli contínua (Loaiza-Ganem e Cunningham, 2019): densidade C(λ) λ^x (1 − λ)^(1−x) em x ∈ [0, 1].

    logits = log(λ / (1 − λ)), de forma [..., D]. Nos logits, C = logits / tanh(logits / 2), que tende a 2 em zero.
    """

    logits: Tensor

    @property
    def mean(self) -> Tensor:
        """E[x] = λ / tanh(logits / 2) − 1 / logits, que não é λ."""
        safe, small, near_zero = self._away_from_zero()
        series = 0.5 + small / 12 - small.pow(3) / 720
        return torch.where(near_zero, series, torch.sigmoid(safe) / torch.tanh(0.5 * safe) - 1 / safe)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-densidade por dimensão. Em tons de cinza é uma verossimilhança de fato; a BCE não é.

        Logits infinitos, em que a densidade seria a de um ponto, valem como o maior número finito.
        """
        return Bernoulli(self.logits).log_prob(value) + self.log_normalizer()

    def log_normalizer(self) -> Tensor:
        """log C(λ), com a série de Taylor perto de λ = ½, onde a fórmula vira 0/0."""
        safe, small, near_zero = self._away_from_zero()
        series = math.log(2) + small.square() / 12 - small.pow(4) * (7 / 1440)
        return torch.where(near_zero, series, torch.log(safe / torch.tanh(0.5 * safe)))

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Uma amostra [..., D] por inversão da função de distribuição acumulada, sem gradiente."""
        noise = torch.rand(self.logits.shape, generator=generator, dtype=self.logits.dtype, device=self.logits.device)
        logits = self.logits.detach()
        size = logits.abs().clamp(min=1e-6)  # com −|logits| nada transborda; o sinal volta pela simetria x → 1 − x
        below_half = torch.log1p(noise * torch.expm1(-size)) / -size
        return torch.where(logits > 0, 1 - below_half, below_half).clamp(0, 1)

    def _away_from_zero(self) -> tuple[Tensor, Tensor, Tensor]:
        """Os logits finitos, com 1 no lugar dos que estão perto de zero, e só esses, com 0 no lugar dos outros: assim
        nem o valor nem o gradiente viram NaN na fórmula que não vale."""
        near_zero = self.logits.abs() < 0.1
        largest = torch.finfo(self.logits.dtype).max
        safe = self.logits.clamp(-largest, largest).masked_fill(near_zero, 1.0)
        return safe, self.logits.masked_fill(~near_zero, 0.0), near_zero
