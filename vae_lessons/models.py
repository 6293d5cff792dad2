"""O VAE: um codificador, um decodificador e a prior. Codificar e decodificar devolvem distribuições, nunca amostras."""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from vae_lessons.distributions import Bernoulli, Categorical, ContinuousBernoulli, Normal

Likelihood = Normal | Bernoulli | ContinuousBernoulli

_ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "silu": nn.SiLU, "gelu": nn.GELU}
_LIKELIHOODS = ("bernoulli", "gaussian", "continuous_bernoulli")


class VAE(nn.Module):
    """Autocodificador variacional (Kingma e Welling, 2014) com posterior normal fatorada e prior N(0, I).

    encoder: módulo x [..., D] → um tensor [..., 2Z], que é dividido ao meio em (mean, log_var), ou um par de
    tensores [..., Z] (duas cabeças) · decoder: módulo z [..., Z] → [..., D] ·
    likelihood: como ler a saída do decodificador.
        "bernoulli"             logits de pixels 0 ou 1
        "continuous_bernoulli"  logits de tons de cinza em [0, 1]
        "gaussian"              médias; a variância é um só parâmetro aprendido, `likelihood_log_var`, que começa em
                                log 1 = 0. Se o decodificador devolver um par, ele é lido como (mean, log_var).
        uma função              saída do decodificador → distribuição com `.log_prob`, `.sample` e `.mean`
    data_dim: D, se conhecido, para conferir a entrada com uma mensagem clara.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        *,
        latent_dim: int,
        likelihood: str | Callable[[Tensor], Likelihood] = "bernoulli",
        data_dim: int | None = None,
    ):
        super().__init__()
        if latent_dim < 1:
            raise ValueError(f"latent_dim deve ser um inteiro positivo, mas veio {latent_dim}.")
        if not callable(likelihood) and likelihood not in _LIKELIHOODS:
            raise ValueError(
                f"Verossimilhança desconhecida: {likelihood!r}. As que existem são: "
                f"{', '.join(map(repr, _LIKELIHOODS))} ou uma função que recebe a saída do decodificador e "
                "devolve uma distribuição."
            )
        self.encoder = encoder
        self.decoder = decoder
        self.latent_dim = latent_dim
        self.data_dim = data_dim
        self.likelihood = likelihood
        if likelihood == "gaussian":
            self.likelihood_log_var = nn.Parameter(torch.zeros(()))
        self.register_buffer("_zero", torch.zeros(latent_dim), persistent=False)

    @property
    def prior(self) -> Normal:
        """p(z) = N(0, I), com parâmetros de forma [Z]."""
        return Normal(self._zero, self._zero)

    def encode(self, x: Tensor) -> Normal:
        """q(z|x) para x [..., D] em ponto flutuante: Normal com parâmetros [..., Z].

        log σ² passa por `soft_bound`, e é esse valor que tanto a amostragem quanto a KL usam.
        Levanta TypeError para uint8 (falta `binarize`) e ValueError para formas que não casam.
        """
        if not x.is_floating_point():
            raise TypeError(
                f"O codificador espera ponto flutuante em [0, 1], mas recebeu {x.dtype}. "
                "Passe antes por binarize(x, ...)."
            )
        _require_last_dim("O codificador", x, self.data_dim, "D, pixels")
        weight = next(self.encoder.parameters(), x)
        if x.dtype != weight.dtype:
            raise TypeError(
                f"Os pixels são {x.dtype} e o codificador é {weight.dtype}. Converta um deles: x.float(), por exemplo, "
                "ou model.double()."
            )
        return self._posterior(self.encoder(x))

    def _posterior(self, output: Tensor | Sequence[Tensor]) -> Normal:
        """A saída do codificador como distribuição."""
        parts = tuple(output) if isinstance(output, tuple | list) else output.chunk(2, dim=-1)
        if [part.shape[-1] for part in parts] != [self.latent_dim] * 2:
            raise ValueError(
                f"O codificador deve devolver [..., {2 * self.latent_dim}] ou um par de [..., {self.latent_dim}] "
                f"(latent_dim = {self.latent_dim}), mas devolveu {_describe_shapes(output)}."
            )
        mean, log_var = parts
        return Normal(mean, soft_bound(log_var))

    def decode(self, z: Tensor) -> Likelihood:
        """p(x|z) para z [..., Z]: os parâmetros da distribuição dos pixels [..., D], não uma imagem."""
        _require_last_dim("O decodificador", z, self.latent_dim, "Z, latentes")
        output = self.decoder(z)
        if callable(self.likelihood):
            return self.likelihood(output)
        if self.likelihood == "bernoulli":
            return Bernoulli(output)
        if self.likelihood == "continuous_bernoulli":
            return ContinuousBernoulli(output)
        if isinstance(output, tuple | list):
            return Normal(*output)
        return Normal(output, self.likelihood_log_var.expand_as(output))

    @torch.no_grad()
    def sample(self, n: int, mean: bool = False, *, generator: torch.Generator | None = None) -> Tensor:
        """n imagens [n, D] com z ~ p(z): amostras de p(x|z) ou, com mean=True, a média de p(x|z), que não é amostra."""
        if n < 1:
            raise ValueError(f"n, o número de imagens a gerar, deve ser ao menos 1, mas veio {n}.")
        prior = type(self.prior)(*(parameter.expand(n, *parameter.shape) for parameter in self.prior))
        likelihood = self.decode(prior.sample(generator))
        return likelihood.mean if mean else likelihood.sample(generator)


class CategoricalVAE(VAE):
    """VAE de latentes discretos: N categóricas de K classes, com prior uniforme (Jang, Gu e Poole, 2017).

    encoder: módulo x [..., D] → logits [..., N·K] · decoder: módulo z [..., N·K] → [..., D] ·
    likelihood, data_dim: como em VAE.
    Os latentes têm forma [..., N, K]: one-hot, ou no interior do simplex se relaxados.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        *,
        n_latents: int,
        n_classes: int,
        likelihood: str | Callable[[Tensor], Likelihood] = "bernoulli",
        data_dim: int | None = None,
    ):
        _require_classes(n_latents, n_classes)
        super().__init__(encoder, decoder, latent_dim=n_latents * n_classes, likelihood=likelihood, data_dim=data_dim)
        self.n_latents = n_latents
        self.n_classes = n_classes

    @property
    def prior(self) -> Categorical:
        """p(z): uniforme em cada uma das N categóricas, com logits [N, K]."""
        return Categorical(self._zero.unflatten(-1, (self.n_latents, self.n_classes)))

    def decode(self, z: Tensor) -> Likelihood:
        """p(x|z) para z [..., N, K]: os parâmetros da distribuição dos pixels [..., D], não uma imagem."""
        shape = (self.n_latents, self.n_classes)
        if z.shape[-2:] != shape:
            raise ValueError(
                f"O decodificador espera z de forma [..., {shape[0]}, {shape[1]}] (N categóricas, K classes), mas veio "
                f"{tuple(z.shape)}. Se vierem índices de classes [..., N], passe-os por torch.nn.functional.one_hot."
            )
        return super().decode(z.flatten(-2))

    def _posterior(self, output: Tensor) -> Categorical:
        if not isinstance(output, Tensor) or output.shape[-1] != self.latent_dim:
            raise ValueError(
                f"O codificador deve devolver [..., {self.latent_dim}], os logits de n_latents = {self.n_latents} "
                f"categóricas de n_classes = {self.n_classes} classes, mas devolveu {_describe_shapes(output)}."
            )
        return Categorical(output.unflatten(-1, (self.n_latents, self.n_classes)))


