"""As contas que a página faz em JavaScript são as do PyTorch, e o explorador vivo responde ao mouse e à caneta."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("quickjs", reason='falta o quickjs-ng: instale o pacote com pip install -e ".[page]"')

import quickjs

from vae_lessons.data import load
from vae_lessons.distributions import Normal
from vae_lessons.explore import explore_latent, slerp
from vae_lessons.models import VAE, conv_vae, mlp_vae
from vae_lessons.objectives import elbo
from vae_lessons.publish import live
from vae_lessons.suitability import measured

STATIC = Path(live.__file__).parent / "static"
# O QuickJS não tem atob.
BYTES = """const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const bytes = (text) => { const out = []; let bits = 0, n = 0;
  for (const letter of text.replace(/=+$/, "")) { bits = (bits << 6) | LETTERS.indexOf(letter); n += 6;
    if (n >= 8) { n -= 8; out.push((bits >> n) & 255); } }
  return Uint8Array.from(out); };"""


def page_of(model, data):
    """Um interpretador com as contas da página e as redes de `model`; avalia uma expressão e devolve o valor dela."""
    context = quickjs.Context()
    context.eval(BYTES)
    context.eval((STATIC / "rede.js").read_text(encoding="utf-8"))
    exported = live.export(explore_latent(model, data))
    context.set("text", json.dumps(exported))
    context.eval(
        "const data = JSON.parse(text), encoder = vaeRede.unpack(data.encoder, bytes),"
        " decoder = vaeRede.unpack(data.decoder, bytes);"
    )
    return lambda expression: json.loads(context.eval(f"JSON.stringify({expression})"))


def elbo_of(x: str, noise: torch.Tensor) -> str:
    """A expressão com que a página estima os termos da ELBO de x. noise [L, Z]: os ruídos das amostras de q(z|x)."""
    values = f"{json.dumps(noise.tolist())}.map((e) => vaeRede.logLikelihood(decoder, x, vaeRede.reparametrize(q, e)))"
    return f"((x) => ((q) => vaeRede.bound(q, {values}))(vaeRede.encode(encoder, x)))({x})"


@pytest.mark.parametrize("activation", ["relu", "tanh", "silu", "gelu"])
def test_encoder_decoder_and_elbo_are_those_of_pytorch(activation):
    torch.manual_seed(0)
    data = load("mnist_5k", "test")
    model = mlp_vae(784, 3, (64, 32), activation=activation)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)  # redes treinadas têm pesos maiores que os do começo
    page, x, z = page_of(model, data), measured(model, data)[:3], 2 * torch.randn(3, 3)
    with torch.no_grad():
        q, likelihood = model.encode(x), model.decode(z)
    for i in range(3):
        pixels = json.dumps(x[i].tolist())
        encoded = page(f"(({{mean, logVar}}) => [[...mean], [...logVar]])(vaeRede.encode(encoder, {pixels}))")
        decoded = page(f"[...vaeRede.decode(decoder, {json.dumps(z[i].tolist())})]")
        assert np.abs(np.array(encoded[0]) - q.mean[i].numpy()).max() < 1e-3
        assert np.abs(np.array(encoded[1]) - q.log_var[i].numpy()).max() < 1e-3
        assert np.abs(np.array(decoded) - likelihood.mean[i].numpy()).max() < 1e-3

    noise = torch.randn(4, 1, 3)
    terms = page(elbo_of(json.dumps(x[0].tolist()), noise[:, 0]))
    with torch.no_grad():
        z = q.mean[:1] + (0.5 * q.log_var[:1]).exp() * noise[:, 0]
        expected = model.decode(z).log_prob(x[:1]).sum(-1).mean()
        rate = elbo(model, x[:1]).kl
    assert terms["logLikelihood"] == pytest.approx(expected.item(), rel=1e-4)
    assert terms["kl"] == pytest.approx(rate.item(), rel=1e-3)
    assert terms["elbo"] == pytest.approx(terms["logLikelihood"] - terms["kl"])


SEVEN = [[[0.3, 0.2], [0.7, 0.21], [0.62, 0.45], [0.45, 0.85]], [[0.4, 0.55], [0.66, 0.53]]]


@pytest.mark.parametrize("name", ["mnist_5k", "digits"])
@pytest.mark.parametrize("strokes", [SEVEN, SEVEN[1:], [[[0.9, 0.1]]], []], ids=["seven", "bar", "dot", "blank"])
def test_a_drawn_digit_is_the_same_image_in_the_page_and_in_the_kernel(name, strokes):
    data = load(name, "test")
    explorer = explore_latent(mlp_vae(data.x.shape[1], 2, (8,)), data)
    page = page_of(explorer.model, data)
    drawn = page(f"[...vaeRede.drawn(data.pen, data.shape, {json.dumps(strokes)})]")
    ink = explorer.pen.ink([np.array(stroke) for stroke in strokes]).ravel()
    assert np.array_equal(np.array(drawn), ink > 0.5)


def test_dark_ink_is_drawn_dark_in_the_page_too():
    data = load("digits", "test")
    data = replace(data, x=255 - data.x)
    explorer = explore_latent(mlp_vae(64, 2, (8,)), data)
    page = page_of(explorer.model, data)
    explorer.controls["drawing"].value = json.dumps(SEVEN)
    drawn = page(f"[...vaeRede.drawn(data.pen, data.shape, {json.dumps(SEVEN)})]")
    assert drawn == explorer.drawn.x.tolist()
    assert 32 < sum(drawn) < 64


def test_the_elbo_terms_of_a_drawn_digit_are_those_of_the_kernel():
    torch.manual_seed(0)
    data = load("mnist_5k", "test")
    explorer = explore_latent(mlp_vae(784, 3, (64, 32)), data)
    page = page_of(explorer.model, data)
    explorer.controls["drawing"].value = json.dumps(SEVEN)
    x, drawn = explorer.drawn.x, f"vaeRede.drawn(data.pen, data.shape, {json.dumps(SEVEN)})"
    noise = torch.randn(64, 3)
    with torch.no_grad():
        q = explorer.model.encode(x)
        z = q.mean + (0.5 * q.log_var).exp() * noise
        fit = explorer.model.decode(z).log_prob(x).sum(-1).mean().item()
    terms = page(elbo_of(drawn, noise))
    assert terms["kl"] == pytest.approx(explorer.drawn.kl, abs=1e-3)
    assert terms["logLikelihood"] == pytest.approx(fit, rel=1e-5)
    assert terms["elbo"] == pytest.approx(fit - explorer.drawn.kl, rel=1e-5)
    mean, deviation, rebuilt = page(
        f"((q) => [[...q.mean], [...vaeRede.deviations(q)], [...vaeRede.decode(decoder, q.mean)]])"
        f"(vaeRede.encode(encoder, {drawn}))"
    )
    assert np.abs(np.array(mean) - explorer.drawn.mean.numpy()).max() < 1e-3
    assert np.abs(np.array(deviation) - explorer.drawn.deviation.numpy()).max() < 1e-3
    assert np.abs(np.array(rebuilt) - explorer.drawn.reconstruction.numpy()).max() < 1e-3


def test_a_sample_of_the_page_is_that_of_the_kernel_for_the_same_uniform_numbers():
    torch.manual_seed(0)
    data = load("digits", "test")
    model = mlp_vae(64, 2, (16,))
    page, z, uniform = page_of(model, data), [0.7, -1.1], torch.rand(64)
    numbers = json.dumps(uniform.tolist())
    sample = page(f"((u) => [...vaeRede.sample(vaeRede.decode(decoder, {z}), () => u.shift())])({numbers})")
    with torch.no_grad():
        mean = model.decode(torch.tensor(z)).mean
    assert (mean - uniform).abs().min() > 1e-5  # nenhum pixel decidido por um arredondamento
    assert sample == (uniform < mean).int().tolist()


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ([2.0, 0.0, 0.0], [0.0, 4.0, 0.0]),
        ([0.3, -1.2, 0.4], [1.1, 0.2, -2.0]),
        ([1.0, 2.0, 0.5], [-1.0, -2.0, -0.5]),
        ([1.0, 2.0, 0.5], [2.0, 4.0, 1.0]),
        ([0.0, 0.0, 0.0], [1.0, 2.0, 0.5]),
    ],
    ids=["quarter", "any", "opposite", "same_direction", "from_zero"],
)
def test_the_paths_of_the_page_are_those_of_the_kernel(start, end):
    torch.manual_seed(0)
    page = page_of(mlp_vae(64, 3, (8,)), load("digits", "test"))
    for t in (0.0, 0.3, 0.5, 1.0):
        a, b = torch.tensor(start, dtype=torch.float64), torch.tensor(end, dtype=torch.float64)
        assert page(f"[...vaeRede.slerp({start}, {end}, {t})]") == pytest.approx(slerp(a, b, t).tolist(), abs=1e-9)
        assert page(f"[...vaeRede.lerp({start}, {end}, {t})]") == pytest.approx(torch.lerp(a, b, t).tolist(), abs=1e-9)


def test_the_images_of_the_page_are_what_the_model_sees():
    torch.manual_seed(0)
    data = load("digits", "test")
    model = mlp_vae(64, 2, (16,))
    page = page_of(model, data)
    x = measured(model, data)
    assert np.array_equal(np.array(page("[...bytes(data.images)]")), (255 * x[:60]).flatten().numpy())
    assert page("data.labels") == data.y[:60].tolist()


def test_the_map_places_codes_where_the_kernel_does():
    torch.manual_seed(0)
    data = load("digits", "test")
    explorer = explore_latent(mlp_vae(64, 2, (16,)), data)
    exported = live.export(explorer)["map"]
    x0, y0, width, height = exported["frame"]
    for z in ([0.0, 0.0], [1.3, -2.1]):
        explorer.move(z0=z[0], z1=z[1])
        marked = np.asarray(explorer.paint_map(explorer.numbers).convert("RGB")).astype(int)
        empty = np.asarray(explorer._latent_map.empty().convert("RGB")).astype(int)
        rows, columns = np.nonzero(np.abs(marked - empty).sum(-1))
        across, up = exported["across"], exported["up"]
        x = (x0 + width * (z[0] - across[0]) / (across[1] - across[0])) * exported["width"]
        y = (1 - y0 - height * (z[1] - up[0]) / (up[1] - up[0])) * exported["height"]
        assert abs((rows.min() + rows.max()) / 2 - y) <= 2
        assert abs((columns.min() + columns.max()) / 2 - x) <= 2


def test_a_model_that_the_page_cannot_compute_keeps_its_still_picture():
    data = load("digits", "test")
    convolutional = conv_vae((8, 8), 2, (4,))
    gaussian = mlp_vae(64, 2, (8,), likelihood="gaussian")
    other = Normal(torch.ones(2), torch.zeros(2))
    shifted = VAE(mlp_vae(64, 2, (8,)).encoder, mlp_vae(64, 2, (8,)).decoder, latent_dim=2, prior=other)
    for model in (convolutional, gaussian, shifted, mlp_vae(64, 1, (8,))):
        assert live.export(explore_latent(model, data)) is None
