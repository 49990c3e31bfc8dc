"""Logs made of others' files, and files made of logs."""
