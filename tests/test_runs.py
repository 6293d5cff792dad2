"""Quando a perda deixa de ser finita, o que se tinha antes não se perde."""

import math

import pytest
import torch
from small_training import small_vae
from torch import nn

from vae_lessons.models import mlp_vae
from vae_lessons.objectives import ElboTerms, elbo
from vae_lessons.training import TrainConfig, TrainingDiverged, fit


def quick_fit(model, data, objective=elbo, validation=None, **options):
    config = TrainConfig(**({"epochs": 4, "device": "cpu"} | options))
    return fit(model, data, config, objective=objective, validation=validation, progress=False)


def poisoned(poison, *, at_step):
    """A ELBO de sempre, com os termos que `poison` estraga no passo de número `at_step`, contado a partir de 1."""
    steps = 0

    def objective(model, x, *, beta):
        nonlocal steps
        terms = elbo(model, x, beta=beta)
        if not torch.is_grad_enabled():
            return terms
        steps += 1
        return poison(terms) if steps == at_step else terms

    return objective


def with_gradient_nan(terms):
    """Valores finitos, gradiente NaN: a derivada de √t em zero, vezes zero."""
    return terms._replace(loss=terms.loss + 0 * (terms.loss - terms.loss).sqrt())


POISONS = {
    "nan_elbo": lambda terms: terms._replace(elbo=terms.elbo * math.nan),
    "nan_loss": lambda terms: terms._replace(loss=terms.loss * math.nan),
    "infinite_loss": lambda terms: terms._replace(loss=terms.loss + math.inf),
    "nan_gradient": with_gradient_nan,
}


@pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS)
@pytest.mark.parametrize("at_step", [7, 9], ids=["first_step_of_epoch_3", "last_step_of_epoch_3"])
def test_divergence_leaves_the_weights_and_the_history_of_the_last_good_epoch(digits, poison, at_step):
    model, reference = small_vae(), small_vae()
    with pytest.raises(TrainingDiverged, match=r"divergiu na época 3 .*fim da época 2") as caught:
        quick_fit(model, digits, poisoned(poison, at_step=at_step))
    two_epochs = quick_fit(reference, digits, epochs=2)
    assert caught.value.history.elbo == two_epochs.elbo
    assert len(caught.value.history) == 2
    assert caught.value.history.diverged
    assert repr(caught.value.history).endswith(", divergiu)")
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, reference.state_dict()[name]), name


def test_divergence_in_the_very_first_epoch_leaves_the_initial_weights(digits):
    model, initial = small_vae(), small_vae().state_dict()
    with pytest.raises(TrainingDiverged, match=r"época 1 .*pesos iniciais") as caught:
        quick_fit(model, digits, optimizer="sgd", lr=1e20)
    assert len(caught.value.history) == 0
    assert all(torch.equal(weight, initial[name]) for name, weight in model.state_dict().items())


def test_divergence_seen_only_by_the_validation_counts(digits):
    def objective(model, x, *, beta):
        terms = elbo(model, x, beta=beta)
        return terms if torch.is_grad_enabled() else terms._replace(kl=terms.kl + math.inf)

    with pytest.raises(TrainingDiverged, match="val_kl = inf"):
        quick_fit(small_vae(), digits, objective, validation=digits)


def test_buffers_return_too(digits):
    torch.manual_seed(0)
    model = mlp_vae(64, 2, (16,))
    model.encoder = nn.Sequential(nn.BatchNorm1d(64), model.encoder)
    with pytest.raises(TrainingDiverged):
        quick_fit(model, digits, poisoned(POISONS["nan_loss"], at_step=5))
    assert model.encoder[0].num_batches_tracked == 3  # uma época


def test_a_finite_training_is_not_taken_for_a_divergent_one():
    """Perda enorme, mas finita, e KL zero."""

    def objective(model, x, *, beta):
        value = x.sum(1)
        return ElboTerms(value, value, 0 * value, 1e30 + 0 * model.decoder[0].weight.sum() + 0 * value)

    assert len(quick_fit(small_vae(), torch.ones(20, 64), objective, binarize="none")) == 4


def test_the_error_is_a_floating_point_error():
    assert issubclass(TrainingDiverged, FloatingPointError)
