"""O núcleo de treino. Os dados moram no dispositivo como uint8; o passo sorteia, converte e binariza lá mesmo.

Dentro de uma época nada volta para a CPU: as somas ficam no dispositivo e são lidas uma vez, no fim. Os lotes têm
sempre as mesmas formas (os cheios e o último, menor), como a captura em grafos CUDA exige.
"""

import contextlib
import json
import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from numbers import Integral, Real
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from vae_lessons.data import Dataset, binarize
from vae_lessons.models import VAE, evaluating, mode
from vae_lessons.objectives import ElboTerms, elbo

_OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}
_FUSED = ("adam", "adamw", "sgd")
_EVALUATION_BATCH = 4096
_VALIDATION_SEED = 0
_FLOPS_WORTH_A_SECOND_THREAD = 1e8


def _require_integer(name: str, value, *, at_least: int) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < at_least:
        raise ValueError(f"{name} deve ser um inteiro maior ou igual a {at_least}, mas veio {value!r}.")


@dataclass(frozen=True)
class TrainConfig:
    """Tudo o que define um treino além do modelo e dos dados.

    epochs, batch_size, lr: como de costume · optimizer: "adam", "adamw", "rmsprop" ou "sgd" ·
    beta: peso final da KL · beta_warmup: épocas em que o peso sobe em linha reta de 0 a beta (KL annealing;
    Bowman et al., 2016) · binarize: "dynamic", "static" ou "none" (ver data.binarize) · seed: governa a ordem dos
    exemplos, a binarização e o ruído, não os pesos iniciais do modelo · device: "auto", "cpu", "cuda", ... ·
    patience: para depois de tantas épocas sem ELBO melhor e devolve os melhores pesos (None: nunca para).
    """

    epochs: int = 20
    batch_size: int = 128
    lr: float = 1e-3
    optimizer: str = "adam"
    beta: float = 1.0
    beta_warmup: int = 0
    binarize: str = "dynamic"
    seed: int = 0
    device: str = "auto"
    patience: int | None = None

    def __post_init__(self):
        for name in ("epochs", "batch_size"):
            _require_integer(name, getattr(self, name), at_least=1)
        _require_integer("beta_warmup", self.beta_warmup, at_least=0)
        _require_integer("seed", self.seed, at_least=0)
        if self.patience is not None:
            _require_integer("patience", self.patience, at_least=1)
        if not (isinstance(self.lr, Real) and 0 < self.lr < math.inf):
            raise ValueError(f"lr (a taxa de aprendizado) deve ser um número maior que zero, mas veio {self.lr!r}.")
        if self.optimizer not in _OPTIMIZERS:
            raise ValueError(
                f"Otimizador desconhecido: {self.optimizer!r}. Os que existem são: {', '.join(map(repr, _OPTIMIZERS))}."
            )
        if not (isinstance(self.beta, Real) and 0 <= self.beta < math.inf):
            raise ValueError(f"beta (o peso da KL) deve ser um número ≥ 0, mas veio {self.beta!r}.")
        if self.beta_warmup > self.epochs:
            raise ValueError(
                f"beta_warmup deve ficar entre 0 e epochs = {self.epochs}, mas veio {self.beta_warmup}: com um "
                "aquecimento mais longo que o treino, o peso da KL nunca chegaria a beta. Aumente epochs ou encurte-o."
            )
        if self.binarize not in ("dynamic", "static", "none"):
            raise ValueError(f"binarize deve ser 'dynamic', 'static' ou 'none', mas veio {self.binarize!r}.")


