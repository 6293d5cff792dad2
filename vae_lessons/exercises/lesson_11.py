"""Exercícios da lição 11: deslizes em fórmula, um teste de gradientes, bússolas que se juntam e uma Gama ajustada."""

import math

import torch
from torch import Tensor

from vae_lessons.distributions import Gamma, VonMises
from vae_lessons.exercises.checking import Exercise, Mistake, Unusable, behaviour, on_cases, required_tensor

# 11.1: o deslize da Weibull.

_WEIBULL_CASES = (
    (torch.tensor([0.2, 0.7, 1.0, 1.8, 3.1], dtype=torch.float64), torch.tensor([0.6, 1.0, 2.0, 1.5, 3.0]).double()),
    (torch.tensor([0.5, 2.5]), torch.tensor([2.0, 0.8])),
)

# 11.2: as responsabilidades.

_MIXTURE_CASES = (
    (
        torch.tensor([-1.7, 0.3, 0.9, 2.4], dtype=torch.float64),
        torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64),
        torch.tensor([-1.0, 0.5, 2.0], dtype=torch.float64),
        torch.tensor([0.6, 1.3, 0.8], dtype=torch.float64),
    ),
    (torch.tensor([0.1, 0.4, 1.9]), torch.tensor([0.7, 0.3]), torch.tensor([0.0, 1.0]), torch.tensor([0.5, 2.0])),
)


def _densities(z: Tensor, means: Tensor, scales: Tensor) -> Tensor:
    """A densidade de cada componente em cada z, [n, K]."""
    return (-0.5 * ((z[:, None] - means) / scales).square()).exp() / (scales * math.sqrt(2 * math.pi))


def _responsibilities(z: Tensor, weights: Tensor, means: Tensor, scales: Tensor) -> Tensor:
    joint = weights * _densities(z, means, scales)
    return joint / joint.sum(1, keepdim=True)


# 11.3: que sorteios da Gama(α, 1) têm o gradiente certo.


def _implicit(alpha: Tensor) -> Tensor:
    return Gamma(alpha, torch.ones_like(alpha)).rsample()


def _augmented(alpha: Tensor) -> Tensor:
    return _implicit(alpha + 1) * torch.rand_like(alpha) ** (1 / alpha)


def _detached(alpha: Tensor) -> Tensor:
    return _implicit(alpha).detach()


def _stretched(alpha: Tensor) -> Tensor:
    return _detached(alpha) * alpha / alpha.detach()


def _shifted(alpha: Tensor) -> Tensor:
    return _detached(alpha) + alpha - alpha.detach()


def _stretched_less(alpha: Tensor) -> Tensor:
    power = (1 + 2 * alpha.detach()) / (2 + 2 * alpha.detach())  # com que E[z²] muda como deve
    return _detached(alpha) * (alpha / alpha.detach()) ** power


def _backwards(alpha: Tensor) -> Tensor:
    z = _implicit(alpha)
    return 2 * z.detach() - z


SAMPLERS = (_implicit, _stretched, _detached, _augmented, _shifted, _backwards, _stretched_less)


def _diagnose(rsample, *, powers: tuple[int, ...] = (1, 2)) -> str:
    alpha = torch.full((60_000,), 2.0, dtype=torch.float64, requires_grad=True)
    z = rsample(alpha)
    if not z.requires_grad:
        return "sem gradiente"
    exact = {1: 1.0, 2: 5.0}
    for power in powers:
        (slopes,) = torch.autograd.grad(z.pow(power).sum(), alpha, retain_graph=True)
        if (slopes.mean() - exact[power]).abs() > 6 * slopes.std() / len(alpha) ** 0.5 + 1e-9:
            return "errado"
    return "certo"


# 11.4: juntar bússolas.

_COMPASSES = (
    ([6.1, 0.2], [2.0, 2.0]),
    ([0.5, 0.9, 1.7], [1.0, 4.0, 0.5]),
    ([3.0, -3.0, 2.6, -2.9], [3.0, 1.0, 2.0, 0.3]),
    ([1.0], [7.0]),
)


def _sum_of_vectors(readings: Tensor, kappas: Tensor) -> tuple[Tensor, Tensor]:
    a, b = (kappas * readings.cos()).sum(), (kappas * readings.sin()).sum()
    return torch.atan2(b, a), torch.hypot(a, b)


