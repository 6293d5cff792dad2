"""Estimadores do gradiente de E_q[f(z)] em relação aos parâmetros de q. São intercambiáveis.

Cada um devolve o valor estimado de E_q[f(z)] e um substituto (*surrogate*): um escalar por exemplo cujo gradiente,
obtido por retropropagação, é a estimativa do gradiente da esperança.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from vae_lessons.distributions import Normal


class Estimate(NamedTuple):
    """value [B]: estimativa de E_q[f(z)] por exemplo · surrogate [B]: ∇surrogate estima ∇E_q[f(z)]."""

    value: Tensor
    surrogate: Tensor


def pathwise(f: Callable[[Tensor], Tensor], q: Normal, n_samples: int = 1) -> Estimate:
    """Gradiente pelo caminho (truque de reparametrização; Kingma e Welling, 2014; Rezende et al., 2014).

    f: [..., Z] → [...], diferenciável · q: Normal com parâmetros [B, Z] · n_samples: L ≥ 1 amostras por exemplo,
    cuja média é devolvida. Levanta ValueError se n_samples < 1 e TypeError se q não souber `rsample`.
    """
    if n_samples < 1:
        raise ValueError(
            f"n_samples deve ser ao menos 1 (o número L de amostras de Monte Carlo), mas veio {n_samples}."
        )
    if not hasattr(q, "rsample"):
        raise TypeError(
            f"pathwise precisa de uma distribuição reparametrizável, e {type(q).__name__} não tem `rsample`: "
            "não há z = g(ε, φ) diferenciável por onde o gradiente passe."
        )
    noise = torch.randn((n_samples, *q.mean.shape), dtype=q.mean.dtype, device=q.mean.device)
    value = f(q.rsample(noise)).mean(0)
    return Estimate(value, value)
