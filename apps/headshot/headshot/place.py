"""Where a picture lies: in the folder that is named as its user, and nowhere else."""

import hashlib
import re

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def place(user_id: str, job_id: str) -> str:
    """`USER/JOB.png`: a job that runs again after a crash replaces its own picture, and no other one.

    Args:
        user_id: as `request.checked_user_id` let it through.
        job_id: as the platform says it; one that is no plain name is taken by its SHA-256.
    """
    name = job_id if _PLAIN.fullmatch(job_id) else hashlib.sha256(job_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{user_id}/{name}.png"


def seed_of(job_id: str) -> int:
    """What a job draws with that names no seed: another one for each job, the same when it runs again."""
    return int.from_bytes(hashlib.sha256(job_id.encode("utf-8", "surrogatepass")).digest()[:4], "big")
