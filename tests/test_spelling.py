"""A ortografia de todo o texto em português: lições, glossário, README, docstrings, comentários e mensagens.

O dicionário é o pt_BR do Hunspell (no Debian, os pacotes hunspell, hunspell-pt-br e hunspell-en-us). O que ele não
conhece e está certo (termos da área, estrangeirismos consagrados) fica em tests/palavras.txt.
"""

import keyword
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import prose
import pytest

from vae_lessons.glossary import terms

ROOT = Path(__file__).parent.parent
KNOWN = frozenset((ROOT / "tests" / "palavras.txt").read_text(encoding="utf-8").split())


def unknown(words, dictionary: str) -> set[str]:
    command = ["hunspell", "-i", "utf-8", "-d", dictionary, "-l"]
    lines = "\n".join(sorted(words))
    result = subprocess.run(command, input=lines, capture_output=True, text=True, encoding="utf-8", check=True)
    return set(result.stdout.split())


@pytest.fixture(scope="module", autouse=True)
def hunspell():
    if shutil.which("hunspell") is None:
        pytest.skip("sem o hunspell (apt install hunspell hunspell-pt-br hunspell-en-us) não se confere a ortografia")
    dictionaries = subprocess.run(["hunspell", "-D"], input="", capture_output=True, text=True).stderr
    for language in ("pt_BR", "en_US"):
        if language not in dictionaries:
            pytest.skip(f"o hunspell está sem o dicionário {language} (apt install hunspell-pt-br hunspell-en-us)")


def misspelled(texts: list[prose.Prose], names: frozenset[str] = frozenset()) -> dict[str, list[str]]:
    """De cada palavra que ninguém conhece, onde ela está."""
    places = defaultdict(list)
    for text in texts:
        for word in prose.words(text):
            if not (text.code and word.text in names):
                places[word].append(text.where)
    not_portuguese = unknown({word.text for word in places}, "pt_BR")
    not_english = unknown(not_portuguese, "en_US")
    found = defaultdict(list)
    for word, where in places.items():
        allowed = word.text in KNOWN or word.text.lower() in KNOWN or (word.foreign and word.text not in not_english)
        if word.text in not_portuguese and not allowed:
            found[word.text] += where
    return dict(found)


def glossary() -> list[prose.Prose]:
    return [prose.Prose(term, f"{term}\n\n{definition}", code=False) for term, _, _, definition in terms()]


def notebooks() -> list[Path]:
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def package() -> list[Path]:
    return sorted((ROOT / "vae_lessons").rglob("*.py"))


def names_in_code() -> frozenset[str]:
    """O que docstrings, comentários e mensagens citam sem aspas: os nomes do código e os dos arquivos."""
    modules = [*package(), *(ROOT / "tests").glob("*.py")]
    sources = [path.read_text(encoding="utf-8") for path in modules]
    sources += [source for path in notebooks() for source in prose.code_cells(path)]
    names = {part for path in modules for part in (path.stem, path.parent.name)} | {*keyword.kwlist}
    return frozenset(names.union(*map(prose.identifiers, sources)))


def everything() -> list[prose.Prose]:
    texts = [text for path in notebooks() for text in prose.notebook(path)]
    texts += [text for path in package() for text in prose.module(path, ROOT)]
    tests = sorted((ROOT / "tests").glob("*.py"))
    texts += [text for path in tests for text in prose.module(path, ROOT, docstrings_only=True)]
    texts.append(prose.Prose("README.md", (ROOT / "README.md").read_text(encoding="utf-8"), code=False))
    return texts + glossary()


def test_every_word_is_spelled_as_the_dictionary_says():
    found = misspelled(everything(), names_in_code())
    told = "\n".join(f"{word}: {', '.join(sorted(set(where))[:3])}" for word, where in sorted(found.items()))
    assert not found, f"palavras que nem o dicionário nem tests/palavras.txt conhecem:\n{told}"


def test_the_list_of_known_words_holds_only_what_is_used():
    used = {word.text for text in everything() for word in prose.words(text)}
    used |= {word.lower() for word in used}
    assert not KNOWN - used


def test_the_list_of_known_words_is_in_order_and_holds_only_what_the_dictionary_lacks():
    lines = (ROOT / "tests" / "palavras.txt").read_text(encoding="utf-8").splitlines()
    assert lines == sorted(set(lines))
    assert not KNOWN - unknown(KNOWN, "pt_BR")


@pytest.mark.parametrize(
    "text",
    [
        "Uma distribuiçao normal.",  # sem o til
        "O decodificador *recostrói* a imagem.",  # em itálico
        "| coluna | a previzão |",  # numa tabela
        "Veja a [próxma seção](04_beta_vae.ipynb).",  # no texto de um link
        "<details><summary>Respota, depois de rodar a célula</summary></details>",
        "- **Kingma e Welling**, 2014. Um artigo sobre a infrência variacional.",  # numa referência
        '<img alt="Uma image de um dígito" src="x.png">',
        "Os hífens.",  # o dicionário sabe a regra: hifens
    ],
)
def test_a_wrong_word_is_found_wherever_it_is(text):
    assert misspelled([prose.Prose("aqui", text, code=False)])


@pytest.mark.parametrize(
    "text",
    [
        'A posterior $q_\\phi(z \\mid x)$ e o `encoder.mean`, de `load("digits")`.',
        "$$\\mathrm{ELBO} = \\log p$$",
        "O truque da reparametrização (*reparameterization trick*) é de Kingma e Welling.",
        "- Kingma, D. P.; Welling, M. *Auto-Encoding Variational Bayes*. ICLR 2014, arXiv:1312.6114.",
        "```python\nfrom torch import nn\n```",
        "Veja [a página](https://example.org/some_english_page.html).",
    ],
)
def test_what_is_not_portuguese_prose_is_left_alone(text):
    assert not misspelled([prose.Prose("aqui", text, code=False)])


def test_sentences_of_code_are_read_and_its_names_are_not():
    source = 'def mean_of(batch):\n    """A colna de batch."""\n    raise ValueError("um vlor")  # comntário\n'
    texts = [prose.Prose(f"linha {line}", text, code=True) for line, text in prose.sentences_of(source)]
    assert set(misspelled(texts, frozenset(prose.identifiers(source)))) == {"colna", "vlor", "comntário"}
