"""Põe um espécime do museu no pacote: `pytest -p museum_infection`, com o nome dele em VAE_LESSONS_SPECIMEN.

É um plugin do pytest porque o pacote deve adoecer antes de os testes o importarem. Cada função daqui troca uma peça do
pacote por outra que faz a conta com a função doente do espécime, e mais nada.
"""

import os
import sys
from collections.abc import Callable

import torch
from torch import Tensor

from vae_lessons import disentanglement, estimators, evaluation, museum, objectives, ranking
from vae_lessons.distributions import Bernoulli, Categorical, Gamma, NegativeBinomial, Normal, kl
from vae_lessons.distributions.bernoulli import ContinuousBernoulli
from vae_lessons.estimators import Estimate
from vae_lessons.training import schedules, terms

Broken = Callable


def _everywhere(healthy: Callable, sick: Callable) -> None:
    """Troca uma função por outra em todo módulo do pacote que já a tenha importado."""
    for name, module in list(sys.modules.items()):
        if name.startswith("vae_lessons."):
            for attribute in [key for key, value in vars(module).items() if value is healthy]:
                setattr(module, attribute, sick)


def soma_com_media(broken: Broken) -> None:
    healthy = objectives.log_likelihood_given_z

    def log_likelihood_given_z(model, x: Tensor, z: Tensor) -> Tensor:
        likelihood = model.decode(z)
        if not isinstance(likelihood, Bernoulli):
            return healthy(model, x, z)
        standard = x.new_zeros(1)  # q igual à prior: sobra a reconstrução
        return -broken(x.expand_as(likelihood.logits), likelihood.logits, standard, standard)

    _everywhere(healthy, log_likelihood_given_z)


def desvio_por_variancia(broken: Broken) -> None:
    def formula(q: Normal, p: Normal) -> Tensor:
        return broken((q.mean - p.mean) * torch.exp(-0.5 * p.log_var), q.log_var - p.log_var)

    kl._FORMULAS[Normal] = formula


def erro_quadratico(broken: Broken) -> None:
    def log_prob(self, value: Tensor) -> Tensor:
        standard = ((value - self.mean) * torch.exp(-0.5 * self.log_var))[..., None]
        return broken(standard, torch.zeros_like(standard)) - 0.5 * self.log_var

    Normal.log_prob = log_prob


def cinza_como_bit(broken: Broken) -> None:
    ContinuousBernoulli.log_prob = lambda self, value: broken(value, self.logits)


def _with_noise(broken: Broken) -> None:
    def rsample(self, noise: Tensor | None = None) -> Tensor:
        return broken(self.mean, self.log_var, torch.randn_like(self.mean) if noise is None else noise)

    Normal.rsample = rsample


def media_na_avaliacao(broken: Broken) -> None:
    healthy = objectives.elbo

    def elbo(model, x: Tensor, **options):
        def estimator(f, q, n_samples=1):
            value = f(broken(q.mean, q.log_var, torch.randn_like(q.mean), model.training))
            return Estimate(value, value)

        return healthy(model, x, **{"estimator": estimator} | options)

    _everywhere(healthy, elbo)


def sinal_do_escore(broken: Broken) -> None:
    healthy = estimators.score_function

    def score_function(f, q, n_samples=1, *, baseline=None):
        value, surrogate = healthy(f, q, n_samples, baseline=baseline)
        with_right_sign = surrogate - value  # vale zero, e o seu gradiente é o do escore
        return Estimate(value, value + torch.vmap(broken)(torch.ones(len(value), 1), with_right_sign[:, None]))

    _everywhere(healthy, score_function)


def taxa_por_escala(broken: Broken) -> None:
    def sample(self, generator=None) -> Tensor:
        mean, theta = torch.broadcast_tensors(self.mean, self.theta)
        unit = Gamma(theta, torch.ones_like(theta)).sample(generator)
        return torch.poisson(broken(mean, theta, unit), generator=generator)

    NegativeBinomial.sample = sample


def media_ponderada(broken: Broken) -> None:
    def iwae_bound(model, x: Tensor, k: int) -> Tensor:
        return broken(objectives.log_importance_weights(model, x, k))

    _everywhere(objectives.iwae_bound, iwae_bound)


def softmax_das_perdas(broken: Broken) -> None:
    healthy = objectives.iwae_bound

    def iwae_bound(model, x: Tensor, k: int) -> Tensor:
        """O valor certo, com o gradiente de quem pesa as amostras assim."""
        state = torch.get_rng_state()
        value = healthy(model, x, k).detach()
        torch.set_rng_state(state)
        log_w = objectives.log_importance_weights(model, x, k)
        weighted = (broken(log_w).detach() * log_w).sum(0)
        return value + weighted - weighted.detach()

    _everywhere(healthy, iwae_bound)


