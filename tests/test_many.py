"""Uma varredura treinada de uma vez dá, execução a execução, o que `fit` daria a cada uma sozinha."""

import contextlib
import copy
import functools
import itertools
import math

import numpy as np
import pytest
import torch
from small_training import interrupting, press_stop, raise_interrupt, small_vae
from torch import nn
from torch.func import vmap
from torch.nn import functional as F

from vae_lessons.data import load
from vae_lessons.distributions import Bernoulli
from vae_lessons.estimators import gumbel_softmax, score_function
from vae_lessons.models import VAE, categorical_vae, mlp_vae
from vae_lessons.objectives import elbo
from vae_lessons.training import Run, TrainConfig, TrainingDiverged, fit, fit_many, graphs, stack
from vae_lessons.training.runs import RunInProgress
from vae_lessons.training.stack import Stack
from vae_lessons.training.streams import DrawFromStreams, Streams

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="Esta máquina não tem GPU com CUDA.")

TOLERANCE = 1e-4  # nats: só arredondamento; nestes treinos, medem-se 5e-6
CURVES = ("elbo", "log_likelihood", "kl", "beta", "val_elbo", "val_log_likelihood", "val_kl")
BETAS = {"beta": [0.5, 1.0, 4.0]}
SEEDS = {"seed": [0, 1, 7]}


def small_categorical():
    torch.manual_seed(0)
    return categorical_vae(64, 3, 4, (16,))


def configured(**options):
    return TrainConfig(**({"epochs": 3, "lr": 1e-2, "device": "cpu"} | options))


def sweep_of(model, data, sweep, *, progress=False, objective=elbo, validation=None, schedules=None, **options):
    return fit_many(
        model,
        data,
        configured(**options),
        sweep=sweep,
        objective=objective,
        validation=validation,
        schedules=schedules,
        progress=progress,
    )


def curves(history):
    return {name: getattr(history, name) for name in CURVES}


def assert_same_curves(history, expected):
    for name in CURVES:
        assert getattr(history, name) == pytest.approx(getattr(expected, name), abs=TOLERANCE), name


def assert_same_weights(model, expected):
    theirs = dict(itertools.chain(expected.named_parameters(), expected.named_buffers()))
    for name, value in itertools.chain(model.named_parameters(), model.named_buffers()):
        torch.testing.assert_close(value, theirs[name], rtol=0, atol=1e-4, msg=name)


def assert_each_run_equals_fit(runs, initial, data, **options):
    for run in runs:
        model = copy.deepcopy(initial)
        history = fit(model, data, run.config, progress=False, **options)
        assert_same_curves(run.history, history)
        assert_same_weights(run.model, model)


# Cada execução é um fit


def with_temperature(model, x, *, beta, temperature):
    return elbo(model, x, beta=beta, estimator=functools.partial(gumbel_softmax, temperature=temperature))


def bernoulli_noise(model, x, *, beta):
    """Um objetivo que apaga pixels ao acaso, com probabilidade que depende dos pesos e de β."""
    keep = torch.sigmoid(beta + 10 * model.decoder[0].bias.detach().mean()).expand_as(x)
    return elbo(model, x * torch.bernoulli(keep), beta=beta)


def batch_norm_vae():
    model = small_vae()
    # Sem o viés antes da BatchNorm: o gradiente dele é zero, e o Adam amplia o arredondamento que houver no lugar.
    model.encoder = nn.Sequential(nn.Linear(64, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))
    return model


def tied_vae():
    model = small_vae()
    layer = nn.Linear(64, 64)
    model.encoder = nn.Sequential(layer, nn.ReLU(), layer, nn.ReLU(), nn.Linear(64, 4))
    return model


def partly_frozen_vae():
    model = small_vae()
    model.encoder[0].requires_grad_(False)
    return model


