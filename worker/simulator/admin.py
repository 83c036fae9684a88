"""The control API under ``/_sim/``: what tests and developers tell the simulator, and read from it."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from worker.simulator.calls import Call, Gone
from worker.simulator.gateway import Account
from worker.simulator.log import json_lines
from worker.simulator.scene import Model, Rule, Scene, Settings
from worker.simulator.service import Service

PREFIX = "/_sim/"
Result = dict[str, Any] | list[dict[str, Any]] | str

_RULES = TypeAdapter(list[Rule])
_ACCOUNTS = TypeAdapter(list[Account])
_PAGE = 5_000


class Registration(Model):
    """A call to register: with ``end_after`` digits heard, the ``gone`` of it ends."""

    channel_id: str
    job_id: str
    instance_id: str | None = None
    end_after: int | None = None
    gone: Gone = "channel"


class Ending(Model):
    """What of a call ends. A job needs no channel, an instance neither."""

    gone: Gone = "channel"
    channel_id: str = ""
    job_id: str = ""
    instance_id: str | None = None


class Page(Model):
    """Which entries of a log are wanted: those after ``since``, at most ``limit``."""

    since: int = 0
    limit: int = _PAGE
    format: Literal["json", "lines"] = "json"


class Admin:
    """The controls of one service; `call` is the way in."""

    def __init__(self, service: Service, default_instance: str) -> None:
        self._service = service
        self._instance = default_instance
        self._started = time.monotonic()
        self._routes: dict[tuple[str, str], Callable[[Mapping[str, str], bytes], Result]] = {
            ("GET", "health"): self._health,
            ("GET", "heard"): self._heard,
            ("GET", "requests"): self._requests,
            ("GET", "stats"): self._stats,
            ("GET", "scene"): self._scene,
            ("PUT", "scene"): self._set_scene,
            ("DELETE", "scene"): self._drop_scene,
            ("POST", "scene/rules"): self._add_rules,
            ("PUT", "settings"): self._set_settings,
            ("PUT", "accounts"): self._set_accounts,
            ("POST", "calls"): self._register,
            ("POST", "calls/end"): self._end,
            ("POST", "reset"): self._reset,
        }

    def call(self, method: str, name: str, query: Mapping[str, str], body: bytes) -> tuple[int, str, str]:
        """Run a control: HTTP status, content type and text of its answer."""
        route = self._routes.get((method, name))
        if route is None:
            known = ", ".join(f"{verb} {PREFIX}{path}" for verb, path in self._routes)
            return _json(404, {"error": f"no such control; there are: {known}"})
        try:
            result = route(query, body)
        except ValidationError as error:
            return _json(422, faults(error))
        if isinstance(result, str):
            return 200, "application/jsonl", result
        return _json(200, result)

    def _health(self, _query: Mapping[str, str], _body: bytes) -> Result:
        return {"ok": True, "uptime": round(time.monotonic() - self._started, 3)}

    def _heard(self, query: Mapping[str, str], _body: bytes) -> Result:
        page = Page.model_validate(query)
        return _page(page, self._service.log.heard_since(page.since, page.limit))

    def _requests(self, query: Mapping[str, str], _body: bytes) -> Result:
        page = Page.model_validate(query)
        return _page(page, self._service.log.requests_since(page.since, page.limit))

    def _stats(self, _query: Mapping[str, str], _body: bytes) -> Result:
        return self._service.stats()

    def _scene(self, _query: Mapping[str, str], _body: bytes) -> Result:
        rules = self._service.stage.rules
        return {
            "settings": self._service.settings.model_dump(mode="json"),
            "rules": [
                {"name": state.name, "fitted": state.fitted, "applied": state.applied}
                | {"rule": state.rule.model_dump(mode="json", exclude_unset=True)}
                for state in rules
            ],
        }

    def _set_scene(self, query: Mapping[str, str], body: bytes) -> Result:
        self._service.set_scene(Scene.model_validate_json(body or b"{}"))
        return self._scene(query, body)

    def _drop_scene(self, query: Mapping[str, str], body: bytes) -> Result:
        self._service.set_scene(Scene())
        return self._scene(query, body)

    def _add_rules(self, query: Mapping[str, str], body: bytes) -> Result:
        self._service.add_rules(_RULES.validate_json(body))
        return self._scene(query, body)

    def _set_settings(self, _query: Mapping[str, str], body: bytes) -> Result:
        self._service.change_settings(Settings.model_validate_json(body))
        return self._service.settings.model_dump(mode="json")

    def _set_accounts(self, _query: Mapping[str, str], body: bytes) -> Result:
        accounts = _ACCOUNTS.validate_json(body)
        self._service.gateway.accounts = {account.id: account for account in accounts}
        return {"accounts": [account.id for account in accounts]}

    def _register(self, _query: Mapping[str, str], body: bytes) -> Result:
        wanted = Registration.model_validate_json(body)
        call = Call(
            instance_id=wanted.instance_id or self._instance,
            job_id=wanted.job_id,
            channel_id=wanted.channel_id,
            end_after=wanted.end_after,
            gone_as=wanted.gone,
        )
        self._service.calls.register(call)
        return {"registered": True}

    def _end(self, _query: Mapping[str, str], body: bytes) -> Result:
        ending = Ending.model_validate_json(body)
        instance = ending.instance_id or self._instance
        self._service.calls.end(instance, ending.job_id, ending.channel_id, ending.gone)
        return {"ended": ending.gone}

    def _reset(self, _query: Mapping[str, str], _body: bytes) -> Result:
        self._service.reset()
        return {"reset": True}


def faults(error: ValidationError) -> dict[str, Any]:
    """What is wrong with what was handed in, naming each field, quoting none of its content."""
    found = [
        {"field": ".".join(map(str, fault["loc"])), "problem": fault["msg"]}
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return {
        "error": "; ".join(f"{fault['field'] or '(all)'}: {fault['problem']}" for fault in found),
        "faults": found,
    }


def _page(page: Page, entries: list[dict[str, Any]]) -> Result:
    return json_lines(entries) if page.format == "lines" else entries


def _json(status: int, body: Result) -> tuple[int, str, str]:
    return status, "application/json", json.dumps(body)
