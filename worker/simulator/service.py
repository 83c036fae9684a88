"""What happens to one request, from the wire to the answer; knows no HTTP server."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from worker.simulator.answers import Answer, executed, new_request_id, page, redirect, refused
from worker.simulator.calls import Call, Calls
from worker.simulator.config import SimulatorConfig
from worker.simulator.errors import Refusal, missing
from worker.simulator.gateway import Gateway
from worker.simulator.log import EventLog, Heard, Requested
from worker.simulator.scene import Plan, Rule, Scene, Settings, Stage
from worker.simulator.signature import SignedRequest, read

KEYS = frozenset("0123456789*#")
REQUIRED = ("ChannelId", "DeviceId", "Dtmf", "InstanceId", "JobId", "UserId")


@dataclass(slots=True)
class Exchange:
    """A request on its way through: what came, when, and what has become of it."""

    request: SignedRequest
    plan: Plan
    request_id: str
    received_at: float
    received_mono: float
    heard: int | None = None
    answer: Answer | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """Instance, job and channel as the request names them, or empty."""
        return call_key(self.request.parameters)


def call_key(parameters: Mapping[str, str]) -> tuple[str, str, str]:
    """Instance, job and channel, or empty."""
    return parameters.get("InstanceId", ""), parameters.get("JobId", ""), parameters.get("ChannelId", "")


class Service:
    """The gateway, the API behind it, its calls and its log.

    ``clock`` (epoch seconds) and ``monotonic`` may be replaced by a test's own.
    """

    def __init__(
        self,
        config: SimulatorConfig,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._clock = clock
        self._monotonic = monotonic
        self.log = EventLog(config.keep_requests, config.log_file)
        self.reset()

    def reset(self) -> None:
        """Back to the state at the start: calls, nonces, scene, settings, log."""
        self.log.clear()
        self.calls = Calls(self._config.instances, strict=self._config.settings.strict)
        self.gateway = Gateway(self._config.settings, self._config.accounts, self._clock, self._monotonic)
        self.set_scene(self._config.scene)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.gateway.settings

    def set_scene(self, scene: Scene) -> None:
        """Replace the rules and start their counts anew; change the settings that the scene states."""
        self.stage = Stage(scene, self._digits_heard, self._monotonic)
        if scene.settings.model_fields_set:
            self.change_settings(scene.settings)

    def add_rules(self, rules: list[Rule]) -> None:
        """Append rules to the scene."""
        self.stage.add(rules)

    def change_settings(self, settings: Settings) -> None:
        """Change those settings that ``settings`` states."""
        self.gateway.use(self.settings.changed(settings))
        self.calls.strict = self.settings.strict

    def stats(self) -> dict[str, Any]:
        """Counts since the start or the last reset; ``rps``: requests a second over the last 5 s.

        ``cpu_seconds`` is what the whole process has used since it began.
        """
        now = self._clock()
        last = takewhile(lambda entry: entry.done_at > now - 5, reversed(self.log.requests))
        return {
            "requests": self.log.requests_ever,
            "heard": len(self.log.heard),
            "codes": dict(self.log.codes),
            "nonces": len(self.gateway.nonces),
            "cpu_seconds": time.process_time(),
            "rps": sum(1 for _ in last) / 5,
        }

    async def serve(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Exchange:
        """Take a request through the network, the gateway and the API.

        The exchange that comes back has an answer, or none where the connection is to be dropped before the
        gateway has seen the request. The caller delivers it as the plan says and calls `done`.
        """
        received_at, received_mono = self._clock(), self._monotonic()
        request_id = new_request_id()
        try:
            request = read(method, target, headers, body)
        except Refusal as refusal:
            request = SignedRequest("", method, "", {})
            answer = refused(refusal, request_id, headers.get("host", ""), {})
            return Exchange(request, Plan(), request_id, received_at, received_mono, answer=answer)
        plan = self.stage.plan(call_key(request.parameters))
        exchange = Exchange(request, plan, request_id, received_at, received_mono)
        if plan.lag:
            await asyncio.sleep(plan.lag)
        if plan.drop is not None and plan.drop.when == "before":
            return exchange
        if plan.redirect is not None:
            exchange.answer = redirect(plan.redirect.status, plan.redirect.location, request_id)
        elif plan.page is not None and not plan.page.executed:
            exchange.answer = page(plan.page.status, request_id)
        else:
            await self._ask(exchange)
        if plan.answer_after:
            await asyncio.sleep(plan.answer_after)
        return exchange

    def done(self, exchange: Exchange, *, answered: bool) -> None:
        """Log a request; ``answered`` if its answer went to a connection that was open."""
        request, answer = exchange.request, exchange.answer
        instance_id, job_id, channel_id = exchange.key
        self.log.request(
            Requested(
                seq=0,
                channel_id=channel_id,
                job_id=job_id,
                instance_id=instance_id,
                nonce=request.nonce,
                access_key_id=request.access_key_id,
                signature=request.version,
                request_id=exchange.request_id,
                received_at=exchange.received_at,
                done_at=self._clock(),
                code="(dropped)" if answer is None else answer.code,
                http_status=0 if answer is None else answer.status,
                rules=exchange.plan.rules,
                executed=exchange.heard is not None,
                heard=exchange.heard,
                answered=answered,
            )
        )

    async def _ask(self, exchange: Exchange) -> None:
        """The gateway's checks and the API's own; sets the answer."""
        request, plan, request_id = exchange.request, exchange.plan, exchange.request_id
        try:
            self.gateway.admit(request, plan.buckets)
            try:
                if plan.latency:
                    await asyncio.sleep(plan.latency)
                exchange.answer = self._execute(exchange)
            except Refusal:
                if exchange.heard is None:
                    self.gateway.refused_later(request)
                raise
        except Refusal as refusal:
            exchange.answer = refused(refusal, request_id, request.host, request.parameters, plan.shapes)
        if plan.page is not None:
            exchange.answer = page(plan.page.status, request_id)

    def _execute(self, exchange: Exchange) -> Answer:
        request, plan = exchange.request, exchange.plan
        error = plan.error
        if error is not None and not error.executed:
            raise Refusal(error.code, error.message, error.status, error.retry_after_ms)
        call = self._check(request.parameters)
        executed_at = self._clock()
        self._hear(call, exchange, executed_at)
        if error is not None:
            raise Refusal(error.code, error.message, error.status, error.retry_after_ms)
        now_ms = int(executed_at * 1000)
        return executed(call, request.parameters, exchange.request_id, now_ms, plan.shapes)

    def _check(self, parameters: dict[str, str]) -> Call:
        """The API's own checks of a request that the gateway let pass."""
        for name in REQUIRED:
            if not parameters.get(name):
                raise missing(name)
        if parameters["Dtmf"] not in KEYS:
            raise Refusal("InvalidParameter", "The specified parameter Dtmf is not valid.")
        return self.calls.find(*call_key(parameters))

    def _hear(self, call: Call, exchange: Exchange, executed_at: float) -> None:
        request = exchange.request
        heard = Heard(
            seq=0,
            channel_id=call.channel_id,
            job_id=call.job_id,
            instance_id=call.instance_id,
            key=request.parameters["Dtmf"],
            nonce=request.nonce,
            access_key_id=request.access_key_id,
            request_id=exchange.request_id,
            received_at=exchange.received_at,
            executed_at=executed_at,
            received_mono=exchange.received_mono,
            executed_mono=self._monotonic(),
        )
        self.log.hear(heard)
        exchange.heard = heard.seq
        self.calls.hear(call)
        if exchange.plan.hang_up is not None:
            self.calls.end(call.instance_id, call.job_id, call.channel_id, exchange.plan.hang_up)

    def _digits_heard(self, key: tuple[str, str, str]) -> int:
        return self.calls.heard_by(*key)
