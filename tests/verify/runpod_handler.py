"""A RunPod worker with two tasks, real arithmetic on a picture. Served by the SDK's own server: --rp_serve_api."""

from __future__ import annotations

import base64
import io

import runpod
from PIL import Image, ImageOps


def handler(job):
    asked = job["input"]
    task = asked.get("task")
    if task not in ("get_embedding", "mirror"):
        raise ValueError(f"Unknown task: {task}")
    picture = Image.open(io.BytesIO(base64.b64decode(asked["image"])))
    if task == "get_embedding":
        counts = picture.convert("L").histogram()
        return {"embedding": [count / sum(counts) for count in counts[::16]]}
    buffer = io.BytesIO()
    ImageOps.mirror(picture).save(buffer, "PNG")
    return {"width": picture.width, "mirrored": base64.b64encode(buffer.getvalue()).decode()}


if __name__ == "__main__":
    runpod.serverless.start({"handler": handler})
