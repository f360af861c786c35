"""Holds an answer against its task's contract: there, whole, honest, as declared, and valid in itself."""

from __future__ import annotations

import base64
import binascii
import hashlib
import mimetypes
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from seatrial.prove.contract import Output, Sample, Task
from seatrial.prove.embedded import pictures_in
from seatrial.prove.finding import Finding, Outcome
from seatrial.prove.limits import OUTPUT_PICTURES_MAX, WORDS_SHOWN_CHARS_MAX
from seatrial.prove.targets.answer import Answer, Part
from seatrial.prove.validate import Kind, MissingLibrary, Profile, kind_of_name, validate_bytes

JSON = "application/json"
EXISTS, WHOLE, HONEST, CONTRACT, VALID = (
    "output.exists",
    "output.whole",
    "output.honest",
    "output.contract",
    "output.valid",
)
IDS = (EXISTS, WHOLE, HONEST, CONTRACT, VALID)
_VAGUE = frozenset({"application/octet-stream", "binary/octet-stream", ""})
# Extensions where Python's own table does not know the type, or prefers an odd one.
_EXTENSIONS = {
    "image/jpeg": ".jpg",
    "model/gltf-binary": ".glb",
    "model/obj": ".obj",
    "model/stl": ".stl",
    "application/x-ply": ".ply",
    "application/x-npy": ".npy",
    "application/x-npz": ".npz",
    "application/x-ndjson": ".ndjson",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
}


def judge(answer: Answer, task: Task, sample: Sample | None = None) -> list[Finding]:
    """What is found out about the output of an answer that succeeded; each of IDS once, or fewer after a failure.

    Raises:
        MissingLibrary: looking at its kind of output needs the extra `validate`.
    """
    if answer.unasked and not answer.parts:
        return [Finding(one, Outcome.NOT_APPLICABLE, answer.unasked) for one in IDS]
    findings: list[Finding] = []
    for look in (_exists, _whole, _honest, _contract, _valid):
        finding = look(answer, task, sample)
        findings.append(finding)
        if finding.outcome is Outcome.FAILED and finding.id in (EXISTS, WHOLE):
            break
    return findings


def parts_of(answer: Answer, output: Output) -> list[Part]:
    """Every object of an answer: those that came as such, declared files in its JSON, and whatever pictures it holds.

    Where the contract says that the result itself is no JSON, a text in JSON is taken for its base64. Where the wire
    carries a part alone, that is what it is called.
    """
    parts = [_unwrapped(part, output) if not number else part for number, part in enumerate(answer.parts)]
    alone = _carried_alone(answer, output)
    if alone is not None:
        parts[0] = replace(parts[0], name=alone)
    have = {part.name for part in parts}
    document = _document(parts[0]) if parts else None
    if isinstance(document, Mapping):
        for name, declared in output.parts.items():
            value = document.get(name)
            found = _decoded(name, value, declared.media_type) if isinstance(value, str) else None
            if found is not None and name not in have:
                parts.append(found)
    have = {part.name for part in parts}
    found_too = pictures_in(document, OUTPUT_PICTURES_MAX) if isinstance(document, Mapping | list) else ()
    return parts + [Part(one.path, one.data, one.media_type) for one in found_too if one.path not in have]


# ---------------------------------------------------------------- one check each


def _exists(answer: Answer, task: Task, sample: Sample | None) -> Finding:
    parts = parts_of(answer, task.output)
    if not parts or not parts[0].data:
        remedy = "look at the handler: it has to return what it made"
        return Finding(EXISTS, Outcome.FAILED, "the job succeeded and left no output", remedy)
    missing = [name for name, one in task.output.parts.items() if one.required and name not in _names(parts)]
    if missing and not answer.uncarried:
        message = f"the output has no part {', '.join(missing)}; it has {', '.join(_names(parts))}"
        return Finding(EXISTS, Outcome.FAILED, message, "return every part that the contract requires")
    where = parts[0].location or "in the answer itself"
    measured = {"parts": {part.name: {"bytes": len(part.data), "media_type": part.media_type} for part in parts}}
    size = sum(len(part.data) for part in parts)
    return Finding(EXISTS, Outcome.OK, f"{where}: {_count(parts)}, {size:,} bytes", measured=measured)


