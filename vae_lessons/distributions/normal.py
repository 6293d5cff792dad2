"""A normal fatorada."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

_LOG_2PI = math.log(2 * math.pi)


class Normal(NamedTuple):
    """Normal fatorada N(mean, exp(log_var)); os dois parâmetros têm a mesma forma [..., Z]."""

    mean: Tensor
    log_var: Tensor

    def log_prob(self, value: Tensor) -> Tensor:
        """log N(value; mean, σ²) por dimensão, com a constante −½ log 2π."""
        return -0.5 * (_LOG_2PI + self.log_var + (value - self.mean).square() * torch.exp(-self.log_var))

    def rsample(self, noise: Tensor | None = None) -> Tensor:
        """z = μ + σ ⊙ ε, diferenciável em μ e σ. `noise` é ε ~ N(0, I) e pode ter dimensões a mais à frente."""
        if noise is None:
            noise = torch.randn_like(self.mean)
        return self.mean + torch.exp(0.5 * self.log_var) * noise

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Uma amostra [..., Z], sem gradiente."""
        noise = torch.randn(self.mean.shape, generator=generator, dtype=self.mean.dtype, device=self.mean.device)
        return self.rsample(noise).detach()


def kl_of_normals(q: Normal, p: Normal) -> Tensor:
    """½ (log σ_p² − log σ_q² + (σ_q² + (μ_q − μ_p)²) / σ_p² − 1) por dimensão, [..., Z]."""
    difference = q.log_var - p.log_var
    distance = (q.mean - p.mean).square() * torch.exp(-p.log_var)
    return 0.5 * (torch.expm1(difference) - difference + distance)
