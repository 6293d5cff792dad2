"""Exercícios da lição 13: escrever páginas, outra régua de coerência, a volta de Laplace, produto e mistura, analogias."""

import math

import torch
from torch import Tensor

from vae_lessons.exercises.answers import Observed
from vae_lessons.exercises.checking import Exercise, Mistake, Unusable, behaviour, on_cases, required_tensor

# 13.1: escrever páginas como a LDA imagina.

_ALPHA = torch.tensor([0.3, 0.6, 0.9])
_BETA = torch.tensor([[0.6, 0.4, 0.0, 0.0], [0.0, 0.3, 0.7, 0.0], [0.1, 0.0, 0.2, 0.7]])
_LENGTHS = torch.tensor([4, 12, 30]).repeat(800)


def _theta(alpha: Tensor, n: int) -> Tensor:
    return torch.distributions.Dirichlet(alpha).sample((n,))


def _counted(words: Tensor, n_words: int) -> Tensor:
    return torch.bincount(words, minlength=n_words).float()


def _write_pages(alpha: Tensor, beta: Tensor, lengths: Tensor) -> Tensor:
    shares = _theta(alpha, len(lengths)) @ beta
    return torch.stack(
        [
            _counted(torch.multinomial(share, int(n), True), beta.shape[1])
            for share, n in zip(shares, lengths, strict=True)
        ]
    )


def _one_theta(alpha: Tensor, beta: Tensor, lengths: Tensor) -> Tensor:
    share = _theta(alpha, 1)[0] @ beta
    return torch.stack([_counted(torch.multinomial(share, int(n), True), beta.shape[1]) for n in lengths])


def _one_topic(alpha: Tensor, beta: Tensor, lengths: Tensor) -> Tensor:
    topics = torch.multinomial(_theta(alpha, len(lengths)), 1)[:, 0]
    return torch.stack(
        [
            _counted(torch.multinomial(beta[k], int(n), True), beta.shape[1])
            for k, n in zip(topics, lengths, strict=True)
        ]
    )


def _mean_theta(alpha: Tensor, beta: Tensor, lengths: Tensor) -> Tensor:
    share = (alpha / alpha.sum()) @ beta
    return torch.stack([_counted(torch.multinomial(share, int(n), True), beta.shape[1]) for n in lengths])


def _expected_counts(alpha: Tensor, beta: Tensor, lengths: Tensor) -> Tensor:
    return lengths[:, None] * (_theta(alpha, len(lengths)) @ beta)


def _without_replacement(alpha: Tensor, beta: Tensor, lengths: Tensor) -> Tensor:
    """Todas as páginas do mesmo tamanho, o da primeira."""
    return _write_pages(alpha, beta, lengths[:1].expand(len(lengths)))


def pages_written(answer, alpha=_ALPHA, beta=_BETA, lengths=_LENGTHS) -> tuple[Observed, ...]:
    """A média das proporções e, página contra página, o quanto elas variam: o que separa θ por página, por corpus e
    um tópico por página."""
    x = required_tensor(answer(alpha.clone(), beta.clone(), lengths.clone()))
    if x.shape != (len(lengths), beta.shape[1]):
        raise Unusable("esperava contagens [N, V]: uma linha para cada número de `lengths`, uma coluna por palavra.")
    x = x.detach().double()
    if not torch.equal(x, x.round()):
        return (Observed(1.0, "nas contagens, que deviam ser inteiras"), *([Observed(0.0)] * 4))
    whole = float(torch.equal(x.sum(1), lengths.double()))
    shares = x / x.sum(1, keepdim=True).clamp(min=1)
    long = shares[lengths == lengths.max()]
    short = shares[lengths == lengths.min()]
    return (
        Observed(0.0, "nas contagens, que deviam ser inteiras"),
        Observed(whole, "nos totais de cada página"),
        Observed(20 * (shares.mean(0)).round(decimals=6), "na frequência média das palavras, vezes 20"),
        Observed(20 * long.var(0), "no quanto as páginas longas variam, vezes 20"),
        Observed(20 * short.var(0), "no quanto as páginas curtas variam, vezes 20"),
    )


# 13.2: a coerência UMass (Mimno et al., 2011).


def _umass(topic, presence: Tensor, *, added: float = 1.0, later: bool = False, mean: bool = False, p: bool = False):
    presence = presence.double()
    total, pairs = 0.0, 0
    for i in range(1, len(topic)):
        for j in range(i):
            both = (presence[:, topic[i]] * presence[:, topic[j]]).sum()
            alone = presence[:, topic[i] if later else topic[j]].sum()
            if p:
                both, alone = both / len(presence), alone / len(presence)
            total, pairs = total + math.log((both + added) / alone), pairs + 1
    return total / pairs if mean else total


