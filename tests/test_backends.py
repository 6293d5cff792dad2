"""As maneiras de dar os passos (um a um, por grafos, compilados, em bfloat16) mudam a velocidade, não o resultado.

Sem GPU, um gravador de mentira, que em vez de gravar guarda a função, prova na CPU tudo o que cerca o grafo: a memória
fixa, o cursor, o aquecimento desfeito, o lote menor. Com GPU, os grafos de verdade.
"""

import contextlib
import functools

import pytest
import torch
from small_training import noisy_vae, small_vae

from vae_lessons.objectives import elbo
from vae_lessons.training import TrainConfig, fit, graphs, loop, precision, single
from vae_lessons.training.config import choose_backend
from vae_lessons.training.graphs import CaptureError, undone
from vae_lessons.training.steps import make_optimizer

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="Esta máquina não tem GPU com CUDA.")
CPU = torch.device("cpu")


def tempered(model, x, *, beta, temperature):
    return elbo(model, x, beta=beta * temperature)


COOLING = {"temperature": lambda epochs: 1 / (1 + epochs)}


def quick_fit(model, data, *, objective=elbo, validation=None, schedules=None, resume=False, **options):
    config = TrainConfig(**({"epochs": 3, "batch_size": 64, "lr": 1e-2, "device": "cpu"} | options))
    return fit(
        model,
        data,
        config,
        objective=objective,
        validation=validation,
        schedules=schedules,
        resume=resume,
        progress=False,
    )


def curves(history):
    return {name: values for name, values in vars(history).items() if name != "seconds"}


def assert_same_weights(model, other):
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, other.state_dict()[name]), name


# O que cerca um grafo, na CPU


class FakeRecorder:
    """No lugar do grafo, a própria função; a fila e a vigilância não existem."""

    def __init__(self, device):
        self.generators = [torch.default_generator]
        self.recorded = self.replayed = 0

    def warming_up(self):
        return contextlib.nullcontext()

    def forbidding_waits(self):
        return contextlib.nullcontext()

    def record(self, run):
        self.recorded += 1

        def replay():
            self.replayed += 1
            run()

        return replay


@pytest.fixture
def recorders(monkeypatch):
    """Faz de conta que há CUDA: backend='graph' é aceito na CPU, com grafos de 2 passos. Devolve os gravadores."""
    made = []

    def make(device):
        made.append(FakeRecorder(device))
        return made[-1]

    monkeypatch.setattr(single, "CudaRecorder", make)
    monkeypatch.setattr(loop, "choose_backend", lambda name, device, n_processes: name)
    monkeypatch.setattr(graphs, "_STEPS_PER_GRAPH", 2)
    return made


@pytest.mark.parametrize("build", [small_vae, noisy_vae])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_static_steps_equal_the_eager_ones_bit_for_bit(digits, held_out, recorders, build, optimizer):
    options = {"optimizer": optimizer, "lr": 1e-3, "beta_warmup": 2, "validation": held_out}
    options |= {"objective": tempered, "schedules": COOLING}
    eager, static = build(), build()
    expected = quick_fit(eager, digits, **options)
    assert curves(quick_fit(static, digits, backend="graph", **options)) == curves(expected)
    assert_same_weights(eager, static)
    assert len(recorders) == 1


@pytest.mark.parametrize(
    ("n", "graphs_", "replays_per_epoch"),
    [(300, 2, 3), (256, 1, 2), (320, 2, 3), (64, 1, 1), (20, 1, 1), (128, 1, 1), (148, 2, 2)],
    ids=str,
)
def test_whatever_the_sizes_every_step_is_recorded_and_replayed(digits, recorders, n, graphs_, replays_per_epoch):
    """Com lotes de 64 e grafos de 2 passos: 300 são 2 + 2 passos cheios e um resto de 44."""
    eager, static = small_vae(), small_vae()
    data = torch.cat([digits, digits[:20]])[:n]
    expected = quick_fit(eager, data)
    assert curves(quick_fit(static, data, backend="graph")) == curves(expected)
    assert_same_weights(eager, static)
    (recorder,) = recorders
    assert recorder.recorded == graphs_
    assert recorder.replayed == 3 * replays_per_epoch


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
@pytest.mark.parametrize("steps_before", [0, 2])
def test_what_is_undone_never_happened(optimizer, steps_before):
    """Dois modelos iguais; um deles dá, no meio, três passos que são desfeitos: os dois acabam iguais."""

    def train(*, with_a_detour):
        model = noisy_vae().train()
        optimizer_ = make_optimizer(model.parameters(), TrainConfig(optimizer=optimizer), CPU)
        x = (torch.rand(32, 64) < 0.3).float()

        def step():
            optimizer_.zero_grad()
            elbo(model, x).loss.mean().backward()
            optimizer_.step()

        for _ in range(steps_before):
            step()
        if with_a_detour:
            before, places = copy_of(model, optimizer_), [p.data_ptr() for p in model.parameters()]
            with undone([*model.parameters(), *model.buffers()], optimizer_, [torch.default_generator]):
                for _ in range(3):
                    step()
                assert copy_of(model, optimizer_) != before
            assert [p.data_ptr() for p in model.parameters()] == places
            assert all(p.grad is None for p in model.parameters())
        for _ in range(2):
            step()
        return copy_of(model, optimizer_)

    assert train(with_a_detour=True) == train(with_a_detour=False)


