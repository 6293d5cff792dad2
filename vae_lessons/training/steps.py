"""Os passos de uma época: o de treino, e quem os dá um a um."""

import inspect
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from vae_lessons.training.config import OPTIMIZERS, TrainConfig

Step = Callable[[Tensor, dict[str, Tensor]], Tensor]
"""(índices das linhas do lote, valores que mudam a cada passo) → somas no lote. Não espera pelo dispositivo."""


class EagerSteps:
    """Dá os passos um a um, como em qualquer laço de treino."""

    def __init__(self, step: Step, batch_size: int):
        self.step = step
        self.batch_size = batch_size

    def run(self, order: Tensor, values: dict[str, Tensor]) -> Tensor:
        """Uma época: a ordem dos exemplos [..., N] e, por nome, os valores [passos, ...] → somas [passos, ..., F]."""
        sums = [
            self.step(rows, {name: column[i] for name, column in values.items()})
            for i, rows in enumerate(order.split(self.batch_size, dim=-1))
        ]
        return torch.stack(sums)


def make_optimizer(
    parameters: Iterable[Tensor], config: TrainConfig, device: torch.device, *, capturable: bool = False
) -> torch.optim.Optimizer:
    """O otimizador de config, fundido onde há; capturable: em CUDA, um que caiba num grafo, com lr no dispositivo."""
    make = config.optimizer if callable(config.optimizer) else OPTIMIZERS[config.optimizer]
    accepted = inspect.signature(make).parameters
    options = {"lr": config.lr}
    if "fused" in accepted and accepted["fused"].default is None and device.type in ("cpu", "cuda"):
        options["fused"] = True
    if capturable and device.type == "cuda":
        if "capturable" in accepted:  # o SGD, que não conta passos, cabe num grafo como é
            options["capturable"] = True
        if "capturable" in accepted or "fused" in options:
            options["lr"] = torch.tensor(config.lr, device=device)
    return make(parameters, **options)


def take_lr(optimizer: torch.optim.Optimizer, scheduled: dict[str, Tensor]) -> dict[str, Tensor]:
    """Se houver uma agenda para lr, leva o valor dela ao otimizador; devolve as outras, que são do objetivo."""
    if "lr" not in scheduled:
        return scheduled
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].copy_(scheduled["lr"])
        else:
            group["lr"] = scheduled["lr"].item()
    return {name: value for name, value in scheduled.items() if name != "lr"}
