"""Findings as JUnit XML, which CI systems show: a suite for each thing looked at, a case for each check."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from xml.etree import ElementTree

from seatrial.prove.finding import Finding, Outcome

_NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(name: str, suites: Iterable[tuple[str, Sequence[Finding]]]) -> bytes:
    """The document; `suites` are names with their findings. Warnings are passed cases with their text in system-out."""
    root = ElementTree.Element("testsuites", name=name)
    for suite, findings in suites:
        root.append(_suite(suite, findings))
    for count in ("tests", "failures", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ElementTree.indent(root)
    document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _suite(name: str, findings: Sequence[Finding]) -> ElementTree.Element:
    outcomes = [finding.outcome for finding in findings]
    suite = ElementTree.Element(
        "testsuite",
        name=_shown(name),
        tests=str(len(findings)),
        failures=str(outcomes.count(Outcome.FAILED)),
        skipped=str(outcomes.count(Outcome.NOT_APPLICABLE)),
    )
    for finding in findings:
        case = ElementTree.SubElement(suite, "testcase", classname=_shown(name), name=finding.id)
        told = _shown(f"{finding.message}\nremedy: {finding.remedy}" if finding.remedy else finding.message)
        if finding.outcome is Outcome.FAILED:
            ElementTree.SubElement(case, "failure", message=_shown(finding.message), type=finding.id).text = told
        elif finding.outcome is Outcome.NOT_APPLICABLE:
            ElementTree.SubElement(case, "skipped", message=_shown(finding.message))
        elif finding.outcome is Outcome.WARNING:
            ElementTree.SubElement(case, "system-out").text = f"warning: {told}"
    return suite


def _shown(text: str) -> str:
    """The text without characters that XML cannot hold."""
    return _NOT_IN_XML.sub("�", text)
