"""Images are judged by their layers: what stands behind Runtime.InvalidEntrypoint is named before a push."""

import gzip
import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from seatrial.cli.main import app
from seatrial.package.examine import Report
from seatrial.package.image.examine import ImageChosen, examine_dockerfile, examine_image
from seatrial.package.image.store import is_image
from seatrial.testing.corpus.images import BASE, HANDLER, LAMBDA, LAMBDA_CONFIG, docker_save, layer_of, oci_layout
from seatrial.testing.corpus.parts import elf

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

HERE = ImageChosen("linux/amd64")
LOADER = b"/lib64/ld-linux-x86-64.so.2\0"  # named by the one program header of LINKED
LINKED = elf()[:32] + struct.pack("<QQIHHHHHH", 64, 0, 0, 64, 56, 1, 0, 0, 0)
LINKED += struct.pack("<IIQQQQQQ", 3, 4, 120, 0, 0, len(LOADER), 0, 1) + LOADER
SERVER = {"Entrypoint": ["python3.11"], "Cmd": ["serve.py"], "WorkingDir": "/app", "Env": ["PATH=/usr/bin"]}


def told(report: Report) -> list[tuple[str, str]]:
    assert all(one.remedy for one in report.findings)
    return [(one.id, one.level) for one in report.findings]


def saved(tmp_path: Path, *trees: Any, config: dict[str, Any] | None = None, machine: str = "amd64") -> Report:
    layers = [one if isinstance(one, bytes) else layer_of(one) for one in trees]
    return examine_image(docker_save(tmp_path / "image.tar", layers, config or LAMBDA_CONFIG, machine), HERE)


def test_healthy_images_of_either_form_pass(tmp_path: Path) -> None:
    report = saved(tmp_path, BASE, LAMBDA)
    assert told(report) == []
    assert "deploy it by its digest, not by a tag: sha256:" in report.notes[0]
    assert told(saved(tmp_path, BASE, {"app/serve.py": b""}, config=SERVER)) == []
    layout = oci_layout(tmp_path / "oci", [layer_of(BASE), layer_of(LAMBDA)], LAMBDA_CONFIG)
    assert is_image(layout)
    assert told(examine_image(layout, HERE)) == []


@pytest.mark.parametrize(
    ("change", "config", "finding", "word"),
    [
        ({".wh.lambda-entrypoint.sh": b""}, {}, "image_command", "is not in its layers (Runtime.InvalidEntrypoint)"),
        ({"lambda-entrypoint.sh": b"#!/bin/sh\r\nexec x\r\n"}, {}, "image_command", "Windows line ends"),
        ({"lambda-entrypoint.sh": b"#!/usr/bin/zsh\n"}, {}, "image_command", "asks for /usr/bin/zsh"),
        ({"lambda-entrypoint.sh": b"exec python\n"}, {}, "image_command", "exec format error"),
        ({"lambda-entrypoint.sh": elf(183)}, {}, "image_command", "a program for aarch64"),
        ({}, {"Entrypoint": ["/nowhere"]}, "image_command", "'/nowhere', which is not in its layers"),
        ({}, {"Entrypoint": ["gunicorn"]}, "image_command", "which is not in its PATH (/usr/bin:/bin)"),
        ({}, {"Entrypoint": ["/usr"]}, "image_command", "not in its layers"),
        ({}, {"Entrypoint": None, "Cmd": None}, "image_command", "neither ENTRYPOINT nor CMD"),
        ({}, {"Cmd": ["src/handler.main"]}, "image_handler", "no /var/task/src/handler.py"),
        ({}, {"Cmd": ["lambda_handler.main"]}, "image_handler", "Runtime.HandlerNotFound"),
        ({}, {"Cmd": ["lambda_handler.py"]}, "image_handler", "is no handler"),
        ({}, {"Cmd": []}, "image_handler", "names no handler"),
        ({"var/task/lambda_handler.py": b"def handler(:"}, {}, "image_handler", "is no Python"),
        (
            {"var/task/.wh.lambda_handler.py": b"", "opt/lambda_handler.py": HANDLER},
            {},
            "image_handler",
            "There is /opt/lambda_handler.py",
        ),
        ({"var/task/.wh..wh..opq": b""}, {}, "image_handler", "no /var/task/lambda_handler.py"),
        ({"usr/bin/bash": elf(183)}, {}, "image_command", "asks for /bin/sh, a program for aarch64"),
        (
            {"lambda-entrypoint.sh": b"#!/usr/bin/env node\n", "usr/bin/env": elf()},
            {},
            "image_command",
            "asks for node",
        ),
        ({"lambda-entrypoint.sh": LINKED}, {}, "image_command", "asks for /lib64/ld-linux-x86-64.so.2"),
        ({}, {"Entrypoint": ["/bin/sh", "-c", "['/lambda-entrypoint.sh']"]}, "image_command", "double quotes are due"),
        ({}, {"Entrypoint": ["python3.11", "-m", "awslambdaric"]}, "image_command", "'awslambdaric', which is nowhere"),
        ({"var/task/lambda_handler.py": b"def handler(event): pass\n"}, {}, "image_handler", "takes 1 arguments"),
    ],
)
def test_what_would_keep_it_from_starting_is_named(
    tmp_path: Path, change: dict[str, bytes], config: dict[str, Any], finding: str, word: str
) -> None:
    report = saved(tmp_path, BASE, LAMBDA, change, config=LAMBDA_CONFIG | config)
    errors = [one for one in report.findings if one.level == "error"]
    assert [one.id for one in errors] == [finding]
    assert word in errors[0].message


