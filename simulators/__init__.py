"""Simulators of an exchange and of a model server, with faults on request; the product imports none of them."""
