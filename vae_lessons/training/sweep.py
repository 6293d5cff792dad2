"""A varredura: que configurações ela tem, e que modelo parte em cada uma."""

import copy
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace

from torch import nn

from vae_lessons.models import VAE
from vae_lessons.training.config import TrainConfig

_SWEEPABLE = ("beta", "beta_warmup", "seed")
_PLAIN = str | int | float | tuple | None


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
