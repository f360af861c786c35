"""The protocol works: an order is accepted, ends, can be fetched, and is told of once, with its secret, in time."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from client import Refused, StudioClient
from image_validator import ImageValidator, detect_partial_render

from seatrial.prove.callbacks import Callback, Receiver
from seatrial.prove.callbacks.signatures import Trust

PROMPT = "a lake below mountains at sunset"


def heard(receiver: Receiver, job_id: str, seconds: float = 30) -> list[Callback]:
    """The callbacks of a job, once there is one and its picture was looked at."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        change = receiver.inbox.change
        found = [one for one in receiver.inbox.callbacks() if one.job_id == job_id]
        if found and all(part.valid is not None for part in found[-1].parts):
            return found
        receiver.inbox.wait(change, 1)
    return []


def test_a_picture_is_accepted_made_fetched_and_told(
    miner: StudioClient, receiver: Receiver, secret: str, tmp_path: Path
) -> None:
    job_id = f"e2e-{uuid.uuid4().hex[:12]}"
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    callback = {"callback_url": f"{receiver.url}/done", "callback_secret": secret, "expiry": later}
    assert miner.infer(PROMPT, seed=7, job_id=job_id, **callback) == job_id
    status = miner.ended(job_id)
    assert status["status"] == "completed", status

    picture = tmp_path / f"{job_id}.png"
    picture.write_bytes(miner.result(job_id).content)
    result = ImageValidator().validate(picture)
    assert result.is_valid, result.reason
    assert detect_partial_render(picture) == (False, "")

    told = heard(receiver, job_id)
    assert [(one.status, one.signature.trust, one.path) for one in told] == [("completed", Trust.VALID, "/done")]
    (image,) = told[0].parts
    assert Path(str(image.saved_path)).read_bytes() == picture.read_bytes()
    assert image.valid, image.reason
    assert miner.told(job_id)["status"] == "delivered"


def test_after_its_expiry_nobody_is_called(miner: StudioClient, receiver: Receiver, secret: str) -> None:
    past = (datetime.now(UTC) - timedelta(seconds=5)).isoformat()
    job_id = miner.infer(
        PROMPT, seed=8, num_inference_steps=1, callback_url=receiver.url, callback_secret=secret, expiry=past
    )
    assert miner.ended(job_id)["status"] == "completed"
    assert miner.told(job_id)["status"] == "expired"
    assert not [one for one in receiver.inbox.callbacks() if one.job_id == job_id]


def test_a_callback_with_another_secret_is_refused_by_the_receiver(miner: StudioClient, receiver: Receiver) -> None:
    job_id = miner.infer(
        PROMPT, seed=9, num_inference_steps=1, callback_url=receiver.url, callback_secret="not-the-one"
    )
    assert miner.ended(job_id)["status"] == "completed"
    told = miner.told(job_id)
    assert (told["status"], told["status_code"]) == ("failed", 401)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": PROMPT, "width": 63}, "width"),
        ({"prompt": PROMPT, "num_inference_steps": 0}, "num_inference_steps"),
        ({"prompt": PROMPT, "seed": "three"}, "seed"),
        ({"prompt": PROMPT, "expiry": "soon"}, "expiry"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(miner: StudioClient, fields: dict[str, object], field: str) -> None:
    with pytest.raises(Refused) as refused:
        miner.infer(**fields)  # type: ignore[arg-type]
    assert refused.value.field == field
