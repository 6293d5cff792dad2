"""De palavras a símbolos e de volta, e os símbolos no treino."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vae_lessons.data import load, phrases
from vae_lessons.distributions import Normal, kl_divergence
from vae_lessons.training import TrainConfig, fit, fit_many


def test_a_phrase_becomes_a_row_and_comes_back():
    row = phrases.tokens("Mulher nadando, pele clara!")
    assert row.dtype == torch.int64
    assert row.shape == (14,)
    assert row[0] == phrases.START
    assert row[5] == phrases.END
    assert row[6:].tolist() == [phrases.PAD] * 8
    assert phrases.text(row) == "mulher nadando pele clara"


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_row_of_the_data_comes_back(split):
    x = load("phrases", split).x
    assert torch.equal(phrases.tokens(phrases.text(x)), x)


def test_a_word_that_nobody_knows_has_a_symbol():
    row = phrases.tokens("mulher quântica")
    assert row[2] == phrases.UNKNOWN
    assert phrases.text(row) == "mulher <?>"


def test_words_with_a_hyphen_are_one():
    assert phrases.split_words("Botão japonês de “não-gratuito” (d’água)") == (
        *("botão", "japonês", "de", "não-gratuito"),
        "d’água",
    )


def test_a_generated_row_ends_at_its_end_wherever_that_is():
    man, woman = phrases.tokens("homem mulher")[1:3].tolist()
    assert phrases.text(torch.tensor([man, phrases.END, woman])) == "homem"
    assert phrases.text(torch.tensor([phrases.START, man, woman])) == "homem mulher"
    assert phrases.text(torch.tensor([phrases.END, man])) == ""
    assert phrases.text(torch.zeros(2, 5, dtype=torch.int64)) == ["", ""]
    assert phrases.text(torch.zeros(0, 14, dtype=torch.int64)) == []


def test_phrases_come_from_any_series_of_texts():
    both = ["mulher nadando", "homem nadando"]
    assert phrases.tokens(both).shape == (2, 14)
    assert torch.equal(phrases.tokens(iter(both)), phrases.tokens(np.array(both)))
    assert phrases.tokens([]).shape == (0, 14)


BAD = {
    "too_long": (phrases.tokens, "um " * 13, ValueError, r"de 1 a 12 palavras, mas .* tem 13"),
    "empty": (phrases.tokens, ["gato preto", " ? "], ValueError, r"mas ' \? ' tem 0"),
    "no_text": (phrases.tokens, [3], TypeError, r"'mulher nadando'"),
    "nothing": (phrases.tokens, None, TypeError, r"lista de frases"),
    "symbols": (phrases.tokens, torch.zeros(14, dtype=torch.int64), TypeError, "De símbolos, text"),
    "list": (phrases.text, [1, 5, 2], TypeError, r"tensor de símbolos int64, .* veio list"),
    "logits": (phrases.text, torch.rand(3, 4), TypeError, r"torch\.float32"),
    "scalar": (phrases.text, torch.tensor(3), ValueError, r"\[T\] ou \[N, T\], mas veio \(\)"),
    "unknown": (phrases.text, torch.tensor([1, 381]), ValueError, r"de 0 a 380.*de 1 a 381"),
    "negative": (phrases.text, torch.tensor([-1, 3]), ValueError, r"de -1 a 3"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_neither_text_nor_symbols_is_refused(case):
    function, argument, error, message = BAD[case]
    with pytest.raises(error, match=message):
        function(argument)


# No treino


class Terms(NamedTuple):
    log_likelihood: Tensor
    kl: Tensor
    loss: Tensor


class Bag(nn.Module):
    """Um VAE de frases mínimo: a média dos vetores das palavras dá q(z|x), e z, uma categórica em cada posição."""

    def __init__(self):
        super().__init__()
        n = len(phrases.vocabulary())
        self.words, self.decoder = nn.Embedding(n, 4), nn.Linear(2, phrases.LENGTH * n)

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Normal, Tensor]:
        q = Normal(*self.words(x).mean(1).chunk(2, -1))
        logits = self.decoder(q.rsample(noise)).unflatten(-1, (phrases.LENGTH, -1))
        return q, F.cross_entropy(logits.flatten(0, 1), x.flatten(), reduction="none").view_as(x).sum(-1)


def objective(model, x, *, beta):
    assert x.dtype == torch.int64
    q, nats = model(x, torch.randn(len(x), 2))
    kl = kl_divergence(q, Normal(torch.zeros(2), torch.zeros(2))).sum(-1)
    return Terms(-nats, kl, nats + beta * kl)


CONFIG = TrainConfig(epochs=3, batch_size=256, lr=0.02, device="cpu")


def bag():
    torch.manual_seed(0)
    return Bag()


def test_phrases_train_as_they_are():
    model = bag()
    history = fit(
        model, load("phrases"), CONFIG, objective=objective, validation=load("phrases", "test"), progress=False
    )
    assert history.series["log_likelihood"][-1] > history.series["log_likelihood"][0] + 10
    assert history.series["val_log_likelihood"][-1] > -75


def test_several_models_of_phrases_train_together_as_each_would_alone():
    alone = fit(bag(), load("phrases"), CONFIG, objective=objective, progress=False)
    runs = fit_many(bag(), load("phrases"), CONFIG, sweep={"beta": [1.0, 0.0]}, objective=objective, progress=False)
    assert runs[0].history.series["log_likelihood"] == pytest.approx(alone.series["log_likelihood"], rel=1e-4)
    assert runs[1].history.series["kl"][-1] > alone.series["kl"][-1]
