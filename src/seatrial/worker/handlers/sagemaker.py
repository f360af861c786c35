"""SageMaker's layout: `code/inference.py` with the functions of the SageMaker Inference Toolkit.

Semantics from the toolkit's documentation and behaviour (aws/sagemaker-inference-toolkit, transformer and
environment), with two differences: what is missing is a load failure instead of a default that cannot work, and
`.npy` input is read without pickles.
"""

# ruff: noqa: TID252, UP045  (the worker loads this package under a private name; Python 3.9)
from __future__ import annotations

import importlib
import importlib.util
import inspect
import io
import json
import logging
import os
import sys
from types import ModuleType
from typing import Any, Callable, Optional

from ..answer import Answer, Bytes, json_bytes
from ..context import Context
from ..failure import HandlerUnusable
from ..request import Request
from ..vitals import synchronise

JSON = "application/json"
CSV = "text/csv"
NPY = "application/x-npy"
UTF8_TYPES = (JSON, CSV)  # these reach input_fn as text, all others as bytes


def load(order: dict[str, Any], context: Context) -> Callable[[Request], Answer]:
    """Import the module, call pre_model_fn, model_fn and model_warmup_fn.

    Raises:
        HandlerUnusable: the module or a function that is needed is missing.
    """
    model_dir: str = order["package"]
    _set_environment(model_dir)
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)  # as Multi Model Server does
    functions = _Functions(_import(model_dir), context)
    functions.call("pre_model_fn", model_dir)
    model = functions.call("model_fn", model_dir)
    functions.call("model_warmup_fn", model_dir, model)
    default_accept = os.environ["SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT"]
    return lambda request: _transform(functions, model, request, context, default_accept)