CASES = {
    "betas": (small_vae, BETAS, {}),
    "one": (small_vae, {"beta": [2.0]}, {}),
    "seeds": (small_vae, SEEDS, {}),
    "grid": (small_vae, BETAS | SEEDS, {}),
    "warmup": (small_vae, {"beta_warmup": [0, 1, 3]} | BETAS, {}),
    "one_batch": (small_vae, BETAS | SEEDS, {"batch_size": 1000}),
    "static": (small_vae, BETAS | SEEDS, {"binarize": "static"}),
    "grey": (
        functools.partial(small_vae, likelihood="continuous_bernoulli"),
        BETAS | SEEDS,
        {"binarize": "none"},
    ),
    "learned_variance": (functools.partial(small_vae, likelihood="gaussian"), BETAS | SEEDS, {"binarize": "none"}),
    "two_samples": (small_vae, BETAS | SEEDS, {"objective": functools.partial(elbo, n_samples=2)}),
    "free_bits": (small_vae, BETAS | SEEDS, {"objective": functools.partial(elbo, free_bits=0.2)}),
    "reinforce": (
        small_vae,
        BETAS | SEEDS,
        {
            "objective": functools.partial(
                elbo, n_samples=2, estimator=functools.partial(score_function, baseline="leave_one_out")
            )
        },
    ),
    "categorical": (
        small_categorical,
        BETAS | SEEDS,
        {"objective": with_temperature, "schedules": {"temperature": lambda epochs: 1 / (1 + epochs)}},
    ),
    "bernoulli_one_seed": (small_vae, BETAS, {"objective": bernoulli_noise}),
    "bernoulli": (small_vae, BETAS | SEEDS, {"objective": bernoulli_noise}),
    "adamw": (small_vae, BETAS, {"optimizer": "adamw"}),
    "rmsprop": (small_vae, BETAS, {"optimizer": "rmsprop"}),
    "sgd": (small_vae, BETAS, {"optimizer": "sgd"}),
    "centered_rmsprop": (small_vae, BETAS, {"optimizer": functools.partial(torch.optim.RMSprop, centered=True)}),
    "scheduled_lr": (small_vae, BETAS | SEEDS, {"schedules": {"lr": lambda epochs: 2**-8 / (1 + epochs)}}),
    "batch_norm": (batch_norm_vae, BETAS | SEEDS, {}),
    "tied": (tied_vae, BETAS, {}),
    "frozen": (partly_frozen_vae, BETAS, {}),
}


@pytest.mark.parametrize(("build", "sweep", "options"), CASES.values(), ids=CASES)
def test_each_run_equals_its_own_fit(digits, held_out, build, sweep, options):
    initial = build()
    runs = sweep_of(initial, digits, sweep, validation=held_out, **options)
    passed_on = {name: options[name] for name in ("objective", "schedules") if name in options}
    assert_each_run_equals_fit(runs, initial, digits, validation=held_out, **passed_on)


def test_runs_come_in_the_order_of_the_grid_each_with_its_config(digits):
    runs = sweep_of(small_vae(), digits, {"seed": range(2), "beta": (1, 4.0)}, lr=3e-3, epochs=1)
    assert all(isinstance(run, Run) for run in runs)
    assert [(run.config.seed, run.config.beta) for run in runs] == [(0, 1), (0, 4.0), (1, 1), (1, 4.0)]
    assert {run.config.lr for run in runs} == {3e-3}
    assert [run.history.beta for run in runs] == [[1], [4.0], [1], [4.0]]


def test_runs_differ_from_each_other_by_far_more_than_the_tolerance(digits):
    """O que separa duas execuções desta grade não cabe na tolerância: trocá-las seria notado."""
    runs = sweep_of(small_vae(), digits, BETAS | SEEDS)
    finals = [run.history.elbo[-1] for run in runs]
    assert min(abs(a - b) for a, b in itertools.combinations(finals, 2)) > 20 * TOLERANCE


def swap_betas(patch):
    right = Stack.step
    patch.setattr(Stack, "step", lambda stack, rows, values: right(stack, rows, {"beta": values["beta"].flip(0)}))


def average_over_the_sweep(patch):
    """A perda média em vez da soma: para o Adam quase não há diferença, e é o que há de mais fácil de errar."""
    right = vmap

    def averaged(f, **options):
        mapped = right(f, **options)

        def losses_and_sums(*args):
            losses, sums = mapped(*args)
            return losses / len(losses), sums

        return losses_and_sums

    patch.setattr(stack, "vmap", averaged)


def change_streams(change):
    def damage(patch):
        right = Streams.__init__

        def wrong(streams, seeds, device):
            right(streams, seeds, device)
            streams.of_run = change(streams.of_run)

        patch.setattr(Streams, "__init__", wrong)

    return damage


@pytest.mark.parametrize(
    ("damage", "options"),
    [
        (swap_betas, {"sweep": BETAS}),
        (average_over_the_sweep, {"sweep": BETAS, "optimizer": "sgd"}),
        (change_streams(torch.zeros_like), {"sweep": SEEDS}),
        (change_streams(lambda of_run: of_run.flip(0)), {"sweep": SEEDS}),
    ],
    ids=["betas_swapped", "mean_over_models", "one_noise_for_all_seeds", "seeds_swapped"],
)
def test_known_wrong_sweeps_are_caught(digits, monkeypatch, damage, options):
    damage(monkeypatch)
    runs = sweep_of(small_vae(), digits, **options)
    with pytest.raises(AssertionError):
        assert_each_run_equals_fit(runs, small_vae(), digits)


def test_a_run_does_not_depend_on_the_others(digits, held_out):
    def run_with(sweep):
        runs = sweep_of(small_vae(), digits, sweep, validation=held_out)
        return next(run for run in runs if (run.config.beta, run.config.seed) == (1.0, 1))

    reference = run_with({"beta": [1.0], "seed": [1]})
    for sweep in ({"beta": [1.0, 1000.0], "seed": [1]}, {"beta": [0.0, 1.0], "seed": [5, 1, 0]}):
        run = run_with(sweep)
        assert_same_curves(run.history, reference.history)
        assert_same_weights(run.model, reference.model)