def fused(fuse, compasses=_COMPASSES) -> tuple[float, ...]:
    """O cosseno, o seno e a concentração de cada caso: o mesmo ângulo, a menos de voltas, mede o mesmo."""
    measured = []
    for readings, kappas in compasses:
        answer = fuse(*(torch.tensor(each, dtype=torch.float64) for each in (readings, kappas)))
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            raise Unusable("esperava um par: a direção e a concentração da posterior.")
        loc, kappa = (torch.as_tensor(part, dtype=torch.float64) for part in answer)
        if loc.numel() != 1 or kappa.numel() != 1:
            raise Unusable("esperava dois números, uma direção e uma concentração, sejam quantas forem as leituras.")
        measured += [loc.cos().item(), loc.sin().item(), kappa.item()]
    return tuple(measured)


# 11.5: a Gama ajustada.

_SHAPE, _RATE, _EVENTS, _DAYS = 2.0, 1.0, 25.0, 5.0


def _gamma(shape: float, rate: float) -> Gamma:
    return Gamma(torch.tensor([shape]), torch.tensor([rate]))


def _summary(q) -> tuple[float, float]:
    """A média e o desvio padrão."""
    if not (hasattr(q, "concentration") and hasattr(q, "rate")) or isinstance(q, VonMises):
        raise Unusable("esperava uma Gamma(concentration, rate), a posterior ajustada.")
    shape, rate = required_tensor(q.concentration), required_tensor(q.rate)
    if shape.numel() != 1 or rate.numel() != 1:
        raise Unusable("esperava uma Gama só, com uma forma e uma taxa; veio mais de uma.")
    shape, rate = shape.double().item(), rate.double().item()
    if not (0 < shape < math.inf and 0 < rate < math.inf):
        raise Unusable("a forma e a taxa de uma Gama são números positivos. Ajuste os logaritmos, e use torch.exp.")
    return shape / rate, math.sqrt(shape) / rate


