"""Distribuições como funções puras dos seus parâmetros.

Sem validação na conta (que obrigaria a GPU a parar e responder) e sem reduções: `log_prob` e `kl_divergence` devolvem
um valor por dimensão, em nats. Somar sobre as dimensões é tarefa de quem chama.
As de parâmetros positivos (Gamma, Beta, Dirichlet, VonMises e as binomiais negativas) os conferem uma vez, ao serem
criadas, e só na CPU e fora de um modelo: ver `domain`.
As de torch.distributions, e outras escritas por quem usa o pacote, servem onde estas servem: basta que tenham
`log_prob` e `rsample` ou `sample`.
"""

from vae_lessons.distributions.bernoulli import Bernoulli, ContinuousBernoulli
from vae_lessons.distributions.categorical import (
    Categorical,
    one_hot_argmax,
    require_temperature,
    straight_through_of,
)
from vae_lessons.distributions.gamma import Beta, Dirichlet, Gamma
from vae_lessons.distributions.kl import has_closed_form_kl, kl_divergence
from vae_lessons.distributions.negative_binomial import NegativeBinomial, ZeroInflatedNegativeBinomial
from vae_lessons.distributions.normal import Normal
from vae_lessons.distributions.sampling import (
    Distribution,
    copies,
    draw,
    draws,
    is_family,
    joint_log_prob,
    unvalidated,
)
from vae_lessons.distributions.von_mises import VonMises

__all__ = [
    "Bernoulli",
    "Beta",
    "Categorical",
    "ContinuousBernoulli",
    "Dirichlet",
    "Distribution",
    "Gamma",
    "NegativeBinomial",
    "Normal",
    "VonMises",
    "ZeroInflatedNegativeBinomial",
    "copies",
    "draw",
    "draws",
    "has_closed_form_kl",
    "is_family",
    "joint_log_prob",
    "kl_divergence",
    "one_hot_argmax",
    "require_temperature",
    "straight_through_of",
    "unvalidated",
]