def test_validation_does_not_change_the_training(digits, held_out):
    without, with_ = (sweep_of(small_vae(), digits, BETAS | SEEDS, validation=v) for v in (None, held_out))
    for run, watched in zip(without, with_, strict=True):
        assert run.history.elbo == watched.history.elbo
        assert (run.history.val_elbo, len(watched.history.val_elbo)) == ([], 3)


def test_dataset_and_tensor_train_alike():
    data = load("digits")
    first, second = (sweep_of(small_vae(), each, BETAS, epochs=1) for each in (data, data.x))
    assert [curves(run.history) for run in first] == [curves(run.history) for run in second]


def test_same_sweep_repeats_bit_for_bit_whatever_came_before(digits):
    torch.manual_seed(1)
    first = sweep_of(initial := small_vae(), digits, BETAS | SEEDS)
    torch.manual_seed(2)
    torch.rand(3)
    second = sweep_of(initial, digits, BETAS | SEEDS)
    assert [curves(run.history) for run in first] == [curves(run.history) for run in second]


@needs_cuda
@pytest.mark.parametrize("backend", ["eager", "graph"])
@pytest.mark.parametrize("sweep", [BETAS, BETAS | SEEDS], ids=["one_seed", "several_seeds"])
def test_each_run_equals_its_own_fit_on_cuda(digits, held_out, sweep, backend):
    initial = small_vae()
    runs = sweep_of(initial, digits, sweep, validation=held_out, device="cuda", backend=backend)
    assert_each_run_equals_fit(runs, initial, digits, validation=held_out)


# Grafos


class FakeRecorder:
    """No lugar do grafo, a própria função: prova na CPU que o passo é uma função de tensores de lugar fixo."""

    def __init__(self, device, generators=()):
        self.generators = [torch.default_generator, *generators]

    def warming_up(self):
        return contextlib.nullcontext()

    def forbidding_waits(self):
        return contextlib.nullcontext()

    def record(self, run):
        return run


@pytest.mark.parametrize("sweep", [BETAS, BETAS | SEEDS], ids=["one_seed", "several_seeds"])
@pytest.mark.parametrize("build", [small_vae, batch_norm_vae])
def test_static_steps_equal_the_eager_ones_bit_for_bit(digits, held_out, monkeypatch, build, sweep):
    monkeypatch.setattr(stack, "CudaRecorder", FakeRecorder)
    monkeypatch.setattr(stack, "choose_backend", lambda name, device: name)
    monkeypatch.setattr(graphs, "_STEPS_PER_GRAPH", 2)
    options = {"validation": held_out, "batch_size": 64, "beta_warmup": 1}
    eager, static = (sweep_of(build(), digits, sweep, backend=backend, **options) for backend in ("eager", "graph"))
    for run, recorded in zip(eager, static, strict=True):
        assert curves(run.history) == curves(recorded.history)
        for weight, other in zip(run.model.parameters(), recorded.model.parameters(), strict=True):
            assert torch.equal(weight, other)


# Os modelos


def test_one_model_is_copied_for_every_run_and_left_as_it_was(digits):
    model = small_vae()
    before = copy.deepcopy(model.state_dict())
    runs = sweep_of(model, digits, BETAS, epochs=1)
    assert len({id(run.model) for run in runs} | {id(model)}) == 4
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not torch.equal(runs[0].model.decoder[0].weight, before["decoder.0.weight"])


def test_a_sequence_is_trained_in_place_run_by_run(digits):
    models = tuple(small_vae(seed) for seed in (3, 4, 5))
    initial = copy.deepcopy(models)
    runs = sweep_of(models, digits, BETAS)
    assert all(run.model is model for run, model in zip(runs, models, strict=True))
    for run, start in zip(runs, initial, strict=True):
        assert_each_run_equals_fit([run], start, digits)


def test_trained_models_do_not_share_memory_and_can_be_trained_further(digits):
    first, second, _ = sweep_of(small_vae(), digits, BETAS, epochs=1)
    weights = [model.decoder[0].weight for model in (first.model, second.model)]
    assert weights[0].untyped_storage().data_ptr() != weights[1].untyped_storage().data_ptr()
    assert weights[0].untyped_storage().nbytes() == weights[0].numel() * 4  # salvá-lo não leva os outros junto
    fit(first.model, digits, configured(epochs=1), progress=False)


