"""What models have said, and might say, that must never become advice."""
