"""Training as a SageMaker job runs it: the catalogue in SM_CHANNEL_TRAIN, the archive's files into SM_MODEL_DIR.

    SM_CHANNEL_TRAIN=catalogue SM_MODEL_DIR=model python sagemaker/train.py

The sources (`code/`, `src/`, `config/`) are copied from SAGEMAKER_SUBMIT_DIRECTORY, or from the app's folder; one that
is not there is an error, and not an archive that crashes its worker.
"""

import argparse
import os
import sys
from pathlib import Path

APP = Path(os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY") or Path(__file__).resolve().parents[1])
sys.path.insert(0, str(APP / "src"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, default=os.environ.get("SM_CHANNEL_TRAIN"))
    parser.add_argument("--model-dir", type=Path, default=os.environ.get("SM_MODEL_DIR"))
    parser.add_argument("--prefix", default="s3://stygig-ml-s3/train", help="where clients find the items' pictures")
    given = parser.parse_args()
    if not given.train or not given.model_dir:
        parser.error("say --train and --model-dir, or set SM_CHANNEL_TRAIN and SM_MODEL_DIR")
    if not (APP / "src" / "fashion").is_dir():
        print(
            f"train: {APP / 'src' / 'fashion'} is missing: set SAGEMAKER_SUBMIT_DIRECTORY to the app's folder",
            file=sys.stderr,
        )
        return 1
    from fashion.train import main as train

    return train([str(given.train), "--output", str(given.model_dir), "--source", str(APP), "--prefix", given.prefix])


if __name__ == "__main__":
    sys.exit(main())
