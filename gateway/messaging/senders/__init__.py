"""What delivers a message: Twilio, a webhook, SMTP, the terminal. `build` picks those that the configuration names."""
