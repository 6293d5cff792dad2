"""O explorador de filmes contra as listas que os modelos dão, e o que ele recusa."""

import pytest
import torch
from toys_explore import LIKES, TITLES, assert_recording_is_the_kernel, films_sweep, painted

from vae_lessons.explore import explore_films
from vae_lessons.explore import films as module
from vae_lessons.explore.films import in_lines, shortened

SHELVES = {"ninguém": [], "um": ["Filme 3"], "dois": ["Filme 0", "Filme 30"]}


@pytest.fixture
def explorer():
    return explore_films(films_sweep(), LIKES, TITLES, SHELVES)


def list_of(beta, *liked):
    """O que o modelo de β recomenda a quem gosta destes, do primeiro ao último, por fora do explorador."""
    (run,) = [run for run in films_sweep() if run.config.beta == beta]
    x = torch.zeros(1, 40)
    x[0, list(liked)] = 1
    with torch.no_grad():
        scores = run.model.decoder(run.model.encode(x).mean)[0]
    return [i for i in scores.argsort(descending=True).tolist() if i not in liked]


@pytest.mark.parametrize("beta", [0.0, 0.2, 1.0])
@pytest.mark.parametrize(("shelf", "liked"), [("ninguém", ()), ("um", (3,)), ("dois", (0, 30))])
def test_the_list_is_the_models_without_what_the_person_already_has(explorer, shelf, liked, beta):
    explorer.controls["shelf"].value, explorer.controls["beta"].value = shelf, beta
    assert explorer.liked == liked
    assert explorer.recommended.tolist() == list_of(beta, *liked)[:10]
    for place, other in enumerate((0.0, 0.2, 1.0)):
        others = list_of(other, *liked)
        assert [others[rank - 1] for rank in explorer.ranks[:, place].tolist()] == explorer.recommended.tolist()


def test_a_film_joins_the_shelf_as_soon_as_its_title_is_whole(explorer):
    explorer.controls["shelf"].value = "um"
    before = explorer.picture.value
    explorer.controls["film"].value = "Filme 1x"
    assert explorer.liked == (3,)
    explorer.controls["film"].value = "Filme 11"
    assert explorer.liked == (3, 11)
    assert explorer.controls["film"].value == ""
    assert explorer.picture.value != before
    explorer.controls["film"].value = "Filme 11"
    assert explorer.liked == (3, 11)


def test_what_joined_leaves_one_by_one_or_all_at_once_or_with_another_shelf(explorer):
    c = explorer.controls
    c["shelf"].value = "dois"
    for film in ("Filme 5", "Filme 6"):
        c["film"].value = film
    c["remove"].click()
    assert explorer.liked == (0, 30, 5)
    c["film"].value = "Filme 7"
    c["clear"].click()
    assert explorer.liked == (0, 30)
    c["remove"].click()  # não há o que tirar
    assert explorer.liked == (0, 30)
    c["film"].value = "Filme 7"
    c["shelf"].value = "um"
    assert explorer.liked == (3,)


def test_popularity_is_the_share_of_all_likes(explorer):
    assert torch.allclose(explorer.popularity, LIKES.sum(0) / LIKES.sum())
    left = [i for i in LIKES.sum(0).argsort(descending=True, stable=True).tolist() if i not in explorer.liked][:10]
    assert explorer.popular == len(set(left) & set(explorer.recommended.tolist()))


def test_bars_are_as_long_as_the_shares_and_the_longest_fits_in_every_beta(explorer):
    explorer.controls["shelf"].value = "um"
    left, right = module._BARS
    reached = []
    for beta in explorer.betas:
        explorer.controls["beta"].value = beta
        for place in range(10):
            y = module._FIRST + place * module._STEP
            bar = painted(explorer, module._PERSONAL, left=left, right=right + 2, top=y - 6, bottom=y - 5).sum(1).max()
            expected = 2 * (right - left) * explorer.share[place].item() / explorer.largest
            assert bar == pytest.approx(expected, abs=7)  # o traço preto pode cobrir quatro pontos
            reached.append(explorer.share[place].item() / explorer.largest)
    assert max(reached) == pytest.approx(1.0)


def test_without_shelves_the_most_liked_films_are_the_shelves():
    explorer = explore_films(films_sweep(), LIKES, TITLES)
    most = LIKES.sum(0).argsort(descending=True, stable=True)[:6].tolist()
    assert explorer.controls["shelf"].options == tuple(TITLES[i] for i in most)
    assert explorer.liked == (most[0],)


def test_of_two_films_with_one_title_the_most_liked_is_meant():
    titles = ["Igual" if i in (2, 9) else title for i, title in enumerate(TITLES)]
    assert explore_films(films_sweep(), LIKES, titles, {"um": ["Igual"]}).liked == (2,)


def test_with_seeds_the_first_of_each_beta_speaks():
    first, second = films_sweep(), films_sweep((0.2, 0.0, 1.0))
    explorer = explore_films([*first, *second], LIKES, TITLES, SHELVES)
    assert torch.equal(explorer.recommended, explore_films(first, LIKES, TITLES, SHELVES).recommended)


def test_recorded_states_are_the_kernels(explorer):
    assert_recording_is_the_kernel(explorer, shelf=None, beta=None)


def test_long_titles_and_long_shelves_are_cut_where_they_fit():
    assert shortened("Cidade de Deus", 9) == "Cidade d…"
    assert shortened("Cidade", 9) == "Cidade"
    assert shortened("Um título (1999)", 12) == "Um título"
    assert shortened("Um título comprido (1999)", 12) == "Um título c…"
    names = [f"Um filme de número {i}" for i in range(30)]
    lines = in_lines(names, 60)
    assert len(lines) == 2
    assert all(len(line) <= 60 for line in lines)
    shown = sum(line.count("Um filme") for line in lines)
    assert lines[1].endswith(f"e mais {30 - shown}")
    assert in_lines(names[:2], 60) == ["Um filme de número 0 · Um filme de número 1"]


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ((films_sweep()[0], LIKES, TITLES), TypeError, "fit_many"),
        (([1, 2], LIKES, TITLES), TypeError, "int"),
        ((films_sweep((0.2,)), LIKES, TITLES), ValueError, "dois valores"),
        ((films_sweep(), LIKES.numpy(), TITLES), TypeError, "ndarray"),
        ((films_sweep(), LIKES, TITLES[:-1]), ValueError, "39 títulos"),
        ((films_sweep(), LIKES, TITLES, {"a": ["Filme 99"]}), ValueError, "Filme 99"),
        ((films_sweep(), LIKES, TITLES, ["Filme 1"]), TypeError, "dicionário"),
        ((films_sweep(), LIKES, TITLES, {}), TypeError, "prateleira"),
        ((films_sweep(), LIKES[:, :30], TITLES[:30]), ValueError, "30"),
    ],
)
def test_what_cannot_be_explored_is_refused_in_portuguese(arguments, error, said):
    with pytest.raises(error, match=said):
        explore_films(*arguments)


def test_a_model_that_diverged_is_named():
    sweep = films_sweep()
    with torch.no_grad():
        sweep[1].model.decoder.bias.fill_(torch.nan)
    with pytest.raises(ValueError, match="β = 0,2"):
        explore_films(sweep, LIKES, TITLES)
