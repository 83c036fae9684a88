"""The channel queue in Redis: order, leases, marks and records. Knows no HTTP and no Celery.

Every change of state is one Lua script in lua/; docs/protocol.md says why each is as it is.
"""
