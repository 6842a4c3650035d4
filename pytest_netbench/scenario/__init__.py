"""What should happen? Scenarios: their language, files, builder and catalogue."""
