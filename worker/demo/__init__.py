"""The main job in a lively scene on one machine, and a verdict from what the simulator heard."""
