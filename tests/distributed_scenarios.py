"""Cada cenário é treinado por dois processos filhos, como os que torchrun lança; quem chama lê o que eles deixam.

Uso: python distributed_scenarios.py PASTA. De cada cenário e processo ficam CENÁRIO-PROCESSO.pt (o que o cenário
devolveu, ou o texto do erro) e CENÁRIO-PROCESSO.txt (o que foi impresso).
"""

import os
import signal
import socket
import sys
import time
import warnings
from datetime import timedelta
from pathlib import Path

import torch
from small_training import noisy_vae, small_vae

from vae_lessons.data import load
from vae_lessons.objectives import ElboTerms, elbo
from vae_lessons.training import TrainConfig, distributed, fit

RANKS = 2
DEADLINE = 30
digits, held_out = load("digits").x[:299], load("digits", "test").x[:100]


def without_noise(model, x, *, beta):
    """A ELBO com z na média da posterior: nada é sorteado."""
    q = model.encode(x)
    log_likelihood = model.decode(q.mean).log_prob(x).sum(-1)
    kl = 0.5 * (q.mean.square() + q.log_var.exp() - 1 - q.log_var).sum(-1)
    return ElboTerms(log_likelihood - kl, log_likelihood, kl, beta * kl - log_likelihood)


def train(model, data=digits, *, objective=elbo, validation=None, progress=False, resume=False, **options):
    config = TrainConfig(**({"epochs": 4, "batch_size": 64, "lr": 1e-2, "device": "cpu"} | options))
    history = fit(model, data, config, objective=objective, validation=validation, resume=resume, progress=progress)
    return {"weights": dict(model.state_dict()), "history": {k: v for k, v in vars(history).items() if k != "seconds"}}


def deterministic(rank, folder):
    """Cada processo começa de pesos diferentes: valem os do primeiro."""
    return train(small_vae(seed=rank), objective=without_noise, binarize="static", beta_warmup=2)


def tiny_batches(rank, folder):
    """Cinco exemplos em lotes de 2, 2 e 1: no último um dos processos fica sem nada."""
    return train(small_vae(), digits[:5], objective=without_noise, binarize="static", batch_size=2, optimizer="adamw")


def statistical(rank, folder):
    return train(small_vae(), validation=held_out, epochs=20, beta_warmup=5)


def stateful(rank, folder):
    """Dropout, BatchNorm e paciência: tudo o que poderia fazer os processos discordarem."""
    return train(noisy_vae(), validation=held_out, epochs=60, lr=0.3, patience=2)


def noise(rank, folder):
    """Pixels a meio caminho: os bits que cada processo viu."""
    seen = []

    def objective(model, x, *, beta):
        seen.append(x)
        return elbo(model, x, beta=beta)

    train(small_vae(), torch.full((64, 64), 128, dtype=torch.uint8), objective=objective, epochs=1)
    return seen[0]


def bar(rank, folder):
    return train(small_vae(), validation=held_out, progress=True)


def checkpoint(rank, folder):
    path, writes = folder / "treino.pt", 0
    right = os.replace

    def replace(source, target):
        nonlocal writes
        writes += 1
        right(source, target)

    os.replace = replace
    train(noisy_vae(), validation=held_out, epochs=3, checkpoint=path)
    after_three = writes
    resumed = train(noisy_vae(seed=5), validation=held_out, epochs=6, checkpoint=path, resume=True)
    whole = train(noisy_vae(), validation=held_out, epochs=6)
    return {"writes": after_three, "resumed": resumed, "whole": whole}


def own_files(rank, folder):
    """Cada processo com o seu arquivo, como em máquinas sem pasta comum: só o primeiro grava."""
    for resume in (False, True):
        train(small_vae(), epochs=2 + resume, checkpoint=folder / f"próprio-{rank}.pt", resume=resume)


def error_in_one(rank, folder):
    return train(small_vae(), objective=stopping(rank, ValueError("meu erro")), checkpoint=folder / "erro.pt")


def interrupted_one(rank, folder):
    return train(small_vae(), objective=stopping(rank, KeyboardInterrupt()), checkpoint=folder / "interrompido.pt")


def stopping(rank, error):
    """No processo 1, `error` no segundo passo da terceira época."""
    steps = 0

    def objective(model, x, *, beta):
        nonlocal steps
        steps += 1
        if rank == 1 and steps == 12:
            raise error
        return elbo(model, x, beta=beta)

    return objective


def one_that_stalls(rank, folder):
    distributed._TIMEOUT = timedelta(seconds=1)
    steps = 0

    def objective(model, x, *, beta):
        nonlocal steps
        steps += 1
        if rank == 1 and steps == 3:
            time.sleep(2)
        return elbo(model, x, beta=beta)

    return train(small_vae(), objective=objective)


SCENARIOS = [
    deterministic,
    tiny_batches,
    statistical,
    stateful,
    noise,
    bar,
    checkpoint,
    own_files,
    error_in_one,
    interrupted_one,
    one_that_stalls,
]


def in_a_child(scenario, rank, port, folder):
    child = os.fork()
    if child:
        return child
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(RANKS), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
    )
    name = folder / f"{scenario.__name__}-{rank}"
    sys.stdout = open(f"{name}.txt", "w", encoding="utf-8")  # noqa: SIM115
    try:
        result = scenario(rank, folder)
    except BaseException as error:
        result = f"{type(error).__name__}: {error}"
    torch.save(result, f"{name}.pt")
    sys.stdout.flush()
    os._exit(0)


def wait_for(children):
    """Espera o primeiro processo e, se não for o que empaca, o segundo; quem passa do prazo é morto sem deixar nada."""
    deadline = time.monotonic() + DEADLINE
    for child in children:
        while not os.waitpid(child, os.WNOHANG)[0]:
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                break
            time.sleep(0.01)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def main(folder):
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    train(small_vae(), epochs=1)  # o que o torch importa na primeira vez, os filhos já herdam
    for scenario in SCENARIOS:
        port = free_port()
        wait_for([in_a_child(scenario, rank, port, folder) for rank in range(RANKS)])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
