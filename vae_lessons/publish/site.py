"""Montar o site: o Sphinx faz as páginas; o que ele não faz em português ou sem rede se completa aqui."""

import contextlib
import io
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import nbformat
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils
from tqdm import tqdm

from vae_lessons.explore.gestures import GESTURES
from vae_lessons.publish import search
from vae_lessons.publish.formulas import STATIC
from vae_lessons.publish.lessons import LessonError, Page, prepare, run
from vae_lessons.publish.links import Repository
from vae_lessons.style import number

TITLE = "VAEs em lições"
_PLAYER = "explorador.js"
_MARK = ".vae-lessons-site"  # o que faz de uma pasta um site nosso, que se pode trocar
_MEGABYTES, _LESSONS, _PER_LESSON = 25, 6, 2  # o que o site pode ocupar: com seis lições, e por lição a mais
_UNUSED = ("genindex.html", "objects.inv", "searchindex.js", ".buildinfo", "_sources")

# Do que o tema só diz em inglês.
_PORTUGUESE = {
    "Toggle site navigation sidebar": "Abrir ou fechar o sumário do site",
    "Toggle table of contents sidebar": "Abrir ou fechar o sumário da página",
    "Toggle Light / Dark / Auto color theme": "Tema claro, escuro ou o do sistema",
    "Toggle navigation of ": "Abrir ou fechar ",
    "Skip to content": "Ir para o texto",
    "Back to top": "Voltar ao começo",
    "On this page": "Nesta página",
    "Contents": "Sumário",
    "Copy to clipboard": "Copiar",
    "Next": "Próxima",
    "Previous": "Anterior",
    "Home": "Início",
    "Made with": "Feito com",
}


class SiteError(RuntimeError):
    """O site não pôde ser montado; o que havia ficou como estava."""


def publish(
    lessons: Iterable[Path], output: Path, *, repository: Repository | None = None, run_lessons: bool = True
) -> None:
    """Monta o site das lições e só então o põe em `output`, no lugar do que houver.

    run_lessons: executar as lições; senão, valem as saídas guardadas nelas, e os exploradores ficam parados.
    Levanta SiteError se uma lição falhar, se o Sphinx se queixar de algo ou se `output` não for uma pasta vazia nem um
    site destes.
    """
    lessons = list(lessons)
    _require_replaceable(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f".{output.name}.", dir=output.parent, ignore_cleanup_errors=True
    ) as folder:
        pages = _pages(lessons, repository, run_lessons=run_lessons)
        built = _build(lessons, pages, Path(folder), repository)
        _replace(output, built, Path(folder, "antes"))
    if warning := oversized(output, len(lessons)):
        print(warning, file=sys.stderr)
    print(f"O site está em {output}: abra {output / 'index.html'}.")


def oversized(site: Path, n_lessons: int) -> str:
    """O aviso de que o site não cabe no que se promete a quem o guarda; "" se couber."""
    sizes = {path: path.stat().st_size for path in site.rglob("*") if path.is_file()}
    total, most = sum(sizes.values()) / 1e6, _MEGABYTES + _PER_LESSON * max(0, n_lessons - _LESSONS)
    if total <= most:
        return ""
    largest = sorted(sizes, key=sizes.get, reverse=True)[:3]
    names = ", ".join(f"{path.relative_to(site)} ({number(sizes[path] / 1e6, 1)} MB)" for path in largest)
    return f"Aviso: o site tem {number(total, 1)} MB, e convém que caiba em {most}. Os maiores arquivos: {names}."


