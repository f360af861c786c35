"""What the default backends cost, by the package's own handler: `.venv/bin/python measure.py samples`.

Processor seconds of one thread, which other work on the machine does not change much; the first call of each is left
out.
"""

import argparse
import base64
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as seatrial.toml says
sys.path.insert(0, str(Path(__file__).resolve().parent / "code"))

import inference


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="NAME.png with NAME-mask.png")
    parser.add_argument("--times", type=int, default=3, help="of which the quickest counts")
    given = parser.parse_args()
    models = inference.model_fn("")
    for mask in sorted(given.folder.glob("*-mask.png")):
        picture = mask.with_name(mask.name.replace("-mask.png", ".png"))
        fields = {"image": base64.b64encode(picture.read_bytes()).decode()}
        seconds, _ = quickest(fields | {"task": "get_embedding"}, models, given.times)
        print(f"{picture.stem}: an embedding {seconds:.2f} s")
        fields["mask"] = base64.b64encode(mask.read_bytes()).decode()
        for quality in inference.QUALITIES:
            seconds, made = quickest(fields | {"task": "generate_3d", "quality": quality}, models, given.times)
            size = f"{made['face_count']:,} faces, {len(made['mesh']) / 1e6:.1f} MB of GLB"
            print(f"{picture.stem}: {quality:8} {seconds:.2f} s, {size}, {made['point_count']:,} points")


def quickest(request: dict[str, Any], models: dict[str, Any], times: int) -> tuple[float, dict[str, Any]]:
    made = inference.predict_fn(request, models)
    took = []
    for _ in range(times):
        started = time.process_time()
        inference.predict_fn(request, models)
        took.append(time.process_time() - started)
    return min(took), made


if __name__ == "__main__":
    main()
