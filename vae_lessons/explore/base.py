"""O que todos os exploradores têm em comum: o protocolo, os controles deslizantes exatos e a disposição na tela."""

import base64
import io
import math

import ipywidgets as widgets
from ipywidgets import Layout
from PIL import Image

ROUNDING = 1e-6  # diferença entre dois valores de um controle que não conta como movimento

# O tamanho vem do Layout; a Layout não tem `image-rendering`, e sem ele o navegador borra os pixels.
_STYLE_SHEET = """<style>
.vae-explorer .vae-pixels {image-rendering: pixelated; object-fit: contain; border: 1px solid #888;}
.vae-explorer .vae-text {line-height: 1.35;}
.vae-explorer .vae-text .widget-html-content {line-height: 1.35; white-space: normal;}
</style>"""


class Explorer(widgets.VBox):
    """Controles e uma figura que os acompanha.

    controls: dicionário nome → ipywidget. Atribuir `.value` no código (ou chamar `.click()`) equivale a mexer na tela.
    picture: ipywidgets.Image, um PNG, redesenhado a cada movimento.
    Quem herda cria os dois e depois chama `super().__init__` com o que vai na tela, de cima para baixo.
    """

    controls: dict[str, widgets.Widget]
    picture: widgets.Image

    def __init__(self, *children: widgets.Widget):
        super().__init__([widgets.HTML(_STYLE_SHEET), *children])
        self.add_class("vae-explorer")

    def _repr_mimebundle_(self, **kwargs) -> dict:
        """O widget e, para onde não há kernel (GitHub, nbviewer, caderno só aberto), a figura estática."""
        bundle = super()._repr_mimebundle_(**kwargs)
        return {**bundle, "image/png": base64.b64encode(self.static_png()).decode("ascii")}

    def static_png(self) -> bytes:
        """O que se vê, como está agora, num só PNG."""
        return self.picture.value


class _Exact:
    """Um controle deslizante que fica no valor que o código lhe dá.

    No navegador ele só conhece as posições min + k·step: arredonda qualquer outra e manda o valor arredondado de volta
    ao kernel, e o z codificado deixaria de ser a média da posterior. Aqui `min` desce, menos de um passo, até que a
    posição seja uma dessas.
    """

    def __init__(self, **kwargs):
        self._range = kwargs["min"], kwargs["max"]
        self._left_behind: list[float] = []
        super().__init__(**kwargs)

    def set_state(self, sync_data: dict) -> None:
        """O que vem do navegador, menos os ecos velhos: a devolução arredondada de um valor que o código já trocou."""
        if "value" in sync_data:
            echo = [old for old in self._left_behind if 0 < abs(sync_data["value"] - old) <= ROUNDING]
            if echo and abs(sync_data["value"] - self.value) > ROUNDING:
                self._left_behind.remove(echo[0])
                sync_data = {key: value for key, value in sync_data.items() if key != "value"}
        super().set_state(sync_data)
        if "value" in sync_data:
            self._left_behind = []  # quem mexeu foi uma pessoa: o navegador está em dia

    def place(self, value: float) -> None:
        """Vai a `value`; se estiver fora da faixa, ela se alarga em vez de cortá-lo."""
        position, (low, high) = self._position(value), self._range
        with self.hold_sync():
            self.min, self.max = min(low, math.floor(position)), max(high, math.ceil(position))
            self.value = value

    def notify_change(self, change) -> None:
        with self.hold_sync():  # min e value seguem juntos: separados, o navegador arredondaria entre um e outro
            if change["name"] == "value":
                if isinstance(change["old"], float):  # na construção ainda não há valor antigo
                    self._left_behind = [*self._left_behind[-99:], change["old"]]
                position = self._position(self.value)
                steps = (position - self.min) / self.step
                if abs(steps - round(steps)) * self.step > ROUNDING:
                    low = min(self._range[0], math.floor(position))
                    self.min = position - math.ceil((position - low) / self.step) * self.step
            super().notify_change(change)

    def send_state(self, key=None) -> None:
        """Em ordem alfabética, max e min antes de value: é nessa ordem que o navegador os aplica."""
        super().send_state(sorted(key) if isinstance(key, set) else key)


class ExactSlider(_Exact, widgets.FloatSlider):
    """Um FloatSlider em que a posição é o próprio valor."""

    def _position(self, value: float) -> float:
        return value


class ExactLogSlider(_Exact, widgets.FloatLogSlider):
    """Um FloatLogSlider: min, max e step são de log₁₀(value), que é a posição."""

    def _position(self, value: float) -> float:
        return math.log10(value)


def text(html: str) -> widgets.HTML:
    """Um parágrafo com a entrelinha do texto, e não a dos controles."""
    paragraph = widgets.HTML(html)
    paragraph.add_class("vae-text")
    return paragraph


def row(*children: widgets.Widget) -> widgets.HBox:
    """Lado a lado; o que não couber passa para a linha de baixo."""
    return widgets.HBox(children, layout=Layout(grid_gap="8px 16px", flex_flow="row wrap"))


def group(title: str, *children: widgets.Widget) -> widgets.VBox:
    """Um título em negrito e, embaixo, os controles lado a lado."""
    inside = widgets.HBox(children, layout=Layout(grid_gap="6px"))
    return widgets.VBox([text(f"<b>{title}</b>"), inside], layout=Layout(margin="6px 0 0 0"))


def png_bytes(picture: Image.Image) -> bytes:
    """PNG comprimido às pressas: o caminho até o navegador é curto."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
