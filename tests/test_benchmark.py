"""O benchmark compara coisas iguais, conta o que diz contar e sai em texto e em JSON."""

import json

import pytest
import torch

from vae_lessons import benchmark
from vae_lessons.benchmark import Machine, Photos, Row
from vae_lessons.data import binarize, load
from vae_lessons.models import mlp_vae
from vae_lessons.objectives import elbo

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def measured():
    return benchmark.benchmark(["digits"], epochs=2, sweep=2, device="cpu")


def test_both_ways_train_the_same_model_to_the_same_test_elbo(measured):
    _, (loop, *fits) = measured
    assert loop.way == "laço com DataLoader"
    assert {"fit, eager", "fit_many"} <= {row.way for row in fits}
    untrained = elbo(mlp_vae(64, 20, (400,)), binarize(load("digits", "test").x, "static")).elbo.mean().item()
    for row in fits:
        assert row.test_elbo == pytest.approx(loop.test_elbo, abs=0.7)
        assert row.test_elbo > untrained + 5


def test_columns_agree_with_each_other(measured):
    _, rows = measured
    loop = rows[0]
    for row in rows:
        assert row.images_per_second == pytest.approx(row.models * 1440 / row.seconds, rel=0.01)
        assert row.ms_per_step == pytest.approx(1e3 * row.seconds / 12)
        assert row.speedup == pytest.approx(row.models * loop.seconds / row.seconds)
        assert row.floor_seconds > 0
    assert loop.speedup == 1
    many = next(row for row in rows if row.way == "fit_many")
    one = next(row for row in rows if row.way == "fit, eager")
    assert (many.models, many.floor_seconds) == (2, pytest.approx(2 * one.floor_seconds))


def test_loop_minimises_the_elbo(monkeypatch):
    """Com os mesmos ε, o gradiente do laço é o da nossa ELBO: sigmoide e BCE somada, KL com o sinal e a soma certos."""
    data = load("digits")
    monkeypatch.setattr(benchmark, "_BATCH", len(data))
    monkeypatch.setattr(benchmark, "DataLoader", lambda photos, **_: [(binarize(data.x, "static"), data.y)])
    steps = []
    monkeypatch.setattr(
        torch.optim.Adam, "step", lambda self: steps.append([p.grad.clone() for p in model.parameters()])
    )
    torch.manual_seed(0)
    model = mlp_vae(64, 3, (16,))
    torch.manual_seed(1)
    benchmark.dataloader_loop(model, data, epochs=1, device=CPU)
    model.zero_grad()
    torch.manual_seed(1)
    elbo(model, binarize(data.x, "static")).loss.mean().backward()
    (gradients,) = steps
    for gradient, parameter in zip(gradients, model.parameters(), strict=True):
        assert torch.allclose(gradient, parameter.grad, atol=1e-4, rtol=1e-3)


def test_photos_are_random_bits_with_the_grey_levels_as_mean():
    photos = Photos(load("digits"))
    torch.manual_seed(0)
    assert photos[7][1] == load("digits").y[7]
    draws = torch.stack([photos[7][0] for _ in range(400)])
    assert draws.shape == (400, 1, 8, 8)
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    grey = load("digits").x[7].view(1, 8, 8) / 255
    assert (draws.mean(0) - grey).abs().max() < 5 * 0.5 / 20


def test_floor_counts_the_multiplications_of_a_step():
    model = mlp_vae(10, 3, (7,))
    flops, traffic = benchmark.step_cost(model, torch.zeros(5, 10))
    forward = [10 * 7, 7 * 6, 3 * 7, 7 * 10]  # multiplicações por exemplo em cada camada
    backward = [*forward, *forward[1:]]  # nos pesos, de todas; na entrada, de todas menos a primeira
    assert flops == 2 * 5 * (sum(forward) + sum(backward))
    assert traffic > 7 * 4 * sum(p.numel() for p in model.parameters())
    assert all(p.grad is None for p in model.parameters())


def test_table_says_what_was_measured():
    machine = Machine("máquina", 2, 100e9, 200e9, 10e9)
    row = Row("digits", "fit, eager", 1, 2, 0.5, 2880.0, 41.67, 0.1, 3.0, -25.0)
    text = benchmark.table(machine, [row])
    assert "100 GFLOP/s" in text
    assert "10 GB/s" in text
    assert text.splitlines()[-1].split() == [
        "digits",
        "fit,",
        "eager",
        "1",
        "0.500",
        "2880",
        "41.670",
        "0.100",
        "3.0",
        "-25.00",
    ]


def test_json_is_for_machines(capsys, monkeypatch, measured):
    monkeypatch.setattr(benchmark, "benchmark", lambda names, **options: measured)
    benchmark.main(["--data", "digits", "--json"])
    content = json.loads(capsys.readouterr().out)
    assert content["rows"] == [row._asdict() for row in measured[1]]
    assert content["machine"] == vars(measured[0])


def test_only_data_already_here_is_measured_by_default(monkeypatch, measured):
    asked = []
    monkeypatch.setattr(benchmark, "benchmark", lambda names, **options: (asked.append(names), measured)[1])
    for here in (True, False):
        monkeypatch.setattr(benchmark, "is_local", lambda name, here=here: here)
        benchmark.main([])
    assert asked == [["digits", "mnist"], ["digits"]]


@pytest.mark.parametrize(
    "options", [["--epochs", "0"], ["--sweep", "-1"], ["--data", "digitos"], ["--device", "abacus"]]
)
def test_impossible_requests_are_explained(options, monkeypatch):
    monkeypatch.setattr(benchmark, "measure_machine", lambda device: Machine("máquina", 1, 1e9, 1e9, 1e9))
    with pytest.raises(SystemExit, match=r"deve ser ao menos|desconhecido|não está disponível"):
        benchmark.main(options)
