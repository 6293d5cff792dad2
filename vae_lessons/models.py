"""O VAE: um codificador, um decodificador e a prior. Codificar e decodificar devolvem distribuições, nunca amostras."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from numbers import Integral

import torch
from torch import Tensor, nn

from vae_lessons.counts import require_count
from vae_lessons.distributions import (
    Bernoulli,
    Categorical,
    ContinuousBernoulli,
    Normal,
    draw,
    draws,
    unvalidated,
)
from vae_lessons.priors import GivenPrior, map_tensors, require_prior

Likelihood = Normal | Bernoulli | ContinuousBernoulli

_ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "silu": nn.SiLU, "gelu": nn.GELU}
_LIKELIHOODS = ("bernoulli", "gaussian", "continuous_bernoulli")
_ROWS_FOR_A_VARIANCE = 10_000
_USUAL_COLUMNS = 1024
_COLUMNS_AT_ONCE = 2**21  # números que uma rede lê ou escreve de uma vez, quando se mede
_CONVERSIONS = {
    torch.float16: "half()",
    torch.bfloat16: "bfloat16()",
    torch.float32: "float()",
    torch.float64: "double()",
}


class VAE(nn.Module):
    """Autocodificador variacional (Kingma e Welling, 2014), com posterior normal fatorada e prior N(0, I) se não se
    pedirem outras.

    encoder: módulo x [B, D] → um tensor [B, 2Z], que é dividido ao meio em (mean, log_var), ou um par de tensores
    [B, Z] (duas cabeças). Se devolver uma distribuição pronta, com `log_prob` e `rsample` ou `sample`, ela é a
    posterior · decoder: módulo z [B, Z] → [B, D]. Os dois só veem lotes de linhas: podem ter convoluções e BatchNorm ·
    likelihood: como ler a saída do decodificador.
        "bernoulli"             logits de pixels 0 ou 1
        "continuous_bernoulli"  logits de tons de cinza em [0, 1]
        "gaussian"              médias; a variância é um só parâmetro aprendido, `likelihood_log_var`, que `fit` começa
                                pela dos dados (ver start_from). Se o decodificador devolver um par, ele é lido como
                                (mean, log_var).
        uma função              saída do decodificador → distribuição com `.log_prob`, `.sample` e `.mean`, daqui ou de
                                torch.distributions, que aqui não confere os parâmetros
    prior: p(z), com `log_prob(z [..., Z])`, que dá [..., Z] se fatorar nas dimensões e [...] se não, e `sample((n,))`
    ou `rsample((n,))` → [n, Z]: uma NamedTuple de parâmetros [Z], uma distribuição do torch, ou um nn.Module, cujos
    pesos são treinados junto com os do modelo (None: N(0, I)) · data_dim: D, se conhecido, para conferir a entrada.
    Levanta TypeError ou ValueError se os argumentos não servirem.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        *,
        latent_dim: int,
        likelihood: str | Callable[[Tensor], Likelihood] = "bernoulli",
        prior=None,
        data_dim: int | None = None,
    ):
        super().__init__()
        latent_dim = require_count("latent_dim", latent_dim, ", o número de dimensões de z")
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
        if isinstance(prior, nn.Module):
            require_prior(prior)
            self._modules["prior"] = prior
        elif prior is not None:
            self._given_prior = GivenPrior(prior, self.latent_shape)

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """A forma de um z: (Z,)."""
        return (self.latent_dim,)

    @property
    def prior(self):
        """p(z): a que se deu ao modelo, ou a padrão, com parâmetros de forma `latent_shape`."""
        if "prior" in self._modules:
            return self._modules["prior"]
        return self._given_prior() if "_given_prior" in self._modules else self._default_prior()

    def _default_prior(self) -> Normal:
        return Normal(self._zero, self._zero)

    def encode(self, x: Tensor) -> Normal:
        """q(z|x) para x [..., D]: Normal com parâmetros [..., Z], ou a distribuição que o codificador devolver.

        log σ² passa por `soft_bound`, e é esse valor que tanto a amostragem quanto a KL usam.
        Levanta TypeError para uint8 (falta `binarize`) e para outro tipo que não o do modelo, e ValueError para formas
        que não casam.
        """
        _require_input("O codificador", "x", x, self.encoder)
        if x.dtype == torch.uint8:
            raise TypeError(
                f"O codificador espera ponto flutuante em [0, 1], mas recebeu {x.dtype}. "
                "Passe antes por binarize(x, ...)."
            )
        _require_last_dim("O codificador", x, self.data_dim, "D, colunas")
        return self._posterior(_on_rows("O codificador", self.encoder, x, x.shape[-1]))

    def _posterior(self, output):
        """A saída do codificador como distribuição."""
        if hasattr(output, "log_prob") and not isinstance(output, Normal):
            return output
        halves = isinstance(output, Tensor) and output.ndim > 0 and output.shape[-1] == 2 * self.latent_dim
        parts = output.chunk(2, dim=-1) if halves else output
        if not _are_tensors(parts) or [part.shape[-1:] for part in parts] != [(self.latent_dim,)] * 2:
            raise ValueError(
                f"O codificador deve devolver [..., {2 * self.latent_dim}] ou um par de [..., {self.latent_dim}] "
                f"(latent_dim = {self.latent_dim}), mas devolveu {_describe(output)}."
            )
        mean, log_var = parts
        return Normal(mean, soft_bound(log_var))

    def decode(self, z: Tensor) -> Likelihood:
        """p(x|z) para z [..., Z]: os parâmetros da distribuição das colunas de x [..., D], não uma imagem.

        O decodificador vê z como um lote de linhas [B, Z], sejam quantas forem as dimensões à frente, que voltam na
        saída. Levanta TypeError ou ValueError se z não servir ou se ele não devolver uma linha por z.
        """
        _require_input("O decodificador", "z", z, self.decoder)
        _require_last_dim("O decodificador", z, self.latent_dim, "Z, latentes")
        output = _on_rows("O decodificador", self.decoder, z, self.data_dim or _USUAL_COLUMNS)
        if callable(self.likelihood):
            with unvalidated():
                return self.likelihood(output)
        if self.likelihood == "gaussian" and _are_tensors(output) and len(output) == 2:
            return Normal(*output)
        if not isinstance(output, Tensor):
            raise TypeError(
                f"Com likelihood={self.likelihood!r}, o decodificador deve devolver um tensor [..., D], mas devolveu "
                f"{_describe(output)}."
            )
        if self.likelihood == "gaussian":
            return Normal(output, self.likelihood_log_var.expand_as(output))
        return Bernoulli(output) if self.likelihood == "bernoulli" else ContinuousBernoulli(output)

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """O que o treino tira dos dados antes de começar: a variância de uma verossimilhança "gaussian".

        x: [N, D], como em Dataset.x; uint8 conta como tons de cinza. Se ninguém mexeu em likelihood_log_var, que nasce
        0, ela vira o log da variância média das colunas, que é a melhor para um decodificador que ainda ignora z. Com
        σ = 1, imagens em [0, 1] seriam só ruído, e nenhum latente valeria o que a KL cobra. O treino segue daí, com σ
        como um peso qualquer (o σ-VAE de Rybkin, Daniilidis e Levine, 2021).
        """
        if self.likelihood != "gaussian" or self.likelihood_log_var != 0:
            return
        rows = x[:: math.ceil(len(x) / _ROWS_FOR_A_VARIANCE)]
        rows = rows.float() / 255 if rows.dtype == torch.uint8 else rows.to(self.likelihood_log_var.dtype)
        variance = rows.var(0, correction=0).mean()
        if variance > 0:
            self.likelihood_log_var.copy_(variance.log())

    def sample(self, n: int, mean: bool = False, *, generator: torch.Generator | None = None) -> Tensor:
        """n exemplos [n, D] com z ~ p(z): amostras de p(x|z) ou, com mean=True, a média de p(x|z), que não é amostra.

        Em modo de avaliação, qualquer que seja o do modelo, que fica como estava.
        Levanta ValueError se n < 1 ou se a prior não der amostras [n, Z], e TypeError se n não for inteiro.
        """
        n = require_count("n, o número de exemplos a gerar,", n, "")
        prior = self.prior
        with evaluating(self):
            z = draws(prior, n, generator)
            if z.shape != (n, *self.latent_shape):
                raise ValueError(
                    f"A prior ({type(prior).__name__}) deve dar, em sample(({n},)), amostras de z de forma "
                    f"{(n, *self.latent_shape)}, mas deu {tuple(z.shape)}."
                )
            likelihood = self.decode(z.to(self._zero))
            return likelihood.mean if mean else draw(likelihood, generator)


