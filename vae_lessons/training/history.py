"""O registro de um treino, época a época."""

import json
import os
from collections.abc import Iterable

from vae_lessons.files import user_path, write_atomically
from vae_lessons.plotting import training_curves

_FLAGS = {"interrupted": False, "diverged": False, "best_epoch": None}


class History:
    """O que aconteceu, época a época: listas de médias por observação (soma sobre os exemplos / número de exemplos).

    Um atributo por termo do objetivo, menos `loss`: com `elbo`, são elbo, log_likelihood e kl, em nats. No treino, são
    medidos durante a época, com os pesos mudando; os de nome val_*, na validação, ao fim de cada época (vazios sem
    validação) · beta: o peso da KL no último passo da época · seconds: duração.
    interrupted: o treino foi interrompido pelo teclado · diverged: parou porque a perda ou os pesos deixaram de ser
    finitos; as épocas daqui são as de antes · best_epoch: com patience, a época dos pesos devolvidos.
    """

    def __init__(self, *, seconds: Iterable[float] = (), interrupted=False, diverged=False, best_epoch=None, **series):
        self.seconds = list(seconds)
        self.interrupted = interrupted
        self.diverged = diverged
        self.best_epoch = best_epoch
        vars(self).update({name: list(values) for name, values in series.items()})

    def __getattr__(self, name: str) -> list[float]:
        if not name.startswith("_") and (not self.series or name.removeprefix("val_") in self.series):
            return []  # nenhuma época ainda, ou nenhuma validação
        raise AttributeError(f"Este History não tem {name!r}. O que ele registra: {', '.join(self.series)}, seconds.")

    def __len__(self) -> int:
        return len(self.seconds)

    def __eq__(self, other) -> bool:
        return isinstance(other, History) and self.to_dict() == other.to_dict()

    __hash__ = None

    def __repr__(self) -> str:
        if not self.seconds:
            return "History(nenhuma época completa)"
        state = ", interrompido" * self.interrupted + ", divergiu" * self.diverged
        name, values = next(iter(self.series.items()))
        label, unit = ("ELBO", " nats") if name == "elbo" else (name, "")
        return f"History({len(self)} épocas, {label} {values[0]:.2f} → {values[-1]:.2f}{unit}{state})"

    @property
    def series(self) -> dict[str, list[float]]:
        """Tudo o que foi medido, na ordem em que o objetivo o devolve, nome → um número por época."""
        return {name: values for name, values in vars(self).items() if isinstance(values, list) and name != "seconds"}

    def append(self, record: dict[str, float], seconds: float) -> None:
        for name, value in record.items():
            vars(self).setdefault(name, []).append(value)
        self.seconds.append(seconds)  # por último: marca a época como completa

    def keep(self, n_epochs: int) -> None:
        """Deixa só as primeiras épocas, e delas só as completas."""
        del self.seconds[n_epochs:]
        for values in self.series.values():
            del values[len(self.seconds) :]

    def plot(self, **kwargs):
        """Curvas da ELBO e dos seus dois termos, ou do que houver; devolve a figura (ver plotting.training_curves)."""
        return training_curves(self, **kwargs)

    def to_frame(self) -> "pandas.DataFrame":  # noqa: F821
        """Uma linha por época, contada a partir de 1, e uma coluna por série."""
        import pandas as pd  # demora meio segundo: só quem pede a tabela espera

        columns = {**self.series, "seconds": self.seconds}
        return pd.DataFrame(columns, index=pd.RangeIndex(1, len(self) + 1, name="epoch"))

    def to_dict(self) -> dict:
        """Listas, números e textos, de que `History(**conteúdo)` é o inverso."""
        flags = {name: getattr(self, name) for name in _FLAGS}
        return {**{name: list(values) for name, values in self.series.items()}, "seconds": list(self.seconds), **flags}

    def save(self, path: str | os.PathLike) -> None:
        """Grava em JSON, por inteiro ou nada."""
        write_atomically(user_path(path), json.dumps(self.to_dict(), indent=1).encode("ascii"))

    @classmethod
    def load(cls, path: str | os.PathLike) -> "History":
        """Lê o que `save` gravou. Levanta ValueError se o arquivo não for um History."""
        try:
            content = json.loads(user_path(path).read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError):
            content = None
        if not _is_history(content):
            raise ValueError(
                f"{path} não é um History gravado por save(): esperava um JSON com uma lista de números por série "
                f"(elbo, log_likelihood e kl, nos de um VAE; sempre seconds) e {', '.join(_FLAGS)}."
            )
        return cls(**content)


def _is_history(content) -> bool:
    if not isinstance(content, dict) or "seconds" not in content:
        return False
    lists = [value for name, value in content.items() if name not in _FLAGS]
    numbers = all(isinstance(values, list) and all(isinstance(v, int | float) for v in values) for values in lists)
    return numbers and all(len(values) in (0, len(content["seconds"])) for values in lists)
