"""S3 over sockets: signed requests, many at once, at a tenth of boto3's CPU time for each.

boto3 stays what makes credentials, endpoints and every call to other services. For S3's hot path it costs 1.5 ms of CPU
for a request, most of it in generic machinery that one service of one shape does not need. Measured side by side on
loopback, CPU for one CopyObject: boto3 1.5 ms, urllib3 0.43, http.client 0.29, aiohttp 0.22-0.29, awscrt's S3 client
0.17-0.24, awscrt's HTTP client 0.18-0.27, this package 0.05-0.1.

``signing`` is Signature Version 4, ``route`` dials (TCP, proxy, TLS), ``connection`` and ``receiving`` speak HTTP/1.1,
``transfer`` is what bodies come from and answers go to, ``answers`` tells refusals and reads XML, and ``client`` puts
it together with a pool and retries. Errors are botocore's, so that whoever translates those translates these.
"""

from __future__ import annotations

from mlops_kit.wire.answers import Answer, parse_xml
from mlops_kit.wire.client import Wire
from mlops_kit.wire.transfer import FileSlice, Sink

__all__ = ["Answer", "FileSlice", "Sink", "Wire", "parse_xml"]
