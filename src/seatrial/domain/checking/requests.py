"""Does a request fit its task?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from jsonschema.protocols import Validator

from seatrial.domain.checking.compiled import once_for_each
from seatrial.domain.checking.media_values import MediaValue, accepted, read_media
from seatrial.domain.checking.problems import Problem, refuse
from seatrial.domain.checking.schemas import compiled, complaints
from seatrial.domain.contract import Field, Task
from seatrial.domain.errors import INVALID_FIELD, MISSING_FIELD, UNKNOWN_FIELD
from seatrial.domain.limits import MEDIA_SEVERAL_MAX, PROBLEMS_LISTED_MAX, VALUE_SHOWN_CHARS_MAX


@dataclass(frozen=True, slots=True)
class Request:
    """What a task was asked. `fields` are the plain ones, defaults filled in; `media` those that were sent."""

    task: Task
    fields: Mapping[str, Any]
    media: Mapping[str, MediaValue]


def check_request(task: Task, payload: Mapping[str, Any], task_field: str) -> Request:
    """Check a payload: JSON values, and `RawMedia` where a media field came as bytes.

    Raises:
        BadInput: missing_field, invalid_field, unknown_field, media_too_large.
    """
    form = _form(task)
    problems: list[Problem] = []
    fields: dict[str, Any] = {}
    media: dict[str, MediaValue] = {}
    for field, validator in form.plain:
        _take_plain(field, validator, payload, fields, problems)
    for field in form.media:
        if field.several:
            _take_several(field, payload, fields, media, problems)
        else:
            _take_media(field, payload, media, problems)
    undeclared = [name for name in payload if name not in form.known and name != task_field]
    if task.extra_fields:
        fields.update((name, payload[name]) for name in undeclared)
    else:
        problems.extend(_unknown(name, form, task_field) for name in undeclared[:PROBLEMS_LISTED_MAX])
    refuse(problems)
    return Request(task, fields, media)


@dataclass(frozen=True, slots=True)
class _Form:
    """A task's fields, ready to be checked. `known` are all names that a request may use."""

    plain: tuple[tuple[Field, Validator | None], ...]
    media: tuple[Field, ...]
    known: frozenset[str]


@once_for_each
def _form(task: Task) -> _Form:
    plain = tuple((one, compiled(one.schema) if one.schema else None) for one in task.fields if not one.is_media)
    media = tuple(one for one in task.fields if one.is_media)
    named = {one.name for one in task.fields}
    beside = {name for one in media for name in (one.key_field, one.bucket_field) if name}
    return _Form(plain, media, frozenset(named | beside))


def _take_plain(
    field: Field,
    validator: Validator | None,
    payload: Mapping[str, Any],
    fields: dict[str, Any],
    problems: list[Problem],
) -> None:
    if field.name not in payload:
        if field.default is not None:
            fields[field.name] = field.default
        elif field.required:
            problems.append(_missing(field, field.type.value))
        return
    value = payload[field.name]
    found = [] if validator is None else complaints(validator, value)
    for path, wanted in found:
        at = f"{field.name}/{path}" if path else field.name
        problems.append(Problem(INVALID_FIELD, at, f"{at!r} {wanted}.", described(field)))
    if not found:
        fields[field.name] = value


def _take_media(
    field: Field, payload: Mapping[str, Any], media: dict[str, MediaValue], problems: list[Problem]
) -> None:
    found = read_media(field, payload)
    if isinstance(found, MediaValue):
        media[field.name] = found
    elif isinstance(found, Problem):
        problems.append(found)
    elif field.required:
        problems.append(_missing(field, accepted(field)))


def _take_several(
    field: Field,
    payload: Mapping[str, Any],
    fields: dict[str, Any],
    media: dict[str, MediaValue],
    problems: list[Problem],
) -> None:
    """A list of media: each is one of its own, named `FIELD/NUMBER`; in the fields is a list with room for them."""
    sent = payload.get(field.name)
    if sent is None:
        if field.required:
            problems.append(_missing(field, f"a list of: {accepted(field)}"))
        return
    if not isinstance(sent, list) or len(sent) > MEDIA_SEVERAL_MAX:
        what = f"{field.name!r} must be a list of at most {MEDIA_SEVERAL_MAX}."
        problems.append(Problem(INVALID_FIELD, field.name, what, f"a list of: {accepted(field)}"))
        return
    fields[field.name] = [None] * len(sent)
    for number, value in enumerate(sent):
        one = replace(field, name=f"{field.name}/{number}", several=False, required=True)
        _take_media(one, {one.name: value}, media, problems)


def described(field: Field) -> str:
    """What a plain field takes, in words: `integer, minimum 1, maximum 8`."""
    limits = (f"{word} {value}" for word, value in field.schema.items() if word not in ("type", "description"))
    text = ", ".join([field.type.value, *limits])
    return text if len(text) <= VALUE_SHOWN_CHARS_MAX else text[:VALUE_SHOWN_CHARS_MAX] + "…"


def _missing(field: Field, valid: str) -> Problem:
    told = f": {field.description}" if field.description else ""
    return Problem(MISSING_FIELD, field.name, f"{field.name!r} is required and missing{told}", valid)


def _unknown(name: str, form: _Form, task_field: str) -> Problem:
    names = sorted(form.known | {task_field})
    near = get_close_matches(name, names, n=1) if len(name) <= VALUE_SHOWN_CHARS_MAX else []
    guess = f" Did you mean {near[0]!r}?" if near else ""
    shown = name[:VALUE_SHOWN_CHARS_MAX]
    return Problem(UNKNOWN_FIELD, shown, f"There is no field {shown!r}.{guess}", ", ".join(names))
