"""What was asked for? Options and markers, each checked, and both merged into the plan of one test."""
