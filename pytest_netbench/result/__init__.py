"""What came out? Metrics, validity, summaries and the results file."""
