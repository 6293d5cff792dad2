"""Os exercícios da lição 04: respostas certas escritas de outro jeito, e as erradas que cada um reconhece."""

import math

import torch
from answers import assert_right, assert_told, each_right, each_wrong

RIGHT = [
    ("04.1", lambda log_lik, kl, beta: -(log_lik - kl) + (beta - 1) * kl),
    ("04.2", lambda eigenvalues, beta, noise_var: torch.clamp(0.5 * torch.log(eigenvalues / beta / noise_var), min=0)),
    ("04.2", lambda eigenvalues, beta, noise_var: [max(0, math.log(v / (beta * noise_var)) / 2) for v in eigenvalues]),
    ("04.3", lambda ra, da, rb, db: -(da - db) / (ra - rb)),
    ("04.5", lambda information, entropies: (information / entropies).topk(2, 0).values.diff(dim=0).neg().mean()),
    ("04.6", lambda: ([-1, 0, 1], [-1, 0, 1], [3, 5, 7])),
    ("04.6", lambda: {"x": torch.tensor([-1.0, 0, 1]), "y": [-0.5, 0, 0.5], "radius": torch.linspace(4, 8, 5)}),
]


def by_definition(eigenvalues, beta, noise_var):
    """Pelo caminho comprido: w, o codificador ótimo, e a KL média."""
    price = beta * noise_var
    w = (eigenvalues - price).clamp(min=0).sqrt()
    v, d = w / (w**2 + price), price / (w**2 + price)
    return 0.5 * (v**2 * eigenvalues + d - 1 - d.log())


WRONG = [
    ("04.1", lambda log_lik, kl, beta: (beta - 1) * kl - log_lik, "o peso da KL é β inteiro"),
    ("04.1", lambda log_lik, kl, beta: (beta - 1) * kl, "só o que separa"),
    ("04.1", lambda log_lik, kl, beta: -(log_lik - kl) / beta, "dividiu a ELBO toda por β"),
    ("04.1", lambda log_lik, kl, beta: kl - log_lik / beta, "a escala não"),
    ("04.1", lambda log_lik, kl, beta: kl - beta * log_lik, "multiplicou a reconstrução"),
    ("04.1", lambda log_lik, kl, beta: log_lik - beta * kl, "o objetivo, que se maximiza"),
    ("04.2", lambda lam, beta, var: 0.5 * (lam / (beta * var)).log(), "não pode sair negativa"),
    ("04.2", lambda lam, beta, var: (lam / (beta * var)).log().clamp(min=0), "falta um ½"),
    ("04.2", lambda lam, beta, var: 0.5 * (1 + lam / (beta * var)).log(), "w² = λ − βσ²"),
    ("04.2", lambda lam, beta, var: 0.5 * (lam / (beta * var)).log2().clamp(min=0), "em bits"),
    ("04.2", lambda lam, beta, var: 0.5 * (lam * var / beta).log().clamp(min=0), "os dois se multiplicam"),
    ("04.2", lambda lam, beta, var: 0.5 * (lam / beta).log().clamp(min=0), "falta o σ²"),
    ("04.2", lambda lam, beta, var: 0.5 * (lam / (beta * var)).log().abs(), "o módulo tira o sinal"),
    ("04.2", lambda lam, beta, var: by_definition(lam, beta, var).sum(), "somou também sobre os latentes"),
    ("04.3", lambda ra, da, rb, db: (db - da) / (rb - ra), "o sinal está trocado"),
    ("04.3", lambda ra, da, rb, db: (ra - rb) / (db - da), "de cabeça para baixo"),
    ("04.3", lambda ra, da, rb, db: da / ra, "num ponto só"),
    ("04.3", lambda ra, da, rb, db: db / rb - da / ra, "não é a razão das duas diferenças"),
    ("04.3", lambda ra, da, rb, db: (db - da) / ra, "pela taxa toda"),
    ("04.3", lambda ra, da, rb, db: db / da, "por quociente, e a taxa nem entrou"),
    ("04.3", lambda ra, da, rb, db: (db + rb - da - ra) / (ra - rb), "o que a ELBO caiu"),
    ("04.5", lambda info, h: (info.topk(2, 0).values.diff(dim=0).neg() / h).sum(), "somou sobre os fatores"),
    ("04.5", lambda info, h: (info.amax(0) / h).mean(), "esqueceu o segundo"),
    ("04.5", lambda info, h: ((info.amax(0) - info.mean(0)) / h).mean(), "subtraiu a média dos latentes"),
    ("04.5", lambda info, h: info.amax(0).mean(), "só com o melhor latente"),
    ("04.5", lambda info, h: (info.topk(2, 0).values.diff(dim=0) / h).mean(), "subtraiu o melhor do segundo"),
    ("04.5", lambda info, h: (info.topk(2, 1).values.diff(dim=1).neg()[:, 0] / h).mean(), "ao longo da dimensão 0"),
    ("04.5", lambda info, h: info.topk(2, 0).values.diff(dim=0).neg().mean(), "falta dividir pela entropia"),
    ("04.6", lambda: ([-3, 0, 3], [-1, 0, 1], [5, 6, 7]), "a de x"),
    ("04.6", lambda: ([-1, 0, 1], [-3, 0, 3], [5, 6]), "ao menos três valores diferentes"),
    ("04.6", lambda: ([-1, 0, 1], [-1, 0, 1], [5, 7, 9]), "cortados pela borda"),
    ("04.6", lambda: ([-1, 0, 1], [-1, 0, 1]), "três listas"),
    ("04.6", lambda: ([-1, 0, 1], [-1, 0, 1], [-5, 5, 6]), "positivos"),
]


@each_right([*RIGHT, ("04.2", by_definition)])
def test_another_way_to_write_a_right_answer_passes(exercise_id, answer):
    assert_right(exercise_id, answer)


@each_wrong(WRONG)
def test_a_wrong_answer_that_students_give_has_a_name(exercise_id, answer, reason):
    assert_told(exercise_id, answer, reason)
