"""As receitas publicadas: as que se dizem, com o objetivo certo, num relatório honesto. O treino todo não cabe aqui."""

import functools
import json
import math
from dataclasses import replace

import pytest
import torch

from vae_lessons import reproduce as module
from vae_lessons.data.idx_files import is_local
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
    assert {name: SETTINGS[name].config.epochs for name in ("iwae1", "iwae5", "iwae50", "pythae")} == {
        "iwae1": 3280,
        "iwae5": 3280,
        "iwae50": 3280,
        "pythae": 500,
    }
    assert SETTINGS["jaanli"].config.epochs * math.ceil(50_000 / 128) == pytest.approx(20_000, rel=0.005)


def test_learning_rates_are_those_of_the_sources():
    rate = SETTINGS["iwae5"].schedules["lr"]
    assert [rate(epochs) for epochs in (0, 0.999, 1, 3.999, 4)] == pytest.approx(
        [1e-3] * 2 + [10 ** (-22 / 7)] * 2 + [10 ** (-23 / 7)]
    )
    assert [rate(epochs) for epochs in (1092.999, 1093, 3280)] == pytest.approx([10 ** (-27 / 7), 1e-4, 1e-4])
    rate = SETTINGS["pythae"].schedules["lr"]
    ten_to_the = [math.log10(rate(epochs)) for epochs in (0, 199.9, 200, 349.9, 350, 500)]
    assert ten_to_the == pytest.approx([-4, -4, -4.2, -4.2, -4.4, -4.4])


def test_jaanli_minimises_the_elbo_with_a_sampled_kl():
    torch.manual_seed(0)
    model = mlp_vae(6, 2, (8,))
    x = torch.rand(4, 6).round()
    torch.manual_seed(1)
    terms = SETTINGS["jaanli"].objective(model, x, beta=torch.ones(()))
    torch.manual_seed(1)
    q = model.encode(x)
    z = q.rsample(torch.randn(1, 4, 2))[0]
    joint = model.decode(z).log_prob(x).sum(-1) + model.prior.log_prob(z).sum(-1)
    assert torch.allclose(terms.loss, q.log_prob(z).sum(-1) - joint, atol=1e-6)
    assert torch.allclose(terms.elbo, -terms.loss)


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
@pytest.mark.filterwarnings("ignore:O erro-padrão de log p")  # de propósito: k = 20 e um treino de nada
@pytest.mark.parametrize("name", ["jaanli", "gumbel", "iwae5"])
def test_recipe_trains_and_evaluates(name, short):
    before, after = (reproduce(name, epochs=n, n_test=50, k=20, device="cpu", progress=False) for n in (1, 8))
    assert after["ours"]["NLL"] < before["ours"]["NLL"] < 784 * math.log(2) + 20
    for result in (before, after):
        assert result["ours"]["NLL"] <= result["ours"]["−ELBO"] + 1
        assert result["standard_error"] > 0
        assert 1 <= result["effective_sample_size"] <= result["k"]
    assert (after["epochs"], after["epochs_of_the_recipe"]) == (8, SETTINGS[name].config.epochs)


@needs_mnist
def test_training_is_resumed_from_its_checkpoints(short, tmp_path, monkeypatch):
    config = TrainConfig(epochs=3, batch_size=100)
    tiny = replace(SETTINGS["jaanli"], n_train=300, config=config, build=functools.partial(mlp_vae, 784, 2, (8,)))
    monkeypatch.setattr(module, "SETTINGS", {"jaanli": tiny})
    options = {"n_test": 20, "k": 5, "device": "cpu", "progress": False}
    straight = reproduce("jaanli", **options)["ours"]
    reproduce("jaanli", epochs=1, checkpoints=tmp_path, **options)
    assert reproduce("jaanli", checkpoints=tmp_path, **options)["ours"] == straight
    assert [path.name for path in tmp_path.glob("*.pt")] == ["jaanli-0.pt"]


@needs_mnist
def test_report_and_json_say_what_was_done(short, capsys):
    main(["jaanli", "--epochs", "1", "--n-test", "20", "--k", "5", "--device", "cpu", "--json"])
    result = json.loads(capsys.readouterr().out)
    text = report(result)
    assert "1 época de 51 (só o começo" in text
    assert f"{result['ours']['NLL']:.2f}      100.31" in text
    assert f"{result['ours']['NLL'] - 100.31:+.2f}" in text
    assert SETTINGS["jaanli"].source in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "kingma"}, "Receita desconhecida: 'kingma'. As que existem são: 'jaanli'"),
        ({"name": "jaanli", "epochs": 52}, "entre 1 e 51, as da receita 'jaanli', mas veio 52"),
        ({"name": "jaanli", "epochs": 0}, "entre 1 e 51"),
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
