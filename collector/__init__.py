"""Recording of markets: sequencing, gap filling, ticks, archiving, views."""
