"""O núcleo de treino: `fit` treina um modelo, `fit_many` uma varredura; `TrainConfig` diz como; `History` registra."""

from vae_lessons.devices import choose_device
from vae_lessons.training.config import TrainConfig
from vae_lessons.training.history import History
from vae_lessons.training.loop import fit
from vae_lessons.training.many import Run, fit_many
from vae_lessons.training.runs import TrainingDiverged
from vae_lessons.training.schedules import beta_at

__all__ = ["History", "Run", "TrainConfig", "TrainingDiverged", "beta_at", "choose_device", "fit", "fit_many"]
