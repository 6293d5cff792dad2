"""Exercícios da lição 07: o que a sonda não vê, o rótulo como latente, quando ele engana e quando mente."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from vae_lessons.exercises.checking import Exercise, Mistake, Unusable, behaviour, on_cases, reduced

_BOUNDS = torch.tensor(
    [[-80.0, -81.5, -90.0, -80.5], [-30.0, -29.0, -33.0, -31.0], [-5.0, -5.5, -4.0, -4.5]], dtype=torch.float64
)
_TWO = torch.tensor([[-3.0, -1.0], [-2.0, -2.5]], dtype=torch.float64)
_NOISY = torch.tensor([1, 3, 0])


def _best_posterior(bounds: Tensor, weight: float) -> Tensor:
    return torch.softmax(bounds / weight, -1)


def _noisy(bounds: Tensor, noisy: Tensor, epsilon: float, *, others: float | None = None) -> Tensor:
    """others: a probabilidade de cada rótulo que não é o observado; ε / (K − 1) se não se disser outra."""
    n_classes = bounds.shape[-1]
    each = epsilon / (n_classes - 1) if others is None else others
    observed = F.one_hot(noisy, n_classes).bool()
    p = torch.where(observed, 1 - epsilon, torch.full_like(bounds, each))
    return (bounds + p.log()).logsumexp(-1)


def _at(bounds: Tensor, noisy: Tensor) -> Tensor:
    return bounds.gather(-1, noisy[:, None])[:, 0]


def _plane(answer, name: str) -> tuple[Tensor, Tensor]:
    """Os pontos [N, 2], float64, e as classes [N], 0 e 1, que a resposta gera."""
    made = answer()
    if not isinstance(made, tuple | list) or len(made) != 2:
        raise Unusable(f"esperava dois tensores, {name} e y, nesta ordem.")
    x, y = (torch.as_tensor(part).detach() for part in made)
    x, y = x.double(), y.long()
    if x.ndim != 2 or x.shape[1] != 2 or y.shape != (len(x),):
        raise Unusable(f"esperava {name} [N, 2] e y [N], e vieram {tuple(x.shape)} e {tuple(y.shape)}.")
    if not 200 <= len(x) <= 2000:
        raise Unusable(f"esperava entre 200 e 2000 pontos, e vieram {len(x)}.")
    if not x.isfinite().all() or set(y.unique().tolist()) != {0, 1}:
        raise Unusable("esperava pontos finitos e as classes 0 e 1, as duas.")
    return x, y


# Os códigos do leitor: o que neles leem uma reta e os vizinhos.
_NEIGHBOURS = 15
_HIDDEN, _READ, _ABSENT = range(3)


def _seen(answer) -> float:
    z, y = _plane(answer, "z")
    ones = y.double().mean().item()
    if abs(ones - 0.5) > 0.1:
        raise Unusable(f"esperava classes em partes parecidas, de 40% a 60% de cada, e a classe 1 tem {ones:.0%}.")
    from sklearn.linear_model import LogisticRegression  # demora um segundo: só quem responde espera

    order = torch.randperm(len(z), generator=torch.Generator().manual_seed(0))
    known, rest = order.chunk(2)
    line = LogisticRegression().fit(z[known].numpy(), y[known].numpy()).score(z[rest].numpy(), y[rest].numpy())
    nearest = torch.cdist(z[rest], z[known]).topk(_NEIGHBOURS, largest=False).indices
    voted = (y[known][nearest].double().mean(-1) > 0.5).long()
    if line > 0.6:
        return float(_READ)
    return float(_HIDDEN if (voted == y[rest]).double().mean() >= 0.9 else _ABSENT)


def _ring(radius: float | None):
    """Códigos da prior: a classe é estar fora do raio; com None, o lado direito; com 0, uma moeda."""

    def answer():
        generator = torch.Generator().manual_seed(0)
        z = torch.randn(1000, 2, generator=generator)
        if radius is None:
            return z, (z[:, 0] > 0).long()
        return z, (z.norm(dim=-1) > radius).long() if radius else torch.arange(1000) % 2

    return answer


# Os pontos do leitor: o EM da lição, com e sem os que não têm rótulo.
_DRAWS, _PER_CLASS, _STEPS = 10, 5, 100
_HARMED, _SMALL, _HARD, _HELPED = range(4)


def _em(x_r: Tensor, y_r: Tensor, x_u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """x_r [S, R, 2], y_r [S, R], x_u [S, N, 2]: S sorteios de uma vez."""
    known = F.one_hot(y_r, 2).double()
    x, q = x_r, known
    for _ in range(_STEPS + 1):
        n = q.sum(-2)
        mean = q.mT @ x / n[..., None]
        parameters = mean, q.mT @ x**2 / n[..., None] - mean**2 + 0.1, n / n.sum(-1, keepdim=True)
        if x_u.shape[-2] == 0:
            break
        x, q = torch.cat([x_r, x_u], -2), torch.cat([known, _log_joint(x_u, *parameters).softmax(-1)], -2)
    return parameters


def _log_joint(x: Tensor, mean: Tensor, var: Tensor, prior: Tensor) -> Tensor:
    errors = (x[..., None, :] - mean[..., None, :, :]) ** 2 / var[..., None, :, :]
    return prior.log()[..., None, :] - (errors + (2 * math.pi * var).log()[..., None, :, :]).sum(-1) / 2


def _harm(x: Tensor, y: Tensor) -> float:
    """O que os pontos sem rótulo fazem ao erro médio, em dez sorteios dos rotulados."""
    chosen, others = [], []
    for seed in range(_DRAWS):
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
        chosen.append(torch.cat([order[y[order] == label][:_PER_CLASS] for label in range(2)]))
        others.append(torch.ones(len(x), dtype=torch.bool).index_fill(0, chosen[-1], False).nonzero()[:, 0])
    known, unknown = torch.stack(chosen), torch.stack(others)
    without, with_them = (
        100 * (_log_joint(x[unknown], *_em(x[known], y[known], x_u)).argmax(-1) != y[unknown]).double().mean().item()
        for x_u in (x[unknown][:, :0], x[unknown])
    )
    if without >= 15:
        return float(_HARD)
    if with_them >= without + 10:
        return float(_HARMED)
    return float(_SMALL if with_them > without else _HELPED)


def _made(answer) -> float:
    x, y = _plane(answer, "x")
    if min((y == 0).sum(), (y == 1).sum()) < 2 * _PER_CLASS:
        raise Unusable(f"cada classe precisa de ao menos {2 * _PER_CLASS} pontos: metade pode ser rotulada.")
    return _harm(x, y)


def _points(centers: tuple[tuple[float, ...], tuple[float, ...]], spread: float = 1.0):
    """Pontos cujas classes são grupos, de iguais tamanhos, com esses centros na horizontal."""

    def answer():
        generator = torch.Generator().manual_seed(0)
        y = torch.randint(2, (600,), generator=generator)
        group = torch.randint(2, (600,), generator=generator)
        x = spread * torch.randn(600, 2, generator=generator)
        x[:, 0] += torch.tensor(centers)[y, group]
        return x, y

    return answer


EXERCISES = (
    Exercise(
        id="07.1",
        solution=_ring(1.2),
        mistakes=(
            Mistake(
                _ring(None),
                "a sonda leu a classe: acertou mais de 60%. As duas classes não podem ficar em lados opostos de uma reta.",
            ),
            Mistake(
                _ring(0.0),
                "a sonda não leu, mas os vizinhos também não: acertaram menos de 90%. A classe tem de estar em z, numa forma que uma "
                "reta não corta.",
            ),
        ),
        measure=behaviour(_seen),
        insight="A sonda prova que z guarda a classe; não prova que não guarda.",
    ),
    Exercise(
        id="07.2",
        solution=_best_posterior,
        mistakes=(
            Mistake(
                lambda bounds, weight: torch.softmax(bounds, -1),
                "falta o peso: essa é a melhor q quando ele vale 1.",
            ),
            Mistake(
                lambda bounds, weight: torch.softmax(bounds * weight, -1),
                "quanto maior o peso da entropia, mais espalhada deve ser q; a sua se concentra. Refaça a derivada: de que lado "
                "fica w?",
            ),
            Mistake(
                lambda bounds, weight: F.one_hot(bounds.argmax(-1), bounds.shape[-1]).to(bounds),
                "essa é a melhor q se a entropia não contasse. Com w > 0 vale a pena espalhar um pouco.",
            ),
            Mistake(
                lambda bounds, weight: torch.full_like(bounds, 1 / bounds.shape[-1]),
                "essa tem a maior entropia, e ignora os limites. É a resposta só quando o peso é infinito.",
            ),
            Mistake(
                lambda bounds, weight: torch.softmax(bounds / weight, 0),
                "você normalizou ao longo do lote. As probabilidades são de cada imagem: a soma é sobre os rótulos, a última "
                "dimensão.",
            ),
            Mistake(
                lambda bounds, weight: torch.log_softmax(bounds / weight, -1),
                "o seu é log q. Pedem-se as probabilidades.",
            ),
            Mistake(
                lambda bounds, weight: weight * (bounds / weight).logsumexp(-1),
                "esse é o valor do máximo. Pede-se a q que o atinge, uma probabilidade por rótulo.",
            ),
            Mistake(
                lambda bounds, weight: torch.exp(bounds / weight),
                "falta normalizar: as probabilidades de cada imagem somam 1.",
            ),
        ),
        measure=on_cases((_BOUNDS, 2.0), (_TWO, 0.5), (_BOUNDS, 1.0)),
        insight="O peso é uma temperatura; só com w = 1 o máximo é log p(x).",
    ),
    Exercise(
        id="07.3",
        solution=_points(((0.0, 0.0), (3.0, 14.0))),
        mistakes=(
            Mistake(
                _points(((-1.0, -1.0), (1.0, 1.0)), spread=1.5),
                "os 10 rótulos sozinhos já erram 15% ou mais. Separe melhor as classes, e faça a parte difícil ser só do que não "
                "tem rótulo.",
            ),
            Mistake(
                _points(((-3.0, -3.0), (3.0, 3.0))),
                "aqui os pontos sem rótulo não aumentaram o erro: os grupos que o EM acha são as classes. Faça uma classe ter mais "
                "de um grupo.",
            ),
            Mistake(
                _points(((-10.0, 0.0), (3.0, 12.0))),
                "os pontos sem rótulo aumentaram o erro, mas menos de 10 pontos. Exagere o que engana o modelo: grupos mais longe um do "
                "outro, dentro de uma mesma classe.",
            ),
        ),
        measure=behaviour(_made),
        insight="Uma verossimilhança melhor não promete um classificador melhor.",
    ),
    Exercise(
        id="07.4",
        solution=_noisy,
        mistakes=(
            Mistake(
                lambda bounds, noisy, epsilon: _noisy(bounds, noisy, epsilon, others=epsilon),
                "as probabilidades de ỹ, dado y, não somam 1: ε se reparte pelos K − 1 rótulos errados.",
            ),
            Mistake(
                lambda bounds, noisy, epsilon: _noisy(bounds, noisy, epsilon, others=epsilon / bounds.shape[-1]),
                "você repartiu ε por K rótulos. O engano leva a um dos outros, e eles são K − 1.",
            ),
            Mistake(
                lambda bounds, noisy, epsilon: (
                    (1 - epsilon) * _at(bounds, noisy)
                    + epsilon / (bounds.shape[-1] - 1) * (bounds.sum(-1) - _at(bounds, noisy))
                ),
                "você tirou a média dos limites, que são logaritmos. O que se soma, com esses pesos, são as probabilidades: o "
                "logaritmo vem depois. A sua conta ainda é um limite, mas não o maior.",
            ),
            Mistake(
                lambda bounds, noisy, epsilon: _at(bounds, noisy) + math.log(1 - epsilon),
                "esse supõe que o rótulo observado é o certo. Faltam os outros: com probabilidade ε, é um deles.",
            ),
            Mistake(
                lambda bounds, noisy, epsilon: _at(bounds, noisy),
                "esse ignora ε: é o limite de quando o rótulo nunca mente.",
            ),
            Mistake(
                lambda bounds, noisy, epsilon: bounds.logsumexp(-1),
                "esse é o limite sem rótulo nenhum. Falta a pista que ỹ dá, log p(ỹ|y).",
            ),
            *reduced(_noisy, over="as imagens"),
        ),
        measure=on_cases((_BOUNDS, _NOISY, 0.1), (_TWO, torch.tensor([0, 1]), 0.3), (_BOUNDS, _NOISY, 0.75)),
        insight="ε liga os dois casos da lição: com rótulo, em ε = 0, e sem, em ε = (K − 1)/K.",
    ),
)
