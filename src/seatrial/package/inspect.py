"""Judge a package by its files alone: nothing of it is run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from seatrial.domain.errors import Unproven
from seatrial.package.carried import Carried
from seatrial.package.checks import imports
from seatrial.package.checks.cog_build import check_cog_build
from seatrial.package.checks.cog_predictor import check_cog_predictor
from seatrial.package.checks.data_files import check_data_files
from seatrial.package.checks.device import check_device
from seatrial.package.checks.entry_point import find_entry_point
from seatrial.package.checks.extension_modules import check_extension_modules
from seatrial.package.checks.hard_coded_paths import check_hard_coded_paths
from seatrial.package.checks.images.package_image import check_package_image
from seatrial.package.checks.interpreter import check_interpreter
from seatrial.package.checks.lambda_function import check_lambda_function, in_aws_words
from seatrial.package.checks.pins import check_pins
from seatrial.package.checks.python_handler import check_python_handler
from seatrial.package.checks.requirements_file import check_requirements
from seatrial.package.checks.resolution import check_resolution
from seatrial.package.checks.runpod_handler import check_runpod_handler
from seatrial.package.checks.sagemaker_functions import ARGUMENTS, check_sagemaker_functions
from seatrial.package.checks.sample_inputs import check_sample_inputs
from seatrial.package.checks.samples import check_samples
from seatrial.package.checks.secret_files import check_secret_files
from seatrial.package.checks.shadowing import check_shadowing
from seatrial.package.checks.shards import check_shards
from seatrial.package.checks.stand_ins import check_stand_ins
from seatrial.package.checks.start_command import check_application, check_start_command
from seatrial.package.checks.syntax import check_syntax
from seatrial.package.checks.validators import check_validators
from seatrial.package.checks.weights.onnx import check_external_data
from seatrial.package.closure.conditions import Conditions
from seatrial.package.closure.walk import Closure, Start, follow
from seatrial.package.cog.file import COG_FILE
from seatrial.package.contents import judge_folder
from seatrial.package.finding import Finding
from seatrial.package.lambda_runtime import SDK_MODULES
from seatrial.package.layers import module_folders
from seatrial.package.layout import Entry, entry_of
from seatrial.package.listing import ListedFile, files_of
from seatrial.package.manifest import Manifest
from seatrial.package.requirements import Line, inline_requirements, read_requirements
from seatrial.package.source import Source
from seatrial.package.target import Target

CONTRACT_ID = "contract"
LEVELS = ("error", "unprovable", "warning")
BROUGHT = {"cog": frozenset({"cog"}), "aws_lambda": SDK_MODULES}  # by what runs the layout
REQUIREMENTS_FILES = {"sagemaker": "code/requirements.txt"}


def inspect(manifest: Manifest, root: Path, target: Target, contents: Iterable[Finding] | None = None) -> list[Finding]:
    """Every finding, errors first.

    `contents` is what is already known about the bytes of the files (see `sketch_package`); None: they are read here.
    """
    found = list(judge_folder(root) if contents is None else contents)
    files = files_of(root)
    lines = requirement_lines(manifest, root)
    file = requirements_name(manifest, root)
    if manifest.packages:
        target = replace(target, provided=target.provided | BROUGHT.get(manifest.layout, frozenset()))
    declares = imports.declared(lines, target, file)
    entry = entry_of(manifest.layout, manifest.handler, manifest.command, manifest.env, root)
    carried = Carried(root, [file.name for file in files])
    found += check_interpreter(target)
    if manifest.image is None:
        found += check_start_command(manifest, root, files, declares, target)
    elif contents is None:  # the image is all there
        found += check_package_image(manifest, root, target)
    if entry.wanted and manifest.image is None:
        faults = _of_the_code(manifest, root, files, target, entry, declares, carried)
        found += [in_aws_words(one) for one in faults] if manifest.layout == "aws_lambda" else faults
    found += check_cog_build(manifest, root, target) if manifest.layout == "cog" else ()
    found += check_requirements(lines, target)
    found += check_pins(lines)
    found += check_resolution(target, COG_FILE if manifest.layout == "cog" and not manifest.requirements else file)
    found += check_device(manifest.device, lines, target)
    found += check_samples(manifest.contract)
    found += check_sample_inputs(manifest.contract, root)
    found += check_validators(manifest.contract)
    found += check_hard_coded_paths(manifest, root, files, target, carried)
    found += check_external_data(files)
    found += check_shards(files, tuple(one.path for one in manifest.weights))
    found += check_secret_files(files)
    return in_order(found)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first."""
    return sorted(findings, key=lambda one: LEVELS.index(one.level))


