"""A série: as lições que existem, o que cada uma pede antes e quanto leva, e as que estão em preparação."""

from typing import NamedTuple


class Lesson(NamedTuple):
    """number: "03" · file: o arquivo, em notebooks/ · title: o nome curto · question: o que ela responde ·
    needs: as lições sem as quais não se lê · helped_by: as que convém ter lido ·
    minutes: (caminho essencial, lição inteira), o que a primeira célula dela promete."""

    number: str
    file: str
    title: str
    question: str
    needs: tuple[str, ...]
    helped_by: tuple[str, ...]
    minutes: tuple[int, int]


LESSONS = (
    Lesson("00", "00_comece_aqui.ipynb", "Comece aqui", "Para que serve gerar?", (), (), (30, 35)),
    Lesson("01", "01_elbo.ipynb", "A ELBO", "E se a soma não couber?", ("00",), (), (50, 80)),
    Lesson(
        *("02", "02_reinforce_vs_reparametrizacao.ipynb", "REINFORCE e reparametrização"),
        *("Como derivar um sorteio?", ("01",), (), (60, 85)),
    ),
    Lesson("03", "03_vae.ipynb", "O VAE", "Como treinar um gerador?", ("00",), ("01", "02"), (50, 95)),
    Lesson("04", "04_beta_vae.ipynb", "O β-VAE", "Quanto vale um nat?", ("03",), (), (60, 75)),
    Lesson("05", "05_gumbel_softmax.ipynb", "Gumbel-Softmax", "E se z for discreto?", ("02", "03"), (), (65, 85)),
    Lesson(
        *("06", "06_colapso_da_posterior.ipynb", "Colapso da posterior"),
        *("Por que z não diz nada?", ("03",), ("04",), (55, 70)),
    ),
    Lesson(
        *("07", "07_cvae_e_semissupervisao.ipynb", "CVAE e semissupervisão"),
        *("E com poucos rótulos?", ("03",), (), (50, 60)),
    ),
    Lesson("08", "08_vq_vae.ipynb", "O VQ-VAE", "Cabe num dicionário?", ("03",), ("05",), (65, 70)),
    Lesson(
        *("09", "09_hierarquia_e_sequencias.ipynb", "Hierarquia e sequências"),
        *("Quantos andares tem z?", ("03",), ("04",), (55, 75)),
    ),
    Lesson(
        *("10", "10_fluxos_na_posterior.ipynb", "Fluxos na posterior"),
        *("E se a posterior for torta?", ("03",), ("01", "09"), (60, 75)),
    ),
    Lesson(
        *("11", "11_reparametrizacao_implicita.ipynb", "Reparametrização implícita"),
        *("E se z for um ângulo?", ("02", "03"), (), (60, 70)),
    ),
    Lesson(
        *("12", "12_expressao_genica.ipynb", "Expressão gênica"),
        *("E se o dado for contagem?", ("03",), ("07",), (55, 60)),
    ),
    Lesson(
        *("13", "13_topicos_em_textos.ipynb", "Tópicos em textos"),
        *("De que falam as páginas?", ("03",), ("06", "11"), (55, 65)),
    ),
    Lesson(
        *("14", "14_recomendacao.ipynb", "Recomendação"),
        *("O que mostrar a quem chega?", ("03",), ("04",), (50, 55)),
    ),
    Lesson(
        *("15", "15_outros_modelos.ipynb", "Outros modelos"),
        *("E sem um VAE?", ("03",), ("08", "09"), (55, 80)),
    ),
    Lesson(
        *("16", "16_museu_de_bugs.ipynb", "Museu de bugs"),
        *("E se o código mentir?", ("03",), ("01", "02"), (60, 125)),
    ),
)

COMING: dict[str, str] = {}  # nenhuma: as que se planejaram existem