def test_modes_generators_threads_and_data_are_left_as_they_were(digits, held_out):
    models = [small_vae() for _ in range(3)]
    models[0].eval()
    models[1].encoder.eval()
    modes = [[module.training for module in model.modules()] for model in models]
    state, threads, data = torch.get_rng_state(), torch.get_num_threads(), digits.clone()
    sweep_of(models, digits, SEEDS, validation=held_out)
    assert [[module.training for module in model.modules()] for model in models] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert torch.equal(digits, data)


def test_objective_sees_training_mode_in_training_and_evaluation_mode_in_validation(digits, held_out):
    seen = set()

    def objective(model, x, *, beta):
        seen.add((torch.is_grad_enabled(), model.training))
        return elbo(model, x, beta=beta)

    sweep_of(small_vae().eval(), digits, BETAS, validation=held_out, objective=objective, epochs=1)
    assert seen == {(True, True), (False, False)}


def threads_inside(model, data, sweep):
    inside = set()

    def objective(model, x, *, beta):
        inside.add(torch.get_num_threads())
        return elbo(model, x, beta=beta)

    sweep_of(model, data, sweep, objective=objective, epochs=1)
    return inside


def test_the_whole_sweep_counts_when_threads_are_chosen(digits):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        torch.manual_seed(0)
        model = mlp_vae(64, 2, (128,))
        assert threads_inside(model, digits, {"beta": [1.0, 2.0]}) == {1}
        assert threads_inside(model, digits, {"beta": range(16)}) == {2}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# Os sorteios


DRAWS = {
    "rand": lambda like, p: torch.rand(4, 3),
    "rand_shape": lambda like, p: torch.rand(like.shape, dtype=torch.float64),
    "randn": lambda like, p: torch.randn((5,)),
    "randint": lambda like, p: torch.randint(0, 100, (6,)),
    "randperm": lambda like, p: torch.randperm(9),
    "rand_like": lambda like, p: torch.rand_like(like),
    "randn_like": lambda like, p: torch.randn_like(like),
    "randn_like_of_copies": lambda like, p: torch.randn_like(like.expand(7, 5, 2), dtype=torch.float64),
    "bernoulli": lambda like, p: torch.bernoulli(p),
}


@pytest.mark.parametrize("seeds", [(3, 5, 3, 9), (3, 3, 3, 3)], ids=["several_seeds", "one_seed"])
@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_every_run_draws_what_its_seed_alone_would(draw, seeds):
    like, p = torch.zeros(4, 5, 2), torch.rand(4, 5, 2)
    streams = Streams(seeds, torch.device("cpu"))

    def two_draws(of_run, like, p):
        with DrawFromStreams(streams, of_run):
            return draw(like, p), draw(like, p)

    torch.manual_seed(seeds[0])  # com uma semente só, quem treina é que semeia o gerador global
    together = vmap(two_draws, randomness="same")(streams.of_run, like, p)
    for i, seed in enumerate(seeds):
        torch.manual_seed(seed)
        for drawn in together:
            alone = draw(like[i], p[i])
            of_this_run = drawn[i]
            assert torch.equal(of_this_run, alone)
            assert of_this_run.dtype == alone.dtype


def test_an_explicit_generator_is_obeyed():
    """Um sorteio que o objetivo semeia por conta própria é o mesmo para todas as execuções, como seria em fit."""
    streams = Streams([0, 1], torch.device("cpu"))

    def draw(of_run):
        with DrawFromStreams(streams, of_run):
            return torch.rand(3, generator=torch.Generator().manual_seed(8)) + 0 * of_run

    expected = torch.rand(3, generator=torch.Generator().manual_seed(8))
    assert torch.equal(vmap(draw, randomness="same")(streams.of_run), expected.expand(2, 3))


def with_dropout():
    model = small_vae()
    model.encoder[1] = nn.Sequential(nn.ReLU(), nn.Dropout(0.3))
    return model


def test_dropout_with_one_seed_is_the_same_as_in_fit(digits):
    runs = sweep_of(with_dropout(), digits, BETAS)
    assert_each_run_equals_fit(runs, with_dropout(), digits)


def with_gumbel_of_torch(model, x, *, beta):
    terms = elbo(model, x, beta=beta)
    return terms._replace(loss=terms.loss + F.gumbel_softmax(model.encode(x).mean).sum(-1))


@pytest.mark.parametrize(
    ("build", "objective"), [(with_dropout, elbo), (small_vae, with_gumbel_of_torch)], ids=["dropout", "exponential_"]
)
def test_draws_that_cannot_be_told_apart_by_seed_are_refused(digits, build, objective):
    with pytest.raises(RuntimeError, match=r"não sabe separar por semente.*Use torch\.rand.*tire 'seed' de sweep"):
        sweep_of(build(), digits, SEEDS, objective=objective)


# Parada antecipada


