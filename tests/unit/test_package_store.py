import asyncio
import os
import stat
import threading
from pathlib import Path

import pytest

from seatrial.adapters.packages import folder as folder_module
from seatrial.adapters.packages.folder import FolderPackages
from seatrial.domain.errors import Unproven
from seatrial.package.digest import content_hash
from seatrial.package.pack import pack

ECHO = Path(__file__).parents[1] / "packages" / "echo"


async def test_a_package_is_kept_once_whatever_it_came_as(tmp_path: Path) -> None:
    store = FolderPackages(tmp_path / "packages")
    pack(ECHO, tmp_path / "echo.tar.gz")
    refs = await asyncio.gather(
        *(store.add(source, str(source.name)) for source in [ECHO, tmp_path / "echo.tar.gz"] * 4)
    )
    assert {ref.sha256 for ref in refs} == {content_hash(ECHO)}
    assert {ref.source for ref in refs} == {"echo", "echo.tar.gz"}
    assert [path.name for path in (tmp_path / "packages").iterdir()] == [refs[0].sha256]
    kept = store.path(refs[0])
    assert (kept / "echo.py").read_bytes() == (ECHO / "echo.py").read_bytes()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in [kept, *kept.rglob("*")]}
    assert modes == {0o555, 0o444}


async def test_a_refused_package_leaves_nothing(tmp_path: Path) -> None:
    store = FolderPackages(tmp_path / "packages")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a").write_text("")
    (tmp_path / "bad" / "out").symlink_to("/etc/passwd")
    with pytest.raises(Unproven, match="absolute"):
        await store.add(tmp_path / "bad", "bad")
    assert list((tmp_path / "packages").iterdir()) == []


async def test_an_error_names_the_label(tmp_path: Path) -> None:
    (tmp_path / "tmp8f3k2").write_bytes(b"junk")
    with pytest.raises(Unproven, match=r"'plans\.tar\.gz' is no whole tar archive"):
        await FolderPackages(tmp_path / "packages").add(tmp_path / "tmp8f3k2", "plans.tar.gz")


async def test_what_a_crash_left_is_swept_at_the_start_and_the_rest_kept(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    ref = await FolderPackages(packages).add(ECHO, "echo")
    leftover = packages / ".incoming-x"
    (leftover / "code").mkdir(parents=True)
    (leftover / "code" / "inference.py").write_text("half of it")
    (leftover / "code").chmod(0o555)
    FolderPackages(packages)
    assert [path.name for path in packages.iterdir()] == [ref.sha256]


async def test_every_file_and_folder_is_flushed_before_the_name_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[Path] = []
    real_fsync = os.fsync

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        flushed.append(path)
        real_fsync(descriptor)

    monkeypatch.setattr(folder_module.os, "fsync", fsync)
    store = FolderPackages(tmp_path / "packages")
    ref = await store.add(ECHO, "echo")
    before, after = flushed[:-1], flushed[-1]
    incoming = before[-1]
    assert incoming.name.startswith(".incoming-")
    assert {path.relative_to(incoming) for path in before} == {
        path.relative_to(store.path(ref)) for path in [store.path(ref), *store.path(ref).rglob("*")]
    }
    assert after == tmp_path / "packages"


async def test_a_cancelled_add_cleans_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, stopped, removed = threading.Event(), threading.Event(), threading.Event()
    real_open, real_remove = folder_module.open_package, folder_module._remove

    def open_when_stopped(source: Path, root: Path, stop: threading.Event, label: str) -> None:
        begun.set()
        assert stop.wait(30)
        stopped.set()
        real_open(source, root, stop, label)

    def remove(root: Path) -> None:
        real_remove(root)
        removed.set()

    monkeypatch.setattr(folder_module, "open_package", open_when_stopped)
    monkeypatch.setattr(folder_module, "_remove", remove)
    store = FolderPackages(tmp_path / "packages")
    task = asyncio.create_task(store.add(ECHO, "echo"))
    await asyncio.to_thread(begun.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(removed.wait, 30)
    assert stopped.is_set()
    assert list((tmp_path / "packages").iterdir()) == []
