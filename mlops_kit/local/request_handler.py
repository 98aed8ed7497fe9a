"""How the server writes a response: head and body in one piece.

werkzeug sends the head of a response by itself and the body after it. Between the two another thread may have its turn
for some milliseconds, and that is when Terraform's AWS provider loses answers: if the head arrives before Go's HTTP
client is done with sending the request, the client may close the connection then and there. A body that came with the
head is in the client's buffer (4 KiB) and is read all the same; one that is still on its way is lost, the SDK repeats
the call, and whatever cannot be made twice fails although it was made ("Cannot create already existing endpoint").

An answer that does not fit into that buffer can still be lost. Those are answers to reads, which can be repeated.
"""

from __future__ import annotations

import contextlib

from moto.moto_server.werkzeug_app import MotoRequestHandler


class RequestHandler(MotoRequestHandler):  # type: ignore[misc]  # moto has no types
    """One connection. What is written goes out when werkzeug flushes, which it does after each part of the body."""

    wbufsize = 64 * 1024
    """Bytes; a body that is longer is sent by itself, after the head."""

    def handle_expect_100(self) -> bool:
        """The client waits for this one before it sends its body."""
        proceed: bool = super().handle_expect_100()
        self.wfile.flush()
        return proceed

    def finish(self) -> None:
        """Close the connection; what the client did not wait for is nobody's loss."""
        with contextlib.suppress(ConnectionError):
            super().finish()
