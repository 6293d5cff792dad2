"""A ELBO e seus parentes: um valor para cada exemplo, em nats. Ninguém aqui tira média sobre os exemplos."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch import distributions as td

from vae_lessons.counts import require_count
from vae_lessons.distributions import (
    Bernoulli,
    ContinuousBernoulli,
    NegativeBinomial,
    Normal,
    ZeroInflatedNegativeBinomial,
    copies,
    has_closed_form_kl,
    is_family,
    joint_log_prob,
    kl_divergence,
    unvalidated,
)
from vae_lessons.estimators import Estimate, pathwise
from vae_lessons.models import VAE

_BY_COLUMN = Normal | Bernoulli | ContinuousBernoulli | NegativeBinomial | ZeroInflatedNegativeBinomial


class ElboTerms(NamedTuple):
    """Tudo [B], em nats por observação. elbo = log_likelihood − kl é o limite verdadeiro, qualquer que seja o β;
    loss é o que se minimiza e carrega β, os nats livres e o substituto do estimador."""

    elbo: Tensor
    log_likelihood: Tensor
    kl: Tensor
    loss: Tensor


def elbo(
    model: VAE,
    x: Tensor,
    *,
    beta: float | Tensor = 1.0,
    n_samples: int = 1,
    estimator: Callable[..., Estimate] = pathwise,
    free_bits: float = 0.0,
) -> ElboTerms:
    """Limite inferior da evidência: E_q[log p(x|z)] − KL(q(z|x) ‖ p(z)) (Kingma e Welling, 2014, eq. 3).

    x: [B, D], como o modelo o vê · beta: peso da KL na perda, número ou tensor escalar (Higgins et al., 2017) ·
    n_samples: amostras de z por observação · estimator: um dos de `estimators` ·
    free_bits: λ, os nats livres (*free bits*) de cada dimensão latente; na perda, ela paga max(λ, KL média do lote)
    (Kingma et al., 2016, eq. 15).
    A KL é a da fórmula fechada, se q e a prior tiverem uma; senão (uma mistura, um fluxo, uma prior aprendida), é a
    média de log q(z|x) − log p(z) nas mesmas amostras em que se mede log p(x|z), que tem a mesma esperança e o mesmo
    gradiente, em média, e pode ser negativa num exemplo.
    Não depende do modo train/eval do modelo: z é sempre sorteado de q(z|x).
    Levanta TypeError se `model` não for um modelo ou x não for um tensor do tipo dele, e ValueError se x não for [B, D]
    ou se houver nats livres sem KL em forma fechada.
    """
    require_model(model)
    _require_matrix(x)
    q, prior = model.encode(x), model.prior
    if not has_closed_form_kl(q, prior):
        return _elbo_with_sampled_kl(model, x, q, beta, n_samples, estimator, free_bits)
    reconstruction = estimator(lambda z: log_likelihood_given_z(model, x, z), q, n_samples)
    kl_per_dim = kl_divergence(q, prior)
    if kl_per_dim.ndim == 1:  # uma Dirichlet por exemplo: o simplex é uma dimensão só
        kl_per_dim = kl_per_dim.unsqueeze(-1)
    kl = kl_per_dim.sum(-1)
    paid = _apply_free_bits(kl_per_dim, free_bits).sum(-1) if free_bits else kl
    loss = beta * paid - reconstruction.surrogate
    return ElboTerms(reconstruction.value - kl, reconstruction.value, kl, loss)


def _elbo_with_sampled_kl(model: VAE, x: Tensor, q, beta, n_samples: int, estimator, free_bits: float) -> ElboTerms:
    """A ELBO com KL(q ‖ p) = E_q[log q(z|x) − log p(z)] nas amostras do estimador.

    ∇E_q[log q − log p] tem mais um termo, o de log q mudar com os parâmetros de q sem que z mude: E_q[∇log q(z)], que é
    zero (Roeder, Wu e Duvenaud, 2017). Por isso qualquer estimador serve: o gradiente que passa por dentro da função é
    esse termo.
    """
    if free_bits:
        raise ValueError(
            f"free_bits = {free_bits} limita a KL de cada dimensão, e de {type(q).__name__} para a prior "
            f"{type(model.prior).__name__} não há KL em forma fechada por dimensão. Use free_bits=0, ou posterior e "
            "prior normais."
        )

    def reconstruction_and_rate(z: Tensor) -> Tensor:
        """Duas funções nas mesmas amostras: log p(x|z) na parte real e log q(z|x) − log p(z) na imaginária."""
        log_likelihood = log_likelihood_given_z(model, x, z)
        return torch.complex(log_likelihood, log_ratio(model, q, z).to(log_likelihood.dtype))

    value, surrogate = estimator(reconstruction_and_rate, q, n_samples)
    loss = beta * surrogate.imag - surrogate.real
    return ElboTerms(value.real - value.imag, value.real, value.imag, loss)


def log_ratio(model: VAE, q, z: Tensor) -> Tensor:
    """log q(z|x) − log p(z), somado sobre as dimensões latentes: z [..., B, Z] → [..., B]. Em média sobre q, é a KL."""
    batch_shape = _batch_shape(model, z)
    log_prior = joint_log_prob(model.prior.log_prob(z), batch_shape, f"A prior ({type(model.prior).__name__})")
    return joint_log_prob(q.log_prob(z), batch_shape, f"A posterior ({type(q).__name__})") - log_prior


def log_likelihood_given_z(model: VAE, x: Tensor, z: Tensor) -> Tensor:
    """log p(x|z), somado sobre as colunas de x: x [B, D], z [..., B, Z] → [..., B].

    Levanta ValueError se o decodificador não devolver D colunas, ou se a verossimilhança não der um valor para cada
    exemplo ou coluna.
    """
    likelihood = model.decode(z)
    n_columns = _n_columns(likelihood)
    if n_columns not in (None, x.shape[-1]):
        raise ValueError(
            f"O decodificador devolve {n_columns} colunas para cada exemplo, e os exemplos têm {x.shape[-1]}. A última "
            f"camada dele deve ter D = {x.shape[-1]} saídas."
        )
    with unvalidated():
        log_prob = likelihood.log_prob(x)
    return joint_log_prob(log_prob, _batch_shape(model, z), f"A verossimilhança ({type(likelihood).__name__})")


def log_importance_weights(model: VAE, x: Tensor, k: int) -> Tensor:
    """log w = log p(x|z) + log p(z) − log q(z|x) para k amostras z ~ q(z|x): x [B, D] → [k, B] (Burda et al., 2016).

    O gradiente passa pelas amostras se q for reparametrizável; com latentes discretos, só os valores servem.
    """
    q = model.encode(x)
    if not is_family(
        q
    ):  # uma q para cada exemplo e amostra: assim serve qualquer uma, e cada log q(z) é o do z que ela sorteou
        repeated = x.repeat(k, 1)
        return _log_weights(model, repeated, model.encode(repeated)).unflatten(0, (k, len(x)))
    return _log_weights(model, x, copies(q, k))


def _log_weights(model: VAE, x: Tensor, q) -> Tensor:
    z = q.rsample() if hasattr(q, "rsample") else q.sample()
    return log_likelihood_given_z(model, x, z) - log_ratio(model, q, z)


def iwae_bound(model: VAE, x: Tensor, k: int) -> Tensor:
    """L_k = log (1/k) Σ_l w_l, com w_l = p(x, z_l) / q(z_l|x) e z_l ~ q(z|x): x [B, D] → [B], em nats.

    Estima um limite inferior de log p(x) que vale a ELBO com k = 1 e não diminui com k (Burda et al., 2016, eq. 8).
    Levanta ValueError se k < 1 ou se x não for [B, D], e TypeError se k não for inteiro, `model` não for um modelo ou x
    não for um tensor do tipo dele.
    """
    require_model(model)
    _require_matrix(x)
    k = require_count("k", k, " (quantas amostras de z por observação)")
    return log_importance_weights(model, x, k).logsumexp(0) - math.log(k)


def _apply_free_bits(kl_per_dim: Tensor, free_bits: float) -> Tensor:
    """Troca por λ (sem gradiente) as dimensões cuja KL média no lote está abaixo de λ: [B, Z] → [B, Z]."""
    if free_bits < 0:
        raise ValueError(f"free_bits deve ser um número de nats ≥ 0 por dimensão latente, mas veio {free_bits}.")
    above = kl_per_dim.mean(0) > free_bits
    return torch.where(above, kl_per_dim, free_bits)


def _batch_shape(model: VAE, z: Tensor) -> torch.Size:
    """As dimensões de z que não são as de um latente: de z [..., B, Z], [..., B]."""
    return z.shape[: z.ndim - len(getattr(model, "latent_shape", (1,)))]


def _n_columns(likelihood) -> int | None:
    """O D de que a verossimilhança fala, se for das que o dizem."""
    shape = ()
    if isinstance(likelihood, td.Distribution):
        shape = likelihood.batch_shape + likelihood.event_shape
    elif isinstance(likelihood, _BY_COLUMN):
        shape = likelihood[0].shape
    return shape[-1] if shape else None


def require_model(model) -> None:
    if not all(hasattr(model, name) for name in ("encode", "decode", "prior")):
        swapped = " A ordem é (model, x)." if isinstance(model, Tensor) else ""
        raise TypeError(
            "O primeiro argumento deve ser um modelo, com encode, decode e prior, como VAE(codificador, decodificador, "
            f"latent_dim=...), mas veio {type(model).__name__}.{swapped}"
        )


def _require_matrix(x: Tensor) -> None:
    if not isinstance(x, Tensor):
        advice = " Use torch.from_numpy(x)." if type(x).__module__ == "numpy" else ""
        raise TypeError(f"x deve ser um tensor [B, D], um exemplo por linha, mas veio {type(x).__name__}.{advice}")
    if x.ndim != 2:
        raise ValueError(
            f"x deve ter forma [B, D] (um exemplo por linha), mas veio {tuple(x.shape)}. "
            "Use x.reshape(B, D) para imagens, ou x[None] para um exemplo só."
        )
