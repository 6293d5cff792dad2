"""Um site pequeno, de duas lições, montado uma vez para todos os testes que olham para ele."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

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


@functools.cache
def toy_site() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="pagina-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    publish(write_lessons(folder), folder / "site", repository=REPOSITORY)
    return folder / "site"
