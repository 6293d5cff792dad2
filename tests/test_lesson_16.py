"""A lição 16: os exercícios, com curas escritas de outro jeito, o espécime como veio e outros erros."""

import math

import pytest
import torch
from answers import assert_right, assert_told, each_right, each_wrong
from torch.nn import functional as F

from vae_lessons import museum
from vae_lessons.exercises.lesson_16 import EXERCISES

CURED_BY = {
    "16.1": "soma com média",
    "16.2": "desvio por variância",
    "16.3": "erro quadrático",
    "16.4": "cinza como bit",
    "16.6": "média na avaliação",
    "16.7": "sinal do escore",
    "16.8": "taxa por escala",
    "16.9": "média ponderada",
    "16.10": "softmax das perdas",
    "16.11": "sem o log K",
    "16.12": "prior antes do fluxo",
    "16.13": "forma por transposta",
    "16.14": "aquecimento que recomeça",
    "16.15": "média das médias",
    "16.16": "sorteio por endereço",
    "16.17": "divisão por ninguém",
    "16.18": "norma por norma ao quadrado",
    "16.19": "destaques trocados",
    "16.20": "giro sem escala",
    "16.21": "diferença de gigantes",
}


def by_distributions(x, logits, mean, log_var):
    q = torch.distributions.Normal(mean, (0.5 * log_var).exp())
    kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(-1)
    return kl - torch.distributions.Bernoulli(logits=logits).log_prob(x).sum(-1)


def by_quantiles(sampler):
    """O quartil de muitos sorteios, em σ = ½."""
    log_var = torch.full((20_000, 1), 2 * math.log(0.5))
    z = sampler(torch.ones(20_000, 1), log_var, torch.randn(20_000, 1)) - 1
    ratio = (z.quantile(0.75) - z.quantile(0.25)).item() / (2 * 0.6745 * 0.5)
    return "ruído pequeno" if ratio < 0.1 else "certo" if ratio > 0.8 else "variância"


def by_projections(u, w):
    along = (w @ u) / (w @ w) * w
    return u - along + (math.log1p(math.exp((w @ u).item())) - 1) / (w @ w) * w


def by_torch(x, mean, theta):
    doubles = (each.double() for each in (x, theta, mean))
    x, theta, mean = doubles
    return torch.distributions.NegativeBinomial(theta, logits=(mean / theta).log()).log_prob(x).float()


def by_mse(z, e):
    return F.mse_loss(e, z.detach(), reduction="sum"), F.mse_loss(z, e.detach(), reduction="sum")


def with_series(x, logits):
    small = logits.abs() < 1e-2
    t = torch.where(small, 1.0, logits)
    log_c = torch.where(small, math.log(2) + logits**2 / 12, (t / (t / 2).tanh()).log())
    return x * logits + F.logsigmoid(-logits) + log_c


RIGHT = [
    ("16.1", by_distributions),
    ("16.2", lambda mean, log_var: (mean.square() + log_var.exp() - log_var).sub(1) / 2),
    ("16.3", lambda x, mean: torch.distributions.Normal(mean, 1.0).log_prob(x).sum(-1)),
    ("16.4", lambda x, logits: torch.distributions.ContinuousBernoulli(logits=logits).log_prob(x)),
    ("16.4", with_series),
    ("16.5", by_quantiles),
    ("16.6", lambda mean, log_var, noise, training: torch.addcmul(mean, log_var.exp().sqrt(), noise)),
    ("16.7", lambda f_z, log_q: f_z.detach() @ log_q / len(f_z)),
    ("16.8", lambda mean, theta, unit: mean * unit / theta),
    ("16.9", lambda log_w: (log_w - log_w.max(0).values).exp().mean(0).log() + log_w.max(0).values),
    ("16.10", lambda log_w: (log_w - log_w.logsumexp(0)).exp()),
    ("16.11", lambda logits: math.log(logits.shape[-1]) - torch.distributions.Categorical(logits=logits).entropy()),
    (
        "16.12",
        lambda ll, z0, zk, log_q0, log_det: (
            ll + torch.distributions.Normal(0.0, 1.0).log_prob(zk).sum(1) - log_q0 + log_det
        ),
    ),
    ("16.13", lambda codes: codes.permute(1, 0)),
    ("16.13", lambda codes: torch.stack(list(codes.unbind(1)))),
    ("16.14", lambda epoch, step, size, total: max(0.0, min(epoch * size + step, total)) / total),
    ("16.15", lambda losses: sum(loss.sum().item() for loss in losses) / sum(map(len, losses))),
    ("16.16", lambda mean, log_var, noise: mean.clone()),
    ("16.17", lambda hits, held: torch.nanmean(hits / held).item()),
    ("16.18", by_projections),
    ("16.19", by_mse),
    (
        "16.20",
        lambda z, e: (
            museum.specimen("giro sem escala").broken(z, e) * (e.norm(dim=1) / z.detach().norm(dim=1))[:, None]
        ),
    ),
    ("16.21", by_torch),
]

