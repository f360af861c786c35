import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.domain.contract import (
    Contract,
    Field,
    FieldType,
    MediaForm,
    MediaSource,
    Output,
    OutputPart,
    Sample,
    Task,
)
from seatrial.domain.errors import Unproven
from seatrial.package import tables
from seatrial.package.manifest import (
    Manifest,
    WeightsSpec,
    contract_from_json,
    contract_to_json,
    read_manifest,
    with_outside_samples,
)
from seatrial.package.names import LEFT_OUT_NAMES, LEFT_OUT_PREFIX, LEFT_OUT_SUFFIXES

EXAMPLES = Path(__file__).parents[1] / "packages"
Package = Callable[..., Path]
WHOLE = """
[package]
name = "plans"
description = "Finds rooms"
handler = "plans.handler:Plans"
requirements = "deps.txt"
python = "3.12"
task_field = "operation"

[env]
MODE = "fast"

[secrets]
TOKEN = { env = "HUB_TOKEN" }
KEY = { file = "plans/key" }

[[weights]]
path = "weights/a.bin"
uri = "s3://models/a.bin"
sha256 = "00000000000000000000000000000000000000000000000000000000000000aa"

[worker]
count = 2
load_timeout_seconds = 30
queue_depth_max = 10

[tasks.rooms]
description = "Rooms of a plan"
aliases = ["detect", "find-rooms"]
method = "find_rooms"
extra_fields = true
timeout_seconds = 60

[tasks.rooms.input.plan]
type = "image"
required = true
description = "the picture"
form = "path"
sources = ["key", "uri", "base64"]
formats = ["png", "jpeg"]
bytes_max = 1000
pixels_max = 2000
key_field = "plan_key"
bucket_field = "bucket"
bucket_default = "plans"

[tasks.rooms.input.mask]
type = "file"
bucket_field = "bucket"

[tasks.rooms.input.scale]
type = "number"
exclusive_minimum = 0
maximum = 10
multiple_of = 0.5
default = 1.5

[tasks.rooms.input.words]
type = "array"
min_items = 1
max_items = 3
items = { type = "string", min_length = 2, max_length = 9, pattern = "^[a-z]+$", enum = ["door", "window"] }

[tasks.rooms.input.area]
type = "object"
properties = { x = { type = "integer", required = true }, deep = { type = "object", properties = {} } }

[tasks.rooms.output]
media_type = "application/json"
schema = "schemas/rooms.json"

[tasks.rooms.output.parts.overlay]
media_type = "image/png"
required = false

[[tasks.rooms.samples]]
name = "house"
input = "samples/house.json"
files = { plan = "samples/house.png" }
expect = "samples/house.expect.json"

[[tasks.rooms.samples]]
input = "samples/raw.png"
media_type = "image/png"
"""
FILES = {
    "deps.txt": "",
    "schemas/rooms.json": '{"type": "object", "$defs": {"r": {}}, "properties": {"rooms": {"$ref": "#/$defs/r"}}}',
    "samples/house.json": '{"operation": "detect", "scale": 2}',
    "samples/house.png": "",
    "samples/raw.png": "no json",
    "samples/house.expect.json": "{}",
}


@pytest.fixture
def package(tmp_path: Path) -> Package:
    def make(text: str | None, files: Mapping[str, str] | None = None) -> Path:
        root = tmp_path / "package"
        for name, content in (files or {}).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content)
        root.mkdir(exist_ok=True)
        if text is not None:
            (root / "seatrial.toml").write_text(text)
        return root

    return make


def refused(root: Path) -> Unproven:
    with pytest.raises(Unproven) as caught:
        read_manifest(root)
    assert caught.value.error_type == "inspect"
    return caught.value


