"""A check reads what strangers made: nothing in a package makes it crash, hang, or take all memory."""

import io
import itertools
import pickle
import tarfile
import zipfile
from pathlib import Path

import pytest

from seatrial.domain.errors import Unproven
from seatrial.domain.limits import CLOSURE_MODULES_MAX, CONTRACT_BYTES_MAX
from seatrial.package import sketch as sketch_module
from seatrial.package import stored as stored_module
from seatrial.package.carried import Carried
from seatrial.package.checks.imports import Declared, check_imports
from seatrial.package.checks.weights import pickles as pickles_module
from seatrial.package.closure.conditions import Conditions
from seatrial.package.closure.walk import Start, follow
from seatrial.package.contents import judge, sketch_package
from seatrial.package.examine import Chosen, Report, examine, mend
from seatrial.package.stored import NotHeld, Passing, StoredFile
from seatrial.package.target import Target
from seatrial.testing.corpus.case import tar_of
from seatrial.testing.corpus.parts import FUNCTIONS, SAMPLE, harmful_pickle, npy, npz, safetensors


def packaged(root: Path, code: str, **files: str) -> Path:
    for name, text in {"code/inference.py": code + FUNCTIONS, "samples/a.json": SAMPLE, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def examined(root: Path, target: Target | None = None) -> Report:
    return examine(root, lambda manifest: target or Target())


def ids(report: Report) -> list[tuple[str, str]]:
    return [(one.id, one.level) for one in report.findings]


@pytest.mark.parametrize(
    "code",
    [
        "".join(f"{'el' if i else ''}if x == {i}:\n    import json\n" for i in range(2_000)),
        "X = " + " + ".join(["'a'"] * 5_000) + "\n",
        "X = " + "(" * 150 + "1" + ")" * 150 + "\n",
        "import sys\nsys.path.insert(0, " + "f(" * 80 + "1" + ")" * 80 + ")\n",
        "import sys\n" + "sys.path.append('/opt/ml/model/x')\n" * 5_000,
    ],
)
def test_code_that_is_nested_or_long_beyond_reason(tmp_path: Path, code: str) -> None:
    examined(packaged(tmp_path, code))


def test_a_chain_of_a_thousand_imports_ends(tmp_path: Path) -> None:
    files = {f"code/m{i}.py": f"import m{i + 1}\n" for i in range(1_000)}
    report = examined(packaged(tmp_path, "import m0\n", **files))
    assert report.verdict == "passed"


def test_what_a_stream_does_not_hold_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_module, "CHECKED_WINDOW_BYTES", 1_000)
    monkeypatch.setattr(stored_module, "STREAM_CHUNK_BYTES", 500)
    whole = bytes(range(256)) * 40
    file = Passing(whole[:100], io.BytesIO(whole[100:]), len(whole))
    assert file.read(50) == whole[:50]
    file.seek(-50, io.SEEK_END)
    assert file.read() == whole[-50:]
    file.seek(900)
    assert file.read(100) == whole[900:1_000]
    file.seek(5_000)
    with pytest.raises(NotHeld):
        file.read(1)


@pytest.mark.parametrize("cut", [0, 40])
def test_big_weights_are_judged_by_their_two_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int) -> None:
    monkeypatch.setattr(stored_module, "CHECKED_WINDOW_BYTES", 100_000)
    monkeypatch.setattr(sketch_module, "CHECKED_WHOLE_BYTES_MAX", 1_000)
    monkeypatch.setattr(stored_module, "STREAM_CHUNK_BYTES", 500)
    arrays = npz(**{f"a{i}": npy((5_000,)) for i in range(40)})
    members = [("code/inference.py", FUNCTIONS.encode(), {}), ("e.npz", arrays[: len(arrays) - cut], {})]
    (tmp_path / "p.tar.gz").write_bytes(tar_of(*members))
    (tmp_path / "root").mkdir()
    found = sketch_package(tmp_path / "p.tar.gz", tmp_path / "root").findings
    assert [one.id for one in found] == (["npz"] if cut else [])


def test_weights_are_not_unpacked(tmp_path: Path) -> None:
    content = safetensors(3_000_000)
    members = [("code/inference.py", FUNCTIONS.encode(), {}), ("model.safetensors", content, {})]
    for form in ("w", "w:gz"):
        (tmp_path / "p.tar").write_bytes(tar_of(*members, form=form))
        root = tmp_path / form.replace(":", "")
        root.mkdir()
        sketch = sketch_package(tmp_path / "p.tar", root)
        state = (root / "model.safetensors").stat()
        assert (sketch.findings, state.st_size) == ([], len(content))
        assert state.st_blocks * 512 < 64 * 1024


