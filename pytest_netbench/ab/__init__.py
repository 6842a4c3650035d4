"""How do two arms run in one session? Which tests have them, how long their rounds are, pair by pair, to a verdict."""
