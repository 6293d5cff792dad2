"""Quando o treino diverge: o erro que o conta e os pesos de antes."""

import torch
from torch import Tensor, nn

from vae_lessons.training.config import TrainConfig
from vae_lessons.training.history import History


class TrainingDiverged(FloatingPointError):
    """A perda ou os pesos deixaram de ser finitos. `history`: as épocas completas, para que não se percam."""

    def __init__(self, message: str, history: History):
        super().__init__(message)
        self.history = history


def copy_of_weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def all_finite(model: nn.Module, losses: Tensor) -> bool:
    """Se as perdas da época e os pesos do fim dela são finitos; lê o dispositivo uma vez.

    Médias finitas não bastam: o passo que estraga os pesos pode ser o último da época, que ninguém mais mede.
    """
    parts = [losses, *(p.detach() for p in model.parameters())]
    return bool(torch.stack([part.isfinite().all() for part in parts]).all())


def divergence(record: dict[str, float], history: History, config: TrainConfig) -> TrainingDiverged:
    """O erro da época seguinte às de `history`, cujas médias seriam as de `record`."""
    shown = ", ".join(f"{name} = {value:.4g}" for name, value in record.items() if name != "beta")
    history.diverged = True
    epoch = len(history)
    return TrainingDiverged(
        f"O treino divergiu na época {epoch + 1} ({shown}): a perda ou os pesos deixaram de ser finitos. O modelo "
        f"voltou aos pesos {f'do fim da época {epoch}' if epoch else 'iniciais'}, e as épocas completas estão no "
        f"atributo `history` deste erro. Diminua lr (era {config.lr:g}) ou confira se os dados têm NaN ou infinito.",
        history,
    )
