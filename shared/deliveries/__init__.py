"""Webhooks: what is owed to receivers, every attempt to deliver it, and the secrets it is signed with."""
