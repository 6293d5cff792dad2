"""Exercícios da lição 15: a massa de uma densidade, o peso do ruído, gerar sem sorteios, Jensen–Shannon e bits por dimensão."""

import math
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from vae_lessons.exercises.checking import Exercise, Mistake, Observed, Unusable, behaviour, on_cases

# 15.1: quanto soma, num quadrado, a densidade que um modelo diz ter.

_POINTS = 400_000  # a maior grade que se aceita de uma resposta


def normal_log_p(mean: tuple[float, float], std: float, scale: float = 1.0):
    """log de `scale` vezes uma normal isotrópica."""
    center = torch.tensor(mean)

    def log_prob(x: Tensor) -> Tensor:
        if x.dim() != 2 or x.shape[1] != 2 or len(x) > _POINTS:
            raise Unusable(
                f"log_prob recebe os pontos da grade num tensor [N, 2], N até {_POINTS}, e recebeu {tuple(x.shape)}."
            )
        squared = (x - center.to(x)).square().sum(1)
        return math.log(scale) - 0.5 * squared / std**2 - math.log(2 * math.pi * std**2)

    return log_prob


_MASS_CASES = (
    (normal_log_p((0.0, 0.0), 0.5), 4.0, 160),
    (normal_log_p((0.7, -0.4), 0.3, 2.5), 4.0, 200),
    (normal_log_p((1.0, 0.0), 1.0), 2.0, 200),
    (normal_log_p((-0.5, 1.5), 0.2, 0.3), 3.0, 150),
)


def _grid(side: float, n: int) -> tuple[Tensor, float]:
    if n * n > _POINTS:  # um deslize que se procura pode pedir exp(n) casas de cada lado
        raise Unusable(f"a grade passa de {_POINTS} pontos.")
    width = 2 * side / n
    ticks = -side + width * (torch.arange(n, dtype=torch.float64) + 0.5)
    return torch.cartesian_prod(ticks, ticks), width


def _mass(log_prob, side: float = 4.0, n: int = 200) -> float:
    points, width = _grid(side, n)
    return float(log_prob(points).exp().sum() * width**2)


def _mass_with(log_prob, side: float, n: int, reduce) -> float:
    points, width = _grid(side, n)
    return float(reduce(log_prob(points), width))


def masses(answer, cases=_MASS_CASES) -> tuple[Observed, ...]:
    found = []
    for k, (log_prob, side, n) in enumerate(cases):
        value = torch.as_tensor(answer(log_prob, side, n)).detach()
        if value.numel() != 1:
            raise Unusable(f"esperava um número, a massa, mas veio um tensor {tuple(value.shape)}.")
        found.append(Observed(value.double().reshape(()), f"na {k + 1}ª densidade do teste, com side = {side:g}"))
    return tuple(found)


# 15.2: o peso do erro no ruído.

_SNRS = (
    (torch.tensor([8.0, 3.0, 0.5]).double(), torch.tensor([2.0, 1.5, 0.1]).double()),
    (torch.tensor([[400.0], [2.0]]).double(), torch.tensor([[100.0], [0.01]]).double()),
)

# 15.3: gerar sem sorteios.


def _levels(log_snr: Tensor) -> tuple[Tensor, Tensor]:
    return log_snr.sigmoid().sqrt(), (-log_snr).sigmoid().sqrt()


def linear_denoiser(mean: float, variance: float):
    """O melhor palpite de dados N(mean, variance)."""

    def denoise(z: Tensor, log_snr: Tensor) -> Tensor:
        if z.dim() != 2 or not isinstance(log_snr, Tensor) or tuple(log_snr.shape) != (len(z), 1):
            shape = tuple(log_snr.shape) if isinstance(log_snr, Tensor) else type(log_snr).__name__
            raise Unusable(
                f"denoise recebe z [B, D] e o log SNR de cada linha, [B, 1], e recebeu {tuple(z.shape)} e {shape}: use "
                "log_snr.expand(len(z), 1)."
            )
        alpha, sigma = _levels(log_snr.to(z))
        return mean + alpha * variance / (alpha**2 * variance + sigma**2) * (z - alpha * mean)

    return denoise


