"""The ordering: every script of the channel queue against a real server."""