def requirement_lines(manifest: Manifest, root: Path) -> list[Line]:
    """The lines of the package's requirements file, if it has one, and those of `cog.yaml`."""
    lines = read_requirements(manifest.requirements, root.resolve()) if manifest.requirements is not None else []
    return lines + (
        inline_requirements(manifest.packages, root / COG_FILE, COG_FILE)
        if manifest.layout == "cog" and manifest.packages
        else []
    )


def requirements_name(manifest: Manifest, root: Path) -> str:
    """The name of the requirements file, or of the one that could be added."""
    if manifest.requirements is None:
        return REQUIREMENTS_FILES.get(manifest.layout, "requirements.txt")
    return manifest.requirements.relative_to(root.resolve()).as_posix()


def closure_of(manifest: Manifest, root: Path, entry: Entry, declares: imports.Declared, target: Target) -> Closure:
    """Everything that importing the entry module imports. The entry's file is there."""

    def knows(module: str) -> bool:
        return imports.knows(module, declares, target)

    assert entry.file is not None  # noqa: S101  # the caller looked
    is_main = manifest.layout in ("runpod", "http")
    start = Start(entry.file, "__main__" if is_main else entry.module, _called(manifest, entry), is_main)
    folders = (*entry.folders, *module_folders(root, manifest.layers, target.python))
    return follow(root, start, folders, knows, Conditions(target.python, knows), manifest.env)


def contract_findings(error: Unproven) -> list[Finding]:
    """The faults of a `seatrial.toml` that cannot be read, one by one."""
    remedy = str(error.details.get("remedy", ""))
    problems = error.details.get("problems")
    if not problems:
        return [Finding(CONTRACT_ID, "error", error.message, remedy, error.field)]
    findings = []
    for one in problems:
        where = " ".join(part for part in (one["file"], one["table"], one["key"]) if part)
        valid = f" Valid: {one['valid']}." if one["valid"] else ""
        findings.append(Finding(CONTRACT_ID, "error", f"{where}: {one['message']}.", f"{remedy}{valid}", one["file"]))
    return findings


def _of_the_code(
    manifest: Manifest,
    root: Path,
    files: Sequence[ListedFile],
    target: Target,
    entry: Entry,
    declares: imports.Declared,
    carried: Carried,
) -> list[Finding]:
    source = find_entry_point(manifest, entry, root)
    if isinstance(source, Finding):
        return [source]
    assert entry.file is not None  # noqa: S101  # it was parsed
    found = list(_functions(manifest, root, entry, source))
    closure = closure_of(manifest, root, entry, declares, target)
    found += imports.check_imports(closure, declares, target, root, carried)
    found += check_syntax(closure, entry.file, root, target)
    found += check_shadowing(closure.folders, root, declares, target, manifest.layout, carried)
    found += check_extension_modules(closure.folders, root, files, target)
    found += check_stand_ins(closure, carried)
    found += check_data_files(closure, manifest, root, target, carried)
    return found


def _functions(manifest: Manifest, root: Path, entry: Entry, source: Source) -> Iterable[Finding]:
    match manifest.layout:
        case "python":
            return check_python_handler(manifest, source)
        case "sagemaker":
            return check_sagemaker_functions(source)
        case "aws_lambda":
            return check_lambda_function(entry, source)
        case "runpod":
            return check_runpod_handler(source)
        case "cog":
            return check_cog_predictor(manifest, entry, source, root)
        case _:
            return check_application(entry, source)


def _called(manifest: Manifest, entry: Entry) -> frozenset[str] | None:
    """Names that the worker calls in the entry module; None: any may be called."""
    if manifest.layout == "sagemaker":
        return frozenset(ARGUMENTS)
    if manifest.layout == "python":
        methods = {task.method or task.name for task in manifest.contract.tasks}
        return frozenset({str(entry.attribute), "__init__", *methods})
    if manifest.layout == "aws_lambda":
        return frozenset({str(entry.attribute)})
    return frozenset({"predict", "setup", "run"}) if manifest.layout == "cog" else None
