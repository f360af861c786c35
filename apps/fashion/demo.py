"""Draws a catalogue, trains on it, deploys what came of it, and asks for clothes like one of them.

seatrial demo fashion     # a server of its own
eval "$(seatrial env)"; python apps/fashion/demo.py --input FOLDER     # the server that runs
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import boto3

APP = Path(__file__).resolve().parent
PYTHON = APP / ".venv" / "bin" / "python"  # scripts/setup-app fashion
BUCKET = "stygig-ml-s3"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, help="a catalogue: GROUP/CATEGORY/*.png; otherwise 120 items are drawn")
    parser.add_argument("--output", type=Path, default=Path(), help="the folder of fashion-shown.png")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    shown = given.output.absolute() / "fashion-shown.png"
    with tempfile.TemporaryDirectory() as work:
        catalogue, model = (given.input or Path(work) / "catalogue").absolute(), Path(work) / "model"
        if given.input is None:
            app("catalogue.py", catalogue, "--items", "120")
        app("-m", "fashion.train", catalogue, "--output", model)
        deploy = ["seatrial", "deploy", model, "--name", "fashion", "--python", PYTHON, "--update"]
        subprocess.run(deploy, check=True, stdout=sys.stderr)
        app("shown.py", model, catalogue, shown)
        answer = asked(min(catalogue.rglob("*.png")))
    if given.json:
        print(json.dumps({"answer": answer.splitlines(), "shown": str(shown)}, indent=2))
    else:
        print(f"{answer}\nSome items, what looks like them and what goes with them: {shown}")
    return 0


def app(*command: str | Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(APP / "src")}
    subprocess.run([PYTHON, *command], check=True, cwd=APP, env=environment, stdout=sys.stderr)


def asked(picture: Path) -> str:
    """What the report's own script says of a picture in storage."""
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.upload_file(str(picture), BUCKET, picture.name)
    script = APP / "sagemaker" / "invoke_async.py"
    options = ["--endpoint-name", "fashion", "--s3-image", f"s3://{BUCKET}/{picture.name}", "--wait"]
    command = [sys.executable, script, *options, "--display-results"]
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"{Path(error.cmd[0]).name} ended with code {error.returncode}")
