"""O que se promete de todos os exploradores: números à parte da figura, vida curta, uma figura que fica no caderno."""

import html
import io
import re

import ipywidgets
import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances
from jupyter_client.manager import start_new_kernel
from PIL import Image
from sight import contrast
from toys_explore import EXPLORERS

from vae_lessons import explore, style
from vae_lessons.explore import explore_elbo, explore_gumbel
from vae_lessons.explore.canvas import Panel

WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module", params=EXPLORERS)
def make(request):
    """Uma função sem argumentos que cria o explorador."""
    return EXPLORERS[request.param]


def inside(widget):
    for child in getattr(widget, "children", ()):
        yield child
        yield from inside(child)


def another(control):
    """Um valor que o controle pode ter, e que não é o que ele tem."""
    if hasattr(control, "options"):
        values = [option[1] if isinstance(option, tuple) else option for option in control.options]
        return next(value for value in values if value != control.value)
    return control.value + control.step


def test_every_control_is_on_the_screen_and_says_what_it_does(make):
    explorer = make()
    shown = list(inside(explorer))
    for name, control in explorer.controls.items():
        assert shown.count(control) == 1, name
        assert control.tooltip or all(control.tooltips), name
    assert explorer.picture in shown


# O que se diz em voz alta (no navegador, por explore/spoken.js)


def test_every_picture_has_its_words_and_they_follow_it(make):
    explorer = make()
    pictures = [widget for widget in inside(explorer) if isinstance(widget, ipywidgets.Image)]
    for _ in range(2):
        said = [html.unescape(words) for words in re.findall("<p>(.*?)</p>", explorer._spoken.value)]
        assert len(said) == len(pictures)
        assert all(said)
        assert said[pictures.index(explorer.picture)] == explorer.describe(explorer.numbers)
        name = next(name for name in explorer.inputs if explorer.controls[name].layout.display != "none")
        explorer.controls[name].value = another(explorer.controls[name])


def test_no_two_controls_have_one_name_and_what_is_read_of_a_slider_is_its_number(make):
    controls = make().controls.values()
    names = [name for control in controls if (name := getattr(control, "description", "") or control.tooltip)]
    assert len(set(names)) == len(names)
    for slider in controls:
        if isinstance(slider, ipywidgets.FloatSlider | ipywidgets.FloatLogSlider):
            assert (
                format(slider.value, slider.readout_format).replace("-", "−").replace(".", ",") == slider.number.value
            )


def test_every_letter_painted_can_be_read(make, monkeypatch):
    """Sobre o branco; as letras brancas ficam sobre barras de uma destas cores."""
    explorer, colors, write = make(), set(), Panel.text
    monkeypatch.setattr(Panel, "text", lambda *args, **options: colors.add(args[4]) or write(*args, **options))
    explorer.paint(explorer.numbers)
    assert {color: round(contrast(color), 2) for color in colors - {style.WHITE} if contrast(color) < 4.5} == {}


# Os números e a figura


def test_the_picture_is_painted_from_numbers_that_depend_on_the_values_alone(make):
    explorer = make()
    values = explorer.values()
    again = explorer.paint(explorer.measure(**values))
    assert np.array_equal(np.asarray(again.convert("RGB")), pixels(explorer))


def test_any_state_can_be_measured_and_painted_without_moving_a_control(make):
    explorer, moved = make(), make()
    shown, start = explorer.picture.value, explorer.values()
    for name in explorer.inputs:
        if moved.controls[name].layout.display == "none":
            continue
        value = another(moved.controls[name])
        moved.controls[name].value = value
        image = explorer.paint(explorer.measure(**{**moved.values(), name: value}))
        assert np.array_equal(np.asarray(image.convert("RGB")), pixels(moved)), name
    assert explorer.picture.value == shown
    assert explorer.values() == start


def test_each_number_is_an_attribute_of_the_explorer(make):
    explorer = make()
    for name, value in explorer.numbers._asdict().items():
        assert getattr(explorer, name) is value


def test_a_control_that_stays_where_it_is_draws_nothing(make):
    explorer = make()
    drawings = []
    explorer.paint = lambda numbers: drawings.append(numbers) or Image.new("L", (1, 1))
    for name in explorer.inputs:
        control = explorer.controls[name]
        if isinstance(control, ipywidgets.FloatSlider):
            control.set_state({"value": control.value + 1e-15})
    assert drawings == []


def test_every_number_beside_a_control_follows_it_and_moves_the_picture_when_typed(make):
    explorer = make()
    numbers = {id(widget): widget for widget in inside(explorer) if isinstance(widget, ipywidgets.Text)}
    for name, control in explorer.controls.items():
        if not isinstance(control, ipywidgets.FloatSlider | ipywidgets.FloatLogSlider):
            continue
        assert id(control.number) in numbers, name
        before = control.number.value
        control.value = control.value + 2 * control.step
        assert control.number.value != before
        assert "." not in control.number.value
        if name in explorer.inputs and control.layout.display != "none":
            moved = explorer.picture.value
            control.number.set_state({"value": before})
            assert control.number.value == before
            assert explorer.picture.value != moved


def pixels(explorer) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(explorer.picture.value)).convert("RGB"))


