"""O explorador da varredura em β contra os próprios modelos: o que eles decodificam e o que deles se mede."""

import base64
import io
import math
import re
from dataclasses import replace
from decimal import Decimal

import ipywidgets
import numpy as np
import pytest
import torch
from PIL import Image

from vae_lessons import style
from vae_lessons.data import Dataset, binarize, load
from vae_lessons.evaluation import RateDistortion, active_units, kl_per_dimension, rate_distortion
from vae_lessons.explore import beta as module
from vae_lessons.explore import explore_beta
from vae_lessons.models import VAE, categorical_vae, mlp_vae
from vae_lessons.training import History, Run, TrainConfig, fit_many

TEST = load("digits", "test")
ORANGE, BLUE, PALE, GREY = (
    tuple(bytes.fromhex(color[1:])) for color in (style.ORANGE, style.BLUE, style.SILVER, style.GREY)
)
SCALES = {0.5: [1.0, -3.0, 0.5, 0.0], 1.0: [0.0, 1.5, -2.5, 0.3], 4.0: [1.2, 0.0, 0.05, 0.1]}


def handmade_vae(scales, *, seed=0, data_dim=64, likelihood="bernoulli") -> VAE:
    """Cada latente lê um pixel do meio da imagem, multiplicado pela sua escala: a KL de cada um é conhecida."""
    generator = torch.Generator().manual_seed(seed)
    n = len(scales)
    encoder, decoder = torch.nn.Linear(data_dim, 2 * n), torch.nn.Linear(n, data_dim)
    with torch.no_grad():
        encoder.weight.zero_()
        encoder.bias.zero_()
        for latent, scale in enumerate(scales):
            encoder.weight[latent, min(26, data_dim // 2) + latent] = scale
        decoder.weight.copy_(0.5 * torch.randn(data_dim, n, generator=generator))
    return VAE(encoder, decoder, latent_dim=n, likelihood=likelihood, data_dim=data_dim)


def a_run(beta, scales=(1.0, 0.5), *, seed=0, binarize="dynamic", **options) -> Run:
    model = handmade_vae(scales, seed=round(10 * beta) + seed, **options)
    return Run(model, History(), TrainConfig(beta=beta, seed=seed, binarize=binarize))


@pytest.fixture(scope="module")
def sweep():
    return [a_run(beta, scales) for beta, scales in SCALES.items()]


@pytest.fixture(scope="module")
def shared(sweep):
    return explore_beta(sweep, TEST)


@pytest.fixture
def explorer(shared):
    """Um só para o módulo inteiro, de volta à posição em que nasceu."""
    put(shared, beta=1.0, image=1, latent=1)
    return shared


@pytest.fixture
def two_seeds():
    return [a_run(beta, scales, seed=seed) for seed in (3, 8) for beta, scales in SCALES.items()]


def put(explorer, **values):
    for name, value in values.items():
        explorer.controls[name].value = value


def model_of(sweep, explorer) -> VAE:
    chosen = explorer.controls["beta"].value, explorer.controls["seed"].value
    return next(run.model for run in sweep if (run.config.beta, run.config.seed) == chosen)


def pixels(explorer) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(explorer.picture.value)).convert("RGB")).astype(int)


def painted(explorer, color, *, left=0, top=0, right=None, bottom=None) -> np.ndarray:
    """Onde a cor aparece, dentro do retângulo dado em pixels da tela: [linhas, colunas] de booleanos."""
    rows, columns = (slice(2 * a, b and 2 * b) for a, b in ((top, bottom), (left, right)))
    return (pixels(explorer)[rows, columns] == color).all(-1)


def cell(explorer, column, line, step, side, shape=(8, 8)) -> np.ndarray:
    """A imagem que está na tela naquele lugar, lida no meio de cada um dos seus pixels ampliados."""
    zoom = 2 * side // max(shape)
    center = round(2 * (module._LABEL + (column + 0.5) * step)), 2 * line
    rows, columns = (
        round(c - zoom * n / 2) + zoom // 2 + zoom * np.arange(n) for c, n in zip(center[::-1], shape, strict=True)
    )
    picture = pixels(explorer)
    assert (np.ptp(picture[np.ix_(rows, columns)], axis=-1) == 0).all()
    return picture[np.ix_(rows, columns)][..., 0]


