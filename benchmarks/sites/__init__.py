"""What a site gains by calibrating a bundle: answers once (`embed`), splits of them (`splits`)."""