_Z = torch.tensor([[0.3, -1.2], [1.7, 0.4], [-0.6, 2.0]], dtype=torch.float64)
_DDIM_CASES = (
    (linear_denoiser(1.5, 0.3), _Z, torch.linspace(4, -4, 6, dtype=torch.float64)),
    (linear_denoiser(-0.5, 2.0), _Z[:, :1], torch.tensor([5.0, 1.0, -3.0], dtype=torch.float64)),
)


def _generate(denoise, z: Tensor, log_snrs: Tensor, *, how: str = "right") -> Tensor:
    order = log_snrs.flip(0)
    for t, s in pairwise(order):
        guess = denoise(z, t.expand(len(z), 1))
        (alpha_t, sigma_t), (alpha_s, sigma_s) = _levels(t), _levels(s)
        noise = (z - alpha_t * guess) / sigma_t
        if how == "same alpha":
            z = alpha_t * guess + sigma_s * noise
        elif how == "undivided":
            z = alpha_s * guess + sigma_s * (z - alpha_t * guess)
        elif how == "from z":
            z = alpha_s * guess + sigma_s * (z - guess)
        elif how == "no noise":
            z = alpha_s * guess
        else:
            z = alpha_s * guess + sigma_s * noise
    return z if how == "unfinished" else denoise(z, log_snrs[0].expand(len(z), 1))


def generated(answer, cases=_DDIM_CASES) -> tuple[Tensor, ...]:
    found = []
    for denoise, z, log_snrs in cases:
        given = torch.as_tensor(answer(denoise, z.clone(), log_snrs.clone())).detach()
        if given.shape != z.shape:
            raise Unusable(
                f"esperava um x̂ para cada z, na mesma forma {tuple(z.shape)}, mas veio {tuple(given.shape)}."
            )
        again = torch.as_tensor(answer(denoise, z.clone(), log_snrs.clone())).detach()
        if not torch.allclose(given.double(), again.double(), rtol=1e-6, atol=1e-8):
            raise Unusable("o mesmo z deu dois x diferentes: há um sorteio no caminho, e aqui o único é o de z.")
        found.append(given)
    return tuple(found)


# 15.4: Jensen–Shannon, da perda do discriminador ótimo.

_RATIOS = (
    (torch.tensor([0.5, 2.0, -1.0, 0.1]).double(), torch.tensor([-0.7, 0.4, -3.0]).double()),
    (torch.tensor([0.0, 0.0]).double(), torch.tensor([0.0, 0.0, 0.0]).double()),
    (torch.tensor([30.0, 25.0]).double(), torch.tensor([-20.0, -40.0]).double()),
)


def _js(r_real: Tensor, r_fake: Tensor) -> Tensor:
    return math.log(2) + 0.5 * (F.logsigmoid(r_real).mean() + F.logsigmoid(-r_fake).mean())


def _optimal_loss(r_real: Tensor, r_fake: Tensor) -> Tensor:
    return -(F.logsigmoid(r_real).mean() + F.logsigmoid(-r_fake).mean())


# 15.5: bits por dimensão.

_BITS_CASES = (
    (torch.tensor([-300.0, 0.0, 120.0]).double(), 196, 256),
    (torch.tensor([-5000.0, -4000.0]).double(), 3072, 256),
    (torch.tensor([10.0]).double(), 64, 16),
)


def _bits(nats: Tensor, n_dims: int, n_levels: int = 256) -> Tensor:
    return (nats + n_dims * math.log(n_levels)) / (n_dims * math.log(2))


