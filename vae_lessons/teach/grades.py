"""O que se guarda de uma correção: as notas de cada entrega, logo que se sabem, e no fim as da turma.

Em `detalhes`, um arquivo por aluno e lição, com o que mandaria corrigir de novo se mudasse: é o que faz uma correção
interrompida continuar de onde parou. Em `notas.csv` e `notas.json`, a turma inteira, com o que a última
correção pediu.
"""

import csv
import io
import json
import sys
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from vae_lessons.files import write_atomically
from vae_lessons.teach.lessons import Refused

GRADES, RESULTS, DETAILS = "notas.csv", "notas.json", "detalhes"


class Row(NamedTuple):
    """A nota de um aluno num exercício. mistake: o erro com nome, ou vazio · answer: o código da resposta."""

    exercise: str
    status: str
    points: float
    of: float
    message: str
    mistake: str = ""
    answer: str = ""


def remember(output: Path, student: str, lesson: str, key: str, rows: list[Row]) -> None:
    """Guarda as notas de uma entrega. key: o que, se mudar, manda corrigi-la de novo."""
    text = json.dumps({"student": student, "lesson": lesson, "key": key, "rows": rows}, ensure_ascii=False, indent=1)
    write_atomically(_details(output, student, lesson), text.encode("utf-8", "replace"))


def remembered(output: Path, student: str, lesson: str, key: str) -> list[Row] | None:
    """As notas guardadas de uma entrega, ou None se não há, se são de outra `key` ou se o arquivo se estragou, o que se
    diz a quem corrige."""
    path = _details(output, student, lesson)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [Row(*row) for row in content["rows"]] if content["key"] == key else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        tqdm.write(f"Não se pôde ler {path}: corrijo de novo essa entrega.", file=sys.stderr)
        return None


def write_class(output: Path, results: dict[str, list[Row]]) -> None:
    """Grava as notas da turma, aluno → as suas, para a planilha e para `saved_class`."""
    write_atomically(output / RESULTS, json.dumps(results, indent=1).encode())
    write_atomically(output / GRADES, _csv(results).encode("utf-8-sig", "replace"))


def saved_class(output: Path) -> dict[str, list[Row]]:
    """As notas que `write_class` gravou. Levanta Refused se não houver, ou se o arquivo se estragou."""
    path = output / RESULTS
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        results = {student: [Row(*row) for row in rows] for student, rows in content.items()}
    except FileNotFoundError:
        results = {}
    except (ValueError, TypeError, AttributeError) as error:
        raise Refused(f"{path} se estragou. Rode de novo: python -m vae_lessons.teach correct …") from error
    if not any(results.values()):
        raise Refused(f"não há correção em {output}. Rode antes: python -m vae_lessons.teach correct …")
    return results


def _details(output: Path, student: str, lesson: str) -> Path:
    return output / DETAILS / student / f"{lesson}.json"


def _csv(results: dict[str, list[Row]]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["aluno", "exercício", "pontos", "mensagem"])
    for student, rows in results.items():
        for row in rows:
            table.writerow([_cell(student), row.exercise, f"{row.points:g}", _cell(f"{row.status} {row.message}")])
    return text.getvalue()


def _cell(text: str) -> str:
    """O texto como texto: uma planilha executaria o que começa por =, +, − ou @."""
    text = " ".join(text.split())
    return f"'{text}" if text[:1] in "=+-@" else text
