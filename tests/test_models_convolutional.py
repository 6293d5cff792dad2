"""O VAE convolucional: qualquer tamanho de imagem, e em tudo o mais um VAE como o de camadas densas."""

import copy
import functools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vae_lessons.data import binarize, load
from vae_lessons.distributions import Bernoulli, ContinuousBernoulli, Normal
from vae_lessons.evaluation import active_units, log_likelihood, rate_distortion
from vae_lessons.explore import explore_beta, explore_latent
from vae_lessons.models import conv_vae
from vae_lessons.objectives import elbo
from vae_lessons.training import TrainConfig, fit, fit_many, precision

SHAPES = [(8, 8), (16, 16), (28, 28), (7, 7), (9, 13), (15, 8), (5, 31), (4, 4)]


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def small(image_shape=(8, 8), latent_dim=3, channels=(4, 8), *, seed=0, **options):
    torch.manual_seed(seed)
    return conv_vae(image_shape, latent_dim, channels, **options)


def quick(**options):
    return TrainConfig(**({"epochs": 3, "lr": 1e-2, "device": "cpu"} | options))


# As formas e a conta


@pytest.mark.parametrize("image_shape", SHAPES, ids=str)
def test_images_of_any_size_go_in_and_out_as_rows(image_shape):
    model, n_pixels = small(image_shape), image_shape[0] * image_shape[1]
    q = model.encode(torch.rand(5, n_pixels))
    assert isinstance(q, Normal)
    assert q.mean.shape == q.log_var.shape == (5, 3)
    p = model.decode(q.mean)
    assert isinstance(p, Bernoulli)
    assert p.logits.shape == (5, n_pixels)
    assert model.sample(2).shape == (2, n_pixels)


@pytest.mark.parametrize("image_shape", SHAPES, ids=str)
def test_every_pixel_is_seen_and_every_pixel_is_painted(image_shape):
    model = small(image_shape, activation="tanh").double()
    x = torch.rand(1, model.data_dim, dtype=torch.float64, requires_grad=True)
    (seen,) = torch.autograd.grad(model.encode(x).mean.sum(), x)
    assert (seen != 0).all()
    z = torch.randn(3, dtype=torch.float64)
    painted = torch.autograd.functional.jacobian(lambda z: model.decode(z).logits, z)
    assert (painted != 0).any(1).all()


def test_the_networks_are_the_convolutions_written_by_hand():
    model = small((10, 7), activation="silu")
    first, second, head = (layer for layer in model.encoder if hasattr(layer, "weight"))
    x = torch.rand(5, 70)
    h = F.silu(F.conv2d(x.reshape(5, 1, 10, 7), first.weight, first.bias, stride=2, padding=1))
    assert h.shape == (5, 4, 5, 3)
    h = F.silu(F.conv2d(h, second.weight, second.bias, stride=2, padding=1))
    assert h.shape == (5, 8, 2, 1)
    mean, log_var = F.linear(h.reshape(5, 16), head.weight, head.bias).split(3, 1)
    torch.testing.assert_close(model.encode(x), Normal(mean, log_var))

    tail, second, first = (layer for layer in model.decoder if hasattr(layer, "weight"))
    h = F.silu(F.linear(mean, tail.weight, tail.bias)).reshape(5, 8, 2, 1)
    h = F.silu(F.conv_transpose2d(h, second.weight, second.bias, stride=2, padding=1, output_padding=(1, 1)))
    assert h.shape == (5, 4, 5, 3)
    h = F.conv_transpose2d(h, first.weight, first.bias, stride=2, padding=1, output_padding=(0, 1))
    torch.testing.assert_close(model.decode(mean).logits, h.reshape(5, 70))
    by_hand = (4 * 16 + 4) + (8 * 4 * 16 + 8) + (16 * 6 + 6) + (3 * 16 + 16) + (8 * 4 * 16 + 4) + (4 * 16 + 1)
    assert sum(weight.numel() for weight in model.parameters()) == by_hand


def test_there_are_as_many_levels_as_channels():
    model = small((16, 16), 2, (3, 5, 7))
    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    expected = [(1, 3), (3, 5), (5, 7), (7, 5), (5, 3), (3, 1)]
    assert [(layer.in_channels, layer.out_channels) for layer in convolutions] == expected
    assert model.encoder[-1].in_features == model.decoder[0].out_features == 7 * 2 * 2


@pytest.mark.parametrize("lead", [(), (0,), (1,), (7, 5), (2, 3, 4)], ids=str)
def test_dimensions_in_front_are_only_a_batch_of_another_shape(lead):
    model = small((9, 6)).double()
    z = torch.randn(*lead, 3, dtype=torch.float64)
    x = model.decode(z).mean
    q = model.encode(x)
    assert x.shape == (*lead, 54)
    assert q.mean.shape == q.log_var.shape == (*lead, 3)
    for one_z, one_x, one_mean in zip(z.reshape(-1, 3), x.reshape(-1, 54), q.mean.reshape(-1, 3), strict=True):
        torch.testing.assert_close(model.decode(one_z).mean, one_x)
        torch.testing.assert_close(model.encode(one_x).mean, one_mean)


