"""Exercícios da lição 01: a ELBO e os números que se confundem com ela."""

import itertools
import math

import torch
from torch import Tensor

from vae_lessons.exercises.checking import Exercise, Mistake, letters, on_cases, reduced

_LOG_PRIOR = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64).log()
_LOG_LIK = torch.tensor([-4.0, -2.5, -6.0], dtype=torch.float64)
_LOG_LIKS = torch.stack([_LOG_LIK, torch.tensor([-1.0, -3.0, -0.5], dtype=torch.float64)])
_MANY_PIXELS = torch.tensor([[-800.0, -802.0, -801.0]], dtype=torch.float64)
_FAR_APART = torch.cat([_MANY_PIXELS, _LOG_LIK[None]])

# Sorteios de duas imagens, com log p(x|z), log p(z) e log q(z) de cada um.
_DRAWS = tuple(
    torch.tensor(rows, dtype=torch.float64)
    for rows in (
        [[-20.0, -31.0], [-22.5, -30.0], [-19.0, -36.0], [-21.0, -33.5]],
        [[-2.1, -3.0], [-2.8, -1.9], [-4.0, -2.2], [-1.9, -2.6]],
        [[-0.4, 0.7], [-1.1, 0.2], [-0.9, -0.3], [0.6, -1.5]],
    )
)

_LOG_JOINT = torch.tensor([-4.7, -3.6, -7.9, -5.2], dtype=torch.float64)
_ALLOWED = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 1], [0, 1, 0, 0], [1, 1, 1, 1]]).bool()

_LOG_W = torch.tensor([[-20.0, -31.0], [-22.5, -30.0], [-19.0, -36.0]], dtype=torch.float64)
_TINY_W = _LOG_W - 900
_W_FAR_APART = _LOG_W - torch.tensor([900.0, 0.0], dtype=torch.float64)

_W = torch.tensor([[1.0, 0.5], [-0.3, 0.8], [0.2, -1.2]], dtype=torch.float64)
_DELTA = torch.tensor([[0.3, -0.4], [1.0, 0.5], [-0.2, 0.0]], dtype=torch.float64)


def _log_evidence(log_prior: Tensor, log_lik: Tensor) -> Tensor:
    return (log_prior + log_lik).logsumexp(-1)


def _elbo_estimate(log_lik: Tensor, log_prior: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor]:
    return _mean_and_error(log_lik + log_prior - log_q)


def _mean_and_error(terms: Tensor) -> tuple[Tensor, Tensor]:
    return terms.mean(0), terms.std(0) / math.sqrt(len(terms))


def _biased_error(log_lik: Tensor, log_prior: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor]:
    terms = log_lik + log_prior - log_q
    return terms.mean(0), terms.std(0, correction=0) / math.sqrt(len(terms))


def _smallest_gap(log_joint: Tensor, allowed: Tensor) -> Tensor:
    return log_joint.logsumexp(0) - _masked(log_joint, allowed).logsumexp(-1)


def _masked(log_joint: Tensor, allowed: Tensor) -> Tensor:
    return log_joint.masked_fill(~allowed, -math.inf)


def _gap_of_uniform(log_joint: Tensor, allowed: Tensor) -> Tensor:
    log_posterior = log_joint - log_joint.logsumexp(0)
    size = allowed.sum(-1)
    return -size.log() - log_posterior.masked_fill(~allowed, 0.0).sum(-1) / size


def _bound_curve(log_w: Tensor) -> Tensor:
    return log_w.logcumsumexp(0) - _counts(log_w).log()


def _counts(log_w: Tensor) -> Tensor:
    return torch.arange(1, len(log_w) + 1, dtype=log_w.dtype)[:, None]


def _each_prefix(log_w: Tensor, statistic) -> Tensor:
    return torch.stack([statistic(log_w[: j + 1]) for j in range(len(log_w))])


def _cost_of_a_shift(delta: Tensor, W: Tensor, s: float) -> Tensor:
    return _half_square(delta, _precision(W, s))


def _precision(W: Tensor, s: float) -> Tensor:
    return torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W / s**2


def _half_square(delta: Tensor, matrix: Tensor) -> Tensor:
    return 0.5 * (delta @ matrix * delta).sum(-1)


