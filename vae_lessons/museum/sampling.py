"""Sala 2, o sorteio: ruído da escala errada, ruído nenhum, e gradientes que descem onde deviam subir."""

import torch
from torch import Tensor

from vae_lessons.distributions import Gamma
from vae_lessons.museum.specimen import Specimen


def variance_as_deviation(mean: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
    """z ~ N(mean, exp(log_var)), de noise ~ N(0, I). Tudo [..., Z]."""
    return mean + torch.exp(log_var) * noise  # defeito


def reparameterize(mean: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
    return mean + torch.exp(0.5 * log_var) * noise


def small_noise(mean: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
    """z ~ N(mean, exp(log_var)), de noise ~ N(0, I). Tudo [..., Z]."""
    return mean + torch.exp(0.5 * log_var) * (0.01 * noise)  # defeito


def mean_when_evaluating(mean: Tensor, log_var: Tensor, noise: Tensor, training: bool) -> Tensor:
    """z ~ N(mean, exp(log_var)), de noise ~ N(0, I). Tudo [..., Z]."""
    if not training:  # defeito
        return mean  # defeito
    return mean + torch.exp(0.5 * log_var) * noise


def always_sampled(mean: Tensor, log_var: Tensor, noise: Tensor, training: bool) -> Tensor:
    return mean + torch.exp(0.5 * log_var) * noise


def descending_score(f_z: Tensor, log_q: Tensor) -> Tensor:
    """O substituto cujo gradiente estima o de E_q[f(z)]. f_z, log_q: [S], em S amostras -> número."""
    return -(f_z.detach() * log_q).mean()  # defeito


def ascending_score(f_z: Tensor, log_q: Tensor) -> Tensor:
    return (f_z.detach() * log_q).mean()


def scale_for_rate(mean: Tensor, theta: Tensor, unit_gamma: Tensor) -> Tensor:
    """A taxa da Poisson numa binomial negativa de média `mean`: Gama(θ) de taxa θ/mean. Tudo [..., D].

    unit_gamma: um sorteio da Gama(θ) de taxa 1."""
    return unit_gamma * (theta / mean)  # defeito


def rate_of_counts(mean: Tensor, theta: Tensor, unit_gamma: Tensor) -> Tensor:
    return unit_gamma / (theta / mean)


def _deviation_of(sampler) -> float:
    """A maior distância entre o desvio de 20 mil sorteios e σ, em σ = ½, 1 e 2, como fração de σ."""
    sigma = torch.tensor([0.5, 1.0, 2.0])
    noise = torch.randn(20_000, 3, generator=torch.Generator().manual_seed(0))
    z = sampler(torch.zeros(20_000, 3), (2 * sigma.log()).expand(20_000, 3), noise)
    return (z.std(0) / sigma - 1).abs().max().item()


def _modes_differ(sampler) -> float:
    """Quanto z muda quando só muda o modo, de treino para avaliação."""
    mean, noise = torch.tensor([[0.5, -1.0]]), torch.tensor([[0.3, 1.1]])
    draws = [sampler(mean, torch.zeros_like(mean), noise, training) for training in (True, False)]
    return (draws[0] - draws[1]).abs().max().item()


def _score_against_exact(surrogate) -> float:
    """A distância entre o gradiente estimado de E[z²], z ~ N(μ, 1), e 2μ, com 200 mil amostras e μ = 1,5."""
    mu = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    noise = torch.randn(200_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    z = (mu + noise).detach()
    (gradient,) = torch.autograd.grad(surrogate(z**2, -0.5 * (z - mu) ** 2), mu)
    return abs(gradient.item() - 3.0)


def _mean_of_rates(rate) -> float:
    """|média da taxa / média pedida − 1|, com θ = 2 e média 10."""
    theta, mean = torch.full((20_000,), 2.0), torch.full((20_000,), 10.0)
    unit = Gamma(theta, torch.ones(20_000)).sample(torch.Generator().manual_seed(0))
    return abs(rate(mean, theta, unit).mean().item() / 10 - 1)


SPECIMENS = (
    Specimen(
        "variância por desvio",
        *(variance_as_deviation, reparameterize),
        seen_in="deepbayes-2019; jmtomczak/intro_dgm",
        check="o desvio de muitos sorteios, com σ ≠ 1",
        error=_deviation_of,
        tolerance=0.03,
        caught_by="tests/test_distributions.py::test_normal_samples_have_its_mean_and_variance",
    ),
    Specimen(
        "ruído de 0,01",
        *(small_noise, reparameterize),
        seen_in="keras PR #4211",
        check="o desvio de muitos sorteios",
        error=_deviation_of,
        tolerance=0.03,
        caught_by="tests/test_distributions.py::test_normal_samples_have_its_mean_and_variance",
    ),
    Specimen(
        "média na avaliação",
        *(mean_when_evaluating, always_sampled),
        seen_in="pytorch/examples PR #419",
        check="o mesmo z nos dois modos, com o mesmo ruído",
        error=_modes_differ,
        tolerance=1e-6,
        caught_by="tests/test_objectives.py::test_elbo_passes",
    ),
    Specimen(
        "sinal do escore",
        *(descending_score, ascending_score),
        seen_in="o texto do tutorial DL2 2a de uvadlc_notebooks (o código está certo)",
        check="o gradiente de uma esperança que se sabe",
        error=_score_against_exact,
        tolerance=0.1,
        caught_by="tests/test_estimators.py::test_gradient_of_a_quadratic_has_the_closed_form_mean_and_variance",
    ),
    Specimen(
        "taxa por escala",
        *(scale_for_rate, rate_of_counts),
        seen_in="a documentação de scvi-tools, #1644",
        check="a média dos sorteios",
        error=_mean_of_rates,
        tolerance=0.03,
        caught_by="tests/test_distributions_counts.py::test_samples_have_its_mean_and_its_variance_and_are_repeatable",
    ),
)
