"""Os passos de uma época: o de treino, e quem os dá um a um."""

from collections.abc import Callable

import torch
from torch import Tensor

from vae_lessons.objectives import ElboTerms
from vae_lessons.training.batches import to_batch
from vae_lessons.training.config import TrainConfig
from vae_lessons.training.distributed import Group

Step = Callable[[Tensor, dict[str, Tensor]], Tensor]
"""(índices das linhas do lote, valores que mudam a cada passo) → somas no lote. Não espera pelo dispositivo."""


def training_step(
    model, x: Tensor, config: TrainConfig, optimizer, objective: Callable[..., ElboTerms], group: Group
) -> Step:
    """O passo de `fit`: sorteia o lote, dá um passo do otimizador e devolve as somas na fatia deste processo [4]."""

    parameters = list(model.parameters())  # percorrer os módulos a cada passo custaria 2% de um passo pequeno

    def step(rows: Tensor, scheduled: dict[str, Tensor]) -> Tensor:
        mine, share = group.slice(rows)
        batch = to_batch(x.index_select(0, mine), config)
        optimizer.zero_grad(set_to_none=True)
        terms = objective(model, batch, **take_lr(optimizer, scheduled))
        loss = terms.loss.mean()
        (loss if share == 1 else loss * share).backward()
        group.sum(p.grad for p in parameters if p.grad is not None)
        optimizer.step()
        sums = batch_sums(terms)
        return sums if share else torch.zeros_like(sums)

    return step


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


def batch_sums(terms: ElboTerms) -> Tensor:
    """As somas no lote [4]: ELBO, log-verossimilhança, KL e perda."""
    return torch.stack([term.detach().sum() for term in terms])


class EagerSteps:
    """Dá os passos um a um, como em qualquer laço de treino."""

    def __init__(self, step: Step, batch_size: int):
        self.step = step
        self.batch_size = batch_size

    def run(self, order: Tensor, values: dict[str, Tensor]) -> Tensor:
        """Uma época: a ordem dos exemplos [..., N] e, por nome, os valores [passos, ...] → somas [passos, ..., 4]."""
        sums = [
            self.step(rows, {name: column[i] for name, column in values.items()})
            for i, rows in enumerate(order.split(self.batch_size, dim=-1))
        ]
        return torch.stack(sums)
