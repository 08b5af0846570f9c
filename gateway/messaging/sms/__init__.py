"""Decides whether an SMS may be sent (country, budgets, money, number ranges), sends it, and follows its delivery."""
