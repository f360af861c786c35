"""A report as one HTML page that needs nothing else: pictures inside, no script, nothing fetched."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from seatrial.prove.finding import Outcome
from seatrial.prove.limits import (
    REPORT_TEXT_CHARS_MAX,
    VERIFY_REPORT_PICTURE_BYTES_MAX,
    VERIFY_REPORT_PICTURES_MAX,
)
from seatrial.prove.outputs import parts_of, pictures
from seatrial.prove.targets.answer import Part
from seatrial.prove.verify.check import Line
from seatrial.prove.verify.report import Report
from seatrial.prove.verify.round import SampleRun

_MARKS = {
    Outcome.OK: "passed",
    Outcome.FAILED: "failed",
    Outcome.WARNING: "warning",
    Outcome.NOT_APPLICABLE: "not applicable",
}
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #8889 }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem; margin-bottom: .2rem } h2 { font-size: 1.1rem; margin-top: 2rem }
.verdict { font-weight: 600; padding: .5rem .8rem; border-radius: .4rem; display: inline-block }
.verdict.passed { background: #2a7d3c; color: #fff } .verdict.failed { background: #b3261e; color: #fff }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem }
tr { border-bottom: 1px solid var(--line) } td { overflow-wrap: break-word } td:last-child { overflow-wrap: anywhere }
td.state { white-space: nowrap; font-weight: 600 }
.passed td.state { color: #2a9d4c } .failed td.state { color: #d33a31 } .warning td.state { color: #c77700 }
.not td, .remedy, .id { color: GrayText } .id { font: 12px ui-monospace, monospace; display: block }
figure { display: inline-block; margin: .5rem 1rem .5rem 0; vertical-align: top }
img { max-width: 20rem; max-height: 20rem; border: 1px solid var(--line) }
@media (max-width: 50rem) { td, .id { overflow-wrap: anywhere } }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 13px;
  border-left: 3px solid var(--line); padding-left: .8rem }
"""


def html_page(report: Report) -> bytes:
    """The whole document in UTF-8."""
    html = Element("html", lang="en")
    head = SubElement(html, "head")
    SubElement(head, "meta", charset="utf-8")
    SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": _POLICY})
    SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    _text(head, "title", f"seatrial verify {report.plan.target}")
    _text(head, "style", _STYLE)
    body = SubElement(html, "body")
    _text(body, "h1", f"{report.plan.wire}: {report.plan.target}")
    _text(body, "p", f"Seen from outside, {report.began}. The column point is the number in the ten-point list.")
    _text(body, "p", report.verdict, f"verdict {'passed' if report.passed else 'failed'}")
    _checks(body, report)
    _outputs(body, report.runs)
    _plan(body, report)
    document: bytes = ElementTree.tostring(html, encoding="utf-8", method="html")
    return b"<!doctype html>\n" + document


def _checks(body: Element, report: Report) -> None:
    _text(body, "h2", "Checklist")
    table = SubElement(body, "table")
    row = SubElement(SubElement(table, "thead"), "tr")
    for head in ("", "point", "check", "of", "found"):
        _text(row, "th", head)
    rows = SubElement(table, "tbody")
    told = {id_: (title, point) for id_, title, point in report.plan.checks}
    for line in report.lines:
        _check(rows, line, *told[line.finding.id])


def _check(rows: Element, line: Line, title: str, point: str) -> None:
    finding = line.finding
    mark = _MARKS[finding.outcome]
    row = SubElement(rows, "tr", {"class": mark})
    _text(row, "td", mark, "state")
    _text(row, "td", point)
    named = _text(row, "td", title)
    _text(named, "span", finding.id, "id")
    _text(row, "td", line.subject)
    found = _text(row, "td", finding.message)
    if finding.remedy and finding.outcome is not Outcome.OK:
        _text(found, "div", f"remedy: {finding.remedy}", "remedy")


def _outputs(body: Element, runs: Sequence[SampleRun]) -> None:
    shown = 0
    _text(body, "h2", "What the samples gave")
    for run in runs:
        _text(body, "h3", run.subject)
        if run.answer is None:
            _text(body, "p", str(run.trouble))
            continue
        parts = parts_of(run.answer, run.task.output)
        for part in pictures(parts):
            shown += 1
            _picture(body, part, is_room=shown <= VERIFY_REPORT_PICTURES_MAX)
        if run.answer.failure is not None:
            _text(body, "pre", run.answer.words)
        elif parts:
            _text(body, "pre", _excerpt(parts[0]))


def _picture(body: Element, part: Part, is_room: bool) -> None:
    figure = SubElement(body, "figure")
    words = f"{part.name}, {part.media_type}, {len(part.data):,} bytes"
    if is_room and len(part.data) <= VERIFY_REPORT_PICTURE_BYTES_MAX:
        encoded = base64.b64encode(part.data).decode()
        SubElement(figure, "img", src=f"data:{part.media_type.partition(';')[0]};base64,{encoded}", alt=words)
    _text(figure, "figcaption", words)


def _excerpt(part: Part) -> str:
    """The answer's JSON, long texts cut; of other kinds what and how much it is."""
    try:
        shown = json.dumps(_cut(part.document()), ensure_ascii=False)
    except (ValueError, RecursionError):
        return f"{part.media_type}, {len(part.data):,} bytes"
    return shown if len(shown) <= REPORT_TEXT_CHARS_MAX else shown[:REPORT_TEXT_CHARS_MAX] + " …"


def _cut(value: object) -> object:
    if isinstance(value, str):
        return value if len(value) <= 120 else f"{value[:80]}… ({len(value):,} characters)"
    if isinstance(value, dict):
        return {key: _cut(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_cut(one) for one in value[:16]] + ([f"… {len(value):,} in all"] if len(value) > 16 else [])
    return value


def _plan(body: Element, report: Report) -> None:
    _text(body, "h2", "What it took")
    _text(body, "p", f"{report.invocations} invocations: {', '.join(report.plan.requests)}")
    listed = SubElement(body, "ul")
    for one in report.plan.permissions:
        _text(listed, "li", one)


def _text(parent: Element, tag: str, text: str, class_: str | None = None) -> Element:
    made = SubElement(parent, tag, {"class": class_} if class_ else {})
    made.text = "".join(char if char.isprintable() or char in "\n\t" else "�" for char in text)
    return made
