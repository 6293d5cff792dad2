"""O núcleo de treino. Os dados moram no dispositivo como são; o passo sorteia, converte e binariza lá mesmo.

Dentro de uma época nada volta para a CPU: as somas ficam no dispositivo e são lidas uma vez, no fim. Os lotes têm
sempre as mesmas formas (os cheios e o último, menor), como a captura em grafos CUDA exige.

Sob torchrun, os processos treinam juntos um só modelo: repartem cada lote entre si, e todos terminam com os mesmos
pesos e o mesmo History. O ruído de cada um é outro: as curvas são as de um processo só a menos do sorteio (sem sorteio,
a menos de arredondamento). O que depende do lote inteiro (BatchNorm, a média de free_bits) vê só a fatia. O primeiro
mostra a barra e grava o arquivo; se um deles parar, os outros param com um erro, no pior caso depois de 10 minutos.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from tqdm import tqdm

from vae_lessons.data import Dataset
from vae_lessons.devices import threads_for
from vae_lessons.models import VAE, evaluating, mode
from vae_lessons.objectives import elbo
from vae_lessons.randomness import seeded
from vae_lessons.training.batches import Examples, prepare, start_from, with_fixed_bits
from vae_lessons.training.checkpoint import Checkpoint, TrainingState, identity_of
from vae_lessons.training.config import TrainConfig, choose_backend, require_config
from vae_lessons.training.distributed import join, local_device
from vae_lessons.training.history import History
from vae_lessons.training.precision import float32_outputs, require_bfloat16
from vae_lessons.training.runs import RunInProgress, report_divergence
from vae_lessons.training.schedules import Schedules, require_schedules, values_at
from vae_lessons.training.single import Single
from vae_lessons.training.terms import Objective, means_of, require_objective, require_terms, sums_of

_EVALUATION_BATCH = 4096
_VALIDATION_SEED = 0
_SEEDS_APART = 1_000_003  # entre os processos de um treino: o ruído de cada um é outro (na CPU, só contam 32 bits)
_LABELS = {"elbo": "ELBO", "log_likelihood": "log p(x|z)", "kl": "KL"}


def fit(
    model: VAE,
    data: Dataset | Tensor,
    config: TrainConfig = TrainConfig(),
    *,
    objective: Objective = elbo,
    validation: Dataset | Tensor | None = None,
    schedules: Schedules | None = None,
    resume: bool = False,
    progress: bool = True,
) -> History:
    """Treina `model` no lugar, minimizando a média de `loss` em cada lote, e devolve o History.

    data, validation: um Dataset, ou um tensor [N, D] · objective(model, x, beta=..., [y=...], [agendas]) → NamedTuple
    de tensores [B]; recebe os rótulos y se os pedir · schedules: nome → função do número de épocas decorridas, que
    cresce a cada passo a partir de 0.0; "lr" é a taxa de aprendizado, "beta", o peso da KL, as outras, do objetivo ·
    resume: continua o treino gravado em config.checkpoint, ou começa do zero se o arquivo ainda não existir.
    O mesmo modelo inicial, dados e config dão o mesmo resultado na mesma máquina; o gerador global fica como estava.
    Interromper o kernel (■) deixa o modelo com os pesos do momento e o History com as épocas completas.
    Levanta TypeError ou ValueError se algum argumento não servir; OSError se o checkpoint não puder ser gravado ou já
    existir sem resume; TrainingDiverged se algo deixar de ser finito, com o modelo nos pesos da última época sã.
    """
    require_config(config)
    schedules = require_schedules(schedules, config)
    require_objective(objective, model, schedules)
    device = local_device(config.device)
    group = join(device)
    backend = choose_backend(config.backend, device, n_processes=group.size)
    examples = prepare(data, model, objective, config, device)
    held_out = None if validation is None else with_fixed_bits(prepare(validation, model, objective, config, device))
    start_from(examples, [model.to(device)])
    run = RunInProgress(model, config)
    trainer = Single(model, examples, config, objective, schedules, backend=backend, group=group)
    state = TrainingState(run, trainer.optimizer, device, group)
    identity = identity_of(model, examples, held_out, config, objective, schedules, group.size)
    with (
        Checkpoint(config, identity, state) as checkpoint,
        training(model, config, device, seed=config.seed + group.rank * _SEEDS_APART),
    ):
        group.copy_from_first(model.state_dict().values())
        checkpoint.begin(resume=resume)
        train_epochs(
            trainer, [run], config, objective, schedules, held_out, after_epoch=checkpoint.save, progress=progress
        )
    report_divergence([run])
    return run.history


def train_epochs(
    trainer,
    runs: Sequence[RunInProgress],
    config: TrainConfig,
    objective: Objective,
    schedules: Schedules,
    held_out: Examples | None,
    *,
    after_epoch: Callable[[], None] = lambda: None,
    progress: bool,
) -> None:
    """O laço de todo treino: os passos de uma época, a validação, o registro, o checkpoint; e a interrupção.

    trainer: quem dá os passos a todos os `runs` de uma vez (Single ou Stack) · held_out: a validação.
    """
    bar = _bar(runs, config, progress and trainer.group.is_first)
    try:
        with bar:
            while (training := [run for run in runs if run.is_training]) and _epochs_done(training) < config.epochs:
                started = time.perf_counter()
                records = trainer.run_epoch(_epochs_done(training))
                trainer.publish(runs)
                records = [record for run, record in zip(runs, records, strict=True) if run.is_training]
                for run, record in zip(training, records, strict=True):
                    if held_out is not None:
                        at_the_end = values_at(schedules, _epochs_done(training) + 1)
                        record.means |= validate(run.model, held_out, objective, at_the_end)
                    trainer.agree(record)
                seconds = time.perf_counter() - started
                for run, record in zip(training, records, strict=True):
                    run.complete_epoch(record, seconds)
                if any(run.failure is None for run in runs):
                    after_epoch()
                bar.set_postfix_str(_summary(runs), refresh=False)
                bar.update()
    except KeyboardInterrupt:
        if trainer.group.size > 1:  # os outros processos não sabem disto: que o programa termine, e eles com ele
            raise
        _interrupt(trainer, runs, config)
    for run in runs:
        run.finish()


def validate(model: nn.Module, examples: Examples, objective: Objective, scheduled: dict) -> dict[str, float]:
    """As médias na validação, com o mesmo ruído em todas as épocas: a curva muda só quando o modelo muda."""
    device = examples.device
    with evaluating(model), seeded(_VALIDATION_SEED, device):
        own = {n: torch.tensor(value, device=device) for n, value in scheduled.items() if n not in ("lr", "beta")}
        sums = []
        for batch, labels in examples.in_order(_EVALUATION_BATCH):
            terms = objective(model, batch, beta=1.0, **own, **labels)
            require_terms(terms, len(batch))
            sums.append(sums_of(terms))
    means = means_of(torch.stack(sums), terms._fields, len(examples))
    return {f"val_{name}": value for name, value in means.items()}


@contextlib.contextmanager
def training(model: nn.Module, config: TrainConfig, device: torch.device, *, seed: int) -> Iterator[None]:
    """Modo de treino, gradientes, semente, linhas de execução e precisão; ao sair, tudo volta a ser como era."""
    bfloat16 = config.precision == "bfloat16"
    if bfloat16:
        require_bfloat16(device)
    with (
        torch.inference_mode(False),  # mesmo dentro de um torch.no_grad() de quem chama
        torch.enable_grad(),
        mode(model, training=True),
        seeded(seed, device),
        threads_for(model, config.batch_size, device),
        float32_outputs(model) if bfloat16 else contextlib.nullcontext(),
    ):
        yield


def _epochs_done(runs: Sequence[RunInProgress]) -> int:
    """As épocas que todos completaram."""
    return min(len(run.history) for run in runs)


def _interrupt(trainer, runs: Sequence[RunInProgress], config: TrainConfig) -> None:
    """Cada modelo ainda em treino fica com os pesos do momento, e o registro, com as épocas que todos completaram."""
    trainer.publish(runs)
    training = [run for run in runs if run.is_training]
    done = _epochs_done(training or runs)
    for run in training:
        run.interrupt(done)
    ready = "O modelo está pronto" if len(runs) == 1 else "Os modelos estão prontos"
    print(f"Treino interrompido: {done} de {config.epochs} épocas completas. {ready} para uso.")


def _bar(runs: Sequence[RunInProgress], config: TrainConfig, show: bool) -> tqdm:
    title = "Treino" if len(runs) == 1 else f"Treino de {len(runs)} modelos"
    done = _epochs_done(runs)
    return tqdm(total=config.epochs, initial=done, disable=not show, file=sys.stdout, unit="época", desc=title)


def _summary(runs: Sequence[RunInProgress]) -> str:
    """De um treino, os três primeiros termos; de vários, da pior à melhor média do primeiro termo."""
    last = [_last_means(run.history) for run in runs if run.failure is None]
    if not last:
        return "divergiu" if len(runs) == 1 else "todos divergiram"
    validated = " (validação)" if any("val_" + name in runs[0].history.series for name in last[0]) else ""
    names = list(last[0])[: 3 if len(runs) == 1 else 1]
    unit = " nats" if "elbo" in names else ""
    if len(runs) == 1:
        shown = [f"{_LABELS.get(name, name)} {last[0][name]:.2f}" for name in names]
        text = "{} = {} − {}".format(*shown) if tuple(names) == tuple(_LABELS) else " · ".join(shown)
        return text + unit + validated
    values = [means[names[0]] for means in last]
    return f"{_LABELS.get(names[0], names[0])} de {min(values):.2f} a {max(values):.2f}{unit}{validated}"


def _last_means(history: History) -> dict[str, float]:
    """As médias da última época, da validação se houver, pelo nome do termo."""
    series = {name: values[-1] for name, values in history.series.items() if name != "beta"}
    validated = {name.removeprefix("val_"): value for name, value in series.items() if name.startswith("val_")}
    return validated or series
