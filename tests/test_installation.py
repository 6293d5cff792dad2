"""O relatório da instalação diz o que há e o que falta."""

import pytest

from vae_lessons import installation


def test_a_complete_installation_has_no_problems():
    assert installation.problems() == []


def test_the_report_lists_python_every_dependency_and_the_device():
    report = installation.report()
    assert {"Python", "torch", "jupyterlab", "ipywidgets", "matplotlib"} <= set(report.index)
    assert report.index[-1] == "dispositivo do treino"
    assert "nbval" not in report.index  # grupo opcional: só quem testa precisa


@pytest.mark.parametrize(
    ("installed", "expected"), [(None, "Falta torch"), ("1.9.0", "torch é a versão 1.9.0, e as lições pedem >=2.11")]
)
def test_a_missing_or_old_dependency_is_named_with_what_to_do(monkeypatch, installed, expected):
    real = installation._installed
    monkeypatch.setattr(installation, "_installed", lambda name: installed if name == "torch" else real(name))
    (problem,) = installation.problems()
    assert problem.startswith(expected)
    assert "pip install -r requirements.txt" in problem


def test_a_local_build_such_as_cpu_satisfies_the_bound(monkeypatch):
    monkeypatch.setattr(installation, "_installed", lambda name: "99.0.0+cpu")
    assert installation.problems() == []
