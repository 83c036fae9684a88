"""Temporary credentials: who signs never waits, one asks the source, and what is held is used while it is valid."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from worker.ccc import Credentials, CredentialsProvider, NoCredentials, RefreshingCredentials
from worker.ccc.refreshing import Temporary

LIFE_S = 3600.0
PATIENCE_S = 20.0


class Desk:
    """A source that gives a new AccessKey each time, and a clock of the world that stands still."""

    name = "the desk"

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.asked = 0
        self.most_at_once = 0
        self.problem: Exception | None = None
        self.life = LIFE_S
        self.open = threading.Event()
        self.open.set()
        self._inside = 0
        self._lock = threading.Lock()

    def clock(self) -> float:
        return self.now

    def fetch(self) -> Temporary:
        with self._lock:
            self.asked += 1
            self._inside += 1
            self.most_at_once = max(self.most_at_once, self._inside)
            number = self.asked
        self.open.wait(60)
        with self._lock:
            self._inside -= 1
        if self.problem:
            raise self.problem
        return Temporary(Credentials(f"STS.access-key-id-{number}", "secret", "token"), self.now + self.life)


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.open.set()


MakeProvider = Callable[..., RefreshingCredentials]


@pytest.fixture
def make_provider(desk: Desk) -> Iterator[MakeProvider]:
    with ExitStack() as stack:

        def make(first_wait: float = PATIENCE_S) -> RefreshingCredentials:
            provider = RefreshingCredentials(desk, first_wait=first_wait, look_every=0.01, now=desk.clock)
            stack.callback(provider.stop)
            return provider

        yield make


def until(ask: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not ask():
        assert time.monotonic() < end, what
        time.sleep(0.005)


def key(provider: CredentialsProvider) -> str:
    return provider.get().access_key_id


def test_they_are_there_when_it_has_started(desk: Desk, make_provider: MakeProvider) -> None:
    provider = make_provider()
    with pytest.raises(NoCredentials, match="not been asked for yet"):
        provider.get()
    provider.start()
    assert key(provider) == "STS.access-key-id-1"
    state = provider.describe()
    assert (state.source, state.masked_id, state.seconds_left, state.problem) == (
        "the desk",
        "STS.****id-1",
        LIFE_S,
        None,
    )
    assert desk.asked == 1


def test_a_source_that_hangs_holds_up_neither_the_start_nor_who_signs(desk: Desk, make_provider: MakeProvider) -> None:
    desk.open.clear()
    provider = make_provider(first_wait=0.01)
    provider.start()
    for _ in range(100):
        with pytest.raises(NoCredentials):
            provider.get()
    desk.open.set()
    until(lambda: provider.describe().masked_id, "the credentials came")
    assert key(provider) == "STS.access-key-id-1"


def test_many_threads_take_the_old_ones_while_one_request_brings_the_new(
    desk: Desk, make_provider: MakeProvider
) -> None:
    provider = make_provider()
    provider.start()
    desk.open.clear()
    desk.now += 0.8 * LIFE_S
    until(lambda: desk.asked == 2, "it asks ahead of expiry")
    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(lambda _: key(provider), range(1000))) == {"STS.access-key-id-1"}
    assert desk.asked == 2
    desk.open.set()
    until(lambda: key(provider) == "STS.access-key-id-2", "the new ones are taken up")
    assert desk.most_at_once == 1


def test_they_are_not_asked_for_again_before_half_of_their_time(desk: Desk, make_provider: MakeProvider) -> None:
    looked = threading.Event()
    times: list[float] = []

    def clock() -> float:
        times.append(desk.now)
        if len(times) > 50:
            looked.set()
        return desk.now

    desk.clock = clock  # type: ignore[method-assign]
    provider = make_provider()
    provider.start()
    desk.now += 0.49 * (LIFE_S - 10)
    times.clear()
    assert looked.wait(PATIENCE_S)
    assert desk.asked == 1


def test_a_long_life_is_looked_at_every_hour(desk: Desk, make_provider: MakeProvider) -> None:
    """A machine's role can be replaced hours before the credentials of the old one expire."""
    desk.life = 6 * 3600.0
    provider = make_provider()
    provider.start()
    desk.now += 3601
    until(lambda: key(provider) == "STS.access-key-id-2", "the new ones are taken up")


