"""With which program? Drivers as rows, and how one is run on a host."""
