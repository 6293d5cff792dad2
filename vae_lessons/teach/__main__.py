"""Distribui as lições a uma turma, corrige as entregas e mostra onde ela tropeça.

    python -m vae_lessons.teach distribute --output turma --class-name "VAE, 2026" --lessons 01 03
    python -m vae_lessons.teach solutions --output resolvidas --lessons 01 03
    python -m vae_lessons.teach correct entregas --output correção
    python -m vae_lessons.teach report correção

`python -m vae_lessons.teach correct --help` diz o que cada um aceita.
"""

import argparse
import errno
import signal
import sys

from vae_lessons.console import Parser
from vae_lessons.files import user_path

# O que pode impedir de ler ou gravar onde se pediu; o resto é um defeito do programa, e aparece como tal.
_OBSTACLES = {
    **dict.fromkeys((errno.EACCES, errno.EPERM), "não tenho permissão"),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "o disco está cheio"),
    **dict.fromkeys((errno.EEXIST, errno.ENOTDIR), "há um arquivo onde devia estar uma pasta"),
    errno.EISDIR: "há uma pasta onde devia estar um arquivo",
    errno.ENOENT: "não existe",
    errno.EROFS: "este disco é só de leitura",
    errno.ENAMETOOLONG: "o nome é longo demais",
}


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="python -m vae_lessons.teach", description=__doc__.splitlines()[0])
    programs = parser.add_subparsers(title="o que fazer", metavar="PROGRAMA", required=True, parser_class=Parser)
    _distribute(programs)
    _solutions(programs)
    _correct(programs)
    _report(programs)
    options = parser.parse_args(arguments)
    from vae_lessons.teach.lessons import Refused

    try:
        return options.run(options)
    except Refused as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno not in _OBSTACLES:
            raise
        print(f"{error.filename or 'Ao gravar'}: {_OBSTACLES[error.errno]}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nInterrompido. {options.when_interrupted}", file=sys.stderr)
        return 130


def _distribute(programs) -> None:
    parser = programs.add_parser("distribute", help="a pasta e o zip para os alunos, sem as soluções")
    _output(parser, "a pasta para os alunos; ao lado dela fica o .zip")
    _lessons(parser, "as lições; sem elas, todas")
    _points(parser)
    parser.add_argument("--class-name", default="", metavar="NOME", help="o nome da turma, que as lições mostram")
    parser.add_argument("--clear-outputs", action="store_true", help="tira as figuras e os números guardados")
    parser.add_argument("--nbgrader", type=user_path, metavar="CURSO", help="faz também uma pasta de curso do nbgrader")

    def run(options) -> int:
        from vae_lessons.teach.distribute import distribute

        written = distribute(
            options.output,
            chosen=options.lessons,
            class_name=options.class_name,
            points=options.points,
            clear_outputs=options.clear_outputs,
            course=options.nbgrader,
        )
        print(*written, sep="\n")
        return 0

    parser.set_defaults(run=run, when_interrupted="Rode de novo para fazer a pasta inteira.")


def _solutions(programs) -> None:
    parser = programs.add_parser("solutions", help="as lições resolvidas e executadas, para quem dá aula")
    _output(parser, "a pasta das lições resolvidas")
    _lessons(parser, "as lições; sem elas, todas")

    def run(options) -> int:
        from vae_lessons.teach.solutions import write_solutions

        write_solutions(options.output, chosen=options.lessons)
        return 0

    parser.set_defaults(run=run, when_interrupted="As lições já gravadas ficam; peça as outras com --lessons.")


def _correct(programs) -> None:
    parser = programs.add_parser("correct", help="as notas e uma página por aluno, de uma pasta de entregas")
    parser.add_argument("submissions", type=user_path, metavar="ENTREGAS", help="uma pasta com uma pasta por aluno")
    _output(parser, "a pasta das notas; o que já estiver corrigido nela não se corrige de novo")
    _lessons(parser, "as lições que valem nota; sem elas, as que alguém entregou")
    _points(parser)
    parser.add_argument("--seconds", type=_positive, default=60.0, metavar="S", help="por célula (60)")
    parser.add_argument("--memory", type=_positive, default=2.0, metavar="GB", help="por entrega (2)")
    parser.add_argument("--workers", type=_count, metavar="N", help="quantas entregas ao mesmo tempo; uma por núcleo")

    def run(options) -> int:
        if sys.platform != "linux":
            print("A correção separa os processos como só o Linux permite. No Windows, use o WSL 2.", file=sys.stderr)
            return 1
        from vae_lessons.teach.correct import PAGES, correct
        from vae_lessons.teach.grades import GRADES
        from vae_lessons.teach.isolation import Limits

        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, signal.default_int_handler)  # como um Ctrl-C: não deixa processos nem pastas
        limits = Limits(seconds=options.seconds, total=5 * options.seconds, memory=int(options.memory * 2**30))
        correct(
            options.submissions,
            options.output,
            chosen=options.lessons,
            points=options.points,
            limits=limits,
            workers=options.workers,
        )
        print(f"Notas em {options.output / GRADES}; uma página por aluno em {options.output / PAGES}.")
        return 0

    saved = "O que já se corrigiu está guardado: rode o mesmo comando, e a correção continua daqui."
    parser.set_defaults(run=run, when_interrupted=saved)


def _report(programs) -> None:
    parser = programs.add_parser("report", help="a turma de uma vez: exercícios × alunos, e os erros pelo nome")
    parser.add_argument("graded", type=user_path, metavar="NOTAS", help="a pasta que correct gravou")

    def run(options) -> int:
        from vae_lessons.teach.report import write_report

        print(write_report(options.graded))
        return 0

    parser.set_defaults(run=run, when_interrupted="Rode de novo para fazer a página.")


def _output(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--output", type=user_path, required=True, metavar="PASTA", help=text)


def _lessons(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--lessons", nargs="+", metavar="NN", help=text)


def _points(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--points",
        nargs="+",
        type=_worth,
        action=_Worths,
        default={},
        metavar="NN.n=PONTOS",
        help="quanto vale cada exercício, como 01.1=2 03.5=0,5; os outros valem 1",
    )


class _Worths(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, dict(values))


def _worth(text: str) -> tuple[str, float]:
    exercise_id, _, points = text.partition("=")
    return exercise_id, _positive(points)


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _positive(text: str) -> float:
    value = float(text.replace(",", "."))
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


if __name__ == "__main__":
    sys.exit(main())
