"""De níveis de cinza a números entre 0 e 1."""

import torch
from torch import Tensor

MODES = ("dynamic", "static", "none")
HALF_SCALE = 128  # um conjunto uint8 em que nenhum pixel chega a este nível não usa a escala de 0 a 255

_STATIC_SEED = 0


def binarize(x: Tensor, mode: str = "dynamic", *, generator: torch.Generator | None = None) -> Tensor:
    """Passa de níveis de cinza a números de ponto flutuante em [0, 1].

    x: uint8 [..., D] de 0 a 255, ou ponto flutuante já em [0, 1] → float32 [..., D].
    "dynamic": cada pixel é sorteado de uma Bernoulli(cinza) a cada chamada (Burda et al., 2016) ·
    "static": o mesmo sorteio, sempre com a mesma semente: a mesma entrada dá sempre a mesma saída; sirva-se dele uma
    vez para o conjunto inteiro, não por lote (`generator` não é consultado) ·
    "none": não sorteia; devolve os tons de cinza divididos por 255.
    Levanta TypeError se x não for um tensor, e ValueError se o modo não existir, se o tipo não for um desses ou se
    valores de ponto flutuante saírem de [0, 1].
    """
    require_mode(mode)
    grey = _grey_levels(x)
    if mode == "none":
        return grey
    if mode == "static":  # sorteado na CPU, para que todo dispositivo veja os mesmos bits
        noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(_STATIC_SEED)).to(x.device)
    else:
        noise = torch.rand(x.shape, generator=generator, device=x.device)
    return (noise < grey).to(torch.float32)


def require_mode(mode: str) -> None:
    """Levanta ValueError se `mode` não for um dos modos de binarização."""
    if mode not in MODES:
        raise ValueError(
            f"Modo de binarização desconhecido: {mode!r}. Os que existem são: 'dynamic', 'static' e 'none'."
        )


def _grey_levels(x: Tensor) -> Tensor:
    if not isinstance(x, Tensor):
        raise TypeError(
            f"binarize espera um tensor, mas recebeu {type(x).__name__}. De um array do NumPy, torch.from_numpy(x)."
        )
    if x.dtype == torch.uint8:
        return x.to(torch.float32) / 255
    if not x.is_floating_point():
        raise ValueError(
            f"binarize espera uint8 (0 a 255) ou ponto flutuante em [0, 1], mas recebeu {x.dtype}. Converta com "
            "x.to(torch.uint8), se os valores vão de 0 a 255, ou x.float(), se são 0 e 1."
        )
    if x.numel():
        require_unit_interval(x, "binarize espera ponto flutuante em [0, 1]")
    return x.to(torch.float32)


def require_unit_interval(x: Tensor, expected: str) -> None:
    """Levanta ValueError, que começa por `expected` e diz os extremos e o que fazer, se `x` sair de [0, 1]."""
    least, most = (value.item() for value in x.aminmax())
    if least >= 0 and most <= 1:
        return
    if not x.isfinite().all():
        came = "há NaN ou infinito entre os valores. Veja em torch.isfinite(x) onde, e corrija-os ou retire-os."
    else:
        came = (
            f"os valores vão de {least:.4g} a {most:.4g}. Para pô-los na escala, {to_unit_interval(least, most, 'x')}."
        )
    raise ValueError(f"{expected}, mas {came}")


def to_unit_interval(least: float, most: float, x: str) -> str:
    """A expressão em Python que leva a [0, 1] os valores de nome `x`, que vão de `least` a `most`."""
    if least < 0:
        return f"({x} - {x}.min()) / ({x}.max() - {x}.min())"
    return f"{x} / 255" if HALF_SCALE <= most <= 255 else f"{x} / {x}.max()"
