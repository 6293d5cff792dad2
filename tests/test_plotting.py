"""O que cada figura mostra, conferido nos dados desenhados; depois, o que cada função recusa."""

import base64
import io
import re

import matplotlib.image
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from traitlets.config import Config

from vae_lessons import plotting, style
from vae_lessons.distributions import Normal
from vae_lessons.models import categorical_vae, mlp_vae
from vae_lessons.training import History

SHAPE = (2, 3)


def some_images(n: int) -> torch.Tensor:
    return torch.rand(n, 6, generator=torch.Generator().manual_seed(0))


def some_model(latent_dim: int = 2):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return mlp_vae(6, latent_dim, hidden=(8,))


def some_history(*, validation: bool = True, beta=(1.0, 1.0, 1.0), offset: float = 0.0) -> History:
    history = History(
        elbo=[-30.0 + offset, -20.0 + offset, -15.0 + offset],
        log_likelihood=[-29.0, -17.0, -11.0],
        kl=[1.0, 3.0, 4.0],
        seconds=[0.1] * 3,
        beta=list(beta),
    )
    if validation:
        history.val_elbo, history.val_log_likelihood, history.val_kl = [-31.0, -22, -18], [-30.0, -20, -15], [1.0, 2, 3]
    return history


def drawn(fig: Figure) -> list[np.ndarray]:
    return [np.asarray(image.get_array()) for image in fig.axes[0].images]


def texts(fig: Figure) -> list[str]:
    return [text.get_text() for text in fig.axes[0].texts]


def curve(line) -> tuple[list, list]:
    return list(line.get_xdata()), list(line.get_ydata())


