import contextlib
import gzip
import io
import os
import random
import stat
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.domain.errors import Unproven
from seatrial.package import archive as archive_module
from seatrial.package import gzipped
from seatrial.package import tree as tree_module
from seatrial.package.archive import open_package
from seatrial.package.digest import content_hash
from seatrial.package.names import safe_parts
from seatrial.package.pack import pack
from seatrial.package.tree import Stopped

EXAMPLES = Path(__file__).parents[1] / "packages"
Build = Callable[[tarfile.TarFile], None]


def member(name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"", **more: object) -> Build:
    def add(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.size = kind, len(content)
        for key, value in more.items():
            setattr(info, key, value)
        tar.addfile(info, io.BytesIO(content))

    return add


def tar_of(path: Path, *builds: Build, form: str = "w:gz", tar_format: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, form, format=tar_format) as tar:
        for build in builds:
            build(tar)
    return path


def opened(source: Path, name: str = "root") -> Path:
    root = source.parent / name
    root.mkdir()
    open_package(source, root)
    return root


def refused(source: Path) -> Unproven:
    with pytest.raises(Unproven) as caught:
        opened(source)
    assert caught.value.error_type == "inspect"
    assert caught.value.details["remedy"] not in caught.value.message  # whoever shows the error adds it
    return caught.value


@pytest.mark.parametrize(
    ("builds", "field", "word"),
    [
        ([member("../evil")], "../evil", "leaves the package"),
        ([member("a/../../evil")], "a/../../evil", "leaves the package"),
        ([member("/etc/evil")], "/etc/evil", "absolute"),
        ([member("fifo", tarfile.FIFOTYPE)], "fifo", "FIFO"),
        ([member("null", tarfile.CHRTYPE, devmajor=1, devminor=3)], "null", "device"),
        ([member("disk", tarfile.BLKTYPE)], "disk", "device"),
        ([member("run", mode=0o4755)], "run", "set-user-id"),
        ([member("a", content=b"1"), member("./a", content=b"2")], "./a", "twice"),
        ([member("a", content=b"1"), member("a/b", content=b"2")], "a/b", "which is a file"),
        ([member("a", content=b"1"), member("a", tarfile.DIRTYPE)], "a", "which is a file"),
        ([member("l", tarfile.SYMTYPE, linkname="d"), member("d/x"), member("l/x")], "l/x", "which is a link"),
        ([member("l", tarfile.SYMTYPE, linkname="/etc/passwd")], "l", "absolute"),
        ([member("l", tarfile.SYMTYPE, linkname="../outside")], "l", "in the package|leaves"),
        ([member("d/l", tarfile.SYMTYPE, linkname="../..")], "d/l", "leaves the package"),
        ([member("l", tarfile.SYMTYPE, linkname="missing"), member("x")], "l", "points at nothing"),
        ([member("l", tarfile.SYMTYPE, linkname="m"), member("m", tarfile.SYMTYPE, linkname="l")], "l", "circle"),
        ([member("h", tarfile.LNKTYPE, linkname="/etc/passwd")], "/etc/passwd", "absolute"),
        ([member("h", tarfile.LNKTYPE, linkname="../x")], "../x", "leaves the package"),
        ([member("h", tarfile.LNKTYPE, linkname="later"), member("later")], "h", "no file of the package before"),
        ([member("n" * 256)], "n" * 256, "255"),
        ([member("/".join(["n" * 200] * 11))], "/".join(["n" * 200] * 11), "2048"),
        ([member("bad\udcff")], "bad\\udcff", "not UTF-8"),
        ([member("a", pax_headers={"path": "a\0b"})], "a\0b", "NUL"),
    ],
)
def test_an_unsafe_member_is_refused_by_name(tmp_path: Path, builds: list[Build], field: str, word: str) -> None:
    error = refused(tar_of(tmp_path / "p.tar.gz", *builds))
    assert error.field == field
    assert any(one in error.message for one in word.split("|"))
    assert not (tmp_path / "evil").exists()


def test_a_link_chain_that_climbs_out_only_when_followed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the server")
    chain = [
        member("a/b/x"),
        member("up", tarfile.SYMTYPE, linkname="a/b"),  # so up/../.. is the root, as text it would be above
        member("inside", tarfile.SYMTYPE, linkname="up/../../a/b/x"),
        member("outside", tarfile.SYMTYPE, linkname="up/../../../secret"),
    ]
    assert refused(tar_of(tmp_path / "p.tar.gz", *chain)).field == "outside"


def test_links_that_stay_inside_are_kept(tmp_path: Path) -> None:
    source = tar_of(
        tmp_path / "p.tar.gz",
        member("code/real.py", content=b"x = 1\n"),
        member("code/soft.py", tarfile.SYMTYPE, linkname="real.py"),
        member("code/hard.py", tarfile.LNKTYPE, linkname="code/real.py"),
        member("current", tarfile.SYMTYPE, linkname="code"),
    )
    root = opened(source)
    assert (root / "code/soft.py").read_text() == (root / "code/hard.py").read_text() == "x = 1\n"
    assert (root / "current/real.py").exists()


def test_modes_and_owners_are_normalised(tmp_path: Path) -> None:
    builds = [
        member("run.sh", content=b"#!", mode=0o777, uid=12345),
        member("secret", content=b"s", mode=0o600),
        member("d", tarfile.DIRTYPE, mode=0o2700),
    ]
    root = opened(tar_of(tmp_path / "p.tar.gz", *builds))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in root.iterdir()}
    assert modes == {"run.sh": 0o755, "secret": 0o644, "d": 0o755}
    assert {path.stat().st_uid for path in root.iterdir()} == {os.getuid()}


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.99])
@pytest.mark.parametrize("form", ["w:gz", "w"])
def test_an_archive_that_breaks_off_is_refused(tmp_path: Path, keep: float, form: str) -> None:
    content = random.Random(1).randbytes(50_000)
    whole = tar_of(tmp_path / "p", member("a", content=content), member("b", content=content), form=form)
    raw = whole.read_bytes()
    raw = raw.rstrip(b"\0") if form == "w" else raw
    whole.write_bytes(raw[: int(len(raw) * keep)])
    assert "no whole tar archive" in refused(whole).message


