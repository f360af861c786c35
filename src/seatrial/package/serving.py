"""Does a folder hold a serving container, and what starts its server? For `seatrial init`: guesses, to be checked."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from seatrial.domain.limits import CHECKED_TEXT_BYTES_MAX
from seatrial.package.image.dockerfile import read_dockerfile

INVOCATIONS = b"/invocations"  # the path that a server of SageMaker's contract answers
SCRIPTS = ("serve", "serve.py", "server.py", "app.py", "main.py", "predictor.py", "wsgi.py")
DOCKERFILE = "Dockerfile"


def start_command(directory: Path) -> list[str] | None:
    """The words that start the server of a folder in which something answers `/invocations`; None if nothing does."""
    scripts = [directory / name for name in SCRIPTS if (directory / name).is_file()]
    if not any(_answers(path) for path in {*scripts, *directory.glob("*.py")}):
        return None
    from_image = _of_dockerfile(directory)
    if from_image is not None:
        return from_image
    serve = directory / "serve"
    if serve.is_file():
        return ["./serve"]
    chosen = next((path for path in scripts if _answers(path)), None) or next(
        path for path in sorted(directory.glob("*.py")) if _answers(path)
    )
    return ["python", chosen.name]


def _answers(path: Path) -> bool:
    return path.stat().st_size <= CHECKED_TEXT_BYTES_MAX and INVOCATIONS in path.read_bytes()


def _of_dockerfile(directory: Path) -> list[str] | None:
    """Its ENTRYPOINT and CMD in exec form, with files of the folder under their names here."""
    path = directory / DOCKERFILE
    if not path.is_file():
        return None
    _, stage = read_dockerfile(path)
    given = [stage.last(word) for word in ("ENTRYPOINT", "CMD")] if stage is not None else []
    words = [word for one in given if one is not None for word in one.exec_form or ()]
    if not words:
        return None
    return [_here(word, directory, is_program=number == 0) for number, word in enumerate(words)]


def _here(word: str, directory: Path, *, is_program: bool) -> str:
    name = PurePosixPath(word).name
    if not name or ("/" not in word and not is_program):
        return word
    if not (directory / name).is_file():
        return name if is_program and name.startswith("python") else word
    return f"./{name}" if is_program else name
