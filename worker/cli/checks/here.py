"""Checks of this environment: settings, secret keys, credentials."""

import difflib
import os
from collections.abc import Iterator

from config.faults import CREDENTIALS, WORKER_NEEDS
from config.settings import Settings
from worker.ccc.errors import BadCredentials, NoCredentials
from worker.cli.checks.finding import Finding, Level, Patient
from worker.cli.output import span
from worker.credentials import provider_of
from worker.vault import Vault

# Read by the Procfile, not by the settings.
_ELSEWHERE = {"DTMF_LOG_LEVEL"}


def settings(patient: Patient) -> Iterator[Finding]:
    """Every fault, names that are none, and what a worker would miss."""
    yield from (Finding("settings", Level.FAULT, fault) for fault in patient.faults)
    if not patient.faults:
        number = len(patient.settings.model_fields_set)
        yield Finding("settings", Level.OK, f"{number} are set, the rest are by default")
    missing = [name for name in WORKER_NEEDS if not getattr(patient.settings, name)]
    if missing:
        text = f"not set here: {', '.join(missing)}"
        yield Finding("settings", Level.WARNING, text, "a worker needs them; a producer does not")
    for name in sorted(_strangers()):
        close = difflib.get_close_matches(name, Settings.model_fields, n=1)
        do = f"did you mean {close[0]}?" if close else "take it out"
        yield Finding("settings", Level.WARNING, f"{name} is set, and is no setting", do)


def _strangers() -> set[str]:
    ours = {name for name in os.environ if name.startswith(("DTMF_", "CCC_"))}
    return ours - set(Settings.model_fields) - _ELSEWHERE


def secret_keys(patient: Patient) -> Iterator[Finding]:
    """How many there are; fingerprints only."""
    if "DTMF_SECRET_KEYS" in patient.wrong:
        yield Finding("secret keys", Level.SKIPPED, "because DTMF_SECRET_KEYS is missing or wrong")
        return
    kids = Vault(patient.settings.secret_keys).kids
    more = f", {len(kids) - 1} more understood" if len(kids) > 1 else ""
    yield Finding("secret keys", Level.OK, f"fingerprint {kids[0]} in use{more}", data={"kids": kids})


def credentials(patient: Patient) -> Iterator[Finding]:
    """Where the AccessKey is found, and how long it is valid."""
    given = [name for names in CREDENTIALS.values() for name in names if getattr(patient.settings, name)]
    if not any(all(name in given for name in names) for names in CREDENTIALS.values()):
        do = f"set one of these where workers run: {'; '.join(', '.join(names) for names in CREDENTIALS.values())}"
        yield Finding("credentials", Level.WARNING, "none found here; a worker needs them", do)
        return
    try:
        provider = provider_of(patient.settings)
        provider.refresh()
    except (BadCredentials, NoCredentials) as error:
        yield Finding("credentials", Level.FAULT, str(error))
        return
    found, left = provider.describe(), provider.describe().seconds_left
    valid = f"valid for {span(left * 1000)}" if left is not None else "without end"
    if left is None and patient.settings.ALIBABA_CLOUD_SECURITY_TOKEN:
        valid = "temporary, its end is not known here"
    data = {"source": found.source, "access_key_id": found.masked_id, "seconds_left": left}
    yield Finding("credentials", Level.OK, f"{found.source}, {found.masked_id}, {valid}", data=data)
