"""RunPod's two wires under /v2: clients' (run, status, …) and workers' (job-take, job-done, …)."""

from seatrial.http.doors.runpod.door import RunpodDoor, speaks_runpod

__all__ = ["RunpodDoor", "speaks_runpod"]
