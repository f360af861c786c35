"""`cog.yaml`, as far as a package is served by it. Its format is that of replicate/cog `docs/yaml.md`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from seatrial.domain.limits import CONTRACT_BYTES_MAX

COG_FILE = "cog.yaml"
DEFAULT_PYTHON_FILES = ("predict.py", "run.py")
DEFAULT_NAMES = ("Runner", "Predictor")  # in the order in which Cog looks for them
SDK = "cog==0.23.1"  # installed where the package asks for no other


@dataclass(frozen=True, slots=True)
class CogFile:
    """What the file says. `predict` and `train` are as written, such as `predict.py:Predictor`."""

    predict: str | None = None
    train: str | None = None
    python: object = None
    requirements: object = None
    packages: tuple[str, ...] = ()
    system_packages: tuple[str, ...] = ()
    commands: int = 0  # that a build of an image would run
    gpu: bool = False
    sdk_version: str | None = None
    environment: tuple[str, ...] = ()  # NAME=value each
    concurrency: object = None


def read_cog(root: Path) -> Mapping[str, Any]:
    """`cog.yaml` as it is; empty if it is missing or no mapping (a check of its own says so)."""
    path = root / COG_FILE
    try:
        if not path.is_file() or path.stat().st_size > CONTRACT_BYTES_MAX:
            return {}
        found = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


def cog_file(root: Path) -> CogFile:
    """What the package's `cog.yaml` says; what is of another kind than it must be counts as if left out."""
    said = read_cog(root)
    build = said.get("build")
    build = build if isinstance(build, Mapping) else {}
    concurrency = said.get("concurrency")
    sdk = build.get("sdk_version")
    return CogFile(
        predict=_text(said.get("run")) or _text(said.get("predict")),
        train=_text(said.get("train")),
        python=build.get("python_version"),
        requirements=build.get("python_requirements"),
        packages=_texts(build.get("python_packages")),
        system_packages=_texts(build.get("system_packages")),
        commands=len(build["run"]) if isinstance(build.get("run"), list) else 0,
        gpu=build.get("gpu") is True,
        sdk_version=str(sdk) if isinstance(sdk, str | int | float) else None,
        environment=_texts(said.get("environment")),
        concurrency=concurrency.get("max") if isinstance(concurrency, Mapping) else None,
    )


def predict_ref(root: Path) -> str:
    """`file.py:Name` of what is run, as Cog finds it."""
    named = cog_file(root).predict
    if named is None:
        file = next((one for one in DEFAULT_PYTHON_FILES if (root / one).is_file()), DEFAULT_PYTHON_FILES[0])
    else:
        file, colon, name = named.partition(":")
        if colon:
            return f"{file}:{name}"
    try:
        text = (root / file).read_bytes() if (root / file).is_file() else b""
    except OSError:
        text = b""
    name = next((one for one in DEFAULT_NAMES if f"class {one}".encode() in text), DEFAULT_NAMES[-1])
    return f"{file}:{name}"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _texts(value: object) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
