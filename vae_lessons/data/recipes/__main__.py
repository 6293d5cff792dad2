"""python -m vae_lessons.data.recipes NOME"""

import argparse
import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from vae_lessons.data import recipes
from vae_lessons.data.packaged import PACKAGED


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m vae_lessons.data.recipes", description=recipes.__doc__.splitlines()[0]
    )
    parser.add_argument("name", choices=recipes.RECIPES, help="o conjunto a refazer")
    parser.add_argument("--archive", type=Path, help="o arquivo de origem, se já estiver em disco")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        archive = options.archive.expanduser() if options.archive else recipes.RECIPES[options.name].fetch(Path(folder))
        content, licence = recipes.build(options.name, archive)
    recipes.write(options.name, content, licence)
    digest = hashlib.sha256(content).hexdigest()
    print(f"{recipes.SMALL / options.name}: {len(content)} bytes descompactados, SHA-256 {digest}")
    if digest != PACKAGED[options.name].sha256:
        print("Não é o SHA-256 que está em packaged.py: se a mudança é de propósito, troque-o lá.")


if __name__ == "__main__":
    main()
