"""Testes dos testes: estraga-se uma cópia do repositório e exige-se que os testes dela falhem.

Há sempre um controle: os mesmos testes passam na cópia intacta.
"""

import json
import re

import nbformat
import pytest
from repository_copy import copy_repository, damage, run_tests

LESSON = "notebooks/01_elbo.ipynb"
KL = (
    "vae_lessons/distributions/normal.py",
    r"torch\.expm1\(difference\) - difference",
    "torch.expm1(difference) + difference",
)
SLIDERS = ("vae_lessons/explore/latent.py", r'(?m)^( +)self\.controls\[f"z\{dim\}"\]\.observe\(.*\)$', r"\1pass")
USES_NETWORK = """import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
    channel.connect(("192.0.2.1", 9))"""
SLIDER_TEST = "test_each_slider_moves_the_picture_and_only_its_own_dimension"
SEED = (LESSON, r"torch\.manual_seed\(0\)", "torch.manual_seed(1)")


@pytest.fixture
def repository(tmp_path):
    return copy_repository(tmp_path)


def keep_cells_up_to(path, last):
    """Corta a lição depois da sua célula de código número `last`: o controle não precisa ir além do estrago."""
    lesson = json.loads(path.read_text(encoding="utf-8"))
    code = [index for index, cell in enumerate(lesson["cells"]) if cell["cell_type"] == "code"]
    lesson["cells"] = lesson["cells"][: code[last] + 1]
    path.write_text(json.dumps(lesson), encoding="utf-8")


def test_unit_tests_notice_a_wrong_kl_and_a_disconnected_slider(repository):
    selection = "tests/test_distributions.py", "tests/test_explore.py::" + SLIDER_TEST
    intact = run_tests(repository, *selection)
    assert intact.returncode == 0, intact.stdout
    for mutation in (KL, SLIDERS):
        damage(repository, *mutation)
    damaged = run_tests(repository, *selection)
    assert {re.match(r"FAILED (\S+?)::", line)[1] for line in damaged.stdout.splitlines() if "FAILED" in line} == {
        "tests/test_distributions.py",
        "tests/test_explore.py",
    }


def test_lesson_notices_a_wrong_kl_and_a_changed_seed(repository):
    noticed = []
    for path, pattern, replacement in (KL, SEED):
        original = (repository / path).read_text(encoding="utf-8")
        damage(repository, path, pattern, replacement)
        damaged = run_tests(repository, "-x", LESSON)
        failed = re.search(r"FAILED .*::Cell (\d+)", damaged.stdout)
        assert failed, f"A lição passou com {path} estragado:\n{damaged.stdout}"
        noticed.append(int(failed[1]))
        (repository / path).write_text(original, encoding="utf-8")

    keep_cells_up_to(repository / LESSON, max(noticed))
    intact = run_tests(repository, LESSON)
    assert intact.returncode == 0, intact.stdout


def test_a_lesson_that_uses_the_network_is_noticed(repository):
    """O nbval tira a rede dos kernels; sem o conftest.py da raiz, a lição chegaria a procurá-la."""
    lesson = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(USES_NETWORK, execution_count=1)])
    nbformat.write(lesson, repository / "notebooks/99_rede.ipynb")
    noticed = run_tests(repository, "notebooks/99_rede.ipynb")
    assert noticed.returncode == 1
    assert "A lição tentou usar a rede: 192.0.2.1" in noticed.stdout
    (repository / "conftest.py").unlink()
    assert "A lição tentou usar a rede" not in run_tests(repository, "notebooks/99_rede.ipynb").stdout