def test_an_entrypoint_without_its_execute_bit(tmp_path: Path) -> None:
    layer = layer_of(LAMBDA, {"lambda-entrypoint.sh": 0o644})
    (finding,) = saved(tmp_path, BASE, layer).findings
    assert "not executable" in finding.message
    assert "chmod" in finding.remedy


def test_a_program_of_the_images_own_c_library_and_a_module_that_is_there(tmp_path: Path) -> None:
    brought = {"lib64/ld-linux-x86-64.so.2": elf(), "usr/bin/python3.11": LINKED, "srv/awslambdaric/__main__.py": b""}
    config = LAMBDA_CONFIG | {"Entrypoint": ["python3.11", "-m", "awslambdaric"]}
    assert told(saved(tmp_path, BASE, LAMBDA, brought, config=config)) == []


def test_a_handler_that_only_its_owner_can_read(tmp_path: Path) -> None:
    (finding,) = saved(tmp_path, BASE, layer_of(LAMBDA, {"var/task/lambda_handler.py": 0o600})).findings
    assert (finding.id, finding.level) == ("image_handler", "error")
    assert "permission denied" in finding.message


@pytest.mark.parametrize(
    ("script", "mode", "lines", "word"),
    [
        (b"#!/bin/sh\nexec x\n", 0o755, "COPY start /start", ""),
        (b"#!/bin/sh\r\nexec x\r\n", 0o755, "COPY start /start", "Windows line ends"),
        (b"#!/bin/sh\r\nexec x\r\n", 0o755, "COPY start /start\nRUN sed -i 's/\\r//' /start", ""),
        (b"#!/bin/sh\nexec x\n", 0o644, "COPY start /", "not executable: the COPY of line 2 keeps the mode of start"),
        (b"#!/bin/sh\nexec x\n", 0o644, "COPY start /\nRUN chmod +x /start", ""),
        (b"#!/bin/sh\nexec x\n", 0o644, "COPY start /\nRUN chmod +x /other", "not executable"),
        (b"#!/bin/sh\nexec x\n", 0o644, "COPY --chmod=755 start /", ""),
        (b"exec x\n", 0o755, "COPY start /", "exec format error"),
        (elf(183), 0o755, "COPY start /", "a program for aarch64"),
    ],
)
def test_what_a_dockerfile_starts_is_looked_at_where_it_lies(
    tmp_path: Path, script: bytes, mode: int, lines: str, word: str
) -> None:
    (tmp_path / "start").write_bytes(script)
    (tmp_path / "start").chmod(mode)
    (tmp_path / "Dockerfile").write_text(f'FROM a@sha256:0\n{lines}\nENTRYPOINT ["/start"]\n')
    messages = [one.message for one in examine_dockerfile(tmp_path / "Dockerfile", HERE).findings]
    assert len(messages) == bool(word)
    assert all(word in one for one in messages)


def test_a_copy_into_a_folder_of_the_base_needs_no_slash(context: Path) -> None:
    lambda_base = "FROM public.ecr.aws/lambda/python@sha256:0\nCOPY lambda_handler.py ${LAMBDA_TASK_ROOT}\n"
    assert dockerfile(context, lambda_base + 'CMD ["lambda_handler.handler"]\n') == []
    assert ("image_handler", "error", 3) in dockerfile(context, lambda_base + "CMD lambda_handler.handler\n")
    (context / "lambda_handler.py").chmod(0o600)
    assert dockerfile(context, lambda_base + 'CMD ["lambda_handler.handler"]\n') == [("image_handler", "error", None)]


