"""Vários passos gravados num grafo CUDA: a CPU pede uma vez, e a GPU dá todos sem esperar por ela.

Um grafo repete sempre as mesmas contas sobre as mesmas posições de memória. Por isso o que muda de um passo para o
outro (as linhas do lote, β, as agendas) é copiado antes para memória fixa, e um cursor no dispositivo diz qual é a vez.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from vae_lessons.training.config import OPTIMIZERS
from vae_lessons.training.steps import EagerSteps, Step

_STEPS_PER_GRAPH = 16
_WARMUP_ROUNDS = 3
_WAITS = (
    "Algo no objetivo ou no modelo espera pela GPU ou passa pela CPU a cada passo, como .item(), float(t), `if t > 0` "
    "ou torch.tensor(...)."
)


class CaptureError(RuntimeError):
    """Estes passos não cabem num grafo."""


class StaticSteps:
    """Passos sobre memória fixa: `load` copia a ordem e os valores, e cada chamada dá o passo em que o cursor está.

    order: [passos, ..., B] · values: por nome, [passos, ...] · sums: [passos, ..., 4], que as chamadas preenchem.
    """

    def __init__(self, step: Step, order: Tensor, values: dict[str, Tensor]):
        self.step = step
        self.order = order.clone()
        self.values = {name: column.clone() for name, column in values.items()}
        self.cursor = torch.zeros(1, dtype=torch.int64, device=order.device)
        self.sums: Tensor | None = None

    def load(self, order: Tensor, values: dict[str, Tensor]) -> None:
        self.order.copy_(order)
        for name, column in values.items():
            self.values[name].copy_(column)
        self.cursor.zero_()

    def __call__(self) -> None:
        sums = self.step(self._current(self.order), {name: self._current(v) for name, v in self.values.items()})
        if self.sums is None:  # no aquecimento: a forma, quem sabe é o passo
            self.sums = sums.new_zeros(len(self.order), *sums.shape)
        self.sums.index_copy_(0, self.cursor, sums[None])
        self.cursor += 1

    def _current(self, column: Tensor) -> Tensor:
        return column.index_select(0, self.cursor)[0]


class GraphSteps:
    """Dá os mesmos passos que EagerSteps, por grafos: um de 16 passos cheios, repetido, e outro com o fim da época.

    tensors: o que `step` altera, além do estado do otimizador: pesos e buffers · recorder: quem grava (CudaRecorder).
    Se gravar for impossível, avisa uma vez e segue passo a passo.
    """

    def __init__(
        self, step: Step, batch_size: int, *, tensors: Iterable[Tensor], optimizer: torch.optim.Optimizer, recorder
    ):
        self.step = step
        self.batch_size = batch_size
        self.tensors = list(tensors)
        self.optimizer = optimizer
        self.recorder = recorder
        self.parts: list[StaticSteps] = []
        self.replays: list[Callable[[], None]] = []

    def run(self, order: Tensor, values: dict[str, Tensor]) -> Tensor:
        """Como EagerSteps.run."""
        if self.recorder is not None and not self.replays:
            try:
                self._record(order, values)
            except CaptureError as error:
                self._give_up(error)
        if self.recorder is None:
            return EagerSteps(self.step, self.batch_size).run(order, values)
        for part, piece in zip(self.parts, self._pieces(order, values), strict=True):
            part.load(*piece)
        for replay in self.replays:
            replay()
        return torch.cat([part.sums for part in self.parts])

    def _pieces(self, order: Tensor, values: dict[str, Tensor]) -> list[tuple[Tensor, dict[str, Tensor]]]:
        """Os lotes cheios e o último, menor; dos dois, os que houver."""
        n_full = order.shape[-1] // self.batch_size
        boundary = n_full * self.batch_size
        full = order[..., :boundary].unflatten(-1, (n_full, self.batch_size)).movedim(-2, 0)
        pieces = [(full, slice(None, n_full)), (order[..., boundary:][None], slice(n_full, None))]
        return [
            (rows, {name: column[which] for name, column in values.items()}) for rows, which in pieces if rows.numel()
        ]

    def _record(self, order: Tensor, values: dict[str, Tensor]) -> None:
        """Aquece, desfaz o que o aquecimento mudou e grava. Gravar não executa nada."""
        _require_repeatable(self.optimizer)
        self.parts = [StaticSteps(self.step, *piece) for piece in self._pieces(order, values)]
        before = torch.get_rng_state()
        with undone(self.tensors, self.optimizer, self.recorder.generators), self.recorder.warming_up():
            for i in range(_WARMUP_ROUNDS):
                # Na primeira vez sem vigiar: se o objetivo estiver errado, o erro aparece como apareceria sem grafos.
                with self.recorder.forbidding_waits() if i else contextlib.nullcontext():
                    for part in self.parts:
                        part.cursor.zero_()
                        part()
            on_cpu = not torch.equal(torch.get_rng_state(), before)
            if on_cpu and torch.default_generator not in self.recorder.generators:
                raise CaptureError("o objetivo ou o modelo sorteia na CPU, e um grafo repetiria sempre esse sorteio.")
        epoch = [part for part in self.parts for _ in part.order]
        n_full = order.shape[-1] // self.batch_size
        repeats = n_full // _STEPS_PER_GRAPH
        end = epoch[repeats * _STEPS_PER_GRAPH :]
        replays = [self._graph(epoch[:_STEPS_PER_GRAPH])] * repeats if repeats else []
        self.replays = replays + ([self._graph(end)] if end else [])

    def _graph(self, steps: Sequence[StaticSteps]) -> Callable[[], None]:
        def run():
            for step in steps:
                step()
            self.optimizer.zero_grad(set_to_none=True)  # os gradientes são memória do grafo: ninguém fica com eles

        return self.recorder.record(run)

    def _give_up(self, error: CaptureError) -> None:
        warnings.warn(
            f"Não foi possível gravar os passos num grafo CUDA: {error} O treino segue passo a passo, mais devagar e "
            "com o mesmo resultado.",
            stacklevel=2,
        )
        self.recorder = None
        self.parts.clear()


def _require_repeatable(optimizer: torch.optim.Optimizer) -> None:
    """Levanta CaptureError se o otimizador contar algo fora da GPU ou não começar com o estado em zero."""
    if type(optimizer) not in OPTIMIZERS.values() or any(g.get("dampening") for g in optimizer.param_groups):
        raise CaptureError(f"não se sabe se o otimizador {type(optimizer).__name__}, como foi pedido, cabe num.")


@contextlib.contextmanager
def undone(
    tensors: Iterable[Tensor], optimizer: torch.optim.Optimizer, generators: Iterable[torch.Generator]
) -> Iterator[None]:
    """Ao sair, os tensores, o otimizador e os geradores estão como antes, nas mesmas posições de memória.

    O estado que o otimizador criou lá dentro vira zero, que é como os de OPTIMIZERS começam. O gerador da CPU é
    sempre um dos geradores: um objetivo pode sortear nela e copiar para a GPU.
    """
    tensors, generators = list(tensors), [torch.default_generator, *generators]
    before = [tensor.detach().clone() for tensor in tensors]
    state_before = {
        parameter: {name: value.clone() for name, value in state.items() if isinstance(value, Tensor)}
        for parameter, state in optimizer.state.items()
    }
    draws = [generator.get_state() for generator in generators]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(tensors, before, strict=True):
                tensor.copy_(value)
            for parameter, state in optimizer.state.items():
                for name, value in state.items():
                    if isinstance(value, Tensor):
                        value.copy_(state_before[parameter][name]) if parameter in state_before else value.zero_()
        optimizer.zero_grad(set_to_none=True)
        for generator, state in zip(generators, draws, strict=True):
            generator.set_state(state)


class CudaRecorder:
    """Grava grafos CUDA em `device`. generators: os que os passos usam, além do gerador padrão do dispositivo."""

    def __init__(self, device: torch.device, generators: Iterable[torch.Generator] = ()):
        self.device = device
        self.stream = torch.cuda.Stream(device)
        self.extra_generators = list(generators)
        self.generators = [torch.cuda.default_generators[device.index], *self.extra_generators]

    @contextlib.contextmanager
    def warming_up(self) -> Iterator[None]:
        """O que for dado aqui corre na mesma fila em que se gravará, como o autograd pede."""
        current = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*capturable=True")  # ainda não se grava, mas logo se gravará
            try:
                yield
            finally:  # mesmo que falhe: quem desfizer o aquecimento deve vir depois dele
                current.wait_stream(self.stream)

    @contextlib.contextmanager
    def forbidding_waits(self) -> Iterator[None]:
        """Esperar pela GPU é um erro aqui dentro: melhor agora que no meio de uma gravação, que ficaria pela metade."""
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Synchronization debug mode")
            torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        except RuntimeError as error:
            raise CaptureError(f"{error}\n{_WAITS}") from error
        finally:
            torch.cuda.set_sync_debug_mode(before)

    def record(self, run: Callable[[], None]) -> Callable[[], None]:
        """Grava o que `run` pede à GPU, sem executar, e devolve a função que o repete."""
        graph = torch.cuda.CUDAGraph()
        for generator in self.extra_generators:
            graph.register_generator_state(generator)
        stream = torch.cuda.current_stream(self.device)
        states = [generator.clone_state() for generator in self.generators]
        try:
            with torch.cuda.device(self.device), torch.cuda.graph(graph, stream=self.stream):
                run()
        except RuntimeError as error:
            torch.cuda.set_stream(stream)  # uma gravação que falha não devolve a fila nem solta os geradores
            for generator, state in zip(self.generators, states, strict=True):
                generator.graphsafe_set_state(state)
            raise CaptureError(f"{error}\n{_WAITS}") from error
        return graph.replay
