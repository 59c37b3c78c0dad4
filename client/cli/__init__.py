"""The programs of the client side, one file each."""