def test_pickles_made_to_deceive(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(content: bytes) -> list[tuple[str, str]]:
        return [(one.id, one.level) for one in judge(StoredFile("m.pkl", len(content), io.BytesIO(content)))]

    dangerous = [("pickles", "warning")]
    assert found(b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R.") == dangerous
    assert found(pickle.dumps([1]) + harmful_pickle()) == dangerous  # behind a harmless one
    assert found(harmful_pickle()[:-1] + b"this never ends")[0] == dangerous[0]
    computed = b"\x80\x04\x8c\x02os\x940\x8c\x05posix\x94(\x8c\x01x\x8c\x06systeml0h\x01h\x00\x93."
    assert found(computed) in (dangerous, [*dangerous, ("pickles", "error")], [("pickles", "error")])
    assert found(b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f" + b"short") == [("pickles", "error")]  # claims 2**63 bytes
    monkeypatch.setattr(pickles_module, "PICKLE_OPCODES_MAX", 50)
    assert found(pickle.dumps(list(range(500)))) == dangerous  # too long to be judged whole


@pytest.mark.parametrize("cut", ["", "pickle", "checksum"])
def test_the_pickle_inside_of_a_whole_torch_file_is_whole(cut: str) -> None:
    data = pickle.dumps({"weights": list(range(100))}, protocol=2)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model/data.pkl", data[:-20] if cut == "pickle" else data)
        archive.writestr("model/data/0", bytes(4_000))
    content = bytearray(file.getvalue())
    content[100] ^= 0xFF if cut == "checksum" else 0
    found = judge(StoredFile("model.pt", len(content), io.BytesIO(bytes(content))))
    assert [(one.id, one.level) for one in found] == ([("pickles", "error")] if cut else [])


def test_a_member_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    plain = bytearray(tar_of(("code/inference.py", FUNCTIONS.encode(), {}), ("a.bin", bytes(100), {}), form="w"))
    (tmp_path / "p.tar").write_bytes(plain[: len(plain) // 2])
    report = examined(tmp_path / "p.tar")
    assert ids(report)[0] == ("archive", "error") or report.verdict == "passed"
    with tarfile.open(tmp_path / "q.tar", "w") as tar:
        info = tarfile.TarInfo("a.bin")
        info.size = 10**6
        tar.fileobj.write(info.tobuf())
    (tmp_path / "root").mkdir()
    with pytest.raises(Unproven):
        sketch_package(tmp_path / "q.tar", tmp_path / "root")


def test_what_this_machine_cannot_tell_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    toml = "[worker]\ndevice = 'cuda'\n"
    without_gpu = Target(has_gpu=False)
    report = examined(packaged(tmp_path, "", **{"seatrial.toml": toml}), without_gpu)
    assert (report.verdict, ids(report)) == ("unprovable", [("device", "unprovable")])
    unknown = Target(python=(3, 99), modules=None, missing_python="Python 3.99 is not installed.")
    newer = examined(packaged(tmp_path, "import numpy, local\n", **{"code/local.py": "syntax of tomorrow\n"}), unknown)
    assert {("interpreter", "unprovable"), ("syntax", "unprovable"), ("imports", "warning")} <= set(ids(newer))


def test_the_resolver_is_believed(tmp_path: Path) -> None:
    from seatrial.package.target import Resolution

    root = packaged(tmp_path, "import numpy, gone\n", **{"code/requirements.txt": "scikit-learn==1.5\n"})
    offline = examined(root)
    assert ("imports", "warning") in ids(offline)  # numpy may come along
    resolved = Target(resolution=Resolution(frozenset({"scikit-learn", "numpy", "scipy"})))
    errors = [one.message for one in examined(root, resolved).findings]
    assert len(errors) == 1
    assert "imports 'gone'" in errors[0]
    conflict = Target(resolution=Resolution(conflict="scikit-learn 1.5 needs numpy<2, and you require numpy==2.1"))
    assert ("resolution", "error") in ids(examined(root, conflict))


def test_data_follows_the_module_that_reads_it(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    reads = "from pathlib import Path\nHERE = Path(__file__).parent\nTEXT = (HERE / 'data' / 'words.txt').read_text()\n"
    up = "import os\nROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))\n"
    up += "CONFIG = os.path.join(ROOT, 'config', 'a.yaml')\n"
    files = {"lib/words/__init__.py": reads, "lib/words/data/words.txt": "w", "lib/words/id_rsa": "key"}
    files |= {"lib/up.py": up, "config/a.yaml": "a: 1", "config/b.yaml": "b: 2"}
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    package = packaged(tmp_path / "package", "import words, up\n")
    mended = mend(package, lambda manifest: Target(), Chosen(), tree, [])
    assert mended.before.verdict == "failed"
    assert mended.repair is not None
    assert set(mended.repair.files) == {
        "code/words/__init__.py", "code/words/data/words.txt", "code/up.py", "config/a.yaml",
    }  # fmt: skip
    assert mended.repair.left_out == ["lib/words/id_rsa"]
    assert mended.after.verdict == "passed"


@pytest.mark.parametrize(
    ("modules", "hours", "bound"),
    [(CLOSURE_MODULES_MAX + 10, 0, "2,000 modules"), (9, 1, "10 seconds")],
)
def test_a_huge_package_is_followed_up_to_a_bound_and_says_so(
    tmp_path: Path, modules: int, hours: int, bound: str
) -> None:
    names = [f"m{number}" for number in range(modules)]
    for name in names:
        (tmp_path / f"{name}.py").write_text("")
    (tmp_path / "main.py").write_text("".join(f"import {name}\n" for name in names))
    ticks = itertools.count(step=hours * 3_600)
    closure = follow(
        tmp_path,
        Start(tmp_path / "main.py", "main"),
        [tmp_path],
        lambda module: False,
        Conditions((3, 11), lambda module: False),
        {},
        lambda: float(next(ticks)),
    )
    assert closure.unfollowed[0].bound == bound
    nothing = Declared(frozenset(), False, "requirements.txt")
    told = list(check_imports(closure, nothing, Target((3, 11)), tmp_path, Carried()))
    assert [one.level for one in told] == ["warning"]
    assert f"{bound} are looked into at most" in told[0].message
    assert told[0].file == "main.py"


def test_a_module_of_many_bytes_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import table\n")
    (tmp_path / "table.py").write_text("X = 1\n" + "#" * CONTRACT_BYTES_MAX)
    conditions = Conditions((3, 11), lambda module: False)
    closure = follow(tmp_path, Start(tmp_path / "main.py", "main"), [tmp_path], lambda module: False, conditions, {})
    assert not closure.unparsable
    assert [one.module for one in closure.unfollowed] == ["table"]
