"""The requests that prove a package: declared for a task, lying loose in `samples/`, or named from outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seatrial.domain.contract import Field, Sample
from seatrial.domain.limits import SAMPLES_PER_TASK_MAX
from seatrial.package.files import file_inside, read_sample_json
from seatrial.package.problems import Problems, did_you_mean
from seatrial.package.schema import read_schema
from seatrial.package.tables import SampleTable

LOOSE_FOLDER = "samples"
EXPECT_SUFFIX = ".expect.json"
RUNPOD_TEST_INPUT = "test_input.json"
RUNPOD_TESTS = ".runpod/tests.json"


def read_samples(
    root: Path,
    values: Sequence[Any],
    fields: Sequence[Field],
    names: Sequence[str],
    task_field: str,
    table: str,
    problems: Problems,
) -> tuple[Sample, ...]:
    """The samples of `[[tasks.NAME.samples]]`. `names` are the task's own name and its aliases."""
    where = f"[[{table}.samples]]"
    if len(values) > SAMPLES_PER_TASK_MAX:
        problems.add(where, None, f"found {len(values)} samples", f"at most {SAMPLES_PER_TASK_MAX}")
    samples: list[Sample] = []
    for number, one in enumerate(values, start=1):
        sample_table = f"{where} {number}"
        parsed = problems.parse(SampleTable, one, sample_table)
        if parsed is None:
            continue
        name = parsed.name or (Path(parsed.input).stem if parsed.input else f"sample-{number}")
        sample = Sample(name, parsed.input, parsed.files, parsed.media_type, parsed.expect)
        if any(name == other.name for other in samples):
            problems.add(sample_table, "name", f"found {name!r} a second time", "a name for each sample")
        _check_sample(root, sample, fields, names, task_field, sample_table, problems)
        samples.append(sample)
    return tuple(samples)


def loose_samples(root: Path, problems: Problems) -> tuple[Sample, ...]:
    """`samples/NAME.json` each, with `samples/NAME.expect.json`, of a package that declares no tasks."""
    return tuple(_json_samples(root, root / LOOSE_FOLDER, problems))


def runpod_samples(root: Path, problems: Problems) -> tuple[Sample, ...]:
    """What RunPod's own tools test a handler with: `test_input.json`, and the tests of `.runpod/tests.json`."""
    samples: list[Sample] = []
    if (root / RUNPOD_TEST_INPUT).exists() and (path := file_inside(root, RUNPOD_TEST_INPUT, "", "", problems)):
        request = read_sample_json(path, RUNPOD_TEST_INPUT, "", problems)
        if isinstance(request, Mapping) and "input" in request:
            samples.append(Sample("test_input", RUNPOD_TEST_INPUT, member=("input",)))
        elif request is not None:
            problems.add(RUNPOD_TEST_INPUT, "input", "is missing", '{"input": {…}}')
    if (root / RUNPOD_TESTS).exists() and (path := file_inside(root, RUNPOD_TESTS, "", "", problems)):
        document = read_sample_json(path, RUNPOD_TESTS, "", problems)
        tests = document.get("tests") if isinstance(document, Mapping) else None
        for number, test in enumerate(tests if isinstance(tests, list) else []):
            if isinstance(test, Mapping) and "input" in test:
                name = str(test.get("name") or f"test-{number + 1}")
                samples.append(Sample(name, RUNPOD_TESTS, member=("tests", number, "input")))
    return tuple(samples[:SAMPLES_PER_TASK_MAX])


def outside_samples(
    folder: Path, task_names: Sequence[str], task_field: str, problems: Problems
) -> Iterator[tuple[str | None, Sample]]:
    """Each sample of a folder with the name of its task (None where nothing names one). Paths are absolute.

    `TASK/NAME.json` names the task by its folder, `NAME.json` by its task field; `NAME.expect.json` lies beside.
    """
    for sample in _json_samples(folder, folder, problems):
        body = read_sample_json(folder / str(sample.input), str(sample.input), "", Problems())
        named = body.get(task_field) if isinstance(body, Mapping) else None
        yield (named if isinstance(named, str) else None), _absolute(sample, folder)
    for task in sorted(path for path in folder.iterdir() if path.is_dir()):
        samples = list(_json_samples(folder, task, problems))
        if samples and task.name not in task_names:
            fault = f"is a folder that no task is named like{did_you_mean(task.name, task_names)}"
            valid = ", ".join(task_names) or "NAME.json outside of folders: the package declares no tasks"
            problems.add("", None, fault, valid, f"{task.name}/")
            continue
        for sample in samples:
            yield task.name, _absolute(sample, folder)


def _absolute(sample: Sample, folder: Path) -> Sample:
    expect = str((folder / sample.expect).absolute()) if sample.expect else None
    return Sample(sample.name, str((folder / str(sample.input)).absolute()), expect=expect)


def _json_samples(root: Path, folder: Path, problems: Problems) -> Iterator[Sample]:
    """The `NAME.json` right in a folder; paths are relative to `root`."""
    for path in sorted(folder.glob("*.json")):
        if path.name.endswith(EXPECT_SUFFIX):
            continue
        name = path.relative_to(root).as_posix()
        expect = path.with_name(path.stem + EXPECT_SUFFIX)
        expect_name = expect.relative_to(root).as_posix() if expect.exists() else None
        inside = file_inside(root, name, name, "", problems)
        if inside is not None:
            read_sample_json(inside, name, "", problems)
        if expect_name is not None:
            read_schema(root, expect_name, expect_name, "", problems)
        yield Sample(path.stem, name, expect=expect_name)


def _check_sample(
    root: Path,
    sample: Sample,
    fields: Sequence[Field],
    names: Sequence[str],
    task_field: str,
    table: str,
    problems: Problems,
) -> None:
    if sample.input is None and not sample.files:
        problems.add(table, None, "names no request", "input = 'path' or files = { field = 'path' }")
    if sample.input is not None and (path := file_inside(root, sample.input, table, "input", problems)):
        _check_input(path, sample, names, task_field, table, problems)
    media = [field.name for field in fields if field.is_media]
    for field_name, file_name in sample.files.items():
        if field_name not in media:
            valid = ", ".join(media) or "no media field is declared for this task"
            problems.add(table, f"files.{field_name}", f"is no media field{did_you_mean(field_name, media)}", valid)
        file_inside(root, file_name, table, f"files.{field_name}", problems)
    if sample.expect is not None:
        read_schema(root, sample.expect, table, "expect", problems)


def _check_input(
    path: Path, sample: Sample, names: Sequence[str], task_field: str, table: str, problems: Problems
) -> None:
    """A JSON body must be JSON, and must not name another task."""
    media_type = sample.media_type.partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        return
    body = read_sample_json(path, table, "input", problems)
    named = body.get(task_field) if isinstance(body, Mapping) else None
    if named is not None and named not in names:
        problems.add(
            table, "input", f"{sample.input} names the task {named!r} in its field {task_field!r}", ", ".join(names)
        )
