"""Put back what an archive lacks, out of the sources: `seatrial check --fix --write`, from storage to storage.

    python sagemaker/rebuild_model_archive.py --source-archive s3://stygig-ml-s3/model-artifacts/broken/model.tar.gz \\
        --target-archive s3://stygig-ml-s3/model-artifacts/stygig-async-fixed/model.tar.gz
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

APP = Path(__file__).resolve().parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source-archive", required=True, help="s3://BUCKET/KEY, or a file")
    parser.add_argument("--target-archive", required=True, help="s3://BUCKET/KEY, or a file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "model.tar.gz")
        if given.source_archive.startswith("s3://"):
            import boto3

            bucket, _, key = given.source_archive.removeprefix("s3://").partition("/")
            boto3.client("s3").download_file(bucket, key, str(archive))
        else:
            archive.write_bytes(Path(given.source_archive).read_bytes())
        fix = ["--source", str(APP), "--fix", "--include", "config", "--write", given.target_archive]
        return 0 if subprocess.run(["seatrial", "check", str(archive), *fix]).returncode in (0, 3) else 1


if __name__ == "__main__":
    sys.exit(main())
