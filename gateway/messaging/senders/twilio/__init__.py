"""Twilio: messages, Verify, calls, status reports and bills."""
