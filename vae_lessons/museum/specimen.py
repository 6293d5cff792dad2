"""Um espécime: um defeito que existiu em código público, a cura dele e a medida que os separa."""

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Specimen:
    """name: como se pede · broken, cured: a função com o defeito e sem ele, com os mesmos argumentos ·
    seen_in: onde ele foi visto, curado ou relatado · check: em palavras, a medida que o acusa ·
    error: uma função com esses argumentos → essa medida, que a curada deixa abaixo de `tolerance` ·
    caught_by: o teste do repositório, ou a célula de uma lição, que falha se o defeito entra no pacote ou nela."""

    name: str
    broken: Callable
    cured: Callable
    seen_in: str
    check: str
    error: Callable[[Callable], float]
    tolerance: float
    caught_by: str

    @property
    def source(self) -> str:
        """O código com o defeito, sem o comentário que o denuncia."""
        lines = textwrap.dedent(inspect.getsource(self.broken)).splitlines()
        return "\n".join(line.split("  # defeito")[0] for line in lines)

    @property
    def measured(self) -> str:
        """Uma linha: a medida, e o que ela dá na função doente e na curada."""
        return f"medida, {self.check}: doente {self.error(self.broken):.3g}, curada {self.error(self.cured):.1g}"
