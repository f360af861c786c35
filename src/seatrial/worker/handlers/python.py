"""Seatrial's own layout: `module:Class` with a method per task, or `module:function`.

A class may have a method `cancel(job_id)`: see `Context.on_cancel`.
"""

# ruff: noqa: TID252  (the worker loads this package under a private name)
from __future__ import annotations

import importlib
import inspect
import sys
from typing import Any, Callable, Optional

from ..answer import Answer, answer
from ..context import Context
from ..failure import HandlerUnusable
from ..request import Request
from ..vitals import synchronise

# ruff: noqa: UP045  (Python 3.9)
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def load(order: dict[str, Any], context: Context) -> Callable[[Request], Answer]:
    """Import the handler, make its object once, and check that every task has its method.

    Raises:
        HandlerUnusable: something that the contract names is not there.
    """
    sys.path.insert(0, order["package"])
    module_name, _, attribute = (order["handler"] or "").partition(":")
    if not module_name or not attribute:
        raise HandlerUnusable(f"the handler {order['handler']!r} is not of the form module:Class or module:function")
    module = importlib.import_module(module_name)
    found = getattr(module, attribute, None)
    if found is None:
        raise HandlerUnusable(f"module {module_name!r} has no {attribute!r}: the handler names it")
    if inspect.isclass(found):
        instance = _construct(found, context)
        methods = _methods(instance, order["task_methods"])
        _offer_hook(instance, order["task_methods"], context)
    else:
        methods = dict.fromkeys([*order["task_methods"], None], _Method(found, attribute))

    def handle(request: Request) -> Answer:
        value = _method_for(methods, request.task)(request, context)
        synchronise()
        return answer(value)

    return handle


def _construct(kind: type, context: Context) -> Any:
    try:
        parameters = [
            one
            for one in inspect.signature(kind).parameters.values()
            if one.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        ]
    except ValueError:  # a type made in C has no signature
        parameters = []
    required = [one.name for one in parameters if one.default is inspect.Parameter.empty]
    if len(required) > 1:
        raise HandlerUnusable(
            f"{kind.__name__}({', '.join(required)}) cannot be made: it is called with the context, or with nothing"
        )
    return kind(context) if required or any(one.name == "context" for one in parameters) else kind()


def _methods(instance: Any, names: dict[str, str]) -> dict[Optional[str], _Method]:
    missing = sorted({name for name in names.values() if not callable(getattr(instance, name, None))})
    if missing:
        raise HandlerUnusable(
            f"{type(instance).__name__} has no method {', '.join(missing)}; "
            f"the contract needs: {', '.join(sorted(set(names.values())))}"
        )
    if not names:
        raise HandlerUnusable("the contract names no task: there is nothing to call")
    methods: dict[Optional[str], _Method] = {
        task: _Method(getattr(instance, name), f"{type(instance).__name__}.{name}") for task, name in names.items()
    }
    if len(methods) == 1:
        methods[None] = next(iter(methods.values()))
    return methods


def _offer_hook(instance: Any, names: dict[str, str], context: Context) -> None:
    """`cancel(job_id)` is called to stop a job at work, unless it is the method of a task."""
    hook = getattr(instance, "cancel", None)
    if not callable(hook) or "cancel" in names.values():
        return
    try:
        inspect.signature(hook).bind("job")
    except (TypeError, ValueError):
        print(f"{type(instance).__name__}.cancel does not take a job's id alone: it is not called to stop a job")
    else:
        context.on_cancel(hook)


def _method_for(methods: dict[Optional[str], _Method], task: Optional[str]) -> _Method:
    method = methods.get(task)
    if method is None:
        raise HandlerUnusable(f"there is no task {task!r}; valid: {', '.join(sorted(filter(None, methods)))}")
    return method


class _Method:
    """A method or function that takes fields as keyword arguments, and `task` and `context` where it names them."""

    def __init__(self, function: Any, name: str) -> None:
        if not callable(function):
            raise HandlerUnusable(f"{name} is a {type(function).__name__}: it cannot be called")
        if inspect.iscoroutinefunction(function):
            raise HandlerUnusable(f"{name} is async: a worker calls plain functions, one job at a time")
        parameters = inspect.signature(function).parameters.values()
        nameless = [one.name for one in parameters if one.kind is inspect.Parameter.POSITIONAL_ONLY]
        if nameless:
            raise HandlerUnusable(f"{name} takes {', '.join(nameless)} by position: fields come as keywords")
        self._function = function
        self._name = name
        self._accepted = {one.name for one in parameters if one.kind in _NAMED}
        self._accepts_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)

    def __call__(self, request: Request, context: Context) -> Any:
        fields = request.fields()
        unknown = [] if self._accepts_any else sorted(set(fields) - self._accepted)
        if unknown:
            raise HandlerUnusable(
                f"{self._name} does not take {', '.join(unknown)}; it takes: {', '.join(sorted(self._accepted))}"
            )
        if "task" in self._accepted:
            fields.setdefault("task", request.task)
        if "context" in self._accepted:
            fields.setdefault("context", context)
        return self._function(**fields)
