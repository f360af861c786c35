"""CloudWatch Logs: groups, streams and events, as far as reading and following them needs.

Source: botocore's service model of 2014-03-28, and "Filter pattern syntax" in AWS's documentation for patterns of
plain terms (`ERROR "two words" -DEBUG ?either ?or`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from seatrial.domain.logs import LogLine, LogStream
from seatrial.http.dialects.aws_errors import AwsError

GROUP_PREFIX = "/aws/sagemaker/Endpoints/"
FUNCTION_PREFIX = "/aws/lambda/"  # the same group by the name that AWS Lambda gives it

_TERM = re.compile(r'(?P<sign>[-?]?)(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s"]+))')
_ESCAPED = re.compile(r"\\(.)")


def missing_group() -> AwsError:
    """As AWS says it; `aws logs tail` shows these words."""
    return AwsError("ResourceNotFoundException", "The specified log group does not exist.")


def missing_stream() -> AwsError:
    """There is the group, and no such stream in it."""
    return AwsError("ResourceNotFoundException", "The specified log stream does not exist.")


def invalid(message: str) -> AwsError:
    """A parameter that cannot be met."""
    return AwsError("InvalidParameterException", message)


def group_name(request: Mapping[str, Any]) -> str:
    """The group, given by name or by ARN.

    Raises:
        AwsError: neither, or both.
    """
    name, identifier = request.get("logGroupName"), request.get("logGroupIdentifier")
    if (name is None) == (identifier is None):
        raise invalid("Exactly one of logGroupName and logGroupIdentifier must be given.")
    if name is not None:
        return str(name)
    text = str(identifier)
    return text.split(":", 6)[-1].removesuffix(":*") if text.startswith("arn:") else text


def kept_as(group: str) -> str:
    """The name that a group is kept by: an endpoint's, also where it is asked for as that of a function."""
    return GROUP_PREFIX + group.removeprefix(FUNCTION_PREFIX) if group.startswith(FUNCTION_PREFIX) else group


def as_functions(groups: Mapping[str, int], prefix: str, part: str) -> dict[str, int]:
    """Endpoints' groups by their names as functions, where a listing asks for those: else each would be there twice."""
    if "lambda" not in prefix and "lambda" not in part:
        return {}
    endpoints = {name: at for name, at in groups.items() if name.startswith(GROUP_PREFIX)}
    return {FUNCTION_PREFIX + name.removeprefix(GROUP_PREFIX): at for name, at in endpoints.items()}


# ---------------------------------------------------------------- filter patterns


@dataclass(frozen=True, slots=True)
class Pattern:
    """A filter of plain terms: all of `wanted`, none of `unwanted`, and one of `either` if there are any."""

    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    either: tuple[str, ...] = ()

    def matches(self, text: str) -> bool:
        """Terms are compared case-sensitively, as AWS does."""
        return (
            all(term in text for term in self.wanted)
            and not any(term in text for term in self.unwanted)
            and (not self.either or any(term in text for term in self.either))
        )


def pattern(text: str) -> Pattern:
    """Read a filter pattern.

    Raises:
        AwsError: a JSON, space-delimited or regular-expression pattern.
    """
    text = text.strip()
    if text[:1] in ("{", "[", "%"):
        raise invalid(f'The filter pattern {text!r} is not offered here; valid: plain terms, "phrases", -not, ?either.')
    terms: dict[str, list[str]] = {"": [], "-": [], "?": []}
    end = 0
    for match in _TERM.finditer(text):
        if text[end : match.start()].strip():
            break
        end = match.end()
        quoted = match["quoted"]
        terms[match["sign"]].append(match["plain"] if quoted is None else _ESCAPED.sub(r"\1", quoted))
    if text[end:].strip():
        raise invalid(f"Invalid filter pattern: {text!r} has an open quotation mark.")
    return Pattern(*(tuple(terms[sign]) for sign in ("", "-", "?")))


# ---------------------------------------------------------------- tokens


def token_after(line_id: int | None) -> str:
    """Goes on behind that line (None: the very beginning)."""
    return f"f/{line_id or 0:020d}"


def token_before(line_id: int | None) -> str:
    """Goes back from that line."""
    return f"b/{line_id or 0:020d}"


def read_token(token: str) -> tuple[str, int]:
    """("f" or "b", line id).

    Raises:
        AwsError: none of ours.
    """
    match = re.fullmatch(r"([fb])/([0-9]{20})", token)
    if match is None:
        raise invalid("The specified nextToken is invalid.")
    return match[1], int(match[2])


def page(names: list[str], request: Mapping[str, Any]) -> tuple[list[str], str | None]:
    """One page of sorted names (50 at most) and the token of the next: the last name."""
    after = request.get("nextToken")
    rest = names if after is None else names[names.index(after) + 1 :] if after in names else []
    limit = request.get("limit", 50)
    return rest[:limit], rest[limit - 1] if len(rest) > limit else None


# ---------------------------------------------------------------- answers


def group_entry(name: str, region: str, account_id: str, created_at_ms: int) -> dict[str, Any]:
    """An entry of DescribeLogGroups."""
    arn = f"arn:aws:logs:{region}:{account_id}:log-group:{name}"
    return {
        "logGroupName": name,
        "creationTime": created_at_ms,
        "metricFilterCount": 0,
        "arn": f"{arn}:*",
        "logGroupArn": arn,
        "logGroupClass": "STANDARD",
        "storedBytes": 0,
    }


def stream_entry(stream: LogStream, region: str, account_id: str) -> dict[str, Any]:
    """An entry of DescribeLogStreams."""
    return {
        "logStreamName": stream.name,
        "creationTime": stream.first_at_ms,
        "firstEventTimestamp": stream.first_at_ms,
        "lastEventTimestamp": stream.last_at_ms,
        "lastIngestionTime": stream.last_at_ms,
        "arn": f"arn:aws:logs:{region}:{account_id}:log-group:{stream.group}:log-stream:{stream.name}",
        "storedBytes": 0,
    }


def filtered_events(lines: Iterable[LogLine]) -> list[dict[str, Any]]:
    """The events of FilterLogEvents. An event's id is its line's: followers drop what they have seen by it."""
    return [
        {
            "logStreamName": line.stream,
            "timestamp": line.at_ms,
            "message": line.text,
            "ingestionTime": line.at_ms,
            "eventId": f"{line.id or 0:020d}",
        }
        for line in lines
    ]


def output_events(lines: Iterable[LogLine]) -> list[dict[str, Any]]:
    """The events of GetLogEvents."""
    return [{"timestamp": line.at_ms, "message": line.text, "ingestionTime": line.at_ms} for line in lines]
