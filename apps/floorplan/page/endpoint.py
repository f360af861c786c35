"""Plans by way of an endpoint of Seatrial: each is an upload of its own, and a job from the first moment."""

import json
import os
import urllib.error
import urllib.request

PLAN_BYTES_MAX = 50_000_000
NEEDS = ("SEATRIAL_URL", "SEATRIAL_API_KEY")


class Endpoint:
    """POST /v1/uploads, GET /v1/jobs/ID and its result. Every method answers with a status and JSON."""

    def __init__(self, name: str) -> None:
        self.url, self._key, self._name = os.environ[NEEDS[0]].rstrip("/"), os.environ[NEEDS[1]], name

    def order(self, file_name: str, media_type: str) -> tuple[int, bytes]:
        """A job that waits for a plan: its `id`, and the `url` that takes the plan."""
        asked = {"endpoint": self._name, "task": "find_rooms", "event": "fields", "field": "image"}
        asked |= {"file_name": file_name, "media_type": media_type, "size_bytes_max": PLAN_BYTES_MAX}
        return self._ask("POST", "/v1/uploads", asked)

    def job(self, job_id: str) -> tuple[int, bytes]:
        """The job as it is."""
        return self._ask("GET", f"/v1/jobs/{job_id}")

    def result(self, job_id: str) -> tuple[int, bytes]:
        """Its answer."""
        return self._ask("GET", f"/v1/jobs/{job_id}/result")

    def _ask(self, method: str, path: str, body: dict | None = None) -> tuple[int, bytes]:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, content, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError as error:
            return 502, json.dumps({"detail": f"Seatrial does not answer: {error}"}).encode()
