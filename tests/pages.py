"""Os sites que os testes olham, montados uma vez: um pequeno, o das lições guardadas e o dos exploradores."""

import atexit
import base64
import functools
import shutil
import tempfile
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from toys_explore import EXPLORERS

from vae_lessons.publish import recording
from vae_lessons.publish.links import Repository
from vae_lessons.publish.site import publish

REPOSITORY = Repository("https://github.com/dono/curso", hub="https://hub.escola.br")
ALT = 'Uma reta que sobe: <y> é igual a "x".'
EXPLORER = """from vae_lessons.explore import explore_gumbel

explorer = explore_gumbel()
explorer.recorded = (("temperature", (0.1, 0.5, 1.0, 2.0, 5.0)), ("logit_1", (-2.0, 1.0, 3.0)))
explorer"""
LATENT = """import torch
from vae_lessons.data import load
from vae_lessons.explore import explore_latent
from vae_lessons.models import mlp_vae

torch.manual_seed(0)
explore_latent(mlp_vae(64, 2, (16,)), load("digits", "test"))"""
FIRST = new_notebook(
    cells=[
        new_markdown_cell(
            "# 00 · Começo\n\n**Tempo:** 5 minutos. Depois, a [seção «Ruído»](01_fim.ipynb#Ruído-e-sinal) "
            "e [a lição 99](99_futura.ipynb)."
        ),
        new_markdown_cell(
            "## Reparametrização\n\nA média de $q(z|x)$ é $\\mu$:\n\n$$z = \\mu + \\sigma \\odot \\varepsilon.$$\n\n"
            "| nome | valor |\n|---|---|\n| $\\beta$ | 0,5 |"
        ),
        new_code_cell(
            "from matplotlib.figure import Figure\n\nfrom vae_lessons import plotting\n\nfig = Figure()\n"
            f"fig.subplots().plot([0, 1])\nplotting.show(fig, {ALT!r})"
        ),
        new_code_cell(EXPLORER),
        new_code_cell(LATENT),
        new_code_cell("import pandas as pd\n\nprint('soma', 1 + 1)\npd.DataFrame({'x': [1, 2]})"),
        new_code_cell("assert 1 + 1 == 2, 'guarda escondida'", metadata={"jupyter": {"source_hidden": True}}),
        new_markdown_cell("**Exercício.** Diga quanto é um mais um."),
        new_code_cell(
            "from IPython.display import HTML, display\n\nanswer = ...\n"
            "display({'text/html': '<div>⏳ em branco</div>', 'text/plain': '⏳ em branco'}, raw=True)",
            metadata={"tags": ["exercise"]},
        ),
        new_markdown_cell(
            "<details><summary>Solução</summary>\n\nÉ $2$.\n\n```python\nanswer = steps[1](x.mean)\n```\n</details>",
            metadata={"tags": ["solution"]},
        ),
    ]
)
LAST = new_notebook(cells=[new_markdown_cell("# 01 · Fim\n\nFim."), new_markdown_cell("## Ruído e sinal\n\nTexto.")])


def write_lessons(folder: Path) -> list[Path]:
    paths = [folder / "00_comeco.ipynb", folder / "01_fim.ipynb"]
    for path, notebook in zip(paths, (FIRST, LAST), strict=True):
        nbformat.write(notebook, path)
    return paths


LESSONS = sorted(Path(__file__).parent.parent.joinpath("notebooks").glob("[0-9]*.ipynb"))


@functools.cache
def toy_site() -> Path:
    """Duas lições, executadas."""
    folder = _folder()
    publish(write_lessons(folder), folder / "site", repository=REPOSITORY)
    return folder / "site"


@functools.cache
def stored_site() -> Path:
    """As lições que existem, com as saídas guardadas nelas: os exploradores ficam parados."""
    site = _folder() / "site"
    publish(LESSONS, site, run_lessons=False)
    return site


@functools.cache
def recordings() -> dict[str, dict]:
    """Nome → a gravação do explorador, com os valores das pontas; a do k-médias, inteira."""
    return {name: content for name, (content, _, _) in _recorded().items()}


@functools.cache
def gallery() -> Path:
    """Uma página com todos os exploradores gravados, sem kernel."""
    cells = [new_markdown_cell("# 00 · Galeria\n\nTodos.")]
    for name, (content, png, text) in _recorded().items():
        data = {recording.MIME: content, "image/png": base64.b64encode(png).decode(), "text/plain": text}
        cells += [new_markdown_cell(f"## {name}"), new_code_cell(name, outputs=[new_output("display_data", data=data)])]
    folder = _folder()
    language = {"language_info": {"name": "python", "pygments_lexer": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=language), folder / "00_galeria.ipynb")
    publish([folder / "00_galeria.ipynb"], folder / "site", run_lessons=False)
    return folder / "site"


@functools.cache
def _recorded() -> dict[str, tuple[dict, bytes, str]]:
    found = {}
    for name, make in EXPLORERS.items():
        explorer = make()
        if not explorer.recorded:
            continue  # o que vive na página de outro jeito
        if name != "kmeans":
            ends = {control: (values[0], values[-1]) for control, values in recording.axes(explorer).items()}
            explorer.recorded = tuple(ends.items())
        found[name] = recording.record(explorer), explorer.static_png(), explorer.describe(explorer.numbers)
    return found


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="pagina-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
