"""Quanto vive um explorador: até que a célula que o criou seja executada de novo.

O ipywidgets guarda todo widget que se cria, e o kernel nunca sabe que uma saída foi apagada: sem isto, cada execução
deixaria para trás dezenas de widgets que ninguém vê.
"""

import sys
from collections.abc import Iterator

import ipywidgets as widgets
from IPython import get_ipython

_living: dict[object, tuple[object, list[widgets.Widget]]] = {}  # célula → (execução, os que ela criou)


def replace_earlier(widget: widgets.Widget) -> None:
    """Anota `widget` na célula que está sendo executada e fecha os que uma execução anterior dela tiver criado.

    Os de outras células, e os outros que esta execução criar, ficam. Um fechado some da tela, e só dela: quem o
    guardou numa variável ainda lê os seus números.
    """
    cell, run = _cell_and_run()
    previous, created = _living.get(cell, (run, []))
    if previous != run:
        for earlier in created:
            for part in _parts(earlier):
                part.close()
        created = []
    _living[cell] = run, [*created, widget]


def _cell_and_run() -> tuple[object, object]:
    """A célula, e qual das execuções dela é esta.

    O JupyterLab dá um nome a cada célula; quem não o manda é reconhecido pelo texto da célula. Fora de uma (num
    programa, ou em resposta a um botão), vale a linha que pediu o explorador, e cada pedido é uma execução.
    """
    message = getattr(get_ipython(), "get_parent", dict)()
    cell = message.get("metadata", {}).get("cellId") or message.get("content", {}).get("code")
    if cell:
        return cell, message["header"]["msg_id"]
    frame = sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(f"{__package__}."):
        frame = frame.f_back
    return (frame.f_code.co_filename, frame.f_lineno), object()


def _parts(widget: widgets.Widget) -> Iterator[widgets.Widget]:
    """O widget e os que ele leva dentro: filhos, disposição e estilo."""
    yield widget
    for name in widget.keys:
        value = getattr(widget, name)
        for inside in value if isinstance(value, tuple | list) else (value,):
            if isinstance(inside, widgets.Widget):
                yield from _parts(inside)
