"""Is an answer what its contract says, and whole? Media type, parts, soft failure, schema, and the validators."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Mapping
from typing import Any

from seatrial.prove.contract import Output
from seatrial.prove.embedded import pictures_in
from seatrial.prove.finding import Finding, Outcome
from seatrial.prove.limits import CALLBACK_PARTS_MAX, PROBLEMS_NAMED_MAX
from seatrial.prove.targets.answer import Answer, Part, failure_of
from seatrial.prove.validate import Kind, MissingLibrary, Profile, validate_bytes

_FAMILIES = {"image": Kind.IMAGE, "audio": Kind.AUDIO, "video": Kind.VIDEO}
_EXTENSIONS = {"model/gltf-binary": ".glb", "application/x-npy": ".npy", "model/obj": ".obj", "model/stl": ".stl"}
_FAILED = ("failed", "failure", "error")


def faults_of(answer: Answer, output: Output, expect: Mapping[str, Any] | None = None) -> list[Finding]:
    """What is wrong with an answer that succeeded; empty: nothing. Blocking, and for large outputs long.

    Raises:
        MissingLibrary: looking at this kind needs the extra `validate`.
    """
    return [finding for finding in _findings(answer, output, expect) if finding.outcome is Outcome.FAILED]


def _findings(answer: Answer, output: Output, expect: Mapping[str, Any] | None) -> Iterator[Finding]:
    primary = answer.primary
    if primary is None or not primary.data:
        yield _fault("output.empty", "it succeeded, and there is no output")
        return
    yield from _types(answer, output)
    value = _document(primary)
    if isinstance(value, dict) and output.soft_failures:
        yield from _soft_failure(value)
    if isinstance(value, dict | list):
        yield from _schemas(value, output, expect)
        for picture in pictures_in(value, CALLBACK_PARTS_MAX):
            yield from _looked_at(picture.file_name, picture.data, picture.media_type, output.profile)
    for part in answer.parts:
        yield from _looked_at(part.name, part.data, part.media_type, _profile(part, output))


def _types(answer: Answer, output: Output) -> Iterator[Finding]:
    primary = answer.parts[0]
    if output.media_type and not _fits(output.media_type, primary.media_type):
        yield _fault("output.media_type", f"the output is {primary.media_type}, and {output.media_type} is declared")
    there = {part.name: part for part in answer.parts[1:]}
    for name, declared in output.parts.items():
        part = there.get(name)
        if part is None and declared.required and not _is_inside(answer.parts[0], name):
            yield _fault("output.parts", f"the part {name!r} is missing")
        elif part is not None and not _fits(declared.media_type, part.media_type):
            yield _fault(
                "output.parts", f"the part {name!r} is {part.media_type}, and {declared.media_type} is declared"
            )


def _is_inside(primary: Part, name: str) -> bool:
    value = _document(primary)
    return isinstance(value, dict) and bool(value.get(name))


def _profile(part: Part, output: Output) -> Profile:
    declared = output.parts.get(part.name)
    return declared.profile if declared else output.profile


def _soft_failure(value: Mapping[str, Any]) -> Iterator[Finding]:
    mock = next((name for name, inner in value.items() if name.endswith("_mock") and inner is True), None)
    error, status = value.get("error"), value.get("status")
    if mock is not None:
        yield _fault("output.soft_failure", f"the answer is marked {mock!r}: it was made up")
    elif (isinstance(status, str) and status.lower() in _FAILED) or (isinstance(error, str | dict) and error):
        words = failure_of(value).message or f"its status is {status!r}"
        yield _fault("output.soft_failure", f"a success says itself that it failed: {words}")


def _schemas(value: Any, output: Output, expect: Mapping[str, Any] | None) -> Iterator[Finding]:
    from jsonschema.validators import validator_for

    for id_, schema in (("output.schema", output.schema), ("output.expect", expect)):
        if schema is None:
            continue
        for error in list(validator_for(schema)(schema).iter_errors(value))[:PROBLEMS_NAMED_MAX]:
            yield _fault(id_, f"{error.json_path}: {error.message[:300]}")


def _looked_at(name: str, data: bytes, media_type: str, profile: Profile) -> Iterator[Finding]:
    said = media_type.partition(";")[0].strip()
    kind = _FAMILIES.get(said.partition("/")[0])
    extension = _EXTENSIONS.get(said) or mimetypes.guess_extension(said) or ""
    shown = name if name.endswith(extension) else name + extension
    try:
        yield from validate_bytes(data, shown, profile, kind).findings
    except MissingLibrary:
        if kind is Kind.IMAGE:
            raise


def _document(part: Part) -> Any:
    if "json" not in part.media_type and part.data[:1] not in (b"{", b"["):
        return None
    try:
        return part.document()
    except (ValueError, RecursionError):
        return None


def _fits(declared: str, media_type: str) -> bool:
    given = media_type.partition(";")[0].strip().lower()
    declared = declared.partition(";")[0].strip().lower()
    return declared in ("", "*/*", given) or (declared.endswith("/*") and given.startswith(declared[:-1]))


def _fault(id_: str, message: str) -> Finding:
    return Finding(id_, Outcome.FAILED, message)
