"""As lições e o explorador num JupyterLab de verdade, com Chromium (ver vae_lessons/authoring/lab.py)."""

import contextlib
import functools
import re
import shutil
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("playwright", reason='falta o playwright: instale o pacote com pip install -e ".[browser]"')

from playwright.sync_api import expect

from vae_lessons.authoring import lab

pytestmark = pytest.mark.skipif(
    lab.CHROMIUM is None, reason="falta um navegador no PATH: chromium, chromium-browser ou google-chrome"
)

LESSONS = sorted(Path(__file__).parent.parent.joinpath("notebooks").glob("*.ipynb"))
NO_LESSON = [pytest.param(None, marks=pytest.mark.skip(reason="ainda não há lições em notebooks/"))]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with lab.serve(tmp_path_factory.mktemp("cadernos")) as server:
        yield server


@pytest.fixture(scope="module")
def browser():
    with lab.browse() as browser:
        yield browser


@contextlib.contextmanager
def quiet_page(browser):
    """Uma página que, ao ser fechada, não pode ter escrito erro de JavaScript nem do console."""
    page = browser.new_page(viewport=lab.VIEWPORT)
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield page
    lab.close_notebook(page)
    assert complaints == []


def write_notebook(server, name: str, sources: list[str]) -> None:
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(notebook, server.root / name)


TOYS = ("cells", "codes", "films", "flow", "implicit", "kmeans", "levels", "merge", "steps", "style", "topics")
GALLERY = ("latent", "elbo", "gradients", "beta", "water", "gumbel", "twin", *TOYS)
GALLERY_CELLS = [
    """from vae_lessons.data import load
from vae_lessons.explore import *
from vae_lessons.models import mlp_vae
from vae_lessons.training import TrainConfig, fit, fit_many

model = mlp_vae(64, 2, (64,))
history = fit(model, load("digits"), TrainConfig(epochs=5, lr=3e-3, device="cpu"), progress=False)
sweep = {"beta": [0.1, 1, 10], "seed": [0, 1]}
runs = fit_many(mlp_vae(64, 3, (16,)), load("digits"), TrainConfig(epochs=2), sweep=sweep, progress=False)""",
    'latent = explore_latent(model, load("digits", "test"))\nlatent',
    "elbo = explore_elbo()\nelbo",
    "explore_gradients()",
    'beta = explore_beta(runs, load("digits", "test"))\nbeta',
    "explore_water()",
    "gumbel = explore_gumbel()\ngumbel",
    'twin = explore_latent(model, load("digits", "test"))\ntwin',
    f"import sys\n\nsys.path.insert(0, {str(Path(__file__).parent)!r})\nfrom toys_explore import EXPLORERS",
    *(f"EXPLORERS[{name!r}]()" for name in TOYS),
    "print(bool((latent.z == latent.means[latent.controls['index'].value]).all()))",
    "print(elbo.kl < 1e-9)",
    "print(beta.summary)",
    "print(gumbel.summary)",
    """from ipywidgets.widgets.widget import _instances
from pathlib import Path

statm = Path("/proc/self/statm")  # páginas de 4 KiB
print(len(_instances), 4 * int(statm.read_text().split()[1]) if statm.exists() else 0)""",
]


@pytest.fixture(scope="module")
def gallery(browser, server):
    """Um caderno com todos os exploradores, e depois o que alguns dizem de si."""
    write_notebook(server, "galeria.ipynb", GALLERY_CELLS)
    with quiet_page(browser) as page:
        lab.open_notebook(page, server, "galeria.ipynb")
        assert [cell["errors"] for cell in lab.run_all(page)] == [[]] * len(GALLERY_CELLS)
        expect(page.locator(".vae-explorer")).to_have_count(len(GALLERY))
        yield page


def shown(gallery, name: str):
    """O explorador `name`, à vista."""
    explorer = gallery.locator(".vae-explorer").nth(GALLERY.index(name))
    explorer.scroll_into_view_if_needed()
    return explorer


