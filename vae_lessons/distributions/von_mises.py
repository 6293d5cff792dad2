"""A von Mises: a normal de um círculo, para ângulos."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae_lessons.distributions.domain import requires

_CANDIDATES = 24
_FAR = 20.0  # nats abaixo da densidade em z, onde a integral da cauda acaba: e^(−20) = 2e-9
_LARGE = 50.0
_SPREAD_SERIES = 1 / 2, 1 / 8, 1 / 8, 25 / 128, 13 / 32, 1073 / 1024  # de κ (1 − I₁/I₀), em potências de 1/κ
_I0_SERIES = tuple(  # de √(2πκ) e^(−κ) I₀(κ) − 1: Π (2j − 1)² / (8ᵏ k!), de k = 1 em diante
    math.prod((2 * j - 1) ** 2 / (8 * j) for j in range(1, k + 1)) for k in range(1, 9)
)
_NODES, _WEIGHTS = (tuple(each.tolist()) for each in np.polynomial.legendre.leggauss(20))


@requires(loc="real", concentration="≥ 0")
class VonMises(NamedTuple):
    """Ângulo de densidade exp(κ cos(z − μ)) / (2π I₀(κ)), com μ = loc e κ = concentration; κ = 0 é a uniforme.

    Os dois parâmetros têm a mesma forma [..., Z]. Para κ grande, é perto de N(μ, 1/κ).
    Levanta ValueError, ao ser criada, se concentration < 0.
    """

    loc: Tensor
    concentration: Tensor

    @property
    def mean(self) -> Tensor:
        """A direção média, μ, [..., Z]: o ângulo de E[(cos z, sen z)]. Com κ = 0, nenhuma direção é a média."""
        return self.loc

    @property
    def resultant_length(self) -> Tensor:
        """A = E[cos(z − μ)] = I₁(κ) / I₀(κ), de 0 (uniforme) a 1 (um ponto); dA/dκ = 1 − A/κ − A²."""
        return 1 - _spread(self.concentration)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-densidade por dimensão, em nats, de ângulos em radianos; somar 2π a value não muda nada.

        κ (cos(z − μ) − 1) − log(2π e^(−κ) I₀(κ)): nada transborda, e nada se perde com κ = 1e4.
        """
        below_peak = 2 * torch.sin(0.5 * (value - self.loc)).square()
        return -self.concentration * below_peak - math.log(2 * math.pi) - _log_i0e(self.concentration)

    def rsample(self, noise: Tensor | None = None) -> Tensor:
        """z = μ + φ, em [−π, π), com gradiente 1 em μ (o giro de 2π não o muda) e, implícito, em κ.

        noise: φ ~ von Mises(0, κ) já sorteado, que pode ter dimensões a mais à frente: o gradiente é o de φ que desliza
        com F(φ; κ) fixa, ∂φ/∂κ = −(∂F/∂κ)/p(φ) (Figurnov, Mohamed e Mnih, 2018), por quadratura.
        """
        noise = self._draw() if noise is None else noise
        angle = _ImplicitAngle.apply(self.concentration.expand_as(noise), noise)
        z = self.loc + angle
        return z - 2 * math.pi * torch.floor((z + math.pi) / (2 * math.pi))

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Uma amostra [..., Z] em [−π, π), sem gradiente."""
        with torch.no_grad():
            return self.rsample(self._draw(generator))

    @torch.no_grad()
    def _draw(self, generator: torch.Generator | None = None) -> Tensor:
        """φ ~ von Mises(0, κ), pela rejeição de Best e Fisher (1979), sem laço: as propostas são sorteadas de uma vez,
        e fica uma das aceitas. Cada uma o é com probabilidade 0,65 ou mais; que nenhuma o seja, 1e-11.
        O preço é a memória de 24 propostas por amostra.

        As fórmulas são as do artigo, reescritas para que κ = 0 e κ = 1e4 não percam dígitos.
        """
        kappa = self.concentration
        shape = (_CANDIDATES, *torch.broadcast_shapes(kappa.shape, self.loc.shape))
        options = {"generator": generator, "dtype": kappa.dtype, "device": kappa.device}
        u, v = torch.rand(shape, **options), torch.rand(shape, **options)
        root = torch.hypot(torch.ones_like(kappa), 2 * kappa)
        tau = 1 + root
        below = tau + (2 * tau).sqrt()
        rho = 2 * kappa / below
        below_one = (1 + 1 / (root + 2 * kappa) + (2 * tau).sqrt()) / below  # 1 − ρ
        pull, slack = 2 * rho / (1 + rho.square()), below_one.square() / (1 + rho.square())  # slack = 1 − pull
        square = torch.sin(0.5 * math.pi * u).square()
        sine = slack * square / (slack + 2 * pull * (1 - square))  # sen²(φ/2)
        c = 0.25 * below * below_one.square() + 2 * kappa * sine
        accepted = torch.log(c / v) + 1 - c >= 0
        chosen = sine.gather(0, accepted.byte().max(0, keepdim=True).indices)[0]
        sign = torch.where(torch.rand(shape[1:], **options) < 0.5, -1.0, 1.0)
        return sign * 2 * torch.asin(chosen.clamp(max=1).sqrt())


def kl_of_von_mises(q: VonMises, p: VonMises) -> Tensor:
    """A_q (κ_q − κ_p cos(μ_q − μ_p)) − log I₀(κ_q) + log I₀(κ_p) por dimensão, [..., Z]; se p for uniforme (κ_p = 0),
    κ_q A_q − log I₀(κ_q). Escrita com 1 − A e e^(−κ) I₀, que não perdem dígitos."""
    spread = _spread(q.concentration)
    apart = 2 * torch.sin(0.5 * (q.loc - p.loc)).square()
    turned = p.concentration * (1 - spread) * apart
    normalizers = _log_i0e(p.concentration) - _log_i0e(q.concentration)
    return p.concentration * spread - _scaled_spread(q.concentration) + turned + normalizers


def _log_i0e(kappa: Tensor) -> Tensor:
    """log(e^(−κ) I₀(κ)). Perto de zero, por I₀: em κ = 0, o torch dá a i0e a derivada 0, e ela é −1. Para κ grande,
    pela série assintótica: a derivada de i0e no torch é a diferença de dois números que ali são iguais."""
    small, large = kappa < 1, kappa > _LARGE
    little, rest = torch.where(small, kappa, 1.0), torch.where(small | large, 1.0, kappa)
    big = torch.where(large, kappa, _LARGE)
    correction = torch.log1p(_polynomial(1 / big, (0, *_I0_SERIES)))
    asymptotic = correction - 0.5 * torch.log(big) - 0.5 * math.log(2 * math.pi)
    usual = torch.where(small, torch.log(torch.special.i0(little)) - little, torch.log(torch.special.i0e(rest)))
    return torch.where(large, asymptotic, usual)


def _spread(kappa: Tensor) -> Tensor:
    """1 − A(κ) = 1 − I₁/I₀; para κ grande, pela série assintótica 1/(2κ) + 1/(8κ²) + …, sem a subtração."""
    large = kappa > _LARGE
    little, inverse = torch.where(large, 1.0, kappa), 1 / torch.where(large, kappa, _LARGE)
    series = inverse * _polynomial(inverse, _SPREAD_SERIES)
    return torch.where(large, series, 1 - torch.special.i1e(little) / torch.special.i0e(little))


def _scaled_spread(kappa: Tensor) -> Tensor:
    """κ (1 − A(κ)), que tende a ½: para κ grande, sem o quadrado de 1/κ que a derivada do produto pediria."""
    large = kappa > _LARGE
    little, inverse = torch.where(large, 1.0, kappa), 1 / torch.where(large, kappa, _LARGE)
    return torch.where(large, _polynomial(inverse, _SPREAD_SERIES), little * _spread(little))


def _polynomial(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """Σ c_k xᵏ."""
    total = torch.zeros_like(x)
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


class _ImplicitAngle(torch.autograd.Function):
    """φ, com ∂φ/∂κ = −(∂F/∂κ)/p(φ)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(kappa: Tensor, angle: Tensor) -> Tensor:
        return angle.clone()

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * _slide(*ctx.saved_tensors), None


