"""Estimadores do gradiente de E_q[f(z)] em relação aos parâmetros φ de q. São intercambiáveis.

Cada um é chamado com (f, q, n_samples) e devolve o valor estimado de E_q[f(z)] e um substituto (*surrogate*): um
escalar de cada exemplo cujo gradiente, obtido por retropropagação, é a estimativa do gradiente da esperança.

f leva z [..., Z] a [...]. q tem `log_prob` (um valor por dimensão, ou um só por z) e `sample` ou `rsample`: uma
NamedTuple de parâmetros, como Normal(mean, log_var), de que se tiram L amostras de uma vez; ou qualquer outra, como um
fluxo ou uma das de torch.distributions, de que se tiram L amostras [B, Z] uma a uma, e f vê cada uma por sua vez. Se q
for Categorical, z é one-hot (ou relaxado): f leva z [..., N, K], ou [..., K] se houver uma categórica só em cada um, a
[...]. O que f tiver de parâmetros próprios (o decodificador, na ELBO) recebe o gradiente dele, que passa por dentro de
f, qualquer que seja o estimador.
Se f der números complexos, as partes real e imaginária são duas funções, estimadas nas mesmas amostras; uma linha de
base real é subtraída só da primeira, e a média das outras amostras, das duas.
"""

from collections.abc import Callable
from numbers import Real
from typing import Generic, NamedTuple

import torch
from torch import Tensor

from vae_lessons.counts import require_count
from vae_lessons.distributions import (
    Categorical,
    Distribution,
    Normal,
    copies,
    is_family,
    joint_log_prob,
    one_hot_argmax,
    require_temperature,
    straight_through_of,
)

Baseline = None | str | float | Tensor | Callable[[Distribution], Tensor]

_MOST_CODES = 100_000


class Estimate(NamedTuple):
    """value [B]: estimativa de E_q[f(z)], exemplo a exemplo · surrogate [B]: vale o mesmo, e o seu gradiente é a
    estimativa do gradiente dela."""

    value: Tensor
    surrogate: Tensor


def pathwise(f: Callable[[Tensor], Tensor], q: Distribution, n_samples: int = 1) -> Estimate:
    """Gradiente por reparametrização (*pathwise*; Kingma e Welling, 2014; Rezende et al., 2014).

    z = g(ε, φ), e ∇E_q[f(z)] = E_ε[∇f(g(ε, φ))].
    f: [..., Z] → [...], diferenciável · q: distribuição com parâmetros [B, Z] · n_samples: L ≥ 1 amostras de cada uma,
    cuja média é devolvida. Levanta TypeError se q não souber `rsample` e ValueError se n_samples < 1 ou se f(z) não
    tiver a forma [...].
    """
    if not hasattr(q, "rsample"):
        raise TypeError(
            f"pathwise precisa de uma distribuição reparametrizável, e {type(q).__name__} não tem `rsample`: "
            "não há z = g(ε, φ) diferenciável por onde o gradiente passe. Use score_function ou, para uma Categorical, "
            "gumbel_softmax ou straight_through."
        )
    (values,) = _at_samples(lambda z: (_evaluate(f, z, q),), q, n_samples, lambda q: q.rsample())
    value = values.mean(0)
    return Estimate(value, value)


