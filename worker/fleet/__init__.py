"""What a worker process does beside its runs: it renews leases, finds channels that nobody serves, writes results."""
