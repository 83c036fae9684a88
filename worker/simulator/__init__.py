"""A stand-in for Alibaba Cloud CCC's SendDtmfSignaling over HTTP, as strict as the real one.

It shares no code with the client that it checks. ``docs/simulator.md`` says how to use it; in Python:

- `worker.simulator.server.running`: a simulator in a thread, for tests;
- `worker.simulator.server.start`: one in the running event loop;
- `worker.simulator.control.SimulatorControl`: the client of its control API;
- `worker.simulator.config.SimulatorConfig`: what it is started with;
- `worker.simulator.scene`: the rules of a scene, as models.

signature → gateway → service → server: each knows only those before it.
"""
