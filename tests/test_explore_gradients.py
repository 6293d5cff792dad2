"""O explorador de gradientes contra as formas fechadas das variâncias e contra os estimadores do pacote."""

import base64
import functools
import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from vae_lessons.distributions import Normal
from vae_lessons.estimators import gradient_moments, pathwise, score_function
from vae_lessons.explore import explore_gradients, gradients

ESTIMATORS = {
    "pathwise": pathwise,
    "score_function": score_function,
    "leave_one_out": functools.partial(score_function, baseline="leave_one_out"),
}
COLORS = {name: tuple(bytes.fromhex(color[1:])) for name, (_, color) in gradients._NAMES.items()}
SETTINGS = [(1.0, 1.0, -3.0), (1.0, 1.0, 1.0), (-0.5, 0.3, 2.0), (0.2, 2.5, 0.0)]


@pytest.fixture
def explorer():
    return explore_gradients()


def put(explorer, **values):
    for name, value in values.items():
        explorer.controls[name].value = value


def exact(explorer) -> dict[str, float]:
    return {name: variance.exact for name, variance in explorer.variance.items()}


def pixels(explorer) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(explorer.picture.value)).convert("RGB"))


def histogram_widths(explorer) -> dict[str, int]:
    """Largura, em pontos, do que cada cor pinta na parte dos histogramas."""
    picture = pixels(explorer)
    histograms = picture[:, : round(0.65 * picture.shape[1])]
    columns = {name: np.flatnonzero((histograms == color).all(-1).any(0)) for name, color in COLORS.items()}
    return {name: int(np.ptp(found)) if len(found) else 0 for name, found in columns.items()}


# A variância exata


@pytest.mark.parametrize(("mu", "sigma", "k"), SETTINGS)
@pytest.mark.parametrize("n_samples", [1, 10])
def test_exact_variances_of_the_quadratic_match_their_closed_forms(explorer, mu, sigma, k, n_samples):
    put(explorer, mu=mu, sigma=sigma, k=k, n_samples=n_samples)
    d = mu - k
    assert explorer.gradient == pytest.approx(2 * d, abs=1e-9)
    assert explorer.variance["pathwise"].exact == pytest.approx(4 * sigma**2 / n_samples, rel=1e-9)
    score = d**4 / sigma**2 + 14 * d**2 + 15 * sigma**2
    assert explorer.variance["score_function"].exact == pytest.approx(score / n_samples, rel=1e-9)

    put(explorer, parameter="sigma")
    assert explorer.gradient == pytest.approx(2 * sigma, abs=1e-9)
    assert explorer.variance["pathwise"].exact == pytest.approx((4 * d**2 + 8 * sigma**2) / n_samples, rel=1e-9)
    score = 2 * d**4 / sigma**2 + 60 * d**2 + 74 * sigma**2
    assert explorer.variance["score_function"].exact == pytest.approx(score / n_samples, rel=1e-9)


@pytest.mark.parametrize("n_samples", [2, 5, 100])
def test_exact_variance_with_the_leave_one_out_baseline_matches_its_closed_form(explorer, n_samples):
    """Com f centrada, z − μ = σε: f − E[f] = 2dσε + σ²(ε² − 1), e os momentos da normal dão o resto."""
    put(explorer, mu=1.0, sigma=0.5, k=-1.0, n_samples=n_samples)
    d, sigma = 2.0, 0.5
    centered = 12 * d**2 + 10 * sigma**2  # E[((f − E[f]) ε/σ)²]
    product = (4 * d**2 * sigma**2 + 2 * sigma**4) / sigma**2  # Var[f] Var[ε/σ]
    expected = (centered - (n_samples - 2) / (n_samples - 1) * (2 * d) ** 2 + product / (n_samples - 1)) / n_samples
    assert exact(explorer)["leave_one_out"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("mu", "sigma", "omega"), [(1.0, 1.0, 0.5), (0.3, 0.5, 3.0), (-2.0, 3.0, 10.0)])
def test_exact_variances_of_the_sine_match_their_closed_forms(explorer, mu, sigma, omega):
    put(explorer, function="sine", mu=mu, sigma=sigma, omega=omega)
    decay = math.exp(-0.5 * (omega * sigma) ** 2)
    gradient = omega * decay * math.cos(omega * mu)
    wave = decay**4 * math.cos(2 * omega * mu)  # E[cos 2ωz]
    assert explorer.gradient == pytest.approx(gradient, abs=1e-12)
    assert exact(explorer)["pathwise"] == pytest.approx(omega**2 * (1 + wave) / 2 - gradient**2, rel=1e-9)
    squared = (1 - (1 - 4 * (omega * sigma) ** 2) * wave) / 2  # E[ε² sen² ωz]
    assert exact(explorer)["score_function"] == pytest.approx(squared / sigma**2 - gradient**2, rel=1e-9)


def test_reinforce_has_124_times_the_variance_at_first_and_under_a_tenth_for_a_fast_wave(explorer):
    assert exact(explorer)["score_function"] / exact(explorer)["pathwise"] == pytest.approx(124, abs=0.5)
    put(explorer, function="sine")
    assert exact(explorer)["score_function"] > exact(explorer)["pathwise"]
    put(explorer, omega=6.0)
    assert exact(explorer)["score_function"] < exact(explorer)["pathwise"] / 10


