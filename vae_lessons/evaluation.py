"""Medidas de um modelo treinado. Todas fazem médias sobre os exemplos e nada aprendem com eles."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from vae_lessons.disentanglement import mutual_information_gap as mutual_information_gap  # é também uma medida
from vae_lessons.distributions import Categorical, kl_divergence
from vae_lessons.estimators import score_function
from vae_lessons.models import VAE
from vae_lessons.objectives import elbo, log_importance_weights
from vae_lessons.randomness import seeded


class LogLikelihood(NamedTuple):
    """mean: média de log p(x), em nats por exemplo · standard_error: o dessa média, dados os exemplos ·
    per_example [B]: a estimativa de cada exemplo."""

    mean: float
    standard_error: float
    per_example: Tensor

    def __repr__(self) -> str:
        return f"LogLikelihood({self.mean:.4f} ± {self.standard_error:.4f} nats, {len(self.per_example)} exemplos)"


@torch.no_grad()
def log_likelihood(model: VAE, x: Tensor, *, k: int = 1000, chunk: int = 16384) -> LogLikelihood:
    """log p(x) por amostragem de importância com q(z|x) (Burda et al., 2016): logsumexp(log w) − log k.

    x: [B, D], já binarizado se for o caso · k: amostras de z por exemplo · chunk: quantos z são decodificados de uma
    vez; limita a memória e não muda o resultado além do sorteio.

    O erro-padrão é o de Monte Carlo com os exemplos fixos. Para cada um, r = Var(w) / (k · média(w)²) é a variância
    relativa; pelo método delta, log ŵ erra com desvio √r e fica em média r/2 abaixo de log p(x) (Jensen). O erro-padrão
    soma os dois em quadratura, e nunca é menor que o arredondamento do tipo numérico. Nada garante r bem estimado se
    q(z|x) deixar de fora parte da posterior.
    Levanta ValueError se k < 2, chunk < 1 ou x não for [B, D].
    """
    if k < 2:
        raise ValueError(f"k deve ser ao menos 2, para que haja erro-padrão, mas veio {k}. O usual é 1000 ou mais.")
    _require_chunk(chunk)
    _require_examples(x)
    rows_at_once = max(1, min(len(x), chunk // min(k, chunk)))
    moments = [_log_moments(model, rows, k, chunk) for rows in x.split(rows_at_once)]
    log_first, log_second = (torch.cat(parts) for parts in zip(*moments, strict=True))
    relative_variance = torch.expm1((log_second - 2 * log_first).clamp(min=0)) / (k - 1)
    bias = relative_variance.mean() / 2
    rounding = torch.finfo(x.dtype).eps * log_first.abs().mean()
    error = torch.stack([relative_variance.sum().sqrt() / len(x), bias, rounding]).norm()
    return LogLikelihood(log_first.mean().item(), error.item(), log_first)


def _log_moments(model: VAE, x: Tensor, k: int, chunk: int) -> tuple[Tensor, Tensor]:
    """log da média de w e de w² sobre k amostras, em float64 onde há [B]; no máximo `chunk` decodificações por vez."""
    wide = torch.float32 if x.device.type == "mps" else torch.float64  # o mps não tem float64
    log_first = torch.full((len(x),), -math.inf, dtype=wide, device=x.device)
    log_second = log_first.clone()
    k_at_once = max(1, chunk // len(x))
    for start in range(0, k, k_at_once):
        log_w = log_importance_weights(model, x, min(k_at_once, k - start)).to(wide)
        log_first = torch.logaddexp(log_first, log_w.logsumexp(0))
        log_second = torch.logaddexp(log_second, (2 * log_w).logsumexp(0))
    return log_first - math.log(k), log_second - math.log(k)


class RateDistortion(NamedTuple):
    """Em nats por exemplo, com −ELBO = rate + distortion.
    rate: KL(q(z|x) ‖ p(z)) média · distortion: −E_q[log p(x|z)] médio."""

    rate: float
    distortion: float


@torch.no_grad()
def rate_distortion(model: VAE, x: Tensor, *, n_samples: int = 8, seed: int = 0, chunk: int = 16384) -> RateDistortion:
    """Taxa e distorção de um modelo (Alemi et al., 2018): quanto z gasta para dizer de x, e o que se perde ao voltar.

    A taxa é um limite superior da informação mútua I(x; z) do codificador, que só é atingido se a média de q(z|x)
    sobre os dados for a prior. Ela é exata; a distorção vem de n_samples amostras de z por exemplo.
    x: [B, D], já binarizado se for o caso · seed: sorteio de z, que não toca o gerador global; a mesma semente dá o
    mesmo número · chunk: quantos z são decodificados de uma vez (ou os n_samples de um exemplo, se forem mais). Serve
    para latentes normais e categóricos.
    Levanta ValueError se n_samples < 1, chunk < 1 ou x não for [B, D].
    """
    _require_examples(x)
    _require_chunk(chunk)
    rows_at_once = max(1, chunk // max(1, n_samples))
    with seeded(seed, x.device):
        # Sem gradiente, score_function é só a média de log p(x|z) em amostras de q, qualquer que seja q.
        terms = [elbo(model, rows, n_samples=n_samples, estimator=score_function) for rows in x.split(rows_at_once)]
    _, log_likelihoods, kls, _ = (torch.cat(parts).cpu().double() for parts in zip(*terms, strict=True))
    return RateDistortion(kls.mean().item(), -log_likelihoods.mean().item())


@torch.no_grad()
def kl_per_dimension(model: VAE, x: Tensor, *, chunk: int = 16384) -> Tensor:
    """KL(q(z_j|x) ‖ p(z_j)) média sobre os exemplos, em nats: x [B, D] → [Z] (ou [N], se o latente for categórico).

    A soma é a taxa de rate_distortion; perto de zero estão as dimensões que o codificador não usa.
    chunk: quantos exemplos são codificados de uma vez. Levanta ValueError se chunk < 1 ou x não for [B, D].
    """
    _require_examples(x)
    _require_chunk(chunk)
    return torch.cat([kl_divergence(model.encode(rows), model.prior) for rows in x.split(chunk)]).mean(0)


@torch.no_grad()
def posterior_mean_variance(model: VAE, x: Tensor) -> Tensor:
    """Variância, sobre os exemplos, da média da posterior de cada dimensão: x [B, D] → [Z]. Zero é dimensão inativa.

    Levanta ValueError se x não tiver dois exemplos e TypeError se o latente for categórico.
    """
    if x.ndim != 2 or len(x) < 2:
        raise ValueError(
            f"x deve ter forma [B, D] com ao menos dois exemplos, para que haja variância, mas veio {tuple(x.shape)}."
        )
    q = model.encode(x)
    if isinstance(q, Categorical):
        raise TypeError(
            "As unidades ativas são as dimensões de um latente contínuo, e este modelo tem latentes categóricos. Para "
            "saber quais ele usa, veja a KL de cada um com kl_per_dimension(model, x)."
        )
    return q.mean.var(dim=0)


def active_units(model: VAE, x: Tensor, threshold: float = 0.01) -> int:
    """Quantas dimensões latentes o codificador usa: as de Cov_x(E_q[z]) > threshold (Burda et al., 2016, seção 5)."""
    return int((posterior_mean_variance(model, x) > threshold).sum())


def _require_chunk(chunk: int) -> None:
    if chunk < 1:
        raise ValueError(f"chunk deve ser ao menos 1 (quantos z passam pelo modelo de uma vez), mas veio {chunk}.")


def _require_examples(x: Tensor) -> None:
    if x.ndim != 2 or len(x) == 0:
        raise ValueError(f"x deve ter forma [B, D] com ao menos um exemplo, mas veio {tuple(x.shape)}.")