def originals(explorer, **shape):
    return [cell(explorer, i, module._ORIGINAL_LINE, module._STEP, module._CELL, **shape) for i in range(10)]


def reconstructed(explorer, **shape):
    return [cell(explorer, i, module._MEAN_LINE, module._STEP, module._CELL, **shape) for i in range(10)]


def traversed(explorer, **shape):
    return [cell(explorer, i, module._WIDE_LINE, module._WIDE_STEP, module._WIDE_CELL, **shape) for i in range(7)]


def greys(images, shape=(8, 8)) -> np.ndarray:
    return (images.clamp(0, 1) * 255).round().reshape(-1, *shape).numpy()


def assert_shown(cells, images, **shape):
    """A tela tem 128 níveis de cinza: cada pixel está a no máximo 1 do que deveria ser, e 1 de arredondamento."""
    assert np.abs(np.stack(cells) - greys(images, **shape)).max() <= 2


@torch.no_grad()
def codes(model, explorer):
    return model.encode(explorer.x[explorer.shown]).mean


@torch.no_grad()
def decoded(model, z):
    return model.decode(z).mean


# As imagens


def test_small_data_are_measured_whole_and_give_the_numbers_of_a_table(explorer, sweep):
    """Quem mediu com rate_distortion(model, data) vê aqui o mesmo número."""
    assert len(explorer.x) == len(TEST)
    assert (explorer.rate, explorer.distortion) == pytest.approx(rate_distortion(model_of(sweep, explorer), TEST))


def test_images_that_are_not_square_are_shown_as_they_are():
    discs = load("discs")
    explorer = explore_beta([a_run(beta, data_dim=480) for beta in (1.0, 4.0)], discs)
    assert explorer.image_shape == (20, 24)
    assert_shown(originals(explorer, shape=(20, 24)), explorer.x[explorer.shown], shape=(20, 24))


def test_the_first_row_is_the_images_themselves(explorer):
    assert explorer.x.unique().tolist() == [0, 1]
    assert_shown(originals(explorer), explorer.x[explorer.shown])


@pytest.mark.parametrize("beta", SCALES)
def test_the_second_row_is_the_decoder_mean_at_the_posterior_mean(explorer, sweep, beta):
    explorer.controls["beta"].set_state({"index": list(SCALES).index(beta)})
    model = model_of(sweep, explorer)
    expected = decoded(model, codes(model, explorer))
    torch.testing.assert_close(explorer.reconstructions, expected)
    assert_shown(reconstructed(explorer), expected)


@pytest.mark.parametrize(("beta", "image", "rank"), [(0.5, 1, 1), (0.5, 10, 2), (1.0, 4, 1), (4.0, 7, 3)])
def test_the_traversal_moves_one_latent_of_the_code_of_the_chosen_image(explorer, sweep, beta, image, rank):
    for name, state in (("beta", {"index": list(SCALES).index(beta)}), ("image", {"value": image})):
        explorer.controls[name].set_state(state)
    explorer.controls["latent"].set_state({"value": rank})
    model = model_of(sweep, explorer)
    latent = sorted(range(4), key=lambda j: -abs(SCALES[beta][j]))[rank - 1]
    z = codes(model, explorer)[image - 1].repeat(7, 1)
    z[:, latent] = torch.arange(-3.0, 4.0)
    expected = decoded(model, z)
    assert expected.std(0).max() > 0.05  # o percurso muda a imagem
    torch.testing.assert_close(explorer.traversal, expected)
    assert_shown(traversed(explorer), expected)


def test_pictures_of_any_shape_keep_it():
    data = replace(TEST, x=TEST.x[:, :40], image_shape=(5, 8))
    sweep = [a_run(beta, data_dim=40) for beta in (1.0, 2.0)]
    explorer = explore_beta(sweep, data)
    assert_shown(originals(explorer, shape=(5, 8)), explorer.x[explorer.shown], shape=(5, 8))
    assert_shown(reconstructed(explorer, shape=(5, 8)), explorer.reconstructions, shape=(5, 8))
    assert_shown(traversed(explorer, shape=(5, 8)), explorer.traversal, shape=(5, 8))


