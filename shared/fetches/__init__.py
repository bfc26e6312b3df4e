"""Photos at URLs: how they come to be fetched, each until it is there or its job is rejected."""
