"""Onde se anda no espaço latente: entre dois códigos, e em volta da prior."""

import math

import torch
from torch import Tensor

from vae_lessons.distributions import Normal

_TOO_SMALL = 1e-6  # norma ou seno abaixo do qual não há direção


def slerp(start: Tensor, end: Tensor, t: float) -> Tensor:
    """Ponto t ∈ [0, 1] do caminho esférico de start [Z] a end [Z]: t = 0 dá start, t = 1 dá end.

    A direção gira por igual no arco de círculo máximo (Shoemake, 1985, "Animating rotation with quaternion curves") e
    a norma varia em linha reta: não se passa pelo miolo, onde quase não há massa da prior quando Z é grande.
    Sem direção definida (norma quase nula) ou com direções quase iguais, o caminho é a reta. Entre direções opostas há
    infinitos arcos: toma-se sempre o mesmo, exceto com Z = 1, em que não há para onde girar e o caminho é a reta.
    """
    start_norm, end_norm = start.norm(), end.norm()
    if min(start_norm, end_norm) < _TOO_SMALL:
        return torch.lerp(start, end, t)
    u, v = start / start_norm, end / end_norm
    angle = 2 * torch.atan2((v - u).norm(), (v + u).norm())  # Kahan: exato também perto de 0 e de π
    if math.pi - angle < _TOO_SMALL and len(u) > 1:
        v = torch.nn.functional.one_hot(u.abs().argmin(), len(u)).to(u)  # o eixo mais afastado de u
    across = v - (u @ v) * u
    if angle < _TOO_SMALL or across.norm() < _TOO_SMALL:
        return torch.lerp(start, end, t)
    direction = torch.cos(t * angle) * u + torch.sin(t * angle) * across / across.norm()
    return torch.lerp(start_norm, end_norm, t) * direction


def is_standard_normal(prior) -> bool:
    """A prior é N(0, I)?"""
    return isinstance(prior, Normal) and not (prior.mean.any() or prior.log_var.any())
