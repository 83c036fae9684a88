"""dead-letters: what a stranger wrote is named, put back or dropped, and shown to nobody who does not ask for it."""

import base64
import json
import os
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
from redis import Redis

from config.settings import Settings
from tests.cli.conftest import Dtmf
from tests.cli.desk import Terminal
from tests.fleet.foreign import LIST, protocol_1, protocol_2
from tests.producer.crm import CALL, PERSONAL, everything_in, queued
from worker.channel.dead_letters import DeadLetters
from worker.channel.intake import IntakeQueue
from worker.channel.queue import Limits
from worker.channel.server import connect
from worker.fleet.intake import Intake
from worker.local.redis import LocalRedis
from worker.message import LARGEST_BYTES, BadMessage
from worker.vault import Vault, new_secret_key

WRONG = {**CALL, "gap_ms": "often"}
NO_ID = b'{"crm": "8001735 \xff\x1b[2J"}'


class Dead:
    """The list of foreign producers, and an intake that takes what stands there when it is told to."""

    def __init__(self, dtmf: Dtmf, client: Redis, foreign: Redis) -> None:
        settings = Settings.load(worker=False)
        queue, vault = IntakeQueue(foreign, Limits(), "tester"), Vault(settings.secret_keys)
        self.dtmf, self.redis = dtmf, client
        self._queue, self._vault = queue, vault
        self._intake = Intake(queue, settings, vault, lambda _: None, Event())
        self.take_all = self._intake.turn

    def bury(self, message: dict[str, Any]) -> str:
        """A message dies of a cause that is mended later; answers its number."""
        raw = json.dumps(message)
        self.take_all()  # so that it is the intake
        self.redis.lpush(LIST, raw)
        letter = self._intake._bury(raw, BadMessage("a setting was missing"))
        assert self._queue.take(self._intake._token, LIST, [(raw, letter)], publish=0)
        return letter.number

    def message(self, number: str) -> bytes:
        """What the intake kept of a message."""
        (letter,) = (one for one in DeadLetters(self.redis).newest(100_000) if one.content.number == number)
        return base64.b64decode(self._vault.decrypt(letter.content.letter, number))

    def take(self, *messages: dict[str, Any] | bytes) -> list[str]:
        """Messages come and are taken; answers the numbers of all dead letters, the oldest first."""
        for message in messages:
            self.redis.lpush(LIST, message if isinstance(message, bytes) else json.dumps(message))
        self.take_all()
        assert self.redis.llen(LIST) == 0
        return [letter["number"] for letter in self.letters()]

    def letters(self) -> list[dict[str, Any]]:
        """As a program sees them."""
        told = json.loads(self.dtmf("dead-letters", "--json", "--most", "100000").stdout)
        assert told["kept"] == len(told["letters"])
        found: list[dict[str, Any]] = told["letters"]
        return found

    def listed(self) -> list[Any]:
        """What stands on the list, in the order in which it is to be taken."""
        return [json.loads(raw) for raw in reversed(self.redis.lrange(LIST, 0, -1))]


@pytest.fixture
def dead(dtmf: Dtmf, redis_client: Redis, redis_server: LocalRedis) -> Iterator[Dead]:
    foreign = connect(redis_server.url, timeout=5, encoding_errors="surrogateescape")
    yield Dead(dtmf, redis_client, foreign)
    foreign.close()


def test_of_none_it_says_so(dtmf: Dtmf) -> None:
    done = dtmf("dead-letters")
    assert (done.exit_code, done.stdout) == (0, "0 dead letters; 0 in all since ever\n")
    assert json.loads(dtmf("dead-letters", "--json").stdout) == {"kept": 0, "ever": 0, "letters": []}


def test_each_is_shown_with_what_is_wrong_and_nothing_of_what_it_holds(dead: Dead) -> None:
    first, second = dead.take(protocol_2(WRONG, "t1"), NO_ID)
    done = dead.dtmf("dead-letters")
    assert done.exit_code == 0
    one, two, last = done.stdout.splitlines()
    assert one.startswith(f"{first} 2")
    assert one.endswith(" t1 gap_ms must be a whole number from 0 to 60000")
    assert two.startswith(f"{second} 2")
    assert two.endswith(" (no id) the message is not JSON")
    assert last == "2 dead letters; 2 in all since ever"
    for shown in (done.stdout, dead.dtmf("dead-letters", "--json").stdout, everything_in(dead.redis)):
        assert not [marker for marker in PERSONAL if marker in shown]


