"""Exercícios da lição 14: precisão média, o gradiente da multinomial, o aquecimento, uma estante sorteada, EASE pesado."""

import torch
from torch import Tensor
from torch.nn import functional as F

from vae_lessons.exercises.checking import Exercise, Mistake, Unusable, behaviour, on_cases, reduced, required_tensor

# 14.1: a precisão média.

_GENERATOR = torch.Generator().manual_seed(14)
_SCORES = torch.randn(6, 14, generator=_GENERATOR, dtype=torch.float64)
_HIDDEN = (torch.rand(6, 14, generator=_GENERATOR) < 0.3).double()
_HIDDEN[:, 5] = 1.0
_HIDDEN[0] = torch.arange(14) % 3 != 0  # mais escondidos que lugares na lista


def _listed(scores: Tensor, held_out: Tensor, k: int) -> Tensor:
    return held_out.gather(1, scores.argsort(dim=1, descending=True)[:, :k]).double()


def _average_precision(scores: Tensor, held_out: Tensor, k: int, *, by: str = "possible", gated: bool = True) -> Tensor:
    hits = _listed(scores, held_out, k)
    precision = hits.cumsum(1) / torch.arange(1, hits.shape[1] + 1)
    total = (precision * hits if gated else precision).sum(1)
    n = held_out.sum(1).double()
    divisor = {"possible": n.clamp(max=k), "hidden": n, "k": torch.full_like(n, k), "hits": hits.sum(1).clamp(min=1)}
    return total / divisor[by]


# 14.2: o gradiente da log-verossimilhança nos logits.

_LOGITS = torch.tensor([[0.3, -1.2, 2.0, 0.0, 0.7], [1.0, 1.5, -0.5, -2.0, 0.2]], dtype=torch.float64)
_LIKED = torch.tensor([[1, 0, 1, 1, 0], [0, 1, 0, 1, 0]], dtype=torch.float64)


def _logit_gradient(logits: Tensor, x: Tensor) -> Tensor:
    return x - x.sum(-1, keepdim=True) * logits.softmax(-1)


# 14.3: o peso da KL em cada lote.


def _beta_at(epoch: int, batch: int, n_batches: int, cap: float, anneal_steps: int) -> float:
    return cap * min(1.0, (epoch * n_batches + batch) / anneal_steps)


_MOMENTS = ((0, 0), (0, 5), (2, 3), (7, 6), (40, 1))

# 14.4: uma estante sorteada.

_CHANCES = torch.tensor([0.5, 0.25, 0.15, 0.07, 0.03])
_DRAWS = 20_000


def _second_chances(chances: Tensor) -> Tensor:
    """A probabilidade de cada filme no segundo lugar, depois de tirado o primeiro."""
    first = chances[:, None] * chances / (1 - chances[:, None])
    return first.fill_diagonal_(0).sum(0)


def _shelf(logits: Tensor, n: int, *, noise=lambda logits: -torch.empty_like(logits).exponential_().log()) -> Tensor:
    return (logits + noise(logits)).topk(n, dim=1).indices


def _repeated(logits: Tensor, n: int) -> Tensor:
    return torch.multinomial(logits.softmax(1), n, replacement=True)


def behaviour_of_shelf(answer, chances=_CHANCES, n: int = 3) -> tuple:
    """Repete? as frequências do primeiro e do segundo lugar são as certas? é sempre a mesma? é ao acaso puro?"""
    films = len(chances)
    logits = chances.log().expand(_DRAWS, -1) + 3.0  # somar o mesmo a todos não muda o softmax
    shelves = required_tensor(answer(logits.clone(), n))
    if shelves.shape != (_DRAWS, n) or shelves.is_floating_point():
        raise Unusable(f"esperava os índices dos filmes, inteiros, [{_DRAWS}, {n}] neste teste: uma estante por linha.")
    shelves = shelves.long()
    if shelves.min() < 0 or shelves.max() >= films:
        raise Unusable("há índices que não são de nenhum dos filmes.")
    distinct = (shelves.sort(dim=1).values.diff(dim=1) > 0).all().item()
    first, second = (torch.bincount(shelves[:, place], minlength=films) / _DRAWS for place in (0, 1))
    return (
        float(distinct),
        float((first - chances).abs().max() < 0.02),
        float((second - _second_chances(chances)).abs().max() < 0.02),
        float(first.max() > 0.999),
        float((first - 1 / films).abs().max() < 0.02),
    )


# 14.5: o EASE em que cada pessoa tem um peso.

_X = (torch.rand(40, 7, generator=_GENERATOR) < 0.4).double()
_WEIGHTS = 0.2 + torch.rand(40, generator=_GENERATOR, dtype=torch.float64)


