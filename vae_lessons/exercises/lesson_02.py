"""Exercícios da lição 02: gradientes de esperanças, e os erros que os enviesam ou os cegam."""

import torch
from torch import Tensor

from vae_lessons.distributions import Normal
from vae_lessons.exercises.checking import Exercise, Mistake, Observed, Unusable, behaviour, on_cases, required_tensor

_MEAN = torch.tensor([0.5, -1.0], dtype=torch.float64)
_LOG_VAR = torch.tensor([0.6, -0.8], dtype=torch.float64)
_NOISE = torch.tensor([[0.3, -1.2], [1.7, 0.4], [-0.6, 0.9], [0.1, -2.0], [-1.4, 0.5]], dtype=torch.float64)
_QUANTILES = torch.special.ndtri((torch.arange(2000, dtype=torch.float64) + 0.5) / 2000)
_EPSILON = _QUANTILES / _QUANTILES.square().mean().sqrt()  # média 0 e variância 1 exatas: os escores têm média zero
_F_VALUES = torch.tensor([[1.0, 4.0, -2.0], [3.0, 0.5, 5.0], [8.0, 2.0, 1.0], [2.0, -1.0, 0.0]], dtype=torch.float64)
_EXACT = (torch.tensor([-3.0, -6.0], dtype=torch.float64), _LOG_VAR.exp())  # ∇E[f] em mean e em log_var
_UNIFORM = torch.tensor([0.02, 0.2, 0.45, 0.5, 0.6, 0.97], dtype=torch.float64)


def _parabola(z: Tensor) -> Tensor:
    return (z - 2.0).square().sum(-1)


def _slope(z: Tensor) -> Tensor:
    """A derivada de f(z) = Σ sen(z), dimensão a dimensão."""
    return torch.cos(z)


def _score_surrogate(f, q: Normal, z: Tensor) -> Tensor:
    z = z.detach()
    return (f(z) * q.log_prob(z).sum(-1)).mean()


def _surrogate_gradient(surrogate) -> tuple[Observed, Observed]:
    """O gradiente do substituto em mean e log_var, com z que chega ainda preso a eles.

    Quem não usa z e sorteia o seu, com q.sample(), é julgado pela média: se estima ∇E[f] sem viés e sem derivar f,
    está tão certo quanto a solução.
    """
    gradient = _gradient(surrogate, _parabola, _NOISE)
    ignores_z = all(map(torch.equal, gradient, _gradient(surrogate, _parabola, _NOISE.flip(0) + 1)))
    if ignores_z and any(part.any() for part in gradient):
        noise = torch.zeros(100_000, 1, dtype=torch.float64).expand(-1, 2)
        average = _gradient(surrogate, lambda z: _parabola(z).detach(), noise, parameters_per_sample=True)
        if all((got - exact).abs().max() < 0.25 for got, exact in zip(average, _EXACT, strict=True)):
            gradient = _gradient(_score_surrogate, _parabola, _NOISE)
    return Observed(gradient[0], "no gradiente em mean"), Observed(gradient[1], "no gradiente em log_var")


def _gradient(surrogate, f, noise: Tensor, *, parameters_per_sample: bool = False) -> tuple[Tensor, Tensor]:
    """∇ do substituto em mean e log_var, [2] cada um; zeros se nada passa. O sorteio é sempre o mesmo."""
    torch.manual_seed(0)
    mean, log_var = _MEAN.clone().requires_grad_(), _LOG_VAR.clone().requires_grad_()
    q = Normal(*(p.expand_as(noise) for p in (mean, log_var))) if parameters_per_sample else Normal(mean, log_var)
    value = required_tensor(surrogate(f, q, q.rsample(noise)))
    if value.numel() != 1:
        raise Unusable(
            f"o substituto deve ser um número só (a média sobre as L amostras), mas veio {list(value.shape)}."
        )
    if not value.requires_grad:
        return torch.zeros(2), torch.zeros(2)
    return torch.autograd.grad(value.sum(), (mean, log_var), materialize_grads=True, allow_unused=True)