def test_everything_that_the_format_holds(package: Package) -> None:
    root = package(WHOLE, FILES)
    manifest = read_manifest(root)
    rooms = Task(
        name="rooms",
        description="Rooms of a plan",
        aliases=("detect", "find-rooms"),
        method="find_rooms",
        extra_fields=True,
        timeout_seconds=60,
        fields=(
            Field(
                "plan",
                FieldType.IMAGE,
                True,
                "the picture",
                form=MediaForm.PATH,
                sources=frozenset({MediaSource.KEY, MediaSource.URI, MediaSource.BASE64}),
                formats=("png", "jpeg"),
                bytes_max=1000,
                pixels_max=2000,
                pixels_max_declared=True,
                key_field="plan_key",
                bucket_field="bucket",
                bucket_default="plans",
            ),
            Field("mask", FieldType.FILE, bucket_field="bucket"),
            Field(
                "scale",
                FieldType.NUMBER,
                default=1.5,
                schema={"type": "number", "exclusiveMinimum": 0, "maximum": 10, "multipleOf": 0.5},
            ),
            Field(
                "words",
                FieldType.ARRAY,
                schema={
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 3,
                    "items": {
                        "type": "string",
                        "minLength": 2,
                        "maxLength": 9,
                        "pattern": "^[a-z]+$",
                        "enum": ["door", "window"],
                    },
                },
            ),
            Field(
                "area",
                FieldType.OBJECT,
                schema={
                    "type": "object",
                    "properties": {"x": {"type": "integer"}, "deep": {"type": "object", "properties": {}}},
                    "required": ["x"],
                },
            ),
        ),
        output=Output(
            "application/json",
            json.loads(FILES["schemas/rooms.json"]),
            (OutputPart("overlay", "image/png", required=False),),
        ),
        samples=(
            Sample(
                "house",
                "samples/house.json",
                {"plan": "samples/house.png"},
                expect="samples/house.expect.json",
            ),
            Sample("raw", "samples/raw.png", media_type="image/png"),
        ),
    )
    assert manifest == Manifest(
        layout="python",
        contract=Contract((rooms,), task_field="operation"),
        name="plans",
        description="Finds rooms",
        handler="plans.handler:Plans",
        requirements=(root / "deps.txt").resolve(),
        python="3.12",
        env={"MODE": "fast"},
        secrets={"TOKEN": "env:HUB_TOKEN", "KEY": "file:plans/key"},
        weights=(WeightsSpec("weights/a.bin", "s3://models/a.bin", "0" * 62 + "aa"),),
        worker={"workers": 2, "load_timeout_seconds": 30, "queue_depth_max": 10},
    )
    assert manifest.settings == {
        "workers": 2,
        "load_timeout_seconds": 30,
        "queue_depth_max": 10,
        "python": "3.12",
        "secrets": {"TOKEN": "env:HUB_TOKEN", "KEY": "file:plans/key"},
    }


def test_layers_are_named_or_lie_in_their_folder(package: Package) -> None:
    files = {"lambda_function.py": "", ".layers/2/python/a.py": "", ".layers/1/b": "", "deps/python/c.py": ""}
    assert read_manifest(package("", files)).layers == (".layers/1", ".layers/2")
    named = '[package]\nlayout = "aws_lambda"\nlayers = ["deps"]\n'
    assert read_manifest(package(named, files)).layers == ("deps",)
    for text, fault in (
        (named.replace("deps", "nowhere"), "no folder of the package"),
        (named.replace("deps", "../.."), "no folder of the package"),
        (named.replace("aws_lambda", "sagemaker"), "are not for the layout sagemaker"),
    ):
        with pytest.raises(Unproven, match=fault):
            read_manifest(package(text, files))


