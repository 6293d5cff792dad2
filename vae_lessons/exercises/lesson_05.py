"""Exercícios da lição 05: sortear classes, relaxar o sorteio e não chamar de limite o que não é."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from vae_lessons.distributions import one_hot_argmax, straight_through_of
from vae_lessons.exercises.checking import Exercise, Mistake, Observed, Unusable, behaviour, letters, on_cases, reduced

_LOGITS = torch.tensor([[1.2, -0.5, 0.3, 2.0], [0.0, 0.7, -1.1, 0.4]], dtype=torch.float64)
_LOG_PI = torch.log_softmax(_LOGITS, -1)


def _uniform(*shape: int) -> Tensor:
    """Sempre os mesmos números em (0, 1)."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64).clamp(1e-12, 1 - 1e-12)


_G = -torch.log(-torch.log(_uniform(2, 4)))
_THREE = torch.cat([_LOGITS, _LOGITS.sum(0, keepdim=True)])  # N = 3: com N = 2 e K = 4, N log N seria log K
_POSTERIOR = torch.stack([_THREE, _THREE.flip(-1) * 2, torch.zeros_like(_THREE)])
_ALMOST_CERTAIN = torch.tensor([[[0.0, -1000.0, 0.5, 1.0]] * 3], dtype=torch.float64)  # softmax dá 0, e log de 0, −∞


def _gumbel_max(logits: Tensor, u: Tensor) -> Tensor:
    return (logits - torch.log(-torch.log(u))).argmax(-1)


def _relaxed(log_pi: Tensor, g: Tensor, temperature: float) -> Tensor:
    return torch.softmax((log_pi + g) / temperature, -1)


