"""Training: batches, losses, one loop, and sessions that a network meets later."""
