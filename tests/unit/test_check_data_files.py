"""Files that the code reads from a place beside itself."""

from pathlib import Path

import pytest

from seatrial.package.examine import examine
from seatrial.package.target import Target

HANDLER = """
import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
{code}


def model_fn(model_dir):
    return None


def predict_fn(data, model):
    return data
"""


def found(folder: Path, code: str) -> list[str]:
    (folder / "code").mkdir(exist_ok=True)
    (folder / "code" / "inference.py").write_text(HANDLER.format(code=code))
    report = examine(folder, lambda manifest: Target())
    return [one.message for one in report.findings if one.id == "data_files"]


@pytest.mark.parametrize(
    "code",
    [
        "NAMES = json.loads((HERE.parent / 'config' / 'names.json').read_text())",
        "PLACE = HERE.parent / 'config/names.json'\nNAMES = json.load(open(PLACE))",
        "def names():\n    with (HERE.parent / 'config' / 'names.json').open('rb') as file:\n        return file",
        "import os\nNAMES = open(os.path.join(os.path.dirname(__file__), '..', 'config', 'names.json'), mode='r')",
    ],
)
def test_what_is_read_and_missing_is_told(tmp_path: Path, code: str) -> None:
    (message,) = found(tmp_path, code)
    assert "reads config/names.json, which the package does not hold." in message
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "names.json").write_text("[]")
    assert found(tmp_path, code) == []


@pytest.mark.parametrize(
    "code",
    [
        "if (HERE / 'names.json').exists():\n    NAMES = (HERE / 'names.json').read_text()",
        "try:\n    NAMES = (HERE / 'names.json').read_text()\nexcept OSError:\n    NAMES = ''",
        "open(HERE / 'made.txt', 'w').write('')\nMADE = open(HERE / 'made.txt').read()",
        "def load(folder):\n    return open(Path(folder) / 'names.json')",
        "NAMES = 'names.json'\ndef load():\n    return open(NAMES)",
    ],
)
def test_what_is_tried_tested_made_or_not_known_is_left_alone(tmp_path: Path, code: str) -> None:
    assert found(tmp_path, code) == []
