"""O que é de um treino só: o registro, os melhores pesos, os da última época sã, e como ele para."""

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vae_lessons.training.config import TrainConfig
from vae_lessons.training.history import History


class TrainingDiverged(FloatingPointError):
    """A perda ou os pesos deixaram de ser finitos. `history`: as épocas completas, para que não se percam."""

    def __init__(self, message: str, history: History):
        super().__init__(message)
        self.history = history


@dataclass
class EpochRecord:
    """means: as médias por observação, a da perda entre elas · beta: o do último passo · is_finite: se as somas e os
    pesos são finitos."""

    means: dict[str, float]
    beta: float
    is_finite: bool


class RunInProgress:
    """Um modelo em treino. Quem treina chama `complete_epoch` a cada época e, no fim, `finish`."""

    def __init__(self, model: nn.Module, config: TrainConfig):
        self.model = model
        self.config = config
        self.history = History()
        self.is_training = True
        self.failure: str | None = None
        self.best = None if config.patience is None else BestWeights(config)
        self._last_good = copy_of_weights(model)

    def complete_epoch(self, record: EpochRecord, seconds: float) -> None:
        """Registra a época; ou, se ela divergiu, volta aos pesos do fim da última sã e para."""
        if not (record.is_finite and all(map(math.isfinite, record.means.values()))):
            self._diverge(record.means)
            return
        self._last_good = copy_of_weights(self.model)
        shown = {name: value for name, value in record.means.items() if name not in ("loss", "val_loss")}
        self.history.append(shown | {"beta": record.beta}, seconds)
        if self.best is not None:
            self.best.update(self.model, len(self.history), _score(record.means))
            self.is_training = not self.best.ran_out(len(self.history))

    def interrupt(self, n_epochs: int) -> None:
        """O treino parou pelo teclado, com n_epochs completas; o modelo fica com os pesos do momento."""
        if self.is_training:
            self.history.keep(n_epochs)
            self.history.interrupted = True

    def finish(self) -> None:
        """Com patience, devolve ao modelo os melhores pesos."""
        if self.best is not None and self.failure is None and not self.history.interrupted:
            self.history.best_epoch = self.best.epoch
            if self.best.weights:
                self.model.load_state_dict(self.best.weights)

    def restart_from(self, history: dict, best: dict | None) -> None:
        """Continua de um registro gravado; o modelo já tem os pesos dele."""
        self.history.__init__(**history)
        self._last_good = copy_of_weights(self.model)
        if self.best is not None:
            vars(self.best).update(best)
            self.is_training = not self.best.ran_out(len(self.history))

    def _diverge(self, means: dict[str, float]) -> None:
        self.model.load_state_dict(self._last_good)
        self.history.diverged = True
        self.is_training = False
        shown = ", ".join(f"{name} = {value:.4g}" for name, value in means.items())
        self.failure = f"na época {len(self.history) + 1} ({shown})"


class BestWeights:
    """Os melhores pesos até agora, e quando parar.

    Só conta depois do aquecimento de β: antes dele a KL ainda é barata e o modelo mais solto é que parece melhor.
    """

    def __init__(self, config: TrainConfig):
        self.patience = config.patience
        self.first_epoch = config.beta_warmup
        self.score = -math.inf
        self.epoch: int | None = None
        self.weights: dict[str, Tensor] = {}

    def update(self, model: nn.Module, epoch: int, score: float) -> None:
        if epoch >= self.first_epoch and score > self.score:
            self.weights = copy_of_weights(model)
            self.score, self.epoch = score, epoch

    def ran_out(self, epoch: int) -> bool:
        return self.epoch is not None and epoch - self.epoch >= self.patience

    def state(self) -> dict:
        return {"score": self.score, "epoch": self.epoch, "weights": self.weights}


def report_divergence(runs: Sequence[RunInProgress], varying: Iterable[str] = ()) -> None:
    """Avisa dos treinos que divergiram; se foram todos, levanta TrainingDiverged. varying: o que os distingue."""
    diverged = [run for run in runs if run.failure is not None]
    if not diverged:
        return
    advice = f"Diminua lr (era {diverged[0].config.lr:g}) ou confira se os dados têm NaN ou infinito."
    longest = max((run.history for run in diverged), key=len)
    if len(runs) == 1:
        epochs = len(longest)
        raise TrainingDiverged(
            f"O treino divergiu {diverged[0].failure}: a perda ou os pesos deixaram de ser finitos. O modelo voltou "
            f"aos pesos {f'do fim da época {epochs}' if epochs else 'iniciais'}, as épocas completas estão no atributo "
            f"`history` deste erro. {advice}",
            longest,
        )
    lines = [
        "  " + ", ".join(f"{name} = {getattr(run.config, name)}" for name in varying) + f": {run.failure}"
        for run in diverged
    ]
    message = (
        f"Divergiram {len(diverged)} de {len(runs)} execuções:\n"
        + "\n".join(lines)
        + "\nA perda ou os pesos deixaram de ser finitos, e cada modelo desses voltou aos pesos do fim da última época "
        f"sã. {advice}"
    )
    if len(diverged) == len(runs):
        raise TrainingDiverged(message, longest)
    warnings.warn(message, RuntimeWarning, stacklevel=4)


def copy_of_weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def are_finite(*tensors: Tensor) -> bool:
    """Lê o dispositivo uma vez.

    Médias finitas não bastam: o passo que estraga os pesos pode ser o último da época, que ninguém mais mede.
    """
    return bool(torch.stack([tensor.detach().isfinite().all() for tensor in tensors]).all())


def _score(means: dict[str, float]) -> float:
    """O que a paciência acompanha: quanto maior, melhor."""
    prefix = "val_" if "val_loss" in means else ""
    return means[f"{prefix}elbo"] if f"{prefix}elbo" in means else -means[f"{prefix}loss"]
