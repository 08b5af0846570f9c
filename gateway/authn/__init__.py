"""Who is it? Passwords, factors, accounts elsewhere, programs, and how often somebody may try."""
