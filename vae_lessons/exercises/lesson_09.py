"""Exercícios da lição 09: a lacuna da q diagonal, juntar normais, a KL de uma camada, séries com falhas e dois níveis."""

import math

import torch
from torch import Tensor

from vae_lessons.exercises.checking import (
    Exercise,
    Mistake,
    Observed,
    Unusable,
    behaviour,
    on_cases,
    reduced,
    required_tensor,
)

_RHO = torch.tensor([-0.9, -0.3, 0.0, 0.5, 0.8, 0.99], dtype=torch.float64)

_MEANS = torch.tensor([[0.0, 2.0, -1.0, 4.0], [3.0, -1.0, 0.5, 1.0], [1.0, 0.5, 2.0, -2.0]], dtype=torch.float64)
_VARIANCES = torch.tensor([[1.0, 0.25, 2.0, 0.5], [0.2, 3.0, 0.5, 0.1], [4.0, 0.7, 0.3, 1.5]], dtype=torch.float64)

_MESSAGE = (_MEANS[:2], _VARIANCES[:2])
_PRIOR = (_MEANS[1:].flip(1), _VARIANCES[1:].flip(1))

_NAN = math.nan
_HOLES = torch.tensor([0.5, _NAN, 1.2, 0.3, _NAN, _NAN, -0.8, 0.1], dtype=torch.float64)
_LATE = torch.tensor([_NAN, 2.0, 1.5, _NAN, 1.0], dtype=torch.float64)

_SERIES, _STEPS = 40_000, 5


def _merge(mean_a: Tensor, variance_a: Tensor, mean_b: Tensor, variance_b: Tensor) -> tuple[Tensor, Tensor]:
    variance = 1 / (1 / variance_a + 1 / variance_b)
    return variance * (mean_a / variance_a + mean_b / variance_b), variance


def _kl(mean_q: Tensor, variance_q: Tensor, mean_p: Tensor, variance_p: Tensor) -> Tensor:
    ratio = variance_q / variance_p
    return 0.5 * (ratio + (mean_q - mean_p) ** 2 / variance_p - 1 - ratio.log())


def _gap(rho: Tensor) -> Tensor:
    return -0.5 * torch.log1p(-(rho**2))


def _merge_many(means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor]:
    variance = 1 / (1 / variances).sum(0)
    return variance * (means / variances).sum(0), variance


def _layer_kl(m: Tensor, v: Tensor, prior_mean: Tensor, prior_variance: Tensor) -> Tensor:
    return _kl(*_merge(m, v, prior_mean, prior_variance), prior_mean, prior_variance).sum(-1)


def _log_normal(value: float, mean: float, variance: float) -> float:
    return -0.5 * ((value - mean) ** 2 / variance + math.log(math.tau) + math.log(variance))


def _kalman(
    x: Tensor,
    a: float,
    noise_var: float,
    *,
    waits: bool = True,
    scored_variance: bool = True,
    late: bool = False,
    innovation: float = 1.0,
) -> float:
    """waits: o estado anda nos dias sem leitura · scored_variance: a leitura prevista inclui o ruído do sensor.

    late: avalia a leitura depois de juntá-la · innovation: o que multiplica 1 − a², o ruído de cada passo.
    """
    mean, variance, total = 0.0, 1.0, 0.0
    for reading in x.tolist():
        missing = math.isnan(reading)
        if missing and not waits:
            continue
        if not missing:
            before = mean, variance
            gain = variance / (variance + noise_var)
            mean, variance = mean + gain * (reading - mean), (1 - gain) * variance
            expected, spread = (mean, variance) if late else before
            total += _log_normal(reading, expected, spread + noise_var * scored_variance)
        mean, variance = a * mean, a * a * variance + innovation * (1 - a * a)
    return total