def _pages(lessons: list[Path], repository: Repository | None, *, run_lessons: bool) -> list[Page]:
    notebooks = {path: nbformat.read(path, as_version=4) for path in lessons}
    count = sum(cell.cell_type == "code" for notebook in notebooks.values() for cell in notebook.cells)
    names, pages = {path.name for path in lessons}, []
    with tqdm(total=count, unit="célula", disable=not run_lessons, dynamic_ncols=True) as progress:
        for path, notebook in notebooks.items():
            progress.set_description(path.stem)
            try:
                executed = run(path, lambda _: progress.update()) if run_lessons else notebook
            except LessonError as error:
                raise SiteError(str(error)) from error
            pages.append(prepare(executed, path.stem, names, links=repository and repository.links(path.name)))
    return pages


def _build(lessons: list[Path], pages: list[Page], folder: Path, repository: Repository | None) -> Path:
    """O site inteiro, numa pasta nova dentro de `folder`."""
    source, static, built = folder / "fonte", folder / "estaticos", folder / "site"
    source.mkdir()
    shutil.copytree(STATIC, static, ignore=shutil.ignore_patterns("*.html", "katex.min.js", _PLAYER))
    shutil.copy(GESTURES, static)
    templates = folder / "modelos"
    templates.mkdir()
    shutil.copy(STATIC / "busca.html", templates)
    for pictures in {path.parent / "imagens" for path in lessons}:
        if pictures.is_dir():
            shutil.copytree(pictures, source / pictures.name, dirs_exist_ok=True)
    for page in pages:
        nbformat.write(page.notebook, source / f"{page.name}.ipynb")
        for name, content in page.files.items():
            target = static / name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(content)
    (source / "index.md").write_text(_front_page(pages, repository), encoding="utf-8")

    warnings = io.StringIO()
    settings = _settings(str(static), str(templates))
    with patch_docutils(), docutils_namespace(), contextlib.redirect_stdout(io.StringIO()):
        app = Sphinx(
            source, None, built, folder / "arvores", "html", settings, status=None, warning=warnings, freshenv=True
        )
        app.builder.search = False
        app.connect("html-page-context", _bring_explorers)
        app.build()
        documents = {f"{name}.html": app.env.get_doctree(name) for name in sorted(app.env.found_docs)}
    if complaints := re.sub(r"\x1b\[[\d;]*m", "", warnings.getvalue()).strip():
        raise SiteError(f"O Sphinx se queixou de:\n\n{complaints}")
    _finish(built, documents)
    return built


def _bring_explorers(app: Sphinx, page: str, template: str, context: dict, document: nodes.document | None) -> None:
    """Os programas, nas páginas que têm explorador.

    O dos gravados é um módulo, e vai escrito na página: de um arquivo, o navegador não abre outro módulo.
    """
    if "vae-explorador" not in context.get("body", ""):
        return
    for name in ("comum.js", "gestures.js", "rede.js", "latente.js"):
        app.add_js_file(name)
    player = (STATIC / _PLAYER).read_text(encoding="utf-8")
    app.add_js_file(None, body=f'{player}\nvaeComum.whenSeen("gravado", mount);\n', type="module")


def _settings(static: str, templates: str) -> dict:
    return {
        "project": TITLE,
        "html_title": TITLE,
        "language": "pt_BR",
        "extensions": ["myst_nb", "vae_lessons.publish.formulas"],
        "templates_path": [templates],
        "html_additional_pages": {"search": "busca.html"},
        "html_theme": "furo",
        "html_theme_options": {"top_of_page_buttons": []},
        "html_static_path": [static],
        "html_css_files": ["katex/katex.min.css", "pagina.css"],
        "html_js_files": ["pagina.js"],
        "html_math_renderer": "vae_katex",
        "html_copy_source": False,
        "html_show_sourcelink": False,
        "html_show_copyright": False,
        "html_show_sphinx": False,
        "html_use_index": False,
        "nb_execution_mode": "off",
        "nb_output_stderr": "show",
        "myst_enable_extensions": ["dollarmath", "amsmath"],
        "myst_dmath_double_inline": True,
        "myst_heading_anchors": 4,
        "suppress_warnings": ["mystnb.unknown_mime_type"],
    }