class CategoricalVAE(VAE):
    """VAE de latentes discretos: N categóricas de K classes (Jang, Gu e Poole, 2017), com prior uniforme se não se
    pedir outra.

    encoder: módulo x [B, D] → logits [B, N·K] · decoder: módulo z [B, N·K] → [B, D] ·
    likelihood, prior, data_dim: como em VAE, com z [..., N, K] no lugar de [..., Z].
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
        prior=None,
        data_dim: int | None = None,
    ):
        _require_classes(n_latents, n_classes)
        self.n_latents = int(n_latents)
        self.n_classes = int(n_classes)
        super().__init__(
            encoder,
            decoder,
            latent_dim=self.n_latents * self.n_classes,
            likelihood=likelihood,
            prior=prior,
            data_dim=data_dim,
        )

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """A forma de um z: (N, K)."""
        return (self.n_latents, self.n_classes)

    def _default_prior(self) -> Categorical:
        return Categorical(self._zero.unflatten(-1, self.latent_shape))

    def decode(self, z: Tensor) -> Likelihood:
        """p(x|z) para z [..., N, K]: os parâmetros da distribuição das colunas de x [..., D], não uma imagem."""
        if isinstance(z, Tensor) and z.shape[-2:] != self.latent_shape:
            raise ValueError(
                f"O decodificador espera z de forma [..., {self.n_latents}, {self.n_classes}] (N categóricas, K "
                f"classes), mas veio {tuple(z.shape)}. Se vierem índices de classes [..., N], passe-os por "
                f"torch.nn.functional.one_hot(z, {self.n_classes}).float()."
            )
        return super().decode(z.flatten(-2) if isinstance(z, Tensor) else z)

    def _posterior(self, output):
        if hasattr(output, "log_prob"):
            return output
        if not isinstance(output, Tensor) or output.shape[-1:] != (self.latent_dim,):
            raise ValueError(
                f"O codificador deve devolver [..., {self.latent_dim}], os logits de n_latents = {self.n_latents} "
                f"categóricas de n_classes = {self.n_classes} classes, mas devolveu {_describe(output)}."
            )
        return Categorical(output.unflatten(-1, self.latent_shape))


def mlp_vae(
    data_dim: int,
    latent_dim: int,
    hidden: Sequence[int] = (256, 128),
    *,
    likelihood: str | Callable[[Tensor], Likelihood] = "bernoulli",
    activation: str = "relu",
    prior=None,
) -> VAE:
    """VAE de camadas densas: D → hidden → 2Z no codificador e o espelho dele, Z → hidden invertido → D.

    A última camada do codificador dá (mean, log_var) lado a lado; duas cabeças Linear separadas fariam a mesma conta.
    O decodificador termina em logits (ou médias, para "gaussian"), sem sigmoide.
    likelihood, prior: como em VAE · activation: "relu", "tanh", "silu" ou "gelu".
    Levanta TypeError ou ValueError se os argumentos não servirem.
    """
    sizes = _layer_sizes(data_dim, hidden)
    latent_dim = require_count("latent_dim", latent_dim, ": toda camada precisa de ao menos uma unidade")
    encoder = _mlp((*sizes, 2 * latent_dim), activation)
    decoder = _mlp((latent_dim, *reversed(sizes)), activation)
    return VAE(encoder, decoder, latent_dim=latent_dim, likelihood=likelihood, prior=prior, data_dim=sizes[0])


def conv_vae(
    image_shape: Sequence[int],
    latent_dim: int,
    channels: Sequence[int] = (32, 64),
    *,
    likelihood: str | Callable[[Tensor], Likelihood] = "bernoulli",
    activation: str = "relu",
    prior=None,
) -> VAE:
    """VAE convolucional: em cada nível, núcleos 4×4 de passo 2 dividem a altura e a largura por dois; no decodificador,
    convoluções transpostas as devolvem (a arquitetura de Burgess et al., 2018, apêndice A.1, com menos camadas).

    image_shape: (H, W), como em Dataset.image_shape, com H e W ≥ 2^níveis; as imagens entram e saem como linhas
    [..., D], D = H·W, e um tamanho ímpar volta ao que era · channels: os canais de cada nível. Codificador:
    [D] → [1, H, W] → [C₁, H/2, W/2] → [C₂, H/4, W/4] → [2Z], com a divisão arredondada para baixo. O decodificador é o
    espelho e termina em logits (ou médias, para "gaussian") · likelihood, activation, prior: como em mlp_vae.
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
    encoder = nn.Sequential(
        nn.Unflatten(1, (1, height, width)), *down, nn.Flatten(), nn.Linear(math.prod(code), 2 * latent_dim)
    )
    decoder = nn.Sequential(nn.Linear(latent_dim, math.prod(code)), nn.Unflatten(1, code), *up, nn.Flatten())
    return VAE(encoder, decoder, latent_dim=latent_dim, likelihood=likelihood, prior=prior, data_dim=height * width)


