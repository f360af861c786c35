"""Every route and operation, asked with no key, a wrong key, a key of other endpoints, and a key with one scope alone.

What there is, is asked of the doors themselves: a route without a line in `authorisation` fails. The keys with one
scope ask for what is not there, so that whoever is let in changes nothing.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import pkgutil
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.dialects import authorisation as matrix
from tests.dialects.authorisation import BUCKET, ELSEWHERE, GHOST, GHOST_BUCKET, MINE, NEVER, OPEN, Row

import seatrial.http.doors
from seatrial.adapters.sql.lock import DataFolderLock
from seatrial.config import Settings
from seatrial.domain.credentials import EVERYTHING, GIVEN_SCOPES, KeyPair, KeyScope
from seatrial.domain.keys import KeyPlan
from seatrial.engine.deploy import Deployment
from seatrial.engine.keys import KeyMade
from seatrial.engine.submission import Submission
from seatrial.http.api.hot import HotRoutes
from seatrial.http.app import build_app, build_native
from seatrial.http.dialects.aws_lambda import runtime as runtime_dialect
from seatrial.http.dialects.s3.operations import Operation as S3Operation
from seatrial.http.doors.aws import AwsDoor
from seatrial.http.doors.cog import Capacity, CogDoor, CogPaths
from seatrial.http.doors.lambda_runtime import RuntimeDoor
from seatrial.http.doors.runpod import RunpodDoor
from seatrial.http.doors.studio import StudioDoor
from seatrial.wiring.parts import Folders, Server, private_folder, put_together

URL = "http://seatrial.test"
MARKER = "the word that only harbour's own may read"
PACKAGE = Path(__file__).resolve().parents[1] / "packages" / "echo"
NOBODY, STRANGER, OTHER = "nobody", "stranger", "other"
WHO = (NOBODY, STRANGER, OTHER, *GIVEN_SCOPES)

DOORS: Mapping[str, Mapping[str, Row]] = {
    "native": matrix.NATIVE,
    "runpod": matrix.RUNPOD,
    "lambda-runtime": matrix.LAMBDA_RUNTIME,
    "studio": matrix.STUDIO,
    "cog": matrix.COG,
    "cog-paths": matrix.COG,
    "sagemaker": matrix.SAGEMAKER,
    "logs": matrix.LOGS,
    "sts": matrix.STS,
    "sns": matrix.SNS,
    "lambda": matrix.LAMBDA,
    "sagemaker-runtime": matrix.RUNTIME,
    "application-autoscaling": matrix.AUTOSCALING,
    "monitoring": matrix.CLOUDWATCH,
    "s3": matrix.S3,
}
ROWS = [(door, route) for door, rows in DOORS.items() for route in rows]
# ASGI applications of the doors that are asked for without a key: by a token, in links that SNS's envelopes carry.
BY_TOKEN = {"SnsLinks"}


@dataclass(frozen=True)
class Caller:
    """Who asks: a bearer key and a key pair, or nothing."""

    api_key: str | None
    pair: KeyPair | None


@dataclass(frozen=True)
class Answer:
    status: int
    text: str


@dataclass(frozen=True)
class Ask:
    """A request; `service` None: not one of AWS's."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] | None = None
    service: str | None = None
    app: str = "main"


Names = Mapping[str, str]


# ---------------------------------------------------------------- what there is


def there_is(server: Server) -> dict[str, set[str]]:
    """Every route and operation, as the doors tell."""
    services = server.services
    native = {
        f"{method} {route.path}"
        for route in _leaves(build_native(services).routes)
        for method in route.methods - {"HEAD"}
    }
    told = {
        "native": {_named(route) for route in native | set(HotRoutes(services)._routes)},
        "runpod": {_runpod_route(key) for key in RunpodDoor(services)._routes},
        "lambda-runtime": {f"{method} {path}" for method, path in RuntimeDoor(services)._routes}
        | {f"POST {runtime_dialect.VERSION}/invocation/{{id}}/{what}" for what in ("response", "error")},
        "studio": {
            f"{method} {path.replace('{job_id}', '{id}')}"
            for method, path in StudioDoor(services, MINE, keyless=False)._routes
        },
        "cog": _cog_routes(_cog_door(services)),
        "cog-paths": _cog_routes(CogPaths(services, Capacity.QUEUE)),
    }
    for name, door in AwsDoor(services)._doors.items():
        told[name] = _operations(name, door)
    return told