# As estimativas


@pytest.mark.parametrize("function", ["quadratic", "sine"])
@pytest.mark.parametrize("parameter", ["mu", "sigma"])
@pytest.mark.parametrize("n_samples", [1, 2, 20])
def test_the_estimates_have_the_true_gradient_as_mean_and_the_exact_variance(explorer, function, parameter, n_samples):
    put(explorer, function=function, parameter=parameter, n_samples=n_samples, omega=1.5, mu=0.4, sigma=0.8)
    assert explorer.estimates.keys() == explorer.variance.keys()
    for name, values in explorer.estimates.items():
        variance = explorer.variance[name].exact
        centered = values.astype(float) - explorer.gradient
        assert abs(centered.mean()) < 4 * math.sqrt(variance / len(values)), name
        standard_error = math.sqrt(((centered**4).mean() - variance**2) / len(values))
        assert explorer.variance[name].empirical == pytest.approx(variance, abs=5 * standard_error), name


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("function", ["quadratic", "sine"])
def test_variances_match_the_estimators_of_the_package(explorer, name, function):
    mu, sigma, n_samples = 0.5, 0.7, 5
    put(explorer, function=function, mu=mu, sigma=sigma, k=-1.0, omega=2.0, n_samples=n_samples)
    f = {"quadratic": lambda z: (z + 1.0).square().sum(-1), "sine": lambda z: torch.sin(2.0 * z).sum(-1)}[function]
    q = Normal(*(torch.tensor([[value]], dtype=torch.float64) for value in (mu, 2 * math.log(sigma))))
    torch.manual_seed(0)
    moments = gradient_moments(functools.partial(ESTIMATORS[name], n_samples=n_samples), f, q, repeats=20_000)
    for parameter, chain, field in (("mu", 1.0, 0), ("sigma", 4 / sigma**2, 1)):
        put(explorer, parameter=parameter)
        measured = chain * moments.variance[field].item()
        error = chain * moments.variance_standard_error[field].item()
        assert explorer.variance[name].exact == pytest.approx(measured, abs=5 * error)


def test_one_sample_leaves_no_other_to_be_the_baseline(explorer):
    assert explorer.variance.keys() == {"pathwise", "score_function"}
    put(explorer, n_samples=2)
    assert explorer.variance.keys() == {"pathwise", "score_function", "leave_one_out"}


# A figura


@pytest.mark.parametrize(
    "change",
    [
        {"k": 0.0},
        {"mu": 0.5},
        {"sigma": 0.5},
        {"n_samples": 10},
        {"parameter": "sigma"},
        {"estimator": "pathwise"},
        {"function": "sine"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_control_changes_the_picture(explorer, change):
    before = explorer.picture.value
    put(explorer, **change)
    assert explorer.picture.value != before


def test_the_frequency_changes_the_picture_of_the_sine_and_only_of_it(explorer):
    before = explorer.picture.value
    put(explorer, omega=3.0)
    assert explorer.picture.value == before
    put(explorer, function="sine")
    before = explorer.picture.value
    put(explorer, omega=6.0)
    assert explorer.picture.value != before


def test_the_wider_histogram_is_the_one_of_larger_variance(explorer):
    widths = histogram_widths(explorer)
    assert widths["score_function"] > 5 * widths["pathwise"] > 0
    put(explorer, function="sine", omega=6.0)
    widths = histogram_widths(explorer)
    assert widths["pathwise"] > 1.2 * widths["score_function"] > 0


def test_histograms_narrow_as_the_samples_grow(explorer):
    widths = []
    for n_samples in (1, 10, 100):
        put(explorer, n_samples=n_samples)
        widths.append(histogram_widths(explorer)["score_function"])
    assert widths[0] > 1.5 * widths[1] > 3 * widths[2] > 0


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_single_estimator_is_shown_alone_and_enlarged(explorer, name):
    put(explorer, n_samples=5)
    together = histogram_widths(explorer)[name]
    put(explorer, estimator=name)
    alone = histogram_widths(explorer)
    assert {other for other, width in alone.items() if width} == {name}
    assert alone[name] >= together


def test_the_picture_depends_on_the_controls_alone(explorer):
    put(explorer, mu=0.3, n_samples=5)
    other = explore_gradients()
    assert other.picture.value != explorer.picture.value
    put(other, n_samples=5, mu=0.3)
    assert other.picture.value == explorer.picture.value


# O que ele promete a quem o usa


def test_only_the_slider_of_the_chosen_function_is_shown(explorer):
    def hidden(name):
        return explorer.controls[name].layout.display == "none"

    assert (hidden("k"), hidden("omega")) == (False, True)
    explorer.controls["function"].set_state({"index": 1})
    assert (hidden("k"), hidden("omega")) == (True, False)


def test_repr_is_short_and_always_the_same(explorer):
    put(explorer, mu=0.3)
    assert repr(explorer) == "GradientExplorer(q(z) = N(μ, σ²), 4000 repetições)"


def test_without_a_kernel_there_is_still_the_same_picture(explorer):
    bundle = explorer._repr_mimebundle_()
    assert bundle["text/plain"] == repr(explorer)
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert base64.b64decode(bundle["image/png"]) == explorer.picture.value
