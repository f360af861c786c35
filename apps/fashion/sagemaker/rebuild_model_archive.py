"""Put back what an archive lacks, out of the sources: `seatrial check --fix --write`, from storage to storage.

    python sagemaker/rebuild_model_archive.py
    python sagemaker/rebuild_model_archive.py --source-archive broken.tar.gz --target-archive model.tar.gz

Without --source-archive it is the newest model.tar.gz under s3://stygig-ml-s3/model-artifacts/.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from session import ARTIFACTS, BUCKET, ClientError, client, is_absent, run, seatrial, split

APP = Path(__file__).resolve().parents[1]
FIXED = f"s3://{BUCKET}/{ARTIFACTS}/stygig-async-fixed/model.tar.gz"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    newest_one = f"default: the newest s3://{BUCKET}/{ARTIFACTS}/…/model.tar.gz that is not the target"
    parser.add_argument("--source-archive", help=f"s3://BUCKET/KEY, or a file; {newest_one}")
    parser.add_argument("--target-archive", default=FIXED, help="s3://BUCKET/KEY, or a file; default: %(default)s")
    given = parser.parse_args()
    source = given.source_archive or newest(given.target_archive)
    print(f"repairing {source}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        archive, repaired = Path(folder, "model.tar.gz"), Path(folder, "repaired.tar.gz")
        fetched(source, archive)
        fix = ["--source", str(APP), "--fix", "--include", "config", "--write", str(repaired)]
        if subprocess.run([seatrial(), "check", str(archive), *fix]).returncode not in (0, 3):
            print(f"{source} cannot be repaired from {APP}: see above; nothing was written", file=sys.stderr)
            return 1
        stored(repaired if repaired.exists() else archive, given.target_archive)
    print(f"wrote {given.target_archive}")
    return 0


def newest(target: str) -> str:
    """The archive that was written last, the target apart."""
    pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{ARTIFACTS}/")
    try:
        found = {
            f"s3://{BUCKET}/{one['Key']}": one["LastModified"]
            for page in pages
            for one in page.get("Contents", ())
            if one["Key"].endswith("/model.tar.gz")
        }
    except ClientError as error:
        if not is_absent(error):
            raise
        found = {}
    found.pop(target, None)
    if not found:
        sys.exit(f"there is no model.tar.gz under s3://{BUCKET}/{ARTIFACTS}/: upload one, or say --source-archive")
    return max(found, key=found.__getitem__)


def fetched(source: str, archive: Path) -> None:
    try:
        if source.startswith("s3://"):
            client("s3").download_file(*split(source), str(archive))
        else:
            archive.write_bytes(Path(source).read_bytes())
    except OSError as error:
        sys.exit(f"--source-archive {source}: {error.strerror}")
    except ClientError as error:
        if is_absent(error):
            sys.exit(f"--source-archive {source}: there is no such object")
        raise


def stored(archive: Path, target: str) -> None:
    if target.startswith("s3://"):
        client("s3").upload_file(str(archive), *split(target))
        return
    try:
        Path(target).write_bytes(archive.read_bytes())
    except OSError as error:
        sys.exit(f"--target-archive {target}: {error.strerror}")


if __name__ == "__main__":
    run(main)
