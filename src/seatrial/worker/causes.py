"""What an exception that names no `error_type` of its own means to the server: its type, and what to do about it."""

from __future__ import annotations

import errno
from typing import Iterator, NamedTuple, Optional

# ruff: noqa: UP035, UP045  (Python 3.9)


class Cause(NamedTuple):
    """`unfit`: the process can do no more work after this."""

    error_type: str
    remedy: str
    unfit: Optional[str] = None


EXITED = Cause(
    "handler_exited", "Take sys.exit(), exit() and quit() out of the handler: let it return, or raise an error."
)
OUT_OF_MEMORY = Cause(
    "out_of_memory", "Give the worker more memory, or use a smaller model, smaller inputs or smaller batches."
)
DEVICE_OUT_OF_MEMORY = Cause(
    "device_out_of_memory", "Use a smaller model, smaller inputs or batches, or fewer workers on the device."
)
DEVICE_FAULT = Cause(
    "device_fault",
    "Run the input with CUDA_LAUNCH_BLOCKING=1 to find the kernel at fault; the worker has been replaced.",
    unfit="its CUDA context is of no more use",
)
SCRATCH_FULL = Cause(
    "scratch_full", "Free or add space where the handler writes (TMPDIR), write less, or remove files after each job."
)
STREAM_CLOSED = Cause(
    "stream_closed", "Leave standard input, output and error open, and a pipe until its other end has been read."
)
HANDLER = Cause("handler_error", "Mend the handler, or the input if it is at fault.")

ALL = (EXITED, OUT_OF_MEMORY, DEVICE_OUT_OF_MEMORY, DEVICE_FAULT, SCRATCH_FULL, STREAM_CLOSED, HANDLER)

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_STREAM = (errno.EBADF, errno.EPIPE)
_CLOSED_FILE = "I/O operation on closed file"

# As PyTorch words them (c10/cuda/CUDAException.h, aten/src/ATen/cuda/Exceptions.h) and the CUDA runtime's
# cudaGetErrorString. After one of these every call into the context fails: only a new process helps.
_DEVICE_FAULTS = (
    "cuda error:",
    "device-side assert",
    "illegal memory access",
    "unspecified launch failure",
    "misaligned address",
    "an illegal instruction was encountered",
    "uncorrectable ecc error",
    "cublas_status_",
    "cudnn_status_",
    "cudnn error:",
    "cusolver error:",
    "cufft error:",
    "nccl error",
)


def cause_of(error: BaseException) -> Cause:
    """By the exception, or by what it was raised from."""
    for one in _chain(error):
        cause = _cause(one)
        if cause is not None:
            return cause
    return HANDLER


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen = set()
    one: Optional[BaseException] = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__


def _cause(error: BaseException) -> Optional[Cause]:
    if isinstance(error, SystemExit):
        return EXITED
    if isinstance(error, MemoryError):
        return OUT_OF_MEMORY
    if isinstance(error, OSError):
        return SCRATCH_FULL if error.errno in _NO_SPACE else STREAM_CLOSED if error.errno in _NO_STREAM else None
    if isinstance(error, ValueError) and _CLOSED_FILE in str(error):
        return STREAM_CLOSED
    return _device_cause(error) if isinstance(error, RuntimeError) else None


def _device_cause(error: RuntimeError) -> Optional[Cause]:
    said = str(error).lower()
    if type(error).__name__ == "OutOfMemoryError" or "cuda out of memory" in said or "error: out of memory" in said:
        return DEVICE_OUT_OF_MEMORY
    if any(fault in said for fault in _DEVICE_FAULTS):
        return DEVICE_FAULT
    return None
