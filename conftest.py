"""As lições são executadas sem rede e com paciência, quer se teste o repositório inteiro, quer uma lição só."""

import atexit
import contextlib

from vae_lessons.authoring.offline import kernels_without_network

OUTPUT_TIMEOUT = 120  # segundos que o nbval espera por uma saída depois que a célula terminou; o padrão dele é 5


def pytest_configure(config):
    offline = contextlib.ExitStack()
    offline.enter_context(kernels_without_network())
    atexit.register(offline.close)  # depois que o IPython destes testes gravar o seu histórico


def pytest_itemcollected(item):
    if hasattr(item, "output_timeout"):  # uma célula de lição; o nbval não tem opção para isto
        item.output_timeout = OUTPUT_TIMEOUT
