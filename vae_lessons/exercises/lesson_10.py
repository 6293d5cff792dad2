"""Exercícios da lição 10: a densidade de um fluxo, uma camada que dobra o plano, modas perdidas, um treino e a IAF linear."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from vae_lessons.exercises.answers import usable
from vae_lessons.exercises.checking import Exercise, Mistake, Unusable, behaviour, on_cases, reduced, required_tensor

# 10.1: a densidade de z = μ + eˢ senh(ε).

_Z = torch.tensor([-3.0, -0.4, 0.0, 0.7, 2.0, 6.0], dtype=torch.float64)
_SINH_CASES = (
    (_Z, 0.5, -0.3),
    (_Z, -1.0, 0.8),
    (_Z, torch.linspace(-1, 1, 6, dtype=torch.float64), torch.linspace(0.6, -0.5, 6, dtype=torch.float64)),
)


def _standard(noise: Tensor) -> Tensor:
    return -0.5 * noise**2 - 0.5 * math.log(math.tau)


def _scale(s) -> Tensor:
    return torch.as_tensor(s, dtype=torch.float64).exp()


def _noise(z: Tensor, mu, s) -> Tensor:
    return torch.asinh((z - mu) / _scale(s))


def _log_cosh(noise: Tensor) -> Tensor:
    return torch.cosh(noise).log()


def _sinh_density(z: Tensor, mu, s) -> Tensor:
    noise = _noise(z, mu, s)
    return _standard(noise) - s - _log_cosh(noise)


# 10.2: um ponto em que a camada publicada dobra o plano.

_FOLDS, _STRETCHES, _FITS, _FAR, _LONG = range(5)
_FAR_AWAY = 1e-3  # inclinação da tanh abaixo da qual a camada, ali, quase não faz nada


def _published_determinant(u: Tensor, w: Tensor, z: Tensor) -> tuple[float, float]:
    """(determinante, inclinação da tanh) em z, com b = 0, da camada que divide por ‖w‖."""
    wu = (w * u).sum()
    u_hat = u + (F.softplus(wu) - 1 - wu) * w / w.norm()
    slope = 1 - torch.tanh((w * z).sum()) ** 2
    return (1 + slope * (w * u_hat).sum()).item(), slope.item()


def _folding(answer) -> float:
    answer = usable(answer)
    if not isinstance(answer, tuple | list) or len(answer) != 3:
        raise Unusable("esperava três vetores, (u, w, z), de dois números cada um.")
    try:
        u, w, z = (torch.as_tensor(each).detach().double() for each in answer)
    except (TypeError, ValueError, RuntimeError) as error:
        raise Unusable("cada um de u, w e z é um ponto do plano: dois números, como [0.5, -1.0].") from error
    if any(each.shape != (2,) for each in (u, w, z)):
        raise Unusable("cada um de u, w e z é um ponto do plano: dois números.")
    if not all(each.isfinite().all() for each in (u, w, z)) or not w.any():
        raise Unusable("u, w e z devem ser finitos, e w não pode ser o vetor zero.")
    determinant, slope = _published_determinant(u, w, z)
    if determinant < 0:
        return float(_FOLDS)
    if w.norm() >= 1:
        return float(_LONG)
    if (w * u).sum() > -1:
        return float(_FITS)
    return float(_FAR if slope < _FAR_AWAY else _STRETCHES)


# 10.3: quanto custa perder modas.

_SHARES = (
    (torch.tensor([0.5, 0.5]).double(), torch.tensor([True, False])),
    (torch.tensor([0.5, 0.2, 0.3]).double(), torch.tensor([True, False, True])),
    (torch.tensor([0.1, 0.2, 0.3, 0.4]).double(), torch.tensor([False, True, False, False])),
    (torch.tensor([0.25, 0.75]).double(), torch.tensor([True, True])),
)


def _price(shares: Tensor, kept: Tensor) -> Tensor:
    return -shares[kept].sum().log()


# 10.4: treinar uma camada linear pela energia.


def gaussian_energy(mean: Tensor, covariance: Tensor, offset: float = 0.0):
    """A energia de uma normal, que se conhece a menos de uma constante."""
    precision = torch.linalg.inv(covariance)

    def energy(z: Tensor) -> Tensor:
        centered = z - mean.to(z)
        return 0.5 * (centered @ precision.to(z) * centered).sum(-1) + offset

    return energy


_ENERGIES = (
    gaussian_energy(torch.tensor([1.0, -0.5]), torch.tensor([[1.0, 0.6], [0.6, 0.8]])),
    gaussian_energy(torch.tensor([-0.7, 0.3]), torch.tensor([[0.7, -0.4], [-0.4, 1.2]]), 3.0),
)


def trained(answer, energies=_ENERGIES) -> tuple[Tensor, ...]:
    found = []
    for energy in energies:
        output = answer(energy)
        if not isinstance(output, tuple | list) or len(output) != 2:
            raise Unusable("esperava a dupla (média, covariância), da q treinada.")
        mean, covariance = (required_tensor(part).detach().double() for part in output)
        if mean.shape != (2,) or covariance.shape != (2, 2):
            raise Unusable(
                f"esperava a média [2] e a covariância [2, 2], mas vieram {list(mean.shape)} e "
                f"{list(covariance.shape)}."
            )
        found += [mean, covariance]
    return tuple(found)


def _derivatives(energy) -> tuple[Tensor, Tensor]:
    """O ponto mais baixo de uma energia quadrática e a segunda derivada dela."""
    start = torch.zeros(2)
    hessian = torch.autograd.functional.hessian(lambda z: energy(z[None])[0], start)
    (gradient,) = torch.autograd.functional.jacobian(lambda z: energy(z[None]), start)
    return -torch.linalg.solve(hessian, gradient), hessian


def _affine(energy) -> tuple[Tensor, Tensor]:
    """Onde o treino chega: com energia quadrática, o mínimo é exato."""
    mean, hessian = _derivatives(energy)
    return mean, torch.linalg.inv(hessian)


def _without_entropy(energy) -> tuple[Tensor, Tensor]:
    return _derivatives(energy)[0], torch.zeros(2, 2)


def _diagonal(energy) -> tuple[Tensor, Tensor]:
    mean, hessian = _derivatives(energy)
    return mean, torch.diag(1 / hessian.diagonal())


def _factor(energy) -> tuple[Tensor, Tensor]:
    mean, covariance = _affine(energy)
    return mean, torch.linalg.cholesky(covariance)


# 10.5: a IAF linear de uma normal correlacionada.

_SD_1 = torch.tensor([1.0, 0.5, 2.0, 1.5], dtype=torch.float64)
_SD_2 = torch.tensor([1.0, 2.0, 0.7, 3.0], dtype=torch.float64)
_RHO = torch.tensor([0.9, -0.6, 0.3, 0.0], dtype=torch.float64)


def _linear_iaf(sd_1: Tensor, sd_2: Tensor, rho: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return sd_1, rho * sd_2, sd_2 * torch.sqrt(1 - rho**2)


EXERCISES = (
    Exercise(
        id="10.1",
        solution=_sinh_density,
        mistakes=(
            Mistake(
                lambda z, mu, s: _standard(_noise(z, mu, s)) + s + _log_cosh(_noise(z, mu, s)),
                "o sinal do log-determinante está trocado. Onde o fluxo estica, a densidade diminui.",
            ),
            Mistake(
                lambda z, mu, s: _standard(_noise(z, mu, s)),
                "isso é a densidade de ε, no ε certo. Falta o quanto o fluxo estica ali.",
            ),
            Mistake(
                lambda z, mu, s: _standard(_noise(z, mu, s)) - _log_cosh(_noise(z, mu, s)),
                "falta a parte do log-determinante que vem da escala.",
            ),
            Mistake(
                lambda z, mu, s: _standard(_noise(z, mu, s)) - s,
                "falta a derivada do seno hiperbólico: o estiramento muda de ponto a ponto.",
            ),
            Mistake(
                lambda z, mu, s: _standard(z) - s - _log_cosh(z),
                "você avaliou tudo em z. O que se conhece é a densidade de ε: volte de z a ε primeiro.",
            ),
            Mistake(
                lambda z, mu, s: _standard(_noise(z, mu, s)) - s - _log_cosh((z - mu) / _scale(s)),
                "o ln cosh é do ε, e não de (z − μ)/eˢ.",
            ),
            Mistake(
                lambda z, mu, s: _standard(_noise(z, mu, s)) - s - torch.sinh(_noise(z, mu, s)).abs().log(),
                "a derivada do seno hiperbólico é o cosseno hiperbólico.",
            ),
            Mistake(
                lambda z, mu, s: _standard(_noise(z, mu, s)) - _scale(s) - _log_cosh(_noise(z, mu, s)),
                "o que entra na soma é o logaritmo da escala, que é s.",
            ),
        ),
        measure=on_cases(*_SINH_CASES),
        insight="Um fluxo de uma linha já dá caudas mais pesadas que as da normal.",
    ),
    Exercise(
        id="10.2",
        solution=((-4.0, 0.0), (0.5, 0.0), (0.0, 0.0)),
        mistakes=(
            Mistake(
                ((-4.0, 0.0), (2.0, 0.0), (0.0, 0.0)),
                "com ‖w‖ ≥ 1 e estes u e z, o determinante não fica negativo. O que acontece com a correção quando w "
                "encolhe?",
            ),
            Mistake(
                ((0.5, 0.0), (0.5, 0.0), (0.0, 0.0)),
                "com este u e este w a correção não passa do ponto, e o determinante fica positivo. Com w curto assim, wᵀu "
                "tem de ser bem negativo antes da correção.",
            ),
            Mistake(
                ((-4.0, 0.0), (0.5, 0.0), (60.0, 0.0)),
                "o seu z está onde a tanh já saturou, e ali a camada não estica nem encolhe. Onde ela é mais íngreme?",
            ),
            Mistake(
                ((-4.0, 0.0), (0.5, 0.0), (3.0, 0.0)),
                "u e w podem dobrar o plano, mas não neste z. Chegue perto da reta em que a tanh é mais íngreme.",
            ),
        ),
        measure=_folding,
        tolerance=1e-9,
        insight="Dois pontos vizinhos trocam de ordem ali: a camada não tem inversa, e ln|det| é o log de outra coisa.",
    ),
    Exercise(
        id="10.3",
        solution=_price,
        mistakes=(
            Mistake(
                lambda shares, kept: shares[kept].sum().log(),
                "uma KL nunca é negativa: confira o sinal.",
            ),
            Mistake(
                lambda shares, kept: -torch.log1p(-shares[kept].sum()).nan_to_num(posinf=0.0),
                "você usou a parte que q deixou de fora. Na KL(q ‖ p), só conta o que acontece onde q está.",
            ),
            Mistake(
                lambda shares, kept: -kept.double().mean().log(),
                "você contou modas. Elas não pesam igual: some as partes.",
            ),
            Mistake(
                lambda shares, kept: -(shares[kept].log()).sum(),
                "q se espalha pelas modas que cobre: primeiro se somam as partes, e depois vem o logaritmo.",
            ),
            Mistake(
                lambda shares, kept: -(shares[kept] * shares[kept].log()).sum(),
                "isso parece uma entropia de p. Compare q com p: dentro das modas cobertas, a razão q/p é constante.",
            ),
            Mistake(
                lambda shares, kept: -shares[kept].sum().log2(),
                "o resultado está em bits. Aqui tudo é em nats: logaritmo natural.",
            ),
            Mistake(
                lambda shares, kept: 1 - shares[kept].sum(),
                "isso é a parte da massa que se perdeu, e não uma KL.",
            ),
        ),
        measure=on_cases(*_SHARES),
        insight="Perder uma moda rara custa quase nada, e por isso a KL reversa a abandona.",
    ),
    Exercise(
        id="10.4",
        solution=_affine,
        mistakes=(
            Mistake(
                _without_entropy,
                "a sua q encolheu até virar um ponto no fundo da energia. Falta ln q na perda: é ele que a mantém aberta.",
            ),
            Mistake(
                _diagonal,
                "a sua q é diagonal: falta a parte de L fora da diagonal, que a inclina.",
            ),
            Mistake(
                _factor,
                "isso é L, e não a covariância. Que covariância tem z = m + Lε?",
            ),
            Mistake(
                lambda energy: (torch.zeros(2), _affine(energy)[1]),
                "a covariância está certa, mas a média ficou parada na origem. O otimizador a conhece?",
            ),
            Mistake(
                lambda energy: (torch.zeros(2), torch.eye(2)),
                "a sua q é a do começo: nada foi treinado. O otimizador conhece os parâmetros, e dá passos?",
            ),
        ),
        measure=behaviour(trained),
        tolerance=0.12,
        insight="Sem conhecer Z nem sortear de p: bastou saber a energia.",
        hint="Se está quase lá, dê mais passos, use mais sorteios em cada um ou diminua a taxa de aprendizado no fim.",
    ),
    Exercise(
        id="10.5",
        solution=_linear_iaf,
        mistakes=(
            Mistake(
                lambda sd_1, sd_2, rho: (sd_1, rho * sd_2 / sd_1, sd_2 * torch.sqrt(1 - rho**2)),
                "esse a é a inclinação de z₂ em z₁. Na IAF, o que entra na conta é ε₁, que tem variância 1.",
            ),
            Mistake(
                lambda sd_1, sd_2, rho: (sd_1, rho * sd_2, sd_2 * (1 - rho**2)),
                "s₂ é um desvio padrão, e o que sobra a z₂, dado ε₁, calcula-se em variâncias.",
            ),
            Mistake(
                lambda sd_1, sd_2, rho: (sd_1, rho * sd_2, sd_2),
                "assim z₂ fica com variância demais: a parte que vem de ε₁ já conta.",
            ),
            Mistake(
                lambda sd_1, sd_2, rho: (sd_1, rho, torch.sqrt(1 - rho**2)),
                "isso serve para z₂ de variância 1. Falta a escala dela.",
            ),
            Mistake(
                lambda sd_1, sd_2, rho: (sd_1, rho * sd_1 * sd_2, sd_2 * torch.sqrt(1 - rho**2)),
                "ρ·sd₁·sd₂ é a covariância de z₁ e z₂. Dela até a, falta dividir pela escala de z₁.",
            ),
            Mistake(
                lambda sd_1, sd_2, rho: (sd_1**2, rho * sd_2, sd_2 * torch.sqrt(1 - rho**2)),
                "s₁ multiplica o ruído: é um desvio padrão, e não uma variância.",
            ),
            *reduced(_linear_iaf, over="os casos"),
        ),
        measure=on_cases((_SD_1, _SD_2, _RHO), (_SD_2, _SD_1, -_RHO)),
        insight="É a decomposição de Cholesky: toda normal cabe numa IAF linear, e a lacuna da diagonal some.",
    ),
)
