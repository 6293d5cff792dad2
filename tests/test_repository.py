"""O repositório cumpre o que promete: comandos, versões e dependências entre os módulos."""

import ast
import importlib
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import vae_lessons
from vae_lessons import processors

ROOT = Path(__file__).resolve().parent.parent
REPO2DOCKER = os.environ.get("REPO2DOCKER") or shutil.which("jupyter-repo2docker")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci/run").read_text(encoding="utf-8")

PROVIDERS = packages_distributions()
MODULES = [info.name for info in pkgutil.walk_packages(vae_lessons.__path__, "vae_lessons.")]


def pins():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def pinned_versions():
    return dict(line.split("==") for line in pins()[:-1])


# Comandos


def readme_commands(ending):
    blocks = re.findall(r"```bash\n(.+?)\n```", README, re.DOTALL)
    return [block for block in blocks if block.startswith("python3 -m venv ") and re.search(ending, block)]


def test_readme_has_one_command_to_open_and_one_to_test():
    install = "python3 -m venv .venv && . .venv/bin/activate && pip install -r requirements.txt && "
    (opening,) = readme_commands("jupyter lab")
    waiting = " ".join(f"{name}={value}" for name, value in processors.WAITING.items() if name == "GOMP_SPINCOUNT")
    assert opening.startswith(f"{install}{waiting} jupyter lab --allow-root ")
    assert readme_commands("loadfile$") == [f"{install}pytest -n 2 --dist loadfile"]


def test_ci_runs_the_test_command_of_the_readme_in_another_folder():
    extraction = re.search(r"^command=\$\((grep .+ README\.md)\)$", CI, re.MULTILINE)
    found = subprocess.run(["bash", "-c", extraction[1]], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.splitlines() == readme_commands("loadfile$")
    assert CI.splitlines()[-1] == 'eval "${command//.venv/$environment}"'


def test_ci_checks_the_style_before_the_tests():
    check, formatting, tests = (
        CI.index(command) for command in ("\nruff check\n", "\nruff format --check\n", "\neval ")
    )
    assert max(check, formatting) < tests


def test_ci_script_is_valid_bash():
    subprocess.run(["bash", "-n", ".ci/run"], cwd=ROOT, check=True)


def test_readme_links_to_files_that_exist():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", re.sub(r"<!--.*?-->", "", README, flags=re.DOTALL))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_readme_links_to_every_lesson():
    assert [
        path.name for path in (ROOT / "notebooks").glob("*.ipynb") if f"(notebooks/{path.name})" not in README
    ] == []


def test_readme_installs_the_pinned_torch():
    assert set(re.findall(r"torch==(\S+)", README)) == {pinned_versions()["torch"]}


# Versões


def test_requirements_pin_every_direct_dependency_and_the_package_itself():
    direct = {Requirement(line).name for line in PROJECT["dependencies"]}
    assert pinned_versions().keys() == direct | {"pytest", "pytest-xdist", "nbval"}
    assert pins()[-1] == "-e ."


def test_pinned_versions_respect_the_lower_bounds():
    bounds = {r.name: r.specifier for r in map(Requirement, PROJECT["dependencies"] + EXTRAS["dev"])}
    assert {n: v for n, v in pinned_versions().items() if not bounds[n].contains(v)} == {}


def test_environment_defers_to_requirements():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    items = re.findall(r"^ *- (.+)$", text, re.MULTILINE)
    assert dict(re.findall(r'^  ([A-Z_]+): "(.+)"$', text, re.MULTILINE)) == processors.WAITING
    extra_index = "--extra-index-url https://download.pytorch.org/whl/cpu"
    assert items == ["conda-forge", "python=3.11", "pip", "pip:", extra_index, "-r requirements.txt"]
    assert "3.11" in SpecifierSet(PROJECT["requires-python"])


@pytest.mark.skipif(
    not REPO2DOCKER,
    reason="REPO2DOCKER não diz onde está o jupyter-repo2docker (pip install jupyter-repo2docker, noutro ambiente).",
)
def test_repo2docker_brings_the_repository_before_it_installs_the_environment():
    """O environment.yml manda ler o requirements.txt, e este, instalar o pacote: precisam já estar na imagem."""
    command = [REPO2DOCKER, "--no-build", "--debug", "."]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "python=3.11" in found.stderr
    repository, environment = (found.stdout.index(text) for text in (" src/ ${REPO_DIR}/", '--file "environment.yml"'))
    assert repository < environment


# O que o Colab trazia em setembro de 2026, com Python 3.13.
COLAB = {
    "filelock": "3.32.5",
    "ipython": "7.34.0",
    "matplotlib": "3.10.0",
    "numpy": "2.1.3",
    "packaging": "26.3",
    "pandas": "2.2.3",
    "pillow": "11.3.0",
    "platformdirs": "4.11.7",
    "scikit-learn": "1.6.1",
    "torch": "2.11.0",
    "tqdm": "4.67.3",
}


def test_colab_keeps_its_own_versions_when_it_installs_the_package():
    """Trocar o IPython de lá derruba a sessão, e trocar o torch baixa gigabytes; o ipywidgets pode ser trocado."""
    bounds = {r.name: r.specifier for r in map(Requirement, PROJECT["dependencies"])}
    assert bounds.keys() - COLAB.keys() == {"ipywidgets", "jupyterlab"}
    assert {name: version for name, version in COLAB.items() if version not in bounds[name]} == {}


# Módulos


def imports(module):
    """Os nomes completos do que `module` importa: "vae_lessons.data.load", "torch.nn"..."""
    folder = ROOT.joinpath(*module.split("."))
    file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    found = set()
    pending = [ast.parse(file.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: use importações absolutas"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        pending += ast.iter_child_nodes(node)
    return found


def require_the_page_extra(module):
    """Só quem monta o site instala o que o monta."""
    if module.startswith("vae_lessons.publish"):
        for package in ("sphinx", "myst_nb", "furo", "quickjs"):
            pytest.importorskip(package, reason=f'falta {package}: instale o pacote com pip install -e ".[page]"')


@pytest.mark.parametrize("module", MODULES)
def test_module_is_importable(module):
    require_the_page_extra(module)
    assert importlib.import_module(module).__doc__


@pytest.mark.parametrize("module", MODULES)
def test_everything_imported_is_a_declared_dependency(module):
    require_the_page_extra(module)
    used = {name.split(".")[0] for name in imports(module)}
    outside = used - sys.stdlib_module_names - {"vae_lessons"}
    providers = {name: set(PROVIDERS.get(name, [name])) for name in outside}
    extras = EXTRAS["dev"] + EXTRAS["browser"] if module.startswith("vae_lessons.authoring") else []
    extras += EXTRAS["page"] if module.startswith("vae_lessons.publish") else []
    extras += EXTRAS["teach"] if module.startswith("vae_lessons.teach") else []
    extras += EXTRAS["recipes"] if module.startswith("vae_lessons.data.recipes") else []
    declared = {Requirement(line).name for line in PROJECT["dependencies"] + extras}
    assert {name for name, packages in providers.items() if not packages & declared} == set()
