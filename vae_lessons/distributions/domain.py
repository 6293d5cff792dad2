"""A recusa de parâmetros fora do domínio, ao criar uma distribuição."""

import contextlib

import torch
from torch import Tensor
from torch import distributions as td


def requires(**bounds: str):
    """Decorador de uma NamedTuple de parâmetros: confere cada parâmetro quando alguém a cria.

    bounds: nome do parâmetro → "> 0", "≥ 0" ou "real". Levanta TypeError se ele não for um tensor de ponto flutuante e
    ValueError se um número dele estiver fora do domínio. NaN passa, como nas contas: é o treino que o denuncia.
    Como em torch.distributions, nada se confere sob `unvalidated`, que é onde um modelo chama as suas redes; e, como em
    `require_temperature`, só se leem números que estão na CPU: ler os da GPU a faria parar, e sob vmap não há como.
    Cópias (`copies`, `_replace`) não são conferidas de novo.
    """

    def checked(family):
        create = family.__new__

        def __new__(cls, *args, **kwargs):
            distribution = create(cls, *args, **kwargs)
            if td.Distribution._validate_args:
                for name, parameter in zip(distribution._fields, distribution, strict=True):
                    _require(cls.__name__, name, parameter, bounds[name])
            return distribution

        __new__.__doc__ = create.__doc__
        family.__new__ = __new__
        return family

    return checked


def _require(family: str, name: str, parameter, bound: str) -> None:
    if not isinstance(parameter, Tensor) or not parameter.is_floating_point():
        came = str(parameter.dtype) if isinstance(parameter, Tensor) else f"{type(parameter).__name__}: {parameter!r}"
        raise TypeError(
            f"{family}: {name} deve ser um tensor de ponto flutuante, mas veio {came}. Use torch.tensor(2.0), ou "
            "x.float() se forem inteiros."
        )
    if bound == "real" or parameter.device.type != "cpu":
        return
    outside = parameter <= 0 if bound == "> 0" else parameter < 0
    with contextlib.suppress(RuntimeError):  # sob vmap um tensor não se lê
        if bool(outside.any()):
            least = parameter.detach().masked_fill(~outside, torch.inf).min().item()
            raise ValueError(
                f"{family}: {name} deve ser {bound}, mas veio {least:g}. Se sair de uma rede, passe-o por "
                "torch.nn.functional.softplus, ou torch.exp, que só dão números positivos."
            )