def categorical_vae(
    data_dim: int,
    n_latents: int,
    n_classes: int,
    hidden: Sequence[int] = (256, 128),
    *,
    likelihood: str | Callable[[Tensor], Likelihood] = "bernoulli",
    activation: str = "relu",
    prior=None,
) -> CategoricalVAE:
    """VAE categórico de camadas densas: D → hidden → N·K logits, e o espelho no decodificador, N·K → D.

    Treina-se com um estimador que sirva para latentes discretos: gumbel_softmax, straight_through, score_function.
    likelihood, activation, prior: como em mlp_vae. Levanta TypeError ou ValueError se os argumentos não servirem.
    """
    _require_classes(n_latents, n_classes)
    sizes = _layer_sizes(data_dim, hidden)
    code = n_latents * n_classes
    encoder = _mlp((*sizes, code), activation)
    decoder = _mlp((code, *reversed(sizes)), activation)
    return CategoricalVAE(
        encoder,
        decoder,
        n_latents=n_latents,
        n_classes=n_classes,
        likelihood=likelihood,
        prior=prior,
        data_dim=sizes[0],
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


def _on_rows(who: str, network: nn.Module, rows: Tensor, n_columns: int):
    """`network`, que leva um lote de linhas [M, n] a [M, ...], aplicada a [..., n]: as dimensões da frente viram uma
    só, e voltam na saída. n_columns: D, que diz quantas linhas vão de uma vez à rede quando se mede."""
    batch_shape, n_rows = rows.shape[:-1], rows.shape[:-1].numel()
    try:
        with unvalidated():
            output = _in_blocks(network, rows if rows.ndim == 2 else rows.reshape(n_rows, rows.shape[-1]), n_columns)
    except RuntimeError as error:
        if rows.is_floating_point():
            raise
        raise TypeError(
            f"{who} recebeu {rows.dtype}, que as camadas dele não aceitam. Se são números, converta com x.float(); se "
            f"são índices, como os de palavras, comece a rede por torch.nn.Embedding. O torch disse: {error}"
        ) from error

    def give_back(_, part: Tensor) -> Tensor:
        if part.ndim == 0 or len(part) != n_rows:
            raise ValueError(
                f"{who} deve devolver uma linha para cada exemplo, mas de {n_rows} linhas devolveu {_describe(output)}."
            )
        return part if rows.ndim == 2 else part.reshape(*batch_shape, *part.shape[1:])

    if rows.ndim != 2 and hasattr(output, "log_prob") and not isinstance(output, tuple):
        raise TypeError(
            f"{who} devolveu {type(output).__name__}, que não se sabe repartir por {tuple(batch_shape)} exemplos. "
            "Passe um lote de linhas [B, n]."
        )
    return map_tensors(output, give_back)


def _in_blocks(network: nn.Module, rows: Tensor, n_columns: int):
    """network(rows). Sem gradiente e em modo de avaliação, quando uma linha não depende das outras, vão poucas por vez,
    e o que a rede guarda no meio do caminho cabe na memória."""
    size = max(1, _COLUMNS_AT_ONCE // n_columns)
    if len(rows) <= size or torch.is_grad_enabled() or any(module.training for module in network.modules()):
        return network(rows)
    first, *others = rows.split(size)
    output = network(first)
    if not isinstance(output, Tensor | tuple | list | Mapping):
        return network(rows)
    return _joined([output, *(network(block) for block in others)])


def _joined(outputs: Sequence):
    """As saídas de vários blocos de linhas, como uma só."""
    first = outputs[0]
    if isinstance(first, Tensor):
        return torch.cat(outputs)
    if isinstance(first, Mapping):
        return {key: _joined([output[key] for output in outputs]) for key in first}
    parts = map(_joined, zip(*outputs, strict=True))
    return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)


def _are_tensors(parts) -> bool:
    return isinstance(parts, tuple | list) and all(isinstance(part, Tensor) for part in parts)


def _describe(output) -> str:
    if isinstance(output, Tensor):
        return f"um tensor de forma {tuple(output.shape)}"
    if isinstance(output, Mapping):
        return f"um dicionário, com as chaves {', '.join(map(repr, output))}"
    if isinstance(output, tuple | list):
        return "uma sequência de " + " e ".join(map(_describe, output))
    return type(output).__name__


def _layer_sizes(data_dim: int, hidden: Sequence[int]) -> tuple[int, ...]:
    """(D, *hidden), conferidos."""
    if not isinstance(hidden, Sequence) or isinstance(hidden, str):
        raise TypeError(f"hidden deve ser uma sequência de inteiros, como (256, 128), mas veio {hidden!r}.")
    why = ": toda camada precisa de ao menos uma unidade"
    return tuple(require_count("Cada tamanho em (data_dim, *hidden)", size, why) for size in (data_dim, *hidden))


def _require_classes(n_latents: int, n_classes: int) -> None:
    are_integers = isinstance(n_latents, Integral) and isinstance(n_classes, Integral)
    if not are_integers or n_latents < 1 or n_classes < 2:
        raise ValueError(
            "Um VAE categórico precisa de n_latents ≥ 1 categóricas de n_classes ≥ 2 classes, mas vieram "
            f"n_latents = {n_latents} e n_classes = {n_classes}."
        )


def _require_image_shape(image_shape: Sequence[int], n_levels: int) -> tuple[int, int]:
    is_pair = isinstance(image_shape, tuple | list) and len(image_shape) == 2
    if not is_pair or not all(isinstance(side, Integral) for side in image_shape) or min(image_shape) < 2**n_levels:
        raise ValueError(
            "image_shape deve ser um par de inteiros (altura, largura), como data.image_shape, com cada lado ≥ "
            f"{2**n_levels} (2^{n_levels}, porque cada um dos {n_levels} níveis de channels o divide por dois), mas "
            f"veio {image_shape!r}."
        )
    return int(image_shape[0]), int(image_shape[1])


def _require_input(who: str, name: str, value: Tensor, network: nn.Module) -> None:
    """Um tensor, no dispositivo e, se for de ponto flutuante, no tipo dos pesos da rede."""
    if not isinstance(value, Tensor):
        advice = f" Use torch.from_numpy({name})." if type(value).__module__ == "numpy" else ""
        raise TypeError(f"{who} espera um tensor {name}, mas veio {type(value).__name__}.{advice}")
    if value.ndim == 0:
        raise ValueError(f"{who} espera {name} com ao menos uma dimensão, a das colunas, mas veio um escalar.")
    weight = next(network.parameters(), value)
    if value.is_floating_point() and weight.is_floating_point() and value.dtype != weight.dtype:
        to_weight, to_value = (_CONVERSIONS.get(dtype, f"to({dtype})") for dtype in (weight.dtype, value.dtype))
        raise TypeError(
            f"{name} é {value.dtype} e os pesos do modelo são {weight.dtype}. Converta os dados, com "
            f"{name}.{to_weight}, ou o modelo, com model.{to_value}."
        )
    if value.device != weight.device:
        raise ValueError(
            f"{name} está em {str(value.device)!r} e o modelo em {str(weight.device)!r}. Leve os dados ao modelo, com "
            f"{name}.to({str(weight.device)!r})."
        )


def _require_last_dim(who: str, value: Tensor, expected: int | None, meaning: str) -> None:
    if expected is not None and value.shape[-1] != expected:
        raise ValueError(
            f"{who} espera a última dimensão de tamanho {expected} ({meaning}), "
            f"mas a entrada tem forma {tuple(value.shape)}."
        )
