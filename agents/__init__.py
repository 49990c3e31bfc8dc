"""Who turns what is seen into advice: analysts, and the recommendation they must agree on."""
