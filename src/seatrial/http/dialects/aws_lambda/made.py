"""Functions that are made by CreateFunction: what their members mean for a deployment.

What was said of a function is kept in its endpoint's marks, so that an update may change a part of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from seatrial.domain.endpoint import Endpoint
from seatrial.domain.limits import LAMBDA_LAYERS_MAX, MIB, WORKERS_PER_ENDPOINT_MAX
from seatrial.http.dialects.aws_lambda import refusals

MARK = "lambda"  # in an endpoint's marks
TAG_UNPROVEN, TAG_WORKERS = "seatrial:unproven", "seatrial:workers"
MANIFEST = "seatrial.toml"
_KEPT = (
    "Runtime",
    "Role",
    "Handler",
    "Description",
    "Timeout",
    "MemorySize",
    "Environment",
    "Tags",
    "Architectures",
    "Layers",
)
_WITHOUT_MEANING = frozenset({"FunctionName", "Code", "Publish", "RevisionId", "TracingConfig", "LoggingConfig"})
_DEFAULTS: Mapping[str, Any] = {
    "Handler": "lambda_function.lambda_handler",
    "Description": "",
    "Timeout": 3,  # as at AWS
    "MemorySize": 128,  # as at AWS
    "Environment": {"Variables": {}},
    "Tags": {},
    "Layers": [],
}
_PYTHON = re.compile(r"python(3\.\d+)")
_HANDLER = re.compile(r"[\w./-]+\.\w+")


def read_function(given: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a function is to be from now on: what is given, else what it was, else AWS's default.

    Raises:
        AwsError: a member that is not offered, or one that cannot be met.
    """
    if given.get("PackageType", "Zip") != "Zip":
        raise refusals.invalid("PackageType must be Zip: images are not offered here.")
    for name, value in given.items():
        if name not in _KEPT and name not in _WITHOUT_MEANING and name != "PackageType" and value not in (None, [], {}):
            raise refusals.invalid(f"{name} is not offered here.")
    said = {name: given[name] for name in _KEPT if given.get(name) is not None}
    function = {**_DEFAULTS, **(before or {}), **said}
    if "Runtime" in function and _PYTHON.fullmatch(function["Runtime"]) is None:
        raise refusals.invalid(f"The runtime {function['Runtime']!r} is not offered here. Valid: python3.9 and later.")
    if _HANDLER.fullmatch(function["Handler"]) is None:
        raise refusals.invalid(f"{function['Handler']!r} is no handler. Valid: module.function.")
    if len(function["Layers"]) > LAMBDA_LAYERS_MAX:
        raise refusals.invalid(f"A function has at most {LAMBDA_LAYERS_MAX} layers.")
    return function


def settings(function: Mapping[str, Any]) -> dict[str, Any]:
    """How a version of it runs.

    Raises:
        AwsError: a tag of ours with a value that cannot be.
    """
    found: dict[str, Any] = {
        "invocation_timeout_seconds": function["Timeout"],
        "memory_bytes_max": function["MemorySize"] * MIB,
        "env": dict(function["Environment"].get("Variables") or {}),
    }
    if "Runtime" in function:
        found["python"] = function["Runtime"].removeprefix("python")
    tags = function["Tags"]
    if tags.get(TAG_UNPROVEN) == "true":
        found["unproven"] = True
    if TAG_WORKERS in tags:
        count = tags[TAG_WORKERS]
        if not count.isdecimal() or not 0 <= int(count) <= WORKERS_PER_ENDPOINT_MAX:
            raise refusals.invalid(f"The tag {TAG_WORKERS} must be from 0 to {WORKERS_PER_ENDPOINT_MAX}.")
        found["workers"] = int(count)
    return found


def manifest(function: Mapping[str, Any]) -> bytes:
    """The manifest of code that has none."""
    return f'[package]\nlayout = "aws_lambda"\nhandler = {json.dumps(function["Handler"])}\n'.encode()


def made_of(endpoint: Endpoint) -> Mapping[str, Any] | None:
    """What was said of the function; None: the endpoint was not made by CreateFunction."""
    found = endpoint.marks.get(MARK)
    return found if isinstance(found, Mapping) else None


def described(endpoint: Endpoint) -> dict[str, Any]:
    """What a FunctionConfiguration tells of that, and nothing else does."""
    function = made_of(endpoint) or {}
    told = {name: function[name] for name in ("Runtime", "Role", "Handler", "Description") if name in function}
    layers = [{"Arn": one} for one in function.get("Layers", ())]
    return told | ({"Layers": layers} if layers else {})
