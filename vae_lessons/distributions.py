"""Distribuições como funções puras dos seus parâmetros.

Sem validação (que obrigaria a GPU a parar e responder) e sem reduções: `log_prob` e `kl_divergence` devolvem um
valor por dimensão, em nats. Somar sobre as dimensões é tarefa de quem chama.
As de torch.distributions, e outras escritas por quem usa o pacote, servem onde estas servem: basta que tenham
`log_prob` e `rsample` ou `sample`.
"""

import contextlib
import inspect
import math
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor
from torch import distributions as td
from torch.nn import functional as F

from vae_lessons.randomness import seeded

Distribution = TypeVar("Distribution")

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


def kl_divergence(q, p) -> Tensor:
    """KL(q ‖ p) por dimensão latente, em nats: [..., Z] para normais, [..., N] para categóricas.

    Duas normais: ½ (log σ_p² − log σ_q² + (σ_q² + (μ_q − μ_p)²) / σ_p² − 1) (Kingma e Welling, 2014, apêndice B,
    para p = N(0, I)). Duas categóricas: Σ_k q_k (log q_k − log p_k), que é log K menos a entropia de q se p for
    uniforme; uma classe com q_k = 0 não conta, e uma com p_k = 0 < q_k dá ∞. Normal, Independent de Normal e
    OneHotCategorical de torch.distributions contam como as daqui.
    Levanta TypeError para um par sem fórmula fechada conhecida aqui.
    """
    ours_q, ours_p = _as_ours(q), _as_ours(p)
    if isinstance(ours_q, Normal) and isinstance(ours_p, Normal):
        difference = ours_q.log_var - ours_p.log_var
        distance = (ours_q.mean - ours_p.mean).square() * torch.exp(-ours_p.log_var)
        return 0.5 * (torch.expm1(difference) - difference + distance)
    if isinstance(ours_q, Categorical) and isinstance(ours_p, Categorical):
        log_q, log_p = torch.log_softmax(ours_q.logits, -1), torch.log_softmax(ours_p.logits, -1)
        probabilities = log_q.exp()
        return (probabilities * (log_q - log_p).masked_fill(probabilities == 0, 0.0)).sum(-1)
    raise TypeError(
        f"Não há KL em forma fechada de {type(q).__name__} para {type(p).__name__}; há para os pares Normal, Normal e "
        "Categorical, Categorical."
    )


def has_closed_form_kl(q, p) -> bool:
    """Se kl_divergence(q, p) existe."""
    ours_q, ours_p = _as_ours(q), _as_ours(p)
    return any(isinstance(ours_q, family) and isinstance(ours_p, family) for family in (Normal, Categorical))


def _as_ours(distribution):
    """A mesma distribuição, com as classes deste módulo, se for uma das de torch.distributions que têm par aqui."""
    if isinstance(distribution, td.Independent):
        ours = _as_ours(distribution.base_dist)
        return ours if isinstance(ours, Normal | Categorical) else distribution
    if type(distribution) is td.Normal:
        return Normal(distribution.loc, 2 * distribution.scale.log())
    if type(distribution) is td.OneHotCategorical:
        return Categorical(distribution.logits)
    return distribution


def joint_log_prob(log_prob: Tensor, batch_shape: torch.Size, who: str) -> Tensor:
    """Soma um log_prob sobre as dimensões do que foi sorteado: [*batch_shape, ...] → [*batch_shape].

    Serve a quem dá um valor por dimensão e a quem já deu um só. Levanta ValueError se a forma não começar pela do lote.
    """
    if not isinstance(log_prob, Tensor) or log_prob.shape[: len(batch_shape)] != batch_shape:
        came = f"a forma {tuple(log_prob.shape)}" if isinstance(log_prob, Tensor) else type(log_prob).__name__
        raise ValueError(
            f"{who}: log_prob deve dar um valor para cada exemplo, de forma {tuple(batch_shape)}, ou um por dimensão, "
            f"com essas dimensões à frente, mas veio {came}."
        )
    return log_prob.sum(tuple(range(len(batch_shape), log_prob.ndim))) if log_prob.ndim > len(batch_shape) else log_prob


def is_family(q) -> bool:
    """Se q é uma NamedTuple de parâmetros, tensores todos da mesma forma, como as deste módulo."""
    is_named = isinstance(q, tuple) and hasattr(q, "_fields")
    return is_named and all(isinstance(p, Tensor) for p in q) and len({p.shape for p in q}) == 1


def copies(q: Distribution, n: int) -> Distribution:
    """n cópias de uma família numa dimensão nova à frente das outras: parâmetros [B, Z] → [n, B, Z], sem copiar
    memória."""
    return type(q)(*(parameter.expand(n, *parameter.shape) for parameter in q))


def draw(distribution, generator: torch.Generator | None = None) -> Tensor:
    """Uma amostra, sem gradiente, de qualquer distribuição que tenha `sample` ou `rsample`.

    generator: de onde vem o sorteio, se não do gerador global, que fica como estava. As de torch.distributions, que não
    o aceitam, são sorteadas com uma semente tirada dele.
    """
    return _drawn(distribution, (), generator)


def draws(distribution, n: int, generator: torch.Generator | None = None) -> Tensor:
    """n amostras [n, ...], como em `draw`: por `sample((n,))`, como em torch.distributions, se `sample` aceitar uma
    forma; senão, uma a uma, ou de uma vez se for uma NamedTuple de parâmetros."""
    if is_family(distribution):
        return draw(copies(distribution, n), generator)
    if _parameters_of(distribution) <= {"generator", "noise"}:
        return torch.stack([draw(distribution, generator) for _ in range(n)])
    return _drawn(distribution, ((n,),), generator)


def _drawn(distribution, arguments: tuple, generator: torch.Generator | None) -> Tensor:
    sample = _sample_of(distribution)
    with torch.no_grad():
        if generator is not None and "generator" in _parameters_of(distribution):
            return sample(*arguments, generator=generator)
        with _seeded_by(generator):
            return sample(*arguments)


def _sample_of(distribution):
    return distribution.sample if hasattr(distribution, "sample") else distribution.rsample


def _parameters_of(distribution) -> set[str]:
    """Os nomes dos argumentos de `sample`."""
    return set(inspect.signature(_sample_of(distribution)).parameters)


@contextlib.contextmanager
def _seeded_by(generator: torch.Generator | None) -> Iterator[None]:
    """Com um gerador, o que se sortear dentro do bloco depende só dele."""
    if generator is None:
        yield
        return
    seed = torch.randint(2**31, (), generator=generator, device=generator.device).item()
    with seeded(seed, generator.device):
        yield


@contextlib.contextmanager
def unvalidated() -> Iterator[None]:
    """Dentro do bloco, as distribuições do torch não conferem os parâmetros: como as daqui, não fazem a GPU esperar e
    servem sob torch.func.vmap."""
    before = td.Distribution._validate_args
    td.Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        td.Distribution.set_default_validate_args(before)
