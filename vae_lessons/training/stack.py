"""M modelos empilhados num só: cada peso vira [M, ...], e um passo treina todos."""

import copy
import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from vae_lessons.models import VAE
from vae_lessons.randomness import get_rng_state
from vae_lessons.training.batches import Examples
from vae_lessons.training.config import OPTIMIZERS, TrainConfig, choose_backend
from vae_lessons.training.distributed import Group
from vae_lessons.training.graphs import CudaRecorder, GraphSteps
from vae_lessons.training.runs import EpochRecord, RunInProgress
from vae_lessons.training.schedules import Schedules, step_values, with_beta
from vae_lessons.training.steps import EagerSteps, make_optimizer, take_lr
from vae_lessons.training.streams import DrawFromStreams, Streams
from vae_lessons.training.terms import Objective, means_of, require_terms, sums_of


class Stack:
    """Os M modelos numa função só: pesos [M, ...], e um passo de treino que não espera pelo dispositivo."""

    group = Group()  # fit_many treina num processo só

    def __init__(
        self,
        models: Sequence[VAE],
        configs: Sequence[TrainConfig],
        examples: Examples,
        objective: Objective,
        schedules: Schedules,
    ):
        device = examples.device
        self.examples = examples
        self.config = configs[0]
        self.n_steps = math.ceil(len(examples) / self.config.batch_size)
        self.schedules = [with_beta(schedules, config, self.n_steps) for config in configs]
        self.streams = Streams([config.seed for config in configs], device)
        self.weights, self.buffers = stack_module_state(list(models))
        backend = choose_backend(self.config.backend, device)
        capturable = backend == "graph" or "lr" in schedules
        self.optimizer = make_optimizer(self.weights.values(), self.config, device, capturable=capturable)
        _require_weight_by_weight(self.optimizer)
        self.objective = _Objective(copy.deepcopy(models[0]), objective)
        self.names: tuple[str, ...] = ()
        batch = None if self.streams.shared else 0
        scheduled = {"beta": 0} | dict.fromkeys(name for name in schedules if name not in ("lr", "beta"))
        labels = {"y": batch} if examples.labeled else {}
        in_dims = (0, 0, 0, batch, labels, scheduled)
        self.losses = vmap(self._loss, in_dims=in_dims, randomness="same")
        self.steps = self._graph_steps() if backend == "graph" else EagerSteps(self.step, self.config.batch_size)

    def run_epoch(self, epoch: int) -> list[EpochRecord]:
        """Uma passada por todos os exemplos; lê o dispositivo só no fim."""
        n, device = len(self.examples), self.examples.device
        order = self.streams.per_seed(lambda generator: torch.randperm(n, generator=generator, device=device))
        values = self._step_values(epoch)
        before = get_rng_state(device)
        sums = self.steps.run(order, {name: torch.tensor(column, device=device) for name, column in values.items()})
        self._require_known_draws(before)
        is_finite = self._is_finite(sums).tolist()
        means = [means_of(of_run, self.names, n) for of_run in sums.cpu().unbind(1)]
        return list(map(EpochRecord, means, values["beta"][-1], is_finite))

    def step(self, rows: Tensor, scheduled: dict[str, Tensor]) -> Tensor:
        """Um passo do otimizador: rows [S, B], β [M], agendas [] → as somas no lote, uma por termo, [M, F]."""
        self.optimizer.zero_grad(set_to_none=True)
        scheduled = take_lr(self.optimizer, scheduled)
        batch, labels = self._batches(rows)
        try:
            losses, sums = self.losses(self.weights, self.buffers, self.streams.of_run, batch, labels, scheduled)
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

    def agree(self, record: EpochRecord) -> None:
        """Um processo só: nada a combinar."""

    @torch.no_grad()
    def publish(self, runs: Sequence[RunInProgress]) -> None:
        """Dá a cada modelo ainda em treino os pesos e os buffers do momento."""
        stacked = self.weights | self.buffers
        for i, run in enumerate(runs):
            if run.is_training:
                for name, value in itertools.chain(run.model.named_parameters(), run.model.named_buffers()):
                    value.copy_(stacked[name][i])

    def _batches(self, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """O lote de cada semente, [M, B, D], ou um só, [B, D], se for a mesma; e os rótulos, se o objetivo os pedir."""
        pairs = [
            self.examples.batch(each, generator=generator)
            for generator, each in zip(self.streams.generators, rows, strict=True)
        ]
        batch = self.streams.to_runs(torch.stack([batch for batch, _ in pairs]))
        names = pairs[0][1]
        return batch, {n: self.streams.to_runs(torch.stack([labels[n] for _, labels in pairs])) for n in names}

    def _graph_steps(self) -> GraphSteps:
        device = self.examples.device
        recorder = CudaRecorder(device, () if self.streams.shared else self.streams.generators)
        tensors = [*self.weights.values(), *self.buffers.values()]
        return GraphSteps(
            self.step, self.config.batch_size, tensors=tensors, optimizer=self.optimizer, recorder=recorder
        )

    def _loss(self, weights, buffers, of_run: Tensor, batch: Tensor, labels, scheduled) -> tuple[Tensor, Tensor]:
        """De um modelo só: a perda média, que se minimiza, e as somas no lote [F]."""
        own = {f"model.{name}": value for name, value in (weights | buffers).items()}
        with DrawFromStreams(self.streams, of_run):
            terms = functional_call(self.objective, own, (batch,), scheduled | labels)
        require_terms(terms, len(batch))
        self.names = terms._fields
        return terms.loss.mean(), sums_of(terms)

    def _step_values(self, epoch: int) -> dict[str, list]:
        """O que muda a cada passo da época: os β [M] e as agendas."""
        of_run = [step_values(schedules, epoch, self.n_steps) for schedules in self.schedules]
        return of_run[0] | {"beta": list(zip(*(values["beta"] for values in of_run), strict=True))}

    def _is_finite(self, sums: Tensor) -> Tensor:
        """De cada execução, se as somas da época [lotes, M, F] e os pesos do fim dela são finitos: [M]."""
        parts = [sums.transpose(0, 1), *(weight.detach() for weight in self.weights.values())]
        return torch.stack([part.isfinite().reshape(len(part), -1).all(1) for part in parts]).all(0)

    def _require_known_draws(self, before: dict[str, Tensor]) -> None:
        """Com várias sementes, ninguém pode ter usado o gerador global: seria o mesmo ruído para todas."""
        after = get_rng_state(self.examples.device)
        if not self.streams.shared and any(not torch.equal(before[name], after[name]) for name in before):
            raise RuntimeError(
                "O objetivo ou o modelo sorteia com uma função que fit_many não sabe separar por semente (dropout, por "
                "exemplo). Use torch.rand, torch.randn, torch.randint ou torch.bernoulli, ou tire 'seed' de sweep e "
                "treine uma semente por vez."
            )


class _Objective(nn.Module):
    """O objetivo como `forward` de um módulo: é por aí que functional_call empresta pesos ao modelo."""

    def __init__(self, model: VAE, objective: Objective):
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, x: Tensor, **options):
        return self.objective(self.model, x, **options)


def _require_weight_by_weight(optimizer: torch.optim.Optimizer) -> None:
    """Um otimizador que olhasse o tensor inteiro (a norma dele, por exemplo) misturaria as execuções."""
    if type(optimizer) not in OPTIMIZERS.values():
        names = ", ".join(known.__name__ for known in OPTIMIZERS.values())
        raise ValueError(
            f"fit_many treina com {names}, que agem peso a peso e por isso não misturam as execuções, mas o otimizador "
            f"é {type(optimizer).__name__}. Use um deles, ou treine um modelo por vez com fit."
        )


def _explain_if_from_vmap(error: RuntimeError) -> None:
    if any(sign in str(error).lower() for sign in ("vmap", "batching rule")):
        raise RuntimeError(
            "O objetivo ou o modelo faz algo que não se faz com todos os modelos de uma vez (torch.func.vmap): em "
            "geral, ler um valor com .item(), decidir com `if` sobre um tensor, sortear com torch.multinomial ou usar "
            "nn.GRU e nn.LSTM. Use torch.where, torch.rand e uma célula recorrente escrita por extenso, ou treine um "
            "modelo por vez com fit. O torch disse: "
            f"{str(error).splitlines()[0]}"
        ) from error
