"""The firewall between a model's answer and advice: only what is grounded in the evidence of its tick passes."""
