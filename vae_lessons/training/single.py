"""Um modelo só, num processo ou dividido entre vários: o passo de treino e a época."""

import math

import torch
from torch import Tensor, nn

from vae_lessons.training.batches import Examples
from vae_lessons.training.config import TrainConfig
from vae_lessons.training.distributed import Group
from vae_lessons.training.graphs import CudaRecorder, GraphSteps
from vae_lessons.training.precision import in_bfloat16
from vae_lessons.training.runs import EpochRecord, RunInProgress, are_finite
from vae_lessons.training.schedules import Schedules, step_values, with_beta
from vae_lessons.training.steps import EagerSteps, make_optimizer, take_lr
from vae_lessons.training.terms import Objective, means_of, require_terms, sums_of


class Single:
    """Treina `model` no lugar. backend: "eager" ou "graph"."""

    def __init__(
        self,
        model: nn.Module,
        examples: Examples,
        config: TrainConfig,
        objective: Objective,
        schedules: Schedules,
        *,
        backend: str,
        group: Group,
    ):
        self.model = model
        self.examples = examples
        self.config = config
        self.group = group
        self.n_steps = math.ceil(len(examples) / config.batch_size)
        self.schedules = with_beta(schedules, config, self.n_steps)
        self.objective = in_bfloat16(objective, examples.device) if config.precision == "bfloat16" else objective
        self.parameters = list(model.parameters())  # percorrer os módulos a cada passo custaria 2% de um passo pequeno
        capturable = backend == "graph" or "lr" in schedules  # só importa em CUDA: lr no dispositivo
        self.optimizer = make_optimizer(self.parameters, config, examples.device, capturable=capturable)
        self.names: tuple[str, ...] = ()
        self.steps = EagerSteps(self.step, config.batch_size)
        if backend == "graph":
            tensors = [*self.parameters, *model.buffers()]
            recorder = CudaRecorder(examples.device)
            self.steps = GraphSteps(
                self.step, config.batch_size, tensors=tensors, optimizer=self.optimizer, recorder=recorder
            )

    def run_epoch(self, epoch: int) -> list[EpochRecord]:
        """Uma passada por todos os exemplos; lê o dispositivo só no fim."""
        device = self.examples.device
        order = torch.randperm(len(self.examples), device=device)
        self.group.copy_from_first([order])
        values = step_values(self.schedules, epoch, self.n_steps)
        sums = self.steps.run(order, {name: torch.tensor(column, device=device) for name, column in values.items()})
        self.group.sum([sums])
        self.group.copy_from_first(self.model.buffers())
        means = means_of(sums, self.names, len(self.examples))
        return [EpochRecord(means, values["beta"][-1], are_finite(sums, *self.parameters))]

    def step(self, rows: Tensor, scheduled: dict[str, Tensor]) -> Tensor:
        """Sorteia o lote, dá um passo do otimizador e devolve as somas na fatia deste processo, um por termo: [F]."""
        mine, share = self.group.slice(rows)
        batch, labels = self.examples.batch(mine)
        self.optimizer.zero_grad(set_to_none=True)
        terms = self.objective(self.model, batch, **take_lr(self.optimizer, scheduled), **labels)
        require_terms(terms, len(mine))
        self.names = terms._fields
        loss = terms.loss.mean()
        _require_gradient(loss)
        (loss if share == 1 else loss * share).backward()
        self.group.sum(p.grad for p in self.parameters if p.grad is not None)
        self.optimizer.step()
        sums = sums_of(terms)
        return sums if share else torch.zeros_like(sums)

    def agree(self, record: EpochRecord) -> None:
        """Todos os processos ficam com os números do primeiro, para que decidam igual."""
        record.means = self.group.numbers_from_first(record.means, self.examples.device)

    def publish(self, runs: list[RunInProgress]) -> None:
        """Dá a cada modelo os pesos do momento: aqui ele já os tem."""


def _require_gradient(loss: Tensor) -> None:
    if not loss.requires_grad:
        raise ValueError(
            "A perda não depende de nenhum peso treinável do modelo: nada há a treinar. O objetivo deve usar o `model` "
            "que recebe, sem .detach() nem torch.no_grad(), e ao menos um peso deve ter requires_grad."
        )