def test_every_picture_shrinks_with_its_page_and_keeps_its_proportions(make):
    pictures = [widget for widget in inside(make()) if isinstance(widget, ipywidgets.Image)]
    assert pictures
    for picture in pictures:
        assert (picture.layout.max_width, picture.layout.height) == ("100%", "auto")


# A saída do caderno


@pytest.fixture
def displayed(monkeypatch):
    """As saídas que a célula teria: (dados, metadados) de cada uma."""
    outputs = []
    monkeypatch.setattr(
        "vae_lessons.explore.base.display",
        lambda data, *, metadata=None, raw: outputs.append((data, metadata)),
    )
    return outputs


def test_the_still_picture_is_an_output_of_its_own_before_the_widget(make, displayed):
    explorer = make()
    explorer._ipython_display_()
    (still, metadata), (live, _) = displayed
    assert WIDGET not in still
    assert 'class="vae-still"' in still["text/html"]
    alt = re.search(r'<img alt="([^"]+)"', still["text/html"])[1]
    assert len(alt) > 40
    assert metadata["image/png"]["alt"] == still["text/plain"]
    assert live[WIDGET]["model_id"] == explorer.model_id
    assert "image/png" not in live
    assert live["text/html"] == ""


def test_the_alternative_text_follows_the_controls(make):
    explorer = make()
    before = explorer.describe(explorer.numbers)
    name = next(name for name in explorer.inputs if explorer.controls[name].layout.display != "none")
    explorer.controls[name].value = another(explorer.controls[name])
    after = explorer.describe(explorer.numbers)
    assert after != before
    assert not re.search(r"\d\.\d", after)  # vírgula decimal


# Quanto vivem


def test_the_same_line_run_again_leaves_the_widgets_of_one(make):
    counts = []
    for _ in range(20 if make is explore_gumbel else 3):
        make()
        counts.append(len(_instances))
    assert len(set(counts)) == 1


def test_explorers_of_different_lines_live_together():
    first = explore_elbo()
    second = explore_elbo()
    assert first.comm is not None
    assert second.comm is not None


def test_a_closed_explorer_still_tells_its_numbers_and_shows_only_its_still_picture(displayed):
    first, second = (explore_elbo() for _ in range(2))
    assert first.comm is None
    assert second.comm is not None
    before = first.elbo
    first.controls["mean"].value = 1.0
    assert first.elbo != before
    first._ipython_display_()
    assert len(displayed) == 1


class Kernel:
    """Um kernel de verdade, a que se mandam células como o JupyterLab as manda."""

    def __init__(self):
        self._manager, self._client = start_new_kernel(kernel_name="python3")

    def run(self, code: str, *, cell: str | None = None) -> str:
        """Executa a célula de nome `cell`, se tiver um, e devolve o que ela imprimir."""
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
        message = self._client.session.msg("execute_request", content, metadata={"cellId": cell} if cell else {})
        self._client.shell_channel.send(message)
        printed = ""
        while True:
            answer = self._client.get_iopub_msg(timeout=120)
            if answer["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                continue
            assert answer["msg_type"] != "error", answer["content"]["traceback"]
            if answer["msg_type"] == "stream":
                printed += answer["content"]["text"]
            if answer["msg_type"] == "status" and answer["content"]["execution_state"] == "idle":
                return printed.strip()

    def count(self) -> int:
        return int(self.run("print(len(_instances))"))

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel():
    kernel = Kernel()
    kernel.run("from ipywidgets.widgets.widget import _instances\nfrom vae_lessons.explore import *")
    yield kernel
    kernel.close()


@pytest.mark.parametrize("name", ["uma-célula", None], ids=["named", "by_its_text"])
def test_running_a_cell_twenty_times_leaves_the_widgets_of_one(kernel, name):
    counts = []
    for _ in range(20):
        kernel.run("explorer = explore_elbo()\nexplorer", cell=name)
        counts.append(kernel.count())
    assert len(set(counts)) == 1


def test_two_cells_alike_keep_an_explorer_each_and_a_cell_may_have_two(kernel):
    """O que se executa de novo troca só os seus."""
    start = kernel.count()
    kernel.run("a = explore_gumbel()\na", cell="a")
    size = kernel.count() - start
    assert size > 20
    kernel.run("b = explore_gumbel()\nb", cell="b")
    kernel.run("pair = [explore_gumbel() for _ in range(2)]", cell="c")
    assert kernel.count() == start + 4 * size
    kernel.run("pair = [explore_gumbel() for _ in range(2)]", cell="c")
    kernel.run("a = explore_gumbel()\na", cell="a")
    assert kernel.count() == start + 4 * size
    assert kernel.run("print(all(e.comm for e in (a, b, *pair)))") == "True"


def test_an_explorer_shown_again_in_another_cell_lives_on(kernel):
    kernel.run("kept = explore_gumbel()", cell="d")
    kernel.run("kept", cell="e")
    kernel.run("kept", cell="e")
    assert kernel.run("print(kept.comm is not None)") == "True"


def test_no_explorer_is_left_out_of_these_tests():
    assert {f"explore_{name}" for name in EXPLORERS} == {
        name for name in explore.__all__ if name.startswith("explore_")
    }
