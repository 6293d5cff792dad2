"""Os núcleos da CPU: quantos este processo pode usar, e o que as linhas de execução (*threads*) fazem enquanto esperam.

Não importa o torch: a espera é lida quando ele carrega o OpenMP, e por isso precisa ser escolhida antes.
"""

import math
import os
import sys
from pathlib import Path

WAITING = {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "0"}  # GNU; LLVM e Intel
_CHOSEN_BY_USER = ("OMP_WAIT_POLICY", *WAITING)


def sleep_while_waiting() -> bool:
    """Faz as linhas do OpenMP dormirem logo, em vez de girar à espera de trabalho; devolve se ainda deu tempo.

    Girando, duas coisas ao mesmo tempo numa máquina ocupada se atrapalham: em dois núcleos, dois treinos de MNIST levam
    41 s por época cada um; assim, 5 s, e sozinho cada um leva o mesmo de antes. Os resultados são os mesmos.
    Não faz nada se o torch já foi carregado, ou se o usuário já escolheu por uma das variáveis OMP_WAIT_POLICY,
    GOMP_SPINCOUNT ou KMP_BLOCKTIME. Os processos que este iniciar herdam a escolha.
    """
    if "torch" in sys.modules or any(name in os.environ for name in _CHOSEN_BY_USER):
        return False
    os.environ.update(WAITING)
    return True


def available(root: str | os.PathLike = "/") -> int:
    """Quantos núcleos este processo pode usar: os que o sistema lhe dá (afinidade), até a cota do seu cgroup.

    Uma cota de 1,5 núcleo conta como dois. root: onde procurar /proc e /sys, nos testes.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, _quota(Path(root)))))


def _quota(root: Path) -> float:
    """A menor cota entre o cgroup deste processo e os que o contêm, em núcleos; infinita se não houver nenhuma."""
    quotas = [math.inf]
    for folder, cgroup in _cgroups(root):
        parts = Path(cgroup).relative_to("/").parts
        for depth in range(len(parts) + 1):  # dentro de um contêiner, o caminho pode ser o de fora: só a raiz existe
            quotas.append(_quota_of(folder.joinpath(*parts[:depth])))
    return min(quotas)


def _cgroups(root: Path) -> list[tuple[Path, str]]:
    """A pasta em que cada versão de cgroup mora, com o caminho deste processo nela."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:  # não é Linux
        return []
    mounted = root / "sys/fs/cgroup"
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            found.append((mounted / "unified" if (mounted / "unified").is_dir() else mounted, path))
        elif "cpu" in controllers.split(","):
            found += [(mounted / name, path) for name in (controllers, "cpu") if (mounted / name).is_dir()][:1]
    return found


def _quota_of(folder: Path) -> float:
    """A cota de uma pasta de cgroup, da versão 2 (cpu.max) ou da 1 (cpu.cfs_*)."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        return math.inf if quota in ("max", "-1") else int(quota) / int(period)
    except (OSError, ValueError):  # sem esse controle, ou ilegível: não há cota conhecida
        return math.inf