def test_old_ones_serve_through_an_outage_of_the_source_until_they_expire(
    desk: Desk, make_provider: MakeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    provider = make_provider()
    provider.start()
    desk.problem = NoCredentials("no answer from the desk: it is shut")
    desk.now += LIFE_S - 11
    until(lambda: provider.describe().problem, "it was asked in vain")
    assert key(provider) == "STS.access-key-id-1"
    assert "no new credentials from the desk: no answer from the desk: it is shut. The present ones" in caplog.text
    # A request that is signed now may be on its way for so long.
    desk.now += 2
    with pytest.raises(NoCredentials, match=r"Source: the desk; no answer from the desk: it is shut\.$"):
        provider.get()
    until(lambda: "Nothing can be sent" in caplog.text, "an error is logged")
    desk.problem = None
    until(lambda: provider.describe().problem is None, "it goes on asking")
    assert key(provider) != "STS.access-key-id-1"


def test_it_starts_while_the_source_is_down_and_recovers_by_itself(
    desk: Desk, make_provider: MakeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    desk.problem = NoCredentials("no answer from the desk: it is shut")
    provider = make_provider()
    provider.start()
    with pytest.raises(NoCredentials, match="it is shut"):
        provider.get()
    assert "no credentials from the desk: no answer from the desk: it is shut. Nothing can be sent" in caplog.text
    state = provider.describe()
    assert (state.masked_id, state.seconds_left) == (None, None)
    assert state.problem == "no answer from the desk: it is shut"
    desk.problem = None
    until(lambda: provider.describe().problem is None, "it goes on asking")
    assert provider.get()


def test_a_source_that_fails_is_not_asked_without_a_pause(desk: Desk, make_provider: MakeProvider) -> None:
    desk.problem = NoCredentials("shut")
    began = time.monotonic()
    make_provider().start()
    until(lambda: desk.asked >= 3, "it is asked again")
    # Pauses of at least 0.5 and 1 s; looked at every 0.01 s without them.
    assert time.monotonic() - began > 1


def test_the_unexpected_does_not_end_the_thread(desk: Desk, make_provider: MakeProvider) -> None:
    desk.problem = RuntimeError("with a secret in it")
    provider = make_provider()
    provider.start()
    with pytest.raises(NoCredentials, match=r"an unforeseen failure \(RuntimeError\)"):
        provider.get()
    desk.problem = None
    until(lambda: provider.describe().problem is None, "it goes on asking")


@pytest.mark.parametrize("life", [-3600.0, 0.0, 9.9])
def test_what_will_not_last_for_a_request_is_not_taken(desk: Desk, make_provider: MakeProvider, life: float) -> None:
    """The clock of this machine is ahead, or the source's behind."""
    desk.life = life
    provider = make_provider()
    provider.start()
    with pytest.raises(NoCredentials, match="check the clock"):
        provider.get()


def test_a_clock_that_jumps_makes_it_ask_and_not_sign(desk: Desk, make_provider: MakeProvider) -> None:
    desk.open.set()
    provider = make_provider()
    provider.start()
    desk.open.clear()
    desk.now += 10 * LIFE_S
    with pytest.raises(NoCredentials, match="expired by this machine's clock"):
        provider.get()
    desk.open.set()
    until(lambda: provider.describe().masked_id == "STS.****id-2", "the new ones are taken up")
    assert provider.get()


def test_a_command_asks_once_without_a_thread(desk: Desk, make_provider: MakeProvider) -> None:
    provider = make_provider()
    provider.refresh()
    assert provider.get()
    desk.problem = NoCredentials("shut")
    with pytest.raises(NoCredentials, match=r"^shut$"):
        provider.refresh()
    assert key(provider) == "STS.access-key-id-1"
    assert provider.describe().problem == "shut"


def test_it_ends_when_it_is_told_to_and_what_it_has_stays(make_provider: MakeProvider) -> None:
    provider = make_provider()
    provider.start()
    provider.stop()
    until(lambda: not provider._thread.is_alive(), "the thread ended")
    assert provider.get()
