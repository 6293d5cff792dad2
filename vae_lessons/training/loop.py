"""O núcleo de treino. Os dados moram no dispositivo como uint8; o passo sorteia, converte e binariza lá mesmo.

Dentro de uma época nada volta para a CPU: as somas ficam no dispositivo e são lidas uma vez, no fim. Os lotes têm
sempre as mesmas formas (os cheios e o último, menor), como a captura em grafos CUDA exige.
"""

import contextlib
import inspect
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor
from tqdm import tqdm

from vae_lessons.data import Dataset
from vae_lessons.devices import threads_for
from vae_lessons.models import VAE, evaluating, mode
from vae_lessons.objectives import ElboTerms, elbo
from vae_lessons.randomness import seeded
from vae_lessons.training.batches import fix_bits, prepare, warn_if_not_a_likelihood
from vae_lessons.training.checkpoint import Checkpoint, identity_of
from vae_lessons.training.compilation import compiled
from vae_lessons.training.config import OPTIMIZERS, TrainConfig, beta_at, choose_backend
from vae_lessons.training.distributed import Group, join, local_device
from vae_lessons.training.divergence import all_finite, copy_of_weights, divergence
from vae_lessons.training.graphs import CudaRecorder, GraphSteps
from vae_lessons.training.history import History
from vae_lessons.training.patience import BestWeights
from vae_lessons.training.precision import float32_outputs, in_bfloat16, require_bfloat16
from vae_lessons.training.state import TrainingState
from vae_lessons.training.steps import EagerSteps, batch_sums, training_step

Schedules = Mapping[str, Callable[[float], float]]

_EVALUATION_BATCH = 4096
_VALIDATION_SEED = 0
_SEEDS_APART = 1_000_003  # entre os processos de um treino: o ruído de cada um é outro (na CPU, só contam 32 bits)


