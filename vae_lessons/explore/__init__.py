"""Exploradores interativos: os controles obedecem ao mouse, ao teclado e ao código, e a figura acompanha."""

from vae_lessons.explore.beta import BetaExplorer, explore_beta
from vae_lessons.explore.codes import CodesExplorer, explore_codes
from vae_lessons.explore.elbo import ElboExplorer, explore_elbo
from vae_lessons.explore.flow import FlowExplorer, explore_flow
from vae_lessons.explore.gradients import GradientExplorer, explore_gradients
from vae_lessons.explore.gumbel import GumbelExplorer, explore_gumbel
from vae_lessons.explore.kmeans import KMeansExplorer, explore_kmeans
from vae_lessons.explore.latent import LatentExplorer, explore_latent
from vae_lessons.explore.levels import LevelsExplorer, explore_levels
from vae_lessons.explore.merge import MergeExplorer, explore_merge
from vae_lessons.explore.paths import slerp
from vae_lessons.explore.style import StyleExplorer, explore_style
from vae_lessons.explore.water import WaterExplorer, explore_water

__all__ = [
    "BetaExplorer",
    "CodesExplorer",
    "ElboExplorer",
    "FlowExplorer",
    "GradientExplorer",
    "GumbelExplorer",
    "KMeansExplorer",
    "LatentExplorer",
    "LevelsExplorer",
    "MergeExplorer",
    "StyleExplorer",
    "WaterExplorer",
    "explore_beta",
    "explore_codes",
    "explore_elbo",
    "explore_flow",
    "explore_gradients",
    "explore_gumbel",
    "explore_kmeans",
    "explore_latent",
    "explore_levels",
    "explore_merge",
    "explore_style",
    "explore_water",
    "slerp",
]