def score_function(
    f: Callable[[Tensor], Tensor],
    q: Distribution,
    n_samples: int = 1,
    *,
    baseline: Baseline = None,
) -> Estimate:
    """Gradiente pela função escore, ou REINFORCE (Williams, 1992): ∇E_q[f(z)] = E_q[(f(z) − b) ∇log q(z)].

    Só avalia f, sem derivá-la em z: serve para f com degraus e para q discreta. Como E_q[∇log q] = 0, b não muda a
    esperança do gradiente, desde que não dependa do mesmo z; muda a variância.
    f: [..., Z] → [...] · q: distribuição com parâmetros [B, Z] · n_samples: L ≥ 1 amostras por observação ·
    baseline: b, que não recebe gradiente daqui.
        None               nada é subtraído
        "leave_one_out"    de cada amostra, a média de f nas outras L − 1; pede L ≥ 2 (Mnih e Rezende, 2016, para a
                           forma geral; Kool et al., 2019)
        número ou Tensor   uma constante, ou um valor para cada exemplo [B]
        uma função         q → número ou Tensor, como acima: uma rede, ou `lambda q: f(q.mean)`
    O substituto é a média sobre as L amostras de f(z) + (f(z) − b) (log q(z) − log q(z)), em que só o primeiro log q
    é derivado: vale o mesmo que `value`, e o gradiente de q é o da fórmula.
    Levanta ValueError se n_samples < 1, se f(z) não tiver a forma [...] ou se b não for um valor para cada exemplo, e
    TypeError se b for de outro tipo.
    """

    def with_log_q(z: Tensor) -> tuple[Tensor, Tensor]:
        value = _evaluate(f, z, q)
        return value, joint_log_prob(q.log_prob(z), value.shape, "q")

    values, log_q = _at_samples(with_log_q, q, n_samples, lambda q: _sample(q).detach())
    advantages = (values - _baseline(baseline, q, values)).detach()
    surrogate = values + advantages * (log_q - log_q.detach())
    return Estimate(values.mean(0), surrogate.mean(0))


def gumbel_softmax(
    f: Callable[[Tensor], Tensor],
    q: Categorical,
    n_samples: int = 1,
    *,
    temperature: float | Tensor,
    hard: bool = False,
) -> Estimate:
    """Gradiente de f na amostra relaxada, y = softmax((log π + g) / τ) (Jang, Gu e Poole, 2017; Maddison et al., 2017).

    É o gradiente exato de outra esperança, E[f(y)]: como estimativa do de E_q[f(z)], tem um viés que some quando τ → 0
    e uma variância que então cresce como 1/τ. Com hard=True, *straight-through* Gumbel-Softmax: f é avaliada no
    one-hot de y e derivada como se ele fosse y.
    f: [..., N, K] ou [..., K] → [...], diferenciável também no interior do simplex · q: Categorical ·
    n_samples: L ≥ 1 · temperature: τ > 0, número ou tensor escalar.
    `value` é sempre f no one-hot da amostra, que estima E_q[f(z)] sem viés; f(y) não a estima. Por isso, com
    hard=False, f é avaliada duas vezes.
    Levanta TypeError se q não for Categorical e ValueError se τ não for maior que zero, se n_samples < 1 ou se f(z) não
    tiver a forma [...].
    """
    _require_categorical("gumbel_softmax", q)
    require_temperature(temperature)
    of_samples = copies(q, _n_samples(n_samples))
    noise = of_samples.gumbel_noise()
    y = of_samples.relaxed(temperature, noise, hard=hard)
    at_y = _evaluate(f, y, q).mean(0)
    if hard:
        return Estimate(at_y, at_y)
    with torch.no_grad():
        value = _evaluate(f, one_hot_argmax(of_samples.logits + noise), q).mean(0)
    return Estimate(value, straight_through_of(value, at_y))


def straight_through(f: Callable[[Tensor], Tensor], q: Categorical, n_samples: int = 1) -> Estimate:
    """Gradiente direto, *straight-through* (Bengio, Léonard e Courville, 2013): f é avaliada na amostra one-hot e
    derivada como se a amostra fosse π, a média dela.

    É enviesado, a não ser que f seja afim em cada categórica, com as outras fixas.
    f: [..., N, K] ou [..., K] → [...], diferenciável · q: Categorical · n_samples: L ≥ 1.
    Levanta TypeError se q não for Categorical e ValueError se n_samples < 1 ou se f(z) não tiver a forma [...].
    """
    _require_categorical("straight_through", q)
    of_samples = copies(q, _n_samples(n_samples))
    value = _evaluate(f, straight_through_of(of_samples.sample(), of_samples.mean), q).mean(0)
    return Estimate(value, value)


