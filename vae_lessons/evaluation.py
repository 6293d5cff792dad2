"""Medidas de um modelo treinado. Todas fazem médias sobre os exemplos e nada aprendem com eles.

`data` é um Dataset ou um tensor [N, D]: imagens uint8 são vistas em bits fixos por um modelo de likelihood "bernoulli"
e em tons de cinza pelos outros, e o resto, como veio; vai para o dispositivo do modelo uma parte por vez.
O modelo é medido em modo de avaliação (sem dropout, e com as médias que a BatchNorm guardou), e fica como estava.
Todas levantam TypeError se `model` não for um modelo ou `data` não for desses tipos, e ValueError se os dados não
servirem ao modelo.
"""

import math
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from vae_lessons.counts import require_count
from vae_lessons.data import Dataset, as_dataset, binarize
from vae_lessons.distributions import Categorical, has_closed_form_kl, kl_divergence
from vae_lessons.estimators import score_function
from vae_lessons.models import VAE, evaluating
from vae_lessons.objectives import elbo, log_importance_weights, require_model
from vae_lessons.randomness import seeded
from vae_lessons.suitability import require_suitable

_HEAVY_TAIL = 0.5  # acima disto, a variância dos pesos é infinita
_ENOUGH_FOR_A_TAIL = 100  # amostras: com menos, as maiores ainda não são a cauda
_STATIC_SEED = 0  # a da binarização "static"


class _LogLikelihood(NamedTuple):
    mean: float
    standard_error: float
    per_example: Tensor


class LogLikelihood(_LogLikelihood):
    """mean: média de log p(x), em nats por observação · standard_error: o dessa média, dados os exemplos ·
    per_example [N]: a estimativa de cada exemplo. São os três que se desempacotam. E mais:
    k: as amostras por observação · effective_sample_size [N]: quantas delas contam, (Σw)² / Σw², de 1 a k."""

    def __new__(cls, mean: float, standard_error: float, per_example: Tensor, effective_sample_size: Tensor, k: int):
        result = super().__new__(cls, mean, standard_error, per_example)
        result.effective_sample_size = effective_sample_size
        result.k = k
        return result

    def __getnewargs__(self):
        return (*self, self.effective_sample_size, self.k)

    def __repr__(self) -> str:
        typical = self.effective_sample_size.median().item()
        return (
            f"LogLikelihood({self.mean:.4f} ± {self.standard_error:.4f} nats, {len(self.per_example)} exemplos, "
            f"tamanho efetivo {typical:.0f} de {self.k})"
        )


