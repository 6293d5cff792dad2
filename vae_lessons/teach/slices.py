"""De que comandos um exercício depende: o resto da lição não precisa ser executado para o corrigir.

Uma lição treina por quase um minuto; o que um exercício usa costuma ser um import e uma função. Lê-se o código sem o
executar: um comando entra se define, ou pode alterar, um nome de que os exercícios precisam, direta ou indiretamente.

O que se garante: quem só usa nomes, atribuições, funções e classes recebe o mesmo que numa execução de cima a baixo. Um
comando que sorteia sem semente sua sorteia outros números, porque o que sorteava antes dele pode ter ficado de fora; e
nomes criados às escondidas (exec, globals) só se acham se o comando que os cria entrar por ser o que é.
"""

import ast
import builtins
import symtable
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

_ALWAYS = {"exec", "eval", "globals", "locals", "vars", "setattr", ".run_line_magic"} | {
    f"torch.set_{what}" for what in ("default_dtype", "default_device", "grad_enabled", "num_threads")
}
# Os métodos que alteram o dono, e as funções que alteram o primeiro argumento; de outros se supõe que só leem.
_ALTERING = {
    *("append", "extend", "insert", "update", "pop", "popitem", "remove", "clear", "sort", "reverse", "add", "discard"),
    *("setdefault", "appendleft", "step", "zero_grad", "backward", "train", "eval", "load_state_dict", "to", "double"),
    *("float", "half", "apply", "fit", "partial_fit", "register_buffer", "register_parameter", "add_module", "fill"),
}
_TRAINING = {"fit", "fit_many", "heappush", "heappop", "shuffle", "vector_to_parameters"}
_SEEDS = {"manual_seed", ".manual_seed", ".seed", ".set_rng_state"}
_BUILTINS = set(dir(builtins)) | {"get_ipython", "display", "__name__", "In", "Out"}


@dataclass(frozen=True)
class Statement:
    """Um comando de uma célula, e o que ele faz com os nomes.

    cell: a posição da célula · node: o comando · binds: os nomes que define · kills: os que define sem depender do
    valor anterior · uses: os que lê na hora · later: os que leem as funções que ele cria, quando chamadas · touches: os
    que altera sem definir (atributos, elementos, métodos que alteram) · definition: só importa, ou cria função ou
    classe · calls: o que chama.
    """

    cell: int
    node: ast.stmt
    binds: frozenset[str]
    kills: frozenset[str]
    uses: frozenset[str]
    later: frozenset[str]
    touches: frozenset[str]
    definition: bool
    calls: frozenset[str] = field(default=frozenset())

    @cached_property
    def inner_touches(self) -> set[str]:
        """O que o corpo de uma função altera: argumentos dela ou nomes de fora, e não o que ela mesma cria."""
        created = {
            inner.id
            for inner in ast.walk(self.node)
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
        }
        return set(_touched(self.node)) - created - {"self"}

    @cached_property
    def inner_calls(self) -> set[str]:
        return set(_called(self.node))

    @cached_property
    def arguments(self) -> set[str]:
        """Os nomes que se passam a alguma chamada."""
        calls = [inner for inner in ast.walk(self.node) if isinstance(inner, ast.Call)]
        passed = [part for call in calls for part in (*call.args, *(keyword.value for keyword in call.keywords))]
        return {name for part in passed for name in _roots(part)}

    @cached_property
    def source(self) -> str:
        return ast.unparse(self.node)

    @property
    def always(self) -> bool:
        """Tem efeitos que não passam por nomes: entra sempre."""
        return bool(self.calls & _ALWAYS) or "*" in self.binds

    @property
    def seeds(self) -> bool:
        return bool(self.calls & _SEEDS)


def statements(source: str, cell: int) -> list[Statement]:
    """Os comandos de uma célula, já sem mágicas do IPython. Levanta SyntaxError, e o mais que ast.parse levantar."""
    return [_statement(node, cell) for node in ast.parse(source).body]


