"""The peer's front door: 202 with an id, and a result that is waited for with `result.get`."""

from __future__ import annotations

from typing import Any

from celery.result import AsyncResult
from fastapi import FastAPI

from benchmarks.celery_peer.tasks import celery, echo

app = FastAPI()


@app.post("/jobs", status_code=202)
def submit(payload: dict[str, Any]) -> dict[str, str]:
    return {"id": echo.delay(payload).id}


@app.get("/jobs/{job_id}/result")
def result(job_id: str) -> Any:
    return AsyncResult(job_id, app=celery).get(timeout=30)
