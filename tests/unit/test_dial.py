"""The dial string: what it means, and how a wrong one is refused without being shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.dial import KEYS, MAX_LENGTH, PAUSES_MS, parse_dial
from worker.errors import InvalidTask


@pytest.mark.parametrize(
    ("dtmf", "keys", "lead_ms", "pauses_ms"),
    [
        ("1", "1", 0, (0,)),
        ("0123456789*#", "0123456789*#", 0, (0,) * 12),
        ("1w2", "12", 0, (500, 0)),
        ("1W2", "12", 0, (1000, 0)),
        ("1,2", "12", 0, (500, 0)),
        ("1wW,2", "12", 0, (2000, 0)),
        ("w1", "1", 500, (0,)),
        ("Ww,1", "1", 2000, (0,)),
        ("1w", "1", 0, (500,)),
        ("wW1,w2WW#,", "12#", 1500, (1000, 2000, 500)),
        ("0001", "0001", 0, (0, 0, 0, 0)),
        ("1" * 50, "1" * 50, 0, (0,) * 50),
        ("w" * 49 + "1", "1", 24_500, (0,)),
    ],
)
def test_keys_are_pressed_in_order_with_the_pauses_between_them(
    dtmf: str, keys: str, lead_ms: int, pauses_ms: tuple[int, ...]
) -> None:
    dial = parse_dial(dtmf)
    assert (dial.keys, dial.lead_ms, dial.pauses_ms) == (keys, lead_ms, pauses_ms)


@given(st.text(sorted(KEYS) + sorted(PAUSES_MS), min_size=1, max_size=MAX_LENGTH).filter(lambda t: KEYS & set(t)))
def test_no_key_and_no_pause_of_a_valid_string_is_lost(dtmf: str) -> None:
    dial = parse_dial(dtmf)
    assert dial.keys == "".join(character for character in dtmf if character in KEYS)
    assert len(dial.pauses_ms) == len(dial.keys)
    assert dial.lead_ms + sum(dial.pauses_ms) == sum(PAUSES_MS.get(character, 0) for character in dtmf)
    # Each key's pause is the one that stands behind it.
    rest = dtmf.lstrip("wW,")
    assert dial.lead_ms == sum(PAUSES_MS[character] for character in dtmf[: len(dtmf) - len(rest)])
    for key, pause in zip(dial.keys, dial.pauses_ms, strict=True):
        assert rest[0] == key
        behind = rest[1:].lstrip("wW,")
        assert pause == sum(PAUSES_MS[character] for character in rest[1 : len(rest) - len(behind)])
        rest = behind


@pytest.mark.parametrize(
    ("dtmf", "shown", "position"),
    [
        ("12a4", "'a'", 3),
        ("A234", "'A'", 1),
        ("1 2", "' '", 2),
        ("1-2", "'-'", 2),
        ("1234+", "'+'", 5),
        ("123\n", r"'\n'", 4),
        ("123\0", r"'\x00'", 4),
        ("12\uff13", r"'\uff13'", 3),  # full-width 3
        ("12\u0663", r"'\u0663'", 3),  # Arabic-Indic 3
        ("\u00b2", r"'\xb2'", 1),  # superscript 2
        ("1\U0001d7d8", r"'\U0001d7d8'", 2),  # mathematical 0
        ("1\u200b2", r"'\u200b'", 2),  # a space that nobody sees
        ("1\ud800", r"'\ud800'", 2),
        ("ww'", '"\'"', 3),
        ("x" + "1" * 49, "'x'", 1),
    ],
)
def test_a_character_that_is_no_key_is_named_with_its_place(dtmf: str, shown: str, position: int) -> None:
    with pytest.raises(InvalidTask) as caught:
        parse_dial(dtmf)
    assert f"character {shown} at position {position} " in str(caught.value)


@given(
    before=st.text("456789", max_size=20),
    wrong=st.characters(exclude_characters="0123456789*#wW,"),
    after=st.text("456789", min_size=3, max_size=20),
)
def test_a_refusal_shows_the_wrong_character_and_none_of_its_neighbours(before: str, wrong: str, after: str) -> None:
    with pytest.raises(InvalidTask) as caught:
        parse_dial(before + wrong + after)
    # The message is the same whatever stands around the wrong character.
    with pytest.raises(InvalidTask) as other:
        parse_dial("1" * len(before) + wrong + "0")
    assert str(caught.value) == str(other.value)
    assert f"{wrong!a} at position {len(before) + 1} " in str(caught.value)
    assert caught.value.__context__ is None


def test_fifty_characters_fit_and_fifty_one_do_not() -> None:
    assert len(parse_dial("5" * 50).keys) == 50
    with pytest.raises(InvalidTask, match="51 characters; at most 50") as caught:
        parse_dial("5" * 51)
    assert "55" not in str(caught.value)


@pytest.mark.parametrize("dtmf", ["", "w", "W,w", "," * 50])
def test_a_string_without_a_key_is_refused(dtmf: str) -> None:
    with pytest.raises(InvalidTask, match="holds no key"):
        parse_dial(dtmf)


@pytest.mark.parametrize("dtmf", [1234, b"1234", None, 1234.0, ["1234"], True, bytearray(b"1234")])
def test_what_is_no_string_is_refused_by_its_type_and_not_shown(dtmf: object) -> None:
    with pytest.raises(InvalidTask, match=f"dtmf must be a string, not {type(dtmf).__name__}") as caught:
        parse_dial(dtmf)
    assert "1234" not in str(caught.value)


def test_the_repr_shows_how_many_keys_and_not_which() -> None:
    assert repr(parse_dial("w4711#")) == str(parse_dial("w4711#")) == "Dial(5 keys)"
