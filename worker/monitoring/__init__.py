"""What the worker tells its operators: the log (docs/logs.md) and Sentry."""
