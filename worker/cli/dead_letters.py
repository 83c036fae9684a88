"""`dtmf dead-letters`."""

import base64
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click
from redis.exceptions import RedisError
from rich.table import Table
from rich.text import Text

from config.celery import SEND_QUEUE
from config.settings import Settings
from worker.channel.dead_letters import DeadLetters, KeptLetter
from worker.channel.server import explain
from worker.cli.arguments import json_option, reveal_option_for
from worker.cli.connection import client_of
from worker.cli.output import BAD, console, count, plain_errors, print_line
from worker.errors import QueueUnavailable, UnknownSecretKey
from worker.vault import Vault


@click.group("dead-letters", invoke_without_command=True)
@click.option("--most", default=20, show_default=True, type=click.IntRange(1), help="Show so many at the most.")
@json_option
@reveal_option_for("the messages themselves")
@click.pass_context
@plain_errors
def dead_letters(ctx: click.Context, *, most: int, as_json: bool, reveal: bool) -> None:
    """Show the newest messages of foreign producers that held no task: number, time, task id, and what was wrong.

    The last 10,000 are kept, encrypted. Of one that is much larger than any task only what was wrong is kept.
    """
    if as_json and reveal:
        raise click.UsageError("--json never holds digits or phone numbers; leave --reveal or --json out")
    if ctx.invoked_subcommand:
        return
    settings = Settings.load(worker=False)
    with _opened(settings) as dead:
        letters, kept, ever = dead.newest(most), len(dead), dead.ever()
    if as_json:
        told = [_told(letter) for letter in letters]
        click.echo(json.dumps({"kept": kept, "ever": ever, "letters": told}, indent=2))
        return
    for letter in letters:
        _show(letter)
        if reveal:
            _reveal(letter, Vault(settings.secret_keys))
    older = f", {kept - len(letters)} of them older than these" if kept > len(letters) else ""
    console.print(f"{count(kept, 'dead letter')}{older}; {ever} in all since ever", soft_wrap=True)


_numbers = click.argument("numbers", nargs=-1, metavar="[NUMBER]...")
_all = click.option("--all", "every", is_flag=True, help="All of them.")
_yes = click.option("--yes", is_flag=True, help="With --all: do not ask; needed where standard input is no terminal.")


@dead_letters.command(short_help="put messages back at the end of the list")
@_all
@_yes
@_numbers
@plain_errors
def requeue(numbers: tuple[str, ...], *, every: bool, yes: bool) -> None:
    """Put messages back at the end of the list `dtmf`, as if they had just been sent, and take their letters out.

    For what was mended since: a setting that was missing, a worker that was too old. What is still wrong comes back
    under another number. A message that names no deadline gets the usual one from now on: its keys are pressed, if
    the call is still there.
    """
    settings = Settings.load(worker=False)
    vault = Vault(settings.secret_keys)
    with _opened(settings) as dead:
        _confirm(dead, numbers, "Put back", every=every, yes=yes)

        def put_back(letters: Sequence[KeptLetter]) -> list[bool]:
            return dead.put_back(SEND_QUEUE, [(letter, _message(letter, vault)) for letter in letters])

        done = _each(dead, numbers, put_back, lambda letter: _why_not(letter, vault))
    console.print(f"{count(done, 'message')} put back at the end of the list")


@dead_letters.command(short_help="take letters out for good")
@_all
@_yes
@_numbers
@plain_errors
def drop(numbers: tuple[str, ...], *, every: bool, yes: bool) -> None:
    """Take letters out for good."""
    with _opened(Settings.load(worker=False)) as dead:
        _confirm(dead, numbers, "Drop", every=every, yes=yes)
        done = _each(dead, numbers, dead.drop, lambda _: None)
    console.print(f"{count(done, 'dead letter')} dropped")


@contextmanager
def _opened(settings: Settings) -> Iterator[DeadLetters]:
    try:
        yield DeadLetters(client_of(settings))
    except RedisError as error:
        reason = explain(error)
    else:
        return
    raise QueueUnavailable(reason)


def _confirm(dead: DeadLetters, numbers: Sequence[str], what: str, *, every: bool, yes: bool) -> None:
    if every == bool(numbers):
        raise click.UsageError("give the numbers of letters, or --all")
    if not every or yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("standard input is no terminal, so nobody can be asked; add --yes")
    click.confirm(f"{what} {count(len(dead), 'dead letter')}?", abort=True)


def _each(
    dead: DeadLetters,
    numbers: Sequence[str],
    act: Callable[[Sequence[KeptLetter]], list[bool]],
    why_not: Callable[[KeptLetter], str | None],
) -> int:
    """Act on the letters of these numbers, or on all if there are none, the oldest first; answers on how many.

    What cannot be done is said on standard error, and a number that is none ends the command with status 1.
    """
    done, skip, seen = 0, 0, set[str]()
    # What is put back and still wrong comes again at the other end.
    left = len(dead)
    while found := dead.oldest(skip=skip)[:left]:
        left -= len(found)
        wanted = [letter for letter in found if not numbers or letter.content.number in numbers]
        reasons = {letter.content.number: why_not(letter) for letter in wanted}
        able = [letter for letter in wanted if not reasons[letter.content.number]]
        for number, reason in reasons.items():
            if reason:
                click.echo(f"{number} stays: {reason}", err=True)
        done += sum(act(able))
        seen |= reasons.keys()
        skip += len(found) - len(able)
    unknown = sorted(set(numbers) - seen)
    if unknown:
        raise click.ClickException(f"no dead letter has the number {', '.join(unknown)}; {done} of the others done")
    return done


def _why_not(letter: KeptLetter, vault: Vault) -> str | None:
    """Why a letter's message cannot be put back or shown, or None."""
    if not letter.content.letter:
        return "its message was too large to keep; it can only be dropped"
    try:
        _message(letter, vault)
    except UnknownSecretKey as error:
        return str(error)
    return None


def _message(letter: KeptLetter, vault: Vault) -> bytes:
    """The message as its producer wrote it."""
    return base64.b64decode(vault.decrypt(letter.content.letter, letter.content.number))


def _told(letter: KeptLetter) -> dict[str, Any]:
    content = letter.content
    about = {"number": content.number, "at": letter.at, "id": content.task_id, "problem": content.problem}
    return {**about, "kept": bool(content.letter)}


def _show(letter: KeptLetter) -> None:
    content = letter.content
    when = f"{datetime.fromtimestamp(letter.at / 1000).astimezone():%Y-%m-%d %H:%M:%S}"
    owner, problem = content.task_id or "(no id)", content.problem
    if not console.is_terminal:
        print_line(Text(f"{content.number} {when} {owner} {problem}"))
        return
    line = Table.grid(padding=(0, 1, 0, 0))
    for width in (8, 19):
        line.add_column(width=width, no_wrap=True)
    line.add_column(overflow="fold")
    line.add_row(Text(content.number, "bold"), when, owner)
    line.add_row("", "", Text(problem, BAD))
    console.print(line)


def _reveal(letter: KeptLetter, vault: Vault) -> None:
    reason = _why_not(letter, vault)
    if reason:
        console.print(reason)
        return
    message = _message(letter, vault)
    for text in (message, _body(message)):
        # What a stranger wrote must not steer the terminal.
        if text:
            console.print(ascii(text.decode(errors="surrogateescape"))[1:-1], overflow="fold")


def _body(message: bytes) -> bytes:
    """The body that stands in a message as base64; empty if none does."""
    try:
        return base64.b64decode(json.loads(message)["body"], validate=True)
    except (ValueError, TypeError, LookupError, RecursionError):
        return b""
