"""Uma varredura inteira treinada de uma vez: M modelos empilhados num só.

Não há opção de treinar um por um, porque onde isso ganha, ganha pouco. Numa CPU de dois núcleos, contra chamadas
seguidas de fit, com uma semente: 64-128-2 nos dígitos, 1,1 a 1,2 vez mais rápido com 3 modelos, 2,1 a 2,4 com 8 e 2,6 a
3,2 com 16; 256-256-256-6 em lotes de 256, em que quase todo o tempo é de multiplicar matrizes, 1,05 com 3, 1,1 com 5 e
1,1 a 1,6 com 15. Com várias sementes, cada uma com os seus lotes, de 0 a 20% menos que isso; o pior que se mediu foi
784-400-20 em MNIST com 16 sementes, 0,94 a 1,26.
"""

import math
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor, nn
from tqdm import tqdm

from vae_lessons.data import Dataset
from vae_lessons.devices import choose_device, threads_for
from vae_lessons.models import VAE, mode
from vae_lessons.objectives import ElboTerms, elbo
from vae_lessons.randomness import seeded
from vae_lessons.training.batches import fix_bits, prepare, warn_if_not_a_likelihood
from vae_lessons.training.config import TrainConfig
from vae_lessons.training.divergence import TrainingDiverged, copy_of_weights
from vae_lessons.training.history import History
from vae_lessons.training.loop import Schedules, require_schedules, scheduled_values, validate
from vae_lessons.training.patience import BestWeights
from vae_lessons.training.stack import EpochRecord, Stack
from vae_lessons.training.sweep import configurations, one_per_run


class Run(NamedTuple):
    """Uma execução da varredura: o modelo treinado, o History dele e a TrainConfig com que `fit` faria o mesmo."""

    model: VAE
    history: History
    config: TrainConfig


def fit_many(
    models: VAE | Sequence[VAE],
    data: Dataset | Tensor,
    config: TrainConfig = TrainConfig(),
    *,
    sweep: Mapping[str, Iterable],
    objective: Callable[..., ElboTerms] = elbo,
    validation: Dataset | Tensor | None = None,
    schedules: Schedules | None = None,
    progress: bool = True,
) -> list[Run]:
    """Treina juntos, como um só modelo empilhado, os modelos de uma varredura; cada um como `fit` o treinaria sozinho.

    sweep: campo da TrainConfig → valores, como {"beta": [1, 4, 8], "seed": range(3)}. Cada combinação é uma execução, e
    o último campo varia mais depressa. Podem variar "beta", "beta_warmup" e "seed" ·
    models: um modelo, de que cada execução treina uma cópia, ou uma sequência com um modelo por execução, na ordem da
    varredura e todos da mesma arquitetura, que são treinados no lugar ·
    data, config, objective, validation, schedules, progress: como em `fit`. No treino, torch.func.vmap aplica o
    objetivo a todos os modelos de uma vez: dentro dele cada tensor tem a forma que teria com um modelo só, mas o que
    depende do modelo ou de β não pode ser lido (.item(), `if`).

    O gradiente da perda somada sobre os modelos é, em cada um, o da perda dele, e os otimizadores que config conhece
    pelo nome, os únicos que servem aqui, agem peso a peso.
    Cada execução é, a menos de arredondamento, fit(modelo, dados, config da execução), com os mesmos sorteios, e não
    depende das outras. O arredondamento cresce com o treino: nos dígitos, as curvas diferem menos de 1e-4 nats em três
    épocas. Numa GPU, torch.bernoulli e as camadas com sorteio próprio (dropout) têm a mesma lei, mas outros sorteios.
    `history.seconds` conta o tempo da varredura inteira. Uma execução que pare antes, por patience, fica com os
    melhores pesos dela, e as outras seguem.
    Interromper o kernel (■) não perde nada: os modelos ficam com os pesos do momento e cada History, com as épocas
    completas. Uma execução que divirja não afeta as outras: o modelo volta aos pesos do fim da última época sã, o
    History fica marcado (`diverged`) e um aviso diz qual foi.
    Levanta ValueError ou TypeError se a varredura, os modelos ou os dados não servirem, RuntimeError se o objetivo não
    puder ser aplicado a todos os modelos de uma vez, e TrainingDiverged se todas as execuções divergirem.
    """
    configs = configurations(config, sweep)
    _require_what_is_known(config)
    models = one_per_run(models, len(configs))
    device = choose_device(config.device)
    x = prepare(data, config, device)
    warn_if_not_a_likelihood(models[0], x, config)
    held_out = None if validation is None else fix_bits(prepare(validation, config, device), config)
    schedules = require_schedules(schedules)
    runs = [_RunInProgress(model.to(device), c) for model, c in zip(models, configs, strict=True)]
    everyone = nn.ModuleList(models)
    with (
        mode(everyone, training=True),
        seeded(configs[0].seed, device),
        threads_for(everyone, config.batch_size, device),
    ):
        stack = Stack(models, configs, x, objective, schedules)
        bar = tqdm(total=config.epochs, disable=not progress, file=sys.stdout, unit="época", desc=_title(len(runs)))
        epoch = 0
        try:
            with bar:
                while epoch < config.epochs and any(run.is_training for run in runs):
                    started = time.perf_counter()
                    records = stack.run_epoch(epoch)
                    _copy_weights(stack, runs)
                    training = [(run, record) for run, record in zip(runs, records, strict=True) if run.is_training]
                    if held_out is not None:
                        at_the_end = scheduled_values(schedules, epoch + 1)
                        for run, record in training:
                            record.means |= validate(run.model, held_out, objective, device, at_the_end)
                    seconds = time.perf_counter() - started
                    for run, record in training:
                        run.complete_epoch(record, seconds)
                    epoch += 1
                    bar.set_postfix_str(_summary(runs), refresh=False)
                    bar.update()
            for run in runs:
                run.stop()
        except KeyboardInterrupt:
            _copy_weights(stack, runs)
            for run in runs:
                run.interrupt(epoch)
            print(
                f"Treino interrompido: {epoch} de {config.epochs} épocas completas. Os modelos estão prontos para uso."
            )
    _report_divergence(runs, sweep)
    return [Run(run.model, run.history, run.config) for run in runs]


