"""Uma cópia do repositório para estragar: os testes que testam os testes."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def copy_repository(folder: Path) -> Path:
    """Uma cópia do que os testes precisam."""
    for file in ("pyproject.toml", "conftest.py"):
        shutil.copy(ROOT / file, folder)
    for name in ("vae_lessons", "tests", "notebooks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    return folder


def damage(repository, path, pattern, replacement):
    file = repository / path
    damaged, count = re.subn(pattern, replacement, file.read_text(encoding="utf-8"))
    assert count, f"{path} não tem mais o trecho {pattern!r}: atualize o estrago, ou este teste nada testa."
    file.write_text(damaged, encoding="utf-8")


def run_tests(repository, *selection):
    """Roda os testes da cópia contra o pacote da cópia."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("PYTEST_ADDOPTS", "IPYTHONDIR")}
    environment = inherited | {"PYTHONPATH": str(repository)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *selection]
    run = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1), f"O pytest não chegou a testar:\n{run.stdout}{run.stderr}"
    return run
