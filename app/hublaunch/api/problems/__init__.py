"""Problems (RFC 9457): their types, the responses that carry them, and their documentation."""
