"""Documentation that fails the build: README's blocks run, and what it links to is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    REPOSITORY / "README.md",
    *sorted((REPOSITORY / "docs").rglob("*.md")),
    *sorted((REPOSITORY / "apps").glob("*/*.md")),
]
BLOCK = re.compile(r"<!-- test: server -->\n```(sh|python)\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_link_leads_somewhere(document):
    targets = re.findall(r"\]\(([^)\s]+)[^)]*\)", document.read_text())
    assert [one for one in targets if "://" not in one and not leads_somewhere(document, one)] == []


def leads_somewhere(document, target):
    name, _, anchor = target.partition("#")
    path = document.parent / name if name else document
    return path.exists() and (not anchor or path.suffix != ".md" or anchor in anchors(path))


def anchors(path):
    """Of its headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = [re.sub(r"[^\w\- ]", "", one.lower()) for one in re.findall(r"^#+ (.*)$", text, re.MULTILINE)]
    return {one.strip().replace(" ", "-") for one in headings}


def test_the_blocks_of_the_readme_run(server, tmp_path):
    blocks = BLOCK.findall((REPOSITORY / "README.md").read_text())
    assert len(blocks) >= 3
    (tmp_path / "tests").symlink_to(REPOSITORY / "tests")
    (tmp_path / "seatrial-data").symlink_to(server.data)
    environment = {**server.environment, "PATH": f"{Path(sys.executable).parent}:{server.environment['PATH']}"}
    for language, code in blocks:
        command = ["bash", "-euc", code] if language == "sh" else [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"


def test_the_first_screen_has_the_two_commands():
    screen = "\n".join((REPOSITORY / "README.md").read_text().splitlines()[:24])
    assert "make demo" in screen
    assert "make test" in screen
    assert "seatrial init" in screen
