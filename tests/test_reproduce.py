"""As receitas publicadas: as que se dizem, com o objetivo certo, num relatório honesto. O treino todo não cabe aqui."""

import functools
import json
import math
from dataclasses import replace

import pytest
import torch

from vae_lessons import reproduce as module
from vae_lessons.idx_files import is_local
from vae_lessons.models import mlp_vae
from vae_lessons.objectives import iwae_bound
from vae_lessons.reproduce import SETTINGS, iwae, main, report, reproduce
from vae_lessons.training import TrainConfig

needs_mnist = pytest.mark.skipif(not is_local("mnist"), reason="Os arquivos de MNIST não estão nesta máquina.")


@pytest.fixture
def short(monkeypatch):
    """As receitas com 300 imagens de treino."""
    monkeypatch.setattr(module, "SETTINGS", {name: replace(s, n_train=300) for name, s in SETTINGS.items()})


def test_published_values_are_those_of_the_sources():
    published = {name: setting.published for name, setting in SETTINGS.items()}
    assert published == {
        "jaanli": {"NLL": 100.31, "−ELBO": 106.64},
        "pythae": {"NLL": 89.78},
        "gumbel": {"NLL": 101.5},
        "iwae1": {"NLL": 86.76},
        "iwae5": {"NLL": 85.54},
        "iwae50": {"NLL": 84.78},
    }


def test_lengths_are_those_of_the_sources():
    assert {name: SETTINGS[name].epochs for name in ("iwae1", "iwae5", "iwae50", "pythae")} == {
        "iwae1": 3280,
        "iwae5": 3280,
        "iwae50": 3280,
        "pythae": 500,
    }
    assert SETTINGS["jaanli"].epochs * math.ceil(50_000 / 128) == pytest.approx(30_000, rel=0.005)
    assert SETTINGS["iwae1"].stages[0].lr == 1e-3
    assert SETTINGS["iwae1"].stages[7].lr == pytest.approx(1e-4)


def test_temperature_falls_to_one_half():
    temperature = SETTINGS["gumbel"].schedules["temperature"]
    assert [temperature(epochs) for epochs in (0, 200)] == pytest.approx([1.0, math.exp(-1.0)], abs=0.14)
    assert temperature(1e6) == 0.5
    assert temperature(100) == pytest.approx(math.exp(-0.5))


@pytest.mark.parametrize("name", SETTINGS)
def test_models_take_mnist_images(name):
    model = SETTINGS[name].build()
    assert model.data_dim == 784
    assert model.sample(2).shape == (2, 784)


def test_iwae_loss_is_minus_the_bound_and_its_figures_are_those_of_the_elbo():
    torch.manual_seed(0)
    model = mlp_vae(6, 2, (8,))
    x = torch.rand(4, 6).round()
    torch.manual_seed(1)
    terms = iwae(model, x, beta=torch.ones(()), k=5)
    torch.manual_seed(1)
    bound = iwae_bound(model, x, 5)
    assert torch.allclose(terms.loss, -bound)
    assert (terms.elbo <= bound).all()
    assert torch.allclose(terms.elbo, terms.log_likelihood - terms.kl)
    assert terms.loss.requires_grad
    assert not terms.elbo.requires_grad


@needs_mnist
@pytest.mark.parametrize("name", ["jaanli", "gumbel", "iwae5"])
def test_recipe_trains_and_evaluates(name, short):
    before, after = (reproduce(name, epochs=n, n_test=50, k=20, device="cpu", progress=False) for n in (1, 8))
    assert after["ours"]["NLL"] < before["ours"]["NLL"] < 784 * math.log(2) + 20
    for result in (before, after):
        assert result["ours"]["NLL"] <= result["ours"]["−ELBO"] + 1
        assert result["standard_error"] > 0
    assert (after["epochs"], after["epochs_of_the_recipe"]) == (8, SETTINGS[name].epochs)


@needs_mnist
def test_training_is_resumed_from_its_checkpoints(short, tmp_path, monkeypatch):
    stages = tuple(TrainConfig(epochs=n, batch_size=100, seed=n) for n in (2, 1))
    tiny = replace(SETTINGS["pythae"], n_train=300, stages=stages, build=functools.partial(mlp_vae, 784, 2, (8,)))
    monkeypatch.setattr(module, "SETTINGS", {"pythae": tiny})
    options = {"n_test": 20, "k": 5, "device": "cpu", "progress": False}
    straight = reproduce("pythae", **options)["ours"]
    reproduce("pythae", epochs=1, checkpoints=tmp_path, **options)
    assert reproduce("pythae", checkpoints=tmp_path, **options)["ours"] == straight
    assert len(list(tmp_path.glob("pythae-0-*.pt"))) == 2


@needs_mnist
def test_report_and_json_say_what_was_done(short, capsys):
    main(["jaanli", "--epochs", "1", "--n-test", "20", "--k", "5", "--device", "cpu", "--json"])
    result = json.loads(capsys.readouterr().out)
    text = report(result)
    assert "1 épocas de 77 (só o começo" in text
    assert f"{result['ours']['NLL']:.2f}      100.31" in text
    assert f"{result['ours']['NLL'] - 100.31:+.2f}" in text
    assert SETTINGS["jaanli"].source in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "kingma"}, "Receita desconhecida: 'kingma'. As que existem são: 'jaanli'"),
        ({"name": "jaanli", "epochs": 78}, "entre 1 e 77, as da receita 'jaanli', mas veio 78"),
        ({"name": "jaanli", "epochs": 0}, "entre 1 e 77"),
        ({"name": "jaanli", "n_test": 10_001}, r"n_test deve ficar entre 1 e 10\.000"),
    ],
)
def test_impossible_requests_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        reproduce(**options)


def test_command_line_lists_the_recipes_and_explains_what_does_not_serve(capsys):
    main([])
    listed = capsys.readouterr().out
    assert all(setting.source in listed for setting in SETTINGS.values())
    with pytest.raises(SystemExit, match="Receita desconhecida: 'kingma'"):
        main(["kingma"])