def test_a_plain_tar_cut_between_two_members_is_refused(tmp_path: Path) -> None:
    whole = tar_of(tmp_path / "p", member("a", content=b"1" * 512), member("b", content=b"2" * 512), form="w")
    whole.write_bytes(whole.read_bytes()[:1024])
    assert "no whole tar archive" in refused(whole).message


def test_data_after_the_end_is_refused(tmp_path: Path) -> None:
    first = tar_of(tmp_path / "1", member("a", content=b"1"), form="w").read_bytes()
    second = tar_of(tmp_path / "2", member("../evil", content=b"2"), form="w").read_bytes()
    (tmp_path / "p.tar.gz").write_bytes(gzip.compress(first + second))
    assert "more data follows" in refused(tmp_path / "p.tar.gz").message


@pytest.mark.parametrize("junk", [b"", b"hello", b"\x1f\x8b", b"PK\x03\x04" + bytes(600), bytes(10_240)])
def test_what_is_no_archive_is_refused(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / "p.tar.gz").write_bytes(junk)
    refused(tmp_path / "p.tar.gz")


def test_a_zip_is_told_how_to_be_packed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as packed:
        packed.writestr("code/inference.py", "")
    error = refused(tmp_path / "p.zip")
    assert error.message == "'p.zip' is a zip."
    assert "tar czf" in error.details["remedy"]


@pytest.mark.parametrize("junk", [b"hello", b"PK\x03\x04" + bytes(600), None])
def test_an_error_names_the_package_as_its_owner_does(tmp_path: Path, junk: bytes | None) -> None:
    copy = tmp_path / "tmp8f3k2"
    if junk is not None:
        copy.write_bytes(junk)
    (tmp_path / "root").mkdir()
    with pytest.raises(Unproven) as caught:
        open_package(copy, tmp_path / "root", label="plans.tar.gz")
    assert caught.value.field == "plans.tar.gz"
    assert "'plans.tar.gz'" in caught.value.message
    assert "tmp8f3k2" not in caught.value.message


