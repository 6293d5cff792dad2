"""Treina em processos filhos e os mata em momentos sorteados; quem chama compara os arquivos que ficam.

Uso: python killed_training.py PASTA MORTES. De cada três mortes, duas são em qualquer momento, e a outra, durante uma
gravação. Grava PASTA/inteiro.pt (sem interrupção) e PASTA/N.pt, e escreve em JSON quantas vezes matou, quantas delas
durante uma gravação e quantas épocas completas havia no arquivo a cada retomada.
"""

import itertools
import json
import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path

import torch

from vae_lessons.data import load
from vae_lessons.models import mlp_vae
from vae_lessons.objectives import elbo
from vae_lessons.training import TrainConfig, checkpoint, fit

EPOCHS = 30
STEPS = 4 * EPOCHS  # por época: três lotes de treino e a validação
MOMENTS = (None, None, "fsync", None, None, "replace")
x, held_out = load("digits").x[:300], load("digits", "test").x[:100]


def train(path, on_step=lambda: None):
    """Um treino com tudo o que muda de época para época: aquecimento, agenda, dropout, validação e paciência."""
    torch.manual_seed(os.getpid())  # os pesos iniciais de quem retoma não importam, desde que o arquivo exista
    if not path.exists():
        torch.manual_seed(0)
    model = mlp_vae(64, 2, (16,))
    model.encoder.insert(2, torch.nn.Dropout(0.1))

    def objective(model, x, *, beta, temperature):
        on_step()
        return elbo(model, x, beta=beta * temperature)

    config = TrainConfig(epochs=EPOCHS, beta_warmup=10, lr=1e-2, patience=50, device="cpu", checkpoint=path)
    schedules = {"temperature": lambda epochs: 1 / (1 + epochs)}
    fit(model, x, config, objective=objective, validation=held_out, schedules=schedules, resume=True, progress=False)


def in_a_child(work):
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    return child


def die_writing(function):
    """Mata este processo na próxima gravação: em "fsync", com o arquivo pela metade; em "replace", antes da troca."""

    def die(*args):
        if function == "fsync":
            os.ftruncate(args[0], os.fstat(args[0]).st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(os, function, die)


def kill_at_step(path, step, function=None):
    """Mata o treino pouco depois do passo de número `step` que ele der, ou, com `function`, na gravação seguinte a esse
    passo (ver die_writing). Devolve se chegou a matá-lo antes do fim."""
    reading, writing = os.pipe()
    steps = itertools.count(1)

    def on_step():
        if next(steps) == step and function is not None:
            die_writing(function)
        os.write(writing, b".")

    def work():
        os.close(reading)
        train(path, on_step)

    child = in_a_child(work)
    os.close(writing)
    while (function is not None or step > 0) and os.read(reading, 1):
        step -= 1
    if function is None:
        time.sleep(random.uniform(0, 0.005))
        os.kill(child, signal.SIGKILL)
    os.close(reading)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def complete(path):
    assert os.waitpid(in_a_child(lambda: train(path)), 0)[1] == 0


def epochs_in(path):
    if not path.exists():
        return 0
    content = path.read_bytes()[: -checkpoint._DIGEST_BYTES]
    (path.parent / "lido.pt").write_bytes(content)
    return len(torch.load(path.parent / "lido.pt", weights_only=True)["state"]["history"]["seconds"])


def main(folder, kills):
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    random.seed(0)
    train(folder / "inteiro.pt")  # aqui mesmo: o que o torch importa na primeira vez, os filhos já herdam
    resumed_at, killed, trainings, partial = [], 0, 0, 0
    while killed < kills:
        trainings += 1
        path = folder / f"{trainings}.pt"
        while killed < kills and kill_at_step(path, random.randrange(1, STEPS // 3), MOMENTS[killed % len(MOMENTS)]):
            killed += 1
            partial += any(path.parent.glob(f".{path.name}.*.partial"))
            resumed_at.append(epochs_in(path))
            checkpoint._TIME_BETWEEN_WRITES = 0 if killed % 2 else 20  # ora sim, ora não, grava-se a cada época
        complete(path)
    print(json.dumps({"killed": killed, "writing": partial, "trainings": trainings, "resumed_at": resumed_at}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
