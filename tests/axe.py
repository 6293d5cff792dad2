"""O axe, que procura numa página o que quem não vê, ou não usa mouse, não alcança."""

from axe_playwright_python.sync_playwright import Axe


def grave(page, context=None) -> list:
    """O que o axe acha de grave: (regra, elementos). Sem `preload`, ele não pede de novo as folhas de estilo."""
    found = Axe().run(page, context=context, options={"resultTypes": ["violations"], "preload": False}).response
    return [
        (violation["id"], [node["html"][:200] for node in violation["nodes"]])
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