def test_a_missing_package_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "nothing.tar.gz").message


def test_a_bomb_is_refused_long_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "ARCHIVE_RATIO_FREE_BYTES", 1 << 20)
    source = tar_of(tmp_path / "p.tar.gz", member("zeros", content=bytes(20 << 20)))
    assert "200 times" in refused(source).message
    assert (tmp_path / "root/zeros").stat().st_size < 8 << 20


def test_a_huge_header_is_not_read_into_memory(tmp_path: Path) -> None:
    source = tar_of(tmp_path / "p.tar.gz", member("a", pax_headers={"comment": "c" * (2 << 20)}))
    assert "header" in refused(source).message


def test_limits_on_members_and_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tar_of(tmp_path / "p.tar.gz", *[member(f"f{i}", content=b"12345") for i in range(5)])
    monkeypatch.setattr(tree_module, "ARCHIVE_UNPACKED_BYTES_MAX", 24)
    assert refused(source).field == "f4"
    monkeypatch.setattr(tree_module, "ARCHIVE_MEMBERS_MAX", 4)
    with pytest.raises(Unproven, match="more than 4 members"):
        opened(source, "again")
    monkeypatch.setattr(archive_module, "ARCHIVE_BYTES_MAX", 10)
    with pytest.raises(Unproven, match="larger than 10 bytes"):
        opened(source, "once-more")


def test_hard_links_count_like_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_module, "ARCHIVE_UNPACKED_BYTES_MAX", 25)
    links = [member(f"l{i}", tarfile.LNKTYPE, linkname="f") for i in range(3)]
    assert refused(tar_of(tmp_path / "p.tar.gz", member("f", content=b"1234567890"), *links)).field == "l1"


def test_a_package_one_folder_too_deep_names_the_remedy(tmp_path: Path) -> None:
    error = refused(tar_of(tmp_path / "p.tar.gz", member("model/code/inference.py"), member("model/weights.bin")))
    assert "tar -czf package.tar.gz -C model ." in error.details["remedy"]
    fine = tar_of(tmp_path / "q.tar.gz", member("code/inference.py"))
    assert (opened(fine, "fine") / "code/inference.py").exists()


def test_a_package_several_folders_too_deep_is_told_of_as_well(tmp_path: Path) -> None:
    error = refused(tar_of(tmp_path / "p.tar.gz", member("work/model/code/inference.py")))
    assert "2 folders too deep" in error.message
    assert "tar -czf package.tar.gz -C work/model ." in error.details["remedy"]


@pytest.mark.parametrize("kind", ["fifo", "link-out", "absolute-link", "setuid"])
def test_a_directory_is_checked_like_an_archive(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "fine.py").write_text("")
    odd = source / "odd"
    if kind == "fifo":
        os.mkfifo(odd)
    elif kind == "link-out":
        odd.symlink_to("../elsewhere")
    elif kind == "absolute-link":
        odd.symlink_to(source / "fine.py")
    else:
        odd.write_text("")
        odd.chmod(0o4755)
    assert refused(source).field == "odd"


