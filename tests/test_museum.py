"""O museu: cada defeito se distingue da cura, e, posto no pacote ou numa lição, é achado por algum teste."""

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
import torch
from museum_infection import INTO_PACKAGE

from vae_lessons import museum

ROOT = Path(__file__).resolve().parent.parent
NAMES = [specimen.name for specimen in museum.SPECIMENS]


class Infected(NamedTuple):
    """lesson: o arquivo · cells: o que distingue cada célula que se roda, na ordem; na última, o defeito aparece ·
    healthy, sick: o trecho que se troca e o que o substitui."""

    lesson: str
    cells: tuple[str, ...]
    healthy: str
    sick: str


INTO_LESSON = {
    "norma por norma ao quadrado": Infected(
        "10_fluxos_na_posterior.ipynb",
        ("from vae_lessons import plotting", "def planar(", "def autograd_log_det(", "by_formula = planar("),
        "u_hat = u + ((kept - 1 - along) / length.clamp(min=1e-12)).unsqueeze(-1) * w",
        "u_hat = BROKEN(u, w)",
    ),
    "destaques trocados": Infected(
        "08_vq_vae.ipynb",
        (
            "from vae_lessons import plotting",
            "def quantize(",
            '"compromisso": beta',
            "# Guarda a tabela acima: quem recebe",
        ),
        '"dicionário": (z.detach() - e).square().sum(),\n    "compromisso": beta * (z - e.detach()).square().sum()',
        '"dicionário": BROKEN(z, e)[0],\n    "compromisso": beta * BROKEN(z, e)[1]',
    ),
    "giro sem escala": Infected(
        "08_vq_vae.ipynb",
        ("from vae_lessons import plotting", "def quantize(", "def rotate(", "turned, indices = rotate(z, codebook)"),
        "    return turned * e.norm(dim=1, keepdim=True) / fixed.norm(dim=1, keepdim=True).clamp(min=1e-6), indices",
        "    return BROKEN(z, e), indices",
    ),
}


def run_cells(infected: Infected, *, sick: bool, broken) -> str:
    """O que as células escrevem, saudáveis ou com o defeito; a última, se for preciso, levanta AssertionError."""
    cells = nbformat.read(ROOT / "notebooks" / infected.lesson, as_version=4).cells
    written, space = io.StringIO(), {"BROKEN": broken}
    replaced = 0
    for mark in infected.cells:
        (source,) = [cell.source for cell in cells if cell.cell_type == "code" and mark in cell.source]
        if sick and infected.healthy in source:
            source, replaced = source.replace(infected.healthy, infected.sick), replaced + 1
        with contextlib.redirect_stdout(written):
            exec(source, space)
    if replaced != sick:  # não um AssertionError, que se confundiria com o da célula
        raise LookupError(f"{infected.lesson} não tem mais o trecho {infected.healthy!r}")
    return written.getvalue()


def run_tests(*nodes: str, specimen: str | None = None) -> subprocess.CompletedProcess:
    inherited = {k: v for k, v in os.environ.items() if k not in ("PYTEST_ADDOPTS", "VAE_LESSONS_SPECIMEN")}
    chosen = {"VAE_LESSONS_SPECIMEN": specimen} if specimen else {}
    path = os.pathsep.join(map(str, (ROOT / "tests", ROOT)))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "museum_infection", *nodes]
    environment = inherited | {"PYTHONPATH": path} | chosen
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1), f"O pytest não chegou a testar:\n{run.stdout}{run.stderr}"
    return run


def test_there_are_at_least_sixteen_specimens_each_with_its_own_name():
    assert len(set(NAMES)) == len(NAMES) >= 16


@pytest.mark.parametrize("specimen", museum.SPECIMENS, ids=NAMES)
def test_the_measure_tells_the_defect_from_the_cure_with_room_to_spare(specimen):
    assert specimen.error(specimen.cured) <= specimen.tolerance / 2
    assert specimen.error(specimen.broken) > 2 * specimen.tolerance


@pytest.mark.parametrize("specimen", museum.SPECIMENS, ids=NAMES)
def test_the_source_that_is_shown_does_not_point_at_the_defect(specimen):
    assert "defeito" not in specimen.source
    assert specimen.source.startswith("def ")
    assert '"""' in specimen.source


@pytest.mark.parametrize("specimen", museum.SPECIMENS, ids=NAMES)
def test_the_measure_does_not_disturb_the_random_numbers_of_who_asks(specimen):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    specimen.error(specimen.cured)
    assert torch.equal(torch.rand(1), expected)


def test_a_specimen_that_is_not_there_is_answered_with_those_that_are():
    with pytest.raises(ValueError, match=r"Não há no museu um espécime chamado 'soma'.*soma com média"):
        museum.specimen("soma")


def test_the_table_has_a_line_for_each_specimen():
    table = museum.table()
    assert list(table.index) == NAMES
    assert (table["curada"] < table["doente"]).all()


def test_every_specimen_is_put_somewhere():
    assert set(NAMES) == set(INTO_PACKAGE) | set(INTO_LESSON)


def test_without_a_defect_the_tests_that_would_find_one_pass():
    nodes = sorted({museum.specimen(name).caught_by for name in INTO_PACKAGE})
    run = run_tests(*nodes)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("name", INTO_PACKAGE)
def test_a_defect_in_the_package_makes_its_test_fail(name):
    run = run_tests(museum.specimen(name).caught_by, specimen=name)
    assert run.returncode == 1, f"{name} passou por {museum.specimen(name).caught_by}:\n{run.stdout}"
    assert re.search("AssertionError|assert |DID NOT RAISE", run.stdout), run.stdout


@pytest.mark.parametrize("name", INTO_LESSON)
def test_a_defect_in_a_lesson_makes_a_cell_fail(name):
    specimen, infected = museum.specimen(name), INTO_LESSON[name]
    assert specimen.caught_by == f"notebooks/{infected.lesson}"
    run_cells(infected, sick=False, broken=specimen.broken)
    with pytest.raises(AssertionError):
        run_cells(infected, sick=True, broken=specimen.broken)
