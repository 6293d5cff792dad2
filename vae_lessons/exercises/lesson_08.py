"""Exercícios da lição 08: quem aprende com cada termo, o viés do gradiente direto, os índices da FSQ e a segunda etapa."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from vae_lessons.exercises.checking import Exercise, Mistake, Unusable, behaviour, on_cases, required_tensor

# 08.1: uma função que acha o defeito de uma perda.


def _nearest(z: Tensor, codebook: Tensor) -> Tensor:
    return codebook[torch.cdist(z, codebook).argmin(1)]


def _right_loss(z: Tensor, codebook: Tensor, beta: float) -> Tensor:
    e = _nearest(z, codebook)
    return (e - z.detach()).square().sum() + beta * (z - e.detach()).square().sum()


def _patched_loss(z: Tensor, codebook: Tensor, beta: float) -> Tensor:
    e = _nearest(z, codebook)
    quantized = z + (e - z).detach()
    return (quantized - z.detach()).square().sum() + beta * (z - quantized.detach()).square().sum()


def _swapped_loss(z: Tensor, codebook: Tensor, beta: float) -> Tensor:
    e = _nearest(z, codebook)
    return (e.detach() - z).square().sum() + beta * (z.detach() - e).square().sum()


def _right_loss_otherwise(z: Tensor, codebook: Tensor, beta: float) -> Tensor:
    quantized = _nearest(z, codebook)
    commitment = F.mse_loss(z, quantized.detach(), reduction="sum")
    quantized_z = z + (quantized - z).detach()
    return beta * commitment + F.mse_loss(quantized, z.detach(), reduction="sum") + 0 * quantized_z.sum()


def _patched_loss_otherwise(z: Tensor, codebook: Tensor, beta: float) -> Tensor:
    e = _nearest(z, codebook).detach()
    quantized = e + (z - z.detach())
    return beta * (quantized.detach() - z).square().sum() + (z.detach() - quantized).square().sum() + 0 * codebook.sum()


def _swapped_loss_otherwise(z: Tensor, codebook: Tensor, beta: float) -> Tensor:
    e = _nearest(z, codebook)
    return F.mse_loss(z, e.detach(), reduction="sum") + beta * F.mse_loss(e, z.detach(), reduction="sum")


LOSSES = (
    _right_loss,
    _patched_loss,
    _swapped_loss,
    _right_loss_otherwise,
    _swapped_loss_otherwise,
    _patched_loss_otherwise,
)


def _gradients(loss) -> tuple[float, float, float]:
    """(‖∂/∂z‖, ‖∂/∂e‖, β) num caso em que cada z tem o seu código, e as duas derivadas da perda certa são β e 1 vezes a mesma."""
    beta = 0.25
    z = torch.tensor([[0.3, 0.1], [4.2, -0.1]], dtype=torch.float64, requires_grad=True)
    codebook = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 9.0]], dtype=torch.float64, requires_grad=True)
    parts = torch.autograd.grad(loss(z, codebook, beta), (z, codebook), allow_unused=True)
    return *(0.0 if part is None else part.norm().item() for part in parts), beta


def _diagnose(loss) -> str:
    at_z, at_codebook, beta = _gradients(loss)
    if at_codebook == 0:
        return "remendo"
    return "certa" if at_codebook * beta > at_z * 0.99 else "trocada"


# 08.2: para que f o gradiente direto aponta para o lado errado.

_CODES = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
_OPPOSED, _AGREES, _FLAT, _NOT_GROWING, _MIXED = range(5)


def _direction(f) -> float:
    """O que se vê de f nos três códigos: os valores sobem? e as derivadas, para onde apontam?"""
    points = _CODES.clone().requires_grad_()
    values = required_tensor(f(points))
    if values.shape != points.shape:
        raise Unusable("f recebe um tensor de códigos e devolve um valor para cada um, na mesma forma.")
    (slopes,) = torch.autograd.grad(values.sum(), points, allow_unused=True) if values.requires_grad else (None,)
    slopes = torch.zeros(3).double() if slopes is None else slopes
    if not (torch.isfinite(values).all() and torch.isfinite(slopes).all()):
        raise Unusable("em −1, 0 ou 1 a sua f, ou a derivada dela, não é um número finito.")
    if (values.detach().diff() <= 1e-6).any():
        return float(_NOT_GROWING)
    if (slopes.abs() < 1e-6).any():
        return float(_FLAT)
    return float(_OPPOSED if (slopes < 0).all() else _AGREES if (slopes > 0).all() else _MIXED)


# 08.3: o índice de um código da FSQ.

_LEVELS = ([4, 4, 4], [5, 3], [8, 2, 5])


def _every_code(levels: list[int]) -> Tensor:
    """Todos os códigos, fora de ordem: [Π L, d], de −⌊L/2⌋ a ⌈L/2⌉ − 1."""
    axes = [torch.arange(n) - n // 2 for n in levels]
    codes = torch.cartesian_prod(*axes)
    return codes[torch.randperm(len(codes), generator=torch.Generator().manual_seed(3))]


def _index(codes: Tensor, levels: list[int], *, shift: bool = True, first: bool = False) -> Tensor:
    digits = codes + torch.tensor([n // 2 for n in levels]) if shift else codes
    sizes = torch.tensor([math.prod(levels[:j] if first else levels[j + 1 :]) for j in range(len(levels))])
    return (digits * sizes).sum(-1)


_INDEX_CASES = tuple((_every_code(levels), levels) for levels in _LEVELS)
_INDEX_CASES = (*_INDEX_CASES, (_every_code([4, 5]).view(4, 5, 2).float(), [4, 5]))

# 08.4: a prior que sabe as frequências de cada lugar.

_SEEN = torch.tensor([[0, 1, 2], [0, 1, 2], [0, 2, 2], [1, 1, 2], [0, 1, 0]])
_NEW = torch.tensor([[0, 1, 2], [2, 0, 1]])
_SEEN_WIDE = torch.tensor([[3, 0, 1, 1], [3, 2, 0, 1], [3, 0, 0, 0]])
_NEW_WIDE = torch.tensor([[3, 0, 0, 1], [0, 1, 2, 3], [3, 3, 3, 3]])


def _frequency_nats(seen: Tensor, new: Tensor, n_codes: int, *, added: float = 1.0) -> Tensor:
    counts = F.one_hot(seen, n_codes).sum(0) + added
    log_p = (counts / counts.sum(1, keepdim=True)).log()
    return -log_p.gather(1, new.T).sum(0)


def _everywhere_nats(seen: Tensor, new: Tensor, n_codes: int) -> Tensor:
    counts = torch.bincount(seen.flatten(), minlength=n_codes) + 1.0
    return -(counts / counts.sum()).log()[new].sum(1)


def _badly_normalized(seen: Tensor, new: Tensor, n_codes: int) -> Tensor:
    counts = F.one_hot(seen, n_codes).sum(0) + 1.0
    return -(counts / len(seen)).log().gather(1, new.T).sum(0)


# 08.5: completar os códigos de uma imagem.

N_CODES, PLACES = 7, 9


def _chained_logits(codes: Tensor) -> Tensor:
    """Cada código é, com certeza, função dos dois anteriores; no primeiro lugar, sempre 2."""
    before = F.pad(codes, (2, 0), value=1)[:, :PLACES]
    previous = F.pad(codes, (1, 0), value=1)[:, :PLACES]
    following = (2 * previous + before + 1) % N_CODES
    following[:, 0] = 2
    return 200.0 * F.one_hot(following, N_CODES)


def _coin_logits(codes: Tensor) -> Tensor:
    """0 ou 1, com probabilidades ¾ e ¼, em todo lugar."""
    logits = torch.full((*codes.shape, N_CODES), -1e4)
    logits[..., 0], logits[..., 1] = math.log(0.75), math.log(0.25)
    return logits


_KNOWN = torch.tensor([[4, 0, 6, 1, 5, 5, 2, 3, 0], [1, 1, 3, 3, 0, 2, 6, 4, 4]])


def _complete(logits_of, codes: Tensor, known: int, *, choose: str = "sample", shift: int = 0) -> Tensor:
    codes = codes.clone()
    for place in range(known, codes.shape[1]):
        probabilities = logits_of(codes)[:, (place + shift) % codes.shape[1]].softmax(-1)
        if choose == "sample":
            codes[:, place] = torch.multinomial(probabilities, 1)[:, 0]
        else:
            codes[:, place] = probabilities.argmax(-1)
    return codes


def _all_at_once(logits_of, codes: Tensor, known: int) -> Tensor:
    drawn = torch.distributions.Categorical(logits=logits_of(codes)).sample()
    return torch.cat([codes[:, :known], drawn[:, known:]], dim=1)


def _from_the_start(logits_of, codes: Tensor, known: int) -> Tensor:
    return _complete(logits_of, codes, 0)


def completed(answer, codes: Tensor = _KNOWN) -> tuple:
    """O que se completa onde não há acaso, de `codes` [n, PLACES], com 0, 4 e 9 códigos dados; e, onde há, quão perto fica de ¼ de uns."""
    sure = tuple(_integers(answer(_chained_logits, codes.clone(), known)) for known in (4, 0, 9))
    coins = _integers(answer(_coin_logits, torch.ones(3000, PLACES, dtype=torch.int64), 3))
    ones = (coins[:, 3:] == 1).double().mean().item()
    return *sure, float(abs(ones - 0.25) < 0.03), float(0.01 < ones < 0.99)


def _integers(codes) -> Tensor:
    codes = required_tensor(codes)
    if codes.dim() != 2 or codes.shape[1] != PLACES:
        raise Unusable(f"esperava todos os códigos, os dados e os sorteados, [n, {PLACES}] neste teste.")
    return codes.long()


# 08.6: o gradiente que a rotação entrega ao codificador.

_G = torch.tensor([[1.0, -2.0, 0.5], [0.3, 0.4, -1.2]], dtype=torch.float64)
_Z = torch.tensor([[0.2, 1.0, -0.4], [2.0, 0.1, 0.3]], dtype=torch.float64)
_E = torch.tensor([[1.5, 1.1, 0.7], [0.5, -0.2, 0.4]], dtype=torch.float64)


def _turn(v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """R v, com R = I − 2rrᵀ + 2baᵀ, que leva a em b."""
    r = F.normalize(a + b, dim=1)
    return v - 2 * (v * r).sum(1, keepdim=True) * r + 2 * (v * a).sum(1, keepdim=True) * b


def _ratio(z: Tensor, e: Tensor) -> Tensor:
    return e.norm(dim=1, keepdim=True) / z.norm(dim=1, keepdim=True)


def _directions(z: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
    return F.normalize(z, dim=1), F.normalize(e, dim=1)


def _encoder_gradient(g: Tensor, z: Tensor, e: Tensor) -> Tensor:
    a, b = _directions(z, e)
    return _ratio(z, e) * _turn(g, b, a)


EXERCISES = (
    Exercise(
        id="08.1",
        solution=_diagnose,
        mistakes=(
            Mistake(
                lambda loss: "certa",
                "você diz que todas estão certas. O valor não denuncia quem aprende: derive "
                "a perda em relação a z e ao dicionário.",
            ),
            Mistake(
                lambda loss: "remendo" if _gradients(loss)[1] == 0 else "certa",
                "você acha a remendada, mas toma a trocada por certa. Nas duas o gradiente chega ao dicionário e a z: o que muda "
                "é o peso com que chega a cada um. Use um β diferente de 1.",
            ),
            Mistake(
                lambda loss: "certa" if _diagnose(loss) == "certa" else "trocada",
                "você acha as defeituosas, mas não distingue os defeitos. Na remendada o dicionário não recebe gradiente algum.",
            ),
            Mistake(
                lambda loss: {"certa": "trocada", "trocada": "certa"}.get(_diagnose(loss), "remendo"),
                "você trocou a certa pela trocada. β pesa o compromisso, que é o termo que move z: é em z que o gradiente certo "
                "vem multiplicado por β.",
            ),
        ),
        measure=behaviour(lambda diagnose: tuple(diagnose(loss) for loss in LOSSES)),
        insight="Um teste destes tem cinco linhas, e acha erros que o valor da perda não mostra.",
        hint="As perdas são testadas em mais de uma escrita; devolva um dos três textos.",
    ),
    Exercise(
        id="08.2",
        solution=lambda e: e - torch.sin(2 * math.pi * e) / math.pi,
        mistakes=(
            Mistake(
                lambda e: e + 2.0,
                "com a sua f o gradiente direto concorda com a verdadeira inclinação: nos três códigos a derivada é positiva. "
                "Entre um código e outro f pode fazer o que quiser: ninguém a avalia ali.",
            ),
            Mistake(
                torch.round,
                "em algum dos códigos a derivada da sua f é zero: o gradiente direto se cala, mas não aponta para o lado errado.",
            ),
            Mistake(
                lambda e: -e,
                "a sua f não sobe de −1 para 0 e de 0 para 1. É preciso que L(μ) cresça: os valores nos códigos sobem, e só as "
                "derivadas enganam.",
            ),
            Mistake(
                lambda e: e - torch.sin(2 * math.pi * e) / math.pi * (e + 1.5) / 2,
                "a derivada é negativa em algum dos códigos, mas não nos três. Some a uma reta uma onda de período 1.",
            ),
        ),
        measure=behaviour(_direction),
        insight="Entre os códigos f é livre, e a derivada num ponto nada promete sobre um salto inteiro.",
    ),
    Exercise(
        id="08.3",
        solution=lambda codes, levels: _index(codes, levels),
        mistakes=(
            Mistake(
                lambda codes, levels: _index(codes, levels, first=True),
                "os índices são todos diferentes, mas a ordem é outra: a última dimensão é a das unidades, e a primeira, a que "
                "varia mais devagar.",
            ),
            Mistake(
                lambda codes, levels: _index(codes, levels, shift=False),
                "há índices negativos: os códigos vão de −⌊L/2⌋ para cima. Some ⌊L/2⌋ antes, para que o menor valha 0.",
            ),
            Mistake(
                lambda codes, levels: (codes + torch.tensor([n // 2 for n in levels])).sum(-1),
                "somados sem peso, códigos diferentes recebem o mesmo índice. Cada algarismo vale o produto dos níveis à direita "
                "dele.",
            ),
            Mistake(
                lambda codes, levels: _index(codes, levels) + 1,
                "o seu começa em 1. O primeiro índice é 0.",
            ),
            Mistake(
                lambda codes, levels: (
                    (codes + torch.tensor([n // 2 for n in levels]))
                    * torch.tensor([levels[0] ** (len(levels) - 1 - j) for j in range(len(levels))])
                ).sum(-1),
                "você usou a mesma base em todas as dimensões. Os níveis podem ser diferentes: o peso de cada uma é o produto dos "
                "níveis das seguintes.",
            ),
            Mistake(
                lambda codes, levels: (
                    (codes + torch.tensor([n // 2 for n in levels]))
                    * torch.tensor([math.prod(levels[j:]) for j in range(len(levels))])
                ).sum(-1),
                "o peso de cada dimensão inclui o nível dela mesma. São só os das seguintes: o da última é 1.",
            ),
            Mistake(
                lambda codes, levels: _index(codes + torch.tensor([(n - 1) // 2 - n // 2 for n in levels]), levels),
                "com L ímpar está certo, mas com L par o menor código é −L/2: some ⌊L/2⌋, e não ⌊(L − 1)/2⌋.",
            ),
        ),
        measure=on_cases(*_INDEX_CASES),
        insight="Cada código tem um índice, de 0 a Π L − 1, e nenhum se repete: é o dicionário que a FSQ não guarda.",
    ),
    Exercise(
        id="08.4",
        solution=lambda seen, new, n_codes: _frequency_nats(seen, new, n_codes),
        mistakes=(
            Mistake(
                _everywhere_nats,
                "você juntou todas as posições numa só contagem. Aqui cada posição tem as suas frequências: o canto é quase sempre "
                "fundo; o centro, não.",
            ),
            Mistake(
                lambda seen, new, n_codes: _frequency_nats(new, new, n_codes),
                "você contou nos códigos que ia cobrar. As frequências vêm de `seen`; `new` só paga.",
            ),
            Mistake(
                lambda seen, new, n_codes: _frequency_nats(seen, new, n_codes, added=0),
                "sem somar 1, um código nunca visto numa posição custa infinitos nats.",
            ),
            Mistake(
                lambda seen, new, n_codes: _frequency_nats(seen, new, n_codes, added=1 / n_codes),
                "você somou 1/K a cada contagem, e aqui se pede 1 inteiro.",
            ),
            Mistake(
                _badly_normalized,
                "as suas probabilidades não somam 1: depois de somar 1 a cada um dos K códigos, o total é N + K.",
            ),
            Mistake(
                lambda seen, new, n_codes: _frequency_nats(seen, new, n_codes) / seen.shape[1],
                "você tirou a média sobre as posições. O custo da imagem é a soma.",
            ),
            Mistake(
                lambda seen, new, n_codes: _frequency_nats(seen, new, n_codes) / math.log(2),
                "o seu está em bits. Aqui tudo é em nats: logaritmo natural.",
            ),
            Mistake(
                lambda seen, new, n_codes: -_frequency_nats(seen, new, n_codes),
                "isso é log p, que é negativo. O custo é o oposto.",
            ),
            Mistake(
                lambda seen, new, n_codes: _frequency_nats(seen, new, n_codes).mean(),
                "você tirou a média sobre as imagens. Deixe um custo para cada uma.",
            ),
        ),
        measure=on_cases((_SEEN, _NEW, 3), (_SEEN_WIDE, _NEW_WIDE, 4)),
        insight="Saber onde cada código cai já é uma prior. Falta-lhe o que um código diz do vizinho.",
    ),
    Exercise(
        id="08.5",
        solution=lambda logits_of, codes, known: _complete(logits_of, codes, known),
        mistakes=(
            Mistake(
                _all_at_once,
                "você calculou os logits uma vez só, e deles sorteou todos os lugares. Os de cada lugar dependem dos códigos "
                "anteriores, que mudam a cada sorteio: calcule-os de novo.",
            ),
            Mistake(
                lambda logits_of, codes, known: logits_of(codes).argmax(-1),
                "você pegou de uma vez, em todos os lugares, o código mais provável. Os dados ficam como estão; os outros se sorteiam "
                "um a um, porque os logits de cada lugar dependem dos sorteados antes.",
            ),
            Mistake(
                _from_the_start,
                "você sorteou também os códigos dados. Comece em `known`.",
            ),
            Mistake(
                lambda logits_of, codes, known: _complete(logits_of, codes, known, choose="largest"),
                "você pega sempre o código mais provável. Assim todas as imagens se completam do mesmo jeito: sorteie.",
            ),
            Mistake(
                lambda logits_of, codes, known: _complete(logits_of, codes, known, shift=1),
                "você sorteou um lugar com os logits do seguinte. Os do lugar p estão em logits[:, p], e só dependem dos códigos "
                "antes dele.",
            ),
            Mistake(
                lambda logits_of, codes, known: _complete(logits_of, codes, known, shift=-1),
                "você sorteou um lugar com os logits do anterior. Os do lugar p estão em logits[:, p], que já não veem o próprio p.",
            ),
            Mistake(
                lambda logits_of, codes, known: _complete(logits_of, codes, min(known + 1, codes.shape[1])),
                "faltou sortear o primeiro dos lugares que se pedem: o de índice `known`.",
            ),
        ),
        measure=behaviour(completed),
        insight="A mesma prior gera do nada e completa: basta não sortear o que já se sabe.",
    ),
    Exercise(
        id="08.6",
        solution=_encoder_gradient,
        mistakes=(
            Mistake(
                lambda g, z, e: _turn(g, *reversed(_directions(z, e))),
                "falta a razão entre as normas. É o defeito que se acha em código publicado: sem ela, o que vai ao decodificador nem "
                "sequer é o código e.",
            ),
            Mistake(
                lambda g, z, e: _ratio(z, e) * _turn(g, *_directions(z, e)),
                "você girou no sentido da ida, R g. Na volta entra a transposta, que desfaz o giro: Rᵀ g.",
            ),
            Mistake(
                lambda g, z, e: _turn(g, *reversed(_directions(z, e))) / _ratio(z, e),
                "a razão das normas está invertida. A conta da ida multiplica z por ‖e‖/‖z‖, e a derivada carrega o mesmo fator.",
            ),
            Mistake(
                lambda g, z, e: g.clone(),
                "isso é o gradiente direto, que entrega g como veio. Aqui a ida gira e estica z: a volta usa a transposta disso.",
            ),
            Mistake(
                lambda g, z, e: _ratio(z, e) * g,
                "a escala está certa, mas falta girar: multiplique também por Rᵀ.",
            ),
        ),
        measure=on_cases((_G, _Z, _E), (_G.flip(0), _E, _Z)),
        insight="O ângulo entre g e e é, depois da volta, o ângulo entre o gradiente e z.",
    ),
)
