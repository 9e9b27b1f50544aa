"""Files that hublaunch reads again when they change (API keys, limits, the catalogue), and the code that they share."""
