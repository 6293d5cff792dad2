"""A parada antecipada."""

import math

from torch import Tensor, nn

from vae_lessons.training.config import TrainConfig
from vae_lessons.training.divergence import copy_of_weights
from vae_lessons.training.history import History


class BestWeights:
    """Guarda os melhores pesos pela ELBO da validação (ou do treino, se não houver validação) e diz quando parar.

    Só conta depois do aquecimento de β: antes dele a KL ainda é barata e o modelo mais solto é que parece melhor.
    """

    def __init__(self, config: TrainConfig):
        self.config = config
        self.elbo = -math.inf
        self.epoch: int | None = None
        self.weights: dict[str, Tensor] = {}

    def update(self, model: nn.Module, history: History) -> None:
        epoch = len(history)
        if epoch < self.config.beta_warmup:
            return
        watched = (history.val_elbo or history.elbo)[-1]
        if watched > self.elbo:
            self.weights = copy_of_weights(model)
            self.elbo, self.epoch = watched, epoch

    def ran_out(self, history: History) -> bool:
        return self.epoch is not None and len(history) - self.epoch >= self.config.patience

    def restore(self, model: nn.Module, history: History) -> None:
        history.best_epoch = self.epoch
        if self.weights:
            model.load_state_dict(self.weights)

    def state(self) -> dict:
        return {"elbo": self.elbo, "epoch": self.epoch, "weights": self.weights}

    def restore_state(self, state: dict) -> None:
        vars(self).update(state)
