"""Dois processos, como os que torchrun lança, treinam um só modelo: o mesmo que um processo sozinho treinaria."""

import math
import os
import subprocess
import sys
from pathlib import Path

import distributed_scenarios as scenarios
import pytest
import torch

from vae_lessons.training import TrainConfig, distributed, fit
from vae_lessons.training.checkpoint import _read
from vae_lessons.training.config import choose_backend

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="Este sistema não tem fork.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Todos os cenários, treinados de uma vez: cada um dos dois processos deixa aqui o que obteve."""
    path = tmp_path_factory.mktemp("processos")
    command = [sys.executable, str(ROOT / "tests/distributed_scenarios.py"), str(path)]
    run = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    return path


@pytest.fixture
def results(folder):
    def of(scenario):
        return [torch.load(folder / f"{scenario.__name__}-{rank}.pt", weights_only=False) for rank in range(2)]

    return of


def assert_agree(first, second):
    """Os dois processos terminaram com os mesmos pesos, bit a bit, e o mesmo History."""
    assert first["history"] == second["history"]
    for name, weight in first["weights"].items():
        assert torch.equal(weight, second["weights"][name]), name


def assert_close(result, expected):
    for name, values in expected["history"].items():
        if isinstance(values, list):
            assert result["history"][name] == pytest.approx(values, rel=1e-5), name
    for name, weight in expected["weights"].items():
        torch.testing.assert_close(result["weights"][name], weight, rtol=1e-3, atol=1e-5)


# O mesmo que um processo só


@pytest.mark.parametrize("scenario", [scenarios.deterministic, scenarios.tiny_batches])
def test_without_noise_two_processes_equal_one(results, scenario):
    """Fatias desiguais, lotes com menos exemplos que processos: o gradiente é o do lote inteiro."""
    first, second = results(scenario)
    assert_agree(first, second)
    assert_close(first, scenario(0, None))


def test_with_noise_the_elbo_is_that_of_one_process_within_the_spread_of_the_draws(results):
    """Tolerância: quatro desvios-padrão da ELBO final entre sementes, medidos aqui com um processo só."""
    first, second = results(scenarios.statistical)
    assert_agree(first, second)
    alone = [
        scenarios.train(scenarios.small_vae(), validation=scenarios.held_out, epochs=20, beta_warmup=5, seed=seed)[
            "history"
        ]["val_elbo"][-1]
        for seed in range(5)
    ]
    mean = sum(alone) / len(alone)
    spread = math.sqrt(sum((value - mean) ** 2 for value in alone) / (len(alone) - 1))
    assert spread < 0.5
    assert abs(first["history"]["val_elbo"][-1] - mean) < 4 * spread


def test_dropout_normalization_and_patience_do_not_set_the_processes_apart(results):
    first, second = results(scenarios.stateful)
    assert_agree(first, second)
    assert len(first["history"]["elbo"]) == first["history"]["best_epoch"] + 2 < 60


def test_each_process_draws_its_own_noise(results):
    first, second = results(scenarios.noise)
    assert first.shape == second.shape == (32, 64)
    assert abs((first == second).float().mean() - 0.5) < 0.1


# Uma barra, um arquivo


def test_only_the_first_process_shows_the_bar(results, folder):
    first, second = results(scenarios.bar)
    assert_agree(first, second)
    assert "4/4" in (folder / "bar-0.txt").read_text(encoding="utf-8")
    assert (folder / "bar-1.txt").read_text(encoding="utf-8") == ""


def test_one_file_is_written_and_all_resume_from_it(results, folder):
    first, second = results(scenarios.checkpoint)
    assert first["writes"] > 0
    assert second["writes"] == 0
    assert_agree(first["resumed"], second["resumed"])
    assert_agree(first["resumed"], first["whole"])


def test_another_number_of_processes_is_refused(results, folder):
    results(scenarios.checkpoint)
    config = TrainConfig(epochs=6, batch_size=64, lr=1e-2, device="cpu", checkpoint=folder / "treino.pt")
    with pytest.raises(ValueError, match="processos: 2 no arquivo, 1 agora"):
        fit(
            scenarios.noisy_vae(),
            scenarios.digits,
            config,
            validation=scenarios.held_out,
            resume=True,
            progress=False,
        )


