"""A client of the simulator's control API, for tests and the demo."""

from types import TracebackType
from typing import Any, Self

from requests import Response, Session

from worker.errors import DtmfError

_PAGE = 5_000


class SimulatorError(DtmfError):
    """The simulator refused what it was told; the text names the field."""


class SimulatorControl:
    """Tells a running simulator what to do and reads what it heard.

    ``url`` is where it listens; ``verify`` as in requests, for HTTPS. Every method raises `SimulatorError`
    where the simulator refuses, and requests' own errors where it cannot be reached.
    """

    def __init__(self, url: str, *, verify: bool | str = True, timeout: float = 10.0) -> None:
        self.url = url.rstrip("/")
        self._timeout = timeout
        self._session = Session()
        self._session.trust_env = False
        self._session.verify = verify

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def health(self) -> dict[str, Any]:
        """``ok`` and ``uptime`` in seconds."""
        return self._call("GET", "health")

    def heard(self, since: int = 0) -> list[dict[str, Any]]:
        """Every digit heard with a higher ``seq`` than ``since``, in order of execution."""
        return self._all("heard", since)

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        """Every request done with, and its outcome, with a higher ``seq`` than ``since``."""
        return self._all("requests", since)

    def stats(self) -> dict[str, Any]:
        """Counts: ``requests``, ``heard``, ``codes``, ``nonces``, ``rps``."""
        return self._call("GET", "stats")

    def scene(self) -> dict[str, Any]:
        """The settings and the rules in force, with how often each was applied."""
        return self._call("GET", "scene")

    def set_scene(self, scene: dict[str, Any] | None = None) -> dict[str, Any]:
        """Replace the rules (with none: no faults), and change the settings that the scene states."""
        return self._call("PUT", "scene", scene or {})

    def add_rules(self, *rules: dict[str, Any]) -> dict[str, Any]:
        """Append rules to the scene."""
        return self._call("POST", "scene/rules", list(rules))

    def set_settings(self, **settings: object) -> dict[str, Any]:
        """Change settings: burn, nonce_first, timestamp_window, nonce_memory, clock_offset, strict, quota."""
        return self._call("PUT", "settings", settings)

    def set_accounts(self, *accounts: dict[str, Any]) -> dict[str, Any]:
        """Replace the access keys that are let in: id, secret, and perhaps token and expires_at."""
        return self._call("PUT", "accounts", list(accounts))

    def register_call(self, channel_id: str, job_id: str, **more: object) -> dict[str, Any]:
        """Make a live call. ``more``: instance_id, end_after (digits), gone (channel, job or instance)."""
        return self._call("POST", "calls", {"channel_id": channel_id, "job_id": job_id} | more)

    def end_call(
        self, channel_id: str = "", job_id: str = "", *, gone: str = "channel", instance_id: str | None = None
    ) -> dict[str, Any]:
        """End a channel, a job or an instance; from now on requests get the NotExists that fits."""
        ending = {"channel_id": channel_id, "job_id": job_id, "gone": gone, "instance_id": instance_id}
        return self._call("POST", "calls/end", ending)

    def reset(self) -> dict[str, Any]:
        """Back to the state at the start: no calls, nonces or log, the scene and settings of the start."""
        return self._call("POST", "reset")

    def _all(self, name: str, since: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page: list[dict[str, Any]] = self._ask("GET", f"{name}?since={since}&limit={_PAGE}").json()
            found += page
            if len(page) < _PAGE:
                return found
            since = page[-1]["seq"]

    def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        result: dict[str, Any] = self._ask(method, path, body).json()
        return result

    def _ask(self, method: str, path: str, body: object = None) -> Response:
        answer = self._session.request(method, f"{self.url}/_sim/{path}", json=body, timeout=self._timeout)
        if not answer.ok:
            raise SimulatorError(answer.json()["error"])
        return answer
