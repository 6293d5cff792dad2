"""Exercícios da lição 04: o objetivo do β-VAE, o preço de um nat, o colapso e a medida do desemaranhamento."""

import math

import torch
from torch import Tensor

from vae_lessons.exercises.checking import Exercise, Mistake, on_cases, reduced

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

_INFORMATION = torch.tensor([[1.5, 0.1, 0.9], [0.2, 0.6, 0.7], [0.3, 0.5, 0.0]], dtype=torch.float64)
_ENTROPIES = torch.tensor([math.log(8), math.log(3), math.log(4)], dtype=torch.float64)
_MORE_CODES = torch.tensor([[0.1, 0.4], [1.2, 0.0], [0.8, 0.2], [0.0, 0.3]], dtype=torch.float64)
_TWO_ENTROPIES = torch.tensor([math.log(8), math.log(2)], dtype=torch.float64)


_ABSOLUTE = (
    "você usou o módulo de log p(x|z), que nem sempre é negativa: a de uma densidade, como a Gaussiana, pode ser positiva. "
    "Troque o sinal dela."
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


def _gap_between_factors(information: Tensor, entropies: Tensor) -> Tensor:
    best, second = information.topk(2, dim=1).values.T
    return ((best - second) / entropies[information.argmax(1)]).mean()


def _capacity_loss(log_lik: Tensor, kl: Tensor, capacity: float, gamma: float) -> Tensor:
    return gamma * (kl - capacity).abs() - log_lik


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
        solution=lambda beta: beta >= 1,
        mistakes=(
            Mistake(
                lambda beta: beta == 1,
                "com β = 1 vale, mas não só. A KL nunca é negativa: o que acontece com a ELBO se dela se subtrai ainda "
                "(β − 1) · KL, com β > 1?",
            ),
            Mistake(
                lambda beta: beta <= 1,
                "é o contrário. Com β < 1 cobra-se menos KL do que a ELBO cobra, e o objetivo fica acima dela.",
            ),
            Mistake(
                lambda beta: beta > 1,
                "quase: falta o próprio β = 1, em que o objetivo é a ELBO.",
            ),
            Mistake(
                lambda beta: beta >= 0.95,
                "a fronteira não é aproximada: há um β exato em que o objetivo é a ELBO, e logo abaixo dele já não é um limite.",
            ),
            Mistake(
                lambda beta: beta >= 0.995,
                "quase: a fronteira é exata, e um β menor que ela, por pouco que seja, já não serve.",
            ),
            Mistake(
                lambda beta: True,
                "nem todo β serve. Olhe de novo a figura: à esquerda de β = 1 a curva passa de log p(x).",
            ),
            Mistake(
                lambda beta: beta > 0,
                "não basta β > 0. Olhe de novo a figura: à esquerda de β = 1 a curva passa de log p(x).",
            ),
        ),
        measure=on_cases(
            *((beta,) for beta in (0, 0.25, 0.9, 0.99, 1 - 1e-6, 1, 1.0, 1 + 1e-6, 1.01, 1.5, 2, 32.0, 1e4))
        ),
        tolerance=1e-9,
        insight="L_β = ELBO − (β − 1) · KL, e com β ≥ 1 o que se subtrai não é negativo.",
    ),
    Exercise(
        id="04.3",
        solution=_price,
        mistakes=(
            Mistake(
                lambda ra, da, rb, db: (db - da) / (rb - ra),
                "o sinal está trocado. A distorção sobe quando a taxa cai: a inclinação é negativa, e o preço é menos "
                "ela.",
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
                "isso é a razão num ponto só. O preço é o da diferença entre os dois: quanto se perdeu por quanto se "
                "economizou.",
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
                _gap_between_factors,
                "você comparou, em cada latente, os dois melhores fatores. A MIG compara, em cada fator, os dois "
                "melhores latentes: a diferença é ao longo da dimensão 0.",
            ),
            Mistake(
                lambda information, entropies: (information.topk(2, 0).values.diff(dim=0).neg()).mean(),
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
                lambda information, entropies: ((information.amax(0) - information.amin(0)) / entropies).mean(),
                "você subtraiu o pior latente. É do segundo melhor que se mede a distância.",
            ),
            Mistake(
                lambda information, entropies: information.topk(2, 0).values.diff(dim=0).neg().sum() / entropies.sum(),
                "você dividiu a soma das diferenças pela soma das entropias. Cada fator se divide pela entropia dele, e "
                "depois se tira a média.",
            ),
        ),
        measure=on_cases((_INFORMATION, _ENTROPIES), (_MORE_CODES, _TWO_ENTROPIES)),
        insight="Um fator que mora inteiro num latente, e em nenhum outro, contribui com 1.",
    ),
    Exercise(
        id="04.6",
        solution=_capacity_loss,
        mistakes=(
            Mistake(
                lambda log_lik, kl, capacity, gamma: gamma * (kl - capacity) - log_lik,
                "falta o módulo: sem ele, C é só uma constante somada à perda, e isso é um β-VAE com β = γ.",
            ),
            Mistake(
                lambda log_lik, kl, capacity, gamma: gamma * (kl - capacity).clamp(min=0) - log_lik,
                "você só cobra quando a KL passa de C. O módulo cobra dos dois lados: também puxa para cima a KL que "
                "está abaixo.",
            ),
            Mistake(
                lambda log_lik, kl, capacity, gamma: gamma * (kl + capacity).abs() - log_lik,
                "C entrou com o sinal trocado: a distância até C é |KL − C|, que se anula quando KL = C.",
            ),
            Mistake(
                lambda log_lik, kl, capacity, gamma: gamma * (kl - capacity).square() - log_lik,
                "você usou o quadrado. No artigo é o módulo, que puxa com a mesma força perto e longe de C.",
            ),
            Mistake(
                lambda log_lik, kl, capacity, gamma: gamma * (kl - capacity).abs() + log_lik,
                "o sinal da reconstrução está trocado: minimizar a sua perda pioraria log p(x|z).",
            ),
            Mistake(
                lambda log_lik, kl, capacity, gamma: (gamma * kl - capacity).abs() - log_lik,
                "γ multiplicou só a KL. Ele pesa a distância inteira: γ · |KL − C|.",
            ),
            Mistake(
                lambda log_lik, kl, capacity, gamma: gamma * (kl.mean() - capacity).abs() - log_lik,
                "você tirou a média da KL sobre o lote antes do módulo. É uma variante que também se usa, mas nela só a "
                "média precisa valer C; aqui, a KL de cada imagem.",
            ),
            *reduced(_capacity_loss),
            Mistake(
                lambda log_lik, kl, capacity, gamma: gamma * (kl - capacity).abs() + log_lik.abs(),
                _ABSOLUTE,
            ),
        ),
        measure=on_cases((_LOG_LIK, _KL, 4.0, 20.0), (_LOG_LIK, _KL, 0.0, 3.0), (_LOG_LIK, _KL, 6.5, 1.5)),
        insight="C diz quantos nats a taxa deve ter; γ, com que força se exige isso.",
    ),
)
