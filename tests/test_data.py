"""Os dígitos, a partição e a binarização."""

import socket

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from vae_lessons.data import binarize, idx_files, load
from vae_lessons.devices import choose_device


@pytest.fixture(scope="module")
def train():
    return load("digits")


@pytest.fixture(scope="module")
def test():
    return load("digits", "test")


def sorted_rows(x, y):
    return sorted((*pixels, label) for pixels, label in zip(x.tolist(), y.tolist(), strict=True))


# Os dígitos


def test_digits_are_8_by_8_uint8_images_with_int64_labels(train, test):
    for data in (train, test):
        assert data.x.dtype == torch.uint8
        assert data.y.dtype == torch.int64
        assert data.x.shape == (len(data), 64)
        assert data.y.shape == (len(data),)
        assert data.image_shape == (8, 8)
        assert data.factors is None
        assert data.name == "digits"


def test_the_17_grey_levels_are_spread_from_0_to_255(train):
    """Os níveis 0 a 16 do scikit-learn viram round(v · 255 / 16); 8 cai em 127,5 e vai para o par, 128."""
    assert train.x.unique().tolist() == [round(v * 255 / 16) for v in range(17)]


def test_train_and_test_partition_all_1797_digits(train, test):
    images, labels = load_digits(return_X_y=True)
    original = (torch.from_numpy(images) * 255 / 16).round().to(torch.uint8)
    both = torch.cat([train.x, test.x]), torch.cat([train.y, test.y])
    assert len(train) + len(test) == 1797
    assert sorted_rows(*both) == sorted_rows(original, torch.from_numpy(labels))


def test_split_is_stratified(train, test):
    """Cada classe manda um quinto das suas imagens para o teste, arredondado para baixo."""
    total = torch.bincount(train.y) + torch.bincount(test.y)
    assert torch.bincount(test.y).tolist() == (total // 5).tolist()


def test_split_is_fixed(train, test):
    """As saídas guardadas nas lições dependem desta partição: mudá-la é mudar as lições."""
    assert (len(train), len(test)) == (1442, 355)
    assert test.y[:10].tolist() == [5, 0, 9, 8, 7, 1, 2, 6, 3, 4]
    assert int(test.x.sum(dtype=torch.int64)) == 1771793
    again = load("digits", "test")
    assert torch.equal(again.x, test.x)
    assert torch.equal(again.y, test.y)


@pytest.mark.parametrize(("name", "n"), [("digits", 1442), ("sprites", 6144), ("mnist_5k", 4000), ("phrases", 2050)])
def test_what_comes_with_the_packages_needs_no_network(monkeypatch, name, n):
    def refuse(*args, **kwargs):
        raise AssertionError(f"load({name!r}) tentou usar a rede")

    for function in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, function, refuse)
    assert len(load(name)) == n


def test_dataset_moves_whole_to_the_device():
    data = load("digits", device="meta")
    assert data.x.device.type == data.y.device.type == "meta"
    assert data.factors is None


def test_the_device_is_chosen_as_for_training():
    chosen = choose_device("auto")
    assert load("digits", device="auto").x.device == chosen
    assert load("digits", device=chosen).x.device == chosen


@pytest.mark.parametrize("device", ["banana", "cuda:99", torch.device("cuda:99")], ids=str)
def test_a_device_that_is_not_there_is_refused_with_the_message_of_training(device):
    with pytest.raises(ValueError, match="dispositivo") as training:
        choose_device(device)
    with pytest.raises(ValueError, match=f"'{device}' não está disponível nesta máquina") as loading:
        load("digits", device=device)
    assert str(loading.value) == str(training.value)
    with pytest.raises(ValueError, match="dispositivo") as moving:
        load("digits").to(device)
    assert str(moving.value) == str(training.value)


def test_repr_says_what_the_dataset_is(test):
    assert repr(test) == "Dataset('digits', 355 imagens de 8×8, 10 classes)"


def test_unknown_name_lists_those_that_exist():
    with pytest.raises(ValueError, match=r"'digitos'.*existem são: .*'digits', 'sprites', 'mnist', 'fashion_mnist'"):
        load("digitos")


def test_unknown_split_lists_those_that_exist():
    for name in ("digits", "mnist"):
        with pytest.raises(ValueError, match=r"'validation'.*'train', 'test'"):
            load(name, "validation")


# MNIST e Fashion-MNIST: os arquivos de verdade, onde já estiverem (os de mentira estão em test_download.py)

GREY_MEANS = {"mnist": {"train": 0.1306604762738429, "test": 0.13251460696903547}}
FIRST_LABELS = {
    "mnist": {"train": [5, 0, 4, 1, 9, 2, 1, 3, 1, 4], "test": [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]},
    "fashion_mnist": {"train": [9, 0, 0, 3, 0, 2, 7, 2, 5, 5], "test": [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]},
}


