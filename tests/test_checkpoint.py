"""O treino em disco: retomar dá o mesmo, bit a bit, que não ter parado, e nada do que estava gravado se perde."""

import dataclasses
import functools
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_training import small_vae
from torch import nn

from vae_lessons.data import load
from vae_lessons.objectives import elbo
from vae_lessons.training import TrainConfig, TrainingDiverged, checkpoint, fit, precision

ROOT = Path(__file__).resolve().parent.parent
KILLS = 30  # vinte em qualquer momento e dez durante uma gravação


@pytest.fixture
def path(tmp_path):
    return tmp_path / "treino.pt"


@pytest.fixture
def every_epoch(monkeypatch):
    monkeypatch.setattr(checkpoint, "_TIME_BETWEEN_WRITES", 0)


def quick_fit(model, data, *, resume=False, objective=elbo, validation=None, schedules=None, progress=False, **options):
    config = TrainConfig(**({"epochs": 6, "lr": 1e-2, "device": "cpu"} | options))
    return fit(
        model,
        data,
        config,
        objective=objective,
        validation=validation,
        schedules=schedules,
        resume=resume,
        progress=progress,
    )


def interrupted(after, error=KeyboardInterrupt):
    """A ELBO de sempre; a chamada de número `after` é interrompida. São 3 por época, e mais 1 com validação."""
    calls = 0

    def objective(model, x, *, beta):
        nonlocal calls
        calls += 1
        if calls == after:
            raise error
        return elbo(model, x, beta=beta)

    objective.__qualname__ = "elbo"  # para o arquivo, o mesmo objetivo
    return objective


def saved(path):
    return checkpoint._read(path)


def without_seconds(value):
    if isinstance(value, dict):
        return {name: without_seconds(part) for name, part in value.items() if name != "seconds"}
    return value


def assert_identical(a, b, where="estado"):
    """Igualdade bit a bit de estruturas de tensores, números e textos."""
    assert type(a) is type(b), where
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for name in a:
            assert_identical(a[name], b[name], f"{where}.{name}")
    elif isinstance(a, list):
        assert len(a) == len(b), where
        for i, (one, other) in enumerate(zip(a, b, strict=True)):
            assert_identical(one, other, f"{where}[{i}]")
    elif isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype, where
        assert torch.equal(a, b), where
    else:
        assert a == b, where


def assert_same_training(model, other, history, other_history):
    assert_identical(dict(model.state_dict()), dict(other.state_dict()))
    assert without_seconds(vars(history)) == without_seconds(vars(other_history))


# Retomar


