"""What live and replay share: the loop, the decision at a tick, the configuration of both."""