def copy_of(model, optimizer):
    """Pesos, buffers e estado do otimizador, comparáveis por ==."""
    state = optimizer.state_dict()["state"]
    numbers = {i: {name: value.tolist() for name, value in s.items() if value is not None} for i, s in state.items()}
    return {name: value.tolist() for name, value in model.state_dict().items()}, numbers


def test_warming_up_is_undone_even_when_it_fails(digits, recorders):
    calls = 0

    def objective(model, x, *, beta):
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RuntimeError("meu erro")
        return elbo(model, x, beta=beta)

    model, initial = noisy_vae(), noisy_vae()
    with pytest.raises(RuntimeError, match="meu erro"):
        quick_fit(model, digits, backend="graph", objective=objective)
    assert_same_weights(model, initial)


def forbidding(recorder_method, monkeypatch, recorders):
    def refuse(*_):
        raise CaptureError("alguém chamou .item()")

    monkeypatch.setattr(FakeRecorder, recorder_method, refuse)


@pytest.mark.parametrize("method", ["forbidding_waits", "record"])
def test_what_cannot_be_recorded_trains_step_by_step_with_one_warning(digits, recorders, monkeypatch, method):
    eager, fallen = noisy_vae(), noisy_vae()
    expected = quick_fit(eager, digits)
    forbidding(method, monkeypatch, recorders)
    with pytest.warns(UserWarning, match=r"Não foi possível gravar .*alguém chamou .item") as caught:
        history = quick_fit(fallen, digits, backend="graph")
    assert len(caught) == 1
    assert curves(history) == curves(expected)
    assert_same_weights(eager, fallen)


@pytest.mark.parametrize(
    "optimizer",
    [torch.optim.NAdam, torch.optim.Adafactor, functools.partial(torch.optim.SGD, momentum=0.9, dampening=0.1)],
    ids=["starts_at_one", "counts_on_the_cpu", "has_another_first_step"],
)
def test_optimizers_that_a_graph_would_not_repeat_train_step_by_step(digits, recorders, optimizer):
    eager, fallen = small_vae(), small_vae()
    expected = quick_fit(eager, digits, optimizer=optimizer)
    with pytest.warns(UserWarning, match=r"Não foi possível gravar .*não se sabe se o otimizador") as caught:
        history = quick_fit(fallen, digits, optimizer=optimizer, backend="graph")
    assert len(caught) == 1
    assert curves(history) == curves(expected)
    assert_same_weights(eager, fallen)


def test_what_an_objective_draws_on_the_cpu_is_undone_too(digits, recorders, monkeypatch):
    """Numa GPU, copiar o que se sorteou na CPU é uma espera: o aquecimento falha, e é como se não tivesse havido."""
    expected = quick_fit(small_vae(), digits)
    monkeypatch.setattr(FakeRecorder, "__init__", lambda self, device: setattr(self, "generators", []))
    forbidding("forbidding_waits", monkeypatch, recorders)
    with pytest.warns(UserWarning, match="Não foi possível gravar"):
        history = quick_fit(small_vae(), digits, backend="graph")
    assert curves(history) == curves(expected)


def test_an_objective_that_draws_scalars_on_the_cpu_trains_step_by_step(digits, recorders, monkeypatch):
    """Um escalar da CPU multiplica um tensor da GPU sem espera nenhuma: o grafo o gravaria como uma constante."""
    monkeypatch.setattr(FakeRecorder, "__init__", lambda self, device: setattr(self, "generators", []))
    expected = quick_fit(small_vae(), digits)
    with pytest.warns(UserWarning, match="sorteia na CPU, e um grafo repetiria sempre esse sorteio") as caught:
        history = quick_fit(small_vae(), digits, backend="graph")  # aqui, todo sorteio é na CPU
    assert len(caught) == 1
    assert curves(history) == curves(expected)


