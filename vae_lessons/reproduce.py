"""Resultados publicados, treinados de novo: `python -m vae_lessons.reproduce NOME` põe o nosso número ao lado do deles.

As NLL são −log p(x) no teste de MNIST, em nats por imagem, por amostragem de importância; menos é melhor.
"""

import argparse
import bisect
import functools
import itertools
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from vae_lessons.data import binarize, load
from vae_lessons.devices import choose_device
from vae_lessons.distributions import kl_divergence
from vae_lessons.estimators import gumbel_softmax
from vae_lessons.evaluation import log_likelihood, rate_distortion
from vae_lessons.files import user_path
from vae_lessons.models import VAE, categorical_vae, mlp_vae
from vae_lessons.objectives import ElboTerms, elbo, log_importance_weights
from vae_lessons.randomness import seeded
from vae_lessons.training import TrainConfig, fit


@dataclass(frozen=True)
class Setting:
    """Um resultado publicado e o que é preciso para refazê-lo.

    published: "NLL" e, se houver, "−ELBO" → valor, em nats por imagem · objective, schedules: como em `fit` ·
    n_train: quantas imagens de treino · k: amostras de importância por imagem · differences: no que a receita daqui não
    é a de lá.
    """

    source: str
    published: dict[str, float]
    build: Callable[[], VAE]
    config: TrainConfig
    n_train: int
    k: int
    differences: str
    objective: Callable[..., ElboTerms] = elbo
    schedules: dict[str, Callable[[float], float]] = field(default_factory=dict)


def iwae(model: VAE, x: Tensor, *, beta: Tensor, k: int) -> ElboTerms:
    """Maximiza L_k (Burda et al., 2016, eq. 8), com a ELBO das mesmas k amostras no registro. β não entra.

    Com k = 1, é a ELBO com a KL também por amostragem: a mesma esperança, com mais variância.
    """
    log_w = log_importance_weights(model, x, k)
    with torch.no_grad():
        kl = kl_divergence(model.encode(x), model.prior).sum(-1)
        bound = log_w.mean(0)
    return ElboTerms(bound, bound + kl, kl, math.log(k) - log_w.logsumexp(0))


def relaxed(model: VAE, x: Tensor, *, beta: Tensor, temperature: Tensor) -> ElboTerms:
    """A ELBO de um VAE categórico, com o gradiente de Gumbel-Softmax."""
    return elbo(model, x, beta=beta, estimator=functools.partial(gumbel_softmax, temperature=temperature))


def _stepwise(rates: Sequence[tuple[int, float]]) -> Callable[[float], float]:
    """A agenda em que cada lr vale por tantas épocas: pares (épocas, lr)."""
    ends = list(itertools.accumulate(epochs for epochs, _ in rates))
    return lambda epochs: rates[min(bisect.bisect_right(ends, epochs), len(rates) - 1)][1]


def _iwae(k: int, nll: float) -> Setting:
    return Setting(
        source=f"Burda et al., 2016 (arXiv:1509.00519), tabela 1, uma camada, {'VAE' if k == 1 else 'IWAE'}, k = {k}",
        published={"NLL": nll},
        build=functools.partial(mlp_vae, 784, 50, (200, 200), activation="tanh"),
        config=TrainConfig(epochs=3280, batch_size=20, optimizer=functools.partial(torch.optim.Adam, eps=1e-4)),
        n_train=60_000,
        k=5000,
        objective=elbo if k == 1 else functools.partial(iwae, k=k),
        schedules={"lr": _stepwise([(3**i, 10 ** (-3 - i / 7)) for i in range(8)])},
        differences="os pesos iniciais são os do PyTorch",
    )


_OTHER_BITS = "lá, a binarização fixa é a de Larochelle; aqui, a de semente própria"

