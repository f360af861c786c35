"""SageMaker's functions. `GEN3D_*` variables choose the backends; what cannot be loaded fails the load."""

import base64
import json
import os
import time

from gen3d import embedding, reconstruction
from gen3d.device import chosen, settle
from gen3d.errors import BadRequest
from gen3d.fetch import media
from gen3d.files import npz
from gen3d.picture import read_mask, read_picture

QUALITIES = ("fast", "balanced", "high")


def model_fn(model_dir):
    device = chosen(os.environ.get("GEN3D_DEVICE", "auto"))
    encoder = embedding.load(
        os.environ.get("GEN3D_ENCODER", "efficientnet-lite0"), device, os.environ.get("GEN3D_SAM3_WEIGHTS", "")
    )
    print(f"encoder {encoder.name} loaded on {encoder.device}")
    maker = reconstruction.load(
        os.environ.get("GEN3D_RECONSTRUCTOR", "inflation"), device, os.environ.get("GEN3D_SAM3D_WEIGHTS", "")
    )
    print(f"reconstructor {maker.name} loaded on {maker.device}")
    return {"encoder": encoder, "reconstructor": maker}


def input_fn(body, content_type):
    return json.loads(body)


def predict_fn(data, models):
    task = data.get("task")
    if task not in TASKS:
        raise BadRequest("unknown_task", f"Unknown task: {task!r}; valid are {', '.join(TASKS)}.", "task")
    return TASKS[task](data, models)


def output_fn(prediction, accept):
    encoded = {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for name, value in prediction.items()
    }
    return json.dumps(encoded), "application/json"


def get_embedding(data, models):
    encoder = models["encoder"]
    picture = read_picture(media(data, "image"))
    started = time.monotonic()
    vector = encoder.encode(picture)
    settle(encoder.device)
    return {
        "status": "success",
        "task": "get_embedding",
        "backend": encoder.name,
        "device": encoder.device,
        "embedding": npz(vector),
        "shape": list(vector.shape),
        "dtype": str(vector.dtype),
        "norm": round(float((vector.astype("float64") ** 2).sum() ** 0.5), 6),
        "image": {"width": picture.shape[1], "height": picture.shape[0]},
        "seconds": round(time.monotonic() - started, 4),
        **asked_by(data),
    }


def generate_3d(data, models):
    quality = data.get("quality") or "balanced"
    if quality not in QUALITIES:
        raise BadRequest("invalid_field", f"quality is {quality!r}; valid are {', '.join(QUALITIES)}.", "quality")
    maker = models["reconstructor"]
    picture = read_picture(media(data, "image"))
    mask = read_mask(media(data, "mask"), picture.shape[1::-1])
    started = time.monotonic()
    made = maker.reconstruct(picture, mask, quality)
    return {
        "status": "success",
        "task": "generate_3d",
        "backend": maker.name,
        "device": maker.device,
        "quality": quality,
        "mesh": made.mesh,
        "points": made.points,
        **made.figures,
        "seconds": round(time.monotonic() - started, 4),
        **asked_by(data),
    }


def asked_by(data):
    return {name: data[name] for name in ("session_id", "user_id") if data.get(name) is not None}


TASKS = {"get_embedding": get_embedding, "initialization": get_embedding, "generate_3d": generate_3d}
