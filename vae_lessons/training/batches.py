"""Do conjunto de dados ao lote que o modelo vê."""

import warnings

import torch
from torch import Tensor

from vae_lessons.data import Dataset, binarize
from vae_lessons.training.config import TrainConfig


def prepare(data: Dataset | Tensor, config: TrainConfig, device: torch.device) -> Tensor:
    """O tensor [N, D] no dispositivo; com binarização estática, já binarizado (0 ou 255)."""
    x = data.x if isinstance(data, Dataset) else data
    if not isinstance(x, Tensor):
        raise TypeError(f"Os dados devem ser um Dataset ou um tensor [N, D], mas veio {type(x).__name__}.")
    if x.ndim != 2 or len(x) == 0:
        raise ValueError(f"Os dados devem ter forma [N, D] com ao menos um exemplo, mas veio {tuple(x.shape)}.")
    if x.dtype != torch.uint8 and not (x.is_floating_point() and config.binarize == "none"):
        raise ValueError(
            "Os dados devem ser uint8 (0 a 255), que o treino binariza, ou ponto flutuante com "
            f"binarize='none', que é usado como veio; vieram {x.dtype} e binarize={config.binarize!r}."
        )
    if config.binarize == "static":
        x = binarize(x, "static").mul(255).to(torch.uint8)
    return x.to(device)


def fix_bits(x: Tensor, config: TrainConfig) -> Tensor:
    """A validação em ponto flutuante. Quando o treino sorteia bits novos a cada lote, os dela são sorteados uma vez."""
    return binarize(x, "static") if config.binarize == "dynamic" else to_batch(x, config)


def to_batch(rows: Tensor, config: TrainConfig, *, generator: torch.Generator | None = None) -> Tensor:
    if rows.is_floating_point():
        return rows
    return binarize(rows, "dynamic" if config.binarize == "dynamic" else "none", generator=generator)


def warn_if_not_a_likelihood(model, x: Tensor, config: TrainConfig) -> None:
    likelihood = getattr(model, "likelihood", None)
    is_grey = config.binarize == "none" and not ((x == 0) | (x == (255 if x.dtype == torch.uint8 else 1))).all()
    if likelihood == "bernoulli" and is_grey:
        warnings.warn(
            "A Bernoulli só é uma verossimilhança para pixels 0 ou 1, e binarize='none' entrega tons de cinza: o que "
            "for impresso como ELBO não será um limite de log p(x). Use binarize='dynamic', ou "
            "likelihood='continuous_bernoulli' ou 'gaussian' para tons de cinza.",
            stacklevel=3,
        )
    if likelihood in ("gaussian", "continuous_bernoulli") and config.binarize != "none":
        warnings.warn(
            f"likelihood={likelihood!r} é uma densidade para tons de cinza, e binarize={config.binarize!r} entrega "
            "pixels 0 ou 1: a densidade pode crescer sem limite e não se compara à probabilidade de uma Bernoulli. "
            "Use binarize='none'.",
            stacklevel=3,
        )