def exact(f: Callable[[Tensor], Tensor], q: Normal | Categorical, n_samples: int = 1) -> Estimate:
    """E_q[f(z)] e o gradiente dela sem sorteio: por enumeração, se q for Categorical, ou por quadratura, se for uma
    Normal de uma dimensão (Z = 1).

    Enumeração: Σ_z q(z) f(z) sobre os K^N códigos, no máximo 100.000; o que f vale num código impossível não conta. f é
    chamada com z [K^N, B, N, K], sempre one-hot, o que custa a memória de K^N·B avaliações; antes, é chamada com um
    código só, para saber se as categóricas de cada exemplo são N ou uma. Não precisa ser diferenciável.
    Quadratura: regra do trapézio em 201 pontos de ε ∈ [−10, 10], com z = μ + σε e f: [..., 1] → [...], diferenciável,
    chamada com z [201, B, 1]. Para f suave o erro cai mais depressa que qualquer potência do passo: em float64, 1e-10
    ou menos, mesmo para sen(ωz) com ωσ = 50. Para f com quinas, ~1e-3.
    n_samples: aceito para que os estimadores sejam intercambiáveis, e sem efeito, porque não há amostras.
    Levanta TypeError para outra q e ValueError se Z > 1, se houver códigos demais ou se f(z) não tiver a forma [...].
    """
    if isinstance(q, Categorical):
        return _by_enumeration(f, q)
    if not isinstance(q, Normal):
        raise TypeError(
            "exact enumera uma Categorical ou integra uma Normal de uma dimensão por quadratura, mas q é "
            f"{type(q).__name__}."
        )
    if q.mean.shape[-1] != 1:
        raise ValueError(
            f"exact integra uma Normal de uma dimensão (Z = 1), mas q tem parâmetros {tuple(q.mean.shape)}, ou seja, "
            f"Z = {q.mean.shape[-1]}. Com mais dimensões, estime com pathwise ou score_function."
        )
    noise = torch.linspace(-10, 10, 201, dtype=torch.float64)
    weights = torch.softmax(-0.5 * noise.square(), dim=0).to(q.mean)
    values = _evaluate(f, q.rsample(noise.to(q.mean).reshape(-1, *[1] * q.mean.ndim)), q)
    value = torch.tensordot(weights.to(values.dtype), values, dims=1)
    return Estimate(value, value)


def _by_enumeration(f: Callable[[Tensor], Tensor], q: Categorical) -> Estimate:
    with torch.no_grad():
        one_code = _evaluate(f, one_hot_argmax(q.logits), q)
    n_classes = q.logits.shape[-1]
    n_latents = 1 if one_code.ndim == q.logits.ndim - 1 else q.logits.shape[-2]
    if n_classes**n_latents > _MOST_CODES:
        raise ValueError(
            f"exact enumera todos os códigos, e K^N = {n_classes}^{n_latents} passa de {_MOST_CODES}. Com tantos, "
            "estime com gumbel_softmax, straight_through ou score_function."
        )
    classes = torch.arange(n_classes, device=q.logits.device)
    codes = torch.cartesian_prod(*[classes] * n_latents).reshape(-1, n_latents)
    one_hots = torch.nn.functional.one_hot(codes, n_classes).to(q.logits)
    if one_code.ndim == q.logits.ndim - 1:
        one_hots = one_hots.squeeze(1)
    batch = one_code.shape
    z = one_hots.reshape(-1, *[1] * len(batch), *one_hots.shape[1:]).expand(-1, *q.logits.shape)
    values = _evaluate(f, z, q)
    weights = joint_log_prob(q.log_prob(z), values.shape, "q").exp()
    value = (weights * values.masked_fill(weights == 0, 0.0)).sum(0)
    return Estimate(value, value)


