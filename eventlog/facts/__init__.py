"""What can be written into a log: every kind of fact, each declared once."""
