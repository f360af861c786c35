"""What a package says of itself: `seatrial.toml`, read whole, every fault named at once.

The reference of the format is docs/reference/package.md.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import TypeAdapter

from seatrial.domain.contract import Contract, Sample, Task
from seatrial.domain.limits import CONTRACT_BYTES_MAX, WORKERS_PER_ENDPOINT_MAX
from seatrial.domain.scaling import ScalingSettings, problem_of_limits
from seatrial.domain.triggers import TriggerWish
from seatrial.package.cog.file import COG_FILE, SDK, CogFile, cog_file
from seatrial.package.cog.signature import PREDICT, tasks_of
from seatrial.package.files import file_inside
from seatrial.package.image.reference import read_image
from seatrial.package.lambda_runtime import runtime_packages
from seatrial.package.layers import read_layers
from seatrial.package.layout import HANDLER_FORMS, default_handler, detect_layout
from seatrial.package.log_patterns import VALID_PATTERN, pattern_fault
from seatrial.package.problems import MANIFEST_NAME, Problems, did_you_mean, shown
from seatrial.package.requirements import read_requirements
from seatrial.package.samples import loose_samples, outside_samples, runpod_samples
from seatrial.package.tables import (
    EndpointTable,
    HttpTable,
    PackageTable,
    ScalingTable,
    SecretTable,
    TriggerTable,
    WeightsTable,
    WorkerTable,
)
from seatrial.package.tasks import read_tasks

_CONTRACT = TypeAdapter(Contract)
OUTSIDE = "The samples from outside"  # their folder is a copy, under a name that says nothing to anybody
OUTSIDE_REMEDY = "Correct the samples that you named (--samples DIR), or the package's tasks, and deploy again."
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
GIVEN_TO_SERVERS = ("PORT", "SAGEMAKER_BIND_TO_PORT", "SAGEMAKER_SAFE_PORT_RANGE")
SERVE = ("serve",)  # as in `docker run IMAGE serve`
SAGEMAKER_REQUIREMENTS = "code/requirements.txt"
PYTHON_REQUIREMENTS = "requirements.txt"
WORKER_SETTINGS = {"count": "workers"}  # the rest has the same names in VersionSettings
TABLES = ("package", "endpoint", "http", "env", "secrets", "weights", "worker", "scaling", "triggers", "tasks")


@dataclass(frozen=True, slots=True)
class WeightsSpec:
    """One `[[weights]]`: where it comes from, what it must be, and where the handler finds it."""

    path: str
    uri: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A package's own words. `layout` is one of LAYOUTS; `requirements` is a file on disk or None.

    `packages` are requirements that no file of the kind has, one text each.
    `secrets` maps a variable to "env:NAME" or "file:PATH", as in VersionSettings.
    """

    layout: str
    contract: Contract
    name: str | None = None
    description: str = ""
    handler: str | None = None
    requirements: Path | None = None
    packages: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()  # folders of the package that are found at /opt, the first one lowest
    python: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    weights: tuple[WeightsSpec, ...] = ()
    command: tuple[str, ...] = ()
    image: str | None = None
    http: HttpTable = field(default_factory=HttpTable)
    worker: Mapping[str, Any] = field(default_factory=dict)  # what [worker] sets, under the names of VersionSettings
    endpoint: Mapping[str, Any] = field(default_factory=dict)  # of [endpoint], [scaling], [[triggers]], likewise

    @property
    def device(self) -> str | None:
        """ "cpu" or "cuda"; None: the package does not say."""
        device: str | None = self.worker.get("device")
        return device

    @property
    def settings(self) -> dict[str, Any]:
        """The fields of VersionSettings that the package sets itself, `env` apart: nothing that it left out."""
        said: dict[str, Any] = {**self.worker, **self.endpoint}
        if self.python is not None:
            said["python"] = self.python
        if self.secrets:
            said["secrets"] = self.secrets
        return said


