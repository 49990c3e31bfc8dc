"""Driving a log through the analysis, and finding out what the advice was worth."""
