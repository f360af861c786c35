"""CloudWatch Logs, for reading and following what workers write: `aws logs tail`, DescribeLog…, GetLogEvents."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from seatrial.domain.access import require
from seatrial.domain.credentials import KeyScope, Principal
from seatrial.domain.logs import LogFilter, LogLine, LogStream
from seatrial.http import aws_json
from seatrial.http.aws_json import Operation
from seatrial.http.aws_request import AwsRequest
from seatrial.http.aws_shapes import ServiceShapes
from seatrial.http.dialects import logs as dialect
from seatrial.http.services import Services

_EVENTS_DEFAULT = 10_000  # AWS's own page
_PAGE_LINES = 1_000  # read at once from the store

Request = dict[str, Any]


class LogsDoor:
    """The group of an endpoint is there as soon as the endpoint is, and stays while it has lines."""

    def __init__(self, services: Services) -> None:
        self._shapes = ServiceShapes("logs")
        self._logs = services.logs
        self._deployer = services.deployer
        self._account_id = services.keyring.credentials.account_id
        self._operations: Mapping[str, Operation] = {
            "DescribeLogGroups": Operation(self._groups, (KeyScope.READ,)),
            "DescribeLogStreams": Operation(self._streams, (KeyScope.READ,)),
            "FilterLogEvents": Operation(self._filter, (KeyScope.READ,)),
            "GetLogEvents": Operation(self._get, (KeyScope.READ,)),
        }

    async def __call__(self, call: AwsRequest) -> Response:
        """Answer one request. Raises AwsError."""
        return await aws_json.serve(call, self._shapes, self._operations, "InvalidParameterException")

    # ------------------------------------------------------------------ operations

    async def _groups(self, call: AwsRequest, request: Request) -> Request:
        prefix, part = request.get("logGroupNamePrefix", ""), request.get("logGroupNamePattern", "")
        if prefix and part:
            raise dialect.invalid("logGroupNamePrefix and logGroupNamePattern exclude each other.")
        created = await self._group_creation(call.principal)
        created |= dialect.as_functions(created, prefix, part)
        names = sorted(name for name in created if name.startswith(prefix) and part.lower() in name.lower())
        page, token = dialect.page(names, request)
        entries = [dialect.group_entry(name, call.region, self._account_id, created[name]) for name in page]
        return {"logGroups": entries, **({"nextToken": token} if token else {})}

    async def _streams(self, call: AwsRequest, request: Request) -> Request:
        streams = {one.name: one for one in await self._streams_of(_group(call, request))}
        prefix = request.get("logStreamNamePrefix", "")
        by_time = request.get("orderBy") == "LastEventTime"
        if by_time and prefix:
            raise dialect.invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
        found = sorted(
            (one for one in streams.values() if one.name.startswith(prefix)),
            key=lambda one: (one.last_at_ms if by_time else 0, one.name),
            reverse=request.get("descending", False),
        )
        page, token = dialect.page([one.name for one in found], request)
        entries = [dialect.stream_entry(streams[name], call.region, self._account_id) for name in page]
        return {"logStreams": entries, **({"nextToken": token} if token else {})}

    async def _filter(self, call: AwsRequest, request: Request) -> Request:
        group = _group(call, request)
        await self._streams_of(group)
        pattern = dialect.pattern(request.get("filterPattern", ""))
        limit = request.get("limit", _EVENTS_DEFAULT)
        after = dialect.read_token(request["nextToken"])[1] if "nextToken" in request else None
        which = LogFilter(
            group=group,
            streams=frozenset(request.get("logStreamNames", ())),
            stream_prefix=request.get("logStreamNamePrefix"),
            since_ms=request.get("startTime"),
            until_ms=request.get("endTime"),
            contains=max(pattern.wanted, key=len, default=None),
            after_id=after,
        )
        found: list[LogLine] = []
        more = False
        async for line in self._lines(which):
            if pattern.matches(line.text):
                more = len(found) == limit
                if more:
                    break
                found.append(line)
        token = {"nextToken": dialect.token_after(found[-1].id)} if more else {}
        return {"events": dialect.filtered_events(found), "searchedLogStreams": [], **token}

    async def _get(self, call: AwsRequest, request: Request) -> Request:
        group, stream = _group(call, request), request["logStreamName"]
        if stream not in {one.name for one in await self._streams_of(group)}:
            raise dialect.missing_stream()
        direction, place = "f" if request.get("startFromHead") else "b", None
        if "nextToken" in request:
            direction, place = dialect.read_token(request["nextToken"])
        end_ms = request.get("endTime")
        which = LogFilter(
            group=group,
            streams=frozenset({stream}),
            since_ms=request.get("startTime"),
            until_ms=end_ms - 1 if end_ms is not None else None,  # here, and only here, AWS's end is exclusive
            after_id=place if direction == "f" else None,
        )
        limit = request.get("limit", _EVENTS_DEFAULT)
        found = await (self._first(which, limit) if direction == "f" else self._last(which, limit, place))
        first, last = (found[0].id, found[-1].id) if found else (place, place)
        return {
            "events": dialect.output_events(found),
            "nextForwardToken": dialect.token_after(last),
            "nextBackwardToken": dialect.token_before(first),
        }

    # ------------------------------------------------------------------ inside

    async def _group_creation(self, principal: Principal | None = None) -> dict[str, int]:
        """All groups (that the principal reaches), and when each began (milliseconds since the epoch)."""
        created = {dialect.GROUP_PREFIX + one.name: one.created_at_ms for one in await self._deployer.endpoints()}
        for name in await self._logs.groups():
            if name not in created:
                created[name] = min((one.first_at_ms for one in await self._logs.streams(name)), default=0)
        if principal is None:
            return created
        return {name: at_ms for name, at_ms in created.items() if principal.reaches(_endpoint(name))}

    async def _streams_of(self, group: str) -> list[LogStream]:
        streams = await self._logs.streams(group)
        if not streams and group not in await self._group_creation():
            raise dialect.missing_group()
        return streams

    async def _lines(self, which: LogFilter) -> AsyncIterator[LogLine]:
        """Every line that matches, oldest first, a page of the store at a time."""
        after = which.after_id
        while True:
            page = await self._logs.lines(_continued(which, after))
            for line in page:
                yield line
            if len(page) < _PAGE_LINES:
                return
            after = page[-1].id

    async def _first(self, which: LogFilter, limit: int) -> list[LogLine]:
        found: list[LogLine] = []
        async for line in self._lines(which):
            found.append(line)
            if len(found) == limit:
                break
        return found

    async def _last(self, which: LogFilter, limit: int, before_id: int | None) -> list[LogLine]:
        """The last lines, or the last ones before a line. A group is bounded, so reading through it is too."""
        found: deque[LogLine] = deque(maxlen=limit)
        async for line in self._lines(which):
            if before_id is not None and line.id is not None and line.id >= before_id:
                break
            found.append(line)
        return list(found)


def _group(call: AwsRequest, request: Request) -> str:
    """The group that is meant, of an endpoint in reach. Raises Forbidden."""
    group = dialect.kept_as(dialect.group_name(request))
    require(call.principal, KeyScope.READ, endpoint=_endpoint(group))
    return group


def _endpoint(group: str) -> str:
    return group.removeprefix(dialect.GROUP_PREFIX)


def _continued(which: LogFilter, after_id: int | None) -> LogFilter:
    return replace(which, after_id=after_id, limit=_PAGE_LINES)