class FakeStream:
    """Anota quem esperou por quem."""

    def __init__(self):
        self.waited_for = []

    def wait_stream(self, other):
        self.waited_for.append(other)


@pytest.mark.parametrize("fails", [False, True])
def test_what_comes_after_the_warm_up_waits_for_it_even_when_it_fails(monkeypatch, fails):
    """Sem isso, a GPU ainda poderia estar dando passos do aquecimento quando os pesos de antes fossem repostos."""
    current, side = FakeStream(), FakeStream()
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: side)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: current)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "default_generators", [torch.default_generator])
    recorder = graphs.CudaRecorder(torch.device("cuda", 0))
    with contextlib.suppress(CaptureError), recorder.warming_up():
        assert side.waited_for == [current]
        assert current.waited_for == []
        if fails:
            raise CaptureError
    assert current.waited_for == [side]


def test_interrupting_between_replays_keeps_the_complete_epochs(digits, recorders, monkeypatch):
    right, calls = graphs.StaticSteps.__call__, 0

    def interrupted(self):
        nonlocal calls
        calls += 1
        if calls == 6 + 5 + 3:  # três rodadas de aquecimento das duas partes, uma época de cinco passos e mais três
            raise KeyboardInterrupt
        right(self)

    whole = quick_fit(small_vae(), digits)
    monkeypatch.setattr(graphs.StaticSteps, "__call__", interrupted)
    model = small_vae()
    history = quick_fit(model, digits, backend="graph")
    assert history.interrupted
    assert history.elbo == whole.elbo[:1]
    assert model.sample(2).isfinite().all()


def test_resuming_with_graphs_changes_nothing(digits, recorders, tmp_path):
    path = tmp_path / "treino.pt"
    whole, part, resumed = noisy_vae(), noisy_vae(), noisy_vae(seed=1)
    expected = quick_fit(whole, digits, epochs=4)
    quick_fit(part, digits, epochs=2, backend="graph", checkpoint=path)
    history = quick_fit(resumed, digits, epochs=4, backend="graph", checkpoint=path, resume=True)
    assert curves(history) == curves(expected)
    assert_same_weights(whole, resumed)


# A escolha


def test_auto_is_graphs_on_cuda_and_eager_elsewhere():
    assert choose_backend("auto", torch.device("cuda", 0)) == "graph"
    assert choose_backend("auto", CPU) == choose_backend("auto", torch.device("mps")) == "eager"
    assert choose_backend("eager", torch.device("cuda", 0)) == "eager"
    assert choose_backend("compile", CPU) == "compile"


def test_graphs_without_cuda_are_refused(digits):
    with pytest.raises(ValueError, match=r"backend='graph' grava grafos CUDA, e o treino seria em 'cpu'"):
        quick_fit(small_vae(), digits, backend="graph")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "jit"}, "backend deve ser 'auto', 'eager' ou 'graph', mas veio 'jit'"),
        ({"precision": "float16"}, "precision deve ser 'float32' ou 'bfloat16', mas veio 'float16'"),
        ({"backend": None}, "backend deve ser"),
    ],
    ids=str,
)
def test_config_refuses_backends_that_do_not_exist(options, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**options)


# bfloat16


@pytest.fixture
def bfloat16(monkeypatch):
    """Onde não há instruções bfloat16 o torch as imita, devagar: basta para os testes."""
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)


@pytest.mark.usefixtures("bfloat16")
def test_bfloat16_trains_as_well_as_float32(digits):
    exact, rough = small_vae(), small_vae()
    expected = quick_fit(exact, digits, epochs=15)
    history = quick_fit(rough, digits, epochs=15, precision="bfloat16")
    assert history.elbo != expected.elbo
    assert history.elbo == pytest.approx(expected.elbo, abs=0.3)
    assert history.elbo[-1] > history.elbo[0] + 3
    assert all(p.dtype == torch.float32 for p in rough.parameters())


@pytest.mark.usefixtures("bfloat16")
def test_in_bfloat16_only_the_networks_have_16_bits(digits, held_out):
    inside, seen = [], []
    model = small_vae()
    for layer in (model.encoder[0], model.decoder[-1]):
        layer.register_forward_hook(lambda module, inputs, output: inside.append((module.training, output.dtype)))

    def objective(model, x, *, beta):
        q = model.encode(x)
        logits = model.decode(q.mean).logits
        terms = elbo(model, x, beta=beta)
        seen.extend(t.dtype for t in (x, *q, logits, *terms))
        return terms

    quick_fit(model, digits, objective=objective, validation=held_out, precision="bfloat16", epochs=1)
    assert set(seen) == {torch.float32}
    assert set(inside) == {(True, torch.bfloat16), (False, torch.float32)}  # a validação mede em float32
    assert not model.encoder._forward_hooks


