"""Two tasks behind one predict_fn, told apart by the request's own field. Real arithmetic on the image's bytes."""

import base64
import logging

logger = logging.getLogger(__name__)
BINS = 16


def model_fn(model_dir):
    return {"bins": BINS}


def predict_fn(input_data, models):
    task = input_data.get("task")
    logger.info("Processing task: %s", task)
    if task == "get_embedding":
        return process_initialization(input_data, models)
    elif task == "generate_3d":
        return process_reconstruction(input_data, models)
    else:
        raise ValueError(f"Unknown task: {task}")


def process_initialization(input_data, models):
    content = image_bytes(input_data["image"])
    return {
        "status": "success",
        "embedding": histogram(content, models["bins"]),
        "session_id": input_data.get("session_id"),
    }


def process_reconstruction(input_data, models):
    """A height field: one vertex per bin of the histogram, the height being the share of bytes in it."""
    heights = histogram(image_bytes(input_data["image"]), models["bins"])
    if input_data.get("quality", "balanced") == "fast":
        heights = heights[::2]
    vertices = [[index / len(heights), height, 0.0] for index, height in enumerate(heights)]
    edges = [[index, index + 1] for index in range(len(vertices) - 1)]
    return {"status": "success", "vertices": vertices, "edges": edges}


def image_bytes(encoded):
    return base64.b64decode(encoded, validate=True)


def histogram(content, bins):
    counts = [0] * bins
    for byte in content:
        counts[byte * bins // 256] += 1
    return [count / len(content) for count in counts]
