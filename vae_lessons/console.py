"""O que se escreve na tela chega à tela, qualquer que seja a codificação dela."""

import argparse
import re
import sys


def survive_any_encoding() -> None:
    """Faz a saída padrão trocar por `?` o que a codificação dela não tiver (β, −, ✅), em vez de parar o programa.

    É o caso de uma saída redirecionada no Windows (cp1252), ou com PYTHONIOENCODING=ascii. Não muda o tratamento de
    erros que alguém já tenha escolhido, nem saídas que não são as do Python, como a de um notebook.
    """
    stream = sys.stdout
    if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")


class Parser(argparse.ArgumentParser):
    """Um ArgumentParser que ajuda e reclama em português."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options, add_help=False)
        self._positionals.title, self._optionals.title = "argumentos", "opções"
        self.add_argument("-h", "--help", action="help", help="mostra esta ajuda e sai")

    def format_usage(self) -> str:
        return self._in_portuguese(super().format_usage())

    def format_help(self) -> str:
        return self._in_portuguese(super().format_help())

    def error(self, message: str):
        self.print_usage(sys.stderr)
        for pattern, meaning in _COMPLAINTS:
            message = re.sub(pattern, meaning, message)
        self.exit(2, f"{self.prog}: {message}\n")

    @staticmethod
    def _in_portuguese(text: str) -> str:
        return re.sub(r"\Ausage: ", "uso: ", text)


_COMPLAINTS = (
    (r"the following arguments are required: (.+)", r"falta \1"),
    (r"unrecognized arguments: (.+)", r"não conheço \1"),
    (r"argument (.+?): invalid choice: (.+?) \(choose from (.+)\)", r"\1: \2 não está entre \3"),
    (r"argument (.+?): expected (?:one argument|at least one argument)", r"\1 pede um valor"),
    (r"argument (.+?): invalid \S+ value: (.+)", r"\1 não pode ser \2"),
    (r"argument (.+?): (.+)", r"\1: \2"),
)