def test_a_package_without_a_manifest_is_sagemakers_layout(package: Package) -> None:
    files = {
        "code/requirements.txt": "",
        "samples/b.json": "[1]",
        "samples/a.json": "{}",
        "samples/a.expect.json": "{}",
        "samples/readme.txt": "",
    }
    root = package(None, files)
    manifest = read_manifest(root)
    assert (manifest.layout, manifest.name, manifest.settings) == ("sagemaker", None, {})
    assert manifest.requirements == (root / "code/requirements.txt").resolve()
    assert manifest.contract == Contract(
        declared=False,
        loose_samples=(
            Sample("a", "samples/a.json", expect="samples/a.expect.json"),
            Sample("b", "samples/b.json"),
        ),
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[worker]\ncount = 2\n",
        "[env]\nMODE = 'fast'\n",
        "[secrets]\nTOKEN = { env = 'T' }\n",
        "[package]\nname = 'm'\ntask_field = 'task'\n",
        f"[[weights]]\npath = 'w'\nuri = 'https://host/w'\nsha256 = '{'0' * 64}'\n",
    ],
)
def test_a_manifest_without_tasks_leaves_the_contract_undeclared(package: Package, text: str) -> None:
    manifest = read_manifest(package(text, {"samples/a.json": "{}"}))
    assert manifest.layout == "sagemaker"
    assert manifest.contract == Contract(declared=False, loose_samples=(Sample("a", "samples/a.json"),))
    said = (manifest.worker, manifest.env, manifest.secrets, manifest.weights, manifest.name)
    assert sum(map(bool, said)) == bool(text)


def test_loose_samples_are_checked(package: Package) -> None:
    error = refused(package(None, {"samples/a.json": "{", "samples/b.json": "1", "samples/b.expect.json": "3"}))
    assert "samples/a.json" in error.message
    assert "samples/b.expect.json" in error.message


@pytest.mark.parametrize("name", ["echo", "echo_sagemaker", "tasks_sagemaker", "no_samples", "slow_load"])
def test_the_example_packages_are_read(name: str) -> None:
    read_manifest(EXAMPLES / name)


