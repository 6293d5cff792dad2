"""O que se executa de uma lição para corrigir um exercício: tudo de que ele depende, e quase nada mais."""

import textwrap

import pytest

from vae_lessons.teach.slices import needed, reads, statements


def sliced(*cells, wanting):
    """Os comandos escolhidos, como texto, de células de código."""
    before = [s for i, source in enumerate(cells) for s in statements(textwrap.dedent(source), i)]
    chosen, missing = needed(before, wanting)
    return [statement.source for statement in chosen], missing


def values(*cells, wanting):
    """O que os nomes valem depois de executar só os comandos escolhidos."""
    chosen, _ = sliced(*cells, wanting=wanting)
    namespace = {}
    exec("\n".join(chosen), namespace)
    return [namespace[name] for name in wanting]


def test_only_what_the_name_depends_on_stays():
    chosen, missing = sliced("a = 1\nb = 2\nprint(b)", "c = a + 1", "d = b", wanting=["c"])
    assert chosen == ["a = 1", "c = a + 1"]
    assert missing == set()


def test_of_several_definitions_the_last_counts_with_what_it_reads():
    assert sliced("x = 1", "x = 2", wanting=["x"])[0] == ["x = 2"]
    assert sliced("x = 1", "x = x + 1", wanting=["x"])[0] == ["x = 1", "x = x + 1"]
    assert sliced("x = 1", "if True:\n    x = 2", wanting=["x"])[0] == ["x = 1", "if True:\n    x = 2"]


def test_what_a_function_reads_when_called_may_come_after_it():
    assert values("def f():\n    return g() + k", "def g():\n    return 1", "k = 5", wanting=["f"])[0]() == 6


def test_what_a_method_reads_when_called_may_come_after_its_class():
    cells = ("class A:\n    size = k\n    def f(self):\n        return g()", "def g():\n    return 1")
    assert values("k = 5", *cells, wanting=["A"])[0]().f() == 1


@pytest.mark.parametrize(
    "change",
    [
        "x.append(2)",
        "x[0] = 9",
        "x += [3]",
        "for i in range(2):\n    x.append(i)",
        "del x[0]",
        "x.sort()",
        "add(x)",
        "again(x)",
    ],
)
def test_what_changes_a_value_in_place_stays(change):
    functions = "def add(values):\n    values.append(7)\ndef again(values):\n    add(values)"
    cells = ("x = [5, 1]", functions, change)
    whole = {}
    exec("\n".join(cells), whole)
    assert values(*cells, wanting=["x"]) == [whole["x"]]


def test_what_only_looks_at_a_value_goes():
    chosen, _ = sliced("x = [1]", "def show(values):\n    return len(values)", "show(x)\nprint(x)", wanting=["x"])
    assert chosen == ["x = [1]"]


def test_a_training_stays_and_its_measures_go():
    cells = (
        "from vae_lessons.training import fit\nfrom vae_lessons.models import mlp_vae",
        "model = mlp_vae(64, 2)\nhistory = fit(model, data, config)",
        "model.encode(images)\nplot(model)",
    )
    chosen, missing = sliced(*cells, wanting=["model"])
    assert len(chosen) == 4
    assert missing == {"data", "config"}


def test_an_optimizer_changes_what_it_holds():
    chosen, _ = sliced(
        "import torch\nw = torch.zeros(1, requires_grad=True)\nothers = [w]",
        "optimizer = torch.optim.SGD(others, 0.1)",
        "for _ in range(3):\n    w.sum().backward()\n    optimizer.step()",
        wanting=["w"],
    )
    assert len(chosen) == 5


def test_the_seed_of_a_draw_stays_with_what_was_drawn_before_it():
    cell = "torch.manual_seed(0)\nfirst = torch.rand(3)\nsecond = torch.rand(3)"
    whole = {}
    exec(f"import torch\n{cell}", whole)
    assert values("import torch", cell, wanting=["second"])[0].equal(whole["second"])


@pytest.mark.parametrize("hidden", ["exec('y = 1')", "globals()['y'] = 1", "from math import *"])
def test_what_defines_names_out_of_sight_always_stays(hidden):
    assert sliced(hidden, "z = 3", wanting=["y"])[0] == [hidden]


def test_names_without_an_owner_are_told():
    assert sliced("x = y", wanting=["x", "w"])[1] == {"y", "w"}
    assert sliced("x = len([])", wanting=["x", "print"])[1] == set()


def test_a_cell_reads_what_it_does_not_define_first():
    source = "a = b\nc = a\n\ndef f(x):\n    return x + d\n\n[i for i in e]"
    assert reads(source) == {"b", "d", "e"}


def test_comprehensions_classes_and_decorators_are_read():
    source = "@cache\ndef f(): ...\nclass A(Base):\n    size = width\nvalues = [g(i) for i in items]"
    assert reads(source) == {"cache", "Base", "width", "g", "items"}


@pytest.mark.parametrize(
    ("source", "read"),
    [
        ("for step in steps:\n    q = f(x)\n    loss = g(q)\n    loss.backward()", {"steps", "f", "x", "g"}),
        ("for i in steps:\n    if i:\n        q = 1\n    h(q)", {"steps", "q", "h"}),
        ("for i, a[j] in steps:\n    total += i", {"steps", "a", "j", "total"}),
        ("while going:\n    h(q)\n    q = 1", {"going", "h", "q"}),
        ("with mode() as m:\n    drawn = f(m)\n    mean = drawn.mean()", {"mode", "f"}),
    ],
)
def test_a_block_reads_from_outside_only_what_it_does_not_define_first(source, read):
    assert reads(source) == read


def test_a_training_loop_does_not_bring_another_that_uses_the_same_names():
    training = "for step in (1, 2):\n    q = {}\n    loss = q + 1"
    assert sliced(training.format("other"), training.format("mine"), "a = loss", wanting=["mine"])[0] == []
    assert reads(training.format("mine")) == {"mine"}
