"""Gama, Beta e Dirichlet: uma família só, a das gamas e das razões entre elas.

Nenhuma tem z = g(ε, φ) em forma fechada, e todas têm gradiente por reparametrização: a implícita, ∂z/∂φ =
−(∂F/∂φ)/p(z), com F a função de distribuição acumulada (Figurnov, Mohamed e Mnih, 2018; Jankowiak e Obermeyer, 2018).
As derivadas são as do torch, com erro relativo de 1e-3 ou menos; não têm segunda derivada.

As amostras saem do método de Marsaglia e Tsang (2000), uma rejeição em que se sorteiam de uma vez `_CANDIDATES`
propostas e se fica com uma das aceitas. Não há laço, só torch.randn e torch.rand, e por isso ele serve com
`generator`, sob vmap e em fit_many. Cada proposta é aceita com probabilidade 0,95 ou mais; que nenhuma o seja tem
probabilidade 4e-11. O preço é a memória de 8 propostas por amostra.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from vae_lessons.distributions.domain import requires
from vae_lessons.distributions.special import lgamma_divergence, log1p_gap, stirling

_CANDIDATES = 8


@requires(concentration="> 0", rate="> 0")
class Gamma(NamedTuple):
    """Gama de densidade rᵃ z^(a−1) e^(−rz) / Γ(a) em z > 0, com a = concentration e r = rate (o inverso da escala).

    Os dois parâmetros têm a mesma forma [..., Z]. Levanta ValueError, ao ser criada, se um deles não for maior que
    zero.
    """

    concentration: Tensor
    rate: Tensor

    @property
    def mean(self) -> Tensor:
        """E[z] = a / r, [..., Z]; a variância é a / r²."""
        return self.concentration / self.rate

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-densidade por dimensão, em nats; −∞ onde value < 0."""
        value = torch.as_tensor(value, device=self.rate.device)
        inside = value >= 0
        log_prob = _log_gamma_density(self.concentration, self.rate, torch.where(inside, value, 1.0))
        return torch.where(inside, log_prob, -torch.inf)

    def rsample(self, noise: Tensor | None = None) -> Tensor:
        """z = g / r, [..., Z], com gradiente em r e, implícito, em a.

        noise: g ~ Gama(a, 1) já sorteado, que pode ter dimensões a mais à frente: o gradiente é o de z que desliza com
        F(g; a) fixa. z nunca é menor que o menor número normal (1e-38 em float32): em zero, que uma gama de a pequeno
        arredonda muitas vezes, log_prob e os gradientes não seriam finitos.
        """
        if noise is None:
            noise = _gamma_draw(self)
        tiny = torch.finfo(self.concentration.dtype).tiny
        g = _ImplicitGamma.apply(self.concentration.expand_as(noise), noise.clamp(min=tiny))
        return _floored(g / self.rate, tiny)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Uma amostra [..., Z], sem gradiente."""
        with torch.no_grad():
            return self.rsample(_gamma_draw(self, generator))


@requires(alpha="> 0", beta="> 0")
class Beta(NamedTuple):
    """Beta de densidade z^(a−1) (1 − z)^(b−1) / B(a, b) em 0 < z < 1, com a = alpha e b = beta.

    Os dois parâmetros têm a mesma forma [..., Z]. Levanta ValueError, ao ser criada, se um deles não for maior que
    zero.
    """

    alpha: Tensor
    beta: Tensor

    @property
    def mean(self) -> Tensor:
        """E[z] = a / (a + b), [..., Z]."""
        return self.alpha / (self.alpha + self.beta)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-densidade por dimensão, em nats; −∞ fora de [0, 1]."""
        value = torch.as_tensor(value, dtype=self.alpha.dtype, device=self.alpha.device)
        proportions = torch.stack(torch.broadcast_tensors(value, 1 - value), -1)
        return _as_dirichlet(self).log_prob(proportions)

    def rsample(self, noise: Tensor | None = None) -> Tensor:
        """z ~ Beta, [..., Z], com gradiente implícito nos dois parâmetros.

        noise: z já sorteado, que pode ter dimensões a mais à frente: o gradiente é o de z que desliza com F(z) fixa.
        z fica entre o menor número normal e 1 − ε/2, porque em 0 e em 1 log_prob e os gradientes não seriam finitos.
        """
        noise = _beta_draw(self) if noise is None else noise
        concentration = torch.stack([each.expand_as(noise) for each in self], -1)
        z = _inside(noise)
        return _ImplicitDirichlet.apply(concentration, torch.stack([z, 1 - z], -1))[..., 0]

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Uma amostra [..., Z], sem gradiente."""
        with torch.no_grad():
            return _inside(_beta_draw(self, generator))


@requires(concentration="> 0")
class Dirichlet(NamedTuple):
    """Dirichlet sobre as proporções θ [..., K], θ_k > 0 e Σ θ_k = 1, de densidade ∝ Π θ_k^(α_k − 1).

    concentration: α [..., K]. As K proporções são uma variável só: `log_prob` e a KL têm a forma [...].
    Levanta ValueError, ao ser criada, se algum α não for maior que zero.
    """

    concentration: Tensor

    @property
    def mean(self) -> Tensor:
        """E[θ] = α / Σ α, [..., K]."""
        return self.concentration / self.concentration.sum(-1, keepdim=True)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-densidade, em relação às K − 1 primeiras proporções, de θ [..., K]: um valor por simplex, [...], em nats.

        −∞ se alguma proporção for negativa ou se a soma não for 1, a não ser por arredondamento (1e-3).
        A conta é a de K gamas de taxa Σα condicionadas à soma 1, que não perde dígitos com α grande, nem os multiplica
        por α se o arredondamento tirar θ do simplex. O gradiente em θ_k é o da fórmula usual, (α_k − 1)/θ_k.
        """
        alpha, total = self.concentration, self.concentration.sum(-1, keepdim=True)
        excess = value.sum(-1) - 1
        inside = (value >= 0).all(-1) & (excess.abs() < 1e-3)
        proportions = torch.where(inside.unsqueeze(-1), value, 0.5)
        by_part = _log_gamma_density(alpha, total, proportions)
        total = total.squeeze(-1)
        of_sum = _log_gamma_density(total, total, torch.ones_like(total)) - total * (excess - excess.detach())
        return torch.where(inside, by_part.sum(-1) - of_sum, -torch.inf)

    def rsample(self, noise: Tensor | None = None) -> Tensor:
        """θ ~ Dirichlet, [..., K], com gradiente em α: o implícito do torch, que não sai do simplex.

        noise: θ já sorteado, que pode ter dimensões a mais à frente. Nenhuma proporção é menor que o menor número
        normal (1e-38 em float32), porque em zero log_prob e os gradientes não seriam finitos.
        """
        noise = _dirichlet_draw(self) if noise is None else noise
        return _ImplicitDirichlet.apply(self.concentration.expand_as(noise), _inside(noise))

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Uma amostra [..., K], sem gradiente."""
        with torch.no_grad():
            return _inside(_dirichlet_draw(self, generator))


def kl_of_gammas(q: Gamma, p: Gamma) -> Tensor:
    """(a_q − a_p) ψ(a_q) − log Γ(a_q) + log Γ(a_p) + a_p log(r_q / r_p) + a_q (r_p / r_q − 1) por dimensão, [..., Z].

    Os termos são reunidos em diferenças que não perdem dígitos: ver `special`.
    """
    ratio = p.rate / q.rate
    excess = (p.rate - q.rate) / q.rate
    rates = p.concentration * log1p_gap(excess, ratio) + (q.concentration - p.concentration) * excess
    return lgamma_divergence(p.concentration, q.concentration) + rates


def kl_of_betas(q: Beta, p: Beta) -> Tensor:
    """KL por dimensão, [..., Z]: a de duas Dirichlets de duas proporções."""
    return kl_of_dirichlets(_as_dirichlet(q), _as_dirichlet(p))


def kl_of_dirichlets(q: Dirichlet, p: Dirichlet) -> Tensor:
    """KL por simplex, [...]: log Γ(Σq) − log Γ(Σp) − Σ (log Γ(q_k) − log Γ(p_k)) + Σ (q_k − p_k) (ψ(q_k) − ψ(Σq))."""
    ours, theirs = q.concentration, p.concentration
    by_part = lgamma_divergence(theirs, ours).sum(-1)
    return by_part - lgamma_divergence(theirs.sum(-1), ours.sum(-1))


def _as_dirichlet(q: Beta) -> Dirichlet:
    """A Dirichlet de (z, 1 − z), [..., Z, 2]."""
    return Dirichlet._make([torch.stack(torch.broadcast_tensors(*q), -1)])


def _log_gamma_density(a: Tensor, rate: Tensor, z: Tensor) -> Tensor:
    """a log r + (a − 1) log z − r z − log Γ(a), em z ≥ 0.

    Com a grande, os termos são milhares de nats que se cancelam; pela fórmula de Stirling, as diferenças são pequenas.
    """
    large = (a > 10) & (z > 0)
    big, there = torch.where(large, a, 11.0), torch.where(large, z, 1.0)
    scaled = torch.where(large, rate * there, 11.0)
    gap = big * log1p_gap((scaled - big) / big, scaled / big)
    by_stirling = 0.5 * torch.log(big / (2 * math.pi)) - gap - stirling(big) - torch.log(there)
    little, here = torch.where(large, 1.0, a), torch.where(large, 1.0, z)
    usual = torch.xlogy(little - 1, here) + little * torch.log(rate) - rate * here - torch.lgamma(little)
    return torch.where(large, by_stirling, usual)


class _ImplicitGamma(torch.autograd.Function):
    """g, com ∂g/∂a = −(∂F/∂a)(g) / p(g)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(concentration: Tensor, g: Tensor) -> Tensor:
        return g.clone()

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        concentration, g = ctx.saved_tensors
        return gradient * _Elementwise.apply(torch._standard_gamma_grad, concentration, g), None


