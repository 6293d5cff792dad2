"""Uma varredura inteira treinada de uma vez: M modelos empilhados num só.

Não há opção de treinar um por um, porque onde isso ganha, ganha pouco. Numa CPU de dois núcleos, contra chamadas
seguidas de fit, com uma semente: 64-128-2 nos dígitos, 1,1 a 1,2 vez mais rápido com 3 modelos, 2,1 a 2,4 com 8 e 2,6 a
3,2 com 16; 256-256-256-6 em lotes de 256, em que quase todo o tempo é de multiplicar matrizes, 1,05 com 3, 1,1 com 5 e
1,1 a 1,6 com 15. Com várias sementes, cada uma com os seus lotes, de 0 a 20% menos que isso; o pior que se mediu foi
784-400-20 em MNIST com 16 sementes, 0,94 a 1,26.
"""

import copy
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import NamedTuple

from torch import Tensor, nn

from vae_lessons.data import Dataset
from vae_lessons.devices import choose_device
from vae_lessons.models import VAE
from vae_lessons.objectives import elbo
from vae_lessons.training.batches import prepare, start_from, with_fixed_bits
from vae_lessons.training.config import TrainConfig, require_config
from vae_lessons.training.history import History
from vae_lessons.training.loop import train_epochs, training
from vae_lessons.training.runs import RunInProgress, report_divergence
from vae_lessons.training.schedules import Schedules, require_schedules
from vae_lessons.training.stack import Stack
from vae_lessons.training.terms import Objective, require_objective

_SWEEPABLE = ("beta", "beta_warmup", "seed")
_PLAIN = str | int | float | tuple | None


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
    objective: Objective = elbo,
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
    require_config(config)
    configs = configurations(config, sweep)
    schedules = require_schedules(schedules, config)
    _require_what_is_known(config, sweep, schedules)
    models = one_per_run(models, len(configs))
    require_objective(objective, models[0], schedules)
    device = choose_device(config.device)
    examples = prepare(data, models[0], objective, config, device)
    held_out = (
        None if validation is None else with_fixed_bits(prepare(validation, models[0], objective, config, device))
    )
    start_from(examples, [model.to(device) for model in models])
    runs = [RunInProgress(model, c) for model, c in zip(models, configs, strict=True)]
    with training(nn.ModuleList(models), config, device, seed=configs[0].seed):
        stack = Stack(models, configs, examples, objective, schedules)
        train_epochs(stack, runs, config, objective, schedules, held_out, progress=progress)
    report_divergence(runs, sweep)
    return [Run(run.model, run.history, run.config) for run in runs]


def _require_what_is_known(config: TrainConfig, sweep: Mapping, schedules: Schedules) -> None:
    for name, value, allowed in (
        ("precision", config.precision, config.precision == "float32"),
        ("checkpoint", config.checkpoint, config.checkpoint is None),
    ):
        if not allowed:
            raise ValueError(
                f"fit_many não sabe treinar com {name}={value!r}. Deixe o valor padrão, ou treine um modelo por vez "
                "com fit."
            )
    if "beta" in schedules and {"beta", "beta_warmup"} & set(sweep):
        raise ValueError("O peso da KL varia em sweep e também numa agenda de nome 'beta'. Tire um dos dois.")


def configurations(config: TrainConfig, sweep: Mapping[str, Iterable]) -> list[TrainConfig]:
    """Uma TrainConfig por combinação, na ordem de itertools.product."""
    if not isinstance(sweep, Mapping):
        raise TypeError(f"sweep deve ser um dicionário, como {{'beta': [1, 4]}}, mas veio {type(sweep).__name__}.")
    if not sweep:
        raise ValueError("sweep está vazio: diga o que varia, como {'beta': [1, 4]}. Para um treino só, use fit.")
    options = {name: _values(name, values) for name, values in sweep.items()}
    return [replace(config, **dict(zip(options, each, strict=True))) for each in itertools.product(*options.values())]


def _values(name: str, values: Iterable) -> list:
    can_vary = ", ".join(map(repr, _SWEEPABLE))
    if name not in {field.name for field in fields(TrainConfig)}:
        raise ValueError(f"sweep: TrainConfig não tem o campo {name!r}. Os que podem variar são {can_vary}.")
    if name not in _SWEEPABLE:
        raise ValueError(
            f"sweep: {name!r} não pode variar, porque as execuções compartilham os lotes e o otimizador. Podem variar "
            f"{can_vary}; para variar {name!r}, chame fit_many uma vez por valor."
        )
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"sweep[{name!r}] deve ser uma lista de valores, mas veio {values!r}.")
    values = list(values)
    if not values:
        raise ValueError(f"sweep[{name!r}] está vazio: dê ao menos um valor.")
    return values


def one_per_run(models: VAE | Sequence[VAE], n_runs: int) -> list[VAE]:
    if isinstance(models, nn.Module):
        return [copy.deepcopy(models) for _ in range(n_runs)]
    models = list(models) if isinstance(models, Iterable) else [models]
    if strange := [model for model in models if not isinstance(model, nn.Module)]:
        raise TypeError(
            "models deve ser um modelo, ou uma sequência com um modelo por execução da varredura, mas veio "
            f"{type(strange[0]).__name__}."
        )
    if len(models) != n_runs:
        raise ValueError(
            f"A varredura tem {n_runs} execuções, e vieram {len(models)} modelos: passe um por execução, na ordem da "
            "varredura, ou um só, de que cada execução treina uma cópia."
        )
    weights = [weight for model in models for weight in model.parameters()]
    if len({id(weight) for weight in weights}) < len(weights):
        raise ValueError(
            "Há modelos repetidos ou com pesos em comum na sequência. Para que todas as execuções partam dos mesmos "
            "pesos, passe um modelo só; senão, use copy.deepcopy."
        )
    reference = _architecture(models[0])
    for i, model in enumerate(models[1:], start=1):
        other = _architecture(model)
        for part in {**reference, **other}:
            if reference.get(part) != other.get(part):
                raise ValueError(
                    f"Os modelos de uma varredura devem ter a mesma arquitetura, mas o de índice {i} difere do "
                    f"primeiro em {part}: {other.get(part, 'ausente')} em vez de {reference.get(part, 'ausente')}."
                )
    return models


def _architecture(model: nn.Module) -> dict[str, str]:
    """O que dois modelos precisam ter em comum para que a mesma função sirva aos dois: parte → descrição."""
    parts = {}
    for name, module in model.named_modules():
        parts[name or "tipo do modelo"] = type(module).__qualname__
        for setting, value in vars(module).items():
            if setting != "training" and not setting.startswith("_") and isinstance(value, _PLAIN):
                parts[f"{name}.{setting}".lstrip(".")] = repr(value)
    for name, value in itertools.chain(model.named_parameters(), model.named_buffers()):
        trainable = ", treinável" if value.requires_grad else ""
        parts[name] = f"{list(value.shape)} {value.dtype}{trainable}"
    return parts
