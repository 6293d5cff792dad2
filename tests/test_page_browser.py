"""O site num Chromium de verdade, aberto de um arquivo e sem rede: nada falta, tudo responde, todos alcançam tudo."""

import base64
import contextlib
import io

import numpy as np
import pytest

pytest.importorskip("playwright", reason='falta o playwright: instale o pacote com pip install -e ".[browser]"')
pytest.importorskip("axe_playwright_python", reason='falta o axe: instale o pacote com pip install -e ".[browser]"')
pytest.importorskip("myst_nb", reason='falta o myst-nb: instale o pacote com pip install -e ".[page]"')
pytest.importorskip("furo", reason='falta o furo: instale o pacote com pip install -e ".[page]"')
pytest.importorskip("quickjs", reason='falta o quickjs-ng: instale o pacote com pip install -e ".[page]"')

import pages
from axe import grave
from PIL import Image
from playwright.sync_api import expect

from vae_lessons.authoring import lab
from vae_lessons.explore import explore_gumbel
from vae_lessons.publish import recording
from vae_lessons.teach.grades import Row
from vae_lessons.teach.page import student_page
from vae_lessons.teach.report import report_page

pytestmark = [
    pytest.mark.skipif(
        lab.CHROMIUM is None, reason="falta um navegador no PATH: chromium, chromium-browser ou google-chrome"
    ),
    pytest.mark.filterwarnings("default"),  # as do Sphinx e do docutils não são nossas
]

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
SCREENS = {
    "claro": {},
    "escuro": {"color_scheme": "dark"},
    "390": {"viewport": PHONE},
    "390 escuro": {"viewport": PHONE, "color_scheme": "dark"},
}


@pytest.fixture(scope="module")
def site():
    return pages.toy_site()


@pytest.fixture(scope="module")
def gallery():
    return pages.gallery()


@pytest.fixture(scope="module")
def browser():
    with lab.browse() as browser:
        yield browser


@contextlib.contextmanager
def quiet_page(browser, **options):
    """Uma página sem rede que, ao fechar, não pode ter pedido nada a outro computador nem escrito no console."""
    context = browser.new_context(**{"viewport": WIDE, "offline": True} | options)
    page, complaints = context.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("request", lambda request: complaints.append(request.url) if request.url.startswith("http") else None)
    page.on("requestfailed", lambda request: complaints.append(request.url))
    yield page
    context.close()
    assert complaints == []


@contextlib.contextmanager
def lesson(browser, site, **options):
    """A lição de brinquedo, com o explorador já vivo."""
    with quiet_page(browser, **options) as page:
        page.goto((site / "00_comeco.html").as_uri())
        page.locator("[data-gravado]").scroll_into_view_if_needed()
        page.wait_for_selector("[data-vivo=sim]")
        yield page


def picture(page) -> np.ndarray:
    """Os pixels do explorador, [H, W, 3]."""
    page.wait_for_function("!document.querySelector('[data-gravado]').explorador.busy")
    return drawn(page.locator("[data-gravado]"))


def kernel_picture(**values) -> np.ndarray:
    explorer = explore_gumbel()
    return np.asarray(explorer.paint(explorer.measure(**explorer.values() | values)).convert("RGB"))


def assert_ready(page, path, *, before_axe="") -> None:
    """A página não rola para o lado e nada nela é grave para quem não vê ou não usa mouse."""
    page.goto(path.as_uri())
    page.wait_for_load_state("load")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path.name} rola para o lado"
    assert page.evaluate("[...document.querySelectorAll('.math')].every(m => m.querySelector('.katex'))"), path.name
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    page.evaluate(before_axe)
    assert grave(page) == [], path.name


@pytest.mark.parametrize("screen", SCREENS)
def test_every_kind_of_page_is_quiet_and_accessible(browser, site, screen):
    with quiet_page(browser, **SCREENS[screen]) as page:
        for path in sorted(site.glob("*.html")):
            assert_ready(page, path)


