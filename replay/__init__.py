"""Replaying a log through the analysis, and scoring the advice."""