def _pathwise(df, mean: Tensor, log_var: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    sigma = torch.exp(0.5 * log_var)
    slope = df(mean + sigma * noise)
    return slope.mean(0), (slope * 0.5 * sigma * noise).mean(0)


def _with_slope(change):
    """Um erro em `_pathwise`: change(df, sigma, mean, noise) → os dois gradientes antes da média."""

    def answer(df, mean, log_var, noise):
        return tuple(part.mean(0) for part in change(df, torch.exp(0.5 * log_var), mean, noise))

    return answer


def _optimal_baseline(values: Tensor, score: Tensor) -> Tensor:
    return (values * score.square()).mean() / score.square().mean()


def _leave_one_out(values: Tensor) -> Tensor:
    return (values.sum(0) - values) / (len(values) - 1)


def _laplace(loc: Tensor, log_scale: Tensor, u: Tensor) -> Tensor:
    centered = u - 0.5
    return loc - log_scale.exp() * centered.sign() * torch.log1p(-2 * centered.abs())


def _baseline_cases() -> tuple[tuple[Tensor, Tensor], ...]:
    """f(z) = (z − k)² e os escores de μ e de σ, em z = 1 + 0,5 ε: o ótimo difere da média de f. E um f quase sempre < 0."""
    values = (1 + 0.5 * _EPSILON + 3).square()
    to_mean, to_sigma = _EPSILON / 0.5, (_EPSILON.square() - 1) / 0.5
    return (values, to_mean), (values, to_sigma), (2 - values, to_sigma)


EXERCISES = (
    Exercise(
        id="02.1",
        solution=_score_surrogate,
        mistakes=(
            Mistake(
                lambda f, q, z: -_score_surrogate(f, q, z),
                "o sinal está trocado: o gradiente do substituto deve ser o de E[f], para subir. Quem minimiza é que põe o "
                "menos, uma vez só, na perda.",
            ),
            Mistake(
                lambda f, q, z: (f(z) * q.log_prob(z).sum(-1)).mean(),
                "z chegou preso a mean e log_var, e o gradiente passou também por ele. No REINFORCE a amostra é um dado: use "
                "z.detach(). (Ou sorteie com .sample().)",
            ),
            Mistake(
                lambda f, q, z: (f(z).detach() * q.log_prob(z).sum(-1)).mean(),
                "você soltou f(z), mas não o z dentro de log q(z). Se z anda com μ, z − μ não muda e o gradiente em μ some. "
                "Faça z = z.detach() antes de tudo.",
            ),
            Mistake(
                lambda f, q, z: (f(z.detach()) * q.log_prob(z.detach()).sum(-1).exp()).mean(),
                "você usou a densidade q(z) no lugar de log q(z). O truque é justamente ∇q = q ∇log q: o q já está no sorteio.",
            ),
            Mistake(
                lambda f, q, z: f(z).mean(),
                "isso deriva f através de z: é o gradiente pelo caminho, da seção 3. Aqui f só é avaliada, e quem se deriva é "
                "log q(z).",
            ),
            Mistake(
                lambda f, q, z: f(z.detach()).mean(),
                "nenhum gradiente chega a q: falta multiplicar por log q(z), que é quem conhece φ.",
            ),
            Mistake(
                lambda f, q, z: q.log_prob(z.detach()).sum(-1).mean(),
                "falta o peso f(z): o gradiente médio de log q(z), sozinho, é zero.",
            ),
            Mistake(
                lambda f, q, z: len(z) * _score_surrogate(f, q, z),
                "você somou sobre as L amostras. A estimativa da esperança é a média.",
            ),
            Mistake(
                lambda f, q, z: (f(z.detach())[:, None] * q.log_prob(z.detach())).mean(),
                "log q(z) é a soma sobre as dimensões de z, e você tirou a média. Some com .sum(-1).",
            ),
        ),
        measure=behaviour(_surrogate_gradient),
        tolerance=1e-6,
        insight="O valor do substituto não significa nada; o gradiente dele é a estimativa.",
    ),
    Exercise(
        id="02.2",
        solution=_pathwise,
        mistakes=(
            Mistake(
                _with_slope(lambda df, s, m, e: (df(m + s * e), df(m + s * e) * e)),
                "o segundo é o gradiente em σ. Falta passar a log σ²: dσ/d(log σ²) = σ/2.",
            ),
            Mistake(
                _with_slope(lambda df, s, m, e: (df(m + s * e), df(m + s * e) * s * e)),
                "falta o ½ no segundo: σ = exp(½ log σ²), e a derivada traz o ½ para a frente.",
            ),
            Mistake(
                _with_slope(lambda df, s, m, e: (df(m + s * e), df(m + s * e) * 0.5 * s)),
                "falta o ε no segundo: ∂z/∂σ = ε, pois z = μ + σ ε.",
            ),
            Mistake(
                _with_slope(lambda df, s, m, e: (df(m + s**2 * e), df(m + s**2 * e) * 0.5 * s * e)),
                "você sorteou z com σ², a variância, no lugar de σ. σ = exp(½ log σ²).",
            ),
            Mistake(
                _with_slope(lambda df, s, m, e: (df(m + 0 * e), df(m + 0 * e) * 0.5 * s * e)),
                "a derivada de f deve ser calculada em cada z sorteado, e não na média μ.",
            ),
            Mistake(
                _with_slope(lambda df, s, m, e: (df(e), df(e) * 0.5 * s * e)),
                "a derivada de f deve ser calculada em z = μ + σ ε, e não em ε.",
            ),
            Mistake(
                lambda df, mean, log_var, noise: tuple(len(noise) * g for g in _pathwise(df, mean, log_var, noise)),
                "você somou sobre as L amostras. A estimativa da esperança é a média, .mean(0).",
            ),
            Mistake(
                lambda df, mean, log_var, noise: tuple(g.mean() for g in _pathwise(df, mean, log_var, noise)),
                "a média é só sobre as L amostras, .mean(0): cada dimensão tem a sua média e a sua variância.",
            ),
        ),
        measure=on_cases((_slope, _MEAN, _LOG_VAR, _NOISE), (lambda z: 2 * z, _LOG_VAR, _MEAN, _NOISE)),
        insight="É a regra da cadeia: f′(z) vezes ∂z/∂μ = 1 ou ∂z/∂(log σ²) = ½ σ ε.",
    ),
    Exercise(
        id="02.3",
        solution=124,
        mistakes=(
            Mistake(
                12,
                "você comparou desvios padrão. A pergunta é sobre variâncias, e a da média cai com 1/L, não com 1/L².",
            ),
            Mistake(
                15_315, "você elevou a razão ao quadrado. A variância da média de L amostras é a de uma dividida por L."
            ),
            Mistake(22, "essa é a razão para σ. A pergunta é sobre o gradiente em μ."),
            Mistake(
                123.75,
                "essa é a razão, mas amostras são inteiras. Para que lado se arredonda, se a variância não pode passar?",
            ),
            Mistake(
                123, "quase, mas com essas a variância ainda passa um pouco da que se quer. Para que lado se arredonda?"
            ),
            Mistake(495, "essa é a variância do REINFORCE com uma amostra. Compare-a com a que se quer alcançar."),
            Mistake(4, "essa é a variância a alcançar. Quantas amostras o REINFORCE precisa para descer até ela?"),
        ),
        tolerance=1e-6,
        insight="Uma amostra reparametrizada vale 124 do REINFORCE, e ele paga todas.",
        hint="A variância da média de L amostras é a de uma dividida por L; as duas de uma amostra estão na tabela acima.",
    ),
    Exercise(
        id="02.4",
        solution=_optimal_baseline,
        mistakes=(
            Mistake(
                lambda values, score: values.mean() + 0 * score.mean(),
                "a média de f é uma boa linha de base, mas não a ótima: derive E[(f − b)² s²] em b e iguale a zero. As amostras "
                "de escore grande pesam mais.",
            ),
            Mistake(
                lambda values, score: (values * score.square()).mean(),
                "falta dividir por E[s²]: b é uma média de f com pesos s², e os pesos têm de somar um.",
            ),
            Mistake(
                lambda values, score: (values * score).mean() / score.square().mean(),
                "no numerador o escore entra ao quadrado: o que se minimiza é E[(f − b)² s²].",
            ),
            Mistake(
                lambda values, score: (values * score.abs()).mean() / score.abs().mean(),
                "os pesos são s², e você usou |s|.",
            ),
            Mistake(
                lambda values, score: -_optimal_baseline(values, score),
                "o sinal está trocado: b é subtraída de f, e o ótimo fica entre os valores de f.",
            ),
            Mistake(
                lambda values, score: (values.square() * score.square()).mean() / (values * score.square()).mean(),
                "releia a condição: a derivada de E[(f − b)² s²] em b é −2 E[(f − b) s²], linear em f.",
            ),
        ),
        measure=on_cases(*_baseline_cases()),
        insight="É uma média de f em que cada amostra pesa s². Cada parâmetro tem a sua.",
    ),
    Exercise(
        id="02.5",
        solution=_leave_one_out,
        mistakes=(
            Mistake(
                lambda values: values.mean(0).expand_as(values),
                "cada amostra entrou na própria linha de base. Aí b depende de z, e o gradiente encolhe por (L − 1)/L. Deixe-a de "
                "fora: some tudo, tire a própria e divida por L − 1.",
            ),
            Mistake(
                lambda values: (values.sum(0) - values) / len(values),
                "as outras são L − 1, e você dividiu por L.",
            ),
            Mistake(
                lambda values: values.sum(0) - values,
                "isso é a soma das outras. Falta dividir por L − 1.",
            ),
            Mistake(
                lambda values: (values.sum(-1, keepdim=True) - values) / (values.shape[-1] - 1),
                "você misturou exemplos: a soma é sobre as amostras, dimensão 0, e não sobre os exemplos do lote.",
            ),
            Mistake(
                lambda values: values - _leave_one_out(values),
                "isso já é f − b. O exercício pede só b.",
            ),
            Mistake(
                lambda values: ((values.sum(0) - values) / (len(values) - 1)).mean(0),
                "cada amostra tem a sua linha de base: devolva [L, B], sem tirar a média.",
            ),
        ),
        measure=on_cases((_F_VALUES,), (_F_VALUES[:2],)),
        insight="b de cada amostra não depende dela, e por isso não enviesa.",
    ),
    Exercise(
        id="02.6",
        solution=_laplace,
        mistakes=(
            Mistake(
                lambda loc, log_scale, u: loc + log_scale.exp() * torch.special.ndtri(u),
                "essa é a inversa da acumulada normal: z sai normal. Inverta a acumulada da Laplace.",
            ),
            Mistake(
                lambda loc, log_scale, u: loc - log_scale.exp() * torch.log1p(-u),
                "isso sorteia de uma exponencial, só para a direita de loc. A Laplace é simétrica: trate u < ½ e u > ½.",
            ),
            Mistake(
                lambda loc, log_scale, u: loc - log_scale.exp() * torch.log1p(-2 * (u - 0.5).abs()),
                "faltou o sinal: todos os seus z ficam à direita de loc. Multiplique por sinal(u − ½).",
            ),
            Mistake(
                lambda loc, log_scale, u: 2 * loc - _laplace(loc, log_scale, u),
                "o sinal está invertido: u > ½ deve dar z > loc, pois u é a probabilidade acumulada até z. A distribuição sai certa, "
                "mas não é a inversa que se pediu.",
            ),
            Mistake(
                lambda loc, log_scale, u: loc - log_scale * (u - 0.5).sign() * torch.log1p(-2 * (u - 0.5).abs()),
                "você usou log b como se fosse b. Antes, b = exp(log_scale).",
            ),
            Mistake(
                lambda loc, log_scale, u: loc - log_scale.exp() * (u - 0.5).sign() * torch.log1p(-(u - 0.5).abs()),
                "faltou o 2: com u entre 0 e 1, |u − ½| só chega a ½, e os seus z ficam todos perto de loc. É log(1 − 2|u − ½|).",
            ),
            Mistake(
                lambda loc, log_scale, u: _laplace(loc, 0.5 * log_scale, u),
                "não há ½ aqui: log_scale é o logaritmo da própria escala b, e não o de uma variância.",
            ),
        ),
        measure=on_cases(
            (torch.tensor(0.7, dtype=torch.float64), torch.tensor(0.9, dtype=torch.float64), _UNIFORM),
            (torch.tensor(-2.0, dtype=torch.float64), torch.tensor(-0.5, dtype=torch.float64), _UNIFORM),
        ),
        insight="z = loc + b ε, com ε = −sinal(u − ½) log(1 − 2|u − ½|): outra família, o mesmo truque.",
    ),
)
