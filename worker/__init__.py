"""The workers: everything that looks at pixels, and the upkeep of jobs."""
