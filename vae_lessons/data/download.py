"""Baixa um arquivo de uma lista de espelhos: retoma o que foi cortado, confere, e só então o põe no lugar.

O que chega vai para um arquivo `.part`, um por espelho (cada um comprime a seu modo, e pedaços de dois não se emendam).
Conferido, o conteúdo é escrito num `.tmp` e renomeado: no destino nunca há um arquivo pela metade. Uma trava do sistema
operacional, que a morte do processo solta, faz com que só um processo baixe e os outros esperem por ele.
"""

import contextlib
import hashlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from filelock import FileLock, Timeout
from tqdm import tqdm

_TIMEOUT = 10.0  # segundos sem resposta, ou sem um byte sequer
_MINIMUM = 64 * 1024  # bytes que têm de chegar a cada _PERIOD: abaixo disso o servidor é dado por parado
_PERIOD = 60.0  # segundos
_ATTEMPTS = 20  # por espelho, contanto que cada uma avance
_PATIENCE = 1.0  # segundos de espera calada por outro processo
_PAUSE = 0.5  # segundos entre duas tentativas
_CHUNK = 64 * 1024


def download(urls: Sequence[str], destination: Path, *, check: Callable[[Path], bytes], max_bytes: int) -> bytes:
    """Baixa para `destination` o arquivo que está em cada uma das `urls`, e devolve o seu conteúdo.

    check: recebe o caminho do que chegou, devolve o conteúdo a guardar e levanta ValueError se não for o esperado ·
    max_bytes: o máximo que se aceita receber.
    Levanta ConnectionError, com o motivo de cada espelho, se nenhum serviu; o que chegou inteiro e não era o esperado é
    apagado, o que foi cortado fica para ser retomado. Levanta OSError se não for possível gravar em `destination`.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    with _alone(destination):
        with contextlib.suppress(ValueError, FileNotFoundError):
            return check(destination)  # outro processo acabou de baixá-lo
        partials = [_partial(destination, url) for url in urls]
        reasons = []
        for url, partial in zip(urls, partials, strict=True):
            try:
                content = _from_mirror(url, partial, check, max_bytes)
            except (ConnectionError, ValueError) as error:
                reasons.append(f"{url}: {error}")
                continue
            _put(content, destination)
            for leftover in partials:
                leftover.unlink(missing_ok=True)
            return content
    raise ConnectionError("\n".join(reasons))


@contextlib.contextmanager
def _alone(destination: Path) -> Iterator[None]:
    """Um processo de cada vez. A trava é de quem está vivo: não há trava velha a remover."""
    lock = FileLock(f"{destination}.lock", mode=0o666)  # também para os outros usuários de um cache comum
    try:
        lock.acquire(timeout=_PATIENCE)
    except Timeout:
        print(f"Outro processo está baixando {destination.name}; esperando que ele termine.", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _partial(destination: Path, url: str) -> Path:
    return destination.with_name(f"{destination.name}.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part")


def _put(content: bytes, destination: Path) -> None:
    temporary = destination.with_name(f"{destination.name}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, destination)
    finally:
        temporary.unlink(missing_ok=True)


def _from_mirror(url: str, partial: Path, check: Callable[[Path], bytes], max_bytes: int) -> bytes:
    """O conteúdo conferido do que está em `url`, retomado a cada corte enquanto cada tentativa avançar."""
    joined = partial.exists()  # o que se vai conferir é feito de pedaços de mais de um pedido?
    for _ in range(_ATTEMPTS):
        before = _size(partial)
        try:
            _append(url, partial, max_bytes)
            return check(partial)
        except ValueError:
            partial.unlink(missing_ok=True)
            if not joined:
                raise
            joined = False  # talvez o arquivo tenha mudado entre um pedaço e outro: mais uma vez, do começo
        except ConnectionError:
            if _size(partial) <= before:
                raise
            joined = True
            time.sleep(_PAUSE)
    raise ConnectionError(f"a transferência foi cortada {_ATTEMPTS} vezes")


def _append(url: str, partial: Path, max_bytes: int) -> None:
    start = _size(partial)
    response = _request(url, start)
    if response is None:  # não falta nada: quem confere dirá se é o que se esperava
        return
    with response:
        start, total = _extent(response, start)
        if total is not None and total > max_bytes:
            raise ValueError(f"o servidor anuncia {total} bytes, e o arquivo não pode passar de {max_bytes}")
        received = start
        name = partial.name.split(".")[0]
        with (
            partial.open("ab" if start else "wb", buffering=0) as file,
            tqdm(
                total=total,
                initial=start,
                desc=f"Baixando {name}",
                unit="B",
                unit_scale=True,
                file=sys.stdout,
            ) as bar,
        ):
            for chunk in _chunks(response):
                received += len(chunk)
                if received > max_bytes:
                    raise ValueError(f"o servidor não para de enviar: já são mais de {max_bytes} bytes")
                file.write(chunk)
                bar.update(len(chunk))
        if total is not None and received < total:
            raise ConnectionError(f"a transferência foi cortada em {received} de {total} bytes")


def _request(url: str, start: int) -> HTTPResponse | None:
    """A resposta, a partir do byte `start` se o servidor souber retomar; None se ele diz que não há mais nada."""
    headers = {"User-Agent": "vae-lessons", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        return urlopen(Request(url, headers=headers), timeout=_TIMEOUT)
    except HTTPError as error:
        with error:
            if error.code == 416 and start:
                return None
            raise ConnectionError(f"o servidor respondeu {error.code} ({error.reason})") from error
    except TimeoutError as error:
        raise ConnectionError(f"o servidor não respondeu em {_TIMEOUT:g} s") from error
    except (OSError, HTTPException) as error:
        raise ConnectionError(f"sem conexão ({getattr(error, 'reason', error)})") from error


def _extent(response: HTTPResponse, start: int) -> tuple[int, int | None]:
    """De que byte a resposta começa, e quantos tem o arquivo inteiro (None se o servidor não diz)."""
    if response.status != 206:  # o servidor não sabe retomar: manda tudo
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    piece = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    if piece is None or int(piece[1]) != start:
        raise ValueError("o servidor mandou outro pedaço, e não o que faltava")
    return start, int(piece[2])


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    arrived, deadline = 0, time.monotonic() + _PERIOD
    while True:
        try:
            chunk = response.read1(_CHUNK)
        except TimeoutError as error:
            raise ConnectionError(f"o servidor parou de enviar por {_TIMEOUT:g} s") from error
        except (OSError, HTTPException) as error:
            raise ConnectionError(f"a transferência foi cortada ({error})") from error
        if not chunk:
            return
        yield chunk
        arrived += len(chunk)
        if arrived >= _MINIMUM:
            arrived, deadline = 0, time.monotonic() + _PERIOD
        elif time.monotonic() > deadline:
            raise ConnectionError(f"o servidor enviou menos de {_MINIMUM // 1024} KiB em {_PERIOD:g} s")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