def _series(
    n: int,
    steps: int,
    a: float,
    slow_share: float,
    *,
    innovation: float | None = None,
    start: float = 1.0,
    one_slow: bool = True,
) -> Tensor:
    innovation = math.sqrt(1 - a * a) if innovation is None else innovation
    s, z = torch.randn(n, 1 if one_slow else steps), [start * torch.randn(n)]
    for _ in range(steps - 1):
        z.append(a * z[-1] + innovation * torch.randn(n))
    return math.sqrt(slow_share) * s + math.sqrt(1 - slow_share) * torch.stack(z, 1)


def moments(answer, settings=((0.8, 0.5), (0.3, 0.2))) -> tuple[Observed, ...]:
    """As covariâncias entre os passos, com cada (a, slow_share) de `settings`: dizem o que é lento, o que é rápido e o que não é estacionário."""
    found = []
    for a, share in settings:
        x = required_tensor(answer(_SERIES, _STEPS, a, share)).detach().double()
        if x.shape != (_SERIES, _STEPS):
            swapped = " Transponha o resultado." if x.shape == (_STEPS, _SERIES) else ""
            raise Unusable(
                f"esperava [n, steps], uma série por linha, mas, com n = {_SERIES} e steps = {_STEPS}, veio "
                f"{list(x.shape)}.{swapped}"
            )
        found.append(Observed(x.T @ x / len(x), f"na covariância entre os passos, com a = {a} e slow_share = {share}"))
    return tuple(found)


