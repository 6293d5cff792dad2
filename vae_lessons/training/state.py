"""Tudo o que muda durante um treino: o que se grava para que retomá-lo dê o mesmo, bit a bit, que não ter parado."""

import copy
from dataclasses import asdict, dataclass

import torch
from torch import nn

from vae_lessons.randomness import get_rng_state, set_rng_state
from vae_lessons.training.distributed import Group
from vae_lessons.training.history import History
from vae_lessons.training.patience import BestWeights


@dataclass
class TrainingState:
    """O modelo, o otimizador, o History, a parada antecipada (se houver) e os geradores do dispositivo, um por processo
    do grupo."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    history: History
    best: BestWeights | None
    device: torch.device
    group: Group

    def snapshot(self) -> dict:
        """Uma cópia feita só de tensores, números e textos, que torch.load(weights_only=True) aceita."""
        return {
            "model": copy.deepcopy(self.model.state_dict()),
            "optimizer": copy.deepcopy(self.optimizer.state_dict()["state"]),
            "history": asdict(self.history),
            "best": None if self.best is None else self.best.state(),
            "rng": self.group.gather(get_rng_state(self.device), self.device),
        }

    def restore(self, snapshot: dict) -> None:
        """Deixa tudo como em `snapshot`, menos os ajustes do otimizador (lr, ...), que são os de agora."""
        self.model.load_state_dict(snapshot["model"])
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": snapshot["optimizer"], "param_groups": groups})
        vars(self.history).update(snapshot["history"])
        if self.best is not None:
            self.best.restore_state(snapshot["best"])
        set_rng_state(self.device, snapshot["rng"][self.group.rank])