def read_manifest(root: Path, layout: str | None = None, handler: str | None = None) -> Manifest:
    """Read an unpacked package. Without tasks all layouts but "python" have an undeclared contract.

    `layout` and `handler` go before what the package itself says.

    Raises:
        Unproven: every problem of the file, one a line; `details["problems"]` has them one by one.
    """
    problems = Problems()
    path = root / MANIFEST_NAME
    tables = _read_toml(path, problems) if path.exists() else {}
    problems.raise_if_any()
    said = {"layout": layout, "handler": handler}
    given = {name: value for name, value in said.items() if value is not None}
    if given and isinstance(package := tables.get("package", {}), dict):
        tables = {**tables, "package": package | given}
    manifest = _assemble(root, tables, problems)
    problems.raise_if_any()
    return manifest


def with_outside_samples(manifest: Manifest, folder: Path) -> Manifest:
    """The manifest with the samples of a folder added; one of the same name replaces the package's own.

    `TASK/NAME.json`, or `NAME.json` whose task field names the task, each with an optional `NAME.expect.json`.
    Their paths are absolute.

    Raises:
        Unproven: unreadable, no sample at all, or none of the package's tasks is meant.
    """
    problems = Problems()
    contract = manifest.contract
    names = [name for task in contract.tasks for name in (task.name, *task.aliases)]
    found = list(outside_samples(folder, names, contract.task_field, problems))
    if not found and not problems.found:
        problems.add("", None, "hold no sample", "NAME.json or TASK/NAME.json", OUTSIDE)
    if not contract.declared:
        loose = _merged(contract.loose_samples, [sample for _, sample in found])
        changed = replace(contract, loose_samples=loose)
    else:
        changed = _with_task_samples(contract, found, problems)
    problems.raise_if_any(OUTSIDE_REMEDY)
    return replace(manifest, contract=changed)


def contract_to_json(contract: Contract) -> dict[str, Any]:
    """Plain data to keep with a version: schemas inlined, sample paths as they are, the same for equal contracts."""
    plain: dict[str, Any] = _CONTRACT.dump_python(contract, mode="json")
    for task in plain["tasks"]:
        for one in task["fields"]:
            one["sources"].sort()
    return plain


def contract_from_json(stored: Mapping[str, Any]) -> Contract:
    """What `contract_to_json` made.

    Raises:
        pydantic.ValidationError: the data was made by something else.
    """
    return _CONTRACT.validate_python(dict(stored))


def _with_task_samples(contract: Contract, found: list[tuple[str | None, Sample]], problems: Problems) -> Contract:
    added: dict[str, list[Sample]] = {task.name: [] for task in contract.tasks}
    for named, sample in found:
        only = contract.tasks[0] if len(contract.tasks) == 1 else None
        task = only if named is None else contract.task(named)
        if task is None:
            fault = f"names the task {named!r}" if named else f"has no field {contract.task_field!r}"
            problems.add("", None, fault, ", ".join(added), Path(str(sample.input)).name)
        else:
            added[task.name].append(sample)
    tasks = tuple(replace(task, samples=_merged(task.samples, added[task.name])) for task in contract.tasks)
    return replace(contract, tasks=tasks)


def _merged(own: tuple[Sample, ...], added: list[Sample]) -> tuple[Sample, ...]:
    return tuple(({one.name: one for one in own} | {one.name: one for one in added}).values())


def _read_toml(path: Path, problems: Problems) -> dict[str, Any]:
    if not path.is_file() or path.stat().st_size > CONTRACT_BYTES_MAX:
        problems.add("", None, "is no file or too large", f"a file of at most {CONTRACT_BYTES_MAX} bytes")
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:  # not UTF-8, or no TOML
        problems.add("", None, f"is no TOML: {error}", "TOML 1.0 in UTF-8")
        return {}