class GradientMoments(NamedTuple, Generic[Distribution]):
    """Momentos de um gradiente aleatório. Cada campo tem a estrutura de q: em `variance.log_var` [B, Z] está a
    variância do gradiente em relação a log σ².

    mean ± standard_error: média e o erro-padrão dela · variance ± variance_standard_error: variância de *um* gradiente
    e o erro-padrão da estimativa dela.
    """

    mean: Distribution
    variance: Distribution
    standard_error: Distribution
    variance_standard_error: Distribution


def gradient_moments(
    estimator: Callable[[Callable[[Tensor], Tensor], Distribution], Estimate],
    f: Callable[[Tensor], Tensor],
    q: Distribution,
    *,
    repeats: int,
    chunk: int = 131072,
) -> GradientMoments[Distribution]:
    """Média e variância do gradiente de E_q[f(z)] em `repeats` sorteios, em cada exemplo e parâmetro de q.

    estimator: um dos deste módulo, com opções fixadas por functools.partial · f: [..., B, Z] → [..., B] ·
    q: distribuição com parâmetros [B, Z], dos quais só o valor é usado · repeats: R ≥ 2 · chunk: quantos pares
    (repetição, exemplo) são avaliados de uma vez; limita a memória e não muda o resultado além do sorteio. A memória
    restante é a dos R gradientes.
    Para uma Normal, os gradientes são em μ e log σ². Como log σ² = 2 log σ, ∂/∂σ = (2/σ) ∂/∂(log σ²): a média se
    multiplica por 2/σ e a variância por 4/σ².
    Levanta ValueError se repeats < 2, se chunk < 1 ou se nenhum gradiente chegar a q, e TypeError se q não for uma
    NamedTuple de parâmetros.
    """
    repeats = require_count("repeats", repeats, ", para que haja variância", at_least=2)
    chunk = require_count("chunk", chunk, " (quantos exemplos avaliar de uma vez)")
    if not is_family(q):
        raise TypeError(
            "q deve ser uma NamedTuple de parâmetros, como Normal(mean, log_var), para que haja gradiente em relação a "
            f"cada um, mas veio {type(q).__name__}."
        )
    at_once = max(1, chunk // max(1, q[0].shape[:-1].numel()))
    gradients = [
        _independent_gradients(estimator, f, q, min(at_once, repeats - start)) for start in range(0, repeats, at_once)
    ]
    moments = [_moments(torch.cat(parts)) for parts in zip(*gradients, strict=True)]
    return GradientMoments(*(type(q)._make(fields) for fields in zip(*moments, strict=True)))


def _independent_gradients(estimator, f, q: Distribution, n: int) -> tuple[Tensor, ...]:
    """n gradientes independentes, de uma só vez: um por cópia de q, cada um [n, B, Z]."""
    leaves = type(q)._make(parameter.detach().clone().requires_grad_() for parameter in copies(q, n))
    surrogate = estimator(f, leaves).surrogate
    if not surrogate.requires_grad:
        raise ValueError(
            "Nenhum gradiente chega aos parâmetros de q: f corta o caminho (uma comparação, um arredondamento, um "
            ".detach()?). Use uma f diferenciável ou score_function, que não deriva f em z."
        )
    return torch.autograd.grad(surrogate.sum(), leaves, materialize_grads=True)


def _moments(samples: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Média, variância e os erros-padrão das duas, sobre a primeira dimensão: [R, B, Z] → quatro [B, Z]."""
    n = len(samples)
    mean, variance = samples.mean(0), samples.var(0)
    fourth = (samples - mean).pow(4).mean(0)
    return mean, variance, (variance / n).sqrt(), ((fourth - variance.square()).clamp(min=0) / n).sqrt()


def _at_samples(function: Callable[[Tensor], tuple], q: Distribution, n: int, draw: Callable) -> list[Tensor]:
    """As saídas de `function` em n amostras de q, cada uma [n, B]: de uma vez, se q for uma família, ou uma a uma."""
    n = _n_samples(n)
    if is_family(q):
        return list(function(draw(copies(q, n))))
    return [torch.stack(outputs) for outputs in zip(*(function(draw(q)) for _ in range(n)), strict=True)]


def _n_samples(n: int) -> int:
    return require_count("n_samples", n, " (o número L de amostras de Monte Carlo)")


def _sample(q) -> Tensor:
    if hasattr(q, "sample"):
        return q.sample()
    if hasattr(q, "rsample"):
        return q.rsample()
    raise TypeError(f"q deve ser uma distribuição, com log_prob e sample ou rsample, mas veio {type(q).__name__}.")


def _evaluate(f: Callable[[Tensor], Tensor], z: Tensor, q: Distribution) -> Tensor:
    """f(z), com a certeza de que há um valor por amostra e exemplo: z [L, B, Z] → [L, B].

    Numa Categorical, z é [L, B, N, K] ou, com uma categórica em cada exemplo, [L, B, K]: a forma de f(z) diz qual.
    """
    values = f(z)
    several = isinstance(q, Categorical) and q.logits.ndim > 1
    wanted = [z.shape[:-2], z.shape[:-1]] if several else [z.shape[:-1]]
    if not isinstance(values, Tensor) or values.shape not in wanted:
        came = f"a forma {tuple(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
        if isinstance(q, Categorical):
            rule = "f deve levar z [..., N, K] (ou [..., K], se a categórica for uma só) a [...]"
            advice = "Some sobre as categóricas e as classes, e deixe as outras dimensões."
        else:
            rule, advice = (
                "f deve levar z [..., Z] a [...]",
                "Some só sobre a última dimensão, com .sum(-1), e deixe as outras.",
            )
        shapes = " ou ".join(str(tuple(shape)) for shape in wanted)
        raise ValueError(f"{rule}: de z {tuple(z.shape)} esperava-se a forma {shapes}, mas veio {came}. {advice}")
    return values


def _require_categorical(name: str, q: Distribution) -> None:
    if not isinstance(q, Categorical):
        raise TypeError(
            f"{name} serve para latentes discretos, com q Categorical(logits), mas q é {type(q).__name__}. Se q for "
            "reparametrizável, como uma Normal, use pathwise."
        )


def _baseline(baseline: Baseline, q: Distribution, values: Tensor) -> Tensor | float:
    """O b de cada amostra: um número, ou um tensor que se estende, exemplo a exemplo, a values [L, B]."""
    if baseline is None:
        return 0.0
    if isinstance(baseline, str):
        return _leave_one_out(baseline, values)
    b = baseline(q) if callable(baseline) else baseline
    if isinstance(b, Real):
        return float(b)
    if not isinstance(b, Tensor):
        raise TypeError(
            'A linha de base (baseline) deve ser None, "leave_one_out", um número, um Tensor [B] ou uma função de '
            f"q que devolva um desses dois, mas veio {type(b).__name__}."
        )
    batch = values.shape[1:]
    if b.shape != batch[max(0, len(batch) - b.ndim) :]:
        raise ValueError(
            f"A linha de base (baseline) deve ser um escalar ou um valor para cada exemplo, de forma {tuple(batch)}, "
            f"mas tem forma {tuple(b.shape)}. Se vier de uma rede com uma saída, tire a última dimensão com "
            ".squeeze(-1)."
        )
    return b


def _leave_one_out(name: str, values: Tensor) -> Tensor:
    """A média das outras amostras: b_l = Σ_{m≠l} f_m / (L − 1), [L, B]."""
    if name != "leave_one_out":
        raise ValueError(f'Linha de base (baseline) desconhecida: {name!r}. A única que tem nome é "leave_one_out".')
    n_samples = len(values)
    if n_samples < 2:
        raise ValueError(
            f'"leave_one_out" tira de cada amostra a média das outras: peça n_samples ≥ 2, e não {n_samples}.'
        )
    return (values.sum(0) - values) / (n_samples - 1)
