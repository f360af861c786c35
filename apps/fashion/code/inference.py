"""SageMaker's functions: an archive's index and rules, and the encoder that made the index."""

import base64
import binascii
import io
import json
import os
import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from fashion import encoder as encoders
from fashion.errors import BadRequest, NotLoadable
from fashion.picture import Picture
from fashion.recommend import Recommender
from PIL import Image, UnidentifiedImageError

PIXELS_MAX = 40_000_000


def model_fn(model_dir):
    folder = Path(model_dir)
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise NotLoadable(f"config.json cannot be read ({error}); train again, or add it") from None
    started = time.monotonic()
    asked_for = os.environ.get("FASHION_ENCODER", config["encoder"])
    if asked_for != config["encoder"]:
        said = f"FASHION_ENCODER is {asked_for}, and the index was made with {config['encoder']}"
        raise NotLoadable(f"{said}; train with --encoder {asked_for}, or leave FASHION_ENCODER out")
    encoder = encoders.load(asked_for, encoders.device_for(os.environ.get("FASHION_DEVICE", "auto")))
    print(f"encoder {encoder.name} loaded in {time.monotonic() - started:.1f} s on {encoder.device}")
    recommender = Recommender(folder, encoder, os.environ.get("FASHION_PREFIX", config["prefix"]))
    print("all models initialised")
    print(f"loaded metadata for {len(recommender.categories)} categories")
    return recommender


def input_fn(body, content_type):
    if content_type.startswith("application/json"):
        return json.loads(body)
    return {"image": bytes(body)}


def predict_fn(data, model):
    wanted = model.wanted(data)
    answer = model.recommend(picture_of(data), wanted)
    return answer | {name: data[name] for name in ("session_id",) if data.get(name) is not None}


def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"


def picture_of(data):
    """The request's picture."""
    content = data.get("image")
    if not content:
        raise BadRequest(
            "missing_field", "The request has no image: give base64, raw bytes, or an object's key.", "image"
        )
    try:
        if isinstance(content, str):
            text = content.partition(",")[2] if content.startswith("data:") else content
            content = base64.b64decode("".join(text.split()), validate=True)
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(content))
            if picture.width * picture.height > PIXELS_MAX:
                raise BadRequest("image_too_large", f"At most {PIXELS_MAX:,} pixels are taken.", "image")
            return Picture.of(picture)
    except BadRequest:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadRequest("image_too_large", f"At most {PIXELS_MAX:,} pixels are taken.", "image") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, binascii.Error) as error:
        raise BadRequest("image_undecodable", f"The image cannot be decoded ({error}).", "image") from None
