"""The peer's worker: an echo task."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

REDIS = os.environ["PEER_REDIS"]
celery = Celery("peer", broker=f"{REDIS}/0", backend=f"{REDIS}/1")
celery.conf.update(
    task_serializer="json",
    worker_prefetch_multiplier=64,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)


@celery.task
def echo(payload: dict[str, Any]) -> dict[str, Any]:
    return {"echo": payload}