@dataclass
class History:
    """O que aconteceu, época a época: médias por exemplo, em nats (soma sobre os exemplos / número de exemplos).

    elbo, log_likelihood, kl: no treino, medidas durante a época, com os pesos mudando · val_*: na validação, ao fim de
    cada época (vazias sem validação) · beta: o peso da KL no fim da época · seconds: duração.
    interrupted: o treino foi interrompido pelo teclado · best_epoch: com patience, a época dos pesos devolvidos.
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
    best_epoch: int | None = None

    def __len__(self) -> int:
        return len(self.seconds)

    def __repr__(self) -> str:
        if not self.seconds:
            return "History(nenhuma época completa)"
        state = ", interrompido" if self.interrupted else ""
        return f"History({len(self)} épocas, ELBO {self.elbo[0]:.2f} → {self.elbo[-1]:.2f} nats{state})"

    def _append(self, record: dict[str, float], seconds: float) -> None:
        for name, value in record.items():
            getattr(self, name).append(value)
        self.seconds.append(seconds)  # por último: marca a época como completa

    def _drop_incomplete_epoch(self) -> None:
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


def fit(
    model: VAE,
    data: Dataset | Tensor,
    config: TrainConfig = TrainConfig(),
    *,
    objective: Callable[..., ElboTerms] = elbo,
    validation: Dataset | Tensor | None = None,
    progress: bool = True,
) -> History:
    """Treina `model` no lugar, no dispositivo de `config`, e devolve o History.

    data, validation: um Dataset, ou um tensor [N, D]: uint8, ou ponto flutuante com binarize="none" ·
    objective(model, x, beta=tensor escalar) → ElboTerms; minimiza-se a média de `loss` no lote ·
    progress: mostra a barra com ELBO, log-verossimilhança e KL (da validação, se houver).
    O mesmo modelo inicial, dados e config dão o mesmo resultado na mesma máquina, e o gerador global de números
    aleatórios fica como estava. A validação usa ruído próprio e fixo: não muda o treino.
    Interromper o kernel (■) não perde nada: o modelo fica com os pesos do momento e o History, com as épocas completas.
    Levanta ValueError se os dados não servirem e FloatingPointError se a ELBO deixar de ser finita.
    """
    device = choose_device(config.device)
    x = _prepare(data, config, device)
    _warn_if_not_a_likelihood(model, x, config)
    held_out = None if validation is None else _fix_bits(_prepare(validation, config, device), config)
    model.to(device)
    optimizer = _make_optimizer(model, config, device)
    history = History()
    best = None if config.patience is None else _BestWeights(config)
    bar = tqdm(total=config.epochs, disable=not progress, file=sys.stdout, unit="época", desc="Treino")
    try:
        with (
            bar,
            mode(model, training=True),
            _seeded(config.seed, device),
            _threads_for(model, config.batch_size, device),
        ):
            for epoch in range(config.epochs):
                started = time.perf_counter()
                record = _run_epoch(model, x, epoch, config, optimizer, objective)
                if held_out is not None:
                    record |= _validate(model, held_out, objective, device)
                _require_finite(record, epoch, config)
                history._append(record, time.perf_counter() - started)
                bar.set_postfix_str(_summary(history), refresh=False)
                bar.update()
                if best is not None and best.should_stop(model, history):
                    break
    except KeyboardInterrupt:
        history._drop_incomplete_epoch()
        history.interrupted = True
        print(
            f"Treino interrompido: {len(history)} de {config.epochs} épocas completas. O modelo está pronto para uso."
        )
    if best is not None and not history.interrupted:
        best.restore(model, history)
    return history


def choose_device(name: str = "auto") -> torch.device:
    """ "auto": CUDA se houver, senão outro acelerador que o torch conheça (mps, xpu, ...), senão a CPU.

    Qualquer outro nome é obedecido. Levanta ValueError se o dispositivo não existir nesta máquina.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        if torch.accelerator.is_available():
            return torch.accelerator.current_accelerator()
        return torch.device("cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"O dispositivo {name!r} não está disponível nesta máquina. Use device='auto' para que a escolha seja "
            "automática, ou 'cpu', que sempre existe."
        ) from error


def beta_at(step: int, steps_per_epoch: int, config: TrainConfig) -> float:
    """O peso da KL no passo `step`, contado a partir de 1: sobe em reta até beta em beta_warmup épocas e lá fica."""
    warmup_steps = config.beta_warmup * steps_per_epoch
    return config.beta * min(1.0, step / warmup_steps) if warmup_steps else config.beta


