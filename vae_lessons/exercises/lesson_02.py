"""Exercícios da lição 02: gradientes de esperanças, e os erros que os enviesam ou os cegam."""

import math

import torch
from torch import Tensor

from vae_lessons.distributions import Normal
from vae_lessons.exercises.checking import Exercise, Mistake, Observed, Unusable, behaviour, on_cases, required_tensor

_MEAN = torch.tensor([0.5, -1.0], dtype=torch.float64)
_LOG_VAR = torch.tensor([0.6, -0.8], dtype=torch.float64)
_NOISE = torch.tensor([[0.3, -1.2], [1.7, 0.4], [-0.6, 0.9], [0.1, -2.0], [-1.4, 0.5]], dtype=torch.float64)
_QUANTILES = torch.special.ndtri((torch.arange(2000, dtype=torch.float64) + 0.5) / 2000)
_EPSILON = _QUANTILES / _QUANTILES.square().mean().sqrt()  # média 0 e variância 1 exatas: os escores têm média zero
_UNIFORM = torch.tensor([0.02, 0.2, 0.45, 0.5, 0.6, 0.97], dtype=torch.float64)


def _slope(z: Tensor) -> Tensor:
    """A derivada de f(z) = Σ sen(z), dimensão a dimensão."""
    return torch.cos(z)


def _score_surrogate(f, q: Normal, z: Tensor) -> Tensor:
    z = z.detach()
    return (f(z) * q.log_prob(z).sum(-1)).mean()


def surrogate_gradient(surrogate, *, center: float = 2.0, noise: Tensor = _NOISE) -> tuple[Observed, Observed]:
    """O gradiente do substituto em mean e log_var, com z que chega ainda preso a eles e f(z) = ‖z − center‖².

    Quem não usa z e sorteia o seu, com q.sample(), é julgado pela média: se estima ∇E[f] sem viés e sem derivar f,
    está tão certo quanto a solução.
    """

    def parabola(z: Tensor) -> Tensor:
        return (z - center).square().sum(-1)

    gradient = _gradient(surrogate, parabola, noise)
    ignores_z = all(map(torch.equal, gradient, _gradient(surrogate, parabola, noise.flip(0) + 1)))
    if ignores_z and any(part.any() for part in gradient):
        many = torch.zeros(100_000, 1, dtype=torch.float64).expand(-1, 2)
        average = _gradient(surrogate, lambda z: parabola(z).detach(), many, parameters_per_sample=True)
        expected = 2 * (_MEAN - center), _LOG_VAR.exp()  # ∇E[f] em mean e em log_var
        if all((got - exact).abs().max() < 0.25 for got, exact in zip(average, expected, strict=True)):
            gradient = _gradient(_score_surrogate, parabola, noise)
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


def _shrinkage(L: int) -> float:
    return (L - 1) / L


def _expected_reward(mu: Tensor) -> Tensor:
    """E[f(z)] da recompensa do exercício, com z ~ N(mu, 1): 1 entre −1 e 1, 4 entre 2 e 2,5, zero fora."""
    inside = [torch.special.ndtr(high - mu) - torch.special.ndtr(low - mu) for low, high in ((-1.0, 1.0), (2.0, 2.5))]
    return inside[0] + 4 * inside[1]


def _best_mean() -> float:
    grid = torch.linspace(-5, 5, 100_001, dtype=torch.float64)
    return grid[_expected_reward(grid).argmax()].item()