def test_files_that_are_not_the_same_for_all_are_refused(results):
    first, second = results(scenarios.own_files)
    assert second.startswith("ValueError: O processo 1 leu um checkpoint com 0 épocas, e o processo 0, um com 2")
    assert first.startswith("RuntimeError: ")


# Quando um deles para


@pytest.mark.parametrize(
    ("scenario", "error", "file"),
    [
        (scenarios.error_in_one, "ValueError: meu erro", "erro.pt"),
        (scenarios.interrupted_one, "KeyboardInterrupt: ", "interrompido.pt"),
    ],
)
def test_when_one_stops_the_other_does_too_and_the_complete_epochs_are_in_the_file(
    results, folder, scenario, error, file
):
    first, second = results(scenario)
    assert second == error
    assert first.startswith("RuntimeError: ")
    assert len(_read(folder / file)["state"]["history"]["seconds"]) == 2


def test_one_that_stalls_is_not_waited_for_forever(results):
    first, _ = results(scenarios.one_that_stalls)
    assert "Timed out" in first


# Ao redor


def test_graphs_are_refused_and_auto_is_eager():
    cuda = torch.device("cuda", 0)
    assert choose_backend("auto", cuda, n_processes=2) == "eager"
    with pytest.raises(ValueError, match="backend='graph' treina num processo só, e são 2"):
        choose_backend("graph", cuda, n_processes=2)


@pytest.mark.parametrize(
    "environment",
    [{}, {"WORLD_SIZE": "2"}, {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}],
    ids=str,
)
def test_outside_torchrun_there_is_no_group(monkeypatch, environment):
    """Nem com uma variável que outro programa definiu, nem com um processo só."""
    for name in distributed._LAUNCHED:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert distributed.join(torch.device("cpu")) == distributed.Group(0, 1)
    assert not torch.distributed.is_initialized()


def test_each_process_takes_the_gpu_of_its_number(monkeypatch):
    taken = []
    for name in distributed._LAUNCHED:
        monkeypatch.setenv(name, "2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setattr(distributed, "choose_device", lambda name: name)
    for rank in ("0", "1"):
        monkeypatch.setenv("LOCAL_RANK", rank)
        assert distributed.local_device("auto") == "auto"
        assert distributed.local_device("cpu") == "cpu"
    assert taken == [0, 1]
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ValueError, match=r"processo 2 da máquina, que tem 2 GPUs"):
        distributed.local_device("cuda")


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("n", [1, 2, 6, 7])
def test_slices_cover_the_batch_once(size, n):
    slices = [distributed.Group(rank, size).slice(torch.arange(n)) for rank in range(size)]
    assert torch.cat([rows for rows, share in slices if share]).tolist() == list(range(n))
    assert sum(share for _, share in slices) == pytest.approx(1)
    assert all(len(rows) for rows, _ in slices)


def test_torchrun_trains_with_the_same_fit(tmp_path):
    """O comando de verdade, com um programa que nada sabe de processos."""
    program = tmp_path / "programa.py"
    program.write_text(
        "import os\n"
        "from vae_lessons.data import load\n"
        "from vae_lessons.models import mlp_vae\n"
        "from vae_lessons.training import TrainConfig, fit\n"
        "history = fit(mlp_vae(64, 2, (16,)), load('digits').x[:300], TrainConfig(epochs=2, device='cpu'))\n"
        f"open(rf'{tmp_path}/elbo-' + os.environ['RANK'], 'w').write(str(history.elbo))\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(program)]
    run = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    first, second = ((tmp_path / f"elbo-{rank}").read_text() for rank in range(2))
    assert first == second
    assert "2/2" in run.stdout
    assert run.stdout.count(" 0/2 ") == 1  # uma barra, a do primeiro processo; a última linha dela pode vir duas vezes
