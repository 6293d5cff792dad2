"""Exercícios da lição 04: o objetivo do β-VAE, o preço de um nat, o colapso e o que separa os fatores."""

import math

import torch
from torch import Tensor

from vae_lessons.data.discs import IMAGE_SHAPE, factorial
from vae_lessons.exercises.checking import Exercise, Mistake, Unusable, behaviour, on_cases, reduced

_LOG_LIK = torch.tensor([-20.5, -31.0, -14.25, -48.0, 2.5], dtype=torch.float64)  # a de uma densidade pode ser positiva
_KL = torch.tensor([5.5, 3.0, 7.75, 0.0, 6.0], dtype=torch.float64)

# No penúltimo caso vai-se do modelo de menor taxa ao de maior; no último, a curva sobe, e o preço é negativo.
_TWO_POINTS = (
    (5.0, 21.0, 3.0, 24.0),
    (9.0, 19.0, 6.0, 20.5),
    (2.0, 30.0, 1.0, 38.0),
    (3.0, 24.0, 5.0, 21.0),
    (5.0, 21.0, 4.0, 20.5),
)

_BITS = torch.tensor([[1, 0, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0], [1, 0, 1, 0], [1, 0, 1, 0]], dtype=torch.float64)
_OTHER_BITS = torch.tensor([[0, 1, 1], [1, 1, 0], [0, 1, 0]], dtype=torch.float64)

_EIGENVALUES = torch.tensor([9.0, 4.0, 2.5, 1.0, 0.3], dtype=torch.float64)

# Tantos latentes quantos fatores: quem troca as dimensões chega a um número, e se reconhece.
_INFORMATION = torch.tensor([[1.5, 0.1, 0.9], [0.2, 0.6, 0.7], [0.3, 0.5, 0.0]], dtype=torch.float64)
_ENTROPIES = torch.tensor([math.log(8), math.log(3), math.log(4)], dtype=torch.float64)
_MORE_CODES = torch.tensor(
    [[0.1, 0.4, 0.0, 0.2], [1.2, 0.0, 0.3, 0.1], [0.8, 0.2, 0.9, 0.0], [0.0, 0.3, 0.2, 0.6]], dtype=torch.float64
)
_MORE_ENTROPIES = torch.tensor([math.log(8), math.log(2), math.log(4), math.log(3)], dtype=torch.float64)


_ABSOLUTE = (
    "você usou o módulo de log p(x|z), que nem sempre é negativo: o de uma densidade, como a Gaussiana, pode ser positivo. "
    "Troque o sinal dele."
)


def _beta_loss(log_lik: Tensor, kl: Tensor, beta: float) -> Tensor:
    return beta * kl - log_lik


def _price(rate_a: float, distortion_a: float, rate_b: float, distortion_b: float) -> float:
    return (distortion_b - distortion_a) / (rate_a - rate_b)


def _constant_image(x: Tensor) -> Tensor:
    p = x.mean(0)
    return (torch.special.entr(p) + torch.special.entr(1 - p)).sum()


def _mig(information: Tensor, entropies: Tensor) -> Tensor:
    best, second = information.topk(2, dim=0).values
    return ((best - second) / entropies).mean()


def _rates(eigenvalues: Tensor, beta: float, noise_var: float) -> Tensor:
    return 0.5 * (eigenvalues / (beta * noise_var)).log().clamp(min=0)


def _gaps(information: Tensor, dim: int = 0) -> Tensor:
    """O melhor menos o segundo, ao longo de `dim`."""
    best, second = information.topk(2, dim=dim).values.unbind(dim)
    return best - second


# O que se mede nos discos do leitor: um número por caso.
_RADIUS, _X, _Y, _NONE, _CUT, _NEGATIVE, _FEW = range(7)


