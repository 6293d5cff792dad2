"""Exercícios da lição 16: de cada espécime do museu, a cura; e, dos dois do sorteio, o teste que os acha."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from vae_lessons.exercises.answers import Observed
from vae_lessons.exercises.checking import Exercise, Mistake, Unusable, behaviour, on_cases, reduced, required_tensor
from vae_lessons.museum import specimen


def _draws(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _still_sick(name: str, reason: str) -> Mistake:
    return Mistake(specimen(name).broken, f"o defeito continua: {reason}")


# Sala 1, as parcelas.

_BITS = (_draws(0, 3, 9) > 0).float()
_LOSS_CASES = (
    (_BITS, _draws(1, 3, 9), _draws(2, 3, 2), 0.5 * _draws(3, 3, 2)),
    (_BITS[:, :4], 3 * _draws(4, 3, 4), _draws(5, 3, 1), _draws(6, 3, 1)),
)


def _both_averaged(x: Tensor, logits: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    kl = 0.5 * (mean**2 + log_var.exp() - 1 - log_var).mean(-1)
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").mean(-1) + kl


_KL_CASES = ((_draws(0, 4, 3), _draws(1, 4, 3)), (2 * _draws(2, 2, 5), 2 * _draws(3, 2, 5)))
_DENSITY_CASES = ((_draws(0, 4, 3), _draws(1, 4, 3)), (3 * _draws(2, 2, 5), _draws(3, 2, 5)))
_GREY_CASES = (
    (torch.rand(3, 4, generator=torch.Generator().manual_seed(0)), 2 * _draws(1, 3, 4)),
    (torch.tensor([[0.0, 1.0, 0.5]]), torch.tensor([[-4.0, 0.7, 5.0]])),
    (torch.tensor([[0.3, 0.8]]), torch.tensor([[0.0, 2.0]])),
)


def _divided_by_the_constant(x: Tensor, logits: Tensor) -> Tensor:
    healthy, sick = (
        which(x, logits) for which in (specimen("cinza como bit").cured, specimen("cinza como bit").broken)
    )
    return 2 * sick - healthy


# Sala 2, o sorteio.


def _in_two_steps(mean: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
    return (noise * log_var.exp().sqrt()).add(mean)


def _variance_in_two_steps(mean: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
    return noise * (log_var / 2).exp().square() + mean


SAMPLERS = (
    (specimen("variância por desvio").cured, "certo"),
    (specimen("variância por desvio").broken, "variância"),
    (specimen("ruído de 0,01").broken, "ruído pequeno"),
    (_in_two_steps, "certo"),
    (_variance_in_two_steps, "variância"),
)


def _spread(sampler) -> Tensor:
    """O desvio de z sobre σ, com σ = 3 e com σ = ⅓."""
    noise = _draws(0, 10_000, 2)
    log_var = torch.tensor([2 * math.log(3.0), -2 * math.log(3.0)]).expand(10_000, 2)
    return sampler(torch.zeros(10_000, 2), log_var, noise).std(0) * (-0.5 * log_var[0]).exp()


def _diagnose(sampler) -> str:
    wide, narrow = _spread(sampler).tolist()
    if wide < 0.1 and narrow < 0.1:
        return "ruído pequeno"
    return "certo" if abs(wide - 1) < 0.2 and abs(narrow - 1) < 0.2 else "variância"


def _diagnoses(diagnose) -> tuple[str, ...]:
    answers = []
    for sampler, _ in SAMPLERS:
        torch.manual_seed(len(answers))
        answers.append(diagnose(sampler))
    return tuple(answers)


_MODE_CASES = tuple((_draws(0, 3, 2), _draws(1, 3, 2), _draws(2, 3, 2), training) for training in (True, False))


_SCORE_CASE = tuple(
    torch.tensor(values, dtype=torch.float64) for values in ([0.7, -0.2], 1.3, [[0.1, 0.9], [1.4, -1.0], [-0.6, 0.3]])
)


def score_behaviour(surrogate, mu=_SCORE_CASE[0], slope=_SCORE_CASE[1], z=_SCORE_CASE[2]) -> tuple[Observed, ...]:
    """O gradiente que o substituto dá, no parâmetro de q, mu [Z], e no de f, slope, com as amostras z [S, Z]."""
    mu, slope = mu.clone().requires_grad_(), slope.clone().requires_grad_()
    output = required_tensor(surrogate(slope * z.sum(-1) ** 2, (-0.5 * (z - mu) ** 2).sum(-1)))
    if output.dim():
        raise Unusable("esperava um número só, a média sobre as amostras, e não um valor para cada uma.")
    if not output.requires_grad:
        raise Unusable("o que você devolve não tem gradiente. O de log_q precisa passar.")
    at_mu, at_slope = torch.autograd.grad(output, (mu, slope), allow_unused=True)
    return (
        Observed(torch.zeros_like(mu) if at_mu is None else at_mu, "no gradiente dos parâmetros de q"),
        Observed(torch.zeros(()) if at_slope is None else at_slope, "no gradiente que chega a f"),
    )


_RATE_CASES = (
    (torch.tensor([2.0, 10.0]), torch.tensor([1.0, 4.0]), torch.tensor([0.7, 3.3])),
    (torch.full((3, 2), 5.0), torch.full((3, 2), 0.5), _draws(0, 3, 2).abs()),
)

# Sala 3, os limites.

_WEIGHT_CASES = ((_draws(0, 5, 3),), (10 * _draws(1, 8, 2) - 700,))
_LOGIT_CASES = ((_draws(0, 3, 4),), (2 * _draws(1, 2, 3, 10),))
_FLOW_CASES = ((_draws(0, 3), _draws(1, 3, 2), _draws(2, 3, 2), _draws(3, 3), _draws(4, 3)),)


def _flow_bound(log_likelihood, z0, zk, log_q0, log_det, *, at_k: bool = True, sign: float = 1.0) -> Tensor:
    point = zk if at_k else z0
    log_prior = -0.5 * (point**2 + math.log(2 * math.pi)).sum(-1)
    return log_likelihood + log_prior - log_q0 + sign * log_det


# Sala 4, treinar e medir.

_EPOCHS = (([torch.tensor([1.0, 2.0, 6.0]), torch.tensor([8.0])],), (list(_draws(0, 17).split(5)),))
_STEP_CASES = (
    (0, 0, 10, 50),
    (2, 3, 10, 50),
    (4, 9, 10, 50),
    (5, 0, 10, 50),
    (19, 9, 10, 50),
    (1, 1, 4, 3),
    (0, 2, 7, 8),
)
_CODE_CASES = ((torch.arange(12.0).reshape(4, 3),), (_draws(0, 6, 2),))
_MAP_CASES = ((_draws(0, 3, 2), _draws(1, 3, 2), _draws(2, 3, 2)),)
_RECALL_CASES = (
    (torch.tensor([1.0, 0.0, 2.0]), torch.tensor([2.0, 0.0, 3.0])),
    (torch.tensor([1.0, 0.0]), torch.tensor([4.0, 5.0])),
    (torch.tensor([0.0, 0.0, 0.0, 3.0]), torch.tensor([0.0, 0.0, 1.0, 3.0])),
)


def recalls(recall, cases=_RECALL_CASES) -> tuple[Observed, ...]:
    """A Recall em cada caso; −1 no lugar de NaN, que é a marca do espécime."""
    found = [float(recall(*(argument.clone() for argument in case))) for case in cases]
    return tuple(Observed(torch.tensor(-1.0 if math.isnan(value) else value), "na média") for value in found)


# Sala 5, códigos, fluxos e contagens.


_VQ_CASE = tuple(
    torch.tensor(rows, dtype=torch.float64) for rows in ([[1.0, 0.2], [-0.3, 0.5]], [[0.4, 0.1], [0.6, -1.0]])
)


def who_moves(terms, z=_VQ_CASE[0], e=_VQ_CASE[1]) -> tuple[Observed, ...]:
    """De cada termo, o valor e o gradiente em z e em e, [N, D]."""
    z, e = z.clone().requires_grad_(), e.clone().requires_grad_()
    outputs = terms(z, e)
    if not (isinstance(outputs, tuple | list) and len(outputs) == 2):
        raise Unusable("esperava os dois termos, (dicionário, compromisso).")
    seen = []
    for name, output in zip(("do dicionário", "de compromisso"), outputs, strict=True):
        output = required_tensor(output)
        if output.dim() or not output.requires_grad:
            raise Unusable("cada termo deve ser um número só, com gradiente.")
        gradients = torch.autograd.grad(output, (z, e), retain_graph=True, allow_unused=True)
        moved = [torch.zeros_like(z) if gradient is None else gradient for gradient in gradients]
        seen += [
            Observed(output.detach(), f"no valor do termo {name}"),
            Observed(moved[0], f"no que o termo {name} move em z"),
        ]
        seen.append(Observed(moved[1], f"no que o termo {name} move no dicionário"))
    return tuple(seen)


_TURN_CASES = (
    (_draws(0, 4, 3).double(), _draws(1, 4, 3).double()),
    (3 * _draws(2, 2, 2).double(), _draws(3, 2, 2).double()),
)


def value_and_way_back(turn, cases=_TURN_CASES) -> tuple[Observed, ...]:
    """De cada caso, o que sai e o gradiente que chega a z."""
    seen = []
    for z, e in cases:
        z = z.clone().requires_grad_()
        output = required_tensor(turn(z, e.clone()))
        if output.shape != z.shape:
            raise Unusable(f"esperava a forma de z, {tuple(z.shape)} neste teste, e veio {tuple(output.shape)}.")
        weights = torch.arange(1.0, z.numel() + 1, dtype=z.dtype).reshape(z.shape)
        back = torch.autograd.grad(output, z, weights, allow_unused=True)[0] if output.requires_grad else None
        seen.append(Observed(output.detach(), "no que sai"))
        seen.append(Observed(torch.zeros_like(z) if back is None else back, "no gradiente que chega a z"))
    return tuple(seen)


def _stretched_the_wrong_way(z: Tensor, e: Tensor) -> Tensor:
    return specimen("giro sem escala").broken(z, e) * (z.norm(dim=1, keepdim=True) / e.norm(dim=1, keepdim=True))


_PLANAR_CASES = tuple(
    (_draws(2 * k, n).double() * 2, _draws(2 * k + 1, n).double() * 2) for k, n in enumerate((2, 2, 3))
)


def _unconstrained(u: Tensor, w: Tensor) -> Tensor:
    return u


_COUNT_CASES = (
    (torch.tensor([0.0, 5.0, 40.0]), torch.tensor([0.5, 3.7, 30.0]), torch.tensor([1e8, 1e8, 1e6])),
    (torch.tensor([2.0, 7.0]), torch.tensor([1.0, 6.0]), torch.tensor([0.5, 3.0])),
)


def _poisson(x: Tensor, mean: Tensor, theta: Tensor) -> Tensor:
    return torch.distributions.Poisson(mean).log_prob(x)


EXERCISES = (
    Exercise(
        id="16.1",
        solution=specimen("soma com média").cured,
        mistakes=(
            _still_sick(
                "soma com média", "uma das parcelas é média sobre os pixels, e a outra, soma sobre os latentes."
            ),
            Mistake(
                _both_averaged,
                "agora as duas são médias, mas de números diferentes: uma divide por D e a outra por Z. A ELBO soma as duas.",
            ),
            *reduced(specimen("soma com média").cured, "as imagens"),
        ),
        measure=on_cases(*_LOSS_CASES),
        insight="Dividir só a reconstrução por D é o mesmo que multiplicar a KL por D: um β que ninguém escolheu.",
    ),
    Exercise(
        id="16.2",
        solution=specimen("desvio por variância").cured,
        mistakes=(
            _still_sick("desvio por variância", "a fórmula pede a variância, e o que está nela é o desvio padrão."),
            Mistake(
                lambda mean, log_var: 0.5 * (mean**2 + log_var.exp() - 1 - 0.5 * log_var),
                "a variância está certa, mas o logaritmo ainda é o do desvio.",
            ),
            Mistake(
                lambda mean, log_var: 0.5 * (mean**2 + (0.5 * log_var).exp() - 1 - log_var),
                "o logaritmo está certo, mas a parcela sem logaritmo ainda é o desvio.",
            ),
        ),
        measure=on_cases(*_KL_CASES),
        insight="A KL doente também é zero em σ = 1: testada só ali, passa.",
    ),
    Exercise(
        id="16.3",
        solution=specimen("erro quadrático").cured,
        mistakes=(
            _still_sick("erro quadrático", "−‖x − μ‖² não é o logaritmo de densidade alguma de variância 1."),
            Mistake(
                lambda x, mean: -0.5 * ((x - mean) ** 2).sum(-1),
                "o ½ está lá, mas falta a constante que faz a densidade integrar 1.",
            ),
            Mistake(
                lambda x, mean: -0.5 * ((x - mean) ** 2).sum(-1) - 0.5 * math.log(2 * math.pi),
                "a constante é de cada coluna: você a descontou uma vez só.",
            ),
            *reduced(specimen("erro quadrático").cured, "as observações"),
        ),
        measure=on_cases(*_DENSITY_CASES),
        insight="Sem o ½, a reconstrução pesa o dobro: é um β de ½ em segredo.",
    ),
    Exercise(
        id="16.4",
        solution=specimen("cinza como bit").cured,
        mistakes=(
            _still_sick(
                "cinza como bit", "em [0, 1], a integral disto não é 1. Some o logaritmo da constante que falta."
            ),
            Mistake(_divided_by_the_constant, "a constante multiplica a densidade: o logaritmo dela se soma."),
            Mistake(
                lambda x, logits: x * logits - F.softplus(logits) + math.log(2),
                "log 2 é a constante só onde o logit é zero; ela depende dele.",
            ),
        ),
        measure=on_cases(*_GREY_CASES),
        insight="É a Bernoulli contínua. A saída mais comum é outra: binarizar os dados.",
    ),
    Exercise(
        id="16.5",
        solution=_diagnose,
        mistakes=(
            Mistake(
                lambda sampler: "certo" if _spread(sampler)[0] > 0.1 else "ruído pequeno",
                "você acha o ruído pequeno, mas deixa passar quem usa a variância no lugar do desvio. Em σ = 1 os dois são iguais: "
                "escolha outro σ.",
            ),
            Mistake(lambda sampler: "certo", "você diz que todos estão certos. Meça o desvio de muitos sorteios."),
            Mistake(
                lambda sampler: "certo" if _diagnose(sampler) == "certo" else "variância",
                "você acha os doentes, mas não diz de quê: num deles o desvio é muito menor do que devia, qualquer que seja σ.",
            ),
        ),
        measure=behaviour(_diagnoses),
        insight="Um teste com σ = 1 não veria o primeiro; com σ ≠ 1, uma linha acha os dois.",
        hint="Devolva um dos três textos; os sorteadores são testados em mais de uma escrita.",
    ),
    Exercise(
        id="16.6",
        solution=specimen("média na avaliação").cured,
        mistakes=(
            _still_sick("média na avaliação", "fora do treino, o que sai ainda não é um sorteio."),
            Mistake(lambda mean, log_var, noise, training: mean, "agora nunca há sorteio, nem no treino."),
            Mistake(
                lambda mean, log_var, noise, training: mean + log_var.exp() * noise,
                "o sorteio vale nos dois modos, mas a escala é a variância, e não o desvio.",
            ),
        ),
        measure=on_cases(*_MODE_CASES),
        insight="A ELBO é uma média sobre q(z|x). Com z na média de q, o número é outro; no VAE da célula, maior.",
    ),
    Exercise(
        id="16.7",
        solution=specimen("sinal do escore").cured,
        mistakes=(
            _still_sick(
                "sinal do escore",
                "seguir este gradiente diminui E[f]. O sinal menos é de quem minimiza, e aqui se pede o gradiente.",
            ),
            Mistake(
                lambda f_z, log_q: (f_z * log_q).mean(),
                "o gradiente dos parâmetros de q está certo, mas por f_z passa outro, que não devia. Destaque f_z.",
            ),
            Mistake(lambda f_z, log_q: log_q.mean(), "falta f: assim todas as amostras puxam igual."),
        ),
        measure=behaviour(score_behaviour),
        insight="O gradiente é E[f ∇log q]; o menos só aparece na perda de quem quer subir.",
    ),
    Exercise(
        id="16.8",
        solution=specimen("taxa por escala").cured,
        mistakes=(
            _still_sick("taxa por escala", "multiplicar é ter a escala θ/mean. A taxa é o inverso da escala."),
            Mistake(
                lambda mean, theta, unit_gamma: unit_gamma * mean,
                "a média é θ vezes a pedida: a Gama(θ) de taxa 1 já tem média θ.",
            ),
        ),
        measure=on_cases(*_RATE_CASES),
        insight="A média dos sorteios, que é a pedida, distingue as duas na primeira linha de um teste.",
    ),
    Exercise(
        id="16.9",
        solution=specimen("média ponderada").cured,
        mistakes=(
            _still_sick(
                "média ponderada", "a média é dos logaritmos, com pesos. O limite é o logaritmo da média dos w."
            ),
            Mistake(
                lambda log_w: log_w.logsumexp(0),
                "é o logaritmo da soma dos w, e o limite pede o da média: falta uma constante, que cresce com K.",
            ),
            Mistake(
                lambda log_w: log_w.mean(0),
                "é a média dos log w: um limite, mas a ELBO, mais frouxo.",
            ),
            Mistake(
                lambda log_w: log_w.exp().mean(0).log(),
                "nos casos comuns está certo, mas com log w = −700 a exponencial vira zero em float32. Há logsumexp.",
            ),
        ),
        measure=on_cases(*_WEIGHT_CASES),
        tolerance=1e-4,
        insight="O gradiente do limite é a média ponderada dos gradientes; o valor, não.",
    ),
    Exercise(
        id="16.10",
        solution=specimen("softmax das perdas").cured,
        mistakes=(
            _still_sick("softmax das perdas", "a amostra de maior perda, a pior, ainda é a que mais pesa."),
            Mistake(
                lambda log_w: torch.softmax(log_w, 1),
                "a soma que dá 1 é sobre as K amostras, a primeira dimensão; a sua é sobre as imagens.",
            ),
            Mistake(
                lambda log_w: log_w.exp(),
                "faltou dividir pela soma: os pesos de cada imagem somam 1.",
            ),
        ),
        measure=on_cases(*_WEIGHT_CASES),
        tolerance=1e-4,
        insight="Os pesos são w sobre a soma dos w: quem explica melhor x puxa mais.",
    ),
    Exercise(
        id="16.11",
        solution=specimen("sem o log K").cured,
        mistakes=(
            _still_sick("sem o log K", "isto é menos a entropia de q, que nunca é positivo. Uma KL nunca é negativa."),
            Mistake(
                lambda logits: (
                    (torch.softmax(logits, -1) * torch.log_softmax(logits, -1)).sum(-1) - math.log(logits.shape[-1])
                ),
                "o log K entrou com o sinal trocado: log q − log(1/K).",
            ),
        ),
        measure=on_cases(*_LOGIT_CASES),
        insight="Sem o log K o gradiente é o mesmo, e o treino também: só o número relatado mente.",
    ),
    Exercise(
        id="16.12",
        solution=specimen("prior antes do fluxo").cured,
        mistakes=(
            _still_sick("prior antes do fluxo", "a prior fala do latente que o decodificador recebe, e ele recebe zk."),
            Mistake(
                lambda *arguments: _flow_bound(*arguments, sign=-1.0),
                "a prior está no lugar, mas o log det mudou de sinal: log q(zk) = log q₀(z0) − log det.",
            ),
            Mistake(
                lambda log_likelihood, z0, zk, log_q0, log_det: _flow_bound(
                    log_likelihood, z0, zk, log_q0, 0 * log_det
                ),
                "faltou o log det: sem ele, log q é o da densidade antes do fluxo.",
            ),
            Mistake(
                lambda log_likelihood, z0, zk, log_q0, log_det: log_likelihood - log_q0 + log_det,
                "faltou a prior: a ELBO tem três parcelas, e a sua, duas.",
            ),
        ),
        measure=on_cases(*_FLOW_CASES),
        insight="Com a prior em z0, o fluxo pode levar z para onde quiser sem pagar por isso.",
    ),
    Exercise(
        id="16.13",
        solution=specimen("forma por transposta").cured,
        mistakes=(
            _still_sick(
                "forma por transposta", "a forma está certa, mas os números foram relidos na ordem da memória."
            ),
            Mistake(lambda codes: codes, "assim as linhas ainda são os exemplos, e não as dimensões."),
            Mistake(lambda codes: codes.T.flip(0), "são as colunas, mas de trás para a frente."),
        ),
        measure=on_cases(*_CODE_CASES),
        insight="A forma de um tensor não diz quem é quem: só um teste com números distintos diz.",
    ),
    Exercise(
        id="16.14",
        solution=specimen("aquecimento que recomeça").cured,
        mistakes=(
            _still_sick("aquecimento que recomeça", "β volta a zero no começo de cada época, porque o contador volta."),
            Mistake(
                lambda epoch, step, steps_per_epoch, warmup_steps: (epoch * steps_per_epoch + step) / warmup_steps,
                "o contador está certo, mas depois do aquecimento β continua a crescer. Ele para em 1.",
            ),
            Mistake(
                lambda epoch, step, steps_per_epoch, warmup_steps: min(
                    1.0, (epoch * steps_per_epoch + step + 1) / warmup_steps
                ),
                "o primeiro passo do treino tem β = 0, e o seu já começa um passo adiante.",
            ),
            Mistake(
                lambda epoch, step, steps_per_epoch, warmup_steps: min(1.0, epoch / warmup_steps),
                "você contou épocas, e warmup_steps está em passos.",
            ),
        ),
        measure=on_cases(*_STEP_CASES),
        insight="Com o contador que recomeça, β nunca passa da fração do aquecimento que cabe numa época.",
    ),
    Exercise(
        id="16.15",
        solution=specimen("média das médias").cured,
        mistakes=(
            _still_sick(
                "média das médias", "o lote pequeno do fim pesa tanto quanto os outros. Cada imagem deve pesar o mesmo."
            ),
            Mistake(
                lambda losses: torch.cat(losses).sum().item(),
                "é a soma da época; falta dividir pelo número de imagens.",
            ),
            Mistake(
                lambda losses: torch.cat(losses).sum().item() / len(losses),
                "você dividiu pelo número de lotes, e não pelo de imagens.",
            ),
        ),
        measure=on_cases(*_EPOCHS),
        insight="A média de uma época não depende do tamanho do lote: o mesmo conjunto, cortado de outro jeito, testa isso.",
    ),
    Exercise(
        id="16.16",
        solution=specimen("sorteio por endereço").cured,
        mistakes=(
            _still_sick("sorteio por endereço", "cada vez que se pede o mapa, o ponto é outro."),
            Mistake(
                lambda mean, log_var, noise: mean + torch.exp(0.5 * log_var),
                "não muda mais com o sorteio, mas está um desvio longe do centro da posterior.",
            ),
        ),
        measure=on_cases(*_MAP_CASES),
        insight="Para treinar, sorteia-se; para dizer onde uma observação mora, a média de q(z|x).",
    ),
    Exercise(
        id="16.17",
        solution=specimen("divisão por ninguém").cured,
        mistakes=(
            _still_sick("divisão por ninguém", "zero dividido por zero é NaN, e um NaN na média faz NaN de tudo."),
            Mistake(
                lambda hits, held_out: torch.nan_to_num(hits / held_out).mean().item(),
                "o NaN virou zero, e quem nada tinha a acertar conta como quem errou tudo. Deixe-o fora da média.",
            ),
            Mistake(
                lambda hits, held_out: (hits.sum() / held_out.sum()).item(),
                "é o total de acertos sobre o total do que havia: quem tem mais itens pesa mais. A média é dos usuários.",
            ),
        ),
        measure=behaviour(recalls),
        insight="Quem não tem o que acertar não é nem zero nem um: não entra.",
    ),
    Exercise(
        id="16.18",
        solution=specimen("norma por norma ao quadrado").cured,
        mistakes=(
            _still_sick(
                "norma por norma ao quadrado", "w/‖w‖ tem norma 1, e w · w/‖w‖ é ‖w‖, não 1: confira quanto dá wᵀû."
            ),
            Mistake(_unconstrained, "você devolveu u como veio: se wᵀu < −1, o mapa se dobra."),
            Mistake(
                lambda u, w: u + (F.softplus(w @ u) - 1 - w @ u) * w,
                "falta dividir: somar s·w a u soma s‖w‖² ao produto, e não s.",
            ),
            Mistake(
                lambda u, w: u + (F.softplus(w @ u) - 1) * w / w.norm() ** 2,
                "faltou tirar o wᵀu que já estava em u: o produto final deve ser softplus(wᵀu) − 1.",
            ),
        ),
        measure=on_cases(*_PLANAR_CASES),
        insight="Com a norma ao quadrado, wᵀû = softplus(wᵀu) − 1, que nunca chega a −1.",
    ),
    Exercise(
        id="16.19",
        solution=specimen("destaques trocados").cured,
        mistakes=(
            _still_sick("destaques trocados", "o primeiro termo ainda move z, e o segundo, o código."),
            Mistake(
                lambda z, e: ((z - e).square().sum(), (z - e).square().sum()),
                "sem destaque algum, cada termo move os dois, e β deixa de pesar só o compromisso.",
            ),
            Mistake(
                lambda z, e: ((z.detach() - e).square().sum(), (z.detach() - e).square().sum()),
                "agora os dois termos só ensinam o código: nada prende o codificador a ele.",
            ),
        ),
        measure=behaviour(who_moves),
        insight="Os valores são os mesmos nas duas versões: só o gradiente as separa.",
    ),
    Exercise(
        id="16.20",
        solution=specimen("giro sem escala").cured,
        mistakes=(
            _still_sick("giro sem escala", "a direção é a do código, mas a norma ainda é a de z."),
            Mistake(_stretched_the_wrong_way, "a razão entre as normas está invertida."),
            Mistake(
                lambda z, e: e,
                "o valor é o código, mas nenhum gradiente chega a z: gire z, e estique o resultado.",
            ),
            Mistake(
                lambda z, e: z + (e - z).detach(),
                "o valor é o código, mas o gradiente que chega a z é o direto, sem giro.",
            ),
        ),
        measure=behaviour(value_and_way_back),
        insight="O que o decodificador recebe deve ser o código: um teste de uma linha, antes de qualquer treino.",
    ),
    Exercise(
        id="16.21",
        solution=specimen("diferença de gigantes").cured,
        mistakes=(
            _still_sick(
                "diferença de gigantes",
                "com θ = 1e8 os dois lgamma valem mais de um bilhão, e o float32 guarda sete algarismos.",
            ),
            Mistake(
                _poisson,
                "a Poisson é o limite de θ grande; com θ pequeno não serve.",
            ),
            Mistake(
                lambda x, mean, theta: specimen("diferença de gigantes").broken(x, mean, theta.clamp(max=1e3)),
                "limitar θ evita os números grandes, mas muda a distribuição: com θ = 1000 ela ainda não é a que se pede.",
            ),
        ),
        measure=on_cases(*_COUNT_CASES),
        tolerance=1e-3,
        insight="Em float64 os algarismos sobram. O pacote evita a diferença, e fica em float32.",
    ),
)
