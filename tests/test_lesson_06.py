"""Os exercícios da lição 06: respostas certas escritas de outro jeito, e as erradas que cada um reconhece."""

import math

import pytest
import torch
from answers import assert_right, assert_told, each_right, each_wrong
from torch import tensor

from vae_lessons.exercises import EXERCISES
from vae_lessons.linear_gaussian import optimal_kl


def by_bisection(eigenvalues, rate):
    low, high = 1e-12, eigenvalues.max().item()
    for _ in range(200):
        middle = math.sqrt(low * high)
        if optimal_kl(eigenvalues, 1.0, middle).sum() > rate:
            low = middle
        else:
            high = middle
    return middle


def by_probabilities(log_q):
    return (log_q.exp().diag() / log_q.exp().mean(1)).log().mean()


def by_finite_differences(loss, n_latents):
    log_lik, kl = torch.full((4,), -3.0).double(), torch.ones(4, n_latents).double()
    more_lik, more_kl = log_lik.clone(), kl.clone()
    more_lik[1] += 1
    more_kl[1, 1] += 1
    return (loss(log_lik, more_kl) - loss(log_lik, kl)) / (loss(log_lik, kl) - loss(more_lik, kl))


def by_training(eigenvalue, noise_variance, free):
    """Adam, com a quina do max e um passo que diminui."""
    w, v, log_d = parameters = [tensor(x, requires_grad=True) for x in (0.2, 0.6, -0.4)]
    optimizer = torch.optim.Adam(parameters, lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1500)

    def terms():
        error = eigenvalue * (1 - w * v) ** 2 + w**2 * log_d.exp()
        return error / (2 * noise_variance), 0.5 * (v**2 * eigenvalue + log_d.exp() - 1 - log_d)

    for _ in range(1500):
        lost, kl = terms()
        optimizer.zero_grad()
        (lost + kl.clamp(min=free)).backward()
        optimizer.step()
        schedule.step()
    lost, kl = terms()
    return kl.item(), (lost + kl).item() - eigenvalue / (2 * noise_variance)


def by_the_evidence(w, eigenvalue, noise_variance, lr):
    """O gradiente de log p(x), que no ótimo do codificador é o da ELBO."""
    s = w**2 + noise_variance
    return w + lr * w * (eigenvalue - s) / s**2


def by_the_best_encoder(w, eigenvalue, noise_variance, lr):
    v, d = w / (w**2 + noise_variance), noise_variance / (w**2 + noise_variance)
    return w + lr * (eigenvalue * v * (1 - w * v) - w * d) / noise_variance


def by_inner_loop(w, eigenvalue, noise_variance, lr):
    v, log_d, w = (tensor(x, dtype=torch.float64, requires_grad=True) for x in (0.0, 0.0, w))

    def elbo():
        error = eigenvalue * (1 - w * v) ** 2 + w**2 * log_d.exp()
        return -error / (2 * noise_variance) - 0.5 * (v**2 * eigenvalue + log_d.exp() - 1 - log_d)

    for _ in range(3000):
        slopes = torch.autograd.grad(elbo(), (v, log_d))
        with torch.no_grad():
            v += 0.1 * slopes[0]
            log_d += 0.1 * slopes[1]
    (slope,) = torch.autograd.grad(elbo(), w)
    return w.item() + lr * slope.item()


RIGHT = [
    ("06.1", by_bisection),
    ("06.2", by_probabilities),
    ("06.3", by_finite_differences),
    ("06.4", by_training),
    ("06.5", by_the_evidence),
    ("06.5", by_the_best_encoder),
    ("06.5", by_inner_loop),
]

