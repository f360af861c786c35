"""Lambda's layers: folders of a package whose contents are found at /opt, as at AWS, each over those before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from seatrial.domain.limits import LAMBDA_LAYERS_MAX
from seatrial.package.problems import Problems

FOLDER = ".layers"  # layers in order of their names, where seatrial.toml names none
LAYOUT = "aws_lambda"
_VALID = f"a list of at most {LAMBDA_LAYERS_MAX} folders of the package, as in layers = ['layers/tools']"


def read_layers(root: Path, named: Sequence[str] | None, layout: str, problems: Problems) -> tuple[str, ...]:
    """The folders, the first one lowest."""
    if layout != LAYOUT:
        if named:
            problems.add(
                "[package]", "layers", f"are not for the layout {layout}", f"no layers, or layout = '{LAYOUT}'"
            )
        return ()
    own = root / FOLDER
    if named is None:
        return tuple(sorted(f"{FOLDER}/{one.name}" for one in own.iterdir() if one.is_dir())) if own.is_dir() else ()
    if len(named) > LAMBDA_LAYERS_MAX:
        problems.add("[package]", "layers", f"found {len(named)}", _VALID)
    for one in named:
        folder = (root / one).resolve()
        if not folder.is_dir() or root.resolve() not in folder.parents:
            problems.add("[package]", "layers", f"found {one!r}, which is no folder of the package", _VALID)
    return tuple(named)


def module_folders(root: Path, layers: Sequence[str], python: tuple[int, ...]) -> tuple[Path, ...]:
    """Where modules of the layers are imported from; of what is in several, the last layer's comes first."""
    return tuple(folder for layer in reversed(layers) for folder in _of_python(root / layer, python) if folder.is_dir())


def _of_python(layer: Path, python: tuple[int, ...]) -> Iterator[Path]:
    yield layer / "python" / "lib" / f"python{python[0]}.{python[1]}" / "site-packages"
    yield layer / "python"
