"""`salt.defaults`: constants."""
