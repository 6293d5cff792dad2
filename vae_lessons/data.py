"""Conjuntos de dados: tensores uint8 prontos para morar no dispositivo do treino."""

import os
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from vae_lessons import idx_files, sprites

_STATIC_SEED = 0
_SPLITS = ("train", "test")


@dataclass(frozen=True)
class Dataset:
    """Imagens e rótulos inteiros na memória, um exemplo por linha.

    x: uint8 [N, D], níveis de cinza de 0 a 255 · y: int64 [N], classes ·
    factors: int64 [N, F], fatores geradores conhecidos, ou None · image_shape: (H, W), com H·W = D.
    """

    x: Tensor
    y: Tensor
    factors: Tensor | None
    image_shape: tuple[int, int]
    name: str

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        height, width = self.image_shape
        return f"Dataset({self.name!r}, {len(self)} imagens de {height}×{width}, {len(self.y.unique())} classes)"

    def to(self, device: torch.device | str) -> "Dataset":
        """O mesmo conjunto com os tensores em `device`."""
        factors = None if self.factors is None else self.factors.to(device)
        return replace(self, x=self.x.to(device), y=self.y.to(device), factors=factors)


def load(
    name: str = "digits",
    split: str = "train",
    *,
    device: torch.device | str | None = None,
    root: str | os.PathLike | None = None,
) -> Dataset:
    """Carrega um conjunto de dados pelo nome.

    "digits": 1.797 dígitos manuscritos reais, 8×8, que vêm dentro do scikit-learn; nunca usa a rede ·
    "sprites": 6.144 figurinhas geradas, 16×16, o fatorial completo de cinco fatores conhecidos (`sprites.FACTORS`), em
    que y é a forma; em "test", 3.528 imagens com os fatores a meio caminho dos do treino; nunca usa a rede ·
    "mnist": 70.000 dígitos manuscritos, 28×28 (LeCun et al., 1998) ·
    "fashion_mnist": 70.000 fotos de roupas, 28×28 (Xiao, Rasul e Vollgraf, 2017, arXiv:1708.07747).
    Os dois últimos vivem em arquivos, procurados em `root`, depois na pasta que a variável de ambiente VAE_LESSONS_DATA
    indica, depois no cache do usuário; se não estiverem em nenhuma, são baixados para o cache, uma vez.

    split: "train" ou "test"; em "digits", partição fixa e estratificada por classe, nos outros a de origem, 60.000 e
    10.000 · device: onde pôr os tensores (padrão: CPU) · root: pasta dos arquivos, que "digits" e "sprites" não usam.
    Levanta ValueError se o nome ou a partição não existirem, ou se um arquivo do usuário não for o esperado, e
    FileNotFoundError, dizendo que arquivos pôr em que pasta, se não houver nem arquivos nem rede.
    """
    if name not in _LOADERS:
        raise ValueError(f"Conjunto de dados desconhecido: {name!r}. Os que existem são: {_names(_LOADERS)}.")
    if split not in _SPLITS:
        raise ValueError(f"Partição desconhecida: {split!r}. As que existem são: {_names(_SPLITS)}.")
    data = _LOADERS[name](split, root)
    return data if device is None else data.to(device)


def _load_digits(split: str, root) -> Dataset:
    """Em cada classe, a cada cinco imagens uma vai para o teste: estratificado, fixo e sem sorteio."""
    from sklearn.datasets import load_digits  # demora um segundo: só quem usa "digits" espera

    images, labels = load_digits(return_X_y=True)
    x = torch.from_numpy(images).mul(255 / 16).round().to(torch.uint8)
    y = torch.from_numpy(labels).to(torch.int64)
    rank_in_class = torch.nn.functional.one_hot(y).cumsum(0).gather(1, y[:, None]).squeeze(1) - 1
    is_test = rank_in_class % 5 == 4
    chosen = is_test if split == "test" else ~is_test
    return Dataset(x=x[chosen], y=y[chosen], factors=None, image_shape=(8, 8), name="digits")


def _load_sprites(split: str, root) -> Dataset:
    x, factors = sprites.render(split)
    return Dataset(x=x, y=factors[:, 0].clone(), factors=factors, image_shape=sprites.IMAGE_SHAPE, name="sprites")


def _load_idx(name: str, split: str, root) -> Dataset:
    images, labels = idx_files.read_split(name, split, root)
    y = labels.to(torch.int64)
    return Dataset(x=images.flatten(1), y=y, factors=None, image_shape=tuple(images.shape[1:]), name=name)


_LOADERS = {"digits": _load_digits, "sprites": _load_sprites} | {
    name: partial(_load_idx, name) for name in idx_files.SOURCES
}


def binarize(x: Tensor, mode: str = "dynamic", *, generator: torch.Generator | None = None) -> Tensor:
    """Passa de níveis de cinza a números de ponto flutuante em [0, 1].

    x: uint8 [..., D] de 0 a 255, ou ponto flutuante já em [0, 1] → float32 [..., D].
    "dynamic": cada pixel é sorteado de uma Bernoulli(cinza) a cada chamada (Burda et al., 2016) ·
    "static": o mesmo sorteio, sempre com a mesma semente: a mesma entrada dá sempre a mesma saída; sirva-se dele uma
    vez para o conjunto inteiro, não por lote (`generator` não é consultado) ·
    "none": não sorteia; devolve os tons de cinza divididos por 255.
    Levanta ValueError se o modo não existir ou se valores de ponto flutuante saírem de [0, 1].
    """
    if mode not in ("dynamic", "static", "none"):
        raise ValueError(
            f"Modo de binarização desconhecido: {mode!r}. Os que existem são: 'dynamic', 'static' e 'none'."
        )
    grey = _grey_levels(x)
    if mode == "none":
        return grey
    if mode == "static":  # sorteado na CPU, para que todo dispositivo veja os mesmos bits
        noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(_STATIC_SEED)).to(x.device)
    else:
        noise = torch.rand(x.shape, generator=generator, device=x.device)
    return (noise < grey).to(torch.float32)


def _grey_levels(x: Tensor) -> Tensor:
    if x.dtype == torch.uint8:
        return x.to(torch.float32) / 255
    if not x.is_floating_point():
        raise ValueError(f"binarize espera uint8 (0 a 255) ou ponto flutuante em [0, 1], mas recebeu {x.dtype}.")
    if x.numel() and not (x.min() >= 0 and x.max() <= 1):
        raise ValueError(
            f"binarize espera ponto flutuante em [0, 1], mas os valores vão de {x.min():.3g} a {x.max():.3g}. "
            "Divida por 255 se forem níveis de cinza, ou converta para uint8."
        )
    return x.to(torch.float32)


def _names(options) -> str:
    return ", ".join(repr(option) for option in options)
