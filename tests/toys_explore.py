"""Modelos pequenos, sem treino, para os exploradores que recebem funções: de cada um se sabe a resposta certa."""

import io
import itertools
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from vae_lessons import explore
from vae_lessons.data import Dataset, load
from vae_lessons.distributions import Bernoulli, Normal
from vae_lessons.models import VAE, mlp_vae
from vae_lessons.publish import recording
from vae_lessons.training import History, Run, TrainConfig

_TIMES = itertools.count()


class ConditionalVAE(nn.Module):
    """Um VAE condicional de pesos sorteados, com dropout: em modo de treino, não dá duas vezes a mesma resposta."""

    def __init__(self, latent_dim: int, *, n_pixels: int = 64, n_classes: int = 10):
        super().__init__()
        torch.manual_seed(0)
        self.n_classes = n_classes
        self.encoder = nn.Linear(n_pixels + n_classes, 2 * latent_dim)
        self.decoder = nn.Sequential(nn.Dropout(0.5), nn.Linear(latent_dim + n_classes, n_pixels))
        with torch.no_grad():
            self.encoder.weight.mul_(torch.linspace(3, 1, 2 * latent_dim)[:, None])

    def _with_class(self, values: Tensor, y: Tensor) -> Tensor:
        return torch.cat([values, F.one_hot(y, self.n_classes).to(values)], dim=-1)

    def encode(self, x: Tensor, y: Tensor) -> Normal:
        return Normal(*self.encoder(self._with_class(x, y)).chunk(2, dim=-1))

    def decode(self, z: Tensor, y: Tensor) -> Bernoulli:
        return Bernoulli(5 * self.decoder(self._with_class(z, y)))