def needed(before: list[Statement], names: Iterable[str]) -> tuple[list[Statement], set[str]]:
    """Os comandos de `before`, na ordem, de que `names` dependem, e os nomes que nenhum deles define."""
    inside = _functions(before)
    altered = _altered(before)
    chosen: set[int] = set()
    live = _with_functions(set(names), inside)
    harmless = _only_definitions(before) | (_BUILTINS - {name for s in before for name in s.binds})
    missing = set(live)
    for position in range(len(before) - 1, -1, -1):
        statement = before[position]
        if not (statement.always or statement.binds & live or (altered[position] - harmless) & live):
            continue
        chosen.add(position)
        read = _with_functions(set(statement.uses | altered[position] | statement.later), inside)
        live = (live - statement.kills) | read
        missing |= read
    chosen |= _seeding(before, chosen)
    bound = {name for statement in before for name in statement.binds}
    return [before[i] for i in sorted(chosen)], missing - bound - _BUILTINS


def reads(source: str) -> set[str]:
    """Os nomes de fora que uma célula lê, na hora ou dentro das suas funções."""
    found: set[str] = set()
    bound: set[str] = set()
    for statement in statements(source, 0):
        found |= (statement.uses - bound) | statement.later
        bound |= statement.kills
    return found


def _seeding(before: list[Statement], chosen: set[int]) -> set[int]:
    """As sementes que valem para o que se escolheu, com o que sorteia entre elas e ele, se estão na mesma célula."""
    added: set[int] = set()
    for position in chosen:
        if before[position].definition:
            continue
        start = position
        while start > 0 and before[start - 1].cell == before[position].cell:
            start -= 1
        seeds = [i for i in range(start, position) if before[i].seeds]
        if seeds:
            added |= {i for i in range(seeds[-1], position) if before[i].calls or i in chosen}
    return added


def _altered(before: list[Statement]) -> list[set[str]]:
    """O que cada comando altera sem definir: o que se vê nele, o que passa a uma função da lição que altera os seus
    argumentos ou os nomes de fora, e os parâmetros que um otimizador guarda."""
    by_function = {
        name: statement.inner_touches
        for statement in before
        if isinstance(statement.node, ast.FunctionDef | ast.ClassDef)
        for name in statement.binds
    }
    careless = {name for name, touched in by_function.items() if touched}
    while more := {
        name
        for statement in before
        if isinstance(statement.node, ast.FunctionDef | ast.ClassDef) and statement.inner_calls & careless
        for name in statement.binds - careless
    }:
        careless |= more
    found = []
    made_from: dict[str, set[str]] = {}
    for statement in before:
        touched = set(statement.touches)
        if not statement.definition:
            if statement.calls & careless:
                touched |= statement.arguments
                for name in statement.calls & careless:
                    touched |= by_function[name]
            for name in touched & set(made_from) if ".step" in statement.calls else ():
                touched |= made_from[name]
            for name in statement.binds:
                sources = set(statement.uses)
                made_from[name] = sources.union(*(made_from.get(other, set()) for other in sources)) - {name}
        found.append(touched)
    return found


def _functions(before: list[Statement]) -> dict[str, set[str]]:
    """Nome → o que as funções guardadas nele leem quando chamadas."""
    inside: dict[str, set[str]] = {}
    for statement in before:
        for name in statement.binds:
            if statement.later:
                inside.setdefault(name, set()).update(statement.later)
    return inside


def _with_functions(names: set[str], inside: dict[str, set[str]]) -> set[str]:
    found, waiting = set(names), list(names)
    while waiting:
        for name in inside.get(waiting.pop(), ()):
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


def _only_definitions(before: list[Statement]) -> set[str]:
    """Os nomes que são sempre módulo, função ou classe: chamá-los não os altera."""
    made = {name for statement in before if statement.definition for name in statement.binds}
    return made - {name for statement in before if not statement.definition for name in statement.binds}


def _statement(node: ast.stmt, cell: int) -> Statement:
    binds, _, later = _scope(node)
    uses = _uses(node)
    if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
        binds.add("*")
    return Statement(
        cell,
        node,
        frozenset(binds),
        frozenset(binds if _always_binds(node) else ()),
        frozenset(uses),
        frozenset(later),
        frozenset(_touched(node)) & frozenset(uses | later),
        isinstance(node, _DEFINITIONS),
        frozenset(_called(node)) if not isinstance(node, _DEFINITIONS) else frozenset(),
    )