def test_models_trained_on_grey_levels_see_grey_levels():
    sweep = [a_run(beta, binarize="none", likelihood="gaussian") for beta in (1.0, 2.0)]
    explorer = explore_beta(sweep, TEST)
    assert len(explorer.x.unique()) > 10
    assert_shown(originals(explorer), explorer.x[explorer.shown])


def test_at_most_1000_images_are_measured_and_the_ten_shown_are_of_ten_classes():
    data = load("digits")
    explorer = explore_beta([a_run(beta, binarize="none", likelihood="gaussian") for beta in (1.0, 2.0)], data)
    assert explorer.x.shape == (1000, 64)
    same = (explorer.x[explorer.shown, None] == binarize(data.x, "none")).all(-1)
    assert sorted(data.y[same.int().argmax(1)].tolist()) == list(range(10))


def test_floats_without_classes_are_drawn_from_black_to_white():
    sweep = [a_run(beta, binarize="none", likelihood="gaussian") for beta in (1.0, 2.0)]
    explorer = explore_beta(sweep, Dataset(10 * TEST.x.float() / 255 - 5, image_shape=(8, 8)))
    assert explorer.x.min() == -5
    assert_shown(originals(explorer), (explorer.x[explorer.shown] + 5) / 10)
    assert_shown(reconstructed(explorer), (explorer.reconstructions + 5) / 10)


def test_fewer_than_ten_images_will_do(sweep):
    few = replace(TEST, x=TEST.x[:3], y=TEST.y[:3])
    explorer = explore_beta(sweep, few)
    assert explorer.controls["image"].max == 3
    assert sorted(explorer.shown.tolist()) == [0, 1, 2]


# Os números


@pytest.mark.parametrize("beta", SCALES)
def test_the_numbers_are_those_of_the_chosen_model(explorer, sweep, beta):
    put(explorer, beta=beta)
    model = model_of(sweep, explorer)
    assert (explorer.rate, explorer.distortion) == rate_distortion(model, explorer.x)
    assert explorer.elbo == -explorer.rate - explorer.distortion
    torch.testing.assert_close(explorer.kl, kl_per_dimension(model, explorer.x))
    assert explorer.active == active_units(model, explorer.x)
    expected = 0.5 * (torch.tensor(SCALES[beta]) * explorer.x[:, 26:30]).square().mean(0)
    torch.testing.assert_close(explorer.kl, expected)
    assert explorer.rate == pytest.approx(expected.sum().item(), rel=1e-5)


def printed(words: str) -> list[Decimal]:
    """Os números que se leem em `words`, com vírgula e sinal de menos tipográfico."""
    found = re.findall("[-−]?[0-9]+(?:,[0-9]+)?", words)
    return [Decimal(number.replace("−", "-").replace(",", ".")) for number in found]


@pytest.mark.parametrize("beta", SCALES)
def test_the_text_says_the_numbers(explorer, beta):
    put(explorer, beta=beta)
    *said, active, latents = printed(explorer.summary)
    elbo = -explorer.rate - explorer.distortion
    expected = [beta, explorer.rate, explorer.distortion, elbo, explorer.distortion + beta * explorer.rate]
    for number, value, error in zip(said, expected, (0, 0.01, 0.01, 0.005, 0.015 + 0.01 * beta), strict=True):
        assert float(number) == pytest.approx(value, abs=error + 1e-9)
    assert (active, latents) == (explorer.active, 4)
    for part in explorer.summary.split(" · "):
        name, value = part.rsplit(" ", 1 if part.startswith("β") else 2 if part.endswith("nats") else 3)[0], part
        assert name in explorer.caption.value
        assert f">{value.removeprefix(name).strip()}<" in explorer.caption.value