@pytest.mark.usefixtures("bfloat16")
def test_bfloat16_does_not_change_what_the_validation_measures(digits, held_out):
    """Com lr ínfimo os pesos são os mesmos; a validação, também."""
    options = {"validation": held_out, "lr": 1e-20, "epochs": 1}
    exact, rough = (quick_fit(small_vae(), digits, precision=p, **options) for p in ("float32", "bfloat16"))
    assert exact.val_elbo == rough.val_elbo
    assert exact.elbo != rough.elbo
    assert rough.elbo == pytest.approx(exact.elbo, rel=1e-3)


@pytest.mark.usefixtures("bfloat16")
def test_terms_an_objective_leaves_in_16_bits_are_summed_in_32(digits):
    """Em bfloat16, de 256 a 512 só há números pares: somados assim, 299 exemplos de ELBO 1 dariam 298 ou 300."""

    def objective(model, x, *, beta):
        terms = elbo(model, x, beta=beta)
        ones = torch.ones(len(x), dtype=torch.bfloat16)
        return terms._replace(elbo=ones, log_likelihood=ones, kl=ones)

    history = quick_fit(small_vae(), digits[:299], objective=objective, batch_size=299, precision="bfloat16")
    assert history.elbo == [1.0] * 3


@pytest.mark.parametrize("features", [{}, {"avx2": True, "avx512_bf16": False}])
def test_bfloat16_without_the_instructions_is_refused(digits, monkeypatch, features):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features, raising=False)
    with pytest.raises(ValueError, match=r"instruções que este dispositivo \(cpu\) não tem.*Use precision='float32'"):
        quick_fit(small_vae(), digits, precision="bfloat16")


@pytest.mark.parametrize("feature", ["avx512_bf16", "amx_bf16", "bf16"])
def test_any_of_the_instruction_sets_will_do(monkeypatch, feature):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {feature: True}, raising=False)
    precision.require_bfloat16(CPU)


# Grafos de verdade


def on_cuda(model, data, **options):
    return quick_fit(model, data, **({"device": "cuda"} | options))


def assert_close_curves(history, expected):
    for name in ("elbo", "log_likelihood", "kl", "beta", "val_elbo"):
        assert getattr(history, name) == pytest.approx(getattr(expected, name), rel=1e-4, abs=1e-4), name


@needs_cuda
@pytest.mark.parametrize("build", [small_vae, noisy_vae])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_captured_losses_equal_the_eager_ones(digits, held_out, build, optimizer):
    """Com lote menor no fim, aquecimento de β, uma agenda, validação e, num dos modelos, dropout e BatchNorm."""
    options = {"optimizer": optimizer, "lr": 1e-3, "beta_warmup": 2, "validation": held_out}
    options |= {"objective": tempered, "schedules": COOLING}
    eager, captured = build(), build()
    expected = on_cuda(eager, digits, backend="eager", **options)
    assert_close_curves(on_cuda(captured, digits, backend="graph", **options), expected)
    for weight, other in zip(eager.parameters(), captured.parameters(), strict=True):
        torch.testing.assert_close(weight, other, rtol=1e-3, atol=1e-5)


@needs_cuda
@pytest.mark.parametrize("n", [300, 256, 64, 20])
@pytest.mark.parametrize("per_graph", [2, 16])
def test_captured_losses_equal_the_eager_ones_whatever_the_sizes(digits, monkeypatch, n, per_graph):
    monkeypatch.setattr(graphs, "_STEPS_PER_GRAPH", per_graph)
    expected = on_cuda(small_vae(), digits[:n], backend="eager")
    assert_close_curves(on_cuda(small_vae(), digits[:n]), expected)


@needs_cuda
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd", functools.partial(torch.optim.Adam, eps=1e-4)])
def test_the_scheduled_lr_takes_effect_under_replay(digits, optimizer):
    options = {"optimizer": optimizer, "epochs": 4, "schedules": {"lr": lambda epochs: 1e-3 * 0.5**epochs}}
    expected = on_cuda(small_vae(), digits, backend="eager", **options)
    assert_close_curves(on_cuda(small_vae(), digits, backend="auto", **options), expected)
    frozen = on_cuda(small_vae(), digits, **options | {"schedules": {"lr": lambda epochs: 0.0}})
    assert frozen.elbo[-1] < expected.elbo[-1]


@needs_cuda
def test_every_replay_draws_new_noise(digits):
    history = on_cuda(small_vae(), digits, lr=1e-20, epochs=4)
    assert len(set(history.elbo)) == 4


