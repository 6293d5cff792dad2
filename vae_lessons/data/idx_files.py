"""Os arquivos IDX de MNIST e Fashion-MNIST: quais são, onde procurá-los, como conferi-los e lê-los.

O formato é de LeCun: dois bytes nulos, o tipo (8 é uint8), o número de dimensões, cada dimensão em 32 bits, do byte
mais significativo para o menos, e os valores. O que se confere é o SHA-256 do conteúdo descompactado, porque cada
espelho comprime a seu modo.
"""

import contextlib
import gzip
import hashlib
import math
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import torch
from platformdirs import user_cache_path
from torch import Tensor

from vae_lessons.data.download import download

_VARIABLE = "VAE_LESSONS_DATA"
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class IdxFile:
    """Um arquivo de uint8: o nome sem `.gz`, a forma do tensor e o SHA-256 do conteúdo descompactado."""

    name: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def header(self) -> bytes:
        return struct.pack(f">BBBB{len(self.shape)}I", 0, 0, 8, len(self.shape), *self.shape)

    @property
    def size(self) -> int:
        """Bytes do conteúdo descompactado."""
        return len(self.header) + math.prod(self.shape)


@dataclass(frozen=True)
class Source:
    """Um conjunto de dados: as pastas da rede em que está e, por partição, o arquivo de imagens e o de rótulos."""

    mirrors: tuple[str, ...]
    splits: dict[str, tuple[IdxFile, IdxFile]]


def _standard(mirrors: tuple[str, ...], *sha256: str) -> Source:
    """As partições de MNIST, que Fashion-MNIST repete nome a nome: 60.000 imagens de treino e 10.000 de teste."""
    train_images, train_labels, test_images, test_labels = sha256
    return Source(
        mirrors,
        {
            "train": (
                IdxFile("train-images-idx3-ubyte", (60_000, 28, 28), train_images),
                IdxFile("train-labels-idx1-ubyte", (60_000,), train_labels),
            ),
            "test": (
                IdxFile("t10k-images-idx3-ubyte", (10_000, 28, 28), test_images),
                IdxFile("t10k-labels-idx1-ubyte", (10_000,), test_labels),
            ),
        },
    )


