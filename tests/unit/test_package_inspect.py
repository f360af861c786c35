from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from seatrial.package.finding import Finding
from seatrial.package.inspect import inspect
from seatrial.package.manifest import read_manifest
from seatrial.package.target import Target

EXAMPLES = Path(__file__).parents[1] / "packages"
Write = Callable[[Mapping[str, str]], Path]
FUNCTIONS = "def model_fn(model_dir):\n    return 1\n\n\ndef predict_fn(data, model):\n    return data\n"
SAMPLE = {"samples/a.json": '{"x": "y"}'}
TASK = "[tasks.t]\n[tasks.t.input.x]\ntype = 'string'\nrequired = true\n[[tasks.t.samples]]\ninput = 'samples/a.json'\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def files(contents: Mapping[str, str]) -> Path:
        for name, text in contents.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return files


def findings(root: Path, isolation: str | None = None) -> list[Finding]:
    return inspect(read_manifest(root), root, Target(isolation=isolation))


def only(root: Path) -> Finding:
    (finding,) = findings(root)
    assert finding.remedy
    return finding


@pytest.mark.parametrize(
    "name", ["echo", "echo_sagemaker", "tasks_sagemaker", "slow_load", "crash_on_load", "broken_import"]
)
def test_example_packages_pass(name: str) -> None:
    assert findings(EXAMPLES / name) == []


def test_a_task_without_a_sample_is_an_error_with_the_remedies(write: Write) -> None:
    finding = only(EXAMPLES / "no_samples")
    assert (finding.id, finding.level) == ("samples", "error")
    assert "'upper'" in finding.message
    assert all(word in finding.remedy for word in ("seatrial jobs save-sample", "--samples", "--unproven"))
    assert only(write({"code/inference.py": FUNCTIONS})).id == "samples"


def test_an_import_that_nothing_brings_is_an_error(write: Write) -> None:
    finding = only(write({"code/inference.py": "\n\nimport not_there_either\n" + FUNCTIONS, **SAMPLE}))
    assert (finding.id, finding.level, finding.file, finding.line) == ("imports", "error", "code/inference.py", 3)
    imports = (
        "import json, PIL.Image, local, cv2\nfrom lib_module import x\nimport space.inner\nfrom ruamel.yaml import z\n"
    )
    root = write(
        {
            "code/inference.py": imports + FUNCTIONS,
            "code/local.py": "",
            "code/lib/lib_module.py": "x = 1\n",
            "code/space/inner.py": "",
            "code/requirements.txt": "Pillow==11.0  # images\nruamel.yaml==0.18\n",
            **SAMPLE,
        }
    )
    assert [one.message.split("'")[1] for one in findings(root)] == ["cv2"]
    write(
        {"code/requirements.txt": "-r more.txt\n", "code/more.txt": "opencv-python==4.10\nPillow==11\nruamel.yaml==1\n"}
    )
    assert findings(root) == []


@pytest.mark.parametrize(
    ("files", "word", "remedy"),
    [
        ({"inference.py": ""}, "has no code/inference.py", "Move inference.py into code/"),
        ({"weights.bin": "w"}, "has no code/inference.py", "handler = 'module:Class'"),
        ({"code/inference.py": "x = 1\ndef f(:\n"}, "code/inference.py, line 2 is no Python", "py_compile"),
        ({"code/inference.py": "\0"}, "is no Python", "py_compile"),
        ({"seatrial.toml": "[package]\nhandler='m.n:C'\n" + TASK}, "no m/n.py", "module:Class"),
    ],
)
def test_an_entry_point_that_is_not_there_is_named(write: Write, files: dict[str, str], word: str, remedy: str) -> None:
    finding = only(write({**files, **SAMPLE}))
    assert (finding.id, finding.level) == ("entry_point", "error")
    assert word in finding.message
    assert remedy in finding.remedy


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({}, "Runtime.ImportModuleError"),
        ({"a.py": "import not_there_either\ndef h(event, context): ...\n"}, "Runtime.ImportModuleError"),
        ({"a.py": "def h(:\n"}, "Runtime.UserCodeSyntaxError"),
        ({"a.py": "import b\ndef h(event, context): ...\n", "b.py": "def g(:\n"}, "Runtime.UserCodeSyntaxError"),
        ({"a.py": "def other(event, context): ...\n"}, "Runtime.HandlerNotFound"),
    ],
)
def test_what_would_keep_a_lambda_from_starting_has_awss_word(write: Write, files: dict[str, str], word: str) -> None:
    manifest = "[package]\nlayout = 'aws_lambda'\nhandler = 'a.h'\n"
    assert f"({word})." in only(write({"seatrial.toml": manifest, **files, **SAMPLE})).message


MODEL = "def model_fn(model_dir): ...\n"


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (MODEL, "has neither predict_fn nor transform_fn"),
        ("def predict_fn(data, model): ...\n", "has no model_fn"),
        (MODEL + "def predict_fn(data): ...\n", "line 2: predict_fn has 1 parameters"),
        (MODEL + "def predict_fn(a, b, c, d): ...\n", "line 2: predict_fn has 4 parameters"),
        ("def model_fn(): ...\ndef predict_fn(d, m): ...\n", "line 1: model_fn has 0 parameters"),
        (MODEL + "def predict_fn(d, **more): ...\n", "line 2: predict_fn has 1 parameters"),
        (MODEL + "def predict_fn(a, b, c, d, *rest): ...\n", "line 2: predict_fn has 4 parameters"),
        (MODEL + "def transform_fn(m, d, c): ...\n", "line 2: transform_fn has 3 parameters"),
        (
            MODEL + "def transform_fn(m, d, c, a): ...\ndef output_fn(p, a): ...\n",
            "line 2: has transform_fn beside output_fn",
        ),
        (MODEL + "async def predict_fn(d, m): ...\n", "line 2: predict_fn is async"),
    ],
)
def test_functions_that_cannot_be_called_are_named(write: Write, code: str, word: str) -> None:
    finding = only(write({"code/inference.py": code, **SAMPLE}))
    assert (finding.id, finding.level) == ("sagemaker_functions", "error")
    assert word in finding.message


