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
    logs = eigenvalues.log().sort(descending=True).values
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
    v, d = w / (w**2 + noise_variance), noise_variance / (w**2 + noise_variance)
    return w + lr * _slope(w, v, d, eigenvalue, noise_variance), v, d


def _slope(w, v, d, eigenvalue, noise_variance):
    return (eigenvalue * v * (1 - w * v) - w * d) / noise_variance


def _decoder_first(w, eigenvalue, noise_variance, lr):
    moved, _, _ = _aggressive(w, eigenvalue, noise_variance, lr)
    return moved, *_aggressive(moved, eigenvalue, noise_variance, lr)[1:]


def _with_slope(change):
    """O passo em que se mexe no gradiente, change(w, v, d, λ, σ²)."""

    def answer(w, eigenvalue, noise_variance, lr):
        _, v, d = _aggressive(w, eigenvalue, noise_variance, lr)
        return w + lr * change(w, v, d, eigenvalue, noise_variance), v, d

    return answer


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
                "o sinal está trocado: a perda cai quando log p(x|z) sobe, e a derivada dela é negativa.",
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
        insight="É um teste de uma linha, e vale para a perda de qualquer código que você baixe.",
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
        insight="A KL para no piso porque é o piso que a segura, e a ELBO paga a diferença.",
        hint="A KL devia parar no piso; se não para, o treino acabou cedo, ou o passo é grande demais para a quina do max.",
    ),
    Exercise(
        id="06.5",
        solution=_aggressive,
        mistakes=(
            Mistake(
                _with_slope(lambda w, v, d, lam, noise: -_slope(w, v, d, lam, noise)),
                "w desceu a ELBO. O passo é de subida: some lr vezes o gradiente.",
            ),
            Mistake(
                _decoder_first,
                "v e d saíram do w novo. O codificador vem primeiro: os que se devolvem são os que o passo de w usou.",
            ),
            Mistake(
                _with_slope(lambda w, v, d, lam, noise: lam * v * (1 - w * v) / noise),
                "falta o ruído de q: o erro quadrático tem também w²d, e ele puxa w para baixo.",
            ),
            Mistake(
                _with_slope(lambda w, v, d, lam, noise: noise * _slope(w, v, d, lam, noise)),
                "falta dividir por σ²: a log-verossimilhança é o erro sobre 2σ².",
            ),
            Mistake(
                _with_slope(lambda w, v, d, lam, noise: 2 * _slope(w, v, d, lam, noise)),
                "o ½ da log-verossimilhança cancela o 2 da derivada do quadrado.",
            ),
            Mistake(
                lambda w, eigenvalue, noise_variance, lr: (
                    *_aggressive(w, eigenvalue, noise_variance, lr)[:2],
                    (noise_variance / (w**2 + noise_variance)) ** 0.5,
                ),
                "d é a variância de q, e não o desvio padrão.",
            ),
        ),
        measure=on_cases((0.05, 0.7, 0.05, 0.01), (0.9, 0.4, 0.3, 0.05), (0.5, 0.2, 0.4, 0.1)),
        tolerance=1e-4,
        insight="No ótimo do codificador a lacuna e a sua derivada são zero: o passo sobe o próprio log p(x).",
    ),
)
