"""As lições são executadas sem rede e com paciência, quer se teste o repositório inteiro, quer uma lição só."""

import atexit
import contextlib
import os

from vae_lessons.authoring.offline import kernels_without_network
from vae_lessons.processors import available

OUTPUT_TIMEOUT = 120  # segundos que o nbval espera por uma saída depois que a célula terminou; o padrão dele é 5


# Com -n 2 os processos repartem os núcleos entre si, em vez de os disputarem; vale também para os kernels das lições.
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0)):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, available() // workers)))


def pytest_configure(config):
    offline = contextlib.ExitStack()
    offline.enter_context(kernels_without_network())
    atexit.register(offline.close)  # depois que o IPython destes testes gravar o seu histórico


def pytest_itemcollected(item):
    if hasattr(item, "output_timeout"):  # uma célula de lição; o nbval não tem opção para isto
        item.output_timeout = OUTPUT_TIMEOUT
