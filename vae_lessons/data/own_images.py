"""As imagens de quem lê: de um array qualquer a um Dataset, ou à explicação do que falta."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vae_lessons.data.binarization import HALF_SCALE, to_unit_interval
from vae_lessons.data.dataset import Dataset, colour_axis


def from_images(
    array: np.ndarray | Tensor,
    labels: np.ndarray | Tensor | Sequence[int] | None = None,
    *,
    name: str = "imagens",
    image_shape: tuple[int, int] | None = None,
) -> Dataset:
    """Um Dataset com as suas imagens em tons de cinza.

    array: do NumPy ou do torch, [N, H, W] ou [N, D], com uint8 de 0 a 255, ponto flutuante em [0, 1] ou preto e branco
    (bool) → x uint8 [N, H·W], de que 255 é o branco; ponto flutuante é arredondado ao mais próximo dos 256 níveis ·
    labels: inteiros [N], a classe de cada imagem, ou None · name: como chamá-lo · image_shape: (H, W), preciso só se
    `array` for [N, D] e D não for o quadrado de um inteiro.
    Levanta TypeError ou ValueError, dizendo o que fazer, se as imagens forem coloridas, se os valores não estiverem na
    escala (0 a 1 ou 0 a 16 em uint8, por exemplo) ou se as formas não casarem.
    """
    pixels, is_tensor = _as_numpy(array), isinstance(array, Tensor)
    if pixels.ndim == 4 and 1 in (pixels.shape[1], pixels.shape[3]):  # um canal só
        pixels = pixels.squeeze(1 if pixels.shape[1] == 1 else 3)
    _require_grey(pixels, is_tensor)
    shape = _image_shape(pixels, image_shape)
    levels = _levels(pixels, is_tensor).reshape(len(pixels), -1)
    y = None if labels is None else _classes(labels, len(pixels))
    return Dataset(x=torch.from_numpy(levels), y=y, image_shape=shape, name=name)


def _as_numpy(array: np.ndarray | Tensor) -> np.ndarray:
    if isinstance(array, Tensor):
        array = array.detach().cpu()
        return (array.float() if array.dtype == torch.bfloat16 else array).numpy()
    if not isinstance(array, np.ndarray):
        raise TypeError(
            f"from_images espera um array do NumPy ou um tensor do torch, mas veio {type(array).__name__}. De uma "
            'lista de imagens do Pillow do mesmo tamanho, np.stack([np.asarray(i.convert("L")) for i in lista]).'
        )
    return array


def _require_grey(pixels: np.ndarray, is_tensor: bool) -> None:
    """Levanta ValueError se a forma não for [N, H, W] ou [N, D] com algum pixel."""
    shape = pixels.shape
    if pixels.ndim == 4 and {shape[1], shape[3]} & {2, 3, 4}:
        axis = colour_axis(shape)
        colours = ("array[..., :3]" if axis == 3 else "array[:, :3]") if shape[axis] == 4 else "array"  # sem o alfa
        mean = f"{colours}.float().mean({axis})" if is_tensor else f"{colours}.mean({axis})"
        levels = "to(torch.uint8)" if is_tensor else 'astype("uint8")'
        grey = f"{mean}.round().{levels}" if pixels.dtype == np.uint8 else mean
        raise ValueError(
            f"Imagens em cores não são aceitas, e estas têm forma {shape}, com {shape[axis]} canais. Passe-as antes "
            f"para tons de cinza, com a média dos canais: from_images({grey})."
        )
    if pixels.ndim == 3 and shape[2] in (3, 4) and min(shape) < min(shape[:2]) // 4:
        raise ValueError(
            f"A forma {shape} parece a de uma só imagem em cores, [H, W, {shape[2]}], e são esperadas várias em tons "
            "de cinza. Junte-as num array [N, H, W], com a média dos canais de cada uma."
        )
    if pixels.ndim not in (2, 3) or pixels.size == 0:
        raise ValueError(
            f"from_images espera imagens em tons de cinza, [N, H, W] ou [N, D], mas veio a forma {shape}."
            + (" De uma imagem só, [H·W], use array[None]." if pixels.ndim == 1 else "")
        )


def _image_shape(pixels: np.ndarray, image_shape: tuple[int, int] | None) -> tuple[int, int]:
    if pixels.ndim == 3:
        if image_shape is not None and tuple(image_shape) != pixels.shape[1:]:
            raise ValueError(
                f"As imagens são de {pixels.shape[1]}×{pixels.shape[2]}, mas veio image_shape={image_shape!r}. "
                "Com um array [N, H, W], não é preciso dizê-lo."
            )
        return pixels.shape[1:]
    n_pixels = pixels.shape[1]
    if image_shape is not None:
        return image_shape  # Dataset confere
    side = math.isqrt(n_pixels)
    if side * side != n_pixels:
        raise ValueError(
            f"Não dá para saber a altura e a largura: {n_pixels} pixels por imagem não formam um quadrado. Diga "
            "image_shape=(H, W), ou passe o array como [N, H, W] (uma imagem só, [H, W], como array[None])."
        )
    return side, side


def _levels(pixels: np.ndarray, is_tensor: bool) -> np.ndarray:
    """Os níveis de cinza, uint8 de 0 a 255, numa cópia; ValueError ou TypeError, com os extremos, se não for o caso."""
    if pixels.dtype == bool:
        return pixels * np.uint8(255)
    if pixels.dtype.kind not in "uif":
        raise TypeError(
            f"Os pixels devem ser uint8 (de 0 a 255) ou ponto flutuante (em [0, 1]), mas vieram {pixels.dtype}."
        )
    if not np.isfinite(pixels).all():
        raise ValueError("Há NaN ou infinito nas imagens. Veja em np.isfinite(array) onde, e corrija-os ou retire-os.")
    least, most = pixels.min().item(), pixels.max().item()
    came, remedy = f"vieram {pixels.dtype} de {least:.4g} a {most:.4g}", to_unit_interval(least, most, "array")
    if pixels.dtype.kind in "iu" and pixels.dtype != np.uint8:
        remedy = to_unit_interval(least, most, "array.float()" if is_tensor else "array.astype(float)")
        raise TypeError(f"Os pixels inteiros devem ser uint8, de 0 a 255, mas {came}. Use from_images({remedy}).")
    if pixels.dtype != np.uint8 and not (least >= 0 and most <= 1):
        raise ValueError(f"Os pixels em ponto flutuante devem ir de 0 a 1, mas {came}. Use from_images({remedy}).")
    levels = pixels.copy() if pixels.dtype == np.uint8 else (pixels * 255).round().astype(np.uint8)
    if 0 < levels.max() < HALF_SCALE:
        white = 255 if pixels.dtype == np.uint8 else 1
        raise ValueError(
            f"Os pixels devem ir de 0 a {white}, mas {came}: o modelo veria imagens quase pretas. Se o branco é "
            f"{most:.4g}, use from_images({remedy})."
        )
    return levels


def _classes(labels: np.ndarray | Tensor | Sequence[int], n: int) -> Tensor:
    values = np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels)
    if values.dtype.kind not in "iub":
        raise TypeError(
            f"labels deve ter inteiros, a classe de cada imagem, mas vieram {values.dtype}. De nomes a números: "
            "nomes, labels = np.unique(labels, return_inverse=True)."
        )
    if values.shape != (n,):
        one_hot = " De uma codificação [N, K], labels.argmax(1)." if values.ndim == 2 else ""
        raise ValueError(
            f"labels deve ter forma [N] = ({n},), uma classe por imagem, mas veio {values.shape}.{one_hot}"
        )
    return torch.from_numpy(values.astype(np.int64))