def _cog_door(services: Any) -> CogDoor:
    return CogDoor(services, MINE, keyless=False, capacity=Capacity.QUEUE)


def _cog_routes(door: CogDoor | CogPaths) -> set[str]:
    return {f"{method} {path.replace('{prediction_id}', '{id}')}" for method, path in door._routes.routes}


def _leaves(routes: Sequence[Any]) -> Iterator[Any]:
    """The routes, those of included routers too."""
    for route in routes:
        included = getattr(route, "original_router", None)
        yield from [route] if included is None else _leaves(included.routes)


def _named(route: str) -> str:
    """A route with its parameter named after what it identifies."""
    for folder, name in (("deliveries", "delivery"), ("keys", "key"), ("triggers", "trigger")):
        route = route.replace(f"/v1/{folder}/{{id}}", f"/v1/{folder}/{{{name}}}")
    return route


def _runpod_route(key: tuple[str, str, int]) -> str:
    method, verb, further = key
    from_worker = verb.startswith("job-") or verb == "ping"
    return "/".join([f"{method} {verb}", *(["{worker}", "{id}"] if from_worker else ["{id}"])[:further]])


def _operations(name: str, door: Any) -> set[str]:
    if name == "s3":
        return {operation.value for operation in S3Operation}
    if name == "sts":
        return {"GetCallerIdentity"}  # the whole of it: see StsDoor
    operations = {**door._operations, **getattr(door, "_of_layers", {})}
    if name in ("lambda", "sagemaker-runtime"):
        return {value[0] for value in operations.values()}
    return set(operations)


def asgi_doors() -> set[str]:
    """Every class among the doors that is an ASGI application."""
    found = set()
    for module in pkgutil.walk_packages(seatrial.http.doors.__path__, "seatrial.http.doors."):
        for name, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            call = kind.__dict__.get("__call__") if kind.__module__ == module.name else None
            if call is not None and list(inspect.signature(call).parameters) == ["self", "scope", "receive", "send"]:
                found.add(name)
    return found


def test_every_door_is_in_the_matrix() -> None:
    assert asgi_doors() == {"AwsDoor", "CogDoor", "CogPaths", "RunpodDoor", "RuntimeDoor", "StudioDoor"} | BY_TOKEN


# ---------------------------------------------------------------- asking


def ask_of(door: str, route: str, row: Row, names: Names) -> Ask:
    """The request of a line."""
    if door in ("sagemaker", "logs", "application-autoscaling", "monitoring"):
        target = {"X-Amz-Target": f"{names[door]}.{route}", "Content-Type": "application/x-amz-json-1.0"}
        return Ask("POST", "/", _json(row.body, names), target, names["signed:" + door])
    if door in ("sts", "sns"):
        form = {"Action": route, "Version": names["version:" + door], **row.body}
        return Ask("POST", "/", urlencode(form).encode(), {"Content-Type": matrix.FORM}, door)
    *_, method, path = route.split()
    path = _filled(path, names)
    body = b"" if row.body is None else _json(row.body, names)
    headers = {"Content-Type": "application/json"} if body else {}
    headers |= {name: _filled(value, names) for name, value in row.headers.items()}
    if door == "s3":
        return Ask(method, path, b"<Delete/>" if "?delete" in path else b"", headers, "s3")
    if door in ("lambda", "sagemaker-runtime"):
        return Ask(method, path, body, headers, "lambda" if door == "lambda" else "sagemaker")
    prefix = {"runpod": f"/v2/{names['name']}/", "lambda-runtime": f"/v1/endpoints/{names['name']}/lambda/w"}
    prefix["cog-paths"] = f"/cog/{names['name']}"
    app = door if door in ("studio", "cog") else "main"
    return Ask(method, prefix.get(door, "") + path, body, headers, None, app)


def _json(body: Any, names: Names) -> bytes:
    return _filled(json.dumps(body), names).encode()


def _filled(text: str, names: Names) -> str:
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return text


