"""The one place that builds the parts of the service from the settings and joins them."""
