"""Os exemplos, no dispositivo do treino, e os lotes que o modelo vê."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from vae_lessons.data import Dataset, as_dataset, binarize
from vae_lessons.suitability import require_suitable
from vae_lessons.training.config import TrainConfig
from vae_lessons.training.terms import Objective, asks_for_labels, labels_are_optional


@dataclass(frozen=True)
class Examples:
    """Um conjunto no dispositivo · mode: o que fazer das imagens uint8 a cada lote · labeled: se o objetivo pede y."""

    data: Dataset
    mode: str
    labeled: bool

    def __len__(self) -> int:
        return len(self.data)

    @property
    def device(self) -> torch.device:
        return self.data.x.device

    def batch(self, rows: Tensor, *, generator: torch.Generator | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """As linhas [B] como o modelo as vê, e o que mais o objetivo recebe delas: {"y": int64 [B]} ou nada."""
        x = self.data.batch(self.data.x.index_select(0, rows), self.mode, generator=generator)
        return x, {"y": self.data.y.index_select(0, rows)} if self.labeled else {}

    def in_order(self, size: int):
        """Todos os exemplos, de `size` em `size`."""
        for rows in torch.arange(len(self), device=self.device).split(size):
            yield self.batch(rows)


def prepare(data: Dataset | Tensor, model, objective: Objective, config: TrainConfig, device: torch.device) -> Examples:
    """Os exemplos do treino no dispositivo; com binarização estática, já binarizados (0 ou 255).

    Levanta TypeError ou ValueError se os dados não servirem ao modelo ou ao objetivo.
    """
    data = as_dataset(data)
    require_suitable(model, data, mode=config.binarize)
    labeled = asks_for_labels(objective)
    if labeled and data.y is None:
        if not labels_are_optional(objective):
            raise ValueError(
                f"O objetivo pede os rótulos, y, e {data.name!r} não os tem. Passe um Dataset com y=..., um inteiro "
                "para cada exemplo."
            )
        labeled = False
    if config.binarize == "static" and data.x.dtype == torch.uint8:
        data = replace(data, x=binarize(data.x, "static").mul(255).to(torch.uint8))
    return Examples(data.to(device), "dynamic" if config.binarize == "dynamic" else "none", labeled)


def start_from(examples: Examples, models: Iterable[nn.Module]) -> None:
    """Dá aos modelos o que eles tiram dos dados antes de treinar (ver VAE.start_from)."""
    for model in models:
        if hasattr(model, "start_from"):
            model.start_from(examples.data.x)


def with_fixed_bits(examples: Examples) -> Examples:
    """Os da validação: quando o treino sorteia bits novos a cada lote, os dela são sorteados uma vez."""
    if examples.mode != "dynamic" or examples.data.x.dtype != torch.uint8:
        return examples
    return replace(examples, data=replace(examples.data, x=binarize(examples.data.x, "static")))
