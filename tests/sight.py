"""Como se veem as cores: a diferença entre duas, por quem vê todas e por quem não, e o contraste das letras."""

import numpy as np

# Como veem as cores quem não tem um dos cones (Machado, Oliveira e Fernandes, 2009, severidade 1): sobre RGB linear.
SIGHTS = {
    "todos os cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def cielab(linear: np.ndarray) -> np.ndarray:
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear.clip(0, 1) @ to_xyz.T / np.array([0.95047, 1.0, 1.08883])
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def linear_rgb(colors) -> np.ndarray:
    channels = np.array([list(bytes.fromhex(color[1:])) for color in colors]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def distances(colors, sight: str) -> np.ndarray:
    """Entre cada cor e cada outra, em CIELAB, [N, N]: a diferença que mal se nota é de umas 2 unidades."""
    lab = cielab(linear_rgb(colors) @ SIGHTS[sight].T)
    return np.linalg.norm(lab[:, None] - lab, axis=-1)


def contrast(color: str, ground: str = "#ffffff") -> float:
    """Entre duas cores, de 1 a 21, como nas WCAG 2.2."""
    dark, light = sorted(linear_rgb([color, ground]) @ [0.2126, 0.7152, 0.0722])
    return (light + 0.05) / (dark + 0.05)