def _whole(answer: Answer, task: Task, sample: Sample | None) -> Finding:
    told = [part for part in answer.parts if part.sha256 is not None]
    for part in told:
        if hashlib.sha256(part.data).hexdigest() != part.sha256:
            message = f"the bytes of {part.name} are not those that the server's SHA-256 tells of"
            return Finding(WHOLE, Outcome.FAILED, message, "read it again; if it stays so, the store is damaged")
    for part in parts_of(answer, task.output):
        if _is_json(part) and _document(part) is None:
            words = f"{part.name} says that it is JSON and does not parse: cut off, or something else"
            return Finding(WHOLE, Outcome.FAILED, words, "let the handler return JSON, or name the right media type")
    if not told:
        return Finding(WHOLE, Outcome.OK, "read to its end")
    return Finding(WHOLE, Outcome.OK, f"SHA-256 matches, {_count(told)}")


def _honest(answer: Answer, task: Task, sample: Sample | None) -> Finding:
    if not task.output.soft_failures:
        return Finding(HONEST, Outcome.NOT_APPLICABLE, "soft_failures = false in the contract")
    said = soft_failure(_document(parts_of(answer, task.output)[0]))
    if said is not None:
        remedy = "let the handler raise instead; set soft_failures = false in [output] if such an answer is a result"
        return Finding(HONEST, Outcome.FAILED, said, remedy)
    return Finding(HONEST, Outcome.OK, "the answer does not say that it failed or was made up")


def _contract(answer: Answer, task: Task, sample: Sample | None) -> Finding:
    from jsonschema.validators import validator_for

    output, part = task.output, parts_of(answer, task.output)[0]
    schemas = [one for one in (output.schema, sample.expect if sample else None) if one is not None]
    if _carried_alone(answer, output) is not None:
        return Finding(CONTRACT, Outcome.NOT_APPLICABLE, answer.uncarried)
    if output.media_type is None and not schemas:
        return Finding(CONTRACT, Outcome.NOT_APPLICABLE, "the contract says nothing of the output")
    remedy = "change the handler, or the contract if it is what is wrong"
    if output.media_type is not None and not _same_type(part.media_type, output.media_type):
        message = f"the output is {part.media_type}, and the contract says {output.media_type}"
        return Finding(CONTRACT, Outcome.FAILED, message, remedy)
    for schema in schemas:
        document = _document(part)
        problem = next(iter(validator_for(schema)(schema).iter_errors(document)), None)
        if problem is not None:
            message = f"at {problem.json_path}: {problem.message[:WORDS_SHOWN_CHARS_MAX]}"
            return Finding(CONTRACT, Outcome.FAILED, message, remedy)
    told = [*([output.media_type] if output.media_type else []), *(["the schema"] if schemas else [])]
    return Finding(CONTRACT, Outcome.OK, f"it is what the contract says: {' and '.join(told)}")


def _valid(answer: Answer, task: Task, sample: Sample | None) -> Finding:
    looked, doubts = [], []
    for part in parts_of(answer, task.output):
        declared = task.output.parts.get(part.name)
        profile: Profile = declared.profile if declared else task.output.profile
        name = file_name(part)
        if kind_of_name(name) is Kind.OTHER:
            continue
        verdict = validate_bytes(part.data, name, profile)
        if not verdict.is_valid:
            failed = next(one for one in verdict.findings if one.outcome is Outcome.FAILED)
            message = f"{name}: {failed.message} ({failed.id})"
            return Finding(VALID, Outcome.FAILED, message, failed.remedy, failed.measured)
        looked.append(f"{part.name} ({verdict.kind.value})")
        doubts += [f"{name}: {one.message} ({one.id})" for one in verdict.findings if one.outcome is Outcome.WARNING]
    if doubts:
        return Finding(VALID, Outcome.WARNING, "; ".join(doubts), "look at it")
    if not looked:
        return Finding(VALID, Outcome.NOT_APPLICABLE, "there is no validator for this kind of output")
    return Finding(VALID, Outcome.OK, f"decoded and sane: {', '.join(looked)}")


