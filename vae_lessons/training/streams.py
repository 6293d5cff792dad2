"""O ruído de treinos simultâneos: cada execução vê exatamente os sorteios que veria se treinasse sozinha."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

Draw = Callable[[torch.Generator | None], Tensor]


class Streams:
    """Uma sequência de sorteios por semente distinta; `of_run` [M] diz qual é a de cada execução.

    Com uma semente só, ela é a do gerador global, e o que se sorteia não tem dimensão a mais: todas as execuções
    compartilham o tensor. Com S > 1, cada semente tem o seu torch.Generator.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device):
        distinct = list(dict.fromkeys(seeds))
        self.shared = len(distinct) == 1
        self.generators = [None] if self.shared else [torch.Generator(device).manual_seed(seed) for seed in distinct]
        self.of_run = torch.tensor([distinct.index(seed) for seed in seeds], device=device)

    def per_seed(self, draw: Callable[..., Tensor], *inputs: Sequence[Tensor]) -> Tensor:
        """draw(gerador, entradas da semente...), semente a semente, empilhados: [S, ...]."""
        return torch.stack([draw(*each) for each in zip(self.generators, *inputs, strict=True)])

    def to_runs(self, per_seed: Tensor) -> Tensor:
        """De um por semente [S, ...] a um por execução [M, ...]; com uma semente só, o dela, sem a dimensão a mais."""
        return per_seed[0] if self.shared else per_seed[self.of_run]


class DrawFromStreams(TorchFunctionMode):
    """Dentro de vmap, troca cada sorteio pelo da semente da execução. `of_run`: o índice dela, escalar sob vmap.

    Sob vmap não se pode sortear por execução com geradores diferentes, mas se pode sortear um tensor por semente,
    comum a todas, e escolher o de cada uma. Sorteios com `generator` explícito ficam como estão.
    """

    def __init__(self, streams: Streams, of_run: Tensor):
        super().__init__()
        self.streams = streams
        self.of_run = of_run

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func not in _DRAWS or kwargs.get("generator") is not None:
            return func(*args, **kwargs)
        return _DRAWS[func](self._draw, *args, **kwargs)

    def _draw(self, factory: Callable[..., Tensor], *args, generator: None = None, **kwargs) -> Tensor:
        if self.streams.shared:
            return factory(*args, **kwargs)
        return self.streams.per_seed(lambda generator: factory(*args, generator=generator, **kwargs))[self.of_run]


def _as_it_is(factory):
    return lambda draw, *args, **kwargs: draw(factory, *args, **kwargs)


def _like(factory):
    def sample(draw, input, *, dtype=None, device=None, **kwargs):
        return draw(factory, input.shape, dtype=dtype or input.dtype, device=device or input.device, **kwargs)

    return sample


def _bernoulli(draw, input, **kwargs):
    """As probabilidades mudam de execução a execução; o ruído uniforme com que são comparadas, não."""
    return (draw(torch.rand, input.shape, dtype=input.dtype, device=input.device, **kwargs) < input).to(input.dtype)


_DRAWS = {factory: _as_it_is(factory) for factory in (torch.rand, torch.randn, torch.randint, torch.randperm)} | {
    torch.rand_like: _like(torch.rand),
    torch.randn_like: _like(torch.randn),
    torch.bernoulli: _bernoulli,
}