def mlp_vae(
    data_dim: int,
    latent_dim: int,
    hidden: Sequence[int] = (256, 128),
    *,
    likelihood: str | Callable[[Tensor], Likelihood] = "bernoulli",
    activation: str = "relu",
) -> VAE:
    """VAE de camadas densas: D → hidden → 2Z no codificador e o espelho dele, Z → hidden invertido → D.

    A última camada do codificador dá (mean, log_var) lado a lado; duas cabeças Linear separadas fariam a mesma conta.
    O decodificador termina em logits (ou médias, para "gaussian"), sem sigmoide.
    """
    sizes = (data_dim, *hidden)
    if min(*sizes, latent_dim) < 1:
        raise ValueError(
            f"Toda camada precisa de ao menos uma unidade, mas vieram {sizes} e latent_dim = {latent_dim}."
        )
    encoder = _mlp((*sizes, 2 * latent_dim), activation)
    decoder = _mlp((latent_dim, *reversed(sizes)), activation)
    return VAE(encoder, decoder, latent_dim=latent_dim, likelihood=likelihood, data_dim=data_dim)


def conv_vae(
    image_shape: Sequence[int],
    latent_dim: int,
    channels: Sequence[int] = (32, 64),
    *,
    likelihood: str | Callable[[Tensor], Likelihood] = "bernoulli",
    activation: str = "relu",
) -> VAE:
    """VAE convolucional: em cada nível, núcleos 4×4 de passo 2 dividem a altura e a largura por dois; no decodificador,
    convoluções transpostas as devolvem (a arquitetura de Burgess et al., 2018, apêndice A.1, com menos camadas).

    image_shape: (H, W), como em Dataset.image_shape, com H e W ≥ 2^níveis; as imagens entram e saem como linhas
    [..., D], D = H·W, e um tamanho ímpar volta ao que era · channels: os canais de cada nível. Codificador:
    [D] → [1, H, W] → [C₁, H/2, W/2] → [C₂, H/4, W/4] → [2Z], com a divisão arredondada para baixo. O decodificador é o
    espelho e termina em logits (ou médias, para "gaussian") · likelihood, activation: como em mlp_vae.
    Levanta ValueError se image_shape não for um par de inteiros grande o bastante, ou se uma camada ficar vazia.
    """
    height, width = _require_image_shape(image_shape, len(channels))
    if not channels or min(*channels, latent_dim) < 1:
        raise ValueError(
            "São precisos ao menos um nível, um canal em cada um e um latente, mas vieram channels = "
            f"{tuple(channels)} e latent_dim = {latent_dim}."
        )
    sizes = [(height >> level, width >> level) for level in range(len(channels) + 1)]
    down, up = [], []
    for (n_in, n_out), size in zip(pairwise((1, *channels)), sizes, strict=False):
        odd = tuple(side % 2 for side in size)  # a linha ou a coluna que a divisão por dois esqueceu
        down += [nn.Conv2d(n_in, n_out, 4, stride=2, padding=1), _activation(activation)]
        up = [
            _activation(activation),
            nn.ConvTranspose2d(n_out, n_in, 4, stride=2, padding=1, output_padding=odd),
            *up,
        ]
    code = (channels[-1], *sizes[-1])
    encoder = _OnRows(
        nn.Unflatten(1, (1, height, width)), *down, nn.Flatten(), nn.Linear(math.prod(code), 2 * latent_dim)
    )
    decoder = _OnRows(nn.Linear(latent_dim, math.prod(code)), nn.Unflatten(1, code), *up, nn.Flatten())
    return VAE(encoder, decoder, latent_dim=latent_dim, likelihood=likelihood, data_dim=height * width)


