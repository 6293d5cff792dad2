"""O que se baixa: espelhos com defeito, retomada, muitos processos de uma vez; e o que se encontra em disco.

Nada aqui usa a rede nem o cache de verdade: os espelhos são servidores em localhost, o cache é uma pasta temporária.
"""

import gzip
import hashlib
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from mirror import Mirror

from vae_lessons.data import download, idx_files, load

IMAGES = "train-images-idx3-ubyte"
LABELS = "train-labels-idx1-ubyte"
SHAPES = {
    IMAGES: (60, 14, 10),
    LABELS: (60,),
    "t10k-images-idx3-ubyte": (20, 14, 10),
    "t10k-labels-idx1-ubyte": (20,),
}


def idx(*shape, seed):
    """Um arquivo IDX sorteado, de quatro cinzas, para que se comprima."""
    values = 80 * torch.randint(4, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    return bytes([0, 0, 8, len(shape), *b"".join(n.to_bytes(4, "big") for n in shape)]) + values.numpy().tobytes()


CONTENT = {name: idx(*shape, seed=seed) for seed, (name, shape) in enumerate(SHAPES.items())}
OTHER_CONTENT = {name: idx(*shape, seed=100 + seed) for seed, (name, shape) in enumerate(SHAPES.items())}


def source(contents, mirrors):
    files = [idx_files.IdxFile(name, SHAPES[name], hashlib.sha256(c).hexdigest()) for name, c in contents.items()]
    return idx_files.Source(tuple(mirrors), {"train": tuple(files[:2]), "test": tuple(files[2:])})


@pytest.fixture
def mirror():
    server = Mirror(CONTENT)
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Um cache vazio, nenhuma pasta do usuário, nenhum proxy, e pouca paciência."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(idx_files, "cache_folder", lambda: folder)
    monkeypatch.delenv("VAE_LESSONS_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "_TIMEOUT", 0.3)
    monkeypatch.setattr(download, "_PERIOD", 0.4)
    monkeypatch.setattr(download, "_PATIENCE", 0.05)
    monkeypatch.setattr(download, "_PAUSE", 0.0)
    return folder


@pytest.fixture
def mnist(mirror, monkeypatch):
    """`mnist("403", "good")`: o conjunto pequeno, servido por espelhos com esses defeitos, nessa ordem."""

    def serve(*faults):
        monkeypatch.setitem(idx_files.SOURCES, "mnist", source(CONTENT, map(mirror.url, faults)))

    return serve


def put(folder, contents=CONTENT, *, compress=True, **replaced):
    """Grava os arquivos em `folder`, com `images=` e `labels=` no lugar dos de treino se dados."""
    contents = contents | {{"images": IMAGES, "labels": LABELS}[key]: value for key, value in replaced.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / f"{name}{'.gz' * compress}").write_bytes(gzip.compress(content) if compress else content)
    return folder


def files_in(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock"
    }


def assert_is_mnist(data, split="train"):
    images, labels = (CONTENT[file.name] for file in idx_files.SOURCES["mnist"].splits[split])
    assert data.x.numpy().tobytes() == images[16:]
    assert data.y.tolist() == list(labels[8:])


# O que se baixa


def test_what_is_downloaded_is_kept_and_not_asked_for_again(mnist, mirror, cache):
    mnist("good")
    for _ in range(2):
        assert_is_mnist(load("mnist"))
        assert_is_mnist(load("mnist", "test"), "test")
    assert [request[1:] for request in mirror.requests] == [(f"{name}.gz", None) for name in CONTENT]
    assert files_in(cache) == {f"mnist/{name}": content for name, content in CONTENT.items()}


def test_dataset_has_the_shapes_of_the_contract(mnist):
    mnist("good")
    data = load("mnist")
    assert data.x.shape == (60, 140)
    assert data.x.dtype == torch.uint8
    assert data.y.dtype == torch.int64
    assert data.image_shape == (14, 10)
    assert data.factors is None
    assert data.name == "mnist"


@pytest.mark.parametrize("manner", ["no_range", "plain", "no_length", "chunked", "redirect"])
def test_any_way_of_serving_the_same_bytes_will_do(mnist, cache, manner):
    mnist(manner)
    assert_is_mnist(load("mnist"))
    assert files_in(cache) == {f"mnist/{name}": CONTENT[name] for name in (IMAGES, LABELS)}


def test_a_file_enters_the_cache_whole_and_in_one_move(mnist, monkeypatch):
    mnist("cut")
    move, moves = os.replace, []

    def watched(origin, destination):
        moves.append((origin.read_bytes(), destination.exists()))
        move(origin, destination)

    monkeypatch.setattr(os, "replace", watched)
    load("mnist")
    assert moves == [(CONTENT[IMAGES], False), (CONTENT[LABELS], False)]


def test_a_progress_bar_counts_the_bytes_and_those_of_the_pieces_before(mnist, capsys):
    mnist("cut")
    load("mnist")
    bars = capsys.readouterr().out.split("\r")
    for name in (IMAGES, LABELS):
        assert [bar for bar in bars if bar.startswith(f"Baixando {name}: 100%")]


# Espelhos com defeito

FAULTS = {
    "403": r"respondeu 403",
    "404": r"respondeu 404",
    "500": r"respondeu 500",
    "503": r"respondeu 503",
    "redirect_loop": r"respondeu 302",
    "silent": r"não respondeu em 0\.3 s",
    "stall": r"parou de enviar por 0\.3 s",
    "drip": r"enviou menos de 64 KiB em 0\.4 s",
    "cut_same_place": r"cortada em \d+ de \d+ bytes",
    "cut_chunked": r"cortada",
    "hang_up": r"sem conexão",
    "nonsense": r"sem conexão",
    "corrupt": r"corrompido",
    "altered": r"foi alterado",
    "truncated": r"está incompleto",
    "short": r"está incompleto, com 8415 de 8416 bytes",
    "long": r"passa dos 8416 bytes",
    "html": r"página da web",
    "empty": r"está vazio",
    "garbage": r"começa por 00 00 08, e este por 01 02 03",
    "swapped": r"dimensões são 60, e deveriam ser 60×14×10",
    "other_split": r"dimensões são 20×14×10, e deveriam ser 60×14×10",
    "bomb": r"passa dos 8416 bytes",
    "huge": r"anuncia 1000000000000000 bytes",
    "endless": r"não para de enviar",
}
CUT = {"stall", "drip", "cut_same_place", "cut_chunked"}  # o pedaço que chegou se guarda


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_mirror_alone_is_an_error_that_says_why_and_nothing_is_cached(mnist, cache, fault):
    mnist(fault)
    with pytest.raises(FileNotFoundError, match=rf"(?s)Por que não consegui baixar:.*/{fault}/.*{FAULTS[fault]}"):
        load("mnist")
    assert {Path(name).suffix for name in files_in(cache)} == ({".part"} if fault in CUT else set())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_mirror_is_passed_over(mnist, cache, fault):
    mnist(fault, "good")
    assert_is_mnist(load("mnist"))
    assert files_in(cache) == {f"mnist/{name}": CONTENT[name] for name in (IMAGES, LABELS)}


# A retomada


@pytest.mark.parametrize("fault", ["cut", "small_pieces", "stall_once"])
def test_a_cut_download_goes_on_from_where_it_stopped(mnist, mirror, fault):
    mnist(fault)
    assert_is_mnist(load("mnist"))
    size = len(mirror.compressed(IMAGES))
    step = size // 2 if fault == "stall_once" else size // 3 + 1
    expected = [None, *(f"bytes={start}-" for start in range(step, size - 1, step))]
    assert [range_ for _, name, range_ in mirror.requests if name == f"{IMAGES}.gz"] == expected


def test_the_next_run_goes_on_from_where_this_one_stopped(mnist, mirror, cache):
    mnist("cut_same_place")
    with pytest.raises(FileNotFoundError):
        load("mnist")
    (partial,) = cache.rglob("*.part")
    half = len(mirror.compressed(IMAGES)) // 2
    assert partial.read_bytes() == mirror.compressed(IMAGES)[:half]

    mirror.requests.clear()
    mirror.cured.add("cut_same_place")  # o mesmo endereço, agora sem defeito
    assert_is_mnist(load("mnist"))
    assert mirror.requests[0] == ("cut_same_place", f"{IMAGES}.gz", f"bytes={half}-")
    assert files_in(cache) == {f"mnist/{name}": CONTENT[name] for name in (IMAGES, LABELS)}


@pytest.mark.parametrize("fault", ["changed", "wrong_piece"])
def test_pieces_that_do_not_fit_are_thrown_away_and_it_starts_again(mnist, mirror, cache, fault):
    mnist(fault)
    if fault == "wrong_piece":
        partial_of(mirror, cache, fault).write_bytes(mirror.compressed(IMAGES)[:50])
    assert_is_mnist(load("mnist"))
    assert [range_ is None for _, name, range_ in mirror.requests if name == f"{IMAGES}.gz"][-2:] == [False, True]


def partial_of(mirror, cache, fault):
    """Onde fica guardado o pedaço das imagens que veio desse espelho."""
    partial = download._partial(cache / "mnist" / IMAGES, f"{mirror.url(fault)}{IMAGES}.gz")
    partial.parent.mkdir(parents=True, exist_ok=True)
    return partial


def test_a_piece_from_one_mirror_is_not_continued_from_another(mnist, mirror):
    mnist("cut_same_place", "good")
    assert_is_mnist(load("mnist"))
    assert ("good", f"{IMAGES}.gz", None) in mirror.requests


def test_a_piece_that_was_already_whole_is_only_checked(mnist, mirror, cache):
    """O processo morreu entre o último byte e a renomeação: o servidor responde 416, e não é preciso mais nada."""
    mnist("good")
    partial_of(mirror, cache, "good").write_bytes(mirror.compressed(IMAGES))
    assert_is_mnist(load("mnist"))
    assert mirror.requests[0] == ("good", f"{IMAGES}.gz", f"bytes={len(mirror.compressed(IMAGES))}-")
    assert mirror.requests[1][1] == f"{LABELS}.gz"


@pytest.mark.parametrize("junk", [b"x" * 100, b"x" * 1_000_000], ids=["short", "longer_than_the_file"])
@pytest.mark.parametrize("fault", ["good", "no_range"])
def test_junk_kept_as_a_piece_does_no_harm(mnist, mirror, cache, fault, junk):
    mnist(fault)
    partial_of(mirror, cache, fault).write_bytes(junk)
    assert_is_mnist(load("mnist"))


# Processos interrompidos e processos simultâneos


def start_process(mirror, cache, fault, name=IMAGES):
    """Um processo que só baixa: não carrega torch, para que trinta caibam no teste."""
    digest = hashlib.sha256(CONTENT[name]).hexdigest()
    program = f"""
import gzip, hashlib, runpy, signal, sys
from pathlib import Path

download = runpy.run_path({download.__file__!r})["download"]  # do pacote viria também o torch

def check(path):
    data = path.read_bytes()
    content = gzip.decompress(data) if data[:2] == b"\\x1f\\x8b" else data
    if hashlib.sha256(content).hexdigest() != {digest!r}:
        raise ValueError("diferente")
    return content

signal.signal(signal.SIGINT, signal.default_int_handler)  # num pytest em segundo plano nasceria ignorado
print("pronto", flush=True)
sys.stdin.read()
destination = Path({str(cache / "mnist" / name)!r})
content = download(["{mirror.url(fault)}{name}.gz"], destination, check=check, max_bytes=10**6)
print(len(content))
"""
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("esperei dez segundos em vão")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["ctrl_c", "kill"])
def test_an_interrupted_download_is_resumed_by_the_next_process(mnist, mirror, cache, how):
    mnist("stall_once")
    process = start_process(mirror, cache, "stall_once")
    process.stdin.close()
    half = len(mirror.compressed(IMAGES)) // 2
    wait_until(lambda: [p.stat().st_size for p in cache.rglob("*.part")] == [half])
    process.send_signal(how)
    process.wait()
    error = process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    assert process.returncode != 0
    assert ("KeyboardInterrupt" in error) == (how == signal.SIGINT)
    assert [p.suffix for p in cache.rglob(f"{IMAGES}*") if p.suffix != ".lock"] == [".part"]

    assert_is_mnist(load("mnist"))
    assert mirror.requests[1] == ("stall_once", f"{IMAGES}.gz", f"bytes={half}-")


@pytest.mark.usefixtures("listens_to_interrupts")
def test_ctrl_c_in_the_middle_leaves_what_came_and_nothing_else(mnist, mirror, cache, monkeypatch):
    mnist("cut")
    monkeypatch.setattr(download.time, "sleep", lambda seconds: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        load("mnist")
    assert {Path(name).suffix for name in files_in(cache)} == {".part"}


def test_thirty_students_at_once_download_once(mnist, mirror, cache):
    mnist("cut")
    with ThreadPoolExecutor(30) as students:
        for data in students.map(lambda _: load("mnist"), range(30)):
            assert_is_mnist(data)
    assert sum(range_ is None for _, _, range_ in mirror.requests) == 2
    assert files_in(cache) == {f"mnist/{name}": CONTENT[name] for name in (IMAGES, LABELS)}


def test_processes_at_once_download_once_and_survive_the_death_of_some(mirror, cache):
    processes = [start_process(mirror, cache, "cut") for _ in range(8)]
    for process in processes:
        assert process.stdout.readline() == "pronto\n"
    for process in processes:
        process.stdin.close()
    processes[0].kill()
    processes[1].kill()
    outputs = []
    for process in processes:
        process.wait()
        outputs.append((process.returncode, process.stdout.read().split()[-1:], process.stderr.read()))
        process.stdout.close()
        process.stderr.close()
    for code, output, error in outputs[2:]:
        assert (code, output) == (0, [str(len(CONTENT[IMAGES]))]), error
    assert files_in(cache) == {f"mnist/{IMAGES}": CONTENT[IMAGES]}


def test_whoever_waits_is_told_so(mnist, cache, capfd):
    mnist("good")
    (cache / "mnist").mkdir(parents=True)
    other = FileLock(cache / "mnist" / f"{IMAGES}.lock")
    with ThreadPoolExecutor(1) as pool:
        with other:
            waiting = pool.submit(load, "mnist")
            wait_until(lambda: "Outro processo está baixando" in capfd.readouterr().err)
            assert not waiting.done()
        assert_is_mnist(waiting.result())


# Sem rede


@pytest.fixture
def no_network(mnist, mirror):
    mnist("good")
    mirror.stop()


def test_without_network_or_files_the_error_says_which_files_to_put_where(no_network, mirror, cache, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        load("mnist", root=tmp_path / "pasta")
    message = str(caught.value)
    for name in CONTENT:
        assert f"{mirror.url('good')}{name}.gz\n" in message
    assert f"nesta pasta:\n    {cache / 'mnist'}\n" in message
    assert f"{tmp_path / 'pasta'} (a pasta não existe)\n" in message
    assert "load('mnist', root=PASTA)" in message
    assert "VAE_LESSONS_DATA" in message
    assert 'load("digits"), que não precisa de rede nem de arquivos' in message
    assert "sem conexão" in message


@pytest.mark.parametrize("compress", [True, False], ids=["gz", "raw"])
def test_doing_what_the_error_says_works(no_network, cache, compress):
    put(cache / "mnist", compress=compress)
    assert_is_mnist(load("mnist"))


def test_only_the_missing_files_are_asked_for(no_network, cache):
    put(cache / "mnist")
    (cache / "mnist" / f"{LABELS}.gz").unlink()
    with pytest.raises(FileNotFoundError) as caught:
        load("mnist")
    assert f"/{LABELS}.gz\n" in str(caught.value)
    assert f"/{IMAGES}.gz\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root escreve em qualquer pasta")
def test_a_read_only_cache_is_an_error_that_says_what_to_do(mnist, cache):
    mnist("good")
    cache.mkdir()
    cache.chmod(0o500)
    with pytest.raises(FileNotFoundError, match=r"(?s)root=PASTA.*Permission denied"):
        load("mnist")


def test_a_cache_that_cannot_be_created_is_an_error_that_says_what_to_do(mnist, cache):
    mnist("good")
    cache.write_text("um arquivo onde deveria haver uma pasta")
    with pytest.raises(FileNotFoundError, match=r"(?s)root=PASTA.*Por que não consegui baixar:.*cache"):
        load("mnist")


def test_a_full_disk_leaves_nothing_half_written(mnist, cache, monkeypatch):
    mnist("good")

    def no_space(path, content):
        path.open("wb").write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", no_space)
    with pytest.raises(FileNotFoundError, match="No space left"):
        load("mnist")
    assert {Path(name).suffix for name in files_in(cache)} == {".part"}


# O que se encontra em disco


@pytest.mark.parametrize("compress", [True, False], ids=["gz", "raw"])
@pytest.mark.parametrize("subfolder", ["", "mnist"])
@pytest.mark.parametrize("place", ["root", "variable", "cache"])
def test_files_are_found_with_no_network(no_network, cache, tmp_path, monkeypatch, place, subfolder, compress):
    folder = cache if place == "cache" else tmp_path / "dados"
    put(folder / subfolder, compress=compress)
    before = files_in(tmp_path)
    if place == "variable":
        monkeypatch.setenv("VAE_LESSONS_DATA", str(folder))
    assert_is_mnist(load("mnist", root=folder if place == "root" else None))
    assert_is_mnist(load("mnist", "test", root=str(folder) if place == "root" else None), "test")
    assert files_in(tmp_path) == before


def test_a_tilde_is_the_home_folder(no_network, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    put(tmp_path / "dados")
    assert_is_mnist(load("mnist", root="~/dados"))
    monkeypatch.setenv("VAE_LESSONS_DATA", "~/dados")
    assert_is_mnist(load("mnist"))
    assert idx_files.is_local("mnist")


def test_what_a_file_is_does_not_depend_on_its_ending(no_network, tmp_path):
    """Há navegadores que descompactam ao baixar e deixam o .gz no nome."""
    (tmp_path / f"{IMAGES}.gz").write_bytes(CONTENT[IMAGES])
    (tmp_path / LABELS).write_bytes(gzip.compress(CONTENT[LABELS]))
    assert_is_mnist(load("mnist", root=tmp_path))


def test_root_comes_before_the_variable_and_the_variable_before_the_cache(no_network, cache, tmp_path, monkeypatch):
    """Um arquivo estragado só é erro onde se chega a procurar."""
    bad = put(tmp_path / "estragada", images=b"estragado")
    good = put(tmp_path / "boa")
    monkeypatch.setenv("VAE_LESSONS_DATA", str(bad))
    put(cache)
    with pytest.raises(ValueError, match="estragada"):
        load("mnist")
    assert_is_mnist(load("mnist", root=good))
    monkeypatch.setenv("VAE_LESSONS_DATA", str(good))
    with pytest.raises(ValueError, match="estragada"):
        load("mnist", root=bad)
    put(cache, images=b"estragado")
    assert_is_mnist(load("mnist"))


BAD_FILES = {
    "truncated_gzip": (gzip.compress(CONTENT[IMAGES])[:-500], r"incompleto ou corrompido"),
    "corrupt_gzip": (gzip.compress(CONTENT[IMAGES])[:-8] + bytes(8), r"incompleto ou corrompido"),
    "truncated": (CONTENT[IMAGES][:-1], r"com 8415 de 8416 bytes"),
    "only_half_a_header": (CONTENT[IMAGES][:10], r"dimensões são 60, e deveriam"),
    "altered": (CONTENT[IMAGES][:-1] + b"!", r"foi alterado"),
    "swapped": (CONTENT[LABELS], r"dimensões são 60, e deveriam ser 60×14×10"),
    "test_split": (CONTENT["t10k-images-idx3-ubyte"], r"dimensões são 20×14×10"),
    "other_type": (bytes([0, 0, 13]) + CONTENT[IMAGES][3:], r"começa por 00 00 08, e este por 00 00 0d"),
    "web_page": (b"\n<html>", r"página da web"),
    "empty": (b"", r"está vazio"),
    "bomb": (gzip.compress(CONTENT[IMAGES] + bytes(50_000_000)), r"passa dos 8416 bytes"),
    "bomb_of_zeros": (gzip.compress(bytes(50_000_000)), r"começa por 00 00 08, e este por 00 00 00"),
}


@pytest.mark.parametrize("bad", BAD_FILES)
def test_a_bad_file_of_the_user_is_named_and_left_alone(mnist, mirror, tmp_path, bad):
    mnist("good")
    content, reason = BAD_FILES[bad]
    (tmp_path / f"{IMAGES}.gz").write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ValueError, match=rf"{IMAGES}\.gz: .*{reason}.* Apague este arquivo ou troque-o"):
        load("mnist", root=tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000  # nem a bomba de 50 MB se expande
    assert (tmp_path / f"{IMAGES}.gz").read_bytes() == content
    assert mirror.requests == []


def test_a_good_copy_beside_a_bad_one_is_enough(no_network, tmp_path):
    put(tmp_path)
    (tmp_path / IMAGES).write_bytes(CONTENT[IMAGES][:100])  # o gunzip interrompido
    assert_is_mnist(load("mnist", root=tmp_path))


def test_a_damaged_cache_is_downloaded_again(mnist, cache):
    mnist("good")
    put(cache / "mnist", images=CONTENT[IMAGES][:-1], compress=False)
    assert_is_mnist(load("mnist"))
    assert files_in(cache)[f"mnist/{IMAGES}"] == CONTENT[IMAGES]


def test_a_damaged_cache_without_network_is_named(no_network, cache):
    put(cache / "mnist", images=CONTENT[IMAGES][:-1])
    with pytest.raises(FileNotFoundError, match=rf"{IMAGES}\.gz: .*com 8415 de 8416 bytes"):
        load("mnist")


def test_a_folder_with_mnist_does_not_hide_fashion_mnist_which_has_the_same_names(mnist, tmp_path, mirror, monkeypatch):
    mnist("good")
    monkeypatch.setitem(idx_files.SOURCES, "fashion_mnist", source(OTHER_CONTENT, [mirror.url("404")]))
    put(tmp_path)
    with pytest.raises(FileNotFoundError, match="'fashion_mnist'"):
        load("fashion_mnist", root=tmp_path)
    put(tmp_path / "fashion_mnist", OTHER_CONTENT)
    assert load("fashion_mnist", root=tmp_path).x.numpy().tobytes() == OTHER_CONTENT[IMAGES][16:]
    assert_is_mnist(load("mnist", root=tmp_path))


def test_fashion_mnist_in_the_folder_called_mnist_is_an_error(no_network, tmp_path, monkeypatch):
    monkeypatch.setitem(idx_files.SOURCES, "fashion_mnist", source(OTHER_CONTENT, []))
    put(tmp_path / "mnist", OTHER_CONTENT)
    with pytest.raises(ValueError, match=r"foi alterado ou é de outro conjunto"):
        load("mnist", root=tmp_path)


def test_the_cache_is_in_the_folder_the_system_reserves_for_it(tmp_path):
    """Num processo à parte, porque aqui `cache_folder` foi trocada."""
    if sys.platform != "linux":
        pytest.skip("o lugar do cache em outros sistemas é o que platformdirs diz")
    program = """
import os
from vae_lessons.data.idx_files import cache_folder

print(cache_folder())
os.environ["XDG_CACHE_HOME"] = "/xdg"
print(cache_folder())
"""
    environment = {k: v for k, v in os.environ.items() if k != "XDG_CACHE_HOME"} | {"HOME": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [f"{tmp_path}/.cache/vae-lessons", "/xdg/vae-lessons"]


# Os conjuntos de verdade


def test_both_sets_have_the_standard_splits():
    for name in ("mnist", "fashion_mnist"):
        real = idx_files.SOURCES[name]
        assert [[file.shape for file in real.splits[split]] for split in ("train", "test")] == [
            [(60_000, 28, 28), (60_000,)],
            [(10_000, 28, 28), (10_000,)],
        ]
        assert [[file.size for file in real.splits[split]] for split in ("train", "test")] == [
            [47_040_016, 60_008],
            [7_840_016, 10_008],
        ]
        assert all(mirror.endswith("/") for mirror in real.mirrors)
        assert len(real.mirrors) > 1
    digests = [f.sha256 for s in idx_files.SOURCES.values() for pair in s.splits.values() for f in pair]
    assert {len(bytes.fromhex(digest)) for digest in digests} == {32}
    assert len(set(digests)) == 8
