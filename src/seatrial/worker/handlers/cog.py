"""Cog's layout: `predict.py:Predictor`, a class with `setup` and `predict` (or `run`), or a function; and `train`.

The `cog` of the package's environment brings the classes that the code imports; its server does not run. What a call
gets and what becomes of its answer is as in Cog's own worker (replicate/cog 0.23, `crates/coglet-python`): files as
`cog.Path`, secrets as `cog.Secret`, limits of `Input`, models, data classes, arrays and files in the answer, chunks of
generators, and `CancelationException` where a prediction is cancelled.
"""

# ruff: noqa: TID252, UP045  (the worker loads this package under a private name; Python 3.9)
from __future__ import annotations

import asyncio
import enum
import importlib
import importlib.util
import inspect
import json
import os
import pathlib
import re
import signal
import sys
import threading
import typing
import warnings
from types import ModuleType
from typing import Any, Callable, Optional

from ..answer import JSON, Answer, json_bytes
from ..cog_answer import Encoded, encode, file_answer
from ..cog_scope import Metrics, offer_scope
from ..context import Context
from ..failure import HandlerUnusable
from ..request import Request
from ..vitals import synchronise

EXTRAS = "hidden_cog"  # the attribute with what a request had beside its input: context, …
TRAIN = "train"
_LEFT_OUT = object()


class InputRefused(Exception):
    """A value outside of the limits that `Input` sets; the server knows most of them before."""

    error_type = "invalid_field"

    def __init__(self, field: str, message: str, valid: str) -> None:
        super().__init__(message)
        self.field = field
        self.valid = valid


def load(order: dict[str, Any], context: Context) -> Callable[[Request], Answer]:
    """Import the code, make the predictor and run its `setup`.

    Raises:
        HandlerUnusable: the environment has no `cog`, or the code does not have what `cog.yaml` names.
    """
    sys.path.insert(0, order["package"])
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"cog(\..*)?")
    cog = _cog()
    handler = _Handler(cog, order, context)
    handler.set_up()
    return handler


def _cog() -> ModuleType:
    try:
        return importlib.import_module("cog")
    except ModuleNotFoundError as error:
        if error.name != "cog":
            raise
        raise HandlerUnusable("the package's environment has no `cog`: name it in its requirements") from None


