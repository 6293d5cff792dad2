"""pbmc, do pacote scanpy."""

import io
import zipfile
from pathlib import Path

import numpy as np

from vae_lessons.data.recipes.recipe import Recipe


def make(archive: Path) -> tuple[dict[str, np.ndarray], str]:
    """No pacote, raw.X é ln(1 + 10⁴·contagem/total), com o total da célula em n_counts: dali se recuperam as contagens,
    a menos de 0,09 de um inteiro."""
    try:
        import h5py  # só para refazer o arquivo
    except ImportError as error:
        raise ImportError("Refazer 'pbmc' pede o h5py: pip install -e '.[recipes]' na pasta do repositório.") from error
    with zipfile.ZipFile(archive) as wheel:
        stored = io.BytesIO(wheel.read("scanpy/datasets/10x_pbmc68k_reduced.h5ad"))
        licence = wheel.read("scanpy-1.11.5.dist-info/licenses/LICENSE").decode("utf-8")
    with h5py.File(stored) as table:
        cells, genes = table["obs"][:], table["raw.var"][:]["index"]
        logarithm, column, start = (table[f"raw.X/{part}"][:] for part in ("data", "indices", "indptr"))
        cell_types = table["uns/bulk_labels_categories"][:]
    total = cells["n_counts"].astype(np.float64)
    row = np.repeat(np.arange(len(cells)), np.diff(start))
    counts = np.expm1(logarithm.astype(np.float64)) * total[row] / 1e4
    if np.abs(counts - counts.round()).max() > 0.09:
        raise ValueError("As contagens recuperadas não são inteiras: não é o raw.X que se esperava.")
    x = np.zeros((len(cells), len(genes)), np.uint16)
    x[row, column] = counts.round()
    arrays = {
        "x": x,
        "y": cells["bulk_labels"].astype(np.uint8),
        "factors": total[:, None].astype(np.uint16),
        "genes": genes.astype("U"),
        "cell_types": cell_types.astype("U"),
    }
    return arrays, f"{licence.strip()}\n\n{'-' * 80}\n\n{_CC_BY}"


# A dos dados da 10x Genomics, que o scanpy não traz. O texto dela é o do endereço.
_CC_BY = """
Os dados são da 10x Genomics, que os publica sob a licença Creative Commons Atribuição 4.0 Internacional (CC BY 4.0):
https://creativecommons.org/licenses/by/4.0/legalcode.pt (o texto da licença) e
https://creativecommons.org/licenses/by/4.0/deed.pt-br (o resumo).

Quem os copia, muda ou distribui, também com fins comerciais, deve citar a fonte ("Fresh 68k PBMCs (Donor A)", Single
Cell Gene Expression Dataset by Cell Ranger 1.1.0, 10x Genomics, 2016), pôr o endereço da licença e dizer o que mudou: o
scanpy escolheu 700 células e 765 genes, e aqui se voltou da expressão normalizada às contagens. Os dados vêm como são,
sem garantia nenhuma, e o uso deles não quer dizer que a 10x Genomics aprove quem os usa.

SPDX-License-Identifier: CC-BY-4.0
"""

RECIPE = Recipe(
    source="scanpy==1.11.5",
    archive="scanpy-1.11.5-py3-none-any.whl",
    sha256="fcd383ddcf7acbf7c0ca232c25ad51b00aec9f8d2f7c8954b8c6ee0962257166",
    make=make,
    origin="""
pbmc: 700 células do sangue de uma pessoa, e em cada uma o número de moléculas de RNA contadas de 765 genes.

São do conjunto de 68 mil células mononucleares de G. X. Y. Zheng et al., "Massively parallel digital transcriptional
profiling of single cells", Nature Communications 8, 14049, 2017, publicado pela 10x Genomics
(https://www.10xgenomics.com/datasets), com os tipos de célula que os autores lhes deram. Foram tiradas do pacote scanpy
1.11.5, arquivo scanpy/datasets/10x_pbmc68k_reduced.h5ad (https://github.com/scverse/scanpy), que escolheu as células e
os genes. Abaixo, a licença do pacote e, depois dela, a dos dados. Aqui se desfizeram a normalização e o logaritmo, e se
guardaram as contagens, inteiras, o total de moléculas de cada célula (também as dos genes que ficaram de fora), o tipo
dela e os nomes dos genes.
""",
)
