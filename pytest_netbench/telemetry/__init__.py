"""What was seen? Records of drivers and hosts, and how they are read."""
