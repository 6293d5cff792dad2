"""Exercícios da lição 06: o nível da água, a informação de um código, o β escondido, o preço de um piso e o atraso."""

import math

import torch
from torch import Tensor

from vae_lessons.exercises.checking import Exercise, Mistake, on_cases

# Fora de ordem: quem conta com a ordem se revela. O último caso deixa todos vivos.
_EIGENVALUES = torch.tensor([0.4, 2.5, 0.05, 1.0, 0.2], dtype=torch.float64)
_FEW = torch.tensor([0.3, 0.9, 0.6], dtype=torch.float64)

# Três dados e a sua posterior em cada z sorteado; nem simétrica, nem de linhas que somam o mesmo.
_LOG_Q = torch.tensor([[-0.5, -3.0, -6.0], [-2.5, -0.8, -1.5], [-4.0, -2.0, -0.2]], dtype=torch.float64)
_MORE_LOG_Q = torch.tensor(
    [[0.9, -1.0, -7.0, 0.3], [-2.0, 1.4, -0.5, -3.0], [-5.0, 0.1, 0.6, -1.0], [-0.4, -6.0, -2.2, 1.1]],
    dtype=torch.float64,
)


def _level(eigenvalues: Tensor, rate: float) -> Tensor:
    return _level_if_sorted(eigenvalues.sort(descending=True).values, rate)


def _level_if_sorted(eigenvalues: Tensor, rate: float) -> Tensor:
    logs = eigenvalues.log()
    alive = torch.arange(1, len(logs) + 1, dtype=logs.dtype)
    levels = (logs.cumsum(0) - 2 * rate) / alive  # com 1, 2, … vivos; o nível certo é o maior
    return levels.max().exp()


def _information(log_q: Tensor) -> Tensor:
    return (log_q.diagonal() - torch.logsumexp(log_q, 1) + math.log(len(log_q))).mean()


def _without_itself(log_q: Tensor) -> Tensor:
    others = log_q.masked_fill(torch.eye(len(log_q), dtype=torch.bool), -math.inf)
    return (log_q.diagonal() - torch.logsumexp(others, 1) + math.log(len(log_q) - 1)).mean()


def _slopes(loss, n_latents: int) -> tuple[Tensor, Tensor]:
    log_lik = torch.zeros(3, requires_grad=True)
    kl = torch.zeros(3, n_latents, requires_grad=True)
    return torch.autograd.grad(loss(log_lik, kl), (log_lik, kl))


def _beta(loss, n_latents: int) -> Tensor:
    by_log_lik, by_kl = _slopes(loss, n_latents)
    return -(by_kl[0, 0] / by_log_lik[0])


def _summed_over_latents(log_lik: Tensor, kl: Tensor) -> Tensor:
    return (kl.sum(1) - log_lik).mean()


def _averaged_over_latents(log_lik: Tensor, kl: Tensor) -> Tensor:
    return (kl.mean(1) - log_lik).mean()


def _averaged_over_pixels(log_lik: Tensor, kl: Tensor) -> Tensor:
    return (kl.sum(1) - log_lik / 784).mean()


def _without_the_half(log_lik: Tensor, kl: Tensor) -> Tensor:
    return 3 * (kl.sum(1) - 2 * log_lik).sum()


def _free_nats(eigenvalue: float, noise_variance: float, free: float) -> tuple[float, float]:
    return free, free - eigenvalue * (1 - math.exp(-2 * free)) / (2 * noise_variance)


def _aggressive(w, eigenvalue, noise_variance, lr):
    return w + lr * _slope(w, eigenvalue, noise_variance)


def _slope(w, eigenvalue, noise_variance):
    """A derivada, em w, da média de log p(x): −½(ln s + λ/s), com s = w² + σ²."""
    s = w**2 + noise_variance
    return w * (eigenvalue - s) / s**2


def _with_slope(change):
    """O passo com outro gradiente, change(w, λ, σ²)."""
    return lambda w, eigenvalue, noise_variance, lr: w + lr * change(w, eigenvalue, noise_variance)


