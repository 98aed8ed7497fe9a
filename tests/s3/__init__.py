"""S3 on loopback, in memory: fast enough to measure clients by, exact enough to test them, and able to fail.

``model`` and ``content`` hold the objects, ``pages`` cuts their listings; ``reads``, ``writes``, ``uploads`` and
``listings`` are S3's operations on them, ``operations`` finds which one a request asks for, ``http`` carries it,
``faults`` say what goes wrong, ``server`` puts it together. Signatures are not checked; an unsigned request is refused.
Other services can stand beside it at the same port (``services``), as ``tests.aws`` has them.

    with LoopbackS3({"acme-dev-lake": "111111111111"}) as s3:
        s3.faults.append(Fault("503", operation="CopyObject", nth=3))
        client = boto3.client("s3", endpoint_url=s3.url)

From S3 it differs in this: an object that comes without a checksum does not get one, CRC-32C and CRC-64/NVME are kept
as sent, there are no policies, tags or access control lists, and every bucket is versioned.
"""

from __future__ import annotations

from tests.s3.faults import Fault
from tests.s3.messages import Call
from tests.s3.server import LoopbackS3

__all__ = ["Call", "Fault", "LoopbackS3"]
