"""Sala 1, as parcelas da ELBO: verossimilhanças e divergências com um fator ou uma soma fora do lugar."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from vae_lessons.distributions import Normal, kl_divergence
from vae_lessons.museum.specimen import Specimen


def sum_and_mean(x: Tensor, logits: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """−ELBO de cada imagem, em nats. x, logits: [B, D]; mean, log_var: [B, Z] -> [B]."""
    reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="none").mean(-1)  # defeito
    kl = kl_divergence(Normal(mean, log_var), Normal(torch.zeros(1), torch.zeros(1))).sum(-1)
    return reconstruction + kl


def sum_and_sum(x: Tensor, logits: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
    kl = kl_divergence(Normal(mean, log_var), Normal(torch.zeros(1), torch.zeros(1))).sum(-1)
    return reconstruction + kl


def kl_with_deviation(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, σ²) ‖ N(0, 1)) de cada latente, em nats. mean, log_var: [B, Z] -> [B, Z]."""
    log_sigma = 0.5 * log_var
    return 0.5 * (mean**2 + log_sigma.exp() - 1 - log_sigma)  # defeito


def kl_with_variance(mean: Tensor, log_var: Tensor) -> Tensor:
    return 0.5 * (mean**2 + log_var.exp() - 1 - log_var)


def squared_error(x: Tensor, mean: Tensor) -> Tensor:
    """log N(x; mean, I) de cada observação, em nats. x, mean: [..., D] -> [...]."""
    return -((x - mean) ** 2).sum(-1)  # defeito


def gaussian_log_density(x: Tensor, mean: Tensor) -> Tensor:
    return -0.5 * ((x - mean) ** 2 + math.log(2 * math.pi)).sum(-1)


def cross_entropy_of_greys(x: Tensor, logits: Tensor) -> Tensor:
    """log p(x) de cada tom de cinza x ∈ [0, 1], em nats. x, logits: [..., D] -> [..., D]."""
    return x * logits - F.softplus(logits)  # defeito


def density_of_greys(x: Tensor, logits: Tensor) -> Tensor:
    away = torch.where(logits.abs() < 1e-3, 1e-3, logits)  # em zero, o quociente seria 0/0
    return x * logits - F.softplus(logits) + torch.log(away / torch.tanh(away / 2))


def _known_bound(loss) -> float:
    """Com logits nulos e q igual à prior, −ELBO = D log 2."""
    x = torch.tensor([[0.0, 1.0, 1.0, 0.0, 1.0, 0.0]])
    zeros = torch.zeros(1, 6)
    return abs(loss(x, zeros, zeros[:, :2], zeros[:, :2]).item() - 6 * math.log(2))


def _kl_by_quadrature(kl) -> float:
    """A maior distância à integral de q (log q − log p), em três normais."""
    mean = torch.tensor([[0.0, 1.2, -0.5]], dtype=torch.float64)
    log_var = torch.tensor([[-1.5, 0.7, 0.0]], dtype=torch.float64)
    z = torch.linspace(-15, 15, 6001, dtype=torch.float64)[:, None]
    q = torch.distributions.Normal(mean[0], (0.5 * log_var[0]).exp())
    p = torch.distributions.Normal(0.0, 1.0)
    integral = torch.trapezoid(q.log_prob(z).exp() * (q.log_prob(z) - p.log_prob(z)), z, dim=0)
    return (kl(mean, log_var)[0] - integral).abs().max().item()


def _total_mass(log_density) -> float:
    """|∫ p(x) dx − 1| numa dimensão, com média 0,3."""
    x = torch.linspace(-12, 12, 4001, dtype=torch.float64)[:, None]
    return abs(torch.trapezoid(log_density(x, torch.full_like(x, 0.3)).exp(), x[:, 0]).item() - 1)


def _total_mass_of_greys(log_density) -> float:
    """|∫₀¹ p(x) dx − 1| com logits −3 e 1: o maior dos dois."""
    x = torch.linspace(0, 1, 4001, dtype=torch.float64)[:, None]
    logits = torch.tensor([[-3.0, 1.0]], dtype=torch.float64).expand(len(x), 2)
    masses = torch.trapezoid(log_density(x.expand(-1, 2), logits).exp(), x, dim=0)
    return (masses - 1).abs().max().item()


SPECIMENS = (
    Specimen(
        "soma com média",
        *(sum_and_mean, sum_and_sum),
        seen_in="zdebruine/MMVAE PR #19; pytorch/examples PR #226; AntixK/PyTorch-VAE #56; keras-molecules #59",
        check="valor conhecido: D log 2 com um decodificador mudo",
        error=_known_bound,
        tolerance=1e-5,
        caught_by="tests/test_objectives.py::test_elbo_passes",
    ),
    Specimen(
        "desvio por variância",
        *(kl_with_deviation, kl_with_variance),
        seen_in="uma versão do laboratório 2 do curso MIT introtodeeplearning",
        check="quadratura: ∫ q (log q − log p)",
        error=_kl_by_quadrature,
        tolerance=1e-8,
        caught_by="tests/test_distributions.py::test_kl_matches_torch_distributions",
    ),
    Specimen(
        "erro quadrático",
        *(squared_error, gaussian_log_density),
        seen_in="rail-berkeley/deepul, tarefa 2; SupaeroDataScience/deep-learning, PR #6",
        check="a densidade tem integral 1",
        error=_total_mass,
        tolerance=1e-8,
        caught_by="tests/test_distributions.py::test_normal_log_prob_matches_torch_distributions",
    ),
    Specimen(
        "cinza como bit",
        *(cross_entropy_of_greys, density_of_greys),
        seen_in="o tutorial de VAE de pyro, #529 e #539",
        check="a densidade tem integral 1",
        error=_total_mass_of_greys,
        tolerance=1e-6,
        caught_by="tests/test_distributions.py::test_continuous_bernoulli_log_prob_matches_torch_distributions",
    ),
)
