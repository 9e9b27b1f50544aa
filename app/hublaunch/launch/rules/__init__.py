"""Rules: pure functions and values. Nothing here waits, stores or asks the Hub."""