def printed(gallery, source: str):
    """O que diz a célula que começa por `source`, executada de novo."""
    run_again(gallery, source)
    return gallery.locator(".jp-Cell").filter(has_text=source).locator(".jp-OutputArea-output").last


@pytest.fixture
def explorer(gallery):
    """O do espaço latente, mostrando a média de p(x|z) em z = 0."""
    explorer = shown(gallery, "latent")
    for name in ("média", "Voltar a zero"):
        explorer.get_by_role("button", name=name).click()
    expect(number(explorer, "z₁")).to_have_value("0,0")
    return explorer


def slider(explorer, label: str):
    return explorer.locator(".widget-slider:visible").filter(has_text=label)


def number(explorer, label: str):
    """O campo ao lado do controle de rótulo `label`."""
    return explorer.get_by_title(f"{label}: o valor")


def picture(explorer):
    return explorer.locator("img.vae-picture")


def changes_picture(explorer, act) -> None:
    """Faz `act` e espera que a imagem decodificada seja trocada por outra."""
    before = picture(explorer).get_attribute("src")
    act()
    expect(picture(explorer)).not_to_have_attribute("src", before)


def press(explorer, label: str, key: str) -> None:
    """Aperta `key` com o foco no controle de rótulo `label`; se for "", no primeiro à vista."""
    handle = slider(explorer, label).locator(".noUi-handle").first
    handle.focus()
    handle.press(key)


def test_arrow_keys_move_z_the_readout_and_the_picture(explorer):
    for _ in range(5):
        changes_picture(explorer, lambda: press(explorer, "z₂", "ArrowRight"))
    expect(number(explorer, "z₂")).to_have_value("0,5")
    for _ in range(7):
        changes_picture(explorer, lambda: press(explorer, "z₂", "ArrowLeft"))
    expect(number(explorer, "z₂")).to_have_value("−0,2")


def test_a_number_typed_with_a_comma_moves_the_slider_and_the_picture(explorer):
    field = number(explorer, "z₁")
    field.fill("1,5")
    changes_picture(explorer, lambda: field.press("Enter"))
    expect(field).to_have_value("1,5")
    expect(slider(explorer, "z₁").get_by_role("slider")).to_have_attribute("aria-valuenow", "1.5")
    field.fill("nada")
    field.press("Enter")
    expect(field).to_have_value("1,5")


def test_no_number_in_an_explorer_has_a_decimal_point(gallery):
    shown = " ".join(
        explorer.evaluate(
            "explorer => [explorer.innerText, ...[...explorer.querySelectorAll('input')].map(i => i.value)].join(' ')"
        )
        for explorer in gallery.locator(".vae-explorer").all()
    )
    assert re.search(r"\d,\d", shown)
    assert re.findall(r"\d\.\d|-\d", shown) == []


def test_buttons_change_the_picture(explorer):
    for name in ("Codificar", "Voltar a zero", "z ao acaso"):
        button = explorer.get_by_role("button", name=name)
        changes_picture(explorer, button.click)


def test_the_caption_tells_a_mean_from_a_sample(explorer):
    caption = explorer.locator(".vae-text b").filter(has_text="de p(x|z)")
    expect(caption).to_have_text("Média de p(x|z)")
    changes_picture(explorer, explorer.get_by_role("button", name="amostra").click)
    expect(caption).to_have_text("Amostra de p(x|z)")
    changes_picture(explorer, explorer.get_by_role("button", name="média").click)
    expect(caption).to_have_text("Média de p(x|z)")


def test_the_position_on_the_path_moves_from_the_keyboard(explorer):
    press(explorer, "posição", "ArrowRight")
    expect(number(explorer, "posição")).to_have_value("0,01")
    changes_picture(explorer, lambda: press(explorer, "posição", "End"))
    changes_picture(explorer, lambda: press(explorer, "posição", "Home"))