def _front_page(pages: list[Page], repository: Repository | None) -> str:
    rows = "\n".join(f"- [{page.title}]({page.name}.ipynb){_spaced(page.time)}" for page in pages)
    names = "\n".join(page.name for page in pages)
    where = f"de <{repository.address}>" if repository else "deste curso"
    return f"""# {TITLE}

Lições, em português, sobre autocodificadores variacionais (*variational autoencoders*, VAEs): a teoria, o código, as
figuras e os exercícios, com números que você pode conferir. Esta página se lê sem instalar nada e sem rede.

## As lições

{rows}

## Como ler

- **Preveja** antes de abrir a resposta: o palpite errado é o que faz lembrar.
- Perguntas e soluções ficam fechadas até que você as abra.
- Nos exploradores, mova os controles com o mouse, o dedo ou as setas do teclado.
- O que termina em *aprofundamento* pode ficar para depois.

## Fazer os exercícios

As lições são cadernos do JupyterLab, que corrige cada resposta na hora e explica o erro. No repositório {where}, com
Python 3.11 ou mais novo:

```bash
python3 -m venv .venv && . .venv/bin/activate && pip install -r requirements.txt && jupyter lab notebooks
```

O navegador abre; escolha a lição, complete a célula do exercício no lugar das reticências e rode-a.

```{{toctree}}
:hidden:

{names}
```
"""


def _spaced(time: str) -> str:
    return f" · {time.partition(';')[0]}" if time else ""


def _finish(site: Path, documents: dict[str, nodes.document]) -> None:
    """O índice da busca, as frases do tema em português, e o que sobra."""
    for name in _UNUSED:
        path = site / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for page in site.glob("*.html"):
        page.write_text(_in_portuguese(page.read_text(encoding="utf-8")), encoding="utf-8")
    (site / "_static/busca-dados.js").write_text(search.index(documents), encoding="utf-8")
    (site / _MARK).write_text("Pasta refeita por python -m vae_lessons.publish.\n", encoding="utf-8")


# O que um leitor de tela não saberia do tema: o nome de duas regiões, e a que pertence o atalho para o começo.
_NAMED = {
    '<aside class="sidebar-drawer"': '<aside aria-label="Sumário do site" class="sidebar-drawer"',
    '<aside class="toc-drawer': '<aside aria-label="Sumário da página" class="toc-drawer',
}


_BACK = r'<nav aria-label="Começo da página">\g<0></nav>'


def _in_portuguese(page: str) -> str:
    """As frases do tema, onde começam um atributo ou são todo o texto de um elemento. O artigo não é do tema."""
    around = re.split(r"(<article\b.*</article>)", page, flags=re.DOTALL)
    for english, portuguese in _PORTUGUESE.items():
        for place in range(0, len(around), 2):
            part = around[place].replace(f'="{english}', f'="{portuguese}')
            around[place] = re.sub(rf">(\s*){re.escape(english)}(\s*)<", rf">\1{portuguese}\2<", part)
    page = "".join(around)
    for unnamed, named in _NAMED.items():
        page = page.replace(unnamed, named)
    page = re.sub(r'<a href="#" class="back-to-top.*?</a>', _BACK, page, flags=re.DOTALL)
    return page.replace('<th class="head"><p></p></th>', "<td></td>")


def _require_replaceable(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise SiteError(f"{output} não é uma pasta. Diga outro nome em --output.")
    if output.is_dir() and any(output.iterdir()) and not (output / _MARK).exists():
        raise SiteError(f"{output} já existe e não é um site feito por este programa. Diga outra pasta em --output.")


def _replace(output: Path, built: Path, before: Path) -> None:
    """Troca de nomes: quem abrir o site verá o antigo ou o novo, inteiros."""
    if output.exists():
        output.rename(before)
    try:
        built.rename(output)
    except OSError:
        if before.exists():
            before.rename(output)
        raise
