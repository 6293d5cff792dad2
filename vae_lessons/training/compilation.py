"""torch.compile, para quem tem um compilador e o pede."""

from collections.abc import Callable

import torch

from vae_lessons.objectives import ElboTerms


def compiled(objective: Callable[..., ElboTerms], device: torch.device) -> Callable[..., ElboTerms]:
    """O objetivo compilado, com os mesmos sorteios do original. Levanta RuntimeError se nada puder ser compilado aqui.

    Compila-se uma vez para o lote cheio e outra para o último, menor: na primeira época, dezenas de segundos.
    """
    try:
        torch.compile(torch.sin)(torch.zeros(2, device=device))
    except Exception as error:
        raise RuntimeError(
            "backend='compile' precisa de um compilador que o torch.compile encontre (na CPU, g++ ou clang; em CUDA, "
            "o Triton), e a tentativa de compilar uma conta qualquer falhou. Use backend='auto', que não compila nada."
        ) from error
    return torch.compile(objective, dynamic=False, options={"fallback_random": True})
