"""A mão sobre um explorador, no JupyterLab: arrastar um ponto numa figura, desenhar num papel.

O que acontece no navegador está em gestures.js, que a página também usa. Ali um gesto vira texto num campo escondido
(to_kernel.js), e o kernel faz o resto: não é preciso extensão do JupyterLab, e vale para qualquer modelo.
"""

import html
from pathlib import Path
from typing import NamedTuple

import ipywidgets as widgets
from ipywidgets import Layout

_STYLE = """
.vae-explorer .vae-hand {position: relative; overflow: visible;}
.vae-explorer .vae-over, .vae-explorer .vae-over .widget-html-content, .vae-explorer .vae-pad
  {position: absolute; inset: 0; margin: 0; width: auto; height: auto;}
.vae-explorer .vae-pad, .vae-explorer .vae-paper {touch-action: none; cursor: crosshair; user-select: none;}
.vae-explorer .vae-paper {display: block; box-sizing: border-box; width: 204px; max-width: 100%;
  border: 1px solid #888;}
.vae-explorer .vae-erase {margin: 4px 0 0; width: 96px;}
.vae-explorer .vae-pad:focus-visible, .vae-explorer .vae-paper:focus-visible {outline: 2px solid #0077ff;}
"""
# Um <script> posto por innerHTML não é executado; o `onload` de um <style>, sim. Vale uma vez só em cada página.
GESTURES = Path(__file__).with_name("gestures.js")
_CODE = "\n".join(path.read_text(encoding="utf-8") for path in (GESTURES, GESTURES.with_name("to_kernel.js")))
_LOADER = f'<style onload="{html.escape(_CODE)}">{_STYLE}</style>'


class Surface(NamedTuple):
    """box: o que vai na tela · channel: o campo escondido em cujo `value` chegam os gestos."""

    box: widgets.VBox
    channel: widgets.Textarea


def pad(picture: widgets.Image, label: str) -> Surface:
    """Uma figura em que se arrasta um ponto, ou que se percorre com as setas; `pointed` lê o que chega.

    label: o que diz quem lê a tela em voz alta.
    """
    over = f'<div class="vae-pad" tabindex="0" role="application" {_said(label)}></div>'
    return _surface(picture, widgets.HTML(_LOADER + over).add_class("vae-over"), tooltip="O ponto da figura")


def paper(label: str, *, dark: bool) -> Surface:
    """Um papel para desenhar com o mouse, o dedo, a caneta ou o teclado; drawing.strokes_of lê o que chega.

    dark: a tinta é preta, num papel branco; senão, o contrário.
    """
    ink, blank = ("#000", "#fff") if dark else ("#fff", "#000")
    canvas = (
        f'<canvas class="vae-paper" width="400" height="400" tabindex="0" role="application" {_said(label)} '
        f'data-ink="{ink}" data-paper="{blank}" style="background: {blank}"></canvas>'
    )
    button = '<button type="button" class="jupyter-button widget-button vae-erase">Apagar</button>'
    drawing = widgets.HTML(f'{_LOADER}<div class="vae-drawing">{canvas}{button}</div>')
    return _surface(drawing, tooltip="Os traços do desenho, em JSON")


def pointed(before: str, now: str) -> tuple[str, tuple[float, float]]:
    """O último gesto numa figura: ("at", (direita, baixo)), em frações dela, ou ("keys", (direita, baixo)), em passos
    dados desde `before`."""
    kind, across, down = now.split()[:3]
    start = before.split()[1:3] if kind == "keys" and before.startswith("keys") else (0, 0)
    return kind, (float(across) - float(start[0]), float(down) - float(start[1]))


def _surface(*shown: widgets.Widget, tooltip: str) -> Surface:
    channel = widgets.Textarea(tooltip=tooltip, layout=Layout(display="none")).add_class("vae-channel")
    return Surface(widgets.VBox([*shown, channel]).add_class("vae-hand"), channel)


def _said(label: str) -> str:
    """O JupyterLab deixa as setas e o espaço a quem tem data-lm-suppress-shortcuts."""
    return f'aria-label="{html.escape(label)}" data-lm-suppress-shortcuts="true"'
