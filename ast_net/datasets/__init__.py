"""What is on disk to records and clips (section 4.1 of the paper)."""
