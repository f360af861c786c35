"""One worker: it begins once, then answers jobs for as long as its process lives, whatever they say."""

import gc
import hashlib
import io
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import generator
from generator.device import clear

from headshot import memory, request, settings, storage
from headshot.errors import BadRequest, NotReady, Refused
from headshot.place import place, seed_of

PNG = "image/png"
NO_GPU = "CUDA is not available. This worker requires a GPU."
TELL_EVERY_SECONDS = 1.0
Tell = Callable[[dict, dict], None]
log = logging.getLogger("headshot")


@dataclass(frozen=True, slots=True)
class Ready:
    """What a worker has once it has begun."""

    settings: settings.Settings
    model: "generator.Generator"
    storage: storage.Storage


class Worker:
    """`HEADSHOT_ON_FAILED_START` says what becomes of one that cannot begin: `answer`, the default, lets it live and
    tell every job why; `exit` lets the process end, for a platform that looks after what loads.

    Args:
        tell: how a job's progress is told, as `runpod.serverless.progress_update`.

    Raises:
        NotReady: it cannot begin, and is to exit.
    """

    def __init__(self, environ: Mapping[str, str], tell: Tell) -> None:
        _log_to_stdout()
        self._tell = tell
        self._backend = environ.get("HEADSHOT_BACKEND") or settings.BACKENDS[0]  # named in every answer
        self._ready: Ready | None = None
        self._reason: NotReady | None = None
        try:
            self._ready = begin(environ)
        except NotReady as error:
            # As text, and of a new exception: the frames of this one hold what was half loaded.
            why = "".join(traceback.format_exception(error.__cause__)) if error.__cause__ else ""
            log.error("not ready: %s %s\n%s", str(error), error.remedy, why)
            self._reason = NotReady(str(error), error.remedy)
        if self._reason is not None:
            _free_half_loaded()
            if environ.get("HEADSHOT_ON_FAILED_START") == "exit":
                raise self._reason

    def answer(self, job: dict) -> dict:
        """The picture's signed URL and what is to be known of it; or `error`, `error_type` and what goes with them.

        Args:
            job: as RunPod's SDK has it: `id`, `input`.
        """
        outcome = "an exception"
        started = time.monotonic()
        try:
            answer = self._picture(job)
            outcome = "success"
        except Refused as error:
            answer = error.told()
            outcome = error.error_type
            log.log(logging.WARNING if isinstance(error, BadRequest) else logging.ERROR, "%s: %s", outcome, error)
        except Exception as error:  # whatever it is, the worker goes on
            answer = _unexpected(error)
            outcome = answer["error_type"]
            log.exception("job %s failed", job.get("id"))
        finally:
            self._free(outcome)
        return answer | {"backend": self._backend, "pid": os.getpid(), "seconds": round(time.monotonic() - started, 3)}

    def _picture(self, job: dict) -> dict:
        if self._ready is None:
            raise self._reason.with_traceback(None)  # of the process, whatever the job says
        asked = request.read(job.get("input"))
        job_id = str(job.get("id", ""))
        path = place(asked.user_id, job_id)
        model, side = self._ready.model, self._ready.settings.side
        seed = seed_of(job_id) if asked.seed is None else asked.seed
        log.info("job %s: %d characters of prompt, seed %d", job_id, len(asked.prompt), seed)
        picture = model.generate(
            asked.prompt,
            seed=seed,
            steps=self._ready.settings.steps,
            size=(side, side),
            progress=self._progress(job),
        )
        content = _png(picture.image)
        self._ready.storage.put(path, content, PNG)
        return {
            "status": "success",
            "signed_url": self._ready.storage.sign(path),
            "expires_in": self._ready.settings.url_seconds,
            "storage": self._ready.storage.name,
            "bucket": self._ready.settings.bucket,
            "path": path,
            "media_type": PNG,
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "picture": picture.facts,
        }

    def _progress(self, job: dict) -> Callable[[int, int], None]:
        """Tells at most once a second: each word is a request to the platform."""
        told = time.monotonic()

        def progress(done: int, steps: int) -> None:
            nonlocal told
            if done < steps and time.monotonic() - told >= TELL_EVERY_SECONDS:
                told = time.monotonic()
                self._tell(job, {"step": done, "steps": steps})

        return progress

    def _free(self, outcome: str) -> None:
        """Give back what the job took, and log what is held and what is free. It never stands in an answer's way."""
        if self._ready is None:
            _log_nothing_loaded(outcome)
            return
        try:
            self._ready.model.release()
            held = self._ready.model.memory()
            words = ", ".join(f"{name} {memory.shown(held[name])}" for name in held if isinstance(held[name], int))
            log.info("memory after %s on %s: %s", outcome, held["device"], words)
        except Exception:  # a device that has failed answers nothing any more
            log.exception("memory after %s: not to be told", outcome)


def begin(environ: Mapping[str, str]) -> Ready:
    """Settings, device, memory, storage, model: in this order, so that what costs nothing is found first.

    Raises:
        NotReady: with the reason and a remedy.
    """
    try:
        given = settings.read(environ)
        device = _device(given)
        free = memory.check(given.backend, device, given.memory_bytes_min)
        kept = storage.opened(given)
        started = time.monotonic()
        model = generator.load(backend=given.backend, weights=given.weights, device=device)
    except NotReady:
        raise
    except generator.NotLoadable as error:
        raise NotReady(error.message, error.remedy) from error
    except Exception as error:
        raise NotReady(f"Unexpected error during worker initialization: {error}", "See the worker's log.") from error
    log.info(
        "headshot ready: backend %s on %s in %.1f s, %s were free, pictures to %s",
        model.backend, model.device, time.monotonic() - started, memory.shown(free), kept.name,
    )  # fmt: skip
    gc.collect()
    gc.freeze()  # what is loaded stays: looking through it after every job would take longer than most refusals
    return Ready(given, model, kept)


def _free_half_loaded() -> None:
    """Give back what a load took that did not come to its end."""
    torch = sys.modules.get("torch")
    clear("cuda" if torch is not None and torch.cuda.is_available() else "cpu")
    _log_nothing_loaded("a failed start")


def _log_nothing_loaded(outcome: str) -> None:
    log.info("memory after %s: nothing is loaded, %s free", outcome, memory.shown(memory.free_bytes("cpu")))


def _device(given: settings.Settings) -> str:
    import torch

    if given.device == "cuda" and not torch.cuda.is_available():
        raise NotReady(NO_GPU, "Run it on a machine with a GPU, or set HEADSHOT_DEVICE to auto or cpu.")
    return given.device or ("cuda" if torch.cuda.is_available() else "cpu")


def _unexpected(error: Exception) -> dict:
    """What no check foresaw. A device that has failed is of no more use to its process: a fresh worker is asked for."""
    import torch

    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return Refused("out_of_memory", f"Image generation failed: out of memory: {error}").told()
    told = Refused("generation_error", f"Image generation failed: {error}").told()
    return told | ({"refresh_worker": True} if "CUDA error" in str(error) else {})


def _png(image: "generator.Image") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _log_to_stdout() -> None:
    if not any(isinstance(one, logging.StreamHandler) for one in log.handlers):
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("%(levelname)s headshot: %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
