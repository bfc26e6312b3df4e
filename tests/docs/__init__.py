"""The code in the pages is run, and what they show of its output is compared."""