EXERCISES = (
    Exercise(
        id="06.1",
        solution=_level,
        mistakes=(
            Mistake(
                lambda eigenvalues, rate: ((eigenvalues.log().sum() - 2 * rate) / len(eigenvalues)).exp(),
                "essa conta supõe que todos vivem. Quem fica abaixo da água tem KL zero, e não negativa: ache também quantos "
                "vivem.",
            ),
            Mistake(
                lambda eigenvalues, rate: _level(eigenvalues, rate / 2),
                "falta um ½: cada KL é meio logaritmo.",
            ),
            Mistake(
                lambda eigenvalues, rate: _level(eigenvalues, rate * len(eigenvalues)),
                "a taxa é a soma das KL, e não a média.",
            ),
            Mistake(
                lambda eigenvalues, rate: _level(eigenvalues, rate * math.log(2)),
                "a taxa está em nats: logaritmo natural, e não o de base 2.",
            ),
            Mistake(
                lambda eigenvalues, rate: eigenvalues.max() * math.exp(-2 * rate),
                "esse nível gasta toda a taxa no maior autovalor. Os seguintes também podem ficar acima da água.",
            ),
            Mistake(
                lambda eigenvalues, rate: _level_if_sorted(eigenvalues, rate),
                "você contou com os autovalores em ordem, e eles não vêm assim: os maiores é que vivem.",
            ),
            Mistake(
                lambda eigenvalues, rate: _level(eigenvalues, rate).log(),
                "isso é ln θ. Pede-se θ.",
            ),
        ),
        measure=on_cases((_EIGENVALUES, 0.3), (_EIGENVALUES, 1.5), (_EIGENVALUES, 6.0), (_FEW, 2.0)),
        tolerance=1e-4,
        insight="Cada nat a mais baixa ln θ em 2 dividido por quantos vivem: a água desce cada vez mais devagar.",
    ),
    Exercise(
        id="06.2",
        solution=_information,
        mistakes=(
            Mistake(
                lambda log_q: (log_q.diagonal() - torch.logsumexp(log_q, 1)).mean(),
                "sem dividir a soma por N, q(z) sai N vezes maior, e a informação, negativa: isso não existe. Falta um ln N.",
            ),
            Mistake(
                lambda log_q: (log_q.diagonal() - torch.logsumexp(log_q, 1) - math.log(len(log_q))).mean(),
                "o ln N entrou com o sinal trocado: log da média = log da soma − ln N, e isso tudo se subtrai.",
            ),
            Mistake(
                lambda log_q: _information(log_q.T),
                "a soma correu pela dimensão errada. q(zᵢ) junta, para um mesmo zᵢ, as posteriores de todos os xⱼ.",
            ),
            Mistake(
                lambda log_q: (log_q.diagonal() - log_q.mean(1)).mean(),
                "você tirou a média dos logaritmos. q(z) é a média das probabilidades: exp, média e só então log.",
            ),
            Mistake(
                _without_itself,
                "você deixou o próprio xᵢ fora da média. Ele também é um dos dados; sem ele a estimativa não é desta KL, e "
                "pode passar de ln N.",
            ),
            Mistake(
                lambda log_q: (log_q.exp().diagonal() / log_q.exp().mean(1)).mean(),
                "isso é a média das razões. A informação é a média do logaritmo delas.",
            ),
            Mistake(
                lambda log_q: (log_q - torch.logsumexp(log_q, 1, keepdim=True) + math.log(len(log_q))).mean(),
                "log q(z|x) é só o da diagonal: zᵢ foi sorteado de q(z|xᵢ), e não das outras.",
            ),
            Mistake(
                lambda log_q: log_q.diagonal().mean(),
                "isso é só a média de log q(z|x). Falta subtrair log q(z).",
            ),
        ),
        measure=on_cases((_LOG_Q,), (_MORE_LOG_Q,)),
        insight="Ela nunca passa de ln N: um lote pequeno não enxerga um código grande.",
    ),
    Exercise(
        id="06.3",
        solution=_beta,
        mistakes=(
            Mistake(
                lambda loss, n_latents: -_beta(loss, n_latents),
                "o sinal está trocado: a perda cai quando log p(x|z) sobe, e por isso essa derivada dela é negativa.",
            ),
            Mistake(
                lambda loss, n_latents: 1 / _beta(loss, n_latents),
                "está de cabeça para baixo: quer-se o peso da KL contra o de log p(x|z).",
            ),
            Mistake(
                lambda loss, n_latents: _slopes(loss, n_latents)[1][0, 0],
                "isso é só o peso da KL, e depende da escala da perda: dobrá-la não muda o mínimo. Divida pelo outro peso.",
            ),
            Mistake(
                lambda loss, n_latents: _slopes(loss, n_latents)[1].sum(),
                "isso é só o peso da KL, e depende da escala da perda. Divida pelo peso de log p(x|z).",
            ),
            Mistake(
                lambda loss, n_latents: 1 / n_latents,
                "esse é o β de um só defeito, a média sobre os latentes. Há outros: meça-o na perda que veio.",
            ),
            Mistake(
                lambda loss, n_latents: n_latents * _beta(loss, n_latents),
                "você somou as derivadas de todos os latentes. O β é o que custa 1 nat, esteja em que latente estiver.",
            ),
            Mistake(
                lambda loss, n_latents: 3 * n_latents * _beta(loss, n_latents),
                "você somou as derivadas de um lado e não do outro. Compare um número de kl com um de log_lik.",
            ),
        ),
        measure=on_cases(
            (_summed_over_latents, 5),
            (_averaged_over_latents, 20),
            (_averaged_over_pixels, 4),
            (_without_the_half, 8),
        ),
        insight="É um teste curto, e vale para a perda de qualquer código que você baixe.",
    ),
    Exercise(
        id="06.4",
        solution=_free_nats,
        mistakes=(
            Mistake(
                lambda eigenvalue, noise_variance, free: (0.0, 0.0),
                "a KL morreu. Com o piso, os primeiros nats não custam, e o latente os usa: a perda é a reconstrução mais "
                "max(KL, livres). Se o treino parou na origem, comece de outro ponto.",
            ),
            Mistake(
                lambda eigenvalue, noise_variance, free: (
                    free,
                    -eigenvalue * (1 - math.exp(-2 * free)) / (2 * noise_variance),
                ),
                "isso compara as perdas sem cobrar a KL. De graça ela é só no treino: a ELBO cobra cada nat.",
            ),
            Mistake(
                lambda eigenvalue, noise_variance, free: (
                    free,
                    free - eigenvalue * (1 - math.exp(-2 * free)) / noise_variance,
                ),
                "o erro quadrático se divide por 2σ², e não por σ².",
            ),
            Mistake(
                lambda eigenvalue, noise_variance, free: (
                    free,
                    free - eigenvalue * (1 - math.exp(-free)) / (2 * noise_variance),
                ),
                "com R nats o menor erro é λ exp(−2R): a taxa é meio logaritmo da razão das variâncias.",
            ),
            Mistake(
                lambda eigenvalue, noise_variance, free: (free, free),
                "falta a outra parte: a reconstrução melhora um pouco, e a ELBO perde menos que a KL.",
            ),
        ),
        measure=on_cases((0.1, 0.2, 0.5), (0.2, 0.2, 1.0), (0.05, 0.25, 0.25)),
        tolerance=0.01,
        insight="A KL fica no piso porque é o piso que a segura, e a ELBO paga a diferença.",
        hint="A KL devia ficar no piso, com o menor erro que ele permite. Se não, o treino empacou na quina do max, como o "
        "L-BFGS, acabou cedo, ou tem o passo grande demais.",
    ),
    Exercise(
        id="06.5",
        solution=_aggressive,
        mistakes=(
            Mistake(
                _with_slope(lambda w, lam, noise: -_slope(w, lam, noise)),
                "w desceu a ELBO. O passo é de subida: some lr vezes o gradiente.",
            ),
            Mistake(
                _with_slope(lambda w, lam, noise: w * lam / (w**2 + noise) ** 2),
                "falta a parte que segura w: o ruído de q no erro, w²d, que em log p(x) é o determinante.",
            ),
            Mistake(
                _with_slope(lambda w, lam, noise: -w / (w**2 + noise)),
                "isso é só a parte do determinante, que encolhe w. Falta a dos dados, em que entra λ.",
            ),
            Mistake(
                _with_slope(lambda w, lam, noise: (lam - w**2 - noise) / (2 * (w**2 + noise) ** 2)),
                "essa é a derivada em s = w² + σ². Falta a regra da cadeia, até w.",
            ),
            Mistake(
                _with_slope(lambda w, lam, noise: 2 * _slope(w, lam, noise)),
                "o ½ de log p(x) cancela o 2 da derivada do quadrado.",
            ),
            Mistake(
                _with_slope(lambda w, lam, noise: noise * _slope(w, lam, noise)),
                "falta dividir por σ²: a log-verossimilhança é o erro sobre 2σ².",
            ),
            Mistake(
                _with_slope(lambda w, lam, noise: -w / noise),
                "esse é o passo contra um codificador que nada diz, v = 0 e d = 1. No agressivo ele está no ótimo.",
            ),
            Mistake(
                lambda w, eigenvalue, noise_variance, lr: max(eigenvalue - noise_variance, 0) ** 0.5,
                "esse é o ponto de chegada. Pede-se um passo, de tamanho lr.",
            ),
        ),
        measure=on_cases((0.05, 0.7, 0.05, 0.01), (0.9, 0.4, 0.3, 0.05), (0.5, 0.2, 0.4, 0.1)),
        tolerance=1e-5,
        insight="No ótimo do codificador a lacuna e a sua derivada são zero: o passo sobe o próprio log p(x).",
        hint="Que função de w resta quando a lacuna é zero? t é normal, de variância w² + σ² no modelo e λ nos dados.",
    ),
)
