"""Figuras e diagramas das lições. Cada função devolve a figura; mostrá-la é tarefa de `show`."""

import io

import matplotlib.style
from matplotlib.figure import Figure

# Dez cores distinguíveis por quem tem daltonismo (Petroff, 2021, arXiv:2107.02270), uma por classe.
CLASS_COLORS = tuple(matplotlib.style.library["petroff10"]["axes.prop_cycle"].by_key()["color"])


def png(fig: Figure, *, dpi: int = 100) -> bytes:
    """A figura como bytes PNG, sem metadados que mudem de uma vez para outra."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
