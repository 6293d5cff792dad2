"""Distribuições como funções puras dos seus parâmetros.

Sem validação (que obrigaria a GPU a parar e responder) e sem reduções: `log_prob` e `kl_divergence` devolvem um
valor por dimensão, em nats. Somar sobre as dimensões é tarefa de quem chama.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

_LOG_2PI = math.log(2 * math.pi)


class Normal(NamedTuple):
    """Normal fatorada N(mean, exp(log_var)); os dois parâmetros têm a mesma forma [..., Z]."""

    mean: Tensor
    log_var: Tensor

    def log_prob(self, value: Tensor) -> Tensor:
        """log N(value; mean, σ²) por dimensão, com a constante −½ log 2π."""
        return -0.5 * (_LOG_2PI + self.log_var + (value - self.mean).square() * torch.exp(-self.log_var))

    def rsample(self, noise: Tensor | None = None) -> Tensor:
        """z = μ + σ ⊙ ε, diferenciável em μ e σ. `noise` é ε ~ N(0, I) e pode ter dimensões a mais à frente."""
        if noise is None:
            noise = torch.randn_like(self.mean)
        return self.mean + torch.exp(0.5 * self.log_var) * noise

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Uma amostra [..., Z], sem gradiente."""
        noise = torch.randn(self.mean.shape, generator=generator, dtype=self.mean.dtype, device=self.mean.device)
        return self.rsample(noise).detach()


class Bernoulli(NamedTuple):
    """Bernoulli independente por dimensão, parametrizada por logits = log(p / (1 − p)), de forma [..., D]."""

    logits: Tensor

    @property
    def mean(self) -> Tensor:
        return torch.sigmoid(self.logits)

    def log_prob(self, value: Tensor) -> Tensor:
        """value · log p + (1 − value) · log(1 − p), por dimensão; só é log-probabilidade para value em {0, 1}."""
        return value * self.logits - F.softplus(self.logits)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Uma amostra de zeros e uns [..., D], sem gradiente."""
        return torch.bernoulli(self.mean.detach(), generator=generator)


class ContinuousBernoulli(NamedTuple):
    """Bernoulli contínua (Loaiza-Ganem e Cunningham, 2019): densidade C(λ) λ^x (1 − λ)^(1−x) em x ∈ [0, 1].

    logits = log(λ / (1 − λ)), de forma [..., D]. Nos logits, C = logits / tanh(logits / 2), que tende a 2 em zero.
    """

    logits: Tensor

    @property
    def mean(self) -> Tensor:
        """E[x] = λ / tanh(logits / 2) − 1 / logits, que não é λ."""
        safe, near_zero = self._away_from_zero()
        series = 0.5 + self.logits / 12 - self.logits.pow(3) / 720
        return torch.where(near_zero, series, torch.sigmoid(safe) / torch.tanh(0.5 * safe) - 1 / safe)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-densidade por dimensão. Em tons de cinza é uma verossimilhança de fato; a BCE não é."""
        return value * self.logits - F.softplus(self.logits) + self.log_normalizer()

    def log_normalizer(self) -> Tensor:
        """log C(λ), com a série de Taylor perto de λ = ½, onde a fórmula vira 0/0."""
        safe, near_zero = self._away_from_zero()
        series = math.log(2) + self.logits.square() / 12 - self.logits.pow(4) * (7 / 1440)
        return torch.where(near_zero, series, torch.log(safe / torch.tanh(0.5 * safe)))

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Uma amostra [..., D] por inversão da função de distribuição acumulada, sem gradiente."""
        noise = torch.rand(self.logits.shape, generator=generator, dtype=self.logits.dtype, device=self.logits.device)
        logits = self.logits.detach()
        size = logits.abs().clamp(min=1e-6)  # com −|logits| nada transborda; o sinal volta pela simetria x → 1 − x
        below_half = torch.log1p(noise * torch.expm1(-size)) / -size
        return torch.where(logits > 0, 1 - below_half, below_half).clamp(0, 1)

    def _away_from_zero(self) -> tuple[Tensor, Tensor]:
        """Logits com 1 no lugar dos que estão perto de zero, para que nem o valor nem o gradiente virem NaN."""
        near_zero = self.logits.abs() < 0.1
        return torch.where(near_zero, torch.ones_like(self.logits), self.logits), near_zero


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
        """log π da classe que `value`, one-hot [..., N, K], indica: um valor por categórica, [..., N]."""
        return (value * torch.log_softmax(self.logits, -1)).sum(-1)

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
        # Com o maior em zero, dividir por τ não transborda, por menor que ele seja.
        y = torch.softmax((scores - scores.amax(-1, keepdim=True).detach()) / temperature, -1)
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


def kl_divergence(q: Normal | Categorical, p: Normal | Categorical) -> Tensor:
    """KL(q ‖ p) por dimensão latente, em nats: [..., Z] para normais, [..., N] para categóricas.

    Duas normais: ½ (log σ_p² − log σ_q² + (σ_q² + (μ_q − μ_p)²) / σ_p² − 1) (Kingma e Welling, 2014, apêndice B,
    para p = N(0, I)). Duas categóricas: Σ_k q_k (log q_k − log p_k), que é log K menos a entropia de q se p for
    uniforme. Levanta TypeError para um par sem fórmula fechada conhecida aqui.
    """
    if isinstance(q, Normal) and isinstance(p, Normal):
        difference = q.log_var - p.log_var
        return 0.5 * (torch.expm1(difference) - difference + (q.mean - p.mean).square() * torch.exp(-p.log_var))
    if isinstance(q, Categorical) and isinstance(p, Categorical):
        log_q, log_p = torch.log_softmax(q.logits, -1), torch.log_softmax(p.logits, -1)
        return (log_q.exp() * (log_q - log_p)).sum(-1)
    raise TypeError(
        f"Não há KL em forma fechada de {type(q).__name__} para {type(p).__name__}; há para os pares Normal, Normal e "
        "Categorical, Categorical."
    )