def _assemble(root: Path, tables: Mapping[str, Any], problems: Problems) -> Manifest:
    for name in tables:
        if name not in TABLES:
            problems.add(name, None, f"is no table of this file{did_you_mean(name, TABLES)}", ", ".join(TABLES))
    package = problems.parse(PackageTable, tables.get("package", {}), "[package]") or PackageTable()
    endpoint = problems.parse(EndpointTable, tables.get("endpoint", {}), "[endpoint]") or EndpointTable()
    worker = problems.parse(WorkerTable, tables.get("worker", {}), "[worker]") or WorkerTable()
    layout = package.layout or detect_layout(root, package.handler, _command(package), package.image)
    cog = cog_file(root) if layout == "cog" else CogFile()
    handler = _read_handler(package, layout, root, problems)
    env = _read_env(tables.get("env", {}), problems)
    brings_all = package.image is not None
    requirements = None if brings_all else _requirements(root, package.requirements, layout, cog, problems)
    layers = read_layers(root, package.layers, layout, problems)
    return Manifest(
        layout=layout,
        contract=_read_contract(root, tables, package, layout, handler, problems),
        name=package.name,
        description=package.description,
        handler=handler,
        requirements=requirements,
        packages=_packages(root, layout, requirements, cog, layers),
        layers=layers,
        python=package.python or _cog_python(cog, problems),
        env=dict(one.split("=", 1) for one in cog.environment if "=" in one) | env,
        secrets=_read_secrets(tables.get("secrets", {}), env, problems),
        weights=_read_weights(tables.get("weights", []), problems),
        command=_command(package),
        image=read_image(root, package.image, problems),
        http=_read_http(tables, layout, env, problems),
        worker=({"device": "cuda"} if cog.gpu else {}) | _worker_settings(worker, problems),
        endpoint={key: getattr(endpoint, key) for key in sorted(endpoint.model_fields_set)}
        | _read_scaling(tables, problems)
        | _read_triggers(tables.get("triggers", []), problems),
    )


