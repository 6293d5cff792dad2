"""Um só treino em vários processos, com `torchrun --nproc-per-node=N programa.py`.

Todos têm o mesmo modelo e veem os mesmos lotes. Cada um calcula o gradiente da sua fatia de cada lote; somados, são o
gradiente do lote inteiro, e todos dão o mesmo passo.
"""

import atexit
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from vae_lessons.devices import choose_device

_TIMEOUT = timedelta(minutes=10)
_LAUNCHED = {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}


@dataclass(frozen=True)
class Group:
    """Os processos de um treino: `rank` é o deste, de 0 a size − 1. Sozinho (size = 1), nada aqui faz coisa alguma."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Se é este processo que mostra a barra e grava o arquivo."""
        return self.rank == 0

    def slice(self, rows: Tensor) -> tuple[Tensor, float]:
        """A fatia deste processo e a parte do lote que ela é. Sem nenhuma, uma linha que não conta: parte zero."""
        mine = rows.tensor_split(self.size)[self.rank]
        return (mine, len(mine) / len(rows)) if len(mine) else (rows[:1], 0.0)

    def sum(self, tensors: Iterable[Tensor]) -> None:
        """Troca cada tensor pela soma dele sobre os processos, numa viagem só."""
        tensors = list(tensors)
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))

    def copy_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Todos ficam com os valores do processo 0."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def numbers_from_first(self, record: dict[str, float], device: torch.device) -> dict[str, float]:
        """Os números do processo 0, para que todos decidam igual."""
        if self.size == 1:
            return record
        numbers = torch.tensor(list(record.values()), dtype=torch.float32 if device.type == "mps" else torch.float64)
        numbers = numbers.to(device)
        dist.broadcast(numbers, 0)
        return dict(zip(record, numbers.tolist(), strict=True))

    def require_same_epoch(self, epoch: int, device: torch.device) -> None:
        """Levanta ValueError se este processo for começar de outra época que o processo 0."""
        first = self.numbers_from_first({"epoch": epoch}, device)["epoch"]
        if first != epoch:
            raise ValueError(
                f"O processo {self.rank} leu um checkpoint com {epoch} épocas, e o processo 0, um com {first:g}. O "
                "arquivo deve ficar numa pasta que todos os processos vejam."
            )

    def gather(self, state: dict[str, Tensor], device: torch.device) -> list[dict[str, Tensor]]:
        """Os estados (tensores na CPU) de todos os processos, em ordem."""
        if self.size == 1:
            return [state]
        states = [{} for _ in range(self.size)]
        for name, tensor in state.items():
            parts = [torch.empty_like(tensor, device=device) for _ in states]
            dist.all_gather(parts, tensor.to(device))
            for one, part in zip(states, parts, strict=True):
                one[name] = part.cpu()
        return states

    def wait(self) -> None:
        """Espera que todos cheguem aqui."""
        if self.size > 1:
            dist.barrier()


def local_device(name: str) -> torch.device:
    """choose_device; entre vários processos de uma máquina, a GPU de número LOCAL_RANK cabe a este."""
    if _launched() and name in ("auto", "cuda") and torch.cuda.is_available():
        local_rank = int(os.environ.get("LOCAL_RANK", 0))
        if local_rank >= torch.cuda.device_count():
            raise ValueError(
                f"Este é o processo {local_rank} da máquina, que tem {torch.cuda.device_count()} GPUs: use um processo "
                "por GPU em --nproc-per-node, ou device='cpu'."
            )
        torch.cuda.set_device(local_rank)
    return choose_device(name)


def join(device: torch.device) -> Group:
    """O grupo deste treino. Sob torchrun inicia o torch.distributed, se ninguém o fez: nccl em CUDA, gloo no resto."""
    if not dist.is_available():
        return Group()
    if not dist.is_initialized():
        if not _launched():
            return Group()
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_TIMEOUT)
        atexit.register(_leave)
    return Group(dist.get_rank(), dist.get_world_size())


def _launched() -> bool:
    return os.environ.keys() >= _LAUNCHED and int(os.environ["WORLD_SIZE"]) > 1


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
