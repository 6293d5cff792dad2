"""O que todos os testes têm à mão. Os modelos de que se sabe a resposta certa estão em toys.py."""

import signal

import pytest
import torch
import toys

from vae_lessons.data import load


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Tensores deste tamanho não se dividem: numa máquina ocupada, duas linhas de execução levam sete vezes mais."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def listens_to_interrupts():
    """Um pytest posto em segundo plano herda SIGINT ignorado; um kernel, não."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def digits():
    """300 dígitos [300, 8, 8]: o último lote é menor, seja qual for o tamanho dos outros."""
    return load("digits").x[:300]


@pytest.fixture(scope="session")
def held_out():
    return load("digits", "test").x[:100]


@pytest.fixture(scope="session")
def linear_gaussian():
    """O construtor `toys.linear_gaussian`."""
    return toys.linear_gaussian


@pytest.fixture(scope="session")
def one_latent_bernoulli() -> toys.OneLatentBernoulli:
    return toys.one_latent_bernoulli()
