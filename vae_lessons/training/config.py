"""O que define um treino, além do modelo e dos dados."""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from numbers import Integral, Real

import torch

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}
"""Agem peso a peso, e tudo o que guardam começa em zero."""

BACKENDS = ("auto", "eager", "graph")
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class TrainConfig:
    """Tudo o que define um treino além do modelo e dos dados.

    epochs, batch_size, lr: como de costume; sob torchrun, batch_size é o do lote inteiro, que os processos repartem ·
    optimizer: "adam", "adamw", "rmsprop" ou "sgd", ou uma função (parâmetros, lr=...) → otimizador, como
    functools.partial(torch.optim.Adam, eps=1e-4) ·
    beta: peso final da KL · beta_warmup: épocas em que o peso sobe em linha reta de 0 a beta (KL annealing;
    Bowman et al., 2016) · binarize: o que fazer das imagens uint8: "dynamic", "static" ou "none" (ver data.binarize);
    os outros dados ficam como são · seed: governa a ordem dos exemplos, a binarização e o ruído, não os pesos iniciais
    do modelo · device: "auto", "cpu", "cuda", ... ·
    backend: como os passos são dados, o que muda a velocidade e não o resultado: "eager", um a um; "graph", vários por
    vez, gravados num grafo CUDA, que repete as contas sem chamar de novo o objetivo (o que este contar em Python não
    anda: use schedules); "auto": "graph" em CUDA, num processo só, e "eager" no resto ·
    precision: "float32", ou "bfloat16" para as redes, com os pesos e o que se mede em float32, onde o dispositivo tem
    instruções para isso ·
    patience: para depois de tantas épocas sem melhora da ELBO (ou, se o objetivo não tiver `elbo`, da perda), na
    validação se houver, e devolve os melhores pesos; não conta durante o aquecimento (None: nunca para) ·
    checkpoint: arquivo em que o treino é gravado ao fim das épocas, para que fit(..., resume=True) possa continuá-lo
    (None: não grava). Um processo morto de repente perde, no pior caso, as épocas do tempo de 20 gravações;
    interrompido pelo teclado ou por um erro, só a época em curso. O que o objetivo guardar fora do modelo se perde.
    """

    epochs: int = 20
    batch_size: int = 128
    lr: float = 1e-3
    optimizer: str | Callable = "adam"
    beta: float = 1.0
    beta_warmup: int = 0
    binarize: str = "dynamic"
    seed: int = 0
    device: str = "auto"
    backend: str = "auto"
    precision: str = "float32"
    patience: int | None = None
    checkpoint: str | os.PathLike | None = None

    def __post_init__(self):
        for name, value in ((field.name, getattr(self, field.name)) for field in fields(self)):
            if isinstance(value, Real) and hasattr(value, "item"):  # do NumPy: nem o checkpoint nem o JSON os guardam
                object.__setattr__(self, name, value.item())
        for name in ("epochs", "batch_size"):
            _require_integer(name, getattr(self, name), at_least=1)
        _require_integer("beta_warmup", self.beta_warmup, at_least=0)
        _require_integer("seed", self.seed, at_least=0)
        if self.patience is not None:
            _require_integer("patience", self.patience, at_least=1)
        if not (isinstance(self.lr, Real) and 0 < self.lr < math.inf):
            raise ValueError(f"lr (a taxa de aprendizado) deve ser um número maior que zero, mas veio {self.lr!r}.")
        if not callable(self.optimizer) and self.optimizer not in OPTIMIZERS:
            raise ValueError(
                f"Otimizador desconhecido: {self.optimizer!r}. Os que existem são: {', '.join(map(repr, OPTIMIZERS))}, "
                "ou uma função que recebe os parâmetros e lr."
            )
        if self.backend not in BACKENDS:
            raise ValueError(f"backend deve ser {_or(BACKENDS)}, mas veio {self.backend!r}.")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision deve ser {_or(PRECISIONS)}, mas veio {self.precision!r}.")
        if not (isinstance(self.beta, Real) and 0 <= self.beta < math.inf):
            raise ValueError(f"beta (o peso da KL) deve ser um número ≥ 0, mas veio {self.beta!r}.")
        if self.beta_warmup > self.epochs:
            raise ValueError(
                f"beta_warmup deve ficar entre 0 e epochs = {self.epochs}, mas veio {self.beta_warmup}: com um "
                "aquecimento mais longo que o treino, o peso da KL nunca chegaria a beta. Aumente epochs ou encurte-o."
            )
        if self.binarize not in ("dynamic", "static", "none"):
            raise ValueError(f"binarize deve ser 'dynamic', 'static' ou 'none', mas veio {self.binarize!r}.")
        if not isinstance(self.checkpoint, str | os.PathLike | None) or self.checkpoint == "":
            raise ValueError(f"checkpoint deve ser o caminho de um arquivo, ou None, mas veio {self.checkpoint!r}.")


def require_config(config) -> None:
    """Levanta TypeError se, no lugar de uma TrainConfig, veio outra coisa."""
    if not isinstance(config, TrainConfig):
        hint = f"TrainConfig(epochs={config})" if isinstance(config, Integral) else "TrainConfig(epochs=..., lr=...)"
        raise TypeError(f"config deve ser uma TrainConfig, mas veio {config!r}. Use, por exemplo, {hint}.")


def choose_backend(name: str, device: torch.device, *, n_processes: int = 1) -> str:
    """ "auto" é "graph" num processo só em CUDA e "eager" no resto. Levanta ValueError se o grafo pedido não couber."""
    if name == "auto":
        return "graph" if device.type == "cuda" and n_processes == 1 else "eager"
    if name == "graph" and n_processes > 1:
        raise ValueError(
            f"backend='graph' treina num processo só, e são {n_processes}. Use backend='auto', ou não use torchrun."
        )
    if name == "graph" and device.type != "cuda":
        raise ValueError(
            f"backend='graph' grava grafos CUDA, e o treino seria em {device.type!r}. Use backend='auto', ou um device "
            "CUDA se houver."
        )
    return name


def _require_integer(name: str, value, *, at_least: int) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < at_least:
        raise ValueError(f"{name} deve ser um inteiro maior ou igual a {at_least}, mas veio {value!r}.")


def _or(options: tuple[str, ...]) -> str:
    *first, last = map(repr, options)
    return f"{', '.join(first)} ou {last}"
