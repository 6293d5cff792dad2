"""O treino em disco: gravado por inteiro ou nada, e retomado exatamente de onde parou."""

import contextlib
import functools
import hashlib
import io
import math
import os
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path

import torch
from torch import Tensor, nn

from vae_lessons.training.config import TrainConfig

_FORMAT = 1
_DIGEST_BYTES = hashlib.sha256().digest_size
_TIME_BETWEEN_WRITES = 20  # em durações de uma gravação: gravar não custa mais que uns 5% do treino
_MAY_CHANGE = ("epochs", "checkpoint", "backend", "device")  # não mudam o que já foi treinado; do device, só o tipo


class Checkpoint:
    """O arquivo config.checkpoint. identity: o que define o treino (ver `identity_of`), nome → texto ou número ·
    writes: se é este processo que grava."""

    def __init__(self, config: TrainConfig, identity: dict[str, str | float], *, writes: bool):
        self.path = Path(config.checkpoint)
        self.epochs = config.epochs
        self.identity = identity
        self.writes = writes
        self._pending: dict | None = None
        self._due = -math.inf

    def __enter__(self) -> "Checkpoint":
        return self

    def __exit__(self, *_) -> None:
        """Ao sair, por bem ou por mal, a última época completa fica gravada."""
        self.flush()

    def read(self, *, resume: bool) -> dict | None:
        """O estado gravado, ou None se o arquivo ainda não existir.

        Levanta FileExistsError se ele existir e não for para retomá-lo, e ValueError se estiver estragado ou guardar
        outro treino, dizendo em que diferem.
        """
        if self.path.is_dir():
            raise ValueError(f"checkpoint deve ser um arquivo, e {self.path} é uma pasta.")
        if not self.path.exists():
            return None
        if not resume:
            raise FileExistsError(
                f"{self.path} já existe, e pode guardar horas de treino. Use fit(..., resume=True) para continuá-lo; "
                "para começar de novo, apague-o ou escolha outro nome em checkpoint."
            )
        content = _read(self.path)
        lines = _differences(content["identity"], self.identity)
        done = len(content["state"]["history"]["seconds"])
        if done > self.epochs:
            lines.append(f"epochs: {done} já completas no arquivo, {self.epochs} agora")
        if lines:
            raise ValueError(
                f"{self.path} guarda outro treino:\n"
                + "\n".join(f"  {line}" for line in lines)
                + "\nPara continuar aquele, use o modelo, os dados e a config dele (epochs pode crescer). Para começar "
                "este, escolha outro nome em checkpoint."
            )
        return content["state"]

    def create(self, state: dict) -> None:
        """A primeira gravação. Levanta OSError se for impossível: melhor agora que depois de horas de treino."""
        try:
            self.write(state)
        except OSError as error:
            raise OSError(
                f"Não foi possível gravar {self.path} ({error}), e o treino nem começou. Indique em checkpoint um "
                "arquivo numa pasta em que se possa gravar e haja espaço."
            ) from error

    def save(self, state: dict) -> None:
        """Guarda o estado e o grava, a menos que a última gravação seja recente: nesse caso, `flush` gravará."""
        self._pending = state if self.writes else None
        if time.monotonic() >= self._due:
            self.flush()

    def flush(self) -> None:
        """Grava o último estado, se ainda não foi gravado. Disco cheio não interrompe o treino: avisa."""
        if self._pending is None:
            return
        try:
            self.write(self._pending)
        except OSError as error:
            warnings.warn(f"Não foi possível gravar {self.path} ({error}). O treino continua.", stacklevel=3)
        self._pending = None

    def write(self, state: dict) -> None:
        """Grava ao lado, espera o disco e troca de nome: quem ler verá o arquivo antigo ou o novo, inteiros."""
        if not self.writes:
            return
        started = time.monotonic()
        buffer = io.BytesIO()
        torch.save({"format": _FORMAT, "identity": self.identity, "state": state}, buffer)
        content = buffer.getvalue()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(self.path.name + ".partial")
        try:
            with partial.open("wb") as file:
                file.write(content + hashlib.sha256(content).digest())
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, self.path)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink()  # num disco cheio, a parte que coube também faz falta
            raise
        now = time.monotonic()
        self._due = now + _TIME_BETWEEN_WRITES * (now - started)


def _read(path: Path) -> dict:
    raw = path.read_bytes()
    content, digest = raw[:-_DIGEST_BYTES], raw[-_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError(
            f"{path} está cortado ou corrompido, ou não foi gravado por fit: a soma de verificação não confere. Nada "
            "foi apagado. Recupere uma cópia, ou apague-o para começar do zero."
        )
    saved = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    if saved["format"] != _FORMAT:
        raise ValueError(
            f"{path} foi gravado por outra versão do pacote (formato {saved['format']}; este lê o {_FORMAT})."
        )
    return saved


def identity_of(
    model: nn.Module,
    x: Tensor,
    held_out: Tensor | None,
    config: TrainConfig,
    objective: Callable,
    schedules: Mapping[str, Callable],
    n_processes: int,
) -> dict[str, str | float]:
    """O que define um treino: config, objetivo, modelo e dados, nome → texto ou número comparável."""
    settings = {f.name: getattr(config, f.name) for f in fields(config) if f.name not in _MAY_CHANGE}
    return {
        **{name: _describe(value) if callable(value) else value for name, value in settings.items()},
        "dispositivo": x.device.type,
        "processos": n_processes,
        "objetivo": _describe(objective),
        **{f"agenda {name!r} no começo": float(schedule(0.0)) for name, schedule in schedules.items()},
        "verossimilhança": _describe(getattr(model, "likelihood", None)),
        **{name: f"{list(w.shape)} {w.dtype}" for name, w in model.state_dict().items()},
        **{f"modelo, linha {i}": line.strip() for i, line in enumerate(repr(model).splitlines(), 1)},
        "dados": _describe_data(x),
        "validação": _describe_data(held_out),
    }


def _describe(value) -> str:
    if isinstance(value, functools.partial):
        parts = [_describe(v) for v in value.args] + [f"{k}={_describe(v)}" for k, v in value.keywords.items()]
        return f"{_describe(value.func)}({', '.join(parts)})"
    if callable(value):
        return getattr(value, "__qualname__", type(value).__qualname__)
    return repr(value) if isinstance(value, str | int | float | bool | None) else type(value).__qualname__


def _describe_data(x: Tensor | None) -> str:
    if x is None:
        return "nenhuma"
    digest = hashlib.sha256(x.detach().cpu().contiguous().view(torch.uint8).numpy()).hexdigest()
    return f"{list(x.shape)}, SHA-256 {digest[:16]}"


def _differences(saved: dict, now: dict) -> list[str]:
    """Uma linha por campo que mudou. Se os parâmetros já explicam a mudança, o desenho do modelo não é repetido."""
    absent = "ausente"
    names = [name for name in {**saved, **now} if saved.get(name, absent) != now.get(name, absent)]
    if explained := [name for name in names if not name.startswith("modelo, linha")]:
        names = explained
    return [f"{name}: {saved.get(name, absent)} no arquivo, {now.get(name, absent)} agora" for name in names]