def fit(
    model: VAE,
    data: Dataset | Tensor,
    config: TrainConfig = TrainConfig(),
    *,
    objective: Callable[..., ElboTerms] = elbo,
    validation: Dataset | Tensor | None = None,
    schedules: Schedules | None = None,
    resume: bool = False,
    progress: bool = True,
) -> History:
    """Treina `model` no lugar, no dispositivo de `config`, e devolve o History.

    data, validation: um Dataset, ou um tensor [N, D]: uint8, ou ponto flutuante com binarize="none" ·
    objective(model, x, beta=tensor escalar) → ElboTerms; minimiza-se a média de `loss` no lote ·
    schedules: o que mais muda durante o treino, além de β: nome → função que leva o número de épocas já decorridas, que
    cresce a cada passo a partir de 0.0, a um número. O objetivo recebe cada um pelo nome, como tensor escalar: com
    {"temperature": lambda epochs: max(0.5, math.exp(-0.05 * epochs))}, ele é chamado com beta=... e temperature=... .
    A de nome "lr" é do otimizador, e não do objetivo: é a taxa de aprendizado, no lugar de config.lr.
    A validação usa os valores do fim da época ·
    resume: continua o treino gravado em config.checkpoint, ou começa do zero se o arquivo ainda não existir. O
    resultado é o de um treino que nunca parou: na CPU, bit a bit. epochs pode ter crescido; o resto deve ser igual ·
    progress: mostra a barra com ELBO, log-verossimilhança e KL (da validação, se houver).
    O mesmo modelo inicial, dados e config dão o mesmo resultado na mesma máquina, e o gerador global de números
    aleatórios fica como estava. A validação usa ruído próprio e fixo: não muda o treino.
    Interromper o kernel (■) não perde nada: o modelo fica com os pesos do momento e o History, com as épocas completas.
    Com config.checkpoint, as épocas completas vão para o disco, por inteiro ou nada. Um processo morto de repente
    perde, no pior caso, as épocas do tempo de 20 gravações; interrompido pelo teclado ou por um erro, só a época em
    curso. O que o objetivo guardar por conta própria, fora do modelo, não é gravado.
    Sob torchrun, os processos treinam juntos um só modelo: batch_size é o tamanho do lote inteiro, que repartem entre
    si, e todos terminam com os mesmos pesos e o mesmo History. O ruído de cada um é outro: as curvas são as de um
    processo só a menos do sorteio (sem sorteio, a menos de arredondamento). O que depende do lote inteiro (BatchNorm, a
    média de free_bits) vê só a fatia. O primeiro mostra a barra e grava o arquivo; se um deles parar, os outros param
    com um erro, no pior caso depois de 10 minutos.
    Levanta ValueError se os dados não servirem, se o dispositivo não tiver o que config pede ou se o arquivo estiver
    corrompido ou guardar outro treino; FileExistsError se ele já existir e não for para retomá-lo; OSError se não se
    puder gravá-lo; RuntimeError se backend="compile" não achar compilador; e TrainingDiverged (um FloatingPointError)
    se a perda ou os pesos deixarem de ser finitos: o modelo volta aos pesos do fim da última época sã, e o erro traz em
    `history` as épocas completas.
    """
    device = local_device(config.device)
    group = join(device)
    backend = choose_backend(config.backend, device, n_processes=group.size)
    if config.precision == "bfloat16":
        require_bfloat16(device)
    x = prepare(data, config, device)
    warn_if_not_a_likelihood(model, x, config)
    held_out = None if validation is None else fix_bits(prepare(validation, config, device), config)
    schedules = require_schedules(schedules)
    model.to(device)
    capturable = backend == "graph" or "lr" in schedules  # só importa em CUDA: lr no dispositivo
    optimizer = make_optimizer(model.parameters(), config, device, capturable=capturable)
    history = History()
    best = None if config.patience is None else BestWeights(config)
    state = TrainingState(model, optimizer, history, best, device, group)
    checkpoint = saved = None
    if config.checkpoint is not None:
        identity = identity_of(model, x, held_out, config, objective, schedules, group.size)
        checkpoint = Checkpoint(config, identity, writes=group.is_first)
        group.wait()  # o primeiro pode estar acabando de gravar um treino anterior
        saved = checkpoint.read(resume=resume)
        group.wait()  # ninguém grava enquanto outro lê
        group.require_same_epoch(0 if saved is None else len(saved["history"]["seconds"]), device)
    elif resume:
        raise ValueError("resume=True continua o treino gravado em config.checkpoint, que é None: indique o arquivo.")
    show = progress and group.is_first
    bar = tqdm(total=config.epochs, disable=not show, file=sys.stdout, unit="época", desc="Treino")
    try:
        with (
            bar,
            mode(model, training=True),
            seeded(config.seed + group.rank * _SEEDS_APART, device),
            threads_for(model, config.batch_size, device),
            float32_outputs(model) if config.precision == "bfloat16" else contextlib.nullcontext(),
            checkpoint or contextlib.nullcontext(),
        ):
            group.copy_from_first(model.state_dict().values())
            if saved is not None:
                state.restore(saved)
                bar.initial = bar.n = len(history)
            elif checkpoint is not None:
                checkpoint.create(state.snapshot())
            last_good = copy_of_weights(model)
            steps = _make_steps(model, x, config, backend, optimizer, objective, group)
            while len(history) < config.epochs and not (best is not None and best.ran_out(history)):
                epoch = len(history)
                started = time.perf_counter()
                record, losses = _run_epoch(steps, x, epoch, config, schedules, group)
                group.copy_from_first(model.buffers())
                if held_out is not None:
                    at_the_end = scheduled_values(schedules, epoch + 1)
                    record |= validate(model, held_out, objective, device, at_the_end)
                record = group.numbers_from_first(record, device)
                if not (all(map(math.isfinite, record.values())) and all_finite(model, losses)):
                    model.load_state_dict(last_good)
                    raise divergence(record, history, config)
                last_good = copy_of_weights(model)
                history.append(record, time.perf_counter() - started)
                if best is not None:
                    best.update(model, history)
                if checkpoint is not None:
                    checkpoint.save(state.snapshot())
                bar.set_postfix_str(_summary(history), refresh=False)
                bar.update()
    except KeyboardInterrupt:
        if group.size > 1:  # os outros processos não sabem disto: que o programa termine, e eles com ele
            raise
        history.drop_incomplete_epoch()
        history.interrupted = True
        print(
            f"Treino interrompido: {len(history)} de {config.epochs} épocas completas. O modelo está pronto para uso."
        )
    if best is not None and not history.interrupted:
        best.restore(model, history)
    return history


