"""Os núcleos que se podem usar, e a espera do OpenMP; nada disto pode depender da máquina em que se testa."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vae_lessons import processors

ROOT = Path(__file__).parents[1]


def files(root, contents):
    for name, text in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


CGROUPS = {
    "v2_container": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
    "v2_no_quota": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 64),
    "v2_slice_of_jupyterhub": (
        {
            "proc/self/cgroup": "0::/system.slice/jupyter-ana.service\n",
            "sys/fs/cgroup/system.slice/jupyter-ana.service/cpu.max": "300000 100000\n",
        },
        3,
    ),
    "v2_parent_is_tighter": (
        {
            "proc/self/cgroup": "0::/turma/ana\n",
            "sys/fs/cgroup/turma/cpu.max": "400000 100000\n",
            "sys/fs/cgroup/turma/ana/cpu.max": "max 100000\n",
        },
        4,
    ),
    "v1_container": (
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/docker/0123\n1:name=systemd:/docker/0123\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "150000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        },
        2,
    ),
    "v1_no_quota": (
        {
            "proc/self/cgroup": "4:cpu:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        64,
    ),
    "v1_beside_v2": (
        {
            "proc/self/cgroup": "4:cpu:/\n0::/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "500000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/unified/cgroup.procs": "",
        },
        5,
    ),
    "half_a_core": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
    "not_linux": ({}, 64),
    "unreadable": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "?\n"}, 64),
}


@pytest.mark.parametrize(("contents", "cores"), CGROUPS.values(), ids=CGROUPS)
def test_the_quota_of_the_cgroup_is_respected(tmp_path, monkeypatch, contents, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    assert processors.available(files(tmp_path, contents)) == cores


def test_the_affinity_mask_is_respected(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 7, 9}, raising=False)
    assert processors.available(tmp_path) == 3
    assert processors.available(files(tmp_path, CGROUPS["v2_container"][0])) == 2


def test_without_an_affinity_mask_all_cores_count(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert processors.available(tmp_path) == 8


def in_a_new_python(code, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_"))}
    command = [sys.executable, "-c", f"import json, os, sys\n{code}"]
    run = subprocess.run(
        command, env=clean | {"PYTHONPATH": str(ROOT)} | environment, capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout.splitlines()[-1])


WAITING = "print(json.dumps([os.environ.get('GOMP_SPINCOUNT'), os.environ.get('KMP_BLOCKTIME')]))"


def test_importing_the_package_makes_waiting_threads_sleep():
    assert in_a_new_python(f"import vae_lessons\nassert 'torch' not in sys.modules\n{WAITING}") == ["1000", "0"]


@pytest.mark.parametrize(
    "chosen", [{"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "ACTIVE"}, {"KMP_BLOCKTIME": "200"}], ids=str
)
def test_what_the_user_chose_stays(chosen):
    expected = [chosen.get("GOMP_SPINCOUNT"), chosen.get("KMP_BLOCKTIME")]
    assert in_a_new_python(f"import vae_lessons\n{WAITING}", **chosen) == expected


def test_after_torch_it_is_too_late():
    assert in_a_new_python(f"sys.modules['torch'] = sys\nimport vae_lessons\n{WAITING}") == [None, None]


def test_torch_uses_no_more_threads_than_the_quota():
    code = (
        "import vae_lessons.processors as p\np.available = lambda: 1\n"
        "import torch\ntorch.set_num_threads(2)\nimport vae_lessons.devices\nprint(torch.get_num_threads())"
    )
    assert in_a_new_python(code) == 1
    assert in_a_new_python(code, OMP_NUM_THREADS="2") == 2  # o usuário escolheu


TRAIN = """
import vae_lessons
import torch
from vae_lessons.data import load
from vae_lessons.models import mlp_vae
from vae_lessons.training import TrainConfig, fit
torch.manual_seed(0)
model = mlp_vae(64, 8, (512,))
history = fit(model, load("digits").x[:256], TrainConfig(epochs=2, batch_size=128, device="cpu"), progress=False)
print(json.dumps([history.elbo, model.encoder[0].weight.double().sum().item(), torch.get_num_threads()]))
"""


@pytest.mark.skipif(torch.get_num_threads() == 1 and processors.available() == 1, reason="Só há um núcleo.")
def test_sleeping_changes_no_result():
    sleeping = in_a_new_python(TRAIN)
    spinning = in_a_new_python(TRAIN, OMP_WAIT_POLICY="ACTIVE")
    assert sleeping == spinning
