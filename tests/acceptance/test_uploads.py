"""A job that waits for its upload: seen from the first moment, and ended whatever comes or does not."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest


@pytest.fixture
def echo(api: Any) -> str:
    """An endpoint whose contract takes a picture in a field of its own."""
    if api.http.get("/v1/endpoints/echo").status_code == 404:
        api.serve("echo", PACKAGE)
    return "echo"


PACKAGE = {
    "seatrial.toml": """
        [package]
        name = "look"
        handler = "handler:Model"
        [tasks.look]
        description = "Counts bytes"
        [tasks.look.input.image]
        type = "file"
        required = true
        form = "bytes"
        [tasks.look.input.times]
        type = "integer"
        default = 1
        [tasks.look.output]
        media_type = "application/json"
        [[tasks.look.samples]]
        name = "one"
        input = "samples/one.json"
    """,
    "handler.py": """
        class Model:
            def look(self, image, times):
                return {"bytes": len(image) * times}
    """,
    "samples/one.json": '{"image": "data:application/octet-stream;base64,aGVsbG8=", "times": 2}',
}


def order(api: Any, **asked: Any) -> Any:
    headers = {"Idempotency-Key": asked.pop("idempotency")} if "idempotency" in asked else {}
    return api.http.post("/v1/uploads", json=asked, headers=headers)


def ordered(api: Any, **asked: Any) -> dict[str, Any]:
    answer = order(api, **asked)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_job_waits_for_its_upload_and_runs(api: Any, echo: str, tmp_path: Path) -> None:
    told = ordered(api, endpoint=echo, file_name="plan.bin", field="image", fields={"times": 3}, task="look")
    assert told["status"] == "awaiting_upload"
    job = api.job(told["id"])
    assert (job["status"], job["input"]["uri"]) == ("awaiting_upload", told["uri"])
    assert (job["waits_for"], job["attempt"]) == ("its input to be uploaded", 0)
    assert told["uri"] == f"s3://seatrial-inputs/echo/uploads/{told['id']}/plan.bin"
    (tmp_path / "FILE").write_bytes(b"12345")
    done = subprocess.run(
        told["how"], shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr
    ended = api.ended(told["id"])
    assert (ended["status"], ended["result"]) == ("succeeded", told["result"])
    assert told["result"] == f"s3://seatrial-results/echo/results/{told['id']}"
    assert json.loads(api.object(told["result"])) == {"bytes": 15}

    again = httpx.put(told["url"], content=b"other")
    assert again.status_code == 409
    assert "<Code>UploadNotAwaited</Code>" in again.text
    assert api.object(told["uri"]) == b"12345"


def test_the_same_order_again_is_the_same_job(api: Any, echo: str) -> None:
    asked = {"endpoint": echo, "field": "image", "idempotency": "order-1"}
    first, second = ordered(api, **asked), ordered(api, **asked)
    assert (second["id"], second["existing"]) == (first["id"], True)
    assert httpx.put(second["url"], content=b"1").status_code == 200
    assert api.ended(first["id"])["status"] == "succeeded"
    third = ordered(api, **asked)
    assert (third["id"], third["status"], third["url"]) == (first["id"], "succeeded", "")
    conflict = order(api, **{**asked, "field": "image", "fields": {"times": 9}})
    assert (conflict.status_code, conflict.json()["error_type"]) == (409, "idempotency_conflict")


def test_what_is_not_what_was_asked_for_is_refused_and_the_job_goes_on_waiting(api: Any, echo: str) -> None:
    told = ordered(api, endpoint=echo, field="image", media_type="image/png", size_bytes_max=10)
    url = told["url"]
    large = httpx.put(url, content=b"x" * 11)
    assert (large.status_code, "<Code>EntityTooLarge</Code>" in large.text) == (400, True)
    assert "at most 10 bytes" in large.text
    streamed = httpx.put(url, content=iter([b"x" * 6, b"x" * 6]))
    assert (streamed.status_code, "<MaxSizeAllowed>10</MaxSizeAllowed>" in streamed.text) == (400, True)
    other = httpx.put(url, content=b"x", headers={"Content-Type": "image/jpeg"})
    assert (other.status_code, "Valid: Content-Type: image/png" in other.text) == (400, True)
    altered = httpx.put(url.replace(told["id"], told["id"][::-1]), content=b"x")
    assert (altered.status_code, "<Code>SignatureDoesNotMatch</Code>" in altered.text) == (403, True)
    assert api.job(told["id"])["status"] == "awaiting_upload"
    assert httpx.put(url, content=b"x", headers={"Content-Type": "image/png"}).status_code == 200
    assert api.ended(told["id"])["status"] == "succeeded"


def test_what_comes_past_the_url_is_held_against_the_order_too(api: Any, echo: str) -> None:
    told = ordered(api, endpoint=echo, field="image", size_bytes_max=10)
    bucket, key = told["uri"].removeprefix("s3://").split("/", 1)
    api.server.client("s3").put_object(Bucket=bucket, Key=key, Body=b"x" * 11)
    job = api.ended(told["id"])
    assert (job["status"], job["error"]["error_type"]) == ("failed", "payload_too_large")
    assert json.loads(api.object(told["failure"]))["error_type"] == "payload_too_large"


def test_a_waiting_job_is_cancelled_and_listed(api: Any, echo: str) -> None:
    told = ordered(api, endpoint=echo, field="image")
    listed = api.http.get("/v1/jobs", params={"status": "awaiting_upload"}).json()["jobs"]
    assert told["id"] in [one["id"] for one in listed]
    assert api.http.post(f"/v1/jobs/{told['id']}/cancel").json()["status"] == "cancelled"
    assert httpx.put(told["url"], content=b"x").status_code == 409
    retried = api.http.post(f"/v1/jobs/{told['id']}/retry")
    assert (retried.status_code, retried.json()["error_type"]) == (409, "never_uploaded")


def test_orders_that_cannot_be(api: Any, echo: str) -> None:
    def refused(**asked: Any) -> tuple[str, str | None]:
        answer = order(api, endpoint=echo, **asked)
        assert answer.status_code in (404, 413, 422), answer.text
        return answer.json()["error_type"], answer.json().get("field")

    assert refused(fields={"times": "many"}, field="image") == ("invalid_field", "times")
    assert refused(fields={"times": 1}) == ("missing_field", "image")
    assert refused(field="image", key="fixed") == ("invalid_field", "key")
    assert refused(field="image", result="results/fixed") == ("invalid_field", "result")
    assert refused(field="image", bucket="nowhere") == ("invalid_field", "bucket")
    assert refused(event="object", field="image") == ("invalid_field", "event")
    assert refused(field="image", size_bytes_max=0) == ("invalid_field", "size_bytes_max")
    assert refused(field="image", fields={"times": 1, "x": "y" * 20_000}) == ("payload_too_large", "fields")
    assert order(api, endpoint="nobody").json()["error_type"] == "endpoint_not_found"
    assert order(api, size_bytes_max=7).json()["field"] == "endpoint"


DRAWER = {
    "seatrial.toml": """
        [package]
        name = "draw"
        handler = "handler:Model"
        [tasks.draw.input.how]
        type = "string"
        required = true
        [tasks.draw.output]
        media_type = "application/json"
        [tasks.draw.output.parts.picture]
        media_type = "application/octet-stream"
        [[tasks.draw.samples]]
        name = "one"
        input = "one.json"
        [tasks.linked.input.how]
        type = "string"
        required = true
        [tasks.linked.output]
        media_type = "application/json"
        urls_seconds = 600
        [tasks.linked.output.parts.picture]
        media_type = "application/octet-stream"
        [[tasks.linked.samples]]
        name = "two"
        input = "one.json"
    """,
    "one.json": '{"how": "bytes"}',
    "handler.py": """
        import base64, pathlib, tempfile
        class Model:
            def draw(self, how):
                body = bytes(range(200)) * 500
                if how == "bytes":
                    return {"picture": body}
                if how == "base64":
                    return {"picture": base64.b64encode(body).decode()}
                path = pathlib.Path(tempfile.mkdtemp()) / "picture"
                path.write_bytes(body)
                return {"picture": path}
            linked = draw
    """,
}


def test_large_outputs_are_objects_with_signed_urls_where_somebody_asks(api: Any) -> None:
    api.serve("draw", DRAWER)
    body = bytes(range(200)) * 500

    def answered(how: str, task: str, **options: Any) -> dict[str, Any]:
        job = api.post("draw", {"how": how}, task=task, **options).json()["id"]
        answer = api.http.get(f"/v1/jobs/{job}/result", params={"wait": 20})
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["picture"])

    for how in ("bytes", "base64", "path"):
        plain = answered(how, "draw")
        assert (plain["bytes"], "url" in plain) == (len(body), False)
        asked = answered(how, "draw", output_urls=60)
        assert (httpx.get(asked["url"]).content, asked["url_expires_in_seconds"]) == (body, 60)
        declared = answered(how, "linked")
        assert (httpx.get(declared["url"]).content, declared["url_expires_in_seconds"]) == (body, 600)
    own = api.http.post("/v1/keys", json={"name": "shop", "scopes": ["submit", "read"]}).json()
    key = {"Authorization": f"Bearer {own['api_key']}"}
    options = {"task": "draw", "output_urls": 60}
    given = api.http.post("/v1/endpoints/draw/jobs", json={"how": "bytes"}, params=options, headers=key)
    job = given.json()["id"]
    theirs = api.http.get(f"/v1/jobs/{job}/result", params={"wait": 20}).json()["picture"]["url"]
    assert httpx.get(theirs).content == body
    api.http.delete(f"/v1/keys/{own['key']['id']}").raise_for_status()
    assert httpx.get(theirs).status_code == 403  # it ends with the key that asked for it
    on_other_doors = api.http.post("/v2/draw/runsync", json={"input": {"how": "bytes", "task": "linked"}}).json()
    url = on_other_doors["output"]["picture"]["url"]
    assert httpx.get(url).content == body
    assert httpx.get(url.replace("X-Amz-Expires=600", "X-Amz-Expires=6000")).status_code == 403
    assert httpx.get(url.replace("-picture", "-other")).status_code == 403

    job = api.post("draw", {"how": "bytes"}, task="draw").json()["id"]
    shown = api.http.get(f"/v1/jobs/{job}", params={"wait": 20, "urls": 30}).json()["parts"]
    assert {one["name"]: len(httpx.get(one["signed_url"]).content) for one in shown}["picture"] == len(body)
    refused = api.http.get(f"/v1/jobs/{job}", params={"urls": "0"})
    assert (refused.status_code, refused.json()["field"]) == (422, "urls")


def test_a_signed_url_of_the_server_itself_is_an_input_as_long_as_it_holds(api: Any, echo: str) -> None:
    s3 = api.server.client("s3")
    s3.create_bucket(Bucket="own-urls")
    s3.put_object(Bucket="own-urls", Key="a b.bin", Body=b"ahoy")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "own-urls", "Key": "a b.bin"}, ExpiresIn=600)
    job_id = api.post(echo, {"image": url}).json()["id"]
    assert api.ended(job_id)["status"] == "succeeded"
    assert api.http.get(f"/v1/jobs/{job_id}/result").json() == {"bytes": 4}
    for bad in (url[:-1] + ("0" if url[-1] != "0" else "1"), url.replace("a%20b", "a%20c"), url.partition("?")[0]):
        job = api.ended(api.post(echo, {"image": bad}).json()["id"])
        assert job["error"]["error_type"] == "input_unreachable", (bad, job)
        assert bad.partition("?")[2] not in job["error"]["message"] or "?" not in bad
    elsewhere = api.server.url + "/healthz?X-Amz-Signature=1"
    job = api.ended(api.post(echo, {"image": elsewhere}).json()["id"])
    assert job["error"]["error_type"] == "input_unreachable"
