"""An event as text."""

import logging

import pytest
from celery.utils.log import ColorFormatter

from worker.monitoring.logs import Event


@pytest.mark.parametrize("colour", [True, False])
def test_an_event_as_text_is_one_line_whatever_its_fields_hold(colour: bool) -> None:
    event = Event("alarm.refused", code="Forbidden", reason='two\nlines, "quoted"', task=None, digit=0)
    record = logging.LogRecord("worker", logging.ERROR, __file__, 1, event, (), None)
    text = ColorFormatter("%(levelname)s %(message)s", use_color=colour).format(record)
    assert r'ERROR alarm.refused code=Forbidden reason="two\nlines, \"quoted\"" digit=0' in text
