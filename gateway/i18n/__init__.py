"""What people read, in their language: marked English sentences, catalogues, and which language a browser asks for."""
