"""Makes a page: templates, branding, texts, and the language of its reader."""