def test_programs_get_the_same_as_json(dead: Dead) -> None:
    (number,) = dead.take(protocol_2(WRONG, "t1"))
    (letter,) = dead.letters()
    assert letter.pop("at") > 0
    problem = "gap_ms must be a whole number from 0 to 60000"
    assert letter == {"number": number, "id": "t1", "problem": problem, "kept": True}


def test_the_newest_are_shown_and_the_others_counted(dead: Dead) -> None:
    numbers = dead.take(*[NO_ID] * 5)
    shown = dead.dtmf("dead-letters", "--most", "2").stdout.splitlines()
    assert [line.partition(" ")[0] for line in shown[:2]] == numbers[3:]
    assert shown[2] == "5 dead letters, 3 of them older than these; 5 in all since ever"


def test_a_message_that_is_put_back_is_taken_as_if_it_had_just_been_sent(dead: Dead) -> None:
    message, ahead = protocol_2(CALL, "t1"), protocol_1({**CALL, "dtmf": "5"}, "t0")
    number = dead.bury(message)
    dead.take(NO_ID)
    dead.redis.lpush(LIST, json.dumps(ahead))
    done = dead.dtmf("dead-letters", "requeue", number)
    assert (done.exit_code, done.stdout) == (0, "1 message put back at the end of the list\n")
    assert dead.listed() == [ahead, message]
    dead.take_all()
    assert queued(dead.redis) == ["t0", "t1"]
    assert [letter["id"] for letter in dead.letters()] == [None]


def test_what_is_still_wrong_comes_back_under_another_number(dead: Dead) -> None:
    (number,) = dead.take(protocol_2(WRONG, "t1"))
    dead.dtmf("dead-letters", "requeue", number)
    (again,) = dead.take()
    assert again != number
    assert "1 dead letter; 2 in all" in dead.dtmf("dead-letters").stdout


def test_all_are_put_back_in_their_order_each_byte_as_it_came(dead: Dead) -> None:
    raws = [b"%d \xff\x00" % number for number in range(250)]
    dead.take(*raws)
    done = dead.dtmf("dead-letters", "requeue", "--all", "--yes")
    assert (done.exit_code, done.stdout) == (0, "250 messages put back at the end of the list\n")
    assert dead.letters() == []
    assert len(dead.take()) == 250
    found = [dead.message(letter["number"]) for letter in dead.letters()]
    assert found == raws


def test_all_ends_although_what_is_put_back_comes_again_at_once(dead: Dead, monkeypatch: pytest.MonkeyPatch) -> None:
    dead.take(*[NO_ID] * 150)
    put_back = DeadLetters.put_back

    def and_take_it(letters: DeadLetters, *args: Any) -> list[bool]:
        done = put_back(letters, *args)
        dead.take_all()
        return done

    monkeypatch.setattr(DeadLetters, "put_back", and_take_it)
    assert "150 messages put back" in dead.dtmf("dead-letters", "requeue", "--all", "--yes").stdout
    assert len(dead.letters()) == 150


def test_one_that_was_too_large_to_keep_can_only_be_dropped(dead: Dead) -> None:
    large, _ = dead.take(b"8001735" + b"x" * LARGEST_BYTES, NO_ID)
    assert [letter["kept"] for letter in dead.letters()] == [False, True]
    done = dead.dtmf("dead-letters", "requeue", "--all", "--yes")
    assert done.exit_code == 0
    assert done.stdout == "1 message put back at the end of the list\n"
    assert done.stderr == f"{large} stays: its message was too large to keep; it can only be dropped\n"
    assert [letter["number"] for letter in dead.letters()] == [large]
    assert dead.dtmf("dead-letters", "drop", large).stdout == "1 dead letter dropped\n"
    assert dead.letters() == []


