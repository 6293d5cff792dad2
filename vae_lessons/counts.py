"""Quantidades: k amostras, chunk exemplos de uma vez. Números inteiros, e nada além deles."""

import operator


def require_count(name: str, value, meaning: str, *, at_least: int = 1) -> int:
    """`value` como int; aceita inteiros de Python, do NumPy e do torch.

    meaning: o que se conta, para a mensagem, com a pontuação que a liga à frase: " (quantas amostras)".
    Levanta TypeError se não for inteiro e ValueError se for menor que at_least.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        count = operator.index(value)
    except TypeError:
        whole = isinstance(value, float) and value.is_integer()
        advice = f" Escreva {int(value)}, sem ponto nem expoente, ou int({value:g})." if whole else ""
        raise TypeError(
            f"{name} deve ser um inteiro{meaning}, mas veio {value!r}, do tipo {type(value).__name__}.{advice}"
        ) from None
    if count < at_least:
        raise ValueError(f"{name} deve ser ao menos {at_least}{meaning}, mas veio {count}.")
    return count