def _read_scaling(tables: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    if "scaling" not in tables:
        return {}
    said = problems.parse(ScalingTable, tables["scaling"], "[scaling]")
    if said is None:
        return {}
    problem = problem_of_limits(said.minimum, said.maximum, WORKERS_PER_ENDPOINT_MAX)
    if problem is not None:
        problems.add("[scaling]", "max", f"is below min: {said.maximum} < {said.minimum}", "min or more")
    return {"scaling": ScalingSettings(**said.model_dump())}


def _read_triggers(values: object, problems: Problems) -> dict[str, Any]:
    if not isinstance(values, list):
        problems.add("[[triggers]]", None, f"found {shown(values)}", "tables [[triggers]]")
        return {}
    wishes: list[TriggerWish] = []
    for number, one in enumerate(values, start=1):
        table = f"[[triggers]] {number}"
        said = problems.parse(TriggerTable, one, table)
        if said is None:
            continue
        values = said.model_dump()
        wish = TriggerWish(**{**values, "events": tuple(said.events), "name": said.name or f"trigger-{number}"})
        if any((wish.bucket, wish.name) == (other.bucket, other.name) for other in wishes):
            problems.add(table, "name", f"found {wish.name!r} a second time", "a name for each")
        wishes.append(wish)
    return {"triggers": tuple(wishes)} if wishes else {}


def _command(package: PackageTable) -> tuple[str, ...]:
    """The start command; of an image, what its entry point is given: SageMaker's word unless it says another."""
    if package.command is None:
        return SERVE if package.image is not None else ()
    return tuple(package.command)


def _read_http(tables: Mapping[str, Any], layout: str, env: Mapping[str, str], problems: Problems) -> HttpTable:
    """How the package's own server is run."""
    if "http" in tables and layout != "http":
        problems.add("[http]", None, f"does not go with the layout {layout}", 'layout = "http", with a command')
    for name in GIVEN_TO_SERVERS if layout == "http" else ():
        if name in env:
            problems.add("[env]", name, "is told to the server by its worker", "[http] port, if it cannot be told")
    return problems.parse(HttpTable, tables.get("http", {}), "[http]") or HttpTable()


def _worker_settings(worker: WorkerTable, problems: Problems) -> dict[str, Any]:
    for pattern in worker.load_log_patterns:
        fault = pattern_fault(pattern)
        if fault:
            problems.add("[worker]", "load_log_patterns", f"{shown(pattern)}: {fault}", VALID_PATTERN)
    said = {WORKER_SETTINGS.get(key, key): getattr(worker, key) for key in sorted(worker.model_fields_set)}
    return said | ({"load_log_patterns": tuple(worker.load_log_patterns)} if worker.load_log_patterns else {})


def _read_handler(package: PackageTable, layout: str, root: Path, problems: Problems) -> str | None:
    """The handler in the words of its layout; its usual name where the layout has one."""
    if layout == "http" and not package.command and package.image is None:
        problems.add("[package]", "command", "is missing", 'a list of words such as ["python", "serve.py"]')
    if layout != "http" and package.image is not None:
        problems.add("[package]", "image", f"does not go with the layout {layout}", 'layout = "http"')
    if package.handler is None:
        usual = default_handler(layout, root)
        if usual is None and layout in ("python", "aws_lambda"):
            problems.add("[package]", "handler", "is missing", HANDLER_FORMS[layout][1])
        return usual
    pattern, valid = HANDLER_FORMS.get(layout, (r"(?!)", f"no handler: the layout {layout} has its own"))
    if not re.fullmatch(pattern, package.handler):
        problems.add("[package]", "handler", f"found {shown(package.handler)}", valid)
        return None
    return package.handler


def _read_contract(
    root: Path,
    tables: Mapping[str, Any],
    package: PackageTable,
    layout: str,
    handler: str | None,
    problems: Problems,
) -> Contract:
    """What is declared. Other layouts take a body as it is, so they need no tasks; a Python handler does.

    Of Cog's packages the code itself declares them.
    """
    own = tasks_of(root, handler, cog_file(root).train) if layout == "cog" and handler else None
    if own is not None:
        return _cog_contract(root, tables.get("tasks", {}), package.task_field, own, problems)
    if layout != "python" and "tasks" not in tables:
        samples = loose_samples(root, problems)
        if layout == "runpod":
            samples = _merged(runpod_samples(root, problems), list(samples))
        return Contract(declared=False, task_field=package.task_field, loose_samples=samples)
    return Contract(
        read_tasks(root, tables.get("tasks", {}), package.task_field, problems), task_field=package.task_field
    )


def _cog_contract(root: Path, values: object, task_field: str, own: tuple[Task, ...], problems: Problems) -> Contract:
    """The tasks of the code, with what `seatrial.toml` says beside; without a sample, one of the defaults."""
    while any(task.field_named(task_field) for task in own):
        task_field = f"_{task_field}"
    loose = loose_samples(root, problems)
    tasks = []
    for task in read_tasks(root, values, task_field, problems, own):
        samples = _merged(loose, list(task.samples)) if task.name == PREDICT else task.samples
        if not samples and not any(field.required for field in task.fields):
            samples = (Sample("defaults"),)
        tasks.append(replace(task, samples=samples))
    return Contract(tuple(tasks), task_field=task_field)


def _packages(
    root: Path, layout: str, requirements: Path | None, cog: CogFile, layers: Sequence[str]
) -> tuple[str, ...]:
    """What the layout brings along without a requirement in a file."""
    if layout == "aws_lambda":
        return runtime_packages(root, layers, requirements)
    return _packages_of_cog(root, requirements, cog) if layout == "cog" else ()


def _packages_of_cog(root: Path, requirements: Path | None, cog: CogFile) -> tuple[str, ...]:
    """Those of `cog.yaml`, and Cog itself, which a build with Cog's own tool brings along."""
    lines = list(cog.packages)
    if requirements is not None:
        lines += [one.text for one in read_requirements(requirements, root.resolve())]
    if any(re.match(r"cog(?![\w.-])", line.lstrip()) for line in lines):
        return cog.packages
    return (*cog.packages, SDK if cog.sdk_version is None else f"cog=={cog.sdk_version}")


def _cog_python(cog: CogFile, problems: Problems) -> str | None:
    if cog.python is None or (isinstance(cog.python, str) and re.fullmatch(r"3\.\d+(\.\d+)?", cog.python)):
        return cog.python
    problems.add("build", "python_version", f"found {shown(cog.python)}", 'a version in quotes: "3.11"', COG_FILE)
    return None


def _requirements(root: Path, named: str | None, layout: str, cog: CogFile, problems: Problems) -> Path | None:
    if named is not None:
        return file_inside(root, named, "[package]", "requirements", problems)
    if isinstance(cog.requirements, str):
        return file_inside(root, cog.requirements, "build", "python_requirements", problems)
    return _default_file(root, SAGEMAKER_REQUIREMENTS if layout == "sagemaker" else PYTHON_REQUIREMENTS)


def _default_file(root: Path, name: str) -> Path | None:
    path = root / name
    return path.resolve() if path.is_file() else None


def _read_env(values: object, problems: Problems) -> dict[str, str]:
    env = {}
    for name, value in _variables(values, "[env]", problems).items():
        if isinstance(value, str) and "\0" not in value:
            env[name] = value
        else:
            problems.add("[env]", name, f"found {shown(value)}", "a text in quotes")
    return env


def _read_secrets(values: object, env: Mapping[str, str], problems: Problems) -> dict[str, str]:
    secrets = {}
    for name, value in _variables(values, "[secrets]", problems).items():
        if name in env:
            problems.add("[secrets]", name, "is in [env] as well", "one of the two")
        secret = problems.parse(SecretTable, value, f"[secrets] {name}")
        if secret is None:
            continue
        if (secret.env is None) == (secret.file is None):
            problems.add("[secrets]", name, f"found {shown(value)}", "{ env = 'VARIABLE' } or { file = 'name' }")
        elif secret.file is not None and not _stays_below(secret.file):
            problems.add("[secrets]", name, f"found the file {secret.file!r}", "a relative path without '..'")
        else:
            secrets[name] = f"env:{secret.env}" if secret.env else f"file:{secret.file}"
    return secrets


def _variables(values: object, table: str, problems: Problems) -> dict[str, Any]:
    """The entries of a table of environment variables whose names can be some."""
    if not isinstance(values, Mapping):
        problems.add(table, None, f"found {shown(values)}", "a table")
        return {}
    for name in values:
        if not VARIABLE.fullmatch(name):
            problems.add(table, name, "is no name of a variable", "letters, digits and '_', no digit first")
    return {name: value for name, value in values.items() if VARIABLE.fullmatch(name)}


def _read_weights(values: object, problems: Problems) -> tuple[WeightsSpec, ...]:
    if not isinstance(values, list):
        problems.add("[[weights]]", None, f"found {shown(values)}", "tables [[weights]]")
        return ()
    weights: list[WeightsSpec] = []
    for number, one in enumerate(values, start=1):
        table = f"[[weights]] {number}"
        parsed = problems.parse(WeightsTable, one, table)
        if parsed is None:
            continue
        path = PurePosixPath(parsed.path).as_posix()
        if not _stays_below(path) or path == ".":
            problems.add(table, "path", f"found {parsed.path!r}", "a relative path in the package, without '..'")
        if any(path == other.path for other in weights):
            problems.add(table, "path", f"found {parsed.path!r} a second time", "a path for each")
        weights.append(WeightsSpec(path, parsed.uri, parsed.sha256))
    return tuple(weights)


def _stays_below(path: str) -> bool:
    return not path.startswith("/") and ".." not in path.split("/") and "\0" not in path
