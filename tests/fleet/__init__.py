"""Real Celery workers, a real server, the real simulator: what a user would notice, judged by the simulator's log."""
