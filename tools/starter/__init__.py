"""Train the starter: a ResNet50 that tells families and instances of rendered objects apart."""
