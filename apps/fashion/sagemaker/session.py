"""The server that the scripts talk to, by boto3. What is missing, and what it refuses, is one line with a remedy."""

import os
import shutil
import sys
from pathlib import Path

try:
    import boto3
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, NoRegionError
except ModuleNotFoundError:
    boto3, ClientError = None, ()

BUCKET = "stygig-ml-s3"
ARTIFACTS = "model-artifacts"
POINT = 'eval "$(seatrial env)"'


def client(service):
    """A client of the server that the environment names; without one, nothing goes to Amazon by mistake."""
    if boto3 is None:
        sys.exit(f"boto3 is missing in {sys.executable}: activate the repository's .venv, or pip install boto3")
    named = any(name.startswith("AWS_ENDPOINT_URL") and value for name, value in os.environ.items())
    try:
        made = boto3.client(service)
    except NoRegionError:
        made = None
    if made is None or (not named and "amazonaws.com" in made.meta.endpoint_url):
        sys.exit(f"no server is named: AWS_ENDPOINT_URL or the region is not set; start `seatrial serve`, then {POINT}")
    return made


def run(main):
    """End the process with what `main` returns, or with one line that says what was refused."""
    try:
        code = main()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if boto3 is None or not isinstance(error, (Boto3Error, BotoCoreError, ClientError)):
            raise
        sys.exit(line(error))
    sys.exit(code)


def line(error):
    """An error of boto3's as one line."""
    if isinstance(error, EndpointConnectionError):
        return f"{error} Is the server running? Start `seatrial serve`, then {POINT}"
    if not isinstance(error, ClientError):
        return f"{error}: is the environment that of the server? {POINT}"
    known = error.response["Error"]
    remedies = {
        "NoSuchBucket": "make it: aws s3 mb s3://BUCKET",
        "InvalidSignatureException": POINT,
        "SignatureDoesNotMatch": POINT,
        "InvalidAccessKeyId": POINT,
        "UnrecognizedClientException": POINT,
    }
    remedy = remedies.get(known["Code"])
    return f"{error.operation_name}: {known.get('Message') or known['Code']}" + (f"; {remedy}" if remedy else "")


def split(uri):
    """Bucket and key of s3://BUCKET/KEY."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key:
        sys.exit(f"{uri} is no place in storage: write s3://BUCKET/KEY")
    return bucket, key


def is_absent(error):
    """Whether a ClientError says that something is not there."""
    return error.response["Error"]["Code"] in ("404", "NoSuchKey", "NoSuchBucket", "NotFound", "NotFoundException")


def seatrial():
    """The `seatrial` command: of the shell, or of this Python's environment."""
    found = shutil.which("seatrial") or shutil.which("seatrial", path=str(Path(sys.executable).parent))
    return found or sys.exit("there is no command seatrial: activate the repository's .venv (`make setup` makes it)")
