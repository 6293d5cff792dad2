"""O que `fit` e `fit_many` levam ao objetivo (lotes de qualquer dado, rótulos, agendas) e o que aceitam dele."""

import contextlib
import functools
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from vae_lessons.data import Dataset, load
from vae_lessons.models import mlp_vae
from vae_lessons.objectives import ElboTerms, elbo
from vae_lessons.training import History, TrainConfig, fit, fit_many, single


class Terms(NamedTuple):
    loss: Tensor
    reconstruction: Tensor
    commitment: Tensor
    perplexity: Tensor


class Weight(nn.Module):
    """Um modelo de um peso só."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))


def three_terms(model, x, *, beta):
    value = x.sum(1) + 0 * model.weight
    return Terms(loss=value, reconstruction=value, commitment=2 * value, perplexity=3 * value)


def quick_fit(model, data, objective=three_terms, *, progress=False, validation=None, schedules=None, **options):
    config = TrainConfig(**({"epochs": 2, "batch_size": 4, "device": "cpu"} | options))
    return fit(model, data, config, objective=objective, validation=validation, schedules=schedules, progress=progress)


@pytest.fixture
def numbered():
    """Dez exemplos de uma coluna, em que o rótulo é o próprio número."""
    return Dataset(torch.arange(10.0)[:, None], torch.arange(10), name="números")


# Rótulos


def labeled(seen):
    def objective(model, x, *, beta, y):
        seen.append((x[:, 0].detach().clone(), y))
        zeros = torch.zeros(len(x))
        return ElboTerms(zeros, zeros, zeros, model.weight.expand(len(x)))

    return objective


def test_an_objective_that_asks_for_y_gets_the_labels_of_the_same_rows(numbered):
    seen = []
    quick_fit(Weight(), numbered, labeled(seen), validation=numbered)
    assert sorted(torch.cat([y for _, y in seen]).tolist()) == sorted(4 * list(range(10)))
    for x, y in seen:
        assert y.dtype == torch.int64
        assert torch.equal(x, y.float())


def test_an_objective_that_does_not_ask_does_not_get_them(numbered):
    assert quick_fit(Weight(), numbered).reconstruction == [4.5, 4.5]


def test_labels_that_do_not_exist_are_asked_for_in_vain(numbered):
    with pytest.raises(ValueError, match=r"pede os rótulos, y, e 'dados' não os tem.*Dataset com y="):
        quick_fit(Weight(), numbered.x, labeled([]))


def test_labels_may_be_optional(numbered):
    seen = []

    def objective(model, x, *, beta, y=None):
        seen.append(y)
        return three_terms(model, x, beta=beta)

    quick_fit(Weight(), numbered.x, objective)
    assert set(seen) == {None}
    seen.clear()
    quick_fit(Weight(), numbered, objective)
    assert None not in seen


def supervised(model, x, *, beta, y):
    """A ELBO e, do lado, uma entropia cruzada com os rótulos nas médias da posterior."""
    terms = elbo(model, x, beta=beta)
    error = nn.functional.cross_entropy(model.encode(x).mean, y, reduction="none")
    return Supervised(terms.elbo, error, terms.loss + error)


class Supervised(NamedTuple):
    elbo: Tensor
    cross_entropy: Tensor
    loss: Tensor


def supervised_vae():
    torch.manual_seed(0)
    return mlp_vae(64, 10, (16,))


@pytest.mark.parametrize("sweep", [{"beta": [1.0, 4.0]}, {"seed": [0, 1]}], ids=["one_seed", "several_seeds"])
def test_fit_many_takes_the_same_labels_and_terms_as_fit(sweep):
    train, test = load("digits"), load("digits", "test")
    config = TrainConfig(epochs=2, device="cpu")
    options = {"objective": supervised, "validation": test, "progress": False}
    for run in fit_many(supervised_vae(), train, config, sweep=sweep, **options):
        expected = fit(supervised_vae(), train, run.config, **options)
        assert list(run.history.series) == list(expected.series)
        for name, values in expected.series.items():
            assert run.history.series[name] == pytest.approx(values, abs=1e-4)
    assert expected.val_cross_entropy[-1] < expected.val_cross_entropy[0]


def test_labels_reach_the_steps_of_a_graph_too(monkeypatch):
    class Recorder:
        def __init__(self, device):
            self.generators = [torch.default_generator]
            self.warming_up = self.forbidding_waits = contextlib.nullcontext

        def record(self, run):
            return run

    monkeypatch.setattr(single, "CudaRecorder", Recorder)
    monkeypatch.setattr("vae_lessons.training.loop.choose_backend", lambda name, device, n_processes: name)
    data = load("digits")
    eager, recorded = (
        fit(
            supervised_vae(),
            data,
            TrainConfig(epochs=2, device="cpu", backend=backend),
            objective=supervised,
            progress=False,
        )
        for backend in ("eager", "graph")
    )
    assert eager.cross_entropy == recorded.cross_entropy


# Lotes de qualquer dado


def test_tokens_arrive_as_they_are():
    tokens = torch.randint(0, 30_000, (10, 5))
    batches = []

    def objective(model, x, *, beta):
        batches.append(x)
        return three_terms(model, x.float(), beta=beta)

    quick_fit(Weight(), Dataset(tokens, columns="palavras"), objective, epochs=1)
    assert sorted(torch.cat(batches).tolist()) == sorted(tokens.tolist())
    assert {batch.dtype for batch in batches} == {torch.int64}


@pytest.mark.parametrize("binarize", ["dynamic", "static", "none"])
def test_counts_arrive_as_they_are_whatever_the_binarization(binarize):
    counts = torch.poisson(torch.full((10, 5), 20.0))
    history = quick_fit(Weight(), Dataset(counts, columns="genes"), validation=counts, epochs=1, binarize=binarize)
    assert history.reconstruction == pytest.approx([counts.sum(1).mean().item()])
    assert history.val_reconstruction == pytest.approx(history.reconstruction)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Dataset(torch.rand(4, 5), columns="genes", name="pbmc"), "feito para 64 genes .* 'pbmc' tem 5"),
        (Dataset(torch.zeros(4, 5, dtype=torch.int64), columns="palavras"), "feito para 64 palavras"),
        (torch.zeros(4, 5, dtype=torch.uint8), "feito para 64 pixels"),
    ],
    ids=["genes", "words", "pixels"],
)
def test_errors_call_the_columns_by_their_name(data, message):
    with pytest.raises(ValueError, match=message):
        quick_fit(mlp_vae(64, 2, (8,), likelihood="gaussian"), data, elbo)


@pytest.mark.parametrize("most", [1, 16, 100])
def test_images_that_are_not_0_to_255_are_refused_with_their_extremes(most):
    x = torch.randint(0, most + 1, (20, 64), dtype=torch.uint8)
    x[0, 0], x[0, 1] = 0, most
    with pytest.raises(ValueError, match=rf"vão de 0 a {most}; o esperado é de 0 a 255.*255 / {most}"):
        quick_fit(mlp_vae(64, 2, (8,)), x, elbo)
    quick_fit(mlp_vae(64, 2, (8,)), (x.float() * (255 / most)).round().to(torch.uint8), elbo)  # o conselho serve


@pytest.mark.parametrize("likelihood", ["bernoulli", "continuous_bernoulli"])
@pytest.mark.parametrize("x", [torch.rand(8, 64) * 255, torch.rand(8, 64) - 0.5], ids=["0_to_255", "negative"])
def test_floats_outside_the_unit_interval_are_refused_with_their_extremes(likelihood, x):
    with pytest.raises(ValueError, match=rf"entre 0 e 1, mas os de 'dados' vão de .* a {x.max():.3g}"):
        quick_fit(mlp_vae(64, 2, (8,), likelihood=likelihood), x, elbo)
    with pytest.raises(ValueError, match="entre 0 e 1"):
        quick_fit(mlp_vae(64, 2, (8,), likelihood=likelihood), (x > 0.5).float(), elbo, validation=x)


def test_the_advice_for_grey_floats_works():
    grey = torch.rand(8, 64)
    with pytest.warns(UserWarning, match=r"\(x \* 255\)\.round\(\)\.to\(torch\.uint8\)"):
        quick_fit(mlp_vae(64, 2, (8,)), grey, elbo)
    quick_fit(mlp_vae(64, 2, (8,)), (grey * 255).round().to(torch.uint8), elbo)
    quick_fit(mlp_vae(64, 2, (8,), likelihood="continuous_bernoulli"), grey, elbo)


# Termos


def test_history_records_every_term_but_the_loss_by_its_name(numbered, tmp_path):
    history = quick_fit(Weight(), numbered, validation=numbered)
    assert list(history.series) == [
        *("reconstruction", "commitment", "perplexity"),
        *("val_reconstruction", "val_commitment", "val_perplexity", "beta"),
    ]
    assert (history.commitment, history.val_perplexity) == ([9.0, 9.0], [13.5, 13.5])
    assert list(history.to_frame()) == [*history.series, "seconds"]
    history.save(tmp_path / "h.json")
    assert History.load(tmp_path / "h.json") == history
    assert repr(history) == "History(2 épocas, reconstruction 4.50 → 4.50)"
    assert [ax.get_title() for ax in history.plot().axes] == ["reconstruction", "commitment", "perplexity"]


def test_a_series_that_was_not_recorded_is_a_clear_error(numbered):
    history = quick_fit(Weight(), numbered)
    assert history.val_reconstruction == []  # sem validação
    with pytest.raises(AttributeError, match=r"não tem 'elbo'.*registra: reconstruction, commitment, perplexity"):
        _ = history.elbo


def test_the_bar_shows_the_first_three_terms(numbered, capsys):
    quick_fit(Weight(), numbered, progress=True)
    assert "reconstruction 4.50 · commitment 9.00 · perplexity 13.50]" in capsys.readouterr().out


def test_patience_without_an_elbo_watches_the_loss(numbered):
    def rising(model, x, *, beta):
        value = torch.exp(model.weight).expand(len(x))
        return Terms(value if torch.is_grad_enabled() else 1 / value, value, value, value)

    history = quick_fit(Weight(), numbered, rising, validation=numbered, epochs=9, patience=2, optimizer="sgd", lr=0.1)
    assert (len(history), history.best_epoch) == (3, 1)


def with_loss(shape):
    def objective(model, x, *, beta):
        ones = torch.ones(len(x))
        return ElboTerms(ones, ones, ones, shape(model.weight.expand(len(x))))

    return objective


def with_field(name):
    kind = NamedTuple("Kind", [("loss", Tensor), (name, Tensor)])
    return lambda model, x, *, beta: kind(model.weight.expand(len(x)), torch.ones(len(x)))


WRONG = {
    "scalar": (with_loss(torch.mean), ValueError, r"'loss' deve ser um tensor \[B\].*forma \(4,\), e veio .*\(\)"),
    "column": (with_loss(lambda t: t[:, None]), ValueError, r"forma \(4, 1\)"),
    "matrix": (with_loss(lambda t: t[:, None] * t), ValueError, r"forma \(4, 4\)"),
    "whole_numbers": (with_loss(lambda t: t.long()), ValueError, "torch.int64"),
    "number": (with_loss(lambda t: 1.0), ValueError, "veio float"),
    "bare_tensor": (lambda model, x, *, beta: model.weight.expand(len(x)), TypeError, "NamedTuple.*devolveu um tensor"),
    "bare_number": (lambda model, x, *, beta: 1.0, TypeError, "devolveu float"),
    "nothing": (lambda model, x, *, beta: None, TypeError, "devolveu NoneType"),
    "tuple": (lambda model, x, *, beta: (model.weight,), TypeError, "devolveu tuple"),
    "dictionary": (lambda model, x, *, beta: {"loss": model.weight}, TypeError, "devolveu dict"),
    "no_loss": (
        lambda model, x, *, beta: NamedTuple("NoLoss", [("elbo", Tensor)])(torch.ones(len(x))),
        ValueError,
        r"Falta o campo `loss`.*NoLoss\(elbo\)",
    ),
    "seconds": (with_field("seconds"), ValueError, "'seconds' .* nome que o History já usa"),
    "beta": (with_field("beta"), ValueError, "'beta' .* nome que o History já usa"),
    "val": (with_field("val_kl"), ValueError, "'val_kl' .* nome que o History já usa"),
    "detached": (with_loss(lambda t: t.detach()), ValueError, "não depende de nenhum peso"),
}


@pytest.mark.parametrize(("objective", "error", "message"), WRONG.values(), ids=WRONG)
def test_terms_of_the_wrong_kind_are_refused_on_the_first_step(numbered, objective, error, message):
    model = Weight()
    with pytest.raises(error, match=message):
        quick_fit(model, numbered, objective)
    assert model.weight.item() == 0


MANY = {name: WRONG[name] for name in ("scalar", "column", "bare_tensor", "nothing", "no_loss", "seconds")}


@pytest.mark.parametrize(("objective", "error", "message"), MANY.values(), ids=MANY)
def test_fit_many_refuses_them_too(numbered, objective, error, message):
    with pytest.raises(error, match=message):
        fit_many(
            Weight(),
            numbered,
            TrainConfig(batch_size=4, device="cpu"),
            sweep={"beta": [1.0]},
            objective=objective,
            progress=False,
        )


def test_the_validation_is_checked_as_well(numbered):
    def only_training_is_right(model, x, *, beta):
        terms = three_terms(model, x, beta=beta)
        return terms if torch.is_grad_enabled() else terms._replace(commitment=terms.commitment.mean())

    with pytest.raises(ValueError, match="'commitment'"):
        quick_fit(Weight(), numbered, only_training_is_right, validation=numbered)


# A agenda de β


def test_beta_may_be_a_schedule_like_any_other():
    data = load("digits").x[:128]
    cyclical = quick_fit(supervised_vae(), data, elbo, epochs=4, schedules={"beta": lambda epochs: epochs % 2})
    steps = 128 // 4
    expected = [((epoch + 1) * steps - 1) / steps % 2 for epoch in range(4)]
    assert cyclical.beta == pytest.approx(expected)


def test_beta_cannot_come_from_two_places(numbered):
    for options in ({"beta": 4.0}, {"beta_warmup": 1}):
        with pytest.raises(ValueError, match="agenda 'beta' ou o de config"):
            quick_fit(Weight(), numbered, schedules={"beta": lambda epochs: 1.0}, **options)
    with pytest.raises(ValueError, match="varia em sweep e também numa agenda"):
        fit_many(Weight(), numbered, sweep={"beta": [1.0]}, objective=three_terms, schedules={"beta": float})


def test_beta_cannot_be_negative(numbered):
    with pytest.raises(ValueError, match="'beta' não pode ser negativa"):
        quick_fit(Weight(), numbered, schedules={"beta": lambda epochs: -1.0})


# Enganos comuns


def test_a_number_in_the_place_of_the_config(numbered):
    with pytest.raises(TypeError, match=r"config deve ser uma TrainConfig, mas veio 5\..*TrainConfig\(epochs=5\)"):
        fit(Weight(), numbered, 5)
    with pytest.raises(TypeError, match=r"config deve ser uma TrainConfig, mas veio \{'epochs': 5\}"):
        fit_many(Weight(), numbered, {"epochs": 5}, sweep={"beta": [1.0]})


def test_what_is_no_model_or_no_objective(numbered):
    with pytest.raises(TypeError, match=r"model deve ser um VAE .* mas veio Dataset"):
        fit(numbered, Weight())
    with pytest.raises(TypeError, match="objective deve ser uma função"):
        quick_fit(Weight(), numbered, None)


def test_an_objective_that_cannot_take_what_it_will_be_given(numbered):
    with pytest.raises(TypeError, match=r"chamado como objective\(model, x, beta=\.\.\.\).*\(model, x\)"):
        quick_fit(Weight(), numbered, lambda model, x: None)
    with pytest.raises(TypeError, match=r"beta=\.\.\., temperature=\.\.\."):
        quick_fit(Weight(), numbered, schedules={"temperature": float})


def test_objectives_may_be_partials_and_objects(numbered):
    class Callable:
        def __call__(self, model, x, *, beta):
            return three_terms(model, x, beta=beta)

    assert quick_fit(Weight(), numbered, Callable()).reconstruction == [4.5, 4.5]
    assert quick_fit(Weight(), numbered, functools.partial(three_terms)).reconstruction == [4.5, 4.5]


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_training_inside_a_block_without_gradients_trains(context):
    data = load("digits").x[:128]
    expected = quick_fit(supervised_vae(), data, elbo)
    model = supervised_vae()
    with context():
        history = quick_fit(model, data, elbo)
    assert history.elbo == expected.elbo
