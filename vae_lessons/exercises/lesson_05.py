"""Exercícios da lição 05: sortear classes, relaxar o sorteio e não chamar de limite o que não é."""

import math

import torch
from torch import Tensor

from vae_lessons.distributions import one_hot_argmax, straight_through_of
from vae_lessons.exercises.checking import Exercise, Mistake, Observed, Unusable, behaviour, letters, on_cases, reduced

_LOGITS = torch.tensor([[1.2, -0.5, 0.3, 2.0], [0.0, 0.7, -1.1, 0.4]], dtype=torch.float64)


def _uniform(*shape: int) -> Tensor:
    """Sempre os mesmos números em (0, 1)."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64).clamp(1e-12, 1 - 1e-12)


def _exponential(*shape: int) -> Tensor:
    """Sempre os mesmos tempos de Exp(1)."""
    return -torch.log(_uniform(*shape))


_LOG_ODDS = torch.tensor([0.8, -1.5, 0.0, 2.2], dtype=torch.float64)
_THREE = torch.cat([_LOGITS, _LOGITS.sum(0, keepdim=True)])  # N = 3 e K = 4: nenhum log se confunde com outro
_POSTERIOR = torch.stack([_THREE, _THREE.flip(-1) * 2, torch.zeros_like(_THREE)])
_ALMOST_CERTAIN = torch.tensor([[[0.0, -1000.0, 0.5, 1.0]] * 3], dtype=torch.float64)  # softmax dá 0, e log de 0, −∞
_PRIOR = torch.tensor([[0.4, 1.3, -0.6, 0.2], [0.0, 0.0, 0.0, 0.0], [-1.0, 0.5, 0.9, 2.1]], dtype=torch.float64)


def _race(logits: Tensor, e: Tensor) -> Tensor:
    return (logits - torch.log(e)).argmax(-1)


def _relaxed_bit(log_odds: Tensor, u: Tensor, temperature: float) -> Tensor:
    return torch.sigmoid((log_odds + torch.log(u) - torch.log1p(-u)) / temperature)


def one_hot_measure(straight_through, *, seed: int = 0) -> tuple:
    """Quantos valores não são exatamente os do one-hot, os valores, e o gradiente que chega a y por uma f qualquer."""
    generator = torch.Generator().manual_seed(seed)
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


def _kl(logits: Tensor, prior_logits: Tensor) -> Tensor:
    log_q, log_p = torch.log_softmax(logits, -1), torch.log_softmax(prior_logits, -1)
    return (log_q.exp() * (log_q - log_p)).sum((-2, -1))


def _negative_entropy(logits: Tensor) -> Tensor:
    log_q = torch.log_softmax(logits, -1)
    return (log_q.exp() * log_q).sum(-1)


def _temperature(epochs: float, end: float, floor: float) -> float:
    return max(floor, floor ** (epochs / end))


EXERCISES = (
    Exercise(
        id="05.1",
        solution=_race,
        alternatives=(lambda logits, e: _race(logits, -torch.log1p(-torch.exp(-e))),),  # outra Exp(1): −log(1 − u)
        mistakes=(
            Mistake(
                lambda logits, e: (logits - torch.log(e)).argmax(),
                "falta dizer ao argmax sobre qual dimensão: sem isso ele procura o maior de toda a tabela, e devolve um número "
                "só. São R corridas, com um vencedor em cada uma.",
            ),
            Mistake(
                lambda logits, e: (logits - torch.log(e)).argmax(0),
                "o argmax correu pelas R repetições. Quem compete são as classes, a última dimensão.",
            ),
            Mistake(
                lambda logits, e: (logits - torch.log(e)).argmin(-1),
                "você deu a vitória a quem chegou por último. Quem chega primeiro tem o menor tempo, e o maior −log t.",
            ),
            Mistake(
                lambda logits, e: (logits + torch.log(e)).argmax(-1),
                "o sinal do ruído está trocado. Se t = `e`/π, que sinal tem log `e` em −log t?",
            ),
            Mistake(
                lambda logits, e: (logits + torch.log(e)).argmin(-1),
                "assim o tempo cresce com π, e a classe mais provável é a mais lenta: divide-se por π, não se multiplica.",
            ),
            Mistake(
                lambda logits, e: (e / logits).argmin(-1),
                "você tomou os logits por probabilidades, e eles podem ser negativos. π é proporcional a exp(logit), e log π é o logit, a menos de uma constante.",
            ),
            Mistake(
                lambda logits, e: (e - logits).argmin(-1),
                "o tempo é `e` dividido por π. Subtrair só vale entre logaritmos: falta o log de `e`.",
            ),
            Mistake(
                lambda logits, e: (logits + e).argmax(-1),
                "você somou o próprio tempo como ruído. Ele é exponencial; o ruído que dá π é o de Gumbel, e se tira de `e`.",
            ),
            Mistake(
                lambda logits, e: (logits - torch.log(-torch.log(e))).argmax(-1),
                "você tratou `e` como uma uniforme. Ele já é −log de uma uniforme: log `e` pode ser positivo, e então saem NaN.",
            ),
            Mistake(
                lambda logits, e: (logits - torch.log(-torch.log(torch.rand_like(e)))).argmax(-1),
                "você sorteou o seu próprio ruído. O acaso vem pronto, em `e`.",
            ),
            Mistake(
                lambda logits, e: torch.multinomial(torch.softmax(logits, -1), len(e), replacement=True),
                "você sorteou de novo, pelas probabilidades. O acaso vem pronto, em `e`: use-o.",
            ),
            Mistake(
                lambda logits, e: (logits - torch.log(e)).argmax(-1) + 1,
                "o sorteio está certo, mas as classes são numeradas de 0 a K − 1, e você contou de 1 a K.",
            ),
            Mistake(
                lambda logits, e: (e / torch.log_softmax(logits, -1)).argmin(-1),
                "você dividiu por log π, que é negativo: o tempo é `e` dividido por π.",
            ),
            Mistake(
                lambda logits, e: (torch.softmax(logits, -1) - torch.log(e)).argmax(-1),
                "você somou o ruído a π. É a log π que ele se soma: em π, de 0 a 1, o ruído decide quase tudo.",
            ),
            Mistake(
                lambda logits, e: (logits + 0 * e).argmax(-1),
                "sem `e` não há sorteio: sai sempre a classe mais provável.",
            ),
            Mistake(
                lambda logits, e: one_hot_argmax(logits - torch.log(e)),
                "o sorteio está certo, mas pediu-se o índice da classe, [R], e veio o one-hot.",
            ),
            Mistake(
                lambda logits, e: (logits - torch.log(e)).max(-1).values,
                "esse é o valor do maior. Pede-se qual foi: argmax.",
            ),
            Mistake(
                lambda logits, e: (logits - torch.log(e)).max(-1),
                "max sobre uma dimensão devolve duas coisas, os valores e as posições. Fique só com as posições: argmax.",
            ),
        ),
        measure=on_cases((_LOGITS[0], _exponential(400, 4)), (_LOGITS[1], _exponential(300, 4))),
        insight="Gumbel-max é uma corrida: a classe k anda à velocidade π_k, e a primeira a chegar é k com probabilidade π_k.",
    ),
    Exercise(
        id="05.2",
        solution=_relaxed_bit,
        alternatives=(lambda log_odds, u, temperature: _relaxed_bit(log_odds, 1 - u, temperature),),  # é simétrica
        mistakes=(
            Mistake(
                lambda log_odds, u, temperature: _relaxed_bit(-log_odds, u, temperature),
                "você trocou as classes, ou subtraiu no lugar errado: quanto maior log π₁ − log π₂, mais perto de 1 deve ficar y₁.",
            ),
            Mistake(
                lambda log_odds, u, temperature: _relaxed_bit(log_odds, u, temperature**2),
                "τ entrou duas vezes, ao quadrado: divide-se uma vez só.",
            ),
            Mistake(
                lambda log_odds, u, temperature: _relaxed_bit(log_odds, u, 1 / temperature),
                "você multiplicou por τ. Divide-se: com τ pequeno as diferenças crescem, e y₁ se aproxima de 0 ou de 1.",
            ),
            Mistake(
                lambda log_odds, u, temperature: _relaxed_bit(log_odds, u, 1.0),
                "falta a temperatura: você tem τ = 1.",
            ),
            Mistake(
                lambda log_odds, u, temperature: torch.sigmoid(log_odds + torch.logit(u) / temperature),
                "τ divide a soma inteira. Só no ruído, com τ → 0 as duas classes ficam igualmente prováveis, sem ver π.",
            ),
            Mistake(
                lambda log_odds, u, temperature: torch.sigmoid(log_odds / temperature + torch.logit(u)),
                "τ divide a soma inteira. Só na primeira parcela, ele muda a distribuição de que se sorteia.",
            ),
            Mistake(
                lambda log_odds, u, temperature: torch.sigmoid(log_odds + torch.logit(u)) / temperature,
                "τ divide antes da sigmoide. Depois dela, y₁ pode passar de 1.",
            ),
            Mistake(
                lambda log_odds, u, temperature: _relaxed_bit(log_odds, torch.rand_like(u), temperature),
                "você sorteou o seu próprio ruído. O acaso vem pronto, em u.",
            ),
            Mistake(
                lambda log_odds, u, temperature: torch.sigmoid((log_odds - torch.log(-torch.log(u))) / temperature),
                "isso é uma Gumbel só. Em y₁ entra a diferença de duas, g₁ − g₂, que tem outra distribuição.",
            ),
            Mistake(
                lambda log_odds, u, temperature: torch.sigmoid(
                    (log_odds - torch.log(-torch.log(u)) + torch.log(-torch.log1p(-u))) / temperature
                ),
                "você tirou as duas Gumbels da mesma uniforme, de u e de 1 − u, e elas têm de ser independentes. Inverta a "
                "acumulada da diferença.",
            ),
            Mistake(
                lambda log_odds, u, temperature: torch.sigmoid((log_odds + torch.log(u)) / temperature),
                "log u só é negativo, e o ruído tem de ir aos dois lados: resolva σ(t) = u para t.",
            ),
            Mistake(
                lambda log_odds, u, temperature: torch.sigmoid((log_odds + torch.sigmoid(u)) / temperature),
                "você aplicou a acumulada a u. É a inversa dela que leva uma uniforme ao ruído.",
            ),
            Mistake(
                lambda log_odds, u, temperature: torch.sigmoid((log_odds + u) / temperature),
                "você somou a própria uniforme. A diferença de duas Gumbels vai de −∞ a ∞: inverta a acumulada dela.",
            ),
            Mistake(
                lambda log_odds, u, temperature: torch.sigmoid(
                    (log_odds + torch.log(u) + torch.log1p(-u)) / temperature
                ),
                "a acumulada, invertida, tem o logaritmo de uma razão, u/(1 − u), e não o de um produto.",
            ),
            Mistake(
                lambda log_odds, u, temperature: torch.sigmoid((log_odds + u / (1 - u)) / temperature),
                "falta o logaritmo: o ruído logístico é log de u/(1 − u), e pode ser negativo.",
            ),
            Mistake(
                lambda log_odds, u, temperature: torch.sigmoid((log_odds + torch.special.ndtri(u)) / temperature),
                "com ruído normal as frequências não são π. A diferença de duas Gumbels é logística.",
            ),
            Mistake(
                lambda log_odds, u, temperature: torch.sigmoid(
                    (torch.sigmoid(log_odds) + torch.logit(u)) / temperature
                ),
                "o ruído se soma a log π₁ − log π₂, e não à probabilidade.",
            ),
            Mistake(
                lambda log_odds, u, temperature: torch.sigmoid(
                    (torch.sigmoid(log_odds).log() + torch.logit(u)) / temperature
                ),
                "você usou log π₁. O que importa é a diferença, log π₁ − log π₂, e ela já é log_odds.",
            ),
            Mistake(
                lambda log_odds, u, temperature: torch.sigmoid(log_odds / temperature + 0 * u),
                "falta o ruído: sem ele y₁ é determinístico.",
            ),
            Mistake(
                lambda log_odds, u, temperature: torch.softmax((log_odds + torch.logit(u)) / temperature, -1),
                "o softmax misturou componentes que são de variáveis diferentes. Com duas classes, ele é a sigmoide da diferença.",
            ),
            Mistake(
                lambda log_odds, u, temperature: (log_odds + torch.logit(u)) / temperature,
                "falta levar esse número ao intervalo de 0 a 1.",
            ),
            Mistake(
                lambda log_odds, u, temperature: (log_odds + torch.logit(u) > 0).double() + 0 * temperature,
                "esse é o sorteio duro, de derivada zero. Pede-se o relaxado.",
            ),
            Mistake(
                lambda log_odds, u, temperature: torch.stack(
                    [_relaxed_bit(log_odds, u, temperature), 1 - _relaxed_bit(log_odds, u, temperature)], -1
                ),
                "você devolveu y₁ e y₂. Pede-se só y₁, com a forma de log_odds.",
            ),
        ),
        measure=on_cases(
            (_LOG_ODDS, _uniform(4), 0.5),
            (_LOG_ODDS.flip(0), _uniform(4), 2.0),
            (_LOG_ODDS.expand(3, 4), _uniform(3, 4), 0.2),
        ),
        insight="Duas Gumbels, numa diferença, viram um ruído só, o logístico: é assim que se relaxa um bit.",
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
                lambda hard, y: (hard - y).detach(),
                "falta somar y, com gradiente, ao que você devolveu: assim nem o valor é hard, nem há gradiente.",
            ),
            Mistake(
                lambda hard, y: hard * y / y.detach(),
                "o valor está quase certo, mas o gradiente é só o da classe sorteada, e dividido por y. Some, em vez de "
                "multiplicar.",
            ),
            Mistake(
                lambda hard, y: hard * y,
                "o produto vale y na classe sorteada, e não 1, e só por ela passa gradiente.",
            ),
        ),
        measure=behaviour(one_hot_measure),
        tolerance=1e-9,
        insight="Na ida, um one-hot exato; na volta, a derivada do softmax.",
    ),
    Exercise(
        id="05.4",
        solution=_kl,
        mistakes=(
            Mistake(
                lambda logits, prior_logits: (math.log(logits.shape[-1]) + _negative_entropy(logits)).sum(-1),
                "isso é a KL contra a uniforme. Aqui a prior não é uniforme: o log K vira −log p(z), que depende da classe.",
            ),
            Mistake(
                lambda logits, prior_logits: (math.log(8) + _negative_entropy(logits)).sum(-1),
                "o 8 é o K da lição, e a prior não entrou na conta. A função deve servir a qualquer K e a "
                "qualquer prior.",
            ),
            Mistake(
                lambda logits, prior_logits: _negative_entropy(logits).sum(-1),
                "isso é menos a entropia de q. Falta o termo da prior, −Σ q log p.",
            ),
            Mistake(
                lambda logits, prior_logits: _kl(logits, prior_logits) - _negative_entropy(logits).sum(-1),
                "isso é a entropia cruzada, −Σ q log p. Falta tirar dela a entropia de q.",
            ),
            Mistake(
                lambda logits, prior_logits: _kl(logits, prior_logits) - 2 * _negative_entropy(logits).sum(-1),
                "o sinal da entropia está trocado: quanto mais incerta é q, menor a KL.",
            ),
            Mistake(
                lambda logits, prior_logits: _kl(prior_logits.expand_as(logits), logits),
                "essa é a KL ao contrário, da prior a q. A da ELBO é de q à prior: o peso é q.",
            ),
            Mistake(
                lambda logits, prior_logits: _kl(logits, prior_logits) / math.log(2),
                "isso está em bits. Em nats, o logaritmo é o natural.",
            ),
            Mistake(
                lambda logits, prior_logits: _kl(logits, prior_logits) / logits.shape[-2],
                "você tirou a média sobre as N categóricas. São independentes: as KL se somam.",
            ),
            Mistake(
                lambda logits, prior_logits: _kl(logits, prior_logits) / logits.shape[-1],
                "você tirou a média sobre as classes. Uma KL é uma soma sobre elas.",
            ),
            Mistake(
                lambda logits, prior_logits: (
                    torch.softmax(logits, -1) * (torch.log_softmax(logits, -1) - torch.log_softmax(prior_logits, -1))
                ).sum(-1),
                "falta somar sobre as N categóricas: a KL de uma imagem é um número só.",
            ),
            *reduced(_kl, over="as imagens"),
            Mistake(
                lambda logits, prior_logits: _kl(logits.mT, prior_logits.mT),
                "você normalizou sobre as categóricas. As classes são a última dimensão: o softmax é em -1.",
            ),
            Mistake(
                lambda logits, prior_logits: (
                    torch.softmax(logits, 0) * (torch.log_softmax(logits, 0) - torch.log_softmax(prior_logits, -1))
                ).sum((-2, -1)),
                "você normalizou sobre as imagens. As classes são a última dimensão: o softmax é em -1.",
            ),
            Mistake(
                lambda logits, prior_logits: (torch.softmax(logits, -1) * (logits - prior_logits)).sum((-2, -1)),
                "os logits não são log π: diferem dele por uma constante, que a de q e a da prior não têm em comum. Use "
                "log_softmax nos dois.",
            ),
            Mistake(
                lambda logits, prior_logits: (
                    torch.softmax(logits, -1) * (torch.log_softmax(logits, -1) - prior_logits)
                ).sum((-2, -1)),
                "os logits da prior não são log p: falta normalizá-los, com log_softmax.",
            ),
            Mistake(
                lambda logits, prior_logits: (
                    torch.softmax(logits, -1) * (logits - torch.log_softmax(prior_logits, -1))
                ).sum((-2, -1)),
                "os logits de q não são log q: falta normalizá-los, com log_softmax.",
            ),
            Mistake(
                lambda logits, prior_logits: (
                    torch.softmax(logits, -1) * (torch.softmax(logits, -1) / torch.softmax(prior_logits, -1))
                ).sum((-2, -1)),
                "falta o logaritmo da razão q/p.",
            ),
            Mistake(
                lambda logits, prior_logits: (torch.log_softmax(logits, -1) - torch.log_softmax(prior_logits, -1)).sum(
                    (-2, -1)
                ),
                "falta o peso q: uma esperança multiplica cada parcela pela probabilidade da classe.",
            ),
            Mistake(
                lambda logits, prior_logits: (
                    torch.softmax(logits, -1) * (torch.log_softmax(logits, -1) - torch.log_softmax(prior_logits, 0))
                ).sum((-2, -1)),
                "você normalizou a prior sobre as categóricas. As classes são a última dimensão: o softmax é em -1.",
            ),
            Mistake(
                lambda logits, prior_logits: -_kl(logits, prior_logits),
                "o sinal está trocado: uma KL não é negativa.",
            ),
        ),
        measure=on_cases((_POSTERIOR, _PRIOR), (_POSTERIOR[:2] * 3, _PRIOR.flip(0)), (_ALMOST_CERTAIN, _PRIOR)),
        tolerance=1e-3,  # admite quem protege o logaritmo com um clamp ou uma constante pequena
        insight="Com a prior uniforme, sobra log K − H(q); com outra, uma classe rara custa mais nats que uma comum.",
    ),
    Exercise(
        id="05.5",
        solution=_temperature,
        mistakes=(
            Mistake(
                lambda epochs, end, floor: floor ** (epochs / end),
                "falta o piso: depois de end, τ continua a cair, e a variância do gradiente, a crescer.",
            ),
            Mistake(
                lambda epochs, end, floor: min(floor, floor ** (epochs / end)),
                "o piso é o menor valor permitido: entre os dois, fique com o maior.",
            ),
            Mistake(
                lambda epochs, end, floor: max(floor, 1 - (1 - floor) * epochs / end),
                "as pontas estão certas, mas isso cai em linha reta. O que se pediu cai em exponencial.",
            ),
            Mistake(
                lambda epochs, end, floor: max(floor, 1 - epochs / end),
                "isso cai em linha reta, e bate no piso antes de end. O que se pediu cai em exponencial.",
            ),
            Mistake(
                lambda epochs, end, floor: 1.0 if epochs < end else floor,
                "isso é um degrau: τ fica em 1 até end. O que se pediu desce aos poucos, em exponencial.",
            ),
            Mistake(
                lambda epochs, end, floor: max(floor, math.exp(-floor * epochs)),
                "floor é aonde τ chega, e não a taxa: falta usar end. Resolva e^{−r·end} = floor.",
            ),
            Mistake(
                lambda epochs, end, floor: max(floor, math.exp(math.log2(floor) * epochs / end)),
                "você tirou a taxa de um logaritmo de base 2. O de e é o natural.",
            ),
            Mistake(
                lambda epochs, end, floor: floor + (1 - floor) * (1 + math.cos(math.pi * min(1, epochs / end))) / 2,
                "as pontas estão certas, mas isso é meio cosseno. O que se pediu é uma exponencial.",
            ),
            Mistake(
                lambda epochs, end, floor: max(floor, 1 / (1 + (1 / floor - 1) * epochs / end)),
                "as pontas estão certas, mas isso é uma hipérbole: 1/τ sobe em reta. Numa exponencial, quem cai em reta é log τ.",
            ),
            Mistake(
                lambda epochs, end, floor: floor + (1 - floor) * math.exp(-epochs / end),
                "isso só chega ao piso no infinito. Escolha a taxa para que e^{−rt} valha floor em t = end.",
            ),
            Mistake(
                lambda epochs, end, floor: max(floor, math.exp(-epochs / end)),
                "a taxa 1/end leva a e⁻¹ em t = end, qualquer que seja floor. A taxa depende dos dois.",
            ),
            Mistake(
                lambda epochs, end, floor: max(floor, math.exp(-epochs * (1 - floor) / end)),
                "a taxa (1 − floor)/end é a da reta. Na exponencial, ela sai de e^{−r·end} = floor.",
            ),
            Mistake(
                lambda epochs, end, floor: max(floor, math.exp(-epochs * floor / end)),
                "a taxa floor/end não chega a floor em t = end. Resolva e^{−r·end} = floor.",
            ),
            Mistake(
                lambda epochs, end, floor: max(floor, math.exp(-epochs / (end * floor))),
                "essa taxa é tirada do piso, mas não resolve e^{−r·end} = floor: tome o logaritmo dos dois lados.",
            ),
            Mistake(
                lambda epochs, end, floor: max(floor, math.exp(math.log(floor) / math.log(10) * epochs / end)),
                "você tirou a taxa de um logaritmo de base 10. O de e é o natural.",
            ),
            Mistake(
                lambda epochs, end, floor: max(floor, (1 + math.log(floor) / end) ** epochs),
                "com r pequeno, (1 − r)^t é quase e^{−rt}, mas não é.",
            ),
            Mistake(
                lambda epochs, end, floor: max(floor, 0.5 ** (epochs / end)),
                "0,5 é o piso de Jang et al. Aqui ele é um argumento: floor.",
            ),
            Mistake(
                lambda epochs, end, floor: max(floor, floor ** (int(epochs) / end)),
                "isso cai em degraus, um por época. `epochs` cresce a cada passo, e a temperatura também deve mudar a cada um.",
            ),
            Mistake(
                lambda epochs, end, floor: max(floor, floor ** (-epochs / end)),
                "o sinal do expoente está trocado: τ deve cair.",
            ),
            Mistake(
                lambda epochs, end, floor: min(1.0, floor ** (1 - epochs / end)),
                "isso começa em floor e sobe. O recozimento começa em 1 e desce.",
            ),
            Mistake(
                lambda epochs, end, floor: max(floor, floor * math.exp(-epochs / end)),
                "assim τ nunca sai do piso: começa em 1, e não em floor.",
            ),
        ),
        measure=on_cases((0.0, 25.0, 0.5), (10.0, 25.0, 0.5), (40.0, 25.0, 0.5), (7.5, 30.0, 0.1), (1.5, 4.0, 0.02)),
        insight="log τ desce em linha reta, e chega ao piso na época que você escolheu.",
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
                "o ruído desaparece na média de muitos sorteios, e a tabela acima é a média de 200. O excesso continuou lá.",
            ),
            Mistake(
                "d",
                "a KL ali está exata, pela fórmula fechada, com π. Ela está certa para z; o outro termo é que não usa z.",
            ),
            Mistake(
                "e",
                "com τ menor os dois termos ainda falam de variáveis diferentes, e a prova do limite só volta a valer quando a "
                "amostra é one-hot. O exercício 05.7 mede o que sobra.",
            ),
        ),
        insight="A prova da ELBO pede a mesma variável, com a mesma q, nos dois termos.",
    ),
    Exercise(
        id="05.7",
        solution=0.54,
        tolerance=0.15,  # vinte sementes deram de 0,43 a 0,65; com τ = 1, de 0,89 a 0,92; com τ = 0,5, de 0,68 a 0,83
        mistakes=(
            Mistake(
                0.91,
                "isso é o que se vê com τ = 1, ou pouco menos. Foi mesmo com a outra temperatura que você treinou e mediu?",
            ),
            Mistake(53.0, "pede-se uma fração, de 0 a 1, e não uma porcentagem."),
            Mistake(
                -0.08,
                "essa parece a média do excesso. Ela esconde o que se pergunta: em quantas imagens, uma a uma, ele é positivo?",
            ),
            Mistake(
                0.74,
                "parece a fração com uma temperatura entre a da lição e a pedida. Confira τ no treino e na medida.",
            ),
        ),
        hint="Confira quatro coisas: τ = 0,25 no treino e na medida; a média dos 200 sorteios, imagem por imagem, antes de comparar; "
        "log p(x) do modelo novo, e não o de `small`; e a fração de imagens em que a diferença é positiva.",
        insight="Em média o número já parece comportado, e em metade das imagens ainda passa de log p(x): não é um limite.",
    ),
)