def _ease_of(gram: Tensor, penalty: float, *, free: bool = False, by_row: bool = False) -> Tensor:
    inverse = torch.linalg.inv(gram + penalty * torch.eye(len(gram), dtype=gram.dtype))
    diagonal = inverse.diagonal()
    weights = -inverse / (diagonal[:, None] if by_row else diagonal)
    return weights if free else weights.fill_diagonal_(0)


def _gram(x: Tensor, weights: Tensor) -> Tensor:
    return x.T @ (weights[:, None] * x)


def _weighted_ease(x: Tensor, weights: Tensor, penalty: float) -> Tensor:
    return _ease_of(_gram(x, weights), penalty)


EXERCISES = (
    Exercise(
        id="14.1",
        solution=_average_precision,
        mistakes=(
            Mistake(
                lambda s, h, k: _average_precision(s, h, k, by="hidden"),
                "você dividiu pelo número de escondidos. Quem tem mais de k deles nunca chegaria a 1: o divisor é o número de "
                "acertos que cabem na lista.",
            ),
            Mistake(
                lambda s, h, k: _average_precision(s, h, k, by="k"),
                "você dividiu por k. Quem tem menos de k escondidos nunca chegaria a 1: o divisor é o número de acertos "
                "possíveis.",
            ),
            Mistake(
                lambda s, h, k: _average_precision(s, h, k, by="hits"),
                "você dividiu pelo número de acertos: um único acerto em primeiro lugar já daria 1, por mais que faltassem.",
            ),
            Mistake(
                lambda s, h, k: _average_precision(s, h, k, gated=False),
                "você somou a precisão em todas as posições. Só contam aquelas em que há um acerto.",
            ),
            Mistake(
                lambda s, h, k: _average_precision(-s, h, k),
                "a sua lista começa pela menor pontuação.",
            ),
            Mistake(
                lambda s, h, k: _listed(s, h, k).sum(1) / h.sum(1).clamp(max=k),
                "essa é a Recall@k: conta os acertos, e não olha em que posição estão.",
            ),
            Mistake(
                lambda s, h, k: _listed(s, h, k).mean(1),
                "essa é a precisão da lista inteira. Falta olhar a precisão até cada acerto, e tirar a média delas.",
            ),
            *reduced(_average_precision, over="as pessoas"),
        ),
        measure=on_cases((_SCORES, _HIDDEN, 5), (_SCORES, _HIDDEN, 9), (_SCORES, _HIDDEN, 14)),
        insight="É a AP@k, e a média dela é a MAP@k. Há bibliotecas que dividem por outra coisa com o mesmo nome: antes de "
        "comparar dois números, leia o divisor.",
    ),
    Exercise(
        id="14.2",
        solution=_logit_gradient,
        mistakes=(
            Mistake(
                lambda logits, x: x - logits.softmax(-1),
                "falta o número de filmes da pessoa: cada um dos gostos dela empurra o softmax inteiro para baixo.",
            ),
            Mistake(
                lambda logits, x: x / x.sum(-1, keepdim=True) - logits.softmax(-1),
                "você dividiu pelo número de filmes da pessoa: a log-verossimilhança é uma soma sobre eles, e não a média.",
            ),
            Mistake(
                lambda logits, x: x - logits.sigmoid(),
                "esse é o gradiente da logística, em que cada filme se decide sozinho. No softmax, um filme que sobe faz os "
                "outros descerem.",
            ),
            Mistake(
                lambda logits, x: x * (1 - logits.softmax(-1)),
                "os filmes de que a pessoa não gostou também têm gradiente: estão no denominador do softmax.",
            ),
            Mistake(
                lambda logits, x: x - len(x[0]) * logits.softmax(-1),
                "você multiplicou pelo número de filmes do catálogo. O que conta é de quantos a pessoa gosta.",
            ),
        ),
        measure=on_cases((_LOGITS, _LIKED), (_LOGITS.flip(0), _LIKED), (_LOGITS[:1] * 3, _LIKED[1:])),
        insight="As entradas somam zero: o que um filme ganha os outros perdem. É um orçamento, e a logística não o tem.",
    ),
    Exercise(
        id="14.3",
        solution=_beta_at,
        mistakes=(
            Mistake(
                lambda epoch, batch, n_batches, cap, anneal_steps: cap * min(1.0, batch / anneal_steps),
                "a sua contagem recomeça a cada época: é o defeito do trecho. β nunca passa do que um só percurso pelos dados "
                "alcança.",
            ),
            Mistake(
                lambda epoch, batch, n_batches, cap, anneal_steps: min(cap, (epoch * n_batches + batch) / anneal_steps),
                "a subida não leva anneal_steps passos: você subiria até 1, e cortou em cap. Pedimos uma reta de 0 a cap.",
            ),
            Mistake(
                lambda epoch, batch, n_batches, cap, anneal_steps: cap * (epoch * n_batches + batch) / anneal_steps,
                "depois de anneal_steps passos β continua subindo. Ele para em cap.",
            ),
            Mistake(
                lambda epoch, batch, n_batches, cap, anneal_steps: cap * min(1.0, epoch * n_batches / anneal_steps),
                "β fica parado dentro de cada época, e sobe em degraus. Conte também os lotes da época em curso.",
            ),
            Mistake(
                lambda epoch, batch, n_batches, cap, anneal_steps: (
                    cap * min(1.0, (epoch * n_batches + batch + 1) / anneal_steps)
                ),
                "você contou um passo a mais: no primeiro lote de todos, nenhum passo foi dado ainda.",
            ),
            Mistake(
                lambda epoch, batch, n_batches, cap, anneal_steps: cap * min(1.0, (epoch + batch) / anneal_steps),
                "uma época não é um passo: nela cabem n_batches.",
            ),
        ),
        measure=on_cases(
            *((epoch, batch, 7, 0.2, 50) for epoch, batch in _MOMENTS),
            *((epoch, batch, 234, 0.5, 1000) for epoch, batch in ((0, 100), (3, 200), (9, 0))),
        ),
        insight="Com a contagem zerada, β nunca passaria de cap · (n_batches − 1)/anneal_steps.",
    ),
    Exercise(
        id="14.4",
        solution=_shelf,
        alternatives=(lambda logits, n: torch.multinomial(logits.softmax(1), n),),
        mistakes=(
            Mistake(
                lambda logits, n: logits.topk(n, dim=1).indices,
                "a sua estante é sempre a mesma: são os n primeiros. Falta o sorteio.",
            ),
            Mistake(_repeated, "há filmes repetidos numa estante: depois de sorteado, o filme sai da urna."),
            Mistake(
                lambda logits, n: _shelf(logits, n, noise=torch.randn_like),
                "há sorteio, e nenhum filme se repete, mas as frequências não são as do softmax. Que ruído, somado aos logits, "
                "faz do argmax um sorteio do softmax? (Lição 05.)",
            ),
            Mistake(
                lambda logits, n: torch.rand_like(logits).topk(n, dim=1).indices,
                "todo filme sai com a mesma frequência: o sorteio não usa os logits.",
            ),
        ),
        measure=behaviour(behaviour_of_shelf),
        insight="Cada visita tem uma estante diferente, e no primeiro lugar cada filme sai com a frequência que o modelo lhe dá.",
        hint="A primeira posição deve ter as frequências do softmax; a segunda, as do softmax sem o filme já sorteado.",
    ),
    Exercise(
        id="14.5",
        solution=_weighted_ease,
        mistakes=(
            Mistake(
                lambda x, weights, penalty: _ease_of(x.T @ x, penalty),
                "os pesos não entraram na conta: a matriz de Gram é uma soma sobre as pessoas, e cada parcela leva o seu.",
            ),
            Mistake(
                lambda x, weights, penalty: _ease_of(_gram(x, weights**2), penalty),
                "o peso entrou ao quadrado. Ele multiplica o erro quadrático da pessoa: uma vez só.",
            ),
            Mistake(
                lambda x, weights, penalty: _ease_of(_gram(x, weights), penalty, free=True),
                "a diagonal não é zero: um filme ainda ajuda a prever a si mesmo.",
            ),
            Mistake(
                lambda x, weights, penalty: _ease_of(_gram(x, weights), penalty, by_row=True),
                "você dividiu cada linha pela sua diagonal, e são as colunas: a coluna j prevê o filme j. Sem isso a matriz sai "
                "transposta.",
            ),
            Mistake(
                lambda x, weights, penalty: _ease_of(_gram(x, weights / weights.mean()), penalty),
                "você mudou a escala dos pesos, e com isso o que a penalidade vale ao lado deles. Use-os como vieram.",
            ),
            Mistake(
                lambda x, weights, penalty: torch.linalg.solve(
                    _gram(x, weights) + penalty * torch.eye(x.shape[1], dtype=x.dtype), _gram(x, weights)
                ),
                "essa é a regressão sem a proibição: assim cada filme prevê a si mesmo, e o modelo copia a entrada.",
            ),
        ),
        measure=on_cases((_X, _WEIGHTS, 2.0), (_X[:25], F.normalize(_WEIGHTS[:25], dim=0), 0.5)),
        insight="É um treino inteiro numa inversão de matriz. Se os pesos ajudam, quem diz é a validação.",
    ),
)