def test_the_position_is_cleared_when_z_leaves_the_path(explorer):
    press(explorer, "posição", "PageUp")
    expect(number(explorer, "posição")).to_be_visible()
    changes_picture(explorer, explorer.get_by_role("button", name="z ao acaso").click)
    expect(number(explorer, "posição")).to_be_hidden()
    press(explorer, "posição", "ArrowRight")
    expect(number(explorer, "posição")).to_have_value("0,01")


def test_the_browser_does_not_round_the_z_set_by_code(explorer, gallery):
    changes_picture(explorer, explorer.get_by_role("button", name="Codificar").click)
    gallery.wait_for_timeout(500)  # tempo para uma resposta indevida do navegador
    expect(printed(gallery, "print(bool((latent.z")).to_have_text("True")


def test_the_explorers_of_one_latent_answer_to_keys_and_keep_the_q_set_by_code(gallery):
    elbo, gradients = shown(gallery, "elbo"), shown(gallery, "gradients")
    for explorer, labels in ((elbo, ("média", "desvio", "observação")), (gradients, ("k", "μ", "σ", "L"))):
        explorer.scroll_into_view_if_needed()
        for label in labels:
            changes_picture(explorer, functools.partial(press, explorer, label, "ArrowRight"))
    changes_picture(gradients, gradients.get_by_role("button", name="sen(ωz)").click)
    changes_picture(gradients, lambda: press(gradients, "ω", "ArrowRight"))
    changes_picture(elbo, elbo.get_by_role("button", name="a maior ELBO").click)
    gallery.wait_for_timeout(500)  # tempo para uma resposta indevida do navegador
    expect(printed(gallery, "print(elbo.kl")).to_have_text("True")


def test_the_gumbel_explorer_follows_the_keys_and_the_button(gallery):
    explorer = shown(gallery, "gumbel")
    for label in ("τ", "classe 1", "classe 2", "classe 3"):
        changes_picture(explorer, functools.partial(press, explorer, label, "ArrowRight"))
    changes_picture(explorer, explorer.get_by_role("button", name="Sortear outro ruído").click)
    expect(number(explorer, "τ")).to_have_value("1,05")
    expect(printed(gallery, "print(gumbel.summary")).to_contain_text("τ = 1,05 · π = (0,60")
    assert explorer.bounding_box()["height"] < lab.VIEWPORT["height"] - 200


def test_the_keys_switch_among_the_models_of_a_sweep(gallery):
    explorer = shown(gallery, "beta")
    for label in ("β", "semente", "imagem", "latente"):
        changes_picture(explorer, functools.partial(press, explorer, label, "ArrowRight"))
    expect(slider(explorer, "β").locator(".widget-readout")).to_have_text("10")
    expect(printed(gallery, "print(beta.summary")).to_contain_text("β 10 · semente 1 · taxa R")
    assert explorer.bounding_box()["height"] < lab.VIEWPORT["height"] - 200


def test_the_arrow_keys_raise_the_water_until_latents_drown(gallery):
    explorer = shown(gallery, "water")
    expect(explorer).to_contain_text("18 de 64")
    for _ in range(4):
        changes_picture(explorer, functools.partial(press, explorer, "βσ²", "ArrowRight"))
    expect(explorer).to_contain_text("17 de 64")


# Para quem ouve, e para quem só usa o teclado


def test_nothing_in_an_explorer_is_out_of_reach(gallery):
    pytest.importorskip("axe_playwright_python", reason='falta o axe: instale o pacote com pip install -e ".[browser]"')
    from axe import grave

    assert grave(gallery, ".vae-explorer") == []