SETTINGS = {
    "jaanli": Setting(
        source="github.com/jaanli/variational-autoencoder, README, posterior fatorada",
        published={"NLL": 100.31, "−ELBO": 106.64},
        build=functools.partial(mlp_vae, 784, 128, (256, 256)),
        config=TrainConfig(
            epochs=51,  # 19.941 passos: a validação de lá olha os de 0, 10.000 e 20.000
            batch_size=128,
            optimizer=functools.partial(torch.optim.RMSprop, centered=True),
            binarize="static",
        ),
        n_train=50_000,
        k=1000,
        objective=functools.partial(iwae, k=1),
        differences=f"{_OTHER_BITS}, e o codificador dá σ por softplus; dos 30.000 passos de lá, a validação fica com "
        "os pesos do 20.000, e aqui se para neles",
    ),
    "pythae": Setting(
        source="github.com/clementchadebec/benchmark_VAE, examples/scripts/reproducibility, VAE (de referência, 89,9)",
        published={"NLL": 89.78},
        build=functools.partial(mlp_vae, 784, 40, (400,)),
        config=TrainConfig(epochs=500, batch_size=100, binarize="static"),
        schedules={"lr": _stepwise([(200, 1e-4), (150, 10**-4.2), (150, 10**-4.4)])},
        n_train=50_000,
        k=200,
        differences=_OTHER_BITS,
    ),
    "gumbel": Setting(
        source="Jang, Gu e Poole, 2017 (arXiv:1611.01144), tabela 1, VAE categórico 20×10, Gumbel-Softmax",
        published={"NLL": 101.5},
        build=functools.partial(categorical_vae, 784, 20, 10, ()),
        config=TrainConfig(epochs=200, batch_size=100, lr=1e-3, binarize="static"),
        n_train=50_000,
        k=1000,
        objective=relaxed,
        schedules={"temperature": lambda epochs: max(0.5, math.exp(-1e-5 * 500 * epochs))},  # 500 passos por época
        differences="codificador e decodificador lineares, 784-(20×10)-784; otimizador, épocas e r = 1e-5 são escolhas "
        "nossas, e τ muda a cada passo",
    ),
    "iwae1": _iwae(1, 86.76),
    "iwae5": _iwae(5, 85.54),
    "iwae50": _iwae(50, 84.78),
}


def reproduce(
    name: str,
    *,
    epochs: int | None = None,
    n_test: int = 10_000,
    k: int | None = None,
    seed: int = 0,
    device: str = "auto",
    checkpoints: str | Path | None = None,
    progress: bool = True,
) -> dict:
    """Treina e avalia a receita `name` e devolve o que se mediu, em nats por imagem, ao lado do publicado.

    epochs: só as primeiras, para dar uma ideia (None: todas) · n_test: quantas imagens de teste · k: amostras de
    importância (None: as da receita) · seed: dos pesos iniciais e do treino · checkpoints: pasta em que o treino é
    gravado e de onde é retomado.
    Levanta ValueError se a receita não existir ou se epochs ou n_test não couberem nela.
    """
    if name not in SETTINGS:
        raise ValueError(f"Receita desconhecida: {name!r}. As que existem são: {', '.join(map(repr, SETTINGS))}.")
    setting = SETTINGS[name]
    if epochs is not None and not 1 <= epochs <= setting.config.epochs:
        raise ValueError(
            f"epochs deve ficar entre 1 e {setting.config.epochs}, as da receita {name!r}, mas veio {epochs}."
        )
    if not 1 <= n_test <= 10_000:
        raise ValueError(f"n_test deve ficar entre 1 e 10.000, as imagens do teste, mas veio {n_test}.")
    train = load("mnist").x[: setting.n_train]
    test = binarize(load("mnist", "test").x, "static")[:n_test].to(choose_device(device))
    with seeded(seed, torch.device("cpu")):
        model = setting.build()
    started = time.perf_counter()
    path = None if checkpoints is None else user_path(checkpoints) / f"{name}-{seed}.pt"
    n_epochs = epochs or setting.config.epochs
    config = replace(setting.config, epochs=n_epochs, seed=seed, device=device, checkpoint=path)
    options = {"objective": setting.objective, "schedules": setting.schedules, "progress": progress}
    fit(model, train, config, resume=path is not None, **options)
    trained = time.perf_counter() - started
    with seeded(seed, test.device):
        rate, distortion = rate_distortion(model, test)
        nll = log_likelihood(model, test, k=k or setting.k)
    return {
        "name": name,
        "epochs": n_epochs,
        "epochs_of_the_recipe": setting.config.epochs,
        "n_test": n_test,
        "k": k or setting.k,
        "ours": {"NLL": -nll.mean, "−ELBO": rate + distortion},
        "standard_error": nll.standard_error,
        "effective_sample_size": nll.effective_sample_size.median().item(),
        "test_set_error": (nll.per_example.std() / n_test**0.5).item() if n_test > 1 else math.nan,
        "published": setting.published,
        "training_seconds": trained,
        "evaluation_seconds": time.perf_counter() - started - trained,
    }


