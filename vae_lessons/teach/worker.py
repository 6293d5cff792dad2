"""O que se faz no processo do aluno: executar o que os exercícios pedem e medir as respostas. Nada se julga aqui.

Tudo o que sai daqui pode ter sido forjado pelo código do aluno: são só dados, que `judging` compara do outro lado.
"""

import ast
import contextlib
import re
import sys
import types
from collections.abc import Callable
from typing import Any, NamedTuple

from vae_lessons.exercises.checking import Attempt, Exercise, attempt
from vae_lessons.exercises.explaining import explain_exception
from vae_lessons.exercises.verdict import Result
from vae_lessons.teach.slices import Statement, needed, reads, statements
from vae_lessons.teach.values import TooLarge, encode

_SOLVED = re.compile(r"vae_lessons\.(exercises\.lesson_\d\d|teach(\.\w+)*)")
_WRAPPERS = re.compile(r"\A\s*%%(time|timeit|capture|prun)\b[^\n]*")


class Wanted(NamedTuple):
    """Um exercício a medir. id: "01.1" · answer: o que a lição passa a check, "log_evidence" · lesson_cell: a célula do
    exercício na lição distribuída, contando só as de código."""

    id: str
    answer: str
    lesson_cell: int


class Job(NamedTuple):
    """cells: o código de cada célula da entrega · marks: o id do exercício de cada célula, pela marca com que foi
    distribuída, ou "" · lesson: o código de cada célula da lição distribuída · wanted: os exercícios a medir ·
    skipped: células da entrega que já se viu que não terminam · changes: nome → o que se faz ao valor dele cada vez que
    é definido · prepare: o que se faz antes de executar."""

    cells: list[str]
    marks: list[str]
    lesson: list[str]
    wanted: list[Wanted]
    skipped: list[int]
    changes: dict[str, Callable[[Any], Any]]
    prepare: Callable[[], None] | None


def work(job: Job, measures: dict[str, list[Exercise]], send: Callable[[Any], None]) -> None:
    """Executa e mede, e manda por `send`, na ordem:

    ["begin", célula] antes de cada célula · ["measured", id, [respostas]] com uma resposta por medida · ["end"].
    """
    hide_solutions()
    if job.prepare:
        job.prepare()
    cells = [_plain(source) for source in job.cells]
    at = {exercise.id: locate(exercise, job) for exercise in job.wanted}
    parsed = [_parsed(source, cell) for cell, source in enumerate(cells)]
    at_cell: dict[int, list[Wanted]] = {}
    for exercise in job.wanted:
        if at[exercise.id] is not None:
            at_cell.setdefault(at[exercise.id], []).append(exercise)
    context, borrowed = _context(job, cells, parsed, at_cell)
    namespace = _new_main()
    for statement in borrowed:
        with contextlib.suppress(Exception):
            _execute([statement.node], "<lição>", namespace, job.changes)
    for cell in sorted({*(statement.cell for statement in context), *at_cell}):
        if cell in job.skipped:
            continue
        send(["begin", cell])
        if cell in at_cell:
            _measure_cell(cells[cell], cell, at_cell[cell], job.changes, namespace, measures, send)
        else:
            for statement in context:
                if statement.cell == cell:
                    with contextlib.suppress(Exception, SystemExit, KeyboardInterrupt):
                        _execute([statement.node], f"<célula {cell + 1}>", namespace, job.changes)
    send(["end"])


def hide_solutions() -> None:
    """Tira do alcance de um import as soluções do pacote, e quem as corrige; `check` e `score` ficam, e nada fazem."""
    package = sys.modules["vae_lessons.exercises"]
    for name in [name for name in sys.modules if _SOLVED.fullmatch(name)]:
        sys.modules[name] = None
    vars(sys.modules["vae_lessons"]).pop("teach", None)
    for name in [name for name in vars(package) if re.fullmatch(r"lesson_\d\d", name)]:
        delattr(package, name)
    package.EXERCISES = {}
    package.check = lambda exercise_id=None, *answer: Result(str(exercise_id), "⏳", "a correção vem depois.")
    package.score = lambda *answer, of=1.0: 0.0


def locate(exercise: Wanted, job: Job) -> int | None:
    """A célula da resposta: a última com o check dela; sem check, a que tem a marca; sem marca, a que define o nome."""
    call = re.compile(rf"""\bcheck\(\s*["']{re.escape(exercise.id)}["']""")
    with_check = [i for i, source in enumerate(job.cells) if call.search(source)]
    marked = [i for i, mark in enumerate(job.marks) if mark == exercise.id]
    names = re.compile(rf"^(def\s+{re.escape(exercise.answer)}\b|{re.escape(exercise.answer)}\s*=)", re.MULTILINE)
    named = [i for i, source in enumerate(job.cells) if names.search(source)]
    return next((found[-1] for found in (with_check, marked, named) if found), None)


def _plain(source: str) -> str:
    """O código sem as mágicas do IPython, que viram chamadas; fica como está se não puder ser traduzido."""
    source = _WRAPPERS.sub("", source)
    if "%" not in source and "!" not in source and "?" not in source:
        return source
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        return TransformerManager().transform_cell(source)
    except Exception:
        return source