class _ImplicitDirichlet(torch.autograd.Function):
    """θ, com a j-ésima linha de ∂θ/∂α igual a G_j (e_j − θ), em que G_j = ∂θ_j/∂α_j / (1 − θ_j) vem da marginal, que é
    uma Beta. É a escolha do torch entre os vários gradientes sem viés que uma Dirichlet tem."""

    generate_vmap_rule = True

    @staticmethod
    def forward(concentration: Tensor, theta: Tensor) -> Tensor:
        return theta.clone()

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        concentration, theta = ctx.saved_tensors
        total = concentration.sum(-1, keepdim=True).expand_as(concentration)
        slopes = _Elementwise.apply(torch._dirichlet_grad, theta, concentration, total)
        return slopes * (gradient - (theta * gradient).sum(-1, keepdim=True)), None


class _Elementwise(torch.autograd.Function):
    """function(*tensores da mesma forma), elemento a elemento, com a regra de vmap que o torch não dá às suas."""

    @staticmethod
    def forward(function, *tensors: Tensor) -> Tensor:
        return function(*(tensor.contiguous() for tensor in tensors))

    @staticmethod
    def setup_context(ctx, inputs: tuple, output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx, gradient: Tensor):
        raise NotImplementedError(
            "O gradiente implícito não tem segunda derivada: use torch.autograd.grad sem create_graph=True."
        )

    @staticmethod
    def vmap(info, in_dims: tuple, function, *tensors: Tensor) -> tuple[Tensor, int]:
        aligned = [
            tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
            for tensor, dim in zip(tensors, in_dims[1:], strict=True)
        ]
        return _Elementwise.apply(function, *aligned), 0


