"""Transforma as lições num site que abre de um arquivo, de um pen drive ou de qualquer servidor.

    python -m vae_lessons.publish --output site
    python -m vae_lessons.publish --output site --repository https://github.com/dono/repositorio

As lições são executadas. Se uma falhar, o site que havia fica como estava. É preciso: pip install -e ".[page]".
"""

import argparse
import importlib.util
import sys

from vae_lessons.authoring.arguments import add_lessons, chosen_lessons
from vae_lessons.files import user_path

_PAGE = ("docutils", "furo", "myst_nb", "nbclient", "nbformat", "quickjs", "sphinx")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m vae_lessons.publish", description=__doc__.splitlines()[0])
    add_lessons(parser)
    parser.add_argument(
        "--output", type=user_path, required=True, help="a pasta do site, criada ou trocada por inteiro"
    )
    parser.add_argument("--repository", help="o endereço do repositório: acrescenta atalhos para o Colab e o Binder")
    parser.add_argument("--branch", default="main", help="o ramo desse repositório (main)")
    parser.add_argument("--hub", help="o endereço de um JupyterHub com nbgitpuller: acrescenta um atalho para ele")
    options = parser.parse_args(arguments)
    if options.hub and not options.repository:
        parser.error("--hub pede também --repository: é de lá que o JupyterHub traz as lições.")
    lessons = chosen_lessons(parser, options.lessons)
    if missing := [name for name in _PAGE if importlib.util.find_spec(name) is None]:
        print(f'Para montar as páginas falta {", ".join(missing)}: pip install -e ".[page]"', file=sys.stderr)
        return 1
    from vae_lessons.publish.links import Repository
    from vae_lessons.publish.site import SiteError, publish

    repository = options.repository and Repository(options.repository, options.branch, options.hub)
    try:
        publish(lessons, options.output, repository=repository or None)
    except SiteError as error:
        print(f"\n{error}\nO site não foi alterado.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
