"""What does a test author import? The public names; each is loaded when it is first asked for."""
