"""How do two arms run in one session? How long their rounds are, pair by pair, to a verdict with its evidence."""