SOURCES = {
    "mnist": _standard(
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    "fashion_mnist": _standard(
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}


def read_split(name: str, split: str, root: str | os.PathLike | None = None) -> tuple[Tensor, Tensor]:
    """Imagens uint8 [N, H, W] e rótulos uint8 [N] de uma partição, procurados em disco e, se faltarem, baixados.

    Procura-se em `root`, depois na pasta que a variável de ambiente VAE_LESSONS_DATA indica, depois no cache do
    usuário; em cada uma, também na subpasta com o nome do conjunto; com ou sem `.gz`. O que se baixa vai para o cache.
    Levanta ValueError se um arquivo encontrado em `root` ou em VAE_LESSONS_DATA não for o esperado (ele não é tocado),
    e FileNotFoundError, com o que fazer, se não estiver em parte alguma e não puder ser baixado.
    """
    images, labels = (_read(name, file, root) for file in SOURCES[name].splits[split])
    return images, labels


def is_local(name: str, root: str | os.PathLike | None = None) -> bool:
    """Os quatro arquivos do conjunto já estão em alguma das pastas; não os confere."""
    folders = [*_user_folders(root), cache_folder()]
    files = [file for pair in SOURCES[name].splits.values() for file in pair]
    return all(any(_candidates(name, file, folder) for folder in folders) for file in files)


def cache_folder() -> Path:
    """A pasta de cache do usuário, a que o sistema operacional reserva para isso (`~/.cache/vae-lessons` no Linux)."""
    return user_cache_path("vae-lessons", appauthor=False)


def _read(name: str, file: IdxFile, root: str | os.PathLike | None) -> Tensor:
    for folder in _user_folders(root):
        content = _find(name, file, folder)
        if content is not None:
            return _parse(content, file)
    damaged = ""
    try:
        content = _find(name, file, cache_folder())
    except ValueError as error:  # o cache é nosso: o que se estragou nele é baixado de novo
        content, damaged = None, f"\n{error}"
    return _parse(_fetch(name, file, root, damaged) if content is None else content, file)


def _fetch(name: str, file: IdxFile, root: str | os.PathLike | None, damaged: str) -> bytes:
    def check(path: Path) -> bytes:
        return _checked(path, file)

    urls = [f"{mirror}{file.name}.gz" for mirror in SOURCES[name].mirrors]
    try:
        # Um gzip nunca é muito maior do que o conteúdo; 64 KiB cobrem o cabeçalho e o que não se comprime.
        return download(urls, cache_folder() / name / file.name, check=check, max_bytes=file.size + 64 * 1024)
    except OSError as error:
        raise FileNotFoundError(_what_to_do(name, root, f"{error}{damaged}")) from error


def _user_folders(root: str | os.PathLike | None) -> list[Path]:
    return [Path(folder).expanduser() for folder in (root, os.environ.get(_VARIABLE)) if folder]


def _find(name: str, file: IdxFile, folder: Path) -> bytes | None:
    """O conteúdo conferido, ou None se não está em `folder`; ValueError se o que está lá não serve."""
    problems = []
    for path in _candidates(name, file, folder):
        try:
            return _checked(path, file)
        except ValueError as error:
            if path.parent != folder or not _is_of_another_set(path, name, file):
                problems.append(f"{path}: {error}. Apague este arquivo ou troque-o por uma cópia íntegra.")
    if problems:
        raise ValueError("\n".join(problems))
    return None


def _candidates(name: str, file: IdxFile, folder: Path) -> list[Path]:
    paths = [place / f"{file.name}{ending}" for place in (folder / name, folder) for ending in ("", ".gz")]
    return [path for path in paths if path.is_file()]


def _is_of_another_set(path: Path, name: str, file: IdxFile) -> bool:
    """MNIST e Fashion-MNIST usam os mesmos nomes: numa pasta com um, o outro não está estragado, apenas não está."""
    others = [f for other in SOURCES.keys() - {name} for pair in SOURCES[other].splits.values() for f in pair]
    with contextlib.suppress(ValueError):
        return hashlib.sha256(_unpack(path, file.size)).hexdigest() in {f.sha256 for f in others if f.name == file.name}
    return False


def _checked(path: Path, file: IdxFile) -> bytes:
    """O conteúdo descompactado de `path`, se é o de `file`; ValueError com a diferença, se não é."""
    content = _unpack(path, file.size)
    difference = _difference(content, file)
    if difference:
        raise ValueError(f"o conteúdo não é o de {file.name}: {difference}")
    return content


def _unpack(path: Path, size: int) -> bytes:
    """Os bytes de `path`, descompactados se for o caso: no máximo `size` + 1, que bastam para saber que sobram."""
    try:
        with path.open("rb") as file:
            if file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC:  # o nome não prova nada: navegadores descompactam
                file.seek(0)
                return gzip.GzipFile(fileobj=file).read(size + 1)
            file.seek(0)
            return file.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"está incompleto ou corrompido, não pôde ser lido ({error})") from error


def _difference(content: bytes, file: IdxFile) -> str:
    """O que há de errado em `content`, do mais fácil de entender para o mais difícil; vazio se nada."""
    if content[:100].lstrip()[:1] == b"<":
        return "é uma página da web (a rede pede que se entre com uma senha no navegador?)"
    if content[:3] != file.header[:3]:
        return f"um arquivo IDX de uint8 começa por 00 00 08, e este por {content[:3].hex(' ') or 'nada: está vazio'}"
    if content[: len(file.header)] != file.header:
        return (
            f"as dimensões são {_dimensions(content)}, e deveriam ser {_dimensions(file.header)} (trocado com outro?)"
        )
    if len(content) < file.size:
        return f"está incompleto, com {len(content)} de {file.size} bytes"
    if len(content) > file.size:
        return f"descompactado, passa dos {file.size} bytes que deveria ter"
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        return f"foi alterado ou é de outro conjunto (o SHA-256 é {digest}, e deveria ser {file.sha256})"
    return ""


def _dimensions(content: bytes) -> str:
    count = min(content[3], (len(content) - 4) // 4) if len(content) > 3 else 0
    return "×".join(str(size) for size in struct.unpack_from(f">{count}I", content, 4)) or "ilegíveis"


def _parse(content: bytes, file: IdxFile) -> Tensor:
    """uint8 [*file.shape]: o cabeçalho já foi conferido."""
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=len(file.header)).reshape(file.shape)


def _what_to_do(name: str, root: str | os.PathLike | None, reason: str) -> str:
    folders = [*_user_folders(root), cache_folder()]
    files = [file for pair in SOURCES[name].splits.values() for file in pair]
    missing = [file for file in files if not any(_candidates(name, file, folder) for folder in folders)]
    lines = [
        f"Não encontrei os arquivos de {name!r} e não consegui baixá-los.",
        "",
        "Num computador com rede, baixe estes arquivos:",
        *[f"    {SOURCES[name].mirrors[0]}{file.name}.gz" for file in missing or files],
        "e ponha-os, sem mudar os nomes (descompactar é opcional), nesta pasta:",
        f"    {cache_folder() / name}",
        f"ou noutra qualquer, dizendo qual com load({name!r}, root=PASTA) ou com a variável de ambiente {_VARIABLE}.",
        'Se não puder, use load("digits"), que não precisa de rede nem de arquivos, ou load("mnist_5k").',
        "",
        "Procurei em:",
        *[f"    {folder}{'' if folder.is_dir() else ' (a pasta não existe)'}" for folder in folders],
        "Por que não consegui baixar:",
        *[f"    {line}" for line in reason.splitlines()],
    ]
    return "\n".join(lines)
