"""Checks of the fleet: workers, the follower, and what waits."""

from collections.abc import Iterator
from typing import Any

from celery import Celery

from config.celery import celery_config
from worker import __version__
from worker.channel.dead_letters import DeadLetters
from worker.channel.queue import ChannelQueue
from worker.channel.server import boot_of
from worker.cli.checks.finding import Finding, Level, Patient
from worker.cli.output import count, span
from worker.fleet.follower import GROUP
from worker.fleet.intake import LISTS
from worker.fleet.panel import ABOUT
from worker.fleet.results import RECORDS
from worker.limits import limits_of
from worker.vault import Vault

_ASK_S = 1.5
_SLOW_MS = 10_000
_STUCK_MS = 60_000
_OVERDUE_MS = 5000
_MOST_WAITING = 0.8


def workers(patient: Patient) -> Iterator[Finding]:
    """Those that are alive, their versions, slots and secret keys."""
    told = _ask(patient)
    if not told:
        text = f"none answered within {_ASK_S} s"
        yield Finding("workers", Level.FAULT, text, "start one: celery -A worker worker -l INFO")
        return
    slots, runs = (sum(one.get(name, 0) for _, one in told) for name in ("concurrency", "runs"))
    versions = {str(one.get("version", "older")) for _, one in told}
    text = f"{len(told)} alive, version {', '.join(sorted(versions))}, {runs} of {slots} slots busy"
    data = {"workers": [{"name": name, **one} for name, one in told]}
    if versions != {__version__}:
        do = f"here it is {__version__}; bring all to one version"
        yield Finding("workers", Level.WARNING, text, do, data)
    elif slots and runs >= slots:
        yield Finding("workers", Level.WARNING, text, "start more workers, or raise DTMF_CONCURRENCY", data)
    else:
        longest = max(one.get("uptime_s", 0) for _, one in told)
        yield Finding("workers", Level.OK, f"{text}, up for {span(longest * 1000)}", data=data)
    yield from _keys(patient, told)


def _ask(patient: Patient) -> list[tuple[str, dict[str, Any]]]:
    with Celery("doctor", set_as_current=False) as app:
        app.config_from_object(celery_config(patient.settings))
        answers = app.control.broadcast(ABOUT, reply=True, timeout=_ASK_S) or []
    return sorted(pair for answer in answers for pair in answer.items())


def _keys(patient: Patient, told: list[tuple[str, dict[str, Any]]]) -> Iterator[Finding]:
    """A worker must understand the secret key with which tasks are encrypted here."""
    if "DTMF_SECRET_KEYS" in patient.wrong:
        return
    kid = Vault(patient.settings.secret_keys).kid
    others = [name for name, one in told if kid not in one.get("kids", [kid])]
    if others:
        text = f"without the secret key {kid} that is in use here: {', '.join(others)}"
        yield Finding("workers", Level.FAULT, text, "set the same DTMF_SECRET_KEYS everywhere")


def follower(patient: Patient) -> Iterator[Finding]:
    """Results of Celery's are written soon after the records."""
    client = patient.client
    if not client.exists(RECORDS):
        yield Finding("follower", Level.OK, "no task has ended yet")
        return
    groups = {group["name"]: group for group in client.xinfo_groups(RECORDS)}
    group = groups.get(GROUP)
    if group is None:
        text = "no worker has ever followed the records"
        yield Finding("follower", Level.WARNING, text, "start a worker: AsyncResult.get() waits for it")
        return
    unread = client.xrange(RECORDS, f"({group['last-delivered-id']}", "+", count=1)
    pending = client.xpending_range(RECORDS, GROUP, "-", "+", 1) if group["pending"] else []
    ids = [*(entry for entry, _ in unread), *(entry["message_id"] for entry in pending)]
    seconds, _ = client.time()
    oldest = max((seconds * 1000 - int(entry.partition("-")[0]) for entry in ids), default=0)
    lag = group.get("lag")
    data = {"lag": lag, "pending": group["pending"], "oldest_ms": max(0, oldest)}
    behind = f"{'some' if lag is None and unread else lag or 0} unread, {group['pending']} being written"
    if oldest < _SLOW_MS:
        yield Finding("follower", Level.OK, f"keeps up: {behind}", data=data)
        return
    level = Level.FAULT if oldest > _STUCK_MS else Level.WARNING
    do = "AsyncResult.get() waits for these: start workers, and look at their logs for the follower"
    yield Finding("follower", level, f"{behind}, the oldest for {span(oldest)}", do, data)


