"""One asynchronous invocation with a picture in storage, by boto3.

    python sagemaker/invoke_async.py \\
        --s3-image s3://stygig-ml-s3/train/upperwear/tshirt/upperwear_tshirt0100.png --wait --display-results

The endpoint is --endpoint-name, or else SAGEMAKER_ENDPOINT_NAME, or else the newest that is in service.
"""

import argparse
import json
import os
import sys
import time
import uuid

from session import ClientError, client, is_absent, run, split


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--endpoint-name",
        default=os.environ.get("SAGEMAKER_ENDPOINT_NAME"),
        help="default: SAGEMAKER_ENDPOINT_NAME, or the newest endpoint that is in service",
    )
    parser.add_argument("--s3-image", required=True, help="s3://BUCKET/KEY")
    parser.add_argument("--top-k", type=int, default=5)
    parser.add_argument("--gender", choices=("female", "male", "unisex"))
    parser.add_argument("--wait", action="store_true", help="until the result, or the failure, is there")
    parser.add_argument("--display-results", action="store_true")
    parser.add_argument("--timeout", type=int, default=300, help="seconds to wait")
    given = parser.parse_args()
    bucket, key = split(given.s3_image)
    request = {"image_s3_key": key, "bucket": bucket, "top_k": given.top_k}
    if given.gender:
        request["gender"] = given.gender
    endpoint = given.endpoint_name or newest()
    s3, runtime = client("s3"), client("sagemaker-runtime")
    check_there(s3, given.s3_image)
    place = f"async-inference-inputs/{uuid.uuid4()}.json"
    s3.put_object(Bucket=bucket, Key=place, Body=json.dumps(request).encode(), ContentType="application/json")
    answer = runtime.invoke_endpoint_async(
        EndpointName=endpoint, InputLocation=f"s3://{bucket}/{place}", ContentType="application/json"
    )
    print(f"accepted by {endpoint}: {answer['InferenceId']}", flush=True)
    if not given.wait:
        print(f"result: {answer['OutputLocation']}")
        return 0
    ended, document = waited(s3, answer, given.timeout)
    if ended != "result":
        print(f"{ended}: {json.dumps(document, indent=1)}", file=sys.stderr)
        return 1
    print(f"result: {answer['OutputLocation']}")
    if given.display_results:
        display(document)
    return 0


def newest() -> str:
    """The name of the newest endpoint in service."""
    wanted = {"StatusEquals": "InService", "SortBy": "CreationTime", "SortOrder": "Descending", "MaxResults": 1}
    endpoints = client("sagemaker").list_endpoints(**wanted)["Endpoints"]
    if not endpoints:
        sys.exit("no endpoint is in service: deploy one (sagemaker/deploy_async_endpoint.py), or say --endpoint-name")
    name = endpoints[0]["EndpointName"]
    print(f"no --endpoint-name: {name} is the newest in service", flush=True)
    return name


def check_there(s3, image: str) -> None:
    """A picture that is not there costs no invocation."""
    bucket, key = split(image)
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if is_absent(error):
            folder = image.rpartition("/")[0]
            sys.exit(f"--s3-image {image}: there is no such picture; see what there is: aws s3 ls {folder}/")
        raise


def waited(s3, answer: dict, seconds: int) -> tuple[str, dict]:
    """Both locations are looked at: a failure ends the waiting too."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        for word, location in (("result", answer["OutputLocation"]), ("failure", answer["FailureLocation"])):
            bucket, key = split(location)
            try:
                return word, json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            except s3.exceptions.NoSuchKey:
                continue
        time.sleep(0.5)
    return "timeout", {"message": f"neither a result nor a failure after {seconds} s"}


def display(document: dict) -> None:
    query = document["query"]
    colours = ", ".join(one["name"] for one in query["colours"])
    print(f"a {query['category']} ({query['confidence']:.0%}), {colours}; by {document['backend']}")
    for word in ("similar", "matching"):
        print(f"{word}:")
        for one in document[word]:
            print(f"  {one['score']:.3f}  {one['category']:10} {'/'.join(one['colours']):24} {one['uri']}")


if __name__ == "__main__":
    run(main)