@pytest.fixture
def published(tmp_path, monkeypatch):
    """As saídas que um notebook receberia, como dicionários com data e metadata."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    shell.display_pub = CapturingDisplayPublisher()
    yield shell.display_pub.outputs
    InteractiveShell.clear_instance()


# show


def test_show_publishes_the_picture_with_its_alternative_text(published):
    fig = plotting.image_grid(some_images(2), SHAPE)
    assert plotting.show(fig, 'Dois "dígitos" <pequenos>') is None
    (output,) = published
    assert base64.b64decode(output["data"]["image/png"]) == plotting.png(fig, dpi=110)
    assert output["data"]["text/plain"] == 'Dois "dígitos" <pequenos>'
    assert output["metadata"] == {"image/png": {"alt": 'Dois "dígitos" <pequenos>'}}


def test_html_of_show_has_the_alternative_text_that_jupyterlab_would_drop_from_a_png(published):
    plotting.show(plotting.image_grid(some_images(2), SHAPE), 'Dois "dígitos" <pequenos>')
    data = published[0]["data"]
    assert data["text/html"].startswith(
        '<img alt="Dois &quot;dígitos&quot; &lt;pequenos&gt;" src="data:image/png;base64'
    )
    assert data["image/png"] in data["text/html"]


def test_show_closes_a_figure_that_pyplot_keeps_open(published):
    fig = plt.figure()
    plotting.show(fig, "Uma figura vazia")
    assert fig.number not in plt.get_fignums()


def test_show_refuses_what_is_not_a_figure(published):
    with pytest.raises(TypeError, match=r"espera uma figura do matplotlib .* veio Axes"):
        plotting.show(Figure().subplots(), "Um eixo vazio")
    assert published == []


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_show_refuses_a_picture_without_alternative_text(published, alt):
    with pytest.raises(ValueError, match="texto alternativo"):
        plotting.show(plotting.image_grid(some_images(1), SHAPE), alt)
    assert published == []


def test_the_same_figure_gives_the_same_bytes():
    first, second = (plotting.png(plotting.latent_manifold(some_model(), SHAPE, n=3)) for _ in range(2))
    assert first == second


def test_png_size_is_inches_times_dpi():
    pixels = matplotlib.image.imread(io.BytesIO(plotting.png(Figure(figsize=(2, 1)), dpi=50)))
    assert pixels.shape[:2] == (50, 100)


def test_no_figure_is_left_in_pyplot_and_no_setting_changes():
    settings = dict(plt.rcParams)
    x, model = some_images(4), some_model()
    plotting.reconstructions(x, x, SHAPE)
    plotting.samples(x, x, SHAPE)
    plotting.latent_manifold(model, SHAPE, n=2)
    plotting.training_curves(some_history())
    plotting.latent_scatter(torch.randn(4, 2), torch.arange(4))
    assert plt.get_fignums() == []
    assert dict(plt.rcParams) == settings


# o que vale para todas


def heatmap() -> Figure:
    fig = Figure()
    ax = fig.subplots()
    plotting.draw_heatmap(ax, torch.tensor([[0.25, 1.5]]), rows=["a"], columns=["b", "c"], label="KL (nats)")
    ax.set(xlabel="latente", ylabel="β")
    return fig


FIGURES = {
    "grade": lambda: plotting.image_grid(some_images(4), SHAPE, titles=list("abcd")),
    "reconstruções": lambda: plotting.reconstructions(some_images(4), some_images(4), SHAPE),
    "plano": lambda: plotting.latent_manifold(some_model(), SHAPE, n=4),
    "curvas": lambda: plotting.training_curves(some_history(beta=(0.25, 0.5, 1.0))),
    "comparação": lambda: plotting.training_curves({"a": some_history(), "b": some_history(offset=0.3)}),
    "nuvem": lambda: plotting.latent_scatter(0.1 * torch.randn(9, 2), torch.arange(9) % 3),
    "tabela": heatmap,
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_writes_numbers_with_a_decimal_comma_and_names_its_axes(name):
    fig = FIGURES[name]()
    plotting.png(fig)
    written = [text.get_text() for text in fig.findobj(matplotlib.text.Text) if text.get_visible()]
    assert not [text for text in written if re.search(r"\d\.\d|^-\d", text)]
    axes = [ax for ax in fig.axes if ax.axison and ax.get_label() != "<colorbar>"]
    assert all(ax.get_xlabel() for ax in axes if ax.xaxis.get_visible())
    assert not axes or axes[0].get_ylabel()


def test_png_puts_commas_in_a_figure_that_the_package_did_not_draw():
    fig = plt.figure()
    fig.subplots().plot([0.0, 0.5], [-0.25, 0.25])
    plotting.png(fig)
    labels = [label.get_text() for label in fig.axes[0].get_yticklabels()]
    assert "−0,2" in labels
    plt.close(fig)


def test_a_table_is_written_in_each_cell_in_letters_that_stand_out():
    texts = heatmap().axes[0].texts
    assert [(text.get_text(), text.get_position(), text.get_color()) for text in texts] == [
        ("0,25", (0, 0), style.BLACK),
        ("1,50", (1, 0), style.WHITE),
    ]


# grades de imagens


def test_grid_draws_the_pixels_it_was_given():
    images = some_images(5)
    pictures = drawn(plotting.image_grid(images, SHAPE, columns=3))
    np.testing.assert_array_equal(np.stack(pictures), images.reshape(5, 2, 3).numpy())


def test_grid_shows_black_as_zero_and_white_as_one_whatever_the_images():
    fig = plotting.image_grid(torch.full((2, 6), 0.4), SHAPE)
    assert [image.get_clim() for image in fig.axes[0].images] == [(0, 1), (0, 1)]


def test_grid_goes_left_to_right_then_down_without_overlaps():
    fig = plotting.image_grid(some_images(5), SHAPE, columns=3)
    corners = [(image.get_extent()[0], image.get_extent()[2]) for image in fig.axes[0].images]
    assert corners == sorted(corners, key=lambda corner: (-corner[1], corner[0]))
    assert len({y for _, y in corners}) == 2
    right_of_first = fig.axes[0].images[0].get_extent()[1]
    assert right_of_first < corners[1][0]


def test_grid_keeps_pixels_square():
    fig = plotting.image_grid(some_images(1), SHAPE)
    left, right, bottom, top = fig.axes[0].images[0].get_extent()
    assert (right - left) / (top - bottom) == pytest.approx(3 / 2)


@pytest.mark.parametrize("columns", [2, 10, 30])
def test_grid_is_never_wider_than_the_page_nor_cuts_its_labels(columns):
    fig = plotting.image_grid(some_images(columns), SHAPE, columns=columns, row_titles=["um rótulo bem comprido"])
    fig.draw_without_rendering()
    assert fig.get_size_inches()[0] <= 8.2 + 1e-6
    assert all(text.get_window_extent().x0 >= 0 for text in fig.axes[0].texts)


def test_grid_writes_row_labels_and_titles():
    fig = plotting.image_grid(some_images(4), SHAPE, columns=2, row_titles=["a", "b"], titles=list("1234"))
    assert sorted(texts(fig)) == ["1", "2", "3", "4", "a", "b"]


def test_reconstructions_put_each_original_above_its_decoded_mean():
    x, mean = some_images(6).split(3)
    fig = plotting.reconstructions(x, mean, SHAPE)
    images = fig.axes[0].images
    np.testing.assert_array_equal(np.stack(drawn(fig)), torch.cat([x, mean]).reshape(6, 2, 3).numpy())
    assert [image.get_extent()[0] for image in images[:3]] == [image.get_extent()[0] for image in images[3:]]
    assert texts(fig) == ["original", "média decodificada"]


def test_reconstructions_name_the_sample_as_a_sample():
    x = some_images(3)
    fig = plotting.reconstructions(x, x, SHAPE, sample=x.round())
    assert texts(fig) == ["original", "média decodificada", "amostra"]
    np.testing.assert_array_equal(np.stack(drawn(fig)[6:]), x.round().reshape(3, 2, 3).numpy())


def test_samples_and_means_are_labelled_as_different_things():
    mean = some_images(3)
    fig = plotting.samples(mean, mean.bernoulli(), SHAPE)
    assert texts(fig) == ["média de p(x|z)", "amostra de p(x|z)"]
    np.testing.assert_array_equal(np.stack(drawn(fig)[:3]), mean.reshape(3, 2, 3).numpy())


def test_tensors_that_need_gradients_can_be_drawn():
    mean = some_images(2).requires_grad_()
    assert len(drawn(plotting.reconstructions(mean, mean, SHAPE))) == 4


# plano latente


def cell(fig: Figure, row: int, column: int) -> np.ndarray:
    """A imagem da grade, contada a partir do canto de cima, à esquerda; entre imagens há um pixel de moldura."""
    (mosaic,) = drawn(fig)
    return mosaic[row * 3 : row * 3 + 2, column * 4 : column * 4 + 3]


def test_manifold_centre_is_the_decoded_prior_mean():
    model = some_model(4)
    fig = plotting.latent_manifold(model, SHAPE, n=5)
    expected = model.decode(torch.zeros(4)).mean.detach().reshape(SHAPE)
    np.testing.assert_allclose(cell(fig, 2, 2), expected.numpy(), atol=1e-6)


@pytest.mark.parametrize("dims", [(0, 1), (2, 0)])
def test_manifold_corner_is_at_the_prior_quantiles_with_second_latent_pointing_up(dims):
    model = some_model(3)
    fig = plotting.latent_manifold(model, SHAPE, n=4, dims=dims)
    z = torch.zeros(3)
    extreme = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(1 / 8))
    z[dims[0]], z[dims[1]] = extreme, -extreme  # em cima, à esquerda
    np.testing.assert_allclose(cell(fig, 0, 0), model.decode(z).mean.detach().reshape(SHAPE).numpy(), atol=1e-6)


class WithPrior(torch.nn.Module):
    """O decodificador de um modelo, sob outra prior."""

    latent_dim = 2

    def __init__(self, model, prior):
        super().__init__()
        self.model, self.prior, self.decode = model, prior, model.decode


def test_manifold_follows_a_normal_prior_wherever_it_is():
    model = WithPrior(some_model(), Normal(torch.tensor([10.0, 0.0]), torch.tensor([4.0, 1.0]).log()))
    fig = plotting.latent_manifold(model, SHAPE, n=3)
    assert [tick.get_text() for tick in fig.axes[0].get_xticklabels()] == ["8,1", "10,0", "11,9"]  # ±2·Φ⁻¹(5/6)
    expected = model.decode(torch.tensor([[10.0, 0.0]])).mean.detach().reshape(SHAPE)
    np.testing.assert_allclose(cell(fig, 1, 1), expected.numpy(), atol=1e-6)


def test_manifold_refuses_a_prior_whose_quantiles_nobody_knows():
    with pytest.raises(TypeError, match="prior Normal, mas a do modelo é Categorical"):
        plotting.latent_manifold(categorical_vae(6, 2, 3, hidden=(8,)), SHAPE)
    model = WithPrior(some_model(), torch.distributions.Laplace(torch.zeros(2), torch.ones(2)))
    with pytest.raises(TypeError, match=r"prior Normal, mas a do modelo é Laplace\. .* image_grid"):
        plotting.latent_manifold(model, SHAPE)


def test_manifold_decodes_in_evaluation_mode_and_gives_the_model_back_as_it_was():
    model = some_model()
    model.decoder = torch.nn.Sequential(model.decoder, torch.nn.BatchNorm1d(6), torch.nn.Dropout(0.5))
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, second = (drawn(plotting.latent_manifold(model, SHAPE, n=3))[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_manifold_axes_give_the_value_of_z():
    ax = plotting.latent_manifold(some_model(3), SHAPE, n=3, dims=(2, 0)).axes[0]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["−1,0", "0,0", "1,0"]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["−1,0", "0,0", "1,0"]
    assert ax.get_xlabel().startswith("z₃")
    assert ax.get_ylabel() == "z₁"


def test_manifold_ticks_are_at_the_middle_of_each_image():
    fig = plotting.latent_manifold(some_model(), SHAPE, n=3)
    (mosaic,), ax = drawn(fig), fig.axes[0]
    left, right, bottom, top = ax.images[0].get_extent()
    assert (right - left, top - bottom) == mosaic.shape[::-1]
    np.testing.assert_allclose(np.array(ax.get_xticks()) - left, [1.5, 5.5, 9.5])
    np.testing.assert_allclose(np.array(ax.get_yticks()) - bottom, [1, 4, 7])


def test_scatter_puts_every_code_in_the_colour_of_its_class():
    codes, labels = torch.randn(30, 2, generator=torch.Generator().manual_seed(0)), torch.arange(30) % 3
    ax = plotting.latent_scatter(codes, labels).axes[0]
    for label, points in enumerate(ax.collections):
        np.testing.assert_allclose(points.get_offsets(), codes[labels == label].numpy(), rtol=1e-6)
        assert matplotlib.colors.same_color(points.get_facecolor()[0, :3], plotting.CLASS_COLORS[label])


def test_scatter_writes_each_class_at_its_centroid():
    codes = torch.tensor([[0.0, 0.0], [2.0, 4.0], [-1.0, -1.0]])
    fig = plotting.latent_scatter(codes, torch.tensor([7, 7, 3]), prior_circles=False)
    assert {t.get_text(): t.get_position() for t in fig.axes[0].texts} == {"7": (1.0, 2.0), "3": (-1.0, -1.0)}


def test_scatter_writes_the_names_of_the_classes():
    codes = torch.tensor([[0.0, 0.0], [2.0, 4.0], [-1.0, -1.0]])
    fig = plotting.latent_scatter(codes, torch.tensor([0, 0, 2]), prior_circles=False, class_names=["V", "A", "E"])
    assert {t.get_text() for t in fig.axes[0].texts} == {"V", "E"}
    with pytest.raises(ValueError, match="um nome para cada classe, de 0 a 2, mas tem 2"):
        plotting.latent_scatter(codes, torch.tensor([0, 0, 2]), class_names=["V", "A"])


@pytest.mark.parametrize("prior_circles", [True, False])
@pytest.mark.parametrize("scale", [(0.2, 0.1), (9.0, 1.0), (1.0, 30.0)])
def test_scatter_is_square_with_every_code_and_no_empty_band(prior_circles, scale):
    codes = torch.rand(50, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor(scale)
    ax = plotting.latent_scatter(codes, prior_circles=prior_circles).axes[0]
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert right - left == pytest.approx(top - bottom)
    assert (codes.amin(0) > torch.tensor([left, bottom])).all()
    assert (codes.amax(0) < torch.tensor([right, top])).all()
    ax.figure.draw_without_rendering()
    assert ax.get_window_extent().width > 0.8 * ax.figure.bbox.width


def test_scatter_circles_are_at_one_two_and_three_prior_standard_deviations():
    codes, labels = torch.randn(5, 2), torch.zeros(5, dtype=torch.int64)
    with_circles, without = (plotting.latent_scatter(codes, labels, prior_circles=on).axes[0] for on in (True, False))
    assert [p.radius for p in with_circles.patches if isinstance(p, Circle)] == [1, 2, 3]
    assert len(without.patches) == 0
    assert with_circles.get_aspect() == 1


def test_scatter_of_chosen_dims_names_them():
    codes = torch.tensor([[1.0, 2.0, 3.0]])
    ax = plotting.latent_scatter(codes, torch.tensor([0]), dims=(2, 1)).axes[0]
    assert ax.collections[0].get_offsets().tolist() == [[3.0, 2.0]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("z₃", "z₂")


def test_scatter_without_labels_draws_every_code_in_one_colour():
    codes = torch.randn(7, 2, generator=torch.Generator().manual_seed(0))
    ax = plotting.latent_scatter(codes, prior_circles=False).axes[0]
    (points,) = ax.collections
    np.testing.assert_allclose(points.get_offsets(), codes.numpy(), rtol=1e-6)
    assert len(ax.texts) == 0


# curvas de treino


def recorded(**series) -> History:
    return History(**{"seconds": [0.1] * 3, "beta": [1.0] * 3} | series)


@pytest.mark.parametrize("names", [("reconstruction",), ("elbo", "kl_1", "kl_2", "kl_3"), ("a", "b", "c", "d", "e")])
def test_curves_are_whatever_was_recorded_one_panel_each_by_name(names):
    series = {name: [float(i), i + 0.5, i + 1.0] for i, name in enumerate(names)}
    validation = {f"val_{name}": [value - 1 for value in values] for name, values in series.items()}
    panels = plotting.training_curves(recorded(**series, **validation)).axes
    assert [panel.get_title() for panel in panels] == ["ELBO" if name == "elbo" else name for name in names]
    for panel, values in zip(panels, series.values(), strict=True):
        assert [curve(line)[1] for line in panel.lines] == [values, [value - 1 for value in values]]
    assert [bool(panel.get_ylabel()) for panel in panels] == [i % 3 == 0 for i in range(len(names))]


def test_comparison_of_runs_that_recorded_different_things_names_every_run():
    runs = {"ELBO": some_history(validation=False), "VQ": recorded(elbo=[1.0, 2, 3], commitment=[3.0, 2, 1])}
    fig = plotting.training_curves(runs)
    assert [len(panel.lines) for panel in fig.axes] == [2, 1, 1, 1]
    assert fig.axes[3].get_title() == "commitment"
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["ELBO (treino)", "VQ (treino)"]


def test_a_changing_beta_goes_with_the_last_panel_when_there_is_no_kl():
    history = recorded(elbo=[1.0, 2, 3], beta=[0.0, 0.5, 1.0])
    assert [curve(ax.lines[0])[1] for ax in plotting.training_curves(history).axes] == [history.elbo, history.beta]


def test_curves_show_the_elbo_and_its_two_terms_apart():
    history = some_history(validation=False)
    panels = plotting.training_curves(history).axes
    assert [curve(panel.lines[0]) for panel in panels] == [
        ([1, 2, 3], history.elbo),
        ([1, 2, 3], history.log_likelihood),
        ([1, 2, 3], history.kl),
    ]
    assert [len(panel.lines) for panel in panels] == [1, 1, 1]
    assert panels[0].get_ylabel() == "nats por imagem"
    assert {panel.get_xlabel() for panel in panels} == {"época"}


def test_curves_tell_validation_from_training_by_line_style_too():
    history = some_history()
    panels = plotting.training_curves(history).axes
    for panel, values in zip(panels, (history.val_elbo, history.val_log_likelihood, history.val_kl), strict=True):
        train, validation = panel.lines
        assert curve(validation)[1] == values
        assert train.get_linestyle() != validation.get_linestyle()
        assert train.get_color() != validation.get_color()
    assert [text.get_text() for text in panels[0].get_legend().get_texts()] == ["treino", "validação"]


def test_beta_is_drawn_only_when_it_changes():
    fixed, warming = (plotting.training_curves(some_history(beta=beta)) for beta in ((1.0,) * 3, (0.2, 0.6, 1.0)))
    assert len(fixed.axes) == 3
    assert len(warming.axes) == 4
    assert curve(warming.axes[3].lines[0]) == ([1, 2, 3], [0.2, 0.6, 1.0])
    assert warming.axes[3].get_ylabel().startswith("β")


def test_comparison_draws_one_line_per_run_and_says_on_which_data():
    runs = {"a": some_history(), "b": some_history(validation=False, offset=2.0)}
    fig = plotting.training_curves(runs)
    first, second = fig.axes[0].lines
    assert curve(first)[1] == runs["a"].val_elbo
    assert curve(second)[1] == runs["b"].elbo
    assert first.get_linestyle() != second.get_linestyle()
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["a (validação)", "b (treino)"]


def test_history_plots_itself():
    assert isinstance(some_history().plot(), Figure)


# o que cada função recusa


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(0, 6), "ao menos uma"),
        (torch.zeros(6), "forma"),
        (torch.zeros(2, 2, 3), r"mas veio \(2, 2, 3\)\. Passe antes por \.flatten\(1\)"),
        (torch.zeros(2, 7), "6 pixels, mas cada linha tem 7"),
        (torch.zeros(2, 6, dtype=torch.uint8), "divide por 255"),
    ],
)
def test_grid_refuses_what_are_not_images(images, message):
    with pytest.raises(ValueError, match=message):
        plotting.image_grid(images, SHAPE)


def test_numpy_arrays_are_refused_with_how_to_make_a_tensor():
    with pytest.raises(TypeError, match=r"As imagens .* veio ndarray\. Use torch\.from_numpy"):
        plotting.image_grid(np.zeros((2, 6)), SHAPE)
    with pytest.raises(TypeError, match=r"Os códigos .* veio ndarray\. Use torch\.from_numpy"):
        plotting.latent_scatter(np.zeros((2, 2)))


@pytest.mark.parametrize("image_shape", [None, (1, 2, 3), 6])
def test_grid_refuses_a_shape_that_is_not_height_and_width(image_shape):
    with pytest.raises(ValueError, match=r"image_shape deve ser \(altura, largura\), mas veio"):
        plotting.image_grid(some_images(2), image_shape)


@pytest.mark.parametrize("names", [{"rows": ["a", "b"], "columns": ["c"]}, {"rows": ["a"], "columns": []}])
def test_table_refuses_names_that_do_not_fit(names):
    with pytest.raises(ValueError, match="deve ter um texto para cada uma das 1 "):
        plotting.draw_heatmap(Figure().subplots(), torch.ones(1, 1), **names)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": 0}, "columns"),
        ({"row_titles": ["a", "b"]}, "row_titles deve ter um texto para cada uma das 1 linhas, mas tem 2"),
        ({"titles": ["a"]}, "titles .* 3 imagens"),
    ],
)
def test_grid_refuses_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        plotting.image_grid(some_images(3), SHAPE, **options)


def test_reconstructions_refuse_rows_of_different_lengths():
    with pytest.raises(ValueError, match=r"original \(3, 6\), média decodificada \(2, 6\)"):
        plotting.reconstructions(some_images(3), some_images(2), SHAPE)


def test_samples_refuse_no_images():
    with pytest.raises(ValueError, match="ao menos uma"):
        plotting.samples(torch.zeros(0, 6), torch.zeros(0, 6), SHAPE)


@pytest.mark.parametrize(
    ("latent_dim", "options", "message"),
    [
        (2, {"n": 1}, "n .* ao menos 2"),
        (1, {}, "Z = 1"),
        (3, {"dims": (0, 3)}, "de 0 a 2"),
        (3, {"dims": (-1, 0)}, "de 0 a 2"),
        (3, {"dims": (1, 1)}, "diferentes"),
        (3, {"dims": (0, 1, 2)}, "dois latentes"),
    ],
)
def test_manifold_refuses_grids_that_do_not_exist(latent_dim, options, message):
    with pytest.raises(ValueError, match=message):
        plotting.latent_manifold(some_model(latent_dim), SHAPE, **options)


def test_manifold_refuses_an_image_shape_that_is_not_the_decoders():
    with pytest.raises(ValueError, match="12 pixels, mas cada linha tem 6"):
        plotting.latent_manifold(some_model(), (3, 4))


@pytest.mark.parametrize(("history", "came"), [([-30.0, -20.0], "list"), ({"a": 0.5}, "float"), (None, "NoneType")])
def test_curves_refuse_what_is_not_a_history(history, came):
    with pytest.raises(TypeError, match=f"espera um History.* mas veio {came}"):
        plotting.training_curves(history)


@pytest.mark.parametrize("history", [History(), {}, {"a": some_history(), "b": History()}])
def test_curves_refuse_a_training_without_epochs(history):
    with pytest.raises(ValueError, match="nenhuma época"):
        plotting.training_curves(history)


@pytest.mark.parametrize(
    ("codes", "labels", "message"),
    [
        (torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), "ao menos um exemplo"),
        (torch.zeros(4), torch.zeros(4, dtype=torch.int64), "codes deve ter forma"),
        (torch.zeros(4, 2), torch.zeros(3, dtype=torch.int64), "um inteiro para cada exemplo"),
        (torch.zeros(4, 2), torch.zeros(4), "um inteiro para cada exemplo"),
        (torch.zeros(4, 1), torch.zeros(4, dtype=torch.int64), "Z = 1"),
    ],
)
def test_scatter_refuses_codes_and_labels_that_do_not_match(codes, labels, message):
    with pytest.raises(ValueError, match=message):
        plotting.latent_scatter(codes, labels)


def test_scatter_moves_apart_the_labels_of_classes_with_nearby_centroids():
    codes = torch.tensor([[0.0, 0.0], [0.01, 0.0], [0.0, 0.02], [2.0, 2.0]])
    ax = plotting.latent_scatter(codes, torch.arange(4)).axes[0]
    at = torch.tensor([t.get_position() for t in ax.texts if t.get_text() in "0123"])
    distances = torch.pdist(at)
    assert len(at) == 4
    assert distances.min() > 0.45
    assert torch.allclose(at[3], codes[3])