def _slide(kappa: Tensor, angle: Tensor) -> Tensor:
    """∂φ/∂κ para φ em [−π, π], por quadratura de Gauss–Legendre com 20 pontos, de uma vez: menos memória que o
    sorteio.

    Para φ ≥ 0, −(∂F/∂κ)/p = −∫₀^φ e^(κ(cos t − cos φ)) (cos t − A) dt, que é também +∫_φ^π do mesmo, porque de 0 a π a
    integral é zero. Usa-se a primeira onde cos φ > A e a segunda onde não: assim o integrando tem um sinal só e nada se
    cancela. A segunda para onde a densidade já caiu e^(−20).
    """
    kappa, angle = kappa.detach(), angle.detach()
    size, spread = angle.abs().clamp(max=math.pi), _spread(kappa)
    from_zero = 2 * torch.sin(0.5 * size).square() < spread
    far = 2 * torch.asin((torch.sin(0.5 * size).square() + 0.5 * _FAR / kappa).clamp(max=1).sqrt())
    low, high = torch.where(from_zero, 0.0, size), torch.where(from_zero, size, far)
    nodes, weights = size.new_tensor((_NODES, _WEIGHTS)).reshape(2, -1, *[1] * size.ndim)
    t = low + 0.5 * (1 + nodes) * (high - low)
    fall = 2 * torch.sin(0.5 * (size - t)) * torch.sin(0.5 * (size + t))  # cos t − cos φ
    terms = weights * torch.exp(kappa * fall) * (spread - 2 * torch.sin(0.5 * t).square())
    integral = 0.5 * (high - low) * terms.sum(0)
    return torch.where(from_zero, -integral, integral) * torch.where(angle < 0, -1.0, 1.0)