class _OnRows(nn.Sequential):
    """Leva [..., n] a [..., m] por camadas que só aceitam um lote de linhas, [B, n]: as convoluções."""

    def forward(self, rows: Tensor) -> Tensor:
        output = super().forward(rows.reshape(-1, rows.shape[-1]))
        return output.reshape(*rows.shape[:-1], output.shape[-1])


def categorical_vae(
    data_dim: int,
    n_latents: int,
    n_classes: int,
    hidden: Sequence[int] = (256, 128),
    *,
    likelihood: str | Callable[[Tensor], Likelihood] = "bernoulli",
    activation: str = "relu",
) -> CategoricalVAE:
    """VAE categórico de camadas densas: D → hidden → N·K logits, e o espelho no decodificador, N·K → D.

    Treina-se com um estimador que sirva para latentes discretos: gumbel_softmax, straight_through, score_function.
    """
    _require_classes(n_latents, n_classes)
    sizes = (data_dim, *hidden)
    if min(sizes) < 1:
        raise ValueError(f"Toda camada precisa de ao menos uma unidade, mas vieram {sizes}.")
    code = n_latents * n_classes
    encoder = _mlp((*sizes, code), activation)
    decoder = _mlp((code, *reversed(sizes)), activation)
    return CategoricalVAE(
        encoder, decoder, n_latents=n_latents, n_classes=n_classes, likelihood=likelihood, data_dim=data_dim
    )


