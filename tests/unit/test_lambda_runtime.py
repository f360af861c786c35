"""boto3 comes with the layout, as in AWS's own Python runtimes, unless the package has its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.package.lambda_runtime import SDK, runtime_packages


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text("import json\n\n\ndef handler(event, context):\n    from botocore import config\n")
    return tmp_path


def test_what_the_code_imports_is_brought(root: Path) -> None:
    assert runtime_packages(root, (), None) == (SDK,)


@pytest.mark.parametrize("text", ["boto3==1.40.1\n", "botocore\n", "./wheels/own.whl\n"])
def test_a_requirement_of_its_own_goes_before(root: Path, text: str) -> None:
    (root / "requirements.txt").write_text(text)
    assert runtime_packages(root, (), root / "requirements.txt") == ()


@pytest.mark.parametrize("folder", ["boto3", "layers/tools/python/boto3"])
def test_a_copy_in_the_package_or_a_layer_goes_before(root: Path, folder: str) -> None:
    (root / folder).mkdir(parents=True)
    (root / folder / "__init__.py").touch()
    assert runtime_packages(root, ("layers/tools",), None) == ()


def test_code_without_it_needs_no_environment(root: Path) -> None:
    (root / "app.py").write_text("def handler(event, context):\n    return 'import boto3'\n")
    assert runtime_packages(root, (), None) == ()
