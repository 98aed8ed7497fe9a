"""Requests and answers, between the protocol and the operations, and the XML of the answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from urllib.parse import parse_qsl, quote_plus, unquote
from xml.etree.ElementTree import Element, ParseError, fromstring
from xml.sax.saxutils import escape as _escape

from tests.s3.content import Buffer, Content
from tests.s3.errors import S3Error

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
KEY_LIMIT = 1024  # bytes
EMPTY = Content(())


@dataclass(slots=True)
class Request:
    """A request that has arrived whole. ``headers`` have lower-case names; trailers are among them."""

    method: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: dict[str, str]
    body: Content = EMPTY
    too_large: bool = False  # the body was larger than the server takes, and is not here
    operation: str = ""
    error: S3Error | None = None  # it could not be understood
    service: str = "s3"
    about: str = ""  # what a request to another service is about: a name or an ARN

    @property
    def account(self) -> str:
        """The account that signed it: the access key id, if that is an account's."""
        key_id = self.headers.get("authorization", "").partition("Credential=")[2].partition("/")[0]
        return key_id if len(key_id) == 12 and key_id.isdecimal() else ""


@dataclass(slots=True)
class Call:
    """The record of a request; ``status`` is None as long as it is not answered."""

    index: int
    operation: str
    bucket: str
    key: str  # of another service than S3: the name or ARN of what the call is about
    status: int | None = None
    service: str = field(default="s3", compare=False)
    account: str = field(default="", compare=False)  # whose credentials signed it


@dataclass(slots=True)
class Answer:
    """What is sent back. ``size`` is the Content-Length, which for HEAD is of a body that is not sent."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Content = EMPTY
    size: int | None = None


def target(raw: str) -> tuple[str, str, dict[str, str]]:
    """Bucket, key and query of a request target, as in ``/bucket/some/key?versionId=1``."""
    path, _, query = raw.partition("?")
    bucket, _, key = path[1:].partition("/")
    try:
        key = unquote(key, errors="strict") if "%" in key else key
    except UnicodeDecodeError as error:
        raise S3Error("InvalidURI") from error
    if len(key) * 4 > KEY_LIMIT and len(key.encode()) > KEY_LIMIT:
        raise S3Error("KeyTooLongError")
    return unquote(bucket), key, dict(parse_qsl(query, keep_blank_values=True)) if query else {}


def xml(root: str, *children: str, namespace: str = NAMESPACE) -> Answer:
    """An XML answer whose root element holds ``children``, which are XML already."""
    attribute = f' xmlns="{namespace}"' if namespace else ""
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}{attribute}>{"".join(children)}</{root}>'
    return Answer(200, {"content-type": "application/xml"}, Content([text.encode()]))


def tag(name: str, value: str | int) -> str:
    """An element with text in it."""
    return f"<{name}>{escape(str(value))}</{name}>"


def group(name: str, *children: str) -> str:
    """An element with ``children``, which are XML already."""
    return f"<{name}>{''.join(children)}</{name}>"


def escape(text: str) -> str:
    return _escape(text, {"\r": "&#13;", '"': "&quot;"})


def url_encoded(text: str) -> str:
    """As S3 encodes keys in listings with ``encoding-type=url``."""
    return quote_plus(text, safe="/")


def parsed(body: Content, root: str) -> Element:
    """The XML document of a request, without its namespaces."""
    try:
        document = fromstring(bytes(body))  # noqa: S314 - the tests' own documents
    except ParseError as error:
        raise S3Error("MalformedXML") from error
    for element in document.iter():
        element.tag = element.tag.rpartition("}")[2]
    if document.tag != root:
        raise S3Error("MalformedXML")
    return document


def http_date(seconds: float) -> str:
    return formatdate(seconds, usegmt=True)


def iso_date(seconds: float) -> str:
    """To the second, as S3's objects are dated."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def refusal(error: S3Error, request: Request | None, request_id: str) -> Answer:
    """The answer that tells of ``error``."""
    if error.status == 304 or (request is not None and request.method == "HEAD"):
        return Answer(error.status, dict(error.headers))
    children = [tag("Code", error.code), tag("Message", error.message)]
    children += [tag(name, value) for name, value in error.detail.items()]
    about = [tag("RequestId", request_id), tag("HostId", "loopback")]
    of_sts = request is not None and request.method == "POST" and not request.bucket
    answer = (
        xml("ErrorResponse", group("Error", *children)) if of_sts else xml("Error", *children, *about, namespace="")
    )
    answer.status = error.status
    answer.headers.update(error.headers)
    return answer


def chunks_of(chunks: Iterable[Buffer], size: int) -> Iterable[Buffer]:
    """The same bytes in pieces of at most ``size``, as views."""
    for chunk in chunks:
        if len(chunk) <= size:
            yield chunk
        else:
            view = memoryview(chunk)
            for start in range(0, len(view), size):
                yield view[start : start + size]