def _kumaraswamy(a: Tensor, b: Tensor, u: Tensor) -> Tensor:
    return (1 - (1 - u) ** (1 / b)) ** (1 / a)


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
                "isso deriva f através de z: é a reparametrização, da seção 3. Aqui f só é avaliada, e quem se deriva é "
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
                lambda f, q, z: (f(z) * q.log_prob(z.detach()).sum(-1)).mean(),
                "você soltou o z dentro de log q(z), mas não o de f(z): o gradiente passou também por f. Faça z = z.detach() "
                "antes de tudo.",
            ),
            Mistake(
                lambda f, q, z: f(z.detach()).mean() * q.log_prob(z.detach()).sum(-1).mean(),
                "você multiplicou duas médias. Cada f(z) multiplica o log q do seu próprio z, e só depois vem a média.",
            ),
            Mistake(
                lambda f, q, z: (f(z.detach()) * q.log_prob(z.detach()).sum()).mean(),
                "sem o -1, .sum() soma também as amostras, e cada f(z) multiplica o log q de todas. Some só as dimensões.",
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
        measure=behaviour(surrogate_gradient),
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
                _with_slope(lambda df, s, m, e: (df(m + s * e), df(m + s * e) * s)),
                "no segundo faltam duas coisas: o ε de ∂z/∂σ e o ½ que sai de σ = exp(½ log σ²).",
            ),
            Mistake(
                _with_slope(lambda df, s, m, e: (df(m + s * e), (df(m + s * e)).mean(0, keepdim=True) * 0.5 * s * e)),
                "você multiplicou duas médias. Em cada amostra, a inclinação multiplica o ε do seu próprio sorteio.",
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
                _with_slope(lambda df, s, m, e: (df(m + s * e), df(m + s * e) * 0.5 * s**2 * e)),
                "o sorteio está certo, mas no segundo gradiente entrou a variância: σ = exp(½ log σ²), e a derivada de σ em "
                "log σ² é metade do próprio σ.",
            ),
            Mistake(
                _with_slope(lambda df, s, m, e: (df(m + s**2 * e), df(m + s**2 * e) * s**2 * e)),
                "você tratou exp(log σ²) como o desvio padrão. Ele é a variância: σ = exp(½ log σ²), no sorteio e na derivada.",
            ),
            Mistake(
                _with_slope(lambda df, s, m, e: (df(m + s**2 * e), df(m + s**2 * e) * 0.5 * s**2 * e)),
                "você usou a variância no lugar do desvio padrão, no sorteio e na derivada. σ = exp(½ log σ²).",
            ),
            Mistake(
                lambda df, mean, log_var, noise: _pathwise(df, mean, log_var, noise)[::-1],
                "os dois gradientes estão trocados: primeiro o de mean, depois o de log_var.",
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
        solution=1252,
        mistakes=(
            Mistake(
                1251,
                "quase, mas com essas a variância ainda passa um pouco da que se quer. Para que lado se arredonda?",
            ),
            Mistake(
                1251.75,
                "essa é a razão, mas amostras são inteiras. Para que lado se arredonda, se a variância não pode passar?",
            ),
            Mistake(35, "você comparou desvios padrão e arredondou para baixo. A variância, ela mesma, cai com 1/L."),
            Mistake(
                36, "você comparou desvios padrão. A pergunta é sobre variâncias: a da média cai com 1/L, não com 1/L²."
            ),
            Mistake(
                35.4,
                "essa é a razão entre os desvios padrão. A pergunta é sobre variâncias, e é a variância que cai com 1/L.",
            ),
            Mistake(
                math.sqrt(1251.75),
                "você tirou a raiz: essa é a razão entre os desvios padrão. A variância, ela mesma, cai com 1/L.",
            ),
            Mistake(
                1_566_879,
                "você elevou a razão ao quadrado. A variância da média de L amostras é a de uma só, dividida por L.",
            ),
            Mistake(124, "essa seria a resposta com σ = 1. Troque σ nas duas variâncias: as duas dependem dele."),
            Mistake(313, "a variância da reparametrização também muda com σ: a sua ficou a de σ = 1."),
            Mistake(495, "essa é a variância do REINFORCE com σ = 1. Refaça a conta com o σ do enunciado, nos dois."),
            Mistake(372, "você pôs ½ no lugar de σ². O que vale ½ é σ: eleve-o ao quadrado."),
            Mistake(46, "essa é a razão para σ. A pergunta é sobre o gradiente em μ."),
        ),
        tolerance=1e-6,
        insight="Uma amostra reparametrizada vale aqui mais de mil do REINFORCE, e cada uma dessas mil custa uma avaliação de f.",
        hint="A variância da média de L amostras é a de uma só, dividida por L; as de uma amostra saem das fórmulas acima.",
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
        solution=_shrinkage,
        mistakes=(
            Mistake(
                lambda L: 1.0,
                "seria 1 se a linha de base não visse a amostra. A média de todas contém f(z_l), dividida por L.",
            ),
            Mistake(
                lambda L: 1 / L,
                "isso é a parte que se perde: o peso de f(z_l) na média de todas. Quanto sobra?",
            ),
            Mistake(
                lambda L: L / (L - 1),
                "isso é o fator que corrige. A pergunta é por quanto o gradiente sai multiplicado antes da correção.",
            ),
            Mistake(
                lambda L: 1 / (L - 1),
                "esse é o peso de cada uma das outras na média delas. Na média de todas, que peso tem f(z_l)?",
            ),
            Mistake(
                lambda L: L - 1.0,
                "um fator maior do que 1 aumentaria o gradiente. Falta dividir: a média de todas tem quantos valores?",
            ),
            Mistake(
                lambda L: L / (L + 1),
                "são L valores ao todo, com o próprio f(z_l) entre eles: não entra um a mais.",
            ),
            Mistake(
                lambda L: (L - 2) / (L - 1),
                "quase: na média de todas há L valores, e não L − 1. Que peso tem ali f(z_l)?",
            ),
            Mistake(
                lambda L: 1 + 1 / L,
                "confira o sinal: a amostra é descontada de si mesma.",
            ),
            Mistake(
                lambda L: ((L - 1) / L) ** 2,
                "f é multiplicada pelo escore uma vez só, e o fator entra uma vez só.",
            ),
        ),
        measure=on_cases((2,), (3,), (5,), (16,)),
        tolerance=1e-6,
        insight="O viés some quando L cresce, e um fator o corrige. O erro é não saber dele.",
        hint="Separe f(z_l) das outras: f(z_l) menos a média de todas é um múltiplo de f(z_l) menos a média das outras.",
    ),
    Exercise(
        id="02.6",
        solution=round(_best_mean(), 2),
        mistakes=(
            Mistake(
                0.0,
                "μ não saiu do lugar: o gradiente foi zero. Se ele passou por dentro da recompensa, lembre-se de que a derivada "
                "de um degrau é zero.",
            ),
            Mistake(
                2.25,
                "esse é o z de maior recompensa. Quem se move é μ, e os sorteios caem em torno dele: a largura σ = 1 conta.",
            ),
        ),
        tolerance=0.12,
        insight="A recompensa é plana por pedaços, e mesmo assim há para onde subir: E[f] é suave.",
        hint="Suba: μ + taxa · gradiente. Parou de mudar? Use mais sorteios por passo, uma taxa menor ou mais passos.",
    ),
    Exercise(
        id="02.7",
        solution=_kumaraswamy,
        mistakes=(
            Mistake(
                lambda a, b, u: (1 - u ** (1 / b)) ** (1 / a),
                "a distribuição sai certa, porque 1 − u também é uniforme, mas não é a inversa: u maior tem de dar z maior. "
                "Resolva u = F(z) passo a passo.",
            ),
            Mistake(
                lambda a, b, u: 1 - (1 - u**a) ** b,
                "isso é F(u), a acumulada. Para sortear, resolva u = F(z) em z.",
            ),
            Mistake(
                lambda a, b, u: (1 - (1 - u) ** (1 / a)) ** (1 / b),
                "a e b estão trocados: b é o expoente de fora em F, e é o primeiro a se desfazer.",
            ),
            Mistake(
                lambda a, b, u: (1 - (1 - u) ** b) ** a,
                "faltou inverter os expoentes: quem desfaz uma potência b é a potência 1/b.",
            ),
            Mistake(
                lambda a, b, u: (1 - (1 - u) ** (1 / b)) ** a,
                "um dos expoentes ficou sem inverter: z está elevado a a, e a última conta é a que o desfaz.",
            ),
            Mistake(
                lambda a, b, u: (1 - u) ** (1 / b),
                "você parou no meio: isso é 1 − z^a. Faltam duas contas.",
            ),
            Mistake(
                lambda a, b, u: 1 - (1 - u) ** (1 / b),
                "você parou em z^a. Falta desfazer essa potência.",
            ),
            Mistake(
                lambda a, b, u: a * b * u ** (a - 1) * (1 - u**a) ** (b - 1),
                "isso é a densidade em u, a derivada da acumulada. Para sortear, inverta a acumulada.",
            ),
        ),
        measure=on_cases(
            (torch.tensor(2.0, dtype=torch.float64), torch.tensor(3.0, dtype=torch.float64), _UNIFORM),
            (torch.tensor(0.7, dtype=torch.float64), torch.tensor(1.8, dtype=torch.float64), _UNIFORM),
        ),
        insight="Toda distribuição contínua de uma dimensão cuja acumulada se inverte e se deriva é reparametrizável.",
    ),
)
