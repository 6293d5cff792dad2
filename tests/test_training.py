"""O núcleo de treino contra um laço escrito à mão, e tudo o que um aluno pode fazer com ele no meio do caminho."""

import functools
import math

import pytest
import torch
from small_training import interrupting, press_stop, raise_interrupt, small_vae
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from vae_lessons.data import binarize, load
from vae_lessons.models import VAE, conv_vae, mlp_vae
from vae_lessons.objectives import ElboTerms, elbo
from vae_lessons.training import History, TrainConfig, beta_at, choose_device, fit, fit_many, loop, single

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="Esta máquina não tem GPU com CUDA.")

TERMS = ("elbo", "log_likelihood", "kl")


def quick_fit(model, data, *, progress=False, objective=elbo, validation=None, **options):
    config = TrainConfig(**({"epochs": 2, "device": "cpu"} | options))
    return fit(model, data, config, objective=objective, validation=validation, progress=progress)


def curves(history):
    return {name: values for name, values in vars(history).items() if isinstance(values, list) and name != "seconds"}


def assert_same_weights(model, other):
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, other.state_dict()[name]), name


def lengths(history):
    return {len(values) for values in vars(history).values() if isinstance(values, list) and values}


class Scripted(nn.Module):
    """Um modelo de um peso só, que sobe 1 por passo sob SGD com lr = 1, e uma ELBO de validação ditada."""

    def __init__(self, validation_elbos=()):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.script = iter(validation_elbos)

    def objective(self, model, x, *, beta):
        if not torch.is_grad_enabled():
            value = torch.full((len(x),), float(next(self.script)))
            return ElboTerms(value, value, torch.zeros(len(x)), -value)
        zeros = torch.zeros(len(x))
        return ElboTerms(zeros, zeros, zeros, -self.weight.expand(len(x)))


# O laço


def fit_by_hand(model, x, config):
    """O mesmo treino, escrito como numa lição: nada aqui vem do pacote, fora os pesos iniciais."""
    torch.manual_seed(config.seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr)
    history, step = [], 0
    for _ in range(config.epochs):
        totals = torch.zeros(3, dtype=torch.float64)
        for rows in torch.randperm(len(x)).split(config.batch_size):
            step += 1
            grey = x[rows].float() / 255
            batch = (torch.rand(grey.shape) < grey).float()
            mean, log_var = model.encoder(batch).chunk(2, dim=-1)
            z = mean + torch.exp(0.5 * log_var) * torch.randn(mean.shape)
            log_likelihood = -F.binary_cross_entropy_with_logits(model.decoder(z), batch, reduction="none").sum(1)
            kl = -0.5 * (1 + log_var - mean**2 - log_var.exp()).sum(1)
            warmup_steps = config.beta_warmup * math.ceil(len(x) / config.batch_size)
            beta = config.beta * min(1, step / warmup_steps) if warmup_steps else config.beta
            optimizer.zero_grad()
            (beta * kl - log_likelihood).mean().backward()
            optimizer.step()
            totals += torch.stack([(log_likelihood - kl).sum(), log_likelihood.sum(), kl.sum()]).detach()
        history.append((totals / len(x)).tolist())
    return history