TASK = "[tasks.t.input.x]\ntype = 'string'\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[package\n", "seatrial.toml: is no TOML"),
        ("[package]\nhandler = 'a:B'\n", "[tasks]: declares no task (valid: at least one table [tasks.NAME])"),
        ("[tasks]\n", "[tasks]: declares no task (valid: at least one table [tasks.NAME])"),
        ("[pakage]\n" + TASK, "seatrial.toml pakage: is no table of this file; did you mean 'package'?"),
        ("[package]\nhander = 'a:B'\n" + TASK, "[package] hander: is no key of this table; did you mean 'handler'?"),
        ("[package]\nhandler = 'a'\n" + TASK, "[package] handler: found 'a' (valid: 'module:Class'"),
        ("[package]\nhandler = 'a:B.c'\n" + TASK, "[package] handler: found 'a:B.c'"),
        ("[package]\nname = 3\n" + TASK, "[package] name: found 3"),
        ("[package]\npython = '3.8'\n" + TASK, "[package] python: found '3.8' (valid: a version from '3.9' on"),
        ("[package]\nrequirements = 'no.txt'\n" + TASK, "[package] requirements: 'no.txt' is no file of the package"),
        ("[package]\nrequirements = '../r.txt'\n" + TASK, "'../r.txt' lies outside of the package"),
        ("[package]\nrequirements = '/etc/passwd'\n" + TASK, "'/etc/passwd' lies outside of the package"),
        ("[env]\nN = 1\n" + TASK, "[env] N: found 1 (valid: a text in quotes)"),
        ("[env]\n'1N' = 'x'\n" + TASK, "[env] 1N: is no name of a variable"),
        ("[secrets]\nS = 'plain'\n" + TASK, "[secrets] S: found 'plain' (valid: a table)"),
        ("[secrets]\nS = {}\n" + TASK, "[secrets] S: found {} (valid: { env"),
        ("[secrets]\nS = { file = '../x' }\n" + TASK, "[secrets] S: found the file '../x'"),
        ("[env]\nS = 'x'\n[secrets]\nS = { env = 'E' }\n" + TASK, "[secrets] S: is in [env] as well"),
        ("[[weights]]\npath = '/w'\nuri = 'u'\nsha256 = '" + "0" * 64 + "'\n" + TASK, "[[weights]] 1 path: found '/w'"),
        (
            "[[weights]]\npath = 'w'\nuri = 'u'\nsha256 = 'AB'\n" + TASK,
            "[[weights]] 1 sha256: found 'AB' (valid: the S",
        ),
        ("[[weights]]\npath = 'w'\n" + TASK, "[[weights]] 1 uri: is missing (valid: file:"),
        ("[worker]\ncount = 0\n" + TASK, "[worker] count: found 0 (valid: 1 to 64 workers)"),
        ("[worker]\ncount = 1.0\n" + TASK, "[worker] count: found 1.0"),
        ("[worker]\nqueue_ttl_seconds = 9999999\n" + TASK, "[worker] queue_ttl_seconds: found 9999999 (valid: 1 to"),
        ("[tasks.'a b']\n", "[tasks.a b]: found the name 'a b'"),
        ("[worker]\ncold_start_seconds = 0\n" + TASK, "[worker] cold_start_seconds: found 0 (valid: a number of sec"),
        (
            "[worker]\nload_log_patterns = ['(?=x)']\n" + TASK,
            "[worker] load_log_patterns: '(?=x)': look-around, including look-ahead and look-behind, is not supported",
        ),
        ("[worker]\nload_log_patterns = ['(']\n" + TASK, "[worker] load_log_patterns: '(': unclosed group (valid: a"),
        (
            "[worker]\nload_log_patterns = ['x{1000}{1000}']\n" + TASK,
            "[worker] load_log_patterns: 'x{1000}{1000}': Compiled regex exceeds size limit",
        ),
        ("[tasks.t]\ntimeout = 3\n", "[tasks.t] timeout: is no key of this table; did you mean 'timeout_seconds'?"),
        ("[tasks.t]\nmethod = 'a-b'\n", "[tasks.t] method: found 'a-b'"),
        ("[tasks.a]\naliases = ['b']\n[tasks.b]\n", "[tasks.a] aliases: 'b' already means the task 'b'"),
        (
            "[tasks.a]\naliases = ['x']\n[tasks.b]\naliases = ['x']\n",
            "[tasks.b] aliases: 'x' already means the task 'a'",
        ),
        ("[tasks.a]\naliases = ['x', 'x']\n", "[tasks.a] aliases: 'x' already means the task 'a'"),
        ("[tasks.t.input.x]\n", "[tasks.t.input.x] type: is missing"),
        (
            "[tasks.t.output]\nmedia_type = 'image/png'\nvalidate = 'studoi'\n",
            "[tasks.t.output] validate: there is no profile 'studoi'; did you mean 'studio'? (valid: default, studio,",
        ),
        (
            "[tasks.t.output]\nmedia_type = 'image/png'\nvalidate = { image = { wide = 3 } }\n",
            "[tasks.t.output] validate: validate: image.wide: unknown; valid: bytes_min",
        ),
        (
            "[tasks.t.output.parts.p]\nmedia_type = 'image/png'\nvalidate = { image = { blank_share_max = 50 } }\n",
            "[tasks.t.output.parts.p] validate: validate: image.blank_share_max: a share is between 0 and 1",
        ),
        (
            "[tasks.t.output.parts.p]\nmedia_type = 'image/png'\nvalidate = 'p.toml'\n",
            "[tasks.t.output.parts.p] validate: 'p.toml' is no file of the package",
        ),
        (
            "[tasks.t.output]\nmedia_type = 'model/obj'\nvalidate = { mesh = { texture_required = true } }\n",
            "[tasks.t.output] validate: the textures of model/obj lie in files of their own",
        ),
        (
            "[tasks.t.output]\nmedia_type = 'text/plain'\nvalidate = 'default'\n",
            "[tasks.t.output] validate: there are no validators for the media type text/plain (valid: a media type of",
        ),
        ("[tasks.t.input.x]\ntype = 'str'\n", "type: found 'str'; did you mean 'string'? (valid: string, integer"),
        ("[tasks.t.input.x]\ntype = 'string'\nform = 'path'\n", "[tasks.t.input.x] form: is no key of this table"),
        ("[tasks.t.input.x]\ntype = 'string'\nminimum = 1\n", "minimum: means nothing for the type 'string'"),
        ("[tasks.t.input.x]\ntype = 'string'\npattern = '('\n", "pattern: '(': missing"),
        ("[tasks.t.input.x]\ntype = 'integer'\nminimum = 3\nmaximum = 2\n", "minimum: found 3, above maximum = 2"),
        ("[tasks.t.input.x]\ntype = 'integer'\nmaximum = 2\ndefault = 3\n", "default: 3 is outside of the field's own"),
        ("[tasks.t.input.x]\ntype = 'string'\nenum = [1]\n", "enum: 1 is outside of the field's own limits"),
        ("[tasks.t.input.x]\ntype = 'string'\nenum = []\n", "enum: found []"),
        ("[tasks.t.input.x]\ntype = 'string'\ndefault = 2020-01-01\n", "default: found datetime.date(2020, 1, 1)"),
        ("[tasks.t.input.x]\ntype = 'number'\ndefault = nan\n", "default: found nan (valid: a value that JSON"),
        ("[tasks.t.input.x]\ntype = 'string'\nrequired = true\ndefault = 'd'\n", "a required field has no use"),
        (
            "[tasks.t.input.x]\ntype = 'array'\nitems = { type = 'strin' }\n",
            "[tasks.t.input.x].items type: found 'strin'",
        ),
        ("[tasks.t.input.x]\ntype = 'image'\nform = 'pth'\n", "form: found 'pth' (valid: path, bytes, base64"),
        ("[tasks.t.input.x]\ntype = 'image'\nformats = ['jpg']\n", "formats: found 'jpg'; did you mean 'jpeg'?"),
        ("[tasks.t.input.x]\ntype = 'image'\nmodes = ['gray']\n", "modes: found 'gray'; did you mean 'grey'?"),
        (
            "[tasks.t.input.x]\ntype = 'image'\npixels_min = 9\npixels_max = 8\n",
            "pixels_min: found 9, above pixels_max",
        ),
        ("[tasks.t.input.x]\ntype = 'file'\nexif_rotated = true\n", "exif_rotated: means nothing for the type 'file'"),
        ("[tasks.t.input.x]\ntype = 'file'\npixels_max = 3\n", "pixels_max: means nothing for the type 'file'"),
        ("[tasks.t.input.x]\ntype = 'file'\nsources = ['url']\nkey_field = 'k'\n", "key_field: means nothing without"),
        ("[tasks.t.input.x]\ntype = 'file'\nkey_field = 'x'\n", "key_field: 'x' is the field 'x' already"),
        (
            "[tasks.t.input.x]\ntype = 'file'\nbucket_field = 'task'\n",
            "bucket_field: 'task' is the field that names the",
        ),
        ("[tasks.t.input.task]\ntype = 'string'\n", "[tasks.t.input.task]: is the field that names the task"),
        ("[tasks.t.output]\nmedia_type = 'json'\n", "[tasks.t.output] media_type: found 'json'"),
        ("[tasks.t.output]\nanswer = {}\n", "[tasks.t.output] answer: is no key of this table"),
        ("[tasks.t.output]\nschema = { type = 'strin' }\n", "[tasks.t.output] schema: at $.type:"),
        ("[tasks.t.output]\nschema = { '$ref' = 'http://127.0.0.1/s' }\n", "refers to 'http://127.0.0.1/s', which it"),
        ("[tasks.t.output]\nschema = { '$ref' = '#/$defs/x' }\n", "refers to '#/$defs/x', which it does not hold"),
        ("[tasks.t.output]\nschema = { const = 2020-01-01 }\n", "[tasks.t.output] schema: is not JSON"),
        ("[tasks.t.output]\nschema = 'no.json'\n", "[tasks.t.output] schema: 'no.json' is no file of the package"),
        (
            "[tasks.t.output.parts.result]\nmedia_type = 'a/b'\n",
            "[tasks.t.output.parts.result]: 'result' is the answer",
        ),
        ("[[tasks.t.samples]]\n", "[[tasks.t.samples]] 1: names no request"),
        ("[[tasks.t.samples]]\ninput = 'x.json'\n", "[[tasks.t.samples]] 1 input: 'x.json' is no file of the package"),
        ("[[tasks.t.samples]]\ninput = '../../etc'\n", "[[tasks.t.samples]] 1 input: '../../etc' lies outside"),
        ("[[tasks.t.samples]]\nfiles = { y = 'seatrial.toml' }\n", "1 files.y: is no media field"),
        ("[[tasks.t.samples]]\ninput = 'seatrial.toml'\n", "1 input: seatrial.toml is no JSON"),
    ],
)
def test_a_fault_is_named_with_its_place_and_what_is_valid(package: Package, text: str, expected: str) -> None:
    assert expected in refused(package(text)).message