def test_what_is_read_of_a_control_is_what_is_seen(gallery):
    """O nome inteiro, o número ao lado e, dos botões de escolha, qual está escolhido."""
    for name, explorer in zip(GALLERY, gallery.locator(".vae-explorer").all(), strict=True):
        seen = explorer.evaluate(
            """explorer => {
            const visible = (selector) => [...explorer.querySelectorAll(selector)].filter(e => e.offsetParent);
            const beside = (slider) => slider.nextElementSibling?.querySelector(".vae-number input")?.value
                ?? slider.querySelector(".widget-readout").textContent;
            const chosen = (button) => button.ariaPressed === "true" && button.matches(".mod-active");
            return {
                cut: visible("label, button").filter(e => e.scrollWidth > e.clientWidth).map(e => e.textContent),
                nameless: visible(".noUi-handle").filter(handle => !handle.ariaLabel).length,
                otherwise: visible(".noUi-handle")
                    .map(handle => [handle.ariaValueText, beside(handle.closest(".widget-slider"))])
                    .filter(([read, written]) => read !== written),
                groups: visible(".widget-toggle-buttons").map(group =>
                    [...group.querySelectorAll("button")].filter(chosen).length),
            }; }"""
        )
        assert (seen["cut"], seen["nameless"], seen["otherwise"]) == ([], 0, []), name
        assert set(seen["groups"]) <= {1}, name


def test_a_picture_that_changes_is_told_to_whom_moved_it(gallery):
    explorer = shown(gallery, "gradients")
    before = picture(explorer).get_attribute("alt")
    changes_picture(explorer, functools.partial(press, explorer, "μ", "ArrowRight"))
    expect(picture(explorer)).not_to_have_attribute("alt", before)
    expect(explorer.locator(".vae-said")).to_have_text(picture(explorer).get_attribute("alt"))
    expect(explorer.get_by_role("status")).to_have_count(1)
    expect(shown(gallery, "steps").locator(".vae-said")).to_have_text("")


def test_where_the_keyboard_is_can_be_seen(gallery):
    explorer = shown(gallery, "gradients")
    for control in (".noUi-handle", ".widget-toggle-button", ".vae-number input", "select"):
        explorer.locator(f"{control}:visible").first.focus()
        gallery.keyboard.press("Tab")
        gallery.keyboard.press("Shift+Tab")
        outline = gallery.evaluate("getComputedStyle(document.activeElement).outline")
        assert "solid 2px" in outline, control


# A mão sobre o mapa e o papel


def drag(explorer, selector: str, *places, release=True) -> None:
    """Arrasta o mouse por `places`, em frações do elemento `selector`."""
    surface, mouse = explorer.locator(selector), explorer.page.mouse
    surface.scroll_into_view_if_needed()
    box = surface.bounding_box()
    spots = [(box["x"] + right * box["width"], box["y"] + down * box["height"]) for right, down in places]
    mouse.move(*spots[0])
    mouse.down()
    for spot in spots[1:]:
        mouse.move(*spot)
    if release:
        mouse.up()


def values(explorer) -> list[float]:
    return [float(number(explorer, z).input_value().replace("−", "-").replace(",", ".")) for z in ("z₁", "z₂")]


def test_the_point_of_the_map_is_dragged_and_moved_by_the_arrows(explorer):
    changes_picture(explorer, lambda: drag(explorer, ".vae-pad", (0.5, 0.5), (0.7, 0.4), (0.9, 0.05)))
    for name in ("z₁", "z₂"):
        expect(number(explorer, name)).to_have_value(re.compile("^[1-9]"))
    right, up = values(explorer)
    explorer.page.keyboard.press("ArrowLeft")
    explorer.page.keyboard.press("ArrowLeft")
    explorer.page.keyboard.press("ArrowDown")
    expect(number(explorer, "z₂")).to_have_value(f"{up - 0.1:.1f}".replace(".", ","))
    assert values(explorer)[0] == pytest.approx(right - 0.2, abs=0.05)


