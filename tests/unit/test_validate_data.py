"""Checks of arrays, JSON, sound and film; profiles; which files are looked at; JUnit."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from benchmarks.outputs import media
from numpy.typing import NDArray

from seatrial.prove.finding import Finding
from seatrial.prove.junit import junit_xml
from seatrial.prove.validate import (
    DEFAULT,
    STUDIO,
    BadProfile,
    Kind,
    Outcome,
    Profile,
    Verdict,
    checks_of,
    load_schema,
    profile_of,
    validate_bytes,
)
from seatrial.prove.validate.walk import find_outputs

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "validate.md"


def broken(verdict: Verdict) -> list[str]:
    """Checks that raised something, instead of finding something."""
    return [f"{one.id}: {one.message}" for one in verdict.findings if "broke" in one.measured]


def failed(verdict: Verdict) -> list[str]:
    return [one.id for one in verdict.findings if one.outcome is Outcome.FAILED]


def npy(array: NDArray[Any], allow_pickle: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=allow_pickle)
    return file.getvalue()


# --- arrays ---------------------------------------------------------------------------------------

VECTORS = np.random.default_rng(0).normal(size=(7, 64)).astype(np.float32)
UNIT = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
EMBEDDING = replace(
    DEFAULT, array=replace(DEFAULT.array, dtypes=("float32",), shape=(-1, 64), norm_min=0.99, norm_max=1.01)
)


def test_embeddings_are_held_against_their_profile() -> None:
    assert validate_bytes(npy(UNIT), "e.npy", EMBEDDING).is_valid
    assert failed(validate_bytes(npy(UNIT.astype(np.float64)), "e.npy", EMBEDDING)) == ["array.dtype"]
    assert failed(validate_bytes(npy(UNIT[0]), "e.npy", EMBEDDING)) == ["array.shape"]
    assert failed(validate_bytes(npy(UNIT * 3), "e.npy", EMBEDDING)) == ["array.norm"]
    assert failed(validate_bytes(npy(UNIT * 0), "e.npy", EMBEDDING)) == ["array.constant", "array.norm"]
    assert failed(validate_bytes(npy(UNIT[:0]), "e.npy", EMBEDDING))[0] == "array.shape"


def test_values_that_are_not_finite_are_counted() -> None:
    vectors = UNIT.copy()
    vectors[2, 3:5] = np.nan, np.inf
    verdict = validate_bytes(npy(vectors), "e.npy", EMBEDDING)
    assert verdict.reason == "Array 'e.npy' has 2 of 448 values that are NaN or infinite"


def test_norms_are_right_whatever_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    from seatrial.prove.validate.array import figures

    monkeypatch.setattr(figures, "ARRAY_CHUNK_BYTES", 100)
    assert validate_bytes(npy(UNIT), "e.npy", EMBEDDING).is_valid
    assert validate_bytes(npy(np.asfortranarray(UNIT[:1])), "e.npy", EMBEDDING).is_valid


def test_objects_are_never_unpickled() -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("it was unpickled",))

    data = npy(np.array([Trap(), 1], dtype=object), allow_pickle=True)
    assert "unpickling, which runs code" in validate_bytes(data, "a.npy").reason


def test_archives_are_read_to_the_end() -> None:
    file = io.BytesIO()
    np.savez_compressed(file, embeddings=UNIT, names=np.array(["a", "b"]))
    data = file.getvalue()
    wanted = replace(EMBEDDING, array=replace(EMBEDDING.array, members=("embeddings",)))
    assert validate_bytes(data, "e.npz", wanted).is_valid
    assert not validate_bytes(data[:-30], "e.npz", wanted).is_valid
    changed = data[:200] + bytes(byte ^ 255 for byte in data[200:216]) + data[216:]
    assert failed(validate_bytes(changed, "e.npz", wanted)) == ["array.parses"]
    lacking = replace(wanted, array=replace(wanted.array, members=("index",)))
    assert "lacks the array 'index'" in validate_bytes(data, "e.npz", lacking).reason


def test_an_archive_that_unpacks_to_too_much_is_refused_by_its_directory() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.npy", npy(np.zeros(1_000_000)))
    small = replace(DEFAULT, array=replace(DEFAULT.array, bytes_max=1_000_000))
    assert "too large unpacked" in validate_bytes(file.getvalue(), "z.npz", small).reason


def test_a_header_that_says_too_much_is_refused() -> None:
    data = npy(np.zeros((4, 4), np.float32)).replace(b"(4, 4), }    ", b"(40000, 9999)}")
    assert "needs 1,599,840,000 bytes, " in validate_bytes(data, "a.npy").reason


def test_changed_arrays_give_findings_and_never_an_error() -> None:
    random = np.random.default_rng(4)
    file = io.BytesIO()
    np.savez(file, a=UNIT, b=np.arange(5))
    for data, name in ((npy(UNIT), "a.npy"), (file.getvalue(), "a.npz")):
        for _ in range(200):
            changed = bytearray(data)
            for at in random.integers(0, min(300, len(data)), 3):
                changed[at] = int(random.integers(0, 256))
            assert not broken(validate_bytes(bytes(changed), name))


# --- JSON -----------------------------------------------------------------------------------------

SCHEMA = {"type": "object", "required": ["rooms"], "properties": {"rooms": {"type": "array", "minItems": 1}}}
WITH_SCHEMA = replace(DEFAULT, json=replace(DEFAULT.json, schema=SCHEMA))


@pytest.mark.parametrize(
    ("text", "name", "wrong"),
    [
        ('{"rooms": [1]}', "a.json", []),
        ('\ufeff{"rooms": [1]}', "a.json", []),
        ('{"rooms": [1]}\n\n{"rooms": [2]}', "a.jsonl", []),
        ('{"rooms": []}', "a.json", ["json.schema"]),
        ('{"rooms": [NaN]}', "a.json", ["json.finite"]),
        ('{"rooms": [1e999]}', "a.json", ["json.finite"]),
        ('{"rooms": [1]', "a.json", ["json.parses"]),
        ('{"rooms": [1]}{', "a.json", ["json.parses"]),
        ('{"rooms": [1]}\n{"rooms', "a.jsonl", ["json.parses"]),
        ("[" * 100_000, "a.json", ["json.parses"]),
        ("[" * 150 + "]" * 150, "a.json", ["json.parses"]),
        ("9" * 10_000, "a.json", ["json.parses"]),
    ],
)
def test_json(text: str, name: str, wrong: list[str]) -> None:
    assert failed(validate_bytes(text.encode(), name, WITH_SCHEMA)) == wrong


def test_a_schema_never_reaches_out_of_itself() -> None:
    reaching = replace(DEFAULT, json=replace(DEFAULT.json, schema={"$ref": "http://127.0.0.1:1/schema.json"}))
    reason = validate_bytes(b"{}", "a.json", reaching).reason
    assert reason == "The schema refers to 'http://127.0.0.1:1/schema.json', which is not in it"


def test_the_line_and_the_path_are_named() -> None:
    assert validate_bytes(b'{"a": 1}\n{"a": }\n', "a.jsonl").reason.startswith("JSON does not parse: line 2: ")
    nested = b'{"rooms": [{"area": NaN}]}'
    assert validate_bytes(nested, "a.json").reason == "JSON holds a number that is not finite, at /rooms/0/area"


# --- sound and film -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded() -> Callable[[str], bytes]:
    random, made = np.random.default_rng(6), dict[str, bytes]()

    def record(name: str) -> bytes:
        if name not in made:
            made[name] = (media.sound if name in media.SOUNDS else media.film)(random, name)
        return made[name]

    return record


@pytest.mark.parametrize("name", [*media.SOUNDS, *media.FILMS])
def test_recordings_are_valid_whole_and_damaged_when_cut(recorded: Callable[[str], bytes], name: str) -> None:
    data = recorded(name)
    verdict = validate_bytes(data, name)
    assert verdict.is_valid, verdict.reason
    for share in (0.0005, 0.1, 0.5, 0.9, 0.999):
        assert not validate_bytes(data[: int(len(data) * share)], name).is_valid, share


@pytest.mark.parametrize("name", [*media.SOUNDS, *media.FILMS])
def test_changed_recordings_give_findings_and_never_an_error(recorded: Callable[[str], bytes], name: str) -> None:
    random, data = np.random.default_rng(8), recorded(name)[:20_000]
    for _ in range(60):
        changed = bytearray(data)
        for at in random.integers(0, min(len(data), 1000), 4):
            changed[at] = int(random.integers(0, 256))
        assert not broken(validate_bytes(bytes(changed), name))


def test_what_is_expected_of_a_recording(recorded: Callable[[str], bytes]) -> None:
    audio = replace(DEFAULT.audio, sample_rate=16_000, seconds_min=60)
    wanted = replace(DEFAULT, audio=audio, video=replace(DEFAULT.video, width=1920, height=1080))
    assert failed(validate_bytes(recorded("sound.wav"), "a.wav", wanted)) == ["audio.format", "audio.duration"]
    assert failed(validate_bytes(recorded("film.mp4"), "a.mp4", wanted)) == ["video.dimensions"]


# --- profiles -------------------------------------------------------------------------------------


def test_a_profile_extends_another(tmp_path: Path) -> None:
    (tmp_path / "answer.json").write_text(json.dumps(SCHEMA))
    file = tmp_path / "mine.toml"
    file.write_text('extends = "studio"\n[image]\nwidth = 512\nformats = ["webp"]\n[json]\nschema = "answer.json"\n')
    profile = profile_of(str(file))
    assert profile.name == "mine"
    assert (profile.image.width, profile.image.height, profile.image.formats) == (512, 1024, ("webp",))
    assert profile.image.variance_min == STUDIO.image.variance_min
    assert profile.json.schema == SCHEMA
    assert profile_of("studio") is STUDIO


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[image]\nwidht = 3", "image.widht: unknown; valid: bytes_min, "),
        ("[picture]\nwidth = 3", "picture: unknown; valid: extends, array"),
        ("image = 3", "image: Input should be a dictionary"),
        ("[image]\nwidth = 'wide'", "image.width: Input should be a valid integer"),
        ("[image]\nblank_share_max = 50", "image.blank_share_max: a share is between 0 and 1, such as 0.5"),
        ("[image]\nwidth = -1", "image.width: must not be negative"),
        ("[image]\npixels_max = 999000000", "image.pixels_max: at most 178,000,000"),
        ("extends = 'none'", "extends: there is no profile 'none'; valid: default, studio"),
        ("[image", "is no TOML"),
        ("[json]\nschema = 'none.json'", "none.json cannot be read"),
    ],
)
def test_a_bad_profile_is_told_by_its_key(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(BadProfile) as caught:
        profile_of(str(file))
    assert told in str(caught.value)


def test_a_name_that_is_no_profile_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadProfile, match="valid: default, studio, or a TOML file"):
        profile_of("stduio")
    (tmp_path / "s.json").write_text('{"type": "nothing"}')
    with pytest.raises(BadProfile, match="no valid JSON Schema"):
        load_schema(tmp_path / "s.json")


# --- the rest -------------------------------------------------------------------------------------


def test_importing_the_validator_needs_nothing_heavy() -> None:
    code = (
        "import sys, seatrial.prove.validate as v; v.validate_bytes(b'{}', 'a.json');"
        "print(sorted({'numpy', 'PIL', 'trimesh', 'simplejpeg'} & set(sys.modules)),"
        "[m for m in sys.modules if m.startswith('seatrial.') and not m.startswith('seatrial.prove')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] []\n"


def test_folders_are_searched_for_what_is_known(tmp_path: Path) -> None:
    for name in ("b.png", "a.json", "notes.txt", "log", "sub/c.glb", ".hidden/d.png", ".e.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = find_outputs([tmp_path, tmp_path / "none.png"])
    assert [path.name for path in found.files] == ["a.json", "b.png", "c.glb", "none.png"]
    assert [path.name for path in found.skipped] == ["log", "notes.txt"]


def test_junit_counts_and_escapes() -> None:
    findings = [
        Finding("a.one", Outcome.OK, "fine"),
        Finding("a.two", Outcome.FAILED, "it is <bad> \x00", "mend it"),
        Finding("a.three", Outcome.NOT_APPLICABLE, "no"),
    ]
    root = ElementTree.fromstring(junit_xml("all", [("x.png", findings)]))
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("3", "1", "1")
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.get("message") == "it is <bad> \ufffd"
    assert "remedy: mend it" in str(failure.text)


def test_every_check_is_documented_and_every_id_is_its_own() -> None:
    ids = [check.id for kind in Kind for check in checks_of(kind)]
    own = set(ids)
    assert len(own) == len(ids) - 2 * (len(Kind) - 1)  # file.exists and file.size belong to all
    reference = REFERENCE.read_text()
    assert [one for one in own if f"| `{one}` |" not in reference] == []


def test_every_setting_is_documented() -> None:
    from dataclasses import fields

    reference = REFERENCE.read_text()
    for section in fields(Profile):
        if section.name != "name":
            for one in fields(getattr(DEFAULT, section.name)):
                assert f"`{one.name}`" in reference, f"{section.name}.{one.name}"
