"""Brokers side by side: the same records through each, in the same trials, with real processes."""
