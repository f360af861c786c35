"""S3's documents: elements out, elements in. Nothing is read that declares a type or an entity."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement, TreeBuilder, tostring
from xml.parsers import expat

from seatrial.domain.limits import S3_XML_DEPTH_MAX
from seatrial.http.dialects.s3.errors import s3_error

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'

Members = Iterable[tuple[str, "str | int | bool | Members | None"]]

# Legal in keys; S3 writes them as references although XML 1.0 has no such characters. CR would be read as LF.
_REFERRED = re.compile(rb"[\x00-\x08\x0b-\x1f]")


def document(root: str, members: Members) -> bytes:
    """A document. A member is (name, text) or (name, members); None leaves it out."""
    return DECLARATION + body(root, members)


def body(root: str, members: Members) -> bytes:
    """The same without the XML declaration."""
    element = Element(root, {"xmlns": NAMESPACE})
    _fill(element, members)
    return _REFERRED.sub(
        lambda found: b"&#%d;" % found[0][0], tostring(element, encoding="utf-8", xml_declaration=False)
    )


def parse(raw: bytes, root: str) -> Element:
    """Read a document whose root has that name; namespaces are dropped.

    Raises:
        AwsError: MalformedXML, also for a document type, an entity of its own, or deep nesting.
    """
    reader = _Reader()
    try:
        element = reader.read(raw)
    except (expat.ExpatError, _Refused, UnicodeDecodeError, LookupError):
        raise s3_error("MalformedXML") from None
    if element.tag != root:
        raise s3_error("MalformedXML")
    return element


def text(element: Element, name: str) -> str:
    """The text of a member that must be there. Raises AwsError: MalformedXML."""
    found = element.findtext(name)
    if found is None:
        raise s3_error("MalformedXML")
    return found


class _Refused(Exception):
    """Well-formed perhaps, but nothing that a client of S3 sends."""


class _Reader:
    def __init__(self) -> None:
        self._tree = TreeBuilder()
        self._depth = 0

    def read(self, raw: bytes) -> Element:
        parser = expat.ParserCreate(namespace_separator="}")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._tree.data
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.Parse(raw, True)
        return self._tree.close()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > S3_XML_DEPTH_MAX:
            raise _Refused
        self._tree.start(name.rpartition("}")[2], {})

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._tree.end(name.rpartition("}")[2])

    def _refuse(self, *_: object) -> None:
        raise _Refused


def _fill(element: Element, members: Members) -> None:
    for name, content in members:
        if content is None:
            continue
        child = SubElement(element, name)
        if isinstance(content, bool):
            child.text = "true" if content else "false"
        elif isinstance(content, str | int):
            child.text = str(content)
        else:
            _fill(child, content)
