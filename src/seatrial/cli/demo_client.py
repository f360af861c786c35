"""The demo's client: what a stranger with boto3 and nothing else would write."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial.cli.media import media_type_of

BUCKET = "floorplans"
WAIT_SECONDS_MAX = 300.0
LOOK_PAUSE_SECONDS = 0.2


class NoResult(Exception):
    """The job failed, or its result is not what the contract promises."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """Where the outcome will be."""

    output: str
    failure: str


@dataclass(frozen=True, slots=True)
class Room:
    """One room of the answer."""

    bounding_box: Mapping[str, float]
    area_pixels: float
    area_m2: float | None
    centroid: tuple[float, float]
    confidence: float

    def row(self) -> tuple[str, ...]:
        """Its cells of a table."""
        box = self.bounding_box
        place = f"{box['width']:.0f} x {box['height']:.0f} at {box['x']:.0f}, {box['y']:.0f}"
        area_m2 = "" if self.area_m2 is None else f"{self.area_m2:.1f}"
        centre = f"{self.centroid[0]:.0f}, {self.centroid[1]:.0f}"
        return place, f"{self.area_pixels:.0f}", area_m2, centre, f"{self.confidence:.2f}"


@dataclass(frozen=True, slots=True)
class Rooms:
    """A validated answer."""

    width: int
    height: int
    rooms: list[Room]
    overlay_uri: str


class Client:
    """boto3, configured by the variables of `seatrial env` alone."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        import boto3

        session = boto3.Session(
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            region_name=environment["AWS_DEFAULT_REGION"],
        )
        url = environment["AWS_ENDPOINT_URL"]
        self._s3: Any = session.client("s3", endpoint_url=url)
        self._runtime: Any = session.client("sagemaker-runtime", endpoint_url=url)

    def submit(self, endpoint: str, task: str, picture: Path) -> Submitted:
        """Upload the picture and a request that names it, and invoke the endpoint."""
        content = picture.read_bytes()
        if BUCKET not in [bucket["Name"] for bucket in self._s3.list_buckets()["Buckets"]]:
            self._s3.create_bucket(Bucket=BUCKET)
        media_type = media_type_of(picture.name, content)
        self._s3.put_object(Bucket=BUCKET, Key=picture.name, Body=content, ContentType=media_type)
        request = {"task": task, "image": f"s3://{BUCKET}/{picture.name}"}
        self._s3.put_object(Bucket=BUCKET, Key="request.json", Body=json.dumps(request).encode())
        answer = self._runtime.invoke_endpoint_async(
            EndpointName=endpoint,
            ContentType="application/json",
            InputLocation=f"s3://{BUCKET}/request.json",
        )
        return Submitted(answer["OutputLocation"], answer["FailureLocation"])

    def wait(self, job: Submitted) -> Rooms:
        """The validated answer, once the output or the failure object is there.

        Raises:
            NoResult: the job failed, takes too long, or its answer breaks its promise.
        """
        until = time.monotonic() + WAIT_SECONDS_MAX
        while time.monotonic() < until:
            result = self._read(job.output)
            if result is not None:
                return _validated(result)
            failure = self._read(job.failure)
            if failure is not None:
                raise NoResult("the job failed:\n" + json.dumps(json.loads(failure), indent=2, ensure_ascii=False))
            time.sleep(LOOK_PAUSE_SECONDS)
        raise NoResult(f"neither {job.output} nor {job.failure} is there after {WAIT_SECONDS_MAX:.0f} s")

    def overlay(self, rooms: Rooms) -> bytes:
        """The annotated picture, a PNG of the plan's size.

        Raises:
            NoResult: it is not.
        """
        import PIL.Image

        content = self._read(rooms.overlay_uri)
        if content is None:
            raise NoResult(f"{rooms.overlay_uri} is not there")
        try:
            with PIL.Image.open(io.BytesIO(content)) as picture:
                picture.load()
                kind, size = picture.format, picture.size
        except (OSError, PIL.Image.DecompressionBombError) as error:
            raise NoResult(f"{rooms.overlay_uri} does not decode: {error}") from None
        if kind != "PNG" or size != (rooms.width, rooms.height):
            raise NoResult(f"{rooms.overlay_uri} is {kind} of {size}, not a PNG of {rooms.width} x {rooms.height}")
        return content

    def _read(self, uri: str) -> bytes | None:
        """An object's bytes; None while there is none."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        try:
            body: bytes = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except self._s3.exceptions.NoSuchKey:
            return None
        return body


def _validated(result: bytes) -> Rooms:
    try:
        answer = json.loads(result)
        image = answer["image"]
        rooms = [_room(one) for one in answer["rooms"]]
        found = Rooms(int(image["width"]), int(image["height"]), rooms, str(answer["overlay"]["uri"]))
    except (ValueError, KeyError, TypeError) as error:
        raise NoResult(f"the answer is not what the contract promises: {error!r}") from None
    if not found.rooms:
        raise NoResult("the answer has no rooms: is this a floor plan?")
    return found


def _room(one: Mapping[str, Any]) -> Room:
    if len(one["polygon"]) < 3:
        raise ValueError(f"a polygon of {len(one['polygon'])} points")
    x, y = one["centroid"]
    return Room(one["bounding_box"], one["area_pixels"], one["area_m2"], (x, y), one["confidence"])