def test_each_run_stops_on_its_own_and_keeps_its_best_weights(digits, held_out):
    options = {"lr": 0.05, "epochs": 25, "patience": 1}
    runs = sweep_of(small_vae(), digits, BETAS | SEEDS, validation=held_out, **options)
    assert len({len(run.history) for run in runs}) > 2
    assert max(len(run.history) for run in runs) < 25
    for run in runs:
        assert run.history.best_epoch == len(run.history) - 1
        model = small_vae()
        history = fit(model, digits, run.config, validation=held_out, progress=False)
        assert (len(history), history.best_epoch) == (len(run.history), run.history.best_epoch)
        assert_same_curves(run.history, history)
        assert_same_weights(run.model, model)


def test_best_weights_are_those_of_the_best_epoch(digits, held_out):
    for run in sweep_of(small_vae(), digits, BETAS, validation=held_out, lr=3e-2, epochs=12, patience=3):
        again = copy.deepcopy(run.model)
        history = fit(again, digits, configured(lr=1e-30, epochs=1), validation=held_out, progress=False)
        assert history.val_elbo[0] == pytest.approx(run.history.val_elbo[run.history.best_epoch - 1], abs=TOLERANCE)


def test_runs_that_never_run_out_of_patience_also_return_the_best_weights(digits, held_out):
    (run,) = sweep_of(small_vae(), digits, {"beta": [1.0]}, validation=held_out, epochs=4, patience=9)
    assert len(run.history) == run.history.best_epoch == 4


# Interrupção


@pytest.mark.usefixtures("listens_to_interrupts")
@pytest.mark.parametrize("interrupt", [raise_interrupt, press_stop])
@pytest.mark.parametrize("after", [1, 3, 4, 5, 6, 8, 10, 11])
def test_interrupting_keeps_the_complete_epochs_and_usable_models(digits, held_out, capsys, after, interrupt):
    sweep = {"seed": [0, 1]}
    whole = sweep_of(small_vae(), digits, sweep, validation=held_out)
    models = [small_vae().eval(), small_vae()]
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    runs = sweep_of(models, digits, sweep, validation=held_out, objective=interrupting(after, interrupt), progress=True)
    assert torch.equal(torch.get_rng_state(), state)
    complete = (
        after - 1
    ) // 5  # por época, 3 chamadas de treino, para todos os modelos, e 2 de validação, uma por modelo
    for run, reference in zip(runs, whole, strict=True):
        assert run.history.interrupted
        assert len(run.history) == complete
        assert curves(run.history) == {name: values[:complete] for name, values in curves(reference.history).items()}
        assert run.model.sample(2).isfinite().all()
    assert f"Treino interrompido: {complete} de 3 épocas completas" in capsys.readouterr().out
    assert [model.training for model in models] == [False, True]
    assert torch.get_num_threads() == threads
    assert not sweep_of(models, digits, sweep, epochs=1)[0].history.interrupted


def test_interrupting_keeps_the_progress_made_so_far(digits):
    """Os modelos ficam com os pesos do momento: os de depois de quatro passos, não os da última época."""
    runs = sweep_of(small_vae(), digits, BETAS, objective=interrupting(5, raise_interrupt), lr=1e-3)
    references = sweep_of(small_vae(), digits, BETAS, epochs=1, lr=1e-3)
    for run, reference in zip(runs, references, strict=True):
        pairs = zip(run.model.parameters(), reference.model.parameters(), strict=True)
        assert 0 < max((a - b).abs().max() for a, b in pairs) < 3e-3  # um passo de Adam, de lr = 1e-3


def test_interrupting_while_an_epoch_is_being_recorded_leaves_all_runs_alike(digits, monkeypatch):
    right, calls = RunInProgress.complete_epoch, []

    def interrupted(run, record, seconds):
        calls.append(1)
        if len(calls) == 5:  # três execuções por época: a segunda execução, na segunda época
            raise KeyboardInterrupt
        right(run, record, seconds)

    monkeypatch.setattr(RunInProgress, "complete_epoch", interrupted)
    runs = sweep_of(small_vae(), digits, BETAS)
    assert [len(run.history) for run in runs] == [1, 1, 1]
    assert [len(run.history.elbo) for run in runs] == [1, 1, 1]


def test_a_run_that_had_already_stopped_is_not_marked_as_interrupted(digits, held_out):
    options = {"validation": held_out, "lr": 0.05, "epochs": 25, "patience": 1}
    lengths = [len(run.history) for run in sweep_of(small_vae(), digits, SEEDS, **options)]
    first, last = min(lengths), max(lengths)
    assert first < last
    steps = 0

    def objective(model, x, *, beta):
        nonlocal steps
        steps += torch.is_grad_enabled()
        if steps == 3 * first + 1:
            raise KeyboardInterrupt
        return elbo(model, x, beta=beta)

    runs = sweep_of(small_vae(), digits, SEEDS, objective=objective, **options)
    for run, length in zip(runs, lengths, strict=True):
        assert run.history.interrupted is (length > first)
        assert run.history.best_epoch == (None if length > first else first - 1)


