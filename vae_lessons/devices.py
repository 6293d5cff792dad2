"""Onde as contas são feitas: o dispositivo e, na CPU, as linhas de execução (*threads*)."""

import contextlib
import math
import os
from collections.abc import Iterator

import torch

from vae_lessons import processors

# Com uma linha e com duas, numa CPU de dois núcleos: 64-128-128-2 em lotes de 128, de 4e7 operações, 1,0 e 0,8 ms por
# passo com a máquina livre, 1,0 e 3,1 com um núcleo ocupado; 784-400-20, de 5e8, 5,8 e 3,5 livre, 5,2 e 10,3 ocupado.
_FLOPS_WORTH_A_SECOND_THREAD = 1e8

if "OMP_NUM_THREADS" not in os.environ:  # num contêiner, o torch contaria os núcleos da máquina, e não os da cota
    torch.set_num_threads(min(torch.get_num_threads(), processors.available()))


def choose_device(name: str | torch.device = "auto") -> torch.device:
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
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise ValueError(
            f"O dispositivo {str(name)!r} não está disponível nesta máquina. Use device='auto' para que a escolha seja "
            "automática, ou 'cpu', que sempre existe."
        ) from error


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
