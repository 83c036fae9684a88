"""Real workers, a real server and whatever can befall them: short in `make test`, long in `make soak`.

Each scenario is a module with NAME, SETTINGS (of its ground) and play(ground, seconds), which answers a Result.
"""
