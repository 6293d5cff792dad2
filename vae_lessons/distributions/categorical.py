"""Categóricas, que se sorteiam one-hot ou relaxadas (Gumbel-Softmax)."""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Categorical(NamedTuple):
    """N categóricas independentes de K classes, parametrizadas por logits [..., N, K]; logits [..., K] são uma só.

    π = softmax(logits): somar uma constante aos K logits de uma categórica não muda nada. Uma amostra é one-hot, com a
    forma dos logits.
    """

    logits: Tensor

    @property
    def mean(self) -> Tensor:
        """As probabilidades π, que são a média das amostras one-hot, [..., N, K]."""
        return torch.softmax(self.logits, -1)

    def log_prob(self, value: Tensor) -> Tensor:
        """log π da classe que `value`, one-hot [..., N, K], indica: um valor por categórica, [..., N].

        Uma classe impossível (logit −∞) não conta se não for a indicada, porque 0 · log 0 = 0; se for, dá −∞.
        """
        log_p = torch.log_softmax(self.logits, -1)
        return (value * log_p.masked_fill((log_p == -math.inf) & (value == 0), 0.0)).sum(-1)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Uma amostra one-hot [..., N, K], sem gradiente, por Gumbel-max: argmax_k (log π_k + g_k) ~ π."""
        return one_hot_argmax(self.logits.detach() + self.gumbel_noise(generator))

    def relaxed(self, temperature: float | Tensor, noise: Tensor | None = None, *, hard: bool = False) -> Tensor:
        """Gumbel-Softmax: y = softmax((log π + g) / τ), diferenciável nos logits, com y no interior do simplex
        (Jang, Gu e Poole, 2017; Maddison, Mnih e Teh, 2017).

        temperature: τ > 0, número ou tensor escalar · noise: g ~ Gumbel(0, 1), que pode ter dimensões a mais à frente ·
        hard: devolve o one-hot exato do maior y, com o gradiente de y (*straight-through*).
        Levanta ValueError se τ não for maior que zero.
        """
        require_temperature(temperature)
        scores = self.logits + (self.gumbel_noise() if noise is None else noise)
        impossible = self.logits == -math.inf
        # Com o maior em zero, dividir por τ não transborda, por menor que ele seja.
        below_best = (scores - scores.amax(-1, keepdim=True).detach()).masked_fill(impossible, 0.0)
        y = torch.softmax((below_best / temperature).masked_fill(impossible, -math.inf), -1)
        return straight_through_of(one_hot_argmax(scores), y) if hard else y

    def gumbel_noise(self, generator: torch.Generator | None = None) -> Tensor:
        """g = −log(−log u), com u uniforme: Gumbel(0, 1) na forma dos logits, sempre finito."""
        dtype = torch.promote_types(self.logits.dtype, torch.float32)  # em meia precisão, u seria 0 ou 1 muitas vezes
        limits = torch.finfo(dtype)
        uniform = torch.rand(self.logits.shape, generator=generator, dtype=dtype, device=self.logits.device)
        inside = uniform.clamp(limits.tiny, 1 - limits.eps / 2)
        return -torch.log(-torch.log(inside)).to(self.logits.dtype)


def one_hot_argmax(scores: Tensor) -> Tensor:
    """One-hot da posição do maior valor na última dimensão, [..., K], sem gradiente."""
    winner = scores.argmax(-1, keepdim=True)
    return torch.zeros_like(scores).scatter(-1, winner, 1.0).detach()


def straight_through_of(hard: Tensor, soft: Tensor) -> Tensor:
    """Vale exatamente `hard` e tem o gradiente de `soft` (Bengio, Léonard e Courville, 2013)."""
    return hard + (soft - soft.detach())


def require_temperature(temperature: float | Tensor) -> None:
    """Levanta ValueError se τ não for um número maior que zero. Um tensor na GPU não é lido, para não fazê-la parar."""
    if isinstance(temperature, Tensor) and temperature.numel() != 1:
        raise ValueError(
            "temperature (a temperatura τ) deve ser um número ou um tensor escalar, mas veio um tensor de forma "
            f"{tuple(temperature.shape)}."
        )
    if isinstance(temperature, Tensor) and temperature.device.type != "cpu":
        return
    if not temperature > 0:
        raise ValueError(
            f"temperature (a temperatura τ) deve ser maior que zero, mas veio {float(temperature):g}. Para amostras "
            "duras use hard=True ou um τ pequeno, como 0.1: em τ = 0 não há gradiente."
        )


def kl_of_categoricals(q: Categorical, p: Categorical) -> Tensor:
    """Σ_k q_k (log q_k − log p_k) por categórica, [..., N], com 0 · log 0 = 0."""
    log_q, log_p = torch.log_softmax(q.logits, -1), torch.log_softmax(p.logits, -1)
    probabilities = log_q.exp()
    return (probabilities * (log_q - log_p).masked_fill(probabilities == 0, 0.0)).sum(-1)