def test_the_point_of_the_map_is_dragged_with_a_finger(explorer):
    pad = explorer.locator(".vae-pad")
    pad.scroll_into_view_if_needed()
    box, finger = pad.bounding_box(), explorer.page.context.new_cdp_session(explorer.page)

    def touch(kind: str, *place: float) -> None:
        points = [{"x": box["x"] + place[0] * box["width"], "y": box["y"] + place[1] * box["height"]}] if place else []
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    scrolled = explorer.page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTop")
    touch("touchStart", 0.5, 0.5)
    for down in (0.6, 0.7, 0.8):
        touch("touchMove", 0.3, down)
    touch("touchEnd")
    finger.detach()
    expect(number(explorer, "z₂")).to_have_value(re.compile("−[1-9]"))
    assert explorer.page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTop") == scrolled


FOUR = ((0.3, 0.2), (0.3, 0.5), (0.7, 0.5)), ((0.6, 0.2), (0.6, 0.9))


def test_a_drawn_digit_is_encoded_beside_its_elbo_and_erased(explorer):
    told, map_before = explorer.locator(".vae-drawn"), explorer.locator(".vae-hand img").first.get_attribute("src")
    for stroke in FOUR:
        changes_picture(explorer, functools.partial(drag, explorer, ".vae-paper", *stroke))
    expect(told.locator("img")).to_have_count(2)
    expect(told).to_contain_text(re.compile(r"ELBO\s*−\d+,\d"))
    expect(told).to_have_attribute("aria-live", "polite")
    assert explorer.locator(".vae-hand img").first.get_attribute("src") != map_before
    explorer.get_by_role("button", name="Apagar").click()
    expect(told.locator("img")).to_have_count(0)
    assert inked(explorer) == 0


def inked(explorer) -> int:
    """Quantos pontos do papel têm tinta."""
    return explorer.locator(".vae-paper").evaluate(
        """paper => paper.getContext("2d").getImageData(0, 0, paper.width, paper.height).data
            .filter((v, i) => i % 4 === 3 && v > 0).length"""
    )


def test_one_draws_from_the_keyboard(explorer):
    paper = explorer.get_by_role("application", name="Papel")
    paper.focus()
    for key in ("ArrowUp", " ", "ArrowDown", "ArrowDown", "ArrowRight"):
        paper.press(key)
    expect(explorer.locator(".vae-drawn img")).to_have_count(2)
    assert inked(explorer) > 2000
    paper.press("Delete")
    expect(explorer.locator(".vae-drawn img")).to_have_count(0)


# Mil movimentos do mouse de uma vez, sem esperar resposta: o que sai para o kernel e o que fica no navegador.
THOUSAND = """async pad => {
    const box = pad.getBoundingClientRect(), { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
    let sent = 0;
    const count = (_, { msg, direction }) => {
        if (direction === 'send' && msg.header.msg_type === 'comm_msg') sent += 1;
    };
    const at = (type, right, down) => {
        const [clientX, clientY] = [box.left + right * box.width, box.top + down * box.height];
        pad.dispatchEvent(new PointerEvent(type, { bubbles: true, isPrimary: true, pointerId: 7, clientX, clientY }));
    };
    kernel.anyMessage.connect(count);
    at('pointerdown', 0.5, 0.5);
    for (let i = 1; i <= 1000; i++) at('pointermove', 0.5 + 0.3 * Math.sin(i), 0.5 + 0.3 * Math.cos(i));
    at('pointermove', 0.9, 0.2);
    at('pointerup', 0.9, 0.2);
    await new Promise(done => setTimeout(done, 1500));
    kernel.anyMessage.disconnect(count);
    return sent;
}"""


def test_a_fast_drag_never_queues_and_leaves_memory_where_it_was(explorer, gallery):
    """A última posição vale; o que passou enquanto o kernel trabalhava não chega a sair do navegador."""
    drag(explorer, ".vae-pad", (0.9, 0.2))
    gallery.wait_for_timeout(500)
    last, others = values(explorer), [picture(shown(gallery, name)).get_attribute("src") for name in GALLERY[1:]]
    pad, (widgets, resident) = explorer.locator(".vae-pad"), kernel_memory(gallery)
    assert pad.evaluate(THOUSAND) < 40
    assert values(explorer) == last
    browser = browser_memory(gallery)
    for _ in range(3):
        assert pad.evaluate(THOUSAND) < 40
    nodes, heap = browser_memory(gallery)
    assert nodes - browser[0] < 200
    assert heap - browser[1] < 8_000_000
    after = kernel_memory(gallery)
    assert after[0] == widgets
    assert after[1] - resident < 20_000
    assert [picture(shown(gallery, name)).get_attribute("src") for name in GALLERY[1:]] == others