@pytest.mark.parametrize("screen", ["claro", "390 escuro"])
def test_every_lesson_is_quiet_and_accessible(browser, screen):
    # As peças de uma fórmula e as cores do código são milhares e iguais em toda página: o teste acima já as viu.
    bare = (
        """for (const e of document.querySelectorAll(".katex, pre > span")) e.replaceWith(e.textContent.slice(0, 9))"""
    )
    with quiet_page(browser, **SCREENS[screen]) as page:
        for path in sorted(pages.stored_site().glob("*.html")):
            assert_ready(page, path, before_axe=bare)


ANSWER = "resposta = " + " + ".join("abcdefghijklmnopqrstuvwxyz" * 8)
GRADED = {
    "ana": [Row("01.1", "✅", 1, 1, "certo!", answer=ANSWER), Row("01.2", "❌", 0, 1, "sobra um ½", "sobra um ½.")],
    "beto": [Row("01.1", "✅", 1, 1, "certo!"), Row("01.2", "⏳", 0, 1, "em branco")],
}


@pytest.mark.parametrize("screen", SCREENS)
def test_the_pages_of_a_class_are_quiet_and_accessible(browser, tmp_path, screen):
    pages_of = {"turma": report_page(GRADED), "ana": student_page("ana", GRADED["ana"])}
    with quiet_page(browser, **SCREENS[screen]) as page:
        for name, content in pages_of.items():
            (tmp_path / f"{name}.html").write_text(content, encoding="utf-8")
            assert_ready(page, tmp_path / f"{name}.html")
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_a_live_explorer_is_accessible(browser, site):
    with lesson(browser, site) as page:
        assert grave(page, "[data-gravado]") == []


def test_the_fonts_of_the_formulas_are_loaded(browser, site):
    with quiet_page(browser) as page:
        page.goto((site / "00_comeco.html").as_uri())
        page.evaluate("document.fonts.ready")
        assert page.evaluate("[...document.fonts].some(f => f.family.includes('KaTeX_Math') && f.status === 'loaded')")


def test_search_finds_words_with_or_without_accents(browser, site):
    with quiet_page(browser) as page:
        page.goto((site / "index.html").as_uri())
        page.fill(".sidebar-search", "reparametrizacao")
        page.press(".sidebar-search", "Enter")
        result = page.locator("#busca-resultados a").first
        for word in ("reparametrização", "REPARAMETRIZAÇÃO", "reparametrizacao"):
            page.fill("#busca-palavras", word)
            expect(result).to_have_text("00 · Começo › Reparametrização")
        result.click()
        expect(page).to_have_url((site / "00_comeco.html").as_uri() + "#reparametrizacao")


def test_search_says_when_nothing_is_found(browser, site):
    with quiet_page(browser) as page:
        page.goto((site / "search.html").as_uri() + "?q=ornitorrinco")
        expect(page.locator("#busca-total")).to_have_text("Nenhuma seção tem essas palavras.")


def test_the_explorer_draws_the_pixels_of_the_kernel_and_answers_the_keyboard(browser, site):
    with lesson(browser, site) as page:
        assert np.array_equal(picture(page), kernel_picture(temperature=1.0, logit_1=1.0))
        page.get_by_role("slider", name="τ").focus()
        page.keyboard.press("ArrowRight")
        assert np.array_equal(picture(page), kernel_picture(temperature=2.0, logit_1=1.0))
        expect(page.locator("[data-gravado] .vae-legenda")).to_contain_text("τ = 2,00")
        page.get_by_role("slider", name="classe 1").focus()
        page.keyboard.press("Home")
        assert np.array_equal(picture(page), kernel_picture(temperature=2.0, logit_1=-2.0))
        assert page.get_by_role("slider", name="classe 1").get_attribute("aria-valuetext") == "−2,00"


@pytest.mark.parametrize("options", [{}, {"viewport": PHONE, "has_touch": True}], ids=["mouse", "dedo"])
def test_the_explorer_answers_mouse_and_touch(browser, site, options):
    with lesson(browser, site, **options) as page:
        slider = page.get_by_role("slider", name="τ")
        box = slider.bounding_box()
        touch = page.touchscreen.tap if options else page.mouse.click
        touch(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2)
        assert slider.input_value() == "4"
        assert np.array_equal(picture(page), kernel_picture(temperature=5.0, logit_1=1.0))


