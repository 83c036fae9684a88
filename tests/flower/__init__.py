"""Flower as its users see it: real workers, a real Flower, and a browser."""
