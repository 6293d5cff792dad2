"""As formas fechadas do modelo linear-gaussiano: z ~ N(0, I), x|z ~ N(Wz + b, σ²I), com q(z|x) normal.

Treinado com o peso β na KL, ele chega a um ótimo que se conhece por inteiro. Na direção de cada autovetor da
covariância dos dados, de autovalor λ, há um latente, que vive se λ > βσ²: o decodificador o multiplica por
w = √(λ − βσ²), e a posterior é q(z|x) = N(wx/λ, βσ²/λ). Se λ ≤ βσ², w = 0 e q(z|x) é a prior: o latente colapsou. Só o
produto βσ², o nível da água, decide quem vive. Com β = 1, é a PCA probabilística (Tipping e Bishop, 1999; Lucas et al.,
2019, arXiv:1911.02469). É também a função taxa-distorção de uma fonte normal, o enchimento reverso de Cover e Thomas
(2006, cap. 10).
"""

import math

import torch
from torch import Tensor


def optimal_kl(eigenvalues: Tensor, beta: float | Tensor, noise_variance: float | Tensor) -> Tensor:
    """½ ln(λᵢ / βσ²), ou 0 se λᵢ ≤ βσ²: [..., D] → [..., D], em nats por observação, a média de KL(q(zᵢ|x) ‖ p(zᵢ)).

    eigenvalues [..., D]: os autovalores λ da covariância dos dados, em qualquer ordem · beta, noise_variance: β e σ²,
    números ou tensores que se combinem com [..., D] pelas regras do PyTorch; de L níveis [L, 1] sai [L, D].
    Vale para um modelo com um latente para cada λ > βσ²; com menos, contam só os maiores λ.
    Levanta ValueError se β ou σ² não forem positivos, se as formas não se combinarem ou se um autovalor for negativo
    além do arredondamento; e TypeError se eigenvalues não for um tensor float32 ou float64.
    """
    eigenvalues, level = _spectrum_and_level(eigenvalues, beta, noise_variance)
    return 0.5 * (eigenvalues / level).clamp_min(1).log()


def optimal_squared_error(eigenvalues: Tensor, beta: float | Tensor, noise_variance: float | Tensor) -> Tensor:
    """Σᵢ min(λᵢ, βσ²): [..., D] → [...], a média de ‖x − Wz − b‖² sobre os dados e sobre z ~ q(z|x).

    Quem vive erra βσ², quem colapsou erra λᵢ, a sua variância inteira. Com a média de q no lugar da amostra, quem vive
    erraria menos, (βσ²)²/λᵢ. Os argumentos e os erros são os de `optimal_kl`; de L níveis [L, 1] sai [L].
    """
    eigenvalues, level = _spectrum_and_level(eigenvalues, beta, noise_variance)
    return torch.minimum(eigenvalues, level).sum(-1)


def log_evidence(x: Tensor, weight: Tensor, bias: Tensor | float, noise_variance: float | Tensor) -> Tensor:
    """log p(x) = log N(x; b, WWᵀ + σ²I), exato: x [B, D] → [B], em nats por observação.

    weight [D, Z]: W, o peso do decodificador, como em nn.Linear(Z, D) · bias [D], ou um número: b · noise_variance: σ²,
    um número, ou [D], um para cada coluna. Nenhuma matriz D × D é montada. Com gradiente em todos os argumentos.
    Levanta TypeError se x ou weight não forem tensores float32 ou float64, e ValueError se as formas não casarem, se σ²
    não for positiva ou se houver NaN ou infinito nos parâmetros.
    """
    x, weight, bias, variance = _checked_model(x, weight, bias, noise_variance)
    centered = x - bias
    # A posterior de z é N(m, P⁻¹), com P = I + WᵀW/σ². Ela faz da forma quadrática uma soma de quadrados,
    # (x−b)ᵀ(WWᵀ + σ²I)⁻¹(x−b) = ‖x − b − Wm‖²/σ² + ‖m‖², em que nada se cancela, e det(WWᵀ + σ²I) = σ²ᴰ · det P.
    scaled = weight / variance[:, None]
    precision = torch.eye(weight.shape[1], dtype=x.dtype, device=x.device) + weight.T @ scaled
    factor = torch.linalg.cholesky(precision)
    mean = torch.cholesky_solve((centered @ scaled).T, factor).T
    squares = ((centered - mean @ weight.T).square() / variance).sum(-1) + mean.square().sum(-1)
    log_det = variance.log().sum() + 2 * factor.diagonal().log().sum()
    return -0.5 * (x.shape[1] * math.log(2 * math.pi) + log_det + squares)


