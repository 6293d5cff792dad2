"""Executa as lições de cima a baixo e as guarda com as saídas.

    python -m vae_lessons.authoring.store                         # todas
    python -m vae_lessons.authoring.store notebooks/03_vae.ipynb  # só esta

A lição guardada não leva nada da máquina que a executou: nem horários, nem versões, nem identificadores sorteados.
Se uma célula falhar, a lição fica como estava no disco.
"""

import argparse
import copy
import os
import sys
from pathlib import Path

import nbformat
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from vae_lessons.authoring.arguments import add_lessons, chosen_lessons
from vae_lessons.authoring.running import execute
from vae_lessons.files import write_atomically

_WIDGET = "application/vnd.jupyter.widget-view+json"
_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}
_PERSONAL = ("OMP_NUM_", "OMP_DYNAMIC", "MKL_", "OPENBLAS_", "PYTHONIOENCODING", "MPLBACKEND")
_VOLATILE_CELL_METADATA = ("execution", "ExecuteTime", "collapsed", "scrolled")


def environment() -> dict[str, str]:
    """As variáveis de ambiente do kernel que guarda: as deste processo, sem o que nelas mudaria contas ou saídas.

    Com outro número de linhas de execução, as somas são feitas noutra ordem, e os últimos algarismos mudam.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith(_PERSONAL)}


def tidy(notebook: NotebookNode) -> NotebookNode:
    """Uma cópia só com o que o leitor vê: executar e arrumar de novo dá o mesmo arquivo, salvo o que for sorteado."""
    notebook = copy.deepcopy(notebook)
    notebook.metadata = nbformat.from_dict(_METADATA)
    for cell in notebook.cells:
        for key in _VOLATILE_CELL_METADATA:
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.outputs = _join_streams(cell.outputs)
            for output in cell.outputs:
                output.get("data", {}).pop(_WIDGET, None)  # num kernel novo seria «model not found»; fica a figura
            cell.outputs = [output for output in cell.outputs if output.get("data") != {}]
    return notebook


def as_terminal(text: str) -> str:
    r"""O que um terminal mostraria no fim: depois de um \r, o texto novo se escreve por cima do antigo."""
    lines = []
    for line in text.split("\n"):
        shown = ""
        for piece in line.split("\r"):
            shown = piece + shown[len(piece) :]
        lines.append(shown.rstrip() if "\r" in line else shown)
    return "\n".join(lines)


def _join_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Junta pedaços seguidos do mesmo fluxo (stdout ou stderr), que chegam picados ao acaso."""
    joined: list[NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last and last.output_type == output.output_type == "stream" and last.name == output.name:
            last.text += output.text
        else:
            joined.append(output)
    for output in joined:
        if output.output_type == "stream":
            output.text = as_terminal(output.text)
    return joined


def store(path: Path) -> None:
    """Executa a lição e a guarda no mesmo arquivo, mostrando em que célula está.

    Levanta CellExecutionError, sem tocar no arquivo, se uma célula falhar.
    """
    notebook = nbformat.read(path, as_version=4)
    code_cells = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]

    def show_progress(index: int) -> None:
        print(f"\r{path.name}: célula {code_cells.index(index) + 1} de {len(code_cells)}", end="", flush=True)

    executed = tidy(execute(notebook, path.parent, on_cell=show_progress, environment=environment()))
    nbformat.validate(executed)
    write_atomically(path, f"{nbformat.writes(executed)}\n".encode())
    print(": guardada")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m vae_lessons.authoring.store", description=__doc__.splitlines()[0])
    add_lessons(parser)
    paths = chosen_lessons(parser, parser.parse_args(arguments).lessons)
    for path in paths:
        try:
            store(path)
        except CellExecutionError as error:
            print(f": falhou. O arquivo não foi alterado.\n\n{error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