class Clients:
    """Asks the server's own applications, in this process."""

    def __init__(self, server: Server) -> None:
        self._slots = asyncio.Semaphore(100)  # thousands at once, and the database is not as quick as health wants it
        apps = {
            "main": build_app(server.services),
            "studio": StudioDoor(server.services, MINE, keyless=False),
            "cog": _cog_door(server.services),
        }
        self._clients = {name: httpx.AsyncClient(transport=httpx.ASGITransport(app)) for name, app in apps.items()}  # type: ignore[arg-type]

    async def ask(self, ask: Ask, caller: Caller) -> Answer:
        headers = dict(ask.headers or {})
        if ask.service is None and caller.api_key is not None:
            headers["Authorization"] = f"Bearer {caller.api_key}"
        if ask.service is not None and caller.pair is not None:
            headers = _signed(ask, headers, caller.pair)
        async with self._slots:
            answer = await self._clients[ask.app].request(
                ask.method, URL + ask.path, content=ask.body, headers=headers, timeout=60
            )
        return Answer(answer.status_code, answer.text)


def _signed(ask: Ask, headers: Mapping[str, str], pair: KeyPair) -> dict[str, str]:
    request = AWSRequest(ask.method, URL + ask.path, headers=dict(headers), data=ask.body)
    kind = S3SigV4Auth if ask.service == "s3" else SigV4Auth
    kind(Credentials(pair.access_key_id, pair.secret_access_key), ask.service, "us-east-1").add_auth(request)
    return dict(request.headers.items())


# ---------------------------------------------------------------- the server, asked once for all


@dataclass(frozen=True)
class Told:
    """What the server has, and what it answered: by door, route and who asked."""

    routes: Mapping[str, set[str]]
    answers: Mapping[tuple[str, str, str], Answer]
    ghosts: Mapping[tuple[str, str], Answer]  # what the other key is told of things that never were
    names: Names


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return asyncio.run(_told(tmp_path_factory.mktemp("matrix")))


async def _told(folder: Path) -> Told:
    data = private_folder(folder / "data")
    async with AsyncExitStack() as stack:
        home = stack.enter_context(DataFolderLock(data)).home()
        settings = Settings(data=data, drill_seconds=0)
        server = await stack.enter_async_context(put_together(settings, Folders(data), home, URL))
        rounds = server.rounds()
        try:
            names = await _furnish(server)
            return await _ask_all(server, names)
        finally:
            server.services.submitter.drain()
            server.dispatcher.drain()
            server.services.outside.close()
            await server.deployer.close(0)
            await server.wind_up(rounds)


async def _furnish(server: Server) -> Names:
    """An endpoint with a job that names the marker, a bucket with an object that holds it."""
    services = server.services
    deployment = Deployment(MINE, services.keyring.owner.owner, EVERYTHING, PACKAGE, "echo", {"unproven": True})
    await server.deployer.create(deployment)
    while (await server.deployer.endpoint(MINE)).active_version is None:
        await server.deployer.wait(MINE, server.deployer.heard(MINE), 10)
    body = json.dumps({"text": MARKER}).encode()
    submission = Submission(MINE, "000000000000", EVERYTHING, "v1", body=body, webhooks=("http://127.0.0.1:9/hook",))
    accepted = await services.submitter.submit(submission)
    await services.inspector.wait(accepted.job_id, 60)
    await services.objects.create_bucket(BUCKET)
    sealed = await services.objects.stage(MARKER.encode(), 1_000)
    await services.objects.reveal(sealed, matrix.OBJECT, "text/plain", {})
    (delivery, *_) = await services.deliverer.deliveries(matrix.ALL_DELIVERIES)
    made = await services.keys.create(KeyPlan("of the matrix", frozenset({KeyScope.READ})))
    doors = AwsDoor(services)._doors
    prefixes = {name: doors[name]._shapes.target_prefix for name in matrix.JSON_SERVICES}  # type: ignore[attr-defined]
    signed = {f"signed:{name}": name for name in matrix.JSON_SERVICES}
    versions = {"version:sts": "2011-06-15", "version:sns": "2010-03-31"}
    mine = {"name": MINE, "id": accepted.job_id, "bucket": BUCKET, "worker": "w", "alarm": "a", "delivery": delivery.id}
    return {**mine, "key": made.key.id, "trigger": await matrix.trigger(services), **prefixes, **signed, **versions}


