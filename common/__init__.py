"""What master, minion and client share; it knows none of them."""