@pytest.mark.parametrize(
    ("text", "place", "found"),
    [
        ("[tasks.t.output]\nmedia_type = 'image/png'\nvalidate = true\n", "[tasks.t.output] validate", "True"),
        (
            "[tasks.t.output.parts.p]\nmedia_type = 'image/png'\nvalidate = 3\n",
            "[tasks.t.output.parts.p] validate",
            "3",
        ),
        ("[tasks.t.output]\nschema = 3\n", "[tasks.t.output] schema", "3"),
        ("[tasks.t.output]\nvarying = [3]\n", "[tasks.t.output] varying.0", "3"),
        ("[tasks.t]\ntimeout_seconds = 'x'\n", "[tasks.t] timeout_seconds", "'x'"),
    ],
)
def test_a_value_that_may_be_of_several_types_and_is_of_none_is_one_fault(
    package: Package, text: str, place: str, found: str
) -> None:
    message = refused(package(text)).message
    assert message.startswith(f"seatrial.toml {place}: found {found} (valid: ")
    assert "\n" not in message


def test_a_sample_that_names_another_task_is_refused(package: Package) -> None:
    text = "[tasks.a]\naliases = ['b']\n[[tasks.a.samples]]\ninput = 's.json'\n"
    assert (
        "names the task 'c' in its field 'task' (valid: a, b)"
        in refused(package(text, {"s.json": '{"task":"c"}'})).message
    )
    read_manifest(package(text, {"s.json": '{"task": "b"}'}))