async def _ask_all(server: Server, names: Names) -> Told:
    clients = Clients(server)
    alarm = ask_of("monitoring", "PutMetricAlarm", matrix.CLOUDWATCH["PutMetricAlarm"], names)
    assert (await clients.ask(alarm, _root(server))).status == 200
    ghosts = {**names, "name": GHOST, "bucket": GHOST_BUCKET}
    ghosts |= {one: f"no-{one}" for one in ("id", "delivery", "key", "trigger", "alarm")}
    never = ghosts | {"name": NEVER}
    callers = await _callers(server)
    asked: dict[tuple[str, str, str], Awaitable[Answer]] = {}
    unreal: dict[tuple[str, str], Awaitable[Answer]] = {}
    for door, route in ROWS:
        row = DOORS[door][route]
        for who in WHO:
            given = ghosts if who in GIVEN_SCOPES else names
            asked[door, route, who] = clients.ask(ask_of(door, route, row, given), callers[who])
        unreal[door, route] = clients.ask(ask_of(door, route, row, never), callers[OTHER])
    answers = await asyncio.gather(*asked.values())
    further = await asyncio.gather(*unreal.values())
    return Told(
        there_is(server), dict(zip(asked, answers, strict=True)), dict(zip(unreal, further, strict=True)), names
    )


async def _callers(server: Server) -> dict[str, Caller]:
    keys = server.services.keys
    most = frozenset(GIVEN_SCOPES) - {KeyScope.ADMIN}
    others = KeyPlan("other", most, frozenset({ELSEWHERE}), frozenset({f"{ELSEWHERE}-bucket"}))
    made = {OTHER: _caller(await keys.create(others))}
    for scope in GIVEN_SCOPES:
        made[scope] = _caller(await keys.create(KeyPlan(scope, frozenset({scope}))))
    return made | {
        NOBODY: Caller(None, None),
        STRANGER: Caller("st_wrong", KeyPair("STAKNOBODYHASTHISONE", "wrong")),
    }


def _root(server: Server) -> Caller:
    keyring = server.services.keyring
    return Caller(keyring.credentials.api_key, keyring.pair_of(keyring.owner))


def _caller(made: KeyMade) -> Caller:
    return Caller(made.api_key, KeyPair(made.access_key_id, made.secret_access_key))


# ---------------------------------------------------------------- what has to hold


def test_every_route_and_operation_has_a_line(told: Told) -> None:
    lines = {
        door: {route.split()[0] if door in ("lambda", "sagemaker-runtime", "s3") else route for route in rows}
        for door, rows in DOORS.items()
    }
    assert told.routes == lines


Line = pytest.mark.parametrize(("door", "route"), ROWS, ids=lambda one: one)


@Line
def test_without_a_key_and_with_a_wrong_one_nothing_is_told(told: Told, door: str, route: str) -> None:
    for who in (NOBODY, STRANGER):
        answer = told.answers[door, route, who]
        assert MARKER not in answer.text
        if DOORS[door][route].scopes == OPEN or (who == NOBODY and (door, route) == ("s3", "ListBuckets GET /")):
            assert answer.status < 400  # without a signature that path is the documentation's
        else:
            assert answer.status in (401, 403), answer


@Line
def test_a_key_of_other_endpoints_is_told_nothing_of_this_one(told: Told, door: str, route: str) -> None:
    row = DOORS[door][route]
    answer = told.answers[door, route, OTHER]
    assert answer.status == row.other, answer
    assert MARKER not in answer.text
    if answer.status < 300 and row.scopes != OPEN:
        for word in (MINE, BUCKET, told.names["id"], told.names["delivery"], told.names["key"]):
            assert word not in answer.text
    elif row.scopes != OPEN:
        assert answer.status == told.ghosts[door, route].status, "whether it is there shows"


@Line
def test_a_key_with_one_scope_does_what_that_is_for(told: Told, door: str, route: str) -> None:
    wanted = DOORS[door][route].scopes
    for scope in GIVEN_SCOPES:
        answer = told.answers[door, route, scope]
        refused = answer.status in (401, 403)
        alone = wanted != OPEN and scope != KeyScope.ADMIN and ("+" in wanted or scope not in wanted.split())
        assert refused == alone, (scope, answer)
        if refused and door in ("native", "runpod", "studio", "cog", "cog-paths"):
            problem = json.loads(answer.text)
            assert problem["error_type"] == "missing_scope"
            assert f"--scope {wanted.split()[0]}" in problem["remedy"]
