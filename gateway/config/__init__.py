"""The configuration: its schema (`sections`), its loader, and checks that report every mistake with its line
(`checks`).
"""
