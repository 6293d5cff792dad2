"""As lições resolvidas e executadas, para quem dá aula."""

from pathlib import Path

import nbformat
from nbclient.exceptions import CellExecutionError
from tqdm import tqdm

from vae_lessons.authoring.exercises import solved
from vae_lessons.authoring.running import execute
from vae_lessons.authoring.store import environment, tidy
from vae_lessons.files import write_atomically
from vae_lessons.teach import lessons


def write_solutions(output: Path, *, chosen: list[str] | None = None, progress: bool = True) -> list[Path]:
    """Grava em `output` cada lição com as soluções no lugar dos brancos, executada; devolve o que gravou.

    chosen: "01", "03"…; sem elas, todas. Cada lição leva menos de um minuto. Levanta Refused se uma não existir, antes
    de executar qualquer outra, ou se uma célula falhar: as anteriores ficam gravadas. Levanta OSError se não puder
    gravar.
    """
    notebooks = {lessons.file_of(number): lessons.load(number) for number in chosen or lessons.numbers()}
    output.mkdir(parents=True, exist_ok=True)
    written = []
    for name, notebook in tqdm(notebooks.items(), desc="Executando", unit="lição", disable=not progress):
        try:
            executed = tidy(execute(solved(notebook), output, environment=environment()))
        except CellExecutionError as error:
            raise lessons.Refused(f"{name}: uma célula falhou.\n\n{error}") from error
        write_atomically(output / name, f"{nbformat.writes(executed)}\n".encode())
        written.append(output / name)
    return written
