"""O que muda a cada passo de um treino: o peso da KL, a taxa de aprendizado, a temperatura, o que se pedir.

Uma agenda é uma função do número de épocas já decorridas, que cresce a cada passo a partir de 0.0. O aquecimento de β é
uma delas.
"""

import math
from collections.abc import Callable, Mapping

from vae_lessons.training.config import TrainConfig

Schedule = Callable[[float], float]
Schedules = Mapping[str, Schedule]


def beta_at(step: int, steps_per_epoch: int, config: TrainConfig) -> float:
    """O peso da KL no passo `step`, contado a partir de 1: sobe em reta até beta em beta_warmup épocas e lá fica
    (*KL annealing*; Bowman et al., 2016)."""
    warmup_steps = config.beta_warmup * steps_per_epoch
    return config.beta * min(1.0, step / warmup_steps) if warmup_steps else config.beta


def with_beta(schedules: Schedules, config: TrainConfig, steps_per_epoch: int) -> Schedules:
    """As agendas, com a de β que `config` define se nenhuma delas for de β."""

    def beta(epochs: float) -> float:
        return beta_at(round(epochs * steps_per_epoch) + 1, steps_per_epoch, config)

    return {"beta": beta, **schedules}


def step_values(schedules: Schedules, epoch: int, n_steps: int) -> dict[str, list[float]]:
    """Os valores de cada agenda em cada passo da época, nome → um número por passo."""
    rows = [values_at(schedules, (epoch * n_steps + i) / n_steps) for i in range(n_steps)]
    return {name: [row[name] for row in rows] for name in schedules}


def values_at(schedules: Schedules, epochs: float) -> dict[str, float]:
    """O valor de cada agenda depois de `epochs` épocas. Levanta ValueError se não for um número que sirva."""
    values = {name: float(schedule(epochs)) for name, schedule in schedules.items()}
    for name, value in values.items():
        if not math.isfinite(value):
            raise ValueError(f"A agenda {name!r} deve devolver um número finito, mas em {epochs:g} épocas deu {value}.")
        if name in ("lr", "beta") and value < 0:
            raise ValueError(f"A agenda {name!r} não pode ser negativa, mas em {epochs:g} épocas deu {value}.")
    return values


def require_schedules(schedules: Schedules | None, config: TrainConfig) -> Schedules:
    """As agendas; nenhuma, se None. Levanta ValueError ou TypeError se não servirem."""
    schedules = {} if schedules is None else schedules
    if not (isinstance(schedules, Mapping) and all(map(callable, schedules.values()))):
        raise TypeError(
            "schedules deve ser um dicionário de nome → função do número de épocas, como "
            f"{{'temperature': lambda epochs: 0.9**epochs}}, mas veio {schedules!r}."
        )
    if "beta" in schedules and (config.beta != 1.0 or config.beta_warmup):
        raise ValueError(
            "O peso da KL é o da agenda 'beta' ou o de config (beta, que beta_warmup faz subir), e vieram os dois. "
            "Tire um deles."
        )
    return dict(schedules)
