"""Requests and replies as the chat-completion API words them."""