def test_an_expectation_must_be_a_schema(package: Package) -> None:
    text = "[tasks.a]\n[[tasks.a.samples]]\ninput = 's.json'\nexpect = 'e.json'\n"
    error = refused(package(text, {"s.json": "{}", "e.json": '{"minimum": "1"}'}))
    assert "[[tasks.a.samples]] 1 expect: at $.minimum:" in error.message


def test_a_link_does_not_lead_out(package: Package, tmp_path: Path) -> None:
    (tmp_path / "outside.json").write_text("{}")
    root = package("[tasks.a]\n[[tasks.a.samples]]\ninput = 's.json'\n")
    (root / "s.json").symlink_to(tmp_path / "outside.json")
    assert "lies outside of the package" in refused(root).message


def test_all_problems_are_named_at_once(package: Package) -> None:
    text = """
    [package]
    nam = "x"
    [worker]
    count = 0
    cont = 1
    [tasks.a.input.x]
    type = "image"
    key_field = "x"
    [tasks.a.input.y]
    type = "text"
    [[tasks.a.samples]]
    input = "missing.json"
    [extra]
    """
    error = refused(package(text))
    places = [(one["table"], one["key"]) for one in error.details["problems"]]
    assert places == [
        ("extra", None),
        ("[package]", "nam"),
        ("[worker]", "count"),
        ("[worker]", "cont"),
        ("[tasks.a.input.y]", "type"),
        ("[tasks.a.input.x]", "key_field"),
        ("[[tasks.a.samples]] 1", "input"),
    ]
    assert error.message.startswith("7 problems:\n")
    assert "remedy" in error.details


