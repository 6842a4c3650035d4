"""What does a protocol of one's own look like? Complete ones, each in a file that runs."""
