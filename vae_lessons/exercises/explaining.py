"""Por que uma resposta está errada: que espécie de diferença é, ou por que ela parou."""

import math
import re
import traceback

import torch
from torch import Tensor

from vae_lessons.exercises.answers import Compared

# Pedaços das mensagens que o Python e o torch dão em inglês, e o que elas querem dizer.
_MEANINGS = (
    (r"division by zero", "houve uma divisão por zero"),
    (r"math domain error|expected a (positive|nonnegative)", "um log ou uma raiz recebeu um número que não pode"),
    (r"not implemented for", "essa conta não existe para esse tipo de número; converta-o antes, com .float()"),
    (r"requires grad", "o NumPy não lê um tensor com gradiente; fique nas funções de torch"),
    (
        r"more than one value|only one element|only integer tensors|converted to Scalar|can be converted to Python",
        "um tensor de vários valores foi usado onde cabe um só (if, min, math.log, float…); use as funções de torch",
    ),
    (
        r"must be Tensor, not|expected Tensor as|invalid combination of arguments",
        "uma função de torch não recebeu os argumentos que espera; com números soltos, use as do módulo math",
    ),
    (
        r"(same|expected).*dtype|scalar type|expected .*(Float|Double|Long|Half)",
        "há tensores de tipos numéricos diferentes (float32, float64, inteiros); converta um ao do outro, com "
        ".to(outro.dtype)",
    ),
    (
        r"size of tensor|must match|cannot be multiplied|size mismatch|broadcast|inconsistent tensor size|same shape|"
        r"equal size|invalid for input|target size",
        "as formas de dois tensores não combinam; imprima a .shape de cada um",
    ),
    (
        r"result out of range|int too large|too large to convert|Overflow when unpacking",
        "o número é grande demais para essa conta; conte ou tome o logaritmo antes",
    ),
    (r"[Dd]imension out of range|index .* out of|out of range", "há um índice ou uma dimensão que não existe"),
    (r"unsupported operand|not supported between", "há uma conta entre coisas que não se somam nem se comparam"),
    (r"not subscriptable|not iterable|unpack", "um resultado foi aberto em mais partes do que tem"),
    (r"not callable", "algo que não é função foi chamado com parênteses"),
    (
        r"does not require grad|can't optimize a non-leaf|leaf Variable",
        "o gradiente foi cortado ou um tensor que deriva foi alterado",
    ),
)


def explain_difference(part: Compared, compared: list[Compared], *, secret: bool, single_choice: bool) -> str:
    """A primeira parte que difere, `part`, e o que se vê olhando para todas.

    secret: a resposta é um valor só. O esperado nunca se mostra, nem o de um valor nem o de uma função.
    """
    got, wanted, where = part
    if isinstance(wanted, frozenset):
        return _explain_choice(got, wanted, single_choice)
    if isinstance(wanted, str):
        return f"não é {got!r}. Releia o enunciado e as opções."
    if got.isnan().any():
        return "apareceu NaN. Procure um log ou uma raiz de negativo, ou uma conta 0/0, ∞ − ∞ ou 0·∞, como 0 · log 0."
    got, wanted = got.double(), wanted.double()
    if got.isinf().any() and not wanted.isinf().any():
        return "apareceu um infinito. Procure um log de zero, uma divisão por zero ou uma exponencial que transborda."
    if secret and part.got.dtype == torch.bool:
        return f"esperava um número, mas veio {bool(got)}."
    if secret:
        return _explain_value(got.item(), wanted.item())
    if part.wanted.dtype == torch.bool and set(got.flatten().tolist()) <= {0.0, 1.0}:
        return f"{where or 'num dos casos'} a sua resposta é {bool(got.flatten()[0])}, e não devia."
    worst = (got - wanted).abs().nan_to_num(0.0, posinf=torch.inf).argmax()  # ∞ − ∞, onde os dois são ∞
    came, less = got.flatten()[worst].item(), bool(got.flatten()[worst] < wanted.flatten()[worst])
    numbers = (
        f"os números não batem{f' {where}' if where else ''}: veio {came:.6g}, que devia ser "
        f"{'maior' if less else 'menor'}."
    )
    return f"{numbers} {_kind_of_difference(part, compared)}".rstrip()


