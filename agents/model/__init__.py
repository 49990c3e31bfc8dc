"""Talking to a model: requests and replies as the API words them, the client, what it may cost."""
