"""O treino pequeno que os testes do núcleo de treino repetem: modelos de 64 pixels, e uma interrupção no meio deles.

Os dados são `digits` e `held_out`, de conftest.py.
"""

import signal
from collections.abc import Callable

import torch
from torch import nn

from vae_lessons.models import VAE, mlp_vae
from vae_lessons.objectives import elbo


def small_vae(seed: int = 0, hidden: tuple[int, ...] = (16,), **options) -> VAE:
    torch.manual_seed(seed)
    return mlp_vae(64, 2, hidden, **options)


def noisy_vae(seed: int = 0) -> VAE:
    """O que há de mais difícil de repetir: estatísticas do lote e sorteios dentro da rede."""
    model = small_vae(seed)
    model.encoder = nn.Sequential(*model.encoder[:2], nn.BatchNorm1d(16), nn.Dropout(0.3), *model.encoder[2:])
    return model


def interrupting(after: int, interrupt: Callable[[], None]) -> Callable:
    """O objetivo de sempre, que na chamada de número `after` é interrompido."""
    calls = 0

    def objective(model, x, *, beta):
        nonlocal calls
        calls += 1
        if calls == after:
            interrupt()
        return elbo(model, x, beta=beta)

    return objective


def raise_interrupt() -> None:
    raise KeyboardInterrupt


def press_stop() -> None:
    """O que o ■ do JupyterLab e o Ctrl-C fazem."""
    signal.raise_signal(signal.SIGINT)