def _survivor(x, y, radius) -> float:
    """Que fator explica a primeira componente dos discos, ou por que não se pode dizer."""
    values = [torch.as_tensor(value, dtype=torch.float32).flatten() for value in (x, y, radius)]
    if any(len(value.unique()) < 3 for value in values):
        return float(_FEW)
    if math.prod(map(len, values)) > 2000:
        raise Unusable("são mais de 2.000 discos: com uns poucos valores por fator já se vê o efeito.")
    if values[2].min() <= 0:
        return float(_NEGATIVE)
    reach = [value.abs().max() + values[2].max() + 0.5 for value in values[:2]]
    if reach[0] > IMAGE_SHAPE[1] / 2 or reach[1] > IMAGE_SHAPE[0] / 2:
        return float(_CUT)
    data = factorial(*values)
    centered = data.x.double() / 255
    centered = centered - centered.mean(0)
    codes, sizes, _ = torch.linalg.svd(centered, full_matrices=False)
    clear = sizes[0].square() > 1.2 * sizes[1].square()
    for case, value in zip((_X, _Y, _RADIUS), data.factors.T, strict=True):
        means = torch.stack([codes[value == level, 0].mean() for level in value.unique()])
        weights = torch.stack([(value == level).double().mean() for level in value.unique()])
        if clear and (weights * means.square()).sum() > 0.9 * codes[:, 0].square().mean():
            return float(case)
    return float(_NONE)


def _made(answer) -> float:
    made = answer()
    if isinstance(made, dict):
        made = [made.get(name) for name in ("x", "y", "radius")]
    if (
        not isinstance(made, tuple | list)
        or len(made) != 3
        or any(part is None or isinstance(part, str) for part in made)
    ):
        raise Unusable("esperava três listas de números, x, y e radius, nesta ordem.")
    return _survivor(*made)


