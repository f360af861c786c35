"""Is the handler of a Lambda image where the runtime looks: its module under the task root, with its function?"""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from seatrial.package.checks.images.handler_name import LAMBDA_ENTRYPOINT, is_handler_name
from seatrial.package.checks.images.image_command import variables
from seatrial.package.checks.lambda_function import check_lambda_function
from seatrial.package.finding import Finding
from seatrial.package.image.copied import copied, working_folder
from seatrial.package.image.dockerfile import Stage
from seatrial.package.image.layers import Files
from seatrial.package.image.store import Image
from seatrial.package.layout import Entry
from seatrial.package.source import Source

ID = "image_handler"
RUNTIME_ENTRYPOINTS = ("lambda-entrypoint.sh", "awslambdaric", "aws-lambda-rie")
READABLE = 0o004  # by users of no name, as Lambda's is


def check_image_handler(image: Image, files: Files, given: str | None) -> Iterator[Finding]:
    """`given` is the handler that the function's configuration names; else the image's CMD does."""
    entrypoint = [str(one) for one in image.run.get("Entrypoint") or []]
    is_lambda = any(name in word for word in entrypoint for name in RUNTIME_ENTRYPOINTS)
    if not is_lambda and given is None:
        return
    command = [str(one) for one in image.run.get("Cmd") or []]
    handler = given or (command[0] if command else None)
    if handler is None:
        message = "The image starts Lambda's runtime and names no handler: CMD is empty."
        remedy = 'CMD ["module.function"], or name it in the function\'s configuration and check with --handler.'
        yield Finding(ID, "error", message, remedy)
        return
    yield from _found(handler, image, files)


def check_stage_handler(stage: Stage, context: Path, given: str | None) -> Iterator[Finding]:
    """Whether a Dockerfile puts the handler's module under the task root."""
    command = stage.last("CMD")
    words = _passed_to_the_runtime(stage)
    handler = given or (words[0] if stage.is_lambda and words else None)
    if handler is None:
        if stage.is_lambda and command is not None and command.exec_form is None:
            message = (
                f"Line {command.line}: CMD is in shell form, and the runtime takes its first word, /bin/sh, for the "
            )
            remedy = 'Write CMD ["module.function"].'
            yield Finding(ID, "error", f"{message}handler.", remedy, line=command.line)
        elif stage.is_lambda:
            message = "The Dockerfile names no handler: it has no CMD."
            remedy = "Write CMD, or check with --handler module.function if the function's configuration names it."
            yield Finding(ID, "warning", message, remedy, line=stage.base.line)
        return
    if not is_handler_name(handler):
        yield _no_handler(handler)
        return
    module = handler.rpartition(".")[0].replace(".", "/")
    root = stage.variables.get("LAMBDA_TASK_ROOT", working_folder(stage))
    brought = list(copied(stage, context))
    wanted = posixpath.join(root, f"{module}.py")
    places = (wanted, posixpath.join(root, module, "__init__.py"))
    found = [one for one in brought if one.target in places]
    if not found:
        elsewhere = [one.target for one in brought if posixpath.basename(one.target) == posixpath.basename(wanted)]
        hint = f" It goes to {elsewhere[0]}." if elsewhere else ""
        message = f"No COPY brings {wanted}, where the runtime looks for {handler}.{hint}"
        yield Finding(ID, "error", message, f"COPY it to {posixpath.join(root, '')}", line=stage.base.line)
        return
    yield from _function(handler, found[0].source.read_bytes(), wanted)
    may_be_changed = any(one.word == "RUN" and "chmod" in one.rest for one in stage.instructions)
    if not found[0].mode & READABLE and not may_be_changed:
        yield _unreadable(wanted, root)


def _passed_to_the_runtime(stage: Stage) -> tuple[str, ...]:
    """The words after the base's own entry point: those that ENTRYPOINT adds to it, then those of CMD."""
    entrypoint, command = stage.last("ENTRYPOINT"), stage.last("CMD")
    started = (entrypoint.exec_form or ()) if entrypoint is not None else ()
    added = started[1:] if started[:1] == (LAMBDA_ENTRYPOINT,) else ()
    return added + ((command.exec_form or ()) if command is not None else ())


def _found(handler: str, image: Image, files: Files) -> Iterator[Finding]:
    if not is_handler_name(handler):
        yield _no_handler(handler)
        return
    module = handler.rpartition(".")[0].replace(".", "/")
    root = variables(image).get("LAMBDA_TASK_ROOT") or str(image.run.get("WorkingDir") or "/")
    for place in (f"{module}.py", f"{module}/__init__.py"):
        found = files.find(posixpath.join(root, place))
        if found is not None:
            yield from _function(handler, found[1].content, found[0])
            if not found[1].mode & READABLE:
                yield _unreadable(found[0], root)
            return
    name = posixpath.basename(module) + ".py"
    elsewhere = sorted(one for one in files.names() if posixpath.basename(one) == name)
    hint = f" There is {elsewhere[0]}." if elsewhere else ""
    message = f"The image has no {posixpath.join(root, module)}.py, where the runtime looks for {handler}.{hint}"
    yield Finding(ID, "error", message, f"COPY it to {posixpath.join(root, '')}, or correct the handler.")


def _function(handler: str, content: bytes, place: str) -> Iterator[Finding]:
    name = handler.rpartition(".")[2]
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError) as error:
        yield Finding(ID, "error", f"{place} is no Python: {error}.", "Correct the file and build again.")
        return
    entry = Entry(None, "", name, place, ())
    for one in check_lambda_function(entry, Source(place, tree)):
        yield replace(one, id=ID, file=None)


def _unreadable(place: str, root: str) -> Finding:
    message = f"{place} can be read by its owner only, and Lambda runs it as another user: permission denied."
    return Finding(ID, "error", message, f"RUN chmod -R a+rX {root}, or COPY --chmod=755.")


def _no_handler(handler: str) -> Finding:
    message = f"{handler!r} is no handler: the runtime splits it into a module and a function."
    return Finding(ID, "error", message, "Write module.function, such as app.handler.")
