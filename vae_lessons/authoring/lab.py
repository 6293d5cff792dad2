"""Um JupyterLab de verdade, num Chromium de verdade, com configuração descartável.

    python -m vae_lessons.authoring.lab notebooks/03_vae.ipynb PASTA [--dark]

executa a lição de ponta a ponta e grava em PASTA um PNG de cada célula, e um de cada explorador, para que alguém olhe.
Precisa do Playwright (pip install -e ".[browser]") e de um Chromium. A imagem do README é explorador_1.png da lição 03.
"""

import argparse
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vae_lessons.files import user_path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VIEWPORT = {"width": 1280, "height": 900}
_SERVER_TIMEOUT = 60  # segundos

# Sem avisos por cima da página, e com todas as células no DOM, mesmo as que estão fora da janela.
_SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
    "notebook-extension/tracker": {"windowingMode": "none"},
}

# Não basta esperar por "idle": sem estas condições, executar tudo pode não executar nada, em silêncio.
_READY = """() => {
    const panel = window.jupyterapp?.shell?.currentWidget;
    return Boolean(panel?.context?.isReady && panel.sessionContext?.isReady && panel.sessionContext.session?.kernel);
}"""
_CELLS = """() => [...window.jupyterapp.shell.currentWidget.content.model.cells]
    .filter(cell => cell.type === 'code' && cell.sharedModel.source.trim())
    .map(cell => ({
        source: cell.sharedModel.source,
        count: cell.executionCount,
        errors: cell.outputs.toJSON().filter(o => o.output_type === 'error').map(o => `${o.ename}: ${o.evalue}`),
    }))"""
_FINISHED = f"""() => {{
    const cells = ({_CELLS})();
    return cells.every(cell => cell.count) || cells.some(cell => cell.errors.length);
}}"""


class Unavailable(RuntimeError):
    """Falta algo que não vem com o pacote; a mensagem diz o que instalar."""


class Server(NamedTuple):
    """O endereço, a senha e a pasta que um JupyterLab no ar serve."""

    url: str
    token: str
    root: Path


@contextlib.contextmanager
def serve(root: Path, *, theme: str = "JupyterLab Light") -> Iterator[Server]:
    """JupyterLab no ar, servindo `root`; nada do que o usuário configurou é lido nem alterado."""
    with tempfile.TemporaryDirectory() as scratch:
        _write_settings(Path(scratch, "settings"), theme)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = Server(f"http://127.0.0.1:{port}", secrets.token_hex(16), root)
        command = [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
            *(f"--IdentityProvider.token={server.token}", f"--ServerApp.root_dir={root}"),
            *("--LabApp.expose_app_in_browser=True", "--LabApp.news_url="),
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ]
        folders = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        }
        environment = os.environ | {name: str(Path(scratch, folder)) for name, folder in folders.items()}
        log_path = Path(scratch, "server.log")
        with log_path.open("w") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
            try:
                _wait_until_up(server, process, log_path)
                yield server
            finally:
                process.terminate()
                process.wait(timeout=30)


@contextlib.contextmanager
def browse() -> Iterator:
    """Um Chromium sem janela (playwright.sync_api.Browser).

    Levanta Unavailable, que diz o que instalar, se faltar o Playwright ou o navegador.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise Unavailable('falta o Playwright: pip install -e ".[browser]"') from error
    if CHROMIUM is None:
        raise Unavailable("falta um navegador no PATH: chromium, chromium-browser ou google-chrome")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def open_notebook(page, server: Server, name: str) -> None:
    """Abre o caderno `name` e volta quando ele e o kernel estão prontos."""
    page.goto(f"{server.url}/lab/tree/{name}?token={server.token}&reset")
    page.wait_for_function(_READY, timeout=60_000)
    page.evaluate("window.jupyterapp.shell.collapseLeft()")


def run_all(page, *, timeout_s: float = 180) -> list[dict]:
    """Executa tudo e espera o número de cada célula de código, ou o primeiro erro.

    Devolve, por célula de código não vazia: source, count (None se não executou) e errors.
    """
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(_FINISHED, timeout=1000 * timeout_s)
    return page.evaluate(_CELLS)


def close_notebook(page) -> None:
    """Encerra o kernel do caderno aberto e fecha a página."""
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    page.close()


def photograph(page, folder: Path) -> list[Path]:
    """Um PNG por célula do caderno aberto, e um por explorador, na ordem; devolve os caminhos."""
    folder.mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(1000)  # o que o navegador ainda estiver desenhando
    height = page.evaluate("document.querySelector('.jp-Notebook .jp-WindowedPanel-inner').scrollHeight")
    page.set_viewport_size({"width": VIEWPORT["width"], "height": min(max(int(height) + 200, 900), 12_000)})
    paths = []
    for number, cell in enumerate(page.locator(".jp-Notebook .jp-Cell").all()):
        cell.scroll_into_view_if_needed()
        paths.append(folder / f"celula_{number:02d}.png")
        cell.screenshot(path=paths[-1])
    for number, explorer in enumerate(page.locator(".vae-explorer").all(), start=1):
        explorer.scroll_into_view_if_needed()
        paths.append(folder / f"explorador_{number}.png")
        explorer.screenshot(path=paths[-1])
    return paths


def _write_settings(folder: Path, theme: str) -> None:
    for name, settings in (_SETTINGS | {"apputils-extension/themes": {"theme": theme}}).items():
        path = folder / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings), encoding="utf-8")


def _wait_until_up(server: Server, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + _SERVER_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.url}/api/status?token={server.token}", timeout=5):
                return
        except (urllib.error.URLError, TimeoutError):  # ainda não está ouvindo
            time.sleep(0.2)
    raise RuntimeError(
        f"O JupyterLab não subiu em {_SERVER_TIMEOUT} s. O que ele disse:\n{log.read_text(errors='replace')}"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m vae_lessons.authoring.lab",
        description="Fotografa cada célula, e cada explorador, de uma lição executada no JupyterLab.",
    )
    parser.add_argument("notebook", type=user_path, help="a lição")
    parser.add_argument("folder", type=user_path, help="onde gravar as imagens")
    parser.add_argument("--dark", action="store_true", help="tema escuro")
    arguments = parser.parse_args(arguments)
    if not arguments.notebook.is_file():
        parser.error(f"não encontrei {arguments.notebook}.")
    theme = "JupyterLab Dark" if arguments.dark else "JupyterLab Light"
    try:
        cells, paths = _run_and_photograph(arguments.notebook, arguments.folder, theme)
    except Unavailable as missing:
        parser.error(f"{missing}.")
    for cell in cells:
        for error in cell["errors"]:
            print(f"Erro na célula [{cell['count']}]: {error}", file=sys.stderr)
    print(f"{len(paths)} imagens em {arguments.folder}")
    return int(any(cell["errors"] for cell in cells))


def _run_and_photograph(notebook: Path, folder: Path, theme: str) -> tuple[list[dict], list[Path]]:
    with tempfile.TemporaryDirectory() as root, browse() as browser, serve(Path(root), theme=theme) as server:
        shutil.copy(notebook, root)
        page = browser.new_page(viewport=VIEWPORT)
        open_notebook(page, server, notebook.name)
        cells = run_all(page, timeout_s=600)
        paths = photograph(page, folder)
        close_notebook(page)
    return cells, paths


if __name__ == "__main__":
    sys.exit(main())
