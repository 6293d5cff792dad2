"""Exercícios da lição 01: a ELBO e os números que se confundem com ela."""

import math

import torch
from torch import Tensor

from vae_lessons.exercises.checking import Exercise, Mistake, letters, on_cases, reduced

_LOG_PRIOR = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64).log()
_LOG_LIK = torch.tensor([-4.0, -2.5, -6.0], dtype=torch.float64)
_LOG_LIKS = torch.stack([_LOG_LIK, torch.tensor([-1.0, -3.0, -0.5], dtype=torch.float64)])
_MANY_PIXELS = torch.tensor([[-800.0, -802.0, -801.0]], dtype=torch.float64)
_FAR_APART = torch.cat([_MANY_PIXELS, _LOG_LIK[None]])
_Q = torch.tensor([[0.6, 0.3, 0.1], [0.1, 0.2, 0.7]], dtype=torch.float64)

_W = torch.tensor([[1.0, 0.5], [-0.3, 0.8], [0.2, -1.2]], dtype=torch.float64)
_B = torch.tensor([0.4, -0.6, 1.0], dtype=torch.float64)
_X = torch.tensor([1.5, 0.2, -0.7], dtype=torch.float64)

_LOG_W = torch.tensor([[-20.0, -31.0], [-22.5, -30.0], [-19.0, -36.0]], dtype=torch.float64)
_TINY_W = _LOG_W - 900
_W_FAR_APART = _LOG_W - torch.tensor([900.0, 0.0], dtype=torch.float64)

_GAPS = (
    torch.tensor([-20.0, -31.0, -25.5], dtype=torch.float64),
    torch.tensor([-20.1, -31.3, -25.6], dtype=torch.float64),
    torch.tensor([-20.4, -32.0, -25.7], dtype=torch.float64),
)
# Estimativas ruidosas: em alguns exemplos, e até na média da segunda lacuna, o sinal é o contrário do da teoria.
_NOISY_GAPS = (
    torch.tensor([-18.0, -22.0, -30.0, -27.0], dtype=torch.float64),
    torch.tensor([-18.9, -21.8, -30.7, -26.9], dtype=torch.float64),
    torch.tensor([-18.4, -21.9, -30.5, -27.1], dtype=torch.float64),
)


def _log_evidence(log_prior: Tensor, log_lik: Tensor) -> Tensor:
    return (log_prior + log_lik).logsumexp(-1)