def test_other_errors_are_not_swallowed(digits):
    def objective(model, x, *, beta):
        raise KeyError("meu erro")

    models = [small_vae().eval() for _ in range(3)]
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    with pytest.raises(KeyError, match="meu erro"):
        sweep_of(models, digits, SEEDS, objective=objective)
    assert not any(model.training for model in models)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


# Divergência


def nan_loss(terms, is_healthy):
    return terms._replace(loss=terms.loss + torch.where(is_healthy, 0.0, math.nan))


def nan_elbo(terms, is_healthy):
    return terms._replace(elbo=terms.elbo + torch.where(is_healthy, 0.0, math.nan))


def nan_gradient(terms, is_healthy):
    """Valores finitos, gradiente NaN: a derivada de √t em zero, vezes zero."""
    return terms._replace(loss=terms.loss + 0 * (terms.loss - terms.loss + is_healthy.float()).sqrt())


def poisoned(poison, *, at_step):
    """A ELBO de sempre, estragada para β = 4 no passo de treino de número `at_step`, contado a partir de 1."""
    steps = 0

    def objective(model, x, *, beta):
        nonlocal steps
        terms = elbo(model, x, beta=beta)
        steps += torch.is_grad_enabled()
        return poison(terms, beta != 4.0) if steps == at_step and torch.is_grad_enabled() else terms

    return objective


@pytest.mark.parametrize("poison", [nan_loss, nan_elbo, nan_gradient])
@pytest.mark.parametrize("at_step", [4, 6], ids=["first_step_of_epoch_2", "last_step_of_epoch_2"])
def test_divergence_of_one_run_leaves_the_others_alone(digits, held_out, poison, at_step):
    options = {"validation": held_out, "epochs": 4}
    with pytest.warns(RuntimeWarning, match=r"Divergiram 1 de 3(?s:.*)beta = 4\.0: na época 2 \(") as caught:
        runs = sweep_of(small_vae(), digits, BETAS, objective=poisoned(poison, at_step=at_step), **options)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    healthy = sweep_of(small_vae(), digits, BETAS, **options)
    for run, reference in zip(runs[:2], healthy[:2], strict=True):
        assert not run.history.diverged
        assert curves(run.history) == curves(reference.history)
        assert_same_weights(run.model, reference.model)
    assert runs[2].history.diverged
    assert curves(runs[2].history) == {name: values[:1] for name, values in curves(healthy[2].history).items()}
    model = small_vae()
    with pytest.raises(TrainingDiverged):
        fit(model, digits, runs[2].config, objective=poisoned(poison, at_step=at_step), progress=False)
    assert_same_weights(runs[2].model, model)


def test_divergence_seen_only_by_the_validation_counts(digits, held_out):
    def objective(model, x, *, beta):
        terms = elbo(model, x, beta=beta)
        large = model.likelihood_marker * (not torch.is_grad_enabled())
        return terms._replace(elbo=terms.elbo + torch.where(large > 0, math.inf, 0.0))

    models = [small_vae() for _ in range(2)]
    for model, value in zip(models, (0.0, 1.0), strict=True):
        model.register_buffer("likelihood_marker", torch.tensor(value))
    before = copy.deepcopy(models[1].state_dict())
    with pytest.warns(RuntimeWarning, match=r"seed = 1: na época 1 .*val_elbo = inf"):
        runs = sweep_of(models, digits, {"seed": [0, 1]}, validation=held_out, objective=objective)
    assert [len(run.history) for run in runs] == [3, 0]
    assert all(torch.equal(value, before[name]) for name, value in models[1].state_dict().items())


def test_when_every_run_diverges_it_is_an_error(digits):
    models = [small_vae() for _ in range(3)]
    with pytest.raises(
        TrainingDiverged, match=r"Divergiram 3 de 3(?s:.*)seed = 7: na época 1(?s:.*)Diminua lr"
    ) as caught:
        sweep_of(models, digits, SEEDS, optimizer="sgd", lr=1e20)
    assert caught.value.history.diverged
    for model in models:
        assert_same_weights(model, small_vae())


# Nada volta para a CPU dentro de uma época


def test_no_step_reads_the_device(digits, monkeypatch):
    """Ler por .cpu(), .tolist() ou .item() custaria uma espera por passo: as leituras não crescem com os lotes."""

    def reads(batch_size):
        count = 0

        def counted(right):
            def wrapper(*args, **kwargs):
                nonlocal count
                count += 1
                return right(*args, **kwargs)

            return wrapper

        with monkeypatch.context() as patch:
            for name in ("cpu", "numpy", "tolist", "item", "__bool__", "__float__", "__int__", "__index__"):
                patch.setattr(torch.Tensor, name, counted(getattr(torch.Tensor, name)))
            sweep_of(small_vae(), digits, BETAS | SEEDS, batch_size=batch_size)
        return count

    assert reads(150) == reads(10) > 0


