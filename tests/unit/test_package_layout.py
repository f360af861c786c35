"""How a package that names no layout is known for what it is."""

from pathlib import Path

import pytest

from seatrial.package.layout import detect_layout


@pytest.mark.parametrize(
    ("code", "layout"),
    [
        ('import runpod\nrunpod.serverless.start({"handler": print})\n', "runpod"),
        ('import runpod\nif __name__ == "__main__": runpod.serverless.start({"handler": print})\n', "runpod"),
        ('import runpod as rp\nrp.serverless.start({"handler": print})\n', "runpod"),
        ('from runpod.serverless import start\nstart({"handler": print})\n', "runpod"),
        ("# runpod.serverless.start(…) is for another day\n", "sagemaker"),
        ("import runpod\n", "sagemaker"),
    ],
)
def test_a_file_that_starts_a_runpod_worker(tmp_path: Path, code: str, layout: str) -> None:
    (tmp_path / "handler.py").write_text(code)
    assert detect_layout(tmp_path, None, ()) == layout