def _floored(z: Tensor, least: float) -> Tensor:
    """z, ou `least` onde z for menor, com o gradiente de z, que `clamp` apagaria."""
    return z + (z.detach().clamp(min=least) - z.detach())


def _inside(z: Tensor) -> Tensor:
    """z sem os zeros e os uns a que o arredondamento leva."""
    limits = torch.finfo(z.dtype)
    return z.clamp(limits.tiny, 1 - limits.eps / 2)


def _log_gamma_draw(concentration: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """log g, com g ~ Gama(concentration, 1): o logaritmo existe mesmo quando g seria arredondado para zero.

    De Marsaglia e Tsang (2000), com concentração 1 maior, e daí g = g₊ u^(1/a), que é exato para todo a > 0.
    """
    options = {"generator": generator, "dtype": concentration.dtype, "device": concentration.device}
    tiny = torch.finfo(concentration.dtype).tiny
    shape = (_CANDIDATES, *concentration.shape)
    d = concentration + 2 / 3
    x = torch.randn(shape, **options)
    root = (1 + x / (3 * d.sqrt())).clamp(min=tiny)
    log_cube = 3 * root.log()
    log_u = torch.rand(shape, **options).clamp(min=tiny).log()
    accepted = log_u < 0.5 * x.square() + d * (1 - root**3 + log_cube)
    log_g = d.log() + _pick(accepted, log_cube)
    return log_g + torch.rand(concentration.shape, **options).clamp(min=tiny).log() / concentration


def _pick(accepted: Tensor, values: Tensor) -> Tensor:
    """Um dos valores aceitos de cada coluna, escolhido sem olhar os valores: [T, ...] → [...]."""
    return values.gather(0, accepted.byte().max(0, keepdim=True).indices)[0]


def _gamma_draw(q: Gamma, generator: torch.Generator | None = None) -> Tensor:
    """g ~ Gama(a, 1), na forma a que os dois parâmetros se estendem."""
    concentration, _ = torch.broadcast_tensors(*q)
    return _log_gamma_draw(concentration.detach(), generator).exp()


def _beta_draw(q: Beta, generator: torch.Generator | None = None) -> Tensor:
    """g₁ / (g₁ + g₀), com g₁ ~ Gama(a, 1) e g₀ ~ Gama(b, 1)."""
    log_odds = [_log_gamma_draw(parameter.detach(), generator) for parameter in torch.broadcast_tensors(*q)]
    return torch.sigmoid(log_odds[0] - log_odds[1])


def _dirichlet_draw(q: Dirichlet, generator: torch.Generator | None = None) -> Tensor:
    """g_k / Σ g_j, com g_k ~ Gama(α_k, 1)."""
    return torch.softmax(_log_gamma_draw(q.concentration.detach(), generator), -1)
