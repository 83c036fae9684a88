"""Where requests go: the endpoint, the proxy on the way and whom TLS trusts, all settled once at start."""

import ipaddress
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, select_proxy

from worker.ccc.errors import BadEndpoint

_DEFAULT_PORTS = {"https": 443, "http": 80}
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\.?")


@dataclass(frozen=True)
class Endpoint:
    """An endpoint that has been checked.

    Attributes:
        url: with the path "/" and nothing after it.
        host: the Host header, which is signed.
        proxies: scheme to proxy; empty for a direct connection. May hold a password.
        tls: the context that verifies the server; None for plain HTTP to this machine itself.

    """

    url: str
    host: str
    proxies: dict[str, str]
    tls: ssl.SSLContext | None


def settle_endpoint(endpoint: str, ca_bundle: str | None = None) -> Endpoint:
    """Check an endpoint, ``https://host[:port]``, and find its proxy in the environment.

    ``http://`` is taken for loopback hosts only, which no proxy is asked for: the request holds phone numbers
    in clear. ca_bundle is a file or folder of CA certificates, instead of certifi's. Raises BadEndpoint.
    """
    parts, port = _split(endpoint)
    name = parts.hostname or ""
    if parts.scheme == "http" and not _is_loopback(name):
        raise BadEndpoint(
            "The endpoint uses http:// and is not this machine itself: keys and phone numbers would cross "
            "the network in clear. Use https://."
        )
    host = f"[{name}]" if ":" in name else name
    if port is not None and port != _DEFAULT_PORTS[parts.scheme]:
        host = f"{host}:{port}"
    url = f"{parts.scheme}://{host}/"
    if parts.scheme == "http":
        return Endpoint(url, host, {}, None)
    return Endpoint(url, host, _proxies(url), _tls(ca_bundle))


def _split(endpoint: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:
        parts, port = SplitResult("", "", "", "", ""), None
    name = parts.hostname or ""
    # urlsplit takes line breaks out without a word.
    bare = endpoint.isprintable() and not (
        parts.username or parts.password or parts.query or parts.fragment or "@" in parts.netloc
    )
    if parts.scheme not in _DEFAULT_PORTS or not bare or parts.path not in {"", "/"} or not _is_host(name):
        raise BadEndpoint(
            "The endpoint is not of the form https://host or https://host:port, without a path, a user or a "
            "query; for example https://ccc.cn-shanghai.aliyuncs.com."
        )
    return parts, port


def _proxies(url: str) -> dict[str, str]:
    proxy = select_proxy(url, get_environ_proxies(url, no_proxy=None))
    if not proxy:
        return {}
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    try:
        parts = urlsplit(proxy)
        usable = parts.scheme in _DEFAULT_PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise BadEndpoint(
            "The proxy that the environment names for the endpoint (HTTPS_PROXY or ALL_PROXY) is not of the "
            "form http://host:port or https://host:port. Correct it, or name the endpoint's host in NO_PROXY."
        )
    return {"https": proxy}


def _tls(ca_bundle: str | None) -> ssl.SSLContext:
    bundle = Path(ca_bundle or DEFAULT_CA_BUNDLE_PATH)
    try:
        if bundle.is_dir():
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)
    except OSError:
        problem = "The CA bundle cannot be read, or holds no certificate in PEM format."
    raise BadEndpoint(problem)


def _is_host(name: str) -> bool:
    return bool(_HOST_NAME.fullmatch(name)) or _address(name) is not None


def _is_loopback(name: str) -> bool:
    address = _address(name)
    return name == "localhost" if address is None else address.is_loopback


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
