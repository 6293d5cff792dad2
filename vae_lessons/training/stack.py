"""M modelos empilhados num só: cada peso vira [M, ...], e um passo treina todos."""

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from vae_lessons.models import VAE
from vae_lessons.objectives import ElboTerms
from vae_lessons.randomness import get_rng_state
from vae_lessons.training.batches import to_batch
from vae_lessons.training.config import OPTIMIZERS, TrainConfig, choose_backend
from vae_lessons.training.graphs import CudaRecorder, GraphSteps
from vae_lessons.training.loop import Schedules, make_optimizer, per_example, step_values
from vae_lessons.training.steps import EagerSteps, batch_sums, take_lr
from vae_lessons.training.streams import DrawFromStreams, Streams


@dataclass
class EpochRecord:
    """means: as médias por exemplo e o β do último passo · is_finite: se as perdas e os pesos são finitos."""

    means: dict[str, float]
    is_finite: bool


class Stack:
    """Os M modelos numa função só: pesos [M, ...], e um passo de treino que não espera pelo dispositivo."""

    def __init__(
        self,
        models: Sequence[VAE],
        configs: Sequence[TrainConfig],
        x: Tensor,
        objective: Callable[..., ElboTerms],
        schedules: Schedules,
    ):
        self.x = x
        self.config = configs[0]
        self.schedules = schedules
        self.configs = configs
        self.streams = Streams([config.seed for config in configs], x.device)
        self.weights, self.buffers = stack_module_state(list(models))
        backend = choose_backend(self.config.backend, x.device)
        capturable = backend == "graph" or "lr" in schedules
        self.optimizer = make_optimizer(self.weights.values(), self.config, x.device, capturable=capturable)
        _require_weight_by_weight(self.optimizer)
        self.objective = _Objective(copy.deepcopy(models[0]), objective)
        batch = None if self.streams.shared else 0
        scheduled = {"beta": 0} | dict.fromkeys(name for name in schedules if name != "lr")
        self.losses = vmap(self._loss, in_dims=(0, 0, 0, batch, scheduled), randomness="same")
        self.steps = self._graph_steps() if backend == "graph" else EagerSteps(self.step, self.config.batch_size)

    def run_epoch(self, epoch: int) -> list[EpochRecord]:
        """Uma passada por todos os exemplos; lê o dispositivo só no fim."""
        n, device = len(self.x), self.x.device
        order = self.streams.per_seed(lambda generator: torch.randperm(n, generator=generator, device=device))
        values = self._step_values(epoch, math.ceil(n / self.config.batch_size))
        before = get_rng_state(device)
        sums = self.steps.run(order, {name: torch.tensor(column, device=device) for name, column in values.items()})
        self._require_known_draws(before)
        is_finite = self._is_finite(sums).tolist()
        means = [per_example(of_run[:, :3], n) for of_run in sums.cpu().unbind(1)]
        return [
            EpochRecord(mean | {"beta": beta}, finite)
            for mean, beta, finite in zip(means, values["beta"][-1], is_finite, strict=True)
        ]

    def step(self, rows: Tensor, scheduled: dict[str, Tensor]) -> Tensor:
        """Um passo do otimizador: rows [S, B], β [M], agendas [] → as somas no lote, como em batch_sums, [M, 4]."""
        self.optimizer.zero_grad(set_to_none=True)
        scheduled = take_lr(self.optimizer, scheduled)
        bits = self.streams.per_seed(
            lambda g, each: to_batch(self.x.index_select(0, each), self.config, generator=g), rows
        )
        batch = self.streams.to_runs(bits)
        try:
            losses, sums = self.losses(self.weights, self.buffers, self.streams.of_run, batch, scheduled)
        except RuntimeError as error:
            _explain_if_from_vmap(error)
            raise
        losses.sum().backward()
        if all(weight.grad is None for weight in self.weights.values()):
            raise ValueError(
                "A perda não depende dos pesos do modelo que o objetivo recebe. Em fit_many use o argumento `model`, "
                "e não um modelo de fora da função."
            )
        self.optimizer.step()
        return sums

    @torch.no_grad()
    def copy_to(self, model: VAE, run: int) -> None:
        """Escreve em `model` os pesos e os buffers da execução de índice `run`."""
        stacked = self.weights | self.buffers
        for name, value in itertools.chain(model.named_parameters(), model.named_buffers()):
            value.copy_(stacked[name][run])

    def _graph_steps(self) -> GraphSteps:
        device = self.x.device
        recorder = CudaRecorder(device, () if self.streams.shared else self.streams.generators)
        tensors = [*self.weights.values(), *self.buffers.values()]
        return GraphSteps(
            self.step, self.config.batch_size, tensors=tensors, optimizer=self.optimizer, recorder=recorder
        )

    def _loss(self, weights, buffers, of_run: Tensor, batch: Tensor, scheduled) -> tuple[Tensor, Tensor]:
        """De um modelo só: a perda média, que se minimiza, e as somas no lote [4]."""
        own = {f"model.{name}": value for name, value in (weights | buffers).items()}
        with DrawFromStreams(self.streams, of_run):
            terms = functional_call(self.objective, own, (batch,), scheduled)
        return terms.loss.mean(), batch_sums(terms)

    def _step_values(self, epoch: int, n_steps: int) -> dict[str, list]:
        """O que muda a cada passo da época: os β [M] e as agendas."""
        betas = [step_values(epoch, n_steps, config, {})["beta"] for config in self.configs]
        return step_values(epoch, n_steps, self.config, self.schedules) | {"beta": list(zip(*betas, strict=True))}

    def _is_finite(self, sums: Tensor) -> Tensor:
        """De cada execução, se as somas da época [lotes, M, 4] e os pesos do fim dela são finitos: [M]."""
        parts = [sums.transpose(0, 1), *(weight.detach() for weight in self.weights.values())]
        return torch.stack([part.isfinite().reshape(len(part), -1).all(1) for part in parts]).all(0)

    def _require_known_draws(self, before: dict[str, Tensor]) -> None:
        """Com várias sementes, ninguém pode ter usado o gerador global: seria o mesmo ruído para todas."""
        after = get_rng_state(self.x.device)
        if not self.streams.shared and any(not torch.equal(before[name], after[name]) for name in before):
            raise RuntimeError(
                "O objetivo ou o modelo sorteia com uma função que fit_many não sabe separar por semente (dropout, por "
                "exemplo). Use torch.rand, torch.randn, torch.randint ou torch.bernoulli, ou tire 'seed' de sweep e "
                "treine uma semente por vez."
            )


