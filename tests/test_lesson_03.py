"""A lição 03: «Seus próprios dados» com outras imagens, o caminho essencial, os erros dos exercícios e os desenhos."""

import ast
import builtins
import importlib.util
import re
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
from answers import assert_right, assert_told, each_right, each_wrong

from vae_lessons.drawings import lesson_03 as drawings
from vae_lessons.exercises import check

LESSON = Path(__file__).resolve().parent.parent / "notebooks" / "03_vae.ipynb"


def imports_and_section(title):
    """O código da célula que importa, e o da seção `title`, uma célula por item."""
    imports, section, inside = "", [], False
    for cell in nbformat.read(LESSON, as_version=4).cells:
        if cell.cell_type == "markdown" and "## " in cell.source:
            inside = title in cell.source
        elif cell.cell_type == "code" and not imports:
            imports = cell.source
        elif cell.cell_type == "code" and inside:
            section.append(cell.source)
    return imports, section


@pytest.mark.skipif(importlib.util.find_spec("skimage") is None, reason="precisa do scikit-image, do grupo dev")
def test_the_section_on_your_own_data_works_with_photos_of_faces(monkeypatch):
    """200 recortes de 25×25 em ponto flutuante, cem rostos e cem pedaços de fundo: só a primeira célula muda."""
    from skimage.data import lfw_subset

    imports, (making, *rest) = imports_and_section("Seus próprios dados")
    assert "\nimages = np.stack" in making
    names = {"__name__": "lesson"}
    exec(imports, names)
    monkeypatch.setattr(names["plotting"], "show", lambda fig, alt: plt.close(fig))
    names |= {"images": lfw_subset(), "labels": np.repeat([0, 1], 100), "device": names["choose_device"]()}
    for source in rest:
        exec(source, names)
    assert repr(names["mine"]) == "Dataset('minhas', 160 imagens de 25×25, 2 classes)"
    history = names["my_history"].val_elbo
    assert history[-1] > history[0] + 50
    assert names["x_mine"].shape == (10, 625)


