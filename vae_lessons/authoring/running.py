"""Executar uma lição de cima a baixo, num kernel novo, como o JupyterLab faria."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path

from nbclient import NotebookClient
from nbformat import NotebookNode

# Segundos. Numa máquina ocupada um kernel demora a nascer, e as saídas, a chegar; o nbclient desistiria delas em 4.
_STARTUP_TIMEOUT, _OUTPUT_TIMEOUT = 300, 120


def execute(
    notebook: NotebookNode,
    folder: Path,
    *,
    on_cell: Callable[[int], None] = lambda index: None,
    timeout: float | None = None,
    environment: Mapping[str, str] | None = None,
) -> NotebookNode:
    """Uma cópia da lição, executada por este mesmo Python; a que se passou fica como estava.

    folder: a pasta em que o kernel trabalha · on_cell: chamada com o índice de cada célula de código antes de ela ser
    executada · timeout: segundos por célula, ou None para esperar o que for preciso · environment: as variáveis de
    ambiente do kernel; por padrão, as deste processo.
    Levanta nbclient.exceptions.CellExecutionError na primeira célula que falhar e CellTimeoutError na que demorar.
    """
    executed = copy.deepcopy(notebook)
    client = NotebookClient(
        executed,
        kernel_name="python3",
        timeout=timeout,
        startup_timeout=_STARTUP_TIMEOUT,
        iopub_timeout=_OUTPUT_TIMEOUT,
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        extra_arguments=["--IPKernelApp.log_level=40"],  # só erros: os avisos do kernel não são da lição
        store_widget_state=False,
        on_cell_execute=lambda cell, cell_index: on_cell(cell_index),
    )
    client.execute(**({} if environment is None else {"env": dict(environment)}))
    return executed