def _spectrum_and_level(eigenvalues: Tensor, beta, noise_variance) -> tuple[Tensor, Tensor]:
    """λ, sem os negativos que são só arredondamento, e βσ², já na forma em que se combinam."""
    _require_real("eigenvalues", eigenvalues, "[..., D], os autovalores de uma covariância")
    if eigenvalues.ndim == 0 or not eigenvalues.numel():
        raise ValueError(
            f"eigenvalues deve ter forma [..., D], com ao menos um autovalor, mas veio {tuple(eigenvalues.shape)}."
        )
    if not eigenvalues.isfinite().all():
        raise ValueError("Há NaN ou infinito em eigenvalues. Confira os dados de que veio a covariância.")
    rounding = eigenvalues.shape[-1] * torch.finfo(eigenvalues.dtype).eps * eigenvalues.abs().max().item()
    least = eigenvalues.min().item()
    if least < -rounding:
        raise ValueError(
            f"Os autovalores de uma covariância não são negativos, mas o menor de eigenvalues é {least:.4g}. Use "
            "torch.linalg.eigvalsh(covariance) numa covariância simétrica; singular values são raízes de autovalores."
        )
    beta = _positive("beta", beta, eigenvalues, "o peso da KL")
    variance = _positive("noise_variance", noise_variance, eigenvalues, "σ², a variância do ruído de x|z")
    try:
        eigenvalues, level = torch.broadcast_tensors(eigenvalues.clamp_min(0), beta * variance)
    except RuntimeError:
        raise ValueError(
            f"beta e noise_variance devem ser números ou tensores que se combinem com eigenvalues, de forma "
            f"{tuple(eigenvalues.shape)}, mas têm formas {tuple(beta.shape)} e {tuple(variance.shape)}. Para L níveis "
            "de uma vez, use [L, 1]."
        ) from None
    return eigenvalues, level


def _checked_model(x, weight, bias, noise_variance) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Os quatro, conferidos e com o mesmo tipo; a variância, [D]."""
    _require_real("x", x, "[B, D], uma observação por linha")
    _require_real("weight", weight, "[D, Z], o peso do decodificador")
    if x.ndim != 2:
        raise ValueError(
            f"x deve ter forma [B, D], uma observação por linha, mas veio {tuple(x.shape)}. De uma só, x[None]."
        )
    n_columns = x.shape[1]
    if weight.ndim != 2 or weight.shape[0] != n_columns:
        swapped = " Transponha-o: weight.T." if weight.ndim == 2 and weight.shape[1] == n_columns else ""
        raise ValueError(
            f"weight deve ter forma [D, Z], com D = {n_columns} como em x, mas veio {tuple(weight.shape)}.{swapped}"
        )
    dtype = torch.promote_types(x.dtype, weight.dtype)
    x, weight = x.to(dtype), weight.to(dtype)
    bias = _as_tensor("bias", bias, x, "um tensor [D] ou um número")
    variance = _positive("noise_variance", noise_variance, x, "σ², a variância do ruído de x|z")
    for name, value in (("bias", bias), ("noise_variance", variance)):
        if value.shape not in ((), (1,), (n_columns,)):
            raise ValueError(
                f"{name} deve ser um número ou ter forma [D], com D = {n_columns} como em x, mas veio "
                f"{tuple(value.shape)}."
            )
    for name, value in (("weight", weight), ("bias", bias)):
        if not value.isfinite().all():
            raise ValueError(f"Há NaN ou infinito em {name}. O treino pode ter divergido: tente um lr menor.")
    return x, weight, bias, variance.expand(n_columns)


def _positive(name: str, value, like: Tensor, meaning: str) -> Tensor:
    value = _as_tensor(name, value, like, "um número positivo, ou um tensor deles")
    possible = (value > 0) & value.isfinite()
    if not possible.all():
        bad = value[~possible][0].item()
        advice = " Se o que você tem é o logaritmo, passe a exponencial dele." if bad < 0 else ""
        raise ValueError(f"{name} ({meaning}) deve ser positivo e finito, mas veio {bad:.4g}.{advice}")
    return value


def _as_tensor(name: str, value, like: Tensor, expected: str) -> Tensor:
    """Um número ou tensor, com o tipo de `like` e o gradiente que tiver."""
    try:
        return torch.as_tensor(value, dtype=like.dtype, device=like.device)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"{name} deve ser {expected}, mas veio {type(value).__name__}.") from None


def _require_real(name: str, value, shape: str) -> None:
    if not isinstance(value, Tensor):
        advice = " Use torch.from_numpy." if type(value).__module__ == "numpy" else ""
        raise TypeError(f"{name} deve ser um tensor {shape}, mas veio {type(value).__name__}.{advice}")
    if value.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"{name} deve ser float32 ou float64, mas veio {value.dtype}. Converta com {name}.float().")