def _run_epoch(model, x: Tensor, epoch: int, config: TrainConfig, optimizer, objective) -> dict[str, float]:
    """Uma passada por todos os exemplos: as médias por exemplo e o β do último passo."""
    order = torch.randperm(len(x), device=x.device)
    batches = order.split(config.batch_size)
    sums = torch.empty(len(batches), 3, device=x.device)
    beta = torch.empty((), device=x.device)
    for i, rows in enumerate(batches):
        weight = beta_at(epoch * len(batches) + i + 1, len(batches), config)
        beta.fill_(weight)
        terms = _train_step(model, _to_batch(x[rows], config), beta, optimizer, objective)
        sums[i] = _sums(terms)
    return _per_example(sums, len(x)) | {"beta": weight}


def _train_step(model, batch: Tensor, beta: Tensor, optimizer, objective) -> ElboTerms:
    """Um passo do otimizador, sem esperar pelo dispositivo."""
    optimizer.zero_grad(set_to_none=True)
    terms = objective(model, batch, beta=beta)
    terms.loss.mean().backward()
    optimizer.step()
    return terms


def _validate(model, x: Tensor, objective, device: torch.device) -> dict[str, float]:
    """As médias na validação, com o mesmo ruído em todas as épocas: a curva muda só quando o modelo muda."""
    with evaluating(model), _seeded(_VALIDATION_SEED, device):
        sums = torch.stack([_sums(objective(model, batch, beta=1.0)) for batch in x.split(_EVALUATION_BATCH)])
    return {f"val_{name}": value for name, value in _per_example(sums, len(x)).items()}


def _sums(terms: ElboTerms) -> Tensor:
    return torch.stack([terms.elbo.detach().sum(), terms.log_likelihood.detach().sum(), terms.kl.detach().sum()])


def _per_example(sums: Tensor, n_examples: int) -> dict[str, float]:
    """Somas por lote [lotes, 3] → médias por exemplo: a única leitura do dispositivo em toda a época."""
    means = (sums.cpu().double().sum(0) / n_examples).tolist()
    return dict(zip(("elbo", "log_likelihood", "kl"), means, strict=True))


def _prepare(data: Dataset | Tensor, config: TrainConfig, device: torch.device) -> Tensor:
    """O tensor [N, D] no dispositivo; com binarização estática, já binarizado (0 ou 255)."""
    x = data.x if isinstance(data, Dataset) else data
    if not isinstance(x, Tensor):
        raise TypeError(f"Os dados devem ser um Dataset ou um tensor [N, D], mas veio {type(x).__name__}.")
    if x.ndim != 2 or len(x) == 0:
        raise ValueError(f"Os dados devem ter forma [N, D] com ao menos um exemplo, mas veio {tuple(x.shape)}.")
    if x.dtype != torch.uint8 and not (x.is_floating_point() and config.binarize == "none"):
        raise ValueError(
            "Os dados devem ser uint8 (0 a 255), que o treino binariza, ou ponto flutuante com "
            f"binarize='none', que é usado como veio; vieram {x.dtype} e binarize={config.binarize!r}."
        )
    if config.binarize == "static":
        x = binarize(x, "static").mul(255).to(torch.uint8)
    return x.to(device)


def _fix_bits(x: Tensor, config: TrainConfig) -> Tensor:
    """A validação em ponto flutuante. Quando o treino sorteia bits novos a cada lote, os dela são sorteados uma vez."""
    return binarize(x, "static") if config.binarize == "dynamic" else _to_batch(x, config)


def _to_batch(rows: Tensor, config: TrainConfig) -> Tensor:
    if rows.is_floating_point():
        return rows
    return binarize(rows, "dynamic" if config.binarize == "dynamic" else "none")