def soft_bound(log_var: Tensor, linear: float = 10.0, margin: float = 2.0) -> Tensor:
    """Identidade em [−linear, linear]; daí em diante satura suavemente em ±(linear + margin).

    Evita que exp(log σ²) transborde no começo do treino sem mudar nada na faixa em que os modelos vivem.
    """
    inside = log_var.clamp(-linear, linear)
    return inside + margin * torch.tanh((log_var - inside) / margin)


def _mlp(sizes: Sequence[int], activation: str) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), _activation(activation)]
    return nn.Sequential(*layers[:-1])


def _activation(name: str) -> nn.Module:
    if name not in _ACTIVATIONS:
        raise ValueError(f"Ativação desconhecida: {name!r}. As que existem são: {', '.join(map(repr, _ACTIVATIONS))}.")
    return _ACTIVATIONS[name]()


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Dentro do bloco, sem gradiente e em modo de avaliação (dropout e afins parados)."""
    with mode(model, training=False), torch.no_grad():
        yield


@contextlib.contextmanager
def mode(model: nn.Module, *, training: bool) -> Iterator[None]:
    """Modo de treino ou de avaliação dentro do bloco; ao sair, cada módulo volta ao modo que tinha."""
    before = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, was_training in before:
            module.training = was_training


def _describe_shapes(output) -> str:
    if isinstance(output, tuple | list):
        return "uma sequência de " + " e ".join(str(tuple(part.shape)) for part in output)
    return str(tuple(output.shape))


def _require_classes(n_latents: int, n_classes: int) -> None:
    if n_latents < 1 or n_classes < 2:
        raise ValueError(
            "Um VAE categórico precisa de n_latents ≥ 1 categóricas de n_classes ≥ 2 classes, mas vieram "
            f"n_latents = {n_latents} e n_classes = {n_classes}."
        )


def _require_image_shape(image_shape: Sequence[int], n_levels: int) -> tuple[int, int]:
    is_pair = isinstance(image_shape, tuple | list) and len(image_shape) == 2
    if not is_pair or not all(isinstance(side, int) for side in image_shape) or min(image_shape) < 2**n_levels:
        raise ValueError(
            "image_shape deve ser um par de inteiros (altura, largura), como data.image_shape, com cada lado ≥ "
            f"{2**n_levels} (2^{n_levels}, porque cada um dos {n_levels} níveis de channels o divide por dois), mas "
            f"veio {image_shape!r}."
        )
    return tuple(image_shape)


def _require_last_dim(who: str, value: Tensor, expected: int | None, meaning: str) -> None:
    if expected is not None and value.shape[-1] != expected:
        raise ValueError(
            f"{who} espera a última dimensão de tamanho {expected} ({meaning}), "
            f"mas a entrada tem forma {tuple(value.shape)}."
        )