def explain_exception(answer, error: BaseException) -> str:
    """Em que linha a resposta parou e o que quer dizer o erro, que o Python só sabe dizer em inglês."""
    code = getattr(answer, "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if code and frame.filename == code.co_filename]
    where = f" na linha {lines[-1]} da célula" if lines else ""
    text = safe_text(error)
    said = f" O Python diz: «{text[:300].rstrip('.')}»." if text else ""
    return f"sua resposta parou com {type(error).__name__}{where}: {_meaning(error, text)}.{said}"


def safe_text(error: BaseException) -> str:
    """str(error), que também é código do aluno e pode falhar."""
    try:
        return str(error).strip()
    except Exception:
        return ""


def _meaning(error: BaseException, text: str) -> str:
    match error:
        case SystemExit():
            return "exit() encerra o programa inteiro; devolva o resultado com return"
        case RecursionError():
            return "a função chama a si mesma sem parar"
        case MemoryError():
            return "faltou memória; há um tensor muito maior do que devia"
        case AssertionError():
            return "um assert seu não se cumpriu" if text else "um assert seu, sem texto, não se cumpriu"
        case NotImplementedError() if "not implemented for" not in text:
            return "ela ainda diz que falta escrevê-la"
        case UnboundLocalError():
            return "uma variável foi usada antes de receber um valor"
        case SyntaxError(lineno=line):
            return f"o Python não entende a linha {line}; falta um parêntese, dois-pontos ou um recuo, ali ou antes"
        case NameError(name=name):
            return f"o nome {name!r} não existe; falta defini-lo ou importá-lo, ou rodar a célula que o faz"
        case AttributeError(name=name) if name:
            return f"não existe .{name} no que veio antes do ponto; confira o nome e o tipo"
        case ImportError():
            return "falta um módulo que ela importa; não é preciso mais do que a lição já importou"
        case OSError():
            return "o sistema não deu o que ela pede: um arquivo, a rede ou um processo; fique no que a lição usa"
        case KeyError() | IndexError():
            return "há um índice ou uma chave que não existe"
    meanings = (meaning for pattern, meaning in _MEANINGS if re.search(pattern, text))
    return next(meanings, "uma conta não pôde ser feita")


def _explain_choice(got: frozenset, wanted: frozenset, single_choice: bool) -> str:
    if single_choice:
        if len(got) > 1:
            return f"esperava uma letra só, mas vieram {len(got)}."
        return f"não é {', '.join(got)!r}. Releia o enunciado e as opções."
    if got > wanted:
        return "as que servem estão todas aí, mas há também alguma que não serve."
    if got < wanted:
        return "as que você escolheu servem, mas ainda falta alguma."
    return "há letra que não serve, e falta alguma que serve."


def _explain_value(got: float, wanted: float) -> str:
    """Que espécie de erro pode ser, sem dizer o valor."""
    came = f"não é {got:.10g}"
    if got == -wanted:
        return f"{came}. Confira o sinal."
    ratio = abs(got / wanted) if wanted else 0.0
    if abs(got - wanted) <= 0.02 * abs(wanted) or (wanted == round(wanted) and abs(got - wanted) < 1.01):
        return f"{came}, mas está perto. Confira a última conta e o arredondamento."
    for factor, cause in ((2, "um fator 2"), (10, "uma potência de 10"), (100, "uma potência de 10")):
        if any(abs(ratio / r - 1) < 1e-6 for r in (factor, 1 / factor)):
            return f"{came}. Parece sobrar ou faltar {cause}."
    if got and _near(got * wanted, 1.0):
        return f"{came}. Confira o que divide o quê."
    if _near(got, wanted**2) or (got >= 0 and _near(got**2, wanted)):
        return f"{came}. Confira as potências e as raízes: é variância ou desvio padrão?"
    if _near(got * math.log(2), wanted):
        return f"{came}. Está em bits? Em nats, o logaritmo é o natural."
    if (wanted > 0 and _near(got, math.log(wanted))) or (got > 0 and _near(math.log(got), wanted)):
        return f"{came}. Confira os logaritmos e as exponenciais."
    if (got < 0) != (wanted < 0):
        return f"{came}. Pense primeiro no sinal que a resposta pode ter."
    if ratio > 20 or ratio < 0.05:
        return f"{came}. A ordem de grandeza está errada: confira as unidades, as potências e o que divide o quê."
    return f"{came}. Releia o enunciado e refaça a conta."


def _near(value: float, other: float) -> bool:
    return math.isclose(value, other, rel_tol=1e-3)


def _kind_of_difference(part: Compared, compared: list[Compared]) -> str:
    """O que há de comum às diferenças: arredondamento, um fator, uma constante. Vazio se nada se reconhece."""
    if torch.equal(part.got, part.wanted.to(part.got.dtype)) and part.got.is_floating_point():
        return (
            f"A precisão de {str(part.got.dtype).removeprefix('torch.')} não basta: faça a conta em float32 ou float64."
        )
    numbers = [(c.got.double().flatten(), c.wanted.double().flatten()) for c in compared if isinstance(c.got, Tensor)]
    got, wanted = (torch.cat(side) for side in zip(*numbers, strict=True))
    difference = got - wanted
    if difference.abs().max() <= 3e-3 * wanted.abs().max():
        return (
            "A diferença é pequena, e a conta, quase a certa: há uma constante somada dentro de um logaritmo ou no "
            "denominador, um clamp largo, um arredondamento ou precisão baixa?"
        )
    if len(got) < 2 or not difference.isfinite().all():
        return ""
    if (difference - difference[0]).abs().max() < 1e-6 * wanted.abs().max():
        return "A diferença é a mesma em todos os números: sobra ou falta uma constante."
    largest = wanted.abs().argmax()
    ratio = got[largest] / wanted[largest]
    if ratio != 0 and torch.allclose(got, ratio * wanted, rtol=1e-6, atol=1e-9):
        return f"Em todos eles o seu é {ratio.item():.5g} vezes o esperado: sobra ou falta um fator."
    return ""
