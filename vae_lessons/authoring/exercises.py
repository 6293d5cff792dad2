"""Os exercícios dentro de uma lição: achá-los, com as soluções, e pôr as soluções no lugar dos brancos.

Um exercício é uma célula de código com a etiqueta "exercise" cujo último comando é `check("03.1", resposta)`. A célula
seguinte é de texto, com a etiqueta "solution": `<details><summary>Solução</summary>`, uma linha em branco, um bloco
```python e `</details>`. O bloco substitui tudo o que vem antes do `check`.
"""

import ast
import copy
import re
from typing import NamedTuple

from nbformat import NotebookNode


class Exercise(NamedTuple):
    """Um exercício numa lição.

    id: o que se passa a check, "03.1" · index: posição da célula do exercício em notebook.cells; a da solução é a
    seguinte · blank: o código antes do check, em branco · solution: o código que o substitui.
    """

    id: str
    index: int
    blank: str
    solution: str


def tags(cell: NotebookNode) -> set[str]:
    """As etiquetas da célula."""
    return set(cell.metadata.get("tags", []))


def exercises(notebook: NotebookNode) -> list[Exercise]:
    """Os exercícios da lição, na ordem. Levanta ValueError se um não tiver solução, ou uma solução, exercício."""
    found = []
    cells = notebook.cells
    for index, cell in enumerate(cells):
        follows_exercise = index > 0 and "exercise" in tags(cells[index - 1])
        if ("solution" in tags(cell)) != follows_exercise:
            raise ValueError(f"Células {index - 1} e {index}: 'solution' vem logo depois de 'exercise', e só então.")
        if follows_exercise:
            exercise_id, blank = _split_at_check(cells[index - 1], index - 1)
            found.append(Exercise(exercise_id, index - 1, blank, _solution_code(cell, index)))
    if cells and "exercise" in tags(cells[-1]):
        raise ValueError("A última célula é um exercício sem solução.")
    return found


def solved(notebook: NotebookNode) -> NotebookNode:
    """Uma cópia da lição com cada solução no lugar do branco. Levanta ValueError como `exercises`."""
    notebook = copy.deepcopy(notebook)
    for exercise in exercises(notebook):
        cell = notebook.cells[exercise.index]
        cell.source = f"{exercise.solution}\n\n{cell.source.removeprefix(exercise.blank)}"
    return notebook


def verdicts(cell: NotebookNode) -> list[str]:
    """Os sinais ✅, ❌ e ⏳ no texto que a célula mostrou, na ordem."""
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    return re.findall("[✅❌⏳]", "".join(texts))


def _split_at_check(cell: NotebookNode, index: int) -> tuple[str, str]:
    """O id do exercício e o código antes do check final."""
    if cell.cell_type != "code":
        raise ValueError(f"A célula {index} tem a etiqueta 'exercise', mas não é de código.")
    match ast.parse(cell.source).body:
        case [*_, ast.Expr(ast.Call(ast.Name("check"), [ast.Constant(str(exercise_id)), _])) as call]:
            return exercise_id, "".join(cell.source.splitlines(keepends=True)[: call.lineno - 1])
    raise ValueError(f'O último comando da célula {index} deve ser check("NN.n", resposta).')


def _solution_code(cell: NotebookNode, index: int) -> str:
    """O único bloco ```python da célula; sem a linha em branco antes dele, o JupyterLab não o mostra como código."""
    blocks = re.findall(r"\n\n```python\n(.+?)\n```\n", cell.source, re.DOTALL)
    collapsed = cell.source.startswith("<details><summary>Solução</summary>\n") and cell.source.endswith("</details>")
    if cell.cell_type != "markdown" or not collapsed or len(blocks) != 1 or cell.source.count("```") != 2:
        raise ValueError(
            f"A célula {index} deve ser de texto: <details><summary>Solução</summary>, uma linha em branco, "
            "um só bloco ```python e </details>."
        )
    return blocks[0]