LAMBDA_STAGE = "FROM public.ecr.aws/lambda/python@sha256:0\nCOPY lambda_handler.py ./\n"
NAMED = 'CMD ["lambda_handler.handler"]\n'


@pytest.mark.parametrize(
    ("lines", "word", "remedy"),
    [
        ('ENTRYPOINT ["lambda_handler.handler"]\n', "a handler and no program", 'write CMD ["lambda_handler.handler"]'),
        ("ENTRYPOINT lambda_handler.handler\n", "a handler and no program", "Take ENTRYPOINT out"),
        ('ENTRYPOINT ["dist/index.handler"]\n', "a handler and no program", 'write CMD ["dist/index.handler"]'),
        (
            'ENTRYPOINT ["/entry.sh"]\n',
            "starts /entry.sh, which no COPY brings",
            "COPY it to /, or take ENTRYPOINT out",
        ),
        ('ENTRYPOINT ["/entry"]\n', "starts /entry, which no COPY brings", "COPY it to /, or"),
        ('ENTRYPOINT ["./entry.sh"]\n', "starts /var/task/entry.sh, which", "COPY it to /var/task/, or"),
        ('COPY start.sh /opt/\nENTRYPOINT ["/start.sh"]\n', "start.sh goes to /opt/start.sh", "COPY it to /, or"),
        ('ENTRYPOINT ["lambda_handler.py"]\n', "looked for in PATH", 'ENTRYPOINT ["/var/task/lambda_handler.py"]'),
    ],
)
@pytest.mark.parametrize("base", ["public.ecr.aws/lambda/python", "amazon/aws-lambda-python"])
def test_an_entrypoint_that_starts_nothing_on_the_base_of_lambda(
    context: Path, base: str, lines: str, word: str, remedy: str
) -> None:
    (context / "start.sh").write_text("#!/bin/sh\n")
    text = LAMBDA_STAGE.replace("public.ecr.aws/lambda/python", base) + lines + NAMED
    (context / "Dockerfile").write_text(text)
    report = examine_dockerfile(context / "Dockerfile", HERE)
    (error,) = (one for one in report.findings if one.level == "error")
    assert word in error.message
    assert "Runtime.InvalidEntrypoint" in error.message
    assert remedy in error.remedy
    assert "//" not in error.remedy


@pytest.mark.parametrize(
    "lines",
    [
        'ENTRYPOINT ["/lambda-entrypoint.sh"]\n' + NAMED,
        'ENTRYPOINT ["/lambda-entrypoint.sh", "lambda_handler.handler"]\n',
        'COPY start.sh /\nENTRYPOINT ["/start.sh", "/lambda-entrypoint.sh"]\n' + NAMED,
        'COPY start.sh ./\nENTRYPOINT ["./start.sh"]\n' + NAMED,
        'COPY start.sh /usr/local/bin/\nENTRYPOINT ["start.sh"]\n' + NAMED,
        'ENTRYPOINT ["/var/lang/bin/python3", "-m", "awslambdaric"]\n' + NAMED,
        'ENTRYPOINT ["python3.11", "-m", "awslambdaric"]\n' + NAMED,
        'COPY --from=build /out/main ./main\nENTRYPOINT ["./main"]\n' + NAMED,
        'COPY --from=build /out/ /opt/\nENTRYPOINT ["/opt/main"]\n' + NAMED,
        'ADD programs.tar.gz /opt/\nENTRYPOINT ["/opt/main"]\n' + NAMED,
        'RUN ln -s /usr/bin/python3 /usr/bin/app.main\nENTRYPOINT ["app.main"]\n' + NAMED,
        'RUN curl -o /opt/x https://x\nENTRYPOINT ["/opt/main"]\n' + NAMED,
    ],
)
def test_entrypoints_that_are_fine_on_the_base_of_lambda(context: Path, lines: str) -> None:
    (context / "start.sh").write_text("#!/bin/sh\n")
    (context / "start.sh").chmod(0o755)
    (context / "programs.tar.gz").write_bytes(b"")
    assert dockerfile(context, LAMBDA_STAGE + lines) == []


