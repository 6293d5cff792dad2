"""Um explorador do espaço latente que vive na página: os pesos das redes, o mapa e algumas imagens.

As contas são as de static/rede.js, conferidas contra o PyTorch num teste. Só se escrevem assim redes de camadas densas
com verossimilhança de Bernoulli, prior N(0, I) e ao menos dois latentes; dos outros modelos fica a figura parada.
"""

import base64
import io

import numpy as np
import torch
from torch import Tensor, nn

from vae_lessons.distributions import Bernoulli
from vae_lessons.explore.base import Explorer
from vae_lessons.explore.latent import LatentExplorer
from vae_lessons.explore.paths import is_standard_normal
from vae_lessons.models import evaluating
from vae_lessons.suitability import measured

MIME = "application/vnd.vae-lessons.live+json"
_ACTIVATIONS = {nn.ReLU: "relu", nn.Tanh: "tanh", nn.SiLU: "silu", nn.GELU: "gelu"}
_IMAGES = 60  # as que se podem codificar na página


def export(explorer: Explorer) -> dict | None:
    """O que a página precisa para fazer as contas; None se não se escrever assim.

    encoder, decoder: camadas, como em `layers` · map: fundo (WebP em base64), moldura do painel em frações da figura e
    limites dos eixos · dims: as duas dimensões do mapa · sliders: uma por latente, na ordem da tela · shape: (H, W) ·
    pen: como se desenha, ver explore/drawing.py · images: as primeiras imagens, como o modelo as vê, uint8 em base64 ·
    labels: as classes delas, ou None.
    """
    if not isinstance(explorer, LatentExplorer):
        return None
    model, dims = explorer.model, explorer._latent_map.dims
    encoder, decoder = layers(model.encoder), layers(model.decoder)
    with evaluating(model):
        likelihood = model.decode(torch.zeros(1, model.latent_dim).to(explorer.z))
    written = encoder is not None and decoder is not None and isinstance(likelihood, Bernoulli)
    if not written or not is_standard_normal(model.prior) or len(dims) < 2:
        return None
    x = measured(model, explorer.data)[:_IMAGES]
    sliders = [explorer.controls[f"z{dim}"] for dim in explorer.order]
    return {
        "encoder": encoder,
        "decoder": decoder,
        "map": _map(explorer),
        "dims": dims,
        "sliders": [
            {"dim": dim, "label": slider.description, "min": slider.min, "max": slider.max, "value": slider.value}
            for dim, slider in zip(explorer.order, sliders, strict=True)
        ],
        "shape": list(explorer.data.image_shape),
        "pen": {name: getattr(explorer.pen, name) for name in ("extent", "thickness", "dark")},
        "images": _base64((x * 255).round().to(torch.uint8).cpu().numpy().tobytes()),
        "labels": None if explorer.data.y is None else explorer.data.y[:_IMAGES].tolist(),
        "shown": explorer.static_width,
    }


def layers(network: nn.Module) -> list[dict] | None:
    """As camadas de uma rede densa; None se houver nela outra coisa.

    Por camada: n_in, n_out · weights: int16 [n_out, n_in], em base64, e scales: float32 [n_out], por que se multiplica
    cada linha · bias: float32 [n_out] · activation: "relu", "tanh", "silu", "gelu" ou "".
    """
    found: list[dict] = []
    for module in network if isinstance(network, nn.Sequential) else [network]:
        if isinstance(module, nn.Linear):
            found.append(_layer(module.weight.detach().cpu(), module.bias))
        elif type(module) in _ACTIVATIONS and found and not found[-1]["activation"]:
            found[-1]["activation"] = _ACTIVATIONS[type(module)]
        else:
            return None
    return found


def _layer(weight: Tensor, bias: Tensor | None) -> dict:
    weight = weight.double().numpy()
    scales = np.maximum(np.abs(weight).max(1), 1e-30) / 32767
    bias = np.zeros(len(weight)) if bias is None else bias.detach().cpu().double().numpy()
    return {
        "n_in": weight.shape[1],
        "n_out": weight.shape[0],
        "weights": _base64(np.round(weight / scales[:, None]).astype("<i2").tobytes()),
        "scales": _base64(scales.astype("<f4").tobytes()),
        "bias": _base64(bias.astype("<f4").tobytes()),
        "activation": "",
    }


def _map(explorer: LatentExplorer) -> dict:
    picture, buffer = explorer._latent_map.empty(), io.BytesIO()
    picture.convert("RGB").save(buffer, "WEBP", lossless=True)
    frame, (across, up) = explorer._latent_map.geometry
    return {"width": picture.width, "height": picture.height, "webp": _base64(buffer.getvalue())} | {
        "frame": list(frame),
        "across": list(across),
        "up": list(up),
    }


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
