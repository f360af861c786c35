"""The checker: it knows what was asked for, and looks at the server only from outside, as clients do.

For every accepted job: one terminal state that never changed; if it succeeded, exactly its parts under its names,
whole, with the SHA-256 that the job names, and holding what the handler answers; if not, exactly one failure object
that says what the job says; and at least one notification, under one id. No object that belongs to no job. One key,
one job.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any

import httpx

from torture.receiver import Receiver
from torture.work import Errand

RESULTS_BUCKET = "seatrial-results"


@dataclass(frozen=True)
class Outside:
    """A client's view of one server: its native API, and an S3 client of any kind, of the server or of what it uses."""

    http: httpx.Client
    s3: Any
    prefix: str  # of the key of every result
    bucket: str = RESULTS_BUCKET
    receiver: Receiver | None = None  # of the notifications of every job

    def violations(self, errands: Sequence[Errand], earlier: Set[str] = frozenset()) -> list[str]:
        """Everything that is not as promised, in words. `earlier`: objects that were there before these errands."""
        accepted = [errand for errand in errands if errand.accepted]
        seen = self.objects() - earlier
        found = []
        named: set[str] = set()
        for errand in accepted:
            found += [f"errand {errand.number}: {said}" for said in self._of(errand, seen, named)]
        found += [f"object {key} belongs to no job that anybody asked for" for key in sorted(seen - named)]
        found += list(_shared([id for errand in accepted for id in errand.ids]))
        return found

    def jobs(self, endpoint: str) -> Iterator[dict[str, Any]]:
        """Every job of an endpoint, newest first."""
        page: dict[str, Any] = {"next": None}
        while True:
            before = {"before": page["next"]} if page["next"] else {}
            answer = self.http.get("/v1/jobs", params={"endpoint": endpoint, "limit": 100} | before)
            answer.raise_for_status()
            page = answer.json()
            yield from page["jobs"]
            if not page["next"]:
                return

    def objects(self) -> set[str]:
        """The keys of all results, whosesoever."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
        return {item["Key"] for page in pages for item in page.get("Contents", [])}

    def _of(self, errand: Errand, seen: set[str], named: set[str]) -> Iterator[str]:
        if not 1 <= len(errand.ids) <= errand.jobs_max:
            yield f"it was accepted and is the jobs {sorted(errand.ids)}, not 1 to {errand.jobs_max}"
        for job_id in sorted(errand.ids):
            answer = self.http.get(f"/v1/jobs/{job_id}")
            if answer.status_code != 200:
                yield f"the accepted job {job_id} is lost: {answer.status_code} {answer.text[:200]}"
                continue
            job = answer.json()
            named |= {_key(job["result"]), _key(job["failure"])} | {_key(part["uri"]) for part in job["parts"]}
            for said in self._of_job(errand, job, seen):
                yield f"job {job_id}: {said}"

    def _of_job(self, errand: Errand, job: dict[str, Any], seen: set[str]) -> Iterator[str]:
        state = job["status"]
        yield from self._of_notifications(job)
        if not job["ended_at"]:
            yield f"has not ended: it is {state} and waits for {job['waits_for']!r} until {job['waits_until']}"
            return
        if len(errand.ends | {state}) > 1:
            yield f"has more than one terminal state: {sorted(errand.ends | {state})}"
        if state not in errand.may_end_as():
            yield f"is {state}, not {errand.may_end_as()}: {job['error']}"
        result, failure = _key(job["result"]) in seen, _key(job["failure"]) in seen
        if state == "succeeded":
            if failure or not result:
                yield f"has succeeded; result visible: {result}, failure visible: {failure}"
            yield from self._of_parts(errand, job)
        else:
            if result or not failure:
                yield f"is {state}; result visible: {result}, failure visible: {failure}"
            yield from self._of_failure(job)

    def _of_notifications(self, job: dict[str, Any]) -> Iterator[str]:
        """At least one, always under the same id, and it says what the job says."""
        if self.receiver is None:
            return
        told = self.receiver.told.get(job["id"], [])
        if len({notification for notification, _ in told}) != 1:
            yield f"has {len(told)} notifications, under the ids {sorted({one for one, _ in told})}"
        if {status for _, status in told} - {job["status"]}:
            yield f"is {job['status']}, and was notified as {told}"

    def _of_parts(self, errand: Errand, job: dict[str, Any]) -> Iterator[str]:
        wanted = ["cargo", "result"] if errand.part_size else ["result"]
        if sorted(part["name"] for part in job["parts"]) != wanted:
            yield f"has the parts {job['parts']}, not {wanted}"
        for part in job["parts"]:
            content = self._read(part["uri"])
            if content is None:
                yield f"the part {part['name']} at {part['uri']} is not there"
            elif hashlib.sha256(content).hexdigest() != part["sha256"] or len(content) != part["size_bytes"]:
                yield f"the part {part['name']} is not whole: {len(content)} bytes of {part['size_bytes']}"
            elif part["name"] == "cargo" and content != errand.cargo():
                yield f"the part cargo is another job's: {content[:80]!r}"
            elif part["name"] == "result" and not errand.is_answer(_json(content)):
                yield f"the result is another job's: {content[:80]!r}"

    def _of_failure(self, job: dict[str, Any]) -> Iterator[str]:
        content = self._read(job["failure"])
        document = None if content is None else _json(content)
        if document != job["error"] or not document or document.get("job_id") != job["id"]:
            yield f"the failure object says {document!r}, the job {job['error']!r}"

    def _read(self, uri: str) -> bytes | None:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        try:
            return bytes(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except self.s3.exceptions.NoSuchKey:
            return None


def _key(uri: str) -> str:
    return uri.removeprefix("s3://").partition("/")[2]


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _shared(ids: Iterable[str]) -> Iterator[str]:
    known: set[str] = set()
    for one in ids:
        if one in known:
            yield f"two idempotency keys made one job, {one}"
        known.add(one)