def _warn_if_not_a_likelihood(model, x: Tensor, config: TrainConfig) -> None:
    likelihood = getattr(model, "likelihood", None)
    is_grey = config.binarize == "none" and not ((x == 0) | (x == (255 if x.dtype == torch.uint8 else 1))).all()
    if likelihood == "bernoulli" and is_grey:
        warnings.warn(
            "A Bernoulli só é uma verossimilhança para pixels 0 ou 1, e binarize='none' entrega tons de cinza: o que "
            "for impresso como ELBO não será um limite de log p(x). Use binarize='dynamic', ou "
            "likelihood='continuous_bernoulli' ou 'gaussian' para tons de cinza.",
            stacklevel=3,
        )
    if likelihood in ("gaussian", "continuous_bernoulli") and config.binarize != "none":
        warnings.warn(
            f"likelihood={likelihood!r} é uma densidade para tons de cinza, e binarize={config.binarize!r} entrega "
            "pixels 0 ou 1: a densidade pode crescer sem limite e não se compara à probabilidade de uma Bernoulli. "
            "Use binarize='none'.",
            stacklevel=3,
        )


def _make_optimizer(model, config: TrainConfig, device: torch.device) -> torch.optim.Optimizer:
    fused = {"fused": True} if config.optimizer in _FUSED and device.type in ("cpu", "cuda") else {}
    return _OPTIMIZERS[config.optimizer](model.parameters(), lr=config.lr, **fused)


@contextlib.contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Semente própria dentro do bloco; fora dele, o gerador global segue como se nada tivesse acontecido."""
    if device.type == "cpu":
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # só o da CPU: torch.manual_seed mudaria também o da GPU
            yield
    else:
        with torch.random.fork_rng(devices=[device], device_type=device.type):
            torch.manual_seed(seed)
            yield


@contextlib.contextmanager
def _threads_for(model, batch_size: int, device: torch.device) -> Iterator[None]:
    """Numa CPU, um passo pequeno demais para dividir corre mais depressa numa linha de execução só."""
    n_parameters = sum(p.numel() for p in model.parameters())
    before = torch.get_num_threads()
    if device.type == "cpu" and 6 * n_parameters * batch_size < _FLOPS_WORTH_A_SECOND_THREAD:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _BestWeights:
    """Parada antecipada: guarda os melhores pesos pela ELBO da validação (ou do treino, se não houver validação).

    Só conta depois do aquecimento de β: antes dele a KL ainda é barata e o modelo mais solto é que parece melhor.
    """

    def __init__(self, config: TrainConfig):
        self.config = config
        self.elbo = -math.inf
        self.epoch: int | None = None
        self.weights: dict[str, Tensor] = {}

    def should_stop(self, model, history: History) -> bool:
        epoch = len(history)
        if epoch < self.config.beta_warmup:
            return False
        watched = (history.val_elbo or history.elbo)[-1]
        if watched > self.elbo:
            self.weights = {name: value.clone() for name, value in model.state_dict().items()}
            self.elbo, self.epoch = watched, epoch
        return epoch - self.epoch >= self.config.patience

    def restore(self, model, history: History) -> None:
        history.best_epoch = self.epoch
        if self.weights:
            model.load_state_dict(self.weights)


def _require_finite(record: dict[str, float], epoch: int, config: TrainConfig) -> None:
    if not all(math.isfinite(value) for value in record.values()):
        shown = ", ".join(f"{name} = {value:.4g}" for name, value in record.items() if name != "beta")
        raise FloatingPointError(
            f"O treino divergiu na época {epoch + 1} ({shown}). Diminua lr (era {config.lr:g}) ou confira se os dados "
            "têm NaN ou infinito."
        )


def _summary(history: History) -> str:
    prefix, label = ("val_", " (validação)") if history.val_elbo else ("", "")
    elbo_, log_lik, kl = (getattr(history, prefix + name)[-1] for name in ("elbo", "log_likelihood", "kl"))
    return f"ELBO {elbo_:.2f} = log p(x|z) {log_lik:.2f} − KL {kl:.2f} nats{label}"
