"""As lições que um programa recebe na linha de comando."""

import argparse
from pathlib import Path

from vae_lessons.files import user_path


def add_lessons(parser: argparse.ArgumentParser) -> None:
    """Acrescenta a `parser` o argumento `lessons`: os caminhos de algumas lições, ou nenhum, que quer dizer todas."""
    parser.add_argument("lessons", nargs="*", type=user_path, help="as lições; sem elas, todas as de notebooks/")


def chosen_lessons(parser: argparse.ArgumentParser, given: list[Path]) -> list[Path]:
    """As lições pedidas ou, sem pedido, as de notebooks/. Se uma não existir, diz qual e encerra o programa."""
    paths = given or sorted(Path("notebooks").glob("[0-9][0-9]_*.ipynb"))
    missing = [str(path) for path in paths if not path.is_file()]
    if missing or not paths:
        parser.error(
            f"não encontrei {', '.join(missing) or 'lição alguma em notebooks/'}. Rode na raiz do repositório ou diga "
            "o caminho de cada lição."
        )
    return paths
