"""Três funções que não perdem dígitos onde as fórmulas usuais subtraem números grandes e quase iguais."""

import math

import torch
from torch import Tensor

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_LARGE = 10.0
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)  # B_2k / (2k (2k − 1))
_N_TERMS = 12


def log1p_gap(d: Tensor, ratio: Tensor | None = None) -> Tensor:
    """d − log(1 + d) ≥ 0, para d > −1, com erro relativo de arredondamento também perto de zero, onde vale d²/2.

    ratio: 1 + d, se quem chama o souber sem o erro da soma. Com w = d / (2 + d), log(1 + d) = 2 artanh w, e a diferença
    é d·w − 2 (w³/3 + w⁵/5 + …), sem cancelamento (a ideia é a de Loader, 2000, para a binomial).
    """
    ratio = 1 + d if ratio is None else ratio
    near_zero = (d > -0.34) & (d < 0.5)
    small = torch.where(near_zero, d, 0.0)
    w = small / (2 + small)
    square = w.square()
    tail = torch.zeros_like(w)
    for k in range(2 * _N_TERMS + 1, 1, -2):
        tail = tail * square + 1 / k
    series = small * w - 2 * w * square * tail
    return torch.where(near_zero, series, d - torch.log(torch.where(near_zero, 1.0, ratio)))


def stirling(t: Tensor) -> Tensor:
    """O que falta à fórmula de Stirling: log Γ(t) − [(t − ½) log t − t + ½ log 2π], para t > 0; ≈ 1/(12 t)."""
    large = t >= _LARGE
    big, little = torch.where(large, t, _LARGE), torch.where(large, 1.0, t)
    inverse = 1 / big
    square = inverse.square()
    series = torch.zeros_like(inverse)
    for coefficient in reversed(_STIRLING):
        series = series * square + coefficient
    # log Γ(t) = log Γ(t + 1) − log t, que não transborda perto de zero.
    direct = torch.lgamma(little + 1) - (little + 0.5) * torch.log(little) + little - _HALF_LOG_2PI
    return torch.where(large, series * inverse, direct)


def lgamma_divergence(p: Tensor, q: Tensor) -> Tensor:
    """log Γ(p) − log Γ(q) − (p − q) ψ(q) ≥ 0, a divergência de Bregman de log Γ: o que as KLs de Gama, Beta e Dirichlet
    têm em comum. Zero se p = q; perto disso, (p − q)² ψ′(q) / 2.

    Em p e q grandes, cada log Γ tem milhares de nats, e a diferença, quase nenhum: por isso a de Stirling é feita à
    parte, sem cancelamento.
    """
    by_stirling = p * log1p_gap((q - p) / p, q / p) + 0.5 * log1p_gap((p - q) / q, p / q)
    return by_stirling + (stirling(p) - stirling(q)) - (p - q) * stirling_slope(q)


def stirling_slope(t: Tensor) -> Tensor:
    """A derivada de `stirling`: ψ(t) − log t + 1/(2t), que é ≈ −1/(12 t²)."""
    large = t >= _LARGE
    big, little = torch.where(large, t, _LARGE), torch.where(large, 1.0, t)
    square = (1 / big).square()
    series = torch.zeros_like(big)
    for k, coefficient in reversed(list(enumerate(_STIRLING))):
        series = series * square - (2 * k + 1) * coefficient
    direct = torch.digamma(little) - torch.log(little) + 0.5 / little
    return torch.where(large, series * square, direct)
