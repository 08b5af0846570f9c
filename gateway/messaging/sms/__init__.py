"""What stands between a factor and an SMS provider: countries, budgets, money, number ranges, delivery."""
