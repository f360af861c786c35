"""Every error type has its meaning and its remedy, and the page has them all."""

import re
from pathlib import Path

import pytest

from seatrial.domain import errors
from seatrial.domain.failures import Failure, failure_document
from seatrial.domain.meanings import MEANINGS, SECTIONS
from seatrial.worker import causes

WORD = re.compile(r"[a-z]+(_[a-z]+)*")
NO_ERRORS = {
    "inference_id",
    "custom_attributes",
    "studio_job_id",
    "studio_job_type",
    "lora_training",
    "cog_id",
    "cog_kind",
}


def test_every_word_has_a_meaning(request: pytest.FixtureRequest) -> None:
    words = {value for name, value in vars(errors).items() if name.isupper()}
    source = request.config.rootpath / "src" / "seatrial"
    pattern = re.compile(r'^[A-Z][A-Z_]+ = "([a-z]+(?:_[a-z]+)+)"', re.MULTILINE)
    for room in ("engine", "http"):
        for file in (source / room).rglob("*.py"):
            words.update(pattern.findall(file.read_text()))
    assert words - NO_ERRORS - MEANINGS.keys() == set()
    assert all(WORD.fullmatch(word) for word in MEANINGS)
    assert all(one.what.endswith(".") and one.remedy.endswith(".") for one in MEANINGS.values())
    assert sum(map(len, SECTIONS.values())) == len(MEANINGS)


def test_the_worker_says_the_same() -> None:
    """It imports nothing of ours, so it has the words once more."""
    assert {one.error_type: one.remedy for one in causes.ALL}.items() <= {
        word: one.remedy for word, one in MEANINGS.items()
    }.items()


def test_a_failure_without_a_remedy_gets_that_of_its_type() -> None:
    def remedy(error_type: str, **details: str) -> object:
        return failure_document(Failure(error_type, "m", details), "j", 1)["details"].get("remedy")

    assert remedy("queue_ttl_expired") == MEANINGS["queue_ttl_expired"].remedy
    assert remedy("queue_ttl_expired", remedy="its own") == "its own"
    assert remedy("invalid_field", valid="1 to 9") is None
    assert remedy("a_handlers_own") is None


def page() -> str:
    """What docs/reference/errors.md has between its first paragraph and its end."""
    tables = []
    for section, meanings in SECTIONS.items():
        rows = "".join(f"| `{word}` | {one.what} | {one.remedy} |\n" for word, one in meanings.items())
        tables.append(f"## {section}\n\n| `error_type` | what happened | what to do |\n|---|---|---|\n{rows}")
    return "\n".join(tables)


def test_the_page_has_them_all(request: pytest.FixtureRequest) -> None:
    file: Path = request.config.rootpath / "docs" / "reference" / "errors.md"
    introduction, _, rest = file.read_text().partition("## ")
    assert "`error_type`" in introduction
    assert "## " + rest == page(), "run: python -m tests.docs.test_errors"


if __name__ == "__main__":
    target = Path(__file__).resolve().parents[2] / "docs" / "reference" / "errors.md"
    target.write_text(target.read_text().partition("## ")[0] + page())


CUDA = [
    ("CUDA error: device-side assert triggered\nCompile with `TORCH_USE_CUDA_DSA`", "device_fault"),
    ("CUDA error: an illegal memory access was encountered", "device_fault"),
    ("CUDA error: uncorrectable ECC error encountered", "device_fault"),
    ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", "device_fault"),
    ("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`", "device_fault"),
    ("CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 8.00 GiB total capacity)", "device_out_of_memory"),
    ("CUDA error: out of memory", "device_out_of_memory"),
    ("mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)", "handler_error"),
    ("Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False", "handler_error"),
]


@pytest.mark.parametrize(("said", "error_type"), CUDA)
def test_what_torch_says_of_the_device(said: str, error_type: str) -> None:
    cause = causes.cause_of(RuntimeError(said))
    assert cause.error_type == error_type
    assert (cause.unfit is not None) == (error_type == "device_fault")
    wrapped = ValueError("no picture")
    wrapped.__cause__ = RuntimeError(said)
    assert causes.cause_of(wrapped) == cause
    assert causes.cause_of(ValueError(said)) == causes.HANDLER, "only what torch raises"