WRONG = [
    *((exercise_id, museum.specimen(name).broken, "o defeito continua") for exercise_id, name in CURED_BY.items()),
    (
        "16.1",
        lambda x, logits, mean, log_var: by_distributions(x, logits, mean, log_var).mean(),
        "média sobre as imagens",
    ),
    ("16.2", lambda mean, log_var: 0.5 * (mean**2 + log_var.exp() - 1 - 0.5 * log_var), "o logaritmo ainda"),
    ("16.3", lambda x, mean: -0.5 * (x - mean).square().sum(-1), "falta a constante"),
    ("16.4", lambda x, logits: x * logits - F.softplus(logits) + math.log(2), "depende dele"),
    ("16.4", lambda x, t: x * t - F.softplus(t) + (t / torch.tanh(t / 2)).log(), "apareceu NaN"),
    ("16.5", lambda sampler: "certo", "todos estão certos"),
    (
        "16.5",
        lambda sampler: "certo" if sampler(*torch.zeros(2, 9, 1), torch.ones(9, 1)).mean() > 0.5 else "ruído pequeno",
        "deixa passar quem usa a variância",
    ),
    ("16.5", lambda sampler: "certo" if by_quantiles(sampler) == "certo" else "variância", "não diz de quê"),
    ("16.6", lambda mean, log_var, noise, training: mean, "nem no treino"),
    ("16.7", lambda f_z, log_q: (f_z * log_q).mean(), "Destaque f_z"),
    ("16.8", lambda mean, theta, unit: unit * mean, "já tem média θ"),
    ("16.9", lambda log_w: log_w.logsumexp(0), "cresce com K"),
    ("16.9", lambda log_w: log_w.exp().mean(0).log(), "Há logsumexp"),
    ("16.10", lambda log_w: log_w.softmax(1), "sobre as imagens"),
    ("16.11", lambda logits: torch.distributions.Categorical(logits=logits).entropy() - math.log(logits.shape[-1]), ""),
    (
        "16.12",
        lambda ll, z0, zk, log_q0, log_det: (
            ll + torch.distributions.Normal(0.0, 1.0).log_prob(zk).sum(1) - log_q0 - log_det
        ),
        "mudou de sinal",
    ),
    ("16.13", lambda codes: codes, "as linhas ainda são os exemplos"),
    ("16.14", lambda epoch, step, size, total: (epoch * size + step) / total, "continua a crescer"),
    ("16.15", lambda losses: sum(loss.sum().item() for loss in losses) / len(losses), "número de lotes"),
    ("16.16", lambda mean, log_var, noise: mean + log_var.exp().sqrt(), "um desvio longe"),
    ("16.17", lambda hits, held: (hits.sum() / held.sum()).item(), "pesa mais"),
    ("16.18", lambda u, w: u, "o mapa se dobra"),
    ("16.18", lambda u, w: u + (F.softplus(w @ u) - 1 - w @ u) * w, "falta dividir"),
    ("16.19", lambda z, e: 2 * ((z - e).square().sum(),), "move os dois"),
    ("16.20", lambda z, e: e, "nenhum gradiente chega a z"),
    ("16.20", lambda z, e: z - (z - e).detach(), "sem giro"),
    ("16.21", lambda x, mean, theta: torch.distributions.Poisson(mean).log_prob(x), "θ pequeno não serve"),
]


def test_every_specimen_has_an_exercise_whose_solution_is_its_cure():
    """Os dois do sorteio têm um exercício só: o teste que os acha."""
    assert set(CURED_BY.values()) == {s.name for s in museum.SPECIMENS} - {"variância por desvio", "ruído de 0,01"}
    for exercise in EXERCISES:
        if exercise.id in CURED_BY:
            assert exercise.solution is museum.specimen(CURED_BY[exercise.id]).cured


@each_right(RIGHT)
def test_another_way_to_write_a_right_answer_passes(exercise_id, answer):
    assert_right(exercise_id, answer)


@each_wrong(WRONG)
def test_a_wrong_answer_that_students_give_has_a_name(exercise_id, answer, reason):
    assert_told(exercise_id, answer, reason)


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.id)
def test_no_two_mistakes_are_told_in_the_same_words(exercise):
    reasons = [mistake.reason for mistake in exercise.mistakes]
    assert len(set(reasons)) == len(reasons)