@needs_cuda
def test_the_scheduled_beta_takes_effect_under_replay(digits):
    weak, strong = (on_cuda(small_vae(), digits, epochs=10, beta=beta) for beta in (0.1, 10.0))
    assert strong.kl[-1] < 0.5 * weak.kl[-1]


@needs_cuda
def test_an_objective_that_waits_for_the_gpu_falls_back_with_one_warning(digits):
    def waits(model, x, *, beta):
        terms = elbo(model, x, beta=beta)
        assert terms.loss.mean().item() < 1e9
        return terms

    expected = on_cuda(small_vae(), digits, backend="eager")
    with pytest.warns(UserWarning, match="Não foi possível gravar os passos num grafo CUDA") as caught:
        history = on_cuda(small_vae(), digits, objective=waits)
    assert len(caught) == 1
    assert_close_curves(history, expected)


@needs_cuda
def test_an_objective_that_draws_on_the_cpu_falls_back_on_cuda(digits):
    def draws(model, x, *, beta):
        return elbo(model, x, beta=beta * torch.rand(()))

    expected = on_cuda(small_vae(), digits, backend="eager", objective=draws)
    with pytest.warns(UserWarning, match="sorteia na CPU"):
        history = on_cuda(small_vae(), digits, objective=draws)
    assert_close_curves(history, expected)


@needs_cuda
def test_a_warm_up_that_fails_with_the_gpu_behind_is_undone_after_it(digits):
    """A GPU dorme uns 50 ms a cada passo do aquecimento: quando a CPU desiste, ela ainda os está dando."""
    calls = 0

    def waits(model, x, *, beta):
        nonlocal calls
        calls += 1
        if calls <= 3:  # as duas partes da primeira rodada, e a que desiste
            torch.cuda._sleep(10**8)
        if calls == 3:
            x.sum().item()
        return elbo(model, x, beta=beta)

    expected = on_cuda(small_vae(), digits, backend="eager")
    with pytest.warns(UserWarning, match="Não foi possível gravar"):
        history = on_cuda(small_vae(), digits, objective=waits)
    assert_close_curves(history, expected)


@needs_cuda
def test_a_capture_that_fails_leaves_the_gpu_usable(digits, monkeypatch):
    """Sem a vigilância do aquecimento, a espera só aparece no meio da gravação."""
    monkeypatch.setattr(graphs.CudaRecorder, "forbidding_waits", lambda self: contextlib.nullcontext())

    def waits(model, x, *, beta):
        terms = elbo(model, x, beta=beta)
        terms.loss.mean().item()
        return terms

    stream = torch.cuda.current_stream()
    with pytest.warns(UserWarning, match="Não foi possível gravar"):
        on_cuda(small_vae(), digits, objective=waits)
    assert torch.cuda.current_stream() == stream
    assert torch.rand(3, device="cuda").isfinite().all()
    assert_close_curves(on_cuda(small_vae(), digits), on_cuda(small_vae(), digits, backend="eager"))


@needs_cuda
def test_resuming_on_cuda_equals_not_having_stopped(digits, tmp_path):
    path = tmp_path / "treino.pt"
    whole, resumed = noisy_vae(), noisy_vae(seed=1)
    expected = on_cuda(whole, digits, epochs=6)
    on_cuda(noisy_vae(), digits, epochs=3, checkpoint=path)
    assert_close_curves(on_cuda(resumed, digits, epochs=6, checkpoint=path, resume=True), expected)


@needs_cuda
def test_interrupting_a_captured_training_leaves_a_usable_model(digits, monkeypatch):
    right, calls = torch.cuda.CUDAGraph.replay, 0

    def replay(graph):
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        right(graph)

    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", replay)
    model = small_vae()
    history = on_cuda(model, digits, epochs=10)
    assert history.interrupted
    assert len(history) == 3
    assert model.sample(2).isfinite().all()


@needs_cuda
def test_captured_losses_equal_the_eager_ones_in_bfloat16(digits, held_out):
    options = {"precision": "bfloat16", "validation": held_out}
    expected = on_cuda(small_vae(), digits, backend="eager", **options)
    history = on_cuda(small_vae(), digits, backend="graph", **options)
    assert history.elbo == pytest.approx(expected.elbo, abs=0.05)
    assert history.val_elbo == pytest.approx(expected.val_elbo, abs=0.05)


@needs_cuda
def test_bfloat16_on_cuda_trains_as_well_as_float32(digits):
    expected = on_cuda(small_vae(), digits, epochs=10)
    history = on_cuda(small_vae(), digits, epochs=10, precision="bfloat16")
    assert history.elbo == pytest.approx(expected.elbo, abs=0.3)