@pytest.fixture
def only_files_at_hand(monkeypatch, tmp_path):
    """O que $VAE_LESSONS_DATA tem, e nem a rede nem o cache do usuário."""

    def refuse(*args, **kwargs):
        pytest.skip("os arquivos não estão em $VAE_LESSONS_DATA, e os testes não usam a rede")

    monkeypatch.setattr(idx_files, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(idx_files, "download", refuse)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_the_real_files_are_the_standard_split(only_files_at_hand, name, split):
    data = load(name, split)
    n = {"train": 60_000, "test": 10_000}[split]
    assert data.x.shape == (n, 784)
    assert data.x.dtype == torch.uint8
    assert data.y.shape == (n,)
    assert data.y.dtype == torch.int64
    assert data.image_shape == (28, 28)
    assert data.name == name
    assert data.y.unique().tolist() == list(range(10))
    assert data.y[:10].tolist() == FIRST_LABELS[name][split]
    if name in GREY_MEANS:  # 0,1307: a média que toda normalização de MNIST usa
        assert data.x.sum(dtype=torch.int64).item() / data.x.numel() / 255 == pytest.approx(GREY_MEANS[name][split])


# A binarização


def test_dynamic_binarization_draws_each_pixel_with_its_grey_level_as_probability():
    levels = torch.tensor([round(v * 255 / 16) for v in range(17)], dtype=torch.uint8)
    n = 20_000
    bits = binarize(levels.expand(n, -1), generator=torch.Generator().manual_seed(0))
    p = levels.double() / 255
    assert set(bits.unique().tolist()) == {0.0, 1.0}
    assert bits.dtype == torch.float32
    standard_error = (p * (1 - p) / n).sqrt()
    assert ((bits.double().mean(0) - p).abs() <= 4 * standard_error).all()  # 0 e 255 são certos: erro-padrão zero


def test_dynamic_binarization_draws_anew_at_each_call(train):
    assert not torch.equal(binarize(train.x), binarize(train.x))


def test_dynamic_binarization_is_repeatable_with_a_generator(train):
    first, second = (binarize(train.x, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    other = binarize(train.x, generator=torch.Generator().manual_seed(4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_generator_leaves_the_global_one_alone(train):
    before = torch.get_rng_state()
    binarize(train.x, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_static_binarization_is_the_same_whatever_the_global_generator(train):
    torch.manual_seed(0)
    first = binarize(train.x, "static")
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert torch.equal(binarize(train.x, "static"), first)
    assert torch.equal(torch.get_rng_state(), before)


def test_static_binarization_still_follows_the_grey_levels(train):
    """Soma de 92.288 Bernoullis independentes: a 4 desvios padrão do total esperado, se tanto."""
    p = train.x.double() / 255
    bits = binarize(train.x, "static")
    assert set(bits.unique().tolist()) == {0.0, 1.0}
    assert (bits.double() - p).sum().abs() <= 4 * (p * (1 - p)).sum().sqrt()


def test_none_keeps_the_grey_levels(train):
    grey = binarize(train.x, "none")
    assert grey.dtype == torch.float32
    assert torch.equal(grey, train.x.float() / 255)


@pytest.mark.parametrize("mode", ["dynamic", "static", "none"])
def test_bits_stay_bits(mode):
    """0 e 255 já são preto e branco: nenhum modo os muda, nem em uint8 nem em ponto flutuante."""
    bits = torch.tensor([[0, 255, 255, 0]], dtype=torch.uint8).expand(100, -1)
    assert torch.equal(binarize(bits, mode), bits.float() / 255)
    assert torch.equal(binarize(bits.double() / 255, mode), bits.float() / 255)


def test_floats_and_uint8_of_the_same_grey_give_the_same_bits(train):
    from_float = binarize(train.x.float() / 255, generator=torch.Generator().manual_seed(0))
    assert torch.equal(from_float, binarize(train.x, generator=torch.Generator().manual_seed(0)))


def test_a_black_pixel_stays_black_even_when_the_draw_is_exactly_zero(monkeypatch):
    """torch.rand dá zero uma vez em 2²⁴: raro por pixel, certo num treino."""
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.zeros(shape))
    assert binarize(torch.tensor([0, 1], dtype=torch.uint8)).tolist() == [0.0, 1.0]


def test_binarize_keeps_any_leading_shape(train):
    assert binarize(train.x.reshape(-1, 2, 8, 8)[:3]).shape == (3, 2, 8, 8)
    assert binarize(train.x[:0]).shape == (0, 64)


def test_unknown_mode_lists_those_that_exist(train):
    with pytest.raises(ValueError, match=r"'binary'.*'dynamic', 'static' e 'none'"):
        binarize(train.x, "binary")


@pytest.mark.parametrize("value", [1.5, -0.1, 255.0, float("nan")])
@pytest.mark.parametrize("mode", ["dynamic", "static", "none"])
def test_floats_outside_0_to_1_are_refused(value, mode):
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        binarize(torch.tensor([[0.5, value]]), mode)


@pytest.mark.parametrize("values", [[0.0, 255.0], [3.0, 16.0], [0.0, 1000.0], [-1.0, 1.0], [-3.0, 255.0]], ids=str)
def test_floats_out_of_range_are_refused_with_the_extremes_and_advice_that_works(values):
    x = torch.tensor([values])
    with pytest.raises(ValueError, match=f"vão de {values[0]:g} a {values[1]:g}") as refused:
        binarize(x, "none")
    advice = str(refused.value).split("escala, ")[1].rstrip(".")
    grey = binarize(eval(advice, {"x": x}), "none")
    assert grey.max() == 1
    assert grey.min() == (0 if values[0] <= 0 else values[0] / values[1])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_infinity_are_called_by_their_names(value):
    with pytest.raises(ValueError, match=r"NaN ou infinito.*torch\.isfinite\(x\)"):
        binarize(torch.tensor([[0.5, value]]))


def test_an_array_of_numpy_is_refused_with_how_to_convert_it():
    with pytest.raises(TypeError, match=r"ndarray.*torch\.from_numpy\(x\)"):
        binarize(np.zeros((2, 3), dtype=np.uint8))


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.int8])
def test_other_integers_are_refused_because_their_range_is_ambiguous(dtype):
    with pytest.raises(ValueError, match="uint8"):
        binarize(torch.ones(2, 3, dtype=dtype))
