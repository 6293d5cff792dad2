"""Sementes: o que se sorteia dentro de um bloco, sem tocar o gerador global."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Semente própria dentro do bloco; fora dele, o gerador global segue como se nada tivesse acontecido."""
    if device.type == "cpu":
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # só o da CPU: torch.manual_seed mudaria também o da GPU
            yield
    else:
        with torch.random.fork_rng(devices=[device], device_type=device.type):
            torch.manual_seed(seed)
            yield


def get_rng_state(device: torch.device) -> dict[str, Tensor]:
    """O estado dos geradores de que uma conta em `device` depende: o da CPU e o do dispositivo."""
    states = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        states[device.type] = torch.get_device_module(device).get_rng_state(device)
    return states


def set_rng_state(device: torch.device, states: dict[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    if device.type != "cpu":
        torch.get_device_module(device).set_rng_state(states[device.type], device)