EXERCISES = (
    Exercise(
        id="04.1",
        solution=_beta_loss,
        mistakes=(
            Mistake(
                lambda log_lik, kl, beta: kl - beta * log_lik,
                "você multiplicou a reconstrução por β. É a KL que ele encarece: com β grande, a sua perda faz o "
                "contrário do que deveria.",
            ),
            Mistake(
                lambda log_lik, kl, beta: log_lik - beta * kl,
                "isso é o objetivo, que se maximiza. A perda se minimiza: troque o sinal de tudo.",
            ),
            Mistake(
                lambda log_lik, kl, beta: beta * kl + log_lik,
                "minimizar a sua perda pioraria a reconstrução: log p(x|z) deve crescer, e por isso entra com menos.",
            ),
            Mistake(
                lambda log_lik, kl, beta: kl - log_lik,
                "falta o β: essa é a perda de um VAE comum, −ELBO.",
            ),
            Mistake(
                lambda log_lik, kl, beta: (beta - 1) * kl - log_lik,
                "o peso da KL é β inteiro. β − 1 é o que se soma a quem já descontou a KL uma vez, a ELBO; aqui se parte de "
                "log p(x|z), que não a descontou.",
            ),
            Mistake(
                lambda log_lik, kl, beta: (beta - 1) * kl,
                "isso é só o que separa a sua perda de −ELBO. Falta a própria −ELBO.",
            ),
            Mistake(
                lambda log_lik, kl, beta: (kl - log_lik) / beta,
                "você dividiu a ELBO toda por β. Isso muda a escala da perda, e não a troca entre os dois termos: o mínimo "
                "é o de um VAE comum.",
            ),
            Mistake(
                lambda log_lik, kl, beta: kl - log_lik / beta,
                "a troca entre os termos está certa, mas a escala não: esta é a perda pedida dividida por β. Com Adam o "
                "treino seria parecido; o número relatado, não.",
            ),
            Mistake(
                lambda log_lik, kl, beta: kl / beta - log_lik,
                "você dividiu a KL por β. β é preço: quanto maior, mais a KL custa.",
            ),
            *reduced(_beta_loss),
            Mistake(lambda log_lik, kl, beta: beta * kl + log_lik.abs(), _ABSOLUTE),
            Mistake(
                lambda log_lik, kl, beta: beta * (kl - log_lik),
                "β multiplicou tudo: isso só muda a escala da perda, e o mínimo fica onde estava.",
            ),
        ),
        measure=on_cases((_LOG_LIK, _KL, 4.0), (_LOG_LIK, _KL, 0.25), (_LOG_LIK, _KL, 1.0)),
        insight="Com β = 1 a perda é −ELBO; com qualquer outro, não.",
    ),
    Exercise(
        id="04.2",
        solution=_rates,
        mistakes=(
            Mistake(
                lambda eigenvalues, beta, noise_var: 0.5 * (eigenvalues / (beta * noise_var)).log(),
                "a conta vale para os latentes vivos. Nos outros w = 0, o codificador não lê nada, e a KL não pode sair "
                "negativa.",
            ),
            Mistake(
                lambda eigenvalues, beta, noise_var: 0.5 * (eigenvalues / (beta * noise_var)).log().abs(),
                "o módulo tira o sinal, e não o engano: abaixo da água w = 0 e q é a prior. Quanto custa uma q igual à prior?",
            ),
            Mistake(
                lambda eigenvalues, beta, noise_var: 2 * _rates(eigenvalues, beta, noise_var),
                "falta um ½: ele está na frente da KL entre normais, e nada o cancela.",
            ),
            Mistake(
                lambda eigenvalues, beta, noise_var: 0.5 * (1 + eigenvalues / (beta * noise_var)).log(),
                "essa é a informação que um canal passa quando o sinal tem variância λ. O decodificador ótimo usa w² = λ − βσ², "
                "e não λ.",
            ),
            Mistake(
                lambda eigenvalues, beta, noise_var: _rates(eigenvalues, beta, noise_var) / math.log(2),
                "o resultado está em bits. Aqui tudo é em nats: logaritmo natural.",
            ),
            Mistake(
                lambda eigenvalues, beta, noise_var: _rates(eigenvalues, 1.0, noise_var),
                "falta o β: essa é a taxa de um VAE comum.",
            ),
            Mistake(
                lambda eigenvalues, beta, noise_var: _rates(eigenvalues, beta, 1.0),
                "falta o σ². É o produto βσ² que decide: dobrar o ruído do decodificador vale por dobrar o preço.",
            ),
            Mistake(
                lambda eigenvalues, beta, noise_var: _rates(eigenvalues, beta / noise_var, 1.0),
                "você dividiu β por σ². Com mais ruído no decodificador, o latente vale menos: os dois se multiplicam.",
            ),
            Mistake(
                lambda eigenvalues, beta, noise_var: _rates(eigenvalues, beta, noise_var**0.5),
                "entrou o desvio padrão, σ, no lugar da variância, σ².",
            ),
            Mistake(
                lambda eigenvalues, beta, noise_var: _rates(eigenvalues, beta, noise_var**2),
                "noise_var já é a variância, σ²: não a eleve ao quadrado.",
            ),
            Mistake(
                lambda eigenvalues, beta, noise_var: (eigenvalues - beta * noise_var).clamp(min=0),
                "isso é w², o quadrado do peso do decodificador. Com ele se acham μ e d, e com estes a KL.",
            ),
            Mistake(
                lambda eigenvalues, beta, noise_var: (eigenvalues > beta * noise_var).to(eigenvalues),
                "isso diz quem está vivo. Quer-se quantos nats cada um leva.",
            ),
            Mistake(
                lambda eigenvalues, beta, noise_var: (
                    _rates(eigenvalues, beta, noise_var) - 0.5 * (1 - beta * noise_var / eigenvalues).clamp(min=0)
                ),
                "você esqueceu o μ² da KL: a média de q(z|x) varia de uma imagem a outra, com variância v²λ.",
            ),
            *reduced(_rates, over="os latentes"),
        ),
        measure=on_cases((_EIGENVALUES, 2.0, 1.0), (_EIGENVALUES, 1.5, 0.25), (_EIGENVALUES, 4.0, 5.0)),
        insight="Entre os vivos, dobrar λ rende meio log 2 nat; e quem decide quem vive é só o produto βσ².",
    ),
    Exercise(
        id="04.3",
        solution=_price,
        mistakes=(
            Mistake(
                lambda ra, da, rb, db: (db - da) / (rb - ra),
                "o sinal está trocado. A distorção sobe quando a taxa cai: a inclinação é negativa, e o preço é o "
                "oposto dela.",
            ),
            Mistake(
                lambda ra, da, rb, db: abs((db - da) / (ra - rb)),
                "o módulo esconde o caso em que a curva sobe: entre dois modelos mal treinados o preço pode sair negativo, e é "
                "bom que se veja. Troque a ordem de uma das diferenças, sem módulo.",
            ),
            Mistake(
                lambda ra, da, rb, db: (db - da) / abs(ra - rb),
                "o preço não depende de qual dos dois modelos é o a. Sem módulo, os dois sinais trocam juntos.",
            ),
            Mistake(
                lambda ra, da, rb, db: (ra - rb) / (db - da),
                "está de cabeça para baixo: isso são nats de taxa por nat de distorção. Quer-se quanto a distorção muda "
                "para cada nat de taxa.",
            ),
            Mistake(
                lambda ra, da, rb, db: db / rb,
                "isso é a razão num ponto só, o de b. O preço é o da diferença entre os dois: quanto se perdeu por quanto se "
                "economizou.",
            ),
            Mistake(
                lambda ra, da, rb, db: da / ra,
                "isso é a razão num ponto só, o de a. O preço é o da diferença entre os dois: quanto se perdeu por quanto se "
                "economizou.",
            ),
            Mistake(
                lambda ra, da, rb, db: db / rb - da / ra,
                "a diferença de duas razões não é a razão das duas diferenças. Subtraia antes de dividir.",
            ),
            Mistake(
                lambda ra, da, rb, db: (db - da) / ra,
                "você dividiu o que a distorção subiu pela taxa toda de a. Divida pelo que a taxa mudou entre os dois.",
            ),
            Mistake(
                lambda ra, da, rb, db: (db - da) / rb,
                "você dividiu o que a distorção subiu pela taxa toda de b. Divida pelo que a taxa mudou entre os dois.",
            ),
            Mistake(
                lambda ra, da, rb, db: db / da,
                "isso diz quantas vezes a distorção cresceu, por quociente, e a taxa nem entrou. O preço é em nats por nat: a "
                "diferença de um lado, a diferença do outro.",
            ),
            Mistake(
                lambda ra, da, rb, db: (db / da) / (ra / rb),
                "você comparou os modelos por quocientes. O preço é em nats por nat: a diferença de um lado, a diferença do "
                "outro.",
            ),
            Mistake(
                lambda ra, da, rb, db: (da + db) / (ra + rb),
                "você somou onde devia subtrair: o preço compara os dois modelos.",
            ),
            Mistake(
                lambda ra, da, rb, db: (db + rb - da - ra) / (ra - rb),
                "no numerador está o que a ELBO caiu, D + R. É só a distorção que se paga com a taxa.",
            ),
            Mistake(
                lambda ra, da, rb, db: db - da,
                "isso é quanto a distorção subiu. Falta dividir pelos nats de taxa economizados.",
            ),
            Mistake(
                lambda ra, da, rb, db: (db + rb) - (da + ra),
                "isso é quanto a ELBO caiu. Quer-se a inclinação da curva: a mudança da distorção por nat de taxa.",
            ),
        ),
        measure=on_cases(*_TWO_POINTS),
        insight="Entre dois modelos ótimos, esse preço fica entre os β dos dois.",
    ),
    Exercise(
        id="04.4",
        solution=_constant_image,
        mistakes=(
            Mistake(
                lambda x: _constant_image(x) / x.shape[1],
                "você tirou a média sobre os pixels. A distorção de uma imagem é a soma sobre eles.",
            ),
            Mistake(
                lambda x: -_constant_image(x),
                "isso é a log-verossimilhança, que é negativa. A distorção é o oposto dela.",
            ),
            Mistake(
                lambda x: _constant_image(x) / math.log(2),
                "o seu resultado está em bits, porque usou o logaritmo na base 2. Aqui tudo é em nats: logaritmo "
                "natural.",
            ),
            Mistake(
                lambda x: x.shape[1] * _constant_image(x.mean(1, keepdim=True).mean(0, keepdim=True)),
                "você usou uma probabilidade só para a imagem inteira. Cada pixel tem a sua: tire a média sobre as "
                "imagens, não sobre os pixels.",
            ),
            Mistake(
                lambda x: torch.special.entr(x.mean(0)).sum(),
                "você contou só os pixels acesos. Falta o termo dos apagados, com 1 − p.",
            ),
            Mistake(
                lambda x: _constant_image(x) * len(x),
                "isso é o total do conjunto. A distorção é por imagem: divida pelo número delas.",
            ),
        ),
        measure=on_cases((_BITS,), (_OTHER_BITS,)),
        tolerance=2e-3,  # admite quem protege o logaritmo com um clamp ou uma constante pequena
        insight="É o que paga quem ignora z: a soma das entropias dos pixels.",
    ),
    Exercise(
        id="04.5",
        solution=_mig,
        mistakes=(
            Mistake(
                lambda information, entropies: (_gaps(information, dim=1) / entropies).mean(),
                "você comparou, em cada latente, os dois melhores fatores. A MIG compara, em cada fator, os dois "
                "melhores latentes: a diferença é ao longo da dimensão 0.",
            ),
            Mistake(
                lambda information, entropies: (_gaps(information) / entropies).sum(),
                "você somou sobre os fatores. A nota é a média deles: assim ela fica entre 0 e 1, sejam quantos forem.",
            ),
            Mistake(
                lambda information, entropies: -_mig(information, entropies),
                "você subtraiu o melhor do segundo. A nota sai negativa: troque a ordem.",
            ),
            Mistake(
                lambda information, entropies: _gaps(information).mean(),
                "falta dividir pela entropia de cada fator: sem isso, um fator de muitos valores pesa mais, e a nota "
                "não fica entre 0 e 1.",
            ),
            Mistake(
                lambda information, entropies: _mig(information, entropies / math.log(2)),
                "você misturou as bases: a informação está em nats e a entropia, em bits. Divida nats por nats.",
            ),
            Mistake(
                lambda information, entropies: (information.amax(0) / entropies).mean(),
                "você esqueceu o segundo colocado. Sem a diferença, um fator repartido por dois latentes ganharia nota "
                "cheia.",
            ),
            Mistake(
                lambda information, entropies: ((information.amax(0) - information.mean(0)) / entropies).mean(),
                "você subtraiu a média dos latentes. O rival do melhor é o segundo colocado, e só ele.",
            ),
            Mistake(
                lambda information, entropies: information.amax(0).mean(),
                "você ficou só com o melhor latente de cada fator, e sem dividir pela entropia. Faltam o segundo colocado e a "
                "divisão.",
            ),
            Mistake(
                lambda information, entropies: _gaps(information).sum() / entropies.sum(),
                "você dividiu a soma das diferenças pela soma das entropias. Cada fator se divide pela entropia dele, e "
                "depois se tira a média.",
            ),
            Mistake(
                lambda information, entropies: _gaps(information) / entropies,
                "faltou a última conta: essa é a lacuna de cada fator, e a nota é a média delas.",
            ),
        ),
        measure=on_cases((_INFORMATION, _ENTROPIES), (_MORE_CODES, _MORE_ENTROPIES)),
        insight="Um fator que mora inteiro num latente, e em nenhum outro, contribui com 1.",
    ),
    Exercise(
        id="04.6",
        solution=lambda: tuple(map(torch.tensor, ([-1.0, 0, 1], [-1.0, 0, 1], [4.0, 5, 6, 7, 8]))),
        mistakes=(
            Mistake(
                lambda: ([-3, -1, 1, 3], [-1, 0, 1], [5, 6, 7]),
                "nos seus discos a direção de maior variância é a de x, e é ela que um β grande mata por último. Compare as "
                "variâncias: um passo no raio mexe em todo o contorno, um passo em x, só nos dois lados.",
            ),
            Mistake(
                lambda: ([-1, 0, 1], [-3, -1, 1, 3], [4, 5, 6]),
                "nos seus discos a direção de maior variância é a de y, e é ela que um β grande mata por último. Compare as "
                "variâncias: um passo no raio mexe em todo o contorno, um passo em y, só em cima e embaixo.",
            ),
            Mistake(
                lambda: ([-1.5, 0, 1.5], [-1.5, 0, 1.5], [5.0, 6.0, 7.0]),
                "a primeira componente dos seus discos não é de um fator só, ou mal se separa da segunda (a folga pedida é de "
                "20%). Aumente a diferença entre as variâncias, sem passos tão grandes que o disco mude de lugar de todo.",
            ),
            Mistake(
                lambda: ([-1, 0, 1], [-1, 0, 1], [5, 7, 9]),
                "há discos cortados pela borda. O maior raio, mais meio pixel de borda, mais o maior deslocamento, não pode "
                "passar de 12 pixels em x nem de 10 em y, que são as metades da imagem.",
            ),
            Mistake(
                lambda: ([-1, 0, 1], [-1, 0, 1], [-5, 5, 6]),
                "os raios devem ser positivos. A ordem das listas é x, y e raio.",
            ),
            Mistake(
                lambda: ([-1, 0, 1], [-1, 0, 1], [5, 6]),
                "cada fator deve ter ao menos três valores diferentes, e algum deles tem menos.",
            ),
        ),
        measure=behaviour(_made),
        insight="A primeira componente é o raio: agora treine e veja se é ele que sobra.",
    ),
)
