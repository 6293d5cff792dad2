"""O VAE de frases: as contas são as da lição 06, o que se escreve é o que se mede, e ele se treina como os outros."""

import ast
from pathlib import Path

import nbformat
import pytest
import torch
from torch.nn import functional as F

from vae_lessons.data import Dataset, load, phrases
from vae_lessons.distributions import Normal, kl_divergence
from vae_lessons.objectives import elbo
from vae_lessons.phrase_vae import PhraseVAE
from vae_lessons.training import TrainConfig, fit, fit_many

LESSON = Path(__file__).resolve().parent.parent / "notebooks" / "06_colapso_da_posterior.ipynb"
WEIGHTS = ("read", "read_state", "to_q", "from_z", "write", "write_state", "to_word", "bias")
SYMBOLS, H, Z = 300, 12, 5


def rows(n=20):
    x = load("phrases").x
    return x[(x < SYMBOLS).all(1)][:n]


def model(**options):
    torch.manual_seed(0)
    return PhraseVAE(SYMBOLS, Z, hidden=H, **options).eval()


@pytest.fixture(scope="module")
def written():
    """As funções que a lição 06 escreve por extenso."""
    space = {"torch": torch, "F": F, "Normal": Normal, "PAD": phrases.PAD, "HIDDEN": H}
    wanted = ("gru", "encode", "word_states", "reconstruction")
    for cell in nbformat.read(LESSON, as_version=4).cells:
        if cell.cell_type == "code":
            found = [n for n in ast.parse(cell.source).body if isinstance(n, ast.FunctionDef) and n.name in wanted]
            exec("\n\n".join(ast.unparse(node) for node in found), space)
    return space


def test_it_is_the_model_that_lesson_06_writes_out(written):
    ours, x = model(), rows()
    with torch.no_grad():
        p = {name: getattr(ours, name)[None] for name in WEIGHTS}
        theirs = written["encode"](p, x, torch.ones(1, 1))
        q = ours.encode(x)
        torch.testing.assert_close(q.mean, theirs.mean[0])
        torch.testing.assert_close(q.log_var, theirs.log_var[0])
        z = torch.randn(len(x), Z)
        costs = written["reconstruction"](p, x, z[None], x[None, :, :-1])[0]
        torch.testing.assert_close(ours.decode(z).log_prob(x), -costs, rtol=1e-5, atol=1e-4)


def test_the_probabilities_of_all_continuations_sum_to_one():
    """Todas as frases de até duas palavras, e tudo o que começa por outras duas: soma 1."""
    torch.manual_seed(1)
    small = PhraseVAE(6, 2, hidden=4).double().eval()
    z = torch.randn(1, 2).double()
    start, end = phrases.START, phrases.END
    others = [w for w in range(6) if w != end]
    lines = [[start, end, 0, 0], *([start, a, end, 0] for a in others)]
    lines += [[start, a, b, c] for a in others for b in others for c in range(6)]
    x = torch.tensor(lines)
    with torch.no_grad():
        states = small._states(z.expand(len(x), -1), x[:, :-1])
        log_p = small._logits(states).log_softmax(-1).gather(2, x[:, 1:, None])[..., 0]
        inside = torch.cat([torch.ones(len(x), 1), (x[:, 1:-1] != end).cumprod(1)], 1)
        assert (log_p * inside).sum(1).exp().sum().item() == pytest.approx(1.0, abs=1e-9)


def test_what_is_written_greedily_takes_the_likeliest_word_each_time():
    ours = model()
    z = 3 * torch.randn(8, Z, generator=torch.Generator().manual_seed(2))
    likely = ours.decode(z).likeliest(9)
    assert likely.shape == (8, 10)
    assert (likely[:, 0] == phrases.START).all()
    with torch.no_grad():
        best = ours._logits(ours._states(z, likely[:, :-1])).argmax(-1)
    until = torch.cat([torch.ones(8, 1), (likely[:, 1:-1] != phrases.END).cumprod(1)], 1).bool()
    assert torch.equal(best[until], likely[:, 1:][until])
    assert (likely[:, 1:][~until] == phrases.PAD).all()


def test_draws_have_the_probabilities_of_the_first_word():
    ours = model()
    z = torch.randn(1, Z, generator=torch.Generator().manual_seed(3)).expand(4000, -1)
    drawn = ours.decode(z).sample(torch.Generator().manual_seed(0), length=1)[:, 1]
    with torch.no_grad():
        p = ours._logits(ours._states(z[:1], torch.full((1, 1), phrases.START))).softmax(-1)[0, 0]
    found = torch.bincount(drawn, minlength=SYMBOLS) / 4000
    assert (found - p).abs().max() < 0.03
    again = ours.decode(z).sample(torch.Generator().manual_seed(0), length=1)[:, 1]
    assert torch.equal(drawn, again)


def test_empty_places_cost_nothing():
    ours, x = model(), rows(6)
    wider = F.pad(x, (0, 3), value=phrases.PAD)
    z = torch.randn(6, Z)
    torch.testing.assert_close(ours.decode(z).log_prob(x), ours.decode(z).log_prob(wider))
    torch.testing.assert_close(ours.encode(x).mean, ours.encode(wider).mean)


def test_several_codes_at_once_are_each_their_own():
    ours, x = model(), rows(4)
    z = torch.randn(3, 4, Z)
    together = ours.decode(z).log_prob(x)
    assert together.shape == (3, 4)
    for k in range(3):
        torch.testing.assert_close(together[k], ours.decode(z[k]).log_prob(x))


def test_its_elbo_is_reconstruction_minus_kl():
    ours, x = model(), rows()
    terms = elbo(ours, x, n_samples=4)
    torch.testing.assert_close(terms.kl, kl_divergence(ours.encode(x), ours.prior).sum(-1))
    torch.testing.assert_close(terms.elbo, terms.log_likelihood - terms.kl)


def test_words_are_erased_only_while_training():
    torch.manual_seed(0)
    ours, x = PhraseVAE(SYMBOLS, Z, hidden=H, erased=0.5), rows()
    z = torch.randn(len(x), Z)
    ours.train()
    assert not torch.equal(ours.decode(z).log_prob(x), ours.decode(z).log_prob(x))
    ours.eval()
    assert torch.equal(ours.decode(z).log_prob(x), ours.decode(z).log_prob(x))


def test_many_seeds_together_train_as_one_by_one():
    x = Dataset(rows(60))
    config = TrainConfig(epochs=2, batch_size=20, lr=1e-2, beta=0.1)
    torch.manual_seed(5)
    first = PhraseVAE(SYMBOLS, Z, hidden=H)
    runs = fit_many(first, x, config, sweep={"seed": [0]}, progress=False)
    history = fit(first, x, config, progress=False)
    assert runs[0].history.elbo == pytest.approx(history.elbo, abs=1e-3)
    assert history.elbo[-1] > history.elbo[0]


def test_what_does_not_serve_is_refused():
    ours = model()
    with pytest.raises(TypeError, match=r"símbolos, um tensor int64.*mas veio torch.float32"):
        ours.encode(torch.zeros(2, 5))
    with pytest.raises(ValueError, match=r"mas veio \(5,\).*x\[None\]"):
        ours.encode(torch.zeros(5, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"erased.*mas veio 1"):
        PhraseVAE(SYMBOLS, Z, erased=1)
    with pytest.raises(ValueError, match="n_words"):
        PhraseVAE(3, Z)
    with pytest.raises(ValueError, match="length"):
        ours.decode(torch.zeros(1, Z)).likeliest(0)