def _why_not(chosen: str) -> str:
    """O que dizer de um conjunto errado de letras, sem nomear nenhuma certa que ficou de fora."""
    missing = set("acdf") - set(chosen)
    parts = [f"você marcou {', '.join(chosen)}."]
    if "b" in chosen:
        parts.append("A (b) não é: calcule-a com q igual à posterior, quando a ELBO vale log p(x).")
    if "e" in chosen:
        parts.append("A (e) não é: veja a figura das três contas, em que q não é a posterior.")
    if missing & set("ad"):
        parts.append("Ficou de fora um limite que a lição demonstrou: que contas a desigualdade de Jensen garante?")
    if missing & set("cf"):
        parts.append(
            "Um limite pode ser péssimo e não deixar de ser limite: compare com a ELBO cada conta que não marcou."
        )
    return " ".join(parts)


_WRONG_SETS = tuple(
    Mistake(answer, _why_not(answer))
    for size in range(1, 7)
    for answer in map("".join, itertools.combinations("abcdef", size))
    if answer != "acdf"
)


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
                "você tirou a média dos logaritmos; a evidência é o logaritmo da média, que nunca é menor.",
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
                "isso é p(x), que, com muitos pixels, é zero em ponto flutuante. Devolva o logaritmo.",
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
        solution=_elbo_estimate,
        alternatives=(_biased_error,),
        mistakes=(
            Mistake(
                lambda log_lik, log_prior, log_q: _elbo_estimate(log_lik, log_prior, log_q)[::-1],
                "os dois estão na ordem trocada: primeiro a estimativa da ELBO, depois o erro-padrão dela.",
            ),
            Mistake(
                lambda log_lik, log_prior, log_q: (
                    (log_lik + log_prior - log_q).logsumexp(0) - math.log(len(log_q)),
                    _elbo_estimate(log_lik, log_prior, log_q)[1],
                ),
                "você tirou o logaritmo da média de w. A ELBO é a média dos logaritmos: é essa troca que faz dela um limite.",
            ),
            Mistake(
                lambda log_lik, log_prior, log_q: (
                    _elbo_estimate(log_lik, log_prior, log_q)[0],
                    (log_lik + log_prior - log_q).std(0),
                ),
                "a estimativa está certa, mas o outro número é o desvio padrão de um sorteio. O da média de L sorteios é menor.",
            ),
            Mistake(
                lambda log_lik, log_prior, log_q: (
                    _elbo_estimate(log_lik, log_prior, log_q)[0],
                    (log_lik + log_prior - log_q).var(0) / len(log_q),
                ),
                "a estimativa está certa, mas o outro número é a variância dela. O erro-padrão está em nats, e não em nats².",
            ),
            Mistake(
                lambda log_lik, log_prior, log_q: (
                    _elbo_estimate(log_lik, log_prior, log_q)[0],
                    (log_lik + log_prior - log_q).std(0) / len(log_q),
                ),
                "a estimativa está certa, mas o erro de uma média não cai tão depressa: o que se divide por L é a variância.",
            ),
            Mistake(
                lambda log_lik, log_prior, log_q: _mean_and_error(log_lik + log_prior + log_q),
                "o sinal de log q está trocado: w = p(x, z)/q(z).",
            ),
            Mistake(
                lambda log_lik, log_prior, log_q: _mean_and_error(log_lik - log_prior + log_q),
                "o sinal da KL está trocado: a ELBO a subtrai, e a KL é E_q[log q − log p].",
            ),
            Mistake(
                lambda log_lik, log_prior, log_q: _mean_and_error(log_lik + log_prior),
                "faltou log q. Sem ele, a melhor q seria um código só.",
            ),
            Mistake(
                lambda log_lik, log_prior, log_q: _mean_and_error(log_lik - log_q),
                "faltou a prior: a conjunta é log p(x|z) + log p(z).",
            ),
            Mistake(
                lambda log_lik, log_prior, log_q: _mean_and_error(log_lik),
                "isso é só a reconstrução. Falta o que a KL cobra.",
            ),
            Mistake(
                lambda log_lik, log_prior, log_q: _mean_and_error(log_q.exp() * (log_lik + log_prior - log_q)),
                "você pesou cada sorteio por q(z). Os sorteios já vêm de q: os mais prováveis aparecem mais vezes, e basta a "
                "média simples.",
            ),
            *reduced(_elbo_estimate, "as imagens"),
        ),
        measure=on_cases(_DRAWS, tuple(part[:2] for part in _DRAWS)),
        insight="Só a conjunta e q, nos pontos sorteados: p(x) não foi preciso.",
    ),
    Exercise(
        id="01.3",
        solution=_smallest_gap,
        mistakes=(
            Mistake(
                lambda log_joint, allowed: torch.zeros(len(allowed), dtype=log_joint.dtype),
                "seria zero se a posterior, cortada, ainda fosse uma distribuição. q tem de somar 1 sobre os códigos que pode "
                "usar.",
            ),
            Mistake(
                _gap_of_uniform,
                "essa é a lacuna da q uniforme. Entre os códigos que pode usar, q ganha imitando a posterior.",
            ),
            Mistake(
                lambda log_joint, allowed: log_joint.logsumexp(0) - _masked(log_joint, allowed).max(-1).values,
                "essa é a lacuna da q que fica num código só, o mais provável. Com mais de um permitido, espalhar-se rende mais.",
            ),
            Mistake(
                lambda log_joint, allowed: -_masked(log_joint, allowed).logsumexp(-1),
                "faltou log p(x): o seu número é o negativo da melhor ELBO, e a lacuna é o que falta dela até log p(x).",
            ),
            Mistake(
                lambda log_joint, allowed: _masked(log_joint, allowed).logsumexp(-1),
                "essa é a melhor ELBO. Pede-se o que falta dela até log p(x).",
            ),
            Mistake(
                lambda log_joint, allowed: -_smallest_gap(log_joint, allowed),
                "o sinal está trocado: uma KL nunca é negativa.",
            ),
            Mistake(
                lambda log_joint, allowed: 1 - (-_smallest_gap(log_joint, allowed)).exp(),
                "essa é a massa da posterior que q não pode alcançar, uma probabilidade. A lacuna é uma KL, em nats.",
            ),
            Mistake(
                lambda log_joint, allowed: (-_smallest_gap(log_joint, allowed)).exp(),
                "essa é a massa da posterior que q alcança. Falta passar dela à KL, em nats.",
            ),
            *reduced(_smallest_gap, "os conjuntos"),
        ),
        measure=on_cases((_LOG_JOINT, _ALLOWED), (_LOG_JOINT - 800, _ALLOWED[:2])),
        insight="A lacuna é −log da massa da posterior que q alcança: metade custa log 2.",
    ),
    Exercise(
        id="01.4",
        solution="c",
        measure=letters("abcde"),
        mistakes=(
            Mistake(
                "a",
                "compare o que o seu modelo gera fora da região dos dados com o da ELBO. Se saíram iguais, o seu objetivo ainda "
                "sorteia: decodifique a média.",
            ),
            Mistake(
                "b",
                "metade disso acontece: a taxa cai mesmo. Mas olhe a primeira coluna, a reconstrução no ponto.",
            ),
            Mistake(
                "d",
                "quem pede σ pequeno é o sorteio, porque ruído estraga a reconstrução. Sem ele, que valor de σ a KL prefere?",
            ),
            Mistake(
                "e",
                "a taxa dispara quando ninguém cobra por ela. Aqui a KL está na perda: confira o sinal dela no seu objetivo.",
            ),
        ),
        insight="Sem sorteio, as médias encolhem quase sem pagar taxa, e o decodificador lê diferenças minúsculas. Basta voltar o "
        "ruído que q promete, e já não se lê nada.",
    ),
    Exercise(
        id="01.5",
        solution=_bound_curve,
        mistakes=(
            Mistake(
                lambda log_w: log_w.cumsum(0) / _counts(log_w),
                "essa é a média dos logaritmos: a ELBO, estimada com j sorteios. L_j é o logaritmo da média.",
            ),
            Mistake(
                lambda log_w: log_w.logcumsumexp(0),
                "faltou dividir pelo número de sorteios. Do seu jeito, o número cresce sem limite.",
            ),
            Mistake(
                lambda log_w: log_w.logcumsumexp(0) - math.log(len(log_w)),
                "você dividiu todas as linhas pelo mesmo k. A linha j usa só os primeiros sorteios: quantos são?",
            ),
            Mistake(
                lambda log_w: log_w.logcumsumexp(0) - math.log(log_w.shape[1]),
                "você dividiu pelo número de exemplos, B. A média é sobre os sorteios.",
            ),
            Mistake(
                lambda log_w: log_w.logcumsumexp(0) / _counts(log_w),
                "a divisão está fora do logaritmo. Dividir a soma por j é subtrair log j do logaritmo dela.",
            ),
            Mistake(
                lambda log_w: log_w.logcumsumexp(0) / len(log_w),
                "você dividiu por k fora do logaritmo. Dividir a soma dentro dele é subtrair um logaritmo.",
            ),
            Mistake(
                lambda log_w: log_w.logcumsumexp(0) - _counts(log_w),
                "dividir a soma por j é subtrair log j, e não j.",
            ),
            Mistake(
                lambda log_w: log_w.logcumsumexp(0) - (_counts(log_w) - 1).clamp(min=1).log(),
                "a contagem está atrasada em um: a linha de índice 0 já usa um sorteio.",
            ),
            Mistake(
                lambda log_w: _each_prefix(log_w, lambda part: ((-part).softmax(0) * part).sum(0)),
                "você aplicou o softmax às perdas, −log w: o maior peso ficou com a pior amostra. E L_j não é uma média "
                "ponderada: é o logaritmo da média de w.",
            ),
            Mistake(
                lambda log_w: _each_prefix(log_w, lambda part: (part.softmax(0) * part).sum(0)),
                "Σ w̃ log w não é o valor do limite: pode passar de log p(x). O gradiente dele só é o de L_j se os pesos w̃ "
                "forem constantes, com .detach(); aqui se pede o valor, o logaritmo da média de w.",
            ),
            Mistake(
                lambda log_w: _each_prefix(log_w, lambda part: part.exp().mean(0).log()),
                "a fórmula está certa, mas com log w = −900 a exponencial vira zero, e o seu resultado, −∞. Fique em logaritmos.",
            ),
            Mistake(
                lambda log_w: _each_prefix(log_w - log_w.max(), lambda part: part.exp().mean(0).log()) + log_w.max(),
                "você tirou o maior log w do lote inteiro, e o exemplo que está longe dele virou −∞. Cada exemplo tem o seu "
                "maior.",
            ),
            Mistake(
                lambda log_w: log_w.cummax(0).values,
                "você ficou só com a melhor amostra até ali. O limite é o logaritmo da média.",
            ),
            Mistake(
                lambda log_w: (log_w.logsumexp(0) - math.log(len(log_w))).expand_as(log_w),
                "você usou todos os sorteios em todas as linhas. A linha j usa só os primeiros.",
            ),
        ),
        measure=on_cases((_LOG_W,), (_TINY_W[:2],), (_W_FAR_APART,)),
        insight="A primeira linha é a ELBO de um sorteio; a última, a estimativa de L_k.",
    ),
    Exercise(
        id="01.6",
        solution="acdf",
        measure=letters("abcdef"),
        mistakes=_WRONG_SETS,
        insight="Tudo o que fica abaixo de um limite inferior também é um; o que falta saber é quão frouxo.",
    ),
    Exercise(
        id="01.7",
        solution=_cost_of_a_shift,
        mistakes=(
            Mistake(
                lambda delta, W, s: 2 * _cost_of_a_shift(delta, W, s),
                "sobra um fator 2: no expoente da normal está a metade do quadrado.",
            ),
            Mistake(
                lambda delta, W, s: _half_square(delta, _precision(W, s).inverse()),
                "você pôs a covariância da posterior no lugar da inversa dela. Errar numa direção em que a posterior é estreita "
                "custa mais, e não menos.",
            ),
            Mistake(
                lambda delta, W, s: _half_square(delta, W.T @ W / s**2),
                "faltou o que a prior cobra. Afastar a média custa também na KL até N(0, I), e não só na reconstrução.",
            ),
            Mistake(
                lambda delta, W, s: 0.5 * delta.square().sum(-1),
                "isso é só o que a prior cobra. A reconstrução também piora quando z sai do lugar.",
            ),
            Mistake(
                lambda delta, W, s: _half_square(delta, _precision(W, math.sqrt(s))),
                "você usou s onde vai s². A variância do ruído é s².",
            ),
            Mistake(
                lambda delta, W, s: _half_square(delta, _precision(W, s).diagonal().diag()),
                "você ignorou a correlação entre os latentes na posterior: q é fatorada, mas a posterior não.",
            ),
            Mistake(
                lambda delta, W, s: -_cost_of_a_shift(delta, W, s),
                "o sinal está trocado: é um custo, o que se perde da ELBO.",
            ),
            *reduced(_cost_of_a_shift),
        ),
        measure=on_cases((_DELTA, _W, 0.6), (_DELTA[:1], 2 * _W.flip(0), 1.5)),
        insight="O erro se mede em desvios padrão da posterior: quanto mais precisa ela é, mais caro fica errar o lugar.",
    ),
)