def test_samples_from_outside(package: Package, tmp_path: Path) -> None:
    root = package(
        "[tasks.a]\naliases = ['x']\n[tasks.b]\n[[tasks.b.samples]]\nname = 's'\ninput = 'o.json'\n", {"o.json": "{}"}
    )
    folder = tmp_path / "outside"
    for name, content in {
        "one.json": '{"task": "x"}',
        "one.expect.json": "{}",
        "b/s.json": "{}",
        "b/two.json": "{}",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    tasks = with_outside_samples(read_manifest(root), folder).contract.tasks
    assert tasks[0].samples == (Sample("one", str(folder / "one.json"), expect=str(folder / "one.expect.json")),)
    assert tasks[1].samples == (Sample("s", str(folder / "b/s.json")), Sample("two", str(folder / "b/two.json")))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, "The samples from outside: hold no sample (valid: NAME.json or TASK/NAME.json)"),
        ({"a.json": "{}"}, "a.json: has no field 'task' (valid: a, b)"),
        ({"a.json": '{"task": "c"}'}, "a.json: names the task 'c'"),
        ({"c/a.json": "{}"}, "c/: is a folder that no task is named like (valid: a, b)"),
        ({"a/a.json": "{"}, "a/a.json: a.json is no JSON"),
    ],
)
def test_samples_from_outside_that_prove_nothing(
    package: Package, tmp_path: Path, files: dict[str, str], expected: str
) -> None:
    manifest = read_manifest(package("[tasks.a]\n[tasks.b]\n"))
    folder = tmp_path / "seatrial-samples-x8f3"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    with pytest.raises(Unproven) as caught:
        with_outside_samples(manifest, folder)
    assert expected in caught.value.message
    assert folder.name not in caught.value.message
    assert "samples" in caught.value.details["remedy"]


def test_samples_from_outside_of_an_undeclared_contract(package: Package, tmp_path: Path) -> None:
    manifest = read_manifest(package(None, {"samples/a.json": "{}"}))
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "b.json").write_text('{"task": "whatever"}')
    added = with_outside_samples(manifest, folder).contract
    assert added.loose_samples == (Sample("a", "samples/a.json"), Sample("b", str(folder / "b.json")))


DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "package.md"


def test_the_reference_names_every_key_and_its_example_is_valid(package: Package) -> None:
    text = DOCUMENT.read_text()
    models = [one for one in vars(tables).values() if isinstance(one, type) and issubclass(one, tables.Table)]
    keys = {info.alias or name for model in models for name, info in model.model_fields.items()}
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []
    files = ["requirements.txt", "samples/house.png"]
    schemas = ["schemas/rooms.json", "samples/house.json", "samples/house.expect.json"]
    example = text.partition("```toml\n")[2].partition("```")[0]
    manifest = read_manifest(package(example, dict.fromkeys(files, "") | dict.fromkeys(schemas, "{}")))
    assert manifest.contract.tasks[0].samples[0].name == "house"


def test_the_reference_names_what_is_left_out() -> None:
    text = DOCUMENT.read_text()
    names = [*LEFT_OUT_NAMES, *(f"*{suffix}" for suffix in LEFT_OUT_SUFFIXES), f"{LEFT_OUT_PREFIX}*"]
    assert [name for name in names if f"`{name}`" not in text] == []


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(st.text(), PLAIN, max_size=3)
SAMPLES = st.builds(
    Sample,
    name=st.text(),
    input=st.none() | st.text(),
    files=st.dictionaries(st.text(), st.text(), max_size=2),
    media_type=st.text(),
    expect=st.none() | st.text(),
)
FIELDS = st.builds(
    Field,
    name=st.text(),
    type=st.sampled_from(FieldType),
    required=st.booleans(),
    description=st.text(),
    default=PLAIN,
    schema=OBJECTS,
    form=st.sampled_from(MediaForm),
    sources=st.frozensets(st.sampled_from(MediaSource)),
    formats=st.lists(st.text(), max_size=2).map(tuple),
    modes=st.lists(st.text(), max_size=2).map(tuple),
    exif_rotated=st.booleans(),
    pixels_min=st.integers(1),
    bytes_max=st.integers(1),
    pixels_max=st.integers(1),
    key_field=st.none() | st.text(),
    bucket_field=st.none() | st.text(),
    bucket_default=st.none() | st.text(),
)
PARTS = st.builds(
    OutputPart, name=st.text(), media_type=st.text(), required=st.booleans(), validate=st.none() | OBJECTS
)
OUTPUTS = st.builds(
    Output,
    media_type=st.none() | st.text(),
    schema=st.none() | OBJECTS,
    parts=st.lists(PARTS, max_size=2).map(tuple),
    validate=st.none() | OBJECTS,
)
TASKS = st.builds(
    Task,
    name=st.text(),
    description=st.text(),
    aliases=st.lists(st.text(), max_size=2).map(tuple),
    method=st.none() | st.text(),
    fields=st.lists(FIELDS, max_size=2).map(tuple),
    output=OUTPUTS,
    samples=st.lists(SAMPLES, max_size=2).map(tuple),
    extra_fields=st.booleans(),
    handler_checks=st.booleans(),
    timeout_seconds=st.none() | st.integers(1),
)
CONTRACTS = st.builds(
    Contract,
    tasks=st.lists(TASKS, max_size=2).map(tuple),
    declared=st.booleans(),
    task_field=st.text(),
    loose_samples=st.lists(SAMPLES, max_size=2).map(tuple),
)


