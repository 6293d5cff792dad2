"""A prior p(z) que se dá a um modelo: de que tipo for, com os seus tensores onde o torch os acha."""

import copy
from collections.abc import Callable, Mapping

from torch import Tensor, nn
from torch import distributions as td

from vae_lessons.distributions import is_family


class GivenPrior(nn.Module):
    """Uma prior que não é módulo, com os tensores dela onde .to(), state_dict e fit_many os acham."""

    def __init__(self, prior, latent_shape: tuple[int, ...]):
        super().__init__()
        require_prior(prior)
        self.template = _fitted(prior, latent_shape)
        self.inside = (td.Distribution, td.Transform, type(prior))
        map_tensors(self.template, self._hold, inside=self.inside)

    def forward(self):
        """A prior, com os tensores que o módulo tem agora."""
        return map_tensors(self.template, lambda name, _: getattr(self, name), inside=self.inside)

    def extra_repr(self) -> str:
        return type(self.template).__name__

    def _hold(self, name: str, tensor: Tensor) -> Tensor:
        if isinstance(tensor, nn.Parameter):
            self.register_parameter(name, tensor)
        elif tensor.requires_grad:
            raise TypeError(
                f"A prior ({type(self.template).__name__}) guarda em {name} um tensor calculado a partir de pesos, que "
                "não acompanharia o treino deles. Para aprender a prior, escreva um nn.Module com log_prob e sample, "
                "que monte a distribuição a cada chamada."
            )
        else:
            self.register_buffer(name, tensor.clone())
        return tensor


def _fitted(prior, latent_shape: tuple[int, ...]):
    """A mesma prior com a forma de um z: se a dela for menor, vale para todas as dimensões. Levanta ValueError."""
    try:
        if isinstance(prior, td.Distribution):
            if prior.batch_shape + prior.event_shape != latent_shape:
                prior = prior.expand(latent_shape[: len(latent_shape) - len(prior.event_shape)])
            came = tuple(prior.batch_shape + prior.event_shape)
        elif is_family(prior):
            if prior[0].shape != latent_shape:
                prior = type(prior)._make(parameter.expand(latent_shape) for parameter in prior)
            came = tuple(prior[0].shape)
        else:
            return prior
    except RuntimeError as error:
        came = str(error)
    if came != latent_shape:
        raise ValueError(
            f"A prior ({type(prior).__name__}) deve ser de um z de forma {latent_shape}, como o do modelo, mas é de "
            f"outra: {came}."
        )
    return prior


def map_tensors(value, change: Callable[[str, Tensor], Tensor], name: str = "", *, inside: tuple[type, ...] = ()):
    """O mesmo valor com change(nome, tensor) no lugar de cada tensor que há nele: em sequências, dicionários e
    NamedTuples, e nos atributos dos objetos das classes `inside`, que são copiados."""

    def part(key, each):
        return map_tensors(each, change, f"{name}_{key}" if name else str(key), inside=inside)

    if isinstance(value, Tensor):
        return change(name, value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)._make(part(key, each) for key, each in zip(value._fields, value, strict=True))
    if type(value) in (list, tuple):
        return type(value)(part(key, each) for key, each in enumerate(value))
    if isinstance(value, Mapping):
        return {key: part(key, each) for key, each in value.items()}
    if isinstance(value, inside):
        value = copy.copy(value)
        for key, each in list(vars(value).items()):
            if isinstance(each, nn.Module):
                raise TypeError(
                    f"A prior guarda um módulo em {key}, cujos pesos o modelo não veria. Faça dela um nn.Module: "
                    "class Prior(nn.Module), com log_prob e sample."
                )
            vars(value)[key] = part(key, each)
        if isinstance(value, td.Distribution):
            value._validate_args = False
    return value


def require_prior(prior) -> None:
    can_draw = hasattr(prior, "sample") or hasattr(prior, "rsample")
    if isinstance(prior, type) or not (callable(getattr(prior, "log_prob", None)) and can_draw):
        raise TypeError(
            "prior deve ser uma distribuição, com log_prob(z) e sample((n,)) ou rsample((n,)), como as de "
            f"torch.distributions, ou None para a padrão, mas veio {prior!r}."
        )
