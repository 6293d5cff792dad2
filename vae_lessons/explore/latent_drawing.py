"""O que um VAE diz de um desenho: onde ele cai no espaço latente, o que dele se reconstrói e quanto vale a ELBO."""

import base64
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from vae_lessons.explore.base import png_bytes
from vae_lessons.explore.images import Greys
from vae_lessons.models import VAE, evaluating
from vae_lessons.objectives import elbo
from vae_lessons.style import number

SAMPLES = 64  # de q(z|x), em que se estima a esperança da ELBO
_SEED = 0


class Drawn(NamedTuple):
    """x, reconstruction [D]: o desenho e a média de p(x|z) na média de q(z|x) · mean [Z]: essa média · deviation [Z]: o
    desvio padrão de q(z|x), ou None se q não o disser · elbo, log_likelihood, kl: em nats, com SAMPLES amostras."""

    x: Tensor
    reconstruction: Tensor
    mean: Tensor
    deviation: Tensor | None
    elbo: float
    log_likelihood: float
    kl: float


def encode_drawing(model: VAE, x: Tensor) -> Drawn:
    """x: [D], como o modelo o vê. Os sorteios têm semente própria, e o gerador global fica como estava."""
    with evaluating(model), torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
        torch.manual_seed(_SEED)
        q = model.encode(x[None])
        terms = elbo(model, x[None], n_samples=SAMPLES)
        reconstruction = model.decode(q.mean).mean[0]
    log_var = getattr(q, "log_var", None)
    deviation = getattr(q, "stddev", None) if log_var is None else (0.5 * log_var).exp()
    numbers = (term.item() for term in (terms.elbo, terms.log_likelihood, terms.kl))
    return Drawn(x, reconstruction, q.mean[0], None if deviation is None else deviation[0], *numbers)


def table(drawn: Drawn | None, greys: Greys) -> str:
    """O desenho como o modelo o vê, a reconstrução e os termos da ELBO, em HTML; sem desenho, o convite a fazê-lo."""
    if drawn is None:
        return "Desenhe: a elipse de q(z|x) aparece no mapa, e aqui, a reconstrução e a ELBO."
    rows = (
        ("ELBO", drawn.elbo),
        ("E<sub>q</sub>[log p(x|z)]", drawn.log_likelihood),
        ("KL(q ‖ p)", drawn.kl),
    )
    cells = "".join(f"<tr><td>{name}</td><td>{number(value, 1)}</td></tr>" for name, value in rows)
    return (
        f'<div class="vae-seen">{_figure(drawn.x, greys, "entrada")}'
        f"{_figure(drawn.reconstruction, greys, 'reconstrução')}</div>"
        f'<table class="vae-terms">{cells}</table>em nats, com {SAMPLES} amostras de q(z|x). '
        "Elipses: 1 e 2 desvios padrão."
    )


def _figure(x: Tensor, greys: Greys, caption: str) -> str:
    picture = base64.b64encode(png_bytes(Image.fromarray(greys.levels(x)))).decode("ascii")
    image = f'<img class="vae-pixels" alt="O desenho: {caption}" src="data:image/png;base64,{picture}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"
