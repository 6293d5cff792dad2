"""A ELBO e seus parentes: um valor por exemplo, em nats. Ninguém aqui tira média sobre os exemplos."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from vae_lessons.distributions import kl_divergence
from vae_lessons.estimators import Estimate, pathwise
from vae_lessons.models import VAE


class ElboTerms(NamedTuple):
    """Tudo [B], em nats por exemplo. elbo = log_likelihood − kl é o limite verdadeiro, qualquer que seja o β;
    loss é o que se minimiza e carrega β, os bits grátis e o substituto do estimador."""

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

    x: [B, D] em ponto flutuante · beta: peso da KL na perda, número ou tensor escalar (Higgins et al., 2017) ·
    n_samples: amostras de z por exemplo · estimator: um dos de `estimators` ·
    free_bits: λ, em nats por dimensão latente; na perda, cada dimensão paga max(λ, KL média do lote)
    (Kingma et al., 2016, eq. 15).
    Não depende do modo train/eval do modelo: z é sempre sorteado de q(z|x).
    Levanta ValueError se x não for [B, D], e TypeError se não for ponto flutuante.
    """
    _require_matrix(x)
    q = model.encode(x)
    reconstruction = estimator(lambda z: log_likelihood_given_z(model, x, z), q, n_samples)
    kl_per_dim = kl_divergence(q, model.prior)
    kl = kl_per_dim.sum(-1)
    paid = _apply_free_bits(kl_per_dim, free_bits).sum(-1) if free_bits else kl
    loss = beta * paid - reconstruction.surrogate
    return ElboTerms(reconstruction.value - kl, reconstruction.value, kl, loss)


def log_likelihood_given_z(model: VAE, x: Tensor, z: Tensor) -> Tensor:
    """log p(x|z), somado sobre os pixels: x [B, D], z [..., B, Z] → [..., B]."""
    likelihood = model.decode(z)
    parameter = likelihood[0] if isinstance(likelihood, tuple) else likelihood.mean
    n_pixels = parameter.shape[-1]
    if n_pixels != x.shape[-1]:
        raise ValueError(
            f"O decodificador devolve {n_pixels} pixels por imagem, e as imagens têm {x.shape[-1]}. A última camada "
            f"dele deve ter D = {x.shape[-1]} saídas."
        )
    return likelihood.log_prob(x).sum(-1)


def log_importance_weights(model: VAE, x: Tensor, k: int) -> Tensor:
    """log w = log p(x|z) + log p(z) − log q(z|x) para k amostras z ~ q(z|x): x [B, D] → [k, B] (Burda et al., 2016).

    O gradiente passa pelas amostras se q for reparametrizável; com latentes discretos, só os valores servem.
    """
    q = model.encode(x)
    if hasattr(q, "rsample"):
        z = q.rsample(torch.randn((k, *q.mean.shape), dtype=q.mean.dtype, device=q.mean.device))
    else:
        z = type(q)(*(parameter.expand(k, *parameter.shape) for parameter in q)).sample()
    return log_likelihood_given_z(model, x, z) + model.prior.log_prob(z).sum(-1) - q.log_prob(z).sum(-1)


def iwae_bound(model: VAE, x: Tensor, k: int) -> Tensor:
    """L_k = log (1/k) Σ_l w_l, com w_l = p(x, z_l) / q(z_l|x) e z_l ~ q(z|x): x [B, D] → [B], em nats.

    Estima um limite inferior de log p(x) que vale a ELBO com k = 1 e só cresce com k (Burda et al., 2016, eq. 8).
    Levanta ValueError se k < 1 ou se x não for [B, D], e TypeError se x não for ponto flutuante.
    """
    _require_matrix(x)
    if k < 1:
        raise ValueError(f"k deve ser ao menos 1 (quantas amostras de z por exemplo), mas veio {k}.")
    return log_importance_weights(model, x, k).logsumexp(0) - math.log(k)


def _apply_free_bits(kl_per_dim: Tensor, free_bits: float) -> Tensor:
    """Troca por λ (sem gradiente) as dimensões cuja KL média no lote está abaixo de λ: [B, Z] → [B, Z]."""
    if free_bits < 0:
        raise ValueError(f"free_bits deve ser um número de nats ≥ 0 por dimensão latente, mas veio {free_bits}.")
    above = kl_per_dim.mean(0) > free_bits
    return torch.where(above, kl_per_dim, free_bits)


def _require_matrix(x: Tensor) -> None:
    if x.ndim != 2:
        raise ValueError(
            f"x deve ter forma [B, D] (um exemplo por linha), mas veio {tuple(x.shape)}. "
            "Use x.reshape(B, D) para imagens, ou x[None] para um exemplo só."
        )