def test_the_short_version_in_the_readme_works():
    readme = (LESSON.parent.parent / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.+?)\n```", readme, re.DOTALL)
    names = {"imagens": np.random.default_rng(0).integers(0, 256, (40, 9, 7), dtype=np.uint8)}
    exec(block.replace("epochs=60", "epochs=2, device='cpu'"), names)
    assert repr(names["minhas"]) == "Dataset('minhas', 40 imagens de 9×7)"
    with torch.no_grad():
        assert names["vae"].sample(5).shape == (5, 63)


# O caminho essencial, sem os aprofundamentos


def parts(notebook):
    """(células do caminho essencial, células dos aprofundamentos), as de código."""
    essential_cells, side_cells, aside = [], [], False
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for line in cell.source.splitlines():
                if line.startswith("## "):
                    aside = line.endswith("· *aprofundamento*")
        else:
            (side_cells if aside else essential_cells).append(cell.source)
    return essential_cells, side_cells


def names_in(sources, context):
    """Os nomes que o código lê, ou os que cria, conforme `context`."""
    tree = ast.parse("\n".join(sources))
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, context)}
    if context is ast.Store:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(node.name)
            if isinstance(node, ast.Import | ast.ImportFrom):
                found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
            if isinstance(node, ast.arg):
                found.add(node.arg)
    return found


def test_the_essential_path_uses_nothing_defined_on_a_side_road():
    essential_cells, side_cells = parts(nbformat.read(LESSON, as_version=4))
    assert len(essential_cells) > 20
    assert len(side_cells) > 20
    known = names_in(essential_cells, ast.Store) | set(dir(builtins))
    assert names_in(essential_cells, ast.Load) - known == set()


def test_sections_are_numbered_consecutively_and_every_reference_has_a_section():
    text = "\n".join(c.source for c in nbformat.read(LESSON, as_version=4).cells if c.cell_type == "markdown")
    numbers = [int(number) for number in re.findall(r"^## (\d+)\.", text, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert {int(number) for number in re.findall(r"seção (\d+)", text)} <= set(numbers)


# Os erros que os exercícios reconhecem


def softplus_of(x, logits):
    return (x * logits - torch.nn.functional.softplus(logits)).sum(-1)


def bce(logits, x):
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none")


def deviation(log_var):
    return torch.exp(0.5 * log_var)


def log_sigmoid(logits):
    return torch.nn.functional.logsigmoid(logits)


def given_half(log_var):
    return -0.5 * (np.log(2 * np.pi) + log_var + 1).sum(-1)


def other_half(mean, log_var):
    return -0.5 * (np.log(2 * np.pi) + mean**2 + log_var.exp()).sum(-1)


WRONG = [
    ("03.1", lambda mean, log_var: mean + deviation(log_var) * torch.randn(mean.shape[-1]), "o mesmo ruído em todas"),
    ("03.1", lambda mean, log_var: mean + deviation(log_var) * torch.randn(()), "um número só"),
    ("03.1", lambda mean, log_var: mean + torch.exp(2 * log_var) * torch.randn_like(mean), "exp(2 · log σ²) é σ⁴"),
    ("03.1", lambda mean, log_var: mean + torch.exp(log_var) * torch.randn_like(mean), "que é a variância"),
    ("03.1", lambda mean, log_var: mean + deviation(log_var).detach() * torch.randn_like(mean), "Tire o detach()"),
    ("03.1", lambda mean, log_var: mean + 0.5 * torch.exp(log_var) * torch.randn_like(mean), "dentro do expoente"),
    ("03.1", lambda mean, log_var: mean * torch.randn_like(mean) + deviation(log_var), "papéis estão trocados"),
    ("03.2", lambda mean, log_var: other_half(mean, log_var), "só a outra metade"),
    ("03.2", lambda mean, log_var: -other_half(mean, log_var), "com o sinal dela trocado"),
    ("03.2", lambda mean, log_var: given_half(log_var) + other_half(mean, log_var), "somou as duas metades"),
    ("03.2", lambda mean, log_var: given_half(log_var) + 0.5 * (mean**2 + log_var.exp()).sum(-1), "sobrou log 2π"),
    ("03.2", lambda mean, log_var: 0.5 * (log_var.exp() + mean**2 - log_var).sum(-1), "falta o −1"),
    ("03.2", lambda mean, log_var: 0.5 * ((1 + mean**2) * (-log_var).exp() - 1 + log_var).sum(-1), "a KL ao contrário"),
    ("03.2", lambda mean, log_var: 0.5 * (log_var.exp() + mean**2 - 1 + log_var).sum(-1), "o sinal de log σ²"),
    ("03.3", lambda x, logits: -bce(x, logits).sum(-1), "os argumentos estão trocados"),
    ("03.3", lambda x, logits: -bce(logits, x), "falta somar sobre os pixels"),
    ("03.3", lambda x, logits: -bce(logits, x).mean(-1), "a média sobre os pixels"),
    ("03.3", lambda x, logits: (x * logits - logits.exp()).sum(-1), "falta o 1"),
    ("03.3", lambda x, logits: torch.nn.functional.binary_cross_entropy_with_logits(logits, x), "sem reduction"),
    (
        "03.3",
        lambda x, logits: (x * log_sigmoid(logits) + (1 - x) * (1 - log_sigmoid(logits))).sum(-1),
        "sigmoide de −ℓ",
    ),
    ("03.4", lambda batches: sum(batch.sum() for batch in batches) / 4000, "o 4000 do enunciado"),
    ("03.4", lambda batches: sum(batch.sum() for batch in batches) / 128, "o 128 do enunciado"),
    ("03.4", lambda batches: torch.stack([batch.mean() for batch in batches]).mean(), "a média das médias"),
    ("03.5", (0, 5), "a vírgula separa dois números"),
    ("03.5", (0, 25), "a vírgula separa dois números"),
    ("03.5", 2, "para o lado errado"),
    ("03.6", lambda step, warmup_steps: min(1.0, (step + 1) / warmup_steps), "um passo adiantado"),
    ("03.6", lambda step, warmup_steps: (step + 1) / warmup_steps, "são dois enganos"),
    ("03.6", lambda step, warmup_steps: step / warmup_steps, "Falta o min"),
    ("03.6", lambda step, warmup_steps: max(1.0, step / warmup_steps), "max e min estão trocados"),
    ("03.7", (1 / 64, 2), "para o lado errado"),
    ("03.7", (64, 2), "as unidades ativas não são as do treino com ele"),
    ("03.6", lambda step, warmup_steps: step // warmup_steps, "a divisão inteira"),
    ("03.7", (64, 1), "a contagem não é a do treino com ele"),
    ("03.7", (784, 0), "o exercício treina nas pequenas"),
    ("03.7", (0, 64), "o par está trocado"),
]


@each_wrong(WRONG)
def test_what_students_get_wrong_is_named(exercise_id, answer, reason):
    assert_told(exercise_id, answer, reason)


RIGHT = [
    ("03.3", softplus_of),
    ("03.5", 0.5),
    ("03.5", torch.tensor([0.5])),
    ("03.7", [64, 0]),
    ("03.7", (64.0, torch.tensor(0))),
    ("03.7", np.array([64, 0])),
]


@each_right(RIGHT)
def test_other_ways_to_be_right_pass(exercise_id, answer):
    assert_right(exercise_id, answer)


def test_a_blank_in_the_pair_waits():
    assert check("03.7", (..., ...)).status == "⏳"
    assert check("03.7", (64, ...)).status == "⏳"


# Os desenhos


def test_each_class_has_its_own_panel_with_its_name_and_the_same_scale():
    codes, labels = torch.randn(60, 2), torch.arange(60) % 4
    fig = drawings.class_panels(codes, labels, list("AESV"))
    assert [ax.get_title() for ax in fig.axes] == list("AESV")
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in fig.axes}) == 1
    assert [len(ax.collections[1].get_offsets()) for ax in fig.axes] == [15] * 4


def test_the_line_and_the_arc_share_their_ends():
    straight = torch.tensor([[3.0, 0.0], [1.5, 1.5], [0.0, 3.0]])
    arc = torch.tensor([[3.0, 0.0], [2.1, 2.1], [0.0, 3.0]])
    (ax,) = drawings.line_and_arc(straight, arc).axes
    ends = [line.get_xydata()[[0, -1]].tolist() for line in ax.lines[:2]]
    assert ends[0] == ends[1] == [[3.0, 0.0], [0.0, 3.0]]
    assert {text.get_text() for text in ax.texts} == {"A", "B", "origem"}


def test_posteriors_are_compared_at_the_same_scale():
    offsets = torch.linspace(-1, 1, 9)
    density = [torch.exp(-(offsets[:, None] ** 2 + offsets**2))] * 2
    center = torch.tensor([[0.0, 0.0], [2.0, -1.0]])
    fig = drawings.posteriors(density, center, offsets, {"q": (center, torch.full((2, 2), 0.3))}, ["um", "dois"])
    widths = [np.ptp(ax.get_xlim()) for ax in fig.axes]
    assert widths[0] == pytest.approx(widths[1])
    assert [patch.width for ax in fig.axes for patch in ax.patches] == pytest.approx([1.2, 1.2])


def test_the_axes_of_the_gradients_have_decimal_commas():
    sigma = torch.logspace(-2, 0.5, 20)
    fig = drawings.sigma_parameters(sigma, {"σ": sigma - 1 / sigma}, {"σ": [0.01, 10.0, 1.0]})
    written = [label.get_text() for ax in fig.axes for axis in (ax.xaxis, ax.yaxis) for label in axis.get_ticklabels()]
    assert "0,01" in written
    assert not any("." in text for text in written)
