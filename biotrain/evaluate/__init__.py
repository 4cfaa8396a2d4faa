"""What adaptation does to accuracy on recordings: the paper's protocols, the whole stream."""
