"""Put the function together in a folder: `python aws/build.py OUT [--bucket B --key K]`.

OUT is what `seatrial deploy`, `zip` and `docker build` take. Its sample is an event for a plan at s3://B/K, which must
be there when the trial runs.
"""

import argparse
import json
import shutil
from pathlib import Path

HERE = Path(__file__).resolve().parent
MANIFEST = """\
[package]
name = "ml-inference"
description = "Rooms of a floor plan in a bucket, as a Lambda function"
layout = "aws_lambda"
handler = "lambda_handler.handler"
"""


def build(folder: Path, bucket: str, key: str) -> None:
    folder.mkdir(parents=True)
    for name in ("lambda_handler.py", "plan_event.py", "requirements.txt", "Dockerfile"):
        shutil.copy2(HERE / name, folder / name)
    shutil.copytree(HERE.parent / "floorplan", folder / "floorplan", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "seatrial.toml").write_text(MANIFEST)
    (folder / "samples").mkdir()
    event = {"bucket": bucket, "key": key, "jobId": "sample", "timestamp": "2025-11-08T00:00:00Z"}
    (folder / "samples" / "event.json").write_text(json.dumps(event, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bucket", default="location-detection-blueprints-development")
    parser.add_argument("--key", default="samples/studio-flat.png")
    given = parser.parse_args()
    if given.folder.exists():
        parser.error(f"{given.folder} is there already; name a folder that is not")
    build(given.folder, given.bucket, given.key)


if __name__ == "__main__":
    main()