def kernel_memory(gallery) -> tuple[int, int]:
    """Widgets que vivem no kernel, e KiB que ele ocupa."""
    widgets, resident = printed(gallery, "from ipywidgets.widgets.widget").inner_text().split()
    return int(widgets), int(resident)


def browser_memory(page) -> tuple[int, int]:
    """Elementos do documento e bytes de JavaScript, depois de recolhido o lixo."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    nodes, heap = session.send("Memory.getDOMCounters")["nodes"], session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    return nodes, int(heap)


def test_two_explorers_of_one_model_do_not_disturb_each_other(gallery):
    """Arrastar o ponto de um não move o do outro, nem desenhar num mancha o papel do outro."""
    twins = shown(gallery, "latent"), shown(gallery, "twin")
    for moved, still in (twins, twins[::-1]):
        still_picture, still_ink = picture(still).get_attribute("src"), inked(still)
        changes_picture(moved, functools.partial(drag, moved, ".vae-pad", (0.5, 0.5), (0.8, 0.3)))
        changes_picture(moved, functools.partial(drag, moved, ".vae-paper", *FOUR[0]))
        expect(moved.locator(".vae-drawn img")).to_have_count(2)
        assert picture(still).get_attribute("src") == still_picture
        assert inked(still) == still_ink
        moved.get_by_role("button", name="Apagar").click()


# Todos os exploradores


@pytest.mark.parametrize("width", [390, 600, 800, 1280])
def test_pictures_keep_their_proportions_and_nothing_overflows(gallery, width):
    gallery.set_viewport_size({"width": width, "height": lab.VIEWPORT["height"]})
    gallery.wait_for_timeout(500)  # o JupyterLab refaz a página
    for name, explorer in zip(GALLERY, gallery.locator(".vae-explorer").all(), strict=True):
        distortions = explorer.evaluate(
            """explorer => [...explorer.querySelectorAll('img')].map(
                image => (image.clientWidth / image.clientHeight) / (image.naturalWidth / image.naturalHeight))"""
        )
        assert distortions == pytest.approx([1] * len(distortions), abs=0.02), name
        assert overflowing_boxes(explorer) == 0, name
    gallery.set_viewport_size(lab.VIEWPORT)


def overflowing_boxes(explorer) -> int:
    return explorer.evaluate(
        """explorer => [explorer, ...explorer.querySelectorAll('.widget-hbox, .widget-vbox')]
            .filter(box => box.scrollWidth > box.clientWidth).length"""
    )


def test_while_it_lives_only_the_explorer_is_seen(gallery):
    expect(gallery.locator(".vae-still")).to_have_count(len(GALLERY))
    expect(gallery.locator(".vae-still:visible")).to_have_count(0)


def test_a_cell_run_again_has_one_explorer_that_answers(gallery):
    for _ in range(3):
        run_again(gallery, "gumbel =")
    expect(gallery.locator(".vae-explorer")).to_have_count(len(GALLERY))
    explorer = shown(gallery, "gumbel")
    changes_picture(explorer, lambda: press(explorer, "τ", "ArrowRight"))


@pytest.mark.parametrize("from_another_person", [False, True], ids=["own", "received"])
def test_a_saved_and_reopened_notebook_shows_the_still_pictures(browser, server, gallery, from_another_person):
    """Sem executar nada: no caderno de quem o salvou, em que o JupyterLab confia, e no que veio de outra pessoa."""
    gallery.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    saved = nbformat.read(server.root / "galeria.ipynb", as_version=4)
    name = f"reaberto_{from_another_person}.ipynb"
    if from_another_person:  # as saídas não são as que este JupyterLab assinou
        for cell in saved.cells:
            cell.outputs = [with_another_note(output) for output in cell.outputs]
            cell.metadata.pop("trusted", None)
    nbformat.write(saved, server.root / name)
    page = browser.new_page(viewport=lab.VIEWPORT)
    lab.open_notebook(page, server, name)
    trusted = "[...window.jupyterapp.shell.currentWidget.content.model.cells].every(cell => cell.trusted)"
    assert page.evaluate(trusted) == (not from_another_person)
    stills = page.locator(".vae-still img:visible")
    expect(stills).to_have_count(len(GALLERY))
    page.wait_for_timeout(3000)  # tempo para o JupyterLab procurar os widgets, que não existem mais
    expect(stills).to_have_count(len(GALLERY))
    for still in stills.all():
        still.scroll_into_view_if_needed()
        box, natural = still.bounding_box(), still.evaluate("image => image.naturalWidth / image.naturalHeight")
        assert box["width"] > 500
        assert box["width"] / box["height"] == pytest.approx(natural, rel=0.02)
        assert len(still.get_attribute("alt")) > 40
    expect(page.locator(".vae-explorer")).to_have_count(0)
    require_clean(page)
    words = page.locator(".jp-Notebook").inner_text()
    assert words.count("execute a célula para mexer nos controles") == len(GALLERY)
    for stray in ("Error", "Loading widget", "Explorer("):
        assert stray not in words
    lab.close_notebook(page)


def with_another_note(output):
    if "text/html" in output.get("data", {}):
        output.data["text/html"] = output.data["text/html"].replace("Figura parada", "Figura recebida")
    return output


def run_again(page, source: str) -> None:
    """Executa a célula que começa por `source` e espera que ela termine."""
    page.evaluate(
        """async source => {
            const {content} = window.jupyterapp.shell.currentWidget;
            content.activeCellIndex = content.widgets.findIndex(c => c.model.sharedModel.source.startsWith(source));
            content.deselectAll();
            await window.jupyterapp.commands.execute('notebook:run-cell');
        }""",
        source,
    )


def test_the_explorer_fits_the_page_and_keeps_square_pixels(explorer):
    assert overflowing_boxes(explorer) == 0
    box = explorer.bounding_box()
    assert box["height"] < lab.VIEWPORT["height"] - 200
    assert picture(explorer).evaluate("image => getComputedStyle(image).imageRendering") == "pixelated"


@pytest.mark.parametrize("lesson", LESSONS or NO_LESSON, ids=lambda path: path.stem if path else "nenhuma")
def test_lesson_opens_as_stored(lesson, browser, server):
    shutil.copy(lesson, server.root)
    with quiet_page(browser) as page:
        lab.open_notebook(page, server, lesson.name)
        page.wait_for_timeout(2000)  # o MathJax compõe as fórmulas depois de o caderno estar pronto
        require_clean(page)


def test_a_lesson_runs_in_the_browser(browser, server):
    """A primeira: as outras o nbval executa, e os exploradores delas vivem nos cadernos destes testes."""
    shutil.copy(LESSONS[0], server.root)
    with quiet_page(browser) as page:
        lab.open_notebook(page, server, LESSONS[0].name)
        for cell in lab.run_all(page):
            assert cell["errors"] == [], cell["source"]
            assert cell["count"], f"não executou:\n{cell['source']}"
        require_clean(page)
        explorer = page.locator(".vae-explorer").first
        explorer.scroll_into_view_if_needed()
        changes_picture(explorer, lambda: press(explorer, "", "ArrowRight"))


def require_clean(page) -> None:
    notebook = page.locator(".jp-Notebook")
    expect(notebook.get_by_text("Error displaying widget")).to_have_count(0)
    assert notebook.locator("mjx-merror, [data-mjx-error]").all_inner_texts() == []
