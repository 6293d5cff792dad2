"""A lição 05: o que os seus exercícios aceitam e recusam, e o caminho essencial sem os aprofundamentos."""

import ast
import builtins
import math
from pathlib import Path

import nbformat
import torch
from answers import assert_right, assert_told, each_right, each_wrong

from vae_lessons.authoring.reading import _walk, hidden

LESSON = Path(__file__).resolve().parent.parent / "notebooks" / "05_gumbel_softmax.ipynb"


def in_place(hard, y):
    return hard.add_(y - y.detach())


def with_distributions(logits, prior_logits):
    q, p = (torch.distributions.Categorical(logits=each) for each in (logits, prior_logits))
    return torch.distributions.kl_divergence(q, p).sum(-1)


def epsilon_in_the_logarithm(logits, prior_logits):
    q, p = torch.softmax(logits, -1), torch.softmax(prior_logits, -1)
    return (q * ((q + 1e-8).log() - p.log())).sum((-2, -1))


def by_the_rate(epochs, end, floor):
    return max(floor, math.exp(math.log(floor) / end * epochs))


RIGHT = [
    ("05.1", lambda logits, e: (e / torch.softmax(logits, -1)).argmin(-1)),
    ("05.1", lambda logits, e: (e * torch.exp(-logits)).argmin(1)),
    ("05.1", lambda logits, e: (torch.log(e) - logits).argmin(-1).tolist()),
    ("05.1", lambda logits, e: (logits - torch.log(-torch.log(torch.exp(-e)))).argmax(-1)),
    ("05.1", lambda logits, e: (logits - torch.log(-torch.log(1 - torch.exp(-e)))).argmax(-1)),
    ("05.2", lambda log_odds, u, t: torch.sigmoid((log_odds + torch.logit(u)) / t)),
    ("05.2", lambda log_odds, u, t: torch.sigmoid((log_odds - torch.logit(u)) / t)),
    ("05.2", lambda log_odds, u, t: 1 / (1 + torch.exp(-(log_odds + torch.log(u / (1 - u))) / t))),
    ("05.3", lambda hard, y: y + (hard - y).detach()),  # aqui a soma arredonda de volta a 0 ou 1
    ("05.3", in_place),
    ("05.4", with_distributions),
    ("05.4", epsilon_in_the_logarithm),
    ("05.5", by_the_rate),
    ("05.5", lambda epochs, end, floor: floor ** min(1.0, epochs / end)),
    ("05.5", lambda epochs, end, floor: torch.tensor(math.log(floor) * epochs / end).exp().clamp(min=floor)),
    ("05.6", "C)"),
    ("05.6", "letra c"),
    ("05.7", 0.5),
    ("05.7", torch.tensor(0.6)),
]


@each_right(RIGHT)
def test_another_way_to_write_a_right_answer_passes(exercise_id, answer):
    assert_right(exercise_id, answer)


WRONG = [
    ("05.1", lambda logits, e: (logits - torch.log(e)).argmax(), "falta dizer ao argmax sobre qual dimensão"),
    ("05.1", lambda logits, e: (e / logits.exp()).argmax(-1), "chegou por último"),
    ("05.1", lambda logits, e: (e * torch.softmax(logits, -1)).argmin(-1), "a classe mais provável é a mais lenta"),
    ("05.1", lambda logits, e: torch.multinomial(logits.softmax(-1), e.shape[0], True), "você sorteou de novo"),
    ("05.1", lambda logits, e: (logits - e.log()).argmax(-1) + 1, "de 1 a K"),
    (
        "05.2",
        lambda log_odds, u, t: torch.sigmoid((log_odds - (-u.log()).log() + (-(1 - u).log()).log()) / t),
        "têm de ser independentes",
    ),
    ("05.2", lambda log_odds, u, t: torch.sigmoid((torch.logit(u) - log_odds) / t), "você trocou as classes"),
    ("05.2", lambda log_odds, u, t: torch.sigmoid((log_odds + torch.logit(u)) / t**2), "ao quadrado"),
    (
        "05.2",
        lambda log_odds, u, t: torch.sigmoid((log_odds + torch.logit(torch.rand_like(u))) / t),
        "o seu próprio ruído",
    ),
    ("05.3", lambda hard, y: hard.requires_grad_(), "o gradiente que chega a y é zero"),
    ("05.3", lambda hard, y: (hard - y).detach(), "falta somar y"),
    ("05.4", lambda x, p: (x.log_softmax(-1) - p.log_softmax(-1)).sum((-2, -1)), "falta o peso q"),
    ("05.4", lambda x, p: (math.log(8) + (x.softmax(-1) * x.log_softmax(-1)).sum(-1)).sum(-1), "o 8 é o K da lição"),
    ("05.4", lambda x, p: with_distributions(x.mT, p.mT), "As classes são a última dimensão"),
    (
        "05.4",
        lambda x, p: (x.softmax(-1) * (x.softmax(-1).log() - p.log_softmax(-1))).sum((-2, -1)),
        "apareceu NaN",
    ),
    ("05.5", lambda epochs, end, floor: max(floor, 1 - (1 - floor) * epochs / end), "linha reta"),
    ("05.5", lambda epochs, end, floor: max(floor, math.exp(-epochs / end)), "qualquer que seja floor"),
    ("05.5", lambda epochs, end, floor: max(floor, floor ** (epochs // 1 / end)), "degraus"),
    ("05.5", lambda epochs, end, floor: max(floor, 1 - epochs / end), "bate no piso antes de end"),
    ("05.5", lambda epochs, end, floor: floor if epochs >= end else 1, "um degrau"),
    ("05.6", "ce", "esperava uma letra só, mas vieram 2"),
    ("05.7", 0.9, "com τ = 1"),
    ("05.7", 53.1, "porcentagem"),
    ("05.7", 0.3, "Confira quatro coisas"),
    ("05.7", 0.02, "a média do excesso"),
]


@each_wrong(WRONG)
def test_a_wrong_answer_is_told_what_kind_of_mistake_it_may_be(exercise_id, answer, reason):
    assert_told(exercise_id, answer, reason)


def names(source, context):
    return {
        node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name | ast.arg) and uses(node, context)
    }


def uses(node, context):
    return isinstance(getattr(node, "ctx", None), context)


def defined(source):
    """Tudo a que a célula dá nome: atribuições, funções, classes, importações e argumentos."""
    tree = ast.walk(ast.parse(source))
    found = names(source, ast.Store)
    for node in tree:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.alias):
            found.add(node.asname or node.name.split(".")[0])
        elif isinstance(node, ast.arg):
            found.add(node.arg)
    return found


def test_the_essential_path_uses_nothing_defined_on_a_side_road():
    known = set(dir(builtins))
    for cell, _, aside in _walk(nbformat.read(LESSON, as_version=4)):
        if cell.cell_type == "code" and not aside:
            known |= defined(cell.source)
            assert names(cell.source, ast.Load) <= known, names(cell.source, ast.Load) - known


def test_the_folded_cells_are_few_and_each_says_what_it_guards():
    guards = [cell.source for cell in nbformat.read(LESSON, as_version=4).cells if hidden(cell)]
    assert len(guards) >= 8
    assert all(source.startswith("# Guarda: ") for source in guards)