def _make_steps(model, x: Tensor, config: TrainConfig, backend: str, optimizer, objective, group: Group):
    """Quem dá os passos: EagerSteps ou GraphSteps."""
    if config.precision == "bfloat16":
        objective = in_bfloat16(objective, x.device)
    if backend == "compile":
        objective = compiled(objective, x.device)
    step = training_step(model, x, config, optimizer, objective, group)
    if backend != "graph":
        return EagerSteps(step, config.batch_size)
    tensors = [*model.parameters(), *model.buffers()]
    return GraphSteps(step, config.batch_size, tensors=tensors, optimizer=optimizer, recorder=CudaRecorder(x.device))


def _run_epoch(steps, x: Tensor, epoch: int, config: TrainConfig, schedules: Schedules, group: Group):
    """Uma passada por todos os exemplos: as médias por exemplo, com o β do último passo, e a perda de cada lote."""
    order = torch.randperm(len(x), device=x.device)
    group.copy_from_first([order])
    values = step_values(epoch, math.ceil(len(x) / config.batch_size), config, schedules)
    sums = steps.run(order, {name: torch.tensor(column, device=x.device) for name, column in values.items()})
    group.sum([sums])
    return per_example(sums[:, :3], len(x)) | {"beta": values["beta"][-1]}, sums[:, 3]


def step_values(epoch: int, n_steps: int, config: TrainConfig, schedules: Schedules) -> dict[str, list[float]]:
    """O que muda a cada passo da época: β e as agendas, nome → um número por passo."""
    first = epoch * n_steps
    steps = range(first, first + n_steps)
    rows = [scheduled_values(schedules, step / n_steps) for step in steps]
    return {"beta": [beta_at(step + 1, n_steps, config) for step in steps]} | {
        name: [row[name] for row in rows] for name in schedules
    }


def require_schedules(schedules: Schedules | None) -> Schedules:
    """As agendas; nenhuma, se None. Levanta ValueError ou TypeError se não servirem."""
    schedules = {} if schedules is None else schedules
    if not (isinstance(schedules, Mapping) and all(map(callable, schedules.values()))):
        raise TypeError(
            "schedules deve ser um dicionário de nome → função do número de épocas, como "
            f"{{'temperature': lambda epochs: 0.9**epochs}}, mas veio {schedules!r}."
        )
    if "beta" in schedules:
        raise ValueError("schedules não leva 'beta': o peso da KL é o de config, beta, que beta_warmup faz subir.")
    return schedules


def scheduled_values(schedules: Schedules, epochs: float) -> dict[str, float]:
    values = {name: float(schedule(epochs)) for name, schedule in schedules.items()}
    for name, value in values.items():
        if not math.isfinite(value):
            raise ValueError(f"A agenda {name!r} deve devolver um número finito, mas em {epochs:g} épocas deu {value}.")
    if values.get("lr", 0) < 0:
        raise ValueError(f"A agenda 'lr' não pode ser negativa, mas em {epochs:g} épocas deu {values['lr']}.")
    return values


def validate(model, x: Tensor, objective, device: torch.device, scheduled: dict[str, float]) -> dict[str, float]:
    """As médias na validação, com o mesmo ruído em todas as épocas: a curva muda só quando o modelo muda."""
    with evaluating(model), seeded(_VALIDATION_SEED, device):
        on_device = {name: torch.tensor(value, device=device) for name, value in scheduled.items() if name != "lr"}
        batches = x.split(_EVALUATION_BATCH)
        sums = torch.stack([batch_sums(objective(model, batch, beta=1.0, **on_device)) for batch in batches])
    return {f"val_{name}": value for name, value in per_example(sums[:, :3], len(x)).items()}


def per_example(sums: Tensor, n_examples: int) -> dict[str, float]:
    """Somas por lote [lotes, 3] → médias por exemplo: a única leitura do dispositivo em toda a época."""
    means = (sums.cpu().double().sum(0) / n_examples).tolist()
    return dict(zip(("elbo", "log_likelihood", "kl"), means, strict=True))


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


def _summary(history: History) -> str:
    prefix, label = ("val_", " (validação)") if history.val_elbo else ("", "")
    elbo_, log_lik, kl = (getattr(history, prefix + name)[-1] for name in ("elbo", "log_likelihood", "kl"))
    return f"ELBO {elbo_:.2f} = log p(x|z) {log_lik:.2f} − KL {kl:.2f} nats{label}"
