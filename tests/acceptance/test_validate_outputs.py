"""A folder of past outputs: a stress run left ten pictures, three of which are not whole.

1. `seatrial validate outputs/ --profile studio` names the three, each with its reason, and ends with 1.
2. CI reads the same from JUnit XML, a program from JSON.
3. With the three made anew, it ends with 0.
"""

import json
import os
import pty
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from tests import forks


def seatrial(*arguments: object) -> subprocess.CompletedProcess[str]:
    return forks.run(*arguments)


def picture() -> np.ndarray:
    random = np.random.default_rng(3)
    rows, columns = np.mgrid[0:1024, 0:1024]
    levels = 120 + 70 * np.sin(rows / 80) * np.cos(columns / 60)
    return np.clip(levels[..., None] + random.normal(0, 5, (1024, 1024, 3)), 0, 255).astype(np.uint8)


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs"
    folder.mkdir()
    whole = picture()
    for number in range(10):
        pixels = whole.copy()
        if number == 3:
            pixels[1024 - 262 :] = 0
        if number == 7:
            pixels[:, :537] = 0
        Image.fromarray(pixels).save(folder / f"job_{number:03}.png", compress_level=1)
    cut = (folder / "job_009.png").read_bytes()[:89_432]
    (folder / "job_009.png").write_bytes(cut)
    (folder / "notes.txt").write_text("ten jobs\n")
    return folder


def test_the_three_that_are_not_whole_are_named(outputs: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    done = seatrial("validate", outputs, "--profile", "studio", "--junit", report)
    assert done.returncode == 1, done.stderr
    told = done.stdout
    assert f"{outputs}/job_003.png: failed: Partial render detected: 85.3% of bottom rows are blank" in told
    assert f"{outputs}/job_007.png: failed: Image has 52.4% blank/black pixels (threshold: 50.0%)" in told
    assert f"{outputs}/job_009.png: failed: File too small (89432 bytes, expected >100000)" in told
    assert "  remedy: " in told
    assert told.endswith("10 looked at: 7 valid, 3 invalid, 0 with warnings; 1 of no known kind were left out\n")

    suites = ElementTree.parse(report).getroot()
    failing = [suite.get("name") for suite in suites if suite.get("failures") != "0"]
    assert failing == [str(outputs / f"job_00{number}.png") for number in (3, 7, 9)]

    three = [outputs / f"job_00{number}.png" for number in (0, 7, 9)]
    document = json.loads(seatrial("validate", *three, "--profile", "studio", "--json").stdout)
    assert (document["files"], document["valid"], document["invalid"]) == (3, 1, 2)
    assert document["results"][2]["reason"] == "File too small (89432 bytes, expected >100000)"

    for number in (3, 7, 9):
        Image.fromarray(picture()).save(outputs / f"job_00{number}.png", compress_level=1)
    again = seatrial("validate", *three, "--profile", "studio")
    assert again.returncode == 0
    assert again.stdout == "3 looked at: 3 valid, 0 invalid, 0 with warnings\n"


def test_one_file_shows_every_check(outputs: Path) -> None:
    done = seatrial("validate", outputs / "job_003.png")
    assert done.returncode == 1
    assert "image.edge_band" in done.stdout
    assert "image.blank_share" in done.stdout


def test_what_cannot_be_understood_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine.toml").write_text("[image]\nwidht = 512\n")
    cases = [
        ([tmp_path / "empty"], "there is nothing to look at in"),
        ([tmp_path, "--profile", "stduio"], "there is no profile 'stduio'; valid: default, studio, or a TOML file"),
        ([tmp_path, "--profile", tmp_path / "mine.toml"], "image.widht: unknown; valid: "),
        ([tmp_path / "a.json", "--schema", tmp_path / "none.json"], "none.json cannot be read"),
    ]
    for arguments, told in cases:
        done = seatrial("validate", *arguments)
        assert done.returncode == 2, arguments
        assert told in done.stderr
        assert done.stderr.startswith("seatrial: ")
    assert seatrial("validate", tmp_path / "none.png").returncode == 1


def test_a_terminal_sees_a_bar(outputs: Path) -> None:
    leader, follower = pty.openpty()
    with forks.start("validate", outputs, stdout=subprocess.DEVNULL, stderr=follower) as process:
        os.close(follower)
        seen = b""
        while True:
            try:
                piece = os.read(leader, 4096)
            except OSError:
                break
            if not piece:
                break
            seen += piece
    os.close(leader)
    assert process.returncode == 1
    assert b"looking" in seen
    assert b"10/10" in seen or b"9/10" in seen