def _set_environment(model_dir: str) -> None:
    defaults = {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_BASE_DIR": os.path.dirname(model_dir),
        "SAGEMAKER_SUBMIT_DIRECTORY": os.path.join(model_dir, "code"),
        "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": JSON,
        "SM_MODEL_DIR": model_dir,
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def _import(model_dir: str) -> ModuleType:
    code = os.path.join(model_dir, "code")
    program = os.environ["SAGEMAKER_PROGRAM"]
    places = [code, os.path.join(code, "lib"), model_dir]
    submitted = os.environ["SAGEMAKER_SUBMIT_DIRECTORY"]
    if submitted not in places and os.path.isdir(submitted):
        places.insert(0, submitted)
    sys.path[:0] = [place for place in places if os.path.isdir(place)]
    name = program.removesuffix(".py")
    spec = importlib.util.find_spec(name)
    origin = os.path.realpath(spec.origin) if spec is not None and spec.origin else ""
    if not any(origin.startswith(os.path.realpath(place) + os.sep) for place in places):
        raise HandlerUnusable(
            f"code/{name.replace('.', '/')}.py is missing: the package must have it "
            f"(SAGEMAKER_PROGRAM is {program!r}), with model_fn and predict_fn or transform_fn"
        )
    return importlib.import_module(name)


_ARGUMENTS = {  # without the context
    "pre_model_fn": ("model_dir",),
    "model_fn": ("model_dir",),
    "model_warmup_fn": ("model_dir", "model"),
    "transform_fn": ("model", "input_data", "content_type", "accept"),
    "input_fn": ("input_data", "content_type"),
    "predict_fn": ("data", "model"),
    "output_fn": ("prediction", "accept"),
}


class _Functions:
    """The user's functions, each called with or without the context as its number of parameters says."""

    def __init__(self, module: ModuleType, context: Context) -> None:
        self._context = context
        self._functions = {name: getattr(module, name, None) for name in _ARGUMENTS}
        self._check_presence(module.__name__)
        self._takes_context = {
            name: _takes_context(name, function, _ARGUMENTS[name])
            for name, function in self._functions.items()
            if function is not None
        }

    def has(self, name: str) -> bool:
        """True if the user wrote that function."""
        return self._functions[name] is not None

    def call(self, name: str, *arguments: Any) -> Any:
        """Its result; None if the user did not write it."""
        function = self._functions[name]
        if function is None:
            return None
        return function(*arguments, self._context) if self._takes_context[name] else function(*arguments)

    def _check_presence(self, module_name: str) -> None:
        if not self.has("model_fn"):
            raise HandlerUnusable(f"{module_name} has no model_fn(model_dir): it must load and return the model")
        others = [name for name in ("input_fn", "predict_fn", "output_fn") if self.has(name)]
        if self.has("transform_fn") and others:
            raise HandlerUnusable(
                f"{module_name} has transform_fn and {', '.join(others)}: transform_fn stands for all three"
            )
        if not self.has("transform_fn") and not self.has("predict_fn"):
            raise HandlerUnusable(
                f"{module_name} has neither predict_fn(data, model) nor "
                "transform_fn(model, input_data, content_type, accept): one of them is needed"
            )


def _takes_context(name: str, function: Any, arguments: tuple[str, ...]) -> bool:
    if not callable(function):
        raise HandlerUnusable(f"{name} is a {type(function).__name__}: it cannot be called")
    if inspect.iscoroutinefunction(function):
        raise HandlerUnusable(f"{name} is async: a worker calls plain functions, one job at a time")
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # a type or function of C that does not tell: `model_fn = str`
        return False
    named = [one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    count = len(named)
    if count < len(arguments) and any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return False
    if count not in (len(arguments), len(arguments) + 1):
        raise HandlerUnusable(
            f"{name} has {count} parameters; it is called with ({', '.join(arguments)}) and, if it has one more, "
            "the context"
        )
    return count == len(arguments) + 1


class HandlerRefused(Exception):
    """The handler set a status from 400 on."""

    remedy = "Mend the input as the message says: the handler refused it."

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.details = {"status_code": status}


def _transform(functions: _Functions, model: Any, request: Request, context: Context, default_accept: str) -> Answer:
    accept = default_accept if request.accept in ("", "*/*") else request.accept
    data: Any = request.body
    if request.media_type in UTF8_TYPES:
        data = data.decode("utf-8")
    if functions.has("transform_fn"):
        result = functions.call("transform_fn", model, data, request.media_type, accept)
    else:
        result = _three_steps(functions, model, data, request.media_type, accept)
    synchronise()
    media_type = accept.split(",")[0].strip()
    if isinstance(result, tuple):
        result, media_type = result[0], result[1]
    body = _body(result)
    status, phrase = context.get_response_status(0)
    if status >= 400:
        raise HandlerRefused(status, phrase or body.decode("utf-8", "replace"))
    return Answer(body, media_type, {})


def _three_steps(functions: _Functions, model: Any, data: Any, content_type: str, accept: str) -> Any:
    reads = functions.has("input_fn")
    data = functions.call("input_fn", data, content_type) if reads else _decode(data, content_type)
    prediction = functions.call("predict_fn", data, model)
    synchronise()
    if functions.has("output_fn"):
        return functions.call("output_fn", prediction, accept)
    return _encode(prediction, accept)


def _body(result: Any) -> bytes:
    if isinstance(result, str):
        return result.encode("utf-8")
    if isinstance(result, Bytes):
        return bytes(result)
    return json_bytes(result)


class FormatUnsupported(Exception):
    """Without a function of the user's own, only the toolkit's formats are read and written."""

    error_type = "unsupported_media_type"
    remedy = f"Send and accept one of {JSON}, {CSV}, {NPY} (the last two need numpy), or write input_fn and output_fn."


def _numpy(what_for: str) -> Any:
    try:
        return importlib.import_module("numpy")
    except ImportError as error:
        raise FormatUnsupported(f"{what_for} without numpy: add numpy to code/requirements.txt") from error


def _decode(data: Any, content_type: Optional[str]) -> Any:
    """The documented defaults of input_fn: a numpy array from JSON, CSV or NPY; of a JSON object, the object.

    (The plain toolkit wraps an object into an array of no dimensions; Hugging Face's gives it as it is.)
    """
    if content_type not in (JSON, CSV, NPY):
        raise FormatUnsupported(f"content type {content_type} needs an input_fn; without one: {JSON}, {CSV}, {NPY}")
    parsed = json.loads(data) if content_type == JSON else None
    if isinstance(parsed, (dict, str)):
        return parsed
    numpy = _numpy("there is no input_fn, and its default makes an array:")
    if content_type == JSON:
        return numpy.array(parsed)
    if content_type == CSV:
        return numpy.genfromtxt(io.StringIO(data), delimiter=",")
    return numpy.load(io.BytesIO(data), allow_pickle=False)


def _encode(prediction: Any, accept: str) -> tuple[Any, str]:
    """The toolkit's documented default of output_fn: JSON, CSV or NPY, whichever `accept` names first."""
    wanted = [one.strip() for one in accept.split(",")]
    media_type = next((one for one in wanted if one in (JSON, CSV, NPY)), None)
    if media_type is None:
        raise FormatUnsupported(f"accept {accept} needs an output_fn; without one: {JSON}, {CSV}, {NPY}")
    if media_type == JSON:
        return json_bytes(_plain(prediction)), media_type
    numpy = _numpy(f"there is no output_fn, and its default for {media_type} writes an array:")
    if media_type == CSV:
        text = io.StringIO()
        numpy.savetxt(text, prediction, delimiter=",", fmt="%s")
        return text.getvalue(), media_type
    binary = io.BytesIO()
    numpy.save(binary, prediction, allow_pickle=False)
    return binary.getvalue(), media_type


def _plain(value: Any) -> Any:
    """Arrays and their scalars, at any depth, as lists and numbers."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value.tolist() if hasattr(value, "tolist") else value