def refused(patient: Patient) -> Iterator[Finding]:
    """Whether requests pause because the API refuses the account or the clock."""
    refusal = ChannelQueue(patient.client, limits_of(patient.settings)).refusal()
    if refusal is None:
        yield Finding("account", Level.OK, "requests do not pause")
        return
    code, ms = refusal
    text = f"the API refuses every request for {span(ms)} ({code}); they pause, but for a probe now and then"
    do = "mend the AccessKey, its permissions or the clock; the next probe that is accepted ends the pause"
    yield Finding("account", Level.FAULT, text, do, {"code": code, "since_ms": ms})


def waiting(patient: Patient) -> Iterator[Finding]:
    """Tasks that wait, against the limit."""
    tasks = int(patient.client.get("dtmf:waiting") or 0)
    channels = int(patient.client.zcard("dtmf:due"))
    most = patient.settings.DTMF_SYSTEM_LIMIT
    data = {"tasks": tasks, "channels": channels, "most": most}
    text = f"{count(tasks, 'task')} on {count(channels, 'channel')}; the limit is {most} tasks"
    if tasks > most * _MOST_WAITING:
        yield Finding("waiting", Level.WARNING, text, "at the limit, tasks are refused: start workers", data)
    else:
        yield Finding("waiting", Level.OK, text, data=data)


def intake(patient: Patient) -> Iterator[Finding]:
    """Who takes the messages of foreign producers, what stands on their lists, and what held no task."""
    client = patient.client
    seconds, micros = client.time()
    token, until, boot, worker = client.hmget("dtmf:intake", "token", "lease_until", "boot", "worker")
    is_live = token and boot == boot_of(patient.info) and int(until) > seconds * 1000 + micros // 1000
    listed = sum(int(client.llen(name)) for name in LISTS)
    data = {"worker": worker if is_live else None, "listed": listed}
    text = f"{worker if is_live else 'nobody'} takes foreign messages; {count(listed, 'message')} on their lists"
    if listed and not is_live:
        do = "each worker is ready to; start one, or see what stops those that run"
        yield Finding("intake", Level.WARNING, text, do, data)
    else:
        yield Finding("intake", Level.OK, text, data=data)
    dead = DeadLetters(client)
    kept, ever = len(dead), dead.ever()
    if kept:
        text, do = f"{count(kept, 'dead letter')} kept, {ever} since ever", "dtmf dead-letters shows them"
        yield Finding("intake", Level.WARNING, text, do, {"dead_letters": kept, "dead_letters_ever": ever})


def overdue(patient: Patient) -> Iterator[Finding]:
    """Channels that wait, and at which no sweeper has looked when it should have."""
    client = patient.client
    seconds, micros = client.time()
    now = seconds * 1000 + micros // 1000
    number = int(client.zcount("dtmf:due", "-inf", now - _OVERDUE_MS))
    if not number:
        yield Finding("overdue", Level.OK, "no channel waits for a sweeper", data={"channels": 0})
        return
    [(_, due)] = client.zrange("dtmf:due", 0, 0, withscores=True)
    text = f"{count(number, 'channel')} overdue, the longest by {span(now - due)}"
    do = "every worker looks for them; start one, or see what stops those that run"
    yield Finding("overdue", Level.FAULT, text, do, {"channels": number, "longest_ms": int(now - due)})