# Barra de progresso


@pytest.mark.parametrize("with_validation", [False, True])
def test_progress_bar_shows_how_many_models_and_the_range_of_their_elbos(digits, held_out, capsys, with_validation):
    validation = held_out if with_validation else None
    runs = sweep_of(small_vae(), digits, BETAS, validation=validation, progress=True)
    last = [(run.history.val_elbo or run.history.elbo)[-1] for run in runs]
    label = " nats (validação)" if with_validation else " nats"
    printed = capsys.readouterr()
    assert "Treino de 3 modelos: 100%" in printed.out
    assert f"ELBO de {min(last):.2f} a {max(last):.2f}{label}" in printed.out
    assert printed.err == ""


def test_progress_false_prints_nothing(digits, capsys):
    sweep_of(small_vae(), digits, BETAS, epochs=1)
    assert capsys.readouterr() == ("", "")


# Entradas erradas


@pytest.mark.parametrize(
    ("sweep", "error", "message"),
    [
        ({"betta": [1]}, ValueError, r"não tem o campo 'betta'.*'beta', 'beta_warmup', 'seed'"),
        ({"lr": [1e-3]}, ValueError, r"'lr' não pode variar.*chame fit_many uma vez por valor"),
        ({"batch_size": [8, 16]}, ValueError, "'batch_size' não pode variar"),
        ({"beta": []}, ValueError, r"sweep\['beta'\] está vazio"),
        ({"beta": [1.0], "seed": range(0)}, ValueError, r"sweep\['seed'\] está vazio"),
        ({}, ValueError, "sweep está vazio"),
        ({"beta": [1.0, -1.0]}, ValueError, r"beta .* ≥ 0, mas veio -1.0"),
        ({"beta": "14"}, TypeError, r"sweep\['beta'\] deve ser uma lista de valores, mas veio '14'"),
        ({"beta": 4.0}, TypeError, r"deve ser uma lista de valores, mas veio 4.0"),
        ({"seed": [0.5]}, ValueError, "seed deve ser um inteiro"),
        ({"beta_warmup": [0, 99]}, ValueError, "beta_warmup deve ficar entre 0 e epochs"),
        ([("beta", [1.0])], TypeError, "sweep deve ser um dicionário.*list"),
    ],
    ids=str,
)
def test_sweeps_that_make_no_sense_are_refused(digits, sweep, error, message):
    with pytest.raises(error, match=message):
        sweep_of(small_vae(), digits, sweep)


def vaes(*changes):
    models = [small_vae() for _ in range(3)]
    for index, change in changes:
        change(models[index])
    return models


MODELS = {
    "too_few": (lambda: vaes()[:2], ValueError, "3 execuções, e vieram 2 modelos"),
    "too_many": (lambda: [*vaes(), small_vae()], ValueError, "3 execuções, e vieram 4 modelos"),
    "the_same": (lambda: [small_vae()] * 3, ValueError, "modelos repetidos .* passe um modelo só"),
    "shared_weights": (
        lambda: vaes((1, lambda m: setattr(m, "decoder", SHARED)), (2, lambda m: setattr(m, "decoder", SHARED))),
        ValueError,
        "com pesos em comum",
    ),
    "other_size": (
        lambda: [*vaes()[:2], mlp_vae(64, 2, (17,))],
        ValueError,
        r"índice 2 difere do primeiro em encoder.0.out_features: 17 em vez de 16",
    ),
    "other_depth": (lambda: [*vaes()[:2], mlp_vae(64, 2, (16, 16))], ValueError, "índice 2 difere"),
    "other_activation": (
        lambda: [*vaes()[:2], small_vae(activation="tanh")],
        ValueError,
        "índice 2 difere do primeiro em encoder.1: Tanh em vez de ReLU",
    ),
    "other_likelihood": (
        lambda: [small_vae(), small_vae(likelihood="continuous_bernoulli"), small_vae()],
        ValueError,
        "índice 1 difere do primeiro em likelihood: 'continuous_bernoulli' em vez de 'bernoulli'",
    ),
    "other_dtype": (lambda: vaes((1, nn.Module.double)), ValueError, r"float64, treinável em vez de \[16, 64\]"),
    "other_frozen": (lambda: vaes((1, lambda m: m.decoder.requires_grad_(False))), ValueError, "índice 1 difere"),
    "other_buffer": (
        lambda: vaes((1, lambda m: m.register_buffer("extra", torch.zeros(2)))),
        ValueError,
        r"extra: \[2\] torch.float32 em vez de ausente",
    ),
    "not_models": (lambda: [small_vae(), "modelo", small_vae()], TypeError, "mas veio str"),
    "a_function": (lambda: small_vae, TypeError, "mas veio function"),
}
SHARED = mlp_vae(64, 2, (16,)).decoder


