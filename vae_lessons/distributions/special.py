"""Funções que não perdem dígitos onde as fórmulas usuais subtraem números grandes e quase iguais."""

import torch
from torch import Tensor

_LARGE = 10.0
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)  # B_2k / (2k (2k − 1))


def log1p_gap(d: Tensor, ratio: Tensor) -> Tensor:
    """g(d) = d − log(1 + d) ≥ 0, para d > −1, com erro relativo de arredondamento também perto de zero, onde g é d²/2.

    ratio: 1 + d, calculado sem o erro da soma; o gradiente passa por d, e é d / (1 + d).
    Com w = d / (2 + d), log(1 + d) = 2 artanh w, e a diferença é d·w − 2 (w³/3 + w⁵/5 + …), sem cancelamento (a ideia é
    a de Loader, 2000, para a binomial).
    """
    return _Log1pGap.apply(d, ratio)


def stirling(t: Tensor) -> Tensor:
    """S(t) = log Γ(t) − [(t − ½) log t − t + ½ log 2π], para t > 0: o que falta à fórmula de Stirling, ≈ 1/(12 t)."""
    return _Stirling.apply(t)


def stirling_slope(t: Tensor) -> Tensor:
    """S′(t) = ψ(t) − log t + 1/(2t), que é ≈ −1/(12 t²)."""
    small, u, little, y = _shifted(t)
    square = u.square().reciprocal()
    slopes = [-(2 * k + 1) * coefficient for k, coefficient in enumerate(_stirling_terms(t))]
    series = torch.full_like(square, slopes.pop())
    for slope in reversed(slopes):
        series = series * square + slope
    harmonic = (2 * little + 7) * sum((y + more).reciprocal() for more in (0, 6, 10, 12))  # Σ_{i<8} 1/(t + i)
    shift = torch.log1p(8 / little) - 0.5 / (little + 8) + 0.5 / little - harmonic
    return series * square + shift * small


def lgamma_divergence(p: Tensor, q: Tensor) -> Tensor:
    """log Γ(p) − log Γ(q) − (p − q) ψ(q) ≥ 0, a divergência de Bregman de log Γ: o que as KLs de Gama, Beta e Dirichlet
    têm em comum. Zero se p = q; perto disso, (p − q)² ψ′(q) / 2.

    Em p e q grandes, cada log Γ tem milhares de nats, e a diferença, quase nenhum: por isso a de Stirling é feita à
    parte, sem cancelamento.
    """
    by_stirling = p * log1p_gap((q - p) / p, q / p) + 0.5 * log1p_gap((p - q) / q, p / q)
    return by_stirling + (stirling(p) - stirling(q)) - (p - q) * stirling_slope(q)


def _shifted(t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Para t < 10, usa-se a série em t + 8, e volta-se por Γ(t + 8) = t (t + 1) … (t + 7) Γ(t): o que isso pede.

    Devolve onde t é pequeno, o argumento da série, t (10, onde não é pequeno) e y = t (t + 7), com que os fatores de
    Γ(t + 8) / Γ(t), dois a dois, são y, y + 6, y + 10 e y + 12.
    """
    small = t < _LARGE
    little = t.clamp(max=_LARGE)
    return small, t + 8 * small, little, little * (little + 7)


def _stirling_terms(t: Tensor) -> tuple[float, ...]:
    return _STIRLING if t.dtype == torch.float64 else _STIRLING[:3]


class _Log1pGap(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(d: Tensor, ratio: Tensor) -> Tensor:
        w = d.clamp(-0.34, 0.5)
        near_zero = w == d
        w = w.div_(w + 2)
        square = w.square()
        n_terms = 12 if d.dtype == torch.float64 else 5
        tail = square / (2 * n_terms + 1)
        for k in range(2 * n_terms - 1, 1, -2):
            tail.add_(1 / k).mul_(square)
        series = tail.neg_().mul_(w).mul_(2).add_(w * d)
        return torch.where(near_zero, series, d - torch.log(ratio))

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        d, ratio = ctx.saved_tensors
        return gradient * d / ratio, None


class _Stirling(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(t: Tensor) -> Tensor:
        small, u, little, y = _shifted(t)
        inverse = u.reciprocal()
        square = inverse.square()
        first, *terms, last = _stirling_terms(t)
        series = square * last
        for term in reversed(terms):
            series.add_(term).mul_(square)
        series.add_(first).mul_(inverse)
        product = y * (y + 6) * ((y + 10) * (y + 12))  # t (t + 1) … (t + 7)
        shift = torch.log((little + 8) ** 8 / product) + (little - 0.5) * torch.log1p(8 / little) - 8
        return series.add_(shift.mul_(small))

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return gradient * stirling_slope(*ctx.saved_tensors)
