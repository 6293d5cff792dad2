"""Estes dados servem a este modelo? O que treina e o que mede perguntam aqui, antes de começar."""

import warnings

import torch
from torch import Tensor

from vae_lessons.data import Dataset, as_dataset, binarize
from vae_lessons.data.binarization import HALF_SCALE, to_unit_interval

_UNIT_INTERVAL = ("bernoulli", "continuous_bernoulli")


def require_suitable(model, data: Dataset, *, mode: str) -> None:
    """Levanta ValueError se `model` não puder ler `data`; avisa se o que for chamado de ELBO não for um limite.

    mode: como os pixels uint8 viram números, um dos de data.binarize. Confere o número de colunas, que os números sejam
    finitos e estejam onde a verossimilhança os espera, e que imagens uint8 usem a escala de 0 a 255.
    """
    n_columns, expected = data.x.shape[-1], getattr(model, "data_dim", None)
    if expected is not None and expected != n_columns:
        raise ValueError(
            f"O modelo foi feito para {expected} {data.columns} em cada exemplo (data_dim), e {data.name!r} tem "
            f"{n_columns}. Crie o modelo com o número de colunas dos dados, data.x.shape[1]."
        )
    likelihood = getattr(model, "likelihood", None)
    if data.x.dtype == torch.uint8:
        _require_full_scale(data)
    elif data.x.is_floating_point():
        _require_support(data, likelihood)
    if data.x.dtype == torch.uint8 or data.x.is_floating_point():
        _warn_unless_a_likelihood(data, likelihood, mode)


def measured(model, data: Dataset | Tensor) -> Tensor:
    """O que uma medida vê: ponto flutuante e int64, como vieram; imagens uint8, em bits fixos (binarização "static") se
    a verossimilhança for a de Bernoulli, em tons de cinza se for outra. [N, D], no dispositivo em que estavam.

    Levanta TypeError ou ValueError se os dados não servirem.
    """
    data = as_dataset(data)
    mode = "static" if getattr(model, "likelihood", None) == "bernoulli" else "none"
    require_suitable(model, data, mode=mode)
    return binarize(data.x, mode) if data.x.dtype == torch.uint8 else data.x


def _require_full_scale(data: Dataset) -> None:
    least, most = (int(value) for value in data.x.aminmax())
    if 0 < most < HALF_SCALE:
        raise ValueError(
            f"{data.name!r} tem {data.columns} uint8 que vão de {least} a {most}; o esperado é de 0 a 255, e assim o "
            "modelo veria imagens quase pretas. Ponha tudo na escala: por exemplo, "
            f"(x.float() * (255 / {most})).round().to(torch.uint8). Se são contagens, converta com x.float()."
        )


def _require_support(data: Dataset, likelihood) -> None:
    least, most = (value.item() for value in data.x.aminmax())
    if not data.x.isfinite().all():
        raise ValueError(
            f"Há NaN ou infinito em {data.name!r}. Veja em torch.isfinite(x) de que exemplos são, e corrija-os ou "
            "retire-os."
        )
    if likelihood in _UNIT_INTERVAL and not (least >= 0 and most <= 1):
        raise ValueError(
            f"likelihood={likelihood!r} é para números entre 0 e 1, mas os de {data.name!r} vão de {least:.3g} a "
            f"{most:.3g}. Se são tons de cinza, ponha-os na escala, {to_unit_interval(least, most, 'x')}; senão, use "
            "outra verossimilhança, como 'gaussian'."
        )


def _warn_unless_a_likelihood(data: Dataset, likelihood, mode: str) -> None:
    is_image = data.x.dtype == torch.uint8
    binary = ((data.x == 0) | (data.x == (255 if is_image else 1))).all()
    if likelihood == "bernoulli" and (mode == "none" or not is_image) and not binary:
        remedy = "binarize='dynamic'" if is_image else "(x * 255).round().to(torch.uint8), que o treino binariza"
        warnings.warn(
            f"A Bernoulli só é uma verossimilhança para {data.columns} 0 ou 1, e {data.name!r} traz tons de cinza: "
            f"o que for impresso como ELBO não será um limite de log p(x). Use {remedy}, ou um modelo com "
            "likelihood='continuous_bernoulli' ou 'gaussian'.",
            stacklevel=5,
        )
    if likelihood in ("gaussian", "continuous_bernoulli") and is_image and mode != "none":
        warnings.warn(
            f"likelihood={likelihood!r} é uma densidade para tons de cinza, e binarize={mode!r} entrega {data.columns} "
            "0 ou 1: a densidade pode crescer sem limite e não se compara à probabilidade de uma Bernoulli. Use "
            "binarize='none'.",
            stacklevel=5,
        )
