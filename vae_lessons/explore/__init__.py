"""Exploradores interativos: os controles obedecem ao mouse, ao teclado e ao código, e a figura acompanha."""

from vae_lessons.explore.beta import BetaExplorer, explore_beta
from vae_lessons.explore.elbo import ElboExplorer, explore_elbo
from vae_lessons.explore.gradients import GradientExplorer, explore_gradients
from vae_lessons.explore.gumbel import GumbelExplorer, explore_gumbel
from vae_lessons.explore.latent import LatentExplorer, explore_latent
from vae_lessons.explore.paths import slerp
from vae_lessons.explore.water import WaterExplorer, explore_water

__all__ = [
    "BetaExplorer",
    "ElboExplorer",
    "GradientExplorer",
    "GumbelExplorer",
    "LatentExplorer",
    "WaterExplorer",
    "explore_beta",
    "explore_elbo",
    "explore_gradients",
    "explore_gumbel",
    "explore_latent",
    "explore_water",
    "slerp",
]
