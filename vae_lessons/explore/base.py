"""O que todos os exploradores têm em comum: dos controles aos números, dos números à figura, da figura à tela."""

import base64
import contextlib
import html
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import ipywidgets as widgets
from IPython.display import display
from ipywidgets import Layout
from PIL import Image

from vae_lessons import style
from vae_lessons.explore.lifetime import replace_earlier
from vae_lessons.explore.sliders import ROUNDING, ExactLogSlider, ExactSlider

__all__ = [
    "ExactLogSlider",
    "ExactSlider",
    "Explorer",
    "column",
    "group",
    "picture",
    "png_bytes",
    "row",
    "text",
    "title",
]

# O tamanho vem do Layout; a Layout não tem `image-rendering`, e sem ele o navegador borra os pixels.
_STYLE = """
.vae-explorer .vae-pixels {image-rendering: pixelated; border: 1px solid #888;}
.vae-explorer .vae-text, .vae-explorer .vae-text .widget-html-content {line-height: 1.35; white-space: normal;}
.vae-explorer .vae-seen {display: flex; gap: 8px;}
.vae-explorer .vae-seen figure {margin: 0; width: 98px; font-size: 85%; line-height: 1.3;}
.vae-explorer .vae-seen img {width: 100%; box-sizing: border-box; display: block;}
.vae-explorer .vae-terms {margin: 4px 0; width: 100%; border-spacing: 0; font-variant-numeric: tabular-nums;}
.vae-explorer .vae-terms td {padding: 1px 12px 1px 0; text-align: left;}
.vae-explorer .vae-terms td + td {text-align: right; padding-right: 0;}
.vae-explorer .vae-cleared {opacity: 0.45;}
.vae-explorer .vae-number input {border-color: transparent; background: transparent; text-align: right; padding: 0 4px;
  color: var(--jp-ui-font-color1); font-variant-numeric: tabular-nums;}
.vae-explorer .vae-number input:is(:hover, :focus) {border-color: var(--jp-border-color1);}
.vae-explorer .jupyter-button {white-space: normal; height: auto; min-height: var(--jp-widgets-inline-height);
  line-height: 1.4; padding: 4px 10px;}
.vae-explorer .noUi-handle {border-color: var(--jp-ui-font-color2, #666);}
.vae-explorer :is(button, input, select, .noUi-handle):focus-visible
  {outline: 2px solid var(--jp-brand-color1, #1976d2); outline-offset: 1px;}
.vae-explorer .vae-said {position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);}
"""
# Um <script> posto por innerHTML não é executado; o `onload` de um <style>, sim.
_SPOKEN = Path(__file__).with_name("spoken.js").read_text(encoding="utf-8")
_RUN = html.escape(f"({_SPOKEN})(this.closest('.vae-explorer'))")
_STYLE_SHEET = f'<style onload="{_RUN}">{_STYLE}</style>'

# A figura parada é uma saída à parte, que o caderno guarda. Enquanto o explorador vive na saída seguinte, ela se
# esconde; num caderno reaberto, em que ele não vive mais, esconde-se o aviso de erro dele. Num caderno que veio de
# outra pessoa, o JupyterLab retira o estilo e o programa, mas também não tenta mostrar o explorador.
_STILL = """<div class="vae-still">{image}
<div style="font-size: 85%; opacity: 0.75">{note}</div></div>
<style>
.jp-OutputArea-child:has(> * > .vae-still):has(+ * .vae-explorer),
.jp-OutputArea-child:has(> * > .vae-still) + :has(> [data-mime-type$="widget-view+json"]):not(:has(.vae-explorer))
{{display: none;}}
</style>
<script>
{{
  const area = document.currentScript && document.currentScript.closest(".jp-OutputArea");
  if (area) new MutationObserver(() => {{
    for (const view of area.querySelectorAll(":has(> * > .vae-still) + * > .jupyter-widgets"))
      if (view.textContent.startsWith("Error displaying widget")) view.textContent = "";
  }}).observe(area, {{childList: true, subtree: true}});
}}
</script>"""
_NOTE = "Figura parada: execute a célula para mexer nos controles."


