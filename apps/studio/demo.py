"""Deploys the package and draws a picture of each prompt, through the native API.

seatrial demo studio     # a server of its own
eval "$(seatrial env)"; python apps/studio/demo.py --input prompts.txt     # the server that runs
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

APP = Path(__file__).resolve().parent
PYTHON = APP / ".venv" / "bin" / "python"  # scripts/setup-app studio
PROMPTS = ["a red house in the mountains at sunset", "a boat on the sea at night"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, help="a text file with a prompt in each line; otherwise two of ours")
    parser.add_argument("--output", type=Path, default=Path(), help="the folder of studio-1-image.png ...")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    prompts = PROMPTS if given.input is None else given.input.read_text().splitlines()
    deploy = ["seatrial", "deploy", APP, "--name", "studio", "--python", PYTHON, "--update"]
    subprocess.run(deploy, check=True, stdout=sys.stderr)
    answers = [drawn(prompt, given.output / f"studio-{number}.json") for number, prompt in enumerate(prompts, 1)]
    if given.json:
        print(json.dumps(answers, indent=2))
        return 0
    for answer in answers:
        made = f"by {answer['backend']}, seed {answer['seed']}, in {answer['seconds']:.1f} s"
        print(f"{answer['prompt']}: {made}, enlarged {answer['upscaled_by']:g} times\n  {answer['picture']}")
    return 0


def drawn(prompt: str, document: Path) -> dict:
    """What the package says of the picture, and where that is now."""
    fields = ["--field", f"prompt={prompt}"]
    command = ["seatrial", "invoke", "studio", "--task", "inference", *fields, "--output", document]
    subprocess.run(command, check=True, stdout=sys.stderr)
    picture = document.with_name(f"{document.stem}-image.png").absolute()
    return {"prompt": prompt, **json.loads(document.read_text()), "picture": str(picture)}


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"{Path(error.cmd[0]).name} ended with code {error.returncode}")
