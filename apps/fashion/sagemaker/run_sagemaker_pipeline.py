"""Train, check, pack: the whole way to an archive that serves, on this machine.

    python sagemaker/run_sagemaker_pipeline.py --instance-type ml.m5.xlarge --instance-count 1
    python sagemaker/run_sagemaker_pipeline.py --catalogue catalogue/ --output model.tar.gz

The instance's type and count are only told: the training runs here. `seatrial check` must pass before an upload.
Without a catalogue one is drawn, and its pictures go to s3://stygig-ml-s3/train, where the answers say that items are.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from session import ARTIFACTS, BUCKET, ClientError, client, is_absent, run, seatrial, split

HERE = Path(__file__).resolve().parent
APP = HERE.parent
OWN = APP / ".venv" / "bin" / "python"  # scripts/setup-app fashion: torch and faiss are there
PYTHON = str(OWN if OWN.exists() else sys.executable)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--catalogue",
        type=Path,
        default=os.environ.get("SM_CHANNEL_TRAIN") or None,
        help="GROUP/CATEGORY/*.png; default: SM_CHANNEL_TRAIN, or one that catalogue.py draws",
    )
    parser.add_argument("--items", type=int, default=200, help="of a catalogue that is drawn; default: %(default)s")
    parser.add_argument("--instance-type", default="ml.m5.xlarge")
    parser.add_argument("--instance-count", type=int, default=1)
    job = f"stygig-training-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    place = f"s3://{BUCKET}/{ARTIFACTS}/{job}/model.tar.gz"
    shown = place.replace(job, "stygig-training-…")
    parser.add_argument("--output", default=place, help=f"a file, or s3://BUCKET/KEY; default: {shown}")
    given = parser.parse_args()
    s3 = client("s3") if given.output.startswith("s3://") else None
    if s3:
        make_bucket(s3, split(given.output)[0])
    print(f"training on this machine, in place of {given.instance_count} x {given.instance_type}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        catalogue = given.catalogue or drawn(Path(folder, "catalogue"), given.items)
        archive = Path(folder, "model.tar.gz")
        if not trained(catalogue, Path(folder, "model"), archive):
            return 1
        if not s3:
            return written(archive, given.output)
        if given.catalogue is None:
            uploaded(s3, catalogue)
        s3.upload_file(str(archive), *split(given.output))
    print(f"wrote {given.output}")
    print(f"next: python sagemaker/deploy_async_endpoint.py --model-data {given.output} --endpoint-name stygig-async")
    return 0


def told(*command: str, **more) -> int:
    print("+", " ".join(command), flush=True)
    return subprocess.run(command, **more).returncode


def drawn(folder: Path, items: int) -> Path:
    print(f"no --catalogue and no SM_CHANNEL_TRAIN: {items} items are drawn", flush=True)
    if told(PYTHON, str(APP / "catalogue.py"), str(folder), "--items", str(items)):
        sys.exit("the catalogue cannot be drawn: see above; `scripts/setup-app fashion` makes what it needs")
    return folder


def trained(catalogue: Path, model: Path, archive: Path) -> bool:
    training = os.environ | {"SM_CHANNEL_TRAIN": str(catalogue), "SM_MODEL_DIR": str(model)}
    if told(PYTHON, str(HERE / "train.py"), env=training):
        print("the training has failed: see above; `scripts/setup-app fashion` makes what it needs", file=sys.stderr)
        return False
    if told(seatrial(), "pack", str(model), "-o", str(archive)):
        return False
    if told(seatrial(), "check", str(archive)) not in (0, 3):
        print("the archive would not serve: see above", file=sys.stderr)
        return False
    return True


def written(archive: Path, target: str) -> int:
    try:
        Path(target).write_bytes(archive.read_bytes())
    except OSError as error:
        sys.exit(f"--output {target}: {error.strerror}")
    print(f"wrote {target}")
    return 0


def make_bucket(s3, bucket: str) -> None:
    """Before the training, so that it is not lost to a bucket that is not there."""
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        if not is_absent(error):
            raise
        s3.create_bucket(Bucket=bucket)
        print(f"made the bucket {bucket}", flush=True)


def uploaded(s3, catalogue: Path) -> None:
    make_bucket(s3, BUCKET)
    pictures = sorted(catalogue.rglob("*.png"))
    for picture in pictures:
        s3.upload_file(str(picture), BUCKET, f"train/{picture.relative_to(catalogue).as_posix()}")
    print(f"{len(pictures)} pictures are in s3://{BUCKET}/train", flush=True)


if __name__ == "__main__":
    run(main)
