"""Reports of trials for people who look before they read: one self-contained page, plots, JSON."""
