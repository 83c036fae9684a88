"""`dtmf secret`."""

import click

from worker.vault import new_secret_key


@click.command()
def secret() -> None:
    """Print a fresh secret key for DTMF_SECRET_KEYS.

    To replace a key without a stop: add the new one at the end everywhere, then move it to the front everywhere,
    and take the old one out when its last record is gone (DTMF_RECORD_MS, a day).
    """
    click.echo(new_secret_key())