WRONG = [
    ("06.1", lambda lam, rate: (lam.log().mean() - 2 * rate / len(lam)).exp(), "supõe que todos vivem"),
    ("06.1", lambda lam, rate: by_bisection(lam, rate / 2), "falta um ½"),
    ("06.1", lambda lam, rate: by_bisection(lam, rate * len(lam)), "a soma das KL, e não a média"),
    ("06.1", lambda lam, rate: by_bisection(lam, rate * math.log(2)), "está em nats"),
    ("06.1", lambda lam, rate: lam.max() / math.exp(2 * rate), "no maior autovalor"),
    (
        "06.1",
        lambda lam, rate: max(((lam[:k].log().sum() - 2 * rate) / k).exp() for k in range(1, 1 + len(lam))),
        "ordem",
    ),
    ("06.2", lambda log_q: (log_q.diag() - torch.logsumexp(log_q, 1)).mean(), "Falta um ln N"),
    ("06.2", lambda log_q: (log_q - log_q.exp().mean(1, keepdim=True).log()).mean(), "é só o da diagonal"),
    ("06.2", lambda log_q: by_probabilities(log_q.T), "pela dimensão errada"),
    ("06.2", lambda log_q: (log_q.diag() - log_q.mean(1)).mean(), "a média dos logaritmos"),
    ("06.2", lambda log_q: (log_q.exp().diag() / log_q.exp().mean(1)).mean(), "a média das razões"),
    ("06.2", lambda log_q: log_q.diag().sum() / len(log_q), "Falta subtrair log q(z)"),
    ("06.3", lambda loss, z: -by_finite_differences(loss, z), "o sinal está trocado"),
    ("06.3", lambda loss, z: 1 / by_finite_differences(loss, z), "de cabeça para baixo"),
    ("06.3", lambda loss, z: z * by_finite_differences(loss, z), "somou as derivadas de todos os latentes"),
    ("06.3", lambda loss, z: 1 / z, "de um só defeito"),
    ("06.4", lambda lam, noise, free: (0.0, 0.0), "a KL morreu"),
    ("06.4", lambda lam, noise, free: (free, -lam * (1 - math.exp(-2 * free)) / (2 * noise)), "sem cobrar a KL"),
    ("06.4", lambda lam, noise, free: (free, free - lam * (1 - math.exp(-2 * free)) / noise), "2σ²"),
    ("06.4", lambda lam, noise, free: (free, free), "falta a outra parte"),
    ("06.4", lambda lam, noise, free: (1.4 * free, free), "ficar no piso"),
    ("06.5", lambda w, lam, noise, lr: 2 * w - by_the_evidence(w, lam, noise, lr), "desceu a ELBO"),
    ("06.5", lambda w, lam, noise, lr: w + lr * lam * w / (w**2 + noise) ** 2, "falta a parte que segura w"),
    ("06.5", lambda w, lam, noise, lr: w - lr * w / (w**2 + noise), "só a parte do determinante"),
    ("06.5", lambda w, lam, noise, lr: w + lr * (lam / (w**2 + noise) - 1) / (2 * (w**2 + noise)), "regra da cadeia"),
    ("06.5", lambda w, lam, noise, lr: w + noise * (by_the_evidence(w, lam, noise, lr) - w), "falta dividir por σ²"),
    ("06.5", lambda w, lam, noise, lr: w - lr * w / noise, "que nada diz"),
    ("06.5", lambda w, lam, noise, lr: math.sqrt(max(lam - noise, 0.0)), "o ponto de chegada"),
]


@each_right(RIGHT)
def test_another_way_to_write_a_right_answer_passes(exercise_id, answer):
    assert_right(exercise_id, answer)


@each_wrong(WRONG)
def test_a_wrong_answer_that_students_give_has_a_name(exercise_id, answer, reason):
    assert_told(exercise_id, answer, reason)


def test_the_price_of_free_nats_is_the_rate_distortion_function():
    """A fórmula da solução contra uma busca em v e d, com a KL presa no piso."""
    eigenvalue, noise, free = 0.1, 0.2, 0.5
    d = torch.linspace(1e-3, 1, 200_001, dtype=torch.float64)
    v = ((2 * free - d + 1 + d.log()) / eigenvalue).clamp(min=0).sqrt()
    w = v * eigenvalue / (v**2 * eigenvalue + d)  # o melhor decodificador
    best = (eigenvalue * (1 - w * v) ** 2 + w**2 * d).min() / (2 * noise)
    kl, lost = EXERCISES["06.4"].solution(eigenvalue, noise, free)
    assert kl == free
    assert lost == pytest.approx(best.item() + free - eigenvalue / (2 * noise), abs=1e-6)