EXERCISES = (
    Exercise(
        id="15.1",
        solution=_mass,
        mistakes=(
            Mistake(
                lambda f, side, n: _mass_with(f, side, n, lambda log_p, width: log_p.exp().sum()),
                "você somou a densidade, e não a massa: falta multiplicar cada ponto pela área da casa que ele representa.",
            ),
            Mistake(
                lambda f, side, n: _mass_with(f, side, n, lambda log_p, width: log_p.exp().sum() * width),
                "você multiplicou pelo lado da casa. Em duas dimensões a área é o quadrado dele.",
            ),
            Mistake(
                lambda f, side, n: _mass_with(f, side, n, lambda log_p, width: log_p.exp().mean()),
                "você tirou a média da densidade. A integral é a média vezes a área do quadrado inteiro.",
            ),
            Mistake(
                lambda f, side, n: _mass_with(f, side, n, lambda log_p, width: log_p.sum() * width**2),
                "você integrou log p. Tome a exponencial antes de somar.",
            ),
            Mistake(
                lambda f, side, n: _mass_with(
                    f, side, n, lambda log_p, width: torch.logsumexp(log_p, 0) + 2 * math.log(width)
                ),
                "isso é o logaritmo da massa: falta a exponencial no fim.",
            ),
            Mistake(
                lambda f, side, n: _mass(f, side, n) / 4,
                "a área da casa está quatro vezes menor: o quadrado vai de −side a side, e o lado dele é 2·side.",
            ),
        ),
        measure=behaviour(masses),
        tolerance=5e-3,
        insight="Um modelo normalizado dá perto de 1, se quase toda a massa couber no quadrado.",
        hint="Uma grade de n × n pontos, a densidade em cada um, e a área da casa.",
    ),
    Exercise(
        id="15.2",
        solution=lambda snr_s, snr_t: 0.5 * (snr_s / snr_t - 1),
        mistakes=(
            Mistake(
                lambda snr_s, snr_t: 0.5 * (snr_s - snr_t),
                "esse é o peso do erro em x. O erro no ruído é outro: x − x̂ = −(σ/α)(ε − ε̂), no nível t.",
            ),
            Mistake(
                lambda snr_s, snr_t: 0.5 * (snr_s - snr_t) * snr_t,
                "você trocou α/σ por σ/α: ‖x − x̂‖² é ‖ε − ε̂‖² dividido pela SNR.",
            ),
            Mistake(
                lambda snr_s, snr_t: 0.5 * (1 - snr_t / snr_s),
                "você usou a SNR de s. O ruído que a rede prevê é o que está em z_t.",
            ),
            Mistake(
                lambda snr_s, snr_t: 0.5 * (snr_s - snr_t) / snr_t.sqrt(),
                "o erro entra ao quadrado: σ/α também, e o quadrado dele é 1/SNR.",
            ),
            Mistake(
                lambda snr_s, snr_t: snr_s / snr_t - 1,
                "falta o ½ da KL de duas normais de mesma variância.",
            ),
        ),
        measure=on_cases(*_SNRS),
        insight="Só a razão das SNR importa: com log SNR em passos iguais, todos os níveis pesam o mesmo.",
    ),
    Exercise(
        id="15.3",
        solution=_generate,
        mistakes=(
            Mistake(
                lambda f, z, ls: _generate(f, z, ls, how="unfinished"),
                "você devolveu z no último nível, que ainda tem ruído. Devolva o palpite dele.",
            ),
            Mistake(
                lambda f, z, ls: _generate(f, z, ls, how="same alpha"),
                "você misturou os níveis: ao subir a SNR, o palpite também é multiplicado pelo α do nível novo.",
            ),
            Mistake(
                lambda f, z, ls: _generate(f, z, ls, how="undivided"),
                "z − αx̂ ainda não é o ruído, é σ vezes ele: divida pelo σ do nível em que z está.",
            ),
            Mistake(
                lambda f, z, ls: _generate(f, z, ls, how="from z"),
                "o ruído suposto não é z − x̂: z tem αx dentro, e o que sobra é σ vezes o ruído.",
            ),
            Mistake(
                lambda f, z, ls: f(z, ls[-1].expand(len(z), 1)),
                "o que veio é a média de x dado z_T: ou você deu o palpite num passo só, ou desceu pela média de "
                "q(z_s|z_t, x̂) sem o ruído dela, que com o melhor palpite dá no mesmo. Aqui o ruído suposto se mantém.",
            ),
            Mistake(
                lambda f, z, ls: _generate(f, z, ls, how="no noise"),
                "você largou o ruído suposto: z_s tem de ter σ_s vezes ele.",
            ),
            Mistake(
                lambda f, z, ls: _generate(f, z, ls.flip(0)),
                "você percorreu os níveis do limpo ao ruidoso. z está no último de log_snrs, o de menor SNR: comece por ele.",
            ),
        ),
        measure=behaviour(generated),
        insight="O mesmo z dá sempre o mesmo x, e o caminho pode ser feito ao contrário.",
        hint="Em cada par de níveis: palpite, ruído suposto, nível de cima.",
    ),
    Exercise(
        id="15.4",
        solution=_js,
        mistakes=(
            Mistake(
                _optimal_loss,
                "isso é a perda do discriminador ótimo, que no empate vale 2 ln 2. A divergência, no empate, é zero.",
            ),
            Mistake(
                lambda r, f: math.log(2) + 0.5 * (F.logsigmoid(r).mean() + F.logsigmoid(f).mean()),
                "nos pontos gerados entra log(1 − D), que é logsigmoide(−r).",
            ),
            Mistake(
                lambda r, f: 2 * _js(r, f),
                "você esqueceu o ½ de cada KL na definição de JS.",
            ),
            Mistake(
                lambda r, f: 0.5 * (F.logsigmoid(r).mean() + F.logsigmoid(-f).mean()),
                "falta o ln 2: m é a média das duas densidades, p/(p + p_G) = ½ p/m.",
            ),
            Mistake(
                lambda r, f: math.log(2) + F.logsigmoid(r).mean() / 2 + F.logsigmoid(-f).sum() / 2,
                "você somou sobre os pontos gerados em vez de tirar a média.",
            ),
            Mistake(
                lambda r, f: math.log(2) + 0.5 * F.logsigmoid(torch.cat([r, -f])).mean() * 2,
                "você juntou os pontos numa média só: com N ≠ M um lado pesa mais. Cada esperança tem a sua média.",
            ),
            Mistake(
                lambda r, f: 0.5 * (r.mean() - f.mean()),
                "isso é a metade da soma das duas KL diretas, a de Jeffreys, que não tem teto. Em JS compara-se cada densidade "
                "com a média das duas.",
            ),
        ),
        measure=on_cases(*_RATIOS),
        insight="Vai de 0, no empate, a ln 2, quando D nunca erra.",
    ),
    Exercise(
        id="15.5",
        solution=_bits,
        mistakes=(
            Mistake(
                lambda nats, d, n: nats / (d * math.log(2)),
                "você converteu a densidade de y. A de 256·y é 256 vezes menor em cada dimensão: falta somar o logaritmo disso.",
            ),
            Mistake(
                lambda nats, d, n: (nats - d * math.log(n)) / (d * math.log(2)),
                "o sinal da mudança de escala está trocado: esticar os eixos diminui a densidade, e aumenta −log dela.",
            ),
            Mistake(
                lambda nats, d, n: (nats + math.log(n)) / (d * math.log(2)),
                "a mudança de escala vale para cada uma das dimensões.",
            ),
            Mistake(
                lambda nats, d, n: (nats + d * math.log(n)) / d,
                "o seu está em nats por dimensão. Um bit tem ln 2 nats.",
            ),
            Mistake(
                lambda nats, d, n: (nats + d * math.log(n)) / math.log(2),
                "o seu está em bits por imagem: falta dividir pelo número de dimensões.",
            ),
            Mistake(
                lambda nats, d, n: (nats + d * math.log2(n)) / (d * math.log(2)),
                "você somou bits a nats: log₂ dos níveis com nats da densidade.",
            ),
            Mistake(
                lambda nats, d, n: _bits(nats, d, 256),
                "o número de níveis nem sempre é 256: use n_levels.",
            ),
        ),
        measure=on_cases(*_BITS_CASES),
        insight="Um ruído uniforme custa log₂ dos níveis em cada dimensão: é o teto de quem aprendeu algo.",
    ),
)
