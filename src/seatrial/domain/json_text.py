"""JSON as it comes from outside: strict, bounded in depth, and with errors that say where."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

from seatrial.domain.errors import MALFORMED_INPUT, BadInput
from seatrial.domain.limits import JSON_DEPTH_MAX, VALUE_SHOWN_CHARS_MAX

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def without_mark(body: bytes) -> bytes:
    """The text without a byte order mark, which some editors put in front of UTF-8."""
    return body.removeprefix(BYTE_ORDER_MARK)


def parse_request_json(body: bytes) -> Any:
    """What the text says (RFC 8259, UTF-8).

    Raises:
        BadInput: malformed_input: not UTF-8, not JSON (with line and column), NaN, Infinity or a number beyond
            a double, a name twice in one object, nested too deeply.
    """
    try:
        value = _STRICT.decode(body.decode())
    except UnicodeDecodeError as error:
        raise malformed(f"the text is not UTF-8: byte {error.start} is 0x{body[error.start]:02x}") from None
    except json.JSONDecodeError as error:
        raise malformed(f"{error.msg} at line {error.lineno} column {error.colno}") from None
    except _NotJson as error:
        raise malformed(str(error)) from None
    except RecursionError:
        raise malformed(_TOO_DEEP) from None
    except ValueError as error:  # an integer with more digits than Python converts
        raise malformed(str(error).partition(";")[0]) from None
    if body.count(b"[") + body.count(b"{") > JSON_DEPTH_MAX and deeper_than(value, JSON_DEPTH_MAX):
        raise malformed(_TOO_DEEP)
    return value


def parse_answer_json(body: bytes) -> Any:
    """What a handler's answer says; NaN and Infinity pass, so that a check can name their place.

    Raises:
        ValueError: not UTF-8, not JSON, or nested too deeply; the message says where.
    """
    try:
        value = _LENIENT.decode(body.decode())
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if body.count(b"[") + body.count(b"{") > JSON_DEPTH_MAX and deeper_than(value, JSON_DEPTH_MAX):
        raise ValueError(_TOO_DEEP)
    return value


def json_bytes(value: Any) -> bytes:
    """In UTF-8; in ASCII where a text has half a surrogate pair, which JSON can say and UTF-8 cannot."""
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value).encode()


def deeper_than(value: Any, depth_max: int) -> bool:
    """True when arrays and objects are nested more than that; walks level by level, without recursion."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(depth_max):
        if not level:
            return False
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
    return bool(level)


def malformed(what: str) -> BadInput:
    """The malformed_input error."""
    return BadInput(MALFORMED_INPUT, f"The body is not valid JSON: {what}", valid="a JSON object in UTF-8")


_TOO_DEEP = f"arrays and objects are nested more than {JSON_DEPTH_MAX} deep"


class _NotJson(Exception):
    """Accepted by Python's parser, but not JSON or ambiguous."""


def _no_constant(name: str) -> Any:
    raise _NotJson(f"{name} is not a JSON value")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _NotJson(f"the number {text[:VALUE_SHOWN_CHARS_MAX]} is beyond a double")
    return value


def _no_name_twice(members: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(members)
    if len(made) != len(members):
        twice = next(name for name, times in Counter(name for name, _ in members).items() if times > 1)
        raise _NotJson(f"the name {twice[:VALUE_SHOWN_CHARS_MAX]!r} is used twice in one object")
    return made


_STRICT = json.JSONDecoder(object_pairs_hook=_no_name_twice, parse_constant=_no_constant, parse_float=_finite)
_LENIENT = json.JSONDecoder()
