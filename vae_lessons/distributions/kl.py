"""A divergência KL, onde há fórmula fechada."""

from torch import Tensor
from torch import distributions as td

from vae_lessons.distributions.categorical import Categorical, kl_of_categoricals
from vae_lessons.distributions.gamma import Beta, Dirichlet, Gamma, kl_of_betas, kl_of_dirichlets, kl_of_gammas
from vae_lessons.distributions.normal import Normal, kl_of_normals
from vae_lessons.distributions.von_mises import VonMises, kl_of_von_mises

_FORMULAS = {
    Normal: kl_of_normals,
    Categorical: kl_of_categoricals,
    Gamma: kl_of_gammas,
    Beta: kl_of_betas,
    Dirichlet: kl_of_dirichlets,
    VonMises: kl_of_von_mises,
}


def kl_divergence(q, p) -> Tensor:
    """KL(q ‖ p) por dimensão latente, em nats, de duas distribuições da mesma família: [..., Z] para Normal, Gamma,
    Beta e VonMises, [..., N] para Categorical e [...] para Dirichlet, em que as K proporções são uma variável só.

    Duas normais: ½ (log σ_p² − log σ_q² + (σ_q² + (μ_q − μ_p)²) / σ_p² − 1) (Kingma e Welling, 2014, apêndice B,
    para p = N(0, I)). Duas categóricas: Σ_k q_k (log q_k − log p_k), que é log K menos a entropia de q se p for
    uniforme; uma classe com q_k = 0 não conta, e uma com p_k = 0 < q_k dá ∞. As outras fórmulas estão ao lado das
    famílias. As de torch.distributions que têm par aqui, também dentro de Independent, contam como as daqui.
    Levanta TypeError para um par sem fórmula fechada conhecida aqui.
    """
    ours_q, ours_p = _as_ours(q), _as_ours(p)
    if (family := _common_family(ours_q, ours_p)) is None:
        raise TypeError(
            f"Não há KL em forma fechada de {type(q).__name__} para {type(p).__name__}; há entre duas "
            f"{', '.join(each.__name__ for each in _FORMULAS)}. Estime-a pela média de log q(z) − log p(z) em z ~ q."
        )
    return _FORMULAS[family](ours_q, ours_p)


def has_closed_form_kl(q, p) -> bool:
    """Se kl_divergence(q, p) existe."""
    return _common_family(_as_ours(q), _as_ours(p)) is not None


def _common_family(q, p) -> type | None:
    families = (family for family in _FORMULAS if isinstance(q, family) and isinstance(p, family))
    return next(families, None)


def _as_ours(distribution):
    """A mesma distribuição, com as classes deste pacote, se for uma das de torch.distributions que têm par aqui."""
    if isinstance(distribution, td.Independent):
        ours = _as_ours(distribution.base_dist)
        return ours if isinstance(ours, tuple(_FORMULAS)) else distribution
    convert = _FROM_TORCH.get(type(distribution))
    return convert(distribution) if convert else distribution


_FROM_TORCH = {
    td.Normal: lambda d: Normal(d.loc, 2 * d.scale.log()),
    td.OneHotCategorical: lambda d: Categorical(d.logits),
    td.Gamma: lambda d: Gamma._make([d.concentration, d.rate]),
    td.Beta: lambda d: Beta._make([d.concentration1, d.concentration0]),
    td.Dirichlet: lambda d: Dirichlet._make([d.concentration]),
    td.VonMises: lambda d: VonMises._make([d.loc, d.concentration]),
}