def test_what_tools_leave_behind_is_left_out(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("code/inference.py", ".git/config", "code/__pycache__/i.pyc", ".venv/bin/python", "._x", "a.pyc"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    (source / ".venv/out").symlink_to("/usr")
    packed = tmp_path / "p.tar.gz"
    subprocess.run(["tar", "-czf", packed, "-C", source, "."], check=True)
    for root in (opened(source, "from-directory"), opened(packed, "from-archive")):
        assert [path.name for path in root.rglob("*")] == ["code", "inference.py"]


def test_directory_and_archives_of_it_hash_alike(tmp_path: Path) -> None:
    source = EXAMPLES / "tasks_sagemaker"
    by_tar, by_us = tmp_path / "by-tar.tar.gz", tmp_path / "by-us.tar.gz"
    subprocess.run(["tar", "-czf", by_tar, "-C", source, "."], check=True)
    pack(source, by_us)
    (tmp_path / "link").symlink_to(source)
    roots = [opened(by_tar, "1"), opened(by_us, "2"), opened(tmp_path / "link", "3")]
    assert {content_hash(root) for root in roots} == {content_hash(source)}


def test_the_hash_sees_names_modes_bytes_links_and_empty_folders(tmp_path: Path) -> None:
    def variant(name: str, change: Callable[[Path], object]) -> str:
        root = tmp_path / name
        root.mkdir()
        (root / "a").write_text("1")
        (root / "b").write_text("2")
        change(root)
        return content_hash(root)

    hashes = [
        variant("same", lambda root: None),
        variant("bytes", lambda root: (root / "a").write_text("3")),
        variant("mode", lambda root: (root / "a").chmod(0o755)),
        variant("name", lambda root: (root / "a").rename(root / "c")),
        variant("link", lambda root: (root / "c").symlink_to("a")),
        variant("other-link", lambda root: (root / "c").symlink_to("b")),
        variant("empty", lambda root: (root / "c").mkdir()),
    ]
    assert len(set(hashes)) == len(hashes)
    assert variant("touched", lambda root: os.utime(root / "a", (0, 0))) == hashes[0]


def test_packing_is_reproducible(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_text("1")
    pack(source, tmp_path / "1.tar.gz")
    os.utime(source / "a", (1, 1))
    pack(source, tmp_path / "another-name.tar.gz")
    assert (tmp_path / "1.tar.gz").read_bytes() == (tmp_path / "another-name.tar.gz").read_bytes()
    os.mkfifo(source / "pipe")
    with pytest.raises(Unproven, match="FIFO"):
        pack(source, tmp_path / "2.tar.gz")


def test_weights_that_hardly_shrink_are_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gzipped, "STORED_BYTES_MIN", 100_000)
    source = tmp_path / "source"
    source.mkdir()
    files = {"a.txt": b"a" * 300_000, "b.bin": random.Random(4).randbytes(300_000), "c.txt": b"c" * 300_000}
    for name, content in files.items():
        (source / name).write_bytes(content)
    packed = tmp_path / "p.tar.gz"
    pack(source, packed)
    assert 300_000 < packed.stat().st_size < 305_000
    assert files["b.bin"][1_000:2_000] in packed.read_bytes()
    by_others = subprocess.run(["tar", "-xzOf", packed, "a.txt", "b.bin", "c.txt"], check=True, capture_output=True)
    assert by_others.stdout == b"".join(files.values())
    assert content_hash(opened(packed, "again")) == content_hash(source)


def test_a_stopped_opening_ends(tmp_path: Path) -> None:
    stop = Event()
    stop.set()
    (tmp_path / "root").mkdir()
    with pytest.raises(Stopped):
        open_package(tar_of(tmp_path / "p.tar.gz", member("a", content=b"1")), tmp_path / "root", stop)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40) | st.from_regex(r"(\.|/|\.\.|a)+", fullmatch=True))
def test_a_safe_name_never_leaves_the_root(name: str) -> None:
    root = Path("/somewhere/root")
    try:
        parts = safe_parts(name)
    except Unproven:
        return
    assert Path(os.path.normpath(root.joinpath(*parts))).is_relative_to(root)


@settings(max_examples=300, deadline=None)
@given(
    tar_format=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT]),
    damage=st.lists(st.tuples(st.integers(0, 10_239), st.integers(0, 255)), min_size=1, max_size=5),
)
def test_a_damaged_archive_is_refused_or_harmless(tar_format: int, damage: list[tuple[int, int]]) -> None:
    builds = [
        member("code/inference.py", content=b"x" * 600),
        member("n" * 90 + "/" + "m" * 90, content=b"y"),
        member("code/l", tarfile.SYMTYPE, linkname="inference.py"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        source = tar_of(Path(folder, "p.tar"), *builds, form="w", tar_format=tar_format)
        raw = bytearray(source.read_bytes())
        for place, byte in damage:
            raw[place] = byte
        source.write_bytes(raw)
        with contextlib.suppress(Unproven):  # any other error fails this test
            opened(source)
        assert {path.name for path in Path(folder).iterdir()} == {"p.tar", "root"}
