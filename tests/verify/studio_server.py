"""A small server of the image-generation callback protocol, which really draws: what the adapter is tried with.

Run as a process: python studio_server.py PORT [--cut] [--cold]. --cut leaves the lower half of each picture blank, as a
decoder does that was stopped; --cold makes the first job wait for its model.
"""

from __future__ import annotations

import asyncio
import io
import random
import sys
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

CUT = "--cut" in sys.argv
COLD_SECONDS = 4.0 if "--cold" in sys.argv else 0.0
LIMITS = {"width": (64, 2048), "height": (64, 2048), "num_inference_steps": (1, 100)}
jobs: dict[str, dict[str, Any]] = {}
pictures: dict[str, bytes] = {}
running: set[asyncio.Task[None]] = set()
turn = asyncio.Semaphore(1)  # one device


def drawn(prompt: str, seed: int, width: int, height: int) -> bytes:
    """Clouds in the colours that the prompt and the seed give: the same request gives the same picture."""
    chance = random.Random(f"{prompt}/{seed}")
    picture = Image.new("RGB", (width, height), (90, 130, 180))
    for step, share in ((64, 0.7), (16, 0.3), (1, 0.05)):  # large shapes, small ones, and grain
        size = max(width // step, 1), max(height // step, 1)
        layer = Image.frombytes("RGB", size, chance.randbytes(size[0] * size[1] * 3))
        picture = Image.blend(picture, layer.resize((width, height), Image.Resampling.BICUBIC), share)
    if CUT:
        picture.paste((0, 0, 0), (0, height // 2, width, height))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


async def draw(job_id: str, asked: dict[str, Any]) -> None:
    job = jobs[job_id]
    async with turn:
        job["status"] = "processing"
        if COLD_SECONDS and not pictures:
            await asyncio.sleep(COLD_SECONDS)
        try:
            size = int(asked.get("width", 1024)), int(asked.get("height", 1024))
            pictures[job_id] = await asyncio.to_thread(drawn, asked["prompt"], int(asked.get("seed", 0)), *size)
            job["status"] = "completed"
        except Exception as error:  # noqa: BLE001 - whatever it is, the job says so
            job |= {"status": "failed", "error": str(error)}
    job |= {"completed_at": datetime.now(UTC).isoformat(), "result_url": f"/inference/result/{job_id}"}
    if asked.get("callback_url"):
        await call_back(job_id, asked)


async def call_back(job_id: str, asked: dict[str, Any]) -> None:
    job = jobs[job_id]
    data = {"job_id": job_id, "status": job["status"], "completed_at": job["completed_at"]}
    files = {"image": ("image.png", pictures[job_id], "image/png")} if job_id in pictures else None
    headers = {"X-Callback-Secret": asked.get("callback_secret", "")}
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(asked["callback_url"], data=data, files=files, headers=headers)
    job["callback"] = {"status": "delivered", "status_code": answer.status_code, "payload_status": job["status"]}


async def inference(request: Request) -> Response:
    try:
        asked = await request.json()
    except ValueError as error:
        return JSONResponse({"detail": f"the body is no JSON: {error}"}, 400)
    if not isinstance(asked, dict) or not asked.get("prompt"):
        return JSONResponse({"detail": [{"loc": ["body", "prompt"], "msg": "field required", "type": "missing"}]}, 422)
    for name, (least, most) in LIMITS.items():
        if name in asked and not least <= asked[name] <= most:
            problem = {"loc": ["body", name], "msg": f"{least} to {most}", "type": "range"}
            return JSONResponse({"detail": [problem]}, 422)
    job_id = asked.get("job_id") or uuid.uuid4().hex
    if jobs.get(job_id, {}).get("status") in ("queued", "processing"):
        return JSONResponse({"detail": f"{job_id} is under way"}, 409)
    jobs[job_id] = {"job_id": job_id, "job_type": "inference", "status": "queued"}
    begin(draw(job_id, asked))
    urls = {"status_url": f"/inference/status/{job_id}", "result_url": f"/inference/result/{job_id}"}
    return JSONResponse({"accepted": True, "job_id": job_id, "status": "queued", "message": "queued", **urls})


async def train(request: Request) -> Response:
    asked = await request.json()
    job_id = asked.get("job_id") or uuid.uuid4().hex
    jobs[job_id] = {"job_id": job_id, "job_type": asked["job_type"], "status": "queued"}

    async def learn() -> None:
        async with turn:
            await asyncio.to_thread(drawn, str(asked["params"]), 0, 512, 512)
            jobs[job_id]["status"] = "completed"

    begin(learn())
    return JSONResponse({"accepted": True, "job_id": job_id, "status": "queued"}, 201)


def begin(work: Any) -> None:
    task = asyncio.create_task(work)
    running.add(task)
    task.add_done_callback(running.discard)


async def status(request: Request) -> Response:
    job = jobs.get(request.path_params["id"])
    return JSONResponse(job) if job else JSONResponse({"detail": "there is no such job"}, 404)


async def result(request: Request) -> Response:
    picture = pictures.get(request.path_params["id"])
    return Response(picture, media_type="image/png") if picture else JSONResponse({"detail": "no result"}, 404)


async def listed(request: Request) -> Response:
    kind = request.query_params.get("job_type")
    return JSONResponse([job for job in jobs.values() if kind is None or kind in job["job_type"]])


async def health(request: Request) -> Response:
    now = datetime.now(UTC).isoformat()
    return JSONResponse({"status": "healthy", "timestamp": now, "services": {"inference": "running"}})


async def root(request: Request) -> Response:
    return PlainTextResponse("an image server")


app = Starlette(
    routes=[
        Route("/", root),
        Route("/health", health),
        Route("/inference", inference, methods=["POST"]),
        Route("/inference/status/{id}", status),
        Route("/inference/result/{id}", result),
        Route("/train", train, methods=["POST"]),
        Route("/training/status/{id}", status),
        Route("/jobs", listed),
    ]
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