def log_likelihood(model: VAE, data: Dataset | Tensor, *, k: int = 1000, chunk: int = 16384) -> LogLikelihood:
    """log p(x) por amostragem de importância com q(z|x) (Burda et al., 2016): logsumexp(log w) − log k, em nats.

    data: Dataset ou [N, D] · k: amostras de z por observação · chunk: quantos z são decodificados de uma vez; limita a
    memória e não muda o resultado além do sorteio.

    O erro-padrão é o de Monte Carlo com os exemplos fixos. Para cada um, r = Var(w) / (k · média(w)²) é a variância
    relativa; pelo método delta, log ŵ erra com desvio √r e fica em média r/2 abaixo de log p(x) (Jensen). O erro-padrão
    soma os dois em quadratura, e nunca é menor que o arredondamento do tipo numérico.
    O tamanho efetivo de amostra é ≈ 1/r (Kong, Liu e Wong, 1994). Se q deixar de fora parte da posterior, as amostras
    não veem o que falta, e r parece menor do que é; mas a cauda dos pesos o denuncia. Há um aviso (UserWarning) se o
    índice dela, o de Hill (1975) nos √k maiores pesos, passar de ½ em média, caso em que a variância deles é infinita
    (Vehtari et al., 2024), ou se o tamanho efetivo for muito pequeno: aí o erro-padrão não cobre o erro.
    Levanta ValueError se k < 2 ou chunk < 1, e TypeError se não forem inteiros.
    """
    k = require_count("k", k, ", para que haja erro-padrão (o usual é 1000 ou mais)", at_least=2)
    chunk = _require_chunk(chunk)
    data = _to_explain(model, data)
    rows_at_once = max(1, min(len(data), chunk // min(k, chunk)))
    with evaluating(model):
        sums = [_log_sums(model, rows, k, chunk) for rows in _rows(model, data, rows_at_once)]
    log_first, log_second, tails = (torch.cat(parts) for parts in zip(*sums, strict=True))
    relative_variance = torch.expm1((log_second - 2 * log_first).clamp(min=0)) / (k - 1)
    bias = relative_variance.mean() / 2
    rounding = torch.finfo(_float_type(model)).eps * log_first.abs().mean()
    error = torch.stack([relative_variance.sum().sqrt() / len(data), bias, rounding]).norm()
    sizes = k * torch.exp(2 * log_first - log_second)
    _warn_if_poor(sizes, tails, k)
    return LogLikelihood(log_first.mean().item(), error.item(), log_first, sizes, k)


def _log_sums(model: VAE, x: Tensor, k: int, chunk: int) -> tuple[Tensor, Tensor, Tensor]:
    """log da média de w e de w² sobre k amostras, em float64 onde há, e o índice da cauda dos pesos, cada um [B]; no
    máximo `chunk` decodificações por vez."""
    wide = torch.float32 if x.device.type == "mps" else torch.float64  # o mps não tem float64
    log_first = torch.full((len(x),), -math.inf, dtype=wide, device=x.device)
    log_second = log_first.clone()
    largest = log_first.new_empty(0, len(x))
    k_at_once = max(1, chunk // len(x))
    n_tail = math.isqrt(k)
    for start in range(0, k, k_at_once):
        log_w = log_importance_weights(model, x, min(k_at_once, k - start)).to(wide)
        log_first = torch.logaddexp(log_first, log_w.logsumexp(0))
        log_second = torch.logaddexp(log_second, (2 * log_w).logsumexp(0))
        largest = torch.cat([largest, log_w])
        largest = largest.topk(min(n_tail + 1, len(largest)), dim=0).values
    tail_index = (largest[:-1] - largest[-1]).mean(0)  # o logaritmo de uma cauda de Pareto é exponencial de média ξ
    return log_first - math.log(k), log_second - math.log(k), tail_index


def _warn_if_poor(sizes: Tensor, tails: Tensor, k: int) -> None:
    typical, tail = sizes.median().item(), tails.mean().item()
    heavy = k >= _ENOUGH_FOR_A_TAIL and not tail <= _HEAVY_TAIL
    if not heavy and typical >= min(k, _ENOUGH_FOR_A_TAIL) / 10:
        return
    about_tail = f", e o índice da cauda dos pesos é {tail:.2f} (acima de ½, a variância é infinita)" if heavy else ""
    warnings.warn(
        f"O erro-padrão de log p(x) não cobre o erro: das k = {k} amostras por imagem, contam {typical:.0f} (mediana "
        f"do tamanho efetivo){about_tail}. A q(z|x) é mais estreita que a posterior, ou está longe dela, e a "
        "estimativa fica abaixo de log p(x). Treine mais o modelo e repita com k dez vezes maior; se a estimativa "
        "ainda subir mais que o erro-padrão, apresente-a como um limite inferior.",
        stacklevel=3,
    )


class RateDistortion(NamedTuple):
    """Em nats por observação, com −ELBO = rate + distortion.
    rate: KL(q(z|x) ‖ p(z)), em média · distortion: −E_q[log p(x|z)], em média."""

    rate: float
    distortion: float


def rate_distortion(
    model: VAE, data: Dataset | Tensor, *, n_samples: int = 8, seed: int = 0, chunk: int = 16384
) -> RateDistortion:
    """Taxa e distorção de um modelo (Alemi et al., 2018): os nats que custa dizer z, e os que ainda custa dizer x.

    A taxa é um limite superior da informação mútua I(x; z) do codificador, que só é atingido se a média de q(z|x)
    sobre os dados for a prior. Ela é exata onde a KL tem forma fechada; senão vem, como a distorção, de n_samples
    amostras de z por observação.
    data: Dataset ou [N, D] · seed: sorteio de z, que não toca o gerador global; a mesma semente dá o mesmo número ·
    chunk: quantos z são decodificados de uma vez (ou os n_samples de um exemplo, se forem mais). Serve para qualquer
    posterior e prior.
    Levanta ValueError se n_samples < 1 ou chunk < 1, e TypeError se não forem inteiros.
    """
    n_samples = require_count("n_samples", n_samples, " (amostras de z por observação)")
    chunk = _require_chunk(chunk)
    data = _to_explain(model, data)
    rates, distortions = [], []
    with evaluating(model), seeded(seed, _device(model, data)):
        for rows in _rows(model, data, max(1, chunk // n_samples)):
            # Sem gradiente, score_function é só a média de log p(x|z) em amostras de q, qualquer que seja q.
            terms = elbo(model, rows, n_samples=n_samples, estimator=score_function)
            rates.append(terms.kl.cpu().double())
            distortions.append(-terms.log_likelihood.cpu().double())
    return RateDistortion(torch.cat(rates).mean().item(), torch.cat(distortions).mean().item())


def kl_per_dimension(model: VAE, data: Dataset | Tensor, *, chunk: int = 16384) -> Tensor:
    """KL(q(z_j|x) ‖ p(z_j)) média sobre os exemplos, em nats: data [N, D] → [Z] (ou [N], se o latente for categórico).

    A soma é a taxa de rate_distortion; perto de zero estão as dimensões que o codificador não usa.
    chunk: quantos exemplos são codificados de uma vez. Levanta ValueError se chunk < 1, e TypeError se não houver KL em
    forma fechada entre a posterior e a prior do modelo.
    """
    chunk = _require_chunk(chunk)
    data = _to_encode(model, data)
    parts = []
    with evaluating(model):
        for rows in _rows(model, data, chunk):
            q, prior = model.encode(rows), model.prior
            if not has_closed_form_kl(q, prior):
                raise TypeError(
                    f"Não há KL em forma fechada, por dimensão, de {type(q).__name__} para {type(prior).__name__}. "
                    "A KL total se estima com rate_distortion(model, data).rate."
                )
            kl = kl_divergence(q, prior)
            parts.append(kl if kl.ndim > 1 else kl.unsqueeze(-1))  # uma Dirichlet é um latente só
    return torch.cat(parts).mean(0)


def posterior_mean_variance(model: VAE, data: Dataset | Tensor, *, chunk: int = 16384) -> Tensor:
    """Variância, sobre os exemplos, da média da posterior de cada dimensão: data [N, D] → [Z]. Zero: dimensão inativa.

    chunk: quantos exemplos são codificados de uma vez. Levanta ValueError se não houver dois exemplos ou chunk < 1, e
    TypeError se o latente for categórico ou a posterior não tiver média conhecida.
    """
    chunk = _require_chunk(chunk)
    data = _to_encode(model, data)
    if len(data) < 2:
        raise ValueError("São precisos ao menos dois exemplos, para que haja variância, mas veio um só.")
    with evaluating(model):
        means = [_posterior_mean(model.encode(rows)) for rows in _rows(model, data, chunk)]
    return torch.cat(means).var(dim=0)


def active_units(model: VAE, data: Dataset | Tensor, threshold: float = 0.01) -> int:
    """Quantas dimensões latentes o codificador usa: as de Cov_x(E_q[z]) > threshold (Burda et al., 2016, seção 5).

    Levanta o mesmo que posterior_mean_variance.
    """
    return int((posterior_mean_variance(model, data) > threshold).sum())


def _posterior_mean(q) -> Tensor:
    if isinstance(q, Categorical):
        raise TypeError(
            "As unidades ativas são as dimensões de um latente contínuo, e este modelo tem latentes categóricos. Para "
            "saber quais ele usa, veja a KL de cada um com kl_per_dimension(model, data)."
        )
    if not isinstance(getattr(q, "mean", None), Tensor):
        raise TypeError(
            f"active_units usa a média da posterior, q.mean, e {type(q).__name__} não a tem: a de um fluxo, por "
            "exemplo, não se conhece. Veja com rate_distortion quanto o modelo gasta no total."
        )
    return q.mean


def _to_encode(model: VAE, data: Dataset | Tensor) -> Dataset:
    """Os dados, se o codificador os puder ler: o que a verossimilhança espera deles não importa."""
    require_model(model)
    data = as_dataset(data)
    if data.x.dtype == torch.uint8:
        require_suitable(model, data, mode=_mode(model))
    return data


def _to_explain(model: VAE, data: Dataset | Tensor) -> Dataset:
    """Os dados, se o codificador e a verossimilhança servirem a eles."""
    require_model(model)
    data = as_dataset(data)
    require_suitable(model, data, mode=_mode(model))
    return data


def _rows(model: VAE, data: Dataset, size: int) -> Iterator[Tensor]:
    """O que o modelo vê dos dados, `size` linhas por vez e já no dispositivo dele: tudo junto é o que dá
    suitability.measured, sem que nunca esteja inteiro em ponto flutuante."""
    device, mode, generator = _device(model, data), _mode(model), torch.Generator().manual_seed(_STATIC_SEED)
    for rows in data.x.split(size):
        if data.x.dtype == torch.uint8 and mode == "static":
            rows = binarize(rows.cpu(), "dynamic", generator=generator)  # a mesma sequência de bits, em partes
        elif data.x.dtype == torch.uint8:
            rows = binarize(rows.to(device), mode)
        yield rows.to(device)


def _mode(model: VAE) -> str:
    return "static" if getattr(model, "likelihood", None) == "bernoulli" else "none"


def _device(model: VAE, data: Dataset) -> torch.device:
    return next(model.parameters(), data.x).device


def _float_type(model: VAE) -> torch.dtype:
    return next((weight.dtype for weight in model.parameters() if weight.is_floating_point()), torch.float32)


def _require_chunk(chunk: int) -> int:
    return require_count("chunk", chunk, " (quantos z passam pelo modelo de uma vez)")
