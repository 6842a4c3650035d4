"""Who needs to know? One renderer a file."""
