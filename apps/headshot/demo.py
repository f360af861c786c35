"""Deploys the package and draws a portrait through the unmodified RunPod client; its signed URL is read.

seatrial demo headshot     # a server of its own
eval "$(seatrial env)"; python apps/headshot/demo.py --input prompt.txt     # the server that runs
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import boto3
import runpod

APP = Path(__file__).resolve().parent
PYTHON = APP / ".venv" / "bin" / "python"  # scripts/setup-app headshot
BUCKET = "headshots"
PROMPT = "portrait of a person with short red hair, glasses, a green shirt, blue background"
USER = "ada"
WAIT_SECONDS_MAX = 300


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, help="a text file with the prompt; otherwise one of ours")
    parser.add_argument("--output", type=Path, default=Path(), help="the folder of headshot-ada.png")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    logging.getLogger("botocore").setLevel(logging.WARNING)  # the RunPod client makes every library talkative
    prompt = PROMPT if given.input is None else given.input.read_text().strip()
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    deploy = ["seatrial", "deploy", APP, "--name", "headshot", "--python", PYTHON, "--update"]
    subprocess.run(deploy, check=True, stdout=sys.stderr)
    runpod.endpoint_url_base = f"{os.environ['SEATRIAL_URL']}/v2"
    client = runpod.Endpoint("headshot", api_key=os.environ["SEATRIAL_API_KEY"])
    answer = client.run_sync({"input": {"prompt": prompt, "user_id": USER}}, timeout=WAIT_SECONDS_MAX)
    if "signed_url" not in answer:
        print(json.dumps(answer, indent=2), file=sys.stderr)
        return 1
    picture = given.output.absolute() / f"headshot-{USER}.png"
    with urllib.request.urlopen(answer["signed_url"]) as content:
        picture.write_bytes(content.read())
    if given.json:
        print(json.dumps({**answer, "picture": str(picture)}, indent=2))
    else:
        print(
            f"{prompt}: by {answer['backend']}, seed {answer['picture']['seed']}, kept as {answer['path']}\n  {picture}"
        )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"{Path(error.cmd[0]).name} ended with code {error.returncode}")
