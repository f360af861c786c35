"""`json.schema`: the document is what its schema says (JSON Schema; references that leave the schema are refused)."""

from __future__ import annotations

from typing import Any

from seatrial.prove.limits import PROBLEMS_NAMED_MAX
from seatrial.prove.validate.check import Check, MissingLibrary, NotApplicable, Passed, Subject, Unfit
from seatrial.prove.validate.document.parses import read_documents

VALUE_SHOWN_CHARS_MAX = 200


def _run(subject: Subject) -> Passed:
    schema = subject.profile.json.schema
    if schema is None:
        raise NotApplicable("no schema was given")
    validator = _validator(schema)
    for document in subject.once(read_documents):
        problems = _problems(validator, document)
        if problems:
            told = "; ".join(f"{where or 'the top'}: {what}" for where, what in problems[:PROBLEMS_NAMED_MAX])
            more = f" (and {len(problems) - PROBLEMS_NAMED_MAX} more)" if len(problems) > PROBLEMS_NAMED_MAX else ""
            raise Unfit(f"JSON does not meet its schema: {told}{more}", problems=len(problems), path=problems[0][0])
    return Passed("meets its schema")


def _validator(schema: Any) -> Any:
    try:
        from jsonschema.validators import Draft202012Validator, validator_for
        from referencing import Registry
    except ModuleNotFoundError as error:
        raise MissingLibrary(error.name) from None
    return validator_for(schema, default=Draft202012Validator)(schema, registry=Registry())


def _problems(validator: Any, document: Any) -> list[tuple[str, str]]:
    from referencing.exceptions import Unresolvable

    try:
        found = sorted(validator.iter_errors(document), key=lambda error: [str(step) for step in error.absolute_path])
    except Unresolvable as error:
        raise Unfit(f"The schema refers to {error.ref!r}, which is not in it") from None
    except RecursionError:
        raise Unfit("The schema refers to itself without end") from None
    return [
        ("/".join(str(step) for step in error.absolute_path), error.message[:VALUE_SHOWN_CHARS_MAX]) for error in found
    ]


CHECK = Check(
    "json.schema",
    _run,
    "compare the handler's answer with the schema: either may be what has changed",
    needs=("file.exists", "file.size", "json.parses"),
)
