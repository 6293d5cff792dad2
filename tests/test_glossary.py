"""O glossário é bem formado, os termos estão mesmo nas lições que os definem, e o texto usa um termo só por ideia."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

import vae_lessons
from vae_lessons import glossary, series
from vae_lessons.glossary import plain, table, terms

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
PACKAGE = Path(vae_lessons.__file__).parent

# (o que não se escreve, o que se escreve no lugar), fora de código, fórmulas e itálicos.
REFUSED = (
    (r"nats? por exemplo\b", "nats por imagem"),
    (r"(um|cada) (valor|número) por exemplo\b(?!,)", "por imagem"),
    (r"\bjacobianos?\b", "a jacobiana"),
    (r"linear-Gaussian", "linear-gaussiano"),
    (r"\b([Oo]|[Dd]o|[Nn]o|[Aa]o|[Uu]m|[Dd]um) prior\b", "a prior"),
    (r"\b([Dd]o|[Nn]o|[Aa]o|[Uu]m) posterior\b(?! a)", "a posterior"),
    (r"\b([Oo]|[Dd]o|[Nn]o|[Aa]o|[Uu]m) ELBO\b", "a ELBO"),
    (r"\bbusca do modo\b|\b(bi|uni|multi)modos?\b", "moda"),
    (r"\bmodos? d[aeo]s? (posterior|prior|densidade|distribui|mistura|verossimilhança|evidência)", "moda"),
    (r"\b[Rr]eco[zs]\w+ (de |d?[oa] )?(β|KL|peso)", "aquecimento, para o peso da KL"),
    (r"\b[Aa]quec\w+ (de |d?[oa] )?(temperatura|τ)", "recozimento, para a temperatura"),
    (r"\b([Gg]radientes?|[Ee]stimador\w*|[Vv]ariâncias?|[Ee]stimativas?) (pelo|do) caminho\b", "reparametrização"),
    (r"\bunidades? latentes? ativas?\b|\blatentes? ativ[oa]s?\b", "unidade ativa"),
    (r"\b[Nn]ot[ae]-se que\b", "veja que, ou nada"),
    (r"\btextos? de origem\b", "nada: quem lê não o conhece"),
    (r"\b[Tt]reinamentos?\b", "treino"),
    (r"\bredes neuronais\b", "redes neurais"),
)
# O que não se escreve no lugar de um termo do glossário.
VARIANTS = {
    "amostragem de importância": r"amostragem por importância",
    "análise de componentes principais (PCA)": r"análise d[oa]s componentes principais|\bACP\b",
    "aprendizado semissupervisionado": r"aprendizagem semi-?supervisionada|semi-supervisionad\w+",
    "autocodificador": r"auto-codificador\w*|autocodificadora",
    "camada que dorme": r"camadas? inativas?|camadas? mortas?",
    "código morto": r"códigos? inativos?",
    "codificador": r"encodificador\w*|rede de reconhecimento",
    "colapso da posterior": r"colapso (de )?posterior\b|colapso (do|dos|no) latentes?\b|colapso a posteriori",
    "decodificador": r"descodificador\w*",
    "desemaranhamento": r"desentrela[cç]\w+|desembara[cç]\w+|dissocia(ção|d[oa]s?)\b",
    "dicionário": r"livros? de códigos?",
    "distribuição a priori (prior)": r"distribuiç(ão|ões) prévias?|distribuiç(ão|ões) anterior(es)?\b",
    "divergência de Kullback-Leibler (KL)": r"distância (de )?(Kullback|KL)|entropia relativa",
    "entropia cruzada": r"entropia-cruzada",
    "erro-padrão": r"erros? padrão|erros? padrões",
    "espaço latente": r"espaço (de|dos|das) (variáveis )?latentes",
    "esperança": r"valor(es)? esperados?|expectância",
    "fluxo normalizador": r"fluxos? (normalizantes?|de normalização)",
    "função escore": r"funç(ão|ões)[ -](de )?(score|pontuação)|função de escore",
    "gradiente direto": r"gradiente (passa-)?reto\b|passagem direta",
    "informação mútua": r"informação recíproca",
    "k-médias": r"\bk médias",
    "lacuna": r"\bbrechas?\b|\bhiatos?\b",
    "limite inferior da evidência (ELBO)": r"cota inferior|limitante inferior|limite variacional inferior",
    "linha de base": r"linhas?-bases?",
    "lote": r"mini-?lotes?|bateladas?",
    "média móvel exponencial": r"média exponencial móvel",
    "mínima descrição (MDL)": r"descrição mínima|comprimento (de descrição mínimo|mínimo d[ea] descrição)",
    "modelo gerador": r"modelos? (generativ|gerativ)\w+|\bgenerativ[oa]s?\b",
    "modelo de difusão": r"modelos? difusivos?",
    "nats livres": r"bits livres|nats? gr[aá]tis",
    "pesos de importância": r"pesos? da importância",
    "reparametrização": r"re-parametriz\w+",
    "retropropagação": r"propagação reversa|propagação para trás|retropropagamento",
    "rótulo suave": r"rótulos? (moles?|macios?)",
    "sobreajuste": r"sobre-ajuste|superajust\w+|sobreajustamento",
    "tamanho efetivo": r"tamanho amostral efetivo",
    "unidade ativa": r"dimens(ão|ões) ativas?|unidades? vivas?",
    "validação": r"conjuntos? de desenvolvimento",
    "VAE condicional (CVAE)": r"VAEs? condicionad\w+",
    "variável latente": r"variáve(l|is) (oculta|escondida)s?",
    "verossimilhança": r"probabilidade dos dados dad[oa]s os parâmetros|verosimilhan\w+",
    "viés": r"tendenciosidade|vício d[oe] estimador",
}
REFUSED += tuple((rf"(?i){variant}", term) for term, variant in VARIANTS.items())
# As palavras inglesas que têm a sua em português: só em itálico, código ou referência.
ENGLISH = (
    *(("baseline", "linha de base"), ("(?<!KL )annealing", "recozimento"), ("warm-?up", "aquecimento")),
    *(("(auto-?)?encoders?", "codificador"), ("decoders?", "decodificador"), ("likelihood", "verossimilhança")),
    *(("disentangle\\w*", "desemaranhamento"), ("gap", "lacuna"), ("trade-off", "compromisso"), ("bias", "viés")),
    *(("backpropagation", "retropropagação"), ("score function", "função escore"), ("mode seeking", "busca da moda")),
)


def prose(notebook) -> str:
    """O texto da lição até as referências, sem código nem fórmulas: os itálicos ficam, entre asteriscos."""
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    text = re.split(r"^## Referências", text, flags=re.MULTILINE)[0]
    for span in (r"^```.*?^```", r"`[^`\n]*`", r"\$\$.+?\$\$", r"\$[^$]+\$", r"\]\([^)]*\)", r"</?\w+[^>]*>"):
        text = re.sub(span, " ", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"[ \t]*\n(?!\n)", " ", text)


def without_italics(text: str) -> str:
    return re.sub(r"(?<!\*)\*(?!\*)[^*\n]+(?<!\*)\*(?!\*)|\*\*\*[^*\n]+\*\*\*", " ", text)


def refused(text: str, rules) -> list[str]:
    """Cada trecho recusado, com um pouco do que o cerca, e o que se escreve no lugar."""
    return [
        f"«…{text[max(0, hit.start() - 30) : hit.end() + 30]}…»: escreva {better}"
        for pattern, better in rules
        for hit in re.finditer(pattern, text)
    ]


def english_words(text: str) -> list[str]:
    return refused(without_italics(text), [(rf"(?i)(?<![\w-]){word}(?![\w-])", better) for word, better in ENGLISH])


def occurrence(term: str) -> re.Pattern:
    """O termo em qualquer flexão simples, sem acentos: de cada palavra longa, o fim é livre."""
    words = re.findall(r"[\w⊙]+", plain(term))
    stems = [re.escape(word if len(word) <= 4 else word[:-2]) + r"\w*" for word in words]
    return re.compile(r"(?<!\w)" + r"[\s–*@-]+".join(stems))


def occurs(term: str, text: str) -> bool:
    """O termo, ou uma das formas dele: a que vem antes do parêntese, ou a de dentro."""
    forms = [form.strip() for form in re.split(r"[()]", term) if form.strip()]
    return any(occurrence(form).search(text) for form in forms)


def lesson_text(number: str) -> str:
    (path,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    return re.sub(r"\s+", " ", plain("\n".join(cells)))


every_lesson = pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)


# A forma


def test_there_are_at_least_120_terms_in_alphabetical_order():
    names = [row.term for row in terms()]
    assert len(names) >= 120
    assert names == sorted(names, key=plain)


def test_no_term_comes_twice():
    names = [plain(row.term) for row in terms()]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("row", terms(), ids=lambda row: plain(row.term))
def test_a_term_is_one_line_with_one_sentence(row):
    assert all(part and part == part.strip() for part in row)
    assert row.lesson in {lesson.number for lesson in series.LESSONS}
    assert row.definition.endswith(".")
    assert row.definition[:1] == row.definition[:1].upper()
    assert not re.search(r"\.\s+[A-ZÁÉÍÓÚÀÂÊÔÃÕÇ]", row.definition), "uma frase só"
    assert len(row.definition) <= 180
    assert not re.search(r"\d\.\d", row.definition), "o sinal decimal é a vírgula"


@pytest.mark.parametrize("row", terms(), ids=lambda row: plain(row.term))
def test_a_term_is_in_the_lesson_that_defines_it(row):
    assert occurs(row.term, lesson_text(row.lesson))


@pytest.mark.parametrize(
    ("term", "text", "found"),
    [
        ("unidade ativa", "Quantas *unidades ativas* há?", True),
        ("função escore", "as funções-escore", True),
        ("distribuição a priori (prior)", "a prior é normal", True),
        ("nat", "a natureza", True),  # o fim é livre: nas palavras curtas, quem lê confere
        ("moda", "acomodar", False),
        ("NDCG@k", "a ndcg@20 e a ndcg@k", True),
        ("linha de base", "linhas, e uma base", False),
    ],
)
def test_occurrences_are_found_in_any_inflection(term, text, found):
    assert occurs(term, plain(text)) is found


# A tabela


def test_the_table_has_a_row_per_term_and_a_link_to_its_lesson():
    shown = table()._repr_html_()
    assert len(table()) == shown.count("<tr>") - 1 == len(terms())
    links = set(re.findall(r'href="([^"]+)"', shown))
    assert links <= {lesson.file for lesson in series.LESSONS}
    assert {f"{row.lesson}_" for row in terms()} == {link[:3] for link in links}


def test_the_table_can_be_searched_without_accents_in_both_languages():
    assert {"distribuição a posteriori (posterior)"} <= {row.term for row in table("POSTERIOR").rows}
    assert table("verossimilhanca").rows == tuple(row for row in table("likelihood").rows if row.term[0] == "v")
    assert table("beta-VAE").rows == table("β-VAE").rows
    assert {row.lesson for row in table(lesson="03").rows} == {"03"}
    assert repr(table("one-hot")).startswith("one-hot (one-hot vector, lição 05): ")


def test_a_search_that_finds_nothing_says_so():
    with pytest.raises(ValueError, match="Nenhum termo do glossário contém 'xyz' na lição 03"):
        table("xyz", lesson="03")


def test_the_definitions_are_escaped():
    row = glossary.Term("a & b", "<i>", "00", "1 < 2.")
    shown = glossary.Table((row,))._repr_html_()
    assert "a &amp; b" in shown
    assert "&lt;i&gt;" in shown
    assert "1 &lt; 2." in shown


# Um termo só por ideia


@every_lesson
def test_the_lesson_uses_one_term_per_idea(path):
    text = prose(nbformat.read(path, as_version=4))
    assert refused(without_italics(text), REFUSED) + english_words(text) == []


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_package_uses_one_term_per_idea(path):
    strings = [
        node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value
    ]
    assert [found for string in strings for found in refused(re.sub(r"\s+", " ", string), REFUSED)] == []


def test_the_variants_refused_are_of_terms_of_the_glossary():
    assert VARIANTS.keys() <= {row.term for row in terms()}
    forms = [re.sub(r"[()]", "", row.term) for row in terms()]
    assert [found for form in forms for found in refused(form, REFUSED)] == []


def test_the_glossary_uses_one_term_per_idea():
    assert [found for row in terms() for found in refused(row.definition, REFUSED)] == []


@pytest.mark.parametrize(
    "text",
    [
        "Subtrai-se a baseline.",
        "2,3 nats por exemplo de teste",
        "um jacobiano barato",
        "o modelo linear-Gaussiano",
        "maximizar o ELBO",
        "os modos da posterior",
        "aquecer a temperatura",
        "recozer β",
        "o gradiente pelo caminho",
        "o decoder",
        "com um valor por exemplo.",
        "um modelo generativo",
        "Mini-lotes de 128",
        "o espaço de latentes",
        "o erro padrão da média",
        "colapso posterior",
        "o treinamento",
    ],
)
def test_a_refused_variant_is_caught(text):
    assert refused(text, REFUSED) + english_words(text)


@pytest.mark.parametrize(
    "text",
    [
        "a **linha de base** (*baseline*) não enviesa",
        "por exemplo, 2 nats",
        "a jacobiana é diagonal",
        "um nível posterior a esse",
        "o **aquecimento** (*KL annealing*)",
        "em modo de avaliação, de modo que",
        "recozer a temperatura e aquecer a KL",
        "a *score function*",
        "um passo do k-médias",
        "o colapso da posterior",
        "modelos geradores, e o que geram",
    ],
)
def test_what_is_right_is_not_caught(text):
    assert refused(without_italics(text), REFUSED) + english_words(text) == []