def _one_hot_measure(straight_through) -> tuple:
    """Quantos valores não são exatamente os do one-hot, os valores, e o gradiente que chega a y por uma f qualquer."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(500, 5, generator=generator).requires_grad_()
    y = torch.softmax(logits, -1)
    hard = one_hot_argmax(y)
    weights = torch.randn(500, 5, generator=generator)
    z = straight_through(hard.clone(), y)
    if not isinstance(z, Tensor) or z.shape != y.shape:
        raise Unusable("a função deve devolver um tensor com a forma de y, [..., K].")
    gradient = torch.zeros_like(logits)
    if z.requires_grad:
        gradient = torch.autograd.grad((weights * z).sum(), logits, materialize_grads=True)[0]
    return (
        Observed(int((z != hard).sum()), "na contagem dos valores que não são exatamente os de hard"),
        Observed(z, "nos valores"),
        Observed(gradient, "no gradiente que chega a y"),
    )


def _kl_to_uniform(logits: Tensor) -> Tensor:
    log_q = torch.log_softmax(logits, -1)
    return (math.log(logits.shape[-1]) + (log_q.exp() * log_q).sum(-1)).sum(-1)


def _negative_entropy(logits: Tensor) -> Tensor:
    log_q = torch.log_softmax(logits, -1)
    return (log_q.exp() * log_q).sum(-1)


def _temperature(epochs: float, rate: float, floor: float) -> float:
    return max(floor, math.exp(-rate * epochs))


EXERCISES = (
    Exercise(
        id="05.1",
        solution=_gumbel_max,
        alternatives=(lambda logits, u: _gumbel_max(logits, 1 - u),),  # 1 − u também é uniforme
        mistakes=(
            Mistake(
                lambda logits, u: (logits + torch.log(-torch.log(u))).argmax(-1),
                "o sinal do ruído está trocado: é g = −log(−log u). O seu tem a cauda longa para baixo, e quem vence já não "
                "segue π.",
            ),
            Mistake(
                lambda logits, u: (logits - torch.log(u)).argmax(-1),
                "−log u é um ruído exponencial. O de Gumbel tem mais um logaritmo: g = −log(−log u).",
            ),
            Mistake(
                lambda logits, u: (logits - torch.log(torch.log(u))).argmax(-1),
                "log u é negativo, e o log dele é NaN. Falta o sinal de dentro: g = −log(−log u).",
            ),
            Mistake(
                lambda logits, u: (logits.log() - torch.log(-torch.log(u))).argmax(-1),
                "os logits já são log π, a menos de uma constante: some o ruído direto a eles. O log de um logit negativo é "
                "NaN.",
            ),
            Mistake(
                lambda logits, u: (torch.softmax(logits, -1) - torch.log(-torch.log(u))).argmax(-1),
                "você somou o ruído a π. É a log π que ele se soma: em π, de 0 a 1, o ruído decide quase tudo.",
            ),
            Mistake(
                lambda logits, u: (logits + u).argmax(-1),
                "você somou a própria uniforme. Antes, passe-a a Gumbel: g = −log(−log u).",
            ),
            Mistake(
                lambda logits, u: (logits + torch.special.ndtri(u)).argmax(-1),
                "com ruído normal há sorteio, mas as frequências não são π: isso é o modelo probit. O ruído que dá o softmax é "
                "o de Gumbel.",
            ),
            Mistake(
                lambda logits, u: (logits + 0 * u).argmax(-1),
                "sem ruído não há sorteio: sai sempre a classe mais provável.",
            ),
            Mistake(
                lambda logits, u: (logits - torch.log(-torch.log(u))).argmin(-1),
                "vence o maior, e você pegou o menor.",
            ),
            Mistake(
                lambda logits, u: one_hot_argmax(logits - torch.log(-torch.log(u))),
                "o sorteio está certo, mas pediu-se o índice da classe, [...], e veio o one-hot.",
            ),
            Mistake(
                lambda logits, u: (logits - torch.log(-torch.log(u))).max(-1).values,
                "esse é o valor do maior. Pede-se qual foi: argmax.",
            ),
            Mistake(
                lambda logits, u: (logits - torch.log(-torch.log(u))).max(-1),
                "max sobre uma dimensão devolve duas coisas, os valores e as posições. Fique só com as posições: argmax.",
            ),
        ),
        measure=on_cases((_LOGITS[0], _uniform(400, 4)), (_LOGITS[1], _uniform(300, 4))),
        insight="O maior de log π + g é a classe k com probabilidade π_k, sem nunca calcular π.",
    ),
    Exercise(
        id="05.2",
        solution=_relaxed,
        mistakes=(
            Mistake(
                lambda log_pi, g, temperature: torch.softmax((log_pi + g) * temperature, -1),
                "você multiplicou por τ. Divide-se: com τ pequeno as diferenças crescem, e y se aproxima do one-hot.",
            ),
            Mistake(
                lambda log_pi, g, temperature: torch.softmax(log_pi + g / temperature, -1),
                "τ divide a soma inteira, log π + g. Só no ruído, com τ → 0 as classes ficam todas igualmente prováveis, sem ver π.",
            ),
            Mistake(
                lambda log_pi, g, temperature: torch.softmax(log_pi / temperature + g, -1),
                "τ divide a soma inteira, log π + g. Só em log π, ele muda a distribuição de que se sorteia.",
            ),
            Mistake(
                lambda log_pi, g, temperature: torch.softmax(log_pi + g, -1),
                "falta a temperatura: você tem τ = 1.",
            ),
            Mistake(
                lambda log_pi, g, temperature: torch.softmax(log_pi / temperature + 0 * g, -1),
                "falta o ruído g: sem ele y é determinístico.",
            ),
            Mistake(
                lambda log_pi, g, temperature: torch.softmax((log_pi.exp() + g) / temperature, -1),
                "o ruído se soma a log π, e não a π.",
            ),
            Mistake(
                lambda log_pi, g, temperature: torch.softmax((log_pi + g) / temperature, 0),
                "o softmax é sobre as classes, a última dimensão: .softmax(-1). Você misturou exemplos.",
            ),
            Mistake(
                lambda log_pi, g, temperature: torch.softmax((log_pi + g) / temperature, 1),
                "as classes são a última dimensão, que nem sempre é a 1: use .softmax(-1).",
            ),
            Mistake(
                lambda log_pi, g, temperature: torch.exp((log_pi + g) / temperature),
                "falta dividir pela soma: y vive no simplex, e os seus K valores não somam 1.",
            ),
            Mistake(
                lambda log_pi, g, temperature: torch.softmax(log_pi + g, -1) / temperature,
                "τ divide dentro da exponencial, antes do softmax. Depois dele, y deixa de somar 1.",
            ),
            Mistake(
                lambda log_pi, g, temperature: (log_pi + g) / temperature,
                "falta o softmax, que leva esses números ao simplex.",
            ),
            Mistake(
                lambda log_pi, g, temperature: torch.log_softmax((log_pi + g) / temperature, -1),
                "isso é log y. Pede-se y: softmax.",
            ),
            Mistake(
                lambda log_pi, g, temperature: torch.softmax(((log_pi + g) / temperature).exp(), -1),
                "o softmax já faz a exponencial: você a fez duas vezes.",
            ),
            Mistake(
                lambda log_pi, g, temperature: torch.softmax(((log_pi + g) / temperature).flatten(), 0).view_as(g),
                "você dividiu pela soma de tudo. É um simplex por exemplo: some só sobre a última dimensão.",
            ),
            Mistake(
                lambda log_pi, g, temperature: functional.gumbel_softmax(log_pi, tau=temperature),
                "F.gumbel_softmax sorteia o seu próprio ruído. Aqui ele vem pronto, em g.",
            ),
            Mistake(
                lambda log_pi, g, temperature: torch.sigmoid((log_pi + g) / temperature),
                "a sigmoide trata cada classe sozinha, e os K valores não somam 1. Aqui é o softmax.",
            ),
            Mistake(
                lambda log_pi, g, temperature: one_hot_argmax(log_pi + g),
                "esse é o argmax, que se queria substituir: o gradiente dele é zero.",
            ),
        ),
        measure=on_cases((_LOG_PI, _G, 0.5), (_LOG_PI, _G.flip(0), 2.0), (_LOG_PI[None], _G[None], 1.5)),
        insight="É o argmax de log π + g com as quinas arredondadas; τ diz quanto.",
    ),
    Exercise(
        id="05.3",
        solution=straight_through_of,
        mistakes=(
            Mistake(
                lambda hard, y: hard + y - y.detach(),
                "quase! O gradiente está certo, mas a conta é feita da esquerda para a direita, e (hard + y) − y arredonda: "
                "alguns valores não são 0 nem 1. Faça a diferença primeiro, entre parênteses: ela é exatamente zero.",
            ),
            Mistake(
                lambda hard, y: hard + (y - y),
                "o valor está certo, mas o gradiente que chega a y é zero. Se os dois y têm gradiente, eles se cancelam também "
                "na volta: um deles tem de entrar como constante, com detach().",
            ),
            Mistake(
                lambda hard, y: y + 0 * hard,
                "você devolveu y: o gradiente está certo, mas o valor não é one-hot.",
            ),
            Mistake(
                lambda hard, y: hard + (y.detach() - y),
                "o valor está certo, mas o gradiente saiu com o sinal trocado: o detach está no y errado.",
            ),
            Mistake(
                lambda hard, y: hard + y.detach() - y,
                "o detach está no y errado, e o gradiente saiu com o sinal trocado. E, sem parênteses, a soma arredonda.",
            ),
            Mistake(
                lambda hard, y: hard + y - y,
                "os dois y se cancelam também na volta, e o gradiente é zero: um deles tem de entrar como constante, com "
                "detach(). E, sem parênteses, a soma arredonda.",
            ),
            Mistake(
                lambda hard, y: y.detach() + 0 * hard,
                "isso é y como constante: não vale hard, e não tem gradiente.",
            ),
            Mistake(
                lambda hard, y: hard + y,
                "o valor de y sobrou na soma: subtraia-o, sem que a subtração tenha gradiente.",
            ),
            Mistake(
                lambda hard, y: hard * y,
                "o produto vale y na classe sorteada, e não 1, e só por ela passa gradiente.",
            ),
        ),
        measure=behaviour(_one_hot_measure),
        tolerance=1e-9,
        insight="Na ida, um one-hot exato; na volta, a softmax.",
    ),
    Exercise(
        id="05.4",
        solution=_kl_to_uniform,
        mistakes=(
            Mistake(
                lambda logits: _negative_entropy(logits).sum(-1),
                "falta o log K: isso é menos a entropia, que é negativa, e uma KL não é.",
            ),
            Mistake(
                lambda logits: -_negative_entropy(logits).sum(-1),
                "isso é a entropia de q. A KL é o quanto ela fica abaixo da máxima, log K.",
            ),
            Mistake(
                lambda logits: (math.log(logits.shape[-1]) - _negative_entropy(logits)).sum(-1),
                "o sinal da entropia está trocado: quanto mais incerta é q, menor a KL, e ela é zero na uniforme.",
            ),
            Mistake(
                lambda logits: _kl_to_uniform(logits) / math.log(2),
                "isso está em bits. Em nats, o logaritmo é o natural.",
            ),
            Mistake(
                lambda logits: _kl_to_uniform(logits) / logits.shape[-2],
                "você tirou a média sobre as N categóricas. São independentes: as KL se somam.",
            ),
            Mistake(
                lambda logits: math.log(logits.shape[-1]) + _negative_entropy(logits),
                "falta somar sobre as N categóricas: a KL de um exemplo é um número só.",
            ),
            *reduced(_kl_to_uniform),
            Mistake(
                lambda logits: math.log(logits.shape[-1]) + _negative_entropy(logits).sum(-1),
                "o log K entrou uma vez só, e são N categóricas: some-o em cada uma.",
            ),
            Mistake(
                lambda logits: (math.log(logits.shape[-1]) + (logits.exp() * logits).sum(-1)).sum(-1),
                "os logits não são log π: falta normalizá-los, com log_softmax.",
            ),
            Mistake(
                lambda logits: (math.log(logits.shape[-1]) + (torch.softmax(logits, -1) * logits).sum(-1)).sum(-1),
                "você tomou a média dos logits, que diferem de log π por uma constante: use log_softmax.",
            ),
            Mistake(
                lambda logits: (
                    _kl_to_uniform(logits) + logits.shape[-2] * math.log(logits.shape[-2] / logits.shape[-1])
                ),
                "você usou log N, o número de categóricas. O log é de K, o de classes: logits.shape[-1].",
            ),
            Mistake(
                lambda logits: (_negative_entropy(logits) - math.log(logits.shape[-1])).sum(-1),
                "o sinal do log K está trocado: log(π / (1/K)) = log π + log K.",
            ),
            Mistake(
                lambda logits: -_kl_to_uniform(logits),
                "o sinal está trocado: uma KL não é negativa.",
            ),
            Mistake(
                lambda logits: (math.log(logits.shape[-1]) + _negative_entropy(logits.mT)).sum(-1),
                "você normalizou e somou sobre as categóricas. As classes são a última dimensão: -1.",
            ),
            Mistake(
                lambda logits: (-torch.log_softmax(logits, -1).mean(-1) - math.log(logits.shape[-1])).sum(-1),
                "essa é a KL ao contrário, da uniforme a q. A da ELBO é de q à prior.",
            ),
        ),
        measure=on_cases((_POSTERIOR,), (_POSTERIOR[:2] * 3,), (_ALMOST_CERTAIN,)),
        tolerance=1e-3,  # admite quem protege o logaritmo com um clamp ou uma constante pequena
        insight="Vai de zero, na uniforme, a N log K, quando cada categórica escolhe uma classe com certeza.",
    ),
    Exercise(
        id="05.5",
        solution=_temperature,
        mistakes=(
            Mistake(
                lambda epochs, rate, floor: min(floor, math.exp(-rate * epochs)),
                "o piso é o menor valor permitido: entre os dois, fique com o maior.",
            ),
            Mistake(
                lambda epochs, rate, floor: math.exp(-rate * epochs),
                "falta o piso: assim τ vai a zero, e a variância do gradiente, ao infinito.",
            ),
            Mistake(
                lambda epochs, rate, floor: max(floor, math.exp(rate * epochs)),
                "o sinal do expoente está trocado: τ deve cair.",
            ),
            Mistake(
                lambda epochs, rate, floor: max(floor, 1 - rate * epochs),
                "isso cai em linha reta. O que se pediu cai em exponencial.",
            ),
            Mistake(
                lambda epochs, rate, floor: floor + (1 - floor) * math.exp(-rate * epochs),
                "isso só chega ao piso no infinito. O que se pediu segue a exponencial e para no piso.",
            ),
            Mistake(
                lambda epochs, rate, floor: floor + math.exp(-rate * epochs),
                "você somou o piso: τ começaria em 1 + piso, e deve começar em 1.",
            ),
            Mistake(
                lambda epochs, rate, floor: max(floor, math.exp(-epochs)),
                "falta a taxa: o expoente é −rate · epochs.",
            ),
            Mistake(
                lambda epochs, rate, floor: max(0.5, math.exp(-rate * epochs)),
                "0,5 é o piso de Jang et al. Aqui ele é um argumento: floor.",
            ),
            Mistake(
                lambda epochs, rate, floor: max(floor, (1 - rate) ** epochs),
                "com r pequeno, (1 − r)^t é quase e^{−rt}, mas não é: use math.exp.",
            ),
            Mistake(
                lambda epochs, rate, floor: max(floor, floor * math.exp(-rate * epochs)),
                "assim τ nunca sai do piso: começa em 1, e não em floor.",
            ),
            Mistake(
                lambda epochs, rate, floor: max(floor, math.exp(-epochs / rate)),
                "rate é uma taxa, que multiplica o tempo; você dividiu por ela.",
            ),
        ),
        measure=on_cases((0.0, 0.03, 0.5), (10.0, 0.03, 0.5), (30.0, 0.03, 0.5), (7.0, 0.2, 0.1), (1.5, 0.4, 0.01)),
        insight="Começa macio, com pouco ruído, e termina perto do modelo de verdade, com pouco viés.",
    ),
    Exercise(
        id="05.6",
        solution="c",
        measure=letters("abcde"),
        mistakes=(
            Mistake(
                "a",
                "o viés do gradiente muda para onde se anda, não o que o número significa: a ELBO de amostras duras é um limite "
                "qualquer que seja o estimador com que se treinou.",
            ),
            Mistake(
                "b",
                "a variância desaparece na média de muitos sorteios, e a tabela acima é a média de 200. O excesso continuou lá.",
            ),
            Mistake(
                "d",
                "a KL ali está exata, pela fórmula fechada, com π. Ela está certa para z; o outro termo é que não usa z.",
            ),
            Mistake(
                "e",
                "com τ = 0,5 os dois termos ainda falam de variáveis diferentes. O excesso diminui, mas fica na maioria das imagens "
                "(experimente); a prova do limite só volta a valer quando a amostra é one-hot.",
            ),
        ),
        insight="A prova da ELBO pede a mesma variável, com a mesma q, nos dois termos.",
    ),
)
