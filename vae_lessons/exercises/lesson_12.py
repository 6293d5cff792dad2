"""Exercícios da lição 12: dispersão com bibliotecas, jacobiana, moléculas apagadas, descobertas falsas, um mau desenho."""

import torch
from torch import Tensor

from vae_lessons.exercises.checking import (
    Exercise,
    Mistake,
    Unusable,
    behaviour,
    on_cases,
    reduced,
    required_tensor,
)

# 12.1: 1/θ pelos momentos, com a biblioteca de cada célula.


def _counts(n: int, rates: list[float], theta: float, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    library = 400 + 800 * torch.rand(n, generator=generator, dtype=torch.float64)
    mean = library[:, None] * torch.tensor(rates, dtype=torch.float64)
    shape = torch.full_like(mean, theta)
    return torch.poisson(mean * torch._standard_gamma(shape, generator=generator) / theta, generator=generator), library


_DISPERSED = (_counts(50, [0.01, 0.002, 0.03], 0.8, 0), _counts(7, [0.02, 0.05], 5.0, 1))


def _rate(x: Tensor, library: Tensor) -> Tensor:
    return x.sum(0) / library.sum()


def _inverse_theta(x: Tensor, library: Tensor) -> Tensor:
    mean = library[:, None] * _rate(x, library)
    return (x * (x - 1)).sum(0) / mean.square().sum(0) - 1


def _by_raw_moments(x: Tensor, library: Tensor) -> Tensor:
    mean = x.mean(0)
    return (x * (x - 1)).mean(0) / mean.square() - 1


def _from_squares(x: Tensor, library: Tensor) -> Tensor:
    mean = library[:, None] * _rate(x, library)
    return x.square().sum(0) / mean.square().sum(0) - 1


# 12.2: a densidade de x a partir da de u.


def _some_counts(seed: int, cells: int, genes: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.poisson(3 * torch.rand(cells, genes, generator=generator, dtype=torch.float64), generator=generator)
    return torch.randn(cells, generator=generator, dtype=torch.float64), x, 1 + x.sum(1, keepdim=True)


def _log_density(log_density_of_u: Tensor, x: Tensor, library: Tensor) -> Tensor:
    scale = 1000 / library
    return log_density_of_u + (scale.log() - torch.log1p(scale * x)).sum(-1)


def _with_wrong_sign(log_density_of_u: Tensor, x: Tensor, library: Tensor) -> Tensor:
    return 2 * log_density_of_u - _log_density(log_density_of_u, x, library)


def _without_scale(log_density_of_u: Tensor, x: Tensor, library: Tensor) -> Tensor:
    return log_density_of_u - torch.log1p(1000 / library * x).sum(-1)


def _scale_once(log_density_of_u: Tensor, x: Tensor, library: Tensor) -> Tensor:
    return _without_scale(log_density_of_u, x, library) + (1000 / library).log()[..., 0]


def _without_library(log_density_of_u: Tensor, x: Tensor, library: Tensor) -> Tensor:
    return log_density_of_u - torch.log1p(x).sum(-1)


# 12.3: as moléculas que sobram.

_MEANS, _THETAS = torch.tensor([0.4, 3.0, 20.0]), torch.tensor([0.5, 2.0, 7.0])


def _thinned(mean: Tensor, theta: Tensor, p: float) -> tuple[Tensor, Tensor]:
    return p * mean, theta + 0 * p


# 12.4: quantos genes anunciar.

_CHANCES = (
    (torch.tensor([0.2, 0.99, 0.9, 0.97, 0.6, 0.95, 0.05]), 0.05),
    (torch.tensor([0.5, 0.7, 0.6]), 0.1),
    (torch.tensor([1.0, 0.92, 0.99, 0.91]), 0.2),
    (torch.tensor([0.96, 0.4, 0.93, 0.9, 0.8, 0.75, 0.99, 0.98]), 0.1),
)


def _false_share(p: Tensor) -> Tensor:
    return (1 - p.sort(descending=True).values).cumsum(0) / torch.arange(1, len(p) + 1)


def _how_many(p: Tensor, alpha: float) -> int:
    return int((_false_share(p) <= alpha + 1e-6).sum())


def _each_above(p: Tensor, alpha: float) -> int:
    return int((1 - p <= alpha + 1e-6).sum())


def _total_below(p: Tensor, alpha: float) -> int:
    return int(((1 - p.sort(descending=True).values).cumsum(0) <= alpha + 1e-6).sum())


def _as_given(p: Tensor, alpha: float) -> int:
    share = (1 - p).cumsum(0) / torch.arange(1, len(p) + 1)
    return int((share <= alpha + 1e-6).sum())


def _over_all(p: Tensor, alpha: float) -> int:
    return int(((1 - p.sort(descending=True).values).cumsum(0) / len(p) <= alpha + 1e-6).sum())


# 12.5: um experimento em que centrar por laboratório destrói os tipos.

_DESTROYS, _NOT_READABLE, _ONE_ONLY, _STILL_READABLE = range(4)


def _experiment(answer) -> float:
    output = answer()
    if not isinstance(output, tuple | list) or len(output) != 3:
        raise Unusable("esperava três tensores: pontos [N, 2], tipo [N] e laboratório [N].")
    points, kind, lab = (required_tensor(part) for part in output)
    if points.dim() != 2 or points.shape[1] != 2 or not 100 <= len(points) <= 1000:
        raise Unusable("os pontos devem ser [N, 2], com N de 100 a 1000.")
    if kind.shape != points.shape[:1] or lab.shape != points.shape[:1]:
        raise Unusable("tipo e laboratório devem ter um valor para cada ponto, [N].")
    points, kind, lab = points.detach().double(), kind.long(), lab.long()
    if not points.isfinite().all() or not set(kind.tolist()) | set(lab.tolist()) <= {0, 1}:
        raise Unusable("os pontos devem ser finitos, e tipo e laboratório só podem valer 0 ou 1.")
    cells = [int(((kind == t) & (lab == s)).sum()) for t in (0, 1) for s in (0, 1)]
    if min(cells) < 3:
        return float(_ONE_ONLY)
    if _readable(points, kind) < 0.9:
        return float(_NOT_READABLE)
    centred = points - torch.stack([points[lab == s].mean(0) for s in (0, 1)])[lab]
    return float(_DESTROYS if _readable(centred, kind) < 0.75 else _STILL_READABLE)


def _readable(points: Tensor, kind: Tensor, k: int = 15) -> float:
    """O acerto, com igual peso dos dois tipos, de quem lê o tipo nos k vizinhos mais próximos."""
    distances = torch.cdist(points, points).fill_diagonal_(torch.inf)
    near = kind[distances.topk(k, largest=False).indices].double().mean(1)
    right = torch.where(kind == 1, near > 0.5, near < 0.5).double()
    return min(right[kind == t].mean().item() for t in (0, 1))


def _designed(share: float, distance: float = 4.0):
    def experiment():
        generator = torch.Generator().manual_seed(0)
        kind = torch.arange(400) % 2
        lab = torch.where(torch.arange(400) < share * 400, kind, 1 - kind)
        points = 0.8 * torch.randn(400, 2, generator=generator)
        points[:, 0] += distance * kind
        return points, kind, lab

    return experiment


EXERCISES = (
    Exercise(
        id="12.1",
        solution=lambda x, library: _inverse_theta(x, library),
        mistakes=(
            Mistake(
                _by_raw_moments,
                "você usou a média de x, como se todas as células tivessem a mesma biblioteca: a variação das bibliotecas "
                "entrou na conta como sobredispersão. A média da célula n é ℓₙ ρ.",
            ),
            Mistake(
                _from_squares,
                "falta descontar a parte da Poisson: o que não depende dela é x (x − 1), e não x².",
            ),
            Mistake(
                lambda x, library: _inverse_theta(x, library) + 1,
                "você parou em 1 + 1/θ: falta subtrair 1.",
            ),
            Mistake(
                lambda x, library: 1 / _inverse_theta(x, library),
                "o que você devolve é θ. Pede-se 1/θ, que não explode quando o gene é quase Poisson.",
            ),
            Mistake(
                lambda x, library: (
                    (x * (x - 1)).mean(0) / (library[:, None] * (x / library[:, None]).mean(0)).square().mean(0) - 1
                ),
                "a sua taxa é a média das proporções, célula a célula, em que as células pouco contadas pesam tanto quanto "
                "as outras. O enunciado dá ρ = Σ x / Σ ℓ.",
            ),
        ),
        measure=on_cases(*_DISPERSED),
        insight="Com a biblioteca na média, o que sobra de variância é do gene.",
        hint="Comece pela Poisson: quanto vale nela E[x (x − 1)], só em termos da média? O que a NB tem a mais é a variância da "
        "taxa. E cada célula tem a sua média.",
    ),
    Exercise(
        id="12.2",
        solution=lambda log_density_of_u, x, library: _log_density(log_density_of_u, x, library),
        mistakes=(
            Mistake(
                _with_wrong_sign,
                "você dividiu pela jacobiana em vez de multiplicar: p(x) = p(u) |du/dx|, e o log se soma.",
            ),
            Mistake(
                _without_scale,
                "falta o fator s da derivada: d/dx log(1 + s x) = s / (1 + s x).",
            ),
            Mistake(
                _scale_once,
                "o log s entrou uma vez só por célula. São G variáveis, e cada uma tem o seu fator.",
            ),
            Mistake(
                _without_library,
                "você derivou log(1 + x). A variável é u = log(1 + s x), com s = 1000/ℓ.",
            ),
            *reduced(lambda log_density_of_u, x, library: _log_density(log_density_of_u, x, library), "as células"),
        ),
        measure=on_cases(_some_counts(0, 4, 6), _some_counts(1, 2, 9)),
        hint="Comece por um gene só. Um intervalo pequeno de x e o intervalo de u que lhe corresponde têm a mesma probabilidade: o "
        "que isso diz das densidades? Depois, veja que forma tem a jacobiana quando cada u depende de um x só.",
        insight="Muda a variável, e não o que ela é: continua uma densidade, que se integra e não se soma.",
    ),
    Exercise(
        id="12.3",
        solution=lambda mean, theta, p: _thinned(mean, theta, p),
        mistakes=(
            Mistake(
                lambda mean, theta, p: (p * mean, p * theta),
                "θ é a forma da Gama das taxas. Multiplicar toda taxa por p muda a escala dela; a forma, não.",
            ),
            Mistake(
                lambda mean, theta, p: (p * mean, theta / p),
                "com θ/p a sobredispersão relativa cairia: as taxas das células, todas multiplicadas por p, variariam "
                "menos umas em relação às outras. Não variam.",
            ),
            Mistake(
                lambda mean, theta, p: (mean, theta + 0 * p),
                "a média não é a mesma: perderam-se moléculas.",
            ),
            Mistake(
                lambda mean, theta, p: ((1 - p) * mean, theta + 0 * p),
                "essa é a do que se perdeu. p é a probabilidade de sobreviver.",
            ),
            Mistake(
                lambda mean, theta, p: (p * mean, theta * (1 - p)),
                "esse θ iria a zero com p = 1, em que nada se apaga e tudo deveria ficar como estava.",
            ),
        ),
        measure=on_cases((_MEANS, _THETAS, 0.25), (_MEANS, _THETAS.flip(0), 0.9)),
        hint="São dois sorteios, o da taxa e o da contagem. Com a taxa dada, o que apagar faz à contagem? Procure depois o sorteio "
        "de taxas que daria o mesmo resultado.",
        insight="A família se conserva: por isso a captura imperfeita, sozinha, não infla zeros.",
    ),
    Exercise(
        id="12.4",
        solution=lambda p, alpha: _how_many(p, alpha),
        mistakes=(
            Mistake(
                _each_above,
                "você exige 1 − P ≤ α de cada gene. É a *média* entre os anunciados que não pode passar de α, e uns muito "
                "seguros compensam outros.",
            ),
            Mistake(
                _total_below,
                "você limita o número esperado de falsos. Pede-se a fração: divida pelo número de anunciados.",
            ),
            Mistake(
                _as_given,
                "você somou na ordem em que vieram. Anunciam-se primeiro os de maior P.",
            ),
            Mistake(
                _over_all,
                "você dividiu pelo total de genes. A fração é entre os anunciados: divida por k.",
            ),
            Mistake(
                lambda p, alpha: int((p > alpha).sum()),
                "você contou os P maiores que α. α limita a fração de falsos, e o falso tem probabilidade 1 − P.",
            ),
        ),
        measure=on_cases(*_CHANCES),
        insight="É a conta das descobertas falsas de quem tem probabilidades, e não valores-p.",
    ),
    Exercise(
        id="12.5",
        solution=_designed(0.95),
        mistakes=(
            Mistake(
                _designed(0.5),
                "depois de centrar, os tipos ainda se leem nos vizinhos. Com os dois tipos nas mesmas proporções nos dois "
                "laboratórios, as médias têm as mesmas células, e centrar não faz mal.",
            ),
            Mistake(
                _designed(1.0),
                "cada tipo deve aparecer, com 3 células ao menos, nos dois laboratórios. Se um tipo só está num deles, "
                "não há método que separe uma coisa da outra.",
            ),
            Mistake(
                _designed(0.95, distance=0.0),
                "já antes de centrar os tipos não se leem nos vizinhos. Separe-os mais: é preciso que haja o que destruir.",
            ),
        ),
        measure=behaviour(_experiment),
        insight="O que se subtrai é a média do laboratório, e ela leva a composição junto.",
    ),
)