class PatchCodes:
    """Um VQ-VAE sem rede: a imagem se corta em quadrados de lado `side`, e cada um vira o pedaço mais próximo do
    dicionário. Com C = 2 no dicionário, cada pedaço é (média da metade de cima, média da de baixo)."""

    def __init__(self, data: Dataset, *, n_codes: int, side: int = 2, flat: bool = False):
        self.shape, self.side = data.image_shape, side
        expand = torch.eye(side * side)
        if flat:
            halves = (torch.arange(side * side) >= side * side // 2).long()
            expand = F.one_hot(halves, 2).T.float()
        self.expand = expand  # [C, side²]
        patches = self._patches(data.batch(data.x, "none")).flatten(0, 1)
        chosen = torch.randperm(len(patches), generator=torch.Generator().manual_seed(0))[: n_codes - 1]
        dead = torch.full((1, len(expand)), 30.0)  # longe de tudo: nunca é o mais próximo
        self.codebook = torch.cat([patches[chosen], dead])

    def _patches(self, x: Tensor) -> Tensor:
        images = x.reshape(-1, 1, *self.shape)
        patches = F.unfold(images, self.side, stride=self.side).transpose(1, 2)
        return patches @ self.expand.T / self.expand.sum(1)

    def encode(self, x: Tensor) -> Tensor:
        patches = self._patches(x)
        nearest = torch.cdist(patches, self.codebook.expand(len(x), -1, -1)).argmin(-1)
        return nearest.reshape(-1, *(size // self.side for size in self.shape))

    def decode(self, indices: Tensor) -> Tensor:
        patches = (self.codebook[indices.flatten(1)] @ self.expand).clamp(0, 1)
        return F.fold(patches.transpose(1, 2), self.shape, self.side, stride=self.side).flatten(1)


class CellMaker:
    """Contagens em que cada latente é o log da razão de dois genes; a classe é o sinal do primeiro."""

    def __init__(self, *, n_genes: int):
        self.genes = [f"GENE{i}" for i in range(n_genes)]

    def expression(self, z: Tensor) -> Tensor:
        logits = torch.zeros(*z.shape[:-1], len(self.genes), dtype=z.dtype)
        logits[..., 0], logits[..., 2] = z[..., 0], z[..., 1]
        return logits.softmax(-1)

    def encode(self, x: Tensor) -> Normal:
        logs = (x + 0.5).log()
        z = torch.stack([logs[:, 0] - logs[:, 1], logs[:, 2] - logs[:, 3]], -1)
        return Normal(z, torch.zeros_like(z))

    def cells(self, n: int) -> Dataset:
        generator = torch.Generator().manual_seed(0)
        z = 1.5 * torch.randn(n, 2, generator=generator)
        x = torch.poisson(500 * self.expression(z), generator=generator)
        return Dataset(x, (z[:, 0] > 0).long(), name="células", columns="genes")


class Chain:
    """Cada nível é uma função linear do de cima, mais ruído de desvio `noise`; a imagem, a sigmoide do último."""

    def __init__(self, sizes: list[int], *, n_pixels: int, noise: float = 0.5):
        generator = torch.Generator().manual_seed(0)
        self.noise = noise
        self.weights = [
            torch.randn(above, below, generator=generator)
            for above, below in zip(sizes, [*sizes[1:], n_pixels], strict=True)
        ]

    def sample_below(self, latents: list[Tensor | None], generator: torch.Generator) -> tuple[list[Tensor], Tensor]:
        filled = []
        for level, given in enumerate(latents):
            if given is None:
                mean = filled[-1] @ self.weights[level - 1]
                given = mean + self.noise * torch.randn(mean.shape, generator=generator)
            filled.append(given)
        return filled, torch.sigmoid(filled[-1] @ self.weights[-1])


def _model() -> VAE:
    torch.manual_seed(0)
    return mlp_vae(64, 3, (16,))


def _beta() -> explore.BetaExplorer:
    model = _model()
    sweep = [Run(model, History(), TrainConfig(beta=beta)) for beta in (1.0, 4.0)]
    return explore.explore_beta(sweep, load("digits", "test"))


def _style() -> explore.StyleExplorer:
    conditional = ConditionalVAE(latent_dim=3)
    return explore.explore_style(conditional.encode, conditional.decode, load("digits", "test"), latent_dim=3)


def _codes() -> explore.CodesExplorer:
    data = load("digits", "test")
    patches = PatchCodes(data, n_codes=12)
    return explore.explore_codes(patches.encode, patches.decode, patches.codebook, data)


class Shares(NamedTuple):
    """A verossimilhança de um conjunto de filmes: as probabilidades do softmax."""

    logits: Tensor

    @property
    def mean(self) -> Tensor:
        return self.logits.softmax(-1)

    def log_prob(self, x: Tensor) -> Tensor:
        return (x * self.logits.log_softmax(-1)).sum(-1)


TITLES = [f"Filme {i}" for i in range(40)]
LIKES = (torch.rand(60, 40, generator=torch.Generator().manual_seed(0)) < torch.linspace(0.9, 0.05, 40)).float()


def films_sweep(betas=(0.0, 0.2, 1.0)) -> list[Run]:
    """Modelos que não foram treinados, um por β, de pesos diferentes."""
    runs = []
    for seed, beta in enumerate(betas):
        torch.manual_seed(seed)
        model = VAE(nn.Linear(40, 6), nn.Linear(3, 40), latent_dim=3, likelihood=Shares, data_dim=40)
        runs.append(Run(model, History(), TrainConfig(beta=beta)))
    return runs


def _films() -> explore.FilmsExplorer:
    shelves = {"ninguém": [], "um": ["Filme 3"], "dois": ["Filme 0", "Filme 30"]}
    return explore.explore_films(films_sweep(), LIKES, TITLES, shelves)


def _kmeans() -> explore.KMeansExplorer:
    points = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
    return explore.explore_kmeans(points, torch.cat([points[:5], points[:2] + 9]))


def _levels() -> explore.LevelsExplorer:
    return explore.explore_levels(Chain([2, 3], n_pixels=64).sample_below, [2, 3], (8, 8))


def _cells() -> explore.CellsExplorer:
    maker = CellMaker(n_genes=14)
    return explore.explore_cells(maker.encode, maker.expression, maker.cells(60), maker.genes)


def _topics() -> explore.TopicsExplorer:
    return explore.explore_topics(*toy_topics())


def toy_topics(n_topics: int = 5, n_words: int = 30, n_pages: int = 40):
    """decode, proporções, palavras e títulos de uma mistura de tópicos sorteados: log p = ln(θᵀβ)."""
    generator = torch.Generator().manual_seed(0)
    beta = torch.rand(n_topics, n_words, generator=generator).pow(6)
    beta = beta / beta.sum(1, keepdim=True)
    theta = (3 * torch.randn(n_pages, n_topics, generator=generator)).softmax(-1)
    words, titles = [f"palavra{i}" for i in range(n_words)], [f"Página {i}" for i in range(n_pages)]
    return lambda shares: (shares @ beta).log(), theta, words, titles


# Todos os exploradores que há, cada um por uma função sem argumentos que o cria.
EXPLORERS = {
    "latent": lambda: explore.explore_latent(_model(), load("digits", "test")),
    "beta": _beta,
    "cells": _cells,
    "codes": _codes,
    "elbo": explore.explore_elbo,
    "flow": explore.explore_flow,
    "films": _films,
    "gradients": explore.explore_gradients,
    "gumbel": explore.explore_gumbel,
    "implicit": explore.explore_implicit,
    "kmeans": _kmeans,
    "levels": _levels,
    "merge": explore.explore_merge,
    "steps": explore.explore_steps,
    "style": _style,
    "topics": _topics,
    "water": explore.explore_water,
}


def pixels(explorer) -> np.ndarray:
    """A figura que está na tela, [H, W, 3], com números que se podem subtrair."""
    return np.asarray(Image.open(io.BytesIO(explorer.picture.value)).convert("RGB")).astype(int)


def shown_at(explorer, center: tuple[float, float], side: float, shape: tuple[int, int]) -> np.ndarray:
    """A imagem que a figura mostra em `center`, (x, y) em pixels da tela, lida no meio de cada pixel ampliado."""
    picture, zoom = pixels(explorer), max(1, int(2 * side) // max(shape))
    corner = [round(2 * c - zoom * n / 2) for c, n in zip(center[::-1], shape, strict=True)]
    rows, columns = (c + zoom // 2 + zoom * np.arange(n) for c, n in zip(corner, shape, strict=True))
    found = picture[np.ix_(rows, columns)]
    assert (np.ptp(found, axis=-1) <= 2).all()
    return found[..., 0]


def levels_of(image: Tensor, shape: tuple[int, int]) -> np.ndarray:
    return (255 * image.clamp(0, 1)).round().reshape(shape).numpy()


def painted(explorer, color: str, *, left=0, top=0, right=None, bottom=None) -> np.ndarray:
    """Onde a cor aparece, dentro do retângulo dado em pixels da tela: [linhas, colunas] de booleanos."""
    rows, columns = (slice(2 * a, b and 2 * b) for a, b in ((top, bottom), (left, right)))
    return (pixels(explorer)[rows, columns] == tuple(bytes.fromhex(color[1:]))).all(-1)


def _channel(explorer):
    """O campo escondido em que chegam os gestos sobre a figura."""
    (hand,) = [box for box in explorer.children[1].children if "vae-hand" in box._dom_classes]
    return hand.children[-1]


def point(explorer, x: float, y: float) -> None:
    """O navegador diz que se clicou, ou arrastou, em (x, y) pixels da tela."""
    height, width = (size / 2 for size in pixels(explorer).shape[:2])
    _channel(explorer).set_state({"value": f"at {x / width} {y / height} {next(_TIMES)}"})


def press(explorer, right: int, down: int) -> None:
    """O navegador diz que, desde que o explorador nasceu, as setas somam tantos passos."""
    _channel(explorer).set_state({"value": f"keys {right} {down}"})


def assert_recording_is_the_kernel(explorer, **recorded) -> None:
    """Gravado nestes valores, o explorador dá as figuras e os textos do kernel, estado por estado."""
    assert {name for name, _ in explorer.recorded} <= set(explorer.inputs)
    explorer.recorded = tuple(recorded.items())
    recording_of, values, fixed = recording.record(explorer), recording.axes(explorer), explorer.values()
    places = list(np.ndindex(*(len(each) for each in values.values())))
    assert len(recording_of["states"]) == len(places) > 1
    pictures = list(recording.replay(recording_of))
    for place, picture, text in zip(places, pictures, recording_of["texts"], strict=True):
        chosen = {name: each[i] for (name, each), i in zip(values.items(), place, strict=True)}
        numbers = explorer.measure(**fixed | chosen)
        assert np.array_equal(picture, np.asarray(explorer.paint(numbers).convert("RGB"))), chosen
        assert text == explorer.describe(numbers)
    assert np.array_equal(pictures[recording_of["start"]], pixels(explorer))
