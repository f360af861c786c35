"""AWS Lambda's layout: `module.function`, called with (event, context).

How the module is found, what its errors are called, and what the context has are as in AWS's own runtime
(aws/aws-lambda-python-runtime-interface-client 4.2, `bootstrap.py` and `lambda_context.py`); so are the lines that AWS
writes around an invocation.
"""

# ruff: noqa: TID252, UP045  (the worker loads this package under a private name; Python 3.9)
from __future__ import annotations

import decimal
import importlib
import json
import logging
import math
import os
import platform
import sys
import time
import traceback
from typing import Any, Callable, Mapping, Optional  # noqa: UP035

from ..answer import JSON, Answer, NotSerialisable, json_bytes
from ..context import Context
from ..failure import HandlerUnusable, last_lines, load_remedy
from ..request import Request
from ..vitals import Vitals, synchronise

EXTRAS = "hidden_lambda"  # the attribute with what a client gave beside the event: function_arn, client_context, …
VERSION = "$LATEST"
DEFAULT_MEMORY_MIB = 10_240  # where nothing limits the worker: AWS's largest function
MIB = 1_048_576
ACCOUNT = "000000000000"

Function = Callable[[Any, Any], Any]


class InitError(HandlerUnusable):
    """The function cannot be called at all; the message begins with AWS's word for why."""

    def __init__(self, kind: str, message: str, error: Optional[BaseException], order: Mapping[str, Any]) -> None:
        super().__init__(f"{kind}: {message}")
        if error is not None:
            self.remedy = load_remedy(error, dict(order))
            self.details = {"exception": type(error).__name__, "traceback": last_lines(error)}


def load(order: dict[str, Any], context: Context) -> Callable[[Request], Answer]:
    """Set AWS's variables and its form of log, and import the function.

    Raises:
        InitError: the module or the function is not there, or cannot be imported.
    """
    began = time.perf_counter()
    _set_environment(order)
    sys.path[:0] = [order["package"], *_layer_folders(order["layers"])]
    current = _Current()
    _log_as_at_aws(current)
    try:
        function = _function(order)
    except BaseException:
        print(f"INIT_REPORT Init Duration: {_ms(began)} ms\tPhase: init\tStatus: error\t", flush=True)
        raise
    print(f"INIT_REPORT Init Duration: {_ms(began)} ms\tPhase: init\tStatus: success\t", flush=True)
    return _Handler(function, current, f"Init Duration: {_ms(began)} ms")


def _layer_folders(layers: list[str]) -> list[str]:
    """Where modules of layers are imported from."""
    version = ".".join(platform.python_version_tuple()[:2])
    inner = (os.path.join("python", "lib", f"python{version}", "site-packages"), "python")
    return [os.path.join(layer, folder) for layer in layers for folder in inner]


def _set_environment(order: dict[str, Any]) -> None:
    name, limit_bytes = order["endpoint_name"], order["memory_bytes_max"]
    python = ".".join(platform.python_version_tuple()[:2])
    os.environ.update(
        {
            "_HANDLER": order["handler"] or "",
            "LAMBDA_TASK_ROOT": order["package"],
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": VERSION,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(limit_bytes // MIB if limit_bytes else DEFAULT_MEMORY_MIB),
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": os.environ.get("SEATRIAL_WORKER", ""),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{python}",
        }
    )


