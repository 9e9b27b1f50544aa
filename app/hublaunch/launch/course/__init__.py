"""The course of a launch, from its acceptance to its end, and the clean-up after it."""
