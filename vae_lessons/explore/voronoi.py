"""O mapa de um dicionário de duas dimensões: a região de cada código e o que fica mais perto de quem."""

import numpy as np


def nearest(points: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    """O índice do código mais próximo de cada ponto. points: [N, 2] · codebook: [K, 2] → [N]"""
    codebook = codebook.astype(points.dtype)
    return (np.square(codebook).sum(1) - 2 * points @ codebook.T).argmin(1)


def regions(codebook: np.ndarray, xlim: tuple, ylim: tuple, shape: tuple[int, int]) -> np.ndarray:
    """De quem é cada ponto de uma malha de `shape` (linhas, colunas), de cima para baixo, no retângulo dado.

    O quadrado da distância se soma por linha e por coluna, um código de cada vez: muito mais depressa do que ponto a
    ponto.
    """
    rows, columns = shape
    across = np.square(np.linspace(*xlim, columns) - codebook[:, :1]).astype(np.float32)
    down = np.square(np.linspace(*ylim[::-1], rows) - codebook[:, 1:]).astype(np.float32)
    least, owner = np.full(shape, np.inf, np.float32), np.zeros(shape, np.int32)
    for code in range(len(codebook)):
        distance = down[code][:, None] + across[code]
        np.copyto(owner, code, where=distance < least)
        np.minimum(least, distance, out=least)
    return owner


def borders(regions: np.ndarray) -> np.ndarray:
    """Onde uma região encosta em outra, à direita ou embaixo: bool, na mesma forma."""
    found = np.zeros(regions.shape, bool)
    found[:, :-1] |= regions[:, :-1] != regions[:, 1:]
    found[:-1] |= regions[:-1] != regions[1:]
    return found


def frame(points: np.ndarray, codebook: np.ndarray, *, margin: float = 0.1) -> tuple[tuple[float, float], ...]:
    """xlim e ylim do quadrado em que cabem os pontos [N, 2] e, se não estiverem longe demais deles, os códigos.

    margin: a folga em volta dos pontos, em fração do que eles ocupam.
    """
    low, high = points.min(0), points.max(0)
    center, reach = (low + high) / 2, 0.5 * (1 + margin) * float((high - low).max()) or 1.0
    farthest = 1.08 * float(np.abs(codebook - center).max())
    reach = min(max(reach, farthest), 1.6 * reach)
    return tuple((float(middle - reach), float(middle + reach)) for middle in center)
