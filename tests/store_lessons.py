"""Executa as lições de cima a baixo e as guarda com as saídas.

    python tests/store_lessons.py                         # todas
    python tests/store_lessons.py notebooks/03_vae.ipynb  # só esta

A lição guardada não leva nada da máquina que a executou: nem horários, nem versões, nem identificadores sorteados.
Se uma célula falhar, a lição fica como estava no disco.
"""

import copy
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"

_WIDGET = "application/vnd.jupyter.widget-view+json"
_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}
_VOLATILE_CELL_METADATA = ("execution", "ExecuteTime", "collapsed", "scrolled")


def execute(notebook: NotebookNode, *, on_cell: Callable[[int], None] = lambda index: None) -> NotebookNode:
    """Uma cópia da lição executada de cima a baixo, como o JupyterLab faria, a partir da pasta das lições.

    on_cell: chamada com o índice de cada célula de código antes de ela ser executada.
    Levanta nbclient.exceptions.CellExecutionError na primeira célula que falhar.
    """
    executed = copy.deepcopy(notebook)
    NotebookClient(
        executed,
        kernel_name="python3",
        timeout=None,
        resources={"metadata": {"path": str(NOTEBOOKS)}},
        record_timing=False,
        store_widget_state=False,
        on_cell_execute=lambda cell, cell_index: on_cell(cell_index),
    ).execute()
    return executed


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
    """Executa a lição e a guarda no mesmo arquivo, mostrando em que célula está."""
    notebook = nbformat.read(path, as_version=4)
    code_cells = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]

    def show_progress(index: int) -> None:
        print(f"\r{path.name}: célula {code_cells.index(index) + 1} de {len(code_cells)}", end="", flush=True)

    executed = tidy(execute(notebook, on_cell=show_progress))
    nbformat.validate(executed)
    path.write_text(nbformat.writes(executed) + "\n", encoding="utf-8")
    print(": guardada")


def main(arguments: list[str]) -> int:
    paths = [Path(argument) for argument in arguments] or sorted(NOTEBOOKS.glob("*.ipynb"))
    for path in paths:
        try:
            store(path)
        except CellExecutionError as error:
            print(f": falhou. O arquivo não foi alterado.\n\n{error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