def test_the_sums_are_right_as_printed(explorer):
    """Com taxas e distorções em que arredondar cada número por si daria somas erradas."""
    generator, wrong = np.random.default_rng(0), 0
    for rate, distortion in generator.uniform((0, 10), (30, 200), (100, 2)):
        for beta in (0, 0.25, 4, 32):
            numbers = explorer.numbers._replace(rate=rate, distortion=distortion, beta=beta)
            words = explorer.describe(numbers).split(" nats")
            shown_rate, shown_distortion, elbo, loss = (printed(part)[-1] for part in words[:4])
            assert float(shown_rate) == pytest.approx(rate, abs=0.01)
            assert float(shown_distortion) == pytest.approx(distortion, abs=0.01)
            assert elbo == -(shown_distortion + shown_rate)
            assert abs(loss - (shown_distortion + Decimal(beta) * shown_rate)) <= Decimal("0.005")
        wrong += round(-rate - distortion, 2) != round(-(round(distortion, 2) + round(rate, 2)), 2)
    assert wrong > 5


def test_latents_are_in_order_of_their_divergence_in_each_model(explorer):
    orders = []
    for beta in SCALES:
        put(explorer, beta=beta)
        assert explorer.kl[explorer.order].diff().max() <= 0
        assert sorted(explorer.order) == list(range(4))
        orders.append(explorer.order[0])
    assert orders == [1, 2, 0]


# Os gráficos


def chosen_point(explorer) -> tuple[float, float]:
    """(coluna, linha) do centro do disco: onde um quadrado de 21 pontos cabe inteiro na cor dele."""
    mask = painted(explorer, ORANGE, top=module._PICTURES, right=330)
    rows, columns = np.nonzero(np.lib.stride_tricks.sliding_window_view(mask, (21, 21)).all((-1, -2)))
    assert len(rows)
    return columns.mean(), rows.mean()


def test_the_highlighted_point_is_at_the_rate_and_the_distortion(explorer):
    points, values = [], []
    for beta in SCALES:
        put(explorer, beta=beta)
        points.append(chosen_point(explorer))
        values.append((explorer.rate, explorer.distortion))
    points, values = np.array(points), np.array(values)
    for axis, direction in ((0, 1), (1, -1)):
        slope, intercept = np.polyfit(values[:, axis], points[:, axis], 1)
        assert np.sign(slope) == direction
        assert np.abs(slope * values[:, axis] + intercept - points[:, axis]).max() < 2
        assert np.ptp(points[:, axis]) > 200  # a curva ocupa o gráfico


def test_the_other_models_are_points_too(explorer, two_seeds):
    """O que a cor dos outros cobre são os dois outros pontos, a linha e o nome deles; o da semente é outra cor."""
    area = {"top": module._PICTURES + 24, "left": 60, "right": 330}
    alone = painted(explorer, PALE, **area).sum()
    dots = 3 * math.pi * 8**2
    with_others = painted(explore_beta(two_seeds, TEST), PALE, **area).sum()
    assert with_others - alone > 0.5 * dots
    assert painted(explorer, GREY, **area).sum() > 2 * math.pi * 8**2


def test_points_on_top_of_each_other_share_a_name_and_none_goes_without(monkeypatch):
    """Dois modelos mortos estão no mesmo lugar: escolhido um, o outro continua com nome."""
    dead = [a_run(beta, [0.0, 0.0]) for beta in (8.0, 32.0)]
    for run in dead:
        torch.nn.init.zeros_(run.model.decoder.weight)
        torch.nn.init.zeros_(run.model.decoder.bias)
    explorer, said = explore_beta([a_run(1.0, [2.0, 1.0]), *dead], TEST), []
    text = module.Panel.text
    monkeypatch.setattr(
        module.Panel,
        "text",
        lambda panel, x, y, words, *a, **k: said.append(words) or text(panel, x, y, words, *a, **k),
    )
    put(explorer, latent=2)
    assert "8 e 32" in said
    said.clear()
    put(explorer, beta=32.0)
    assert {"β = 32", "e 8", "1"} <= set(said)


@pytest.mark.parametrize(
    "distortions", [(80, 120, 500), (-1300, -1250, -900), (-300, -280, -250), (124.97, 125, 125.05)], ids=str
)
def test_however_long_the_numbers_the_axis_and_its_name_fit_in_the_picture(sweep, monkeypatch, distortions):
    measured = iter(RateDistortion(1.0, distortion) for distortion in distortions)
    monkeypatch.setattr(module, "rate_distortion", lambda *_, **__: next(measured))
    explorer = explore_beta(sweep, TEST)
    left_of_the_axis = pixels(explorer)[2 * module._PICTURES + 60 : -100, :116].sum(-1) < 600
    ink = np.flatnonzero(left_of_the_axis.any(0))
    gaps = np.flatnonzero(np.diff(ink) > 6)  # o nome do eixo, um vazio, os números
    assert ink[0] > 2
    assert len(gaps) > 0
    assert left_of_the_axis[:, : ink[gaps[0]] + 1].any(1).sum() > 100  # o nome é comprido e está em pé