# ---------------------------------------------------------------- words and bytes


def soft_failure(answer: Any) -> str | None:
    """What an answer says of its own failure; None: nothing. A number in `error` is data."""
    if not isinstance(answer, Mapping):
        return None
    mock = next((name for name, value in answer.items() if name.endswith("_mock") and value is True), None)
    if mock is not None:
        return f"the answer is marked {mock!r}: it was made up, since the model did not work"
    error, status = answer.get("error"), answer.get("status")
    failed = isinstance(status, str) and status.lower() in ("failed", "failure", "error")
    if failed or (isinstance(error, str | Mapping) and error):
        said = error if isinstance(error, str | Mapping) and error else answer.get("message", status)
        return f"the answer says that it failed: {str(said)[:WORDS_SHOWN_CHARS_MAX]}"
    return None


def file_name(part: Part) -> str:
    """What the part would be called as a file."""
    extension = _EXTENSIONS.get(part.media_type) or mimetypes.guess_extension(part.media_type)
    if extension is None or part.media_type in _VAGUE:
        extension = "." + part.location.rpartition(".")[2] if "." in part.location.rpartition("/")[2] else ""
    return f"{part.name}{'' if extension == '.out' else extension}"


def _carried_alone(answer: Answer, output: Output) -> str | None:
    """The declared part that came in place of the whole answer, since its wire carries no more; None: none did."""
    if not answer.uncarried or not answer.parts or output.media_type is None:
        return None
    first = answer.parts[0]
    if _same_type(first.media_type, output.media_type):
        return None
    return next((name for name, one in output.parts.items() if _same_type(first.media_type, one.media_type)), None)


def _unwrapped(part: Part, output: Output) -> Part:
    """The result itself, where its wire could only carry it as a text in JSON."""
    if output.media_type is None or not _is_json(part) or _same_type(JSON, output.media_type):
        return part
    document = _document(part)
    found = _decoded(part.name, document, output.media_type) if isinstance(document, str) else None
    return part if found is None else replace(found, location=part.location)


def _decoded(name: str, text: str, media_type: str) -> Part | None:
    """The file that a text holds as base64 or as a data URL; None: neither."""
    encoded = text
    if text.startswith("data:") and ";base64," in text[:200]:
        head, _, encoded = text.partition(",")
        media_type = head.removeprefix("data:").partition(";")[0] or media_type
    try:
        return Part(name, base64.b64decode(encoded, validate=True), media_type)
    except (binascii.Error, ValueError):
        return None


def _is_json(part: Part) -> bool:
    return part.media_type.partition(";")[0].strip().endswith("json") and not part.media_type.startswith("model/")


def _document(part: Part) -> Any:
    """The JSON of a part; None: it is none."""
    try:
        return part.document()
    except (ValueError, RecursionError):
        return None


def _same_type(one: str, other: str) -> bool:
    bare: Callable[[str], str] = lambda text: text.partition(";")[0].strip().lower()  # noqa: E731 - a word
    return bare(one) == bare(other) or bare(one) in _VAGUE


def _count(parts: list[Part]) -> str:
    return "1 object" if len(parts) == 1 else f"{len(parts)} objects"


def _names(parts: list[Part]) -> list[str]:
    return [part.name for part in parts]


def pictures(parts: list[Part]) -> Iterator[Part]:
    """Those that a browser shows."""
    shown = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/avif")
    return (part for part in parts if part.media_type.partition(";")[0].strip() in shown)


__all__ = ["IDS", "MissingLibrary", "file_name", "judge", "parts_of", "pictures", "soft_failure"]