def test_in_a_fast_drag_the_last_position_wins_and_the_others_do_not_queue(browser, site):
    with lesson(browser, site) as page:
        before = page.evaluate("document.querySelector('[data-gravado]').explorador.draws")
        page.evaluate(
            """() => { const slider = document.querySelector("[data-gravado] input");
            for (let i = 0; i < 1001; i++) { slider.value = i % 5; slider.dispatchEvent(new Event("input")); } }"""
        )
        assert np.array_equal(picture(page), kernel_picture(temperature=0.1, logit_1=1.0))
        assert page.evaluate("document.querySelector('[data-gravado]').explorador.draws") - before <= 3


# Todos os exploradores gravados


@contextlib.contextmanager
def all_alive(browser, gallery, **options):
    """A página com todos os exploradores gravados, vivos; e, de cada um, o elemento e a gravação."""
    with quiet_page(browser, **options) as page:
        page.goto((gallery / "00_galeria.html").as_uri())
        hosts = page.locator("[data-gravado]").all()
        for host in hosts:
            host.scroll_into_view_if_needed()
            expect(host).to_have_attribute("data-vivo", "sim")
        yield page, dict(zip(pages.recordings(), hosts, strict=True))


def state(host) -> int:
    """O estado em que o explorador está, já desenhado."""
    return host.evaluate(
        """async host => { const e = host.explorador;
        while (e.busy) await new Promise(done => setTimeout(done, 5));
        return e.join(e.place); }"""
    )


