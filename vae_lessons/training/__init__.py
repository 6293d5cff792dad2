"""O núcleo de treino: `fit` treina um modelo; `TrainConfig` diz como, e `History` conta o que aconteceu."""

from vae_lessons.training.config import TrainConfig, beta_at
from vae_lessons.training.devices import choose_device
from vae_lessons.training.divergence import TrainingDiverged
from vae_lessons.training.history import History
from vae_lessons.training.loop import fit

__all__ = ["History", "TrainConfig", "TrainingDiverged", "beta_at", "choose_device", "fit"]