def _member(ref: str, package: str) -> Any:
    """What `file.py:Name` names; the module is known by the file's name, as at Cog."""
    file, _, name = ref.partition(":")
    path = os.path.join(package, file)
    module_name = os.path.basename(file)[: -len(".py")] if file.endswith(".py") else os.path.basename(file)
    module = sys.modules.get(module_name)
    if getattr(module, "__file__", None) != path:
        spec = importlib.util.spec_from_file_location(module_name, path)
        if spec is None or spec.loader is None or not os.path.isfile(path):
            raise HandlerUnusable(f"{file} is missing, and cog.yaml names {ref!r}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if found is None:
        raise HandlerUnusable(f"{file} has no {name!r}, and cog.yaml names {ref!r}")
    return found


class _Handler:
    """Answers one request after another: `predict` by the predictor, `train` by its function."""

    def __init__(self, cog: ModuleType, order: dict[str, Any], context: Context) -> None:
        self._cog = cog
        self._package = order["package"]
        self._train_ref = order["task_methods"].get(TRAIN)
        self._train: Optional[_Function] = None
        self._context = context
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._metrics = Metrics()
        self._job_id = ""
        offer_scope(self._metrics)
        found = _member(order["handler"], self._package)
        self._instance = found() if inspect.isclass(found) else None
        if self._instance is None:
            self._predict = _Function(found, cog)
        else:
            self._predict = _Function(_method(self._instance, order["handler"]), cog)
        self._stop = _Stop(getattr(cog, "CancelationException", None), self._loop)
        context.on_cancel(self._stop.ask)

    def set_up(self) -> None:
        """Run `setup`, with the weights that COG_WEIGHTS names where it takes some."""
        setup = getattr(self._instance, "setup", None)
        if setup is None:
            return
        takes = inspect.signature(setup).parameters
        given = {"weights": os.environ.get("COG_WEIGHTS") or None} if "weights" in takes else {}
        done = setup(**given)
        if inspect.isawaitable(done):
            self._loop.run_until_complete(done)

    def __call__(self, request: Request) -> Answer:
        """The answer of one prediction or training.

        Raises:
            Exception: what the code raised.
            InputRefused: a value is outside of its limits.
        """
        function = self._function(request.task)
        extras = json.loads(request.attributes.get(EXTRAS, "{}"))
        self._metrics.begin(
            extras.get("context") or {}, lambda told: self._context.tells.progress(request.job_id, told)
        )
        arguments = function.arguments(request.fields())
        self._job_id = request.job_id
        self._stop.begin(request.job_id)
        try:
            value = self._value(function(**arguments))
        finally:
            self._stop.end()
            self._metrics.end()
            for one in arguments.values():
                if hasattr(one, "close") and hasattr(one, "read"):
                    one.close()
        return value if isinstance(value, Answer) else _whole(value)

    def _function(self, task: Optional[str]) -> _Function:
        if task != TRAIN or self._train_ref is None:
            return self._predict
        if self._train is None:
            self._train = _Function(_member(self._train_ref, self._package), self._cog)
        return self._train

    def _value(self, returned: Any) -> Any:
        """What was returned, awaited; a generator as the list of all that it yields, each told as it comes."""
        if inspect.isasyncgen(returned):
            return self._stop.run(self._told_async(returned))
        if inspect.isawaitable(returned):
            returned = self._stop.run(returned)
        if inspect.isgenerator(returned):
            return [self._tell(one) for one in returned]
        return _encoded(returned)

    async def _told_async(self, chunks: Any) -> list[Encoded]:
        return [self._tell(one) async for one in chunks]

    def _tell(self, chunk: Any) -> Encoded:
        """Encoded at once: its files may be written over by the next one."""
        encoded = encode(chunk, keeps=True)
        self._context.tells.chunk(self._job_id, json_bytes(encoded.told()))
        return encoded


def _method(instance: Any, ref: str) -> Any:
    for name in ("run", "predict"):
        owner = next((one for one in type(instance).__mro__ if name in vars(one)), None)
        if owner is not None and not owner.__module__.startswith("cog."):
            return getattr(instance, name)
    raise HandlerUnusable(f"{type(instance).__name__} has no method predict or run, and cog.yaml names {ref!r}")


def _encoded(value: Any) -> Any:
    synchronise()
    return file_answer(value) or encode(value)


def _whole(value: Any) -> Answer:
    """The answer: JSON, with the files that were in it beside it."""
    parts: dict[str, Any] = {}
    if isinstance(value, Encoded):
        return Answer(json_bytes(value.value), JSON, value.files)
    whole = []
    for number, chunk in enumerate(value):
        whole.append(chunk.value)
        parts.update({f"{number}/{place}" if place else str(number): file for place, file in chunk.files.items()})
    return Answer(json_bytes(whole), JSON, parts)


class _Function:
    """What is called, with its parameters."""

    def __init__(self, function: Any, cog: ModuleType) -> None:
        if not callable(function):
            raise HandlerUnusable(f"a {type(function).__name__} cannot be called")
        self._function = function
        self._cog = cog
        self._parameters = inspect.signature(function).parameters
        try:
            self._hints = typing.get_type_hints(function)
        except Exception:  # noqa: BLE001  user code: a name that only a type checker knows
            self._hints = dict(getattr(function, "__annotations__", {}))

    def __call__(self, **arguments: Any) -> Any:
        return self._function(**arguments)

    def arguments(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields in the types that the parameters have, and the defaults of those that were left out.

        Raises:
            InputRefused: a value is outside of its limits.
        """
        found: dict[str, Any] = {}
        for name, parameter in self._parameters.items():
            info = parameter.default if type(parameter.default).__name__ == "FieldInfo" else None
            if name in fields:
                if info is not None:
                    _refuse_outside(info, name, fields[name])
                found[name] = self._typed(fields[name], self._hints.get(name))
                continue
            default = parameter.default if info is None else info.default
            if default is inspect.Parameter.empty or type(default).__name__ == "PydanticUndefinedType":
                found[name] = None  # the server lets only optional ones be left out
            elif info is not None and default is not Ellipsis:
                found[name] = self._typed(default, self._hints.get(name))
        return found

    def _typed(self, value: Any, hint: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, list):
            inner = next(iter(typing.get_args(_without_none(hint))), None)
            return [self._typed(one, inner) for one in value]
        kind: Any = _without_none(hint)
        if isinstance(value, pathlib.PurePath):
            return open(value, "rb") if kind is getattr(self._cog, "File", None) else self._cog.Path(value)
        if kind is getattr(self._cog, "Secret", _LEFT_OUT) and isinstance(value, str):
            return self._cog.Secret(value)
        if kind is int and isinstance(value, float):
            return int(value)
        if inspect.isclass(kind) and issubclass(kind, enum.Enum):
            return kind(value)
        return value


def _without_none(hint: Any) -> Any:
    """`X` of `Optional[X]`."""
    options = [one for one in typing.get_args(hint) if one is not type(None)]
    is_union = len(options) < len(typing.get_args(hint))
    return options[0] if is_union and len(options) == 1 else hint


def _refuse_outside(info: Any, name: str, value: Any) -> None:
    """Limits that no file tells: those that the code computes."""
    if info.choices is not None and value is not None:
        choices = [getattr(one, "value", one) for one in info.choices]
        if any(one not in choices for one in (value if isinstance(value, list) else [value])):
            raise InputRefused(name, f"{name!r} must be one of its choices", ", ".join(map(str, choices)))
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, (int, float)) and not isinstance(one, bool):
            least, most = info.ge, info.le
            if (least is not None and one < least) or (most is not None and one > most):
                raise InputRefused(name, f"{name!r} is out of range", f"{least} to {most}")
        elif isinstance(one, str):
            least, most = info.min_length or 0, info.max_length
            if len(one) < least or (most is not None and len(one) > most):
                raise InputRefused(name, f"{name!r} is too short or too long", f"{least} to {most} characters")
            if info.regex is not None and not re.match(info.regex, one):
                raise InputRefused(name, f"{name!r} does not match", str(info.regex))


class _Stop:
    """Stops what is at work: an async one by cancelling its task, another by Cog's exception in the main thread."""

    def __init__(self, exception: Optional[Callable[[str], BaseException]], loop: asyncio.AbstractEventLoop) -> None:
        self._exception: Callable[[str], BaseException] = exception or KeyboardInterrupt
        self._loop = loop
        self._task: Optional[asyncio.Future[Any]] = None
        self._job_id = ""
        self._asked = ""
        signal.signal(signal.SIGUSR1, self._raise)

    def begin(self, job_id: str) -> None:
        self._job_id = job_id

    def end(self) -> None:
        self._job_id = ""

    def run(self, work: Any) -> Any:
        """Run a coroutine to its end."""
        self._task = asyncio.ensure_future(work, loop=self._loop)
        try:
            return self._loop.run_until_complete(self._task)
        finally:
            self._task = None

    def ask(self, job_id: str) -> None:
        """Stop that job, if it is at work. From another thread."""
        task = self._task
        if task is not None:
            self._loop.call_soon_threadsafe(task.cancel)
            return
        self._asked = job_id
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def _raise(self, number: int, frame: Any) -> None:
        if self._job_id and self._asked == self._job_id:
            self._asked = ""
            raise self._exception("Prediction was cancelled")