class Explorer(widgets.VBox):
    """Controles e uma figura que os acompanha.

    controls: dicionário nome → ipywidget. Atribuir `.value` no código (ou chamar `.click()`) equivale a mexer na tela.
    picture: ipywidgets.Image, um PNG, redesenhado a cada movimento · numbers: o que ele mostra, como está agora; cada
    campo é também um atributo do explorador.

    Só o explorador conhece os controles. O que ele mostra vem de três funções sem estado, que servem também a quem
    queira gravar as figuras para uma página sem kernel:
        measure(**values) -> numbers    dos valores de `inputs` (e do sorteio, `draw`, se houver) aos números
        paint(numbers) -> Image         dos números à figura, no dobro dos pontos com que é mostrada
        describe(numbers) -> str        os números por extenso: é o texto alternativo da figura
    Quem herda cria `controls` e `picture`, chama `super().__init__` com o que vai na tela, de cima para baixo, e depois
    `_start()`. Em `recorded` diz que controles vivem na página sem kernel: pares (nome, valores), com None no lugar dos
    valores se forem todos os do controle.
    """

    inputs: tuple[str, ...]  # os controles de que a figura depende
    recorded: tuple[tuple[str, Sequence | None], ...] = ()  # os que vivem na página sem kernel, e em que valores
    controls: dict[str, widgets.Widget]
    picture: widgets.Image
    numbers: NamedTuple
    measure: Callable[..., NamedTuple]
    paint: Callable[[NamedTuple], Image.Image]
    describe: Callable[[NamedTuple], str]

    def __init__(self, *children: widgets.Widget):
        self._spoken = widgets.HTML(layout=Layout(display="none")).add_class("vae-words")  # as imagens não os levam
        super().__init__([widgets.HTML(_STYLE_SHEET), *children, self._spoken])
        self.add_class("vae-explorer")
        self._moving = False
        self._draw = 0
        replace_earlier(self)

    def values(self) -> dict:
        """Os argumentos de `measure`, como os controles estão."""
        return {name: self.controls[name].value for name in self.inputs}

    def move(self, **values: float) -> None:
        """Leva controles deslizantes exatamente a `values`, alargando-os se preciso, e desenha uma vez só."""
        with self._silently():
            for name, value in values.items():
                self.controls[name].place(value)
        self._render()

    @contextlib.contextmanager
    def _silently(self) -> Iterator[None]:
        """Dentro do bloco, os controles se movem sem que nada aconteça."""
        self._moving, before = True, self._moving
        try:
            yield
        finally:
            self._moving = before

    def _start(self) -> None:
        for name in self.inputs:
            self.controls[name].observe(self._follow, "value")
        self._render()

    @property
    def static_width(self) -> int:
        """A largura com que static_png deve ser mostrado, em pixels da tela."""
        return int(self.picture.layout.width.removesuffix("px"))

    def _follow(self, _change=None) -> None:
        """Desenha se algo mudou de fato: o navegador devolve o valor que recebeu, com um erro de arredondamento."""
        if not self._moving and not _alike(self.values(), self._drawn):
            self._render()

    def _render(self) -> None:
        self._drawn = self.values()
        self.numbers = self.measure(**self._drawn)
        vars(self).update(self.numbers._asdict())
        self._show()

    def _show(self) -> None:
        self.picture.value = png_bytes(self.paint(self.numbers))
        self._tell()

    def _alts(self) -> list[str]:
        """O texto alternativo de cada imagem, na ordem em que estão na tela."""
        return [self.describe(self.numbers)]

    def _tell(self) -> None:
        self._spoken.value = "".join(f"<p>{html.escape(words)}</p>" for words in self._alts())

    def static_png(self) -> bytes:
        """O que se vê, como está agora, num só PNG."""
        return self.picture.value

    def _repr_mimebundle_(self, **kwargs) -> dict:
        """O widget e a figura parada numa só saída, para quem não chama `_ipython_display_`."""
        return {**super()._repr_mimebundle_(**kwargs), "image/png": base64.b64encode(self.static_png()).decode("ascii")}

    def _ipython_display_(self) -> None:
        """Duas saídas: a figura parada, que fica no caderno para quando não houver kernel, e o widget."""
        png, alt = self.static_png(), self.describe(self.numbers)
        data, metadata = style.mimebundle(png, alt)
        image = style.image_tag(png, alt, css=f"width: {self.static_width}px; max-width: 100%")
        display({**data, "text/html": _STILL.format(image=image, note=_NOTE)}, metadata=metadata, raw=True)
        if self.comm is not None:  # o de uma célula já executada de novo não vive mais: fica só a figura
            # O text/html vazio é o que se mostra onde o widget não pode ser mostrado.
            display({**super()._repr_mimebundle_(), "text/html": ""}, raw=True)


def _alike(values: dict, others: dict) -> bool:
    """São os mesmos valores, a menos de um erro de arredondamento nos que forem números."""
    return all(
        abs(value - other) <= ROUNDING if isinstance(value, float) else value == other
        for value, other in zip(values.values(), others.values(), strict=True)
    )


def picture(width: int, *classes: str) -> widgets.Image:
    """Um lugar para um PNG, com `width` pixels da tela ou o que couber, sem nunca perder a proporção.

    classes: "vae-picture", a figura principal · "vae-pixels", cada pixel um quadradinho nítido.
    """
    layout = Layout(width=f"{width}px", max_width="100%", height="auto", margin="0", align_self="flex-start")
    image = widgets.Image(format="png", layout=layout)
    for name in classes:
        image.add_class(name)
    return image


def text(words: str = "") -> widgets.HTML:
    """Um parágrafo com a entrelinha do texto, e não a dos controles."""
    return widgets.HTML(words).add_class("vae-text")


def row(*children: widgets.Widget) -> widgets.HBox:
    """Lado a lado; o que não couber passa para a linha de baixo."""
    return widgets.HBox(children, layout=Layout(grid_gap="8px 16px", flex_flow="row wrap"))


def column(width: int, *children: widgets.Widget) -> widgets.VBox:
    """Um embaixo do outro, com `width` pixels da tela ou o que couber."""
    return widgets.VBox(children, layout=Layout(width=f"{width}px", max_width="100%", grid_gap="4px"))


def title(words: str) -> widgets.HTML:
    return text(f"<b>{words}</b>")


def group(words: str, *children: widgets.Widget) -> widgets.VBox:
    """Um título em negrito e, embaixo, os controles lado a lado."""
    inside = widgets.HBox(children, layout=Layout(grid_gap="6px", flex_flow="row wrap"))
    return widgets.VBox([title(words), inside], layout=Layout(margin="6px 0 0 0"))


def png_bytes(image: Image.Image) -> bytes:
    """PNG comprimido às pressas: o caminho até o navegador é curto."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
