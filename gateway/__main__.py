"""`python -m gateway` is the same command as `auth-gateway`."""

from gateway.cli import main

if __name__ == "__main__":
    main()