def _function(order: dict[str, Any]) -> Function:
    """Import it, with AWS's words for what can go wrong."""
    handler: str = order["handler"] or ""
    module_name, dot, name = handler.rpartition(".")
    if not dot:
        raise InitError("Runtime.MalformedHandlerName", f"Bad handler '{handler}': it is no module.function", None, {})
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise InitError(
            "Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}", error, order
        ) from error
    except SyntaxError as error:
        raise InitError(
            "Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {error}", error, order
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        raise InitError("Runtime.HandlerNotFound", f"Handler '{name}' missing on module '{module_name}'", None, {})
    found: Function = function
    return found


class _Handler:
    """Calls the function for one job after another, between AWS's lines of log."""

    def __init__(self, function: Function, current: _Current, init: str) -> None:
        self._function = function
        self._current = current
        self._vitals = Vitals()
        self._init = init  # told in the report of the first invocation

    def __call__(self, request: Request) -> Answer:
        """What the function returned, as JSON.

        Raises:
            Exception: what the function raised.
        """
        began = time.perf_counter()
        context = LambdaContext(request)
        self._current.request_id = request.job_id
        trace_id = context.extras.get("trace_id")
        os.environ.pop("_X_AMZN_TRACE_ID", None)
        if trace_id:
            os.environ["_X_AMZN_TRACE_ID"] = str(trace_id)
        print(f"START RequestId: {request.job_id} Version: {VERSION}", flush=True)
        try:
            value = self._function(request.json(), context)
            synchronise()
            return Answer(_marshalled(value), JSON, {})
        except Exception as error:
            print(f"[ERROR] {type(error).__name__}: {error}\n{''.join(traceback.format_tb(error.__traceback__)[1:])}")
            raise
        finally:
            self._report(request.job_id, began, context)
            self._current.request_id = ""

    def _report(self, job_id: str, began: float, context: LambdaContext) -> None:
        took_ms = _ms(began)
        init, self._init = self._init, ""
        words = [
            f"REPORT RequestId: {job_id}",
            f"Duration: {took_ms} ms",
            f"Billed Duration: {math.ceil(float(took_ms))} ms",
            f"Memory Size: {context.memory_limit_in_mb} MB",
            f"Max Memory Used: {math.ceil(self._vitals.peak_bytes() / MIB)} MB",
        ]
        print(f"END RequestId: {job_id}\n" + "\t".join([*words, init]), flush=True)


class _Named:
    """An object with the given attributes, None where the mapping has none."""

    def __init__(self, names: tuple[str, ...], given: Mapping[str, Any]) -> None:
        for name in names:
            setattr(self, name, given.get(name))

    def __repr__(self) -> str:
        return f"({', '.join(f'{name}={value}' for name, value in vars(self).items())})"


class LambdaContext:
    """What AWS's runtime gives as `context`."""

    def __init__(self, request: Request) -> None:
        variables = os.environ
        self.extras: dict[str, Any] = json.loads(request.attributes.get(EXTRAS, "{}"))
        self.aws_request_id = request.job_id
        self.log_group_name = variables["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = variables["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.function_name = variables["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = variables["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        region = variables.get("AWS_REGION") or variables.get("AWS_DEFAULT_REGION") or "us-east-1"
        plain = f"arn:aws:lambda:{region}:{ACCOUNT}:function:{self.function_name}"
        self.invoked_function_arn = self.extras.get("function_arn", plain)
        self.tenant_id = None
        self.identity = _Named(("cognito_identity_id", "cognito_identity_pool_id"), {})
        self.client_context = _client_context(self.extras.get("client_context"))
        self._until = time.monotonic() + request.timeout_ms / 1_000

    def get_remaining_time_in_millis(self) -> int:
        """How long the function may still run."""
        return max(0, int((self._until - time.monotonic()) * 1_000))

    def log(self, message: object) -> None:
        """Write to the log."""
        sys.stdout.write(str(message))

    def __repr__(self) -> str:
        shown = {name: value for name, value in vars(self).items() if name not in ("extras", "_until")}
        return f"LambdaContext([{','.join(f'{name}={value}' for name, value in shown.items())}])"


def _client_context(given: Optional[Mapping[str, Any]]) -> Optional[_Named]:
    if given is None:
        return None
    told = _Named(("custom", "env", "client"), given)
    names = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")
    client = given.get("client")
    if isinstance(client, Mapping):
        told.client = _Named(names, client)  # type: ignore[attr-defined]
    return told


# ------------------------------------------------------------------ answers and lines of log


def _marshalled(value: Any) -> bytes:
    """JSON; decimals are numbers, as in AWS's runtime.

    Raises:
        NotSerialisable: naming the first value that JSON cannot carry.
    """
    try:
        return json_bytes(value)
    except NotSerialisable:
        return json_bytes(_without_decimals(value))


def _without_decimals(value: Any) -> Any:
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {key: _without_decimals(one) for key, one in value.items()}
    return [_without_decimals(one) for one in value] if isinstance(value, (list, tuple)) else value


class _Current(logging.Filter):
    """Puts the id of the invocation at hand into lines of log."""

    request_id = ""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True."""
        record.aws_request_id = self.request_id
        return True


def _log_as_at_aws(current: _Current) -> None:
    handler = logging.StreamHandler(sys.stdout)
    formatter = logging.Formatter(
        "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(current)
    root = logging.getLogger()
    root.addHandler(handler)
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    if level in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        root.setLevel(level)


def _ms(began: float) -> str:
    return f"{(time.perf_counter() - began) * 1_000:.2f}"