def test_dead_letters_are_kept_small(dead: Dead) -> None:
    dead.take(*(b"x" * size for size in (LARGEST_BYTES, LARGEST_BYTES // 8, LARGEST_BYTES // 8 + 1)))
    assert [letter["kept"] for letter in dead.letters()] == [False, True, False]


def test_one_under_a_secret_key_that_is_not_here_stays(dead: Dead, monkeypatch: pytest.MonkeyPatch) -> None:
    (number,) = dead.take(NO_ID)
    monkeypatch.setenv("DTMF_SECRET_KEYS", new_secret_key())
    done = dead.dtmf("dead-letters", "requeue", number)
    assert f"{number} stays: no key in DTMF_SECRET_KEYS decrypts this" in done.stderr
    assert done.stdout == "0 messages put back at the end of the list\n"
    assert [letter["number"] for letter in dead.letters()] == [number]


def test_letters_are_dropped_by_their_numbers_or_all(dead: Dead) -> None:
    numbers = dead.take(*[NO_ID] * 4)
    assert dead.dtmf("dead-letters", "drop", numbers[1], numbers[3]).stdout == "2 dead letters dropped\n"
    assert [letter["number"] for letter in dead.letters()] == [numbers[0], numbers[2]]
    assert dead.dtmf("dead-letters", "drop", "--all", "--yes").stdout == "2 dead letters dropped\n"
    assert dead.dtmf("dead-letters").stdout == "0 dead letters; 4 in all since ever\n"
    assert dead.listed() == []


@pytest.mark.parametrize("what", ["requeue", "drop"])
def test_a_mistake_is_named_and_changes_nothing(dead: Dead, what: str) -> None:
    (number,) = dead.take(NO_ID)
    before = everything_in(dead.redis)
    for words, status, said in [
        ((), 2, "give the numbers of letters, or --all"),
        ((number, "--all"), 2, "give the numbers of letters, or --all"),
        (("--all",), 2, "add --yes"),
        (("00000000",), 1, "no dead letter has the number 00000000"),
    ]:
        done = dead.dtmf("dead-letters", what, *words)
        assert (done.exit_code, done.stdout) == (status, "")
        assert said in done.stderr
    assert everything_in(dead.redis) == before


def test_an_unknown_number_among_others_is_named_and_the_others_are_done(dead: Dead) -> None:
    (number,) = dead.take(NO_ID)
    done = dead.dtmf("dead-letters", "drop", number, "00000000")
    assert done.exit_code == 1
    assert "no dead letter has the number 00000000; 1 of the others done" in done.stderr
    assert dead.letters() == []


def test_two_operators_put_a_message_back_once(dead: Dead) -> None:
    dead.take(NO_ID)
    letters = DeadLetters(dead.redis)
    found = [(letter, b"message") for letter in letters.oldest(skip=0)]
    assert (letters.put_back(LIST, found), letters.put_back(LIST, found)) == ([True], [False])
    assert dead.redis.lrange(LIST, 0, -1) == ["message"]


def test_a_terminal_shows_them_in_80_columns(dead: Dead) -> None:
    (number, _) = dead.take(protocol_2({**WRONG, "wrong": 1}, "0" * 36), NO_ID)
    with Terminal("dead-letters", env=dict(os.environ)) as terminal:
        assert terminal.end() == 0
    assert number in terminal.shown
    assert max(len(line) for line in terminal.shown.splitlines()) <= 80
    assert not [marker for marker in PERSONAL if marker in terminal.shown]


def test_a_message_is_shown_to_who_asks_for_it_and_steers_no_terminal(dead: Dead) -> None:
    dead.take(protocol_2(WRONG, "t1"), NO_ID, b"8001735" + b"x" * LARGEST_BYTES)
    with Terminal("dead-letters", "--reveal", env=dict(os.environ)) as terminal:
        assert terminal.end() == 0
    shown = terminal.shown.replace("\n", "")
    assert f'"channel_id": "{CALL["channel_id"]}"' in shown
    assert '{"crm": "8001735 \\udcff\\x1b[2J"}' in shown
    assert "too large to keep" in shown
    piped = dead.dtmf("dead-letters", "--reveal")
    assert (piped.exit_code, piped.stdout) == (2, "")
    assert "on a terminal only" in piped.stderr


def test_a_terminal_is_asked_before_all_are_put_back_or_dropped(dead: Dead) -> None:
    dead.take(NO_ID, NO_ID)
    for what, question in (("requeue", "Put back"), ("drop", "Drop")):
        with Terminal("dead-letters", what, "--all", env=dict(os.environ)) as terminal:
            terminal.wait_for(f"{question} 2 dead letters? [y/N]:")
            terminal.type("n\n")
            assert terminal.end() == 1
    assert len(dead.letters()) == 2
