"""The peer: FastAPI in front of Celery on Redis, as its documentation sets it up."""