@pytest.mark.parametrize(
    "options", [{}, {"beta": 4.0, "beta_warmup": 2, "lr": 1e-2, "batch_size": 100, "seed": 3}], ids=["plain", "warmup"]
)
def test_fit_equals_the_loop_written_by_hand(digits, options):
    ours, by_hand = small_vae(), small_vae()
    history = quick_fit(ours, digits, epochs=4, **options)
    expected = fit_by_hand(by_hand, digits, TrainConfig(epochs=4, **options))
    for i, name in enumerate(TERMS):
        assert getattr(history, name) == pytest.approx([epoch[i] for epoch in expected], rel=1e-5)
    for weight, other in zip(ours.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(weight, other, rtol=1e-4, atol=1e-5)


def test_every_example_is_seen_once_per_epoch_in_a_new_order():
    seen = []

    def record(model, x, *, beta):
        seen.append(x[:, 0])
        return Scripted.objective(model, model, x, beta=beta)

    quick_fit(Scripted(), torch.arange(10.0)[:, None], objective=record, batch_size=4, binarize="none")
    assert [len(batch) for batch in seen] == [4, 4, 2, 4, 4, 2]
    first, second = torch.cat(seen[:3]).tolist(), torch.cat(seen[3:]).tolist()
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert first != list(range(10))


def check_epoch_average():
    """A ELBO de cada exemplo é o seu número, 0 a 9: a média da época é 4,5, apesar de o último lote ser menor."""

    def elbo_is_the_pixel(model, x, *, beta):
        return ElboTerms(x[:, 0], 2 * x[:, 0], 3 * x[:, 0], -model.weight.expand(len(x)))

    for size in (3, 4, 10, 99):
        history = quick_fit(
            Scripted(),
            torch.arange(10.0)[:, None],
            objective=elbo_is_the_pixel,
            validation=torch.arange(7.0)[:, None],
            batch_size=size,
            binarize="none",
        )
        assert (history.elbo, history.log_likelihood, history.kl) == ([4.5, 4.5], [9, 9], [13.5, 13.5])
        assert (history.val_elbo, history.val_log_likelihood, history.val_kl) == ([3, 3], [6, 6], [9, 9])


def test_epoch_averages_are_sums_over_examples():
    check_epoch_average()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda sums, n: sums[1:].sum(0) / n,
        lambda sums, n: (sums / sums.shape[0]).mean(0),
        lambda sums, n: sums.sum(0) / (len(sums) * -(-n // len(sums))),
    ],
    ids=["first_batch_dropped", "divided_by_all_batches", "every_batch_taken_as_full"],
)
def test_known_wrong_averages_are_caught(monkeypatch, wrong):
    for module in (single, loop):
        monkeypatch.setattr(
            module, "means_of", lambda sums, names, n: dict(zip(names, wrong(sums, n).tolist(), strict=True))
        )
    with pytest.raises(AssertionError):
        check_epoch_average()


def test_validation_is_averaged_over_all_its_batches(monkeypatch, held_out):
    """A validação vai em lotes; o tamanho deles não muda a média além do ruído. Sem ruído, não muda nada."""

    def deterministic(model, x, *, beta):
        value = x.sum(1)
        return ElboTerms(value, value, value, -model.weight.expand(len(x)))

    results = []
    for size in (30, 4096):
        monkeypatch.setattr(loop, "_EVALUATION_BATCH", size)
        results.append(quick_fit(Scripted(), held_out, objective=deterministic, validation=held_out).val_elbo)
    assert results[0] == pytest.approx(results[1])
    assert results[0][0] == pytest.approx(binarize(held_out, "static").sum(1).mean().item())


def test_training_beats_the_best_model_without_latents():
    """A Bernoulli fatorada com as médias do treino é o melhor que se faz sem z; um VAE de dois latentes a vence."""
    train, test = load("digits"), load("digits", "test")
    p = (train.x.double() / 255).mean(0).clamp(0.01, 0.99)
    bits = binarize(test.x, "static").double()
    factorized = (bits * p.log() + (1 - bits) * (1 - p).log()).sum(1).mean().item()
    torch.manual_seed(0)
    config = TrainConfig(epochs=15, batch_size=64, lr=1e-2, device="cpu")
    history = fit(mlp_vae(64, 2, (64,)), train, config, validation=test, progress=False)
    assert history.val_elbo[-1] > factorized + 1


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_every_optimizer_raises_the_elbo(digits, optimizer):
    history = quick_fit(small_vae(), digits, epochs=5, optimizer=optimizer, lr=1e-2)
    assert history.elbo[-1] > history.elbo[0] + 1


def test_an_optimizer_may_be_any_function_of_parameters_and_lr(digits):
    options = {"epochs": 3, "lr": 1e-2}
    models = [small_vae() for _ in range(3)]
    by_name, by_function, centered = (
        quick_fit(model, digits, optimizer=optimizer, **options)
        for model, optimizer in zip(
            models,
            ("rmsprop", torch.optim.RMSprop, functools.partial(torch.optim.RMSprop, centered=True)),
            strict=True,
        )
    )
    assert curves(by_function) == curves(by_name)
    assert_same_weights(models[0], models[1])
    assert centered.elbo != by_name.elbo
    assert centered.elbo[-1] > centered.elbo[0] + 1


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_a_constant_schedule_of_lr_is_that_lr(digits, optimizer):
    """Potências de dois: em float32, a agenda vale exatamente o mesmo."""
    expected = quick_fit(small_vae(), digits, optimizer=optimizer, lr=2**-7, epochs=3)
    config = TrainConfig(epochs=3, lr=1.0, optimizer=optimizer, device="cpu")
    history = fit(small_vae(), digits, config, schedules={"lr": lambda epochs: 2**-7}, progress=False)
    assert curves(history) == curves(expected)


def test_a_schedule_of_lr_goes_to_the_optimizer_step_by_step_and_not_to_the_objective(digits, held_out, monkeypatch):
    rates, names, right = [], [], torch.optim.SGD.step

    def step(self):
        rates.append(self.param_groups[0]["lr"])
        return right(self)

    def objective(model, x, **scheduled):
        names.append(set(scheduled))
        return elbo(model, x, beta=scheduled["beta"])

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    config = TrainConfig(epochs=2, batch_size=len(digits) // 2 + 1, optimizer="sgd", device="cpu")
    schedules = {"lr": lambda epochs: 2.0 ** (-10 - 2 * epochs), "temperature": lambda epochs: 1.0}
    fit(small_vae(), digits, config, objective=objective, schedules=schedules, validation=held_out, progress=False)
    assert rates == [2.0**-10, 2.0**-11, 2.0**-12, 2.0**-13]
    assert set(map(frozenset, names)) == {frozenset({"beta", "temperature"})}


def test_a_schedule_of_lr_that_reaches_zero_stops_the_weights(digits):
    one, three = small_vae(), small_vae()
    schedules = {"lr": lambda epochs: 2**-7 if epochs < 1 else 0.0}
    for model, epochs in ((one, 1), (three, 3)):
        fit(model, digits, TrainConfig(epochs=epochs, device="cpu"), schedules=schedules, progress=False)
    assert_same_weights(one, three)


@pytest.mark.parametrize(
    ("schedules", "error", "message"),
    [
        ({"temperature": 0.5}, TypeError, r"nome → função .*mas veio \{'temperature': 0.5\}"),
        ([math.exp], TypeError, "deve ser um dicionário"),
    ],
    ids=["number", "list"],
)
@pytest.mark.parametrize("train", [fit, functools.partial(fit_many, sweep={"beta": [1.0]})], ids=["fit", "fit_many"])
def test_schedules_that_make_no_sense_are_refused(digits, train, schedules, error, message):
    with pytest.raises(error, match=message):
        train(small_vae(), digits, TrainConfig(epochs=1), schedules=schedules, progress=False)


def test_a_negative_schedule_of_lr_is_refused(digits):
    with pytest.raises(ValueError, match=r"'lr' não pode ser negativa, mas em 0 épocas deu -0.1"):
        fit(small_vae(), digits, TrainConfig(epochs=1), schedules={"lr": lambda _: -0.1}, progress=False)


def test_objective_may_be_any_relative_of_the_elbo(digits):
    history = quick_fit(small_vae(), digits, objective=functools.partial(elbo, free_bits=0.5, n_samples=2))
    assert history.elbo == pytest.approx([a - b for a, b in zip(history.log_likelihood, history.kl, strict=True)])
    assert curves(history) != curves(quick_fit(small_vae(), digits))


def test_dataset_and_tensor_train_alike(digits):
    data = load("digits")
    assert curves(quick_fit(small_vae(), data, epochs=1)) == curves(quick_fit(small_vae(), data.x, epochs=1))


# Repetição


def test_same_seed_repeats_bit_for_bit_whatever_came_before(digits, held_out):
    first, second = small_vae(), small_vae()
    torch.manual_seed(1)
    history = quick_fit(first, digits, validation=held_out, seed=5)
    torch.manual_seed(2)
    assert curves(quick_fit(second, digits, validation=held_out, seed=5)) == curves(history)
    assert_same_weights(first, second)


def test_another_seed_gives_another_training(digits):
    assert quick_fit(small_vae(), digits, seed=0).elbo != quick_fit(small_vae(), digits, seed=1).elbo


def test_global_generator_is_left_as_it_was(digits, held_out):
    model = small_vae()
    state = torch.get_rng_state()
    quick_fit(model, digits, validation=held_out)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("mode", [True, False])
def test_mode_of_the_model_is_left_as_it_was_and_changes_nothing(digits, mode):
    model = small_vae().train(mode)
    history = quick_fit(model, digits)
    assert model.training is mode
    assert curves(history) == curves(quick_fit(small_vae(), digits))


def test_data_are_left_as_they_were(digits, held_out):
    before = digits.clone(), held_out.clone()
    quick_fit(small_vae(), digits, validation=held_out, binarize="static")
    assert torch.equal(digits, before[0])
    assert torch.equal(held_out, before[1])


# Validação


def test_validation_does_not_change_the_training(digits, held_out):
    alone, watched = small_vae(), small_vae()
    without, with_ = quick_fit(alone, digits), quick_fit(watched, digits, validation=held_out)
    for name in (*TERMS, "beta"):
        assert getattr(without, name) == getattr(with_, name)
    assert without.val_elbo == []
    assert len(with_.val_elbo) == 2
    assert_same_weights(alone, watched)


def test_validation_curve_moves_only_when_the_model_does(digits, held_out):
    """Com lr ínfimo os pesos não mudam: a validação, de bits e ruído fixos, também não; o treino, sim."""
    history = quick_fit(small_vae(), digits, validation=held_out, lr=1e-20, epochs=3)
    assert len(set(history.val_elbo)) == 1
    assert len(set(history.elbo)) == 3


def test_validation_measures_the_bound_itself(digits, held_out):
    """Sem β, sem aquecimento: com os pesos do fim, a curva de validação é a média de elbo(model, x)."""
    model = small_vae()
    history = quick_fit(model, digits, validation=held_out, beta=8.0, beta_warmup=2)
    x = binarize(held_out, "static").repeat(500, 1)
    with torch.no_grad():
        values = elbo(model, x).elbo.reshape(500, -1).mean(1)
    # A validação é um só sorteio do ruído: a distância é medida em desvios de um sorteio.
    assert abs(history.val_elbo[-1] - values.mean().item()) < 4 * values.std().item()


# β


def test_beta_rises_in_a_straight_line_and_stays():
    config = TrainConfig(epochs=5, beta=3.0, beta_warmup=2)
    weights = [beta_at(step, 4, config) for step in range(1, 21)]
    assert weights[:8] == pytest.approx([3 * step / 8 for step in range(1, 9)])
    assert weights[7:] == [3.0] * 13


def test_without_warmup_beta_is_constant():
    config = TrainConfig(epochs=5, beta=3.0)
    assert {beta_at(step, 4, config) for step in range(1, 21)} == {3.0}


def test_training_receives_the_scheduled_beta_and_validation_receives_one(digits, held_out):
    received, in_validation = [], set()

    def record(model, x, *, beta):
        if torch.is_grad_enabled():
            received.append(beta.item())
        else:
            in_validation.add(float(beta))
        return elbo(model, x, beta=beta)

    history = quick_fit(small_vae(), digits, validation=held_out, objective=record, epochs=3, beta=2.0, beta_warmup=2)
    assert received == pytest.approx([2 * min(1, step / 6) for step in range(1, 10)])
    assert in_validation == {1.0}
    assert history.beta == pytest.approx([1.0, 2.0, 2.0])


def test_schedules_reach_the_objective_step_by_step_and_validation_sees_the_end_of_the_epoch(digits, held_out):
    seen = []

    def objective(model, x, *, beta, temperature, capacity):
        assert temperature.shape == capacity.shape == ()
        seen.append((torch.is_grad_enabled(), float(temperature), float(capacity)))
        return elbo(model, x, beta=beta)

    config = TrainConfig(epochs=2, batch_size=75, device="cpu")
    schedules = {"temperature": lambda epochs: 2.0 - epochs, "capacity": lambda epochs: 10 * epochs}
    fit(small_vae(), digits, config, objective=objective, validation=held_out, schedules=schedules, progress=False)
    steps = torch.arange(0, 2, 0.25).tolist()
    assert [s[1:] for s in seen if s[0]] == [(2.0 - epochs, 10 * epochs) for epochs in steps]
    assert [s[1:] for s in seen if not s[0]] == [(1.0, 10.0), (0.0, 20.0)]


def test_schedule_that_is_not_finite_is_refused(digits):
    with pytest.raises(ValueError, match=r"A agenda 'temperature' deve devolver um número finito, mas em 0 épocas"):
        fit(
            small_vae(),
            digits,
            TrainConfig(epochs=1),
            objective=lambda model, x, *, beta, temperature: elbo(model, x, beta=beta),
            schedules={"temperature": lambda _: math.nan},
            progress=False,
        )


def test_warmup_longer_than_the_training_is_refused():
    with pytest.raises(ValueError, match="aquecimento mais longo que o treino"):
        TrainConfig(epochs=5, beta_warmup=6)
    assert beta_at(5 * 7, 7, TrainConfig(epochs=5, beta_warmup=5)) == 1.0  # tão longo quanto: chega no último passo


def test_a_strong_beta_lowers_the_kl(digits):
    gentle, strong = (quick_fit(small_vae(), digits, epochs=10, lr=1e-2, beta=beta) for beta in (0.1, 10.0))
    assert strong.kl[-1] < 0.5 * gentle.kl[-1]


# Parada antecipada


def scripted_fit(elbos, **options):
    model = Scripted(elbos)
    x = torch.zeros(6, 1)
    history = quick_fit(
        model,
        x,
        objective=model.objective,
        validation=x,
        **({"batch_size": 2, "optimizer": "sgd", "lr": 1.0, "binarize": "none", "epochs": len(elbos)} | options),
    )
    return model.weight.item() / 3, history  # 3 passos por época: o peso, em épocas


def test_patience_stops_and_restores_the_best_weights():
    epoch_of_weights, history = scripted_fit([1, 3, 2, 2.5, 9, 9], patience=2)
    assert history.val_elbo == [1, 3, 2, 2.5]
    assert epoch_of_weights == history.best_epoch == 2


def test_an_improvement_renews_the_patience():
    epoch_of_weights, history = scripted_fit([1, 0, 2, 0, 3, 0], patience=2)
    assert len(history) == 6
    assert epoch_of_weights == history.best_epoch == 5


def test_best_weights_are_restored_even_when_patience_does_not_run_out():
    epoch_of_weights, history = scripted_fit([1, 3, 2], patience=5)
    assert len(history) == 3
    assert epoch_of_weights == history.best_epoch == 2


def test_without_patience_the_last_weights_stay():
    epoch_of_weights, history = scripted_fit([1, 3, 2, 0, 0])
    assert epoch_of_weights == len(history) == 5
    assert history.best_epoch is None


def test_patience_does_not_count_during_the_warmup():
    """Com a KL ainda barata, a ELBO do começo pode ser a maior e não vale; a da última época do aquecimento já vale."""
    epoch_of_weights, history = scripted_fit([9, 8, 5, 4, 2, 7], patience=2, beta_warmup=3)
    assert history.val_elbo == [9, 8, 5, 4, 2]
    assert epoch_of_weights == history.best_epoch == 3


def test_without_validation_patience_watches_the_training_elbo():
    elbos = iter([1.0, 5.0, 4.0, 3.0, 8.0])

    def objective(model, x, *, beta):
        value = torch.full((len(x),), next(elbos))
        return ElboTerms(value, value, 0 * value, -model.weight.expand(len(x)))

    history = quick_fit(Scripted(), torch.zeros(4, 1), objective=objective, binarize="none", epochs=5, patience=2)
    assert history.elbo == [1, 5, 4, 3]
    assert history.best_epoch == 2


# Interrupção


@pytest.mark.usefixtures("listens_to_interrupts")
@pytest.mark.parametrize("interrupt", [raise_interrupt, press_stop])
@pytest.mark.parametrize("after", range(1, 10))
def test_interrupting_keeps_the_complete_epochs_and_a_usable_model(digits, held_out, capsys, after, interrupt):
    whole = quick_fit(small_vae(), digits, validation=held_out, epochs=3)
    model = small_vae().eval()
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    history = quick_fit(
        model, digits, validation=held_out, epochs=3, objective=interrupting(after, interrupt), progress=True
    )
    complete = (after - 1) // 4  # por época, 3 chamadas de treino e 1 de validação
    assert history.interrupted
    assert len(history) == complete
    assert curves(history) == {name: values[:complete] for name, values in curves(whole).items() if complete}
    assert f"Treino interrompido: {complete} de 3 épocas completas" in capsys.readouterr().out
    assert not model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert model.sample(2).isfinite().all()
    assert not quick_fit(model, digits).interrupted


def test_interrupting_keeps_the_progress_made_so_far(digits):
    """O modelo fica com os pesos do momento: os de depois de quatro passos, não os iniciais."""
    model, reference = small_vae(), small_vae()
    quick_fit(model, digits, objective=interrupting(5, raise_interrupt))
    quick_fit(reference, digits, epochs=1)
    distance = max((a - b).abs().max() for a, b in zip(model.parameters(), reference.parameters(), strict=True))
    assert 0 < distance < 3e-3  # um passo de Adam, de lr = 1e-3, além da primeira época


def test_interrupting_while_an_epoch_is_being_recorded_leaves_no_half_epoch(digits, monkeypatch):
    right = History.append

    def half(history, record, seconds):
        if len(history) == 1:
            history.elbo.append(record["elbo"])
            history.log_likelihood.append(record["log_likelihood"])
            raise KeyboardInterrupt
        right(history, record, seconds)

    monkeypatch.setattr(History, "append", half)
    history = quick_fit(small_vae(), digits, epochs=3)
    assert lengths(history) == {1}
    assert len(history.to_frame()) == 1


def test_interrupting_during_the_backward_pass(digits):
    model = small_vae()
    calls = []

    def hook(gradient):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt

    handle = model.decoder[0].weight.register_hook(hook)
    history = quick_fit(model, digits)
    handle.remove()
    assert history.interrupted
    assert lengths(history) == {1}
    assert all(p.isfinite().all() for p in model.parameters())


def test_other_errors_are_not_swallowed(digits):
    def objective(model, x, *, beta):
        raise RuntimeError("meu erro")

    model = small_vae().eval()
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    with pytest.raises(RuntimeError, match="meu erro"):
        quick_fit(model, digits, objective=objective)
    assert not model.training
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


# Divergência


def test_divergence_is_an_error_that_says_when_and_what_to_do(digits):
    with pytest.raises(FloatingPointError, match=r"divergiu na época \d+ \(.*Diminua lr \(era 1e\+20\)"):
        quick_fit(small_vae(), digits, optimizer="sgd", lr=1e20, epochs=5)


def test_nan_in_the_data_is_an_error():
    x = torch.rand(20, 64)
    x[3, 5] = float("nan")
    with pytest.raises(ValueError, match="NaN ou infinito em 'dados'"):
        quick_fit(small_vae(likelihood="gaussian"), x, binarize="none")


# Barra de progresso


def test_progress_bar_shows_the_elbo_and_its_two_terms(digits, capsys):
    history = quick_fit(small_vae(), digits, progress=True)
    printed = capsys.readouterr().out
    assert "2/2" in printed
    assert f"ELBO {history.elbo[-1]:.2f} = log p(x|z) {history.log_likelihood[-1]:.2f}" in printed
    assert f"KL {history.kl[-1]:.2f} nats" in printed
    assert "validação" not in printed


def test_progress_bar_shows_the_validation_when_there_is_one(digits, held_out, capsys):
    history = quick_fit(small_vae(), digits, validation=held_out, progress=True)
    assert f"ELBO {history.val_elbo[-1]:.2f} = " in (printed := capsys.readouterr().out)
    assert "validação" in printed


def test_progress_false_prints_nothing(digits, capsys):
    quick_fit(small_vae(), digits, progress=False)
    assert capsys.readouterr() == ("", "")


# Nada volta para a CPU dentro de uma época


class HostReads(TorchDispatchMode):
    """Conta o que obrigaria uma GPU a parar e responder: ler um escalar, ou achar os índices de uma máscara."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        name = op.overloadpacket.__name__
        masks = name == "index" and any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1])
        if masks or name in ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal"):
            self.count += 1
        return op(*args, **(kwargs or {}))


def host_reads(monkeypatch, data, objective=elbo, **options):
    """Leituras durante um treino: pelo despachante (.item(), float(t), if t) e pelas funções que copiam para a CPU."""
    with monkeypatch.context() as patch, HostReads() as reads:

        def counted(right):
            def wrapper(*args, **kwargs):
                reads.count += 1
                return right(*args, **kwargs)

            return wrapper

        for name in ("cpu", "numpy", "tolist"):
            patch.setattr(torch.Tensor, name, counted(getattr(torch.Tensor, name)))
        quick_fit(small_vae(), data, objective=objective, **options)
    return reads.count


@pytest.mark.parametrize("options", [{}, {"binarize": "static"}, {"beta_warmup": 1}], ids=str)
def test_reads_of_the_device_do_not_grow_with_the_number_of_batches(monkeypatch, digits, options):
    few, many = (host_reads(monkeypatch, digits, batch_size=size, **options) for size in (150, 10))
    assert few == many
    assert few > 0  # ao menos uma por época: as médias


def test_reads_of_the_device_are_few_per_epoch(monkeypatch, digits):
    two, six = (host_reads(monkeypatch, digits, epochs=epochs, batch_size=10) for epochs in (2, 6))
    assert (six - two) / 4 <= 4


@pytest.mark.parametrize(
    "read",
    [
        lambda t: t.item(),
        lambda t: float(t),
        lambda t: bool(t > 0),
        lambda t: t.cpu(),
        lambda t: t.tolist(),
        lambda t: t[None][(t > 0)[None]],
    ],
    ids=["item", "float", "if", "cpu", "tolist", "mask"],
)
def test_a_read_inside_the_step_would_be_counted(monkeypatch, digits, read):
    def objective(model, x, *, beta):
        terms = elbo(model, x, beta=beta)
        read(terms.loss.detach().sum())
        return terms

    few, many = (host_reads(monkeypatch, digits, objective, batch_size=size) for size in (150, 30))
    assert many - few >= 2 * (10 - 2)


# Dispositivo e linhas de execução


def test_cuda_comes_first_then_any_accelerator_then_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("mps"))
    assert choose_device() == torch.device("cuda", 1)
    assert choose_device("cpu") == torch.device("cpu")  # a escolha de quem chama vale mais
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("mps")
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert choose_device() == torch.device("cpu")


@pytest.mark.parametrize("name", ["banana", "cuda:99", "gpu"])
def test_a_device_that_is_not_here_is_refused(name):
    with pytest.raises(ValueError, match=f"'{name}' não está disponível .* device='auto'"):
        choose_device(name)


def test_fit_obeys_the_device_of_the_config(digits):
    with pytest.raises(ValueError, match="'banana' não está disponível"):
        quick_fit(small_vae(), digits, device="banana")


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def threads_inside(model, data, **options):
    inside = set()

    def objective(model, x, *, beta):
        inside.add(torch.get_num_threads())
        return elbo(model, x, beta=beta)

    quick_fit(model, data, objective=objective, epochs=1, **options)
    return inside


@pytest.mark.usefixtures("two_threads")
def test_tiny_models_train_on_one_thread_and_larger_ones_on_all(digits):
    assert threads_inside(small_vae(), digits) == {1}
    assert torch.get_num_threads() == 2
    mnist_like = torch.zeros(128, 784, dtype=torch.uint8)
    assert threads_inside(mlp_vae(784, 20, (400,)), mnist_like) == {2}
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_convolutions_train_on_all_threads_however_few_their_weights(digits):
    assert threads_inside(conv_vae((8, 8), 2), digits[:8]) == {2}


@needs_cuda
def test_fit_on_cuda_gives_losses_close_to_the_cpu(digits, held_out):
    """Os sorteios são outros: as curvas são próximas, não iguais."""
    on_cpu, on_cuda = small_vae(), small_vae()
    options = {"epochs": 20, "lr": 3e-3, "validation": held_out}
    cpu = quick_fit(on_cpu, digits, **options)
    cuda = quick_fit(on_cuda, digits, device="cuda", **options)
    assert next(on_cuda.parameters()).device.type == "cuda"
    assert cuda.elbo[-1] == pytest.approx(cpu.elbo[-1], abs=1.0)
    assert cuda.val_elbo[-1] == pytest.approx(cpu.val_elbo[-1], abs=1.0)


@needs_cuda
def test_fit_on_cuda_repeats_and_leaves_the_generator_of_the_gpu_alone(digits):
    state = torch.cuda.get_rng_state()
    first, second = (quick_fit(small_vae(), digits, device="cuda") for _ in range(2))
    assert curves(first) == curves(second)
    assert torch.equal(torch.cuda.get_rng_state(), state)


@needs_cuda
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_no_step_on_cuda_waits_for_the_gpu(digits):
    def objective(model, x, *, beta):
        torch.cuda.set_sync_debug_mode("error" if torch.is_grad_enabled() else "default")
        return elbo(model, x, beta=beta)

    def after_last_batch(sums, names, n):
        torch.cuda.set_sync_debug_mode("default")
        return right(sums, names, n)

    right = single.means_of
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(single, "means_of", after_last_batch)
        try:
            quick_fit(small_vae(), digits, device="cuda", backend="eager", objective=objective)
        finally:
            torch.cuda.set_sync_debug_mode("default")


# Binarização


def rows_of_each_epoch(data, **options):
    """As linhas que o objetivo recebeu, época a época, em ordem canônica."""
    batches = []

    def record(model, x, *, beta):
        batches.append(x)
        return elbo(model, x, beta=beta)

    quick_fit(small_vae(likelihood=options.pop("likelihood", "bernoulli")), data, objective=record, **options)
    per_epoch = len(batches) // 2
    epochs = torch.cat(batches[:per_epoch]), torch.cat(batches[per_epoch:])
    return [sorted(epoch.tolist()) for epoch in epochs]


def test_static_binarization_shows_the_same_bits_in_every_epoch(digits):
    first, second = rows_of_each_epoch(digits, binarize="static")
    assert first == second == sorted(binarize(digits, "static").tolist())


def test_static_binarization_does_not_depend_on_the_seed(digits):
    assert rows_of_each_epoch(digits, binarize="static", seed=1)[0] == sorted(binarize(digits, "static").tolist())


def test_dynamic_binarization_draws_new_bits_in_every_epoch(digits):
    first, second = rows_of_each_epoch(digits)
    assert first != second
    assert {pixel for row in first for pixel in row} == {0.0, 1.0}


def test_none_trains_on_the_grey_levels(digits):
    first, second = rows_of_each_epoch(digits, binarize="none", likelihood="continuous_bernoulli")
    assert first == second == sorted((digits.float() / 255).tolist())


def test_bernoulli_on_grey_levels_is_not_a_likelihood_and_is_warned_about(digits):
    with pytest.warns(UserWarning, match="Bernoulli só é uma verossimilhança para pixels 0 ou 1") as caught:
        quick_fit(small_vae(), digits, binarize="none")
    assert len(caught) == 1


@pytest.mark.parametrize("likelihood", ["gaussian", "continuous_bernoulli"])
def test_density_on_bits_is_warned_about(digits, likelihood):
    with pytest.warns(UserWarning, match="pixels 0 ou 1: a densidade pode crescer"):
        quick_fit(small_vae(likelihood=likelihood), digits, binarize="dynamic")


@pytest.mark.parametrize(
    ("likelihood", "mode"),
    [("bernoulli", "dynamic"), ("bernoulli", "static"), ("gaussian", "none"), ("continuous_bernoulli", "none")],
)
def test_likelihoods_that_fit_the_data_train_without_a_warning(digits, likelihood, mode):
    history = quick_fit(small_vae(likelihood=likelihood), digits, binarize=mode, epochs=3)
    assert history.elbo[-1] > history.elbo[0]


# History


@pytest.fixture
def history(digits, held_out):
    return quick_fit(small_vae(), digits, validation=held_out)


def test_history_has_one_entry_per_epoch_in_every_curve(history):
    assert lengths(history) == {2}
    assert len(history) == 2
    assert all(seconds > 0 for seconds in history.seconds)
    for prefix in ("", "val_"):
        elbos, likelihoods, kls = (getattr(history, prefix + name) for name in TERMS)
        assert elbos == pytest.approx([a - b for a, b in zip(likelihoods, kls, strict=True)])


def test_history_survives_save_and_load(history, tmp_path):
    history.best_epoch = 2
    history.save(tmp_path / "curvas.json")
    assert History.load(tmp_path / "curvas.json") == history
    assert [file.name for file in tmp_path.iterdir()] == ["curvas.json"]


@pytest.mark.parametrize("content", ["", "[1, 2]", '{"perda": [1.0]}', "não é JSON"])
def test_what_is_not_a_history_is_refused(tmp_path, content):
    path = tmp_path / "outro.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"outro.json não é um History.*log_likelihood"):
        History.load(path)


def test_history_becomes_a_table_with_epochs_from_1(history):
    frame = history.to_frame()
    assert frame.index.tolist() == [1, 2]
    assert frame.index.name == "epoch"
    assert frame["val_elbo"].tolist() == history.val_elbo
    assert frame["kl"].tolist() == history.kl


def test_table_omits_what_was_not_measured(digits):
    assert not [name for name in quick_fit(small_vae(), digits).to_frame() if name.startswith("val_")]
    assert History().to_frame().empty


def test_repr_of_history():
    assert repr(History()) == "History(nenhuma época completa)"
    history = History(elbo=[-30.126, -20.0], seconds=[1.0, 1.0])
    assert repr(history) == "History(2 épocas, ELBO -30.13 → -20.00 nats)"
    history.interrupted = True
    assert repr(history).endswith(", interrompido)")


# Entradas erradas


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs deve ser um inteiro maior ou igual a 1, mas veio 0"),
        ({"epochs": 1.5}, "epochs deve ser um inteiro"),
        ({"batch_size": 0}, "batch_size deve ser um inteiro maior ou igual a 1"),
        ({"batch_size": "128"}, "batch_size deve ser um inteiro"),
        ({"seed": None}, "seed deve ser um inteiro"),
        ({"beta": float("nan")}, "beta .* ≥ 0"),
        ({"lr": "1e-3"}, "lr .* maior que zero"),
        ({"lr": 0.0}, "lr .* maior que zero"),
        ({"lr": float("nan")}, "lr .* maior que zero"),
        ({"optimizer": "lion"}, "'lion'.*'adam', 'adamw', 'rmsprop', 'sgd', ou uma função"),
        ({"optimizer": None}, "None.*'adam', 'adamw', 'rmsprop', 'sgd'"),
        ({"beta": -1.0}, "beta .* ≥ 0"),
        ({"beta_warmup": -1}, "beta_warmup deve ser um inteiro maior ou igual a 0"),
        ({"binarize": "sometimes"}, "'dynamic', 'static' ou 'none'.*'sometimes'"),
        ({"patience": 0}, "patience deve ser um inteiro maior ou igual a 1"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_config_refuses_what_makes_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**options)


@pytest.mark.parametrize(
    ("data", "binarize_", "error", "message"),
    [
        ([[0, 1]], "dynamic", TypeError, "Dataset ou um tensor .* list"),
        (torch.zeros(4, 8, 8, dtype=torch.uint8), "dynamic", ValueError, r"\[N, D\]"),
        (torch.zeros(0, 64, dtype=torch.uint8), "dynamic", ValueError, "ao menos um exemplo"),
        (torch.zeros(4, 63, dtype=torch.uint8), "dynamic", ValueError, "feito para 64 pixels .* tem 63"),
    ],
)
def test_fit_refuses_data_it_cannot_use(data, binarize_, error, message):
    with pytest.raises(error, match=message):
        quick_fit(small_vae(likelihood=lambda out: elbo), data, binarize=binarize_)


# o que a revisão achou


def test_interrupting_with_patience_keeps_the_weights_of_the_moment(digits):
    model, calls = small_vae(), 0

    def interrupted(model, x, *, beta):
        nonlocal calls
        calls += 1
        if calls == 8:  # três passos por época: no meio da terceira
            raise KeyboardInterrupt
        return elbo(model, x, beta=beta)

    history = quick_fit(model, digits, objective=interrupted, epochs=5, patience=1)
    assert history.interrupted
    assert history.best_epoch is None
    reference = small_vae()
    quick_fit(reference, digits, epochs=2)
    assert not torch.equal(next(model.parameters()), next(reference.parameters()))


def test_validation_leaves_running_statistics_and_modes_alone(digits, held_out):
    def build():
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Linear(64, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, 4))
        model = VAE(encoder, nn.Linear(2, 64), latent_dim=2)
        model.encoder[2].eval()  # um dropout que alguém desligou de propósito
        return model

    alone, validated = build(), build()
    quick_fit(alone, digits)
    quick_fit(validated, digits, validation=held_out)
    assert_same_weights(alone, validated)
    assert (validated.training, validated.encoder[1].training, validated.encoder[2].training) == (True, True, False)


@pytest.mark.parametrize("levels", [torch.uint8, torch.float32])
def test_data_that_is_already_binary_needs_no_warning(digits, levels):
    bits = binarize(digits, "static")
    data = bits.mul(255).to(torch.uint8) if levels == torch.uint8 else bits
    quick_fit(small_vae(), data, binarize="none")  # um aviso seria um erro: filterwarnings = error


def test_history_keeps_beta_as_it_was_asked(digits):
    assert quick_fit(small_vae(), digits, beta=0.1).beta == [0.1, 0.1]


def test_training_on_the_cpu_does_not_reseed_other_devices(digits, monkeypatch):
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    quick_fit(small_vae(), digits)
    before = len(seeded)  # os do small_vae, que usa torch.manual_seed
    quick_fit(mlp_vae(64, 2, (16,)), digits)
    assert len(seeded) == before