def _presence(seed: int, n: int, words: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shares = torch.linspace(0.7, 0.25, words)
    return (torch.rand(n, words, generator=generator) < shares).double()


_UMASS_CASES = (
    ([0, 1, 2, 3], _presence(0, 40, 6)),
    ([4, 1], _presence(1, 25, 5)),
    ([2, 5, 0], _presence(2, 30, 7)),
)

# 13.3: da normal de volta à Dirichlet.


def _laplace(alpha: Tensor) -> tuple[Tensor, Tensor]:
    n = alpha.shape[-1]
    mean = alpha.log() - alpha.log().mean(-1, keepdim=True)
    return mean, (1 - 2 / n) / alpha + (1 / alpha).sum(-1, keepdim=True) / n**2


def _alpha_of(mean: Tensor, variance: Tensor) -> Tensor:
    n = mean.shape[-1]
    return ((1 - 2 / n) + mean.exp() * (-mean).exp().sum(-1, keepdim=True) / n**2) / variance


_ALPHAS = (
    torch.tensor([0.5, 1.0, 3.0]).double(),
    torch.full((20,), 0.1).double(),
    torch.tensor([[2.0, 0.3, 0.7, 5.0], [1.0, 1.5, 0.2, 0.9]]).double(),
)
_BACK_CASES = tuple(_laplace(alpha) for alpha in _ALPHAS)

# 13.4: um produto de especialistas mais afiado que eles.

_SHARPER, _NOT_SHARPER, _NOT_PROBABILITIES, _ONLY_MIXTURE = range(4)


def _sharpness(beta) -> float:
    """O que se vê de dois tópicos [2, 3]: o produto com θ = (½, ½) dá a alguma palavra 0,2 a mais que ambos?"""
    beta = torch.as_tensor(beta).detach().double()
    if beta.shape != (2, 3):
        raise Unusable("esperava um tensor [2, 3]: dois tópicos, três palavras.")
    if not (beta > 0).all() or (beta.sum(1) - 1).abs().max() > 1e-4:
        return float(_NOT_PROBABILITIES)
    product = (0.5 * beta.log()).sum(0).softmax(-1)
    return float(_SHARPER if (product - beta.amax(0)).max() > 0.2 else _NOT_SHARPER)


def _beta_given(answer) -> float:
    if answer is None or answer is ...:
        raise Unusable("esperava um tensor [2, 3].")
    try:
        return _sharpness(answer)
    except (TypeError, ValueError, RuntimeError) as error:
        raise Unusable("esperava um tensor [2, 3] de probabilidades: dois tópicos, três palavras.") from error


# 13.5: analogias, com os candidatos que se deixam de fora e sem deixar.


def _analogy(codes: Tensor, quads: Tensor, *, keep: bool, minus: int = 0, cosine: bool = False) -> float:
    a, b, c, d = quads.T
    point = codes[b] - codes[a] + codes[c] if not minus else codes[a] - codes[b] + codes[c]
    distance = torch.cdist(point.double(), codes.double())
    if cosine:
        point, rows = (torch.nn.functional.normalize(v.double(), dim=-1) for v in (point, codes))
        distance = -(point @ rows.T)
    if not keep:
        for column in (a, b, c):
            distance[torch.arange(len(quads)), column] = torch.inf
    return (distance.argmin(1) == d).double().mean().item()


def _both_rates(codes: Tensor, quads: Tensor) -> tuple[float, float]:
    return _analogy(codes, quads, keep=False), _analogy(codes, quads, keep=True)


def analogy_case(seed: int) -> tuple[Tensor, Tensor]:
    """Pontos em que o deslocamento de a a b é curto: sem exclusões, quase sempre ganha o próprio c."""
    generator = torch.Generator().manual_seed(seed)
    first = 4 * torch.randn(12, 3, generator=generator)
    second = first + torch.tensor([0.9, 0.0, 0.3]) + 0.35 * torch.randn(12, 3, generator=generator)
    codes = torch.cat([first, second])
    pairs = [(i, j) for i in range(12) for j in range(12) if i != j]
    return codes, torch.tensor([[i, i + 12, j, j + 12] for i, j in pairs])


_ANALOGY_CASES = (analogy_case(0), analogy_case(1))


EXERCISES = (
    Exercise(
        id="13.1",
        solution=_write_pages,
        mistakes=(
            Mistake(
                _one_theta,
                "todas as páginas têm as mesmas proporções: você sorteou um θ só. Cada página sorteia o seu.",
            ),
            Mistake(
                _mean_theta,
                "as páginas variam menos do que deviam: parece que, no lugar de sortear θ, você usou a média da Dirichlet.",
            ),
            Mistake(
                _one_topic,
                "as páginas variam demais: cada uma fala de um tópico só. Na LDA o tópico se sorteia de novo a cada palavra.",
            ),
            Mistake(
                _expected_counts,
                "vieram contagens fracionárias: são as esperadas. Uma página tem palavras inteiras; sorteie-as.",
            ),
            Mistake(
                _without_replacement,
                "as páginas não têm os tamanhos pedidos: a página i tem lengths[i] palavras.",
            ),
        ),
        measure=behaviour(pages_written),
        tolerance=0.75,
        insight="Com estas páginas, de tópicos conhecidos, pode-se conferir se um modelo acha os tópicos certos.",
    ),
    Exercise(
        id="13.2",
        solution=lambda topic, presence: _umass(topic, presence),
        mistakes=(
            Mistake(
                lambda topic, presence: _umass(topic, presence, later=True),
                "o denominador é o da palavra que vem antes na lista, a mais provável do par; você usou a outra.",
            ),
            Mistake(
                lambda topic, presence: _umass(topic, presence, added=0.0),
                "falta o 1 que se soma às páginas em comum: sem ele, um par que nunca se encontra daria −∞.",
            ),
            Mistake(
                lambda topic, presence: _umass(topic, presence, mean=True),
                "você tirou a média sobre os pares. A fórmula soma.",
            ),
            Mistake(
                lambda topic, presence: _umass(topic, presence, p=True),
                "D conta páginas; você usou frações. Com frações, o 1 que se soma passa a pesar demais.",
            ),
            Mistake(
                lambda topic, presence: _umass(topic, presence) + _umass(topic[::-1], presence),
                "você contou cada par duas vezes, uma em cada ordem.",
            ),
        ),
        measure=on_cases(*_UMASS_CASES),
        insight="Esta régua não é simétrica nem tem escala fixa: só compara listas do mesmo tamanho, nas mesmas páginas.",
    ),
    Exercise(
        id="13.3",
        solution=_alpha_of,
        mistakes=(
            Mistake(
                lambda mean, variance: mean.exp(),
                "as razões entre os α estão certas, mas o tamanho não: exp(média) os dá a menos de um fator comum, e é a "
                "variância que o fixa.",
            ),
            Mistake(
                lambda mean, variance: (1 - 1 / mean.shape[-1]) / variance,
                "isso vale quando todos os α são iguais. Aqui eles podem ser diferentes.",
            ),
            Mistake(
                lambda mean, variance: 1 / variance,
                "1/σ² é só o primeiro pedaço: faltam o 2/K e a soma dos 1/α.",
            ),
            Mistake(
                lambda mean, variance: (1 - 2 / mean.shape[-1]) / variance,
                "falta a segunda parcela da variância, a soma dos 1/α sobre K².",
            ),
        ),
        measure=on_cases(*_BACK_CASES),
        tolerance=1e-4,
        hint="Escreva α_k = c·exp(μ_k), ponha na fórmula da variância e isole c.",
        insight="Basta a média e uma das variâncias: as outras só podem concordar, se a normal veio de uma Dirichlet.",
    ),
    Exercise(
        id="13.4",
        solution=torch.tensor([[0.49, 0.49, 0.02], [0.02, 0.49, 0.49]]),
        mistakes=(
            Mistake(
                torch.tensor([[0.8, 0.1, 0.1], [0.7, 0.2, 0.1]]),
                "o produto não passa do maior dos dois tópicos em 0,2. Procure uma palavra a que ambos dão bastante, e outras que "
                "só um deles aceita.",
            ),
            Mistake(
                torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]),
                "as linhas devem ser probabilidades: positivas, sem zero, e de soma 1.",
            ),
        ),
        measure=_beta_given,
        insight="Na mistura isso não acontece: a média de dois números não passa do maior. Por isso o produto faz tópicos "
        "afiados, e também por isso θ não é a fração das palavras de cada tópico.",
    ),
    Exercise(
        id="13.5",
        solution=_both_rates,
        mistakes=(
            Mistake(
                lambda codes, quads: (_analogy(codes, quads, keep=False),) * 2,
                "as duas frações são iguais: na segunda, a, b e c também são candidatos.",
            ),
            Mistake(
                lambda codes, quads: (_analogy(codes, quads, keep=True),) * 2,
                "a primeira fração não deixa a, b e c de fora.",
            ),
            Mistake(
                lambda codes, quads: (
                    _analogy(codes, quads, keep=False, minus=1),
                    _analogy(codes, quads, keep=True, minus=1),
                ),
                "o passo está ao contrário: vai-se de a para b, e o ponto é c + (b − a).",
            ),
            Mistake(
                lambda codes, quads: (
                    _analogy(codes, quads, keep=False, cosine=True),
                    _analogy(codes, quads, keep=True, cosine=True),
                ),
                "você mediu ângulos (cosseno). Aqui o mais próximo é o de menor distância.",
            ),
        ),
        measure=on_cases(*_ANALOGY_CASES),
        insight="Excluir o próprio c já dá boa parte do acerto. Uma taxa de analogias sem dizer o que se excluiu não diz quase "
        "nada.",
    ),
)
