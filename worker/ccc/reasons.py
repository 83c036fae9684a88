"""Why a request over the network failed, in words of our own.

The text of such an error is never quoted: it holds the URL, and in it phone numbers, keys or tokens.
"""

import http.client
import socket
import ssl
from collections.abc import Iterator

# The first that is found among an error and its causes.
_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (ssl.SSLCertVerificationError, "its TLS certificate is not trusted, has expired or is for another host"),
    (socket.gaierror, "its name could not be resolved"),
    (ConnectionRefusedError, "the connection was refused"),
    (http.client.RemoteDisconnected, "the connection was closed without an answer"),
    (ConnectionError, "the connection was reset"),
    (http.client.IncompleteRead, "the answer broke off"),
    (TimeoutError, "it took too long"),
    (ssl.SSLError, "TLS failed"),
    (http.client.HTTPException, "the answer is not HTTP"),
    (OSError, "the network or a proxy failed"),
)


def network_reason(error: BaseException) -> str | None:
    """The reason behind an error of requests, urllib3 or the like; None where it is none of the network."""
    found = list(_chain(error))
    for kind, reason in _REASONS:
        if any(isinstance(one, kind) for one in found):
            return reason
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and all that it was made of; requests and urllib3 wrap them in each other's arguments."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
        yield one
