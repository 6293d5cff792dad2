"""Exploradores interativos: os controles obedecem ao mouse, ao teclado e ao código, e a figura acompanha."""

from vae_lessons.explore.beta import BetaExplorer, explore_beta
from vae_lessons.explore.cells import CellsExplorer, explore_cells
from vae_lessons.explore.codes import CodesExplorer, explore_codes
from vae_lessons.explore.elbo import ElboExplorer, explore_elbo
from vae_lessons.explore.films import FilmsExplorer, explore_films
from vae_lessons.explore.flow import FlowExplorer, explore_flow
from vae_lessons.explore.gradients import GradientExplorer, explore_gradients
from vae_lessons.explore.gumbel import GumbelExplorer, explore_gumbel
from vae_lessons.explore.implicit import ImplicitExplorer, explore_implicit
from vae_lessons.explore.kmeans import KMeansExplorer, explore_kmeans
from vae_lessons.explore.latent import LatentExplorer, explore_latent
from vae_lessons.explore.levels import LevelsExplorer, explore_levels
from vae_lessons.explore.merge import MergeExplorer, explore_merge
from vae_lessons.explore.paths import slerp
from vae_lessons.explore.steps import StepsExplorer, explore_steps
from vae_lessons.explore.style import StyleExplorer, explore_style
from vae_lessons.explore.topics import TopicsExplorer, explore_topics
from vae_lessons.explore.water import WaterExplorer, explore_water

__all__ = [
    "BetaExplorer",
    "CellsExplorer",
    "CodesExplorer",
    "ElboExplorer",
    "FilmsExplorer",
    "FlowExplorer",
    "GradientExplorer",
    "GumbelExplorer",
    "ImplicitExplorer",
    "KMeansExplorer",
    "LatentExplorer",
    "LevelsExplorer",
    "MergeExplorer",
    "StepsExplorer",
    "StyleExplorer",
    "TopicsExplorer",
    "WaterExplorer",
    "explore_beta",
    "explore_cells",
    "explore_codes",
    "explore_elbo",
    "explore_films",
    "explore_flow",
    "explore_gradients",
    "explore_gumbel",
    "explore_implicit",
    "explore_kmeans",
    "explore_latent",
    "explore_levels",
    "explore_merge",
    "explore_steps",
    "explore_style",
    "explore_topics",
    "explore_water",
    "slerp",
]
