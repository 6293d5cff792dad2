"""Controles deslizantes que ficam exatamente no valor que o código lhes dá, e o mostram com vírgula decimal.

O número que o ipywidgets põe ao lado de um controle tem sempre ponto. O daqui é um campo de texto que acompanha o
controle, e em que também se pode digitar, com vírgula ou com ponto.
"""

import math

import ipywidgets as widgets
from ipywidgets import Layout

from vae_lessons.style import number

ROUNDING = 1e-6  # diferença entre dois valores de um controle que não conta como movimento


class _Exact:
    """Um controle deslizante que fica no valor que o código lhe dá.

    No navegador ele só conhece as posições min + k·step: arredonda qualquer outra e manda o valor arredondado de volta
    ao kernel, e o z codificado deixaria de ser a média da posterior. Aqui `min` desce, menos de um passo, até que a
    posição seja uma dessas.
    decimals: casas do número que se mostra · number: o campo em que ele se mostra e se digita.
    """

    def __init__(self, *, decimals: int = 2, **kwargs):
        self._range, self._decimals = (kwargs["min"], kwargs["max"]), decimals
        self._left_behind: list[float] = []
        super().__init__(readout=False, readout_format=f".{decimals}f", **kwargs)  # lido em voz alta (spoken.js)
        self.number = widgets.Text(
            value=self._written(),
            continuous_update=False,
            tooltip=f"{self.description}: o valor, que também se pode digitar",
            layout=Layout(width="56px", margin="2px 0", flex="0 0 auto"),
        ).add_class("vae-number")
        self.observe(self._write, "value")
        self.number.observe(self._read, "value")

    def with_number(self) -> widgets.HBox:
        """O controle e o seu número, lado a lado; somem e aparecem juntos."""
        self.layout.flex, self.layout.min_width = "1 1 auto", "0"
        beside = widgets.HBox([self, self.number], layout=Layout(flex="0 0 auto", display=self.layout.display))
        self.layout.observe(lambda change: setattr(beside.layout, "display", change["new"]), "display")
        return beside

    def _written(self) -> str:
        return number(self.value, self._decimals)

    def _write(self, _change=None) -> None:
        self.number.value = self._written()

    def _read(self, change) -> None:
        """Alguém digitou: vai até lá, ou ao fim da faixa; o que não for um número se desfaz."""
        if change["new"] == self._written():
            return
        try:
            typed = float(change["new"].replace("−", "-").replace(",", "."))
        except ValueError:
            typed = math.nan
        if math.isfinite(typed):
            self.value = self._within(typed)
        self._write()

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
        position, high = self._position(value), self._range[1]
        with self.hold_sync():
            # Primeiro alargar, depois andar, depois estreitar: noutra ordem o valor, antigo ou novo, seria cortado.
            self.min, self.max = min(self.min, math.floor(position)), max(self.max, math.ceil(position))
            self.value = value
            self.max = max(high, math.ceil(position))
            self._align()

    def notify_change(self, change) -> None:
        with self.hold_sync():  # min e value seguem juntos: separados, o navegador arredondaria entre um e outro
            if change["name"] == "value":
                if isinstance(change["old"], float):  # na construção ainda não há valor antigo
                    self._left_behind = [*self._left_behind[-99:], change["old"]]
                if not self._on_a_step(self.min):
                    self._align()
            super().notify_change(change)

    def _align(self) -> None:
        """Põe `min` no começo da faixa ou, se dali não se chega ao valor em passos inteiros, um pouco abaixo."""
        position = self._position(self.value)
        low = min(self._range[0], math.floor(position))
        self.min = low if self._on_a_step(low) else position - math.ceil((position - low) / self.step) * self.step

    def _on_a_step(self, start: float) -> bool:
        """De `start` se chega à posição em passos inteiros?"""
        steps = (self._position(self.value) - start) / self.step
        return abs(steps - round(steps)) * self.step <= ROUNDING

    def send_state(self, key=None) -> None:
        """Em ordem alfabética, max e min antes de value: é nessa ordem que o navegador os aplica."""
        super().send_state(sorted(key) if isinstance(key, set) else key)


class ExactSlider(_Exact, widgets.FloatSlider):
    """Um FloatSlider em que a posição é o próprio valor."""

    def _within(self, value: float) -> float:
        return min(max(value, self.min), self.max)

    def _position(self, value: float) -> float:
        return value


class ExactLogSlider(_Exact, widgets.FloatLogSlider):
    """Um FloatLogSlider: min, max e step são de log₁₀(value), que é a posição."""

    def _within(self, value: float) -> float:
        return min(max(value, 10**self.min), 10**self.max)

    def _position(self, value: float) -> float:
        return math.log10(value)
