"""Train, check, pack: the whole way to an archive that serves, on this machine.

    python sagemaker/run_sagemaker_pipeline.py --catalogue catalogue/ --instance-type ml.m5.xlarge --instance-count 1

The instance's type and count are only told: the training runs here. `seatrial check` must pass before an upload.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def run(*command: str, **more) -> int:
    print("+", " ".join(command), flush=True)
    return subprocess.run(command, **more).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalogue", type=Path, required=True)
    parser.add_argument("--instance-type", default="ml.m5.xlarge")
    parser.add_argument("--instance-count", type=int, default=1)
    parser.add_argument("--output", default="model.tar.gz", help="a file, or s3://BUCKET/KEY")
    given = parser.parse_args()
    print(f"training on this machine, in place of {given.instance_count} x {given.instance_type}")
    with tempfile.TemporaryDirectory() as folder:
        model, archive = Path(folder, "model"), Path(folder, "model.tar.gz")
        training = os.environ | {"SM_CHANNEL_TRAIN": str(given.catalogue), "SM_MODEL_DIR": str(model)}
        if run(sys.executable, str(HERE / "train.py"), env=training):
            return 1
        if run("seatrial", "pack", str(model), "-o", str(archive)):
            return 1
        if run("seatrial", "check", str(archive)) not in (0, 3):
            print("the archive would not serve: see above", file=sys.stderr)
            return 1
        if given.output.startswith("s3://"):
            import boto3

            bucket, _, key = given.output.removeprefix("s3://").partition("/")
            boto3.client("s3").upload_file(str(archive), bucket, key)
        else:
            Path(given.output).write_bytes(archive.read_bytes())
    print(f"wrote {given.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
