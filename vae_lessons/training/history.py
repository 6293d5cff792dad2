"""O registro de um treino, época a época."""

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path


@dataclass
class History:
    """O que aconteceu, época a época: médias por exemplo, em nats (soma sobre os exemplos / número de exemplos).

    elbo, log_likelihood, kl: no treino, medidas durante a época, com os pesos mudando · val_*: na validação, ao fim de
    cada época (vazias sem validação) · beta: o peso da KL no fim da época · seconds: duração.
    interrupted: o treino foi interrompido pelo teclado · diverged: parou porque a perda ou os pesos deixaram de ser
    finitos; as épocas daqui são as de antes · best_epoch: com patience, a época dos pesos devolvidos.
    """

    elbo: list[float] = field(default_factory=list)
    log_likelihood: list[float] = field(default_factory=list)
    kl: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    beta: list[float] = field(default_factory=list)
    val_elbo: list[float] = field(default_factory=list)
    val_log_likelihood: list[float] = field(default_factory=list)
    val_kl: list[float] = field(default_factory=list)
    interrupted: bool = False
    diverged: bool = False
    best_epoch: int | None = None

    def __len__(self) -> int:
        return len(self.seconds)

    def __repr__(self) -> str:
        if not self.seconds:
            return "History(nenhuma época completa)"
        state = ", interrompido" * self.interrupted + ", divergiu" * self.diverged
        return f"History({len(self)} épocas, ELBO {self.elbo[0]:.2f} → {self.elbo[-1]:.2f} nats{state})"

    def append(self, record: dict[str, float], seconds: float) -> None:
        for name, value in record.items():
            getattr(self, name).append(value)
        self.seconds.append(seconds)  # por último: marca a época como completa

    def drop_incomplete_epoch(self) -> None:
        for values in vars(self).values():
            if isinstance(values, list):
                del values[len(self.seconds) :]

    def plot(self, **kwargs):
        """Curvas da ELBO e dos seus dois termos; devolve a figura (ver plotting.training_curves)."""
        from vae_lessons.plotting import training_curves  # plotting fica acima de training: só na chamada

        return training_curves(self, **kwargs)

    def to_frame(self):
        """pandas.DataFrame com uma linha por época, contada a partir de 1."""
        import pandas as pd

        columns = {name: values for name, values in asdict(self).items() if isinstance(values, list) and values}
        return pd.DataFrame(columns, index=pd.RangeIndex(1, len(self) + 1, name="epoch"))

    def save(self, path: str | Path) -> None:
        """Grava em JSON, por inteiro ou nada: escreve ao lado e troca de nome."""
        path = Path(path)
        partial = path.with_name(path.name + ".partial")
        partial.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        os.replace(partial, path)

    @classmethod
    def load(cls, path: str | Path) -> "History":
        """Lê o que `save` gravou. Levanta ValueError se o arquivo não for um History."""
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(**content)
        except (json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
            names = ", ".join(f.name for f in fields(cls))
            raise ValueError(f"{path} não é um History gravado por save(): esperava um JSON com {names}.") from error