def sem_o_log_k(broken: Broken) -> None:
    kl._FORMULAS[Categorical] = lambda q, p: broken(q.logits)


def prior_antes_do_fluxo(broken: Broken) -> None:
    """Uma normal é um fluxo afim do ruído: z0 é o ruído, e zk, o z."""
    healthy = objectives.log_ratio

    def log_ratio(model, q, z: Tensor) -> Tensor:
        if not isinstance(q, Normal):
            return healthy(model, q, z)
        z0 = (z - q.mean) * torch.exp(-0.5 * q.log_var)
        log_q0 = Normal(torch.zeros_like(z0), torch.zeros_like(z0)).log_prob(z0).sum(-1)
        log_det = 0.5 * q.log_var.sum(-1).expand_as(log_q0)
        return -broken(torch.zeros_like(log_q0), z0, z, log_q0, log_det)

    _everywhere(healthy, log_ratio)


def media_das_medias(broken: Broken) -> None:
    def means_of_batch(values) -> Tensor:
        return torch.stack([value.detach().mean() for value in values])

    def means_of(batches: Tensor, names, n_examples: int) -> dict[str, float]:
        columns = batches.cpu().double().T
        return {name: broken(list(column[:, None])) for name, column in zip(names, columns, strict=True)}

    _everywhere(terms.sums_of, means_of_batch)
    _everywhere(terms.means_of, means_of)


def aquecimento_que_recomeca(broken: Broken) -> None:
    def beta_at(step: int, steps_per_epoch: int, config) -> float:
        warmup_steps = config.beta_warmup * steps_per_epoch
        epoch, within = divmod(step - 1, steps_per_epoch)
        return config.beta * (broken(epoch, within + 1, steps_per_epoch, warmup_steps) if warmup_steps else 1.0)

    _everywhere(schedules.beta_at, beta_at)


def forma_por_transposta(broken: Broken) -> None:
    healthy = disentanglement._checked

    def checked(codes: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
        codes, factors = healthy(codes, factors)
        return broken(codes).T, factors

    _everywhere(healthy, checked)


def sorteio_por_endereco(broken: Broken) -> None:
    def posterior_mean(q: Normal) -> Tensor:
        return broken(q.mean, q.log_var, torch.randn_like(q.mean))

    _everywhere(evaluation._posterior_mean, posterior_mean)


def divisao_por_ninguem(broken: Broken) -> None:
    def recall_at_k(scores: Tensor, held_out: Tensor, k: int) -> Tensor:
        first = scores.sort(dim=1, descending=True, stable=True).indices[:, :k]
        hits, of_how_many = held_out.gather(1, first).sum(1), held_out.sum(1).clamp(max=k)
        each = zip(hits.float().split(1), of_how_many.float().split(1), strict=True)
        return torch.tensor([broken(*person) for person in each])

    _everywhere(ranking.recall_at_k, recall_at_k)


def diferenca_de_gigantes(broken: Broken) -> None:
    NegativeBinomial.log_prob = lambda self, value: broken(value, self.mean, self.theta)


INTO_PACKAGE = {
    "soma com média": soma_com_media,
    "desvio por variância": desvio_por_variancia,
    "erro quadrático": erro_quadratico,
    "cinza como bit": cinza_como_bit,
    "variância por desvio": _with_noise,
    "ruído de 0,01": _with_noise,
    "média na avaliação": media_na_avaliacao,
    "sinal do escore": sinal_do_escore,
    "taxa por escala": taxa_por_escala,
    "média ponderada": media_ponderada,
    "softmax das perdas": softmax_das_perdas,
    "sem o log K": sem_o_log_k,
    "prior antes do fluxo": prior_antes_do_fluxo,
    "média das médias": media_das_medias,
    "aquecimento que recomeça": aquecimento_que_recomeca,
    "forma por transposta": forma_por_transposta,
    "sorteio por endereço": sorteio_por_endereco,
    "divisão por ninguém": divisao_por_ninguem,
    "diferença de gigantes": diferenca_de_gigantes,
}

_CHOSEN = os.environ.get("VAE_LESSONS_SPECIMEN")
if _CHOSEN:
    INTO_PACKAGE[_CHOSEN](museum.specimen(_CHOSEN).broken)
