"""Sala 5, códigos, fluxos e contagens: quem aprende com quê, o que se inverte, e o que o float32 não guarda."""

import torch
from torch import Tensor
from torch.nn import functional as F

from vae_lessons.museum.specimen import Specimen


def swapped_stops(z: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
    """(termo do dicionário, termo de compromisso) de um VQ-VAE: o primeiro só ensina o código e, o segundo só move z.

    z, e: [N, D] -> dois números."""
    return (z - e.detach()).square().sum(), (z.detach() - e).square().sum()  # defeito


def right_stops(z: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
    return (z.detach() - e).square().sum(), (z - e.detach()).square().sum()


def only_turned(z: Tensor, e: Tensor) -> Tensor:
    """O código e de cada z, com o gradiente de quem girou z até a direção de e e o esticou. z, e: [N, D] -> [N, D]."""
    from_z, to_e = F.normalize(z.detach(), dim=1), F.normalize(e, dim=1)
    middle = F.normalize(from_z + to_e, dim=1)
    return z - 2 * (z * middle).sum(1, keepdim=True) * middle + 2 * (z * from_z).sum(1, keepdim=True) * to_e  # defeito


def turned_and_stretched(z: Tensor, e: Tensor) -> Tensor:
    from_z, to_e = F.normalize(z.detach(), dim=1), F.normalize(e, dim=1)
    middle = F.normalize(from_z + to_e, dim=1)
    turned = z - 2 * (z * middle).sum(1, keepdim=True) * middle + 2 * (z * from_z).sum(1, keepdim=True) * to_e
    return turned * (e.norm(dim=1, keepdim=True) / z.detach().norm(dim=1, keepdim=True))


def divided_by_norm(u: Tensor, w: Tensor) -> Tensor:
    """O û mais próximo de u na direção de w com wᵀû > −1, para que z + û tanh(wᵀz + b) se inverta. u, w: [Z] -> [Z]."""
    product = w @ u
    return u + (F.softplus(product) - 1 - product) * w / w.norm()  # defeito


def divided_by_squared_norm(u: Tensor, w: Tensor) -> Tensor:
    product = w @ u
    return u + (F.softplus(product) - 1 - product) * w / w.norm() ** 2


def difference_of_giants(x: Tensor, mean: Tensor, theta: Tensor) -> Tensor:
    """log P(x) da binomial negativa de média `mean` e dispersão θ = theta, em nats. Tudo [...], float32."""
    log_share = torch.log(theta / (theta + mean))
    combinations = torch.lgamma(x + theta) - torch.lgamma(theta) - torch.lgamma(x + 1)  # defeito
    return combinations + theta * log_share + x * torch.log(mean / (theta + mean))


def in_double_precision(x: Tensor, mean: Tensor, theta: Tensor) -> Tensor:
    x, mean, theta = x.double(), mean.double(), theta.double()
    combinations = torch.lgamma(x + theta) - torch.lgamma(theta) - torch.lgamma(x + 1)
    log_share = -torch.log1p(mean / theta)
    return (combinations + theta * log_share + x * torch.log(mean / (theta + mean))).float()


def _who_learns(terms) -> float:
    """O gradiente que chega a quem não devia: do primeiro termo a z, do segundo a e."""
    z = torch.tensor([[1.0, 0.0]], requires_grad=True)
    e = torch.tensor([[0.2, 0.4]], requires_grad=True)
    first, second = terms(z, e)
    stray = torch.autograd.grad(first, z, allow_unused=True) + torch.autograd.grad(second, e, allow_unused=True)
    return sum(0.0 if gradient is None else gradient.norm().item() for gradient in stray)


def _misses_the_code(rotate) -> float:
    """A maior distância entre o que devia ser o código e o código."""
    z = torch.tensor([[3.0, 0.0], [0.1, 0.2]], dtype=torch.float64)
    e = torch.tensor([[0.0, 1.0], [0.5, 0.1]], dtype=torch.float64)
    return (rotate(z, e) - e).norm(dim=1).max().item()


def _folds(constrain) -> float:
    """Em quantos de 2 mil pares (u, w) sorteados wᵀû < −1, e o mapa se dobra."""
    generator = torch.Generator().manual_seed(0)
    u, w = 3 * torch.randn(2, 2000, 2, generator=generator, dtype=torch.float64)
    products = torch.stack([b @ constrain(a, b) for a, b in zip(u, w, strict=True)])
    return float((products < -1 - 1e-9).sum())


def _near_poisson(log_prob) -> float:
    """A distância a log Poisson(5; 3,7), que é o limite θ → ∞, com θ = 1e8."""
    x, mean, theta = (torch.tensor(value) for value in (5.0, 3.7, 1e8))
    return abs(log_prob(x, mean, theta).item() - torch.distributions.Poisson(mean).log_prob(x).item())


SPECIMENS = (
    Specimen(
        "destaques trocados",
        *(swapped_stops, right_stops),
        seen_in="CompVis/taming-transformers #46; MishaLaskin/vqvae PR #20",
        check="o gradiente que chega a cada um",
        error=_who_learns,
        tolerance=1e-9,
        caught_by="notebooks/08_vq_vae.ipynb",
    ),
    Specimen(
        "giro sem escala",
        *(only_turned, turned_and_stretched),
        seen_in="EdoardoBotta/RQ-VAE-Recommender #54",
        check="o que sai é o código",
        error=_misses_the_code,
        tolerance=1e-9,
        caught_by="notebooks/08_vq_vae.ipynb",
    ),
    Specimen(
        "norma por norma ao quadrado",
        *(divided_by_norm, divided_by_squared_norm),
        seen_in="tonyduan/normalizing-flows #2; LukasRinder/normalizing-flows #2; abdulfatir/normalizing-flows #1",
        check="quantos de 2 mil sorteios não se invertem",
        error=_folds,
        tolerance=0.5,
        caught_by="notebooks/10_fluxos_na_posterior.ipynb",
    ),
    Specimen(
        "diferença de gigantes",
        *(difference_of_giants, in_double_precision),
        seen_in="scvi-tools #2965",
        check="o limite de Poisson, com θ = 1e8",
        error=_near_poisson,
        tolerance=1e-3,
        caught_by="tests/test_distributions_counts.py::test_in_single_precision_the_error_is_that_of_writing_the_number",
    ),
)