def _require_what_is_known(config: TrainConfig) -> None:
    for name, value, allowed in (
        ("backend", config.backend, config.backend != "compile"),
        ("precision", config.precision, config.precision == "float32"),
        ("checkpoint", config.checkpoint, config.checkpoint is None),
    ):
        if not allowed:
            raise ValueError(
                f"fit_many não sabe treinar com {name}={value!r}. Deixe o valor padrão, ou treine um modelo por vez "
                "com fit."
            )


class _RunInProgress:
    """O que é de uma execução só: History, parada antecipada e os pesos da última época sã."""

    def __init__(self, model: VAE, config: TrainConfig):
        self.model = model
        self.config = config
        self.history = History()
        self.is_training = True
        self.failure: str | None = None
        self._best = None if config.patience is None else BestWeights(config)
        self._last_good = copy_of_weights(model)

    def complete_epoch(self, record: EpochRecord, seconds: float) -> None:
        if not (record.is_finite and all(map(math.isfinite, record.means.values()))):
            self._diverge(record.means)
            return
        self._last_good = copy_of_weights(self.model)
        self.history.append(record.means, seconds)
        if self._best is not None:
            self._best.update(self.model, self.history)
            if self._best.ran_out(self.history):
                self.stop()

    def stop(self) -> None:
        """O fim do treino desta execução; chamado de novo, não muda nada."""
        if self.is_training and self._best is not None:
            self._best.restore(self.model, self.history)
        self.is_training = False

    def interrupt(self, complete: int) -> None:
        """Deixa no History só as épocas que todas as execuções completaram."""
        if self.is_training:
            del self.history.seconds[complete:]
            self.history.drop_incomplete_epoch()
            self.history.interrupted = True

    def _diverge(self, means: dict[str, float]) -> None:
        self.model.load_state_dict(self._last_good)
        self.history.diverged = True
        self.is_training = False
        shown = ", ".join(f"{name} = {value:.4g}" for name, value in means.items() if name != "beta")
        self.failure = f"na época {len(self.history) + 1} ({shown})"


def _copy_weights(stack: Stack, runs: list[_RunInProgress]) -> None:
    """Dá a cada modelo ainda em treino os pesos do momento."""
    for i, run in enumerate(runs):
        if run.is_training:
            stack.copy_to(run.model, i)


def _report_divergence(runs: list[_RunInProgress], sweep: Mapping) -> None:
    diverged = [run for run in runs if run.failure is not None]
    if not diverged:
        return
    lines = [
        "  " + ", ".join(f"{name} = {getattr(run.config, name)}" for name in sweep) + f": {run.failure}"
        for run in diverged
    ]
    message = (
        f"Divergiram {len(diverged)} de {len(runs)} execuções:\n"
        + "\n".join(lines)
        + "\nA perda ou os pesos deixaram de ser finitos, e cada modelo desses voltou aos pesos do fim da última época "
        f"sã. Diminua lr (era {diverged[0].config.lr:g}) ou confira se os dados têm NaN ou infinito."
    )
    if len(diverged) == len(runs):
        raise TrainingDiverged(message, max((run.history for run in runs), key=len))
    warnings.warn(message, RuntimeWarning, stacklevel=3)


def _title(n_runs: int) -> str:
    return f"Treino de {n_runs} modelos" if n_runs > 1 else "Treino de 1 modelo"


def _summary(runs: list[_RunInProgress]) -> str:
    """Da pior à melhor ELBO entre as execuções que não divergiram."""
    histories = [run.history for run in runs if not run.history.diverged]
    last = [(history.val_elbo or history.elbo)[-1] for history in histories]
    label = " (validação)" if any(history.val_elbo for history in histories) else ""
    return f"ELBO de {min(last):.2f} a {max(last):.2f} nats{label}" if last else "todas divergiram"
