"""Programas e mensagens em saídas que não são UTF-8: cp1252 no Windows redirecionado, ASCII num servidor antigo."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*arguments, encoding):
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "0"}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, check=False, cwd=ROOT)


FIT = """
from vae_lessons.data import load
from vae_lessons.models import mlp_vae
from vae_lessons.objectives import elbo
from vae_lessons.training import TrainConfig, fit

def interrupted(model, x, *, beta):
    if history:
        raise KeyboardInterrupt
    return elbo(model, x, beta=beta)

history = []
fit(mlp_vae(64, 2, (8,)), load("digits").x[:128], TrainConfig(epochs=1, device="cpu"))
history.append(1)
fit(mlp_vae(64, 2, (8,)), load("digits").x[:128], TrainConfig(epochs=1, device="cpu"), objective=interrupted)
"""


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "cp1252:strict"])
def test_training_talks_to_any_output(encoding):
    result = run("-c", FIT, encoding=encoding)
    assert result.returncode == 0, result.stderr
    assert b"Treino interrompido: 0 de 1 " in result.stdout


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_json_is_ascii_whatever_the_output(encoding):
    result = run(
        *("-m", "vae_lessons.benchmark", "--data", "digits", "--epochs", "1", "--sweep", "0", "--json"),
        encoding=encoding,
    )
    assert result.returncode == 0, result.stderr
    rows = json.loads(result.stdout.decode("ascii"))["rows"]
    assert rows[0]["way"] == "laço com DataLoader"


@pytest.mark.parametrize("program", ["benchmark", "reproduce"])
def test_help_and_errors_survive_ascii(program):
    result = run("-m", f"vae_lessons.{program}", "--help", encoding="ascii")
    assert result.returncode == 0, result.stderr
    assert b"--device" in result.stdout


def test_an_error_handler_that_was_chosen_stays():
    code = "import sys, vae_lessons; print(sys.stdout.errors)"
    assert run("-c", code, encoding="ascii:xmlcharrefreplace").stdout.strip() == b"xmlcharrefreplace"
    assert run("-c", code, encoding="ascii").stdout.strip() == b"replace"