EXERCISES = (
    Exercise(
        id="09.1",
        solution=_gap,
        mistakes=(
            Mistake(
                lambda rho: 1 / (1 - rho**2) - 1 + 0.5 * torch.log1p(-(rho**2)),
                "essa é a KL da q com as variâncias marginais. A melhor q diagonal é mais estreita: as variâncias dela são "
                "1/Λᵢᵢ.",
            ),
            Mistake(lambda rho: 2 * _gap(rho), "falta um ½, o da frente da lacuna."),
            Mistake(
                lambda rho: -0.5 * torch.log(1 - rho.abs()),
                "dentro do logaritmo está o determinante da correlação, e nele ρ aparece ao quadrado.",
            ),
            Mistake(
                lambda rho: -0.5 * torch.log(1 - rho),
                "com ρ negativo a sua lacuna fica negativa: no determinante da correlação, ρ aparece ao quadrado.",
            ),
            Mistake(
                lambda rho: -torch.log1p(-(rho**2)) + 0.5 * torch.log1p(-(rho**2)) * 2,
                "o seu resultado é sempre zero: confira os sinais de Σ ln Λᵢᵢ e de ln det Λ.",
            ),
            Mistake(
                lambda rho: -1.5 * torch.log1p(-(rho**2)),
                "você somou os dois logaritmos. ln det Λ se subtrai.",
            ),
            Mistake(
                lambda rho: _gap(rho) / math.log(2), "o resultado está em bits. Aqui tudo é em nats: logaritmo natural."
            ),
            *reduced(_gap, over="os ρ"),
        ),
        measure=on_cases((_RHO,), (torch.tensor([0.1, 0.6], dtype=torch.float64),)),
        insight="Cresce sem limite quando |ρ| → 1: uma posterior muito correlacionada não cabe em q diagonal nenhuma.",
    ),
    Exercise(
        id="09.2",
        solution=_merge_many,
        mistakes=(
            Mistake(
                lambda m, v: (m.mean(0), 1 / (1 / v).sum(0)),
                "a variância está certa, mas a média é a média das médias: trata igual quem sabe muito e quem sabe pouco. "
                "Pondere cada uma pela precisão dela.",
            ),
            Mistake(
                lambda m, v: ((v * m).sum(0) / v.sum(0), 1 / (1 / v).sum(0)),
                "você ponderou as médias pela variância. Quem tem variância grande sabe menos, e deve pesar menos.",
            ),
            Mistake(
                lambda m, v: (_merge_many(m, v)[0], v.sum(0)),
                "você somou as variâncias. São as precisões, 1/v, que se somam; a variância é o inverso da soma.",
            ),
            Mistake(
                lambda m, v: (_merge_many(m, v)[0], (1 / v).sum(0)),
                "isso é a precisão do produto. Falta invertê-la.",
            ),
            Mistake(
                lambda m, v: (_merge_many(m, v)[0], len(v) / (1 / v).sum(0)),
                "você tirou a média das precisões. K mensagens independentes sabem mais que uma: as precisões se somam.",
            ),
            Mistake(
                lambda m, v: ((m / v.sqrt()).sum(0) / (1 / v.sqrt()).sum(0), 1 / (1 / v).sum(0)),
                "você ponderou as médias pelo inverso do desvio padrão. O peso é o inverso da variância.",
            ),
            Mistake(
                lambda m, v: ((m / v).sum(0), 1 / (1 / v).sum(0)),
                "a soma das médias ponderadas ainda tem de ser dividida pela soma dos pesos.",
            ),
            Mistake(
                lambda m, v: _merge(m[0], v[0], m[1], v[1]),
                "você juntou só as duas primeiras. São K, ao longo da dimensão 0.",
            ),
            Mistake(
                lambda m, v: (m.mean(0), v.mean(0)),
                "isso são médias simples. O produto de normais soma precisões, e pondera as médias por elas.",
            ),
        ),
        measure=on_cases((_MEANS, _VARIANCES), (_MEANS[:2], _VARIANCES[1:])),
        insight="Cada mensagem a mais soma a sua precisão: a variância só diminui.",
    ),
    Exercise(
        id="09.3",
        solution=_layer_kl,
        mistakes=(
            Mistake(
                lambda m, v, pm, pv: _kl(m, v, pm, pv).sum(-1),
                "essa é a KL da mensagem, que é o que sai do codificador. Quem sorteou z foi o produto da mensagem com a prior.",
            ),
            Mistake(
                lambda m, v, pm, pv: (0.5 * (v + m**2 - 1 - v.log())).sum(-1),
                "essa é a KL da mensagem até N(0, I). A q é o produto, e a prior é a que veio de cima.",
            ),
            Mistake(
                lambda m, v, pm, pv: _kl(*_merge(m, v, pm, pv), torch.zeros_like(pm), torch.ones_like(pv)).sum(-1),
                "a q está certa, mas você a comparou com N(0, I). A prior desta camada é a que veio de cima.",
            ),
            Mistake(
                lambda m, v, pm, pv: _kl(pm, pv, *_merge(m, v, pm, pv)).sum(-1),
                "as duas distribuições estão trocadas: a KL da ELBO vai da q até a prior.",
            ),
            Mistake(
                lambda m, v, pm, pv: _kl(*_merge(m, v, pm, pv), m, v).sum(-1),
                "você mediu a distância até a mensagem. A mensagem não é distribuição do modelo: a KL é até a prior.",
            ),
            Mistake(
                lambda m, v, pm, pv: _kl((m + pm) / 2, 1 / (1 / v + 1 / pv), pm, pv).sum(-1),
                "a média da sua q é a média das médias. Pondere-as pelas precisões.",
            ),
            Mistake(
                lambda m, v, pm, pv: _layer_kl(m, v, pm, pv) / m.shape[-1],
                "você tirou a média sobre as dimensões da camada. A KL de dimensões independentes é a soma.",
            ),
            *reduced(_layer_kl),
        ),
        measure=on_cases((*_MESSAGE, *_PRIOR), (*_PRIOR, *_MESSAGE)),
        insight="Se a mensagem nada sabe (variância infinita), a q é a prior, e a camada custa zero.",
    ),
    Exercise(
        id="09.4",
        solution=_kalman,
        mistakes=(
            Mistake(
                lambda x, a, r: _kalman(torch.nan_to_num(x), a, r),
                "você pôs zero onde faltava leitura: o modelo acreditou que leu zero. Sem leitura, não há o que juntar nem "
                "o que avaliar.",
            ),
            Mistake(
                lambda x, a, r: _kalman(x, a, r, waits=False),
                "você pulou os dias sem leitura como se não tivessem passado. O estado anda neles também: faça a previsão, "
                "e não junte nada.",
            ),
            Mistake(
                lambda x, a, r: _kalman(x, a, r, scored_variance=False),
                "a leitura prevista tem a variância do estado mais a do sensor: falta somar noise_var ao avaliá-la.",
            ),
            Mistake(
                lambda x, a, r: _kalman(x, a, r, late=True),
                "você avaliou a leitura depois de juntá-la: ela ajudou a prever a si mesma. Primeiro avalie, depois junte.",
            ),
            Mistake(
                lambda x, a, r: _kalman(x, a, r, innovation=0.0),
                "na previsão falta o ruído do passo: sem ele, a variância do estado só encolhe, e a série deixa de ser "
                "estacionária.",
            ),
            Mistake(
                lambda x, a, r: _kalman(x, a, r) / (~x.isnan()).sum().item(),
                "você tirou a média por leitura. ln p da série é a soma.",
            ),
            Mistake(
                lambda x, a, r: _kalman(x, a, r**2),
                "noise_var já é a variância do sensor: não a eleve ao quadrado.",
            ),
        ),
        measure=on_cases((_HOLES, 0.9, 0.5), (_LATE, 0.6, 0.2), (torch.nan_to_num(_HOLES), 0.9, 0.5)),
        insight="O mesmo filtro serve a séries com falhas: nada a preencher, nada a apagar.",
    ),
    Exercise(
        id="09.5",
        solution=_series,
        mistakes=(
            Mistake(
                lambda n, t, a, p: _series(n, t, a, p, one_slow=False),
                "o seu s muda a cada passo: deixou de ser lento. Sorteie um por série, e use-o em todos os passos.",
            ),
            Mistake(
                lambda n, t, a, p: _series(n, t, a, p, start=0.0),
                "o seu z começa em zero: a variância do primeiro passo é menor que a dos outros. Comece pela distribuição "
                "estacionária.",
            ),
            Mistake(
                lambda n, t, a, p: _series(n, t, a, p, innovation=1.0),
                "o ruído de cada passo tem variância 1, e a de z cresce acima de 1. Qual é a variância que falta a a·z "
                "para voltar a 1?",
            ),
            Mistake(
                lambda n, t, a, p: _series(n, t, a, p, innovation=1 - a * a),
                "1 − a² é a variância do ruído; o que multiplica randn é o desvio padrão, a raiz dela.",
            ),
            Mistake(
                lambda n, t, a, p: _series(n, t, a, p, innovation=math.sqrt(1 - a)),
                "a variância de a·z é a², e não a: o ruído completa o que falta até 1.",
            ),
            Mistake(
                lambda n, t, a, p: p * torch.randn(n, 1) + (1 - p) * _series(n, t, a, 0.0),
                "p e 1 − p são partes da variância. O que multiplica s e z são as raízes.",
            ),
            Mistake(
                lambda n, t, a, p: _series(n, t, a, 1 - p),
                "as duas partes estão trocadas: slow_share é a da variância que é de s.",
            ),
            Mistake(
                lambda n, t, a, p: _series(n, t, 0.0, p),
                "os seus z_t são independentes: falta o AR(1), em que cada um parte do anterior.",
            ),
            Mistake(
                lambda n, t, a, p: _series(1, t, a, p).expand(n, -1),
                "as suas n séries são todas iguais: sorteie n, cada uma com o seu s e os seus z.",
            ),
        ),
        measure=behaviour(moments),
        tolerance=0.06,
        insight="A covariância de passos distantes tende à parte lenta: é o que um nível lento tem a explicar.",
    ),
)