def _elbo_terms(q: Tensor, log_prior: Tensor, log_lik: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    reconstruction = (q * log_lik).sum(-1)
    kl = (q * (q.log() - log_prior)).sum(-1)
    return reconstruction, kl, reconstruction - kl


def _kl(log_q: Tensor, log_p: Tensor) -> Tensor:
    return (log_q.exp() * (log_q - log_p)).sum(-1)


def _normalized(log_joint: Tensor) -> Tensor:
    return log_joint - log_joint.logsumexp(-1)


def _kl_to_posterior(q: Tensor, log_joint: Tensor) -> Tensor:
    return _kl(q.log(), _normalized(log_joint))


def _posterior(x: Tensor, W: Tensor, b: Tensor, s: float) -> tuple[Tensor, Tensor]:
    V = torch.linalg.inv(torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W / s**2)
    return V @ W.T @ (x - b) / s**2, V


def _without_prior(x: Tensor, W: Tensor, b: Tensor, s: float) -> tuple[Tensor, Tensor]:
    V = torch.linalg.inv(W.T @ W / s**2)
    return V @ W.T @ (x - b) / s**2, V


def _with_s_for_its_square(x: Tensor, W: Tensor, b: Tensor, s: float) -> tuple[Tensor, Tensor]:
    return _posterior(x, W, b, math.sqrt(s))


def _iwae(log_w: Tensor) -> Tensor:
    return log_w.logsumexp(0) - math.log(len(log_w))


def _split_gap(log_evidence: Tensor, best: Tensor, encoder: Tensor) -> tuple[Tensor, Tensor]:
    return (log_evidence - best).mean(), (best - encoder).mean()


EXERCISES = (
    Exercise(
        id="01.1",
        solution=_log_evidence,
        mistakes=(
            *reduced(_log_evidence),
            Mistake(
                lambda log_prior, log_lik: (log_prior.exp() * log_lik.exp()).sum(-1).log(),
                "a fórmula está certa, mas com log p(x|z) = −800 a exponencial vira zero, e o seu resultado, −∞. Some "
                "com logsumexp, sem exponenciar antes.",
            ),
            Mistake(
                lambda log_prior, log_lik: (log_prior + log_lik - log_lik.max()).exp().sum(-1).log() + log_lik.max(),
                "você tirou o maior termo do lote inteiro, e o exemplo que está longe dele virou −∞. Cada exemplo tem o seu "
                "maior termo: use logsumexp(-1).",
            ),
            Mistake(
                lambda log_prior, log_lik: log_lik.logsumexp(-1),
                "faltou a prior: cada código entra na soma com o peso p(z). Some log p(z) a log p(x|z) antes do logsumexp.",
            ),
            Mistake(
                lambda log_prior, log_lik: log_lik.logsumexp(-1) - math.log(len(log_prior)),
                "isso supõe que todos os códigos têm a mesma probabilidade. Use a prior dada.",
            ),
            Mistake(
                lambda log_prior, log_lik: (log_prior.exp() * log_lik).sum(-1),
                "você tirou a média dos logaritmos; a evidência é o logaritmo da média. Por Jensen, o seu número é "
                "menor: é a ELBO com q igual à prior.",
            ),
            Mistake(
                lambda log_prior, log_lik: (log_prior + log_lik).sum(-1),
                "somar logaritmos é multiplicar probabilidades. O que se soma são as probabilidades: log Σ exp, o "
                "logsumexp.",
            ),
            Mistake(
                lambda log_prior, log_lik: (log_prior + log_lik).max(-1).values,
                "você ficou só com o código mais provável. Os outros também contribuem para p(x).",
            ),
            Mistake(
                lambda log_prior, log_lik: (log_prior + log_lik).logsumexp(-1).exp(),
                "isso é p(x), que para muitos pixels é zero em ponto flutuante. Devolva o logaritmo.",
            ),
            Mistake(
                lambda log_prior, log_lik: (log_prior + log_lik).logsumexp(0),
                "você somou sobre os exemplos. A soma é sobre os códigos, a última dimensão.",
            ),
        ),
        measure=on_cases((_LOG_PRIOR, _LOG_LIKS), (_LOG_PRIOR, _MANY_PIXELS), (_LOG_PRIOR, _FAR_APART)),
        insight="A soma sobre os códigos feita em logaritmos sobrevive a qualquer número de pixels.",
    ),
    Exercise(
        id="01.2",
        solution=_elbo_terms,
        mistakes=(
            Mistake(
                lambda q, log_prior, log_lik: (
                    (q * log_lik).sum(-1),
                    _kl(log_prior, q.log()),
                    (q * log_lik).sum(-1) - _kl(log_prior, q.log()),
                ),
                "os argumentos da KL estão trocados: você calculou KL(p(z)‖q). Aqui a média é sob q, Σ q (log q − log p).",
            ),
            Mistake(
                lambda q, log_prior, log_lik: (
                    (q * log_lik).sum(-1),
                    -_kl(q.log(), log_prior),
                    (q * log_lik).sum(-1) - _kl(q.log(), log_prior),
                ),
                "a ELBO está certa, mas a KL que você devolve é negativa, e nenhuma KL é. O sinal de menos é da ELBO, não "
                "dela.",
            ),
            Mistake(
                lambda q, log_prior, log_lik: (
                    (q * log_lik).sum(-1),
                    -_kl(q.log(), log_prior),
                    (q * log_lik).sum(-1) + _kl(q.log(), log_prior),
                ),
                "o sinal da KL está trocado, e com ele a ELBO pode passar de log p(x). KL = Σ q (log q − log p), nunca "
                "negativa.",
            ),
            Mistake(
                lambda q, log_prior, log_lik: (
                    (q * log_lik).sum(-1),
                    _kl(q.log(), log_prior),
                    (q * log_lik).sum(-1) + _kl(q.log(), log_prior),
                ),
                "você somou a KL. A ELBO a subtrai: reconstrução − KL.",
            ),
            Mistake(
                lambda q, log_prior, log_lik: (
                    (q * (log_lik + log_prior)).sum(-1),
                    _kl(q.log(), log_prior),
                    (q * (log_lik + log_prior)).sum(-1) - _kl(q.log(), log_prior),
                ),
                "a prior entrou duas vezes: na reconstrução e na KL. A reconstrução é só E_q[log p(x|z)].",
            ),
            Mistake(
                lambda q, log_prior, log_lik: (
                    (q * log_lik).sum(-1),
                    -(q * log_prior).sum(-1),
                    (q * (log_lik + log_prior)).sum(-1),
                ),
                "faltou log q na KL. Sem a entropia de q, a melhor q seria um código só.",
            ),
            *reduced(_elbo_terms, "as várias q"),
            Mistake(
                lambda q, log_prior, log_lik: tuple(part / q.shape[-1] for part in _elbo_terms(q, log_prior, log_lik)),
                "você tirou a média sobre os códigos depois de pesá-los por q. A esperança é a soma ponderada: os pesos já "
                "somam 1.",
            ),
        ),
        measure=on_cases((_Q, _LOG_PRIOR, _LOG_LIK), (_Q[:1], _LOG_PRIOR.flip(0), _LOG_LIK)),
        insight="Nenhum dos três precisou de p(x).",
    ),
    Exercise(
        id="01.3",
        solution=_kl_to_posterior,
        mistakes=(
            Mistake(
                lambda q, log_joint: _kl(_normalized(log_joint).expand_as(q), q.log()),
                "os argumentos estão trocados: você calculou KL(p(z|x)‖q). A lacuna da ELBO é KL(q‖p(z|x)), com a média "
                "sob q.",
            ),
            Mistake(
                lambda q, log_joint: _kl(q.log(), log_joint),
                "faltou normalizar a conjunta: o seu número é −ELBO. A posterior é p(x, z)/p(x); subtraia log p(x).",
            ),
            Mistake(
                lambda q, log_joint: -_kl(q.log(), _normalized(log_joint)),
                "o sinal está trocado. A KL nunca é negativa, e a sua é.",
            ),
            Mistake(
                lambda q, log_joint: -(q * _normalized(log_joint)).sum(-1),
                "isso é a entropia cruzada, −E_q[log p(z|x)]. Falta subtrair a entropia de q.",
            ),
            Mistake(
                lambda q, log_joint: _kl(q.log(), log_joint.exp().log_softmax(-1)),
                "você aplicou a softmax às probabilidades. Ela se aplica aos logaritmos: log_joint.softmax(-1) já é a "
                "posterior.",
            ),
            Mistake(
                lambda q, log_joint: (q.log() - _normalized(log_joint)).mean(-1),
                "cada código deve pesar q(z), e os seus pesam todos igual. KL = Σ q (log q − log p).",
            ),
            *reduced(_kl_to_posterior, "as várias q"),
        ),
        measure=on_cases((_Q, _LOG_PRIOR + _LOG_LIK), (_Q[1:], _LOG_PRIOR - 2.0)),
        insight="É exatamente o que falta à ELBO para chegar a log p(x).",
    ),
    Exercise(
        id="01.4",
        solution=_posterior,
        mistakes=(
            Mistake(
                _with_s_for_its_square,
                "você usou s onde vai s². A variância do ruído é s².",
            ),
            Mistake(
                _without_prior,
                "faltou a precisão da prior, I. Sem ela, o resultado é o de mínimos quadrados, que ignora p(z).",
            ),
            Mistake(
                lambda x, W, b, s: _posterior(x, W, torch.zeros_like(b), s),
                "faltou subtrair b de x: o modelo explica x − b, e não x.",
            ),
            Mistake(
                lambda x, W, b, s: (_posterior(x, W, b, s)[0], torch.linalg.inv(_posterior(x, W, b, s)[1])),
                "a média está certa, mas V é a precisão: falta inverter a matriz.",
            ),
            Mistake(
                lambda x, W, b, s: (_posterior(x, W, b, s)[0] * s**2, _posterior(x, W, b, s)[1]),
                "faltou dividir a média por s²: m = V Wᵀ (x − b) / s².",
            ),
            Mistake(
                lambda x, W, b, s: (_posterior(x, W, b, s)[0], _posterior(x, W, b, s)[1].diagonal()),
                "você devolveu só a diagonal de V. A posterior exata tem correlações entre os latentes.",
            ),
            Mistake(
                lambda x, W, b, s: (_posterior(x, W, b, s)[0], _posterior(x, W, b, s)[1].diagonal().diag()),
                "você apagou as correlações de V. A posterior exata as tem; só a q fatorada é que não.",
            ),
        ),
        measure=on_cases((_X, _W, _B, 0.6), (_X.flip(0), 2 * _W, _B, 1.5)),
        insight="As duas formas da posterior são a mesma (identidade de Woodbury), e esta inverte a matriz menor.",
    ),
    Exercise(
        id="01.5",
        solution=_iwae,
        mistakes=(
            Mistake(
                lambda log_w: log_w.mean(0),
                "essa é a média dos logaritmos: a ELBO, estimada com k sorteios. L_k é o logaritmo da média.",
            ),
            Mistake(
                lambda log_w: log_w.logsumexp(0),
                "faltou dividir por k: subtraia log k. Do seu jeito, o número cresce sem limite com k.",
            ),
            Mistake(
                lambda log_w: ((-log_w).softmax(0) * log_w).sum(0),
                "você aplicou a softmax às perdas, −log w: o maior peso ficou com a pior amostra. E L_k não é uma média "
                "ponderada: é o logaritmo da média de w.",
            ),
            Mistake(
                lambda log_w: (log_w.softmax(0) * log_w).sum(0),
                "Σ w̃ log w dá o gradiente certo, mas não é o valor do limite: pode passar de log p(x). L_k é "
                "log (1/k) Σ w.",
            ),
            Mistake(
                lambda log_w: log_w.exp().mean(0).log(),
                "a fórmula está certa, mas com log w = −900 a exponencial vira zero, e o seu resultado, −∞. Use logsumexp.",
            ),
            Mistake(
                lambda log_w: (log_w - log_w.max()).exp().mean(0).log() + log_w.max(),
                "você tirou o maior log w do lote inteiro, e o exemplo que está longe dele virou −∞. Cada exemplo tem o seu "
                "maior: use logsumexp(0).",
            ),
            Mistake(
                lambda log_w: log_w.max(0).values,
                "você ficou só com a melhor amostra. O limite é o logaritmo da média das k.",
            ),
            Mistake(
                lambda log_w: log_w.logsumexp(1) - math.log(log_w.shape[1]),
                "você somou sobre os exemplos. Os sorteios estão na primeira dimensão.",
            ),
            *reduced(_iwae),
        ),
        measure=on_cases((_LOG_W,), (_TINY_W[:2],), (_W_FAR_APART,)),
        insight="Com k = 1 é a ELBO; com k grande, quase log p(x).",
    ),
    Exercise(
        id="01.6",
        solution="acdf",
        measure=letters("abcdef"),
        mistakes=(
            Mistake(
                "ad",
                "esses dois são, mas não só eles. O que fica abaixo de um limite inferior também é um: compare cada uma das outras com a ELBO.",
            ),
            Mistake(
                "acd",
                "esses três são, mas não só eles. Um limite pode ser péssimo e não deixar de ser limite: compare cada uma das outras com a ELBO.",
            ),
            Mistake(
                "adf",
                "esses três são, mas não só eles. O que muda na ELBO quando se cobra mais pela KL, e o que muda quando se cobra menos?",
            ),
            Mistake("abcdf", "uma delas não é. Calcule a (b) com q igual à posterior, quando a ELBO vale log p(x)."),
            Mistake(
                "abcd",
                "a (b) não é: calcule-a com q igual à posterior. E, das que ficaram de fora, há uma péssima que é.",
            ),
            Mistake(
                "abd",
                "a (b) não é: calcule-a com q igual à posterior. E, das que ficaram de fora, há as que ficam abaixo da ELBO.",
            ),
            Mistake(
                "acdef",
                "uma delas não é. Veja a figura das três contas: qual passa de log p(x) quando q não é a posterior?",
            ),
            Mistake(
                "acde", "a (e) não é: veja a figura das três contas. E, das que ficaram de fora, há uma péssima que é."
            ),
            Mistake(
                "ade",
                "a (e) não é: veja a figura das três contas. E, das que ficaram de fora, há as que ficam abaixo da ELBO.",
            ),
            Mistake(
                "abcdef",
                "nem todas: procure as que passam de log p(x) em alguma q. Experimente a posterior em (b) e a figura das "
                "três contas em (e).",
            ),
        ),
        insight="Tudo o que fica abaixo de um limite inferior também é um; o que falta saber é quão frouxo.",
        hint="Compare cada uma com a ELBO: o que fica abaixo dela é limite; o que fica acima pode passar de log p(x).",
    ),
    Exercise(
        id="01.7",
        solution=_split_gap,
        mistakes=(
            Mistake(
                lambda log_evidence, best, encoder: _split_gap(log_evidence, best, encoder)[::-1],
                "estão na ordem trocada. A de aproximação é a que sobra mesmo com a melhor q da família.",
            ),
            Mistake(
                lambda log_evidence, best, encoder: tuple(-gap for gap in _split_gap(log_evidence, best, encoder)),
                "os sinais estão trocados: uma lacuna é o maior menos o menor, e não é negativa.",
            ),
            Mistake(
                lambda log_evidence, best, encoder: ((log_evidence - best).mean(), (log_evidence - encoder).mean()),
                "a segunda é a lacuna inteira, que contém a de aproximação. A de amortização vai da melhor q à do "
                "codificador.",
            ),
            Mistake(
                lambda log_evidence, best, encoder: ((log_evidence - encoder).mean(), (best - encoder).mean()),
                "a primeira é a lacuna inteira. A de aproximação vai de log p(x) à melhor q da família.",
            ),
            Mistake(
                lambda log_evidence, best, encoder: (log_evidence - best, best - encoder),
                "falta a média sobre os exemplos: um número para cada lacuna.",
            ),
            Mistake(
                lambda log_evidence, best, encoder: tuple(
                    len(best) * gap for gap in _split_gap(log_evidence, best, encoder)
                ),
                "você somou sobre os exemplos. Compara-se a média, em nats por exemplo.",
            ),
            Mistake(
                lambda log_evidence, best, encoder: ((log_evidence - best).abs().mean(), (best - encoder).abs().mean()),
                "você tirou o módulo de cada diferença. Com estimativas ruidosas algumas saem negativas, e o módulo infla a "
                "média: some-as com o sinal que têm.",
            ),
            Mistake(
                lambda log_evidence, best, encoder: tuple(gap.abs() for gap in _split_gap(log_evidence, best, encoder)),
                "o módulo da média esconde uma estimativa que saiu negativa, e é isso que se quer ver: devolva a média como é.",
            ),
            Mistake(
                lambda log_evidence, best, encoder: (
                    (log_evidence - best).clamp(min=0).mean(),
                    (best - encoder).clamp(min=0).mean(),
                ),
                "você trocou por zero as diferenças negativas. Com estimativas ruidosas elas aparecem, e sem elas a média sobe.",
            ),
            Mistake(
                lambda log_evidence, best, encoder: ((log_evidence - best).median(), (best - encoder).median()),
                "essa é a mediana. Pede-se a média sobre os exemplos.",
            ),
        ),
        measure=on_cases(_GAPS, _NOISY_GAPS),
        insight="Somadas, dão a média de KL(q(z|x)‖p(z|x)).",
    ),
)
