"""The run: what the API's answers mean, and the loop that serves a channel."""