class _Objective(nn.Module):
    """O objetivo como `forward` de um módulo: é por aí que functional_call empresta pesos ao modelo."""

    def __init__(self, model: VAE, objective: Callable[..., ElboTerms]):
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, x: Tensor, **scheduled) -> ElboTerms:
        return self.objective(self.model, x, **scheduled)


def _require_weight_by_weight(optimizer: torch.optim.Optimizer) -> None:
    """Um otimizador que olhasse o tensor inteiro (a norma dele, por exemplo) misturaria as execuções."""
    if type(optimizer) not in OPTIMIZERS.values():
        names = ", ".join(known.__name__ for known in OPTIMIZERS.values())
        raise ValueError(
            f"fit_many treina com {names}, que agem peso a peso e por isso não misturam as execuções, mas o otimizador "
            f"é {type(optimizer).__name__}. Use um deles, ou treine um modelo por vez com fit."
        )


def _explain_if_from_vmap(error: RuntimeError) -> None:
    if "vmap" in str(error).lower():
        raise RuntimeError(
            "O objetivo ou o modelo faz algo que não se faz com todos os modelos de uma vez (torch.func.vmap): em "
            "geral, ler um valor com .item(), decidir com `if` sobre um tensor ou sortear com torch.multinomial. "
            "Use torch.where e torch.rand, ou treine um modelo por vez com fit. O torch disse: "
            f"{str(error).splitlines()[0]}"
        ) from error