def bars(explorer) -> list[tuple[int, int]]:
    """(pontos azuis, pontos cinzentos) na coluna do meio de cada barra, abaixo do texto."""
    right, width = module._WIDTH - 6, module._CHART
    found = []
    for place in range(4):
        column = round(right - width + (place + 0.5) * width / 4)
        inside = {"left": column, "right": column + 1, "top": module._PICTURES + 62, "bottom": module._HEIGHT - 46}
        found.append(tuple(int(painted(explorer, color, **inside)[:, 0].sum()) for color in (BLUE, PALE)))
    return found


@pytest.mark.parametrize("beta", SCALES)
def test_bars_are_as_tall_as_the_divergences_and_blue_if_active(explorer, beta):
    put(explorer, beta=1.0, latent=4)
    tallest = max(sum(bar) for bar in bars(explorer)) / explorer.kl.max().item()
    put(explorer, beta=beta)
    variance = (torch.tensor(SCALES[beta]) * explorer.x[:, 26:30]).var(0)
    for j, (blue, grey) in zip(explorer.order, bars(explorer), strict=True):
        assert (blue > 0, grey > 0) in [(bool(variance[j] > 0.01), not variance[j] > 0.01), (False, False)]
        height = min(tallest * explorer.kl[j].item(), 2 * (module._HEIGHT - module._PICTURES - 108))
        assert blue + grey == pytest.approx(height, abs=9)


def test_the_frame_the_arrow_and_the_outlined_bar_follow_what_is_chosen(explorer, sweep):
    for image, rank in ((1, 1), (4, 2), (10, 3)):
        put(explorer, image=image, latent=rank)
        frame = np.flatnonzero(painted(explorer, ORANGE, bottom=module._SPLIT - 2).any(0))
        center = module._LABEL + (image - 0.5) * module._STEP
        assert (frame.min() + frame.max()) / 4 == pytest.approx(center, abs=1)

        value = codes(model_of(sweep, explorer), explorer)[image - 1, explorer.order[rank - 1]].item()
        below = module._WIDE_LINE + 41
        arrow = np.flatnonzero(painted(explorer, ORANGE, top=below, bottom=below + 8).any(0))
        center = module._LABEL + (value + 3.5) * module._WIDE_STEP
        assert arrow.mean() / 2 == pytest.approx(center, abs=1)

        outline = np.flatnonzero(painted(explorer, ORANGE, left=345, top=module._PICTURES).any(0)) / 2 + 345
        center = module._WIDTH - 6 - module._CHART * (1 - (rank - 0.5) / 4)
        assert (outline.min() + outline.max()) / 2 == pytest.approx(center, abs=2)


# Os controles


@pytest.mark.parametrize("change", [{"beta": 4.0}, {"image": 2}, {"latent": 2}], ids=lambda change: next(iter(change)))
def test_each_control_changes_the_picture(explorer, change):
    before = explorer.picture.value
    put(explorer, **change)
    assert explorer.picture.value != before


def test_the_seed_chooses_among_models_of_the_same_beta(two_seeds):
    explorer = explore_beta(two_seeds, TEST)
    assert explorer.controls["seed"].layout.display is None
    before = explorer.picture.value
    explorer.controls["seed"].set_state({"index": 1})
    assert explorer.picture.value != before
    assert "semente 8" in explorer.summary
    model = two_seeds[4].model
    assert (explorer.rate, explorer.distortion) == rate_distortion(model, explorer.x)
    torch.testing.assert_close(explorer.reconstructions, decoded(model, codes(model, explorer)))
    assert_shown(reconstructed(explorer), explorer.reconstructions)


def test_a_single_seed_is_not_a_choice(explorer):
    assert explorer.controls["seed"].layout.display == "none"
    assert "semente" not in explorer.summary


