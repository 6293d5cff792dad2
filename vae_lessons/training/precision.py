"""bfloat16: as redes em 16 bits, e tudo o que se mede em 32."""

import contextlib
import functools
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from vae_lessons.training.terms import Objective

_CPU_FEATURES = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")  # x86 e ARM


def require_bfloat16(device: torch.device) -> None:
    """Levanta ValueError se o dispositivo só souber imitar bfloat16, o que é mais lento que float32."""
    if not has_bfloat16(device):
        raise ValueError(
            f"precision='bfloat16' precisa de instruções que este dispositivo ({device.type}) não tem, ou que este "
            "PyTorch não sabe se tem: seria mais lento que float32. Use precision='float32'."
        )


def has_bfloat16(device: torch.device) -> bool:
    """O dispositivo tem instruções de bfloat16, e este PyTorch sabe disso."""
    if device.type == "cpu":
        features = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        return any(features.get(name, False) for name in _CPU_FEATURES)
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return False


def in_bfloat16(objective: Objective, device: torch.device) -> Objective:
    """O objetivo com as multiplicações de matrizes em bfloat16. Os pesos, os gradientes e os termos são float32."""

    @functools.wraps(objective)
    def mixed(model, x, **options):
        with torch.autocast(device.type, dtype=torch.bfloat16):
            terms = objective(model, x, **options)
        return terms._make(term.float() for term in terms) if hasattr(terms, "_make") else terms

    return mixed


@contextlib.contextmanager
def float32_outputs(model: nn.Module) -> Iterator[None]:
    """Dentro do bloco, o que sai de cada parte do modelo (o codificador, o decodificador) volta a float32.

    O sorteio de z, a KL e log p(x|z) são então contas em float32: em bfloat16, com 8 bits de mantissa, a soma de 784
    pixels erraria por nats.
    """
    hooks = [child.register_forward_hook(_to_float32) for child in model.children()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _to_float32(module: nn.Module, inputs: tuple, output):
    if isinstance(output, Tensor):
        return output.float() if output.dtype == torch.bfloat16 else output
    return type(output)(_to_float32(module, inputs, part) for part in output)
