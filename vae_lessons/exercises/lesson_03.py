"""Exercícios da lição 03: as peças de um VAE, e os erros com que elas costumam ser publicadas."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from vae_lessons.exercises.checking import (
    Exercise,
    Mistake,
    Observed,
    Unusable,
    behaviour,
    noise_statistics,
    on_cases,
    reduced,
    required_tensor,
)

_MEAN = torch.tensor([[0.5, -1.0], [2.0, 0.0], [-0.3, 0.7]], dtype=torch.float64)
_LOG_VAR = torch.tensor([[0.0, -1.5], [0.8, -0.4], [-2.0, 1.1]], dtype=torch.float64)
_PIXELS = torch.tensor([[1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0]], dtype=torch.float64)
_LOGITS = torch.tensor([[2.0, -1.0, 0.5, -3.0], [0.0, 1.5, 4.0, -0.2]], dtype=torch.float64)
_UNEQUAL_BATCHES = ([torch.tensor([1.0, 3.0, 5.0, 7.0]), torch.tensor([10.0])],)
_NEGATIVE_BATCHES = ([torch.tensor([-40.0, -30.5, 2.0]), torch.tensor([-52.0, 4.0])],)  # ELBOs são negativas


def _reparameterize(mean: Tensor, log_var: Tensor) -> Tensor:
    return mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)


def _sampling_statistics(sample) -> tuple:
    """A distribuição do ruído ε = (z − mean)/σ, quanto dele se repete na chamada seguinte, e os dois gradientes.

    Cada exemplo de z deve derivar como mean + σ ε: 1 em mean e ½ σ ε em log_var.
    """
    n = 60_000
    mean = torch.tensor([[1.0, -0.5], [-2.0, 3.0]]).repeat(n // 2, 1).requires_grad_()
    log_var = torch.tensor([[0.8, -1.2], [-0.4, 0.6]]).repeat(n // 2, 1).requires_grad_()
    z = required_tensor(sample(mean, log_var))
    if z.shape != mean.shape:
        raise Unusable(f"z deve ter a forma de mean, {list(mean.shape)}, mas a sua função devolveu {list(z.shape)}.")
    again = required_tensor(sample(mean, log_var))
    deviation = (z - mean).detach()
    to_mean, to_log_var = _gradients(z, mean, log_var)
    return (
        *noise_statistics(deviation / torch.exp(0.5 * log_var)),
        Observed((z == again).double().mean(), "na fração de z que se repete de uma chamada para a outra"),
        Observed((to_mean - 1).abs().mean(), "no desvio do gradiente que chega a mean"),
        Observed((to_log_var - 0.5 * deviation).abs().mean(), "no desvio do gradiente que chega a log_var"),
    )


def _gradients(z: Tensor, mean: Tensor, log_var: Tensor) -> tuple[Tensor, Tensor]:
    """dz/d(mean) e dz/d(log_var), elemento a elemento; zeros se o gradiente não passa."""
    if not z.requires_grad:
        return torch.zeros_like(mean), torch.zeros_like(mean)
    return torch.autograd.grad(z.sum(), (mean, log_var), materialize_grads=True, allow_unused=True)


def _kl(mean: Tensor, log_var: Tensor) -> Tensor:
    return 0.5 * (log_var.exp() + mean.square() - 1 - log_var).sum(-1)


def _given_half(log_var: Tensor) -> Tensor:
    """E_q[log q(z)], a metade que o enunciado dá."""
    return -0.5 * (math.log(2 * math.pi) + log_var + 1).sum(-1)


def _other_half(mean: Tensor, log_var: Tensor) -> Tensor:
    """E_q[log p(z)], a que ele pede."""
    return -0.5 * (math.log(2 * math.pi) + mean.square() + log_var.exp()).sum(-1)


def _bernoulli(x: Tensor, logits: Tensor) -> Tensor:
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


EXERCISES = (
    Exercise(
        id="03.1",
        solution=_reparameterize,
        mistakes=(
            Mistake(
                lambda mean, log_var: mean + torch.exp(log_var) * torch.randn_like(mean),
                "você usou exp(log σ²), que é a variância, no lugar do desvio padrão. σ = exp(½ · log σ²).",
            ),
            Mistake(
                lambda mean, log_var: mean + torch.exp(2 * log_var) * torch.randn_like(mean),
                "o expoente foi para o lado errado: exp(2 · log σ²) é σ⁴. Que potência de σ² é σ?",
            ),
            Mistake(
                lambda mean, log_var: mean + 0.5 * torch.exp(log_var) * torch.randn_like(mean),
                "o ½ fica dentro do expoente: ½ · exp(log σ²) é metade da variância, e não o desvio padrão.",
            ),
            Mistake(
                lambda mean, log_var: mean * torch.randn_like(mean) + torch.exp(0.5 * log_var),
                "os papéis estão trocados: quem multiplica o ruído é σ, e mean só se soma.",
            ),
            Mistake(
                lambda mean, log_var: mean + log_var * torch.randn_like(mean),
                "você multiplicou o ruído por log σ², que pode até ser negativo. Antes, passe-o a σ = exp(½ · log σ²).",
            ),
            Mistake(
                lambda mean, log_var: mean + 0 * log_var,
                "você devolveu a média: não há sorteio. Sem ruído, o modelo é um autocodificador comum, e a KL deixa de "
                "medir qualquer coisa.",
            ),
            Mistake(
                lambda mean, log_var: mean + torch.exp(0.5 * log_var) * 0.01 * torch.randn_like(mean),
                "o ruído ε deve ter desvio padrão 1, e o seu tem 0,01: quase não há sorteio. ε ~ N(0, I).",
            ),
            Mistake(
                lambda mean, log_var: mean + torch.exp(0.5 * log_var) * torch.rand_like(mean),
                "torch.rand sorteia de uma uniforme em [0, 1), que só empurra z para cima. Use torch.randn: ε ~ N(0, I).",
            ),
            Mistake(
                lambda mean, log_var: mean + torch.exp(0.5 * log_var) * 12**0.5 * (torch.rand_like(mean) - 0.5),
                "o seu ruído tem média 0 e variância 1, mas é uniforme. ε ~ N(0, I): use torch.randn_like(mean).",
            ),
            Mistake(
                lambda mean, log_var: mean + torch.exp(0.5 * log_var) * torch.randn_like(mean).sign(),
                "o seu ruído tem média 0 e variância 1, mas só vale −1 ou 1. ε ~ N(0, I): use torch.randn_like(mean).",
            ),
            Mistake(
                lambda mean, log_var: mean + torch.exp(0.5 * log_var) * torch.randn_like(mean).abs(),
                "o seu ruído é sempre positivo, e empurra z para cima. ε ~ N(0, I), com os dois sinais.",
            ),
            Mistake(
                lambda mean, log_var: mean + torch.exp(0.5 * log_var) * torch.randn(mean.shape[-1]),
                "você usou o mesmo ruído em todas as imagens. ε tem a forma de mean: use torch.randn_like(mean).",
            ),
            Mistake(
                lambda mean, log_var: mean + torch.exp(0.5 * log_var) * torch.randn(()),
                "você sorteou um número só, para todas as imagens e dimensões: o lote inteiro é empurrado na mesma direção. "
                "ε tem a forma de mean.",
            ),
            Mistake(
                lambda mean, log_var: (
                    mean
                    + torch.exp(0.5 * log_var) * torch.randn(mean.shape, generator=torch.Generator().manual_seed(0))
                ),
                "o seu ruído é o mesmo a cada chamada. Não fixe a semente dentro da função: cada passo do treino precisa de um "
                "ruído novo.",
            ),
            Mistake(
                lambda mean, log_var: mean + torch.exp(0.5 * log_var).detach() * torch.randn_like(mean),
                "a amostra está certa, e o gradiente chega a mean, mas não a log_var: com σ como constante, a variância não se "
                "aprende. Tire o detach().",
            ),
            Mistake(
                lambda mean, log_var: mean + torch.exp(0.5 * log_var) * torch.randn(len(mean), 1),
                "você usou o mesmo ruído em todas as dimensões. ε tem a forma de mean: use torch.randn_like(mean).",
            ),
            Mistake(
                lambda mean, log_var: _reparameterize(mean, log_var).detach(),
                "a amostra está certa, mas o gradiente não chega a mean nem a log_var. Tire o detach(), o no_grad() ou o "
                ".sample(): o caminho de φ até z precisa ser diferenciável.",
            ),
        ),
        measure=behaviour(_sampling_statistics),
        tolerance=0.04,
        insight="z tem a média e o desvio padrão pedidos, e o gradiente atravessa o sorteio.",
    ),
    Exercise(
        id="03.2",
        solution=_kl,
        mistakes=(
            Mistake(
                lambda mean, log_var: 0.5 * (torch.exp(0.5 * log_var) + mean.square() - 1 - log_var).sum(-1),
                "você pôs σ onde vai σ². A fórmula pede exp(log σ²), sem o ½: com σ o mínimo sai do lugar.",
            ),
            Mistake(
                lambda mean, log_var: -_kl(mean, log_var),
                "o sinal está trocado. A KL nunca é negativa, e a sua é.",
            ),
            Mistake(
                lambda mean, log_var: 2 * _kl(mean, log_var),
                "faltou o ½ na frente: o seu valor é o dobro do certo, e equivale a treinar com β = 2.",
            ),
            Mistake(
                lambda mean, log_var: -_other_half(mean, log_var),
                "essa é a outra metade, E_q[log p], com o sinal dela trocado. Falta juntá-la à metade dada no enunciado.",
            ),
            Mistake(
                _other_half,
                "essa é só a outra metade, E_q[log p]. A KL é a metade dada no enunciado menos ela.",
            ),
            Mistake(
                lambda mean, log_var: _given_half(log_var) + _other_half(mean, log_var),
                "você somou as duas metades. A KL é a diferença entre elas: o log 2π tem de se cancelar.",
            ),
            Mistake(
                lambda mean, log_var: _given_half(log_var) + 0.5 * (mean.square() + log_var.exp()).sum(-1),
                "sobrou log 2π: a densidade da prior também traz a sua constante, ½ log 2π em cada dimensão.",
            ),
            Mistake(
                lambda mean, log_var: _kl(mean, log_var) / mean.shape[-1],
                "você tirou a média sobre as dimensões latentes. As dimensões são independentes: as KL se somam.",
            ),
            *reduced(_kl),
            Mistake(
                lambda mean, log_var: 0.5 * (log_var.exp() + mean.square() - 1 - log_var),
                "falta somar sobre as dimensões latentes: a KL de uma imagem é um número só.",
            ),
            Mistake(
                lambda mean, log_var: 0.5 * (log_var.exp() + mean - 1 - log_var).sum(-1),
                "falta elevar a média ao quadrado: deslocar q para a esquerda ou para a direita custa o mesmo.",
            ),
            Mistake(
                lambda mean, log_var: 0.5 * (log_var.exp() + mean.square() - log_var).sum(-1),
                "falta o −1 de cada dimensão: com q igual à prior, a KL tem de dar zero. Confira a metade dada no enunciado.",
            ),
            Mistake(
                lambda mean, log_var: 0.5 * ((1 + mean.square()) / log_var.exp() - 1 + log_var).sum(-1),
                "essa é a KL ao contrário, de p para q: a esperança é sobre q, de que z é sorteado.",
            ),
            Mistake(
                lambda mean, log_var: 0.5 * (log_var.exp() + mean.square() - 1 + log_var).sum(-1),
                "o sinal de log σ² está trocado: uma q muito estreita tem de custar caro, e na sua conta ela ganha um prêmio.",
            ),
        ),
        measure=on_cases((_MEAN, _LOG_VAR), (torch.zeros(2, 3), torch.zeros(2, 3))),
        insight="Ela se anula só em q(z|x) = N(0, I) e cresce com μ² e à medida que σ² se afasta de 1.",
    ),
    Exercise(
        id="03.3",
        solution=_bernoulli,
        mistakes=(
            Mistake(
                lambda x, logits: _bernoulli(x, logits) / x.shape[-1],
                "você tirou a média sobre os pixels. log p(x|z) é a soma sobre eles; com a média, a KL passa a pesar D "
                "vezes mais do que deve.",
            ),
            Mistake(
                lambda x, logits: -_bernoulli(x, logits),
                "isso é a entropia cruzada, que é −log p(x|z). Falta trocar o sinal.",
            ),
            *reduced(_bernoulli),
            Mistake(
                lambda x, logits: F.binary_cross_entropy_with_logits(logits, x),
                'sem reduction="none", a função já devolve a média sobre imagens e pixels. Peça um valor por pixel, some '
                "só sobre os pixels e confira o sinal.",
            ),
            Mistake(
                lambda x, logits: (x * F.logsigmoid(logits) + (1 - x) * (1 - F.logsigmoid(logits))).sum(-1),
                "log(1 − λ) não é 1 − log λ. Lembre que 1 − λ é a sigmoide de −ℓ.",
            ),
            Mistake(
                lambda x, logits: _bernoulli(x, torch.sigmoid(logits)),
                "a sigmoide foi aplicada duas vezes: as funções ..._with_logits já a aplicam. Passe-lhes os logits.",
            ),
            Mistake(
                lambda x, logits: (x * torch.sigmoid(logits).log()).sum(-1),
                "você contou só os pixels acesos. Falta (1 − x) · log(1 − p) para os apagados.",
            ),
            Mistake(
                lambda x, logits: -F.binary_cross_entropy_with_logits(x, logits, reduction="none").sum(-1),
                "os argumentos estão trocados: a função recebe primeiro os logits e depois o alvo, que são os pixels.",
            ),
            Mistake(
                lambda x, logits: -F.binary_cross_entropy_with_logits(logits, x, reduction="none"),
                "falta somar sobre os pixels: log p(x|z) é um número por imagem.",
            ),
            Mistake(
                lambda x, logits: (x * logits - logits.exp()).sum(-1),
                "log(1 + e^ℓ) não é e^ℓ: falta o 1, e o logaritmo, no segundo termo.",
            ),
            Mistake(
                lambda x, logits: -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(0),
                "você somou sobre as imagens. A soma é sobre os pixels, a última dimensão: .sum(-1).",
            ),
        ),
        measure=on_cases((_PIXELS, _LOGITS), (_PIXELS.T, 0.5 * _LOGITS.T), (_PIXELS[:, :2], _LOGITS[:, 2:])),
        insight="É −BCE somada sobre os pixels, calculada a partir dos logits.",
    ),
    Exercise(
        id="03.4",
        solution=lambda batches: sum(batch.sum() for batch in batches) / sum(len(batch) for batch in batches),
        mistakes=(
            Mistake(
                lambda batches: torch.stack([batch.mean() for batch in batches]).mean(),
                "você tirou a média das médias. O último lote é menor, e cada imagem dele pesou mais que as outras.",
            ),
            Mistake(
                lambda batches: sum(batch.sum() for batch in batches) / len(batches),
                "você dividiu pelo número de lotes. O número que se compara é por imagem: divida pelo número delas.",
            ),
            Mistake(
                lambda batches: sum(batch.sum() for batch in batches),
                "isso é a soma. Falta dividir pelo número total de imagens.",
            ),
            Mistake(
                lambda batches: sum(batch.sum() for batch in batches) / (len(batches) * len(batches[0])),
                "você supôs que todo lote tem o tamanho do primeiro. Conte as imagens de cada um.",
            ),
            *(
                Mistake(
                    lambda batches, size=size: sum(batch.sum() for batch in batches) / size,
                    f"o {size} do enunciado não serve para qualquer lista de lotes: conte as imagens que vieram.",
                )
                for size in (4000, 128)
            ),
        ),
        measure=on_cases(
            _UNEQUAL_BATCHES,
            _NEGATIVE_BATCHES,
            ([torch.tensor([2.0, 2.0, 5.0]), torch.tensor([4.0, 4.0]), torch.tensor([1.0, 8.0])],),
        ),
        insight="Soma sobre as imagens dividida pelo número de imagens: não depende do tamanho dos lotes.",
    ),
    Exercise(
        id="03.5",
        solution=0.5,
        mistakes=(
            Mistake(
                2.0,
                "o fator foi para o lado errado. Ponha a perda na forma (reconstrução da Gaussiana) + β · KL, multiplicando a "
                "perda inteira pelo que for preciso, e veja o que sobra na frente da KL.",
            ),
            Mistake(
                1.0,
                "assim seria se a reconstrução da perda fosse a da Gaussiana, −log N(x; μ, I). Compare os dois fatores que "
                "multiplicam Σ (x − μ)².",
            ),
            Mistake(0.25, "o fator entrou duas vezes. Multiplique a perda inteira por ele uma vez só."),
        ),
        tolerance=1e-6,
        hint="Multiplicar a perda inteira por uma constante não muda o mínimo: que constante deixa a reconstrução igual à da "
        "Gaussiana?",
        insight="Esquecer o ½ é treinar, em segredo, um β-VAE com β = ½.",
    ),
    Exercise(
        id="03.6",
        solution=lambda step, warmup_steps: min(1.0, step / warmup_steps),
        mistakes=(
            Mistake(
                lambda step, warmup_steps: step / warmup_steps,
                "passado o aquecimento, o seu peso continua subindo além de 1. Falta o min(1, ...).",
            ),
            Mistake(
                lambda step, warmup_steps: (step + 1) / warmup_steps,
                "são dois enganos: o peso está um passo adiantado e, passado o aquecimento, sobe além de 1.",
            ),
            Mistake(
                lambda step, warmup_steps: max(1.0, step / warmup_steps),
                "max e min estão trocados: o peso deve parar em 1, e o seu começa em 1.",
            ),
            Mistake(
                lambda step, warmup_steps: max(0.0, 1 - step / warmup_steps),
                "está ao contrário: o peso deve começar perto de 0 e subir até 1.",
            ),
            Mistake(
                lambda step, warmup_steps: float(step >= warmup_steps),
                "isso é um degrau: 0 e, de repente, 1. O aquecimento sobe em linha reta. Se você usou //, a divisão "
                "inteira, troque-a pela comum, /.",
            ),
            Mistake(
                lambda step, warmup_steps: min(1.0, (step + 1) / warmup_steps),
                "o seu peso está um passo adiantado: o primeiro passo, o 0, tem peso 0, e o peso chega a 1 no passo "
                "warmup_steps, não antes.",
            ),
            Mistake(
                lambda step, warmup_steps: step // warmup_steps,
                "a divisão inteira, //, joga fora a parte que importa, e falta o limite em 1. Use a comum, /.",
            ),
            Mistake(
                lambda step, warmup_steps: min(1.0, step / 10),
                "10 não serve para todo aquecimento: divida por warmup_steps.",
            ),
            Mistake(
                lambda step, warmup_steps: min(1.0, step / (2 * warmup_steps)),
                "no fim do aquecimento o seu peso ainda é ½. Ele deve chegar a 1 no passo warmup_steps.",
            ),
        ),
        measure=on_cases((0, 10), (1, 10), (5, 10), (10, 10), (25, 10), (3, 4), (60, 200), (1, 1)),
        insight="O peso sobe em linha reta e para em 1, onde a perda volta a ser −ELBO.",
    ),
    Exercise(
        id="03.7",
        solution=(64, 0),
        mistakes=(
            Mistake(
                (1 / 64, 2),
                "β foi para o lado errado: multiplique a perda inteira por uma constante até que a reconstrução volte a ser a "
                "soma, e veja o que ficou na frente da KL. O treino deve ser com esse β.",
            ),
            Mistake(
                (1 / 64, 0),
                "as unidades ativas estão certas, e β foi para o lado errado: multiplique a perda inteira por uma constante "
                "até que a reconstrução volte a ser a soma.",
            ),
            Mistake(
                (64, 2),
                "β está certo, e as unidades ativas não são as do treino com ele. O β entrou na TrainConfig, e foi o modelo "
                "treinado que você mediu?",
            ),
            Mistake(
                (64, 1),
                "β está certo, e a contagem não é a do treino com ele: treine com as épocas, o passo e a rede do enunciado, "
                "e conte na validação.",
            ),
            Mistake(
                (1, 2),
                "esse é o par da perda certa, em que tudo se soma. Aqui a reconstrução foi dividida pelo número de pixels.",
            ),
            Mistake(
                (784, 0),
                "esse é o número de pixels das imagens de 28×28; o exercício treina nas pequenas.",
            ),
            Mistake(
                (0.5, 2),
                "esse é o β do exercício 03.5. Aqui a reconstrução não perdeu um ½: foi dividida pelo número de pixels.",
            ),
            Mistake((0, 64), "o par está trocado: primeiro β, depois as unidades ativas."),
        ),
        tolerance=1e-3,
        hint="Divida a conta em duas: primeiro o β, no papel; depois o treino com ele, e active_units(modelo, digits_val).",
        insight="Com a KL tão cara nenhum latente se paga, e toda imagem gerada é a mesma: a média dos dígitos.",
    ),
)