def test_the_betas_are_in_order_and_it_starts_at_the_one_closest_to_1(sweep):
    explorer = explore_beta(list(reversed(sweep)), TEST)
    assert [value for _, value in explorer.controls["beta"].options] == [0.5, 1.0, 4.0]
    assert [label for label, _ in explorer.controls["beta"].options] == ["0,5", "1", "4"]
    assert explorer.controls["beta"].value == 1.0
    assert explore_beta([a_run(8), a_run(0.25), a_run(0)], TEST).controls["beta"].value == 0.25


def test_the_picture_depends_on_the_controls_alone(explorer, sweep):
    put(explorer, beta=4.0, image=3, latent=2)
    other = explore_beta(list(reversed(sweep)), TEST)
    assert other.picture.value != explorer.picture.value
    put(other, latent=2, beta=4.0, image=3)
    assert other.picture.value == explorer.picture.value


def test_every_move_decodes_once(explorer, sweep, monkeypatch):
    decodings = []
    for run in sweep:
        decode = run.model.decode
        monkeypatch.setattr(run.model, "decode", lambda z, decode=decode: decodings.append(z) or decode(z))
    for change in ({"beta": 4.0}, {"image": 5}, {"latent": 3}):
        decodings.clear()
        put(explorer, **change)
        assert len(decodings) == 1


# Sem dados


def test_without_data_the_images_are_drawn_from_the_model_closest_to_beta_1(sweep):
    explorer = explore_beta(sweep)
    assert explorer.x.unique().tolist() == [0, 1]
    expected = decoded(sweep[1].model, torch.randn(20_000, 4)).mean(0)
    standard_error = 0.5 / math.sqrt(len(explorer.x))
    assert (explorer.x.mean(0) - expected).abs().max() < 5 * standard_error
    assert_shown(originals(explorer), explorer.x[explorer.shown])
    assert "sorteadas do modelo de β = 1" in repr(explorer)
    assert explore_beta(sweep).picture.value == explorer.picture.value


def test_without_data_the_image_must_be_square():
    with pytest.raises(ValueError, match=r"D = 40 pixels.*explore_beta\(sweep, data\)"):
        explore_beta([a_run(beta, data_dim=40) for beta in (1.0, 2.0)])


# O que ele promete a quem o usa


def test_it_takes_what_fit_many_gives():
    torch.manual_seed(0)
    runs = fit_many(
        mlp_vae(64, 3, (16,)),
        TEST,
        TrainConfig(epochs=1, device="cpu"),
        sweep={"beta": [0, 1, 20], "seed": [0, 1]},
        progress=False,
    )
    explorer = explore_beta(runs, TEST)
    assert repr(explorer) == "BetaExplorer(3 valores de β × 2 sementes, 355 imagens de 'digits')"
    for run in runs:
        put(explorer, beta=run.config.beta, seed=run.config.seed)
        torch.testing.assert_close(explorer.reconstructions, decoded(run.model, codes(run.model, explorer)))


def widgets_inside(widget):
    for child in getattr(widget, "children", ()):
        yield child
        yield from widgets_inside(child)


def test_it_says_what_was_measured_and_what_is_shown(explorer):
    shown = list(widgets_inside(explorer))
    assert explorer.caption in shown
    words = " ".join(widget.value for widget in shown if isinstance(widget, ipywidgets.HTML))
    assert "355 imagens de 'digits'" in words
    assert "não uma amostra" in words


def test_without_a_kernel_there_is_still_the_same_picture(explorer):
    put(explorer, beta=4.0)
    bundle = explorer._repr_mimebundle_()
    assert bundle["text/plain"] == repr(explorer) == "BetaExplorer(3 valores de β, 355 imagens de 'digits')"
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert base64.b64decode(bundle["image/png"]) == explorer.picture.value


