"""Advice that anyone could give without looking: what an analyst must beat."""