EXERCISES = (
    Exercise(
        id="11.1",
        solution=lambda z, k: -z * torch.log(z) / k,
        mistakes=(
            Mistake(
                lambda z, k: -z.pow(k) * torch.log(z) * torch.exp(-z.pow(k)),
                "isso é −∂F/∂k, quanto a curva desce. Falta dividir pela inclinação dela, a densidade.",
            ),
            Mistake(
                lambda z, k: -z * torch.log(z),
                "falta o k da densidade: p = ∂F/∂z, e a derivada de z^k em z tem um fator que a derivada em k não tem.",
            ),
            Mistake(
                lambda z, k: -torch.log(z) / k,
                "isso é a derivada de ln z, e não de z. Confira a potência de z na densidade.",
            ),
            Mistake(
                lambda z, k: -torch.log(z) * z.pow(k) / (1 - torch.exp(-z.pow(k))) * torch.exp(-z.pow(k)),
                "você dividiu por F. A altura da partícula não importa; o que importa é a inclinação da curva, p.",
            ),
        ),
        measure=on_cases(*_WEIBULL_CASES),
        insight="A partícula em z = 1 fica onde está, e as outras se aproximam dela.",
        hint="Escreva ∂F/∂k e p = ∂F/∂z, e divida: muita coisa se cancela.",
    ),
    Exercise(
        id="11.2",
        solution=_responsibilities,
        mistakes=(
            Mistake(
                lambda z, weights, means, scales: weights * _densities(z, means, scales),
                "isso é −∂F/∂μ_k. Falta dividir pela densidade da mistura inteira.",
            ),
            Mistake(
                lambda z, weights, means, scales: _responsibilities(z, torch.ones_like(weights), means, scales),
                "faltam os pesos: F é a soma das acumuladas das componentes, cada uma vezes o seu w_k.",
            ),
            Mistake(
                lambda z, weights, means, scales: weights.expand(len(z), -1),
                "você dividiu cada componente pela densidade dela mesma. O denominador é p(z), o da mistura.",
            ),
            Mistake(
                lambda z, weights, means, scales: (
                    _responsibilities(z, weights, means, scales) * (z[:, None] - means) / scales.square()
                ),
                "isso é o escore, ∂ log p/∂μ_k, que o REINFORCE usa. O deslize vem da acumulada.",
            ),
            Mistake(
                lambda z, weights, means, scales: _responsibilities(z, weights, means, scales) * scales,
                "sobrou um σ_k: a derivada de Φ((z − μ)/σ) em μ tem o 1/σ que faz dela a densidade.",
            ),
        ),
        measure=on_cases(*_MIXTURE_CASES),
        insight="É a responsabilidade, P(k | z), a mesma que o algoritmo EM calcula.",
        hint="Uma linha por z e uma coluna por componente, [n, K].",
    ),
    Exercise(
        id="11.3",
        solution=_diagnose,
        mistakes=(
            Mistake(
                lambda rsample: _diagnose(rsample, powers=()),
                "você só olha se há gradiente. Compare as médias dele com as derivadas exatas.",
            ),
            Mistake(
                lambda rsample: _diagnose(rsample, powers=(1,)),
                "você testa só a média de z. Há um sorteio que a acerta e erra a forma da distribuição: teste também z².",
            ),
            Mistake(
                lambda rsample: _diagnose(rsample, powers=(2,)),
                "você testa só E[z²]. Há um sorteio que o acerta e erra E[z]: teste as duas médias.",
            ),
            Mistake(
                lambda rsample: {"sem gradiente": "errado"}.get(_diagnose(rsample), _diagnose(rsample)),
                "um z sem gradiente tem um nome à parte: veja z.requires_grad antes de derivar.",
            ),
            Mistake(
                lambda rsample: {_implicit: "certo", _detached: "sem gradiente"}.get(rsample, "errado"),
                "você recusa um sorteio que está certo. Dois gradientes sem viés podem diferir sorteio a sorteio: compare "
                "as médias, e com uma folga de alguns erros-padrão.",
            ),
        ),
        measure=behaviour(lambda diagnose: tuple(diagnose(rsample) for rsample in SAMPLERS)),
        insight="Cada momento é um teste, e um teste só vê o que mede.",
        hint="São sete sorteios, certos e errados; devolva um dos três textos. Com dezenas de milhares de z, a folga de uns "
        "seis erros-padrão separa os certos dos errados.",
    ),
    Exercise(
        id="11.4",
        solution=_sum_of_vectors,
        mistakes=(
            Mistake(
                lambda readings, kappas: ((kappas * readings).sum() / kappas.sum(), kappas.sum()),
                "você tirou a média dos números. De 350° e 10° ela faz 180°: some vetores, e não ângulos.",
            ),
            Mistake(
                lambda readings, kappas: (_sum_of_vectors(readings, kappas)[0], kappas.sum()),
                "a direção está certa, mas as concentrações só se somam se as leituras concordam. Quanto vale R quando elas "
                "se opõem?",
            ),
            Mistake(
                lambda readings, kappas: _sum_of_vectors(readings, torch.ones_like(kappas)),
                "todas as bússolas pesam igual na sua conta. Cada vetor tem o comprimento da concentração dela.",
            ),
            Mistake(
                lambda readings, kappas: (
                    _sum_of_vectors(readings, kappas)[0],
                    _sum_of_vectors(readings, kappas)[1] / len(kappas),
                ),
                "você tirou a média dos vetores: mais leituras deixariam a posterior tão larga quanto uma só. É a soma.",
            ),
            Mistake(
                lambda readings, kappas: (
                    torch.atan(torch.tan(_sum_of_vectors(readings, kappas)[0])),
                    _sum_of_vectors(readings, kappas)[1],
                ),
                "a direção sai meia volta errada em alguns casos: atan só conhece o quociente. Use torch.atan2(seno, cosseno).",
            ),
        ),
        measure=behaviour(fused),
        insight="Leituras que se opõem se anulam, e a posterior volta a ser larga: com números numa reta isso não acontece.",
        hint="Escreva a soma dos κ cos(m − z) como um só cosseno.",
    ),
    Exercise(
        id="11.5",
        solution=_gamma(_SHAPE + _EVENTS, _RATE + _DAYS),
        mistakes=(
            Mistake(
                _gamma(_EVENTS, _DAYS),
                "a prior não entrou. A ELBO tem a KL até ela.",
            ),
            Mistake(
                _gamma(_SHAPE + _EVENTS / _DAYS, _RATE + 1),
                "a verossimilhança é a média sobre os dias, e devia ser a soma: são cinco observações da mesma taxa.",
            ),
            Mistake(
                _gamma(_SHAPE + _EVENTS, _RATE + 1),
                "os eventos se somam, mas só um dia foi contado: cada dia traz o seu −z.",
            ),
            Mistake(
                _gamma(_SHAPE, _RATE),
                "isso é a prior. A verossimilhança não entrou, ou o gradiente não chegou a q.",
            ),
            Mistake(
                _gamma(_SHAPE + _EVENTS, 1 / (_RATE + _DAYS)),
                "a forma está certa, mas o segundo parâmetro é a taxa, e não a escala, que é o inverso dela.",
            ),
        ),
        measure=_summary,
        tolerance=0.1,
        insight="A família contém a posterior exata, e o gradiente implícito a encontra.",
        hint="Média e desvio padrão são comparados com folga. Se faltar pouco, treine mais, ou com o passo caindo até zero.",
    ),
)
