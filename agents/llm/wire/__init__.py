"""Requests and replies of the chat-completion API."""
