"""O que se escreve na tela chega à tela, qualquer que seja a codificação dela."""

import sys


def survive_any_encoding() -> None:
    """Faz a saída padrão trocar por `?` o que a codificação dela não tiver (β, −, ✅), em vez de parar o programa.

    É o caso de uma saída redirecionada no Windows (cp1252), ou com PYTHONIOENCODING=ascii. Não muda o tratamento de
    erros que alguém já tenha escolhido, nem saídas que não são as do Python, como a de um notebook.
    """
    stream = sys.stdout
    if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")
