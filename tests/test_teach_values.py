"""Uma resposta passa de um processo a outro por valor, e do outro lado nada é executado ao ler."""

import json
import math

import numpy as np
import pytest
import torch

from vae_lessons.exercises.answers import Observed, describe
from vae_lessons.teach.values import TooLarge, Unreadable, decode, encode


def sent(value):
    return decode(json.loads(json.dumps(encode(value))))


@pytest.mark.parametrize(
    "value", [3, -(2**70), 0.1, -math.inf, True, "texto", "", None, ..., (1, [2.5, "x"]), frozenset("ab")]
)
def test_what_python_has_arrives_as_it_left(value):
    assert sent(value) == value
    assert type(sent(value)) is type(value)


def test_nan_arrives():
    assert math.isnan(sent(math.nan))


@pytest.mark.parametrize(
    "dtype", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64]
)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_tensors_keep_shape_type_and_every_bit(dtype, shape):
    value = (10 * torch.randn(shape)).to(dtype)
    assert sent(value).dtype == dtype
    assert torch.equal(sent(value), value)


def test_a_tensor_arrives_without_its_gradient_and_a_view_without_the_rest():
    big = torch.arange(10_000_000.0, requires_grad=True)
    assert torch.equal(sent(big[::2_000_000]), big.detach()[::2_000_000])


def test_numpy_arrives_as_numpy():
    assert isinstance(sent(np.arange(3)), np.ndarray)
    assert sent(np.uint32([1, 2**32 - 1])).tolist() == [1, 2**32 - 1]


def test_of_an_observation_the_value_goes():
    assert sent((Observed(1.5, "num caso"),)) == (1.5,)


@pytest.mark.parametrize("value", [{"a": 1}, object(), len, torch.nn.Linear, 1j, np.array(["a"]), (i for i in [1])])
def test_of_anything_else_goes_what_the_explanation_says_of_it(value):
    assert describe(sent(value)).split(" ")[:4] == describe(value).split(" ")[:4]


@pytest.mark.parametrize(
    "value",
    [torch.zeros(200_000, dtype=torch.float64), [0] * 30_000, ["x" * 10_000] * 200, torch.zeros(1).expand(10**10)],
    ids=["megabytes", "many_items", "texts", "expanded"],
)
def test_a_huge_answer_is_refused_before_it_is_copied(value):
    with pytest.raises(TooLarge):
        encode(value)


def test_an_endless_nest_is_refused():
    nest = []
    for _ in range(100_000):
        nest = [nest]
    with pytest.raises(TooLarge):
        encode(nest)


@pytest.mark.parametrize(
    "data",
    [
        None,
        7,
        [],
        ["tensor"],
        ["tensor", "float64", [10**12], ""],
        ["tensor", "float64", [-1], "AAAAAAAAAAA="],
        ["tensor", "float64", [2], "AAAAAAAAAAA="],
        ["tensor", "os.system", [1], "AAAAAAAAAAA="],
        ["tensor", "float64", [1], "isto não é base64"],
        ["float", "import os"],
        ["int", True],
        ["pickle", "gASVAAAA"],
        ["list", {"a": 1}],
        ["list", [["none"]] * 30_000],
        ["list", [["list", [["none"]] * 200]] * 200],
        ["list", [["text", "x" * 2**18]] * 5],
        ["tensor", "uint8", [2**21], "A" * (2**23 // 3 + 1)],
        ["tensor", "uint8", [10**4000] * 10_000, ""],
    ],
)
def test_what_was_forged_is_not_read(data):
    with pytest.raises(Unreadable):
        decode(data)


def test_a_forged_nest_is_not_read():
    data = ["none"]
    for _ in range(1000):
        data = ["list", [data]]
    with pytest.raises(Unreadable):
        decode(data)
