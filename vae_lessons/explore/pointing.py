"""A figura de um explorador debaixo da mão: onde se clica e arrasta, e as setas do teclado."""

from collections.abc import Callable

import ipywidgets as widgets

from vae_lessons.explore import gestures


def pointable(
    picture: widgets.Image,
    label: str,
    *,
    size: tuple[int, int],
    at: Callable[[float, float], None],
    keys: Callable[[int, int], None],
) -> widgets.VBox:
    """A figura, sobre a qual se arrasta: a cada gesto, at(x, y), em pixels da tela como em `size` (largura, altura), ou
    keys(direita, baixo), em passos das setas. label: o que diz quem lê a tela em voz alta."""
    surface, (width, height) = gestures.pad(picture, label), size

    def act(change) -> None:
        kind, (right, down) = gestures.pointed(change["old"], change["new"])
        if kind == "at":
            at(right * width, down * height)
        else:
            keys(int(right), int(down))

    surface.channel.observe(act, "value")
    return surface.box


def within(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
