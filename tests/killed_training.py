"""Treina em processos filhos e os mata em momentos sorteados; quem chama compara os arquivos que ficam.

Uso: python killed_training.py PASTA MORTES. Grava PASTA/inteiro.pt (sem interrupção) e PASTA/N.pt, e escreve em JSON
quantas vezes matou e quantas épocas completas havia no arquivo a cada retomada.
"""

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


def kill_at_step(path, step):
    """Mata o treino pouco depois do passo de número `step` que ele der. Devolve se chegou a matá-lo antes do fim."""
    reading, writing = os.pipe()

    def work():
        os.close(reading)
        train(path, lambda: os.write(writing, b"."))

    child = in_a_child(work)
    os.close(writing)
    for _ in range(step):
        if not os.read(reading, 1):
            break
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
    resumed_at, killed, trainings = [], 0, 0
    while killed < kills:
        trainings += 1
        path = folder / f"{trainings}.pt"
        while killed < kills and kill_at_step(path, random.randrange(1, STEPS // 3)):
            killed += 1
            resumed_at.append(epochs_in(path))
            # Ora sim, ora não, grava-se a cada época: assim a morte chega muitas vezes durante a gravação.
            checkpoint._TIME_BETWEEN_WRITES = 0 if killed % 2 else 20
        complete(path)
    print(json.dumps({"killed": killed, "trainings": trainings, "resumed_at": resumed_at}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
