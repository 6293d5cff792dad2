"""O que todo explorador sem dados promete, seja qual for o assunto."""

import pytest

from vae_lessons.explore import explore_elbo, explore_gradients, explore_gumbel


def widgets_inside(widget):
    for child in getattr(widget, "children", ()):
        yield child
        yield from widgets_inside(child)


@pytest.mark.parametrize("explore", [explore_elbo, explore_gradients, explore_gumbel])
def test_every_control_is_on_the_screen_and_says_what_it_does(explore):
    explorer = explore()
    shown = list(widgets_inside(explorer))
    for name, control in explorer.controls.items():
        assert shown.count(control) == 1, name
        assert control.tooltip or all(control.tooltips), name
    assert explorer.picture in shown
