"""«Seus próprios dados», da lição 03, com outras imagens no lugar das dela: os rostos que vêm no scikit-image."""

import importlib.util
import re
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch

LESSON = Path(__file__).resolve().parent.parent / "notebooks" / "03_vae.ipynb"


def imports_and_section(title):
    """O código da célula que importa, e o da seção `title`, uma célula por item."""
    imports, section, inside = "", [], False
    for cell in nbformat.read(LESSON, as_version=4).cells:
        if cell.cell_type == "markdown" and "## " in cell.source:
            inside = title in cell.source
        elif cell.cell_type == "code" and not imports:
            imports = cell.source
        elif cell.cell_type == "code" and inside:
            section.append(cell.source)
    return imports, section


@pytest.mark.skipif(importlib.util.find_spec("skimage") is None, reason="precisa do scikit-image, do grupo dev")
def test_the_section_on_your_own_data_works_with_photos_of_faces(monkeypatch):
    """200 recortes de 25×25 em ponto flutuante, cem rostos e cem pedaços de fundo: só a primeira célula muda."""
    from skimage.data import lfw_subset

    imports, (making, *rest) = imports_and_section("Seus próprios dados")
    assert "\nimages = np.stack" in making
    names = {"__name__": "lesson"}
    exec(imports, names)
    monkeypatch.setattr(names["plotting"], "show", lambda fig, alt: plt.close(fig))
    names |= {"images": lfw_subset(), "labels": np.repeat([0, 1], 100), "device": names["choose_device"]()}
    for source in rest:
        exec(source, names)
    assert repr(names["mine"]) == "Dataset('minhas', 160 imagens de 25×25, 2 classes)"
    history = names["my_history"].val_elbo
    assert history[-1] > history[0] + 50
    assert names["x_mine"].shape == (10, 625)


def test_the_short_version_in_the_readme_works():
    readme = (LESSON.parent.parent / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.+?)\n```", readme, re.DOTALL)
    names = {"imagens": np.random.default_rng(0).integers(0, 256, (40, 9, 7), dtype=np.uint8)}
    exec(block.replace("epochs=60", "epochs=2, device='cpu'"), names)
    assert repr(names["minhas"]) == "Dataset('minhas', 40 imagens de 9×7)"
    with torch.no_grad():
        assert names["vae"].sample(5).shape == (5, 63)
