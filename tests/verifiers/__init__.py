"""The snippets of docs/verify, each as a program that reads assertions and says what it makes of them."""
