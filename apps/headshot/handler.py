"""A RunPod worker: a prompt and a user's id in, a headshot in that user's folder and its signed URL out."""

import os

import runpod
from headshot.worker import Worker

worker = Worker(os.environ, tell=runpod.serverless.progress_update)


def handler(job):
    return worker.answer(job)


if __name__ == "__main__":
    runpod.serverless.start({"handler": handler})
