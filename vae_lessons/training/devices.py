"""Onde o treino roda: o dispositivo, a semente e as linhas de execução."""

import contextlib
import math
from collections.abc import Iterator

import torch
from torch import Tensor

# Com uma linha e com duas, numa CPU de dois núcleos: 64-128-128-2 em lotes de 128, de 4e7 operações, 1,0 e 0,8 ms por
# passo com a máquina livre, 1,0 e 3,1 com um núcleo ocupado; 784-400-20, de 5e8, 5,8 e 3,5 livre, 5,2 e 10,3 ocupado.
_FLOPS_WORTH_A_SECOND_THREAD = 1e8


def choose_device(name: str = "auto") -> torch.device:
    """ "auto": CUDA se houver, senão outro acelerador que o torch conheça (mps, xpu, ...), senão a CPU.

    Qualquer outro nome é obedecido. Levanta ValueError se o dispositivo não existir nesta máquina.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        if torch.accelerator.is_available():
            return torch.accelerator.current_accelerator()
        return torch.device("cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"O dispositivo {name!r} não está disponível nesta máquina. Use device='auto' para que a escolha seja "
            "automática, ou 'cpu', que sempre existe."
        ) from error


def choose_backend(name: str, device: torch.device, *, n_processes: int = 1) -> str:
    """ "auto" é "graph" num processo só em CUDA e "eager" no resto. Levanta ValueError se o grafo pedido não couber."""
    if name == "auto":
        return "graph" if device.type == "cuda" and n_processes == 1 else "eager"
    if name == "graph" and n_processes > 1:
        raise ValueError(
            f"backend='graph' treina num processo só, e são {n_processes}. Use backend='auto', ou não use torchrun."
        )
    if name == "graph" and device.type != "cuda":
        raise ValueError(
            f"backend='graph' grava grafos CUDA, e o treino seria em {device.type!r}. Use backend='auto', ou um device "
            "CUDA se houver."
        )
    return name


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
    """O estado dos geradores de que um treino em `device` depende: o da CPU e o do dispositivo."""
    states = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        states[device.type] = torch.get_device_module(device).get_rng_state(device)
    return states


def set_rng_state(device: torch.device, states: dict[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    if device.type != "cpu":
        torch.get_device_module(device).set_rng_state(states[device.type], device)


@contextlib.contextmanager
def threads_for(model, batch_size: int, device: torch.device) -> Iterator[None]:
    """Numa CPU, um passo pequeno demais para dividir corre mais depressa numa linha de execução só.

    Contam-se seis operações por peso e exemplo. Uma convolução usa cada peso em muitas posições: nunca é pequena.
    """
    n_weights = sum(math.inf if weight.ndim > 2 else weight.numel() for weight in model.parameters())
    before = torch.get_num_threads()
    if device.type == "cpu" and 6 * n_weights * batch_size < _FLOPS_WORTH_A_SECOND_THREAD:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