def test_exploring_changes_neither_the_models_nor_the_global_random_state(sweep):
    sweep = [run._replace(model=mlp_vae(64, 3, (16,))) for run in sweep]
    for run in sweep:
        run.model.decoder.append(torch.nn.Dropout(0.5))
        run.model.encoder.eval()
    before = [{name: value.clone() for name, value in run.model.state_dict().items()} for run in sweep]
    modes = [[module.training for module in run.model.modules()] for run in sweep]
    state = torch.get_rng_state()
    for data in (TEST, None):
        put(explore_beta(sweep, data), beta=4.0, image=2, latent=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert [[module.training for module in run.model.modules()] for run in sweep] == modes
    for run, weights in zip(sweep, before, strict=True):
        assert all(torch.equal(value, weights[name]) for name, value in run.model.state_dict().items())


def test_models_left_in_training_mode_are_measured_in_evaluation_mode(sweep):
    sweep = [run._replace(model=mlp_vae(64, 3, (16,))) for run in sweep]
    for run in sweep:
        run.model.decoder.append(torch.nn.Dropout(0.5))
    explorer = explore_beta(sweep, TEST)
    model = model_of(sweep, explorer).eval()
    assert (explorer.rate, explorer.distortion) == rate_distortion(model, explorer.x)
    torch.testing.assert_close(explorer.reconstructions, decoded(model, codes(model, explorer)))


# O que não serve


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        (a_run(1.0), "lista de execuções que fit_many devolve, mas veio Run"),
        (handmade_vae([1.0]), "mas veio VAE"),
        ([handmade_vae([1.0])], r"Run\(model, history, config\).*mas veio VAE"),
        ([(handmade_vae([1.0]), History(), TrainConfig())], "mas veio tuple"),
        ([Run(categorical_vae(64, 2, 3), History(), TrainConfig())], "latentes normais.*CategoricalVAE"),
        ([Run(torch.nn.Linear(3, 2), History(), TrainConfig())], "mas veio Linear"),
    ],
    ids=["run", "vae", "list_of_vae", "tuple", "categorical", "other_module"],
)
def test_what_is_not_a_sweep_is_refused(sweep, message):
    with pytest.raises(TypeError, match=message):
        explore_beta(sweep, TEST)


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ([], "ao menos dois valores de β.*zero execuções"),
        ([a_run(0.5)], "ao menos dois valores de β.*só β = 0,5"),
        ([a_run(1.0, seed=0), a_run(1.0, seed=1)], "só β = 1"),
        ([a_run(1.0), a_run(4.0), a_run(1.0)], "mais de uma execução com β = 1 e semente 0"),
        ([a_run(1.0), a_run(4.0), a_run(0.5, seed=2)], "mesmas sementes.*β = 0,5 com semente 0; β = 1 com semente 2"),
        ([a_run(1.0), a_run(4.0, data_dim=36)], "mesmo número de pixels, mas vieram 36, 64"),
        ([a_run(1.0), a_run(4.0, [1.0])], "mesmo número de latentes, mas vieram 1, 2"),
        ([a_run(1.0), a_run(4.0, binarize="none")], "mesmo modo de binarização, mas vieram dynamic, none"),
    ],
    ids=["empty", "one_beta", "one_beta_two_seeds", "repeated", "incomplete", "pixels", "latents", "binarize"],
)
def test_a_sweep_that_cannot_be_compared_is_refused(sweep, message):
    with pytest.raises(ValueError, match=message):
        explore_beta(sweep, TEST)


def test_data_of_another_kind_are_refused(sweep):
    with pytest.raises(TypeError, match="deve ser um Dataset, mas veio Tensor"):
        explore_beta(sweep, TEST.x)
    with pytest.raises(ValueError, match="imagens de 64 pixels, mas 'digits' tem x de forma \\(355, 40\\)"):
        explore_beta(sweep, replace(TEST, x=TEST.x[:, :40], image_shape=(5, 8)))
    with pytest.raises(ValueError, match="não é de imagens em tons de cinza: image_shape deve ser"):
        explore_beta(sweep, replace(TEST, image_shape=None))
    with pytest.raises(ValueError, match="ao menos duas imagens"):
        explore_beta(sweep, replace(TEST, x=TEST.x[:1], y=TEST.y[:1]))


def test_a_model_that_gives_nan_is_named():
    sweep = [a_run(1.0), a_run(4.0)]
    with torch.no_grad():
        sweep[1].model.decoder.bias[3] = math.nan
    with pytest.raises(ValueError, match="β = 4 e semente 0 devolveu NaN"):
        explore_beta(sweep, TEST)
