"""O VAE: um codificador, um decodificador e a prior. Codificar e decodificar devolvem distribuições, nunca amostras."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from vae_lessons.distributions import Bernoulli, ContinuousBernoulli, Normal

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
        output = self.encoder(x)
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
        prior = Normal(self.prior.mean.expand(n, -1), self.prior.log_var.expand(n, -1))
        likelihood = self.decode(prior.sample(generator))
        return likelihood.mean if mean else likelihood.sample(generator)


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
    if activation not in _ACTIVATIONS:
        raise ValueError(
            f"Ativação desconhecida: {activation!r}. As que existem são: {', '.join(map(repr, _ACTIVATIONS))}."
        )
    sizes = (data_dim, *hidden)
    if min(*sizes, latent_dim) < 1:
        raise ValueError(
            f"Toda camada precisa de ao menos uma unidade, mas vieram {sizes} e latent_dim = {latent_dim}."
        )
    encoder = _mlp((*sizes, 2 * latent_dim), _ACTIVATIONS[activation])
    decoder = _mlp((latent_dim, *reversed(sizes)), _ACTIVATIONS[activation])
    return VAE(encoder, decoder, latent_dim=latent_dim, likelihood=likelihood, data_dim=data_dim)


def soft_bound(log_var: Tensor, linear: float = 10.0, margin: float = 2.0) -> Tensor:
    """Identidade em [−linear, linear]; daí em diante satura suavemente em ±(linear + margin).

    Evita que exp(log σ²) transborde no começo do treino sem mudar nada na faixa em que os modelos vivem.
    """
    inside = log_var.clamp(-linear, linear)
    return inside + margin * torch.tanh((log_var - inside) / margin)


def _mlp(sizes: Sequence[int], activation: type[nn.Module]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), activation()]
    return nn.Sequential(*layers[:-1])


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


def _require_last_dim(who: str, value: Tensor, expected: int | None, meaning: str) -> None:
    if expected is not None and value.shape[-1] != expected:
        raise ValueError(
            f"{who} espera a última dimensão de tamanho {expected} ({meaning}), "
            f"mas a entrada tem forma {tuple(value.shape)}."
        )
