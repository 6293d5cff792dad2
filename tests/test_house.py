"""A casa: cada arquivo só importa os que estão abaixo dele na lista de vae_lessons/__init__.py."""

import ast
import re
from pathlib import Path

import pytest

import vae_lessons

PACKAGE = Path(vae_lessons.__file__).parent


def floors(docstring: str) -> dict[str, int]:
    """Nome de módulo → andar, contado de cima, como a docstring do pacote o diz."""
    lines = [re.split(r" {2,}", line.strip())[0] for line in docstring.splitlines() if line.startswith("    ")]
    return {name: floor for floor, line in enumerate(lines) for name in line.split(", ")}


def imported(path: Path) -> set[str]:
    """Os módulos de primeiro nível do pacote que um arquivo importa, também dentro de funções."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: importação relativa"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("vae_lessons.")}
    return found


def upward(sources: dict[str, set[str]], order: dict[str, int]) -> list[str]:
    """As importações que não descem, de `sources`, módulo → os que ele importa."""
    return [
        f"{module} → {other}"
        for module, others in sources.items()
        for other in others - {module}
        if not order[module] < order[other]
    ]


def modules() -> dict[str, set[str]]:
    sources: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        module = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if module != "__init__":
            sources[module] = sources.get(module, set()) | imported(path)
    return sources


ORDER = floors(vae_lessons.__doc__)


def test_every_module_has_its_floor():
    assert set(modules()) == set(ORDER)


def test_imports_only_go_down():
    assert upward(modules(), ORDER) == []


@pytest.mark.parametrize(
    "sources",
    [{"models": {"training"}}, {"plotting": {"diagrams"}}, {"data": {"data", "objectives"}}],
    ids=["up", "sideways", "own_package_does_not_excuse"],
)
def test_an_import_that_does_not_go_down_is_caught(sources):
    assert len(upward(sources, ORDER)) == 1


def test_imports_inside_functions_count(tmp_path):
    path = tmp_path / "módulo.py"
    path.write_text("def f():\n    from vae_lessons.training import fit\n    import vae_lessons.models as m\n", "utf-8")
    assert imported(path) == {"training", "models"}


def test_inside_the_training_core_there_is_no_way_back_either():
    """Entre os arquivos de um mesmo pacote, as importações não dão a volta."""
    for folder in sorted(path for path in PACKAGE.iterdir() if (path / "__init__.py").exists()):
        sources = {path.stem: _siblings(path, folder.name) for path in folder.glob("*.py") if path.stem != "__init__"}
        assert not _circle(sources), folder.name


def _siblings(path: Path, package: str) -> set[str]:
    nodes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)]
    own = f"vae_lessons.{package}"
    direct = {node.module.split(".")[2] for node in nodes if (node.module or "").startswith(f"{own}.")}
    return direct | {alias.name for node in nodes if node.module == own for alias in node.names}


def _circle(sources: dict[str, set[str]]) -> set[str]:
    """O que sobra depois de tirar, um a um, os que só importam os já tirados."""
    left = {name: others & set(sources) for name, others in sources.items()}
    while free := {name for name, others in left.items() if not others & set(left)}:
        left = {name: others for name, others in left.items() if name not in free}
    return set(left)


def test_a_circle_is_seen():
    assert _circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == {"a", "b", "c", "d"}
    assert _circle({"a": {"b"}, "b": set()}) == set()