@pytest.mark.parametrize(
    ("likelihood", "family"),
    [
        ("bernoulli", Bernoulli),
        ("continuous_bernoulli", ContinuousBernoulli),
        ("gaussian", Normal),
        (lambda out: Normal(out.sigmoid(), torch.full_like(out, -4.0)), Normal),
    ],
    ids=["bernoulli", "continuous_bernoulli", "gaussian", "function"],
)
def test_every_likelihood_trains_every_weight(likelihood, family):
    model = small(likelihood=likelihood, activation="tanh")
    x = torch.rand(6, 64)
    assert isinstance(model.decode(torch.zeros(4, 6, 3)), family)
    terms = elbo(model, x, n_samples=4)
    assert terms.elbo.shape == (6,)
    terms.loss.mean().backward()
    assert all(weight.grad.abs().max() > 0 for weight in model.parameters())


def test_encode_and_decode_never_draw():
    model, x = small(), torch.rand(2, 64)
    state = torch.get_rng_state()
    model.decode(model.encode(x).mean)
    assert torch.equal(torch.get_rng_state(), state)


# O que o pacote faz com ele


def test_it_learns_digits_better_than_the_mean_image(digits):
    test = binarize(load("digits", "test").x, "static")
    model = small((8, 8), 8, (16, 32))
    history = fit(model, digits, quick(epochs=12, lr=3e-3, batch_size=64), progress=False)
    result = log_likelihood(model, test, k=50)
    frequency = (digits.x / 255).mean(0).clamp(1e-3, 1 - 1e-3)
    mean_image = Bernoulli(frequency.logit()).log_prob(test).sum(1).mean().item()
    assert result.mean > mean_image + 1.5 + 4 * result.standard_error
    assert history.elbo[-1] > history.elbo[0] + 10
    assert active_units(model, test) > 3


def test_each_run_of_a_sweep_equals_its_own_fit(digits):
    """Empilhadas, as convoluções de todos os modelos viram uma só, em grupos."""
    initial, x = small(), digits.x[:300]
    runs = fit_many(initial, x, quick(), sweep={"beta": [0.5, 4.0], "seed": [0, 7]}, validation=x[:50], progress=False)
    for run in runs:
        model = copy.deepcopy(initial)
        history = fit(model, x, run.config, validation=x[:50], progress=False)
        assert run.history.elbo == pytest.approx(history.elbo, abs=1e-4)
        assert run.history.val_elbo == pytest.approx(history.val_elbo, abs=1e-4)
        for ours, theirs in zip(run.model.parameters(), model.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(digits, tmp_path):
    whole, halves = small(), small()
    fit(whole, digits.x[:300], quick(epochs=4), progress=False)
    resumed = functools.partial(fit, data=digits.x[:300], progress=False)
    resumed(halves, config=quick(epochs=2, checkpoint=tmp_path / "treino.pt"))
    halves = small(seed=1)
    resumed(halves, config=quick(epochs=4, checkpoint=tmp_path / "treino.pt"), resume=True)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), halves.parameters(), strict=True))


def test_in_bfloat16_it_trains_as_in_float32(digits, monkeypatch):
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)
    exact, rough = (
        fit(small(), digits.x[:300], quick(epochs=4, precision=name), progress=False).elbo
        for name in ("float32", "bfloat16")
    )
    assert exact != rough
    assert rough[-1] == pytest.approx(exact[-1], abs=0.5)


def test_measures_and_explorers_take_it_as_it_is(digits):
    x = binarize(digits.x[:20], "static")
    model = small(latent_dim=2)
    assert log_likelihood(model, x, k=30, chunk=7).per_example.shape == (20,)
    assert rate_distortion(model, x).rate > 0
    before = explore_latent(model, digits)
    picture = before.picture.value
    before.controls["z1"].value = 2.5
    assert before.picture.value != picture
    runs = fit_many(model, digits.x[:100], quick(epochs=1), sweep={"beta": [1.0, 4.0]}, progress=False)
    assert explore_beta(runs, digits).traversal.shape == (7, 64)


# Erros, em português


@pytest.mark.parametrize(
    "image_shape", [64, (64,), (1, 8, 8), (8.0, 8.0), (3, 8), (8, 0), (-8, -8), "88", None], ids=str
)
def test_what_is_not_the_shape_of_an_image_is_refused(image_shape):
    with pytest.raises(ValueError, match=r"\(altura, largura\), como data.image_shape, com cada lado ≥ 4 .*veio "):
        conv_vae(image_shape, 2)


def test_an_image_too_small_for_the_levels_says_how_large_it_should_be():
    with pytest.raises(ValueError, match=r"lado ≥ 16 \(2\^4, .*dos 4 níveis.*mas veio \(8, 8\)"):
        conv_vae((8, 8), 2, (4, 4, 4, 4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": ()}, r"ao menos um nível.*channels = \(\)"),
        ({"channels": (4, 0)}, r"um canal em cada um.*channels = \(4, 0\)"),
        ({"latent_dim": 0}, "um latente.*latent_dim = 0"),
        ({"activation": "sigmoide"}, "'sigmoide'.*'relu', 'tanh'"),
        ({"likelihood": "mse"}, "'mse'.*'bernoulli'"),
    ],
)
def test_other_bad_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        conv_vae(**({"image_shape": (8, 8), "latent_dim": 2} | options))


def test_images_that_are_not_rows_are_refused():
    with pytest.raises(ValueError, match=r"codificador espera .* tamanho 72 \(D, colunas\).*\(5, 9, 8\)"):
        small((9, 8)).encode(torch.rand(5, 9, 8))
    with pytest.raises(ValueError, match=r"decodificador espera .* tamanho 3 \(Z, latentes\)"):
        small((9, 8)).decode(torch.zeros(5, 2))
