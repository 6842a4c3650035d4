"""How do EC2 instances become hosts? boto3 is imported where a client is made, and never on a host."""
