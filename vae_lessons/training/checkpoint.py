"""O treino em disco: gravado por inteiro ou nada, e retomado exatamente de onde parou."""

import copy
import functools
import glob
import hashlib
import io
import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from torch import nn

from vae_lessons.files import partial_prefix, user_path, write_atomically
from vae_lessons.randomness import get_rng_state, set_rng_state
from vae_lessons.training.batches import Examples
from vae_lessons.training.config import TrainConfig
from vae_lessons.training.distributed import Group
from vae_lessons.training.runs import RunInProgress

_FORMAT = 2
_DIGEST_BYTES = hashlib.sha256().digest_size
_TIME_BETWEEN_WRITES = 20  # em durações de uma gravação: gravar não custa mais que uns 5% do treino
_MAY_CHANGE = ("epochs", "checkpoint", "backend", "device")  # não mudam o que já foi treinado; do device, só o tipo


@dataclass
class TrainingState:
    """Tudo o que muda durante um treino: gravado, retomá-lo dá o mesmo, bit a bit, que não ter parado."""

    run: RunInProgress
    optimizer: torch.optim.Optimizer
    device: torch.device
    group: Group

    def snapshot(self) -> dict:
        """Uma cópia feita só de tensores, números e textos, que torch.load(weights_only=True) aceita."""
        return {
            "model": copy.deepcopy(self.run.model.state_dict()),
            "optimizer": copy.deepcopy(self.optimizer.state_dict()["state"]),
            "history": self.run.history.to_dict(),
            "best": None if self.run.best is None else self.run.best.state(),
            "rng": self.group.gather(get_rng_state(self.device), self.device),
        }

    def restore(self, snapshot: dict) -> None:
        """Deixa tudo como em `snapshot`, menos os ajustes do otimizador (lr, ...), que são os de agora."""
        self.run.model.load_state_dict(snapshot["model"])
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": snapshot["optimizer"], "param_groups": groups})
        self.run.restart_from(snapshot["history"], snapshot["best"])
        set_rng_state(self.device, snapshot["rng"][self.group.rank])