_DEFINITIONS = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _always_binds(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign | ast.AnnAssign | _DEFINITIONS)


def _scope(node: ast.stmt) -> tuple[set[str], set[str], set[str]]:
    """Os nomes que um comando define, os que lê na hora, onde quer que seja, e os que as suas funções leem depois."""
    table = symtable.symtable(ast.unparse(node), "<célula>", "exec")
    binds, uses, later = set(), set(), set()
    for symbol in table.get_symbols():
        if symbol.is_assigned() or symbol.is_imported():
            binds.add(symbol.get_name())
        if symbol.is_referenced():
            uses.add(symbol.get_name())
    for child in table.get_children():
        for name, assigned, immediate in _globals(child, True):
            (uses if immediate else later).add(name)
            if assigned:
                binds.add(name)
    return binds, uses, later


def _uses(node: ast.stmt) -> set[str]:
    """Os nomes de fora que um comando lê na hora: num laço ou num with, não os que o corpo define antes de os ler."""
    match node:
        case ast.For(target, iterable, body, orelse):
            given, read, _ = _scope(ast.Assign([target], iterable, lineno=1))
            return read | (_uses_in_order(body) - given) | _uses_in_order(orelse)
        case ast.While(test, body, orelse) | ast.If(test, body, orelse):
            return _scope(ast.Expr(test))[1] | _uses_in_order(body) | _uses_in_order(orelse)
        case ast.With(items, body):
            given, read, _ = _scope(ast.With(items, [ast.Pass()], lineno=1))
            return read | (_uses_in_order(body) - given)
        case ast.AugAssign(ast.Name(name)):
            return _scope(node)[1] | {name}
    return _scope(node)[1]


def _uses_in_order(body: list[ast.stmt]) -> set[str]:
    found, bound = set(), set()
    for node in body:
        found |= _uses(node) - bound
        if _always_binds(node):
            bound |= _scope(node)[0]
    return found


_COMPREHENSIONS = {"listcomp", "setcomp", "dictcomp", "genexpr"}


def _globals(table: symtable.SymbolTable, immediate: bool) -> Iterator[tuple[str, bool, bool]]:
    """Os nomes do módulo que um escopo e os de dentro dele leem, se os atribuem, e se é na hora que os leem.

    O corpo de uma classe e uma compreensão são executados na hora; o de uma função, quando chamada.
    """
    immediate = immediate and (table.get_type() == "class" or table.get_name() in _COMPREHENSIONS)
    for symbol in table.get_symbols():
        if symbol.is_global():
            yield symbol.get_name(), symbol.is_declared_global() and symbol.is_assigned(), immediate
    for child in table.get_children():
        yield from _globals(child, immediate)


def _touched(node: ast.AST) -> Iterator[str]:
    """Os nomes cujo valor um comando altera: por um método que altera, um atributo, um elemento ou um treino."""
    for inner in ast.walk(node):
        match inner:
            case ast.Call(ast.Attribute(owner, method)) if method in _ALTERING or _in_place(method):
                yield from _roots(owner)
            case ast.Call(ast.Name(name) | ast.Attribute(attr=name), args) if name in _TRAINING:
                for argument in args[:1]:
                    yield from _roots(argument)
            case ast.Attribute(ctx=ast.Store() | ast.Del()) | ast.Subscript(ctx=ast.Store() | ast.Del()):
                yield from _roots(inner)
            case ast.AugAssign() | ast.Delete():
                targets = inner.targets if isinstance(inner, ast.Delete) else [inner.target]
                for target in targets:
                    yield from _roots(target)


def _in_place(method: str) -> bool:
    return method.endswith("_") and not method.startswith("_")


def _roots(node: ast.AST) -> Iterator[str]:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.List | ast.Tuple | ast.Set):
        for item in node.elts:
            yield from _roots(item)


def _called(node: ast.AST) -> Iterator[str]:
    """O que um comando chama: "f", ou ".manual_seed" e "torch.manual_seed"."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call):
            match inner.func:
                case ast.Name(name):
                    yield name
                case ast.Attribute(ast.Name(owner), name):
                    yield from (f".{name}", f"{owner}.{name}")
                case ast.Attribute(_, name):
                    yield f".{name}"