def _parsed(source: str, cell: int) -> list[Statement]:
    try:
        return statements(source, cell)
    except Exception:  # SyntaxError e as outras de quem lê um código impossível
        return []


def _context(job: Job, cells, parsed, at_cell) -> tuple[list[Statement], list[Statement]]:
    """Os comandos da entrega de que os exercícios dependem, e os da lição que faltam nela."""
    chosen: dict[int, Statement] = {}
    borrowed: dict[int, Statement] = {}
    lesson = [statement for cell, source in enumerate(job.lesson) for statement in _parsed(_plain(source), cell)]
    for cell, exercises in at_cell.items():
        names = _reads(cells[cell]) | {name for exercise in exercises for name in _reads(exercise.answer)}
        before = [
            statement
            for i in range(cell)
            if i not in job.skipped
            for statement in parsed[i]
            if not _is_check(statement)
        ]
        mine, missing = needed(before, names)
        chosen |= {id(statement): statement for statement in mine}
        first = max(exercise.lesson_cell for exercise in exercises)
        theirs, _ = needed([s for s in lesson if s.cell < first and not _is_check(s)], missing)
        borrowed |= {id(statement): statement for statement in theirs if missing}
    in_order = sorted(borrowed.values(), key=lambda s: (s.cell, s.node.lineno))
    return sorted(chosen.values(), key=lambda s: (s.cell, s.node.lineno)), in_order


def _answers_in(source: str) -> dict[str, ast.expr]:
    """O que a célula passa a check, por exercício; mais de um valor faz uma tupla, como em check."""
    answers: dict[str, ast.expr] = {}
    with contextlib.suppress(Exception):
        for node in ast.walk(ast.parse(source)):
            match node:
                case ast.Call(ast.Name("check"), [ast.Constant(str(name)), answer]):
                    answers[name] = answer
                case ast.Call(ast.Name("check"), [ast.Constant(str(name)), first, *more]):
                    answers[name] = ast.copy_location(ast.Tuple([first, *more], ast.Load()), first)
    return answers


def _reads(source: str) -> set[str]:
    try:
        return reads(source)
    except Exception:
        return set()


def _is_check(statement: Statement) -> bool:
    return _checked(statement.node) is not None


def _checked(node: ast.stmt) -> ast.Call | None:
    """A chamada a check("01.1", …) que é um comando inteiro."""
    match node:
        case ast.Expr(ast.Call(ast.Name("check"), [ast.Constant(str()), *_]) as call):
            return call
    return None


def _measure_cell(source: str, cell: int, exercises: list[Wanted], changes, namespace: dict, measures, send) -> None:
    error = None
    answers = _answers_in(source)
    try:
        body = ast.parse(source).body
        _execute([node for node in body if _checked(node) is None], f"<célula {cell + 1}>", namespace, changes)
    except BaseException as raised:  # exit() inclusive: a célula é do aluno
        error = raised
    for exercise in exercises:
        tried = [_try(exercise, error, answers, measure, namespace) for measure in measures[exercise.id]]
        send(["measured", exercise.id, [_sendable(one) for one in tried]])


def _try(exercise: Wanted, error: BaseException | None, answers, measure: Exercise, namespace: dict) -> Attempt:
    if error is not None:
        blank = Attempt(status="⏳", message="em branco.") if "ellipsis" in str(error).lower() else None
        return blank or Attempt(
            status="❌", message=explain_exception(None, error).replace("sua resposta", "sua célula")
        )
    try:
        expression = answers.get(exercise.id) or ast.parse(exercise.answer, mode="eval").body
        answer = eval(compile(ast.Expression(expression), "<resposta>", "eval"), namespace)
    except BaseException as raised:
        return Attempt(status="❌", message=explain_exception(None, raised))
    return attempt(measure, answer)


def _sendable(tried: Attempt) -> list:
    try:
        measured = encode(tried.measured)
    except TooLarge as error:
        return [None, "❌", str(error), []]
    except BaseException as error:
        return [None, "❌", f"o que a sua resposta devolveu não pôde ser lido: {type(error).__name__}.", []]
    return [measured, tried.status, tried.message[:2000], [str(name)[:50] for name in tried.names[:20]]]


def _new_main() -> dict:
    """O espaço de nomes em que o código do aluno é executado, como num kernel."""
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    namespace = vars(main)
    namespace["display"] = lambda *shown, **how: None
    namespace["get_ipython"] = _shell
    return namespace


def _shell():
    from IPython.core.interactiveshell import InteractiveShell

    return InteractiveShell.instance()


def _execute(nodes: list[ast.stmt], name: str, namespace: dict, changes: dict[str, Callable]) -> None:
    for node in nodes:
        before = {changed: namespace.get(changed) for changed in changes}
        exec(compile(ast.Module([node], []), name, "exec"), namespace)
        for changed, change in changes.items():
            if namespace.get(changed) is not before[changed]:
                with contextlib.suppress(Exception):  # um valor de outra espécie fica como está
                    namespace[changed] = change(namespace[changed])