@pytest.mark.parametrize(
    "code",
    [
        MODEL + "def transform_fn(m, d, c, a): ...\n",
        MODEL + "def predict_fn(d, m, context): ...\n",
        "def model_fn(d, *a, **k): ...\ndef predict_fn(*args): ...\n",
        "def model_fn(d, context, *a): ...\ndef predict_fn(d, *rest, **more): ...\n",
        "def model_fn(d, **k): ...\ndef transform_fn(m, d, c, a, **k): ...\n",
        MODEL + "predict_fn = lambda d, m: d\n",
        "from elsewhere import model_fn, other as predict_fn\n",
        "from elsewhere import *\n",
        MODEL + "try:\n    import fast\nexcept ImportError:\n    def predict_fn(d, m): ...\n",
    ],
)
def test_functions_that_may_be_there_are_left_to_loading(write: Write, code: str) -> None:
    names = "model_fn = other = predict_fn = C = print\n"
    root = write({"code/inference.py": code, "code/elsewhere.py": names, "code/fast.py": "", **SAMPLE})
    assert findings(root) == []


def test_the_program_may_have_another_name(write: Write) -> None:
    toml = "[env]\nSAGEMAKER_PROGRAM = 'serve.py'\n" + TASK
    assert findings(write({"seatrial.toml": toml, "code/serve.py": FUNCTIONS, **SAMPLE})) == []


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("x = 1\n", "m.py defines no 'C'"),
        ("class C:\n    def other(self, x): ...\n", "line 1: C has no method 't' for the task 't'"),
        ("class C:\n    async def t(self, x): ...\n", "line 2: t is async"),
        ("class C:\n    def t(self): ...\n", "line 2: t does not take x of the task 't'"),
        ("class C:\n    def t(self, x, y): ...\n", "line 2: t needs y, which a request of 't' may leave out"),
        ("class C:\n    def t(self, x, *, y): ...\n", "line 2: t needs y"),
        ("def C(y=1): ...\n", "line 1: C does not take x"),
    ],
)
def test_a_handler_that_does_not_fit_the_contract_is_named(write: Write, code: str, word: str) -> None:
    finding = only(write({"seatrial.toml": "[package]\nhandler='m:C'\n" + TASK, "m.py": code, **SAMPLE}))
    assert (finding.id, finding.level, finding.file) == ("python_handler", "error", "m.py")
    assert word in finding.message


@pytest.mark.parametrize(
    "code",
    [
        "class C:\n    def t(self, x, context, task, y=1, *, z=2): ...\n",
        "class C:\n    def t(self, **fields): ...\n",
        "class C:\n    @staticmethod\n    def t(x): ...\n",
        "class C(Base): ...\n",
        "class C:\n    def __getattr__(self, name): ...\n",
        "from elsewhere import C\n",
        "def C(x): ...\n",
    ],
)
def test_a_handler_that_may_fit_is_left_to_loading(write: Write, code: str) -> None:
    files = {
        "seatrial.toml": "[package]\nhandler='m:C'\n" + TASK,
        "m.py": code,
        "elsewhere.py": "C = print\n",
        **SAMPLE,
    }
    assert findings(write(files)) == []


def test_further_fields_need_a_place_in_the_method(write: Write) -> None:
    toml = "[package]\nhandler='m:C'\n" + TASK.replace("[tasks.t]\n", "[tasks.t]\nextra_fields = true\n")
    finding = only(write({"seatrial.toml": toml, "m.py": "def C(x): ...\n", **SAMPLE}))
    assert "takes no further fields" in finding.message


def test_hard_coded_paths_are_named_where_the_machine_cannot_provide_them(write: Write) -> None:
    code = (
        '"""Reads /opt/ml/model."""\n'
        'MODEL = "/opt/ml/model/w.bin"\nFINE = "/opt/ml/models"\nURL = "https://x/tmp/y"\n'
        "def scratch(name):\n    return f'/tmp/{name}'\n"
    )
    files = {"code/inference.py": FUNCTIONS, "code/deep/more.py": code, "code/broken.py": "(", "w.bin": "w"}
    root = write({**files, **SAMPLE})
    assert findings(root) == []
    found = findings(root, "user namespaces are off")
    assert [(one.id, one.level, one.file, one.line) for one in found] == [
        ("hard_coded_paths", "warning", "code/deep/more.py", 2),
        ("hard_coded_paths", "warning", "code/deep/more.py", 6),
    ]
    assert "cannot provide: user namespaces are off" in found[0].message
    assert "every worker of this machine shares" in found[1].message


def test_nothing_of_a_package_is_run(write: Write, tmp_path: Path) -> None:
    code = f"open({str(tmp_path / 'proof')!r}, 'w')\n" + FUNCTIONS
    findings(write({"code/inference.py": code, **SAMPLE}))
    assert not (tmp_path / "proof").exists()


def test_errors_come_first(write: Write) -> None:
    root = write({"code/inference.py": "import nowhere_to_be_found\n" + MODEL})
    assert [one.level for one in findings(root)] == ["error", "error", "warning"]
