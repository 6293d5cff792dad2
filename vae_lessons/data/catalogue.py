"""Os conjuntos que o pacote conhece, pelo nome."""

import os
from functools import partial

import torch

from vae_lessons.data import discs, idx_files, packaged, sprites
from vae_lessons.data.dataset import Dataset

_SPLITS = ("train", "test")


def load(
    name: str = "digits",
    split: str = "train",
    *,
    device: torch.device | str | None = None,
    root: str | os.PathLike | None = None,
) -> Dataset:
    """Carrega um conjunto de dados pelo nome.

    "digits": 1.797 dígitos manuscritos reais, 8×8, que vêm dentro do scikit-learn ·
    "sprites": 6.144 figurinhas geradas, 16×16, o fatorial completo de cinco fatores conhecidos (`sprites.FACTORS`), em
    que y é a forma; em "test", 3.528 imagens com os fatores a meio caminho dos do treino ·
    "discs": 128 discos gerados, 20×24, o fatorial completo de três fatores, as coordenadas do centro e o raio
    (`discs.FACTORS`), sem y; em "test", 63 discos a meio caminho dos do treino ·
    "mnist_5k": 5.000 dígitos manuscritos de MNIST, 28×28, as primeiras 500 imagens de cada classe do treino dele ·
    "phrases": 2.562 frases em português, de 2 a 12 palavras de um vocabulário de 377, os nomes de emojis; cada linha
    são 14 símbolos int64, que `data.phrases` lê e escreve (`phrases.text(x)`, `phrases.tokens(frases)`), sem y ·
    "weather": 104 quinzenas do tempo em Seattle, de 2012 a 2015 (NOAA): 14 dias seguidos, cada um com as temperaturas
    máxima e mínima (°C), o vento (m/s) e a chuva (mm), em float32 [104, 14·4]; os fatores são o ano e o mês do primeiro
    dia, e não há y ·
    "pbmc": 700 células do sangue, e em cada uma quantas moléculas de RNA de cada um de 765 genes se contaram (Zheng et
    al., 2017), em float32 [700, 765]; y são dez tipos de célula, o fator é o total de moléculas da célula, e
    `data.cells` diz os nomes (`cells.genes()`, `cells.cell_types()`) ·
    "topics": 2.296 páginas da ajuda do LibreOffice em português, e quantas vezes cada uma de 2.000 palavras está em
    cada uma, em float32 [2296, 2000]; y são as nove partes da ajuda, e `data.topics` diz os nomes (`topics.titles()`,
    `topics.vocabulary()`, `topics.sections()`) ·
    "films": 659 pessoas e 2.080 filmes do MovieLens (Harper e Konstan, 2015), float32 [659, 2080] com 1 onde a pessoa
    deu ao filme 4 estrelas ou mais e 0 no resto, sem y; `data.films` diz os títulos e os gêneros. *Não pode ter uso
    comercial*: os termos estão na pasta dele ·
    "mnist": 70.000 dígitos manuscritos, 28×28 (LeCun et al., 1998) ·
    "fashion_mnist": 70.000 fotos de roupas, 28×28 (Xiao, Rasul e Vollgraf, 2017, arXiv:1708.07747).
    Os dois últimos vivem em arquivos, procurados em `root`, depois na pasta que a variável de ambiente VAE_LESSONS_DATA
    indica, depois no cache do usuário; se não estiverem em nenhuma, são baixados para o cache, uma vez. Os outros vêm
    com os pacotes, e nunca usam a rede.

    split: "train" ou "test"; em "digits", "mnist_5k", "pbmc" e "topics", partição fixa e estratificada por classe,
    quatro quintos e um quinto; em "phrases", a mesma coisa por comprimento, e as palavras de cada frase do teste estão
    todas no treino, mas nunca as mesmas numa frase só: ainda assim, 95% delas estão a uma palavra, trocada, a mais ou a
    menos, de uma frase do treino; em "weather", uma quinzena a cada cinco vai para o teste, e em "films", uma pessoa a
    cada cinco; em "mnist" e "fashion_mnist", a de origem, 60.000 e 10.000 · device: onde pôr os tensores, com os nomes
    de TrainConfig, "auto" inclusive (padrão: CPU) · root: pasta dos arquivos de "mnist" e "fashion_mnist".
    Levanta ValueError se o nome, a partição ou o dispositivo não existirem, ou se um arquivo não for o esperado, e
    FileNotFoundError, dizendo que arquivos pôr em que pasta, se não houver nem arquivos nem rede.
    """
    if name not in _LOADERS:
        raise ValueError(f"Conjunto de dados desconhecido: {name!r}. Os que existem são: {_names(_LOADERS)}.")
    if split not in _SPLITS:
        raise ValueError(f"Partição desconhecida: {split!r}. As que existem são: {_names(_SPLITS)}.")
    data = _LOADERS[name](split, root)
    return data if device is None else data.to(device)


def _load_digits(split: str, root) -> Dataset:
    from sklearn.datasets import load_digits  # demora um segundo: só quem usa "digits" espera

    images, labels = load_digits(return_X_y=True)
    x = torch.from_numpy(images).mul(255 / 16).round().to(torch.uint8)
    y = torch.from_numpy(labels).to(torch.int64)
    is_test = packaged.every_fifth(y)
    chosen = is_test if split == "test" else ~is_test
    return Dataset(x=x[chosen], y=y[chosen], image_shape=(8, 8), name="digits")


def _load_sprites(split: str, root) -> Dataset:
    x, factors = sprites.render(split)
    return Dataset(x=x, y=factors[:, 0].clone(), factors=factors, image_shape=sprites.IMAGE_SHAPE, name="sprites")


def _load_discs(split: str, root) -> Dataset:
    return discs.render(split)


def _load_packaged(name: str, split: str, root) -> Dataset:
    return packaged.read_dataset(name, split)


def _load_idx(name: str, split: str, root) -> Dataset:
    images, labels = idx_files.read_split(name, split, root)
    y = labels.to(torch.int64)
    return Dataset(x=images.flatten(1), y=y, image_shape=tuple(images.shape[1:]), name=name)


_LOADERS = {
    "digits": _load_digits,
    "sprites": _load_sprites,
    **{name: partial(_load_idx, name) for name in idx_files.SOURCES},
    **{name: partial(_load_packaged, name) for name in packaged.PACKAGED},
    "discs": _load_discs,
}


def _names(options) -> str:
    return ", ".join(repr(option) for option in options)
