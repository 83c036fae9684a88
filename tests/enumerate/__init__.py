"""Every crash point: the real run loop and the real scripts, stopped at every boundary. docs/proof.md tells of it."""
