"""What a package carries along is left alone; a module that stands in the way of others is told of."""

from __future__ import annotations

from pathlib import Path

from seatrial.package.examine import Chosen, examine
from seatrial.package.manifest import Manifest
from seatrial.package.target import Target

SAGEMAKER = "def model_fn(model_dir):\n    return 1\n\n\ndef predict_fn(data, model):\n    return data\n"
LAMBDA = "import rope\n\n\ndef handler(event, context):\n    return rope.HAUL\n"
ROPE = """\
try:
    from speedups import HAUL
except Exception:
    HAUL = FakeHaul()
PLACE = "/opt/ml/model/rope.bin"


def old():
    import speedups_of_old
"""
INSTALLED = {
    "rope.py": ROPE,
    "rope-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: rope\nVersion: 1.0\n",
    "rope-1.0.dist-info/RECORD": "rope.py,,\nrope-1.0.dist-info/METADATA,,\nrope-1.0.dist-info/RECORD,,\n",
}


def said(folder: Path, files: dict[str, str], chosen: Chosen, target: Target | None = None) -> list[tuple[str, str]]:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    def survey(manifest: Manifest) -> Target:
        return target or Target()

    report = examine(folder, survey, chosen)
    return [(one.id, one.file or "") for one in report.findings if one.id not in ("samples", "pins")]


def test_a_library_that_pip_installed_beside_the_code_is_no_part_of_it(tmp_path: Path) -> None:
    files = {"app.py": LAMBDA, "requirements.txt": "rope==1.0\n"}
    chosen = Chosen("aws_lambda", "app.handler")
    assert said(tmp_path, files | INSTALLED, chosen) == []
    for name in INSTALLED:
        (tmp_path / name).unlink()
    told = said(tmp_path, files | {"rope.py": ROPE}, chosen)
    assert {name for name, _ in told} >= {"shadowing", "stand_ins", "imports"}


def test_a_module_named_after_one_of_the_base_or_of_the_sdk_is_told_of(tmp_path: Path) -> None:
    files = {"code/inference.py": SAGEMAKER, "code/numpy/__init__.py": "", "code/sagemaker/__init__.py": ""}
    files |= {"code/lib/scipy/__init__.py": "", "code/mine.py": ""}
    target = Target(modules=frozenset({"numpy", "scipy"}))
    told = said(tmp_path, files, Chosen("sagemaker", None), target)
    assert told == [("shadowing", "code/numpy"), ("shadowing", "code/sagemaker")]


def test_what_cog_and_its_build_bring_is_there(tmp_path: Path) -> None:
    predictor = "import cv2\nfrom cog import BasePredictor\nimport {0}\n\n\nclass Predictor(BasePredictor):\n"
    predictor += "    def predict(self, text: str) -> str:\n        return text\n"
    build = "build:\n  python_requirements: deps/all.txt\n  python_packages:\n    - {0}==1.26.4\n"
    files = {"cog.yaml": build.format("numpy"), "predict.py": predictor.format("numpy")}
    files |= {"deps/all.txt": "opencv-python-headless==4.10.0.84\n"}
    assert said(tmp_path, files, Chosen()) == []
    assert said(tmp_path, {"cog.yaml": build.format("scipy")}, Chosen()) == [("imports", "predict.py")]