def drawn(host) -> np.ndarray:
    """Os pixels de um explorador, [H, W, 3]: as partes dele, lado a lado."""
    urls = host.evaluate("host => host.explorador.parts.map(({ pen }) => pen.canvas.toDataURL())")
    parts = [Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB") for url in urls]
    return np.concatenate([np.asarray(part) for part in parts], axis=1)


def test_every_explorer_answers_keyboard_mouse_and_touch_with_the_pixels_of_its_recording(browser, gallery):
    with all_alive(browser, gallery, has_touch=True) as (page, hosts):
        for name, host in hosts.items():
            for slider in host.locator("input").all():
                slider.scroll_into_view_if_needed()
                box = slider.bounding_box()
                left, right, middle = box["x"] + 4, box["x"] + box["width"] - 4, box["y"] + box["height"] / 2
                touch, click, press = page.touchscreen.tap, page.mouse.click, page.keyboard.press
                slider.press("Home")
                seen = [state(host)]
                for act in (lambda: touch(right, middle), lambda: click(left, middle), lambda: press("End")):  # noqa: B023
                    act()
                    seen.append(state(host))
                assert seen[0] == seen[2] != seen[1] == seen[3], (name, slider.get_attribute("aria-valuetext"), seen)
            for choice in host.locator("select").all():
                before = state(host)
                choice.focus()
                page.keyboard.press("ArrowDown")
                after = state(host)
                choice.select_option(index=0)
                assert after != before == state(host), name
            pictures = list(recording.replay(pages.recordings()[name]))
            assert np.array_equal(drawn(host), pictures[state(host)]), name
            said = pages.recordings()[name]["texts"][state(host)]
            expect(host.get_by_role("img")).to_have_attribute("aria-label", said)


@pytest.mark.parametrize("screen", SCREENS)
def test_explorers_alive_are_accessible_and_can_be_read(browser, gallery, screen):
    with all_alive(browser, gallery, **SCREENS[screen]) as (page, hosts):
        assert grave(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for name, host in hosts.items():
            scales = host.evaluate(
                """host => host.explorador.parts.map(({ pen: { canvas } }) =>
                canvas.clientWidth / (host.explorador.data.shown * canvas.width / host.explorador.data.width))"""
            )
            assert min(scales) > 0.69, name  # as letras, de 13 pixels ou mais, ficam com 9 ou mais


def test_on_a_phone_a_picture_is_cut_in_two_and_its_controls_stay_in_sight(browser, gallery):
    with all_alive(browser, gallery, viewport=PHONE) as (page, hosts):
        host = hosts["gumbel"]
        above, below = (canvas.bounding_box() for canvas in host.locator("canvas").all())
        assert below["y"] >= above["y"] + above["height"] - 1
        assert below["x"] == above["x"]
        page.evaluate("y => scrollBy(0, y - 60)", above["y"])
        assert host.get_by_role("slider", name="τ").bounding_box()["y"] < PHONE["height"]


def test_the_next_step_is_decoded_ahead_and_drawn_at_once(browser, gallery):
    """Com o vizinho pronto, entre a tecla e a figura não cabe nem um quadro: não se espera por nada."""
    with all_alive(browser, gallery) as (_, hosts):
        late = hosts["kmeans"].evaluate(
            """async host => { const e = host.explorador, slider = host.querySelector("input"), late = [];
            const which = e.data.controls.findIndex(({ kind }) => kind === "slider"), start = +slider.value;
            slider.dispatchEvent(new Event("focus"));
            for (let i = start + 1; i <= start + 10; i++) {
                const next = e.join(e.place.with(which, i)), before = e.draws;
                const patience = Date.now() + 20000;
                while (!e.cache.has(next) && Date.now() < patience) await new Promise(done => setTimeout(done, 5));
                await e.cache.get(next);
                slider.value = i;
                slider.dispatchEvent(new Event("input"));
                await new Promise(done => setTimeout(done));
                if (e.draws === before) late.push(i);
                while (e.draws === before) await new Promise(done => setTimeout(done));
            }
            return late; }"""
        )
        assert late == []


def test_a_thousand_moves_leave_as_many_pictures_as_before(browser, gallery):
    counter = """window.alive = 0;
    const create = createImageBitmap, close = ImageBitmap.prototype.close;
    window.createImageBitmap = async (...given) => { const made = await create(...given); alive += 1; return made; };
    ImageBitmap.prototype.close = function () { alive -= 1; close.call(this); };"""
    moves = """async (host, count) => { const e = host.explorador, slider = host.querySelector("input");
    const before = alive;
    for (let i = 0; i < count; i++) {
        slider.value = (7 * i) % 21;
        slider.dispatchEvent(new Event("input"));
        while (e.busy) await new Promise(done => setTimeout(done));
    }
    await new Promise(done => setTimeout(done, 300));
    return [alive - before, document.querySelectorAll("canvas").length]; }"""
    context = browser.new_context(viewport=WIDE, offline=True)
    context.add_init_script(counter)
    page = context.new_page()
    page.goto((gallery / "00_galeria.html").as_uri())
    host = page.locator("[data-gravado]").nth(list(pages.recordings()).index("kmeans"))
    host.scroll_into_view_if_needed()
    page.wait_for_function("host => host.dataset.vivo", arg=host.element_handle())
    kept, canvases = host.evaluate(moves, 100)
    assert kept <= 16
    assert host.evaluate(moves, 1000) == [0, canvases]
    context.close()


def test_on_paper_there_are_pictures_and_answers_and_no_controls(browser, site):
    with lesson(browser, site) as page:
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        expect(page.get_by_text("answer = steps")).to_be_visible()
        assert page.locator("[data-gravado] canvas").first.is_visible()
        for hidden in (".vae-controles", ".sidebar-drawer", ".toc-drawer", "footer", ".mobile-header"):
            assert not any(element.is_visible() for element in page.locator(hidden).all()), hidden
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        page.emulate_media(media="screen")
        expect(page.get_by_text("answer = steps")).to_be_hidden()
        assert page.pdf().startswith(b"%PDF")


@contextlib.contextmanager
def latent(browser, site, **options):
    """A lição de brinquedo, com o explorador do espaço latente já vivo."""
    with quiet_page(browser, **options) as page:
        page.goto((site / "00_comeco.html").as_uri())
        page.locator("[data-latente]").scroll_into_view_if_needed()
        page.wait_for_selector("[data-latente][data-vivo=sim]")
        yield page


def z_of(page) -> list[float]:
    return page.evaluate("[...document.querySelector('[data-latente]').explorador.z]")


def test_the_point_of_the_map_is_dragged_and_moved_by_the_arrows(browser, site):
    with latent(browser, site) as page:
        image = "document.querySelector('.vae-imagem').toDataURL()"
        before, box = page.evaluate(image), page.locator(".vae-mapa").bounding_box()
        page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.3 * box["height"], steps=5)
        page.mouse.up()
        page.wait_for_function("!document.querySelector('[data-latente]').explorador.waiting")
        z = z_of(page)
        assert z[0] > 0.5
        assert z[1] > 0.5
        assert page.evaluate(image) != before
        page.keyboard.press("ArrowRight")
        assert z_of(page) == pytest.approx([z[0] + 0.1, z[1]], abs=1e-5)


@pytest.mark.parametrize("options", [{}, {"viewport": PHONE, "has_touch": True}], ids=["mouse", "dedo"])
def test_a_drawn_digit_is_encoded(browser, site, options):
    with latent(browser, site, **options) as page:
        paper = page.locator(".vae-papel")
        paper.scroll_into_view_if_needed()
        box = paper.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        if options:
            page.touchscreen.tap(x, y)
        else:
            page.mouse.move(x, y - 60)
            page.mouse.down()
            page.mouse.move(x, y + 60, steps=8)
            page.mouse.up()
        expect(page.locator("[data-latente]")).to_contain_text("nats = E[log p(x|z)]")
        encoded = page.evaluate(
            """() => { const e = document.querySelector("[data-latente]").explorador;
            return [[...e.z], [...vaeRede.encode(e.encoder, e.shrunk()).mean]]; }"""
        )
        assert encoded[0] == encoded[1]


def test_the_live_explorer_is_accessible(browser, site):
    with latent(browser, site) as page:
        assert grave(page, "[data-latente]") == []


# O explorador do espaço latente, de perto

LATENT_MOVES = """async ([moves, pause]) => {
    const e = document.querySelector("[data-latente]").explorador, box = e.map.getBoundingClientRect();
    const at = (type, right, down) => e.map.dispatchEvent(new PointerEvent(type, {
        bubbles: true, isPrimary: true, pointerId: 7,
        clientX: box.left + right * box.width, clientY: box.top + down * box.height,
    }));
    const before = e.draws;
    let late = 0;
    const frames = async () => { for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame); };
    at("pointerdown", 0.5, 0.5);
    if (pause) await frames();
    for (let i = 1; i <= moves; i++) {
        const draws = e.draws;
        at("pointermove", 0.5 + 0.3 * Math.sin(i), 0.5 + 0.3 * Math.cos(i));
        if (!pause) continue;
        late += e.draws === draws;
        await frames();
    }
    at("pointermove", 0.75, 0.25);
    at("pointerup", 0.75, 0.25);
    await frames();
    return { draws: e.draws - before, z: [...e.z], late };
}"""


def test_a_fast_drag_of_the_point_never_queues_and_the_last_place_wins(browser, site):
    with latent(browser, site) as page:
        slow, fast = page.evaluate(LATENT_MOVES, [1, False]), page.evaluate(LATENT_MOVES, [1000, False])
        assert fast["draws"] <= 4
        assert fast["z"] == slow["z"]


def test_a_drag_is_drawn_in_its_own_event(browser, site):
    """Quem arrasta devagar não espera o quadro seguinte: a figura muda antes de o evento acabar."""
    with latent(browser, site) as page:
        assert page.evaluate(LATENT_MOVES, [30, True])["late"] == 0


def test_a_thousand_moves_leave_the_page_as_big_as_it_was(browser, site):
    with latent(browser, site) as page:
        session = page.context.new_cdp_session(page)

        def size() -> tuple[int, int, int]:
            session.send("HeapProfiler.collectGarbage")
            nodes = session.send("Memory.getDOMCounters")["nodes"]
            canvases = page.evaluate("document.querySelectorAll('canvas').length")
            return nodes, canvases, session.send("Runtime.getHeapUsage")["usedSize"]

        page.evaluate(LATENT_MOVES, [1000, 40])
        before = size()
        page.evaluate(LATENT_MOVES, [1000, 40])
        after = size()
        assert after[0] - before[0] < 20
        assert after[1] == before[1]
        assert after[2] - before[2] < 500_000


def test_the_picture_can_be_a_sample_and_the_path_can_turn(browser, site):
    with latent(browser, site) as page:
        greys = """[...new Set(document.querySelector('[data-latente]').explorador.picture.image.data
            .filter((_, i) => i % 4 === 0))].sort((a, b) => a - b)"""
        assert len(page.evaluate(greys)) > 2
        page.get_by_label("O que a imagem mostra").select_option(index=1)
        assert page.evaluate(greys) == [0, 255]
        page.get_by_label("posição").fill("0.5")
        straight = np.array(z_of(page))
        page.get_by_label("caminho").select_option(label="esférico")
        turned = np.array(z_of(page))
        ends = page.evaluate(
            """() => { const e = document.querySelector("[data-latente]").explorador;
            return ["Codificar", "Ir até"].map(label => {
                const row = [...document.querySelectorAll("label")].find(l => l.textContent.startsWith(label));
                return [...vaeRede.encode(e.encoder, e.images[row.querySelector("select").value]).mean];
            }); }"""
        )
        assert straight == pytest.approx(np.mean(ends, axis=0), abs=1e-5)
        assert np.linalg.norm(turned) == pytest.approx(np.linalg.norm(ends, axis=1).mean(), rel=1e-4)


def test_one_draws_from_the_keyboard_and_erases(browser, site):
    with latent(browser, site) as page:
        paper, told = page.get_by_role("application", name="Papel"), page.locator("[data-latente]")
        paper.focus()
        for key in ("ArrowUp", " ", "ArrowDown", "ArrowDown", "ArrowRight"):
            page.keyboard.press(key)
        expect(told).to_contain_text("nats = E[log p(x|z)]")
        assert page.evaluate("document.querySelector('[data-latente]').explorador.strokes.length") == 1
        page.get_by_role("button", name="Apagar").click()
        expect(told).not_to_contain_text("nats = E[log p(x|z)]")
        assert page.evaluate("document.querySelector('[data-latente]').explorador.q") is None


def test_without_javascript_the_still_pictures_stand(browser, site, gallery):
    with quiet_page(browser, java_script_enabled=False) as page:
        for path, count in ((site / "00_comeco.html", 2), (gallery / "00_galeria.html", len(pages.recordings()))):
            page.goto(path.as_uri())
            stills = page.locator("[data-gravado] img, [data-latente] img").all()
            assert len(stills) == count
            for still in stills:
                still.scroll_into_view_if_needed()
                expect(still).to_be_visible()
                assert len(still.get_attribute("alt")) > 10
                assert still.evaluate("image => image.complete && image.naturalWidth") > 0


def test_solutions_open_with_the_keyboard(browser, site):
    with quiet_page(browser) as page:
        page.goto((site / "00_comeco.html").as_uri())
        summary = page.get_by_text("Solução", exact=True)
        expect(page.get_by_text("answer = steps")).to_be_hidden()
        summary.press("Enter")
        expect(page.get_by_text("answer = steps")).to_be_visible()


def test_what_scrolls_sideways_is_reached_by_the_keyboard(browser, site):
    with quiet_page(browser, viewport=PHONE) as page:
        page.goto((site / "00_comeco.html").as_uri())
        page.wait_for_load_state("load")
        assert page.evaluate(
            """() => { const wide = [...document.querySelectorAll("pre")].filter(p => p.scrollWidth > p.clientWidth);
            return wide.length > 0 && wide.every(p => p.tabIndex === 0); }"""
        )
