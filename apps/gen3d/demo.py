"""Deploys the package and makes a textured solid of a picture and its mask.

seatrial demo gen3d     # a server of its own
eval "$(seatrial env)"; python apps/gen3d/demo.py --input FOLDER     # the server that runs
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import boto3

APP = Path(__file__).resolve().parent
PYTHON = APP / ".venv" / "bin" / "python"  # scripts/setup-app gen3d
BUCKET = "gen3d-data-bucket"  # where the package looks for keys


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, default=APP / "samples", help="a folder with NAME.png and NAME-mask.png")
    parser.add_argument("--output", type=Path, default=Path(), help="the folder of what is made")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    masks = sorted(given.input.glob("*-mask.png"))
    if not masks:
        parser.error(f"{given.input} has no NAME-mask.png beside a NAME.png")
    name = masks[0].name.removesuffix("-mask.png")
    deploy = ["seatrial", "deploy", APP, "--name", "gen3d", "--python", PYTHON, "--update"]
    subprocess.run(deploy, check=True, stdout=sys.stderr)
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    document = given.output / f"gen3d-{name}.json"
    fields = ["--field", f"image=@{given.input / f'{name}.png'}", "--field", f"mask=@{masks[0]}"]
    invoke = ["seatrial", "invoke", "gen3d", "--task", "generate_3d", *fields, "--output", document]
    done = subprocess.run(invoke, stdout=sys.stderr)
    if done.returncode:
        return done.returncode
    show(document, given.json)
    return 0


def show(document: Path, as_json: bool) -> None:
    result = json.loads(document.read_text())
    if as_json:
        print(json.dumps(result, indent=2))
        return
    closed = "closed" if result["watertight"] else "open"
    print(f"a {closed} solid of {result['face_count']} faces by {result['backend']}, in {result['seconds']:.1f} s:")
    for path in sorted(document.parent.glob(f"{document.stem}*")):
        print(f"  {path.absolute()}  {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"{Path(error.cmd[0]).name} ended with code {error.returncode}")
