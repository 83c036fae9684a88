"""Settings from the environment, and what Celery is told of them."""