def test_a_handler_cannot_check_what_the_server_reads(package: Package) -> None:
    root = package(WHOLE.replace("extra_fields = true", "handler_checks = true"), FILES)
    with pytest.raises(Unproven) as refused:
        read_manifest(root)
    (problem,) = refused.value.details["problems"]
    assert "handler_checks" in str(problem)
    assert "does not go with the media field 'plan'" in str(problem)


@settings(max_examples=100, deadline=None)
@given(CONTRACTS)
def test_a_stored_contract_is_the_same_contract(contract: Contract) -> None:
    stored = json.dumps(contract_to_json(contract))
    again = contract_from_json(json.loads(stored))
    assert again == contract
    assert json.dumps(contract_to_json(again)) == stored


def test_how_a_package_runs_its_own_server(tmp_path: Path) -> None:
    (tmp_path / "seatrial.toml").write_text(
        "[package]\ncommand = ['./serve']\n[http]\nport = 9000\nnetwork = 'host'\nconcurrency = 4\n"
    )
    manifest = read_manifest(tmp_path)
    assert (manifest.layout, manifest.command) == ("http", ("./serve",))
    assert (manifest.http.port, manifest.http.network, manifest.http.concurrency) == (9000, "host", 4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[http]\nport = 1", "does not go with the layout sagemaker"),
        ("[package]\ncommand = ['a']\n[http]\nport = 70000", "1 to 65535"),
        ("[package]\ncommand = ['a']\n[http]\nnetwork = 'bridge'", "own or host"),
        ("[package]\ncommand = ['a']\n[http]\nconcurrency = 0", "requests at once"),
        ("[package]\ncommand = ['a']\n[env]\nPORT = '1'", "is told to the server by its worker"),
        ("[package]\nlayout = 'http'", "is missing"),
    ],
)
def test_what_cannot_be_said_of_a_server(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "seatrial.toml").write_text(text)
    with pytest.raises(Unproven) as refused:
        read_manifest(tmp_path)
    assert said in str(refused.value.details["problems"]) + refused.value.message


DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (f"image = 'hub.example:5000/team/model:1@{DIGEST}'", ("serve",)),
        (f"image = '{DIGEST}'\ncommand = []", ()),
        ("image = 'images/model.tar'\ncommand = ['--quiet']", ("--quiet",)),
        ("image = 'layout'", ("serve",)),
    ],
)
def test_an_image_that_cannot_be_another_one_tomorrow(tmp_path: Path, text: str, command: tuple[str, ...]) -> None:
    for name in ("images/model.tar", "layout/oci-layout", "requirements.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "seatrial.toml").write_text(f"[package]\n{text}\n")
    manifest = read_manifest(tmp_path)
    assert (manifest.layout, manifest.command, manifest.requirements) == ("http", command, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image = 'model:latest'", "as a tag may be another image tomorrow"),
        ("image = 'model'", "as a tag may be another image tomorrow"),
        ("image = '../model.tar'", "as a tag may be another image tomorrow"),
        ("image = 'folder'", "neither an OCI layout nor a saved image"),
        (f"image = '{DIGEST}'\nlayout = 'sagemaker'", "does not go with the layout sagemaker"),
    ],
)
def test_an_image_that_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "seatrial.toml").write_text(f"[package]\n{text}\n")
    with pytest.raises(Unproven) as refused:
        read_manifest(tmp_path)
    assert said in str(refused.value.details["problems"])