def test_killed_thirty_times_a_training_ends_bit_equal_to_an_uninterrupted_one(tmp_path):
    """SIGKILL em momentos sorteados, um terço durante a gravação; pesos, otimizador, History, paciência e gerador."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "tests/killed_training.py"), str(tmp_path), str(KILLS)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert report["killed"] == KILLS
    assert report["writing"] >= KILLS // 3
    assert len(set(report["resumed_at"])) > 3  # em muitas alturas do treino, não só no começo
    whole = without_seconds(saved(tmp_path / "inteiro.pt"))
    assert len(whole["state"]["history"]["elbo"]) == 30
    for number in range(1, report["trainings"] + 1):
        assert_identical(without_seconds(saved(tmp_path / f"{number}.pt")), whole)


MODELS = {
    "plain": small_vae,
    "dropout_and_batch_norm": lambda seed=0: _with_layers(small_vae(seed), nn.BatchNorm1d(16), nn.Dropout(0.3)),
    "gaussian": functools.partial(small_vae, likelihood="gaussian"),
}


def _with_layers(model, *layers):
    model.encoder = nn.Sequential(*model.encoder[:2], *layers, *model.encoder[2:])
    return model


@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_interrupting_and_resuming_changes_nothing(digits, held_out, path, build, optimizer):
    grey = build is MODELS["gaussian"]
    options = {"validation": held_out, "optimizer": optimizer, "binarize": "none" if grey else "dynamic"}
    options |= {"lr": 1e-3, "beta_warmup": 3, "patience": 2}
    whole, resumed = build(), build()
    expected = quick_fit(whole, digits, **options)
    first = quick_fit(resumed, digits, objective=interrupted(10), checkpoint=path, **options)
    assert first.interrupted
    assert len(first) == 2
    another = build(seed=1)  # os pesos vêm do arquivo
    history = quick_fit(another, digits, checkpoint=path, resume=True, **options)
    assert_same_training(whole, another, expected, history)
    assert history.seconds[:2] == first.seconds
    assert not history.interrupted


@pytest.mark.parametrize("after", range(1, 13))
def test_wherever_it_is_interrupted_the_file_holds_the_last_complete_epoch(digits, held_out, path, after):
    """Mesmo que a última gravação tenha sido adiada."""
    quick_fit(small_vae(), digits, objective=interrupted(after), validation=held_out, checkpoint=path)
    assert len(saved(path)["state"]["history"]["seconds"]) == (after - 1) // 4


def test_an_error_in_the_middle_loses_no_complete_epoch(digits, path):
    with pytest.raises(RuntimeError, match="meu erro"):
        quick_fit(small_vae(), digits, objective=interrupted(12, RuntimeError("meu erro")), checkpoint=path)
    assert len(saved(path)["state"]["history"]["seconds"]) == 3


def test_a_divergence_never_reaches_the_file(digits, path):
    calls = 0

    def objective(model, x, *, beta):
        nonlocal calls
        calls += 1
        terms = elbo(model, x, beta=beta)
        return terms._replace(loss=terms.loss * (math.nan if calls == 8 else 1))

    with pytest.raises(TrainingDiverged):
        quick_fit(small_vae(), digits, objective=objective, checkpoint=path)
    state = saved(path)["state"]
    assert len(state["history"]["seconds"]) == 2
    assert all(weight.isfinite().all() for weight in state["model"].values())


@pytest.mark.usefixtures("every_epoch")
def test_training_longer_is_the_same_as_having_asked_for_it_at_once(digits, path):
    long, short = small_vae(), small_vae()
    expected = quick_fit(long, digits, epochs=6)
    quick_fit(short, digits, epochs=2, checkpoint=path)
    longer = quick_fit(short, digits, epochs=6, checkpoint=path, resume=True)
    assert_same_training(long, short, expected, longer)


def test_resuming_what_has_finished_trains_no_more(digits, path):
    model = small_vae()
    history = quick_fit(model, digits, checkpoint=path)
    again = small_vae(seed=1)
    resumed = quick_fit(again, digits, checkpoint=path, resume=True, objective=lambda_that_must_not_run())
    assert_same_training(model, again, history, resumed)
    assert resumed.seconds == history.seconds


def lambda_that_must_not_run():
    def objective(model, x, *, beta):
        raise AssertionError("não havia mais épocas a treinar")

    objective.__qualname__ = "elbo"
    return objective


def test_resuming_what_patience_stopped_stays_stopped_with_the_best_weights(digits, path):
    """Com lr = 1 o treino só piora: para logo. Retomado, não anda, e o modelo é o da melhor época."""
    model, again = small_vae(), small_vae(seed=1)
    options = {"lr": 0.5, "patience": 2, "epochs": 30, "checkpoint": path}
    history = quick_fit(model, digits, **options)
    assert len(history) == history.best_epoch + 2 < 30
    resumed = quick_fit(again, digits, resume=True, objective=lambda_that_must_not_run(), **options)
    assert_same_training(model, again, history, resumed)


def test_resuming_without_a_file_yet_starts_from_zero(digits, path):
    model, reference = small_vae(), small_vae()
    history = quick_fit(model, digits, checkpoint=path, resume=True)
    assert_same_training(model, reference, history, quick_fit(reference, digits))
    assert path.exists()


def test_killed_before_the_first_epoch_the_initial_weights_are_in_the_file(digits, path):
    quick_fit(small_vae(), digits, objective=interrupted(1), checkpoint=path)
    model, reference = small_vae(seed=1), small_vae()
    quick_fit(model, digits, checkpoint=path, resume=True)
    quick_fit(reference, digits)
    assert_identical(dict(model.state_dict()), dict(reference.state_dict()))


def test_numbers_of_numpy_in_the_config_can_be_read_back(digits, path):
    """torch.load(weights_only=True) recusa os tipos do NumPy: gravados como vêm, o arquivo não serviria para nada."""
    options = {"lr": np.float64(2**-7), "beta": np.int64(2), "patience": np.int64(9), "seed": np.int64(3)}
    options |= {"batch_size": np.int64(64), "checkpoint": path}
    quick_fit(small_vae(), digits, epochs=np.int64(2), **options)
    resumed = quick_fit(small_vae(), digits, epochs=3, resume=True, **options)
    plain = {name: value.item() for name, value in options.items() if name != "checkpoint"}
    expected = quick_fit(small_vae(), digits, epochs=3, **plain)
    assert without_seconds(vars(resumed)) == without_seconds(vars(expected))
    resumed.save(path.with_suffix(".json"))


def test_recording_does_not_change_the_training(digits, path):
    model, reference = small_vae(), small_vae()
    state = torch.get_rng_state()
    history = quick_fit(model, digits, checkpoint=path)
    assert torch.equal(torch.get_rng_state(), state)
    assert_same_training(model, reference, history, quick_fit(reference, digits))


def test_the_bar_resumes_where_it_was(digits, path, capsys):
    quick_fit(small_vae(), digits, objective=interrupted(13), checkpoint=path)
    capsys.readouterr()
    quick_fit(small_vae(), digits, checkpoint=path, resume=True, progress=True)
    printed = capsys.readouterr().out
    assert "6/6" in printed
    assert "1/6" not in printed


# O arquivo


def test_the_file_is_replaced_at_once_and_only_when_whole(digits, path, monkeypatch):
    """Ao trocar de nome, o novo está inteiro no disco e o antigo ainda está no lugar."""
    events = []
    right_replace, right_fsync = os.replace, os.fsync

    def replace(source, target):
        events.append("replace")
        assert len(saved(Path(source))["state"]["history"]["seconds"]) == len(events) // 2 - 1
        if len(events) > 2:
            assert len(saved(Path(target))["state"]["history"]["seconds"]) == len(events) // 2 - 2
        right_replace(source, target)

    def fsync(descriptor):
        events.append("fsync")
        right_fsync(descriptor)

    monkeypatch.setattr(checkpoint, "_TIME_BETWEEN_WRITES", 0)
    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(os, "fsync", fsync)
    quick_fit(small_vae(), digits, epochs=3, checkpoint=path)
    assert events == ["fsync", "replace"] * 4  # os pesos iniciais e três épocas
    assert {file.name for file in path.parent.iterdir()} == {path.name, f".{path.name}.lock"}


def test_recording_takes_a_small_part_of_the_time(digits, path, monkeypatch):
    """Com gravações de 1 s e épocas de 1 s, num relógio de mentira, grava-se uma a cada vinte e poucas épocas."""
    now, writes = 0.0, []
    right = os.replace

    def clock():
        return now

    def slow_replace(source, target):
        nonlocal now
        now += 1
        writes.append(now)
        right(source, target)

    def objective(model, x, *, beta):
        nonlocal now
        now += 1 / 3
        return elbo(model, x, beta=beta)

    monkeypatch.setattr(checkpoint.time, "monotonic", clock)
    monkeypatch.setattr(os, "replace", slow_replace)
    quick_fit(small_vae(), digits, epochs=60, objective=objective, checkpoint=path)
    assert len(writes) == 4  # no começo, na época 20, na 40 e no fim
    assert len(saved(path)["state"]["history"]["seconds"]) == 60


def test_a_full_disk_is_a_warning_and_the_training_goes_on(digits, path, monkeypatch):
    right, calls = os.replace, 0

    def replace(source, target):
        nonlocal calls
        calls += 1
        if calls == 3:
            raise OSError(28, "No space left on device")
        right(source, target)

    left = []

    def objective(model, x, *, beta):
        left.append(path.with_name(path.name + ".partial").exists())
        return elbo(model, x, beta=beta)

    monkeypatch.setattr(checkpoint, "_TIME_BETWEEN_WRITES", 0)
    monkeypatch.setattr(os, "replace", replace)
    with pytest.warns(UserWarning, match=r"Não foi possível gravar .*No space left.* O treino continua"):
        history = quick_fit(small_vae(), digits, objective=objective, checkpoint=path)
    assert not any(left)  # a parte que coube não fica ocupando o disco
    assert len(history) == 6
    assert len(saved(path)["state"]["history"]["seconds"]) == 6


def test_a_place_where_nothing_can_be_written_is_an_error_before_training(digits, tmp_path):
    (tmp_path / "arquivo").write_text("não sou uma pasta")
    with pytest.raises(OSError, match=r"Não foi possível gravar .*arquivo.*nem começou"):
        quick_fit(
            small_vae(), digits, objective=lambda_that_must_not_run(), checkpoint=tmp_path / "arquivo" / "treino.pt"
        )


def test_folders_on_the_way_are_created(digits, tmp_path):
    quick_fit(small_vae(), digits, epochs=1, checkpoint=str(tmp_path / "nova" / "pasta" / "treino.pt"))
    assert (tmp_path / "nova/pasta/treino.pt").exists()


def damaged(content, how):
    middle = len(content) // 2
    return {
        "empty": b"",
        "cut_at_the_beginning": content[:20],
        "cut_in_half": content[:middle],
        "without_the_last_byte": content[:-1],
        "one_bit_flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "text": "não sou um treino, mas sou um texto comprido o bastante".encode(),
        "zeros": bytes(len(content)),
    }[how]


@pytest.mark.parametrize(
    "how", ["empty", "cut_at_the_beginning", "cut_in_half", "without_the_last_byte", "one_bit_flipped", "text", "zeros"]
)
def test_a_damaged_file_is_refused_and_left_as_it_was(digits, path, how):
    quick_fit(small_vae(), digits, epochs=1, checkpoint=path)
    broken = damaged(path.read_bytes(), how)
    path.write_bytes(broken)
    with pytest.raises(ValueError, match=r"treino.pt está cortado ou corrompido.*Nada foi apagado"):
        quick_fit(small_vae(), digits, epochs=2, checkpoint=path, resume=True)
    assert path.read_bytes() == broken


def test_a_file_never_runs_code(digits, path):
    """Um pickle que executaria algo ao ser lido, com a soma de verificação certa, é recusado sem executar."""
    import hashlib
    import io
    import pickle

    class Malicious:
        def __reduce__(self):
            return (Path.touch, (path.with_name("executado"),))

    buffer = io.BytesIO()
    torch.save({"format": 1, "identity": {}, "state": Malicious()}, buffer)
    path.write_bytes(buffer.getvalue() + hashlib.sha256(buffer.getvalue()).digest())
    with pytest.raises(pickle.UnpicklingError):
        quick_fit(small_vae(), digits, checkpoint=path, resume=True)
    assert not path.with_name("executado").exists()


def test_a_file_of_another_version_says_so(digits, path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_FORMAT", 99)
    quick_fit(small_vae(), digits, epochs=1, checkpoint=path)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="formato 99; este lê o 2"):
        quick_fit(small_vae(), digits, epochs=1, checkpoint=path, resume=True)


# O que se recusa


def test_an_existing_file_is_not_overwritten(digits, path):
    quick_fit(small_vae(), digits, epochs=1, checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"já existe.*resume=True\) para continuá-lo.*apague-o"):
        quick_fit(small_vae(), digits, epochs=1, checkpoint=path)
    assert path.read_bytes() == before


def test_a_folder_is_not_a_checkpoint(digits, tmp_path):
    with pytest.raises(ValueError, match=r"deve ser um arquivo, e .* é uma pasta"):
        quick_fit(small_vae(), digits, checkpoint=tmp_path, resume=True)


def test_resume_without_a_path_is_an_error(digits):
    with pytest.raises(ValueError, match=r"config.checkpoint, que é None"):
        quick_fit(small_vae(), digits, resume=True)


@pytest.mark.parametrize("checkpoint_", ["", 3, b"treino.pt"])
def test_config_refuses_what_is_not_a_path(checkpoint_):
    with pytest.raises(ValueError, match="checkpoint deve ser o caminho de um arquivo"):
        TrainConfig(checkpoint=checkpoint_)


def test_values_of_the_config_that_differ_are_shown(digits, path):
    quick_fit(small_vae(), digits, epochs=3, checkpoint=path)
    with pytest.raises(ValueError, match=r"treino.pt guarda outro treino") as caught:
        quick_fit(small_vae(), digits, epochs=3, checkpoint=path, resume=True, lr=0.002, beta=4.0, patience=5)
    assert str(caught.value).splitlines()[1:-1] == [
        "  lr: 0.01 no arquivo, 0.002 agora",
        "  beta: 1.0 no arquivo, 4.0 agora",
        "  patience: None no arquivo, 5 agora",
    ]


OTHERS = {
    "batch_size": 64,
    "lr": 0.5,
    "optimizer": "sgd",
    "beta": 2.0,
    "beta_warmup": 1,
    "binarize": "static",
    "seed": 1,
    "patience": 3,
    "precision": "bfloat16",
}


@pytest.mark.parametrize("name", OTHERS)
def test_every_setting_that_changes_the_training_is_compared(digits, path, name, monkeypatch):
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)
    quick_fit(small_vae(), digits, epochs=1, checkpoint=path)
    with pytest.raises(ValueError, match=rf"(?m)^  {name}: .* no arquivo, {OTHERS[name]} agora$"):
        quick_fit(small_vae(), digits, epochs=2, checkpoint=path, resume=True, **{name: OTHERS[name]})


def test_an_optimizer_given_as_a_function_is_compared_and_resumed(digits, path):
    centered = functools.partial(torch.optim.RMSprop, centered=True)
    whole, resumed = small_vae(), small_vae()
    expected = quick_fit(whole, digits, epochs=3, optimizer=centered)
    quick_fit(resumed, digits, epochs=2, optimizer=centered, checkpoint=path)
    with pytest.raises(ValueError, match=r"optimizer: RMSprop\(centered=True\) no arquivo, rmsprop agora"):
        quick_fit(small_vae(), digits, epochs=3, optimizer="rmsprop", checkpoint=path, resume=True)
    history = quick_fit(resumed, digits, epochs=3, optimizer=centered, checkpoint=path, resume=True)
    assert_same_training(whole, resumed, expected, history)


def test_no_setting_was_forgotten():
    fields = {field.name for field in dataclasses.fields(TrainConfig)}
    assert fields == set(OTHERS) | set(checkpoint._MAY_CHANGE)


@pytest.mark.usefixtures("every_epoch")
def test_fewer_epochs_than_those_done_are_refused(digits, path):
    quick_fit(small_vae(), digits, epochs=3, checkpoint=path)
    with pytest.raises(ValueError, match="epochs: 3 já completas no arquivo, 2 agora"):
        quick_fit(small_vae(), digits, epochs=2, checkpoint=path, resume=True)


@pytest.mark.parametrize(
    ("model", "lines"),
    [
        (lambda: small_vae(hidden=(8,)), r"encoder.0.weight: \[16, 64\] torch.float32 no arquivo, \[8, 64\]"),
        (lambda: small_vae(hidden=(16, 8)), r"encoder.4.bias: ausente no arquivo, \[4\] torch.float32 agora"),
        (lambda: small_vae().double(), r"encoder.0.weight: .*float32 no arquivo, .*float64 agora"),
        (lambda: small_vae(activation="tanh"), r"modelo, linha 4: \(1\): ReLU\(\) no arquivo, \(1\): Tanh\(\) agora"),
        (lambda: small_vae(likelihood="continuous_bernoulli"), "verossimilhança: 'bernoulli' no arquivo, 'cont"),
    ],
    ids=["width", "depth", "dtype", "activation", "likelihood"],
)
def test_another_model_is_refused_with_the_difference_shown(digits, path, model, lines):
    bits = digits.float().div(255).round()
    quick_fit(small_vae(), bits, epochs=1, checkpoint=path, binarize="none")
    with pytest.raises(ValueError, match=lines) as caught:
        quick_fit(model(), bits, epochs=2, checkpoint=path, resume=True, binarize="none")
    assert "guarda outro treino" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"data": load("digits").x[:299]}, r"dados: \[300, 64\], SHA-256 \w+ no arquivo, \[299, 64\]"),
        ({"data": load("digits").x[1:301]}, r"dados: \[300, 64\], SHA-256 \w+ no arquivo, \[300, 64\], SHA-256 \w+"),
        ({"validation": load("digits").x[:20]}, r"validação: nenhuma no arquivo, \[20, 64\]"),
        ({"objective": functools.partial(elbo, free_bits=0.5)}, r"objetivo: elbo no arquivo, elbo\(free_bits=0.5\)"),
    ],
    ids=["fewer_rows", "other_rows", "validation", "objective"],
)
def test_other_data_or_another_objective_are_refused(digits, path, options, line):
    quick_fit(small_vae(), digits, epochs=1, checkpoint=path)
    with pytest.raises(ValueError, match=line):
        quick_fit(small_vae(), **({"data": digits} | options), epochs=2, checkpoint=path, resume=True)


def test_another_schedule_is_refused(digits, path):
    def objective(model, x, *, beta, temperature):
        return elbo(model, x, beta=beta * temperature)

    options = {"objective": objective, "checkpoint": path}
    quick_fit(small_vae(), digits, epochs=1, schedules={"temperature": lambda epochs: 1.0}, **options)
    with pytest.raises(ValueError, match=r"agenda 'temperature' no começo: 1.0 no arquivo, 2.0 agora"):
        quick_fit(small_vae(), digits, resume=True, schedules={"temperature": lambda epochs: 2.0}, **options)


# O dono do arquivo


def test_two_trainings_never_share_a_file(digits, path):
    """O segundo é recusado enquanto o primeiro treina, sem tocar no arquivo."""
    refused = []

    def objective(model, x, *, beta):
        if not refused:
            with pytest.raises(BlockingIOError, match=r"Outro treino está usando .*treino\.pt.*outro nome") as caught:
                quick_fit(small_vae(1), digits, checkpoint=path, resume=True)
            refused.append(caught)
        return elbo(model, x, beta=beta)

    quick_fit(small_vae(), digits, objective=objective, checkpoint=path, epochs=2)
    assert refused
    assert len(saved(path)["state"]["history"]["seconds"]) == 2


def test_the_file_is_given_back_even_when_the_training_fails(digits, path):
    with pytest.raises(ZeroDivisionError):
        quick_fit(small_vae(), digits, checkpoint=path, objective=interrupted(1, ZeroDivisionError))
    quick_fit(small_vae(), digits, checkpoint=path, objective=interrupted(99), resume=True, epochs=1)


def test_leftovers_of_a_killed_process_are_swept_away(digits, path):
    leftover = path.parent / f".{path.name}.abcd1234.partial"
    other = path.parent / ".outro.pt.abcd1234.partial"
    for file in (leftover, other):
        file.write_bytes(b"metade")
    quick_fit(small_vae(), digits, checkpoint=path)
    assert not leftover.exists()
    assert other.exists()


def test_a_tilde_is_the_home_folder(digits, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    quick_fit(small_vae(), digits, checkpoint="~/v.pt")
    assert (tmp_path / "v.pt").is_file()
    assert not (tmp_path / "~").exists()