def test_an_entrypoint_that_a_build_may_make_is_a_warning(context: Path) -> None:
    built = LAMBDA_STAGE + 'RUN make install\nENTRYPOINT ["/opt/main"]\n' + NAMED
    assert dockerfile(context, built) == [("image_command", "warning", 4)]


def test_a_built_image_whose_entrypoint_is_the_handler(tmp_path: Path) -> None:
    config = LAMBDA_CONFIG | {"Entrypoint": ["lambda_handler.handler"], "Cmd": None}
    (finding,) = saved(tmp_path, BASE, LAMBDA, config=config).findings
    assert (finding.id, finding.level) == ("image_command", "error")
    assert 'write CMD ["lambda_handler.handler"]' in finding.remedy


def test_an_image_for_another_machine_and_one_with_attestations(tmp_path: Path) -> None:
    report = saved(tmp_path, BASE, LAMBDA, machine="arm64")
    assert ("image_platform", "error") in told(report)
    assert "docker build --platform linux/amd64" in report.findings[0].remedy
    layout = oci_layout(tmp_path / "oci", [layer_of(BASE), layer_of(LAMBDA)], LAMBDA_CONFIG, attested=True)
    (finding,) = examine_image(layout, HERE).findings
    assert (finding.id, finding.level) == ("image_platform", "warning")
    assert "--provenance=false" in finding.remedy


def test_shell_form_is_a_warning(tmp_path: Path) -> None:
    config = SERVER | {"Entrypoint": ["/bin/sh", "-c", "python serve.py"], "Cmd": None}
    report = saved(tmp_path, BASE, {"app/serve.py": b""}, config=config)
    assert told(report) == [("image_command", "warning")]


@pytest.mark.parametrize(
    ("packed", "packing"), [(gzip.compress, "gzip"), (zstd.compress, "zstd"), (lambda whole: whole, "")]
)
def test_layers_of_every_compression_are_looked_into(
    tmp_path: Path, packed: Callable[[bytes], bytes], packing: str
) -> None:
    trees = [BASE, LAMBDA, {".wh.lambda-entrypoint.sh": b""}]
    layers = [layer_of(tree) for tree in trees]
    sound = oci_layout(tmp_path / "sound", layers[:2], LAMBDA_CONFIG, packed=packed, packing=packing)
    assert told(examine_image(sound, HERE)) == []
    broken = oci_layout(tmp_path / "broken", layers, LAMBDA_CONFIG, packed=packed, packing=packing)
    assert told(examine_image(broken, HERE)) == [("image_command", "error")]


def test_damaged_images_are_refused(tmp_path: Path) -> None:
    assert told(saved(tmp_path, b"no tar at all" * 99)) == [("image", "error")]
    assert told(saved(tmp_path, b"\x28\xb5\x2f\xfd" + bytes(600))) == [("image", "error")]
    assert told(saved(tmp_path, zstd.compress(layer_of(LAMBDA))[:-9])) == [("image", "error")]
    layout = oci_layout(tmp_path / "oci", [layer_of(BASE)], LAMBDA_CONFIG)
    for blob in (layout / "blobs/sha256").iterdir():
        blob.write_bytes(b"{}")
    assert told(examine_image(layout, HERE)) == [("image", "error")]
    (layout / "index.json").write_text('{"manifests": [{"digest": "sha256:../../../etc/passwd"}]}')
    assert told(examine_image(layout, HERE)) == [("image", "error")]


def test_a_link_in_a_circle_ends(tmp_path: Path) -> None:
    report = saved(tmp_path, {"lambda-entrypoint.sh": "b", "b": "lambda-entrypoint.sh", "d": "d/d"}, LAMBDA_ROOT)
    assert ("image_command", "error") in told(report)


