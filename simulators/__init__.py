"""What stands in for the world: an exchange and a model server with faults on request. No product imports it."""
