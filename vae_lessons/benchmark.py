"""Quanto o núcleo de treino ganha do laço de todo tutorial, nesta máquina: `python -m vae_lessons.benchmark`.

Numa só execução, o mesmo modelo (D-400-20, lote 128, Adam 1e-3), as mesmas épocas e a mesma ELBO de teste: de um lado o
laço com DataLoader, do outro `fit`. O piso é o tempo que as contas e a memória de um passo exigiriam às velocidades
que esta máquina mostra em multiplicações de matrizes e em passadas pela memória.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from vae_lessons.data import Dataset, binarize, load
from vae_lessons.data.idx_files import is_local
from vae_lessons.devices import choose_device, threads_for
from vae_lessons.evaluation import rate_distortion
from vae_lessons.models import VAE, mlp_vae
from vae_lessons.objectives import elbo
from vae_lessons.randomness import seeded
from vae_lessons.training import TrainConfig, fit, fit_many
from vae_lessons.training.precision import has_bfloat16

_BATCH, _LR, _HIDDEN, _LATENT = 128, 1e-3, (400,), 20


class Row(NamedTuple):
    """Uma linha da tabela. seconds: por época, mediana, de todos os modelos juntos · floor: o piso, na mesma unidade ·
    test_elbo: em nats por imagem, ao fim das épocas (do primeiro modelo)."""

    data: str
    way: str
    models: int
    epochs: int
    seconds: float
    images_per_second: float
    ms_per_step: float
    floor_seconds: float
    speedup: float
    test_elbo: float


@dataclass(frozen=True)
class Machine:
    """O que esta máquina mostra: multiplicação de matrizes, em FLOP/s, e memória, em bytes/s."""

    device: str
    threads: int
    matmul_float32: float
    matmul_bfloat16: float
    memory: float


class Photos(torch.utils.data.Dataset):
    """Um conjunto como o de torchvision: a cada índice, uma imagem da PIL, as transformações dela, uma a uma, e o
    rótulo."""

    def __init__(self, data: Dataset):
        self.images = data.x.reshape(-1, *data.image_shape)
        self.labels = data.y
        self.transforms = (to_tensor, torch.bernoulli)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture, label = Image.fromarray(self.images[index].numpy()), int(self.labels[index])
        for transform in self.transforms:
            picture = transform(picture)
        return picture, label


def to_tensor(picture: Image.Image) -> Tensor:
    """Uma imagem da PIL em tons de cinza → [1, H, W] em [0, 1]."""
    pixels = torch.from_numpy(np.array(picture)).view(picture.height, picture.width, 1)
    return pixels.permute(2, 0, 1).contiguous().to(torch.float32).div(255)


def dataloader_loop(model: VAE, data: Dataset, *, epochs: int, device: torch.device) -> list[float]:
    """O laço de todo tutorial, escrito aqui: DataLoader com transformação por imagem, sigmoide e BCE, `.item()` a cada
    passo. Devolve os segundos de cada época."""
    loader = DataLoader(Photos(data), batch_size=_BATCH, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=_LR)
    seconds = []
    for _ in range(epochs):
        started, total = time.perf_counter(), 0.0
        for images, _ in loader:
            x = images.to(device).view(len(images), -1)
            optimizer.zero_grad()
            mean, log_var = model.encoder(x).chunk(2, dim=-1)
            z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
            reconstruction = torch.sigmoid(model.decoder(z))
            bce = F.binary_cross_entropy(reconstruction, x, reduction="sum")
            kl = -0.5 * torch.sum(1 + log_var - mean.pow(2) - log_var.exp())
            loss = (bce + kl) / len(x)
            loss.backward()
            total += loss.item() * len(x)
            optimizer.step()
        seconds.append(time.perf_counter() - started)
    return seconds


def measure_machine(device: torch.device) -> Machine:
    """Mede as duas velocidades com o que o torch tem de mais simples: uma matriz vezes outra e uma soma de vetores."""

    def best(work: Callable[[], Tensor], repeats: int = 5) -> float:
        work()
        return min(_timed(work, device) for _ in range(repeats))

    side = 4096 if device.type == "cuda" else 1536
    rates = []
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.randn(side, side, device=device).to(dtype)
        rates.append(2 * side**3 / best(lambda a=a: a @ a))
    v = torch.ones(2**26 if device.type == "cuda" else 2**24, device=device)
    out = torch.empty_like(v)
    memory = 3 * v.nbytes / best(lambda: torch.add(v, v, out=out))
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return Machine(name, torch.get_num_threads(), *rates, memory)


def step_cost(model: VAE, x: Tensor) -> tuple[int, int]:
    """(FLOPs, bytes) de um passo de treino com o lote x [B, D]: as multiplicações de matrizes, contadas pelo torch, e o
    que cada uma das outras operações lê e escreve. Os bytes do Adam: lê w, g, m e v e escreve w, m e v."""
    counter, traffic = FlopCounterMode(display=False), _Traffic()
    with counter, traffic:
        elbo(model, x).loss.mean().backward()
    model.zero_grad(set_to_none=True)
    adam = 7 * sum(p.nbytes for p in model.parameters())
    return counter.get_total_flops(), traffic.total + adam


_MATMULS = ("mm", "addmm", "bmm", "baddbmm")
_VIEWS = ("view", "_unsafe_view", "t", "transpose", "expand", "detach", "split", "slice", "unsqueeze", "alias", "empty")


class _Traffic(TorchDispatchMode):
    """Soma os bytes que as operações leem e escrevem, menos as de matrizes e as que só mudam a forma."""

    def __init__(self):
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        output = function(*args, **(kwargs or {}))
        if function.overloadpacket.__name__ not in _MATMULS + _VIEWS:
            self.total += sum(t.nbytes for t in tree_leaves((args, output)) if isinstance(t, Tensor))
        return output


def benchmark(
    names: Sequence[str], *, epochs: int = 3, sweep: int = 16, device: str = "auto", say: Callable = lambda text: None
) -> tuple[Machine, list[Row]]:
    """A tabela inteira. names: conjuntos de dados · epochs: por modo · sweep: modelos treinados juntos (0: pula)."""
    if epochs < 1 or sweep < 0:
        raise ValueError(f"epochs deve ser ao menos 1 e sweep ao menos 0, mas vieram {epochs} e {sweep}.")
    where = choose_device(device)
    machine = measure_machine(where)
    rows: list[Row] = []
    for name in names:
        rows += _of_one_data_set(name, epochs, sweep, where, machine, say)
    return machine, rows


def _of_one_data_set(name, epochs, sweep, device, machine, say) -> list[Row]:
    train, test = load(name), load(name, "test")
    held_out = binarize(test.x, "static").to(device)
    config = TrainConfig(epochs=epochs, batch_size=_BATCH, lr=_LR, device=str(device), seed=0)
    with threads_for(_new_model(train), _BATCH, device):
        flops, traffic = step_cost(_new_model(train).to(device), held_out[:_BATCH])
    steps = -(-len(train) // _BATCH)
    rows: list[Row] = []

    def add(way: str, seconds: list[float], model: VAE, matmul: float, models: int = 1) -> None:
        per_epoch = statistics.median(seconds[1:] if len(seconds) > 2 else seconds)
        reference = rows[0].seconds if rows else per_epoch
        test_elbo = -sum(rate_distortion(model.to(device), held_out)[:2])
        rows.append(
            Row(
                data=name,
                way=way,
                models=models,
                epochs=epochs,
                seconds=per_epoch,
                images_per_second=models * len(train) / per_epoch,
                ms_per_step=1e3 * per_epoch / steps,
                floor_seconds=models * steps * (flops / matmul + traffic / machine.memory),
                speedup=models * reference / per_epoch,
                test_elbo=test_elbo,
            )
        )

    say(f"{name}: laço com DataLoader")
    model = _new_model(train).to(device)
    with seeded(0, device):
        seconds = dataloader_loop(model, train, epochs=epochs, device=device)
    add("laço com DataLoader", seconds, model, machine.matmul_float32)
    for way, options in _ways(device).items():
        say(f"{name}: {way}")
        model = _new_model(train)
        matmul = machine.matmul_bfloat16 if "precision" in options else machine.matmul_float32
        history = fit(model, train, TrainConfig(**{**vars(config), **options}), progress=False)
        add(way, history.seconds, model, matmul)
    if sweep:
        say(f"{name}: fit_many, {sweep} modelos")
        runs = fit_many(_new_model(train), train, config, sweep={"seed": range(sweep)}, progress=False)
        add("fit_many", runs[0].history.seconds, runs[0].model, machine.matmul_float32, models=sweep)
    return rows


def _ways(device: torch.device) -> dict[str, dict[str, str]]:
    """Os modos de fit que existem neste dispositivo."""
    backends = ["eager", "graph"] if device.type == "cuda" else ["eager"]
    ways = {f"fit, {backend}": {"backend": backend} for backend in backends}
    return ways | {
        f"fit, {backend}, bfloat16": {"backend": backend, "precision": "bfloat16"}
        for backend in backends
        if has_bfloat16(device)
    }


def _new_model(data: Dataset) -> VAE:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return mlp_vae(data.x.shape[1], _LATENT, _HIDDEN)


def _timed(work: Callable[[], Tensor], device: torch.device) -> float:
    _wait(device)
    started = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - started


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def table(machine: Machine, rows: Sequence[Row]) -> str:
    """A tabela em texto."""
    lines = [
        f"{machine.device}, {machine.threads} linhas de execução, torch {torch.__version__}: matrizes "
        f"{machine.matmul_float32 / 1e9:.0f} GFLOP/s (bfloat16: {machine.matmul_bfloat16 / 1e9:.0f}), memória "
        f"{machine.memory / 1e9:.0f} GB/s",
        f"{'dados':<8}{'modo':<24}{'modelos':>8}{'s/época':>10}{'imagens/s':>12}{'ms/passo':>10}{'piso s':>9}"
        f"{'× o laço':>10}{'ELBO de teste':>15}",
    ]
    for row in rows:
        lines.append(
            f"{row.data:<8}{row.way:<24}{row.models:>8}{row.seconds:>10.3f}{row.images_per_second:>12.0f}"
            f"{row.ms_per_step:>10.3f}{row.floor_seconds:>9.3f}{row.speedup:>10.1f}{row.test_elbo:>15.2f}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m vae_lessons.benchmark", description="O núcleo de treino contra o laço com DataLoader."
    )
    parser.add_argument("--data", nargs="+", help="conjuntos de dados (padrão: digits e, se já baixado, mnist)")
    parser.add_argument("--epochs", type=int, default=3, help="épocas de cada modo (padrão: 3)")
    parser.add_argument("--sweep", type=int, default=16, help="modelos treinados juntos (padrão: 16; 0 pula)")
    parser.add_argument("--device", default="auto", help='"auto", "cpu", "cuda", ...')
    parser.add_argument("--json", action="store_true", help="a tabela em JSON")
    options = parser.parse_args(arguments)
    say = (lambda text: None) if options.json else (lambda text: print(f"… {text}", flush=True))
    names = options.data or (["digits", "mnist"] if is_local("mnist") else ["digits"])  # medir não é hora de baixar
    try:
        machine, rows = benchmark(names, epochs=options.epochs, sweep=options.sweep, device=options.device, say=say)
    except (ValueError, FileNotFoundError) as error:  # o pedido não serve, ou faltam os dados
        raise SystemExit(str(error)) from error
    if options.json:
        content = {"machine": vars(machine), "torch": torch.__version__, "rows": [row._asdict() for row in rows]}
        print(json.dumps(content, indent=1))
    else:
        print(table(machine, rows))


if __name__ == "__main__":
    main()
