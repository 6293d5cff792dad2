"""Sala 3, os limites: números que se chamam de limite de log p(x) e não são, ou são de outra coisa."""

import math

import torch
from torch import Tensor

from vae_lessons.museum.specimen import Specimen


def weighted_average(log_w: Tensor) -> Tensor:
    """O limite de Burda et al. (2016), em nats, dos pesos de importância de K amostras. log_w: [K, B] -> [B]."""
    return (torch.softmax(log_w, 0).detach() * log_w).sum(0)  # defeito


def importance_bound(log_w: Tensor) -> Tensor:
    return log_w.logsumexp(0) - math.log(len(log_w))


def softmax_of_losses(log_w: Tensor) -> Tensor:
    """Quanto pesa cada amostra no gradiente do limite de Burda et al. (2016). log_w: [K, B] -> [K, B], de soma 1."""
    loss = -log_w
    return torch.softmax(loss, 0)  # defeito


def normalized_weights(log_w: Tensor) -> Tensor:
    return torch.softmax(log_w, 0)


def negative_entropy(logits: Tensor) -> Tensor:
    """KL(q ‖ uniforme) de cada categórica de K classes, em nats. logits: [..., K] -> [...]."""
    log_q = torch.log_softmax(logits, -1)
    return (log_q.exp() * log_q).sum(-1)  # defeito


def kl_to_uniform(logits: Tensor) -> Tensor:
    log_q = torch.log_softmax(logits, -1)
    return (log_q.exp() * log_q).sum(-1) + math.log(logits.shape[-1])


def prior_before_the_flow(log_likelihood: Tensor, z0: Tensor, zk: Tensor, log_q0: Tensor, log_det: Tensor) -> Tensor:
    """A ELBO de uma amostra, em nats: z0 ~ q₀ e zk = f(z0), de log|det| = log_det. z0, zk: [B, Z]; o resto, [B]."""
    log_prior = -0.5 * (z0**2 + math.log(2 * math.pi)).sum(-1)  # defeito
    return log_likelihood + log_prior - (log_q0 - log_det)


def prior_after_the_flow(log_likelihood: Tensor, z0: Tensor, zk: Tensor, log_q0: Tensor, log_det: Tensor) -> Tensor:
    log_prior = -0.5 * (zk**2 + math.log(2 * math.pi)).sum(-1)
    return log_likelihood + log_prior - (log_q0 - log_det)


def _above_the_evidence(bound) -> float:
    """Quanto, em média, o limite passa de log p(x) = 0, com oito pesos que valem 0,2 ou 1,8 com chances iguais."""
    log_w = torch.tensor([0.2, 1.8], dtype=torch.float64).log()
    every = torch.cartesian_prod(*[log_w] * 8).T  # os 256 casos, todos com a mesma chance: [8, 256]
    return max(bound(every).mean().item(), 0.0)


def _weight_of_the_worst(weights) -> float:
    """Quanto o peso da pior de três amostras passa do da melhor."""
    share = weights(torch.tensor([[-1.0], [-4.0], [-2.0]]))[:, 0]
    return max((share[1] - share[0]).item(), 0.0)


def _kl_of_uniform(kl) -> float:
    """|KL(uniforme ‖ uniforme)|, que é zero, com K = 7."""
    return kl(torch.zeros(1, 7)).abs().item()


def _bound_of_a_shift(bound) -> float:
    """Quanto a ELBO passa de log p(x) se p(x|z) = N(x; z, 1), x = 4 e o fluxo soma a z0 a média da posterior exata:
    com a variância também a dela, a ELBO é log p(x) em toda amostra."""
    z0 = torch.tensor([[-0.7], [0.2], [1.1]], dtype=torch.float64)
    normal = torch.distributions.Normal(torch.zeros(1, dtype=torch.float64), 0.5**0.5)
    zk, log_q0 = z0 + 2.0, normal.log_prob(z0).sum(-1)
    log_likelihood = torch.distributions.Normal(zk, 1.0).log_prob(torch.tensor(4.0)).sum(-1)
    evidence = torch.distributions.Normal(torch.zeros(1, dtype=torch.float64), 2**0.5).log_prob(torch.tensor(4.0))
    return (bound(log_likelihood, z0, zk, log_q0, torch.zeros(3)) - evidence).abs().max().item()


SPECIMENS = (
    Specimen(
        "média ponderada",
        *(weighted_average, importance_bound),
        seen_in="clementchadebec/benchmark_VAE (pythae)",
        check="não passa, em média, do log p(x) que se soma à mão",
        error=_above_the_evidence,
        tolerance=1e-9,
        caught_by="tests/test_objectives.py::test_elbo_passes",
    ),
    Specimen(
        "softmax das perdas",
        *(softmax_of_losses, normalized_weights),
        seen_in="AntixK/PyTorch-VAE, iwae.py",
        check="a melhor amostra pesa mais do que a pior",
        error=_weight_of_the_worst,
        tolerance=1e-9,
        caught_by="tests/test_objectives.py::test_gradient_of_the_bound_weighs_each_sample_by_its_normalized_weight",
    ),
    Specimen(
        "sem o log K",
        *(negative_entropy, kl_to_uniform),
        seen_in="dev4488/VAE_gumble_softmax #1",
        check="a KL de uma distribuição a ela mesma é zero",
        error=_kl_of_uniform,
        tolerance=1e-5,
        caught_by="tests/test_distributions_categorical.py::test_a_constant_added_to_the_logits_changes_nothing",
    ),
    Specimen(
        "prior antes do fluxo",
        *(prior_before_the_flow, prior_after_the_flow),
        seen_in="casperkaae/parmesan PR #21",
        check="um modelo em que a posterior exata se alcança",
        error=_bound_of_a_shift,
        tolerance=1e-6,
        caught_by="tests/test_objectives.py::test_elbo_passes",
    ),
)