LAMBDA_ROOT = {"var/task/lambda_handler.py": HANDLER}
SEED = """\
FROM public.ecr.aws/lambda/python:3.9

# Install Python dependencies
COPY requirements.txt ${LAMBDA_TASK_ROOT}/
RUN pip install --no-cache-dir -r ${LAMBDA_TASK_ROOT}/requirements.txt

COPY detector/ ${LAMBDA_TASK_ROOT}/detector/
COPY lambda_handler.py ${LAMBDA_TASK_ROOT}/lambda_handler.py
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "detector").mkdir()
    (tmp_path / "detector/__init__.py").write_text("")
    (tmp_path / "requirements.txt").write_text("")
    (tmp_path / "lambda_handler.py").write_bytes(HANDLER)
    return tmp_path


def dockerfile(context: Path, text: str, handler: str | None = None) -> list[tuple[str, str, int | None]]:
    (context / "Dockerfile").write_text(text)
    report = examine_dockerfile(context / "Dockerfile", ImageChosen("linux/amd64", handler))
    return [(one.id, one.level, one.line) for one in report.findings]


def test_the_dockerfile_of_a_field_report(context: Path) -> None:
    tag = ("image_sources", "warning", 1)
    assert dockerfile(context, SEED) == [tag, ("image_handler", "warning", 1)]
    assert dockerfile(context, SEED, "lambda_handler.handler") == [tag]
    assert dockerfile(context, SEED, "lambda_handler.main")[0][:2] == ("image_handler", "error")
    assert dockerfile(context, SEED + 'CMD ["lambda_handler.handler"]\n') == [tag]
    assert dockerfile(context, SEED + 'CMD ["detector.handler"]\n')[0][:2] == ("image_handler", "error")
    moved = SEED.replace("/lambda_handler.py\n", "/functions/\n") + 'CMD ["lambda_handler.handler"]\n'
    assert dockerfile(context, moved)[0][:2] == ("image_handler", "error")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RUN true\n", ("image", "error", None)),
        ("FROM a@sha256:0\nCOPY gone.py /app/\nCMD [\"x\"]\n", ("image_sources", "error", 2)),
        ("FROM a@sha256:0\nCMD ['x']\n", ("image_command", "error", 2)),
        ("FROM a@sha256:0\nCMD python \\\n  # why not\n  serve.py\n", ("image_command", "warning", 2)),
        ("FROM a@sha256:0\n", ("image_command", "warning", 1)),
        ("FROM a@sha256:0\nCMD [\"python\", \"lambda_handler.py\"]\n", ("image_command", "error", 2)),
        ("FROM a@sha256:0\nWORKDIR /x\nCOPY lambda_handler.py /y/\nENTRYPOINT [\"python\", \"lambda_handler.py\"]\n",
         ("image_command", "error", 4)),
        ("FROM a@sha256:0\nCMD [\"python\", \"not_here.py\"]\n", ("image_command", "warning", 2)),
        ("FROM --platform=linux/arm64 a@sha256:0\nCMD [\"x\"]\n", ("image_platform", "error", 1)),
    ],
)  # fmt: skip
def test_what_a_dockerfile_shows(context: Path, text: str, expected: tuple[str, str, int | None]) -> None:
    assert dockerfile(context, text) == [expected]


def test_dockerfiles_that_are_fine(context: Path) -> None:
    stages = (
        "ARG BASE=python@sha256:0\nFROM golang@sha256:1 AS build\nCOPY . /src\nRUN go build\n"
        'FROM a@sha256:2\nWORKDIR /app\nCOPY --from=build /src/x /app/x\nCOPY ["lambda_handler.py", "."]\n'
        'ENTRYPOINT ["/app/x"]\n'
    )
    assert dockerfile(context, stages) == []
    heredoc = "FROM a@sha256:0\nRUN <<EOF\nCMD not an instruction\nEOF\nCOPY *.py /app/\n"
    assert dockerfile(context, heredoc + 'CMD ["python", "/app/lambda_handler.py"]\n') == []
    assert dockerfile(context, 'FROM a@sha256:0\nRUN curl -o serve.py https://x\nCMD ["python", "serve.py"]\n') == []


def test_the_command_line_tells_images_from_packages(tmp_path: Path, context: Path) -> None:
    runner = CliRunner()
    layout = oci_layout(tmp_path / "oci", [layer_of(BASE), layer_of(LAMBDA)], LAMBDA_CONFIG)
    passed = runner.invoke(app, ["check", f"oci:{layout}", "--platform", "linux/amd64", "--json"])
    assert (passed.exit_code, json.loads(passed.stdout)["layout"]) == (0, "image")
    assert runner.invoke(app, ["check", f"oci:{context}"]).exit_code == 2
    failed = runner.invoke(app, ["check", f"oci:{layout}", "--platform", "linux/s390x"])
    assert failed.exit_code == 1
    (context / "Dockerfile").write_text(SEED)
    assert runner.invoke(app, ["check", str(context / "Dockerfile")]).exit_code == 0
    (context / "manifest.json").write_text("{}")
    assert not is_image(context)