@pytest.mark.parametrize(("build", "error", "message"), MODELS.values(), ids=MODELS)
def test_models_that_do_not_fit_the_sweep_are_refused(digits, build, error, message):
    with pytest.raises(error, match=message):
        sweep_of(build(), digits, SEEDS)


def test_models_built_apart_with_their_own_functions_are_accepted(digits):
    """A função da verossimilhança é outro objeto em cada modelo, e a arquitetura é a mesma."""
    models = [
        VAE(nn.Linear(64, 4), nn.Linear(2, 64), latent_dim=2, likelihood=lambda out: Bernoulli(out)) for _ in range(3)
    ]
    assert len(sweep_of(models, digits, BETAS, epochs=1)) == 3


@pytest.mark.parametrize(
    "read",
    [
        lambda terms, beta: terms.loss.sum().item(),
        lambda terms, beta: 1 if beta > 1 else 0,
        lambda terms, beta: float(terms.loss.detach().sum()),
        lambda terms, beta: torch.multinomial(terms.loss.softmax(-1), 1).sum(),
    ],
    ids=["item", "if", "float", "multinomial"],
)
def test_objectives_that_read_values_are_refused_with_an_explanation(digits, read):
    def objective(model, x, *, beta):
        terms = elbo(model, x, beta=beta)
        return terms._replace(loss=terms.loss + read(terms, beta))

    with pytest.raises(RuntimeError, match=r"todos os modelos de uma vez.*torch\.where.*um modelo por vez com fit"):
        sweep_of(small_vae(), digits, BETAS, objective=objective)


def test_a_recurrent_network_of_torch_is_refused_with_what_to_write_in_its_place(digits):
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.gru, self.out = nn.GRU(8, 4, batch_first=True), nn.Linear(4, 4)

        def forward(self, x):
            return self.out(self.gru(x.unflatten(-1, (8, 8)))[1][0])

    model = VAE(Recurrent(), nn.Linear(2, 64), latent_dim=2)
    with pytest.raises(RuntimeError, match=r"nn\.GRU.*célula recorrente escrita por extenso.*com fit"):
        sweep_of(model, digits, BETAS, epochs=1)


def test_runtime_errors_of_the_objective_itself_are_left_as_they_are(digits):
    def objective(model, x, *, beta):
        return elbo(model, x @ torch.ones(3, 3), beta=beta)

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        sweep_of(small_vae(), digits, BETAS, objective=objective)


def test_an_objective_that_ignores_its_model_is_refused(digits):
    outside = small_vae()
    with pytest.raises(ValueError, match="não depende dos pesos do modelo que o objetivo recebe"):
        sweep_of(small_vae(), digits, BETAS, objective=lambda model, x, *, beta: elbo(outside, x, beta=beta))


@pytest.mark.parametrize("optimizer", [torch.optim.Adafactor, torch.optim.NAdam])
def test_optimizers_that_could_mix_the_runs_are_refused(digits, optimizer):
    """O Adafactor divide cada tensor pela norma dele inteiro, em que estariam todas as execuções."""
    with pytest.raises(ValueError, match=f"agem peso a peso.*o otimizador é {optimizer.__name__}.*um modelo por vez"):
        sweep_of(small_vae(), digits, BETAS, optimizer=optimizer)


def test_numbers_of_numpy_may_be_swept(digits):
    runs = sweep_of(small_vae(), digits, {"beta": np.linspace(1, 2, 2), "seed": np.arange(2)}, epochs=1)
    assert [(run.config.beta, run.config.seed) for run in runs] == [(1.0, 0), (1.0, 1), (2.0, 0), (2.0, 1)]


def test_data_and_device_are_checked_as_in_fit(digits):
    with pytest.raises(ValueError, match=r"\[N, D\]"):
        sweep_of(small_vae(), digits[0], BETAS)
    with pytest.raises(ValueError, match="'banana' não está disponível"):
        sweep_of(small_vae(), digits, BETAS, device="banana")
    with pytest.warns(UserWarning, match="só é uma verossimilhança para pixels 0 ou 1") as caught:
        sweep_of(small_vae(), digits, BETAS, binarize="none", epochs=1)
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("option", [{"checkpoint": "treino.pt"}, {"precision": "bfloat16"}], ids=str)
def test_ways_of_training_that_only_fit_knows_are_refused(digits, option):
    (name,) = option
    with pytest.raises(ValueError, match=f"fit_many não sabe treinar com {name}=.*um modelo por vez com fit"):
        sweep_of(small_vae(), digits, BETAS, **option)


@pytest.mark.skipif(torch.cuda.is_available(), reason="Com CUDA, o grafo existe.")
def test_a_graph_needs_cuda(digits):
    with pytest.raises(ValueError, match="backend='graph' grava grafos CUDA"):
        sweep_of(small_vae(), digits, BETAS, backend="graph")