class Checkpoint:
    """O arquivo config.checkpoint, de que o treino é dono enquanto dura (`with`). Sem arquivo, nada aqui faz coisa
    alguma. Só o primeiro processo grava. identity: o que define o treino, nome → texto ou número."""

    def __init__(self, config: TrainConfig, identity: dict[str, str | float], state: TrainingState):
        self.path = None if config.checkpoint is None else user_path(config.checkpoint)
        self.epochs = config.epochs
        self.identity = identity
        self.state = state
        self.writes = self.path is not None and state.group.is_first
        self._lock: FileLock | None = None
        self._pending: dict | None = None
        self._due = -math.inf

    def __enter__(self) -> "Checkpoint":
        """Toma o arquivo. Levanta BlockingIOError se outro treino o estiver usando, OSError se não se puder gravar."""
        if self.writes:
            if self.path.is_dir():
                raise ValueError(f"checkpoint deve ser um arquivo, e {self.path} é uma pasta.")
            self._take()
            for leftover in self.path.parent.glob(glob.escape(partial_prefix(self.path)) + "*.partial"):
                leftover.unlink(missing_ok=True)  # de um processo que morreu gravando: com a trava, não há outro vivo
        return self

    def __exit__(self, *_) -> None:
        """Ao sair, por bem ou por mal, a última época completa fica gravada."""
        try:
            self._flush()
        finally:
            if self._lock is not None:
                self._lock.release()

    def begin(self, *, resume: bool) -> None:
        """Continua o treino gravado, ou grava o começo de um novo.

        Levanta FileExistsError se o arquivo existir e não for para retomá-lo; ValueError se estiver estragado, guardar
        outro treino (e diz em que diferem) ou não houver arquivo a retomar; OSError se não se puder gravá-lo: melhor
        agora que depois de horas de treino.
        """
        if self.path is None:
            if resume:
                raise ValueError(
                    "resume=True continua o treino gravado em config.checkpoint, que é None: indique o arquivo."
                )
            return
        group = self.state.group
        group.wait()  # o primeiro pode estar acabando de gravar um treino anterior
        saved = self._read(resume=resume)
        group.wait()  # ninguém grava enquanto outro lê
        group.require_same_epoch(0 if saved is None else len(saved["history"]["seconds"]), self.state.device)
        if saved is not None:
            self.state.restore(saved)
            return
        initial = self.state.snapshot()
        try:
            self._write(initial)
        except OSError as error:
            raise self._impossible(error) from error

    def save(self) -> None:
        """Guarda o estado e o grava, a menos que a última gravação seja recente: nesse caso, grava-se ao sair."""
        if self.path is None:
            return
        snapshot = self.state.snapshot()  # todos os processos: os geradores de cada um vão juntos
        self._pending = snapshot if self.writes else None
        if time.monotonic() >= self._due:
            self._flush()

    def _take(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=0)
            self._lock.acquire()
        except Timeout:
            self._lock = None
            raise BlockingIOError(
                f"Outro treino está usando {self.path} neste momento, e um estragaria o trabalho do outro. Espere "
                "que ele termine, interrompa-o ou escolha outro nome em checkpoint."
            ) from None
        except OSError as error:
            self._lock = None
            raise self._impossible(error) from error

    def _impossible(self, error: OSError) -> OSError:
        return OSError(
            f"Não foi possível gravar {self.path} ({error}), e o treino nem começou. Indique em checkpoint um arquivo "
            "numa pasta em que se possa gravar e haja espaço."
        )

    def _read(self, *, resume: bool) -> dict | None:
        """O estado gravado, ou None se o arquivo ainda não existir."""
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

    def _flush(self) -> None:
        """Grava o último estado, se ainda não foi gravado. Disco cheio não interrompe o treino: avisa."""
        if self._pending is None:
            return
        try:
            self._write(self._pending)
        except OSError as error:
            warnings.warn(f"Não foi possível gravar {self.path} ({error}). O treino continua.", stacklevel=4)
        self._pending = None

    def _write(self, state: dict) -> None:
        if not self.writes:
            return
        started = time.monotonic()
        buffer = io.BytesIO()
        torch.save({"format": _FORMAT, "identity": self.identity, "state": state}, buffer)
        content = buffer.getvalue()
        write_atomically(self.path, content + hashlib.sha256(content).digest())
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
    examples: Examples,
    held_out: Examples | None,
    config: TrainConfig,
    objective: Callable,
    schedules: Mapping[str, Callable],
    n_processes: int,
) -> dict[str, str | float]:
    """O que define um treino: config, objetivo, modelo e dados, nome → texto ou número comparável."""
    settings = {f.name: getattr(config, f.name) for f in fields(config) if f.name not in _MAY_CHANGE}
    return {
        **{name: _describe(value) if callable(value) else value for name, value in settings.items()},
        "dispositivo": examples.device.type,
        "processos": n_processes,
        "objetivo": _describe(objective),
        **{f"agenda {name!r} no começo": float(schedule(0.0)) for name, schedule in schedules.items()},
        "verossimilhança": _describe(getattr(model, "likelihood", None)),
        **{name: f"{list(w.shape)} {w.dtype}" for name, w in model.state_dict().items()},
        **{f"modelo, linha {i}": line.strip() for i, line in enumerate(repr(model).splitlines(), 1)},
        "dados": _describe_data(examples),
        "validação": _describe_data(held_out),
    }


def _describe(value) -> str:
    if isinstance(value, functools.partial):
        parts = [_describe(v) for v in value.args] + [f"{k}={_describe(v)}" for k, v in value.keywords.items()]
        return f"{_describe(value.func)}({', '.join(parts)})"
    if callable(value):
        return getattr(value, "__qualname__", type(value).__qualname__)
    return repr(value) if isinstance(value, str | int | float | bool | None) else type(value).__qualname__


def _describe_data(examples: Examples | None) -> str:
    """O conteúdo de tudo o que o treino vê, em poucas letras."""
    if examples is None:
        return "nenhuma"
    seen = [examples.data.x, examples.data.y] if examples.labeled else [examples.data.x]
    digest = hashlib.sha256()
    for tensor in seen:
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy())
    return f"{list(examples.data.x.shape)}{', com rótulos' * examples.labeled}, SHA-256 {digest.hexdigest()[:16]}"


def _differences(saved: dict, now: dict) -> list[str]:
    """Uma linha por campo que mudou. Se os parâmetros já explicam a mudança, o desenho do modelo não é repetido."""
    absent = "ausente"
    names = [name for name in {**saved, **now} if saved.get(name, absent) != now.get(name, absent)]
    if explained := [name for name in names if not name.startswith("modelo, linha")]:
        names = explained
    return [f"{name}: {saved.get(name, absent)} no arquivo, {now.get(name, absent)} agora" for name in names]
