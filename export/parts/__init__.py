"""The parts of a bundle beside its model: strip networks, template, card, manifest."""
