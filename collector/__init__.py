"""What recording a market takes: sequencing, gap filling, ticks, archiving, views."""