def report(result: dict) -> str:
    """O resultado como tabela de texto."""
    setting = SETTINGS[result["name"]]
    part = (
        ""
        if result["epochs"] == setting.config.epochs
        else f" de {setting.config.epochs} (só o começo: os números não se comparam)"
    )
    word = "época" if result["epochs"] == 1 else "épocas"
    lines = [
        f"{result['name']}: {setting.source}",
        f"  Diferenças: {setting.differences}.",
        f"  {result['epochs']} {word}{part}; {result['n_test']} imagens de teste, k = {result['k']}.",
        f"  {'nats por imagem':<16}{'aqui':>10}{'publicado':>12}{'diferença':>12}",
    ]
    for quantity, value in result["ours"].items():
        theirs = result["published"].get(quantity)
        columns = f"{theirs:>12.2f}{value - theirs:>+12.2f}" if theirs is not None else f"{'–':>12}{'–':>12}"
        lines.append(f"  {quantity:<16}{value:>10.2f}{columns}")
    lines += [
        f"  Erro-padrão da NLL: {result['standard_error']:.3f} de Monte Carlo; {result['test_set_error']:.2f} contando "
        "o sorteio das imagens de teste.",
        f"  Tamanho efetivo de amostra, mediana: {result['effective_sample_size']:.0f} de {result['k']}.",
        f"  Treino: {result['training_seconds']:.0f} s; avaliação: {result['evaluation_seconds']:.0f} s.",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    names = "\n".join(f"  {name:<8}{s.source}; {s.config.epochs} épocas" for name, s in SETTINGS.items())
    parser = argparse.ArgumentParser(
        prog="python -m vae_lessons.reproduce",
        description="Treina e avalia receitas publicadas e mostra o nosso número ao lado do deles.",
        epilog=f"Receitas:\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="*", metavar="NOME", help="uma ou mais receitas; nenhuma: lista as que existem")
    parser.add_argument("--epochs", type=int, help="só as primeiras épocas, para dar uma ideia")
    parser.add_argument("--n-test", type=int, default=10_000, help="quantas imagens de teste (padrão: todas)")
    parser.add_argument("--k", type=int, help="amostras de importância por imagem (padrão: as da receita)")
    parser.add_argument("--seed", type=int, default=0, help="semente dos pesos e do treino")
    parser.add_argument("--device", default="auto", help='"auto", "cpu", "cuda", ...')
    parser.add_argument("--checkpoints", help="pasta em que o treino é gravado e de onde é retomado")
    parser.add_argument("--json", action="store_true", help="o resultado em JSON")
    options = vars(parser.parse_args(arguments))
    as_json, chosen = options.pop("json"), options.pop("name")
    if not chosen:
        parser.print_help()
    for name in chosen:
        try:
            result = reproduce(name, **options, progress=not as_json)
        except (ValueError, FileNotFoundError) as error:  # o pedido não serve, ou faltam os dados
            raise SystemExit(str(error)) from error
        print(json.dumps(result) if as_json else report(result))


if __name__ == "__main__":
    main()
