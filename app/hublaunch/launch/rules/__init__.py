"""Rules: pure functions and values. Nothing here waits, stores anything or asks the Hub."""
