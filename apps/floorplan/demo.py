"""Deploys the package and finds the rooms of a plan through an unmodified boto3 client.

seatrial demo floorplan --input plan.png     # a server of its own
eval "$(seatrial env)"; python apps/floorplan/demo.py --input plan.png     # the server that runs
"""

import argparse
import io
import json
import subprocess
import sys
import time
from pathlib import Path

import boto3
from PIL import Image

APP = Path(__file__).resolve().parent
BUCKET = "floorplans"
WAIT_SECONDS_MAX = 300


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, default=APP / "samples" / "photographed-flat.png", help="a floor plan")
    parser.add_argument("--output", type=Path, default=Path(), help="the folder of floorplan-rooms.png")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    subprocess.run(["seatrial", "deploy", APP, "--name", "floorplan", "--update"], check=True, stdout=sys.stderr)
    s3 = boto3.client("s3")
    answer = submitted(s3, given.input)
    result = waited(s3, answer)
    if result is None:
        return 1
    overlay = read(s3, result["overlay"]["uri"])
    wrong = what_is_wrong(result, overlay)
    if wrong:
        print(f"the answer is not what the contract promises: {wrong}", file=sys.stderr)
        return 1
    annotated = given.output.absolute() / "floorplan-rooms.png"
    annotated.write_bytes(overlay)
    show(result, annotated, given.json)
    return 0


def submitted(s3, plan: Path) -> dict:
    """Upload the plan and a request that names it, and invoke the endpoint."""
    print(f"seatrial: uploading {plan} and submitting a job, with boto3 as it is", file=sys.stderr)
    s3.create_bucket(Bucket=BUCKET)
    s3.upload_file(str(plan), BUCKET, plan.name)
    request = {"task": "find_rooms", "image": f"s3://{BUCKET}/{plan.name}"}
    s3.put_object(Bucket=BUCKET, Key="request.json", Body=json.dumps(request).encode())
    answer = boto3.client("sagemaker-runtime").invoke_endpoint_async(
        EndpointName="floorplan", ContentType="application/json", InputLocation=f"s3://{BUCKET}/request.json"
    )
    print(
        f"seatrial: the result will be {answer['OutputLocation']}, a failure {answer['FailureLocation']}",
        file=sys.stderr,
    )
    return answer


def waited(s3, answer: dict) -> dict | None:
    """The answer; or None, with the failure document printed."""
    give_up = time.monotonic() + WAIT_SECONDS_MAX
    while time.monotonic() < give_up:
        for word in ("OutputLocation", "FailureLocation"):
            try:
                document = json.loads(read(s3, answer[word]))
            except s3.exceptions.NoSuchKey:
                continue
            if word == "OutputLocation":
                return document
            print("the job failed:\n" + json.dumps(document, indent=2), file=sys.stderr)
            return None
        time.sleep(0.2)
    print(f"neither a result nor a failure after {WAIT_SECONDS_MAX} s", file=sys.stderr)
    return None


def what_is_wrong(result: dict, overlay: bytes) -> str:
    """Empty: nothing."""
    if not result["rooms"]:
        return "it has no rooms; is this a floor plan?"
    if any(len(room["polygon"]) < 3 for room in result["rooms"]):
        return "a room of fewer than three corners"
    wanted = (result["image"]["width"], result["image"]["height"])
    try:
        with Image.open(io.BytesIO(overlay)) as picture:
            picture.load()
            found = (picture.format, picture.size)
    except (OSError, Image.DecompressionBombError) as error:
        return f"its overlay does not decode: {error}"
    return "" if found == ("PNG", wanted) else f"its overlay is {found}, not a PNG of {wanted}"


def read(s3, uri: str) -> bytes:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def show(result: dict, annotated: Path, as_json: bool) -> None:
    if as_json:
        print(json.dumps({**result, "annotated": str(annotated)}, indent=2))
        return
    row = "{:>4}  {:>22}  {:>9}  {:>7}  {:>10}".format
    print(row("room", "box", "area px", "area m²", "confidence"))
    for number, room in enumerate(result["rooms"], 1):
        box = room["bounding_box"]
        place = f"{box['width']:.0f} x {box['height']:.0f} at {box['x']:.0f}, {box['y']:.0f}"
        metres = "" if room["area_m2"] is None else f"{room['area_m2']:.1f}"
        print(row(number, place, f"{room['area_pixels']:.0f}", metres, f"{room['confidence']:.2f}"))
    width, height = result["image"]["width"], result["image"]["height"]
    print(f"{len(result['rooms'])} rooms in a picture of {width} x {height} pixels")
    print(f"The annotated picture is {annotated}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"{Path(error.cmd[0]).name} ended with code {error.returncode}")
